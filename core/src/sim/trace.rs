//! What happened, as a hash that is always kept and as lines that are kept when asked for.
//!
//! The hash is taken of the very text that a reader would see, and of the bytes that moved: equal
//! hashes mean equal stories. No address, no map with a random order and no real time enters it.
//!
//! Layer: the bottom of the simulator.

use core::fmt::{self, Write};
use std::string::String;
use std::vec::Vec;

/// FNV-1a with 64 bits: a few lines, the same on every machine.
#[derive(Clone, Copy, Debug)]
struct Hash(u64);

impl Hash {
    const EMPTY: Self = Self(0xcbf2_9ce4_8422_2325);

    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

impl Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.add(text.as_bytes());
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct Trace {
    hash: Hash,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(super) const fn new() -> Self {
        Self { hash: Hash::EMPTY, lines: None }
    }

    pub(super) fn keep_lines(&mut self) {
        self.lines.get_or_insert_default();
    }

    /// Notes that something happened `micros` after the world began.
    pub(super) fn line(&mut self, micros: u64, what: fmt::Arguments<'_>) {
        // Writing to the hash cannot fail, nor can writing to a string.
        let _ = writeln!(self.hash, "{micros} {what}");
        if let Some(lines) = &mut self.lines {
            let (secs, rest) = (micros / 1_000_000, micros % 1_000_000);
            lines.push(std::format!("{secs}.{rest:06} {what}"));
        }
    }

    /// Notes bytes that moved, in the hash only.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.hash.add(bytes);
    }

    pub(super) const fn hash(&self) -> u64 {
        self.hash.0
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.clone().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_does_not_depend_on_who_reads_along() {
        let (mut silent, mut kept) = (Trace::new(), Trace::new());
        kept.keep_lines();
        for trace in [&mut silent, &mut kept] {
            trace.line(12_003_000, format_args!("link {}: 118 bytes", 3));
            trace.bytes(b"hello");
        }
        assert_eq!(silent.hash(), kept.hash());
        assert_eq!(kept.lines(), ["12.003000 link 3: 118 bytes"]);
        kept.bytes(b"x");
        assert_ne!(silent.hash(), kept.hash());
    }
}
