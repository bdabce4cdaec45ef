//! Who may depend on whom: the arrows of ARCHITECTURE.md, and the third parties that the libraries
//! may use. Anything else fails, with the arrow's name.
//!
//! What a package *declares* is judged, not what cargo resolves, so an arrow behind a feature or a
//! `cfg` counts too. A package's place in the tree decides what it may do.

use anyhow::{Result, bail};

use crate::metadata::{Dependency, Metadata, Package};

/// What packages in a folder may depend on.
struct Rule {
    /// The folder; with a closing slash, every folder in it. The first rule that fits decides.
    folder: &'static str,
    /// Packages of ours, by folder as above, for every target.
    normal: &'static [&'static str],
    /// Packages of ours that only its Linux binary may use, under a `cfg`.
    linux: &'static [&'static str],
    /// Packages of ours that only its tests may use.
    dev: &'static [&'static str],
    /// Third parties for every target; None: any.
    third_party: Option<&'static [&'static str]>,
}

const RULES: &[Rule] = &[
    Rule { folder: "core", normal: &[], linux: &[], dev: &[], third_party: Some(CORE) },
    Rule { folder: "http", normal: &["core"], linux: &[], dev: &["core"], third_party: Some(HTTP) },
    Rule {
        folder: "std-shim",
        normal: &["core"],
        linux: &[],
        dev: &["core", "http"],
        third_party: None,
    },
    Rule {
        folder: "boards/smoltcp",
        normal: &["core"],
        linux: &[],
        dev: &["core", "http"],
        third_party: None,
    },
    Rule {
        folder: "boards/",
        normal: &["examples/", "http", "core", "boards/smoltcp"],
        linux: &[],
        dev: &[],
        third_party: None,
    },
    Rule {
        folder: "examples/",
        normal: &["http", "core"],
        linux: &["http", "std-shim", "core"],
        dev: &["http", "std-shim", "core"],
        third_party: None,
    },
    // The runner of boards depends on none of ours, so xtask builds when those do not.
    Rule { folder: "ci/xtask", normal: &["ci/qemu"], linux: &[], dev: &[], third_party: None },
    Rule {
        folder: "ci/qemu",
        normal: &[],
        linux: &[],
        dev: &["ci/attack", "ci/browser", "ci/cases", "core"],
        third_party: None,
    },
    Rule { folder: "ci/icount", normal: &[], linux: &[], dev: &[], third_party: None },
    Rule { folder: "ci/cases", normal: &[], linux: &[], dev: &[], third_party: None },
    Rule { folder: "ci/attack", normal: &[], linux: &[], dev: &[], third_party: None },
    Rule {
        folder: "ci/interop",
        normal: &["ci/browser", "ci/qemu"],
        linux: &[],
        dev: &[],
        third_party: None,
    },
    Rule { folder: "ci/browser", normal: &[], linux: &[], dev: &[], third_party: None },
    Rule { folder: "ci/fuzz", normal: &["http", "core"], linux: &[], dev: &[], third_party: None },
    Rule {
        folder: "ci/soak",
        normal: &["examples/", "http", "core"],
        linux: &[],
        dev: &[],
        third_party: None,
    },
    Rule { folder: "ci/tornado", normal: &["core"], linux: &[], dev: &[], third_party: None },
    Rule {
        folder: "ci/null-board",
        normal: &["examples/", "http", "core"],
        linux: &[],
        dev: &[],
        third_party: None,
    },
];

/// Third parties of core, all `no_std` and without `alloc`.
const CORE: &[&str] = &[
    "critical-section",
    "embassy-futures",
    "embedded-io",
    "embedded-io-async",
    "heapless",
    "log",
    "nb",
    "stable_deref_trait",
    "zerocopy",
];

/// Third parties of http, all `no_std` and without `alloc`.
const HTTP: &[&str] = &[
    "base64ct",
    "embedded-io-async",
    "heapless",
    "httparse",
    "log",
    "percent-encoding",
    "sha1",
    "zerocopy",
];

/// The `cfg` under which an interleaving test's crate may appear anywhere.
const LOOM: &str = "cfg(loom)";

/// Runs the check.
pub(crate) fn check() -> Result<()> {
    let metadata = Metadata::of_workspace()?;
    let folder_of = |name: &str| metadata.package(name).map(Package::folder);
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let edges = package.dependencies.iter().map(|dependency| Edge {
            to: &dependency.name,
            to_folder: folder_of(&dependency.name),
            kind: kind(dependency),
        });
        wrong.extend(judge(&package.name, &package.folder(), &edges.collect::<Vec<_>>()));
    }
    if !wrong.is_empty() {
        bail!("arrows that the architecture does not name:\n{}", wrong.join("\n"));
    }
    Ok(())
}

/// When a dependency is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Normal,
    Linux,
    Loom,
    Dev,
    Build,
}

/// One declared dependency.
struct Edge<'a> {
    to: &'a str,
    /// Where it lies, when it is ours.
    to_folder: Option<String>,
    kind: Kind,
}

fn kind(dependency: &Dependency) -> Kind {
    match (dependency.kind.as_deref(), dependency.target.as_deref()) {
        (Some("dev"), _) => Kind::Dev,
        (Some("build"), _) => Kind::Build,
        (_, Some(LOOM)) => Kind::Loom,
        (_, Some(target)) if target.contains("linux") || target.contains("unix") => Kind::Linux,
        _ => Kind::Normal,
    }
}

fn judge(name: &str, folder: &str, edges: &[Edge<'_>]) -> Vec<String> {
    let Some(rule) = RULES.iter().find(|rule| fits(rule.folder, folder)) else {
        return vec![format!("{name}: no rule for a package in {folder}")];
    };
    let allows = |edge: &&Edge<'_>| match (&edge.to_folder, edge.kind) {
        (Some(to), Kind::Normal) => any_fits(rule.normal, to),
        (Some(to), Kind::Linux) => any_fits(rule.linux, to),
        (Some(to), Kind::Dev) => any_fits(rule.dev, to),
        (Some(_), Kind::Build | Kind::Loom) => false,
        (None, Kind::Normal) => rule.third_party.is_none_or(|names| names.contains(&edge.to)),
        (None, Kind::Linux) => rule.third_party.is_none(),
        (None, Kind::Loom) => edge.to == "loom",
        (None, Kind::Dev | Kind::Build) => true,
    };
    let wrong = edges.iter().filter(|edge| !allows(edge));
    wrong.map(|edge| format!("{name} -> {} ({:?})", edge.to, edge.kind)).collect()
}

fn any_fits(patterns: &[&str], folder: &str) -> bool {
    patterns.iter().any(|pattern| fits(pattern, folder))
}

fn fits(pattern: &str, folder: &str) -> bool {
    if pattern.ends_with('/') { folder.starts_with(pattern) } else { folder == pattern }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(folder: &str, to: &str, to_folder: Option<&str>, kind: Kind) -> Vec<String> {
        let edge = Edge { to, to_folder: to_folder.map(str::to_owned), kind };
        judge("it", folder, &[edge])
    }

    #[test]
    fn arrows_that_the_design_names_pass() {
        let table = [
            ("http", "core", Kind::Normal),
            ("std-shim", "core", Kind::Normal),
            ("examples/hello", "http", Kind::Normal),
            ("examples/echo", "core", Kind::Normal),
            ("examples/hello", "std-shim", Kind::Linux),
            ("boards/lm3s6965evb", "examples/hello", Kind::Normal),
            ("boards/lm3s6965evb", "boards/smoltcp", Kind::Normal),
            ("boards/smoltcp", "core", Kind::Normal),
            ("std-shim", "http", Kind::Dev),
            ("ci/xtask", "ci/qemu", Kind::Normal),
        ];
        for (from, to, kind) in table {
            assert!(one(from, "x", Some(to), kind).is_empty(), "{from} -> {to}");
        }
    }

    #[test]
    fn any_other_arrow_fails_with_its_name() {
        let table = [
            ("core", "http", Kind::Normal),
            ("core", "std-shim", Kind::Dev),
            ("http", "std-shim", Kind::Normal),
            ("http", "std-shim", Kind::Dev),
            ("http", "core", Kind::Build),
            ("std-shim", "http", Kind::Normal),
            ("examples/hello", "std-shim", Kind::Normal),
            ("examples/hello", "examples/demo", Kind::Normal),
            ("boards/smoltcp", "http", Kind::Normal),
            ("boards/lm3s6965evb", "std-shim", Kind::Normal),
            ("ci/xtask", "core", Kind::Normal),
            ("ci/qemu", "core", Kind::Normal),
            ("tools/new", "core", Kind::Normal),
        ];
        for (from, to, kind) in table {
            assert_eq!(one(from, "x", Some(to), kind).len(), 1, "{from} -> {to}");
        }
        let named = one("http", "dustdevil-std", Some("std-shim"), Kind::Normal);
        assert_eq!(named, ["it -> dustdevil-std (Normal)"]);
    }

    #[test]
    fn third_parties_of_the_libraries_are_listed() {
        assert!(one("core", "heapless", None, Kind::Normal).is_empty());
        assert!(one("core", "loom", None, Kind::Loom).is_empty());
        assert!(one("core", "tokio-util", None, Kind::Dev).is_empty());
        assert_eq!(one("core", "loom", None, Kind::Normal).len(), 1);
        assert_eq!(one("core", "libc", None, Kind::Normal).len(), 1);
        assert_eq!(one("http", "serde_json", None, Kind::Linux).len(), 1);
        assert!(one("std-shim", "rustix", None, Kind::Normal).is_empty());
    }
}
