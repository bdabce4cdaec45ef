//! The pool of listening sockets: what is handed out is replenished, what is closed is refused.

use std::net::{Ipv4Addr, SocketAddr};

use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::nb;
use dustdevil_core::poller::{Readiness, Transport};

use crate::frame::{NET_IP, PEER_IP, RST, SYN, Segment};
use crate::scene::{PORT, Scene};

#[test]
fn a_connection_is_accepted_read_written_and_closed() {
    let mut s = Scene::new();
    send!(s, SYN 40_000);
    let syn_ack = recv!(s, SYN|ACK 40_000);
    assert_eq!((syn_ack.mss, syn_ack.window), (Some(1028), 1024));
    assert_eq!(s.ready(s.listener()), Readiness::NONE, "not established yet");
    send!(s, ACK 40_000);
    s.settle();
    assert_eq!(s.ready(s.listener()), Readiness::READ);
    let (io, peer) = s.try_accept().expect("it is established");
    assert_eq!(peer, SocketAddr::from((PEER_IP, 40_000)));
    assert_eq!(s.net.peer(io), Some(peer));
    assert_eq!(s.net.local(io), Some(SocketAddr::from((NET_IP, PORT))));
    s.settle();
    assert!(s.ready(io).contains(Readiness::WRITE), "{:?}", s.ready(io));
    assert!(!s.ready(io).intersects(Readiness::CLOSED | Readiness::GONE), "{:?}", s.ready(io));
    s.clear(io);

    send!(s, PSH|ACK 40_000, b"ping");
    recv!(s, ACK 40_000);
    assert!(s.ready(io).contains(Readiness::READ), "{:?}", s.ready(io));
    assert_eq!(s.read(io, 100).as_deref(), Ok(&b"ping"[..]));
    assert_eq!(s.read(io, 100), Err(nb::Error::WouldBlock));
    s.write(io, b"pong");
    recv!(s, ACK 40_000, b"pong");
    send!(s, ACK 40_000);
    quiet!(s);

    s.net.close(io);
    recv!(s, FIN|ACK 40_000);
    send!(s, FIN|ACK 40_000);
    recv!(s, ACK 40_000);
    quiet!(s, 30_000);
    s.assert_all_back(4);
}

#[test]
fn nobody_waits_at_an_idle_listener() {
    let mut s = Scene::new();
    assert_eq!(s.try_accept().unwrap_err(), nb::Error::WouldBlock);
    s.assert_all_back(4);
    quiet!(s, 1_000);
}

#[test]
fn a_socket_that_is_handed_out_is_replaced_at_once() {
    let mut s = Scene::new();
    // One after the other, all kept: the pool has four.
    let kept: Vec<_> = (40_000..40_004).map(|port| s.connected(port)).collect();
    assert_eq!(s.net.free(), 0);
    for (at, io) in kept.into_iter().enumerate() {
        let port = 40_000 + at as u16;
        s.net.abort(io);
        recv!(s, RST|ACK port);
    }
    s.assert_all_back(4);
    // And all of them serve again.
    for port in 41_000..41_004 {
        s.connected(port);
    }
}

#[test]
fn several_at_once_are_accepted_in_the_order_of_their_handshakes_end() {
    let mut s = Scene::new();
    for port in 40_000..40_004 {
        send!(s, SYN port);
    }
    for port in 40_000..40_004 {
        recv!(s, SYN|ACK port);
    }
    for port in [40_003, 40_000, 40_002, 40_001] {
        send!(s, ACK port);
    }
    let mut accepted: Vec<u16> = (0..4).map(|_| s.accept_port().1).collect();
    accepted.sort_unstable();
    assert_eq!(accepted, [40_000, 40_001, 40_002, 40_003]);
    assert_eq!(s.try_accept().unwrap_err(), nb::Error::WouldBlock);
}

/// Readiness is edge-triggered at most: whoever comes after an accept that said "nobody" is
/// reported again.
#[test]
fn each_newcomer_is_reported() {
    let mut s = Scene::new();
    for port in 40_000..40_004 {
        let listener = s.listener();
        s.clear(listener);
        send!(s, SYN port);
        recv!(s, SYN|ACK port);
        send!(s, ACK port);
        s.settle();
        assert_eq!(s.ready(listener), Readiness::READ, "port {port}");
        s.try_accept().expect("it waits");
        assert_eq!(s.try_accept().unwrap_err(), nb::Error::WouldBlock);
    }
}

#[test]
fn data_that_comes_with_the_last_segment_of_the_handshake_is_reported_after_register() {
    let mut s = Scene::new();
    send!(s, SYN 40_000);
    recv!(s, SYN|ACK 40_000);
    send!(s, PSH|ACK 40_000, b"early");
    send!(s, FIN|ACK 40_000);
    let io = s.accept();
    s.settle();
    let all = Readiness::READ | Readiness::WRITE | Readiness::CLOSED;
    assert_eq!(s.ready(io), all);
    assert_eq!(s.read(io, 100).as_deref(), Ok(&b"early"[..]));
    assert_eq!(s.read(io, 100).as_deref(), Ok(&b""[..]));
}

#[test]
fn a_connection_that_died_before_it_was_accepted_is_skipped() {
    let mut s = Scene::new();
    for port in [40_000, 40_001] {
        send!(s, SYN port);
        recv!(s, SYN|ACK port);
        send!(s, ACK port);
    }
    s.settle();
    send!(s, RST|ACK 40_000);
    s.settle();
    assert_eq!(s.accept_port().1, 40_001);
    assert_eq!(s.try_accept().unwrap_err(), nb::Error::WouldBlock);
    s.settle();
    assert_eq!(s.net.free(), 3);
}

/// A handshake that is never completed: the socket comes back, whatever the peer does.
#[test]
fn a_half_open_connection_does_not_hold_its_socket_for_ever() {
    let mut s = Scene::new();
    for port in 40_000..40_004 {
        send!(s, SYN port);
        recv!(s, SYN|ACK port);
    }
    assert_eq!(s.net.free(), 0);
    s.sleep(120_000);
    while s.world.sent().is_some() {}
    assert_eq!(s.net.free(), 4, "SYN and nothing more, two minutes ago");
    s.connected(41_000);
}

#[test]
fn a_half_open_connection_that_is_reset_gives_its_socket_back_at_once() {
    let mut s = Scene::new();
    for port in 40_000..40_004 {
        send!(s, SYN port);
        recv!(s, SYN|ACK port);
        send!(s, RST port);
    }
    s.assert_all_back(4);
    assert_eq!(s.try_accept().unwrap_err(), nb::Error::WouldBlock);
}

#[test]
fn a_port_where_nobody_listens_refuses() {
    let mut s = Scene::new();
    send!(s, SYN 40_000);
    recv!(s, SYN|ACK 40_000);
    let syn = Segment {
        from: (PEER_IP, 40_001),
        to: (NET_IP, 81),
        flags: SYN,
        seq: 5_000,
        ack: 0,
        window: 1_000,
        mss: None,
        data: Vec::new(),
    };
    s.world.send(&syn.frame());
    let reset = s.next_segment(100).expect("an answer");
    assert_eq!((reset.flags & RST, reset.to.1, reset.ack), (RST, 40_001, 5_001));
    assert_eq!(s.net.held(), 0);
    quiet!(s);
}

/// With every socket taken too: it is the port that decides, not the want of a socket.
#[test]
fn a_port_where_nobody_listens_refuses_under_pressure() {
    let mut s = Scene::new();
    for port in 40_000..40_004 {
        s.connected(port);
    }
    s.flow_to(40_010, 81);
    send!(s, SYN 40_010);
    recv!(s, RST|ACK 40_010);
    assert_eq!(s.net.held(), 0);
}

#[test]
fn segments_of_no_connection_are_reset_and_resets_are_not() {
    let mut s = Scene::new();
    send!(s, ACK 40_000, b"who are you");
    recv!(s, RST 40_000);
    send!(s, FIN|ACK 40_001);
    recv!(s, RST 40_001);
    send!(s, RST 40_002);
    send!(s, RST|ACK 40_003);
    quiet!(s);
    s.assert_all_back(4);
}

#[test]
fn a_request_for_another_address_is_nobodys() {
    let mut s = Scene::new();
    for to in [Ipv4Addr::new(10, 0, 0, 77), Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::BROADCAST] {
        let syn = Segment {
            from: (PEER_IP, 40_001),
            to: (to, PORT),
            flags: SYN,
            seq: 5_000,
            ack: 0,
            window: 1_000,
            mss: None,
            data: Vec::new(),
        };
        s.world.send(&syn.frame());
        s.settle();
        assert_eq!((s.net.free(), s.net.held()), (4, 0), "{to}");
    }
    assert_eq!(s.world.counts().resets, 0);
}

#[test]
fn two_listeners_share_the_pool_and_answer_for_their_own_ports() {
    let mut s = Scene::new();
    let second = s.net.listen(SocketAddr::from((NET_IP, 8080)), 8).expect("another port");
    s.register(second);
    s.settle();
    s.flow_to(40_001, 8080);
    send!(s, SYN 40_001);
    recv!(s, SYN|ACK 40_001);
    send!(s, ACK 40_001);
    s.settle();
    assert_eq!(s.ready(second), Readiness::READ);
    assert_eq!(s.ready(s.listener()), Readiness::NONE);
    assert_eq!(s.try_accept().unwrap_err(), nb::Error::WouldBlock);
    let (io, peer) = s.net.accept(second).expect("it waits");
    assert_eq!(peer.port(), 40_001);
    s.register(io);
    s.connected(40_000);
    // Closed, its port refuses, and the other one goes on.
    s.net.close(second);
    s.settle();
    s.flow_to(40_002, 8080);
    send!(s, SYN 40_002);
    recv!(s, RST|ACK 40_002);
    s.connected(40_003);
}

#[test]
fn a_port_that_is_taken_is_refused() {
    let mut s = Scene::new();
    let error = s.net.listen(SocketAddr::from((NET_IP, PORT)), 8).unwrap_err();
    assert_eq!(error.kind, ErrorKind::AddrInUse);
    let at = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 77), 81));
    if let Err(error) = s.net.listen(at, 8) {
        assert_eq!(error.kind, ErrorKind::AddrNotAvailable);
    }
}

/// A closed listener: nobody gets in, those who are in stay, and the port is free again.
#[test]
fn a_listener_ends_and_comes_back() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    send!(s, SYN 40_001);
    recv!(s, SYN|ACK 40_001);
    send!(s, ACK 40_001);
    s.settle();
    let listener = s.listener();
    s.net.close(listener);
    s.settle();
    // The one who waited to be accepted learns that nobody will come.
    let end = s.next_segment(100).expect("a sign to the one who waited");
    assert_eq!(end.to.1, 40_001);
    send!(s, SYN 40_002);
    recv!(s, RST|ACK 40_002);
    send!(s, ACK 40_000, b"still here");
    recv!(s, ACK 40_000);
    assert_eq!(s.read(io, 100).as_deref(), Ok(&b"still here"[..]));
    let again = s.net.listen(SocketAddr::from((NET_IP, PORT)), 8).expect("the port is free");
    s.register(again);
    s.listener = Some(again);
    s.connected(40_003);
}

#[test]
fn the_listener_says_where_it_listens() {
    let s = Scene::new();
    assert_eq!(s.net.local(s.listener()).map(|at| at.port()), Some(PORT));
    assert_eq!(s.net.peer(s.listener()), None);
}
