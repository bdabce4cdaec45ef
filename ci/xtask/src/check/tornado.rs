//! `std-shim/TORNADO.md`, the table of Tornado's names: every public name has its row, once; every
//! row has a line of code that stands in an example of the same file, which rustdoc compiles and
//! runs, or says why there is none.
//!
//! The names come from `ci/tornado/names.txt`, which `cargo xtask tornado` compares with Tornado.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};

use crate::metadata;

/// The document that is judged.
const TABLE: &str = "std-shim/TORNADO.md";

/// Every public name of the modules in question, `module.name`, a line each.
const NAMES: &str = "ci/tornado/names.txt";

/// What stands before the reason why there is nothing, or not yet.
const REASONS: &[&str] = &["n/a: ", "later: "];

/// Runs the check.
pub(super) fn check() -> Result<()> {
    let read = |path: &str| std::fs::read_to_string(metadata::root().join(path)).context(NAMES);
    let (text, names) = (read(TABLE)?, read(NAMES)?);
    let wrong = judge(&text, &names);
    if !wrong.is_empty() {
        bail!("{TABLE}: {} findings:\n{}", wrong.len(), wrong.join("\n"));
    }
    println!("{} names have been looked up", names.lines().count());
    Ok(())
}

/// A line of a table.
struct Row<'a> {
    /// Its number in the file, from 1.
    number: usize,
    /// The modules that the heading above names.
    modules: &'a str,
    cells: Vec<String>,
}

/// The lines of all tables, but their headings, and the lines of all examples.
fn parts(text: &str) -> (Vec<Row<'_>>, BTreeSet<&str>) {
    let (mut rows, mut code) = (Vec::new(), BTreeSet::new());
    let (mut is_code, mut modules) = (false, "");
    for (line, number) in text.lines().zip(1..) {
        if let Some(language) = line.strip_prefix("```") {
            // Whatever is not run proves nothing: `ignore`, `text`, `no_run`.
            is_code = !is_code && language.is_empty();
        } else if is_code {
            code.insert(line.trim());
        } else if let Some(heading) = line.strip_prefix("# ") {
            modules = heading;
        } else if let Some(inner) = line.strip_prefix("| `").and_then(|_| line.strip_prefix('|')) {
            let inner = inner.strip_suffix('|').unwrap_or(inner);
            rows.push(Row { number, modules, cells: cells(inner) });
        }
    }
    (rows, code)
}

/// What stands between the bars, with `\|` for a bar.
fn cells(inner: &str) -> Vec<String> {
    let hidden = inner.replace("\\|", "\u{0}");
    hidden.split('|').map(|cell| cell.trim().replace('\u{0}', "|")).collect()
}

/// Everything that is wrong with this text.
fn judge(text: &str, names: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut known: BTreeMap<&str, bool> = names.lines().map(|name| (name, false)).collect();
    let (rows, code) = parts(text);
    for Row { number, modules, cells } in rows {
        let [name, here, line] = &cells[..] else {
            wrong.push(format!("{number}: a line has three cells, not {}", cells.len()));
            continue;
        };
        let name = name.trim_matches('`');
        let full = quoted(modules).map(|module| format!("{module}.{name}"));
        let full = full.filter_map(|full| full.strip_prefix("tornado.").map(str::to_owned));
        let full: Vec<String> = full.collect();
        let named = full.iter().find(|full| known.contains_key(full.as_str()));
        match named.and_then(|full| known.get_mut(full.as_str())) {
            None => wrong.push(format!("{number}: Tornado has no {name} in {modules}")),
            Some(seen) if *seen => wrong.push(format!("{number}: {name} is there twice")),
            Some(seen) => *seen = true,
        }
        let reason = REASONS.iter().find_map(|word| here.strip_prefix(word));
        match (reason, line.strip_prefix('`').and_then(|line| line.strip_suffix('`'))) {
            (Some(reason), None) if line.is_empty() => {
                if reason.split_whitespace().count() < 4 {
                    wrong.push(format!("{number}: {name} does not say why there is nothing"));
                }
            }
            (None, Some(line)) if code.contains(line) => {}
            (None, Some(line)) => wrong.push(format!("{number}: in no example: {line}")),
            _ => wrong.push(format!("{number}: {name} has a line of code, or a reason")),
        }
        if here.is_empty() {
            wrong.push(format!("{number}: {name} is not said to be anything here"));
        }
    }
    let missing = known.into_iter().filter(|(_, seen)| !seen);
    wrong.extend(missing.map(|(name, _)| format!("{name} has no row")));
    wrong
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &str = "gen.sleep\n";

    fn findings(row: &str) -> Vec<String> {
        judge(&format!("# `tornado.gen`\n{row}\n```\n  rt.sleep(a | b).await;\n```\n"), NAMES)
    }

    #[test]
    fn a_line_that_is_compiled_is_enough() {
        assert_eq!(findings("| `sleep` | the same | `rt.sleep(a \\| b).await;` |"), [""; 0]);
        assert_eq!(findings("| `sleep` | n/a: nobody ever sleeps here | |"), [""; 0]);
        assert_eq!(findings("| `sleep` | later: the issue of sleep | |"), [""; 0]);
    }

    #[test]
    fn a_line_or_a_reason_that_is_missing_is_named() {
        for (row, finding) in [
            (
                "| `sleep` | the same | `rt.sleep(a).await;` |",
                "2: in no example: rt.sleep(a).await;",
            ),
            ("| `sleep` | the same | |", "2: sleep has a line of code, or a reason"),
            ("| `sleep` | n/a: no | |", "2: sleep does not say why there is nothing"),
            ("| `sleep` | later: no time | |", "2: sleep does not say why there is nothing"),
            (
                "| `sleep` | | `rt.sleep(a \\| b).await;` |",
                "2: sleep is not said to be anything here",
            ),
        ] {
            assert_eq!(findings(row), [finding], "{row}");
        }
        let both = "| `sleep` | n/a: nobody ever sleeps here | `rt.sleep(a \\| b).await;` |";
        assert_eq!(findings(both).len(), 1);
        assert_eq!(findings("| `sleep` | the same |").len(), 2);
    }

    #[test]
    fn each_name_has_one_row() {
        let row = "| `sleep` | n/a: nobody ever sleeps here | |";
        assert_eq!(findings(""), ["gen.sleep has no row"]);
        assert_eq!(findings(&format!("{row}\n{row}")), ["3: sleep is there twice"]);
        let other = row.replace("sleep`", "slept`");
        let expected = ["3: Tornado has no slept in `tornado.gen`"];
        assert_eq!(findings(&format!("{row}\n{other}")), expected);
    }

    #[test]
    fn an_example_that_is_not_run_proves_nothing() {
        let text =
            "# `tornado.gen`\n| `sleep` | the same | `rt.sleep();` |\n```ignore\nrt.sleep();\n```";
        assert_eq!(judge(text, NAMES), ["2: in no example: rt.sleep();"]);
    }
}
