//! The world of Linux: epoll for readiness, sockets for bytes.
//!
//! # System calls
//! A connection costs accept4 and one epoll_ctl when it comes, recv and send for each request, and
//! one close when it goes; epoll_wait is shared by all that became ready together. Sockets are
//! registered edge-triggered for everything at once, so nothing is ever registered again: a stream
//! that waits for another thing waits for another bit of what the reactor remembers. `accept`
//! never changes a socket's options: TCP_NODELAY is inherited from the listener. Nor does each end
//! in an accept4 that finds nobody: see `listeners`.
//!
//! # Invariants
//! - `Io(n)` is descriptor number `n`, owned by the table at place `n`: this is what keeps the
//!   crate free of `unsafe`. Numbers belong to the process, so a table is as long as the highest
//!   number that this poller ever had, 5 bytes each; beyond its capacity, a descriptor is closed
//!   and reported as [`ErrorKind::OutOfMemory`].
//! - Nothing allocates after [`Epoll::new`]; the tables' pages cost nothing until they are used.
//! - User data whose lower half is 0 is the poller's own: the reactor gives no token index 0 away.
//!
//! # Closing
//! A plain close is one system call, but a RST for the peer when input is unread or still to come,
//! and a RST can destroy a response on its last metres. What the poller knows decides (`State`):
//!
//! | | closed by |
//! |---|---|
//! | the peer's FIN was read, or an error | close |
//! | nothing was ever written | close: there is no response to lose |
//! | last written to in an earlier turn, nothing read since, the input drained: idle | close |
//! | anything else: a response was just written, or there is input left | shutdown, then linger |
//!
//! A lingering connection (three system calls more, [`LINGER`]) is registered once more, under
//! a number of the poller's own, and its events reach nobody else. A server that closes right after
//! a response thus pays for not knowing whether the peer has more to say. Dropping the poller
//! closes what still lingers.
//!
//! Sockets that were made elsewhere can be adopted ([`Epoll::adopt_stream`]); other descriptors
//! stay their owner's and are only watched, see [`watch`](crate::watch).
//!
//! Layer: stands on rustix, [`linger`](crate::linger) and [`unpark`](crate::unpark).
//!
//! ```
//! use dustdevil_core::poller::{Event, Poller, Readiness, Token, Transport};
//! use dustdevil_core::time::Instant;
//! use dustdevil_core::wake::{WakeTree, Wakes};
//! use dustdevil_std::epoll::Epoll;
//!
//! static WAKES: Wakes<1> = Wakes::new();
//! let mut epoll = Epoll::new()?;
//! let listener = epoll.listen(([127, 0, 0, 1], 0).into(), 16)?;
//! epoll.register(listener, Token::from_u64(1))?;
//! let peer = std::net::TcpStream::connect(epoll.local(listener).unwrap()).unwrap();
//!
//! let mut events = Vec::new();
//! epoll.poll(None, &WAKES, &mut |event| events.push(event))?;
//! assert_eq!(events, [Event { token: Token::from_u64(1), ready: Readiness::READ }]);
//! let (_, address) = epoll.accept(listener).unwrap();
//! assert_eq!(address, peer.local_addr().unwrap());
//! # Ok::<(), dustdevil_core::poller::Error>(())
//! ```

use std::cell::Cell;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::nb;
use dustdevil_core::poller::{Error, Event, Io, Poller, Readiness, Token, Transport};
use dustdevil_core::time::{Clock, Duration, Instant};
use dustdevil_core::wake::{Unpark, WakeTree};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketAddrAny, sockopt};
use rustix::process::{Resource, getrlimit};

use crate::clock::Monotonic;
#[cfg(doc)]
use crate::linger::LINGER;
use crate::linger::Lingering;
use crate::socket::{self, error};
use crate::unpark::Doorbell;
use listeners::Listeners;

mod datagram;
pub(crate) mod guest;
mod listeners;

/// How many events one poll takes from the kernel at most; the rest waits for the next.
pub const EVENTS_PER_POLL_MAX: usize = 256;

/// The longest table of descriptors that [`Epoll::new`] makes: what Linux allows a process by
/// default (`fs.nr_open`).
pub const DESCRIPTORS_MAX: usize = 1 << 20;

/// How often one accept passes over connections that died while they waited.
const ACCEPT_SKIPS_MAX: usize = 64;

/// The doorbell's user data; a lingering descriptor's is `(place + 1) << 32`.
const DOORBELL: u64 = 0;

/// The poller of Linux. See the [module](self).
pub struct Epoll {
    epoll: OwnedFd,
    table: Table,
    listeners: Listeners,
    lingering: Lingering,
    doorbell: &'static Doorbell,
    clock: Monotonic,
    /// What the clock said last; a wait is reckoned from there.
    now: Cell<Instant>,
    events: Vec<epoll::Event>,
    share_ports: bool,
    /// Which poll this is, modulo [`State::TURNS`].
    turn: u8,
}

impl Epoll {
    /// A poller with room for every descriptor that the process may open (`RLIMIT_NOFILE`), at
    /// most [`DESCRIPTORS_MAX`].
    ///
    /// # Errors
    /// [`ErrorKind::OutOfMemory`]: no descriptor is left. It takes one, and another unless a
    /// dropped poller left its [`Doorbell`].
    pub fn new() -> Result<Self, Error> {
        let limit = getrlimit(Resource::Nofile).current;
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        Self::with_descriptors(limit.min(DESCRIPTORS_MAX))
    }

    /// A poller with room for descriptor numbers below `descriptors_max`. A connection that is
    /// accepted under a higher number is closed and reported as [`ErrorKind::OutOfMemory`].
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_descriptors(descriptors_max: usize) -> Result<Self, Error> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(error)?;
        let doorbell = Doorbell::obtain()?;
        let epoll = Self {
            epoll,
            table: Table::with_capacity(descriptors_max),
            listeners: Listeners::new(),
            lingering: Lingering::new(),
            doorbell,
            clock: Monotonic::new(),
            now: Cell::new(Instant::ZERO),
            events: Vec::with_capacity(EVENTS_PER_POLL_MAX),
            share_ports: true,
            turn: 0,
        };
        // From here on a failure drops `epoll`, which gives the doorbell back.
        let (data, flags) = (EventData::new_u64(DOORBELL), EventFlags::IN | EventFlags::ET);
        epoll::add(&epoll.epoll, epoll.doorbell, data, flags).map_err(error)?;
        Ok(epoll)
    }

    /// Whether a listener made from now on lets other listeners of the same user have its port,
    /// the kernel spreading connections over them (`SO_REUSEPORT`). It does, unless told so here.
    pub fn share_ports(mut self, share: bool) -> Self {
        self.share_ports = share;
        self
    }

    /// The descriptor behind `io`, for what no trait here speaks of: a socket option, say.
    pub fn descriptor(&self, io: Io) -> Option<BorrowedFd<'_>> {
        self.table.get(io).map(OwnedFd::as_fd)
    }

    /// How many closed connections linger.
    pub fn lingering(&self) -> usize {
        self.lingering.len()
    }

    /// How long to wait: until `deadline`, or until a lingering connection's time is over.
    fn timeout(&self, deadline: Option<Instant>) -> Option<Duration> {
        let deadline = match (deadline, self.lingering.deadline()) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        deadline.map(|deadline| deadline - self.now.get())
    }

    /// Runs `make`, and again for each lingering connection that can be closed for the sake of
    /// the resources it holds.
    fn with_resources<T>(&mut self, make: impl Fn() -> Result<T, Errno>) -> Result<T, Error> {
        loop {
            match make() {
                Err(errno) if socket::out_of_resources(errno) && self.lingering.close_oldest() => {}
                made => return made.map_err(error),
            }
        }
    }

    /// Sends by `send` until that tells something.
    #[inline]
    fn send(
        &mut self,
        io: Io,
        send: impl Fn(&OwnedFd) -> Result<usize, Errno>,
    ) -> nb::Result<usize, Error> {
        let (connection, state) = self.table.entry(io).ok_or(Error::STALE)?;
        loop {
            match send(connection) {
                Ok(length) => {
                    state.written(self.turn);
                    return Ok(length);
                }
                Err(Errno::AGAIN) => return Err(nb::Error::WouldBlock),
                Err(Errno::INTR) => {}
                Err(errno) => {
                    state.set(State::ENDED, true);
                    return Err(nb::Error::Other(error(errno)));
                }
            }
        }
    }

    /// Shuts `descriptor` for writing and keeps it until its peer has closed too.
    fn linger(&mut self, descriptor: OwnedFd) {
        if rustix::net::shutdown(&descriptor, Shutdown::Write).is_err() {
            return; // dead already: nothing to wait for
        }
        let place = self.lingering.place();
        let data = EventData::new_u64((u64::from(place) + 1) << 32);
        // Level-triggered: input is thrown away in pieces. What is ready now is reported as well.
        let flags = EventFlags::IN | EventFlags::RDHUP;
        let known = match epoll::modify(&self.epoll, &descriptor, data, flags) {
            Err(Errno::NOENT) => epoll::add(&self.epoll, &descriptor, data, flags),
            known => known,
        };
        if known.is_ok() {
            self.lingering.push(descriptor, self.clock.now());
        }
    }
}

impl Drop for Epoll {
    fn drop(&mut self) {
        self.doorbell.give_back();
    }
}

impl Clock for Epoll {
    fn now(&self) -> Instant {
        let now = self.clock.now();
        self.now.set(now);
        now
    }

    fn unix_seconds(&self) -> Option<u64> {
        Some(crate::clock::unix_seconds())
    }
}

impl Poller for Epoll {
    fn register(&mut self, io: Io, token: Token) -> Result<(), Error> {
        let Some((descriptor, state)) = self.table.entry(io) else { return guest::register(io) };
        let flags = if state.is(State::LISTENER) {
            self.listeners.add(io, token)
        } else {
            EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET
        };
        debug_assert!(token.index() != 0, "index 0 is the poller's own");
        let data = EventData::new_u64(token.as_u64());
        epoll::add(&self.epoll, descriptor, data, flags).map_err(error)
    }

    fn poll(
        &mut self,
        deadline: Option<Instant>,
        wakes: &WakeTree,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<(), Error> {
        self.turn = (self.turn + 1) % State::TURNS;
        let timeout = self.timeout(deadline);
        let parked = timeout != Some(Duration::ZERO) && wakes.park();
        let timeout = if parked { timeout.map(timespec) } else { Some(timespec(Duration::ZERO)) };
        self.events.clear();
        let waited = epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout.as_ref());
        if parked {
            wakes.unparked();
        }
        match waited {
            // A signal ends a wait early, which is legal.
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(error(errno)),
        }
        let crowded = self.events.len() == EVENTS_PER_POLL_MAX;
        for event in &self.events {
            let (data, flags) = (event.data.u64(), event.flags);
            match (data as u32, (data >> 32) as u32) {
                (0, 0) => {} // the doorbell: to have returned is all it asks for
                (0, lingering) => self.lingering.discard(lingering - 1),
                _ => {
                    let token = Token::from_u64(data);
                    // Of a connection that is rare: it can be written to as well.
                    if !flags.contains(EventFlags::OUT) {
                        let descriptor = |io| self.table.get(io);
                        self.listeners.report(token, self.turn, crowded, &self.epoll, descriptor);
                    }
                    on_event(Event { token, ready: ready(flags) });
                }
            }
        }
        if self.lingering.deadline().is_some() {
            self.lingering.expire(self.clock.now());
        }
        Ok(())
    }

    fn unpark(&self) -> Option<&'static dyn Unpark> {
        Some(self.doorbell)
    }
}

impl Transport for Epoll {
    const SHORT_READ_DRAINS: bool = true;

    fn listen(&mut self, at: SocketAddr, backlog: u16) -> Result<Io, Error> {
        let share = self.share_ports;
        let listener = self.with_resources(|| socket::listening(at, backlog, share))?;
        self.table.insert(listener, State::LISTENER)
    }

    fn accept(&mut self, listener: Io) -> nb::Result<(Io, SocketAddr), Error> {
        if self.listeners.spares(listener) {
            return Err(nb::Error::WouldBlock);
        }
        for _ in 0..ACCEPT_SKIPS_MAX {
            let descriptor = self.table.get(listener).ok_or(Error::STALE)?;
            match rustix::net::acceptfrom_with(descriptor, socket::FLAGS) {
                Ok((connection, peer)) => {
                    let peer = peer.and_then(address).unwrap_or(UNKNOWN);
                    let io = self.table.insert(connection, State::NEW)?;
                    self.listeners.accepted(listener);
                    return Ok((io, peer));
                }
                Err(Errno::AGAIN) => {
                    self.listeners.nobody_waits(listener, &self.epoll, descriptor);
                    return Err(nb::Error::WouldBlock);
                }
                Err(Errno::INTR) => {}
                Err(errno) if socket::died_while_waiting(errno) => {}
                Err(errno) if socket::out_of_resources(errno) && self.lingering.close_oldest() => {}
                Err(errno) => return Err(nb::Error::Other(error(errno))),
            }
        }
        // Not WouldBlock, which would say that nobody waits.
        Err(nb::Error::Other(Error::new(ErrorKind::Interrupted)))
    }

    fn connect(&mut self, to: SocketAddr, from: Option<SocketAddr>) -> Result<Io, Error> {
        let connection = self.with_resources(|| socket::connecting(to, from))?;
        self.table.insert(connection, State::NEW)
    }

    /// The first read or write of a connection that could not be established takes its error
    /// (`SO_ERROR`) with it: there is no need to ask for that.
    fn read(&mut self, io: Io, buf: &mut [u8]) -> nb::Result<usize, Error> {
        debug_assert!(!buf.is_empty(), "an empty read looks like the end");
        let (connection, state) = self.table.entry(io).ok_or(Error::STALE)?;
        loop {
            match rustix::net::recv(connection, &mut *buf, RecvFlags::empty()) {
                Ok((_, length)) => {
                    state.read(length, buf.len());
                    return Ok(length);
                }
                Err(Errno::AGAIN) => {
                    state.set(State::UNREAD, false);
                    return Err(nb::Error::WouldBlock);
                }
                Err(Errno::INTR) => {}
                Err(errno) => {
                    state.set(State::ENDED, true);
                    return Err(nb::Error::Other(error(errno)));
                }
            }
        }
    }

    fn write(&mut self, io: Io, data: &[u8]) -> nb::Result<usize, Error> {
        debug_assert!(!data.is_empty(), "an empty write makes no progress");
        self.send(io, |connection| rustix::net::send(connection, data, SendFlags::NOSIGNAL))
    }

    /// One `sendmsg`: as `writev`, but without a SIGPIPE.
    fn write_vectored(&mut self, io: Io, head: &[u8], rest: &[u8]) -> nb::Result<usize, Error> {
        let parts = [IoSlice::new(head), IoSlice::new(rest)];
        self.send(io, |connection| {
            let mut nothing = SendAncillaryBuffer::default();
            rustix::net::sendmsg(connection, &parts, &mut nothing, SendFlags::NOSIGNAL)
        })
    }

    fn set_nodelay(&mut self, io: Io, on: bool) -> Result<(), Error> {
        let connection = self.table.get(io).ok_or(Error::STALE)?;
        match sockopt::set_tcp_nodelay(connection, on) {
            // A unix socket never waits.
            Err(Errno::OPNOTSUPP) => Ok(()),
            done => done.map_err(error),
        }
    }

    fn shutdown(&mut self, io: Io) {
        if let Some((connection, _)) = self.table.entry(io) {
            // It fails only for a connection that is dead, which a read will tell.
            let _ = rustix::net::shutdown(connection, Shutdown::Write);
        }
    }

    fn close(&mut self, io: Io) {
        let Some((descriptor, state)) = self.table.take(io) else { return };
        if state.is(State::LISTENER) {
            self.listeners.remove(io);
        }
        if state.owes_patience(self.turn) {
            self.linger(descriptor);
        }
    }

    fn abort(&mut self, io: Io) {
        if let Some((descriptor, state)) = self.table.take(io) {
            if state.is(State::LISTENER) {
                self.listeners.remove(io);
            }
            // "When enabled with a timeout of zero, close sends RST" (tcp(7), socket(7)).
            let _ = sockopt::set_socket_linger(&descriptor, Some(std::time::Duration::ZERO));
        }
    }

    fn peer(&self, io: Io) -> Option<SocketAddr> {
        address(rustix::net::getpeername(self.table.get(io)?).ok()??)
    }

    fn local(&self, io: Io) -> Option<SocketAddr> {
        address(rustix::net::getsockname(self.table.get(io)?).ok()?)
    }
}

/// What stands for a peer whose address the kernel did not tell.
const UNKNOWN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

fn address(any: SocketAddrAny) -> Option<SocketAddr> {
    any.try_into().ok()
}

/// What the kernel's flags say about the next read and write.
fn ready(flags: EventFlags) -> Readiness {
    let is_set = |flag: EventFlags, bit: Readiness| {
        if flags.contains(flag) { bit } else { Readiness::NONE }
    };
    let ready = is_set(EventFlags::IN, Readiness::READ) | is_set(EventFlags::OUT, Readiness::WRITE);
    let ends = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
    // Most events are no end: they are told apart at once.
    if flags.intersects(ends) { ready | ending(flags) } else { ready }
}

/// What follows from those flags that speak of an end.
#[cold]
fn ending(flags: EventFlags) -> Readiness {
    if flags.intersects(EventFlags::HUP | EventFlags::ERR) {
        Readiness::ALL
    } else {
        Readiness::READ | Readiness::CLOSED
    }
}

/// The longest that one epoll_wait knows, in microseconds; after it there is simply another turn.
const WAIT_MAX: u64 = i32::MAX as u64 * 1_000;

/// As rustix takes a wait. It makes milliseconds of it and rounds up, so that a wait of less than
/// one does not become a spin; a test holds it to that.
fn timespec(wait: Duration) -> Timespec {
    let micros = wait.as_micros().min(WAIT_MAX);
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    Timespec { tv_sec: seconds as i64, tv_nsec: rest as i64 * 1_000 }
}

/// The descriptors that a poller owns, by number, and what it knows about each.
struct Table {
    descriptors: Vec<Option<OwnedFd>>,
    states: Vec<State>,
}

const _: () = assert!(size_of::<Option<OwnedFd>>() + size_of::<State>() == 5);

impl Table {
    fn with_capacity(capacity: usize) -> Self {
        Self { descriptors: Vec::with_capacity(capacity), states: Vec::with_capacity(capacity) }
    }

    /// Takes `descriptor`, or closes it when its number is beyond the capacity.
    fn insert(&mut self, descriptor: OwnedFd, state: u8) -> Result<Io, Error> {
        let number = descriptor.as_raw_fd().cast_unsigned();
        let place = number as usize;
        if place >= self.descriptors.capacity().min(self.states.capacity()) {
            return Err(Error::new(ErrorKind::OutOfMemory));
        }
        if place >= self.descriptors.len() {
            // Within the capacity, so this does not allocate.
            self.descriptors.resize_with(place + 1, || None);
            self.states.resize(place + 1, State(0));
        }
        self.descriptors[place] = Some(descriptor);
        self.states[place] = State(state);
        Ok(Io(number))
    }

    #[inline]
    fn entry(&mut self, io: Io) -> Option<(&OwnedFd, &mut State)> {
        let descriptor = self.descriptors.get(io.0 as usize)?.as_ref()?;
        Some((descriptor, self.states.get_mut(io.0 as usize)?))
    }

    fn get(&self, io: Io) -> Option<&OwnedFd> {
        self.descriptors.get(io.0 as usize)?.as_ref()
    }

    fn take(&mut self, io: Io) -> Option<(OwnedFd, State)> {
        let descriptor = self.descriptors.get_mut(io.0 as usize)?.take()?;
        Some((descriptor, *self.states.get(io.0 as usize)?))
    }
}

/// What decides how a descriptor is closed, and the turn of the last write in the lower bits.
#[derive(Clone, Copy)]
struct State(u8);

impl State {
    const NEW: u8 = 0;
    const LISTENER: u8 = 1 << 7;
    /// The peer's end of input, or an error, was read.
    const ENDED: u8 = 1 << 6;
    /// The last read filled its buffer: there may be more.
    const UNREAD: u8 = 1 << 5;
    /// Bytes were read since the last write: of a body whose end nobody may wait for, say.
    const HEARD: u8 = 1 << 4;
    const WRITTEN: u8 = 1 << 3;
    /// Turns are counted modulo this. That an older write looks like a recent one by chance costs
    /// a needless linger, no more.
    const TURNS: u8 = 8;

    fn is(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    #[inline]
    fn set(&mut self, bit: u8, on: bool) {
        self.0 = if on { self.0 | bit } else { self.0 & !bit };
    }

    /// So many bytes were read into a buffer of so many.
    #[inline]
    fn read(&mut self, length: usize, room: usize) {
        let seen = if length == 0 { Self::ENDED } else { Self::HEARD };
        let rest = if length == room { Self::UNREAD } else { 0 };
        self.0 = self.0 & !Self::UNREAD | seen | rest;
    }

    #[inline]
    fn written(&mut self, turn: u8) {
        self.0 = self.0 & !(Self::HEARD | (Self::TURNS - 1)) | Self::WRITTEN | turn;
    }

    /// Whether a plain close could destroy what the peer has yet to read. See "Closing" in the
    /// [module](self).
    fn owes_patience(self, turn: u8) -> bool {
        let is_idle = self.0 & (Self::UNREAD | Self::HEARD) == 0 && self.0 % Self::TURNS != turn;
        self.is(Self::WRITTEN) && !self.is(Self::ENDED) && !is_idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_keeps_its_microseconds_and_is_capped() {
        for (micros, seconds, nanos) in [
            (0, 0, 0),
            (1, 0, 1_000),
            (999_999, 0, 999_999_000),
            (1_000_001, 1, 1_000),
            (WAIT_MAX, 2_147_483, 647_000_000),
            (u64::MAX, 2_147_483, 647_000_000),
        ] {
            let timespec = timespec(Duration::from_micros(micros));
            assert_eq!((timespec.tv_sec, timespec.tv_nsec), (seconds, nanos), "{micros} us");
        }
    }

    #[test]
    fn flags_say_what_to_try() {
        let cases = [
            (EventFlags::empty(), "-"),
            (EventFlags::IN, "r"),
            (EventFlags::OUT, "w"),
            (EventFlags::RDHUP, "rc"),
            (EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP, "rwc"),
            (EventFlags::HUP, "rwcg"),
            (EventFlags::ERR, "rwcg"),
        ];
        for (flags, letters) in cases {
            assert_eq!(format!("{:?}", ready(flags)), letters, "{flags:?}");
        }
    }

    #[test]
    fn what_was_seen_decides_how_to_close() {
        type Step = fn(&mut State);
        const WRITE: Step = |state| state.written(3);
        const FULL_READ: Step = |state| state.set(State::UNREAD, true);
        const DRAINED: Step = |state| state.set(State::UNREAD, false);
        const HEAR: Step = |state| state.set(State::HEARD, true);
        const END: Step = |state| state.set(State::ENDED, true);
        // What happened, and whether close lingers in the turn of the write and in a later one.
        let cases: [(&[Step], [bool; 2]); 8] = [
            (&[], [false, false]),
            (&[FULL_READ], [false, false]),
            (&[FULL_READ, DRAINED, WRITE], [true, false]),
            (&[FULL_READ, WRITE], [true, true]),
            (&[HEAR, WRITE], [true, false]),
            (&[WRITE, HEAR], [true, true]),
            (&[WRITE, END], [false, false]),
            (&[WRITE, FULL_READ, DRAINED, END], [false, false]),
        ];
        for (number, (steps, lingers)) in cases.into_iter().enumerate() {
            let mut state = State(State::NEW);
            steps.iter().for_each(|step| step(&mut state));
            assert_eq!([3, 4].map(|turn| state.owes_patience(turn)), lingers, "case {number}");
        }
    }
}
