//! A look into a server's tables while it serves, for tests: what is out, and whether it all fits.
//!
//! Layer: above the tables; nothing of the server uses it.

use dustdevil_core::poller::{Readiness, Token, Transport};
use dustdevil_core::reactor::Reactor;

use super::stats::StatsSnapshot;
use super::tables::{Phase, Shared, Stage, WANTS_BODY, WANTS_OUT};

/// See [`Server::probe`](super::Server::probe).
#[derive(Clone, Copy)]
pub struct Probe<'r> {
    pub(super) shared: &'r Shared<'r>,
}

impl Probe<'_> {
    /// The counters.
    pub fn stats(&self) -> StatsSnapshot {
        self.shared.common.stats.snapshot()
    }

    /// Slots that are in use.
    pub fn slots_out(&self) -> usize {
        self.shared.answers.len()
    }

    /// Head buffers that are in use.
    pub fn heads_out(&self) -> usize {
        self.shared.heads.len()
    }

    /// Head buffers whose handler has forgotten them: they belong to nobody any more.
    pub fn heads_lost(&self) -> usize {
        let heads = &self.shared.heads;
        let is_lost = |&index: &u32| {
            heads.entries()[index as usize].buffer.try_borrow_mut().is_none()
                && !self.is_held(index)
        };
        (1..heads.high_water()).filter(is_lost).count()
    }

    fn is_held(&self, head: u32) -> bool {
        self.shared.connections.iter().any(|connection| {
            let place = connection.place.get();
            let held = match connection.phase() {
                Phase::Head | Phase::AwaitSlot | Phase::AwaitBody => place,
                Phase::Slot => self.shared.answers.entries()[usize::from(place)]
                    .entry
                    .get()
                    .map_or(0, |entry| entry.index),
                _ => 0,
            };
            u32::from(held) == head
        })
    }

    /// Panics unless each buffer, slot and source that is out belongs to exactly one connection,
    /// and nothing that could go on is forgotten. To be called when the driver is at rest, that
    /// is after its future was polled. `is_queued`: whether a source is on the reactor's ready
    /// list; `is_woken`: whether any task is about to run.
    #[track_caller]
    pub fn check<P: Transport>(
        &self,
        reactor: &Reactor<'_, P>,
        is_queued: impl Fn(Token) -> bool,
        is_woken: bool,
    ) {
        let Shared { connections, heads, answers, .. } = self.shared;
        let (mut open, mut held, mut slots) = (0, 0, 0);
        for (index, connection) in connections.iter().enumerate().skip(1) {
            let (phase, place) = (connection.phase(), connection.place.get());
            if phase == Phase::Free {
                continue;
            }
            open += 1;
            let Some(token) = reactor.token_at(index) else {
                panic!("connection {index} in {phase:?} has no source")
            };
            match phase {
                Phase::Head | Phase::AwaitSlot | Phase::AwaitBody => held += 1,
                Phase::Slot => {
                    let answer = &answers.entries()[usize::from(place)];
                    assert_eq!(answer.token.get(), Some(token), "slot {place} of {index}");
                    held += 1;
                    slots += 1;
                }
                _ => assert_eq!(place, 0, "connection {index} in {phase:?} holds something"),
            }
            if !is_queued(token) && !is_woken {
                self.check_not_forgotten(index, phase, place, reactor.readiness(token));
            }
        }
        assert_eq!(slots, answers.len(), "slots that belong to no connection");
        assert_eq!(held + self.heads_lost(), heads.len(), "head buffers that belong to nobody");
        let stats = self.stats();
        assert_eq!(
            (stats.open, stats.in_work),
            (open, slots as u32),
            "open, in work: the counters"
        );
    }

    /// What a connection could use must not lie there unused.
    #[track_caller]
    fn check_not_forgotten(&self, index: usize, phase: Phase, place: u16, ready: Readiness) {
        let (readable, writable) =
            (ready.intersects(Readiness::READ), ready.intersects(Readiness::WRITE));
        match phase {
            Phase::Free => {}
            Phase::Fresh | Phase::Idle | Phase::Head => {
                assert!(!readable, "connection {index} in {phase:?} can be read: {ready:?}");
            }
            Phase::AwaitHead => {
                assert!(self.shared.heads.is_full(), "connection {index}: a head buffer is free");
            }
            Phase::AwaitSlot | Phase::AwaitBody => {
                assert!(self.shared.answers.is_full(), "connection {index}: a slot is free");
            }
            Phase::Slot => self.check_slot(index, place, readable, writable),
        }
    }

    #[track_caller]
    fn check_slot(&self, index: usize, place: u16, readable: bool, writable: bool) {
        let answer = &self.shared.answers.entries()[usize::from(place)];
        let (stage, wants) = (answer.stage.get(), answer.wants.get());
        let unsent = !answer.is_flushed();
        let why = match stage {
            _ if unsent && writable => "it can write",
            Stage::Handling if wants & WANTS_BODY != 0 && readable => "it can read its body",
            Stage::Handling if wants & WANTS_OUT != 0 && !unsent => "its out buffer is empty",
            Stage::Flushing if !unsent => "everything is sent",
            Stage::Draining if readable => "the rest of its body can be read",
            _ => return,
        };
        panic!("connection {index} in slot {place}, {stage:?}, does nothing although {why}");
    }
}
