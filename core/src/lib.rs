//! Dustdevil's core: Tornado's `IOLoop` and `IOStream` for microcontrollers and Linux, without a
//! heap.
//!
//! One thread, one [`Reactor`](reactor::Reactor), one world behind the [`poller`] traits: epoll
//! (`dustdevil-std`), smoltcp on a board, or the simulator ([`sim`]). Tables have the capacity they
//! were given, cut from one block of zeroed memory; what happens when one is full is part of each
//! type's documentation.
//!
//! | layer | modules |
//! |---|---|
//! | plain data | [`time`], [`list`], [`slab`], [`wheel`], [`metrics`] |
//! | memory and wakes | [`memory`], [`pool`], [`sizing`], [`wake`], [`task`] |
//! | the boundary | [`poller`]: the contract of every world, written once |
//! | the loop | [`reactor`], and [`handle`]: the same erased over its poller |
//! | on top | [`stream`], [`tcp`], [`tasks`] |
//! | between tasks | [`locks`], [`queues`], and [`waiters`], which both stand on |
//! | loop services | [`callbacks`], [`periodic`], [`coroutine`], [`oneshot`] |
//! | the guide | [`guide`]: Tornado's examples, and how they are written here |
//! | a world | [`sim`], feature `sim`: deterministic, seeded, for tests on a host |
//!
//! `unsafe` stands in three modules: [`memory`] (cutting typed tables from zeroed words), [`wake`]
//! (a `Waker` from a pointer into a static tree) and [`task`] (pinning futures in slots). Each runs
//! under Miri, and the flags of `wake` under loom.
//!
//! What needs the world to open something, or its clock, is made from the reactor itself
//! ([`tcp::TcpClient`], [`udp::UdpSocket`], [`periodic::PeriodicCallback`]), so that a program in
//! which nobody makes one links nothing of it. What waits for time or sources is made from a
//! [`handle::Handle`]; what tasks do among themselves ([`locks`], [`queues`], [`oneshot`],
//! [`remote`]) from its memory alone, and runs on any executor.
//!
//! Features: `sim` adds the simulator and the reactor's own checks; it needs `std`, and changes
//! nothing else.
//!
//! ```
//! # #[cfg(feature = "sim")] {
//! use dustdevil_core::handle::Handle;
//! use dustdevil_core::memory::Memory;
//! use dustdevil_core::reactor::{Capacity, Reactor};
//! use dustdevil_core::sim::{Faults, Sim, World};
//! use dustdevil_core::time::Duration;
//! use dustdevil_core::wake::Wakes;
//!
//! const CAPACITY: Capacity =
//!     Capacity { sources: 1, timers: 2, groups: 1, tasks: 1, waiters: 1 };
//! static MEMORY: Memory<{ CAPACITY.bytes() }> = Memory::new();
//! static WAKES: Wakes<{ CAPACITY.tasks }> = Wakes::new();
//!
//! let world = World::new(1, Faults::NONE);
//! let reactor = Reactor::new(Sim::<true>::new(&world), MEMORY.take(), CAPACITY, &WAKES);
//! let began = reactor.now();
//! reactor.run(Handle::from(&reactor).sleep(Duration::from_secs(3_600)));
//! assert!(reactor.now() - began >= Duration::from_secs(3_600)); // virtual: it took no time
//! # }
//! ```
#![no_std]

#[cfg(any(test, feature = "sim"))]
extern crate std;

pub mod callbacks;
pub mod coroutine;
pub mod full;
pub mod guide;
pub mod handle;
pub mod list;
pub mod locks;
pub mod memory;
pub mod metrics;
pub mod oneshot;
mod operations;
pub mod periodic;
pub mod poller;
pub mod pool;
pub mod queues;
pub mod reactor;
pub mod remote;
#[cfg(feature = "sim")]
pub mod sim;
pub mod sizing;
pub mod slab;
mod state;
pub mod stream;
pub mod task;
pub mod tasks;
pub mod tcp;
pub mod time;
pub mod udp;
pub mod waiters;
pub mod wake;
pub mod wheel;

/// Whose [`ErrorKind`](embedded_io::ErrorKind) the errors here have.
#[doc(no_inline)]
pub use embedded_io;
/// The vocabulary of calls that do not wait, spoken at the boundary to the world
/// ([`poller::Transport`], [`reactor::Reactor`]) and nowhere above.
#[doc(no_inline)]
pub use nb;
