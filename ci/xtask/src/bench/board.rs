//! What a request costs on a board, in instructions of its processor.
//!
//! A plugin of QEMU's counts every instruction of the guest, interrupt handlers and the idle loop
//! included. A count is taken when the board is quiet again, and the cost of a request is the
//! difference between a run of 2n and a run of n, so that what is not a request cancels out.
//! QEMU's own network carries the requests, one at a time.

use std::path::Path;
use std::time::{Duration, Instant};

use ::qemu::counts::{Counts, Plugin};
use ::qemu::image::Image;
use ::qemu::machine::{Machine, Network};
use anyhow::{Context, Result, ensure};

use super::budgets::Figure;
use super::load::{Client, Server};
use super::sizes;
use crate::boards::BOARDS;

/// The example that is measured.
pub(super) const EXAMPLE: &str = "bench";

/// What is asked for over keep-alive connections, by the name of the figure.
const PATHS: [(&str, &str); 2] =
    [("instructions_get", "/"), ("instructions_get_parameter", "/user/1234")];

/// How long the board may take to boot, and to become quiet after a run.
const PATIENCE: Duration = Duration::from_secs(30);

/// The board is quiet when it executes less than this in such a time: more than the busiest of all
/// servers idles with, and less than one frame costs the least.
const QUIET: (u64, Duration) = (400, Duration::from_millis(200));

/// Requests in the shorter run, and connections.
const REQUESTS: u64 = 500;
const CONNECTS: u64 = 150;

/// The cost is taken so often and the middle one is kept: where QEMU had to wait for its turn,
/// packets that otherwise go as one go as two.
const TRIES: usize = 5;

/// How long idling is counted.
const IDLE: Duration = Duration::from_secs(10);

/// A function is shown when it takes at least this part of a request.
const SHOWN: f64 = 0.005;

/// Measures every board: the figures that have budgets.
pub(super) fn figures(profile: bool) -> Result<Vec<Figure>> {
    let plugin = Plugin::build()?;
    let mut figures = Vec::new();
    for board in BOARDS {
        let prefix = format!("board.{}", board.name);
        for size in sizes::of_examples(board)? {
            let prefix = format!("{prefix}.{}", size.example);
            figures.extend(size.figures(&prefix));
        }
        let elf = sizes::build(board, EXAMPLE)?;
        for (name, value) in instructions(&elf, &plugin, TRIES, profile)? {
            figures.push(Figure::new(format!("{prefix}.{EXAMPLE}.{name}"), value));
        }
    }
    Ok(figures)
}

/// What requests cost the server in this ELF file, the middle one of so many tries: the name of
/// each figure, and its value. With `profile`, prints what they are made of.
pub(super) fn instructions(
    elf: &Path,
    plugin: &Plugin,
    tries: usize,
    profile: bool,
) -> Result<Vec<(&'static str, f64)>> {
    let profile = profile.then_some(elf);
    let machine = boot(elf, plugin)?;
    let server = Server::new(machine.port()?);
    let mut figures = Vec::new();
    for (name, path) in PATHS {
        let cost = keep_alive(&machine, &server.path(path), tries);
        let cost = cost.with_context(|| format!("GET {path}"))?;
        cost.show(&format!("GET {path} over keep-alive"), profile)?;
        figures.push((name, cost.each));
    }
    let once = || Client::connect(&server.path("/"))?.exchange();
    let cost = cost(&machine, CONNECTS, tries, once);
    let cost = cost.context("connect + GET / + close")?;
    cost.show("connect + GET / + close", profile)?;
    figures.push(("instructions_connect", cost.each));
    let idle = idle(&machine)?;
    println!("idle: {idle:.0} instructions a second");
    figures.push(("instructions_idle_second", idle));
    Ok(figures)
}

/// One figure, taken once: the instructions of `GET /` over a keep-alive connection.
pub(super) fn one_figure(elf: &Path, plugin: &Plugin) -> Result<f64> {
    let machine = boot(elf, plugin)?;
    let server = Server::new(machine.port()?).path("/");
    Ok(keep_alive(&machine, &server, 1)?.each)
}

fn boot(elf: &Path, plugin: &Plugin) -> Result<Machine> {
    let machine = Machine::of(elf).network(Network::User { port: 0 }).count(plugin).start()?;
    machine.wait_for("listening on", PATIENCE)?;
    Ok(machine)
}

fn keep_alive(machine: &Machine, server: &Server, tries: usize) -> Result<Cost> {
    let mut client = Client::connect(server)?;
    client.exchange()?;
    cost(machine, REQUESTS, tries, || client.exchange())
}

/// What one of something costs.
struct Cost {
    /// Instructions.
    each: f64,
    /// Of the longer run, by address.
    counts: Counts,
    /// How many of it were in the longer run.
    times: u64,
}

impl Cost {
    /// Prints it, and of which functions it is made if their ELF file is given.
    fn show(&self, name: &str, elf: Option<&Path>) -> Result<()> {
        println!("{name}: {:.0} instructions", self.each);
        let Some(elf) = elf else { return Ok(()) };
        println!("  by functions as they were linked:");
        self.table(&self.counts.profile(&Image::read(elf)?));
        println!("  by functions as they were written:");
        self.table(&self.counts.profile_as_written(elf)?);
        println!("  by crates:");
        self.table(&self.counts.profile_of_crates(elf)?);
        Ok(())
    }

    fn table(&self, profile: &[(String, u64)]) {
        let all = self.counts.total() as f64;
        for (function, executed) in profile {
            let part = *executed as f64 / all;
            if part < SHOWN {
                break;
            }
            let each = *executed as f64 / self.times as f64;
            println!("{each:>9.0} {:>5.1} %  {function}", part * 100.0);
        }
    }
}

/// Does something n times, then 2n times, some times over.
fn cost(
    machine: &Machine,
    times: u64,
    tries: usize,
    mut once: impl FnMut() -> Result<()>,
) -> Result<Cost> {
    let mut run = |times: u64| -> Result<Counts> {
        let before = quiet(machine)?;
        for at in 0..times {
            once().with_context(|| format!("number {at}; {}", machine.log()))?;
        }
        Ok(quiet(machine)?.since(&before))
    };
    let mut costs = Vec::new();
    for _ in 0..tries {
        let short = run(times)?.total();
        let counts = run(2 * times)?;
        let long = counts.total();
        ensure!(long > short, "{times} cost {short} instructions, twice as many {long}");
        let each = (long - short) as f64 / times as f64;
        costs.push(Cost { each, counts, times: 2 * times });
    }
    costs.sort_by(|a, b| a.each.total_cmp(&b.each));
    Ok(costs.swap_remove(costs.len() / 2))
}

fn quiet(machine: &Machine) -> Result<Counts> {
    let (most, while_) = QUIET;
    Counts::when_quiet(machine, most, while_, PATIENCE)
}

/// Instructions a second without any connection.
fn idle(machine: &Machine) -> Result<f64> {
    let before = quiet(machine)?;
    let start = Instant::now();
    std::thread::sleep(IDLE);
    let executed = Counts::of(machine)?.since(&before).total();
    Ok(executed as f64 / start.elapsed().as_secs_f64())
}
