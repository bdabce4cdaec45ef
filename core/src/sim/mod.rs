//! The simulator: a whole world in one thread, in which every run can be had again by its seed.
//!
//! It is the third [`Poller`](crate::poller::Poller), and the strictest: a [`World`] has a virtual
//! clock that jumps to whatever happens next, connections that cut, delay, reset and fill up as
//! their [`Faults`] say, and [`Peer`]s at the other ends. The reactor runs on it unchanged.
//!
//! Invariants:
//! - The same seed, faults and program give the same [trace hash](World::trace_hash): there is no
//!   real time, no hash map, no address and no thread in here.
//! - [`Sim`] keeps the [contract](crate::poller) and nothing beyond it. An event is reported once
//!   unless an operation disproved it, numbers are reused at once, spurious and late events come.
//! - A test never hangs: when nothing can happen any more, when polls spin without progress or when
//!   a number is used after its end, the world panics with its seed.
//!
//! Layer: stands on [`poller`](crate::poller), [`time`](crate::time) and [`wake`](crate::wake), as
//! every poller does. Needs the feature `sim`, and the standard library.
//!
//! ```
//! use dustdevil_core::poller::{Poller, Token, Transport};
//! use dustdevil_core::sim::{self, Faults, Script, Sim, World};
//! use dustdevil_core::time::Duration;
//!
//! let world = World::new(42, Faults::NONE);
//! let mut sim: Sim = Sim::new(&world);
//! let at = "10.0.0.1:80".parse().unwrap();
//! let listener = sim.listen(at, 16).unwrap();
//! sim.register(listener, Token::from_u64(1)).unwrap();
//!
//! let second = Duration::from_secs(1);
//! let client = Script::new("client").send(b"ping").expect_contains(b"pong", second);
//! let record = client.record();
//! world.connect(at, Duration::from_millis(5), client);
//!
//! // A reactor does this part. Here: wait for the connection, then for its bytes, and answer.
//! let wakes = sim::wakes(1);
//! sim.poll(None, wakes, &mut |event| assert_eq!(event.token, Token::from_u64(1))).unwrap();
//! let (io, _) = sim.accept(listener).unwrap();
//! sim.register(io, Token::from_u64(2)).unwrap();
//! let mut buf = [0; 8];
//! let count = loop {
//!     match sim.read(io, &mut buf) {
//!         Ok(count) => break count,
//!         Err(_) => sim.poll(None, wakes, &mut |_| ()).unwrap(),
//!     }
//! };
//! assert_eq!(&buf[..count], b"ping");
//! sim.write(io, b"pong").unwrap();
//! sim.close(io);
//! sim.close(listener);
//! sim.poll(Some(world.now() + second), wakes, &mut |_| ()).unwrap();
//! assert!(record.outcome().is_finished);
//! world.assert_all_closed();
//! ```

mod calls;
mod datagrams;
mod faults;
mod link;
mod peer;
mod rng;
mod script;
mod sources;
mod state;
#[cfg(test)]
mod tests;
mod trace;
mod transport;
mod world;

use core::cell::Cell;
use std::boxed::Box;
use std::thread_local;

pub use datagrams::DatagramEnd;
pub use faults::Faults;
pub use peer::{Peer, PeerEnd, PeerEvent};
pub use rng::Rng;
pub use script::{Ended, Outcome, Record, Script};
pub use transport::Sim;
pub use world::{Ending, Moment, Open, World};

use crate::wake::{WakeTree, Wakes};

/// How many leaves the tree of [`wakes`] has.
pub const WAKE_LEAVES: usize = 1024;

/// This thread's wake tree for tests, with room for `leaves`: the same one each time, so that ten
/// thousand worlds one after another cost one tree. It serves one reactor at a time.
///
/// # Panics
/// When `leaves` is more than [`WAKE_LEAVES`]: then a test needs a static of its own.
#[track_caller]
pub fn wakes(leaves: usize) -> &'static WakeTree {
    thread_local! {
        static TREE: Cell<Option<&'static WakeTree>> = const { Cell::new(None) };
    }
    assert!(leaves <= WAKE_LEAVES, "{leaves} leaves, but a thread's tree has {WAKE_LEAVES}");
    let tree = TREE.get().unwrap_or_else(|| Box::leak(Box::new(Wakes::<WAKE_LEAVES>::new())));
    TREE.set(Some(tree));
    tree
}
