//! How deep a board's stack became, without help from its firmware: the stack's memory is filled
//! with a pattern before the board starts, and what still holds the pattern was never used.
//!
//! A word that the firmware itself fills with the pattern counts as unused, and so does a frame's
//! part that is never written: the figure is what was touched.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::machine::Machine;

/// What unused words hold; no address of these boards, and no small number.
const PATTERN: [u8; 4] = 0xa5a5_a5a5_u32.to_le_bytes();

/// Where a stack lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Its lowest address; a stack that becomes deeper has overflown.
    pub bottom: u32,
    /// The address above it, from which it grows down.
    pub top: u32,
}

impl Stack {
    /// Its bytes.
    pub fn bytes(&self) -> u32 {
        self.top - self.bottom
    }

    /// Writes the pattern to a file, and returns QEMU's arguments that load it before each reset.
    pub(crate) fn paint(&self, file: &Path) -> Result<[OsString; 2]> {
        ensure!(
            self.bottom.is_multiple_of(4) && self.top > self.bottom,
            "no stack lies at {self:x?}"
        );
        let words = self.bytes() as usize / PATTERN.len();
        fs::write(file, PATTERN.repeat(words)).context("write the stack's paint")?;
        let mut device = OsString::from("loader,file=");
        device.push(file);
        device.push(format!(",addr={:#x},force-raw=on", self.bottom));
        Ok(["-device".into(), device])
    }

    /// How many bytes the machine has touched since its last reset. It was started with
    /// [`Builder::paint`](crate::machine::Builder::paint) and this stack.
    ///
    /// # Errors
    /// Its memory cannot be read, or the stack was not painted: no word holds the pattern.
    pub fn peak(&self, machine: &Machine) -> Result<u32> {
        let memory = machine.memory(self.bottom, self.bytes())?;
        let unused = unused(&memory);
        ensure!(unused > 0, "the stack was used to its bottom, or never painted");
        Ok(self.bytes() - unused)
    }
}

/// Bytes at the bottom that still hold the pattern.
fn unused(memory: &[u8]) -> u32 {
    let painted = memory.chunks_exact(PATTERN.len()).take_while(|word| **word == PATTERN);
    (painted.count() * PATTERN.len()) as u32
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::assembled::Assembled;

    #[test]
    fn what_is_unused_is_counted_from_the_bottom() {
        let [a, b] = [PATTERN, [0; 4]];
        assert_eq!(unused(&[a, a, b, a].concat()), 8);
        assert_eq!(unused(&[b, a].concat()), 0);
        assert_eq!(unused(&[a, a].concat()), 8);
    }

    #[test]
    fn a_machine_s_peak_is_measured() -> Result<()> {
        let program = Assembled::new(
            "stack",
            &[
                0xb090, // sub sp, #64
                0xb401, // push {r0}
            ],
        )?;
        let stack = Stack { bottom: 0x2000_0000, top: Assembled::STACK_TOP };
        let machine = Machine::of(program.file()).paint(stack).start()?;
        machine.wait_for("ok", Duration::from_secs(30))?;
        assert_eq!(stack.peak(&machine)?, 68);
        let bare = Machine::of(program.file()).start()?;
        bare.wait_for("ok", Duration::from_secs(30))?;
        assert!(stack.peak(&bare).is_err(), "it was not painted");
        Ok(())
    }
}
