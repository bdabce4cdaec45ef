//! Connections that the stack opens.

use std::net::{Ipv4Addr, SocketAddr};

use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::nb;
use dustdevil_core::poller::{Io, Readiness, Transport};

use crate::frame::{ACK, Arp, FIN, PEER_IP, RST, SYN, Segment};
use crate::scene::{Flow, Scene};

fn at(port: u16) -> SocketAddr {
    SocketAddr::from((PEER_IP, port))
}

/// Starts to connect, and gives the SYN and the number.
fn connect(s: &mut Scene, to: SocketAddr) -> (Io, Segment) {
    let io = s.net.connect(to, None).expect("a socket for it");
    s.register(io);
    s.settle();
    let syn = s.next_segment(100).expect("a SYN");
    assert_eq!((syn.flags, syn.to), (SYN, (PEER_IP, to.port())));
    // From the peer's side it is a flow from its port to the stack's.
    let flow = Flow {
        address: PEER_IP,
        port: syn.from.1,
        seq: 9_000_000,
        ack: syn.seq.wrapping_add(1),
        window: 2_000,
        last: None,
    };
    s.flows.insert(to.port(), flow);
    (io, syn)
}

fn failure(s: &mut Scene, io: Io) -> ErrorKind {
    assert_eq!(s.ready(io), Readiness::ALL);
    match s.read(io, 8) {
        Err(nb::Error::Other(error)) => error.kind,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_connection_is_opened_used_and_closed() {
    let mut s = Scene::new();
    let (io, _) = connect(&mut s, at(7));
    assert_eq!(s.ready(io), Readiness::NONE, "not established yet");
    assert_eq!(s.net.write(io, b"x"), Err(nb::Error::WouldBlock));
    assert_eq!(s.read(io, 8), Err(nb::Error::WouldBlock));
    send!(s, SYN|ACK 7);
    recv!(s, ACK 7);
    assert_eq!(s.ready(io), Readiness::WRITE);
    assert_eq!(s.net.peer(io), Some(at(7)));
    assert_eq!(s.net.local(io).map(|at| at.port()), Some(s.flows[&7].port));
    s.write(io, b"question");
    recv!(s, ACK 7, b"question");
    send!(s, ACK 7, b"answer");
    recv!(s, ACK 7);
    assert_eq!(s.read(io, 100).as_deref(), Ok(&b"answer"[..]));
    s.net.close(io);
    recv!(s, FIN|ACK 7);
    send!(s, FIN|ACK 7);
    recv!(s, ACK 7);
    s.sleep(30_000);
    s.assert_all_back(4);
}

#[test]
fn a_refused_connection_says_so() {
    let mut s = Scene::new();
    let (io, _) = connect(&mut s, at(7));
    send!(s, RST|ACK 7);
    s.settle();
    assert_eq!(failure(&mut s, io), ErrorKind::ConnectionRefused);
    s.net.close(io);
    s.assert_all_back(4);
}

#[test]
fn a_peer_that_does_not_answer_is_a_timeout() {
    let mut s = Scene::new();
    let (io, syn) = connect(&mut s, at(7));
    let mut again = 0;
    for _ in 0..180 {
        s.sleep(1_000);
        while let Some(segment) = s.next_segment(0) {
            if segment.flags == SYN {
                assert_eq!(segment.seq, syn.seq);
                again += 1;
            }
        }
        if s.ready(io) != Readiness::NONE {
            break;
        }
    }
    assert!((2..60).contains(&again), "{again} further SYNs");
    assert_eq!(failure(&mut s, io), ErrorKind::TimedOut);
    s.net.close(io);
    s.assert_all_back(4);
}

/// Nobody has the address: no SYN ever leaves, and the connection fails by the same deadline.
#[test]
fn an_address_that_nobody_has_is_a_timeout() {
    let mut s = Scene::new();
    s.world.answer_arp(false);
    let to = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 77), 7));
    let io = s.net.connect(to, None).expect("a socket for it");
    s.register(io);
    s.sleep(180_000);
    let mut asked = 0;
    while let Some(frame) = s.world.sent() {
        let arp = Arp::parse(&frame).expect("nothing but questions");
        assert_eq!((arp.operation, arp.to.1), (1, Ipv4Addr::new(10, 0, 0, 77)));
        asked += 1;
    }
    assert!((3..200).contains(&asked), "{asked} questions");
    assert_eq!(failure(&mut s, io), ErrorKind::TimedOut);
    s.net.close(io);
    // A RST for it cannot leave either, and is not waited for.
    s.sleep(2_000);
    s.assert_all_back(4);
}

#[test]
fn outgoing_sockets_are_counted_apart_and_come_back() {
    let mut s = Scene::new();
    for round in 0..5 {
        let ports = [7 + 3 * round, 8 + 3 * round];
        let kept = ports.map(|port| connect(&mut s, at(port)).0);
        match s.net.connect(at(1_000), None) {
            Err(error) => assert_eq!(error.kind, ErrorKind::OutOfMemory),
            Ok(io) => panic!("a third of two: {io:?}"),
        }
        // Those who listen are not touched.
        assert_eq!(s.net.free(), 4);
        for (io, port) in kept.into_iter().zip(ports) {
            send!(s, SYN|ACK port);
            recv!(s, ACK port);
            s.net.abort(io);
            recv!(s, RST|ACK port);
        }
        s.assert_all_back(4);
    }
}

#[test]
fn local_ports_differ() {
    let mut s = Scene::new();
    let mut ports = Vec::new();
    for round in 0..30 {
        let (io, syn) = connect(&mut s, at(1_000 + round));
        assert!(syn.from.1 >= 1_024, "{}", syn.from.1);
        ports.push(syn.from.1);
        s.net.abort(io);
        s.settle();
        while s.world.sent().is_some() {}
    }
    ports.sort_unstable();
    ports.dedup();
    assert!(ports.len() >= 28, "{ports:?}");
}

#[test]
fn a_connection_that_is_given_up_while_it_opens_leaves_nothing() {
    let mut s = Scene::new();
    for (round, is_abort) in [true, false, true, false].into_iter().enumerate() {
        let (io, _) = connect(&mut s, at(100 + round as u16));
        if is_abort {
            s.net.abort(io);
        } else {
            s.net.close(io);
        }
        s.sleep(100);
        while s.world.sent().is_some() {}
        s.assert_all_back(4);
    }
}

/// A late SYN|ACK for a connection that was given up is answered with RST, so that the peer knows.
#[test]
fn a_late_answer_is_refused() {
    let mut s = Scene::new();
    let (io, _) = connect(&mut s, at(7));
    s.net.abort(io);
    s.settle();
    while s.world.sent().is_some() {}
    send!(s, SYN|ACK 7);
    let reset = s.next_segment(100).expect("a reset");
    assert_eq!((reset.flags & RST, reset.to.1), (RST, 7));
}

/// Data and FIN in the very segment that is answered.
#[test]
fn a_peer_that_answers_and_closes_at_once_is_read_to_its_end() {
    let mut s = Scene::new();
    let (io, _) = connect(&mut s, at(7));
    send!(s, SYN|ACK 7);
    recv!(s, ACK 7);
    send!(s, FIN|ACK 7, b"go away");
    recv!(s, ACK 7);
    assert!(s.ready(io).contains(Readiness::READ | Readiness::CLOSED));
    assert_eq!(s.read(io, 100).as_deref(), Ok(&b"go away"[..]));
    assert_eq!(s.read(io, 100).as_deref(), Ok(&b""[..]));
    s.net.close(io);
    let fin = recv!(s, FIN|ACK 7);
    assert_eq!(fin.flags & (FIN | ACK), FIN | ACK);
    send!(s, ACK 7);
    s.assert_all_back(4);
}

/// What the world refuses at once.
#[test]
fn addresses_that_are_none_are_refused() {
    let mut s = Scene::new();
    for to in ["[::1]:80", "0.0.0.0:80", "255.255.255.255:80", "224.0.0.1:80", "10.0.0.2:0"] {
        let to: SocketAddr = to.parse().expect("an address");
        match s.net.connect(to, None) {
            Err(_) => {}
            Ok(io) => panic!("{to}: {io:?}"),
        }
    }
    s.assert_all_back(4);
}

#[test]
fn a_source_is_the_own_address_and_an_unused_port() {
    let mut s = Scene::new();
    let own = Ipv4Addr::new(10, 0, 0, 1);
    let kind = |result: Result<Io, dustdevil_core::poller::Error>| result.map_err(|e| e.kind);
    for (source, refusal) in [
        ("10.0.0.9:0", ErrorKind::AddrNotAvailable),
        ("[::]:0", ErrorKind::AddrNotAvailable),
        ("0.0.0.0:80", ErrorKind::AddrInUse),
    ] {
        let source = source.parse().expect("an address");
        assert_eq!(kind(s.net.connect(at(7), Some(source))), Err(refusal), "{source}");
    }
    let source = SocketAddr::from((own, 4_000));
    let io = s.net.connect(at(7), Some(source)).expect("a socket");
    s.settle();
    assert_eq!(s.next_segment(100).expect("a SYN").from, (own, 4_000));
    assert_eq!(kind(s.net.connect(at(8), Some(source))), Err(ErrorKind::AddrInUse));
    s.net.abort(io);
    s.settle();
    while s.world.sent().is_some() {}
    let any = "0.0.0.0:0".parse().expect("an address");
    assert!(s.net.connect(at(8), Some(any)).is_ok());
    assert!(s.net.connect(at(7), Some(source)).is_ok(), "its port is free again");
}

/// Small writes leave at once, unless told to wait for an answer (RFC 9293, 3.7.4); the socket's
/// next connection begins as every one does.
#[test]
fn nagle_is_off_until_it_is_switched_on() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    for data in [b"a", b"b"] {
        s.write(io, data);
        recv!(s, ACK 40_000, data);
    }
    send!(s, ACK 40_000);
    s.settle();
    s.net.set_nodelay(io, false).expect("a connection");
    s.write(io, b"c");
    recv!(s, ACK 40_000, b"c");
    s.write(io, b"d");
    quiet!(s);
    s.net.set_nodelay(io, true).expect("a connection");
    recv!(s, ACK 40_000, b"d");
    s.net.set_nodelay(io, false).expect("a connection");
    s.net.abort(io);
    recv!(s, RST|ACK 40_000);
    for port in 41_000..41_004 {
        let io = s.connected(port);
        for data in [b"a", b"b"] {
            s.write(io, data);
            recv!(s, ACK port, data);
        }
    }
}
