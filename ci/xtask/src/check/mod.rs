//! `cargo xtask check`: what can be judged without running anything of the project.

mod arrows;
mod licences;
mod rfc;
mod tidy;
mod tornado;

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::boards::BOARDS;
use crate::metadata::{self, Metadata, Package};
use crate::packages::{self, Build, PACKAGES};
use crate::process::{Run, cargo, which};
use crate::report::Report;

/// Minutes that one cargo call of a check may take.
const MINUTES: u32 = 15;

/// The toolchain that `rust-version` in Cargo.toml promises.
const MSRV: &str = "1.91";

/// The feature of boards for an address that is chosen when they are built.
const STATIC_IP: &str = "static-ip";

/// The feature of a board's package for sockets of datagrams.
const UDP: &str = "udp";

/// What is checked.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run these alone
    only: Vec<Check>,
}

/// One check.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Check {
    /// The list of packages names what the workspace has
    Packages,
    /// Who may depend on whom, and on which third parties
    Arrows,
    /// One version of each dependency; on boards, but for those that are listed with a reason
    Duplicates,
    /// Every licence is on the list in .deny.toml
    Licences,
    /// http/RFC.md names every requirement of the RFCs, and tests that are there
    Rfc,
    /// std-shim/TORNADO.md names everything that Tornado's core has, with code that is compiled
    Tornado,
    /// The rules of the sources themselves
    Tidy,
    /// rustfmt has nothing to say
    Fmt,
    /// Clippy has nothing to say
    Clippy,
    /// rustdoc has nothing to say
    Docs,
    /// Every combination of features builds
    Features,
    /// What runs on boards builds without `alloc` and without compare-and-swap
    NoAlloc,
    /// The workspace builds with the oldest Rust that it promises, where that is installed
    Msrv,
}

/// Runs the step.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut report = Report::default();
    let all = Check::value_variants();
    run_some(&mut report, if options.only.is_empty() { all } else { &options.only });
    report.close()
}

/// Adds every check to a longer report.
pub(crate) fn run_all(report: &mut Report) {
    run_some(report, Check::value_variants());
}

fn run_some(report: &mut Report, checks: &[Check]) {
    for check in checks {
        let value = check.to_possible_value();
        let name = value.as_ref().map_or("", |value| value.get_name());
        report.step(&format!("check {name}"), || match check {
            Check::Packages => packages::check(),
            Check::Arrows => arrows::check(),
            Check::Duplicates => duplicates(),
            Check::Licences => licences::check(),
            Check::Rfc => rfc::check(),
            Check::Tornado => tornado::check(),
            Check::Tidy => tidy::check(),
            Check::Fmt => format(),
            Check::Clippy => clippy(),
            Check::Docs => docs(),
            Check::Features => features(),
            Check::NoAlloc => no_alloc(),
            Check::Msrv => msrv(),
        });
    }
}

fn format() -> Result<()> {
    // Package by package: `--all` would follow path dependencies out of the list.
    let names = PACKAGES.iter().filter(|entry| {
        Metadata::of_workspace().is_ok_and(|metadata| metadata.package(entry.name).is_some())
    });
    let chosen = names.flat_map(|entry| ["-p", entry.name]);
    cargo(MINUTES).args(["fmt"]).args(chosen).args(["--", "--check"]).run()?;
    // The peers' packages are workspaces of their own.
    for manifest in ["ci/bench/Cargo.toml", "ci/bench/board/Cargo.toml"] {
        let manifest = metadata::root().join(manifest).display().to_string();
        cargo(MINUTES).args(["fmt", "--manifest-path", &manifest, "--", "--check"]).run()?;
    }
    Ok(())
}

fn clippy() -> Result<()> {
    each(&[Build::Host, Build::Tool], |package| {
        let base = ["clippy", "--locked", "--all-targets", "-p", &package.name];
        let deny = ["--", "-D", "warnings"];
        cargo(MINUTES).args(base).args(deny).run()?;
        if package.features.keys().any(|name| name != "default") {
            cargo(MINUTES).args(base).args(["--all-features"]).args(deny).run()?;
        }
        Ok(())
    })?;
    each(&[Build::Firmware], |package| {
        // Nothing for a bare-metal target has a test harness, hence no `--all-targets`.
        let base = ["clippy", "--locked", "--target", packages::TARGET_BOARD, "-p", &package.name];
        let deny = ["--", "-D", "warnings"];
        cargo(MINUTES).args(base).args(deny).run()?;
        if package.features.contains_key(STATIC_IP) {
            // The binaries that need it are linted with the other address, once.
            let udp = package.features.contains_key(UDP).then_some(UDP);
            let features = [STATIC_IP].into_iter().chain(udp).collect::<Vec<_>>().join(",");
            let other = ["--no-default-features", "--features", &features];
            let clippy = cargo(MINUTES).args(base).args(other).args(deny);
            clippy.env("DUSTDEVIL_IP", "192.0.2.2/24").run()?;
        }
        Ok(())
    })
}

fn docs() -> Result<()> {
    each(&[Build::Host], |package| {
        if !package.has("lib") {
            return Ok(());
        }
        cargo(MINUTES)
            .args(["doc", "--locked", "--no-deps", "--all-features", "--lib", "-p", &package.name])
            .env("RUSTDOCFLAGS", "-D warnings")
            .run()
    })?;
    each(&[Build::Firmware], |package| {
        if !package.has("lib") {
            return Ok(());
        }
        cargo(MINUTES)
            .args(["doc", "--locked", "--no-deps", "--lib", "-p", &package.name])
            .args(["--target", packages::TARGET_BOARD])
            .env("RUSTDOCFLAGS", "-D warnings")
            .run()
    })
}

/// Looks at each package that is built so, also after one that failed, and names those that did.
fn each(builds: &[Build], mut look: impl FnMut(&Package) -> Result<()>) -> Result<()> {
    let mut wrong = Vec::new();
    for entry in packages::of(builds)? {
        let Some(package) = Metadata::of_workspace()?.package(entry.name) else { continue };
        if let Err(error) = look(package) {
            println!("{error:#}");
            wrong.push(entry.name);
        }
    }
    if !wrong.is_empty() {
        bail!("it failed for {}", wrong.join(", "));
    }
    Ok(())
}

fn duplicates() -> Result<()> {
    for name in packages::NO_DUPLICATES {
        let tree = duplicates_of(name, &["--all-features"])?;
        if !tree.trim().is_empty() {
            bail!("{name} has two versions of a dependency:\n{tree}");
        }
    }
    for board in BOARDS {
        let tree = duplicates_of(board.name, &["--target", board.target, "--depth", "0"])?;
        let mut forced = Vec::new();
        for own in packages::FORCED_DUPLICATES.iter().filter(|own| own.board == board.name) {
            println!("{} has two versions of {}: {}", own.board, own.name, own.reason);
            forced.push(own.name);
        }
        let wrong = unforced(&tree, &forced);
        if !wrong.is_empty() {
            bail!("{}, against the list in ci/xtask/src/packages.rs: {wrong:?}", board.name);
        }
    }
    Ok(())
}

fn duplicates_of(package: &str, arguments: &[&str]) -> Result<String> {
    // What procedural macros are made of is in no library and in no firmware.
    let edges = "normal,no-proc-macro";
    let tree = ["tree", "--locked", "--duplicates", "--edges", edges, "-p", package];
    cargo(MINUTES).args(tree).args(arguments).output()
}

/// What `cargo tree --duplicates --depth 0` names and the list does not, or the other way round.
fn unforced(tree: &str, forced: &[&str]) -> Vec<String> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    let found: BTreeSet<&str> = names.collect();
    let listed: BTreeSet<&str> = forced.iter().copied().collect();
    let new = found.difference(&listed).map(|name| format!("{name} is there in two versions"));
    let gone = listed.difference(&found).map(|name| format!("{name} is listed and not there"));
    new.chain(gone).collect()
}

fn features() -> Result<()> {
    for name in packages::ALL_FEATURES {
        let Some(package) = Metadata::of_workspace()?.package(name) else { continue };
        let features =
            package.features.keys().map(String::as_str).filter(|name| *name != "default");
        for subset in subsets(&features.collect::<Vec<_>>())? {
            cargo(MINUTES)
                .args(["check", "--quiet", "--locked", "--no-default-features", "-p", name])
                .args(["--features", &subset.join(",")])
                .run()?;
        }
    }
    Ok(())
}

/// Every subset, the empty one first.
fn subsets<'a>(features: &[&'a str]) -> Result<Vec<Vec<&'a str>>> {
    // Style allows eight features a crate; their powerset is not built one by one any more.
    if features.len() > 5 {
        bail!("{} features have too many combinations to build each", features.len());
    }
    let chosen = |mask: usize| {
        let with = features.iter().enumerate().filter(move |(at, _)| mask >> at & 1 == 1);
        with.map(|(_, feature)| *feature).collect()
    };
    Ok((0..1_usize << features.len()).map(chosen).collect())
}

fn no_alloc() -> Result<()> {
    // Other flags in the environment rebuild the proc macros, hence a folder of its own.
    let folder = metadata::target_folder()?.join("no-alloc");
    for name in packages::NO_ALLOC {
        cargo(MINUTES)
            .args(["build", "--quiet", "--locked", "--lib", "-Z", "build-std=core", "-p", name])
            .args(["--target", packages::TARGET_NO_CAS])
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_DIR", &folder)
            .run()?;
        cargo(MINUTES)
            .args(["build", "--quiet", "--locked", "--lib", "-p", name])
            .args(["--target", packages::TARGET_BOARD])
            .run()?;
    }
    Ok(())
}

fn msrv() -> Result<()> {
    let installed = which("rustup").is_some()
        && Run::new("rustup", 1).args(["run", MSRV, "rustc", "--version"]).succeeds();
    if !installed {
        println!("Rust {MSRV} is not installed: nothing was checked.");
        return Ok(());
    }
    let folder = metadata::target_folder()?.join("msrv");
    each(&[Build::Host], |package| {
        Run::new("rustup", MINUTES)
            .args(["run", MSRV, "cargo", "check", "--locked", "--all-targets", "-p", &package.name])
            .env("CARGO_TARGET_DIR", &folder)
            .run()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_is_listed_or_fails() {
        let tree = "nb v0.1.3\n\nnb v1.1.0\n";
        assert!(unforced(tree, &["nb"]).is_empty());
        assert_eq!(unforced(tree, &[]), ["nb is there in two versions"]);
        assert_eq!(unforced("", &["nb"]), ["nb is listed and not there"]);
    }

    #[test]
    fn every_combination_of_features_is_a_subset() {
        let two = subsets(&["a", "b"]).unwrap_or_default();
        assert_eq!(two, [vec![], vec!["a"], vec!["b"], vec!["a", "b"]]);
        assert_eq!(subsets(&[]).unwrap_or_default(), [Vec::<&str>::new()]);
        assert!(subsets(&["a", "b", "c", "d", "e", "f"]).is_err());
    }
}
