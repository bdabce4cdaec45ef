//! `chat-tcp` on the board: a room of four at port 7000.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use chat_tcp::{App, Capacity, Limits};
use cortex_m_rt::entry;
use dustdevil_core::handle::Handle;
use dustdevil_core::memory::Memory;
use dustdevil_core::reactor::{self, Reactor};
use dustdevil_core::tcp::TcpListener;
use dustdevil_core::wake::Wakes;
use lm3s6965evb::{self as board, net};

const CHAT: Capacity = Capacity { clients: 4, messages: 32, door: 1 };
const NET: net::Capacity = net::Capacity {
    listening: CHAT.connections(),
    rx_bytes: 512,
    tx_bytes: 1024,
    ..net::Capacity::NONE
};
const REACTOR: reactor::Capacity = CHAT.reactor();
static NET_MEMORY: Memory<{ NET.bytes() }> = Memory::new();
static REACTOR_MEMORY: Memory<{ REACTOR.bytes() }> = Memory::new();
static CHAT_MEMORY: Memory<{ CHAT.bytes() }> = Memory::new();
static SERVER_MEMORY: Memory<{ CHAT.server_bytes() }> = Memory::new();
static WAKES: Wakes<{ REACTOR.tasks }> = Wakes::new();

#[entry]
fn main() -> ! {
    let poller = board::init(NET_MEMORY.take(), NET);
    let reactor = Reactor::new(poller, REACTOR_MEMORY.take(), REACTOR, &WAKES);
    let rt = Handle::from(&reactor);
    let listener = TcpListener::bind(rt, board::address(7000), 4).expect("a free socket");
    let app = App::new(CHAT_MEMORY.take(), CHAT, Limits::DEFAULT);
    reactor.run(chat_tcp::serve(rt, &app, listener, SERVER_MEMORY.take()));
    unreachable!("nobody asks the reactor to stop")
}
