//! A callback at equal intervals. Tornado: `PeriodicCallback`.
//!
//! Invariants:
//! - Calls fall on multiples of the interval since [`start`](PeriodicCallback::start), to the
//!   microsecond, however late each one was made: there is no drift. Late means at most one wheel
//!   tick (1.024 ms) and the turn under way, and never early.
//! - A call that takes longer than the interval makes no other one late: those that it would have
//!   overlapped are skipped. What counts is the time at which it ended, not that of the turn in
//!   which it began, so a callback that blocks skips as one that sleeps.
//! - There is never more than one call under way.
//!
//! Capacity: none of its own; one of the reactor's timers while [`run`](PeriodicCallback::run) is
//! awaited and the callback started.
//!
//! The next call is reckoned as Tornado 6.6.1 does it, in whole microseconds: with `late` for what
//! has passed since the call that was due,
//!
//! ```text
//!   next = due + (late / callback_time + 1) * callback_time
//! ```
//!
//! and with a jitter of `j` the `callback_time` is drawn anew for each, between `1 - j / 2` and
//! `1 + j / 2` times what was asked for. Three things differ. An error is the callback's own
//! affair: there is no exception to be logged. Starting what runs begins the intervals anew, where
//! Tornado then calls twice an interval. And the jitter comes from a seed, so that a run can be had
//! again.
//!
//! Layer: stands on the reactor's clock and the handle's sleep; programs stand on it.
//!
//! ```
//! # #[cfg(feature = "sim")] {
//! use dustdevil_core::handle::Handle;
//! use dustdevil_core::memory::Memory;
//! use dustdevil_core::periodic::PeriodicCallback;
//! use dustdevil_core::reactor::{Capacity, Reactor};
//! use dustdevil_core::sim::{self, Faults, Sim, World};
//! use dustdevil_core::task::TimedOut;
//! use dustdevil_core::time::Duration;
//!
//! const CAPACITY: Capacity = Capacity { sources: 0, timers: 3, groups: 0, tasks: 1, waiters: 0 };
//! static MEMORY: Memory<{ CAPACITY.bytes() }> = Memory::new();
//!
//! let world = World::new(1, Faults::NONE);
//! let wakes = sim::wakes(CAPACITY.tasks);
//! let reactor = Reactor::new(Sim::<true>::new(&world), MEMORY.take(), CAPACITY, wakes);
//! let (rt, second) = (Handle::from(&reactor), Duration::from_secs(1));
//!
//! let beat = PeriodicCallback::new(&reactor, second);
//! let mut beats = 0;
//! beat.start();
//! let five = beat.run(|| {
//!     beats += 1;
//!     if beats == 5 {
//!         beat.stop();
//!     }
//! });
//! assert_eq!(reactor.run_sync(Duration::from_secs(60), five), Err(TimedOut));
//! assert!(!beat.is_running() && beats == 5);
//!
//! // An asynchronous callback of 1.5 intervals: every other call is skipped.
//! let mut calls = 0;
//! beat.start();
//! let slow = beat.run_async(async || {
//!     calls += 1;
//!     rt.sleep(Duration::from_millis(1_500)).await;
//! });
//! assert_eq!(reactor.run_sync(Duration::from_secs(10), slow), Err(TimedOut));
//! assert_eq!(calls, 5);
//! # }
//! ```

use core::cell::Cell;
use core::convert::Infallible;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::handle::{Handle, Sleep};
use crate::operations::Reach;
use crate::poller::Transport;
use crate::reactor::Reactor;
use crate::time::{Duration, Instant};

/// A clock that is read while a turn is under way.
trait Watch {
    fn time(&self) -> Instant;
}

impl<P: Transport> Watch for Reactor<'_, P> {
    fn time(&self) -> Instant {
        // One that goes back is held, as the reactor holds it.
        Reach::world(self).now().max(self.now())
    }
}

/// When a callback is called, and whether. See the [module](self).
///
/// The callback itself is given to [`run`](Self::run) or [`run_async`](Self::run_async), so it may
/// borrow what stands around it, this schedule included.
pub struct PeriodicCallback<'c> {
    handle: Handle<'c>,
    clock: &'c dyn Watch,
    callback_time_us: u64,
    /// The width of the window that an interval's length is drawn from; 0: none is drawn.
    window_us: u64,
    random: Cell<u32>,
    running: Cell<bool>,
    /// It was started, and `next` is of that start: no call has been made since.
    fresh: Cell<bool>,
    next: Cell<Instant>,
    waker: Cell<Option<Waker>>,
}

impl<'c> PeriodicCallback<'c> {
    /// A schedule that calls every `callback_time`, once it is [started](Self::start).
    ///
    /// It is made where the reactor is, and shared from there: as Tornado it reads the clock after
    /// each call, and a [`Handle`] knows no more than the turn's instant.
    ///
    /// # Panics
    /// When `callback_time` is zero.
    #[track_caller]
    pub fn new<P: Transport>(reactor: &'c Reactor<'_, P>, callback_time: Duration) -> Self {
        assert!(callback_time > Duration::ZERO, "an interval has a length");
        Self {
            handle: Handle::from(reactor),
            clock: reactor,
            callback_time_us: callback_time.as_micros(),
            window_us: 0,
            random: Cell::new(0),
            running: Cell::new(false),
            fresh: Cell::new(false),
            next: Cell::new(Instant::ZERO),
            waker: Cell::new(None),
        }
    }

    /// Draws the length of each interval from a window of `jitter_permille` thousandths of it, with
    /// the interval in its middle, so that periods which began together part. 0 to 1,000; 100 lets
    /// it vary by 10 %. The numbers follow from `seed` alone: a serial number, for instance.
    ///
    /// # Panics
    /// When `jitter_permille` is above 1,000.
    #[track_caller]
    #[must_use]
    pub fn with_jitter(mut self, jitter_permille: u16, seed: u32) -> Self {
        assert!(jitter_permille <= 1_000, "a jitter of {jitter_permille} permille");
        let (whole, rest) = (self.callback_time_us / 1_000, self.callback_time_us % 1_000);
        let permille = u64::from(jitter_permille);
        self.window_us = whole * permille + rest * permille / 1_000;
        // Zero is the one state that the generator never leaves.
        self.random = Cell::new(if seed == 0 { 0x9e37_79b9 } else { seed });
        self
    }

    /// Starts the intervals now: the first call is one interval away. Tornado: `start`.
    pub fn start(&self) {
        self.running.set(true);
        self.fresh.set(true);
        self.next.set(self.clock.time());
        self.schedule_next();
        self.wake();
    }

    /// Makes no further call; one that is under way goes on to its end. Tornado: `stop`.
    pub fn stop(&self) {
        self.running.set(false);
        self.wake();
    }

    /// Whether it was started and not stopped. Tornado: `is_running`.
    pub fn is_running(&self) -> bool {
        self.running.get()
    }

    /// When the next call is due, or was when one is under way; `None` while stopped.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.is_running().then(|| self.next.get())
    }

    /// Makes the calls, for ever: to be joined with the main future. While it is stopped, this
    /// waits. One at a time: of two, the one polled last is told of a start.
    ///
    /// Cancel-safe: dropping it pauses the calls; the next one comes at once if it is overdue, and
    /// those missed are skipped.
    #[expect(clippy::manual_async_fn, reason = "it would keep the callback twice")]
    pub fn run<'r, F>(
        &'r self,
        mut callback: F,
    ) -> impl Future<Output = Infallible> + use<'r, 'c, F>
    where
        F: FnMut() + 'r,
    {
        async move {
            loop {
                self.due().await;
                callback();
                self.called();
            }
        }
    }

    /// As [`run`](Self::run), with a callback that is waited for. An interval is measured from the
    /// start of one call to the start of the next.
    ///
    /// Cancel-safe: dropping it drops the call under way; the next one comes as after `run`.
    #[expect(clippy::manual_async_fn, reason = "it would keep the callback twice")]
    pub fn run_async<'r, F>(
        &'r self,
        mut callback: F,
    ) -> impl Future<Output = Infallible> + use<'r, 'c, F>
    where
        F: AsyncFnMut() + 'r,
    {
        async move {
            loop {
                self.due().await;
                callback().await;
                self.called();
            }
        }
    }

    fn due<'r>(&'r self) -> Due<'r, 'c> {
        Due { periodic: self, sleep: self.handle.sleep_until(Instant::MAX) }
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// A call has ended. One that started the intervals anew has said when the next one is.
    fn called(&self) {
        if self.running.get() && !self.fresh.get() {
            self.schedule_next();
        }
    }

    /// Tornado: `_schedule_next`.
    fn schedule_next(&self) {
        let interval_us = self.interval_us();
        self.next.set(following(self.next.get(), self.clock.time(), interval_us));
    }

    /// The length of the interval that follows, at least 1 us.
    fn interval_us(&self) -> u64 {
        if self.window_us == 0 {
            return self.callback_time_us;
        }
        let random = u64::from(self.draw());
        let (high, low) = (self.window_us >> 32, self.window_us & 0xffff_ffff);
        // The window times a fraction below 1, in 32 bits of binary digits.
        let offset_us = high * random + ((low * random) >> 32);
        // At least half of it, and rounded up, for the window is no longer than the interval.
        (self.callback_time_us - self.window_us / 2).saturating_add(offset_us)
    }

    /// Marsaglia's "Xorshift RNGs" (2003), 32 bits: good enough to part two clocks.
    fn draw(&self) -> u32 {
        let mut random = self.random.get();
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        self.random.set(random);
        random
    }
}

/// When the call after the one due at `due` is, seen from `now`. Tornado: `_update_next`.
fn following(due: Instant, now: Instant, interval_us: u64) -> Instant {
    let late_us = (now - due).as_micros();
    // A clock that went back, or a call in time, needs no division.
    let skipped = if late_us < interval_us { 0 } else { late_us / interval_us };
    due + Duration::from_micros((skipped + 1).saturating_mul(interval_us))
}

/// Ready when a call is due.
struct Due<'r, 'c> {
    periodic: &'r PeriodicCallback<'c>,
    sleep: Sleep<'c>,
}

impl Future for Due<'_, '_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let next = this.periodic.next_timeout().unwrap_or(Instant::MAX);
        if this.sleep.deadline() != next {
            this.sleep.reset(next);
        }
        // One that is stopped takes no timer.
        if next != Instant::MAX && Pin::new(&mut this.sleep).poll(cx).is_ready() {
            this.periodic.fresh.set(false);
            return Poll::Ready(());
        }
        this.periodic.waker.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}
