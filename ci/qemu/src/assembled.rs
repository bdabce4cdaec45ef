//! A program of a few instructions, for the tests of what looks at programs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The data register of UART0 (LM3S6965 data sheet, UARTDR).
const UART0_DATA: u32 = 0x4000_c000;

/// A program in a file, which is gone with the value. It executes what it was made with, prints
/// `ok` and waits for ever.
pub(crate) struct Assembled {
    file: PathBuf,
}

impl Assembled {
    /// The address of the first instruction, behind the two vectors.
    pub(crate) const FIRST: u32 = 8;
    /// Where the stack begins.
    pub(crate) const STACK_TOP: u32 = 0x2000_1000;
    /// Instructions that follow those that the program was made with, up to the wait.
    pub(crate) const CLOSING: u64 = 8;

    /// Thumb instructions of 16 bits.
    pub(crate) fn new(name: &str, instructions: &[u16]) -> Result<Self> {
        let load_at = Self::FIRST + 2 * instructions.len() as u32;
        let closing = |words: u32| {
            [
                0x4800 | words as u16,    // ldr r0, [pc, #4 * words]
                0x2100 | u16::from(b'o'), // movs r1, #'o'
                0x6001,                   // str r1, [r0]
                0x2100 | u16::from(b'k'),
                0x6001,
                0x2100 | u16::from(b'\n'),
                0x6001,
                0xbf30, // wait: wfi
                0xe7fd, // b wait
            ]
        };
        let literal_at = (load_at + 2 * closing(0).len() as u32).next_multiple_of(4);
        // The program counter that `ldr` adds to is two instructions ahead, rounded down.
        let words = (literal_at - (load_at + 4) / 4 * 4) / 4;
        let mut bytes = [Self::STACK_TOP.to_le_bytes(), (Self::FIRST | 1).to_le_bytes()].concat();
        let all = instructions.iter().copied().chain(closing(words));
        bytes.extend(all.flat_map(u16::to_le_bytes));
        bytes.resize(literal_at as usize, 0);
        bytes.extend(UART0_DATA.to_le_bytes());
        let file = format!("dustdevil-{name}-{}.bin", std::process::id());
        let file = std::env::temp_dir().join(file);
        fs::write(&file, bytes).context("write a program")?;
        Ok(Self { file })
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }
}

impl Drop for Assembled {
    fn drop(&mut self) {
        // What is gone already need not be removed.
        let _ = fs::remove_file(&self.file);
    }
}
