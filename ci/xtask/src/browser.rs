//! `cargo xtask browser`: looks at the demo with headless Chromium.
//!
//! The demo and Chromium are started and ended here; the package `browser` talks to Chromium, and
//! is a package of its own so that xtask stays small.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::metadata;
use crate::process::{Beside, cargo, which};

/// The program that Debian's package of the same name installs.
pub(crate) const CHROMIUM: &str = "chromium";

/// How long each of the two may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A page in a window that nobody sees, a new profile, and no request but the page's own.
const FLAGS: &[&str] = &[
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-extensions",
    "--no-first-run",
    "--no-default-browser-check",
    "--metrics-recording-only",
    "--password-store=basic",
    "--window-size=1280,1000",
    "--remote-debugging-port=0",
];

/// Runs the step.
pub(crate) fn run() -> Result<()> {
    cargo(20).args(["build", "--release", "--locked", "-p", "demo"]).run()?;
    cargo(15).args(["build", "--locked", "-p", "browser"]).run()?;
    let target = metadata::target_folder()?;
    let demo = target.join("release/demo").display().to_string();
    let demo = [&demo, "--address", "127.0.0.1", "--port", "0"].map(str::to_owned);
    let mut demo = Beside::start(&demo, &[])?;
    let address = demo.wait_for_line("listening on http://", PATIENCE)?;
    let address = address.split(['/', ' ']).next().unwrap_or_default();
    let folder = target.join("browser");
    let mut chromium = chromium(&folder.join("profile"))?;
    let devtools = chromium.wait_for_line("DevTools listening on ", PATIENCE)?;
    let picture = folder.join("demo.png").display().to_string();
    cargo(3)
        .args(["run", "--quiet", "--locked", "-p", "browser", "--"])
        .args([devtools.trim(), &format!("http://{address}/"), &picture])
        .run()?;
    drop(chromium);
    demo.end(PATIENCE).context("the demo, after its visitor left")
}

fn chromium(profile: &std::path::Path) -> Result<Beside> {
    let program = which(CHROMIUM).context("Chromium is missing; `cargo xtask setup` adds it")?;
    if profile.exists() {
        std::fs::remove_dir_all(profile)?;
    }
    std::fs::create_dir_all(profile)?;
    let mut words = vec![program.display().to_string()];
    words.extend(FLAGS.iter().map(|flag| (*flag).to_owned()));
    words.push(format!("--user-data-dir={}", profile.display()));
    if rustix::process::geteuid().is_root() {
        // Chromium refuses to sandbox itself for root.
        words.push("--no-sandbox".to_owned());
    }
    words.push("about:blank".to_owned());
    Beside::start(&words, &[])
}
