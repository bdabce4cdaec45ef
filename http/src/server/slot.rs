//! One request in its slot: the handler's future, its buffers, the response on its way, the rest
//! of the body, and the next request behind it.
//!
//! ```text
//!   dispatch --> Handling --(1)--> next request in the window? --(2)--> Handling
//!                  |  ^                   | no: flush (3)
//!      waits for   |  | run               v
//!      body, room, +--+              Flushing --(4)--> Draining --(5)--> slot released: Idle, Head
//!      or itself
//! ```
//! 1. `conclude`: the handler is done
//! 2. `next_request`: what arrived together is answered together
//! 3. `flush`: one write
//! 4. `finish`: the handler left a part of the body
//! 5. `release`
//!
//! 4 and 5 are in [`ending`](super::ending).
//!
//! Invariants: no borrow of a slot's buffers is held while its handler runs; the machine, not the
//! handler's word, decides whether a response is complete; a slot that waits has a deadline,
//! unless it waits for its handler alone and the response has begun.
//!
//! Place: part of the driver.

use core::future::Future;
use core::task::{Context, Poll};

use dustdevil_core::nb;
use dustdevil_core::poller::{Readiness, Token, Transport};
use dustdevil_core::reactor::Close;
use dustdevil_core::time::Instant;

use super::driver::{BUFFER_WORK, Driver};
use super::exchange::{Exchange, Fault, Sent, TOO_LARGE};
use super::journal::{Hit, LEFT};
use super::request::{ERROR_BYTES_MAX, Moved, Parsed, write_error};
use super::stats::add;
use super::tables::{Answer, Flushed, HeadEntry, Phase, Stage, Tail, WANTS_BODY, WANTS_OUT};
use super::tail::TAIL_WRITES_MAX;
use crate::proto::{BodyKind, Reject, SendError, Status};

/// Requests of one connection answered in a row before others get their turn.
const REQUESTS_IN_A_ROW_MAX: usize = 64;
/// Requests of one connection answered while others wait for its place.
const REQUESTS_IN_CROWD_MAX: u8 = 64;
/// Times a handler is polled in a row because its body or its buffer moved.
const POLLS_IN_A_ROW_MAX: usize = 16;

/// What became of a slot.
enum Then {
    /// It has the next request: go on.
    Another,
    /// It waits, or is released.
    Done,
}

impl<'r, P, F, H, const STOPS: bool> Driver<'r, '_, P, F, H, STOPS>
where
    P: Transport,
    F: Future<Output = Result<Sent, Fault>> + 'r,
    H: Fn(Exchange<'r>) -> F,
{
    /// Gives a whole head a slot and starts its handler; without one it waits.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(super) fn dispatch(&mut self, token: Token, entry: &'r HeadEntry<'r>) {
        let connection = self.connection(token);
        let waits = connection.phase().awaits_slot();
        // Nobody overtakes those who wait: a slot that has just become free is theirs.
        let is_next = waits || self.lists.nobody_awaits_slot();
        let slot = if is_next { self.shared.answers.allot() } else { None };
        let Some(slot) = slot else { return self.await_slot(token, entry) };
        let answer = self.answer(slot as u16);
        connection.place.set(answer.slot);
        connection.phase.set(Phase::Slot);
        answer.token.set(Some(token));
        answer.entry.set(Some(entry));
        answer.gone.set(false);
        answer.watch(self.now);
        answer.held_since.set(self.now);
        self.await_start(answer);
        self.serve(token, answer, entry);
        if connection.phase() == Phase::Slot {
            // It could not be answered at once.
            self.lists.leave(token.index() as u32);
        }
    }

    /// A whole head waits for a slot. Whoever waits already keeps its place and its deadline.
    #[cold]
    fn await_slot(&mut self, token: Token, entry: &HeadEntry<'_>) {
        let connection = self.connection(token);
        if !connection.phase().awaits_slot() {
            connection.place.set(entry.index);
            // While it waits nothing is read, so that it stays what it is now.
            let is_whole = match entry.body() {
                BodyKind::None => true,
                BodyKind::Length(len) => len <= (entry.end.get() - entry.start.get()) as u64,
                BodyKind::Chunked | BodyKind::UntilClose => false,
            };
            self.enter(token, if is_whole { Phase::AwaitSlot } else { Phase::AwaitBody });
        }
        if self.shared.answers.is_full() {
            // Slow peers are pressed once all of this turn's events are seen: see `give_slots`.
            self.common.warn(Hit::Requests);
        }
    }

    /// A head is in the slot's entry, and what the record says of the request before is over.
    fn await_start(&self, answer: &Answer<'_>) {
        answer.stage.set(Stage::Starting);
        answer.allow.set(0);
        answer.route.set(None);
        answer.began.set(self.now);
    }

    /// Makes the handler's future for the head in the slot's entry.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn start(&mut self, answer: &'r Answer<'r>, entry: &'r HeadEntry<'r>) {
        answer.stage.set(Stage::Handling);
        answer.rejected.set(None);
        answer.wants.set(0);
        answer.muted.set(0);
        answer.paused.set(false);
        if self.stopping() {
            entry.conn.borrow_mut().close_after();
        }
        add(&self.common.stats.requests);
        self.add_work(1);
        self.slots.put(answer.task(), (self.handler)(Exchange::new(answer, entry, self.handle)));
        if !entry.conn.borrow().recv_done() {
            self.limit_body(answer, entry);
        }
    }

    /// The route is known, and with it how long the body may be: one that announces more is not
    /// handled at all.
    #[inline(never)]
    fn limit_body(&mut self, answer: &Answer<'_>, entry: &HeadEntry<'_>) {
        let own = answer.route.get().and_then(|route| route.body_bytes_max);
        let most = own.unwrap_or(self.common.limits.body_bytes_max);
        answer.body_bytes_max.set(most);
        if matches!(entry.body(), BodyKind::Length(len) if len > most) {
            self.slots.remove(answer.task());
            answer.stage.set(Stage::Flushing);
            add(&self.common.stats.rejected);
            entry.conn.borrow_mut().close_after();
            self.answer_error(answer, entry, TOO_LARGE);
            self.common.warn(Hit::BodyBytes);
            self.log_request(answer, entry);
        }
    }

    /// Runs a slot until it waits or is released. In the middle of a flush it does nothing.
    pub(super) fn run(&mut self, answer: &'r Answer<'r>) {
        if let (Some(token), Some(entry)) = (answer.token.get(), answer.entry.get()) {
            answer.yielded.set(false);
            self.serve(token, answer, entry);
        }
    }

    /// As [`run`](Self::run). The one place where handlers are made and polled: what the compiler
    /// inlines here it does once.
    #[inline(never)]
    fn serve(&mut self, token: Token, answer: &'r Answer<'r>, entry: &'r HeadEntry<'r>) {
        for _ in 0..REQUESTS_IN_A_ROW_MAX {
            if answer.stage.get() == Stage::Starting {
                self.start(answer, entry);
            }
            if answer.stage.get() == Stage::Handling && !self.handle_request(token, answer, entry) {
                return;
            }
            match self.next_request(token, answer, entry) {
                Then::Another => {}
                Then::Done => return,
            }
        }
        // Others first: what is answered so far leaves, and this slot runs again next turn.
        let _ = self.flush(token, answer);
        self.run_next_turn(answer);
    }

    /// Lets others run first. Until then nothing is waited for: no event may add to what has moved
    /// for the handler, and no deadline of an earlier wait may end it.
    fn run_next_turn(&self, answer: &Answer<'_>) {
        answer.wants.set(0);
        answer.yielded.set(true);
        answer.deadline.set(Instant::MAX);
        self.waker(answer).wake_by_ref();
    }

    /// Polls the handler as long as that moves something; whether it is done.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn handle_request(
        &mut self,
        token: Token,
        answer: &'r Answer<'r>,
        entry: &'r HeadEntry<'r>,
    ) -> bool {
        if self.was_crowded() {
            self.ask_to_leave(answer, entry);
        }
        let task = answer.task();
        let waker = self.waker(answer);
        for _ in 0..POLLS_IN_A_ROW_MAX {
            answer.wants.set(0);
            if let Poll::Ready(result) = self.slots.poll(task, &mut Context::from_waker(waker)) {
                answer.stage.set(Stage::Flushing);
                self.conclude(answer, entry, result);
                return true;
            }
            if entry.conn.borrow().is_muted() {
                self.end_muted(answer, entry);
                return true;
            }
            // Nothing that was produced is held back while the handler waits.
            let flushed = self.flush_begun(token, answer, entry);
            let mut moved = flushed == Flushed::All && answer.wants.get() & WANTS_OUT != 0;
            let mut gone = flushed == Flushed::Gone;
            if answer.wants.get() & WANTS_BODY != 0 {
                match self.fill_body(token, answer, entry) {
                    Moved::Some => moved = true,
                    Moved::Blocked => {}
                    Moved::Gone => gone = true,
                }
            }
            if gone && !answer.gone.replace(true) {
                moved = true;
            }
            if !moved {
                self.pause(answer, entry, flushed == Flushed::Blocked);
                return false;
            }
            self.add_work(BUFFER_WORK);
            answer.wake_foreign(waker);
        }
        self.run_next_turn(answer);
        false
    }

    /// Somebody waits for this connection's place: its response says that nothing follows. Where
    /// its peer has sent more already, which it would have to send again (RFC 9112, 9.3.2), that is
    /// answered first, but only so much of it: who always has more to ask would never leave.
    #[cold]
    fn ask_to_leave(&self, answer: &Answer<'_>, entry: &HeadEntry<'_>) {
        let mut conn = entry.conn.borrow_mut();
        if conn.send_started() {
            return;
        }
        let answered = entry.answered_in_crowd.get();
        if (entry.start.get() == entry.end.get() && self.is_crowded())
            || answered == REQUESTS_IN_CROWD_MAX
            || self.now - answer.began.get() >= self.patience()
        {
            conn.close_after();
        } else {
            entry.answered_in_crowd.set(answered + 1);
        }
    }

    /// Reads more of a request's body into the slot's buffer.
    pub(super) fn fill_body(
        &self,
        token: Token,
        answer: &Answer<'_>,
        entry: &HeadEntry<'_>,
    ) -> Moved {
        if entry.eof.get() {
            return Moved::Some;
        }
        if !self.reactor.readiness(token).intersects(Readiness::READ) {
            return Moved::Blocked;
        }
        let mut body = answer.body.borrow_mut();
        body.compact();
        let (start, end) = (entry.start.get(), entry.end.get());
        if start < end {
            // A line of framing that began behind the head goes on in the body's buffer.
            let Some(buffer) = entry.buffer.try_borrow() else { return Moved::Gone };
            let part = buffer.window.get(start..end).unwrap_or_default();
            if !body.push(part) {
                return Moved::Gone;
            }
            entry.start.set(end);
        }
        if body.room().is_empty() {
            answer.rejected.set(Some(LONG_LINE));
            return Moved::Some;
        }
        match self.reactor.read(token, body.room()) {
            Ok(0) => {
                entry.eof.set(true);
                Moved::Some
            }
            Ok(len) => {
                body.end += len;
                answer.count_moved(len);
                Moved::Some
            }
            Err(nb::Error::WouldBlock) => Moved::Blocked,
            Err(nb::Error::Other(_)) => Moved::Gone,
        }
    }

    /// Hands the out buffer to the transport.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(super) fn flush(&self, token: Token, answer: &Answer<'_>) -> Flushed {
        if let Some(tail) = answer.tail.get() {
            return self.flush_tail(token, answer, tail);
        }
        let mut out = answer.out.borrow_mut();
        while !out.is_empty() {
            match self.reactor.write_whole(token, out.used()) {
                Ok(len) => {
                    out.consume(len);
                    answer.count_moved(len);
                }
                Err(nb::Error::WouldBlock) => return Flushed::Blocked,
                Err(nb::Error::Other(_)) => {
                    out.clear();
                    return Flushed::Gone;
                }
            }
        }
        Flushed::All
    }

    /// As [`flush`](Self::flush), with a body behind the buffer.
    #[cold]
    fn flush_tail(&self, token: Token, answer: &Answer<'_>, tail: Tail) -> Flushed {
        let flushed = (tail.flush)(answer, self.handle, token);
        if flushed == Flushed::Blocked && self.reactor.readiness(token).intersects(Readiness::WRITE)
        {
            // Not its peer but its share of a turn ended it.
            self.add_work(TAIL_WRITES_MAX as u32 * BUFFER_WORK);
            answer.yielded.set(true);
            self.waker(answer).wake_by_ref();
        }
        flushed
    }

    /// As [`flush`](Self::flush), where a response may have begun that is not complete: what it
    /// left open, because it could still have got its length, is closed before it leaves.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn flush_begun(&self, token: Token, answer: &Answer<'_>, entry: &HeadEntry<'_>) -> Flushed {
        let mut conn = entry.conn.borrow_mut();
        if conn.is_deferred() {
            let mut out = answer.out.borrow_mut();
            let end = out.end;
            out.end = conn.seal(out.bytes, end);
        }
        drop(conn);
        self.flush(token, answer)
    }

    /// The handler is done: makes sure that a response is on its way, or that none can be.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn conclude(&self, answer: &Answer<'_>, entry: &HeadEntry<'_>, result: Result<Sent, Fault>) {
        self.judge(answer, entry, result);
        self.log_request(answer, entry);
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn judge(&self, answer: &Answer<'_>, entry: &HeadEntry<'_>, result: Result<Sent, Fault>) {
        let (started, done) = {
            let conn = entry.conn.borrow();
            (conn.send_started(), conn.send_done())
        };
        let reject = match result {
            Ok(_) if done => return,
            // A `Sent` of another request, or of none.
            Ok(_) => INCOMPLETE,
            Err(Fault::Rejected(reject)) => {
                entry.conn.borrow_mut().close_after();
                reject
            }
            Err(Fault::Http(status)) => Reject { status, reason: "" },
            Err(Fault::Why(status, reason)) => Reject { status, reason },
            Err(Fault::Gone) => {
                if !started {
                    answer.status.set(LEFT);
                }
                return answer.gone.set(true);
            }
            Err(Fault::Send(error)) => {
                log::error!("a response could not be sent: {error}");
                UNSENDABLE
            }
        };
        if started {
            // Its beginning is out: only an abort can tell the peer that the rest will not come.
            answer.gone.set(true);
            add(&self.common.stats.aborted);
        } else {
            self.answer_error(answer, entry, reject);
        }
    }

    /// Appends an error response to the out buffer.
    pub(super) fn answer_error(&self, answer: &Answer<'_>, entry: &HeadEntry<'_>, reject: Reject) {
        let conn = &mut *entry.conn.borrow_mut();
        answer.status.set(reject.status);
        if reject.status.code() >= 500 {
            conn.close_after();
        }
        if let Some(token) = answer.token.get()
            && answer.out.borrow_mut().room().len() < ERROR_BYTES_MAX
        {
            let _ = self.flush(token, answer);
        }
        let mut out = answer.out.borrow_mut();
        let in_the_way = !out.is_empty() && out.room().len() < ERROR_BYTES_MAX;
        let prefix = self.common.prefix.borrow();
        let written = if in_the_way {
            Err(SendError::Full)
        } else {
            write_error(out.room(), conn, &prefix, reject, answer.allow.get())
        };
        let Ok((len, whole)) = written else {
            // What was answered before it is in the way: `next_request` tries again.
            answer.rejected.set(Some(reject).filter(|_| in_the_way));
            return conn.close_after();
        };
        answer.rejected.set(None);
        out.end += len;
        if !whole {
            answer.gone.set(true);
        }
    }

    /// A response is in the out buffer: goes on to the next request in the window, or flushes.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn next_request(
        &mut self,
        token: Token,
        answer: &'r Answer<'r>,
        entry: &'r HeadEntry<'r>,
    ) -> Then {
        if answer.gone.get() {
            // What was answered before the failure is not held back.
            let _ = self.flush_begun(token, answer, entry);
            self.close(token, Close::Abort);
            return Then::Done;
        }
        if let Some(reject) = answer.rejected.get().filter(|_| !entry.conn.borrow().send_started())
        {
            match self.flush(token, answer) {
                Flushed::Blocked => {
                    self.pause(answer, entry, true);
                    return Then::Done;
                }
                Flushed::All | Flushed::Gone => {
                    self.answer_error(answer, entry, reject);
                }
            }
        }
        if answer.tail.get().is_some() && !self.flush_before_next(token, answer, entry) {
            return Then::Done;
        }
        if answer.stage.get() == Stage::Flushing && self.begins_next(answer, entry) {
            let unread = entry.start.get() < entry.end.get() || entry.eof.get();
            // Who had a slot for a whole turn goes behind those who wait for one.
            let yields = answer.held_since.get() != self.now && !self.lists.nobody_awaits_slot();
            match if unread && !yields { self.parse(entry) } else { Parsed::More } {
                Parsed::Head => {
                    self.await_start(answer);
                    return Then::Another;
                }
                Parsed::Reject(reject) => {
                    add(&self.common.stats.rejected);
                    self.log_refused(token, reject);
                    answer.allow.set(0);
                    self.answer_error(answer, entry, reject);
                }
                Parsed::Closed => entry.conn.borrow_mut().close_after(),
                Parsed::More => {
                    // The usual end: everything that arrived is answered.
                    match self.flush(token, answer) {
                        Flushed::All => self.release(token, answer, entry),
                        Flushed::Blocked => self.pause(answer, entry, true),
                        Flushed::Gone => self.close(token, Close::Graceful),
                    }
                    return Then::Done;
                }
            }
        }
        self.finish(token, answer, entry);
        Then::Done
    }

    /// Nothing goes into the buffer before the body that is behind it has left. Whether it has.
    #[cold]
    fn flush_before_next(
        &mut self,
        token: Token,
        answer: &Answer<'_>,
        entry: &HeadEntry<'_>,
    ) -> bool {
        match self.flush(token, answer) {
            Flushed::All => return true,
            Flushed::Blocked => self.pause(answer, entry, true),
            Flushed::Gone => self.close(token, Close::Graceful),
        }
        false
    }

    /// Whether the exchange is over in both directions and another may begin; then the machine is
    /// ready for it and what was read too far is in the window again.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn begins_next(&self, answer: &Answer<'_>, entry: &HeadEntry<'_>) -> bool {
        let mut conn = entry.conn.borrow_mut();
        let Some(mut buffer) = entry.buffer.try_borrow_mut() else {
            // The handler forgot its head: the buffer cannot take another.
            conn.close_after();
            return false;
        };
        if conn.next_cycle().is_err() {
            return false;
        }
        let mut body = answer.body.borrow_mut();
        if !body.is_empty() {
            // All of the window was consumed before the body's buffer was filled, and it is as
            // large at least: checked at start-up.
            let len = body.used().len();
            if let Some(place) = buffer.window.get_mut(..len) {
                place.copy_from_slice(body.used());
            }
            entry.start.set(0);
            entry.end.set(len);
            body.clear();
        }
        true
    }

    // ---- events and deadlines

    /// An event for a connection whose request has a slot.
    pub(super) fn slot_ready(&mut self, token: Token, ready: Readiness) {
        let answer = self.answer(self.connection(token).place.get());
        let Some(entry) = answer.entry.get() else { return };
        if ready.intersects(Readiness::GONE) && answer.stage.get() != Stage::Handling {
            return self.close(token, Close::Graceful);
        }
        self.end_wait(answer);
        match answer.stage.get() {
            Stage::Handling => {
                let gone = ready.intersects(Readiness::GONE) && !answer.gone.replace(true);
                let flushed = self.flush_begun(token, answer, entry);
                let wants = answer.wants.get();
                let room = wants & WANTS_OUT != 0 && flushed != Flushed::Blocked;
                let body = wants & WANTS_BODY != 0
                    && self.fill_body(token, answer, entry) != Moved::Blocked;
                if gone || room || body {
                    answer.wake_foreign(self.waker(answer));
                    self.run(answer);
                } else if flushed == Flushed::Blocked || answer.deadline.get() != Instant::MAX {
                    // Without a deadline it runs next turn, or has begun and waits for itself.
                    self.pause(answer, entry, flushed == Flushed::Blocked);
                }
            }
            // It let others run first, and begins next turn.
            Stage::Starting => {}
            Stage::Flushing | Stage::Draining => self.run(answer),
        }
    }
}

impl Answer<'_> {
    /// Wakes those of the handler's waits that do not go through its own task: futures inside a
    /// combinator with wakers of its own.
    fn wake_foreign(&self, own: &core::task::Waker) {
        for cell in [&self.body_waker, &self.out_waker, &self.gone_waker] {
            if let Some(waker) = cell.take() {
                if waker.will_wake(own) {
                    continue;
                }
                waker.wake();
            }
        }
    }
}

const LONG_LINE: Reject =
    Reject { status: Status::FIELDS_TOO_LARGE, reason: "a line of the body's framing is too long" };
const INCOMPLETE: Reject =
    Reject { status: Status::INTERNAL_SERVER_ERROR, reason: "the handler sent no whole response" };
const UNSENDABLE: Reject =
    Reject { status: Status::INTERNAL_SERVER_ERROR, reason: "the response could not be sent" };
