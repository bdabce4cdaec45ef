//! Looks at the demo's page as a visitor does: figures move, the LED switches, no request fails and
//! the console stays empty.
//!
//! It starts Chromium through its driver and ends both; `cargo xtask browser` starts the demo and
//! passes its address, and a folder for the picture and for Chromium's profile:
//!
//! ```text
//! browser http://127.0.0.1:8888/ target/browser
//! ```
//!
//! Everything that is wrong is told, not only what was found first. `tests/faults.rs` shows each
//! check failing.

#![expect(
    clippy::large_futures,
    reason = "a tool of the host, which waits for one thing at a time"
)]

mod driver;
mod log;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use fantoccini::{Client, Locator};

use driver::Driver;

/// How soon a figure must move, or a click show.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often an element's text is asked for.
const LOOK: Duration = Duration::from_millis(100);

/// How long the page is listened to after the last click: what is answered late is heard, too.
const LISTEN: Duration = Duration::from_secs(1);

/// How long the whole visit may take, Chromium's start on a busy machine included.
const VISIT: Duration = Duration::from_secs(120);

/// Figures that move by themselves.
const FIGURES: &[&str] = &["#requests", "#uptime"];

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
    let [url, folder] = &arguments[..] else {
        bail!("usage: browser <address of the page> <folder for the picture and the profile>");
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let visit = visit(url, Path::new(folder));
        // The driver ends with the visit, so Chromium does as well.
        let visited = tokio::time::timeout(VISIT, visit).await;
        visited.with_context(|| format!("the visit took over {VISIT:?}"))?
    })
}

async fn visit(url: &str, folder: &Path) -> Result<()> {
    let driver = Driver::start()?;
    let page = driver.open(&folder.join("profile")).await?;
    page.goto(url).await.with_context(|| format!("load {url}"))?;
    let mut wrong = Vec::new();
    if let Err(error) = look(&page).await {
        wrong.push(format!("{error:#}"));
    }
    tokio::time::sleep(LISTEN).await;
    wrong.extend(log::wrong(&page).await.context("read what Chromium logged")?);
    // The picture shows a failure best.
    let picture = folder.join("demo.png");
    std::fs::write(&picture, page.screenshot().await?)
        .with_context(|| format!("write {}", picture.display()))?;
    page.close().await.context("close Chromium")?;
    if !wrong.is_empty() {
        bail!("{url} is not as it should be:\n{}", wrong.join("\n"));
    }
    println!("figures move, the LED switches, the console is empty: {}", picture.display());
    Ok(())
}

async fn look(page: &Client) -> Result<()> {
    for figure in FIGURES {
        let first = text_once(page, figure, "a figure", has_digit).await?;
        let second = text_once(page, figure, "another", |text| text != first).await?;
        println!("{figure}: {first} -> {second}");
    }
    let connections = text_once(page, "#connections", "a number", is_number).await?;
    println!("#connections: {connections}");
    let first = text_once(page, "#led-state", "known", |text| ["on", "off"].contains(&text));
    let first = first.await?;
    click(page, "#led").await?;
    let second = text_once(page, "#led-state", "another", |text| text != first).await?;
    click(page, "#led").await?;
    let third = text_once(page, "#led-state", "another", |text| text != second).await?;
    println!("#led-state: {first} -> {second} -> {third}");
    if third != first {
        bail!("#led-state was `{first}`, and after two clicks it is `{third}`");
    }
    Ok(())
}

/// Waits until an element's text is as wanted, and returns it.
async fn text_once(
    page: &Client,
    selector: &str,
    wanted: &str,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let element = page.find(Locator::Css(selector)).await;
        let element = element.with_context(|| format!("{selector} is not on the page"))?;
        let text = element.text().await.with_context(|| format!("read {selector}"))?;
        if is_wanted(&text) {
            return Ok(text);
        }
        if Instant::now() > deadline {
            bail!("{selector} was `{text}` and not {wanted} after {PATIENCE:?}");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Clicks as a mouse does: what is hidden, or lies below something else, is not clicked.
async fn click(page: &Client, selector: &str) -> Result<()> {
    let element = page.find(Locator::Css(selector)).await;
    let element = element.with_context(|| format!("{selector} is not on the page"))?;
    element.click().await.with_context(|| format!("click {selector}"))
}

/// The page shows a dash until it knows a figure.
fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

/// A whole number as the page writes it: `1,024`.
fn is_number(text: &str) -> bool {
    text.replace(',', "").parse::<u64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dash_is_no_figure_and_a_time_is_no_number() {
        let table = [
            ("–", false, false),
            ("", false, false),
            ("7", true, true),
            ("1,024", true, true),
            ("0:00:07", true, false),
            ("NaN", false, false),
        ];
        for (text, figure, number) in table {
            assert_eq!((has_digit(text), is_number(text)), (figure, number), "{text}");
        }
    }
}
