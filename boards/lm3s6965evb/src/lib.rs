//! Dustdevil on the Stellaris LM3S6965 evaluation board (and in QEMU, machine `lm3s6965evb`): a
//! Cortex-M3 at 50 MHz with Ethernet on the chip, 256 KiB of flash and 64 KiB of RAM.
//!
//! [`init`] starts the board and gives the poller that a reactor stands on; the firmware in
//! `src/bin` is about ten lines each. The address is chosen when it is built: `DUSTDEVIL_IP` is
//! `192.0.2.2/24` or `dhcp`, the default, and `DUSTDEVIL_GATEWAY` the router, if any.
//!
//! What the serial port (UART0, the board's USB connector; 115,200 baud, 8N1) shows:
//!
//! ```text
//! LM3S6965EVB: 50 MHz, RAM 65536 bytes: stack 5120, statics 20400
//! listening on http://192.0.2.2:80/
//! ```
//!
//! A panic, a stack overflow or another fault prints a line (`failure`) and starts the board again.
//!
//! | module | |
//! |---|---|
//! | `registers` | every register that is used, by its name in the data sheet. May use `unsafe` |
//! | `system` | the clocks, and power for peripherals |
//! | `ethernet` | [`Ethernet`]: frames in and out |
//! | `clock` | [`SystemClock`]: 64 bits of microseconds; the wait |
//! | `interrupts` | the vector table. May use `unsafe`: names for the linker |
//! | `serial`, `logger` | text and records of `log` on UART0 |
//! | `failure` | panics, faults, reset. May use `unsafe`: a handler changes the stack pointer |
//! | `stack` | RAM's figures. May use `unsafe`: start-up code, reads of unused stack |
//! | `entropy` | a seed. May use `unsafe`: reads of unused RAM |
//! | `memory`, `division` | `memcpy` and its kin; 64 bits divided. May use `unsafe`: assembly |
//! | `led`, `figures` | [`Led`], and what else the demo shows |
//! | `uart` | [`uart1!`] makes a [`Uart`]: UART1 as a stream. Not linked where it is not used |
//! | `ticker` | [`every!`] calls a function from timer 1's interrupt. Likewise |
//!
//! Features: `dhcp` (default) and `static-ip`, of which the one that `DUSTDEVIL_IP` needs must be
//! on; `log-lines` (part of `dhcp`) prints the records of `log`; `panic-message` (default) formats
//! the messages of panics. The latter two bring `core::fmt`: without them the place of a panic and
//! the lines above are still printed.
//!
//! Layer: a board, above `dustdevil-smoltcp` and the examples; nothing stands on it.

#![no_std]
#![deny(unsafe_code)]

mod clock;
#[expect(unsafe_code, reason = "assembly")]
mod division;
#[expect(unsafe_code, reason = "memory that no object of the program has")]
mod entropy;
mod ethernet;
#[expect(unsafe_code, reason = "a handler that changes the stack pointer")]
mod failure;
mod figures;
#[expect(unsafe_code, reason = "names that the linker script looks for")]
mod interrupts;
mod led;
#[cfg(feature = "log-lines")]
mod logger;
#[expect(unsafe_code, reason = "assembly")]
mod memory;
#[expect(unsafe_code, reason = "an address becomes a volatile access")]
mod registers;
mod serial;
#[expect(unsafe_code, reason = "start-up code, and reads of the stack's unused part")]
mod stack;
mod system;
#[doc(hidden)]
pub mod ticker;
pub mod uart;

use core::net::{Ipv4Addr, SocketAddr};

use dustdevil_core::memory::Block;
use dustdevil_smoltcp::{Addressing, Net, Nic};

pub use clock::SystemClock;
pub use ethernet::Ethernet;
pub use figures::{memory_figures, network_figures};
pub use led::Led;
pub use stack::{ram_bytes, stack_bytes, stack_peak_bytes, static_bytes};
pub use uart::Uart;

use serial::Serial;

/// Bytes of RAM for statics: all but the stack, see `memory.x`. What firmware has room for is held
/// against it by [`ram_within!`](dustdevil_core::ram_within).
pub const RAM_BYTES: usize = 59 * 1024;

/// How large the board's TCP/IP stack is.
pub mod net {
    pub use dustdevil_smoltcp::{Capacity, Udp};
}

include!(concat!(env!("OUT_DIR"), "/addressing.rs"));

/// Starts the board and returns the poller of its network.
///
/// `memory` has [`net::Capacity::bytes`] bytes for `capacity`.
///
/// # Panics
/// At start-up: when it is called again, or `memory` is too small.
// Apart, so that what it needs is not part of the stack for ever.
#[inline(never)]
pub fn init(
    memory: Block<'static>,
    capacity: net::Capacity,
) -> Net<'static, Ethernet, SystemClock> {
    assert!(!system::is_started(), "the board is started once");
    system::start();
    serial::start();
    announce();
    #[cfg(feature = "log-lines")]
    logger::start();
    let clock = SystemClock::start();
    let nic = Ethernet::start();
    let seed = entropy::seed(nic.address());
    Net::new(nic, clock, memory, capacity, ADDRESSING, seed)
}

/// Where a server listens: at the board's own address, whatever it will be, and this port.
///
/// The poller logs `listening on ..` when the address is there. In firmware without `log-lines`,
/// whose address is known, this prints that line.
pub fn address(port: u16) -> SocketAddr {
    #[cfg(not(feature = "log-lines"))]
    {
        Serial.text(if port == 80 { "listening on http://" } else { "listening on " });
        Serial.text(ADDRESS_TEXT);
        Serial.text(":");
        Serial.number(usize::from(port));
        Serial.text(if port == 80 { "/" } else { "" });
        Serial.end_line();
    }
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))
}

/// Prints a line on the serial port, and waits until it has taken it: 87 us a character.
pub fn print(line: &str) {
    Serial.text(line);
    Serial.end_line();
}

/// Prints a line on the serial port as [`print()`] does: `what: 12 apples, 3 pears`.
pub fn print_figures(what: &str, figures: &[(usize, &str)]) {
    Serial.text(what);
    for (at, (figure, name)) in figures.iter().enumerate() {
        Serial.text(if at == 0 { ": " } else { ", " });
        Serial.number(*figure);
        Serial.text(" ");
        Serial.text(name);
    }
    Serial.end_line();
}

/// The first line.
fn announce() {
    Serial.text("LM3S6965EVB: ");
    Serial.number(system::CLOCK_HZ as usize / 1_000_000);
    Serial.text(" MHz, RAM ");
    Serial.number(ram_bytes());
    Serial.text(" bytes: stack ");
    Serial.number(stack_bytes());
    Serial.text(", statics ");
    Serial.number(static_bytes());
    Serial.end_line();
}
