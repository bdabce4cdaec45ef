//! Which pages of some memory the kernel has had to provide.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// A piece of this process's memory, as the kernel's table of its pages knows it.
pub(crate) struct Pages {
    first: usize,
    count: usize,
}

/// Bytes of an entry of `/proc/self/pagemap`.
const ENTRY_BYTES: usize = 8;
/// Its bits for a page that is present, and that is nobody else's: one that was only read is
/// present too, as the page of zeros that the kernel shows to all, and costs nothing.
const OWN: u64 = 1 << 63 | 1 << 56;

impl Pages {
    /// What a page is reckoned at: the machines that judge this have no other.
    pub(crate) const BYTES: usize = 4_096;

    /// The pages on which `words` lie.
    pub(crate) fn of(words: &[u64]) -> Self {
        let start = words.as_ptr().addr();
        let first = start / Self::BYTES;
        let count = (start + size_of_val(words)).div_ceil(Self::BYTES) - first;
        Self { first, count }
    }

    /// How many of them were ever written to: proc(5), pagemap.
    pub(crate) fn touched(&self) -> usize {
        let mut entries = vec![0; self.count * ENTRY_BYTES];
        let table = File::open("/proc/self/pagemap").expect("a Linux with /proc");
        let at = (self.first * ENTRY_BYTES) as u64;
        table.read_exact_at(&mut entries, at).expect("an entry for each page");
        let (entries, _) = entries.as_chunks::<ENTRY_BYTES>();
        let is_own = |entry: &&[u8; ENTRY_BYTES]| u64::from_ne_bytes(**entry) & OWN == OWN;
        entries.iter().filter(is_own).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_to_is_touched() {
        const WORDS: usize = Pages::BYTES / size_of::<u64>();
        // More than an allocator would take from what it has in use.
        let mut words = vec![0_u64; 20_000 * WORDS].into_boxed_slice();
        let pages = Pages::of(&words);
        let before = pages.touched();
        assert!(before < 3, "{before} pages of fresh memory");
        for page in 10..15 {
            words[page * WORDS] = std::hint::black_box(1);
        }
        assert!(words.iter().step_by(WORDS).sum::<u64>() <= 5, "each page is read");
        assert_eq!(pages.touched(), before + 5);
    }
}
