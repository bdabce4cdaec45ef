//! The handler in a simulated world.

use std::net::SocketAddr;

use dustdevil_core::handle::Handle;
use dustdevil_core::reactor::{Capacity, Reactor};
use dustdevil_core::sim::{self, Ended, Faults, Record, Script, Sim, World};
use dustdevil_core::tcp::{TcpClient, TcpListener};
use dustdevil_core::time::Duration;
use dustdevil_std::zeroed;
use echo::{LINE_BYTES_MAX, Limits, TOO_LONG};
use embassy_futures::join::join;

const BARE: Capacity = Capacity { sources: 0, timers: 2, groups: 0, tasks: 1, waiters: 0 };
const SOON: Duration = Duration::from_secs(50);
/// Longer than a connection may be silent.
const LATE: Duration = Duration::from_secs(70);

fn at() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 7))
}

/// Peers of a server for two connections at once, and what they saw.
fn serve(seed: u64, faults: Faults, peers: Vec<Script>) -> Vec<Record> {
    let capacity = echo::plus_server(BARE, 2);
    let (mut tables, mut memory) = (zeroed(capacity.bytes()), zeroed(echo::bytes(2)));
    let world = World::new(seed, faults);
    let sim: Sim = Sim::new(&world);
    let reactor = Reactor::new(sim, tables.block(), capacity, sim::wakes(capacity.tasks));
    let rt = Handle::from(&reactor);
    let records = peers.iter().map(Script::record).collect();
    for (number, peer) in peers.into_iter().enumerate() {
        world.connect(at(), Duration::from_millis(number as u64), peer);
    }
    let listener = TcpListener::bind(rt, at(), 64).unwrap();
    let stop = async {
        world.peers_gone().await;
        rt.stop();
    };
    reactor.run(join(echo::serve(rt, listener, memory.block(), 2), stop));
    reactor.check();
    world.assert_all_closed();
    records
}

/// A line of so many bytes, its newline included.
fn line(bytes: usize) -> Vec<u8> {
    let mut line = vec![b'x'; bytes - 1];
    line.push(b'\n');
    line
}

#[test]
fn each_input_has_its_output() {
    let (longest, longer) = (line(LINE_BYTES_MAX), line(LINE_BYTES_MAX + 1));
    let table: &[(&[u8], &[u8])] = &[
        (b"hello\n", b"hello\n"),
        (b"hello\r\n", b"hello\r\n"),
        (b"\n", b"\n"),
        (b"\n\n\n", b"\n\n\n"),
        (b"one\ntwo\nthree\n", b"one\ntwo\nthree\n"),
        (b"\0\xff\x1b[2J\n", b"\0\xff\x1b[2J\n"),
        (b"", b""),
        (b"no end", b""),
        (b"one\nno end", b"one\n"),
        (&longest, &longest),
        (&longer, TOO_LONG),
        (&[b'x'; 5_000], TOO_LONG),
    ];
    assert!(TOO_LONG.ends_with(b"256 bytes\n") && LINE_BYTES_MAX == 256);
    for (input, output) in table {
        // At once, and a byte at a time; the peer ends its output, and reads to the end.
        let peers = vec![
            Script::new("at once").send(input).fin().expect_end(SOON),
            Script::new("split")
                .send_slowly(input, Duration::from_micros(700))
                .fin()
                .expect_end(SOON),
        ];
        for record in serve(1, Faults::NONE, peers.into_iter().map(Script::tolerant).collect()) {
            let shown = input.escape_ascii();
            let outcome = record.outcome();
            let received = outcome.received.escape_ascii().to_string();
            assert_eq!(received, output.escape_ascii().to_string(), "{shown}");
            assert_eq!(outcome.ended, Some(Ended::Fin), "{shown}");
        }
    }
}

#[test]
fn a_line_after_another_has_its_own_time() {
    let wait = Duration::from_secs(40);
    let slow = Script::new("slow").send(b"a\n").wait(wait).send(b"b").wait(wait);
    // The second wait is within the line, whose time began with the echo before it.
    let slow = slow.send(b"c\n").expect_close(SOON).tolerant();
    let fast = Script::new("fast").send(b"a\n").wait(wait).send(b"b\n").wait(wait).send(b"c\n");
    let fast = fast.expect_contains(b"a\nb\nc\n", SOON).expect_close(LATE);
    let records = serve(1, Faults::NONE, vec![slow, fast]);
    assert_eq!(records[0].outcome().received, b"a\n");
    assert!(records[1].outcome().is_finished);
}

#[test]
fn who_does_not_take_its_echo_is_closed_and_others_are_served() {
    let faults = Faults { window_bytes: (300, 300), ..Faults::NONE };
    let deaf = Script::new("deaf").stop_reading().send(&line(200).repeat(5)).wait(LATE).tolerant();
    let deaf = deaf.resume_reading().expect_end(SOON);
    let good = Script::new("good").send(b"hello\n").expect_contains(b"hello\n", SOON).fin();
    let records = serve(1, faults, vec![deaf, good.expect_close(SOON)]);
    assert!(records[1].outcome().is_finished);
    assert!(records[0].outcome().received.len() < 1_000);
}

#[test]
fn whatever_the_network_does_what_comes_back_is_what_was_sent() {
    let (mut echoed, mut whole) = (0, 0);
    for seed in 0..500 {
        let texts = (0..6).map(|peer| {
            (0..20).map(|n| format!("{peer}.{n} {}\n", "y".repeat(n * 12))).collect::<String>()
        });
        let texts: Vec<String> = texts.collect();
        let peers = texts.iter().map(|text| {
            let peer = Script::new("peer").tolerant().send(text.as_bytes());
            peer.expect_bytes(text.len(), Duration::from_secs(3_000)).fin().expect_end(LATE)
        });
        for (record, text) in serve(seed, Faults::seeded(seed), peers.collect()).iter().zip(&texts)
        {
            let outcome = record.outcome();
            assert!(text.as_bytes().starts_with(&outcome.received), "seed {seed}");
            assert!(outcome.is_finished || outcome.ended.is_some(), "seed {seed}");
            echoed += outcome.received.len();
            whole += usize::from(outcome.received.len() == text.len());
        }
    }
    println!("{echoed} bytes came back; {whole} of 3,000 had all");
    assert!(whole > 2_000);
}

/// A port is a stream without an end: after a line that is too long it goes on with the next.
#[test]
#[expect(clippy::large_futures, reason = "it has a line's buffer, and lies in the main future")]
fn a_port_begins_anew_after_a_line_that_is_too_long() {
    let capacity = BARE.plus_streams(2);
    let mut tables = zeroed(capacity.bytes());
    let world = World::new(1, Faults::NONE);
    let sim: Sim = Sim::new(&world);
    let reactor = Reactor::new(sim, tables.block(), capacity, sim::wakes(1));
    let rt = Handle::from(&reactor);
    let peer = Script::new("terminal").send(b"one\n").send(&[b'x'; 3_000]).send(b"\ntwo\n");
    let peer = peer.expect_contains(b"two\n", SOON).wait(LATE).send(b"three\n");
    let peer = peer.expect_contains(b"three\n", SOON).fin();
    let record = peer.record();
    world.connect(at(), Duration::from_millis(1), peer);
    let listener = TcpListener::bind(rt, at(), 1).unwrap();
    reactor.run(async {
        let (tcp, _) = listener.accept().await.unwrap();
        echo::serve_port(rt, tcp, Limits::DEFAULT).await;
    });
    let outcome = record.outcome();
    let wanted = [b"one\n", TOO_LONG, b"two\nthree\n"].concat();
    assert_eq!(outcome.received.escape_ascii().to_string(), wanted.escape_ascii().to_string());
}

#[test]
fn the_client_gets_its_line_back() {
    let capacity = BARE.plus_streams(2);
    let mut tables = zeroed(capacity.bytes());
    let world = World::new(1, Faults::NONE);
    let there: SocketAddr = "10.0.0.9:7".parse().unwrap();
    world.listen_peer(there, || {
        let peer = Script::new("server").expect_contains(b"hello\n", SOON);
        peer.send(b"hello\nand more\n").expect_close(SOON)
    });
    let silent: SocketAddr = "10.0.0.9:8".parse().unwrap();
    world.listen_peer(silent, || Script::new("silent").expect_close(SOON));
    let sim: Sim = Sim::new(&world);
    let reactor = Reactor::new(sim, tables.block(), capacity, sim::wakes(capacity.tasks));
    let client = TcpClient::new(&reactor);
    let mut answer = [0; 64];
    let count = reactor.run(echo::ask(client, &[there], b"hello\n", &mut answer));
    assert_eq!(&answer[..count.unwrap()], b"hello\n");
    let late = reactor.run(echo::ask(client, &[silent], b"hello\n", &mut answer));
    assert_eq!(late.unwrap_err().kind(), dustdevil_core::embedded_io::ErrorKind::TimedOut);
}
