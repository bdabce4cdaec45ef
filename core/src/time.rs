//! Time as plain numbers: microseconds in 64 bits, handed in as arguments.
//!
//! Nothing here reads a clock; a [`Clock`] does, and only pollers implement it. Arithmetic
//! saturates: a deadline that cannot be represented is [`Instant::MAX`], which never comes.
//! Conversions to the timer wheel's ticks are shifts, so that no 64-bit division is linked on a
//! Cortex-M0.
//!
//! Layer: the bottom. Every module may use this one; this one uses none.
//!
//! ```
//! use dustdevil_core::time::{Duration, Instant};
//! let start = Instant::from_micros(5);
//! assert_eq!(start + Duration::from_millis(2), Instant::from_micros(2_005));
//! assert_eq!(Instant::from_micros(9) - start, Duration::from_micros(4));
//! assert_eq!(start - Instant::from_micros(9), Duration::ZERO); // saturates
//! ```

use core::ops::{Add, AddAssign, Mul, Sub};

use zerocopy::FromZeros;

/// How far a wheel tick is from a microsecond: one tick is `1 << TICK_SHIFT` us (1.024 ms).
pub const TICK_SHIFT: u32 = 10;

/// A point on a monotonic clock, in microseconds since an origin that the clock chose.
///
/// 64 bits of microseconds last 584,000 years; [`Instant::MAX`] stands for "never".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, FromZeros)]
pub struct Instant(u64);

/// A span of time in microseconds. [`Duration::MAX`] stands for "for ever".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, FromZeros)]
pub struct Duration(u64);

/// A monotonic clock: it never goes backwards and has no meaning beyond differences.
pub trait Clock {
    /// The present, in microseconds since this clock's origin.
    fn now(&self) -> Instant;

    /// The wall clock, in whole seconds since 1970-01-01 UTC; `None` where nobody set one (a board
    /// without RTC or SNTP): a server without a clock sends no `Date` (RFC 9110, 6.6.1).
    fn unix_seconds(&self) -> Option<u64> {
        None
    }
}

impl Instant {
    /// The clock's origin.
    pub const ZERO: Self = Self(0);
    /// The instant that never comes.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `micros` microseconds after the origin.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the origin.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Whole wheel ticks since the origin, rounded down.
    pub const fn ticks(self) -> u64 {
        self.0 >> TICK_SHIFT
    }

    /// Whole wheel ticks since the origin, rounded up: the first tick that is not before `self`.
    pub const fn ticks_ceil(self) -> u64 {
        (self.0 >> TICK_SHIFT) + (self.0 & ((1 << TICK_SHIFT) - 1) != 0) as u64
    }

    /// The instant at which tick `ticks` begins; [`Instant::MAX`] where that cannot be held.
    pub const fn from_ticks(ticks: u64) -> Self {
        if ticks > u64::MAX >> TICK_SHIFT { Self::MAX } else { Self(ticks << TICK_SHIFT) }
    }

    /// How long ago `earlier` was; [`Duration::ZERO`] when it lies ahead.
    #[cfg_attr(target_os = "none", inline(never))]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// For ever.
    pub const MAX: Self = Self(u64::MAX);

    /// A span of `micros` microseconds.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// A span of `millis` milliseconds, at most [`Duration::MAX`].
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// A span of `secs` seconds, at most [`Duration::MAX`].
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// The whole span in microseconds.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Whole milliseconds, rounded down. Divides: for edges and reports, not for hot paths.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// Whole milliseconds, rounded up, so that a wait is never cut short.
    pub const fn as_millis_ceil(self) -> u64 {
        self.0.div_ceil(1_000)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    // A dozen bytes at each place on a 32-bit machine, where a call is four.
    #[cfg_attr(target_os = "none", inline(never))]
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

impl Add for Duration {
    type Output = Self;
    #[cfg_attr(target_os = "none", inline(never))]
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// At most [`Duration::MAX`].
impl Mul<u32> for Duration {
    type Output = Self;
    fn mul(self, times: u32) -> Self {
        Self(self.0.saturating_mul(u64::from(times)))
    }
}

/// Rounded up to whole microseconds, so that a wait is never cut short; at most [`Duration::MAX`].
impl From<core::time::Duration> for Duration {
    fn from(span: core::time::Duration) -> Self {
        let micros = u64::from(span.subsec_nanos().div_ceil(1_000));
        Self(span.as_secs().saturating_mul(1_000_000).saturating_add(micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_round_as_named() {
        for (micros, down, up) in
            [(0, 0, 0), (1, 0, 1), (1_023, 0, 1), (1_024, 1, 1), (1_025, 1, 2)]
        {
            let at = Instant::from_micros(micros);
            assert_eq!((at.ticks(), at.ticks_ceil()), (down, up), "{micros} us");
        }
        assert_eq!(Instant::MAX.ticks_ceil(), (u64::MAX >> TICK_SHIFT) + 1);
        assert_eq!(Instant::from_ticks(Instant::MAX.ticks_ceil()), Instant::MAX);
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Instant::MAX + Duration::from_secs(1), Instant::MAX);
        assert_eq!(Instant::ZERO - Instant::MAX, Duration::ZERO);
        assert_eq!(Duration::from_secs(u64::MAX), Duration::MAX);
        assert_eq!(Duration::from_micros(1_001).as_millis_ceil(), 2);
        assert_eq!(Duration::from_micros(1_999).as_millis(), 1);
        assert_eq!(Duration::from_secs(2) * 3, Duration::from_secs(6));
        assert_eq!(Duration::MAX * 2, Duration::MAX);
        for (std, ours) in [
            (core::time::Duration::from_nanos(1), Duration::from_micros(1)),
            (core::time::Duration::from_millis(1_500), Duration::from_micros(1_500_000)),
            (core::time::Duration::MAX, Duration::MAX),
        ] {
            assert_eq!(Duration::from(std), ours);
        }
    }
}
