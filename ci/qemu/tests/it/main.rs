//! Boards from outside: real firmware in QEMU, real TCP, a real browser.
//!
//! | module | what it shows |
//! |---|---|
//! | `list` | the list that every world has to pass |
//! | `pressure` | more who come at once than there are sockets: none is refused, none is reset |
//! | `starvation` | slow peers on every socket do not keep a good one waiting |
//! | `bad_input` | the status for each kind of bad input, and that nothing leaks |
//! | `faults` | a panic and a stack overflow are told, and the board starts again |
//! | `address` | an address by DHCP |
//! | `demo` | the demo's page, figures and LED, and Chromium's many parallel connections |
//! | `mixed` | good and bad clients together over a wire that has faults |
//!
//! Firmware is built where it is needed. Each test has a network and a board of its own.
#![cfg(target_os = "linux")]

mod address;
mod bad_input;
mod demo;
mod faults;
mod list;
mod mixed;
mod pressure;
mod starvation;
mod util;
