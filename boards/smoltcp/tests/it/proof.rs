//! That the harness finds what it is there for: it fails where a wrong poller would make it fail.

use std::panic::{self, AssertUnwindSafe};

use dustdevil_core::time::Clock;
use dustdevil_smoltcp::{Nic, Park};

use crate::frame::{Arp, NET_IP, PEER_IP, SYN, Segment, ping};
use crate::scene::{PORT, Scene};
use crate::wire::Faults;
use crate::world::World;

fn fails(run: impl FnOnce()) -> bool {
    panic::catch_unwind(AssertUnwindSafe(run)).is_err()
}

#[test]
fn a_wait_that_nothing_can_end_is_a_hang() {
    let world = World::new(1, Faults::NONE);
    assert!(fails(|| world.park().park(None, &mut || true)));
    // And one that a frame ends is none.
    let world = World::new(1, Faults::NONE);
    world.send_later(1_000, &ping(PEER_IP, 8));
    world.park().park(None, &mut || world.nic().arm());
    assert_eq!(world.inbox_len(), 1);
    // What came before the interrupt was armed raises none, as on a board.
    assert!(fails(|| world.park().park(None, &mut || true)));
    let is_safe = world.nic().arm();
    assert!(!is_safe);
    assert!(fails(|| world.park().park(None, &mut || true)));
}

#[test]
fn going_round_without_time_is_a_spin() {
    let world = World::new(1, Faults::NONE);
    assert!(fails(|| {
        for _ in 0..1_000_000 {
            world.park().now();
        }
    }));
    let world = World::new(1, Faults::NONE);
    assert!(fails(|| while world.nic().receive(&mut [0; 8]).is_none() {}));
}

#[test]
fn a_frame_that_should_not_have_been_sent_is_found() {
    let mut s = Scene::new();
    send!(s, SYN 40_000);
    assert!(fails(|| quiet!(s)));
    let mut s = Scene::new();
    send!(s, SYN 40_000);
    assert!(fails(|| {
        recv!(s, RST|ACK 40_000);
    }));
    let mut s = Scene::new();
    assert!(fails(|| {
        recv!(s, SYN|ACK 40_000);
    }));
}

#[test]
fn a_socket_that_is_not_back_is_found() {
    let mut s = Scene::new();
    s.connected(40_000);
    assert!(fails(|| s.assert_all_back(4)));
}

#[test]
fn wrong_checksums_and_lengths_of_the_stack_would_be_found() {
    let segment = Segment {
        from: (NET_IP, PORT),
        to: (PEER_IP, 40_000),
        flags: SYN,
        seq: 1,
        ack: 2,
        window: 3,
        mss: Some(1460),
        data: b"data".to_vec(),
    };
    let mut frame = segment.frame();
    frame[6..12].copy_from_slice(&crate::frame::NET_MAC);
    assert_eq!(Segment::parse(&frame), Some(segment));
    for at in 14..frame.len() {
        let mut damaged = frame.clone();
        damaged[at] ^= 0x20;
        assert!(fails(|| assert!(Segment::parse(&damaged).is_some())), "byte {at}");
    }
}

#[test]
fn arp_is_read_as_it_is_written() {
    let arp = Arp::who_has_net(PEER_IP);
    assert_eq!(Arp::parse(&arp.frame()), Some(arp));
    assert_eq!(Arp::parse(&arp.answer().frame()), Some(arp.answer()));
}

/// Every kind of fault happens, and about as often as it says.
#[test]
fn the_wire_does_what_its_faults_say() {
    let mut seen = std::collections::BTreeMap::new();
    let mut wire = crate::wire::Wire::new(Faults::HARSH, dustdevil_core::sim::Rng::new(1));
    let frame = ping(PEER_IP, 500);
    for now in 0..10_000 {
        *seen.entry(wire.send(now, crate::wire::End::Net, &frame)).or_insert(0_u32) += 1;
    }
    assert!((800..1_200).contains(&seen["lost"]), "{seen:?}");
    for fate in ["sent", "sent twice", "damaged", "cut off", "overtaken"] {
        assert!(seen[fate] > 100, "{seen:?}");
    }
    let (mut arrived, mut damaged) = (0_u32, 0_u32);
    while let Some((_, bytes)) = wire.arrival(u64::MAX) {
        arrived += 1;
        damaged += u32::from(bytes != frame);
    }
    assert!((9_000..10_000).contains(&arrived), "{arrived}");
    assert!((300..900).contains(&damaged), "{damaged}");
}
