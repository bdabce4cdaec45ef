//! Nobody may starve the others: with every connection taken by peers that trickle heads, bodies or
//! reads, a client that behaves is served within two seconds.

use std::rc::Rc;

use dustdevil_core::sim::{Faults, Record, Script};
use dustdevil_core::time::Duration;
use dustdevil_http::Capacity;

use crate::client::{Client, Ending, Plan, Request, Tally};
use crate::util::{Scene, ms, secs};
use crate::world::address;

/// How somebody is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slow {
    /// Nothing is ever sent.
    Silence,
    Heads,
    Bodies,
    Reads,
}

const KINDS: [Slow; 4] = [Slow::Silence, Slow::Heads, Slow::Bodies, Slow::Reads];

impl Slow {
    fn plan(self) -> Plan {
        let plan = |request| Plan { is_tolerant: true, ..Plan::new("slow", vec![request]) };
        let trickle = (300_000, 300_000);
        match self {
            Self::Silence => {
                Plan { ending: Ending::Silence(0), ..plan(Request::get("/plain", "simple")) }
            }
            Self::Heads => Plan {
                piece_bytes: (1, 1),
                gap_us: trickle,
                ..plan(Request::get(
                    "/user/abcdefghijklmnopqrstuvwxyz",
                    "abcdefghijklmnopqrstuvwxyz",
                ))
            },
            Self::Bodies => Plan {
                // Its head is whole at once; then a byte now and then.
                body_piece_bytes: Some(1),
                stops_behind_heads: true,
                gap_us: trickle,
                ..plan(Request::post("/count", &[b'b'; 4_000], b"4000"))
            },
            Self::Reads => Plan { read_gap_us: Some(20_000_000), ..plan(Request::big(200_000)) },
        }
    }
}

/// A server of `connections`, all taken by such peers and one more of them waiting, who come again
/// whenever they are ended; and a client now and then. How long the slowest of these waited, and
/// how many were served.
fn crowd(kinds: &[Slow], connections: usize, requests: usize, seed: u64) -> (Duration, u32) {
    let faults = Faults { window_bytes: (2_000, 2_000), ..Faults::NONE };
    let mut scene = Scene::new(seed, faults);
    let heads = requests + 2;
    scene.setup.capacity = Capacity { connections, requests, heads, ..scene.setup.capacity };
    for n in 0..=connections {
        let plan = Plan { again_for: Some(secs(20)), ..kinds[n % kinds.len()].plan() };
        scene.client(ms(7 * n as u64), plan);
    }
    let good = Rc::new(Tally::default());
    for n in 0..10 {
        let plan = Plan::new("good", vec![Request::get("/user/good", "good")]);
        let plan = Plan { is_tolerant: true, ..plan };
        scene.world.connect(
            address(),
            ms(1_500 + n * 1_700 + seed * 100),
            Client::new(plan, &good),
        );
    }
    scene.run();
    (good.slowest.get(), good.answered.get())
}

#[test]
fn a_good_client_is_served_within_two_seconds_of_a_crowd_of_slow_ones() {
    let mut starved = Vec::new();
    for (connections, requests) in [(4, 8), (4, 4), (8, 1), (16, 2), (40, 6)] {
        for kinds in KINDS.iter().map(std::slice::from_ref).chain([&KINDS[..], &KINDS[1..]]) {
            for seed in 0..3 {
                let (slowest, served) = crowd(kinds, connections, requests, seed);
                if served < 10 || slowest > secs(2) {
                    let what = "connections, requests, served of 10, slowest";
                    starved.push((what, kinds, connections, requests, served, slowest));
                }
            }
        }
    }
    assert!(starved.is_empty(), "{starved:#?}");
}

/// Heads that come in two pieces at the same moment are not slow, although there are more of them
/// than may be under way: a browser's head comes so to a board with a small window.
#[test]
fn heads_in_two_pieces_at_once_are_all_served() {
    for clients in 2..=4 {
        let mut scene = Scene::calm();
        scene.setup.capacity = Capacity { requests: 2, heads: 3, ..scene.setup.capacity };
        let (first, second) = crate::util::GET.split_at(9);
        let records = Vec::from_iter((0..clients).map(|n| {
            let script = Script::new("two pieces").send(first).wait(ms(100)).send(second);
            scene.script(ms(n), script.expect_contains(b"200 OK", ms(300)).fin())
        }));
        let report = scene.run();
        assert!(records.iter().all(|record| record.outcome().is_finished), "{clients}");
        assert_eq!(report.stats.shed, 0, "{clients}");
    }
}

/// With every connection in work and one more, who is answered is told to leave, and so meets no
/// connection that was shed when it asks again; with room for all, nobody is.
#[test]
fn who_is_answered_while_others_wait_is_told_to_leave() {
    for (clients, leave) in [(2, false), (4, true)] {
        let mut scene = Scene::calm();
        scene.setup.capacity =
            Capacity { connections: 2, requests: 3, heads: 4, ..scene.setup.capacity };
        let records = Vec::from_iter((0..clients).map(|n| {
            let script = Script::new("in work").send(b"GET /slow/500 HTTP/1.1\r\nHost: a\r\n\r\n");
            scene.script(ms(n), script.expect_contains(b"200 OK", secs(2)).fin())
        }));
        scene.run();
        assert!(records.iter().all(|record| record.outcome().is_finished), "{clients}");
        let told = |record: &Record| record.outcome().text().contains("Connection: close");
        assert_eq!(records.iter().any(told), leave, "{clients}");
    }
}

/// Patience is for each: a body that comes a moment after its request got a slot is waited for,
/// also when others have been waiting for a slot for long.
#[test]
fn a_body_on_its_way_is_not_taken_for_a_slow_one() {
    let mut scene = Scene::calm();
    scene.setup.capacity = Capacity { requests: 1, heads: 9, ..scene.setup.capacity };
    scene.client(ms(0), Plan::new("holds the slot", vec![Request::get("/slow/900", "slow")]));
    // The first has the slot after 900 ms and its body after 1,400; the second waits all the while.
    for (head_ms, gap_ms) in [(100, 1_300), (200, 1_100)] {
        let plan = Plan::new("two steps", vec![Request::post("/count", b"body", b"4")]);
        let gap_us = (gap_ms * 1_000, gap_ms * 1_000);
        scene.client(ms(head_ms), Plan { stops_behind_heads: true, gap_us, ..plan });
    }
    let report = scene.run();
    assert_eq!((scene.finished(), report.stats.shed), (3, 0));
}

/// Requests that find no slot wait at most `queue_ms`, are told so, and may come again.
#[test]
fn who_waits_for_a_slot_too_long_gets_503() {
    let mut scene = Scene::calm();
    scene.setup.capacity = Capacity { requests: 1, heads: 4, ..scene.setup.capacity };
    scene.client(ms(0), Plan::new("long", vec![Request::get("/slow/9000", "slow")]));
    let script = dustdevil_core::sim::Script::new("waits").send(crate::util::GET);
    let script = script.expect_contains(b"503 Service Unavailable", ms(5_010));
    let script = script.expect_contains(b"Retry-After: 1", secs(1)).expect_close(secs(1));
    let record = scene.script(ms(10), script);
    scene.client(secs(6), Plan::new("in time", vec![Request::get("/plain", "simple")]));
    scene.run();
    let outcome = record.outcome();
    let took = outcome.ended_at.expect("it ended") - outcome.connected_at.expect("it began");
    assert!(took >= ms(5_000), "{took:?}");
    assert_eq!(scene.finished(), 2);
}

/// One that asks for much in one go, and reads slowly, lets those who wait have its slot between
/// two answers, and has the rest of its own afterwards.
#[test]
fn who_had_a_turn_yields_its_slot_and_is_not_forgotten() {
    for seed in 0..40 {
        let faults = Faults { window_bytes: (300, 300), ..Faults::NONE };
        let mut scene = Scene::new(seed, faults);
        scene.setup.capacity = Capacity { requests: 1, heads: 9, ..scene.setup.capacity };
        let requests = (0..6).map(|n| match n % 2 {
            0 => Request::big(500 + 40 * seed as usize),
            _ => Request::get(&format!("/slow/{}", seed % 5), "slow"),
        });
        scene.client(ms(0), Plan { depth: 6, ..Plan::new("much", requests.collect()) });
        for n in 0..4 {
            let plan = Plan::new("a little", vec![Request::get("/plain", "simple")]);
            scene.client(Duration::from_micros(200 + 300 * n), plan);
        }
        let report = scene.run();
        assert_eq!((scene.finished(), report.stats.timed_out), (5, 0), "{seed}");
    }
}
