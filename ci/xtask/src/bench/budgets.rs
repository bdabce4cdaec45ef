//! `ci/budgets.toml`: what was measured, and how much more a change may cost.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use toml::{Table, Value};

use crate::metadata;

/// How much better a figure must be for its budget to be written anew.
const IMPROVEMENT: f64 = 0.02;

/// By how many bytes a stack may have become deeper.
const STACK_SLACK_BYTES: f64 = 64.0;

/// What stands above the figures.
const HEADER: &str = "\
# What was measured, by `cargo xtask bench --write`. `cargo xtask bench --gate` fails when a figure
# is exceeded by more than 5 % (instructions a request), 10 % (instructions a connect), 50 %
# (instructions an idle second), 0.5 % (flash), 64 bytes (peak of the stack) or at all (static RAM,
# futures, system calls, bytes a connection). A commit that makes one better by over 2 % writes it
# in; one that raises a budget says what was bought.
";

/// One measured value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figure {
    /// Where it lies in the file: `instructions.c64`.
    pub(super) key: String,
    /// Rounded as it is written: the same measurement compares equal to itself.
    pub(super) value: f64,
}

impl Figure {
    /// A value as it is written: small ones with two decimals.
    pub(super) fn new(key: impl Into<String>, value: f64) -> Self {
        let key = key.into();
        // Memory is touched page by page: the next whole byte holds the two pages of noise.
        let value = if key.starts_with("memory.") { value.ceil() } else { value };
        let unit = if value < 100.0 { 100.0 } else { 1.0 };
        Self { key, value: (value * unit).round() / unit }
    }

    /// By how much the budget may be exceeded.
    fn slack(&self, budget: f64) -> f64 {
        match self.key.as_str() {
            "instructions.connect" => budget / 10.0,
            key if key.ends_with(".instructions_connect") => budget / 10.0,
            // A wake-up more or less in a second.
            key if key.ends_with(".instructions_idle_second") => budget / 2.0,
            key if key.contains(".instructions_") => budget / 20.0,
            key if key.starts_with("instructions.") => budget / 20.0,
            key if key.ends_with(".flash_bytes") => budget / 200.0,
            // An interrupt at the deepest moment: its frame and its handler's.
            key if key.ends_with(".stack_peak_bytes") => STACK_SLACK_BYTES,
            // Noise in the last digit: one call more in a turn of 64 requests adds 0.016.
            key if key.starts_with("system_calls.") => 0.01,
            _ => 0.0,
        }
    }
}

/// The figures of the file.
pub(super) fn read() -> Result<BTreeMap<String, f64>> {
    let path = path();
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    flatten(&text).context("ci/budgets.toml")
}

/// Writes the figures; those that were not measured this time stay.
pub(super) fn write(figures: &[Figure]) -> Result<()> {
    let mut all = if path().exists() { read()? } else { BTreeMap::new() };
    all.extend(figures.iter().map(|figure| (figure.key.clone(), figure.value)));
    std::fs::write(path(), text(&all)).context("write ci/budgets.toml")
}

/// Prints each figure beside its budget, and returns those that crossed theirs.
pub(super) fn compare(figures: &[Figure], budgets: &BTreeMap<String, f64>) -> Vec<String> {
    let mut crossed = Vec::new();
    for figure in figures {
        let Figure { key, value } = figure;
        let Some(budget) = budgets.get(key) else {
            println!("{key:52} {value:>10}");
            crossed.push(format!("{key} has no budget; `cargo xtask bench --write` writes it"));
            continue;
        };
        let change = if *budget == 0.0 { 0.0 } else { (value / budget - 1.0) * 100.0 };
        println!("{key:52} {value:>10}  budget {budget:>10}  {change:+.1} %");
        // Half a digit, since sums of decimals are not exact.
        if value - budget > figure.slack(*budget) + 0.004 {
            crossed.push(format!("{key} is {value}, its budget {budget}"));
        } else if *value < budget * (1.0 - IMPROVEMENT) {
            println!("{key} got better: write it in with `cargo xtask bench --write`");
        }
    }
    crossed
}

/// Fails unless each figure keeps its budget, and each budget was measured.
pub(super) fn gate(figures: &[Figure], budgets: &BTreeMap<String, f64>) -> Result<()> {
    let mut crossed = compare(figures, budgets);
    let measured = |key: &&String| figures.iter().any(|figure| figure.key == **key);
    let unmeasured = budgets.keys().filter(|key| !measured(key));
    crossed.extend(unmeasured.map(|key| format!("{key} has a budget and was not measured")));
    if !crossed.is_empty() {
        bail!("{} budgets are crossed:\n{}", crossed.len(), crossed.join("\n"));
    }
    Ok(())
}

fn path() -> PathBuf {
    metadata::root().join("ci/budgets.toml")
}

fn flatten(text: &str) -> Result<BTreeMap<String, f64>> {
    fn walk(prefix: &str, table: &Table, out: &mut BTreeMap<String, f64>) -> Result<()> {
        for (key, value) in table {
            let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            match value {
                Value::Table(table) => walk(&key, table, out)?,
                Value::Integer(value) => drop(out.insert(key, *value as f64)),
                Value::Float(value) => drop(out.insert(key, *value)),
                other => bail!("{key} is a {}, not a number", other.type_str()),
            }
        }
        Ok(())
    }
    let mut out = BTreeMap::new();
    walk("", &text.parse::<Table>()?, &mut out)?;
    Ok(out)
}

fn text(all: &BTreeMap<String, f64>) -> String {
    let mut out = HEADER.to_owned();
    let mut section = "";
    for (key, value) in all {
        let (own, name) = key.rsplit_once('.').unwrap_or(("", key));
        if own != section {
            // Writing to a String cannot fail.
            let _ = write!(out, "\n[{own}]\n");
            section = own;
        }
        let _ = writeln!(out, "{name} = {value}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_crossed_beyond_its_tolerance() {
        let table = [
            ("instructions.c64", 1000.0, 1050.0, true),
            ("instructions.c64", 1000.0, 1051.0, false),
            ("instructions.connect", 1000.0, 1100.0, true),
            ("instructions.connect", 1000.0, 1101.0, false),
            ("firmware.hello.flash_bytes", 10_000.0, 10_050.0, true),
            ("firmware.hello.flash_bytes", 10_000.0, 10_051.0, false),
            ("firmware.hello.static_bytes", 1000.0, 1000.0, true),
            ("firmware.hello.static_bytes", 1000.0, 1001.0, false),
            ("board.b.bench.instructions_get", 8000.0, 8400.0, true),
            ("board.b.bench.instructions_get", 8000.0, 8401.0, false),
            ("board.b.bench.instructions_connect", 20_000.0, 22_000.0, true),
            ("board.b.bench.instructions_connect", 20_000.0, 22_001.0, false),
            ("board.b.bench.instructions_idle_second", 400.0, 600.0, true),
            ("board.b.bench.instructions_idle_second", 400.0, 601.0, false),
            ("board.b.bench.stack_peak_bytes", 2000.0, 2064.0, true),
            ("board.b.bench.stack_peak_bytes", 2000.0, 2065.0, false),
            ("board.b.bench.connection_bytes", 2400.0, 2400.0, true),
            ("board.b.bench.connection_bytes", 2400.0, 2401.0, false),
            ("system_calls.c64", 2.02, 2.03, true),
            ("system_calls.c64", 2.02, 2.04, false),
            ("memory.idle_connection_bytes", 32.0, 31.0, true),
            ("memory.idle_connection_bytes", 32.0, 32.4, false),
        ];
        for (key, budget, value, passes) in table {
            let budgets = BTreeMap::from([(key.to_owned(), budget)]);
            let outcome = gate(&[Figure::new(key, value)], &budgets);
            assert_eq!(outcome.is_ok(), passes, "{key} {value} of {budget}");
        }
    }

    #[test]
    fn a_figure_without_a_budget_fails_and_so_does_a_budget_without_a_figure() {
        let figure = Figure::new("system_calls.c1", 3.0);
        assert!(gate(std::slice::from_ref(&figure), &BTreeMap::new()).is_err());
        assert!(gate(&[], &BTreeMap::from([(figure.key, 3.0)])).is_err());
    }

    #[test]
    fn what_is_written_is_read_again() -> Result<()> {
        let all = BTreeMap::from([
            ("firmware.hello.flash_bytes".to_owned(), 10_240.0),
            ("instructions.c1".to_owned(), 1975.0),
            ("system_calls.c64".to_owned(), 2.02),
        ]);
        assert_eq!(flatten(&text(&all))?, all);
        assert!(flatten("a = \"b\"").is_err());
        Ok(())
    }
}
