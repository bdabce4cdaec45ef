//! `soak`: many seeds of mixed traffic against the server in the simulator, with every checker.
//!
//! A seed chooses the faults of its world, the capacity and limits of its server, its transport,
//! and who connects: keep-alive, pipelines, uploads, trickles, aborts, half-closes, garbage. What
//! must hold is checked by the clients (one right answer for each request, or an end that is
//! allowed), by the checkers behind each turn, and at the end (everything was given back). Each
//! hundredth seed runs twice and must leave the same trace.
//!
//! With `--idle` it is instead one world with as many connections as asked for, see [`idle`].

use std::cell::{Cell, RefCell};
use std::panic;
use std::process::{self, ExitCode};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use dustdevil_core::sim::World;

use client::Tally;
use traffic::Traffic;

#[path = "../../../http/tests/it/app.rs"]
mod app;
#[path = "../../../http/tests/it/client.rs"]
mod client;
mod idle;
mod pages;
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
    /// Plant a defect below the server, the one of this number in `Planted::ALL`: it must be found
    #[arg(long)]
    planted: Option<usize>,
    /// Instead: fill a server's table with so many idle connections, and look what they cost
    #[arg(long, conflicts_with_all = ["seeds", "from", "planted"])]
    idle: Option<usize>,
}

/// What a server may take to stop beyond its deadline for that: events that come late.
const STOP_SLACK_MS: u64 = 500;

/// What a seed may take of real time, on a machine with much else to do.
const SEED_MAX: Duration = Duration::from_secs(60);
/// The seed that is running: for the other thread.
static RUNNING: AtomicU64 = AtomicU64::new(u64::MAX);

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
    if let Some(connections) = options.idle {
        idle::run(connections).print(connections);
        return ExitCode::SUCCESS;
    }
    end_at_the_first_finding();
    watch_over_turns();
    let (began, mut sum, mut simulated) = (Instant::now(), Sum::default(), Duration::ZERO);
    for seed in options.from..options.from + options.seeds {
        NOW.set((seed, sum));
        RUNNING.store(seed, Ordering::Relaxed);
        let report = run(seed, &options);
        if seed.is_multiple_of(TWICE_EVERY) {
            assert_eq!(report, run(seed, &options), "its two runs were not the same");
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

/// A turn that never ends is seen by no checker in it: another thread looks whether seeds go by.
fn watch_over_turns() {
    thread::spawn(|| {
        let mut last = None;
        loop {
            let seed = RUNNING.load(Ordering::Relaxed);
            if last == Some(seed) && seed != u64::MAX {
                eprintln!("seed {seed} has been running for {SEED_MAX:?}: a turn without end?");
                Sum::default().close(1);
                process::exit(1);
            }
            last = Some(seed);
            thread::sleep(SEED_MAX);
        }
    });
}

/// One world.
fn run(seed: u64, options: &Options) -> world::Report {
    let mut traffic = Traffic::of_seed(seed);
    traffic.setup.planted = options.planted.map(|number| world::Planted::ALL[number]);
    let world = World::new(seed, traffic.faults.clone());
    if options.trace {
        println!("{:#?}\n{:#?}", traffic.faults, traffic.setup);
        let names = |plans: &[(_, client::Plan)]| {
            plans.iter().map(|(_, plan)| plan.name.clone()).collect::<Vec<_>>().join(", ")
        };
        println!("{}; {}", names(&traffic.plans), names(&traffic.bystanders));
        world.keep_trace();
        TRACED.set(Some(world.clone()));
    }
    let (app, tally) = (app::App::default(), Rc::new(client::Tally::default()));
    let bystanders = Rc::new(client::Tally::default());
    let everybody = [(&traffic.plans, &tally), (&traffic.bystanders, &bystanders)];
    for (plans, tally) in everybody {
        for (delay, plan) in plans {
            world.connect(world::address(), *delay, client::Client::new(plan.clone(), tally));
        }
    }
    let report = world::serve(&world, &traffic.setup, &app);
    assert_eq!(app.alive.get(), 0, "handlers that live on");
    assert_eq!(report.heads_lost, 0, "head buffers that were lost");
    check_end(&traffic, &report, everybody.map(|(_, tally)| &**tally));
    report
}

/// That everybody came to an end in time, and that those who behave were served.
fn check_end(traffic: &Traffic, report: &world::Report, [tally, bystanders]: [&Tally; 2]) {
    let Traffic { faults, setup, plans, bystanders: who } = traffic;
    if let Some(after_ms) = setup.stop_after_ms {
        let most_ms = after_ms + u64::from(setup.limits.stop_ms) + STOP_SLACK_MS;
        let took_ms = report.elapsed.as_millis();
        assert!(took_ms <= most_ms || faults.bends_time(), "{took_ms} ms, at most {most_ms}");
        return;
    }
    let ended = (tally.finished.get() + tally.ended_early.get()) as usize;
    // Who comes again is counted each time.
    let comes_again = !who.is_empty();
    assert!(ended == plans.len() || comes_again, "clients that never ended: {tally:?}");
    let (served, slowest) = (bystanders.answered.get() as usize, bystanders.slowest.get());
    let room = (setup.capacity.connections, setup.capacity.requests);
    let siege =
        || format!("{} of {:?}, room {room:?}", plans.len(), plans.first().map(|p| &p.1.name));
    assert!(served == who.len(), "served {served} of {}, {slowest:?}: {}", who.len(), siege());
    assert!(slowest <= traffic.bystander_max(), "a bystander waited for {slowest:?}: {}", siege());
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Options = Options { seeds: 0, from: 0, trace: false, planted: None, idle: None };

    /// The checkers of a few worlds find each defect that is planted.
    #[test]
    fn what_is_planted_is_found() {
        for number in 0..world::Planted::ALL.len() {
            let options = Options { planted: Some(number), ..PLAIN };
            let is_found = (0..100).any(|seed| {
                panic::catch_unwind(panic::AssertUnwindSafe(|| run(seed, &options))).is_err()
            });
            assert!(is_found, "{:?}", world::Planted::ALL[number]);
        }
    }

    #[test]
    fn a_seed_is_the_same_world_each_time_and_another_seed_another() {
        let worlds: Vec<_> = (1..=6).map(|seed| run(seed, &PLAIN)).collect();
        for (seed, world) in (1..).zip(&worlds) {
            assert_eq!(*world, run(seed, &PLAIN), "seed {seed}");
        }
        let hashes: std::collections::BTreeSet<_> = worlds.iter().map(|world| world.hash).collect();
        assert_eq!(hashes.len(), worlds.len());
    }

    /// What a million are asked for by `cargo xtask soak --idle`, with fewer; and that the same
    /// world comes of it each time.
    #[test]
    fn many_idle_connections_cost_their_entries_and_go_in_their_order() {
        let [one, other] = [0, 1].map(|_| idle::run(20_000));
        assert_eq!((one.phases, one.hash), (other.phases, other.hash));
    }

    #[test]
    fn a_world_has_traffic() {
        let requests: u32 = (1..=20).map(|seed| run(seed, &PLAIN).stats.requests).sum();
        assert!(requests > 100, "{requests} requests in 20 worlds");
    }
}
