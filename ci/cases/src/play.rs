//! Plays a case: one connection after another, each step in its turn.
//!
//! Invariants: whatever a step does, it reads as well, so a peer never waits for this side to read
//! (but after [`Step::Blind`]); every wait has a deadline; nothing that arrives is thrown away
//! unjudged before the script is at its end.
//!
//! Place: between [`crate::run`] and the socket; what arrives is understood by [`crate::reader`].

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::case::{FOLLOWER, Step, Want, shown};
use crate::reader::{self, Asked, Response};

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Fin,
    Reset,
}

/// A connection, and what has arrived on it.
struct Wire {
    socket: TcpStream,
    seen: Vec<u8>,
    /// How much of `seen` has been read as responses.
    at: usize,
    end: Option<End>,
    /// What is sent is refused.
    broken: bool,
    blind: bool,
}

impl Wire {
    fn connect(at: SocketAddr, patience: Duration) -> Result<Self, String> {
        let socket = TcpStream::connect_timeout(&at, patience);
        let socket = socket.map_err(|error| format!("connect: {error}"))?;
        let ready = socket.set_nodelay(true).and_then(|()| socket.set_nonblocking(true));
        ready.map_err(|error| format!("the socket: {error}"))?;
        let (seen, end) = (Vec::new(), None);
        Ok(Self { socket, seen, at: 0, end, broken: false, blind: false })
    }

    /// What has arrived and was not read as a response.
    fn rest(&self) -> &[u8] {
        &self.seen[self.at..]
    }

    /// Waits until something can be done, then does it: how many of `out` were sent.
    fn pump(&mut self, out: &[u8], until: Instant) -> usize {
        let wants_read = self.end.is_none() && !self.blind;
        let wants_write = !out.is_empty() && !self.broken;
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, wants_read);
        flags.set(PollFlags::OUT, wants_write);
        let left = until.saturating_duration_since(Instant::now());
        if flags.is_empty() {
            std::thread::sleep(left);
            return 0;
        }
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let mut polled = [PollFd::new(&self.socket, flags)];
        // Interrupted or not, what can be done shows below.
        let _ = poll(&mut polled, Some(&left));
        if wants_read {
            self.read();
        }
        if wants_write { self.write(out) } else { 0 }
    }

    fn read(&mut self) {
        let mut room = [0; 64 * 1024];
        loop {
            match self.socket.read(&mut room) {
                Ok(0) => self.end = Some(End::Fin),
                Ok(count) => {
                    self.seen.extend_from_slice(&room[..count]);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => self.end = Some(End::Reset),
            }
            return;
        }
    }

    fn write(&mut self, out: &[u8]) -> usize {
        match self.socket.write(out) {
            Ok(count) => count,
            Err(error) => {
                let waits = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted);
                self.broken |= !waits;
                0
            }
        }
    }

    /// Sends all of it, unless the peer takes no more.
    fn send(&mut self, mut out: &[u8], until: Instant) -> Result<(), String> {
        while !out.is_empty() && !self.broken && self.end != Some(End::Reset) {
            if Instant::now() > until {
                return Err(format!("the peer takes no more: {} bytes are left", out.len()));
            }
            let count = self.pump(out, until);
            out = &out[count..];
        }
        Ok(())
    }

    /// The next response; None: the connection ended before it began.
    fn response(&mut self, asked: Asked, until: Instant) -> Result<Option<Response>, String> {
        self.blind = false;
        loop {
            let ended = self.end == Some(End::Fin);
            if let Some((response, count)) = reader::read(self.rest(), asked, ended)? {
                self.at += count;
                return Ok(Some(response));
            }
            if self.end.is_some() {
                return if self.rest().is_empty() { Ok(None) } else { Err("cut short".to_owned()) };
            }
            if Instant::now() > until {
                return Err("no answer in time".to_owned());
            }
            self.pump(&[], until);
        }
    }

    /// Waits for the end.
    fn end(&mut self, until: Instant) -> Result<End, String> {
        self.blind = false;
        loop {
            if !self.rest().is_empty() {
                return Err("more than was asked for".to_owned());
            }
            if let Some(end) = self.end {
                return Ok(end);
            }
            if Instant::now() > until {
                return Err("the connection stays".to_owned());
            }
            self.pump(&[], until);
        }
    }

    /// Waits for so long, whatever arrives.
    fn wait(&mut self, until: Instant) {
        while Instant::now() < until {
            self.pump(&[], until);
        }
    }
}

/// What a case needs beside its script.
pub(crate) struct Play {
    at: SocketAddr,
    patience: Duration,
    began: Instant,
    wire: Wire,
    responses: Vec<Response>,
    /// What was sent, and what arrived on connections before this one.
    sent: Vec<u8>,
}

/// Plays a script.
///
/// # Errors
/// What was sent, expected and seen, a line each.
pub(crate) fn play(at: SocketAddr, patience: Duration, script: &[Step]) -> Result<(), String> {
    let wire = Wire::connect(at, patience)?;
    let (responses, sent) = (Vec::new(), Vec::new());
    let mut play = Play { at, patience, began: Instant::now(), wire, responses, sent };
    script.iter().try_for_each(|step| {
        play.step(step).map_err(|what| {
            format!(
                "  sent {}\n  expected {step}\n  seen {what}; all that arrived: {} ({})",
                shown(&play.sent),
                shown(&play.wire.seen),
                match play.wire.end {
                    Some(end) => format!("{end:?}"),
                    None => "still open".to_owned(),
                }
            )
        })
    })
}

impl Play {
    fn deadline(&self) -> Instant {
        Instant::now() + self.patience
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        let until = self.deadline();
        match step {
            Step::Send(bytes) => {
                self.sent.extend_from_slice(bytes);
                self.wire.send(bytes, until)
            }
            Step::Bytewise(bytes, gap_us) => self.bytewise(bytes, *gap_us),
            Step::Trickle(bytes, gap_ms, most_ms) => self.trickle(bytes, *gap_ms, *most_ms),
            Step::Pause(ms) => {
                self.wire.wait(Instant::now() + Duration::from_millis(*ms));
                Ok(())
            }
            Step::Finish => {
                // A peer that has reset the connection needs no FIN any more.
                let _ = self.wire.socket.shutdown(std::net::Shutdown::Write);
                Ok(())
            }
            Step::Reset => {
                let linger = Some(Duration::ZERO);
                rustix::net::sockopt::set_socket_linger(&self.wire.socket, linger)
                    .map_err(|error| format!("the socket: {error}"))?;
                self.renew()
            }
            Step::Anew => self.renew(),
            Step::Blind => {
                self.wire.blind = true;
                Ok(())
            }
            Step::Answer(want) => self.answer(want, until),
            Step::OneOf(scripts) => self.one_of(scripts, until),
            Step::Quiet(ms) => self.quiet(*ms),
            Step::Closed => self.wire.end(until).map(drop),
            Step::Finished => match self.wire.end(until)? {
                End::Fin => Ok(()),
                End::Reset => Err("a reset".to_owned()),
            },
            Step::SameFields => self.same_fields(),
            Step::Continues => self.continues(until),
            Step::Took(range) => {
                let ms = self.began.elapsed().as_millis() as u64;
                if range.contains(&ms) { Ok(()) } else { Err(format!("{ms} ms")) }
            }
            Step::AtRest => self.at_rest(),
        }
    }

    fn renew(&mut self) -> Result<(), String> {
        self.wire = Wire::connect(self.at, self.patience)?;
        Ok(())
    }

    fn bytewise(&mut self, bytes: &[u8], gap_us: u64) -> Result<(), String> {
        self.sent.extend_from_slice(bytes);
        for byte in bytes {
            self.wire.send(&[*byte], Instant::now() + self.patience)?;
            self.wire.wait(Instant::now() + Duration::from_micros(gap_us));
        }
        Ok(())
    }

    fn trickle(&mut self, bytes: &[u8], gap_ms: u64, most_ms: u64) -> Result<(), String> {
        let most = Instant::now() + Duration::from_millis(most_ms);
        let mut bytes = bytes.iter().cycle();
        while Instant::now() < most {
            if self.wire.end.is_some() || !self.wire.rest().is_empty() {
                return Ok(());
            }
            if let Some(byte) = bytes.next() {
                self.sent.push(*byte);
                self.wire.send(&[*byte], most)?;
            }
            self.wire.wait(Instant::now() + Duration::from_millis(gap_ms));
        }
        Err(format!("still served after {most_ms} ms"))
    }

    fn answer(&mut self, want: &Want, until: Instant) -> Result<(), String> {
        let response = self.wire.response(want.asked, until)?;
        let response = response.ok_or("the end, and no answer")?;
        want.judge(&response)?;
        self.responses.push(response);
        Ok(())
    }

    /// The first script whose first step fits what arrives decides.
    fn one_of(&mut self, scripts: &[Vec<Step>], until: Instant) -> Result<(), String> {
        let first = |script: &Vec<Step>| match script.first() {
            Some(Step::Answer(want)) => Some(want.clone()),
            _ => None,
        };
        let asked = scripts.iter().find_map(first).map(|want| want.asked).unwrap_or_default();
        let Some(response) = self.wire.response(asked, until)? else {
            let ends = scripts.iter().find(|script| matches!(script[0], Step::Closed));
            return ends.map(drop).ok_or_else(|| "the end, and no answer".to_owned());
        };
        let mut complaint = format!("status {}", response.status);
        for script in scripts {
            let Some(want) = first(script) else { continue };
            match want.judge(&response) {
                Ok(()) => {
                    self.responses.push(response);
                    return script[1..].iter().try_for_each(|step| self.step(step));
                }
                Err(what) if want.status.contains(&response.status) => complaint = what,
                Err(_) => {}
            }
        }
        Err(complaint)
    }

    fn quiet(&mut self, ms: u64) -> Result<(), String> {
        self.wire.blind = false;
        self.wire.wait(Instant::now() + Duration::from_millis(ms));
        match (self.wire.rest(), self.wire.end) {
            ([], None) => Ok(()),
            ([], Some(end)) => Err(format!("{end:?}")),
            _ => Err("an answer too early".to_owned()),
        }
    }

    fn same_fields(&self) -> Result<(), String> {
        // Only the body tells some of them, so the answer to HEAD may leave them out.
        const MAY_DIFFER: &[&str] =
            &["date", "connection", "keep-alive", "content-length", "transfer-encoding", "etag"];
        let [.., one, other] = &self.responses[..] else { return Err("nothing".to_owned()) };
        let names = |response: &Response| {
            let own = response.fields.iter().map(|(name, value)| (name.to_lowercase(), value));
            let own = own.filter(|(name, _)| !MAY_DIFFER.contains(&name.as_str()));
            let mut own: Vec<_> = own.map(|(name, value)| format!("{name}: {value}")).collect();
            own.sort();
            own
        };
        let length = |response: &Response| response.value("Content-Length").map(str::to_owned);
        if one.status != other.status || names(one) != names(other) {
            return Err(format!("{:?} and {:?}", names(one), names(other)));
        }
        match (length(one), length(other)) {
            (Some(one), Some(other)) if one != other => Err(format!("lengths {one} and {other}")),
            _ => Ok(()),
        }
    }

    fn continues(&mut self, until: Instant) -> Result<(), String> {
        const LINE: &[u8] = b"HTTP/1.1 100 ";
        while !self.wire.rest().windows(4).any(|part| part == b"\r\n\r\n") {
            if Instant::now() > until || self.wire.end.is_some() {
                return Err("no 100 in time".to_owned());
            }
            self.wire.pump(&[], until);
        }
        // The reader takes it with the final response that follows.
        let rest = self.wire.rest();
        let is_alone = rest.ends_with(b"\r\n\r\n") && rest.starts_with(LINE);
        if is_alone { Ok(()) } else { Err("something else".to_owned()) }
    }

    /// Asks on connections of its own until the server has nothing else in work.
    fn at_rest(&mut self) -> Result<(), String> {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            self.renew()?;
            let ask = b"GET /counters HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
            let deadline = self.deadline();
            self.wire.send(ask, deadline)?;
            let response = self.wire.response(Asked::default(), deadline)?;
            let response = response.ok_or("no counters")?;
            let text = String::from_utf8_lossy(&response.body).into_owned();
            let in_work = text.lines().find_map(|line| line.strip_prefix("in_work="));
            let in_work = in_work.and_then(|count| count.parse::<u32>().ok());
            match in_work {
                // Servers without counters show that they still serve.
                None | Some(0 | 1) => break,
                Some(_) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Some(count) => return Err(format!("{count} requests in work")),
            }
        }
        self.renew()?;
        let deadline = self.deadline();
        self.wire.send(FOLLOWER, deadline)?;
        self.step(&crate::case::follower())
    }
}
