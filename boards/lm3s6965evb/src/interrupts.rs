//! The vector table of the LM3S6965's interrupts, and the handlers in it.
//!
//! Invariant: a handler ends the cause of its interrupt and does nothing else; the work is done by
//! the reactor's thread, which the interrupt has ended the wait of.
//!
//! Place: between the drivers that own a handler and the processor. This module uses `unsafe`: the
//! names of the table and of SysTick's handler are ones that the linker script looks for.

use crate::registers::processor::NVIC_ISER;
use crate::{clock, ethernet};

/// An interrupt that is used, by its number (data sheet, table 2-9).
#[derive(Clone, Copy)]
pub(crate) enum Interrupt {
    Timer0A = 19,
    Ethernet = 42,
}

/// A table entry.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) union Vector {
    handler: extern "C" fn(),
    unused: usize,
}

/// The table, up to the last interrupt that is used.
///
/// What is never enabled cannot happen; its entries are 0, which would be a fault, and be named.
// SAFETY: cortex-m-rt's linker script places this section behind the exceptions and asks for this
// name, which nobody else defines; each entry is a handler, or of an interrupt that stays disabled.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
pub(crate) static __INTERRUPTS: [Vector; Interrupt::Ethernet as usize + 1] = {
    let mut table = [Vector { unused: 0 }; Interrupt::Ethernet as usize + 1];
    table[Interrupt::Timer0A as usize] = Vector { handler: on_timer_0a };
    table[Interrupt::Ethernet as usize] = Vector { handler: on_ethernet };
    table
};

/// Lets it interrupt.
pub(crate) fn enable(interrupt: Interrupt) {
    let number = interrupt as usize;
    // A write of 0 to the other bits leaves them as they are.
    NVIC_ISER[number / 32].write(1 << (number % 32));
}

extern "C" fn on_timer_0a() {
    clock::on_alarm();
}

extern "C" fn on_ethernet() {
    ethernet::on_interrupt();
}

/// SysTick's handler, by the name that cortex-m-rt's table refers to.
// SAFETY: the linker script provides this name weakly, for handlers; nobody else defines it.
#[unsafe(no_mangle)]
extern "C" fn SysTick() {
    clock::on_period();
}
