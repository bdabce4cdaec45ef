//! `bench` with routes for tests: what is in use, and failures on purpose while it serves.
//!
//! `GET /probe` answers with figures of the moment, as a JSON object of whole numbers; the request
//! that asks counts in them. `GET /panic` panics, `GET /overflow` recurses until the stack is full.
//! Everything else is `bench`, with its capacity but for room for the figures.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::fmt::{self, Write};
use core::hint::black_box;

use cortex_m_rt::entry;
use dustdevil_core::memory::Memory;
use dustdevil_core::reactor::{self, Reactor};
use dustdevil_core::wake::Wakes;
use dustdevil_http::{
    Application, Capacity, Exchange, Fault, Limits, MediaType, Reply, Sent, Server, Status, text,
};
use dustdevil_smoltcp::Net;
use lm3s6965evb::{self as board, Ethernet, SystemClock, net};

const NET: net::Capacity =
    net::Capacity { listening: 4, rx_bytes: 1024, tx_bytes: 1024, ..net::Capacity::NONE };
const SERVER: Capacity =
    Capacity { connections: 4, requests: 2, heads: 3, head_bytes: 1024, ..Capacity::SMALL };
const REACTOR: reactor::Capacity = SERVER.reactor();
static NET_MEMORY: Memory<{ NET.bytes() }> = Memory::new();
static REACTOR_MEMORY: Memory<{ REACTOR.bytes() }> = Memory::new();
static SERVER_MEMORY: Memory<{ SERVER.bytes::<App<'static>>() }> = Memory::new();
static WAKES: Wakes<{ REACTOR.tasks }> = Wakes::new();

#[entry]
fn main() -> ! {
    let poller = board::init(NET_MEMORY.take(), NET);
    let reactor = Reactor::new(poller, REACTOR_MEMORY.take(), REACTOR, &WAKES);
    let listener = reactor.listen(board::address(80), 8).expect("a free socket");
    let app = App { reactor: &reactor };
    let server = Server::new(&app, SERVER_MEMORY.take(), SERVER, Limits::DEFAULT);
    match reactor.run(server.serve(&reactor, listener)) {}
}

/// `bench`, and what tests ask for.
struct App<'a> {
    reactor: &'a Reactor<'a, Net<'static, Ethernet, SystemClock>>,
}

impl Application for App<'_> {
    async fn respond(&self, x: Exchange<'_>) -> Result<Sent, Fault> {
        match x.head.path() {
            "/probe" => probe(self, x).await,
            "/panic" => panic!("on purpose"),
            "/overflow" => x.out.reply(text(if deeper(0) == 0 { "none" } else { "some" })).await,
            _ => bench::App.respond(x).await,
        }
    }
}

async fn probe(app: &App<'_>, x: Exchange<'_>) -> Result<Sent, Fault> {
    let (server, reactor) = (x.head.stats().snapshot(), x.rt.snapshot());
    let sockets = |count: fn(&Net<'static, Ethernet, SystemClock>) -> usize| {
        app.reactor.poller(|net| count(net)) as u64
    };
    let figures = [
        ("uptime_us", x.rt.now().as_micros()),
        ("open", server.open.into()),
        ("idle", server.idle.into()),
        ("in_work", server.in_work.into()),
        ("sockets_free", sockets(Net::free)),
        ("sockets_lingering", sockets(Net::lingering)),
        ("syns_held", sockets(Net::held)),
        ("sources", reactor.sources.into()),
        ("accepted", server.accepted.into()),
        ("shed", server.shed.into()),
        ("requests", server.requests.into()),
        ("rejected", server.rejected.into()),
        ("timed_out", server.timed_out.into()),
        ("aborted", server.aborted.into()),
        ("longest_turn_us", reactor.longest_turn_us),
        ("stack_peak_bytes", board::stack_peak_bytes() as u64),
    ];
    let reply = Reply::new(Status::OK).content_type(MediaType::JSON);
    x.out.fill(reply, |out| write(&figures, out)).await
}

/// Each call keeps some bytes on the stack until the next one returns, which it never does.
#[expect(unconditional_recursion, reason = "that is what the stack's guard is for")]
#[inline(never)]
fn deeper(depth: u32) -> u32 {
    let kept = black_box([depth; 8]);
    deeper(depth.wrapping_add(1)) + kept.iter().sum::<u32>()
}

/// Writes the object; how long it is.
fn write(figures: &[(&str, u64)], out: &mut [u8]) -> Result<usize, fmt::Error> {
    let mut text = Text { out, length: 0 };
    for (at, (name, figure)) in figures.iter().enumerate() {
        let before = if at == 0 { '{' } else { ',' };
        write!(text, "{before}\"{name}\":{figure}")?;
    }
    text.write_str("}")?;
    Ok(text.length)
}

/// Text in a slice, as long as there is room.
struct Text<'a> {
    out: &'a mut [u8],
    length: usize,
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let room = self.out.get_mut(self.length..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
