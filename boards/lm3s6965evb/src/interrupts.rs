//! The vector table of the LM3S6965's interrupts, and the handlers in it.
//!
//! Invariant: a handler ends the cause of its interrupt and does nothing else; the work is done by
//! the reactor's thread, which the interrupt has ended the wait of. Two are no part of firmware
//! that does not use them: UART1's moves bytes, and timer 1's calls a function; see [`uart1!`] and
//! [`every!`], which define them under the names here. Without these macros the linker script puts
//! the default handler in their places; nobody enables them then.
//!
//! All have the same priority: none interrupts another.
//!
//! [`uart1!`]: crate::uart1
//! [`every!`]: crate::every
//!
//! Place: between the drivers that own a handler and the processor. This module uses `unsafe`: the
//! names of the table and of SysTick's handler are ones that the linker script looks for.

use crate::registers::processor::{NVIC_ISER, NVIC_ISPR};
use crate::{clock, ethernet};

/// An interrupt that is used, by its number (data sheet, table 2-9).
#[derive(Clone, Copy)]
pub(crate) enum Interrupt {
    Uart1 = 6,
    Timer0A = 19,
    Timer1A = 21,
    Ethernet = 42,
}

// SAFETY: the linker script provides both, see build.rs, unless the firmware defines a handler of
// that name; that is their type, and nothing here calls them.
unsafe extern "C" {
    safe fn UART1();
    safe fn TIMER1A();
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
    table[Interrupt::Uart1 as usize] = Vector { handler: UART1 };
    table[Interrupt::Timer1A as usize] = Vector { handler: TIMER1A };
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

/// Makes it happen, as if its peripheral had asked: at once, unless interrupts are masked.
pub(crate) fn pend(interrupt: Interrupt) {
    let number = interrupt as usize;
    NVIC_ISPR[number / 32].write(1 << (number % 32));
}

/// UART1, at this many baud (48 to 3,125,000), as a [`Uart`](crate::Uart).
///
/// Once in a program, after [`init`](crate::init): a second one does not link.
///
/// ```ignore
/// let uart = board::uart1!(115_200);
/// let mut stream = IoStream::new(uart, &mut buffer);
/// ```
///
/// # Panics
/// At start-up: when the rate is not in its range.
#[macro_export]
macro_rules! uart1 {
    ($baud:expr) => {{
        // SAFETY: the linker script provides this name weakly, for a handler, which this is.
        #[unsafe(no_mangle)]
        extern "C" fn UART1() {
            $crate::uart::on_interrupt();
        }
        $crate::uart::start($baud)
    }};
}

/// Calls `$call`, a function without arguments, each `$micros` microseconds (10 to 60,000,000) from
/// timer 1's interrupt, for ever: in the middle of whatever runs. It may raise wakes and send
/// through a [`Remote`](dustdevil_core::remote::Remote), and returns soon.
///
/// Once in a program, after [`init`](crate::init): a second one does not link.
///
/// # Panics
/// At start-up: when the period is not in its range.
#[macro_export]
macro_rules! every {
    ($micros:expr, $call:path) => {{
        // SAFETY: the linker script provides this name weakly, for a handler, which this is.
        #[unsafe(no_mangle)]
        extern "C" fn TIMER1A() {
            $crate::ticker::acknowledge();
            $call();
        }
        $crate::ticker::start($micros)
    }};
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
