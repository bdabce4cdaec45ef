//! The queue of a [`Remote`](super::Remote) where there is compare-and-swap.

use core::sync::atomic::{AtomicUsize, Ordering};

use heapless::mpmc::Queue;

/// Room for `N` messages, a power of two.
pub(super) struct Messages<T, const N: usize> {
    /// Counted after a message was put in, or taken out: for [`len`](Self::len) alone.
    put_in: AtomicUsize,
    taken_out: AtomicUsize,
    queue: Queue<T, N>,
}

impl<T, const N: usize> Messages<T, N> {
    #[expect(
        deprecated,
        reason = "the module of `Remote` says why an interrupted sender is no harm"
    )]
    pub(super) const fn new() -> Self {
        Self { put_in: AtomicUsize::new(0), taken_out: AtomicUsize::new(0), queue: Queue::new() }
    }

    pub(super) fn push(&self, message: T) -> Result<(), T> {
        self.queue.enqueue(message)?;
        self.put_in.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn pop(&self) -> Option<T> {
        let message = self.queue.dequeue()?;
        self.taken_out.fetch_add(1, Ordering::Relaxed);
        Some(message)
    }

    pub(super) fn len(&self) -> usize {
        let taken_out = self.taken_out.load(Ordering::Relaxed);
        let count = self.put_in.load(Ordering::Relaxed).wrapping_sub(taken_out);
        // A message can be taken out before its sender has counted it: then the difference is
        // negative. And between the two loads here, many can come and go.
        usize::try_from(count.cast_signed()).unwrap_or(0).min(N)
    }
}
