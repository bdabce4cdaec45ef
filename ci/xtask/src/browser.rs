//! `cargo xtask browser`: looks at the demo with headless Chromium.
//!
//! The demo is started and ended here; the package `browser` does the same with Chromium and its
//! driver, and is a package of its own so that xtask stays small. Its tests, which show it pages
//! with faults, run first: only a check that was seen failing is believed.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::metadata;
use crate::process::{Beside, cargo, which};

/// The programs that Debian's packages `chromium` and `chromium-driver` install.
const PROGRAMS: &[&str] = &["chromium", "chromedriver"];

/// How long the demo may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether there is a Chromium to look with.
pub(crate) fn is_installed() -> bool {
    PROGRAMS.iter().all(|program| which(program).is_some())
}

/// Runs the step.
pub(crate) fn run() -> Result<()> {
    if !is_installed() {
        bail!("Chromium or its driver is missing; `cargo xtask setup` adds them");
    }
    cargo(20).args(["build", "--release", "--locked", "-p", "demo"]).run()?;
    cargo(20).args(["test", "--locked", "-p", "browser"]).tests()?;
    let target = metadata::target_folder()?;
    let demo = target.join("release/demo").display().to_string();
    let demo = [&demo, "--address", "127.0.0.1", "--port", "0"].map(str::to_owned);
    let mut demo = Beside::start(&demo, &[])?;
    let address = demo.wait_for_line("listening on http://", PATIENCE)?;
    let address = address.split(['/', ' ']).next().unwrap_or_default();
    let url = format!("http://{address}/");
    let folder = target.join("browser").display().to_string();
    cargo(5).args(["run", "--quiet", "--locked", "-p", "browser", "--", &url, &folder]).run()?;
    demo.end(PATIENCE).context("the demo, after its visitor left")
}
