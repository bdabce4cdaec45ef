//! The LM3S6965EVB under the servers that Dustdevil is measured beside: start-up, clock, Ethernet.
//!
//! Every server in `src/bin` stands on this, and ours on its own board package, which does the same
//! in the same ways: 50 MHz, both FIFOs a word at a time, 64-bit time over SysTick, one timer as
//! the alarm, WFI when there is nothing to do, `memcpy` and the division of 64 bits in assembly.
//!
//! | module | |
//! |---|---|
//! | `registers` | every register that is used. May use `unsafe` |
//! | `interrupts` | the vector table. May use `unsafe`: names for the linker |
//! | [`clock`] | microseconds since the start, and the wait |
//! | [`ethernet`] | [`Ethernet`]: frames in and out |
//! | `embassy` | its drivers of network and time, and an executor. May use `unsafe` |
//! | `memory`, `division` | our board package's |
//!
//! [`Ethernet`]: ethernet::Ethernet

#![no_std]
#![deny(unsafe_code)]

pub mod clock;
#[expect(unsafe_code, reason = "assembly")]
#[path = "../../../../boards/lm3s6965evb/src/division.rs"]
mod division;
#[cfg(feature = "embassy")]
#[expect(unsafe_code, reason = "the executor is polled, and asks for a function by its name")]
pub mod embassy;
pub mod ethernet;
#[expect(unsafe_code, reason = "names that the linker script looks for")]
mod interrupts;
#[expect(unsafe_code, reason = "assembly")]
#[path = "../../../../boards/lm3s6965evb/src/memory.rs"]
mod memory;
#[expect(unsafe_code, reason = "an address becomes a volatile access")]
mod registers;

use core::net::Ipv4Addr;
use core::panic::PanicInfo;

use registers::{system, uart0};

/// The address that QEMU's own network gives to its only guest, the bits of its network, and what
/// leads out of it.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
/// See [`ADDRESS`].
pub const PREFIX_BITS: u8 = 24;
/// See [`ADDRESS`].
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// Where each server listens.
pub const PORT: u16 = 80;

/// Sockets, and connections at once. The variable is the one that our firmware reads.
pub const CONNECTIONS: usize = match option_env!("DUSTDEVIL_CONNECTIONS") {
    None => 4,
    Some(text) => match usize::from_str_radix(text, 10) {
        Ok(count) => count,
        Err(_) => panic!("DUSTDEVIL_CONNECTIONS is no number"),
    },
};

/// The answer to `GET /`.
pub const HELLO: &str = "Hello, World!";

/// Bytes of a socket's buffers, one each way, and of a request's head.
pub const RX_BYTES: usize = 1024;
/// See [`RX_BYTES`].
pub const TX_BYTES: usize = 1024;
/// See [`RX_BYTES`].
pub const HTTP_BYTES: usize = 1024;

/// What sequence numbers and ports are derived from: the same in each run.
pub const SEED: u64 = 0x6965;

/// Starts the board: its clocks, its serial port, SysTick. Once.
pub fn start() {
    system::start();
    clock::start();
    interrupts::start();
    uart0::start();
}

/// Says that the server listens: what the runner waits for.
pub fn listening() {
    uart0::print("listening on http://10.0.2.15:80/\r\n");
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    uart0::print("panicked\r\n");
    loop {
        cortex_m::asm::wfi();
    }
}
