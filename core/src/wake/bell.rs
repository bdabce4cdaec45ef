//! One waker, for other threads and interrupts to wake. [`wake`](crate::wake) says why none is
//! lost.

use core::{
    cell::Cell,
    fmt, ptr,
    sync::atomic::{AtomicPtr, Ordering, fence},
    task::Waker,
};

use critical_section::Mutex;

use super::{Fence, Hook, VTABLE, hang, hung, raise_raw};

/// A place for one task's waker, which other threads and interrupts wake from there without a lock.
///
/// Whoever waits [hangs](Self::hang) its waker *before* it looks whether what it waits for is
/// there, and waits if it is not; whoever brings that puts it there and [rings](Self::ring)
/// afterwards. Then no wake is lost, see [`wake`](crate::wake). A wake more than needed is legal on
/// both sides.
///
/// A waker of a [`WakeTree`](super::WakeTree) is rung by loads and stores alone, thumbv6m included;
/// any other waker (another executor's) is kept under a critical section, which its ring enters,
/// too.
///
/// Capacity: one waker. Another one takes its place.
///
/// ```
/// use dustdevil_core::wake::{Bell, WakeTree, Wakes};
///
/// static WAKES: Wakes<2> = Wakes::new();
/// static BELL: Bell = Bell::new();
/// let wakes: &'static WakeTree = &WAKES;
///
/// BELL.ring(); // nobody waits
/// BELL.hang(&wakes.waker(1));
/// BELL.ring();
/// assert!(wakes.any());
/// ```
pub struct Bell {
    /// What hangs here: null for nothing, a leaf, or [`ELSEWHERE`] for what is in `foreign`.
    ///
    /// INVARIANT: a leaf comes from a waker whose vtable is [`VTABLE`].
    hung: AtomicPtr<()>,
    /// Taken by a ring, hung again by the next poll: no foreign code runs under the lock.
    foreign: Mutex<Cell<Option<Waker>>>,
}

/// Stands in [`Bell::hung`] for a waker that is not ours: an address at which no leaf lies.
const ELSEWHERE: *mut () = (&raw const VTABLE).cast_mut().cast();

impl Bell {
    /// A bell at which nothing hangs; all its bits are zero.
    pub const fn new() -> Self {
        Self { hung: AtomicPtr::new(ptr::null_mut()), foreign: Mutex::new(Cell::new(None)) }
    }

    /// Has every [`ring`](Self::ring) from now on wake `waker`; to be called by each poll that may
    /// wait, before it looks. For one waiter at a time.
    #[inline]
    pub fn hang(&self, waker: &Waker) {
        if ptr::eq(waker.vtable(), &raw const VTABLE) {
            let before = hang(self, waker.data().cast_mut());
            if before == ELSEWHERE {
                self.replace_foreign(None);
            }
        } else {
            self.replace_foreign(Some(waker.clone()));
            hang(self, ELSEWHERE);
        }
    }

    /// Takes the waker away: nobody waits.
    pub fn unhang(&self) {
        self.hung.store(ptr::null_mut(), Ordering::Relaxed);
        self.replace_foreign(None);
    }

    /// Wakes the waker that hangs here, if any, from any thread or interrupt; to be called after
    /// that for which the task waits was put in its place.
    #[inline]
    pub fn ring(&self) {
        let data = hung(self);
        if data == ELSEWHERE {
            self.ring_foreign();
        } else if !data.is_null() {
            // SAFETY: the invariant of `hung`: the data of a waker that `WakeTree::waker` made.
            // That the waker may be gone does not matter: the tree is `'static`.
            unsafe { raise_raw(data) };
        }
    }

    #[cold]
    fn ring_foreign(&self) {
        // When another ring has taken it, that one wakes the task, whose poll hangs it again; both
        // under the same lock as this, so that the poll then sees what was put in place before.
        if let Some(waker) = self.replace_foreign(None) {
            waker.wake();
        }
    }

    /// What is taken out is dropped by the caller, outside the lock.
    fn replace_foreign(&self, waker: Option<Waker>) -> Option<Waker> {
        critical_section::with(|cs| self.foreign.borrow(cs).replace(waker))
    }
}

impl Default for Bell {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bell(..)")
    }
}

impl Hook for Bell {
    type Leaf = *mut ();

    #[inline]
    fn get(&self) -> *mut () {
        self.hung.load(Ordering::Relaxed)
    }

    #[inline]
    fn put(&self, leaf: *mut ()) {
        self.hung.store(leaf, Ordering::Relaxed);
    }

    #[inline]
    fn fence(&self, _: Fence) {
        fence(Ordering::SeqCst);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    extern crate std;

    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Wake, Waker},
        vec,
        vec::Vec,
    };

    use super::Bell;
    use crate::wake::{WakeTree, Wakes};

    /// A waker of another executor.
    #[derive(Default)]
    struct Foreign(AtomicUsize);

    impl Wake for Foreign {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_bell_wakes_what_hangs_at_it() {
        static TREE: Wakes<40> = Wakes::new();
        let wakes: &'static WakeTree = &TREE;
        let bell = Bell::new();
        let foreign = Arc::new(Foreign::default());
        let theirs = Waker::from(foreign.clone());
        let woken = || foreign.0.load(Ordering::Relaxed);
        let ring = || {
            bell.ring();
            let mut taken = Vec::new();
            wakes.take(&mut |leaf| taken.push(leaf));
            taken
        };
        assert_eq!(ring(), [], "nothing hangs there");
        for leaf in [0, 33, 33, 39] {
            bell.hang(&wakes.waker(leaf));
            assert_eq!((ring(), ring()), (vec![leaf], vec![leaf]), "as often as it is rung");
        }
        bell.hang(&theirs);
        assert_eq!((ring(), woken()), (vec![], 1));
        assert_eq!((ring(), woken()), (vec![], 1), "a foreign one once");
        bell.hang(&theirs);
        bell.hang(&theirs);
        assert_eq!(Arc::strong_count(&foreign), 3, "the first of both was dropped");
        bell.hang(&wakes.waker(7));
        assert_eq!(Arc::strong_count(&foreign), 2, "and the second, when ours took its place");
        assert_eq!((ring(), woken()), (vec![7], 1));
        bell.hang(&theirs);
        bell.unhang();
        assert_eq!((ring(), woken(), Arc::strong_count(&foreign)), (vec![], 1, 2));
        bell.hang(Waker::noop());
        assert_eq!(ring(), []);
    }
}
