//! Every package that a build of ours contains has a licence on the list in `.deny.toml`.
//!
//! The file has the form that cargo-deny reads, so that tool may be used as well; it takes minutes
//! to build on a new machine, and this takes none.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use spdx::{Expression, ParseMode};

use crate::metadata::{self, Metadata, Node};

/// The part of `.deny.toml` that is read here.
#[derive(Deserialize)]
struct Deny {
    licenses: Licenses,
}

#[derive(Deserialize)]
struct Licenses {
    /// What any package may be under.
    allow: Vec<String>,
    /// What one package may be under beside those.
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

/// Runs the check.
pub(crate) fn check() -> Result<()> {
    let path = metadata::root().join(".deny.toml");
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let deny: Deny = toml::from_str(&text).context(".deny.toml")?;
    let metadata = Metadata::of_everything()?;
    let nodes = &metadata.resolve.as_ref().context("cargo metadata resolved nothing")?.nodes;
    let reachable = reachable(&metadata.workspace_members, nodes);
    let mut wrong = Vec::new();
    let mut judged = 0;
    for package in metadata.packages.iter().filter(|own| reachable.contains(own.id.as_str())) {
        judged += 1;
        if let Err(reason) = judge(&deny.licenses, &package.name, package.license.as_deref()) {
            wrong.push(format!("{} {}: {reason}", package.name, package.version));
        }
    }
    println!("{judged} packages have a licence to be judged");
    if !wrong.is_empty() {
        bail!("licences that .deny.toml does not allow:\n{}", wrong.join("\n"));
    }
    Ok(())
}

/// Everything that a build of the workspace contains or runs; what only tests use is left out.
fn reachable<'a>(members: &'a [String], nodes: &'a [Node]) -> BTreeSet<&'a str> {
    let edges: BTreeMap<&str, &Node> = nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&str> = members.iter().map(String::as_str).collect();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let Some(node) = edges.get(id) else { continue };
        for edge in &node.deps {
            if edge.dep_kinds.iter().any(|kind| kind.kind.as_deref() != Some("dev")) {
                open.push(&edge.pkg);
            }
        }
    }
    seen
}

fn judge(licenses: &Licenses, name: &str, expression: Option<&str>) -> Result<(), String> {
    let text = expression.ok_or("no licence is declared")?;
    // Lax: older packages write `MIT/Apache-2.0`.
    let parsed = Expression::parse_mode(text, ParseMode::LAX);
    let parsed = parsed.map_err(|error| format!("`{text}` is no licence: {}", error.reason))?;
    let own = licenses.exceptions.iter().filter(|exception| exception.name == name);
    let extra = own.flat_map(|exception| exception.allow.iter());
    let allowed: BTreeSet<&str> = licenses.allow.iter().chain(extra).map(String::as_str).collect();
    if parsed.evaluate(|required| allowed.contains(required.to_string().as_str())) {
        Ok(())
    } else {
        Err(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::{Edge, EdgeKind};

    #[test]
    fn an_expression_is_allowed_when_it_can_be_satisfied() {
        let licenses = Licenses {
            allow: ["MIT", "Apache-2.0"].map(str::to_owned).to_vec(),
            exceptions: vec![Exception { name: "fuzzer".into(), allow: vec!["NCSA".into()] }],
        };
        let table = [
            ("any", Some("MIT"), true),
            ("any", Some("MIT/Apache-2.0"), true),
            ("any", Some("GPL-3.0-only OR MIT"), true),
            ("any", Some("(MIT OR Apache-2.0) AND NCSA"), false),
            ("fuzzer", Some("(MIT OR Apache-2.0) AND NCSA"), true),
            ("any", Some("GPL-3.0-only"), false),
            ("any", Some("MIT AND GPL-3.0-only"), false),
            ("any", Some("Apache-2.0 WITH LLVM-exception"), false),
            ("any", Some("my own"), false),
            ("any", None, false),
        ];
        for (name, expression, allowed) in table {
            assert_eq!(judge(&licenses, name, expression).is_ok(), allowed, "{expression:?}");
        }
    }

    #[test]
    fn what_only_tests_use_is_not_judged() {
        let edge = |to: &str, kind: Option<&str>| Edge {
            pkg: to.to_owned(),
            dep_kinds: vec![EdgeKind { kind: kind.map(str::to_owned) }],
        };
        let nodes = [
            Node { id: "ours".into(), deps: vec![edge("a", None), edge("t", Some("dev"))] },
            Node { id: "a".into(), deps: vec![edge("b", Some("build"))] },
            Node { id: "t".into(), deps: vec![edge("u", None)] },
        ];
        let members = ["ours".to_owned()];
        let found: Vec<&str> = reachable(&members, &nodes).into_iter().collect();
        assert_eq!(found, ["a", "b", "ours"]);
    }
}
