//! Memory as an argument: tables cut from one zeroed block, none of it ever given back.
//!
//! A [`Memory`] is a `static` on a board; an [`Owned`] stands on a buffer that Linux allocated
//! once, at start-up. Either lends a [`Block`], a bump cutter: what is cut lives as long as the
//! block's lifetime and is never freed, so a capacity is settled when the program starts, and a
//! block that is too small says so there, with both numbers.
//!
//! Invariants:
//! - No two cuts overlap, and no byte is cut twice while the memory is borrowed.
//! - Bytes that held a pinned future which was not dropped are never reused, not even after
//!   `mem::forget`: the pin promised it. A `static` is taken once; an `Owned` counts its live
//!   futures and refuses, or leaks its buffer, while there are any.
//! - A page that nobody wrote to stays unwritten: an empty table is all zero bits, and neither
//!   taking a block nor cutting a table writes to bytes that are zero already.
//!
//! Layer: the bottom. Tables of every other module stand on this one. This is one of the three
//! modules with `unsafe`: it hands out references into one region of bytes.
//!
//! ```
//! use dustdevil_core::memory::{Memory, room};
//!
//! const TIMERS: usize = 4;
//! static MEMORY: Memory<{ room::<u32>(TIMERS) + room::<u8>(100) }> = Memory::new();
//!
//! let mut block = MEMORY.take();
//! let timers = block.table::<u32>(TIMERS);
//! let buffer = block.bytes(100);
//! timers[3] = 7;
//! assert_eq!((timers.len(), buffer.len(), block.remaining()), (4, 100, 0));
//! ```

use core::{
    cell::{Cell, UnsafeCell},
    error::Error,
    fmt,
    marker::PhantomData,
    mem::MaybeUninit,
    ops::DerefMut,
    ptr::NonNull,
    slice,
};

use critical_section::Mutex;
use stable_deref_trait::StableDeref;
use zerocopy::FromZeros;

/// Every cut starts at a multiple of this many bytes and takes a multiple of them.
const GRAIN: usize = 8;

/// A static's worth of zeroed bytes, taken once: `static MEMORY: Memory<4096> = Memory::new();`.
///
/// All its bits are zero, so it lies in `.bss` and costs no flash.
#[repr(C, align(8))]
pub struct Memory<const BYTES: usize> {
    bytes: UnsafeCell<[u8; BYTES]>,
    /// A plain flag under a critical section: thumbv6m has no compare-and-swap.
    taken: Mutex<Cell<bool>>,
}

// SAFETY: `bytes` is reached only through `take`, which succeeds once per value, so at most one
// `Block` ever points into it; `taken` is guarded by the critical section.
unsafe impl<const BYTES: usize> Sync for Memory<BYTES> {}

impl<const BYTES: usize> Memory<BYTES> {
    /// Memory that nobody took yet.
    pub const fn new() -> Self {
        Self { bytes: UnsafeCell::new([0; BYTES]), taken: Mutex::new(Cell::new(false)) }
    }

    /// The whole of it, for ever.
    ///
    /// # Panics
    /// When it was taken before: two owners of one memory are a mistake in `main`.
    #[track_caller]
    pub fn take(&'static self) -> Block<'static> {
        claim(&self.taken, BYTES);
        // SAFETY: the pointer comes from the `UnsafeCell` of a static and is not null; the flag
        // that was claimed makes this the only one ever made, and the bytes have been zero since
        // `new`.
        unsafe { Block::new(NonNull::new_unchecked(self.bytes.get().cast()), BYTES, None) }
    }
}

/// Raises the flag of a memory, whatever its size; panics if that was done before.
#[inline(never)]
#[cfg_attr(not(target_os = "none"), track_caller)]
fn claim(taken: &Mutex<Cell<bool>>, bytes: usize) {
    let taken_before = critical_section::with(|cs| taken.borrow(cs).replace(true));
    assert!(!taken_before, "Memory::take: this memory of {bytes} bytes was taken before");
}

impl<const BYTES: usize> Default for Memory<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

/// Memory that was allocated once, by someone who can, as by
/// `Owned::new(vec![0; words].into_boxed_slice())`.
///
/// It lends its bytes as often as asked, one [`Block`] after the other, with what the last one
/// used zeroed again. While futures in [`Slots`](crate::task::Slots) are live although their
/// `Slots` is gone (it was forgotten), the bytes are theirs: [`block`](Self::block) panics,
/// [`try_block`](Self::try_block) refuses, and a drop leaks the buffer.
///
/// Give it a buffer that the allocator zeroed (`vec![0; words]` on Linux maps pages lazily): a
/// table's words are read when it is cut and written only where they are not zero.
pub struct Owned<B: StableDeref + DerefMut<Target = [u64]> + 'static> {
    /// INVARIANT: initialized until `drop`. `MaybeUninit`, because moving a `Box` claims its
    /// contents as unaliased, and a forgotten future may still be pointed at.
    buffer: MaybeUninit<B>,
    start: NonNull<u64>,
    bytes: usize,
    ledger: Ledger,
}

/// What an [`Owned`] has to know about what was cut from it.
struct Ledger {
    /// Futures that were put into slots here and not dropped.
    slots_live: Cell<usize>,
    /// The address just after the furthest byte that was cut; zero after no cut.
    end_max: Cell<usize>,
}

/// Refused: this many futures in the memory were not dropped yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotsLive(pub usize);

impl fmt::Display for SlotsLive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} forgotten futures still live in this memory", self.0)
    }
}

impl Error for SlotsLive {}

impl<B: StableDeref + DerefMut<Target = [u64]> + 'static> Owned<B> {
    /// Takes the buffer over; nothing in it is touched.
    pub fn new(buffer: B) -> Self {
        let mut buffer = MaybeUninit::new(buffer);
        // SAFETY: initialized by the line above. Only from its final wrapper on may it be asked for
        // its words: moving the bare buffer would invalidate the pointer.
        let words: &mut [u64] = unsafe { buffer.assume_init_mut() };
        let bytes = size_of_val(words);
        let start = NonNull::from(words).cast();
        let ledger = Ledger { slots_live: Cell::new(0), end_max: Cell::new(0) };
        Self { buffer, start, bytes, ledger }
    }

    /// All of the memory, for as long as this borrow.
    ///
    /// # Panics
    /// While futures live in it; see [`try_block`](Self::try_block).
    #[track_caller]
    pub fn block(&mut self) -> Block<'_> {
        match self.try_block() {
            Ok(block) => block,
            Err(SlotsLive(count)) => panic!("Owned::block: {}", SlotsLive(count)),
        }
    }

    /// All of the memory, for as long as this borrow, or [`SlotsLive`] while futures that were
    /// forgotten and not dropped still live in it (their bytes are pinned).
    pub fn try_block(&mut self) -> Result<Block<'_>, SlotsLive> {
        match self.ledger.slots_live.get() {
            0 => {}
            count => return Err(SlotsLive(count)),
        }
        // SAFETY: no future is live in the buffer.
        unsafe { self.zero_used() };
        // SAFETY: `start` is valid for `bytes` bytes while the buffer is not dropped (StableDeref:
        // it did not move); the block borrows `self`, so it is the only one. Its bytes are
        // initialized, and with a ledger they need not be zero.
        Ok(unsafe { Block::new(self.start.cast(), self.bytes, Some(&self.ledger)) })
    }

    /// Makes what was cut zero again, and thereby initialized: values with padding lay there.
    ///
    /// # Safety
    /// No future is live in the buffer.
    unsafe fn zero_used(&mut self) {
        let used = self.ledger.end_max.replace(0).saturating_sub(self.start.addr().get());
        // SAFETY: `start` is valid for `bytes` bytes while the buffer is not dropped, `used` is at
        // most that, and the borrow of `self` proves that no block and no cut is alive: what may
        // outlive its borrow is a future, and the caller vouches for those.
        unsafe { self.start.cast::<u8>().write_bytes(0, used) };
    }
}

impl<B: StableDeref + DerefMut<Target = [u64]> + 'static> Drop for Owned<B> {
    fn drop(&mut self) {
        // A forgotten future's bytes are pinned for ever: leaking them is what the pin promised.
        if self.ledger.slots_live.get() == 0 {
            // SAFETY: no future is live. (A buffer may look at its words when it is dropped, and
            // uninitialized ones are not for looking at.)
            unsafe { self.zero_used() };
            // SAFETY: initialized since `new`, dropped only here; nothing points into it, because
            // every cut borrowed `self` and no future outlived its `Slots`.
            unsafe { self.buffer.assume_init_drop() };
        }
    }
}

/// A bump cutter over zeroed bytes: every call takes the next piece, none is ever given back.
///
/// Covariant in `'m`. A call that asks for more than is left panics, with both numbers: tables are
/// cut at start-up, and [`room`] computes in a `const` how much to reserve.
pub struct Block<'m> {
    /// INVARIANT: aligned to [`GRAIN`] and valid for `remaining` bytes of reads and writes during
    /// `'m`; the bytes are initialized and nothing else refers to them. Without a ledger they are
    /// zero.
    next: NonNull<u8>,
    remaining: usize,
    ledger: Option<&'m Ledger>,
    bytes: PhantomData<&'m mut [u8]>,
}

impl<'m> Block<'m> {
    /// # Safety
    /// `start` is valid for reads and writes of `bytes` initialized bytes during `'m`, and nothing
    /// else refers to them. Without a ledger, they are zero and are never made part of a block
    /// again.
    unsafe fn new(start: NonNull<u8>, bytes: usize, ledger: Option<&'m Ledger>) -> Self {
        // `u64` is aligned to 4 on some 32-bit hosts.
        let skip = padding(start, GRAIN).min(bytes);
        // SAFETY: `skip` is at most `bytes`, and the caller vouches for those.
        let next = unsafe { start.add(skip) };
        Self { next, remaining: bytes - skip, ledger, bytes: PhantomData }
    }

    /// A table of `len` elements, all zero bits.
    ///
    /// # Panics
    /// When the block has less than [`room::<T>(len)`](room) bytes left.
    pub fn table<T: FromZeros>(&mut self, len: usize) -> &'m mut [T] {
        let start = self.cut_zeroed(len, size_of::<T>(), align_of::<T>()).cast::<T>();
        // SAFETY: `cut_zeroed` gave `len` aligned `T`s to this call alone, for `'m`; all their bits
        // are zero, which `FromZeros` accepts.
        unsafe { slice::from_raw_parts_mut(start.as_ptr(), len) }
    }

    /// A table of `len` elements, each made by `make` from its index. They are never dropped.
    ///
    /// # Panics
    /// When the block has less than [`room::<T>(len)`](room) bytes left.
    pub fn fill<T>(&mut self, len: usize, mut make: impl FnMut(usize) -> T) -> &'m mut [T] {
        let start = self.cut::<T>(len);
        for index in 0..len {
            // SAFETY: `cut` gave `len` aligned `T`s to this call alone, and `index` is below `len`.
            unsafe { start.add(index).write(make(index)) };
        }
        // SAFETY: as above, for `'m`; the loop wrote every element.
        unsafe { slice::from_raw_parts_mut(start.as_ptr(), len) }
    }

    /// One value, moved into the block. It is never dropped.
    ///
    /// # Panics
    /// When the block has less than [`room::<T>(1)`](room) bytes left.
    pub fn place<T>(&mut self, value: T) -> &'m mut T {
        // SAFETY: `cut` gave one aligned `T` to this call alone, for `'m`.
        unsafe { self.cut::<MaybeUninit<T>>(1).as_mut() }.write(value)
    }

    /// A buffer of `len` bytes that starts at a multiple of 8. Its bytes are zero, unless the
    /// memory is an [`Owned`] one whose buffer was not zero to begin with.
    ///
    /// # Panics
    /// When the block has less than [`room::<u8>(len)`](room) bytes left.
    pub fn bytes(&mut self, len: usize) -> &'m mut [u8] {
        let start = self.cut::<u8>(len);
        // SAFETY: `cut` gave `len` bytes to this call alone, for `'m`; all bytes of a block are
        // initialized.
        unsafe { slice::from_raw_parts_mut(start.as_ptr(), len) }
    }

    /// A block of its own over the next `bytes` bytes, rounded up to a multiple of 8.
    ///
    /// # Panics
    /// When less is left.
    pub fn split(&mut self, bytes: usize) -> Block<'m> {
        let (next, before) = (self.next, self.remaining);
        let taken = bytes.checked_next_multiple_of(GRAIN).filter(|&taken| taken <= before);
        let Some(taken) = taken else { too_small(before, bytes, 1, 1) };
        // SAFETY: `taken` is at most what was left.
        self.next = unsafe { self.next.add(taken) };
        self.remaining -= taken;
        // The two halves share no byte, so both hold the invariant of `next`.
        Block { next, remaining: taken, ledger: self.ledger, bytes: PhantomData }
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.remaining
    }

    /// Where to count the futures that are alive in this memory; `None` for memory that is never
    /// lent twice.
    pub(crate) fn slots_live(&self) -> Option<&'m Cell<usize>> {
        self.ledger.map(|ledger| &ledger.slots_live)
    }

    /// Takes room for `len` aligned `T`s: during `'m` the caller alone may refer to them. They are
    /// not made yet. From their start on, a multiple of [`GRAIN`] bytes is taken, all initialized.
    pub(crate) fn cut<T>(&mut self, len: usize) -> NonNull<T> {
        self.cut_bytes(len, size_of::<T>(), align_of::<T>()).cast()
    }

    /// [`cut_bytes`](Self::cut_bytes), all zero: since `Memory::new`, or, where the memory is lent
    /// more than once, since now.
    #[inline(never)]
    fn cut_zeroed(&mut self, len: usize, size: usize, align: usize) -> NonNull<u8> {
        let start = self.cut_bytes(len, size, align);
        if self.ledger.is_some() {
            // SAFETY: `cut_bytes` gave these bytes to this call alone. It took a multiple of 8
            // bytes from a multiple of 8 on, so whole words cover the table, and all of them are
            // initialized.
            let words = unsafe {
                slice::from_raw_parts_mut(
                    start.cast::<[u8; GRAIN]>().as_ptr(),
                    (size * len).div_ceil(GRAIN),
                )
            };
            zero(words);
        }
        start
    }

    /// [`cut`](Self::cut) for a type of this size and alignment: compiled once, for all of them.
    #[inline(never)]
    fn cut_bytes(&mut self, len: usize, size: usize, align: usize) -> NonNull<u8> {
        let skip = padding(self.next, align);
        let taken = size
            .checked_mul(len)
            .and_then(|bytes| bytes.checked_next_multiple_of(GRAIN))
            .and_then(|bytes| bytes.checked_add(skip))
            .filter(|&taken| taken <= self.remaining);
        let Some(taken) = taken else {
            too_small(self.remaining, len, size, align);
        };
        // SAFETY: `skip` is part of `taken`, which is at most what is left.
        let start = unsafe { self.next.add(skip) };
        // SAFETY: as above.
        self.next = unsafe { self.next.add(taken) };
        self.remaining -= taken;
        if let Some(ledger) = self.ledger {
            ledger.end_max.set(ledger.end_max.get().max(self.next.addr().get()));
        }
        start
    }
}

/// How many bytes to reserve for a table of `len` elements: a multiple of 8, with the slack that an
/// alignment above 8 may need. The sum of a block's tables is the `BYTES` of its [`Memory`].
///
/// # Panics
/// When that exceeds `usize`; in a `const`, where this belongs, it does not compile.
pub const fn room<T>(len: usize) -> usize {
    room_of(len, size_of::<T>(), align_of::<T>())
}

const fn room_of(len: usize, size: usize, align: usize) -> usize {
    let Some(bytes) = size.checked_mul(len) else {
        panic!("room: a table larger than the address space");
    };
    let slack = align.saturating_sub(GRAIN);
    let Some(bytes) = bytes.checked_next_multiple_of(GRAIN) else {
        panic!("room: a table larger than the address space");
    };
    let Some(bytes) = bytes.checked_add(slack) else {
        panic!("room: a table larger than the address space");
    };
    bytes
}

/// How many bytes lie between `at` and the next multiple of `align`, a power of two.
fn padding(at: NonNull<u8>, align: usize) -> usize {
    at.addr().get().wrapping_neg() & (align - 1)
}

/// Makes all bytes zero and writes only where they are not: a page that nobody wrote to is read,
/// which maps the system's one page of zeroes and costs no memory.
fn zero(words: &mut [[u8; GRAIN]]) {
    for word in words {
        if u64::from_ne_bytes(*word) != 0 {
            *word = [0; GRAIN];
        }
    }
}

#[cold]
#[inline(never)]
fn too_small(remaining: usize, len: usize, size: usize, align: usize) -> ! {
    let whole = size.saturating_mul(len).checked_next_multiple_of(GRAIN).unwrap_or(usize::MAX);
    let needed = whole.saturating_add(align.saturating_sub(GRAIN));
    panic!(
        "the block has {remaining} bytes left, a table of {len} x {size} bytes needs {needed}; \
         raise the memory's size"
    );
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::{
        mem::{align_of_val, forget},
        ops::{Deref, DerefMut},
        pin::pin,
        sync::atomic::{AtomicUsize, Ordering},
        task::{Context, Waker},
    };
    use std::{boxed::Box, panic, string::String, vec};

    use stable_deref_trait::StableDeref;

    use super::{Block, Memory, Owned, SlotsLive, room};
    use crate::task::Slots;

    #[repr(align(64))]
    struct Line([u8; 70]);

    /// Compiles because `Block` is covariant.
    fn shorten<'short>(block: Block<'static>, _: &'short u8) -> Block<'short> {
        block
    }

    fn buffer(bytes: usize) -> Box<[u64]> {
        vec![0; bytes.div_ceil(8)].into_boxed_slice()
    }

    #[test]
    fn room_is_exact_up_to_an_alignment_of_8_and_enough_beyond() {
        const { assert!(room::<u8>(0) == 0 && room::<u8>(1) == 8 && room::<u8>(8) == 8) };
        const { assert!(room::<u16>(5) == 16 && room::<u64>(3) == 24 && room::<()>(9) == 0) };
        const { assert!(room::<Line>(2) == 256 + 56) };
        static MEMORY: Memory<{ room::<Line>(2) + room::<u8>(3) + room::<Line>(1) }> =
            Memory::new();
        let mut block = MEMORY.take();
        let two = block.fill(2, |at| Line([at as u8; 70]));
        let bytes = block.bytes(3);
        let one = block.place(Line([9; 70]));
        assert_eq!([two[0].0[69], two[1].0[0], one.0[69], bytes[2]], [0, 1, 9, 0]);
        assert_eq!(two.as_ptr().addr() % align_of_val(&two[0]), 0);
        assert_eq!(bytes.as_ptr().addr() % 8, 0);
        assert!(block.remaining() < 2 * 64);
    }

    #[test]
    fn cuts_are_zero_and_apart() {
        static MEMORY: Memory<128> = Memory::new();
        let mut block = MEMORY.take();
        let a = block.table::<u32>(3);
        let mut half = block.split(17);
        assert_eq!((half.remaining(), block.remaining()), (24, 88));
        let b = half.bytes(24);
        let c = block.table::<u64>(10);
        let d = block.table::<()>(1 << 40 >> (usize::BITS / 4));
        let e = block.bytes(8);
        assert_eq!(block.remaining(), 0);
        assert!(a.iter().all(|&a| a == 0) && c.iter().all(|&c| c == 0));
        a.fill(1);
        b.fill(2);
        c.fill(3);
        e.fill(4);
        assert_eq!(
            (a, &b[..], c, &e[..]),
            (&mut [1; 3][..], &[2; 24][..], &mut [3; 10][..], &[4; 8][..])
        );
        assert_eq!(block.bytes(0), []);
        assert!(!d.is_empty());
    }

    #[test]
    fn a_block_outlives_its_variable() {
        static MEMORY: Memory<64> = Memory::new();
        let local = 1;
        let mut block = shorten(MEMORY.take(), &local);
        let cell = block.place(&local);
        assert_eq!(**cell, 1);
    }

    #[test]
    fn too_small_a_block_says_both_numbers() {
        type Cut = fn(&mut Block<'static>);
        let table: Cut = |block| _ = block.table::<u32>(11);
        let fill: Cut = |block| _ = block.fill(3, |_| [0_u64; 2]);
        let place: Cut = |block| _ = block.place([0_u8; 41]);
        let split: Cut = |block| _ = block.split(41);
        let overflow: Cut = |block| _ = block.split(usize::MAX);
        static MEMORIES: [Memory<40>; 5] = [const { Memory::new() }; 5];
        for (memory, (cut, text)) in MEMORIES.iter().zip([
            (table, "40 bytes left, a table of 11 x 4 bytes needs 48"),
            (fill, "40 bytes left, a table of 3 x 16 bytes needs 48"),
            (place, "40 bytes left, a table of 1 x 41 bytes needs 48"),
            (split, "40 bytes left, a table of 41 x 1 bytes needs 48"),
            (overflow, "40 bytes left, a table of"),
        ]) {
            let mut block = memory.take();
            let refused = panic::catch_unwind(panic::AssertUnwindSafe(|| cut(&mut block)));
            let panic = refused.expect_err(text).downcast::<String>().expect("a formatted text");
            assert!(panic.contains(text), "{panic}");
            assert_eq!(block.remaining(), 40, "a refused cut takes nothing");
        }
    }

    #[test]
    #[should_panic(expected = "this memory of 8 bytes was taken before")]
    fn a_static_is_taken_once() {
        static MEMORY: Memory<8> = Memory::new();
        let _ = MEMORY.take();
        let _ = MEMORY.take();
    }

    #[test]
    fn owned_memory_is_zero_each_time() {
        // Full of ones: the allocator's zeroes are not taken on trust where `FromZeros` needs them.
        let mut owned = Owned::new(vec![u64::MAX; 8].into_boxed_slice());
        assert_eq!(owned.block().table::<bool>(64), [false; 64]);
        for _ in 0..2 {
            let mut block = owned.block();
            assert_eq!(block.bytes(16), [0; 16]);
            // Padding makes bytes uninitialized; the next block's are not.
            block.fill(2, |at| (at as u64, 1_u8)).fill((7, 7));
            let mut half = block.split(16);
            half.bytes(16).fill(5);
        }
        assert_eq!(owned.block().bytes(64), [0; 64]);
    }

    #[test]
    fn values_in_a_block_are_not_dropped() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                unreachable!("a block drops nothing");
            }
        }
        let mut owned = Owned::new(buffer(64));
        let mut block = owned.block();
        block.place(Bomb);
        block.fill(3, |_| Bomb);
    }

    /// A buffer that says when it was dropped. Its words come from a static, so that the leak which
    /// the tests provoke is none to Miri.
    struct Watched {
        words: &'static mut [u64],
        dropped: &'static AtomicUsize,
    }

    impl Deref for Watched {
        type Target = [u64];
        fn deref(&self) -> &[u64] {
            self.words
        }
    }

    impl DerefMut for Watched {
        fn deref_mut(&mut self) -> &mut [u64] {
            self.words
        }
    }

    impl Drop for Watched {
        fn drop(&mut self) {
            // Reads every word: none may be uninitialized.
            assert_eq!(self.words.iter().sum::<u64>(), 0);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    // SAFETY: it derefs to a slice elsewhere, which does not move with it.
    unsafe impl StableDeref for Watched {}

    #[test]
    fn forgotten_slots_keep_their_memory() {
        static WORDS: Memory<256> = Memory::new();
        static DROPPED: AtomicUsize = AtomicUsize::new(0);
        let words = WORDS.take().table::<u64>(32);
        let mut owned = Owned::new(Watched { words, dropped: &DROPPED });
        {
            let mut block = owned.block();
            let mut slots = Slots::new(&mut block, 3);
            for index in 0..3 {
                slots.put(index, core::future::pending::<()>());
            }
            slots.remove(1);
            forget(slots);
        }
        let refused = owned.try_block().map(|block| block.remaining());
        assert_eq!(refused, Err(SlotsLive(2)));
        let panic = panic::catch_unwind(panic::AssertUnwindSafe(|| _ = owned.block()));
        let panic = panic.expect_err("two futures live").downcast::<String>();
        let text = *panic.expect("a formatted text");
        assert_eq!(text, "Owned::block: 2 forgotten futures still live in this memory");
        drop(owned);
        assert_eq!(DROPPED.load(Ordering::Relaxed), 0, "leaked, as the pins promise");
    }

    #[test]
    fn dropped_slots_give_their_memory_back() {
        static WORDS: Memory<256> = Memory::new();
        static DROPPED: AtomicUsize = AtomicUsize::new(0);
        let words = WORDS.take().table::<u64>(32);
        let mut owned = Owned::new(Watched { words, dropped: &DROPPED });
        for _ in 0..3 {
            let mut slots = Slots::new(&mut owned.block(), 2);
            for index in [0, 1] {
                slots.put(index, async move {
                    if index == 0 {
                        pin!(core::future::pending::<()>()).await;
                    }
                });
            }
            let mut cx = Context::from_waker(Waker::noop());
            assert!(slots.poll(0, &mut cx).is_pending());
            assert!(slots.poll(1, &mut cx).is_ready());
        }
        drop(owned);
        assert_eq!(DROPPED.load(Ordering::Relaxed), 1);
    }

    /// How much of this process's own memory is resident, in KiB.
    #[cfg(all(target_os = "linux", not(miri)))]
    fn resident_kib() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").expect("procfs is mounted");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        kib.and_then(|kib| kib.parse().ok()).expect("RssAnon: <n> kB")
    }

    #[cfg(all(target_os = "linux", not(miri)))]
    #[test]
    fn untouched_pages_cost_nothing() {
        const MIB: usize = 1 << 20;
        let before = resident_kib();
        let mut owned = Owned::new(buffer(256 * MIB));
        let mut block = owned.block();
        let table = block.table::<u64>(16 * MIB);
        let buffers = block.bytes(128 * MIB);
        table[7] = 1;
        buffers[7] = 1;
        let grown = resident_kib().saturating_sub(before);
        assert!(grown < 64 * 1024, "{grown} KiB for two touched pages of 256 MiB");
        forget(owned);
    }
}
