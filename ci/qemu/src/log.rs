//! What a program prints, line by line, for those who wait for a line.
//!
//! Threads read the program's outputs to their ends, so that it never blocks on a full pipe; the
//! one who waits sees each line once and in order.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Lines that arrive while others wait for them. A clone is the same log.
#[derive(Clone, Default)]
pub(crate) struct Log {
    shared: Arc<(Mutex<Lines>, Condvar)>,
}

#[derive(Default)]
struct Lines {
    all: Vec<String>,
    /// How many of them were looked at.
    seen: usize,
    /// Outputs that are still open.
    open: usize,
}

/// Why no line was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The time was over.
    Late,
    /// The outputs were closed: the program has ended.
    Ended,
}

impl Log {
    /// Reads an output to its end; each of its lines gets `prefix`.
    pub(crate) fn follow(&self, output: impl Read + Send + 'static, prefix: &'static str) {
        self.with(|lines| lines.open += 1);
        let log = self.clone();
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            // A board's serial line may carry anything: what is no text is shown as such.
            while output.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                let text = String::from_utf8_lossy(&line);
                let text = format!("{prefix}{}", text.trim_end_matches(['\r', '\n']));
                log.with(|lines| lines.all.push(text));
                line.clear();
            }
            log.with(|lines| lines.open -= 1);
        });
    }

    /// The next line for which `wanted` says yes, among those that nobody has looked at.
    pub(crate) fn next(
        &self,
        patience: Duration,
        mut wanted: impl FnMut(&str) -> bool,
    ) -> Result<String, Missing> {
        let deadline = Instant::now() + patience;
        let (lines, changed) = &*self.shared;
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            while let Some(line) = lines.all.get(lines.seen) {
                let found = wanted(line).then(|| line.clone());
                lines.seen += 1;
                if let Some(line) = found {
                    return Ok(line);
                }
            }
            if lines.open == 0 {
                return Err(Missing::Ended);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Missing::Late);
            }
            let waited = changed.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Everything that was printed so far, each line on a line of its own.
    pub(crate) fn text(&self) -> String {
        self.with(|lines| lines.all.iter().map(|line| format!("{line}\n")).collect())
    }

    fn with<T>(&self, change: impl FnOnce(&mut Lines) -> T) -> T {
        let (lines, changed) = &*self.shared;
        let outcome = change(&mut lines.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const LATER: Duration = Duration::from_secs(10);

    #[test]
    fn each_line_is_seen_once_and_in_order() {
        let log = Log::default();
        log.follow(&b"boot\r\nlistening\nrequest \xff\nrequest\nhalf"[..], "");
        assert_eq!(log.next(LATER, |line| line.contains("listen")).as_deref(), Ok("listening"));
        assert_eq!(
            log.next(LATER, |line| line.contains("request")).as_deref(),
            Ok("request \u{fffd}")
        );
        assert_eq!(log.next(LATER, |line| line == "request").as_deref(), Ok("request"));
        assert_eq!(log.next(LATER, |line| line == "half").as_deref(), Ok("half"));
        assert_eq!(log.next(LATER, |line| line == "boot"), Err(Missing::Ended), "it is past");
        assert_eq!(log.text(), "boot\nlistening\nrequest \u{fffd}\nrequest\nhalf\n");
    }

    #[test]
    fn a_line_that_does_not_come_ends_the_wait_at_its_deadline() -> std::io::Result<()> {
        let log = Log::default();
        let (output, mut input) = std::io::pipe()?;
        log.follow(output, "uart: ");
        assert_eq!(log.next(SOON, |_| true), Err(Missing::Late));
        std::io::Write::write_all(&mut input, b"now\n")?;
        assert_eq!(log.next(LATER, |_| true).as_deref(), Ok("uart: now"));
        drop(input);
        assert_eq!(log.next(LATER, |_| true), Err(Missing::Ended));
        Ok(())
    }
}
