//! What is waited for at a queue.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use super::{AnyQueue, Order};
use crate::full::Full;
use crate::waiters::{Place, Stage};

/// See [`AnyQueue::put`].
#[must_use = "nothing is put unless it is awaited"]
pub struct Put<'q, 'm, S: Order + ?Sized> {
    queue: &'q AnyQueue<'m, S>,
    /// The item, until it is in the queue or with the waiter at `place`.
    item: Option<S::Item>,
    place: Option<Place>,
}

impl<'q, 'm, S: Order + ?Sized> Put<'q, 'm, S> {
    pub(super) fn new(queue: &'q AnyQueue<'m, S>, item: S::Item) -> Self {
        Self { queue, item: Some(item), place: None }
    }

    /// Gives the item back if it is not in the queue yet, and leaves the line.
    pub fn into_item(mut self) -> Option<S::Item> {
        self.withdraw()
    }

    fn withdraw(&mut self) -> Option<S::Item> {
        let Some(place) = self.place else { return self.item.take() };
        // Before the waiter goes back; it is empty where the item was taken in.
        let item = self.queue.table.item(place).take();
        self.queue.table.leave(&self.queue.putters, &mut self.place);
        item
    }
}

/// Nothing of it is pinned: the item lies here as it would in an `Option`.
impl<S: Order + ?Sized> Unpin for Put<'_, '_, S> {}

impl<S: Order + ?Sized> Future for Put<'_, '_, S> {
    type Output = Result<(), Full<S::Item>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let queue = self.queue;
        if let Some(place) = self.place {
            ready!(queue.table.poll(place, cx));
            self.place = None;
            queue.table.vacate(place);
            return Poll::Ready(Ok(()));
        }
        // One that is polled again after it resolved has nothing left to put.
        let Some(item) = self.item.take() else { return Poll::Ready(Ok(())) };
        let Err(item) = queue.offer(item) else { return Poll::Ready(Ok(())) };
        self.place = queue.table.enter(&queue.putters, cx);
        match self.place {
            None => Poll::Ready(Err(Full(item))),
            Some(place) => {
                queue.table.item(place).set(Some(item));
                Poll::Pending
            }
        }
    }
}

impl<S: Order + ?Sized> Drop for Put<'_, '_, S> {
    fn drop(&mut self) {
        drop(self.withdraw());
    }
}

/// See [`AnyQueue::get`].
#[must_use = "nothing is got unless it is awaited"]
pub struct Get<'q, 'm, S: Order + ?Sized> {
    queue: &'q AnyQueue<'m, S>,
    place: Option<Place>,
}

impl<'q, 'm, S: Order + ?Sized> Get<'q, 'm, S> {
    pub(super) fn new(queue: &'q AnyQueue<'m, S>) -> Self {
        Self { queue, place: None }
    }
}

impl<S: Order + ?Sized> Future for Get<'_, '_, S> {
    type Output = Result<S::Item, Full>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let queue = self.queue;
        let Some(place) = self.place else {
            if let Some(item) = queue.take() {
                return Poll::Ready(Ok(item));
            }
            self.place = Some(queue.table.enter(&queue.getters, cx).ok_or(Full(()))?);
            return Poll::Pending;
        };
        ready!(queue.table.poll(place, cx));
        let served = queue.table.item(place).take();
        debug_assert!(served.is_some(), "a getter is served with an item");
        let Some(item) = served else { return Poll::Pending };
        self.place = None;
        queue.served.remove(&queue.table, place);
        queue.table.vacate(place);
        Poll::Ready(Ok(item))
    }
}

impl<S: Order + ?Sized> Drop for Get<'_, '_, S> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.queue.leave(place);
        }
    }
}

/// See [`AnyQueue::join`].
#[must_use = "a wait does nothing unless it is awaited"]
pub struct Join<'q, 'm, S: Order + ?Sized> {
    queue: &'q AnyQueue<'m, S>,
    place: Option<Place>,
}

impl<'q, 'm, S: Order + ?Sized> Join<'q, 'm, S> {
    pub(super) fn new(queue: &'q AnyQueue<'m, S>) -> Self {
        Self { queue, place: None }
    }
}

impl<S: Order + ?Sized> Future for Join<'_, '_, S> {
    type Output = Result<(), Full>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let queue = self.queue;
        if self.place.is_none() && queue.unfinished() == 0 {
            return Poll::Ready(Ok(()));
        }
        queue.table.poll_wait(&queue.joiners, &mut self.place, cx)
    }
}

impl<S: Order + ?Sized> Drop for Join<'_, '_, S> {
    fn drop(&mut self) {
        let left = self.queue.table.leave(&self.queue.joiners, &mut self.place);
        debug_assert_ne!(left, Stage::Granted, "all are released, and nothing is granted to one");
    }
}
