//! The records of `log`, on the serial port. Feature `log-lines`.
//!
//! What informs is printed as it is; a warning or an error is named as one. Levels below `info` are
//! left out when this is compiled.
//!
//! Place: above `serial`.

use core::fmt::Write;

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::serial::Serial;

struct Logger;

/// From now on, records are printed.
pub(crate) fn start() {
    static LOGGER: Logger = Logger;
    // It fails only when there is one already, and the one who set it will have meant it.
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

impl Log for Logger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        match record.level() {
            Level::Error => Serial.text("ERROR "),
            Level::Warn => Serial.text("WARN "),
            Level::Info | Level::Debug | Level::Trace => {}
        }
        // The serial port cannot fail; a value that cannot be shown leaves its line short.
        let _ = Serial.write_fmt(*record.args());
        Serial.end_line();
    }

    fn flush(&self) {
        Serial.flush();
    }
}
