//! How connections end: by either side, in good order or not, with peers that vanish.

use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::nb;
use dustdevil_core::poller::{Readiness, Transport};
use dustdevil_core::time::Duration;

use crate::frame::{ACK, FIN, RST};
use crate::scene::{SMALL, STATIC, Scene};

const CLOSED: Readiness = Readiness::CLOSED;
const GONE: Readiness = Readiness::GONE;

#[test]
fn what_was_written_just_before_close_arrives_and_then_fin() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    s.write(io, b"the last words");
    s.net.close(io);
    s.settle();
    let segment = s.next_segment(100).expect("data");
    assert_eq!(segment.data, b"the last words");
    let flow = s.flows.get_mut(&40_000).expect("it was opened");
    flow.ack = flow.ack.wrapping_add(14);
    if segment.flags & FIN == 0 {
        recv!(s, FIN|ACK 40_000);
    } else {
        s.flows.get_mut(&40_000).expect("it was opened").ack += 1;
    }
    send!(s, ACK 40_000);
    quiet!(s);
    send!(s, FIN|ACK 40_000);
    recv!(s, ACK 40_000);
    s.sleep(30_000);
    s.assert_all_back(4);
}

/// More than the peer's window takes: the poller lingers until all of it is there.
#[test]
fn a_full_send_buffer_is_delivered_after_close() {
    let mut s = Scene::new();
    send!(s, SYN 40_000);
    recv!(s, SYN|ACK 40_000);
    s.flows.get_mut(&40_000).expect("it was opened").window = 100;
    send!(s, ACK 40_000);
    let io = s.accept();
    let data: Vec<u8> = (0..1_024).map(|at| at as u8).collect();
    s.write(io, &data);
    s.net.close(io);
    let mut got: Vec<u8> = Vec::new();
    loop {
        let segment = s.next_segment(3_000).expect("the rest");
        assert!(segment.data.len() <= 100, "within the window");
        got.extend(&segment.data);
        let flow = s.flows.get_mut(&40_000).expect("it was opened");
        assert_eq!(segment.seq, flow.ack);
        let fin = u32::from(segment.flags & FIN != 0);
        flow.ack = flow.ack.wrapping_add(segment.data.len() as u32 + fin);
        send!(s, ACK 40_000);
        if fin == 1 {
            break;
        }
    }
    assert_eq!(got, data);
    send!(s, FIN|ACK 40_000);
    recv!(s, ACK 40_000);
}

#[test]
fn unread_input_at_close_does_not_reset_what_the_peer_has_yet_to_read() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    send!(s, ACK 40_000, b"a body that nobody reads");
    recv!(s, ACK 40_000);
    s.write(io, b"413");
    s.net.close(io);
    s.settle();
    let mut got: Vec<u8> = Vec::new();
    while let Some(segment) = s.next_segment(50) {
        assert_eq!(segment.flags & RST, 0, "{segment:?}");
        got.extend(&segment.data);
        let flow = s.flows.get_mut(&40_000).expect("it was opened");
        let fin = u32::from(segment.flags & FIN != 0);
        flow.ack = segment.seq.wrapping_add(segment.data.len() as u32 + fin);
        if fin == 1 {
            break;
        }
    }
    assert_eq!(got, b"413");
    // The peer goes on sending, more than any buffer holds: it is acknowledged and thrown away.
    for _ in 0..40 {
        send!(s, ACK 40_000, [b'x'; 200]);
        s.sleep(15);
        while let Some(segment) = s.next_segment(0) {
            assert_eq!(segment.flags & RST, 0, "{segment:?}");
            assert_eq!(segment.ack, s.flows[&40_000].seq, "it keeps up: {segment:?}");
            assert!(segment.window >= 200, "the window stays open: {segment:?}");
        }
    }
    send!(s, FIN|ACK 40_000);
    recv!(s, ACK 40_000);
    s.sleep(30_000);
    s.assert_all_back(4);
    assert_eq!(s.world.counts().resets, 0);
}

#[test]
fn a_peer_that_closes_first_leaves_nothing_behind() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    s.clear(io);
    send!(s, FIN|ACK 40_000);
    recv!(s, ACK 40_000);
    let ready = s.ready(io);
    assert!(ready.contains(Readiness::READ | CLOSED), "{ready:?}");
    assert!(!ready.intersects(GONE), "{ready:?}");
    assert_eq!(s.read(io, 8).as_deref(), Ok(&b""[..]));
    assert_eq!(s.read(io, 8).as_deref(), Ok(&b""[..]), "the end stays the end");
    s.net.close(io);
    recv!(s, FIN|ACK 40_000);
    send!(s, ACK 40_000);
    s.assert_all_back(4);
}

#[test]
fn half_closed_the_stack_goes_on_sending() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    send!(s, FIN|ACK 40_000, b"question");
    recv!(s, ACK 40_000);
    assert_eq!(s.read(io, 100).as_deref(), Ok(&b"question"[..]));
    assert_eq!(s.read(io, 100).as_deref(), Ok(&b""[..]));
    for _ in 0..5 {
        s.sleep(500);
        s.write(io, b"answer");
        recv!(s, ACK 40_000, b"answer");
        send!(s, ACK 40_000);
        s.settle();
    }
    s.net.close(io);
    recv!(s, FIN|ACK 40_000);
    send!(s, ACK 40_000);
    s.assert_all_back(4);
}

#[test]
fn shutdown_ends_one_direction_and_reading_goes_on() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    s.write(io, b"all I have");
    s.net.shutdown(io);
    s.settle();
    let mut got: Vec<u8> = Vec::new();
    loop {
        let segment = s.next_segment(50).expect("data and FIN");
        got.extend(&segment.data);
        let flow = s.flows.get_mut(&40_000).expect("it was opened");
        let fin = u32::from(segment.flags & FIN != 0);
        flow.ack = segment.seq.wrapping_add(segment.data.len() as u32 + fin);
        if fin == 1 {
            break;
        }
    }
    assert_eq!(got, b"all I have");
    send!(s, ACK 40_000);
    assert!(matches!(s.net.write(io, b"more"), Err(nb::Error::Other(_))), "after shutdown");
    // The peer may take its time: this is no lingering socket.
    s.sleep(100_000);
    s.clear(io);
    send!(s, ACK 40_000, b"the answer");
    recv!(s, ACK 40_000);
    assert!(s.ready(io).contains(Readiness::READ));
    assert_eq!(s.read(io, 100).as_deref(), Ok(&b"the answer"[..]));
    send!(s, FIN|ACK 40_000);
    recv!(s, ACK 40_000);
    assert!(s.ready(io).contains(CLOSED));
    assert_eq!(s.read(io, 100).as_deref(), Ok(&b""[..]));
    s.net.close(io);
    s.sleep(30_000);
    s.assert_all_back(4);
}

#[test]
fn a_reset_is_gone_and_fin_is_closed() {
    let mut s = Scene::new();
    let (dead, done) = (s.connected(40_000), s.connected(40_001));
    send!(s, RST|ACK 40_000);
    send!(s, FIN|ACK 40_001);
    recv!(s, ACK 40_001);
    assert_eq!(s.ready(dead), Readiness::ALL);
    assert!(s.ready(done).contains(CLOSED) && !s.ready(done).intersects(GONE));
    match s.read(dead, 8) {
        Err(nb::Error::Other(error)) => assert_eq!(error.kind, ErrorKind::ConnectionReset),
        other => panic!("{other:?}"),
    }
    assert!(matches!(s.net.write(dead, b"x"), Err(nb::Error::Other(_))));
    s.net.close(dead);
    s.net.abort(done);
    recv!(s, RST|ACK 40_001);
    s.assert_all_back(4);
}

/// Data that came before a FIN is read before the end; GONE comes later if a RST follows.
#[test]
fn a_reset_after_fin_is_gone_too() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    send!(s, FIN|ACK 40_000, b"bye");
    recv!(s, ACK 40_000);
    assert!(!s.ready(io).intersects(GONE));
    send!(s, RST|ACK 40_000);
    s.settle();
    assert_eq!(s.ready(io), Readiness::ALL);
    s.net.close(io);
    s.assert_all_back(4);
}

#[test]
fn abort_sends_a_reset_and_the_socket_listens_again() {
    let mut s = Scene::new();
    for round in 0..20 {
        let port = 40_000 + round;
        let io = s.connected(port);
        s.write(io, b"never mind");
        s.net.abort(io);
        s.settle();
        let mut last = None;
        while let Some(segment) = s.next_segment(0) {
            last = Some(segment);
        }
        assert_eq!(last.expect("a reset").flags & RST, RST);
        s.assert_all_back(4);
    }
}

/// TIME-WAIT: two of them at each of the four sockets, and nobody waits ten seconds.
#[test]
fn time_wait_holds_nobody_up() {
    let mut s = Scene::new();
    for port in 40_000..40_012 {
        let io = s.connected(port);
        s.net.close(io);
        recv!(s, FIN|ACK port);
        send!(s, FIN|ACK port);
        recv!(s, ACK port);
    }
    s.sleep(30_000);
    s.assert_all_back(4);
    assert_eq!(s.world.counts().resets, 0);
}

/// The same peer port again while its old connection is in TIME-WAIT.
#[test]
fn a_new_connection_from_a_port_in_time_wait_is_served() {
    let mut s = Scene::new();
    for _ in 0..10 {
        let io = s.connected(40_000);
        s.net.close(io);
        recv!(s, FIN|ACK 40_000);
        send!(s, FIN|ACK 40_000);
        recv!(s, ACK 40_000);
    }
}

/// FIN-WAIT-2: smoltcp has no deadline of its own for it.
#[test]
fn a_silent_peer_does_not_hold_a_closed_socket_for_ever() {
    let mut s = Scene::new();
    for port in 40_000..40_003 {
        let io = s.connected(port);
        s.net.close(io);
        recv!(s, FIN|ACK port);
        send!(s, ACK port);
        s.settle();
    }
    assert_eq!(s.net.lingering(), 3);
    s.sleep(60_000);
    while s.world.sent().is_some() {}
    s.assert_all_back(4);
}

/// The end of that wait is the poller's own: nothing else comes to wake it.
#[test]
fn the_end_of_lingering_wakes_the_poller() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    s.net.close(io);
    recv!(s, FIN|ACK 40_000);
    send!(s, ACK 40_000);
    s.settle();
    s.world.take_waits();
    s.poll_for(Some(Duration::from_secs(3_600)));
    let waits = s.world.take_waits();
    assert!((2..=4).contains(&waits.len()), "{waits:?}");
    assert!(waits[0].ended - waits[0].began <= 60_000_000, "{waits:?}");
    assert_eq!((s.net.free(), s.net.lingering()), (4, 0));
}

/// The peer's machine is gone while data and FIN are on their way: retransmissions end.
#[test]
fn a_peer_that_vanishes_while_the_stack_closes_is_given_up() {
    let mut s = Scene::new();
    for port in 40_000..40_004 {
        let io = s.connected(port);
        s.write(io, b"is anybody there");
        s.net.close(io);
        s.settle();
        while s.world.sent().is_some() {}
    }
    assert_eq!((s.net.free(), s.net.lingering()), (0, 4));
    s.sleep(180_000);
    let mut sent = 0;
    while s.world.sent().is_some() {
        sent += 1;
    }
    assert!((8..400).contains(&sent), "it was tried again, and not for ever: {sent} frames");
    s.assert_all_back(4);
    s.connected(41_000);
}

/// A zero window for ever, and the owner has closed: no deadline is put off by answering probes.
#[test]
fn a_peer_that_never_takes_what_was_written_is_given_up() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    s.write(io, &[b'x'; 1_000]);
    s.settle();
    while s.world.sent().is_some() {}
    s.flows.get_mut(&40_000).expect("it was opened").window = 0;
    s.flows.get_mut(&40_000).expect("it was opened").ack += 536;
    s.net.close(io);
    for _ in 0..300 {
        send!(s, ACK 40_000);
        s.sleep(1_000);
        while s.world.sent().is_some() {}
    }
    s.assert_all_back(4);
}

#[test]
fn both_sides_close_at_once() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    s.net.close(io);
    s.settle();
    let ours = s.next_segment(50).expect("FIN");
    assert_eq!(ours.flags & (FIN | ACK), FIN | ACK);
    // The peer's FIN, sent before it saw the stack's.
    send!(s, FIN|ACK 40_000);
    let flow = s.flows.get_mut(&40_000).expect("it was opened");
    flow.ack = flow.ack.wrapping_add(1);
    recv!(s, ACK 40_000);
    send!(s, ACK 40_000);
    s.sleep(30_000);
    s.assert_all_back(4);
}

/// The peer answers the FIN of a lingering socket with RST, as a browser that is closed does.
#[test]
fn a_reset_ends_the_lingering() {
    let mut s = Scene::with(SMALL, STATIC);
    for port in 40_000..40_020 {
        let io = s.connected(port);
        s.write(io, b"answer");
        s.net.close(io);
        s.settle();
        while let Some(segment) = s.next_segment(0) {
            let flow = s.flows.get_mut(&port).expect("it was opened");
            let fin = u32::from(segment.flags & FIN != 0);
            flow.ack = segment.seq.wrapping_add(segment.data.len() as u32 + fin);
        }
        send!(s, RST|ACK port);
        s.assert_all_back(4);
    }
}
