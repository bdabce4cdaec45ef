//! That the checkers find what they are there for, and that a run can be had again.

use std::panic::{self, AssertUnwindSafe};

use dustdevil_core::sim::{Faults, Script};

use crate::client::{Ending, Expect, Plan, Request};
use crate::util::{Scene, get, ms, secs};
use crate::world::Planted;

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

/// What each planted defect is found by. None of these checks may be one that cannot fail.
#[test]
fn whatever_is_planted_between_server_and_world_is_found() {
    for planted in Planted::ALL {
        let says = match planted {
            Planted::ClosesNothing | Planted::HidesBacklog => "nothing has happened for too long",
            Planted::SleepsOn => "it was slow for too long",
            // Who is told of no room moves nothing, and is ended for others.
            Planted::ResetsAtClose | Planted::HidesRoom => "RST although more is due",
            Planted::ClosesAtAbort => "FIN although more is due",
            Planted::LosesBytes | Planted::RepeatsBytes => "client",
            Planted::HidesGone => "never come back",
            Planted::WakesEarly => "spinning",
        };
        let run = |is_planted: bool| {
            let mut scene = traffic_for(planted);
            scene.setup.planted = is_planted.then_some(planted);
            scene.run();
        };
        run(false);
        let found = panic::catch_unwind(AssertUnwindSafe(|| run(true)));
        let found = found.expect_err(&format!("{planted:?} was not noticed"));
        let found = found.downcast_ref::<String>().expect("a message").clone();
        assert!(found.contains(says), "{planted:?}: {found}");
    }
}

/// Whoever meets the planted defect, in a world without a fault but a small window.
fn traffic_for(planted: Planted) -> Scene {
    let handles_max = if planted == Planted::HidesBacklog { 3 } else { usize::MAX };
    let faults = Faults { window_bytes: (900, 900), handles_max, ..Faults::NONE };
    let mut scene = Scene::new(3, faults);
    if planted == Planted::HidesGone {
        // A handler that asks whether its peer is gone, and does nothing else.
        scene.setup.limits.progress_ms = 900_000;
        scene.setup.settle_ms = 10_000;
        scene.script(ms(0), Script::new("goes").send(&get("/watch")).wait(ms(50)).reset());
        return scene;
    }
    for n in 0..9 {
        let requests = vec![
            Request::get("/user/x", "x"),
            Request::big(3_000),
            Request::post("/echo", &[b'p'; 1_500], &[b'p'; 1_500]),
            Request::get("/half", "").expecting(Expect::Cut),
        ];
        let requests = match planted {
            // They come at once, and some find no handle.
            Planted::HidesBacklog => requests[..1].to_vec(),
            _ if n % 2 == 0 => requests,
            _ => requests[..3].to_vec(),
        };
        let delay = if planted == Planted::HidesBacklog { ms(0) } else { ms(40 * n) };
        scene.client(delay, Plan { patience: secs(60), ..Plan::new("planted", requests) });
    }
    // One who says nothing is ended at its deadline, and by nothing else.
    let silent = Plan::new("silent", vec![Request::get("/plain", "simple")]);
    let silent = Plan { ending: Ending::Silence(0), cut_within: Some(secs(11)), ..silent };
    scene.client(secs(60), silent);
    scene
}
