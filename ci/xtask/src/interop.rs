//! `cargo xtask interop [linux|board]`: other people's clients, load tools, proxy and browser
//! against the example `conformance`.
//!
//! The package `interop` does it, and is a package of its own so that xtask stays small. Its tests,
//! which show it answers that are wrong, run first: only a check that was seen failing is believed.
//! What is not installed it names, with what brings it; `cargo xtask setup` adds most of it.

use std::path::PathBuf;

use ::qemu::firmware::Address;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::boards::BOARDS;
use crate::process::{Run, cargo};
use crate::{metadata, qemu};

/// The example that is asked.
const EXAMPLE: &str = "conformance";

/// Where the board is in the network that is made for it.
const BOARD_IP: &str = "192.0.2.2/24";

/// Who is asked.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Host {
    /// The Linux binary
    Linux,
    /// A board in QEMU
    Board,
}

/// What is run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Who is asked; both without this, the board where a network for it can be made
    host: Option<Host>,
    /// Only the programs whose name begins so: curl, slowhttptest, ..
    #[arg(long)]
    only: Option<String>,
    /// Seconds where there would be minutes, and the server as it is built for tests
    #[arg(long)]
    smoke: bool,
    /// Fail where no network for a board can be made
    #[arg(skip)]
    needs_board: bool,
}

impl Options {
    /// Everything, for a short time each; the board as well where it `needs_board`, and elsewhere
    /// if it can be.
    pub(crate) fn smoke(needs_board: bool) -> Self {
        Self { host: None, only: None, smoke: true, needs_board }
    }
}

/// Runs the step.
pub(crate) fn run(options: &Options) -> Result<()> {
    cargo(20).args(["test", "--locked", "-p", "interop"]).tests()?;
    cargo(20).args(["build", "--locked", "-p", "interop"]).run()?;
    let linux = match options.host {
        Some(Host::Board) => Ok(()),
        Some(Host::Linux) | None => linux(options).context("on Linux"),
    };
    let board = match options.host {
        Some(Host::Linux) => Ok(()),
        None if !options.needs_board && !qemu::is_possible() => {
            println!("\nNo network for a board can be made here: none was asked.");
            Ok(())
        }
        None | Some(Host::Board) => board(options).context("on the board"),
    };
    // The one that failed has said why; a failure on Linux does not hide the board's.
    match (linux, board) {
        (Err(linux), Err(board)) => bail!("{linux:#}; {board:#}"),
        (linux, board) => linux.and(board),
    }
}

fn linux(options: &Options) -> Result<()> {
    let profile: &[&str] = if options.smoke { &[] } else { &["--release"] };
    let folder = if options.smoke { "debug" } else { "release" };
    cargo(20).args(["build", "--locked", "-p", EXAMPLE]).args(profile).run()?;
    let server = metadata::target_folder()?.join(folder).join(EXAMPLE);
    let interop = Run::new(&interop()?, 30).args(["linux", "--server"]).args([server]);
    with(interop, options)?.run()
}

/// In a network of its own, so that no address of this machine is in the way.
fn board(options: &Options) -> Result<()> {
    let [board, ..] = BOARDS else { bail!("there is no board") };
    let firmware = board.build(EXAMPLE, &Address::fixed(BOARD_IP, None), &[])?;
    let words = ["--net", &interop()?, "board", "--firmware"];
    with(Run::new("unshare", 30).args(words).args([firmware]), options)?.run()
}

fn interop() -> Result<String> {
    Ok(metadata::target_folder()?.join("debug/interop").display().to_string())
}

fn with(mut run: Run, options: &Options) -> Result<Run> {
    let target: PathBuf = metadata::target_folder()?.to_owned();
    run = run.args(["--target"]).args([target]);
    if options.smoke {
        run = run.args(["--smoke"]);
    }
    Ok(match &options.only {
        Some(only) => run.args(["--only", only]),
        None => run,
    })
}
