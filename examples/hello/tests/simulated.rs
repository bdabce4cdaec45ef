//! How one tests an application: in a simulated world, without a socket, a thread or a real clock.
#![cfg(target_os = "linux")]

use dustdevil_core::reactor::Reactor;
use dustdevil_core::sim::{self, Faults, Script, Sim, World};
use dustdevil_core::time::Duration;
use dustdevil_http::{Capacity, Limits, Server};
use dustdevil_std::zeroed;
use hello::App;

#[test]
fn it_says_hello_and_knows_no_other_page() {
    let soon = Duration::from_secs(5);
    let browser = Script::new("browser")
        .send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        .expect_contains(b"HTTP/1.1 200 OK\r\n", soon)
        .expect_contains(b"\r\n\r\nHello, world", soon)
        .send(b"GET /elsewhere HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        .expect_contains(b"HTTP/1.1 404 Not Found\r\n", soon)
        .expect_close(soon);
    let record = browser.record();

    // The seed decides how the bytes are cut and how late they come: the same in each run.
    let world = World::new(7, Faults::lossless());
    let at = "10.0.0.1:80".parse().unwrap();
    world.connect(at, soon, browser);

    let capacity = Capacity::SMALL;
    let tables = capacity.reactor();
    let mut reactor_memory = zeroed(tables.bytes());
    let mut server_memory = zeroed(capacity.bytes::<App>());
    let wakes = sim::wakes(tables.tasks);
    let reactor = Reactor::new(Sim::new(&world) as Sim, reactor_memory.block(), tables, wakes);
    let listener = reactor.listen(at, 4).unwrap();
    let server = Server::new(&App, server_memory.block(), capacity, Limits::DEFAULT);
    reactor.run(server.serve_until(&reactor, listener, world.peers_gone()));

    assert!(record.outcome().is_finished, "{}", record.outcome().text());
    world.assert_all_closed();
}
