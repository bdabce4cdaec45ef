//! The three orders: what a container of items does for a queue.

use core::mem;

use heapless::binary_heap::{BinaryHeapView, Min};
use heapless::deque::DequeView;
use heapless::vec::VecView;

/// A container that a queue can keep its items in, and so the order in which they are got.
///
/// It is sealed: heapless's `DequeView`, `BinaryHeapView` (with `Min`) and `VecView`: views, so
/// that a queue is compiled once for a type of items, not once for each capacity.
pub trait Order: Store {}

impl<S: Store + ?Sized> Order for S {}

/// What a queue asks of its container.
pub trait Store {
    /// What lies in it.
    type Item;

    fn len(&self) -> usize;
    fn capacity(&self) -> usize;

    fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// Takes an item in; gives it back when the container is full.
    fn push(&mut self, item: Self::Item) -> Result<(), Self::Item>;

    /// Takes an item in that was taken out before those that are there; gives it back when the
    /// container is full.
    fn put_back(&mut self, item: Self::Item) -> Result<(), Self::Item>;

    /// Gives the item out whose turn it is.
    fn pop(&mut self) -> Option<Self::Item>;

    /// As [`push`](Self::push) and then [`pop`](Self::pop), for a container that is full.
    fn trade(&mut self, item: Self::Item) -> Self::Item;

    /// As [`put_back`](Self::put_back) and then [`pop`](Self::pop), for a container that is full.
    fn trade_returned(&mut self, item: Self::Item) -> Self::Item;

    /// Whether `item`, which comes back, is to be got before `kept`, which came back earlier.
    fn returns_before(item: &Self::Item, kept: &Self::Item) -> bool;
}

impl<T> Store for DequeView<T> {
    type Item = T;

    fn len(&self) -> usize {
        self.storage_len()
    }
    fn capacity(&self) -> usize {
        self.storage_capacity()
    }
    fn push(&mut self, item: T) -> Result<(), T> {
        self.push_back(item)
    }
    fn put_back(&mut self, item: T) -> Result<(), T> {
        self.push_front(item)
    }
    fn pop(&mut self) -> Option<T> {
        self.pop_front()
    }
    fn trade(&mut self, item: T) -> T {
        let Some(first) = self.pop_front() else { return item };
        let pushed = self.push_back(item);
        debug_assert!(pushed.is_ok(), "there is room where an item was just taken out");
        first
    }
    fn trade_returned(&mut self, item: T) -> T {
        item
    }
    /// Of the getters that were served, the last has the newest item, and each that leaves gives
    /// that one back.
    fn returns_before(_: &T, _: &T) -> bool {
        true
    }
}

impl<T: Ord> Store for BinaryHeapView<T, Min> {
    type Item = T;

    fn len(&self) -> usize {
        self.len()
    }
    fn capacity(&self) -> usize {
        self.capacity()
    }
    fn push(&mut self, item: T) -> Result<(), T> {
        self.push(item)
    }
    fn put_back(&mut self, item: T) -> Result<(), T> {
        self.push(item)
    }
    fn pop(&mut self) -> Option<T> {
        self.pop()
    }
    fn trade(&mut self, item: T) -> T {
        match self.peek_mut() {
            Some(mut lowest) if *lowest <= item => mem::replace(&mut *lowest, item),
            _ => item,
        }
    }
    fn trade_returned(&mut self, item: T) -> T {
        self.trade(item)
    }
    fn returns_before(item: &T, kept: &T) -> bool {
        item < kept
    }
}

impl<T> Store for VecView<T> {
    type Item = T;

    fn len(&self) -> usize {
        self.as_slice().len()
    }
    fn capacity(&self) -> usize {
        self.capacity()
    }
    fn push(&mut self, item: T) -> Result<(), T> {
        self.push(item)
    }
    fn put_back(&mut self, item: T) -> Result<(), T> {
        self.push(item)
    }
    fn pop(&mut self) -> Option<T> {
        self.pop()
    }
    fn trade(&mut self, item: T) -> T {
        item
    }
    fn trade_returned(&mut self, item: T) -> T {
        item
    }
    /// What came back last is on top.
    fn returns_before(_: &T, _: &T) -> bool {
        true
    }
}
