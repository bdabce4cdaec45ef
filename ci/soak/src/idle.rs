//! `soak --idle N`: a server whose table is full of idle connections, as many as a million.
//!
//! What is shown, each by an assertion:
//! 1. *Memory.* A connection that had its request answered and is idle costs its two table entries
//!    and no other page; a place that was never used costs none, however many there are.
//! 2. *Timers.* All who are idle have one deadline together: nothing wakes the server before it.
//! 3. *Shedding.* Where the table is full, each newcomer takes the place of who is idle longest.
//! 4. *Deadlines.* When all of them are over at one instant, connections are closed in their order
//!    and within the budget of a turn, however many turns that takes.
//! 5. *Giving back.* Slots, buffers and sources are all there again, and a second generation of
//!    as many connections finds its memory in the pool: it touches no new page.
//!
//! The network is perfect: the other seeds are for faults. What is simulated costs about 600 bytes
//! a connection, besides what is measured.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;

use dustdevil_core::handle::Handle;
use dustdevil_core::memory::Owned;
use dustdevil_core::poller::Transport;
use dustdevil_core::reactor::Reactor;
use dustdevil_core::sim::{self, Faults, Peer, PeerEnd, PeerEvent, Sim, World};
use dustdevil_core::time::{Duration, Instant};
use dustdevil_http::server::{Probe, StatsSnapshot};
use dustdevil_http::{Capacity, Limits, Server};

use crate::app::App;
use crate::pages::Pages;
use crate::world;

/// How many connect at the same instant, and how many the listener's backlog holds.
const BATCH: usize = 1_024;
/// One in so many of the places is taken anew by shedding who has it.
const NEWCOMERS_ONE_IN: usize = 100;
/// What a connection's two entries take: 16 bytes in the reactor's table, 16 in the server's.
const ENTRY_BYTES: f64 = 32.0;
/// Most pages beyond the entries' own that all connections together may touch: heads and slots
/// that were in use at once, the ends of tables.
const PAGES_BESIDE_MAX: usize = 64;
/// Most pages of both blocks that may be touched before anybody comes, however many places there
/// are: what the 256 slots and the 768 head buffers need to know of themselves.
const PAGES_AT_REST_MAX: usize = 80;
/// Most connections that a turn may close by their deadlines, and most that it may accept: what
/// the server says of its own budgets.
const CLOSED_PER_TURN_MAX: u32 = 256;
const ACCEPTED_PER_TURN_MAX: u32 = 64;
/// Turns in which nothing is closed although deadlines are over: before the first, behind the last.
const TURNS_BESIDE_MAX: u64 = 16;
/// How long all are left alone; less than `idle_ms`.
const QUIET: Duration = Duration::from_secs(60);
/// Most turns of the server meanwhile.
const TURNS_WHILE_QUIET_MAX: u64 = 4;
/// An allocation of so many bytes is always fresh from the kernel: glibc keeps and clears smaller
/// ones, mallopt(3).
const FRESH_BYTES: usize = 33 << 20;
/// After how much simulated time something that must come counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

const REQUEST: &[u8] = b"GET /plain HTTP/1.1\r\nHost: a\r\n\r\n";

/// What a run found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Bytes of the reactor's block and of the server's, reserved.
    pub(crate) reserved: [usize; 2],
    /// Pages of each that were touched: at rest before anybody came, with everybody idle, and with
    /// the second generation idle.
    pub(crate) pages: [[usize; 2]; 3],
    /// What happened from one phase to the next.
    pub(crate) phases: Vec<(&'static str, Turns)>,
    /// Bytes of tables touched for each idle connection.
    pub(crate) bytes_each: f64,
    /// The hash of the world's trace.
    pub(crate) hash: u64,
}

/// What the server did in some turns, and the most that it did in one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turns {
    pub(crate) count: u64,
    pub(crate) events_max: u64,
    pub(crate) accepted_max: u32,
    pub(crate) closed_max: u32,
}

/// What the peers write down.
#[derive(Default)]
struct Scene {
    /// Who was answered, and whose connection was ended by the server, in that order.
    answered: RefCell<Vec<u32>>,
    ended: RefCell<Vec<u32>>,
    /// How many left by themselves.
    left: Cell<usize>,
}

/// One who asks once, and then holds its connection.
struct Idler {
    number: u32,
    /// When it leaves, behind its answer; else it waits to be ended.
    leaves_after: Option<Duration>,
    scene: Rc<Scene>,
}

impl Peer for Idler {
    fn on_event(&mut self, event: PeerEvent, end: &mut PeerEnd<'_>) {
        match event {
            PeerEvent::Connected => assert_eq!(end.write(REQUEST), REQUEST.len()),
            PeerEvent::Readable => {
                let mut answer = [0; 512];
                let count = end.read(&mut answer);
                let answer = &answer[..count];
                let is_right = answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(b"simple");
                assert!(is_right, "{}", String::from_utf8_lossy(answer));
                self.scene.answered.borrow_mut().push(self.number);
                if let Some(after) = self.leaves_after {
                    end.timer_in(after, 0);
                }
            }
            PeerEvent::Timer(_) => {
                self.scene.left.set(self.scene.left.get() + 1);
                end.close();
            }
            PeerEvent::Fin => {
                self.scene.ended.borrow_mut().push(self.number);
                end.fin();
            }
            PeerEvent::Writable => {}
            PeerEvent::Reset | PeerEvent::Refused => end.fail(format_args!("{event:?}")),
        }
    }
}

/// Counts what the server does in each turn.
struct Watch<'a, 'r, 'm, P> {
    reactor: &'a Reactor<'m, P>,
    probe: Probe<'r>,
    turns: Cell<Turns>,
    /// The counters behind the turn before, and the reactor's of its events.
    seen: Cell<(StatsSnapshot, u64)>,
    /// Whether all tables are to be checked behind this turn.
    check: Cell<bool>,
}

impl<P: Transport> Watch<'_, '_, '_, P> {
    /// To be called behind each turn.
    fn look(&self) {
        let (now, metrics) = (self.probe.stats(), self.reactor.metrics().snapshot());
        let (before, events) = self.seen.replace((now, metrics.events));
        let mut turns = self.turns.get();
        let accepted = now.accepted.wrapping_sub(before.accepted);
        turns.count += 1;
        turns.events_max = turns.events_max.max(metrics.events - events);
        turns.accepted_max = turns.accepted_max.max(accepted);
        turns.closed_max = turns.closed_max.max(before.open + accepted - now.open);
        self.turns.set(turns);
        if self.check.take() {
            self.reactor.check();
            let reactor = self.reactor;
            self.probe.check(reactor, |token| reactor.is_queued(token), reactor.is_woken());
        }
    }
}

/// Lets things happen to the server, one phase after the other.
struct Director<'a, 'r, 'm, P> {
    world: &'a World,
    connections: usize,
    scene: Rc<Scene>,
    handle: Handle<'a>,
    watch: &'a Watch<'a, 'r, 'm, P>,
    pages: [&'a Pages; 2],
    phases: RefCell<Vec<(&'static str, Turns)>>,
    touched: RefCell<Vec<[usize; 2]>>,
}

impl<P: Transport> Director<'_, '_, '_, P> {
    async fn direct(&self) {
        self.measure();
        self.crowd(0, self.connections, None).await;
        self.phase("they come").await;
        self.measure();

        self.handle.sleep(QUIET).await;
        let quiet = self.phase("they are idle").await;
        assert!(quiet.count <= TURNS_WHILE_QUIET_MAX, "{quiet:?} although all are idle");

        // The newcomers are the last to be idle, so they are ended last.
        let newcomers = (self.connections / NEWCOMERS_ONE_IN).max(1);
        self.crowd(self.connections, newcomers, None).await;
        self.ended(newcomers).await;
        self.phase("newcomers shed them").await;
        assert_eq!(self.watch.probe.stats().shed as usize, newcomers);

        self.clock_jumps().await;
        self.ended(self.connections + newcomers).await;
        let storm = self.phase("all deadlines are over").await;
        let turns = (self.connections as u64).div_ceil(u64::from(CLOSED_PER_TURN_MAX));
        assert!(storm.closed_max <= CLOSED_PER_TURN_MAX, "{storm:?}");
        assert!(storm.count <= turns + TURNS_BESIDE_MAX, "{storm:?}, {turns} are enough");
        assert_eq!(self.watch.probe.stats().timed_out as usize, self.connections);
        self.is_empty();
        let (answered, ended) = (self.scene.answered.take(), self.scene.ended.take());
        assert_eq!(answered.len(), self.connections + newcomers);
        let differ = answered.iter().zip(&ended).position(|(answered, ended)| answered != ended);
        assert_eq!(differ, None, "who is idle longest is ended first");

        self.crowd(0, self.connections, Some(QUIET)).await;
        self.phase("as many come again").await;
        self.measure();
        self.handle.sleep(QUIET).await;
        self.until("they leave", || self.watch.probe.stats().open == 0).await;
        self.phase("they leave").await;
        assert_eq!((self.scene.left.get(), self.scene.ended.take()), (self.connections, vec![]));
        self.is_empty();
    }

    /// Lets peers connect, ask and be answered, and be idle then.
    async fn crowd(&self, from: usize, count: usize, leaves_after: Option<Duration>) {
        let before = self.scene.answered.borrow().len();
        for done in (0..count).step_by(BATCH) {
            let batch = BATCH.min(count - done);
            for number in from + done..from + done + batch {
                let (number, scene) = (number as u32, self.scene.clone());
                let idler = Idler { number, leaves_after, scene };
                self.world.connect(world::address(), Duration::ZERO, idler);
            }
            let answered = || self.scene.answered.borrow().len() == before + done + batch;
            self.until("answers", answered).await;
        }
    }

    async fn ended(&self, count: usize) {
        let is_over = || self.scene.ended.borrow().len() == count;
        self.until("ends", is_over).await;
    }

    async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let deadline = self.world.now() + PATIENCE;
        while !is_so() {
            if self.world.now() > deadline {
                self.world.fail(format_args!("{what}: {:?}", self.watch.probe.stats()));
            }
            self.handle.sleep(Duration::from_millis(1)).await;
        }
    }

    /// Everybody's time is over at once: the machine was suspended.
    async fn clock_jumps(&self) {
        let jump_us = 2 * u64::from(Limits::DEFAULT.idle_ms) * 1_000;
        let jump = (jump_us, jump_us);
        let faults = Faults { clock_jump_permille: 1_000, clock_jump_us: jump, ..faults() };
        self.world.set_faults(faults);
        self.handle.sleep(Duration::from_millis(1)).await;
        self.world.set_faults(self::faults());
    }

    /// Nothing of any connection is left, and everything was given back.
    fn is_empty(&self) {
        let (stats, probe) = (self.watch.probe.stats(), &self.watch.probe);
        assert_eq!((stats.open, stats.in_work, stats.aborted), (0, 0, 0));
        assert_eq!((probe.slots_out(), probe.heads_out()), (0, 0));
        let sources = self.watch.reactor.metrics().snapshot().sources;
        assert_eq!(sources, 1, "the listener alone");
    }

    fn measure(&self) {
        self.touched.borrow_mut().push(self.pages.map(Pages::touched));
    }

    /// Ends a phase: notes what it was like, and has all tables checked.
    async fn phase(&self, name: &'static str) -> Turns {
        let turns = self.watch.turns.take();
        self.phases.borrow_mut().push((name, turns));
        self.watch.check.set(true);
        self.handle.sleep(Duration::from_millis(1)).await;
        self.watch.turns.take();
        turns
    }
}

/// A perfect network whose closed connections are soon forgotten.
fn faults() -> Faults {
    Faults { events_per_poll: (256, 256), linger_us: 1_000_000, ..Faults::NONE }
}

/// Runs the server with so many connections.
///
/// # Panics
/// When something is not as the [module](self) says.
pub(crate) fn run(connections: usize) -> Found {
    let world = World::starting_at(1, faults(), Instant::from_micros(1_000_000));
    let capacity = Capacity::for_connections(connections);
    // One timer more, for the director.
    let tables = capacity.reactor().plus_timers(1);
    let reserved = [tables.bytes(), capacity.bytes::<App>()];
    let (mut reactor_memory, reactor_pages) = memory(reserved[0]);
    let (mut server_memory, server_pages) = memory(reserved[1]);
    let app = App::default();
    let (phases, pages) = {
        let wakes = sim::wakes(tables.tasks);
        let poller = Sim::<true>::new(&world);
        let reactor = Reactor::new(poller, reactor_memory.block(), tables, wakes);
        let listener = reactor.listen(world::address(), BATCH as u16).expect("a free address");
        let server = Server::new(&app, server_memory.block(), capacity, Limits::DEFAULT);
        let watch = Watch {
            reactor: &reactor,
            probe: server.probe(),
            turns: Cell::default(),
            seen: Cell::default(),
            check: Cell::default(),
        };
        let director = Director {
            world: &world,
            connections,
            scene: Rc::default(),
            handle: Handle::from(&reactor),
            watch: &watch,
            pages: [&reactor_pages, &server_pages],
            phases: RefCell::default(),
            touched: RefCell::default(),
        };
        let mut served = pin!(server.serve_until(&reactor, listener, director.direct()));
        reactor.run(poll_fn(|cx| {
            let polled = served.as_mut().poll(cx);
            watch.look();
            polled
        }));
        (director.phases.take(), director.touched.take())
    };
    world.assert_all_closed();
    let pages: [[usize; 2]; 3] = pages.try_into().expect("three measurements");
    let found = Found {
        reserved,
        pages,
        phases,
        bytes_each: bytes_each(&pages, connections),
        hash: world.trace_hash(),
    };
    found.check(connections);
    found
}

/// Bytes that became pages between the first two measurements, for each connection.
fn bytes_each(pages: &[[usize; 2]; 3], connections: usize) -> f64 {
    let touched = |at: usize| pages[at].iter().sum::<usize>();
    (touched(1) - touched(0)) as f64 * Pages::BYTES as f64 / connections as f64
}

impl Found {
    fn check(&self, connections: usize) {
        let most = ENTRY_BYTES + (PAGES_BESIDE_MAX * Pages::BYTES) as f64 / connections as f64;
        let (each, [at_rest, first, second]) = (self.bytes_each, self.pages);
        let at_rest: usize = at_rest.iter().sum();
        assert!(at_rest <= PAGES_AT_REST_MAX, "{at_rest} pages before anybody comes");
        assert!(each <= most, "{each:.1} bytes a connection, at most {most:.1}");
        assert!(each > 0.0, "pages are not counted");
        assert_eq!(second, first, "pages of the second generation and of the first");
        for (name, turns) in &self.phases {
            assert!(turns.accepted_max <= ACCEPTED_PER_TURN_MAX, "{name}: {turns:?}");
        }
    }

    pub(crate) fn print(&self, connections: usize) {
        let [reactor, server] = self.reserved;
        println!("{connections} connections reserve {reactor} bytes and {server} of the server");
        for (pages, when) in self.pages.iter().zip(["at rest", "idle", "idle again"]) {
            let bytes = pages.map(|pages| pages * Pages::BYTES);
            println!("  touched {when}: {} + {} bytes", bytes[0], bytes[1]);
        }
        println!("  {:.2} bytes a connection", self.bytes_each);
        println!("phase                      turns   in one turn at most: events accepts closes");
        for (name, turns) in &self.phases {
            let Turns { count, events_max, accepted_max, closed_max, .. } = turns;
            println!("{name:24} {count:7} {events_max:27} {accepted_max:7} {closed_max:6}");
        }
        println!("trace {:016x}", self.hash);
    }
}

/// Zeroed memory of which the kernel gives a page when it is first written.
fn memory(bytes: usize) -> (Owned<Box<[u64]>>, Pages) {
    let words = vec![0; bytes.max(FRESH_BYTES).div_ceil(size_of::<u64>())].into_boxed_slice();
    let pages = Pages::of(&words[..bytes.div_ceil(size_of::<u64>())]);
    (Owned::new(words), pages)
}
