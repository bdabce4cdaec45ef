//! `interop`: other people's clients, load tools, a proxy and a browser against the example
//! `conformance`, on Linux or on a board. `cargo xtask interop` builds what is needed and calls it:
//!
//! ```text
//! interop linux --server target/release/conformance --target target --smoke
//! unshare --net interop board --firmware conformance.elf --target target --only curl
//! ```
//!
//! Invariants: what is not installed is named with the package that brings it, and is no failure;
//! a run in which nothing ran is one. After each program the server still runs, every counter of
//! what is in use is where it was, and the program opened no more connections than it may.
//!
//! Place: stands on `qemu` and `browser`; knows nothing of ours but the routes of `conformance`.
//! [`programs`] is the list; each module below it knows a kind of program.

mod chromium;
mod clients;
mod curl;
mod host;
mod load;
mod nginx;
mod place;
mod programs;
mod slow;
mod table;
mod tool;
mod wget;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use host::Host;
use place::Place;

/// Other people's programs against the example `conformance`.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    host: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Against the Linux binary
    Linux {
        /// The binary of the example
        #[arg(long)]
        server: PathBuf,
        #[command(flatten)]
        options: Options,
    },
    /// Against a board in QEMU, in the network namespace that this runs in
    Board {
        /// The firmware's ELF file, built for 192.0.2.2/24
        #[arg(long)]
        firmware: PathBuf,
        #[command(flatten)]
        options: Options,
    },
}

/// What is run, and with what.
#[derive(clap::Args)]
struct Options {
    /// Only the programs whose name begins so
    #[arg(long)]
    only: Option<String>,
    /// Seconds where there would be minutes
    #[arg(long)]
    smoke: bool,
    /// Where `cargo xtask setup` keeps what it adds, and where results go
    #[arg(long)]
    target: PathBuf,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("interop: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    let (host, options) = match arguments.host {
        Command::Linux { server, options } => (Host::linux(&server)?, options),
        Command::Board { firmware, options } => (Host::board(&firmware)?, options),
    };
    let place = Place::new(&host, &options)?;
    let outcome = programs::run_all(&place, &host, options.only.as_deref());
    host.end()?;
    outcome
}
