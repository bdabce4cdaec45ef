//! How long a slot may take: its deadlines, and who must make room for those who wait.
//!
//! Invariants: a slot that waits for its peer has a deadline by progress, one that waits for its
//! handler the handler's, unless the response has begun; the time spent waiting is added up, so a
//! peer gains nothing by moving a byte now and then. Nobody who waits for a slot waits longer than
//! slow peers are granted patience: the more wait, the less there is for each.
//!
//! Place: part of the driver.

use core::future::Future;

use dustdevil_core::poller::{Readiness, Transport};
use dustdevil_core::reactor::Close;
use dustdevil_core::time::{Duration, Instant};

use super::driver::{DEADLINES_PER_TURN_MAX, Driver};
use super::exchange::{Exchange, Fault, Sent};
use super::journal::{Hit, LEFT};
use super::request::REQUEST_TIMEOUT;
use super::stats::add;
use super::tables::{Answer, HeadEntry, Phase, Stage, WANTS_BODY};
use crate::proto::{Reject, Status};

/// How many rounds of slots share a patience at most.
const ROUNDS_MAX: usize = 10;

impl<'r, P, F, H, const STOPS: bool> Driver<'r, '_, P, F, H, STOPS>
where
    P: Transport,
    F: Future<Output = Result<Sent, Fault>> + 'r,
    H: Fn(Exchange<'r>) -> F,
{
    /// Sets the slot's next deadline: by its peer's progress, or by its handler's time.
    pub(super) fn pause(&self, answer: &Answer<'_>, entry: &HeadEntry<'_>, blocked: bool) {
        let limits = &self.common.limits;
        let was_paused = answer.paused.replace(true);
        if was_paused {
            self.end_wait(answer);
        } else {
            answer.peer_wait.set(None);
            answer.restart_progress();
        }
        let millis = |ms: u32| Duration::from_millis(u64::from(ms));
        let deadline = if answer.gone.get() {
            // However often its handler wakes up, the grace is granted once.
            let before = if was_paused { answer.deadline.get() } else { Instant::MAX };
            before.min(self.now + millis(limits.grace_ms))
        } else if blocked || answer.wants.get() & WANTS_BODY != 0 {
            if answer.moved_since(&answer.progress_mark) >= limits.progress_bytes_min {
                answer.restart_progress();
            }
            answer.peer_wait.set(Some(self.now));
            let left = millis(limits.progress_ms).as_micros();
            self.now + Duration::from_micros(left.saturating_sub(answer.waited.get().as_micros()))
        } else if entry.conn.borrow().send_started() {
            Instant::MAX
        } else {
            answer.began.get() + millis(limits.handler_ms)
        };
        answer.deadline.set(deadline);
        self.lists.arm(deadline);
    }

    /// The slot no longer waits for its peer: the time it did is added up.
    pub(super) fn end_wait(&self, answer: &Answer<'_>) {
        if let Some(since) = answer.peer_wait.take() {
            answer.waited.set(answer.waited.get() + (self.now - since));
        }
    }

    /// Ends the slots whose deadline has come, and arms the next.
    pub(super) fn check_slots(&mut self) {
        let mut expired = 0;
        for answer in self.answers() {
            if answer.token.get().is_none() {
                continue;
            }
            if answer.deadline.get() <= self.now {
                expired += 1;
                if expired > DEADLINES_PER_TURN_MAX {
                    return self.lists.arm(self.now);
                }
                self.slot_expired(answer);
            }
            self.lists.arm(answer.deadline.get());
        }
    }

    fn slot_expired(&mut self, answer: &'r Answer<'r>) {
        let (Some(token), Some(entry)) = (answer.token.get(), answer.entry.get()) else { return };
        let waits = answer.peer_wait.get().is_some();
        if waits
            && answer.moved_since(&answer.progress_mark) >= self.common.limits.progress_bytes_min
        {
            return self.pause(answer, entry, true);
        }
        add(&self.common.stats.timed_out);
        match answer.stage.get() {
            Stage::Draining => self.close(token, Close::Graceful),
            Stage::Handling | Stage::Starting if waits => self.cut_short(answer, REQUEST_TIMEOUT),
            Stage::Handling | Stage::Starting if !answer.gone.get() => {
                self.common.warn(Hit::HandlerTime);
                self.cut_short(answer, LATE);
            }
            Stage::Handling | Stage::Starting => {
                // It was given some time to notice that its peer is gone.
                if !entry.conn.borrow().send_started() {
                    answer.status.set(LEFT);
                }
                self.log_request(answer, entry);
                self.close(token, Close::Abort);
            }
            Stage::Flushing => self.close(token, Close::Abort),
        }
    }

    /// Drops a handler's future; answers with an error unless its response has begun.
    pub(super) fn cut_short(&mut self, answer: &'r Answer<'r>, reject: Reject) {
        let (Some(token), Some(entry)) = (answer.token.get(), answer.entry.get()) else { return };
        self.slots.remove(answer.task());
        self.end_wait(answer);
        answer.stage.set(Stage::Flushing);
        if entry.conn.borrow().send_started() {
            add(&self.common.stats.aborted);
            return self.close(token, Close::Abort);
        }
        entry.conn.borrow_mut().close_after();
        self.answer_error(answer, entry, reject);
        self.log_request(answer, entry);
        if answer.gone.get() {
            return self.close(token, Close::Abort);
        }
        self.finish(token, answer, entry);
    }

    // ---- who waits for a slot

    /// Somebody waits for a slot or for a connection's place: from then on it is watched how fast
    /// the peers are that hold up the others' slots. Ends slots of those who had their second of
    /// patience; whether any was.
    ///
    /// All go that are as slow as a peer may be over a longer time. Else the slowest goes, while
    /// those who have had their patience hold more than a quarter of the slots: so the others serve
    /// who has just come, whatever is done to them, and a long transfer that goes well lasts.
    pub(super) fn press_slots(&mut self) -> bool {
        let patience = self.patience_shared();
        if self.pressed_since.is_none() {
            self.pressed_since = Some(self.now);
            self.lists.arm(self.now + patience);
            self.answers().iter().for_each(|answer| answer.watch(self.now));
            return false;
        }
        let limits = &self.common.limits;
        let least_bytes = limits.progress_bytes_min.saturating_mul(limits.patience_ms)
            / limits.progress_ms.max(1);
        let (mut slowest, mut fewest, mut long) = (None, u32::MAX, 0);
        let mut next = self.now + self.patience();
        let mut ended = false;
        for answer in self.answers() {
            if !self.is_held_by_peer(answer) {
                continue;
            }
            let until = answer.pressed_at.get() + patience;
            let moved = answer.moved_since(&answer.pressed_mark);
            if until > self.now {
                next = next.min(until);
            } else if moved < least_bytes {
                add(&self.common.stats.shed);
                self.cut_short_or_close(answer);
                ended = true;
            } else {
                long += 1;
                if moved < fewest {
                    (slowest, fewest) = (Some(answer), moved);
                }
            }
        }
        // Where the world has fewer places than there are slots, those are what is shared.
        let places = self.shared.capacity.requests.min(self.open);
        let slowest = slowest.filter(|_| !ended && 4 * long > places);
        if let Some(slowest) = slowest {
            add(&self.common.stats.shed);
            self.cut_short_or_close(slowest);
            return true;
        }
        self.lists.arm(next);
        ended
    }

    /// Whether the slot's time is its peer's: it waits for it, or is kept busy by it. One that
    /// waits for its handler is not, nor one whose peer has done its part, and which has not had
    /// its turn yet.
    fn is_held_by_peer(&self, answer: &Answer<'_>) -> bool {
        let Some(token) = answer.token.get() else { return false };
        let ready = self.reactor.readiness(token);
        let has_come = if answer.is_flushed() { Readiness::READ } else { Readiness::WRITE };
        let waits = answer.paused.get() && answer.peer_wait.get().is_some();
        let waits = waits || answer.stage.get() == Stage::Draining;
        answer.yielded.get() || (waits && !ready.intersects(has_come))
    }

    fn cut_short_or_close(&mut self, answer: &'r Answer<'r>) {
        let Some(token) = answer.token.get() else { return };
        match answer.stage.get() {
            Stage::Handling | Stage::Starting => self.cut_short(answer, REQUEST_TIMEOUT),
            Stage::Flushing => self.close(token, Close::Abort),
            Stage::Draining => self.close(token, Close::Graceful),
        }
    }

    /// Gives freed slots and head buffers to those who wait for them, oldest first; requests whose
    /// body is not all there yet come after those that can be answered at once. Whether any were
    /// left because a turn's share of work is done.
    pub(super) fn serve_waiting(&mut self) -> bool {
        self.begin_work();
        if self.pressed_since.is_some() && !self.pressed() {
            self.pressed_since = None;
            self.press_rounds.set(0);
        }
        loop {
            self.give_slots();
            self.give_heads();
            // One who has just come may have pushed another out: that slot is for those who wait.
            let is_free = !self.shared.answers.is_full();
            if !is_free || self.lists.nobody_awaits_slot() || self.has_worked() {
                return self.has_worked();
            }
        }
    }

    fn give_slots(&mut self) {
        while let Some(index) = self.lists.next_for_slot() {
            let is_full = self.shared.answers.is_full();
            if self.has_worked() || (is_full && !self.press_slots()) {
                break;
            }
            let Some(token) = self.reactor.token_at(index as usize) else { break };
            let entry = self.entry(self.connection(token).place.get());
            self.dispatch(token, entry);
            if self.connection(token).phase().awaits_slot() {
                break;
            }
        }
    }

    fn give_heads(&mut self) {
        while let Some(index) = self.lists.list(Phase::AwaitHead).front() {
            if self.has_worked() {
                break;
            }
            self.add_work(1);
            let Some(token) = self.reactor.token_at(index as usize) else { break };
            self.begin_head(token);
            if self.lists.list(Phase::AwaitHead).front() == Some(index) {
                break;
            }
        }
    }

    fn pressed(&self) -> bool {
        self.accept_pending || !self.lists.nobody_awaits_slot()
    }

    /// The patience that a slow peer is granted: all who wait together are to wait no longer than
    /// that, so the more there are for each slot, the shorter it is; but a tenth is left to
    /// everybody, or a good peer that is some hundreds of kilometres away would be cut off too. Of
    /// those who wait to be accepted the number is not known: they count as many again. It does not
    /// grow again before all of them are served, for the last has waited as long as the first.
    fn patience_shared(&self) -> Duration {
        let waiting = |phase| self.lists.list(phase).len();
        let waiting =
            waiting(Phase::AwaitSlot) + waiting(Phase::AwaitBody) + waiting(Phase::AwaitHead);
        let rounds = waiting.div_ceil(self.shared.capacity.requests.max(1)).max(1);
        let rounds = if self.was_crowded() { 2 * rounds } else { rounds };
        let rounds = self.press_rounds.get().max(rounds.min(ROUNDS_MAX) as u32);
        self.press_rounds.set(rounds);
        Duration::from_millis(u64::from(self.common.limits.patience_ms / rounds.max(1)))
    }
}

impl Answer<'_> {
    /// Watches from now on how fast its peer is.
    pub(super) fn watch(&self, now: Instant) {
        self.pressed_at.set(now);
        self.pressed_mark.set(self.moved.get());
    }

    fn restart_progress(&self) {
        self.progress_mark.set(self.moved.get());
        self.waited.set(Duration::ZERO);
    }
}

const LATE: Reject =
    Reject { status: Status::SERVICE_UNAVAILABLE, reason: "the handler took too long" };
