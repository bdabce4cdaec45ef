//! The driver's loop: events in, connections moved between phases, deadlines, room made.
//!
//! Invariants:
//! - A source with a ready bit is on the reactor's ready list, or its connection waits for
//!   something else (a head buffer, a slot, its handler, its peer's reading) and the bit is looked
//!   at again when that has come.
//! - A connection that holds a head buffer or a slot is in a phase that says so, and
//!   [`Driver::close`] returns both.
//! - Every loop has a budget; what is left over is queued again and the driver woken.
//!
//! Place: the top of the server; `request` and `slot` hold the parts that concern one connection.

use core::cell::Cell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use dustdevil_core::handle::Handle;
use dustdevil_core::list;
use dustdevil_core::memory::Block;
use dustdevil_core::nb;
use dustdevil_core::poller::{Event, Readiness, Token, Transport};
use dustdevil_core::reactor::{Close, Group, Reactor};
use dustdevil_core::task::Slots;
use dustdevil_core::time::{Duration, Instant};

use super::exchange::{Exchange, Fault, Sent};
use super::journal::Hit;
use super::lists::{LISTED, Lists};
use super::stats::add;
use super::tables::{Answer, Common, Connection, Phase, Shared};
use super::within;

/// Connections accepted in one turn.
const ACCEPTS_PER_TURN_MAX: usize = 64;
/// How often as many are accepted from the backlog when the server stops.
const ACCEPT_TURNS_AT_STOP_MAX: usize = 16;
/// Ready sources handled in one turn.
const EVENTS_PER_TURN_MAX: usize = 1024;
/// Flagged handlers polled in one turn.
const TASKS_PER_TURN_MAX: usize = 1024;
/// Work done in one turn before deadlines are looked at and others accepted, in requests; as much
/// for events as for handlers that were woken, and for those who waited.
const WORK_PER_TURN_MAX: u32 = 1024;
/// The work of filling or emptying a buffer once.
pub(super) const BUFFER_WORK: u32 = 4;
/// Deadlines handled in one turn, for each phase.
pub(super) const DEADLINES_PER_TURN_MAX: usize = 256;
/// Idle connections that are looked at to find one that may be shed.
const SHED_LOOKS_MAX: usize = 4;

/// A server at work. `STOPS`: whether it can be told to stop; else what that takes is not compiled.
pub(super) struct Driver<'r, 'p, P: Transport, F: Future, H, const STOPS: bool> {
    pub(super) reactor: &'r Reactor<'p, P>,
    pub(super) shared: &'r Shared<'r>,
    pub(super) common: &'r Common<'r>,
    pub(super) connections: &'r [Connection],
    pub(super) lists: Lists<'r>,
    pub(super) slots: Slots<'r, F>,
    pub(super) handler: H,
    pub(super) handle: Handle<'r>,
    pub(super) group: Group,
    /// A waker for each slot's handler.
    pub(super) wakers: &'r [Waker],
    listener: Option<Token>,
    /// The listener has connections that found no room.
    pub(super) accept_pending: bool,
    /// The world has no handle for one that waits.
    exhausted: bool,
    /// What was done in this part of the turn, in requests.
    work: Cell<u32>,
    /// Not all who waited were accepted when that was last tried.
    was_full: bool,
    /// Requests wait for a slot since then, and all slots' progress is counted since then.
    pub(super) pressed_since: Option<Instant>,
    /// The most rounds of slots that those who wait have been since then.
    pub(super) press_rounds: Cell<u32>,
    /// When what is left is aborted, once the server drains.
    stop_deadline: Option<Instant>,
    /// Places below this are empty: all there were aborted.
    aborted_below: usize,
    pub(super) now: Instant,
    /// Connections in the table.
    pub(super) open: usize,
}

impl<'r, 'p, P, F, H, const STOPS: bool> Driver<'r, 'p, P, F, H, STOPS>
where
    P: Transport,
    F: Future<Output = Result<Sent, Fault>> + 'r,
    H: Fn(Exchange<'r>) -> F,
{
    pub(super) fn new(
        reactor: &'r Reactor<'p, P>,
        shared: &'r Shared<'r>,
        mut memory: Block<'r>,
        handler: H,
        listener: Token,
    ) -> Self {
        let (common, connections) = (shared.common, shared.connections);
        let sources_max = connections.len() - 1;
        within("sources of the reactor, see other_sources", reactor.sources_max(), 0, sources_max);
        let Some(group) = reactor.group(shared.capacity.requests) else {
            panic!("the reactor has no group left with a task for each request")
        };
        reactor.assign(listener, group);
        let requests = shared.capacity.requests;
        let slots = Slots::new(&mut memory, requests);
        let wakers = memory.fill(requests, |task| reactor.task_waker(group, task));
        let handle = Handle::from(reactor);
        common.handle.set(Some(handle));
        let lists = Lists::new(connections, &common.limits);
        Self {
            reactor,
            shared,
            common,
            connections,
            lists,
            slots,
            handler,
            handle,
            group,
            wakers,
            listener: Some(listener),
            accept_pending: false,
            exhausted: false,
            work: Cell::new(0),
            was_full: false,
            pressed_since: None,
            press_rounds: Cell::new(0),
            stop_deadline: None,
            aborted_below: 0,
            now: reactor.now(),
            open: 0,
        }
    }

    /// One turn of the server; ready once it was stopped and has drained.
    pub(super) fn poll(
        &mut self,
        stop: Pin<&mut impl Future<Output = ()>>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        self.now = self.reactor.now();
        self.common.refresh(self.now, || self.reactor.unix_seconds());
        if STOPS && !self.stopping() && stop.poll(cx).is_ready() {
            self.begin_stop();
        }
        let tasks_left = self.run_tasks();
        let events_left = self.poll_events(cx);
        if self.lists.armed.get() <= self.now {
            self.check_deadlines();
        }
        if self.accept_pending {
            self.accept();
        }
        let waiting_left = self.serve_waiting();
        if self.stopping() && self.open == 0 {
            return Poll::Ready(());
        }
        self.reactor.set_deadline(self.group, self.lists.armed.get());
        if tasks_left || events_left || waiting_left {
            self.reactor.metrics().add_budget_hit();
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Counts what was done.
    pub(super) fn add_work(&self, work: u32) {
        self.work.set(self.work.get() + work);
    }

    /// Whether a turn's share of work is done.
    pub(super) fn has_worked(&self) -> bool {
        self.work.get() >= WORK_PER_TURN_MAX
    }

    pub(super) fn begin_work(&self) {
        self.work.set(0);
    }

    /// Runs the handlers that were woken; `poll_events` leaves the waker for both.
    fn run_tasks(&mut self) -> bool {
        self.begin_work();
        for _ in 0..TASKS_PER_TURN_MAX {
            if self.has_worked() {
                return true;
            }
            let Some(task) = self.reactor.next_task(self.group) else { return false };
            let answer = self.answer(task as u16 + 1);
            if answer.token.get().is_some() {
                self.run(answer);
            }
        }
        true
    }

    fn poll_events(&mut self, cx: &mut Context<'_>) -> bool {
        self.begin_work();
        for _ in 0..EVENTS_PER_TURN_MAX {
            if self.has_worked() {
                return true;
            }
            let Poll::Ready(event) = self.reactor.poll_event(self.group, cx) else { return false };
            self.on_ready(event);
        }
        true
    }

    pub(super) fn answer(&self, slot: u16) -> &'r Answer<'r> {
        // INVARIANT: slots' numbers come from the slab.
        list::entry(self.shared.answers.entries(), usize::from(slot))
    }

    /// The records of all slots that were ever used.
    pub(super) fn answers(&self) -> &'r [Answer<'r>] {
        let answers = &self.shared.answers;
        answers.entries().get(1..answers.high_water() as usize).unwrap_or_default()
    }

    pub(super) fn connection(&self, token: Token) -> &'r Connection {
        // INVARIANT: `new` checked that the table covers every index of the reactor.
        list::entry(self.connections, token.index())
    }

    fn on_ready(&mut self, Event { token, ready }: Event) {
        if Some(token) == self.listener {
            self.accept_pending = true;
            return;
        }
        match self.connection(token).phase() {
            Phase::Free => {}
            Phase::Slot => self.slot_ready(token, ready),
            Phase::Head => self.head_ready(token),
            _ if ready.intersects(Readiness::GONE) => self.close(token, Close::Graceful),
            Phase::Fresh | Phase::Idle => {
                // The first event after an accept is often WRITE alone: nothing is leased for it.
                if ready.intersects(Readiness::READ) {
                    self.begin_head(token);
                }
            }
            // What it waits for has not come; READ stays set until it has.
            Phase::AwaitHead | Phase::AwaitSlot | Phase::AwaitBody => {}
        }
    }

    pub(super) fn waker(&self, answer: &Answer<'_>) -> &'r Waker {
        list::entry(self.wakers, answer.task())
    }

    // ---- accepting, and making room for it

    /// Somebody has, or waits for, a place that there is not: who is answered is to leave.
    pub(super) fn is_crowded(&self) -> bool {
        self.exhausted || self.open > self.shared.capacity.connections
    }

    /// As [`is_crowded`](Self::is_crowded), or it was when connections were last accepted: places
    /// that have become free since are not given yet to those who wait.
    pub(super) fn was_crowded(&self) -> bool {
        self.was_full || self.is_crowded()
    }

    fn accept(&mut self) {
        let Some(listener) = self.listener else { return };
        self.accept_pending = false;
        self.begin_work();
        for _ in 0..ACCEPTS_PER_TURN_MAX {
            // Who is to make room may have asked for much.
            if self.has_worked() {
                break;
            }
            // Whether anybody waits is known once one more is accepted than there is room for: only
            // then another's place is taken.
            if self.open > self.shared.capacity.connections {
                self.common.warn(Hit::Connections);
                self.was_full = true;
                if !self.make_room() {
                    self.accept_pending = true;
                    return;
                }
            }
            match self.reactor.accept(listener, self.group) {
                Ok((token, _)) => {
                    self.exhausted = false;
                    self.open += 1;
                    self.common.stats.opened();
                    self.enter(token, Phase::Fresh);
                }
                Err(nb::Error::WouldBlock) => {
                    (self.accept_pending, self.exhausted, self.was_full) = (false, false, false);
                    return;
                }
                Err(nb::Error::Other(error)) => {
                    if !error.is_exhaustion() {
                        log::warn!("accept: {error}");
                        self.accept_pending = true;
                        return self.lists.arm(self.now + self.patience());
                    }
                    // No descriptor or socket is left: one is made free, or this is tried again.
                    self.common.warn(Hit::Handles);
                    (self.accept_pending, self.exhausted) = (true, true);
                    if !self.make_room() {
                        self.lists.arm(self.now + self.patience());
                        return;
                    }
                }
            }
        }
        self.accept_pending = true;
        self.lists.arm(self.now);
    }

    pub(super) fn patience(&self) -> Duration {
        Duration::from_millis(u64::from(self.common.limits.patience_ms))
    }

    /// Ends a connection so that another can be accepted: one that is idle, else one that has used
    /// up its patience without a whole request. One with a request in work is never ended here.
    fn make_room(&mut self) -> bool {
        for _ in 0..SHED_LOOKS_MAX {
            let Some(index) = self.lists.list(Phase::Idle).front() else { break };
            let Some(token) = self.reactor.token_at(index as usize) else { break };
            // A request may have arrived that nobody was told of yet: then it is served.
            self.begin_head(token);
            if self.connection(token).phase() == Phase::Idle
                && self.lists.list(Phase::Idle).front() == Some(index)
            {
                add(&self.common.stats.shed);
                self.close(token, Close::Graceful);
                return true;
            }
            if self.open <= self.shared.capacity.connections {
                return true;
            }
        }
        // One that waits for a head buffer may have sent all that it should: it is no victim.
        let patience = self.patience();
        for phase in [Phase::Fresh, Phase::Head] {
            let Some(index) = self.lists.overstayed(phase, self.now, patience) else { continue };
            let Some(token) = self.reactor.token_at(index as usize) else { continue };
            add(&self.common.stats.shed);
            self.time_out(token);
            return true;
        }
        self.press_slots()
    }

    // ---- phases

    pub(super) fn enter(&self, token: Token, phase: Phase) {
        self.lists.enter(token.index() as u32, phase, self.now);
    }

    /// Ends a connection and returns whatever it holds.
    pub(super) fn close(&mut self, token: Token, how: Close) {
        let connection = self.connection(token);
        let (phase, place) = (connection.phase(), connection.place.get());
        if phase == Phase::Free {
            return;
        }
        match phase {
            Phase::Head | Phase::AwaitSlot | Phase::AwaitBody => {
                self.release_head(self.entry(place));
            }
            Phase::Slot => self.release_slot(place),
            _ => {}
        }
        connection.place.set(0);
        self.enter(token, Phase::Free);
        self.reactor.remove(token, how);
        self.open -= 1;
        self.common.stats.closed();
        if self.accept_pending {
            self.lists.arm(self.now);
        }
    }

    // ---- deadlines

    fn check_deadlines(&mut self) {
        let now = self.now;
        for phase in LISTED {
            for _ in 0..DEADLINES_PER_TURN_MAX {
                let Some(index) = self.lists.expired(phase, now) else { break };
                let Some(token) = self.reactor.token_at(index as usize) else { break };
                add(&self.common.stats.timed_out);
                self.time_out(token);
            }
        }
        self.lists.rearm(now);
        self.check_slots();
        if let Some(deadline) = self.stop_deadline.filter(|_| STOPS) {
            self.end_unused();
            if now >= deadline {
                self.abort_all();
            } else {
                self.lists.arm(deadline);
            }
        }
    }

    // ---- stopping

    fn begin_stop(&mut self) {
        // Who waits in the backlog would be reset with the listener. That nobody does is certain
        // once it was said twice (`Transport::accept`).
        let mut said = 0;
        for _ in 0..ACCEPT_TURNS_AT_STOP_MAX {
            self.accept();
            said = if self.accept_pending { 0 } else { said + 1 };
            if said == 2 {
                break;
            }
        }
        if let Some(listener) = self.listener.take() {
            self.reactor.remove(listener, Close::Graceful);
        }
        self.accept_pending = false;
        self.reactor.stop();
        let deadline = self.now + Duration::from_millis(u64::from(self.common.limits.stop_ms));
        self.stop_deadline = Some(deadline);
        // In this turn still: who has asked for nothing goes.
        self.lists.arm(self.now);
        // Responses that have not begun say that nothing follows.
        for answer in self.answers() {
            if let Some(entry) = answer.entry.get() {
                let mut conn = entry.conn.borrow_mut();
                if !conn.send_started() {
                    conn.close_after();
                }
            }
        }
    }

    /// Ends those who have asked for nothing, so many in a turn.
    fn end_unused(&mut self) {
        self.begin_work();
        for phase in [Phase::Idle, Phase::Fresh] {
            for _ in 0..DEADLINES_PER_TURN_MAX {
                let front = self.lists.list(phase).front().filter(|_| !self.has_worked());
                let Some(index) = front else { break };
                let Some(token) = self.reactor.token_at(index as usize) else { break };
                // A request that arrived before the stop is answered.
                self.begin_head(token);
                if self.connection(token).phase() == phase {
                    self.close(token, Close::Graceful);
                }
            }
            if !self.lists.list(phase).is_empty() {
                self.lists.arm(self.now);
            }
        }
    }

    pub(super) fn stopping(&self) -> bool {
        STOPS && self.stop_deadline.is_some()
    }

    fn abort_all(&mut self) {
        let mut ended = 0;
        let first = self.aborted_below.max(1);
        for (index, connection) in self.connections.iter().enumerate().skip(first) {
            if connection.phase() == Phase::Free {
                continue;
            }
            if ended == DEADLINES_PER_TURN_MAX {
                // Nobody comes any more, so what is below is done with.
                self.aborted_below = index;
                return self.lists.arm(self.now);
            }
            if let Some(token) = self.reactor.token_at(index) {
                ended += 1;
                add(&self.common.stats.aborted);
                self.close(token, Close::Abort);
            }
        }
    }
}

impl<P: Transport, F: Future, H, const STOPS: bool> Drop for Driver<'_, '_, P, F, H, STOPS> {
    fn drop(&mut self) {
        for slot in 0..self.slots.capacity() {
            self.slots.remove(slot);
        }
        let sources = self.reactor.sources_max();
        for (index, connection) in self.connections.iter().enumerate().skip(1).take(sources) {
            // Looked at first: the pages of places that were never used stay untouched.
            if connection.phase() == Phase::Free {
                continue;
            }
            connection.phase.set(Phase::Free);
            if let Some(token) = self.reactor.token_at(index) {
                self.reactor.remove(token, Close::Abort);
            }
        }
        if let Some(listener) = self.listener.take() {
            self.reactor.remove(listener, Close::Graceful);
        }
        self.reactor.release_group(self.group);
    }
}
