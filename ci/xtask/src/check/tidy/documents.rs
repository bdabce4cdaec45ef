//! The form of the documents.

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
    fn an_architecture_of_many_pages_is_found() {
        assert!(architecture(&"a\n".repeat(ARCHITECTURE_LINES_MAX)).is_empty());
        assert_eq!(architecture(&"a\n".repeat(ARCHITECTURE_LINES_MAX + 1)).len(), 1);
    }
}
