//! `cargo xtask soak`: the simulator over many seeds, with everything its checkers know.

use anyhow::Result;

use crate::process::cargo;

/// What is soaked.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many seeds to run
    #[arg(long, default_value_t = 10_000)]
    pub(crate) seeds: u64,
}

/// Runs the step: the package `soak` prints one closing line and fails on a finding.
pub(crate) fn run(options: &Options) -> Result<()> {
    let seeds = options.seeds.to_string();
    cargo(30).args(["run", "--release", "-p", "soak", "--", "--seeds", &seeds]).run()
}
