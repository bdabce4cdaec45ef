//! Bytes both ways: windows, buffers, retransmissions, and when WRITE is reported.

use dustdevil_core::nb;
use dustdevil_core::poller::{Readiness, Transport};

use crate::frame::PSH;
use crate::scene::Scene;

const WRITE: Readiness = Readiness::WRITE;
const READ: Readiness = Readiness::READ;

/// Takes all that the stack sent to `port` and notes how far it came, without an answer.
fn take(s: &mut Scene, port: u16) -> Vec<u8> {
    let mut got = Vec::new();
    while let Some(segment) = s.next_segment(0) {
        let flow = s.flows.get_mut(&port).expect("it was opened");
        if segment.seq == flow.ack {
            flow.ack = flow.ack.wrapping_add(segment.data.len() as u32);
            got.extend(&segment.data);
        }
    }
    got
}

#[test]
fn a_response_leaves_at_once_in_one_segment() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    s.write(io, &[b'a'; 300]);
    s.write(io, &[b'b'; 300]);
    let before = s.world.now();
    let segment = s.next_segment(100).expect("it leaves");
    assert_eq!(segment.data.len(), 600, "one egress pass for both");
    assert_eq!(s.world.now(), before, "without a wait");
    assert_eq!(segment.flags & PSH, PSH);
    // And the next one too, though the first is not acknowledged (no Nagle).
    s.write(io, b"more");
    let segment = s.next_segment(100).expect("it leaves");
    assert_eq!((segment.data.as_slice(), s.world.now()), (&b"more"[..], before));
}

#[test]
fn a_full_send_buffer_blocks_and_room_is_reported() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    s.write(io, &[b'x'; 1_024]);
    assert_eq!(s.net.write(io, b"x"), Err(nb::Error::WouldBlock));
    s.clear(io);
    let got = take(&mut s, 40_000);
    assert_eq!(got.len(), 1_024);
    s.settle();
    assert!(!s.ready(io).intersects(WRITE), "nothing is acknowledged yet");
    send!(s, ACK 40_000);
    s.settle();
    assert!(s.ready(io).contains(WRITE), "it is acknowledged");
    assert_eq!(s.net.write(io, &[b'y'; 2_000]), Ok(1_024), "a prefix: what has room");
}

/// The edge is reported although nothing else happens: each acknowledgement that makes room after
/// a refusal.
#[test]
fn each_refusal_is_answered_by_a_report_when_there_is_room() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    for _ in 0..10 {
        s.write(io, &[b'x'; 1_024]);
        assert_eq!(s.net.write(io, b"x"), Err(nb::Error::WouldBlock));
        s.clear(io);
        take(&mut s, 40_000);
        send!(s, ACK 40_000);
        s.settle();
        assert!(s.ready(io).contains(WRITE));
    }
}

#[test]
fn write_whole_waits_for_room_and_is_told_only_when_it_grew() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    s.write(io, &[b'x'; 800]);
    let head = [b'h'; 300];
    assert_eq!(s.net.write_whole(io, &head), Err(nb::Error::WouldBlock));
    s.clear(io);
    // 224 bytes of room, and no more of it: nothing is reported, whatever else comes in.
    send!(s, ACK 40_000, b"more input");
    take(&mut s, 40_000);
    s.settle();
    assert!(s.ready(io).contains(READ));
    assert!(!s.ready(io).intersects(WRITE), "the room did not grow");
    // Acknowledged: now it does.
    send!(s, ACK 40_000);
    s.settle();
    assert!(s.ready(io).contains(WRITE));
    assert_eq!(s.net.write_whole(io, &head), Ok(300));
    recv!(s, ACK 40_000, head);
}

/// What can never be enough is not waited for: a part of it is taken.
#[test]
fn write_whole_takes_a_part_of_what_no_buffer_holds() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    let taken = s.net.write_whole(io, &[b'x'; 3_000]).expect("a part");
    assert!((1..=1_024).contains(&taken));
}

/// A head and a body that lies elsewhere leave in one segment; what does not fit waits.
#[test]
fn two_places_are_written_as_one() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    assert_eq!(s.net.write_vectored(io, b"head ", b"body"), Ok(9));
    s.settle();
    recv!(s, ACK 40_000, *b"head body");
    send!(s, ACK 40_000);
    s.settle();
    assert_eq!(s.net.write_vectored(io, &[b'h'; 24], &[b'b'; 3_000]), Ok(1_024));
    assert_eq!(s.net.write_vectored(io, b"", b"b"), Err(nb::Error::WouldBlock));
    s.settle();
    assert_eq!(take(&mut s, 40_000).len(), 1_024);
}

#[test]
fn a_zero_window_is_probed_and_the_rest_follows_when_it_opens() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    s.flows.get_mut(&40_000).expect("it was opened").window = 0;
    send!(s, ACK 40_000);
    s.settle();
    s.write(io, b"0123456789");
    // Probes: one byte at most, and not many.
    s.sleep(20_000);
    let mut probes = 0;
    while let Some(segment) = s.next_segment(0) {
        assert!(segment.data.len() <= 1, "{segment:?}");
        probes += 1;
    }
    assert!((1..=25).contains(&probes), "{probes} probes in 20 s");
    s.flows.get_mut(&40_000).expect("it was opened").window = 100;
    send!(s, ACK 40_000);
    let segment = s.next_segment(10_000).expect("the rest");
    assert_eq!(segment.data, b"0123456789");
}

/// The stack's own window: closed when nobody reads, opened again by reading, without being asked.
#[test]
fn reading_opens_the_window_again() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    send!(s, ACK 40_000, [b'x'; 1_024]);
    let full = recv!(s, ACK 40_000);
    assert_eq!(full.window, 0);
    assert!(s.ready(io).contains(READ));
    assert_eq!(s.read(io, 1_024).map(|data| data.len()), Ok(1_024));
    let open = recv!(s, ACK 40_000);
    assert_eq!(open.window, 1_024);
    // Again, in small bites: it is not left closed.
    s.clear(io);
    send!(s, ACK 40_000, [b'x'; 1_024]);
    recv!(s, ACK 40_000);
    let mut last = 0;
    for _ in 0..16 {
        assert_eq!(s.read(io, 64).map(|data| data.len()), Ok(64));
        s.settle();
        while let Some(segment) = s.next_segment(15) {
            last = segment.window;
        }
    }
    assert!(last >= 512, "the window is {last}");
}

#[test]
fn what_is_not_acknowledged_is_sent_again_and_not_too_often() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    s.write(io, b"hello");
    recv!(s, ACK 40_000, b"hello");
    let sent = s.flows[&40_000].ack;
    s.sleep(20_000);
    let mut again = 0;
    while let Some(segment) = s.next_segment(0) {
        assert_eq!((segment.seq, segment.data.as_slice()), (sent.wrapping_sub(5), &b"hello"[..]));
        again += 1;
    }
    assert!((2..=20).contains(&again), "{again} times in 20 s");
    send!(s, ACK 40_000);
    quiet!(s, 20_000);
}

#[test]
fn segments_out_of_order_are_put_in_order() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    let before = s.flows[&40_000].seq;
    s.flows.get_mut(&40_000).expect("it was opened").seq = before + 3;
    send!(s, ACK 40_000, b"def");
    s.settle();
    assert_eq!(s.read(io, 10), Err(nb::Error::WouldBlock), "there is a hole before it");
    s.flows.get_mut(&40_000).expect("it was opened").seq = before;
    s.clear(io);
    send!(s, ACK 40_000, b"abc");
    s.settle();
    assert!(s.ready(io).contains(READ));
    assert_eq!(s.read(io, 10).as_deref(), Ok(&b"abcdef"[..]));
    // And what comes twice is read once.
    s.send_again(40_000);
    s.settle();
    assert_eq!(s.read(io, 10), Err(nb::Error::WouldBlock));
}

#[test]
fn a_request_one_byte_at_a_time_is_reported_each_time() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    for byte in *b"GET / HTTP/1.1\r\n\r\n" {
        assert_eq!(s.read(io, 10), Err(nb::Error::WouldBlock));
        s.clear(io);
        send!(s, PSH|ACK 40_000, [byte]);
        s.settle();
        assert!(s.ready(io).contains(READ));
        assert_eq!(s.read(io, 10), Ok(vec![byte]));
    }
}

/// Read in part, and not disproved: no new report is owed, and the rest is there. (A short read
/// does not drain here.)
#[test]
fn what_is_left_can_be_read_without_a_report() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    send!(s, ACK 40_000, b"abcdef");
    s.settle();
    assert_eq!(s.read(io, 4).as_deref(), Ok(&b"abcd"[..]));
    assert_eq!(s.read(io, 4).as_deref(), Ok(&b"ef"[..]));
    assert_eq!(s.read(io, 4), Err(nb::Error::WouldBlock));
    s.clear(io);
    send!(s, ACK 40_000, b"g");
    s.settle();
    assert!(s.ready(io).contains(READ));
}

#[test]
fn a_quarter_of_a_megabyte_each_way_arrives_as_it_was_sent() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    s.flows.get_mut(&40_000).expect("it was opened").window = 8_000;
    let (mut out, mut back) = (0_u32, 0_u32);
    let byte = |at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8;
    while out < 250_000 {
        let piece: Vec<u8> = (out..out + 500).map(byte).collect();
        out += 500;
        send!(s, ACK 40_000, piece);
        s.settle();
        while let Ok(data) = s.read(io, 512) {
            for (at, &value) in data.iter().enumerate() {
                assert_eq!(value, byte(back + at as u32));
            }
            back += data.len() as u32;
            s.write(io, &data);
        }
        for (at, value) in take(&mut s, 40_000).into_iter().enumerate() {
            assert_eq!(value, byte(out - 500 + at as u32));
        }
    }
    assert_eq!(back, out);
}
