//! Wake flags: the one thing that another thread or an interrupt may do to a reactor.
//!
//! A [`WakeTree`] has a flag for each task, called a leaf. Raising one is a few plain stores, from
//! anywhere, without a lock and without a read-modify-write instruction (thumbv6m has none); the
//! reactor takes all raised flags once a turn. So that a turn need not look at every leaf, the
//! flags form a tree of bytes:
//!
//! ```text
//!   parked          root                   set by raise, last; cleared by take, first
//!                  /    \
//!            group 0    group 1 ..         one byte for 32 leaves; group k's lies in leaf 32k
//!           /   |   \      |   \
//!  leaf 0  1 .. 31       32 .. 63 ..       set by raise, first; cleared by take, last
//! ```
//!
//! Leaf 0, the future that the reactor runs, hangs on nothing: `take` looks at it every turn, and
//! raising it costs one store and two fences.
//!
//! Invariants:
//! - A raised leaf is reported by a later [`take`](WakeTree::take), and what was written before the
//!   wake is seen by a poll after that `take`. Tasks are polled only after `take` returned.
//! - Whoever sets a leaf goes on to set its group, then the root, then looks whether the reactor is
//!   parked: a leaf stands raised under a clear root only while somebody is on the way up.
//! - All bits are zero in a new tree, so that its static lies in `.bss`; a leaf that is never used
//!   is never written to.
//!
//! # Why does this work?
//! Each step of `raise` is a store, and each step of `take` clears a flag and then reads what hangs
//! below it. Whichever two meet, they meet in the same shape:
//!
//! ```text
//!   raise:  child = 1;  fence;  parent = 1        take:  parent = 0;  fence;  read child
//! ```
//!
//! Sequentially consistent fences have one order that all agree on. If raise's comes first, take
//! reads `child == 1`. If take's comes first, `parent = 1` is the later store and stays for the
//! next turn. Without both fences `parent = 0` could win although the child was not seen, and the
//! wake would be lost; no processor is needed for that, the compiler suffices. The data that the
//! task waits for is the child of its leaf; parking has the same shape with the loads exchanged
//! (`root = 1; fence; read parked` against `parked = 1; fence; read root`). That a leaf which
//! stands raised is left alone follows too: its reader comes before its next clearing, hence before
//! the poll, and its raiser is still on the way up or has been there.
//!
//! At a [`Bell`] the leaf itself is what one side writes: whoever waits hangs its waker, and
//! whoever has something for it rings. The shape is once more that of parking:
//!
//! ```text
//!   wait:  bell = leaf;  fence;  read data        ring:  data = 1;  fence;  read bell
//! ```
//!
//! If the waiter's fence comes first, the ringer reads the leaf and raises it; if the ringer's
//! does, the waiter reads the data and does not wait.
//!
//! The tests explore every interleaving with loom, and again with each single fence left out, which
//! must lose a wake.
//!
//! Layer: above [`list`](crate::list) only. One of the three modules with `unsafe`: a [`Waker`] is
//! a pointer to a leaf. [`remote`](crate::remote) and drivers of boards stand on [`Bell`].
//!
//! ```
//! use dustdevil_core::wake::{WakeTree, Wakes};
//!
//! static WAKES: Wakes<40> = Wakes::new();
//! let wakes: &'static WakeTree = &WAKES;
//! wakes.bind(None)?;
//!
//! let waker = wakes.waker(39);
//! waker.wake_by_ref();
//! assert!(wakes.any());
//!
//! wakes.take(&mut |index| assert_eq!(index, 39));
//! assert!(!wakes.any());
//! # Ok::<(), dustdevil_core::wake::AlreadyBound>(())
//! ```

use core::{
    cell::Cell,
    error::Error,
    fmt,
    mem::offset_of,
    ptr,
    sync::atomic::{AtomicU8, AtomicU16, Ordering, fence},
    task::{RawWaker, RawWakerVTable, Waker},
};

use critical_section::Mutex;

pub use self::bell::Bell;
use crate::list::entry;

mod bell;

/// The most leaves a tree may have: a leaf's index is 16 bits wide.
pub const LEAVES_MAX: usize = 1 << 16;

/// How many leaves share a group flag.
const GROUP_LEAVES: usize = 32;

/// A tree with `N` leaves, to be made a static: `static WAKES: Wakes<8> = Wakes::new();`.
/// `&WAKES` coerces to `&'static WakeTree`. `N` is 1 to [`LEAVES_MAX`], checked at compile time.
pub type Wakes<const N: usize> = WakeTree<[Leaf; N]>;

/// The wake flags of one reactor. See the [module](self).
///
/// It is `'static`, because a waker may outlive everything else. One reactor at a time
/// [binds](WakeTree::bind) it.
#[repr(C)]
pub struct WakeTree<L: ?Sized = [Leaf]> {
    root: Root,
    leaves: L,
}

/// What a tree holds beside its leaves.
#[repr(C)]
struct Root {
    /// A group flag is set, or is about to be taken.
    flag: AtomicU8,
    /// The reactor waits, or is about to: whoever raises a leaf calls `unpark`.
    parked: AtomicU8,
    binding: Mutex<Cell<Binding>>,
}

#[derive(Clone, Copy)]
struct Binding {
    bound: bool,
    unpark: Option<&'static dyn Unpark>,
}

/// One task's flag: four bytes, all zero when new.
#[repr(C)]
pub struct Leaf {
    set: AtomicU8,
    /// The flag of the group that begins with this leaf; unused in any other.
    group: AtomicU8,
    /// This leaf's own index, written when a waker is made: the waker finds its tree by it.
    index: AtomicU16,
}

const _: () = assert!(size_of::<Leaf>() == 4);

/// Ends a reactor's wait from another thread or an interrupt: an eventfd, say. A board that waits
/// with WFI needs none, since the interrupt itself ends the wait.
pub trait Unpark: Sync {
    /// Makes the wait that is going on, or else the next one, end at once. Called on whatever
    /// thread or in whatever interrupt raises a leaf while the reactor is parked; more often than
    /// needed is legal.
    fn unpark(&self);
}

/// Refused: another reactor has this tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlreadyBound;

impl fmt::Display for AlreadyBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another reactor is bound to this wake tree")
    }
}

impl Error for AlreadyBound {}

impl Leaf {
    const fn new() -> Self {
        Self { set: AtomicU8::new(0), group: AtomicU8::new(0), index: AtomicU16::new(0) }
    }
}

impl<const N: usize> Wakes<N> {
    /// A tree with no flag raised and no reactor bound.
    pub const fn new() -> Self {
        const { assert!(N >= 1 && N <= LEAVES_MAX, "a wake tree has 1 to 65,536 leaves") };
        let binding = Mutex::new(Cell::new(Binding { bound: false, unpark: None }));
        let root = Root { flag: AtomicU8::new(0), parked: AtomicU8::new(0), binding };
        Self { root, leaves: [const { Leaf::new() }; N] }
    }
}

impl<const N: usize> Default for Wakes<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl WakeTree {
    /// How many leaves it has: at least 1, at most [`LEAVES_MAX`].
    #[expect(clippy::len_without_is_empty, reason = "a tree is never empty")]
    pub fn len(&self) -> usize {
        self.leaves.len()
    }

    /// Makes this the tree of one reactor, all flags cleared. `unpark` ends that reactor's wait.
    ///
    /// Wakers from an earlier binding stay valid and raise the same leaves, so a reactor begins by
    /// polling what it has.
    pub fn bind(&'static self, unpark: Option<&'static dyn Unpark>) -> Result<(), AlreadyBound> {
        critical_section::with(|cs| {
            let binding = self.root.binding.borrow(cs);
            if binding.get().bound {
                return Err(AlreadyBound);
            }
            binding.set(Binding { bound: true, unpark });
            Ok(())
        })?;
        clear(self);
        Ok(())
    }

    /// Gives the tree back. From now on a wake is a store into a flag that nobody reads.
    pub fn unbind(&self) {
        self.unparked();
        critical_section::with(|cs| {
            self.root.binding.borrow(cs).set(Binding { bound: false, unpark: None });
        });
    }

    /// A waker that raises leaf `index`. Cloning and dropping it costs nothing.
    ///
    /// # Panics
    /// When the tree has no such leaf.
    pub fn waker(&'static self, index: usize) -> Waker {
        let leaf = entry(&self.leaves, index);
        // An index is below LEAVES_MAX, hence fits: `Wakes::new` is the only maker of trees.
        leaf.index.store(index as u16, Ordering::Relaxed);
        let tree: *const Self = self;
        // Derived from the tree and not from `leaf`: `raise_raw` walks back to the root.
        let data = tree.cast::<u8>().wrapping_add(LEAVES_OFFSET + index * size_of::<Leaf>());
        // SAFETY: the vtable's functions take such a pointer, from any thread and at any time: the
        // tree is `'static` and `Sync`. They keep the contract of `RawWaker`: there is nothing to
        // clone or drop, and a wake raises the leaf.
        unsafe { Waker::from_raw(RawWaker::new(data.cast(), &VTABLE)) }
    }

    /// Whether `waker` raises a leaf of this tree.
    pub(crate) fn is_leaf(&self, waker: &Waker) -> bool {
        let leaves = self.leaves.as_ptr_range();
        ptr::eq(waker.vtable(), &raw const VTABLE)
            && (leaves.start.addr()..leaves.end.addr()).contains(&waker.data().addr())
    }

    /// Raises leaf `index`, from any thread or interrupt: what its waker does, without a waker.
    /// On the reactor's own thread this costs no system call.
    ///
    /// # Panics
    /// When the tree has no such leaf.
    #[inline]
    pub fn wake(&self, index: usize) {
        raise(self, index);
    }

    /// Whether a leaf is raised. A wake that began on another thread may not show yet; parking
    /// closes that gap, see [`park`](Self::park).
    #[inline]
    pub fn any(&self) -> bool {
        flagged(self)
    }

    /// Announces that the reactor is about to wait and says whether it may: from here to
    /// [`unparked`](Self::unparked) each wake calls [`Unpark::unpark`]. False, and nothing
    /// announced, when a leaf is raised already.
    #[must_use]
    #[inline]
    pub fn park(&self) -> bool {
        park(self)
    }

    /// Ends the announcement of [`park`](Self::park).
    #[inline]
    pub fn unparked(&self) {
        self.root.parked.put(false);
    }

    /// Takes all raised flags as a snapshot: clears each and reports its leaf. Leaf 0 comes first,
    /// the others in rising order.
    ///
    /// `on_flagged` may raise leaves (they are reported now or by the next call), but polls no
    /// task: a task is polled after this returned, or a wake that arrives meanwhile could be lost.
    #[inline]
    pub fn take(&self, on_flagged: &mut dyn FnMut(usize)) {
        take(self, on_flagged);
    }
}

// --- The algorithm, over any memory that can store, load and fence. ---

/// One flag.
trait Flag {
    fn is_set(&self) -> bool;
    fn put(&self, set: bool);
}

/// A tree of flags. The shipped one is [`WakeTree`]; the tests have one that loom watches, with
/// smaller groups and fences that can be left out.
trait Tree {
    type Flag: Flag;
    const GROUP_LEAVES: usize;

    fn len(&self) -> usize;
    fn leaf(&self, index: usize) -> &Self::Flag;
    /// The flag of the group that begins with leaf `first`.
    fn group(&self, first: usize) -> &Self::Flag;
    fn root(&self) -> &Self::Flag;
    fn parked(&self) -> &Self::Flag;
    /// A sequentially consistent fence; `at` says which one.
    fn fence(&self, at: Fence);
    fn unpark(&self);
}

/// The fences, by the two accesses they lie between. Each of the first four has its counterpart
/// among the next four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fence {
    DataLeaf,
    LeafGroup,
    GroupRoot,
    RootParked,
    ClearedPoll,
    GroupClearedLeaves,
    RootClearedGroups,
    ParkedRoot,
    /// A bell's two: of who rings, and of who waits.
    DataBell,
    BellData,
}

/// A cell for a leaf. The shipped one is [`Bell`]; the tests have one that loom watches.
trait Hook {
    type Leaf: Copy + PartialEq;

    fn get(&self) -> Self::Leaf;
    fn put(&self, leaf: Self::Leaf);
    fn fence(&self, at: Fence);
}

#[inline]
fn raise<T: Tree + ?Sized>(tree: &T, index: usize) {
    let leaf = tree.leaf(index);
    tree.fence(Fence::DataLeaf);
    if leaf.is_set() {
        return;
    }
    leaf.put(true);
    if index != 0 {
        tree.fence(Fence::LeafGroup);
        tree.group(index - index % T::GROUP_LEAVES).put(true);
        tree.fence(Fence::GroupRoot);
        tree.root().put(true);
    }
    tree.fence(Fence::RootParked);
    if tree.parked().is_set() {
        tree.unpark();
    }
}

#[inline]
fn take<T: Tree + ?Sized>(tree: &T, on_flagged: &mut dyn FnMut(usize)) {
    if !flagged(tree) {
        return;
    }
    take_leaf(tree, 0, on_flagged);
    if tree.root().is_set() {
        tree.root().put(false);
        tree.fence(Fence::RootClearedGroups);
        for first in (0..tree.len()).step_by(T::GROUP_LEAVES) {
            if tree.group(first).is_set() {
                tree.group(first).put(false);
                take_leaves(tree, first, on_flagged);
            }
        }
    }
    tree.fence(Fence::ClearedPoll);
}

/// Takes the leaves of a group whose flag was just cleared.
fn take_leaves<T: Tree + ?Sized>(tree: &T, first: usize, on_flagged: &mut dyn FnMut(usize)) {
    tree.fence(Fence::GroupClearedLeaves);
    for index in first.max(1)..tree.len().min(first + T::GROUP_LEAVES) {
        take_leaf(tree, index, on_flagged);
    }
}

#[inline]
fn take_leaf<T: Tree + ?Sized>(tree: &T, index: usize, on_flagged: &mut dyn FnMut(usize)) {
    if tree.leaf(index).is_set() {
        tree.leaf(index).put(false);
        on_flagged(index);
    }
}

#[inline]
fn flagged<T: Tree + ?Sized>(tree: &T) -> bool {
    tree.leaf(0).is_set() || tree.root().is_set()
}

#[inline]
fn park<T: Tree + ?Sized>(tree: &T) -> bool {
    tree.parked().put(true);
    tree.fence(Fence::ParkedRoot);
    let may_park = !flagged(tree);
    if !may_park {
        tree.parked().put(false);
    }
    may_park
}

/// Lowers every flag whatever its parents say, in the order of `take`, so that no leaf can be left
/// raised under a clear root while an old waker is on its way up: nobody would raise it again.
fn clear<T: Tree + ?Sized>(tree: &T) {
    tree.parked().put(false);
    tree.root().put(false);
    tree.fence(Fence::RootClearedGroups);
    take_leaf(tree, 0, &mut |_| {});
    for first in (0..tree.len()).step_by(T::GROUP_LEAVES) {
        // An untouched page stays so.
        if tree.group(first).is_set() {
            tree.group(first).put(false);
        }
        take_leaves(tree, first, &mut |_| {});
    }
    tree.fence(Fence::ClearedPoll);
}

/// Hangs a leaf, and says what hung there. Whoever comes here looks at its data afterwards.
#[inline]
fn hang<H: Hook + ?Sized>(hook: &H, leaf: H::Leaf) -> H::Leaf {
    let before = hook.get();
    // A leaf that hangs there already was fenced when it was hung: whoever rings has seen it since,
    // or has put its data in place before that fence.
    if before != leaf {
        hook.put(leaf);
        hook.fence(Fence::BellData);
    }
    before
}

/// The leaf to raise, when the data are in place.
#[inline]
fn hung<H: Hook + ?Sized>(hook: &H) -> H::Leaf {
    hook.fence(Fence::DataBell);
    hook.get()
}

// --- What is shipped. ---

/// Relaxed accesses, ordered by the fences alone.
impl Flag for AtomicU8 {
    #[inline]
    fn is_set(&self) -> bool {
        self.load(Ordering::Relaxed) != 0
    }

    #[inline]
    fn put(&self, set: bool) {
        self.store(u8::from(set), Ordering::Relaxed);
    }
}

impl Tree for WakeTree {
    type Flag = AtomicU8;
    const GROUP_LEAVES: usize = GROUP_LEAVES;

    #[inline]
    fn len(&self) -> usize {
        self.leaves.len()
    }

    #[inline]
    fn leaf(&self, index: usize) -> &AtomicU8 {
        &entry(&self.leaves, index).set
    }

    #[inline]
    fn group(&self, first: usize) -> &AtomicU8 {
        &entry(&self.leaves, first).group
    }

    #[inline]
    fn root(&self) -> &AtomicU8 {
        &self.root.flag
    }

    #[inline]
    fn parked(&self) -> &AtomicU8 {
        &self.root.parked
    }

    #[inline]
    fn fence(&self, _: Fence) {
        fence(Ordering::SeqCst);
    }

    #[cold]
    fn unpark(&self) {
        let unpark = critical_section::with(|cs| self.root.binding.borrow(cs).get().unpark);
        if let Some(unpark) = unpark {
            unpark.unpark();
        }
    }
}

/// Where the leaves begin; the same for every `N`, since `WakeTree` is `repr(C)`.
const LEAVES_OFFSET: usize = offset_of!(Wakes<1>, leaves);

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone_raw, raise_raw, raise_raw, drop_raw);

fn clone_raw(data: *const ()) -> RawWaker {
    RawWaker::new(data, &VTABLE)
}

fn drop_raw(_: *const ()) {}

/// # Safety
/// `data` comes from [`WakeTree::waker`].
unsafe fn raise_raw(data: *const ()) {
    let leaf = data.cast::<Leaf>();
    // SAFETY: `data` points to a leaf of a `'static` tree, and its index is atomic.
    let index = usize::from(unsafe { (*leaf).index.load(Ordering::Relaxed) });
    // The leaf's index was written before its waker was made, and always with the same value.
    let tree = leaf.cast::<u8>().wrapping_sub(LEAVES_OFFSET + index * size_of::<Leaf>());
    // The tree up to this leaf: all that raising it needs.
    let tree = ptr::slice_from_raw_parts(tree.cast::<Leaf>(), index + 1) as *const WakeTree;
    // SAFETY: `data` derives from a pointer to the whole tree, `index` leaves after its beginning,
    // and the tree has at least `index + 1` of them. It is `'static` and shared.
    raise(unsafe { &*tree }, index);
}

#[cfg(all(test, loom))]
mod interleavings {
    //! The algorithm on memory that loom watches: groups of two leaves, one reactor that parks when
    //! nothing is flagged, and wakers on other threads. A lost wake is a reactor parked for ever,
    //! which loom reports as a deadlock.

    extern crate std;

    use std::{string::String, sync::Arc, vec::Vec};

    use loom::{
        cell::Cell,
        model::Builder,
        sync::{
            Notify,
            atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering, fence},
        },
        thread,
    };

    use super::{Fence, Flag, Hook, Tree, clear, hang, hung, park, raise, take};

    impl Flag for AtomicBool {
        fn is_set(&self) -> bool {
            self.load(Ordering::Relaxed)
        }

        fn put(&self, set: bool) {
            self.store(set, Ordering::Relaxed);
        }
    }

    /// What is wrong with a reactor.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Mistake {
        None,
        /// This fence is acquire-release only.
        Weak(Fence),
        /// The flags are taken after the tasks were polled.
        PollsBeforeTaking,
        /// It waits without looking at the root again.
        ParksUnchecked,
        /// Who waits looks at its data first and hangs its leaf afterwards.
        LooksBeforeHanging,
    }

    struct Watched {
        leaves: Vec<(AtomicBool, AtomicBool)>,
        root: AtomicBool,
        parked: AtomicBool,
        unpark: Notify,
        /// Written at each fence, never read: loom tries both orders of two accesses only if they
        /// meet in one object, and the order of fences matters here.
        fences: AtomicU8,
        mistake: Mistake,
    }

    impl Watched {
        fn new(leaves: usize, mistake: Mistake) -> Self {
            let flag = || AtomicBool::new(false);
            let leaves = (0..leaves).map(|_| (flag(), flag())).collect();
            let (root, parked) = (flag(), flag());
            let (unpark, fences) = (Notify::new(), AtomicU8::new(0));
            Self { leaves, root, parked, unpark, fences, mistake }
        }
    }

    impl Tree for Watched {
        type Flag = AtomicBool;
        const GROUP_LEAVES: usize = 2;

        fn len(&self) -> usize {
            self.leaves.len()
        }

        fn leaf(&self, index: usize) -> &AtomicBool {
            &self.leaves[index].0
        }

        fn group(&self, first: usize) -> &AtomicBool {
            &self.leaves[first].1
        }

        fn root(&self) -> &AtomicBool {
            &self.root
        }

        fn parked(&self) -> &AtomicBool {
            &self.parked
        }

        fn fence(&self, at: Fence) {
            if self.mistake == Mistake::Weak(at) {
                fence(Ordering::AcqRel);
            } else {
                self.fences.store(0, Ordering::Relaxed);
                fence(Ordering::SeqCst);
            }
        }

        fn unpark(&self) {
            self.unpark.notify();
        }
    }

    /// Each inner list is a thread that wakes these leaves, one after the other.
    type Wakers = &'static [&'static [usize]];

    /// Runs a reactor until every task has seen all that was written for it, in all interleavings.
    /// Before each wake, something is written that its task waits for.
    fn explore(wakers: Wakers, mistake: Mistake) {
        let mut builder = Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(move || {
            let leaves = 1 + wakers.concat().into_iter().max().unwrap_or(0);
            let tree = Arc::new(Watched::new(leaves, mistake));
            let mut written = Vec::new();
            for &list in wakers {
                let mine: Vec<_> =
                    list.iter().map(|&leaf| (leaf, Arc::new(AtomicBool::new(false)))).collect();
                written.extend(mine.iter().cloned());
                let tree = tree.clone();
                thread::spawn(move || {
                    for (leaf, data) in mine {
                        data.store(true, Ordering::Relaxed);
                        raise(&*tree, leaf);
                    }
                });
            }
            run(&tree, &mut |leaf| {
                written.retain(|(of, data)| *of != leaf || !data.load(Ordering::Relaxed));
                written.is_empty()
            });
        });
    }

    /// The reactor: `poll` polls one task and says whether all tasks are done.
    fn run(tree: &Watched, poll: &mut dyn FnMut(usize) -> bool) {
        loop {
            let mut flagged = Vec::new();
            if tree.mistake == Mistake::PollsBeforeTaking {
                flagged.extend((0..tree.len()).filter(|&leaf| tree.leaf(leaf).is_set()));
            } else {
                take(tree, &mut |leaf| flagged.push(leaf));
            }
            if flagged.into_iter().any(&mut *poll) {
                return;
            }
            if tree.mistake == Mistake::PollsBeforeTaking {
                take(tree, &mut |_| {});
            }
            if tree.mistake == Mistake::ParksUnchecked {
                tree.parked().put(true);
                tree.fence(Fence::ParkedRoot);
            } else if !park(tree) {
                continue;
            }
            tree.unpark.wait();
            tree.parked().put(false);
        }
    }

    // A leaf once, twice, from two threads; two of one group; two of two groups.
    const MAIN: Wakers = &[&[0]];
    const MAIN_TWICE: Wakers = &[&[0, 0]];
    const MAIN_BY_TWO: Wakers = &[&[0], &[0]];
    const LEAF: Wakers = &[&[3]];
    const LEAF_TWICE: Wakers = &[&[3, 3]];
    const LEAF_BY_TWO: Wakers = &[&[3], &[3]];
    const SIBLINGS: Wakers = &[&[2, 3]];
    const COUSINS: Wakers = &[&[1, 3]];
    const COUSINS_BY_TWO: Wakers = &[&[1], &[3]];

    #[test]
    fn no_wake_is_lost() {
        for wakers in [
            MAIN,
            MAIN_TWICE,
            MAIN_BY_TWO,
            LEAF,
            LEAF_TWICE,
            LEAF_BY_TWO,
            SIBLINGS,
            COUSINS,
            COUSINS_BY_TWO,
        ] {
            explore(wakers, Mistake::None);
        }
    }

    #[test]
    fn each_mistake_loses_a_wake() {
        for (mistake, wakers) in [
            (Mistake::Weak(Fence::DataLeaf), LEAF_TWICE),
            (Mistake::Weak(Fence::DataLeaf), MAIN_BY_TWO),
            (Mistake::Weak(Fence::LeafGroup), SIBLINGS),
            (Mistake::Weak(Fence::GroupRoot), COUSINS),
            (Mistake::Weak(Fence::RootParked), MAIN),
            (Mistake::Weak(Fence::RootParked), LEAF),
            (Mistake::Weak(Fence::ClearedPoll), LEAF_TWICE),
            (Mistake::Weak(Fence::ClearedPoll), MAIN_BY_TWO),
            (Mistake::Weak(Fence::GroupClearedLeaves), SIBLINGS),
            (Mistake::Weak(Fence::RootClearedGroups), COUSINS_BY_TWO),
            (Mistake::Weak(Fence::ParkedRoot), MAIN),
            (Mistake::Weak(Fence::ParkedRoot), LEAF),
            (Mistake::PollsBeforeTaking, MAIN),
            (Mistake::PollsBeforeTaking, LEAF),
            (Mistake::ParksUnchecked, MAIN),
            (Mistake::ParksUnchecked, LEAF),
        ] {
            let found = failure(move || explore(wakers, mistake));
            assert!(found.starts_with("deadlock"), "{mistake:?} {wakers:?}: {found:?}");
        }
    }

    #[test]
    fn what_was_written_before_a_wake_is_published_by_it() {
        for leaf in [0, 3] {
            loom::model(move || {
                let tree = Arc::new(Watched::new(4, Mistake::None));
                #[expect(clippy::arc_with_non_send_sync, reason = "loom checks what is shared")]
                let data = Arc::new(Cell::new(0));
                let (their_tree, theirs) = (tree.clone(), data.clone());
                thread::spawn(move || {
                    // Not atomic: loom panics when this and the read below are not ordered.
                    theirs.set(7);
                    raise(&*their_tree, leaf);
                });
                run(&tree, &mut |_| data.get() == 7);
            });
        }
    }

    /// A bell that a task of `tree` waits at; leaf 0 stands for none.
    struct WatchedBell {
        hung: AtomicUsize,
        tree: Watched,
    }

    impl Hook for WatchedBell {
        type Leaf = usize;

        fn get(&self) -> usize {
            self.hung.load(Ordering::Relaxed)
        }

        fn put(&self, leaf: usize) {
            self.hung.store(leaf, Ordering::Relaxed);
        }

        fn fence(&self, at: Fence) {
            self.tree.fence(at);
        }
    }

    /// Each sender puts its data in place and rings; whoever waits polls at these leaves, one after
    /// the other, and stays at the last one until it has seen the data of all.
    fn ring_for_a_task(senders: usize, leaves: &'static [usize], mistake: Mistake) {
        let mut builder = Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(move || {
            let tree = Watched::new(4, mistake);
            let bell = Arc::new(WatchedBell { hung: AtomicUsize::new(0), tree });
            let data: Vec<_> = (0..senders).map(|_| Arc::new(AtomicBool::new(false))).collect();
            for mine in data.iter().cloned() {
                let bell = bell.clone();
                thread::spawn(move || {
                    mine.store(true, Ordering::Relaxed);
                    match hung(&*bell) {
                        0 => {}
                        leaf => raise(&bell.tree, leaf),
                    }
                });
            }
            let poll = |leaf| {
                let is_there = || data.iter().all(|data| data.load(Ordering::Relaxed));
                if mistake == Mistake::LooksBeforeHanging {
                    let was_there = is_there();
                    hang(&*bell, leaf);
                    return was_there;
                }
                hang(&*bell, leaf);
                is_there()
            };
            if leaves.iter().any(|&leaf| poll(leaf)) {
                return;
            }
            let last = leaves[leaves.len() - 1];
            run(&bell.tree, &mut |leaf| leaf == last && poll(leaf));
        });
    }

    #[test]
    fn no_ring_is_lost() {
        for (senders, leaves) in [(1, &[3][..]), (2, &[3]), (1, &[1, 3]), (1, &[3, 3])] {
            ring_for_a_task(senders, leaves, Mistake::None);
        }
    }

    #[test]
    fn each_mistake_loses_a_ring() {
        for mistake in [
            Mistake::Weak(Fence::DataBell),
            Mistake::Weak(Fence::BellData),
            Mistake::LooksBeforeHanging,
        ] {
            for leaves in [&[3][..], &[1, 3]] {
                let found = failure(move || ring_for_a_task(1, leaves, mistake));
                assert!(found.starts_with("deadlock"), "{mistake:?} {leaves:?}: {found:?}");
            }
        }
    }

    /// A tree is bound while a waker of its last reactor is on its way up.
    fn bind_during_a_wake(clear: fn(&Watched)) {
        loom::model(move || {
            let tree = Arc::new(Watched::new(4, Mistake::None));
            let theirs = tree.clone();
            let old = thread::spawn(move || raise(&*theirs, 3));
            clear(&tree);
            old.join().expect("raise does not panic");
            raise(&*tree, 3);
            let mut reported = false;
            take(&*tree, &mut |leaf| reported |= leaf == 3);
            assert!(reported, "leaf 3 stands raised under a clear root");
        });
    }

    fn clear_upwards(tree: &Watched) {
        for (leaf, group) in &tree.leaves {
            leaf.put(false);
            group.put(false);
        }
        tree.root.put(false);
    }

    #[test]
    fn binding_leaves_no_leaf_raised_under_a_clear_root() {
        bind_during_a_wake(clear);
        let found = failure(|| bind_during_a_wake(clear_upwards));
        assert!(found.starts_with("leaf 3 stands raised"), "{found:?}");
    }

    /// What a model panicked with; empty when it did not. A thread of its own, because loom's state
    /// is thread-local and does not survive a panic.
    fn failure(model: impl FnOnce() + Send + 'static) -> String {
        let Err(panic) = std::thread::spawn(model).join() else { return String::new() };
        match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(panic) => String::from(*panic.downcast::<&str>().expect("a panic with a text")),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    extern crate std;

    use std::{
        sync::{
            OnceLock,
            atomic::{AtomicUsize, Ordering},
        },
        thread::{self, Thread},
        vec,
        vec::Vec,
    };

    use super::{AlreadyBound, Unpark, WakeTree, Wakes};

    fn taken(wakes: &WakeTree) -> Vec<usize> {
        let mut taken = Vec::new();
        wakes.take(&mut |index| taken.push(index));
        taken
    }

    #[test]
    fn raised_leaves_are_reported_once_in_order() {
        static TREE: Wakes<100> = Wakes::new();
        let wakes: &'static WakeTree = &TREE;
        wakes.bind(None).expect("nobody else binds it");
        for (raised, reported) in [
            (&[][..], &[][..]),
            (&[0], &[0]),
            (&[1], &[1]),
            (&[99], &[99]),
            (&[5, 5, 5], &[5]),
            (&[64, 33, 32, 31, 0, 96], &[0, 31, 32, 33, 64, 96]),
        ] {
            for by_waker in [false, true] {
                for &index in raised {
                    if by_waker {
                        wakes.waker(index).wake();
                    } else {
                        wakes.wake(index);
                    }
                }
                assert_eq!(wakes.any(), !raised.is_empty());
                assert_eq!(taken(wakes), reported, "{raised:?}");
                assert!(!wakes.any());
                assert_eq!(taken(wakes), [], "{raised:?}");
            }
        }
    }

    #[test]
    fn a_wake_during_take_is_kept() {
        static TREE: Wakes<70> = Wakes::new();
        let wakes: &'static WakeTree = &TREE;
        wakes.wake(40);
        let mut reported = Vec::new();
        wakes.take(&mut |index| {
            reported.push(index);
            if index == 40 {
                // Behind, at, and ahead of the place where `take` is.
                [0, 3, 40, 69].into_iter().for_each(|index| wakes.wake(index));
            }
        });
        reported.extend(taken(wakes));
        reported.extend(taken(wakes));
        reported.sort_unstable();
        assert_eq!(reported, [0, 3, 40, 40, 69]);
    }

    struct Count(AtomicUsize);

    impl Unpark for Count {
        fn unpark(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn unpark_is_called_only_between_park_and_unparked() {
        static TREE: Wakes<4> = Wakes::new();
        static UNPARKS: Count = Count(AtomicUsize::new(0));
        let wakes: &'static WakeTree = &TREE;
        let unparks = || UNPARKS.0.load(Ordering::Relaxed);
        wakes.bind(Some(&UNPARKS)).expect("nobody else binds it");

        wakes.wake(2);
        assert!(!wakes.park(), "a leaf is raised");
        wakes.wake(3);
        assert_eq!((taken(wakes), unparks()), (vec![2, 3], 0));

        assert!(wakes.park());
        wakes.wake(2);
        wakes.wake(2); // raised already: the first wake has done it
        assert_eq!(unparks(), 1);
        wakes.waker(0).wake_by_ref();
        assert_eq!(unparks(), 2);
        wakes.unparked();
        wakes.wake(1);
        assert_eq!((taken(wakes), unparks()), (vec![0, 1, 2], 2));
    }

    #[test]
    fn one_reactor_at_a_time_binds_a_tree() {
        static TREE: Wakes<40> = Wakes::new();
        static UNPARKS: Count = Count(AtomicUsize::new(0));
        let wakes: &'static WakeTree = &TREE;
        assert_eq!(wakes.bind(Some(&UNPARKS)), Ok(()));
        assert_eq!(wakes.bind(None), Err(AlreadyBound));
        let old = wakes.waker(39);
        assert!(wakes.park());
        wakes.unbind();
        old.wake_by_ref();
        wakes.wake(0);
        assert_eq!(UNPARKS.0.load(Ordering::Relaxed), 0, "nobody is parked");

        assert_eq!(wakes.bind(None), Ok(()));
        assert!(!wakes.any(), "binding clears all flags");
        assert_eq!(taken(wakes), []);
        old.wake();
        assert_eq!(taken(wakes), [39], "an old waker raises the same leaf");
        assert!(wakes.park());
        wakes.wake(1); // without an `Unpark` there is nothing to call
    }

    #[test]
    fn wakers_of_one_leaf_are_the_same() {
        static TREE: Wakes<34> = Wakes::new();
        let wakes: &'static WakeTree = &TREE;
        let waker = wakes.waker(33);
        let clone = waker.clone();
        drop(waker);
        assert!(clone.will_wake(&wakes.waker(33)));
        assert!(!clone.will_wake(&wakes.waker(32)));

        static OTHER: Wakes<1> = Wakes::new();
        let other: &'static WakeTree = &OTHER;
        assert!(wakes.is_leaf(&clone) && wakes.is_leaf(&wakes.waker(0)));
        assert!(!wakes.is_leaf(&other.waker(0)) && !other.is_leaf(&clone));
        assert!(!wakes.is_leaf(core::task::Waker::noop()));
    }

    #[test]
    #[should_panic(expected = "an index leads out of its table")]
    fn a_leaf_that_is_not_there() {
        static TREE: Wakes<4> = Wakes::new();
        let wakes: &'static WakeTree = &TREE;
        let _ = wakes.waker(4);
    }

    /// A reactor thread that sleeps, woken from other threads: what Miri and the sanitizers see.
    #[test]
    fn wakes_from_other_threads() {
        struct Parker(OnceLock<Thread>);

        impl Unpark for Parker {
            fn unpark(&self) {
                self.0.get().expect("set before the tree was bound").unpark();
            }
        }

        const LEAVES: usize = 40;
        const THREADS: usize = 3;
        const ROUNDS: usize = if cfg!(miri) { 20 } else { 20_000 };
        static TREE: Wakes<LEAVES> = Wakes::new();
        static PARKER: Parker = Parker(OnceLock::new());
        static SENT: [AtomicUsize; LEAVES] = [const { AtomicUsize::new(0) }; LEAVES];

        let wakes: &'static WakeTree = &TREE;
        PARKER.0.set(thread::current()).expect("set once");
        wakes.bind(Some(&PARKER)).expect("nobody else binds it");
        let senders: Vec<_> = (0..THREADS)
            .map(|sender| {
                let wakers = [0, 7, 8, 39].map(|leaf| (leaf, wakes.waker(leaf)));
                thread::spawn(move || {
                    for round in 0..ROUNDS {
                        let (leaf, waker) = &wakers[(round + sender) % wakers.len()];
                        SENT[*leaf].fetch_add(1, Ordering::Relaxed);
                        waker.wake_by_ref();
                    }
                })
            })
            .collect();

        let mut received = [0; LEAVES];
        while received.iter().sum::<usize>() < THREADS * ROUNDS {
            for leaf in taken(wakes) {
                received[leaf] = SENT[leaf].load(Ordering::Relaxed);
            }
            // The last wake ends the last wait, or this hangs.
            if wakes.park() {
                if received.iter().sum::<usize>() < THREADS * ROUNDS {
                    thread::park();
                }
                wakes.unparked();
            }
        }
        senders.into_iter().for_each(|sender| sender.join().expect("no sender panics"));
    }
}
