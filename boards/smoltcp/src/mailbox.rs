//! A socket for datagrams: what was reported of it, and what waits to leave it.
//!
//! smoltcp sends the datagrams of a socket in their order, each once its next station is known, and
//! waits for one that never answers for ever. So what has not moved for [`UNREACHABLE`] is thrown
//! away, or an address that nobody has would silence the socket.
//!
//! Invariants:
//! - A bit that was reported is not reported again until an operation disproved it.
//! - A socket that was given up has an end by time.
//!
//! Layer: stands on smoltcp's UDP socket; [`net`](crate::net) owns the table.

use dustdevil_core::poller::{Readiness, Token};
use dustdevil_core::time::{Duration, Instant};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::udp;

/// How long the first datagram of a socket may wait for its way to be found before it is thrown
/// away, and with it what else waits in that socket, to be sent or to be received: smoltcp can only
/// empty it as a whole. Time for two questions more after the first (RFC 1122, 2.3.2.1).
pub const UNREACHABLE: Duration = Duration::from_secs(3);

/// One socket for datagrams.
pub(crate) struct Mailbox {
    pub(crate) handle: SocketHandle,
    token: Option<Token>,
    reported: Readiness,
    /// A datagram found no room.
    is_blocked: bool,
    /// It was given up, and what it was to send has not left.
    is_closing: bool,
    /// Bytes that waited to be sent, as of the last look or datagram.
    waiting: usize,
    /// When something left it last, or what waits came first.
    moved: Instant,
}

/// What [`Mailbox::step`] found: bits that are new, and when to look again if nothing happens.
pub(crate) type Found = (Readiness, Option<Instant>);

impl Mailbox {
    pub(crate) const fn new(handle: SocketHandle) -> Self {
        Self {
            handle,
            token: None,
            reported: Readiness::NONE,
            is_blocked: false,
            is_closing: false,
            waiting: 0,
            moved: Instant::ZERO,
        }
    }

    /// Nothing is left of what was.
    pub(crate) const fn clear(&mut self) {
        *self = Self::new(self.handle);
    }

    pub(crate) const fn token(&self) -> Option<Token> {
        self.token
    }

    /// Takes a bearer of events.
    pub(crate) fn register(&mut self, token: Token) {
        (self.token, self.reported) = (Some(token), Readiness::NONE);
    }

    /// Nobody holds it any more; whether its socket can be used again at once.
    pub(crate) fn close(&mut self, socket: &mut udp::Socket<'_>) -> bool {
        self.token = None;
        self.is_closing = socket.send_queue() > 0;
        !self.is_closing
    }

    pub(crate) const fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// Whether somebody wants to know when something has left it.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.is_blocked || self.is_closing
    }

    /// A receive found nothing.
    pub(crate) fn drained(&mut self) {
        self.reported = self.reported.without(Readiness::READ);
    }

    /// A datagram was handed over; `before` it, so many bytes waited in the socket.
    pub(crate) fn took(&mut self, before: usize, socket: &udp::Socket<'_>, now: Instant) {
        // What has left since the last look has moved, too.
        if before == 0 || before < self.waiting {
            self.moved = now;
        }
        self.waiting = socket.send_queue();
    }

    /// A datagram found no room.
    pub(crate) fn blocked(&mut self) {
        self.is_blocked = true;
        self.reported = self.reported.without(Readiness::WRITE);
    }

    /// Looks at the socket.
    pub(crate) fn step(&mut self, socket: &mut udp::Socket<'_>, now: Instant) -> Found {
        let waiting = socket.send_queue();
        let has_moved = waiting < self.waiting;
        if has_moved {
            (self.moved, self.waiting) = (now, waiting);
        }
        let is_occupied = waiting > 0 || !socket.can_send();
        if is_occupied && now >= self.moved + UNREACHABLE {
            let at = socket.endpoint();
            socket.close();
            // INVARIANT: it was closed just now, and `at` has the port that it had.
            let bound = socket.bind(at);
            debug_assert!(bound.is_ok(), "{bound:?}");
            (self.waiting, self.is_blocked) = (0, false);
        } else if has_moved || !is_occupied {
            self.is_blocked = false;
        }
        if self.is_closing && socket.send_queue() == 0 {
            socket.close();
            self.clear();
            return (Readiness::NONE, None);
        }
        let mut ready = Readiness::NONE;
        if socket.can_recv() {
            ready |= Readiness::READ;
        }
        if !self.is_blocked {
            ready |= Readiness::WRITE;
        }
        let new = if self.token.is_some() { ready.without(self.reported) } else { Readiness::NONE };
        self.reported |= new;
        let is_occupied = socket.send_queue() > 0 || !socket.can_send();
        (new, is_occupied.then(|| self.moved + UNREACHABLE))
    }
}
