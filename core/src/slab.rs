//! A table whose free entries are found in constant time, without touching what was never used.
//!
//! Invariants: entry 0 is never given out (its index means "none"); an entry that was never used
//! is all zero bits and its page untouched; a free entry's link belongs to the slab. Generations
//! are the entry's own business: a slab hands out places, not identities.
//!
//! Capacity: the table's length less one. Full: [`Slab::allot`] answers `None` and nothing changes.
//!
//! Layer: stands on [`list`]; the reactor and the HTTP driver stand on it.
//!
//! ```
//! use core::cell::Cell;
//! use dustdevil_core::{list::Chained, slab::Slab};
//! #[derive(Default)]
//! struct Seat(Cell<u32>);
//! impl Chained for Seat {
//!     fn next(&self) -> &Cell<u32> {
//!         &self.0
//!     }
//! }
//! let table = [Seat::default(), Seat::default()];
//! let slab = Slab::new(&table);
//! let seat = slab.allot().unwrap();
//! assert_eq!(slab.allot(), None); // one seat, beside the sentinel
//! slab.release(seat);
//! assert_eq!(slab.allot(), Some(seat));
//! ```

use core::cell::Cell;

use crate::list::{self, Chained};

/// A table of `T` and the list of its free entries.
pub struct Slab<'m, T> {
    entries: &'m [T],
    free: Cell<u32>,
    /// Entries at or above this one were never given out.
    high_water: Cell<u32>,
    len: Cell<u32>,
}

impl<'m, T: Chained> Slab<'m, T> {
    /// A slab over `entries`, all zero bits or equal to that in what the caller reads of them.
    ///
    /// # Panics
    /// When there are more entries than a `u32` counts.
    pub fn new(entries: &'m [T]) -> Self {
        assert!(u32::try_from(entries.len()).is_ok(), "{} entries in one slab", entries.len());
        Self { entries, free: Cell::new(0), high_water: Cell::new(1), len: Cell::new(0) }
    }

    /// How many entries are given out.
    pub fn len(&self) -> usize {
        self.len.get() as usize
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len.get() == 0
    }

    /// How many entries can be given out at once.
    pub fn capacity(&self) -> usize {
        self.entries.len().saturating_sub(1)
    }

    /// Whether [`allot`](Self::allot) would answer `None`.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// Gives out an entry: the one returned last, else one never used; `None` when all are out.
    pub fn allot(&self) -> Option<u32> {
        let index = match self.free.get() {
            0 => {
                let fresh = self.high_water.get();
                if fresh as usize >= self.entries.len() {
                    return None;
                }
                self.high_water.set(fresh + 1);
                fresh
            }
            free => {
                self.free.set(list::entry(self.entries, free as usize).next().replace(0));
                free
            }
        };
        self.len.set(self.len.get() + 1);
        Some(index)
    }

    /// Takes back an entry that [`allot`](Self::allot) gave out and that stands in no queue.
    pub fn release(&self, index: u32) {
        debug_assert!(index != 0 && index < self.high_water.get(), "entry {index} is not out");
        let next = list::entry(self.entries, index as usize).next();
        debug_assert_eq!(next.get(), 0, "entry {index} is still queued");
        next.set(self.free.replace(index));
        self.len.set(self.len.get() - 1);
    }

    /// The whole table: what lists over it take as an argument.
    pub fn entries(&self) -> &'m [T] {
        self.entries
    }

    /// Entry `index`, if it was ever given out.
    pub fn entry(&self, index: u32) -> Option<&'m T> {
        if index == 0 || index >= self.high_water.get() {
            return None;
        }
        self.entries.get(index as usize)
    }

    /// One more than the highest index that was ever given out.
    pub fn high_water(&self) -> u32 {
        self.high_water.get()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[derive(Default)]
    struct Entry(Cell<u32>);

    impl Chained for Entry {
        fn next(&self) -> &Cell<u32> {
            &self.0
        }
    }

    #[test]
    fn gives_each_place_once_and_the_last_returned_first() {
        let table: Vec<_> = (0..4).map(|_| Entry::default()).collect();
        let slab = Slab::new(&table);
        assert_eq!((slab.allot(), slab.allot(), slab.allot()), (Some(1), Some(2), Some(3)));
        assert!(slab.is_full() && slab.allot().is_none());
        slab.release(1);
        slab.release(3);
        assert_eq!((slab.len(), slab.allot(), slab.allot()), (1, Some(3), Some(1)));
        assert!(slab.entry(0).is_none() && slab.entry(3).is_some() && slab.entry(4).is_none());
    }

    #[test]
    fn a_table_with_room_for_the_sentinel_alone_or_for_nothing_is_full() {
        for len in [0, 1] {
            let table: Vec<_> = (0..len).map(|_| Entry::default()).collect();
            let slab = Slab::new(&table);
            assert!(slab.is_full() && slab.is_empty() && slab.allot().is_none());
        }
    }
}
