//! `chat-tcp` on Linux: one room, hence one worker; `--connections` is its number of seats.

use std::process::ExitCode;

use chat_tcp::{App, Capacity, Limits};
use dustdevil_core::handle::Handle;
use dustdevil_core::reactor::Reactor;
use dustdevil_core::tcp::TcpListener;
use dustdevil_std::{Epoll, Options, percore, zeroed};
use embassy_futures::join::join;

fn main() -> ExitCode {
    let options = Options::parse_as("A chat by lines on Dustdevil, in one room", "");
    percore::run(Options { workers: 1, scheme: "", ..options }, |worker| {
        let clients = worker.options().connections;
        let capacity = Capacity { clients, messages: 1_024, door: 16 };
        let mut tables = zeroed(capacity.reactor().bytes());
        let (mut room, mut server) = (zeroed(capacity.bytes()), zeroed(capacity.server_bytes()));
        let wakes = worker.wakes(capacity.reactor().tasks);
        let reactor = Reactor::new(Epoll::new()?, tables.block(), capacity.reactor(), wakes);
        let rt = Handle::from(&reactor);
        let listener = TcpListener::bind(rt, worker.address(), 1_024)?;
        let app = App::new(room.block(), capacity, Limits::DEFAULT);
        let stop = async {
            worker.stopped().await;
            rt.stop();
        };
        reactor.run(join(chat_tcp::serve(rt, &app, listener, server.block()), stop));
        Ok(())
    })
}
