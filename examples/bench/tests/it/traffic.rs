//! Traffic that is unusual and right: pipelines, bodies at full speed, half-closes, stops.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use dustdevil_http::{Capacity, Limits};

use crate::util::client::{End, request};
use crate::util::workshop::big_body;
use crate::util::{Client, Host, PATIENCE, Workshop};

fn workshop(limits: Limits) -> Host {
    Host::start(Workshop, Capacity::for_connections(16), limits)
}

fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// The body in chunks of changing sizes.
fn post_chunked(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut message = head.into_bytes();
    let (mut rest, mut size) = (body, 1);
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        message.extend(format!("{:x}\r\n", chunk.len()).bytes());
        message.extend(chunk);
        message.extend(b"\r\n");
        (rest, size) = (after, size * 3 % 5_003 + 1);
    }
    message.extend(b"0\r\n\r\n");
    message
}

#[test]
fn half_a_close_keeps_a_slow_answer() {
    let host = workshop(Limits::DEFAULT);
    for (path, answer) in [("/sleep/200", "slept"), ("/block/50", "blocked")] {
        let mut client = Client::connect(host.address);
        client.ask(path);
        client.finish();
        assert_eq!(client.response().text(), answer);
        client.closes();
    }
    let mut client = Client::connect(host.address);
    client.ask("/sleep/100");
    std::thread::sleep(Duration::from_millis(20));
    client.finish();
    assert_eq!(client.response().text(), "slept");
    client.closes();
}

/// Writes from another thread while this one reads.
fn writing(client: &Client, bytes: Vec<u8>) -> thread::JoinHandle<()> {
    use std::io::Write;
    let mut stream = client.stream.try_clone().unwrap();
    thread::spawn(move || stream.write_all(&bytes).expect("the server takes it"))
}

#[test]
fn bodies_pass_both_ways_at_full_speed() {
    let host = workshop(Limits { body_bytes_max: 1 << 30, ..Limits::DEFAULT });
    let at = host.address;
    let both = |message: fn(&str, &[u8]) -> Vec<u8>| {
        let body = big_body().repeat(4);
        let mut client = Client::connect(at);
        for _ in 0..2 {
            let writer = writing(&client, message("/echo", &body));
            let response = client.response();
            assert!(response.body == body, "{} of {}", response.body.len(), body.len());
            writer.join().unwrap();
        }
    };
    thread::scope(|scope| {
        for message in [post, post_chunked] {
            scope.spawn(move || both(message));
        }
    });
    host.empties();
    assert_eq!(host.stop().allocations, 0);
}

#[test]
fn a_body_at_full_speed_may_take_longer_than_any_wait() {
    const BYTES: usize = 8 << 20;
    let limits =
        Limits { body_bytes_max: 1 << 30, progress_ms: 100, handler_ms: 100, ..Limits::DEFAULT };
    let host = workshop(limits);
    let mut client = Client::connect(host.address);
    let head = format!("POST /crawl HTTP/1.1\r\nHost: test\r\nContent-Length: {BYTES}\r\n\r\n");
    client.send(head + "x");
    thread::sleep(Duration::from_millis(20));
    let writer = writing(&client, vec![b'x'; BYTES - 1]);
    let response = client.response();
    assert_eq!((response.status, response.text()), (200, BYTES.to_string().as_str()));
    writer.join().unwrap();
}

#[test]
fn everything_in_one_pipeline() {
    let host = workshop(Limits::DEFAULT);
    let small = |number: usize| format!("{number:05}").repeat(number * 37 % 400);
    let mut pipeline = Vec::new();
    for number in 0..200 {
        let body = small(number);
        pipeline.extend(match number % 5 {
            0 => request("/").into_bytes(),
            1 => post("/echo", body.as_bytes()),
            2 => post_chunked("/echo", body.as_bytes()),
            3 => post("/refuse", body.as_bytes()),
            _ => request("/pieces").into_bytes(),
        });
    }
    for size in [1 << 20, 4_096, 1_000, 61] {
        let mut client = Client::connect(host.address);
        let mut stream = client.stream.try_clone().unwrap();
        let writer = thread::spawn({
            let pipeline = pipeline.clone();
            move || {
                use std::io::Write;
                pipeline.chunks(size).for_each(|piece| stream.write_all(piece).unwrap());
            }
        });
        for number in 0..200 {
            let response = client.response();
            let (status, body) = match number % 5 {
                0 => (200, "Hello, World!".to_owned()),
                1 | 2 => (200, small(number)),
                3 => (403, "no".to_owned()),
                _ => (200, "0123456789".repeat(100)),
            };
            let got = (response.status, response.text());
            assert_eq!(got, (status, body.as_str()), "request {number} in pieces of {size}");
        }
        writer.join().unwrap();
    }
    host.empties();
    host.stop();
}

#[test]
fn ten_thousand_requests_before_the_first_answer_is_read() {
    let host = workshop(Limits::DEFAULT);
    let mut client = Client::connect(host.address);
    let writer = writing(&client, request("/").repeat(10_000).into_bytes());
    thread::sleep(Duration::from_millis(100));
    for _ in 0..10_000 {
        assert_eq!(client.response().text(), "Hello, World!");
    }
    writer.join().unwrap();
    drop(client);
    host.empties();
    assert_eq!(host.stop().stats.requests, 10_000);
}

#[test]
fn a_chunked_body_one_byte_at_a_time() {
    let host = workshop(Limits::DEFAULT);
    let mut client = Client::connect(host.address);
    for byte in post_chunked("/echo", b"abcdefghijklmnopqrstuvwxyz") {
        client.send([byte]);
        thread::sleep(Duration::from_micros(300));
    }
    assert_eq!(client.response().text(), "abcdefghijklmnopqrstuvwxyz");
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn old_peers_are_understood() {
    let host = workshop(Limits::DEFAULT);
    let mut client = Client::connect(host.address);
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(client.response().text(), "Hello, World!");
    client.send("GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let response = client.response();
    assert_eq!(response.field("Transfer-Encoding"), None, "closed by the connection");
    assert_eq!(response.body.len(), 1_000);
    client.closes();
}

#[test]
fn a_head_request_has_the_head_of_a_get() {
    let host = workshop(Limits::DEFAULT);
    for path in ["/", "/big", "/pieces"] {
        let mut client = Client::connect(host.address);
        client.send(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        let (head, end) = client.rest();
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        assert_eq!((head.matches("\r\n\r\n").count(), end), (1, End::Closed));
    }
}

#[test]
fn who_waits_for_100_continue_gets_it_once_and_who_is_refused_does_not() {
    let host = workshop(Limits::DEFAULT);
    let expecting = |path| {
        let text = String::from_utf8(post(path, b"")).unwrap().replace("Length: 0", "Length: 5");
        text.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n")
    };
    let mut client = Client::connect(host.address);
    for _ in 0..3 {
        client.send(expecting("/echo"));
        assert_eq!(client.response().status, 100);
        client.send("hello");
        assert_eq!(client.response().text(), "hello");
    }
    client.send(expecting("/refuse"));
    assert_eq!(client.response().status, 403);
    // Whether the body comes nobody can know: this connection is over.
    client.closes();
}

#[test]
fn a_body_that_ends_too_early_is_no_body() {
    let host = workshop(Limits::DEFAULT);
    let whole = post("/count", b"hello");
    let chunked = post_chunked("/count", b"hello");
    for message in [whole, chunked] {
        for length in message.len() - 5..message.len() {
            let mut client = Client::connect(host.address);
            client.send(&message[..length]);
            client.finish();
            let (rest, _) = client.rest();
            let rest = String::from_utf8(rest).unwrap();
            assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 400 "), "{length}: {rest}");
        }
    }
    host.empties();
    host.stop();
}

#[test]
fn requests_beyond_the_slots_wait_their_turn_and_not_for_ever() {
    let capacity = Capacity { requests: 2, heads: 6, ..Capacity::for_connections(16) };
    let limits = Limits { queue_ms: 400, ..Limits::DEFAULT };
    let host = Host::start(Workshop, capacity, limits);
    let ask = |path: &str| {
        let mut clients: Vec<Client> = (0..6).map(|_| Client::connect(host.address)).collect();
        clients.iter_mut().for_each(|client| client.ask(path));
        clients.iter_mut().map(Client::response).collect::<Vec<_>>()
    };
    // Two at once, and twenty milliseconds each.
    assert!(ask("/sleep/20").iter().all(|response| response.status == 200));
    let answers = ask("/sleep/3000");
    let refused: Vec<_> = answers.iter().filter(|response| response.status == 503).collect();
    assert_eq!(refused.len(), 4);
    assert!(refused.iter().all(|response| response.field("Retry-After").is_some()));
    host.empties();
    host.stop();
}

#[test]
fn a_stop_has_a_deadline() {
    let host = workshop(Limits { stop_ms: 300, ..Limits::DEFAULT });
    let mut slow = Client::connect(host.address);
    slow.ask("/sleep/60000");
    let mut deaf = Client::with_small_window(host.address);
    deaf.send(request("/big").repeat(16));
    let mut half = Client::connect(host.address);
    half.send(&post("/count", b"hello")[..60]);
    host.settles("they are in", |stats| stats.in_work >= 2 && stats.open == 3);
    let since = Instant::now();
    let report = host.stop();
    assert!(since.elapsed() < PATIENCE / 2);
    assert_eq!((report.stats.open, report.stats.in_work), (0, 0));
    assert!(matches!(slow.rest(), (rest, _) if rest.is_empty()));
}

#[test]
fn resets_in_the_middle_of_everything_leave_nothing() {
    let host = workshop(Limits { grace_ms: 20, ..Limits::DEFAULT });
    let at: SocketAddr = host.address;
    let big = post("/echo", &big_body()[..100_000]);
    let messages: [Vec<u8>; 5] = [
        big[..50_000].to_vec(),
        big.clone(),
        request("/big").repeat(3).into_bytes(),
        request("/sleep/10").repeat(3).into_bytes(),
        [request("/pieces").into_bytes(), post("/refuse", b"hello")[..58].to_vec()].concat(),
    ];
    for turn in 0..200 {
        let mut client = Client::with_small_window(at);
        client.stream.set_write_timeout(Some(Duration::from_millis(20))).unwrap();
        client.try_send(&messages[turn % messages.len()]);
        client.sip(1 + turn * 50, Duration::from_millis(2));
        client.reset();
    }
    host.empties();
    let mut clients: Vec<Client> = (0..16).map(|_| Client::connect(at)).collect();
    clients.iter_mut().for_each(|client| client.ask("/sleep/20"));
    clients.iter_mut().for_each(|client| assert_eq!(client.response().text(), "slept"));
    assert_eq!(host.stop().allocations, 0);
}
