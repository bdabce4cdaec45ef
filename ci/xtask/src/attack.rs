//! `cargo xtask attack [linux|board]`: rude clients against `conformance`, on Linux with 300
//! connections where there is room for 200, on the board in QEMU with 8 for 4 sockets; good ones
//! beside them measure how long they wait. `ci/attack` says what each attack is and what is
//! judged.

use anyhow::Result;

use crate::process::cargo;

/// Where the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum World {
    /// In a process of this machine
    Linux,
    /// As firmware in QEMU
    Board,
}

/// What is attacked, how, and for how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where the server runs
    #[arg(value_enum, default_value_t = World::Linux)]
    world: World,
    /// How long each attack goes on
    #[arg(long, default_value_t = 8)]
    seconds: u32,
    /// One attack alone, by a part of its test's name: slow_heads, endless_chunks, ..
    #[arg(long, default_value = "")]
    kind: String,
    /// Against the server as it is delivered, rather than with what debugging adds
    #[arg(long)]
    release: bool,
}

impl Options {
    /// Each attack on Linux for a few seconds.
    pub(crate) fn smoke() -> Self {
        Self { world: World::Linux, seconds: 4, kind: String::new(), release: false }
    }
}

/// Runs the step. Firmware is always as it is delivered; its tests are part of `ci/qemu`'s, which
/// `cargo xtask test` runs all.
pub(crate) fn run(options: &Options) -> Result<()> {
    let (package, prefix) = match options.world {
        World::Linux => ("attack", "linux::"),
        World::Board => ("qemu", "attack::"),
    };
    let mut test = cargo(30).args(["test", "--locked", "-p", package, "--test", "it"]);
    if options.release && options.world == World::Linux {
        test = test.args(["--release"]);
    }
    // The name of one test, or the module of all.
    let filter = if options.kind.is_empty() { prefix } else { &options.kind };
    test.args(["--", "--nocapture", filter])
        .env("ATTACK_SECONDS", options.seconds.to_string())
        .tests()
        .map(drop)
}
