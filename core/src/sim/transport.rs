//! The reactor's side of a world: a [`Poller`] and [`Transport`] over simulated connections.
//!
//! Invariants: those of the [contract](crate::poller), and no more: what the contract does not
//! promise, this does not do for long. Using a number after it was given up is a bug of the
//! caller's, and a panic here.
//!
//! Layer: stands on [`World`] and [`calls`](super::calls).

use core::net::SocketAddr;
use std::collections::VecDeque;

use embedded_io::ErrorKind;

use super::link::{ACCEPTOR, Fin, Link, Owner, Side, Status};
use super::state::{Kind, Listener, State, note};
use super::world::World;
use crate::poller::{Error, Event, Io, Poller, Readiness, Token, Transport};
use crate::time::{Clock, Instant};
use crate::wake::WakeTree;

/// Where ports come from for a listener that leaves the choice.
pub(super) const PORT_CHOSEN_FIRST: u16 = 40_000;

/// Every world begins at RFC 9110's example of a date: Sun, 06 Nov 1994 08:49:37 GMT.
const UNIX_SECONDS_AT_START: u64 = 784_111_777;

/// The simulator's poller. `SHORT_READ_DRAINS` chooses what it promises as a
/// [transport](Transport::SHORT_READ_DRAINS): `Sim` as epoll does, `Sim<false>` as smoltcp does.
#[derive(Clone, Debug)]
pub struct Sim<const SHORT_READ_DRAINS: bool = true> {
    pub(super) world: World,
}

impl<const SHORT_READ_DRAINS: bool> Sim<SHORT_READ_DRAINS> {
    /// The poller of `world`. A world has one reactor at a time, for its clock waits with it.
    pub fn new(world: &World) -> Self {
        Self { world: world.clone() }
    }

    /// The world that it polls.
    pub const fn world(&self) -> &World {
        &self.world
    }

    fn write_some(&mut self, io: Io, data: &[u8], whole: bool) -> nb::Result<usize, Error> {
        assert!(!data.is_empty(), "a write of nothing");
        let mut state = self.world.state();
        let (id, side) = state.end_of(io, "write");
        let link = state.link(id);
        match link.ends[side].status {
            Status::Opening => return state.would_block(io, Readiness::WRITE, "write"),
            Status::Gone(why) => return Err(nb::Error::Other(Error::new(why))),
            Status::Open => {}
        }
        let out = &link.ends[side].out;
        if out.fin != Fin::None {
            return Err(nb::Error::Other(Error::new(ErrorKind::BrokenPipe)));
        }
        let credit = out.credit;
        let must_wait = whole && credit < data.len() && data.len() <= out.window;
        if must_wait && credit > 0 && state.faults.write_whole_waits {
            // There is room, but not enough, and that is no news: the next credit is. Some will
            // come, for what the window lacks is on its way or unread.
            state.disprove(io.0, Readiness::WRITE);
            note!(state, "io {}: write of {} bytes waits for room", io.0, data.len());
            return Err(nb::Error::WouldBlock);
        }
        if credit == 0 || state.refuses_for_no_reason() {
            return state.would_block(io, Readiness::WRITE, "write");
        }
        // What should leave in one piece is taken in one piece where that can be.
        let permille = state.faults.short_write_permille;
        if whole && state.faults.write_whole_waits {
            state.faults.short_write_permille = 0;
        }
        let count = state.send(id, side, data);
        state.faults.short_write_permille = permille;
        note!(state, "io {}: wrote {count} of {} bytes", io.0, data.len());
        Ok(count)
    }
}

impl<const SHORT_READ_DRAINS: bool> Clock for Sim<SHORT_READ_DRAINS> {
    fn now(&self) -> Instant {
        self.world.clock()
    }

    fn unix_seconds(&self) -> Option<u64> {
        let state = self.world.state();
        let elapsed_us = state.clock_us().saturating_sub(state.start_us);
        Some(UNIX_SECONDS_AT_START + elapsed_us / 1_000_000)
    }
}

impl<const SHORT_READ_DRAINS: bool> Poller for Sim<SHORT_READ_DRAINS> {
    fn register(&mut self, io: Io, token: Token) -> Result<(), Error> {
        let mut state = self.world.state();
        let Some(source) = state.sources.get_mut(io.0) else { return Err(Error::STALE) };
        assert!(source.token.is_none(), "io {} is registered twice", io.0);
        source.token = Some(token);
        note!(state, "io {}: registered as {:#x}", io.0, token.as_u64());
        state.touch(io.0);
        Ok(())
    }

    fn poll(
        &mut self,
        deadline: Option<Instant>,
        wakes: &WakeTree,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<(), Error> {
        self.world.poll(deadline, wakes, on_event);
        Ok(())
    }
}

impl<const SHORT_READ_DRAINS: bool> Transport for Sim<SHORT_READ_DRAINS> {
    const SHORT_READ_DRAINS: bool = SHORT_READ_DRAINS;

    fn listen(&mut self, at: SocketAddr, backlog: u16) -> Result<Io, Error> {
        let mut state = self.world.state();
        let is_free = |at: &SocketAddr| !state.listeners.contains_key(at);
        let at = if at.port() == 0 {
            let mut chosen =
                (PORT_CHOSEN_FIRST..=u16::MAX).map(|port| SocketAddr::new(at.ip(), port));
            chosen.find(is_free).ok_or(Error::new(ErrorKind::AddrInUse))?
        } else if is_free(&at) {
            at
        } else {
            return Err(Error::new(ErrorKind::AddrInUse));
        };
        let io = state.sources.add(Kind::Listener(at));
        let backlog_max = usize::from(backlog).max(1);
        let listener = Listener::Io { io, backlog_max, queue: VecDeque::new() };
        state.listeners.insert(at, listener);
        note!(state, "io {io}: listens at {at}, backlog {backlog}");
        Ok(Io(io))
    }

    fn accept(&mut self, listener: Io) -> nb::Result<(Io, SocketAddr), Error> {
        let mut state = self.world.state();
        let Kind::Listener(at) = state.kind_of(listener, "accept") else {
            panic!("accept on io {}, which does not listen", listener.0)
        };
        state.drop_dead(at);
        let is_waiting = state.readiness(listener.0).intersects(Readiness::READ);
        if !is_waiting || state.refuses_for_no_reason() {
            return state.would_block(listener, Readiness::READ, "accept");
        }
        let permille = state.faults.accept_fail_permille;
        if state.sources.handles() >= state.faults.handles_max || state.rng.hits(permille) {
            note!(state, "io {}: accept fails, no handle is left", listener.0);
            return Err(nb::Error::Other(Error::new(ErrorKind::OutOfMemory)));
        }
        let waiting = match state.listeners.get_mut(&at) {
            Some(Listener::Io { queue, .. }) => queue.pop_front(),
            _ => None,
        };
        let Some(id) = waiting else {
            return state.would_block(listener, Readiness::READ, "accept");
        };
        let io = state.sources.add(Kind::End(id, ACCEPTOR));
        let link = state.link(id);
        link.ends[ACCEPTOR].owner = Owner::Io(io);
        let peer = link.ends[1 - ACCEPTOR].address;
        note!(state, "io {}: accepted link {id} from {peer} as io {io}", listener.0);
        Ok((Io(io), peer))
    }

    fn connect(&mut self, to: SocketAddr, from: Option<SocketAddr>) -> Result<Io, Error> {
        if from.is_some_and(|from| from.is_ipv4() != to.is_ipv4()) {
            return Err(Error::new(ErrorKind::AddrNotAvailable));
        }
        let mut state = self.world.state();
        if state.sources.handles() >= state.faults.handles_max {
            note!(state, "connect fails, no handle is left");
            return Err(Error::new(ErrorKind::OutOfMemory));
        }
        let has_ends =
            |from, link: &Link| link.ends[0].address == from && link.ends[1].address == to;
        if from.is_some_and(|from| state.links.values().any(|link| has_ends(from, link))) {
            return Err(Error::new(ErrorKind::AddrInUse));
        }
        let link = state.add_link(Owner::Nobody, to, from, 0);
        let io = state.sources.add(Kind::End(link, super::link::OPENER));
        state.link(link).ends[super::link::OPENER].owner = Owner::Io(io);
        note!(state, "io {io}: connects to {to} by link {link}");
        Ok(Io(io))
    }

    fn read(&mut self, io: Io, buf: &mut [u8]) -> nb::Result<usize, Error> {
        assert!(!buf.is_empty(), "a read into nothing");
        let mut state = self.world.state();
        let (id, side) = state.end_of(io, "read");
        let link = state.link(id);
        let (unread, ended) = (link.input(side).unread.len(), link.input_ended(side));
        if unread == 0 {
            return match link.ends[side].status {
                Status::Gone(why) => Err(nb::Error::Other(Error::new(why))),
                Status::Open if ended => {
                    note!(state, "io {}: read the end", io.0);
                    Ok(0)
                }
                _ => state.would_block(io, Readiness::READ, "read"),
            };
        }
        if state.refuses_for_no_reason() {
            return state.would_block(io, Readiness::READ, "read");
        }
        let mut asked = buf.len();
        let permille = if SHORT_READ_DRAINS { 0 } else { state.faults.short_read_permille };
        if state.rng.hits(permille) && asked.min(unread) > 1 {
            asked = state.rng.range(1, asked.min(unread) as u64 - 1) as usize;
        }
        let count = state.take(id, side, &mut buf[..asked]);
        note!(state, "io {}: read {count} of {} bytes", io.0, buf.len());
        state.trace.bytes(&buf[..count]);
        if SHORT_READ_DRAINS && count < buf.len() {
            // The reactor may take this as the end of what there is: the next arrival is news.
            // With CLOSED reported it will not, but a bit too many is legal.
            state.disprove(io.0, Readiness::READ);
            state.touch(io.0);
        }
        Ok(count)
    }

    fn write(&mut self, io: Io, data: &[u8]) -> nb::Result<usize, Error> {
        self.write_some(io, data, false)
    }

    fn write_whole(&mut self, io: Io, data: &[u8]) -> nb::Result<usize, Error> {
        self.write_some(io, data, true)
    }

    fn write_vectored(&mut self, io: Io, head: &[u8], rest: &[u8]) -> nb::Result<usize, Error> {
        if !self.world.state().faults.write_whole_waits {
            return self.write_some(io, &[head, rest].concat(), false);
        }
        if head.is_empty() {
            return self.write(io, rest);
        }
        let taken = self.write_whole(io, head)?;
        let all = taken == head.len();
        // What was taken stays taken; whatever stands in the way is met again by the next call.
        Ok(taken + if all { self.write(io, rest).unwrap_or(0) } else { 0 })
    }

    fn set_nodelay(&mut self, io: Io, on: bool) -> Result<(), Error> {
        let mut state = self.world.state();
        let (id, side) = state.end_of(io, "set_nodelay");
        note!(state, "io {}: nodelay {on}", io.0);
        state.link(id).ends[side].nodelay = on;
        Ok(())
    }

    fn shutdown(&mut self, io: Io) {
        let mut state = self.world.state();
        let (id, side) = state.end_of(io, "shutdown");
        note!(state, "io {}: shutdown", io.0);
        state.finish(id, side);
    }

    fn close(&mut self, io: Io) {
        let mut state = self.world.state();
        note!(state, "io {}: close", io.0);
        match state.remove_source(io.0).kind {
            Kind::Listener(at) => state.close_listener(at),
            Kind::End(id, side) => state.close_lingering(id, side),
            Kind::Socket(at) => state.close_mailbox(at),
        }
    }

    fn abort(&mut self, io: Io) {
        let mut state = self.world.state();
        note!(state, "io {}: abort", io.0);
        match state.remove_source(io.0).kind {
            Kind::Listener(at) => state.close_listener(at),
            Kind::End(id, side) => state.send_reset(id, side),
            Kind::Socket(at) => state.close_mailbox(at),
        }
    }

    fn peer(&self, io: Io) -> Option<SocketAddr> {
        let mut state = self.world.state();
        match state.sources.get(io.0)?.kind {
            Kind::Listener(_) | Kind::Socket(_) => None,
            Kind::End(id, side) => Some(state.link(id).ends[1 - side].address),
        }
    }

    fn local(&self, io: Io) -> Option<SocketAddr> {
        let mut state = self.world.state();
        match state.sources.get(io.0)?.kind {
            Kind::Listener(at) | Kind::Socket(at) => Some(at),
            Kind::End(id, side) => Some(state.link(id).ends[side].address),
        }
    }
}

impl State {
    pub(super) fn kind_of(&self, io: Io, what: &str) -> Kind {
        match self.sources.get(io.0) {
            Some(source) => source.kind,
            None => panic!("world {:#x}: {what} on io {}, which is not open", self.seed, io.0),
        }
    }

    fn end_of(&self, io: Io, what: &str) -> (u32, Side) {
        match self.kind_of(io, what) {
            Kind::End(id, side) => (id, side),
            kind => panic!("{what} on io {}, which is a {kind:?}", io.0),
        }
    }

    fn link(&mut self, id: u32) -> &mut Link {
        self.links.get_mut(&id).expect("a link lives as long as an end is owned")
    }

    pub(super) fn refuses_for_no_reason(&mut self) -> bool {
        self.rng.hits(self.faults.would_block_permille)
    }

    /// Says that an operation would block. If that is not so, an event will follow.
    pub(super) fn would_block<T>(
        &mut self,
        io: Io,
        bit: Readiness,
        what: &str,
    ) -> nb::Result<T, Error> {
        note!(self, "io {}: {what} would block", io.0);
        self.disprove(io.0, bit);
        self.touch(io.0);
        Err(nb::Error::WouldBlock)
    }

    /// Forgets connections that died while they waited to be accepted.
    fn drop_dead(&mut self, at: SocketAddr) {
        if self.dead_waiting == 0 {
            return;
        }
        let Some(Listener::Io { queue, .. }) = self.listeners.get_mut(&at) else { return };
        let waiting = core::mem::take(queue);
        let mut alive = VecDeque::with_capacity(waiting.len());
        for id in waiting {
            let Some(link) = self.links.get_mut(&id) else { continue };
            if link.ends[ACCEPTOR].status == Status::Open {
                alive.push_back(id);
            } else {
                link.ends[ACCEPTOR].owner = Owner::Nobody;
                self.dead_waiting -= 1;
                self.settle(id);
            }
        }
        if let Some(Listener::Io { queue, .. }) = self.listeners.get_mut(&at) {
            *queue = alive;
        }
    }

    /// Stops listening; who waits to be accepted is reset, as everywhere.
    fn close_listener(&mut self, at: SocketAddr) {
        if let Some(Listener::Io { queue, .. }) = self.listeners.remove(&at) {
            for id in queue {
                self.send_reset(id, ACCEPTOR);
            }
        }
    }
}
