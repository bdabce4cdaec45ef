//! What cargo knows of the workspace: `cargo metadata`, as far as the checks read it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use ::qemu::firmware::Peer;
use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The answer of `cargo metadata`.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    /// The workspace's packages; with dependencies resolved, all packages.
    pub(crate) packages: Vec<Package>,
    /// Ids of the workspace's packages.
    pub(crate) workspace_members: Vec<String>,
    /// Where cargo builds.
    pub(crate) target_directory: PathBuf,
    /// Who depends on whom; absent with `--no-deps`.
    pub(crate) resolve: Option<Resolve>,
}

/// One package.
#[derive(Deserialize)]
pub(crate) struct Package {
    /// Its id.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// Its SPDX expression.
    pub(crate) license: Option<String>,
    /// Where its Cargo.toml lies.
    pub(crate) manifest_path: PathBuf,
    /// What it declares to depend on.
    pub(crate) dependencies: Vec<Dependency>,
    /// Its features, optional dependencies among them.
    pub(crate) features: BTreeMap<String, Vec<String>>,
    /// Its library, binaries, tests, ..
    pub(crate) targets: Vec<Target>,
}

/// One line of a `[dependencies]` table.
#[derive(Deserialize)]
pub(crate) struct Dependency {
    /// The package's name, whatever it is renamed to.
    pub(crate) name: String,
    /// None, `dev` or `build`.
    pub(crate) kind: Option<String>,
    /// The `cfg(..)` it is declared for.
    pub(crate) target: Option<String>,
}

/// One thing cargo builds.
#[derive(Deserialize)]
pub(crate) struct Target {
    /// Its name.
    pub(crate) name: String,
    /// `lib`, `bin`, `test`, `bench`, `custom-build`, ..
    pub(crate) kind: Vec<String>,
    /// Its root file.
    pub(crate) src_path: PathBuf,
}

/// The resolved graph.
#[derive(Deserialize)]
pub(crate) struct Resolve {
    /// One node a package.
    pub(crate) nodes: Vec<Node>,
}

/// A package's edges.
#[derive(Deserialize)]
pub(crate) struct Node {
    /// Whose edges they are.
    pub(crate) id: String,
    /// The edges.
    pub(crate) deps: Vec<Edge>,
}

/// One edge, which may be of several kinds.
#[derive(Deserialize)]
pub(crate) struct Edge {
    /// The id of the package it leads to.
    pub(crate) pkg: String,
    /// Why it is there.
    pub(crate) dep_kinds: Vec<EdgeKind>,
}

/// Why an edge is there.
#[derive(Deserialize)]
pub(crate) struct EdgeKind {
    /// None, `dev` or `build`.
    pub(crate) kind: Option<String>,
}

impl Metadata {
    /// The workspace's packages alone; quick, and needs no network.
    pub(crate) fn of_workspace() -> Result<&'static Self> {
        static METADATA: OnceLock<Metadata> = OnceLock::new();
        if METADATA.get().is_none() {
            let read = read(&["--no-deps"])?;
            return Ok(METADATA.get_or_init(|| read));
        }
        METADATA.get().context("it was just set")
    }

    /// The packages of the servers that ours is measured beside, each a workspace of its own.
    pub(crate) fn of_peers() -> Result<[Self; 2]> {
        let of = |folder: &str| {
            let manifest = root().join(folder).join("Cargo.toml").display().to_string();
            read(&["--no-deps", "--manifest-path", &manifest])
        };
        Ok([of("ci/bench")?, of(Peer::FOLDER)?])
    }

    /// Every package of Cargo.lock, with the graph.
    pub(crate) fn of_everything() -> Result<Self> {
        read(&["--locked"])
    }

    /// The package of this name.
    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }
}

impl Package {
    /// Its folder, from the workspace's root.
    pub(crate) fn folder(&self) -> String {
        let folder = self.manifest_path.parent().unwrap_or(Path::new(""));
        folder.strip_prefix(root()).unwrap_or(folder).display().to_string()
    }

    /// The names of its binaries.
    pub(crate) fn binaries(&self) -> impl Iterator<Item = &str> {
        let is_binary = |target: &&Target| target.kind.iter().any(|kind| kind == "bin");
        self.targets.iter().filter(is_binary).map(|target| target.name.as_str())
    }

    /// Whether it has a target of this kind.
    pub(crate) fn has(&self, kind: &str) -> bool {
        self.targets.iter().any(|target| target.kind.iter().any(|own| own == kind))
    }
}

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    // ci/xtask lies two folders below the root.
    own.ancestors().nth(2).unwrap_or(own)
}

/// Where cargo builds.
pub(crate) fn target_folder() -> Result<&'static Path> {
    Ok(&Metadata::of_workspace()?.target_directory)
}

fn read(arguments: &[&str]) -> Result<Metadata> {
    let mut command = Command::new("cargo");
    command.args(["metadata", "--format-version", "1"]).args(arguments);
    let output = command.current_dir(root()).output().context("start cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).context("read cargo metadata")
}
