//! The form of the documents, and that what they quote is what is built.

use super::Finding;

/// What ARCHITECTURE.md may have: it is read whole, or not at all.
const ARCHITECTURE_LINES_MAX: usize = 250;

/// The headings of <https://keepachangelog.com>.
const KINDS: &[&str] = &["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];

/// ARCHITECTURE.md stays short.
pub(super) fn architecture(text: &str) -> Vec<Finding> {
    let count = text.lines().count();
    if count <= ARCHITECTURE_LINES_MAX {
        return Vec::new();
    }
    let what = format!("{count} lines, at most {ARCHITECTURE_LINES_MAX} are read");
    vec![Finding::new(ARCHITECTURE_LINES_MAX, what)]
}

/// CHANGELOG.md keeps the form of Keep a Changelog: a title, `[Unreleased]`, then dated versions,
/// newest first, each with the six kinds of headings and lists below them.
pub(super) fn changelog(text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !text.starts_with("# Changelog\n") {
        findings.push(Finding::new(0, "begins with `# Changelog`"));
    }
    let mut releases = 0;
    let mut in_kind = false;
    for (at, line) in text.lines().enumerate() {
        if let Some(release) = line.strip_prefix("## ") {
            if releases == 0 && release != "[Unreleased]" {
                findings.push(Finding::new(at, "the first section is `## [Unreleased]`"));
            } else if releases > 0 && !is_release(release) {
                findings.push(Finding::new(at, "a release is `## [1.2.3] - 2026-01-31`"));
            }
            releases += 1;
            in_kind = false;
        } else if let Some(kind) = line.strip_prefix("### ") {
            in_kind = KINDS.contains(&kind);
            if !in_kind || releases == 0 {
                findings.push(Finding::new(at, format!("a kind is one of {}", KINDS.join(", "))));
            }
        } else if line.starts_with("- ") && !in_kind {
            findings.push(Finding::new(at, "an entry belongs below a kind"));
        }
    }
    if releases == 0 {
        findings.push(Finding::new(0, "has a section `## [Unreleased]`"));
    }
    findings
}

/// The first block of README.md with the line `mark` is the file that it says it is, `path` with
/// the text `code`; the module's documentation may be left out.
pub(super) fn quote(text: &str, mark: &str, path: &str, code: &str) -> Vec<Finding> {
    let quoted = rust_blocks(text).find(|(_, block)| block.contains(&mark));
    let Some((at, block)) = quoted else {
        let what = format!("does not show {path}: there is no block of Rust with `{mark}`");
        return vec![Finding::new(0, what)];
    };
    let code: Vec<&str> = without_header(code.lines());
    let quoted = without_header(block.iter().copied());
    // Where one is the other's start, the line behind the shorter one is told.
    let differs = |line: &usize| quoted.get(*line) != code.get(*line);
    match (0..quoted.len().max(code.len())).find(differs) {
        None => Vec::new(),
        Some(line) => {
            let left_out = block.len() - quoted.len();
            let is = code.get(line).copied().unwrap_or("at its end");
            let what = format!("{path} differs: it is `{is}` there");
            vec![Finding::new(at + left_out + line, what)]
        }
    }
}

/// The fenced blocks of Rust, each with the line that its code starts at.
fn rust_blocks(text: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    let starts = text.lines().enumerate().filter(|(_, line)| *line == "```rust");
    starts.map(|(at, _)| {
        let block = text.lines().skip(at + 1).take_while(|line| *line != "```");
        (at + 1, block.collect())
    })
}

fn without_header<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    lines.skip_while(|line| line.starts_with("//!")).collect()
}

/// `[1.2.3] - 2026-01-31`
fn is_release(text: &str) -> bool {
    let Some((version, date)) = text.split_once(" - ") else { return false };
    let version = version.strip_prefix('[').and_then(|version| version.strip_suffix(']'));
    let numbers = |text: &str, separator: char, lengths: &[usize]| {
        let parts: Vec<&str> = text.split(separator).collect();
        let digits = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        parts.len() == lengths.len()
            && parts.iter().all(digits)
            && parts.iter().zip(lengths).all(|(part, length)| *length == 0 || part.len() == *length)
    };
    version.is_some_and(|version| numbers(version, '.', &[0, 0, 0]))
        && numbers(date, '-', &[4, 2, 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changelog_keeps_its_form() {
        let good = "# Changelog\n\nAll.\n\n## [Unreleased]\n\n### Added\n\n- One\n  more.\n\n\
                    ## [0.1.0] - 2026-11-21\n\n### Fixed\n\n- Two\n";
        assert_eq!(changelog(good), []);
        let table = [
            ("# Changelog", "# Changes"),
            ("## [Unreleased]", "## [0.2.0] - 2026-12-01"),
            ("## [0.1.0] - 2026-11-21", "## 0.1.0"),
            ("## [0.1.0] - 2026-11-21", "## [0.1.0] - 21.11.2026"),
            ("### Fixed", "### Bugs"),
            ("### Added\n", ""),
        ];
        for (from, to) in table {
            assert!(!changelog(&good.replace(from, to)).is_empty(), "{from} -> {to}");
        }
        assert!(!changelog("").is_empty());
    }

    #[test]
    fn a_quoted_application_is_the_one_that_is_built() {
        let code = "//! Hello.\n#![no_std]\n\npub struct App;\n";
        let quoting =
            |block: &str| format!("# A\n\n```rust\nfn b() {{}}\n```\n```rust\n{block}```\n");
        let found = |text: &str| quote(text, "#![no_std]", "hello.rs", code);
        assert_eq!(found(&quoting(code)), []);
        assert_eq!(found(&quoting(&code["//! Hello.\n".len()..])), []);
        let table = [
            (code.replace("App;", "Application;"), 9),
            (code.replace("\n\n", "\n"), 8),
            (code.replace("pub struct App;\n", ""), 9),
            (format!("{code}more\n"), 10),
            (code.replace("#![no_std]\n", ""), 0),
        ];
        for (block, line) in table {
            let found = found(&quoting(&block));
            assert_eq!(found.len(), 1, "{block}");
            assert_eq!(found[0].line, line, "{block}");
            assert!(found[0].what.contains("hello.rs"), "{}", found[0].what);
        }
    }

    #[test]
    fn an_architecture_of_many_pages_is_found() {
        assert!(architecture(&"a\n".repeat(ARCHITECTURE_LINES_MAX)).is_empty());
        assert_eq!(architecture(&"a\n".repeat(ARCHITECTURE_LINES_MAX + 1)).len(), 1);
    }
}
