//! curl: a table of calls, what it must have got, and what it says of how.

use std::path::Path;

use anyhow::{Result, bail};

use crate::place::Place;
use crate::tool::{Said, Tool};

/// Seconds that a call may take.
const SECONDS: u32 = 30;

/// Status of each answer, and whether a connection was opened for it.
const SAYS: &str = "%{stderr}%{http_code} %{num_connects}\n";

/// One call.
struct Call {
    /// What is asked.
    name: &'static str,
    /// Options and addresses; one that begins with a slash is a path at the place.
    words: Vec<String>,
    /// What [`SAYS`] must say.
    says: &'static str,
    /// The bodies.
    body: Vec<u8>,
}

/// Runs every call.
pub(crate) fn run(place: &Place, curl: &Path) -> Result<String> {
    let mut calls = answers(place);
    calls.extend(bodies(place));
    calls.extend(refusals());
    if !place.is_proxied() {
        calls.extend(straight());
    }
    for call in &calls {
        let said = start(curl).args(["--write-out", SAYS]).args(words(place, call)).run()?;
        if said.errors != call.says || said.output != call.body {
            let Said { output, errors, .. } = &said;
            let (came, wanted) = (output.len(), call.body.len());
            bail!(
                "{}: it says {errors:?} and not {:?}; {came} bytes came, {wanted} were to: {}",
                call.name,
                call.says,
                said.text()
            );
        }
    }
    head(place, curl)?;
    cookies(place, curl)?;
    continued(place, curl)?;
    Ok(format!("{} calls", calls.len() + 4))
}

fn start(curl: &Path) -> Tool {
    let words = ["--silent", "--show-error", "--max-time", "25", "--noproxy", "*"];
    Tool::new(curl, SECONDS).args(words)
}

fn call(name: &'static str, words: &str, says: &'static str, body: &[u8]) -> Call {
    let words = words.split(' ').map(str::to_owned).collect();
    Call { name, words, says, body: body.to_vec() }
}

/// `/path` becomes an address, and `@name` the file of this name in the place's folder; what begins
/// with `/dev/` stays a device.
fn words(place: &Place, call: &Call) -> Vec<String> {
    let word = |word: &String| match word.strip_prefix('@') {
        Some(name) => format!("@{}", place.file(name)),
        None if word.starts_with('/') && !word.starts_with("/dev/") => place.url(word),
        None => word.clone(),
    };
    call.words.iter().map(word).collect()
}

fn answers(place: &Place) -> Vec<Call> {
    let lines: String = (0..5).map(|line| format!("chunk {line}\n")).collect();
    let large = place.large;
    let xs = "x".repeat(large);
    vec![
        call("get", "/ / /", "200 1\n200 0\n200 0\n", b"hellohellohello"),
        call("1.0", "--http1.0 /", "200 1\n", b"hello"),
        call(
            "long",
            &format!("/large?n={large} /"),
            "200 1\n200 0\n",
            format!("{xs}hello").as_bytes(),
        ),
        call("long, 1.0", &format!("--http1.0 /large?n={large}"), "200 1\n", xs.as_bytes()),
        call("chunked", "/chunked /", "200 1\n200 0\n", b"onetwothreehello"),
        call("chunked, 1.0", "--http1.0 /chunked", "200 1\n", b"onetwothree"),
        call("stream", "/stream?n=5&ms=50 /", "200 1\n200 0\n", format!("{lines}hello").as_bytes()),
        call("stream, 1.0", "--http1.0 /stream?n=5&ms=50", "200 1\n", lines.as_bytes()),
        call("compression", "--compressed /", "200 1\n", b"hello"),
        call("redirect", "/redirect /", "302 1\n200 0\n", b"hello"),
        call("redirect, followed", "--location /redirect", "200 1\n", b"hello"),
        call("slow", "/slow?ms=100 /", "200 1\n200 0\n", b"slowhello"),
    ]
}

fn bodies(place: &Place) -> Vec<Call> {
    let body = place.content(place.body);
    let twice = [&body[..], &body[..]].concat();
    vec![
        call("echo", "--data-binary @body /echo /echo", "200 1\n200 0\n", &twice),
        call("echo, 1.0", "--http1.0 --data-binary @body /echo", "200 1\n", &body),
        call(
            "echo, chunked",
            "--header Transfer-Encoding:chunked --data-binary @body /echo /echo",
            "200 1\n200 0\n",
            &twice,
        ),
        call("echo, empty", "--data-binary  /echo /only-post", "200 1\n200 0\n", b"posted"),
        call("put", "--request PUT --data-binary @body /echo", "200 1\n", &body),
        call("delete", "--request DELETE --data-binary 123 /echo", "200 1\n", b"123"),
        call("form", "--form name=value --output /dev/null /dump", "200 1\n", b""),
        call(
            "long field",
            &format!("--header X-Long:{} /", "y".repeat(1_000)),
            "200 1\n",
            b"hello",
        ),
    ]
}

fn refusals() -> Vec<Call> {
    let gone = "--output /dev/null";
    vec![
        call("nothing there", &format!("{gone} /nowhere {gone} /"), "404 1\n200 0\n", b""),
        call("method", &format!("{gone} /only-post"), "405 1\n", b""),
        call("no content", "/status/204 /status/304 /", "204 1\n304 0\n200 0\n", b"hello"),
        call("error", "/status/500 /", "500 1\n200 0\n", b"status 500hello"),
        call("too long", &format!("{gone} --data-binary @too-long /echo"), "413 1\n", b""),
        call(
            "too long, chunked",
            &format!("{gone} --header Transfer-Encoding:chunked --data-binary @too-long /echo"),
            "413 1\n",
            b"",
        ),
    ]
}

/// What a proxy would answer itself, or forbid.
fn straight() -> Vec<Call> {
    let gone = "--output /dev/null";
    vec![
        // As if it were a proxy, it is asked for `http://example.test/`.
        call("absolute form", "--noproxy  --proxy / http://example.test/", "200 1\n", b"hello"),
        call("asterisk", "--request OPTIONS --request-target * /", "204 1\n", b""),
        call("options", "--request OPTIONS /only-post", "204 1\n", b""),
        call("unknown method", &format!("{gone} --request BREW /"), "501 1\n", b""),
        call("expectation", &format!("{gone} --header Expect:tea --data 1 /echo"), "417 1\n", b""),
        call("no Host", &format!("{gone} --header Host: /"), "400 1\n", b""),
    ]
}

/// The length of an answer is there without its body.
fn head(place: &Place, curl: &Path) -> Result<()> {
    let url = place.url(&format!("/large?n={}", place.large));
    let said = start(curl).args(["--head", &url, &url]).run()?.text();
    let length = format!("content-length: {}", place.large);
    let found = said.lines().filter(|line| line.eq_ignore_ascii_case(&length)).count();
    if found != 2 {
        bail!("head: not {length} two times, but: {said}");
    }
    Ok(())
}

/// What was set is sent again, in whichever order curl keeps it.
fn cookies(place: &Place, curl: &Path) -> Result<()> {
    let url = place.url("/cookie");
    // The engine for cookies starts with a file that holds none.
    let words = ["--cookie", "/dev/null", "--output", "/dev/null", &url, &url];
    let said = start(curl).args(words).run()?.text();
    let mut lines: Vec<&str> = said.lines().collect();
    lines.sort_unstable();
    if lines != ["a=1", "b=2"] {
        bail!("cookies: {said}");
    }
    Ok(())
}

/// curl sends the body once it is told to, and does not send one that nobody wants.
fn continued(place: &Place, curl: &Path) -> Result<()> {
    // Much longer than anything takes when `100 Continue` comes.
    let wait = ["--expect100-timeout", "10", "--header", "Expect: 100-continue"];
    let file = place.file("heads");
    let ask = |body: &str| {
        let data = format!("@{}", place.file(body));
        let words = ["--data-binary", &data, "--dump-header", &file, "--output", "/dev/null"];
        let says = ["--write-out", "%{http_code} %{size_upload} %{time_total}"];
        let tool = start(curl).args(wait).args(words).args(says);
        let said = tool.args([place.url("/echo")]).run()?.text();
        anyhow::Ok((said, std::fs::read_to_string(&file)?))
    };
    let (said, heads) = ask("body")?;
    let seconds: f64 = said.rsplit(' ').next().unwrap_or_default().parse()?;
    let wanted = format!("200 {} ", place.body);
    if !said.starts_with(&wanted) || !heads.starts_with("HTTP/1.1 100 ") || seconds > 5.0 {
        bail!("100-continue: {said} and not {wanted}: {heads}");
    }
    let (said, heads) = ask("too-long")?;
    // A proxy wants the body before it asks us.
    if !said.starts_with(if place.is_proxied() { "413 " } else { "413 0 " }) {
        bail!("100-continue for what is too long: {said}: {heads}");
    }
    Ok(())
}
