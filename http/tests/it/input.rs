//! Bad input and silence: the right status or a clean close, at the right time, and everything
//! comes back (which `Scene::run` checks).

use dustdevil_core::sim::{Faults, Record, Script};
use dustdevil_core::time::Duration;
use dustdevil_http::Limits;

use crate::client::{Ending, Expect, Plan, Request};
use crate::util::{GET, Scene, get, ms, post, secs, statuses};

/// What a peer that sends `bytes` and then waits is told, and how long that takes.
fn answer_to(bytes: &[u8], limits: Limits) -> (Vec<u16>, Duration, Scene) {
    let mut scene = Scene::calm();
    scene.setup.limits = limits;
    let script = Script::new("bad").send(bytes).expect_close(secs(200));
    let record = scene.script(ms(0), script);
    scene.run();
    let (codes, took) = told(&record);
    (codes, took, scene)
}

/// The statuses a peer was told, and how long its connection stood.
fn told(record: &Record) -> (Vec<u16>, Duration) {
    let outcome = record.outcome();
    let began = outcome.connected_at.expect("it was connected");
    (statuses(&outcome.text()), outcome.ended_at.expect("it has ended") - began)
}

#[test]
fn what_cannot_be_read_is_answered_and_closed_at_once() {
    let limits = Limits { body_bytes_max: 1_000, server_name: "", ..Limits::DEFAULT };
    let long = [b'x'; 2_000];
    let many: Vec<u8> = (0..25).flat_map(|n| format!("F{n}: v\r\n").into_bytes()).collect();
    let head = b"GET /plain HTTP/1.1\r\nHost: a\r\n";
    let chunked = b"POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (name, bytes, status) in [
        ("garbage", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(), 400),
        ("no version", b"GET /\r\n\r\n".to_vec(), 400),
        ("no host", b"GET / HTTP/1.1\r\n\r\n".to_vec(), 400),
        ("a bare LF", b"GET / HTTP/1.1\nHost: a\n\n".to_vec(), 400),
        (
            "two lengths",
            [&head[..], b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n"].concat(),
            400,
        ),
        ("a long field", [&head[..], b"X: ", &long].concat(), 431),
        ("many fields", [&head[..], &many, b"\r\n"].concat(), 431),
        ("a long line", [b"GET /", &long[..]].concat(), 414),
        ("a long body", post("/count", 1_001), 413),
        (
            "a long body in chunks",
            [&chunked[..], b"3e9\r\n", &long[..1_001], b"\r\n"].concat(),
            413,
        ),
        ("a chunk without a size", [&chunked[..], b"x\r\n"].concat(), 400),
        ("a chunk longer than its size", [&chunked[..], b"1\r\nab\r\n"].concat(), 400),
    ] {
        let (codes, took, scene) = answer_to(&bytes, limits);
        assert_eq!(codes, [status], "{name}");
        assert!(took < ms(10), "{name}: {took:?}");
        assert_eq!(scene.app.alive.get(), 0, "{name}");
    }
}

/// The same under every fault: each is answered with its status or the connection just ends.
#[test]
fn what_cannot_be_read_ends_under_every_fault() {
    for seed in 0..60 {
        let faults = if seed % 2 == 0 { Faults::harsh() } else { Faults::seeded(seed) };
        let mut scene = Scene::new(seed, faults);
        scene.setup.drains = seed % 3 == 0;
        let long = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &[b'x'; 2_000]].concat();
        let garbage = (b"nonsense\r\n\r\n".to_vec(), 400);
        let records =
            [garbage, (long, 431), (post("/count", 9_999_999), 413)].map(|(bytes, status)| {
                let script = Script::new("bad").tolerant().send(&bytes).expect_end(secs(200));
                (scene.script(ms(seed), script), status)
            });
        scene.run();
        for (record, status) in records {
            let codes = statuses(&record.outcome().text());
            assert!(codes.is_empty() || codes == [status], "seed {seed}: {codes:?}, not {status}");
        }
    }
}

/// An error is written as far as the transport takes it, and not only once.
#[test]
fn an_error_is_whole_however_little_the_transport_takes_at_once() {
    let scene = Scene::new(2, Faults { short_write_permille: 950, ..Faults::NONE });
    for n in 0..20 {
        let script = Script::new("garbage").send(b"garbage\r\n\r\n");
        let script = script.expect_contains(b"400 Bad Request: ", secs(1));
        scene.script(ms(n), script.expect_contains(b"\n", secs(1)).expect_close(secs(1)));
    }
    assert_eq!(scene.run().stats.rejected, 20);
}

/// An error behind a long answer waits until that is on its way, and takes nothing of it along.
#[test]
fn an_error_behind_a_long_answer_waits_for_its_turn() {
    let garbage = Request::raw(b"garbage\r\n\r\n", Expect::Status(400));
    let forbidden = Request::get("/error/403", "").expecting(Expect::Status(403));
    let nothing = Request::get("/nothing", "").expecting(Expect::Status(404));
    for bad in [garbage, forbidden, nothing] {
        for window in [200, 600, 1_100] {
            let faults = Faults { window_bytes: (window, window), ..Faults::NONE };
            let scene = Scene::new(window as u64, faults);
            let requests = vec![Request::big(5_000), bad.clone()];
            scene.client(ms(0), Plan { depth: 2, ..Plan::new("behind", requests) });
            scene.run();
            assert_eq!(scene.tally.answered.get(), 2, "window {window}: {bad:?}");
        }
    }
}

/// The same where the out buffer has room for a part of the error, at every length of that part.
#[test]
fn an_error_waits_also_where_a_part_of_it_would_fit() {
    for bytes in (300..1_300).step_by(13) {
        let scene = Scene::new(3, Faults { window_bytes: (200, 200), ..Faults::NONE });
        let head = "POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let bad = format!("{head}3\r\nabcd\r\n0\r\n\r\n");
        let bad = Request::raw(bad.as_bytes(), Expect::Status(400));
        let requests = vec![Request::get("/plain", "simple"), Request::big(bytes), bad];
        scene.client(ms(0), Plan { depth: 3, ..Plan::new("behind", requests) });
        scene.run();
        assert_eq!(scene.tally.answered.get(), 3, "{bytes}");
    }
}

/// FIN after every byte of a conversation: whatever was sent whole is answered.
#[test]
fn the_end_after_any_byte_leaves_nothing_unanswered() {
    let requests = vec![
        Request::post("/echo", &[b'e'; 30], &[b'e'; 30]),
        Request::chunked("/count", &[b'c'; 20], 7, b"20"),
        Request::post("/ignore", &[b'i'; 20], b"ignored"),
        Request::raw(b"HEAD /big/500 HTTP/1.1\r\nHost: a\r\n\r\n", Expect::Whole(200, vec![])),
        Request::get("/slow/20", "slow"),
    ];
    let bytes = requests.iter().map(|request| request.bytes().len()).sum();
    let scene = Scene::calm();
    for at in 0..=bytes {
        let plan = Plan::new("ends", requests.clone());
        let plan = Plan { ending: Ending::FinAt(at), depth: 9, ..plan };
        scene.client(ms(at as u64 * 100), plan);
    }
    let report = scene.run();
    assert_eq!(report.stats.accepted as usize, bytes + 1);
    assert_eq!(report.stats.timed_out, 0, "nobody is waited for who said that no more comes");
}

/// Who rests within its time finds its connection, and who rests longer does not.
#[test]
fn a_rest_within_the_limit_costs_nothing() {
    for (seconds, answered) in [(74, 2), (76, 1)] {
        let scene = Scene::calm();
        let (first, second) = (Request::get("/user/1", "1"), Request::get("/plain", "simple"));
        let requests = vec![first.at_last(), second];
        scene.client(ms(0), Plan { rest: Some((1, secs(seconds))), ..Plan::new("r", requests) });
        scene.run();
        assert_eq!(scene.tally.answered.get(), answered, "{seconds} s");
    }
}

/// A ready bit may be wrong: whoever has asked for nothing is told nothing, even where it has
/// waited for a head buffer in vain.
#[test]
fn who_has_asked_nothing_is_told_nothing() {
    let mut scene = Scene::new(11, Faults { spurious_event_permille: 300, ..Faults::NONE });
    scene.setup.capacity.requests = 1;
    scene.setup.capacity.heads = 2;
    let idle = Script::new("idle").send(GET).expect_contains(b"simple", secs(1));
    let idle = scene.script(ms(0), idle.expect_close(secs(100)));
    for n in 0..2 {
        let script = Script::new("holds a head buffer").send(&get("/slow/9000"));
        scene.script(ms(10 + n), script.expect_close(secs(100)));
    }
    scene.run();
    assert_eq!(told(&idle).0, [200]);
}

/// A peer that goes silent in each phase, and what it is told when.
#[test]
fn silence_ends_at_its_deadline_in_every_phase() {
    let limits = Limits {
        head_ms: 3_000,
        idle_ms: 20_000,
        progress_ms: 5_000,
        drain_ms: 2_000,
        server_name: "",
        ..Limits::DEFAULT
    };
    let chunk = b"POST /count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab";
    for (phase, bytes, codes, least) in [
        ("before the first byte", b"".to_vec(), vec![], ms(3_000)),
        ("in the head", b"GET /plain HT".to_vec(), vec![408], ms(3_000)),
        (
            "behind the last CRLF but one",
            b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec(),
            vec![408],
            ms(3_000),
        ),
        ("idle", GET.to_vec(), vec![200], ms(20_000)),
        ("in a second head", [GET, b"GE"].concat(), vec![200, 408], ms(3_000)),
        ("in a body", [post("/count", 10), b"abc".to_vec()].concat(), vec![408], ms(5_000)),
        ("before a body", post("/count", 10), vec![408], ms(5_000)),
        ("in a chunk", chunk.to_vec(), vec![408], ms(5_000)),
        ("in a body nobody reads", post("/ignore", 10), vec![200], ms(2_000)),
    ] {
        let (answered, took, scene) = answer_to(&bytes, limits);
        assert_eq!(answered, codes, "{phase}");
        assert!(least <= took && took < least + ms(5), "{phase}: {took:?}");
        assert_eq!(scene.app.alive.get(), 0, "{phase}");
    }
}

/// A peer that does not read: its response is given up when nothing moves for `progress_ms`.
#[test]
fn a_reader_that_stops_is_reset() {
    let mut scene = Scene::calm();
    scene.setup.limits.progress_ms = 5_000;
    let script = Script::new("deaf").tolerant().stop_reading().send(&get("/big/1048576"));
    let record = scene.script(ms(0), script.wait(secs(60)));
    let report = scene.run();
    let (_, took) = told(&record);
    assert!(ms(5_000) <= took && took < ms(5_010), "{took:?}");
    assert_eq!((report.stats.timed_out, scene.app.alive.get()), (1, 0));
}

/// One that reads a little, but always enough, is served to the end.
#[test]
fn a_slow_reader_that_moves_on_is_served() {
    let scene = Scene::new(9, Faults { window_bytes: (1_000, 1_000), ..Faults::NONE });
    let requests = vec![Request::big(40_000), Request::get("/plain", "simple")];
    let plan = Plan { read_gap_us: Some(1_500_000), ..Plan::new("slow", requests) };
    scene.client(ms(0), plan);
    let report = scene.run();
    assert_eq!((scene.finished(), report.stats.timed_out), (1, 0));
}

/// And so is one that sends a little, but always enough.
#[test]
fn a_slow_body_that_moves_on_is_served() {
    let scene = Scene::calm();
    let request = Request::post("/count", &[b's'; 2_000], b"2000");
    let plan = Plan {
        piece_bytes: (60, 60),
        gap_us: (900_000, 900_000),
        ..Plan::new("slow", vec![request])
    };
    scene.client(ms(0), plan);
    let report = scene.run();
    assert_eq!((scene.finished(), report.stats.timed_out), (1, 0));
}

/// Silence at any byte of a conversation: nothing is left behind.
#[test]
fn silence_after_any_byte_comes_to_an_end() {
    let requests = vec![
        Request::post("/echo", &[b'e'; 30], &[b'e'; 30]),
        Request::chunked("/count", &[b'c'; 20], 7, b"20"),
        Request::post("/ignore", &[b'i'; 20], b"ignored"),
        Request::get("/plain", "simple"),
    ];
    let bytes = requests.iter().map(|request| request.bytes().len()).sum();
    let scene = Scene::calm();
    for at in 0..bytes {
        let plan = Plan {
            ending: Ending::Silence(at),
            depth: 9,
            is_tolerant: true,
            ..Plan::new("silent", requests.clone())
        };
        scene.client(secs(at as u64 * 100), plan);
    }
    let report = scene.run();
    assert_eq!(report.stats.accepted as usize, bytes);
}

/// Every deadline of many connections is met although one turn handles only so many.
#[test]
fn a_thousand_silent_peers_are_closed_in_time() {
    let mut scene = Scene::calm();
    scene.setup.capacity.connections = 1_000;
    let records: Vec<_> = (0..1_000)
        .map(|_| scene.script(ms(0), Script::new("silent").expect_close(ms(10_050))))
        .collect();
    let report = scene.run();
    assert_eq!(report.stats.timed_out, 1_000);
    assert!(records.iter().all(|record| record.outcome().is_finished));
}
