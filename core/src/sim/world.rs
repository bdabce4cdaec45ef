//! A world to run in: its clock, its peers and its faults, shared by the poller and the test.
//!
//! Invariants: while the reactor waits, time moves to the next thing that happens, and otherwise
//! only by what [`Faults::turn_us`] and a vain poll cost; whatever is called (peers, hooks,
//! actions) is called while the world is not borrowed, so that it may use it; nothing depends on an
//! address, a thread or the real time.
//!
//! Layer: stands on [`state`](super::state); [`Sim`](super::Sim) is the reactor's side of it.

use core::cell::{RefCell, RefMut};
use core::fmt;
use core::future::Future;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::boxed::Box;
use std::rc::Rc;
use std::string::String;
use std::vec::Vec;

use super::faults::Faults;
use super::link::{ACCEPTOR, Fin, OPENER, Owner, Status};
use super::peer::{Peer, PeerEnd, PeerEvent};
use super::rng::Rng;
use super::state::{Call, Happening, Kind, Listener, State, note};
use crate::poller::{Event, Readiness};
use crate::time::{Duration, Instant};
use crate::wake::WakeTree;

/// Polls in a row that neither waited nor reported nor found a wake: more are a spin.
const POLLS_IDLE_MAX: u32 = 100;
/// Polls without time going on, whatever they found: more are a loop that feeds itself.
const POLLS_AT_INSTANT_MAX: u32 = 1_000_000;
/// What a poll costs that neither waits nor reports.
const POLL_US: u64 = 1;
/// Of so many leaves one may be woken for no reason: more than a test's tasks.
const LEAVES_WOKEN_MAX: usize = 32;
/// How many lines of the trace a failure shows.
const LINES_SHOWN: usize = 30;

/// A simulated world. A clone is the same world.
#[derive(Clone)]
pub struct World(Rc<Inner>);

struct Inner {
    state: RefCell<State>,
    hooks: RefCell<[Option<Hook>; MOMENTS]>,
}

type Hook = Box<dyn FnMut()>;

/// When a [hook](World::hook) is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// At the begin of each poll: the place for checkers. The reactor's poller is borrowed, here
    /// as at the other moments: what does not touch the poller may be asked.
    Poll,
    /// The poller decided to wait and has not yet asked [`WakeTree::park`]. A wake raised here is
    /// one that an interrupt raised between check and sleep.
    BeforePark,
    /// The poller was allowed to wait: a wake raised here must end the wait.
    Parked,
    /// Nothing can happen any more unless this hook makes it.
    Quiet,
}

const MOMENTS: usize = 4;

/// What is not closed yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// Connections that the reactor's side holds.
    pub connections: usize,
    /// Listeners that the reactor's side holds.
    pub listeners: usize,
    /// Sockets for datagrams that the reactor's side holds.
    pub sockets: usize,
    /// Connections that the reactor's side closed and whose other end is not done.
    pub lingering: usize,
    /// Peers that live, those included that connect later.
    pub peers: usize,
    /// Bytes that were sent and not read, both ways, over all connections.
    pub bytes_held: usize,
}

impl World {
    /// The world of this seed. Its clock starts at a moment that the seed chooses, often shortly
    /// before one of those at which a counter wraps: 2^32 us, 2^32 ms, 2^30 wheel ticks.
    pub fn new(seed: u64, faults: Faults) -> Self {
        let mut rng = Rng::new(seed ^ 0xc10c);
        let before_us = rng.range(0, 3_000_000);
        let start_us = match rng.range(0, 4) {
            0 => 0,
            1 => (1 << 32) - before_us,
            2 => (1_000 << 32) - before_us,
            3 => (1 << (30 + crate::time::TICK_SHIFT)) - before_us,
            _ => rng.range(0, 1 << 50),
        };
        Self::starting_at(seed, faults, Instant::from_micros(start_us))
    }

    /// As [`new`](Self::new), with a clock that starts at `start`.
    pub fn starting_at(seed: u64, faults: Faults, start: Instant) -> Self {
        let state = RefCell::new(State::new(seed, faults, start.as_micros()));
        Self(Rc::new(Inner { state, hooks: RefCell::default() }))
    }

    pub(super) fn state(&self) -> RefMut<'_, State> {
        self.0.state.borrow_mut()
    }

    /// The number that this world was made from.
    pub fn seed(&self) -> u64 {
        self.state().seed
    }

    /// The world's time, which is the peers'.
    pub fn now(&self) -> Instant {
        Instant::from_micros(self.state().now_us)
    }

    /// What the reactor's clock shows: the same, but for [`Faults::clock_jump_permille`] and
    /// [`Faults::clock_back_permille`].
    pub fn clock(&self) -> Instant {
        Instant::from_micros(self.state().clock_us())
    }

    /// How long the world has been going.
    pub fn elapsed(&self) -> Duration {
        let state = self.state();
        Duration::from_micros(state.now_us - state.start_us)
    }

    /// A random stream of its own for a test, seeded by the world.
    pub fn fork_rng(&self) -> Rng {
        self.state().rng.fork()
    }

    /// Changes what may go wrong from now on, for connections made from now on where a fault is
    /// drawn once for each.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    // What happens.

    /// Lets `peer` connect to `to` after `delay`, and returns its address.
    pub fn connect(
        &self,
        to: SocketAddr,
        delay: Duration,
        peer: impl Peer + 'static,
    ) -> SocketAddr {
        let mut state = self.state();
        let id = state.next_peer();
        state.peers.insert(id, Box::new(peer));
        let link = state.add_link(Owner::Peer(id), to, None, delay.as_micros());
        note!(state, "link {link}: a peer connects to {to}");
        state.links[&link].ends[OPENER].address
    }

    /// Lets somebody listen at `at`: each connection to it gets a peer that `make` makes.
    ///
    /// # Panics
    /// When somebody listens there already.
    pub fn listen_peer<P: Peer + 'static>(
        &self,
        at: SocketAddr,
        mut make: impl FnMut() -> P + 'static,
    ) {
        let mut state = self.state();
        let other = state.listeners.insert(at, Listener::Peer);
        assert!(other.is_none(), "two listeners at {at}");
        state.factories.insert(at, Some(Box::new(move || Box::new(make()) as Box<dyn Peer>)));
    }

    /// Calls `action` after `delay`: for wakes, and for whatever else a test lets happen.
    pub fn after(&self, delay: Duration, action: impl FnOnce() + 'static) {
        self.state().after(delay.as_micros(), Happening::Action(Box::new(action)));
    }

    /// Calls `hook` at each such moment from now on, in place of an earlier one.
    pub fn hook(&self, moment: Moment, hook: impl FnMut() + 'static) {
        self.0.hooks.borrow_mut()[moment as usize] = Some(Box::new(hook));
    }

    /// Whether what is written at the end with this address leaves at once
    /// ([`Transport::set_nodelay`](crate::poller::Transport::set_nodelay)): only noted here, for
    /// nothing ever waits. `None` without such an end.
    pub fn nodelay(&self, own: SocketAddr) -> Option<bool> {
        let state = self.state();
        let mut ends = state.links.values().flat_map(|link| &link.ends);
        ends.find(|end| end.address == own).map(|end| end.nodelay)
    }

    // How it ends.

    /// Waits until nothing is left to happen: no peer will act, no byte is under way, and the
    /// reactor has no deadline.
    ///
    /// Without somebody who waits for this, and without a hook at [`Moment::Quiet`] that changes
    /// something, such a moment is a failure: the test would hang.
    pub fn quiet(&self) -> Ending {
        Ending { world: self.clone(), at_quiet: true }
    }

    /// Waits until no peer is left. Done at once when none was made.
    pub fn peers_gone(&self) -> Ending {
        Ending { world: self.clone(), at_quiet: false }
    }

    /// Counts what is not closed.
    pub fn open(&self) -> Open {
        let state = self.state();
        let kinds = || state.sources.kinds();
        let is_lingering = |end: &super::link::End| end.owner == Owner::Lingering;
        Open {
            connections: kinds().filter(|kind| matches!(kind, Kind::End(..))).count(),
            listeners: kinds().filter(|kind| matches!(kind, Kind::Listener(_))).count(),
            sockets: kinds().filter(|kind| matches!(kind, Kind::Socket(_))).count(),
            lingering: state
                .links
                .values()
                .filter(|link| link.ends.iter().any(is_lingering))
                .count(),
            peers: state.peers.len() + usize::from(state.peer_out.is_some()),
            bytes_held: state.links.values().flat_map(|l| &l.ends).map(|end| end.out.held()).sum(),
        }
    }

    /// Checks that the reactor's side has closed everything that it opened or accepted.
    ///
    /// # Panics
    /// When something is open, with the count and the last lines of the trace.
    #[track_caller]
    pub fn assert_all_closed(&self) {
        let open = self.open();
        if open.connections + open.listeners + open.sockets != 0 {
            self.fail(format_args!("not everything is closed: {open:?}"));
        }
    }

    // What it tells.

    /// Keeps a readable trace from now on.
    pub fn keep_trace(&self) {
        self.state().trace.keep_lines();
    }

    /// The readable trace so far, seconds since the begin before each line; empty unless
    /// [`keep_trace`](Self::keep_trace) was called.
    pub fn trace(&self) -> Vec<String> {
        self.state().trace.lines()
    }

    /// A hash of everything that happened: equal for equal runs, whether lines are kept or not.
    pub fn trace_hash(&self) -> u64 {
        self.state().trace.hash()
    }

    /// Adds a line of the test's own to the trace and to its hash.
    pub fn note(&self, what: fmt::Arguments<'_>) {
        let mut state = self.state();
        note!(state, "{what}");
    }

    /// Ends the test: something is not as it must be.
    ///
    /// # Panics
    /// Always, with `what`, the seed, the time and the last lines of the trace.
    #[track_caller]
    pub fn fail(&self, what: fmt::Arguments<'_>) -> ! {
        let (seed, elapsed, lines) = (self.seed(), self.elapsed(), self.trace());
        let shown = lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n");
        panic!("world {seed:#x} after {} us: {what}\n{shown}", elapsed.as_micros())
    }

    // The poller's side.

    pub(super) fn poll(
        &self,
        deadline: Option<Instant>,
        wakes: &WakeTree,
        on_event: &mut dyn FnMut(Event),
    ) {
        self.call_hook(Moment::Poll);
        {
            let mut state = self.state();
            let (least, most) = state.faults.turn_us;
            state.now_us += state.rng.range(least, most);
            state.bend_clock();
            state.add_spurious_events();
            let permille = state.faults.spurious_wake_permille;
            if state.rng.hits(permille) {
                let leaf = state.rng.index(wakes.len().min(LEAVES_WOKEN_MAX));
                wakes.wake(leaf);
            }
        }
        self.run_due();
        self.stall();
        let mut waited = false;
        let mut woken = wakes.any();
        let is_due = deadline.is_some_and(|at| at <= self.clock());
        if !is_due && self.state().ready.is_empty() {
            let before = self.now();
            woken = self.wait(deadline, wakes);
            waited = self.now() > before;
        }
        let delivered = self.deliver(on_event);
        if !waited && delivered == 0 {
            // Who looks again and again without waiting burns time, and must not stop the clock.
            self.state().now_us += POLL_US;
        }
        self.count_poll(waited, woken || delivered > 0);
    }

    /// Lets the world go on without the reactor for a while, where the faults say so.
    fn stall(&self) {
        let until_us = {
            let mut state = self.state();
            let permille = state.faults.stall_permille;
            if !state.rng.hits(permille) {
                return;
            }
            let (least, most) = state.faults.stall_us;
            let stall_us = state.rng.range(least, most);
            note!(state, "the reactor does not run for {stall_us} us");
            state.now_us + stall_us
        };
        loop {
            let next_us = self.state().next_us().unwrap_or(u64::MAX).min(until_us);
            let now_us = self.now().as_micros();
            self.state().now_us = now_us.max(next_us);
            self.run_due();
            if next_us == until_us {
                return;
            }
        }
    }

    /// Waits as the contract says; whether a wake ended it.
    fn wait(&self, deadline: Option<Instant>, wakes: &WakeTree) -> bool {
        self.call_hook(Moment::BeforePark);
        if !wakes.park() {
            return true;
        }
        self.call_hook(Moment::Parked);
        let woken = self.wait_parked(deadline, wakes);
        wakes.unparked();
        woken
    }

    fn wait_parked(&self, deadline: Option<Instant>, wakes: &WakeTree) -> bool {
        let unit_us = self.state().faults.deadline_unit_us.max(1);
        let limit = deadline
            .filter(|&at| at != Instant::MAX)
            .map(|at| at.as_micros().checked_next_multiple_of(unit_us).unwrap_or(u64::MAX))
            .map(|at_us| self.state().when_clock_shows(at_us));
        loop {
            if wakes.any() {
                return true;
            }
            if !self.state().ready.is_empty() {
                return false;
            }
            let next = self.state().next_us();
            let Some(target) = limit.into_iter().chain(next).min() else {
                self.fall_quiet(wakes);
                continue;
            };
            let is_interrupted = {
                let mut state = self.state();
                let now_us = state.now_us;
                let permille = state.faults.interrupt_permille;
                let is_interrupted = target > now_us + 1 && state.rng.hits(permille);
                let until =
                    if is_interrupted { state.rng.range(now_us + 1, target - 1) } else { target };
                state.now_us = until.max(now_us);
                is_interrupted
            };
            self.run_due();
            if is_interrupted || limit.is_some_and(|limit| self.now().as_micros() >= limit) {
                return wakes.any();
            }
        }
    }

    /// Nothing can happen any more: somebody must know what to do, or the test would hang.
    fn fall_quiet(&self, wakes: &WakeTree) {
        let wakers = {
            let mut state = self.state();
            state.is_quiet = true;
            note!(state, "quiet");
            core::mem::take(&mut state.quiet_wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
        self.call_hook(Moment::Quiet);
        if !wakes.any() && self.state().next_us().is_none() {
            let open = self.open();
            self.fail(format_args!("nothing can ever happen again, and {open:?}"));
        }
    }

    /// Lets everything happen whose time has come, and calls whoever is to be called.
    fn run_due(&self) {
        loop {
            self.make_calls();
            if !self.state().step() {
                break;
            }
        }
        let wakers = {
            let mut state = self.state();
            if !state.peers.is_empty() {
                return;
            }
            core::mem::take(&mut state.peers_gone_wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    fn make_calls(&self) {
        loop {
            let Some(call) = self.state().calls.pop_front() else { return };
            match call {
                Call::Action(action) => action(),
                Call::MakePeer { at, link } => self.make_peer(at, link),
                Call::DatagramPeer { at, letter } => self.call_datagram_peer(at, &letter),
                Call::Peer { peer, link, side, event } => {
                    let Some(mut called) = self.state().peer_leaves(peer, link, side, event) else {
                        continue;
                    };
                    called.on_event(event, &mut PeerEnd { world: self, peer, link, side });
                    // A peer that is over is dropped here, while nothing is borrowed.
                    let _over = self.state().peer_returns(peer, link, side, event, called);
                }
            }
        }
    }

    fn make_peer(&self, at: SocketAddr, link: u32) {
        let factory = self.state().factories.get_mut(&at).and_then(Option::take);
        let Some(mut factory) = factory else { return };
        let peer = factory();
        let mut state = self.state();
        state.factories.insert(at, Some(factory));
        let id = state.next_peer();
        let Some(end) = state.links.get_mut(&link).map(|link| &mut link.ends[ACCEPTOR]) else {
            return;
        };
        if end.status == Status::Open {
            end.owner = Owner::Peer(id);
            state.peers.insert(id, peer);
            let event = PeerEvent::Connected;
            state.calls.push_back(Call::Peer { peer: id, link, side: ACCEPTOR, event });
        } else {
            end.owner = Owner::Nobody;
            state.settle(link);
        }
    }

    fn deliver(&self, on_event: &mut dyn FnMut(Event)) -> usize {
        let batch: Vec<_> = {
            let mut state = self.state();
            let (least, most) = state.faults.events_per_poll;
            let budget = state.rng.range(least as u64, most as u64).max(1) as usize;
            let count = budget.min(state.ready.len());
            state.ready.drain(..count).collect()
        };
        for &(token, ready) in &batch {
            self.note(format_args!("event {ready:?} for {:#x}", token.as_u64()));
            debug_assert!(ready != Readiness::NONE, "an event that says nothing");
            on_event(Event { token, ready });
        }
        batch.len()
    }

    /// No turn without progress: time, an event or a wake, or something that was closed, as by a
    /// server that has many deadlines to see to and a budget for each turn.
    fn count_poll(&self, waited: bool, found: bool) {
        let (idle, at_instant) = {
            let mut state = self.state();
            let moved = core::mem::take(&mut state.has_closed) || waited || found;
            state.polls_idle = if moved { 0 } else { state.polls_idle + 1 };
            state.polls_at_instant = if waited { 0 } else { state.polls_at_instant + 1 };
            (state.polls_idle, state.polls_at_instant)
        };
        if idle > POLLS_IDLE_MAX {
            self.fail(format_args!("spinning: {idle} polls found nothing and did not wait"));
        }
        if at_instant > POLLS_AT_INSTANT_MAX {
            self.fail(format_args!("spinning: {at_instant} polls at the same instant"));
        }
    }

    fn call_hook(&self, moment: Moment) {
        let hook = self.0.hooks.borrow_mut()[moment as usize].take();
        if let Some(mut hook) = hook {
            hook();
            // The hook may have put another in its place.
            self.0.hooks.borrow_mut()[moment as usize].get_or_insert(hook);
        }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("seed", &self.seed()).field("now", &self.now()).finish()
    }
}

impl State {
    /// Takes a peer out to be called; `None` if it is over.
    fn peer_leaves(
        &mut self,
        peer: u32,
        link: u32,
        side: usize,
        event: PeerEvent,
    ) -> Option<Box<dyn Peer>> {
        let called = self.peers.remove(&peer)?;
        self.peer_out = Some(peer);
        note!(self, "link {link}: peer: {event:?}");
        if event == PeerEvent::Fin
            && let Some(link) = self.links.get_mut(&link)
        {
            link.ends[side].fin_told = true;
        }
        Some(called)
    }

    /// Puts a peer back, or hands it out to be dropped if that was its last event.
    fn peer_returns(
        &mut self,
        peer: u32,
        link: u32,
        side: usize,
        event: PeerEvent,
        called: Box<dyn Peer>,
    ) -> Option<Box<dyn Peer>> {
        self.peer_out = None;
        if let Some(end) = self.links.get_mut(&link).map(|link| &mut link.ends[side])
            && end.owner == Owner::Peer(peer)
        {
            let is_dead = matches!(event, PeerEvent::Reset | PeerEvent::Refused);
            let is_over = is_dead || end.fin_told && end.out.fin != Fin::None;
            if !is_over {
                self.peers.insert(peer, called);
                return None;
            }
            end.owner = Owner::Nobody;
            self.settle(link);
        }
        Some(called)
    }
}

/// Waits for the end of a world; see [`World::quiet`] and [`World::peers_gone`].
///
/// Cancel-safe: a dropped one waits for nothing.
#[must_use = "futures do nothing unless polled"]
#[derive(Debug)]
pub struct Ending {
    world: World,
    at_quiet: bool,
}

impl Future for Ending {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.world.state();
        let is_over = if self.at_quiet {
            state.is_quiet
        } else {
            state.peers.is_empty() && state.peer_out.is_none()
        };
        if is_over {
            return Poll::Ready(());
        }
        let wakers =
            if self.at_quiet { &mut state.quiet_wakers } else { &mut state.peers_gone_wakers };
        if !wakers.iter().any(|known| known.will_wake(cx.waker())) {
            wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }
}
