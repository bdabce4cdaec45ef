//! Chromium and the driver that speaks WebDriver for it, for the time of one visit.
//!
//! The driver ends with its [`Driver`], and by the kernel's hand with this process, however that
//! ends. Chromium ends with the driver, since the two talk through a pipe: over the socket that
//! they use otherwise, Chromium stays when its driver is killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

/// The program of Debian's package `chromium-driver`; it finds Chromium by itself.
pub(crate) const PROGRAM: &str = "chromedriver";

/// What it prints before its port.
const STARTED: &str = "started successfully on port ";

/// A page in a window that nobody sees, and no request but the page's own.
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
    "--remote-debugging-pipe",
    "--window-size=1280,1000",
];

/// The setting's number for "open these pages at start".
const RESTORE_URLS: u8 = 4;

/// A running driver.
pub(crate) struct Driver {
    child: Child,
    port: u16,
    /// Held open, since the driver may print more.
    _stdout: BufReader<ChildStdout>,
}

impl Driver {
    /// Starts the driver on a free port of this machine.
    pub(crate) fn start() -> Result<Self> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", PROGRAM, "--port=0"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().context("start setpriv, of Debian's util-linux")?;
        let stdout = child.stdout.take().context("the driver's output was not piped")?;
        let mut driver = Self { child, port: 0, _stdout: BufReader::new(stdout) };
        driver.port = driver.announced()?;
        Ok(driver)
    }

    /// Opens a window with a new profile in this folder.
    pub(crate) async fn open(&self, profile: &Path) -> Result<Client> {
        if profile.exists() {
            std::fs::remove_dir_all(profile)?;
        }
        std::fs::create_dir_all(profile)?;
        // Chromium refuses to sandbox itself for root.
        let is_root = rustix::process::geteuid().is_root();
        let Value::Object(capabilities) = capabilities(&profile.canonicalize()?, is_root) else {
            bail!("capabilities are an object");
        };
        ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{}", self.port))
            .await
            .context("start Chromium")
    }

    fn announced(&mut self) -> Result<u16> {
        let mut printed = String::new();
        while self._stdout.read_line(&mut printed)? > 0 {
            if let Some(port) = port(&printed) {
                return Ok(port);
            }
        }
        bail!(
            "{PROGRAM} did not start; `cargo xtask setup` adds what is missing. It said: {printed}"
        )
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The port that the driver says it listens on.
fn port(printed: &str) -> Option<u16> {
    printed.split_once(STARTED)?.1.trim_end().trim_end_matches('.').parse().ok()
}

/// What the driver is asked for: <https://developer.chrome.com/docs/chromedriver/capabilities>.
fn capabilities(profile: &Path, is_root: bool) -> Value {
    let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
    flags.push(format!("--user-data-dir={}", profile.display()));
    if is_root {
        flags.push("--no-sandbox".to_owned());
    }
    json!({
        "goog:chromeOptions": {
            "args": flags,
            // A window starts with a page that asks a search engine for its own parts otherwise.
            "prefs": {
                "session.restore_on_startup": RESTORE_URLS,
                "session.startup_urls": ["about:blank"],
            },
            "perfLoggingPrefs": { "enableNetwork": true, "enablePage": false },
        },
        "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_once_its_line_is_whole() {
        let table = [
            ("ChromeDriver was started successfully on port 40211.\n", Some(40211)),
            ("Only local connections are allowed.\n", None),
            ("Starting ChromeDriver 156.0.8078.79 (refs/branch-heads/8078) on port 0\n", None),
            ("", None),
        ];
        for (line, number) in table {
            assert_eq!(port(line), number, "{line}");
        }
    }

    #[test]
    fn the_sandbox_is_left_out_for_root_alone() {
        for is_root in [true, false] {
            let asked = capabilities(Path::new("profile"), is_root).to_string();
            assert_eq!(asked.contains("--no-sandbox"), is_root);
            assert!(asked.contains("--user-data-dir=profile"));
        }
    }
}
