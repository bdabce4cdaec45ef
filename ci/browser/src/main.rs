//! `browser`: looks at the demo's page, on Linux or on a board, with headless Chromium.
//!
//! `cargo xtask browser` starts the demo and passes its address, and a folder for the picture and
//! for Chromium's profile. With a number behind them the page is loaded so many times afterwards:
//!
//! ```text
//! browser http://127.0.0.1:8888/ target/browser
//! browser http://192.0.2.2/ target/browser 20
//! ```

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("browser: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (url, folder, times) = match &arguments[..] {
        [url, folder] => (url, folder, 0),
        [url, folder, times] => (url, folder, times.parse().context("how many times")?),
        _ => bail!("usage: browser <address of the page> <folder for the picture> [<times>]"),
    };
    browser::visit(url, Path::new(folder))?;
    browser::load(url, Path::new(folder), times)
}
