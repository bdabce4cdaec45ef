//! The binary as its visitors see it: over a socket, with several workers.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(10);

struct Demo {
    child: Child,
    address: String,
    /// Kept open: what it prints later must not fail.
    _stdout: BufReader<ChildStdout>,
}

impl Demo {
    fn start(workers: usize) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_demo"))
            .args(["--port", "0", "--connections", "100", "--workers", &workers.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap().to_owned();
        Self { child, address, _stdout: stdout }
    }

    fn connect(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        BufReader::new(stream)
    }

    /// One request on a connection of its own.
    fn ask(&self, line: &str, fields: &str, body: &str) -> Answer {
        self.ask_on(&mut self.connect(), line, fields, body)
    }

    fn ask_on(
        &self,
        connection: &mut BufReader<TcpStream>,
        line: &str,
        fields: &str,
        body: &str,
    ) -> Answer {
        let (host, length) = (&self.address, body.len());
        let request = format!(
            "{line} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n{fields}\r\n{body}"
        );
        connection.get_mut().write_all(request.as_bytes()).unwrap();
        Answer::read(connection, line.starts_with("HEAD"))
    }

    /// A figure of `/status.json`.
    fn figure(&self, name: &str) -> u64 {
        let answer = self.ask("GET /status.json", "", "");
        assert_eq!(answer.status, 200);
        let text = String::from_utf8(answer.body).unwrap();
        let (_, rest) = text.split_once(&format!("\"{name}\":")).expect(name);
        rest.split([',', '}']).next().unwrap().parse().unwrap()
    }

    fn wait_for(&self, name: &str, condition: impl Fn(u64) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self.figure(name)) {
            assert!(Instant::now() < deadline, "{name} is {}", self.figure(name));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Answer {
    status: u16,
    /// Names in lower case.
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn read(from: &mut BufReader<TcpStream>, head_only: bool) -> Self {
        let mut lines = from.by_ref().lines().map(Result::unwrap);
        let status = lines.next().unwrap()[9..12].parse().unwrap();
        let fields: Vec<_> = lines
            .take_while(|line| !line.is_empty())
            .map(|line| line.split_once(": ").map(|(n, v)| (n.to_lowercase(), v.into())).unwrap())
            .collect();
        let mut answer = Self { status, fields, body: Vec::new() };
        let empty = head_only || status == 304;
        let length = if empty { 0 } else { answer.field("content-length").parse().unwrap() };
        answer.body.resize(length, 0);
        from.read_exact(&mut answer.body).unwrap();
        answer
    }

    fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }
}

#[test]
fn the_page_is_sent_as_it_is_compressed_or_not_again() {
    let demo = Demo::start(1);
    let plain = demo.ask("GET /", "", "");
    assert_eq!(plain.status, 200);
    assert_eq!(plain.field("content-type"), "text/html; charset=utf-8");
    assert_eq!(plain.field("content-encoding"), "");
    assert!(plain.field("content-security-policy").starts_with("default-src 'self'"));
    assert!(plain.body.starts_with(b"<!DOCTYPE html>"));

    let gzip = demo.ask("GET /", "Accept-Encoding: gzip, br\r\n", "");
    assert_eq!((gzip.field("content-encoding"), gzip.field("vary")), ("gzip", "Accept-Encoding"));
    let mut page = Vec::new();
    flate2::read::GzDecoder::new(&gzip.body[..]).read_to_end(&mut page).unwrap();
    assert_eq!(page, plain.body);

    for (answer, encoding) in [(&plain, ""), (&gzip, "Accept-Encoding: gzip\r\n")] {
        let length = answer.body.len().to_string();
        let head = demo.ask("HEAD /", encoding, "");
        assert_eq!((head.status, head.field("content-length")), (200, &*length));
        assert_eq!(head.field("etag"), answer.field("etag"));
        let again = format!("{encoding}If-None-Match: {}\r\n", answer.field("etag"));
        let again = demo.ask("GET /", &again, "");
        assert_eq!((again.status, again.field("etag")), (304, answer.field("etag")));
        assert_eq!((again.field("content-length"), &*again.body), (&*length, &b""[..]));
    }
    // Nothing of a body follows where none may: the connection goes on.
    let mut connection = demo.connect();
    let fresh = format!("If-None-Match: {}\r\n", plain.field("etag"));
    for (line, fields, status) in [("GET /", &*fresh, 304), ("HEAD /", "", 200), ("GET /", "", 200)]
    {
        assert_eq!(demo.ask_on(&mut connection, line, fields, "").status, status, "{line}");
    }
    let other = format!("If-None-Match: {}\r\n", gzip.field("etag"));
    assert_eq!(demo.ask("GET /", &other, "").status, 200);
}

#[test]
fn what_the_page_refers_to_is_there() {
    let demo = Demo::start(1);
    for (path, content_type) in [
        ("/style.css", "text/css; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
        ("/status.json", "application/json"),
        ("/led", "application/json"),
    ] {
        let answer = demo.ask(&format!("GET {path}"), "", "");
        assert_eq!((answer.status, answer.field("content-type")), (200, content_type), "{path}");
        assert_eq!(answer.field("x-content-type-options"), "nosniff", "{path}");
    }
    for (line, status) in [("GET /no", 404), ("POST /", 405), ("PUT /led", 405)] {
        assert_eq!(demo.ask(line, "", "").status, status, "{line}");
    }
}

#[test]
fn the_led_switches() {
    let demo = Demo::start(2);
    for (body, status, after) in [
        ("", 200, true),
        ("on", 200, true),
        ("off\n", 200, false),
        ("toggle", 200, true),
        ("green", 400, true),
        ("on, please", 413, true),
        ("toggle", 200, false),
    ] {
        assert_eq!(demo.ask("POST /led", "", body).status, status, "{body}");
        let expected = format!("{{\"on\":{after}}}");
        assert_eq!(demo.ask("GET /led", "", "").body, expected.as_bytes(), "{body}");
    }
    let own = format!("Origin: http://{}\r\n", demo.address);
    for (origin, status) in [(&*own, 200), ("Origin: http://example.com\r\n", 403)] {
        assert_eq!(demo.ask("POST /led", origin, "on").status, status, "{origin}");
    }
}

#[test]
fn figures_are_of_all_workers() {
    const CONNECTIONS: u64 = 40;
    const REQUESTS: u64 = 5;
    let demo = Demo::start(4);
    let mut connections: Vec<_> = (0..CONNECTIONS).map(|_| demo.connect()).collect();
    for connection in &mut connections {
        for _ in 0..REQUESTS {
            assert_eq!(demo.ask_on(connection, "GET /led", "", "").status, 200);
        }
    }
    // Each worker publishes before it answers, so that nothing is missing.
    assert_eq!(demo.figure("requests"), CONNECTIONS * REQUESTS + 1);
    assert_eq!(demo.figure("workers"), 4);
    assert!(demo.figure("peak") > CONNECTIONS);

    // A worker that serves nobody publishes, too: that connections are idle, and that they end.
    demo.wait_for("idle", |idle| idle >= CONNECTIONS);
    drop(connections);
    demo.wait_for("open", |open| open == 1);
    assert!(demo.figure("timers") > 0 && demo.figure("uptime_ms") > 0);
}

#[test]
fn a_connection_with_a_request_is_not_idle() {
    // The first answer: no earlier connection is there to be counted.
    assert_eq!(Demo::start(1).figure("idle"), 0);
}

#[test]
fn it_ends_when_it_is_asked_to() {
    let mut demo = Demo::start(2);
    let _idle = demo.connect();
    let id = demo.child.id().to_string();
    let started = Instant::now();
    assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
}
