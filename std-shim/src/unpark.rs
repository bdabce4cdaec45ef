//! What ends an epoll wait from another thread: an eventfd that outlives every waker.
//!
//! A waker may be kept, cloned and woken long after its reactor is gone, so what it rings is
//! leaked. So that a process which makes many pollers (a test binary) does not leak a descriptor
//! for each, a [`Doorbell`] that is given back goes to a list of the process and serves the next
//! poller; a late ring then ends one wait of a stranger early, which every poller allows.
//!
//! Invariant: nobody reads the eventfd while a poller waits on it. It is registered edge-triggered,
//! where each ring is an edge of its own, so a wake from another thread costs one system call and
//! its receipt none.
//!
//! Layer: stands on rustix and [`wake`](dustdevil_core::wake); [`epoll`](crate::epoll) stands on
//! it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use dustdevil_core::poller::Error;
use dustdevil_core::wake::Unpark;
use rustix::event::EventfdFlags;
use rustix::io::Errno;

use crate::socket::error;

/// Doorbells without a poller.
static FREE: Mutex<Vec<&'static Doorbell>> = Mutex::new(Vec::new());

/// An eventfd that ends the wait of the poller that registered it.
#[derive(Debug)]
pub struct Doorbell {
    eventfd: OwnedFd,
}

impl Doorbell {
    /// A doorbell that nobody else has: one that was given back, or a new one.
    ///
    /// # Errors
    /// [`OutOfMemory`](dustdevil_core::embedded_io::ErrorKind::OutOfMemory): no descriptor is left.
    pub fn obtain() -> Result<&'static Self, Error> {
        // The lock guards a push or a pop: a panic elsewhere cannot leave it half done.
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(doorbell) = free {
            return Ok(doorbell);
        }
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let eventfd = rustix::event::eventfd(0, flags).map_err(error)?;
        Ok(Box::leak(Box::new(Self { eventfd })))
    }

    /// Gives a doorbell back, for the next [`obtain`](Self::obtain).
    pub fn give_back(&'static self) {
        FREE.lock().unwrap_or_else(PoisonError::into_inner).push(self);
    }
}

impl Unpark for Doorbell {
    /// One write(2). It cannot fail but for a full counter, and then the edge is there already.
    fn unpark(&self) {
        while rustix::io::write(&self.eventfd, &1u64.to_ne_bytes()) == Err(Errno::INTR) {}
    }
}

impl AsFd for Doorbell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_counts_and_a_doorbell_is_used_again() {
        let first = Doorbell::obtain().unwrap();
        first.unpark();
        first.unpark();
        let mut count = [0; 8];
        rustix::io::read(first, &mut count).unwrap();
        assert_eq!(u64::from_ne_bytes(count), 2);
        first.give_back();
        // Other tests take from the same list, so look for it rather than expect it next.
        let taken: Vec<_> = (0..64).map(|_| Doorbell::obtain().unwrap()).collect();
        assert!(taken.iter().any(|one| std::ptr::eq(*one, first)));
        taken.into_iter().for_each(Doorbell::give_back);
    }
}
