//! Messages from other threads to a task over epoll: none lost, none twice, each sender's in order,
//! whether the loop runs or sleeps.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use dustdevil_core::handle::Handle;
use dustdevil_core::reactor::{Capacity, Reactor};
use dustdevil_core::remote::Remote;
use dustdevil_core::time::Duration;
use dustdevil_core::wake::Wakes;
use dustdevil_std::{Epoll, zeroed};

use crate::util::PATIENCE;

const CAPACITY: Capacity = Capacity { sources: 1, timers: 4, groups: 0, tasks: 1, waiters: 0 };
/// For everything here together, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

const SENDERS: usize = 4;
/// Before each round the loop has gone to sleep.
const ROUNDS: u32 = 100;
const PER_ROUND: u32 = 2_500;
const MESSAGES: usize = SENDERS * (ROUNDS * PER_ROUND) as usize;

/// A message: who sent it, and which of its messages it is.
#[derive(Clone, Copy)]
struct Message {
    sender: usize,
    number: u32,
}

fn reactor_over_epoll<T>(body: impl FnOnce(&Reactor<'_, Epoll>) -> T) -> T {
    let mut memory = zeroed(CAPACITY.bytes());
    let wakes: &'static Wakes<1> = Box::leak(Box::new(Wakes::new()));
    body(&Reactor::new(Epoll::new().unwrap(), memory.block(), CAPACITY, wakes))
}

/// Where the kernel shows the calling thread.
fn own_place() -> PathBuf {
    Path::new("/proc").join(fs::read_link("/proc/thread-self").unwrap())
}

/// Waits until the kernel says that this thread sleeps.
fn wait_until_asleep(thread: &Path) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let stat = fs::read_to_string(thread.join("stat")).unwrap();
        // The state follows the name, which ends with the last parenthesis.
        if stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')) {
            return;
        }
        assert!(Instant::now() < deadline, "the loop does not go to sleep: {stat}");
        thread::yield_now();
    }
}

#[test]
fn a_million_messages_from_four_threads_to_a_loop_that_sleeps_in_between() {
    static INBOX: Remote<Message, 64> = Remote::new();
    static REFUSED: AtomicU64 = AtomicU64::new(0);
    let barrier = Arc::new(Barrier::new(SENDERS));
    let receiver_thread = Arc::new(own_place());
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (barrier, receiver_thread) = (barrier.clone(), receiver_thread.clone());
            thread::spawn(move || {
                for number in 0..ROUNDS * PER_ROUND {
                    if number % PER_ROUND == 0 {
                        // All have sent: the loop empties the queue and has nothing else to do.
                        if barrier.wait().is_leader() {
                            wait_until_asleep(&receiver_thread);
                            assert!(INBOX.is_empty(), "it sleeps although messages wait");
                        }
                        barrier.wait();
                    }
                    while let Err(full) = INBOX.send(Message { sender, number }) {
                        assert_eq!((full.0.sender, full.0.number), (sender, number));
                        REFUSED.fetch_add(1, Ordering::Relaxed);
                        thread::yield_now();
                    }
                }
            })
        })
        .collect();

    let (received, turns) = reactor_over_epoll(|reactor| {
        let handle = Handle::from(reactor);
        let mut receiver = INBOX.receiver().expect("nobody else receives");
        let mut next = [0; SENDERS];
        let receiving = async {
            for _ in 0..MESSAGES {
                let Message { sender, number } = receiver.next().await;
                assert_eq!(number, next[sender], "of sender {sender}");
                next[sender] += 1;
            }
        };
        let outcome = reactor.run(handle.timeout(DEADLINE, receiving));
        assert_eq!(outcome, Ok(()), "{next:?} of {} each", ROUNDS * PER_ROUND);
        (next, handle.snapshot().turns)
    });
    senders.into_iter().for_each(|sender| sender.join().expect("no sender panics"));
    assert_eq!(received, [ROUNDS * PER_ROUND; SENDERS]);
    assert!(INBOX.is_empty());
    assert!(turns >= u64::from(ROUNDS), "{turns} turns, but it slept {ROUNDS} times");
    let refused = REFUSED.load(Ordering::Relaxed);
    println!("{MESSAGES} messages in {turns} turns, {refused} times full");
}

#[test]
fn a_later_reactor_receives_what_an_earlier_one_left() {
    static INBOX: Remote<u32, 8> = Remote::new();
    for round in 0..20 {
        let first = 2 * round;
        let sender =
            thread::spawn(move || (first..first + 2).for_each(|it| INBOX.send(it).unwrap()));
        // The reactor of this round takes the last one's second message and its own first one.
        let expected = if round == 0 { vec![0] } else { vec![first - 1, first] };
        let count = expected.len();
        let received = reactor_over_epoll(|reactor| {
            let mut receiver = INBOX.receiver().expect("the last one gave it back");
            assert!(INBOX.receiver().is_none());
            reactor.run(async {
                let mut received = Vec::new();
                for _ in 0..count {
                    received.push(receiver.next().await);
                }
                received
            })
        });
        assert_eq!(received, expected);
        sender.join().unwrap();
    }
}

/// Tornado: `add_callback`, `add_callback_from_signal`.
#[test]
fn functions_from_other_threads_run_in_the_loop_s() {
    struct App {
        calls: Cell<u32>,
        loops_thread: thread::ThreadId,
    }
    static CALLS: Remote<fn(&App), 4> = Remote::new();
    let app = App { calls: Cell::new(0), loops_thread: thread::current().id() };
    reactor_over_epoll(|reactor| {
        let handle = Handle::from(reactor);
        let senders: Vec<_> = (0..3)
            .map(|_| {
                thread::spawn(|| {
                    let call: fn(&App) = |app| {
                        assert_eq!(thread::current().id(), app.loops_thread);
                        app.calls.set(app.calls.get() + 1);
                    };
                    for _ in 0..500 {
                        while CALLS.send(call).is_err() {
                            thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        let mut calls = CALLS.receiver().expect("nobody else receives");
        let mut running = calls.run(&app);
        let done = std::future::poll_fn(|cx| {
            let _ = std::pin::Pin::new(&mut running).poll(cx);
            if app.calls.get() < 1_500 {
                std::task::Poll::Pending
            } else {
                std::task::Poll::Ready(())
            }
        });
        assert_eq!(reactor.run(handle.timeout(DEADLINE, done)), Ok(()), "{}", app.calls.get());
        senders.into_iter().for_each(|sender| sender.join().expect("no sender panics"));
    });
}
