//! `cargo xtask fuzz`: each fuzz target for a while, from its corpus.
//!
//! The targets are binaries of `ci/fuzz` over libFuzzer. The flags are those that `cargo fuzz`
//! passes, without a sanitizer (what is fuzzed forbids `unsafe`), so stable Rust builds them and
//! nothing else needs to be installed.

use anyhow::{Context, Result, ensure};

use crate::metadata::{self, Metadata};
use crate::process::{Run, cargo};

/// Coverage of every edge and comparison, as `cargo fuzz` asks for it, and the debug assertions.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cdebug-assertions -Ccodegen-units=1";

/// How long it fuzzes.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Seconds for each target
    #[arg(long, default_value_t = 20)]
    pub(crate) seconds: u32,
}

/// Runs the step.
pub(crate) fn run(options: &Options) -> Result<()> {
    let package = Metadata::of_workspace()?.package("fuzz").context("ci/fuzz is not there")?;
    // The host's triple is given by name, so that the flags reach no build script or proc macro.
    let host = Run::new("rustc", 1).args(["--print", "host-tuple"]).output()?;
    let folder = metadata::target_folder()?.join("fuzz");
    cargo(15)
        .args(["build", "--locked", "--release", "--config", "profile.release.lto=false"])
        .args(["-p", &package.name, "--target", host.trim()])
        .env("RUSTFLAGS", FLAGS)
        .env("CARGO_TARGET_DIR", &folder)
        .run()?;
    let is_bin = |kinds: &[String]| kinds.iter().any(|kind| kind == "bin");
    let mut count = 0;
    for target in package.targets.iter().filter(|target| is_bin(&target.kind)) {
        let binary = folder.join(host.trim()).join("release").join(&target.name);
        let corpus = metadata::root().join("ci/fuzz/corpus").join(&target.name);
        let files = std::fs::read_dir(&corpus).with_context(|| corpus.display().to_string())?;
        ensure!(files.count() > 0, "{} is empty", corpus.display());
        // libFuzzer adds what it finds to the first folder; the committed one grows by hand alone.
        let found = folder.join("corpus").join(&target.name);
        let artifacts = folder.join("artifacts").join(&target.name);
        std::fs::create_dir_all(&found)?;
        std::fs::create_dir_all(&artifacts)?;
        let words = metadata::root().join("ci/fuzz").join(format!("{}.dict", target.name));
        Run::new(&binary.display().to_string(), options.seconds / 60 + 5)
            .args([format!("-max_total_time={}", options.seconds)])
            .args(["-timeout=5", "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=0"])
            .args([format!("-artifact_prefix={}/", artifacts.display())])
            .args([format!("-dict={}", words.display())])
            .args([&found, &corpus])
            .run()
            .with_context(|| format!("what it found lies in {}", artifacts.display()))?;
        count += 1;
    }
    ensure!(count > 0, "ci/fuzz has no target");
    Ok(())
}
