//! Slots: a fixed number of futures of one type, pinned in memory that the caller passed in.
//!
//! Invariants:
//! - A future does not move from [`put`](Slots::put) until it is dropped in place, and its bytes
//!   are not reused before that, not even when the `Slots` is forgotten: its
//!   [`Block`] comes from memory that keeps this promise.
//! - A slot is marked empty before its future is dropped, so that a drop that panics never runs
//!   twice.
//!
//! Layer: above [`memory`](crate::memory); the reactor and the servers keep their tasks here. This
//! is one of the three modules with `unsafe`, and has the only pin projections:
//! [`Slots`], [`Either`], [`Timeout`] and [`Map`].
//!
//! ```
//! use core::task::{Context, Poll, Waker};
//! use dustdevil_core::{memory::Memory, task::Slots};
//!
//! static MEMORY: Memory<256> = Memory::new();
//!
//! let mut slots = Slots::new(&mut MEMORY.take(), 4);
//! slots.put(2, async { 40 + 2 });
//! assert!(slots.is_occupied(2));
//!
//! let mut cx = Context::from_waker(Waker::noop());
//! assert_eq!(slots.poll(2, &mut cx), Poll::Ready(42));
//! assert!(!slots.is_occupied(2));
//! ```

use core::{
    cell::Cell,
    error::Error,
    fmt,
    marker::PhantomData,
    pin::Pin,
    ptr::NonNull,
    task::{Context, Poll, ready},
};

use embedded_io::ErrorKind;

use crate::handle::Sleep;
use crate::list::entry;
use crate::memory::{Block, room};

/// Room for a fixed number of futures, each pinned in its slot from [`put`](Self::put) until it is
/// ready, removed, or dropped with the `Slots`.
///
/// A full one is the caller's to notice: it hands out the indexes.
pub struct Slots<'m, F: Future> {
    /// INVARIANT: points to `occupied.len()` aligned `F`s that nothing else refers to during `'m`;
    /// where `occupied` is true, that one is initialized and pinned. Their memory is not reused
    /// while `live` counts any of them.
    futures: NonNull<F>,
    occupied: &'m [Cell<bool>],
    /// Where the memory counts its live futures; `None` for memory that is never lent twice.
    live: Option<&'m Cell<usize>>,
    owned: PhantomData<F>,
}

impl<'m, F: Future> Slots<'m, F> {
    /// How many bytes `capacity` slots take from a block.
    pub const fn bytes(capacity: usize) -> usize {
        let futures = room::<F>(capacity);
        futures.checked_add(room::<Cell<bool>>(capacity)).expect("fits the address space")
    }

    /// `capacity` empty slots, cut from the block.
    ///
    /// # Panics
    /// When the block has less than [`bytes(capacity)`](Self::bytes) left.
    #[track_caller]
    pub fn new(block: &mut Block<'m>, capacity: usize) -> Self {
        let futures = block.cut::<F>(capacity);
        let occupied = block.table::<Cell<bool>>(capacity);
        Self { futures, occupied, live: block.slots_live(), owned: PhantomData }
    }

    /// How many slots there are.
    pub fn capacity(&self) -> usize {
        self.occupied.len()
    }

    /// Whether slot `index` holds a future.
    ///
    /// # Panics
    /// As every call with an index: when there is no such slot.
    pub fn is_occupied(&self, index: usize) -> bool {
        entry(self.occupied, index).get()
    }

    /// Pins `future` in the empty slot `index`.
    ///
    /// # Panics
    /// When the slot is occupied: a pinned future is not overwritten.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub fn put(&mut self, index: usize, future: F) {
        let occupied = entry(self.occupied, index);
        if occupied.get() {
            misused();
        }
        // SAFETY: `index` is in range (checked above), and the slot is empty.
        unsafe { self.futures.add(index).write(future) };
        self.count(|live| live + 1);
        occupied.set(true);
    }

    /// Polls the future in slot `index`. When it is ready it is dropped in place before this
    /// returns, and the slot is empty. One that panics stays where it is.
    ///
    /// # Panics
    /// When the slot is empty.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub fn poll(&mut self, index: usize, cx: &mut Context<'_>) -> Poll<F::Output> {
        if !self.is_occupied(index) {
            misused();
        }
        // SAFETY: the slot is occupied, hence initialized, and borrowed through `self` alone. It is
        // pinned: it leaves its place only by `remove`, which drops it there, and its memory is
        // not reused while it is counted as live (the invariant of `futures`).
        let future = unsafe { Pin::new_unchecked(self.futures.add(index).as_mut()) };
        let output = ready!(future.poll(cx));
        self.vacate(index);
        Poll::Ready(output)
    }

    /// Drops the future in slot `index`, in place. Nothing happens when the slot is empty.
    pub fn remove(&mut self, index: usize) {
        if self.is_occupied(index) {
            self.vacate(index);
        }
    }

    /// Drops the future in slot `index`, which is occupied.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn vacate(&mut self, index: usize) {
        // Before the drop: should that panic, it has happened all the same.
        let was_occupied = entry(self.occupied, index).replace(false);
        debug_assert!(was_occupied, "slot {index} is empty");
        self.count(|live| live - 1);
        // SAFETY: the caller saw that the slot is occupied, hence initialized, and it is marked
        // empty now: this is its one drop, where it was pinned.
        unsafe { self.futures.add(index).drop_in_place() };
    }

    fn count(&self, change: impl FnOnce(usize) -> usize) {
        if let Some(live) = self.live {
            live.set(change(live.get()));
        }
    }
}

/// A slot that is occupied was filled, or an empty one polled; for every type of future.
#[cold]
#[inline(never)]
fn misused() -> ! {
    panic!("a slot was filled twice, or polled while it was empty");
}

/// Drops all futures in place. When one of the drops panics, those after it are leaked: they stay
/// counted, and so their memory is never reused.
impl<F: Future> Drop for Slots<'_, F> {
    fn drop(&mut self) {
        for index in 0..self.capacity() {
            self.remove(index);
        }
    }
}

/// One of two futures with the same output, chosen before the first poll: as large as the larger
/// one and its tag. A router is a chain of these.
pub enum Either<A, B> {
    /// The first.
    Left(A),
    /// The second.
    Right(B),
}

impl<A, B> Future for Either<A, B>
where
    A: Future,
    B: Future<Output = A::Output>,
{
    type Output = A::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<A::Output> {
        // SAFETY: the future inside is pinned with the enum: it is never moved out, the variant
        // never changes, and there is no Drop impl or other access that could move it.
        match unsafe { self.get_unchecked_mut() } {
            // SAFETY: as above, structural pinning of the one field.
            Self::Left(future) => unsafe { Pin::new_unchecked(future) }.poll(cx),
            // SAFETY: as above.
            Self::Right(future) => unsafe { Pin::new_unchecked(future) }.poll(cx),
        }
    }
}

/// A future with a deadline; see [`Handle::timeout`](crate::handle::Handle::timeout).
///
/// Cancel-safe as far as the future in it is: when the time is up that future is still there, and
/// it is dropped with this one. A future that is to go on afterwards is passed by reference.
#[must_use = "a timeout does nothing unless it is awaited"]
pub struct Timeout<'c, F> {
    sleep: Sleep<'c>,
    /// INVARIANT: pinned with the whole, hence never moved out.
    future: F,
}

/// The time was up before the future was ready. Tornado: `gen.TimeoutError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut;

impl TimedOut {
    /// The failure in the words of `embedded-io`.
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::TimedOut
    }
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("timed out")
    }
}

impl Error for TimedOut {}

impl<'c, F: Future> Timeout<'c, F> {
    pub(crate) const fn new(sleep: Sleep<'c>, future: F) -> Self {
        Self { sleep, future }
    }
}

impl<F: Future> Future for Timeout<'_, F> {
    type Output = Result<F::Output, TimedOut>;

    /// The future comes first: one that is ready in time is never reported as late.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: nothing is moved out of the reference: `sleep` is `Unpin`, and `future` is pinned
        // again right below.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: `future` is pinned with the whole: this is the only access to it, there is no
        // Drop impl, and `Timeout` is `Unpin` only where `F` is.
        let future = unsafe { Pin::new_unchecked(&mut this.future) };
        if let Poll::Ready(output) = future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(&mut this.sleep).poll(cx).map(|()| Err(TimedOut))
    }
}

/// A future and what is done with its output: how the futures of
/// [`coroutine`](crate::coroutine) and [`oneshot`](crate::oneshot) are made of others.
///
/// Cancel-safe as far as the future in it is; dropped before it is ready, it calls nothing.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Map<F, G> {
    /// INVARIANT: pinned with the whole, hence never moved out.
    future: F,
    /// `None` once it was called.
    then: Option<G>,
}

impl<F, G> Map<F, G> {
    pub(crate) const fn new(future: F, then: G) -> Self {
        Self { future, then: Some(then) }
    }
}

impl<F: Future, G: FnOnce(F::Output) -> T, T> Future for Map<F, G> {
    type Output = T;

    /// # Panics
    /// When it is polled after it was ready, if the future in it allows that.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // SAFETY: nothing is moved out of the reference but `then`, which is never pinned; `future`
        // is pinned again right below.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: `future` is pinned with the whole: this is the only access to it, there is no
        // Drop impl, and `Map` is `Unpin` only where `F` is.
        let future = unsafe { Pin::new_unchecked(&mut this.future) };
        let output = ready!(future.poll(cx));
        match this.then.take() {
            Some(then) => Poll::Ready(then(output)),
            None => polled_again(),
        }
    }
}

/// For every type of future.
#[cold]
#[inline(never)]
fn polled_again() -> ! {
    panic!("a future was polled after it was ready");
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::{
        cell::{Cell, RefCell},
        future::{Future, pending, poll_fn, ready},
        marker::PhantomPinned,
        mem::forget,
        pin::Pin,
        ptr::{self, NonNull},
        task::{Context, Poll, Waker},
    };
    use std::{boxed::Box, panic, panic::AssertUnwindSafe, rc::Rc, vec, vec::Vec};

    use super::{Map, Slots};
    use crate::memory::{Memory, Owned, SlotsLive};

    fn cx() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    fn owned(bytes: usize) -> Owned<Box<[u64]>> {
        Owned::new(vec![0; bytes.div_ceil(8)].into_boxed_slice())
    }

    /// Ready when told so; writes its name down when it is dropped.
    struct Told<'a> {
        name: u8,
        ready: bool,
        dropped: &'a RefCell<Vec<u8>>,
    }

    impl Future for Told<'_> {
        type Output = u8;
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u8> {
            if self.ready { Poll::Ready(self.name) } else { Poll::Pending }
        }
    }

    impl Drop for Told<'_> {
        fn drop(&mut self) {
            self.dropped.borrow_mut().push(self.name);
        }
    }

    #[test]
    fn a_future_is_dropped_once_however_it_ends() {
        static MEMORY: Memory<{ Slots::<Told<'static>>::bytes(5) }> = Memory::new();
        let dropped = RefCell::new(Vec::new());
        let told = |name, ready| Told { name, ready, dropped: &dropped };
        let mut block = MEMORY.take();
        let mut slots = Slots::new(&mut block, 5);
        assert_eq!((slots.capacity(), block.remaining()), (5, 0));
        for (name, ready) in [(0, false), (1, true), (2, false), (3, true)] {
            slots.put(usize::from(name), told(name, ready));
        }
        assert_eq!(slots.poll(0, &mut cx()), Poll::Pending);
        assert_eq!(*dropped.borrow(), []);
        assert_eq!(slots.poll(1, &mut cx()), Poll::Ready(1));
        assert_eq!(*dropped.borrow(), [1], "a ready one before `poll` returns");
        slots.remove(2);
        slots.remove(2);
        slots.remove(4);
        assert_eq!(*dropped.borrow(), [1, 2], "a removed one; an empty slot is left alone");
        slots.put(2, told(22, false));
        assert_eq!(
            [0, 1, 2, 3, 4].map(|at| slots.is_occupied(at)),
            [true, false, true, true, false]
        );
        drop(slots);
        assert_eq!(*dropped.borrow(), [1, 2, 0, 22, 3], "the others with the slots");
    }

    #[test]
    fn misuse_is_refused() {
        let mut owned = owned(64);
        let mut slots = Slots::new(&mut owned.block(), 1);
        let mut refused = |misuse: fn(&mut Slots<'_, core::future::Ready<u8>>)| {
            panic::catch_unwind(AssertUnwindSafe(|| misuse(&mut slots))).is_err()
        };
        assert!(refused(|slots| _ = slots.poll(0, &mut cx())), "empty");
        assert!(refused(|slots| slots.put(1, ready(1))), "no such slot");
        assert!(refused(|slots| slots.remove(1)), "no such slot");
        assert!(!refused(|slots| slots.put(0, ready(1))));
        assert!(refused(|slots| slots.put(0, ready(2))), "occupied");
        assert_eq!(slots.poll(0, &mut cx()), Poll::Ready(1));
    }

    /// Counts its drops, then panics in the first one.
    struct Fragile<'a>(&'a Cell<u32>);

    impl Future for Fragile<'_> {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }

    impl Drop for Fragile<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
            assert!(self.0.get() > 1, "the first drop");
        }
    }

    #[test]
    fn a_drop_that_panics_happens_once() {
        // Words of a static: Miri reports no leak of those.
        static WORDS: Memory<256> = Memory::new();
        let mut memory = Owned::new(WORDS.take().table::<u64>(32));
        type End = fn(&mut Slots<'_, Fragile<'_>>);
        let ends: [End; 2] = [|slots| slots.remove(0), |slots| _ = slots.poll(0, &mut cx())];
        for end in ends {
            let drops = Cell::new(0);
            let mut slots = Slots::new(&mut memory.block(), 1);
            slots.put(0, Fragile(&drops));
            assert!(panic::catch_unwind(AssertUnwindSafe(|| end(&mut slots))).is_err());
            assert!(!slots.is_occupied(0));
            drop(slots);
            assert_eq!(drops.get(), 1);
        }
        let drops = Cell::new(0);
        let mut slots = Slots::new(&mut memory.block(), 3);
        (0..3).for_each(|index| slots.put(index, Fragile(&drops)));
        assert!(panic::catch_unwind(AssertUnwindSafe(|| drop(slots))).is_err());
        assert_eq!(drops.get(), 1, "those after it are leaked");
        assert_eq!(memory.try_block().err(), Some(SlotsLive(2)), "and keep their memory");
    }

    #[test]
    fn a_poll_that_panics_leaves_the_future_where_it_is() {
        let mut memory = owned(256);
        let dropped = RefCell::new(Vec::new());
        let inner = Told { name: 1, ready: false, dropped: &dropped };
        let mut slots = Slots::new(&mut memory.block(), 1);
        let poll = move |_: &mut Context<'_>| -> Poll<()> {
            let inner = &inner; // the whole of it, not its name alone
            panic!("{}", inner.name)
        };
        slots.put(0, poll_fn(poll));
        let polled = panic::catch_unwind(AssertUnwindSafe(|| _ = slots.poll(0, &mut cx())));
        assert!(polled.is_err() && slots.is_occupied(0) && dropped.borrow().is_empty());
        drop(slots);
        assert_eq!(*dropped.borrow(), [1]);
        assert_eq!(memory.try_block().err(), None);
    }

    /// A list of waiters that are linked through themselves: the reason why pinned bytes may not
    /// be reused while their future was not dropped.
    #[derive(Default)]
    struct Waiters(Cell<Option<NonNull<Waiter<'static>>>>);

    struct Waiter<'a> {
        list: &'a Waiters,
        next: Cell<Option<NonNull<Waiter<'static>>>>,
        woken: Cell<u32>,
        _pin: PhantomPinned,
    }

    impl Waiters {
        /// Visits every waiter.
        fn wake_all(&self) -> u32 {
            let (mut at, mut count) = (self.0.get(), 0);
            while let Some(waiter) = at {
                // SAFETY: a waiter is pinned and takes itself off the list when it is dropped.
                let waiter = unsafe { waiter.as_ref() };
                waiter.woken.set(waiter.woken.get() + 1);
                (at, count) = (waiter.next.get(), count + 1);
            }
            count
        }
    }

    impl<'a> Waiter<'a> {
        fn new(list: &'a Waiters) -> Self {
            Self { list, next: Cell::new(None), woken: Cell::new(0), _pin: PhantomPinned }
        }

        fn is_linked(&self, link: NonNull<Waiter<'static>>) -> bool {
            ptr::addr_eq(link.as_ptr(), self)
        }
    }

    impl Future for Waiter<'_> {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            if self.woken.get() > 0 {
                return Poll::Ready(());
            }
            let mut at = self.list.0.get();
            while let Some(link) = at {
                if self.is_linked(link) {
                    return Poll::Pending;
                }
                // SAFETY: as in `wake_all`.
                at = unsafe { link.as_ref() }.next.get();
            }
            self.next.set(self.list.0.get());
            self.list.0.set(Some(NonNull::from(&*self).cast()));
            Poll::Pending
        }
    }

    impl Drop for Waiter<'_> {
        fn drop(&mut self) {
            let mut before = &self.list.0;
            while let Some(link) = before.get() {
                if self.is_linked(link) {
                    return before.set(self.next.get());
                }
                // SAFETY: as in `wake_all`.
                before = unsafe { &(*link.as_ptr()).next };
            }
        }
    }

    #[test]
    fn intrusive_waiters_live_in_slots() {
        let list = Waiters::default();
        let mut memory = owned(1024);
        let mut slots = Slots::new(&mut memory.block(), 4);
        (0..4).for_each(|index| slots.put(index, Waiter::new(&list)));
        (0..4).for_each(|index| assert!(slots.poll(index, &mut cx()).is_pending()));
        slots.remove(2);
        assert!(slots.poll(1, &mut cx()).is_pending());
        assert_eq!(list.wake_all(), 3);
        assert!(slots.poll(0, &mut cx()).is_ready());
        drop(slots);
        assert_eq!(list.wake_all(), 0);
    }

    /// The forget case. `wake_all` walks through the bytes of forgotten futures: were they lent
    /// again, or freed, this would be undefined behaviour, which Miri reports.
    #[test]
    fn forgotten_waiters_are_never_overwritten() {
        let list = Waiters::default();
        let mut memory = owned(1024);
        let mut slots = Slots::new(&mut memory.block(), 4);
        (0..4).for_each(|index| slots.put(index, Waiter::new(&list)));
        (0..4).for_each(|index| assert!(slots.poll(index, &mut cx()).is_pending()));
        slots.remove(0);
        forget(slots);
        // Refused, or the table would be made of the waiters' bytes.
        assert_eq!(
            memory.try_block().map(|mut block| block.table::<u8>(1024).fill(1)),
            Err(SlotsLive(3))
        );
        assert_eq!(list.wake_all(), 3);
        // Moved: the buffer itself stays where it is.
        let memory = *Box::new(memory);
        assert_eq!(list.wake_all(), 3);
        // Leaked, or the list would point to freed bytes.
        drop(memory);
        assert_eq!(list.wake_all(), 3);
        keep(&list);
    }

    /// Tells Miri that what this list points to was leaked on purpose.
    fn keep(list: &Waiters) {
        static KEPT: core::sync::atomic::AtomicPtr<Waiter<'static>> =
            core::sync::atomic::AtomicPtr::new(ptr::null_mut());
        let first = list.0.get().map_or(ptr::null_mut(), NonNull::as_ptr);
        KEPT.store(first, core::sync::atomic::Ordering::Relaxed);
    }

    #[test]
    fn a_mapped_future_stays_where_it_was_polled() {
        let list = Waiters::default();
        let mut mapped = Box::pin(Map::new(Waiter::new(&list), |()| "done"));
        assert!(mapped.as_mut().poll(&mut cx()).is_pending());
        assert_eq!(list.wake_all(), 1);
        assert_eq!(mapped.as_mut().poll(&mut cx()), Poll::Ready("done"));
        drop(mapped);
        assert_eq!(list.wake_all(), 0);

        // Dropped while it waits: what it would have called is dropped with it.
        let held = Rc::new(());
        let inside = held.clone();
        let mut mapped = Box::pin(Map::new(Waiter::new(&list), move |()| drop(inside)));
        assert!(mapped.as_mut().poll(&mut cx()).is_pending());
        drop(mapped);
        assert_eq!((list.wake_all(), Rc::strong_count(&held)), (0, 1));
    }

    #[test]
    fn forgetting_empty_slots_costs_nothing() {
        let mut memory = owned(1024);
        let mut slots = Slots::new(&mut memory.block(), 4);
        slots.put(3, pending::<()>());
        slots.remove(3);
        forget(slots);
        assert_eq!(memory.try_block().map(|block| block.remaining()), Ok(1024));
    }
}
