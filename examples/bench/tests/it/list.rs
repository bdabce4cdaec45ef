//! The list that every world has to pass, here over loopback and against the real binary.

use std::net::SocketAddr;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use crate::util::client::{End, request};
use crate::util::process::settle;
use crate::util::{Client, Process};

/// A server of one worker, and how many descriptors it has at rest.
fn bench() -> (Process, SocketAddr, usize) {
    let (process, at) = Process::bench(&["--workers", "1"]);
    let at_rest = process.descriptors();
    (process, at, at_rest)
}

#[track_caller]
fn hello(client: &mut Client) {
    let response = client.get("/plaintext");
    assert_eq!((response.status, response.text()), (200, "Hello, World!"));
    assert!(response.field("Date").is_some_and(|date| date.ends_with(" GMT")), "{}", response.head);
    assert_eq!(response.field("Server"), Some("Dustdevil"));
}

#[test]
fn each_route_answers() {
    let (process, at, _) = bench();
    let mut client = Client::connect(at);
    for (path, media_type, body) in [
        ("/", "text/plain; charset=utf-8", "Hello, World!"),
        ("/plaintext", "text/plain; charset=utf-8", "Hello, World!"),
        ("/json", "application/json", r#"{"message":"Hello, World!"}"#),
        ("/user/1234", "text/plain; charset=utf-8", "1234"),
    ] {
        let response = client.get(path);
        assert_eq!((response.status, response.text()), (200, body), "{path}");
        assert_eq!(response.field("Content-Type"), Some(media_type), "{path}");
    }
    assert_eq!(client.get("/nowhere").status, 404);
    client.send("DELETE / HTTP/1.1\r\nHost: test\r\n\r\n");
    let refused = client.response();
    assert_eq!((refused.status, refused.field("Allow")), (405, Some("GET, HEAD, OPTIONS")));
    hello(&mut client);
    drop(client);
    process.terminate();
}

#[test]
fn a_thousand_requests_on_one_connection() {
    let (process, at, at_rest) = bench();
    let mut client = Client::connect(at);
    for _ in 0..1_000 {
        hello(&mut client);
    }
    assert_eq!(process.descriptors(), at_rest + 1);
    drop(client);
    process.terminate();
}

#[test]
fn two_hundred_connections_one_after_another() {
    let (process, at, at_rest) = bench();
    for turn in 0..200 {
        let mut client = Client::connect(at);
        // Who closes first takes turns: by its own FIN, by the server's, by neither waiting.
        match turn % 3 {
            0 => hello(&mut client),
            1 => {
                client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
                assert_eq!(client.response().field("Connection"), Some("close"));
                client.closes();
            }
            _ => {
                client.ask("/");
                client.finish();
                assert_eq!(client.response().status, 200);
                client.closes();
            }
        }
    }
    process.descriptors_settle(at_rest);
    process.terminate();
}

#[test]
fn sixteen_at_once() {
    let (process, at) = Process::bench(&["--workers", "2"]);
    let all = Barrier::new(16);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut client = Client::connect(at);
                all.wait();
                for _ in 0..50 {
                    hello(&mut client);
                }
            });
        }
    });
    process.terminate();
}

#[test]
fn five_hundred_opened_and_reset() {
    let (process, at, at_rest) = bench();
    for turn in 0..500 {
        let mut client = Client::connect(at);
        match turn % 5 {
            0 => {}
            1 => client.send("GET /plain"),
            2 => client.ask("/"),
            3 => client.send(request("/").repeat(20)),
            _ => hello(&mut client),
        }
        client.reset();
    }
    settle(at);
    process.descriptors_settle(at_rest);
    process.terminate();
}

#[test]
fn a_request_one_byte_at_a_time() {
    let (process, at, _) = bench();
    let mut client = Client::connect(at);
    for _ in 0..3 {
        for byte in request("/user/7").bytes() {
            client.send([byte]);
            thread::sleep(Duration::from_micros(500));
        }
        assert_eq!(client.response().text(), "7");
    }
    drop(client);
    process.terminate();
}

#[test]
fn one_more_than_fit_sheds_the_oldest_idle_one() {
    let (process, at) = Process::bench(&["--workers", "1", "--connections", "8"]);
    let mut clients: Vec<Client> = (0..8).map(|_| Client::connect(at)).collect();
    // In the order of their requests, the one that was opened first is idle for the least time.
    for client in clients.iter_mut().rev() {
        hello(client);
    }
    let mut newcomers: Vec<Client> = (0..3).map(|_| Client::connect(at)).collect();
    newcomers.iter_mut().for_each(hello);
    for oldest in clients.split_off(5).iter_mut().rev() {
        let (rest, end) = oldest.rest();
        assert_eq!((rest.len(), end), (0, End::Closed));
    }
    clients.iter_mut().chain(&mut newcomers).for_each(hello);
    process.terminate();
}

#[test]
fn as_many_as_fit_shed_nobody() {
    let (process, at) = Process::bench(&["--workers", "1", "--connections", "8"]);
    let mut clients: Vec<Client> = (0..8).map(|_| Client::connect(at)).collect();
    for _ in 0..20 {
        clients.iter_mut().for_each(hello);
    }
    process.terminate();
}

#[test]
fn many_more_than_fit_are_all_served_and_none_in_flight_is_dropped() {
    const AT_ONCE: usize = 8;
    let (process, at) = Process::bench(&["--workers", "1", "--connections", "8"]);
    let at_rest = process.descriptors();
    let start = Barrier::new(6 * AT_ONCE);
    thread::scope(|scope| {
        for number in 0..6 * AT_ONCE {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                // All ask at once, so that each waits in the backlog or has a request in flight.
                for _ in 0..5 {
                    let mut client = Client::connect(at);
                    client.ask(&format!("/user/{number}"));
                    assert_eq!(client.response().text(), number.to_string());
                }
            });
        }
    });
    process.descriptors_settle(at_rest);
    process.terminate();
}
