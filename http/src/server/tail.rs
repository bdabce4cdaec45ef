//! A response whose body lasts as long as the program: it is sent from where it lies.
//!
//! Invariants: while a [`Tail`] is left nothing is added to the out buffer; what a turn writes of
//! it is bounded, however fast its peer reads. No program links this that sends no such body: the
//! driver knows it through the [`Tail`] alone.
//!
//! Place: beside [`response`](super::response), above the slot's record.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use dustdevil_core::handle::Handle;
use dustdevil_core::nb;
use dustdevil_core::poller::Token;

use super::exchange::{Fault, Sent};
use super::response::{Reply, Respond, Responder};
use super::tables::{Answer, Flushed, Tail};
use crate::proto::{BodyOut, HeadOut};

/// A [`Reply`] whose body lasts as long as the program: see [`Reply::static_body`].
#[derive(Clone, Copy, Debug)]
pub struct StaticReply<'r> {
    pub(crate) reply: Reply<'r>,
    pub(crate) body: &'static [u8],
}

impl<'c, 'r> Respond<'c> for StaticReply<'r> {
    type Writing = WriteStatic<'c, 'r>;

    fn respond(self, out: Responder<'c>) -> WriteStatic<'c, 'r> {
        WriteStatic { answer: out.answer, reply: self }
    }
}

/// See [`Responder::reply`] and [`Reply::static_body`].
#[must_use = "a reply is not sent unless it is awaited"]
pub struct WriteStatic<'c, 'r> {
    answer: &'c Answer<'c>,
    reply: StaticReply<'r>,
}

impl Future for WriteStatic<'_, '_> {
    type Output = Result<Sent, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.answer.send_static(&self.reply) {
            Some(result) => Poll::Ready(result),
            None => self.answer.wait_out(cx),
        }
    }
}

impl Answer<'_> {
    /// Appends a head to the out buffer, and its body as well or leaves that where it lies. `None`:
    /// there is no room until the buffer is flushed.
    fn send_static(
        &self,
        StaticReply { reply, body }: &StaticReply<'_>,
    ) -> Option<Result<Sent, Fault>> {
        let length = BodyOut::Length(body.len() as u64);
        if let Err(fault) = self.send_head(HeadOut { body: length, ..reply.head() })? {
            return Some(Err(fault));
        }
        let entry = self.entry.get()?;
        let (mut conn, mut out) = (entry.conn.borrow_mut(), self.out.borrow_mut());
        if body.len() > out.room().len() {
            let len = conn.send_apart(body.len());
            let bytes = body.get(..len).unwrap_or_default();
            self.tail.set(Some(Tail { bytes, flush: flush_tail }).filter(|_| len > 0));
        } else {
            let (_, written) = conn.send_body(body, out.room());
            out.end += written;
        }
        Some(conn.finish(&mut []).map(|_| Sent::NEW).map_err(Fault::Send))
    }
}

/// Hands the out buffer and the body behind it to the transport. Reached through the [`Tail`] that
/// a reply left, so that no program links it which sends no such body.
fn flush_tail(answer: &Answer<'_>, handle: Handle<'_>, token: Token) -> Flushed {
    let mut out = answer.out.borrow_mut();
    for _ in 0..TAIL_WRITES_MAX {
        let Some(tail) = answer.tail.get() else { return Flushed::All };
        match handle.write_vectored(token, out.used(), tail.bytes) {
            Ok(len) => {
                let from_out = len.min(out.used().len());
                out.consume(from_out);
                let bytes = tail.bytes.get(len - from_out..).unwrap_or_default();
                answer.tail.set(Some(Tail { bytes, ..tail }).filter(|_| !bytes.is_empty()));
                answer.count_moved(len);
            }
            Err(nb::Error::WouldBlock) => return Flushed::Blocked,
            Err(nb::Error::Other(_)) => {
                out.clear();
                answer.tail.set(None);
                return Flushed::Gone;
            }
        }
    }
    if answer.tail.get().is_some() { Flushed::Blocked } else { Flushed::All }
}

/// How often a body that is sent from where it lies is written in a row, however fast its peer
/// reads; then others get their turn.
pub(super) const TAIL_WRITES_MAX: usize = 16;
