//! The board's clocks, and power for its peripherals.
//!
//! Invariant: after [`start`] everything runs at [`CLOCK_HZ`], which the crystal on the board
//! derives (8 MHz, x 25 in the PLL, / 4), on silicon as in QEMU.
//!
//! Place: above the registers, below every driver.

use crate::registers::system::{DID0, LDOPCTL, RCC, RCGC1, RCGC2, RIS};

/// The system clock, in hertz: the most that this microcontroller can, and without wait states.
pub(crate) const CLOCK_HZ: u32 = 50_000_000;

/// RCC: the divider of the PLL's 200 MHz, less 1; and the bits it has.
const SYSDIV: u32 = (200_000_000 / CLOCK_HZ - 1) << 23;
const SYSDIV_MASK: u32 = 0xf << 23;
const USESYSDIV: u32 = 1 << 22;
/// The PLL is powered down.
const PWRDN: u32 = 1 << 13;
/// The oscillator clocks the system, not the PLL.
const BYPASS: u32 = 1 << 11;
/// The crystal: 8 MHz, as on the evaluation board.
const XTAL: u32 = 0xe << 6;
const XTAL_MASK: u32 = 0xf << 6;
/// The source: 0 is the main oscillator, which has the crystal.
const OSCSRC: u32 = 3 << 4;
/// The main oscillator is off.
const MOSCDIS: u32 = 1;
/// RIS: the PLL has locked.
const PLLLRIS: u32 = 1 << 6;

/// RCGC1.
pub(crate) const TIMER0: u32 = 1 << 16;
pub(crate) const TIMER1: u32 = 1 << 17;
pub(crate) const UART0: u32 = 1;
pub(crate) const UART1: u32 = 1 << 1;
/// RCGC2.
pub(crate) const EPHY0: u32 = 1 << 30;
pub(crate) const EMAC0: u32 = 1 << 28;
pub(crate) const GPIOF: u32 = 1 << 5;
pub(crate) const GPIOA: u32 = 1;
pub(crate) const GPIOD: u32 = 1 << 3;

/// Cycles after which a crystal surely swings: 10 ms at the 12 MHz of the internal oscillator.
const CRYSTAL_CYCLES: u32 = 120_000;

/// Starts the clock and powers what this package drives. Once, at start-up.
pub(crate) fn start() {
    // Revision A2: its PLL is reliable only at 2.75 V (errata).
    if DID0.read() & 0xffff == 0x0002 {
        LDOPCTL.write(0x1b);
    }
    // Data sheet 5.3: past the PLL, the crystal and the PLL on, wait until it has locked.
    let at_reset = RCC.read();
    // What ran so far goes on running until the crystal swings.
    RCC.write((at_reset | BYPASS) & !(USESYSDIV | MOSCDIS));
    cortex_m::asm::delay(CRYSTAL_CYCLES);
    let fields = SYSDIV_MASK | USESYSDIV | PWRDN | BYPASS | XTAL_MASK | OSCSRC | MOSCDIS;
    let new = at_reset & !fields | SYSDIV | USESYSDIV | XTAL;
    RCC.write(new | BYPASS);
    while RIS.read() & PLLLRIS == 0 {}
    RCC.write(new);
    RCGC1.set(TIMER0 | UART0);
    power(EPHY0 | EMAC0 | GPIOF | GPIOA);
}

/// Whether [`start`] was called since the last reset, which leads past the PLL.
pub(crate) fn is_started() -> bool {
    RCC.read() & BYPASS == 0
}

/// Starts the clock of a UART or a timer (RCGC1); it may be used when this returns.
pub(crate) fn power_serial_or_timer(peripheral: u32) {
    RCGC1.set(peripheral);
    cortex_m::asm::delay(8);
}

/// Starts the clocks of these peripherals of RCGC2; they may be used when this returns.
pub(crate) fn power(peripherals: u32) {
    RCGC2.set(peripherals);
    // None may be touched before three more cycles (data sheet, RCGC2).
    cortex_m::asm::delay(8);
}
