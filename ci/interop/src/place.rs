//! Where the server is and what it takes, and questions that this program asks itself.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::Options;
use crate::host::Host;

/// How long one of our own questions may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long what was in use may take until it is free: a connection that lingers among it.
const SETTLES: Duration = Duration::from_secs(30);

/// Between the first two looks; longer each time, so that looking does not keep it in use.
const LOOK: Duration = Duration::from_millis(20);

/// The lines of `/counters` that say what is in use; a server need not have each.
const IN_USE: &[&str] = &[
    "open",
    "idle",
    "in_work",
    "heads_out",
    "sources",
    "buffers_lent",
    "sockets_free",
    "sockets_lingering",
    "syns_held",
];

/// A server, straight or with a proxy in front.
pub(crate) struct Place {
    /// Where programs ask.
    pub(crate) address: SocketAddr,
    /// Where the server itself is: the same, unless a proxy stands between.
    pub(crate) server: SocketAddr,
    /// The longest body that `/echo` takes, in bytes.
    pub(crate) body: usize,
    /// Bytes of a long answer.
    pub(crate) large: usize,
    /// Connections that the server has room for.
    pub(crate) room: u32,
    /// How soon a bystander must be answered, whatever others do.
    pub(crate) answered_within: Duration,
    /// Whether it is a board.
    pub(crate) is_board: bool,
    /// Seconds where there would be minutes.
    pub(crate) smoke: bool,
    /// For what programs read and leave; it is there.
    pub(crate) folder: PathBuf,
    /// Where `cargo xtask setup` keeps what it adds.
    pub(crate) target: PathBuf,
}

/// The values of `/counters`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counters(BTreeMap<String, u64>);

impl Place {
    /// This host, asked straight.
    pub(crate) fn new(host: &Host, options: &Options) -> Result<Self> {
        let target = options.target.canonicalize().context("--target")?;
        let folder = target.join("interop").join(host.name());
        std::fs::create_dir_all(&folder)?;
        let place = Self {
            address: host.address(),
            server: host.address(),
            body: host.body(),
            large: host.large(),
            room: host.room(),
            answered_within: host.answered_within(),
            is_board: host.is_board(),
            smoke: options.smoke,
            folder,
            target,
        };
        std::fs::write(place.file("body"), place.content(place.body))?;
        std::fs::write(place.file("too-long"), place.content(2 * place.body))?;
        Ok(place)
    }

    /// The same server through a proxy.
    pub(crate) fn through(&self, address: SocketAddr) -> Self {
        let (folder, target) = (self.folder.clone(), self.target.clone());
        Self { address, folder, target, ..*self }
    }

    /// Whether a proxy stands between.
    pub(crate) fn is_proxied(&self) -> bool {
        self.address != self.server
    }

    /// `http://`, the address and this path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A file in the folder, as text.
    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Bytes that are not all alike.
    pub(crate) fn content(&self, length: usize) -> Vec<u8> {
        (0..length).map(|index| (index * 7 % 251) as u8).collect()
    }

    /// What the server says of itself; the connection that asks is counted.
    pub(crate) fn counters(&self) -> Result<Counters> {
        Counters::parse(&get(self.server, "/counters", PATIENCE)?)
    }

    /// Waits until everything is free that was free then; the counters at that moment, and how many
    /// of the connections since then were made for looking.
    pub(crate) fn settled(&self, before: &Counters) -> Result<(Counters, u64)> {
        let deadline = Instant::now() + SETTLES;
        let mut looks = 0;
        loop {
            looks += 1;
            let now = self.counters()?;
            let differs = before.in_use_differs(&now);
            if differs.is_empty() {
                return Ok((now, looks));
            }
            if Instant::now() > deadline {
                bail!("still in use {SETTLES:?} later: {}", differs.join(", "));
            }
            std::thread::sleep(LOOK * looks as u32);
        }
    }
}

impl Counters {
    fn parse(text: &str) -> Result<Self> {
        let pair = |line: &str| {
            let (name, value) = line.split_once('=')?;
            Some((name.to_owned(), value.trim().parse().ok()?))
        };
        let counters: Option<BTreeMap<_, _>> = text.lines().map(pair).collect();
        let counters = counters.with_context(|| format!("counters like this: {text}"))?;
        for name in ["open", "in_work", "accepted", "requests", "rejected"] {
            if !counters.contains_key(name) {
                bail!("{name} is not among the counters: {text}");
            }
        }
        Ok(Self(counters))
    }

    /// One of them; 0 for one that this server has not.
    pub(crate) fn value(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    fn in_use_differs(&self, now: &Self) -> Vec<String> {
        let differs = IN_USE.iter().filter(|name| self.value(name) != now.value(name));
        differs.map(|name| format!("{name}={}->{}", self.value(name), now.value(name))).collect()
    }
}

/// The body of an answer with status 200, from a connection of its own, or an error in time.
///
/// The connection is closed from this side: one that the server closes first it has to remember for
/// a while, and a board would be seen to do so by whoever looks often.
pub(crate) fn get(address: SocketAddr, path: &str, within: Duration) -> Result<String> {
    let deadline = Instant::now() + within;
    let mut stream = TcpStream::connect_timeout(&address, within).context("connect")?;
    let question = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.set_write_timeout(Some(within))?;
    stream.write_all(question.as_bytes()).context("ask")?;
    let (mut answer, mut part) = (Vec::new(), [0; 4096]);
    while Instant::now() < deadline {
        let left = deadline.saturating_duration_since(Instant::now());
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let length = match stream.read(&mut part) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            read => read.with_context(|| format!("read the answer to {path}"))?,
        };
        answer.extend_from_slice(&part[..length]);
        let text = std::str::from_utf8(&answer).context("an answer in text")?;
        if let Some(body) = whole(text) {
            return Ok(body.to_owned());
        }
        if length == 0 {
            bail!("{path} was answered: {text:?}");
        }
    }
    bail!("no answer to {path} within {within:?}, but {:?}", String::from_utf8_lossy(&answer))
}

/// The body of an answer with status 200 that is there to its last byte.
fn whole(answer: &str) -> Option<&str> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    };
    let is_whole = head.lines().find_map(field) == Some(body.len());
    (is_whole && head.starts_with("HTTP/1.1 200 ")).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(open: u32, accepted: u32) -> Counters {
        let text = format!("open={open}\nin_work=1\naccepted={accepted}\nrequests=1\nrejected=0\n");
        Counters::parse(&text).expect("counters")
    }

    #[test]
    fn what_is_still_in_use_is_named_and_what_was_counted_is_not() {
        assert!(counters(1, 1).in_use_differs(&counters(1, 7)).is_empty());
        assert_eq!(counters(1, 1).in_use_differs(&counters(3, 7)), ["open=1->3"]);
        assert!(Counters::parse("open=1\n").is_err(), "what counts is missing");
        assert!(Counters::parse("hello").is_err());
    }

    #[test]
    fn only_a_whole_answer_counts() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length:   5\r\n\r\n";
        assert_eq!(whole(&format!("{head}hello")), Some("hello"));
        for other in [
            format!("{head}hell"),
            format!("{head}hello!"),
            "HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
            "HTTP/1.1 200 OK\r\n\r\nhello".to_owned(),
            "HTTP/1.1 200 OK\r\nContent-Length: 5".to_owned(),
        ] {
            assert_eq!(whole(&other), None, "{other}");
        }
    }
}
