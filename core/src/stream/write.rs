//! The writing side of a stream: its futures.
//!
//! Invariants: a write counts what the transport took, in order; it keeps nothing back.
//!
//! Layer: stands on [`RawStream`]; part of [`stream`](super).

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use super::{ATTEMPTS_PER_POLL_MAX, RawStream, STEPS_PER_POLL_MAX, StreamError, give_way};
use crate::poller::{Error, Interest};

/// A write of everything; see [`IoStream::write`](super::IoStream::write).
#[must_use = "a write does nothing unless it is awaited"]
pub struct Write<'s, S> {
    raw: &'s S,
    data: &'s [u8],
    written: usize,
}

impl<'s, S> Write<'s, S> {
    pub(super) const fn new(raw: &'s S, data: &'s [u8]) -> Self {
        Self { raw, data, written: 0 }
    }

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
            self.written += ready!(poll_write(self.raw, cx, |raw| raw.try_write(rest)))?;
        }
        give_way(cx)
    }
}

/// A write of several pieces; see [`IoStream::write_vectored`](super::IoStream::write_vectored).
#[must_use = "a write does nothing unless it is awaited"]
pub struct WriteVectored<'s, S> {
    raw: &'s S,
    /// Those of which something is left, but for the first `offset` bytes.
    parts: &'s [&'s [u8]],
    offset: usize,
    written: usize,
}

impl<'s, S> WriteVectored<'s, S> {
    pub(super) const fn new(raw: &'s S, parts: &'s [&'s [u8]]) -> Self {
        Self { raw, parts, offset: 0, written: 0 }
    }

    /// How many bytes of all parts together the transport has taken so far.
    pub const fn written(&self) -> usize {
        self.written
    }
}

impl<S: RawStream> Future for WriteVectored<'_, S> {
    type Output = Result<(), StreamError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        for _ in 0..STEPS_PER_POLL_MAX {
            while let Some((first, behind)) = this.parts.split_first()
                && this.offset >= first.len()
            {
                this.offset -= first.len();
                this.parts = behind;
            }
            let Some((first, behind)) = this.parts.split_first() else {
                return Poll::Ready(Ok(()));
            };
            let head = first.get(this.offset..).unwrap_or_default();
            let rest = behind.iter().find(|part| !part.is_empty());
            let taken = ready!(poll_write(this.raw, cx, |raw| match rest {
                Some(rest) => raw.try_write_vectored(head, rest),
                None => raw.try_write(head),
            }))?;
            this.offset += taken;
            this.written += taken;
        }
        give_way(cx)
    }
}

/// Waits for the transport; see [`IoStream::flush`](super::IoStream::flush).
#[must_use = "a flush does nothing unless it is awaited"]
pub struct Flush<'s, S> {
    pub(super) raw: &'s S,
}

impl<S: RawStream> Future for Flush<'_, S> {
    type Output = Result<(), StreamError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.raw.poll_flush(cx).map_err(|error| StreamError::Closed(Some(error)))
    }
}

/// Waits for the peer's death; see [`IoStream::closed`](super::IoStream::closed).
#[must_use = "waiting does nothing unless it is awaited"]
pub struct Closed<'s, S> {
    pub(super) raw: &'s S,
}

impl<S: RawStream> Future for Closed<'_, S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.raw.poll_ready(Interest::Gone, cx)
    }
}

/// Makes `attempt`s once the stream is ready for them.
pub(super) fn poll_write<S: RawStream>(
    raw: &S,
    cx: &mut Context<'_>,
    mut attempt: impl FnMut(&S) -> nb::Result<usize, Error>,
) -> Poll<Result<usize, StreamError>> {
    for _ in 0..ATTEMPTS_PER_POLL_MAX {
        ready!(raw.poll_ready(Interest::Write, cx));
        match attempt(raw) {
            Ok(count) => return Poll::Ready(Ok(count)),
            Err(nb::Error::Other(error)) => {
                return Poll::Ready(Err(StreamError::Closed(Some(error))));
            }
            Err(nb::Error::WouldBlock) => {}
        }
    }
    give_way(cx)
}
