//! What RFC 9110 and RFC 9112 ask of a server, read off the wire: bytes in, bytes out. The table in
//! `http/RFC.md` says which test holds which sentence.

mod app;
mod choices;
mod connection;
mod fields;
mod framing;
mod machine;
mod semantics;

use std::net::SocketAddr;

use dustdevil_core::memory::Owned;
use dustdevil_core::nb;
use dustdevil_core::poller::{Error, Event, Io, Poller, Token, Transport};
use dustdevil_core::reactor::Reactor;
use dustdevil_core::sim::{self, Ended, Faults, Script, Sim, World};
use dustdevil_core::time::{Clock, Duration, Instant};
use dustdevil_core::wake::{Unpark, WakeTree};
use dustdevil_http::{Capacity, Limits, Server};

use crate::util::secs;
use crate::world::address;
use app::App;

const CAPACITY: Capacity = Capacity { out_bytes: 4_096, ..Capacity::SMALL };
const LIMITS: Limits = Limits { server_name: "", body_bytes_max: 1_000, ..Limits::DEFAULT };

/// The world begins at this second, and what is asked at once is answered in it.
const DATE: &str = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
/// Stands behind what a peer is told when the server has closed the connection, and at once.
const FIN: &str = "<FIN>";

/// All that a peer is told which sends `input` and waits for a second, but for `Date`.
#[track_caller]
fn told(input: impl AsRef<[u8]>) -> String {
    play(script(input.as_ref()), true).replace(DATE, "")
}

/// Each status that a peer is told, and whether that was all: `"200 400 <FIN>"`.
#[track_caller]
fn statuses(input: impl AsRef<[u8]>) -> String {
    let told = told(input);
    let codes = crate::util::statuses(&told).into_iter().map(|code| code.to_string());
    let end = told.ends_with(FIN).then(|| FIN.to_owned());
    codes.chain(end).collect::<Vec<_>>().join(" ")
}

/// Requests and what they are told, as [`told`] says it.
#[track_caller]
fn check(table: &[(&str, &str)]) {
    for (input, output) in table {
        assert_eq!(told(input), *output, "{input:?}");
    }
}

/// Requests and what they are told, as [`statuses`] says it.
#[track_caller]
fn check_statuses(table: &[(&[u8], &str)]) {
    for (input, output) in table {
        assert_eq!(statuses(input), *output, "{}", input.escape_ascii());
    }
}

fn script(input: &[u8]) -> Script {
    Script::new("peer").send(input).wait(secs(1))
}

/// What this peer is told before it ends, `Date` included. `has_clock`: the server knows the time.
#[track_caller]
fn play(script: Script, has_clock: bool) -> String {
    let world = World::new(1, Faults::NONE);
    world.keep_trace();
    let record = script.record();
    world.connect(address(), Duration::ZERO, script);
    if has_clock {
        serve(Sim::<true>::new(&world), &world);
    } else {
        serve(Clockless(Sim::<true>::new(&world)), &world);
    }
    let outcome = record.outcome();
    assert_ne!(outcome.ended, Some(Ended::Reset), "{:?}", outcome.text());
    // A peer whose script is done sends FIN, and is answered with one.
    let is_closed_early = outcome.ended_at < Some(world_start(&outcome) + secs(1));
    outcome.text() + if is_closed_early { FIN } else { "" }
}

fn world_start(outcome: &sim::Outcome) -> Instant {
    outcome.connected_at.expect("it was connected")
}

fn serve<P: Transport>(poller: P, world: &World) {
    let memory = |bytes: usize| Owned::new(vec![0_u64; bytes.div_ceil(8)].into_boxed_slice());
    let tables = CAPACITY.reactor();
    let mut reactor_memory = memory(tables.bytes());
    let mut server_memory = memory(CAPACITY.bytes::<App>());
    let wakes = sim::wakes(tables.tasks);
    let reactor = Reactor::new(poller, reactor_memory.block(), tables, wakes);
    let listener = reactor.listen(address(), 8).expect("the address is free");
    let server = Server::new(&App, server_memory.block(), CAPACITY, LIMITS);
    reactor.run(server.serve_until(&reactor, listener, world.peers_gone()));
}

/// The simulated world on a device that does not know the time of day.
struct Clockless<P>(P);

impl<P: Clock> Clock for Clockless<P> {
    fn now(&self) -> Instant {
        self.0.now()
    }
}

impl<P: Poller> Poller for Clockless<P> {
    fn register(&mut self, io: Io, token: Token) -> Result<(), Error> {
        self.0.register(io, token)
    }
    fn poll(
        &mut self,
        deadline: Option<Instant>,
        wakes: &WakeTree,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<(), Error> {
        self.0.poll(deadline, wakes, on_event)
    }
    fn unpark(&self) -> Option<&'static dyn Unpark> {
        self.0.unpark()
    }
}

impl<P: Transport> Transport for Clockless<P> {
    const SHORT_READ_DRAINS: bool = P::SHORT_READ_DRAINS;

    fn listen(&mut self, at: SocketAddr, backlog: u16) -> Result<Io, Error> {
        self.0.listen(at, backlog)
    }
    fn accept(&mut self, listener: Io) -> nb::Result<(Io, SocketAddr), Error> {
        self.0.accept(listener)
    }
    fn connect(&mut self, to: SocketAddr, from: Option<SocketAddr>) -> Result<Io, Error> {
        self.0.connect(to, from)
    }
    fn read(&mut self, io: Io, buf: &mut [u8]) -> nb::Result<usize, Error> {
        self.0.read(io, buf)
    }
    fn write(&mut self, io: Io, data: &[u8]) -> nb::Result<usize, Error> {
        self.0.write(io, data)
    }
    fn write_whole(&mut self, io: Io, data: &[u8]) -> nb::Result<usize, Error> {
        self.0.write_whole(io, data)
    }
    fn shutdown(&mut self, io: Io) {
        self.0.shutdown(io);
    }
    fn close(&mut self, io: Io) {
        self.0.close(io);
    }
    fn abort(&mut self, io: Io) {
        self.0.abort(io);
    }
    fn peer(&self, io: Io) -> Option<SocketAddr> {
        self.0.peer(io)
    }
    fn local(&self, io: Io) -> Option<SocketAddr> {
        self.0.local(io)
    }
}
