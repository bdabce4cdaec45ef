//! Connections: streams, listeners, servers and clients over the simulated network.

use std::cell::Cell;
use std::net::SocketAddr;
use std::pin::pin;

use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::handle::Handle;
use dustdevil_core::poller::Error;
use dustdevil_core::reactor::Capacity;
use dustdevil_core::sim::{Ended, Faults, Record, Script};
use dustdevil_core::stream::{IoStream, RawStream, StreamError};
use dustdevil_core::task::TimedOut;
use dustdevil_core::tcp::{Tcp, TcpClient, TcpListener, TcpServer};
use embassy_futures::join::join;
use embassy_futures::select::{Either, select};

use crate::util::{BARE, MINUTE, SECOND, at, in_world, memory, millis, seeds};

/// Room for some connections and their listener.
const fn streams(count: usize) -> Capacity {
    Capacity { timers: 8, ..BARE }.plus_streams(count + 1)
}

/// In a world where `peer` connects: what `talk` says with it, and then its record.
fn with_peer(
    faults: Faults,
    peer: Script,
    talk: impl AsyncFnOnce(Handle<'_>, &mut IoStream<'_, Tcp<'_>>),
) -> Record {
    let record = peer.record();
    in_world(1, faults, streams(1), |world, reactor| {
        world.connect(at(), millis(1), peer);
        let handle = Handle::from(reactor);
        reactor.run(async {
            let listener = TcpListener::bind(handle, at(), 1).unwrap();
            let (tcp, peer) = listener.accept().await.unwrap();
            assert_eq!((tcp.peer_addr(), tcp.local_addr()), (Some(peer), Some(at())));
            drop(listener);
            let mut buffer = [0; 16];
            let mut stream = IoStream::new(tcp, &mut buffer);
            talk(handle, &mut stream).await;
            drop(stream);
            world.assert_all_closed();
            world.peers_gone().await;
        });
    });
    record
}

/// Sends back line by line, as Tornado's example does.
async fn echo(tcp: Tcp<'_>, _: SocketAddr) {
    let (mut buffer, mut line) = ([0; 32], [0; 32]);
    let mut stream = IoStream::new(tcp, &mut buffer);
    while let Ok(lent) = stream.read_until(b"\r\n", 32).await {
        let count = lent.len();
        line[..count].copy_from_slice(lent);
        if stream.write(&line[..count]).await.is_err() {
            return;
        }
    }
}

/// Runs an echo server for `connections` at once with `clients` clients; their records, and the
/// world's hash.
fn echo_world(
    seed: u64,
    faults: &Faults,
    connections: usize,
    clients: u64,
    is_tolerant: bool,
) -> (Vec<Record>, u64) {
    let capacity = streams(connections).plus_tasks(connections);
    in_world(seed, faults.clone(), capacity, |world, reactor| {
        let records = (0..clients).map(|number| {
            let line = format!("client {number}\r\n");
            let mut script = Script::new(&line).wait(millis(number));
            for _ in 0..3 {
                script = script.send(line.as_bytes()).expect_contains(line.as_bytes(), MINUTE);
            }
            let script = script.fin().expect_close(MINUTE);
            let script = if is_tolerant { script.tolerant() } else { script };
            let record = script.record();
            world.connect(at(), millis(number % 3), script);
            record
        });
        let records: Vec<_> = records.collect();
        let handle = Handle::from(reactor);
        let listener = TcpListener::bind(handle, at(), 64).unwrap();
        let mut slots = memory(TcpServer::bytes(&echo, connections));
        let server = TcpServer::new(listener, &mut slots.block(), connections, echo);
        reactor.run(async {
            let end = async {
                world.peers_gone().await;
                handle.stop();
            };
            join(server, end).await;
        });
        assert!(handle.snapshot().sources_peak as usize <= connections + 1);
        world.assert_all_closed();
        (records, world.trace_hash())
    })
}

#[test]
fn an_echo_server_answers_every_client_whatever_the_network_does() {
    for seed in 0..seeds(150) {
        let faults = Faults { reset_permille: 0, ..Faults::seeded(seed) };
        let (records, _) = echo_world(seed, &faults, 4, 8, false);
        for record in records {
            let outcome = record.outcome();
            assert!(outcome.is_finished && outcome.ended == Some(Ended::Fin), "seed {seed}");
        }
    }
}

#[test]
fn resets_end_their_own_connection_only() {
    let mut resets = 0;
    for seed in 0..seeds(150) {
        let (records, hash) = echo_world(seed, &Faults::harsh(), 4, 8, true);
        for record in &records {
            let outcome = record.outcome();
            // A peer's own FIN may come first, or a SYN be lost for good; but nobody is left over.
            assert!(outcome.ended.is_some() || outcome.is_finished, "seed {seed}: {outcome:?}");
            resets += u32::from(outcome.ended == Some(Ended::Reset));
            assert!(outcome.is_finished || outcome.ended != Some(Ended::Fin), "seed {seed}");
        }
        assert_eq!(echo_world(seed, &Faults::harsh(), 4, 8, true).1, hash, "seed {seed}");
    }
    assert!(resets > 0);
}

#[test]
fn a_full_server_lets_connections_wait_in_the_backlog() {
    let (records, _) = echo_world(1, &Faults::NONE, 2, 20, false);
    assert!(records.iter().all(|record| record.outcome().is_finished));
}

#[test]
fn an_accept_without_resources_is_tried_again_and_does_not_spin() {
    let faults = Faults { handles_max: 2, accept_fail_permille: 300, ..Faults::NONE };
    let (records, _) = echo_world(1, &faults, 4, 6, false);
    assert!(records.iter().all(|record| record.outcome().is_finished));
}

#[test]
fn the_servers_memory_can_be_computed_for_a_static() {
    const BYTES: usize = TcpServer::bytes(&echo, 2);
    assert!((2 * 100..2 * 400).contains(&BYTES), "{BYTES} bytes for two connections");
}

#[test]
fn a_stopped_server_accepts_no_more_and_is_done_with_the_last_connection() {
    let capacity = streams(3).plus_tasks(2);
    in_world(1, Faults::NONE, capacity, |world, reactor| {
        let handle = Handle::from(reactor);
        let early = Script::new("early").wait(SECOND).send(b"a\r\n").expect_contains(b"a", SECOND);
        let late = Script::new("late").tolerant().send(b"b\r\n").expect_end(SECOND);
        let records = [early.record(), late.record()];
        world.connect(at(), millis(1), early);
        world.connect(at(), millis(500), late);
        let listener = TcpListener::bind(handle, at(), 4).unwrap();
        let mut slots = memory(TcpServer::bytes(&echo, 2));
        let mut server = TcpServer::new(listener, &mut slots.block(), 2, echo);
        reactor.run(async {
            assert_eq!(handle.timeout(millis(200), &mut server).await, Err(TimedOut));
            assert_eq!(server.connections(), 1);
            handle.stop();
            assert_eq!(handle.timeout(MINUTE, server).await, Ok(()));
        });
        assert!(records[0].outcome().is_finished);
        assert_eq!(records[1].outcome().ended, Some(Ended::Refused));
        world.assert_all_closed();
    });
}

#[test]
fn dropping_a_server_drops_its_connections() {
    let capacity = streams(2).plus_tasks(2);
    in_world(1, Faults::NONE, capacity, |world, reactor| {
        let handle = Handle::from(reactor);
        world.connect(at(), millis(1), Script::new("x").expect_end(SECOND));
        let listener = TcpListener::bind(handle, at(), 4).unwrap();
        let mut slots = memory(TcpServer::bytes(&echo, 2));
        let server = TcpServer::new(listener, &mut slots.block(), 2, echo);
        reactor.run(async {
            assert!(handle.timeout(millis(200), server).await.is_err());
            world.assert_all_closed();
            world.peers_gone().await;
        });
    });
}

#[test]
fn a_line_survives_every_split_and_every_cancelled_read() {
    let message = b"first line\r\nsecond\r\n";
    for split in (0..=message.len()).step_by(if cfg!(miri) { 10 } else { 1 }) {
        let (one, two) = message.split_at(split);
        let peer = Script::new("x").send(one).wait(SECOND).send(two).expect_end(MINUTE);
        with_peer(Faults::NONE, peer, async |handle, stream| {
            let mut timeouts = 0;
            for expected in [&b"first line\r\n"[..], b"second\r\n"] {
                loop {
                    // Most of these are dropped half way.
                    match handle.timeout(millis(70), stream.read_until(b"\r\n", 16)).await {
                        Ok(line) => break assert_eq!(line, Ok(expected), "split at {split}"),
                        Err(TimedOut) => timeouts += 1,
                    }
                }
            }
            assert!(timeouts >= 10 || two.is_empty(), "{timeouts} cancelled reads");
        });
    }
}

#[test]
fn an_end_of_input_is_not_the_end_of_the_connection() {
    let peer = Script::new("x")
        .send(b"question")
        .fin()
        .expect_contains(b"the answer to question", SECOND)
        .expect_close(SECOND);
    let record = with_peer(Faults::NONE, peer, async |handle, stream| {
        let mut question = [0; 8];
        assert_eq!(stream.read_until_close(16).await, Ok(&b"question"[..]));
        assert_eq!(stream.read_bytes(1).await, Err(StreamError::Closed(None)));
        // The peer is there still.
        assert!(handle.timeout(millis(100), stream.closed()).await.is_err());
        question.copy_from_slice(b"question");
        assert_eq!(stream.write(b"the answer to ").await, Ok(()));
        assert_eq!(stream.write(&question).await, Ok(()));
        stream.close();
        stream.close();
        let stale = Err(StreamError::Closed(Some(Error::STALE)));
        assert_eq!(stream.write(b"more").await, stale);
        assert_eq!(handle.timeout(SECOND, stream.closed()).await, Ok(()), "closed by ourselves");
    });
    assert!(record.outcome().is_finished);
}

#[test]
fn ones_own_end_of_output_leaves_the_input_open() {
    let peer = Script::new("x").expect_close(SECOND).send(b"after").fin();
    with_peer(Faults::NONE, peer, async |_, stream| {
        stream.shutdown();
        let broken = Error::new(ErrorKind::BrokenPipe);
        assert_eq!(stream.write(b"x").await, Err(StreamError::Closed(Some(broken))));
        assert_eq!(stream.read_until_close(16).await, Ok(&b"after"[..]));
    });
}

#[test]
fn a_reset_ends_reads_writes_and_whoever_waits_for_it() {
    let peer = || Script::new("x").send(b"half a li").wait(SECOND).reset();
    let reset = StreamError::Closed(Some(Error::new(ErrorKind::ConnectionReset)));
    with_peer(Faults::NONE, peer(), async |handle, stream| {
        assert_eq!(stream.read_until(b"\n", 16).await, Err(reset));
        assert_eq!(stream.buffered(), b"half a li");
        assert_eq!(stream.read_bytes(4).await, Ok(&b"half"[..]), "what came before is still there");
        assert_eq!(handle.timeout(SECOND, stream.closed()).await, Ok(()));
        assert_eq!(stream.write(b"x").await, Err(reset));
    });
    with_peer(Faults::NONE, peer(), async |handle, stream| {
        let (mut reader, writer) = stream.split();
        let read = async { reader.read_until(b"\n", 16).await.map(<[u8]>::len) };
        let (read, closed) = join(read, handle.timeout(MINUTE, writer.closed())).await;
        assert_eq!((read, closed), (Err(reset), Ok(())));
    });
}

#[test]
fn what_does_not_fit_is_refused_and_kept() {
    let peer = Script::new("x").send(b"0123456789abcdefghijklmnopqrstuvwxyz").expect_end(MINUTE);
    with_peer(Faults::NONE, peer, async |_, stream| {
        assert_eq!(stream.read_until(b"z", 36).await, Err(StreamError::BufferFull));
        assert_eq!(stream.read_until(b"z", 8).await, Err(StreamError::Unsatisfiable));
        assert_eq!(stream.read_bytes(17).await, Err(StreamError::BufferFull));
        assert_eq!(stream.read_bytes(16).await, Ok(&b"0123456789abcdef"[..]));
        let mut rest = [0; 20];
        assert_eq!(stream.read_into(&mut rest).await, Ok(20), "larger than the buffer");
        assert_eq!(&rest, b"ghijklmnopqrstuvwxyz");
    });
}

#[test]
fn a_slow_reader_makes_the_writer_wait() {
    let faults = Faults { window_bytes: (100, 100), ..Faults::NONE };
    let peer = Script::new("x")
        .stop_reading()
        .wait(SECOND)
        .resume_reading()
        .expect_bytes(1_000, MINUTE)
        .expect_close(MINUTE);
    with_peer(faults, peer, async |handle, stream| {
        let data = [b'x'; 1_000];
        let mut write = pin!(stream.write(&data));
        assert_eq!(handle.timeout(millis(500), write.as_mut()).await, Err(TimedOut));
        assert_eq!(write.written(), 100, "a window's worth");
        assert_eq!(write.await, Ok(()));
    });
}

#[test]
fn a_connection_reads_and_writes_at_once() {
    let faults = Faults { window_bytes: (64, 64), ..Faults::NONE };
    let sent: Vec<u8> = (0..2_000).map(|number| number as u8).collect();
    let peer = Script::new("x").send(&sent).fin().expect_bytes(2_000, MINUTE).expect_close(MINUTE);
    with_peer(faults, peer, async |_, stream| {
        let data = [b'y'; 2_000];
        let mut received = Vec::new();
        let (mut reader, mut writer) = stream.split();
        let read = reader.read_until_close_with(|piece| received.extend_from_slice(piece));
        assert_eq!(join(read, writer.write(&data)).await, (Ok(2_000), Ok(())));
        assert_eq!(received, sent);
    });
}

#[test]
fn a_detached_connection_goes_on_as_something_else() {
    let peer = Script::new("x").send(b"upgrade\nframes").expect_contains(b"ok", SECOND);
    with_peer(Faults::NONE, peer, async |handle, stream| {
        assert_eq!(stream.read_until(b"\n", 16).await, Ok(&b"upgrade\n"[..]));
        let by_reference = IoStream::new(stream.raw(), &mut []);
        let parts = by_reference.detach();
        assert!(parts.unread.is_empty());
        parts.raw.try_write(b"ok").unwrap();
        // A token outlives the value that closes it.
        let token = stream.raw().token();
        let other = Tcp::from_token(handle, token);
        assert_eq!(other.into_token(), token);
        assert_eq!(stream.read_bytes(6).await, Ok(&b"frames"[..]));
        assert_eq!(stream.raw().start_tls(), Err(Error::UNSUPPORTED));
    });
}

#[test]
fn idle_connections_cost_nothing() {
    const COUNT: usize = 50;
    let capacity = streams(COUNT).plus_tasks(COUNT);
    in_world(1, Faults::NONE, capacity, |world, reactor| {
        for _ in 0..COUNT {
            world.connect(at(), millis(1), Script::new("idle").wait(MINUTE).fin());
        }
        let handle = Handle::from(reactor);
        let listener = TcpListener::bind(handle, at(), 64).unwrap();
        let mut slots = memory(TcpServer::bytes(&echo, COUNT));
        let server = TcpServer::new(listener, &mut slots.block(), COUNT, echo);
        let measure = async {
            handle.sleep(SECOND).await;
            let before = handle.snapshot();
            assert_eq!(before.sources as usize, COUNT + 1);
            for _ in 0..10 {
                handle.sleep(SECOND).await;
            }
            let after = handle.snapshot();
            assert_eq!(after.tasks, before.tasks, "nobody is polled");
            assert_eq!(after.events, before.events);
            assert!(after.turns - before.turns <= 40, "ten sleeps: {before:?} {after:?}");
        };
        assert!(matches!(reactor.run(select(server, measure)), Either::Second(())));
    });
}

#[test]
fn a_client_connects_or_says_why_not() {
    in_world(1, Faults::NONE, streams(2), |world, reactor| {
        let greet = || Script::new("greeter").send(b"hello\n").expect_contains(b"bye", MINUTE);
        let there = SocketAddr::from(([10, 0, 0, 2], 25));
        world.listen_peer(there, greet);
        let handle = Handle::from(reactor);
        reactor.run(async {
            let mut buffer = [0; 16];
            let tcp = TcpClient::new(reactor).connect(there).await.unwrap();
            assert_eq!(tcp.peer_addr(), Some(there));
            let mut stream = IoStream::new(tcp, &mut buffer);
            assert_eq!(stream.read_until(b"\n", 16).await, Ok(&b"hello\n"[..]));
            assert_eq!(stream.write(b"bye").await, Ok(()));
            stream.close();

            let nobody = SocketAddr::from(([10, 0, 0, 3], 25));
            let refused = TcpClient::new(reactor).connect(nobody).await;
            assert_eq!(refused.err(), Some(Error::new(ErrorKind::ConnectionRefused)));

            // One that is given up leaves nothing behind.
            let client = TcpClient::new(reactor);
            let given_up = handle.timeout(Default::default(), client.connect(there));
            assert!(given_up.await.is_err());
            world.assert_all_closed();
        });
    });
}

#[test]
fn a_client_speaks_through_any_network() {
    for seed in 0..seeds(100) {
        let faults = Faults { reset_permille: 0, ..Faults::seeded(seed) };
        in_world(seed, faults, streams(1), |world, reactor| {
            let there = SocketAddr::from(([10, 0, 0, 2], 25));
            let answer = || Script::new("x").expect_contains(b"?", MINUTE).send(b"yes.");
            world.listen_peer(there, answer);
            reactor.run(async {
                let mut buffer = [0; 8];
                let tcp = TcpClient::new(reactor).connect(there).await.unwrap();
                let mut stream = IoStream::new(tcp, &mut buffer);
                stream.write(b"is it true?").await.unwrap();
                assert_eq!(stream.read_until_close(8).await, Ok(&b"yes."[..]), "seed {seed}");
            });
        });
    }
}

#[test]
fn a_listener_that_never_runs_dry_gives_way() {
    let capacity = streams(40);
    in_world(1, Faults::NONE, capacity, |world, reactor| {
        for _ in 0..40 {
            world.connect(at(), millis(1), Script::new("x").expect_end(MINUTE));
        }
        let handle = Handle::from(reactor);
        let listener = TcpListener::bind(handle, at(), 64).unwrap();
        let accepted = Cell::new(0);
        let longest = Cell::new(0);
        let accept = async {
            while let Ok((tcp, _)) = listener.accept().await {
                accepted.set(accepted.get() + 1);
                drop(tcp);
            }
        };
        let watch = async {
            handle.sleep(millis(10)).await;
            let mut before = accepted.get();
            while before < 40 {
                embassy_futures::yield_now().await;
                longest.set(longest.get().max(accepted.get() - before));
                before = accepted.get();
            }
        };
        // All are there before the first is accepted.
        reactor.run(handle.sleep(millis(9)));
        reactor.run(select(watch, accept));
        assert_eq!(accepted.get(), 40);
        assert!(longest.get() <= 16, "{} in a row", longest.get());
        assert!(handle.snapshot().budget_hits >= 2);
    });
}
