//! Bad input over real sockets: the right status or a clean close, and everything comes back.
//!
//! Each case is played many times against a server with room for few: a leak of one connection,
//! head buffer or slot a time would leave nothing for the well-behaved client that follows.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use dustdevil_http::{Capacity, Limits};

use crate::util::client::{End, request};
use crate::util::{Client, Host, Workshop};

const BODY_MAX: u64 = 100_000;

/// Room for few.
const FEW: Capacity = Capacity {
    connections: 4,
    requests: 2,
    heads: 3,
    head_bytes: 2_048,
    fields: 16,
    body_bytes: 1_024,
    out_bytes: 2_048,
    other_sources: 0,
};

/// Nobody is patient for long.
const SHORT: Limits = Limits {
    body_bytes_max: BODY_MAX,
    head_ms: 150,
    idle_ms: 150,
    progress_ms: 150,
    drain_ms: 150,
    handler_ms: 150,
    ..Limits::DEFAULT
};

/// Plays a case more often than there is room for, then looks for leaks.
fn play(limits: Limits, times: usize, case: impl Fn(SocketAddr)) {
    let host = Host::start(Workshop, FEW, limits);
    for _ in 0..times {
        case(host.address);
    }
    host.empties();
    // As many as fit get an answer at once, so every buffer and slot is there.
    let mut clients: Vec<Client> = (0..4).map(|_| Client::connect(host.address)).collect();
    clients.iter_mut().for_each(|client| client.ask("/sleep/20"));
    clients.iter_mut().for_each(|client| assert_eq!(client.response().text(), "slept"));
    drop(clients);
    host.empties();
    let report = host.stop();
    assert_eq!(report.allocations, 0);
}

fn post(path: &str, length: u64) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n")
}

#[test]
fn what_cannot_be_understood_is_refused() {
    let long = "a".repeat(4_000);
    let many: String = (0..40).map(|number| format!("F{number}: x\r\n")).collect();
    let cases = [
        (400, "garbage\r\n\r\n".to_owned()),
        (400, "\0\u{1}\u{2}\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\nHost: a\n\n".to_owned()),
        (400, post("/echo", 5).replace("\r\n\r\n", "\r\nContent-Length: 6\r\n\r\nhello")),
        (400, post("/echo", 5).replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n")),
        (431, format!("GET / HTTP/1.1\r\nHost: test\r\nLong: {long}\r\n\r\n")),
        (431, format!("GET / HTTP/1.1\r\nHost: test\r\n{many}\r\n")),
        (413, post("/count", BODY_MAX + 1)),
        (413, post("/count", u64::MAX)),
    ];
    for (status, bytes) in &cases {
        play(SHORT, 9, |at| {
            let mut client = Client::connect(at);
            client.send(bytes);
            let response = client.response();
            assert_eq!(response.status, *status, "{bytes:?}: {}", response.head);
            assert_eq!(response.field("Connection"), Some("close"), "{bytes:?}");
            client.closes();
        });
    }
}

#[test]
fn a_bad_body_is_refused() {
    let chunked = "POST /count HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let piece = format!("400\r\n{}\r\n", "x".repeat(1024));
    let cases = [
        (400, format!("{chunked}hello\r\n")),
        (400, format!("{chunked}5\r\nhelloworld\r\n")),
        (413, format!("{chunked}{}", piece.repeat(BODY_MAX as usize / 1024 + 1))),
    ];
    for (status, bytes) in &cases {
        play(SHORT, 9, |at| {
            let mut client = Client::connect(at);
            client.send(bytes);
            assert_eq!(client.response().status, *status);
            client.closes();
        });
    }
}

#[test]
fn a_refusal_can_be_read_although_the_peer_still_sends() {
    let length = 2_000_000;
    let body = vec![b'x'; 2_000_000];
    let head = b"GET / HTTP/1.1\r\nHost: test\r\nLong: ".to_vec();
    let cases = [(413, post("/count", length).into_bytes()), (431, head)];
    for (status, start) in &cases {
        play(SHORT, 5, |at| {
            let mut client = Client::connect(at);
            client.send(start);
            // It writes everything before it reads anything.
            client.send(&body);
            assert_eq!(client.response().status, *status);
            client.finish();
            client.closes();
        });
    }
}

#[test]
fn an_early_answer_can_be_read_although_the_peer_still_sends() {
    for (piece, pause_us) in [(64 * 1024, 0), (1_000, 200)] {
        let limits = Limits { body_bytes_max: 1 << 30, drain_ms: 10_000, ..SHORT };
        play(limits, 3, |at| {
            let mut client = Client::connect(at);
            client.send(post("/refuse", 300_000));
            let mut left = 300_000;
            while left > 0 {
                let length = left.min(piece);
                client.send(vec![b'x'; length]);
                left -= length;
                thread::sleep(Duration::from_micros(pause_us));
            }
            assert_eq!(client.response().status, 403);
        });
    }
}

#[test]
fn a_short_rest_of_a_body_is_read_over_and_the_connection_goes_on() {
    play(SHORT, 9, |at| {
        let mut client = Client::connect(at);
        for _ in 0..3 {
            client.send(post("/refuse", 20_000));
            assert_eq!(client.response().status, 403);
            client.send([b'x'; 20_000]);
            assert_eq!(client.get("/").status, 200);
        }
    });
}

#[test]
fn silence_in_a_head_is_408() {
    for bytes in ["G", "GET / HTTP/1.1\r\nHost: te", "GET / HTTP/1.1\r\nHost: test\r\n"] {
        play(SHORT, 3, |at| {
            let mut clients: Vec<Client> = (0..2).map(|_| Client::connect(at)).collect();
            clients.iter_mut().for_each(|client| client.send(bytes));
            for client in &mut clients {
                assert_eq!(client.response().status, 408);
                client.closes();
            }
        });
    }
}

#[test]
fn silence_in_a_body_is_408() {
    let chunked = "POST /count HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab";
    for bytes in [post("/count", 9), post("/count", 9) + "12345678", chunked.to_owned()] {
        play(SHORT, 5, |at| {
            let mut client = Client::connect(at);
            client.send(&bytes);
            assert_eq!(client.response().status, 408);
            client.closes();
        });
    }
}

#[test]
fn silence_without_a_request_is_a_clean_close() {
    play(SHORT, 3, |at| {
        let mut fresh = Client::connect(at);
        let mut idle = Client::connect(at);
        assert_eq!(idle.get("/").status, 200);
        fresh.closes();
        idle.closes();
    });
}

#[test]
fn silence_while_a_body_is_read_over_ends_the_connection() {
    play(SHORT, 5, |at| {
        let mut client = Client::connect(at);
        client.send(post("/refuse", 20_000) + "only this");
        assert_eq!(client.response().status, 403);
        client.closes();
    });
}

#[test]
fn a_peer_that_reads_nothing_is_cut_off() {
    play(SHORT, 3, |at| {
        let mut client = Client::with_small_window(at);
        // More than the kernel takes off the server's hands (`net.ipv4.tcp_wmem`: 4 MiB).
        client.send(request("/big").repeat(16));
        thread::sleep(Duration::from_millis(600));
        assert_eq!(client.rest().1, End::Reset);
    });
}

#[test]
fn a_handler_that_takes_too_long_is_503() {
    play(SHORT, 5, |at| {
        let mut client = Client::connect(at);
        client.ask("/sleep/60000");
        assert_eq!(client.response().status, 503);
        client.closes();
    });
}

#[test]
fn a_peer_that_vanishes_leaves_nothing() {
    let limits = Limits { grace_ms: 50, ..SHORT };
    for bytes in [post("/count", 9), post("/echo", 9) + "1234", request("/big")] {
        play(limits, 9, |at| {
            let mut client = Client::with_small_window(at);
            client.send(&bytes);
            thread::sleep(Duration::from_millis(5));
            client.reset();
        });
    }
}
