//! Heads: what `line` and `httparse` cut out of the input becomes facts, and every framing decision
//! is made here, once, for both roles (RFC 9112, 2 to 6; RFC 9110, 7.2, 8.6, 10.1.1).
//!
//! `httparse` reads the fields, but a plain `Host` right behind the request line, which [`line`]
//! reads. The parser checks characters and decides no policy; it also takes a bare LF for a line
//! end. What follows works on the slices it returns and looks at few other bytes: the one before
//! each LF, and the values of the six fields that steer a connection.
//!
//! A message is rejected when two readers could disagree about it: two hosts, two lengths, a
//! length beside a transfer coding, a transfer coding in HTTP/1.0, a final coding other than
//! one `chunked`, folded lines, space before a colon, line ends without CR.

use httparse::{EMPTY_HEADER, Error, Status as Parse};

use super::authority::is_authority;
use super::event::{Refused, refused};
use super::field::{WIDE, is_word, trim};
use super::line::{self, HOST_BYTES};
use super::{FieldRange, Head, Limits, Method, Reject, Span, Status};

/// Most fields that a head may have, however long the caller's table is.
pub const FIELDS_MAX: usize = 64;
/// Fields are parsed so many at a time: on a 32-bit board they take 128 bytes of stack, elsewhere a
/// browser's are read in one go.
const FIELDS_AT_ONCE: usize = if WIDE { 16 } else { 8 };

/// The version of a message; another major version is rejected (505).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// `HTTP/1.0`
    Http10,
    /// `HTTP/1.1`, or a higher minor version, which is read as if it were this one.
    #[default]
    Http11,
}

/// How the body of a received message ends (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyKind {
    /// There is none.
    #[default]
    None,
    /// After this many bytes.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection; only responses.
    UntilClose,
}

/// What a received head says. Every span is a range of the input that it was received from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadFacts {
    /// How the body ends.
    pub body: BodyKind,
    /// Request: the method.
    pub method: Method,
    /// The version.
    pub version: Version,
    /// Request: the peer waits for `100 Continue` before it sends its body.
    pub expect_continue: bool,
    /// The peer is willing to use the connection again.
    pub keep_alive: bool,
    /// The peer offers (or, with 101, takes) another protocol: `Connection: upgrade` together
    /// with `Upgrade`.
    pub upgrade: bool,
    /// Response: the status code; 0 in a request.
    pub status_code: u16,
    /// Number of entries written to the field table.
    pub fields: u16,
    /// Request: the method's text.
    pub method_span: Span,
    /// Request: the target as sent: ASCII without spaces, controls and `#`.
    pub target: Span,
    /// Request: the target's path, and the authority for CONNECT. Empty in `http://host`: see
    /// [`path_in`](Self::path_in).
    pub path: Span,
    /// Request: what follows the first `?`.
    pub query: Option<Span>,
    /// Request: the host and port asked for: from the target if it names them (RFC 9112,
    /// 3.2.2), else from `Host`. Empty if HTTP/1.0 gave none.
    pub host: Span,
    /// Response: the reason phrase.
    pub reason: Span,
}

impl HeadFacts {
    /// Response: the status; `None` in a request.
    pub const fn status(&self) -> Option<Status> {
        Status::new(self.status_code)
    }

    /// Request: the path in `bytes`, those that the head was received from. `*` is the whole server
    /// (OPTIONS). A target without a path asks for `/`, or with OPTIONS and without a query for `*`
    /// (RFC 9112, 3.2.4).
    #[inline]
    pub fn path_in<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        match self.path.slice(bytes) {
            [] => self.no_path(),
            path => path,
        }
    }

    #[cold]
    fn no_path(&self) -> &'static [u8] {
        if self.method == Method::Options && self.query.is_none() { b"*" } else { b"/" }
    }
}

const _: () = assert!(size_of::<HeadFacts>() <= 64);

/// What the request was, as far as it decides how the response ends.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) head: bool,
    pub(super) connect: bool,
}

/// The length of a head that is wholly in the window; `None`: it is not.
pub(super) type Parsed = Result<Option<usize>, Refused>;

/// What a window amounts to that should begin with a request head.
pub(super) enum Request {
    /// As [`Parsed`].
    Any(Option<usize>),
    /// A whole head of this length: GET, HTTP/1.1, no field but `Host`. Nothing of it steers the
    /// connection.
    Plain(usize),
}

/// Parses a request head at the start of `window` (at most 65,535 bytes).
#[cfg_attr(not(target_os = "none"), inline(always))]
pub(super) fn request(
    window: &[u8],
    head: &mut Head<'_>,
    limits: &Limits,
) -> Result<Request, Refused> {
    let Head { facts, fields } = head;
    // All others are said by every request.
    facts.fields = 0;
    facts.query = None;
    facts.host = Span::EMPTY;
    facts.expect_continue = false;
    let Some(fields_at) = line::request(window, facts)? else { return Ok(Request::Any(None)) };
    let Some((first, (host, end))) = fields.first_mut().zip(line::host(window, fields_at)) else {
        return request_fields(window, fields_at, head, limits, None).map(Request::Any);
    };
    *first = FieldRange { name: line::span(fields_at, fields_at + HOST_BYTES), value: host };
    facts.fields = 1;
    let is_plain = facts.method == Method::Get && facts.version == Version::Http11;
    if !is_plain || window.get(end..end + 2) != Some(b"\r\n") {
        return request_fields(window, end, head, limits, Some(host)).map(Request::Any);
    }
    if facts.host.is_empty() {
        facts.host = host;
    }
    facts.body = BodyKind::None;
    facts.keep_alive = true;
    facts.upgrade = false;
    Ok(Request::Plain(end + 2))
}

/// Parses a request's fields from `at` on. `read`: the host, if it was read already.
#[inline(never)]
fn request_fields(
    window: &[u8],
    at: usize,
    head: &mut Head<'_>,
    limits: &Limits,
    read: Option<Span>,
) -> Parsed {
    let Head { facts, fields } = head;
    let mut steering = Steering { host: read, ..Steering::default() };
    let parsed = read_fields(window, at, fields, &mut steering, facts)?;
    if parsed.is_none() {
        return Ok(None);
    }
    // RFC 9112, 3.2: 400 to a request without Host, with several, or with a malformed one.
    match steering.host {
        _ if steering.second_host => return Err(refused!("more than one Host")),
        Some(host) if read.is_none() && !is_authority(host.slice(window)) => {
            return Err(refused!("malformed Host"));
        }
        // A host in the target comes first, but does not excuse the other (RFC 9112, 3.2.2).
        Some(host) if facts.host.is_empty() => facts.host = host,
        None if facts.version == Version::Http11 => return Err(refused!("no Host")),
        _ => {}
    }
    steering.apply(facts);
    facts.body = steering.body(facts, limits)?.unwrap_or(BodyKind::None);
    if steering.expect != Expect::Nothing && facts.version == Version::Http11 {
        if steering.expect == Expect::Other {
            return Err(refused!(Status::EXPECTATION_FAILED, "unknown expectation"));
        }
        facts.expect_continue = !matches!(facts.body, BodyKind::None | BodyKind::Length(0));
    }
    Ok(parsed)
}

/// Parses a response head at the start of `window`; `None`: incomplete.
#[inline(never)]
pub(super) fn response(
    window: &[u8],
    head: &mut Head<'_>,
    limits: &Limits,
    asked: Asked,
) -> Parsed {
    let Head { facts, fields } = head;
    *facts = HeadFacts::default();
    let Some(fields_at) = line::status(window, facts)? else { return Ok(None) };
    let mut steering = Steering::default();
    let parsed = read_fields(window, fields_at, fields, &mut steering, facts)?;
    if parsed.is_none() {
        return Ok(None);
    }
    steering.apply(facts);
    let bodiless = matches!(facts.status_code, 100..=199 | 204 | 304);
    let tunnel = asked.connect && matches!(facts.status_code, 200..=299);
    // RFC 9112, 6.3, rules 1 and 2: these end with their head, whatever their fields say.
    if bodiless || tunnel || asked.head {
        return Ok(parsed);
    }
    facts.body = steering.body(facts, limits)?.unwrap_or(BodyKind::UntilClose);
    facts.keep_alive &= facts.body != BodyKind::UntilClose;
    Ok(parsed)
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Expect {
    #[default]
    Nothing,
    Continue,
    Other,
}

/// The transfer codings seen so far, in order.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Coding {
    #[default]
    Absent,
    Chunked,
    Unknown,
    UnknownThenChunked,
}

/// What the six fields that steer a connection say.
#[derive(Default)]
struct Steering {
    length: Option<u64>,
    host: Option<Span>,
    coding: Coding,
    expect: Expect,
    second_host: bool,
    upgrade_field: bool,
    /// The options of `Connection`, a bit for each of [`OPTIONS`].
    options: u8,
}

/// The fields that steer a connection, but `Host`.
const RARE: [&str; 5] = ["connection", "content-length", "expect", "transfer-encoding", "upgrade"];
const OPTIONS: [&str; 3] = ["close", "keep-alive", "upgrade"];
const CLOSE: u8 = 1;
const KEEP_ALIVE: u8 = 2;
const UPGRADE: u8 = 4;

/// Fills the field table behind the `facts.fields` that are there, and gathers the steering fields.
/// `at`: where the fields begin. The length of the head, `None`: incomplete.
fn read_fields(
    window: &[u8],
    mut at: usize,
    fields: &mut [FieldRange],
    steering: &mut Steering,
    facts: &mut HeadFacts,
) -> Parsed {
    let room = fields.len().min(FIELDS_MAX);
    let free = fields.get_mut(usize::from(facts.fields)..room);
    let mut free = free.unwrap_or_default().iter_mut();
    let mut strict = true;
    loop {
        let mut headers = [EMPTY_HEADER; FIELDS_AT_ONCE];
        let room = free.len().min(FIELDS_AT_ONCE);
        let headers = headers.get_mut(..room).unwrap_or_default();
        let rest = window.get(at..).unwrap_or_default();
        let (count, end) = match httparse::parse_headers(rest, headers) {
            Ok(Parse::Complete((len, found))) => (found.len(), Some(at + len)),
            Ok(Parse::Partial) => return Ok(None),
            // There are more, and as many as there was place for are in their place.
            Err(Error::TooManyHeaders) if room > 0 => (room, None),
            Err(error) => return Err(syntax(error)),
        };
        facts.fields += count as u16;
        for (header, field) in headers.iter().take(count).zip(&mut free) {
            let name = span(window, header.name.as_bytes());
            let value = span(window, header.value);
            *field = FieldRange { name, value };
            strict &= ends_in_crlf(window, usize::from(name.from));
            at = usize::from(value.to);
            steering.read(header.name.as_bytes(), header.value, value)?;
        }
        // The parser takes LF for a line end; each must be preceded by CR (RFC 9112, 2.2). The CR
        // cannot be anything else, since it rejects a CR that no LF follows.
        if let Some(end) = end {
            strict &= ends_in_crlf(window, end) && ends_in_crlf(window, end - 2);
            return if strict { Ok(Some(end)) } else { Err(Reject::NO_CR) };
        }
        // Behind the value are spaces, which it does not include, and its line end.
        at += 1 + window.iter().skip(at).take_while(|b| **b != b'\n').count();
    }
}

impl Steering {
    /// Takes what one field says. Most fields say nothing here, and their length and first letter
    /// are enough to tell. In a token, only letters differ by the bit 0x20 alone.
    #[inline]
    fn read(&mut self, name: &[u8], value: &[u8], place: Span) -> Result<(), Refused> {
        // Every request has this one.
        if let Ok(four) = <[u8; 4]>::try_from(name) {
            if u32::from_ne_bytes(four) | 0x2020_2020 == u32::from_ne_bytes(*b"host") {
                self.second_host |= self.host.replace(place).is_some();
            }
            return Ok(());
        }
        match (name.len(), name.first().map_or(0, |first| first | 0x20)) {
            (6, b'e') | (7, b'u') | (10 | 14, b'c') | (17, b't') => self.read_rare(name, value),
            _ => Ok(()),
        }
    }

    // Out of the loop over the fields, which has registers enough for itself. RFC 9110, 5.6.1.2: "A
    // recipient MUST parse and ignore a reasonable number of empty list elements".
    #[inline(never)]
    fn read_rare(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refused> {
        let mut items = value.split(|b| *b == b',').map(trim);
        match find(&RARE, name) {
            // What browsers say. Where flash is dear, the list below is enough.
            Some(0) if WIDE && is_word(value, "keep-alive") => self.options |= KEEP_ALIVE,
            Some(0) => {
                let options = items.filter_map(|item| find(&OPTIONS, item));
                self.options |= options.fold(0, |options, option| options | 1 << option);
            }
            Some(1) => {
                let again = self.length.replace(parse_length(value)?);
                return again.map_or(Ok(()), |_| Err(refused!("more than one Content-Length")));
            }
            Some(2) => {
                self.expect = items.fold(self.expect, Expect::and);
            }
            Some(3) => {
                if value.iter().all(|byte| matches!(byte, b',' | b' ' | b'\t')) {
                    return Err(refused!("no transfer coding"));
                }
                self.coding = items.try_fold(self.coding, Coding::then)?;
            }
            Some(_) => self.upgrade_field = true,
            None => {}
        }
        Ok(())
    }

    /// How the fields say that the body ends, if they do (RFC 9112, 6.3).
    #[inline(always)]
    fn body(&self, facts: &HeadFacts, limits: &Limits) -> Result<Option<BodyKind>, Refused> {
        match (self.coding, self.length) {
            (Coding::Absent, None) => Ok(None),
            _ => self.stated_body(facts, limits).map(Some),
        }
    }

    #[inline(never)]
    fn stated_body(&self, facts: &HeadFacts, limits: &Limits) -> Result<BodyKind, Refused> {
        let body = match (self.coding, self.length) {
            (Coding::Absent, length) => BodyKind::Length(length.unwrap_or(0)),
            (_, Some(_)) => {
                return Err(refused!("both Content-Length and Transfer-Encoding"));
            }
            _ if facts.version == Version::Http10 => {
                return Err(refused!("Transfer-Encoding in HTTP/1.0"));
            }
            (Coding::Unknown, None) => {
                return Err(refused!("the final transfer coding is not chunked"));
            }
            (Coding::UnknownThenChunked, None) => {
                return Err(refused!(Status::NOT_IMPLEMENTED, "unknown transfer coding"));
            }
            (Coding::Chunked, None) => BodyKind::Chunked,
        };
        match body {
            // RFC 9110, 9.3.6: it has no content, so what follows is a body to one reader and the
            // tunnel's to another.
            BodyKind::Chunked | BodyKind::Length(1..) if facts.method == Method::Connect => {
                Err(refused!("CONNECT with a body"))
            }
            BodyKind::Length(length) if length > limits.body_bytes_max => Err(Reject::TOO_LARGE),
            body => Ok(body),
        }
    }

    fn apply(&self, facts: &mut HeadFacts) {
        let modern = facts.version == Version::Http11;
        // RFC 9112, 9.3: `close` wins; HTTP/1.0 has to ask.
        let has = |option: u8| self.options & option != 0;
        facts.keep_alive = !has(CLOSE) && (modern || has(KEEP_ALIVE));
        facts.upgrade = modern && has(UPGRADE) && self.upgrade_field;
    }
}

impl Expect {
    /// The list so far and one more expectation. One that is repeated asks for nothing more.
    fn and(self, expectation: &[u8]) -> Self {
        match self {
            _ if expectation.is_empty() => self,
            Self::Other => self,
            _ if is_word(expectation, "100-continue") => Self::Continue,
            _ => Self::Other,
        }
    }
}

impl Coding {
    /// The list so far and one more coding. Nothing may follow `chunked` (RFC 9112, 6.1).
    fn then(self, coding: &[u8]) -> Result<Self, Refused> {
        let chunked = is_word(coding, "chunked");
        match self {
            _ if coding.is_empty() => Ok(self),
            Self::Absent if chunked => Ok(Self::Chunked),
            Self::Unknown if chunked => Ok(Self::UnknownThenChunked),
            Self::Absent | Self::Unknown => Ok(Self::Unknown),
            Self::Chunked | Self::UnknownThenChunked => {
                Err(refused!("a transfer coding after chunked"))
            }
        }
    }
}

/// Which of some names in lower case this is.
fn find(known: &[&str], name: &[u8]) -> Option<usize> {
    known.iter().position(|known| is_word(name, known))
}

/// Digits only, no sign and no list (RFC 9112, 6.3, rule 5). One beyond 64 bits is well-formed, and
/// more than anybody takes.
fn parse_length(value: &[u8]) -> Result<u64, Refused> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(refused!("malformed Content-Length"));
    }
    value.iter().try_fold(0_u64, |length, digit| {
        let tens = if length <= u64::MAX / 10 { Some(length * 10) } else { None };
        tens.and_then(|tens| tens.checked_add(u64::from(digit - b'0'))).ok_or(Reject::TOO_LARGE)
    })
}

/// The range of `part`, which the parser cut from `window`.
#[inline]
fn span(window: &[u8], part: &[u8]) -> Span {
    // INVARIANT: `part` lies in `window`, which has at most 65,535 bytes.
    let from = (part.as_ptr() as usize).wrapping_sub(window.as_ptr() as usize);
    debug_assert!(from + part.len() <= window.len());
    Span { from: from as u16, to: (from + part.len()) as u16 }
}

/// Whether the LF just before `at` has its CR.
#[inline]
fn ends_in_crlf(window: &[u8], at: usize) -> bool {
    window.get(at.wrapping_sub(2)) == Some(&b'\r')
}

/// The answer to what the parser refused.
#[cold]
fn syntax(error: Error) -> Refused {
    match error {
        Error::TooManyHeaders => Reject::FIELDS_TOO_LARGE,
        Error::HeaderName => refused!("malformed field name"),
        Error::HeaderValue => refused!("malformed field value"),
        _ => refused!("malformed line end"),
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::{Conn, Event};
    use super::*;
    use std::format;
    use std::string::String;

    fn facts(input: &[u8], fields: &mut [FieldRange]) -> Result<HeadFacts, Reject> {
        let mut head = Head::new(fields);
        let step = Conn::server().recv(input, false, &mut head, &Limits::DEFAULT)?;
        assert_eq!(step.event, Some(Event::Head));
        Ok(head.facts)
    }

    #[test]
    fn targets_are_cut_into_host_path_and_query() {
        for (line, host, path, query) in [
            ("GET /", "a", "/", None),
            ("GET /p?", "a", "/p", Some("")),
            ("GET /p?q=1?2", "a", "/p", Some("q=1?2")),
            ("GET //x/y", "a", "//x/y", None),
            ("OPTIONS *", "a", "*", None),
            ("GET http://b", "b", "", None),
            ("GET http://b?q", "b", "", Some("q")),
            ("GET httP://b:8/p?q", "b:8", "/p", Some("q")),
            ("OPTIONS http://b", "b", "", None),
            ("CONNECT b:8", "b:8", "b:8", None),
            ("CONNECT [::1]:8", "[::1]:8", "[::1]:8", None),
        ] {
            let input = format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n");
            let input = input.as_bytes();
            let facts = facts(input, &mut [FieldRange::default(); 1]).unwrap();
            let text = |span: Span| core::str::from_utf8(span.slice(input)).unwrap();
            let seen = (text(facts.host), text(facts.path), facts.query.map(text));
            assert_eq!(seen, (host, path, query), "{line}");
            assert_eq!(text(facts.target), line.split_once(' ').unwrap().1);
        }
    }

    /// A `Host` that is the first field is read apart from the others. The oracle reads the same
    /// line behind another field: with each byte of it replaced by every other, taken out, or one
    /// put in.
    #[test]
    fn a_host_says_the_same_in_first_place_and_behind_another_field() {
        let seen = |first: &str, line: &[u8], last: &str| {
            let before = format!("GET /p HTTP/1.1\r\n{first}");
            let input = [before.as_bytes(), line, last.as_bytes(), b"\r\n"].concat();
            let mut fields = [FieldRange::default(); 8];
            let facts = facts(&input, &mut fields)?;
            let count = usize::from(facts.fields) - usize::from(!first.is_empty());
            let field = fields[usize::from(!first.is_empty())];
            let text = |span: Span| String::from_utf8_lossy(span.slice(&input)).into_owned();
            Ok::<_, Reject>((text(facts.host), text(field.name), text(field.value), count))
        };
        let lines = ["Host: b.c:80\r\n", "hosT: 0123456789abcdef.test:1\r\n", "Host: a:6553\r\n"];
        for (line, last) in lines.into_iter().flat_map(|line| [(line, ""), (line, "X: y\r\n")]) {
            let line = line.as_bytes();
            assert!(seen("", line, last).is_ok());
            for at in 0..line.len() {
                let (front, back) = line.split_at(at);
                for byte in 0..=255_u8 {
                    for rest in [&back[1..], back] {
                        let changed = [front, &[byte], rest].concat();
                        let (first, behind) =
                            (seen("", &changed, last), seen("A: b\r\n", &changed, last));
                        assert_eq!(first, behind, "{} {last:?}", changed.escape_ascii());
                    }
                }
                let shorter = [front, &back[1..]].concat();
                assert_eq!(seen("", &shorter, last), seen("A: b\r\n", &shorter, last));
            }
        }
    }

    /// However many fields there are, and however few there is room for: `Host`, read apart,
    /// counts.
    #[test]
    fn a_host_in_first_place_takes_a_place_in_the_table() {
        for count in 1..=40 {
            let more: String = (1..count).map(|i| format!("x{i}: y{i}\r\n")).collect();
            let input = format!("GET /p HTTP/1.1\r\nHost: a\r\n{more}\r\n");
            for room in 0..=41 {
                let mut fields = [FieldRange::default(); 41];
                match facts(input.as_bytes(), &mut fields[..room]) {
                    Ok(facts) => {
                        assert_eq!((usize::from(facts.fields), room >= count), (count, true));
                        let last = fields[count - 1].value.slice(input.as_bytes());
                        assert_eq!(last.first(), Some(&[b'a', b'y'][usize::from(count > 1)]));
                    }
                    Err(reject) => {
                        assert!(room < count, "{count} in {room}");
                        assert_eq!(reject, *Reject::FIELDS_TOO_LARGE);
                    }
                }
            }
        }
    }

    #[test]
    fn a_target_without_a_path_asks_for_the_root_or_the_server() {
        for (line, path) in [
            ("GET /p", "/p"),
            ("GET http://b", "/"),
            ("GET http://b?q", "/"),
            ("OPTIONS *", "*"),
            ("OPTIONS /", "/"),
            ("OPTIONS http://b", "*"),
            ("OPTIONS http://b:80", "*"),
            ("OPTIONS http://b/", "/"),
            ("OPTIONS http://b?q", "/"),
        ] {
            let input = format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n");
            let input = input.as_bytes();
            let facts = facts(input, &mut [FieldRange::default(); 1]).unwrap();
            assert_eq!(facts.path_in(input), path.as_bytes(), "{line}");
        }
    }

    #[test]
    fn the_table_limits_the_fields_up_to_the_maximum() {
        for (room, count, good) in [
            (0, 1, false),
            (1, 1, true),
            (16, 16, true),
            (16, 17, false),
            (17, 17, true),
            (64, 64, true),
            (99, 64, true),
            (99, 65, false),
        ] {
            let input =
                format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
            let mut fields = [FieldRange::default(); 99];
            let seen = facts(input.as_bytes(), &mut fields[..room]).map(|facts| facts.fields);
            let expected = if good { Ok(count as u16) } else { Err(*Reject::FIELDS_TOO_LARGE) };
            assert_eq!(seen, expected, "{count} in {room}");
            assert!(!good || fields[count - 1].value.len() == 1);
        }
    }

    /// The parser is asked again where it stopped; what stands there must not matter.
    #[test]
    fn fields_are_the_same_however_many_are_parsed_at_once() {
        let lines = ["X: y\r\n", "X: y \t\r\n", "X:\r\n", "X: \r\n", "X:y\n", "X:\n", "X y\r\n"];
        for before in [0, FIELDS_AT_ONCE - 2, FIELDS_AT_ONCE - 1, 2 * FIELDS_AT_ONCE - 1] {
            for (i, line) in lines.iter().enumerate() {
                let start = format!("GET / HTTP/1.0\r\n{}", "A: b\r\n".repeat(before));
                let input = format!("{start}{line}Host: c\r\n\r\n");
                let mut fields = [FieldRange::default(); FIELDS_MAX];
                let seen = facts(input.as_bytes(), &mut fields);
                if i >= 4 {
                    let reason =
                        if i < 6 { Reject::NO_CR } else { refused!("malformed field name") };
                    assert_eq!(seen, Err(*reason), "{input:?}");
                    continue;
                }
                let facts = seen.unwrap();
                assert_eq!(usize::from(facts.fields), before + 2);
                assert_eq!(facts.host.slice(input.as_bytes()), b"c");
                let value = fields[before].value.slice(input.as_bytes());
                assert_eq!(value, if i < 2 { &b"y"[..] } else { b"" }, "{input:?}");
                assert!(fields[before + 1].is(input.as_bytes(), "host"));
            }
        }
    }
}
