//! `conformance` on Linux: one worker unless more are asked for, so that `/counters` counts it all,
//! and all of its memory in use from the start, so that it is seen whether it takes more.

use std::process::ExitCode;

use conformance::App;
use dustdevil_core::reactor::Reactor;
use dustdevil_http::{BufPool, Capacity, Limits, Server};
use dustdevil_std::{Epoll, Options, percore, resident};

/// Longest body that every request can echo at once, in bytes.
const SHORT_BYTES: usize = 4 * 1024;

/// Longer ones that can be echoed at once, and how long they may be, in bytes.
const LONG_ECHOES: usize = 8;
const LONG_BYTES: usize = 1024 * 1024;

fn main() -> ExitCode {
    let mut options = Options::parse();
    if !std::env::args().any(|word| word.starts_with("--workers")) {
        options.workers = 1;
    }
    percore::run(options, |worker| {
        let capacity = Capacity::for_connections(worker.options().connections);
        let short_room = BufPool::room(capacity.requests, SHORT_BYTES + 8);
        let mut echoes = resident(short_room + BufPool::room(LONG_ECHOES, LONG_BYTES));
        let mut block = echoes.block();
        let short = BufPool::new(&mut block, capacity.requests, SHORT_BYTES + 8);
        let long = BufPool::new(&mut block, LONG_ECHOES, LONG_BYTES);
        let app = App::new(&short, SHORT_BYTES).with_long_echoes(&long, LONG_BYTES);
        let reactor_capacity = capacity.reactor();
        let mut tables = resident(reactor_capacity.bytes());
        let mut memory = resident(capacity.bytes::<App>());
        let wakes = worker.wakes(reactor_capacity.tasks);
        let reactor = Reactor::new(Epoll::new()?, tables.block(), reactor_capacity, wakes);
        let listener = reactor.listen(worker.address(), capacity.backlog())?;
        let server = Server::new(&app, memory.block(), capacity, Limits::DEFAULT);
        reactor.run(server.serve_until(&reactor, listener, worker.stopped()));
        Ok(())
    })
}
