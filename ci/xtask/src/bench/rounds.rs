//! Rates and CPU time, in rounds in which each server has its turn.
//!
//! What else the machine does meets all of them alike, and of the ratios to the floor in the same
//! round the middle one counts; the least and the most say how much it did.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};

use super::cores::Cores;
use super::load::{self, Head};
use super::memory;
use super::peers::FLOOR;
use super::rate::Generator;
use super::server::{Program, Server};
use super::table::{Cell, Table};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// How many rounds there are.
    pub(super) rounds: usize,
    /// About how long a server is asked in a round.
    pub(super) span: Duration,
    /// How many idle connections there are.
    pub(super) connections: usize,
    /// For how long they are idle.
    pub(super) idle: Duration,
    /// What part of the rounds is counted by tools.
    pub(super) part: u64,
    /// Whether a peer that cannot be measured ends it all; the floor and ours always do.
    pub(super) strict: bool,
}

impl Plan {
    /// What to do with what was measured of a server: a peer's failure is told and passed over.
    pub(super) fn judge<T>(
        &self,
        of: &Program,
        what: &str,
        outcome: Result<T>,
    ) -> Result<Option<T>> {
        let must = self.strict || of.ends_well || of.name == FLOOR;
        match outcome {
            Ok(taken) => Ok(Some(taken)),
            Err(error) if must => Err(error.context(format!("{}, {what}", of.name))),
            Err(error) => {
                println!("{}, {what}: {error:#}", of.name);
                Ok(None)
            }
        }
    }
}

/// One load that rates are taken of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// The row of the rate, if there is one.
    pub(super) rate: Option<&'static str>,
    /// The row of the CPU time a request, if there is one.
    pub(super) cpu: Option<&'static str>,
    /// What is asked for.
    pub(super) path: &'static str,
    /// With what head.
    pub(super) head: Head,
    /// On how many connections; 0: each request on its own, one after the other.
    pub(super) connections: usize,
    /// So many requests on the way at once on each.
    pub(super) pipelined: usize,
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = if self.head == Head::Browser { ", browser's head" } else { "" };
        match self.connections {
            0 => write!(f, "{}, a connection each{head}", self.path),
            _ => write!(f, "{}, {} x {}{head}", self.path, self.connections, self.pipelined),
        }
    }
}

/// What was taken in a round.
#[derive(Clone, Copy, Debug)]
struct Taken {
    /// Requests a second.
    rate: f64,
    /// Seconds of CPU time a request, user and system.
    cpu: f64,
}

/// Takes one load's figures of every server.
pub(super) fn rates(
    table: &mut Table,
    programs: &[Program],
    load: &Load,
    plan: &Plan,
    cores: &Cores,
) -> Result<()> {
    let mut taken: BTreeMap<&'static str, Vec<Taken>> = BTreeMap::new();
    // How many requests fill the span: found in the first round, and the same in all.
    let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut failed = Vec::new();
    let what = load.to_string();
    for _ in 0..plan.rounds {
        for program in programs.iter().filter(|it| !failed.contains(&it.name)).collect::<Vec<_>>() {
            let once = || {
                let pinned = cores.server();
                let running =
                    program.start(&pinned.each_ref().map(String::as_str), load.path, 256)?;
                cores.generate(|| round(&running, load, plan, counts.get(program.name).copied()))
            };
            match plan.judge(program, &what, once())? {
                Some((figures, requests)) => {
                    counts.insert(program.name, requests);
                    taken.entry(program.name).or_default().push(figures);
                }
                None => {
                    taken.remove(program.name);
                    failed.push(program.name);
                }
            }
        }
    }
    let floor = taken.get(FLOOR).context("the floor was not measured")?;
    let mut put = |key: Option<&str>, pick: fn(&Taken) -> f64| {
        for (server, rounds) in &taken {
            let ratios = rounds.iter().zip(floor).map(|(own, floor)| pick(own) / pick(floor));
            if let (Some(key), Some(cell)) = (key, Cell::middle(ratios.collect())) {
                table.put(key, server, cell);
            }
        }
    };
    put(load.rate, |it| it.rate);
    put(load.cpu, |it| it.cpu);
    if let Some(one) = floor.get(floor.len() / 2) {
        println!("the floor: {:.0} a second, {:.2} us of CPU each", one.rate, one.cpu * 1e6);
    }
    Ok(())
}

/// Asks one server for a span of time; how many requests that were is found out without `requests`.
fn round(
    running: &Server,
    load: &Load,
    plan: &Plan,
    requests: Option<usize>,
) -> Result<(Taken, usize)> {
    let target = load::Server::at(running.address).path(load.path).head(load.head);
    let mut generator = Generator::new(&target, load.connections, load.pipelined)?;
    let requests = match requests {
        Some(requests) => {
            generator.run((requests / 8).next_multiple_of(generator.unit()))?;
            requests
        }
        None => fitting(&mut generator, load.connections.max(1), plan.span)?,
    };
    let before = memory::cpu_time(running.id())?;
    let took = generator.run(requests)?;
    let cpu = memory::cpu_time(running.id())?.saturating_sub(before);
    let each = |time: Duration| time.as_secs_f64() / requests as f64;
    Ok((Taken { rate: 1.0 / each(took), cpu: each(cpu) }, requests))
}

/// How many requests fill a span of time: asks more and more until that can be told.
fn fitting(generator: &mut Generator, connections: usize, span: Duration) -> Result<usize> {
    let unit = generator.unit() * connections;
    let mut units = 1;
    loop {
        let took = generator.run(unit * units)?;
        // A short span tells nothing of a longer one.
        if took * 4 >= span {
            let fit = units as f64 * span.as_secs_f64() / took.as_secs_f64();
            return Ok(unit * (fit as usize).max(1));
        }
        units *= 2;
    }
}

/// Throughput with many idle connections beside : without, of the same running server. Without is
/// taken before and after, so that what drifts cancels out.
pub(super) fn beside(of: &Program, plan: &Plan, cores: &Cores) -> Result<Cell> {
    memory::raise_descriptors()?;
    let mut ratios = Vec::new();
    let mut requests = None;
    for _ in 0..plan.rounds.min(BESIDE_ROUNDS) {
        let pinned = cores.server();
        let before = pinned.each_ref().map(String::as_str);
        let running = of.start(&before, load::PATH, plan.connections + memory::OTHERS)?;
        let target = load::Server::at(running.address);
        ratios.push(cores.generate(|| {
            let mut generator = Generator::new(&target, CONNECTIONS, 1)?;
            let descriptors = memory::descriptors(running.id())?;
            let found = match requests {
                Some(found) => found,
                None => fitting(&mut generator, CONNECTIONS, plan.span)?,
            };
            requests = Some(found);
            let mut seconds = || generator.run(found).map(|took| took.as_secs_f64());
            let mut without = seconds()?;
            let idle = load::connect(&target, plan.connections)?;
            let with = seconds()? + seconds()?;
            drop(idle);
            memory::wait_for_descriptors(running.id(), descriptors)?;
            without += seconds()?;
            Ok(without / with)
        })?);
    }
    Cell::middle(ratios).context("no round")
}

/// Rounds of [`beside`], each of which opens all those connections.
const BESIDE_ROUNDS: usize = 3;

/// Connections that are asked on in [`beside`] and [`workers`].
const CONNECTIONS: usize = 64;

/// CPU time a request of two workers : of one, whatever their share of the connections is. Neither
/// the workers nor the generator are kept on a core: where there are two, all three share them.
pub(super) fn workers(plan: &Plan) -> Result<Cell> {
    let load = Load {
        rate: None,
        cpu: None,
        path: load::PATH,
        head: Head::Short,
        connections: CONNECTIONS,
        pipelined: 1,
    };
    let programs = [Program::ours_with(1)?, Program::ours_with(2)?];
    let mut requests = None;
    let mut ratios = Vec::new();
    for _ in 0..plan.rounds {
        let mut cpu = programs.iter().map(|program| {
            let running = program.start(&[], load.path, 256)?;
            let (taken, found) = round(&running, &load, plan, requests)?;
            requests = Some(found);
            anyhow::Ok(taken.cpu)
        });
        let (Some(one), Some(two)) = (cpu.next(), cpu.next()) else { break };
        let one = one?;
        ratios.push(two? / one);
    }
    Cell::middle(ratios).context("no round")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(strict: bool) -> Plan {
        let span = Duration::from_millis(1);
        Plan { rounds: 1, span, connections: 1, idle: span, part: 1, strict }
    }

    #[test]
    fn a_load_says_what_it_is() {
        let load = Load {
            rate: None,
            cpu: None,
            path: "/json",
            head: Head::Browser,
            connections: 64,
            pipelined: 16,
        };
        assert_eq!(load.to_string(), "/json, 64 x 16, browser's head");
        let each = Load { connections: 0, head: Head::Short, ..load };
        assert_eq!(each.to_string(), "/json, a connection each");
    }

    #[test]
    fn a_peer_may_fail_but_not_the_floor_ours_or_in_a_smoke() {
        let program = |name, ends_well| {
            let binary = std::path::Path::new("/none");
            Program { name, ends_well, ..Program::of_ours(name, binary, 1) }
        };
        let table = [
            (FLOOR, false, false, false),
            ("dustdevil", true, false, false),
            ("hyper", false, false, true),
            ("hyper", false, true, false),
        ];
        for (name, ends_well, strict, passed_over) in table {
            let failure: Result<()> = Err(anyhow::anyhow!("no"));
            let judged = plan(strict).judge(&program(name, ends_well), "rate", failure);
            assert_eq!(matches!(judged, Ok(None)), passed_over, "{name} {strict}");
        }
        assert_eq!(plan(true).judge(&program(FLOOR, false), "rate", Ok(7)).ok(), Some(Some(7)));
    }
}
