//! Several coroutines at once. Tornado: `tornado.gen`.
//!
//! `async fn` is the language here, so most of `gen` is the language's own, or the reactor's:
//!
//! | Tornado | here |
//! |---|---|
//! | `gen.coroutine`, `Return`, `Runner` | `async fn` and `return`; the compiler is the runner |
//! | `gen.multi([..])`, `multi_future` | [`multi`]; with the first error raised: [`try_multi`] |
//! | `gen.multi({..})` | n/a: no dict of futures without a heap; a tuple's names are `let` |
//! | `gen.WaitIterator` | [`WaitIterator`]; for many: [`Tasks::next`](crate::tasks::Tasks::next) |
//! | `gen.with_timeout` | [`Handle::timeout`](crate::handle::Handle::timeout) |
//! | `gen.sleep(s)` | [`Handle::sleep`](crate::handle::Handle::sleep) |
//! | `gen.sleep(0)`, `gen.moment` | [`yield_now`] |
//! | `gen.convert_yielded`, `maybe_future` | [`IntoFuture`], \
//!   [`ready`](core::future::ready) |
//!
//! A sleep whose time has come (`sleep(Duration::ZERO)`) is ready at once and lets nobody else run,
//! where Tornado's gives the loop one iteration: waiting and giving way are two things here, and
//! the second is `yield_now`. [`Handle::timeout`](crate::handle::Handle::timeout) drops the future
//! when the time is up, where Tornado lets it go on: one that is to go on is passed as `&mut`.
//!
//! Invariants:
//! - A future is polled by the task that awaits it and by nobody else: it begins with the first
//!   poll and ends, at the latest, with the drop of what holds it. So cancelling leaves nothing
//!   behind, where in Tornado the children of `multi` go on.
//! - One that has ended is not polled again.
//!
//! Capacity: the number of children, a part of the type. Whenever one of them is woken all that
//! have not ended are polled, so this is for a handful; [`Tasks`](crate::tasks::Tasks) is for more,
//! and polls only what was woken.
//!
//! Layer: stands on [`task`](crate::task)'s `Map` and embassy's joins; it knows no reactor.
//!
//! ```
//! # #[cfg(feature = "sim")] {
//! use core::pin::pin;
//! use dustdevil_core::coroutine::{WaitIterator, multi, try_multi, yield_now};
//! use dustdevil_core::handle::Handle;
//! use dustdevil_core::memory::Memory;
//! use dustdevil_core::reactor::{Capacity, Reactor};
//! use dustdevil_core::sim::{self, Faults, Sim, World};
//! use dustdevil_core::time::Duration;
//!
//! const CAPACITY: Capacity = Capacity { sources: 0, timers: 4, groups: 0, tasks: 1, waiters: 0 };
//! static MEMORY: Memory<{ CAPACITY.bytes() }> = Memory::new();
//!
//! let world = World::new(1, Faults::NONE);
//! let wakes = sim::wakes(CAPACITY.tasks);
//! let reactor = Reactor::new(Sim::<true>::new(&world), MEMORY.take(), CAPACITY, wakes);
//! let rt = Handle::from(&reactor);
//! let nap = async |ms: u64| {
//!     rt.sleep(Duration::from_millis(ms)).await;
//!     if ms < 100 { Ok(ms) } else { Err("overslept") }
//! };
//! reactor.run(async {
//!     assert_eq!(multi([nap(30), nap(200)]).await, [Ok(30), Err("overslept")]);
//!     assert_eq!(multi((nap(30), async { 'x' })).await, (Ok(30), 'x'));
//!     assert_eq!(try_multi([nap(30), nap(200), nap(10)]).await, Err("overslept"));
//!     yield_now().await;
//!
//!     let mut naps = [pin!(nap(30)), pin!(nap(10))];
//!     let mut wait = WaitIterator::new(&mut naps);
//!     while let Some(slept) = wait.next().await {
//!         assert!(matches!((wait.current_index(), slept), (Some(1), Ok(10)) | (Some(0), Ok(30))));
//!     }
//!     assert!(wait.done());
//! });
//! # }
//! ```

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use embassy_futures::join;

use crate::task::Map;

/// How many futures one [`WaitIterator`] takes: a bit each.
pub const WAIT_FUTURES_MAX: usize = u64::BITS as usize;

/// Runs all children beside each other and gives what they gave, in their order. An array of
/// futures of one type, or a tuple of two to eight. Tornado: `gen.multi`.
///
/// A child that fails is no reason to end the others: every `Result` is there in the end. Tornado
/// raises the first error and logs the rest; that is [`try_multi`].
///
/// Cancel-safe as far as the children are: dropping it drops them all. In Tornado they would go on;
/// here [`Tasks`](crate::tasks::Tasks) does that.
pub fn multi<M: Multi>(children: M) -> M::Future {
    children.multi()
}

/// Runs all children beside each other, each to its end, and gives either what all gave or the
/// first error, first in the order of the children and not of time. Tornado: `gen.multi`.
///
/// Further errors are dropped, where Tornado logs them (`quiet_exceptions`): whoever wants to see
/// them takes [`multi`]. Cancel-safe as far as the children are.
///
/// # Errors
/// The first child's that failed.
pub fn try_multi<M: TryMulti>(children: M) -> Map<M::Future, Collect<M>> {
    Map::new(children.multi(), M::collect)
}

/// What [`try_multi`] does with the children's results.
type Collect<M> =
    fn(<M as Multi>::Output) -> Result<<M as TryMulti>::Outputs, <M as TryMulti>::Error>;

/// Children of [`multi`]: arrays, and tuples of two to eight.
pub trait Multi: Sized {
    /// What the children give, in their order.
    type Output;
    /// What runs them.
    type Future: Future<Output = Self::Output>;

    /// See [`multi`].
    fn multi(self) -> Self::Future;
}

/// Children of [`try_multi`]: arrays, and tuples of two to eight, of futures that give `Result`s
/// with one type of error.
pub trait TryMulti: Multi {
    /// What the children give when none fails.
    type Outputs;
    /// The error of each of them.
    type Error;

    /// All outputs, or the first error.
    ///
    /// # Errors
    /// The first child's that failed.
    fn collect(results: Self::Output) -> Result<Self::Outputs, Self::Error>;
}

impl<F: Future, const N: usize> Multi for [F; N] {
    type Output = [F::Output; N];
    type Future = join::JoinArray<F, N>;

    fn multi(self) -> Self::Future {
        join::join_array(self)
    }
}

impl<F: Future<Output = Result<T, E>>, T, E, const N: usize> TryMulti for [F; N] {
    type Outputs = [T; N];
    type Error = E;

    fn collect(results: [Result<T, E>; N]) -> Result<[T; N], E> {
        let mut error = None;
        let values = results.map(|result| match result {
            Ok(value) => Some(value),
            Err(other) => {
                error.get_or_insert(other);
                None
            }
        });
        match error {
            Some(error) => Err(error),
            // There is a value where there was no error.
            None => Ok(values.map(|value| value.expect("it did not fail"))),
        }
    }
}

macro_rules! tuples {
    ($($count:literal: ($($F:ident $T:ident $value:ident),*) $Future:ty = $multi:expr;)*) => { $(
        #[doc = concat!(stringify!($count), " children.")]
        impl<$($F: Future),*> Multi for ($($F,)*) {
            type Output = ($($F::Output,)*);
            type Future = $Future;

            fn multi(self) -> Self::Future {
                let ($($value,)*) = self;
                $multi
            }
        }

        #[doc = concat!(stringify!($count), " children.")]
        impl<$($F: Future<Output = Result<$T, E>>, $T,)* E> TryMulti for ($($F,)*) {
            type Outputs = ($($T,)*);
            type Error = E;

            fn collect(results: Self::Output) -> Result<Self::Outputs, E> {
                let ($($value,)*) = results;
                Ok(($($value?,)*))
            }
        }
    )* };
}

/// A join of two joins, and their outputs in one tuple: embassy's end with five.
type Flat<A, B, O> = Map<join::Join<A, B>, fn((<A as Future>::Output, <B as Future>::Output)) -> O>;

tuples! {
    2: (A TA a, B TB b) join::Join<A, B> = join::join(a, b);
    3: (A TA a, B TB b, C TC c) join::Join3<A, B, C> = join::join3(a, b, c);
    4: (A TA a, B TB b, C TC c, D TD d) join::Join4<A, B, C, D> = join::join4(a, b, c, d);
    5: (A TA a, B TB b, C TC c, D TD d, G TG g) join::Join5<A, B, C, D, G> =
        join::join5(a, b, c, d, g);
    6: (A TA a, B TB b, C TC c, D TD d, G TG g, H TH h)
        Flat<join::Join3<A, B, C>, join::Join3<D, G, H>, Self::Output> =
        Map::new(
            join::join(join::join3(a, b, c), join::join3(d, g, h)),
            |((a, b, c), (d, g, h))| (a, b, c, d, g, h),
        );
    7: (A TA a, B TB b, C TC c, D TD d, G TG g, H TH h, I TI i)
        Flat<join::Join4<A, B, C, D>, join::Join3<G, H, I>, Self::Output> =
        Map::new(
            join::join(join::join4(a, b, c, d), join::join3(g, h, i)),
            |((a, b, c, d), (g, h, i))| (a, b, c, d, g, h, i),
        );
    8: (A TA a, B TB b, C TC c, D TD d, G TG g, H TH h, I TI i, J TJ j)
        Flat<join::Join4<A, B, C, D>, join::Join4<G, H, I, J>, Self::Output> =
        Map::new(
            join::join(join::join4(a, b, c, d), join::join4(g, h, i, j)),
            |((a, b, c, d), (g, h, i, j))| (a, b, c, d, g, h, i, j),
        );
}

/// Lets everything else that is ready run, and goes on in the next turn, which does not wait.
/// Tornado: `gen.moment`, `gen.sleep(0)`.
///
/// For long work in pieces. Cancel-safe: dropping it costs one turn. A second poll before the next
/// turn ends it, which only a combinator that polls its children more than once a turn can do: of
/// those here, a [`WaitIterator`] whose `next` is called again at once.
pub fn yield_now() -> YieldNow {
    YieldNow { gave_way: false }
}

/// See [`yield_now`].
#[must_use = "giving way does nothing unless it is awaited"]
pub struct YieldNow {
    gave_way: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.gave_way {
            return Poll::Ready(());
        }
        self.gave_way = true;
        // Flags raised now are taken by the next turn.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Gives the outputs of a fixed set of futures in the order in which they end. Tornado:
/// `gen.WaitIterator`. They run while [`next`](Self::next) is awaited, and not in between: what
/// takes long with one output belongs into a task of its own.
///
/// The futures are the caller's, and pinned there: `[pin!(a()), pin!(b())]` for one type,
/// `Pin<&mut dyn Future<Output = T>>` for several, or any that are `Unpin`. Of several that end in
/// one turn the first of the set comes first, where Tornado knows which ended first.
pub struct WaitIterator<'f, F> {
    futures: &'f mut [F],
    /// Bit `n`: future `n` has ended.
    ended: u64,
    current: Option<usize>,
}

impl<'f, F: Future + Unpin> WaitIterator<'f, F> {
    /// Waits for these. None of them begins before [`next`](Self::next) is awaited.
    ///
    /// # Panics
    /// When there are more than [`WAIT_FUTURES_MAX`].
    pub fn new(futures: &'f mut [F]) -> Self {
        let count = futures.len();
        assert!(count <= WAIT_FUTURES_MAX, "{count} futures: at most {WAIT_FUTURES_MAX}");
        Self { futures, ended: 0, current: None }
    }

    /// Whether every future has ended, so that [`next`](Self::next) gives `None`.
    pub fn done(&self) -> bool {
        self.ended.count_ones() as usize == self.futures.len()
    }

    /// The place in the set of the future whose output [`next`](Self::next) gave last; `None`
    /// before the first and after the last.
    pub fn current_index(&self) -> Option<usize> {
        self.current
    }

    /// The future whose output [`next`](Self::next) gave last.
    pub fn current_future(&self) -> Option<&F> {
        self.futures.get(self.current?)
    }

    /// The output of the next future that ends; `None` when all have.
    ///
    /// Cancel-safe: dropping it loses no output, and the futures stay where they are.
    pub fn next<'w>(&'w mut self) -> Next<'w, 'f, F> {
        Next { wait: self }
    }

    /// Polls those that have not ended, until one does.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        self.current = None;
        for (index, future) in self.futures.iter_mut().enumerate() {
            let bit = 1 << index;
            if self.ended & bit == 0
                && let Poll::Ready(output) = Pin::new(future).poll(cx)
            {
                self.ended |= bit;
                self.current = Some(index);
                return Poll::Ready(Some(output));
            }
        }
        if self.done() { Poll::Ready(None) } else { Poll::Pending }
    }
}

/// See [`WaitIterator::next`].
#[must_use = "the futures run only while this is awaited"]
pub struct Next<'w, 'f, F> {
    wait: &'w mut WaitIterator<'f, F>,
}

impl<F: Future + Unpin> Future for Next<'_, '_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.wait.poll_next(cx)
    }
}
