//! `cargo xtask test`: set-up, then every test there is, and a table of how each step ended.

use anyhow::Result;

use crate::metadata::Metadata;
use crate::packages::{self, Build, Entry};
use crate::process::cargo;
use crate::report::Report;
use crate::{attack, bench, browser, check, fuzz, interop, loom, miri, qemu, setup, soak, tornado};

/// Seeds that the simulator runs here; `cargo xtask soak` runs more.
const SOAK_SEEDS: u64 = 1_000;

/// Idle connections of the simulator.
const SOAK_IDLE: usize = 1_000_000;

/// Seconds for each fuzz target here; `cargo xtask fuzz --minutes N` fuzzes for real.
const FUZZ_SECONDS: u32 = 12;

/// What is tested.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Leave out what takes minutes: Miri, loom, soak, fuzz, interop, QEMU, bench, browser
    #[arg(long)]
    quick: bool,
    /// Fail where Chromium or the right to make a network is missing, instead of leaving out what
    /// needs them
    #[arg(long)]
    ci: bool,
}

/// Runs the step.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut report = Report::default();
    report.step("setup", setup::run);
    for entry in packages::of(&[Build::Host])? {
        report.step(&format!("test {}", entry.name), || package(entry));
    }
    check::run_all(&mut report);
    if options.ci || tornado::is_possible() {
        report.step("tornado", || tornado::run(&tornado::Options::smoke()));
    } else {
        println!("\nTornado is not installed: nothing was compared with it.");
    }
    if !options.quick {
        report.step("miri", miri::run);
        report.step("loom", loom::run);
        report.step("soak", || soak::run(&soak::Options::of_seeds(SOAK_SEEDS)));
        report.step("soak --idle", || soak::run(&soak::Options::of_idle(SOAK_IDLE)));
        report.step("fuzz", || fuzz::run(&fuzz::Options::smoke(FUZZ_SECONDS)));
        report.step("attack linux", || attack::run(&attack::Options::smoke()));
        report.step("interop --smoke", || interop::run(&interop::Options::smoke(options.ci)));
        if options.ci || qemu::is_possible() {
            report.step("test boards in QEMU", qemu::test);
        } else {
            println!("\nNo network for a board can be made here: none was tested.");
        }
        report.step("bench --gate", || bench::run(&bench::Options::gate()));
        let smoke = bench::Options::smoke(bench::Place::Linux);
        report.step("bench linux --smoke", || bench::run(&smoke));
        let smoke = bench::Options::smoke(bench::Place::Board);
        report.step("bench board --smoke", || bench::run(&smoke));
        let smoke = bench::Options::smoke(bench::Place::Scale);
        report.step("bench scale --smoke", || bench::run(&smoke));
        let smoke = bench::Options::smoke(bench::Place::Tails).gated();
        report.step("bench tails --smoke --gate", || bench::run(&smoke));
        if options.ci || browser::is_installed() {
            report.step("browser", browser::run);
        } else {
            println!("\nChromium or its driver is not installed: the demo was not looked at.");
        }
    }
    report.close()
}

/// The unit, integration and doc tests of one package.
fn package(entry: &Entry) -> Result<()> {
    let declared = Metadata::of_workspace()?.package(entry.name);
    let has = |feature: &&&str| declared.is_some_and(|own| own.features.contains_key(**feature));
    let features: Vec<&str> = entry.test_features.iter().filter(has).copied().collect();
    let mut tests = cargo(20).args(["test", "--locked", "-p", entry.name]);
    if !features.is_empty() {
        tests = tests.args(["--features", &features.join(",")]);
    }
    tests.tests()?;
    Ok(())
}
