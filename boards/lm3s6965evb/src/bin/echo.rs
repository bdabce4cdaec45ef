//! `echo` on the board: over TCP at port 7 and over the second serial port, at once.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use cortex_m_rt::entry;
use dustdevil_core::handle::Handle;
use dustdevil_core::memory::Memory;
use dustdevil_core::reactor::{Capacity, Reactor};
use dustdevil_core::tcp::TcpListener;
use dustdevil_core::wake::Wakes;
use echo::Limits;
use embassy_futures::join::join;
use lm3s6965evb::{self as board, net};

const CONNECTIONS: usize = 4;
const NET: net::Capacity =
    net::Capacity { listening: CONNECTIONS, rx_bytes: 1024, tx_bytes: 1024, ..net::Capacity::NONE };
/// A main future, and the serial port's deadline.
const BARE: Capacity = Capacity { sources: 0, timers: 1, groups: 0, tasks: 1, waiters: 0 };
const REACTOR: Capacity = echo::plus_server(BARE, CONNECTIONS);
static NET_MEMORY: Memory<{ NET.bytes() }> = Memory::new();
static REACTOR_MEMORY: Memory<{ REACTOR.bytes() }> = Memory::new();
static SERVER_MEMORY: Memory<{ echo::bytes(CONNECTIONS) }> = Memory::new();
static WAKES: Wakes<{ REACTOR.tasks }> = Wakes::new();

#[entry]
fn main() -> ! {
    let poller = board::init(NET_MEMORY.take(), NET);
    let uart = board::uart1!(115_200);
    let reactor = Reactor::new(poller, REACTOR_MEMORY.take(), REACTOR, &WAKES);
    let rt = Handle::from(&reactor);
    let listener = TcpListener::bind(rt, board::address(7), 4).expect("a free socket");
    let tcp = echo::serve(rt, listener, SERVER_MEMORY.take(), CONNECTIONS);
    let serial = echo::serve_port(rt, uart, Limits::DEFAULT);
    reactor.run(join(tcp, serial));
    unreachable!("nobody asks the reactor to stop")
}
