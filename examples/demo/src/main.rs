//! `demo` on Linux: a thread, reactor and listener for each worker, and an LED for all of them.

use std::process::ExitCode;

use demo::{App, Row, SimulatedLed};
use dustdevil_core::reactor::Reactor;
use dustdevil_http::{Capacity, Handle, Limits, Server};
use dustdevil_std::{Epoll, Options, percore, zeroed};
use embassy_futures::select::select;

fn main() -> ExitCode {
    let options = Options::parse();
    let led = SimulatedLed::new();
    let rows: Vec<Row> = (0..options.workers).map(|_| Row::new()).collect();
    percore::run(options, |worker| {
        let app = App::new(&led, &rows, worker.index(), "Linux, epoll");
        let capacity = Capacity::for_connections(worker.options().connections);
        // One more timer: the publisher's.
        let reactor_capacity = capacity.reactor().plus_timers(1);
        let mut tables = zeroed(reactor_capacity.bytes());
        let mut memory = zeroed(capacity.bytes::<App>());
        let wakes = worker.wakes(reactor_capacity.tasks);
        let reactor = Reactor::new(Epoll::new()?, tables.block(), reactor_capacity, wakes);
        let listener = reactor.listen(worker.address(), capacity.backlog())?;
        let server = Server::new(&app, memory.block(), capacity, Limits::DEFAULT);
        let publish = app.publish(Handle::from(&reactor), server.stats());
        // The publisher never ends by itself: it ends with the server.
        reactor.run(select(server.serve_until(&reactor, listener, worker.stopped()), publish));
        Ok(())
    })
}
