//! `/echo`'s buffers when there are too few: who waits, how long, and what a slow peer may keep.

use core::net::SocketAddr;

use conformance::App;
use dustdevil_core::reactor::Reactor;
use dustdevil_core::sim::{self, Faults, Record, Script, Sim, World};
use dustdevil_core::time::Duration;
use dustdevil_http::{BufPool, Capacity, Limits, Server};
use dustdevil_std::zeroed;

/// Longest body that no request waits with.
const SHORT_BYTES: usize = 504;

/// One longer buffer for all.
const LONG_BYTES: usize = 4096;

const CAPACITY: Capacity = Capacity { connections: 8, requests: 8, heads: 12, ..Capacity::SMALL };

/// Serves these visitors, each of which connects when it is said, until all are gone.
fn serve(seed: u64, faults: Faults, visitors: Vec<(Duration, Script)>) {
    let world = World::new(seed, faults);
    let at: SocketAddr = "192.0.2.2:80".parse().unwrap();
    for (delay, visitor) in visitors {
        world.connect(at, delay, visitor);
    }
    let reactor_capacity = CAPACITY.reactor();
    let mut reactor_memory = zeroed(reactor_capacity.bytes());
    let mut server_memory = zeroed(CAPACITY.bytes::<App>());
    let short_room = BufPool::room(CAPACITY.requests, SHORT_BYTES + 8);
    let mut echo_memory = zeroed(short_room + BufPool::room(1, LONG_BYTES));
    let mut block = echo_memory.block();
    let short = BufPool::new(&mut block, CAPACITY.requests, SHORT_BYTES + 8);
    let long = BufPool::new(&mut block, 1, LONG_BYTES);
    let app = App::new(&short, SHORT_BYTES).with_long_echoes(&long, LONG_BYTES);
    let wakes = sim::wakes(reactor_capacity.tasks);
    let poller = Sim::<true>::new(&world);
    let reactor = Reactor::new(poller, reactor_memory.block(), reactor_capacity, wakes);
    let listener = reactor.listen(at, 8).unwrap();
    let server = Server::new(&app, server_memory.block(), CAPACITY, Limits::DEFAULT);
    reactor.run(server.serve_until(&reactor, listener, world.peers_gone()));
    world.assert_all_closed();
    let idle = (short.idle(), long.idle());
    assert_eq!(idle, (CAPACITY.requests, 1), "a buffer that did not come back");
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Longer than a link with faults takes for a kilobyte.
const SOON: Duration = ms(10_000);

/// A request whose body will have `length` bytes, and the first `sent` of them.
fn post(length: usize, sent: usize) -> Vec<u8> {
    let head = format!("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), &vec![b'e'; sent]].concat()
}

/// Ends with half a close, and everything it expected has come.
fn ending(script: Script) -> (Script, Record) {
    let script = script.fin().expect_end(ms(60_000));
    let record = script.record();
    (script, record)
}

/// Lets these connect at these moments, and looks whether each has seen all it expected.
fn run(seed: u64, faults: Faults, scripts: Vec<(u64, Script)>) {
    let scripts = scripts.into_iter().map(|(delay, script)| {
        let (script, record) = ending(script);
        ((ms(delay), script), record)
    });
    let (visitors, records): (Vec<_>, Vec<_>) = scripts.unzip();
    serve(seed, faults, visitors);
    for record in records {
        assert!(record.outcome().is_finished, "{seed}: {}", record.outcome().text());
    }
}

#[test]
fn who_needs_a_long_buffer_waits_for_it_and_a_short_body_does_not() {
    for seed in 0..20 {
        // Within its patience, it is done.
        let holder = Script::new("holder")
            .send(&post(1_000, 600))
            .wait(ms(400))
            .send(&[b'e'; 400])
            .expect_contains(b"HTTP/1.1 200 OK\r\n", SOON)
            .expect_contains(&[b'e'; 1_000], SOON);
        let waiter = Script::new("waiter")
            .send(&post(1_000, 1_000))
            .expect_contains(b"HTTP/1.1 200 OK\r\n", ms(1_500))
            .expect_contains(&[b'e'; 1_000], SOON);
        let short = Script::new("short")
            .send(&post(SHORT_BYTES, SHORT_BYTES))
            .expect_contains(b"HTTP/1.1 200 OK\r\n", ms(100))
            .expect_contains(&[b'e'; SHORT_BYTES], SOON);
        run(seed, Faults::NONE, vec![(0, holder), (100, waiter), (200, short)]);
    }
}

#[test]
fn a_slow_peer_keeps_its_buffer_until_somebody_waits_for_it() {
    let slow = |name: &str| Script::new(name).send(&post(2_000, 600));
    let bytes = [b'e'; 1_400];
    // Fast enough for every deadline of the server's.
    let alone = slow("alone")
        .send_slowly(&bytes, ms(10))
        .expect_contains(b"HTTP/1.1 200 OK\r\n", SOON)
        .expect_contains(&[b'e'; 2_000], SOON);
    run(1, Faults::NONE, vec![(0, alone)]);

    let pushed_out = slow("pushed out")
        .send_slowly(&bytes, ms(10))
        .expect_contains(b"HTTP/1.1 408 Request Timeout\r\n", SOON);
    let served = Script::new("served")
        .send(&post(1_000, 1_000))
        .expect_contains(b"HTTP/1.1 200 OK\r\n", ms(100))
        .expect_contains(&[b'e'; 1_000], SOON);
    run(1, Faults::NONE, vec![(0, pushed_out), (3_000, served)]);
}

#[test]
fn nobody_waits_longer_than_a_second() {
    // None of them is ever done: each is pushed out by those behind it, of whom some give up. The
    // last that gets the buffer keeps it until it is too slow for the server.
    let (visitors, records): (Vec<_>, Vec<_>) = (0..8)
        .map(|number| {
            let script = Script::new("never done")
                .send(&post(1_000, 600))
                .expect_contains(b"HTTP/1.1 ", ms(20_000));
            let (script, record) = ending(script);
            ((ms(number), script), record)
        })
        .unzip();
    serve(1, Faults::NONE, visitors);
    let texts: Vec<String> = records.iter().map(|record| record.outcome().text()).collect();
    let count = |line: &str| texts.iter().filter(|text| text.starts_with(line)).count();
    let pushed_out = count("HTTP/1.1 408 Request Timeout\r\n");
    let refused = count("HTTP/1.1 503 Service Unavailable\r\n");
    assert_eq!(pushed_out + refused, texts.len(), "{texts:?}");
    assert!((1..=3).contains(&pushed_out), "{texts:?}");
}
