//! Where [`log`] goes on Linux: one line a record on standard error.
//!
//! ```text
//! [   12.345678] WARN  dustdevil_std::options: 20000 connections a worker ...
//! ```
//!
//! Seconds since the logger was installed, level, target, message. A line is built on the stack
//! and leaves in one write, so that lines of several workers never mix and nothing allocates; one
//! that is longer than [`LINE_BYTES_MAX`] ends in `...`.
//!
//! Layer: stands on std and `log` alone; [`percore`](crate::percore) installs it.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::OnceLock;
use std::time::Instant;

use log::{LevelFilter, Log, Metadata, Record};

/// The longest line, its end included.
pub const LINE_BYTES_MAX: usize = 1_024;

/// The variable of the environment that [`level`] reads.
pub const VARIABLE: &str = "DUSTDEVIL_LOG";

const CUT: &[u8] = b"...\n";

static LOGGER: Stderr = Stderr { start: OnceLock::new() };

struct Stderr {
    start: OnceLock<Instant>,
}

/// The level that [`VARIABLE`] names (`off`, `error`, `warn`, `info`, `debug`, `trace`), or
/// `otherwise`, also when it names none.
pub fn level(otherwise: LevelFilter) -> LevelFilter {
    let named = std::env::var(VARIABLE).ok();
    named.and_then(|name| name.parse().ok()).unwrap_or(otherwise)
}

/// Sends the records of [`log`] up to `level` to standard error.
///
/// Leaves a logger that is installed already alone, and its level.
pub fn install(level: LevelFilter) {
    LOGGER.start.get_or_init(Instant::now);
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(level);
    }
}

impl Log for Stderr {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true // `log` compares with the highest level before it asks.
    }

    fn log(&self, record: &Record<'_>) {
        let since = self.start.get_or_init(Instant::now).elapsed();
        let mut line = Line::new();
        line.record(since.as_secs(), since.subsec_micros(), record);
        // A standard error that was closed has nobody left to tell.
        let _ = std::io::stderr().write_all(line.finish());
    }

    fn flush(&self) {}
}

/// A line under construction. What does not fit is cut off.
struct Line {
    bytes: [u8; LINE_BYTES_MAX],
    used: usize,
    cut: bool,
}

impl Line {
    fn new() -> Self {
        Self { bytes: [0; LINE_BYTES_MAX], used: 0, cut: false }
    }

    fn record(&mut self, secs: u64, micros: u32, record: &Record<'_>) {
        let (level, target, message) = (record.level(), record.target(), record.args());
        let written = write!(self, "[{secs:>5}.{micros:06}] {level:<5} {target}: {message}");
        // `Line` refuses only what it cut; anything else failed to format itself.
        self.cut |= written.is_err();
    }

    fn finish(&mut self) -> &[u8] {
        let end: &[u8] = if self.cut { CUT } else { b"\n" };
        self.bytes[self.used..self.used + end.len()].copy_from_slice(end);
        &self.bytes[..self.used + end.len()]
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LINE_BYTES_MAX - CUT.len() - self.used;
        let fits = text.floor_char_boundary(room);
        self.bytes[self.used..self.used + fits].copy_from_slice(&text.as_bytes()[..fits]);
        // A peer's line feed or escape sequence in a message could forge a line.
        for byte in &mut self.bytes[self.used..self.used + fits] {
            if byte.is_ascii_control() {
                *byte = b' ';
            }
        }
        self.used += fits;
        if fits == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::Level;

    fn line(message: fmt::Arguments<'_>) -> String {
        let mut line = Line::new();
        let record = Record::builder().level(Level::Warn).target("here").args(message).build();
        line.record(12, 345, &record);
        String::from_utf8(line.finish().to_vec()).unwrap()
    }

    #[test]
    fn a_record_is_one_line() {
        assert_eq!(line(format_args!("a {}", 1)), "[   12.000345] WARN  here: a 1\n");
        assert_eq!(line(format_args!("a\r\nb")), "[   12.000345] WARN  here: a  b\n");
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        for length in LINE_BYTES_MAX - 40..LINE_BYTES_MAX + 40 {
            let text = "\u{e9}".repeat(length / 2);
            let line = line(format_args!("{text}"));
            let whole = 26 + text.len() < LINE_BYTES_MAX - CUT.len();
            assert!(line.len() <= LINE_BYTES_MAX && line.ends_with('\n'), "{length}");
            assert_eq!(line.ends_with("...\n"), !whole, "{length}: {}", line.len());
        }
    }
}
