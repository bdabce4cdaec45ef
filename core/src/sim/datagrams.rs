//! Datagrams of a simulated world: mailboxes by address, and letters that travel between them.
//!
//! ```text
//!   send_to --> on its way: lost | once | twice, each with a delay of its own --> mailbox --> read
//! ```
//!
//! Invariants: a letter is delivered whole or not at all; nothing keeps an order but equal delays;
//! a mailbox holds [`Faults::datagrams_max`](super::Faults) letters, and one more is lost.
//!
//! Layer: stands on [`state`](super::state); the reactor's side of it is [`Datagram`] of
//! [`Sim`](super::Sim).

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::boxed::Box;
use std::collections::VecDeque;
use std::vec::Vec;

use embedded_io::ErrorKind;

use super::state::{Call, Happening, Kind, State, note};
use super::transport::{PORT_CHOSEN_FIRST, Sim};
use super::world::World;
use crate::poller::{Datagram, Error, Io, Readiness};

/// The longest datagram over IPv4: 65,535 bytes without the headers.
const DATAGRAM_BYTES_MAX: usize = 65_507;

/// How long a datagram takes to leave its socket.
const LEAVES_AFTER_US: u64 = 10;

/// What a socket of the reactor's sends from when it is bound to no address of its own.
const OWN_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const OWN_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);

/// A datagram on its way.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    from: SocketAddr,
    to: SocketAddr,
    data: Vec<u8>,
}

/// What a peer does with a datagram.
type Answer = Box<dyn FnMut(SocketAddr, &[u8], &mut DatagramEnd<'_>)>;

/// Whose a mailbox is.
enum Holder {
    /// The reactor's, under this number.
    Io(u32),
    /// A peer's; `None` while it is called.
    Peer(Option<Answer>),
}

/// Where datagrams arrive.
pub(super) struct Mailbox {
    holder: Holder,
    received: VecDeque<Letter>,
    /// How many were handed over to be sent and have not left.
    leaving: usize,
    groups: Vec<IpAddr>,
}

impl Mailbox {
    const fn of(holder: Holder) -> Self {
        Self { holder, received: VecDeque::new(), leaving: 0, groups: Vec::new() }
    }
}

/// A peer's hold on its mailbox, for the length of one datagram.
pub struct DatagramEnd<'w> {
    world: &'w World,
    at: SocketAddr,
}

impl DatagramEnd<'_> {
    /// The world.
    pub const fn world(&self) -> &World {
        self.world
    }

    /// The own address.
    pub const fn address(&self) -> SocketAddr {
        self.at
    }

    /// Sends `data` to `to`, from here.
    pub fn send(&mut self, to: SocketAddr, data: &[u8]) {
        self.world.send_datagram(self.at, to, data);
    }
}

impl fmt::Debug for DatagramEnd<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramEnd").field("at", &self.at).finish()
    }
}

impl World {
    /// Lets somebody receive datagrams at `at`: `answer` is called with each, and its sender.
    ///
    /// # Panics
    /// When somebody does already.
    pub fn bind_peer(
        &self,
        at: SocketAddr,
        answer: impl FnMut(SocketAddr, &[u8], &mut DatagramEnd<'_>) + 'static,
    ) {
        let holder = Holder::Peer(Some(Box::new(answer)));
        let other = self.state().mailboxes.insert(at, Mailbox::of(holder));
        assert!(other.is_none(), "two receivers at {at}");
    }

    /// Lets a datagram be sent by whoever is at `from`, be it nobody.
    pub fn send_datagram(&self, from: SocketAddr, to: SocketAddr, data: &[u8]) {
        let mut state = self.state();
        note!(state, "datagram: {from} sends {} bytes to {to}", data.len());
        state.post(&Letter { from, to, data: data.to_vec() });
    }

    /// Calls the peer at `at` with what arrived for it.
    pub(super) fn call_datagram_peer(&self, at: SocketAddr, letter: &Letter) {
        let answer = match self.state().mailboxes.get_mut(&at).map(|mailbox| &mut mailbox.holder) {
            Some(Holder::Peer(answer)) => answer.take(),
            _ => None,
        };
        let Some(mut answer) = answer else { return };
        answer(letter.from, &letter.data, &mut DatagramEnd { world: self, at });
        if let Some(mailbox) = self.state().mailboxes.get_mut(&at) {
            mailbox.holder = Holder::Peer(Some(answer));
        }
    }
}

impl State {
    /// Puts a datagram on its way.
    fn post(&mut self, letter: &Letter) {
        self.trace.bytes(&letter.data);
        if self.rng.hits(self.faults.lose_datagram_permille) {
            note!(self, "datagram: lost");
            return;
        }
        let copies = 1 + u32::from(self.rng.hits(self.faults.repeat_datagram_permille));
        for _ in 0..copies {
            let (latency, jitter) = (self.faults.latency_us, self.faults.jitter_us);
            let delay_us = self.rng.range(latency.0, latency.1).max(1);
            let delay_us = delay_us + self.rng.range(jitter.0, jitter.1);
            self.after(delay_us, Happening::Datagram(letter.clone()));
        }
    }

    /// Who receives what is sent to `to`.
    fn receivers(&self, to: SocketAddr) -> Vec<SocketAddr> {
        let is_for_all = to.ip() == IpAddr::V4(Ipv4Addr::BROADCAST);
        if !is_for_all && !to.ip().is_multicast() {
            let any = SocketAddr::new(unspecified(to), to.port());
            let found = [to, any].into_iter().find(|at| self.mailboxes.contains_key(at));
            return found.into_iter().collect();
        }
        let is_receiver = |(at, mailbox): &(&SocketAddr, &Mailbox)| {
            at.port() == to.port()
                && at.is_ipv4() == to.is_ipv4()
                && (is_for_all || mailbox.groups.contains(&to.ip()))
        };
        self.mailboxes.iter().filter(is_receiver).map(|(at, _)| *at).collect()
    }

    pub(super) fn datagram_arrives(&mut self, letter: Letter) {
        let receivers = self.receivers(letter.to);
        if receivers.is_empty() {
            note!(self, "datagram: nobody receives at {}", letter.to);
        }
        for at in receivers {
            let most = self.faults.datagrams_max;
            let Some(mailbox) = self.mailboxes.get_mut(&at) else { continue };
            match mailbox.holder {
                Holder::Peer(_) => {
                    let letter = letter.clone();
                    self.calls.push_back(Call::DatagramPeer { at, letter });
                }
                Holder::Io(io) => {
                    let has_room = mailbox.received.len() < most;
                    if has_room {
                        mailbox.received.push_back(letter.clone());
                    }
                    let (len, from) = (letter.data.len(), letter.from);
                    note!(self, "datagram: {len} bytes from {from} at {at}, room: {has_room}");
                    self.touch(io);
                }
            }
        }
    }

    pub(super) fn datagram_left(&mut self, at: SocketAddr) {
        let Some(mailbox) = self.mailboxes.get_mut(&at) else { return };
        mailbox.leaving = mailbox.leaving.saturating_sub(1);
        if let Holder::Io(io) = mailbox.holder {
            self.touch(io);
        }
    }

    /// What is true of a socket now.
    pub(super) fn mailbox_readiness(&self, at: SocketAddr) -> Readiness {
        let Some(mailbox) = self.mailboxes.get(&at) else { return Readiness::NONE };
        let mut ready = Readiness::NONE;
        if !mailbox.received.is_empty() {
            ready |= Readiness::READ;
        }
        if mailbox.leaving < self.faults.datagrams_max {
            ready |= Readiness::WRITE;
        }
        ready
    }

    pub(super) fn close_mailbox(&mut self, at: SocketAddr) {
        self.mailboxes.remove(&at);
    }

    fn mailbox(&mut self, io: Io, what: &str) -> (SocketAddr, &mut Mailbox) {
        let Kind::Socket(at) = self.kind_of(io, what) else {
            panic!("{what} on io {}, which has no datagrams", io.0)
        };
        (at, self.mailboxes.get_mut(&at).expect("a mailbox lives as long as its socket"))
    }
}

fn unspecified(of: SocketAddr) -> IpAddr {
    match of {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

impl<const SHORT_READ_DRAINS: bool> Datagram for Sim<SHORT_READ_DRAINS> {
    fn bind(&mut self, at: SocketAddr) -> Result<Io, Error> {
        let mut state = self.world.state();
        if state.sources.handles() >= state.faults.handles_max {
            note!(state, "bind fails, no handle is left");
            return Err(Error::new(ErrorKind::OutOfMemory));
        }
        let is_free = |at: &SocketAddr| !state.mailboxes.contains_key(at);
        let ports =
            if at.port() == 0 { PORT_CHOSEN_FIRST..=u16::MAX } else { at.port()..=at.port() };
        let mut chosen = ports.map(|port| SocketAddr::new(at.ip(), port));
        let at = chosen.find(is_free).ok_or(Error::new(ErrorKind::AddrInUse))?;
        let io = state.sources.add(Kind::Socket(at));
        state.mailboxes.insert(at, Mailbox::of(Holder::Io(io)));
        note!(state, "io {io}: receives datagrams at {at}");
        Ok(Io(io))
    }

    fn recv_from(&mut self, io: Io, buf: &mut [u8]) -> nb::Result<(usize, SocketAddr), Error> {
        let mut state = self.world.state();
        let is_empty = state.mailbox(io, "recv_from").1.received.is_empty();
        if is_empty || state.refuses_for_no_reason() {
            return state.would_block(io, Readiness::READ, "recv_from");
        }
        let letter = state.mailbox(io, "recv_from").1.received.pop_front();
        let Some(Letter { from, data, .. }) = letter else { return Err(nb::Error::WouldBlock) };
        for (place, byte) in buf.iter_mut().zip(&data) {
            *place = *byte;
        }
        note!(state, "io {}: received {} bytes, for {}", io.0, data.len(), buf.len());
        Ok((data.len(), from))
    }

    fn send_to(&mut self, io: Io, data: &[u8], to: SocketAddr) -> nb::Result<(), Error> {
        let mut state = self.world.state();
        let most = state.faults.datagrams_max;
        let (at, mailbox) = state.mailbox(io, "send_to");
        let is_address = at.is_ipv4() == to.is_ipv4() && !to.ip().is_unspecified();
        if data.len() > DATAGRAM_BYTES_MAX || !is_address || to.port() == 0 {
            return Err(nb::Error::Other(Error::new(ErrorKind::InvalidInput)));
        }
        if mailbox.leaving >= most || state.refuses_for_no_reason() {
            return state.would_block(io, Readiness::WRITE, "send_to");
        }
        state.mailbox(io, "send_to").1.leaving += 1;
        let mut from = at;
        if at.ip().is_unspecified() {
            from.set_ip(if at.is_ipv4() { OWN_V4.into() } else { OWN_V6.into() });
        }
        note!(state, "io {}: sends {} bytes to {to}", io.0, data.len());
        state.after(LEAVES_AFTER_US, Happening::DatagramLeft { at });
        state.post(&Letter { from, to, data: data.to_vec() });
        Ok(())
    }

    fn join(&mut self, io: Io, group: IpAddr) -> Result<(), Error> {
        let mut state = self.world.state();
        let (at, mailbox) = state.mailbox(io, "join");
        if !group.is_multicast() || at.is_ipv4() != group.is_ipv4() {
            return Err(Error::new(ErrorKind::InvalidInput));
        }
        if !mailbox.groups.contains(&group) {
            mailbox.groups.push(group);
        }
        note!(state, "io {}: joins {group}", io.0);
        Ok(())
    }

    fn leave(&mut self, io: Io, group: IpAddr) -> Result<(), Error> {
        let mut state = self.world.state();
        let groups = &mut state.mailbox(io, "leave").1.groups;
        let before = groups.len();
        groups.retain(|joined| *joined != group);
        if groups.len() == before {
            return Err(Error::new(ErrorKind::AddrNotAvailable));
        }
        note!(state, "io {}: leaves {group}", io.0);
        Ok(())
    }
}
