//! The end of an exchange: what is left is sent, what is left unread is drained, and the slot goes
//! back.
//!
//! Invariants: a connection is used again only when the machine says that both messages are over; a
//! body that its handler left is read over within bounds of bytes and time, or the connection is
//! closed; a slot is returned with its buffers empty.
//!
//! Place: part of the driver, behind [`slot`](super::slot).

use core::future::Future;

use dustdevil_core::poller::{Readiness, Token, Transport};
use dustdevil_core::reactor::Close;
use dustdevil_core::time::{Duration, Instant};

use super::driver::{BUFFER_WORK, Driver};
use super::exchange::{Exchange, Fault, Sent};
use super::request::Moved;
use super::tables::{Answer, Flushed, HeadEntry, Phase, Stage};
use crate::proto::BodyKind;

impl<'r, P, F, H, const STOPS: bool> Driver<'r, '_, P, F, H, STOPS>
where
    P: Transport,
    F: Future<Output = Result<Sent, Fault>> + 'r,
    H: Fn(Exchange<'r>) -> F,
{
    /// Sends what is left of the responses, reads what is left of the body, releases the slot.
    pub(super) fn finish(
        &mut self,
        token: Token,
        answer: &'r Answer<'r>,
        entry: &'r HeadEntry<'r>,
    ) {
        match self.flush(token, answer) {
            Flushed::All => {}
            Flushed::Blocked => return self.pause(answer, entry, true),
            Flushed::Gone => return self.close(token, Close::Graceful),
        }
        let (must_close, in_body) = {
            let conn = entry.conn.borrow();
            (conn.must_close(), !conn.recv_done() && conn.send_done())
        };
        if must_close {
            return self.close(token, Close::Graceful);
        }
        if !in_body {
            return self.release(token, answer, entry);
        }
        if entry.buffer.borrow().head.facts.expect_continue || entry.body() == BodyKind::None {
            // Whether the body will come nobody can know.
            return self.close(token, Close::Graceful);
        }
        if answer.stage.replace(Stage::Draining) != Stage::Draining {
            answer.drained.set(answer.moved.get());
            let drain = Duration::from_millis(u64::from(self.common.limits.drain_ms));
            answer.deadline.set(self.now + drain);
            self.lists.arm(answer.deadline.get());
        }
        match self.drain(token, answer, entry) {
            Moved::Some => {
                answer.stage.set(Stage::Flushing);
                // One more look: another request may stand behind the body.
                self.waker(answer).wake_by_ref();
            }
            Moved::Blocked => {}
            Moved::Gone => self.close(token, Close::Graceful),
        }
    }

    /// Reads and throws away the rest of a body: `Some` once it is over, `Gone` when that is not
    /// worth it.
    fn drain(&self, token: Token, answer: &Answer<'_>, entry: &HeadEntry<'_>) -> Moved {
        loop {
            match answer.pass_body(usize::MAX, &mut |_| {}) {
                Some(Ok(0)) => return Moved::Some,
                Some(Ok(_)) => {}
                Some(Err(_)) => return Moved::Gone,
                None => {
                    // The framing counts too: a body in chunks of a byte is mostly that.
                    if answer.moved_since(&answer.drained) > self.common.limits.drain_bytes_max {
                        return Moved::Gone;
                    }
                    match self.fill_body(token, answer, entry) {
                        Moved::Some => self.add_work(BUFFER_WORK),
                        other => return other,
                    }
                }
            }
        }
    }

    /// The slot's work is done: the connection is idle, or has the beginning of another head.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(super) fn release(&mut self, token: Token, answer: &Answer<'_>, entry: &HeadEntry<'_>) {
        self.free_slot(answer);
        let connection = self.connection(token);
        if entry.start.get() == entry.end.get() && !entry.eof.get() {
            self.release_head(entry);
            connection.place.set(0);
            self.enter(token, Phase::Idle);
        } else {
            connection.place.set(entry.index);
            self.enter(token, Phase::Head);
        }
        if self.stopping() && connection.phase() == Phase::Idle {
            return self.close(token, Close::Graceful);
        }
        let unread = self.reactor.readiness(token).intersects(Readiness::READ);
        // What is in the window may be a whole request, which nobody has looked at.
        if unread || entry.eof.get() || connection.phase() == Phase::Head {
            self.reactor.requeue(token);
        }
    }

    /// Returns a slot whose handler's future is gone.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn free_slot(&mut self, answer: &Answer<'_>) {
        answer.token.set(None);
        answer.entry.set(None);
        answer.deadline.set(Instant::MAX);
        if answer.wakers_set.take() {
            for waker in [&answer.body_waker, &answer.out_waker, &answer.gone_waker] {
                waker.take();
            }
        }
        self.shared.answers.release(u32::from(answer.slot));
    }

    /// Returns a slot and its head buffer, in any stage.
    pub(super) fn release_slot(&mut self, slot: u16) {
        let answer = self.answer(slot);
        let entry = answer.entry.get();
        self.slots.remove(answer.task());
        answer.out.borrow_mut().clear();
        answer.tail.set(None);
        answer.body.borrow_mut().clear();
        self.free_slot(answer);
        if let Some(entry) = entry {
            self.release_head(entry);
        }
    }

    /// The peer has all that it asked for: what the handler would still write is not sent (HEAD).
    /// It is not waited for, since nothing would limit how long.
    #[cold]
    pub(super) fn end_muted(&mut self, answer: &Answer<'_>, entry: &HeadEntry<'_>) {
        self.slots.remove(answer.task());
        answer.stage.set(Stage::Flushing);
        {
            let (mut out, mut conn) = (answer.out.borrow_mut(), entry.conn.borrow_mut());
            // It is not known how long the body would have been.
            let end = out.end;
            out.end = conn.seal(out.bytes, end);
            let ended = conn.finish(&mut []);
            debug_assert!(ended.is_ok(), "{ended:?}");
        }
        self.log_request(answer, entry);
    }
}
