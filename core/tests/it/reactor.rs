//! Turns, wakes, timers and tokens.

use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::handle::Handle;
use dustdevil_core::poller::{Error, Interest, Readiness};
use dustdevil_core::reactor::{Capacity, Close, Group, Reactor};
use dustdevil_core::sim::{Faults, Script};
use dustdevil_core::tasks::Tasks;
use dustdevil_core::time::{Duration, Instant};
use dustdevil_core::wake::Wakes;
use embassy_futures::join::{join, join3};
use embassy_futures::select::{Either, select};
use embassy_futures::yield_now;

use crate::util::{
    BARE, MINUTE, Parker, SECOND, Still, TICK_US, at, in_world, memory, millis, seeds,
};

#[test]
fn two_wakes_are_one_turn_and_a_wake_within_a_poll_is_the_next() {
    in_world(1, Faults::NONE, BARE, |_, reactor| {
        let mut polls = 0;
        let turns = reactor.run(poll_fn(|cx| {
            polls += 1;
            if polls == 3 {
                return Poll::Ready(reactor.metrics().snapshot().turns);
            }
            cx.waker().wake_by_ref();
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
        assert_eq!((polls, turns), (3, 3));
    });
}

#[test]
fn a_wake_from_the_own_thread_unparks_nobody_and_one_from_another_does() {
    static PARKER: Parker = Parker::new();
    static WAKES: Wakes<1> = Wakes::new();
    let mut tables = memory(BARE.bytes());
    let reactor = Reactor::new(Still::new(&PARKER), tables.block(), BARE, &WAKES);
    reactor.run(async {
        for _ in 0..100 {
            yield_now().await;
        }
    });
    assert_eq!(PARKER.count(), 0);

    let mut helper = None;
    let mut polls = 0;
    reactor.run(poll_fn(|cx| {
        polls += 1;
        if helper.is_some() {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        helper = Some(thread::spawn(move || {
            thread::sleep(std::time::Duration::from_millis(20));
            waker.wake();
        }));
        Poll::Pending
    }));
    helper.unwrap().join().unwrap();
    assert_eq!((polls, PARKER.count()), (2, 1));

    // Asleep until a deadline of its own, in real time.
    let before = reactor.now();
    let handle = Handle::from(&reactor);
    reactor.run(handle.sleep(millis(5)));
    assert!(reactor.now() - before >= millis(5));
    assert_eq!(PARKER.count(), 1);
}

/// Lets `count` tasks sleep for random times on `timers` timers; the latest that one woke, in us.
fn lateness(seed: u64, count: usize, timers: usize) -> (u64, u32) {
    let capacity = Capacity { timers, ..BARE }.plus_tasks(count);
    let faults = Faults { spurious_event_permille: 200, interrupt_permille: 100, ..Faults::NONE };
    in_world(seed, faults, capacity, |world, reactor| {
        let handle = Handle::from(reactor);
        let mut rng = world.fork_rng();
        let sleep_until = |at: Instant| async move {
            handle.sleep_until(at).await;
            assert!(handle.now() >= at, "early, at {at:?}");
            (handle.now() - at).as_micros()
        };
        // Every order of magnitude is as likely as any other.
        let sleeps = (0..count).map(|_| {
            let bits = rng.range(0, 40);
            sleep_until(reactor.now() + Duration::from_micros(rng.range(0, 1 << bits)))
        });
        let mut slots = memory(bytes_of(&sleep_until, count));
        let tasks = Tasks::new(handle, &mut slots.block(), count);
        for sleep in sleeps {
            assert!(tasks.spawn(sleep).is_ok());
        }
        let latest = reactor.run(async {
            let mut latest = 0;
            while let Some((_, late)) = tasks.next().await {
                latest = late.max(latest);
            }
            latest
        });
        (latest, handle.snapshot().timers_refused)
    })
}

fn bytes_of<F: Future>(_: &impl Fn(Instant) -> F, count: usize) -> usize {
    Tasks::<F>::bytes(count)
}

#[test]
fn timers_are_never_early_and_at_most_a_tick_late() {
    for seed in 0..seeds(50) {
        let (latest, refused) = lateness(seed, 64, 64);
        assert!(latest <= TICK_US, "seed {seed}: {latest} us late");
        assert_eq!(refused, 0);
    }
}

#[test]
fn with_the_wheel_full_everything_fires_all_the_same() {
    for seed in 0..seeds(50) {
        for timers in [1, 3] {
            let (latest, refused) = lateness(seed, 64, timers);
            assert!(latest <= TICK_US, "seed {seed}: {latest} us late");
            assert!(refused > 0);
        }
    }
}

#[test]
fn with_the_waiters_full_everything_goes_on_all_the_same() {
    let capacity = Capacity { sources: 2, ..BARE };
    let faults = Faults { turn_us: (100, 100), ..Faults::NONE };
    in_world(1, faults, capacity, |world, reactor| {
        world.connect(at(), millis(1), Script::new("x").wait(millis(1)).send(b"a").wait(SECOND));
        let listener = reactor.listen(at(), 1).unwrap();
        reactor.run(poll_fn(|cx| reactor.poll_io(listener, Interest::Read, cx)));
        let (token, _) = reactor.accept(listener, Group::NONE).unwrap();
        reactor.run(poll_fn(|cx| reactor.poll_io(token, Interest::Read, cx)));
        assert_eq!(reactor.read(token, &mut [0; 4]), Ok(1));
        assert!(reactor.metrics().snapshot().waiters_refused > 1);
        reactor.remove(token, Close::Abort);
        reactor.remove(listener, Close::Abort);
    });
}

#[test]
fn a_stale_token_reaches_nothing() {
    let capacity = BARE.plus_streams(2);
    in_world(1, Faults::NONE, capacity, |world, reactor| {
        for _ in 0..2 {
            world.connect(at(), millis(1), Script::new("x").send(b"ab").expect_end(MINUTE));
        }
        let listener = reactor.listen(at(), 2).unwrap();
        reactor.run(poll_fn(|cx| reactor.poll_io(listener, Interest::Read, cx)));
        let (old, _) = reactor.accept(listener, Group::NONE).unwrap();
        let full = Error::new(ErrorKind::OutOfMemory);
        let refused = reactor.accept(listener, Group::NONE);
        assert_eq!(refused.err(), Some(nb::Error::Other(full)), "the table is full");
        reactor.remove(old, Close::Abort);
        reactor.run(async {
            // Whoever waits for it is told.
            poll_fn(|cx| reactor.poll_io(old, Interest::Gone, cx)).await;
            poll_fn(|cx| reactor.poll_io(listener, Interest::Read, cx)).await;
        });
        let (new, _) = reactor.accept(listener, Group::NONE).unwrap();
        assert_eq!(new.index(), old.index(), "the same place");
        assert_ne!(new, old);
        let stale = nb::Error::Other(Error::STALE);
        assert_eq!(reactor.read(old, &mut [0; 4]), Err(stale));
        assert_eq!(reactor.write(old, b"x"), Err(stale));
        assert_eq!(reactor.start_tls(old), Err(Error::STALE));
        assert_eq!(reactor.readiness(old), Readiness::NONE);
        assert_eq!((reactor.peer(old), reactor.local(old)), (None, None));
        reactor.shutdown(old);
        reactor.remove(old, Close::Abort);
        reactor.run(poll_fn(|cx| reactor.poll_io(new, Interest::Read, cx)));
        assert_eq!(reactor.read(new, &mut [0; 4]), Ok(2), "the new one is unharmed");
        reactor.remove(new, Close::Graceful);
        reactor.remove(listener, Close::Graceful);
        world.assert_all_closed();
    });
}

#[test]
fn a_source_that_is_removed_while_queued_is_popped_by_nobody() {
    let capacity = Capacity { groups: 1, ..BARE }.plus_streams(4);
    in_world(1, Faults::NONE, capacity, |world, reactor| {
        let listener = reactor.listen(at(), 4).unwrap();
        let group = reactor.group(0).unwrap();
        let mut tokens = Vec::new();
        for _ in 0..3 {
            world.connect(at(), millis(1), Script::new("x").send(b"a").expect_end(MINUTE));
            reactor.run(Handle::from(reactor).sleep(millis(10)));
            tokens.push(reactor.accept(listener, group).unwrap().0);
            reactor.run(Handle::from(reactor).sleep(millis(10)));
        }
        assert!(tokens.iter().all(|&token| reactor.is_queued(token)));
        reactor.remove(tokens[0], Close::Abort);
        reactor.remove(tokens[2], Close::Abort);
        reactor.check();
        // Their places are still on the list, so they are not given out.
        let full = Error::new(ErrorKind::OutOfMemory);
        assert_eq!(reactor.connect(at(), None), Err(full));
        let popped = reactor.run(poll_fn(|cx| reactor.poll_ready(group, cx)));
        assert_eq!(popped, tokens[1]);
        let next = reactor.run(poll_fn(|cx| Poll::Ready(reactor.poll_ready(group, cx))));
        assert!(next.is_pending());
        let left = reactor.metrics().snapshot().sources;
        assert_eq!(left, 2, "the listener and the one that was popped");
        reactor.check();
        let after = reactor.connect(at(), None).unwrap();
        for token in [tokens[1], after, listener] {
            reactor.remove(token, Close::Abort);
        }
        reactor.release_group(group);
        assert_eq!(reactor.group(0), Some(group));
    });
}

#[test]
fn a_group_and_its_leaves_are_used_again() {
    let capacity = Capacity { groups: 3, tasks: 11, ..BARE };
    in_world(1, Faults::NONE, capacity, |_, reactor| {
        let (one, two) = (reactor.group(4).unwrap(), reactor.group(4).unwrap());
        assert_eq!(reactor.group(3), None, "two leaves are left");
        let late = reactor.task_waker(one, 3);
        reactor.release_group(one);
        let three = reactor.group(3).unwrap();
        let four = reactor.group(3);
        assert_eq!(four, None, "one leaf here, two there");
        reactor.task_waker(two, 1).wake();
        reactor.task_waker(three, 2).wake();
        late.wake(); // of a leaf that nobody owns now
        let woken = reactor.run(async {
            yield_now().await;
            let woken = |group| poll_fn(move |cx| Poll::Ready(reactor.poll_task(group, cx)));
            [woken(two).await, woken(two).await, woken(three).await, woken(three).await]
        });
        assert_eq!(woken, [Poll::Ready(1), Poll::Pending, Poll::Ready(2), Poll::Pending]);
    });
}

#[test]
fn everybody_who_waits_for_the_end_is_told_of_it() {
    // A task takes no place among the waiters, a waker of another kind takes one, once.
    let capacity = Capacity { waiters: 1, ..BARE }.plus_tasks(2);
    let faults = Faults { turn_us: (100, 100), ..Faults::NONE };
    in_world(1, faults, capacity, |_, reactor| {
        let handle = Handle::from(reactor);
        let rung = Arc::new(Rung(AtomicUsize::new(0)));
        let foreign = Waker::from(rung.clone());
        let mut waits = handle.stopping();
        for _ in 0..3 {
            let polled = Pin::new(&mut waits).poll(&mut Context::from_waker(&foreign));
            assert!(polled.is_pending());
        }
        let wait = |_: Instant| async move { handle.stopping().await };
        let mut slots = memory(bytes_of(&wait, 2));
        let tasks = Tasks::new(handle, &mut slots.block(), 2);
        for _ in 0..2 {
            assert!(tasks.spawn(wait(Instant::ZERO)).is_ok());
        }
        reactor.run(async {
            let stop = async {
                handle.sleep(millis(5)).await;
                assert_eq!((tasks.len(), rung.0.load(Ordering::Relaxed)), (2, 0));
                handle.stop();
                handle.stop();
            };
            let all = async { while tasks.next().await.is_some() {} };
            join3(stop, all, handle.stopping()).await;
            handle.stopping().await; // at once
        });
        assert_eq!(rung.0.load(Ordering::Relaxed), 1, "however often it waited");
        assert_eq!(handle.snapshot().waiters_refused, 0);
    });
}

/// Counts how often its waker was woken.
struct Rung(AtomicUsize);

impl Wake for Rung {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_forgotten_sleep_costs_its_timer_until_it_fires() {
    let capacity = Capacity { timers: 1, ..BARE };
    in_world(1, Faults::NONE, capacity, |_, reactor| {
        let handle = Handle::from(reactor);
        reactor.run(async {
            let mut sleep = handle.sleep(SECOND);
            let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut sleep).poll(cx))).await;
            assert!(polled.is_pending());
            mem::forget(sleep);
            let until = handle.now() + millis(100);
            handle.sleep_until(until).await; // without a timer of its own
            assert!(handle.now() >= until && handle.now() < until + millis(2));
            assert_eq!(handle.snapshot().timers_refused, 1);
            handle.sleep(SECOND).await;
            let refused = handle.snapshot().timers_refused;
            handle.sleep(SECOND).await;
            assert_eq!(handle.snapshot().timers_refused, refused, "it has come back");
        });
    });
}

#[test]
fn a_timeout_bounds_what_is_in_it_and_gives_its_timer_back() {
    let capacity = Capacity { timers: 2, ..BARE };
    in_world(1, Faults::NONE, capacity, |_, reactor| {
        let handle = Handle::from(reactor);
        reactor.run(async {
            for _ in 0..5 {
                let began = handle.now();
                let never = handle.timeout(millis(20), std::future::pending::<()>());
                assert!(never.await.is_err());
                assert!(handle.now() - began >= millis(20));
                // Ready in the same instant as the deadline: not late.
                let at = handle.now() + millis(20);
                assert_eq!(handle.timeout_at(at, handle.sleep_until(at)).await, Ok(()));
                assert_eq!(handle.timeout_at(handle.now(), async { 7 }).await, Ok(7));
                // What is passed by reference goes on afterwards.
                let mut sleep = handle.sleep(millis(40));
                assert!(handle.timeout(millis(20), &mut sleep).await.is_err());
                sleep.await;
                assert!(handle.now() >= at + millis(40));
            }
            assert_eq!(handle.snapshot().timers_refused, 0);
        });
        let ready = handle.timeout(SECOND, std::future::ready(()));
        assert!(size_of_val(&ready) <= 64, "{} bytes", size_of_val(&ready));
    });
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = |seed| {
        let faults = Faults::harsh();
        in_world(seed, faults, BARE.plus_streams(2), |world, reactor| {
            let handle = Handle::from(reactor);
            let peer = Script::new("x").tolerant().send(b"abc").expect_end(MINUTE);
            world.connect(at(), millis(3), peer);
            let listener = reactor.listen(at(), 1).unwrap();
            let serve = async {
                poll_fn(|cx| reactor.poll_io(listener, Interest::Read, cx)).await;
                if let Ok((token, _)) = reactor.accept(listener, Group::NONE) {
                    poll_fn(|cx| reactor.poll_io(token, Interest::Read, cx)).await;
                    reactor.remove(token, Close::Graceful);
                }
            };
            let ended = reactor.run(select(serve, handle.sleep(MINUTE)));
            assert!(matches!(ended, Either::First(()) | Either::Second(())));
            reactor.remove(listener, Close::Graceful);
            reactor.run(join(handle.sleep(MINUTE), world.peers_gone()));
            world.trace_hash()
        })
    };
    for seed in 0..seeds(20) {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
    assert_ne!(run(1), run(2));
}
