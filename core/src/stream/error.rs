//! [`StreamError`]: Tornado's three errors of a stream, as one enum.
//!
//! Layer: plain data; part of [`stream`](super).

use core::fmt;

use embedded_io::ErrorKind;

use crate::poller::Error;

/// Why a read or write of an [`IoStream`](super::IoStream) did not succeed. No read loses bytes by
/// any of these: [`IoStream::buffered`](super::IoStream::buffered) still has them.
///
/// | Tornado | here | the difference |
/// |---|---|---|
/// | `StreamClosedError` | [`Closed`](Self::Closed) | none: bytes that came before are read first |
/// | its `real_error` | the error in it; `None`: the peer ended its output | |
/// | `stream.error` | [`IoStream::error`](super::IoStream::error) | what ended the *input*; the error of a write is the write's result |
/// | `UnsatisfiableReadError` | [`Unsatisfiable`](Self::Unsatisfiable) | Tornado closes the stream, and raises it as `StreamClosedError` where the bytes had to be waited for. Here it stays open, and whoever reads decides |
/// | | | Told with `max` bytes, not with `max` + 1: no delimiter can end in time then |
/// | `StreamBufferFullError` of a read | [`BufferFull`](Self::BufferFull) | Tornado closes the stream; here the bytes are still there to be read in another way |
/// | `StreamBufferFullError` of `write` | the same, of [`write_nowait`](super::IoStream::write_nowait) | none: nothing of the data was taken |
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
