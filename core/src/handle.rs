//! The reactor erased over its poller: what handlers, streams and clients hold.
//!
//! Invariants: a [`Handle`] is two words and `Copy`; it adds no state; each call is one indirect
//! call into the reactor, so that nothing above is compiled once per poller.
//!
//! Layer: stands on the reactor; streams, futures and the HTTP layer's public types stand on it.

use core::future::Future;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::metrics::Snapshot;
use crate::poller::{Error, Interest, Readiness, Token, Transport};
use crate::reactor::{Close, Group, Reactor};
use crate::task::Timeout;
use crate::time::{Duration, Instant};
use crate::wheel::TimerId;

/// What a reactor does for whoever does not know its poller. Implemented by [`Reactor`] alone;
/// used through [`Handle`].
trait Services {
    fn now(&self) -> Instant;
    fn snapshot(&self) -> Snapshot;
    fn arm(&self, at: Instant, waker: &Waker) -> Option<TimerId>;
    fn rearm(&self, timer: TimerId, waker: &Waker) -> bool;
    fn disarm(&self, timer: TimerId);
    fn poll_stopping(&self, cx: &mut Context<'_>) -> Poll<()>;
    fn stop(&self);
    fn listen(&self, at: SocketAddr, backlog: u16) -> Result<Token, Error>;
    fn connect(&self, to: SocketAddr) -> Result<Token, Error>;
    fn accept(&self, listener: Token) -> nb::Result<(Token, SocketAddr), Error>;
    fn poll_io(&self, token: Token, interest: Interest, cx: &mut Context<'_>) -> Poll<()>;
    fn read(&self, token: Token, buf: &mut [u8]) -> nb::Result<usize, Error>;
    fn write(&self, token: Token, data: &[u8]) -> nb::Result<usize, Error>;
    fn readiness(&self, token: Token) -> Readiness;
    fn shutdown(&self, token: Token);
    fn remove(&self, token: Token, how: Close);
    fn peer(&self, token: Token) -> Option<SocketAddr>;
    fn local(&self, token: Token) -> Option<SocketAddr>;
    fn start_tls(&self, token: Token) -> Result<(), Error>;
    fn group(&self, tasks: usize) -> Option<Group>;
    fn release_group(&self, group: Group);
    fn poll_task(&self, group: Group, cx: &mut Context<'_>) -> Poll<usize>;
    fn task_waker(&self, group: Group, task: usize) -> Waker;
    fn add_budget_hit(&self);
}

impl<P: Transport> Services for Reactor<'_, P> {
    fn now(&self) -> Instant {
        self.now()
    }
    fn snapshot(&self) -> Snapshot {
        self.metrics().snapshot()
    }
    fn arm(&self, at: Instant, waker: &Waker) -> Option<TimerId> {
        self.state.arm(at, waker)
    }
    fn rearm(&self, timer: TimerId, waker: &Waker) -> bool {
        self.state.rearm(timer, waker)
    }
    fn disarm(&self, timer: TimerId) {
        self.state.disarm(timer);
    }
    fn poll_stopping(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.state.poll_stopping(cx)
    }
    fn stop(&self) {
        self.stop();
    }
    fn listen(&self, at: SocketAddr, backlog: u16) -> Result<Token, Error> {
        self.listen(at, backlog)
    }
    fn connect(&self, to: SocketAddr) -> Result<Token, Error> {
        self.connect(to)
    }
    fn accept(&self, listener: Token) -> nb::Result<(Token, SocketAddr), Error> {
        self.accept(listener, Group::NONE)
    }
    fn poll_io(&self, token: Token, interest: Interest, cx: &mut Context<'_>) -> Poll<()> {
        self.state.poll_io(token, interest, cx)
    }
    fn read(&self, token: Token, buf: &mut [u8]) -> nb::Result<usize, Error> {
        self.read(token, buf)
    }
    fn write(&self, token: Token, data: &[u8]) -> nb::Result<usize, Error> {
        self.write(token, data)
    }
    fn readiness(&self, token: Token) -> Readiness {
        self.readiness(token)
    }
    fn shutdown(&self, token: Token) {
        self.shutdown(token);
    }
    fn remove(&self, token: Token, how: Close) {
        self.remove(token, how);
    }
    fn peer(&self, token: Token) -> Option<SocketAddr> {
        self.peer(token)
    }
    fn local(&self, token: Token) -> Option<SocketAddr> {
        self.local(token)
    }
    fn start_tls(&self, token: Token) -> Result<(), Error> {
        self.start_tls(token)
    }
    fn group(&self, tasks: usize) -> Option<Group> {
        self.group(tasks)
    }
    fn release_group(&self, group: Group) {
        self.release_group(group);
    }
    fn poll_task(&self, group: Group, cx: &mut Context<'_>) -> Poll<usize> {
        self.poll_task(group, cx)
    }
    fn task_waker(&self, group: Group, task: usize) -> Waker {
        self.task_waker(group, task)
    }
    fn add_budget_hit(&self) {
        self.metrics().add_budget_hit();
    }
}

/// A reactor, whatever its poller: `Copy`, two words. Tornado: `IOLoop.current()`, but handed in.
#[derive(Clone, Copy)]
pub struct Handle<'c> {
    services: &'c dyn Services,
}

impl<'c, P: Transport> From<&'c Reactor<'_, P>> for Handle<'c> {
    fn from(reactor: &'c Reactor<'_, P>) -> Self {
        Self { services: reactor }
    }
}

impl<'c> Handle<'c> {
    /// This turn's instant.
    pub fn now(self) -> Instant {
        self.services.now()
    }

    /// What the reactor counted so far.
    pub fn snapshot(self) -> Snapshot {
        self.services.snapshot()
    }

    /// Resolves `span` from now. Tornado: `gen.sleep`.
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
        self.services.stop();
    }

    /// See [`Reactor::listen`].
    ///
    /// # Errors
    /// As there.
    pub fn listen(self, at: SocketAddr, backlog: u16) -> Result<Token, Error> {
        self.services.listen(at, backlog)
    }

    /// See [`Reactor::connect`].
    ///
    /// # Errors
    /// As there.
    pub fn connect(self, to: SocketAddr) -> Result<Token, Error> {
        self.services.connect(to)
    }

    /// Accepts one connection as a source of no group; see [`Reactor::accept`].
    ///
    /// # Errors
    /// As there.
    pub fn accept(self, listener: Token) -> nb::Result<(Token, SocketAddr), Error> {
        self.services.accept(listener)
    }

    /// Waits for one interest of one source. Resolves at once when a bit that ends the wait is
    /// set, or when the token is stale; clears no bit. One waiter an interest: a second one
    /// replaces the first, which is then not woken.
    pub fn poll_io(self, token: Token, interest: Interest, cx: &mut Context<'_>) -> Poll<()> {
        self.services.poll_io(token, interest, cx)
    }

    /// See [`Reactor::read`].
    ///
    /// # Errors
    /// As there.
    pub fn read(self, token: Token, buf: &mut [u8]) -> nb::Result<usize, Error> {
        self.services.read(token, buf)
    }

    /// See [`Reactor::write`].
    ///
    /// # Errors
    /// As there.
    pub fn write(self, token: Token, data: &[u8]) -> nb::Result<usize, Error> {
        self.services.write(token, data)
    }

    /// The sticky bits of a source; none for a stale token.
    pub fn readiness(self, token: Token) -> Readiness {
        self.services.readiness(token)
    }

    /// See [`Reactor::shutdown`].
    pub fn shutdown(self, token: Token) {
        self.services.shutdown(token);
    }

    /// See [`Reactor::remove`].
    pub fn remove(self, token: Token, how: Close) {
        self.services.remove(token, how);
    }

    /// The peer's address.
    pub fn peer(self, token: Token) -> Option<SocketAddr> {
        self.services.peer(token)
    }

    /// The own address.
    pub fn local(self, token: Token) -> Option<SocketAddr> {
        self.services.local(token)
    }

    /// See [`Reactor::start_tls`].
    ///
    /// # Errors
    /// As there.
    pub fn start_tls(self, token: Token) -> Result<(), Error> {
        self.services.start_tls(token)
    }

    pub(crate) fn group(self, tasks: usize) -> Option<Group> {
        self.services.group(tasks)
    }

    pub(crate) fn release_group(self, group: Group) {
        self.services.release_group(group);
    }

    pub(crate) fn poll_task(self, group: Group, cx: &mut Context<'_>) -> Poll<usize> {
        self.services.poll_task(group, cx)
    }

    pub(crate) fn task_waker(self, group: Group, task: usize) -> Waker {
        self.services.task_waker(group, task)
    }

    pub(crate) fn add_budget_hit(self) {
        self.services.add_budget_hit();
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
            self.handle.services.disarm(timer);
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
        let services = self.handle.services;
        let armed = self.timer.is_some_and(|timer| services.rearm(timer, cx.waker()));
        if !armed {
            self.timer = services.arm(self.at, cx.waker());
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
        self.handle.services.poll_stopping(cx)
    }
}
