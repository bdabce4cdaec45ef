//! [`RawStream`]: the seam between bytes that come and go and the reads and writes of programs.
//!
//! Invariants: none of its own; it is the contract, and whoever implements it keeps it.
//!
//! Layer: stands on the poller's words (`Interest`, `Error`) alone; part of [`stream`](super).

use core::task::{Context, Poll};

use crate::poller::{Error, Interest};

/// A stream of bytes in both directions that never waits by itself: a connection
/// ([`Tcp`](crate::tcp::Tcp)), a unix socket, a pipe, a terminal, a UART whose interrupt fills a
/// ring. Tornado: the hooks `read_from_fd`, `write_to_fd`, `close_fd` and `get_fd_error` of
/// `BaseIOStream`.
///
/// # The contract
///
/// **Attempts.** [`try_read`](Self::try_read) and [`try_write`](Self::try_write) do at once what
/// can be done at once, or answer [`nb::Error::WouldBlock`] and have done nothing. They may be
/// called at any time, whether or not anything said "ready". They move bytes in order, and each
/// byte once: what an attempt took is taken, even if nobody looks at the stream again.
///
/// **Shared by reference.** Calls take `&self`, so that one task can read while another writes.
/// What changes lies behind cells, on one thread, or in the ring that an interrupt shares; an
/// interrupt touches nothing else, and ends a wait through a waker of the reactor alone.
///
/// **Readiness.** [`poll_ready`](Self::poll_ready) answers "ready" whenever an attempt may make
/// progress, the progress of failing included. Spurious is legal, missing is a bug: it stores the
/// waker *before* it looks (or with the interrupt masked), or something that comes in between is
/// never told. After `WouldBlock` it must not say "ready" forever without a reason, for its user
/// would spin; four vain attempts in a row are the most that an [`IoStream`](super::IoStream) makes
/// before it lets others run. There is one waiter for each [`Interest`]: a second one replaces the
/// first, which is then not woken. A waiter that goes away need not say so.
///
/// **Ends.** `Ok(0)` of a read is the end of input, and stays it. An error of a read may be told
/// once; its user remembers it. Both come *behind* every byte that arrived before. The end of input
/// does not end the output. A stream without an end, such as a UART, never answers `Ok(0)`.
///
/// **Dead.** Reset, unplugged, or closed by [`close`](Self::close) or [`abort`](Self::abort): then
/// every interest is ready, and [`Interest::Gone`] only then. Reads give what arrived before, where
/// that is still there, and then the error; writes fail ([`ErrorKind`](embedded_io::ErrorKind):
/// `BrokenPipe` after an end that one made oneself, `NotConnected` after `close`, else the
/// transport's).
///
/// **Closing** is in three steps that only go forward: [`shutdown`](Self::shutdown) ends the output
/// *behind* what was written; [`close`](Self::close) ends the input, too, and what was written is
/// still delivered as far as the world lets it; [`abort`](Self::abort) is at once. Each may be
/// called again, and then does nothing. Dropping the value does what `close` does where the stream
/// owns its resource.
///
/// **Who polls.** Nobody but the calls that are under way. A stream that holds bytes back
/// ([`unsent`](Self::unsent)) sends them on whenever any interest is polled, not for `Write` alone.
///
/// The trait can be made into an object: `&dyn RawStream` is a `RawStream`.
///
/// ```
/// use core::cell::Cell;
/// use core::task::{Context, Poll};
/// use dustdevil_core::poller::{Error, Interest};
/// use dustdevil_core::stream::{IoStream, RawStream, attempt};
///
/// /// What is written comes back, one byte at a time.
/// struct Loop(Cell<Option<u8>>);
///
/// impl RawStream for Loop {
///     fn try_read(&self, buf: &mut [u8]) -> nb::Result<usize, Error> {
///         buf[0] = self.0.take().ok_or(nb::Error::WouldBlock)?;
///         Ok(1)
///     }
///     fn try_write(&self, data: &[u8]) -> nb::Result<usize, Error> {
///         match self.0.get() {
///             Some(_) => Err(nb::Error::WouldBlock),
///             None => Ok((self.0.set(Some(data[0])), 1).1),
///         }
///     }
///     fn poll_ready(&self, interest: Interest, _: &mut Context<'_>) -> Poll<()> {
///         let is_ready = match interest {
///             Interest::Read => self.0.get().is_some(),
///             Interest::Write => self.0.get().is_none(),
///             Interest::Gone => false,
///         };
///         // One that others fill would store the waker here.
///         if is_ready { Poll::Ready(()) } else { Poll::Pending }
///     }
///     fn shutdown(&self) {}
///     fn close(&self) {}
/// }
///
/// let mut buffer = [0; 8];
/// let mut stream = IoStream::new(Loop(Cell::new(None)), &mut buffer);
/// assert_eq!(attempt(stream.write(b"x")), Ok(()));
/// assert_eq!(attempt(stream.read_bytes(1)), Ok(&b"x"[..]));
/// assert_eq!(attempt(stream.read_bytes(1)), Err(nb::Error::WouldBlock));
/// ```
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

    /// Writes a prefix of `head` and, behind it, of `rest` (neither is empty): how much of both
    /// together, at least 1. Without another way to do it, a prefix of `head` alone.
    ///
    /// # Errors
    /// As [`try_write`](Self::try_write).
    fn try_write_vectored(&self, head: &[u8], rest: &[u8]) -> nb::Result<usize, Error> {
        let _ = rest;
        self.try_write(head)
    }

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

    /// Bytes that were taken by a write and wait in this program still. None, unless the stream
    /// has a buffer of its own for them.
    fn unsent(&self) -> usize {
        0
    }

    /// Whether small writes leave at once (TCP: Nagle's algorithm off). Where that has no meaning
    /// nothing happens.
    ///
    /// # Errors
    /// The transport's.
    fn set_nodelay(&self, on: bool) -> Result<(), Error> {
        let _ = on;
        Ok(())
    }

    /// Speaks TLS from the next byte on, in both directions.
    ///
    /// # Errors
    /// [`Error::UNSUPPORTED`] where the transport does not; the transport's.
    fn start_tls(&self) -> Result<(), Error> {
        Err(Error::UNSUPPORTED)
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
    fn try_write_vectored(&self, head: &[u8], rest: &[u8]) -> nb::Result<usize, Error> {
        (**self).try_write_vectored(head, rest)
    }
    fn poll_ready(&self, interest: Interest, cx: &mut Context<'_>) -> Poll<()> {
        (**self).poll_ready(interest, cx)
    }
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        (**self).poll_flush(cx)
    }
    fn unsent(&self) -> usize {
        (**self).unsent()
    }
    fn set_nodelay(&self, on: bool) -> Result<(), Error> {
        (**self).set_nodelay(on)
    }
    fn start_tls(&self) -> Result<(), Error> {
        (**self).start_tls()
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
