//! What requests cost the kernel, counted by strace over a fixed number of them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;

use crate::util::client::request;
use crate::util::{Client, Process, alone, tool, until};

/// Calls by name.
struct Calls(HashMap<String, u64>);

impl Calls {
    fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }
}

/// Reads and writes of a process beside its requests: what its threads tell each other at its end.
const SIGNALS_MAX: u64 = 16;

/// Runs `load` against a server of one worker, and counts its calls; `None` without strace.
fn count(load: impl FnOnce(SocketAddr)) -> Option<Calls> {
    let strace = tool("strace", "")?;
    let file = format!("strace-{:?}", std::thread::current().id());
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
    // A table of an earlier run must not be taken for this one's.
    let _ = std::fs::remove_file(&file);
    let (strace, out) = (strace.to_str().unwrap(), file.to_str().unwrap());
    let bench = env!("CARGO_BIN_EXE_bench");
    // -D: strace is the grandchild, so that the process started here is the server.
    let words = [strace, "-D", "-f", "-c", "-o", out, bench, "--port", "0", "--workers", "1"];
    let process = Process::start(&words, &[]);
    load(process.address());
    process.terminate();
    let table = until("strace writes its table", || {
        std::fs::read_to_string(&file).ok().filter(|text| text.trim_end().ends_with(" total"))
    });
    let row = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        Some(((*columns.last()?).to_owned(), columns.get(3)?.parse().ok()?))
    };
    Some(Calls(table.lines().filter_map(row).collect()))
}

#[test]
fn sixteen_requests_that_arrive_together_are_answered_with_one_write() {
    const BATCHES: u64 = 200;
    let Some(calls) = count(|at| {
        let mut client = Client::connect(at);
        let batch = request("/plaintext").repeat(16);
        for _ in 0..BATCHES {
            client.send(&batch);
            (0..16).for_each(|_| assert_eq!(client.response().text(), "Hello, World!"));
        }
    }) else {
        return;
    };
    for name in ["sendto", "recvfrom"] {
        let calls = calls.of(name);
        assert!((BATCHES..=BATCHES + SIGNALS_MAX).contains(&calls), "{name}: {calls}");
    }
}

#[test]
fn a_request_costs_two_calls_and_its_share_of_a_wait() {
    const CLIENTS: u64 = 64;
    const ROUNDS: u64 = 40;
    const REQUESTS: u64 = CLIENTS * ROUNDS;
    let _alone = alone();
    let Some(calls) = count(|at| {
        let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::connect(at)).collect();
        for _ in 0..ROUNDS {
            clients.iter_mut().for_each(|client| client.ask("/plaintext"));
            clients.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
        }
    }) else {
        return;
    };
    let (reads, writes, waits) = (calls.of("recvfrom"), calls.of("sendto"), calls.of("epoll_wait"));
    assert!((REQUESTS..=REQUESTS + SIGNALS_MAX).contains(&writes), "{writes} writes");
    // Each connection's end may be read.
    assert!((REQUESTS..=REQUESTS + CLIENTS + SIGNALS_MAX).contains(&reads), "{reads} reads");
    // A wait for each request would be as many again.
    assert!(waits < REQUESTS / 2, "{waits} waits");
    // Everything else is starting, and the coming and going of connections: a third call for each
    // request would be 2,560 more.
    let others = calls.of("total") - reads - writes - waits;
    assert!(others < 400 + 8 * CLIENTS, "{others} others");
}
