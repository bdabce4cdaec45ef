//! The end: a panic, a stack overflow or another fault is named on the serial port, and the board
//! starts again.
//!
//! | line | meaning |
//! |---|---|
//! | `PANIC at file.rs:12:5: message` | a panic; without the feature `panic-message`, no message |
//! | `STACK OVERFLOW: ..` | the stack ran off the start of RAM |
//! | `FAULT at pc 0x.., ..` | any other access or instruction that the processor refused |
//! | `INTERRUPT n ..` | an interrupt that nobody handles |
//!
//! Invariants: nothing here trusts the stack that it finds. The fault handler begins at the top of
//! the stack again, over what lies there: nobody returns to it. Interrupts are masked, nothing is
//! allocated, and no lock is taken. A panic while a panic is printed resets at once.
//!
//! Place: above `serial` and `stack`. This module uses `unsafe`: a handler without a prologue,
//! which changes the stack pointer.

use core::arch::naked_asm;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use cortex_m::peripheral::SCB;
use cortex_m_rt::exception;

use crate::registers::processor::{BFAR, CFSR, MMFAR};
use crate::serial::{self, Serial};
use crate::{stack, system};

/// CFSR: MMFAR holds an address; BFAR does.
const MMARVALID: u32 = 1 << 7;
const BFARVALID: u32 = 1 << 15;

/// Small enough to be part of whoever panics: then nobody looks at the message, unless the feature
/// `panic-message` says so, and neither messages nor `core::fmt` are linked: 7 KB of a server.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let place = info.location().map_or(("?", 0, 0), |at| (at.file(), at.line(), at.column()));
    #[cfg(feature = "panic-message")]
    say(place, Some(info));
    #[cfg(not(feature = "panic-message"))]
    say(place, None)
}

/// Prints where it happened, and what if that is known, and starts the board again.
#[cold]
#[inline(never)]
fn say((file, line, column): (&str, u32, u32), info: Option<&PanicInfo<'_>>) -> ! {
    static PANICKING: AtomicBool = AtomicBool::new(false);
    if PANICKING.load(Ordering::Relaxed) {
        SCB::sys_reset();
    }
    PANICKING.store(true, Ordering::Relaxed);
    begin();
    Serial.text("PANIC at ");
    Serial.text(file);
    Serial.text(":");
    Serial.number(line as usize);
    Serial.text(":");
    Serial.number(column as usize);
    if let Some(info) = info {
        message(info);
    }
    reset()
}

#[cfg(feature = "panic-message")]
fn message(info: &PanicInfo<'_>) {
    use core::fmt::Write;
    // The serial port cannot fail.
    let _ = write!(Serial, ": {}", info.message());
}

#[cfg(not(feature = "panic-message"))]
fn message(_: &PanicInfo<'_>) {}

/// What all faults become, since no other fault's exception is enabled.
///
/// It hands on where the stack was, and the address of the instruction that failed, if the
/// processor could save it in the stack; and begins at the stack's top again.
// SAFETY: the linker script provides this name weakly, for a handler, which this is: entered by the
// processor alone. It never returns, so it may give the stack up, and it reads the saved address
// (ARMv7-M B1.5.6: the seventh word above SP) only when the eight words lie in the stack.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn HardFault() -> ! {
    naked_asm!(
        "mrs   r0, MSP",
        "movs  r1, #0",
        "ldr   r2, =_stack_end",
        "cmp   r0, r2",
        "blo   1f",
        "ldr   r2, =_stack_start",
        "subs  r2, r2, #32",
        "cmp   r0, r2",
        "bhi   1f",
        "ldr   r1, [r0, #24]",
        "1:",
        "ldr   r2, =_stack_start",
        "mov   sp, r2",
        "b     {fault}",
        fault = sym fault,
    )
}

extern "C" fn fault(stack_pointer: u32, program_counter: u32) -> ! {
    begin();
    if (stack_pointer as usize) < stack::end() {
        Serial.text("STACK OVERFLOW: more than ");
        Serial.number(stack::stack_bytes());
        Serial.text(" bytes");
    } else {
        Serial.text("FAULT at pc ");
        Serial.hexadecimal(program_counter);
        let status = CFSR.read();
        Serial.text(", CFSR ");
        Serial.hexadecimal(status);
        for (is_valid, register) in [(status & MMARVALID, MMFAR), (status & BFARVALID, BFAR)] {
            if is_valid != 0 {
                Serial.text(", at ");
                Serial.hexadecimal(register.read());
            }
        }
    }
    reset()
}

/// An exception or interrupt without a handler: none is enabled, so this is a mistake in here.
// SAFETY: the processor alone enters it, as the linker script's default; it does not return.
#[exception]
unsafe fn DefaultHandler(number: i16) -> ! {
    begin();
    Serial.text("INTERRUPT ");
    Serial.number(number as usize);
    Serial.text(" without a handler");
    reset()
}

/// Readies the serial port, should this be what fails first.
fn begin() {
    cortex_m::interrupt::disable();
    if !system::is_started() {
        system::start();
        serial::start();
    }
}

/// Ends the line, waits for it to leave and starts the board again.
fn reset() -> ! {
    Serial.end_line();
    Serial.flush();
    SCB::sys_reset()
}
