//! Signals: those that stop a process, and any other that an application wants to hear of.
//!
//! # Stopping: [`Signals`]
//! SIGTERM and SIGINT: the first asks the process to stop, the second stops it.
//!
//! A signal handler may do next to nothing, so ours sets a flag and writes a byte to a socket; a
//! thread that waits in [`Signals::wait`] does the rest. A second signal, of either kind, ends the
//! process at once with exit code 128 + its number: whoever presses Ctrl-C twice means it.
//!
//! # Hearing: [`Caught`]
//! Signals as a source of a reactor: a future for the next one, or a callback for each. Tornado:
//! `add_callback_from_signal` (asyncio's `add_signal_handler`); what runs here is never a signal
//! handler, but an ordinary part of a turn, so it may do whatever a task may.
//!
//! - Signals of one kind that come before anybody asked are one signal, as they are to the kernel.
//!   So a signal says that something may have happened, not how often.
//! - Every [`Caught`] that names a signal hears of it, each worker's own too; with
//!   [`percore`](crate::percore) a caught SIGTERM still stops the process, a second one ends it.
//! - When the last one is dropped the signal is ignored, not fatal again (signal-hook leaves its
//!   handler in place).
//!
//! Capacity: of [`Caught`], two descriptors and a source of the reactor's each, however many
//! signals it hears of.
//!
//! Layer: stands on signal-hook, and on [`watch`](crate::watch) for reactors;
//! [`percore`](crate::percore) stands on it.
//!
//! ```
//! use dustdevil_core::reactor::{Capacity, Reactor};
//! use dustdevil_core::wake::Wakes;
//! use dustdevil_std::signal::{Caught, SIGHUP, SIGUSR1};
//! use dustdevil_std::{Epoll, zeroed};
//!
//! const CAPACITY: Capacity =
//!     Capacity { sources: 0, timers: 1, groups: 0, tasks: 1, waiters: 0 }.plus_streams(1);
//! static WAKES: Wakes<1> = Wakes::new();
//! let mut tables = zeroed(CAPACITY.bytes());
//! let reactor = Reactor::new(Epoll::new()?, tables.block(), CAPACITY, &WAKES);
//!
//! let mut caught = Caught::new(&reactor, &[SIGHUP, SIGUSR1])?;
//! signal_hook::low_level::raise(SIGHUP).unwrap(); // an administrator: kill -HUP
//! assert_eq!(reactor.run(caught.next()), SIGHUP);
//! # Ok::<(), dustdevil_core::poller::Error>(())
//! ```

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dustdevil_core::embedded_io;
use dustdevil_core::poller::{Error, Interest};
use signal_hook::SigId;
pub use signal_hook::consts::{
    SIGALRM, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1,
    SIGUSR2, SIGWINCH,
};
use signal_hook::{consts, flag, low_level};

use crate::watch::{Host, Watch, portable};

/// The signals that stop a process, caught for as long as this lives.
///
/// After it is dropped they are ignored, not fatal again (signal-hook leaves its handler in place):
/// it is for a process that ends then.
#[derive(Debug)]
pub struct Signals {
    reader: UnixStream,
    writer: UnixStream,
    stopping: Arc<AtomicBool>,
    actions: Vec<SigId>,
}

impl Signals {
    /// Catches SIGTERM and SIGINT from now on.
    ///
    /// # Errors
    /// The process has no descriptors left.
    pub fn catch() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let mut signals = Self { reader, writer, stopping, actions: Vec::new() };
        for signal in [SIGTERM, SIGINT] {
            // In this order: the first signal finds the flag clear, and then sets it.
            let (flag, exit_code) = (&signals.stopping, 128 + signal);
            let second = flag::register_conditional_shutdown(signal, exit_code, flag.clone())?;
            let first = flag::register(signal, flag.clone())?;
            let wake = low_level::pipe::register(signal, signals.writer.try_clone()?)?;
            signals.actions.extend([second, first, wake]);
        }
        Ok(signals)
    }

    /// Waits for a signal or a [`nudge`](Self::nudge), unless one came since the last wait; then
    /// says whether a signal ever came.
    pub fn wait(&self) -> bool {
        let mut byte = [0];
        // It ends only when it has a byte: `self.writer` keeps the other end open.
        while let Err(error) = (&self.reader).read(&mut byte) {
            assert_eq!(error.kind(), ErrorKind::Interrupted, "reading our own socket: {error}");
        }
        self.stopping.load(Ordering::SeqCst)
    }

    /// Ends a [`wait`](Self::wait) from another thread.
    pub fn nudge(&self) {
        // A full socket has bytes enough to end the wait.
        let _ = (&self.writer).write(&[0]);
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for action in self.actions.drain(..) {
            low_level::unregister(action);
        }
    }
}

/// Signals as a source of a reactor. See the [module](self).
pub struct Caught<'c> {
    /// Dropped first: no handler writes to a socket whose other end is gone.
    signals: Vec<Signal>,
    /// Where the handler writes a byte whenever a signal comes.
    watch: Watch<'c, UnixStream>,
    /// Whose turn it is to be looked at first, so that a frequent signal does not hide others.
    next: usize,
}

/// One kind of signal: the handler first sets the flag, then writes the byte.
struct Signal {
    number: i32,
    came: Arc<AtomicBool>,
    actions: [SigId; 2],
}

impl Drop for Signal {
    fn drop(&mut self) {
        self.actions.into_iter().for_each(|action| {
            low_level::unregister(action);
        });
    }
}

impl<'c> Caught<'c> {
    /// Catches `signals` from now on, which then no longer do what they do by default. For
    /// start-up: it allocates.
    ///
    /// # Errors
    /// [`InvalidInput`](embedded_io::ErrorKind::InvalidInput): no such signal, one that cannot be
    /// caught (SIGKILL, SIGSTOP, SIGILL, SIGFPE, SIGSEGV), or none at all.
    /// [`OutOfMemory`](embedded_io::ErrorKind::OutOfMemory): descriptors, or the reactor's sources,
    /// are used up.
    pub fn new(host: impl Into<Host<'c>>, signals: &[i32]) -> Result<Self, Error> {
        if signals.is_empty() || signals.iter().any(|it| consts::FORBIDDEN.contains(it)) {
            return Err(Error::new(embedded_io::ErrorKind::InvalidInput));
        }
        let portable = |error: io::Error| portable(&error);
        let (reader, writer) = UnixStream::pair().map_err(portable)?;
        reader.set_nonblocking(true).map_err(portable)?;
        let catch = |&number: &i32| {
            let came = Arc::new(AtomicBool::new(false));
            let writer = writer.try_clone()?;
            let flag = flag::register(number, came.clone())?;
            let wake = low_level::pipe::register(number, writer)
                .inspect_err(|_| assert!(low_level::unregister(flag), "registered just now"))?;
            Ok(Signal { number, came, actions: [flag, wake] })
        };
        let signals = signals.iter().map(catch).collect::<Result<_, _>>().map_err(portable)?;
        Ok(Self { signals, watch: Watch::new(host, reader)?, next: 0 })
    }

    /// The next signal. Of several that came, each has its turn.
    ///
    /// Cancel-safe: a dropped call has taken no signal.
    pub async fn next(&mut self) -> i32 {
        loop {
            if let Some(signal) = self.try_next() {
                return signal;
            }
            self.watch.ready(Interest::Read).await;
        }
    }

    /// A signal that has come, if one has.
    pub fn try_next(&mut self) -> Option<i32> {
        self.take_flag().or_else(|| {
            // No flag is up. The bytes go first: one that comes now has a flag by the next look.
            self.drain();
            self.take_flag()
        })
    }

    /// Calls `callback` with each signal, for ever; drop it to stop. A task beside others.
    pub async fn run(&mut self, mut callback: impl FnMut(i32)) -> std::convert::Infallible {
        loop {
            callback(self.next().await);
        }
    }

    fn take_flag(&mut self) -> Option<i32> {
        let count = self.signals.len();
        let came = (0..count)
            .map(|step| (self.next + step) % count)
            .find(|place| self.signals[*place].came.swap(false, Ordering::SeqCst))?;
        self.next = came + 1;
        Some(self.signals[came].number)
    }

    /// Reads until there is nothing, so that the next byte is an edge.
    fn drain(&self) {
        let mut bytes = [0; 64];
        let mut read = || self.watch.try_io(Interest::Read, |mut reader| reader.read(&mut bytes));
        while matches!(read(), Ok(1..)) {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The second signal ends the process: tests/it looks at that from outside.
    #[test]
    fn a_nudge_ends_a_wait_and_is_no_signal_and_a_signal_is_one() {
        let signals = Signals::catch().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| signals.wait());
            signals.nudge();
            assert!(!waiting.join().unwrap());
        });
        low_level::raise(SIGTERM).unwrap();
        assert!(signals.wait());
    }
}
