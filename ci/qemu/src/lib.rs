//! Runs firmware in QEMU, and the tests of boards in it.
//!
//! [`firmware`] builds an example for a board, [`Machine`] boots it: its network, its serial log
//! and QEMU's own control channel. [`counts`] reads what the plugin `icount` counted, [`stack`] how
//! deep the stack became, [`image`] what firmware takes and where its functions lie.
//!
//! Invariants: every wait has a deadline, and no emulator outlives the thread that started it.
//! The package depends on none of the project's, since `cargo xtask` is built on it and has to run
//! when those do not build.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use qemu::firmware::{self, Address};
//! use qemu::machine::{Machine, Network};
//!
//! # fn main() -> anyhow::Result<()> {
//! let elf = firmware::lm3s6965evb("hello", &Address::of_user_network())?;
//! let machine = Machine::of(&elf).network(Network::User { port: 0 }).start()?;
//! machine.wait_for("listening on", Duration::from_secs(10))?;
//! let port = machine.port()?; // 127.0.0.1:port leads to the board's port 80.
//! machine.quit(Duration::from_secs(5))
//! # }
//! ```

pub mod counts;
pub mod firmware;
pub mod image;
pub mod machine;
pub mod stack;

#[cfg(test)]
mod assembled;
mod cargo;
mod log;
mod qmp;
mod user_network;
mod written;

pub use machine::Machine;
