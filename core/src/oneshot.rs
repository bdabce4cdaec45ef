//! One value that is there later: a promise and its future, in a cell that the caller owns.
//! Tornado: `concurrent.Future`.
//!
//! Invariants:
//! - A cell has one [`Promise`] and one [`Promised`] at a time, and is used again when both are
//!   gone.
//! - A value set is taken once: by the future, or by whoever set it when nobody waits any more.
//! - The future always ends: a promise that is dropped without a value cancels it.
//! - Nothing is borrowed while a foreign waker runs.
//!
//! Capacity: one value. One thread: what another thread or an interrupt has to say comes through
//! [`remote`](crate::remote), and a task that receives it fulfils the promise.
//!
//! Layer: the bottom; it knows no reactor. Programs stand on it.
//!
//! # Three styles
//!
//! Tornado's guide writes one function for a callback, with a future and as a coroutine. Here they
//! stand side by side:
//!
//! ```
//! # #[cfg(feature = "sim")] {
//! # use dustdevil_core::callbacks::Callbacks;
//! # use dustdevil_core::coroutine::multi;
//! # use dustdevil_core::handle::Handle;
//! # use dustdevil_core::memory::Memory;
//! # use dustdevil_core::oneshot::Oneshot;
//! # use dustdevil_core::reactor::{Capacity, Reactor};
//! # use dustdevil_core::sim::{self, Faults, Sim, World};
//! # use dustdevil_core::time::Duration;
//! # use embassy_futures::select::{Either, select};
//! # const CAPACITY: Capacity =
//! #     Capacity { sources: 0, timers: 4, groups: 0, tasks: 1, waiters: 0 };
//! # static MEMORY: Memory<{ CAPACITY.bytes() }> = Memory::new();
//! # static CALLS: Memory<512> = Memory::new();
//! # let tables = MEMORY.take();
//! # let world = World::new(1, Faults::NONE);
//! # let reactor =
//! #     Reactor::new(Sim::<true>::new(&world), tables, CAPACITY, sim::wakes(CAPACITY.tasks));
//! # let rt = Handle::from(&reactor);
//! type Body = Result<&'static str, u16>;
//! const DELAY: Duration = Duration::from_millis(100);
//!
//! // With a future: what is done when the body is there fulfils the promise.
//! let cell = Oneshot::<Body>::new();
//! let (promise, my_future) = cell.pair().expect("nobody else uses the cell");
//! let on_fetch = |body| promise.set_result(body).expect("there is one body");
//!
//! // With a callback: the caller hands in what is done next.
//! type Callback<'a> = dyn Fn(Body) + 'a;
//! let calls: Callbacks<'_, '_, Callback<'_>> = Callbacks::new(rt, &mut CALLS.take(), 1);
//! assert!(calls.call_later(DELAY, |callback| callback(Ok("<html>"))).is_ok());
//!
//! // As a coroutine: the steps in the order in which they are read.
//! let fetch = async || -> Body {
//!     rt.sleep(DELAY).await;
//!     Ok("<html>")
//! };
//!
//! let both = multi((my_future, fetch()));
//! let Either::First(bodies) = reactor.run(select(both, calls.run(&on_fetch)));
//! assert_eq!(bodies, (Ok(Ok("<html>")), Ok("<html>")));
//! # }
//! ```

use core::cell::Cell;
use core::error::Error;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use crate::task::Map;

/// The promise is alive.
const PROMISE: u8 = 1;
/// The future is alive.
const FUTURE: u8 = 2;
/// A value was set.
const DONE: u8 = 4;

/// The cell of a promise and its future: on the stack, in the program's state, or in a block. See
/// the [module](self).
///
/// ```
/// use dustdevil_core::oneshot::{Cancelled, Oneshot, SetError};
///
/// let cell = Oneshot::new();
/// let (promise, mut future) = cell.pair().unwrap();
/// assert!(cell.pair().is_none()); // in use
/// assert_eq!(promise.set_result(1), Ok(()));
/// assert_eq!(promise.set_result(2), Err(SetError::Done(2)));
/// assert_eq!(future.result(), Some(Ok(1)));
/// drop((promise, future));
///
/// let (promise, mut future) = cell.pair().unwrap(); // again
/// drop(promise);
/// assert_eq!(future.result(), Some(Err(Cancelled)));
/// ```
pub struct Oneshot<T> {
    state: Cell<u8>,
    value: Cell<Option<T>>,
    waker: Cell<Option<Waker>>,
}

/// The end at which a value is set; dropped without one, it cancels the future.
pub struct Promise<'o, T> {
    cell: &'o Oneshot<T>,
}

/// The end that waits for the value: a future, and `Unpin`. Tornado: the `Future` itself.
///
/// Cancel-safe: `&mut` of it can be awaited, and dropped, and awaited again. Dropping it is
/// Tornado's `cancel`: the promise is refused from then on. Once it gave its value it says
/// [`Cancelled`].
#[must_use = "a future does nothing unless it is awaited, and dropping it cancels it"]
pub struct Promised<'o, T> {
    cell: &'o Oneshot<T>,
}

/// The promise was dropped without a value. Tornado: `CancelledError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the promise was dropped without a value")
    }
}

impl Error for Cancelled {}

/// Why a value was not set; it comes back. Tornado: `InvalidStateError`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SetError<T> {
    /// One was set before.
    Done(T),
    /// The future was dropped.
    Cancelled(T),
}

impl<T> SetError<T> {
    /// The value that was not set.
    pub fn into_value(self) -> T {
        let (Self::Done(value) | Self::Cancelled(value)) = self;
        value
    }
}

impl<T> fmt::Debug for SetError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done(_) => "Done(..)",
            Self::Cancelled(_) => "Cancelled(..)",
        })
    }
}

impl<T> fmt::Display for SetError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done(_) => "a value was set before",
            Self::Cancelled(_) => "nobody waits for the value any more",
        })
    }
}

impl<T> Error for SetError<T> {}

impl<T> Oneshot<T> {
    /// A cell that nobody uses.
    pub const fn new() -> Self {
        Self { state: Cell::new(0), value: Cell::new(None), waker: Cell::new(None) }
    }

    /// The two ends. `None` while an end of the last pair is alive; one that was forgotten
    /// ([`core::mem::forget`]) keeps the cell for ever.
    pub fn pair(&self) -> Option<(Promise<'_, T>, Promised<'_, T>)> {
        if self.has(PROMISE | FUTURE) {
            return None;
        }
        self.state.set(PROMISE | FUTURE);
        Some((Promise { cell: self }, Promised { cell: self }))
    }

    /// Whether any of these bits is set.
    fn has(&self, bits: u8) -> bool {
        self.state.get() & bits != 0
    }

    fn clear(&self, bit: u8) {
        self.state.set(self.state.get() & !bit);
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// What the future gives, once it gives something.
    fn take(&self) -> Option<Result<T, Cancelled>> {
        match self.value.take() {
            Some(value) => Some(Ok(value)),
            // Nobody will set one: it was given, or the promise is gone.
            None if self.has(DONE) || !self.has(PROMISE) => Some(Err(Cancelled)),
            None => None,
        }
    }
}

impl<T> Default for Oneshot<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Promise<'_, T> {
    /// Gives the future its value and wakes who waits for it; it goes on in the next turn.
    ///
    /// # Errors
    /// [`SetError`] gives the value back: one was set before, or nobody waits any more.
    pub fn set_result(&self, value: T) -> Result<(), SetError<T>> {
        if self.is_done() {
            return Err(SetError::Done(value));
        }
        if self.is_cancelled() {
            return Err(SetError::Cancelled(value));
        }
        self.cell.state.set(self.cell.state.get() | DONE);
        self.cell.value.set(Some(value));
        self.cell.wake();
        Ok(())
    }

    /// As [`set_result`](Self::set_result), and when nobody waits any more the value is dropped.
    /// Tornado: `future_set_result_unless_cancelled`.
    ///
    /// # Errors
    /// [`SetError::Done`] gives the value back: one was set before.
    pub fn set_result_unless_cancelled(&self, value: T) -> Result<(), SetError<T>> {
        match self.set_result(value) {
            Err(SetError::Cancelled(_)) => Ok(()),
            other => other,
        }
    }

    /// Whether a value was set.
    pub fn is_done(&self) -> bool {
        self.cell.has(DONE)
    }

    /// Whether the future was dropped before a value was set.
    pub fn is_cancelled(&self) -> bool {
        !self.cell.has(FUTURE | DONE)
    }
}

impl<V, E> Promise<'_, Result<V, E>> {
    /// Sets an error. Tornado: `set_exception`.
    ///
    /// # Errors
    /// As [`set_result`](Self::set_result).
    pub fn set_exception(&self, error: E) -> Result<(), SetError<Result<V, E>>> {
        self.set_result(Err(error))
    }
}

impl<T> Drop for Promise<'_, T> {
    fn drop(&mut self) {
        self.cell.clear(PROMISE);
        self.cell.wake();
    }
}

impl<T> Promised<'_, T> {
    /// Whether [`result`](Self::result) would say something. Tornado: `done`.
    pub fn is_done(&self) -> bool {
        self.cell.has(DONE) || !self.cell.has(PROMISE)
    }

    /// The value, if it is there already; what awaiting would give, without waiting.
    pub fn result(&mut self) -> Option<Result<T, Cancelled>> {
        self.cell.take()
    }
}

impl<T> Future for Promised<'_, T> {
    type Output = Result<T, Cancelled>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(result) = self.cell.take() {
            return Poll::Ready(result);
        }
        self.cell.waker.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}

impl<T> Drop for Promised<'_, T> {
    fn drop(&mut self) {
        // A value that came too late to be taken. Both are dropped when the cell may serve the next
        // pair: either may call back.
        let left = (self.cell.waker.take(), self.cell.value.take());
        self.cell.clear(FUTURE);
        drop(left);
    }
}

/// Calls `callback` with what `future` gives. Tornado: `future_add_done_callback`,
/// `IOLoop.add_future`.
///
/// It is a future itself, to be spawned ([`Tasks`](crate::tasks::Tasks)) or joined with the rest:
/// there is no heap for a list of callbacks. With one that is done already the callback is called
/// by the first poll.
///
/// Cancel-safe: dropping it drops the future, and the callback is not called.
///
/// ```
/// # use core::{cell::Cell, pin::pin, task::{Context, Waker}};
/// use dustdevil_core::oneshot::{Oneshot, add_done_callback};
///
/// let (cell, seen) = (Oneshot::new(), Cell::new(None));
/// let (promise, future) = cell.pair().unwrap();
/// let mut called = pin!(add_done_callback(future, |result| seen.set(Some(result))));
/// # let mut cx = Context::from_waker(Waker::noop());
/// assert!(called.as_mut().poll(&mut cx).is_pending());
/// promise.set_result(7).unwrap();
/// assert!(called.as_mut().poll(&mut cx).is_ready());
/// assert_eq!(seen.get(), Some(Ok(7)));
/// ```
pub fn add_done_callback<F, C>(future: F, callback: C) -> Map<F, C>
where
    F: Future,
    C: FnOnce(F::Output),
{
    Map::new(future, callback)
}

/// Fulfils `to` with what `from` gives; when `from` is cancelled, so is `to`, and when nobody waits
/// for `to` any more the value is dropped. Tornado: `chain_future`.
///
/// It is a future itself, to be spawned or joined. Cancel-safe: dropping it cancels `to`.
///
/// ```
/// # use core::{pin::pin, task::{Context, Waker}};
/// use dustdevil_core::oneshot::{Oneshot, chain};
///
/// let (one, other) = (Oneshot::new(), Oneshot::new());
/// let ((promise, from), (to, mut future)) = (one.pair().unwrap(), other.pair().unwrap());
/// promise.set_result("done").unwrap();
/// # let mut cx = Context::from_waker(Waker::noop());
/// assert!(pin!(chain(from, to)).poll(&mut cx).is_ready());
/// assert_eq!(future.result(), Some(Ok("done")));
/// ```
pub fn chain<'o, F, T>(from: F, to: Promise<'o, T>) -> Map<F, impl FnOnce(Result<T, Cancelled>)>
where
    F: Future<Output = Result<T, Cancelled>>,
    T: 'o,
{
    Map::new(from, move |result| {
        if let Ok(value) = result {
            // Nobody waits any more, or somebody was faster: Tornado copies nothing then, either.
            drop(to.set_result(value));
        }
    })
}
