//! `cargo xtask miri`: core's tests under Miri with strict provenance, which shows undefined
//! behaviour in the three modules that may contain `unsafe`.

use anyhow::Result;

use crate::metadata;
use crate::process::Run;

/// Tests of these modules run: those with `unsafe`, and the tables that lie on top of them.
const MODULES: &[&str] = &["memory", "wake", "task", "slab", "list", "pool", "remote"];

/// Tests of what pins futures on top of them, in a reactor over the simulator: what was forgotten,
/// and what a deadline ends.
const ON_THE_SIMULATOR: &[&str] = &["forgotten", "a_timeout"];

/// Runs the step.
pub(crate) fn run() -> Result<()> {
    let modules = MODULES.iter().map(|module| format!("{module}::")).collect::<Vec<_>>();
    test(&["--lib", "--"], &modules)?;
    let names = ON_THE_SIMULATOR.iter().map(ToString::to_string).collect::<Vec<_>>();
    test(&["--features", "sim", "--test", "it", "--"], &names)
}

fn test(which: &[&str], filters: &[String]) -> Result<()> {
    // Leaks are not looked for: memory in which a future was forgotten is leaked on purpose.
    let flags = "-Zmiri-strict-provenance -Zmiri-ignore-leaks";
    let tests = Run::new("rustup", 15)
        .args(["run", "nightly", "cargo", "miri", "test", "--quiet", "-p", "dustdevil-core"])
        .args(which)
        .args(filters)
        .env("MIRIFLAGS", flags)
        .env("CARGO_TARGET_DIR", metadata::target_folder()?.join("miri"));
    tests.tests()?;
    Ok(())
}
