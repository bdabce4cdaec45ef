//! `conformance` on the board: what test suites are pointed at, with what the board has room for.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use conformance::{App, BoardFigures};
use cortex_m_rt::entry;
use dustdevil_core::memory::Memory;
use dustdevil_core::ram_within;
use dustdevil_core::reactor::{self, Reactor};
use dustdevil_core::wake::Wakes;
use dustdevil_http::{BufPool, Capacity, Limits, Server};
use lm3s6965evb::{self as board, net};

const NET: net::Capacity =
    net::Capacity { listening: 4, rx_bytes: 2048, tx_bytes: 2048, ..net::Capacity::NONE };
const SERVER: Capacity = Capacity {
    connections: 4,
    requests: 2,
    heads: 4,
    // A suite's heads are longer and have more fields than a visitor's.
    head_bytes: 2560,
    fields: 64,
    ..Capacity::SMALL
};
const REACTOR: reactor::Capacity = SERVER.reactor();
/// Longest body that is echoed, and the buffer for it, of which each request can have one.
const ECHO_BYTES: usize = 4096;
const ECHO_ROOM: usize = ECHO_BYTES + 8;
ram_within!(board::RAM_BYTES;
    "network" => NET.bytes(),
    "reactor" => REACTOR.bytes(),
    "server" => SERVER.bytes::<App<'static>>(),
    "echoed bodies" => BufPool::room(SERVER.requests, ECHO_ROOM),
);
static NET_MEMORY: Memory<{ NET.bytes() }> = Memory::new();
static REACTOR_MEMORY: Memory<{ REACTOR.bytes() }> = Memory::new();
static SERVER_MEMORY: Memory<{ SERVER.bytes::<App<'static>>() }> = Memory::new();
static ECHO_MEMORY: Memory<{ BufPool::room(SERVER.requests, ECHO_ROOM) }> = Memory::new();
static WAKES: Wakes<{ REACTOR.tasks }> = Wakes::new();

#[entry]
fn main() -> ! {
    let poller = board::init(NET_MEMORY.take(), NET);
    let reactor = Reactor::new(poller, REACTOR_MEMORY.take(), REACTOR, &WAKES);
    let listener = reactor.listen(board::address(80), 8).expect("a free socket");
    let buffers = BufPool::new(&mut ECHO_MEMORY.take(), SERVER.requests, ECHO_ROOM);
    let figures = || {
        reactor.poller(|net| BoardFigures {
            sockets_free: net.free() as u32,
            sockets_lingering: net.lingering() as u32,
            syns_held: net.held() as u32,
            stack_peak_bytes: board::stack_peak_bytes() as u32,
        })
    };
    let app = App::new(&buffers, ECHO_BYTES).with_board(&figures);
    let server = Server::new(&app, SERVER_MEMORY.take(), SERVER, Limits::DEFAULT);
    match reactor.run(server.serve(&reactor, listener)) {}
}
