//! A server in a simulated world, run until its peers are gone, with every checker at each turn.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use dustdevil_core::memory::Owned;
use dustdevil_core::nb;
use dustdevil_core::poller::{Error, Event, Io, Poller, Token, Transport};
use dustdevil_core::reactor::Reactor;
use dustdevil_core::sim::{self, Sim, World};
use dustdevil_core::time::{Clock, Duration, Instant};
use dustdevil_core::wake::{Unpark, WakeTree};
use dustdevil_http::server::{Probe, StatsSnapshot};
use dustdevil_http::{Capacity, Limits, Server};

use crate::app::App;

/// What a server is made of.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) capacity: Capacity,
    pub(crate) limits: Limits,
    pub(crate) backlog: u16,
    /// Whether a short read drains, as under epoll.
    pub(crate) drains: bool,
    /// Whether the transport masks every byte: the place of TLS.
    pub(crate) masked: bool,
    /// How long the world goes on once all peers are gone, before everything must be given back.
    pub(crate) settle_ms: u64,
    /// Whether the server is told to stop then; else its future is dropped.
    pub(crate) stops: bool,
    /// When it is told to stop in any case.
    pub(crate) stop_after_ms: Option<u64>,
}

/// What a run tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// The counters before the server was told to stop.
    pub(crate) stats: StatsSnapshot,
    /// Head buffers that handlers forgot.
    pub(crate) heads_lost: usize,
    /// Calls of `write` and `write_whole` that took something.
    pub(crate) writes: u32,
    /// Turns of the reactor.
    pub(crate) turns: u32,
    /// When the server had ended.
    pub(crate) elapsed: Duration,
    /// The hash of the world's trace.
    pub(crate) hash: u64,
}

/// Where the server listens.
pub(crate) fn address() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 80))
}

/// Serves `app` in `world` until the peers that are in it are gone and everything has settled.
///
/// # Panics
/// When a checker finds something at any turn, or when something is not given back at the end.
pub(crate) fn serve(world: &World, setup: &Setup, app: &App) -> Report {
    match (setup.masked, setup.drains) {
        (false, true) => serve_on(Sim::<true>::new(world), world, setup, app),
        (false, false) => serve_on(Sim::<false>::new(world), world, setup, app),
        (true, true) => serve_on(Masked::new(Sim::<true>::new(world)), world, setup, app),
        (true, false) => serve_on(Masked::new(Sim::<false>::new(world)), world, setup, app),
    }
}

fn memory(bytes: usize) -> Owned<Box<[u64]>> {
    Owned::new(vec![0; bytes.div_ceil(8)].into_boxed_slice())
}

fn serve_on<P: Transport>(poller: P, world: &World, setup: &Setup, app: &App) -> Report {
    let writes = Rc::new(Cell::new(0));
    let poller = Counted { inner: poller, writes: writes.clone() };
    let capacity = setup.capacity;
    // One timer more, for the one who waits for the end.
    let tables = capacity.reactor().plus_timers(1);
    let mut reactor_memory = memory(tables.bytes());
    let mut server_memory = memory(capacity.bytes::<App>());
    let (seen, turns) = (Cell::new(None), Cell::new(0));
    {
        let wakes = sim::wakes(tables.tasks);
        let reactor = Reactor::new(poller, reactor_memory.block(), tables, wakes);
        let listener = reactor.listen(address(), setup.backlog).expect("the address is free");
        let server = Server::new(app, server_memory.block(), capacity, setup.limits);
        let probe = server.probe();
        let settled = settle(world, setup, &reactor, probe, &seen);
        let unchecked = Cell::new(true);
        if setup.stops {
            let served = pin!(server.serve_until(&reactor, listener, settled));
            reactor.run(Checked { inner: served, reactor: &reactor, probe, turns: &turns });
        } else {
            let mut settled = pin!(settled);
            let mut served = pin!(server.serve(&reactor, listener));
            // The server first: what was never polled has not taken its listener over.
            let both = poll_fn(|cx| match served.as_mut().poll(cx) {
                Poll::Ready(never) => match never {},
                Poll::Pending => settled.as_mut().poll(cx),
            });
            let both = pin!(both);
            reactor.run(Checked { inner: both, reactor: &reactor, probe, turns: &turns });
            unchecked.set(false);
        }
        if unchecked.get() {
            let (slots, heads, lost) = (probe.slots_out(), probe.heads_out(), probe.heads_lost());
            assert_eq!((slots, heads - lost), (0, 0), "slots and heads that are out at the end");
            assert_eq!(probe.stats().open, 0, "open at the end");
        }
    }
    world.assert_all_closed();
    let elapsed = world.elapsed();
    // What was sent last is still on its way.
    let mut rest = Sim::<true>::new(world);
    let until = world.now() + Duration::from_secs(3);
    while world.now() < until {
        rest.poll(Some(until), sim::wakes(1), &mut |_| ()).expect("a world to poll");
    }
    let (stats, heads_lost) = seen.take().expect("the end was waited for");
    Report {
        stats,
        heads_lost,
        writes: writes.get(),
        turns: turns.get(),
        elapsed,
        hash: world.trace_hash(),
    }
}

/// Waits until the peers are gone and some time has passed; then nothing may be left.
async fn settle<P: Transport>(
    world: &World,
    setup: &Setup,
    reactor: &Reactor<'_, P>,
    probe: Probe<'_>,
    seen: &Cell<Option<(StatsSnapshot, usize)>>,
) {
    let handle = dustdevil_core::handle::Handle::from(reactor);
    let millis = Duration::from_millis;
    match setup.stop_after_ms {
        Some(after) => handle.sleep(millis(after)).await,
        None => {
            world.peers_gone().await;
            handle.sleep(millis(setup.settle_ms)).await;
            let out = (probe.stats().open, probe.slots_out());
            if setup.stops && out != (0, 0) {
                world.fail(format_args!("connections and slots that never come back: {out:?}"));
            }
        }
    }
    seen.set(Some((probe.stats(), probe.heads_lost())));
}

/// The server's future with the checkers behind each of its turns.
struct Checked<'a, 'r, 'm, P, F: ?Sized> {
    inner: Pin<&'a mut F>,
    reactor: &'a Reactor<'m, P>,
    probe: Probe<'r>,
    turns: &'a Cell<u32>,
}

impl<P: Transport, F: Future + ?Sized> Future for Checked<'_, '_, '_, P, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let polled = this.inner.as_mut().poll(cx);
        this.turns.set(this.turns.get() + 1);
        if polled.is_pending() {
            let reactor = this.reactor;
            reactor.check();
            this.probe.check(reactor, |token| reactor.is_queued(token), reactor.is_woken());
        }
        polled
    }
}

/// Counts what the transport is asked for.
struct Counted<P> {
    inner: P,
    writes: Rc<Cell<u32>>,
}

/// Masks every byte both ways, as TLS would.
struct Masked<P> {
    inner: P,
    scratch: RefCell<Vec<u8>>,
}

impl<P> Masked<P> {
    fn new(inner: P) -> Self {
        Self { inner, scratch: RefCell::default() }
    }
}

/// What a byte is masked with.
pub(crate) const MASK: u8 = 0x5a;

macro_rules! delegate {
    () => {
        fn listen(&mut self, at: SocketAddr, backlog: u16) -> Result<Io, Error> {
            self.inner.listen(at, backlog)
        }
        fn accept(&mut self, listener: Io) -> nb::Result<(Io, SocketAddr), Error> {
            self.inner.accept(listener)
        }
        fn connect(&mut self, to: SocketAddr) -> Result<Io, Error> {
            self.inner.connect(to)
        }
        fn shutdown(&mut self, io: Io) {
            self.inner.shutdown(io);
        }
        fn close(&mut self, io: Io) {
            self.inner.close(io);
        }
        fn abort(&mut self, io: Io) {
            self.inner.abort(io);
        }
        fn peer(&self, io: Io) -> Option<SocketAddr> {
            self.inner.peer(io)
        }
        fn local(&self, io: Io) -> Option<SocketAddr> {
            self.inner.local(io)
        }
    };
}

macro_rules! poller {
    ($($decorator:ident),*) => {$(
        impl<P: Clock> Clock for $decorator<P> {
            fn now(&self) -> Instant {
                self.inner.now()
            }
            fn unix_seconds(&self) -> Option<u64> {
                self.inner.unix_seconds()
            }
        }

        impl<P: Poller> Poller for $decorator<P> {
            fn register(&mut self, io: Io, token: Token) -> Result<(), Error> {
                self.inner.register(io, token)
            }
            fn poll(
                &mut self,
                deadline: Option<Instant>,
                wakes: &WakeTree,
                on_event: &mut dyn FnMut(Event),
            ) -> Result<(), Error> {
                self.inner.poll(deadline, wakes, on_event)
            }
            fn unpark(&self) -> Option<&'static dyn Unpark> {
                self.inner.unpark()
            }
        }
    )*};
}

poller!(Counted, Masked);

impl<P: Transport> Transport for Counted<P> {
    const SHORT_READ_DRAINS: bool = P::SHORT_READ_DRAINS;

    delegate!();

    fn read(&mut self, io: Io, buf: &mut [u8]) -> nb::Result<usize, Error> {
        self.inner.read(io, buf)
    }
    fn write(&mut self, io: Io, data: &[u8]) -> nb::Result<usize, Error> {
        self.inner.write(io, data).inspect(|_| self.writes.set(self.writes.get() + 1))
    }
    fn write_whole(&mut self, io: Io, data: &[u8]) -> nb::Result<usize, Error> {
        self.inner.write_whole(io, data).inspect(|_| self.writes.set(self.writes.get() + 1))
    }
}

impl<P> Masked<P> {
    fn masked(&self, data: &[u8]) -> Vec<u8> {
        let mut scratch = self.scratch.take();
        scratch.clear();
        scratch.extend(data.iter().map(|byte| byte ^ MASK));
        scratch
    }
}

impl<P: Transport> Transport for Masked<P> {
    const SHORT_READ_DRAINS: bool = P::SHORT_READ_DRAINS;

    delegate!();

    fn read(&mut self, io: Io, buf: &mut [u8]) -> nb::Result<usize, Error> {
        let len = self.inner.read(io, buf)?;
        buf[..len].iter_mut().for_each(|byte| *byte ^= MASK);
        Ok(len)
    }
    fn write(&mut self, io: Io, data: &[u8]) -> nb::Result<usize, Error> {
        let masked = self.masked(data);
        let written = self.inner.write(io, &masked);
        self.scratch.replace(masked);
        written
    }
    fn write_whole(&mut self, io: Io, data: &[u8]) -> nb::Result<usize, Error> {
        let masked = self.masked(data);
        let written = self.inner.write_whole(io, &masked);
        self.scratch.replace(masked);
        written
    }
}
