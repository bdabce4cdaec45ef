//! Looks at the demo's page as a visitor does: figures move, the LED switches, no request fails and
//! the console stays empty.
//!
//! Chromium is started through its driver, and both are ended. [`visit`] looks at everything once;
//! [`load`] loads the page again and again, each time as somebody who has never been there; [`run`]
//! runs another's script in another's page.
//! Everything that is wrong is told, not only what was found first. `tests/faults.rs` shows each
//! check failing.
//!
//! Place: `main.rs` is the program, which `cargo xtask browser` runs; the tests of boards use this
//! library, since a board's network is in one thread only, and so does `interop`.

#![expect(
    clippy::large_futures,
    reason = "a tool of the host, which waits for one thing at a time"
)]

mod driver;
mod log;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use fantoccini::{Client, Locator};
use serde_json::Value;

use driver::Driver;

/// How soon a figure must move, or a click show.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often an element's text is asked for.
const LOOK: Duration = Duration::from_millis(100);

/// How long the page is listened to after the last click: what is answered late is heard, too.
const LISTEN: Duration = Duration::from_secs(1);

/// How long the whole visit may take, Chromium's start on a busy machine included.
const VISIT: Duration = Duration::from_secs(120);

/// How long each of many loads may take on average, Chromium's start included.
const LOAD: Duration = Duration::from_secs(30);

/// The programs that Debian's packages `chromium` and `chromium-driver` install.
const PROGRAMS: &[&str] = &["chromium", driver::PROGRAM];

/// Figures that move by themselves.
const FIGURES: &[&str] = &["#requests", "#uptime"];

/// What only boards know, and say in `/status.json`: by its name there, which is its section's on
/// the page, and its figures.
const BOARD: &[(&str, &[&str])] = &[
    ("memory", &["#ram-free", "#ram", "#statics", "#peak-stack", "#stack"]),
    ("network", &["#free", "#sockets", "#used", "#lingering", "#held"]),
];

/// Asks what the page's own figures come from.
const STATUS: &str = "const done = arguments[0];
    fetch('status.json').then((answer) => answer.json()).then(done);";

/// Visits the page, looks at everything, and leaves a picture of it in `folder`, beside Chromium's
/// profile.
///
/// # Errors
/// What is wrong with the page, all of it; or Chromium or its driver cannot be started.
pub fn visit(url: &str, folder: &Path) -> Result<()> {
    within(VISIT, async {
        let driver = Driver::start()?;
        let page = driver.open(&folder.join("profile")).await?;
        page.goto(url).await.with_context(|| format!("load {url}"))?;
        let looked = look(&page).await;
        tokio::time::sleep(LISTEN).await;
        let mut wrong = log::told(&page).await.context("read what Chromium logged")?.wrong;
        if let Err(error) = looked {
            wrong.insert(0, format!("{error:#}"));
        }
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
    })
}

/// Loads the page so many times, each time in a Chromium that has nothing of it yet: it opens as
/// many connections at once as it likes, and everything is asked for anew.
///
/// # Errors
/// What was wrong in the first load that was not as it should be; or Chromium or its driver cannot
/// be started.
pub fn load(url: &str, folder: &Path, times: u32) -> Result<()> {
    within(LOAD * times, async {
        let driver = Driver::start()?;
        for time in 1..=times {
            let page = driver.open(&folder.join("profile")).await?;
            let went = page.goto(url).await.with_context(|| format!("load {url}"));
            let shown = text_once(&page, FIGURES[0], "a figure", has_digit).await;
            let told = log::told(&page).await.context("read what Chromium logged")?;
            page.close().await.context("close Chromium")?;
            let mut wrong = told.wrong;
            wrong.extend(went.and(shown).err().map(|error| format!("{error:#}")));
            if told.answered == 0 {
                wrong.push("Chromium logged no answer".to_owned());
            }
            if !wrong.is_empty() {
                bail!("{url}, load {time} of {times}:\n{}", wrong.join("\n"));
            }
            println!("load {time}: {} requests were answered", told.answered);
        }
        Ok(())
    })
}

/// Opens an address in a Chromium that has nothing of it yet, runs a script in the page that comes,
/// and returns what the script calls its last argument with; `folder` is for Chromium's profile.
///
/// # Errors
/// The page did not load, the script called nothing in time, or Chromium or its driver cannot be
/// started.
pub fn run(url: &str, folder: &Path, script: &str, arguments: Vec<Value>) -> Result<Value> {
    within(VISIT, async {
        let driver = Driver::start()?;
        let page = driver.open(&folder.join("profile")).await?;
        page.goto(url).await.with_context(|| format!("load {url}"))?;
        let said = page.execute_async(script, arguments).await.context("run a script in the page");
        page.close().await.context("close Chromium")?;
        said
    })
}

/// Whether there is a Chromium and a driver to look with.
pub fn is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there =
        |program: &&str| std::env::split_paths(&path).any(|it| it.join(program).is_file());
    PROGRAMS.iter().all(is_there)
}

/// The driver ends with the visit, so Chromium does as well.
fn within<T>(limit: Duration, visit: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let visited = runtime.block_on(async { tokio::time::timeout(limit, visit).await });
    visited.with_context(|| format!("the visit took over {limit:?}"))?
}

async fn look(page: &Client) -> Result<()> {
    for figure in FIGURES {
        let first = text_once(page, figure, "a figure", has_digit).await?;
        let second = text_once(page, figure, "another", |text| text != first).await?;
        println!("{figure}: {first} -> {second}");
    }
    let connections = text_once(page, "#connections", "a number", is_number).await?;
    println!("#connections: {connections}");
    look_at_board(page).await?;
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

/// What the server knows of its board is shown; what it does not know is not.
async fn look_at_board(page: &Client) -> Result<()> {
    let status = page.execute_async(STATUS, Vec::new()).await.context("ask for /status.json")?;
    for (name, figures) in BOARD {
        let section = page.find(Locator::Id(name)).await;
        let section = section.with_context(|| format!("#{name} is not on the page"))?;
        let is_shown = section.is_displayed().await?;
        match status.get(name) {
            None => bail!("/status.json says nothing of `{name}`: {status}"),
            Some(Value::Null) if is_shown => bail!("#{name} is shown, and nothing is known of it"),
            Some(Value::Null) => {}
            Some(known) if !is_shown => bail!("#{name} is not shown, and it is {known}"),
            Some(_) => {
                for figure in *figures {
                    let text = text_once(page, figure, "a figure", has_digit).await?;
                    println!("{figure}: {text}");
                }
            }
        }
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
