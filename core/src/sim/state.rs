//! The world's inside: the queue of what will happen, and what each happening does.
//!
//! Invariants: happenings are ordered by time, and among equals by the order in which they were
//! asked for; nothing here calls out: what concerns a peer becomes a [`Call`], which
//! [`World`](super::World) makes when nothing is borrowed.
//!
//! Layer: stands on [`link`](super::link); [`calls`](super::calls) adds what an end may ask for.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::task::Waker;
use std::boxed::Box;
use std::collections::{BTreeMap, VecDeque};
use std::vec::Vec;

use embedded_io::ErrorKind;

use super::datagrams::{Letter, Mailbox};
use super::faults::Faults;
use super::link::{ACCEPTOR, Fin, Link, OPENER, Owner, Side, Status};
use super::peer::{Peer, PeerEvent};
use super::rng::Rng;
use super::sources::Sources;
pub(super) use super::sources::{Kind, Source};
use super::trace::Trace;
use crate::poller::{Readiness, Token};

/// A SYN is sent this often before its sender gives up.
const SYN_ATTEMPTS_MAX: u32 = 6;
/// The world's time between two jumps of a clock: without it one that goes back would stand still.
const BEND_GAP_US: u64 = 5_000_000;
/// How many closed sources' tokens are remembered for late events.
const STALE_TOKENS: usize = 16;

/// What the world will do by itself.
pub(super) enum Happening {
    /// The oldest segment in flight from this end arrives.
    Segment { link: u32, from: Side },
    /// The end of what this end sends arrives.
    Fin { link: u32, from: Side },
    /// This end learns that the other one has read.
    Credit { link: u32, to: Side },
    /// This end learns that the connection is dead.
    Reset { link: u32, to: Side },
    /// The opener's request arrives, for the `attempt`th time.
    Syn { link: u32, attempt: u32 },
    /// The opener learns that the connection stands, or does not.
    Answer { link: u32, accepted: bool },
    /// This end has lingered long enough.
    LingerEnd { link: u32, side: Side },
    /// The network ends the connection.
    Sever { link: u32 },
    /// A peer's own timer.
    Timer { peer: u32, link: u32, side: Side, id: u32 },
    /// An event that was held back.
    Report { token: Token, ready: Readiness },
    /// A datagram arrives.
    Datagram(Letter),
    /// One of this socket's has left it.
    DatagramLeft { at: SocketAddr },
    /// What a test asked for.
    Action(Box<dyn FnOnce()>),
}

/// Something to be called when nothing is borrowed.
pub(super) enum Call {
    Peer { peer: u32, link: u32, side: Side, event: PeerEvent },
    MakePeer { at: SocketAddr, link: u32 },
    DatagramPeer { at: SocketAddr, letter: Letter },
    Action(Box<dyn FnOnce()>),
}

#[derive(Debug)]
pub(super) enum Listener {
    Io { io: u32, backlog_max: usize, queue: VecDeque<u32> },
    Peer,
}

pub(super) type Factory = Box<dyn FnMut() -> Box<dyn Peer>>;

pub(super) struct State {
    pub(super) seed: u64,
    pub(super) start_us: u64,
    pub(super) now_us: u64,
    /// How far the reactor's clock is ahead of the world's, or behind it.
    pub(super) clock_ahead_us: i64,
    /// When that may change next.
    bends_at_us: u64,
    sequence: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    pub(super) rng: Rng,
    pub(super) faults: Faults,
    pub(super) trace: Trace,
    pub(super) sources: Sources,
    /// Boxed: half of each node of the map is empty.
    pub(super) links: BTreeMap<u32, Box<Link>>,
    pub(super) links_made: u32,
    /// How many connections died while they waited to be accepted, and may be queued still.
    pub(super) dead_waiting: usize,
    pub(super) listeners: BTreeMap<SocketAddr, Listener>,
    pub(super) factories: BTreeMap<SocketAddr, Option<Factory>>,
    pub(super) mailboxes: BTreeMap<SocketAddr, Mailbox>,
    pub(super) peers: BTreeMap<u32, Box<dyn Peer>>,
    peers_made: u32,
    /// The peer that is being called and therefore not among the others.
    pub(super) peer_out: Option<u32>,
    pub(super) calls: VecDeque<Call>,
    pub(super) ready: VecDeque<(Token, Readiness)>,
    stale: VecDeque<Token>,
    /// Whether the world ran out of things to do, and who wants to know.
    pub(super) is_quiet: bool,
    pub(super) quiet_wakers: Vec<Waker>,
    pub(super) peers_gone_wakers: Vec<Waker>,
    pub(super) polls_idle: u32,
    pub(super) polls_at_instant: u32,
    /// Whether something was closed since the last poll.
    pub(super) has_closed: bool,
}

/// Notes a line in the trace, with the world's time before it.
macro_rules! note {
    ($state:expr, $($text:tt)*) => {
        $state.note(format_args!($($text)*))
    };
}
pub(super) use note;

impl State {
    pub(super) fn new(seed: u64, faults: Faults, start_us: u64) -> Self {
        Self {
            seed,
            start_us,
            now_us: start_us,
            clock_ahead_us: 0,
            bends_at_us: 0,
            sequence: 0,
            queue: BTreeMap::new(),
            rng: Rng::new(seed),
            faults,
            trace: Trace::new(),
            sources: Sources::default(),
            links: BTreeMap::new(),
            links_made: 0,
            dead_waiting: 0,
            listeners: BTreeMap::new(),
            factories: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
            peers: BTreeMap::new(),
            peers_made: 0,
            peer_out: None,
            calls: VecDeque::new(),
            ready: VecDeque::new(),
            stale: VecDeque::new(),
            is_quiet: false,
            quiet_wakers: Vec::new(),
            peers_gone_wakers: Vec::new(),
            polls_idle: 0,
            polls_at_instant: 0,
            has_closed: false,
        }
    }

    pub(super) fn note(&mut self, what: fmt::Arguments<'_>) {
        self.trace.line(self.now_us - self.start_us, what);
    }

    pub(super) fn after(&mut self, delay_us: u64, what: Happening) {
        let at = self.now_us.saturating_add(delay_us);
        self.schedule(at, what);
    }

    fn schedule(&mut self, at: u64, what: Happening) {
        self.is_quiet = false;
        self.sequence += 1;
        self.queue.insert((at, self.sequence), what);
    }

    pub(super) fn next_us(&self) -> Option<u64> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// Lets the next thing happen if its time has come.
    pub(super) fn step(&mut self) -> bool {
        if self.next_us().is_none_or(|at| at > self.now_us) {
            return false;
        }
        let Some((_, what)) = self.queue.pop_first() else { return false };
        match what {
            Happening::Segment { link, from } => self.segment_arrives(link, from),
            Happening::Fin { link, from } => self.fin_arrives(link, from),
            Happening::Credit { link, to } => self.credit_arrives(link, to),
            Happening::Reset { link, to } => self.dies(link, to, ErrorKind::ConnectionReset),
            Happening::Syn { link, attempt } => self.syn_arrives(link, attempt),
            Happening::Answer { link, accepted } => self.answer_arrives(link, accepted),
            Happening::LingerEnd { link, side } => self.linger_ends(link, side),
            Happening::Sever { link } => {
                if self.links.contains_key(&link) {
                    note!(self, "link {link}: cut by the network");
                    self.dies(link, OPENER, ErrorKind::ConnectionReset);
                    self.dies(link, ACCEPTOR, ErrorKind::ConnectionReset);
                }
            }
            Happening::Timer { peer, link, side, id } => {
                self.calls.push_back(Call::Peer { peer, link, side, event: PeerEvent::Timer(id) });
            }
            Happening::Report { token, ready } => self.ready.push_back((token, ready)),
            Happening::Datagram(letter) => self.datagram_arrives(letter),
            Happening::DatagramLeft { at } => self.datagram_left(at),
            Happening::Action(action) => self.calls.push_back(Call::Action(action)),
        }
        true
    }

    // Things that arrive.

    fn segment_arrives(&mut self, id: u32, from: Side) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let to = 1 - from;
        let Some(bytes) = link.ends[from].out.land() else { return };
        if matches!(link.ends[to].status, Status::Gone(_)) {
            return;
        }
        let owner = link.ends[to].owner;
        note!(self, "link {id}: {} bytes arrive at {to}", bytes.len());
        self.trace.bytes(&bytes);
        match owner {
            Owner::Io(_) | Owner::Peer(_) | Owner::Backlog => {
                if let Some(link) = self.links.get_mut(&id) {
                    link.ends[from].out.unread.extend(bytes);
                }
                self.notice(id, to, PeerEvent::Readable);
            }
            Owner::Lingering => self.give_credit(id, from, bytes.len()),
            Owner::Deaf | Owner::Nobody => self.send_reset(id, to),
        }
    }

    fn fin_arrives(&mut self, id: u32, from: Side) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let to = 1 - from;
        if matches!(link.ends[to].status, Status::Gone(_)) || link.ends[from].out.fin != Fin::Sent {
            return;
        }
        link.ends[from].out.fin = Fin::Arrived;
        note!(self, "link {id}: fin arrives at {to}");
        self.notice(id, to, PeerEvent::Fin);
        self.settle(id);
    }

    fn credit_arrives(&mut self, id: u32, to: Side) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let end = &mut link.ends[to];
        end.out.credit += core::mem::take(&mut end.out.credit_due);
        debug_assert!(end.out.credit + end.out.held() <= end.out.window, "more than the window");
        self.notice(id, to, PeerEvent::Writable);
    }

    /// `side` learns that its connection is dead.
    pub(super) fn dies(&mut self, id: u32, side: Side, why: ErrorKind) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let end = &mut link.ends[side];
        if matches!(end.status, Status::Gone(_)) || end.owner == Owner::Nobody {
            return;
        }
        end.status = Status::Gone(why);
        self.dead_waiting += usize::from(end.owner == Owner::Backlog);
        end.out.flight = VecDeque::new();
        if matches!(end.owner, Owner::Lingering | Owner::Deaf) {
            end.owner = Owner::Nobody;
        }
        let eaten = self.rng.hits(self.faults.reset_eats_unread_permille);
        let input = link.input(side);
        input.flight = VecDeque::new();
        if eaten {
            input.unread = VecDeque::new();
        }
        note!(self, "link {id}: dead at {side}: {why:?}");
        let refused = why != ErrorKind::ConnectionReset;
        self.notice(id, side, if refused { PeerEvent::Refused } else { PeerEvent::Reset });
        self.settle(id);
    }

    fn syn_arrives(&mut self, id: u32, attempt: u32) {
        let Some(link) = self.links.get(&id) else { return };
        if link.ends[OPENER].status != Status::Opening {
            return;
        }
        let (to, latency) = (link.ends[ACCEPTOR].address, link.latency_us);
        let Some(at) = self.listening_at(to) else {
            note!(self, "link {id}: nobody listens at {to}");
            self.after(latency, Happening::Answer { link: id, accepted: false });
            return;
        };
        let lost = self.rng.hits(self.faults.lose_syn_permille);
        let Some(listener) = self.listeners.get_mut(&at) else { return };
        let is_full = match listener {
            Listener::Io { backlog_max, queue, .. } => queue.len() >= *backlog_max,
            Listener::Peer => false,
        };
        if lost || is_full {
            note!(self, "link {id}: syn {attempt} lost, backlog full: {is_full}");
            if attempt < SYN_ATTEMPTS_MAX {
                let next = Happening::Syn { link: id, attempt: attempt + 1 };
                self.after(1_000_000 << attempt, next);
            } else {
                self.dies(id, OPENER, ErrorKind::TimedOut);
            }
            return;
        }
        let accepting = match listener {
            Listener::Io { io, queue, .. } => {
                queue.push_back(id);
                Some(*io)
            }
            Listener::Peer => None,
        };
        note!(self, "link {id}: syn {attempt} arrives at {to}");
        let answered_us = self.now_us + latency;
        let end = &mut self.links.get_mut(&id).expect("looked up above").ends[ACCEPTOR];
        end.status = Status::Open;
        // What this end sends must not overtake the answer to the SYN.
        end.out.arrival_last = answered_us;
        end.owner = Owner::Backlog;
        self.schedule(answered_us, Happening::Answer { link: id, accepted: true });
        match accepting {
            Some(io) => self.touch(io),
            None => self.calls.push_back(Call::MakePeer { at, link: id }),
        }
    }

    fn answer_arrives(&mut self, id: u32, accepted: bool) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let end = &mut link.ends[OPENER];
        if end.status != Status::Opening {
            return;
        }
        if accepted {
            end.status = Status::Open;
            note!(self, "link {id}: established");
            self.notice(id, OPENER, PeerEvent::Connected);
        } else {
            self.dies(id, OPENER, ErrorKind::ConnectionRefused);
        }
    }

    fn linger_ends(&mut self, id: u32, side: Side) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.ends[side].owner == Owner::Lingering {
            link.ends[side].owner = Owner::Deaf;
            note!(self, "link {id}: {side} lingers no more");
        }
    }

    // Who is told.

    /// Something changed for the owner of an end.
    fn notice(&mut self, id: u32, side: Side, event: PeerEvent) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let end = &mut link.ends[side];
        match end.owner {
            Owner::Io(io) => self.touch(io),
            Owner::Peer(peer) => {
                match event {
                    PeerEvent::Readable | PeerEvent::Fin if end.stopped => return,
                    PeerEvent::Writable if !end.blocked => return,
                    PeerEvent::Writable => end.blocked = false,
                    _ => {}
                }
                self.calls.push_back(Call::Peer { peer, link: id, side, event });
            }
            Owner::Backlog | Owner::Lingering | Owner::Deaf | Owner::Nobody => {}
        }
    }

    /// What is true of a source now.
    pub(super) fn readiness(&self, io: u32) -> Readiness {
        let Some(source) = self.sources.get(io) else { return Readiness::NONE };
        match source.kind {
            Kind::Listener(at) => match self.listeners.get(&at) {
                Some(Listener::Io { queue, .. }) if !queue.is_empty() => Readiness::READ,
                _ => Readiness::NONE,
            },
            Kind::Socket(at) => self.mailbox_readiness(at),
            Kind::End(link, side) => {
                let Some(link) = self.links.get(&link) else { return Readiness::NONE };
                let (end, input) = (&link.ends[side], &link.ends[1 - side].out);
                let mut ready = match end.status {
                    Status::Opening => return Readiness::NONE,
                    Status::Gone(_) => return Readiness::ALL,
                    Status::Open => Readiness::NONE,
                };
                if !input.unread.is_empty() {
                    ready |= Readiness::READ;
                }
                if input.fin == Fin::Arrived {
                    ready |= Readiness::READ | Readiness::CLOSED;
                }
                if end.out.credit > 0 || end.out.fin != Fin::None {
                    ready |= Readiness::WRITE;
                }
                ready
            }
        }
    }

    /// Reports what became true of a source and was not reported yet.
    pub(super) fn touch(&mut self, io: u32) {
        let truth = self.readiness(io);
        let Some(source) = self.sources.get_mut(io) else { return };
        // Without a token nothing can be said; `register` reports everything.
        let Some(token) = source.token else { return };
        let mut ready = truth.without(source.reported);
        if ready == Readiness::NONE {
            return;
        }
        if ready.intersects(Readiness::CLOSED) {
            ready |= Readiness::READ;
        }
        // Of one that was never established, `WRITE` alone would say that it is.
        let is_known = source.reported.intersects(Readiness::WRITE);
        let may_split = is_known || !ready.intersects(Readiness::GONE);
        source.reported |= ready;
        self.report(token, ready, may_split);
    }

    fn report(&mut self, token: Token, ready: Readiness, may_split: bool) {
        if self.rng.hits(self.faults.split_event_permille) && may_split {
            self.report_parts(token, ready);
        }
        self.report_whole(token, ready);
        if self.rng.hits(self.faults.repeated_event_permille) {
            let late_us = self.rng.range(0, self.faults.late_event_us.1);
            self.after(late_us, Happening::Report { token, ready });
        }
    }

    /// Reports bits one by one before all of them are, as far as one may be set without another.
    fn report_parts(&mut self, token: Token, ready: Readiness) {
        let mut parts = [Readiness::READ, Readiness::WRITE];
        if self.rng.range(0, 1) == 1 {
            parts.swap(0, 1);
        }
        let closed = if ready.intersects(Readiness::GONE) {
            Readiness::READ | Readiness::CLOSED
        } else {
            Readiness::NONE
        };
        for part in [parts[0], parts[1], closed] {
            if part != Readiness::NONE && ready.contains(part) && part != ready {
                self.report_whole(token, part);
            }
        }
    }

    fn report_whole(&mut self, token: Token, ready: Readiness) {
        if self.rng.hits(self.faults.drop_event_permille) {
            note!(self, "event {ready:?} of {} is dropped, on purpose", token.index());
        } else if self.rng.hits(self.faults.late_event_permille) {
            let (least, most) = self.faults.late_event_us;
            let late_us = self.rng.range(least, most);
            self.after(late_us, Happening::Report { token, ready });
        } else {
            self.ready.push_back((token, ready));
        }
    }

    /// An operation said that it would block: from now on these bits are news again.
    pub(super) fn disprove(&mut self, io: u32, ready: Readiness) {
        if let Some(source) = self.sources.get_mut(io) {
            source.reported = source.reported.without(ready);
        }
    }

    /// What the reactor's clock shows.
    pub(super) const fn clock_us(&self) -> u64 {
        self.now_us.saturating_add_signed(self.clock_ahead_us)
    }

    /// The world's time when the reactor's clock will show `at_us`, if it goes on evenly.
    pub(super) const fn when_clock_shows(&self, at_us: u64) -> u64 {
        if at_us == u64::MAX { at_us } else { at_us.saturating_sub_signed(self.clock_ahead_us) }
    }

    /// Lets the reactor's clock jump, as the faults say.
    pub(super) fn bend_clock(&mut self) {
        if self.now_us < self.bends_at_us {
            return;
        }
        let (ahead, back) = (self.faults.clock_jump_us, self.faults.clock_back_us);
        if self.rng.hits(self.faults.clock_jump_permille) {
            let jump_us = self.rng.range(ahead.0, ahead.1);
            self.clock_ahead_us = self.clock_ahead_us.saturating_add_unsigned(jump_us);
            self.bends_at_us = self.now_us + BEND_GAP_US;
            note!(self, "the clock jumps by {jump_us} us");
        }
        if self.rng.hits(self.faults.clock_back_permille) {
            let jump_us = self.rng.range(back.0, back.1).min(self.clock_us());
            self.clock_ahead_us = self.clock_ahead_us.saturating_sub_unsigned(jump_us);
            self.bends_at_us = self.now_us + BEND_GAP_US;
            note!(self, "the clock goes back by {jump_us} us");
        }
    }

    /// Adds events that mean nothing, as the contract allows.
    pub(super) fn add_spurious_events(&mut self) {
        if self.rng.hits(self.faults.spurious_event_permille) && self.sources.numbers() > 0 {
            let at = self.rng.index(self.sources.numbers());
            let ready = Readiness::from_bits(self.rng.range(1, 3) as u8);
            if let Some(&Source { token: Some(token), kind, .. }) = self.sources.get(at as u32) {
                let ready = if self.is_opening(kind) { Readiness::READ } else { ready };
                self.ready.push_back((token, ready));
            }
        }
        if self.rng.hits(self.faults.stale_event_permille) && !self.stale.is_empty() {
            let at = self.rng.index(self.stale.len());
            self.ready.push_back((self.stale[at], Readiness::ALL));
        }
    }

    // Numbers and addresses.

    /// Takes a number back; its token is remembered for late events.
    pub(super) fn remove_source(&mut self, io: u32) -> Source {
        self.has_closed = true;
        let Some(source) = self.sources.remove(io) else {
            panic!("world {:#x}: io {io} is closed twice, or was never open", self.seed);
        };
        if let Some(token) = source.token {
            self.stale.push_back(token);
            if self.stale.len() > STALE_TOKENS {
                self.stale.pop_front();
            }
        }
        source
    }

    /// Whether a source is a connection that is still being made.
    fn is_opening(&self, kind: Kind) -> bool {
        let Kind::End(link, side) = kind else { return false };
        self.links.get(&link).is_some_and(|link| link.ends[side].status == Status::Opening)
    }

    /// The listener that answers for `to`: at that very address, or at any address of that port.
    fn listening_at(&self, to: SocketAddr) -> Option<SocketAddr> {
        let any: IpAddr = match to {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        [to, SocketAddr::new(any, to.port())].into_iter().find(|at| self.listeners.contains_key(at))
    }

    pub(super) const fn next_peer(&mut self) -> u32 {
        self.peers_made += 1;
        self.peers_made
    }

    /// Forgets a link that nobody will ask for again.
    pub(super) fn settle(&mut self, id: u32) {
        if self.links.get(&id).is_some_and(|link| link.is_over()) {
            self.links.remove(&id);
            note!(self, "link {id}: over");
        }
    }
}
