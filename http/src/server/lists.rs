//! The lists of connections by phase, and their deadlines: a FIFO for each phase that has no slot.
//!
//! Invariants: between two steps of the driver a connection stands on the list of its phase, unless
//! that is `Free` or `Slot`; every list is sorted by `since`, because a phase's time is a constant;
//! so its deadline is its front's. (Within a step a connection whose request is answered at once
//! keeps its place among the idle ones: that it only moves to the end there is all that a request
//! costs.)
//!
//! Place: below the driver.

use core::cell::Cell;

use dustdevil_core::list::{self, List};
use dustdevil_core::time::{Duration, Instant, TICK_SHIFT};

use super::Limits;
use super::tables::{Connection, Phase};

/// The phases that have lists.
pub(super) const LISTED: [Phase; 6] =
    [Phase::Fresh, Phase::Idle, Phase::Head, Phase::AwaitHead, Phase::AwaitSlot, Phase::AwaitBody];

/// A list for each phase and the earliest deadline among them.
pub(super) struct Lists<'r> {
    connections: &'r [Connection],
    lists: [List; Phase::COUNT],
    spans: [u32; Phase::COUNT],
    /// When the owner is to look again: never later than the first deadline, perhaps earlier.
    pub(super) armed: Cell<Instant>,
}

impl<'r> Lists<'r> {
    pub(super) fn new(connections: &'r [Connection], limits: &Limits) -> Self {
        let mut spans = [u32::MAX; Phase::COUNT];
        for (phase, span_ms) in [
            (Phase::Fresh, limits.head_ms),
            (Phase::Idle, limits.idle_ms),
            (Phase::Head, limits.head_ms),
            (Phase::AwaitHead, limits.queue_ms),
            (Phase::AwaitSlot, limits.queue_ms),
            (Phase::AwaitBody, limits.queue_ms),
        ] {
            spans[phase as usize] = ticks(Duration::from_millis(u64::from(span_ms)));
        }
        Self { connections, lists: Default::default(), spans, armed: Cell::new(Instant::MAX) }
    }

    pub(super) fn list(&self, phase: Phase) -> &List {
        &self.lists[phase as usize]
    }

    /// Whether nobody waits for a slot.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(super) fn nobody_awaits_slot(&self) -> bool {
        self.list(Phase::AwaitSlot).is_empty() && self.list(Phase::AwaitBody).is_empty()
    }

    /// Who is given the next slot: whole requests come before those whose body has not come.
    pub(super) fn next_for_slot(&self) -> Option<u32> {
        self.list(Phase::AwaitSlot).front().or_else(|| self.list(Phase::AwaitBody).front())
    }

    /// How long a connection may be in `phase`.
    fn span(&self, phase: Phase) -> Duration {
        span(self.spans[phase as usize])
    }

    /// Moves connection `index` to the end of `phase`'s list; its time there begins now.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(super) fn enter(&self, index: u32, phase: Phase, now: Instant) {
        let connection = list::entry(self.connections, index as usize);
        let list = self.list(phase);
        connection.phase.set(phase);
        connection.since.set(now_ticks(now));
        if connection.listed.get() == phase && phase.is_listed() {
            return list.move_to_back(self.connections, index);
        }
        self.leave(index);
        if phase.is_listed() {
            if list.is_empty() {
                self.arm(now + self.span(phase));
            }
            connection.listed.set(phase);
            list.push_back(self.connections, index);
        }
    }

    /// Takes connection `index` off the list it stands on, if any.
    pub(super) fn leave(&self, index: u32) {
        let connection = list::entry(self.connections, index as usize);
        let listed = connection.listed.get();
        if listed.is_listed() {
            connection.listed.set(Phase::Free);
            self.list(listed).remove(self.connections, index);
        }
    }

    /// How long connection `index` has been in its phase.
    pub(super) fn age(&self, index: u32, now: Instant) -> Duration {
        span(now_ticks(now).wrapping_sub(list::entry(self.connections, index as usize).since.get()))
    }

    /// The front of `phase`'s list, when its time is over.
    pub(super) fn expired(&self, phase: Phase, now: Instant) -> Option<u32> {
        let index = self.list(phase).front()?;
        (self.age(index, now) >= self.span(phase)).then_some(index)
    }

    /// The front of `phase`'s list, when it has been there for `patience`; else looks again then.
    pub(super) fn overstayed(&self, phase: Phase, now: Instant, patience: Duration) -> Option<u32> {
        let index = self.list(phase).front()?;
        let age = self.age(index, now);
        if age >= patience {
            return Some(index);
        }
        self.arm(now + Duration::from_micros(patience.as_micros() - age.as_micros()));
        None
    }

    /// Looks again at `at`, if not before.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn arm(&self, at: Instant) {
        self.armed.set(self.armed.get().min(at));
    }

    /// Arms anew from the lists' fronts.
    pub(super) fn rearm(&self, now: Instant) {
        self.armed.set(Instant::MAX);
        for phase in LISTED {
            if self.overstayed(phase, now, self.span(phase)).is_some() {
                // A budget was used up before it was its turn.
                self.arm(now);
            }
        }
    }
}

/// Ticks of a span, rounded up.
fn ticks(span: Duration) -> u32 {
    u32::try_from((Instant::ZERO + span).ticks_ceil()).unwrap_or(u32::MAX)
}

fn span(ticks: u32) -> Duration {
    Duration::from_micros(u64::from(ticks) << TICK_SHIFT)
}

fn now_ticks(now: Instant) -> u32 {
    now.ticks() as u32
}
