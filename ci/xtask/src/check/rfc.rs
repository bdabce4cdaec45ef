//! `http/RFC.md`, the table of what RFC 9110 and RFC 9112 require: every requirement is in it,
//! once; every line names a test, or says why there is none; every test named is there.
//!
//! A test is found by its path as rustc would, `proto::conn::tests::x` in `http/src/proto/conn.rs`
//! and `it::rfc::x` in `http/tests/it/rfc.rs` or `rfc/mod.rs`: as a function right behind an
//! attribute `#[test]`. A line of the corpus is found by its text.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::metadata;

/// The document that is judged.
const TABLE: &str = "http/RFC.md";

/// How many sentences of each RFC require something, but for the one that defines the words.
const SENTENCES: &[(&str, usize)] = &[("9110", 200), ("9112", 83)];

/// What stands before a line of the corpus.
const CORPUS: &str = "corpus: ";

/// Where the corpus lies: a file, and a folder beside it.
const CORPUS_AT: &str = "http/src/proto/corpus";

/// What stands before the reason why no test holds a line.
const NONE: &str = "none: ";

/// Runs the check.
pub(super) fn check() -> Result<()> {
    let root = metadata::root();
    let text = std::fs::read_to_string(root.join(TABLE)).context(TABLE)?;
    let read = |path: &str| std::fs::read_to_string(root.join(path)).ok();
    let wrong = judge(&text, &corpus(root)?, &read);
    if !wrong.is_empty() {
        bail!("{TABLE}: {} findings:\n{}", wrong.len(), wrong.join("\n"));
    }
    println!("{} lines have been looked at", rows(&text).count());
    Ok(())
}

/// All files of the corpus.
fn corpus(root: &Path) -> Result<String> {
    let mut text = std::fs::read_to_string(root.join(CORPUS_AT).with_extension("rs"))?;
    for entry in std::fs::read_dir(root.join(CORPUS_AT)).context(CORPUS_AT)? {
        text += &std::fs::read_to_string(entry?.path())?;
    }
    Ok(text)
}

/// A line of a table: its number, from 1, and its cells.
struct Row<'a> {
    number: usize,
    cells: Vec<&'a str>,
}

/// The lines of all tables, but their headings.
fn rows(text: &str) -> impl Iterator<Item = Row<'_>> {
    text.lines().enumerate().filter_map(|(at, line)| {
        let inner = line.strip_prefix('|')?.strip_suffix('|').unwrap_or(line);
        let cells: Vec<&str> = inner.split('|').map(str::trim).collect();
        let is_heading = cells[0] == "id" || cells[0].starts_with("---");
        (!is_heading).then_some(Row { number: at + 1, cells })
    })
}

/// Everything that is wrong with this text. `read`: the sources, by their path from the top.
fn judge(text: &str, corpus: &str, read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut ids = Vec::new();
    let mut sources = Sources { corpus, read, files: BTreeMap::new() };
    for Row { number, cells } in rows(text) {
        // Requirements have four cells, choices one more.
        let (id, test) = match *cells {
            [id, _, _, test] | [id, _, _, _, test] => (id, test),
            _ => {
                wrong.push(format!("{number}: a line has four cells, or five: {}", cells.len()));
                continue;
            }
        };
        ids.push((number, id.to_owned()));
        if cells.iter().any(|cell| cell.is_empty()) {
            wrong.push(format!("{number}: {id} has an empty cell"));
        }
        if let Some(reason) = test.strip_prefix(NONE) {
            if reason.split_whitespace().count() < 4 {
                wrong.push(format!("{number}: {id} does not say why no test holds it"));
            }
            continue;
        }
        let names = quoted(test);
        if names.is_empty() {
            wrong.push(format!("{number}: {id} names no test, and does not say why"));
        }
        let missing = names.into_iter().filter(|name| !sources.has(name));
        wrong.extend(missing.map(|name| format!("{number}: {id}: there is no test `{name}`")));
    }
    // What the prose names as an example is there too.
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('|')) {
        let tests = quoted(line).into_iter().filter(|name| is_test(name) && !sources.has(name));
        wrong.extend(tests.map(|name| format!("{}: there is no test `{name}`", at + 1)));
    }
    ids.extend(left_out(text));
    wrong.extend(count(&ids));
    wrong
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Whether this is the path of a test, and not of something else.
fn is_test(name: &str) -> bool {
    name.contains("::tests::") || name.starts_with("it::") && !name.ends_with("..")
}

/// The requirements that paragraphs `Left out: ..` name, one by one or as `9112-7.3-1..3`, with
/// their line.
fn left_out(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut inside = false;
    for (at, line) in text.lines().enumerate() {
        inside = line.starts_with("Left out: ") || inside && !line.is_empty();
        let names = quoted(line).into_iter().filter(|name| inside && requirement(name).is_some());
        for name in names {
            let Some((stem, (from, to))) = requirement(name) else { continue };
            found.extend((from..=to).map(|ordinal| (at + 1, format!("{stem}-{ordinal}"))));
        }
    }
    found
}

/// `9112-7.3-1..3`: RFC and section, and the first and last of their sentences.
fn requirement(name: &str) -> Option<(&str, (usize, usize))> {
    let (stem, ordinals) = name.rsplit_once('-')?;
    let (rfc, section) = stem.split_once('-')?;
    let is_section = section.split('.').all(|part| part.parse::<u32>().is_ok());
    if !is_section || !SENTENCES.iter().any(|(known, _)| *known == rfc) {
        return None;
    }
    let (from, to) = ordinals.split_once("..").unwrap_or((ordinals, ordinals));
    Some((stem, (from.parse().ok()?, to.parse().ok()?)))
}

/// Each id once, the sentences of each section without a gap, and of each RFC all of them.
fn count(ids: &[(usize, String)]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    let mut sections: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (number, id) in ids {
        if !seen.insert(id) {
            wrong.push(format!("{number}: {id} is there twice"));
        }
        if let Some((stem, (ordinal, _))) = requirement(id) {
            sections.entry(stem).or_default().insert(ordinal);
        }
    }
    for (stem, ordinals) in &sections {
        let gaps = (1..=ordinals.len()).filter(|ordinal| !ordinals.contains(ordinal));
        wrong.extend(gaps.map(|ordinal| format!("{stem}-{ordinal} is missing")));
    }
    for (rfc, expected) in SENTENCES {
        let of_this = |stem: &&str| stem.split_once('-').is_some_and(|(of, _)| of == *rfc);
        let found: usize =
            sections.iter().filter(|(stem, _)| of_this(stem)).map(|(_, all)| all.len()).sum();
        if found != *expected {
            wrong.push(format!("RFC {rfc} has {expected} sentences that require, not {found}"));
        }
    }
    wrong
}

/// The sources that were asked for.
struct Sources<'a> {
    corpus: &'a str,
    read: &'a dyn Fn(&str) -> Option<String>,
    files: BTreeMap<String, Option<String>>,
}

impl Sources<'_> {
    fn text(&mut self, path: String) -> Option<&str> {
        let read = self.read;
        self.files.entry(path).or_insert_with_key(|path| read(path)).as_deref()
    }

    /// Whether there is a test of this path, or a line of the corpus.
    fn has(&mut self, name: &str) -> bool {
        if let Some(line) = name.strip_prefix(CORPUS) {
            return self.corpus.contains(&format!("\"{line}\""));
        }
        let (folder, path) = match name.strip_prefix("it::") {
            Some(path) => ("http/tests/it", path),
            None => ("http/src", name),
        };
        let Some((module, function)) = path.rsplit_once("::") else { return false };
        let module = module.strip_suffix("::tests").unwrap_or(module).replace("::", "/");
        let places = [format!("{folder}/{module}.rs"), format!("{folder}/{module}/mod.rs")];
        places.into_iter().any(|place| self.text(place).is_some_and(|text| tests(text, function)))
    }
}

/// Whether `text` has a test of this name: nothing but attributes stands between it and `#[test]`.
fn tests(text: &str, function: &str) -> bool {
    let mut is_marked = false;
    for line in text.lines().map(str::trim) {
        let rest = line.strip_prefix("fn ").and_then(|rest| rest.strip_prefix(function));
        if is_marked && rest.is_some_and(|rest| rest.starts_with('(')) {
            return true;
        }
        is_marked = line == "#[test]" || is_marked && line.starts_with("#[");
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORPUS: &str = "(Server, b\"\", \"400 no Host\"),";

    fn sources(path: &str) -> Option<String> {
        let text = match path {
            "http/src/proto/conn.rs" => "#[test]\n    fn a_unit() {\nfn helper() {",
            "http/tests/it/rfc/mod.rs" => "#[test]\n#[ignore = \"slow\"]\nfn a_dump() {\n",
            _ => return None,
        };
        Some(text.to_owned())
    }

    fn findings(line: &str) -> Vec<String> {
        // Nothing here has all requirements.
        let mut found = judge(line, CORPUS, &sources);
        found.retain(|finding| !finding.starts_with("RFC "));
        found
    }

    #[test]
    fn a_test_that_is_there_is_found() {
        for test in ["`proto::conn::tests::a_unit`", "`it::rfc::a_dump`", "`corpus: 400 no Host`"] {
            assert_eq!(findings(&format!("| 9112-1-1 | a | b | {test} |")), [""; 0], "{test}");
        }
        let both = "| 9112-1-1 | a | b | `it::rfc::a_dump`, `proto::conn::tests::a_unit` |";
        assert_eq!(findings(both), [""; 0]);
    }

    #[test]
    fn a_test_that_is_missing_is_named() {
        for test in [
            "it::rfc::a_dum",
            "it::rfc::a_dump_",
            "it::other::a_dump",
            "proto::conn::tests::helper",
            "proto::line::tests::a_unit",
            "corpus: 400 no Hos",
            "a_dump",
        ] {
            let found = findings(&format!("| 9112-1-1 | a | b | `{test}` |"));
            assert_eq!(found, [format!("1: 9112-1-1: there is no test `{test}`")]);
        }
        let found = findings("The client keeps it, see `it::rfc::gone`.");
        assert_eq!(found, ["1: there is no test `it::rfc::gone`"]);
    }

    #[test]
    fn a_line_has_a_test_or_a_reason() {
        for (line, count) in [
            ("| 9112-1-1 | a | b | none: the application's, it has the dates |", 0),
            ("| 9112-1-1 | a | b | none: later |", 1),
            ("| 9112-1-1 | a | b | |", 2),
            ("| 9112-1-1 | a | b | later |", 1),
            ("| 9112-1-1 | a | | `it::rfc::a_dump` |", 1),
            ("| 9112-1-1 | `it::rfc::a_dump` |", 1),
            ("| C-1 | a | b | c | `it::rfc::a_dump` |", 0),
            ("| id | what | done | test |", 0),
            ("|---|---|---|---|", 0),
        ] {
            assert_eq!(findings(line).len(), count, "{line}: {:?}", findings(line));
        }
    }

    #[test]
    fn each_requirement_is_there_once() {
        let line = |id: &str| format!("| {id} | a | b | `it::rfc::a_dump` |\n");
        let twice = [line("9112-1-1"), line("9112-1-1")].concat();
        assert_eq!(findings(&twice), ["2: 9112-1-1 is there twice"]);
        let also_left_out = [&line("9112-1-1"), "\nLeft out: `9112-1-1`.\n"].concat();
        assert_eq!(findings(&also_left_out), ["3: 9112-1-1 is there twice"]);
        let gap = [line("9112-1-1"), line("9112-1-3")].concat();
        assert_eq!(findings(&gap), ["9112-1-2 is missing"]);
        let filled = [&gap, "\nLeft out: proxies,\n`9112-1-2`.\n"].concat();
        assert_eq!(findings(&filled), [""; 0]);
        let choices = [line("S-1"), line("S-1")].concat();
        assert_eq!(findings(&choices), ["2: S-1 is there twice"]);
    }

    #[test]
    fn a_paragraph_may_leave_out_several() {
        let text = "Left out: `9110-7.3-1..3`,\n`9110-8-1`, see `Host`.\n\n`9110-9-1`";
        let ids: Vec<String> = left_out(text).into_iter().map(|(_, id)| id).collect();
        assert_eq!(ids, ["9110-7.3-1", "9110-7.3-2", "9110-7.3-3", "9110-8-1"]);
    }

    #[test]
    fn no_sentence_is_forgotten() {
        let found = judge("| 9110-1-1 | a | b | `it::rfc::a_dump` |", CORPUS, &sources);
        let expected = [
            "RFC 9110 has 200 sentences that require, not 1",
            "RFC 9112 has 83 sentences that require, not 0",
        ];
        assert_eq!(found, expected);
    }
}
