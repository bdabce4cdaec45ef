//! The server itself, in the simulator: peers send any bytes, in any pieces, and end as they like.
//! Every checker looks at every turn, and at the end everything must be given back. Each answer is
//! the one to the request that the reference reads in that place: none is to a request that
//! nobody sent.

#![no_main]

mod app;
#[expect(dead_code, reason = "the server's own tests use more of it")]
#[path = "../../../../../http/tests/it/world.rs"]
mod world;

use dustdevil_core::sim::{Faults, Record, Script, World};
use dustdevil_core::time::Duration;
use dustdevil_http::{Capacity, Limits, Method, proto};
use fuzz::input::{Input, PLAIN, Pieces, Random};
use fuzz::machine::{Asked, FIELDS, Feed};
use fuzz::reading::{End, Message};
use fuzz::{machine, reference, seeds};
use libfuzzer_sys::fuzz_target;
use world::Setup;

const CAPACITY: Capacity =
    Capacity { connections: 3, requests: 2, heads: 4, fields: FIELDS, ..Capacity::SMALL };
/// Who takes its time is not cut off here: then each whole request must be answered.
const LIMITS: Limits = Limits {
    body_bytes_max: 3_000,
    head_ms: 300_000,
    progress_ms: 300_000,
    drain_ms: 300_000,
    server_name: "",
    ..Limits::DEFAULT
};

/// Bits of the first choice.
const HARSH: u8 = 1;
const LOSSLESS: u8 = 2;
const DRAINS: u8 = 4;
const TWO_PEERS: u8 = 8;
/// How a peer ends, in the two highest bits.
const ENDINGS: u8 = 6;

fuzz_target!(init: seeds::write(seeds), |data: &[u8]| {
    let Some(input) = Input::new(data) else { return };
    let Input { side, mut pieces, mut random, stream, .. } = input;
    let faults = match side {
        _ if side & HARSH != 0 => Faults::harsh(),
        _ if side & LOSSLESS != 0 => Faults::lossless(),
        _ => Faults::NONE,
    };
    let is_calm = side & (HARSH | LOSSLESS) == 0;
    let world = World::new(random.below(1 << 16) as u64, faults);
    world.keep_trace();
    let streams = match side & TWO_PEERS {
        0 => vec![stream],
        _ => {
            let (one, other) = stream.split_at(stream.len() / 2);
            vec![one, other]
        }
    };
    let peers: Vec<Peer<'_>> = streams
        .into_iter()
        .map(|stream| Peer::connect(&world, stream, side >> ENDINGS, &mut pieces, &mut random))
        .collect();
    let setup = Setup {
        capacity: CAPACITY,
        limits: LIMITS,
        backlog: 8,
        drains: side & DRAINS != 0,
        masked: false,
        settle_ms: 100_000,
        stops: true,
        stop_after_ms: None,
        planted: None,
    };
    let app = app::App::default();
    let report = world::serve(&world, &setup, &app);
    assert_eq!((app.alive.get(), report.heads_lost), (0, 0), "what lives on");
    for peer in &peers {
        peer.check(is_calm);
    }
});

/// The tests' messages, and some that the application knows.
fn seeds() -> Vec<Vec<u8>> {
    let mut all = seeds::requests();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let post = |path: &str, body: &str| {
        let length = body.len();
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
        5\r\nhello\r\n0\r\n\r\n";
    let expects = "POST /count HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
        Content-Length: 2\r\n\r\nok";
    let long = post("/ignore", &"x".repeat(900));
    for side in [0, DRAINS, LOSSLESS, HARSH | DRAINS, TWO_PEERS | LOSSLESS, 1 << ENDINGS] {
        for stream in [
            [get("/"), get("/big"), get("/slow"), get("/none")].concat(),
            [post("/count", "12345"), chunked.to_owned(), post("/slow", "abc")].concat(),
            [expects.to_owned(), long.clone(), get("/half")].concat(),
        ] {
            for pieces in [0, 1, 77] {
                all.push([&[side, PLAIN[1], pieces, 0], stream.as_bytes()].concat());
            }
        }
    }
    all
}

/// Someone who sends, and what came of it.
struct Peer<'a> {
    stream: &'a [u8],
    record: Record,
    /// It sent all, and then no more.
    is_whole: bool,
}

impl<'a> Peer<'a> {
    fn connect(
        world: &World,
        stream: &'a [u8],
        ending: u8,
        pieces: &mut Pieces,
        random: &mut Random,
    ) -> Self {
        let mut script = Script::new("peer").tolerant();
        let cut = if ending == 0 { stream.len() } else { random.below(stream.len() + 1) };
        let mut rest = &stream[..cut];
        // Each step has its cost: those behind the last small piece come together.
        for _ in 0..60 {
            let (piece, more) = rest.split_at(rest.len().min(pieces.next_len()));
            script = script.send(piece);
            if random.once_in(3) {
                script = script.wait(Duration::from_millis(1 + random.below(400) as u64));
            }
            rest = more;
        }
        script = script.send(rest);
        script = match ending {
            // The half-close comes at once, and all answers behind it.
            0 | 1 => script.fin(),
            2 => script.wait(Duration::from_millis(random.below(900) as u64)).reset(),
            _ => script,
        };
        let script = if ending == 2 { script } else { script.expect_end(Duration::from_secs(900)) };
        let record = script.record();
        world.connect(world::address(), Duration::from_millis(random.below(50) as u64), script);
        Self { stream: &stream[..cut], record, is_whole: ending < 2 }
    }

    /// Reads what it was answered.
    fn check(&self, is_calm: bool) {
        let outcome = self.record.outcome();
        let limits = proto::Limits {
            head_bytes_max: CAPACITY.head_bytes,
            body_bytes_max: LIMITS.body_bytes_max,
            chunk_line_bytes_max: LIMITS.chunk_line_bytes_max,
            trailer_bytes_max: LIMITS.trailer_bytes_max,
        };
        let requests = reference::requests(self.stream, &limits);
        let asked = |message: &Message| Asked {
            method: Method::from_bytes(&message.start[0]),
            upgrade: false,
        };
        let mut asked: Vec<Asked> = requests.messages.iter().map(asked).collect();
        // What is refused may be answered, and HEAD without a body.
        let is_head = self.stream.windows(5).any(|five| five == b"HEAD ");
        asked.push(Asked { method: Method::Get, upgrade: false });
        let feed = Feed {
            stream: &outcome.received,
            pieces: Pieces::Whole,
            limits: proto::Limits { body_bytes_max: u64::MAX, ..proto::Limits::DEFAULT },
            fin_late: false,
        };
        let answers = machine::responses(&feed, &asked);
        let told = || format!("{requests:?}\nanswered{answers:?}");
        let finals: Vec<&Message> =
            answers.messages.iter().filter(|own| own.code() >= 200).collect();
        assert!(finals.len() <= requests.messages.len() + 1, "{}", told());
        for (place, answer) in finals.iter().enumerate() {
            let Some(request) = requests.messages.get(place) else {
                assert!(answer.code() >= 400, "an answer without a request: {}", told());
                break;
            };
            let is_answer = answer.code() != 200
                || answer.end.is_none()
                || expected(request).is_none_or(|body| body == answer.body);
            assert!(is_answer, "answer {place} is not to its request: {}", told());
        }
        if !is_calm || is_head {
            return;
        }
        // The failing handler's answer is cut, and so is nobody else's.
        let is_cut = requests.messages.iter().any(|request| request.facts.path == b"/half");
        let is_good = matches!(answers.end, End::Clean | End::Rest(_) | End::Tunnel(_));
        let was_reset = outcome.ended != Some(dustdevil_core::sim::Ended::Fin);
        assert!(is_good || is_cut || was_reset, "{:?}: {}", outcome.ended, told());
        let whole = requests.messages.iter().filter(|request| request.end.is_some()).count();
        let is_closed = matches!(answers.end, End::Rest(_) | End::Tunnel(_)) || is_cut;
        let is_answered = finals.len() >= whole || is_closed || was_reset || !self.is_whole;
        assert!(is_answered, "{whole} whole requests, {} answers: {}", finals.len(), told());
    }
}

/// The body of the answer 200 to this request, if there is only one.
fn expected(request: &Message) -> Option<Vec<u8>> {
    request.end?;
    let path = if request.facts.path.is_empty() { &b"/"[..] } else { &request.facts.path };
    match (&request.start[0][..], path) {
        (b"GET", b"/") => Some(b"root".to_vec()),
        (b"POST" | b"PUT", b"/") | (b"POST", b"/count") => {
            Some(request.body.len().to_string().into_bytes())
        }
        (b"POST", b"/echo") => Some(request.body.clone()),
        (_, b"/ignore") => Some(b"ignored".to_vec()).filter(|_| request.start[0] != b"HEAD"),
        (_, b"/slow") => Some(b"slow".to_vec()).filter(|_| request.start[0] != b"HEAD"),
        (b"GET", b"/big") => Some(vec![b'b'; app::BIG_BYTES]),
        _ => None,
    }
}
