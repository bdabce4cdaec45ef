//! `cargo xtask loom`: explores every interleaving of core's wake path, with loom's atomics in the
//! place of the real ones (`--cfg loom`).

use anyhow::Result;

use crate::metadata;
use crate::process::cargo;

/// Runs the step.
pub(crate) fn run() -> Result<()> {
    // Optimised, since loom runs each test thousands of times; in a folder of its own, since other
    // flags would rebuild everything.
    let tests = cargo(15)
        .args(["test", "--release", "--config", "profile.release.lto=false"])
        .args(["-p", "dustdevil-core", "--lib", "wake::"])
        .env("RUSTFLAGS", "--cfg loom")
        .env("CARGO_TARGET_DIR", metadata::target_folder()?.join("loom"));
    tests.tests()?;
    Ok(())
}
