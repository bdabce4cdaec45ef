//! Heads: what `httparse` cuts into slices becomes facts, and every framing decision is made here,
//! once, for both roles (RFC 9112, 2 to 6; RFC 9110, 7.2, 8.6, 10.1.1).
//!
//! `httparse` checks characters and decides no policy; it also takes a bare LF for a line end. What
//! follows works on the slices it returns and looks at few other bytes: the one before each LF,
//! and the values of the six fields that steer a connection.
//!
//! A message is rejected when two readers could disagree about it: two hosts, two lengths, a
//! length beside a transfer coding, a transfer coding in HTTP/1.0, a final coding other than
//! one `chunked`, folded lines, space before a colon, line ends without CR.

use core::mem::MaybeUninit;

use httparse::{Error, Header, Status as Parse};

use super::field::{is_authority, is_target, path_len, trim};
use super::{FieldRange, Limits, Method, Reject, Span, Status};

/// Most fields that a head may have, however long the caller's table is.
pub const FIELDS_MAX: usize = 64;
/// Up to this many fields a small stack frame serves: 256 bytes on a 32-bit board.
const FIELDS_SMALL: usize = 16;

/// The version of a message; anything else is rejected (505).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// `HTTP/1.0`
    Http10,
    /// `HTTP/1.1`
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
    /// Request: the target's path. Empty stands for `/` (`http://host`); `*` for the whole
    /// server (OPTIONS); and the authority for CONNECT.
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
}

const _: () = assert!(size_of::<HeadFacts>() <= 64);

/// What the request was, as far as it decides how the response ends.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) head: bool,
    pub(super) connect: bool,
}

/// The length of a head that is wholly in the window; its facts go to an argument, which was
/// [`HeadFacts::default`], so that they are not copied from result to result.
pub(super) type Parsed = Result<Option<usize>, Reject>;

const fn bad(reason: &'static str) -> Reject {
    Reject { status: Status::BAD_REQUEST, reason }
}

/// Parses a request head at the start of `window` (at most 65,535 bytes); `None`: incomplete.
#[inline]
pub(super) fn request(
    window: &[u8],
    fields: &mut [FieldRange],
    limits: &Limits,
    facts: &mut HeadFacts,
) -> Parsed {
    if fields.len() <= FIELDS_SMALL {
        request_on_stack::<FIELDS_SMALL>(window, fields, limits, facts)
    } else {
        request_on_stack::<FIELDS_MAX>(window, fields, limits, facts)
    }
}

/// Parses a response head at the start of `window`; `None`: incomplete.
pub(super) fn response(
    window: &[u8],
    fields: &mut [FieldRange],
    limits: &Limits,
    asked: Asked,
    facts: &mut HeadFacts,
) -> Parsed {
    if fields.len() <= FIELDS_SMALL {
        response_on_stack::<FIELDS_SMALL>(window, fields, limits, asked, facts)
    } else {
        response_on_stack::<FIELDS_MAX>(window, fields, limits, asked, facts)
    }
}

// Never inlined: each keeps its array out of its callers' frames. What they call is there once.
#[inline(never)]
fn request_on_stack<const N: usize>(
    window: &[u8],
    fields: &mut [FieldRange],
    limits: &Limits,
    facts: &mut HeadFacts,
) -> Parsed {
    let mut headers = [const { MaybeUninit::uninit() }; N];
    let room = fields.len().min(N);
    read_request(window, headers.get_mut(..room).unwrap_or_default(), fields, limits, facts)
}

#[inline(never)]
fn response_on_stack<const N: usize>(
    window: &[u8],
    fields: &mut [FieldRange],
    limits: &Limits,
    asked: Asked,
    facts: &mut HeadFacts,
) -> Parsed {
    let mut headers = [const { MaybeUninit::uninit() }; N];
    let room = fields.len().min(N);
    read_response(window, headers.get_mut(..room).unwrap_or_default(), fields, limits, asked, facts)
}

#[inline(never)]
fn read_request<'b>(
    window: &'b [u8],
    headers: &mut [MaybeUninit<Header<'b>>],
    fields: &mut [FieldRange],
    limits: &Limits,
    facts: &mut HeadFacts,
) -> Parsed {
    let mut parsed = httparse::Request::new(&mut []);
    let end = match parsed.parse_with_uninit_headers(window, headers) {
        Ok(Parse::Complete(end)) => end,
        Ok(Parse::Partial) => return Ok(None),
        Err(error) => {
            let third_word = window.splitn(3, |b| *b == b' ').nth(2).unwrap_or_default();
            return Err(syntax(error, third_word));
        }
    };
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(bad("malformed request line"));
    };
    let mut steering = Steering::default();
    read_fields(window, end, parsed.headers, fields, &mut steering)?;
    facts.method = Method::from_bytes(method.as_bytes());
    facts.method_span = span(window, method.as_bytes());
    facts.target = span(window, target.as_bytes());
    facts.version = if minor == 0 { Version::Http10 } else { Version::Http11 };
    facts.fields = parsed.headers.len() as u16;
    facts.host = steering.host.unwrap_or_default();
    // RFC 9112, 3.2: 400 to a request without Host, with several, or with a malformed one.
    if steering.host.is_none() && facts.version == Version::Http11 {
        return Err(bad("no Host"));
    }
    if steering.second_host {
        return Err(bad("more than one Host"));
    }
    if !is_authority(facts.host.slice(window)) {
        return Err(bad("malformed Host"));
    }
    read_target(target.as_bytes(), facts)?;
    steering.apply(facts);
    facts.body = match (steering.coding()?, steering.length) {
        (true, Some(_)) => return Err(bad("both Content-Length and Transfer-Encoding")),
        (true, None) if facts.version == Version::Http10 => {
            return Err(bad("Transfer-Encoding in HTTP/1.0"));
        }
        (true, None) => BodyKind::Chunked,
        (false, Some(length)) if length > limits.body_bytes_max => return Err(Reject::TOO_LARGE),
        (false, Some(length)) => BodyKind::Length(length),
        (false, None) => BodyKind::None,
    };
    if steering.expect != Expect::Nothing && facts.version == Version::Http11 {
        if steering.expect == Expect::Other {
            return Err(Reject {
                status: Status::EXPECTATION_FAILED,
                reason: "unknown expectation",
            });
        }
        facts.expect_continue = !matches!(facts.body, BodyKind::None | BodyKind::Length(0));
    }
    Ok(Some(end))
}

#[inline(never)]
fn read_response<'b>(
    window: &'b [u8],
    headers: &mut [MaybeUninit<Header<'b>>],
    fields: &mut [FieldRange],
    limits: &Limits,
    asked: Asked,
    facts: &mut HeadFacts,
) -> Parsed {
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let end = match config.parse_response_with_uninit_headers(&mut parsed, window, headers) {
        Ok(Parse::Complete(end)) => end,
        Ok(Parse::Partial) => return Ok(None),
        Err(error) => return Err(syntax(error, window)),
    };
    let (Some(status_code @ 100..), Some(minor)) = (parsed.code, parsed.version) else {
        return Err(bad("malformed status"));
    };
    let mut steering = Steering::default();
    read_fields(window, end, parsed.headers, fields, &mut steering)?;
    facts.status_code = status_code;
    // An empty reason may be a static string of the parser, which lies in no window.
    if let Some(reason) = parsed.reason.filter(|reason| !reason.is_empty()) {
        facts.reason = span(window, reason.as_bytes());
    }
    facts.version = if minor == 0 { Version::Http10 } else { Version::Http11 };
    facts.fields = parsed.headers.len() as u16;
    steering.apply(facts);
    let bodiless = matches!(status_code, 100..=199 | 204 | 304);
    let tunnel = asked.connect && matches!(status_code, 200..=299);
    // RFC 9112, 6.3, rules 1 and 2: these end with their head, whatever their fields say.
    if bodiless || tunnel || asked.head {
        return Ok(Some(end));
    }
    facts.body = match (steering.coding()?, steering.length) {
        (true, Some(_)) => return Err(bad("both Content-Length and Transfer-Encoding")),
        (true, None) if facts.version == Version::Http10 => {
            return Err(bad("Transfer-Encoding in HTTP/1.0"));
        }
        (true, None) => BodyKind::Chunked,
        (false, Some(length)) if length > limits.body_bytes_max => return Err(Reject::TOO_LARGE),
        (false, Some(length)) => BodyKind::Length(length),
        (false, None) => BodyKind::UntilClose,
    };
    facts.keep_alive &= facts.body != BodyKind::UntilClose;
    Ok(Some(end))
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
    close: bool,
    keep_alive: bool,
    upgrade_option: bool,
    upgrade_field: bool,
}

/// Fills the field table and gathers the steering fields, in one pass over the lines.
fn read_fields(
    window: &[u8],
    end: usize,
    headers: &[Header<'_>],
    fields: &mut [FieldRange],
    steering: &mut Steering,
) -> Result<(), Reject> {
    // The parser takes LF for a line end; each must be preceded by CR (RFC 9112, 2.2). The CR
    // cannot be anything else, since it rejects a CR that no LF follows.
    let mut strict = ends_in_crlf(window, end) && ends_in_crlf(window, end - 2);
    for (header, field) in headers.iter().zip(fields) {
        let name = span(window, header.name.as_bytes());
        let value = span(window, header.value);
        *field = FieldRange { name, value };
        strict &= ends_in_crlf(window, usize::from(name.from));
        // Most fields are told apart by the length of their name.
        if matches!(header.name.len(), 4 | 6 | 7 | 10 | 14 | 17) {
            steering.read(header.name.as_bytes(), header.value, value)?;
        }
    }
    if strict { Ok(()) } else { Err(bad("a line that ends without CR")) }
}

impl Steering {
    // Out of the loop over the fields, which has registers enough for itself.
    #[inline(never)]
    fn read(&mut self, name: &[u8], value: &[u8], place: Span) -> Result<(), Reject> {
        // Every request has this one. In a token, only letters differ by this bit alone.
        if let Ok(four) = <[u8; 4]>::try_from(name) {
            if u32::from_ne_bytes(four) | 0x2020_2020 == u32::from_ne_bytes(*b"host") {
                self.second_host |= self.host.replace(place).is_some();
            }
            return Ok(());
        }
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name.len() {
            6 if is("expect") => {
                let known = value.eq_ignore_ascii_case(b"100-continue");
                let again = self.expect != Expect::Nothing;
                self.expect = if known && !again { Expect::Continue } else { Expect::Other };
            }
            7 if is("upgrade") => self.upgrade_field = true,
            10 if is("connection") => {
                for option in value.split(|b| *b == b',').map(trim) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                    self.upgrade_option |= option.eq_ignore_ascii_case(b"upgrade");
                }
            }
            14 if is("content-length") => {
                let again = self.length.replace(parse_length(value)?);
                return again.map_or(Ok(()), |_| Err(bad("more than one Content-Length")));
            }
            17 if is("transfer-encoding") => {
                for coding in value.split(|b| *b == b',').map(trim) {
                    self.coding = self.coding.then(coding)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether the body is chunked.
    fn coding(&self) -> Result<bool, Reject> {
        match self.coding {
            Coding::Absent => Ok(false),
            Coding::Chunked => Ok(true),
            Coding::Unknown => Err(bad("the final transfer coding is not chunked")),
            Coding::UnknownThenChunked => {
                Err(Reject { status: Status::NOT_IMPLEMENTED, reason: "unknown transfer coding" })
            }
        }
    }

    fn apply(&self, facts: &mut HeadFacts) {
        let modern = facts.version == Version::Http11;
        // RFC 9112, 9.3: `close` wins; HTTP/1.0 has to ask.
        facts.keep_alive = !self.close && (modern || self.keep_alive);
        facts.upgrade = modern && self.upgrade_option && self.upgrade_field;
    }
}

impl Coding {
    /// The list so far and one more coding. Nothing may follow `chunked` (RFC 9112, 6.1).
    fn then(self, coding: &[u8]) -> Result<Self, Reject> {
        let chunked = coding.eq_ignore_ascii_case(b"chunked");
        match self {
            _ if coding.is_empty() => Err(bad("an empty transfer coding")),
            Self::Absent if chunked => Ok(Self::Chunked),
            Self::Unknown if chunked => Ok(Self::UnknownThenChunked),
            Self::Absent | Self::Unknown => Ok(Self::Unknown),
            Self::Chunked | Self::UnknownThenChunked => Err(bad("a transfer coding after chunked")),
        }
    }
}

/// Digits only: no sign, no list, no overflow (RFC 9112, 6.3, rule 5).
fn parse_length(value: &[u8]) -> Result<u64, Reject> {
    let mut length = 0_u64;
    for byte in value {
        let digit = byte.wrapping_sub(b'0');
        let next = length.checked_mul(10).and_then(|tens| tens.checked_add(u64::from(digit)));
        match next {
            Some(next) if digit <= 9 => length = next,
            _ => return Err(bad("malformed Content-Length")),
        }
    }
    if value.is_empty() { Err(bad("malformed Content-Length")) } else { Ok(length) }
}

/// The four forms of a target (RFC 9112, 3.2), told apart by the method and the first byte.
#[inline]
fn read_target(target: &[u8], facts: &mut HeadFacts) -> Result<(), Reject> {
    let path_at = match target {
        [b'/', ..] if facts.method != Method::Connect => 0,
        _ => match read_rare_target(target, facts)? {
            Some(path_at) => path_at,
            None => return Ok(()),
        },
    };
    let base = facts.target.from;
    let rest = target.get(path_at..).unwrap_or_default();
    let query_at = path_at + path_len(rest);
    facts.path = Span { from: base + path_at as u16, to: base + query_at as u16 };
    match target.get(query_at..) {
        None | Some([]) => {}
        Some([b'?', query @ ..]) if is_target(query) => {
            facts.query = Some(Span { from: facts.path.to + 1, to: facts.target.to });
        }
        Some(_) => return Err(bad("a byte that no target may have")),
    }
    Ok(())
}

/// Any form but the origin form: where the path begins, `None` if there is no more to read.
#[cold]
fn read_rare_target(target: &[u8], facts: &mut HeadFacts) -> Result<Option<usize>, Reject> {
    let whole = facts.target;
    if facts.method == Method::Connect {
        facts.path = whole;
        facts.host = whole;
        let port = target.iter().rposition(|b| *b == b':').and_then(|at| target.get(at + 1..));
        let port_is_good = port.is_some_and(|p| !p.is_empty() && p.iter().all(u8::is_ascii_digit));
        let good = port_is_good && is_authority(target) && !target.starts_with(b":");
        return if good { Ok(None) } else { Err(bad("CONNECT without host:port")) };
    }
    if target == b"*" && facts.method == Method::Options {
        return Ok(Some(0));
    }
    let Some(host_at) = scheme_len(target) else { return Err(bad("malformed target")) };
    let rest = target.get(host_at..).unwrap_or_default();
    let len = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
    let host = rest.get(..len).unwrap_or_default();
    if host.is_empty() || host.starts_with(b":") || !is_authority(host) {
        return Err(bad("malformed target"));
    }
    let path_at = host_at + len;
    facts.host = Span { from: whole.from + host_at as u16, to: whole.from + path_at as u16 };
    Ok(Some(path_at))
}

/// Length of `http://` or `https://` at the start of a target in absolute form.
fn scheme_len(target: &[u8]) -> Option<usize> {
    ["http://", "https://"].iter().find_map(|scheme| {
        let start = target.get(..scheme.len())?;
        start.eq_ignore_ascii_case(scheme.as_bytes()).then_some(scheme.len())
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

/// The answer to what the parser refused. `version` begins where the version should.
#[cold]
fn syntax(error: Error, version: &[u8]) -> Reject {
    match error {
        Error::TooManyHeaders => Reject::FIELDS_TOO_LARGE,
        Error::HeaderName => bad("malformed field name"),
        Error::HeaderValue => bad("malformed field value"),
        Error::NewLine => bad("malformed line end"),
        Error::Status => bad("malformed status line"),
        Error::Token => bad("malformed request line"),
        Error::Version => {
            // The parser reports the first wrong byte, so whatever the split, no more than
            // `HTTP/` and a digit is there for certain.
            if matches!(version, [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', ..]) {
                Reject { status: Status::VERSION_NOT_SUPPORTED, reason: "unknown HTTP version" }
            } else {
                bad("malformed HTTP version")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::{Conn, Event};
    use super::*;
    use std::format;

    fn facts(input: &[u8], fields: &mut [FieldRange]) -> Result<HeadFacts, Reject> {
        match Conn::server().recv(input, false, fields, &Limits::DEFAULT)?.event {
            Some(Event::Head(facts)) => Ok(facts),
            other => panic!("{other:?}"),
        }
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
            ("GET httpS://b:8/p?q", "b:8", "/p", Some("q")),
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
            let expected = if good { Ok(count as u16) } else { Err(Reject::FIELDS_TOO_LARGE) };
            assert_eq!(seen, expected, "{count} in {room}");
            assert!(!good || fields[count - 1].value.len() == 1);
        }
    }
}
