//! `cargo xtask tornado`: the same scripts on Tornado and here. Locks, queues, calls, periods and
//! several futures at once: who is granted what, and when, is the same.
//!
//! The package `tornado` does it. Its tests run with those of all packages: they hold what Tornado
//! did once, and show that a wrong order is noticed.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::metadata;
use crate::process::cargo;

/// How many scripts of each kind are played.
const SCRIPTS: u64 = 300;

/// What is played.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many scripts of each kind
    #[arg(long, default_value_t = SCRIPTS)]
    scripts: u64,
    /// The first script's number
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Only this kind: condition, queue, periodic, ..
    #[arg(long)]
    kind: Option<String>,
}

impl Options {
    /// Some hundred of each kind, which takes seconds.
    pub(crate) fn smoke() -> Self {
        Self { scripts: SCRIPTS, first: 0, kind: None }
    }
}

/// Whether Tornado is installed.
pub(crate) fn is_possible() -> bool {
    python().is_ok_and(|python| python.exists())
}

/// Runs the step.
pub(crate) fn run(options: &Options) -> Result<()> {
    if !is_possible() {
        bail!("{} is missing: `cargo xtask setup` brings Tornado", python()?.display());
    }
    let mut play = cargo(20).args(["run", "--locked", "-p", "tornado", "--", "--python"]);
    play = play.args([python()?]);
    play = play.args(["--scripts", &options.scripts.to_string()]);
    play = play.args(["--first", &options.first.to_string()]);
    if let Some(kind) = &options.kind {
        play = play.args(["--kind", kind]);
    }
    play.run()
}

/// The Python that setting up gave Tornado to.
fn python() -> Result<PathBuf> {
    Ok(metadata::target_folder()?.join("tornado/bin/python3"))
}
