//! The user LED, on PF0.
//!
//! Place: above the registers; what the demo switches.

use crate::registers::PORT_F;
use crate::system::{GPIOF, power};

const PIN: u32 = 1;

/// The board's own LED. Every value is the same one.
pub struct Led(());

impl Led {
    /// Makes the pin an output, off at first.
    pub fn new() -> Self {
        power(GPIOF);
        PORT_F.data_0.write(0);
        PORT_F.dir.set(PIN);
        PORT_F.den.set(PIN);
        Self(())
    }
}

impl Default for Led {
    fn default() -> Self {
        Self::new()
    }
}

impl demo::Led for Led {
    fn set(&self, on: bool) {
        PORT_F.data_0.write(u32::from(on));
    }

    fn is_on(&self) -> bool {
        PORT_F.data_0.read() != 0
    }
}
