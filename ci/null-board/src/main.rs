//! `hello` as firmware, over a transport that does nothing: what dustdevil itself costs a board.
//!
//! It links without an allocator, and its sizes are budgets (`cargo xtask bench`). What a real
//! board adds is its drivers and a TCP stack.
//!
//! Invariant: nothing that [`Null`] does can be foreseen by the optimiser, which would otherwise
//! see that no connection ever comes and leave the whole server out.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::hint::black_box;
use core::net::{Ipv4Addr, SocketAddr};
use core::panic::PanicInfo;

use cortex_m::asm::wfi;
use cortex_m_rt::entry;
use dustdevil_core::memory::Memory;
use dustdevil_core::nb;
use dustdevil_core::poller::{Error, Event, Io, Poller, Token, Transport};
use dustdevil_core::reactor::{self, Reactor};
use dustdevil_core::time::{Clock, Instant};
use dustdevil_core::wake::{WakeTree, Wakes};
use dustdevil_http::{Capacity, Limits, Server, future_bytes};
use hello::App;

const SERVER: Capacity =
    Capacity { connections: 4, requests: 2, heads: 3, head_bytes: 1024, ..Capacity::SMALL };
const REACTOR: reactor::Capacity = SERVER.reactor();
static REACTOR_MEMORY: Memory<{ REACTOR.bytes() }> = Memory::new();
static SERVER_MEMORY: Memory<{ SERVER.bytes::<App>() }> = Memory::new();
static WAKES: Wakes<{ REACTOR.tasks }> = Wakes::new();

/// Read from the linked file: the size of hello's future, of which each request slot holds one.
#[used]
static BUDGET_HANDLER_BYTES: u32 = future_bytes::<App>() as u32;

#[entry]
fn main() -> ! {
    let reactor = Reactor::new(Null, REACTOR_MEMORY.take(), REACTOR, &WAKES);
    let at = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 80));
    let listener = reactor.listen(at, 4).expect("a table with room for one listener");
    let server = Server::new(&App, SERVER_MEMORY.take(), SERVER, Limits::DEFAULT);
    match reactor.run(server.serve(&reactor, listener)) {}
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        wfi();
    }
}

/// A world in which nothing happens, although nobody can know that.
struct Null;

impl Clock for Null {
    fn now(&self) -> Instant {
        black_box(Instant::ZERO)
    }

    fn unix_seconds(&self) -> Option<u64> {
        black_box(None)
    }
}

impl Poller for Null {
    fn register(&mut self, io: Io, token: Token) -> Result<(), Error> {
        black_box((io, token));
        black_box(Ok(()))
    }

    fn poll(
        &mut self,
        deadline: Option<Instant>,
        wakes: &WakeTree,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<(), Error> {
        // With interrupts masked, one that raises a flag after the question ends the wait at once.
        cortex_m::interrupt::free(|_| {
            if black_box(deadline).is_none_or(|at| at > self.now()) && wakes.park() {
                wfi();
                wakes.unparked();
            }
        });
        black_box(None).into_iter().for_each(on_event);
        black_box(Ok(()))
    }
}

impl Transport for Null {
    fn listen(&mut self, at: SocketAddr, backlog: u16) -> Result<Io, Error> {
        black_box((at, backlog));
        black_box(Ok(Io(0)))
    }

    fn accept(&mut self, listener: Io) -> nb::Result<(Io, SocketAddr), Error> {
        black_box(listener);
        nothing()
    }

    fn connect(&mut self, to: SocketAddr, from: Option<SocketAddr>) -> Result<Io, Error> {
        black_box((to, from));
        black_box(Err(Error::UNSUPPORTED))
    }

    fn read(&mut self, io: Io, buf: &mut [u8]) -> nb::Result<usize, Error> {
        black_box((io, buf));
        nothing()
    }

    fn write(&mut self, io: Io, data: &[u8]) -> nb::Result<usize, Error> {
        black_box((io, data));
        nothing()
    }

    fn shutdown(&mut self, io: Io) {
        black_box(io);
    }

    fn close(&mut self, io: Io) {
        black_box(io);
    }

    fn abort(&mut self, io: Io) {
        black_box(io);
    }

    fn peer(&self, io: Io) -> Option<SocketAddr> {
        black_box(io);
        black_box(None)
    }

    fn local(&self, io: Io) -> Option<SocketAddr> {
        black_box(io);
        black_box(None)
    }
}

/// `WouldBlock`, which might as well be anything else.
fn nothing<T>() -> nb::Result<T, Error> {
    black_box(Err(nb::Error::WouldBlock))
}
