//! `cargo xtask miri`: core's unit tests under Miri with strict provenance, which shows undefined
//! behaviour in the three modules that may contain `unsafe`.

use anyhow::Result;

use crate::metadata;
use crate::process::Run;

/// Tests of these modules run: those with `unsafe`, and the tables that lie on top of them.
const MODULES: &[&str] = &["memory", "wake", "task", "slab", "list", "pool"];

/// Runs the step.
pub(crate) fn run() -> Result<()> {
    // Leaks are not looked for: memory in which a future was forgotten is leaked on purpose.
    let flags = "-Zmiri-strict-provenance -Zmiri-ignore-leaks";
    let filters = MODULES.iter().map(|module| format!("{module}::"));
    let tests = Run::new("rustup", 15)
        .args(["run", "nightly", "cargo", "miri", "test", "--quiet"])
        .args(["-p", "dustdevil-core", "--lib", "--"])
        .args(filters)
        .env("MIRIFLAGS", flags)
        .env("CARGO_TARGET_DIR", metadata::target_folder()?.join("miri"));
    tests.tests()?;
    Ok(())
}
