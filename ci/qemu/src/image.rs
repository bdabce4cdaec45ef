//! What firmware takes and where its parts lie, read from its ELF file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use object::read::elf::{ElfFile32, FileHeader as _};
use object::{Endianness, Object, ObjectSection, ObjectSymbol, SectionFlags, SymbolKind, elf};

use crate::stack::Stack;
use crate::written;

/// A static of this name's beginning, a `u32`, is a figure of its own: `BUDGET_HANDLER_BYTES`.
const BUDGET: &str = "BUDGET_";

/// The symbol at the top of the stack, in cortex-m-rt's linker script.
const STACK_TOP: &str = "_stack_start";

/// Where RAM begins on every Cortex-M (ARMv7-M Architecture Reference Manual, B3.1).
const RAM: u32 = 0x2000_0000;

/// An ELF file that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Bytes of flash: code, constants and the initial values of statics.
    pub flash_bytes: u64,
    /// Bytes of RAM that statics take, zeroed or not; the stack comes on top.
    pub static_bytes: u64,
    /// Where the stack lies; None in an image that names no top of it.
    pub stack: Option<Stack>,
    /// What the firmware itself names, by `static BUDGET_NAME: u32`: name and value.
    pub named: Vec<(String, u64)>,
    /// Functions, by address.
    functions: Vec<Function>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Function {
    address: u32,
    bytes: u32,
    name: String,
}

impl Image {
    /// Reads a file.
    ///
    /// # Errors
    /// It is not there, or no ELF file for ARM.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
        Self::of(&bytes).with_context(|| format!("read {}", path.display()))
    }

    /// The function that this address belongs to, as Rust spells its name.
    pub fn function(&self, address: u32) -> Option<&str> {
        let behind = self.functions.partition_point(|function| function.address <= address);
        let function = self.functions.get(behind.checked_sub(1)?)?;
        (address - function.address < function.bytes).then_some(function.name.as_str())
    }

    /// Bytes of code of each crate, the most first, as its functions were written: those that the
    /// compiler inlined count for their own crate. Constants come last, as one.
    ///
    /// # Errors
    /// The file cannot be read or has no debugging information.
    pub fn flash_of_crates(elf: &Path) -> Result<Vec<(String, u64)>> {
        let image = Self::read(elf)?;
        let halves = |function: &Function| (0..function.bytes / 2).map(|at| 2 * at);
        let places = image.functions.iter().flat_map(|function| {
            let address = function.address;
            halves(function).map(move |at| address + at)
        });
        // Two names may stand for the same code.
        let places: BTreeSet<u32> = places.collect();
        let names = written::functions(elf, places.iter().copied())?;
        let mut crates = BTreeMap::<String, u64>::new();
        for address in &places {
            let name = names.get(address).map(String::as_str).or_else(|| image.function(*address));
            *crates.entry(written::crate_of(name.unwrap_or("?")).to_owned()).or_default() += 2;
        }
        let code: u64 = crates.values().sum();
        let mut profile: Vec<(String, u64)> = crates.into_iter().collect();
        profile.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        profile.push(("(constants)".to_owned(), image.flash_bytes.saturating_sub(code)));
        Ok(profile)
    }

    fn of(bytes: &[u8]) -> Result<Self> {
        let file = ElfFile32::<Endianness>::parse(bytes)?;
        let machine = file.elf_header().e_machine(Endianness::Little);
        ensure!(machine == elf::EM_ARM, "the file is not for ARM");
        let top = file.symbols().find(|symbol| symbol.name() == Ok(STACK_TOP));
        let top = top.map(|symbol| symbol.address() as u32);
        let statics: Vec<Section> = Section::all(&file).filter(|it| it.is_written).collect();
        let stack = top.map(|top| {
            // What is written below the stack, it may reach; without it, RAM ends there.
            let below = statics.iter().map(|it| it.end).filter(|end| *end <= top && *end > RAM);
            Stack { bottom: below.max().unwrap_or(RAM), top }
        });
        let is_stack = |it: &Section| {
            stack.is_some_and(|stack| it.start >= stack.bottom && it.start < stack.top)
        };
        let in_flash = Section::all(&file).filter(|it| it.has_bytes);
        Ok(Self {
            flash_bytes: in_flash.map(|it| it.bytes()).sum(),
            static_bytes: statics.iter().filter(|it| !is_stack(it)).map(Section::bytes).sum(),
            stack,
            named: named(&file)?,
            functions: functions(&file),
        })
    }
}

/// A section that has a place in the board's memory.
struct Section {
    start: u32,
    end: u32,
    has_bytes: bool,
    is_written: bool,
}

impl Section {
    fn all<'a>(file: &'a ElfFile32<'_, Endianness>) -> impl Iterator<Item = Self> + 'a {
        file.sections().filter_map(|section| {
            let SectionFlags::Elf { sh_flags, sh_type } = section.flags() else { return None };
            let has = |flag: elf::SectionFlags| sh_flags.0 & flag.0 != 0;
            let start = section.address() as u32;
            has(elf::SHF_ALLOC).then(|| Self {
                start,
                end: start + section.size() as u32,
                has_bytes: sh_type != elf::SHT_NOBITS,
                is_written: has(elf::SHF_WRITE),
            })
        })
    }

    fn bytes(&self) -> u64 {
        u64::from(self.end - self.start)
    }
}

fn named(file: &ElfFile32<'_, Endianness>) -> Result<Vec<(String, u64)>> {
    let mut named = Vec::new();
    for symbol in file.symbols() {
        let Some(key) = symbol.name().ok().and_then(key) else { continue };
        let index = symbol.section_index().context("a budget's static lies nowhere")?;
        let section = file.section_by_index(index)?;
        let value = section.data_range(symbol.address(), 4)?.context("a budget is a u32")?;
        let value = <[u8; 4]>::try_from(value).context("a budget is a u32")?;
        named.push((key, u64::from(u32::from_le_bytes(value))));
    }
    named.sort();
    Ok(named)
}

fn functions(file: &ElfFile32<'_, Endianness>) -> Vec<Function> {
    let text = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text);
    let mut functions: Vec<Function> = text
        .filter(|symbol| symbol.size() > 0)
        .map(|symbol| Function {
            // The lowest bit says that the instructions are Thumb.
            address: symbol.address() as u32 & !1,
            bytes: symbol.size() as u32,
            name: format!("{:#}", rustc_demangle::demangle(symbol.name().unwrap_or("?"))),
        })
        .collect();
    functions.sort_by(|a, b| (a.address, &a.name).cmp(&(b.address, &b.name)));
    functions
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
    fn an_address_belongs_to_the_function_around_it() {
        let function = |address, bytes, name: &str| Function { address, bytes, name: name.into() };
        let image = Image {
            flash_bytes: 0,
            static_bytes: 0,
            stack: None,
            named: Vec::new(),
            functions: vec![function(8, 4, "first"), function(16, 2, "second")],
        };
        let table =
            [(6, None), (8, Some("first")), (10, Some("first")), (12, None), (16, Some("second"))];
        for (address, name) in table {
            assert_eq!(image.function(address), name, "{address}");
        }
    }

    #[test]
    fn a_file_that_is_no_firmware_fails() {
        assert!(Image::of(b"not an ELF file").is_err());
    }
}
