//! `cargo xtask soak`: the simulator over many seeds, with everything its checkers know; with
//! `--idle` one world of as many connections as asked for, a million say; or with `--board` a board
//! in QEMU for many minutes, over a wire that has faults.

use anyhow::Result;

use crate::boards::Board;
use crate::process::cargo;

/// The test of the package `qemu` that takes as long as it is told.
const ON_BOARD: &str = "mixed::minutes_of_everything";

/// Minutes beside the traffic: building, booting, coming to rest.
const BESIDE: u32 = 15;

/// What is soaked.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many seeds to run
    #[arg(long, default_value_t = 10_000)]
    pub(crate) seeds: u64,
    /// Fill the table of a simulated server with so many idle connections instead
    #[arg(long, conflicts_with = "seeds")]
    pub(crate) idle: Option<usize>,
    /// Soak this board instead
    #[arg(long, conflicts_with_all = ["seeds", "idle"])]
    pub(crate) board: Option<String>,
    /// How long the traffic with the board goes on
    #[arg(long, default_value_t = 10, requires = "board")]
    pub(crate) minutes: u32,
    /// What the traffic with the board and its faults are drawn from
    #[arg(long, default_value_t = 1, requires = "board")]
    pub(crate) seed: u64,
}

impl Options {
    /// The simulator over so many seeds.
    pub(crate) fn of_seeds(seeds: u64) -> Self {
        Self { seeds, idle: None, board: None, minutes: 0, seed: 0 }
    }

    /// The simulator with so many idle connections.
    pub(crate) fn of_idle(connections: usize) -> Self {
        Self { idle: Some(connections), ..Self::of_seeds(0) }
    }
}

/// Runs the step: what it starts prints one closing line and fails on a finding.
pub(crate) fn run(options: &Options) -> Result<()> {
    if let Some(board) = &options.board {
        Board::find(board)?;
        return on_board(options);
    }
    let (what, count) = match options.idle {
        Some(connections) => ("--idle", connections.to_string()),
        None => ("--seeds", options.seeds.to_string()),
    };
    cargo(30).args(["run", "--release", "-p", "soak", "--", what, &count]).run()
}

fn on_board(options: &Options) -> Result<()> {
    let test = ["test", "--locked", "-p", "qemu", "--test", "it", "--"];
    cargo(options.minutes + BESIDE)
        .args(test)
        .args(["--exact", ON_BOARD, "--ignored", "--nocapture"])
        .env("SOAK_MINUTES", options.minutes.to_string())
        .env("SOAK_SEED", options.seed.to_string())
        .tests()
        .map(drop)
}
