//! Load tools: not a request may fail, and none may be answered with anything but 200.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::place::Place;
use crate::tool::Tool;

/// Connections at once.
const CONNECTIONS: &str = "16";

/// ApacheBench, a connection a request.
pub(crate) fn ab(place: &Place, ab: &Path) -> Result<String> {
    run_ab(place, ab, &[], count(place, 20_000))
}

/// ApacheBench, which keeps its connections: `Connection: keep-alive` of HTTP/1.0.
pub(crate) fn ab_keep(place: &Place, ab: &Path) -> Result<String> {
    run_ab(place, ab, &["-k"], count(place, 200_000))
}

/// wrk, for some seconds, `/` and a long answer.
pub(crate) fn wrk(place: &Place, wrk: &Path) -> Result<String> {
    let seconds = count(place, 20);
    let mut found = Vec::new();
    for path in ["/", "/large?n=65536", "/chunked"] {
        let tool = Tool::new(wrk, seconds + 20).args(["-t", "1", "-c", CONNECTIONS, "-d"]);
        let said = tool.args([format!("{seconds}s"), place.url(path)]).run()?;
        let requests = judge_wrk(&said.text()).with_context(|| path.to_owned())?;
        found.push(format!("{path} {requests}"));
    }
    Ok(format!("requests: {}", found.join(", ")))
}

/// h2load, of HTTP/1.1, with and without pipelining.
pub(crate) fn h2load(place: &Place, h2load: &Path) -> Result<String> {
    let requests = count(place, 200_000);
    for at_once in ["1", "8"] {
        let tool = Tool::new(h2load, 120).args(["--h1", "-c", CONNECTIONS, "-m", at_once, "-n"]);
        let said = tool.args([requests.to_string(), place.url("/")]).run()?;
        judge_h2load(&said.text(), requests).with_context(|| format!("{at_once} at once"))?;
    }
    Ok(format!("2 x {requests} requests, 1 and 8 at once"))
}

/// A tenth of it in a smoke.
fn count(place: &Place, whole: u32) -> u32 {
    if place.smoke { whole / 10 } else { whole }
}

fn run_ab(place: &Place, ab: &Path, words: &[&str], requests: u32) -> Result<String> {
    let tool = Tool::new(ab, 120).args(["-q", "-s", "20", "-c", CONNECTIONS]).args(words);
    let said = tool.args(["-n", &requests.to_string(), &place.url("/")]).run()?;
    judge_ab(&said.text(), requests, !words.is_empty())?;
    Ok(format!("{requests} requests"))
}

fn judge_ab(said: &str, requests: u32, keeps: bool) -> Result<()> {
    let value = |name: &str| number_after(said, name);
    let complete = value("Complete requests:") == Some(u64::from(requests));
    let failed = value("Failed requests:") != Some(0);
    let kept = value("Keep-Alive requests:");
    let is_kept = !keeps || kept == Some(u64::from(requests));
    if !complete || failed || !is_kept || said.contains("Non-2xx") {
        bail!("not all of {requests} requests went well:\n{said}");
    }
    Ok(())
}

fn judge_wrk(said: &str) -> Result<u64> {
    let requests = said.lines().find_map(|line| line.trim().split_once(" requests in "));
    let requests = requests.and_then(|(count, _)| count.parse::<u64>().ok()).unwrap_or(0);
    if requests == 0 || said.contains("Socket errors") || said.contains("Non-2xx") {
        bail!("not all requests went well:\n{said}");
    }
    Ok(requests)
}

fn judge_h2load(said: &str, requests: u32) -> Result<()> {
    let wanted = [
        format!("{requests} succeeded, 0 failed, 0 errored, 0 timeout"),
        format!("status codes: {requests} 2xx, 0 3xx, 0 4xx, 0 5xx"),
    ];
    if !wanted.iter().all(|wanted| said.contains(wanted)) {
        bail!("not all of {requests} requests went well:\n{said}");
    }
    Ok(())
}

/// The number behind a name, in a line of its own.
fn number_after(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.trim().strip_prefix(name))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ab_must_complete_all_and_keep_all() {
        let said = |complete: u32, failed: u32, more: &str| {
            format!("Complete requests:      {complete}\nFailed requests:        {failed}\n{more}")
        };
        let kept = "Keep-Alive requests:    9\n";
        let table = [
            (said(9, 0, ""), false, true),
            (said(9, 0, kept), true, true),
            (said(9, 0, ""), true, false),
            (said(8, 0, ""), false, false),
            (said(9, 1, ""), false, false),
            (said(9, 0, "Non-2xx responses:      3\n"), false, false),
            (String::new(), false, false),
        ];
        for (said, keeps, well) in table {
            assert_eq!(judge_ab(&said, 9, keeps).is_ok(), well, "{said}");
        }
    }

    #[test]
    fn wrk_must_have_no_errors() {
        let well = "  1 threads and 16 connections\n  71234 requests in 2.01s, 9.1MB read\n";
        assert_eq!(judge_wrk(well).ok(), Some(71_234));
        let errors = "  Socket errors: connect 0, read 3, write 0, timeout 0\n";
        for said in ["", "  0 requests in 2s", &format!("{well}{errors}")] {
            assert!(judge_wrk(said).is_err(), "{said}");
        }
        assert!(judge_wrk(&format!("{well}  Non-2xx or 3xx responses: 9\n")).is_err());
    }

    #[test]
    fn h2load_must_have_succeeded_with_2xx() {
        let said = |succeeded: u32, good: u32| {
            format!(
                "requests: 9 total, 9 started, 9 done, {succeeded} succeeded, 0 failed, 0 errored, \
                 0 timeout\nstatus codes: {good} 2xx, 0 3xx, 0 4xx, 0 5xx\n"
            )
        };
        assert!(judge_h2load(&said(9, 9), 9).is_ok());
        assert!(judge_h2load(&said(8, 9), 9).is_err());
        assert!(judge_h2load(&said(9, 8), 9).is_err());
    }
}
