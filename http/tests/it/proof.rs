//! That the checkers find what they are there for, and that a run can be had again.

use std::panic::{self, AssertUnwindSafe};

use dustdevil_core::sim::Faults;

use crate::client::{Plan, Request};
use crate::util::{Scene, ms};

/// A scene with some traffic of every kind.
fn traffic(seed: u64, faults: Faults) -> Scene {
    let scene = Scene::new(seed, faults);
    for n in 0..8 {
        let body = vec![b'p'; 100 * n];
        let requests = vec![
            Request::get("/user/x", "x"),
            Request::post("/echo", &body, &body),
            Request::get("/slow/20", "slow"),
            Request::chunked("/count", &body, 64, body.len().to_string().as_bytes()),
            Request::big(3_000),
        ];
        let plan = Plan {
            depth: 1 + n % 3,
            is_tolerant: true,
            piece_bytes: (1, 500),
            ..Plan::new("traffic", requests)
        };
        scene.client(ms(n as u64 * 7), plan);
    }
    scene
}

#[test]
fn one_seed_twice_gives_the_same_trace() {
    for seed in 0..30 {
        let run = || traffic(seed, Faults::seeded(seed)).run();
        let (first, second) = (run(), run());
        assert_eq!(first, second, "seed {seed}");
    }
    let hashes: Vec<_> = (0..8).map(|seed| traffic(seed, Faults::harsh()).run().hash).collect();
    assert!(hashes.windows(2).all(|pair| pair[0] != pair[1]), "other seeds, other traces");
}

/// An edge that is lost is what a wrong poller would do, or a driver that forgets a ready bit: the
/// run must not pass.
#[test]
fn a_lost_event_is_found() {
    let found = (0..20)
        .filter(|&seed| {
            let faults = Faults { drop_event_permille: 60, ..Faults::NONE };
            let mut scene = traffic(seed, faults);
            scene.setup.limits.progress_ms = 900_000;
            scene.setup.limits.head_ms = 900_000;
            scene.setup.limits.idle_ms = 900_000;
            panic::catch_unwind(AssertUnwindSafe(|| scene.run())).is_err()
        })
        .count();
    assert_eq!(found, 20);
}

/// A lease that is never given back, by a handler that forgets its exchange, is counted: what would
/// be a leak in the server is seen at the end of the run.
#[test]
fn a_leaked_lease_is_found() {
    let scene = traffic(1, Faults::NONE);
    assert_eq!(scene.run().heads_lost, 0);
    let scene = traffic(1, Faults::NONE);
    let forget = Request::get("/forget", "").expecting(crate::client::Expect::Status(403));
    scene.client(ms(1), Plan::new("leaks", vec![forget]));
    assert_eq!(scene.run().heads_lost, 1);
}
