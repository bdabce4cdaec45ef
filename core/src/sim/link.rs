//! One simulated connection: two ends, two directions, and nothing that decides anything.
//!
//! ```text
//!     end 0 (opener)                                       end 1 (acceptor)
//!     owner ---- out: credit -> flight -> unread ----------> reads
//!     reads <---------- unread <- flight <- credit :out ---- owner
//! ```
//!
//! Invariants: of each direction, `credit + flight + unread + credit_due = window` while it lives;
//! segments arrive in the order in which they were sent; FIN arrives after all of them; where
//! nothing is on its way and nothing unread, no buffer is held.
//!
//! Layer: data for [`state`](super::state), which moves it along.

use core::net::SocketAddr;
use std::collections::VecDeque;
use std::vec::Vec;

use embedded_io::ErrorKind;

/// Which end of a link: an index into [`Link::ends`].
pub(super) type Side = usize;
/// The end that asked for the connection.
pub(super) const OPENER: Side = 0;
/// The end that was asked.
pub(super) const ACCEPTOR: Side = 1;

/// Whose an end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The reactor's, under this number.
    Io(u32),
    /// A peer's, by its number.
    Peer(u32),
    /// A listener's: nobody accepted it yet.
    Backlog,
    /// Closed in good order: what arrives is read and thrown away until the other side's FIN.
    Lingering,
    /// Closed as a process that is gone: what arrives is answered with a reset.
    Deaf,
    /// Not made yet, or ended.
    Nobody,
}

/// How far an end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// The handshake is under way.
    Opening,
    /// Bytes may move.
    Open,
    /// Dead, and why.
    Gone(ErrorKind),
}

/// How far the end of a direction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fin {
    /// More may be written.
    None,
    /// Written, and on its way.
    Sent,
    /// The other end can read it, after the bytes before it.
    Arrived,
}

/// One direction, kept with the end that writes into it.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) window: usize,
    /// What may be written now.
    pub(super) credit: usize,
    /// What was read and will be credit when the news arrives.
    pub(super) credit_due: usize,
    pub(super) flight: VecDeque<Vec<u8>>,
    pub(super) unread: VecDeque<u8>,
    pub(super) fin: Fin,
    /// When the last thing that was sent arrives: nothing overtakes it.
    pub(super) arrival_last: u64,
}

impl Pipe {
    pub(super) const fn new(window: usize) -> Self {
        Self {
            window,
            credit: window,
            credit_due: 0,
            flight: VecDeque::new(),
            unread: VecDeque::new(),
            fin: Fin::None,
            arrival_last: 0,
        }
    }

    /// Bytes between the two ends: sent and not read.
    pub(super) fn held(&self) -> usize {
        self.flight.iter().map(Vec::len).sum::<usize>() + self.unread.len()
    }

    /// The segment that arrives first, taken out of flight.
    pub(super) fn land(&mut self) -> Option<Vec<u8>> {
        let segment = self.flight.pop_front();
        if self.flight.is_empty() {
            // Its buffer too: of an idle connection nothing is kept.
            self.flight = VecDeque::new();
        }
        segment
    }

    /// Moves up to `buf.len()` bytes out of what arrived.
    pub(super) fn take(&mut self, buf: &mut [u8]) -> usize {
        let count = buf.len().min(self.unread.len());
        for (place, byte) in buf.iter_mut().zip(self.unread.drain(..count)) {
            *place = byte;
        }
        if self.unread.is_empty() {
            self.unread = VecDeque::new();
        }
        count
    }
}

/// One end of a link.
#[derive(Debug)]
pub(super) struct End {
    pub(super) owner: Owner,
    pub(super) address: SocketAddr,
    pub(super) status: Status,
    pub(super) out: Pipe,
    /// A peer could not write all it had: it is told when it can.
    pub(super) blocked: bool,
    /// A peer that does not want to read.
    pub(super) stopped: bool,
    /// A peer that was told of the FIN.
    pub(super) fin_told: bool,
    /// What its owner said last about waiting for more to send.
    pub(super) nodelay: bool,
}

impl End {
    pub(super) const fn new(owner: Owner, address: SocketAddr, window: usize) -> Self {
        Self {
            owner,
            address,
            status: Status::Opening,
            out: Pipe::new(window),
            blocked: false,
            stopped: false,
            fin_told: false,
            nodelay: true,
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) ends: [End; 2],
    pub(super) latency_us: u64,
}

// A world of a million idle connections has a million of these.
const _: () = assert!(size_of::<Link>() <= 320);

impl Link {
    /// The direction that `side` reads from.
    pub(super) const fn input(&mut self, side: Side) -> &mut Pipe {
        &mut self.ends[1 - side].out
    }

    /// Whether everything that `side` may read has arrived.
    pub(super) fn input_ended(&self, side: Side) -> bool {
        self.ends[1 - side].out.fin == Fin::Arrived
    }

    /// Whether nothing will ever ask for this link again.
    pub(super) fn is_over(&self) -> bool {
        [OPENER, ACCEPTOR].into_iter().all(|side| match self.ends[side].owner {
            Owner::Io(_) | Owner::Peer(_) | Owner::Backlog => false,
            Owner::Nobody => true,
            Owner::Lingering | Owner::Deaf => {
                matches!(self.ends[side].status, Status::Gone(_))
                    || self.ends[side].out.fin == Fin::Arrived && self.input_ended(side)
            }
        })
    }
}
