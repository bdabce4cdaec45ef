//! Handlers that do it wrong, take too long, or lose their peer.

use dustdevil_core::sim::{Faults, Script};

use crate::client::{Ending, Expect, Plan, Request};
use crate::util::{GET, Scene, get, ms, post, secs, statuses};

#[test]
fn a_handler_that_fails_before_its_response_is_answered_for_it() {
    for (path, status, stays) in [
        ("/error/403", 403, true),
        ("/error/503", 503, false),
        ("/error/500", 500, false),
        ("/nothing/here", 404, true),
    ] {
        let scene = Scene::calm();
        let script = Script::new(path).tolerant().send(&get(path));
        let script = script.expect_contains(format!("HTTP/1.1 {status} ").as_bytes(), secs(1));
        let script = if stays {
            script.wait(ms(10)).send(GET).expect_contains(b"simple", secs(1))
        } else {
            script.expect_close(ms(10))
        };
        let record = scene.script(ms(0), script);
        let report = scene.run();
        assert!(record.outcome().is_finished, "{path}");
        assert_eq!(report.stats.requests, 1 + u32::from(stays), "{path}");
    }
}

/// What was promised is sent, and the connection ends: nobody is sent the rest as a response.
#[test]
fn a_handler_that_writes_more_than_it_promised_is_cut_off() {
    let scene = Scene::calm();
    let over = Request::get("/over", "").expecting(Expect::CutBehind(b"fivea".to_vec()));
    scene.client(
        ms(0),
        Plan { depth: 2, ..Plan::new("over", vec![over, Request::get("/plain", "simple")]) },
    );
    let report = scene.run();
    assert_eq!(report.stats.aborted, 1);
}

/// `Sent` can be kept: the server believes its machine and not the value.
#[test]
fn a_handler_that_answers_nothing_is_answered_500() {
    let scene = Scene::calm();
    scene.script(ms(0), Script::new("keeps").tolerant().send(&get("/keep")).expect_end(secs(1)));
    let script = Script::new("nothing").send(&get("/unanswered"));
    let script = script.expect_contains(b"500 Internal Server Error", secs(1));
    scene.script(ms(50), script.expect_close(secs(1)));
    let report = scene.run();
    assert_eq!(report.stats.requests, 2);
}

/// A part is never taken for the whole: the connection is reset, and what was answered before the
/// failure has been sent.
#[test]
fn a_handler_that_fails_within_its_response_resets_the_connection() {
    for path in ["/half", "/short"] {
        for depth in [1, 3] {
            let scene = Scene::calm();
            let cut = Request::get(path, "").expecting(Expect::Cut);
            let requests = vec![Request::get("/user/a", "a"), Request::get("/user/b", "b"), cut];
            scene.client(ms(0), Plan { depth, ..Plan::new(path, requests) });
            let report = scene.run();
            assert_eq!(scene.tally.answered.get(), 2, "{path}, {depth} at once");
            assert_eq!((report.stats.aborted, scene.tally.ended_early.get()), (1, 1), "{path}");
        }
    }
}

/// A whole response followed by an error is still a whole response; nothing follows on it.
#[test]
fn a_handler_that_fails_behind_its_response_has_answered() {
    let scene = Scene::calm();
    let script = Script::new("late").tolerant().send(&get("/late-error")).expect_end(secs(1));
    let record = scene.script(ms(0), script);
    scene.run();
    let outcome = record.outcome();
    assert!(outcome.received.is_empty() || outcome.text().ends_with("whole"), "{}", outcome.text());
}

#[test]
fn a_handler_that_never_answers_is_dropped_at_its_deadline() {
    let mut scene = Scene::calm();
    scene.setup.limits.handler_ms = 4_000;
    let script = Script::new("hang").send(&get("/hang"));
    let script = script.expect_contains(b"503 Service Unavailable", ms(4_010));
    let record = scene.script(ms(0), script.expect_close(secs(1)));
    scene.run();
    let outcome = record.outcome();
    let took = outcome.ended_at.expect("it ended") - outcome.connected_at.expect("it began");
    assert!(took >= ms(4_000), "{took:?}");
    assert_eq!((scene.app.dropped.get(), scene.app.alive.get()), (1, 0));
}

/// Whoever streams may take as long as it likes once the response has begun.
#[test]
fn a_stream_outlives_the_handlers_deadline() {
    let mut scene = Scene::calm();
    scene.setup.limits.handler_ms = 1_000;
    let body = "0123456789".repeat(500);
    scene.client(ms(0), Plan::new("stream", vec![Request::get("/stream/500", &body)]));
    scene.run();
    assert_eq!(scene.finished(), 1);
    assert!(scene.world.elapsed() > secs(5));
}

#[test]
fn a_handler_learns_that_its_peer_is_gone() {
    for (path, request) in [
        ("/watch", get("/watch")),
        ("/big", get("/big/1048576")),
        ("/count", [post("/count", 100), b"some".to_vec()].concat()),
        ("/watch-body", [post("/watch-body", 100), b"some".to_vec()].concat()),
    ] {
        let mut scene = Scene::calm();
        scene.setup.limits.grace_ms = 500;
        let script = Script::new(path).stop_reading().send(&request).wait(secs(2)).reset();
        scene.script(ms(0), script);
        scene.run();
        assert_eq!((scene.app.gone.get(), scene.app.alive.get()), (1, 0), "{path}");
    }
}

/// One that does not care is dropped after its grace, however often it wakes up.
#[test]
fn a_handler_whose_peer_is_gone_is_dropped_after_its_grace() {
    for path in ["/hang", "/tick", "/slow/50000"] {
        let mut scene = Scene::calm();
        scene.setup.limits.grace_ms = 700;
        scene.script(ms(0), Script::new(path).send(&get(path)).wait(secs(2)).reset());
        scene.setup.settle_ms = 750;
        scene.run();
        assert_eq!((scene.app.dropped.get(), scene.app.alive.get()), (1, 0), "{path}");
    }
}

/// A forgotten exchange costs its head buffer, and its connection once it is answered.
#[test]
fn a_forgotten_exchange_costs_one_head_buffer_and_nothing_else() {
    let scene = Scene::calm();
    for n in 0..3 {
        let script = Script::new("forget").send(&get("/forget"));
        let script = script.expect_contains(b"403 Forbidden", secs(1)).expect_close(secs(1));
        scene.script(ms(n * 50), script);
    }
    scene.client(secs(1), Plan::new("others", vec![Request::get("/plain", "simple")]));
    let report = scene.run();
    assert_eq!((report.heads_lost, scene.finished()), (3, 1));
}

/// Forgotten with a body that nobody read: it is drained all the same.
#[test]
fn a_forgotten_exchange_with_a_body_ends_too() {
    let scene = Scene::calm();
    for (n, bytes) in [b"".as_slice(), b"1234567890"].into_iter().enumerate() {
        let request = b"GET /forget HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";
        let script = Script::new("forget").send(request).send(bytes);
        let script = script.expect_contains(b"403 Forbidden", secs(1)).wait(ms(10));
        let script = script.send(&b"1234567890"[bytes.len()..]).expect_close(secs(3));
        scene.script(ms(n as u64 * 50), script);
    }
    let report = scene.run();
    assert_eq!(report.heads_lost, 2);
}

/// Every handler's peer goes away after every byte it sent.
#[test]
fn resets_after_any_byte_leave_nothing_behind() {
    let requests = vec![
        Request::post("/echo", &[b'e'; 20], &[b'e'; 20]),
        Request::get("/slow/5", "slow"),
        Request::get("/stream/2", "01234567890123456789"),
        Request::chunked("/watch-body", &[b'c'; 20], 7, b"20"),
        Request::big(3_000),
    ];
    let bytes: usize = requests.iter().map(|request| request.bytes().len()).sum();
    for seed in 0..4 {
        let faults = Faults { segment_bytes: (1, 40), ..Faults::NONE };
        let scene = Scene::new(seed, faults);
        for at in 0..bytes {
            let plan = Plan::new("resets", requests.clone());
            let plan = Plan { ending: Ending::Reset(at), depth: 9, is_tolerant: true, ..plan };
            scene.client(secs(at as u64 * 5), plan);
        }
        let report = scene.run();
        assert_eq!(report.stats.accepted as usize, bytes);
        assert_eq!(scene.app.alive.get(), 0);
    }
}

/// The status line is not sent twice when a handler begins a response and its peer's body is bad.
#[test]
fn a_bad_body_within_a_response_resets_the_connection() {
    let scene = Scene::calm();
    let head = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let script = Script::new("bad").tolerant().send(head).send(b"3\r\nabc\r\n").wait(ms(50));
    let record = scene.script(ms(0), script.send(b"nonsense").expect_end(secs(1)));
    let report = scene.run();
    assert_eq!(statuses(&record.outcome().text()), [200]);
    assert!(record.outcome().text().ends_with("3\r\nabc\r\n"), "{}", record.outcome().text());
    assert_eq!(report.stats.aborted, 1);
}
