//! Time, calls, tasks, messages and coroutines.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;

use dustdevil_core::callbacks::Callbacks;
use dustdevil_core::coroutine::{WaitIterator, multi, try_multi, yield_now};
use dustdevil_core::handle::Handle;
use dustdevil_core::oneshot::{Oneshot, SetError, add_done_callback, chain};
use dustdevil_core::periodic::PeriodicCallback;
use dustdevil_core::remote::Remote;
use dustdevil_core::task::TimedOut;
use dustdevil_core::tasks::Tasks;
use embassy_futures::join::join;
use embassy_futures::select::select;

use super::{Case, Cut, Scene, cases};
use crate::util::{MINUTE, memory, millis};

pub(super) const CASES: &[Case] = cases![
    sleep: 1,
    sleep_until: 1,
    timeout: 1,
    timeout_that_is_late: 1,
    stopping: 1,
    yields: 1,
    tasks_next: 1,
    tasks_run: 2,
    callbacks_run: 2,
    periodic_run: 2,
    periodic_run_async: 2,
    remote_next: 1,
    remote_for_each: 2,
    remote_run: 2,
    promised: 1,
    promised_and_gone: 1,
    done_callback: 1,
    chained: 1,
    multi_of_two: 2,
    try_multi_of_two: 2,
    wait_iterator: 1,
];

async fn sleep(scene: &Scene<'_>, cut: Cut) -> bool {
    let done = cut.of(scene, scene.rt.sleep(MINUTE)).await;
    let begin = scene.rt.now();
    scene.rt.sleep(MINUTE).await;
    assert!(scene.rt.now() - begin >= MINUTE);
    done.is_some()
}

/// The same sleep goes on, when it was only lent.
async fn sleep_until(scene: &Scene<'_>, cut: Cut) -> bool {
    let at = scene.rt.now() + MINUTE;
    let mut sleep = scene.rt.sleep_until(at);
    let done = cut.of(scene, &mut sleep).await;
    sleep.await;
    assert!(scene.rt.now() >= at);
    done.is_some()
}

async fn timeout(scene: &Scene<'_>, cut: Cut) -> bool {
    let done = cut.of(scene, scene.rt.timeout(MINUTE, scene.rt.sleep(millis(10)))).await;
    assert_eq!(scene.rt.timeout(MINUTE, scene.rt.sleep(millis(10))).await, Ok(()));
    done.is_some()
}

async fn timeout_that_is_late(scene: &Scene<'_>, cut: Cut) -> bool {
    let done = cut.of(scene, scene.rt.timeout(millis(10), scene.rt.sleep(MINUTE))).await;
    assert_eq!(scene.rt.timeout(millis(10), scene.rt.sleep(MINUTE)).await, Err(TimedOut));
    done.is_some()
}

async fn stopping(scene: &Scene<'_>, cut: Cut) -> bool {
    let stops = async {
        scene.rt.sleep(millis(10)).await;
        scene.rt.stop();
    };
    let (done, ()) = join(cut.of(scene, scene.rt.stopping()), stops).await;
    scene.rt.stopping().await;
    done.is_some()
}

async fn yields(scene: &Scene<'_>, cut: Cut) -> bool {
    let done = cut.of(scene, yield_now()).await;
    yield_now().await;
    done.is_some()
}

/// Sleeps that end one after another, each with its number.
async fn late(rt: Handle<'_>, number: u64) -> u64 {
    rt.sleep(millis(10 * number)).await;
    number
}

async fn tasks_next(scene: &Scene<'_>, cut: Cut) -> bool {
    let mut memory = memory(4_096);
    let tasks = Tasks::new(scene.rt, &mut memory.block(), 3);
    for number in 1..=3 {
        tasks.spawn(late(scene.rt, number)).unwrap();
    }
    let first = cut.of(scene, tasks.next()).await;
    let is_done = first.is_some();
    let mut ended: Vec<u64> = first.flatten().map(|(_, number)| number).into_iter().collect();
    while let Some((_, number)) = tasks.next().await {
        ended.push(number);
    }
    assert_eq!(ended, [1, 2, 3], "each output is given once");
    is_done
}

/// Runs something that never ends for so long that it has done everything; whether it was not cut
/// before.
async fn for_a_while<F: Future>(scene: &Scene<'_>, cut: Cut, operation: F) -> bool {
    cut.of(scene, select(scene.rt.sleep(millis(1_000)), operation)).await.is_some()
}

async fn tasks_run(scene: &Scene<'_>, cut: Cut) -> bool {
    let mut memory = memory(4_096);
    let ended = RefCell::new(Vec::new());
    let tasks = Tasks::new(scene.rt, &mut memory.block(), 3);
    for number in 1..=3 {
        let task = async |number| {
            let number = late(scene.rt, number).await;
            ended.borrow_mut().push(number);
        };
        tasks.spawn(task(number)).ok().unwrap();
    }
    let is_done = for_a_while(scene, cut, tasks.run()).await;
    while tasks.next().await.is_some() {}
    let mut ended = ended.borrow().clone();
    ended.sort_unstable();
    assert_eq!(ended, [1, 2, 3], "each task ends once");
    is_done
}

async fn callbacks_run(scene: &Scene<'_>, cut: Cut) -> bool {
    let mut memory = memory(4_096);
    let called = Cell::new(0);
    let calls: Callbacks<'_, '_, Cell<u32>> = Callbacks::new(scene.rt, &mut memory.block(), 4);
    for number in 1..=3 {
        calls.call_later(millis(10 * number), |called| called.set(called.get() + 1)).unwrap();
    }
    calls.add_callback(|called| called.set(called.get() + 10)).unwrap();
    let is_done = for_a_while(scene, cut, calls.run(&called)).await;
    select(scene.rt.sleep(MINUTE), calls.run(&called)).await;
    assert_eq!(called.get(), 13, "each call is made once");
    assert!(calls.is_empty());
    is_done
}

async fn periodic_run(scene: &Scene<'_>, cut: Cut) -> bool {
    let begin = scene.rt.now();
    let called = RefCell::new(Vec::new());
    let beat = PeriodicCallback::new(scene.reactor, millis(100));
    beat.start();
    let call = || called.borrow_mut().push((scene.rt.now() - begin).as_millis() / 100);
    let is_done = for_a_while(scene, cut, beat.run(call)).await;
    let begun = called.borrow().len();
    select(scene.rt.sleep(millis(1_000)), beat.run(call)).await;
    let called = called.borrow();
    assert!(called.len() >= begun + 9, "it goes on");
    assert!(called.windows(2).all(|two| two[0] < two[1]), "no interval is used twice: {called:?}");
    is_done
}

async fn periodic_run_async(scene: &Scene<'_>, cut: Cut) -> bool {
    let called = Cell::new(0);
    let beat = PeriodicCallback::new(scene.reactor, millis(100));
    beat.start();
    let call = async || {
        scene.rt.sleep(millis(50)).await;
        called.set(called.get() + 1);
    };
    let is_done = for_a_while(scene, cut, beat.run_async(call)).await;
    let begun = called.get();
    select(scene.rt.sleep(millis(1_000)), beat.run_async(call)).await;
    assert!(called.get() >= begun + 8, "it goes on");
    is_done
}

/// Sends three messages, one after another.
async fn sends<T: Send>(scene: &Scene<'_>, inbox: &Remote<T, 4>, message: impl Fn(u32) -> T) {
    for number in 1..=3 {
        scene.rt.sleep(millis(10)).await;
        assert!(inbox.send(message(number)).is_ok());
    }
}

async fn remote_next(scene: &Scene<'_>, cut: Cut) -> bool {
    let inbox = Remote::<u32, 4>::new();
    let mut receiver = inbox.receiver().unwrap();
    let receives = async {
        let first = cut.of(scene, receiver.next()).await;
        let is_done = first.is_some();
        let mut received: Vec<u32> = first.into_iter().collect();
        while received.len() < 3 {
            received.push(receiver.next().await);
        }
        assert_eq!(received, [1, 2, 3]);
        is_done
    };
    join(receives, sends(scene, &inbox, |number| number)).await.0
}

async fn remote_for_each(scene: &Scene<'_>, cut: Cut) -> bool {
    let inbox = Remote::<u32, 4>::new();
    let mut receiver = inbox.receiver().unwrap();
    let received = RefCell::new(Vec::new());
    let receives = async {
        let note = |number| received.borrow_mut().push(number);
        let is_done = for_a_while(scene, cut, receiver.for_each(note)).await;
        select(scene.rt.sleep(MINUTE), receiver.for_each(note)).await;
        is_done
    };
    let (is_done, ()) = join(receives, sends(scene, &inbox, |number| number)).await;
    assert_eq!(*received.borrow(), [1, 2, 3]);
    is_done
}

async fn remote_run(scene: &Scene<'_>, cut: Cut) -> bool {
    let inbox = Remote::<fn(&Cell<u32>), 4>::new();
    let mut receiver = inbox.receiver().unwrap();
    let called = Cell::new(0);
    let receives = async {
        let is_done = for_a_while(scene, cut, receiver.run(&called)).await;
        select(scene.rt.sleep(MINUTE), receiver.run(&called)).await;
        is_done
    };
    let call: fn(&Cell<u32>) = |called| called.set(called.get() + 1);
    let (is_done, ()) = join(receives, sends(scene, &inbox, |_| call)).await;
    assert_eq!(called.get(), 3, "each function is called once");
    is_done
}

/// The same future goes on, when it was only lent.
async fn promised(scene: &Scene<'_>, cut: Cut) -> bool {
    let cell = Oneshot::new();
    let (promise, mut future) = cell.pair().unwrap();
    let keeps = async {
        scene.rt.sleep(millis(10)).await;
        promise.set_result(7)
    };
    let (done, kept) = join(cut.of(scene, &mut future), keeps).await;
    assert_eq!(kept, Ok(()));
    if done.is_none() {
        assert_eq!(future.await, Ok(7));
    }
    done.is_some()
}

/// A future that is dropped cancels its promise, and the cell is free for the next pair.
async fn promised_and_gone(scene: &Scene<'_>, cut: Cut) -> bool {
    let cell = Oneshot::new();
    let (promise, future) = cell.pair().unwrap();
    let keeps = async {
        scene.rt.sleep(millis(10)).await;
        promise.set_result(7)
    };
    let (got, kept) = join(cut.of(scene, future), keeps).await;
    match got {
        Some(value) => assert_eq!((value, kept), (Ok(7), Ok(()))),
        None if cut.when_woken && cut.polls > 0 => assert_eq!(kept, Ok(())),
        None => assert_eq!(kept, Err(SetError::Cancelled(7)), "the value comes back"),
    }
    drop(promise);
    assert!(cell.pair().is_some());
    got.is_some()
}

async fn done_callback(scene: &Scene<'_>, cut: Cut) -> bool {
    let seen = Cell::new(0);
    let called = add_done_callback(late(scene.rt, 1), |number| seen.set(seen.get() + number));
    let done = cut.of(scene, called).await;
    assert_eq!(seen.get(), u64::from(done.is_some()), "it is called once, or never");
    add_done_callback(late(scene.rt, 1), |number| seen.set(number)).await;
    assert_eq!(seen.get(), 1);
    done.is_some()
}

async fn chained(scene: &Scene<'_>, cut: Cut) -> bool {
    let (one, other) = (Oneshot::new(), Oneshot::new());
    let (promise, from) = one.pair().unwrap();
    let (to, future) = other.pair().unwrap();
    let keeps = async {
        scene.rt.sleep(millis(10)).await;
        promise.set_result(7).is_ok()
    };
    let (done, was_kept) = join(cut.of(scene, chain(from, to)), keeps).await;
    assert!(done.is_none() || was_kept);
    assert_eq!(future.await.is_ok(), done.is_some(), "dropping it cancels the other");
    done.is_some()
}

async fn multi_of_two(scene: &Scene<'_>, cut: Cut) -> bool {
    let (rt, both) = (scene.rt, |rt| multi([late(rt, 2), late(rt, 1)]));
    let done = cut.of(scene, both(rt)).await;
    assert_eq!(both(rt).await, [2, 1]);
    done.is_some()
}

async fn try_multi_of_two(scene: &Scene<'_>, cut: Cut) -> bool {
    let fails =
        async |number| if number == 1 { Err("one") } else { Ok(late(scene.rt, number).await) };
    let slow = async |number| Ok::<_, &str>(late(scene.rt, number).await);
    let done = Box::pin(cut.of(scene, try_multi((slow(2), slow(3))))).await;
    assert_eq!(try_multi((slow(2), fails(1))).await, Err("one"));
    done.is_some()
}

async fn wait_iterator(scene: &Scene<'_>, cut: Cut) -> bool {
    let mut futures = [pin!(late(scene.rt, 3)), pin!(late(scene.rt, 1)), pin!(late(scene.rt, 2))];
    let mut ready = WaitIterator::new(&mut futures);
    let first = cut.of(scene, ready.next()).await;
    let is_done = first.is_some();
    let mut ended: Vec<u64> = first.flatten().into_iter().collect();
    while let Some(number) = ready.next().await {
        ended.push(number);
    }
    assert_eq!(ended, [1, 2, 3], "each result is given once");
    is_done
}
