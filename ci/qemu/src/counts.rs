//! What the plugin `icount` counted: how often the guest executed each of its instructions.
//!
//! QEMU adds to the counters of a file that it maps; they are read here while the guest runs, so a
//! difference of two readings is what happened in between, interrupt handlers and the idle loop
//! included.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::Build;
use crate::image::Image;
use crate::machine::Machine;
use crate::written;

/// Bytes from address 0 on whose instructions are counted one by one: the flash of the LM3S6965.
const BYTES: u32 = 256 * 1024;

/// A Thumb instruction has at least so many bytes.
const STEP: u32 = 2;

/// How the profile calls instructions that lie behind [`BYTES`].
const ELSEWHERE: &str = "(outside the flash)";

/// The plugin, built.
pub struct Plugin {
    file: PathBuf,
}

impl Plugin {
    /// Builds it.
    ///
    /// # Errors
    /// It does not build; cargo has printed why.
    pub fn build() -> Result<Self> {
        Ok(Self { file: Build::new(["-p", "icount"]).file_of("icount")? })
    }

    /// What `-plugin` takes, for a machine that counts into a file.
    pub(crate) fn word(&self, counts: &Path) -> OsString {
        let mut word = OsString::from(&self.file);
        word.push(",counts=");
        word.push(counts);
        word.push(format!(",bytes={BYTES}"));
        word
    }
}

/// How often each instruction was executed, at one moment or between two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// By address, [`STEP`] bytes each; the last one counts what lies elsewhere.
    executed: Vec<u64>,
}

impl Counts {
    /// What a machine has counted so far; it was started with
    /// [`Builder::count`](crate::machine::Builder::count).
    ///
    /// # Errors
    /// The machine does not count.
    pub fn of(machine: &Machine) -> Result<Self> {
        let file = machine.counts_file();
        let bytes = fs::read(&file).context("read what the plugin counted")?;
        let (words, rest) = bytes.as_chunks::<8>();
        let wanted = (BYTES / STEP + 1) as usize;
        ensure!(
            words.len() == wanted && rest.is_empty(),
            "the plugin's file has {} bytes",
            bytes.len()
        );
        // The plugin runs on this machine: its own order of bytes.
        Ok(Self { executed: words.iter().map(|word| u64::from_ne_bytes(*word)).collect() })
    }

    /// Waits until the guest is quiet, which is when it executes fewer than `most` instructions in
    /// `for_` such a time, and returns what it has counted until then.
    ///
    /// # Errors
    /// It is not quiet after `patience`.
    pub fn when_quiet(
        machine: &Machine,
        most: u64,
        for_: Duration,
        patience: Duration,
    ) -> Result<Self> {
        let deadline = Instant::now() + patience;
        let mut before = Self::of(machine)?;
        loop {
            thread::sleep(for_);
            let now = Self::of(machine)?;
            let executed = now.total() - before.total();
            if executed < most {
                return Ok(now);
            }
            if Instant::now() > deadline {
                bail!("after {patience:?} the board still executed {executed} in {for_:?}");
            }
            before = now;
        }
    }

    /// All instructions.
    pub fn total(&self) -> u64 {
        self.executed.iter().sum()
    }

    /// How often the instruction at an address was executed; None outside the flash.
    pub fn at(&self, address: u32) -> Option<u64> {
        let within = self.executed.get(..(BYTES / STEP) as usize)?;
        within.get((address / STEP) as usize).copied()
    }

    /// What was executed after an earlier reading of the same machine.
    pub fn since(&self, earlier: &Self) -> Self {
        let pairs = self.executed.iter().zip(&earlier.executed);
        Self { executed: pairs.map(|(now, then)| now.saturating_sub(*then)).collect() }
    }

    /// Instructions of each function as it was linked, the most first: what the compiler inlined
    /// counts for the function around it. All are in it, so the sum is [`Counts::total`].
    pub fn profile(&self, image: &Image) -> Vec<(String, u64)> {
        self.profile_by(|address| image.function(address).map(str::to_owned))
    }

    /// Instructions of each function as it was written, the most first: those that the compiler
    /// inlined are functions of their own here, wherever they went.
    ///
    /// # Errors
    /// The file cannot be read or has no debugging information.
    pub fn profile_as_written(&self, elf: &Path) -> Result<Vec<(String, u64)>> {
        let executed = self.executed.iter().enumerate().filter(|(_, count)| **count > 0);
        let addresses = executed.map(|(at, _)| at as u32 * STEP);
        let names = written::functions(elf, addresses)?;
        // Assembly has no more than its symbol.
        let image = Image::read(elf)?;
        let symbol = |address| image.function(address).map(str::to_owned);
        Ok(self.profile_by(|address| names.get(&address).cloned().or_else(|| symbol(address))))
    }

    /// Instructions of each crate, the most first, as its functions were written.
    ///
    /// # Errors
    /// As [`Counts::profile_as_written`].
    pub fn profile_of_crates(&self, elf: &Path) -> Result<Vec<(String, u64)>> {
        let mut by_crate = BTreeMap::<String, u64>::new();
        for (function, executed) in self.profile_as_written(elf)? {
            *by_crate.entry(written::crate_of(&function).to_owned()).or_default() += executed;
        }
        Ok(most_first(by_crate))
    }

    fn profile_by(&self, function: impl Fn(u32) -> Option<String>) -> Vec<(String, u64)> {
        let mut by_name = BTreeMap::<String, u64>::new();
        let last = self.executed.len() - 1;
        for (at, executed) in self.executed.iter().enumerate().filter(|(_, count)| **count > 0) {
            let address = at as u32 * STEP;
            let name = match at == last {
                true => ELSEWHERE.to_owned(),
                false => function(address).unwrap_or_else(|| format!("{address:#x}")),
            };
            *by_name.entry(name).or_default() += executed;
        }
        most_first(by_name)
    }
}

fn most_first(by_name: BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let mut profile: Vec<(String, u64)> = by_name.into_iter().collect();
    profile.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    profile
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assembled::Assembled;

    #[test]
    fn each_instruction_is_counted_exactly() -> Result<()> {
        let program = Assembled::new(
            "counts",
            &[
                0x2064, // movs r0, #100
                0x3801, // again: subs r0, #1
                0xd1fd, // bne again
            ],
        )?;
        let machine = Machine::of(program.file()).count(&Plugin::build()?).start()?;
        machine.wait_for("ok", Duration::from_secs(30))?;
        let (soon, late) = (Duration::from_millis(20), Duration::from_secs(30));
        let counts = Counts::when_quiet(&machine, 1, soon, late)?;
        let first = Assembled::FIRST;
        let found = [0, 2, 4].map(|at| counts.at(first + at));
        assert_eq!(found, [Some(1), Some(100), Some(100)]);
        // What follows prints "ok" and waits for ever.
        assert_eq!(counts.total(), 1 + 100 + 100 + Assembled::CLOSING);
        assert_eq!(counts.since(&counts).total(), 0);
        machine.quit(late)
    }

    #[test]
    fn without_the_plugin_there_is_nothing_to_read() -> Result<()> {
        let program = Assembled::new("bare", &[])?;
        let machine = Machine::of(program.file()).start()?;
        assert!(Counts::of(&machine).is_err());
        Ok(())
    }
}
