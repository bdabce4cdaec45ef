//! Libraries: each has a script in `clients/` which asks everything, judges the answers itself and
//! prints one line.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::place::Place;
use crate::tool::Tool;

/// Seconds that a script may take on a busy machine.
const SECONDS: u32 = 120;

/// Seconds in which Go builds its library for the first time.
const BUILD: u32 = 300;

/// A client in Python: `clients/python_NAME.py`.
pub(crate) fn python(place: &Place, python: &Path, name: &str) -> Result<String> {
    let script = format!("python_{name}.py");
    // Nothing is left beside the sources.
    script_of(place, Tool::new(python, SECONDS).args(["-B"]), &script)
}

/// Node's `fetch`.
pub(crate) fn node(place: &Place, node: &Path) -> Result<String> {
    script_of(place, Tool::new(node, SECONDS).args(["--no-warnings"]), "fetch.mjs")
}

/// Go's `net/http`; nothing but what came with Go is built.
pub(crate) fn go(place: &Place, go: &Path) -> Result<String> {
    let program = place.file("go-client");
    let built = place.target.join("interop/go");
    fs::create_dir_all(&built)?;
    Tool::new(go, BUILD)
        .args(["build", "-o", &program, &file("client.go")])
        .env("GOCACHE", built.join("cache"))
        .env("GOPATH", built.join("path"))
        .env("GOTMPDIR", &built)
        .env("GOPROXY", "off")
        .env("GOFLAGS", "-mod=mod")
        .env("GOTOOLCHAIN", "local")
        .env("GO111MODULE", "off")
        .env("CGO_ENABLED", "0")
        .run()
        .context("build the client")?;
    asks(place, Tool::new(&program, SECONDS))
}

fn script_of(place: &Place, tool: Tool, script: &str) -> Result<String> {
    asks(place, tool.args([file(script)]))
}

fn asks(place: &Place, tool: Tool) -> Result<String> {
    let [url, body, large] = [place.url(""), place.body.to_string(), place.large.to_string()];
    let said = tool.args([url, body, large]).run()?.text();
    match said.trim_end() {
        line if line.contains("answered") && !line.contains('\n') => Ok(line.to_owned()),
        other => bail!("it did not say that all was answered, but: {other}"),
    }
}

/// A script's place.
fn file(name: &str) -> String {
    format!("{}/clients/{name}", env!("CARGO_MANIFEST_DIR"))
}
