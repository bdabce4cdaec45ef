//! A timer wheel: deadlines of any distance, at a cost that does not grow with their number.
//!
//! A timer is a node in a slice that the caller gives; the slice is the wheel's capacity. Levels of
//! slots cover 2^30 ticks of 1.024 ms (12.7 days); each level has a bitmap, so an idle span of any
//! length is crossed by counting zeros. Later deadlines wait in an overflow list.
//!
//! The slots are words that the caller gives as well, [`words`] of them: six levels of 32 slots
//! (804 bytes). For at most [`FEW`] timers, as on a board, there is one slot, which is the present
//! tick (24 bytes): all other timers wait in the overflow list, and are few enough to be looked at
//! whenever one of them comes due.
//!
//! What holds:
//! - A timer never fires early, and fires at most one tick late: its deadline is rounded up to a
//!   tick, its *due tick*.
//! - Timers fire in the order of their due ticks, those of one tick in the order of insertion. The
//!   order depends on the calls alone, so a simulation replays it.
//! - The list that a timer is on is a function of its due tick and the wheel's position (see
//!   `TimerWheel::place`), hence it is stored nowhere and cannot be wrong.
//! - Empty is all zero bits: a node is not written before it is first used, and untouched pages of
//!   a zeroed slice cost nothing.
//! - A [`TimerId`] carries a generation: one that has fired or was cancelled names nothing, even
//!   though its node may serve another timer.
//!
//! Cost: [`insert`](TimerWheel::insert) and [`cancel`](TimerWheel::cancel) touch at most three
//! nodes. [`pop_expired`](TimerWheel::pop_expired) is O(1) amortised: a timer moves down at most
//! once a level in its life, and a timer in the overflow list is looked at once more in each window
//! of 2^30 ticks in which another one comes due. A single call may move a whole slot. There is no
//! 64-bit division and no 64-bit shift by a variable.
//!
//! Layer: above [`time`](crate::time) and [`list`](crate::list) only. The reactor keeps each
//! timer's waker in a table of its own, found by [`TimerId::index`].
//!
//! ```
//! use dustdevil_core::time::{Duration, Instant};
//! use dustdevil_core::wheel::{Timer, TimerWheel, words};
//!
//! let start = Instant::from_micros(5_000);
//! let mut nodes = [const { Timer::free() }; 4];
//! let mut slots = [0; words(4)];
//! let wheel = TimerWheel::new(&mut nodes, &mut slots, start);
//! let late = wheel.insert(start + Duration::from_secs(60)).unwrap();
//! let soon = wheel.insert(start + Duration::from_millis(10)).unwrap();
//!
//! let wake_at = wheel.next_deadline().unwrap();
//! assert_eq!(wheel.pop_expired(start), None);
//! assert_eq!(wheel.pop_expired(wake_at), Some(soon));
//! assert_eq!(wheel.pop_expired(wake_at), None);
//! assert!(wheel.cancel(late) && !wheel.cancel(late) && !wheel.cancel(soon));
//! assert_eq!(wheel.next_deadline(), None);
//! ```

use core::cell::Cell;
use core::fmt;
use core::num::NonZeroU32;

use zerocopy::FromZeros;

use crate::list::entry;
use crate::time::Instant;

/// Up to this many timers a wheel has one slot, beyond it six levels of 32.
pub const FEW: usize = 16;

/// The due tick of what never fires: one past the last tick that a clock can show.
const NEVER_TICK: u64 = Instant::MAX.ticks_ceil();

/// `next_deadline` looks at this many nodes of a slot before it answers with the slot's start.
const LOOKED_AT_MAX: usize = 8;

const _: () = assert!(size_of::<Timer>() == 20);
const _: () = assert!(size_of::<Option<TimerId>>() == 8, "it is a part of futures");

/// How a wheel of a certain size is divided.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    levels: u32,
    /// A slot is chosen by this many bits of the due tick, a digit; a digit for each level.
    slot_bits: u32,
    /// `n * inverse >> 6` is `n / slot_bits` for each bit `n` below: no division on a Cortex-M0.
    inverse: u32,
    /// The bits of all levels: ticks that agree in all others share a window, and the levels hold
    /// the present one.
    window_mask: u32,
}

impl Shape {
    const FLAT: Self = Self { levels: 1, slot_bits: 0, inverse: 0, window_mask: 0 };
    const WIDE: Self = Self { levels: 6, slot_bits: 5, inverse: 13, window_mask: (1 << 30) - 1 };

    const fn of(timers: usize) -> &'static Self {
        if timers <= FEW { &Self::FLAT } else { &Self::WIDE }
    }

    /// The number of the list of timers whose window is still to come; it sits where one more
    /// level would begin. Behind it sits the list of those that never fire.
    const fn overflow(&self) -> usize {
        (self.levels as usize) << self.slot_bits
    }

    /// A bitmap for each level, and those for the two lists.
    const fn bitmaps(&self) -> usize {
        ((self.overflow() + 1) >> self.slot_bits) + 1
    }

    /// The bitmaps, and the first node of each list.
    const fn words(&self) -> usize {
        self.bitmaps() + self.overflow() + 2
    }
}

const _: () = {
    let wide = &Shape::WIDE;
    assert!(Shape::FLAT.words() * size_of::<u32>() == 24);
    assert!(wide.words() * size_of::<u32>() == 804);
    assert!(1 << wide.slot_bits <= u32::BITS, "a bitmap is a word");
    assert!(wide.window_mask.count_ones() == wide.levels * wide.slot_bits);
    let mut bit = 0;
    while bit < wide.window_mask.count_ones() {
        assert!((bit * wide.inverse) >> 6 == bit / wide.slot_bits);
        bit += 1;
    }
};

/// How many words the slots of a wheel for `timers` timers take; none where there are no timers.
pub const fn words(timers: usize) -> usize {
    if timers == 0 { 0 } else { Shape::of(timers).words() }
}

/// One node of a [`TimerWheel`], 20 bytes. All zero bits are a free node, so a zeroed block is a
/// slice of them.
///
/// Links are `index + 1`, and 0 is "none". A list is a ring: the first node's `previous` is the
/// last one.
#[derive(Debug, FromZeros)]
pub struct Timer {
    /// The due tick as low and high word, which keeps the node's alignment at 4.
    tick: [Cell<u32>; 2],
    /// The following node of the ring; of a free node, the following free one.
    next: Cell<u32>,
    previous: Cell<u32>,
    /// Odd while a timer is in the node; grows by one with each insertion and each removal.
    generation: Cell<u32>,
}

/// Names one timer of one [`TimerWheel`].
///
/// It names nothing once that timer has fired or was cancelled. (A node's generations repeat after
/// 2^31 timers: an id kept for longer than that could name a stranger.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerId {
    index: u32,
    generation: NonZeroU32,
}

/// The wheel is full; it gives back the deadline that it could not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full(pub Instant);

/// A set of deadlines from which the expired ones are pulled, one at a time.
///
/// Capacity: the slice of nodes. Full: [`insert`](Self::insert) refuses with [`Full`].
pub struct TimerWheel<'m> {
    nodes: &'m [Timer],
    /// Bit `s` of word `l`: slot `s` of level `l` is not empty. The last word holds the two lists.
    occupied: &'m [Cell<u32>],
    /// The first node of each slot, then of the two lists.
    heads: &'m [Cell<u32>],
    shape: &'static Shape,
    /// No timer of the overflow list is due before the window that begins with this tick.
    /// Meaningless while the list is empty.
    overflow_from: Cell<u64>,
    /// The tick up to which everything has been handed out: no stored due tick is before it.
    position: Cell<u64>,
    /// The first free node among those below `touched`.
    free: Cell<u32>,
    /// Nodes from here on have never been used.
    touched: Cell<u32>,
    len: Cell<u32>,
    /// How often a node was read or written.
    #[cfg(test)]
    visits: Cell<u64>,
}

/// The list that holds the earliest timer, and a tick that this timer is not due before.
struct First {
    place: usize,
    start: u64,
}

impl Timer {
    /// A node without a timer: all zero bits.
    pub const fn free() -> Self {
        let tick = [const { Cell::new(0) }; 2];
        let (next, previous, generation) = (Cell::new(0), Cell::new(0), Cell::new(0));
        Self { tick, next, previous, generation }
    }

    fn tick(&self) -> u64 {
        u64::from(self.tick[1].get()) << 32 | u64::from(self.tick[0].get())
    }

    fn set_tick(&self, tick: u64) {
        self.tick[0].set(tick as u32);
        self.tick[1].set((tick >> 32) as u32);
    }

    #[cfg(any(test, feature = "sim"))]
    fn is_armed(&self) -> bool {
        self.generation.get() & 1 == 1
    }
}

impl TimerId {
    /// The timer's node, below the wheel's capacity: no two live timers share it, and it is free
    /// for the next timer as soon as this one is popped or cancelled.
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no free timer")
    }
}

impl core::error::Error for Full {}

impl<'m> TimerWheel<'m> {
    /// An empty wheel at `now`, whose slots are `slots`: [`words`] of them, which become zero. What
    /// the nodes held before does not matter, except that ids from an earlier wheel over the same
    /// memory stay stale.
    ///
    /// # Panics
    /// When there are fewer words than that.
    pub fn new(nodes: &'m mut [Timer], slots: &'m mut [u32], now: Instant) -> Self {
        let shape = Shape::of(nodes.len());
        Self::with_shape(nodes, slots, shape, now)
    }

    fn with_shape(
        nodes: &'m mut [Timer],
        slots: &'m mut [u32],
        shape: &'static Shape,
        now: Instant,
    ) -> Self {
        let capacity = nodes.len().min(u32::MAX as usize - 1);
        let needed = if capacity == 0 { 0 } else { shape.words() };
        assert!(slots.len() >= needed, "too few words for the slots of a wheel");
        slots.fill(0);
        let slots = Cell::from_mut(slots).as_slice_of_cells();
        let (occupied, heads) = slots.split_at(slots.len().min(shape.bitmaps()));
        Self {
            nodes: &nodes[..capacity],
            occupied,
            heads,
            shape,
            overflow_from: Cell::new(0),
            position: Cell::new(now.ticks()),
            free: Cell::new(0),
            touched: Cell::new(0),
            len: Cell::new(0),
            #[cfg(test)]
            visits: Cell::new(0),
        }
    }

    /// Adds a timer that is due at `at`; a past one is due at once. [`Instant::MAX`] (and any
    /// instant in the clock's last millisecond) never fires, but takes a node until it is
    /// cancelled.
    ///
    /// # Errors
    /// [`Full`], when every node holds a timer.
    pub fn insert(&self, at: Instant) -> Result<TimerId, Full> {
        let link = self.allocate().ok_or(Full(at))?;
        let tick = at.ticks_ceil().max(self.position.get());
        let node = self.node(link);
        node.set_tick(tick);
        // From even to the next odd number; from the odd one that another wheel left, also.
        node.generation.set(node.generation.get().wrapping_add(1) | 1);
        let id = TimerId::of(link, node.generation.get());
        self.append(self.place(tick), link);
        self.len.set(self.len.get() + 1);
        Ok(id)
    }

    /// Removes a timer. False, and nothing happens, when `id` has fired or was cancelled before.
    pub fn cancel(&self, id: TimerId) -> bool {
        if !self.contains(id) {
            return false;
        }
        let link = id.index + 1;
        let place = self.place(self.node(link).tick());
        self.unlink(place, link);
        self.release(link);
        true
    }

    /// Takes out the next timer that is due at `now`. Call it until it returns `None`; timers may
    /// be inserted and cancelled in between, and one inserted as due at once is found by the same
    /// loop, so whoever fires timers that re-arm themselves collects before firing.
    ///
    /// Time never goes back past what was handed out: a `now` before that is clamped to it.
    pub fn pop_expired(&self, now: Instant) -> Option<TimerId> {
        let target = now.ticks().max(self.position.get());
        while let Some(First { place, start }) = self.first().filter(|first| first.start <= target)
        {
            let link = entry(self.heads, place).get();
            let node = self.node(link);
            let (tick, alone) = (node.tick(), node.next.get() == link);
            // A slot of level 0 is one tick, and a timer alone in the first slot is the earliest.
            if (self.is_one_tick(place) || alone) && tick <= target {
                self.position.set(tick);
                self.unlink(place, link);
                return Some(self.release(link));
            }
            // Nothing else is due before the slot's end, so a timer alone sinks in one step.
            self.position.set(if alone { target } else { start });
            self.cascade(place);
        }
        self.position.set(target);
        None
    }

    /// When to call [`pop_expired`](Self::pop_expired) next; `None` while nothing will ever fire.
    ///
    /// It is the instant at which the earliest timer fires (so up to a tick after the deadline
    /// that was asked for) while the first occupied slot holds at most 8 timers, else that slot's
    /// start. Never later than the first is due; calling then always makes progress, so
    /// a sleep until here does not spin. For a timer that is due already it lies in the past.
    pub fn next_deadline(&self) -> Option<Instant> {
        let First { place, start } = self.first()?;
        let earliest = if self.is_one_tick(place) { None } else { self.earliest_of_few(place) };
        Some(Instant::from_ticks(earliest.unwrap_or(start)))
    }

    /// Whether `id` has neither fired nor been cancelled.
    pub fn contains(&self, id: TimerId) -> bool {
        id.index < self.touched.get()
            && self.node(id.index + 1).generation.get() == id.generation.get()
    }

    /// How many timers wait, those that never fire included.
    pub fn len(&self) -> usize {
        self.len.get() as usize
    }

    /// Whether no timer waits.
    pub fn is_empty(&self) -> bool {
        self.len.get() == 0
    }

    /// How many timers may wait at once: the number of nodes.
    pub fn capacity(&self) -> usize {
        self.nodes.len()
    }

    /// Panics unless every list, bitmap and count agrees with the others. Visits all nodes.
    #[cfg(any(test, feature = "sim"))]
    pub fn check(&self) {
        let position = self.position.get();
        assert!(position < NEVER_TICK, "position {position}");
        let mut linked = 0;
        for (place, head) in self.heads.iter().map(Cell::get).enumerate() {
            let (level, slot) = (place >> self.shape.slot_bits, self.slot(place));
            let bit = self.occupied[level].get() >> slot & 1;
            assert_eq!(bit == 1, head != 0, "place {place}: bitmap against list");
            let mut link = head;
            while link != 0 {
                let (node, touched) = (self.node(link), self.touched.get());
                let tick = node.tick();
                assert!(link <= touched && node.is_armed(), "place {place} holds a free node");
                assert!(tick >= position, "tick {tick} lies behind {position}");
                assert_eq!(self.place(tick), place, "tick {tick} seen from {position}");
                let next = node.next.get();
                assert_eq!(self.node(next).previous.get(), link, "place {place}: broken ring");
                if place == self.shape.overflow() {
                    let bound = self.overflow_from.get();
                    assert!(self.window(tick) >= bound, "overflow bound is too late");
                    assert!(bound > self.window(position), "overflow is overdue");
                }
                linked += 1;
                assert!(linked <= self.len.get(), "more nodes on lists than timers");
                link = if next == head { 0 } else { next };
            }
        }
        assert_eq!(linked, self.len.get(), "timers that are on no list");
        let (mut link, mut unused) = (self.free.get(), 0);
        while link != 0 {
            let node = self.node(link);
            assert!(link <= self.touched.get() && !node.is_armed(), "the free list holds a timer");
            unused += 1;
            assert!(linked + unused <= self.touched.get(), "the free list is a ring");
            link = node.next.get();
        }
        assert_eq!(linked + unused, self.touched.get(), "lost nodes");
    }

    /// The list for a due tick, seen from the current position.
    ///
    /// Why does this work? The level is that of the highest digit of `slot_bits` bits in which tick
    /// and position differ, the slot is that digit of the tick. While the position moves towards
    /// the tick, the digits above stay equal and this one stays smaller, so the answer stays the
    /// same, until the position reaches the slot's start; that is when the slot is cascaded. A slot
    /// that the position has passed is therefore empty, and the lowest bit set on the lowest level
    /// that is not empty is the earliest slot of all.
    fn place(&self, tick: u64) -> usize {
        let differing = tick ^ self.position.get();
        if self.window(differing) != 0 {
            return self.shape.overflow() + usize::from(tick == NEVER_TICK);
        }
        let highest = (differing as u32 | 1).ilog2();
        let level = (highest * self.shape.inverse) >> 6;
        let slot = self.slot((tick as u32 >> (level * self.shape.slot_bits)) as usize);
        ((level as usize) << self.shape.slot_bits) + slot
    }

    /// The tick with which the window of a tick begins.
    fn window(&self, tick: u64) -> u64 {
        tick & !u64::from(self.shape.window_mask)
    }

    /// The low digit of a number.
    fn slot(&self, number: usize) -> usize {
        number & ((1 << self.shape.slot_bits) - 1)
    }

    /// Whether a list is a slot of level 0, which is one tick.
    fn is_one_tick(&self, place: usize) -> bool {
        place >> self.shape.slot_bits == 0
    }

    /// Finds the earliest list that is not empty, in at most one step a level.
    fn first(&self) -> Option<First> {
        if self.is_empty() {
            return None;
        }
        let (slot_bits, position) = (self.shape.slot_bits, self.position.get());
        let levels = self.occupied.iter().take(self.shape.levels as usize).map(Cell::get);
        let mut found = levels.enumerate().filter(|&(_, bits)| bits != 0);
        let Some((level, bits)) = found.next() else {
            let (place, start) = (self.shape.overflow(), self.overflow_from.get());
            return (entry(self.heads, place).get() != 0).then_some(First { place, start });
        };
        let slot = bits.trailing_zeros();
        let shift = level as u32 * slot_bits;
        let within = position as u32 & self.shape.window_mask;
        let above = within & !((1 << (shift + slot_bits)) - 1);
        let start = self.window(position) | u64::from(above | slot << shift);
        Some(First { place: (level << slot_bits) + slot as usize, start })
    }

    /// The earliest due tick on a list, unless it is longer than [`LOOKED_AT_MAX`].
    fn earliest_of_few(&self, place: usize) -> Option<u64> {
        let head = entry(self.heads, place).get();
        let (mut link, mut earliest) = (head, u64::MAX);
        for _ in 0..LOOKED_AT_MAX {
            let node = self.node(link);
            earliest = earliest.min(node.tick());
            link = node.next.get();
            if link == head {
                return Some(earliest);
            }
        }
        None
    }

    /// Files each timer of a list anew. The list is detached first, since timers of the overflow
    /// list may come back to it; those of a slot all land on a lower level.
    fn cascade(&self, place: usize) {
        let head = entry(self.heads, place).get();
        let last = self.node(head).previous.get();
        self.set_head(place, 0);
        let mut link = head;
        loop {
            let node = self.node(link);
            let (tick, next) = (node.tick(), node.next.get());
            let lower = self.place(tick);
            debug_assert!(
                place == self.shape.overflow()
                    || lower >> self.shape.slot_bits < place >> self.shape.slot_bits,
                "tick {tick} went from list {place} to {lower} at {}",
                self.position.get(),
            );
            self.append(lower, link);
            if link == last {
                break;
            }
            link = next;
        }
    }

    /// Puts a node at the end of a list.
    fn append(&self, place: usize, link: u32) {
        let head = entry(self.heads, place).get();
        let node = self.node(link);
        if place == self.shape.overflow() {
            let own = self.window(node.tick());
            let bound = if head == 0 { own } else { own.min(self.overflow_from.get()) };
            self.overflow_from.set(bound);
        }
        if head == 0 {
            node.next.set(link);
            node.previous.set(link);
            self.set_head(place, link);
            return;
        }
        let last = self.node(head).previous.replace(link);
        self.node(last).next.set(link);
        node.next.set(head);
        node.previous.set(last);
    }

    /// Takes a node off the list that it is on.
    fn unlink(&self, place: usize, link: u32) {
        let node = self.node(link);
        let (next, previous) = (node.next.get(), node.previous.get());
        if next == link {
            self.set_head(place, 0);
            return;
        }
        self.node(previous).next.set(next);
        self.node(next).previous.set(previous);
        let head = entry(self.heads, place);
        if head.get() == link {
            head.set(next);
        }
    }

    /// Sets a list's first node, and its bit to match.
    fn set_head(&self, place: usize, link: u32) {
        entry(self.heads, place).set(link);
        let bit = 1 << self.slot(place);
        let bits = entry(self.occupied, place >> self.shape.slot_bits);
        bits.set(if link == 0 { bits.get() & !bit } else { bits.get() | bit });
    }

    /// A node for a new timer: the one freed last, else one that was never used.
    fn allocate(&self) -> Option<u32> {
        let free = self.free.get();
        if free != 0 {
            self.free.set(self.node(free).next.get());
            return Some(free);
        }
        let touched = self.touched.get();
        if touched as usize == self.nodes.len() {
            return None;
        }
        self.touched.set(touched + 1);
        Some(touched + 1)
    }

    /// Frees a node that is on no list any more, and tells which timer was in it.
    fn release(&self, link: u32) -> TimerId {
        let node = self.node(link);
        let generation = node.generation.get();
        node.generation.set(generation.wrapping_add(1));
        node.next.set(self.free.replace(link));
        self.len.set(self.len.get() - 1);
        TimerId::of(link, generation)
    }

    /// INVARIANT: links are not 0 here and came from `allocate`, which gives out `1..=nodes.len()`.
    fn node(&self, link: u32) -> &'m Timer {
        #[cfg(test)]
        self.visits.set(self.visits.get() + 1);
        entry(self.nodes, link as usize - 1)
    }
}

impl TimerId {
    /// A generation in use is odd, so the bit set here is set already: it is there for the type.
    fn of(link: u32, generation: u32) -> Self {
        Self { index: link - 1, generation: NonZeroU32::MIN | generation }
    }
}

impl fmt::Debug for TimerWheel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerWheel")
            .field("position", &Instant::from_ticks(self.position.get()))
            .field("len", &self.len())
            .field("capacity", &self.nodes.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::BTreeMap;
    use std::vec::Vec;

    use super::*;
    use crate::time::{Duration, TICK_SHIFT};

    const WINDOW_BITS: u32 = Shape::WIDE.window_mask.count_ones();
    const WINDOW_MASK: u64 = Shape::WIDE.window_mask as u64;

    /// Where clocks start: zero, and just before each counter that a port might let wrap.
    const STARTS_US: [u64; 7] = [
        0,
        (1 << 32) - 5_000,                       // 2^32 us
        (1 << 32) * 1_000 - 5_000,               // 2^32 ms
        ((1 << WINDOW_BITS) - 10) << TICK_SHIFT, // the first edge of the top window
        ((3 << WINDOW_BITS) - 1) << TICK_SHIFT,
        ((1 << 32) - 3) << TICK_SHIFT, // 2^32 ticks
        u64::MAX - (1 << 20),          // the end of time
    ];

    /// xorshift64*: enough for tests, and the same everywhere.
    struct Random(u64);

    impl Random {
        fn new(seed: u64) -> Self {
            Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
        }

        fn next(&mut self) -> u64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 1
        }

        fn below(&mut self, bound: u64) -> u64 {
            self.next() % bound
        }

        /// A span whose length in bits is even, so that every level gets its share.
        fn span(&mut self, bits_max: u64) -> Duration {
            let bits = self.below(bits_max + 1);
            Duration::from_micros(self.next() & ((1 << bits) - 1))
        }
    }

    fn us(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    fn tick(ticks: u64) -> Instant {
        Instant::from_ticks(ticks)
    }

    /// A wheel's memory.
    struct Memory {
        nodes: Vec<Timer>,
        slots: Vec<u32>,
        shape: &'static Shape,
    }

    impl Memory {
        fn shaped(shape: &'static Shape, timers: usize) -> Self {
            let nodes = (0..timers).map(|_| Timer::free()).collect();
            Self { nodes, slots: std::vec![u32::MAX; shape.words()], shape }
        }

        fn wheel(&mut self, now: Instant) -> TimerWheel<'_> {
            TimerWheel::with_shape(&mut self.nodes, &mut self.slots, self.shape, now)
        }
    }

    fn free_nodes(timers: usize) -> Memory {
        Memory::shaped(Shape::of(timers), timers)
    }

    fn bitmaps(wheel: &TimerWheel<'_>) -> Vec<u32> {
        wheel.occupied.iter().map(Cell::get).collect()
    }

    fn pop_all(wheel: &TimerWheel<'_>, now: Instant) -> Vec<TimerId> {
        core::iter::from_fn(|| wheel.pop_expired(now)).collect()
    }

    /// The oracle: timers sorted by due tick, then by insertion.
    struct Model<'m> {
        wheel: TimerWheel<'m>,
        sorted: BTreeMap<(u64, u64), (TimerId, Instant)>,
        stale: Vec<TimerId>,
        now: Instant,
        /// What has been handed out reaches to here.
        position: u64,
        inserted: u64,
        fired: u64,
        refused: u64,
    }

    impl<'m> Model<'m> {
        fn new(memory: &'m mut Memory, now: Instant) -> Self {
            Self {
                wheel: memory.wheel(now),
                sorted: BTreeMap::new(),
                stale: Vec::new(),
                now,
                position: now.ticks(),
                inserted: 0,
                fired: 0,
                refused: 0,
            }
        }

        fn insert(&mut self, at: Instant) {
            let full = self.sorted.len() == self.wheel.capacity();
            match self.wheel.insert(at) {
                Err(refused) => {
                    assert_eq!((full, refused), (true, Full(at)));
                    self.refused += 1;
                }
                Ok(id) => {
                    assert!(!full && self.wheel.contains(id));
                    assert!(self.sorted.values().all(|(other, _)| other.index() != id.index()));
                    let due = at.ticks_ceil().max(self.position);
                    self.sorted.insert((due, self.inserted), (id, at));
                    self.inserted += 1;
                }
            }
        }

        fn cancel(&mut self, random: &mut Random) {
            let Some(which) = random.below(64).checked_rem(self.sorted.len() as u64) else {
                return;
            };
            let key = *self.sorted.keys().nth(which as usize).unwrap();
            let (id, _) = self.sorted.remove(&key).unwrap();
            assert!(self.wheel.cancel(id));
            self.stale.push(id);
        }

        fn cancel_stale(&mut self, random: &mut Random) {
            let Some(which) = random.next().checked_rem(self.stale.len() as u64) else { return };
            let id = self.stale[which as usize];
            assert!(!self.wheel.contains(id) && !self.wheel.cancel(id));
        }

        /// Moves the clock and pulls at most `pops` timers.
        fn advance(&mut self, to: Instant, pops: u64) {
            self.now = self.now.max(to);
            for _ in 0..pops {
                let target = to.ticks().max(self.position);
                let due = self.sorted.first_entry().filter(|entry| entry.key().0 <= target);
                let expected = due.map(|entry| (entry.key().0, entry.remove()));
                let popped = self.wheel.pop_expired(to);
                assert_eq!(popped, expected.map(|(_, (id, _))| id), "at {to:?}");
                let Some((due, (id, at))) = expected else {
                    self.position = target;
                    return;
                };
                assert!(at <= self.now && at < Instant::MAX, "{at:?} fired early");
                self.position = due;
                self.fired += 1;
                self.stale.push(id);
            }
        }

        /// `next_deadline` is never late, and exact where it promises to be.
        fn check(&self) {
            self.wheel.check();
            assert_eq!(self.wheel.len(), self.sorted.len());
            assert_eq!(self.wheel.is_empty(), self.sorted.is_empty());
            let promised = self.wheel.next_deadline();
            let earliest = self.sorted.keys().next().map_or(NEVER_TICK, |key| key.0);
            if earliest == NEVER_TICK {
                return assert_eq!(promised, None);
            }
            // The slot is all that shares the digits above the lowest one in which the earliest
            // tick and the position differ not.
            let &Shape { levels, slot_bits, .. } = self.wheel.shape;
            let mut shifts = (0..levels).map(|level| level * slot_bits);
            let shift = shifts.find(|shift| {
                earliest >> (shift + slot_bits) == self.position >> (shift + slot_bits)
            });
            let in_slot = |due: u64| match shift {
                Some(shift) => due >> shift == earliest >> shift,
                None => due != NEVER_TICK,
            };
            let count = self.sorted.keys().filter(|key| in_slot(key.0)).count();
            let promised = promised.expect("something will fire");
            match shift {
                _ if count <= LOOKED_AT_MAX => assert_eq!(promised, tick(earliest)),
                Some(shift) => assert_eq!(promised, tick(earliest >> shift << shift)),
                None => assert!(promised <= tick(earliest) && promised > tick(self.position)),
            }
        }

        fn step(&mut self, random: &mut Random) {
            let edge = tick((self.now.ticks() | WINDOW_MASK) + 1);
            match random.below(32) {
                0..10 => self.insert(self.now + random.span(33)),
                10..12 => self.insert(self.now + random.span(63)),
                12 => self.insert(us(self.now.as_micros().saturating_sub(random.below(9_000)))),
                13 => self.insert(Instant::MAX),
                14 => self.insert(edge + Duration::from_micros(random.below(9_000))),
                15..19 => self.cancel(random),
                19..21 => self.cancel_stale(random),
                21..25 => self.advance(self.now + random.span(14), 1 + random.below(4)),
                25..28 => self.advance(self.now + random.span(33), u64::MAX),
                28 => {
                    let to = self.wheel.next_deadline().unwrap_or(self.now);
                    self.advance(to, u64::MAX);
                }
                29 => self.advance(us(self.now.as_micros().saturating_sub(3_000)), 1),
                30 if random.below(16) == 0 => self.advance(self.now + random.span(44), u64::MAX),
                31 if random.below(16) == 0 => {
                    let before = us(edge.as_micros() - random.below(20_000));
                    self.advance(before, u64::MAX);
                }
                _ => self.insert(self.now + random.span(20)),
            }
        }
    }

    #[test]
    fn agrees_with_a_sorted_map() {
        let (seeds, steps) = if cfg!(miri) { (1, 60) } else { (60, 4_000) };
        let (mut fired, mut refused) = (0, 0);
        for (number, start) in STARTS_US.into_iter().enumerate() {
            for seed in 0..seeds {
                let mut random = Random::new(start ^ seed << 50 ^ seed);
                let shape = [&Shape::FLAT, &Shape::WIDE][(number + seed as usize / 4) % 2];
                let mut nodes = Memory::shaped(shape, [3, 12, 40, 150][seed as usize % 4]);
                let mut model = Model::new(&mut nodes, us(start));
                for _ in 0..steps {
                    model.step(&mut random);
                    model.check();
                }
                // Whatever is left fires when time ends, except what never does.
                model.advance(Instant::MAX, u64::MAX);
                model.check();
                assert!(model.sorted.keys().all(|key| key.0 == NEVER_TICK));
                (fired, refused) = (fired + model.fired, refused + model.refused);
            }
        }
        assert!(fired > seeds * steps / 8 && refused > 0, "{fired} fired, {refused} refused");
    }

    /// Pitfall: a near timer beside a far one slept for days when the top window wrapped.
    #[test]
    fn near_timers_cross_the_top_window_on_time() {
        for edge in [1u64, 2, 3, 1 << 20, (1 << 24) - 1].map(|window| window << WINDOW_BITS) {
            for far in [Instant::MAX, tick(edge + (1 << WINDOW_BITS)), tick(NEVER_TICK - 1)] {
                // With many far ones the deadline is a bound instead of a minimum.
                for far_count in [1, LOOKED_AT_MAX + 4] {
                    let mut nodes = free_nodes(20);
                    let wheel = nodes.wheel(tick(edge - 10));
                    for _ in 0..far_count {
                        wheel.insert(far).unwrap();
                    }
                    let near = wheel.insert(tick(edge + 5)).unwrap();
                    wheel.check();
                    assert_eq!(wheel.pop_expired(tick(edge - 1)), None);
                    let mut wakes = 0;
                    while wheel.contains(near) {
                        let next = wheel.next_deadline().unwrap();
                        assert!(next <= tick(edge + 5), "slept past the near timer: {next:?}");
                        if let Some(id) = wheel.pop_expired(next) {
                            assert_eq!((id, next), (near, tick(edge + 5)));
                        }
                        wheel.check();
                        wakes += 1;
                    }
                    assert!(wakes <= 2, "{wakes} wakes for one timer");
                    assert_eq!(wheel.len(), far_count);
                }
            }
        }
    }

    /// Pitfall: a cascade that inserts into the slot that it drains.
    #[test]
    fn a_cascade_lands_on_lower_levels_and_leaves_its_slot_empty() {
        let mut nodes = Memory::shaped(&Shape::WIDE, 64);
        let wheel = nodes.wheel(tick(0));
        // Slot 1 of level 1 is ticks 32 to 63; the next round of that slot is 1024 + 32 onwards.
        let dues: Vec<u64> = (32..48).chain([32, 33, 1_024 + 32, 1_024 + 63]).collect();
        let ids: Vec<TimerId> = dues.iter().map(|&due| wheel.insert(tick(due)).unwrap()).collect();
        assert_eq!(bitmaps(&wheel), [0, 1 << 1, 1 << 1, 0, 0, 0, 0]);
        assert_eq!(wheel.pop_expired(tick(31)), None);
        assert_eq!(wheel.pop_expired(tick(32)), Some(ids[0]));
        wheel.check();
        assert_eq!(bitmaps(&wheel), [0xffff, 0, 1 << 1, 0, 0, 0, 0]);
        // The drained slot serves its next round at once.
        wheel.insert(tick(1_024 + 40)).unwrap();
        assert_eq!(pop_all(&wheel, tick(33)), [ids[16], ids[1], ids[17]]);
        assert_eq!(pop_all(&wheel, tick(1_023)), ids[2..16]);
        assert_eq!(pop_all(&wheel, tick(1_024 + 32)), [ids[18]]);
        assert_eq!(wheel.len(), 2);
        wheel.check();
    }

    /// Pitfall: timers that are inserted and cancelled by the timer that fires.
    #[test]
    fn timers_change_while_expired_ones_are_pulled() {
        let mut nodes = free_nodes(8);
        let wheel = nodes.wheel(tick(0));
        let ids: Vec<TimerId> = (0..4).map(|_| wheel.insert(tick(7)).unwrap()).collect();
        assert_eq!(wheel.pop_expired(tick(9)), Some(ids[0]));
        assert!(wheel.cancel(ids[1]), "due, but not yet pulled");
        assert!(!wheel.cancel(ids[0]), "pulled already");
        // The freed nodes serve again; the ids of their former timers stay dead.
        let at_once = wheel.insert(tick(3)).unwrap();
        let later = wheel.insert(tick(10)).unwrap();
        assert_eq!([at_once.index(), later.index()], [ids[1].index(), ids[0].index()]);
        assert!(!wheel.cancel(ids[0]) && !wheel.cancel(ids[1]) && !wheel.contains(ids[1]));
        assert_eq!(pop_all(&wheel, tick(9)), [ids[2], ids[3], at_once]);
        assert_eq!(pop_all(&wheel, tick(10)), [later]);
        assert!(wheel.is_empty());
        wheel.check();
    }

    /// Pitfall: counters that wrap at 2^32 us, 2^32 ms or the top window.
    #[test]
    fn fires_on_time_across_every_wrap() {
        for start in STARTS_US {
            let mut nodes = free_nodes(1);
            let wheel = nodes.wheel(us(start));
            let mut now = us(start);
            for span in [0, 1, 1_023, 1_024, 1_025, 5_000, 5_001, 12_345, 1_000_000] {
                let at = now + Duration::from_micros(span);
                let id = wheel.insert(at).unwrap();
                let next = wheel.next_deadline().unwrap();
                if at.ticks_ceil() > now.ticks() {
                    assert!(next >= at, "{at:?}: early");
                    assert!(next - at < Duration::from_micros(1 << TICK_SHIFT), "{at:?}: late");
                    assert_eq!(wheel.pop_expired(us(next.as_micros() - 1)), None);
                }
                now = now.max(next);
                assert_eq!(wheel.pop_expired(now), Some(id), "start {start}, span {span}");
                wheel.check();
            }
        }
    }

    /// Pitfall: a full wheel. It refuses, says what it refused, and goes on.
    #[test]
    fn a_full_wheel_gives_the_deadline_back() {
        let mut nodes = free_nodes(2);
        let wheel = nodes.wheel(us(0));
        let [first, second] = [us(10), Instant::MAX].map(|at| wheel.insert(at).unwrap());
        assert_eq!(wheel.insert(us(5)), Err(Full(us(5))));
        assert!(wheel.contains(first) && wheel.contains(second), "nobody makes room");
        assert!(wheel.cancel(second));
        let third = wheel.insert(us(20_000)).unwrap();
        assert_eq!(wheel.insert(us(6)), Err(Full(us(6))));
        assert_eq!(wheel.pop_expired(us(2_000)), Some(first));
        assert!(wheel.insert(us(7)).is_ok() && wheel.contains(third));
        wheel.check();
        assert_eq!(TimerWheel::new(&mut [], &mut [], us(0)).insert(us(1)), Err(Full(us(1))));
    }

    /// Pitfall: a timer armed anew for each request. One cancel and one insert find everything
    /// where it was: no node is used that was not, and nothing is left behind.
    #[test]
    fn arming_anew_leaves_nothing_behind() {
        let mut nodes = free_nodes(8);
        let wheel = nodes.wheel(us(0));
        let mut id = wheel.insert(us(0)).unwrap();
        for request in 0..1_000 {
            assert!(wheel.cancel(id));
            id = wheel.insert(us(request * 700) + Duration::from_secs(60)).unwrap();
            assert_eq!((id.index(), wheel.len(), wheel.touched.get()), (0, 1, 1));
            let words = bitmaps(&wheel).iter().map(|bits| bits.count_ones()).sum::<u32>();
            assert_eq!(words, 1, "one timer is on one list");
        }
        let unused = |node: &Timer| {
            let Timer { tick: [low, high], next, previous, generation } = node;
            [low, high, next, previous, generation].map(Cell::get) == [0; 5]
        };
        assert!(nodes.nodes[1..].iter().all(unused), "a node was written before it was used");
    }

    #[test]
    fn never_does_not_fire() {
        let mut nodes = free_nodes(3);
        let wheel = nodes.wheel(us(0));
        let never = wheel.insert(Instant::MAX).unwrap();
        assert_eq!(wheel.next_deadline(), None);
        let last = wheel.insert(tick(NEVER_TICK - 1)).unwrap();
        assert_eq!(wheel.next_deadline(), Some(tick(NEVER_TICK - 1)));
        assert_eq!(pop_all(&wheel, Instant::MAX), [last]);
        assert_eq!(wheel.insert(Instant::MAX).map(|id| wheel.cancel(id)), Ok(true));
        assert!(wheel.pop_expired(Instant::MAX).is_none() && wheel.contains(never));
        wheel.check();
        assert!(wheel.cancel(never) && wheel.is_empty());
    }

    #[test]
    fn a_clock_that_goes_back_counts_as_standing_still() {
        let mut nodes = free_nodes(3);
        let wheel = nodes.wheel(tick(100));
        assert_eq!(wheel.pop_expired(tick(200)), None);
        let due = wheel.insert(tick(150)).unwrap();
        let later = wheel.insert(tick(201)).unwrap();
        assert_eq!(pop_all(&wheel, tick(120)), [due]);
        assert_eq!(pop_all(&wheel, tick(201)), [later]);
    }

    #[test]
    fn ids_of_an_earlier_wheel_stay_stale() {
        let mut nodes = free_nodes(2);
        let earlier = nodes.wheel(us(0));
        let old = [us(1), us(2)].map(|at| earlier.insert(at).unwrap());
        assert!(earlier.cancel(old[1]));
        let wheel = nodes.wheel(us(0));
        assert!(!wheel.contains(old[0]) && !wheel.contains(old[1]));
        let new = [us(1), us(2)].map(|at| wheel.insert(at).unwrap());
        assert!(old.iter().all(|&id| !wheel.cancel(id)) && new.iter().all(|&id| wheel.cancel(id)));
        wheel.check();
    }

    /// Ten thousand years without a timer, or with one, cost a handful of steps.
    #[test]
    fn idle_spans_are_skipped() {
        let mut nodes = free_nodes(2);
        let wheel = nodes.wheel(us(0));
        let far = us(1 << 58);
        assert_eq!(wheel.pop_expired(far), None);
        assert_eq!(wheel.visits.get(), 0);
        let id = wheel.insert(far + Duration::from_micros(1 << 58)).unwrap();
        assert_eq!(wheel.pop_expired(us((1 << 59) - 1)), None);
        assert_eq!(wheel.pop_expired(us(1 << 59)), Some(id));
        assert!(wheel.visits.get() < 20, "{} visits", wheel.visits.get());
    }

    /// A board with one sleeper wakes once for it, and files it once on the way.
    #[test]
    fn a_timer_alone_sinks_in_one_step() {
        for due in [(1 << WINDOW_BITS) - 1, (5 << WINDOW_BITS) - 1] {
            let mut nodes = Memory::shaped(&Shape::WIDE, 1);
            let wheel = nodes.wheel(us(0));
            let id = wheel.insert(tick(due)).unwrap();
            wheel.visits.set(0);
            assert_eq!(wheel.pop_expired(tick(due - 1)), None);
            // Looked at, detached, read and filed.
            assert_eq!(wheel.visits.get(), 4, "due {due}");
            assert_eq!(bitmaps(&wheel)[..2], [1 << 31, 0]);
            assert_eq!(wheel.next_deadline(), Some(tick(due)));
            assert_eq!(wheel.pop_expired(tick(due)), Some(id));
        }
    }

    /// Where there are few timers, nobody is looked at before the first one is due.
    #[test]
    fn a_flat_wheel_moves_nobody_before_somebody_is_due() {
        let mut nodes = Memory::shaped(&Shape::FLAT, FEW);
        let wheel = nodes.wheel(us(0));
        let ids: Vec<TimerId> =
            (0..FEW as u64).map(|n| wheel.insert(tick(1_000 + n)).unwrap()).collect();
        wheel.visits.set(0);
        assert_eq!((wheel.pop_expired(tick(999)), wheel.visits.get()), (None, 0));
        assert_eq!(wheel.next_deadline(), Some(tick(1_000)));
        assert_eq!(pop_all(&wheel, tick(1_000)), ids[..1]);
        assert_eq!(bitmaps(&wheel), [0, 1, 0]);
        assert_eq!(pop_all(&wheel, tick(2_000)), ids[1..]);
        wheel.check();
    }

    /// Node visits per operation at one number of timers.
    #[derive(Clone, Copy, Debug)]
    struct Visits {
        insert_expire: f64,
        insert_cancel: f64,
        rearm: f64,
    }

    impl Visits {
        /// The same work for each timer whatever their number: a deadline within a minute, shared
        /// by `together` timers; then armed anew about every five seconds.
        fn measure(timers: usize, together: u64) -> Self {
            let mut random = Random::new(timers as u64);
            let mut nodes = Memory::shaped(&Shape::WIDE, timers);
            let wheel = nodes.wheel(us(0));
            let mut now = us(0);
            let mut after = Duration::ZERO;
            let mut deadline = |count: u64, now: Instant| {
                if count.is_multiple_of(together) {
                    after = Duration::from_micros(random.below(60_000_000));
                }
                now + after
            };
            let mut ids: Vec<TimerId> =
                (0..timers as u64).map(|n| wheel.insert(deadline(n, now)).unwrap()).collect();
            let operations = (4 * timers as u64).max(20_000);
            let lap = |wheel: &TimerWheel<'_>| wheel.visits.take() as f64 / operations as f64;

            lap(&wheel);
            let mut fired = 0;
            while fired < operations {
                now = now.max(wheel.next_deadline().unwrap());
                while let Some(id) = wheel.pop_expired(now) {
                    ids[id.index()] = wheel.insert(deadline(fired, now)).unwrap();
                    fired += 1;
                }
            }
            let insert_expire = lap(&wheel);

            for n in 0..operations {
                let id = &mut ids[(n * 7_919) as usize % timers];
                assert!(wheel.cancel(*id));
                *id = wheel.insert(deadline(n, now)).unwrap();
            }
            let insert_cancel = lap(&wheel);

            let step = Duration::from_micros(5_000_000 / timers as u64);
            for n in 0..operations {
                now += step;
                while let Some(id) = wheel.pop_expired(now) {
                    ids[id.index()] = wheel.insert(now + Duration::from_secs(30)).unwrap();
                }
                let id = &mut ids[(n * 7_919) as usize % timers];
                assert!(wheel.cancel(*id));
                *id = wheel.insert(now + Duration::from_secs(30)).unwrap();
            }
            Self { insert_expire, insert_cancel, rearm: lap(&wheel) }
        }

        fn each(self) -> [f64; 3] {
            [self.insert_expire, self.insert_cancel, self.rearm]
        }
    }

    /// The figure that does not drift with the machine.
    ///
    /// A timer that is alone in its slot sinks in one step, and the fewer timers there are the more
    /// are alone. So two statements: no number of timers costs more than a constant; and timers in
    /// pairs, which get no discount, cost the same at 16 as at 100,000.
    #[test]
    #[cfg_attr(miri, ignore = "a count, and 400,000 operations")]
    fn work_does_not_grow_with_the_number_of_timers() {
        // In and out 11 visits; a minute reaches the fourth level, so three moves of 5 visits.
        let visits_max = 11.0 + 3.0 * 5.0;
        for together in [1, 2] {
            let few = Visits::measure(16, together);
            for timers in [16, 1_000, 10_000, 100_000] {
                let many = Visits::measure(timers, together);
                std::println!("{timers:6} timers, {together} a deadline, node visits: {many:.1?}");
                for (few, many) in few.each().into_iter().zip(many.each()) {
                    assert!(many <= visits_max, "{timers} timers cost {many} visits a piece");
                    let grown = many / few;
                    assert!(together == 1 || grown <= 1.25, "{timers} timers: {few} to {many}");
                }
            }
        }
    }
}
