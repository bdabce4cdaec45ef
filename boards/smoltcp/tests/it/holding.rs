//! SYN hold: more peers than sockets, and none of them is refused.

use std::net::Ipv4Addr;

use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::nb;
use dustdevil_core::poller::{Io, Readiness, Transport};
use dustdevil_core::time::{Duration, Instant};
use dustdevil_smoltcp::net::{CLOSE_PRESSED, HALF_OPEN_PRESSED, REQUESTS_HELD_MAX};

use crate::frame::{NET_IP, PEER_IP, SYN, Segment};
use crate::scene::{PORT, Scene};

/// Who waits does so for seconds at most.
const _: () = assert!(HALF_OPEN_PRESSED.as_micros() <= 2_000_000);
const _: () = assert!(CLOSE_PRESSED.as_micros() <= 5_000_000);

/// Every socket taken by an accepted connection from ports 40,000 to 40,003.
fn full() -> (Scene, Vec<Io>) {
    let mut s = Scene::new();
    let kept = (40_000..40_004).map(|port| s.connected(port)).collect();
    assert_eq!(s.try_accept().unwrap_err(), nb::Error::WouldBlock);
    let listener = s.listener();
    s.clear(listener);
    (s, kept)
}

/// Ends an accepted connection with a RST, which needs nothing of its peer.
fn abort(s: &mut Scene, io: Io, port: u16) {
    s.net.abort(io);
    recv!(s, RST|ACK port);
}

#[test]
fn sixteen_at_once_on_four_sockets_are_all_served_and_none_is_reset() {
    let mut s = Scene::new();
    for port in 40_000..40_016 {
        send!(s, SYN port);
    }
    let mut served = Vec::new();
    // Four handshakes, in some order; then the next four as sockets come free.
    while served.len() < 16 {
        let segment = s.next_segment(100).expect("somebody is answered");
        assert_eq!(segment.flags & !crate::frame::PSH, SYN | crate::frame::ACK, "{segment:?}");
        let port = segment.to.1;
        let flow = s.flows.get_mut(&port).expect("one of the sixteen");
        flow.ack = segment.seq.wrapping_add(1);
        assert_eq!(segment.ack, flow.seq);
        send!(s, ACK port, b"hello");
        recv_acks(&mut s, port);
        let (io, accepted) = s.accept_port();
        assert_eq!(accepted, port);
        assert_eq!(s.read(io, 100).as_deref(), Ok(&b"hello"[..]));
        s.write(io, b"bye");
        s.net.close(io);
        s.settle();
        finish(&mut s, port);
        served.push(port);
    }
    served.sort_unstable();
    assert_eq!(served, (40_000..40_016).collect::<Vec<_>>());
    assert_eq!(s.world.counts().resets, 0);
    s.sleep(30_000);
    s.assert_all_back(4);
}

/// Lets the stack acknowledge, and puts what belongs to other ports back.
fn recv_acks(s: &mut Scene, port: u16) {
    s.sleep(15);
    let mut others = Vec::new();
    while let Some(frame) = s.world.sent() {
        let segment = Segment::parse(&frame).expect("a segment");
        if segment.to.1 != port {
            others.push(frame);
        }
    }
    s.world.unsend(others);
}

/// Plays the peer of a connection that the stack closes after three bytes.
fn finish(s: &mut Scene, port: u16) {
    let flow = s.flows.get_mut(&port).expect("it was opened");
    flow.ack = flow.ack.wrapping_add(4);
    send!(s, FIN|ACK port);
    recv_acks(s, port);
}

#[test]
fn a_request_is_held_and_served_when_a_socket_comes_free() {
    let (mut s, kept) = full();
    send!(s, SYN 41_000);
    quiet!(s);
    assert_eq!(s.net.held(), 1);
    abort(&mut s, kept[0], 40_000);
    recv!(s, SYN|ACK 41_000);
    assert_eq!(s.net.held(), 0);
    send!(s, ACK 41_000);
    assert_eq!(s.accept_port().1, 41_000);
}

/// What the driver needs to see: somebody waits, and there is no handle for it. The listener's bit
/// is not disproved by that.
#[test]
fn a_newly_held_request_raises_read_on_the_listener() {
    let (mut s, kept) = full();
    send!(s, SYN 41_000);
    s.settle();
    let listener = s.listener();
    assert_eq!(s.ready(listener), Readiness::READ);
    match s.try_accept() {
        Err(nb::Error::Other(error)) => assert_eq!(error.kind, ErrorKind::OutOfMemory),
        other => panic!("{other:?}"),
    }
    // Each further one does so too.
    s.clear(listener);
    send!(s, SYN 41_001);
    s.settle();
    assert_eq!(s.ready(listener), Readiness::READ);
    // And it is reported when there is one to be accepted at last.
    s.clear(listener);
    abort(&mut s, kept[0], 40_000);
    recv!(s, SYN|ACK 41_000);
    send!(s, ACK 41_000);
    s.settle();
    assert_eq!(s.ready(listener), Readiness::READ);
    assert_eq!(s.accept_port().1, 41_000);
}

/// A socket that is being closed will do for one of those who wait: nobody has to be shed for it.
#[test]
fn who_lingers_is_counted_for_one_who_waits() {
    let (mut s, kept) = full();
    s.write(kept[0], b"not acknowledged yet");
    s.net.close(kept[0]);
    send!(s, SYN 41_000);
    s.settle();
    assert_eq!((s.net.held(), s.net.lingering()), (1, 1));
    assert_eq!(s.try_accept().unwrap_err(), nb::Error::WouldBlock);
    send!(s, SYN 41_001);
    s.settle();
    assert_eq!(s.ready(s.listener()), Readiness::READ);
    match s.try_accept() {
        Err(nb::Error::Other(error)) => assert_eq!(error.kind, ErrorKind::OutOfMemory),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_retransmitted_request_is_not_held_twice() {
    let (mut s, kept) = full();
    send!(s, SYN 41_000);
    s.settle();
    for _ in 0..30 {
        s.send_again(41_000);
        s.settle();
    }
    assert_eq!(s.net.held(), 1);
    send!(s, SYN 41_001);
    s.settle();
    assert_eq!(s.net.held(), 2);
    abort(&mut s, kept[0], 40_000);
    recv!(s, SYN|ACK 41_000);
    send!(s, ACK 41_000);
    abort(&mut s, kept[1], 40_001);
    recv!(s, SYN|ACK 41_001);
    quiet!(s);
    assert_eq!(s.net.held(), 0);
}

/// The same port of another peer is another flow, and so is another port of the same one.
#[test]
fn flows_differ_by_address_and_port() {
    let (mut s, _) = full();
    send!(s, SYN 41_000);
    let other = Segment {
        from: (Ipv4Addr::new(10, 0, 0, 3), 41_000),
        ..s.flows[&41_000].last.clone().expect("just sent")
    };
    s.world.send(&other.frame());
    send!(s, SYN 41_001);
    s.settle();
    assert_eq!(s.net.held(), 3);
    quiet!(s);
}

/// A peer that gave up and begins anew from the same port has chosen another number: the old one
/// would be answered, and the peer would reset what it does not know.
#[test]
fn the_newest_request_of_a_flow_is_the_one_that_counts() {
    let (mut s, kept) = full();
    send!(s, SYN 41_000);
    s.settle();
    send!(s, SYN 41_000);
    s.settle();
    assert_eq!(s.net.held(), 1);
    abort(&mut s, kept[0], 40_000);
    // `recv!` compares the acknowledgement with the newest number.
    recv!(s, SYN|ACK 41_000);
    send!(s, ACK 41_000);
    assert_eq!(s.accept_port().1, 41_000);
}

#[test]
fn beyond_the_hold_requests_vanish_and_are_served_when_they_come_again() {
    let (mut s, kept) = full();
    for port in 41_000..41_000 + REQUESTS_HELD_MAX as u16 + 20 {
        send!(s, SYN port);
    }
    quiet!(s);
    assert_eq!(s.net.held(), REQUESTS_HELD_MAX);
    assert_eq!(s.world.counts().resets, 0);
    // Those who are in the hold come first, in their order; then those who try again.
    for (at, io) in kept.into_iter().enumerate() {
        abort(&mut s, io, 40_000 + at as u16);
        let port = 41_000 + at as u16;
        recv!(s, SYN|ACK port);
    }
    assert_eq!(s.net.held(), REQUESTS_HELD_MAX - 4);
    s.send_again(41_025);
    s.settle();
    assert_eq!(s.net.held(), REQUESTS_HELD_MAX - 3);
}

#[test]
fn a_reset_takes_a_held_request_back() {
    let (mut s, kept) = full();
    send!(s, SYN 41_000);
    send!(s, SYN 41_001);
    s.settle();
    assert_eq!(s.net.held(), 2);
    send!(s, RST 41_000);
    s.settle();
    assert_eq!(s.net.held(), 1);
    abort(&mut s, kept[0], 40_000);
    recv!(s, SYN|ACK 41_001);
    quiet!(s);
}

/// Who sent it has long given up: it is not answered after minutes, and its place is free.
#[test]
fn a_held_request_is_forgotten_after_a_while() {
    let (mut s, kept) = full();
    send!(s, SYN 41_000);
    s.settle();
    s.sleep(60_000);
    assert_eq!(s.net.held(), 0);
    abort(&mut s, kept[0], 40_000);
    quiet!(s, 1_000);
    assert_eq!(s.net.free(), 1);
}

/// Forgotten in time, though nothing comes to wake the poller.
#[test]
fn the_end_of_a_hold_wakes_the_poller() {
    let (mut s, _) = full();
    send!(s, SYN 41_000);
    s.settle();
    s.world.take_waits();
    s.poll_for(Some(Duration::from_secs(3_600)));
    let waits = s.world.take_waits();
    assert_eq!(waits.len(), 2, "{waits:?}");
    assert!(waits[0].ended - waits[0].began <= 60_000_000, "{waits:?}");
    assert_eq!(s.net.held(), 0);
}

#[test]
fn a_request_that_is_damaged_takes_nobodys_place() {
    let (mut s, kept) = full();
    send!(s, SYN 41_000);
    s.settle();
    let good = s.flows[&41_000].last.clone().expect("just sent").frame();
    // A hold that is full of noise refuses those who mean it.
    for at in 0..200_usize {
        let mut frame = good.clone();
        frame[14 + 20 + 4 + at % 4] ^= 1 + at as u8;
        frame[14 + 20] ^= at as u8;
        s.world.send(&frame);
    }
    let listener = s.listener();
    s.settle();
    s.clear(listener);
    assert_eq!(s.net.held(), 1, "the one whose checksum is right");
    abort(&mut s, kept[0], 40_000);
    recv!(s, SYN|ACK 41_000);
}

/// A damaged copy of a request that comes before the good one must not stand for it.
#[test]
fn a_good_request_after_a_damaged_one_is_served() {
    let (mut s, kept) = full();
    let syn = Segment {
        from: (PEER_IP, 41_000),
        to: (NET_IP, PORT),
        flags: SYN,
        seq: 41_000_000,
        ack: 0,
        window: 4_096,
        mss: Some(1460),
        data: Vec::new(),
    };
    let mut frame = syn.frame();
    frame[14 + 20 + 14] ^= 0x40;
    s.world.send(&frame);
    s.settle();
    send!(s, SYN 41_000);
    s.settle();
    abort(&mut s, kept[0], 40_000);
    recv!(s, SYN|ACK 41_000);
}

/// To another station, to another address, to everybody: nothing of that is held.
#[test]
fn only_what_is_for_the_stack_is_held() {
    let (mut s, _) = full();
    send!(s, SYN 41_000);
    s.settle();
    let good = s.flows[&41_000].last.clone().expect("just sent");
    let others = Segment { from: (PEER_IP, 41_001), ..good.clone() };
    let mut frame = others.frame();
    frame[5] ^= 0x10;
    s.world.send(&frame);
    let to = (Ipv4Addr::new(10, 0, 0, 99), PORT);
    s.world.send(&Segment { from: (PEER_IP, 41_002), to, ..good.clone() }.frame());
    s.world.send(&Segment { from: (PEER_IP, 41_003), to: (NET_IP, 81), ..good }.frame());
    s.settle();
    assert_eq!(s.net.held(), 1);
}

/// The peer's other signs for a flow that is held: an ACK of nothing is refused as ever, and the
/// request stays.
#[test]
fn connections_go_on_while_requests_are_held() {
    let (mut s, kept) = full();
    for port in 41_000..41_006 {
        send!(s, SYN port);
    }
    s.settle();
    for (at, &io) in kept.iter().enumerate() {
        let port = 40_000 + at as u16;
        send!(s, ACK port, b"question");
        recv!(s, ACK port);
        assert_eq!(s.read(io, 100).as_deref(), Ok(&b"question"[..]));
        s.write(io, b"answer");
        recv!(s, ACK port, b"answer");
        send!(s, ACK port);
    }
    assert_eq!(s.net.held(), 6);
}

/// A socket that comes free while a request is held is used at once: with nothing else to wake it,
/// the stack must not sleep on it. (It would be a hang: the peer has nothing more to say.)
#[test]
fn a_socket_that_comes_free_ends_the_wait() {
    let (mut s, kept) = full();
    send!(s, SYN 41_000);
    s.settle();
    assert_eq!(s.net.held(), 1);
    // The peer of a connection goes; its socket is free when the owner closes it. From here on the
    // stack acts by itself, and must answer before it waits.
    send!(s, RST 40_002);
    s.settle();
    assert!(s.ready(kept[2]).contains(Readiness::GONE));
    let began = s.world.now();
    s.net.close(kept[2]);
    s.poll_for(Some(Duration::from_secs(60)));
    assert_eq!(s.world.sent_at(), Some(began), "it waited with a request held and a socket free");
    recv!(s, SYN|ACK 41_000);
}

/// The next segment for this port, and when it was sent; what is for others is thrown away.
fn answer_for(s: &mut Scene, port: u16) -> (Segment, Instant) {
    for _ in 0..1_000 {
        if let Some(segment) = s.next_segment(10).filter(|segment| segment.to.1 == port) {
            return (segment, s.world.now());
        }
    }
    panic!("no answer for port {port}");
}

/// SYNs from addresses that nobody has take every socket, and none is ever completed: whoever means
/// it waits for a second, not for the time that a slow peer is granted.
#[test]
fn invented_addresses_do_not_keep_others_out() {
    let mut s = Scene::new();
    send!(s, SYN 41_000);
    recv!(s, SYN|ACK 41_000);
    let invented = s.flows[&41_000].last.clone().expect("just sent");
    send!(s, RST 41_000);
    s.settle();
    for round in 0..5 {
        for number in 0..4 {
            let from = (Ipv4Addr::new(10, 0, 0, 100 + number), 41_000 + round);
            s.world.send(&Segment { from, ..invented.clone() }.frame());
        }
        s.settle();
        while s.world.sent().is_some() {}
        assert_eq!(s.net.free(), 0);
        let (port, began) = (42_000 + round, s.world.now());
        send!(s, SYN port);
        s.settle();
        assert_eq!(s.net.held(), 1);
        // The stack may say SYN|ACK to those who are not there, as often as it likes.
        let (answered, at) = answer_for(&mut s, port);
        assert_eq!(answered.flags, SYN | crate::frame::ACK);
        assert!(at <= began + HALF_OPEN_PRESSED + Duration::from_millis(10), "round {round}");
        s.flows.get_mut(&port).expect("just sent").ack = answered.seq.wrapping_add(1);
        send!(s, ACK port);
        let io = s.accept();
        s.net.abort(io);
        s.sleep(30_000);
        while s.world.sent().is_some() {}
        s.assert_all_back(4);
    }
}

/// The same with peers that vanished while the stack was closing.
#[test]
fn peers_that_vanish_do_not_keep_others_out() {
    let (mut s, kept) = full();
    let closed_at = s.world.now();
    for io in kept {
        s.write(io, b"is anybody there");
        s.net.close(io);
        s.settle();
    }
    while s.world.sent().is_some() {}
    s.sleep(100);
    send!(s, SYN 41_000);
    let (_, at) = answer_for(&mut s, 41_000);
    assert!(at <= closed_at + CLOSE_PRESSED + Duration::from_millis(10), "not even for the RST");
}

/// Port 0 is nobody's, with and without a free socket.
#[test]
fn a_request_for_port_zero_takes_nothing() {
    for is_full in [false, true] {
        let mut s = if is_full { full().0 } else { Scene::new() };
        for port in 41_000..41_020 {
            s.flow_to(port, 0);
            send!(s, SYN port);
            s.settle();
        }
        assert_eq!((s.net.free(), s.net.held()), (if is_full { 0 } else { 4 }, 0));
        s.sleep(30_000);
        while s.world.sent().is_some() {}
        assert_eq!(s.net.free(), if is_full { 0 } else { 4 });
    }
}

/// The sockets of connections in TIME-WAIT and FIN-WAIT-2 are given to those who wait.
#[test]
fn held_requests_take_the_sockets_of_those_who_linger() {
    let (mut s, kept) = full();
    // The stack closes first; the peer answers: TIME-WAIT.
    s.net.close(kept[0]);
    recv!(s, FIN|ACK 40_000);
    send!(s, FIN|ACK 40_000);
    recv!(s, ACK 40_000);
    // The peer only acknowledges: FIN-WAIT-2.
    s.net.close(kept[1]);
    recv!(s, FIN|ACK 40_001);
    send!(s, ACK 40_001);
    s.settle();
    send!(s, SYN 41_000);
    recv!(s, SYN|ACK 41_000);
    send!(s, ACK 41_000);
    assert_eq!(s.accept_port().1, 41_000);
    send!(s, SYN 41_001);
    recv!(s, SYN|ACK 41_001);
    assert_eq!(s.net.held(), 0);
}
