//! Waiting for a flag.

use core::cell::Cell;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::full::Full;
use crate::waiters::{Place, Waiter, Waiters};

/// A flag that tasks wait for. Tornado: `Event`.
///
/// Capacity and full behaviour: see the [module](super).
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
/// # let said = std::cell::RefCell::new(Vec::new());
/// # let print = |what| said.borrow_mut().push(what);
/// use dustdevil_core::locks::{Event, Waiter};
/// use embassy_futures::join::join;
///
/// let mut waiters = [const { Waiter::new() }; 4];
/// let event = Event::new(&mut waiters);
/// let waiter = async {
///     print("Waiting for event");
///     event.wait().await.unwrap();
///     print("Not waiting this time");
///     event.wait().await.unwrap();
///     print("Done");
/// };
/// let setter = async {
///     print("About to set the event");
///     event.set();
/// };
/// reactor.run(join(waiter, setter));
/// # assert_eq!(*said.borrow(), [
/// #     "Waiting for event", "About to set the event", "Not waiting this time", "Done"]);
/// # }
/// ```
pub struct Event<'m> {
    value: Cell<bool>,
    waiters: Waiters<'m>,
}

impl<'m> Event<'m> {
    /// An event that is not set, and that as many tasks can wait for as there are `waiters`.
    pub fn new(waiters: &'m mut [Waiter]) -> Self {
        Self { value: Cell::new(false), waiters: Waiters::new(waiters) }
    }

    /// Whether the flag is set.
    pub fn is_set(&self) -> bool {
        self.value.get()
    }

    /// Sets the flag, and ends the wait of all: for good, even if [`clear`](Self::clear) follows
    /// before they run.
    pub fn set(&self) {
        if !self.value.replace(true) {
            self.waiters.release();
        }
    }

    /// Clears the flag: who waits from now on waits for the next [`set`](Self::set).
    pub fn clear(&self) {
        self.value.set(false);
    }

    /// Waits until the flag is set; at once when it is.
    ///
    /// Cancel-safe: dropping it leaves the line, and loses nothing.
    ///
    /// # Errors
    /// [`Full`] at the first poll, when it has to wait and there is no waiter left.
    pub fn wait(&self) -> WaitSet<'_> {
        WaitSet { event: self, place: None }
    }

    /// How many tasks wait.
    pub fn waiting(&self) -> usize {
        self.waiters.len()
    }
}

impl fmt::Debug for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut event = f.debug_struct("Event");
        event.field("is_set", &self.is_set()).field("waiting", &self.waiting()).finish()
    }
}

/// See [`Event::wait`].
#[must_use = "a wait does nothing unless it is awaited"]
pub struct WaitSet<'a> {
    event: &'a Event<'a>,
    place: Option<Place>,
}

impl Future for WaitSet<'_> {
    type Output = Result<(), Full>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let event = self.event;
        if self.place.is_none() && event.is_set() {
            return Poll::Ready(Ok(()));
        }
        event.waiters.poll_wait(&mut self.place, cx)
    }
}

impl Drop for WaitSet<'_> {
    fn drop(&mut self) {
        let granted = self.event.waiters.leave(&mut self.place);
        debug_assert!(!granted, "an event releases all, and grants nothing to one");
    }
}
