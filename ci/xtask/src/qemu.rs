//! `cargo xtask qemu EXAMPLE`: builds an example's firmware and boots it in QEMU, the port at which
//! it listens on a port of this machine, until Ctrl-C. `cargo xtask test` runs the boards' tests
//! from here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::qemu::firmware::Address;
use ::qemu::machine::{Machine, Network};
use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::boards::{BOARDS, Board, port_of};
use crate::process::{Run, cargo, which};

/// How long a line is waited for before it is asked whether somebody pressed Ctrl-C.
const LISTEN_FOR: Duration = Duration::from_millis(100);

/// How long QEMU may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is booted.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The example: hello, demo, echo, ..
    example: String,
    /// The board's package under boards/
    #[arg(long, default_value = "lm3s6965evb")]
    board: String,
    /// The port on 127.0.0.1 that leads to the board's; 0: a free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
}

/// Runs the step.
pub(crate) fn run(options: &Options) -> Result<()> {
    let board = Board::find(&options.board)?;
    let address = Address::of_environment()?.unwrap_or(Address::Dhcp);
    let elf = board.build(&options.example, &address, &[])?;
    // Only from here on: while it is built, Ctrl-C ends this process, and cargo with it.
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&ended)).context("wait for Ctrl-C")?;
    }
    let network = Network::User { port: options.port };
    let guest_port = port_of(&options.example);
    let machine = Machine::of(&elf).network(network).guest_port(guest_port);
    let machine = machine.guest(&address)?.start()?;
    while !ended.load(Ordering::Relaxed) {
        let Some(line) = machine.next_line(LISTEN_FOR)? else { continue };
        println!("{line}");
        if line.contains("listening on ") {
            let here = format!("127.0.0.1:{}", machine.port()?);
            let here = if guest_port == 80 { format!("http://{here}/") } else { here };
            println!("{here} leads there; Ctrl-C ends it");
        }
    }
    machine.quit(PATIENCE)
}

/// Builds every firmware as it is delivered, and runs the tests of the package `qemu`, most of
/// which boot one in a network of its own; where that may not be made, they fail and say so.
pub(crate) fn test() -> Result<()> {
    for board in BOARDS {
        cargo(20)
            .args(["build", "--locked", "--profile", ::qemu::firmware::PROFILE])
            .args(["--target", board.target, "-p", board.name])
            .run()?;
    }
    cargo(10).args(["test", "--locked", "-p", "qemu", "--lib"]).tests()?;
    let passed = cargo(45).args(["test", "--locked", "-p", "qemu", "--test", "it"]).tests()?;
    println!("{passed} tests passed on boards in QEMU");
    Ok(())
}

/// Whether the boards' tests can run here: they make a network namespace and a device in it.
pub(crate) fn is_possible() -> bool {
    let make = ["--net", "ip", "tuntap", "add", "dev", "tap0", "mode", "tap"];
    which("unshare").is_some() && Run::new("unshare", 1).args(make).succeeds()
}
