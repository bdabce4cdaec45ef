//! Dustdevil's core: a reactor without a heap.
#![no_std]

#[cfg(any(test, feature = "sim"))]
extern crate std;

pub mod memory;
pub mod task;
pub mod time;
pub mod wake;
pub mod wheel;
pub mod handle;
pub mod list;
pub mod metrics;
pub mod poller;
pub mod pool;
pub mod reactor;
#[cfg(feature = "sim")]
pub mod sim;
pub mod slab;
mod state;
pub mod stream;
pub mod tasks;
pub mod tcp;

/// Whose [`ErrorKind`](embedded_io::ErrorKind) the errors here have.
#[doc(no_inline)]
pub use embedded_io;
/// The vocabulary of calls that do not wait, spoken at the boundary to the world
/// ([`poller::Transport`], [`reactor::Reactor`]) and nowhere above.
#[doc(no_inline)]
pub use nb;
