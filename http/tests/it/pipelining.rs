//! Requests that arrive together, in any split, with and without bodies: each gets its answer, in
//! order, and those that arrive together leave together.

use dustdevil_core::sim::Script;

use crate::client::{Ending, Expect, Plan, Request};
use crate::util::{GET, Scene, get, ms, post, reliable, secs, statuses, weathers};

#[test]
fn requests_that_arrive_together_are_answered_with_one_write() {
    let mut scene = Scene::calm();
    scene.setup.capacity.out_bytes = 4_096;
    let requests = [get("/user/1"), get("/json/2"), GET.to_vec(), get("/user/4")].concat();
    let script = Script::new("together").send(&requests);
    let script = ["1", "{\"value\":\"2\"}", "plain", "4"]
        .iter()
        .fold(script, |script, text| script.expect_contains(text.as_bytes(), secs(1)));
    scene.script(ms(0), script);
    let report = scene.run();
    assert_eq!((report.stats.requests, report.writes), (4, 1));
}

/// What one answer says of its request is not said of the next.
#[test]
fn a_malformed_request_behind_a_405_is_told_no_methods() {
    let scene = Scene::calm();
    let requests = [&b"DELETE /plain HTTP/1.1\r\nHost: a\r\n\r\n"[..], b"?\r\n\r\n"].concat();
    let script = Script::new("405, 400").send(&requests).expect_close(secs(1));
    let answers = scene.script(ms(0), script);
    scene.run();
    let text = answers.outcome().text();
    assert_eq!(statuses(&text), [405, 400]);
    assert_eq!(text.matches("Allow: ").count(), 1, "{text}");
}

#[test]
fn more_answers_than_the_buffer_holds_leave_in_full_writes() {
    let scene = Scene::calm();
    let requests = (0..100).map(|n| Request::get(&format!("/user/{n}"), &n.to_string()));
    let plan = Plan { depth: 100, ..Plan::new("hundred", requests.collect()) };
    scene.client(ms(0), plan);
    let report = scene.run();
    assert_eq!((scene.finished(), report.stats.requests), (1, 100));
    assert!(report.writes < 30, "{} writes", report.writes);
}

/// A conversation of every kind of request, cut into two arrivals at every byte.
#[test]
fn any_split_of_a_pipeline_gives_the_same_answers() {
    let requests = conversation();
    let bytes: usize = requests.iter().map(|request| request.bytes().len()).sum();
    for drains in [true, false] {
        let mut scene = Scene::calm();
        scene.setup.drains = drains;
        let all: Vec<u8> = requests.iter().flat_map(|request| request.bytes().to_vec()).collect();
        for at in 1..bytes {
            let script = Script::new("split").send(&all[..at]).wait(ms(50)).send(&all[at..]);
            let script = script.expect_contains(b"a\r\n0123456789\r\n0\r\n\r\n", secs(1));
            scene.script(secs(at as u64 * 2), script);
        }
        let report = scene.run();
        assert_eq!(report.stats.requests as usize, requests.len() * (bytes - 1));
    }
}

fn conversation() -> Vec<Request> {
    vec![
        Request::post("/echo", b"by length", b"by length"),
        Request::chunked("/echo", b"in chunks of four", 4, b"in chunks of four"),
        Request::post("/ignore", b"unread", b"ignored"),
        Request::raw(b"HEAD /plain HTTP/1.1\r\nHost: a\r\n\r\n", Expect::Whole(200, vec![])),
        Request::chunked("/ignore", b"unread chunks", 5, b"ignored"),
        Request::post("/count", b"", b"0"),
        Request::get("/json/x%20y", "{\"value\":\"x%20y\"}"),
        Request::get("/nothing", "").expecting(Expect::Status(404)),
        Request::get("/stream/1", "0123456789"),
    ]
}

#[test]
fn a_conversation_is_answered_under_every_fault() {
    for (weather, faults) in weathers() {
        for seed in 0..20 {
            let mut scene = Scene::new(seed, reliable(&faults));
            scene.setup.drains = seed % 2 == 0;
            for depth in [1, 3, 100] {
                let plan =
                    Plan { depth, piece_bytes: (1, 90), ..Plan::new("talk", conversation()) };
                scene.client(ms(depth as u64), plan);
            }
            scene.run();
            assert_eq!(scene.finished(), 3, "{weather}, seed {seed}");
        }
    }
}

#[test]
fn a_body_waits_for_100_continue_and_gets_it_once() {
    let scene = Scene::calm();
    let requests = vec![
        Request::post("/count", b"held back", b"9").awaiting_continue(),
        Request::chunked("/echo", b"held back too", 3, b"held back too").awaiting_continue(),
        Request::get("/plain", "simple"),
    ];
    scene.client(ms(0), Plan::new("polite", requests));
    let report = scene.run();
    assert_eq!(scene.finished(), 1);
    assert!(report.elapsed < secs(101), "nobody waited in vain: {:?}", report.elapsed);
}

/// RFC 9110, 10.1.1: whoever answers without reading does not know whether the body follows.
#[test]
fn an_answer_in_place_of_100_continue_closes() {
    let scene = Scene::calm();
    let head =
        b"POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n";
    let script = Script::new("refused").send(head).expect_contains(b"Connection: close", secs(1));
    scene.script(ms(0), script.expect_contains(b"ignored", secs(1)).expect_close(secs(1)));
    scene.run();
}

#[test]
fn http_1_0_and_connection_close_end_with_the_answer() {
    for (request, text) in [
        ("GET /plain HTTP/1.0\r\n\r\n", "Connection: close"),
        ("GET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "Connection: close"),
        ("GET /stream/3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "\r\n\r\n0123456789"),
    ] {
        let scene = Scene::calm();
        let script = Script::new(request).send(request.as_bytes()).send(GET);
        let script = script.expect_contains(text.as_bytes(), secs(1)).expect_close(secs(1));
        let record = scene.script(ms(0), script);
        let report = scene.run();
        assert_eq!(report.stats.requests, 1, "{request}: nothing follows");
        assert_eq!(statuses(&record.outcome().text()), [200], "{request}");
    }
    let scene = Scene::calm();
    let request = b"GET /plain HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let script = Script::new("kept").send(request).expect_contains(b"simple", secs(1));
    let script = script.send(request).expect_contains(b"simple", secs(1));
    scene.script(ms(0), script);
    assert_eq!(scene.run().stats.requests, 2);
}

/// FIN is not gone: who half-closes gets all answers, and then FIN.
#[test]
fn a_half_closed_connection_is_answered_and_closed() {
    for (weather, faults) in weathers() {
        let scene = Scene::new(10, reliable(&faults));
        for (n, request) in [
            Request::get("/plain", "simple"),
            Request::get("/slow/700", "slow"),
            Request::big(20_000),
            Request::post("/echo", &[b'h'; 900], &[b'h'; 900]),
        ]
        .into_iter()
        .enumerate()
        {
            let requests = vec![Request::get("/user/first", "first"), request];
            let plan = Plan { ending: Ending::HalfClose, depth: 2, ..Plan::new("half", requests) };
            scene.client(ms(n as u64), plan);
        }
        scene.run();
        assert_eq!(scene.finished(), 4, "{weather}");
    }
}

/// A body that ends too early by FIN is no body: its handler is told, the answer is 400.
#[test]
fn a_body_cut_off_by_fin_is_answered_400() {
    let scene = Scene::calm();
    let script = Script::new("cut").send(&post("/count", 10)).send(b"abc").fin();
    let script = script.expect_contains(b"400 Bad Request", secs(1)).expect_close(secs(1));
    scene.script(ms(0), script);
    scene.run();
    assert_eq!(scene.app.alive.get(), 0);
}

#[test]
fn a_body_that_nobody_reads_is_drained_up_to_a_limit() {
    for (length, is_kept) in [(60_000, true), (70_000, false)] {
        let scene = Scene::calm();
        let script = Script::new("unread").tolerant().send(&post("/ignore", length));
        let script = script.expect_contains(b"ignored", secs(1)).send(&vec![b'u'; length]);
        let script = if is_kept {
            script.send(GET).expect_contains(b"simple", secs(1))
        } else {
            script.expect_close(secs(1))
        };
        let record = scene.script(ms(0), script);
        let report = scene.run();
        assert!(record.outcome().is_finished, "{length}: {:?}", record.outcome().ended);
        assert_eq!(report.stats.requests, 1 + u32::from(is_kept), "{length}");
    }
}

/// The limit is for one body: what its slot moved before, in answers and bodies, does not count.
#[test]
fn what_was_moved_before_is_not_drained_again() {
    let scene = Scene::calm();
    let scripted = Script::new("much before").send(&get("/big/200000"));
    let scripted = scripted.expect_bytes(200_000, secs(5)).send(&post("/ignore", 60_000));
    let scripted = scripted.expect_contains(b"ignored", secs(1)).send(&vec![b'u'; 60_000]);
    let record = scene.script(ms(0), scripted.send(GET).expect_contains(b"simple", secs(1)).fin());
    let report = scene.run();
    assert!(record.outcome().is_finished, "{:?}", record.outcome().ended);
    assert_eq!(report.stats.requests, 3);
}

/// What a body's reader read too far belongs to the next request.
#[test]
fn the_next_request_may_stand_behind_a_long_body() {
    for drains in [true, false] {
        let mut scene = Scene::calm();
        scene.setup.drains = drains;
        let body = vec![b'l'; 5_000];
        let requests = (0..10).flat_map(|_| {
            [
                Request::post("/count", &body, b"5000"),
                Request::chunked("/echo", &body, 999, &body),
                Request::get("/user/next", "next"),
            ]
        });
        let plan = Plan { depth: 30, ..Plan::new("long", requests.collect()) };
        scene.client(ms(0), plan);
        let report = scene.run();
        assert_eq!((scene.finished(), report.stats.requests), (1, 30));
    }
}

/// More requests in a row than one connection may have answered before others get their turn.
#[test]
fn one_pipeline_does_not_keep_others_waiting() {
    let scene = Scene::calm();
    let requests = (0..2_000).map(|n| Request::get(&format!("/user/{n}"), &n.to_string()));
    let plan = Plan { depth: 2_000, ..Plan::new("greedy", requests.collect()) };
    scene.client(ms(0), plan);
    scene.client(ms(1), Plan::new("modest", vec![Request::get("/plain", "simple")]));
    let report = scene.run();
    assert_eq!((scene.finished(), report.stats.requests), (2, 2_001));
}
