//! Waiting to be notified.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::full::Full;
use crate::waiters::{Place, Waiter, Waiters};

/// Tasks wait until another one notifies them. Tornado: `Condition`, which needs no lock either.
///
/// A notification that finds nobody waiting is lost. Capacity and full behaviour: see the
/// [module](super).
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
/// use dustdevil_core::locks::{Condition, Waiter};
/// use dustdevil_core::time::Duration;
/// use embassy_futures::join::join;
///
/// let mut waiters = [const { Waiter::new() }; 4];
/// let condition = Condition::new(&mut waiters);
/// let waiter = async {
///     print("I'll wait right here");
///     condition.wait().await.unwrap();
///     print("I'm done waiting");
/// };
/// let notifier = async {
///     print("About to notify");
///     condition.notify(1);
///     print("Done notifying");
/// };
/// reactor.run(join(waiter, notifier));
/// # assert_eq!(*said.borrow(), [
/// #     "I'll wait right here", "About to notify", "Done notifying", "I'm done waiting"]);
///
/// // Wait up to 1 second for a notification.
/// let notified = reactor.run(rt.timeout(Duration::from_secs(1), condition.wait()));
/// assert!(notified.is_err());
/// # }
/// ```
pub struct Condition<'m> {
    waiters: Waiters<'m>,
}

impl<'m> Condition<'m> {
    /// A condition that as many tasks can wait for as there are `waiters`.
    pub fn new(waiters: &'m mut [Waiter]) -> Self {
        Self { waiters: Waiters::new(waiters) }
    }

    /// Waits for a notification.
    ///
    /// Cancel-safe: dropping it leaves the line. A notification by [`notify`](Self::notify) that
    /// had come already goes on to the next who waits.
    ///
    /// # Errors
    /// [`Full`] at the first poll, when there is no waiter left.
    pub fn wait(&self) -> Notified<'_> {
        Notified { condition: self, place: None }
    }

    /// Notifies the `count` tasks that wait longest, or all when there are fewer.
    pub fn notify(&self, count: usize) {
        self.waiters.grant(count);
    }

    /// Notifies all that wait now. It is of no use to those who come later: what the future of one
    /// that is dropped meanwhile was told is not passed on.
    pub fn notify_all(&self) {
        self.waiters.release();
    }

    /// How many tasks wait.
    pub fn waiting(&self) -> usize {
        self.waiters.len()
    }
}

impl fmt::Debug for Condition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition").field("waiting", &self.waiting()).finish()
    }
}

/// See [`Condition::wait`].
#[must_use = "a wait does nothing unless it is awaited"]
pub struct Notified<'a> {
    condition: &'a Condition<'a>,
    place: Option<Place>,
}

impl Future for Notified<'_> {
    type Output = Result<(), Full>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let condition = self.condition;
        condition.waiters.poll_wait(&mut self.place, cx)
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        if self.condition.waiters.leave(&mut self.place) {
            self.condition.notify(1);
        }
    }
}
