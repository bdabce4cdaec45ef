//! A server in a simulated world, run until its peers are gone, with every checker at each turn.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use dustdevil_core::memory::Owned;
use dustdevil_core::nb;
use dustdevil_core::poller::{Error, Event, Io, Poller, Readiness, Token, Transport};
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
    /// What is wrong with the transport on purpose, to see that it is noticed.
    pub(crate) planted: Option<Planted>,
}

/// Something that a server, a reactor or a poller must not do. What lies between reactor and world
/// does it for them, so that a checker can show what it is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planted {
    /// A connection that is closed stays open.
    ClosesNothing,
    /// One that should be closed in good order is reset.
    ResetsAtClose,
    /// One that should be reset is closed in good order.
    ClosesAtAbort,
    /// Each so many writes, a byte more is said to be taken than was.
    LosesBytes,
    /// The begin of each so many writes is sent twice.
    RepeatsBytes,
    /// That a connection is dead is never told.
    HidesGone,
    /// A full socket's room is never told.
    HidesRoom,
    /// Deadlines are rounded down to a second, and what is left is spent spinning.
    WakesEarly,
    /// A deadline is forgotten.
    SleepsOn,
    /// A handle that failed to be accepted is never asked for again.
    HidesBacklog,
}

impl Planted {
    /// Each of them.
    pub(crate) const ALL: [Self; 10] = [
        Self::ClosesNothing,
        Self::ResetsAtClose,
        Self::ClosesAtAbort,
        Self::LosesBytes,
        Self::RepeatsBytes,
        Self::HidesGone,
        Self::HidesRoom,
        Self::WakesEarly,
        Self::SleepsOn,
        Self::HidesBacklog,
    ];
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
    let planted = setup.planted;
    let poller = Counted { inner: poller, writes: writes.clone(), planted };
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
        let left = rest.now() + (until - world.now());
        let wakes = sim::wakes(1);
        rest.poll(Some(left), wakes, &mut |_| ()).expect("a world to poll");
        wakes.take(&mut |_| ());
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

/// In how many steps a world is let come to rest.
const SETTLE_STEPS: u64 = 8;
/// Most turns meanwhile: it wakes for its deadlines, and for what the faults tell it.
const TURNS_AT_REST_MAX: u64 = 3_000;

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
            let turns = reactor.metrics().snapshot().turns;
            // In steps, because a clock that jumps may leave one out.
            for _ in 0..SETTLE_STEPS {
                handle.sleep(millis(setup.settle_ms / SETTLE_STEPS)).await;
            }
            let turns = reactor.metrics().snapshot().turns - turns;
            if turns > TURNS_AT_REST_MAX {
                world.fail(format_args!("{turns} turns while nothing was to be done"));
            }
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

/// Counts what the transport is asked for, and does what was planted.
struct Counted<P> {
    inner: P,
    writes: Rc<Cell<u32>>,
    planted: Option<Planted>,
}

/// Each so many writes something planted happens to one.
const PLANTED_EACH: u32 = 7;

impl<P: Transport> Counted<P> {
    fn is_planted(&self, what: Planted) -> bool {
        self.planted == Some(what)
    }

    /// What is told of a write, and to how much of its data it is done.
    fn count(&self, written: nb::Result<usize, Error>, most: usize) -> nb::Result<usize, Error> {
        let written = written?;
        self.writes.set(self.writes.get() + 1);
        let is_hit = self.writes.get().is_multiple_of(PLANTED_EACH);
        Ok(match self.planted {
            Some(Planted::LosesBytes) if is_hit => most.min(written + 1),
            Some(Planted::RepeatsBytes) if is_hit && written > 1 => written - 1,
            _ => written,
        })
    }
}

impl<P: Clock> Clock for Counted<P> {
    fn now(&self) -> Instant {
        self.inner.now()
    }
    fn unix_seconds(&self) -> Option<u64> {
        self.inner.unix_seconds()
    }
}

impl<P: Poller> Poller for Counted<P> {
    fn register(&mut self, io: Io, token: Token) -> Result<(), Error> {
        self.inner.register(io, token)
    }
    fn poll(
        &mut self,
        deadline: Option<Instant>,
        wakes: &WakeTree,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<(), Error> {
        let deadline = match self.planted {
            Some(Planted::WakesEarly) => deadline.map(|at| {
                let second = 1_000_000;
                Instant::from_micros(at.as_micros() / second * second)
            }),
            // Some deadline there is, or the world would end for want of anything to happen.
            Some(Planted::SleepsOn) => deadline.map(|at| at + Duration::from_secs(3_600)),
            _ => deadline,
        };
        let hidden = match self.planted {
            Some(Planted::HidesGone) => Readiness::GONE,
            Some(Planted::HidesRoom) => Readiness::WRITE,
            _ => Readiness::NONE,
        };
        self.inner.poll(deadline, wakes, &mut |Event { token, ready }| {
            on_event(Event { token, ready: ready.without(hidden) });
        })
    }
    fn unpark(&self) -> Option<&'static dyn Unpark> {
        self.inner.unpark()
    }
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
        fn connect(&mut self, to: SocketAddr, from: Option<SocketAddr>) -> Result<Io, Error> {
            self.inner.connect(to, from)
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

poller!(Masked);

impl<P: Transport> Transport for Counted<P> {
    const SHORT_READ_DRAINS: bool = P::SHORT_READ_DRAINS;

    fn listen(&mut self, at: SocketAddr, backlog: u16) -> Result<Io, Error> {
        self.inner.listen(at, backlog)
    }
    fn accept(&mut self, listener: Io) -> nb::Result<(Io, SocketAddr), Error> {
        match self.inner.accept(listener) {
            Err(nb::Error::Other(_)) if self.is_planted(Planted::HidesBacklog) => {
                Err(nb::Error::WouldBlock)
            }
            accepted => accepted,
        }
    }
    fn connect(&mut self, to: SocketAddr, from: Option<SocketAddr>) -> Result<Io, Error> {
        self.inner.connect(to, from)
    }
    fn shutdown(&mut self, io: Io) {
        self.inner.shutdown(io);
    }
    fn close(&mut self, io: Io) {
        match self.planted {
            Some(Planted::ClosesNothing) => {}
            Some(Planted::ResetsAtClose) => self.inner.abort(io),
            _ => self.inner.close(io),
        }
    }
    fn abort(&mut self, io: Io) {
        if self.is_planted(Planted::ClosesAtAbort) {
            self.inner.close(io);
        } else {
            self.inner.abort(io);
        }
    }
    fn peer(&self, io: Io) -> Option<SocketAddr> {
        self.inner.peer(io)
    }
    fn local(&self, io: Io) -> Option<SocketAddr> {
        self.inner.local(io)
    }
    fn read(&mut self, io: Io, buf: &mut [u8]) -> nb::Result<usize, Error> {
        self.inner.read(io, buf)
    }
    fn write(&mut self, io: Io, data: &[u8]) -> nb::Result<usize, Error> {
        let written = self.inner.write(io, data);
        self.count(written, data.len())
    }
    fn write_whole(&mut self, io: Io, data: &[u8]) -> nb::Result<usize, Error> {
        let written = self.inner.write_whole(io, data);
        self.count(written, data.len())
    }
    fn write_vectored(&mut self, io: Io, head: &[u8], rest: &[u8]) -> nb::Result<usize, Error> {
        let written = self.inner.write_vectored(io, head, rest);
        self.count(written, head.len() + rest.len())
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
