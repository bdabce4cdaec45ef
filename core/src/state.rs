//! The reactor without its poller: tables, groups, flags, waiters and timers, compiled once.
//!
//! Invariants: those of [`reactor`](crate::reactor), which is the only one to call most of this;
//! nothing here touches the world.
//!
//! Layer: stands on the wheel, the wake tree, lists and the slab; the reactor stands on it.

#[cfg(feature = "sim")]
mod check;
mod tables;
mod waiting;

use core::cell::Cell;
use core::task::{Context, Poll, Waker};

use crate::list::entry;
use crate::memory::{self, Block};
use crate::metrics::Metrics;
use crate::poller::{Event, Io, Readiness, Token};
use crate::reactor::{Capacity, Group};
use crate::slab::Slab;
use crate::time::Instant;
use crate::wake::WakeTree;
use crate::wheel::{Timer, TimerId, TimerWheel, words};
pub(crate) use tables::Source;
use tables::{GroupState, LIVE, QUEUED, TaskLink, Waiter, Waking};

/// Timers fired in one turn at most; the rest fire in the next, which does not wait.
const TIMERS_PER_TURN_MAX: usize = 256;

/// Everything of a reactor that knows nothing of its poller: compiled once.
pub(crate) struct State<'m> {
    now: Cell<Instant>,
    pub(crate) sources: Slab<'m, Source>,
    waiters: Slab<'m, Waiter>,
    /// Set by the first waiter, so that a program in which all sources belong to servers links
    /// nothing that wakes others.
    waking: Cell<Option<Waking>>,
    /// Group 1 first.
    groups: &'m [GroupState],
    wheel: TimerWheel<'m>,
    /// Set by the first sleep.
    ticking: Cell<Option<&'static Ticking>>,
    sleepers: &'m [Cell<Option<Waker>>],
    /// By leaf; the main future's, leaf 0, stands on no list.
    task_links: &'m [TaskLink],
    pub(crate) wakes: &'static WakeTree,
    /// No group's deadline is before this; it may be earlier than all of them, which costs one
    /// turn.
    first_deadline: Cell<Instant>,
    /// The least deadline that found the wheel full.
    spare_deadline: Cell<Instant>,
    /// A group that the main future owns has something for it.
    main_woken: Cell<bool>,
    /// Events of the poll before this turn.
    last_batch: Cell<u32>,
    stopping: Cell<bool>,
    /// A task waits for [`Reactor::stop`].
    stop_awaited: Cell<bool>,
    /// Futures that do so and have wakers of their own.
    stop_waiters: Cell<u32>,
    pub(crate) metrics: Metrics,
}

/// What a turn does with the wheel. It is found through a pointer that the first sleep sets, so
/// that a program in which nobody ever sleeps links no wheel.
struct Ticking {
    fire: fn(&State<'_>, Instant),
    next_deadline: fn(&State<'_>) -> Instant,
}

static TICKING: Ticking = Ticking {
    fire: |state, now| state.fire_timers(now),
    next_deadline: |state| state.next_timer(),
};

/// The bytes of all tables.
pub(crate) const fn bytes(capacity: &Capacity) -> usize {
    memory::room::<Source>(capacity.sources + 1)
        + memory::room::<Waiter>(capacity.waiters + 1)
        + memory::room::<GroupState>(capacity.groups)
        + memory::room::<Timer>(capacity.timers)
        + memory::room::<u32>(words(capacity.timers))
        + memory::room::<Cell<Option<Waker>>>(capacity.timers)
        + memory::room::<TaskLink>(capacity.tasks)
}

impl<'m> State<'m> {
    pub(crate) fn new(
        mut memory: Block<'m>,
        capacity: Capacity,
        wakes: &'static WakeTree,
        now: Instant,
    ) -> Self {
        let block = &mut memory;
        let groups = block.fill(capacity.groups, |_| GroupState::free());
        let (nodes, slots) = (block.table(capacity.timers), block.table(words(capacity.timers)));
        Self {
            now: Cell::new(now),
            sources: Slab::new(block.table(capacity.sources + 1)),
            waiters: Slab::new(block.fill(capacity.waiters + 1, |_| Waiter::default())),
            waking: Cell::new(None),
            groups,
            wheel: TimerWheel::new(nodes, slots, now),
            ticking: Cell::new(None),
            sleepers: block.fill(capacity.timers, |_| Cell::new(None)),
            task_links: block.table(capacity.tasks),
            wakes,
            first_deadline: Cell::new(Instant::MAX),
            spare_deadline: Cell::new(Instant::MAX),
            main_woken: Cell::new(false),
            last_batch: Cell::new(0),
            stopping: Cell::new(false),
            stop_awaited: Cell::new(false),
            stop_waiters: Cell::new(0),
            metrics: Metrics::default(),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.now.get()
    }

    // ---- turns

    /// Reads the time, fires what is due, takes the flags; whether the main future was flagged.
    pub(crate) fn begin_turn(&self, now: Instant) -> bool {
        // A clock that went back is held, so that a deadline that was reached stays reached.
        let now = now.max(self.now.get());
        self.now.set(now);
        self.metrics.add_turn();
        if let Some(ticking) = self.ticking.get() {
            (ticking.fire)(self, now);
        }
        if self.first_deadline.get() <= now {
            self.pass_deadlines(now);
        }
        let mut main = false;
        if self.wakes.any() {
            main = self.take_flags();
            if self.wakes.any() {
                // A flagged task's owner was woken just now: it runs in this turn, or each request
                // would cost an empty wait.
                main |= self.take_flags();
            }
        }
        main | self.main_woken.take()
    }

    /// Wakes the groups whose deadline has come, and finds the first one again.
    fn pass_deadlines(&self, now: Instant) {
        let mut first = Instant::MAX;
        for group in self.groups {
            if group.deadline.get() <= now {
                group.deadline.set(Instant::MAX);
                self.wake_owner(group);
            }
            first = first.min(group.deadline.get());
        }
        self.first_deadline.set(first);
    }

    /// Wakes the owner of a group. That is almost always the main future, which is this reactor's
    /// own: for it a bit does what a flag, a fence and a scan do for others.
    fn wake_owner(&self, group: &GroupState) {
        if group.by_main.get() {
            self.main_woken.set(true);
        } else {
            wake_kept(&group.waker);
        }
    }

    /// Whether the turn under way is one of those whose length is measured.
    pub(crate) fn is_measured(&self) -> bool {
        self.last_batch.get() != 1 || self.metrics.turns().is_multiple_of(8)
    }

    /// Counts the events that the next turn will serve.
    pub(crate) fn end_turn(&self, batch: u32) {
        self.last_batch.set(batch);
        self.metrics.add_events(batch);
    }

    fn fire_timers(&self, now: Instant) {
        if self.spare_deadline.get() <= now {
            self.spare_deadline.set(Instant::MAX);
            self.wake_everybody();
        }
        for _ in 0..TIMERS_PER_TURN_MAX {
            let due = self.wheel.pop_expired(now);
            let Some(timer) = due else { return };
            self.metrics.add_timer();
            if let Some(waker) = entry(self.sleepers, timer.index()).take() {
                waker.wake();
            }
        }
        // The wheel's next deadline has passed, so the poller will not wait for the rest.
        self.metrics.add_budget_hit();
    }

    /// When the first sleeper is due, or the first that found the wheel full.
    fn next_timer(&self) -> Instant {
        self.wheel.next_deadline().unwrap_or(Instant::MAX).min(self.spare_deadline.get())
    }

    fn take_flags(&self) -> bool {
        let mut main = false;
        self.wakes.take(&mut |leaf| {
            if leaf == 0 {
                main = true;
            } else {
                self.flag_task(leaf as u32);
            }
        });
        main
    }

    fn flag_task(&self, leaf: u32) {
        let owner = self.groups.iter().find(|group| {
            let place = leaf.wrapping_sub(u32::from(group.first_task.get()));
            group.in_use.get() && place < u32::from(group.tasks.get())
        });
        // A leaf that nobody owns is a late waker of a server that has ended.
        let (Some(group), Some(link)) = (owner, self.task_links.get(leaf as usize)) else { return };
        if link.queued.replace(1) == 0 {
            group.flagged.push(self.task_links, leaf);
        }
        self.wake_owner(group);
    }

    fn wake_everybody(&self) {
        for leaf in 0..self.task_links.len() {
            self.wakes.wake(leaf);
        }
    }

    pub(crate) fn deadline(&self, until: Option<Instant>) -> Option<Instant> {
        if self.main_woken.get() || self.wakes.any() {
            return Some(Instant::ZERO);
        }
        let mut least = until.unwrap_or(Instant::MAX).min(self.first_deadline.get());
        if let Some(ticking) = self.ticking.get() {
            least = least.min((ticking.next_deadline)(self));
        }
        Some(least).filter(|&at| at != Instant::MAX)
    }

    pub(crate) fn deliver(&self, event: Event) {
        let Some(source) = self.source(event.token) else {
            self.metrics.add_stale_event();
            return;
        };
        source.ready.set((source.ready() | event.ready).bits());
        if source.is_grouped() {
            self.queue(source, event.token.index);
        } else if source.link.get() != 0 {
            self.wake_waiters(&source.link, source.ready());
        }
    }

    /// Puts a group's source on its list, once.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn queue(&self, source: &Source, index: u32) {
        if source.flag(QUEUED) {
            return;
        }
        source.set(QUEUED);
        let group = self.group_state(Group(source.group.get()));
        if group.ready.is_empty() {
            self.wake_owner(group);
        }
        group.ready.push(self.sources.entries(), index);
    }

    // ---- sources

    pub(crate) fn source(&self, token: Token) -> Option<&'m Source> {
        // An entry that was never used is all zero bits, and so not live.
        let source = self.sources.entries().get(token.index as usize)?;
        (source.generation.get() == token.generation && source.flag(LIVE)).then_some(source)
    }

    pub(crate) fn insert(&self, io: Io, group: Group) -> Option<Token> {
        let index = self.sources.allot()?;
        // The index was given out just now, so there is an entry.
        let source = entry(self.sources.entries(), index as usize);
        source.io.set(io.0);
        source.ready.set(0);
        source.flags.set(LIVE);
        source.group.set(group.0);
        self.metrics.set_sources(self.sources.len());
        Some(Token { index, generation: source.generation.get() })
    }

    pub(crate) fn remove(&self, token: Token) -> Option<Io> {
        let source = self.source(token)?;
        let io = Io(source.io.get());
        source.generation.set(source.generation.get().wrapping_add(1));
        source.clear(LIVE);
        if !source.is_grouped() {
            self.wake_waiters(&source.link, Readiness::ALL);
        }
        source.ready.set(0);
        // One that is queued is released when it is popped.
        if !source.flag(QUEUED) {
            self.sources.release(token.index);
        }
        self.metrics.set_sources(self.sources.len());
        Some(io)
    }

    pub(crate) fn readiness(&self, token: Token) -> Readiness {
        self.source(token).map_or(Readiness::NONE, Source::ready)
    }

    pub(crate) fn assign(&self, token: Token, group: Group) {
        let Some(source) = self.source(token) else { return };
        // Its link is that list's.
        assert!(!source.flag(QUEUED), "a source on its group's ready list is given to another");
        if !source.is_grouped() {
            // From now on its link is another list's.
            self.wake_waiters(&source.link, Readiness::ALL);
        }
        source.group.set(group.0);
        if group != Group::NONE && source.ready() != Readiness::NONE {
            self.queue(source, token.index);
        }
    }

    pub(crate) fn requeue(&self, token: Token) {
        if let Some(source) = self.source(token)
            && source.is_grouped()
        {
            self.queue(source, token.index);
        }
    }

    pub(crate) fn token_at(&self, index: usize) -> Option<Token> {
        let index = u32::try_from(index).ok()?;
        let source = self.sources.entry(index)?;
        source.flag(LIVE).then(|| Token { index, generation: source.generation.get() })
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(crate) fn next_ready(&self, group: Group) -> Option<Event> {
        let (queue, entries) = (&self.group_state(group).ready, self.sources.entries());
        loop {
            let index = queue.pop(entries)?;
            let source = entry(entries, index as usize);
            source.clear(QUEUED);
            if source.flag(LIVE) {
                let token = Token { index, generation: source.generation.get() };
                return Some(Event { token, ready: source.ready() });
            }
            self.sources.release(index);
            self.metrics.set_sources(self.sources.len());
        }
    }

    // ---- groups

    fn group_state(&self, group: Group) -> &'m GroupState {
        // Of no server's group, `NONE`, nothing is kept.
        entry(self.groups, usize::from(group.0).wrapping_sub(1))
    }

    pub(crate) fn group(&self, tasks: usize) -> Option<Group> {
        let number = self.groups.iter().position(|group| !group.in_use.get())?;
        let first = self.free_leaves(tasks)?;
        let group = entry(self.groups, number);
        group.in_use.set(true);
        group.first_task.set(first as u16);
        group.tasks.set(tasks as u16);
        Some(Group(number as u8 + 1))
    }

    /// The first of `count` leaves in a row that no group owns; leaf 0 is the main future's.
    fn free_leaves(&self, count: usize) -> Option<usize> {
        let used = |group: &&GroupState| group.in_use.get() && group.tasks.get() > 0;
        let mut first = 1;
        loop {
            let end = first + count;
            if end > self.task_links.len() {
                return None;
            }
            let clash = self.groups.iter().filter(used).find(|group| {
                let taken = usize::from(group.first_task.get());
                taken < end && first < taken + usize::from(group.tasks.get())
            });
            match clash {
                None => return Some(first),
                Some(group) => {
                    first = usize::from(group.first_task.get()) + usize::from(group.tasks.get());
                }
            }
        }
    }

    pub(crate) fn release_group(&self, group: Group) {
        while self.next_ready(group).is_some() {}
        while self.next_task(group).is_some() {}
        let group = self.group_state(group);
        group.waker.take();
        group.by_main.set(false);
        group.deadline.set(Instant::MAX);
        group.in_use.set(false);
    }

    pub(crate) fn set_deadline(&self, group: Group, at: Instant) {
        self.group_state(group).deadline.set(at);
        self.first_deadline.set(self.first_deadline.get().min(at));
    }

    pub(crate) fn await_group(&self, group: Group, waker: &Waker) {
        let group = self.group_state(group);
        if !holds(&group.waker, waker) {
            group.by_main.set(waker.will_wake(&self.wakes.waker(0)));
            group.waker.set(Some(waker.clone()));
        }
    }

    pub(crate) fn next_task(&self, group: Group) -> Option<usize> {
        let group = self.group_state(group);
        let leaf = group.flagged.pop(self.task_links)?;
        entry(self.task_links, leaf as usize).queued.set(0);
        self.metrics.add_task();
        Some(leaf as usize - usize::from(group.first_task.get()))
    }

    pub(crate) fn poll_task(&self, group: Group, cx: &mut Context<'_>) -> Poll<usize> {
        match self.next_task(group) {
            Some(task) => Poll::Ready(task),
            None => {
                self.await_group(group, cx.waker());
                Poll::Pending
            }
        }
    }

    pub(crate) fn task_waker(&self, group: Group, task: usize) -> Waker {
        let group = self.group_state(group);
        let tasks = usize::from(group.tasks.get());
        assert!(task < tasks, "task {task} of a group with {tasks}");
        self.wakes.waker(usize::from(group.first_task.get()) + task)
    }

    // ---- timers

    /// Wakes `waker` at `at`. `None`: the wheel is full; the waker's task is polled again when the
    /// least deadline that was refused has come, and arms its timer then.
    pub(crate) fn arm(&self, at: Instant, waker: &Waker) -> Option<TimerId> {
        if self.ticking.replace(Some(&TICKING)).is_none() {
            // Nobody moved the wheel so far.
            self.wheel.pop_expired(self.now());
        }
        let armed = self.wheel.insert(at);
        match armed {
            Ok(timer) => {
                entry(self.sleepers, timer.index()).set(Some(waker.clone()));
                Some(timer)
            }
            Err(_) => {
                self.metrics.add_timer_refused();
                self.spare_deadline.set(self.spare_deadline.get().min(at));
                None
            }
        }
    }

    /// Whether the timer still runs; if so, it wakes `waker` from now on.
    pub(crate) fn rearm(&self, timer: TimerId, waker: &Waker) -> bool {
        let running = self.wheel.contains(timer);
        if running {
            store_waker(entry(self.sleepers, timer.index()), waker);
        }
        running
    }

    pub(crate) fn disarm(&self, timer: TimerId) {
        if self.wheel.cancel(timer) {
            entry(self.sleepers, timer.index()).take();
        }
    }
}

/// Wakes whoever stands in the cell, and keeps it there: an owner that comes back with the same
/// waker need not store it again.
#[cfg_attr(not(target_os = "none"), cold)]
#[inline(never)]
fn wake_kept(cell: &Cell<Option<Waker>>) {
    let waker = cell.take();
    if let Some(waker) = &waker {
        waker.wake_by_ref();
    }
    cell.set(waker);
}

fn holds(cell: &Cell<Option<Waker>>, waker: &Waker) -> bool {
    let held = cell.take();
    let same = held.as_ref().is_some_and(|held| held.will_wake(waker));
    cell.set(held);
    same
}

/// Stores a clone of `waker`, unless one that wakes the same task is there.
fn store_waker(cell: &Cell<Option<Waker>>, waker: &Waker) {
    if !holds(cell, waker) {
        cell.set(Some(waker.clone()));
    }
}
