//! Wakes: from another thread they end the wait, from the own they cost nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use dustdevil_core::poller::Poller;
use dustdevil_core::reactor::Reactor;
use dustdevil_core::time::{Clock, Duration};
use dustdevil_core::wake::Unpark;
use dustdevil_std::{Epoll, zeroed};

use crate::util::{CAPACITY, World};

/// Counts the rings on their way to the doorbell: each is one system call.
struct Counting {
    rings: AtomicUsize,
    doorbell: &'static dyn Unpark,
}

impl Unpark for Counting {
    fn unpark(&self) {
        self.rings.fetch_add(1, Ordering::SeqCst);
        self.doorbell.unpark();
    }
}

fn counting(world: &World) -> &'static Counting {
    let doorbell = world.epoll.unpark().unwrap();
    let counting: &'static Counting =
        Box::leak(Box::new(Counting { rings: AtomicUsize::new(0), doorbell }));
    world.wakes.bind(Some(counting)).unwrap();
    counting
}

#[test]
fn a_wake_from_another_thread_ends_the_wait() {
    let mut world = World::new();
    let counting = counting(&world);
    for round in 1..=200 {
        let waker = world.wakes.waker(3);
        let other = thread::spawn(move || {
            if round % 2 == 0 {
                thread::sleep(std::time::Duration::from_micros(200));
            }
            waker.wake();
        });
        let mut raised = Vec::new();
        while raised.is_empty() {
            assert_eq!(world.poll_for_ever(), [], "a wake is no event");
            world.wakes.take(&mut |leaf| raised.push(leaf));
        }
        assert_eq!(raised, [3], "round {round}");
        other.join().unwrap();
    }
    let rings = counting.rings.load(Ordering::SeqCst);
    assert!((1..=200).contains(&rings), "{rings} rings for 200 wakes");
}

#[test]
fn a_wake_from_the_own_thread_costs_no_system_call() {
    let mut world = World::new();
    let counting = counting(&world);
    for _ in 0..100 {
        counting.doorbell.unpark(); // behind the counter's back
        assert_eq!(world.poll_for_ever(), [], "it has been parked");
        world.wakes.waker(3).wake();
        assert_eq!(world.poll_for_ever(), [], "it does not wait");
        world.wakes.take(&mut |_| {});
    }
    assert_eq!(counting.rings.load(Ordering::SeqCst), 0);
}

#[test]
fn rings_do_not_pile_up() {
    let mut world = World::new();
    let doorbell = world.epoll.unpark().unwrap();
    for _ in 0..10 {
        doorbell.unpark();
    }
    assert_eq!(world.poll_for_ever(), []);
    let deadline = world.epoll.now() + Duration::from_millis(20);
    world.poll_until(Some(deadline));
    assert!(world.epoll.now() >= deadline, "ten rings end one wait");
}

#[test]
fn a_plain_waker_on_another_thread_wakes_a_reactor() {
    let mut memory = zeroed(CAPACITY.bytes());
    let wakes = Box::leak(Box::new(dustdevil_core::wake::Wakes::<64>::new()));
    let reactor = Reactor::new(Epoll::new().unwrap(), memory.block(), CAPACITY, wakes);
    let (to_thread, wakers) = std::sync::mpsc::channel::<std::task::Waker>();
    let other = thread::spawn(move || {
        wakers.into_iter().for_each(|waker| {
            thread::sleep(std::time::Duration::from_millis(2));
            waker.wake();
        });
    });
    let mut polls = 0;
    reactor.run(std::future::poll_fn(|cx| {
        polls += 1;
        to_thread.send(cx.waker().clone()).unwrap();
        if polls < 20 { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    }));
    drop(to_thread);
    other.join().unwrap();
}
