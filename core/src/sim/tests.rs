//! The simulator by itself: driven through its traits, without a reactor.
//!
//! [`Small`] is the least that keeps the contract's other side: sticky bits, an echo, and a close
//! after the end of input.

use core::cell::Cell;
use core::net::SocketAddr;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{assert, assert_eq, format, panic, vec};

use embedded_io::ErrorKind;

use super::*;
use crate::poller::{Error, Event, Io, Poller, Readiness, Token, Transport};
use crate::time::{Clock, Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const WORLDS: u64 = 300;

fn at() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 80))
}

fn token(number: u64) -> Token {
    Token::from_u64(number)
}

/// A server that echoes, as small as one can be that believes nothing but the contract.
struct Small<const DRAINS: bool> {
    sim: Sim<DRAINS>,
    listener: Io,
    made: u64,
    open: BTreeMap<u64, Echo>,
    ready: BTreeMap<u64, Readiness>,
    accepted: usize,
}

#[derive(Default)]
struct Echo {
    io: u32,
    unsent: Vec<u8>,
    ended: bool,
}

const LISTENER: u64 = 1 << 32;

impl<const DRAINS: bool> Small<DRAINS> {
    fn new(world: &World, backlog: u16) -> Self {
        let mut sim = Sim::new(world);
        let listener = sim.listen(at(), backlog).unwrap();
        sim.register(listener, token(LISTENER)).unwrap();
        let (open, ready) = (BTreeMap::new(), BTreeMap::new());
        Self { sim, listener, made: 1, open, ready, accepted: 0 }
    }

    /// Serves until no peer is left.
    fn serve(&mut self, world: &World) {
        let tree = wakes(1);
        let waker = tree.waker(0);
        let mut cx = Context::from_waker(&waker);
        let mut gone = pin!(world.peers_gone());
        while gone.as_mut().poll(&mut cx).is_pending() {
            tree.take(&mut |_| ());
            let keys: Vec<u64> =
                self.ready.keys().copied().filter(|&key| self.can_act(key)).collect();
            let deadline = (!keys.is_empty()).then(|| self.sim.now());
            keys.into_iter().for_each(|key| self.act(key));
            let (ready, open) = (&mut self.ready, &self.open);
            let mut on_event = |event: Event| {
                let key = event.token.as_u64();
                if key == LISTENER || open.contains_key(&key) {
                    *ready.entry(key).or_default() |= event.ready;
                }
            };
            self.sim.poll(deadline, tree, &mut on_event).unwrap();
        }
        let open = core::mem::take(&mut self.open);
        open.into_values().for_each(|echo| self.sim.close(Io(echo.io)));
        self.sim.close(self.listener);
    }

    fn can_act(&self, key: u64) -> bool {
        let ready = self.ready[&key];
        match self.open.get(&key) {
            None => ready.intersects(Readiness::READ),
            Some(echo) => {
                ready.intersects(Readiness::READ) && !echo.ended
                    || ready.intersects(Readiness::WRITE) && !echo.unsent.is_empty()
            }
        }
    }

    fn act(&mut self, key: u64) {
        if key != LISTENER {
            if !self.echo(key) {
                let echo = self.open.remove(&key).unwrap();
                self.ready.remove(&key);
                self.sim.close(Io(echo.io));
            }
            return;
        }
        match self.sim.accept(self.listener) {
            Ok((io, _)) => {
                self.made += 1;
                self.accepted += 1;
                let key = self.made << 32 | 7;
                self.open.insert(key, Echo { io: io.0, ..Echo::default() });
                self.sim.register(io, token(key)).unwrap();
            }
            Err(nb::Error::WouldBlock) => self.clear(LISTENER, Readiness::READ),
            Err(nb::Error::Other(error)) => assert_eq!(error.kind, ErrorKind::OutOfMemory),
        }
    }

    fn clear(&mut self, key: u64, bit: Readiness) {
        let ready = self.ready.get_mut(&key).unwrap();
        *ready = ready.without(bit);
    }

    /// One read and one write; false when the connection is over.
    fn echo(&mut self, key: u64) -> bool {
        let ready = self.ready[&key];
        let echo = self.open.get_mut(&key).unwrap();
        let mut disproved = Readiness::NONE;
        let mut buf = [0; 50];
        if ready.intersects(Readiness::READ) && !echo.ended {
            match self.sim.read(Io(echo.io), &mut buf) {
                Ok(0) => echo.ended = true,
                Ok(count) => {
                    echo.unsent.extend_from_slice(&buf[..count]);
                    if DRAINS && count < buf.len() && !ready.intersects(Readiness::CLOSED) {
                        disproved |= Readiness::READ;
                    }
                }
                Err(nb::Error::WouldBlock) => disproved |= Readiness::READ,
                Err(nb::Error::Other(_)) => return false,
            }
        }
        if ready.intersects(Readiness::WRITE) && !echo.unsent.is_empty() {
            match self.sim.write_whole(Io(echo.io), &echo.unsent) {
                Ok(count) => drop(echo.unsent.drain(..count)),
                Err(nb::Error::WouldBlock) => disproved |= Readiness::WRITE,
                Err(nb::Error::Other(_)) => return false,
            }
        }
        let is_over = echo.ended && echo.unsent.is_empty();
        self.clear(key, disproved);
        !is_over
    }
}

/// Some clients that say something and want it back, in a world of this seed.
fn run<const DRAINS: bool>(seed: u64, faults: Faults) -> (World, usize, Vec<Record>) {
    let world = World::new(seed, faults);
    let mut rng = world.fork_rng();
    let mut server = Small::<DRAINS>::new(&world, 3);
    let mut records = Vec::new();
    for number in 0..rng.range(1, 8) {
        let said: Vec<u8> = (0..rng.range(1, 4_000)).map(|_| rng.next() as u8).collect();
        let (first, second) = said.split_at(rng.index(said.len()));
        let delay = Duration::from_micros(rng.range(0, 300_000));
        let mut client = Script::new(&format!("client {number}")).tolerant();
        client = match rng.range(0, 3) {
            0 => client.send(&said).expect_contains(&said, MINUTE + MINUTE).fin(),
            1 => client
                .send(first)
                .wait(delay)
                .send(second)
                .fin()
                .expect_bytes(said.len(), MINUTE + MINUTE),
            2 => client.stop_reading().send(first).wait(SECOND).resume_reading().send(second).fin(),
            _ => client.send_slowly(&said[..said.len().min(50)], delay).fin(),
        };
        let client = client.expect_close(MINUTE + MINUTE);
        records.push(client.record());
        world.connect(at(), delay, client);
    }
    server.serve(&world);
    (world, server.accepted, records)
}

#[test]
fn every_byte_comes_back_whatever_goes_wrong() {
    let mut reset = 0;
    for seed in 0..WORLDS {
        let faults = if seed % 3 == 0 { Faults::harsh() } else { Faults::seeded(seed) };
        let has_resets = faults.reset_permille > 0;
        let (world, _, records) = match seed % 2 {
            0 => run::<true>(seed, faults),
            _ => run::<false>(seed, faults),
        };
        for record in records {
            let outcome = record.outcome();
            assert!(outcome.is_finished || has_resets, "seed {seed}: {outcome:?}");
            reset += u64::from(!outcome.is_finished);
        }
        world.assert_all_closed();
    }
    assert!(reset > 0, "no connection was ever reset: the faults do nothing");
}

#[test]
fn a_seed_is_a_world() {
    for seed in 0..40 {
        let (one, same) =
            (run::<true>(seed, Faults::harsh()).0, run::<true>(seed, Faults::harsh()).0);
        assert_eq!(one.trace_hash(), same.trace_hash(), "seed {seed}");
        assert_ne!(one.trace_hash(), run::<true>(seed + 1, Faults::harsh()).0.trace_hash());
    }
}

/// What a test's panic said.
fn failure(test: impl FnOnce()) -> String {
    let caught = catch_unwind(AssertUnwindSafe(test)).expect_err("it should have failed");
    caught.downcast_ref::<String>().expect("a message with the seed").clone()
}

#[test]
fn a_lost_edge_is_found() {
    let faults = Faults { drop_event_permille: 1_000, ..Faults::NONE };
    let said = failure(|| drop(run::<true>(7, faults)));
    assert!(said.contains("nothing can ever happen") || said.contains("not in time"), "{said}");
    let mut found = 0;
    for seed in 0..20 {
        let faults = Faults { drop_event_permille: 100, ..Faults::NONE };
        found += u32::from(catch_unwind(|| drop(run::<true>(seed, faults))).is_err());
    }
    assert!(found > 5, "one edge in ten is lost, and only {found} of 20 worlds noticed");
}

#[test]
fn clocks_start_where_counters_wrap() {
    let starts: Vec<u64> =
        (0..100).map(|seed| World::new(seed, Faults::NONE).now().as_micros()).collect();
    for edge in [1_u64 << 32, 1_000 << 32, 1 << 40] {
        assert!(starts.iter().any(|start| (edge - 3_000_000..=edge).contains(start)), "{edge}");
    }
    assert!(starts.contains(&0));
}

/// A world without faults, its poller and a listener under token 1.
fn quiet_world() -> (World, Sim, Io) {
    let world = World::starting_at(1, Faults::NONE, Instant::ZERO);
    world.keep_trace();
    let mut sim = Sim::new(&world);
    let listener = sim.listen(at(), 2).unwrap();
    sim.register(listener, token(1)).unwrap();
    (world, sim, listener)
}

/// What one poll of at most `wait` reports.
fn events(sim: &mut Sim, wait: Duration) -> Vec<(u64, String)> {
    let mut seen = vec![];
    let until = sim.now() + wait;
    sim.poll(Some(until), wakes(1), &mut |event| {
        seen.push((event.token.as_u64(), format!("{:?}", event.ready)));
    })
    .unwrap();
    seen
}

fn accept(sim: &mut Sim, listener: Io, as_token: u64) -> Io {
    let (io, _) = sim.accept(listener).unwrap();
    sim.register(io, token(as_token)).unwrap();
    io
}

#[test]
fn a_transition_is_reported_once_until_it_is_disproved() {
    let (world, mut sim, listener) = quiet_world();
    let client = Script::new("c").send(b"one").wait(SECOND).send(b"two").wait(MINUTE).send(b"3");
    world.connect(at(), Duration::ZERO, client);
    assert_eq!(events(&mut sim, SECOND), [(1, "r".to_string())]);
    let io = accept(&mut sim, listener, 2);
    assert_eq!(events(&mut sim, SECOND), [(2, "w".to_string())]);
    assert_eq!(events(&mut sim, SECOND), [(2, "r".to_string())]);
    // Nothing was read, so that the second arrival says nothing new.
    assert_eq!(events(&mut sim, SECOND + SECOND), []);
    let mut buf = [0; 3];
    assert_eq!(sim.read(io, &mut buf), Ok(3));
    assert_eq!(sim.read(io, &mut buf), Ok(3));
    // Neither read was short: the bit stands, and so the end is news only for its own bit.
    assert_eq!(sim.read(io, &mut buf), Err(nb::Error::WouldBlock));
    let third = events(&mut sim, MINUTE);
    assert_eq!(third, [(2, "r".to_string()), (2, "rc".to_string())]);
    assert_eq!(sim.read(io, &mut [0; 8]), Ok(1));
    assert_eq!(sim.read(io, &mut buf), Ok(0));
    sim.close(io);
    sim.close(listener);
    world.assert_all_closed();
}

#[test]
fn a_full_window_stops_the_writer_until_the_peer_reads() {
    let (world, mut sim, listener) = quiet_world();
    world.set_faults(Faults { window_bytes: (10, 10), ..Faults::NONE });
    let client = Script::new("c").stop_reading().wait(SECOND).resume_reading();
    let client = client.expect_bytes(15, SECOND).expect_close(SECOND);
    world.connect(at(), Duration::ZERO, client);
    events(&mut sim, SECOND);
    let io = accept(&mut sim, listener, 2);
    assert_eq!(events(&mut sim, SECOND), [(2, "w".to_string())]);
    assert_eq!(sim.write(io, b"0123456789abcde"), Ok(10));
    assert_eq!(sim.write(io, b"abcde"), Err(nb::Error::WouldBlock));
    let before = sim.now();
    assert_eq!(events(&mut sim, MINUTE), [(2, "w".to_string())]);
    assert!(sim.now() - before > Duration::from_millis(900));
    assert_eq!(sim.write(io, b"abcde"), Ok(5));
    sim.close(io);
    sim.close(listener);
    events(&mut sim, MINUTE);
    assert_eq!(world.open(), Open::default(), "{:#?}", world.trace());
}

#[test]
fn a_whole_write_waits_for_its_room_where_the_world_says_so() {
    let (world, mut sim, listener) = quiet_world();
    world.set_faults(Faults { window_bytes: (10, 10), write_whole_waits: true, ..Faults::NONE });
    world.connect(at(), Duration::ZERO, Script::new("c").expect_bytes(18, SECOND));
    events(&mut sim, SECOND);
    let io = accept(&mut sim, listener, 2);
    assert_eq!(sim.write_whole(io, b"01234567"), Ok(8));
    assert_eq!(sim.write_whole(io, b"01234567"), Err(nb::Error::WouldBlock));
    // The first report is of the beginning, before the refusal; the second one of the room.
    assert_eq!(events(&mut sim, SECOND), [(2, "w".to_string())]);
    let before = sim.now();
    assert_eq!(events(&mut sim, SECOND), [(2, "w".to_string())]);
    assert!(sim.now() > before, "there was room for two bytes all the time, and that is no news");
    assert_eq!(sim.write_whole(io, b"more than ten"), Ok(10));
    sim.close(io);
    sim.close(listener);
    events(&mut sim, MINUTE);
}

#[test]
fn closing_lingers_and_aborting_resets() {
    for abort in [false, true] {
        let (world, mut sim, listener) = quiet_world();
        let client = Script::new("c").send(b"never read").expect_end(SECOND);
        let record = client.record();
        world.connect(at(), Duration::ZERO, client);
        events(&mut sim, SECOND);
        let io = accept(&mut sim, listener, 2);
        events(&mut sim, SECOND);
        events(&mut sim, SECOND);
        sim.write(io, b"answer").unwrap();
        if abort {
            sim.abort(io)
        } else {
            sim.close(io)
        }
        events(&mut sim, SECOND);
        let outcome = record.outcome();
        assert_eq!(outcome.ended, Some(if abort { Ended::Reset } else { Ended::Fin }));
        assert!(abort || outcome.received == b"answer");
        assert_eq!((world.open().lingering, world.open().peers), (0, 0));
        // The number is free at once, for the next.
        assert_eq!(sim.connect(at(), None), Ok(io));
        sim.abort(io);
        sim.close(listener);
    }
}

#[test]
fn a_full_backlog_delays_and_does_not_refuse() {
    let (world, mut sim, listener) = quiet_world();
    let records: Vec<Record> = (0..4)
        .map(|_| {
            let client = Script::new("c").expect_close(MINUTE);
            let record = client.record();
            world.connect(at(), Duration::ZERO, client);
            record
        })
        .collect();
    let connected = |records: &[Record]| {
        records.iter().filter(|record| record.outcome().connected_at.is_some()).count()
    };
    events(&mut sim, Duration::from_millis(500));
    events(&mut sim, Duration::from_millis(500));
    assert_eq!(connected(&records), 2, "the backlog is 2");
    for _ in 0..2 {
        let (io, _) = sim.accept(listener).unwrap();
        sim.close(io);
    }
    assert_eq!(sim.accept(listener).err(), Some(nb::Error::WouldBlock));
    assert_eq!(events(&mut sim, SECOND), [(1, "r".to_string())]);
    events(&mut sim, SECOND);
    assert_eq!(connected(&records), 4, "they try again after a second");
    sim.close(listener);
}

#[test]
fn connections_go_both_ways() {
    let (world, mut sim, listener) = quiet_world();
    let echo: SocketAddr = SocketAddr::from(([10, 0, 0, 2], 7));
    world.listen_peer(echo, || Script::new("p").expect_contains(b"hi", SECOND).send(b"yo"));
    let out = sim.connect(echo, None).unwrap();
    sim.register(out, token(2)).unwrap();
    assert_eq!(sim.write(out, b"hi"), Err(nb::Error::WouldBlock));
    assert_eq!(events(&mut sim, SECOND), [(2, "w".to_string())]);
    assert_eq!((sim.write(out, b"hi"), sim.peer(out)), (Ok(2), Some(echo)));
    let answer = events(&mut sim, SECOND);
    assert_eq!(answer, [(2, "r".to_string()), (2, "rc".to_string())]);
    let mut buf = [0; 9];
    assert_eq!((sim.read(out, &mut buf), &buf[..2]), (Ok(2), &b"yo"[..]));
    sim.close(out);
    // The end was reported once more, because the read was short; by now that is a late event.
    assert_eq!(events(&mut sim, SECOND), [(2, "r".to_string())]);

    // Two sources of one reactor, and then nobody at all.
    let near = sim.connect(at(), None).unwrap();
    sim.register(near, token(3)).unwrap();
    assert_eq!(events(&mut sim, SECOND), [(1, "r".to_string())]);
    let far = accept(&mut sim, listener, 4);
    assert_eq!(sim.peer(far), sim.local(near));
    sim.close(far);
    let nowhere = sim.connect(SocketAddr::from(([10, 0, 0, 3], 1)), None).unwrap();
    sim.register(nowhere, token(5)).unwrap();
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.extend(events(&mut sim, SECOND));
    }
    assert!(seen.contains(&(5, "rwcg".to_string())), "{seen:?}");
    let refused = Error::new(ErrorKind::ConnectionRefused);
    assert_eq!(sim.read(nowhere, &mut buf), Err(nb::Error::Other(refused)));
    assert_eq!(sim.read(near, &mut buf), Ok(0));
    for io in [near, nowhere, listener] {
        sim.close(io);
    }
    world.assert_all_closed();
}

#[test]
fn deadlines_are_rounded_up_and_vain_polls_cost() {
    let (world, mut sim, listener) = quiet_world();
    let until = sim.now() + Duration::from_micros(1_234);
    world.set_faults(Faults { deadline_unit_us: 1_000, ..Faults::NONE });
    sim.poll(Some(until), wakes(1), &mut |_| ()).unwrap();
    assert_eq!(sim.unix_seconds(), Some(784_111_777));
    assert_eq!(sim.now(), Instant::from_micros(2_000), "late by less than a unit, never early");
    sim.poll(Some(until), wakes(1), &mut |_| ()).unwrap();
    assert_eq!(sim.now(), Instant::from_micros(2_001), "a deadline that has passed");
    sim.close(listener);
}

#[test]
fn wakes_end_a_wait_wherever_they_come_from() {
    for moment in [Moment::BeforePark, Moment::Parked] {
        let (world, mut sim, listener) = quiet_world();
        let wakes = wakes(8);
        let waker = wakes.waker(5);
        world.hook(moment, move || waker.wake_by_ref());
        let before = sim.now();
        sim.poll(Some(before + SECOND), wakes, &mut |_| panic!("nothing was to be reported"))
            .unwrap();
        assert_eq!(sim.now() - before, Duration::from_micros(1), "{moment:?}");
        let mut taken = vec![];
        wakes.take(&mut |leaf| taken.push(leaf));
        assert_eq!(taken, [5]);
        world.hook(moment, || ());
        let waker = wakes.waker(6);
        world.after(Duration::from_millis(3), move || waker.wake());
        sim.poll(None, wakes, &mut |_| ()).unwrap();
        assert_eq!(sim.now() - before, Duration::from_micros(3_001));
        wakes.take(&mut |_| ());
        sim.close(listener);
    }
}

#[test]
fn a_hang_a_spin_and_a_late_use_are_failures() {
    let hang = failure(|| {
        let (_, mut sim, _) = quiet_world();
        sim.poll(None, wakes(1), &mut |_| ()).unwrap();
    });
    assert!(hang.contains("world 0x1 after 0 us: nothing can ever happen"), "{hang}");
    let spin = failure(|| {
        let (_, mut sim, _) = quiet_world();
        (0..2_000).for_each(|_| assert!(events(&mut sim, Duration::ZERO).is_empty()));
    });
    assert!(spin.contains("spinning"), "{spin}");
    let late = failure(|| {
        let (_, mut sim, listener) = quiet_world();
        sim.close(listener);
        sim.shutdown(listener);
    });
    assert!(late.contains("shutdown on io 0, which is not open"), "{late}");
    let open = failure(|| quiet_world().0.assert_all_closed());
    assert!(open.contains("listeners: 1") && open.contains("io 0: listens at"), "{open}");
    let missed = failure(|| {
        let (world, mut sim, _) = quiet_world();
        world.connect(at(), SECOND, Script::new("cat").expect_contains(b"meow", SECOND));
        (0..4).for_each(|_| drop(events(&mut sim, SECOND)));
    });
    assert!(missed.contains("script \"cat\", step 0 (expect \"meow\" within 1000 ms)"), "{missed}");
}

#[test]
fn to_close_something_in_each_turn_is_no_spin() {
    let (_, mut sim, _) = quiet_world();
    for port in 1_000..2_000 {
        let listener = sim.listen(([10, 0, 0, 1], port).into(), 1).unwrap();
        assert!(events(&mut sim, Duration::ZERO).is_empty());
        sim.close(listener);
    }
}

#[test]
fn the_end_can_be_waited_for() {
    let (world, mut sim, listener) = quiet_world();
    let wakes = wakes(2);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(pin!(world.peers_gone()).poll(&mut cx).is_ready(), "there was none");
    world.connect(at(), SECOND, Script::new("c").reset());
    let (mut gone, mut quiet) = (pin!(world.peers_gone()), pin!(world.quiet()));
    let waker = wakes.waker(1);
    let mut cx = Context::from_waker(&waker);
    assert_eq!(gone.as_mut().poll(&mut cx), Poll::Pending);
    assert_eq!(quiet.as_mut().poll(&mut cx), Poll::Pending);
    sim.poll(None, wakes, &mut |event| assert_eq!(event.token, token(1))).unwrap();
    sim.poll(None, wakes, &mut |_| ()).unwrap();
    assert!(gone.as_mut().poll(&mut cx).is_ready());
    wakes.take(&mut |_| ());
    sim.poll(None, wakes, &mut |_| ()).unwrap();
    assert!(quiet.as_mut().poll(&mut cx).is_ready());
    wakes.take(&mut |_| ());
    // Who died while it waited is skipped.
    assert_eq!(sim.accept(listener).err(), Some(nb::Error::WouldBlock));
    assert_eq!(world.open(), Open { listeners: 1, ..Open::default() });
}

#[test]
fn peers_may_use_the_world_while_they_are_called() {
    struct Again(u32, Rc<Cell<u32>>);
    impl Peer for Again {
        fn on_event(&mut self, event: PeerEvent, end: &mut PeerEnd<'_>) {
            match event {
                PeerEvent::Connected if self.0 > 0 => {
                    let next = Again(self.0 - 1, self.1.clone());
                    end.world().connect(at(), Duration::from_millis(1), next);
                    end.timer_in(SECOND, self.0);
                }
                PeerEvent::Timer(id) => {
                    self.1.set(self.1.get() + id);
                    end.close();
                }
                _ => end.close(),
            }
        }
    }
    let world = World::new(5, Faults::NONE);
    let sum = Rc::new(Cell::new(0));
    let mut server = Small::<true>::new(&world, 8);
    world.connect(at(), Duration::ZERO, Again(3, sum.clone()));
    server.serve(&world);
    assert_eq!((sum.get(), server.accepted), (6, 4));
}

// ---- each rare fault, that it happens

/// Polls for `wait`, a bit more than it takes; what was reported, and when on the world's clock.
fn polled(world: &World, sim: &mut Sim, wait: Duration) -> Vec<(u64, String)> {
    let until = world.now() + wait;
    let mut seen = vec![];
    while world.now() < until {
        let left = sim.now() + (until - world.now());
        sim.poll(Some(left), wakes(1), &mut |event| {
            seen.push((event.token.as_u64(), format!("{:?}", event.ready)));
        })
        .unwrap();
    }
    seen
}

#[test]
fn a_stalled_reactor_finds_what_happened_meanwhile() {
    let (world, mut sim, listener) = quiet_world();
    let stall_us = (3_000_000, 3_000_000);
    world.set_faults(Faults { stall_permille: 1_000, stall_us, ..Faults::NONE });
    let client = Script::new("c").send(b"early").wait(SECOND).fin();
    let record = client.record();
    world.connect(at(), Duration::ZERO, client);
    let until = sim.now() + SECOND;
    sim.poll(Some(until), wakes(1), &mut |event| assert_eq!(event.token, token(1))).unwrap();
    assert_eq!(world.now(), Instant::ZERO + SECOND + SECOND + SECOND, "the deadline is met late");
    let outcome = record.outcome();
    // Its peer lived on, by the clock.
    assert!(outcome.is_finished && outcome.connected_at.unwrap() < Instant::from_micros(1_000));
    sim.close(listener);
}

#[test]
fn a_clock_that_jumps_jumps_for_the_reactor_alone() {
    let (world, mut sim, listener) = quiet_world();
    let hour = Duration::from_secs(3_600);
    let clock_jump_us = (hour.as_micros(), hour.as_micros());
    world.set_faults(Faults { clock_jump_permille: 1_000, clock_jump_us, ..Faults::NONE });
    let until = sim.now() + MINUTE;
    sim.poll(Some(until), wakes(1), &mut |_| ()).unwrap();
    assert_eq!(world.now(), Instant::from_micros(1), "what was due within a minute is due at once");
    assert_eq!(sim.now() - world.now(), hour);
    assert_eq!(sim.unix_seconds(), Some(784_111_777 + 3_600));
    // From then on it goes evenly again.
    world.set_faults(Faults::NONE);
    let until = sim.now() + SECOND;
    sim.poll(Some(until), wakes(1), &mut |_| ()).unwrap();
    assert_eq!((sim.now(), world.now()), (until, Instant::from_micros(1) + SECOND));
    sim.close(listener);
}

#[test]
fn a_clock_that_goes_back_makes_a_wait_longer() {
    let (world, mut sim, listener) = quiet_world();
    events(&mut sim, MINUTE);
    let clock_back_us = (5_000_000, 5_000_000);
    let (before, until) = (sim.now(), sim.now() + SECOND);
    world.set_faults(Faults { clock_back_permille: 1_000, clock_back_us, ..Faults::NONE });
    sim.poll(Some(until), wakes(1), &mut |_| ()).unwrap();
    assert_eq!(sim.now(), until);
    assert_eq!((world.now() - before).as_micros(), 6_000_000);
    sim.close(listener);
}

#[test]
fn an_event_may_come_twice_and_in_parts() {
    let (world, mut sim, listener) = quiet_world();
    let client = Script::new("c").wait(SECOND).send(b"x").reset();
    world.connect(at(), Duration::ZERO, client);
    events(&mut sim, SECOND);
    world.set_faults(Faults { split_event_permille: 1_000, ..Faults::NONE });
    accept(&mut sim, listener, 2);
    let seen = polled(&world, &mut sim, SECOND + SECOND);
    let seen: Vec<&str> = seen.iter().map(|(_, what)| what.as_str()).collect();
    // The bytes are news of one bit; the reset's come one after the other, GONE last.
    assert_eq!(seen, ["w", "r", "r", "rc", "rcg"]);
    sim.close(listener);

    let (world, mut sim, listener) = quiet_world();
    world.set_faults(Faults { repeated_event_permille: 1_000, ..Faults::NONE });
    world.connect(at(), Duration::ZERO, Script::new("c").wait(MINUTE));
    assert_eq!(polled(&world, &mut sim, SECOND), [(1, "r".to_string()), (1, "r".to_string())]);
    sim.close(listener);
}

#[test]
fn a_wake_may_have_no_reason() {
    let (world, mut sim, listener) = quiet_world();
    world.set_faults(Faults { spurious_wake_permille: 1_000, ..Faults::NONE });
    let wakes = wakes(2);
    let mut taken = [0; 64];
    for _ in 0..200 {
        let until = sim.now() + SECOND;
        sim.poll(Some(until), wakes, &mut |_| ()).unwrap();
        wakes.take(&mut |leaf| taken[leaf] += 1);
    }
    assert_eq!(taken.iter().sum::<u32>(), 200, "one each time");
    assert!(taken[0] > 0 && taken[1] > 0);
    sim.close(listener);
}

#[test]
fn handles_run_out_and_come_back() {
    let (world, mut sim, listener) = quiet_world();
    world.set_faults(Faults { handles_max: 1, ..Faults::NONE });
    for _ in 0..2 {
        world.connect(at(), Duration::ZERO, Script::new("c").expect_close(MINUTE));
    }
    events(&mut sim, SECOND);
    let io = accept(&mut sim, listener, 2);
    let exhausted = nb::Error::Other(Error::new(ErrorKind::OutOfMemory));
    assert_eq!(sim.accept(listener).err(), Some(exhausted));
    assert_eq!(sim.connect(at(), None), Err(Error::new(ErrorKind::OutOfMemory)));
    sim.close(io);
    accept(&mut sim, listener, 3);
}

#[test]
fn a_window_of_one_byte_passes_everything_in_the_end() {
    let (world, mut sim, listener) = quiet_world();
    world.set_faults(Faults { window_bytes: (1, 1), ..Faults::NONE });
    let client = Script::new("c").send(b"abc").expect_contains(b"xyz", SECOND);
    world.connect(at(), Duration::ZERO, client);
    events(&mut sim, SECOND);
    let io = accept(&mut sim, listener, 2);
    let (mut read, mut unsent) = (vec![], &b"xyz"[..]);
    while read.len() < 3 || !unsent.is_empty() {
        events(&mut sim, SECOND);
        let mut buf = [0; 9];
        if let Ok(count) = sim.read(io, &mut buf) {
            assert_eq!(count, 1);
            read.extend_from_slice(&buf[..count]);
        }
        if !unsent.is_empty()
            && let Ok(count) = sim.write(io, unsent)
        {
            assert_eq!(count, 1);
            unsent = &unsent[count..];
        }
    }
    assert_eq!(read, b"abc");
    sim.close(io);
    sim.close(listener);
}

/// What is written in two parts leaves in one write where the world takes parts of writes.
#[test]
fn two_parts_are_one_write_or_two() {
    for (write_whole_waits, window, taken) in [(false, 6, 6), (true, 6, 6), (true, 3, 3)] {
        let (world, mut sim, listener) = quiet_world();
        let window_bytes = (window, window);
        world.set_faults(Faults { write_whole_waits, window_bytes, ..Faults::NONE });
        world.connect(at(), Duration::ZERO, Script::new("c").wait(MINUTE));
        events(&mut sim, SECOND);
        let io = accept(&mut sim, listener, 2);
        assert_eq!(sim.write_vectored(io, b"head", b"rest"), Ok(taken), "{write_whole_waits}");
        sim.close(io);
        sim.close(listener);
    }
}

#[test]
fn every_rare_fault_is_on_in_some_worlds_and_in_most_none() {
    let mut seen = [0; 6];
    let mut common = 0;
    for faults in (0..400).map(Faults::extreme) {
        let on = [
            faults.stall_permille != 0,
            faults.clock_jump_permille != 0 && faults.clock_jump_us.1 < 3_600_000_000,
            faults.clock_jump_permille != 0 && faults.clock_jump_us.1 > 3_600_000_000,
            faults.clock_back_permille != 0,
            faults.window_bytes.0 == 1,
            faults.handles_max != usize::MAX,
        ];
        for (count, on) in seen.iter_mut().zip(on) {
            *count += u32::from(on);
        }
        assert_eq!(faults.bends_time(), on[..5].contains(&true), "{faults:?}");
        common += u32::from(!on.contains(&true));
    }
    assert!(seen.iter().all(|count| (20..120).contains(count)), "{seen:?}");
    assert!((120..280).contains(&common), "{common}");
}
