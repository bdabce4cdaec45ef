//! `cargo xtask <step>`: everything that `.ci/run` does, one subcommand each.
//!
//! A developer runs the same steps as the machine that judges a change. Of the project's packages
//! xtask depends on the runner of boards alone, which depends on none, so a step still runs, and
//! says what is wrong, when they don't build.
//! Each step's prose lies in the module that carries its name; [`packages`] names what is built for
//! what, in one place.
//!
//! ```text
//! cargo xtask setup            adds what is missing on this machine, and only that
//! cargo xtask check tidy       one check
//! cargo xtask test --quick     everything that is done within a few minutes
//! ```

mod attack;
mod bench;
mod boards;
mod browser;
mod check;
mod firmware;
mod fuzz;
mod interop;
mod loom;
mod metadata;
mod miri;
mod packages;
mod process;
mod qemu;
mod report;
mod setup;
mod size;
mod soak;
mod test;
mod tornado;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's commands.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    step: Step,
}

#[derive(Subcommand)]
enum Step {
    /// Adds what is missing: rustup targets, components, nightly with Miri, Debian packages
    Setup,
    /// Runs every test: set-up, unit and doc tests, checks, Miri, loom, soak, fuzz, QEMU, bench, ..
    Test(test::Options),
    /// Formatting, lints, documentation, arrows, duplicates, licences, features, no alloc, tidy
    Check(check::Options),
    /// Runs core's unit tests under Miri with strict provenance
    Miri,
    /// Explores the interleavings of core's wake path with loom
    Loom,
    /// Runs the simulator over many seeds, or a board in QEMU for many minutes
    Soak(soak::Options),
    /// Attacks a server on Linux, or a board in QEMU, from more connections than it has room for
    Attack(attack::Options),
    /// Runs each fuzz target for a short time, from its corpus
    Fuzz(fuzz::Options),
    /// Measures instructions, system calls, memory and firmware sizes, on Linux and on the board
    Bench(bench::Options),
    /// Holds connections for `bench scale`, as one of several processes
    #[command(hide = true)]
    Hold(bench::Hold),
    /// Looks at the demo with headless Chromium
    Browser,
    /// Asks a server on Linux, and a board in QEMU, with other people's clients, tools and proxy
    Interop(interop::Options),
    /// Plays the same scripts on Tornado and here: locks, queues, calls and coroutines
    Tornado(tornado::Options),
    /// Boots an example's firmware in QEMU, with a port of this machine that leads to it
    Qemu(qemu::Options),
    /// Builds an example's firmware for a board and says how to flash it
    Firmware(firmware::Options),
    /// Prints what the firmware of each example takes: flash, static RAM, stack
    Size(size::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().step {
        Step::Setup => setup::run(),
        Step::Test(options) => test::run(&options),
        Step::Check(options) => check::run(&options),
        Step::Miri => miri::run(),
        Step::Loom => loom::run(),
        Step::Soak(options) => soak::run(&options),
        Step::Attack(options) => attack::run(&options),
        Step::Fuzz(options) => fuzz::run(&options),
        Step::Bench(options) => bench::run(&options),
        Step::Hold(options) => bench::hold(&options),
        Step::Browser => browser::run(),
        Step::Interop(options) => interop::run(&options),
        Step::Tornado(options) => tornado::run(&options),
        Step::Qemu(options) => qemu::run(&options),
        Step::Firmware(options) => firmware::run(&options),
        Step::Size(options) => size::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
