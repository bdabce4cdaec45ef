//! Queues between the tasks of one reactor. Tornado: `tornado.queues`.
//!
//! | type | what is got first | its items lie in a |
//! |---|---|---|
//! | [`Queue`] | what was put first | [`DequeView`] |
//! | [`PriorityQueue`] | the lowest | [`BinaryHeapView`] |
//! | [`LifoQueue`] | what was put last | [`VecView`] |
//!
//! ```text
//!   put --(1)--> a getter that waits                      hand-off: the item is that getter's
//!       --(2)--> the items --(3)--> get
//!       --(4)--> a putter that waits, with its item --(5)--> the items, at a get
//!
//!   a getter dropped after (1), before it ran --(6)--> another getter, or back to the items
//! ```
//!
//! Invariants:
//! - Getters wait only while there is no item, putters only while there is no room: never both.
//!   Either are served in the order in which they came.
//! - An item is in one place. A getter that is dropped with an item in its hands leaves the queue
//!   as if it had never waited: the items of those that were served after it move up by one, and
//!   what is then left over goes to the next getter, or back to where it was to be got from (in a
//!   [`LifoQueue`], to the top). Where
//!   there is no room any more, the waiter keeps it, and it comes before what else there is.
//! - A put counts when its item leaves the putter: then it is one of the tasks that
//!   [`join`](AnyQueue::join) waits for, until [`task_done`](AnyQueue::task_done).
//!
//! Time-outs come from outside: `rt.timeout(span, queue.get()).await`, where a span of zero means
//! "at once or not at all". Tornado's `async for item in queue` is
//! `loop { let item = queue.get().await.expect("a waiter for each task"); .. }`. To end the loop at
//! an error instead would end it whenever more tasks wait than there are waiters, without a word.
//!
//! Capacity: of items, that of the container, which is [`maxsize`](AnyQueue::maxsize). Full: a put
//! waits, or [`put_nowait`](AnyQueue::put_nowait) gives the item back. Tornado's `maxsize=0`, no
//! bound at all, is not to be had without a heap; a `Vec` without room (`N` = 0) makes a queue in
//! which each put waits for its get. Of waiters, the slice's length, for getters, putters and those
//! that `join` together. Full: [`Full`], with the item; whoever need not wait takes no waiter.
//! Memory: a [`QueueWaiter<T>`](QueueWaiter) takes what a [`Waiter`] does and an `Option<T>`.
//!
//! Items that are left stay in their container and, with tasks that are gone, in the waiters: they
//! are dropped with these. Futures are `Unpin`.
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
//! # let said = std::cell::RefCell::new(Vec::new());
//! # let print = |what| said.borrow_mut().push(what);
//! use dustdevil_core::queues::{Queue, QueueWaiter};
//! use dustdevil_core::time::Duration;
//! use embassy_futures::select::select;
//! use heapless::Deque;
//!
//! let mut items = Deque::<u32, 2>::new();
//! let mut waiters = [const { QueueWaiter::new() }; 4];
//! let queue = Queue::new(&mut items, &mut waiters);
//! let consumer = async {
//!     loop {
//!         let item = queue.get().await.expect("a waiter for each task");
//!         print(format!("Doing work on {item}"));
//!         rt.sleep(Duration::from_millis(10)).await;
//!         queue.task_done().unwrap();
//!     }
//! };
//! let producer = async {
//!     for item in 0..5 {
//!         queue.put(item).await.unwrap();
//!         print(format!("Put {item}"));
//!     }
//!     queue.join().await.unwrap(); // until the consumer has finished all
//!     print("Done".into());
//! };
//! reactor.run(select(producer, consumer)); // the consumer never ends
//! # assert_eq!(said.borrow().join(", "), "Put 0, Put 1, Doing work on 0, Put 2, \
//! #     Doing work on 1, Put 3, Doing work on 2, Put 4, Doing work on 3, Doing work on 4, Done");
//! # }
//! ```

mod futures;
mod order;

use core::cell::{Cell, RefCell};
use core::error::Error;
use core::fmt;

use heapless::binary_heap::{BinaryHeapView, Min};
use heapless::deque::DequeView;
use heapless::vec::VecView;

pub use futures::{Get, Join, Put};
pub use order::Order;

pub use crate::full::Full;
pub use crate::waiters::Waiter;
use crate::waiters::{Line, Place, Stage, Table};

/// Room for one task that waits, with the item that it puts or gets.
pub type QueueWaiter<T> = Waiter<T>;

/// A queue that gives the items in the order in which they were put. Tornado: `Queue`.
///
/// What it does is said at [`AnyQueue`]; the [module](self) has an example.
pub type Queue<'m, T> = AnyQueue<'m, DequeView<T>>;

/// A queue that gives the lowest of its items first. Tornado: `PriorityQueue`.
///
/// Items are often pairs of a priority and something else; which of two equal ones comes first is
/// not said. What it does is said at [`AnyQueue`]. Comparing two items must not use the queue.
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
/// use dustdevil_core::queues::{PriorityQueue, QueueWaiter};
/// use heapless::binary_heap::{BinaryHeap, Min};
///
/// let mut items = BinaryHeap::<(u8, &str), Min, 4>::new();
/// let mut waiters = [const { QueueWaiter::new() }; 2];
/// let queue = PriorityQueue::new(&mut items, &mut waiters);
/// reactor.run(async {
///     queue.put((1, "medium-priority item")).await.unwrap();
///     queue.put((0, "high-priority item")).await.unwrap();
///     queue.put((10, "low-priority item")).await.unwrap();
///     assert_eq!(queue.get().await, Ok((0, "high-priority item")));
///     assert_eq!(queue.get().await, Ok((1, "medium-priority item")));
///     assert_eq!(queue.get().await, Ok((10, "low-priority item")));
/// });
/// # }
/// ```
pub type PriorityQueue<'m, T> = AnyQueue<'m, BinaryHeapView<T, Min>>;

/// A queue that gives the item first that was put last. Tornado: `LifoQueue`.
///
/// What it does is said at [`AnyQueue`].
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
/// use dustdevil_core::queues::{LifoQueue, QueueWaiter};
///
/// let mut items = heapless::Vec::<u8, 4>::new();
/// let mut waiters = [const { QueueWaiter::new() }; 2];
/// let queue = LifoQueue::new(&mut items, &mut waiters);
/// reactor.run(async {
///     for item in [3, 2, 1] {
///         queue.put(item).await.unwrap();
///     }
///     assert_eq!(queue.get().await, Ok(1));
///     assert_eq!(queue.get().await, Ok(2));
///     assert_eq!(queue.get().await, Ok(3));
/// });
/// # }
/// ```
pub type LifoQueue<'m, T> = AnyQueue<'m, VecView<T>>;

/// What [`Queue`], [`PriorityQueue`] and [`LifoQueue`] are: items in a container, which decides in
/// what order they are got, and the tasks that wait to put or to get one.
///
/// Capacity and full behaviour: see the [module](self).
pub struct AnyQueue<'m, S: Order + ?Sized> {
    /// Borrowed for one call, in which nothing of the caller's runs but comparing two items.
    items: RefCell<&'m mut S>,
    table: Table<'m, S::Item>,
    /// Who waits for an item.
    getters: Line,
    /// Who was handed one and has not run since, in the order of the hand-offs.
    served: Line,
    /// The waiters that keep an item without a task. INVARIANT: the container is full meanwhile.
    kept: Line,
    /// Who waits for room, each with its item.
    putters: Line,
    /// Who waits for all tasks to be done.
    joiners: Line,
    /// Items that were put and not reported as done.
    unfinished: Cell<usize>,
}

impl<'m, S: Order + ?Sized> AnyQueue<'m, S> {
    /// A queue of what `items` has room for, for which as many tasks can wait as there are
    /// `waiters`. Items that are in the container already count as put.
    pub fn new(items: &'m mut S, waiters: &'m mut [QueueWaiter<S::Item>]) -> Self {
        let unfinished = Cell::new(items.len());
        Self {
            items: RefCell::new(items),
            table: Table::new(waiters),
            getters: Line::default(),
            served: Line::default(),
            kept: Line::default(),
            putters: Line::default(),
            joiners: Line::default(),
            unfinished,
        }
    }

    /// Puts an item, and waits until there is room for it.
    ///
    /// Cancel-safe: dropping it before it has resolved drops the item with it, unless the item was
    /// taken in already; [`Put::into_item`] gives it back instead. Over a time-out:
    ///
    /// ```
    /// # use core::task::{Context, Poll, Waker};
    /// # use core::{future::Future, pin::Pin};
    /// # use dustdevil_core::queues::{Queue, QueueWaiter};
    /// # let mut items = heapless::Deque::<u8, 1>::new();
    /// # let mut waiters = [const { QueueWaiter::new() }; 2];
    /// # let queue = Queue::new(&mut items, &mut waiters);
    /// # queue.put_nowait(1).unwrap();
    /// let mut put = queue.put(2);
    /// # let mut cx = Context::from_waker(Waker::noop());
    /// # assert!(Pin::new(&mut put).poll(&mut cx).is_pending());
    /// // rt.timeout(span, &mut put).await
    /// assert_eq!(put.into_item(), Some(2)); // it was too late
    /// ```
    ///
    /// # Errors
    /// [`Full`] with the item at the first poll, when it has to wait and there is no waiter left.
    pub fn put(&self, item: S::Item) -> Put<'_, 'm, S> {
        Put::new(self, item)
    }

    /// Puts an item if that can be done at once.
    ///
    /// # Errors
    /// [`Full`] with the item when there is no room. Tornado: `QueueFull`.
    pub fn put_nowait(&self, item: S::Item) -> Result<(), Full<S::Item>> {
        self.offer(item).map_err(Full)
    }

    /// Takes an item, and waits until there is one.
    ///
    /// Cancel-safe: dropping it leaves the line, and an item that was handed to it already stays in
    /// the queue, where it was.
    ///
    /// # Errors
    /// [`Full`] at the first poll, when it has to wait and there is no waiter left.
    pub fn get(&self) -> Get<'_, 'm, S> {
        Get::new(self)
    }

    /// Takes an item if there is one.
    ///
    /// # Errors
    /// [`QueueEmpty`] when there is none.
    pub fn get_nowait(&self) -> Result<S::Item, QueueEmpty> {
        self.take().ok_or(QueueEmpty)
    }

    /// Says that the work on an item that was got is done; once for each item.
    ///
    /// # Errors
    /// [`DoneTooOften`] when it was said of all that were put.
    pub fn task_done(&self) -> Result<(), DoneTooOften> {
        let unfinished = self.unfinished.get().checked_sub(1).ok_or(DoneTooOften)?;
        self.unfinished.set(unfinished);
        if unfinished == 0 {
            self.table.grant_first(&self.joiners, self.joiners.len(), Stage::Released);
        }
        Ok(())
    }

    /// Waits until the work on all items that were put is done; at once when it is. What is put
    /// after that moment, and before the task runs, does not prolong the wait.
    ///
    /// Cancel-safe: dropping it leaves the line, and loses nothing.
    ///
    /// # Errors
    /// [`Full`] at the first poll, when it has to wait and there is no waiter left.
    pub fn join(&self) -> Join<'_, 'm, S> {
        Join::new(self)
    }

    /// How many items are in the queue: those of putters that wait are not, nor are those that were
    /// handed to a getter. Tornado: `qsize`.
    pub fn len(&self) -> usize {
        self.items.borrow().len() + self.kept.len()
    }

    /// Whether there is no item in it. Tornado: `empty`.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room for one more. Tornado: `full`.
    pub fn is_full(&self) -> bool {
        self.items.borrow().is_full()
    }

    /// How many items it has room for.
    pub fn maxsize(&self) -> usize {
        self.items.borrow().capacity()
    }

    /// How many items were put and not reported as done.
    pub fn unfinished(&self) -> usize {
        self.unfinished.get()
    }

    /// Arrows 1 and 2; gives the item back where only 4 is left.
    fn offer(&self, item: S::Item) -> Result<(), S::Item> {
        let unfinished = self.unfinished.get() + 1;
        if let Some(getter) = self.table.grant(&self.getters, Stage::Granted) {
            self.unfinished.set(unfinished);
            self.serve(getter, item);
        } else {
            self.items.borrow_mut().push(item)?;
            self.unfinished.set(unfinished);
        }
        Ok(())
    }

    /// Hands an item to a getter that was just taken out of its line.
    fn serve(&self, getter: Place, item: S::Item) {
        self.table.item(getter).set(Some(item));
        self.served.push_back(&self.table, getter);
        self.table.wake(getter);
    }

    /// Arrow 3, with 5 where a putter waits.
    fn take(&self) -> Option<S::Item> {
        if let Some(keeper) = self.kept.front() {
            self.kept.remove(&self.table, keeper);
            let kept = self.table.item(keeper).take();
            self.table.vacate(keeper);
            return kept.map(|item| self.items.borrow_mut().trade_returned(item));
        }
        let Some(putter) = self.table.grant(&self.putters, Stage::Granted) else {
            return self.items.borrow_mut().pop();
        };
        self.unfinished.set(self.unfinished.get() + 1);
        let put = self.table.item(putter).take();
        let taken = put.map(|item| self.items.borrow_mut().trade(item));
        self.table.wake(putter);
        taken
    }

    /// Ends a getter that is dropped at `place`: arrow 6, where it was served.
    fn leave(&self, place: Place) {
        if self.table.stage(place) == Stage::Waiting {
            self.table.leave(&self.getters, &mut Some(place));
            return;
        }
        let mut item = self.table.item(place).take();
        let mut behind = self.served.after(&self.table, place);
        while let Some(next) = behind {
            item = self.table.item(next).replace(item);
            behind = self.served.after(&self.table, next);
        }
        self.served.remove(&self.table, place);
        let Some(item) = item else { return self.table.vacate(place) };
        if let Some(getter) = self.table.grant(&self.getters, Stage::Granted) {
            self.table.vacate(place);
            return self.serve(getter, item);
        }
        let returned = self.items.borrow_mut().put_back(item);
        match returned {
            Ok(()) => self.table.vacate(place),
            Err(item) => self.keep(place, item),
        }
    }

    /// Leaves an item with the waiter of a getter that is gone. Of all that are kept, the item that
    /// is to be got first lies with the front of the line.
    fn keep(&self, place: Place, mut item: S::Item) {
        let mut keeper = self.kept.front();
        while let Some(at) = keeper {
            if let Some(kept) = self.table.item(at).take() {
                let goes_first = S::returns_before(&item, &kept);
                let (first, second) = if goes_first { (item, kept) } else { (kept, item) };
                self.table.item(at).set(Some(first));
                item = second;
            }
            keeper = self.kept.after(&self.table, at);
        }
        self.table.item(place).set(Some(item));
        self.table.keep(place);
        self.kept.push_back(&self.table, place);
    }
}

impl<S: Order + ?Sized> fmt::Debug for AnyQueue<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut queue = f.debug_struct("Queue");
        queue.field("maxsize", &self.maxsize()).field("len", &self.len());
        queue.field("getters", &self.getters.len()).field("putters", &self.putters.len());
        queue.field("unfinished", &self.unfinished()).finish()
    }
}

/// There was no item. Tornado: `QueueEmpty`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueEmpty;

impl fmt::Display for QueueEmpty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue is empty")
    }
}

impl Error for QueueEmpty {}

/// More items were reported as done than were put. Tornado: `ValueError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoneTooOften;

impl fmt::Display for DoneTooOften {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("more items done than were put")
    }
}

impl Error for DoneTooOften {}

#[cfg(test)]
mod tests;
