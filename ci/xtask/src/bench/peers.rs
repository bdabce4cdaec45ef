//! The floor, ours and other people's servers, in one run.
//!
//! Every figure is a ratio to the floor, or a count that does not drift. Rates and CPU time are
//! taken in rounds in which each server has its turn, so that what else the machine does meets all
//! of them alike, and of each the middle round's ratio is kept. A server has one core to itself,
//! the generator another.
//!
//! The peers are built from `ci/bench`, a workspace of its own; nginx and Tornado take part where
//! they are installed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::load;
use super::server::{self, Counter, Program};
use super::{linux, memory, rate};
use crate::metadata;
use crate::process::cargo;

/// Rounds of a rate; the middle one counts.
const ROUNDS: usize = 7;
const SMOKE_ROUNDS: usize = 1;

/// What is measured as a rate: its name, what is asked for, connections, requests on the way at
/// once on each, and requests a round.
const RATES: &[(&str, &str, usize, usize, usize)] = &[
    ("64", "/plaintext", 64, 1, 40_000),
    ("pipelined", "/plaintext", 64, 16, 200_000),
    ("json", "/json", 64, 1, 40_000),
];

/// The name of the one that all others are compared with.
const FLOOR: &str = "floor";

/// A table of figures: by server, then by column.
type Table = BTreeMap<String, BTreeMap<String, f64>>;

/// Measures all, and prints the table. A smoke has one short round, and only the floor, ours and
/// hyper.
pub(super) fn table(smoke: bool) -> Result<()> {
    let programs = programs(smoke)?;
    println!("in this run: {}", programs.iter().map(|it| it.name).collect::<Vec<_>>().join(", "));
    let mut table = Table::new();
    let cores = cores()?;
    for (name, path, connections, pipelined, requests) in RATES {
        let requests = if smoke { requests / 40 } else { *requests };
        let load = Load { path, connections: *connections, pipelined: *pipelined, requests };
        let rounds = if smoke { SMOKE_ROUNDS } else { ROUNDS };
        rates(&mut table, name, &programs, load, rounds, &cores)?;
    }
    counts(&mut table, &programs, if smoke { 8 } else { 1 }, &cores)?;
    print!("{}", text(&table, &programs));
    Ok(())
}

/// One rate to be taken.
#[derive(Clone, Copy)]
struct Load {
    path: &'static str,
    connections: usize,
    pipelined: usize,
    requests: usize,
}

/// The two cores: the server's and the generator's.
struct Cores {
    all: CpuSet,
    server: usize,
    generator: CpuSet,
}

fn cores() -> Result<Cores> {
    let all = sched_getaffinity(None).context("ask for the cores")?;
    let mut each = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core));
    let server = each.next().context("no core")?;
    let mut generator = CpuSet::new();
    generator.set(each.next().unwrap_or(server));
    Ok(Cores { all, server, generator })
}

/// Takes one rate of every server, in rounds.
fn rates(
    table: &mut Table,
    name: &str,
    programs: &[Program],
    load: Load,
    rounds: usize,
    cores: &Cores,
) -> Result<()> {
    // By server: its requests a second and CPU time a request, in each round.
    let mut taken: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for _ in 0..rounds {
        for program in programs {
            let core = cores.server.to_string();
            let running = program.start(&["taskset", "-c", &core], load.path, load.connections)?;
            let target = load::Server::at(running.address).path(load.path);
            sched_setaffinity(None, &cores.generator).context("move to the other core")?;
            let warm = rate::run(&target, load.connections, load.pipelined, load.requests / 10);
            let before = cpu_time(running.id())?;
            let took = warm
                .and_then(|_| rate::run(&target, load.connections, load.pipelined, load.requests));
            let cpu = cpu_time(running.id())?.saturating_sub(before);
            sched_setaffinity(None, &cores.all).context("leave the one core")?;
            let took = took.with_context(|| format!("{}, {name}", program.name))?;
            let requests = load.requests as f64;
            let figures = (requests / took.as_secs_f64(), cpu.as_secs_f64() / requests);
            taken.entry(program.name).or_default().push(figures);
        }
    }
    let floor = taken.get(FLOOR).context("the floor was not measured")?.clone();
    for (server, rounds) in &taken {
        let ratio = |pick: fn(&(f64, f64)) -> f64| {
            let each = rounds.iter().zip(&floor).map(|(own, floor)| pick(own) / pick(floor));
            middle(each.collect())
        };
        let row = table.entry((*server).to_owned()).or_default();
        row.insert(format!("req/s {name}"), ratio(|(rate, _)| *rate));
        row.insert(format!("CPU {name}"), ratio(|(_, cpu)| *cpu));
    }
    Ok(())
}

/// Counts what does not drift.
fn counts(table: &mut Table, programs: &[Program], part: u64, cores: &Cores) -> Result<()> {
    let mut one = CpuSet::new();
    one.set(cores.server);
    sched_setaffinity(None, &one).context("stay on one core")?;
    for program in programs {
        let row = table.entry(program.name.to_owned()).or_default();
        for (name, shape, rounds) in linux::SHAPES {
            let rounds = (rounds / part).max(8);
            for (unit, counter) in
                [("instr", Counter::Instructions), ("calls", Counter::SystemCalls)]
            {
                // What cannot be run under a tool is left out, and shown so.
                match counter.per_request(program, *shape, rounds) {
                    Ok(count) => drop(row.insert(format!("{unit} {name}"), count)),
                    Err(error) => println!("{}, {unit} {name}: {error:#}", program.name),
                }
            }
        }
    }
    sched_setaffinity(None, &cores.all).context("leave the one core")?;
    if part == 1 {
        for program in programs {
            let row = table.entry(program.name.to_owned()).or_default();
            match memory::per_idle_connection(program) {
                Ok(bytes) => drop(row.insert("idle bytes".to_owned(), bytes)),
                Err(error) => println!("{}, idle bytes: {error:#}", program.name),
            }
        }
    }
    Ok(())
}

/// The CPU time of all threads of a process so far.
fn cpu_time(id: u32) -> Result<Duration> {
    let mut nanoseconds = 0;
    let folder = format!("/proc/{id}/task");
    for entry in fs::read_dir(&folder).with_context(|| format!("read {folder}"))? {
        let text = fs::read_to_string(entry?.path().join("schedstat")).unwrap_or_default();
        let first = text.split(' ').next().unwrap_or_default();
        nanoseconds += first.parse::<u64>().unwrap_or(0);
    }
    Ok(Duration::from_nanos(nanoseconds))
}

fn middle(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Builds the peers, and says how each is started.
fn programs(smoke: bool) -> Result<Vec<Program>> {
    server::build()?;
    let folder = metadata::target_folder()?.join("peers");
    let only_hyper = ["--no-default-features", "--features", "hyper"];
    let features: &[&str] = if smoke { &only_hyper } else { &[] };
    let manifest = metadata::root().join("ci/bench/Cargo.toml").display().to_string();
    cargo(40)
        .args(["build", "--release", "--locked", "--manifest-path", &manifest, "--target-dir"])
        .args([&folder])
        .args(features)
        .run()?;
    let peer = |name| peer(name, &folder.join("release"));
    let mut programs = vec![peer(FLOOR), Program::ours()?, peer("hyper")];
    if !smoke {
        programs.extend(["axum", "actix", "may", "ntex"].map(peer));
    }
    Ok(programs)
}

fn peer(name: &'static str, folder: &Path) -> Program {
    let binary = folder.join(name).display().to_string();
    let words = move |path: &str, _: usize| {
        let serve = path.trim_start_matches('/');
        [&binary, "--serve", serve].map(str::to_owned).to_vec()
    };
    Program { name, words: Box::new(words), ends_well: false }
}

/// The table as it is printed: a row a server, a column a figure.
fn text(table: &Table, programs: &[Program]) -> String {
    let mut columns: Vec<&String> = Vec::new();
    for row in table.values() {
        columns.extend(row.keys());
    }
    columns.sort();
    columns.dedup();
    let mut text = String::from("| server |");
    for column in &columns {
        let _ = write!(text, " {column} |");
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(columns.len()));
    for program in programs {
        let _ = write!(text, "\n| {} |", program.name);
        for column in &columns {
            let figure = table.get(program.name).and_then(|row| row.get(*column));
            let _ = match figure {
                Some(figure) if *figure < 100.0 => write!(text, " {figure:.2} |"),
                Some(figure) => write!(text, " {figure:.0} |"),
                None => write!(text, " - |"),
            };
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_one_counts() {
        for (figures, expected) in [(&[3.0, 1.0, 2.0][..], 2.0), (&[9.0], 9.0), (&[1.0, 8.0], 8.0)]
        {
            assert_eq!(middle(figures.to_vec()), expected, "{figures:?}");
        }
        assert!(middle(Vec::new()).is_nan());
    }

    #[test]
    fn what_was_not_measured_is_shown_so() {
        let program = |name| peer(name, Path::new("/peers"));
        let mut table = Table::new();
        for (server, column, figure) in
            [("floor", "CPU", 1.0), ("hyper", "CPU", 1.258), ("hyper", "instr", 5_759.4)]
        {
            table.entry(server.to_owned()).or_default().insert(column.to_owned(), figure);
        }
        let expected = "\
| server | CPU | instr |
|---|---|---|
| floor | 1.00 | - |
| hyper | 1.26 | 5759 |
";
        assert_eq!(text(&table, &[program("floor"), program("hyper")]), expected);
        let words = (program("floor").words)("/json", 64);
        assert_eq!(words, ["/peers/floor", "--serve", "json"]);
    }

    #[test]
    fn the_time_of_a_process_is_that_of_its_threads() -> Result<()> {
        let before = cpu_time(std::process::id())?;
        let spin = || (0..5_000_000_u64).fold(0, |sum, n| std::hint::black_box(sum ^ n));
        let other = std::thread::spawn(move || {
            spin();
            // It is looked at while it lives.
            cpu_time(std::process::id())
        });
        let after = other.join().expect("no panic")?;
        assert!(after > before, "{after:?} after {before:?}");
        assert!(cpu_time(u32::MAX).is_err(), "no such process");
        Ok(())
    }
}
