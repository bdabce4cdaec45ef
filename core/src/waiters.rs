//! The tasks that wait for something, in the order in which they came: what [`locks`](crate::locks)
//! and [`queues`](crate::queues) stand on.
//!
//! A lock or a queue is given a slice of [`Waiter`]s; a task that has to wait takes one of them,
//! stands in a line with it until it is granted what it waits for, and gives it back when its
//! future has resolved or is dropped.
//!
//! ```text
//!             enter (1)           grant, release (2)                poll (3)
//!   Free ----------------> Waiting -----------------> Granted ------------------> Free
//!     ^                       |                       Released                      ^
//!     |     leave (4)         |                          |       leave (4)          |
//!     +-----------------------+                          +--------------------------+
//!                                                       a grant is handed on
//! ```
//!
//! Invariants:
//! - Who came first is granted first: a line only grows at its end, and only its front is granted.
//! - A grant belongs to the waiter from the moment it is made, not from the moment its task runs.
//!   A future that is dropped in between hands it on; what was released to everybody is not.
//! - Entering, granting and leaving cost the same however many wait.
//! - A waker is called, and a value of somebody else's type dropped, when the tables are whole:
//!   either may call back.
//!
//! Capacity: the slice's length. Full: the future resolves to [`Full`], with what it was given;
//! nobody waits outside the line. Memory: a [`Waiter`] takes 20 bytes on a board and 32 on Linux,
//! and with an item of a queue that much more.
//!
//! Any executor will do: there is nothing here but wakers. A future that is forgotten
//! (`mem::forget`) keeps its waiter, and what is granted to it.
//!
//! Layer: stands on [`list`] and [`full`](crate::full) alone.
//!
//! ```
//! use core::pin::pin;
//! use core::task::{Context, Poll, Waker};
//! use dustdevil_core::locks::{Condition, Full, Waiter};
//!
//! let mut waiters = [const { Waiter::new() }; 2];
//! let condition = Condition::new(&mut waiters);
//! let mut cx = Context::from_waker(Waker::noop());
//! let (mut first, mut second) = (pin!(condition.wait()), pin!(condition.wait()));
//! assert!(first.as_mut().poll(&mut cx).is_pending());
//! assert!(second.as_mut().poll(&mut cx).is_pending());
//! assert_eq!(pin!(condition.wait()).poll(&mut cx), Poll::Ready(Err(Full(())))); // of two
//! condition.notify(1);
//! assert_eq!(first.poll(&mut cx), Poll::Ready(Ok(())));
//! assert!(second.poll(&mut cx).is_pending());
//! ```

use core::cell::Cell;
use core::num::NonZeroU32;
use core::task::{Context, Poll, Waker, ready};

use crate::full::Full;
use crate::list;

/// Room for one task that waits, with room for a `T` on its way to that task or from it.
///
/// A slice of them is what a lock or a queue is given:
/// `&mut [const { Waiter::new() }; 8]`, or `block.fill(8, |_| Waiter::new())`.
pub struct Waiter<T = ()> {
    /// The places before and behind it in its line, or behind it among the free ones; 0: none.
    prev: Cell<u32>,
    next: Cell<u32>,
    /// Set while it waits.
    waker: Cell<Option<Waker>>,
    stage: Cell<Stage>,
    item: Cell<Option<T>>,
}

const _: () = assert!(size_of::<Waiter>() == 8 + 3 * size_of::<usize>());
const _: () = assert!(size_of::<Waiter<u32>>() <= 16 + 3 * size_of::<usize>());

impl<T> Waiter<T> {
    /// One that nobody took yet.
    pub const fn new() -> Self {
        Self {
            prev: Cell::new(0),
            next: Cell::new(0),
            waker: Cell::new(None),
            stage: Cell::new(Stage::Free),
            item: Cell::new(None),
        }
    }
}

impl<T> Default for Waiter<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Where a waiter stands on its way from free to free again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// With nobody.
    Free,
    /// In a line.
    Waiting,
    /// What it waited for is its own, and goes to another if it is not taken.
    Granted,
    /// Its wait is over, as that of all others: there is nothing to hand on.
    Released,
    /// Without a task: it keeps an item of a queue that had no room for it.
    Keeping,
}

/// A waiter's number in its table, from 1.
pub(crate) type Place = NonZeroU32;

/// Waiters that stand in one line, or in none. Its links lie in the table that is passed to each
/// call, always the same one.
#[derive(Default)]
pub(crate) struct Line {
    head: Cell<u32>,
    tail: Cell<u32>,
    len: Cell<u32>,
}

impl Line {
    pub(crate) fn len(&self) -> usize {
        self.len.get() as usize
    }

    pub(crate) fn front(&self) -> Option<Place> {
        Place::new(self.head.get())
    }

    /// The waiter behind `place`.
    pub(crate) fn after<T>(&self, table: &Table<'_, T>, place: Place) -> Option<Place> {
        Place::new(table.waiter(place).next.get())
    }

    /// Puts `place`, which stands in no line, at the end.
    pub(crate) fn push_back<T>(&self, table: &Table<'_, T>, place: Place) {
        let waiter = table.waiter(place);
        debug_assert_eq!((waiter.prev.get(), waiter.next.get()), (0, 0), "{place} is linked");
        self.link(table, Place::new(self.tail.get()), Some(place));
        self.tail.set(place.get());
        self.len.set(self.len.get() + 1);
    }

    /// Takes `place`, which stands in this line, out of it.
    pub(crate) fn remove<T>(&self, table: &Table<'_, T>, place: Place) {
        let waiter = table.waiter(place);
        let (prev, next) = (waiter.prev.take(), waiter.next.take());
        self.link(table, Place::new(prev), Place::new(next));
        self.len.set(self.len.get() - 1);
    }

    /// Makes `next` the one behind `prev`; where one is missing, that is an end of the line.
    fn link<T>(&self, table: &Table<'_, T>, prev: Option<Place>, next: Option<Place>) {
        let behind = prev.map_or(&self.head, |prev| &table.waiter(prev).next);
        behind.set(next.map_or(0, Place::get));
        let before = next.map_or(&self.tail, |next| &table.waiter(next).prev);
        before.set(prev.map_or(0, Place::get));
    }
}

/// A table of waiters, for one line or several.
pub(crate) struct Table<'m, T> {
    waiters: &'m [Waiter<T>],
    /// The first of the free ones, linked by `next`; 0: none.
    free: Cell<u32>,
}

impl<'m, T> Table<'m, T> {
    /// A table in which all are free, whatever an earlier owner left there.
    pub(crate) fn new(waiters: &'m mut [Waiter<T>]) -> Self {
        let len = waiters.len();
        let len = u32::try_from(len).unwrap_or_else(|_| panic!("{len} waiters in one table"));
        for (waiter, place) in waiters.iter_mut().zip(1..) {
            *waiter = Waiter::new();
            waiter.next.set(if place == len { 0 } else { place + 1 });
        }
        Self { waiters, free: Cell::new(len.min(1)) }
    }

    fn waiter(&self, place: Place) -> &'m Waiter<T> {
        list::entry(self.waiters, place.get() as usize - 1)
    }

    /// The item on its way to the task at `place`, or from it.
    pub(crate) fn item(&self, place: Place) -> &'m Cell<Option<T>> {
        &self.waiter(place).item
    }

    /// A free waiter at the end of `line`, arrow 1; `None` when there is none.
    pub(crate) fn enter(&self, line: &Line, cx: &Context<'_>) -> Option<Place> {
        let place = Place::new(self.free.get())?;
        // Before anything changes: a clone of somebody else's waker may call back.
        let waker = cx.waker().clone();
        let waiter = self.waiter(place);
        debug_assert_eq!(waiter.stage.get(), Stage::Free, "{place} is taken");
        self.free.set(waiter.next.take());
        waiter.stage.set(Stage::Waiting);
        line.push_back(self, place);
        waiter.waker.set(Some(waker));
        Some(place)
    }

    /// What has become of the one at `place`; whose task is woken when it no longer waits.
    pub(crate) fn poll(&self, place: Place, cx: &Context<'_>) -> Poll<()> {
        let waiter = self.waiter(place);
        if waiter.stage.get() != Stage::Waiting {
            return Poll::Ready(());
        }
        match waiter.waker.take() {
            Some(waker) if waker.will_wake(cx.waker()) => waiter.waker.set(Some(waker)),
            old => {
                waiter.waker.set(Some(cx.waker().clone()));
                // Last: what its end runs may grant this very place.
                drop(old);
            }
        }
        Poll::Pending
    }

    /// Waits in `line`: enters it at the first call, with `place` empty, and resolves, with the
    /// place given back, once it was granted or released.
    pub(crate) fn poll_wait(
        &self,
        line: &Line,
        place: &mut Option<Place>,
        cx: &Context<'_>,
    ) -> Poll<Result<(), Full>> {
        match *place {
            None => {
                *place = Some(self.enter(line, cx).ok_or(Full(()))?);
                Poll::Pending
            }
            Some(granted) => {
                ready!(self.poll(granted, cx));
                *place = None;
                self.vacate(granted);
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Takes the front of `line` out of it, arrow 2. The caller wakes it, last of all.
    pub(crate) fn grant(&self, line: &Line, stage: Stage) -> Option<Place> {
        let place = line.front()?;
        line.remove(self, place);
        self.waiter(place).stage.set(stage);
        Some(place)
    }

    /// Wakes the task at `place`.
    pub(crate) fn wake(&self, place: Place) {
        if let Some(waker) = self.waiter(place).waker.take() {
            waker.wake();
        }
    }

    /// Grants the first `count` of `line`, and wakes them in their order; how many there were.
    pub(crate) fn grant_first(&self, line: &Line, count: usize, stage: Stage) -> usize {
        // Settled before the first wake: those who enter meanwhile do not add to them.
        let count = count.min(line.len());
        for _ in 0..count {
            if let Some(place) = self.grant(line, stage) {
                self.wake(place);
            }
        }
        count
    }

    /// Gives up the place of a future that ends before it has resolved, if it took one: arrow 4.
    /// It stands in `line` while it waits. Answers where it stood.
    pub(crate) fn leave(&self, line: &Line, place: &mut Option<Place>) -> Stage {
        let Some(place) = place.take() else { return Stage::Free };
        let stage = self.waiter(place).stage.get();
        if stage == Stage::Waiting {
            line.remove(self, place);
        }
        self.vacate(place);
        stage
    }

    /// Where the one at `place` stands.
    pub(crate) fn stage(&self, place: Place) -> Stage {
        self.waiter(place).stage.get()
    }

    /// Leaves the waiter at `place`, which stands in no line, with the item in it and no task.
    pub(crate) fn keep(&self, place: Place) {
        self.waiter(place).stage.set(Stage::Keeping);
    }

    /// Makes the waiter at `place`, which stands in no line, free; arrow 3.
    pub(crate) fn vacate(&self, place: Place) {
        let waiter = self.waiter(place);
        debug_assert_eq!((waiter.prev.get(), waiter.next.get()), (0, 0), "{place} is linked");
        waiter.stage.set(Stage::Free);
        waiter.next.set(self.free.replace(place.get()));
        // Both are dropped when the table is whole.
        drop((waiter.item.take(), waiter.waker.take()));
    }
}

/// The tasks that wait for one thing: a table with its only line.
pub(crate) struct Waiters<'m> {
    table: Table<'m, ()>,
    line: Line,
}

impl<'m> Waiters<'m> {
    pub(crate) fn new(waiters: &'m mut [Waiter]) -> Self {
        Self { table: Table::new(waiters), line: Line::default() }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.line.len()
    }

    /// See [`Table::poll_wait`].
    pub(crate) fn poll_wait(
        &self,
        place: &mut Option<Place>,
        cx: &Context<'_>,
    ) -> Poll<Result<(), Full>> {
        self.table.poll_wait(&self.line, place, cx)
    }

    /// Grants the first `count`; how many there were.
    pub(crate) fn grant(&self, count: usize) -> usize {
        self.table.grant_first(&self.line, count, Stage::Granted)
    }

    /// Ends the wait of all.
    pub(crate) fn release(&self) {
        self.table.grant_first(&self.line, self.line.len(), Stage::Released);
    }

    /// Gives a place up; whether there was a grant in it, which the caller hands on.
    #[must_use = "a grant would be lost"]
    pub(crate) fn leave(&self, place: &mut Option<Place>) -> bool {
        self.table.leave(&self.line, place) == Stage::Granted
    }
}
