//! `cargo xtask bench`: the figures that do not drift, and tables of ours beside others.
//!
//! Instructions and system calls a request, memory an idle connection, and the size of firmware are
//! the same on a busy machine and on another one of its kind, so they may gate. Wall-clock time may
//! not: it is in the tables alone, as a ratio.
//!
//! ```text
//! cargo xtask bench                     all of ours
//! cargo xtask bench linux               ours beside the floor and other people's servers
//! cargo xtask bench linux --own         ours alone: the example `bench` as a process
//! cargo xtask bench board               the board's firmware in QEMU beside the floor and peers
//! cargo xtask bench board --profile     ours alone, and where a request goes
//! cargo xtask bench board --gate        fails where a board's figure crosses its budget
//! cargo xtask bench scale               real connections, as many as there are descriptors for
//! cargo xtask bench tails               the loop's longest turn; --gate fails beyond its bound
//! ```

mod board;
mod board_table;
mod budgets;
mod cores;
mod linux;
mod load;
mod memory;
mod peers;
mod rate;
mod rounds;
mod scale;
mod server;
mod sizes;
mod table;
mod tails;

use anyhow::Result;
use clap::ValueEnum;

pub(crate) use scale::holder::{Options as Hold, run as hold};
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
    /// Of the peers only a few, for a moment: shows that it works
    #[arg(long)]
    smoke: bool,
    /// Measure ours alone
    #[arg(long)]
    own: bool,
}

/// Where something is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    /// The floor, ours and other people's servers on Linux, side by side
    Linux,
    /// The floor's, ours and other people's firmware on the board, side by side
    Board,
    /// Several processes of ours with thousands of idle connections each
    Scale,
    /// The longest turn of the event loop, in instructions
    Tails,
}

impl Place {
    /// Whether a figure of this key is measured here.
    fn measures(self, key: &str) -> bool {
        match self {
            Self::Linux => !key.starts_with("board."),
            Self::Board => key.starts_with("board."),
            Self::Scale | Self::Tails => false,
        }
    }
}

impl Options {
    /// What `test` runs.
    pub(crate) fn gate() -> Self {
        Self { gate: true, ..Self::default() }
    }

    /// A table of which the figures mean nothing, but that all of them can be taken.
    pub(crate) fn smoke(place: Place) -> Self {
        Self { place: Some(place), smoke: true, ..Self::default() }
    }

    /// The same, failing where a figure crosses its bound.
    pub(crate) fn gated(self) -> Self {
        Self { gate: true, ..self }
    }
}

/// Runs the step.
pub(crate) fn run(options: &Options) -> Result<()> {
    let is_table = !(options.own || options.gate || options.write || options.profile);
    match options.place {
        Some(Place::Linux) if is_table => return linux::table(options.smoke),
        Some(Place::Board) if is_table => return board_table::print(options.smoke),
        Some(Place::Scale) => return scale::report(options.smoke),
        Some(Place::Tails) => return tails::table(options.smoke, options.gate),
        Some(Place::Linux | Place::Board) | None => {}
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
