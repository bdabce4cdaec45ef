//! The two clocks of Linux: a monotonic one for deadlines, the wall clock for the `Date` field.
//!
//! [`Monotonic`] counts microseconds since it was made and never goes backwards; nothing that
//! waits ever asks the wall clock, which an administrator may set.
//!
//! Layer: stands on std alone; [`epoll`](crate::epoll) stands on it.
//!
//! ```
//! use dustdevil_core::time::Clock;
//! use dustdevil_std::clock::{Monotonic, unix_seconds};
//! let clock = Monotonic::new();
//! let before = clock.now();
//! assert!(clock.now() >= before);
//! assert!(unix_seconds() > 1_700_000_000);
//! ```

use std::time::{SystemTime, UNIX_EPOCH};

use dustdevil_core::time::{Clock, Instant};

/// A monotonic clock whose origin is the moment it was made.
///
/// It reads `CLOCK_MONOTONIC` through std. (rustix looks the vDSO up by itself, and that look-up
/// crashes under valgrind, which counts our instructions.)
#[derive(Clone, Copy, Debug)]
pub struct Monotonic {
    origin: std::time::Instant,
}

impl Monotonic {
    /// A clock that reads zero now.
    pub fn new() -> Self {
        Self { origin: std::time::Instant::now() }
    }
}

impl Default for Monotonic {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for Monotonic {
    fn now(&self) -> Instant {
        // Not `as_micros`: that divides 128 bits.
        let span = self.origin.elapsed();
        Instant::from_micros(span.as_secs() * 1_000_000 + u64::from(span.subsec_micros()))
    }
}

/// Whole seconds since 1970-01-01 00:00 UTC by the wall clock; 0 when that is set earlier.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |span| span.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_starts_at_zero_and_runs_at_the_pace_of_the_world() {
        let clock = Monotonic::new();
        assert!(clock.now().as_micros() < 1_000_000);
        let before = clock.now();
        std::thread::sleep(std::time::Duration::from_millis(3));
        assert!((clock.now() - before).as_micros() >= 3_000);
    }
}
