//! A good client: asks, waits for the whole answer, asks again, and measures each wait.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Between an answer and the next request.
const PAUSE: Duration = Duration::from_millis(10);

/// How long an answer is waited for at all.
const GIVE_UP: Duration = Duration::from_secs(20);

/// How often a request is repeated whose kept connection turned out to be over.
const ATTEMPTS_MAX: usize = 3;

/// Bytes of a body that is echoed.
const BODY_BYTES: usize = 1_024;

/// Failures that are told in words; beyond, they are counted.
const TOLD_MAX: usize = 5;

/// What a good client saw.
#[derive(Clone, Debug, Default)]
pub struct Visits {
    /// How long each answer took, the connection included.
    pub waits: Vec<Duration>,
    /// How many requests got no answer, or another than they should.
    pub failures: usize,
    /// The first of them, in words.
    pub told: Vec<String>,
    /// How often a kept connection was over when its next request came.
    pub again: usize,
}

impl Visits {
    /// The longest wait.
    pub fn longest(&self) -> Duration {
        self.waits.iter().copied().max().unwrap_or_default()
    }

    fn failed(&mut self, what: &str, wait: Duration, why: &str) {
        self.failures += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(format!("{what}: {why} after {wait:.1?}"));
        }
    }
}

/// Asks until it is over: for `/`, and to have 1 KiB echoed, in turn; each on a connection of its
/// own, or all on one that is kept as long as the server keeps it.
pub(crate) fn visit(server: SocketAddr, is_kept: bool, over: &AtomicBool) -> Visits {
    let body: String = (0..BODY_BYTES).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
    let ending = if is_kept { "" } else { "Connection: close\r\n" };
    let get = format!("GET / HTTP/1.1\r\nHost: bystander\r\n{ending}\r\n");
    let post = format!(
        "POST /echo HTTP/1.1\r\nHost: bystander\r\n{ending}\
         Content-Length: {BODY_BYTES}\r\n\r\n{body}"
    );
    let exchanges = [("GET /", get, "hello"), ("POST /echo", post, body.as_str())];
    let (mut visits, mut kept) = (Visits::default(), None);
    // Whatever happens, it asks for each at least once.
    for turn in 0.. {
        if turn >= exchanges.len() && over.load(Ordering::Relaxed) {
            break;
        }
        let (what, request, wanted) = &exchanges[turn % exchanges.len()];
        let since = Instant::now();
        let answer = ask(server, &mut kept, request.as_bytes(), &mut visits.again);
        let wait = since.elapsed();
        match answer {
            Ok(answer) if answer.status == 200 && answer.body.trim_end() == *wanted => {
                visits.waits.push(wait);
                if !is_kept || answer.is_last {
                    kept = None;
                }
            }
            Ok(answer) => {
                visits.failed(what, wait, &format!("{} {:?}", answer.status, answer.body));
                kept = None;
            }
            Err(error) => {
                visits.failed(what, wait, &error.to_string());
                kept = None;
            }
        }
        thread::sleep(PAUSE);
    }
    visits
}

/// The answer to a request, on the connection that is kept if there is one. If that is over before
/// a byte of the answer came, the request is repeated on a new one, as any client does.
fn ask(
    server: SocketAddr,
    kept: &mut Option<TcpStream>,
    request: &[u8],
    again: &mut usize,
) -> io::Result<Answer> {
    let deadline = Instant::now() + GIVE_UP;
    for _ in 0..ATTEMPTS_MAX {
        let was_kept = kept.is_some();
        let stream = match kept {
            Some(stream) => stream,
            None => kept.insert(connect(server, deadline)?),
        };
        match exchange(stream, request, deadline) {
            Err(error) if was_kept && error.kind() == ErrorKind::ConnectionReset => {
                (*kept, *again) = (None, *again + 1);
            }
            other => return other,
        }
    }
    Err(io::Error::other("each kept connection was over"))
}

fn connect(server: SocketAddr, deadline: Instant) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&server, left(deadline)?)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// One response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// The server says that nothing follows.
    is_last: bool,
}

/// Sends a request and reads its answer. The end of the connection before its first byte is
/// [`ErrorKind::ConnectionReset`], behind it [`ErrorKind::UnexpectedEof`].
fn exchange(stream: &mut TcpStream, request: &[u8], deadline: Instant) -> io::Result<Answer> {
    stream.set_write_timeout(Some(left(deadline)?))?;
    // An answer may lie there although the server takes no more.
    let written = stream.write_all(request);
    let mut seen = Vec::new();
    let mut room = [0; 4_096];
    loop {
        if let Some(answer) = parse(&seen) {
            return Ok(answer);
        }
        stream.set_read_timeout(Some(left(deadline)?))?;
        let count = match stream.read(&mut room) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(ErrorKind::TimedOut.into());
            }
            Err(_) => 0,
        };
        if count == 0 {
            let kind = ErrorKind::ConnectionReset;
            let kind = if seen.is_empty() { kind } else { ErrorKind::UnexpectedEof };
            return Err(io::Error::new(kind, format!("ended, {written:?}, {} bytes", seen.len())));
        }
        seen.extend_from_slice(&room[..count]);
    }
}

/// The answer that these bytes are; `None`: it is not whole.
fn parse(seen: &[u8]) -> Option<Answer> {
    let end = seen.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&seen[..end]).ok()?;
    let status = head.get(9..12)?.parse().ok()?;
    let field = |name: &str| {
        let fields = head.lines().filter_map(|line| line.split_once(": "));
        fields.into_iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|field| field.1)
    };
    let is_last = field("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let length: usize = field("Content-Length")?.parse().ok()?;
    let body = seen.get(end..end + length)?;
    Some(Answer { status, body: String::from_utf8_lossy(body).into_owned(), is_last })
}

/// Asks for a page, on the connection that is kept if there is one.
pub(crate) fn fetch(
    server: SocketAddr,
    kept: &mut Option<TcpStream>,
    path: &str,
) -> io::Result<Answer> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: bystander\r\n\r\n");
    let answer = ask(server, kept, request.as_bytes(), &mut 0);
    if answer.as_ref().map_or(true, |answer| answer.is_last) {
        *kept = None;
    }
    answer
}
