//! The reading side of a stream: the buffer, what a read waits for, and its futures.
//!
//! Invariants: bytes leave the buffer in [`Input::lend`] alone, on the way to the caller; an end of
//! input or an error is noted once and told after everything before it was read; what a read wants
//! is decided from the buffer, without the world ([`Want::decide`]).
//!
//! Layer: stands on [`RawStream`]; part of [`stream`](super).

use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use super::{ATTEMPTS_PER_POLL_MAX, RawStream, STEPS_PER_POLL_MAX, StreamError, give_way};
use crate::poller::{Error, Interest};

/// A read that lends from the stream's buffer; see
/// [`IoStream::read_until`](super::IoStream::read_until) and its like.
#[must_use = "a read does nothing unless it is awaited"]
pub struct ReadSlice<'s, 'b, S> {
    /// `None` once it is done.
    stream: Option<(&'s S, &'s mut Input<'b>)>,
    want: Want<'s>,
}

impl<'s, 'b, S> ReadSlice<'s, 'b, S> {
    pub(super) const fn new(raw: &'s S, input: &'s mut Input<'b>, want: Want<'s>) -> Self {
        Self { stream: Some((raw, input)), want }
    }
}

impl<'s, S: RawStream> Future for ReadSlice<'s, '_, S> {
    type Output = Result<&'s [u8], StreamError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some((raw, input)) = this.stream.take() else { panic!("a read polled once done") };
        for _ in 0..STEPS_PER_POLL_MAX {
            if let Some(outcome) = this.want.decide(input) {
                let is_peek = matches!(this.want, Want::Peek);
                return Poll::Ready(outcome.map(|count| input.lend(count, !is_peek)));
            }
            if input.poll_fill(raw, cx).is_pending() {
                this.stream = Some((raw, input));
                return Poll::Pending;
            }
        }
        this.stream = Some((raw, input));
        give_way(cx)
    }
}

/// A read until the caller's own rule says so; see
/// [`IoStream::read_until_with`](super::IoStream::read_until_with).
#[must_use = "a read does nothing unless it is awaited"]
pub struct ReadUntilWith<'s, 'b, S, F> {
    /// `None` once it is done.
    stream: Option<(&'s S, &'s mut Input<'b>)>,
    matcher: F,
    max: usize,
    /// With fewer bytes than this there is no need to ask.
    least: usize,
}

impl<'s, 'b, S, F> ReadUntilWith<'s, 'b, S, F> {
    pub(super) const fn new(raw: &'s S, input: &'s mut Input<'b>, matcher: F, max: usize) -> Self {
        Self { stream: Some((raw, input)), matcher, max, least: 0 }
    }
}

/// Nothing in it is ever pinned.
impl<S, F> Unpin for ReadUntilWith<'_, '_, S, F> {}

impl<'s, S, F> Future for ReadUntilWith<'s, '_, S, F>
where
    S: RawStream,
    F: FnMut(&[u8]) -> Option<usize>,
{
    type Output = Result<&'s [u8], StreamError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some((raw, input)) = this.stream.take() else { panic!("a read polled once done") };
        for _ in 0..STEPS_PER_POLL_MAX {
            let held = input.held().len();
            if held >= this.least {
                let found = (this.matcher)(input.held());
                if found.map_or(held >= this.max, |count| count > this.max) {
                    return Poll::Ready(Err(StreamError::Unsatisfiable));
                }
                match found {
                    Some(count) if count <= held => {
                        return Poll::Ready(Ok(input.lend(count, true)));
                    }
                    Some(count) => this.least = count,
                    None => this.least = held + 1,
                }
            }
            // The same whether or not the end is known already.
            if this.least > input.buffer.len() {
                return Poll::Ready(Err(StreamError::BufferFull));
            }
            if !matches!(input.ended, Ended::Not) {
                return Poll::Ready(Err(input.ended.error()));
            }
            if input.poll_fill(raw, cx).is_pending() {
                this.stream = Some((raw, input));
                return Poll::Pending;
            }
        }
        this.stream = Some((raw, input));
        give_way(cx)
    }
}

/// A read into the caller's own memory; see
/// [`IoStream::read_into`](super::IoStream::read_into).
#[must_use = "a read does nothing unless it is awaited"]
pub struct ReadInto<'s, 'b, S> {
    raw: &'s S,
    input: &'s mut Input<'b>,
    into: &'s mut [u8],
    filled: usize,
    partial: bool,
}

impl<'s, 'b, S> ReadInto<'s, 'b, S> {
    pub(super) const fn new(
        raw: &'s S,
        input: &'s mut Input<'b>,
        into: &'s mut [u8],
        partial: bool,
    ) -> Self {
        Self { raw, input, into, filled: 0, partial }
    }

    /// How many bytes of the target are filled so far.
    pub const fn filled(&self) -> usize {
        self.filled
    }
}

impl<S: RawStream> Future for ReadInto<'_, '_, S> {
    type Output = Result<usize, StreamError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        for _ in 0..STEPS_PER_POLL_MAX {
            let (_, rest) = this.into.split_at_mut(this.filled);
            this.filled += this.input.take(rest);
            let (_, rest) = this.into.split_at_mut(this.filled);
            if rest.is_empty() || this.partial && this.filled > 0 {
                return Poll::Ready(Ok(this.filled));
            }
            match this.input.ended {
                Ended::Not => {}
                Ended::Eof if this.partial => return Poll::Ready(Ok(0)),
                ended => return Poll::Ready(Err(ended.error())),
            }
            match ready!(poll_read(this.raw, rest, cx)) {
                Ok(0) => this.input.ended = Ended::Eof,
                Ok(count) => this.filled += count,
                Err(error) => this.input.ended = Ended::Failed(error),
            }
        }
        give_way(cx)
    }
}

/// A read of everything that still comes; see
/// [`IoStream::read_until_close_with`](super::IoStream::read_until_close_with).
#[must_use = "a read does nothing unless it is awaited"]
pub struct ReadRest<'s, 'b, S, F> {
    raw: &'s S,
    input: &'s mut Input<'b>,
    sink: F,
    total: u64,
}

impl<'s, 'b, S, F> ReadRest<'s, 'b, S, F> {
    pub(super) const fn new(raw: &'s S, input: &'s mut Input<'b>, sink: F) -> Self {
        Self { raw, input, sink, total: 0 }
    }
}

/// Nothing in it is ever pinned.
impl<S, F> Unpin for ReadRest<'_, '_, S, F> {}

impl<S: RawStream, F: FnMut(&[u8])> Future for ReadRest<'_, '_, S, F> {
    type Output = Result<u64, StreamError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        for _ in 0..STEPS_PER_POLL_MAX {
            let held = this.input.held().len();
            if held > 0 {
                this.total += held as u64;
                (this.sink)(this.input.lend(held, true));
            }
            match this.input.ended {
                Ended::Not if this.input.buffer.is_empty() => {
                    return Poll::Ready(Err(StreamError::BufferFull));
                }
                Ended::Not => ready!(this.input.poll_fill(this.raw, cx)),
                Ended::Eof => return Poll::Ready(Ok(this.total)),
                ended @ Ended::Failed(_) => return Poll::Ready(Err(ended.error())),
            }
        }
        give_way(cx)
    }
}

/// Whether and how the input ended.
#[derive(Clone, Copy)]
pub(super) enum Ended {
    Not,
    Eof,
    Failed(Error),
}

impl Ended {
    const fn error(self) -> StreamError {
        match self {
            Self::Not | Self::Eof => StreamError::Closed(None),
            Self::Failed(error) => StreamError::Closed(Some(error)),
        }
    }
}

/// The read buffer: `start..end` was received and not read.
pub(super) struct Input<'b> {
    pub(super) buffer: &'b mut [u8],
    pub(super) start: usize,
    pub(super) end: usize,
    /// Kept, for a transport may tell of an error once only.
    pub(super) ended: Ended,
}

impl<'b> Input<'b> {
    pub(super) const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, start: 0, end: 0, ended: Ended::Not }
    }

    pub(super) fn held(&self) -> &[u8] {
        // start <= end <= buffer.len(), whatever the peer sends.
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// The first `count` bytes held, which leave the buffer when `take` says so.
    pub(super) fn lend(&mut self, count: usize, take: bool) -> &[u8] {
        let from = self.start;
        if take {
            self.start += count;
            if self.start == self.end {
                (self.start, self.end) = (0, 0);
            }
        }
        self.buffer.get(from..from + count).unwrap_or_default()
    }

    /// Moves what is held to `into`, as far as it fits; how much that was.
    fn take(&mut self, into: &mut [u8]) -> usize {
        let count = into.len().min(self.held().len());
        let (head, _) = into.split_at_mut(count);
        head.copy_from_slice(self.lend(count, true));
        count
    }

    /// Reads once into the room behind what is held; an end is noted. There is room in all, if not
    /// behind: what is held moves to the front then.
    fn poll_fill<S: RawStream>(&mut self, raw: &S, cx: &mut Context<'_>) -> Poll<()> {
        if self.end == self.buffer.len() && self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= mem::take(&mut self.start);
        }
        let (_, room) = self.buffer.split_at_mut(self.end);
        match ready!(poll_read(raw, room, cx)) {
            Ok(0) => self.ended = Ended::Eof,
            Ok(count) => self.end += count,
            Err(error) => self.ended = Ended::Failed(error),
        }
        Poll::Ready(())
    }
}

/// What a [`ReadSlice`] waits for.
pub(super) enum Want<'s> {
    /// The first `searched` bytes hold no delimiter.
    Until {
        delimiter: &'s [u8],
        max: usize,
        searched: usize,
    },
    Exactly(usize),
    Some(usize),
    Rest(usize),
    /// Anything, the end included; nothing leaves the buffer.
    Peek,
}

impl Want<'_> {
    /// How many bytes to lend, or why that can never be; `None`: read more, for which there is
    /// room.
    fn decide(&mut self, input: &Input<'_>) -> Option<Result<usize, StreamError>> {
        let (held, capacity) = (input.held(), input.buffer.len());
        let found = match self {
            Self::Until { delimiter, max, searched } => {
                let bounded = held.get(..*max).unwrap_or(held);
                // The delimiter may begin in what was searched.
                let from = searched.saturating_sub(delimiter.len().saturating_sub(1));
                let fresh = bounded.get(from..).unwrap_or_default();
                *searched = bounded.len();
                match find(fresh, delimiter) {
                    Some(at) => Some(from + at + delimiter.len()),
                    None if held.len() >= *max => return Some(Err(StreamError::Unsatisfiable)),
                    None => None,
                }
            }
            Self::Exactly(count) if *count > capacity => {
                return Some(Err(StreamError::BufferFull));
            }
            Self::Exactly(count) => Some(*count).filter(|&count| count <= held.len()),
            Self::Some(max) => Some(held.len().min(*max)).filter(|&count| count > 0 || *max == 0),
            Self::Rest(max) if held.len() > *max => return Some(Err(StreamError::Unsatisfiable)),
            Self::Rest(_) => matches!(input.ended, Ended::Eof).then_some(held.len()),
            Self::Peek if matches!(input.ended, Ended::Eof) => Some(held.len()),
            Self::Peek => Some(held.len()).filter(|&count| count > 0),
        };
        match (found, input.ended) {
            (Some(count), _) => Some(Ok(count)),
            (None, Ended::Not) if held.len() == capacity => Some(Err(StreamError::BufferFull)),
            (None, Ended::Not) => None,
            (None, ended) => Some(Err(ended.error())),
        }
    }
}

/// Where `needle` begins in `haystack`.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let Some((&first, rest)) = needle.split_first() else { return Some(0) };
    let mut from = 0;
    while let Some(tail) = haystack.get(from..) {
        let at = from + tail.iter().position(|&byte| byte == first)?;
        if haystack.get(at + 1..).is_some_and(|behind| behind.starts_with(rest)) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

/// Waits for readiness first: an attempt in vain costs more than the question.
fn poll_read<S: RawStream>(
    raw: &S,
    buf: &mut [u8],
    cx: &mut Context<'_>,
) -> Poll<Result<usize, Error>> {
    for _ in 0..ATTEMPTS_PER_POLL_MAX {
        ready!(raw.poll_ready(Interest::Read, cx));
        match raw.try_read(buf) {
            Ok(count) => return Poll::Ready(Ok(count)),
            Err(nb::Error::Other(error)) => return Poll::Ready(Err(error)),
            Err(nb::Error::WouldBlock) => {}
        }
    }
    give_way(cx)
}
