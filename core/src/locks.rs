//! Locks for the tasks of one reactor. Tornado: `tornado.locks`.
//!
//! | type | Tornado | |
//! |---|---|---|
//! | [`Condition`] | `Condition` | tasks wait until they are notified: some, or all |
//! | [`Event`] | `Event` | tasks wait until a flag is set |
//! | [`Semaphore`] | `Semaphore` | so many tasks at a time; [`BoundedSemaphore`] counts strictly |
//! | [`Lock`] | `Lock` | one task at a time |
//!
//! Invariants:
//! - Strictly first in, first out: a task that waits is overtaken by nobody. Its place in the line
//!   is taken by the first poll of its future, and in Tornado by the call; `.await` is both.
//! - A permit that is given back goes to the first who waits, there and then: it is that task's
//!   before it runs, so whoever asks in between finds nothing free.
//! - Dropping a future at any moment loses nothing. One that waits leaves the line. One that was
//!   granted already hands the permit, or the notification, on to the next.
//!
//! Time-outs come from outside, and so there is no reactor in here:
//! `rt.timeout(span, lock.acquire()).await`, where a span of zero means "at once or not at all"
//! (the future is polled first), as a `timeout` of 0 does since Tornado 6.6.
//!
//! Capacity: the slice of [`Waiter`]s that each is given, 20 bytes a waiter on a board and 32 on
//! Linux. Full: `wait` and `acquire` resolve to [`Full`] at once; a task that need not wait takes
//! no waiter. See [`waiters`](crate::waiters).
//!
//! All futures are `Unpin`. One that is polled again after it resolved begins anew.
//!
//! Layer: stands on [`waiters`](crate::waiters); knows no reactor, and runs on any executor.
//!
//! ```
//! # #[cfg(feature = "sim")] {
//! # use dustdevil_core::handle::Handle;
//! # use dustdevil_core::memory::Memory;
//! # use dustdevil_core::reactor::{Capacity, Reactor};
//! # use dustdevil_core::sim::{self, Faults, Sim, World};
//! # const CAPACITY: Capacity =
//! #     Capacity { sources: 0, timers: 4, groups: 0, tasks: 1, waiters: 0 };
//! # static MEMORY: Memory<{ CAPACITY.bytes() }> = Memory::new();
//! # let world = World::new(1, Faults::NONE);
//! # let wakes = sim::wakes(CAPACITY.tasks);
//! # let reactor = Reactor::new(Sim::<true>::new(&world), MEMORY.take(), CAPACITY, wakes);
//! # let rt = Handle::from(&reactor);
//! use dustdevil_core::locks::{Lock, Waiter};
//! use dustdevil_core::task::TimedOut;
//! use dustdevil_core::time::Duration;
//!
//! let mut waiters = [const { Waiter::new() }; 4];
//! let lock = Lock::new(&mut waiters);
//! reactor.run(async {
//!     let guard = lock.acquire().await.unwrap();
//!     let late = rt.timeout(Duration::from_millis(5), lock.acquire()).await;
//!     assert_eq!(late.err(), Some(TimedOut));
//!     drop(guard);
//!     assert!(rt.timeout(Duration::ZERO, lock.acquire()).await.is_ok()); // at once
//! });
//! # }
//! ```

mod condition;
mod event;
mod lock;
mod semaphore;

pub use condition::{Condition, Notified};
pub use event::{Event, WaitSet};
pub use lock::{Guard, Lock};
pub use semaphore::{Acquire, BoundedSemaphore, Permit, ReleasedTooOften, Semaphore};

pub use crate::full::Full;
pub use crate::waiters::Waiter;

#[cfg(test)]
mod tests;
