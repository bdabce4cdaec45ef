//! A fixed number of timed calls. Tornado: `call_later`, `call_at`, `remove_timeout`,
//! `add_callback`.
//!
//! Invariants:
//! - A call is made once, never before its deadline, or it is cancelled; a [`CallId`] is never used
//!   again for another call (its generation wraps after 2^32).
//! - Calls are made in the order of their deadlines, those of one instant in the order in which
//!   they were added, whatever the timer wheel's tick is.
//! - What a call adds is made in a later turn, even when it is due at once: calls that add each
//!   other starve nobody. What a call cancels is not made, even when it was due in this turn.
//! - Nothing is borrowed while a call is made, so it may add and cancel others.
//!
//! Capacity: the count given to [`Callbacks::new`]. Full: the callback comes back. All of them
//! together take one of the reactor's timers, while [`Callbacks::run`] runs and one waits.
//!
//! Three things are called a callback in Tornado. A function with a deadline is a call here;
//! `spawn_callback`, which starts a coroutine, is [`Tasks::spawn`](crate::tasks::Tasks::spawn); and
//! `add_callback` from another thread or an interrupt goes through [`remote`](crate::remote).
//!
//! Layer: stands on the handle's sleep, a slab and a list; programs stand on it.
//!
//! ```
//! # #[cfg(feature = "sim")] {
//! use core::cell::Cell;
//! use dustdevil_core::callbacks::Callbacks;
//! use dustdevil_core::handle::Handle;
//! use dustdevil_core::memory::Memory;
//! use dustdevil_core::reactor::{Capacity, Reactor};
//! use dustdevil_core::sim::{self, Faults, Sim, World};
//! use dustdevil_core::task::TimedOut;
//! use dustdevil_core::time::Duration;
//!
//! struct App<'m> {
//!     calls: Callbacks<'m, 'm, App<'m>>,
//!     blinks: Cell<u32>,
//! }
//!
//! fn blink(app: &App<'_>) {
//!     app.blinks.set(app.blinks.get() + 1);
//!     if app.blinks.get() < 3 {
//!         // A place was given back just now: that of this call.
//!         assert!(app.calls.call_later(Duration::from_millis(250), blink).is_ok());
//!     }
//! }
//!
//! const CAPACITY: Capacity = Capacity { sources: 0, timers: 2, groups: 0, tasks: 1, waiters: 0 };
//! static MEMORY: Memory<{ CAPACITY.bytes() }> = Memory::new();
//! static CALLS: Memory<{ Callbacks::<'static, 'static, App<'static>>::bytes(2) }> = Memory::new();
//!
//! let world = World::new(1, Faults::NONE);
//! let wakes = sim::wakes(CAPACITY.tasks);
//! let reactor = Reactor::new(Sim::<true>::new(&world), MEMORY.take(), CAPACITY, wakes);
//! let calls = Callbacks::new(Handle::from(&reactor), &mut CALLS.take(), 2);
//! let app = App { calls, blinks: Cell::new(0) };
//!
//! let second = Duration::from_secs(1);
//! let never = app.calls.call_later(second, |app| app.blinks.set(1_000)).unwrap();
//! app.calls.add_callback(blink).unwrap();
//! assert!(app.calls.add_callback(blink).is_err()); // full: the callback comes back
//! assert!(app.calls.cancel(never) && !app.calls.cancel(never));
//! assert_eq!(reactor.run_sync(second, app.calls.run(&app)), Err(TimedOut));
//! assert_eq!(app.blinks.get(), 3);
//! # }
//! ```

use core::cell::Cell;
use core::convert::Infallible;
use core::future::Future;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::full::Full;
use crate::handle::{Handle, Sleep};
use crate::list::{Chained, Linked, Links, List, entry};
use crate::memory::{Block, room};
use crate::slab::Slab;
use crate::time::{Duration, Instant};

/// Calls made by one poll of the whole; the rest has its turn next.
const CALLS_PER_POLL_MAX: usize = 256;

/// Room for a fixed number of calls, and what makes them. See the [module](self).
///
/// A call is an `F` that is given a `&C`: a plain function that may reach all of the program, or
/// one type of closure, which has its arguments with it. Calls are made while somebody polls
/// [`run`](Self::run). Dropping the whole drops what waits.
pub struct Callbacks<'m, 'c, C: ?Sized, F = fn(&C)> {
    handle: Handle<'c>,
    calls: Slab<'m, Call<F>>,
    /// The first `waiting` are the numbers of those that wait, as a binary heap.
    heap: &'m [Cell<u32>],
    waiting: Cell<u32>,
    /// Those whose time has come, in the order in which they are made.
    due: List,
    /// How many were added so far.
    added: Cell<u64>,
    /// Whom to tell when something comes first; none while calls are made.
    waker: Cell<Option<Waker>>,
    context: PhantomData<fn(&C)>,
}

/// A call that waits in the heap or stands in the list of those that are due.
struct Call<F> {
    free: Cell<u32>,
    links: Links,
    /// One more than its place in the heap; 0: it is due.
    place: Cell<u32>,
    generation: Cell<u32>,
    at: Cell<Instant>,
    /// How many were added before it.
    order: Cell<u64>,
    callback: Cell<Option<F>>,
}

const _: () = assert!(size_of::<Call<fn(&())>>() <= 48, "there may be thousands");

impl<F> Chained for Call<F> {
    fn next(&self) -> &Cell<u32> {
        &self.free
    }
}

impl<F> Linked for Call<F> {
    fn links(&self) -> &Links {
        &self.links
    }
}

/// The name of one call of one [`Callbacks`], for [`Callbacks::cancel`]; harmless when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId {
    index: u32,
    generation: u32,
}

impl<'m, 'c, C: ?Sized, F: FnOnce(&C)> Callbacks<'m, 'c, C, F> {
    /// How many bytes `capacity` calls take from a block.
    pub const fn bytes(capacity: usize) -> usize {
        // One more, for the place that is never given out.
        room::<Call<F>>(capacity + 1) + room::<Cell<u32>>(capacity)
    }

    /// Room for `capacity` calls, cut from `block`.
    ///
    /// # Panics
    /// At start-up: when the block has less than [`bytes`](Self::bytes) left.
    #[track_caller]
    pub fn new(handle: Handle<'c>, block: &mut Block<'m>, capacity: usize) -> Self {
        let calls = block.fill(capacity + 1, |_| Call {
            free: Cell::new(0),
            links: Links::default(),
            place: Cell::new(0),
            generation: Cell::new(0),
            at: Cell::new(Instant::ZERO),
            order: Cell::new(0),
            callback: Cell::new(None),
        });
        Self {
            handle,
            calls: Slab::new(calls),
            heap: block.fill(capacity, |_| Cell::new(0)),
            waiting: Cell::new(0),
            due: List::default(),
            added: Cell::new(0),
            waker: Cell::new(None),
            context: PhantomData,
        }
    }

    /// Calls `callback` when `span` has passed from now. Tornado: `call_later`.
    ///
    /// # Errors
    /// [`Full`] gives the callback back.
    pub fn call_later(&self, span: Duration, callback: F) -> Result<CallId, Full<F>> {
        self.call_at(self.handle.now() + span, callback)
    }

    /// Calls `callback` once `at` has come: never early, at most one wheel tick (1.024 ms) and the
    /// turn under way late. What lies in the past is called in the next turn; [`Instant::MAX`]
    /// never comes. Tornado: `call_at`, `add_timeout`.
    ///
    /// # Errors
    /// [`Full`] gives the callback back.
    pub fn call_at(&self, at: Instant, callback: F) -> Result<CallId, Full<F>> {
        let (index, id) = self.add(at, callback)?;
        let place = self.waiting.get();
        self.waiting.set(place + 1);
        self.rise(place, index);
        if entry(self.heap, 0).get() == index {
            self.wake();
        }
        Ok(id)
    }

    /// Calls `callback` in the next turn, before whatever is due by then. Tornado: `add_callback`,
    /// on the reactor's own thread.
    ///
    /// # Errors
    /// [`Full`] gives the callback back.
    pub fn add_callback(&self, callback: F) -> Result<CallId, Full<F>> {
        let (index, id) = self.add(self.handle.now(), callback)?;
        self.due.push_back(self.calls.entries(), index);
        self.wake();
        Ok(id)
    }

    /// Takes a call back and drops its callback; whether that was done. Not done: it was made, is
    /// being made just now, or was cancelled before. Tornado: `remove_timeout`.
    pub fn cancel(&self, id: CallId) -> bool {
        let call = self.calls.entry(id.index);
        // The generation goes up when a call ends, not when the next one begins.
        let Some(call) = call.filter(|call| call.generation.get() == id.generation) else {
            return false;
        };
        match call.place.get() {
            0 => self.due.remove(self.calls.entries(), id.index),
            place => self.leave(place - 1),
        }
        drop(self.end(id.index));
        true
    }

    /// How many calls are still to be made.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Whether the next one would be refused.
    pub fn is_full(&self) -> bool {
        self.calls.is_full()
    }

    /// Makes the calls, for ever, each with `context`: to be joined with the main future. One at a
    /// time: of two, the one polled last is told of what comes first.
    ///
    /// Cancel-safe: dropping it makes no call and loses none; the next one makes what was missed.
    pub fn run<'r>(&'r self, context: &'r C) -> Run<'r, 'm, 'c, C, F> {
        let sleep = self.handle.sleep_until(Instant::MAX);
        Run { callbacks: self, context, sleep }
    }

    /// Takes a place for a call. A generation is never touched here: see `end`.
    fn add(&self, at: Instant, callback: F) -> Result<(u32, CallId), Full<F>> {
        let Some(index) = self.calls.allot() else { return Err(Full(callback)) };
        let call = self.call(index);
        call.at.set(at);
        call.order.set(self.added.get());
        call.callback.set(Some(callback));
        self.added.set(self.added.get() + 1);
        Ok((index, CallId { index, generation: call.generation.get() }))
    }

    /// Gives back the place of a call that stands nowhere any more; what it would have called.
    fn end(&self, index: u32) -> Option<F> {
        let call = self.call(index);
        call.generation.set(call.generation.get().wrapping_add(1));
        let callback = call.callback.take();
        self.calls.release(index);
        callback
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// The earliest deadline of those that wait.
    fn first(&self) -> Option<Instant> {
        let is_any = self.waiting.get() > 0;
        is_any.then(|| self.call(entry(self.heap, 0).get()).at.get())
    }

    /// Moves calls whose time has come from the heap to the list, in their order: as many as are
    /// made in one turn. The rest is due still, so its turn is the next one.
    fn collect(&self, now: Instant) {
        for _ in 0..CALLS_PER_POLL_MAX {
            if self.first().is_none_or(|at| at > now || at == Instant::MAX) {
                return;
            }
            let index = entry(self.heap, 0).get();
            self.leave(0);
            self.due.push_back(self.calls.entries(), index);
        }
    }

    /// Makes those calls that are due by now, not what they add.
    fn make_due(&self, context: &C) {
        self.collect(self.handle.now());
        let added = self.added.get();
        for _ in 0..self.due.len().min(CALLS_PER_POLL_MAX) {
            // Fewer, when one of them cancels another; what they add stands behind all of these.
            let next = self.due.front().filter(|&index| self.call(index).order.get() < added);
            let Some(index) = next else { return };
            self.due.remove(self.calls.entries(), index);
            if let Some(callback) = self.end(index) {
                callback(context);
            }
        }
    }

    // ---- the heap: each call before the two at twice its place plus one and two

    fn call(&self, index: u32) -> &'m Call<F> {
        entry(self.calls.entries(), index as usize)
    }

    fn at_place(&self, place: u32) -> u32 {
        entry(self.heap, place as usize).get()
    }

    fn is_before(&self, one: u32, other: u32) -> bool {
        let key = |index| (self.call(index).at.get(), self.call(index).order.get());
        key(one) < key(other)
    }

    fn put(&self, place: u32, index: u32) {
        entry(self.heap, place as usize).set(index);
        self.call(index).place.set(place + 1);
    }

    /// Puts a call at the free `place`, or as far above as it belongs.
    fn rise(&self, mut place: u32, index: u32) {
        while place > 0 {
            let parent = (place - 1) / 2;
            let above = self.at_place(parent);
            if !self.is_before(index, above) {
                break;
            }
            self.put(place, above);
            place = parent;
        }
        self.put(place, index);
    }

    /// Puts a call at the free `place`, or as far below as it belongs.
    fn sink(&self, mut place: u32, index: u32) {
        let waiting = self.waiting.get();
        loop {
            let mut child = 2 * place + 1;
            if child >= waiting {
                break;
            }
            let right = child + 1;
            if right < waiting && self.is_before(self.at_place(right), self.at_place(child)) {
                child = right;
            }
            let below = self.at_place(child);
            if !self.is_before(below, index) {
                break;
            }
            self.put(place, below);
            place = child;
        }
        self.put(place, index);
    }

    /// Takes the call at `place` out of the heap; the last one fills the gap.
    fn leave(&self, place: u32) {
        self.call(self.at_place(place)).place.set(0);
        let last = self.waiting.get() - 1;
        self.waiting.set(last);
        if place == last {
            return;
        }
        let moved = self.at_place(last);
        if place > 0 && self.is_before(moved, self.at_place((place - 1) / 2)) {
            self.rise(place, moved);
        } else {
            self.sink(place, moved);
        }
    }
}

/// The calls lie in a block, where nothing is dropped by itself.
impl<C: ?Sized, F> Drop for Callbacks<'_, '_, C, F> {
    fn drop(&mut self) {
        for call in self.calls.entries() {
            drop(call.callback.take());
        }
    }
}

/// See [`Callbacks::run`].
#[must_use = "calls are made only while this is awaited"]
pub struct Run<'r, 'm, 'c, C: ?Sized, F = fn(&C)> {
    callbacks: &'r Callbacks<'m, 'c, C, F>,
    context: &'r C,
    sleep: Sleep<'c>,
}

impl<C: ?Sized, F: FnOnce(&C)> Future for Run<'_, '_, '_, C, F> {
    type Output = Infallible;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Infallible> {
        let this = &mut *self;
        let callbacks = this.callbacks;
        // Whatever is added meanwhile is seen below, without a turn for it alone.
        callbacks.waker.set(None);
        callbacks.make_due(this.context);
        callbacks.waker.set(Some(cx.waker().clone()));
        if !callbacks.due.is_empty() {
            callbacks.handle.add_budget_hit();
            cx.waker().wake_by_ref();
        }
        let first = callbacks.first().unwrap_or(Instant::MAX);
        if this.sleep.deadline() != first {
            this.sleep.reset(first);
        }
        if first != Instant::MAX && Pin::new(&mut this.sleep).poll(cx).is_ready() {
            // Added just now and due at once: its turn is the next one.
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl<C: ?Sized, F> Drop for Run<'_, '_, '_, C, F> {
    fn drop(&mut self) {
        self.callbacks.waker.set(None);
    }
}
