//! A turn's work is bounded: whatever waits, the server does so much of it and no more before the
//! poller is asked again. What a turn costs is measured by `cargo xtask bench tails`; here the
//! pieces are counted.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use dustdevil_core::memory::Owned;
use dustdevil_core::reactor::Reactor;
use dustdevil_core::sim::{self, Faults, Script, Sim, World};
use dustdevil_core::time::Duration;
use dustdevil_http::server::StatsSnapshot;
use dustdevil_http::{Capacity, Limits, Server};

use crate::app::App;
use crate::util::{GET, get, ms, post, secs};
use crate::world::address;

/// Peers in each world: more than any budget but that of requests.
const PEERS: usize = 1_500;
/// Slots for requests.
const REQUESTS: usize = 600;

/// The most that the server did in one turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Most {
    accepted: u32,
    closed: u32,
    requests: u32,
    timed_out: u32,
}

impl Most {
    fn see(self, before: StatsSnapshot, after: StatsSnapshot) -> Self {
        let accepted = after.accepted - before.accepted;
        Self {
            accepted: self.accepted.max(accepted),
            closed: self.closed.max(before.open + accepted - after.open),
            requests: self.requests.max(after.requests - before.requests),
            timed_out: self.timed_out.max(after.timed_out - before.timed_out),
        }
    }
}

/// Serves so many peers, each of which comes with `script`, all at the same moment, and tells the
/// server to stop after `stop`; the most that was done in a turn, and in all.
fn serve(peers: usize, stop: Duration, script: impl Fn(usize) -> Script) -> (Most, StatsSnapshot) {
    let world = World::new(1, Faults::NONE);
    for peer in 0..peers {
        world.connect(address(), ms(1), script(peer));
    }
    let capacity = Capacity {
        connections: peers + 1,
        requests: REQUESTS,
        heads: 2 * REQUESTS,
        out_bytes: 4_096,
        ..Capacity::SMALL
    };
    let limits = Limits {
        idle_ms: 20_000,
        handler_ms: 5_000,
        queue_ms: 60_000,
        stop_ms: 3_000,
        ..Limits::DEFAULT
    };
    let tables = capacity.reactor().plus_timers(1);
    let memory = |bytes: usize| Owned::new(vec![0_u64; bytes.div_ceil(8)].into_boxed_slice());
    let (mut reactor_memory, mut server_memory) =
        (memory(tables.bytes()), memory(capacity.bytes::<App>()));
    let wakes = sim::wakes(tables.tasks);
    let poller = Sim::<true>::new(&world);
    let reactor = Reactor::new(poller, reactor_memory.block(), tables, wakes);
    let listener = reactor.listen(address(), u16::MAX).expect("the address is free");
    let app = App::default();
    let server = Server::new(&app, server_memory.block(), capacity, limits);
    let probe = server.probe();
    let told = dustdevil_core::handle::Handle::from(&reactor).sleep(stop);
    let mut served = pin!(server.serve_until(&reactor, listener, told));
    let most = Cell::new(Most::default());
    reactor.run(poll_fn(|cx| {
        let before = probe.stats();
        let polled = served.as_mut().poll(cx);
        most.set(most.get().see(before, probe.stats()));
        if polled.is_ready() { Poll::Ready(()) } else { Poll::Pending }
    }));
    (most.get(), probe.stats())
}

#[test]
fn connections_are_accepted_64_in_a_turn() {
    let (most, all) =
        serve(PEERS, secs(1), |_| Script::new("comes").tolerant().expect_end(secs(9)));
    assert_eq!((most.accepted, all.accepted), (64, PEERS as u32));
}

#[test]
fn idle_connections_time_out_256_in_a_turn() {
    let script = |_| Script::new("idles").send(GET).expect_contains(b"simple", secs(9));
    let (most, all) = serve(PEERS, secs(30), |peer| script(peer).expect_end(secs(60)));
    assert_eq!((most.timed_out, all.timed_out), (256, PEERS as u32));
}

#[test]
fn late_handlers_are_ended_256_in_a_turn() {
    let script = |_| Script::new("hangs").tolerant().send(&get("/hang")).expect_end(secs(60));
    let (most, all) = serve(REQUESTS, secs(30), script);
    assert_eq!((most.timed_out, all.timed_out), (256, REQUESTS as u32));
}

/// 1,024 requests for each of those that are woken, that are ready, and that have waited; and who
/// is in the middle of a window goes on to the end of his 64.
#[test]
fn a_flood_of_requests_is_answered_in_turns() {
    let each = 100;
    let flood = get("/plain").repeat(each);
    let (most, all) = serve(PEERS, secs(9), |_| {
        let script = Script::new("floods").send(&flood);
        script.expect_contains(b"simple", secs(20)).tolerant().expect_end(secs(60))
    });
    assert_eq!(all.requests, (PEERS * each) as u32);
    assert!((256..=3 * (1_024 + 64)).contains(&most.requests), "{most:?}");
}

/// More wait for a slot than a turn has work, behind handlers that all end at once.
#[test]
fn those_who_waited_are_served_in_turns() {
    let peers = 2 * PEERS;
    let (most, all) = serve(peers, secs(9), |peer| {
        let (path, after) = if peer < REQUESTS { ("/slow/3000", 0) } else { ("/plain", 1_000) };
        let script = Script::new("waits").wait(ms(after)).send(&get(path));
        script.expect_contains(b"200 OK", secs(9)).expect_end(secs(60))
    });
    assert_eq!(all.requests, peers as u32);
    assert!(most.requests <= 1_024 + 64, "{most:?}");
}

#[test]
fn a_server_that_stops_closes_256_idle_ones_in_a_turn() {
    let script = |_| Script::new("idles").send(GET).expect_contains(b"simple", secs(9));
    let (most, all) = serve(PEERS, secs(5), |peer| script(peer).expect_end(secs(60)));
    assert_eq!((all.open, all.timed_out), (0, 0));
    assert!(most.closed <= 2 * 256, "{most:?}");
}

#[test]
fn what_is_left_at_the_stop_s_deadline_is_aborted_256_in_a_turn() {
    let body = post("/count", 10);
    let script = |_| Script::new("stays").tolerant().send(&body).expect_end(secs(60));
    let (most, all) = serve(REQUESTS, secs(1), script);
    assert_eq!((all.open, all.aborted), (0, REQUESTS as u32));
    assert!(most.closed <= 256, "{most:?}");
}
