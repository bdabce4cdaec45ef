//! The rules that the sources themselves must keep, checked file by file.
//!
//! The rules, with the reason for each, are in CONTRIBUTING.md; here each is one function from a
//! text to findings, and each has a test that shows it failing.

mod documents;
mod reach;
mod rust;
mod source;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::metadata::{self, Metadata};

/// What a line may hold, in characters.
const COLUMNS_MAX: usize = 100;

/// The folders and files that lie at the top: a new one is a decision about the architecture.
const TOP: &[&str] = &[
    ".cargo",
    ".ci",
    ".clippy.toml",
    ".deny.toml",
    ".gitignore",
    ".rustfmt.toml",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "boards",
    "ci",
    "core",
    "examples",
    "http",
    "std-shim",
];

/// The documents that must be there.
const DOCUMENTS: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
];

/// Files whose text is judged.
const TEXT: &[&str] = &["rs", "toml", "md", "html", "css", "js", "sh", "x", "yml"];

/// Something wrong at a line, counted from 0.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    line: usize,
    what: String,
}

impl Finding {
    fn new(line: usize, what: impl Into<String>) -> Self {
        Self { line, what: what.into() }
    }
}

/// Runs the check.
pub(super) fn check() -> Result<()> {
    let root = metadata::root();
    let files = files(root)?;
    let mut wrong = top(&files);
    for name in DOCUMENTS.iter().filter(|name| !files.iter().any(|file| file == Path::new(name))) {
        wrong.push(format!("{name}: is missing"));
    }
    for file in &files {
        let Ok(text) = std::fs::read_to_string(root.join(file)) else { continue };
        for Finding { line, what } in judge(file, &text) {
            wrong.push(format!("{}:{}: {what}", file.display(), line + 1));
        }
    }
    wrong.extend(quotes(root)?);
    wrong.extend(dead(root, &files)?);
    println!("{} files have been looked at", files.len());
    if !wrong.is_empty() {
        bail!("{} findings:\n{}", wrong.len(), wrong.join("\n"));
    }
    Ok(())
}

/// What git knows, and what it would add: a file is judged before it is committed.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut command = Command::new("git");
    command.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let output = command.current_dir(root).output().context("start git ls-files")?;
    if !output.status.success() {
        bail!("git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let listed = String::from_utf8(output.stdout)?;
    let mut files: Vec<PathBuf> = listed.split_terminator('\0').map(PathBuf::from).collect();
    files.retain(|file| root.join(file).is_file());
    files.sort();
    files.dedup();
    if files.is_empty() {
        bail!("git ls-files named no file");
    }
    Ok(files)
}

fn top(files: &[PathBuf]) -> Vec<String> {
    let mut first: Vec<String> = files
        .iter()
        .filter_map(|file| file.components().next())
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .filter(|name| !TOP.contains(&name.as_str()))
        .collect();
    first.dedup();
    first
        .into_iter()
        .map(|name| format!("{name}: is not on the list of what lies at the top"))
        .collect()
}

/// Everything that one file's text says.
fn judge(file: &Path, text: &str) -> Vec<Finding> {
    let name = file.to_string_lossy();
    let extension = file.extension().unwrap_or_default().to_string_lossy();
    let mut findings = Vec::new();
    if !TEXT.contains(&extension.as_ref()) && name != ".ci/run" {
        return findings;
    }
    findings.extend(width(&extension, text));
    findings.extend(markers(text));
    match name.as_ref() {
        "CHANGELOG.md" => findings.extend(documents::changelog(text)),
        "ARCHITECTURE.md" => findings.extend(documents::architecture(text)),
        _ if extension == "rs" => findings.extend(rust::judge(&name, text)),
        _ => {}
    }
    findings
}

fn width(extension: &str, text: &str) -> Vec<Finding> {
    // A table's row, an address and a package's description cannot be broken.
    let unbreakable = |line: &str| {
        let row = match extension {
            "md" => line.trim_start(),
            "rs" if line.trim_start().starts_with("//") => line.trim_start_matches(['/', '!', ' ']),
            _ => "",
        };
        row.starts_with("| ")
            || (extension == "toml" && line.starts_with("description = "))
            || line.contains("://")
    };
    text.lines()
        .enumerate()
        .filter(|(_, line)| line.chars().count() > COLUMNS_MAX && !unbreakable(line))
        .map(|(at, _)| Finding::new(at, format!("is longer than {COLUMNS_MAX} characters")))
        .collect()
}

/// Marks of unfinished work carry an issue's number: `(#12)` right behind them.
fn markers(text: &str) -> Vec<Finding> {
    // Spelled in halves, so that this file has none.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let mut findings = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for (place, word) in source::words(line).filter(|(_, word)| marks.contains(word)) {
            let digits =
                line[place + word.len()..].strip_prefix("(#").and_then(|rest| rest.split_once(')'));
            if digits.is_none_or(|(number, _)| number.parse::<u32>().is_err()) {
                findings.push(Finding::new(at, format!("{word} without an issue's number")));
            }
        }
    }
    findings
}

/// The files that README.md shows, each with a line that no other has.
const QUOTED: &[(&str, &str)] = &[
    ("examples/hello/src/lib.rs", "routes!(App {"),
    ("boards/lm3s6965evb/src/bin/hello.rs", "#![no_main]"),
];

/// What README.md shows of a file is what the file says.
fn quotes(root: &Path) -> Result<Vec<String>> {
    let read = |name: &'static str| std::fs::read_to_string(root.join(name)).context(name);
    let text = read("README.md")?;
    let mut found = Vec::new();
    for &(path, mark) in QUOTED {
        found.extend(documents::quote(&text, mark, path, &read(path)?));
    }
    Ok(found.iter().map(|it| format!("README.md:{}: {}", it.line + 1, it.what)).collect())
}

/// Rust files that nothing compiles.
fn dead(root: &Path, files: &[PathBuf]) -> Result<Vec<String>> {
    let workspace = &Metadata::of_workspace()?.packages;
    let peers = Metadata::of_peers()?;
    let peers = peers.iter().flat_map(|it| &it.packages);
    let targets = workspace.iter().chain(peers).flat_map(|package| &package.targets);
    let roots = targets.map(|target| target.src_path.clone());
    let reached = reach::reachable(roots, |file| std::fs::read_to_string(file).ok());
    let is_rust = |file: &&PathBuf| file.extension().is_some_and(|extension| extension == "rs");
    let unreached = files.iter().filter(is_rust).filter(|file| !reached.contains(&root.join(file)));
    Ok(unreached.map(|file| format!("{}: nothing compiles this file", file.display())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_found_unless_it_cannot_be_broken() {
        let long = "x".repeat(COLUMNS_MAX + 1);
        assert_eq!(width("rs", &format!("a\n{long}"))[0].line, 1);
        assert!(width("rs", &long[1..]).is_empty());
        assert_eq!(width("md", &long).len(), 1);
        assert!(width("md", &format!("| {long} |")).is_empty());
        assert_eq!(width("rs", &format!("let {long} = 1;")).len(), 1);
        assert_eq!(width("rs", &format!("a | {long}")).len(), 1);
        assert!(width("rs", &format!("    /// | {long} |")).is_empty());
        assert_eq!(width("rs", &format!("    | {long}")).len(), 1);
        assert!(width("toml", &format!("description = \"{long}\"")).is_empty());
        assert_eq!(width("toml", &format!("a = \"{long}\"")).len(), 1);
        assert!(width("md", &format!("<https://x.example/{long}>")).is_empty());
    }

    #[test]
    fn a_mark_needs_an_issue() {
        let mark = concat!("TO", "DO");
        let table = [
            ("", 1),
            (": later", 1),
            ("(#12): later", 0),
            ("(#): later", 1),
            ("(me)", 1),
            ("S", 0),
        ];
        for (rest, count) in table {
            assert_eq!(markers(&format!("// {mark}{rest}")).len(), count, "{rest}");
        }
        assert_eq!(markers(concat!("// XX", "X")).len(), 1);
        assert_eq!(markers(concat!("# FIX", "ME")).len(), 1);
    }

    #[test]
    fn a_new_folder_at_the_top_is_found() {
        let files = ["core/src/lib.rs", "README.md", "misc/a.rs", "misc/b.rs", "notes.md"];
        let found = top(&files.map(PathBuf::from));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("misc:") && found[1].starts_with("notes.md:"));
    }

    #[test]
    fn each_kind_of_file_is_judged() {
        let long = "x".repeat(COLUMNS_MAX + 1);
        for file in ["core/src/time.rs", "README.md", "core/Cargo.toml", ".ci/run", "a.css"] {
            assert!(!judge(Path::new(file), &long).is_empty(), "{file}");
        }
        assert!(judge(Path::new("Cargo.lock"), &long).is_empty());
        assert!(!judge(Path::new("CHANGELOG.md"), "").is_empty());
        assert!(!judge(Path::new("ARCHITECTURE.md"), &"a\n".repeat(251)).is_empty());
    }
}
