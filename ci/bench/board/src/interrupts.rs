//! The vector table of the LM3S6965's interrupts, and the handlers in it, which end waits.
//!
//! This module uses `unsafe`: names that the linker script looks for.

use crate::clock;
use crate::registers::processor::{NVIC_ISER0, NVIC_ISER1};
use crate::registers::{mac, timer0};

/// The interrupts that are used, by their numbers (data sheet, table 2-9).
const TIMER_0A: usize = 19;
const ETHERNET: usize = 42;

/// A table entry.
#[derive(Clone, Copy)]
#[repr(C)]
union Vector {
    handler: extern "C" fn(),
    unused: usize,
}

// SAFETY: cortex-m-rt's linker script places this section behind the exceptions and asks for this
// name, which nobody else defines; each entry is a handler, or of an interrupt that stays disabled.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [Vector; ETHERNET + 1] = {
    let mut table = [Vector { unused: 0 }; ETHERNET + 1];
    table[TIMER_0A] = Vector { handler: on_alarm };
    table[ETHERNET] = Vector { handler: on_frame };
    table
};

/// Lets both interrupt.
pub(crate) fn start() {
    NVIC_ISER0.write(1 << TIMER_0A);
    NVIC_ISER1.write(1 << (ETHERNET - 32));
}

extern "C" fn on_alarm() {
    timer0::ICR.write(1);
    #[cfg(feature = "embassy")]
    crate::embassy::on_alarm();
}

extern "C" fn on_frame() {
    mac::IM.write(0);
    #[cfg(feature = "embassy")]
    crate::embassy::on_frame();
}

/// SysTick's handler, by the name that cortex-m-rt's table refers to.
// SAFETY: the linker script provides this name weakly, for handlers; nobody else defines it.
#[unsafe(no_mangle)]
extern "C" fn SysTick() {
    clock::on_period();
}
