//! A process that serves: one thread, reactor and listener for each worker.
//!
//! ```text
//!   main thread: run()                 workers, a thread each: work(&worker)
//!     find the port, keep it             Epoll::new, Reactor::new, listen(worker.address())
//!     start the workers  ------------->  reactor.run(.. worker.stopped() ..)
//!     wait for a signal or an end                      |
//!       signal: wake every Stopped  ------ Waker --->  drain, return
//!       all have ended: exit code 0  <-----------------+
//! ```
//!
//! Workers share nothing but the port (`SO_REUSEPORT`: the kernel picks a listener by a hash of the
//! addresses, so with few clients one worker may get more of them than another) and the wish to
//! stop. Their application values are made in `work`, one a worker; what they should share is the
//! user's own `Sync` value.
//!
//! | the process ends with | when |
//! |---|---|
//! | 0 | SIGTERM or SIGINT came and every worker has returned, or all returned by themselves |
//! | 1 | the port is taken, or a worker failed: one line on standard error says what |
//! | 101 | a thread panicked, but not by a [job](executor): standard error has place and message |
//! | 128 + n | signal n came a second time |
//!
//! Layer: stands on the rest of this crate; applications' Linux binaries stand on it.

use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::poller::Error;
use dustdevil_core::wake::{LEAVES_MAX, WakeTree, Wakes};
use rustix::io::Errno;

use crate::options::Options;
use crate::signal::Signals;
use crate::{executor, logger, socket};

/// The exit code of a process in which a thread panicked; std's own for a panic in `main`.
pub const EXIT_PANIC: u8 = 101;

/// Runs `work` once for each of `options.workers`, on a thread each, until all have returned.
///
/// Prints `listening on http://ADDRESS:PORT` on standard output ([`Options::scheme`] is its
/// beginning) when every worker has asked for [`Worker::stopped`]. See the [module](self) for how
/// it ends; call it once a process, as the last thing `main` does.
pub fn run<W>(mut options: Options, work: W) -> ExitCode
where
    W: Fn(&Worker<'_>) -> Result<(), Error> + Sync,
{
    logger::install(options.log);
    end_at_a_panic();
    options.fit_descriptors();
    let (address, _reservation) = match reserve(options.at()) {
        Ok(reserved) => reserved,
        Err(errno) => {
            let Error { kind, .. } = socket::error(errno);
            // The kind in words; its number helps only where there are none.
            let error =
                if kind == ErrorKind::Other { socket::error(errno) } else { Error::new(kind) };
            return fail(format_args!("cannot listen on {}: {error}", options.at()));
        }
    };
    let signals = match Signals::catch() {
        Ok(signals) => signals,
        Err(error) => return fail(format_args!("cannot catch signals: {error}")),
    };
    let shared = Shared::new(options, address, signals);
    std::thread::scope(|scope| {
        for index in 0..shared.options.workers {
            let (shared, work) = (&shared, &work);
            let builder = std::thread::Builder::new().name(format!("worker {index}"));
            if let Err(error) = builder.spawn_scoped(scope, move || shared.work(index, work)) {
                shared.ended(Err(format_args!("cannot start worker {index}: {error}")));
            }
        }
        shared.supervise();
    });
    if shared.failed.load(Ordering::Relaxed) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// From here on a panic, in whatever thread, ends the process once its place and message are
/// written: a worker that is gone would leave its share of the clients without an answer. (In the
/// hook, because a release build does not unwind.) But for a panic of an [`executor`]'s job, which
/// is that job's error.
fn end_at_a_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if executor::outlived(panic) {
            return;
        }
        report(panic);
        std::process::exit(i32::from(EXIT_PANIC));
    }));
}

/// Finds out whether the port of `at` is free, picks one if it is 0, and keeps it.
///
/// Workers share their port, and so could a second server of the same user that was started by
/// mistake: a first socket that does not share finds that out. The second one shares, and never
/// listens: it keeps the port while the workers come and go.
fn reserve(at: SocketAddr) -> Result<(SocketAddr, OwnedFd), Errno> {
    let probe = socket::bound(at, false)?;
    let address = rustix::net::getsockname(&probe)?.try_into()?;
    drop(probe);
    Ok((address, socket::bound(address, true)?))
}

fn fail(what: std::fmt::Arguments<'_>) -> ExitCode {
    // Not through the logger: DUSTDEVIL_LOG=off must not hide why nothing runs. A closed standard
    // error has nobody left to tell.
    let _ = writeln!(std::io::stderr(), "{what}");
    ExitCode::FAILURE
}

/// What the workers of a process have in common.
struct Shared {
    options: Options,
    address: SocketAddr,
    signals: Signals,
    stopping: AtomicBool,
    failed: AtomicBool,
    /// Workers that have asked for [`Worker::stopped`].
    ready: AtomicUsize,
    /// Workers that have not ended.
    running: AtomicUsize,
    /// Who waits for `stopping`: one entry for each [`Stopped`], at the place it remembers.
    waiting: Mutex<Vec<Option<Waker>>>,
}

impl Shared {
    fn new(options: Options, address: SocketAddr, signals: Signals) -> Self {
        Self {
            address,
            signals,
            stopping: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            ready: AtomicUsize::new(0),
            running: AtomicUsize::new(options.workers),
            waiting: Mutex::new(Vec::new()),
            options,
        }
    }

    /// The body of a worker's thread.
    fn work<W>(&self, index: usize, work: &W)
    where
        W: Fn(&Worker<'_>) -> Result<(), Error>,
    {
        let worker = Worker { shared: self, index, ready: AtomicBool::new(false) };
        match work(&worker) {
            Ok(()) => self.ended(Ok(())),
            Err(error) => {
                self.ended(Err(format_args!("worker {index} at {}: {error}", self.address)))
            }
        }
    }

    fn ended(&self, how: Result<(), std::fmt::Arguments<'_>>) {
        if let Err(what) = how {
            fail(what);
            self.failed.store(true, Ordering::Relaxed);
        }
        self.running.fetch_sub(1, Ordering::SeqCst);
        self.signals.nudge();
    }

    /// Waits until every worker has ended; asks them to when a signal comes or one of them fails.
    fn supervise(&self) {
        while self.running.load(Ordering::SeqCst) > 0 {
            if self.signals.wait() || self.failed.load(Ordering::Relaxed) {
                self.stop();
            }
        }
    }

    fn stop(&self) {
        if !self.stopping.swap(true, Ordering::SeqCst) {
            log::debug!("stopping");
        }
        self.waiting().iter_mut().filter_map(Option::take).for_each(Waker::wake);
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Option<Waker>>> {
        // What it guards is never half changed: a panic elsewhere does not spoil it.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self) {
        if self.ready.fetch_add(1, Ordering::SeqCst) + 1 == self.options.workers {
            // A closed standard output has nobody left to tell.
            let mut stdout = std::io::stdout().lock();
            let _ = writeln!(stdout, "listening on {}{}", self.options.scheme, self.address);
            let _ = stdout.flush();
        }
    }
}

/// One worker of the process, as its `work` sees it.
pub struct Worker<'p> {
    shared: &'p Shared,
    index: usize,
    ready: AtomicBool,
}

impl<'p> Worker<'p> {
    /// Which worker this is: 0 to `options().workers - 1`.
    pub fn index(&self) -> usize {
        self.index
    }

    /// How the process runs; `connections` is what it may really open.
    pub fn options(&self) -> &'p Options {
        &self.shared.options
    }

    /// Where to listen: never port 0, and the same for every worker.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// A wake tree for a reactor of `tasks` tasks: at least as many leaves, 4 bytes each.
    ///
    /// Wakers may outlive the worker, so it is leaked: ask once a worker.
    ///
    /// # Panics
    /// Beyond [`LEAVES_MAX`] tasks.
    pub fn wakes(&self, tasks: usize) -> &'static WakeTree {
        leak_wakes(tasks)
    }

    /// Resolves when the process should stop, woken from the thread that catches the signals.
    ///
    /// Asking for it says that this worker is ready, that is, listens: once all have asked, the
    /// process says so on standard output. Cancel-safe: dropping it forgets the waker.
    pub fn stopped(&self) -> Stopped<'p> {
        if !self.ready.swap(true, Ordering::SeqCst) {
            self.shared.announce();
        }
        let mut waiting = self.shared.waiting();
        waiting.push(None);
        Stopped { shared: self.shared, place: waiting.len() - 1, waker: None }
    }
}

/// The future of [`Worker::stopped`].
pub struct Stopped<'p> {
    shared: &'p Shared,
    place: usize,
    /// What `waiting` has at `place`: this is polled in every turn, and need not take the lock.
    waker: Option<Waker>,
}

impl Future for Stopped<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.shared.stopping.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        if self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        let mut waiting = self.shared.waiting();
        waiting[self.place] = Some(cx.waker().clone());
        self.waker = Some(cx.waker().clone());
        // Again, under the lock: a stop that came meanwhile has woken everybody, or will.
        if self.shared.stopping.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.shared.waiting()[self.place] = None;
    }
}

/// A tree with at least `leaves` leaves, of the few lengths there are: a length is part of a tree's
/// type until it is unsized.
fn leak_wakes(leaves: usize) -> &'static WakeTree {
    fn leak<const N: usize>() -> &'static WakeTree {
        Box::leak(Box::new(Wakes::<N>::new()))
    }
    match leaves {
        0..=64 => leak::<64>(),
        65..=1_024 => leak::<1_024>(),
        1_025..=4_096 => leak::<4_096>(),
        4_097..=16_384 => leak::<16_384>(),
        16_385..=LEAVES_MAX => leak::<LEAVES_MAX>(),
        _ => panic!("{leaves} tasks are more than {LEAVES_MAX}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_leaves_enough() {
        for leaves in [0, 1, 64, 65, 1_025, 4_097, 16_385, LEAVES_MAX] {
            let tree = leak_wakes(leaves);
            assert!(tree.len() >= leaves && !tree.any(), "{leaves}");
        }
    }

    #[test]
    fn a_reserved_port_is_kept_from_others_and_open_to_workers() {
        let (address, kept) = reserve(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        assert_ne!(address.port(), 0);
        let workers = [(); 2].map(|()| socket::listening(address, 4, true).unwrap());
        assert_eq!(reserve(address).err(), Some(Errno::ADDRINUSE));
        drop((workers, kept));
        assert!(reserve(address).is_ok());
    }
}
