//! `hello` on Linux: a thread, reactor and listener for each worker.

use std::process::ExitCode;

use dustdevil_core::reactor::Reactor;
use dustdevil_http::{Capacity, Limits, Server};
use dustdevil_std::{Epoll, Options, percore, zeroed};
use hello::App;

fn main() -> ExitCode {
    percore::run(Options::parse(), |worker| {
        let capacity = Capacity::for_connections(worker.options().connections);
        let reactor_capacity = capacity.reactor();
        let mut tables = zeroed(reactor_capacity.bytes());
        let mut memory = zeroed(capacity.bytes::<App>());
        let wakes = worker.wakes(reactor_capacity.tasks);
        let reactor = Reactor::new(Epoll::new()?, tables.block(), reactor_capacity, wakes);
        let listener = reactor.listen(worker.address(), capacity.backlog())?;
        let server = Server::new(&App, memory.block(), capacity, Limits::DEFAULT);
        reactor.run(server.serve_until(&reactor, listener, worker.stopped()));
        Ok(())
    })
}
