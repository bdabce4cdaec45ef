//! Boards from outside: real firmware in QEMU, real TCP, a real browser.
//!
//! | module | what it shows |
//! |---|---|
//! | `list` | the list that every world has to pass |
//! | `pressure` | more who come at once than there are sockets: none is refused, none is reset |
//! | `starvation` | slow peers on every socket do not keep a good one waiting |
//! | `bad_input` | the status for each kind of bad input, and that nothing leaks |
//! | `attack` | each attack with more connections than there are sockets: a good client is served |
//! | `cases` | the conformance suite, as a board can hold it |
//! | `faults` | a panic and a stack overflow are told, and the board starts again |
//! | `address` | an address by DHCP |
//! | `conformance` | each route of the conformance application, a mebibyte in and out |
//! | `demo` | the demo's page, figures and LED, and Chromium's many parallel connections |
//! | `mixed` | good and bad clients together over a wire that has faults |
//! | `remote` | an interrupt that sends messages at any moment of the loop's |
//! | `echo` | one handler over TCP and over the second serial port, at once |
//! | `chat_tcp` | a room of four: a fifth is told, who does not read is dropped |
//! | `udp` | datagrams, and connections that the board opens |
//! | `uart` | lines over UART1, and what happens when its rings are full |
//!
//! Firmware is built where it is needed. Each test has a network and a board of its own.
#![cfg(target_os = "linux")]

mod address;
mod attack;
mod bad_input;
mod cases;
mod chat_tcp;
mod conformance;
mod demo;
mod echo;
mod faults;
mod list;
mod mixed;
mod pressure;
mod remote;
mod starvation;
mod uart;
mod udp;
mod util;
