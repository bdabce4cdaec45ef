//! Streams of bytes: what a connection, a serial port or a pipe offers ([`RawStream`]), and the
//! reads and writes that programs want of it ([`IoStream`]). Tornado: `tornado.iostream`.
//!
//! Invariants:
//! - A read *lends*: it answers with a slice of the stream's own buffer, and the bytes leave the
//!   buffer only when the call returns them. A read that is dropped before took nothing.
//! - What came before an end of input or an error is read before the end is told.
//! - Nothing is buffered on the way out: [`write`](IoStream::write) is done when the transport has
//!   taken every byte. Who wants a buffer there puts [`Buffered`] between
//!   ([`IoStream::with_output`]), and then has [`write_nowait`](IoStream::write_nowait).
//! - No call has a deadline of its own: put it into [`Handle::timeout`](crate::handle::Handle).
//!
//! Capacity: the buffer that was passed in. Full: [`StreamError::BufferFull`]. Tornado's
//! `max_buffer_size` is its length, and `max_write_buffer_size` the output buffer's. There is no
//! `read_chunk_size`: a read asks the transport for as much as there is room for. Nor is there
//! `reading()`: the future of a read borrows the stream, so nobody can ask while there is one.
//!
//! Layer: stands on the poller's words (`Interest`, `Error`) alone, but for [`Blocking`], which
//! turns a reactor; [`tcp`](crate::tcp) gives it connections, and drivers of boards give it UARTs.
//!
//! ```
//! # #[cfg(feature = "sim")] {
//! use dustdevil_core::handle::Handle;
//! use dustdevil_core::memory::Memory;
//! use dustdevil_core::reactor::{Capacity, Reactor};
//! use dustdevil_core::sim::{self, Faults, Script, Sim, World};
//! use dustdevil_core::stream::IoStream;
//! use dustdevil_core::tcp::TcpListener;
//! use dustdevil_core::time::Duration;
//!
//! const CAPACITY: Capacity =
//!     Capacity { sources: 0, timers: 1, groups: 0, tasks: 1, waiters: 0 }.plus_streams(2);
//! static MEMORY: Memory<{ CAPACITY.bytes() }> = Memory::new();
//!
//! let world = World::new(1, Faults::NONE);
//! let reactor = Reactor::new(Sim::<true>::new(&world), MEMORY.take(), CAPACITY, sim::wakes(1));
//! let at = "10.0.0.1:7".parse().unwrap();
//! let second = Duration::from_secs(1);
//! let script = Script::new("x").send(b"one\ntwo\n").expect_contains(b"one\n", second);
//! world.connect(at, second, script);
//!
//! let handle = Handle::from(&reactor);
//! let listener = TcpListener::bind(handle, at, 4).unwrap();
//! reactor.run(async {
//!     let (tcp, _) = listener.accept().await.unwrap();
//!     let mut buffer = [0; 64];
//!     let mut stream = IoStream::new(tcp, &mut buffer);
//!     // A line of at most 16 bytes, within a second.
//!     let line = handle.timeout(second, stream.read_until(b"\n", 16)).await.unwrap().unwrap();
//!     assert_eq!(line, b"one\n");
//!     stream.write(b"one\n").await.unwrap();
//!     assert_eq!(stream.buffered(), b"two\n");
//! });
//! # }
//! ```

use core::ops::Range;
use core::task::{Context, Poll};

use embedded_io::ErrorKind;

pub use self::blocking::Blocking;
pub use self::error::StreamError;
pub use self::faces::attempt;
pub use self::halves::{Reader, Writer};
pub use self::output::Buffered;
pub use self::raw::RawStream;
use self::read::{Ended, Input, Want};
pub use self::read::{ReadInto, ReadRest, ReadSlice, ReadUntilWith};
pub use self::write::{Closed, Flush, Write, WriteVectored};
use crate::poller::Error;

mod blocking;
mod error;
mod faces;
mod halves;
mod output;
mod raw;
mod read;
mod write;

/// Reads or writes of one call that go ahead without giving way to others: 16.
const STEPS_PER_POLL_MAX: u32 = 16;

/// Attempts after readiness that turned out spurious, before others have their turn: 4.
const ATTEMPTS_PER_POLL_MAX: u32 = 4;

/// A buffered stream over `S`: Tornado's `IOStream`.
///
/// Bytes are read into the buffer that was passed in, and lent from there. Dropping it drops `S`.
/// One task reads and another writes by [`split`](Self::split). It also implements
/// `embedded_io_async::{Read, Write, BufRead}`, whose `write` may take a part only.
pub struct IoStream<'b, S> {
    raw: S,
    input: Input<'b>,
}

/// What is left of an [`IoStream`] that was taken apart: for another protocol, or another buffer.
pub struct Parts<'b, S> {
    /// The stream itself.
    pub raw: S,
    /// The whole buffer.
    pub buffer: &'b mut [u8],
    /// Where in it the bytes lie that were received and not read.
    pub unread: Range<usize>,
}

impl<'b, S: RawStream> IoStream<'b, S> {
    /// A stream that reads into `buffer`: its length bounds what one read can lend.
    pub const fn new(raw: S, buffer: &'b mut [u8]) -> Self {
        Self { raw, input: Input::new(buffer) }
    }

    /// The stream that [`detach`](Self::detach) took apart.
    ///
    /// # Panics
    /// When `unread` does not lie within the buffer.
    pub fn from_parts(parts: Parts<'b, S>) -> Self {
        let Parts { raw, buffer, unread: Range { start, end } } = parts;
        assert!(start <= end && end <= buffer.len(), "unread bytes outside the buffer");
        Self { raw, input: Input { buffer, start, end, ended: Ended::Not } }
    }

    /// Takes the stream apart; nothing is closed, and bytes that were received and not read come
    /// along. Tornado: `detach`.
    pub fn detach(self) -> Parts<'b, S> {
        let Input { buffer, start, end, .. } = self.input;
        Parts { raw: self.raw, buffer, unread: start..end }
    }

    /// What it stands on: for addresses, or `start_tls` between two messages.
    pub const fn raw(&self) -> &S {
        &self.raw
    }

    /// The bytes that were received and not read.
    pub fn buffered(&self) -> &[u8] {
        self.input.held()
    }

    /// Reads until `delimiter`, and lends everything up to its end. `max` bounds what is lent,
    /// delimiter included. An empty delimiter is found at once.
    ///
    /// Cancel-safe: a dropped call has read nothing; what arrived stays in the buffer.
    ///
    /// # Errors
    /// [`StreamError::Unsatisfiable`] when `max` bytes came without a delimiter that ends there at
    /// the latest, [`StreamError::BufferFull`] when the buffer is smaller than that and full,
    /// [`StreamError::Closed`] when the stream ended before.
    pub fn read_until<'s>(&'s mut self, delimiter: &'s [u8], max: usize) -> ReadSlice<'s, 'b, S> {
        let want = Want::Until { delimiter, max, searched: 0 };
        ReadSlice::new(&self.raw, &mut self.input, want)
    }

    /// Reads until `matcher` says so. It is shown everything that was received and not read, each
    /// time that more came, and answers `Some(count)`: that many bytes are to be lent. When they
    /// are not all there yet, it is asked again once they are. `None`: it needs more to tell. `max`
    /// bounds what is lent.
    ///
    /// Where its answer depends on what may still come (a pattern that ends in `a+`), it depends on
    /// how the bytes arrive. Tornado: `read_until_regex`, whose form on Linux is in
    /// `dustdevil_std::regex`.
    ///
    /// Cancel-safe: a dropped call has read nothing; what arrived stays in the buffer.
    ///
    /// ```
    /// # #[cfg(feature = "sim")] {
    /// # use dustdevil_core::handle::Handle;
    /// # use dustdevil_core::memory::Memory;
    /// # use dustdevil_core::reactor::{Capacity, Reactor};
    /// # use dustdevil_core::sim::{self, Faults, Script, Sim, World};
    /// # use dustdevil_core::stream::IoStream;
    /// # use dustdevil_core::tcp::TcpListener;
    /// # use dustdevil_core::time::Duration;
    /// # const CAPACITY: Capacity =
    /// #     Capacity { sources: 0, timers: 1, groups: 0, tasks: 1, waiters: 0 }.plus_streams(2);
    /// # static MEMORY: Memory<{ CAPACITY.bytes() }> = Memory::new();
    /// # let world = World::new(1, Faults::NONE);
    /// # let (sim, memory) = (Sim::<true>::new(&world), MEMORY.take());
    /// # let reactor = Reactor::new(sim, memory, CAPACITY, sim::wakes(1));
    /// # let at = "10.0.0.1:7".parse().unwrap();
    /// # let second = Duration::from_secs(1);
    /// # world.connect(at, second, Script::new("x").send(b"\x03abc\x00"));
    /// # let listener = TcpListener::bind(Handle::from(&reactor), at, 4).unwrap();
    /// # reactor.run(async {
    /// # let (tcp, _) = listener.accept().await.unwrap();
    /// # let mut buffer = [0; 64];
    /// # let mut stream = IoStream::new(tcp, &mut buffer);
    /// // A frame is a byte with its length, and as many bytes.
    /// let frame = |held: &[u8]| held.first().map(|&len| 1 + usize::from(len));
    /// assert_eq!(stream.read_until_with(frame, 64).await, Ok(&b"\x03abc"[..]));
    /// assert_eq!(stream.read_until_with(frame, 64).await, Ok(&b"\x00"[..]));
    /// # });
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StreamError::Unsatisfiable`] when the answer is more than `max`, or `None` with `max`
    /// bytes there; [`StreamError::BufferFull`] when the buffer is smaller than what is wanted;
    /// [`StreamError::Closed`] when the stream ended before.
    pub fn read_until_with<F>(&mut self, matcher: F, max: usize) -> ReadUntilWith<'_, 'b, S, F>
    where
        F: FnMut(&[u8]) -> Option<usize>,
    {
        ReadUntilWith::new(&self.raw, &mut self.input, matcher, max)
    }

    /// Reads exactly `count` bytes and lends them.
    ///
    /// Cancel-safe: a dropped call has read nothing; what arrived stays in the buffer.
    ///
    /// # Errors
    /// [`StreamError::BufferFull`], at once, when the buffer is smaller than `count`;
    /// [`StreamError::Closed`] when the stream ended before.
    pub fn read_bytes(&mut self, count: usize) -> ReadSlice<'_, 'b, S> {
        ReadSlice::new(&self.raw, &mut self.input, Want::Exactly(count))
    }

    /// Reads what is there, at least one byte and at most `max`, and lends it. Tornado:
    /// `read_bytes(max, partial=True)`. With `max` 0 it is done at once.
    ///
    /// Cancel-safe: a dropped call has read nothing.
    ///
    /// # Errors
    /// [`StreamError::Closed`] when the stream ended and nothing is left.
    pub fn read_bytes_partial(&mut self, max: usize) -> ReadSlice<'_, 'b, S> {
        ReadSlice::new(&self.raw, &mut self.input, Want::Some(max))
    }

    /// Fills `into`: first with what is buffered, then straight from the stream, without a copy.
    ///
    /// Cancel-safe when it is awaited by reference: [`ReadInto::filled`] then says how much of
    /// `into` is filled, and awaiting it again goes on. Those bytes have left the stream; with a
    /// call that is dropped whole their count is lost.
    ///
    /// # Errors
    /// [`StreamError::Closed`] when the stream ended before.
    pub fn read_into<'s>(&'s mut self, into: &'s mut [u8]) -> ReadInto<'s, 'b, S> {
        ReadInto::new(&self.raw, &mut self.input, into, false)
    }

    /// Reads what is there into `into`, at least one byte, and returns how many; 0 at the end of
    /// input, or when `into` is empty. Tornado: `read_into(buf, partial=True)`.
    ///
    /// Cancel-safe: a dropped call has read nothing.
    ///
    /// # Errors
    /// [`StreamError::Closed`] with the error that ended the stream.
    pub fn read_into_partial<'s>(&'s mut self, into: &'s mut [u8]) -> ReadInto<'s, 'b, S> {
        ReadInto::new(&self.raw, &mut self.input, into, true)
    }

    /// Reads everything until the peer ends its output, and lends it.
    ///
    /// Cancel-safe: a dropped call has read nothing; what arrived stays in the buffer.
    ///
    /// # Errors
    /// [`StreamError::Unsatisfiable`] when more than `max` bytes come,
    /// [`StreamError::BufferFull`] when the buffer is full before the end,
    /// [`StreamError::Closed`] with the error when the stream died instead of ending.
    pub fn read_until_close(&mut self, max: usize) -> ReadSlice<'_, 'b, S> {
        ReadSlice::new(&self.raw, &mut self.input, Want::Rest(max))
    }

    /// Hands everything until the peer ends its output to `sink`, piece by piece as it arrives,
    /// and returns how many bytes that were. Tornado: `read_until_close(streaming_callback=..)`.
    ///
    /// Cancel-safe: each byte is either handed over or still to be read.
    ///
    /// # Errors
    /// [`StreamError::Closed`] with the error when the stream died instead of ending.
    pub fn read_until_close_with<F>(&mut self, sink: F) -> ReadRest<'_, 'b, S, F>
    where
        F: FnMut(&[u8]),
    {
        ReadRest::new(&self.raw, &mut self.input, sink)
    }

    /// Writes all of `data`; done when the transport has taken it. A slow peer makes it wait.
    ///
    /// Cancel-safe when it is awaited by reference: [`Write::written`] then says how much of it was
    /// taken, and awaiting it again goes on. A call that is dropped whole may have written any
    /// prefix: the usual thing then is to close.
    ///
    /// # Errors
    /// [`StreamError::Closed`] with the error that ended the stream.
    pub fn write<'s>(&'s mut self, data: &'s [u8]) -> Write<'s, S> {
        Write::new(&self.raw, data)
    }

    /// Writes all of `parts`, one behind the other, as [`write`](Self::write) does: two at a time
    /// where the transport can (`writev`), so that a header and its body leave together.
    ///
    /// Cancel-safe: as [`write`](Self::write).
    ///
    /// # Errors
    /// [`StreamError::Closed`] with the error that ended the stream.
    pub fn write_vectored<'s>(&'s mut self, parts: &'s [&'s [u8]]) -> WriteVectored<'s, S> {
        WriteVectored::new(&self.raw, parts)
    }

    /// Whether written bytes wait in the stream's own buffer still; see
    /// [`with_output`](Self::with_output). Without one never: a write that is done was taken.
    /// Tornado: `writing`.
    pub fn writing(&self) -> bool {
        self.raw.unsent() > 0
    }

    /// Waits until the transport has sent on what it took; at once where that has no meaning.
    ///
    /// Cancel-safe: a dropped call leaves nothing behind.
    ///
    /// # Errors
    /// [`StreamError::Closed`] with the error that ended the stream.
    pub fn flush(&mut self) -> Flush<'_, S> {
        Flush { raw: &self.raw }
    }

    /// Resolves when the peer is gone: the connection was reset, failed, or is closed. A peer that
    /// merely ended its output is still there (it may wait for an answer): reads tell of that.
    ///
    /// Cancel-safe: a dropped call leaves nothing behind.
    pub fn closed(&self) -> Closed<'_, S> {
        Closed { raw: &self.raw }
    }

    /// Why the input ended, once a read has met it: `None` while it goes on, and after the peer's
    /// own end. Tornado: `error`.
    pub const fn error(&self) -> Option<Error> {
        match self.input.ended {
            Ended::Failed(error) => Some(error),
            Ended::Not | Ended::Eof => None,
        }
    }

    /// Whether small writes leave at once (TCP: Nagle's algorithm off). Where that has no meaning
    /// nothing happens. Tornado: `set_nodelay`.
    ///
    /// # Errors
    /// [`StreamError::Closed`] with the transport's error.
    pub fn set_nodelay(&mut self, on: bool) -> Result<(), StreamError> {
        self.raw.set_nodelay(on).map_err(|error| StreamError::Closed(Some(error)))
    }

    /// The stream in TLS from here on, over a transport that speaks it. Tornado: `start_tls`.
    ///
    /// # Errors
    /// The stream as it was, and [`ErrorKind::InvalidInput`] when bytes are buffered in either
    /// direction (they are in the clear, and would seem to be of the TLS stream),
    /// [`Error::UNSUPPORTED`], or the transport's.
    pub fn start_tls(self) -> Result<Self, (Self, Error)> {
        let is_clean = self.input.held().is_empty() && self.raw.unsent() == 0;
        let started = match is_clean {
            true => self.raw.start_tls(),
            false => Err(Error::new(ErrorKind::InvalidInput)),
        };
        match started {
            Ok(()) => Ok(self),
            Err(error) => Err((self, error)),
        }
    }

    /// Ends the output after what was written; reading goes on.
    pub fn shutdown(&mut self) {
        self.raw.shutdown();
    }

    /// Ends both directions; what the transport took is still delivered, and lingers as long as
    /// that one lets it. Later calls answer [`StreamError::Closed`], once the buffer is read.
    /// Dropping the stream does the same for [`Tcp`](crate::tcp::Tcp). Of a stream
    /// [`with_output`](Self::with_output) it loses what the transport does not take at once, as
    /// Tornado's `close` does: there is [`close_gracefully`](Self::close_gracefully) for that.
    pub fn close(&mut self) {
        self.raw.close();
    }

    /// Sends what is unsent, ends the output, reads away what still comes until the peer ends its
    /// output, too, and closes. `Ok`: the peer has ended, and the stream did not die before.
    ///
    /// How long that may take is the caller's to say: `rt.timeout(span, stream.close_gracefully())`
    /// and then [`close`](Self::close), or the stream's drop. A peer need not end at all, and a
    /// UART has no end. Without an input buffer it does not wait for the peer.
    ///
    /// Cancel-safe: a dropped call may have ended the output; called again it goes on.
    ///
    /// # Errors
    /// [`StreamError::Closed`] with the error that ended the stream; it is closed all the same.
    pub async fn close_gracefully(&mut self) -> Result<(), StreamError> {
        let mut ended = self.flush().await;
        self.raw.shutdown();
        if ended.is_ok() {
            ended = match self.read_until_close_with(|_| ()).await {
                Ok(_) | Err(StreamError::BufferFull) => Ok(()),
                Err(error) => Err(error),
            };
        }
        self.raw.close();
        ended
    }

    /// Ends both directions at once; a peer over TCP sees a reset.
    pub fn abort(&mut self) {
        self.raw.abort();
    }

    /// The two directions, for a `join` or a `select` of both.
    pub fn split(&mut self) -> (Reader<'_, 'b, S>, Writer<'_, S>) {
        (Reader { raw: &self.raw, input: &mut self.input }, Writer { raw: &self.raw })
    }
}

/// The budget is used up: goes on in the next turn.
fn give_way<T>(cx: &Context<'_>) -> Poll<T> {
    cx.waker().wake_by_ref();
    Poll::Pending
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::cell::{Cell, RefCell};
    use core::future::Future;
    use core::pin::{Pin, pin};
    use core::sync::atomic::{AtomicU32, Ordering};
    use std::collections::VecDeque;
    use std::sync::Arc;
    use std::task::{Wake, Waker};
    use std::vec::Vec;
    use std::{assert, assert_eq, format, vec};

    use embedded_io_async::{BufRead, Read};

    use super::*;
    use crate::poller::Interest;
    use crate::tcp::Tcp;

    const RESET: Error = Error { kind: ErrorKind::ConnectionReset, code: 104 };

    /// A serial port: a ring in each direction, which the "interrupt" fills and drains.
    #[derive(Default)]
    struct Uart {
        rx: RefCell<VecDeque<u8>>,
        tx: RefCell<Vec<u8>>,
        /// How many bytes `tx` takes before it is full.
        tx_room: Cell<usize>,
        /// What a read says when `rx` is empty; each error once, as epoll tells it.
        end: Cell<Option<Result<(), Error>>>,
        is_closed: Cell<bool>,
        is_shut: Cell<bool>,
        /// One for each interest.
        waiters: [RefCell<Option<Waker>>; 3],
        /// Readiness that is not true.
        spurious: Cell<u32>,
        attempts: Cell<u32>,
    }

    impl Uart {
        fn holding(bytes: &[u8]) -> Self {
            let uart = Self::default();
            uart.receive(bytes);
            uart
        }

        fn wake(&self, interest: Interest) {
            if let Some(waker) = self.waiters[interest as usize].take() {
                waker.wake();
            }
        }

        /// The receive interrupt.
        fn receive(&self, bytes: &[u8]) {
            self.rx.borrow_mut().extend(bytes);
            self.wake(Interest::Read);
        }

        fn end(&self, end: Result<(), Error>) {
            self.end.set(Some(end));
            self.wake(Interest::Read);
        }

        /// The transmit interrupt.
        fn drain(&self, room: usize) {
            self.tx_room.set(room);
            self.wake(Interest::Write);
        }
    }

    impl RawStream for Uart {
        fn try_read(&self, buf: &mut [u8]) -> nb::Result<usize, Error> {
            assert!(!buf.is_empty(), "a read into nothing");
            self.attempts.set(self.attempts.get() + 1);
            let mut rx = self.rx.borrow_mut();
            let count = rx.len().min(buf.len());
            for (to, byte) in buf.iter_mut().zip(rx.drain(..count)) {
                *to = byte;
            }
            match (count, self.end.get()) {
                (0, None) => Err(nb::Error::WouldBlock),
                (0, Some(Ok(()))) => Ok(0),
                (0, Some(Err(error))) => {
                    self.end.set(Some(Ok(())));
                    Err(nb::Error::Other(error))
                }
                _ => Ok(count),
            }
        }

        fn try_write(&self, data: &[u8]) -> nb::Result<usize, Error> {
            assert!(!data.is_empty(), "a write of nothing");
            if self.is_closed.get() || self.is_shut.get() {
                return Err(nb::Error::Other(Error::new(ErrorKind::BrokenPipe)));
            }
            let count = data.len().min(self.tx_room.get());
            self.tx.borrow_mut().extend(&data[..count]);
            self.tx_room.set(self.tx_room.get() - count);
            if count == 0 { Err(nb::Error::WouldBlock) } else { Ok(count) }
        }

        fn poll_ready(&self, interest: Interest, cx: &mut Context<'_>) -> Poll<()> {
            let is_ready = match interest {
                Interest::Read => !self.rx.borrow().is_empty() || self.end.get().is_some(),
                Interest::Write => self.tx_room.get() > 0 || self.is_closed.get(),
                Interest::Gone => self.is_closed.get(),
            };
            let is_spurious = interest != Interest::Gone && self.spurious.get() > 0;
            if is_ready || is_spurious {
                self.spurious.set(self.spurious.get().saturating_sub(1));
                return Poll::Ready(());
            }
            *self.waiters[interest as usize].borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        }

        fn shutdown(&self) {
            self.is_shut.set(true);
        }

        fn close(&self) {
            self.is_closed.set(true);
            self.wake(Interest::Gone);
        }
    }

    #[derive(Default)]
    struct Counter(AtomicU32);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Counter {
        fn count(&self) -> u32 {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
        Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Runs to the end without waiting.
    fn now<F: Future>(future: F) -> F::Output {
        let polled = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(output) = polled else { panic!("it waits") };
        output
    }

    #[test]
    fn lines_come_out_whole_however_they_arrive() {
        let message = b"ab\r\n\r\nc\r\nrest";
        for split in 0..=message.len() {
            for capacity in [4, 5, 16] {
                let uart = Uart::default();
                let mut buffer = vec![0; capacity];
                let mut stream = IoStream::new(&uart, &mut buffer);
                let mut pieces = message.split_at(split);
                let mut lines = Vec::new();
                while lines.len() < 3 {
                    let mut read = stream.read_until(b"\r\n", 4);
                    let line = match poll(&mut read) {
                        Poll::Ready(line) => line.unwrap().to_vec(),
                        Poll::Pending => {
                            uart.receive(pieces.0);
                            pieces = (pieces.1, b"");
                            continue; // The read is dropped: nothing may be lost by that.
                        }
                    };
                    lines.push(line);
                }
                assert_eq!(lines, [&b"ab\r\n"[..], b"\r\n", b"c\r\n"], "{split} {capacity}");
                uart.receive(pieces.0);
                assert_eq!(now(stream.read_bytes(4)), Ok(&b"rest"[..]), "{split} {capacity}");
            }
        }
    }

    #[test]
    fn the_interrupt_wakes_the_reader_once() {
        let uart = Uart::default();
        let mut buffer = [0; 8];
        let mut stream = IoStream::new(&uart, &mut buffer);
        let counter = Arc::new(Counter::default());
        let waker = Waker::from(counter.clone());
        let mut cx = Context::from_waker(&waker);
        let mut read = stream.read_until(b"\n", 8);
        assert!(Pin::new(&mut read).poll(&mut cx).is_pending());
        assert_eq!(counter.count(), 0);
        uart.receive(b"a");
        uart.receive(b"b"); // Nobody waits now.
        assert_eq!(counter.count(), 1);
        assert!(Pin::new(&mut read).poll(&mut cx).is_pending());
        uart.receive(b"\n");
        assert_eq!(counter.count(), 2);
        assert_eq!(Pin::new(&mut read).poll(&mut cx), Poll::Ready(Ok(&b"ab\n"[..])));
    }

    #[test]
    fn reads_that_cannot_succeed_say_why_and_keep_the_bytes() {
        let until =
            |max| move |s: &mut IoStream<'_, &Uart>| now(s.read_until(b"--", max)).map(<[u8]>::len);
        let bytes = |n| move |s: &mut IoStream<'_, &Uart>| now(s.read_bytes(n)).map(<[u8]>::len);
        let rest =
            |max| move |s: &mut IoStream<'_, &Uart>| now(s.read_until_close(max)).map(<[u8]>::len);
        type Case<'c> = (
            &'c [u8],
            Option<Result<(), Error>>,
            &'c dyn Fn(&mut IoStream<'_, &Uart>) -> Result<usize, StreamError>,
            Result<usize, StreamError>,
        );
        let eof = Some(Ok(()));
        let reset = Some(Err(RESET));
        let cases: [Case<'_>; 18] = [
            (b"abc--", None, &until(5), Ok(5)),
            (b"abc--", None, &until(4), Err(StreamError::Unsatisfiable)),
            (b"--", None, &until(0), Err(StreamError::Unsatisfiable)),
            (b"abcde-", None, &until(6), Err(StreamError::Unsatisfiable)),
            (b"abcdefgh", None, &until(9), Err(StreamError::BufferFull)),
            (b"abc-", eof, &until(8), Err(StreamError::Closed(None))),
            (b"abc-", reset, &until(8), Err(StreamError::Closed(Some(RESET)))),
            (b"abc--", reset, &until(8), Ok(5)),
            (b"abcdefgh", None, &bytes(8), Ok(8)),
            (b"", None, &bytes(9), Err(StreamError::BufferFull)),
            (b"", None, &bytes(0), Ok(0)),
            (b"abc", eof, &bytes(4), Err(StreamError::Closed(None))),
            (b"abc", eof, &rest(3), Ok(3)),
            (b"abc", eof, &rest(2), Err(StreamError::Unsatisfiable)),
            (b"", eof, &rest(0), Ok(0)),
            (b"abcdefgh", eof, &rest(9), Err(StreamError::BufferFull)),
            (b"abc", reset, &rest(8), Err(StreamError::Closed(Some(RESET)))),
            (b"abc", eof, &|s| now(s.read_bytes_partial(2)).map(<[u8]>::len), Ok(2)),
        ];
        for (at, (sent, end, call, expected)) in cases.into_iter().enumerate() {
            let uart = Uart::holding(sent);
            uart.end.set(end);
            let mut buffer = [0; 8];
            let mut stream = IoStream::new(&uart, &mut buffer);
            assert_eq!(call(&mut stream), expected, "case {at}");
            if let Err(error) = expected {
                // The same again: nothing was used up, and an error is not forgotten.
                assert_eq!(call(&mut stream), Err(error), "case {at} again");
                let left = [stream.buffered(), uart.rx.borrow_mut().make_contiguous()].concat();
                assert_eq!(left, sent, "case {at}");
            }
        }
    }

    #[test]
    fn a_read_into_ones_own_memory_goes_on_where_it_stopped() {
        let uart = Uart::holding(b"abcd");
        let mut buffer = [0; 4];
        let mut stream = IoStream::new(&uart, &mut buffer);
        assert_eq!(now(stream.read_bytes(1)), Ok(&b"a"[..]));
        let mut into = [0; 10];
        let mut read = stream.read_into(&mut into);
        assert!(poll(&mut read).is_pending());
        assert_eq!(read.filled(), 3);
        uart.receive(b"efghijklm");
        assert_eq!(poll(&mut read), Poll::Ready(Ok(10)));
        assert_eq!(&into, b"bcdefghijk");
        assert_eq!(now(stream.read_into_partial(&mut into)), Ok(2));
        assert_eq!(&into[..2], b"lm");
        assert_eq!(now(stream.read_into_partial(&mut [])), Ok(0));
        uart.end(Ok(()));
        assert_eq!(now(stream.read_into_partial(&mut into)), Ok(0));
        assert_eq!(now(stream.read_into(&mut into)), Err(StreamError::Closed(None)));
    }

    #[test]
    fn the_rest_is_handed_over_piece_by_piece() {
        for end in [Ok(()), Err(RESET)] {
            let uart = Uart::holding(b"abcdefghij");
            let mut buffer = [0; 4];
            let mut stream = IoStream::new(&uart, &mut buffer);
            let mut seen = Vec::new();
            let mut read = stream.read_until_close_with(|piece| seen.extend_from_slice(piece));
            assert!(poll(&mut read).is_pending());
            uart.receive(b"kl");
            uart.end(end);
            let expected = end.map(|()| 12).map_err(|error| StreamError::Closed(Some(error)));
            assert_eq!(poll(&mut read), Poll::Ready(expected));
            assert_eq!(seen, b"abcdefghijkl");
        }
        let mut without = IoStream::new(Uart::holding(b"a"), &mut []);
        assert_eq!(now(without.read_until_close_with(|_| ())), Err(StreamError::BufferFull));
        assert_eq!(now(without.read_until(b"\n", 9)), Err(StreamError::BufferFull));
    }

    #[test]
    fn a_write_waits_for_room_and_goes_on_where_it_stopped() {
        let uart = Uart::default();
        let mut buffer = [0; 4];
        let mut stream = IoStream::new(&uart, &mut buffer);
        let mut write = stream.write(b"hello world");
        assert!(poll(&mut write).is_pending());
        uart.drain(6);
        assert!(poll(&mut write).is_pending());
        assert_eq!(write.written(), 6);
        uart.drain(6);
        assert_eq!(poll(&mut write), Poll::Ready(Ok(())));
        assert_eq!(*uart.tx.borrow(), b"hello world");
        assert_eq!(now(stream.write(b"")), Ok(()));
        assert_eq!(now(stream.flush()), Ok(()));
        stream.shutdown();
        let broken = Err(StreamError::Closed(Some(Error::new(ErrorKind::BrokenPipe))));
        assert_eq!(now(stream.write(b"x")), broken);
        uart.receive(b"still");
        assert_eq!(now(stream.read_bytes(4)), Ok(&b"stil"[..]));
    }

    #[test]
    fn one_half_reads_while_the_other_writes() {
        let uart = Uart::default();
        let mut buffer = [0; 4];
        let mut stream = IoStream::new(&uart, &mut buffer);
        let (mut reader, mut writer) = stream.split();
        let mut read = reader.read_bytes(2);
        let mut write = writer.write(b"out");
        assert!(poll(&mut read).is_pending() && poll(&mut write).is_pending());
        uart.receive(b"i");
        uart.drain(9);
        assert!(poll(&mut read).is_pending());
        assert_eq!(poll(&mut write), Poll::Ready(Ok(())));
        let mut closed = writer.closed();
        assert!(poll(&mut closed).is_pending());
        uart.receive(b"n+");
        assert_eq!(poll(&mut read), Poll::Ready(Ok(&b"in"[..])));
        stream.close();
        now(stream.closed());
        assert_eq!(now(stream.read_bytes(1)), Ok(&b"+"[..]));
    }

    #[test]
    fn nobody_is_starved_by_an_endless_sender_or_by_spurious_events() {
        struct Endless;
        impl RawStream for Endless {
            fn try_read(&self, buf: &mut [u8]) -> nb::Result<usize, Error> {
                buf.fill(b'x');
                Ok(buf.len())
            }
            fn try_write(&self, _: &[u8]) -> nb::Result<usize, Error> {
                Ok(1)
            }
            fn poll_ready(&self, _: Interest, _: &mut Context<'_>) -> Poll<()> {
                Poll::Ready(())
            }
            fn shutdown(&self) {}
            fn close(&self) {}
        }
        let counter = Arc::new(Counter::default());
        let waker = Waker::from(counter.clone());
        let mut cx = Context::from_waker(&waker);
        let (mut total, mut buffer) = (0, [0; 4]);
        let mut stream = IoStream::new(Endless, &mut buffer);
        let mut read = stream.read_until_close_with(|piece| total += piece.len());
        assert!(Pin::new(&mut read).poll(&mut cx).is_pending());
        assert_eq!((total, counter.count()), (15 * 4, 1), "and woken to go on");
        let mut write = stream.write(&[0; 100]);
        assert!(Pin::new(&mut write).poll(&mut cx).is_pending());
        assert_eq!((write.written(), counter.count()), (16, 2));

        let uart = Uart::default();
        uart.spurious.set(100);
        let mut stream = IoStream::new(&uart, &mut buffer);
        assert!(Pin::new(&mut stream.read_bytes(1)).poll(&mut cx).is_pending());
        assert_eq!((uart.attempts.get(), counter.count()), (4, 3));
        uart.receive(b"a");
        assert_eq!(now(stream.read_bytes(1)), Ok(&b"a"[..]));
    }

    #[test]
    fn a_detached_stream_keeps_what_it_received() {
        let mut buffer = [0; 8];
        let mut stream = IoStream::new(Uart::holding(b"head\nbody"), &mut buffer);
        assert_eq!(now(stream.read_until(b"\n", 8)), Ok(&b"head\n"[..]));
        let parts = stream.detach();
        assert_eq!(parts.buffer.get(parts.unread.clone()), Some(&b"bod"[..]));
        let mut stream = IoStream::from_parts(parts);
        assert_eq!(now(stream.read_bytes(4)), Ok(&b"body"[..]));
    }

    #[test]
    fn it_speaks_embedded_io() {
        async fn copy<T: Read + BufRead + embedded_io_async::Write>(io: &mut T) -> usize {
            let first = io.fill_buf().await.unwrap().first().copied();
            assert_eq!(first, Some(b'a'));
            assert_eq!(io.fill_buf().await.unwrap().len(), 4, "it was only looked at");
            io.consume(1);
            let mut three = [0; 3];
            io.read_exact(&mut three).await.unwrap();
            io.write_all(&three).await.unwrap();
            io.flush().await.unwrap();
            assert_eq!(io.fill_buf().await.unwrap(), b"e");
            io.consume(9);
            assert_eq!(io.write(b"").await.unwrap(), 0);
            assert_eq!(io.fill_buf().await.unwrap(), b"", "the end");
            io.read(&mut three).await.unwrap()
        }
        let uart = Uart::holding(b"abcde");
        uart.end(Ok(()));
        uart.drain(9);
        let mut buffer = [0; 4];
        assert_eq!(now(copy(&mut IoStream::new(&uart, &mut buffer))), 0);
        assert_eq!(*uart.tx.borrow(), b"bcd");
        let errors = [StreamError::Closed(None), StreamError::Closed(Some(RESET))];
        assert_eq!(
            errors.map(|error| format!("{error}")),
            ["the stream is closed", "the stream is closed: connection reset (os error 104)"]
        );
    }

    #[test]
    fn streams_and_their_futures_stay_small() {
        let word = size_of::<usize>();
        assert!(size_of::<IoStream<'_, Tcp<'_>>>() <= 9 * word);
        assert!(size_of::<ReadSlice<'_, '_, Tcp<'_>>>() <= 7 * word);
        assert!(size_of::<ReadInto<'_, '_, Tcp<'_>>>() <= 6 * word);
        assert!(
            size_of::<ReadUntilWith<'_, '_, Tcp<'_>, fn(&[u8]) -> Option<usize>>>() <= 5 * word
        );
        assert!(size_of::<Write<'_, Tcp<'_>>>() <= 4 * word);
        assert!(size_of::<WriteVectored<'_, Tcp<'_>>>() <= 5 * word);
        assert!(size_of::<Buffered<'_, Tcp<'_>>>() <= size_of::<Tcp<'_>>() + 8 * word);
        assert!(size_of::<Closed<'_, Tcp<'_>>>() <= word);
    }
}
