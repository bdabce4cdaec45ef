//! `cargo xtask bench`: the figures that do not drift.
//!
//! Instructions and system calls a request, memory an idle connection, and the size of firmware are
//! the same on a busy machine and on another one of its kind, so they may gate. Wall-clock time may
//! not, and is not taken here.
//!
//! ```text
//! cargo xtask bench                     everything
//! cargo xtask bench linux               the example `bench` as a process
//! cargo xtask bench board --profile     the boards' firmware in QEMU, and where a request goes
//! cargo xtask bench peers               ours beside the floor and other people's servers
//! cargo xtask bench board --gate        fails where a board's figure crosses its budget
//! ```

mod board;
mod budgets;
mod linux;
mod load;
mod memory;
mod peers;
mod rate;
mod server;
mod sizes;

use anyhow::Result;
use clap::ValueEnum;

pub(crate) use sizes::of_examples;

/// What is done with the figures.
#[derive(clap::Args, Default)]
pub(crate) struct Options {
    /// Measure only this
    place: Option<Place>,
    /// Fail when a figure crosses its budget in ci/budgets.toml
    #[arg(long, conflicts_with = "write")]
    gate: bool,
    /// Write the figures into ci/budgets.toml
    #[arg(long)]
    write: bool,
    /// Print the functions that a request's instructions on a board were spent in
    #[arg(long)]
    profile: bool,
    /// Of the peers only the floor and hyper, for a moment: shows that it works
    #[arg(long)]
    smoke: bool,
}

/// Where something is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    /// The example `bench` on Linux, and what hello costs without a network
    Linux,
    /// The examples' firmware on each board
    Board,
    /// The floor, ours and other people's servers on Linux, side by side
    Peers,
}

impl Place {
    /// Whether a figure of this key is measured here.
    fn measures(self, key: &str) -> bool {
        self != Self::Peers && key.starts_with("board.") == (self == Self::Board)
    }
}

impl Options {
    /// What `test` runs.
    pub(crate) fn gate() -> Self {
        Self { gate: true, ..Self::default() }
    }
}

/// Runs the step.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.place == Some(Place::Peers) {
        return peers::table(options.smoke);
    }
    let wanted = |place| options.place.is_none_or(|only| only == place);
    let mut figures = Vec::new();
    if wanted(Place::Linux) {
        figures.extend(linux::figures()?);
        figures.extend(sizes::of_null_board()?);
    }
    if wanted(Place::Board) {
        figures.extend(board::figures(options.profile)?);
    }
    let mut budgets = budgets::read()?;
    if options.write {
        budgets::compare(&figures, &budgets);
        return budgets::write(&figures);
    }
    if options.gate {
        budgets.retain(|key, _| options.place.is_none_or(|only| only.measures(key)));
        return budgets::gate(&figures, &budgets);
    }
    budgets::compare(&figures, &budgets);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_budget_is_measured_in_one_place() {
        let table = [
            ("board.lm3s6965evb.bench.flash_bytes", Place::Board),
            ("firmware.null-board.flash_bytes", Place::Linux),
            ("instructions.c1", Place::Linux),
        ];
        for (key, place) in table {
            let other = if place == Place::Board { Place::Linux } else { Place::Board };
            assert!(place.measures(key) && !other.measures(key), "{key}");
        }
    }
}
