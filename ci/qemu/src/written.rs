//! Which function of the source an instruction was written in, from the debugging information
//! (DWARF) of an ELF file: also one that the compiler put into another.
//!
//! What the standard library's own functions execute counts for the one who called them: nobody can
//! do anything about `Iter::next`.

use std::collections::BTreeMap;
use std::path::Path;

use addr2line::Context;
use addr2line::gimli::{Dwarf, EndianSlice, LittleEndian, SectionId};
use anyhow::{Context as _, Result, ensure};
use object::read::elf::ElfFile32;
use object::{Endianness, Object, ObjectSection};

/// Files of the standard library have one of these in their path.
const STANDARD: &[&str] = &["/library/core/", "/library/compiler-builtins/"];

/// The crate of a function, as [`functions`] names it: `core` of `<core::str::Chars as ..>::next`,
/// and for a type without a path the crate of the trait that it implements.
pub(crate) fn crate_of(function: &str) -> &str {
    let path = function.trim_start_matches(['<', '&', '[', '*', '(']).trim_start_matches("mut ");
    let first = path.split("::").next().unwrap_or(path);
    match first.rsplit_once(" as ") {
        Some((_, of_trait)) => of_trait,
        // `<usize>::checked_sub`: only the standard library may add to such a type.
        None if first.ends_with(['>', ']']) => "core",
        None => first,
    }
}

/// The functions of these addresses, of those that have one.
pub(crate) fn functions(
    elf: &Path,
    addresses: impl Iterator<Item = u32>,
) -> Result<BTreeMap<u32, String>> {
    let bytes = std::fs::read(elf).with_context(|| format!("read {}", elf.display()))?;
    let file = ElfFile32::<Endianness>::parse(&*bytes)?;
    let section = |id: SectionId| -> Result<EndianSlice<'_, LittleEndian>> {
        let section = file.section_by_name(id.name());
        let data = section.map(|section| section.data()).transpose()?;
        Ok(EndianSlice::new(data.unwrap_or_default(), LittleEndian))
    };
    ensure!(!section(SectionId::DebugInfo)?.is_empty(), "no debugging information is in it");
    let context = Context::from_dwarf(Dwarf::load(section)?)?;
    let mut names = BTreeMap::new();
    for address in addresses {
        let mut frames = context.find_frames(address.into()).skip_all_loads()?;
        // The innermost frame comes first.
        while let Some(frame) = frames.next()? {
            let file = frame.location.and_then(|location| location.file).unwrap_or_default();
            let Some(function) = frame.function else { continue };
            let name = format!("{:#}", rustc_demangle::demangle(&function.raw_name()?));
            names.insert(address, name);
            if !STANDARD.iter().any(|part| file.contains(part)) {
                break;
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_s_crate_is_the_beginning_of_its_path() {
        let table = [
            ("smoltcp::wire::tcp::Repr::parse", "smoltcp"),
            ("<smoltcp::wire::Repr as core::fmt::Debug>::fmt", "smoltcp"),
            ("<&mut serde_json_core::ser::Serializer as serde::Serializer>::f", "serde_json_core"),
            ("<i32 as core::fmt::Display>::fmt", "core"),
            ("<P as dustdevil_core::operations::World>::connect", "dustdevil_core"),
            ("<usize>::checked_sub", "core"),
            ("memcpy", "memcpy"),
        ];
        for (function, name) in table {
            assert_eq!(crate_of(function), name, "{function}");
        }
    }

    #[test]
    fn a_file_without_debugging_information_fails() {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert!(functions(&own, [8].into_iter()).is_err(), "no ELF file");
    }
}
