//! What is built for what: the one list of the workspace's packages.
//!
//! `--workspace` is never used, since a board's package builds for its own target alone and cargo
//! would unify its features with the host's. A package that is in the workspace and not in this
//! list, or in the list and not in the workspace, fails `cargo xtask check packages`.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::metadata::Metadata;

/// What the checks do with a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Build {
    /// Tested on the host, linted, documented.
    Host,
    /// Linted on the host; its own subcommand runs it.
    Tool,
    /// Linted, documented and built for [`TARGET_BOARD`], never for the host.
    Firmware,
}

/// One package of the workspace.
pub(crate) struct Entry {
    /// Its name.
    pub(crate) name: &'static str,
    /// What is done with it.
    pub(crate) build: Build,
    /// The features its tests run with, beside the default ones.
    pub(crate) test_features: &'static [&'static str],
}

const fn entry(name: &'static str, build: Build, test_features: &'static [&'static str]) -> Entry {
    Entry { name, build, test_features }
}

/// Every package, in the order in which they are built.
pub(crate) const PACKAGES: &[Entry] = &[
    entry("dustdevil-core", Build::Host, &["sim"]),
    entry("dustdevil-std", Build::Host, &["futures-io", "regex", "tokio"]),
    entry("dustdevil-http", Build::Host, &[]),
    entry("dustdevil-smoltcp", Build::Host, &["dhcp", "ping", "udp"]),
    entry("hello", Build::Host, &[]),
    entry("bench", Build::Host, &[]),
    entry("demo", Build::Host, &[]),
    entry("conformance", Build::Host, &[]),
    entry("echo", Build::Host, &[]),
    entry("chat-tcp", Build::Host, &[]),
    entry("soak", Build::Host, &[]),
    entry("tornado", Build::Host, &[]),
    entry("attack", Build::Tool, &[]),
    entry("cases", Build::Host, &[]),
    entry("xtask", Build::Host, &[]),
    entry("browser", Build::Tool, &[]),
    entry("fuzz", Build::Tool, &[]),
    entry("icount", Build::Tool, &[]),
    entry("interop", Build::Tool, &[]),
    entry("qemu", Build::Tool, &[]),
    entry("lm3s6965evb", Build::Firmware, &[]),
    entry("null-board", Build::Firmware, &[]),
];

/// The packages whose libraries are `no_std` and free of `alloc`, proven for [`TARGET_NO_CAS`].
pub(crate) const NO_ALLOC: &[&str] = &[
    "dustdevil-core",
    "dustdevil-http",
    "dustdevil-smoltcp",
    "hello",
    "bench",
    "demo",
    "conformance",
    "echo",
    "chat-tcp",
];

/// The packages that must carry one version of each dependency.
pub(crate) const NO_DUPLICATES: &[&str] =
    &["dustdevil-core", "dustdevil-http", "dustdevil-std", "dustdevil-smoltcp"];

/// A dependency that a board's package has in two versions, and why that cannot be helped.
pub(crate) struct Duplicate {
    /// The board's package.
    pub(crate) board: &'static str,
    /// The dependency.
    pub(crate) name: &'static str,
    /// Who brings the other version.
    pub(crate) reason: &'static str,
}

/// The duplicates that boards are forced to carry; any other fails, and so does one that is gone.
pub(crate) const FORCED_DUPLICATES: &[Duplicate] = &[
    Duplicate {
        board: "lm3s6965evb",
        name: "embedded-hal",
        reason: "cortex-m 0.7 implements the traits of 0.2 and of 1.0",
    },
    Duplicate {
        board: "lm3s6965evb",
        name: "nb",
        reason: "embedded-hal 0.2 has nb 0.1, which is made of nb 1, which core has",
    },
];

/// The packages whose features are built in every combination.
pub(crate) const ALL_FEATURES: &[&str] =
    &["dustdevil-core", "dustdevil-http", "dustdevil-std", "dustdevil-smoltcp"];

/// Bare metal without compare-and-swap: Cortex-M0.
pub(crate) const TARGET_NO_CAS: &str = "thumbv6m-none-eabi";

/// Bare metal of the boards: Cortex-M3.
pub(crate) const TARGET_BOARD: &str = "thumbv7m-none-eabi";

/// The entries that are in the workspace and built in one of these ways.
pub(crate) fn of(builds: &[Build]) -> Result<Vec<&'static Entry>> {
    let metadata = Metadata::of_workspace()?;
    let wanted =
        |entry: &&Entry| builds.contains(&entry.build) && metadata.package(entry.name).is_some();
    Ok(PACKAGES.iter().filter(wanted).collect())
}

/// Fails unless the list and the workspace name the same packages.
pub(crate) fn check() -> Result<()> {
    let metadata = Metadata::of_workspace()?;
    let found = metadata.packages.iter().map(|package| package.name.as_str());
    let differences = differences(&found.collect::<Vec<_>>());
    if !differences.is_empty() {
        bail!("ci/xtask/src/packages.rs and Cargo.toml differ:\n{}", differences.join("\n"));
    }
    Ok(())
}

fn differences(found: &[&str]) -> Vec<String> {
    let listed: BTreeSet<&str> = PACKAGES.iter().map(|entry| entry.name).collect();
    let found: BTreeSet<&str> = found.iter().copied().collect();
    let unlisted = found.difference(&listed).map(|name| format!("{name}: not listed"));
    let missing = listed.difference(&found).map(|name| format!("{name}: not in the workspace"));
    unlisted.chain(missing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_on_one_side_only_is_named() {
        let all: Vec<&str> = PACKAGES.iter().map(|entry| entry.name).collect();
        assert!(differences(&all).is_empty());
        assert_eq!(differences(&all[1..]), ["dustdevil-core: not in the workspace"]);
        assert_eq!(differences(&[&all[..], &["extra"]].concat()), ["extra: not listed"]);
    }
}
