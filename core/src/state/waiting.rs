//! Futures that wait for one source alone, or for the stop, and who wakes them.
//!
//! Invariants: a waiter stands on the list of one source of no group, or on that of the stop; it is
//! released when it is woken. Whoever finds no room is polled in every turn, and loses nothing.
//!
//! Layer: a part of [`state`](super).

use core::cell::Cell;
use core::task::{Context, Poll, Waker};

use super::{State, holds, store_waker};
use crate::list::entry;
use crate::poller::{Interest, Readiness, Token};

impl State<'_> {
    pub(crate) fn poll_io(
        &self,
        token: Token,
        interest: Interest,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let Some(source) = self.source(token) else { return Poll::Ready(()) };
        if source.ready().intersects(interest.readiness()) {
            return Poll::Ready(());
        }
        if source.is_grouped() {
            // Its link is the group's. Whoever waits all the same is polled in every turn.
            self.refuse_waiter(cx.waker());
        } else {
            self.add_waiter(&source.link, interest.readiness(), cx.waker());
        }
        Poll::Pending
    }

    /// Adds a waiter to the list at `head`, or renews the one with this interest.
    fn add_waiter(&self, head: &Cell<u32>, interest: Readiness, waker: &Waker) {
        let mut at = head.get();
        while at != 0 {
            let waiter = entry(self.waiters.entries(), at as usize);
            if interest != Readiness::NONE && waiter.interest.get() == interest.bits() {
                return store_waker(&waiter.waker, waker);
            }
            if interest == Readiness::NONE && holds(&waiter.waker, waker) {
                return;
            }
            at = waiter.next.get();
        }
        let Some(index) = self.waiters.allot() else {
            return self.refuse_waiter(waker);
        };
        self.waking.set(Some(|state, head, ready| state.drain_waiters(head, ready)));
        let waiter = entry(self.waiters.entries(), index as usize);
        waiter.interest.set(interest.bits());
        waiter.waker.set(Some(waker.clone()));
        waiter.next.set(head.replace(index));
    }

    /// There is no room: the future is polled in every turn until there is.
    fn refuse_waiter(&self, waker: &Waker) {
        self.metrics.add_waiter_refused();
        waker.wake_by_ref();
    }

    /// Wakes and frees those of the waiters at `head` whose wait these bits end.
    pub(super) fn wake_waiters(&self, head: &Cell<u32>, ready: Readiness) {
        if let Some(wake) = self.waking.get() {
            wake(self, head, ready);
        }
    }

    fn drain_waiters(&self, head: &Cell<u32>, ready: Readiness) {
        let mut link = head;
        while link.get() != 0 {
            let index = link.get();
            let waiter = entry(self.waiters.entries(), index as usize);
            let interest = Readiness::from_bits(waiter.interest.get());
            // Of no interest is whoever waits for the stop.
            if interest != Readiness::NONE && !ready.intersects(interest) {
                link = &waiter.next;
                continue;
            }
            link.set(waiter.next.replace(0));
            let waker = waiter.waker.take();
            self.waiters.release(index);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    // ---- stopping

    pub(crate) fn stop(&self) {
        if !self.stopping.replace(true) {
            if self.stop_awaited.get() {
                self.wake_everybody();
            }
            self.wake_waiters(&self.stop_waiters, Readiness::ALL);
        }
    }

    pub(crate) fn poll_stopping(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.stopping.get() {
            return Poll::Ready(());
        }
        // Of tasks no list is kept, which might be long: a stop comes once, and then each is woken.
        if self.wakes.is_leaf(cx.waker()) {
            self.stop_awaited.set(true);
        } else {
            self.add_waiter(&self.stop_waiters, Readiness::NONE, cx.waker());
        }
        Poll::Pending
    }
}
