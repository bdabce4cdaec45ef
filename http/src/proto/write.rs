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

use core::mem::take;

use super::field::{WIDE, is_ignoring_case, is_target, is_token, is_value};
use super::whole::put;
use super::{MediaType, Method, Role, Status};

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
    /// With [`Conn::finish_with`](super::Conn::finish_with): after a length that is told if the
    /// body ends before [`Conn::seal`](super::Conn::seal) was called; else as `Chunked`.
    Unknown,
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
        let mut writer = Writer::new(&mut self.bytes);
        writer.put_array(STATUS_LINE);
        writer.put_origin(server, date);
        writer.put_array(CONTENT_LENGTH);
        self.len = writer.end()? as u8;
        Ok(())
    }

    /// From the status line to the colon of `Content-Length`.
    #[inline]
    fn whole(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Copies that to the front of `out`: what is left of it. Where there is flash for it, all of
    /// the array, in a few moves instead of a call: what is behind the end is not in use yet.
    /// `None`: nothing was rendered, or there is too little room.
    #[inline(always)]
    pub(super) fn put_whole<'a>(&self, out: &'a mut [u8]) -> Option<&'a mut [u8]> {
        if self.len == 0 {
            return None;
        }
        match out.first_chunk_mut() {
            Some(place) if WIDE => {
                *place = self.bytes;
                out.get_mut(usize::from(self.len)..)
            }
            _ => put(out, self.whole()),
        }
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
pub(super) fn head<R: Role>(
    out: &mut [u8],
    head: &HeadOut<'_>,
    framing: FramingLine,
    connection: ConnectionLine,
) -> Result<usize, SendError> {
    let mut writer = Writer::new(out);
    match (head.start, head.prefix, framing) {
        // The commonest response: one copy and a number.
        (StartLine::Response(Status::OK, None), Some(prefix), FramingLine::Length(length))
            if !R::CLIENT && prefix.len > 0 =>
        {
            writer.put(prefix.whole());
            writer.put_number(length);
        }
        _ => writer.put_first_lines::<R>(head, framing),
    }
    if let Some(content_type) = head.content_type {
        writer.put_array(b"Content-Type: ");
        writer.put(content_type.as_str().as_bytes());
        writer.end_line();
    }
    if connection != ConnectionLine::None || head.upgrade.is_some() {
        writer.put_connection(connection, head.upgrade);
    }
    if R::CLIENT || !head.fields.is_empty() {
        writer.put_fields::<R>(head.fields);
    }
    writer.end_line();
    writer.end()
}

/// The decimal digits of a number.
pub(super) struct Digits {
    text: [u8; 20],
    from: usize,
}

impl Digits {
    #[inline(never)]
    pub(super) fn new(number: u64) -> Self {
        let mut text = [b'0'; 20];
        let (mut from, mut rest) = (text.len(), number);
        loop {
            let ones;
            (rest, ones) = divide_by_ten(rest);
            from -= 1;
            if let Some(place) = text.get_mut(from) {
                *place = b'0' + ones;
            }
            if rest == 0 {
                break Self { text, from };
            }
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.get(self.from..).unwrap_or_default()
    }
}

/// A tenth of `number`, and what is left. In two steps of 32 bits, each of which has 16 more digits
/// of the dividend: a division of 64 bits would be a kilobyte of a small board's flash.
fn divide_by_ten(number: u64) -> (u64, u8) {
    let (high, middle, low) = ((number >> 32) as u32, (number >> 16) as u16, number as u16);
    let next = |left: u32, digits: u16| left << 16 | u32::from(digits);
    let middle = next(high % 10, middle);
    let low = next(middle % 10, low);
    let tenth = u64::from(high / 10) << 32 | u64::from(middle / 10) << 16 | u64::from(low / 10);
    (tenth, (low % 10) as u8)
}

/// What is written, and the first reason why it cannot be, which is asked for once, at the end.
pub(super) struct Writer<'a> {
    /// Empty once there is an error.
    rest: &'a mut [u8],
    room: usize,
    error: Option<SendError>,
}

impl<'a> Writer<'a> {
    #[inline]
    pub(super) fn new(out: &'a mut [u8]) -> Self {
        Self { room: out.len(), rest: out, error: None }
    }

    /// How many bytes were written, if all were.
    #[inline]
    pub(super) fn end(self) -> Result<usize, SendError> {
        self.error.map_or(Ok(self.room - self.rest.len()), Err)
    }

    #[cold]
    #[inline(never)]
    fn refuse(&mut self, error: SendError) {
        self.error = self.error.or(Some(error));
        self.rest = &mut [];
    }

    #[cfg_attr(not(target_os = "none"), inline)]
    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        match take(&mut self.rest).split_at_mut_checked(bytes.len()) {
            Some((place, rest)) => {
                place.copy_from_slice(bytes);
                self.rest = rest;
            }
            None => self.refuse(SendError::Full),
        }
    }

    /// As `put`, for bytes whose number is known: where there is flash for it, a few moves instead
    /// of a call.
    #[inline]
    pub(super) fn put_array<const N: usize>(&mut self, bytes: &[u8; N]) {
        if WIDE {
            self.put_chunk(bytes);
        } else {
            self.put(bytes);
        }
    }

    #[inline]
    fn put_chunk<const N: usize>(&mut self, bytes: &[u8; N]) {
        match take(&mut self.rest).split_first_chunk_mut::<N>() {
            Some((place, rest)) => {
                *place = *bytes;
                self.rest = rest;
            }
            None => self.refuse(SendError::Full),
        }
    }

    #[cfg_attr(not(target_os = "none"), inline)]
    #[cfg_attr(target_os = "none", inline(never))]
    fn end_line(&mut self) {
        self.put_chunk(b"\r\n");
    }

    /// A decimal number and the end of its line.
    #[inline(never)]
    pub(super) fn put_number(&mut self, number: u64) {
        self.put(Digits::new(number).as_bytes());
        self.end_line();
    }

    /// The beginning of a line, and a value that ends it.
    #[inline(never)]
    fn put_line(&mut self, start: &[u8], value: &[u8]) {
        self.put(start);
        if is_value(value) {
            self.put(value);
            self.end_line();
        } else {
            self.refuse(SendError::Field);
        }
    }

    /// The caller's own fields. A request has exactly one host (RFC 9112, 3.2).
    #[inline(never)]
    fn put_fields<R: Role>(&mut self, fields: &[(&str, &[u8])]) {
        let mut hosts = 0_usize;
        for (name, value) in fields {
            let name = name.as_bytes();
            let is = |known: &&str| is_ignoring_case(name, known);
            let framing = ["upgrade", "connection", "content-length", "transfer-encoding"];
            if framing.iter().any(is) || !is_token(name) {
                return self.refuse(SendError::Field);
            }
            hosts += usize::from(R::CLIENT && is(&"host"));
            self.put(name);
            self.put_line(b": ", value);
        }
        if R::CLIENT && hosts != 1 {
            self.refuse(SendError::Field);
        }
    }

    /// All that a rendered prefix would have had.
    #[inline(never)]
    fn put_first_lines<R: Role>(&mut self, head: &HeadOut<'_>, framing: FramingLine) {
        match head.start {
            StartLine::Response(status, reason) if !R::CLIENT => {
                let [a, b, c] = status.digits();
                let start = [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1', b' ', a, b, c, b' '];
                let reason = reason.unwrap_or_else(|| status.reason());
                self.put_line(&start, reason.as_bytes());
            }
            StartLine::Request(method, target) if R::CLIENT => {
                let target_is_good = !target.is_empty() && is_target(target.as_bytes());
                if !is_token(method.as_bytes()) || !target_is_good {
                    return self.refuse(SendError::Field);
                }
                for part in [method, " ", target, " HTTP/1.1\r\n"] {
                    self.put(part.as_bytes());
                }
            }
            _ => self.refuse(SendError::State),
        }
        match head.prefix {
            Some(prefix) => self.put(prefix.lines()),
            None => self.put_origin(head.server, head.date),
        }
        match framing {
            FramingLine::None => {}
            FramingLine::Chunked => self.put(b"Transfer-Encoding: chunked\r\n"),
            FramingLine::Length(length) => {
                self.put(CONTENT_LENGTH);
                self.put_number(length);
            }
        }
    }

    /// `Server` and `Date`.
    fn put_origin(&mut self, server: Option<&str>, date: Option<&[u8; 29]>) {
        if let Some(server) = server {
            self.put_line(b"Server: ", server.as_bytes());
        }
        if let Some(date) = date {
            self.put_line(b"Date: ", date);
        }
    }

    #[inline(never)]
    fn put_connection(&mut self, connection: ConnectionLine, upgrade: Option<&str>) {
        if let Some(protocols) = upgrade {
            self.put_line(b"Upgrade: ", protocols.as_bytes());
        }
        self.put(match (connection, upgrade) {
            (ConnectionLine::None, None) => b"",
            (ConnectionLine::Close, None) => b"Connection: close\r\n",
            (ConnectionLine::KeepAlive, None) => b"Connection: keep-alive\r\n",
            (ConnectionLine::Close, Some(_)) => b"Connection: upgrade, close\r\n",
            (_, Some(_)) => b"Connection: upgrade\r\n",
        });
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
    let mut writer = Writer::new(out);
    for digit in (0..hex_digits(take)).rev() {
        let nibble = (take >> (digit * 4) & 0xf) as u8;
        writer.put_chunk(&[if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble }]);
    }
    writer.end_line();
    writer.put(data);
    writer.end_line();
    // INVARIANT: `take` leaves room for what stands around it, so it always fits.
    writer.end().map_or((0, 0), |written| (take, written))
}

/// Number of hexadecimal digits of `number`, at least one.
const fn hex_digits(number: usize) -> usize {
    (usize::BITS as usize - (number | 1).leading_zeros() as usize).div_ceil(4)
}

/// Writes the last chunk and a trailer section of good fields (RFC 9112, 7.1).
pub(super) fn last_chunk(out: &mut [u8], trailers: &[(&str, &[u8])]) -> Result<usize, SendError> {
    let mut writer = Writer::new(out);
    writer.put(b"0\r\n");
    for (name, value) in trailers {
        writer.put(name.as_bytes());
        writer.put_line(b": ", value);
    }
    writer.end_line();
    writer.end()
}

/// What may not come behind the body (RFC 9110, 6.5.1): a name, or with `-` at its end all names
/// that begin so.
const NOT_TRAILERS: &[u8] = b"age,authorization,cache-control,connection,content-,cookie,date,\
    expect,expires,host,if-,keep-alive,location,max-forwards,pragma,proxy-,range,retry-after,\
    set-cookie,te,trailer,transfer-encoding,upgrade,vary,warning,www-authenticate";

/// Whether these fields may be sent as trailers.
#[inline(never)]
pub(super) fn are_trailers(fields: &[(&str, &[u8])]) -> bool {
    fields.iter().all(|(name, value)| {
        let name = name.as_bytes();
        let is_refused = NOT_TRAILERS.split(|byte| *byte == b',').any(|refused| {
            let start = name.get(..refused.len()).unwrap_or_default();
            let all = start.len() == name.len() || refused.ends_with(b"-");
            all && start.eq_ignore_ascii_case(refused)
        });
        // RFC 9530: a digest is known only behind what it is taken of.
        let is_digest = is_ignoring_case(name, "content-digest");
        is_token(name) && is_value(value) && (!is_refused || is_digest)
    })
}

/// Writes all of `bytes`, or nothing.
pub(super) fn all(out: &mut [u8], bytes: &[u8]) -> Result<usize, SendError> {
    let mut writer = Writer::new(out);
    writer.put(bytes);
    writer.end()
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
        let mut out = [0; 512];
        let len = match head.start {
            StartLine::Response(..) => Conn::server().send_head(&mut out, head)?,
            StartLine::Request(..) => Conn::client().send_head(&mut out, head)?,
        };
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
                let mut writer = Writer::new(&mut out);
                writer.put_number(n);
                let len = writer.end().unwrap();
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
