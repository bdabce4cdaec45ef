//! What the examples cost on a board: flash, statics and sizes of futures, read from the firmware.

use anyhow::{Context, Result, ensure};
use object::read::elf::{ElfFile32, FileHeader as _};
use object::{Endianness, Object, ObjectSection, ObjectSymbol, SectionFlags, elf};

use super::budgets::Figure;
use crate::metadata::{self, Metadata};
use crate::packages::{self, Build, TARGET_BOARD};
use crate::process::cargo;

/// A static of this name's beginning, a `u32`, is a figure of its own: `BUDGET_HANDLER_BYTES`.
const BUDGET: &str = "BUDGET_";

/// Builds every firmware and reads its sizes.
pub(super) fn figures() -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for entry in packages::of(&[Build::Firmware])? {
        cargo(15)
            .args(["build", "--locked", "--profile", "firmware", "--target", TARGET_BOARD])
            .args(["-p", entry.name])
            .run()?;
        let package = Metadata::of_workspace()?.package(entry.name);
        let targets = package.map(|package| &package.targets[..]).unwrap_or_default();
        for target in targets.iter().filter(|target| target.kind.iter().any(|kind| kind == "bin")) {
            let folder = metadata::target_folder()?.join(TARGET_BOARD).join("firmware");
            let path = folder.join(&target.name);
            let bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
            let sizes = Sizes::of(&bytes).with_context(|| format!("read {}", path.display()))?;
            figures.extend(sizes.figures(&format!("firmware.{}", target.name)));
        }
    }
    ensure!(!figures.is_empty(), "no firmware is in the workspace");
    Ok(figures)
}

/// What one firmware takes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sizes {
    /// Code, constants and the initial values of statics.
    flash_bytes: u64,
    /// Statics, zeroed or not; the stack comes on top.
    static_bytes: u64,
    /// What the firmware itself names.
    named: Vec<(String, u64)>,
}

impl Sizes {
    fn of(bytes: &[u8]) -> Result<Self> {
        let file = ElfFile32::<Endianness>::parse(bytes)?;
        let machine = file.elf_header().e_machine(Endianness::Little);
        ensure!(machine == elf::EM_ARM, "the file is not for ARM");
        let mut sizes = Self::default();
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags, sh_type } = section.flags() else { continue };
            let has = |flag: elf::SectionFlags| sh_flags.0 & flag.0 != 0;
            if !has(elf::SHF_ALLOC) {
                continue;
            }
            let has_bytes = sh_type != elf::SHT_NOBITS;
            sizes.flash_bytes += if has_bytes { section.size() } else { 0 };
            sizes.static_bytes += if has(elf::SHF_WRITE) { section.size() } else { 0 };
        }
        for symbol in file.symbols() {
            let Some(key) = symbol.name().ok().and_then(key) else { continue };
            let index = symbol.section_index().context("a budget's static lies nowhere")?;
            let section = file.section_by_index(index)?;
            let value = section.data_range(symbol.address(), 4)?.context("a budget is a u32")?;
            let value = <[u8; 4]>::try_from(value).context("a budget is a u32")?;
            sizes.named.push((key, u64::from(u32::from_le_bytes(value))));
        }
        sizes.named.sort();
        Ok(sizes)
    }

    fn figures(self, prefix: &str) -> Vec<Figure> {
        let own = [("flash_bytes", self.flash_bytes), ("static_bytes", self.static_bytes)];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        let all = own.into_iter().chain(self.named);
        all.map(|(name, value)| Figure::new(format!("{prefix}.{name}"), value as f64)).collect()
    }
}

/// `handler_bytes` from a symbol, mangled or not, that contains `BUDGET_HANDLER_BYTES`.
fn key(symbol: &str) -> Option<String> {
    let name = &symbol[symbol.find(BUDGET)? + BUDGET.len()..];
    let end = name.find(|c: char| !(c.is_ascii_uppercase() || c == '_'));
    Some(name[..end.unwrap_or(name.len())].trim_end_matches('_').to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_s_name_is_read_from_a_mangled_symbol() {
        let table = [
            ("_ZN5hello20BUDGET_HANDLER_BYTES17h0123456789abcdefE", Some("handler_bytes")),
            ("_RNvCs1234_5hello20BUDGET_HANDLER_BYTES", Some("handler_bytes")),
            ("BUDGET_HANDLER_BYTES", Some("handler_bytes")),
            ("BUDGET_HANDLER_BYTES.llvm.123", Some("handler_bytes")),
            ("_ZN5hello4mainE", None),
        ];
        for (symbol, name) in table {
            assert_eq!(key(symbol).as_deref(), name, "{symbol}");
        }
    }

    #[test]
    fn a_file_that_is_no_firmware_fails() {
        assert!(Sizes::of(b"not an ELF file").is_err());
    }
}
