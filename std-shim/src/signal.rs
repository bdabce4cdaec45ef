//! SIGTERM and SIGINT: the first asks the process to stop, the second stops it.
//!
//! A signal handler may do next to nothing, so ours sets a flag and writes a byte to a socket; a
//! thread that waits in [`Signals::wait`] does the rest. A second signal, of either kind, ends the
//! process at once with exit code 128 + its number: whoever presses Ctrl-C twice means it.
//!
//! Layer: stands on signal-hook; [`percore`](crate::percore) stands on it.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::SigId;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

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
