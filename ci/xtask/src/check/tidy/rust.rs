//! The rules for Rust files.

use super::Finding;
use super::source::{Source, words};

/// Lines of code that a file may have before its tests.
const FILE_LINES_MAX: usize = 600;

/// Lines that a function may have, its signature and braces counted.
const FUNCTION_LINES_MAX: usize = 70;

/// The modules that may contain `unsafe`, each a file or a folder.
const UNSAFE: &[&str] = &[
    "core/src/memory",
    "core/src/wake",
    "core/src/task",
    // A board's, as its package's header lists them with reasons.
    "boards/lm3s6965evb/src/entropy",
    "boards/lm3s6965evb/src/failure",
    "boards/lm3s6965evb/src/interrupts",
    "boards/lm3s6965evb/src/memory",
    "boards/lm3s6965evb/src/registers",
    "boards/lm3s6965evb/src/stack",
    // That of the servers beside which ours is measured on a board; likewise.
    "ci/bench/board/src/embassy",
    "ci/bench/board/src/interrupts",
    "ci/bench/board/src/registers",
    // QEMU's plugin: its functions are foreign.
    "ci/icount/src/lib",
];

/// Everything that is wrong in one file.
pub(super) fn judge(name: &str, text: &str) -> Vec<Finding> {
    let source = Source::new(text);
    let is_test =
        name.contains("/tests/") || name.contains("/benches/") || name.ends_with("/tests.rs");
    let tests_from = if is_test { 0 } else { source.tests_from() };
    let mut findings = header(text);
    findings.extend(lengths(&source, tests_from));
    findings.extend(allows(&source));
    findings.extend(unsafety(&source, may_be_unsafe(name)));
    findings
}

fn may_be_unsafe(name: &str) -> bool {
    let fits = |rest: &str| rest == ".rs" || rest.starts_with('/');
    UNSAFE.iter().any(|module| name.strip_prefix(module).is_some_and(fits))
}

/// A file says in its first line what it is.
fn header(text: &str) -> Vec<Finding> {
    if text.starts_with("//!") { Vec::new() } else { vec![Finding::new(0, "begins with `//!`")] }
}

fn lengths(source: &Source, tests_from: usize) -> Vec<Finding> {
    let mut findings = Vec::new();
    if tests_from > FILE_LINES_MAX {
        let what = format!("{tests_from} lines before the tests, at most {FILE_LINES_MAX}");
        findings.push(Finding::new(FILE_LINES_MAX, what));
    }
    for function in source.functions() {
        if function.line < tests_from && function.lines > FUNCTION_LINES_MAX {
            let (name, lines) = (&function.name, function.lines);
            let what = format!("`{name}` has {lines} lines, at most {FUNCTION_LINES_MAX}");
            findings.push(Finding::new(function.line, what));
        }
    }
    findings
}

/// `#[expect(lint, reason = "..")]` fails when the lint no longer fires; `allow` stays for ever.
fn allows(source: &Source) -> Vec<Finding> {
    let is = |line: &str| {
        let line: String = line.split_whitespace().collect();
        line.contains("#[allow(") || line.contains("#![allow(") || line.contains(",allow(")
    };
    let found = source.code.iter().enumerate().filter(|(_, line)| is(line));
    found.map(|(at, _)| Finding::new(at, "`expect` with a reason, not `allow`")).collect()
}

/// `unsafe` lies in the listed modules, below a sentence that says why it is sound.
fn unsafety(source: &Source, allowed: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, line) in source.code.iter().enumerate() {
        for (place, word) in words(line).filter(|(_, word)| *word == "unsafe") {
            let after = line[place + word.len()..].trim_start();
            let is_type =
                after.strip_prefix("fn").is_some_and(|rest| rest.trim_start().starts_with('('))
                    || after.starts_with("extern \"C\" fn(");
            if !allowed {
                findings.push(Finding::new(at, "`unsafe` outside the modules that may contain it"));
            } else if !is_type && !is_explained(source, at) {
                findings.push(Finding::new(at, "`unsafe` without a sentence `SAFETY:` above it"));
            }
        }
    }
    findings
}

/// Whether the comment above the statement that line `at` belongs to holds the sentence.
fn is_explained(source: &Source, at: usize) -> bool {
    let explains = |line: &str| line.contains("SAFETY:") || line.contains("# Safety");
    if explains(&source.lines[at]) {
        return true;
    }
    let mut in_comment = false;
    for above in (0..at).rev() {
        let code = source.code[above].trim();
        let is_comment = code.is_empty() && !source.lines[above].trim().is_empty();
        if is_comment && explains(&source.lines[above]) {
            return true;
        }
        let ends_another = code.ends_with([';', '{', '}', ',']) || (code.is_empty() && !is_comment);
        // The comment block was passed, or another statement was met before any comment.
        if ends_another || (in_comment && !is_comment && !code.starts_with("#[")) {
            return false;
        }
        in_comment |= is_comment;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, text: &str) -> Vec<String> {
        judge(name, &format!("//! A file.\n{text}")).into_iter().map(|f| f.what).collect()
    }

    #[test]
    fn a_file_says_what_it_is() {
        assert_eq!(judge("core/src/a.rs", "use b;\n").len(), 1);
        assert!(judge("core/src/a.rs", "//! A file.\nuse b;\n").is_empty());
    }

    #[test]
    fn a_long_file_is_found_and_tests_do_not_count() {
        let code = "const A: u8 = 0;\n".repeat(FILE_LINES_MAX);
        assert_eq!(found("core/src/a.rs", &code).len(), 1);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{code}}}\n");
        assert!(found("core/src/a.rs", &tests).is_empty());
        assert!(found("core/tests/it/a.rs", &code).is_empty());
    }

    #[test]
    fn a_long_function_is_found() {
        let function = |lines: usize| format!("fn f() {{\n{}}}\n", "    g();\n".repeat(lines - 2));
        assert!(found("http/src/a.rs", &function(FUNCTION_LINES_MAX)).is_empty());
        let long = found("http/src/a.rs", &function(FUNCTION_LINES_MAX + 1));
        assert_eq!(long, ["`f` has 71 lines, at most 70"]);
    }

    #[test]
    fn allow_is_found_and_expect_is_not() {
        assert_eq!(found("http/src/a.rs", "#[allow(dead_code)]\nfn f() {}\n").len(), 1);
        assert_eq!(found("http/src/a.rs", "#![allow(dead_code)]\n").len(), 1);
        assert_eq!(found("http/src/a.rs", "#[cfg_attr(test, allow(dead_code))]\n").len(), 1);
        assert!(found("http/src/a.rs", "#[expect(dead_code, reason = \"x\")]\n").is_empty());
        assert!(found("http/src/a.rs", "// #[allow(dead_code)]\n").is_empty());
    }

    #[test]
    fn unsafe_needs_its_module_and_its_sentence() {
        let explained = "// SAFETY: the caller holds it.\nlet x = unsafe { f() };\n";
        assert!(found("core/src/wake.rs", explained).is_empty());
        assert!(found("core/src/memory/block.rs", explained).is_empty());
        assert_eq!(found("core/src/pool.rs", explained).len(), 1);
        assert_eq!(found("core/src/wakeful.rs", explained).len(), 1);
        assert_eq!(found("http/src/lib.rs", "unsafe { f() }\n").len(), 1);
        assert!(found("http/src/lib.rs", "#![forbid(unsafe_code)]\n// unsafe \n").is_empty());
        let table = [
            ("let x = unsafe { f() };\n", 1),
            ("// SAFETY: one.\nf();\nunsafe { g() }\n", 1),
            ("// SAFETY: one.\n\nunsafe { g() }\n", 1),
            ("// SAFETY: one\n// and more.\n#[inline]\nunsafe fn g() {}\n", 0),
            ("// SAFETY: one.\nlet x =\n    unsafe { g() };\n", 0),
            ("// Why.\nunsafe impl Send for A {}\n", 1),
            ("/// # Safety\n/// Held.\npub unsafe fn g() {}\n", 0),
            ("type F = unsafe fn(*const ());\n", 0),
        ];
        for (text, count) in table {
            assert_eq!(found("core/src/task.rs", text).len(), count, "{text}");
        }
    }
}
