//! Futures beside each other.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use dustdevil_core::handle::Handle;
use dustdevil_core::memory::SlotsLive;
use dustdevil_core::reactor::Capacity;
use dustdevil_core::sim::Faults;
use dustdevil_core::tasks::{TaskId, Tasks};
use embassy_futures::select::select;

use crate::util::{BARE, SECOND, in_world, memory, millis};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Every future that a task can be, for tests that need several shapes of it.
fn boxed<'a, T>(future: impl Future<Output = T> + 'a) -> Boxed<'a, T> {
    Box::pin(future)
}

const CAPACITY: Capacity = BARE.plus_tasks(4);

/// One that splits in two until `depth` is 0, all from inside running tasks.
struct Fork<'a> {
    tasks: &'a Cell<Option<&'a Tasks<'a, 'a, Fork<'a>>>>,
    depth: u32,
    done: &'a Cell<u32>,
    refused: &'a Cell<u32>,
}

impl Future for Fork<'_> {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let tasks = self.tasks.get().expect("set before the first is spawned");
        for _ in 0..2 * self.depth.min(1) {
            if tasks.spawn(Fork { depth: self.depth - 1, ..*self }).is_err() {
                self.refused.set(self.refused.get() + 1);
            }
        }
        self.done.set(self.done.get() + 1);
        Poll::Ready(())
    }
}

/// Tasks that end together share a turn's budget with all others, whoever polls them.
#[test]
fn many_that_end_together_do_so_in_several_turns() {
    const TASKS: usize = 600;
    for by_next in [false, true] {
        in_world(1, Faults::NONE, BARE.plus_tasks(TASKS), |_, reactor| {
            let rt = Handle::from(reactor);
            let ends = RefCell::new(Vec::new());
            let task = || boxed(async { ends.borrow_mut().push(rt.snapshot().turns) });
            let mut slots = memory(Tasks::<Boxed<'_, ()>>::bytes(TASKS));
            let tasks = Tasks::new(rt, &mut slots.block(), TASKS);
            for _ in 0..TASKS {
                assert!(tasks.spawn(task()).is_ok());
            }
            reactor.run(async {
                if by_next {
                    while tasks.next().await.is_some() {}
                } else {
                    select(tasks.run(), rt.sleep(SECOND)).await;
                }
            });
            let ends = ends.borrow();
            let shares: Vec<usize> =
                ends.chunk_by(|one, other| one == other).map(<[u64]>::len).collect();
            assert_eq!(shares, [256, 256, 88], "by_next: {by_next}");
        });
    }
}

#[test]
fn a_running_task_spawns_others() {
    for capacity in [31, 4] {
        let (done, refused) = (Cell::new(0), Cell::new(0));
        in_world(1, Faults::NONE, BARE.plus_tasks(capacity), |_, reactor| {
            let mut slots = memory(Tasks::<Fork<'_>>::bytes(capacity) + 128);
            let mut block = slots.block();
            let own: &Cell<_> = block.place(Cell::new(None));
            let tasks = Tasks::new(Handle::from(reactor), &mut block, capacity);
            // In the block, it lives as long as its own tasks, which borrow it.
            let tasks: &Tasks<'_, '_, Fork<'_>> = block.place(tasks);
            own.set(Some(tasks));
            let first = Fork { tasks: own, depth: 4, done: &done, refused: &refused };
            assert!(tasks.spawn(first).is_ok());
            reactor.run(async { while tasks.next().await.is_some() {} });
        });
        let (done, refused) = (done.get(), refused.get());
        match capacity {
            31 => assert_eq!((done, refused), (31, 0)),
            _ => assert!(refused > 0 && (5..31).contains(&done), "{done} done, {refused} refused"),
        }
    }
}

#[test]
fn only_what_is_woken_is_polled() {
    in_world(1, Faults::NONE, BARE.plus_tasks(100), |_, reactor| {
        let handle = Handle::from(reactor);
        let mut slots = memory(Tasks::<Boxed<'_, ()>>::bytes(100));
        let tasks = Tasks::new(handle, &mut slots.block(), 100);
        for _ in 0..99 {
            assert!(tasks.spawn(boxed(pending())).is_ok());
        }
        let blink = boxed(async {
            for _ in 0..10 {
                handle.sleep(SECOND).await;
            }
        });
        assert!(tasks.spawn(blink).is_ok());
        reactor.run(tasks.next());
        let snapshot = handle.snapshot();
        assert_eq!(snapshot.tasks, 100 + 10, "each once, and then what slept");
        assert!(snapshot.turns < 100 + 40, "{} turns", snapshot.turns);
    });
}

#[test]
fn outputs_come_as_tasks_end_and_ids_name_one_task_only() {
    in_world(1, Faults::NONE, CAPACITY, |_, reactor| {
        let handle = Handle::from(reactor);
        let mut slots = memory(Tasks::<Boxed<'_, u64>>::bytes(4));
        let tasks = Tasks::new(handle, &mut slots.block(), 4);
        let nap = |ms| {
            boxed(async move {
                handle.sleep(millis(ms)).await;
                ms
            })
        };
        let ids: Vec<TaskId> = [30, 10, 20, 40].map(|ms| tasks.spawn(nap(ms)).unwrap()).into();
        assert!(tasks.is_full());
        let dustdevil_core::tasks::Full(back) = tasks.spawn(nap(0)).unwrap_err();
        reactor.run(async {
            assert_eq!(tasks.next().await, Some((ids[1], 10)));
            assert!(!tasks.is_running(ids[1]) && !tasks.cancel(ids[1]));
            let again = tasks.spawn(back).unwrap();
            assert_ne!(again, ids[1]);
            assert_eq!(tasks.next().await, Some((again, 0)));
            assert!(tasks.is_running(ids[3]) && tasks.cancel(ids[3]) && !tasks.cancel(ids[3]));
            assert_eq!(tasks.next().await, Some((ids[2], 20)));
            assert_eq!(tasks.next().await, Some((ids[0], 30)));
            assert_eq!(tasks.next().await, None);
            // Told of what comes later, also after `None`.
            let spawn_later = async {
                handle.sleep(millis(1)).await;
                assert!(tasks.spawn(nap(1)).is_ok());
                handle.sleep(millis(5)).await;
                assert!(tasks.is_empty());
            };
            select(tasks.run(), spawn_later).await;
        });
    });
}

#[test]
fn a_task_cancels_others_but_not_itself() {
    in_world(1, Faults::NONE, CAPACITY, |_, reactor| {
        let handle = Handle::from(reactor);
        let mut slots = memory(Tasks::<Boxed<'_, bool>>::bytes(4) + 64);
        let mut block = slots.block();
        let ids = Rc::new(RefCell::new(Vec::new()));
        let tasks = Tasks::new(handle, &mut block, 4);
        let tasks: &Tasks<'_, '_, Boxed<'_, bool>> = block.place(tasks);
        let dropped = Rc::new(());
        let held = dropped.clone();
        let victim = boxed(async move {
            let _held = held;
            pending().await
        });
        let killer = {
            let ids = ids.clone();
            boxed(async move {
                let ids: Vec<TaskId> = ids.borrow().clone();
                assert!(tasks.is_running(ids[1]) && !tasks.cancel(ids[1]), "it runs just now");
                // One more refusal: they cannot be run from inside.
                let waker = Waker::noop();
                let inner = || tasks.poll_next(&mut Context::from_waker(waker));
                assert!(catch_unwind(AssertUnwindSafe(inner)).is_err());
                tasks.cancel(ids[0])
            })
        };
        for task in [victim, killer] {
            ids.borrow_mut().push(tasks.spawn(task).unwrap());
        }
        let killed = reactor.run(tasks.next());
        assert_eq!(killed.map(|(_, killed)| killed), Some(true));
        assert_eq!((Rc::strong_count(&dropped), tasks.len()), (1, 0));
    });
}

#[test]
fn dropping_the_whole_drops_every_task_and_gives_the_group_back() {
    in_world(1, Faults::NONE, CAPACITY, |_, reactor| {
        let handle = Handle::from(reactor);
        let count = Rc::new(());
        let mut slots = memory(Tasks::<Boxed<'_, ()>>::bytes(4));
        for _ in 0..3 {
            let tasks = Tasks::new(handle, &mut slots.block(), 4);
            for _ in 0..4 {
                let held = count.clone();
                let sleep = async move {
                    handle.sleep(SECOND).await;
                    drop(held);
                };
                assert!(tasks.spawn(boxed(sleep)).is_ok());
            }
            reactor.run(select(tasks.next(), handle.sleep(millis(1))));
            assert_eq!((Rc::strong_count(&count), reactor.group(0)), (5, None));
            drop(tasks);
            assert_eq!(Rc::strong_count(&count), 1);
        }
        assert_eq!(handle.snapshot().timers_refused, 3, "no timer was lost: 4 of 5, each time");
        assert!(reactor.group(4).is_some());
    });
}

#[test]
fn forgotten_tasks_keep_their_memory_and_harm_nobody() {
    in_world(1, Faults::NONE, CAPACITY, |_, reactor| {
        let handle = Handle::from(reactor);
        let mut slots = memory(Tasks::<Boxed<'_, ()>>::bytes(4));
        let tasks = Tasks::new(handle, &mut slots.block(), 4);
        let woken = Rc::new(Cell::new(None::<Waker>));
        let waiting = {
            let woken = woken.clone();
            boxed(poll_fn(move |cx| {
                woken.set(Some(cx.waker().clone()));
                Poll::Pending
            }))
        };
        assert!(tasks.spawn(waiting).is_ok());
        assert!(tasks.spawn(boxed(handle.sleep(millis(5)))).is_ok());
        reactor.run(select(tasks.next(), handle.sleep(millis(1))));
        mem::forget(tasks);
        assert_eq!(slots.try_block().err(), Some(SlotsLive(2)));
        // Its flags are raised still, by a waker and by a timer; nobody is polled.
        woken.take().unwrap().wake();
        reactor.run(handle.sleep(millis(20)));
        assert_eq!(handle.snapshot().timers_refused, 0);
    });
}

#[test]
fn more_tasks_than_one_poll_takes_are_all_run() {
    let count = if cfg!(miri) { 300 } else { 1_000 };
    in_world(1, Faults::NONE, BARE.plus_tasks(count), |_, reactor| {
        let handle = Handle::from(reactor);
        let mut slots = memory(Tasks::<Boxed<'_, ()>>::bytes(count));
        let tasks = Tasks::new(handle, &mut slots.block(), count);
        for _ in 0..count {
            let mut polls = 0;
            let thrice = poll_fn(move |cx| {
                polls += 1;
                cx.waker().wake_by_ref();
                if polls == 3 { Poll::Ready(()) } else { Poll::Pending }
            });
            assert!(tasks.spawn(boxed(thrice)).is_ok());
        }
        let mut ended = 0;
        reactor.run(async {
            while tasks.next().await.is_some() {
                ended += 1;
            }
        });
        assert_eq!(ended, count);
        let snapshot = handle.snapshot();
        assert!(snapshot.budget_hits > 0 && snapshot.tasks >= 3 * count as u64, "{snapshot:?}");
    });
}
