//! slowhttptest: many connections that send or read as slowly as they can, while a bystander asks
//! one thing after another, each on a connection of its own, and must be answered in time.
//!
//! More connections come at once than the server has room for. The tool itself also asks, every
//! second, whether the server still answers.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::place::{Place, get};
use crate::tool::Tool;

/// Connections that attack: half as many again as the server has room for.
const CONNECTIONS: u32 = 300;

/// How many of them are opened each second.
const RATE: u32 = 300;

/// Seconds of an attack, and of one in a smoke.
const SECONDS: u32 = 20;
const SMOKE_SECONDS: u32 = 6;

/// How often the bystander asks.
const ASKS_EVERY: Duration = Duration::from_millis(100);

/// What the tool says of the server each time.
const VERDICT: &str = "service available:";

/// How an attack may end: it was over, or everybody was put out.
const ENDS: &[&str] = &["Hit test time limit", "No open connections left"];

/// Heads that never end, a field each second.
pub(crate) fn heads(place: &Place, tool: &Path) -> Result<String> {
    attack(place, tool, &["-H", "-i", "1"], "/")
}

/// Bodies that never end, some bytes each second.
pub(crate) fn bodies(place: &Place, tool: &Path) -> Result<String> {
    attack(place, tool, &["-B", "-i", "1", "-s", "8192"], "/upload")
}

/// Long answers, read 32 bytes a second through a small window.
pub(crate) fn reading(place: &Place, tool: &Path) -> Result<String> {
    let words = ["-X", "-n", "1", "-z", "32", "-w", "10", "-y", "20", "-k", "3"];
    attack(place, tool, &words, &format!("/large?n={}", place.large))
}

/// A field with very many ranges: more than a head may be long, and as many as fit.
pub(crate) fn ranges(place: &Place, tool: &Path) -> Result<String> {
    let attack = |to| attack(place, tool, &["-R", "-t", "HEAD", "-a", "10", "-b", to], "/");
    let [many, some] = [attack("3000")?, attack("900")?];
    Ok(format!("3000: {many}; 900: {some}"))
}

fn attack(place: &Place, tool: &Path, mode: &[&str], path: &str) -> Result<String> {
    let seconds = if place.smoke { SMOKE_SECONDS } else { SECONDS };
    let [connections, rate] = [CONNECTIONS, RATE].map(|number| number.to_string());
    if CONNECTIONS <= place.room {
        bail!("{CONNECTIONS} connections are no more than the server has room for");
    }
    let within = place.answered_within.as_secs().to_string();
    let run = Tool::new(tool, seconds + 60)
        .args(mode)
        .args(["-c", &connections, "-r", &rate, "-l", &seconds.to_string(), "-p", &within])
        .args(["-v", "1", "-u", &place.url(path)]);
    let (over, start) = (AtomicBool::new(false), Instant::now());
    let (said, seen) = thread::scope(|scope| {
        let bystander = scope.spawn(|| bystander(place, &over));
        let said = run.say();
        over.store(true, Ordering::Relaxed);
        (said, bystander.join())
    });
    let said = said?;
    let text = format!("{}{}", String::from_utf8_lossy(&said.output), said.errors);
    let (asked, worst) = seen.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let lasted = start.elapsed().as_secs();
    if u64::from(asked) <= lasted {
        bail!("the bystander asked {asked} times in {lasted} s only");
    }
    let made = judge(&text)?;
    Ok(format!("{made}; bystander: {asked} answers, at worst {} ms", worst.as_millis()))
}

/// Asks until it is over: how often, and how long the longest answer took.
fn bystander(place: &Place, over: &AtomicBool) -> Result<(u32, Duration)> {
    let (mut asked, mut worst) = (0, Duration::ZERO);
    while !over.load(Ordering::Relaxed) {
        let start = Instant::now();
        let body = get(place.address, "/", place.answered_within);
        let body = body.with_context(|| format!("the bystander, after {asked} answers"))?;
        if body != "hello" {
            bail!("the bystander was answered {body}");
        }
        worst = worst.max(start.elapsed());
        asked += 1;
        thread::sleep(ASKS_EVERY.saturating_sub(start.elapsed()));
    }
    Ok((asked, worst))
}

/// What the tool found out; an error unless the server was there whenever it asked.
fn judge(said: &str) -> Result<String> {
    let text = plain(said);
    let verdicts: Vec<&str> =
        text.lines().filter_map(|line| Some(line.split_once(VERDICT)?.1.trim())).collect();
    if verdicts.is_empty() || verdicts.iter().any(|verdict| *verdict != "YES") {
        bail!("the tool found the service unavailable, or did not say:\n{text}");
    }
    if !ENDS.iter().any(|end| text.contains(&format!("Exit status: {end}"))) {
        bail!("the attack ended neither with time nor with its connections:\n{text}");
    }
    let last = |name: &str| {
        let line = text.lines().rev().find_map(|line| line.trim().strip_prefix(name));
        line.unwrap_or("?").trim().to_owned()
    };
    let [closed, connected] = ["closed:", "connected:"].map(last);
    Ok(format!("{closed} closed, {connected} left"))
}

/// Without the colours of a terminal.
fn plain(text: &str) -> String {
    let mut pieces = text.split('\u{1b}');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| {
        let end = piece.find(|letter: char| letter.is_ascii_alphabetic());
        text + end.map_or("", |end| &piece[end + 1..])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tool_must_have_found_the_service_each_time() {
        let said_with = |verdict: &str, end: &str| {
            format!(
                "\u{1b}[1;32minitializing:   \u{1b}[0m 0\nconnected:   1\nclosed:  299\n\
                 \u{1b}[1mservice available: \u{1b}[32m{verdict}\u{1b}[0m\n\
                 Exit status:\u{1b}[1;36m {end}\n"
            )
        };
        let said = |verdict| said_with(verdict, "Hit test time limit");
        assert_eq!(judge(&said("YES")).ok().as_deref(), Some("299 closed, 1 left"));
        assert!(judge(&said("NO")).is_err());
        assert!(judge(&format!("{}{}", said("NO"), said("YES"))).is_err());
        assert!(judge(&said_with("YES", "Connection refused")).is_err());
        assert!(judge("nothing").is_err());
    }
}
