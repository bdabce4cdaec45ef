//! Tables of what is called and what comes of it.

extern crate std;

use core::cell::Cell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::boxed::Box;
use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};
use std::sync::Arc;
use std::task::Wake;
use std::vec::Vec;

use super::*;

fn waiters<const N: usize>() -> [Waiter; N] {
    [const { Waiter::new() }; N]
}

/// Futures with a name each, by `start`, and what they have resolved to.
///
/// A word `a` polls the one with this name, which is started where there is none, and tells how it
/// is: `a.` waits, `a+` has what it waited for, `a#` found no waiter. `-a` drops it, or what it has
/// resolved to. Any other word is for `call`.
fn play<'a, F, T>(
    words: &str,
    start: impl Fn() -> F + 'a,
    call: impl Fn(&str) -> Option<&'static str>,
) -> String
where
    F: Future<Output = Result<T, Full>> + Unpin + 'a,
    T: 'a,
{
    let mut futures = BTreeMap::<&str, F>::new();
    let mut held = BTreeMap::<&str, T>::new();
    let mut told = Vec::new();
    for word in words.split_whitespace() {
        if let Some(name) = word.strip_prefix('-') {
            assert!(futures.remove(name).is_some() || held.remove(name).is_some(), "{word}");
        } else if word.chars().all(|c| c.is_ascii_lowercase()) {
            assert!(!held.contains_key(word), "{word} in {words}");
            let future = futures.entry(word).or_insert_with(&start);
            let polled = Pin::new(future).poll(&mut Context::from_waker(Waker::noop()));
            let how = match polled {
                Poll::Pending => '.',
                Poll::Ready(Ok(output)) => {
                    held.insert(word, output);
                    '+'
                }
                Poll::Ready(Err(Full(()))) => '#',
            };
            if how != '.' {
                futures.remove(word);
            }
            told.push(format!("{word}{how}"));
        } else if let Some(answer) = call(word) {
            told.push(answer.to_string());
        }
    }
    told.join(" ")
}

#[test]
fn a_condition_notifies_in_the_order_of_the_line() {
    let table = [
        ("nobody is told who comes later", "!1 !* a", "a."),
        ("the first, and none twice", "a b c !1 c b a", "a. b. c. c. b. a+"),
        ("two of three", "a b c !2 a b c", "a. b. c. a+ b+ c."),
        ("as many as there are", "a b !9 b a", "a. b. b+ a+"),
        ("zero is none", "a !0 a", "a. a."),
        ("three waiters for four", "a b c d !1 d a d", "a. b. c. d# d# a+ d."),
        ("who leaves is not notified", "a b c -b !2 a c", "a. b. c. a+ c+"),
        ("the last leaves, and the first", "a b c -c -a d e b !1 b", "a. b. c. d. e. b. b+"),
        ("a notification is passed on", "a b c !1 -a c b", "a. b. c. c. b+"),
        ("and on", "a b c !1 -a -b c", "a. b. c. c+"),
        ("past those who were notified too", "a b c !2 -a c b", "a. b. c. c+ b+"),
        ("also to one who came later", "a !1 b -a b", "a. b. b+"),
        ("but not what all were told", "a !* b -a b", "a. b. b."),
        ("who waits again stands behind", "a b !1 a -a a !1 a b", "a. b. a+ a. a. b+"),
    ];
    for (what, words, told) in table {
        let mut waiters = waiters::<3>();
        let condition = Condition::new(&mut waiters);
        let call = |word: &str| {
            match word {
                "!*" => condition.notify_all(),
                _ => condition.notify(word[1..].parse().unwrap()),
            }
            None
        };
        assert_eq!(play(words, || condition.wait(), call), told, "{what}");
        assert_eq!(condition.waiting(), 0, "{what}: all have left with their futures");
    }
}

#[test]
fn an_event_lets_all_pass_while_it_is_set() {
    let table = [
        ("before and after", "a b ! b a c", "a. b. b+ a+ c+"),
        ("cleared at once: who waited passes", "a b ! ? a b c", "a. b. a+ b+ c."),
        ("set, cleared and waited for again", "a ! ? b a ! b", "a. b. a+ b+"),
        ("who is dropped hands nothing on", "a ! ? b -a b", "a. b. b."),
        ("full; a set event takes no waiter", "a b c d ! d", "a. b. c. d# d+"),
        ("set twice", "! ! a ? b", "a+ b."),
    ];
    for (what, words, told) in table {
        let mut waiters = waiters::<3>();
        let event = Event::new(&mut waiters);
        let call = |word: &str| {
            match word {
                "!" => event.set(),
                _ => event.clear(),
            }
            None
        };
        assert_eq!(play(words, || event.wait(), call), told, "{what}");
        assert_eq!(event.waiting(), 0, "{what}");
    }
}

#[test]
fn permits_go_to_who_waits_longest() {
    let table = [
        ("two at a time", 2, "a b c -a c", "a+ b+ c. c+"),
        ("nobody overtakes who waits", 1, "a b -a c b c", "a+ b. c. b+ c."),
        ("not even before it runs", 1, "a b -a c", "a+ b. c."),
        ("one that was granted is dropped", 1, "a b c -a -b c d", "a+ b. c. c+ d."),
        ("the only one that waited is dropped", 1, "a b -a -b c", "a+ b. c+"),
        ("one that waits is dropped", 1, "a b c -b -a c", "a+ b. c. c+"),
        ("three waiters for four", 0, "a b c d + a d", "a. b. c. d# a+ d."),
        ("released by hand, for all", 0, "a b + + c b a", "a. b. c. b+ a+"),
        ("added before it is asked for", 0, "+ + a b c", "a+ b+ c."),
    ];
    for (what, value, words, told) in table {
        let mut waiters = waiters::<3>();
        let semaphore = Semaphore::new(value, &mut waiters);
        let call = |_: &str| {
            semaphore.release();
            None
        };
        assert_eq!(play(words, || semaphore.acquire(), call), told, "{what}");
        let added = words.matches('+').count();
        assert_eq!((semaphore.value(), semaphore.waiting()), (value + added, 0), "{what}");
    }
}

#[test]
fn a_lock_and_a_bounded_semaphore_notice_who_releases_too_often() {
    let mut line = waiters::<3>();
    let lock = Lock::new(&mut line);
    let call = |_: &str| Some(if lock.release().is_ok() { "ok" } else { "unlocked" });
    assert_eq!(play("+ a b -a + -b +", || lock.acquire(), call), "unlocked a+ b. ok unlocked");
    assert!(!lock.is_locked());

    let mut line = waiters::<3>();
    let semaphore = BoundedSemaphore::new(2, &mut line);
    let forgetting = || semaphore.acquire();
    let call = |_: &str| Some(if semaphore.release().is_ok() { "ok" } else { "too often" });
    assert_eq!(play("+ a -a +", forgetting, call), "too often a+ too often");
    assert_eq!(semaphore.value(), 2);
}

#[test]
fn a_forgotten_permit_is_given_back_by_hand() {
    let mut cx = Context::from_waker(Waker::noop());
    let mut line = waiters::<1>();
    let lock = Lock::new(&mut line);
    for round in 0..3 {
        let Poll::Ready(Ok(guard)) = Pin::new(&mut lock.acquire()).poll(&mut cx) else {
            panic!("round {round}: it is not locked");
        };
        guard.forget();
        assert!(lock.is_locked());
        assert_eq!((lock.release(), lock.release()), (Ok(()), Err(ReleasedTooOften)));
    }
}

#[test]
fn a_table_is_as_new_for_its_next_owner() {
    let mut cx = Context::from_waker(Waker::noop());
    let mut line = waiters::<2>();
    for _ in 0..3 {
        let condition = Condition::new(&mut line);
        for _ in 0..2 {
            let mut wait = condition.wait();
            assert!(Pin::new(&mut wait).poll(&mut cx).is_pending());
            core::mem::forget(wait);
        }
        assert_eq!(Pin::new(&mut condition.wait()).poll(&mut cx), Poll::Ready(Err(Full(()))));
        condition.notify_all();
    }
    let none = Condition::new(&mut []);
    assert_eq!(Pin::new(&mut none.wait()).poll(&mut cx), Poll::Ready(Err(Full(()))));
}

std::thread_local! {
    static CHAIN: Cell<Option<&'static Condition<'static>>> = const { Cell::new(None) };
    static WAKES: Cell<usize> = const { Cell::new(0) };
}

/// Notifies the next one, from inside the wake of one.
struct Calls;

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        WAKES.set(WAKES.get() + 1);
        if let Some(condition) = CHAIN.get() {
            condition.notify(1);
        }
    }
}

#[test]
fn a_waker_may_call_back() {
    let waker = Waker::from(Arc::new(Calls));
    let mut cx = Context::from_waker(&waker);
    let condition = Box::leak(Box::new(Condition::new(Box::leak(Box::new(waiters::<4>())))));
    CHAIN.set(Some(condition));
    for call in [|all: &Condition<'_>| all.notify(1), |all: &Condition<'_>| all.notify_all()] {
        WAKES.set(0);
        let mut waits: Vec<_> = (0..4).map(|_| condition.wait()).collect();
        for wait in &mut waits {
            assert!(Pin::new(wait).poll(&mut cx).is_pending());
        }
        call(condition);
        assert_eq!((WAKES.get(), condition.waiting()), (4, 0));
        for mut wait in waits {
            assert_eq!(Pin::new(&mut wait).poll(&mut cx), Poll::Ready(Ok(())));
        }
    }
}

#[test]
fn they_show_how_they_are() {
    let (mut one, mut two, mut three) = (waiters::<1>(), waiters::<1>(), waiters::<1>());
    let shown: [(Box<dyn core::fmt::Debug + '_>, &str); 4] = [
        (Box::new(Condition::new(&mut one)), "Condition { waiting: 0 }"),
        (Box::new(Event::new(&mut two)), "Event { is_set: false, waiting: 0 }"),
        (Box::new(Semaphore::new(3, &mut three)), "Semaphore { value: 3, waiting: 0 }"),
        (Box::new(Lock::new(&mut [])), "Lock { is_locked: false, waiting: 0 }"),
    ];
    for (what, text) in shown {
        assert_eq!(format!("{what:?}"), text);
    }
}
