//! The other ends: whoever talks to the code under test, driven by the world alone.
//!
//! A [`Peer`] is called when something happens to its connection, and acts through its
//! [`PeerEnd`]. It never sees the reactor, and the reactor never sees it: only bytes, FIN and RST
//! pass between them. For a fixed sequence of sends and expectations there is
//! [`Script`](super::Script).
//!
//! Layer: stands on [`World`].
//!
//! ```
//! use dustdevil_core::sim::{Peer, PeerEnd, PeerEvent};
//!
//! /// Sends back whatever comes, until it ends.
//! struct Echo;
//!
//! impl Peer for Echo {
//!     fn on_event(&mut self, event: PeerEvent, end: &mut PeerEnd<'_>) {
//!         let mut buf = [0; 64];
//!         match event {
//!             PeerEvent::Readable => loop {
//!                 let count = end.read(&mut buf);
//!                 if count == 0 {
//!                     break;
//!                 }
//!                 end.write(&buf[..count]); // An honest echo would keep what is not taken.
//!             },
//!             PeerEvent::Fin => end.fin(),
//!             _ => {}
//!         }
//!     }
//! }
//! ```

use core::fmt;
use core::net::SocketAddr;

use super::link::Side;
use super::state::Happening;
use super::world::World;
use crate::time::{Duration, Instant};

/// What happened to a peer's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerEvent {
    /// The connection stands. Always the first event, unless it is `Refused`.
    Connected,
    /// Bytes arrived. Said once for each arrival: read until 0, or wait for the next.
    Readable,
    /// There is room again after a [`write`](PeerEnd::write) that did not take everything.
    Writable,
    /// The timer with this number that [`timer_in`](PeerEnd::timer_in) set has run out.
    Timer(u32),
    /// The other side sends no more. When the peer has sent FIN too, this is its last event.
    Fin,
    /// The connection is dead. The last event.
    Reset,
    /// The connection never came about: nobody listens, or nobody answered. The only event.
    Refused,
}

/// One end of a simulated connection, as a program of its own.
///
/// It is dropped after its last event: `Reset`, `Refused`, or when both directions have ended, or
/// it has called [`reset`](PeerEnd::reset) or [`close`](PeerEnd::close).
pub trait Peer {
    /// Something happened; act on it through `end`.
    fn on_event(&mut self, event: PeerEvent, end: &mut PeerEnd<'_>);
}

/// A peer's hold on its connection, for the length of one event.
pub struct PeerEnd<'w> {
    pub(super) world: &'w World,
    pub(super) peer: u32,
    pub(super) link: u32,
    pub(super) side: Side,
}

impl PeerEnd<'_> {
    /// The world's time.
    pub fn now(&self) -> Instant {
        self.world.now()
    }

    /// The world, to connect once more or to ask for its seed.
    pub const fn world(&self) -> &World {
        self.world
    }

    /// This end's own address; `None` when nothing is left of the connection.
    pub fn address(&self) -> Option<SocketAddr> {
        self.world.state().links.get(&self.link).map(|link| link.ends[self.side].address)
    }

    /// Moves what arrived into `buf`; 0 when no more has arrived.
    pub fn read(&mut self, buf: &mut [u8]) -> usize {
        self.world.state().take(self.link, self.side, buf)
    }

    /// Sends as much of `data` as the window takes, and returns how much that was. When it is less
    /// than all, `Writable` follows; after FIN or a reset it is 0 and nothing follows.
    pub fn write(&mut self, data: &[u8]) -> usize {
        self.world.state().peer_write(self.link, self.side, data)
    }

    /// Sends FIN after what was written; reading goes on.
    pub fn fin(&mut self) {
        self.world.state().finish(self.link, self.side);
    }

    /// Sends RST and ends. What is in flight may be lost with it.
    pub fn reset(&mut self) {
        self.world.state().send_reset(self.link, self.side);
    }

    /// Ends as a process does that just exits: FIN, or RST when something is unread, and RST for
    /// everything that still comes.
    pub fn close(&mut self) {
        self.world.state().close_deaf(self.link, self.side);
    }

    /// Asks for `Timer(id)` after `delay`, at least 1 us from now. Timers cannot be cancelled.
    pub fn timer_in(&mut self, delay: Duration, id: u32) {
        let (peer, link, side) = (self.peer, self.link, self.side);
        let timer = Happening::Timer { peer, link, side, id };
        self.world.state().after(delay.as_micros().max(1), timer);
    }

    /// Stops being told of input, so that the window fills; or goes on, and is told what came.
    pub fn stop_reading(&mut self, stop: bool) {
        self.world.state().peer_stops(self.link, self.side, stop);
    }

    /// A random number between `from` and `to`, both included, from the world's own stream.
    pub fn random(&mut self, from: u64, to: u64) -> u64 {
        self.world.state().rng.range(from, to)
    }

    /// Ends the test: something is not as it must be.
    ///
    /// # Panics
    /// Always, with `what`, the seed and the time.
    #[track_caller]
    pub fn fail(&self, what: fmt::Arguments<'_>) -> ! {
        self.world.fail(format_args!("link {}: {what}", self.link))
    }
}
