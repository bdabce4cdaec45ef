//! `hello` on the board.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use cortex_m_rt::entry;
use dustdevil_core::memory::Memory;
use dustdevil_core::reactor::{self, Reactor};
use dustdevil_core::wake::Wakes;
use dustdevil_http::{Capacity, Limits, Server};
use hello::App;
use lm3s6965evb::{self as board, net};

const NET: net::Capacity =
    net::Capacity { listening: 4, rx_bytes: 1024, tx_bytes: 1024, ..net::Capacity::NONE };
const SERVER: Capacity =
    Capacity { connections: 4, requests: 2, heads: 3, head_bytes: 1024, ..Capacity::SMALL };
const REACTOR: reactor::Capacity = SERVER.reactor();
static NET_MEMORY: Memory<{ NET.bytes() }> = Memory::new();
static REACTOR_MEMORY: Memory<{ REACTOR.bytes() }> = Memory::new();
static SERVER_MEMORY: Memory<{ SERVER.bytes::<App>() }> = Memory::new();
static WAKES: Wakes<{ REACTOR.tasks }> = Wakes::new();

#[entry]
fn main() -> ! {
    let poller = board::init(NET_MEMORY.take(), NET);
    let reactor = Reactor::new(poller, REACTOR_MEMORY.take(), REACTOR, &WAKES);
    let listener = reactor.listen(board::address(80), 8).expect("a free socket");
    let server = Server::new(&App, SERVER_MEMORY.take(), SERVER, Limits::DEFAULT);
    match reactor.run(server.serve(&reactor, listener)) {}
}
