//! A pool of equal buffers that are lent and come back by themselves.
//!
//! Invariants: a [`Lease`] owns its slice, so two leases never overlap and a forgotten one costs
//! one buffer, never soundness; the buffer returned last is lent first (it is warm); a buffer that
//! was never lent is untouched memory.
//!
//! Capacity: the count given to [`BufPool::new`]. Full (all lent): [`BufPool::lease`] answers
//! `None`; the caller joins a waiting list of its own.
//!
//! Layer: stands on [`memory`]; servers of streams take their buffers from it.
//!
//! ```
//! use dustdevil_core::{memory::Memory, pool::BufPool};
//! static MEMORY: Memory<{ BufPool::room(2, 64) }> = Memory::new();
//! let mut block = MEMORY.take();
//! let pool = BufPool::new(&mut block, 2, 64);
//! let (one, two) = (pool.lease().unwrap(), pool.lease().unwrap());
//! assert_eq!((one.len(), two.len(), pool.lease().is_none()), (64, 64, true));
//! drop(one);
//! assert_eq!(pool.idle(), 1);
//! ```

use core::cell::Cell;
use core::mem;
use core::ops::{Deref, DerefMut};

use crate::memory::{self, Block};

/// A pool of buffers of one size.
pub struct BufPool<'m> {
    /// The buffers that came back; those below `returned` are filled.
    stack: &'m [Cell<&'m mut [u8]>],
    returned: Cell<usize>,
    /// What was never lent.
    fresh: Cell<&'m mut [u8]>,
    buffer_bytes: usize,
    idle: Cell<usize>,
}

impl<'m> BufPool<'m> {
    /// The bytes of a block that a pool of `count` buffers of `buffer_bytes` takes.
    pub const fn room(count: usize, buffer_bytes: usize) -> usize {
        memory::room::<Cell<&'static mut [u8]>>(count)
            + memory::room::<u8>(count * buffer_bytes.next_multiple_of(8))
    }

    /// Cuts `count` buffers of `buffer_bytes`, rounded up to a multiple of 8, from `block`.
    ///
    /// # Panics
    /// At start-up, when the block is too small (see [`room`](Self::room)).
    pub fn new(block: &mut Block<'m>, count: usize, buffer_bytes: usize) -> Self {
        let buffer_bytes = buffer_bytes.next_multiple_of(8);
        let stack = block.fill(count, |_| Cell::new(<&mut [u8]>::default()));
        let fresh = Cell::new(block.bytes(count * buffer_bytes));
        Self { stack, returned: Cell::new(0), fresh, buffer_bytes, idle: Cell::new(count) }
    }

    /// Lends a buffer; `None` when all are lent. Its bytes are what the last holder left.
    pub fn lease<'p>(&'p self) -> Option<Lease<'p, 'm>> {
        let bytes = match self.returned.get() {
            0 => {
                let fresh = self.fresh.take();
                let (bytes, rest) = fresh.split_at_mut_checked(self.buffer_bytes)?;
                if bytes.is_empty() {
                    return None;
                }
                self.fresh.set(rest);
                bytes
            }
            returned => {
                self.returned.set(returned - 1);
                self.stack[returned - 1].take()
            }
        };
        self.idle.set(self.idle.get() - 1);
        Some(Lease { bytes, pool: self })
    }

    /// How many buffers could be lent now.
    pub fn idle(&self) -> usize {
        self.idle.get()
    }

    /// How many buffers there are.
    pub fn capacity(&self) -> usize {
        self.stack.len()
    }
}

/// A buffer on loan: dropping it gives it back.
pub struct Lease<'p, 'm> {
    bytes: &'m mut [u8],
    pool: &'p BufPool<'m>,
}

impl Deref for Lease<'_, '_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

impl DerefMut for Lease<'_, '_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.bytes
    }
}

impl Drop for Lease<'_, '_> {
    fn drop(&mut self) {
        let returned = self.pool.returned.get();
        // There is a place for each buffer, so the stack has room for this one.
        if let Some(place) = self.pool.stack.get(returned) {
            place.set(mem::take(&mut self.bytes));
            self.pool.returned.set(returned + 1);
            self.pool.idle.set(self.pool.idle.get() + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::memory::Owned;
    use std::boxed::Box;
    use std::vec;

    #[test]
    fn buffers_go_out_apart_and_come_back_warm() {
        let mut owned = Owned::new(vec![0_u64; 64].into_boxed_slice() as Box<[u64]>);
        let mut block = owned.block();
        let pool = BufPool::new(&mut block, 3, 13);
        let (mut one, mut two, three) =
            (pool.lease().unwrap(), pool.lease().unwrap(), pool.lease().unwrap());
        assert_eq!((one.len(), pool.idle(), pool.lease().is_none()), (16, 0, true));
        one.fill(1);
        two.fill(2);
        assert!(one.iter().all(|&byte| byte == 1));
        drop(two);
        drop(one);
        assert_eq!(pool.lease().unwrap()[0], 1, "the one returned last");
        drop(three);
        assert_eq!(pool.idle(), 3);
    }

    #[test]
    fn a_forgotten_lease_costs_one_buffer() {
        let mut owned = Owned::new(vec![0_u64; 64].into_boxed_slice() as Box<[u64]>);
        let mut block = owned.block();
        let pool = BufPool::new(&mut block, 2, 8);
        mem::forget(pool.lease());
        assert_eq!((pool.idle(), pool.lease().is_some(), pool.capacity()), (1, true, 2));
    }

    #[test]
    fn the_room_is_enough_for_any_size() {
        for (count, bytes) in [(0, 8), (1, 1), (3, 7), (5, 64)] {
            let words = BufPool::room(count, bytes) / 8;
            // Owned keeps a word of its own for itself.
            let mut owned = Owned::new(vec![0_u64; words + 1].into_boxed_slice() as Box<[u64]>);
            let pool = BufPool::new(&mut owned.block(), count, bytes);
            assert_eq!(pool.idle(), count);
        }
    }
}
