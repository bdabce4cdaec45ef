//! How a server ends: by a drain, or by dropping its future.

use dustdevil_core::sim::{Faults, Script};

use crate::client::{Plan, Request};
use crate::util::{GET, Scene, get, ms, post, secs};

#[test]
fn a_stopped_server_finishes_what_is_in_flight_and_closes_what_is_idle() {
    let mut scene = Scene::calm();
    scene.setup.stop_after_ms = Some(1_000);
    let idle = Script::new("idle").send(GET).expect_contains(b"simple", secs(1));
    let idle = scene.script(ms(0), idle.expect_close(ms(1_001)));
    let fresh = scene.script(ms(0), Script::new("fresh").expect_close(ms(1_001)));
    let slow = Script::new("in flight").send(&get("/slow/3000"));
    let slow = slow.expect_contains(b"Connection: close\r\n", ms(3_010));
    let slow = scene.script(ms(0), slow.expect_contains(b"slow", secs(1)).expect_close(secs(1)));
    let long = Script::new("waits for the stop").send(&get("/until-stopped"));
    let long = scene.script(ms(0), long.expect_contains(b"stopped", ms(1_010)));
    let report = scene.run();
    for record in [idle, fresh, slow, long] {
        assert!(record.outcome().is_finished, "{:?}", record.outcome());
    }
    assert!(report.elapsed < ms(3_100), "{:?}", report.elapsed);
}

#[test]
fn an_idle_server_stops_at_once() {
    let mut scene = Scene::calm();
    scene.setup.stop_after_ms = Some(1_000);
    scene.script(ms(0), Script::new("idle").send(GET).expect_close(secs(2)));
    let report = scene.run();
    assert!(report.elapsed < ms(1_010), "{:?}", report.elapsed);
}

#[test]
fn what_is_left_at_the_drains_deadline_is_aborted() {
    let mut scene = Scene::calm();
    scene.setup.stop_after_ms = Some(1_000);
    scene.setup.limits.stop_ms = 2_000;
    let scripts = [
        get("/hang"),
        get("/tick"),
        get("/endless"),
        post("/count", 10),
        b"GET /half of a he".to_vec(),
    ];
    for request in scripts {
        scene.script(ms(0), Script::new("stays").tolerant().send(&request).expect_end(secs(9)));
    }
    scene.script(
        ms(0),
        Script::new("deaf").tolerant().stop_reading().send(&get("/big/900000")).expect_end(secs(9)),
    );
    let report = scene.run();
    let elapsed = report.elapsed;
    assert!(ms(3_000) <= elapsed && elapsed < ms(3_010), "{elapsed:?}");
    assert_eq!(scene.app.alive.get(), 0);
}

/// Under any fault, a stop at any time ends within its limit.
#[test]
fn a_stop_at_any_time_comes_to_an_end() {
    for seed in 0..150 {
        let mut scene = Scene::new(seed, Faults::seeded(seed));
        let after = seed * 37 % 3_000;
        scene.setup.stop_after_ms = Some(after);
        scene.setup.limits.stop_ms = 2_500;
        scene.setup.drains = seed % 2 == 0;
        for n in 0..30 {
            let requests = vec![
                Request::post("/echo", &[b's'; 500], &[b's'; 500]),
                Request::get("/slow/300", "slow"),
                Request::big(20_000),
                Request::get("/plain", "simple"),
            ];
            let plan = Plan {
                depth: 2,
                is_tolerant: true,
                piece_bytes: (1, 600),
                gap_us: (0, 90_000),
                ..Plan::new("stopped", requests)
            };
            let request = if n % 10 == 9 { get("/hang") } else { vec![] };
            if request.is_empty() {
                scene.client(ms(n * 100), plan);
            } else {
                scene.script(
                    ms(n * 100),
                    Script::new("hangs").tolerant().send(&request).wait(secs(20)),
                );
            }
        }
        let report = scene.run();
        assert_eq!(scene.app.alive.get(), 0, "seed {seed}");
        let elapsed = report.elapsed;
        assert!(elapsed < ms(after + 2_500 + 200), "seed {seed}: {elapsed:?}");
    }
}

/// Dropping the future closes every connection and drops every handler.
#[test]
fn a_dropped_server_closes_everything() {
    for seed in 0..40 {
        let mut scene = Scene::new(seed, Faults::seeded(seed));
        scene.setup.stops = false;
        scene.setup.stop_after_ms = Some(10 + seed * 40);
        for request in [
            get("/hang"),
            get("/slow/900"),
            post("/count", 9),
            b"GE".to_vec(),
            vec![],
            get("/tick"),
            GET.to_vec(),
        ] {
            let script = Script::new("dropped").tolerant().send(&request);
            scene.script(ms(seed), script.wait(secs(90)));
        }
        scene.run();
        assert_eq!(scene.app.alive.get(), 0, "seed {seed}");
    }
}
