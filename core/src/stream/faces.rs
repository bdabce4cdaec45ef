//! A stream as others know streams: `embedded_io_async`, `embedded_io`'s readiness, and `nb`.
//!
//! Invariants: nothing is done here that the stream's own calls do not do.
//!
//! Layer: stands on [`IoStream`]; part of [`stream`](super).

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use super::read::{ReadSlice, Want};
use super::write::poll_write;
use super::{IoStream, RawStream, StreamError};
use crate::poller::Interest;

/// Polls `call` once: a read or write of a stream in the words of [`nb`], for programs that have a
/// loop of their own. Nobody is woken; the next attempt is the caller's to make. What such a call
/// would have left behind when it is dropped is what it leaves after `WouldBlock`: reads that lend,
/// [`IoStream::flush`] and [`IoStream::closed`] nothing, so that they can simply be made again.
/// For writes there is [`IoStream::try_write`].
///
/// ```
/// # use core::cell::RefCell;
/// # use core::task::{Context, Poll};
/// # use dustdevil_core::poller::{Error, Interest};
/// # use dustdevil_core::stream::{IoStream, RawStream, attempt};
/// # struct Uart(RefCell<Vec<u8>>);
/// # impl RawStream for &Uart {
/// #     fn try_read(&self, buf: &mut [u8]) -> nb::Result<usize, Error> {
/// #         buf[0] = self.0.borrow_mut().pop().ok_or(nb::Error::WouldBlock)?;
/// #         Ok(1)
/// #     }
/// #     fn try_write(&self, _: &[u8]) -> nb::Result<usize, Error> { Err(nb::Error::WouldBlock) }
/// #     fn poll_ready(&self, _: Interest, _: &mut Context<'_>) -> Poll<()> {
/// #         if self.0.borrow().is_empty() { Poll::Pending } else { Poll::Ready(()) }
/// #     }
/// #     fn shutdown(&self) {}
/// #     fn close(&self) {}
/// # }
/// # let uart = Uart(RefCell::new(Vec::new()));
/// let mut buffer = [0; 16];
/// let mut stream = IoStream::new(&uart, &mut buffer);
/// assert_eq!(attempt(stream.read_until(b"\n", 16)), Err(nb::Error::WouldBlock));
/// uart.0.borrow_mut().extend(*b"\nih"); // what the interrupt does
/// assert_eq!(nb::block!(attempt(stream.read_until(b"\n", 16))), Ok(&b"hi\n"[..]));
/// ```
///
/// # Errors
/// [`nb::Error::WouldBlock`], or the call's.
pub fn attempt<T, E>(call: impl Future<Output = Result<T, E>>) -> nb::Result<T, E> {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result.map_err(nb::Error::Other),
        Poll::Pending => Err(nb::Error::WouldBlock),
    }
}

impl<S: RawStream> IoStream<'_, S> {
    /// As [`read_into_partial`](Self::read_into_partial), without waiting.
    ///
    /// # Errors
    /// [`nb::Error::WouldBlock`]; as there.
    pub fn try_read(&mut self, into: &mut [u8]) -> nb::Result<usize, StreamError> {
        attempt(self.read_into_partial(into))
    }

    /// Writes a prefix of `data` and returns its length: at least 1, or 0 when `data` is empty.
    ///
    /// # Errors
    /// [`nb::Error::WouldBlock`]; [`StreamError::Closed`] with the error that ended the stream.
    pub fn try_write(&mut self, data: &[u8]) -> nb::Result<usize, StreamError> {
        attempt(embedded_io_async::Write::write(self, data))
    }

    /// As [`flush`](Self::flush), without waiting.
    ///
    /// # Errors
    /// [`nb::Error::WouldBlock`]; as there.
    pub fn try_flush(&mut self) -> nb::Result<(), StreamError> {
        attempt(self.flush())
    }
}

/// Exact, where the stream has a buffer: it is read into, and then looked at. Without one, it is
/// as good as the transport's readiness.
impl<S: RawStream> embedded_io::ReadReady for IoStream<'_, S> {
    fn read_ready(&mut self) -> Result<bool, StreamError> {
        if self.input.buffer.is_empty() {
            let mut cx = Context::from_waker(Waker::noop());
            return Ok(self.raw.poll_ready(Interest::Read, &mut cx).is_ready());
        }
        let peeked = attempt(ReadSlice::new(&self.raw, &mut self.input, Want::Peek));
        Ok(!matches!(peeked, Err(nb::Error::WouldBlock)))
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
        poll_fn(|cx| poll_write(&self.raw, cx, |raw| raw.try_write(buf))).await
    }

    async fn flush(&mut self) -> Result<(), StreamError> {
        Self::flush(self).await
    }
}
