//! The reactor erased over its poller: what handlers, streams and clients hold.
//!
//! Invariants: a [`Handle`] is two words and `Copy`; it adds no state; a call finds the reactor's
//! tables through one indirect call, and its poller through another where it needs the world, so
//! that nothing above is compiled once per poller, and nothing is linked that nobody calls.
//!
//! Layer: stands on the reactor; streams, futures and the HTTP layer's public types stand on it.

use core::cell::RefMut;
use core::future::Future;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::metrics::Snapshot;
use crate::operations::{self, Reach, World};
use crate::poller::{Error, Interest, Readiness, Token, Transport};
use crate::reactor::{Close, Group, Reactor};
use crate::state::State;
use crate::task::Timeout;
use crate::time::{Duration, Instant};
use crate::wheel::TimerId;

/// A reactor for whoever does not know its poller. Implemented by [`Reactor`] alone; used through
/// [`Handle`].
trait Erased {
    fn state(&self) -> &State<'_>;
    fn world(&self) -> RefMut<'_, dyn World + '_>;
}

impl<P: Transport> Erased for Reactor<'_, P> {
    fn state(&self) -> &State<'_> {
        Reach::state(self)
    }
    fn world(&self) -> RefMut<'_, dyn World + '_> {
        Reach::world(self)
    }
}

impl<'c> Reach for Handle<'c> {
    type World = dyn World + 'c;

    fn state(&self) -> &State<'_> {
        self.reactor.state()
    }
    fn world(&self) -> RefMut<'_, Self::World> {
        self.reactor.world()
    }
}

/// A reactor, whatever its poller: `Copy`, two words. Tornado: `IOLoop.current()`, but handed in.
#[derive(Clone, Copy)]
pub struct Handle<'c> {
    reactor: &'c dyn Erased,
}

impl<'c, P: Transport> From<&'c Reactor<'_, P>> for Handle<'c> {
    fn from(reactor: &'c Reactor<'_, P>) -> Self {
        Self { reactor }
    }
}

impl<'c> Handle<'c> {
    /// This turn's instant.
    pub fn now(self) -> Instant {
        self.reactor.state().now()
    }

    /// What the reactor counted so far.
    pub fn snapshot(self) -> Snapshot {
        self.reactor.state().metrics.snapshot()
    }

    /// Resolves `span` from now. With [`Duration::ZERO`] it is ready at once and lets nobody else
    /// run: that is [`yield_now`](crate::coroutine::yield_now), Tornado's `gen.sleep(0)`. Tornado:
    /// `gen.sleep`.
    pub fn sleep(self, span: Duration) -> Sleep<'c> {
        self.sleep_until(self.now() + span)
    }

    /// Resolves once `at` has come; never early, at most one wheel tick (1.024 ms) and the turn
    /// under way late. [`Instant::MAX`] never comes. Takes one timer of the capacity while it
    /// waits; see [`Capacity::timers`](crate::reactor::Capacity) for when none is left.
    pub fn sleep_until(self, at: Instant) -> Sleep<'c> {
        Sleep { handle: self, at, timer: None }
    }

    /// `future` with `span` from now to become ready in; else [`TimedOut`](crate::task::TimedOut),
    /// and it is dropped with the `Timeout`. Tornado: `gen.with_timeout`.
    pub fn timeout<F: Future>(self, span: Duration, future: F) -> Timeout<'c, F> {
        Timeout::new(self.sleep(span), future)
    }

    /// `future` with a deadline; see [`timeout`](Self::timeout). For several steps under one.
    pub fn timeout_at<F: Future>(self, at: Instant, future: F) -> Timeout<'c, F> {
        Timeout::new(self.sleep_until(at), future)
    }

    /// Resolves once the reactor was asked to stop: a handler that could wait for long ends then.
    pub fn stopping(self) -> Stopping<'c> {
        Stopping { handle: self }
    }

    /// Asks everything on this reactor to end.
    pub fn stop(self) {
        self.reactor.state().stop();
    }

    /// See [`Reactor::listen`].
    ///
    /// # Errors
    /// As there.
    pub fn listen(self, at: SocketAddr, backlog: u16) -> Result<Token, Error> {
        operations::listen(&self, at, backlog)
    }

    /// Accepts one connection as a source of no group; see [`Reactor::accept`].
    ///
    /// # Errors
    /// As there.
    pub fn accept(self, listener: Token) -> nb::Result<(Token, SocketAddr), Error> {
        operations::accept(&self, listener, Group::NONE)
    }

    /// Waits for one interest of one source. Resolves at once when a bit that ends the wait is
    /// set, or when the token is stale; clears no bit. One waiter an interest: a second one
    /// replaces the first, which is then not woken. A source of a group is its owner's to wait
    /// for ([`Reactor::poll_ready`]): any other future is polled again in every turn.
    pub fn poll_io(self, token: Token, interest: Interest, cx: &mut Context<'_>) -> Poll<()> {
        self.reactor.state().poll_io(token, interest, cx)
    }

    /// See [`Reactor::read`].
    ///
    /// # Errors
    /// As there.
    pub fn read(self, token: Token, buf: &mut [u8]) -> nb::Result<usize, Error> {
        operations::read(&self, token, buf)
    }

    /// See [`Reactor::write`].
    ///
    /// # Errors
    /// As there.
    pub fn write(self, token: Token, data: &[u8]) -> nb::Result<usize, Error> {
        operations::write(&self, token, data, World::write)
    }

    /// As [`write`](Self::write), by [`Transport::write_vectored`].
    ///
    /// # Errors
    /// As there.
    pub fn write_vectored(
        self,
        token: Token,
        head: &[u8],
        rest: &[u8],
    ) -> nb::Result<usize, Error> {
        operations::write(&self, token, rest, |world, io, rest| {
            world.write_vectored(io, head, rest)
        })
    }

    /// The sticky bits of a source; none for a stale token.
    pub fn readiness(self, token: Token) -> Readiness {
        self.reactor.state().readiness(token)
    }

    /// Clears bits of a source that an attempt outside the poller has proved wrong, by a
    /// `WouldBlock` of its own. A stale token does nothing.
    pub fn disprove(self, token: Token, bits: Readiness) {
        if let Some(source) = self.reactor.state().source(token) {
            source.disprove(bits);
        }
    }

    /// See [`Transport::set_nodelay`].
    ///
    /// # Errors
    /// The poller's, or [`Error::STALE`].
    pub fn set_nodelay(self, token: Token, on: bool) -> Result<(), Error> {
        operations::set_nodelay(&self, token, on)
    }

    /// See [`Reactor::shutdown`].
    pub fn shutdown(self, token: Token) {
        operations::shutdown(&self, token);
    }

    /// See [`Reactor::remove`].
    pub fn remove(self, token: Token, how: Close) {
        operations::remove(&self, token, how);
    }

    /// The peer's address.
    pub fn peer(self, token: Token) -> Option<SocketAddr> {
        operations::peer(&self, token)
    }

    /// The own address.
    pub fn local(self, token: Token) -> Option<SocketAddr> {
        operations::local(&self, token)
    }

    /// See [`Reactor::start_tls`].
    ///
    /// # Errors
    /// As there.
    pub fn start_tls(self, token: Token) -> Result<(), Error> {
        operations::start_tls(&self, token)
    }

    pub(crate) fn group(self, tasks: usize) -> Option<Group> {
        self.reactor.state().group(tasks)
    }

    pub(crate) fn release_group(self, group: Group) {
        self.reactor.state().release_group(group);
    }

    pub(crate) fn poll_task(self, group: Group, cx: &mut Context<'_>) -> Poll<usize> {
        self.reactor.state().poll_task(group, cx)
    }

    pub(crate) fn task_waker(self, group: Group, task: usize) -> Waker {
        self.reactor.state().task_waker(group, task)
    }

    pub(crate) fn add_budget_hit(self) {
        self.reactor.state().metrics.add_budget_hit();
    }
}

/// See [`Handle::sleep_until`]. Cancel-safe: dropping it gives its timer back.
#[must_use = "a sleep does nothing unless it is awaited"]
pub struct Sleep<'c> {
    handle: Handle<'c>,
    at: Instant,
    timer: Option<TimerId>,
}

impl Sleep<'_> {
    /// When it resolves.
    pub fn deadline(&self) -> Instant {
        self.at
    }

    /// Moves the deadline; a wait under way goes on until the new one.
    pub fn reset(&mut self, at: Instant) {
        self.at = at;
        self.disarm();
    }

    fn disarm(&mut self) {
        if let Some(timer) = self.timer.take() {
            self.handle.reactor.state().disarm(timer);
        }
    }
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.handle.now() >= self.at && self.at != Instant::MAX {
            self.disarm();
            return Poll::Ready(());
        }
        let state = self.handle.reactor.state();
        let armed = self.timer.is_some_and(|timer| state.rearm(timer, cx.waker()));
        if !armed {
            self.timer = state.arm(self.at, cx.waker());
        }
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        self.disarm();
    }
}

/// See [`Handle::stopping`]. Cancel-safe: dropping it loses nothing.
#[must_use = "waiting for the end does nothing unless it is awaited"]
pub struct Stopping<'c> {
    handle: Handle<'c>,
}

impl Future for Stopping<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.handle.reactor.state().poll_stopping(cx)
    }
}
