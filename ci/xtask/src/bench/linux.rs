//! What a request, a connection and idleness cost on Linux: ours alone, and beside the floor and
//! other people's servers.
//!
//! Ours alone is what does not drift, and has budgets. The table beside others is taken in one run:
//!
//! | rows | how |
//! |---|---|
//! | : floor | a server on one core, the generator on another, rounds in turn: see [`rounds`] |
//! | CPU | user and system time of the server's threads while it is asked, by the scheduler |
//! | instructions, system calls | in lockstep on one core; the difference of a long and a short run |
//! | bytes, wake-ups | private pages that became dirty, and voluntary switches: see [`memory`] |

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::budgets::Figure;
use super::cores::Cores;
use super::load::{Head, Shape};
use super::rounds::{self, Load, Plan};
use super::server::{Counter, Program, Work};
use super::table::Goal::{AtLeast, AtMost};
use super::table::{Cell, Row, Table};
use super::{memory, peers, server};

/// How the server is loaded, and how many rounds of it are counted.
const SHAPES: &[(&str, Shape, u64)] = &[
    ("c1", Shape::Lockstep { connections: 1, pipelined: 1 }, 4_000),
    ("c64", Shape::Lockstep { connections: 64, pipelined: 1 }, 80),
    ("c64_pipelined16", Shape::Lockstep { connections: 64, pipelined: 16 }, 12),
    ("connect", Shape::Connect, 1_000),
];

/// System calls are counted so often and the least count is taken: a timer interrupt in the middle
/// of a round can split a batch, and nothing can make one larger.
const TRIES: usize = 3;

/// The table, with the goals that were set for it.
const ROWS: &[Row] = &[
    Row::new("rate", "requests : floor, `/plaintext`", Some(AtLeast(0.97))),
    Row::new("cpu", "CPU a request : floor", None),
    Row::new("rate_pipelined", "pipelined 16 : floor", Some(AtLeast(0.90))),
    Row::new("cpu_pipelined", "CPU, pipelined 16 : floor", None),
    Row::new("rate_browser", "pipelined 16 : floor, browser's head", Some(AtLeast(0.95))),
    Row::new("cpu_browser", "CPU, pipelined 16 : floor, browser's head", None),
    Row::new("instructions.c1", "instructions, 1 connection", Some(AtMost(1_900.0))),
    Row::new("instructions.c64", "instructions, 64", Some(AtMost(1_700.0))),
    Row::new("instructions.c64_pipelined16", "instructions, pipelined", Some(AtMost(1_200.0))),
    Row::new("browser.c1", "browser's head: instructions, 1", Some(AtMost(4_800.0))),
    Row::new("browser.c64", "browser's head: instructions, 64", Some(AtMost(4_600.0))),
    Row::new(
        "browser.c64_pipelined16",
        "browser's head: instructions, pipelined",
        Some(AtMost(4_100.0)),
    ),
    Row::new("calls.c1", "system calls, 1", Some(AtMost(3.0))),
    Row::new("calls.c64", "system calls, 64", Some(AtMost(2.04))),
    Row::new("calls.c64_pipelined16", "system calls, pipelined", Some(AtMost(0.13))),
    Row::new("instructions.connect", "instructions, connect + request + close", None),
    Row::new("calls.connect", "system calls, connect + request + close", None),
    Row::new("cpu_connect", "CPU, connect + request + close : floor", Some(AtMost(1.05))),
    Row::new("rate_json", "`/json` : floor", Some(AtLeast(0.95))),
    Row::new("cpu_json", "CPU, `/json` : floor", None),
    Row::new("rate_body", "100 KiB body : floor", Some(AtLeast(0.95))),
    Row::new("cpu_body", "CPU, 100 KiB body : floor", None),
    Row::new("idle_bytes", "bytes an idle connection", Some(AtMost(40.0))),
    Row::new("idle_bytes_again", "bytes more, all gone and come again", Some(AtMost(1.0))),
    Row::new("beside", "throughput, idle connections beside : without", Some(AtLeast(1.0))),
    Row::new("wakes", "wake-ups, all connections idle", Some(AtMost(0.0))),
    Row::new("workers", "CPU a request, 2 workers : 1", Some(AtMost(1.05))),
];

/// What rates are taken of.
const LOADS: &[Load] = &[
    kept(Some("rate"), Some("cpu"), "/plaintext", Head::Short, 1),
    kept(Some("rate_pipelined"), Some("cpu_pipelined"), "/plaintext", Head::Short, 16),
    kept(Some("rate_browser"), Some("cpu_browser"), "/plaintext", Head::Browser, 16),
    kept(Some("rate_json"), Some("cpu_json"), "/json", Head::Short, 1),
    kept(Some("rate_body"), Some("cpu_body"), "/body", Head::Short, 1),
    Load { connections: 0, ..kept(None, Some("cpu_connect"), "/plaintext", Head::Short, 1) },
];

const fn kept(
    rate: Option<&'static str>,
    cpu: Option<&'static str>,
    path: &'static str,
    head: Head,
    pipelined: usize,
) -> Load {
    Load { rate, cpu, path, head, connections: 64, pipelined }
}

/// Builds the server and measures what does not drift.
pub(super) fn figures() -> Result<Vec<Figure>> {
    server::build()?;
    let ours = Program::ours()?;
    let mut figures = Vec::new();
    Cores::ask()?.on_one(|| {
        for (name, shape, rounds) in SHAPES {
            let work = Work { head: Head::Short, shape: *shape, rounds: *rounds };
            let count = Counter::Instructions.per_request(&ours, work);
            let count = count.with_context(|| format!("instructions, {name}"))?;
            println!("instructions, {name}: {count:.1} a request");
            figures.push(Figure::new(format!("instructions.{name}"), count));
            let least = system_calls(&ours, work, TRIES);
            let least = least.with_context(|| format!("system calls, {name}"))?;
            println!("system calls, {name}: {least:.3} a request");
            figures.push(Figure::new(format!("system_calls.{name}"), least));
        }
        Ok(())
    })?;
    let idle = memory::per_idle_connection(&ours).context("memory")?;
    println!("memory: {idle:.2} bytes an idle connection");
    figures.push(Figure::new("memory.idle_connection_bytes", idle));
    Ok(figures)
}

fn system_calls(of: &Program, work: Work, tries: usize) -> Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..tries {
        least = least.min(Counter::SystemCalls.per_request(of, work)?);
    }
    Ok(least)
}

/// Measures all beside each other and prints the table. A smoke has one short round, with only the
/// floor, ours and hyper: it shows that everything can be measured, and its figures mean nothing.
pub(super) fn table(smoke: bool) -> Result<()> {
    let plan = if smoke {
        Plan {
            rounds: 1,
            span: Duration::from_millis(20),
            connections: 1_000,
            idle: Duration::from_secs(1),
            part: 8,
            strict: true,
        }
    } else {
        Plan {
            rounds: 7,
            span: Duration::from_millis(250),
            connections: memory::CONNECTIONS,
            idle: Duration::from_secs(10),
            part: 1,
            strict: false,
        }
    };
    let mut programs = Vec::new();
    for program in peers::programs(smoke)? {
        if plan.judge(&program, "its answers", peers::check(&program))?.is_some() {
            programs.push(program);
        }
    }
    let began = Instant::now();
    let cores = Cores::ask()?;
    if !cores.are_two() {
        println!("One core: the generator takes its time from the servers.");
    }
    let names: Vec<&str> = programs.iter().map(|it| it.name).collect();
    println!("in this run: {}", names.join(", "));
    let mut table = Table::new(ROWS, programs.iter().map(|it| it.name).collect(), "dustdevil");
    let stage = |what: &str| println!("{:4} s: {what}", began.elapsed().as_secs());
    for load in LOADS {
        stage(&load.to_string());
        rounds::rates(&mut table, &programs, load, &plan, &cores)?;
    }
    stage("two workers");
    if cores.are_two() {
        table.put("workers", "dustdevil", rounds::workers(&plan)?);
    }
    stage("idle connections");
    idleness(&mut table, &programs, &plan, &cores)?;
    stage("instructions and system calls");
    counts(&mut table, &programs, &plan, &cores)?;
    stage("done");
    println!("\n{}", table.text());
    println!(
        "{} connections were idle, for {:?}. Ratios are the middle one of {} rounds.\n\
         One wake-up of ours is the deadline of a first head, 10 s after the connections came: it\n\
         is moved on when it is due, rather than with each request.",
        plan.connections, plan.idle, plan.rounds
    );
    Ok(())
}

/// What idle connections cost, and whether they slow others down.
fn idleness(table: &mut Table, programs: &[Program], plan: &Plan, cores: &Cores) -> Result<()> {
    for program in programs {
        let idle = memory::idle(program, plan.connections, plan.idle);
        if let Some(idle) = plan.judge(program, "idle connections", idle)? {
            table.put("idle_bytes", program.name, Cell::exact(idle.bytes));
            table.put("idle_bytes_again", program.name, Cell::exact(idle.bytes_again));
            table.put("wakes", program.name, Cell::exact(idle.wakes as f64));
        }
        let beside = rounds::beside(program, plan, cores);
        if let Some(cell) = plan.judge(program, "idle connections beside", beside)? {
            table.put("beside", program.name, cell);
        }
    }
    Ok(())
}

/// Counts what does not drift, of several servers at a time.
fn counts(table: &mut Table, programs: &[Program], plan: &Plan, cores: &Cores) -> Result<()> {
    let table = Mutex::new(table);
    let tries = if plan.strict { 1 } else { TRIES };
    // The slowest is the last of them, and is begun with.
    cores.spread(programs.iter().rev().collect(), |program: &Program| {
        let put = |key: &str, count: Result<f64>| {
            if let Some(count) = plan.judge(program, key, count)? {
                let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
                table.put(key, program.name, Cell::exact(count));
            }
            anyhow::Ok(())
        };
        for (name, shape, rounds) in SHAPES {
            let rounds = (rounds / plan.part / program.slowness).max(2);
            let work = Work { head: Head::Short, shape: *shape, rounds };
            let instructions = Counter::Instructions.per_request(program, work);
            put(&format!("instructions.{name}"), instructions)?;
            put(&format!("calls.{name}"), system_calls(program, work, tries))?;
            if !matches!(shape, Shape::Connect) {
                let work = Work { head: Head::Browser, ..work };
                put(&format!("browser.{name}"), Counter::Instructions.per_request(program, work))?;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_its_row_and_no_row_is_twice() {
        let of_loads = LOADS.iter().flat_map(|load| [load.rate, load.cpu]).flatten();
        let mut keys: Vec<String> = of_loads.map(str::to_owned).collect();
        for (name, shape, _) in SHAPES {
            keys.extend(["instructions", "calls"].map(|what| format!("{what}.{name}")));
            if !matches!(shape, Shape::Connect) {
                keys.push(format!("browser.{name}"));
            }
        }
        keys.extend(
            ["idle_bytes", "idle_bytes_again", "beside", "wakes", "workers"].map(str::to_owned),
        );
        let mut rows: Vec<String> = ROWS.iter().map(|row| row.key.to_owned()).collect();
        keys.sort();
        rows.sort();
        assert_eq!(keys, rows);
    }
}
