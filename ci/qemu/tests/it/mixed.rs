//! Good and bad clients together over a wire that has faults.
//!
//! What must hold: a good client gets the right answer to everything it asks, however often it has
//! to ask; nobody is refused; afterwards everything is back, and the board's clock went as ours.
//! Twenty seconds here; `cargo xtask soak --board lm3s6965evb` takes as long as it is told.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dustdevil_core::sim::Rng;

use crate::util::bad::DEEDS;
use crate::util::board::AT;
use crate::util::client::{Response, parse, request};
use crate::util::namespace::{self, Seen};
use crate::util::wire::{Faults, Wire};
use crate::util::{Board, Client};

/// What the wire does to frames.
const FAULTS: Faults = Faults { lost: 10, doubled: 10, corrupted: 10, late: 50, late_ms_max: 30 };

/// Clients of each kind.
const EACH: u64 = 5;

/// How long a good client waits for a byte before it tries another connection.
const SILENCE: Duration = Duration::from_secs(5);

/// How long an answer may take, with all the connections that it needs.
const ANSWER: Duration = Duration::from_secs(60);

/// What happened, counted by name; and how long answers took.
#[derive(Default)]
struct Tally {
    counts: Mutex<BTreeMap<&'static str, u64>>,
    waits: Mutex<Vec<Duration>>,
}

impl Tally {
    fn add(&self, what: &'static str) {
        *self.counts.lock().unwrap().entry(what).or_default() += 1;
    }
}

/// Ends the traffic with a test that fails.
struct EndsAll<'a>(&'a AtomicBool);

impl Drop for EndsAll<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn twenty_seconds_of_everything() {
    run(Duration::from_secs(20), 1);
}

#[test]
#[ignore = "`cargo xtask soak --board lm3s6965evb` sets SOAK_MINUTES and SOAK_SEED"]
fn minutes_of_everything() {
    let number = |name: &str| {
        let value = std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
        value.parse::<u64>().unwrap_or_else(|_| panic!("{name} is no number: {value}"))
    };
    run(Duration::from_secs(60 * number("SOAK_MINUTES")), number("SOAK_SEED"));
}

fn run(time: Duration, seed: u64) {
    namespace::inside(|| {
        let wire = Wire::lay(seed, FAULTS);
        let board = Board::at_wire("probe");
        board.is_at_rest();
        let clock = clock();
        wire.calm(false);
        let tally = Tally::default();
        traffic(time, seed, &wire, &tally);
        wire.calm(true);
        println!("{:#?}\n{:#?}", tally.counts.lock().unwrap(), wire.tally());
        let mut waits = tally.waits.into_inner().unwrap();
        waits.sort();
        let at = |permille: usize| waits[(waits.len() - 1) * permille / 1_000];
        println!("answers: half in {:?}, 99 % in {:?}, all in {:?}", at(500), at(990), at(1_000));
        board.recovers();
        board.is_at_rest();
        println!("{:?}", board.all_sockets_listen());
        assert_same_pace(clock, self::clock());
        assert_eq!(Seen::now().refused, 0, "connections were refused");
        wire.tally().each_happened();
        for name in DEEDS.iter().map(|deed| deed.0).chain(["answers"]) {
            assert!(tally.counts.lock().unwrap().contains_key(name), "nobody {name}");
        }
        println!("soak: {} answers, 0 findings", waits.len());
    });
}

/// Lets everybody loose for some time.
fn traffic(time: Duration, seed: u64, wire: &Wire, tally: &Tally) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for number in 0..EACH {
            let (good_rng, bad_rng) =
                (Rng::new(seed ^ number << 32), Rng::new(!seed ^ number << 32));
            let over = &over;
            scope.spawn(move || {
                let _ends = EndsAll(over);
                good(good_rng, over, tally);
            });
            scope.spawn(move || {
                let _ends = EndsAll(over);
                bad(bad_rng, wire, over, tally);
            });
        }
        let until = Instant::now() + time;
        while Instant::now() < until && !over.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(50));
        }
        over.store(true, Ordering::Relaxed);
    });
}

fn bad(mut rng: Rng, wire: &Wire, over: &AtomicBool, tally: &Tally) {
    while !over.load(Ordering::Relaxed) {
        let (name, deed) = DEEDS[rng.index(DEEDS.len())];
        deed(&mut rng, wire);
        tally.add(name);
        thread::sleep(Duration::from_millis(rng.range(0, 200)));
    }
}

/// Why a good client needs another connection.
#[derive(Clone, Copy, Debug)]
enum Why {
    Closed,
    Reset,
    Silent,
}

fn good(mut rng: Rng, over: &AtomicBool, tally: &Tally) {
    while !over.load(Ordering::Relaxed) {
        let mut wanted: Vec<u64> = (0..rng.range(1, 8)).map(|_| rng.next()).collect();
        let is_pipelined = rng.hits(300);
        while !wanted.is_empty() {
            let since = Instant::now();
            let left = wanted.len();
            while wanted.len() == left {
                assert!(since.elapsed() < ANSWER, "no answer within {ANSWER:?}");
                if let Some(stream) = connect(tally) {
                    converse(stream, &mut wanted, is_pipelined, tally);
                }
            }
            tally.waits.lock().unwrap().push(since.elapsed());
        }
        thread::sleep(Duration::from_millis(rng.range(0, 50)));
    }
}

/// A connection; none, after the time that a peer may need to come back to life.
fn connect(tally: &Tally) -> Option<TcpStream> {
    match TcpStream::connect_timeout(&AT, 2 * SILENCE) {
        Ok(stream) => {
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(SILENCE)).unwrap();
            stream.set_write_timeout(Some(SILENCE)).unwrap();
            Some(stream)
        }
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => panic!("{error}"),
        Err(_) => {
            tally.add("no connection in time");
            None
        }
    }
}

/// Asks for what is wanted, from the last on, until everything is answered or the connection over.
fn converse(mut stream: TcpStream, wanted: &mut Vec<u64>, is_pipelined: bool, tally: &Tally) {
    let mut seen = Vec::new();
    let ask = |number: &u64| match number % 3 {
        0 => request("/json"),
        1 => request("/plaintext"),
        _ => request(&format!("/user/{number}")),
    };
    if is_pipelined {
        let all: String = wanted.iter().rev().map(ask).collect();
        // Whether it was taken shows the answer.
        let _ = stream.write_all(all.as_bytes());
    }
    while let Some(number) = wanted.last() {
        if !is_pipelined {
            let _ = stream.write_all(ask(number).as_bytes());
        }
        match response(&mut stream, &mut seen) {
            Ok(response) if matches!(response.status, 408 | 503) => {
                assert_eq!(response.field("Connection"), Some("close"));
                return tally.add("turned away");
            }
            Ok(response) => {
                judge(*number, &response);
                wanted.pop();
                tally.add("answers");
                if response.field("Connection") == Some("close") {
                    return tally.add("asked to come again");
                }
            }
            Err(Why::Closed) => return tally.add("connections that were closed"),
            Err(Why::Reset) => return tally.add("connections that were reset"),
            Err(Why::Silent) => return tally.add("connections that fell silent"),
        }
    }
}

fn judge(number: u64, response: &Response) {
    let body = match number % 3 {
        0 => r#"{"message":"Hello, World!"}"#.to_owned(),
        1 => "Hello, World!".to_owned(),
        _ => number.to_string(),
    };
    assert_eq!((response.status, response.text()), (200, body.as_str()), "{}", response.head);
}

fn response(stream: &mut TcpStream, seen: &mut Vec<u8>) -> Result<Response, Why> {
    let mut buffer = [0; 4_096];
    loop {
        if let Some((response, length)) = parse(seen, None) {
            seen.drain(..length);
            return Ok(response);
        }
        match stream.read(&mut buffer) {
            Ok(0) => return Err(Why::Closed),
            Ok(length) => seen.extend_from_slice(&buffer[..length]),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(Why::Silent),
                ErrorKind::ConnectionReset => return Err(Why::Reset),
                _ => panic!("{error}"),
            },
        }
    }
}

/// Our time and the board's at one moment: the reading of several whose answer came soonest.
fn clock() -> (Instant, Duration) {
    let mut client = Client::connect(AT);
    let readings = (0..20).map(|_| {
        let asked = Instant::now();
        let figures = client.get("/probe");
        let took = asked.elapsed();
        let figures: serde_json::Value = serde_json::from_slice(&figures.body).expect("JSON");
        let uptime = figures["uptime_us"].as_u64().expect("a time");
        (took, asked + took / 2, Duration::from_micros(uptime))
    });
    let soonest = readings.min_by_key(|reading| reading.0).expect("some readings");
    println!("the board's clock was read within {:?}", soonest.0);
    (soonest.1, soonest.2)
}

/// The board's clock and ours went as far, but for 0.1 %.
fn assert_same_pace(from: (Instant, Duration), to: (Instant, Duration)) {
    let (ours, theirs) = (to.0 - from.0, to.1 - from.1);
    println!("our clock went {ours:?}, the board's {theirs:?}");
    assert!(ours.abs_diff(theirs) <= ours / 1_000, "{ours:?} here, {theirs:?} on the board");
}
