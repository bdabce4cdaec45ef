//! A function called again and again from an interrupt: timer 1.
//!
//! Made by [`every!`](crate::every). What it is for: firmware that shows what an interrupt may do,
//! at any moment of the loop's.
//!
//! Place: above the registers and `interrupts`. Firmware that does not use the macro links nothing
//! of this, and its vector table has the default handler there.

use crate::interrupts::{Interrupt, enable};
use crate::registers::timer1::{CFG, CTL, ICR, IMR, TAILR, TAMR};
use crate::system::{CLOCK_HZ, TIMER1, power_serial_or_timer};

const CFG_32_BITS: u32 = 0;
const TAMR_PERIODIC: u32 = 2;
const CTL_TAEN: u32 = 1;
/// The timer has run out, in IMR and ICR.
const TATO: u32 = 1;

/// The periods that make sense, in microseconds: one takes a few hundred instructions at least.
const PERIOD_MICROS: core::ops::RangeInclusive<u32> = 10..=60_000_000;

/// For [`every!`](crate::every).
pub fn start(micros: u32) {
    assert!(PERIOD_MICROS.contains(&micros), "timer 1 cannot count such a period");
    power_serial_or_timer(TIMER1);
    CTL.write(0);
    CFG.write(CFG_32_BITS);
    TAMR.write(TAMR_PERIODIC);
    TAILR.write(micros * (CLOCK_HZ / 1_000_000) - 1);
    IMR.write(TATO);
    enable(Interrupt::Timer1A);
    CTL.write(CTL_TAEN);
}

/// For [`every!`](crate::every): ends the cause of the interrupt.
pub fn acknowledge() {
    ICR.write(TATO);
}
