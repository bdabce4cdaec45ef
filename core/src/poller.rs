//! The boundary to the world: what a [`Poller`] and a [`Transport`] promise, written once, here.
//!
//! Three worlds stand behind these traits: epoll on Linux, smoltcp on a board, and the simulator.
//! Everything above them sees sources, sticky bits and instants, never a descriptor or a packet.
//!
//! # The contract
//!
//! **Sources.** A poller names what it owns by [`Io`] numbers of its own choice. The reactor gives
//! each number a [`Token`] (index and generation) in [`Poller::register`], once for the life of the
//! source; events carry the token back. An event whose generation is stale is dropped by the
//! reactor, so a poller may deliver one late, but never under a token it was not given.
//!
//! **Readiness is a sticky hint.** The reactor keeps the bits of an [`Event`] until an operation
//! proves them wrong. A spurious bit is legal; a missing one is a bug. A poller therefore reports
//! each transition from "would block" to "would not" at least once after the operation that
//! returned [`nb::Error::WouldBlock`], and everything that is already ready once after `register`.
//! It need not report what was already reported and not disproved (edge-triggered is enough).
//! A bit is disproved by `WouldBlock`, and [`Readiness::READ`] also by a short read on a transport
//! that promises [`Transport::SHORT_READ_DRAINS`], unless [`Readiness::CLOSED`] is set: then there
//! is an end to be read still. `CLOSED` and `GONE` are never spurious, nor is `WRITE` of a
//! connection that is still being made. A transport that refused [`Transport::write_whole`] with
//! some room left reports `WRITE` again only when the room grew.
//!
//! **Ends.** `CLOSED` says that the peer will send no more (FIN) or that the connection is dead;
//! `GONE` that it is dead (RST, or an error). Both set `READ` as well, and `GONE` sets all bits:
//! the result of the next read or write is the truth, the bit only the reason to try.
//!
//! **Parking.** [`Poller::poll`] waits until the deadline, an event or a wake. Just before it
//! parks, when a wake can already end the wait, it calls [`WakeTree::park`]; if that refuses, it
//! does not wait. After the wait it calls [`WakeTree::unparked`]. A deadline is rounded up to what
//! the world can wait for, never down: waking early is a spin, waking late by one such unit is
//! legal. The wait may be reckoned from the last [`Clock::now`] that was asked of the poller: the
//! reactor asks at the beginning of each turn, and again before it parks unless the turn was a
//! light one.
//!
//! **Time.** [`Clock::now`] never goes backwards. The reactor reads it once a turn; within a turn
//! everything sees the same instant.
//!
//! **Closing.** [`Transport::close`] gives the number up at once; what was written is still sent
//! and then FIN; the poller lingers as long as it needs, and never answers unread input with a RST
//! that would destroy what the peer has yet to read, as far as its world lets it choose.
//! [`Transport::abort`] sends RST and forgets. After either, the number may be used again, under a
//! new token.
//!
//! **Datagrams.** A world may also have sockets for them ([`Datagram`]). Each is a source like the
//! others, closed by [`Transport::close`] or [`Transport::abort`], which do the same here, and
//! asked for its address by [`Transport::local`]; it has no peer and no end, so neither `CLOSED`
//! nor `GONE` is reported of it. `READ` says that one may be waiting, `WRITE` that there may be
//! room for one, and only `WouldBlock` disproves them: a short read has not emptied it, whatever
//! [`Transport::SHORT_READ_DRAINS`] says of streams. A datagram is sent and received whole, once at
//! the most in this world's care, and may be lost, repeated or overtaken on its way; one that finds
//! the receiver's buffer full is lost. What the network says of a datagram that was sent (ICMP) is
//! not reported: a socket that serves many must not fail for the sake of one of them.
//!
//! **Non-blocking calls** speak [`nb`] here and nowhere above: `WouldBlock` is not an error.
//!
//! Layer: stands on [`time`](crate::time) and [`wake`](crate::wake); the reactor stands on it.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::ops::{BitOr, BitOrAssign};

use embedded_io::ErrorKind;

use crate::time::{Clock, Instant};
use crate::wake::{Unpark, WakeTree};

/// A poller's own number for a thing it owns: a descriptor, a socket handle, a simulated pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Io(pub u32);

/// A source as the reactor knows it: an index into its table and the generation of that entry.
///
/// A token outlives its source harmlessly: operations on a stale one answer
/// [`ErrorKind::NotConnected`], events under a stale one are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl Token {
    /// A token as one number, for a poller that can attach 64 bits to a source.
    pub const fn as_u64(self) -> u64 {
        self.index as u64 | (self.generation as u64) << 32
    }

    /// The token that [`as_u64`](Self::as_u64) made into `bits`.
    pub const fn from_u64(bits: u64) -> Self {
        Self { index: bits as u32, generation: (bits >> 32) as u32 }
    }

    /// The entry's place in the reactor's table of sources: below
    /// [`Capacity::sources`](crate::reactor::Capacity), and not 0.
    ///
    /// A layer above may keep its own facts about the source in a table by this number.
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

/// A set of readiness bits.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Readiness(u8);

impl Readiness {
    /// No bit.
    pub const NONE: Self = Self(0);
    /// A read (or an accept) may make progress.
    pub const READ: Self = Self(1);
    /// A write may make progress; for a connection that was asked for: it is established.
    pub const WRITE: Self = Self(2);
    /// The peer sends no more: an end of input, or an error, can be read.
    pub const CLOSED: Self = Self(4);
    /// The connection is dead: reset, or failed.
    pub const GONE: Self = Self(8);
    /// Every bit.
    pub const ALL: Self = Self(15);

    /// The bits as a number, 0 to 15.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set with the bits of `bits` that have a meaning.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// Whether any bit of `other` is set here.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether all bits of `other` are set here.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits that are not in `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Readiness {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Readiness {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut dash = true;
        for (bit, letter) in
            [(Self::READ, "r"), (Self::WRITE, "w"), (Self::CLOSED, "c"), (Self::GONE, "g")]
        {
            if self.contains(bit) {
                f.write_str(letter)?;
                dash = false;
            }
        }
        if dash { f.write_str("-") } else { Ok(()) }
    }
}

/// What one waits for on one source. Each has a waiter of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Until a read may make progress.
    Read,
    /// Until a write may make progress.
    Write,
    /// Until the connection is dead ([`Readiness::GONE`]).
    Gone,
}

impl Interest {
    /// The bits that end this wait.
    pub const fn readiness(self) -> Readiness {
        match self {
            Self::Read => Readiness(Readiness::READ.0 | Readiness::CLOSED.0 | Readiness::GONE.0),
            Self::Write => Readiness(Readiness::WRITE.0 | Readiness::GONE.0),
            Self::Gone => Readiness::GONE,
        }
    }
}

/// One report of a poller: these bits became true of this source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whose bits they are.
    pub token: Token,
    /// What became true.
    pub ready: Readiness,
}

/// A failed operation: a portable kind and the world's own number (an errno, or 0).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Error {
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// The world's own code for it: an errno on Linux, 0 where there is none.
    pub code: i32,
}

impl Error {
    /// The source is not there any more: a stale token.
    pub const STALE: Self = Self::new(ErrorKind::NotConnected);
    /// The operation does not exist in this world.
    pub const UNSUPPORTED: Self = Self::new(ErrorKind::Unsupported);

    /// Whether the world has run out of what the operation needs (descriptors, sockets, memory):
    /// it may succeed once something is closed.
    pub const fn is_exhaustion(&self) -> bool {
        matches!(self.kind, ErrorKind::OutOfMemory)
    }

    /// An error of this kind, without a code.
    pub const fn new(kind: ErrorKind) -> Self {
        Self { kind, code: 0 }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.kind {
            ErrorKind::NotFound => "not found",
            ErrorKind::PermissionDenied => "permission denied",
            ErrorKind::ConnectionRefused => "connection refused",
            ErrorKind::ConnectionReset => "connection reset",
            ErrorKind::ConnectionAborted => "connection aborted",
            ErrorKind::NotConnected => "not connected",
            ErrorKind::AddrInUse => "address in use",
            ErrorKind::AddrNotAvailable => "address not available",
            ErrorKind::BrokenPipe => "broken pipe",
            ErrorKind::AlreadyExists => "already exists",
            ErrorKind::InvalidInput => "invalid input",
            ErrorKind::InvalidData => "invalid data",
            ErrorKind::TimedOut => "timed out",
            ErrorKind::Interrupted => "interrupted",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::OutOfMemory => "out of resources",
            ErrorKind::WriteZero => "nothing could be written",
            _ => "i/o error",
        };
        if self.code == 0 {
            f.write_str(text)
        } else {
            write!(f, "{text} (os error {})", self.code)
        }
    }
}

/// As [`Display`](fmt::Display): an `expect` shows it, on a board with one formatter less in flash.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Error {}

impl embedded_io::Error for Error {
    fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// A world that reports events. See the [module's contract](self).
pub trait Poller: Clock {
    /// Ties `io` to `token`: from now on events of `io` carry it. Once a source, for its life.
    ///
    /// # Errors
    /// The world's own: the number is unknown, or its table is full.
    fn register(&mut self, io: Io, token: Token) -> Result<(), Error>;

    /// Moves the world forward and reports what became ready through `on_event`.
    ///
    /// Waits at most until `deadline`; without one, until an event or a wake; with one that has
    /// passed, not at all. Before it parks it asks [`WakeTree::park`].
    ///
    /// # Errors
    /// Only when there is no world left to poll; the reactor then panics with the place.
    fn poll(
        &mut self,
        deadline: Option<Instant>,
        wakes: &WakeTree,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<(), Error>;

    /// What ends this poller's wait from another thread; `None` where an interrupt does by itself.
    fn unpark(&self) -> Option<&'static dyn Unpark> {
        None
    }
}

/// A world with connections. See the [module's contract](self).
pub trait Transport: Poller {
    /// Whether a read that returned fewer bytes than asked for has emptied the source, so that the
    /// next one would block (true of TCP under edge-triggered epoll).
    const SHORT_READ_DRAINS: bool = false;

    /// Listens at `at` with room for `backlog` connections that nobody accepted yet.
    ///
    /// # Errors
    /// [`ErrorKind::AddrInUse`], [`ErrorKind::AddrNotAvailable`], [`ErrorKind::OutOfMemory`].
    fn listen(&mut self, at: SocketAddr, backlog: u16) -> Result<Io, Error>;

    /// The next connection that is waiting at `listener`, and its peer.
    ///
    /// To learn that nobody waits may be dear, so a world that reports `READ` again and again while
    /// somebody does may answer `WouldBlock` once a turn without looking; a call behind that looks.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfMemory`]: no handle is left; the connection still waits, and `READ` is
    /// not disproved. A connection that died while it waited is skipped, not reported.
    fn accept(&mut self, listener: Io) -> nb::Result<(Io, SocketAddr), Error>;

    /// Starts to connect; `WRITE` says that it is established, `GONE` that it failed (the next
    /// read or write tells why). It connects from `from`, of which an unspecified address or a port
    /// 0 is the world's to choose, as all of it is without.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfMemory`]; [`ErrorKind::AddrNotAvailable`] and [`ErrorKind::AddrInUse`] of
    /// `from`, and what else the world refuses at once.
    fn connect(&mut self, to: SocketAddr, from: Option<SocketAddr>) -> Result<Io, Error>;

    /// Reads up to `buf.len()` bytes; `Ok(0)` is the end of input (`buf` is never empty).
    ///
    /// # Errors
    /// [`ErrorKind::ConnectionReset`] and its like: the connection is dead.
    fn read(&mut self, io: Io, buf: &mut [u8]) -> nb::Result<usize, Error>;

    /// Writes a prefix of `data` and returns its length, at least 1 (`data` is never empty).
    ///
    /// # Errors
    /// [`ErrorKind::BrokenPipe`], [`ErrorKind::ConnectionReset`]: the connection is dead.
    fn write(&mut self, io: Io, data: &[u8]) -> nb::Result<usize, Error>;

    /// As [`write`](Self::write), for bytes that should leave in one segment: a transport with a
    /// send buffer of its own answers `WouldBlock` while its room is short of `data` but could
    /// become enough. It may take a part where that cannot be; the caller keeps the offset.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn write_whole(&mut self, io: Io, data: &[u8]) -> nb::Result<usize, Error> {
        self.write(io, data)
    }

    /// Writes a prefix of `head` and, behind it, of `rest`: how much of both together, at least 1.
    /// `head` may be empty, `rest` is not. As two writes, the first as
    /// [`write_whole`](Self::write_whole), where the world has nothing better (`writev`).
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn write_vectored(&mut self, io: Io, head: &[u8], rest: &[u8]) -> nb::Result<usize, Error> {
        if head.is_empty() {
            return self.write(io, rest);
        }
        let taken = self.write_whole(io, head)?;
        if taken < head.len() {
            return Ok(taken);
        }
        // What was taken stays taken; whatever stands in the way is met again by the next call.
        Ok(taken + self.write(io, rest).unwrap_or(0))
    }

    /// Lets what is written leave at once (`true`), or wait for more while there is unacknowledged
    /// data (Nagle's algorithm, RFC 9293, 3.7.4). A connection begins with the former. A world that
    /// never waits has nothing to switch.
    ///
    /// # Errors
    /// The world's own: the connection is dead.
    fn set_nodelay(&mut self, io: Io, on: bool) -> Result<(), Error> {
        let _ = (io, on);
        Ok(())
    }

    /// Sends FIN after what was written; reading goes on.
    fn shutdown(&mut self, io: Io);

    /// Gives the number up; see "Closing" in the [contract](self).
    fn close(&mut self, io: Io);

    /// Sends RST and gives the number up.
    fn abort(&mut self, io: Io);

    /// The peer's address, asked of the world when wanted rather than kept for each connection.
    fn peer(&self, io: Io) -> Option<SocketAddr>;

    /// The own address: for a listener at port 0, the port that was chosen.
    fn local(&self, io: Io) -> Option<SocketAddr>;

    /// Turns the connection into a TLS one from here on.
    ///
    /// # Errors
    /// [`Error::UNSUPPORTED`] unless the transport is one that speaks TLS.
    fn start_tls(&mut self, io: Io) -> Result<(), Error> {
        let _ = io;
        Err(Error::UNSUPPORTED)
    }
}

/// A world with datagrams. See "Datagrams" in the [module's contract](self).
pub trait Datagram: Transport {
    /// A socket at `at`; at port 0, one of the world's choice.
    ///
    /// # Errors
    /// [`ErrorKind::AddrInUse`], [`ErrorKind::AddrNotAvailable`], [`ErrorKind::OutOfMemory`].
    fn bind(&mut self, at: SocketAddr) -> Result<Io, Error>;

    /// Takes the next datagram: its beginning into `buf`, and the length of the whole and its
    /// sender as the answer. A length above `buf.len()` says that the rest of it is lost; 0 is a
    /// datagram without bytes, and no end.
    ///
    /// # Errors
    /// The world's own: the socket can no longer be used.
    fn recv_from(&mut self, io: Io, buf: &mut [u8]) -> nb::Result<(usize, SocketAddr), Error>;

    /// Sends `data`, which may be empty, as one datagram, or nothing of it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`]: `data` is longer than a datagram there can be, or `to` is no
    /// address that one can be sent to. What the world refuses at once: there is no way to `to`,
    /// say. The socket can be used further.
    fn send_to(&mut self, io: Io, data: &[u8], to: SocketAddr) -> nb::Result<(), Error>;

    /// Receives from now on also what is sent to the multicast group `group`, until
    /// [`leave`](Self::leave) or the socket's end.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`]: `group` is none, or of another family than the socket.
    /// [`ErrorKind::OutOfMemory`]; [`Error::UNSUPPORTED`] where there are no groups.
    fn join(&mut self, io: Io, group: IpAddr) -> Result<(), Error> {
        let _ = (io, group);
        Err(Error::UNSUPPORTED)
    }

    /// Takes a [`join`](Self::join) back.
    ///
    /// # Errors
    /// [`ErrorKind::AddrNotAvailable`]: the socket is not in `group`. [`Error::UNSUPPORTED`].
    fn leave(&mut self, io: Io, group: IpAddr) -> Result<(), Error> {
        let _ = (io, group);
        Err(Error::UNSUPPORTED)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;

    #[test]
    fn tokens_survive_the_trip_through_a_number() {
        let token = Token { index: 0xdead_beef, generation: 0x1234_5678 };
        assert_eq!(token.as_u64(), 0x1234_5678_dead_beef);
        assert_eq!(Token::from_u64(token.as_u64()), token);
    }

    #[test]
    fn readiness_reads_like_a_flag_list() {
        let ready = Readiness::READ | Readiness::CLOSED;
        assert_eq!(format!("{ready:?} {:?}", Readiness::NONE), "rc -");
        assert!(Interest::Read.readiness().intersects(Readiness::CLOSED));
        assert!(!Interest::Write.readiness().intersects(ready));
        assert_eq!(Readiness::from_bits(0xff), Readiness::ALL);
    }

    #[test]
    fn errors_say_what_failed() {
        assert_eq!(
            format!("{}", Error { kind: ErrorKind::AddrInUse, code: 98 }),
            "address in use (os error 98)"
        );
        assert_eq!(format!("{}", Error::STALE), "not connected");
    }
}
