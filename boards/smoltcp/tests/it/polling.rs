//! When the poller works, when it returns, and when and how long it waits.

use std::cell::Cell;
use std::rc::Rc;

use dustdevil_core::poller::{Readiness, Transport};
use dustdevil_core::sim;
use dustdevil_core::time::Duration;

use crate::frame::{ACK, Arp, NET_IP, PEER_IP, Segment, ping, to_net};
use crate::scene::{PORT, Scene};
use crate::world::Far;

/// Frames that one poll may take at most before everybody else has a turn.
const BUDGET_MAX: u32 = 64;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn with_nothing_to_do_it_waits_once_for_what_it_was_given() {
    let mut s = Scene::new();
    let began = s.world.now();
    s.poll_for(Some(MINUTE));
    let waits = s.world.take_waits();
    assert_eq!(waits.len(), 1, "{waits:?}");
    assert_eq!(waits[0].until, Some((began + MINUTE).as_micros()));
    assert!(waits[0].is_allowed);
    assert_eq!(s.world.now(), began + MINUTE);

    s.world.send_later(5_000_000, &Arp::who_has_net(PEER_IP).frame());
    s.poll_for(Some(MINUTE));
    let waits = s.world.take_waits();
    assert_eq!(waits.len(), 2, "{waits:?}");
    assert_eq!(waits[0].ended - waits[0].began, 5_000_000);
    assert_eq!(s.world.sent_at(), Some(began + MINUTE + Duration::from_secs(5)), "the answer");
}

/// Without a deadline it waits for an interrupt alone.
#[test]
fn without_a_deadline_it_waits_without_one() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    s.sleep(100);
    s.world.take_waits();
    send!(s, SYN 40_001);
    let request = s.flows[&40_000].clone();
    let data = Segment {
        from: (PEER_IP, 40_000),
        to: (NET_IP, PORT),
        flags: ACK,
        seq: request.seq,
        ack: request.ack,
        window: 1_000,
        mss: None,
        data: b"data".to_vec(),
    };
    s.world.send_later(3_600_000_000, &data.frame());
    s.clear(io);
    send!(s, RST 40_001);
    s.poll_for(None);
    assert!(s.ready(io).contains(Readiness::READ));
    let waits = s.world.take_waits();
    assert_eq!(waits.len(), 1, "{waits:?}");
    assert_eq!((waits[0].until, waits[0].ended - waits[0].began), (None, 3_600_000_000));
}

#[test]
fn a_deadline_that_has_passed_is_not_waited_for() {
    let mut s = Scene::new();
    let began = s.world.now();
    for _ in 0..100 {
        s.poll();
    }
    assert_eq!(s.world.now(), began);
}

/// An established connection with nothing under way costs no wake-up at all.
#[test]
fn idle_connections_wake_nobody() {
    let mut s = Scene::new();
    for port in 40_000..40_003 {
        s.connected(port);
    }
    s.sleep(100);
    let waits = s.waits(600_000);
    assert_eq!(waits.len(), 1, "{waits:?}");
}

/// A stack with everything given back sleeps for ever, after all its time-outs.
#[test]
fn lingering_costs_a_few_wake_ups_and_then_none() {
    let mut s = Scene::new();
    for port in 40_000..40_004 {
        let io = s.connected(port);
        s.net.close(io);
        recv!(s, FIN|ACK port);
        send!(s, FIN|ACK port);
        recv!(s, ACK port);
    }
    let waits = s.waits(120_000);
    assert!(waits.len() <= 20, "{} waits", waits.len());
    let waits = s.waits(600_000);
    assert_eq!(waits.len(), 1, "{waits:?}");
}

/// Exactly when the timer is due, and once for each time.
#[test]
fn each_retransmission_wakes_once_and_on_time() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    s.write(io, b"hello");
    recv!(s, ACK 40_000, b"hello");
    let waits = s.waits(9_000);
    let mut again = 0;
    while s.world.sent().is_some() {
        again += 1;
    }
    assert!(again >= 2, "{again}");
    // Each wait but the last is ended by its deadline, and there a frame leaves.
    assert_eq!(waits.len(), again + 1, "{waits:?}");
    for wait in &waits {
        assert_eq!(Some(wait.ended), wait.until);
    }
}

#[test]
fn an_acknowledgement_that_is_put_off_costs_one_wake_up() {
    let mut s = Scene::new();
    s.connected(40_000);
    s.sleep(100);
    send!(s, ACK 40_000, b"data");
    let waits = s.waits(1_000);
    assert!(waits.len() <= 2, "{waits:?}");
    recv!(s, ACK 40_000);
    quiet!(s);
}

/// More frames than a budget: the poll returns, and the next one goes on without a wait.
#[test]
fn a_flood_does_not_keep_poll_from_returning() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    let began = s.world.now();
    let noise = to_net(PEER_IP, 99, b"noise");
    for round in 0..2_000_u32 {
        s.world.send(&if round % 3 == 0 { ping(PEER_IP, 40) } else { noise.clone() });
    }
    send!(s, ACK 40_000, b"signal");
    let before = s.world.counts().fetched;
    let mut polls = 0;
    while s.world.inbox_len() > 0 {
        let left = s.world.inbox_len();
        s.poll_for(Some(MINUTE));
        let taken = left - s.world.inbox_len();
        assert!((1..=BUDGET_MAX as usize).contains(&taken), "{taken} frames in one poll");
        assert_eq!(s.world.now(), began, "it waited with frames at the door");
        polls += 1;
    }
    assert!(polls >= 2_000 / BUDGET_MAX);
    assert_eq!(s.world.counts().fetched - before, 2_001);
    s.settle();
    assert_eq!(s.read(io, 100).as_deref(), Ok(&b"signal"[..]));
}

/// Somebody who sends a frame as soon as the one before is fetched, for as long as it matters.
struct Noise {
    next_at: u64,
    left: Rc<Cell<u32>>,
}

impl Far for Noise {
    fn frame(&mut self, _: u64, _: &[u8]) {}

    fn turn(&mut self, now: u64, send: &mut Vec<Vec<u8>>) {
        if self.next_at <= now && self.left.get() > 0 {
            self.left.set(self.left.get() - 1);
            self.next_at = now + 1;
            send.push(to_net(PEER_IP, 99, b"noise"));
        }
    }

    fn next_at(&mut self, _: u64) -> Option<u64> {
        (self.left.get() > 0).then_some(self.next_at)
    }
}

/// A flood that never fills a budget, since each frame comes just after the last one was fetched:
/// those who were woken have their turn in the middle of it all the same.
#[test]
fn a_trickle_without_end_does_not_keep_poll_from_returning() {
    const ENDLESS: u32 = 10_000;
    let mut s = Scene::new();
    s.world.set_faults(|faults| faults.work_us = (20, 20));
    let left = Rc::new(Cell::new(ENDLESS));
    s.world.set_far(Noise { next_at: 0, left: left.clone() });
    let wakes = sim::wakes(1);
    for _ in 0..10 {
        let before = left.get();
        wakes.wake(0);
        s.poll_for(Some(MINUTE));
        assert!(
            before - left.get() <= 4 * BUDGET_MAX,
            "{} frames in one poll",
            before - left.get()
        );
        wakes.take(&mut |_| ());
    }
}

/// As many frames as fill any budget exactly: whether more are there is not known, and the poll
/// must look before it sleeps.
#[test]
fn a_budget_that_is_just_full_loses_nothing() {
    for frames in 1..=BUDGET_MAX + 1 {
        let mut s = Scene::new();
        let io = s.connected(40_000);
        let began = s.world.now();
        for _ in 1..frames {
            s.world.send(&to_net(PEER_IP, 99, b"noise"));
        }
        send!(s, ACK 40_000, b"signal");
        s.clear(io);
        for _ in 0..80 {
            if s.ready(io) == Readiness::NONE {
                s.poll_for(Some(MINUTE));
            }
        }
        assert_eq!(s.read(io, 100).as_deref(), Ok(&b"signal"[..]), "{frames} frames");
        assert_eq!(s.world.now(), began, "{frames} frames");
    }
}

/// What was written leaves before the stack sleeps, though nothing else happens.
#[test]
fn what_is_dirty_is_sent_before_the_wait() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    s.sleep(100);
    for _ in 0..10 {
        let began = s.world.now();
        s.write(io, b"x");
        s.poll_for(Some(Duration::from_millis(500)));
        assert_eq!(s.world.sent_at(), Some(began));
        recv!(s, ACK 40_000, b"x");
        while s.world.sent().is_some() {}
        send!(s, ACK 40_000);
        s.settle();
    }
}

/// The answer to a frame leaves at once, not at the next deadline.
#[test]
fn what_a_frame_asks_for_is_sent_before_the_wait() {
    let mut s = Scene::new();
    let began = s.world.now();
    send!(s, SYN 40_000);
    s.poll_for(Some(MINUTE));
    assert_eq!(s.world.sent_at(), Some(began));
    recv!(s, SYN|ACK 40_000);
}

/// What becomes ready is reported by the poll that found it, not after its wait.
#[test]
fn a_poll_with_something_to_report_does_not_wait() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    s.sleep(100);
    for round in 0..20_u32 {
        s.clear(io);
        send!(s, ACK 40_000, b"data");
        let began = s.world.now();
        s.poll_for(Some(MINUTE));
        assert!(s.events > 0, "round {round}");
        assert_eq!(s.world.now(), began);
        assert!(s.read(io, 100).is_ok());
        s.sleep(50);
        recv!(s, ACK 40_000);
    }
}

/// A source that is ready before it is registered is reported by the next poll, without a wait.
#[test]
fn what_is_ready_at_register_is_reported_without_a_wait() {
    let mut s = Scene::new();
    send!(s, SYN 40_000);
    recv!(s, SYN|ACK 40_000);
    send!(s, ACK 40_000, b"data");
    s.settle();
    s.sleep(100);
    let (io, _) = s.net.accept(s.listener()).expect("it waits");
    let began = s.world.now();
    s.register(io);
    s.poll_for(Some(MINUTE));
    assert!(s.events > 0);
    assert_eq!(s.world.now(), began);
}

#[test]
fn a_wake_before_the_wait_is_not_slept_through() {
    let mut s = Scene::new();
    let began = s.world.now();
    let wakes = sim::wakes(1);
    wakes.wake(0);
    s.poll_for(Some(MINUTE));
    assert_eq!(s.world.now(), began);
    let mut flagged = 0;
    wakes.take(&mut |_| flagged += 1);
    assert_eq!(flagged, 1);
    s.poll_for(Some(MINUTE));
    assert_eq!(s.world.now(), began + MINUTE, "and now it sleeps");
}

/// What arrives between the last look and the wait (the wake-up that is lost on boards).
#[test]
fn a_frame_in_the_moment_before_the_wait_is_not_slept_through() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    s.sleep(100);
    s.world.set_faults(|faults| faults.race_permille = 1_000);
    for _ in 0..20 {
        send!(s, ACK 40_000, b"data");
        let frame = s.flows[&40_000].last.clone().expect("just sent").frame();
        s.settle();
        s.sleep(50);
        while s.world.sent().is_some() {}
        assert!(s.read(io, 100).is_ok());
        // What comes twice is acknowledged at once.
        let began = s.world.now();
        s.world.send_later(1_000, &frame);
        s.poll_for(Some(MINUTE));
        let answered = s.world.sent_at().expect("an answer");
        assert!(answered <= began + Duration::from_millis(50), "it slept");
        while s.world.sent().is_some() {}
    }
}

/// An interface that has no room now and then delays, and loses nothing.
#[test]
fn a_busy_interface_is_asked_again() {
    let mut s = Scene::new();
    s.still_max = 50;
    s.world.set_faults(|faults| faults.busy_permille = 700);
    for port in 40_000..40_030 {
        let began = s.world.now();
        let io = s.connected(port);
        s.write(io, b"answer");
        recv!(s, ACK port, b"answer");
        send!(s, ACK port);
        s.settle();
        s.net.abort(io);
        recv!(s, RST|ACK port);
        assert!(s.world.now() < began + Duration::from_secs(1));
    }
    s.assert_all_back(4);
}

/// An interface that is stuck: the poller returns, and works again once it is not.
#[test]
fn an_interface_that_is_stuck_for_a_while_harms_nothing() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    s.world.set_faults(|faults| faults.busy_permille = 1_000);
    s.write(io, b"answer");
    for _ in 0..20 {
        s.poll();
    }
    // It looks again and again, and lets time pass in between.
    s.world.take_waits();
    s.poll_for(Some(Duration::from_millis(100)));
    let waits = s.world.take_waits();
    assert!((2..=600).contains(&waits.len()), "{} waits", waits.len());
    assert_eq!(s.world.sent_len(), 0);
    s.world.set_faults(|faults| faults.busy_permille = 0);
    recv!(s, ACK 40_000, b"answer");
}

/// The clock is asked for, but time does not move by asking: no turn is a spin.
#[test]
fn a_poll_looks_for_a_frame_once_when_there_is_none() {
    let mut s = Scene::new();
    s.connected(40_000);
    s.sleep(100);
    let before = s.world.counts().empty;
    for _ in 0..10 {
        s.poll();
    }
    let looks = s.world.counts().empty - before;
    assert!(looks <= 20, "{looks} looks in 10 polls");
}
