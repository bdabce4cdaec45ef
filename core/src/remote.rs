//! Messages from another thread or an interrupt to a task. Tornado: `IOLoop.add_callback`,
//! `add_callback_from_signal`.
//!
//! [`Remote`] is a queue of a fixed capacity: anybody [sends](Remote::send), at any time, and one
//! task [receives](Receiver::next). It is the one way into a reactor beside a bare wake. Messages
//! that are functions make it Tornado's `add_callback`: `Remote<fn(&App), N>` and
//! [`Receiver::run`]. For the bytes that an interrupt moves there is [`Ring`].
//!
//! Invariants:
//! - A message that [`send`](Remote::send) took is received once. Those of one sender are received
//!   in the order in which it sent them.
//! - Nobody waits for a lock where the processor has compare-and-swap: neither sender nor receiver
//!   ever spins for another one, and an interrupt may come in the middle of either. Elsewhere
//!   (thumbv6m) a message moves with interrupts masked.
//! - A send that the receiver has not seen ends its wait.
//! - [`Receiver`] takes at most [`MESSAGES_PER_POLL_MAX`] messages without giving way to others.
//!
//! Capacity: `N` messages. Full: [`send`](Remote::send) gives the message back, and says nothing to
//! anybody: whoever sends decides whether it is dropped, counted or sent once more.
//!
//! # Why does this work?
//! The receiver hangs its waker at a [`Bell`], looks into the queue, and waits if nothing is there;
//! a sender puts its message into the queue and rings. Between the two steps of each lies a fence,
//! so that one of them sees what the other did ([`wake`](crate::wake) has the proof).
//!
//! The queue is `heapless::mpmc`, which makes its callers' messages visible in the order of their
//! places, and a place is taken before it is filled. Two things follow when a sender is interrupted
//! between the two, by another one that is done at once:
//!
//! ```text
//!   slow sender    takes place 4                                        fills it, rings
//!   fast sender                   takes place 5, fills it, rings
//!   receiver                                                  (4: empty)                 4, 5
//! ```
//!
//! The receiver finds place 4 empty and waits although the fast sender's message is there. That is
//! no loss: the slow one rings after it has filled its place, and that ring is later than this
//! look. And the receiver may be the slow one: a place that it has emptied but not given back
//! counts as full, for a sender that comes in between; there, "full" can be one message early.
//!
//! Positions are as wide as a pointer (heapless's feature `mpmc_large`): with 8 bits, a sender that
//! slept while 256 others came and went could take its place for a free one.
//!
//! Layer: stands on [`wake`](crate::wake); knows no reactor, and any executor may receive.
//!
//! ```
//! # #[cfg(feature = "sim")] {
//! use dustdevil_core::memory::Memory;
//! use dustdevil_core::reactor::{Capacity, Reactor};
//! use dustdevil_core::remote::Remote;
//! use dustdevil_core::sim::{self, Faults, Sim, World};
//!
//! static INBOX: Remote<u32, 4> = Remote::new();
//!
//! const CAPACITY: Capacity =
//!     Capacity { sources: 0, timers: 0, groups: 0, tasks: 1, waiters: 0 };
//! static MEMORY: Memory<{ CAPACITY.bytes() }> = Memory::new();
//!
//! let world = World::new(1, Faults::NONE);
//! let reactor = Reactor::new(Sim::<true>::new(&world), MEMORY.take(), CAPACITY, sim::wakes(1));
//! let other = std::thread::spawn(|| (1..=4).all(|number| INBOX.send(number).is_ok()));
//! assert!(other.join().unwrap());
//! assert_eq!(INBOX.send(5).map_err(|full| full.0), Err(5)); // it comes back
//!
//! let mut receiver = INBOX.receiver().expect("nobody else receives");
//! assert_eq!(reactor.run(async { receiver.next().await + receiver.next().await }), 3);
//! assert_eq!(receiver.len(), 2);
//! # }
//! ```

use core::cell::Cell;
use core::convert::Infallible;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use critical_section::Mutex;

pub use crate::full::Full;
use crate::wake::Bell;

#[cfg(target_has_atomic = "ptr")]
mod atomic;
#[cfg(any(not(target_has_atomic = "ptr"), all(test, not(loom))))]
mod masked;
mod ring;

#[cfg(target_has_atomic = "ptr")]
use self::atomic::Messages;
#[cfg(not(target_has_atomic = "ptr"))]
use self::masked::Messages;
pub use self::ring::Ring;

/// Messages that a [`Receiver`] takes without a wait before others have their turn: 64.
pub const MESSAGES_PER_POLL_MAX: u32 = 64;

/// Room for `N` messages on their way to one task. See the [module](self).
///
/// Usually a static, `static INBOX: Remote<Command, 16> = Remote::new();`; with `std` an `Arc` will
/// do as well. `N` is a power of two and at least 2, checked at compile time. The queue's places
/// are numbered from the start, so such a static lies in `.data`, not in `.bss`: `N` places of a
/// message and a word each take flash, too.
pub struct Remote<T, const N: usize> {
    bell: Bell,
    /// Somebody has the receiver.
    is_received: Mutex<Cell<bool>>,
    messages: Messages<T, N>,
}

impl<T: Send, const N: usize> Remote<T, N> {
    /// Room for `N` messages, without any.
    pub const fn new() -> Self {
        const { assert!(N >= 2 && N.is_power_of_two(), "a capacity is a power of two, 2 or more") };
        Self {
            bell: Bell::new(),
            is_received: Mutex::new(Cell::new(false)),
            messages: Messages::new(),
        }
    }

    /// Sends a message, from any thread or interrupt, and wakes the task that receives. Takes a few
    /// dozen instructions, and with another thread's reactor asleep one system call.
    ///
    /// It may be sent before there is a receiver: it waits for one.
    ///
    /// # Errors
    /// [`Full`] gives the message back: `N` of them wait.
    pub fn send(&self, message: T) -> Result<(), Full<T>> {
        self.messages.push(message).map_err(Full)?;
        self.bell.ring();
        Ok(())
    }

    /// The receiving end; `None` while somebody has it. Messages that waited are received first.
    ///
    /// Dropping it gives it back, so that a later reactor can have it; what it had not taken waits.
    /// One that was forgotten (`mem::forget`) is never given back.
    pub fn receiver(&self) -> Option<Receiver<'_, T>> {
        let was_received = critical_section::with(|cs| self.is_received.borrow(cs).replace(true));
        (!was_received).then_some(Receiver { inbox: self, left: MESSAGES_PER_POLL_MAX })
    }

    /// How many messages wait: exact while nobody sends or receives, otherwise a recent figure.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether none waits, as [`len`](Self::len) says.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages there is room for: `N`.
    pub const fn capacity(&self) -> usize {
        N
    }
}

impl<T: Send, const N: usize> Default for Remote<T, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, const N: usize> fmt::Debug for Remote<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote(room for {N})")
    }
}

/// What a receiver needs of its [`Remote`], whose capacity it need not know.
trait Inbox<T>: Sync {
    fn bell(&self) -> &Bell;
    fn pop(&self) -> Option<T>;
    fn len(&self) -> usize;
    fn give_back(&self);
}

impl<T: Send, const N: usize> Inbox<T> for Remote<T, N> {
    fn bell(&self) -> &Bell {
        &self.bell
    }

    fn pop(&self) -> Option<T> {
        self.messages.pop()
    }

    fn len(&self) -> usize {
        self.messages.len()
    }

    fn give_back(&self) {
        self.bell.unhang();
        critical_section::with(|cs| self.is_received.borrow(cs).set(false));
    }
}

/// The receiving end of a [`Remote`], for one task at a time.
pub struct Receiver<'q, T> {
    inbox: &'q dyn Inbox<T>,
    /// How many messages may still be taken before others have their turn.
    left: u32,
}

impl<'q, T> Receiver<'q, T> {
    /// Waits for the next message.
    ///
    /// After [`MESSAGES_PER_POLL_MAX`] of them without a wait in between, it lets a turn of the
    /// loop pass, so that a flood of messages does not stall the rest.
    ///
    /// Cancel-safe: a call that is dropped has taken no message.
    pub fn next<'r>(&'r mut self) -> Next<'r, 'q, T> {
        Next { receiver: self }
    }

    /// The next message if there is one, at once. It takes no part in giving way to others.
    pub fn try_next(&mut self) -> Option<T> {
        self.inbox.pop()
    }

    /// As [`next`](Self::next), for futures that are written by hand.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        // First the waker, then the look: see the module.
        self.inbox.bell().hang(cx.waker());
        if self.left == 0 {
            self.left = MESSAGES_PER_POLL_MAX;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.inbox.pop() {
            Some(message) => {
                self.left -= 1;
                Poll::Ready(message)
            }
            None => {
                self.left = MESSAGES_PER_POLL_MAX;
                Poll::Pending
            }
        }
    }

    /// Hands each message to `sink`, for ever.
    ///
    /// Cancel-safe: each message was either handed over or is still to be received.
    pub fn for_each<'r, F: FnMut(T)>(&'r mut self, sink: F) -> ForEach<'r, 'q, T, F> {
        ForEach { receiver: self, sink }
    }

    /// How many messages wait: as [`Remote::len`].
    pub fn len(&self) -> usize {
        self.inbox.len()
    }

    /// Whether none waits: as [`Remote::is_empty`].
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'q, A> Receiver<'q, fn(&A)> {
    /// Calls each function that was sent, in the loop's thread, for ever: what Tornado's
    /// `add_callback` and `add_callback_from_signal` ask for is `REMOTE.send(|app| ..)`.
    ///
    /// Cancel-safe: each function was either called or is still to be received.
    ///
    /// ```
    /// # #[cfg(feature = "sim")] {
    /// # use std::cell::Cell;
    /// # use dustdevil_core::memory::Memory;
    /// # use dustdevil_core::reactor::{Capacity, Reactor};
    /// # use dustdevil_core::sim::{self, Faults, Sim, World};
    /// use dustdevil_core::handle::Handle;
    /// use dustdevil_core::remote::Remote;
    /// use dustdevil_core::time::Duration;
    ///
    /// struct App {
    ///     presses: Cell<u32>,
    /// }
    /// static CALLS: Remote<fn(&App), 8> = Remote::new();
    ///
    /// fn on_button() { // An interrupt, say.
    ///     let _ = CALLS.send(|app| app.presses.set(app.presses.get() + 1));
    /// }
    /// # const CAPACITY: Capacity =
    /// #     Capacity { sources: 0, timers: 1, groups: 0, tasks: 1, waiters: 0 };
    /// # static MEMORY: Memory<{ CAPACITY.bytes() }> = Memory::new();
    /// # let world = World::new(1, Faults::NONE);
    /// # let sim = Sim::<true>::new(&world);
    /// # let reactor = Reactor::new(sim, MEMORY.take(), CAPACITY, sim::wakes(1));
    /// let app = App { presses: Cell::new(0) };
    /// let mut calls = CALLS.receiver().expect("nobody else receives");
    /// on_button();
    /// on_button();
    /// let handle = Handle::from(&reactor);
    /// let _ = reactor.run(handle.timeout(Duration::from_secs(1), calls.run(&app)));
    /// assert_eq!(app.presses.get(), 2);
    /// # }
    /// ```
    pub fn run<'r>(&'r mut self, app: &'r A) -> Run<'r, 'q, A> {
        Run { receiver: self, app }
    }
}

impl<T> Drop for Receiver<'_, T> {
    fn drop(&mut self) {
        self.inbox.give_back();
    }
}

impl<T> fmt::Debug for Receiver<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver(..)")
    }
}

/// See [`Receiver::next`].
#[must_use = "a message is received only when this is awaited"]
pub struct Next<'r, 'q, T> {
    receiver: &'r mut Receiver<'q, T>,
}

impl<T> Future for Next<'_, '_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.receiver.poll_next(cx)
    }
}

/// See [`Receiver::for_each`].
#[must_use = "messages are received only while this is awaited"]
pub struct ForEach<'r, 'q, T, F> {
    receiver: &'r mut Receiver<'q, T>,
    sink: F,
}

/// Nothing in it is ever pinned.
impl<T, F> Unpin for ForEach<'_, '_, T, F> {}

impl<T, F: FnMut(T)> Future for ForEach<'_, '_, T, F> {
    type Output = Infallible;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Infallible> {
        loop {
            match self.receiver.poll_next(cx) {
                Poll::Ready(message) => (self.sink)(message),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// See [`Receiver::run`].
#[must_use = "functions are called only while this is awaited"]
pub struct Run<'r, 'q, A> {
    receiver: &'r mut Receiver<'q, fn(&A)>,
    app: &'r A,
}

impl<A> Future for Run<'_, '_, A> {
    type Output = Infallible;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Infallible> {
        loop {
            match self.receiver.poll_next(cx) {
                Poll::Ready(call) => call(self.app),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    extern crate std;

    use core::cell::RefCell;
    use core::future::Future;
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::thread;
    use std::vec::Vec;

    use super::{Full, MESSAGES_PER_POLL_MAX, Receiver, Remote};
    use crate::wake::{WakeTree, Wakes};

    /// Whether leaf 1 of this tree was raised since the last time.
    fn was_woken(wakes: &WakeTree) -> bool {
        let mut taken = Vec::new();
        wakes.take(&mut |leaf| taken.push(leaf));
        assert!(taken.iter().all(|leaf| *leaf == 1), "{taken:?}");
        !taken.is_empty()
    }

    fn poll<T>(receiver: &mut Receiver<'_, T>, waker: &Waker) -> Poll<T> {
        pin!(receiver.next()).poll(&mut Context::from_waker(waker))
    }

    #[test]
    fn messages_come_in_order_and_the_last_one_too_many_comes_back() {
        let remote = Remote::<_, 4>::new();
        let mut receiver = remote.receiver().unwrap();
        for round in 0..10 {
            assert_eq!(receiver.try_next(), None);
            for number in 0..4 {
                assert_eq!((remote.len(), receiver.is_empty()), (number, number == 0));
                assert_eq!(remote.send(10 * round + number), Ok(()));
            }
            assert_eq!((remote.send(99), remote.len()), (Err(Full(99)), 4), "full");
            for number in 0..4 {
                assert_eq!(receiver.try_next(), Some(10 * round + number));
            }
        }
        assert_eq!((remote.capacity(), receiver.len(), remote.is_empty()), (4, 0, true));
    }

    #[test]
    fn a_message_ends_the_wait_and_only_a_wait() {
        static TREE: Wakes<2> = Wakes::new();
        let wakes: &'static WakeTree = &TREE;
        let waker = wakes.waker(1);
        let remote = Remote::<u8, 4>::new();
        assert_eq!(remote.send(1), Ok(()), "before anybody receives");
        let mut receiver = remote.receiver().unwrap();
        assert!(!was_woken(wakes));
        assert_eq!(poll(&mut receiver, &waker), Poll::Ready(1));
        for number in 2..5 {
            assert_eq!(poll(&mut receiver, &waker), Poll::Pending);
            assert!(!was_woken(wakes));
            assert_eq!(remote.send(number), Ok(()));
            assert!(was_woken(wakes), "message {number}");
            // A wait that is dropped has taken nothing.
            drop(receiver.next());
            assert_eq!(poll(&mut receiver, &waker), Poll::Ready(number));
        }
        assert_eq!(poll(&mut receiver, Waker::noop()), Poll::Pending, "it moved");
        assert_eq!(remote.send(6), Ok(()));
        assert!(!was_woken(wakes));
    }

    #[test]
    fn there_is_one_receiver_at_a_time_and_the_next_one_has_what_is_left() {
        static TREE: Wakes<2> = Wakes::new();
        let wakes: &'static WakeTree = &TREE;
        let remote = Remote::<_, 4>::new();
        let mut first = remote.receiver().unwrap();
        assert!(remote.receiver().is_none());
        assert!(poll(&mut first, &wakes.waker(1)).is_pending());
        assert_eq!((remote.send(1), remote.send(2)), (Ok(()), Ok(())));
        assert!(was_woken(wakes));
        assert_eq!(first.try_next(), Some(1));
        drop(first);
        assert_eq!(remote.send(3), Ok(()));
        assert!(!was_woken(wakes), "nobody waits there any more");
        let mut second = remote.receiver().unwrap();
        assert_eq!((second.try_next(), second.try_next()), (Some(2), Some(3)));
    }

    #[test]
    fn a_flood_lets_others_have_their_turn() {
        static TREE: Wakes<2> = Wakes::new();
        let wakes: &'static WakeTree = &TREE;
        let remote = Remote::<_, 256>::new();
        let mut receiver = remote.receiver().unwrap();
        (0..150).for_each(|number| assert_eq!(remote.send(number), Ok(())));
        let received = RefCell::new(Vec::new());
        let waker = wakes.waker(1);
        let mut cx = Context::from_waker(&waker);
        let mut all = receiver.for_each(|number| received.borrow_mut().push(number));
        for (taken, is_woken) in [(64, true), (128, true), (150, false)] {
            assert!(pin!(&mut all).poll(&mut cx).is_pending());
            assert_eq!((received.borrow().len(), was_woken(wakes)), (taken, is_woken));
        }
        assert!(received.borrow().iter().copied().eq(0..150));
        const { assert!(MESSAGES_PER_POLL_MAX == 64) };
    }

    #[test]
    fn functions_are_called_in_the_receiver_s_thread() {
        type App = RefCell<Vec<&'static str>>;
        static CALLS: Remote<fn(&App), 4> = Remote::new();
        let send = |call: fn(&App)| assert!(CALLS.send(call).is_ok());
        send(|app| app.borrow_mut().push("one"));
        thread::spawn(move || send(|app| app.borrow_mut().push("two"))).join().unwrap();
        let app = App::default();
        let mut receiver = CALLS.receiver().unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(pin!(receiver.run(&app)).poll(&mut cx).is_pending());
        assert_eq!(*app.borrow(), ["one", "two"]);
    }

    #[test]
    fn what_was_never_received_is_dropped_with_the_queue() {
        let message = Arc::new(());
        let remote = Remote::<_, 4>::new();
        for count in 2..6 {
            assert!(remote.send(message.clone()).is_ok());
            assert_eq!(Arc::strong_count(&message), count);
        }
        let Err(Full(back)) = remote.send(message.clone()) else { panic!("it is full") };
        drop(back);
        drop(remote.receiver().unwrap().try_next());
        assert_eq!(Arc::strong_count(&message), 4);
        drop(remote);
        assert_eq!(Arc::strong_count(&message), 1);
    }

    /// A receiver that sleeps and threads that send: what Miri sees. Its waker is no leaf of ours.
    #[test]
    fn many_threads_send_to_one_that_sleeps() {
        struct Sleeper(thread::Thread, AtomicUsize);

        impl Wake for Sleeper {
            fn wake(self: Arc<Self>) {
                self.1.fetch_add(1, Ordering::Relaxed);
                self.0.unpark();
            }
        }

        const SENDERS: usize = 3;
        const EACH: usize = if cfg!(miri) { 60 } else { 50_000 };
        let remote = Arc::new(Remote::<(usize, usize), 8>::new());
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let remote = remote.clone();
                thread::spawn(move || {
                    for number in 0..EACH {
                        while remote.send((sender, number)).is_err() {
                            thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        let sleeper = Arc::new(Sleeper(thread::current(), AtomicUsize::new(0)));
        let waker = Waker::from(sleeper.clone());
        let mut receiver = remote.receiver().unwrap();
        let mut next = [0; SENDERS];
        while next.iter().sum::<usize>() < SENDERS * EACH {
            let woken = sleeper.1.load(Ordering::Relaxed);
            match poll(&mut receiver, &waker) {
                Poll::Ready((sender, number)) => {
                    assert_eq!(number, next[sender], "of sender {sender}");
                    next[sender] += 1;
                }
                // A wake that is lost leaves this thread here.
                Poll::Pending => {
                    while sleeper.1.load(Ordering::Relaxed) == woken {
                        thread::park();
                    }
                }
            }
        }
        senders.into_iter().for_each(|sender| sender.join().expect("no sender panics"));
        assert_eq!(receiver.try_next(), None);
    }
}
