//! Writing heads: copies into the output, nothing formatted, whole or not at all.
//!
//! What a caller gives is checked, so that no value can end its line and begin another (header
//! injection), and no field can contradict the framing, which [`Conn`](super::Conn) alone writes.
//!
//! Lines that most responses share are rendered once a second into a [`Prefix`]:
//!
//! ```
//! use dustdevil_http::proto::{BodyOut, Conn, HeadOut, Prefix, Status};
//! let mut prefix = Prefix::new();
//! prefix.render("dustdevil", None).unwrap();
//! let head = HeadOut {
//!     prefix: Some(&prefix),
//!     body: BodyOut::Length(2),
//!     ..HeadOut::response(Status::OK)
//! };
//! let mut out = [0; 64];
//! let len = Conn::server().send_head(&mut out, &head).unwrap();
//! assert_eq!(&out[..len], b"HTTP/1.1 200 OK\r\nServer: dustdevil\r\nContent-Length: 2\r\n\r\n");
//! ```

use super::field::{is_target, is_token, is_value};
use super::{MediaType, Method, Status};

/// Why nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The output has too little room; flush and call again.
    Full,
    /// A field, target, method or reason may not stand in a head: a control character, a name
    /// that is no token, a framing field, or a request without exactly one `Host`.
    Field,
    /// Fewer bytes were sent than `Content-Length` promised: only a close can tell the peer.
    Short,
    /// Not in this state: a second head, a response for a client, 101 without an offer.
    State,
}

impl core::fmt::Display for SendError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Full => "the output is full",
            Self::Field => "a field that no head may have",
            Self::Short => "a body shorter than its length",
            Self::State => "not possible in this state",
        })
    }
}

impl core::error::Error for SendError {}

/// How the body of a message to send ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyOut {
    /// There is none. A response says so with `Content-Length: 0` unless its status does.
    #[default]
    None,
    /// After this many bytes.
    Length(u64),
    /// With [`Conn::finish`](super::Conn::finish): chunked, or closed by the connection if the
    /// peer speaks HTTP/1.0.
    Chunked,
}

/// The first line of a message to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartLine<'a> {
    /// What a server sends. `None`: the registered phrase.
    Response(Status, Option<&'a str>),
    /// What a client sends: the method's name and the target.
    Request(&'a str, &'a str),
}

/// A head to send. `Connection`, `Content-Length` and `Transfer-Encoding` follow from the rest and
/// are refused among `fields`; so is `Upgrade`, which has its own place.
#[derive(Clone, Copy, Debug)]
pub struct HeadOut<'a> {
    /// Status or request line.
    pub start: StartLine<'a>,
    /// How the body ends.
    pub body: BodyOut,
    /// `Server` and `Date` ready-made; `server` and `date` are then not looked at.
    pub prefix: Option<&'a Prefix>,
    /// `Server`
    pub server: Option<&'a str>,
    /// `Date`, as [`imf_fixdate`](super::date::imf_fixdate) writes it.
    pub date: Option<&'a [u8; 29]>,
    /// `Content-Type`
    pub content_type: Option<MediaType<'a>>,
    /// Request: the protocols offered. Response: the one taken (101) or asked for (426).
    pub upgrade: Option<&'a str>,
    /// All other fields, in this order. A request needs exactly one `Host` here.
    pub fields: &'a [(&'a str, &'a [u8])],
}

impl<'a> HeadOut<'a> {
    /// A response without fields and body.
    pub const fn response(status: Status) -> Self {
        Self::new(StartLine::Response(status, None))
    }

    /// A request without fields and body; `Host` is still to be added.
    pub const fn request(method: &'a str, target: &'a str) -> Self {
        Self::new(StartLine::Request(method, target))
    }

    const fn new(start: StartLine<'a>) -> Self {
        Self {
            start,
            body: BodyOut::None,
            prefix: None,
            server: None,
            date: None,
            content_type: None,
            upgrade: None,
            fields: &[],
        }
    }
}

const STATUS_LINE: &[u8; 17] = b"HTTP/1.1 200 OK\r\n";
const CONTENT_LENGTH: &[u8; 16] = b"Content-Length: ";
const PREFIX_BYTES: usize = 128;

/// The lines that most responses share, as one block: `HTTP/1.1 200 OK`, `Server`, `Date` and the
/// name of `Content-Length`. A server renders it once a second and copies it per response.
#[derive(Clone, Debug)]
pub struct Prefix {
    bytes: [u8; PREFIX_BYTES],
    /// 0: nothing was rendered.
    len: u8,
}

impl Prefix {
    /// A prefix without `Server` and `Date`.
    pub const fn new() -> Self {
        Self { bytes: [0; PREFIX_BYTES], len: 0 }
    }

    /// Renders both lines anew. An empty `server` is left out.
    ///
    /// # Errors
    /// [`SendError::Field`] or [`SendError::Full`] (a `server` of more than about 40 bytes); the
    /// prefix then has neither line.
    pub fn render(&mut self, server: &str, date: Option<&[u8; 29]>) -> Result<(), SendError> {
        self.len = 0;
        let server = Some(server).filter(|name| !name.is_empty());
        let writer = Writer { rest: &mut self.bytes }.put_array(STATUS_LINE)?;
        let writer = writer.put_origin(server, date)?.put_array(CONTENT_LENGTH)?;
        self.len = (PREFIX_BYTES - writer.rest.len()) as u8;
        Ok(())
    }

    /// From the status line to the colon of `Content-Length`.
    #[inline]
    fn whole(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// `Server` and `Date` alone.
    fn lines(&self) -> &[u8] {
        let to = usize::from(self.len).saturating_sub(CONTENT_LENGTH.len());
        self.bytes.get(STATUS_LINE.len()..to).unwrap_or_default()
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self::new()
    }
}

const _: () = assert!(PREFIX_BYTES <= u8::MAX as usize);

/// What the framing rules decided to say about the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FramingLine {
    None,
    Length(u64),
    Chunked,
}

/// What is said about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionLine {
    None,
    Close,
    KeepAlive,
}

/// Writes a head; the number of bytes written.
pub(super) fn head(
    out: &mut [u8],
    head: &HeadOut<'_>,
    framing: FramingLine,
    connection: ConnectionLine,
) -> Result<usize, SendError> {
    let room = out.len();
    let writer = Writer { rest: out };
    let mut writer = match (head.start, head.prefix, framing) {
        // The commonest response: one copy and a number.
        (StartLine::Response(Status::OK, None), Some(prefix), FramingLine::Length(length))
            if prefix.len > 0 =>
        {
            writer.put(prefix.whole())?.put_number(length)?
        }
        _ => writer.put_first_lines(head, framing)?,
    };
    if let Some(content_type) = head.content_type {
        let text = content_type.as_str().as_bytes();
        writer = writer.put_array(b"Content-Type: ")?.put(text)?.put_array(b"\r\n")?;
    }
    if connection != ConnectionLine::None || head.upgrade.is_some() {
        writer = writer.put_connection(connection, head.upgrade)?;
    }
    let is_request = matches!(head.start, StartLine::Request(..));
    if is_request || !head.fields.is_empty() {
        writer = writer.put_fields(head.fields, is_request)?;
    }
    let writer = writer.put_array(b"\r\n")?;
    Ok(room - writer.rest.len())
}

fn is_ignoring_case(name: &str, known: &str) -> bool {
    name.len() == known.len() && name.eq_ignore_ascii_case(known)
}

/// The rest of the output. It is passed by value and fits in two registers, and so does the result
/// of writing: a head is written without storing where it is.
pub(super) struct Writer<'a> {
    pub(super) rest: &'a mut [u8],
}

impl Writer<'_> {
    #[inline]
    pub(super) fn put(self, bytes: &[u8]) -> Result<Self, SendError> {
        let Some((place, rest)) = self.rest.split_at_mut_checked(bytes.len()) else {
            return Err(SendError::Full);
        };
        place.copy_from_slice(bytes);
        Ok(Self { rest })
    }

    /// As `put`, for bytes whose number is known: a few moves instead of a call.
    #[inline]
    pub(super) fn put_array<const N: usize>(self, bytes: &[u8; N]) -> Result<Self, SendError> {
        let Some((place, rest)) = self.rest.split_first_chunk_mut::<N>() else {
            return Err(SendError::Full);
        };
        *place = *bytes;
        Ok(Self { rest })
    }

    /// A decimal number and the end of its line.
    #[inline]
    fn put_number(self, number: u64) -> Result<Self, SendError> {
        if number >= 100 {
            return self.put_long_number(number);
        }
        let (tens, ones) = (number as u8 / 10, number as u8 % 10);
        if tens == 0 {
            self.put_array(&[b'0' + ones, b'\r', b'\n'])
        } else {
            self.put_array(&[b'0' + tens, b'0' + ones, b'\r', b'\n'])
        }
    }

    #[inline(never)]
    fn put_long_number(self, number: u64) -> Result<Self, SendError> {
        let mut text = [0; 22];
        let (mut from, mut rest) = (text.len(), number);
        let mut push = |byte| {
            from -= 1;
            if let Some(place) = text.get_mut(from) {
                *place = byte;
            }
        };
        push(b'\n');
        push(b'\r');
        // Nine digits at a time, so that most numbers need no 64-bit division.
        while rest > u64::from(u32::MAX) {
            let mut low = (rest % 1_000_000_000) as u32;
            rest /= 1_000_000_000;
            for _ in 0..9 {
                push(b'0' + (low % 10) as u8);
                low /= 10;
            }
        }
        let mut high = rest as u32;
        while high > 0 {
            push(b'0' + (high % 10) as u8);
            high /= 10;
        }
        self.put(text.get(from..).unwrap_or_default())
    }

    /// A value and the end of its line.
    #[inline]
    fn put_value(self, value: &[u8]) -> Result<Self, SendError> {
        if !is_value(value) {
            return Err(SendError::Field);
        }
        self.put(value)?.put_array(b"\r\n")
    }

    /// As `put` and `put_value`, but one function each: for the lines that not every head has.
    #[inline(never)]
    fn put_text(self, bytes: &[u8]) -> Result<Self, SendError> {
        self.put(bytes)
    }

    #[inline(never)]
    fn put_line(self, value: &[u8]) -> Result<Self, SendError> {
        self.put_value(value)
    }

    /// The caller's own fields. A request has exactly one host (RFC 9112, 3.2).
    #[inline(never)]
    fn put_fields(self, fields: &[(&str, &[u8])], is_request: bool) -> Result<Self, SendError> {
        let (mut writer, mut hosts) = (self, 0_usize);
        for (name, value) in fields {
            hosts += usize::from(is_ignoring_case(name, "host"));
            writer = writer.put_field(name, value)?;
        }
        if is_request && hosts != 1 { Err(SendError::Field) } else { Ok(writer) }
    }

    fn put_field(self, name: &str, value: &[u8]) -> Result<Self, SendError> {
        let framing = match name.len() {
            7 => is_ignoring_case(name, "upgrade"),
            10 => is_ignoring_case(name, "connection"),
            14 => is_ignoring_case(name, "content-length"),
            17 => is_ignoring_case(name, "transfer-encoding"),
            _ => false,
        };
        if framing || !is_token(name.as_bytes()) {
            return Err(SendError::Field);
        }
        self.put(name.as_bytes())?.put_text(b": ")?.put_line(value)
    }

    /// All that a rendered prefix would have had.
    #[inline(never)]
    fn put_first_lines(self, head: &HeadOut<'_>, framing: FramingLine) -> Result<Self, SendError> {
        self.put_start(head.start)?.put_general(head, framing)
    }

    fn put_start(self, start: StartLine<'_>) -> Result<Self, SendError> {
        match start {
            StartLine::Response(Status::OK, None) => self.put_array(STATUS_LINE),
            StartLine::Response(status, reason) => {
                let reason = reason.unwrap_or(status.reason()).as_bytes();
                let writer = self.put_text(b"HTTP/1.1 ")?.put_text(&status.digits())?;
                writer.put_text(b" ")?.put_line(reason)
            }
            StartLine::Request(method, target) => {
                let target_is_good = !target.is_empty() && is_target(target.as_bytes());
                if !is_token(method.as_bytes()) || !target_is_good {
                    return Err(SendError::Field);
                }
                let writer = self.put(method.as_bytes())?.put_text(b" ")?;
                writer.put(target.as_bytes())?.put_text(b" HTTP/1.1\r\n")
            }
        }
    }

    /// `Server`, `Date` and the framing.
    fn put_general(self, head: &HeadOut<'_>, framing: FramingLine) -> Result<Self, SendError> {
        let writer = match head.prefix {
            Some(prefix) => self.put(prefix.lines())?,
            None => self.put_origin(head.server, head.date)?,
        };
        match framing {
            FramingLine::None => Ok(writer),
            FramingLine::Chunked => writer.put_text(b"Transfer-Encoding: chunked\r\n"),
            FramingLine::Length(length) => writer.put_text(CONTENT_LENGTH)?.put_number(length),
        }
    }

    /// `Server` and `Date`.
    fn put_origin(self, server: Option<&str>, date: Option<&[u8; 29]>) -> Result<Self, SendError> {
        let mut writer = self;
        if let Some(server) = server {
            writer = writer.put_text(b"Server: ")?.put_line(server.as_bytes())?;
        }
        if let Some(date) = date {
            writer = writer.put_text(b"Date: ")?.put_line(date)?;
        }
        Ok(writer)
    }

    #[inline(never)]
    fn put_connection(
        self,
        connection: ConnectionLine,
        upgrade: Option<&str>,
    ) -> Result<Self, SendError> {
        let Some(protocols) = upgrade else {
            return match connection {
                ConnectionLine::None => Ok(self),
                ConnectionLine::Close => self.put_text(b"Connection: close\r\n"),
                ConnectionLine::KeepAlive => self.put_text(b"Connection: keep-alive\r\n"),
            };
        };
        let writer = self.put_text(b"Upgrade: ")?.put_line(protocols.as_bytes())?;
        if connection == ConnectionLine::Close {
            writer.put_text(b"Connection: upgrade, close\r\n")
        } else {
            writer.put_text(b"Connection: upgrade\r\n")
        }
    }
}

/// Writes as much of `data` as fits as one chunk (RFC 9112, 7.1): bytes taken, bytes written.
pub(super) fn chunk(data: &[u8], out: &mut [u8]) -> (usize, usize) {
    let room = out.len();
    let around = hex_digits(data.len().min(room)) + 4;
    let take = data.len().min(room.saturating_sub(around));
    // A chunk of size zero would end the body.
    if take == 0 {
        return (0, 0);
    }
    let data = data.get(..take).unwrap_or_default();
    // INVARIANT: `take` leaves room for what stands around it, so it always fits.
    put_chunk(Writer { rest: out }, data).map_or((0, 0), |left| (take, room - left.rest.len()))
}

fn put_chunk<'a>(mut writer: Writer<'a>, data: &[u8]) -> Result<Writer<'a>, SendError> {
    for digit in (0..hex_digits(data.len())).rev() {
        let nibble = (data.len() >> (digit * 4) & 0xf) as u8;
        let digit = if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble };
        writer = writer.put_array(&[digit])?;
    }
    writer.put_array(b"\r\n")?.put(data)?.put_array(b"\r\n")
}

/// Number of hexadecimal digits of `number`, at least one.
const fn hex_digits(number: usize) -> usize {
    (usize::BITS as usize - (number | 1).leading_zeros() as usize).div_ceil(4)
}

/// The method that a request line names.
pub(super) fn method_of(name: &str) -> Method {
    Method::from_bytes(name.as_bytes())
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::Conn;
    use super::*;
    use std::format;
    use std::string::String;
    use std::vec;

    const DATE: &[u8; 29] = b"Sun, 06 Nov 1994 08:49:37 GMT";

    fn written(head: &HeadOut<'_>) -> Result<String, SendError> {
        let mut conn = match head.start {
            StartLine::Response(..) => Conn::server(),
            StartLine::Request(..) => Conn::client(),
        };
        let mut out = [0; 512];
        let len = conn.send_head(&mut out, head)?;
        Ok(String::from_utf8(out[..len].to_vec()).unwrap())
    }

    #[test]
    fn a_response_has_its_lines_in_order() {
        let head = HeadOut {
            server: Some("dustdevil"),
            date: Some(DATE),
            content_type: Some(MediaType::new("text/plain")),
            body: BodyOut::Length(13),
            fields: &[("ETag", b"\"1\""), ("X", b"")],
            ..HeadOut::response(Status::OK)
        };
        let expected = "HTTP/1.1 200 OK\r\nServer: dustdevil\r\n\
            Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 13\r\n\
            Content-Type: text/plain\r\nETag: \"1\"\r\nX: \r\n\r\n";
        assert_eq!(written(&head).as_deref(), Ok(expected));

        // The prefix is the same text, in whatever response.
        let mut prefix = Prefix::new();
        prefix.render("dustdevil", Some(DATE)).unwrap();
        let head = HeadOut { prefix: Some(&prefix), server: None, date: None, ..head };
        assert_eq!(written(&head).as_deref(), Ok(expected));
        for (status, reason, body) in [
            (Status::NOT_FOUND, None, BodyOut::Length(13)),
            (Status::OK, Some("Fine"), BodyOut::Length(13)),
            (Status::OK, None, BodyOut::Chunked),
        ] {
            let with = HeadOut { start: StartLine::Response(status, reason), body, ..head };
            let without =
                HeadOut { prefix: None, server: Some("dustdevil"), date: Some(DATE), ..with };
            assert_eq!(written(&with), written(&without), "{status:?}");
            assert!(written(&with).unwrap().contains("\r\nDate: Sun"));
        }
    }

    #[test]
    fn a_prefix_that_was_not_rendered_has_no_lines() {
        let mut prefix = Prefix::new();
        let plain = HeadOut { body: BodyOut::Length(0), ..HeadOut::response(Status::OK) };
        for server in ["", "a\r\nb", &"x".repeat(200)] {
            let rendered = prefix.render(server, None);
            assert_eq!(rendered.is_ok(), server.is_empty());
            assert_eq!(written(&HeadOut { prefix: Some(&prefix), ..plain }), written(&plain));
        }
    }

    #[test]
    fn nothing_breaks_out_of_its_line() {
        let ok = HeadOut::response(Status::OK);
        let get = HeadOut { fields: &[("Host", b"a")], ..HeadOut::request("GET", "/") };
        assert!(written(&ok).is_ok() && written(&get).is_ok());
        for bad in ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b", "a\x7fb", "a\x1bb"] {
            let reason = StartLine::Response(Status::OK, Some(bad));
            for head in [
                HeadOut { fields: &[("X", bad.as_bytes())], ..ok },
                HeadOut { fields: &[(bad, b"a")], ..ok },
                HeadOut { server: Some(bad), ..ok },
                HeadOut { upgrade: Some(bad), ..ok },
                HeadOut { start: reason, ..ok },
                HeadOut { start: StartLine::Request("GET", bad), ..get },
                HeadOut { start: StartLine::Request(bad, "/"), ..get },
            ] {
                assert_eq!(written(&head), Err(SendError::Field), "{head:?}");
            }
        }
        for name in
            ["", "a b", "a:", "ä", "Connection", "content-length", "TRANSFER-ENCODING", "upgrade"]
        {
            let head = HeadOut { fields: &[(name, b"1")], ..ok };
            assert_eq!(written(&head), Err(SendError::Field), "{name}");
        }
        for target in ["", "/a b", "/a#b", "/ä"] {
            let head = HeadOut { start: StartLine::Request("GET", target), ..get };
            assert_eq!(written(&head), Err(SendError::Field), "{target}");
        }
    }

    #[test]
    fn a_request_needs_one_host() {
        let get = HeadOut::request("GET", "/");
        for (fields, good) in [
            (&[][..], false),
            (&[("Host", &b"a"[..])][..], true),
            (&[("host", &b""[..]), ("X", b"")][..], true),
            (&[("Host", &b"a"[..]), ("HOST", b"a")][..], false),
        ] {
            assert_eq!(written(&HeadOut { fields, ..get }).is_ok(), good, "{fields:?}");
        }
    }

    #[test]
    fn a_head_is_written_whole_or_not_at_all() {
        let mut prefix = Prefix::new();
        prefix.render("s", Some(DATE)).unwrap();
        for prefix in [None, Some(&prefix)] {
            let head = HeadOut {
                prefix,
                body: BodyOut::Length(1234),
                fields: &[("A", b"b")],
                ..HeadOut::response(Status::OK)
            };
            let whole = written(&head).unwrap();
            let mut conn = Conn::server();
            for room in 0..whole.len() {
                let mut out = vec![0; room];
                assert_eq!(conn.send_head(&mut out, &head), Err(SendError::Full));
                assert!(!conn.send_started());
            }
            let mut out = vec![0; whole.len()];
            assert_eq!(conn.send_head(&mut out, &head), Ok(whole.len()));
            assert_eq!(out, whole.as_bytes());
        }
    }

    #[test]
    fn numbers_are_decimal() {
        let mut number = 1_u64;
        for _ in 0..64 {
            for n in [number - 1, number, number + 9, number.wrapping_mul(1_000_000_007)] {
                let mut out = [0; 22];
                let writer = Writer { rest: &mut out }.put_number(n).unwrap_or_else(|_| panic!());
                let len = 22 - writer.rest.len();
                assert_eq!(core::str::from_utf8(&out[..len]), Ok(format!("{n}\r\n").as_str()));
            }
            number <<= 1;
            number = number.max(1);
        }
    }

    #[test]
    fn chunk_sizes_are_hexadecimal() {
        for (len, size) in [(1, "1"), (15, "f"), (16, "10"), (255, "ff"), (4096, "1000")] {
            let (data, mut out) = (vec![b'x'; len], vec![0; len + 16]);
            let (taken, wrote) = chunk(&data, &mut out);
            assert_eq!((taken, wrote), (len, len + size.len() + 4));
            assert!(out.starts_with(format!("{size}\r\nx").as_bytes()));
            assert!(out[..wrote].ends_with(b"x\r\n"));
        }
    }
}
