//! The suite sees what is wrong: servers with one fault each, and the case that must tell it.
//!
//! The server here is small and knows a few routes, but reads requests as they are meant to be
//! read. Without a fault it passes the cases that are chosen; with one of them, it does not.
#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use cases::{Options, run};

/// What a server does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Nothing,
    /// After an error it answers what follows.
    AnswersOn,
    /// After an error the connection stays.
    StaysOpen,
    /// It closes where it should answer an error.
    ClosesMutely,
    /// A bare LF in a value is passed on.
    PassesLineFeeds,
    /// It sends the body that answers GET to HEAD, too.
    BodyToHead,
    /// It sends a body with 204.
    BodyTo204,
    /// It sends chunks to HTTP/1.0.
    ChunksToOld,
    /// It takes the first of two lengths.
    FirstLength,
    /// With both framings the length counts.
    LengthBeforeCoding,
    /// It gives up when its peer sends a FIN.
    FinIsGone,
    /// It closes with unread bytes, which destroys its answer by a RST.
    ResetsAnswers,
    /// It answers pipelined requests in the wrong order.
    Unordered,
    /// It always sends 100 before it reads a body.
    AlwaysContinues,
    /// It never sends 100.
    NeverContinues,
    /// A body that it did not read is the next request.
    ForgetsBodies,
    /// Its answers to close say nothing of it, and the connection stays.
    NeverCloses,
    /// `Date` has a number for a month.
    WrongDate,
    /// 405 has no `Allow`.
    NoAllow,
    /// One `Set-Cookie` for two cookies.
    JoinsCookies,
    /// Its length is one too long.
    LongLength,
    /// Slow senders are waited for.
    Patient,
}

/// The fault, the cases that are run, and one that has to fail.
const FAULTS: &[(Fault, &str, &str)] = &[
    (Fault::AnswersOn, "framing/host/", "framing/host/missing"),
    (Fault::StaysOpen, "framing/host/twice", "framing/host/twice, equal"),
    (Fault::ClosesMutely, "framing/host/twice", "framing/host/twice, different"),
    (Fault::PassesLineFeeds, "framing/field/bare LF", "framing/field/bare LF and another field"),
    (Fault::BodyToHead, "semantics/HEAD//nowhere", "semantics/HEAD//nowhere"),
    (Fault::BodyTo204, "semantics/status/204", "semantics/status/204"),
    (Fault::ChunksToOld, "semantics/1.0/chunks", "semantics/1.0/chunks"),
    (Fault::FirstLength, "framing/length/twice", "framing/length/twice, less first"),
    (Fault::LengthBeforeCoding, "framing/coding/b", "framing/coding/before a length"),
    (
        Fault::FinIsGone,
        "half-close/at once behind a slow",
        "lifecycle/half-close/at once behind a slow handler",
    ),
    (Fault::ResetsAnswers, "lifecycle/early/413", "lifecycle/early/413, all at once"),
    (Fault::Unordered, "pipeline/2 requests", "lifecycle/pipeline/2 requests"),
    (Fault::AlwaysContinues, "expect/refused by 404", "semantics/expect/refused by 404"),
    (Fault::NeverContinues, "expect/the body is wanted", "semantics/expect/the body is wanted"),
    (Fault::ForgetsBodies, "unread/body ignored", "lifecycle/unread/body ignored"),
    (Fault::NeverCloses, "connection/close of POST", "semantics/connection/close of POST"),
    (Fault::WrongDate, "semantics/Date/404", "semantics/Date/404"),
    (Fault::NoAllow, "not allowed/GET /only-post", "semantics/not allowed/GET /only-post"),
    (Fault::JoinsCookies, "route/cookies set", "semantics/route/cookies set"),
    (Fault::LongLength, "route/hello", "semantics/route/hello"),
    (Fault::Patient, "slow sender/a field", "lifecycle/slow sender/a field"),
];

/// A server with a fault, on a port of its own, as long as the test runs.
fn serve(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || Connection { fault, socket, seen: Vec::new() }.serve());
        }
    });
    at
}

#[test]
fn a_server_without_a_fault_passes() {
    let at = serve(Fault::Nothing);
    for (fault, only, _) in FAULTS {
        let report = run(&Options { only: (*only).to_owned(), ..options(at) });
        assert!(report.failures.is_empty(), "{fault:?}: {report}");
        assert!(report.total().1 > 0, "{only} is nothing");
    }
}

#[test]
fn each_fault_is_seen() {
    thread::scope(|scope| {
        for (fault, only, case) in FAULTS {
            scope.spawn(move || {
                let report = run(&Options { only: (*only).to_owned(), ..options(serve(*fault)) });
                assert!(report.failed().contains(case), "{fault:?} passed {case}: {report}");
            });
        }
    });
}

#[test]
fn nobody_there_is_no_pass() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("its address");
    drop(listener);
    let report = run(&Options { only: "h1spec".to_owned(), ..options(at) });
    assert_eq!(report.total(), (0, 33));
}

fn options(at: SocketAddr) -> Options {
    Options { patience: Duration::from_secs(4), ..Options::linux(at) }
}

/// Where an error leads.
enum Stop {
    /// This status, and the end.
    Refuse(u16),
    /// The end.
    End,
}

struct Request {
    method: String,
    target: String,
    old: bool,
    fields: Vec<(String, String)>,
}

impl Request {
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let is_it = move |field: &&(String, String)| field.0 == name;
        self.fields.iter().filter(is_it).map(|field| field.1.as_str())
    }

    fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }
}

struct Connection {
    fault: Fault,
    socket: TcpStream,
    seen: Vec<u8>,
}

impl Connection {
    fn serve(mut self) {
        loop {
            let stop = match self.exchange() {
                Ok(()) => continue,
                Err(stop) => stop,
            };
            if let Stop::Refuse(status) = stop {
                if self.fault != Fault::ClosesMutely {
                    self.say(&answer(self.fault, status, "refused", "Connection: close\r\n"));
                }
                match self.fault {
                    Fault::AnswersOn => continue,
                    Fault::StaysOpen => thread::sleep(Duration::from_secs(8)),
                    _ => {}
                }
            }
            return self.close();
        }
    }

    /// A FIN, and then everything that still comes.
    fn close(mut self) {
        if self.fault == Fault::ResetsAnswers {
            return;
        }
        // Whether the peer is there any more matters no longer.
        let _ = self.socket.shutdown(Shutdown::Write);
        let _ = self.socket.set_read_timeout(Some(Duration::from_secs(2)));
        while matches!(self.socket.read(&mut [0; 4096]), Ok(1..)) {}
    }

    fn say(&mut self, text: &str) {
        // A peer that is gone shows when it is read from.
        let _ = self.socket.write_all(text.as_bytes());
    }

    fn more(&mut self) -> Result<(), Stop> {
        let patience = if self.fault == Fault::Patient { 60 } else { 2 };
        let _ = self.socket.set_read_timeout(Some(Duration::from_secs(patience)));
        let mut room = [0; 4096];
        match self.socket.read(&mut room) {
            Ok(0) => Err(Stop::End),
            Ok(count) => {
                self.seen.extend_from_slice(&room[..count]);
                // A trickle counts as nothing.
                let slow = count == 1 && self.seen.len() > 20 && self.fault != Fault::Patient;
                if slow { Err(Stop::Refuse(408)) } else { Ok(()) }
            }
            Err(_) => Err(Stop::End),
        }
    }

    fn take(&mut self, count: usize) -> Result<Vec<u8>, Stop> {
        while self.seen.len() < count {
            self.more()?;
        }
        Ok(self.seen.drain(..count).collect())
    }

    fn line(&mut self) -> Result<String, Stop> {
        loop {
            if let Some(end) = self.seen.windows(2).position(|two| two == b"\r\n") {
                let line = self.take(end + 2)?;
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.more()?;
        }
    }

    fn head(&mut self) -> Result<Request, Stop> {
        let line = self.line()?;
        let words: Vec<&str> = line.split(' ').collect();
        let [method, target, version] = words[..] else { return Err(Stop::Refuse(400)) };
        let mut request = Request {
            method: method.to_owned(),
            target: target.to_owned(),
            old: version == "HTTP/1.0",
            fields: Vec::new(),
        };
        let mut wrong = false;
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or(Stop::Refuse(400))?;
            wrong |= line.contains(['\n', '\r', '\0']) && self.fault != Fault::PassesLineFeeds;
            wrong |= !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            request.fields.push((name.to_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
        }
        let hosts: Vec<&str> = request.all("host").collect();
        let is_host = |host: &str| !host.contains(|c: char| " \t/?#@\\\"<>{}%,".contains(c));
        let port = |host: &str| {
            let port = host.rsplit_once(':').map_or("", |two| two.1);
            host.starts_with('[') || (port.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let brackets = |host: &str| {
            let ends = host.ends_with(']') || host.contains("]:");
            host.starts_with('[') == host.contains([']', '[']) && host.starts_with('[') == ends
        };
        let colons = |host: &str| host.starts_with('[') || host.matches(':').count() < 2;
        wrong |= match hosts[..] {
            [] => !request.old,
            [host] => {
                !(is_host(host) && port(host) && brackets(host) && colons(host) && host.is_ascii())
            }
            _ => true,
        };
        if wrong { Err(Stop::Refuse(400)) } else { Ok(request) }
    }

    /// The body's length; None: chunks.
    fn framing(&self, request: &Request) -> Result<Option<usize>, Stop> {
        let lengths: Vec<&str> = request.all("content-length").collect();
        let is_chunked = request.has("transfer-encoding");
        let length = match lengths[..] {
            [] => 0,
            [one] => one.parse().map_err(|_| Stop::Refuse(400))?,
            [one, ..] if self.fault == Fault::FirstLength => one.parse().unwrap_or(0),
            _ => return Err(Stop::Refuse(400)),
        };
        match (is_chunked, lengths.is_empty()) {
            (true, false) if self.fault == Fault::LengthBeforeCoding => Ok(Some(length)),
            (true, false) => Err(Stop::Refuse(400)),
            (true, true) if request.all("transfer-encoding").any(|value| value != "chunked") => {
                Err(Stop::Refuse(501))
            }
            (true, true) => Ok(None),
            (false, _) if length > 1024 * 1024 => Err(Stop::Refuse(413)),
            (false, _) => Ok(Some(length)),
        }
    }

    fn body(&mut self, framing: Option<usize>) -> Result<Vec<u8>, Stop> {
        let Some(length) = framing else {
            let mut body = Vec::new();
            loop {
                let size = self.line()?;
                let size = usize::from_str_radix(&size, 16).map_err(|_| Stop::Refuse(400))?;
                body.extend(self.take(size)?);
                if !self.line()?.is_empty() {
                    return Err(Stop::Refuse(400));
                }
                if size == 0 {
                    return Ok(body);
                }
            }
        };
        self.take(length)
    }

    fn exchange(&mut self) -> Result<(), Stop> {
        let request = self.head()?;
        let framing = self.framing(&request)?;
        let is_known = !request.target.starts_with("/nowhere");
        let expects = request.has("expect") && self.fault != Fault::NeverContinues;
        if expects && (is_known || self.fault == Fault::AlwaysContinues) {
            self.say("HTTP/1.1 100 Continue\r\n\r\n");
        }
        let forgets = self.fault == Fault::ForgetsBodies && request.target == "/only-post";
        let refuses = request.has("expect") && !is_known;
        let body = if forgets || refuses { Vec::new() } else { self.body(framing)? };
        let closes = request.old || request.all("connection").any(closes);
        let closes = closes && self.fault != Fault::NeverCloses;
        let said = if closes { "Connection: close\r\n" } else { "" };
        let text = self.answer(&request, &body, said)?;
        self.say(&text);
        if closes || refuses { Err(Stop::End) } else { Ok(()) }
    }

    fn answer(&mut self, request: &Request, body: &[u8], said: &str) -> Result<String, Stop> {
        let fault = self.fault;
        let path = request.target.split('?').next().unwrap_or_default();
        let query = request.target.split_once('?').map_or("", |two| two.1);
        let text = match (request.method.as_str(), path) {
            (_, "/") => answer(fault, 200, "hello", said),
            (_, "/echo") => answer(fault, 200, &String::from_utf8_lossy(body), said),
            (method, "/dump") => {
                let query = match fault {
                    Fault::Unordered if query == "n=0" => "n=1",
                    Fault::Unordered if query == "n=1" => "n=0",
                    _ => query,
                };
                let version = if request.old { "1.0" } else { "1.1" };
                let mut lines = format!("method={method}\npath=/dump\nquery={query}\n");
                lines += &format!("version={version}\nbody={}\n", body.len());
                for (name, value) in &request.fields {
                    lines += &format!("h.{name}={value}\n");
                }
                answer(fault, 200, &lines, said)
            }
            ("POST", "/only-post") => answer(fault, 200, "posted", said),
            (_, "/only-post") if fault == Fault::NoAllow => answer(fault, 405, "no", said),
            (_, "/only-post") => answer(fault, 405, "no", &format!("Allow: POST\r\n{said}")),
            (_, "/slow") => {
                self.socket.set_nonblocking(true).map_err(|_| Stop::End)?;
                thread::sleep(Duration::from_millis(300));
                let is_gone = matches!(self.socket.peek(&mut [0]), Ok(0));
                self.socket.set_nonblocking(false).map_err(|_| Stop::End)?;
                if is_gone && fault == Fault::FinIsGone {
                    return Err(Stop::End);
                }
                answer(fault, 200, "slow", said)
            }
            (_, "/chunked") if request.old && fault != Fault::ChunksToOld => {
                format!("HTTP/1.1 200 OK\r\n{said}\r\nonetwothree")
            }
            (_, "/chunked") => format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{said}\r\n\
                 b\r\nonetwothree\r\n0\r\n\r\n"
            ),
            (_, "/status/204") if fault == Fault::BodyTo204 => {
                "HTTP/1.1 204 No Content\r\n\r\nstatus 204".to_owned()
            }
            (_, "/status/204") => format!("HTTP/1.1 204 No Content\r\n{said}\r\n"),
            (_, "/cookie") if fault == Fault::JoinsCookies => {
                answer(fault, 200, "", "Set-Cookie: a=1; Path=/, b=2; Path=/; HttpOnly\r\n")
            }
            (_, "/cookie") => {
                let cookies = "Set-Cookie: a=1; Path=/\r\nSet-Cookie: b=2; Path=/; HttpOnly\r\n";
                answer(fault, 200, "", cookies)
            }
            _ => answer(fault, 404, "nowhere", said),
        };
        Ok(match request.method.as_str() {
            "HEAD" if fault != Fault::BodyToHead => {
                let head = text.split_inclusive("\r\n\r\n").next().unwrap_or_default();
                head.to_owned()
            }
            _ => text,
        })
    }
}

fn closes(value: &str) -> bool {
    value.split(',').any(|token| token.trim().eq_ignore_ascii_case("close"))
}

fn answer(fault: Fault, status: u16, body: &str, fields: &str) -> String {
    let length = body.len() + usize::from(fault == Fault::LongLength);
    let date = if fault == Fault::WrongDate { "Sat, 21 11 2026 08:49:37 GMT" } else { today() };
    format!(
        "HTTP/1.1 {status} Text\r\nContent-Length: {length}\r\nDate: {date}\r\n{fields}\r\n{body}"
    )
}

/// Now, as `date` says it.
fn today() -> &'static str {
    use std::sync::OnceLock;
    static TODAY: OnceLock<String> = OnceLock::new();
    TODAY.get_or_init(|| {
        let mut date = std::process::Command::new("date");
        date.args(["-u", "+%a, %d %b %Y %H:%M:%S GMT"]).env("LC_ALL", "C");
        let output = date.output().expect("date, which every system has");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    })
}
