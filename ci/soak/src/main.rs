//! `soak`: many seeds of mixed traffic against the server in the simulator, with every checker.
//!
//! A seed chooses the faults of its world, the capacity and limits of its server, its transport,
//! and who connects: keep-alive, pipelines, uploads, trickles, aborts, half-closes, garbage. What
//! must hold is checked by the clients (one right answer for each request, or an end that is
//! allowed), by the checkers behind each turn, and at the end (everything was given back). Each
//! hundredth seed runs twice and must leave the same trace.

use std::cell::{Cell, RefCell};
use std::panic;
use std::process::{self, ExitCode};
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Parser;
use dustdevil_core::sim::World;

#[path = "../../../http/tests/it/app.rs"]
mod app;
#[path = "../../../http/tests/it/client.rs"]
mod client;
#[path = "../../../http/tests/it/response.rs"]
mod response;
mod traffic;
#[path = "../../../http/tests/it/world.rs"]
mod world;

/// Runs the server in many simulated worlds
#[derive(Parser)]
struct Options {
    /// How many seeds to run
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Show the trace of a world that fails
    #[arg(long)]
    trace: bool,
}

/// Each so many seeds one is run twice.
const TWICE_EVERY: u64 = 100;

thread_local! {
    /// The seed that is running, and what was done before it: for the panic hook.
    static NOW: Cell<(u64, Sum)> = Cell::default();
    /// The world whose trace is wanted.
    static TRACED: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// What the closing line tells.
#[derive(Clone, Copy, Default)]
struct Sum {
    seeds: u64,
    requests: u64,
}

impl Sum {
    fn close(self, findings: u32) {
        println!("soak: {} seeds, {} requests, {findings} findings", self.seeds, self.requests);
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    end_at_the_first_finding();
    let (began, mut sum, mut simulated) = (Instant::now(), Sum::default(), Duration::ZERO);
    for seed in options.from..options.from + options.seeds {
        NOW.set((seed, sum));
        let report = run(seed, options.trace);
        if seed.is_multiple_of(TWICE_EVERY) {
            assert_eq!(report, run(seed, options.trace), "its two runs were not the same");
        }
        sum.seeds += 1;
        sum.requests += u64::from(report.stats.requests);
        simulated += Duration::from_millis(report.elapsed.as_millis());
    }
    eprintln!("{} simulated hours in {:?}", simulated.as_secs() / 3600, began.elapsed());
    sum.close(0);
    ExitCode::SUCCESS
}

/// A checker's panic tells what it found; this adds the seed and how to have it again. The release
/// profile aborts on a panic, so nothing could go on anyway.
fn end_at_the_first_finding() {
    let told = panic::take_hook();
    panic::set_hook(Box::new(move |what| {
        told(what);
        if let Some(world) = TRACED.take() {
            world.trace().iter().for_each(|line| println!("{line}"));
        }
        let (seed, sum) = NOW.get();
        eprintln!(
            "seed {seed} failed; cargo run --release -p soak -- --seeds 1 --from {seed} --trace"
        );
        Sum { seeds: sum.seeds + 1, ..sum }.close(1);
        process::exit(1);
    }));
}

/// One world.
fn run(seed: u64, trace: bool) -> world::Report {
    let traffic = traffic::Traffic::of_seed(seed);
    let world = World::new(seed, traffic.faults.clone());
    if trace {
        world.keep_trace();
        TRACED.set(Some(world.clone()));
    }
    let (app, tally) = (app::App::default(), Rc::new(client::Tally::default()));
    let plans = traffic.plans.len();
    for (delay, plan) in &traffic.plans {
        world.connect(world::address(), *delay, client::Client::new(plan.clone(), &tally));
    }
    let report = world::serve(&world, &traffic.setup, &app);
    assert_eq!(app.alive.get(), 0, "handlers that live on");
    assert_eq!(report.heads_lost, 0, "head buffers that were lost");
    if traffic.setup.stop_after_ms.is_none() {
        let ended = tally.finished.get() + tally.ended_early.get();
        assert_eq!(ended as usize, plans, "clients that never ended: {tally:?}");
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_the_same_world_each_time_and_another_seed_another() {
        let worlds: Vec<_> = (1..=6).map(|seed| run(seed, false)).collect();
        for (seed, world) in (1..).zip(&worlds) {
            assert_eq!(*world, run(seed, false), "seed {seed}");
        }
        let hashes: std::collections::BTreeSet<_> = worlds.iter().map(|world| world.hash).collect();
        assert_eq!(hashes.len(), worlds.len());
    }

    #[test]
    fn a_world_has_traffic() {
        let requests: u32 = (1..=20).map(|seed| run(seed, false).stats.requests).sum();
        assert!(requests > 100, "{requests} requests in 20 worlds");
    }
}
