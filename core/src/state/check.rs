//! The reactor's invariants as a checker, for the simulator's tests: it panics with what is wrong.
//!
//! Layer: a part of [`state`](super), compiled with the feature `sim` alone.

use std::vec;

use super::{LIVE, QUEUED, State};
use crate::list::Chained;
use crate::poller::{Readiness, Token};

impl State<'_> {
    /// Panics unless tables, lists and flags agree. Visits everything.
    #[track_caller]
    pub(crate) fn check(&self) {
        self.wheel.check();
        self.check_sources();
        self.check_waiters();
    }

    /// A source is queued exactly where its flag says so: on the list of its own group, once.
    fn check_sources(&self) {
        let entries = self.sources.entries();
        let mut queued = vec![false; entries.len()];
        for (number, group) in (1..).zip(self.groups) {
            let mut at = group.ready.front();
            while let Some(index) = at {
                let source = &entries[index as usize];
                assert!(!queued[index as usize], "source {index} is queued twice");
                queued[index as usize] = true;
                assert!(source.flag(QUEUED), "source {index} is queued and does not know it");
                assert_eq!(usize::from(source.group.get()), number, "source {index}: the group");
                at = Some(source.next().get()).filter(|&next| next != 0);
            }
        }
        let mut out = 0;
        for index in 1..self.sources.high_water() {
            let source = &entries[index as usize];
            let is_queued = queued[index as usize];
            assert_eq!(source.flag(QUEUED), is_queued, "source {index}: flag against list");
            out += usize::from(source.flag(LIVE) || is_queued);
            if !source.flag(LIVE) {
                assert_eq!(source.ready(), Readiness::NONE, "source {index} is gone and ready");
            }
        }
        assert_eq!(out, self.sources.len(), "sources that are lost");
    }

    /// Nobody waits for what is there already, and every waiter stands on a list.
    fn check_waiters(&self) {
        let mut linked = 0;
        let mut count = |head: u32, ready: Readiness| {
            let mut at = head;
            while at != 0 {
                linked += 1;
                assert!(linked <= self.waiters.len(), "a waiter is on a list and free");
                let waiter = &self.waiters.entries()[at as usize];
                let interest = Readiness::from_bits(waiter.interest.get());
                assert!(
                    !ready.intersects(interest),
                    "somebody waits for {interest:?}: it is there"
                );
                at = waiter.next.get();
            }
        };
        for index in 1..self.sources.high_water() {
            let source = &self.sources.entries()[index as usize];
            // Of any other the link is a list's. One that is gone has left its waiters: they would
            // be counted as lost.
            if source.flag(LIVE) && !source.is_grouped() {
                count(source.link.get(), source.ready());
            }
        }
        count(self.stop_waiters.get(), Readiness::NONE);
        assert_eq!(linked, self.waiters.len(), "waiters that are lost");
    }

    pub(crate) fn is_queued(&self, token: Token) -> bool {
        self.source(token).is_some_and(|source| source.flag(QUEUED))
    }

    /// Whether any task will run in the next turn.
    pub(crate) fn is_woken(&self) -> bool {
        self.main_woken.get()
            || self.wakes.any()
            || self.groups.iter().any(|group| !group.flagged.is_empty())
    }
}
