//! The whole of it: an HTTP server over the poller, clients over a wire with every fault, many
//! seeds.

use dustdevil_core::sim::Rng;

use crate::clients::{Leave, Plan};
use crate::site::{Report, Setup, serve};
use crate::wire::Faults;
use crate::world::seeds;

/// Seeds of the bad wire.
const SEEDS: u64 = 200;

/// Clients of every kind, by a seed.
fn plans(seed: u64) -> Vec<Plan> {
    let mut rng = Rng::new(seed ^ 0x0000_0091_a115_0000);
    (0..rng.range(1, 8))
        .map(|_| Plan {
            start_us: rng.range(0, 200_000),
            connections: rng.range(1, 4) as u32,
            requests: rng.range(0, 4) as u32,
            pause_us: rng.range(0, 100_000),
            leave: [Leave::Close, Leave::Close, Leave::Reset, Leave::Stay][rng.index(4)],
        })
        .collect()
}

fn run(seed: u64, faults: Faults) -> (Report, u32) {
    let plans = plans(seed);
    let asked = plans.iter().map(|plan| plan.connections * plan.requests).sum();
    (serve(seed, &Setup::new(faults, plans)), asked)
}

/// On a calm wire everybody is answered, and nobody is refused or reset: more clients than sockets.
#[test]
fn on_a_calm_wire_every_request_is_answered() {
    let mut broken = 0;
    for seed in 0..60 {
        let (report, asked) = run(seed, Faults { delay_us: (500, 500), ..Faults::NONE });
        let tally = &report.tally;
        let failed = (tally.refused.get(), tally.given_up.get(), tally.turned_away.get());
        assert_eq!(failed, (0, 0, 0), "seed {seed}: {report:?}");
        // Who keeps a connection that others wait for may lose it between two requests.
        assert!(tally.answered.get() + 4 * tally.broken.get() >= asked, "seed {seed}: {report:?}");
        broken += tally.broken.get();
    }
    assert!(broken <= 4, "{broken} connections");
}

/// Under every fault: each request has exactly its answer or a clean failure (the clients compare
/// every byte), and at the end everything is given back.
#[test]
fn on_a_bad_wire_every_request_is_answered_or_fails_cleanly() {
    let (mut answered, mut asked) = (0, 0);
    for seed in 0..seeds(SEEDS) {
        let faults = if seed % 4 == 0 { Faults::HARSH } else { Faults::seeded(seed) };
        let (report, wanted) = run(seed, faults);
        answered += u64::from(report.tally.answered.get());
        asked += u64::from(wanted);
    }
    // A tenth of all frames is lost, and yet most of what was asked for is answered.
    assert!(answered * 10 >= asked * 8, "{answered} of {asked}");
}

#[test]
fn one_seed_twice_is_one_story() {
    for seed in 0..20 {
        let stories = [(); 2].map(|()| {
            let (report, _) = run(seed, Faults::HARSH);
            (report.hash, report.counts, report.elapsed)
        });
        assert_eq!(stories[0], stories[1], "seed {seed}");
    }
    assert_ne!(run(1, Faults::HARSH).0.hash, run(2, Faults::HARSH).0.hash);
}

/// Sixteen browsers at once, four sockets: none refused, none reset, all answered.
#[test]
fn sixteen_clients_at_once_on_four_sockets() {
    for leave in [Leave::Close, Leave::Stay] {
        let plan = Plan { start_us: 0, connections: 1, requests: 1, pause_us: 0, leave };
        let faults = Faults { delay_us: (200, 200), ..Faults::NONE };
        let report = serve(1, &Setup::new(faults, vec![plan; 16]));
        assert_eq!(report.tally.answered.get(), 16, "{leave:?}: {report:?}");
        assert_eq!(report.counts.resets, 0, "{leave:?}");
    }
}

/// Four silent clients on all four sockets; a fifth is served within two seconds.
#[test]
fn a_fifth_client_is_served_though_four_are_silent() {
    let silent = Plan { start_us: 0, connections: 1, requests: 0, pause_us: 0, leave: Leave::Stay };
    let fifth = Plan { start_us: 100_000, requests: 3, leave: Leave::Close, ..silent.clone() };
    let mut plans = vec![silent; 4];
    plans.push(fifth);
    let faults = Faults { delay_us: (200, 200), ..Faults::NONE };
    let report = serve(1, &Setup::new(faults, plans));
    assert_eq!(report.tally.answered.get(), 3, "{report:?}");
}

/// Hundreds of connections that are opened and reset, and service afterwards.
#[test]
fn connections_that_are_reset_leave_nothing() {
    let reset =
        Plan { start_us: 0, connections: 250, requests: 1, pause_us: 1_000, leave: Leave::Reset };
    let faults = Faults { delay_us: (200, 200), ..Faults::NONE };
    let report = serve(1, &Setup::new(faults, vec![reset; 2]));
    assert_eq!(report.tally.answered.get(), 500, "{report:?}");
}

/// Thousands of requests on a few connections, and hundreds of connections.
#[test]
fn keep_alive_and_connection_after_connection() {
    let faults = Faults { delay_us: (200, 200), ..Faults::NONE };
    let keep =
        Plan { start_us: 0, connections: 1, requests: 500, pause_us: 0, leave: Leave::Close };
    let report = serve(1, &Setup::new(faults.clone(), vec![keep.clone(); 3]));
    assert_eq!((report.tally.answered.get(), report.counts.resets), (1_500, 0), "{report:?}");
    let single = Plan { connections: 200, requests: 1, ..keep };
    let report = serve(1, &Setup::new(faults, vec![single; 2]));
    assert_eq!((report.tally.answered.get(), report.counts.resets), (400, 0), "{report:?}");
}
