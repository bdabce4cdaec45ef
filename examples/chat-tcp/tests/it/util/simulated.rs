//! A room in a simulated world, and the story that its hub told.

use std::cell::RefCell;
use std::net::SocketAddr;

use chat_tcp::{App, Capacity, Limits, serve};
use dustdevil_core::handle::Handle;
use dustdevil_core::reactor::Reactor;
use dustdevil_core::sim::{self, Faults, Record, Script, Sim, World};
use dustdevil_core::tcp::TcpListener;
use dustdevil_core::time::Duration;
use dustdevil_std::zeroed;
use embassy_futures::join::join3;

/// Longer than anything takes in these worlds but what waits for a deadline of its own.
pub(crate) const SOON: Duration = Duration::from_secs(60);

pub(crate) const ROOM: Capacity = Capacity { clients: 4, messages: 16, door: 2 };

pub(crate) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(crate) fn at() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 7_000))
}

/// Somebody who comes after `delay`, gives its name, and is welcome.
pub(crate) fn guest(name: &str) -> Script {
    let line = format!("{name}\n");
    let script = Script::new(name).expect_contains(b"- your name?\n", SOON).send(line.as_bytes());
    script.expect_contains(b"- welcome", SOON)
}

/// The room of a world until every peer is gone: what everybody could read, in order.
pub(crate) fn story(world: &World, capacity: Capacity, limits: Limits) -> Vec<String> {
    let tables = capacity.reactor().plus_timers(1);
    let (mut reactor_memory, mut memory) = (zeroed(tables.bytes()), zeroed(capacity.bytes()));
    let mut server_memory = zeroed(capacity.server_bytes());
    let wakes = sim::wakes(tables.tasks);
    let sim: Sim = Sim::new(world);
    let reactor = Reactor::new(sim, reactor_memory.block(), tables, wakes);
    let app = App::new(memory.block(), capacity, limits);
    let rt = Handle::from(&reactor);
    let story = RefCell::new(Vec::new());
    let mut follower = app.follow();
    let follow = async {
        while let Some(message) = follower.next().await.expect("one that reads in each turn") {
            story.borrow_mut().push(message.as_str().to_owned());
        }
    };
    let end = async {
        world.peers_gone().await;
        rt.stop();
    };
    let listener = TcpListener::bind(rt, at(), 64).unwrap();
    let server = serve(rt, &app, listener, server_memory.block());
    reactor.run(join3(server, follow, end));
    assert_eq!(app.present(), 0, "every seat is free again");
    reactor.check();
    world.assert_all_closed();
    story.take()
}

/// A room without faults.
pub(crate) fn calm(limits: Limits, guests: Vec<Script>) -> (Vec<String>, Vec<Record>) {
    let world = World::new(1, Faults::NONE);
    let records = guests.iter().map(Script::record).collect();
    for guest in guests {
        world.connect(at(), millis(1), guest);
    }
    (story(&world, ROOM, limits), records)
}
