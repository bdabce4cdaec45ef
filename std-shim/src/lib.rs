//! Dustdevil on Linux: the epoll poller, and what a server process has around it.
//!
//! | module | |
//! |---|---|
//! | [`epoll`] | [`Epoll`]: the [`Poller`](dustdevil_core::poller) of Linux |
//! | [`linger`] | closing without destroying a response |
//! | [`unpark`] | the eventfd that a waker on another thread rings |
//! | [`clock`] | monotonic time for deadlines, wall time for `Date` |
//! | [`percore`] | [`run`](percore::run): a thread, reactor and listener for each worker |
//! | [`options`] | [`Options`]: `--address --port --workers --connections` |
//! | [`signal`] | SIGTERM and SIGINT; any signal as a source of a reactor |
//! | [`executor`] | work that blocks, on threads of its own |
//! | [`watch`] | descriptors that users bring |
//! | [`pipe`], [`unix`] | streams over pipes, FIFOs, ttys and unix sockets |
//! | [`netutil`] | listening sockets at every address that a name stands for |
//! | `compat`, `regex` | by features: streams for `futures-io` and tokio; `read_until_regex` |
//! | [`logger`] | `log` on standard error |
//! | [`tornado`](mod@tornado) | no code: Tornado's names, and what is used here in their place |
//!
//! Invariants: no `unsafe` (descriptors are owned values, and rustix is the system); nothing here
//! allocates once a worker serves; one thread per reactor, and the only thing that another thread
//! does to it is to wake it.
//!
//! Tornado's loop, where it is Linux's own:
//!
//! | Tornado's `IOLoop` | here |
//! |---|---|
//! | `start`, `run_sync`, `stop` | `Reactor::run`, `Handle::stop`; of a process, [`percore::run`] |
//! | `close(all_fds=True)` | dropping the reactor closes what it has, adopted sockets too |
//! | `close(all_fds=False)` | what a [`Watch`](watch::Watch) has stays its owner's (`into_inner`) |
//! | `time()` | `Handle::now`, which no administrator can set; [`unix_seconds`] for the wall's |
//! | `add_handler`, `update_handler`, `remove_handler` | [`watch`] |
//! | `add_callback_from_signal` | [`signal::Caught`] |
//! | `run_in_executor`, `set_default_executor` | [`executor`] |
//!
//! Linking this crate also provides [`critical_section`] for the process.
//!
//! Layer: stands on `dustdevil-core` alone; applications' Linux binaries stand on it.
//!
//! ```no_run
//! use dustdevil_core::reactor::{Capacity, Reactor};
//! use dustdevil_std::{Epoll, Options, percore, zeroed};
//!
//! fn main() -> std::process::ExitCode {
//!     percore::run(Options::parse(), |worker| {
//!         let sources = worker.options().connections + 1; // and the listener
//!         let capacity = Capacity { sources, timers: 1, groups: 1, tasks: 1, waiters: 1 };
//!         let mut memory = zeroed(capacity.bytes());
//!         let wakes = worker.wakes(capacity.tasks);
//!         let reactor = Reactor::new(Epoll::new()?, memory.block(), capacity, wakes);
//!         let _listener = reactor.listen(worker.address(), 1_024)?;
//!         Ok(reactor.run(worker.stopped())) // a server would accept meanwhile
//!     })
//! }
//! ```
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

// Its feature `std` is the host's implementation; nothing here enters a section itself.
use critical_section as _;
// Its feature `alloc` lets a boxed slice back `Owned` memory.
use stable_deref_trait as _;

use dustdevil_core::memory::Owned;

pub mod clock;
#[cfg(any(feature = "futures-io", feature = "tokio"))]
pub mod compat;
pub mod epoll;
pub mod executor;
pub mod linger;
pub mod logger;
pub mod netutil;
pub mod options;
pub mod percore;
pub mod pipe;
#[cfg(feature = "regex")]
pub mod regex;
pub mod signal;
mod socket;
#[doc = include_str!("../TORNADO.md")]
pub mod tornado {}
pub mod unix;
pub mod unpark;
pub mod watch;

pub use clock::unix_seconds;
pub use epoll::Epoll;
pub use options::Options;

/// Zeroed memory of at least `bytes` bytes, for tables and buffers.
///
/// The kernel hands out its pages one by one when they are first written to: what is never used
/// costs an address range and nothing more. Allocates: for start-up.
pub fn zeroed(bytes: usize) -> Owned<Box<[u64]>> {
    Owned::new(vec![0; bytes.div_ceil(size_of::<u64>())].into_boxed_slice())
}

/// As [`zeroed`], with every page in memory from the start: what the process takes is then known,
/// and nothing that happens to it later changes that. Costs the time to write to each page once.
pub fn resident(bytes: usize) -> Owned<Box<[u64]>> {
    let mut words = vec![0; bytes.div_ceil(size_of::<u64>())].into_boxed_slice();
    // The kernel's zeros are not looked at: the compiler must not see that this writes zeros too.
    words.iter_mut().step_by(PAGE_WORDS).for_each(|word| *word = std::hint::black_box(0));
    Owned::new(words)
}

/// Words of the smallest page that Linux has.
const PAGE_WORDS: usize = 4_096 / size_of::<u64>();

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    /// Whole pages of `memory`, and how many of them are present: what the kernel's own table says
    /// of each (proc(5), pagemap), since the process has other memory that comes and goes.
    fn pages(memory: &[u8]) -> (usize, usize) {
        pages_at(memory.as_ptr().addr(), memory.len(), 63)
    }

    /// As [`pages`], of those that have this bit: 63, it is there, were it the one page of zeros
    /// that all share; 56, it is this process' alone.
    fn pages_at(address: usize, bytes: usize, bit: u32) -> (usize, usize) {
        let page = rustix::param::page_size();
        let first = address.div_ceil(page);
        let count = (address + bytes) / page - first;
        let mut entries = vec![0; count * 8];
        let table = File::open("/proc/self/pagemap").unwrap();
        table.read_exact_at(&mut entries, first as u64 * 8).unwrap();
        let (entries, _) = entries.as_chunks::<8>();
        (count, entries.iter().filter(|entry| u64::from_ne_bytes(**entry) >> bit & 1 == 1).count())
    }

    #[test]
    fn resident_memory_is_there_from_the_start() {
        const BYTES: usize = 64 * 1024 * 1024;
        let (mut lazy, mut memory) = (super::zeroed(BYTES), super::resident(BYTES));
        let (count, present) = pages(lazy.block().bytes(BYTES));
        assert!(present < count / 8, "zeroed memory is not touched: {present} of {count} pages");
        let mut block = memory.block();
        let bytes = block.bytes(BYTES);
        let (count, present) = pages(bytes);
        assert_eq!(present, count, "every page");
        assert!(bytes.iter().all(|byte| *byte == 0));
    }

    /// A reactor for three million connections, and what it writes to before the first one comes.
    /// (Less than 32 MiB the C library may take from what other tests gave back, and set to zero.)
    #[test]
    fn tables_that_nobody_uses_yet_take_no_pages() {
        use dustdevil_core::reactor::{Capacity, Reactor};

        const SOURCES: usize = 3_000_000;
        let tasks = 1_025;
        let capacity = Capacity { sources: SOURCES, timers: 2_048, groups: 1, tasks, waiters: 1 };
        let mut memory = super::zeroed(capacity.bytes());
        let address = memory.block().bytes(1).as_ptr();
        let wakes: &dustdevil_core::wake::WakeTree =
            Box::leak(Box::new(dustdevil_core::wake::Wakes::<1_025>::new()));
        let epoll = super::Epoll::new().unwrap();
        let reactor = Reactor::new(epoll, memory.block(), capacity, wakes);
        assert_eq!(reactor.sources_max(), SOURCES);
        let (count, written) = pages_at(address.addr(), capacity.bytes(), 56);
        // Timers' wakers, the wheel's slots and the groups.
        assert!(count > 11_700 && written < 20, "{written} of {count} pages");
    }

    #[test]
    fn zeroed_memory_is_zero_and_long_enough() {
        for bytes in [0, 1, 8, 9, 4_097] {
            let mut memory = super::zeroed(bytes);
            let mut block = memory.block();
            assert!(block.remaining() >= bytes && block.bytes(bytes).iter().all(|byte| *byte == 0));
        }
    }
}
