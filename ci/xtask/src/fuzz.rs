//! `cargo xtask fuzz`: each fuzz target for a while, from its seeds and its corpus.
//!
//! The targets are binaries of `ci/fuzz` over libFuzzer. The flags are those that `cargo fuzz`
//! passes, without a sanitizer (what is fuzzed forbids `unsafe`), so stable Rust builds them and
//! nothing else needs to be installed.
//!
//! What a target finds to be new it keeps in `target/fuzz/corpus/<target>`, and the next run goes
//! on from there. An input with which it fails lies in `target/fuzz/artifacts/<target>`, and
//! `cargo xtask fuzz --target T --input FILE` runs it again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::metadata::{self, Metadata};
use crate::process::{Run, cargo};

/// Coverage of every edge and comparison, as `cargo fuzz` asks for it, in one unit a crate.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Ccodegen-units=1";

/// As released, but with every assertion; the oracle without, since its own are not our concern.
const PROFILE: &[&str] = &[
    "profile.release.lto=false",
    "profile.release.debug-assertions=true",
    "profile.release.overflow-checks=true",
    "profile.release.package.milo-parser.debug-assertions=false",
    "profile.release.package.milo-parser.overflow-checks=false",
];

/// libFuzzer's output goes to a file: it is shown where something was found, and summed up else.
const INTO_LOG: &str = "exec \"$@\" 2>\"$FUZZ_LOG\"";

/// How many of its last lines are shown.
const LINES_SHOWN: usize = 60;

/// What is fuzzed, and for how long.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// This target alone
    #[arg(long)]
    target: Option<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// Minutes for each target
    #[arg(long, conflicts_with = "seconds")]
    minutes: Option<u32>,
    /// Run the target with this input alone
    #[arg(long, requires = "target")]
    input: Option<PathBuf>,
}

impl Options {
    /// All targets, for so many seconds each.
    pub(crate) fn smoke(seconds: u32) -> Self {
        Self { target: None, seconds, minutes: None, input: None }
    }
}

/// Runs the step.
pub(crate) fn run(options: &Options) -> Result<()> {
    let package = Metadata::of_workspace()?.package("fuzz").context("ci/fuzz is not there")?;
    let targets: Vec<&str> = match &options.target {
        None => package.binaries().collect(),
        Some(wanted) => package.binaries().filter(|name| name == wanted).collect(),
    };
    let names = || package.binaries().collect::<Vec<_>>().join(", ");
    ensure!(!targets.is_empty(), "there is no such target; there are: {}", names());
    // The host's triple is given by name, so that the flags reach no build script or proc macro.
    let host = Run::new("rustc", 1).args(["--print", "host-tuple"]).output()?;
    let folder = metadata::target_folder()?.join("fuzz");
    cargo(15)
        .args(["build", "--locked", "--release"])
        .args(PROFILE.iter().flat_map(|setting| ["--config", *setting]))
        .args(["-p", &package.name, "--target", host.trim()])
        .args(targets.iter().flat_map(|target| ["--bin", *target]))
        .env("RUSTFLAGS", FLAGS)
        .env("CARGO_TARGET_DIR", &folder)
        .run()?;
    let binaries = folder.join(host.trim()).join("release");
    let seconds = options.minutes.map_or(options.seconds, |minutes| minutes * 60);
    let mut executions = 0;
    for target in &targets {
        let binary = binaries.join(target).display().to_string();
        match &options.input {
            Some(input) => Run::new(&binary, 5).args([input]).run()?,
            None => executions += fuzz(target, &binary, &folder, seconds)?,
        }
    }
    if options.input.is_none() {
        println!("fuzz: {} targets, {executions} executions, 0 findings", targets.len());
    }
    Ok(())
}

/// Runs one target; how often it was executed.
fn fuzz(target: &str, binary: &str, folder: &Path, seconds: u32) -> Result<u64> {
    let place = |kind: &str| folder.join(kind).join(target);
    let (found, seeds, artifacts) = (place("corpus"), place("seeds"), place("artifacts"));
    for folder in [&found, &seeds, &artifacts] {
        fs::create_dir_all(folder)?;
    }
    let log = folder.join(format!("{target}.log"));
    // libFuzzer adds what it finds to the first folder; the committed one grows by hand alone.
    let mut folders = vec![found, seeds.clone()];
    folders
        .extend(Some(metadata::root().join("ci/fuzz/corpus").join(target)).filter(|f| f.is_dir()));
    let words = metadata::root().join("ci/fuzz/http_proto.dict");
    let began = Instant::now();
    let outcome = Run::new("sh", seconds / 60 + 5)
        .args(["-c", INTO_LOG, "sh", binary, &format!("-max_total_time={seconds}")])
        .args(["-timeout=5", "-rss_limit_mb=2048", "-print_final_stats=1"])
        .args([format!("-artifact_prefix={}/", artifacts.display())])
        .args([format!("-dict={}", words.display())])
        .args(&folders)
        // What was found is told by the panic's message; libFuzzer shows the stack as well.
        .env("RUST_BACKTRACE", "0")
        .env("FUZZ_LOG", &log)
        .env("FUZZ_SEEDS", &seeds)
        .run();
    let text = fs::read(&log).with_context(|| log.display().to_string())?;
    let text = String::from_utf8_lossy(&text);
    if let Err(error) = outcome {
        let lines: Vec<&str> = text.lines().collect();
        eprintln!("{}", lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n"));
        println!("fuzz {target}: a finding within {} s", began.elapsed().as_secs());
        bail!(
            "{error:#}\nits input lies in {}; all that was said: {}",
            artifacts.display(),
            log.display()
        );
    }
    let summary =
        Summary::of(&text).with_context(|| format!("{} is not as usual", log.display()))?;
    let Summary { executions, seeds, edges } = summary;
    ensure!(seeds > 1, "{target} had nothing to begin with");
    println!(
        "fuzz {target}: {executions} executions in {} s from {seeds} inputs, edges {} -> {}",
        began.elapsed().as_secs(),
        edges.0,
        edges.1
    );
    Ok(executions)
}

/// What libFuzzer tells of a run.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    executions: u64,
    /// Inputs that it began with.
    seeds: u64,
    /// Edges seen with these, and at the end.
    edges: (u64, u64),
}

impl Summary {
    fn of(log: &str) -> Option<Self> {
        let number = |line: &str, name: &str| {
            let mut words = line.split_whitespace().skip_while(|word| *word != name);
            words.nth(1)?.parse().ok()
        };
        let begun = log.lines().find(|line| line.contains("INITED"))?;
        let done = log.lines().find(|line| line.contains("DONE"))?;
        let executed =
            log.lines().find(|line| line.starts_with("stat::number_of_executed_units"))?;
        let seeds = begun.strip_prefix('#')?.split_whitespace().next()?.parse().ok()?;
        Some(Self {
            executions: number(executed, "stat::number_of_executed_units:")?,
            seeds,
            edges: (number(begun, "cov:")?, number(done, "cov:")?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_summed_up() {
        let log = "INFO: seed corpus: files: 105 min: 4b\n\
            #106\tINITED cov: 900 ft: 2100 corp: 88/5Kb exec/s: 0 rss: 40Mb\n\
            #4096\tNEW    cov: 901 ft: 2104 corp: 89/5Kb lim: 300 exec/s: 0\n\
            #70000\tDONE   cov: 950 ft: 3000 corp: 120/8Kb lim: 400 exec/s: 3500 rss: 50Mb\n\
            stat::number_of_executed_units: 70000\n";
        let summary = Summary { executions: 70_000, seeds: 106, edges: (900, 950) };
        assert_eq!(Summary::of(log), Some(summary));
        assert_eq!(Summary::of(&log.replace("DONE", "NEW")), None);
    }
}
