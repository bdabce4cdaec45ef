//! Each route on Linux.

use std::net::SocketAddr;
use std::thread;

use rustix::process::Signal;

use crate::table::{ask, each_route_answers, pattern};
use crate::util::{Client, Process, until};

/// What the Linux binary echoes at most.
const ECHO_BYTES_MAX: usize = 1024 * 1024;

/// What `/counters` says.
pub(crate) fn counters(at: SocketAddr) -> String {
    let mut client = Client::connect(at);
    client.send("GET /counters HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    client.response().text().to_owned()
}

#[test]
fn each_route() {
    let (process, at) = Process::conformance();
    each_route_answers(at, ECHO_BYTES_MAX);
    at_rest(at);
    process.signal(Signal::TERM);
    let ended = process.end();
    // Bodies beyond the limit are told of once, however many there were.
    assert_eq!((ended.code, ended.errors.lines().count()), (Some(0), 1), "{}", ended.errors);
    assert!(ended.errors.contains("body_bytes_max"), "{}", ended.errors);
}

/// Waits until nothing is in use but by the one who asks.
pub(crate) fn at_rest(at: SocketAddr) {
    const AT_REST: &str = "open=1\nidle=0\nin_work=1\nheads_out=1\nsources=2\nbuffers_lent=0\n";
    until("everything is given back", || counters(at).starts_with(AT_REST).then_some(()));
}

#[test]
fn http_1_0_has_no_chunks() {
    let (_process, at) = Process::conformance();
    for (target, body) in [("/chunked", "onetwothree"), ("/stream?n=2&ms=1", "chunk 0\nchunk 1\n")]
    {
        let mut client = Client::connect(at);
        client.send(format!("GET {target} HTTP/1.0\r\n\r\n"));
        let response = client.response();
        assert_eq!((response.text(), response.field("Transfer-Encoding")), (body, None));
        client.closes();
    }
    let mut client = Client::connect(at);
    client.send("GET /dump HTTP/1.0\r\n\r\n");
    assert_eq!(client.response().text(), "method=GET\npath=/dump\nquery=\nversion=1.0\nbody=0\n");
}

#[test]
fn head_is_get_without_a_body() {
    let (_process, at) = Process::conformance();
    for (target, length) in
        [("/", "5"), ("/large?n=9999999999", "9999999999"), ("/status/404", "10")]
    {
        let mut client = Client::connect(at);
        let head = |connection| {
            format!("HEAD {target} HTTP/1.1\r\nHost: test\r\nConnection: {connection}\r\n\r\n")
        };
        client.send(head("keep-alive") + &head("close"));
        let bytes = String::from_utf8(client.rest().0).expect("text");
        let heads: Vec<&str> = bytes.split_terminator("\r\n\r\n").collect();
        assert_eq!(heads.len(), 2, "{target}: {bytes}");
        for head in heads {
            let field = head.lines().find_map(|line| line.strip_prefix("Content-Length:"));
            // A body that is not written at all need not be measured (RFC 9110, 9.3.2).
            assert!(field.is_none_or(|value| value.trim() == length), "{target}: {bytes}");
        }
    }
}

/// Nothing of a muted body is sent, but it must not keep everybody else from being served.
#[test]
fn head_of_an_endless_body_hangs_nobody() {
    let (_process, at) = Process::conformance();
    let targets = ["/large?n=18446744073709551615", "/stream?n=18446744073709551615&ms=0"];
    let clients = targets.map(|target| {
        let mut client = Client::connect(at);
        client.send(format!("HEAD {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        client
    });
    for _ in 0..3 {
        assert_eq!(Client::connect(at).get("/").text(), "hello");
    }
    drop(clients);
    at_rest(at);
}

#[test]
fn more_echoes_at_once_than_there_are_buffers() {
    let (_process, at) = Process::conformance();
    let body = pattern(ECHO_BYTES_MAX);
    thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                let mut client = Client::connect(at);
                for _ in 0..3 {
                    assert!(ask(&mut client, "POST /echo", "", &body).body == body);
                }
            });
        }
    });
    at_rest(at);
}

#[test]
fn a_stream_without_end_ends_with_its_server() {
    let (process, at) = Process::conformance();
    let mut client = Client::connect(at);
    client.ask("/stream?n=18446744073709551615&ms=1");
    assert!(client.sip(500, crate::util::PATIENCE) > 0);
    process.signal(Signal::TERM);
    assert_eq!(process.end().code, Some(0));
}
