//! Headless Chromium: opens what the server sends, and asks everything from that page by script.

use std::path::Path;

use anyhow::{Result, bail};
use serde_json::json;

use crate::place::Place;

/// What runs in the page.
const SCRIPT: &str = include_str!("../clients/page.js");

/// What a page of `/dump` shows, the way of the one who opened it.
const SHOWN: &str = "arguments[0](document.body.innerText);";

/// Opens `/` and asks from there, then opens `/dump`.
pub(crate) fn run(place: &Place, _: &Path) -> Result<String> {
    if !browser::is_installed() {
        bail!("Chromium's driver is here, and Chromium is not");
    }
    let folder = place.folder.join("browser");
    let arguments = vec![json!(place.body), json!(place.large)];
    let said = browser::run(&place.url("/"), &folder, SCRIPT, arguments)?;
    let said = said.as_str().unwrap_or_default();
    if !said.ends_with(" questions answered") {
        bail!("{said}");
    }
    let dump = browser::run(&place.url("/dump?a=%20"), &folder, SHOWN, Vec::new())?;
    let dump = dump.as_str().unwrap_or_default();
    for wanted in ["method=GET", "query=a=%20", "version=1.1", "h.upgrade-insecure-requests=1"] {
        if !dump.lines().any(|line| line == wanted) {
            bail!("{wanted} is not in what Chromium shows: {dump}");
        }
    }
    Ok(said.to_owned())
}
