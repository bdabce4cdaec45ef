//! Permits: so many tasks at a time.

use core::cell::Cell;
use core::error::Error;
use core::fmt;
use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use crate::full::Full;
use crate::waiters::{Place, Waiter, Waiters};

/// A count of permits and who waits for one: what both semaphores and the lock are.
///
/// INVARIANT: nobody waits while `value` is above 0.
pub(super) struct Permits<'m> {
    /// How many are free.
    value: Cell<usize>,
    /// How many there can be free.
    value_max: usize,
    waiters: Waiters<'m>,
}

impl<'m> Permits<'m> {
    pub(super) fn new(value: usize, value_max: usize, waiters: &'m mut [Waiter]) -> Self {
        Self { value: Cell::new(value), value_max, waiters: Waiters::new(waiters) }
    }

    pub(super) fn value(&self) -> usize {
        self.value.get()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiters.len()
    }

    pub(super) fn acquire(&self) -> Acquire<'_> {
        Acquire { permits: self, place: None }
    }

    /// Gives one permit to the first who waits, else to nobody yet.
    pub(super) fn release(&self) -> Result<(), ReleasedTooOften> {
        let value = self.value.get();
        if value >= self.value_max {
            return Err(ReleasedTooOften);
        }
        if self.waiters.grant(1) == 0 {
            self.value.set(value + 1);
        }
        Ok(())
    }

    pub(super) fn debug(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut permits = f.debug_struct(name);
        permits.field("value", &self.value()).field("waiting", &self.waiting()).finish()
    }
}

/// A lock that so many tasks can hold at a time. Tornado: `Semaphore`.
///
/// Capacity and full behaviour: see the [module](super).
///
/// ```
/// # #[cfg(feature = "sim")] {
/// # use dustdevil_core::handle::Handle;
/// # use dustdevil_core::memory::Memory;
/// # use dustdevil_core::reactor::{Capacity, Reactor};
/// # use dustdevil_core::sim::{self, Faults, Sim, World};
/// # const CAPACITY: Capacity =
/// #     Capacity { sources: 0, timers: 4, groups: 0, tasks: 1, waiters: 0 };
/// # static MEMORY: Memory<{ CAPACITY.bytes() }> = Memory::new();
/// # let world = World::new(1, Faults::NONE);
/// # let wakes = sim::wakes(CAPACITY.tasks);
/// # let reactor = Reactor::new(Sim::<true>::new(&world), MEMORY.take(), CAPACITY, wakes);
/// # let rt = Handle::from(&reactor);
/// # let said = std::cell::RefCell::new(Vec::new());
/// # let print = |what| said.borrow_mut().push(what);
/// use dustdevil_core::locks::{Semaphore, Waiter};
/// use dustdevil_core::time::Duration;
/// use embassy_futures::join::join3;
///
/// let mut waiters = [const { Waiter::new() }; 4];
/// let semaphore = Semaphore::new(2, &mut waiters);
/// let worker = |id: u64| {
///     let semaphore = &semaphore;
///     async move {
///         let permit = semaphore.acquire().await.unwrap();
///         print(format!("Worker {id} is working"));
///         rt.sleep(Duration::from_millis(10 * (id + 1))).await; // it uses some resource
///         print(format!("Worker {id} is done"));
///         drop(permit);
///     }
/// };
/// reactor.run(join3(worker(0), worker(1), worker(2)));
/// # assert_eq!(*said.borrow(), [
/// #     "Worker 0 is working", "Worker 1 is working", "Worker 0 is done",
/// #     "Worker 2 is working", "Worker 1 is done", "Worker 2 is done"]);
/// # }
/// ```
pub struct Semaphore<'m> {
    permits: Permits<'m>,
}

impl<'m> Semaphore<'m> {
    /// A semaphore with `value` permits (Tornado's default is 1), for which as many tasks can wait
    /// as there are `waiters`.
    pub fn new(value: usize, waiters: &'m mut [Waiter]) -> Self {
        Self { permits: Permits::new(value, usize::MAX, waiters) }
    }

    /// Takes a permit, at once when one is free; else it waits for a [`release`](Self::release).
    ///
    /// Cancel-safe: dropping it leaves the line, and a permit that it was granted already goes on
    /// to the next.
    ///
    /// # Errors
    /// [`Full`] at the first poll, when it has to wait and there is no waiter left.
    pub fn acquire(&self) -> Acquire<'_> {
        self.permits.acquire()
    }

    /// Adds a permit: one that was [forgotten](Permit::forget), or one more than before. The first
    /// who waits gets it. A [`Permit`] does this by itself when it is dropped.
    ///
    /// There are at most `usize::MAX` free ones; more are lost.
    pub fn release(&self) {
        // Fails at `usize::MAX` alone.
        let _ = self.permits.release();
    }

    /// How many permits are free.
    pub fn value(&self) -> usize {
        self.permits.value()
    }

    /// How many tasks wait.
    pub fn waiting(&self) -> usize {
        self.permits.waiting()
    }
}

impl fmt::Debug for Semaphore<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.permits.debug("Semaphore", f)
    }
}

/// A [`Semaphore`] that notices when it is released too often. Tornado: `BoundedSemaphore`.
///
/// ```
/// # #[cfg(feature = "sim")] {
/// # use dustdevil_core::memory::Memory;
/// # use dustdevil_core::reactor::{Capacity, Reactor};
/// # use dustdevil_core::sim::{self, Faults, Sim, World};
/// # const CAPACITY: Capacity =
/// #     Capacity { sources: 0, timers: 4, groups: 0, tasks: 1, waiters: 0 };
/// # static MEMORY: Memory<{ CAPACITY.bytes() }> = Memory::new();
/// # let world = World::new(1, Faults::NONE);
/// # let wakes = sim::wakes(CAPACITY.tasks);
/// # let reactor = Reactor::new(Sim::<true>::new(&world), MEMORY.take(), CAPACITY, wakes);
/// use dustdevil_core::locks::{BoundedSemaphore, ReleasedTooOften, Waiter};
///
/// let mut waiters = [const { Waiter::new() }; 4];
/// let semaphore = BoundedSemaphore::new(2, &mut waiters);
/// reactor.run(async {
///     semaphore.acquire().await.unwrap().forget(); // as Tornado's `await semaphore.acquire()`
///     assert_eq!(semaphore.release(), Ok(()));
///     assert_eq!(semaphore.release(), Err(ReleasedTooOften));
/// });
/// # }
/// ```
pub struct BoundedSemaphore<'m> {
    permits: Permits<'m>,
}

impl<'m> BoundedSemaphore<'m> {
    /// A semaphore with `value` permits and never more, for which as many tasks can wait as there
    /// are `waiters`.
    pub fn new(value: usize, waiters: &'m mut [Waiter]) -> Self {
        Self { permits: Permits::new(value, value, waiters) }
    }

    /// See [`Semaphore::acquire`].
    ///
    /// # Errors
    /// As there.
    pub fn acquire(&self) -> Acquire<'_> {
        self.permits.acquire()
    }

    /// Gives a permit back that was [forgotten](Permit::forget). The first who waits gets it.
    ///
    /// # Errors
    /// [`ReleasedTooOften`] when all permits are free already: a sign of a mistake. Nothing has
    /// changed then.
    pub fn release(&self) -> Result<(), ReleasedTooOften> {
        self.permits.release()
    }

    /// How many permits are free.
    pub fn value(&self) -> usize {
        self.permits.value()
    }

    /// How many tasks wait.
    pub fn waiting(&self) -> usize {
        self.permits.waiting()
    }
}

impl fmt::Debug for BoundedSemaphore<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.permits.debug("BoundedSemaphore", f)
    }
}

/// All permits were free already. Tornado: `ValueError` of a `BoundedSemaphore`, `RuntimeError` of
/// a `Lock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleasedTooOften;

impl fmt::Display for ReleasedTooOften {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("released more often than acquired")
    }
}

impl Error for ReleasedTooOften {}

/// See [`Semaphore::acquire`].
#[must_use = "nothing is acquired unless it is awaited"]
pub struct Acquire<'a> {
    permits: &'a Permits<'a>,
    place: Option<Place>,
}

impl<'a> Future for Acquire<'a> {
    type Output = Result<Permit<'a>, Full>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let permits = self.permits;
        let value = permits.value.get();
        if self.place.is_none() && value > 0 {
            permits.value.set(value - 1);
        } else {
            // What is granted is this one's: it was never free.
            ready!(permits.waiters.poll_wait(&mut self.place, cx))?;
        }
        Poll::Ready(Ok(Permit { permits }))
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        if self.permits.waiters.leave(&mut self.place) {
            // Fails when somebody released by hand what was not theirs: then there are enough.
            let _ = self.permits.release();
        }
    }
}

/// The right to go on, given back when it is dropped. Tornado: what `async with` holds.
///
/// It stands for one call of `release`. Who calls that by hand, as Tornado's
/// `await semaphore.acquire()` has it, [forgets](Self::forget) the permit first; a debug build
/// panics where a permit is dropped that was given back already.
#[must_use = "a permit that is not kept is given back at once"]
pub struct Permit<'a> {
    permits: &'a Permits<'a>,
}

impl Permit<'_> {
    /// Gives it back, as dropping it does.
    pub fn release(self) {}

    /// Keeps it for ever, or until `release` of its semaphore or lock is called.
    pub fn forget(self) {
        mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let released = self.permits.release();
        debug_assert!(released.is_ok(), "a permit was released by hand and not forgotten");
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}
