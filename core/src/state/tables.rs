//! The entries of a reactor's tables.
//!
//! Invariant: an entry that is free or was never used is all zero bits, or equal to that in what is
//! read of it.
//!
//! Layer: a part of [`state`](super).

use core::cell::Cell;
use core::task::Waker;

use zerocopy::FromZeros;

use super::State;
use crate::list::{Chained, Queue};
use crate::poller::Readiness;
use crate::reactor::Group;
use crate::time::Instant;

/// One connection or listener. All zero bits: free.
#[derive(FromZeros)]
pub(crate) struct Source {
    pub(crate) io: Cell<u32>,
    pub(super) generation: Cell<u32>,
    /// Of a group's source the link of the ready list, of any other the first of the futures that
    /// wait for it; of a free one the link of the slab's free list.
    pub(super) link: Cell<u32>,
    pub(super) ready: Cell<u8>,
    pub(super) flags: Cell<u8>,
    pub(super) group: Cell<u8>,
}

const _: () = assert!(size_of::<Source>() == 16);

/// The source stands on its group's ready list.
pub(super) const QUEUED: u8 = 1;
/// The source is in use.
pub(super) const LIVE: u8 = 2;

impl Chained for Source {
    fn next(&self) -> &Cell<u32> {
        &self.link
    }
}

impl Source {
    pub(super) fn flag(&self, flag: u8) -> bool {
        self.flags.get() & flag != 0
    }

    pub(super) fn set(&self, flag: u8) {
        self.flags.set(self.flags.get() | flag);
    }

    pub(super) fn clear(&self, flag: u8) {
        self.flags.set(self.flags.get() & !flag);
    }

    /// Whether it belongs to a group, which alone waits for it.
    pub(super) fn is_grouped(&self) -> bool {
        self.group.get() != Group::NONE.0
    }

    pub(crate) fn ready(&self) -> Readiness {
        Readiness::from_bits(self.ready.get())
    }

    pub(crate) fn disprove(&self, bit: Readiness) {
        self.ready.set(self.ready().without(bit).bits());
    }
}

/// One future that waits for one interest of one source.
#[derive(Default)]
pub(super) struct Waiter {
    pub(super) next: Cell<u32>,
    pub(super) interest: Cell<u8>,
    pub(super) waker: Cell<Option<Waker>>,
}

/// Wakes those of the waiters on a list whose wait these bits end.
pub(super) type Waking = fn(&State<'_>, &Cell<u32>, Readiness);

impl Chained for Waiter {
    fn next(&self) -> &Cell<u32> {
        &self.next
    }
}

/// The link of a task's leaf on its group's list of flagged tasks.
#[derive(FromZeros)]
pub(super) struct TaskLink {
    pub(super) next: Cell<u32>,
    pub(super) queued: Cell<u8>,
}

impl Chained for TaskLink {
    fn next(&self) -> &Cell<u32> {
        &self.next
    }
}

/// What the reactor knows of a group.
pub(super) struct GroupState {
    pub(super) in_use: Cell<bool>,
    pub(super) first_task: Cell<u16>,
    pub(super) tasks: Cell<u16>,
    pub(super) ready: Queue,
    pub(super) flagged: Queue,
    pub(super) waker: Cell<Option<Waker>>,
    /// Whether `waker` is the main future's.
    pub(super) by_main: Cell<bool>,
    pub(super) deadline: Cell<Instant>,
}

impl GroupState {
    /// A group that nobody has.
    pub(super) fn free() -> Self {
        Self {
            in_use: Cell::new(false),
            first_task: Cell::new(0),
            tasks: Cell::new(0),
            ready: Queue::default(),
            flagged: Queue::default(),
            waker: Cell::new(None),
            by_main: Cell::new(false),
            deadline: Cell::new(Instant::MAX),
        }
    }
}
