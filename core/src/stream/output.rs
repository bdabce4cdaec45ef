//! [`Buffered`]: a stream that keeps what its transport does not take at once.
//!
//! Invariants:
//! - Bytes leave in the order in which they were written; a write goes past the buffer only while
//!   that is empty.
//! - [`write_nowait`](IoStream::write_nowait) takes all or nothing, and never more than the buffer
//!   holds: Tornado's `max_write_buffer_size` is the buffer's length.
//! - While bytes are held back, every wait on the stream also waits for room and sends them on.
//! - An error that this meets is told by the next write or flush, and ends the output.
//!
//! Capacity: the buffer that was passed in. Full: [`StreamError::BufferFull`] of `write_nowait`;
//! `write` waits.
//!
//! Layer: a [`RawStream`] around a [`RawStream`], so that a stream without it is none the larger;
//! part of [`stream`](super).

use core::cell::{Cell, RefCell};
use core::task::{Context, Poll, Waker, ready};

use embedded_io::ErrorKind;

use super::{ATTEMPTS_PER_POLL_MAX, IoStream, RawStream, STEPS_PER_POLL_MAX, StreamError, Writer};
use super::{give_way, read::Input};
use crate::poller::{Error, Interest};

/// A stream with a buffer for its output: Tornado's write buffer. See [`IoStream::with_output`].
///
/// Nothing runs in the background. What the transport did not take is sent on while any call of
/// the stream is awaited: a read, `closed()`, another write, and of course `flush()`. Dropping it
/// loses what is still there.
///
/// Its calls wait for the transport's room together, so all of them come from one task; a `join` or
/// a `select` of both halves is one. (Without it, each half may have a task of its own.)
pub struct Buffered<'o, S> {
    raw: S,
    output: RefCell<Output<'o>>,
    /// Who waits for something else than room.
    waiting: Cell<Option<Waker>>,
}

impl<'o, S: RawStream> Buffered<'o, S> {
    /// `raw`, with `output` for what it does not take at once.
    pub const fn new(raw: S, output: &'o mut [u8]) -> Self {
        let output = Output { ring: output, start: 0, len: 0, end: End::Open };
        Self { raw, output: RefCell::new(output), waiting: Cell::new(None) }
    }

    /// What it stands on, for addresses.
    pub const fn raw(&self) -> &S {
        &self.raw
    }

    /// Takes it apart, unless something is unsent.
    ///
    /// # Errors
    /// Itself: [`flush`](IoStream::flush) first.
    pub fn into_raw(self) -> Result<S, Self> {
        if self.output.borrow().len == 0 { Ok(self.raw) } else { Err(self) }
    }

    /// Takes all of `data` or nothing.
    fn write_nowait(&self, data: &[u8]) -> Result<(), StreamError> {
        let mut output = self.output.borrow_mut();
        let closed = |error| StreamError::Closed(Some(error));
        output.check().map_err(closed)?;
        if data.len() > output.ring.len() - output.len {
            return Err(StreamError::BufferFull);
        }
        if data.is_empty() {
            return Ok(());
        }
        let taken = match output.write(&self.raw, data) {
            Err(nb::Error::Other(error)) => return Err(closed(error)),
            Err(nb::Error::WouldBlock) => 0,
            Ok(taken) => taken,
        };
        let rest = data.get(taken..).unwrap_or_default();
        let was_empty = output.len == 0;
        let kept = output.push(rest);
        debug_assert_eq!(kept, rest.len(), "there was room for all of it");
        let is_new = was_empty && output.len > 0;
        drop(output);
        self.tell(is_new);
        Ok(())
    }

    /// Wakes who waits for something else, if something is held back now that was not: that call
    /// sends it on, and found nothing to wait for when it looked.
    fn tell(&self, is_new: bool) {
        if is_new && let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    /// Sends on what is held back; ready once that is all of it.
    fn poll_drain(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut vain = 0;
        for _ in 0..STEPS_PER_POLL_MAX {
            let mut output = self.output.borrow_mut();
            if !output.is_due() {
                return Poll::Ready(output.failure());
            }
            if output.len > 0 {
                ready!(self.raw.poll_ready(Interest::Write, cx));
            }
            match output.send(&self.raw) {
                Ok(()) => {}
                Err(nb::Error::Other(error)) => return Poll::Ready(Err(error)),
                Err(nb::Error::WouldBlock) => {
                    vain += 1;
                    if vain == ATTEMPTS_PER_POLL_MAX {
                        break;
                    }
                }
            }
        }
        give_way(cx)
    }
}

/// How the output stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    /// `shutdown` was called; the transport is told once everything is sent.
    Asked,
    /// And the transport was told.
    Told,
    Failed(Error),
}

/// What is held back: `len` bytes of the ring from `start` on.
struct Output<'o> {
    ring: &'o mut [u8],
    start: usize,
    len: usize,
    end: End,
}

impl Output<'_> {
    /// What is held back, in order: the second part is what lies at the ring's front.
    fn parts(&self) -> (&[u8], &[u8]) {
        // start < ring.len() and len <= ring.len(), or all three are 0.
        let (front, back) = self.ring.split_at(self.start);
        match back.get(..self.len) {
            Some(all) => (all, &[]),
            None => (back, front.get(..self.len - back.len()).unwrap_or_default()),
        }
    }

    /// Appends as much of `data` as there is room for; how much that was.
    fn push(&mut self, data: &[u8]) -> usize {
        let count = data.len().min(self.ring.len() - self.len);
        let (data, _) = data.split_at(count);
        let mut at = self.start + self.len;
        if at >= self.ring.len() {
            at -= self.ring.len();
        }
        let (front, back) = self.ring.split_at_mut(at);
        let (first, second) = data.split_at(count.min(back.len()));
        back.split_at_mut(first.len()).0.copy_from_slice(first);
        front.split_at_mut(second.len()).0.copy_from_slice(second);
        self.len += count;
        count
    }

    /// Forgets the first `count` bytes: they are sent.
    fn advance(&mut self, count: usize) {
        debug_assert!(count <= self.len, "sent {count} of {}", self.len);
        self.len -= count.min(self.len);
        self.start += count;
        if self.start >= self.ring.len() {
            self.start -= self.ring.len();
        }
        if self.len == 0 {
            self.start = 0;
        }
    }

    /// Whether there is anything to do.
    fn is_due(&self) -> bool {
        self.len > 0 || self.end == End::Asked
    }

    const fn failure(&self) -> Result<(), Error> {
        match self.end {
            End::Failed(error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether more may be written.
    const fn check(&self) -> Result<(), Error> {
        match self.end {
            End::Open => Ok(()),
            End::Asked | End::Told => Err(Error::new(ErrorKind::BrokenPipe)),
            End::Failed(error) => Err(error),
        }
    }

    /// Notes an error of `result`: nothing more will be sent.
    fn note<T>(&mut self, result: nb::Result<T, Error>) -> nb::Result<T, Error> {
        if let Err(nb::Error::Other(error)) = result {
            (self.start, self.len, self.end) = (0, 0, End::Failed(error));
        }
        result
    }

    /// Sends once of what is held back, and the end behind the last of it.
    fn send<S: RawStream>(&mut self, raw: &S) -> nb::Result<(), Error> {
        if self.len > 0 {
            let (head, rest) = self.parts();
            let sent = if rest.is_empty() {
                raw.try_write(head)
            } else {
                raw.try_write_vectored(head, rest)
            };
            let count = self.note(sent)?;
            self.advance(count);
        }
        if self.len == 0 && self.end == End::Asked {
            self.end = End::Told;
            raw.shutdown();
        }
        Ok(())
    }

    /// Takes a prefix of `data`: past the buffer if that is empty, else into it.
    fn write<S: RawStream>(&mut self, raw: &S, data: &[u8]) -> nb::Result<usize, Error> {
        if self.len > 0 {
            match self.send(raw) {
                Err(nb::Error::WouldBlock) | Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        if self.len == 0 {
            match self.note(raw.try_write(data)) {
                Err(nb::Error::WouldBlock) => {}
                result => return result,
            }
        }
        match self.push(data) {
            0 => Err(nb::Error::WouldBlock),
            count => Ok(count),
        }
    }
}

impl<S: RawStream> RawStream for Buffered<'_, S> {
    fn try_read(&self, buf: &mut [u8]) -> nb::Result<usize, Error> {
        self.raw.try_read(buf)
    }

    fn try_write(&self, data: &[u8]) -> nb::Result<usize, Error> {
        let mut output = self.output.borrow_mut();
        output.check().map_err(nb::Error::Other)?;
        let was_empty = output.len == 0;
        let result = output.write(&self.raw, data);
        let is_new = was_empty && output.len > 0;
        drop(output);
        self.tell(is_new);
        result
    }

    fn poll_ready(&self, interest: Interest, cx: &mut Context<'_>) -> Poll<()> {
        let drained = self.poll_drain(cx);
        if interest != Interest::Write {
            // An error is noted: this side finds out for itself whether it concerns it.
            let polled = self.raw.poll_ready(interest, cx);
            if polled.is_pending() {
                self.waiting.set(Some(cx.waker().clone()));
            }
            return polled;
        }
        let output = self.output.borrow();
        match drained {
            Poll::Ready(Ok(())) if output.ring.is_empty() && output.end == End::Open => {
                self.raw.poll_ready(Interest::Write, cx)
            }
            Poll::Pending if output.len == output.ring.len() && output.end == End::Open => {
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_drain(cx))?;
        self.raw.poll_flush(cx)
    }

    fn unsent(&self) -> usize {
        self.output.borrow().len + self.raw.unsent()
    }

    fn set_nodelay(&self, on: bool) -> Result<(), Error> {
        self.raw.set_nodelay(on)
    }

    fn start_tls(&self) -> Result<(), Error> {
        if self.output.borrow().len > 0 {
            return Err(Error::new(ErrorKind::InvalidInput));
        }
        self.raw.start_tls()
    }

    fn shutdown(&self) {
        let mut output = self.output.borrow_mut();
        if output.end == End::Open {
            output.end = End::Asked;
            // What is left after this is sent by whichever call is awaited next.
            let _ = output.send(&self.raw);
        }
    }

    fn close(&self) {
        let mut output = self.output.borrow_mut();
        let _ = output.send(&self.raw);
        if output.is_due() {
            (output.start, output.len, output.end) = (0, 0, End::Failed(Error::STALE));
        }
        self.raw.close();
    }

    fn abort(&self) {
        let mut output = self.output.borrow_mut();
        if output.is_due() {
            (output.start, output.len, output.end) = (0, 0, End::Failed(Error::STALE));
        }
        self.raw.abort();
    }
}

impl<'b, 'o, S: RawStream> IoStream<'b, Buffered<'o, S>> {
    /// A stream that reads into `input`, as [`new`](IoStream::new), and keeps in `output` what the
    /// transport does not take at once. Tornado: `max_write_buffer_size`.
    ///
    /// ```
    /// # #[cfg(feature = "sim")] {
    /// # use dustdevil_core::handle::Handle;
    /// # use dustdevil_core::memory::Memory;
    /// # use dustdevil_core::reactor::{Capacity, Reactor};
    /// # use dustdevil_core::sim::{self, Faults, Script, Sim, World};
    /// # use dustdevil_core::tcp::TcpListener;
    /// # use dustdevil_core::time::Duration;
    /// use dustdevil_core::stream::{IoStream, StreamError};
    ///
    /// # const CAPACITY: Capacity =
    /// #     Capacity { sources: 0, timers: 1, groups: 0, tasks: 1, waiters: 0 }.plus_streams(2);
    /// # static MEMORY: Memory<{ CAPACITY.bytes() }> = Memory::new();
    /// # let faults = Faults { window_bytes: (4, 4), ..Faults::NONE };
    /// # let world = World::new(1, faults);
    /// # let (sim, memory) = (Sim::<true>::new(&world), MEMORY.take());
    /// # let reactor = Reactor::new(sim, memory, CAPACITY, sim::wakes(1));
    /// # let at = "10.0.0.1:7".parse().unwrap();
    /// # let second = Duration::from_secs(1);
    /// # let peer = Script::new("x").wait(second).expect_contains(b"one two!", second);
    /// # world.connect(at, second, peer);
    /// # let handle = Handle::from(&reactor);
    /// # let listener = TcpListener::bind(handle, at, 4).unwrap();
    /// # reactor.run(async {
    /// # let (tcp, _) = listener.accept().await.unwrap();
    /// // A peer whose window is 4 bytes.
    /// let (mut input, mut output) = ([0; 16], [0; 8]);
    /// let mut stream = IoStream::with_output(tcp, &mut input, &mut output);
    /// assert_eq!(stream.write_nowait(b"one two!"), Ok(()));
    /// assert!(stream.writing());
    /// assert_eq!(stream.write_nowait(b"three"), Err(StreamError::BufferFull));
    /// stream.flush().await.unwrap();
    /// assert!(!stream.writing());
    /// # });
    /// # }
    /// ```
    pub const fn with_output(raw: S, input: &'b mut [u8], output: &'o mut [u8]) -> Self {
        Self { raw: Buffered::new(raw, output), input: Input::new(input) }
    }

    /// Writes all of `data`, or nothing, without waiting: what the transport does not take at once
    /// is kept, and sent on while any other call of this stream is awaited. Tornado: `write`, whose
    /// future nobody awaits.
    ///
    /// # Errors
    /// [`StreamError::BufferFull`] when what is unsent and `data` together are longer than the
    /// output buffer: nothing was taken. [`StreamError::Closed`] with the error that ended the
    /// output.
    pub fn write_nowait(&mut self, data: &[u8]) -> Result<(), StreamError> {
        self.raw.write_nowait(data)
    }
}

impl<S: RawStream> Writer<'_, Buffered<'_, S>> {
    /// See [`IoStream::write_nowait`].
    ///
    /// # Errors
    /// As there.
    pub fn write_nowait(&mut self, data: &[u8]) -> Result<(), StreamError> {
        self.raw.write_nowait(data)
    }
}

/// Exact: whether the output buffer has room, or the output ended.
impl<S: RawStream> embedded_io::WriteReady for IoStream<'_, Buffered<'_, S>> {
    fn write_ready(&mut self) -> Result<bool, StreamError> {
        let mut output = self.raw.output.borrow_mut();
        if output.len == output.ring.len() {
            // Whoever only ever asks must see the room that came.
            let _ = output.send(&self.raw.raw);
        }
        Ok(output.end != End::Open || output.len < output.ring.len())
    }
}
