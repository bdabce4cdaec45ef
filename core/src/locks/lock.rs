//! One task at a time.

use core::fmt;

use super::semaphore::{Acquire, Permit, Permits, ReleasedTooOften};
use crate::waiters::Waiter;

/// What holds a [`Lock`], until it is dropped.
pub type Guard<'a> = Permit<'a>;

/// A lock that one task holds at a time, and the others wait for in the order in which they came.
/// Tornado: `Lock`.
///
/// It is for what happens across an `.await`; between two of them a task is alone anyway. So it
/// guards no value of its own, as locks between threads do: what it is about lies beside it, in a
/// `Cell` or a `RefCell`. Capacity and full behaviour: see the [module](super).
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
/// use core::cell::Cell;
/// use dustdevil_core::locks::{Lock, Waiter};
/// use dustdevil_core::time::Duration;
/// use embassy_futures::join::join;
///
/// let mut waiters = [const { Waiter::new() }; 4];
/// let (lock, count) = (Lock::new(&mut waiters), Cell::new(0));
/// let add = async || {
///     let _guard = lock.acquire().await.unwrap();
///     let before = count.get();
///     rt.sleep(Duration::from_millis(1)).await; // nobody else gets here meanwhile
///     count.set(before + 1);
/// };
/// reactor.run(join(add(), add()));
/// assert_eq!((count.get(), lock.is_locked()), (2, false));
/// # }
/// ```
pub struct Lock<'m> {
    permits: Permits<'m>,
}

impl<'m> Lock<'m> {
    /// A lock that nobody holds, and that as many tasks can wait for as there are `waiters`.
    pub fn new(waiters: &'m mut [Waiter]) -> Self {
        Self { permits: Permits::new(1, 1, waiters) }
    }

    /// Locks, at once when it is not locked; else it waits for its turn. Resolves to a [`Guard`].
    ///
    /// Cancel-safe: dropping it leaves the line, and a lock that it was granted already goes on to
    /// the next.
    ///
    /// # Errors
    /// [`Full`](super::Full) at the first poll, when it has to wait and there is no waiter left.
    pub fn acquire(&self) -> Acquire<'_> {
        self.permits.acquire()
    }

    /// Unlocks what was locked by a guard that was [forgotten](Permit::forget): the first who waits
    /// gets it. Not for a guard that is still held, which releases once more when it is dropped.
    ///
    /// # Errors
    /// [`ReleasedTooOften`] when it is not locked.
    pub fn release(&self) -> Result<(), ReleasedTooOften> {
        self.permits.release()
    }

    /// Whether a task holds it.
    pub fn is_locked(&self) -> bool {
        self.permits.value() == 0
    }

    /// How many tasks wait.
    pub fn waiting(&self) -> usize {
        self.permits.waiting()
    }
}

impl fmt::Debug for Lock<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lock = f.debug_struct("Lock");
        lock.field("is_locked", &self.is_locked()).field("waiting", &self.waiting()).finish()
    }
}
