//! The server that `cargo xtask bench tails` loads: what a turn of the loop costs at most.
//!
//! It is `bench` on Linux, with three things more. Before each wait [`a_turn_ends`] is called once
//! it was asked to record, so that callgrind, told to dump there, gives each turn a count of its
//! own. Its clock is put forward by a request, so that thousands of deadlines come due in one turn.
//! And there are handlers that wait, stream, and spin.
//!
//! | route | what it does |
//! |---|---|
//! | `/plaintext` | as in `bench` |
//! | `/record` | from this turn's end on, turns are counted |
//! | `/ahead/{ms}` | puts the clock forward |
//! | `/gate`, `/open` | waits until the body of the other has come |
//! | `/end` | waits until the server stops |
//! | `/stream`, `/static` | 100 MiB, written 16 KiB at a time, and from where they lie |
//! | `/spin` | takes 1 ms of CPU before it answers |
//! | `/fired` | how many of the side tasks and calls have had their turn |
//!
//! `TAILS_REQUESTS`, `TAILS_TASKS` and `TAILS_CALLS` in the environment: slots for requests, and
//! how many tasks and calls beside the server wait for an hour.
#![cfg(target_os = "linux")]

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::hint::black_box;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::task::{Poll, Waker};

use dustdevil_core::callbacks::Callbacks;
use dustdevil_core::handle::Handle;
use dustdevil_core::nb;
use dustdevil_core::poller::{Error, Event, Io, Poller, Token, Transport};
use dustdevil_core::reactor::{self, Reactor};
use dustdevil_core::tasks::Tasks;
use dustdevil_core::time::{Clock, Duration, Instant};
use dustdevil_core::wake::{Unpark, WakeTree};
use dustdevil_http::{
    BodyOut, Capacity, Exchange, Fault, HeadOut, Limits, MediaType, Reply, Sent, Server, Status,
    routes, text,
};
use dustdevil_std::{Epoll, Options, percore, zeroed};
use rustix::time::{ClockId, clock_gettime};

/// Bytes of a download.
const DOWNLOAD_BYTES: usize = 100 << 20;
/// Bytes that the streaming handler writes at once.
const CHUNK_BYTES: usize = 16 << 10;
/// CPU time that a spinning handler takes.
const SPIN_NANOSECONDS: i64 = 1_000_000;
/// Beyond any run of the benchmark: only `/ahead` reaches a deadline.
const LONG_MS: u32 = 3_600_000;

static DOWNLOAD: [u8; DOWNLOAD_BYTES] = [0; DOWNLOAD_BYTES];

/// What the routes share with the poller.
#[derive(Default)]
struct App {
    recording: Cell<bool>,
    ahead: Cell<Duration>,
    is_open: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
    fired: Cell<u32>,
}

routes!(App {
    GET "/plaintext" => plaintext,
    GET "/record" => record,
    GET "/ahead/{ms}" => ahead,
    GET "/gate" => gate,
    POST "/open" => open,
    GET "/end" => end,
    GET "/stream" => stream,
    GET "/static" => from_where_it_lies,
    GET "/spin" => spin,
    GET "/fired" => fired,
});

async fn plaintext(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.out.reply(text("Hello, World!")).await
}

async fn record(app: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    app.recording.set(true);
    x.out.reply(text("recording")).await
}

async fn ahead(app: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let millis = x.head.param("ms").and_then(|ms| ms.parse().ok());
    let span = Duration::from_millis(millis.ok_or(Fault::Http(Status::BAD_REQUEST))?);
    app.ahead.set(app.ahead.get() + span);
    x.out.reply(text("it is later")).await
}

async fn gate(app: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    poll_fn(|cx| {
        if app.is_open.get() {
            return Poll::Ready(());
        }
        app.waiting.borrow_mut().push(cx.waker().clone());
        Poll::Pending
    })
    .await;
    x.out.reply(text("Hello, World!")).await
}

async fn open(app: &App, mut x: Exchange<'_>) -> Result<Sent, Fault> {
    while x.body.read(&mut [0]).await? > 0 {}
    app.is_open.set(true);
    app.waiting.take().into_iter().for_each(Waker::wake);
    x.out.reply(text("it is open")).await
}

async fn end(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.rt.stopping().await;
    x.out.reply(text("the end")).await
}

async fn stream(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    static CHUNK: [u8; CHUNK_BYTES] = [0; CHUNK_BYTES];
    let body = BodyOut::Length(DOWNLOAD_BYTES as u64);
    let mut out = x.out.start(HeadOut { body, ..HeadOut::response(Status::OK) }).await?;
    for _ in 0..DOWNLOAD_BYTES / CHUNK_BYTES {
        out.write(&CHUNK).await?;
    }
    out.end().await
}

async fn from_where_it_lies(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.out.reply(Reply::new(Status::OK).static_body(MediaType::PLAIN, &DOWNLOAD)).await
}

async fn spin(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    // Of CPU, not of the wall's clock: what the machine does beside is not counted.
    let nanoseconds = || {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        now.tv_sec * 1_000_000_000 + now.tv_nsec
    };
    let until = nanoseconds() + SPIN_NANOSECONDS;
    while nanoseconds() < until {}
    x.out.reply(text("Hello, World!")).await
}

async fn fired(app: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let count = format!("{:06}", app.fired.get());
    x.out.reply(text(&count)).await
}

/// The mark between two turns: its name is what callgrind is told.
#[inline(never)]
fn a_turn_ends() {
    black_box(());
}

/// Epoll, whose turns are marked and whose clock is ahead.
struct Marked<'a> {
    world: Epoll,
    app: &'a App,
}

impl Clock for Marked<'_> {
    fn now(&self) -> Instant {
        self.world.now() + self.app.ahead.get()
    }

    fn unix_seconds(&self) -> Option<u64> {
        self.world.unix_seconds()
    }
}

impl Poller for Marked<'_> {
    fn register(&mut self, io: Io, token: Token) -> Result<(), Error> {
        self.world.register(io, token)
    }

    fn poll(
        &mut self,
        deadline: Option<Instant>,
        wakes: &WakeTree,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<(), Error> {
        if self.app.recording.get() {
            a_turn_ends();
        }
        let ahead = self.app.ahead.get().as_micros();
        let back = |at: Instant| Instant::from_micros(at.as_micros().saturating_sub(ahead));
        self.world.poll(deadline.map(back), wakes, on_event)
    }

    fn unpark(&self) -> Option<&'static dyn Unpark> {
        self.world.unpark()
    }
}

impl Transport for Marked<'_> {
    const SHORT_READ_DRAINS: bool = Epoll::SHORT_READ_DRAINS;

    fn listen(&mut self, at: SocketAddr, backlog: u16) -> Result<Io, Error> {
        self.world.listen(at, backlog)
    }
    fn accept(&mut self, listener: Io) -> nb::Result<(Io, SocketAddr), Error> {
        self.world.accept(listener)
    }
    fn connect(&mut self, to: SocketAddr, from: Option<SocketAddr>) -> Result<Io, Error> {
        self.world.connect(to, from)
    }
    fn read(&mut self, io: Io, buf: &mut [u8]) -> nb::Result<usize, Error> {
        self.world.read(io, buf)
    }
    fn write(&mut self, io: Io, data: &[u8]) -> nb::Result<usize, Error> {
        self.world.write(io, data)
    }
    fn write_vectored(&mut self, io: Io, head: &[u8], rest: &[u8]) -> nb::Result<usize, Error> {
        self.world.write_vectored(io, head, rest)
    }
    fn shutdown(&mut self, io: Io) {
        self.world.shutdown(io);
    }
    fn close(&mut self, io: Io) {
        self.world.close(io);
    }
    fn abort(&mut self, io: Io) {
        self.world.abort(io);
    }
    fn peer(&self, io: Io) -> Option<SocketAddr> {
        self.world.peer(io)
    }
    fn local(&self, io: Io) -> Option<SocketAddr> {
        self.world.local(io)
    }
}

/// A number from the environment.
fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|number| number.parse().ok()).unwrap_or(otherwise)
}

/// Tasks that sleep for an hour, again and again.
async fn sleepers(handle: Handle<'_>, app: &App, count: usize) {
    let sleeper = || async move {
        loop {
            handle.sleep(hour()).await;
            app.fired.set(app.fired.get() + 1);
        }
    };
    run_tasks(handle, count, sleeper).await;
}

async fn run_tasks<F: Future>(handle: Handle<'_>, count: usize, make: impl Fn() -> F) {
    let mut memory = zeroed(Tasks::<F>::bytes(count));
    let tasks = Tasks::new(handle, &mut memory.block(), count);
    while tasks.spawn(make()).is_ok() {}
    tasks.run().await;
}

/// Calls that are due in an hour.
async fn calls(handle: Handle<'_>, app: &App, count: usize) {
    let mut memory = zeroed(Callbacks::<'_, '_, App>::bytes(count));
    let calls: Callbacks<'_, '_, App> = Callbacks::new(handle, &mut memory.block(), count);
    while calls.call_later(hour(), |app| app.fired.set(app.fired.get() + 1)).is_ok() {}
    calls.run(app).await;
}

const fn hour() -> Duration {
    Duration::from_secs(3_600)
}

fn main() -> ExitCode {
    let requests = number("TAILS_REQUESTS", Capacity::DEFAULT.requests);
    let (tasks, waiting) = (number("TAILS_TASKS", 0), number("TAILS_CALLS", 0));
    percore::run(Options::parse(), |worker| {
        let app = App::default();
        let capacity = Capacity::for_connections(worker.options().connections);
        let capacity = Capacity { requests, heads: 3 * requests, ..capacity };
        let reactor_capacity = capacity.reactor().plus_timers(tasks + 1).plus_tasks(tasks);
        let reactor_capacity = reactor::Capacity {
            // Without side tasks it is the reactor of `bench`.
            groups: 1 + usize::from(tasks > 0),
            waiters: reactor_capacity.waiters.max(requests),
            ..reactor_capacity
        };
        let limits = Limits {
            head_ms: LONG_MS,
            idle_ms: LONG_MS,
            handler_ms: 2 * LONG_MS,
            queue_ms: LONG_MS,
            progress_ms: LONG_MS,
            patience_ms: LONG_MS,
            ..Limits::DEFAULT
        };
        let mut tables = zeroed(reactor_capacity.bytes());
        let mut memory = zeroed(capacity.bytes::<App>());
        let wakes = worker.wakes(reactor_capacity.tasks);
        let world = Marked { world: Epoll::new()?, app: &app };
        let reactor = Reactor::new(world, tables.block(), reactor_capacity, wakes);
        let listener = reactor.listen(worker.address(), 4_096)?;
        let server = Server::new(&app, memory.block(), capacity, limits);
        let handle = Handle::from(&reactor);
        let mut side: Pin<Box<dyn Future<Output = ()>>> = match (tasks, waiting) {
            (0, 0) => Box::pin(pending()),
            (_, 0) => Box::pin(sleepers(handle, &app, tasks)),
            _ => Box::pin(calls(handle, &app, waiting)),
        };
        let mut serve = pin!(server.serve_until(&reactor, listener, worker.stopped()));
        reactor.run(poll_fn(|cx| {
            // It never ends.
            let _ = side.as_mut().poll(cx);
            serve.as_mut().poll(cx)
        }));
        Ok(())
    })
}
