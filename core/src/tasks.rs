//! A fixed number of futures of one type that run beside each other. Tornado: `spawn_callback`.
//!
//! Invariants:
//! - A task is polled only when its flag was raised: a thousand that wait cost nothing.
//! - Every slot is borrowed by itself, and only while its own task runs. So a running task can
//!   spawn others and cancel others, and [`Tasks::cancel`] of the one that runs is refused.
//! - A [`TaskId`] is never used again for another task (its generation wraps after 2^32).
//!
//! Capacity: the count given to [`Tasks::new`]. Full: [`Tasks::spawn`] gives the future back.
//!
//! Layer: stands on [`Slots`] and the reactor's groups; [`TcpServer`](crate::tcp::TcpServer) and
//! programs stand on it.
//!
//! ```
//! # #[cfg(feature = "sim")] {
//! use dustdevil_core::handle::Handle;
//! use dustdevil_core::memory::Memory;
//! use dustdevil_core::reactor::{Capacity, Reactor};
//! use dustdevil_core::sim::{self, Faults, Sim, World};
//! use dustdevil_core::tasks::Tasks;
//! use dustdevil_core::time::Duration;
//!
//! const CAPACITY: Capacity =
//!     Capacity { sources: 0, timers: 2, groups: 0, tasks: 1, waiters: 0 }.plus_tasks(2);
//! static MEMORY: Memory<{ CAPACITY.bytes() }> = Memory::new();
//! static TASKS: Memory<1024> = Memory::new();
//!
//! let world = World::new(1, Faults::NONE);
//! let wakes = sim::wakes(CAPACITY.tasks);
//! let reactor = Reactor::new(Sim::<true>::new(&world), MEMORY.take(), CAPACITY, wakes);
//! let handle = Handle::from(&reactor);
//! let tasks = Tasks::new(handle, &mut TASKS.take(), 2);
//! let nap = |ms: u64| async move {
//!     handle.sleep(Duration::from_millis(ms)).await;
//!     ms
//! };
//! for ms in [20, 10] {
//!     assert!(tasks.spawn(nap(ms)).is_ok());
//! }
//! assert!(tasks.spawn(nap(0)).is_err()); // full: the future comes back
//! reactor.run(async {
//!     assert_eq!(tasks.next().await.map(|(_, output)| output), Some(10));
//!     assert_eq!(tasks.next().await.map(|(_, output)| output), Some(20));
//!     assert_eq!(tasks.next().await, None);
//! });
//! # }
//! ```

use core::cell::{Cell, RefCell};
use core::convert::Infallible;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

pub use crate::full::Full;
use crate::handle::Handle;
use crate::list::Chained;
use crate::memory::{Block, room};
use crate::reactor::Group;
use crate::slab::Slab;
use crate::task::Slots;

/// Tasks polled in one turn, also when some of them end; the rest has its turn next.
const TASKS_PER_POLL_MAX: u32 = 256;

/// Room for a fixed number of futures of one type, and what polls them. See the [module](self).
///
/// They run while somebody polls it: by [`run`](Self::run), joined with the rest of the program, or
/// by [`next`](Self::next). Dropping it drops them.
pub struct Tasks<'m, 'c, F: Future> {
    handle: Handle<'c>,
    group: Group,
    /// Entry `n` has the task with the number `n - 1` in the group.
    entries: Slab<'m, Entry<'m, F>>,
    /// The task that runs just now; 0: none.
    running: Cell<u32>,
    /// How many were polled since a poll of the whole last answered that nothing more is to do.
    in_row: Cell<u32>,
}

struct Entry<'m, F: Future> {
    next: Cell<u32>,
    generation: Cell<u32>,
    /// One slot; borrowed while its future is polled or dropped.
    slot: RefCell<Slots<'m, F>>,
}

impl<F: Future> Chained for Entry<'_, F> {
    fn next(&self) -> &Cell<u32> {
        &self.next
    }
}

/// The name of one task of one [`Tasks`], for [`Tasks::cancel`]; harmless when the task has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TaskId {
    index: u32,
    generation: u32,
}

impl<'m, 'c, F: Future> Tasks<'m, 'c, F> {
    /// How many bytes `capacity` tasks take from a block.
    pub const fn bytes(capacity: usize) -> usize {
        // One more, for the place that is never given out.
        room::<Entry<'static, F>>(capacity + 1) + Self::slots_bytes(capacity)
    }

    const fn slots_bytes(capacity: usize) -> usize {
        Slots::<F>::bytes(1).checked_mul(capacity).expect("fits the address space")
    }

    /// Room for `capacity` tasks, cut from `block`. They take one group and `capacity` tasks of the
    /// reactor's: see [`Capacity::plus_tasks`](crate::reactor::Capacity::plus_tasks).
    ///
    /// # Panics
    /// At start-up: when the block has less than [`bytes`](Self::bytes) left, or the reactor's
    /// groups or tasks are used up.
    #[track_caller]
    pub fn new(handle: Handle<'c>, block: &mut Block<'m>, capacity: usize) -> Self {
        let mut slots = block.split(Self::slots_bytes(capacity));
        let entries = block.fill(capacity + 1, |index| Entry {
            next: Cell::new(0),
            generation: Cell::new(0),
            slot: RefCell::new(Slots::new(&mut slots, usize::from(index != 0))),
        });
        let Some(group) = handle.group(capacity) else {
            panic!("the reactor has no group with {capacity} tasks left")
        };
        let (running, in_row) = (Cell::new(0), Cell::new(0));
        Self { handle, group, entries: Slab::new(entries), running, in_row }
    }

    /// Starts `future` as a task: it is polled first in the reactor's next turn, on the reactor's
    /// thread. May be called from anywhere on that thread, a running task included.
    ///
    /// # Errors
    /// [`Full`] gives the future back.
    pub fn spawn(&self, future: F) -> Result<TaskId, Full<F>> {
        let Some(index) = self.entries.allot() else { return Err(Full(future)) };
        // The place was given out just now, so nobody polls or drops what is in it.
        let entry = &self.entries.entries()[index as usize];
        entry.slot.borrow_mut().put(0, future);
        self.handle.task_waker(self.group, task_of(index)).wake();
        Ok(TaskId { index, generation: entry.generation.get() })
    }

    /// Drops a task where it stands; whether that was done. Not done: it has ended, or it is the
    /// one that runs just now, which ends by returning.
    pub fn cancel(&self, id: TaskId) -> bool {
        if !self.is_running(id) || self.running.get() == id.index {
            return false;
        }
        self.end(id.index);
        true
    }

    /// Whether the task has not ended.
    pub fn is_running(&self, id: TaskId) -> bool {
        let entry = self.entries.entry(id.index);
        // The generation goes up when a task ends, not when the next one begins.
        entry.is_some_and(|entry| entry.generation.get() == id.generation)
    }

    /// How many tasks there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether [`spawn`](Self::spawn) would refuse.
    pub fn is_full(&self) -> bool {
        self.entries.is_full()
    }

    /// Runs the tasks for ever, dropping what they return: to be joined with the main future.
    ///
    /// Cancel-safe: dropping it pauses the tasks.
    pub fn run<'t>(&'t self) -> Run<'t, 'm, 'c, F> {
        Run { tasks: self }
    }

    /// Runs the tasks until one ends, and names it with what it returned; `None` when there is
    /// none. `while let Some(..) = tasks.next().await` waits for all. Tornado: `WaitIterator`.
    ///
    /// Cancel-safe: dropping it pauses the tasks, and loses no output.
    pub fn next<'t>(&'t self) -> Next<'t, 'm, 'c, F> {
        Next { tasks: self }
    }

    /// Polls the flagged tasks, as [`next`](Self::next) does. Also when it answers `None` the
    /// waker is told of what is spawned later.
    ///
    /// # Panics
    /// When it is called from one of its own tasks.
    pub fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<(TaskId, F::Output)>> {
        assert!(self.running.get() == 0, "tasks polled from inside one of them");
        // A task that ends does not begin the count anew: many may end together.
        let mut in_row = self.in_row.take();
        while in_row < TASKS_PER_POLL_MAX {
            match self.handle.poll_task(self.group, cx) {
                Poll::Ready(task) => {
                    in_row += 1;
                    if let Some(ended) = self.poll_one(task) {
                        self.in_row.set(in_row);
                        return Poll::Ready(Some(ended));
                    }
                }
                Poll::Pending if self.is_empty() => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.handle.add_budget_hit();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_one(&self, task: usize) -> Option<(TaskId, F::Output)> {
        let index = index_of(task);
        // A late flag may name a place that is empty now, or that was never used.
        let entry = self.entries.entry(index)?;
        let generation = entry.generation.get();
        let mut slot = entry.slot.borrow_mut();
        if !slot.is_occupied(0) {
            return None;
        }
        let waker = self.handle.task_waker(self.group, task);
        self.running.set(index);
        let polled = slot.poll(0, &mut Context::from_waker(&waker));
        self.running.set(0);
        drop(slot);
        let Poll::Ready(output) = polled else { return None };
        self.end(index);
        Some((TaskId { index, generation }, output))
    }

    /// Empties a place and gives it back.
    fn end(&self, index: u32) {
        // Given out, hence in the table.
        let entry = &self.entries.entries()[index as usize];
        entry.generation.set(entry.generation.get().wrapping_add(1));
        entry.slot.borrow_mut().remove(0);
        self.entries.release(index);
    }
}

/// A panic in a task leaves `running` set; that is no reason to keep the futures.
impl<F: Future> Drop for Tasks<'_, '_, F> {
    fn drop(&mut self) {
        // The entries lie in a block, where nothing is dropped by itself.
        for entry in self.entries.entries() {
            if entry.slot.borrow().capacity() > 0 {
                entry.slot.borrow_mut().remove(0);
            }
        }
        self.handle.release_group(self.group);
    }
}

/// See [`Tasks::run`].
#[must_use = "tasks run only while this is awaited"]
pub struct Run<'t, 'm, 'c, F: Future> {
    tasks: &'t Tasks<'m, 'c, F>,
}

impl<F: Future> Future for Run<'_, '_, '_, F> {
    type Output = Infallible;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Infallible> {
        while let Poll::Ready(Some(_)) = self.tasks.poll_next(cx) {}
        Poll::Pending
    }
}

/// See [`Tasks::next`].
#[must_use = "tasks run only while this is awaited"]
pub struct Next<'t, 'm, 'c, F: Future> {
    tasks: &'t Tasks<'m, 'c, F>,
}

impl<F: Future> Future for Next<'_, '_, '_, F> {
    type Output = Option<(TaskId, F::Output)>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.tasks.poll_next(cx)
    }
}

/// The number in the group of the task at place `index`; place 0 is never given out.
const fn task_of(index: u32) -> usize {
    index as usize - 1
}

/// The place of a group's task. A slab's places fit a `u32`, and there is one for each task.
const fn index_of(task: usize) -> u32 {
    task as u32 + 1
}
