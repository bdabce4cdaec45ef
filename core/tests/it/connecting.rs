//! Opening connections: addresses that refuse, are silent or slow, and calls that are given up.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::handle::Handle;
use dustdevil_core::poller::Error;
use dustdevil_core::reactor::{Capacity, Reactor};
use dustdevil_core::sim::{Faults, Peer, PeerEnd, PeerEvent, Sim, World};
use dustdevil_core::stream::{IoStream, RawStream};
use dustdevil_core::tcp::{HEAD_START, Tcp, TcpClient};
use dustdevil_core::time::Duration;

use crate::util::{BARE, MINUTE, SECOND, in_world, millis, seeds};

/// A main future, two connections and a timer.
const CAPACITY: Capacity = BARE.plus_streams(2);

/// What is known of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum There {
    /// Somebody listens.
    Answers,
    /// Nobody does.
    Refuses,
    /// Requests get lost: the first that can arrive comes after 63 s.
    Silent,
}
use There::{Answers, Refuses, Silent};

/// Says nothing and waits for the end.
struct Patient;

impl Peer for Patient {
    fn on_event(&mut self, event: PeerEvent, end: &mut PeerEnd<'_>) {
        if event == PeerEvent::Fin {
            end.fin();
        }
    }
}

/// Answers the first thing that it hears, or goes when the other one does.
struct Answering;

impl Peer for Answering {
    fn on_event(&mut self, event: PeerEvent, end: &mut PeerEnd<'_>) {
        match event {
            PeerEvent::Readable if end.read(&mut [0; 8]) > 0 => {
                assert_eq!(end.write(b"y"), 1, "a window holds a byte");
                end.fin();
            }
            PeerEvent::Fin => end.fin(),
            _ => {}
        }
    }
}

/// An address of family 4 or 6, the last number of which is `number`.
fn address(family: u32, number: u16) -> SocketAddr {
    let text =
        if family == 4 { format!("10.0.1.{number}:7") } else { format!("[fd01::{number}]:7") };
    text.parse().unwrap()
}

/// A world with these addresses; a silent one has a full backlog in front of it.
fn build(world: &World, reactor: &Reactor<'_, Sim>, list: &[(u32, There)]) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for (number, (family, there)) in (1..).zip(list) {
        let at = address(*family, number);
        addresses.push(at);
        match there {
            Refuses => {}
            Answers => world.listen_peer(at, || Patient),
            Silent => {
                // A listener that nobody accepts at, whose backlog of one is taken.
                let listener = reactor.listen(at, 1).unwrap();
                assert_eq!(reactor.local(listener), Some(at));
                world.connect(at, Duration::ZERO, Patient);
            }
        }
    }
    addresses
}

/// Room for the silent addresses' listeners too.
fn with_silent(list: &[(u32, There)]) -> Capacity {
    let silent = list.iter().filter(|(_, there)| *there == Silent).count();
    Capacity { sources: CAPACITY.sources + silent, ..CAPACITY }
}

/// What came of it, and after how many milliseconds.
fn connect_any(list: &[(u32, There)], within: Duration) -> (Result<SocketAddr, ErrorKind>, u64) {
    in_world(
        1,
        Faults { latency_us: (500, 500), ..Faults::NONE },
        with_silent(list),
        |world, reactor| {
            let to = build(world, reactor, list);
            let client = TcpClient::new(reactor);
            reactor.run(async {
                client.handle().sleep(millis(10)).await; // until the backlogs are full
                let began = world.now();
                let result = client.connect_any(&to, within).await;
                let took = world.now() - began;
                // The winner alone is left, and then nobody.
                assert_eq!(world.open().connections, usize::from(result.is_ok()), "{list:?}");
                let result = result.map(|tcp| tcp.peer_addr().unwrap()).map_err(|error| error.kind);
                assert_eq!(world.open().connections, 0);
                (result, took.as_micros() / 1_000)
            })
        },
    )
}

#[test]
fn the_first_that_answers_wins_in_the_order_that_tornado_has() {
    const IN_TIME: Duration = Duration::from_secs(20);
    let head_start = HEAD_START.as_micros() / 1_000;
    let ok = |family, number| Ok(address(family, number));
    type Case<'c> =
        (&'c [(u32, There)], Result<SocketAddr, ErrorKind>, std::ops::RangeInclusive<u64>);
    let cases: [Case<'_>; 14] = [
        (&[(4, Answers)], ok(4, 1), 1..=2),
        (&[(6, Answers), (4, Answers)], ok(6, 1), 1..=2),
        (&[(4, Answers), (6, Answers)], ok(4, 1), 1..=2),
        // A failure does not wait for the head start; the same family's next one goes on beside.
        (&[(6, Refuses), (4, Answers)], ok(4, 2), 2..=3),
        (&[(6, Refuses), (6, Answers)], ok(6, 2), 2..=3),
        (&[(6, Refuses), (6, Answers), (4, Answers)], ok(6, 2), 2..=3),
        (&[(6, Refuses), (6, Refuses), (4, Refuses), (4, Answers)], ok(4, 4), 3..=4),
        // Who is silent holds its own family up, and the other one for the head start.
        (&[(6, Silent), (4, Answers)], ok(4, 2), head_start..=head_start + 4),
        (&[(6, Silent), (6, Answers), (4, Answers)], ok(4, 3), head_start..=head_start + 4),
        (&[(6, Silent), (4, Refuses), (4, Answers)], ok(4, 3), head_start..=head_start + 5),
        // Nobody.
        (&[], Err(ErrorKind::AddrNotAvailable), 0..=0),
        (&[(4, Refuses)], Err(ErrorKind::ConnectionRefused), 1..=2),
        (&[(6, Refuses), (4, Refuses), (6, Refuses)], Err(ErrorKind::ConnectionRefused), 2..=4),
        (&[(6, Silent), (4, Silent)], Err(ErrorKind::TimedOut), 20_000..=20_004),
    ];
    for (list, expected, within_ms) in cases {
        let (result, took_ms) = connect_any(list, IN_TIME);
        assert_eq!(result, expected, "{list:?}");
        assert!(within_ms.contains(&took_ms), "{list:?}: {took_ms} ms, not {within_ms:?}");
    }
}

#[test]
fn a_total_time_ends_it_whoever_is_being_tried() {
    for within_ms in [0, 1, 100, 299, 300, 301, 5_000] {
        let list = [(6, Silent), (4, Silent)];
        let (result, took_ms) = connect_any(&list, millis(within_ms));
        assert_eq!(result, Err(ErrorKind::TimedOut), "{within_ms} ms");
        assert!((within_ms..=within_ms + 3).contains(&took_ms), "{within_ms} ms: {took_ms} ms");
    }
}

#[test]
fn without_a_bound_it_ends_when_all_have_failed() {
    // The requests of silent ones are given up by the world, after minutes.
    let (result, took_ms) = connect_any(&[(6, Silent), (4, Silent)], Duration::MAX);
    assert_eq!(result, Err(ErrorKind::TimedOut));
    assert!(took_ms > 60_000, "{took_ms} ms");
}

#[test]
fn a_table_without_room_is_an_error_like_others() {
    in_world(1, Faults::NONE, BARE.plus_streams(1), |world, reactor| {
        let to = build(world, reactor, &[(4, Answers), (6, Answers)]);
        let client = TcpClient::new(reactor);
        reactor.run(async {
            let first = client.connect(to[0]).await.unwrap();
            let full = Some(Error::new(ErrorKind::OutOfMemory));
            assert_eq!(client.connect(to[0]).await.err(), full);
            assert_eq!(client.connect_any(&to, SECOND).await.err(), full);
            drop(first);
            // With one place the two families take turns in it.
            assert!(client.connect_any(&to, SECOND).await.is_ok());
        });
        world.assert_all_closed();
    });
}

/// Polls `future` as often as the turn allows, drops it after `polls` polls, and tells whether it
/// was ready before.
async fn give_up_after<F: Future>(handle: Handle<'_>, polls: usize, future: F) -> bool {
    let mut future = pin!(future);
    for _ in 0..polls {
        let polled = std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if polled.is_ready() {
            return true;
        }
        handle.sleep(millis(1)).await;
    }
    false
}

/// Each future here, given up after any number of polls, closes what it began, and the client can
/// be used again.
#[test]
fn what_is_given_up_leaves_nothing() {
    let list = [(6, Refuses), (6, Silent), (4, Refuses), (4, Silent), (4, Answers)];
    for polls in 0..12 {
        in_world(
            1,
            Faults { latency_us: (700, 700), ..Faults::NONE },
            with_silent(&list),
            |world, reactor| {
                let to = build(world, reactor, &list);
                let client = TcpClient::new(reactor);
                reactor.run(async {
                    let handle = client.handle();
                    handle.sleep(millis(10)).await;
                    let any = give_up_after(handle, polls, client.connect_any(&to, SECOND)).await;
                    assert!(!any, "the silent ones hold it up");
                    assert_eq!(world.open().connections, 0, "after {polls} polls");
                    give_up_after(handle, polls, client.connect(to[4])).await;
                    assert_eq!(world.open().connections, 0, "after {polls} polls");
                    give_up_after(handle, polls, client.connect(to[1])).await;
                    assert_eq!(world.open().connections, 0, "after {polls} polls");
                    // And all of the table is there again.
                    let kept = [client.connect(to[4]).await, client.connect(to[4]).await];
                    assert!(kept.iter().all(Result::is_ok));
                });
            },
        );
    }
}

#[test]
fn a_source_address_is_used_and_a_wrong_one_refused() {
    in_world(1, Faults::NONE, CAPACITY, |world, reactor| {
        let to = build(world, reactor, &[(4, Answers)])[0];
        let client = TcpClient::new(reactor);
        reactor.run(async {
            for (source, own) in [
                ("10.0.0.77:4000", "10.0.0.77:4000"),
                ("10.0.0.77:0", "10.0.0.77:"),
                ("0.0.0.0:4001", ":4001"),
            ] {
                let source = source.parse().unwrap();
                let tcp = client.connect_from(source, to).await.unwrap();
                let local = tcp.local_addr().unwrap().to_string();
                assert!(local.starts_with(own) || local.ends_with(own), "{source}: {local}");
            }
            let taken = "10.0.0.77:4000".parse().unwrap();
            let kept = client.connect_from(taken, to).await.unwrap();
            let again = client.connect_from(taken, to).await.err().map(|error| error.kind);
            assert_eq!(again, Some(ErrorKind::AddrInUse));
            drop(kept);
            let other = client.connect_from("[fd00::1]:0".parse().unwrap(), to).await;
            assert_eq!(other.err().map(|error| error.kind), Some(ErrorKind::AddrNotAvailable));
        });
    });
}

/// In any world, resets and spurious events included, the answer is the truth: who says that it is
/// connected can be spoken to until the network ends it.
#[test]
fn whatever_goes_wrong_a_connection_is_one_or_is_none() {
    let (mut connected, mut failed) = (0, 0);
    for seed in 0..seeds(200) {
        let faults = Faults { reset_permille: 0, ..Faults::seeded(seed) };
        let list = [(6, Refuses), (4, Answers), (6, Answers)];
        in_world(seed, faults, CAPACITY, |world, reactor| {
            let to: Vec<_> =
                (1..).zip(list).map(|(number, (family, _))| address(family, number)).collect();
            for at in &to[1..] {
                world.listen_peer(*at, || Answering);
            }
            let client = TcpClient::new(reactor);
            reactor.run(async {
                match client.connect_any(&to, MINUTE).await {
                    Ok(tcp) => {
                        connected += 1;
                        let mut buffer = [0; 8];
                        let mut stream = IoStream::new(tcp, &mut buffer);
                        stream.write(b"?").await.unwrap();
                        assert_eq!(stream.read_until_close(8).await, Ok(&b"y"[..]), "seed {seed}");
                    }
                    Err(_) => failed += 1,
                }
            });
            world.assert_all_closed();
        });
    }
    assert!(connected > failed * 20, "{connected} connected, {failed} failed");
}

#[test]
fn nagle_is_the_worlds_to_switch() {
    in_world(1, Faults::NONE, CAPACITY, |world, reactor| {
        let to = build(world, reactor, &[(4, Answers)])[0];
        let client = TcpClient::new(reactor);
        reactor.run(async {
            let tcp: Tcp<'_> = client.connect(to).await.unwrap();
            let own = tcp.local_addr().unwrap();
            assert_eq!(world.nodelay(own), Some(true));
            tcp.handle().set_nodelay(tcp.token(), false).unwrap();
            assert_eq!(world.nodelay(own), Some(false));
            tcp.close();
            let stale = tcp.handle().set_nodelay(tcp.token(), true);
            assert_eq!(stale, Err(Error::STALE));
        });
    });
}

#[test]
fn a_client_is_two_words_and_its_futures_are_small() {
    let word = size_of::<usize>();
    assert_eq!(size_of::<TcpClient<'_>>(), 2 * word);
    in_world(1, Faults::NONE, CAPACITY, |_, reactor| {
        let client = TcpClient::new(reactor);
        let (connect, any) = (client.connect(address(4, 1)), client.connect_any(&[], SECOND));
        assert!(size_of_val(&connect) <= 96 + 8 * word, "{}", size_of_val(&connect));
        assert!(size_of_val(&any) <= 40 * word, "{}, {}", size_of_val(&any), size_of_val(&connect));
        let mut never = pin!(client.connect_any(&[], SECOND));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(never.as_mut().poll(&mut cx).is_ready(), "nothing to wait for");
    });
}
