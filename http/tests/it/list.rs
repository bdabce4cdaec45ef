//! The list that a board has to pass as well: many requests, many connections, and too many.

use dustdevil_core::sim::{Faults, Script};
use dustdevil_core::time::Duration;
use dustdevil_http::Capacity;

use crate::client::{Ending, Plan, Request};
use crate::util::{GET, Scene, ms, reliable, secs, weathers};

/// Whether connections are reset by the network here: then clients must put up with it.
fn resets(faults: &Faults) -> bool {
    faults.reset_permille > 0
}

#[test]
fn a_thousand_requests_on_one_connection() {
    for (weather, faults) in weathers() {
        let mut scene = Scene::new(3, reliable(&faults));
        scene.setup.drains = weather != "harsh";
        let requests = (0..1000).map(|n| Request::get(&format!("/user/{n}"), &n.to_string()));
        scene.client(ms(0), Plan::new("one of many requests", requests.collect()));
        let report = scene.run();
        assert_eq!((scene.finished(), scene.tally.answered.get()), (1, 1000), "{weather}");
        assert_eq!((report.stats.requests, report.stats.accepted), (1000, 1), "{weather}");
    }
}

#[test]
fn two_hundred_connections_one_after_another() {
    for (weather, faults) in weathers() {
        let is_tolerant = resets(&faults);
        let scene = Scene::new(4, faults);
        for n in 0..200 {
            let name = n.to_string();
            let request = Request::get(&format!("/user/{name}"), &name);
            let plan = Plan { is_tolerant, ..Plan::new(&name, vec![request]) };
            scene.client(secs(n), plan);
        }
        let report = scene.run();
        if !is_tolerant {
            assert_eq!((scene.finished(), report.stats.accepted), (200, 200), "{weather}");
        }
        assert!(scene.finished() > 100, "{weather}: {:?}", scene.tally);
    }
}

#[test]
fn sixteen_at_once() {
    for (weather, faults) in weathers() {
        let is_tolerant = resets(&faults);
        let scene = Scene::new(5, Faults { accept_fail_permille: 0, ..faults });
        for n in 0..16 {
            let requests = (0..10).map(|m| {
                Request::get(&format!("/json/{n}-{m}"), &format!("{{\"value\":\"{n}-{m}\"}}"))
            });
            let plan = Plan { is_tolerant, ..Plan::new(&n.to_string(), requests.collect()) };
            scene.client(ms(0), plan);
        }
        let report = scene.run();
        if !is_tolerant {
            assert_eq!((scene.finished(), report.stats.requests), (16, 160), "{weather}");
        }
        assert!(scene.finished() > 8, "{weather}: {:?}", scene.tally);
    }
}

#[test]
fn five_hundred_opened_and_reset() {
    for (weather, faults) in weathers() {
        let scene = Scene::new(6, faults);
        for n in 0..500_usize {
            let requests = vec![Request::get("/plain", "simple"), Request::big(5_000)];
            let ending = Ending::Reset(n % 70);
            let plan = Plan { ending, is_tolerant: true, ..Plan::new("resets", requests) };
            scene.client(Duration::from_micros(n as u64 * 700), plan);
        }
        // And after all of them one that is served.
        let last = Plan {
            is_tolerant: resets(&scene_faults(weather)),
            ..Plan::new("last", vec![Request::get("/plain", "simple")])
        };
        scene.client(secs(400), last);
        scene.run();
        let (finished, cut) = (scene.finished(), scene.tally.ended_early.get());
        assert_eq!(finished + cut, 501, "{weather}: {:?}", scene.tally);
        assert!(resets(&scene_faults(weather)) || finished >= 1, "{weather}: {:?}", scene.tally);
    }
}

fn scene_faults(weather: &str) -> Faults {
    weathers().into_iter().find(|(name, _)| *name == weather).expect("one of the three").1
}

#[test]
fn a_request_one_byte_at_a_time() {
    for (weather, faults) in weathers() {
        let scene = Scene::new(7, reliable(&faults));
        let requests = vec![
            Request::get("/user/abc", "abc"),
            Request::post("/count", &[b'x'; 50], b"50"),
            Request::chunked("/echo", b"one byte at a time", 4, b"one byte at a time"),
        ];
        let plan =
            Plan { piece_bytes: (1, 1), gap_us: (1_000, 9_000), ..Plan::new("bytes", requests) };
        scene.client(ms(0), plan);
        let report = scene.run();
        assert_eq!((scene.finished(), report.stats.requests), (1, 3), "{weather}");
    }
}

/// The oldest idle connection is shed; nobody who has a request in flight is dropped.
#[test]
fn more_connections_than_there_is_room_for() {
    for drains in [true, false] {
        let mut scene = Scene::calm();
        scene.setup.capacity = Capacity { connections: 4, ..scene.setup.capacity };
        scene.setup.drains = drains;
        // One that is idle longest, one idle, two with a request in flight.
        let idle = |name| Script::new(name).send(GET).expect_contains(b"simple", secs(1));
        let oldest = idle("oldest").expect_close(secs(9));
        let oldest = scene.script(ms(0), oldest);
        let second = scene.script(
            ms(10),
            idle("second").wait(secs(3)).send(GET).expect_contains(b"simple", secs(1)),
        );
        for n in 0..2 {
            let slow = vec![Request::get("/slow/5000", "slow")];
            scene.client(ms(20 + n), Plan::new("in flight", slow));
        }
        scene.client(secs(1), Plan::new("one too many", vec![Request::get("/plain", "simple")]));
        let report = scene.run();
        assert_eq!((scene.finished(), report.stats.shed), (3, 1), "drains: {drains}");
        assert!(second.outcome().is_finished);
        let ended = oldest.outcome().ended_at.expect("it was shed");
        let began = oldest.outcome().connected_at.expect("it was connected");
        assert!((ms(900)..ms(1_100)).contains(&(ended - began)), "at the arrival of the fifth");
    }
}

/// A request that has arrived and that nobody looked at yet saves its connection.
#[test]
fn who_has_just_asked_is_not_shed() {
    let mut scene = Scene::calm();
    scene.setup.capacity =
        Capacity { connections: 1, requests: 1, heads: 2, ..scene.setup.capacity };
    // Both arrive at the same instant: the second request of one, the connection of the other.
    let script = Script::new("asks again").send(GET).expect_contains(b"simple", secs(1));
    let script = script.wait(ms(1_000)).send(GET).expect_contains(b"simple", secs(1));
    scene.script(ms(0), script.expect_close(secs(3)));
    scene.client(
        Duration::from_micros(1_000_400),
        Plan::new("other", vec![Request::get("/plain", "simple")]),
    );
    let report = scene.run();
    assert_eq!((scene.finished(), report.stats.requests), (1, 3));
}
