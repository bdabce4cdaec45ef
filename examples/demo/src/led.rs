//! The hardware, behind a trait.
//!
//! Place: below the application; a board implements [`Led`] over a pin.

use core::sync::atomic::{AtomicBool, Ordering};

/// A light that can be switched.
pub trait Led {
    /// Switches it.
    fn set(&self, on: bool);

    /// Whether it shines.
    fn is_on(&self) -> bool;
}

/// A light where there is none: a flag, off at first, which workers may share.
#[derive(Debug, Default)]
pub struct SimulatedLed {
    on: AtomicBool,
}

impl SimulatedLed {
    /// One that is off.
    pub const fn new() -> Self {
        Self { on: AtomicBool::new(false) }
    }
}

impl Led for SimulatedLed {
    fn set(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }
}
