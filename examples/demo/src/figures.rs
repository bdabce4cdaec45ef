//! What a worker did so far, and where the others can read it.
//!
//! Invariants: a [`Row`] is written by one worker and read by all; a reader sees figures of one
//! moment, never the low half of one number beside the high half of another; neither waits for the
//! other, and nothing is locked. 32-bit loads and stores are all it takes, as Cortex-M0 has them.
//!
//! Place: below the application, above the counters of the reactor and the server.
//!
//! ```
//! use demo::{Figures, Row};
//! let rows = [Row::new(), Row::new()];
//! let total = rows.iter().map(Row::figures).fold(Figures::default(), Figures::plus);
//! assert_eq!(total.requests, 0);
//! ```

use core::sync::atomic::{AtomicU32, Ordering, fence};

use dustdevil_http::server::Stats;
use dustdevil_http::{Duration, Handle};
use serde::Serialize;

/// What one worker did so far, or all of them together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Milliseconds since it started; of several, since the first did.
    pub uptime_ms: u64,
    /// Connections now.
    pub open: u64,
    /// Of those, the ones without a request.
    pub idle: u64,
    /// The most connections there were at once; of several, the sum of each one's own: as many as
    /// there were at once altogether, or more.
    pub peak: u64,
    /// Connections closed to make room for others.
    pub shed: u64,
    /// Requests handed to a handler.
    pub requests: u64,
    /// Turns of the loop.
    pub turns: u64,
    /// Timers that fired.
    pub timers: u64,
    /// The longest that one turn kept everybody else of its worker waiting, in microseconds.
    pub longest_turn_us: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
}

const COUNT: usize = size_of::<Figures>() / size_of::<u64>();

impl Figures {
    /// All as large as they can be: the longest to write down.
    #[cfg(test)]
    pub(crate) const LARGEST: Self = Self {
        uptime_ms: u64::MAX,
        open: u64::MAX,
        idle: u64::MAX,
        peak: u64::MAX,
        shed: u64::MAX,
        requests: u64::MAX,
        turns: u64::MAX,
        timers: u64::MAX,
        longest_turn_us: u64::MAX,
        bytes_in: u64::MAX,
        bytes_out: u64::MAX,
    };

    /// The figures of a worker that had published `before`.
    pub(crate) fn of(uptime: Duration, rt: Handle<'_>, stats: &Stats<'_>, before: &Self) -> Self {
        let (server, reactor) = (stats.snapshot(), rt.snapshot());
        Self {
            uptime_ms: uptime.as_millis(),
            open: server.open.into(),
            idle: server.idle.into(),
            peak: server.open_peak.into(),
            shed: widened(before.shed, server.shed),
            requests: widened(before.requests, server.requests),
            turns: reactor.turns,
            timers: reactor.timers,
            longest_turn_us: reactor.longest_turn_us,
            bytes_in: reactor.bytes_in,
            bytes_out: reactor.bytes_out,
        }
    }

    /// What this worker and `other` did together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            uptime_ms: self.uptime_ms.max(other.uptime_ms),
            open: self.open.wrapping_add(other.open),
            idle: self.idle.wrapping_add(other.idle),
            peak: self.peak.wrapping_add(other.peak),
            shed: self.shed.wrapping_add(other.shed),
            requests: self.requests.wrapping_add(other.requests),
            turns: self.turns.wrapping_add(other.turns),
            timers: self.timers.wrapping_add(other.timers),
            longest_turn_us: self.longest_turn_us.max(other.longest_turn_us),
            bytes_in: self.bytes_in.wrapping_add(other.bytes_in),
            bytes_out: self.bytes_out.wrapping_add(other.bytes_out),
        }
    }

    fn to_array(self) -> [u64; COUNT] {
        let Self { uptime_ms, open, idle, peak, shed, requests, .. } = self;
        let Self { turns, timers, longest_turn_us, bytes_in, bytes_out, .. } = self;
        [
            uptime_ms,
            open,
            idle,
            peak,
            shed,
            requests,
            turns,
            timers,
            longest_turn_us,
            bytes_in,
            bytes_out,
        ]
    }

    fn from_array(figures: [u64; COUNT]) -> Self {
        let [uptime_ms, open, idle, peak, shed, requests, rest @ ..] = figures;
        let [turns, timers, longest_turn_us, bytes_in, bytes_out] = rest;
        Self {
            uptime_ms,
            open,
            idle,
            peak,
            shed,
            requests,
            turns,
            timers,
            longest_turn_us,
            bytes_in,
            bytes_out,
        }
    }
}

/// The 64-bit count whose low half is `now` and that was `before` less than 2^32 ago.
fn widened(before: u64, now: u32) -> u64 {
    before.wrapping_add(u64::from(now.wrapping_sub(before as u32)))
}

/// One worker's published figures: two copies, so that one can be read while the other is written.
///
/// A cache line of its own, so that no worker slows down another by publishing.
#[derive(Debug)]
#[repr(align(64))]
pub struct Row {
    /// How often it was published; the copy of this number, odd or even, is the one to read.
    published: AtomicU32,
    copies: [[[AtomicU32; 2]; COUNT]; 2],
}

impl Row {
    /// Figures of a worker that has not begun: all zero.
    pub const fn new() -> Self {
        Self {
            published: AtomicU32::new(0),
            copies: [const { [const { [const { AtomicU32::new(0) }; 2] }; COUNT] }; 2],
        }
    }

    /// Replaces the figures. For the row's own worker: calls on two threads at once would leave
    /// a mixture of both.
    pub(crate) fn publish(&self, figures: &Figures) {
        let number = self.published.load(Ordering::Relaxed).wrapping_add(1);
        // Whoever sees one of the stores below, into the copy of two publications ago, also sees
        // that the last one is out, and reads again.
        fence(Ordering::Release);
        for (halves, figure) in self.copy(number).iter().zip(figures.to_array()) {
            halves[0].store(figure as u32, Ordering::Relaxed);
            halves[1].store((figure >> 32) as u32, Ordering::Relaxed);
        }
        self.published.store(number, Ordering::Release);
    }

    /// The figures published last.
    ///
    /// It reads again when its worker published meanwhile, and so never waits for a worker that is
    /// held up.
    pub fn figures(&self) -> Figures {
        loop {
            let number = self.published.load(Ordering::Acquire);
            let copy = self.copy(number);
            let figures = core::array::from_fn(|index| {
                let [low, high] = &copy[index];
                u64::from(low.load(Ordering::Relaxed))
                    | u64::from(high.load(Ordering::Relaxed)) << 32
            });
            fence(Ordering::Acquire);
            if self.published.load(Ordering::Relaxed) == number {
                return Figures::from_array(figures);
            }
        }
    }

    fn copy(&self, number: u32) -> &[[AtomicU32; 2]; COUNT] {
        let [even, odd] = &self.copies;
        if number.is_multiple_of(2) { even } else { odd }
    }
}

impl Default for Row {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    /// Figures that are all different, and all need more than 32 bits.
    fn sample(seed: u64) -> Figures {
        Figures::from_array(core::array::from_fn(|index| seed << 36 | (index as u64) << 31 | seed))
    }

    #[test]
    fn what_was_published_last_is_read() {
        let row = Row::new();
        assert_eq!(row.figures(), Figures::default());
        for seed in 1..6 {
            row.publish(&sample(seed));
            assert_eq!(row.figures(), sample(seed));
        }
    }

    #[test]
    fn the_number_of_publications_may_wrap() {
        let row = Row::new();
        row.published.store(u32::MAX, Ordering::Relaxed);
        row.publish(&sample(1));
        assert_eq!((row.published.load(Ordering::Relaxed), row.figures()), (0, sample(1)));
        row.publish(&sample(2));
        assert_eq!(row.figures(), sample(2));
    }

    #[test]
    fn a_reader_sees_figures_of_one_moment() {
        const ROUNDS: u64 = if cfg!(miri) { 50 } else { 100_000 };
        let row = Row::new();
        std::thread::scope(|scope| {
            scope.spawn(|| (1..=ROUNDS).for_each(|seed| row.publish(&sample(seed))));
            let mut last = 0;
            while last < ROUNDS {
                let figures = row.figures();
                let seed = figures.uptime_ms & ((1 << 31) - 1);
                assert!(seed >= last, "{seed} after {last}");
                assert!(seed == 0 || figures == sample(seed), "{figures:?}");
                last = seed;
            }
        });
    }

    #[test]
    fn workers_add_up() {
        let (one, two) = (sample(1), sample(2));
        let sum = one.plus(two);
        assert_eq!(sum.uptime_ms, two.uptime_ms);
        assert_eq!(sum.longest_turn_us, two.longest_turn_us);
        for (sum, one, two) in [
            (sum.open, one.open, two.open),
            (sum.idle, one.idle, two.idle),
            (sum.peak, one.peak, two.peak),
            (sum.shed, one.shed, two.shed),
            (sum.requests, one.requests, two.requests),
            (sum.turns, one.turns, two.turns),
            (sum.timers, one.timers, two.timers),
            (sum.bytes_in, one.bytes_in, two.bytes_in),
            (sum.bytes_out, one.bytes_out, two.bytes_out),
        ] {
            assert_eq!(sum, one + two);
        }
        assert_eq!(Figures::default().plus(one), one);
    }

    #[test]
    fn counters_of_32_bits_are_widened() {
        for (before, now, expected) in [
            (0, 0, 0),
            (0, 7, 7),
            (7, 7, 7),
            (0xffff_fffe, 1, 0x1_0000_0001),
            (0x1_0000_0001, 0xffff_ffff, 0x1_ffff_ffff),
            (0x1_ffff_ffff, 0, 0x2_0000_0000),
        ] {
            assert_eq!(widened(before, now), expected, "{before:x} {now:x}");
        }
    }
}
