//! Looks at the demo's page as a visitor does: figures move, the LED switches, no request fails and
//! the console stays empty.
//!
//! `cargo xtask browser` starts the demo and Chromium, ends both, and passes their addresses:
//!
//! ```text
//! browser ws://127.0.0.1:9222/devtools/browser/.. http://127.0.0.1:8888/ demo.png
//! ```

mod devtools;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use devtools::Page;

/// How soon a figure must move, or a click show.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often an element's text is asked for.
const LOOK: Duration = Duration::from_millis(100);

/// Figures that move by themselves.
const FIGURES: &[&str] = &["#requests", "#uptime"];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [browser, url, picture] = &arguments[..] else {
        bail!("usage: browser <address of DevTools> <address of the page> <picture to write>");
    };
    let mut page = Page::open(browser)?;
    page.navigate(url)?;
    let outcome = look(&mut page);
    // The picture shows a failure best.
    std::fs::write(picture, page.screenshot()?).with_context(|| format!("write {picture}"))?;
    outcome?;
    if !page.wrong.is_empty() {
        bail!("the page is not quiet:\n{}", page.wrong.join("\n"));
    }
    println!("the demo's figures move, its LED switches, its console is empty: {picture}");
    Ok(())
}

fn look(page: &mut Page) -> Result<()> {
    for figure in FIGURES {
        let before = page.text(figure)?;
        let after = changed(page, figure, &before)?;
        println!("{figure}: {before} -> {after}");
    }
    let first = page.text("#led-state")?;
    page.click("#led")?;
    let second = changed(page, "#led-state", &first)?;
    page.click("#led")?;
    let third = changed(page, "#led-state", &second)?;
    println!("#led-state: {first} -> {second} -> {third}");
    if third != first {
        bail!("the LED was {first}, and after two clicks it is {third}");
    }
    // What is answered late is heard, too.
    page.listen(Duration::from_secs(1))
}

/// Waits until an element's text is another.
fn changed(page: &mut Page, selector: &str, before: &str) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let now = page.text(selector)?;
        if now != before {
            return Ok(now);
        }
        page.listen(LOOK)?;
    }
    bail!("{selector} was still `{before}` after {PATIENCE:?}")
}
