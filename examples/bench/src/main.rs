//! `bench` on Linux: a thread, reactor and listener for each worker.
//!
//! It answers what the boards' firmware does, and `/body`, which would take more flash than a board
//! has: a body of 100 KiB.

use std::process::ExitCode;

use bench::{json, plaintext, user};
use dustdevil_core::reactor::Reactor;
use dustdevil_http::{
    Capacity, Exchange, Fault, Limits, MediaType, Reply, Sent, Server, Status, routes,
};
use dustdevil_std::{Epoll, Options, percore, zeroed};

/// What `/body` says.
static BODY: [u8; 100 * 1024] = [b'x'; 100 * 1024];

/// The application: it has no state.
struct App;

routes!(App {
    GET "/plaintext" => plaintext,
    GET "/json" => json,
    GET "/" => plaintext,
    GET "/user/{id}" => user,
    GET "/body" => body,
});

async fn body(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let media = MediaType::new("application/octet-stream");
    x.out.reply(Reply::new(Status::OK).static_body(media, &BODY)).await
}

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
