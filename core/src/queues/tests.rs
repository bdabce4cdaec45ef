//! Tables of what is called and what comes of it.

extern crate std;

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::BTreeMap;
use std::format;
use std::rc::Rc;
use std::string::{String, ToString};
use std::vec::Vec;

use heapless::binary_heap::BinaryHeap;
use heapless::{Deque, Vec as Stack};

use super::*;

fn waiters<T, const N: usize>() -> [QueueWaiter<T>; N] {
    [const { QueueWaiter::new() }; N]
}

/// Getters and putters with a name each.
///
/// A word `a` polls the getter with this name, which is made where there is none, and tells how it
/// is: `a.` waits, `a=5` has got 5, `a#` found no waiter. `x5` is a putter of 5 and `x` polls it:
/// `x.` waits, `x+` has put it, `x#` found no waiter. `-a` drops either. `<5` is `put_nowait`,
/// `>` is `get_nowait`, `!` is `task_done`; `j` joins. What remains is got at the end.
fn play<S: Order<Item = u8> + ?Sized>(queue: &AnyQueue<'_, S>, words: &str) -> String {
    let cx = &mut Context::from_waker(Waker::noop());
    let mut getters = BTreeMap::new();
    let mut putters = BTreeMap::new();
    let mut joining = queue.join();
    let mut told = Vec::new();
    for word in words.split_whitespace() {
        let (name, digits) = word.split_at(1);
        let digit = digits.parse::<u8>();
        told.push(match (name, digit) {
            ("<", Ok(item)) => queue.put_nowait(item).map_or("full", |()| "ok").to_string(),
            (">", _) => queue.get_nowait().map_or("empty".to_string(), |item| item.to_string()),
            ("!", _) => queue.task_done().map_or("too often", |()| "done").to_string(),
            ("j", _) => {
                let joined = Pin::new(&mut joining).poll(cx).is_ready();
                format!("j{}", if joined { '+' } else { '.' })
            }
            ("-", _) => {
                assert!(getters.remove(digits).is_some() || putters.remove(digits).is_some());
                continue;
            }
            (_, Ok(item)) => {
                putters.insert(name, queue.put(item));
                poll_put(&mut putters, name, cx)
            }
            _ if putters.contains_key(name) => poll_put(&mut putters, name, cx),
            _ => {
                let getter = getters.entry(name).or_insert_with(|| queue.get());
                let polled = Pin::new(getter).poll(cx);
                if polled.is_ready() {
                    getters.remove(name);
                }
                match polled {
                    Poll::Pending => format!("{name}."),
                    Poll::Ready(Ok(item)) => format!("{name}={item}"),
                    Poll::Ready(Err(Full(()))) => format!("{name}#"),
                }
            }
        });
    }
    drop((getters, putters, joining));
    let mut rest = String::new();
    while let Ok(item) = queue.get_nowait() {
        rest += &item.to_string();
    }
    assert!(queue.is_empty() && queue.getters.len() + queue.putters.len() == 0);
    assert_eq!(queue.served.len() + queue.kept.len() + queue.joiners.len(), 0);
    format!("{} | {rest}", told.join(" "))
}

fn poll_put<'n, S: Order<Item = u8> + ?Sized>(
    putters: &mut BTreeMap<&'n str, Put<'_, '_, S>>,
    name: &'n str,
    cx: &mut Context<'_>,
) -> String {
    let polled = Pin::new(putters.get_mut(name).unwrap()).poll(cx);
    if polled.is_ready() {
        putters.remove(name);
    }
    let how = match polled {
        Poll::Pending => '.',
        Poll::Ready(Ok(())) => '+',
        Poll::Ready(Err(Full(_))) => '#',
    };
    format!("{name}{how}")
}

#[test]
fn items_come_in_the_order_in_which_they_were_put() {
    let table = [
        ("nothing to get, no room to put", "> <1 <2 <3", "empty ok ok full | 12"),
        ("a getter is handed what is put", "a <1 > a", "a. ok empty a=1 | "),
        ("getters in their order", "a b <1 <2 b a", "a. b. ok ok b=2 a=1 | "),
        ("one of them left", "a b c -b <1 <2 c a", "a. b. c. ok ok c=2 a=1 | "),
        ("putters in their order", "x1 y2 z3 w4 > z w > w", "x+ y+ z. w. 1 z+ w. 2 w+ | 34"),
        ("a putter has put when it runs", "x1 y2 z3 > > > z", "x+ y+ z. 1 2 3 z+ | "),
        ("one that left takes its item along", "x1 y2 z3 w4 -z > > >", "x+ y+ z. w. 1 2 4 | "),
        ("four waiters", "a b c d e f <1 e", "a. b. c. d. e# f# ok e# | 1"),
        ("an item comes back", "a <1 <2 -a >", "a. ok ok 1 | 2"),
        ("in front of others", "a <1 <2 -a b", "a. ok ok b=1 | 2"),
        ("for the next getter", "a <1 b -a b", "a. ok b. b=1 | "),
        ("two, from the first on", "a b <1 <2 -a -b", "a. b. ok ok | 12"),
        ("two, from the last on", "a b <1 <2 -b -a", "a. b. ok ok | 12"),
        ("who was served later moves up", "a b <1 <2 -a > b", "a. b. ok ok 2 b=1 | "),
        ("without room for it", "a <1 <2 <3 -a <4 > <4", "a. ok ok ok full 1 full | 23"),
        (
            "without room for three",
            "a b c <1 <2 <3 <4 <5 -b -a -c >",
            "a. b. c. ok ok ok ok ok 1 | 2345",
        ),
        ("and a putter waits behind", "a <1 <2 <3 -a x4 > x > x", "a. ok ok ok x. 1 x. 2 x+ | 34"),
        ("it takes a waiter", "a <1 <2 <3 -a x4 y5 z6 w7", "a. ok ok ok x. y. z. w# | 123"),
    ];
    for (what, words, told) in table {
        let (mut items, mut waiters) = (Deque::<u8, 2>::new(), waiters::<u8, 4>());
        let queue = Queue::new(&mut items, &mut waiters);
        assert_eq!(play(&queue, words), told, "{what}");
    }
}

#[test]
fn the_lowest_comes_first() {
    let table = [
        ("lowest first", "<3 <1 <2 > > >", "ok ok full 1 3 empty | "),
        ("a putter's item counts when room is made", "x3 y2 z1 > z", "x+ y+ z. 1 z+ | 23"),
        ("though others are lower", "x3 y2 z4 > z >", "x+ y+ z. 2 z+ 3 | 4"),
        ("one that comes back takes its rank", "a <5 -a <1", "a. ok ok | 15"),
        ("also without room", "a <5 <3 <7 -a > > >", "a. ok ok ok 3 5 7 | "),
        ("two without room", "a b <9 <5 <3 <7 -a -b > > >", "a. b. ok ok ok ok 3 5 7 | 9"),
        ("two more without room", "a b <5 <1 <3 <7 -a -b > > >", "a. b. ok ok ok ok 1 3 5 | 7"),
    ];
    for (what, words, told) in table {
        let (mut items, mut waiters) = (BinaryHeap::<u8, Min, 2>::new(), waiters::<u8, 4>());
        let queue = PriorityQueue::new(&mut items, &mut waiters);
        assert_eq!(play(&queue, words), told, "{what}");
    }
}

#[test]
fn the_last_comes_first() {
    let table = [
        ("last first", "<1 <2 <3 > > >", "ok ok full 2 1 empty | "),
        ("a putter's item is the last", "x1 y2 z3 > z", "x+ y+ z. 3 z+ | 21"),
        ("one that comes back is on top", "a <1 <2 -a", "a. ok ok | 12"),
        ("also without room", "a <1 <2 <3 -a", "a. ok ok ok | 132"),
    ];
    for (what, words, told) in table {
        let (mut items, mut waiters) = (Stack::<u8, 2>::new(), waiters::<u8, 4>());
        let queue = LifoQueue::new(&mut items, &mut waiters);
        assert_eq!(play(&queue, words), told, "{what}");
    }
}

#[test]
fn a_container_without_room_passes_items_from_task_to_task() {
    let table = [
        ("x1 a x", "x. a=1 x+ | "),
        ("a x1 a", "a. x+ a=1 | "),
        ("<1 > a <1 <2 a", "full empty a. ok full a=1 | "),
        ("a x1 -a y2 b y c", "a. x+ y. b=1 y. c=2 | "),
    ];
    for (words, told) in table {
        let (mut items, mut waiters) = (BinaryHeap::<u8, Min, 0>::new(), self::waiters::<u8, 4>());
        assert_eq!(play(&PriorityQueue::new(&mut items, &mut waiters), words), told);
        let (mut items, mut waiters) = (Stack::<u8, 0>::new(), self::waiters::<u8, 4>());
        assert_eq!(play(&LifoQueue::new(&mut items, &mut waiters), words), told);
    }
}

#[test]
fn tasks_are_counted_until_they_are_done() {
    let table = [
        ("nothing was put", "j !", "j+ too often | "),
        ("got is not done", "<1 j > j ! j !", "ok j. 1 j. done j+ too often | "),
        ("handed over counts as put", "a <1 j a ! j", "a. ok j. a=1 done j+ | "),
        ("a waiting putter does not, yet", "<1 <2 x3 ! ! !", "ok ok x. done done too often | 12"),
        ("put at a get", "<1 <2 x3 > ! ! ! !", "ok ok x. 1 done done done too often | 23"),
        ("what comes back is not put again", "a <1 -a ! !", "a. ok done too often | 1"),
        ("put again, before it has run", "<1 j ! <2 j", "ok j. done ok j+ | 12"),
    ];
    for (what, words, told) in table {
        let (mut items, mut waiters) = (Deque::<u8, 2>::new(), waiters::<u8, 4>());
        let queue = Queue::new(&mut items, &mut waiters);
        assert_eq!(play(&queue, words), told, "{what}");
    }
}

#[test]
fn items_that_are_there_count_as_put() {
    let (mut items, mut waiters) = (Deque::<u8, 4>::new(), waiters::<u8, 1>());
    items.push_back(7).unwrap();
    let queue = Queue::new(&mut items, &mut waiters);
    assert_eq!((queue.len(), queue.unfinished(), queue.maxsize()), (1, 1, 4));
    assert_eq!(queue.get_nowait(), Ok(7));
    let text = "Queue { maxsize: 4, len: 0, getters: 0, putters: 0, unfinished: 1 }";
    assert_eq!(format!("{queue:?}"), text);
}

#[test]
fn an_item_that_was_not_put_is_given_back_or_dropped() {
    let cx = &mut Context::from_waker(Waker::noop());
    let item = Rc::new(());
    let (mut items, mut waiters) = (Deque::<Rc<()>, 1>::new(), waiters::<Rc<()>, 1>());
    let queue = Queue::new(&mut items, &mut waiters);
    assert_eq!(queue.put(item.clone()).into_item(), Some(item.clone()), "before it was polled");
    assert!(queue.put_nowait(item.clone()).is_ok());
    let mut put = queue.put(item.clone());
    assert!(Pin::new(&mut put).poll(cx).is_pending());
    let mut refused = queue.put(item.clone());
    assert_eq!(Pin::new(&mut refused).poll(cx), Poll::Ready(Err(Full(item.clone()))));
    assert_eq!(put.into_item(), Some(item.clone()), "from its waiter");

    let mut put = queue.put(item.clone());
    assert!(Pin::new(&mut put).poll(cx).is_pending());
    assert_eq!(Rc::strong_count(&item), 3);
    drop(put);
    assert_eq!(Rc::strong_count(&item), 2);

    let mut put = queue.put(item.clone());
    assert!(Pin::new(&mut put).poll(cx).is_pending());
    assert!(queue.get_nowait().is_ok());
    assert_eq!(put.into_item(), None, "it is in the queue");
    assert_eq!((Rc::strong_count(&item), queue.len()), (2, 1));
}

#[test]
fn what_is_left_is_dropped_with_what_it_lies_in() {
    let cx = &mut Context::from_waker(Waker::noop());
    let item = Rc::new(());
    {
        let (mut items, mut waiters) = (Deque::<Rc<()>, 1>::new(), waiters::<Rc<()>, 3>());
        {
            let queue = Queue::new(&mut items, &mut waiters);
            let mut getter = queue.get();
            assert!(Pin::new(&mut getter).poll(cx).is_pending());
            assert!(queue.put_nowait(item.clone()).is_ok());
            assert!(queue.put_nowait(item.clone()).is_ok());
            drop(getter);
            assert_eq!((queue.len(), queue.is_full()), (2, true), "one is with a waiter");
            let mut put = queue.put(item.clone());
            assert!(Pin::new(&mut put).poll(cx).is_pending());
            core::mem::forget(put);
        }
        assert_eq!((Rc::strong_count(&item), items.len()), (4, 1));
    }
    assert_eq!(Rc::strong_count(&item), 1);
}
