//! Finds Rust files that nothing compiles: those that no target of cargo's leads to by `mod`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::source::{Source, words};

/// Every file that the roots reach, themselves among them. `read` is None for a file that is not
/// there.
pub(super) fn reachable(
    roots: impl IntoIterator<Item = PathBuf>,
    read: impl Fn(&Path) -> Option<String>,
) -> BTreeSet<PathBuf> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<(PathBuf, bool)> = roots.into_iter().map(|root| (root, true)).collect();
    while let Some((file, is_root)) = open.pop() {
        let Some(text) = read(&file) else { continue };
        if !seen.insert(file.clone()) {
            continue;
        }
        for candidate in candidates(&file, is_root, &Source::new(&text)) {
            open.push((candidate, false));
        }
    }
    seen
}

/// The files that the `mod name;`, `#[path = ".."]` and `include!("..")` of a file may mean. Names
/// of inline modules are not tracked: a file within one is declared with `#[path]` or not at all.
fn candidates(file: &Path, is_root: bool, source: &Source) -> Vec<PathBuf> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let stem = file.file_stem().unwrap_or_default();
    let below = if is_root || stem == "mod" { folder.to_owned() } else { folder.join(stem) };
    let mut found = Vec::new();
    for (line, code) in source.lines.iter().zip(&source.code) {
        for (at, _) in words(code).filter(|(_, word)| *word == "mod") {
            let Some((name_at, name)) = words(&code[at + 3..]).next() else { continue };
            if code[at + 3 + name_at + name.len()..].trim_start().starts_with(';') {
                found.push(below.join(format!("{name}.rs")));
                found.push(below.join(name).join("mod.rs"));
            }
        }
        let quoted = line.contains("#[path") || code.contains("include!(");
        if let Some(path) = line.split('"').nth(1).filter(|_| quoted) {
            found.push(folder.join(path));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_no_module_names_is_not_reached() {
        let files = [
            (
                "src/lib.rs",
                "pub mod a; // mod dead;\nmod b;\nmod inline { }\n#[path = \"odd.rs\"]\nmod x;",
            ),
            ("src/a.rs", "mod deep;"),
            ("src/a/deep.rs", ""),
            ("src/b/mod.rs", "mod c;"),
            ("src/b/c.rs", ""),
            ("src/odd.rs", ""),
            ("src/dead.rs", ""),
        ];
        let read = |path: &Path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| (*text).to_owned())
        };
        let reached = reachable([PathBuf::from("src/lib.rs")], read);
        let dead: Vec<&str> = files
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| !reached.contains(Path::new(name)))
            .collect();
        assert_eq!(dead, ["src/dead.rs"]);
    }
}
