//! Shows pages with one fault each to the program: it must tell that fault, and be content with the
//! page that has none.
//!
//! Nothing is looked at where Chromium is not installed; `cargo xtask browser`, which runs these
//! tests, fails there before.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};

/// What the program looks for in the demo's page, and no more.
const GOOD: &str = r#"<!DOCTYPE html>
<link rel="icon" href="data:,">
<title>Good</title>
<p id="requests">–</p>
<p id="uptime">–</p>
<p id="connections">1,024</p>
<p id="led-state">off</p>
<button id="led">LED</button>
<p id="memory"><b id="ram-free">1.0</b> of <b id="ram">2.0</b>: <b id="statics">0.5</b>,
<b id="peak-stack">0.2</b>, <b id="stack">0.3</b></p>
<p id="network" hidden>4 sockets</p>
<script>
const element = (id) => document.getElementById(id);
const show = (id, text) => { element(id).textContent = text; };
let [requests, seconds] = [0, 0];
setInterval(() => show("requests", requests += 1), 200);
setInterval(() => show("uptime", `0:0${seconds += 1}`), 200);
element("led").onclick = () => {
  show("led-state", element("led-state").textContent === "off" ? "on" : "off");
};
/* more */
</script>
"#;

/// What the good page shows of its server.
const STATUS: &str = r#"{"memory":{"ram_bytes":2048},"network":null}"#;

/// Answers `/` and `/status.json`, every other path with 404, and `/cut` not at all.
fn answer(mut stream: TcpStream, page: &str) -> Result<()> {
    let mut head = BufReader::new(&stream).lines();
    let first = head.next().context("a request")??;
    while head.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    drop(head);
    let path = first.split(' ').nth(1).unwrap_or_default();
    if path == "/cut" {
        return Ok(());
    }
    let (status, body) = match path {
        "/" => ("200 OK", page),
        "/status.json" => ("200 OK", STATUS),
        _ => ("404 Not Found", ""),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )?;
    Ok(())
}

/// Serves a page for as long as the test runs, and lets the program look at it.
fn shown(name: &str, page: String) -> Result<(Output, PathBuf)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/", listener.local_addr()?);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Chromium opens connections that it may never use: none may hold up another.
            let page = page.clone();
            std::thread::spawn(move || answer(stream, &page));
        }
    });
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut program = Command::new(env!("CARGO_BIN_EXE_browser"));
    let output = program.arg(url).arg(&folder).stdin(Stdio::null()).output()?;
    Ok((output, folder))
}

/// Each fault replaces a part of the good page; the program must fail and say this.
fn assert_told(name: &str, faults: &[(&str, &str, &str)]) -> Result<()> {
    if !is_installed() {
        return Ok(());
    }
    for (part, fault, told) in faults {
        assert!(GOOD.contains(part), "{part} is no part of the good page");
        let (output, _) = shown(name, GOOD.replace(part, fault))?;
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{fault} was not found");
        assert!(printed.contains(told), "{fault} was told as {printed}");
    }
    Ok(())
}

fn is_installed() -> bool {
    let found = browser::is_installed();
    if !found {
        println!("Chromium or its driver is not installed: nothing was looked at.");
    }
    found
}

#[test]
fn a_page_without_a_fault_passes_and_is_pictured() -> Result<()> {
    if !is_installed() {
        return Ok(());
    }
    let (output, folder) = shown("good", GOOD.to_owned())?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut start = [0; 8];
    std::fs::File::open(folder.join("demo.png"))?.read_exact(&mut start)?;
    assert_eq!(&start, b"\x89PNG\r\n\x1a\n");
    Ok(())
}

#[test]
fn a_page_that_is_not_quiet_is_told() -> Result<()> {
    let faults = [
        ("/* more */", "console.error('bad news');", "bad news"),
        ("/* more */", "console.debug('a word');", "a word"),
        ("/* more */", "setTimeout(() => { throw new Error('thrown'); });", "thrown"),
        ("/* more */", "fetch('missing');", "a request was answered 404"),
        ("/* more */", "fetch('cut').catch(() => {});", "a request failed"),
        ("data:,", "icon.svg", "a request was answered 404"),
    ];
    assert_told("noise", &faults)
}

#[test]
fn a_page_that_does_not_move_is_told() -> Result<()> {
    let faults = [
        ("requests += 1", "'–'", "#requests was `–`"),
        ("seconds += 1", "seconds", "#uptime was `0:00`"),
        ("1,024", "many", "#connections was `many` and not a number"),
        ("network\" hidden", "network\"", "#network is shown"),
        ("id=\"memory\"", "id=\"memory\" hidden", "#memory is not shown, and it is {"),
        ("id=\"memory\"", "id=\"ram\"", "#memory is not on the page"),
        ("0.2", "NaN", "#peak-stack was `NaN`"),
        ("id=\"led\"", "id=\"lamp\"", "#led is not on the page"),
        ("? \"on\"", "? \"off\"", "#led-state was `off` and not another"),
        (": \"off\"", ": \"dim\"", "after two clicks it is `dim`"),
    ];
    assert_told("still", &faults)
}
