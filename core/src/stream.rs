//! Streams of bytes: what a connection, a serial port or a pipe offers ([`RawStream`]), and the
//! reads and writes that programs want of it ([`IoStream`]). Tornado: `tornado.iostream`.
//!
//! Invariants:
//! - A read *lends*: it answers with a slice of the stream's own buffer, and the bytes leave the
//!   buffer only when the call returns them. A read that is dropped before took nothing.
//! - What came before an end of input or an error is read before the end is told.
//! - Nothing is buffered on the way out: [`write`](IoStream::write) is done when the transport has
//!   taken every byte.
//! - No call has a deadline of its own: put it into [`Handle::timeout`](crate::handle::Handle).
//!
//! Capacity: the buffer that was passed in. Full: [`StreamError::BufferFull`].
//!
//! Layer: stands on the poller's words (`Interest`, `Error`) alone; [`tcp`](crate::tcp) gives it
//! connections, and drivers of boards give it UARTs.
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

use core::fmt;
use core::future::{Future, poll_fn};
use core::ops::Range;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use embedded_io::ErrorKind;

use self::read::{Ended, Input, Want};
pub use self::read::{ReadInto, ReadRest, ReadSlice};
use crate::poller::{Error, Interest};

mod read;

/// Reads or writes of one call that go ahead without giving way to others: 16.
const STEPS_PER_POLL_MAX: u32 = 16;

/// Attempts after readiness that turned out spurious, before others have their turn: 4.
const ATTEMPTS_PER_POLL_MAX: u32 = 4;

/// A stream of bytes in both directions that never waits by itself: a connection
/// ([`Tcp`](crate::tcp::Tcp)), a UART whose interrupt fills a ring, a pipe.
///
/// Calls take `&self`, so that one task can read while another writes; what changes lies behind
/// cells, on one thread, or in the ring that the interrupt shares.
pub trait RawStream {
    /// Reads up to `buf.len()` bytes; `Ok(0)` is the end of input (`buf` is never empty).
    ///
    /// # Errors
    /// The stream is dead, or [`close`](Self::close) was called.
    fn try_read(&self, buf: &mut [u8]) -> nb::Result<usize, Error>;

    /// Writes a prefix of `data` and returns its length, at least 1 (`data` is never empty).
    ///
    /// # Errors
    /// The stream is dead, or was closed or shut down.
    fn try_write(&self, data: &[u8]) -> nb::Result<usize, Error>;

    /// Waits until an attempt may make progress: a spurious "ready" is legal, a missing one is a
    /// bug. [`Interest::Gone`] waits until the stream is dead or closed, and only that ends it.
    /// There is one waiter for each interest: a second one replaces the first.
    fn poll_ready(&self, interest: Interest, cx: &mut Context<'_>) -> Poll<()>;

    /// Waits until what was written is on its way; at once, unless the stream says otherwise.
    ///
    /// # Errors
    /// The stream is dead.
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let _ = cx;
        Poll::Ready(Ok(()))
    }

    /// Ends the output after what was written; reading goes on. Nothing where there is no such end.
    fn shutdown(&self);

    /// Ends both directions; what was written is still delivered. Once more does nothing.
    fn close(&self);

    /// Ends both directions at once; what was written may be lost.
    fn abort(&self) {
        self.close();
    }
}

impl<S: RawStream + ?Sized> RawStream for &S {
    fn try_read(&self, buf: &mut [u8]) -> nb::Result<usize, Error> {
        (**self).try_read(buf)
    }
    fn try_write(&self, data: &[u8]) -> nb::Result<usize, Error> {
        (**self).try_write(data)
    }
    fn poll_ready(&self, interest: Interest, cx: &mut Context<'_>) -> Poll<()> {
        (**self).poll_ready(interest, cx)
    }
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        (**self).poll_flush(cx)
    }
    fn shutdown(&self) {
        (**self).shutdown();
    }
    fn close(&self) {
        (**self).close();
    }
    fn abort(&self) {
        (**self).abort();
    }
}

/// Why a read or write of an [`IoStream`] did not succeed. No read loses bytes by any of these:
/// [`IoStream::buffered`] still has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError {
    /// The stream ended before the call had what it waits for: by the peer's end of output, or by
    /// this error. Tornado: `StreamClosedError` and its `real_error`.
    Closed(Option<Error>),
    /// What was asked for does not lie within the caller's bound. Tornado:
    /// `UnsatisfiableReadError`; but the stream stays open here.
    Unsatisfiable,
    /// What was asked for does not fit into the stream's buffer. Tornado: `StreamBufferFullError`.
    BufferFull,
}

impl StreamError {
    /// The failure in the words of `embedded-io`.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Closed(Some(error)) => error.kind,
            Self::Closed(None) => ErrorKind::NotConnected,
            Self::Unsatisfiable => ErrorKind::InvalidData,
            Self::BufferFull => ErrorKind::OutOfMemory,
        }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(None) => f.write_str("the stream is closed"),
            Self::Closed(Some(error)) => write!(f, "the stream is closed: {error}"),
            Self::Unsatisfiable => f.write_str("the bound was reached before the delimiter"),
            Self::BufferFull => f.write_str("the stream's buffer is full"),
        }
    }
}

impl core::error::Error for StreamError {}

impl embedded_io::Error for StreamError {
    fn kind(&self) -> ErrorKind {
        self.kind()
    }
}

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
        Self { raw, input: Input { buffer, start: 0, end: 0, ended: Ended::Not } }
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
        Write { raw: &self.raw, data, written: 0 }
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

    /// Ends the output after what was written; reading goes on.
    pub fn shutdown(&mut self) {
        self.raw.shutdown();
    }

    /// Ends both directions; what was written is still delivered. Later calls answer
    /// [`StreamError::Closed`], once the buffer is read. Dropping the stream does the same for
    /// [`Tcp`](crate::tcp::Tcp).
    pub fn close(&mut self) {
        self.raw.close();
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

/// The reading half of an [`IoStream`]; its calls are that one's.
pub struct Reader<'s, 'b, S> {
    raw: &'s S,
    input: &'s mut Input<'b>,
}

impl<'b, S: RawStream> Reader<'_, 'b, S> {
    /// The bytes that were received and not read.
    pub fn buffered(&self) -> &[u8] {
        self.input.held()
    }

    /// See [`IoStream::read_until`]. Cancel-safe: as there.
    pub fn read_until<'r>(&'r mut self, delimiter: &'r [u8], max: usize) -> ReadSlice<'r, 'b, S> {
        ReadSlice::new(self.raw, self.input, Want::Until { delimiter, max, searched: 0 })
    }

    /// See [`IoStream::read_bytes`]. Cancel-safe: as there.
    pub fn read_bytes(&mut self, count: usize) -> ReadSlice<'_, 'b, S> {
        ReadSlice::new(self.raw, self.input, Want::Exactly(count))
    }

    /// See [`IoStream::read_bytes_partial`]. Cancel-safe: as there.
    pub fn read_bytes_partial(&mut self, max: usize) -> ReadSlice<'_, 'b, S> {
        ReadSlice::new(self.raw, self.input, Want::Some(max))
    }

    /// See [`IoStream::read_into`]. Cancel-safe: as there.
    pub fn read_into<'r>(&'r mut self, into: &'r mut [u8]) -> ReadInto<'r, 'b, S> {
        ReadInto::new(self.raw, self.input, into, false)
    }

    /// See [`IoStream::read_into_partial`]. Cancel-safe: as there.
    pub fn read_into_partial<'r>(&'r mut self, into: &'r mut [u8]) -> ReadInto<'r, 'b, S> {
        ReadInto::new(self.raw, self.input, into, true)
    }

    /// See [`IoStream::read_until_close`]. Cancel-safe: as there.
    pub fn read_until_close(&mut self, max: usize) -> ReadSlice<'_, 'b, S> {
        ReadSlice::new(self.raw, self.input, Want::Rest(max))
    }

    /// See [`IoStream::read_until_close_with`]. Cancel-safe: as there.
    pub fn read_until_close_with<F>(&mut self, sink: F) -> ReadRest<'_, 'b, S, F>
    where
        F: FnMut(&[u8]),
    {
        ReadRest::new(self.raw, self.input, sink)
    }
}

/// The writing half of an [`IoStream`]; its calls are that one's.
pub struct Writer<'s, S> {
    raw: &'s S,
}

impl<S: RawStream> Writer<'_, S> {
    /// See [`IoStream::write`]. Cancel-safe: as there.
    pub fn write<'w>(&'w mut self, data: &'w [u8]) -> Write<'w, S> {
        Write { raw: self.raw, data, written: 0 }
    }

    /// See [`IoStream::flush`]. Cancel-safe: as there.
    pub fn flush(&mut self) -> Flush<'_, S> {
        Flush { raw: self.raw }
    }

    /// See [`IoStream::closed`]. Cancel-safe: as there.
    pub fn closed(&self) -> Closed<'_, S> {
        Closed { raw: self.raw }
    }

    /// See [`IoStream::shutdown`].
    pub fn shutdown(&mut self) {
        self.raw.shutdown();
    }

    /// See [`IoStream::close`].
    pub fn close(&mut self) {
        self.raw.close();
    }
}

/// A write of everything; see [`IoStream::write`].
#[must_use = "a write does nothing unless it is awaited"]
pub struct Write<'s, S> {
    raw: &'s S,
    data: &'s [u8],
    written: usize,
}

impl<S> Write<'_, S> {
    /// How many bytes the transport has taken so far.
    pub const fn written(&self) -> usize {
        self.written
    }
}

impl<S: RawStream> Future for Write<'_, S> {
    type Output = Result<(), StreamError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        for _ in 0..STEPS_PER_POLL_MAX {
            // `written` sums up what was taken of `data`, so there is such a rest.
            let rest = self.data.get(self.written..).unwrap_or_default();
            if rest.is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.written += ready!(poll_write(self.raw, rest, cx))?;
        }
        give_way(cx)
    }
}

/// Waits for the transport; see [`IoStream::flush`].
#[must_use = "a flush does nothing unless it is awaited"]
pub struct Flush<'s, S> {
    raw: &'s S,
}

impl<S: RawStream> Future for Flush<'_, S> {
    type Output = Result<(), StreamError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.raw.poll_flush(cx).map_err(|error| StreamError::Closed(Some(error)))
    }
}

/// Waits for the peer's death; see [`IoStream::closed`].
#[must_use = "waiting does nothing unless it is awaited"]
pub struct Closed<'s, S> {
    raw: &'s S,
}

impl<S: RawStream> Future for Closed<'_, S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.raw.poll_ready(Interest::Gone, cx)
    }
}

impl<S: RawStream> embedded_io::ErrorType for IoStream<'_, S> {
    type Error = StreamError;
}

/// Cancel-safe. Large reads bypass the buffer.
impl<S: RawStream> embedded_io_async::Read for IoStream<'_, S> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, StreamError> {
        self.read_into_partial(buf).await
    }
}

/// Cancel-safe: a dropped `fill_buf` leaves what arrived in the buffer.
impl<S: RawStream> embedded_io_async::BufRead for IoStream<'_, S> {
    async fn fill_buf(&mut self) -> Result<&[u8], StreamError> {
        ReadSlice::new(&self.raw, &mut self.input, Want::Peek).await
    }

    fn consume(&mut self, amt: usize) {
        let held = self.input.held().len();
        self.input.lend(amt.min(held), true);
    }
}

/// `write` is cancel-safe and may take a part; `write_all` is not.
impl<S: RawStream> embedded_io_async::Write for IoStream<'_, S> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, StreamError> {
        if buf.is_empty() {
            return Ok(0);
        }
        poll_fn(|cx| poll_write(&self.raw, buf, cx)).await
    }

    async fn flush(&mut self) -> Result<(), StreamError> {
        Self::flush(self).await
    }
}

fn poll_write<S: RawStream>(
    raw: &S,
    data: &[u8],
    cx: &mut Context<'_>,
) -> Poll<Result<usize, StreamError>> {
    for _ in 0..ATTEMPTS_PER_POLL_MAX {
        ready!(raw.poll_ready(Interest::Write, cx));
        match raw.try_write(data) {
            Ok(count) => return Poll::Ready(Ok(count)),
            Err(nb::Error::Other(error)) => {
                return Poll::Ready(Err(StreamError::Closed(Some(error))));
            }
            Err(nb::Error::WouldBlock) => {}
        }
    }
    give_way(cx)
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
    use core::pin::pin;
    use core::sync::atomic::{AtomicU32, Ordering};
    use std::collections::VecDeque;
    use std::sync::Arc;
    use std::task::{Wake, Waker};
    use std::vec::Vec;
    use std::{assert, assert_eq, format, vec};

    use embedded_io_async::{BufRead, Read};

    use super::*;
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
        assert!(size_of::<Write<'_, Tcp<'_>>>() <= 4 * word);
        assert!(size_of::<Closed<'_, Tcp<'_>>>() <= word);
    }
}
