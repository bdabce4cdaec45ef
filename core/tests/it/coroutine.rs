//! Several coroutines at once, and values that are there later.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::mem::{forget, size_of_val};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use dustdevil_core::coroutine::{WAIT_FUTURES_MAX, WaitIterator, multi, try_multi, yield_now};
use dustdevil_core::handle::Handle;
use dustdevil_core::oneshot::{Cancelled, Oneshot, Promise, SetError, add_done_callback, chain};
use dustdevil_core::reactor::Capacity;
use dustdevil_core::sim::{Faults, Rng};
use dustdevil_core::task::TimedOut;
use dustdevil_core::tasks::Tasks;
use dustdevil_core::time::Duration;

use crate::util::{BARE, MINUTE, SECOND, in_world, memory, millis, seeds};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

const CAPACITY: Capacity = BARE.plus_timers(8);

/// Runs `test` with a handle, and then checks that every timer was given back.
fn with_handle(test: impl AsyncFnOnce(Handle<'_>)) {
    in_world(1, Faults::NONE, CAPACITY, |_, reactor| {
        let rt = Handle::from(reactor);
        reactor.run(test(rt));
        let timers = CAPACITY.timers;
        let mut sleeps: Vec<_> = (0..timers).map(|_| Box::pin(rt.sleep(SECOND))).collect();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(sleeps.iter_mut().all(|sleep| sleep.as_mut().poll(&mut cx).is_pending()));
        assert_eq!(rt.snapshot().timers_refused, 0, "a timer was left behind");
    });
}

/// Sleeps, and then gives the milliseconds, or fails when they end with a 7.
async fn nap(rt: Handle<'_>, ms: u64) -> Result<u64, u64> {
    rt.sleep(millis(ms)).await;
    if ms % 10 == 7 { Err(ms) } else { Ok(ms) }
}

/// Polls once, with a waker that nobody hears.
fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn multi_runs_all_beside_each_other_and_keeps_their_order() {
    with_handle(async |rt| {
        let began = rt.now();
        let naps = multi([nap(rt, 40), nap(rt, 17), nap(rt, 30), nap(rt, 7)]).await;
        assert_eq!(naps, [Ok(40), Err(17), Ok(30), Err(7)]);
        assert!(rt.now() - began < millis(45), "as long as the longest");
        assert_eq!(multi::<[std::future::Ready<()>; 0]>([]).await, []);
        assert_eq!(multi([ready('x')]).await, ['x']);
    });
}

#[test]
fn tuples_of_two_to_eight_are_of_any_types() {
    with_handle(async |rt| {
        let (a, b, c, d) = (|| ready(1_u8), || ready('b'), || nap(rt, 3), || rt.sleep(millis(1)));
        assert_eq!(multi((a(), b())).await, (1, 'b'));
        assert_eq!(multi((a(), b(), c())).await, (1, 'b', Ok(3)));
        assert_eq!(multi((a(), b(), c(), d())).await, (1, 'b', Ok(3), ()));
        assert_eq!(multi((a(), b(), c(), d(), a())).await, (1, 'b', Ok(3), (), 1));
        assert_eq!(multi((a(), b(), c(), d(), a(), b())).await, (1, 'b', Ok(3), (), 1, 'b'));
        assert_eq!(
            multi((a(), b(), c(), d(), a(), b(), c())).await,
            (1, 'b', Ok(3), (), 1, 'b', Ok(3))
        );
        assert_eq!(
            multi((a(), b(), c(), d(), a(), b(), c(), d())).await,
            (1, 'b', Ok(3), (), 1, 'b', Ok(3), ())
        );
    });
}

#[test]
fn try_multi_gives_the_first_error_of_the_list_after_all_have_ended() {
    with_handle(async |rt| {
        let began = rt.now();
        // 7 fails before 17 does, and 17 stands before it.
        let naps = try_multi([nap(rt, 40), nap(rt, 17), nap(rt, 7), nap(rt, 50)]).await;
        assert_eq!(naps, Err(17));
        assert!(rt.now() - began >= millis(50));
        assert_eq!(try_multi([nap(rt, 2), nap(rt, 1)]).await, Ok([2, 1]));
        let text = async { Ok::<_, u64>("text") };
        assert_eq!(try_multi((nap(rt, 2), text)).await, Ok((2, "text")));
        let six = (nap(rt, 1), nap(rt, 2), nap(rt, 3), nap(rt, 4), nap(rt, 27), nap(rt, 17));
        assert_eq!(try_multi(six).await, Err(27));
    });
}

#[test]
fn cancelling_leaves_nothing_behind() {
    // `with_handle` counts the timers; here the values that the children hold are counted.
    with_handle(async |rt| {
        let count = Rc::new(());
        let hold = |ms| -> Boxed<'_, ()> {
            let held = count.clone();
            Box::pin(async move {
                nap(rt, ms).await.ok();
                drop(held);
            })
        };
        // At each span some have ended, and one never has.
        for ms in [0, 5, 15, 25, 35] {
            let span = millis(ms);
            let many = multi([hold(10), hold(20), hold(30), hold(1_000)]);
            assert_eq!(rt.timeout(span, many).await, Err(TimedOut));
            let many = multi((hold(10), hold(20), hold(30), hold(5), hold(6), hold(1_000)));
            assert_eq!(rt.timeout(span, many).await, Err(TimedOut));
            let mut naps = [hold(10), hold(20), hold(1_000)];
            let mut wait = WaitIterator::new(&mut naps);
            let all = async { while wait.next().await.is_some() {} };
            assert_eq!(rt.timeout(span, all).await, Err(TimedOut));
        }
        assert_eq!(Rc::strong_count(&count), 1);
    });
}

#[test]
fn wait_iterator_gives_outputs_as_they_come_and_names_who_gave_them() {
    with_handle(async |rt| {
        let mut naps = [pin!(nap(rt, 30)), pin!(nap(rt, 10)), pin!(nap(rt, 27)), pin!(nap(rt, 10))];
        let mut wait = WaitIterator::new(&mut naps);
        assert_eq!((wait.done(), wait.current_index()), (false, None));
        // Dropped again and again: nothing is lost.
        assert!(rt.timeout(millis(5), wait.next()).await.is_err());
        assert!(rt.timeout(Duration::ZERO, wait.next()).await.is_err());
        for (index, output) in [(1, Ok(10)), (3, Ok(10)), (2, Err(27)), (0, Ok(30))] {
            assert!(!wait.done());
            assert_eq!(wait.next().await, Some(output));
            assert_eq!(wait.current_index(), Some(index));
            assert!(wait.current_future().is_some());
        }
        assert!(wait.done());
        assert_eq!((wait.next().await, wait.current_index()), (None, None));
        assert!(wait.current_future().is_none());

        // Of several types; and of none.
        let (mut one, mut other) = (pin!(async { 1 }), pin!(rt.timeout(SECOND, ready(2))));
        let mut other = pin!(async { other.as_mut().await.unwrap_or(0) });
        let mut two: [Pin<&mut dyn Future<Output = i32>>; 2] = [one.as_mut(), other.as_mut()];
        let mut wait = WaitIterator::new(&mut two);
        assert_eq!((wait.next().await, wait.next().await), (Some(1), Some(2)));
        assert_eq!(WaitIterator::<std::future::Ready<()>>::new(&mut []).next().await, None);
    });
}

#[test]
fn wait_iterator_takes_as_many_as_it_says() {
    let set = |count: usize| (0..count).map(ready).collect::<Vec<_>>();
    let mut most = set(WAIT_FUTURES_MAX);
    let mut wait = WaitIterator::new(&mut most);
    for index in 0..WAIT_FUTURES_MAX {
        assert_eq!(poll_once(pin!(wait.next())), Poll::Ready(Some(index)));
    }
    assert!(wait.done());
    let too_many = std::panic::catch_unwind(|| {
        WaitIterator::new(&mut set(WAIT_FUTURES_MAX + 1)).done();
    });
    assert!(too_many.is_err());
}

#[test]
fn wait_iterator_against_a_sorted_list() {
    for seed in 0..seeds(50) {
        in_world(seed, Faults::NONE, CAPACITY, |_, reactor| {
            let (rt, mut rng) = (Handle::from(reactor), Rng::new(seed));
            // Ticks apart, so that the order of the deadlines is the order of the ends.
            let spans: [u64; 8] = std::array::from_fn(|_| 2 * rng.range(0, 30));
            let mut naps = spans.map(|ms| Box::pin(rt.sleep(millis(ms))));
            let mut expected: Vec<usize> = (0..8).collect();
            expected.sort_by_key(|&index| spans[index]);
            let mut wait = WaitIterator::new(&mut naps);
            reactor.run(async {
                for index in expected {
                    wait.next().await.unwrap();
                    assert_eq!(wait.current_index(), Some(index), "{spans:?}");
                }
            });
        });
    }
}

#[test]
fn yielding_lets_every_other_task_run_once_and_comes_back_next_turn() {
    in_world(1, Faults::NONE, BARE.plus_tasks(3), |_, reactor| {
        let rt = Handle::from(reactor);
        let log = RefCell::new(Vec::new());
        let mut slots = memory(Tasks::<Boxed<'_, ()>>::bytes(3));
        let tasks = Tasks::new(rt, &mut slots.block(), 3);
        for name in ["a", "b", "c"] {
            let log = &log;
            let task = Box::pin(async move {
                for round in 0..3 {
                    log.borrow_mut().push((name, round, rt.snapshot().turns));
                    yield_now().await;
                }
            });
            assert!(tasks.spawn(task).is_ok());
        }
        let began = rt.now();
        reactor.run(async { while tasks.next().await.is_some() {} });
        let log = log.borrow();
        let names: String = log.iter().map(|&(name, ..)| name).collect();
        assert_eq!(names, "abcabcabc");
        for of_task in log.chunks(3).collect::<Vec<_>>().windows(2) {
            assert_eq!(of_task[1][0].2, of_task[0][0].2 + 1, "one turn later");
        }
        assert!(rt.now() - began < millis(1), "without a wait");
    });
    // A sleep of nothing is ready at once.
    with_handle(async |rt| {
        let turns = rt.snapshot().turns;
        rt.sleep(Duration::ZERO).await;
        assert_eq!(rt.snapshot().turns, turns);
        multi((yield_now(), yield_now())).await;
        assert_eq!(rt.snapshot().turns, turns + 1);
    });
}

#[test]
fn run_sync_ends_with_its_future_or_with_its_time() {
    in_world(1, Faults::NONE, BARE, |_, reactor| {
        let rt = Handle::from(reactor);
        assert_eq!(reactor.run_sync(SECOND, nap(rt, 10)), Ok(Ok(10)));
        assert_eq!(reactor.run_sync(Duration::ZERO, ready(1)), Ok(1));
        assert_eq!(reactor.run_sync(Duration::MAX, nap(rt, 7)), Ok(Err(7)));
        let (held, began) = (Rc::new(()), rt.now());
        let inside = held.clone();
        let never = async move {
            pending::<()>().await;
            drop(inside);
        };
        assert_eq!(reactor.run_sync(MINUTE, never), Err(TimedOut));
        assert_eq!(Rc::strong_count(&held), 1, "it was dropped");
        let took = rt.now() - began;
        assert!(took >= MINUTE && took < MINUTE + millis(2), "{took:?}");
        // What it kept on the side goes on: the loop is not closed.
        let mut kept = pin!(nap(rt, 20));
        assert_eq!(reactor.run_sync(millis(5), kept.as_mut()), Err(TimedOut));
        assert_eq!(reactor.run_sync(SECOND, kept), Ok(Ok(20)));
    });
}

#[test]
fn futures_are_not_stored_twice() {
    let big = || async {
        let bytes = [0_u8; 400];
        yield_now().await;
        bytes.len()
    };
    let one = size_of_val(&big());
    for (size, count) in [
        (size_of_val(&multi([big(), big()])), 2),
        (size_of_val(&multi((big(), big(), big(), big(), big(), big(), big(), big()))), 8),
        (size_of_val(&add_done_callback(big(), drop)), 1),
    ] {
        assert!(size < count * (one + 24), "{size} bytes for {count} of {one}");
    }
}

// ---- promises

#[test]
fn a_promise_says_what_became_of_its_value() {
    let cell = Oneshot::new();
    // What is done at the two ends, and what they say.
    let ends = || cell.pair().expect("both ends are gone");

    let (promise, mut future) = ends();
    assert!(!promise.is_done() && !future.is_done() && future.result().is_none());
    assert_eq!(promise.set_result(1), Ok(()));
    assert_eq!(promise.set_result(2), Err(SetError::Done(2)));
    assert_eq!(promise.set_result_unless_cancelled(3), Err(SetError::Done(3)));
    assert!(promise.is_done() && future.is_done() && !promise.is_cancelled());
    assert!(cell.pair().is_none());
    drop(promise);
    assert!(cell.pair().is_none(), "its future is alive");
    assert_eq!(poll_once(pin!(&mut future)), Poll::Ready(Ok(1)));
    assert_eq!(poll_once(pin!(&mut future)), Poll::Ready(Err(Cancelled)));
    drop(future);

    let (promise, future) = ends();
    drop(future);
    assert!(promise.is_cancelled() && !promise.is_done());
    assert_eq!(promise.set_result(4), Err(SetError::Cancelled(4)));
    assert_eq!(promise.set_result_unless_cancelled(5), Ok(()));
    assert!(cell.pair().is_none(), "its promise is alive");
    drop(promise);

    let (promise, mut future) = ends();
    drop(promise);
    assert!(future.is_done());
    assert_eq!(future.result(), Some(Err(Cancelled)));
    drop(future);

    // Set and never looked at: the future was not cancelled, so the value was delivered.
    let (promise, future) = ends();
    assert_eq!(promise.set_result(6), Ok(()));
    drop(future);
    assert!(!promise.is_cancelled() && promise.is_done());
    drop(promise);

    forget(ends());
    assert!(cell.pair().is_none(), "forgotten ends keep the cell");
}

#[test]
fn values_are_dropped_once_wherever_they_end() {
    let held = Rc::new(());
    let cell = Oneshot::new();
    for taken in [true, false] {
        let (promise, mut future) = cell.pair().unwrap();
        assert!(promise.set_result(held.clone()).is_ok());
        assert_eq!(Rc::strong_count(&held), 2);
        assert!(promise.set_result(held.clone()).is_err());
        assert_eq!(Rc::strong_count(&held), 2);
        if taken {
            drop(future.result());
        }
        drop(future);
        assert_eq!(Rc::strong_count(&held), 1);
    }
}

#[test]
fn whoever_waits_is_woken_by_a_value_and_by_its_absence() {
    with_handle(async |rt| {
        let cell = Oneshot::<u32>::new();
        for value in [Some(1), None, Some(2)] {
            let (promise, mut future) = cell.pair().unwrap();
            let fulfil = async {
                rt.sleep(millis(10)).await;
                match value {
                    Some(value) => promise.set_result(value).unwrap(),
                    None => drop(promise),
                }
            };
            let wait = async {
                // Cancel-safe: by reference, it is there again.
                assert_eq!(rt.timeout(millis(3), &mut future).await, Err(TimedOut));
                (&mut future).await
            };
            let ((), result) = multi((fulfil, wait)).await;
            assert_eq!(result, value.ok_or(Cancelled));
        }
    });
}

#[test]
fn a_waiter_in_a_task_of_its_own_is_woken_by_a_value_and_by_its_absence() {
    // A task is polled only when it was woken: beside others in one task it would be anyway.
    in_world(1, Faults::NONE, BARE.plus_tasks(1), |_, reactor| {
        let (rt, cell) = (Handle::from(reactor), Oneshot::new());
        for value in [Some(1), None, Some(2)] {
            let (promise, future) = cell.pair().unwrap();
            let mut slots = memory(Tasks::<Boxed<'_, Result<u32, Cancelled>>>::bytes(1));
            let tasks = Tasks::new(rt, &mut slots.block(), 1);
            assert!(tasks.spawn(Box::pin(future)).is_ok());
            let fulfil = async {
                rt.sleep(millis(10)).await;
                match value {
                    Some(value) => promise.set_result(value).unwrap(),
                    None => drop(promise),
                }
            };
            let (ended, ()) = reactor.run_sync(SECOND, multi((tasks.next(), fulfil))).unwrap();
            assert_eq!(ended.map(|(_, result)| result), Some(value.ok_or(Cancelled)));
        }
    });
}

#[test]
fn exceptions_done_callbacks_and_chains() {
    with_handle(async |rt| {
        let (one, other) = (Oneshot::<Result<u32, &str>>::new(), Oneshot::new());
        let seen = Cell::new(None);
        let later = async |promise: Promise<'_, Result<u32, &'static str>>| {
            rt.sleep(millis(5)).await;
            promise.set_exception("it failed").unwrap();
        };
        let (promise, from) = one.pair().unwrap();
        let (to, future) = other.pair().unwrap();
        let called = add_done_callback(future, |result| seen.set(Some(result)));
        multi((chain(from, to), called, later(promise))).await;
        assert_eq!(seen.get(), Some(Ok(Err("it failed"))));

        // Cancelled at one end, cancelled at the other.
        let (promise, from) = one.pair().unwrap();
        let (to, mut future) = other.pair().unwrap();
        drop(promise);
        chain(from, to).await;
        assert_eq!(future.result(), Some(Err(Cancelled)));
        drop(future);

        // A chain that is dropped cancels.
        let (_promise, from) = one.pair().unwrap();
        let (to, future) = other.pair().unwrap();
        assert_eq!(rt.timeout(millis(1), chain(from, to)).await, Err(TimedOut));
        assert_eq!(future.await, Err(Cancelled));
    });
}

#[test]
fn a_promise_set_while_its_waiter_is_polled_is_not_missed() {
    with_handle(async |rt| {
        let cell = Oneshot::new();
        let (promise, future) = cell.pair().unwrap();
        let mut future = pin!(future);
        let mut polls = 0;
        let value = poll_fn(|cx| {
            polls += 1;
            let polled = future.as_mut().poll(cx);
            if polls == 1 {
                assert!(polled.is_pending());
                promise.set_result(5).unwrap();
            }
            polled
        });
        assert_eq!(rt.timeout(SECOND, value).await, Ok(Ok(5)));
    });
}
