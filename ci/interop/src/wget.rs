//! wget: a table of calls, what it exits with, and what it must have got.

use std::path::Path;

use anyhow::{Result, bail};

use crate::place::Place;
use crate::tool::Tool;

/// Seconds that a call may take.
const SECONDS: u32 = 30;

/// What it exits with when the server answered with an error.
const REFUSED: i32 = 8;

/// What it says when it asks again over the same connection.
const REUSES: &str = "Reusing existing connection";

/// Runs every call.
pub(crate) fn run(place: &Place, wget: &Path) -> Result<String> {
    let body = place.content(place.body);
    let large = format!("/large?n={}", place.large);
    let lines: String = (0..5).map(|line| format!("chunk {line}\n")).collect();
    let long = format!("{}hello", "x".repeat(place.large));
    let post = format!("--post-file={}", place.file("body"));
    let put = format!("--body-file={}", place.file("body"));
    let too_long = format!("--post-file={}", place.file("too-long"));
    // Options and paths, exit code, bodies, connections that are used again.
    let table: &[(&[&str], i32, &[u8], usize)] = &[
        (&["/", "/", "/"], 0, b"hellohellohello", 2),
        (&[&large, "/"], 0, long.as_bytes(), 1),
        (&["/chunked", "/"], 0, b"onetwothreehello", 1),
        (&["/stream?n=5&ms=50"], 0, lines.as_bytes(), 0),
        (&["/redirect"], 0, b"hello", 1),
        (&["/cookie", "/cookie"], 0, b"a=1\nb=2\n", 1),
        (&["--no-http-keep-alive", "/", "/"], 0, b"hellohello", 0),
        (&["--compression=auto", "/"], 0, b"hello", 0),
        (&["--method=HEAD", &large], 0, b"", 0),
        (&[&post, "/echo"], 0, &body, 0),
        (&["--method=PUT", &put, "/echo"], 0, &body, 0),
        (&["--method=DELETE", "/only-post"], REFUSED, b"", 0),
        (&["/nowhere", "/"], REFUSED, b"hello", 0),
        (&["/status/500"], REFUSED, b"", 0),
        (&["--post-data=", "/only-post"], 0, b"posted", 0),
        (&[&too_long, "/echo"], REFUSED, b"", 0),
    ];
    for (words, code, wanted, reuses) in table {
        let common = ["--no-config", "--no-proxy", "--tries=1", "--timeout=20", "-O", "-"];
        let words = words.iter().map(|word| match word.starts_with('/') {
            true => place.url(word),
            false => (*word).to_owned(),
        });
        let words: Vec<String> = words.collect();
        let said = Tool::new(wget, SECONDS).args(common).args(&words).say()?;
        let reused = said.errors.matches(REUSES).count();
        if said.code != *code || said.output != *wanted || reused < *reuses {
            let (came, text) = (said.output.len(), said.text());
            bail!(
                "{}: exit {} and not {code}, {reused} reused and not {reuses}, {came} bytes and \
                 not {}: {text}\n{}",
                words.join(" "),
                said.code,
                wanted.len(),
                said.errors
            );
        }
    }
    Ok(format!("{} calls", table.len()))
}
