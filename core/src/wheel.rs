//! A timer wheel: deadlines of any distance, at a cost that does not grow with their number.
//!
//! A timer is a node in a slice that the caller gives; the slice is the wheel's capacity. Six
//! levels of 32 slots cover 2^30 ticks of 1.024 ms (12.7 days); each level has a `u32` bitmap, so
//! an idle span of any length is crossed by counting zeros. Later deadlines wait in an overflow
//! list.
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
//! once a level, so at most six times in its life, and a timer in the overflow list is looked at
//! once more in each window of 2^30 ticks in which another one comes due. A single call may move a
//! whole slot. There is no 64-bit division and no 64-bit shift by a variable.
//!
//! Layer: above [`time`](crate::time) only. The reactor keeps each timer's waker in a table of its
//! own, found by [`TimerId::index`].
//!
//! ```
//! use dustdevil_core::time::{Duration, Instant};
//! use dustdevil_core::wheel::{Timer, TimerWheel};
//!
//! let start = Instant::from_micros(5_000);
//! let mut nodes = [const { Timer::FREE }; 4];
//! let mut wheel = TimerWheel::new(&mut nodes, start);
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

use core::fmt;
use core::num::NonZeroU32;

use zerocopy::FromZeros;

use crate::time::{Instant, TICK_SHIFT};

/// A slot is chosen by this many bits of the due tick.
const SLOT_BITS: u32 = 5;
/// Slots a level: one for each bit of a bitmap word.
const SLOTS: usize = 1 << SLOT_BITS;
const LEVELS: usize = 6;
/// Ticks that agree in all but these low bits share a window; the levels hold the present one.
const WINDOW_BITS: u32 = SLOT_BITS * LEVELS as u32;
const WINDOW_MASK: u64 = (1 << WINDOW_BITS) - 1;

/// The list of timers whose window is still to come; it sits where a seventh level would begin.
const OVERFLOW: usize = LEVELS * SLOTS;
/// The list of timers that never fire.
const NEVER: usize = OVERFLOW + 1;
const PLACES: usize = NEVER + 1;
/// The due tick of what never fires: one past the last tick that a clock can show.
const NEVER_TICK: u64 = Instant::MAX.ticks_ceil();

/// `next_deadline` looks at this many nodes of a slot before it answers with the slot's start.
const LOOKED_AT_MAX: usize = 8;

const _: () = assert!(SLOTS == u32::BITS as usize, "one bitmap word a level");
const _: () = assert!(WINDOW_BITS < u32::BITS, "positions in a window are u32");
const _: () = assert!(u64::BITS - TICK_SHIFT - WINDOW_BITS < u32::BITS, "windows are u32");
const _: () = assert!(size_of::<Timer>() == 20);
const _: () = assert!(size_of::<Option<TimerId>>() == 8, "it is a part of futures");
const _: () = assert!(cfg!(test) || size_of::<TimerWheel<'_>>() <= 856);

/// One node of a [`TimerWheel`], 20 bytes. All zero bits are a free node, so a zeroed block is a
/// slice of them.
///
/// Links are `index + 1`, and 0 is "none". A list is a ring: the first node's `previous` is the
/// last one.
#[derive(Debug, FromZeros)]
pub struct Timer {
    /// The due tick as low and high word, which keeps the node's alignment at 4.
    tick: [u32; 2],
    /// The following node of the ring; of a free node, the following free one.
    next: u32,
    previous: u32,
    /// Odd while a timer is in the node; grows by one with each insertion and each removal.
    generation: u32,
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
    nodes: &'m mut [Timer],
    /// The tick up to which everything has been handed out: no stored due tick is before it.
    position: u64,
    /// Bit `s` of word `l`: slot `s` of level `l` is not empty. The last word holds the two lists.
    occupied: [u32; LEVELS + 1],
    /// The first node of each slot, then of [`OVERFLOW`] and [`NEVER`].
    heads: [u32; PLACES],
    /// No timer of the overflow list is due before this window. Meaningless while it is empty.
    overflow_window: u32,
    /// The first free node among those below `touched`.
    free: u32,
    /// Nodes from here on have never been used.
    touched: u32,
    len: u32,
    /// How often a node was read or written.
    #[cfg(test)]
    visits: core::cell::Cell<u64>,
}

/// The list that holds the earliest timer, and a tick that this timer is not due before.
struct First {
    place: usize,
    start: u64,
}

impl Timer {
    /// A node without a timer: all zero bits.
    pub const FREE: Self = Self { tick: [0; 2], next: 0, previous: 0, generation: 0 };

    fn tick(&self) -> u64 {
        u64::from(self.tick[1]) << 32 | u64::from(self.tick[0])
    }

    fn set_tick(&mut self, tick: u64) {
        self.tick = [tick as u32, (tick >> 32) as u32];
    }

    #[cfg(any(test, feature = "sim"))]
    fn is_armed(&self) -> bool {
        self.generation & 1 == 1
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
    /// An empty wheel at `now`. What the nodes held before does not matter, except that ids from
    /// an earlier wheel over the same memory stay stale.
    pub fn new(nodes: &'m mut [Timer], now: Instant) -> Self {
        let capacity = nodes.len().min(u32::MAX as usize - 1);
        Self {
            nodes: &mut nodes[..capacity],
            position: now.ticks(),
            occupied: [0; LEVELS + 1],
            heads: [0; PLACES],
            overflow_window: 0,
            free: 0,
            touched: 0,
            len: 0,
            #[cfg(test)]
            visits: core::cell::Cell::new(0),
        }
    }

    /// Adds a timer that is due at `at`; a past one is due at once. [`Instant::MAX`] (and any
    /// instant in the clock's last millisecond) never fires, but takes a node until it is
    /// cancelled.
    pub fn insert(&mut self, at: Instant) -> Result<TimerId, Full> {
        let link = self.allocate().ok_or(Full(at))?;
        let tick = at.ticks_ceil().max(self.position);
        let node = self.node_mut(link);
        node.set_tick(tick);
        // From even to the next odd number; from the odd one that another wheel left, also.
        node.generation = node.generation.wrapping_add(1) | 1;
        let id = TimerId::of(link, node.generation);
        self.append(self.place(tick), link);
        self.len += 1;
        Ok(id)
    }

    /// Removes a timer. False, and nothing happens, when `id` has fired or was cancelled before.
    pub fn cancel(&mut self, id: TimerId) -> bool {
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
    pub fn pop_expired(&mut self, now: Instant) -> Option<TimerId> {
        let target = now.ticks().max(self.position);
        while let Some(First { place, start }) = self.first().filter(|first| first.start <= target)
        {
            let link = self.heads[place];
            let node = self.node(link);
            let (tick, alone) = (node.tick(), node.next == link);
            // A slot of level 0 is one tick, and a timer alone in the first slot is the earliest.
            if (place < SLOTS || alone) && tick <= target {
                self.position = tick;
                self.unlink(place, link);
                return Some(self.release(link));
            }
            // Nothing else is due before the slot's end, so a timer alone sinks in one step.
            self.position = if alone { target } else { start };
            self.cascade(place);
        }
        self.position = target;
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
        let earliest = if place < SLOTS { None } else { self.earliest_of_few(place) };
        Some(Instant::from_ticks(earliest.unwrap_or(start)))
    }

    /// Whether `id` has neither fired nor been cancelled.
    pub fn contains(&self, id: TimerId) -> bool {
        id.index < self.touched && self.node(id.index + 1).generation == id.generation.get()
    }

    /// How many timers wait, those that never fire included.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether no timer waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many timers may wait at once: the number of nodes.
    pub fn capacity(&self) -> usize {
        self.nodes.len()
    }

    /// Panics unless every list, bitmap and count agrees with the others. Visits all nodes.
    #[cfg(any(test, feature = "sim"))]
    pub fn check(&self) {
        assert!(self.position < NEVER_TICK, "position {}", self.position);
        let mut linked = 0;
        for (place, &head) in self.heads.iter().enumerate() {
            let bit = self.occupied[place / SLOTS] >> (place % SLOTS) & 1;
            assert_eq!(bit == 1, head != 0, "place {place}: bitmap against list");
            let mut link = head;
            while link != 0 {
                let node = self.node(link);
                let tick = node.tick();
                assert!(link <= self.touched && node.is_armed(), "place {place} holds a free node");
                assert!(tick >= self.position, "tick {tick} lies behind {}", self.position);
                assert_eq!(self.place(tick), place, "tick {tick} seen from {}", self.position);
                assert_eq!(self.node(node.next).previous, link, "place {place}: broken ring");
                if place == OVERFLOW {
                    assert!(window(tick) >= self.overflow_window, "overflow bound is too late");
                    assert!(self.overflow_window > window(self.position), "overflow is overdue");
                }
                linked += 1;
                assert!(linked <= self.len, "more nodes on lists than timers");
                link = if node.next == head { 0 } else { node.next };
            }
        }
        assert_eq!(linked, self.len, "timers that are on no list");
        let (mut link, mut unused) = (self.free, 0);
        while link != 0 {
            let node = self.node(link);
            assert!(link <= self.touched && !node.is_armed(), "the free list holds a timer");
            unused += 1;
            assert!(linked + unused <= self.touched, "the free list is a ring");
            link = node.next;
        }
        assert_eq!(linked + unused, self.touched, "lost nodes");
    }

    /// The list for a due tick, seen from the current position.
    ///
    /// Why does this work? The level is that of the highest 5-bit digit in which tick and position
    /// differ, the slot is that digit of the tick. While the position moves towards the tick, the
    /// digits above stay equal and this one stays smaller, so the answer stays the same, until
    /// the position reaches the slot's start; that is when the slot is cascaded. A slot that the
    /// position has passed is therefore empty, and the lowest bit set on the lowest level that is
    /// not empty is the earliest slot of all.
    fn place(&self, tick: u64) -> usize {
        let differing = tick ^ self.position;
        if differing & !WINDOW_MASK != 0 {
            return if tick == NEVER_TICK { NEVER } else { OVERFLOW };
        }
        let highest = (differing as u32 | 1).ilog2();
        // `highest / 5` for what is below 30, without a division on a Cortex-M0.
        let level = (highest * 13) >> 6;
        let slot = tick as u32 >> (level * SLOT_BITS) & (SLOTS as u32 - 1);
        (level as usize) * SLOTS + slot as usize
    }

    /// Finds the earliest list that is not empty, in at most seven steps.
    fn first(&self) -> Option<First> {
        if self.len == 0 {
            return None;
        }
        let level = self.occupied[..LEVELS].iter().position(|&bits| bits != 0);
        let Some(level) = level else {
            let start = u64::from(self.overflow_window) << WINDOW_BITS;
            return (self.heads[OVERFLOW] != 0).then_some(First { place: OVERFLOW, start });
        };
        let slot = self.occupied[level].trailing_zeros();
        let shift = level as u32 * SLOT_BITS;
        let within = (self.position & WINDOW_MASK) as u32;
        let above = within & !(((SLOTS as u32) << shift) - 1);
        let start = self.position & !WINDOW_MASK | u64::from(above | slot << shift);
        Some(First { place: level * SLOTS + slot as usize, start })
    }

    /// The earliest due tick on a list, unless it is longer than [`LOOKED_AT_MAX`].
    fn earliest_of_few(&self, place: usize) -> Option<u64> {
        let head = self.heads[place];
        let (mut link, mut earliest) = (head, u64::MAX);
        for _ in 0..LOOKED_AT_MAX {
            let node = self.node(link);
            earliest = earliest.min(node.tick());
            link = node.next;
            if link == head {
                return Some(earliest);
            }
        }
        None
    }

    /// Files each timer of a list anew. The list is detached first, since timers of the overflow
    /// list may come back to it; those of a slot all land on a lower level.
    fn cascade(&mut self, place: usize) {
        let head = self.heads[place];
        let last = self.node(head).previous;
        self.set_head(place, 0);
        let mut link = head;
        loop {
            let node = self.node(link);
            let (tick, next) = (node.tick(), node.next);
            let lower = self.place(tick);
            debug_assert!(
                place == OVERFLOW || lower / SLOTS < place / SLOTS,
                "tick {tick} went from list {place} to {lower} at {}",
                self.position,
            );
            self.append(lower, link);
            if link == last {
                break;
            }
            link = next;
        }
    }

    /// Puts a node at the end of a list.
    fn append(&mut self, place: usize, link: u32) {
        let head = self.heads[place];
        if place == OVERFLOW {
            let own = window(self.node(link).tick());
            self.overflow_window = if head == 0 { own } else { own.min(self.overflow_window) };
        }
        if head == 0 {
            let node = self.node_mut(link);
            (node.next, node.previous) = (link, link);
            self.set_head(place, link);
            return;
        }
        let first = self.node_mut(head);
        let last = core::mem::replace(&mut first.previous, link);
        self.node_mut(last).next = link;
        let node = self.node_mut(link);
        (node.next, node.previous) = (head, last);
    }

    /// Takes a node off the list that it is on.
    fn unlink(&mut self, place: usize, link: u32) {
        let node = self.node(link);
        let (next, previous) = (node.next, node.previous);
        if next == link {
            self.set_head(place, 0);
            return;
        }
        self.node_mut(previous).next = next;
        self.node_mut(next).previous = previous;
        if self.heads[place] == link {
            self.heads[place] = next;
        }
    }

    /// Sets a list's first node, and its bit to match.
    fn set_head(&mut self, place: usize, link: u32) {
        self.heads[place] = link;
        let bit = 1 << (place % SLOTS);
        let bits = &mut self.occupied[place / SLOTS];
        *bits = if link == 0 { *bits & !bit } else { *bits | bit };
    }

    /// A node for a new timer: the one freed last, else one that was never used.
    fn allocate(&mut self) -> Option<u32> {
        if self.free != 0 {
            let link = self.free;
            self.free = self.node(link).next;
            return Some(link);
        }
        if self.touched as usize == self.nodes.len() {
            return None;
        }
        self.touched += 1;
        Some(self.touched)
    }

    /// Frees a node that is on no list any more, and tells which timer was in it.
    fn release(&mut self, link: u32) -> TimerId {
        let free = self.free;
        let node = self.node_mut(link);
        let id = TimerId::of(link, node.generation);
        node.generation = node.generation.wrapping_add(1);
        node.next = free;
        self.free = link;
        self.len -= 1;
        id
    }

    /// INVARIANT: links are not 0 here and came from `allocate`, which gives out `1..=nodes.len()`.
    fn node(&self, link: u32) -> &Timer {
        #[cfg(test)]
        self.visits.set(self.visits.get() + 1);
        &self.nodes[link as usize - 1]
    }

    /// As [`Self::node`], to write.
    fn node_mut(&mut self, link: u32) -> &mut Timer {
        #[cfg(test)]
        self.visits.set(self.visits.get() + 1);
        &mut self.nodes[link as usize - 1]
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
            .field("position", &Instant::from_ticks(self.position))
            .field("len", &self.len)
            .field("capacity", &self.nodes.len())
            .finish_non_exhaustive()
    }
}

/// The number of the window of 2^30 ticks that a tick lies in.
fn window(tick: u64) -> u32 {
    (tick >> WINDOW_BITS) as u32
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::BTreeMap;
    use std::vec::Vec;

    use super::*;
    use crate::time::Duration;

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

    fn free_nodes(count: usize) -> Vec<Timer> {
        (0..count).map(|_| Timer::FREE).collect()
    }

    fn pop_all(wheel: &mut TimerWheel<'_>, now: Instant) -> Vec<TimerId> {
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
        fn new(nodes: &'m mut [Timer], now: Instant) -> Self {
            Self {
                wheel: TimerWheel::new(nodes, now),
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
            let shift = (0..LEVELS as u32).map(|level| level * SLOT_BITS).find(|shift| {
                earliest >> (shift + SLOT_BITS) == self.position >> (shift + SLOT_BITS)
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
        for start in STARTS_US {
            for seed in 0..seeds {
                let mut random = Random::new(start ^ seed << 50 ^ seed);
                let mut nodes = free_nodes([3, 12, 40, 150][seed as usize % 4]);
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
                    let mut wheel = TimerWheel::new(&mut nodes, tick(edge - 10));
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
        let mut nodes = free_nodes(64);
        let mut wheel = TimerWheel::new(&mut nodes, tick(0));
        // Slot 1 of level 1 is ticks 32 to 63; the next round of that slot is 1024 + 32 onwards.
        let dues: Vec<u64> = (32..48).chain([32, 33, 1_024 + 32, 1_024 + 63]).collect();
        let ids: Vec<TimerId> = dues.iter().map(|&due| wheel.insert(tick(due)).unwrap()).collect();
        assert_eq!(wheel.occupied, [0, 1 << 1, 1 << 1, 0, 0, 0, 0]);
        assert_eq!(wheel.pop_expired(tick(31)), None);
        assert_eq!(wheel.pop_expired(tick(32)), Some(ids[0]));
        wheel.check();
        assert_eq!(wheel.occupied, [0xffff, 0, 1 << 1, 0, 0, 0, 0]);
        // The drained slot serves its next round at once.
        wheel.insert(tick(1_024 + 40)).unwrap();
        assert_eq!(pop_all(&mut wheel, tick(33)), [ids[16], ids[1], ids[17]]);
        assert_eq!(pop_all(&mut wheel, tick(1_023)), ids[2..16]);
        assert_eq!(pop_all(&mut wheel, tick(1_024 + 32)), [ids[18]]);
        assert_eq!(wheel.len(), 2);
        wheel.check();
    }

    /// Pitfall: timers that are inserted and cancelled by the timer that fires.
    #[test]
    fn timers_change_while_expired_ones_are_pulled() {
        let mut nodes = free_nodes(8);
        let mut wheel = TimerWheel::new(&mut nodes, tick(0));
        let ids: Vec<TimerId> = (0..4).map(|_| wheel.insert(tick(7)).unwrap()).collect();
        assert_eq!(wheel.pop_expired(tick(9)), Some(ids[0]));
        assert!(wheel.cancel(ids[1]), "due, but not yet pulled");
        assert!(!wheel.cancel(ids[0]), "pulled already");
        // The freed nodes serve again; the ids of their former timers stay dead.
        let at_once = wheel.insert(tick(3)).unwrap();
        let later = wheel.insert(tick(10)).unwrap();
        assert_eq!([at_once.index(), later.index()], [ids[1].index(), ids[0].index()]);
        assert!(!wheel.cancel(ids[0]) && !wheel.cancel(ids[1]) && !wheel.contains(ids[1]));
        assert_eq!(pop_all(&mut wheel, tick(9)), [ids[2], ids[3], at_once]);
        assert_eq!(pop_all(&mut wheel, tick(10)), [later]);
        assert!(wheel.is_empty());
        wheel.check();
    }

    /// Pitfall: counters that wrap at 2^32 us, 2^32 ms or the top window.
    #[test]
    fn fires_on_time_across_every_wrap() {
        for start in STARTS_US {
            let mut nodes = free_nodes(1);
            let mut wheel = TimerWheel::new(&mut nodes, us(start));
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
        let mut wheel = TimerWheel::new(&mut nodes, us(0));
        let [first, second] = [us(10), Instant::MAX].map(|at| wheel.insert(at).unwrap());
        assert_eq!(wheel.insert(us(5)), Err(Full(us(5))));
        assert!(wheel.contains(first) && wheel.contains(second), "nobody makes room");
        assert!(wheel.cancel(second));
        let third = wheel.insert(us(20_000)).unwrap();
        assert_eq!(wheel.insert(us(6)), Err(Full(us(6))));
        assert_eq!(wheel.pop_expired(us(2_000)), Some(first));
        assert!(wheel.insert(us(7)).is_ok() && wheel.contains(third));
        wheel.check();
        assert_eq!(TimerWheel::new(&mut [], us(0)).insert(us(1)), Err(Full(us(1))));
    }

    /// Pitfall: a timer armed anew for each request. One cancel and one insert find everything
    /// where it was: no node is used that was not, and nothing is left behind.
    #[test]
    fn arming_anew_leaves_nothing_behind() {
        let mut nodes = free_nodes(8);
        let mut wheel = TimerWheel::new(&mut nodes, us(0));
        let mut id = wheel.insert(us(0)).unwrap();
        for request in 0..1_000 {
            assert!(wheel.cancel(id));
            id = wheel.insert(us(request * 700) + Duration::from_secs(60)).unwrap();
            assert_eq!((id.index(), wheel.len(), wheel.touched), (0, 1, 1));
            let words = wheel.occupied.iter().map(|bits| bits.count_ones()).sum::<u32>();
            assert_eq!(words, 1, "one timer is on one list");
        }
        let unused = |node: &Timer| {
            [node.tick[0], node.tick[1], node.next, node.previous, node.generation] == [0; 5]
        };
        assert!(nodes[1..].iter().all(unused), "a node was written before it was used");
    }

    #[test]
    fn never_does_not_fire() {
        let mut nodes = free_nodes(3);
        let mut wheel = TimerWheel::new(&mut nodes, us(0));
        let never = wheel.insert(Instant::MAX).unwrap();
        assert_eq!(wheel.next_deadline(), None);
        let last = wheel.insert(tick(NEVER_TICK - 1)).unwrap();
        assert_eq!(wheel.next_deadline(), Some(tick(NEVER_TICK - 1)));
        assert_eq!(pop_all(&mut wheel, Instant::MAX), [last]);
        assert_eq!(wheel.insert(Instant::MAX).map(|id| wheel.cancel(id)), Ok(true));
        assert!(wheel.pop_expired(Instant::MAX).is_none() && wheel.contains(never));
        wheel.check();
        assert!(wheel.cancel(never) && wheel.is_empty());
    }

    #[test]
    fn a_clock_that_goes_back_counts_as_standing_still() {
        let mut nodes = free_nodes(3);
        let mut wheel = TimerWheel::new(&mut nodes, tick(100));
        assert_eq!(wheel.pop_expired(tick(200)), None);
        let due = wheel.insert(tick(150)).unwrap();
        let later = wheel.insert(tick(201)).unwrap();
        assert_eq!(pop_all(&mut wheel, tick(120)), [due]);
        assert_eq!(pop_all(&mut wheel, tick(201)), [later]);
    }

    #[test]
    fn ids_of_an_earlier_wheel_stay_stale() {
        let mut nodes = free_nodes(2);
        let mut earlier = TimerWheel::new(&mut nodes, us(0));
        let old = [us(1), us(2)].map(|at| earlier.insert(at).unwrap());
        assert!(earlier.cancel(old[1]));
        let mut wheel = TimerWheel::new(&mut nodes, us(0));
        assert!(!wheel.contains(old[0]) && !wheel.contains(old[1]));
        let new = [us(1), us(2)].map(|at| wheel.insert(at).unwrap());
        assert!(old.iter().all(|&id| !wheel.cancel(id)) && new.iter().all(|&id| wheel.cancel(id)));
        wheel.check();
    }

    /// Ten thousand years without a timer, or with one, cost a handful of steps.
    #[test]
    fn idle_spans_are_skipped() {
        let mut nodes = free_nodes(2);
        let mut wheel = TimerWheel::new(&mut nodes, us(0));
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
            let mut nodes = free_nodes(1);
            let mut wheel = TimerWheel::new(&mut nodes, us(0));
            let id = wheel.insert(tick(due)).unwrap();
            wheel.visits.set(0);
            assert_eq!(wheel.pop_expired(tick(due - 1)), None);
            // Looked at, detached, read and filed.
            assert_eq!(wheel.visits.get(), 4, "due {due}");
            assert_eq!(wheel.occupied[..2], [1 << 31, 0]);
            assert_eq!(wheel.next_deadline(), Some(tick(due)));
            assert_eq!(wheel.pop_expired(tick(due)), Some(id));
        }
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
            let mut nodes = free_nodes(timers);
            let mut wheel = TimerWheel::new(&mut nodes, us(0));
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
