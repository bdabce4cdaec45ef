//! What a server counts: plain cells, always on.
//!
//! Place: written by the driver; read through [`Server::stats`](super::Server::stats) and
//! [`RequestHead::stats`](super::exchange::RequestHead::stats).

use core::cell::Cell;

use super::tables::Shared;

/// A server's counters since it started.
#[derive(Default)]
pub struct Stats<'r> {
    /// Where what is under way can be counted when it is asked for, rather than at each request.
    pub(super) tables: Cell<Option<&'r Shared<'r>>>,
    pub(super) accepted: Cell<u32>,
    pub(super) open: Cell<u32>,
    pub(super) open_peak: Cell<u32>,
    pub(super) shed: Cell<u32>,
    pub(super) requests: Cell<u32>,
    pub(super) rejected: Cell<u32>,
    pub(super) timed_out: Cell<u32>,
    pub(super) aborted: Cell<u32>,
}

/// A copy of [`Stats`] at one moment, to show or to add up over workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatsSnapshot {
    /// Connections accepted.
    pub accepted: u32,
    /// Connections now.
    pub open: u32,
    /// The most there were at once.
    pub open_peak: u32,
    /// Of those open, the ones of which no byte of a request was read yet.
    pub idle: u32,
    /// Connections closed to make room for others.
    pub shed: u32,
    /// Requests handed to a handler.
    pub requests: u32,
    /// Requests in work now.
    pub in_work: u32,
    /// Requests answered with an error before they reached a handler.
    pub rejected: u32,
    /// Deadlines that ended a connection or a request.
    pub timed_out: u32,
    /// Connections that ended in the middle of a response.
    pub aborted: u32,
}

impl Stats<'_> {
    /// The counters as they are now. All wrap at 32 bits.
    pub fn snapshot(&self) -> StatsSnapshot {
        let (slots, heads) =
            self.tables.get().map_or((0, 0), |tables| (tables.answers.len(), tables.heads.len()));
        StatsSnapshot {
            accepted: self.accepted.get(),
            open: self.open.get(),
            open_peak: self.open_peak.get(),
            idle: self.open.get().saturating_sub(heads as u32),
            shed: self.shed.get(),
            requests: self.requests.get(),
            in_work: slots as u32,
            rejected: self.rejected.get(),
            timed_out: self.timed_out.get(),
            aborted: self.aborted.get(),
        }
    }

    pub(super) fn opened(&self) {
        add(&self.accepted);
        add(&self.open);
        self.open_peak.set(self.open_peak.get().max(self.open.get()));
    }

    pub(super) fn closed(&self) {
        self.open.set(self.open.get() - 1);
    }
}

pub(super) fn add(counter: &Cell<u32>) {
    counter.set(counter.get().wrapping_add(1));
}
