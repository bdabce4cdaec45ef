//! A peer that writes bytes and reads responses, with a deadline for each.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, sockopt};

use super::PATIENCE;

/// A connection to a server.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    /// Bytes that were read and not yet looked at.
    seen: Vec<u8>,
}

/// One response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Status line and fields.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields
            .into_iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|field| field.1.trim())
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of text")
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By FIN.
    Closed,
    /// By RST.
    Reset,
}

impl Client {
    pub(crate) fn connect(at: SocketAddr) -> Self {
        Self::over(TcpStream::connect_timeout(&at, PATIENCE).expect("a connection"))
    }

    /// A peer whose kernel takes only a few kilobytes before it is read.
    pub(crate) fn with_small_window(at: SocketAddr) -> Self {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        sockopt::set_socket_recv_buffer_size(&socket, 2_048).unwrap();
        rustix::net::connect(&socket, &at).unwrap();
        Self::over(TcpStream::from(socket))
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, seen: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server takes it");
    }

    /// Writes; whether the server still took it.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Asks for a path and reads the answer.
    pub(crate) fn get(&mut self, path: &str) -> Response {
        self.ask(path);
        self.response()
    }

    /// Asks for a path.
    pub(crate) fn ask(&mut self, path: &str) {
        self.send(request(path));
    }

    /// Sends FIN.
    pub(crate) fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Ends the connection with RST.
    pub(crate) fn reset(self) {
        sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO)).unwrap();
    }

    /// The next response; a failure says what came instead.
    #[track_caller]
    pub(crate) fn response(&mut self) -> Response {
        match self.try_response() {
            Ok(response) => response,
            Err(end) => panic!("{end:?} after {}", self.shown()),
        }
    }

    /// The next response, or how the connection ended before it was whole.
    #[track_caller]
    pub(crate) fn try_response(&mut self) -> Result<Response, End> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some((response, length)) = parse(&self.seen, None) {
                self.seen.drain(..length);
                return Ok(response);
            }
            if let Some(end) = self.read(deadline) {
                let (response, length) = parse(&self.seen, Some(end)).ok_or(end)?;
                self.seen.drain(..length);
                return Ok(response);
            }
        }
    }

    /// Reads to the end: what came, and how it ended.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> (Vec<u8>, End) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(end) = self.read(deadline) {
                return (std::mem::take(&mut self.seen), end);
            }
        }
    }

    /// Reads to the end, which has to be a clean one without further bytes.
    #[track_caller]
    pub(crate) fn closes(&mut self) {
        let (rest, end) = self.rest();
        assert_eq!((String::from_utf8_lossy(&rest).as_ref(), end), ("", End::Closed));
    }

    /// Reads at most `length` bytes, or none where none are there within `span`.
    pub(crate) fn sip(&mut self, length: usize, span: Duration) -> usize {
        self.stream.set_read_timeout(Some(span)).unwrap();
        let read = self.stream.read(&mut vec![0; length]).unwrap_or(0);
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        read
    }

    /// How many bytes have come, and the first of them.
    fn shown(&self) -> String {
        let first = &self.seen[..self.seen.len().min(300)];
        format!("{} bytes: {:?}", self.seen.len(), String::from_utf8_lossy(first))
    }

    #[track_caller]
    fn read(&mut self, deadline: Instant) -> Option<End> {
        assert!(Instant::now() < deadline, "the answer takes longer than {PATIENCE:?}");
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => return Some(End::Closed),
            Ok(length) => self.seen.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Some(End::Reset),
            Err(error) => panic!("{error} after {}", self.shown()),
        }
        None
    }
}

/// A request without a body.
pub(crate) fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// The response that `bytes` begins with, once it is whole, and its length.
pub(crate) fn parse(bytes: &[u8], end: Option<End>) -> Option<(Response, usize)> {
    let head_end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(bytes[..head_end].to_vec()).expect("an ASCII head");
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let status = status.unwrap_or_else(|| panic!("a status line: {head}"));
    let mut response = Response { status, head, body: Vec::new() };
    let bodiless = matches!(status, 100..=199 | 204 | 304);
    let rest = &bytes[head_end..];
    let (body, length) = if bodiless {
        (Vec::new(), 0)
    } else if let Some(length) = response.field("Content-Length") {
        let length = length.parse().expect("a length");
        (rest.get(..length)?.to_vec(), length)
    } else if response.field("Transfer-Encoding").is_some() {
        chunked(rest)?
    } else {
        end.filter(|end| *end == End::Closed)?;
        (rest.to_vec(), rest.len())
    };
    response.body = body;
    Some((response, head_end + length))
}

/// A whole chunked body without trailers, decoded, and its length on the wire.
fn chunked(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let line = bytes[at..].windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..at + line]).expect("a chunk's size");
        let size = usize::from_str_radix(size, 16).expect("a chunk's size");
        at += line + 2;
        body.extend_from_slice(bytes.get(at..at + size)?);
        let ending = bytes.get(at + size..at + size + 2)?;
        assert_eq!(ending, b"\r\n", "a chunk ends where it said");
        at += size + 2;
        if size == 0 {
            return Some((body, at));
        }
    }
}
