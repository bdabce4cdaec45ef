//! Lists linked by index: a FIFO with one link an entry, and a list with two that gives up any
//! entry in constant time.
//!
//! Invariants: index 0 is the sentinel ("none"), so an empty list and an unlinked entry are all
//! zero bits; a list owns no memory, its links lie in the entries of a table that the caller
//! passes to each call, always the same one. Nothing here can fail but by a caller's bug, which
//! is a `debug_assert!`, or [`entry`]'s panic.
//!
//! Layer: stands on nothing; all that has tables stands on it.
//!
//! ```
//! use core::cell::Cell;
//! use dustdevil_core::list::{Chained, Queue};
//! #[derive(Default)]
//! struct Job(Cell<u32>);
//! impl Chained for Job {
//!     fn next(&self) -> &Cell<u32> {
//!         &self.0
//!     }
//! }
//! let jobs = [Job::default(), Job::default(), Job::default()]; // entry 0 is the sentinel's
//! let queue = Queue::default();
//! queue.push(&jobs, 2);
//! queue.push(&jobs, 1);
//! assert_eq!((queue.pop(&jobs), queue.pop(&jobs), queue.pop(&jobs)), (Some(2), Some(1), None));
//! ```

use core::cell::Cell;

use zerocopy::FromZeros;

/// Entry `index` of a table, whose index can only be right: links, slabs and lists gave it out.
///
/// Every such place in the program fails in one function that takes nothing, so that the check
/// costs two instructions; `table[index]` would add its own message and source location to the
/// flash, a hundred times over.
///
/// # Panics
/// When the table has no such entry: a bug in this crate or the one that calls.
#[inline(always)]
pub fn entry<T>(table: &[T], index: usize) -> &T {
    match table.get(index) {
        Some(entry) => entry,
        None => astray(),
    }
}

#[cold]
#[inline(never)]
fn astray() -> ! {
    panic!("an index leads out of its table");
}

/// An entry with one link: it can stand in one [`Queue`] (or in a slab's free list) at a time.
pub trait Chained {
    /// The index of the entry behind this one; 0: none.
    fn next(&self) -> &Cell<u32>;
}

/// A first-in, first-out queue of entries with one link. Its capacity is the table's.
#[derive(Default, FromZeros)]
pub struct Queue {
    head: Cell<u32>,
    tail: Cell<u32>,
}

impl Queue {
    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.head.get() == 0
    }

    /// The entry at the front, which stays there.
    #[cfg(feature = "sim")]
    pub(crate) fn front(&self) -> Option<u32> {
        Some(self.head.get()).filter(|&index| index != 0)
    }

    /// Puts entry `index`, which stands in no queue, at the end.
    pub fn push<T: Chained>(&self, table: &[T], index: u32) {
        debug_assert_ne!(index, 0, "entry 0 is the sentinel");
        debug_assert_eq!(entry(table, index as usize).next().get(), 0, "entry {index} is linked");
        match self.tail.get() {
            0 => self.head.set(index),
            tail => entry(table, tail as usize).next().set(index),
        }
        self.tail.set(index);
    }

    /// Takes the entry at the front.
    pub fn pop<T: Chained>(&self, table: &[T]) -> Option<u32> {
        let index = self.head.get();
        if index == 0 {
            return None;
        }
        let next = entry(table, index as usize).next().replace(0);
        self.head.set(next);
        if next == 0 {
            self.tail.set(0);
        }
        Some(index)
    }
}

/// The two links of an entry that can stand in one [`List`] at a time.
#[derive(Default, FromZeros)]
pub struct Links {
    next: Cell<u32>,
    prev: Cell<u32>,
}

/// An entry with two links.
pub trait Linked {
    /// Its links.
    fn links(&self) -> &Links;
}

/// A list of entries with two links, oldest first. Its capacity is the table's.
#[derive(Default, FromZeros)]
pub struct List {
    head: Cell<u32>,
    tail: Cell<u32>,
    len: Cell<u32>,
}

impl List {
    /// How many entries stand in it.
    pub fn len(&self) -> usize {
        self.len.get() as usize
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.head.get() == 0
    }

    /// The entry at the front: the oldest.
    pub fn front(&self) -> Option<u32> {
        Some(self.head.get()).filter(|&index| index != 0)
    }

    /// The entry at the end: the newest.
    pub fn back(&self) -> Option<u32> {
        Some(self.tail.get()).filter(|&index| index != 0)
    }

    /// The entry behind `index`.
    pub fn after<T: Linked>(&self, table: &[T], index: u32) -> Option<u32> {
        Some(entry(table, index as usize).links().next.get()).filter(|&next| next != 0)
    }

    /// Puts entry `index`, which stands in no list, at the end.
    pub fn push_back<T: Linked>(&self, table: &[T], index: u32) {
        debug_assert_ne!(index, 0, "entry 0 is the sentinel");
        let links = entry(table, index as usize).links();
        let tail = self.tail.replace(index);
        debug_assert!(links.next.get() == 0 && links.prev.get() == 0 && tail != index, "{index}");
        links.prev.set(tail);
        match tail {
            0 => self.head.set(index),
            tail => entry(table, tail as usize).links().next.set(index),
        }
        self.len.set(self.len.get() + 1);
    }

    /// Takes entry `index`, which stands in this list, out of it.
    pub fn remove<T: Linked>(&self, table: &[T], index: u32) {
        let links = entry(table, index as usize).links();
        let (next, prev) = (links.next.replace(0), links.prev.replace(0));
        match prev {
            0 => {
                debug_assert_eq!(self.head.get(), index, "the entry stands in another list");
                self.head.set(next);
            }
            prev => entry(table, prev as usize).links().next.set(next),
        }
        match next {
            0 => self.tail.set(prev),
            next => entry(table, next as usize).links().prev.set(prev),
        }
        self.len.set(self.len.get() - 1);
    }

    /// Moves entry `index`, which stands in this list, to the end.
    pub fn move_to_back<T: Linked>(&self, table: &[T], index: u32) {
        let links = entry(table, index as usize).links();
        let (next, prev) = (links.next.get(), links.prev.get());
        if next == 0 {
            debug_assert_eq!(self.tail.get(), index, "the entry stands in another list");
            return;
        }
        entry(table, next as usize).links().prev.set(prev);
        match prev {
            0 => self.head.set(next),
            prev => entry(table, prev as usize).links().next.set(next),
        }
        let tail = self.tail.replace(index);
        entry(table, tail as usize).links().next.set(index);
        links.next.set(0);
        links.prev.set(tail);
    }

    /// Takes the entry at the front.
    pub fn pop_front<T: Linked>(&self, table: &[T]) -> Option<u32> {
        let index = self.front()?;
        self.remove(table, index);
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::collections::VecDeque;
    use std::vec::Vec;

    #[derive(Default)]
    struct Entry {
        next: Cell<u32>,
        links: Links,
    }

    impl Chained for Entry {
        fn next(&self) -> &Cell<u32> {
            &self.next
        }
    }

    impl Linked for Entry {
        fn links(&self) -> &Links {
            &self.links
        }
    }

    fn table(len: usize) -> Vec<Entry> {
        (0..=len).map(|_| Entry::default()).collect()
    }

    #[test]
    fn a_queue_is_first_in_first_out() {
        let (table, queue) = (table(4), Queue::default());
        for round in 0..3 {
            assert!(queue.is_empty());
            for index in [3, 1, 4, 2] {
                queue.push(&table, index);
            }
            let popped: Vec<_> = core::iter::from_fn(|| queue.pop(&table)).collect();
            assert_eq!(popped, [3, 1, 4, 2], "round {round}");
        }
    }

    #[test]
    fn a_list_agrees_with_a_deque() {
        let (table, list) = (table(40), List::default());
        let mut model = VecDeque::new();
        let mut seed = 7_u32;
        for _ in 0..5_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let index = seed >> 16 & 31 | 1;
            match model.iter().position(|&other| other == index) {
                Some(at) if seed & 256 == 0 => {
                    list.move_to_back(&table, index);
                    model.remove(at);
                    model.push_back(index);
                }
                Some(at) => {
                    list.remove(&table, index);
                    model.remove(at);
                }
                None if seed & 7 == 0 => assert_eq!(list.pop_front(&table), model.pop_front()),
                None => {
                    list.push_back(&table, index);
                    model.push_back(index);
                }
            }
            assert_eq!((list.len(), list.front()), (model.len(), model.front().copied()));
            assert_eq!(list.back(), model.back().copied());
            let mut walked = Vec::new();
            let mut at = list.front();
            while let Some(index) = at {
                walked.push(index);
                at = list.after(&table, index);
            }
            assert_eq!(walked, Vec::from(model.clone()));
        }
    }
}
