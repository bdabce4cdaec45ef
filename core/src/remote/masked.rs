//! The queue of a [`Remote`](super::Remote) where there is no compare-and-swap: a critical section
//! for each message, as long as it takes to move one.

use core::cell::RefCell;

use critical_section::Mutex;
use heapless::Deque;

/// Room for `N` messages.
pub(super) struct Messages<T, const N: usize> {
    queue: Mutex<RefCell<Deque<T, N>>>,
}

impl<T, const N: usize> Messages<T, N> {
    pub(super) const fn new() -> Self {
        Self { queue: Mutex::new(RefCell::new(Deque::new())) }
    }

    pub(super) fn push(&self, message: T) -> Result<(), T> {
        critical_section::with(|cs| self.queue.borrow_ref_mut(cs).push_back(message))
    }

    /// The message is dropped by the caller, outside the critical section.
    pub(super) fn pop(&self) -> Option<T> {
        critical_section::with(|cs| self.queue.borrow_ref_mut(cs).pop_front())
    }

    pub(super) fn len(&self) -> usize {
        critical_section::with(|cs| self.queue.borrow_ref(cs).len())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    extern crate std;

    use std::sync::Arc;
    use std::thread;
    use std::vec::Vec;

    use super::Messages;

    #[test]
    fn what_does_not_fit_comes_back() {
        let messages = Messages::<u32, 2>::new();
        for round in 0..5 {
            assert_eq!(
                (messages.push(round), messages.push(10), messages.len()),
                (Ok(()), Ok(()), 2)
            );
            assert_eq!(messages.push(20), Err(20));
            assert_eq!((messages.pop(), messages.pop()), (Some(round), Some(10)));
            assert_eq!((messages.pop(), messages.len()), (None, 0));
        }
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        const EACH: u32 = if cfg!(miri) { 50 } else { 20_000 };
        let messages = Arc::new(Messages::<(usize, u32), 4>::new());
        let senders: Vec<_> = (0..2)
            .map(|sender| {
                let messages = messages.clone();
                thread::spawn(move || {
                    for number in 0..EACH {
                        while messages.push((sender, number)).is_err() {
                            thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        let mut next = [0; 2];
        while next != [EACH; 2] {
            match messages.pop() {
                Some((sender, number)) => {
                    assert_eq!(number, next[sender]);
                    next[sender] += 1;
                }
                None => thread::yield_now(),
            }
        }
        senders.into_iter().for_each(|sender| sender.join().expect("no sender panics"));
    }
}
