//! `bench` on the board: what the figures of the board are taken of.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use bench::App;
use cortex_m_rt::entry;
use dustdevil_core::memory::Memory;
use dustdevil_core::ram_within;
use dustdevil_core::reactor::{self, Reactor};
use dustdevil_core::wake::Wakes;
use dustdevil_http::{Capacity, Limits, Server};

use lm3s6965evb::{self as board, net};

/// Sockets and connections; `cargo xtask size` builds it with others to see what one more costs.
const CONNECTIONS: usize = match option_env!("DUSTDEVIL_CONNECTIONS") {
    None => 4,
    Some(text) => match usize::from_str_radix(text, 10) {
        Ok(count) => count,
        Err(_) => panic!("DUSTDEVIL_CONNECTIONS is no number"),
    },
};
const NET: net::Capacity =
    net::Capacity { listening: CONNECTIONS, rx_bytes: 1024, tx_bytes: 1024, ..net::Capacity::NONE };
const SERVER: Capacity = Capacity {
    connections: CONNECTIONS,
    requests: 2,
    heads: 3,
    head_bytes: 1024,
    // No route reads a body or sends one that is longer than this with its head: the least of both.
    body_bytes: 512,
    out_bytes: 512,
    ..Capacity::SMALL
};
const REACTOR: reactor::Capacity = SERVER.reactor();
ram_within!(board::RAM_BYTES;
    "network" => NET.bytes(),
    "reactor" => REACTOR.bytes(),
    "server" => SERVER.bytes::<App>(),
);
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
