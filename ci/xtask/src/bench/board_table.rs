//! The board's table: the floor, ours and other people's servers, measured alike in one run.
//!
//! The others are firmware of the package `ci/bench/board`; they stand on the same start-up, clock
//! and loops over the controller's FIFOs, on the same `memcpy`, have buffers of the same size and
//! get the same load. So nothing here is quoted from elsewhere. What they do not share with ours is
//! said below the table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ::qemu::counts::Plugin;
use ::qemu::firmware::{Address, Peer};
use ::qemu::image::Image;
use anyhow::{Result, ensure};

use super::{board, sizes};
use crate::boards::{Board, port_of};

/// The board that peers have firmware for.
const BOARD: &str = "lm3s6965evb";

/// The columns; ours is built from `boards/`, each other one from the peers' package.
const SERVERS: [&str; 4] = [FLOOR, OURS, "picoserve", "edge-http"];
const FLOOR: &str = "floor";
const OURS: &str = "ours";

/// How often a cost is taken; the middle one is kept. The servers lie further apart than two tries.
const TRIES: usize = 3;

/// What firmware of the peers prints when it panics.
const PANICKED: &str = "panicked";

/// A row of the table.
struct Row {
    key: &'static str,
    name: &'static str,
    /// What ours may need at most.
    goal: Option<u64>,
}

/// The rows. For each, less is better.
const ROWS: &[Row] = &[
    row("instructions_get", "instructions, keep-alive GET /", Some(7_500)),
    row("instructions_get_parameter", "instructions, GET with a path parameter", Some(7_700)),
    row("instructions_connect", "instructions, connect + request + close", Some(21_000)),
    row("flash_bytes", "flash, bytes", Some(34_000)),
    row("flash_dhcp_bytes", "flash with DHCP, bytes", Some(40_000)),
    row("static_bytes", ".data + .bss, bytes", None),
    row("stack_peak_bytes", "peak stack, bytes", None),
    row("ram_bytes", ".data + .bss + peak stack, bytes", Some(15_500)),
    row("connection_bytes", "RAM of one more connection, bytes", Some(2_420)),
    row("instructions_idle_second", "instructions a second, idle", Some(250)),
];

const fn row(key: &'static str, name: &'static str, goal: Option<u64>) -> Row {
    Row { key, name, goal }
}

/// What was measured: by server, then by row.
type Table = BTreeMap<&'static str, BTreeMap<&'static str, u64>>;

/// Measures all and prints the table, and a sentence for each goal that is missed and for each
/// figure in which another server is ahead. A smoke takes one figure of the floor.
pub(super) fn print(smoke: bool) -> Result<()> {
    let plugin = Plugin::build()?;
    if smoke {
        let elf = build(FLOOR, &[])?;
        let each = board::one_figure(&elf, &plugin)?;
        println!("{FLOOR}, GET / over keep-alive: {each:.0} instructions");
        return Ok(());
    }
    let mut table = Table::new();
    let mut notes = Vec::new();
    let mut failed = Vec::new();
    for server in SERVERS {
        println!("{server}:");
        // One that fails does not take the others' figures along.
        match measure(server, &plugin, &mut notes) {
            Ok(figures) => drop(table.insert(server, figures)),
            Err(error) => {
                println!("{server}: {error:#}");
                failed.push(server);
            }
        }
    }
    println!("\n{}", text(&table));
    notes.extend(sentences(&table));
    for note in notes {
        println!("- {note}");
    }
    println!(
        "- Less is better everywhere. {BOARD} in QEMU, 4 connections, a static address, buffers of \
         1,024 bytes each way and for a head. Mongoose is written in C and is not measured here."
    );
    println!(
        "- All are built for size, httparse at 3 wherever it is used; of ours the poller over \
         smoltcp at 2. Ours alone has a third route (/json), 3 buffers for heads where the \
         others have one for each connection, sums of its own, and smoltcp's tables as small as it \
         needs them."
    );
    ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(())
}

/// The ELF file of a server with a static address.
fn build(server: &str, environment: &[(&str, &str)]) -> Result<PathBuf> {
    match server {
        OURS => sizes::build(Board::find(BOARD)?, board::EXAMPLE),
        _ => Peer { bin: server, environment }.build(),
    }
}

fn measure(
    server: &'static str,
    plugin: &Plugin,
    notes: &mut Vec<String>,
) -> Result<BTreeMap<&'static str, u64>> {
    let elf = build(server, &[])?;
    let image = Image::read(&elf)?;
    let statics = image.static_bytes;
    let mut figures =
        BTreeMap::from([("flash_bytes", image.flash_bytes), ("static_bytes", statics)]);
    let connection = if server == OURS {
        let board = Board::find(BOARD)?;
        let dhcp = board.build(board::EXAMPLE, &Address::Dhcp, &[])?;
        figures.insert("flash_dhcp_bytes", Image::read(&dhcp)?.flash_bytes);
        sizes::of_one_connection(board, statics)?
    } else {
        // One more: with eight, not every peer would fit into the board's RAM.
        let one_more = &sizes::MORE_CONNECTIONS[..1];
        sizes::connection_bytes(statics, one_more, |environment| build(server, environment))?
    };
    figures.insert("connection_bytes", connection);
    let stack = stack_peak(server, &elf, &image, notes)?;
    figures.insert("stack_peak_bytes", stack);
    figures.insert("ram_bytes", statics + stack);
    for (name, value) in board::instructions(&elf, plugin, TRIES, false)? {
        figures.insert(name, value.round() as u64);
    }
    Ok(figures)
}

fn stack_peak(server: &str, elf: &Path, image: &Image, notes: &mut Vec<String>) -> Result<u64> {
    let port = port_of(board::EXAMPLE);
    let (peak, log) = sizes::stack_peak(elf, image, port, sizes::put_load_on_anybody)?;
    if log.contains(PANICKED) {
        notes.push(format!("{server} panicked under the load that its stack was measured with."));
    }
    Ok(peak.into())
}

/// The table as it is printed: a row a figure, a column a server.
fn text(table: &Table) -> String {
    let mut text = String::from("| |");
    for server in SERVERS {
        let _ = write!(text, " {server} |");
    }
    text.push_str(" goal |\n|---|");
    text.push_str(&"---:|".repeat(SERVERS.len() + 1));
    for row in ROWS {
        let _ = write!(text, "\n| {} |", row.name);
        let figures = SERVERS.iter().map(|server| figure(table, server, row));
        for figure in figures.chain([row.goal]) {
            let _ = write!(text, " {} |", figure.map_or_else(|| "-".to_owned(), grouped));
        }
    }
    text.push('\n');
    text
}

fn figure(table: &Table, server: &str, row: &Row) -> Option<u64> {
    table.get(server)?.get(row.key).copied()
}

/// What is to be said about ours: the goals that it misses, and who is ahead of it where.
fn sentences(table: &Table) -> Vec<String> {
    let mut sentences = Vec::new();
    for row in ROWS {
        let Some(ours) = figure(table, OURS, row) else { continue };
        if let Some(goal) = row.goal.filter(|goal| ours > *goal) {
            let (name, over) = (row.name, ours - goal);
            let (ours, goal, over) = (grouped(ours), grouped(goal), grouped(over));
            sentences.push(format!("Ours misses a goal: {name}: {ours}, {over} over {goal}."));
        }
        // The floor does nothing of a server's work, and is ahead by what that costs.
        for server in SERVERS.iter().filter(|server| ![FLOOR, OURS].contains(server)) {
            if let Some(theirs) = figure(table, server, row).filter(|theirs| *theirs < ours) {
                let (name, theirs, ours) = (row.name, grouped(theirs), grouped(ours));
                sentences.push(format!("{server} is ahead of ours: {name}: {theirs} to {ours}."));
            }
        }
    }
    if sentences.is_empty() {
        sentences.push("Ours meets every goal, and no peer is ahead of it anywhere.".to_owned());
    }
    sentences
}

/// A number with a comma between each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(figures: &[(&'static str, &'static str, u64)]) -> Table {
        let mut table = Table::new();
        for (server, key, value) in figures {
            table.entry(server).or_default().insert(key, *value);
        }
        table
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        let table = [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (21_071, "21,071"),
            (1_234_567, "1,234,567"),
        ];
        for (number, text) in table {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn a_figure_that_was_not_taken_is_shown_so() {
        let table = table(&[
            (FLOOR, "instructions_get", 6_630),
            (OURS, "instructions_get", 7_400),
            ("picoserve", "instructions_get", 35_900),
        ]);
        let text = text(&table);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "| | floor | ours | picoserve | edge-http | goal |");
        assert_eq!(lines[1], "|---|---:|---:|---:|---:|---:|");
        let row = "| instructions, keep-alive GET / | 6,630 | 7,400 | 35,900 | - | 7,500 |";
        assert_eq!(lines[2], row);
        assert_eq!(lines.len(), 2 + ROWS.len());
    }

    #[test]
    fn a_goal_is_missed_by_one_too_many() {
        for (flash, expected) in [(34_000, 0), (34_001, 1)] {
            let said = sentences(&table(&[(OURS, "flash_bytes", flash)]));
            let missed = said.iter().filter(|it| it.starts_with("Ours misses")).count();
            assert_eq!(missed, expected, "{said:?}");
        }
        let said = sentences(&table(&[(OURS, "flash_bytes", 69_956)]));
        assert_eq!(said, ["Ours misses a goal: flash, bytes: 69,956, 35,956 over 34,000."]);
    }

    #[test]
    fn who_is_ahead_of_ours_is_named_but_for_the_floor() {
        let said = sentences(&table(&[
            (FLOOR, "stack_peak_bytes", 1_400),
            (OURS, "stack_peak_bytes", 2_860),
            ("picoserve", "stack_peak_bytes", 2_859),
            ("edge-http", "stack_peak_bytes", 2_860),
        ]));
        assert_eq!(said, ["picoserve is ahead of ours: peak stack, bytes: 2,859 to 2,860."]);
    }

    #[test]
    fn each_figure_has_a_row_of_its_own() {
        let mut keys: Vec<&str> = ROWS.iter().map(|row| row.key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), ROWS.len());
    }
}
