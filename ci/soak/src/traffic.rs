//! What a seed stands for: the server, its world's faults, and who comes.

use dustdevil_core::sim::{Faults, Rng};
use dustdevil_core::time::Duration;
use dustdevil_http::{Capacity, Limits};

use crate::app::pattern;
use crate::client::{Ending, Expect, Plan, Request};
use crate::world::Setup;

/// A seed's traffic.
pub(crate) struct Traffic {
    pub(crate) faults: Faults,
    pub(crate) setup: Setup,
    pub(crate) plans: Vec<(Duration, Plan)>,
}

/// Most clients of one world; a roomy server has a slot for each.
const CLIENTS_MAX: u64 = 24;

impl Traffic {
    pub(crate) fn of_seed(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x50a4);
        let faults = if seed.is_multiple_of(5) { Faults::harsh() } else { Faults::seeded(seed) };
        let setup = setup(&mut rng);
        let clients = rng.range(1, CLIENTS_MAX);
        let plans = (0..clients).map(|n| {
            let delay = Duration::from_micros(rng.range(0, 3_000_000));
            (delay, plan(&mut rng, n, &setup, &faults))
        });
        let plans = plans.collect();
        Self { faults, setup, plans }
    }
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
    }
}

/// Longest body that the server takes.
const BODY_BYTES_MAX: usize = 3_000;

fn plan(rng: &mut Rng, n: u64, setup: &Setup, faults: &Faults) -> Plan {
    let requests = rng.range(1, 8);
    let requests: Vec<_> = (0..requests).map(|m| request(rng, n * 100 + m)).collect();
    let bytes: usize = requests.iter().map(|request| request.bytes().len()).sum();
    let cut = rng.range(0, bytes as u64) as usize;
    let ending = match rng.range(0, 11) {
        0 => Ending::HalfClose,
        1 => Ending::Reset(cut),
        2 => Ending::Silence(cut),
        _ => Ending::Fin,
    };
    // Where slots, buffers or places run out, or connections end by themselves, some are turned
    // away. Elsewhere everybody must get everything.
    let is_calm = setup.capacity.requests as u64 == CLIENTS_MAX
        && (faults.reset_permille, faults.accept_fail_permille) == (0, 0)
        && setup.stop_after_ms.is_none()
        && matches!(ending, Ending::Fin | Ending::HalfClose);
    let piece_bytes = [(1, 1), (1, 60), (1, 700), (1 << 20, 1 << 20)][rng.index(4)];
    let gap_us = [(0, 0), (0, 0), (0, 3_000), (0, 12_000)][rng.index(4)];
    let read_gap_us = (rng.range(0, 7) == 0).then(|| rng.range(1_000, 90_000));
    Plan {
        depth: [1, 2, 8][rng.index(3)],
        piece_bytes,
        gap_us,
        read_gap_us,
        ending,
        is_tolerant: !is_calm,
        is_masked: setup.masked,
        ..Plan::new(&format!("client {n}"), requests)
    }
}

fn request(rng: &mut Rng, number: u64) -> Request {
    let len = [0, 1, 40, 511, 512, 700, 2_999][rng.index(7)];
    let body: Vec<u8> = (0..len).map(pattern).collect();
    let count = len.to_string();
    let chunk = rng.range(1, 900) as usize;
    match rng.range(0, 25) {
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
        22 => bad(rng),
        23 => Request::get(["/half", "/short"][rng.index(2)], "").expecting(Expect::Cut),
        24 => Request::get("/error/403", "").expecting(Expect::Status(403)),
        _ => Request::get("/nothing", "").expecting(Expect::Status(404)),
    }
}

/// What the server must refuse.
fn bad(rng: &mut Rng) -> Request {
    let long = "x".repeat(2_000);
    let too_long = BODY_BYTES_MAX + 1;
    let (bytes, status) = match rng.range(0, 4) {
        0 => ("garbage\r\n\r\n".to_string(), 400),
        1 => ("GET / HTTP/1.1\r\n\r\n".to_string(), 400),
        2 => (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), 431),
        3 => (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        _ => {
            let head = "POST /count HTTP/1.1\r\nHost: a\r\nContent-Length:";
            (format!("{head} {too_long}\r\n\r\n"), 413)
        }
    };
    Request::raw(bytes.as_bytes(), Expect::Status(status))
}
