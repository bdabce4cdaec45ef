//! Locks and queues: what was granted to somebody who is gone goes to the next.

use dustdevil_core::locks::{BoundedSemaphore, Condition, Event, Lock, Semaphore, Waiter};
use dustdevil_core::queues::{LifoQueue, PriorityQueue, Queue, QueueWaiter};
use embassy_futures::join::{join, join3};
use heapless::binary_heap::{BinaryHeap, Min};
use heapless::deque::Deque;

use super::{Case, Cut, Scene, cases};
use crate::util::millis;

pub(super) const CASES: &[Case] = cases![
    condition_wait: 1,
    event_wait: 1,
    semaphore_acquire: 1,
    bounded_acquire: 1,
    lock_acquire: 1,
    queue_put: 1,
    queue_get: 1,
    queue_join: 1,
    priority_put: 1,
    priority_get: 1,
    lifo_put: 1,
    lifo_get: 1,
];

const fn waiters() -> [Waiter; 4] {
    [const { Waiter::new() }; 4]
}

/// Of two that wait one is notified; when that one is gone, the other.
async fn condition_wait(scene: &Scene<'_>, cut: Cut) -> bool {
    let mut waiters = waiters();
    let condition = Condition::new(&mut waiters);
    let cutting = cut.of(scene, condition.wait());
    let notifies = async {
        scene.rt.sleep(millis(10)).await;
        condition.notify(1);
        scene.rt.sleep(millis(10)).await;
        condition.notify(1);
    };
    let second = async {
        scene.rt.sleep(millis(5)).await;
        condition.wait().await.unwrap();
        scene.rt.now()
    };
    let begin = scene.rt.now();
    let (done, (), woken) = join3(cutting, notifies, second).await;
    assert_eq!(done.is_none(), woken - begin < millis(20), "the first notification is not lost");
    assert_eq!(condition.waiting(), 0);
    done.is_some()
}

async fn event_wait(scene: &Scene<'_>, cut: Cut) -> bool {
    let mut waiters = waiters();
    let event = Event::new(&mut waiters);
    let sets = async {
        scene.rt.sleep(millis(10)).await;
        event.set();
    };
    let (done, (), second) = join3(cut.of(scene, event.wait()), sets, event.wait()).await;
    second.unwrap();
    event.wait().await.unwrap();
    assert_eq!(event.waiting(), 0);
    done.is_some()
}

/// A case of something that is acquired: one holds it, one is cut, one waits behind.
macro_rules! acquires {
    ($($name:ident($waiters:ident) = $make:expr, $is_free:expr;)*) => {$(
        async fn $name(scene: &Scene<'_>, cut: Cut) -> bool {
            let mut $waiters = waiters();
            let lock = $make;
            let held = lock.acquire().await.unwrap();
            let releases = async {
                scene.rt.sleep(millis(10)).await;
                drop(held);
            };
            let behind = async {
                scene.rt.sleep(millis(5)).await;
                drop(lock.acquire().await.unwrap());
            };
            let cutting = async { cut.of(scene, lock.acquire()).await.map(drop).is_some() };
            let (is_done, (), ()) = join3(cutting, releases, behind).await;
            drop(lock.acquire().await.unwrap());
            assert_eq!(lock.waiting(), 0);
            assert!($is_free(&lock), "a permit is lost");
            is_done
        }
    )*};
}

acquires! {
    semaphore_acquire(waiters) = Semaphore::new(1, &mut waiters), |s: &Semaphore| s.value() == 1;
    bounded_acquire(waiters) = BoundedSemaphore::new(1, &mut waiters),
        |s: &BoundedSemaphore| s.value() == 1;
    lock_acquire(waiters) = Lock::new(&mut waiters), |lock: &Lock| !lock.is_locked();
}

/// A case of a put into a queue that is full: every item comes out once, but for one that was
/// dropped before it was in.
macro_rules! puts {
    ($($name:ident: $queue:ident in $items:expr;)*) => {$(
        async fn $name(scene: &Scene<'_>, cut: Cut) -> bool {
            let mut waiters = [const { QueueWaiter::new() }; 4];
            let mut items = $items;
            let queue = $queue::new(&mut items, &mut waiters);
            queue.put_nowait(1).unwrap();
            let mut put = queue.put(2);
            let cutting = async {
                let done = cut.of(scene, &mut put).await;
                (done.is_some(), put.into_item())
            };
            let behind = async {
                scene.rt.sleep(millis(5)).await;
                queue.put(3).await.unwrap();
            };
            let gets = async {
                scene.rt.sleep(millis(10)).await;
                let mut got = vec![queue.get().await.unwrap(), queue.get().await.unwrap()];
                scene.rt.sleep(millis(10)).await;
                got.extend(queue.get_nowait());
                got
            };
            let ((is_done, back), (), mut got) = join3(cutting, behind, gets).await;
            got.extend(back);
            got.sort_unstable();
            assert_eq!(got, [1, 2, 3], "an item is lost");
            assert!(queue.is_empty());
            for _ in 0..3 - usize::from(back.is_some()) {
                queue.task_done().unwrap();
            }
            queue.join().await.unwrap();
            is_done
        }
    )*};
}

/// A case of a get from an empty queue: every item comes out once.
macro_rules! gets {
    ($($name:ident: $queue:ident in $items:expr;)*) => {$(
        async fn $name(scene: &Scene<'_>, cut: Cut) -> bool {
            let mut waiters = [const { QueueWaiter::new() }; 4];
            let mut items = $items;
            let queue = $queue::new(&mut items, &mut waiters);
            let puts = async {
                scene.rt.sleep(millis(10)).await;
                for item in [1, 2, 3] {
                    queue.put(item).await.unwrap();
                }
            };
            let behind = async {
                scene.rt.sleep(millis(5)).await;
                queue.get().await.unwrap()
            };
            let third = async {
                scene.rt.sleep(millis(20)).await;
                queue.get().await.unwrap()
            };
            let cutting = cut.of(scene, queue.get());
            let (got, (), (second, third)) = join3(cutting, puts, join(behind, third)).await;
            let is_done = got.is_some();
            let mut got: Vec<u32> = got.map(Result::unwrap).into_iter().collect();
            got.extend([second, third]);
            if !is_done {
                got.push(queue.get().await.unwrap());
            }
            got.sort_unstable();
            assert_eq!(got, [1, 2, 3], "an item is lost");
            assert!(queue.is_empty());
            is_done
        }
    )*};
}

puts! {
    queue_put: Queue in Deque::<u32, 1>::new();
    priority_put: PriorityQueue in BinaryHeap::<u32, Min, 1>::new();
    lifo_put: LifoQueue in heapless::Vec::<u32, 1>::new();
}

gets! {
    queue_get: Queue in Deque::<u32, 1>::new();
    priority_get: PriorityQueue in BinaryHeap::<u32, Min, 1>::new();
    lifo_get: LifoQueue in heapless::Vec::<u32, 1>::new();
}

async fn queue_join(scene: &Scene<'_>, cut: Cut) -> bool {
    let mut waiters = [const { QueueWaiter::new() }; 4];
    let mut items = Deque::<u32, 1>::new();
    let queue = Queue::new(&mut items, &mut waiters);
    queue.put_nowait(1).unwrap();
    let works = async {
        scene.rt.sleep(millis(10)).await;
        queue.get().await.unwrap();
        queue.task_done().unwrap();
    };
    let (done, (), other) = join3(cut.of(scene, queue.join()), works, queue.join()).await;
    other.unwrap();
    queue.join().await.unwrap();
    done.is_some()
}
