//! `cargo xtask bench tails`: the longest turn of the event loop, in instructions.
//!
//! A turn is what everybody waits for, so each loop in it has a budget. Here it is shown that the
//! budgets hold: a situation is first measured with a few, which tells what one costs in all its
//! turns; then with thousands. Whatever their number, the longest turn must not exceed
//!
//! ```text
//!   the longest turn with FEW  +  the budget x what one costs
//! ```
//!
//! A loop that no budget bounds grows with the number, and crosses that. Where one is known to, the
//! table says why, and what it comes to.

mod crowd;
mod situations;
mod spin;
mod turns;

use anyhow::{Context, Result, bail, ensure};

use super::memory;
use crate::process::cargo;
use situations::{ALL, Situation};

/// What is asked for, unless a situation is about something else.
const PATH: &str = "/plaintext";
/// What a turn may be longer than its bound: what depends on who was scheduled when, and what is
/// done once a second.
const SLACK: f64 = 1.1;
const SLACK_INSTRUCTIONS: f64 = 1_000.0;

/// A row of the table.
struct Row {
    name: &'static str,
    item: &'static str,
    budget: u64,
    storm: usize,
    turns: usize,
    median: u64,
    longest: u64,
    each: u64,
    bound: u64,
    grows: &'static str,
}

/// Measures all situations, or those whose names have `TAILS_ONLY` of the environment in them
/// (`spin`: none, but what spinning does), and prints the table; `short`: with fewer connections.
/// `gate`: fails when a turn was longer than its bound.
pub(super) fn table(short: bool, gate: bool) -> Result<()> {
    let build = ["build", "--release", "--locked", "-p", "bench", "--example", "tails"];
    cargo(20).args(build).run()?;
    memory::raise_descriptors()?;
    let only = std::env::var("TAILS_ONLY").unwrap_or_default();
    let mut rows = Vec::new();
    for situation in ALL.iter().filter(|situation| situation.name.contains(&only)) {
        let row = measure(situation, short).with_context(|| situation.name.to_owned())?;
        println!("{}", row.line());
        rows.push(row);
    }
    println!("\n{HEAD}");
    rows.iter().for_each(|row| println!("{}", row.line()));
    if !short && (only.is_empty() || only == "spin") {
        spin::table()?;
    }
    ensure!(!gate || !rows.is_empty(), "no situation's name has {only:?} in it");
    let over: Vec<&str> = rows.iter().filter(|row| row.fails()).map(|row| row.name).collect();
    if gate && !over.is_empty() {
        bail!("turns that are longer than their budgets allow:\n{}", over.join("\n"));
    }
    Ok(())
}

const HEAD: &str = "\
| situation | N | turns | median | longest | bounded by | one costs | at most | |
|---|---|---|---|---|---|---|---|---|";

fn measure(situation: &Situation, short: bool) -> Result<Row> {
    let storm = if short { situation.storm_in_short } else { situation.storm };
    let (few, some) = situation.few;
    let with_few = situation.turns(few, false).context("with few")?;
    let with_some = situation.turns(some, false).context("with some")?;
    let many = situation.turns(storm, true).context("in the storm")?;
    let cost =
        |turns: &[u64]| if situation.is_a_turn { longest(turns) } else { turns.iter().sum() };
    let each = cost(&with_some).saturating_sub(cost(&with_few)) / (some - few) as u64;
    Ok(Row {
        name: situation.name,
        item: situation.item,
        budget: situation.budget,
        storm,
        turns: many.len(),
        median: median(&many),
        longest: longest(&many),
        each,
        // What grows with its number may grow by no more than what it does for each.
        bound: longest(&with_few)
            + each * if situation.grows.is_empty() { situation.budget } else { storm as u64 },
        grows: situation.grows,
    })
}

fn longest(turns: &[u64]) -> u64 {
    turns.iter().copied().max().unwrap_or(0)
}

fn median(turns: &[u64]) -> u64 {
    let mut turns = turns.to_vec();
    turns.sort_unstable();
    turns.get(turns.len() / 2).copied().unwrap_or(0)
}

impl Row {
    fn holds(&self) -> bool {
        self.longest as f64 <= self.bound as f64 * SLACK + SLACK_INSTRUCTIONS
    }

    fn fails(&self) -> bool {
        !self.holds()
    }

    fn line(&self) -> String {
        let Self { name, item, budget, storm, turns, median, longest, each, bound, grows } = self;
        let verdict = if self.holds() { grows } else { "LONGER" };
        format!(
            "| {name} | {storm} | {turns} | {median} | {longest} | {budget} x {item} | {each} | \
             {bound} | {verdict} |"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(longest: u64) -> Row {
        let (name, item) = ("n", "i");
        Row {
            name,
            item,
            budget: 4,
            storm: 9,
            turns: 1,
            median: 1,
            longest,
            each: 20,
            bound: 10_000,
            grows: "",
        }
    }

    #[test]
    fn a_turn_over_its_bound_is_seen() {
        for (longest, holds) in [(0, true), (12_000, true), (12_001, false)] {
            assert_eq!(row(longest).holds(), holds, "{longest}");
            assert_eq!(row(longest).fails(), !holds, "{longest}");
            assert_eq!(row(longest).line().contains("LONGER"), !holds, "{longest}");
        }
        let known = Row { grows: "they move together", ..row(12_000) };
        assert!(!known.fails() && known.line().contains("they move together"));
        assert!(Row { grows: "they move together", ..row(12_001) }.fails());
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), 0);
        assert_eq!(median(&[9, 1, 5]), 5);
    }
}
