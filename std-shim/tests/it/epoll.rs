//! The contract of `core::poller`, clause by clause.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::nb;
use dustdevil_core::nb::Error::{Other, WouldBlock};
use dustdevil_core::poller::{Error, Io, Poller, Token, Transport};
use dustdevil_core::time::{Clock, Duration};
use dustdevil_std::Epoll;
use dustdevil_std::epoll::EVENTS_PER_POLL_MAX;
use rustix::net::sockopt;

use crate::util::{LOOPBACK, PATIENCE, World, event, reset};

fn kind<T>(result: nb::Result<T, Error>) -> Option<ErrorKind> {
    match result {
        Err(Other(error)) => Some(error.kind),
        Err(WouldBlock) | Ok(_) => None,
    }
}

#[test]
fn a_connection_comes_speaks_and_goes() {
    let mut world = World::new();
    assert_eq!(world.epoll.accept(world.listener), Err(WouldBlock));
    let mut peer = TcpStream::connect(world.at).unwrap();
    assert_eq!(world.poll(), [event(1, "r")]);
    let (io, address) = world.accept();
    assert_eq!((address, world.epoll.peer(io)), (peer.local_addr().unwrap(), Some(address)));
    assert_eq!(world.epoll.local(io), Some(world.at));
    assert_eq!(world.epoll.accept(world.listener), Err(WouldBlock));

    world.epoll.register(io, Token::from_u64(7 | 9 << 32)).unwrap();
    let token = 7 | 9 << 32;
    assert_eq!(world.poll(), [event(token, "w")], "a new connection has room and no bytes");
    peer.write_all(b"hello").unwrap();
    assert_eq!(world.poll(), [event(token, "rw")]);
    assert_eq!(world.poll_now(), [], "what was reported and not disproved is not repeated");
    assert_eq!(world.read(io, 3).unwrap(), b"hel");
    assert_eq!(world.read(io, 3).unwrap(), b"lo");
    assert_eq!(world.epoll.write(io, b"world"), Ok(5));
    let mut answer = [0; 5];
    peer.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"world");

    drop(peer);
    assert_eq!(world.poll(), [event(token, "rwc")]);
    assert_eq!(world.read(io, 3).unwrap(), b"");
    world.epoll.close(io);
    assert_eq!(world.epoll.lingering(), 0);
    assert_eq!(kind(world.read(io, 3)), Some(ErrorKind::NotConnected));
}

/// A burst of connections, poll by poll: how many accepts succeed before `WouldBlock`. Behind it a
/// further accept finds whoever waits.
#[test]
fn a_crowd_is_let_in_by_growing_shares() {
    let mut world = World::new();
    let _peers: Vec<_> = (0..20).map(|_| TcpStream::connect(world.at).unwrap()).collect();
    for (share, turn) in [1, 2, 4].into_iter().zip(0..) {
        assert_eq!(world.poll(), [event(1, "r")], "turn {turn}");
        for _ in 0..share {
            assert!(world.epoll.accept(world.listener).is_ok(), "turn {turn}");
        }
        assert_eq!(world.epoll.accept(world.listener), Err(WouldBlock), "turn {turn}");
    }
    for left in (0..20 - 7).rev() {
        assert!(world.epoll.accept(world.listener).is_ok(), "{left}");
    }
    for _ in 0..2 {
        assert_eq!(world.epoll.accept(world.listener), Err(WouldBlock), "nobody is left");
        assert_eq!(world.poll_now(), []);
    }
}

/// Whoever cannot accept is not kept from waiting by those who wait: poll by poll.
#[test]
fn a_listener_that_nobody_answers_falls_silent_until_another_comes() {
    let mut world = World::new();
    let _first = TcpStream::connect(world.at).unwrap();
    assert_eq!(world.poll(), [event(1, "r")]);
    for _ in 0..2 {
        assert_eq!(world.poll_now(), [event(1, "r")], "nobody acted: twice more at the most");
    }
    assert_eq!(world.poll_now(), []);
    let _second = TcpStream::connect(world.at).unwrap();
    assert_eq!(world.poll(), [event(1, "r")]);
    assert_eq!(world.poll_now(), []);
    for _ in 0..2 {
        assert!(world.epoll.accept(world.listener).is_ok(), "both wait");
    }
    assert_eq!(world.epoll.accept(world.listener), Err(WouldBlock));
    // From here on as in the beginning.
    let _others = [(); 2].map(|()| TcpStream::connect(world.at).unwrap());
    for _ in 0..2 {
        assert_eq!(world.poll(), [event(1, "r")]);
        assert!(world.epoll.accept(world.listener).is_ok());
    }
    assert_eq!(world.poll_now(), []);
}

/// Where more is ready than a poll reports, the listener has its turn among all others: each time
/// a crowd is let in, or it would wait as long as the others have something to say.
#[test]
fn a_crowd_is_let_in_beside_connections_that_are_always_ready() {
    let mut world = World::new();
    let mut talkers = Vec::new();
    for place in 0..EVENTS_PER_POLL_MAX as u64 + 44 {
        talkers.push(TcpStream::connect(world.at).unwrap());
        world.poll();
        let (io, _) = world.accept();
        world.epoll.register(io, Token::from_u64(100 + place)).unwrap();
    }
    while !world.poll_now().is_empty() {}
    let _crowd: Vec<_> = (0..60).map(|_| TcpStream::connect(world.at).unwrap()).collect();
    let mut came = 0;
    for _ in 0..4 {
        talkers.iter_mut().for_each(|talker| talker.write_all(b"x").unwrap());
        if world.poll_now().contains(&event(1, "r")) {
            while world.epoll.accept(world.listener).is_ok() {
                came += 1;
            }
        }
    }
    assert_eq!(came, 60, "in four polls, of which each second one reports the listener");
}

/// Another process that has the listener too may shut it down: that is told, and not for ever.
#[test]
fn a_listener_that_was_shut_down_falls_silent() {
    let mut world = World::new();
    let twin = world.epoll.descriptor(world.listener).unwrap().try_clone_to_owned().unwrap();
    rustix::net::shutdown(&twin, rustix::net::Shutdown::Read).unwrap();
    let told = (0..10).filter(|_| !world.poll_now().is_empty()).count();
    assert!((1..=3).contains(&told), "{told} of 10 polls");
    assert!(matches!(world.epoll.accept(world.listener), Err(Other(_))));
}

#[test]
fn a_short_read_drains() {
    const { assert!(Epoll::SHORT_READ_DRAINS) };
    let mut world = World::new();
    let (io, mut peer) = world.pair();
    for round in 0..100 {
        peer.write_all(b"abcde").unwrap();
        assert_eq!(world.poll(), [event(2, "rw")], "round {round}");
        assert_eq!(world.read(io, 6).unwrap(), b"abcde");
        // No second read: the promise is that the next byte is an event.
    }
    assert_eq!(world.read(io, 6), Err(WouldBlock));
}

#[test]
fn what_is_ready_before_register_is_reported_after_it() {
    let mut world = World::new();
    let mut peer = TcpStream::connect(world.at).unwrap();
    peer.write_all(b"early").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    world.poll();
    let (io, _) = world.accept();
    world.epoll.register(io, Token::from_u64(2)).unwrap();
    assert_eq!(world.poll(), [event(2, "rwc")]);
}

#[test]
fn a_full_pipe_would_block_until_the_peer_reads() {
    let mut world = World::new();
    let (io, mut peer) = world.pair();
    let data = [b'x'; 65_536];
    let mut sent = 0;
    let full = loop {
        match world.epoll.write(io, &data) {
            Ok(length) => sent += length,
            Err(error) => break error,
        }
    };
    assert_eq!(full, WouldBlock);
    assert_eq!(world.poll_now(), []);
    let mut received = vec![0; sent];
    peer.read_exact(&mut received).unwrap();
    assert_eq!(world.poll(), [event(2, "w")]);
    assert!(world.epoll.write(io, &data).is_ok());
}

/// Head and body in one call, and a part of both when there is no room for more.
#[test]
fn two_places_are_written_as_one() {
    let mut world = World::new();
    let (io, mut peer) = world.pair();
    assert_eq!(world.epoll.write_vectored(io, b"head ", b"body"), Ok(9));
    assert_eq!(world.epoll.write_vectored(io, b"", b" rest"), Ok(5));
    let mut received = [0; 14];
    peer.read_exact(&mut received).unwrap();
    assert_eq!(&received, b"head body rest");

    let body = vec![b'b'; 64 * 1024 * 1024];
    let taken = world.epoll.write_vectored(io, b"head", &body).unwrap();
    assert!((5..4 + body.len()).contains(&taken), "{taken} bytes at once");
    let mut received = vec![0; taken];
    peer.read_exact(&mut received).unwrap();
    assert!(received.starts_with(b"headb") && received.ends_with(b"bb"));
}

#[test]
fn half_a_close_is_not_the_end() {
    let mut world = World::new();
    let (io, mut peer) = world.pair();
    peer.write_all(b"question").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    world.wait_for(|(_, ready)| ready == "rwc");
    assert_eq!(world.read(io, 64).unwrap(), b"question");
    assert_eq!(world.read(io, 64).unwrap(), b"", "CLOSED: there is an end to be read still");
    world.epoll.write(io, b"answer").unwrap();
    world.epoll.close(io);
    assert_eq!(world.epoll.lingering(), 0, "the peer's end was read: a plain close");
    let mut answer = String::new();
    peer.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "answer");
}

#[test]
fn our_half_close_leaves_reading_open() {
    let mut world = World::new();
    let (io, mut peer) = world.pair();
    world.epoll.shutdown(io);
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    peer.write_all(b"still here").unwrap();
    world.wait_for(|_| true);
    assert_eq!(world.read(io, 64).unwrap(), b"still here");
    assert_eq!(kind(world.epoll.write(io, b"x")), Some(ErrorKind::BrokenPipe), "and no SIGPIPE");
}

#[test]
fn a_reset_is_gone() {
    let mut world = World::new();
    let (io, peer) = world.pair();
    reset(peer);
    assert_eq!(world.poll(), [event(2, "rwcg")]);
    assert_eq!(kind(world.read(io, 64)), Some(ErrorKind::ConnectionReset));
    assert_eq!(kind(world.epoll.write(io, b"x")), Some(ErrorKind::BrokenPipe));
}

#[test]
fn abort_resets() {
    let mut world = World::new();
    let (io, mut peer) = world.pair();
    world.epoll.write(io, b"lost").unwrap();
    world.epoll.abort(io);
    let end = peer.read_to_end(&mut Vec::new());
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_number_that_is_used_again_reports_under_its_new_token_alone() {
    // Numbers belong to the process, and other tests may take the one that we gave up.
    for _ in 0..100 {
        let mut world = World::new();
        let (first, mut old_peer) = world.pair();
        let mut peer = TcpStream::connect(world.at).unwrap();
        old_peer.write_all(b"for the dead").unwrap();
        world.epoll.abort(first);
        let (second, _) = world.accept();
        if second != first {
            continue;
        }
        world.epoll.register(second, Token::from_u64(3)).unwrap();
        let events = world.poll();
        assert!(events.contains(&event(3, "w")) && events.iter().all(|it| it.0 != 2), "{events:?}");
        peer.write_all(b"for the living").unwrap();
        assert_eq!(world.poll(), [event(3, "rw")]);
        assert_eq!(world.read(second, 64).unwrap(), b"for the living");
        return;
    }
    panic!("the number never came back");
}

#[test]
fn numbers_that_nobody_has_are_stale() {
    let mut world = World::new();
    for io in [Io(0), Io(999_999), Io(u32::MAX)] {
        assert_eq!(world.epoll.read(io, &mut [0]), Err(Other(Error::STALE)));
        assert_eq!(world.epoll.write(io, b"x"), Err(Other(Error::STALE)));
        assert_eq!(world.epoll.accept(io), Err(Other(Error::STALE)));
        assert_eq!(world.epoll.register(io, Token::from_u64(5)), Err(Error::STALE));
        assert_eq!((world.epoll.peer(io), world.epoll.local(io)), (None, None));
        world.epoll.shutdown(io);
        world.epoll.close(io);
        world.epoll.abort(io);
    }
}

#[test]
fn accepted_connections_inherit_nodelay() {
    let mut world = World::new();
    let (io, _peer) = world.pair();
    let accepted = world.epoll.descriptor(io).unwrap();
    assert!(sockopt::tcp_nodelay(accepted).unwrap());
}

#[test]
fn connect_reports_its_success_as_room_to_write() {
    let mut world = World::new();
    let listener = TcpListener::bind(LOOPBACK).unwrap();
    let io = world.epoll.connect(listener.local_addr().unwrap(), None).unwrap();
    world.epoll.register(io, Token::from_u64(2)).unwrap();
    assert_eq!(world.poll(), [event(2, "w")]);
    let (mut peer, _) = listener.accept().unwrap();
    assert!(sockopt::tcp_nodelay(world.epoll.descriptor(io).unwrap()).unwrap());
    world.epoll.write(io, b"hi").unwrap();
    let mut greeting = [0; 2];
    peer.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting, b"hi");
}

#[test]
fn a_refused_connection_is_gone_and_the_next_read_tells_why() {
    let mut world = World::new();
    let nobody = TcpListener::bind(LOOPBACK).unwrap().local_addr().unwrap();
    let io = world.epoll.connect(nobody, None).unwrap();
    world.epoll.register(io, Token::from_u64(2)).unwrap();
    assert_eq!(world.poll(), [event(2, "rwcg")]);
    assert_eq!(kind(world.read(io, 1)), Some(ErrorKind::ConnectionRefused));
}

#[test]
fn ports_are_shared_unless_told_otherwise() {
    let mut world = World::new();
    assert!(Epoll::new().unwrap().listen(world.at, 4).is_ok());
    let alone = Epoll::new().unwrap().share_ports(false).listen(world.at, 4);
    assert_eq!(alone.map_err(|error| error.kind), Err(ErrorKind::AddrInUse));
    let elsewhere = world.epoll.listen("192.0.2.1:0".parse().unwrap(), 4);
    assert_eq!(elsewhere.map_err(|error| error.kind), Err(ErrorKind::AddrNotAvailable));
}

#[test]
fn ipv6_is_spoken_where_the_kernel_does() {
    let mut world = World::new();
    match TcpListener::bind("[::1]:0") {
        Ok(probe) => {
            drop(probe);
            let listener = world.epoll.listen("[::1]:0".parse().unwrap(), 4).unwrap();
            world.epoll.register(listener, Token::from_u64(2)).unwrap();
            let peer = TcpStream::connect(world.epoll.local(listener).unwrap()).unwrap();
            assert_eq!(world.poll(), [event(2, "r")]);
            assert_eq!(world.epoll.accept(listener).unwrap().1, peer.local_addr().unwrap());
        }
        Err(_) => assert!(world.epoll.listen("[::1]:0".parse().unwrap(), 4).is_err()),
    }
}

#[test]
fn a_wait_ends_at_its_deadline_and_not_before() {
    let mut world = World::new();
    for micros in [1, 300, 1_000, 2_500] {
        let deadline = world.epoll.now() + Duration::from_micros(micros);
        // One wait, not a spin. A doorbell that had another owner may end one early, twice at most.
        let waits = (1..).find(|_| {
            assert_eq!(world.poll_until(Some(deadline)), []);
            world.epoll.now() >= deadline
        });
        let late = world.epoll.now() - deadline;
        assert!(waits <= Some(3), "{micros} us: {waits:?} waits");
        assert!(late.as_micros() < PATIENCE.as_micros() as u64, "{micros} us: {late:?}");
    }
    let before = world.epoll.now();
    assert_eq!(world.poll_until(Some(before)), []);
}

#[test]
fn more_events_than_one_poll_takes_come_with_the_next() {
    let mut world = World::new();
    let waiting = dustdevil_std::epoll::EVENTS_PER_POLL_MAX + 10;
    let mut peers: Vec<_> = (0..waiting).map(|_| world.pair()).collect();
    peers.iter_mut().for_each(|(_, peer)| peer.write_all(b"x").unwrap());
    let mut seen: Vec<u64> = Vec::new();
    while seen.len() < waiting {
        let events = world.poll();
        assert!(!events.is_empty(), "{} of {waiting}", seen.len());
        seen.extend(events.into_iter().map(|(token, _)| token));
    }
    seen.sort_unstable();
    assert_eq!(seen, (2..2 + waiting as u64).collect::<Vec<_>>());
}

#[test]
fn a_number_beyond_the_table_is_out_of_memory() {
    let mut epoll = Epoll::with_descriptors(3).unwrap();
    let refused = epoll.listen(LOOPBACK, 4);
    assert_eq!(refused.map_err(|error| error.kind), Err(ErrorKind::OutOfMemory));
}
