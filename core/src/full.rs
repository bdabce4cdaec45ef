//! What every table, queue and pool answers that has no room: [`Full`].
//!
//! Invariant: what was handed in comes back, so that nothing is lost by being refused.
//!
//! Layer: below everything.

use core::error::Error;
use core::fmt;

use embedded_io::ErrorKind;

/// There is no room; what was to be kept comes back. Tornado: `QueueFull`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Full<T = ()>(pub T);

impl<T> Full<T> {
    /// The failure in the words of `embedded-io`.
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::OutOfMemory
    }
}

/// For any `T`: a future or a message need not be shown.
impl<T> fmt::Debug for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Full(..)")
    }
}

impl<T> fmt::Display for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no room for another one")
    }
}

impl<T> Error for Full<T> {}
