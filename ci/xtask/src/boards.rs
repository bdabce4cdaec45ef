//! The boards that there is firmware for, and which examples each has.
//!
//! A board is a package under `boards/`; an example that it has is a binary of that package with
//! the name of a package under `examples/`. Its other binaries are firmware for tests.

use std::path::{Path, PathBuf};

use ::qemu::firmware::{Address, Firmware};
use anyhow::{Context, Result, bail};

use crate::metadata::{Metadata, Package};
use crate::packages::TARGET_BOARD;

/// A board.
#[derive(Debug)]
pub(crate) struct Board {
    /// Its package.
    pub(crate) name: &'static str,
    /// Its instruction set, as rustc calls it.
    pub(crate) target: &'static str,
    /// Bytes of flash.
    pub(crate) flash_bytes: u64,
    /// Bytes of RAM.
    pub(crate) ram_bytes: u64,
    /// OpenOCD's script for it, which knows its debug interface and its flash.
    openocd: &'static str,
}

/// Every board.
pub(crate) const BOARDS: &[Board] = &[Board {
    name: "lm3s6965evb",
    target: TARGET_BOARD,
    flash_bytes: 256 * 1024,
    ram_bytes: 64 * 1024,
    openocd: "board/ek-lm3s6965.cfg",
}];

/// The port at which an example's firmware listens.
pub(crate) fn port_of(example: &str) -> u16 {
    match example {
        "echo" => 7,
        "chat-tcp" => 7000,
        _ => 80,
    }
}

impl Board {
    /// The board of this name.
    pub(crate) fn find(name: &str) -> Result<&'static Self> {
        let found = BOARDS.iter().find(|board| board.name == name);
        found.with_context(|| {
            let names: Vec<&str> = BOARDS.iter().map(|board| board.name).collect();
            format!("there is no board `{name}`; there is: {}", names.join(", "))
        })
    }

    /// The examples that it has.
    pub(crate) fn examples(&self) -> Result<Vec<&'static str>> {
        let metadata = Metadata::of_workspace()?;
        let package = metadata.package(self.name);
        let package = package.with_context(|| format!("no package is called {}", self.name))?;
        Ok(examples(&package.binaries().collect::<Vec<_>>(), |name| {
            metadata.package(name).map(Package::folder)
        }))
    }

    /// Builds an example's firmware and returns its ELF file.
    pub(crate) fn build(
        &self,
        example: &str,
        address: &Address,
        environment: &[(&str, &str)],
    ) -> Result<PathBuf> {
        let examples = self.examples()?;
        if !examples.contains(&example) {
            let (name, examples) = (self.name, examples.join(", "));
            bail!("{name} has no example `{example}`; it has: {examples}");
        }
        let (board, target) = (self.name, self.target);
        Firmware { board, target, bin: example, address: Some(address), environment }.build()
    }

    /// The command that writes an ELF file into the board's flash.
    pub(crate) fn flash_command(&self, elf: &Path) -> String {
        let (script, elf) = (self.openocd, elf.display());
        format!("openocd -f {script} -c \"program {elf} verify reset exit\"")
    }
}

fn examples<'a>(binaries: &[&'a str], folder: impl Fn(&str) -> Option<String>) -> Vec<&'a str> {
    let is_example =
        |name: &&&str| folder(name).is_some_and(|folder| folder.starts_with("examples/"));
    binaries.iter().filter(is_example).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_that_is_not_there_is_answered_with_those_that_are() -> Result<()> {
        assert_eq!(Board::find("lm3s6965evb")?.target, TARGET_BOARD);
        let failure = Board::find("lm3s").map(|board| board.name).err();
        let failure = failure.map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(failure, "there is no board `lm3s`; there is: lm3s6965evb");
        Ok(())
    }

    #[test]
    fn an_example_is_a_binary_with_an_example_s_name() {
        let folder = |name: &str| match name {
            "hello" => Some("examples/hello".to_owned()),
            "soak" => Some("ci/soak".to_owned()),
            _ => None,
        };
        assert_eq!(examples(&["fault-panic", "hello", "soak"], folder), ["hello"]);
    }

    #[test]
    fn the_flash_command_names_script_and_file() {
        assert_eq!(
            BOARDS[0].flash_command(Path::new("/t/hello.elf")),
            "openocd -f board/ek-lm3s6965.cfg -c \"program /t/hello.elf verify reset exit\""
        );
    }
}
