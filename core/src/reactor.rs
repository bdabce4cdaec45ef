//! The reactor: one thread, one poller, a table of sources, a timer wheel and wake flags.
//!
//! Invariants:
//! - A ready bit is set => its source is queued on its group's list, or the group's owner has
//!   popped it and knows; nothing that is ready is ever nowhere.
//! - No `RefCell` borrow is held while a future or a foreign waker runs.
//! - Everything within one turn sees the same instant, [`Reactor::now`].
//! - A token whose source was removed reaches nothing; its entry is used again only after it left
//!   the ready list.
//!
//! One turn: the clock is read; due timers are collected, then fired; flags raised before this
//! turn are taken (a wake from now on waits for the next turn) and their tasks polled; then the
//! poller waits, not at all if a flag is up, else until the first deadline; the events' bits are
//! set, each source queued once on its group's list, and the group woken.
//!
//! ```text
//!   poller --event--> Source.ready (sticky) --> group's ready list --> poll_ready (a server)
//!                          |
//!                          +--> waiter of this interest            --> poll_io    (a stream)
//!   wheel  --due----> sleeper's waker      flags --> group's task list --> poll_task (its slots)
//! ```
//!
//! Layer: stands on the poller's contract, the wheel, the wake tree, lists and the slab; handles,
//! streams and the HTTP driver stand on it.

use core::cell::{RefCell, RefMut};
use core::fmt;
use core::future::Future;
use core::net::SocketAddr;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};

use crate::handle::Handle;
use crate::memory::Block;
use crate::metrics::Metrics;
use crate::operations::{self, Reach};
use crate::poller::{Error, Event, Interest, Io, Readiness, Token, Transport};
use crate::state::{self, State};
use crate::task::TimedOut;
use crate::time::{Duration, Instant};
use crate::wake::WakeTree;

/// How much of everything a reactor has room for: a value, never a type parameter.
///
/// Every table is cut from one block of [`bytes`](Self::bytes) bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Connections and listeners at once. Full: [`Reactor::insert`] gives the number back.
    pub sources: usize,
    /// Sleeping futures at once. Full: the sleeper is polled again at the least deadline that was
    /// refused, and so is everybody; it costs turns, and loses nothing.
    pub timers: usize,
    /// Servers at once (a group each). Full: [`Reactor::group`] answers `None`.
    pub groups: usize,
    /// Tasks at once, `run`'s main future included: leaves of the wake tree, at most 65,536. Full:
    /// [`Reactor::group`] answers `None`.
    pub tasks: usize,
    /// Futures that wait for one source at once ([`Reactor::poll_io`]). Full: the waiter is polled
    /// again in every turn; it costs turns, and loses nothing. Who waits for a lock or a queue
    /// waits in that one's own table, and takes none of these.
    pub waiters: usize,
}

impl Capacity {
    /// The bytes of the block that [`Reactor::new`] cuts its tables from.
    pub const fn bytes(&self) -> usize {
        state::bytes(self)
    }

    /// The same with room for `more` timers.
    pub const fn plus_timers(mut self, more: usize) -> Self {
        self.timers += more;
        self
    }

    /// The same with room for `more` sources that are streams, and their waiters.
    pub const fn plus_streams(mut self, more: usize) -> Self {
        self.sources += more;
        self.waiters += 3 * more;
        self
    }

    /// The same with room for `more` tasks in a group of their own.
    pub const fn plus_tasks(mut self, more: usize) -> Self {
        self.tasks += more;
        self.groups += 1;
        self
    }
}

/// A server's share of a reactor: the sources it accepts and the tasks it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group(pub(crate) u8);

impl Group {
    /// The group of sources that belong to no server: streams, waited for one by one. It has no
    /// ready list, no tasks and no deadline.
    pub const NONE: Self = Self(0);
}

/// How a source ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// Deliver what was written, then FIN ([`Transport::close`]).
    Graceful,
    /// RST ([`Transport::abort`]).
    Abort,
}

/// Why a source could not be inserted; the poller's number comes back, still open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertError {
    /// [`Capacity::sources`] are in use.
    Full(Io),
    /// The poller refused it.
    Register(Io, Error),
}

impl fmt::Display for InsertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("the table of sources is full"),
            Self::Register(_, error) => write!(f, "the poller refused the source: {error}"),
        }
    }
}

impl core::error::Error for InsertError {}

/// One thread's event loop over the poller `P`: Tornado's `IOLoop`.
///
/// Shared as `&Reactor`; what needs no `P` goes through a [`Handle`].
pub struct Reactor<'m, P> {
    poller: RefCell<P>,
    pub(crate) state: State<'m>,
}

impl<'m, P: Transport> Reactor<'m, P> {
    /// A reactor over `poller`, whose tables are cut from `memory`.
    ///
    /// # Panics
    /// At start-up, with the numbers: when `memory` is smaller than [`Capacity::bytes`], when
    /// `wakes` has fewer leaves than `capacity.tasks`, when there are no tasks or more than 255
    /// groups, or when `wakes` belongs to another reactor.
    pub fn new(poller: P, memory: Block<'m>, capacity: Capacity, wakes: &'static WakeTree) -> Self {
        assert!(capacity.tasks >= 1, "a reactor runs at least one task: its main future");
        assert!(capacity.groups <= 255, "{} groups: at most 255", capacity.groups);
        assert!(
            wakes.len() >= capacity.tasks,
            "{} tasks need as many wake leaves, not {}",
            capacity.tasks,
            wakes.len()
        );
        let now = poller.now();
        let bound = wakes.bind(poller.unpark());
        assert!(bound.is_ok(), "these wakes belong to another reactor");
        Self { state: State::new(memory, capacity, wakes, now), poller: RefCell::new(poller) }
    }

    /// This turn's instant.
    pub fn now(&self) -> Instant {
        self.state.now()
    }

    /// The wall clock; see [`Clock::unix_seconds`](crate::time::Clock::unix_seconds).
    pub fn unix_seconds(&self) -> Option<u64> {
        self.world().unix_seconds()
    }

    /// What the reactor counts.
    pub fn metrics(&self) -> &Metrics {
        &self.state.metrics
    }

    /// The poller, for what only this world has.
    ///
    /// # Panics
    /// When `with` calls back into the reactor.
    pub fn poller<R>(&self, with: impl FnOnce(&mut P) -> R) -> R {
        with(&mut self.world())
    }

    /// Takes `io` under the reactor's care. Its first events come with the next turn.
    ///
    /// # Errors
    /// [`InsertError`], which gives `io` back, still open.
    pub fn insert(&self, io: Io, group: Group) -> Result<Token, InsertError> {
        operations::insert(self, io, group)
    }

    /// Ends a source. A stale token does nothing. Futures that wait for it resolve and then read
    /// [`Error::STALE`].
    pub fn remove(&self, token: Token, how: Close) {
        operations::remove(self, token, how);
    }

    /// Listens at `at`: the listener is a source of no group.
    ///
    /// # Errors
    /// The poller's, or [`embedded_io::ErrorKind::OutOfMemory`] when the table is full.
    pub fn listen(&self, at: SocketAddr, backlog: u16) -> Result<Token, Error> {
        operations::listen(self, at, backlog)
    }

    /// Starts to connect to `to`, from an address of its own (`from`) or of the world's choice: the
    /// connection is a source of no group, ready to write once established. What most want is
    /// [`TcpClient`](crate::tcp::TcpClient).
    ///
    /// # Errors
    /// The poller's, or [`embedded_io::ErrorKind::OutOfMemory`] when the table is full.
    pub fn connect(&self, to: SocketAddr, from: Option<SocketAddr>) -> Result<Token, Error> {
        let io = self.world().connect(to, from)?;
        operations::adopt(self, io, Group::NONE)
    }

    /// Accepts one connection from a listener, into `group`.
    ///
    /// # Errors
    /// The poller's; [`embedded_io::ErrorKind::OutOfMemory`] when it has no handle left. With the
    /// table of sources full nothing is accepted and the answer is the same: the connection
    /// waits in the listener's backlog.
    pub fn accept(&self, listener: Token, group: Group) -> nb::Result<(Token, SocketAddr), Error> {
        operations::accept(self, listener, group)
    }

    /// Reads from a source. `WouldBlock`, or a short read where that drains, clears `READ`.
    ///
    /// # Errors
    /// The poller's, or [`Error::STALE`].
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub fn read(&self, token: Token, buf: &mut [u8]) -> nb::Result<usize, Error> {
        operations::read(self, token, buf)
    }

    /// Writes a prefix of `data` and returns its length. `WouldBlock` clears `WRITE`; while it is
    /// clear the world is not asked again.
    ///
    /// # Errors
    /// The poller's, or [`Error::STALE`].
    pub fn write(&self, token: Token, data: &[u8]) -> nb::Result<usize, Error> {
        operations::write(self, token, data, P::write)
    }

    /// As [`write`](Self::write), by [`Transport::write_whole`].
    ///
    /// # Errors
    /// The poller's, or [`Error::STALE`].
    pub fn write_whole(&self, token: Token, data: &[u8]) -> nb::Result<usize, Error> {
        operations::write(self, token, data, P::write_whole)
    }

    /// Sends FIN after what was written; reading goes on. A stale token does nothing.
    pub fn shutdown(&self, token: Token) {
        operations::shutdown(self, token);
    }

    /// The peer's address.
    pub fn peer(&self, token: Token) -> Option<SocketAddr> {
        operations::peer(self, token)
    }

    /// The own address: for a listener at port 0, the port that was chosen.
    pub fn local(&self, token: Token) -> Option<SocketAddr> {
        operations::local(self, token)
    }

    /// Turns a connection into a TLS one, where the transport speaks it.
    ///
    /// # Errors
    /// [`Error::UNSUPPORTED`], [`Error::STALE`], or the transport's.
    pub fn start_tls(&self, token: Token) -> Result<(), Error> {
        operations::start_tls(self, token)
    }

    /// The sticky bits of a source; none for a stale token.
    pub fn readiness(&self, token: Token) -> Readiness {
        self.state.readiness(token)
    }

    /// Moves a source into `group`, as when a server takes over a listener. What is ready already
    /// is queued there. A stale token does nothing.
    ///
    /// # Panics
    /// When the source stands on a group's ready list: that group takes it off first.
    pub fn assign(&self, token: Token, group: Group) {
        self.state.assign(token, group);
    }

    /// Queues a source on its group's ready list again, for an owner that stopped at a budget. A
    /// stale token, and one of no group, does nothing.
    pub fn requeue(&self, token: Token) {
        self.state.requeue(token);
    }

    /// The token of the source at `index` ([`Token::index`]), while there is one.
    pub fn token_at(&self, index: usize) -> Option<Token> {
        self.state.token_at(index)
    }

    /// How many sources there is room for; their indexes are 1 to this.
    pub fn sources_max(&self) -> usize {
        self.state.sources.capacity()
    }

    /// A group of its own for a server, with `tasks` leaves of the wake tree; `None` when groups
    /// or leaves are used up. Dropping what owns it does not give it back:
    /// [`release_group`](Self::release_group) does.
    pub fn group(&self, tasks: usize) -> Option<Group> {
        self.state.group(tasks)
    }

    /// Gives a group and its leaves back. Its sources must have been removed.
    pub fn release_group(&self, group: Group) {
        self.state.release_group(group);
    }

    /// Waits for one interest of one source; see
    /// [`Handle::poll_io`](crate::handle::Handle::poll_io).
    pub fn poll_io(&self, token: Token, interest: Interest, cx: &mut Context<'_>) -> Poll<()> {
        self.state.poll_io(token, interest, cx)
    }

    /// The next source of the group that became ready; each event names it once. Its bits stay
    /// until an operation disproves them: the caller either goes on until then or remembers it.
    pub fn poll_ready(&self, group: Group, cx: &mut Context<'_>) -> Poll<Token> {
        self.poll_event(group, cx).map(|event| event.token)
    }

    /// As [`poll_ready`](Self::poll_ready), with the source's bits as they are now.
    pub fn poll_event(&self, group: Group, cx: &mut Context<'_>) -> Poll<Event> {
        match self.state.next_ready(group) {
            Some(event) => Poll::Ready(event),
            None => {
                self.state.await_group(group, cx.waker());
                Poll::Pending
            }
        }
    }

    /// The next task of the group whose flag was raised, as a number below the group's `tasks`.
    pub fn poll_task(&self, group: Group, cx: &mut Context<'_>) -> Poll<usize> {
        self.state.poll_task(group, cx)
    }

    /// As [`poll_task`](Self::poll_task), for an owner that polls [`poll_ready`](Self::poll_ready)
    /// as well: one of the two leaves the waker, for both.
    pub fn next_task(&self, group: Group) -> Option<usize> {
        self.state.next_task(group)
    }

    /// The waker of task `task` of the group.
    ///
    /// # Panics
    /// When the group has fewer tasks.
    pub fn task_waker(&self, group: Group, task: usize) -> Waker {
        self.state.task_waker(group, task)
    }

    /// Wakes the group's owner at `at`, once; [`Instant::MAX`] takes it back. One deadline a
    /// group: its owner keeps its own order (a FIFO for each phase, for a server).
    pub fn set_deadline(&self, group: Group, at: Instant) {
        self.state.set_deadline(group, at);
    }

    /// Asks everything to end: [`Handle::stopping`](crate::handle::Handle::stopping) resolves.
    pub fn stop(&self) {
        self.state.stop();
    }

    /// Panics unless the reactor's tables, lists and timers agree; visits everything. For tests,
    /// between two turns.
    #[cfg(feature = "sim")]
    #[track_caller]
    pub fn check(&self) {
        self.state.check();
    }

    /// Whether a source stands on its group's ready list.
    #[cfg(feature = "sim")]
    pub fn is_queued(&self, token: Token) -> bool {
        self.state.is_queued(token)
    }

    /// Whether a task was woken that has not run since.
    #[cfg(feature = "sim")]
    pub fn is_woken(&self) -> bool {
        self.state.is_woken()
    }

    /// One turn without a main future: fires what is due, waits until `until` at most, and
    /// collects events. For loops of one's own; [`run`](Self::run) is the usual one.
    ///
    /// # Panics
    /// When the poller fails: there is no world left.
    pub fn turn(&self, until: Option<Instant>) {
        let began = self.world().now();
        self.state.begin_turn(began);
        self.park(until);
    }

    /// Runs until `main` is done and returns what it gave. Tornado: `IOLoop.run_sync` without a
    /// timeout, `IOLoop.start`.
    ///
    /// # Panics
    /// When the poller fails: there is no world left.
    // Inlined, so that the future lies on the stack once: it is pinned where it was made.
    #[cfg_attr(target_os = "none", inline(always))]
    pub fn run<F: Future>(&self, main: F) -> F::Output {
        let mut main = pin!(main);
        let waker = self.state.wakes.waker(0);
        let mut cx = Context::from_waker(&waker);
        self.state.wakes.wake(0);
        loop {
            let began = self.world().now();
            if self.state.begin_turn(began) {
                if let Poll::Ready(output) = poll_main(main.as_mut(), &mut cx) {
                    return output;
                }
                // A turn that served one event kept nobody waiting when it began: to look at the
                // clock again would cost it as much as all its bookkeeping, so one in eight is
                // measured, and of the busier ones each.
                if self.state.is_measured() {
                    let ended = self.world().now();
                    self.state.metrics.record_turn(ended - began);
                }
            }
            self.park(None);
        }
    }

    /// Runs until `main` is done, but no longer than `timeout`: then `main` is dropped where it
    /// stands. With [`Duration::ZERO`] it is polled once. Takes one timer. Tornado:
    /// `IOLoop.run_sync(func, timeout)`.
    ///
    /// # Errors
    /// [`TimedOut`].
    ///
    /// # Panics
    /// When the poller fails: there is no world left.
    // Inlined, as `run`.
    #[cfg_attr(target_os = "none", inline(always))]
    pub fn run_sync<F: Future>(&self, timeout: Duration, main: F) -> Result<F::Output, TimedOut> {
        // By the clock and not by the last turn's: the reactor may have stood still since.
        let at = self.world().now().max(self.now()) + timeout;
        self.run(Handle::from(self).timeout_at(at, main))
    }

    #[cfg_attr(target_os = "none", inline(never))]
    fn park(&self, until: Option<Instant>) {
        let deadline = self.state.deadline(until);
        let mut batch = 0;
        let polled = self.world().poll(deadline, self.state.wakes, &mut |event| {
            batch += 1;
            self.state.deliver(event);
        });
        self.state.end_turn(batch);
        if let Err(error) = polled {
            panic!("the poller failed: {error}");
        }
    }
}

impl<P: Transport> Reach for Reactor<'_, P> {
    type World = P;

    #[inline]
    fn state(&self) -> &State<'_> {
        &self.state
    }

    #[inline]
    fn world(&self) -> RefMut<'_, P> {
        match self.poller.try_borrow_mut() {
            Ok(poller) => poller,
            Err(_) => reentered(),
        }
    }
}

/// Polls the main future. On a board this is a function of its own, and so is the wait: what the
/// two need of the stack is needed in turns, not at once.
#[cfg_attr(target_os = "none", inline(never))]
fn poll_main<F: Future>(main: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
    main.poll(cx)
}

/// One function for all the places that use the poller, which takes nothing: the check costs flash
/// only here.
#[cold]
#[inline(never)]
fn reentered() -> ! {
    panic!("the poller was used from within the poller");
}

impl<P> Drop for Reactor<'_, P> {
    fn drop(&mut self) {
        self.state.wakes.unbind();
    }
}
