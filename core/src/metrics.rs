//! What a reactor counts: plain cells, read at any time, cheap enough to be always on.
//!
//! Invariants: counters only grow and wrap at their width; nothing here decides anything.
//!
//! Layer: stands on [`time`](crate::time); the reactor writes it.

use core::cell::Cell;

use crate::time::Duration;

/// A reactor's counters since it started.
#[derive(Default)]
pub struct Metrics {
    turns: Cell<u64>,
    events: Cell<u64>,
    stale_events: Cell<u32>,
    timers: Cell<u64>,
    timers_refused: Cell<u32>,
    waiters_refused: Cell<u32>,
    tasks: Cell<u64>,
    budget_hits: Cell<u32>,
    sources: Cell<u32>,
    sources_peak: Cell<u32>,
    longest_turn: Cell<u64>,
    bytes_in: Cell<u64>,
    bytes_out: Cell<u64>,
}

/// A copy of [`Metrics`] at one moment, to show or to add up over workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Turns of the loop.
    pub turns: u64,
    /// Events the poller reported.
    pub events: u64,
    /// Events that came for a source that was gone already.
    pub stale_events: u32,
    /// Timers that fired.
    pub timers: u64,
    /// Sleeps that found the wheel full.
    pub timers_refused: u32,
    /// Waits for one source that found the table of waiters full.
    pub waiters_refused: u32,
    /// Flagged tasks that were handed to their group.
    pub tasks: u64,
    /// Loops that stopped at their budget and went on in the next turn.
    pub budget_hits: u32,
    /// Sources in the table now: connections and listeners.
    pub sources: u32,
    /// The most there were at once.
    pub sources_peak: u32,
    /// The longest that one turn kept everybody else waiting, in microseconds. Of turns that served
    /// a single event one in eight is measured.
    pub longest_turn_us: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
}

impl Metrics {
    /// The counters as they are now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            turns: self.turns.get(),
            events: self.events.get(),
            stale_events: self.stale_events.get(),
            timers: self.timers.get(),
            timers_refused: self.timers_refused.get(),
            waiters_refused: self.waiters_refused.get(),
            tasks: self.tasks.get(),
            budget_hits: self.budget_hits.get(),
            sources: self.sources.get(),
            sources_peak: self.sources_peak.get(),
            longest_turn_us: self.longest_turn.get(),
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
        }
    }

    /// Counts a loop that stopped at its budget; for layers above that have budgets of their own.
    pub fn add_budget_hit(&self) {
        self.budget_hits.set(self.budget_hits.get().wrapping_add(1));
    }

    pub(crate) fn turns(&self) -> u64 {
        self.turns.get()
    }

    pub(crate) fn add_turn(&self) {
        self.turns.set(self.turns.get().wrapping_add(1));
    }

    pub(crate) fn record_turn(&self, took: Duration) {
        self.longest_turn.set(self.longest_turn.get().max(took.as_micros()));
    }

    pub(crate) fn add_events(&self, count: u32) {
        self.events.set(self.events.get().wrapping_add(u64::from(count)));
    }

    pub(crate) fn add_stale_event(&self) {
        self.stale_events.set(self.stale_events.get().wrapping_add(1));
    }

    pub(crate) fn add_timer(&self) {
        self.timers.set(self.timers.get().wrapping_add(1));
    }

    pub(crate) fn add_timer_refused(&self) {
        self.timers_refused.set(self.timers_refused.get().wrapping_add(1));
    }

    pub(crate) fn add_waiter_refused(&self) {
        self.waiters_refused.set(self.waiters_refused.get().wrapping_add(1));
    }

    pub(crate) fn add_task(&self) {
        self.tasks.set(self.tasks.get().wrapping_add(1));
    }

    pub(crate) fn set_sources(&self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.sources.set(count);
        self.sources_peak.set(self.sources_peak.get().max(count));
    }

    pub(crate) fn add_bytes_in(&self, len: usize) {
        self.bytes_in.set(self.bytes_in.get().wrapping_add(len as u64));
    }

    pub(crate) fn add_bytes_out(&self, len: usize) {
        self.bytes_out.set(self.bytes_out.get().wrapping_add(len as u64));
    }
}
