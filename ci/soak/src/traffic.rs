//! What a seed stands for: the server, its world's faults, and who comes.
//!
//! Most worlds have a mixture of everybody. In some the server is besieged by peers that are slow
//! on purpose, more of them than it has room for, and others who behave must be served within
//! [`Traffic::bystander_max`].

use dustdevil_core::sim::{Faults, Rng};
use dustdevil_core::time::Duration;
use dustdevil_http::{Capacity, Limits};

use crate::app::{FIXED, LARGE_BYTES_MAX, pattern};
use crate::client::{Ending, Expect, Plan, Request};
use crate::world::Setup;

/// A seed's traffic.
pub(crate) struct Traffic {
    pub(crate) faults: Faults,
    pub(crate) setup: Setup,
    pub(crate) plans: Vec<(Duration, Plan)>,
    /// Who must not suffer from the others.
    pub(crate) bystanders: Vec<(Duration, Plan)>,
}

/// Most clients of one world; a roomy server has a slot for each.
const CLIENTS_MAX: u64 = 24;
/// One world of so many is besieged.
const SIEGE_EVERY: u64 = 16;
/// How long one who behaves waits at most, whoever else is there, and for each slowest peer that
/// comes before it to a slot: a tenth of `patience_ms`, and as much for events that come late.
const BYSTANDER_MAX: Duration = Duration::from_secs(2);
const BYSTANDER_BEHIND_EACH_MAX: Duration = Duration::from_millis(200);
/// Longest body that the server takes.
const BODY_BYTES_MAX: usize = 3_000;
/// What time a server may take beyond its deadlines to end somebody: the network's delays, events
/// that come late, an accept that has to be tried again.
const SLACK: Duration = Duration::from_secs(5);
/// As good as for ever.
const NEVER_US: u64 = 100_000_000_000;

impl Traffic {
    pub(crate) fn of_seed(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x50a4);
        if seed % SIEGE_EVERY == 7 {
            return siege(&mut rng, seed);
        }
        let faults = if seed.is_multiple_of(5) { Faults::harsh() } else { Faults::extreme(seed) };
        let setup = setup(&mut rng);
        let mut clients = rng.range(1, CLIENTS_MAX);
        let is_roomy = is_roomy(&setup);
        let mut plans: Vec<_> = (0..clients)
            .map(|n| {
                let delay = Duration::from_micros(rng.range(0, 3_000_000));
                (delay, client(&mut rng, n, &setup, &faults))
            })
            .collect();
        // More than there is room for, all at once.
        if !is_roomy && rng.range(0, 15) == 0 {
            let begins_us = rng.range(0, 2_000_000);
            for _ in 0..rng.range(20, 60) {
                let delay = Duration::from_micros(begins_us + rng.range(0, 50_000));
                plans.push((delay, storm(&mut rng, clients, &setup)));
                clients += 1;
            }
        }
        Self { faults, setup, plans, bystanders: Vec::new() }
    }

    /// How long one who behaves waits at most: two seconds, or longer where more than ten peers
    /// fight for each slot, for none of them is granted less than a tenth of its patience.
    pub(crate) fn bystander_max(&self) -> Duration {
        let each = self.plans.len().div_ceil(self.setup.capacity.requests) as u64;
        let behind = Duration::from_micros(BYSTANDER_BEHIND_EACH_MAX.as_micros() * each);
        BYSTANDER_MAX.max(behind)
    }
}

/// Whether everybody finds a place, a buffer and a slot.
fn is_roomy(setup: &Setup) -> bool {
    setup.capacity.requests as u64 == CLIENTS_MAX
}

/// A small server: what runs out does so soon.
fn setup(rng: &mut Rng) -> Setup {
    let is_roomy = rng.range(0, 2) == 0;
    let requests = if is_roomy { CLIENTS_MAX } else { rng.range(1, 3) } as usize;
    let connections = match rng.range(0, 2) {
        _ if is_roomy => CLIENTS_MAX,
        0 => rng.range(1, 3),
        1 => rng.range(4, 8),
        _ => 40,
    };
    let head_bytes = 8 * rng.range(80, 200) as usize;
    let capacity = Capacity {
        connections: connections as usize,
        requests,
        heads: if is_roomy { 2 * requests } else { requests + rng.range(1, 4) as usize },
        head_bytes,
        fields: 8,
        body_bytes: 512 + 8 * rng.range(0, 7) as usize,
        out_bytes: rng.range(512, 3_000) as usize,
        other_sources: 0,
    };
    let stops = rng.range(0, 7) != 0;
    let is_stopped_early = rng.range(0, 9) == 0;
    let limits = Limits {
        body_bytes_max: BODY_BYTES_MAX as u64,
        drain_ms: if is_roomy { 60_000 } else { 2_000 },
        handler_ms: 20_000,
        idle_ms: [12_000, 75_000][rng.index(2)],
        stop_ms: rng.range(200, 10_000) as u32,
        server_name: "",
        ..Limits::DEFAULT
    };
    Setup {
        capacity,
        limits,
        backlog: if is_roomy { 128 } else { rng.range(1, 32) as u16 },
        drains: rng.range(0, 1) == 0,
        masked: rng.range(0, 3) == 0,
        settle_ms: 100_000,
        stops,
        stop_after_ms: is_stopped_early.then(|| rng.range(0, 6_000)),
        planted: None,
    }
}

/// Whether the world has a handle for everybody, too.
fn finds_room(setup: &Setup, faults: &Faults) -> bool {
    is_roomy(setup) && faults.accept_fail_permille == 0 && faults.handles_max == usize::MAX
}

/// Whether whoever behaves must get everything: nothing runs out, nobody is cut off, and time goes
/// on evenly.
fn is_calm(setup: &Setup, faults: &Faults) -> bool {
    finds_room(setup, faults)
        && faults.reset_permille == 0
        && !faults.bends_time()
        && setup.stop_after_ms.is_none()
}

/// Somebody.
fn client(rng: &mut Rng, n: u64, setup: &Setup, faults: &Faults) -> Plan {
    let plan = match rng.range(0, 19) {
        0 => attacker(rng, setup, faults),
        1 => rester(rng, n, setup),
        2 => large(rng),
        3 => slow_first(rng, n),
        4 => watcher(rng, setup),
        _ => visitor(rng, n),
    };
    let is_regular = matches!(plan.ending, Ending::Fin | Ending::HalfClose | Ending::FinAt(_))
        && plan.cut_within.is_none();
    let is_tolerant = plan.is_tolerant || !is_regular || !is_calm(setup, faults);
    // Where a few handles move a few bytes at a time, others wait in the backlog for long.
    let is_cramped = faults.handles_max != usize::MAX || faults.bends_time();
    let seconds = if is_cramped { 900 } else { [30, 150][usize::from(is_tolerant)] };
    let patience = Duration::from_secs(seconds);
    let patience = patience + plan.rest.map_or(Duration::ZERO, |(_, time)| time);
    let name = format!("{} {n}", plan.name);
    Plan { name, is_tolerant, patience, is_masked: setup.masked, ..plan }
}

/// Some requests of any kind, sent and read in any way, and ended anyhow.
fn visitor(rng: &mut Rng, n: u64) -> Plan {
    let requests = rng.range(1, 8);
    let requests: Vec<_> = (0..requests).map(|m| request(rng, n * 100 + m)).collect();
    let bytes: usize = requests.iter().map(|request| request.bytes().len()).sum();
    let cut = rng.range(0, bytes as u64) as usize;
    let ending = match rng.range(0, 13) {
        0 => Ending::HalfClose,
        1 => Ending::Reset(cut),
        2 => Ending::Silence(cut),
        3 => Ending::FinAt(cut),
        _ => Ending::Fin,
    };
    let piece_bytes = [(1, 1), (1, 60), (1, 700), (1 << 20, 1 << 20)][rng.index(4)];
    let gap_us = [(0, 0), (0, 0), (0, 3_000), (0, 12_000)][rng.index(4)];
    let read_gap_us = (rng.range(0, 7) == 0).then(|| rng.range(1_000, 90_000));
    Plan {
        depth: [1, 2, 8][rng.index(3)],
        piece_bytes,
        gap_us,
        read_gap_us,
        ending,
        ..Plan::new("visitor", requests)
    }
}

/// One who is slower than it may be, and must be ended for it.
fn attacker(rng: &mut Rng, setup: &Setup, faults: &Faults) -> Plan {
    let limits = &setup.limits;
    let trickle = (200_000, 900_000);
    let plan = |request, ms: u32| Plan {
        is_tolerant: true,
        // Where many wait to be accepted, the time begins later than the connection.
        cut_within: (finds_room(setup, faults) && !faults.bends_time())
            .then(|| Duration::from_millis(u64::from(ms)) + SLACK),
        ..Plan::new("attacker", vec![request])
    };
    let long = "x".repeat(400);
    let body = vec![b'b'; 2_900];
    match rng.range(0, 4) {
        0 => Plan {
            ending: Ending::Silence(0),
            ..plan(Request::get("/plain", "simple"), limits.head_ms)
        },
        1 => Plan {
            piece_bytes: (1, 2),
            gap_us: trickle,
            ..plan(Request::get(&format!("/user/{long}"), &long), limits.head_ms)
        },
        2 => Plan {
            body_piece_bytes: Some(rng.range(1, 8) as usize),
            stops_behind_heads: true,
            gap_us: trickle,
            // A second more for the head, which may itself be under way for a while.
            ..plan(Request::post("/count", &body, b"2900"), limits.progress_ms)
        },
        3 => Plan {
            body_piece_bytes: Some(1),
            stops_behind_heads: true,
            gap_us: trickle,
            ..plan(Request::post("/ignore", &body, b"ignored"), limits.drain_ms)
        },
        _ => Plan {
            read_gap_us: Some(NEVER_US),
            // Who does not read does not see that it was turned away in good order.
            leaves_after: Some(Duration::from_secs(140)),
            ..plan(Request::big(400_000), limits.progress_ms + 2_000)
        },
    }
}

/// One who comes back to its connection after a while, which may be too long.
fn rester(rng: &mut Rng, n: u64, setup: &Setup) -> Plan {
    let idle_ms = u64::from(setup.limits.idle_ms);
    let is_late = rng.range(0, 1) == 0;
    let time = Duration::from_millis(if is_late { idle_ms * 3 / 2 } else { idle_ms / 2 });
    let first = Request::get(&format!("/user/{n}"), &n.to_string());
    let first = if is_late { first.at_last() } else { first };
    let second = Request::get("/plain", "simple");
    Plan { rest: Some((1, time)), ..Plan::new("rester", vec![first, second]) }
}

/// A long body one way or both ways.
fn large(rng: &mut Rng) -> Plan {
    let len = [4_000, 20_000, 100_000][rng.index(3)];
    let body: Vec<u8> = (0..len).map(pattern).collect();
    let request = match rng.range(0, 4) {
        0 => Request::big(len),
        1 => Request::post("/large", &body, &body),
        2 => Request::chunked("/large", &body, rng.range(200, 9_000) as usize, &body),
        3 => Request::post("/refuse", &body, b"").expecting(Expect::Status(403)).at_last(),
        _ => Request::get(&format!("/deferred/{len}"), &string(&body)),
    };
    let behind = Request::get("/plain", "simple");
    Plan { depth: 2, ..Plan::new("large", vec![request, behind]) }
}

fn string(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// A pipeline whose first answer takes its time.
fn slow_first(rng: &mut Rng, n: u64) -> Plan {
    let slow = Request::get(&format!("/slow/{}", rng.range(100, 2_000)), "slow");
    let behind = (0..rng.range(1, 11)).map(|m| match rng.range(0, 3) {
        0 => Request::post("/echo", b"echo", b"echo"),
        1 => Request::get("/static", &string(&FIXED)),
        _ => Request::get(&format!("/user/{}", n + m), &(n + m).to_string()),
    });
    let requests: Vec<_> = [slow].into_iter().chain(behind).collect();
    let ending = [Ending::Fin, Ending::HalfClose][rng.index(2)];
    Plan { depth: 12, ending, ..Plan::new("pipeline", requests) }
}

/// One whose handler waits for it to go; or for the server to stop.
fn watcher(rng: &mut Rng, setup: &Setup) -> Plan {
    let path = ["/endless", "/watch", "/hang", "/tick"][rng.index(4)];
    // Where the clock jumps, its time is over before it leaves.
    let request = Request::get(path, "").expecting(Expect::CutBehind(b"still there".to_vec()));
    let leaves_after = Duration::from_micros(rng.range(1, 9_000_000));
    Plan {
        is_tolerant: true,
        // Where the server is stopped, it ends them.
        leaves_after: setup.stop_after_ms.is_none().then_some(leaves_after),
        ..Plan::new("watcher", vec![request])
    }
}

/// One of many at once: it resets, falls silent, or wants but one answer.
fn storm(rng: &mut Rng, n: u64, setup: &Setup) -> Plan {
    let request = Request::get(&format!("/user/{n}"), &n.to_string());
    let cut = rng.range(0, request.bytes().len() as u64) as usize;
    let ending = match rng.range(0, 3) {
        0 => Ending::Fin,
        1 => Ending::Silence(cut),
        _ => Ending::Reset(cut),
    };
    Plan {
        ending,
        is_tolerant: true,
        is_masked: setup.masked,
        ..Plan::new(&format!("storm {n}"), vec![request])
    }
}

/// A crowd that is slow on purpose, comes again whenever it is ended, and outnumbers the places;
/// and a few who just want to be served.
fn siege(rng: &mut Rng, seed: u64) -> Traffic {
    let all = Faults::seeded(seed);
    // What a network does is not the server's fault: here only its poller is difficult. A read that
    // would block although the bytes are there takes away one's place among those who wait.
    let faults = Faults {
        window_bytes: (2_000, 2_000),
        latency_us: (100, 5_000),
        jitter_us: (0, 0),
        lose_syn_permille: 0,
        reset_permille: 0,
        accept_fail_permille: 0,
        would_block_permille: 0,
        ..all
    };
    let mut setup = setup(rng);
    let requests = rng.range(1, 8) as usize;
    let connections = rng.range(4, 40) as usize;
    let heads = requests + 2;
    setup.capacity = Capacity { connections, requests, heads, ..setup.capacity };
    setup.backlog = 1024;
    setup.stop_after_ms = None;
    let kind = rng.range(0, 6);
    // As many as come to a server of 200 with 300, or one of 4 with 6.
    let besiegers = connections as u64 + rng.range(1, connections as u64 / 2);
    let (again_for, masked) = (Duration::from_secs(12), setup.masked);
    let plans = (0..besiegers).map(|n| {
        let plan = besieger(rng, if kind > 4 { n % 5 } else { kind });
        let plan = Plan { again_for: Some(again_for), is_masked: masked, ..plan };
        (Duration::from_micros(7_000 * n), plan)
    });
    let plans = plans.collect();
    let bystanders = (0..6).map(|n| {
        let delay = Duration::from_micros(1_500_000 + n * rng.range(1_000_000, 1_700_000));
        let plan = Plan::new("bystander", vec![Request::get("/user/good", "good")]);
        (delay, Plan { is_tolerant: true, is_masked: masked, ..plan })
    });
    let bystanders = bystanders.collect();
    Traffic { faults, setup, plans, bystanders }
}

fn besieger(rng: &mut Rng, kind: u64) -> Plan {
    let trickle = (300_000, 300_000);
    let names = ["silent", "slow head", "slow body", "slow reader", "reset"];
    let name = names[kind.min(4) as usize];
    let plan = |request| Plan { is_tolerant: true, ..Plan::new(name, vec![request]) };
    let long = "abcdefghijklmnopqrstuvwxyz";
    let plain = Request::get("/plain", "simple");
    match kind {
        0 => Plan { ending: Ending::Silence(0), ..plan(plain) },
        1 => Plan {
            piece_bytes: (1, 1),
            gap_us: trickle,
            ..plan(Request::get(&format!("/user/{long}"), long))
        },
        2 => Plan {
            body_piece_bytes: Some(1),
            stops_behind_heads: true,
            gap_us: trickle,
            ..plan(Request::post("/count", &[b'b'; 2_900], b"2900"))
        },
        3 => Plan { read_gap_us: Some(20_000_000), ..plan(Request::big(200_000)) },
        _ => {
            let cut = rng.range(1, plain.bytes().len() as u64) as usize;
            Plan { ending: Ending::Reset(cut), gap_us: (1_000, 20_000), ..plan(plain) }
        }
    }
}

fn request(rng: &mut Rng, number: u64) -> Request {
    let len = [0, 1, 40, 511, 512, 700, 2_999][rng.index(7)];
    let body: Vec<u8> = (0..len).map(pattern).collect();
    let count = len.to_string();
    let chunk = rng.range(1, 900) as usize;
    match rng.range(0, 36) {
        0..=3 => Request::get("/plain", "simple"),
        4..=5 => Request::get(&format!("/user/{number}"), &number.to_string()),
        6 => Request::get(&format!("/json/{number}"), &format!("{{\"value\":\"{number}\"}}")),
        7 => Request::get(&format!("/slow/{}", rng.range(0, 900)), "slow"),
        8..=9 => Request::big(rng.range(0, 6_000) as usize),
        10 => Request::get(&format!("/stream/{}", chunk % 20), &"0123456789".repeat(chunk % 20)),
        11..=12 => Request::post("/echo", &body, &body),
        13..=14 => Request::chunked("/echo", &body, chunk, &body),
        15 => Request::post("/count", &body, count.as_bytes()),
        16 => Request::chunked("/watch-body", &body, chunk, count.as_bytes()),
        17 => Request::post("/ignore", &body, b"ignored"),
        18 => Request::chunked("/ignore", &body, chunk, b"ignored"),
        19 => Request::post("/count", &body, count.as_bytes()).awaiting_continue(),
        20 => {
            Request::raw(b"HEAD /big/500 HTTP/1.1\r\nHost: a\r\n\r\n", Expect::Whole(200, vec![]))
        }
        21 => Request::raw(
            b"GET /stream/3 HTTP/1.0\r\n\r\n",
            Expect::Whole(200, b"0123456789".repeat(3)),
        ),
        22..=23 => bad(rng),
        24 => Request::get(["/half", "/short"][rng.index(2)], "").expecting(Expect::Cut),
        25 => Request::get("/error/403", "").expecting(Expect::Status(403)),
        26 => Request::get("/nothing", "").expecting(Expect::Status(404)),
        27 => Request::get(&format!("/deferred/{}", 3 * len), &string(&doubled(3 * len))),
        28 => Request::get("/static", &string(&FIXED)),
        29 => Request::get("/over", "").expecting(Expect::CutBehind(b"fivea".to_vec())),
        30 => Request::post("/drop-body", &body, b"dropped"),
        31 => Request::post("/refuse", &body, b"").expecting(Expect::Status(403)),
        32 => Request::get(&format!("/watch/{}", rng.range(0, 900)), "still there"),
        33 => unwanted(rng, &body),
        34 => offer(rng),
        _ => old(rng),
    }
}

fn doubled(len: usize) -> Vec<u8> {
    (0..len).map(pattern).collect()
}

/// A body that waits for a word which does not come: it is refused by its head alone.
fn unwanted(rng: &mut Rng, body: &[u8]) -> Request {
    let request = match rng.range(0, 2) {
        0 => Request::post("/nothing", body, b"").expecting(Expect::Status(404)),
        1 => Request::post("/refuse", body, b"").expecting(Expect::Status(403)),
        _ => Request::post("/ignore", body, b"ignored"),
    };
    // Whether its body comes nobody knows, so the connection may end.
    request.awaiting_continue().at_last()
}

/// An offer of another protocol, which nobody takes up (RFC 9110, 7.8).
fn offer(rng: &mut Rng) -> Request {
    let request = Request::get("/plain", "simple");
    match rng.range(0, 1) {
        0 => request
            .field("Connection: Upgrade")
            .field("Upgrade: websocket")
            .field("Sec-WebSocket-Version: 13")
            .field("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
        _ => request
            .field("Connection: keep-alive, Upgrade, HTTP2-Settings")
            .field("Upgrade: h2c")
            .field("HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"),
    }
}

/// HTTP/1.0, with and without a connection that stays.
fn old(rng: &mut Rng) -> Request {
    let (path, body): (&str, &[u8]) = match rng.range(0, 2) {
        0 => ("/plain", b"simple"),
        1 => ("/deferred/0", b""),
        _ => ("/static", &FIXED),
    };
    let stays = ["", "Connection: keep-alive\r\n"][rng.index(2)];
    let bytes = format!("GET {path} HTTP/1.0\r\n{stays}\r\n");
    Request::raw(bytes.as_bytes(), Expect::Whole(200, body.to_vec()))
}

/// What the server must refuse.
fn bad(rng: &mut Rng) -> Request {
    let long = "x".repeat(2_000);
    let too_long = BODY_BYTES_MAX + 1;
    let post = "POST /count HTTP/1.1\r\nHost: a\r\n";
    let chunked = format!("{post}Transfer-Encoding: chunked\r\n\r\n");
    let (bytes, status) = match rng.range(0, 12) {
        0 => ("garbage\r\n\r\n".to_string(), 400),
        1 => ("GET / HTTP/1.1\r\n\r\n".to_string(), 400),
        2 => (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), 431),
        3 => (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        4 => (format!("{post}Content-Length:{too_long}\r\n\r\n"), 413),
        // More chunks than it will ever read, and it says so in the middle of them.
        5 => (format!("{chunked}{}0\r\n\r\n", "a\r\n0123456789\r\n".repeat(600)), 413),
        6 => (format!("{chunked}3\r\nabcd\r\n0\r\n\r\n"), 400),
        7 => (format!("{chunked}fffffffffffffffff\r\n"), 400),
        8 => (format!("{post}Expect: tea\r\nContent-Length: 3\r\n\r\nabc"), 417),
        9 => (format!("{post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 501),
        10 => ("GET / HTTP/3.0\r\nHost: a\r\n\r\n".to_string(), 505),
        11 => {
            let head = "POST /tiny HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n";
            (format!("{head}0123456789a"), 413)
        }
        _ => {
            let length = LARGE_BYTES_MAX + 1;
            let head = "POST /large HTTP/1.1\r\nHost: a\r\nContent-Length:";
            (format!("{head} {length}\r\n\r\n"), 413)
        }
    };
    Request::raw(bytes.as_bytes(), Expect::Status(status))
}
