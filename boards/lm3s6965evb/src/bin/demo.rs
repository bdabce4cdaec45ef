//! `demo` on the board: its page switches the board's own LED, and shows its memory and sockets.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use cortex_m_rt::entry;
use demo::{App, Row};
use dustdevil_core::memory::Memory;
use dustdevil_core::ram_within;
use dustdevil_core::reactor::{self, Reactor};
use dustdevil_core::wake::Wakes;
use dustdevil_http::{Capacity, Handle, Limits, Server};
use embassy_futures::select::{Either, select};
use lm3s6965evb::{self as board, Led, net};

// Linux fills half of a window at most with one segment: a browser's head is to come in one.
const NET: net::Capacity =
    net::Capacity { listening: 6, rx_bytes: 2048, tx_bytes: 2048, ..net::Capacity::NONE };
// A browser's request to its own machine has up to 20 fields, and cookies of other servers there.
const SERVER: Capacity = Capacity {
    connections: 6,
    requests: 3,
    heads: 6,
    head_bytes: 1536,
    fields: 24,
    ..Capacity::SMALL
};
// One more timer: the publisher's.
const REACTOR: reactor::Capacity = SERVER.reactor().plus_timers(1);
ram_within!(board::RAM_BYTES;
    "network" => NET.bytes(),
    "reactor" => REACTOR.bytes(),
    "server" => SERVER.bytes::<App<'static>>(),
);
static NET_MEMORY: Memory<{ NET.bytes() }> = Memory::new();
static REACTOR_MEMORY: Memory<{ REACTOR.bytes() }> = Memory::new();
static SERVER_MEMORY: Memory<{ SERVER.bytes::<App<'static>>() }> = Memory::new();
static WAKES: Wakes<{ REACTOR.tasks }> = Wakes::new();
static ROWS: [Row; 1] = [Row::new()];

#[entry]
fn main() -> ! {
    let poller = board::init(NET_MEMORY.take(), NET);
    let reactor = Reactor::new(poller, REACTOR_MEMORY.take(), REACTOR, &WAKES);
    let listener = reactor.listen(board::address(80), 8).expect("a free socket");
    let led = Led::new();
    let network = || reactor.poller(|net| board::network_figures(net, NET));
    let app = App::new(&led, &ROWS, 0, "LM3S6965EVB, smoltcp")
        .with_memory(&board::memory_figures)
        .with_network(&network);
    let server = Server::new(&app, SERVER_MEMORY.take(), SERVER, Limits::DEFAULT);
    let publish = app.publish(Handle::from(&reactor), server.stats());
    match reactor.run(select(server.serve(&reactor, listener), publish)) {
        Either::First(never) | Either::Second(never) => match never {},
    }
}
