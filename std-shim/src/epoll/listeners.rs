//! Listeners: how many connections are accepted before the kernel is asked whether one more waits.
//!
//! To be told that nobody waits is dear: accept4 makes a descriptor, a socket and a file before it
//! looks, which is about a tenth of what all of a short connection costs. So listeners are
//! level-triggered, and once a share of connections was accepted the answer is `WouldBlock` without
//! a system call: if more wait, a later poll reports the listener again. The share is one, and
//! doubles with each poll in a row that reports it, so a crowd is let in within a few turns. Where
//! there is more to report than a poll takes, the listener has its turn among all others, and each
//! time the largest share. Whoever asks once more in the same turn has the kernel's own answer.
//!
//! A report that leads to no accept (a table is full, no descriptor is left) would come again with
//! every poll, and none would wait. So after the first of these the listener is edge-triggered,
//! until the kernel has said that nobody waits.
//!
//! Capacity: [`LISTENERS_MAX`]. Full: further listeners are edge-triggered for ever, and each
//! accept asks the kernel.
//!
//! Place: part of [`epoll`](super).

use std::os::fd::OwnedFd;

use dustdevil_core::poller::{Io, Token};
use rustix::event::epoll::{self, EventData, EventFlags};

use super::State;

/// How many listeners are level-triggered.
const LISTENERS_MAX: usize = 16;

/// The largest share.
const SHARE_MAX: u8 = 64;

/// The listeners that were registered.
pub(super) struct Listeners {
    entries: Vec<Listener>,
}

struct Listener {
    io: Io,
    token: Token,
    /// Reported with every poll while connections wait; else with each that comes.
    by_level: bool,
    /// Nothing came of the last report yet.
    is_open: bool,
    /// Connections to accept after a report before the first answer that the kernel is spared.
    share: u8,
    /// How many of them were accepted; [`TOLD`]: that answer was given.
    accepted: u8,
    /// The poll behind the last that reported it, modulo [`State::TURNS`]; that itself: none did.
    next_turn: u8,
}

/// More than any share.
const TOLD: u8 = u8::MAX;

impl Listeners {
    pub(super) fn new() -> Self {
        Self { entries: Vec::with_capacity(LISTENERS_MAX) }
    }

    /// Takes a listener up; how it is to be registered.
    pub(super) fn add(&mut self, io: Io, token: Token) -> EventFlags {
        if self.entries.len() == LISTENERS_MAX {
            return EventFlags::IN | EventFlags::ET;
        }
        self.entries.push(Listener {
            io,
            token,
            by_level: true,
            is_open: false,
            share: 1,
            accepted: 0,
            next_turn: State::TURNS,
        });
        EventFlags::IN
    }

    /// Forgets one that was closed.
    pub(super) fn remove(&mut self, io: Io) {
        self.entries.retain(|listener| listener.io != io);
    }

    fn find(&mut self, io: Io) -> Option<&mut Listener> {
        self.entries.iter_mut().find(|listener| listener.io == io)
    }

    /// Whether the kernel need not be asked: `WouldBlock` is the answer.
    pub(super) fn spares(&mut self, io: Io) -> bool {
        let Some(listener) = self.find(io) else { return false };
        let spares = listener.by_level && listener.accepted == listener.share;
        if spares {
            listener.accepted = TOLD;
        }
        spares
    }

    /// One was accepted.
    pub(super) fn accepted(&mut self, io: Io) {
        if let Some(listener) = self.find(io) {
            listener.is_open = false;
            listener.accepted = listener.accepted.saturating_add(1);
        }
    }

    /// The kernel says that nobody waits.
    pub(super) fn nobody_waits(&mut self, io: Io, epoll: &OwnedFd, descriptor: &OwnedFd) {
        let Some(listener) = self.find(io) else { return };
        (listener.is_open, listener.share) = (false, 1);
        if !listener.by_level {
            listener.watch(epoll, descriptor, EventFlags::IN);
        }
    }

    /// Takes note of a report of the source `token`, a listener perhaps, by poll `turn`; `crowded`:
    /// that poll had no room for all that could be reported.
    #[cold]
    pub(super) fn report<'d>(
        &mut self,
        token: Token,
        turn: u8,
        crowded: bool,
        epoll: &OwnedFd,
        descriptor: impl FnOnce(Io) -> Option<&'d OwnedFd>,
    ) {
        let found = self.entries.iter_mut().find(|listener| listener.token == token);
        let Some(listener) = found else { return };
        if listener.is_open
            && listener.by_level
            && let Some(descriptor) = descriptor(listener.io)
        {
            listener.watch(epoll, descriptor, EventFlags::IN | EventFlags::ET);
        }
        listener.share = match listener.next_turn == turn {
            _ if crowded => SHARE_MAX,
            true => (listener.share * 2).min(SHARE_MAX),
            false => 1,
        };
        (listener.is_open, listener.accepted) = (true, 0);
        listener.next_turn = (turn + 1) % State::TURNS;
    }
}

impl Listener {
    /// Registers it anew: what is ready now is reported once more. A kernel that refuses leaves
    /// things as they were, which costs turns or system calls, and loses nobody.
    fn watch(&mut self, epoll: &OwnedFd, descriptor: &OwnedFd, flags: EventFlags) {
        let data = EventData::new_u64(self.token.as_u64());
        if epoll::modify(epoll, descriptor, data, flags).is_ok() {
            self.by_level = !flags.contains(EventFlags::ET);
        }
    }
}
