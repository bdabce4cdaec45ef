//! How much RAM a configuration takes, told by the compiler.
//!
//! Every capacity is a value and the bytes it needs are a `const fn` of it, so a sum of them is a
//! constant too. [`ram_within!`](crate::ram_within) compares it with the room there is while the
//! program is compiled, and prints every part when it does not fit; with no room at all it is a
//! calculator.
//!
//! Invariants: nothing of this is left in a program that compiles; the report has no heap and no
//! `core::fmt`.
//!
//! Layer: beside everything; whoever has a capacity may use it.
//!
//! ```
//! use dustdevil_core::ram_within;
//! use dustdevil_core::reactor::Capacity;
//!
//! const REACTOR: Capacity =
//!     Capacity { sources: 8, timers: 4, groups: 1, tasks: 4, waiters: 4 };
//! ram_within!(8 * 1024;
//!     "reactor" => REACTOR.bytes(),
//!     "what I share" => 4096,
//! );
//! ```
//!
//! What does not fit does not compile:
//!
//! ```compile_fail,E0080
//! # use dustdevil_core::ram_within;
//! ram_within!(8 * 1024;
//!     "network" => 6_000,
//!     "server" => 5_500,
//! );
//! ```
//!
//! ```text
//! error[E0080]: evaluation panicked: 11500 bytes of RAM are needed, 8192 are there: 3308 too many
//!                     6000 network
//!                     5500 server
//! ```

/// Bytes of a report. Full: what is behind is cut off, and the last three bytes are dots.
const REPORT_BYTES: usize = 1024;
/// Columns of a part's number.
const NUMBER_COLUMNS: usize = 10;

/// Parts of a memory beside the room there is for them, as text that is made while compiling.
pub struct Report {
    bytes: [u8; REPORT_BYTES],
    len: usize,
    needed: usize,
    room: usize,
}

impl Report {
    /// Adds `parts` up, each a name and its bytes, and compares the sum with `room`.
    pub const fn new(parts: &[(&str, usize)], room: usize) -> Self {
        let mut report = Self { bytes: [0; REPORT_BYTES], len: 0, needed: sum(parts), room };
        report.number(report.needed, 0);
        report.text(" bytes of RAM are needed, ");
        report.number(room, 0);
        report.text(" are there");
        if !report.fits() {
            report.text(": ");
            report.number(report.needed - room, 0);
            report.text(" too many");
        }
        let mut at = 0;
        while at < parts.len() {
            report.text("\n");
            report.number(parts[at].1, NUMBER_COLUMNS);
            report.text(" ");
            report.text(parts[at].0);
            at += 1;
        }
        report
    }

    /// Whether there is room for all parts.
    pub const fn fits(&self) -> bool {
        self.needed <= self.room
    }

    /// The sum in a line, then a line for each part.
    pub const fn as_str(&self) -> &str {
        match core::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            // Only a name that was cut off within a letter.
            Err(_) => "the names of the parts are too long to be reported",
        }
    }

    /// A number, right-aligned in so many columns.
    const fn number(&mut self, number: usize, columns: usize) {
        let mut digits = [b' '; 20];
        let (mut at, mut rest) = (digits.len(), number);
        while at > 0 && (rest > 0 || at == digits.len()) {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let wide = digits.len() - columns;
        self.push(digits.split_at(if at < wide { at } else { wide }).1);
    }

    const fn text(&mut self, text: &str) {
        self.push(text.as_bytes());
    }

    const fn push(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() && self.len < REPORT_BYTES {
            self.bytes[self.len] = bytes[at];
            self.len += 1;
            at += 1;
        }
        if at < bytes.len() {
            self.bytes.split_at_mut(REPORT_BYTES - 3).1.copy_from_slice(b"...");
        }
    }
}

/// The bytes of all parts together.
pub const fn sum(parts: &[(&str, usize)]) -> usize {
    let (mut sum, mut at) = (0, 0);
    while at < parts.len() {
        sum += parts[at].1;
        at += 1;
    }
    sum
}

/// Fails to compile when the parts, each a name and its bytes, need more RAM than there is; the
/// error lists them. `ram_within!(0; ..)` prints what a configuration needs.
///
/// What is counted is what is named: statics of other crates and the stack are not in it, so the
/// room is that of the board less what those take (`cargo xtask size` prints it).
#[macro_export]
macro_rules! ram_within {
    ($room:expr; $($name:expr => $bytes:expr),+ $(,)?) => {
        const _: () = {
            const REPORT: $crate::sizing::Report =
                $crate::sizing::Report::new(&[$(($name, $bytes)),+], $room);
            assert!(REPORT.fits(), "{}", REPORT.as_str());
        };
    };
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::String;

    use super::*;

    #[test]
    fn a_report_lists_every_part() {
        let parts = [("network", 11_300), ("the server", 5), ("none", 0)];
        let table = [
            (11_305, true, "11305 bytes of RAM are needed, 11305 are there"),
            (20_000, true, "11305 bytes of RAM are needed, 20000 are there"),
            (11_304, false, "11305 bytes of RAM are needed, 11304 are there: 1 too many"),
            (0, false, "11305 bytes of RAM are needed, 0 are there: 11305 too many"),
        ];
        for (room, fits, first) in table {
            let report = Report::new(&parts, room);
            let lines = "\n     11300 network\n         5 the server\n         0 none";
            assert_eq!(report.as_str(), String::from(first) + lines, "{room}");
            assert_eq!(report.fits(), fits, "{room}");
        }
    }

    #[test]
    fn the_largest_number_has_room() {
        let report = Report::new(&[("all", usize::MAX)], usize::MAX);
        assert_eq!(report.as_str().matches("18446744073709551615").count(), 3);
    }

    #[test]
    fn what_is_too_long_ends_with_dots() {
        let long = "x".repeat(REPORT_BYTES);
        let report = Report::new(&[(&long, 1), ("behind", 2)], 3);
        assert_eq!(report.as_str().len(), REPORT_BYTES);
        assert!(report.as_str().ends_with("xx..."), "{}", report.as_str());
        assert!(report.fits(), "it is counted nevertheless");
    }
}
