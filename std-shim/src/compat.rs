//! [`Compat`]: a stream in the words of `futures-io` and of tokio, for libraries that speak those.
//!
//! Invariants: no copy and no buffer besides the stream's own; a wait stores the library's waker in
//! the reactor, so the library's futures run as part of a task of that reactor, without the other
//! runtime.
//!
//! The other direction, a stream of those as a `RawStream`, is not here: their traits have no
//! readiness to ask for, and what comes from them needs a second event loop.
//!
//! Layer: stands on `dustdevil_core::stream`. Features `futures-io`, `tokio`.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use dustdevil_core::embedded_io;
use dustdevil_core::stream::{IoStream, RawStream, StreamError};
use embedded_io_async::BufRead;

/// A stream of the reactor as `AsyncRead`, `AsyncBufRead` and `AsyncWrite`, both of `futures-io`
/// and of tokio, each with its feature.
///
/// `close` and `shutdown` send what is unsent and end the output, as those of a TCP stream do
/// there; reading goes on. Dropping it closes the stream.
///
/// ```
/// # #[cfg(feature = "tokio")] {
/// # use dustdevil_core::reactor::{Capacity, Reactor};
/// # use dustdevil_core::tcp::TcpClient;
/// # use dustdevil_core::time::Duration;
/// # use dustdevil_core::wake::Wakes;
/// # use dustdevil_std::{Epoll, zeroed};
/// # use std::io::Write;
/// use dustdevil_core::stream::IoStream;
/// use dustdevil_std::compat::Compat;
/// use tokio::io::AsyncBufReadExt;
///
/// # const CAPACITY: Capacity =
/// #     Capacity { sources: 0, timers: 1, groups: 0, tasks: 1, waiters: 0 }.plus_streams(1);
/// # static WAKES: Wakes<1> = Wakes::new();
/// # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
/// # let at = listener.local_addr().unwrap();
/// # let peer = std::thread::spawn(move || {
/// #     listener.accept().unwrap().0.write_all(b"one\ntwo\n").unwrap();
/// # });
/// # let mut tables = zeroed(CAPACITY.bytes());
/// # let reactor = Reactor::new(Epoll::new().unwrap(), tables.block(), CAPACITY, &WAKES);
/// # reactor.run_sync(Duration::from_secs(20), async {
/// # let tcp = TcpClient::new(&reactor).connect(at).await.unwrap();
/// let mut buffer = [0; 64];
/// let mut lines = Compat::from(IoStream::new(tcp, &mut buffer)).lines();
/// assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("one"));
/// assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("two"));
/// assert_eq!(lines.next_line().await.unwrap(), None);
/// # }).unwrap();
/// # peer.join().unwrap();
/// # }
/// ```
///
/// What is always ready gives way to others after [`CALLS_IN_ROW_MAX`] calls.
pub struct Compat<'b, S> {
    stream: IoStream<'b, S>,
    /// Calls since one last had to wait.
    in_row: u32,
}

/// Reads and writes of a [`Compat`] in a row before others have their turn: 64.
pub const CALLS_IN_ROW_MAX: u32 = 64;

impl<S: RawStream> Compat<'_, S> {
    /// Any raw stream, without a buffer: as `AsyncBufRead` it answers
    /// [`ErrorKind::OutOfMemory`](io::ErrorKind).
    pub const fn new(raw: S) -> Self {
        Self { stream: IoStream::new(raw, &mut []), in_row: 0 }
    }
}

impl<'b, S> From<IoStream<'b, S>> for Compat<'b, S> {
    fn from(stream: IoStream<'b, S>) -> Self {
        Self { stream, in_row: 0 }
    }
}

impl<'b, S: RawStream> Compat<'b, S> {
    /// The stream again, with what was received and not read.
    pub fn into_inner(self) -> IoStream<'b, S> {
        self.stream
    }

    /// Ready while this call may go ahead. The traits' callers loop over calls that are ready, and
    /// would let nobody else run for as long as the peer keeps up.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.in_row += 1;
        if self.in_row <= CALLS_IN_ROW_MAX {
            return Poll::Ready(());
        }
        self.in_row = 0;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// A call that waits ends the row.
    fn counted<T>(&mut self, polled: Poll<T>) -> Poll<T> {
        if polled.is_pending() {
            self.in_row = 0;
        }
        polled
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_turn(cx));
        let polled = pin!(self.stream.read_into_partial(buf)).poll(cx).map_err(io_error);
        self.counted(polled)
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        // What is there already moves nothing.
        if self.stream.buffered().is_empty() {
            ready!(self.poll_turn(cx));
        }
        let polled = pin!(self.stream.fill_buf()).poll(cx).map_ok(|_| ()).map_err(io_error);
        ready!(self.counted(polled))?;
        Poll::Ready(Ok(self.stream.buffered()))
    }

    fn consume(&mut self, count: usize) {
        self.stream.consume(count);
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_turn(cx));
        let mut write = self.stream.write(data);
        let polled = Pin::new(&mut write).poll(cx);
        // What was taken is told; whatever stands in the way is met again by the next call.
        match (write.written(), polled) {
            (0, Poll::Pending) => self.counted(Poll::Pending),
            (0, Poll::Ready(Err(error))) => Poll::Ready(Err(io_error(error))),
            (written, _) => Poll::Ready(Ok(written)),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(self.stream.flush()).poll(cx).map_err(io_error)
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        self.stream.shutdown();
        Poll::Ready(Ok(()))
    }
}

#[cfg(feature = "futures-io")]
impl<S: RawStream + Unpin> futures_io::AsyncRead for Compat<'_, S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_read(cx, buf)
    }
}

#[cfg(feature = "futures-io")]
impl<S: RawStream + Unpin> futures_io::AsyncBufRead for Compat<'_, S> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.get_mut().poll_fill(cx)
    }

    fn consume(self: Pin<&mut Self>, amt: usize) {
        self.get_mut().consume(amt);
    }
}

#[cfg(feature = "futures-io")]
impl<S: RawStream + Unpin> futures_io::AsyncWrite for Compat<'_, S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_end(cx)
    }
}

#[cfg(feature = "tokio")]
impl<S: RawStream + Unpin> tokio::io::AsyncRead for Compat<'_, S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = ready!(self.get_mut().poll_read(cx, buf.initialize_unfilled()))?;
        buf.advance(count);
        Poll::Ready(Ok(()))
    }
}

#[cfg(feature = "tokio")]
impl<S: RawStream + Unpin> tokio::io::AsyncBufRead for Compat<'_, S> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.get_mut().poll_fill(cx)
    }

    fn consume(self: Pin<&mut Self>, amt: usize) {
        self.get_mut().consume(amt);
    }
}

#[cfg(feature = "tokio")]
impl<S: RawStream + Unpin> tokio::io::AsyncWrite for Compat<'_, S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_end(cx)
    }
}

/// The system's own error where there was one.
fn io_error(error: StreamError) -> io::Error {
    use embedded_io::ErrorKind as Kind;
    match error {
        StreamError::Closed(Some(cause)) if cause.code != 0 => {
            return io::Error::from_raw_os_error(cause.code);
        }
        _ => {}
    }
    let kind = match error.kind() {
        Kind::ConnectionReset => ErrorKind::ConnectionReset,
        Kind::ConnectionAborted => ErrorKind::ConnectionAborted,
        Kind::NotConnected => ErrorKind::NotConnected,
        Kind::BrokenPipe => ErrorKind::BrokenPipe,
        Kind::TimedOut => ErrorKind::TimedOut,
        Kind::InvalidData => ErrorKind::InvalidData,
        Kind::OutOfMemory => ErrorKind::OutOfMemory,
        _ => ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use dustdevil_core::poller::Error;
    use dustdevil_core::reactor::{Capacity, Reactor};
    use dustdevil_core::tcp::{Tcp, TcpClient};
    use dustdevil_core::time::Duration;
    use dustdevil_core::wake::Wakes;

    use super::*;
    use crate::{Epoll, zeroed};

    const CAPACITY: Capacity =
        Capacity { sources: 0, timers: 1, groups: 0, tasks: 1, waiters: 0 }.plus_streams(1);

    /// More than sockets hold.
    const BYTES: usize = 8 << 20;

    /// What `talk` does with a connection to a peer that sends `greeting` and an end, and then
    /// reads: all that it has read.
    fn with_peer(greeting: Vec<u8>, talk: impl AsyncFnOnce(Tcp<'_>)) -> Vec<u8> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let peer = thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut writer = peer.try_clone().unwrap();
            let sending = thread::spawn(move || {
                // It may be that nobody reads it.
                let _ = writer.write_all(&greeting);
                let _ = writer.shutdown(std::net::Shutdown::Write);
            });
            let mut all = Vec::new();
            peer.read_to_end(&mut all).unwrap();
            sending.join().unwrap();
            all
        });
        let mut tables = zeroed(CAPACITY.bytes());
        let wakes: &'static Wakes<1> = Box::leak(Box::new(Wakes::new()));
        let reactor = Reactor::new(Epoll::new().unwrap(), tables.block(), CAPACITY, wakes);
        let talk = async {
            let tcp = TcpClient::new(&reactor).connect(at).await.unwrap();
            talk(tcp).await;
        };
        reactor.run_sync(Duration::from_secs(60), talk).expect("in time");
        drop(reactor);
        peer.join().unwrap()
    }

    fn noise(count: usize) -> Vec<u8> {
        (0..count).map(|number| (number * 7 + number / 251) as u8).collect()
    }

    #[cfg(feature = "futures-io")]
    #[test]
    fn futures_util_copies_and_reads_lines() {
        use futures_util::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, copy};
        let data = noise(BYTES);
        let received = with_peer(b"one\ntwo\nrest".to_vec(), async |tcp| {
            let mut buffer = [0; 16];
            let mut io = Compat::from(IoStream::new(tcp, &mut buffer));
            let mut line = String::new();
            assert_eq!(io.read_line(&mut line).await.unwrap(), 4);
            assert_eq!(io.read_line(&mut line).await.unwrap(), 4);
            assert_eq!(line, "one\ntwo\n");
            assert_eq!(copy(&data[..], &mut io).await.unwrap(), BYTES as u64);
            io.close().await.unwrap();
            let mut rest = Vec::new();
            io.read_to_end(&mut rest).await.unwrap();
            assert_eq!(rest, b"rest");
            let refused = io.write_all(b"x").await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::BrokenPipe);
            assert!(io.into_inner().buffered().is_empty());
        });
        assert!(received == data, "{} bytes", received.len());
    }

    #[cfg(feature = "tokio")]
    #[test]
    fn tokio_copies_and_reads_lines() {
        use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, copy};
        let data = noise(BYTES);
        let sent = noise(BYTES);
        let received = with_peer(sent.clone(), async |tcp| {
            // Raw, without a buffer.
            let mut io = Compat::new(tcp);
            let unbuffered = io.fill_buf().await.unwrap_err();
            assert_eq!(unbuffered.kind(), ErrorKind::OutOfMemory);
            assert_eq!(copy(&mut &data[..], &mut io).await.unwrap(), BYTES as u64);
            io.shutdown().await.unwrap();
            let mut all = Vec::new();
            io.read_to_end(&mut all).await.unwrap();
            assert!(all == sent, "{} bytes", all.len());
        });
        assert!(received == data, "{} bytes", received.len());
        let received = with_peer(b"one\ntwo".to_vec(), async |tcp| {
            let (mut input, mut output) = ([0; 16], [0; 16]);
            let stream = IoStream::with_output(tcp, &mut input, &mut output);
            let mut io = Compat::from(stream);
            io.write_all(b"through the output buffer").await.unwrap();
            io.flush().await.unwrap();
            let mut lines = io.lines();
            assert_eq!(lines.next_line().await.unwrap().unwrap(), "one");
            assert_eq!(lines.next_line().await.unwrap().unwrap(), "two");
            assert!(lines.next_line().await.unwrap().is_none());
        });
        assert_eq!(received, b"through the output buffer");
    }

    #[test]
    fn errors_are_the_systems_own() {
        let reset = Error { kind: embedded_io::ErrorKind::ConnectionReset, code: 104 };
        let cases = [
            (StreamError::Closed(Some(reset)), ErrorKind::ConnectionReset, Some(104)),
            (StreamError::Closed(Some(Error::STALE)), ErrorKind::NotConnected, None),
            (StreamError::Closed(None), ErrorKind::NotConnected, None),
            (StreamError::Unsatisfiable, ErrorKind::InvalidData, None),
            (StreamError::BufferFull, ErrorKind::OutOfMemory, None),
        ];
        for (error, kind, code) in cases {
            let error = io_error(error);
            assert_eq!((error.kind(), error.raw_os_error()), (kind, code));
        }
    }
}
