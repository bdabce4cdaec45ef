//! First lines: the request line and the status line (RFC 9112, 3 and 4), and a plain `Host` that
//! follows the former.
//!
//! `httparse` is not asked: it takes any visible byte for a target and then looks for UTF-8 in it,
//! and all that would have to be looked at again. Here one pass tells a target's path, query and
//! end. Lines end in CRLF, parts are separated by a single space, and what the grammar leaves to
//! the lenient is refused.
//!
//! Invariant: a line that is cut off anywhere is incomplete or rejected for the same reason as
//! the whole line.

use super::authority::is_authority;
use super::event::{Refused, refused};
use super::field::{class, end_of, is_ignoring_case, name_end, path_end};
use super::head::Parsed;
use super::{HeadFacts, Method, Reject, Span, Status, Version};

/// Reads a request line at the start of `window`; the offset behind it, `None`: incomplete.
#[cfg_attr(not(target_os = "none"), inline(always))]
pub(super) fn request(window: &[u8], facts: &mut HeadFacts) -> Parsed {
    // Of all methods only this one is worth a shorter way to the same result.
    let method_to = if window.starts_with(b"GET ") {
        facts.method = Method::Get;
        3
    } else {
        let method_to = end_of(window, 0, class::TOKEN);
        facts.method = Method::from_bytes(window.get(..method_to).unwrap_or_default());
        method_to
    };
    match window.get(method_to) {
        Some(b' ') if method_to > 0 => {}
        None => return Ok(None),
        Some(_) => return Err(refused!("malformed request line")),
    }
    let target_at = method_to + 1;
    let path_to = path_end(window, target_at);
    let has_query = window.get(path_to) == Some(&b'?');
    let target_to = if has_query { end_of(window, path_to + 1, class::TARGET) } else { path_to };
    match window.get(target_to) {
        Some(b' ') if target_to > target_at => {}
        None => return Ok(None),
        Some(b'#' | 0x80..) => return Err(refused!("a byte that no target may have")),
        Some(_) => return Err(refused!("malformed request line")),
    }
    let version_at = target_to + 1;
    let rest = window.get(version_at..).unwrap_or_default();
    let end = if let Some([version @ .., b'\r', b'\n']) =
        rest.first_chunk::<{ VERSION_BYTES + 2 }>()
        && version == b"HTTP/1.1"
    {
        facts.version = Version::Http11;
        version_at + VERSION_BYTES + 2
    } else {
        let Some(version) = version(window, version_at)? else { return Ok(None) };
        facts.version = version;
        let end = line_end(window, version_at + VERSION_BYTES)?;
        let Some(end) = end else { return Ok(None) };
        end
    };

    facts.method_span = span(0, method_to);
    facts.target = span(target_at, target_to);
    let path_at = match window.get(target_at) {
        Some(b'/') if facts.method != Method::Connect => Some(target_at),
        _ => rare_target(window, facts)?,
    };
    let Some(path_at) = path_at else { return Ok(Some(end)) };
    facts.path = span(path_at, path_to);
    if has_query {
        facts.query = Some(span(path_to + 1, target_to));
    }
    Ok(Some(end))
}

/// Any form of a target but the origin form (RFC 9112, 3.2): where the path begins, `None` if
/// there is no more to read.
#[cold]
fn rare_target(window: &[u8], facts: &mut HeadFacts) -> Result<Option<usize>, Refused> {
    let whole = facts.target;
    let target = whole.slice(window);
    if facts.method == Method::Connect {
        facts.path = whole;
        facts.host = whole;
        // RFC 9110, 9.3.6: "A server MUST reject a CONNECT request that targets an empty or invalid
        // port number", and 0 is none. In an address without a port, a bracket follows.
        let port = target.rsplit(|b| *b == b':').next().unwrap_or_default();
        let is_number = port.len() < target.len() && port.iter().all(u8::is_ascii_digit);
        let good = is_number && port.iter().any(|b| *b != b'0') && is_authority(target);
        return if good { Ok(None) } else { Err(refused!("CONNECT without host:port")) };
    }
    if target == b"*" && facts.method == Method::Options {
        return Ok(Some(usize::from(whole.from)));
    }
    let Some(host_at) = scheme_len(target) else { return Err(refused!("malformed target")) };
    if host_at == HTTPS.len() {
        // RFC 9110, 7.4: "a request for an "https" resource MUST be rejected unless it has been
        // received over a connection that has been secured", which none is that this knows of.
        return Err(refused!(Status::MISDIRECTED_REQUEST, "an https target without TLS"));
    }
    let rest = target.get(host_at..).unwrap_or_default();
    let len = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
    let host = rest.get(..len).unwrap_or_default();
    // RFC 9110, 4.2.1 and 4.2.4: no empty host, and a user is an attempt to deceive.
    if host.is_empty() || !is_authority(host) {
        return Err(refused!("malformed target"));
    }
    let host_at = usize::from(whole.from) + host_at;
    facts.host = span(host_at, host_at + len);
    Ok(Some(host_at + len))
}

const HTTPS: &str = "https://";

/// Length of `http://` or `https://` at the start of a target in absolute form.
fn scheme_len(target: &[u8]) -> Option<usize> {
    ["http://", HTTPS].iter().find_map(|scheme| {
        let start = target.get(..scheme.len())?;
        is_ignoring_case(start, scheme).then_some(scheme.len())
    })
}

/// Reads the line `Host: name` or `Host: name:port` that begins at `at`: what it names, which is an
/// authority, and the offset behind it. RFC 9110, 7.2, has it sent first, so that nearly every head
/// is spared a call of the parser, or a part of it.
///
/// `None`: any other line. No such line is refused here, and none that the parser or
/// [`is_authority`] would refuse is taken: brackets, escapes, ports of five digits, other space
/// around the value are theirs.
#[cfg_attr(not(target_os = "none"), inline(always))]
pub(super) fn host(window: &[u8], at: usize) -> Option<(Span, usize)> {
    let rest = window.get(at..)?;
    let [name @ .., b':', b' '] = rest.first_chunk::<{ HOST_BYTES + 2 }>()? else { return None };
    // Of all bytes only letters become these by the bit 0x20.
    if u32::from_ne_bytes(*name) | 0x2020_2020 != u32::from_ne_bytes(*b"host") {
        return None;
    }
    let from = at + HOST_BYTES + 2;
    let mut to = name_end(window, from);
    if to == from {
        return None;
    }
    if let Some([b':', port @ ..]) = window.get(to..) {
        // What has four digits is less than 65,536.
        let digits = port.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
        to += 1 + digits;
    }
    let end = to + 2;
    if window.get(to..end) == Some(b"\r\n") { Some((span(from, to), end)) } else { None }
}

/// Bytes of the name `Host`.
pub(super) const HOST_BYTES: usize = 4;

/// Reads a status line at the start of `window`; the offset behind it, `None`: incomplete.
pub(super) fn status(window: &[u8], facts: &mut HeadFacts) -> Parsed {
    let Some(version) = version(window, 0)? else { return Ok(None) };
    facts.version = version;
    let code_at = VERSION_BYTES + 1;
    match window.get(VERSION_BYTES) {
        Some(b' ') => {}
        None => return Ok(None),
        Some(_) => return Err(refused!("malformed HTTP version")),
    }
    for byte in window.iter().skip(code_at).take(3) {
        if !byte.is_ascii_digit() {
            return Err(refused!("malformed status line"));
        }
        facts.status_code = facts.status_code * 10 + u16::from(byte - b'0');
    }
    let reason_at = code_at + 4;
    let reason_to = match window.get(code_at + 3) {
        Some(b' ') => end_of(window, reason_at, class::VALUE),
        Some(b'\r' | b'\n') => code_at + 3,
        None => return Ok(None),
        Some(_) => return Err(refused!("malformed status line")),
    };
    let Some(end) = line_end(window, reason_to)? else { return Ok(None) };
    if facts.status_code < 100 {
        return Err(refused!("malformed status"));
    }
    // RFC 9112, 4: a client should ignore the reason; what is not even ASCII has no known text.
    if window.get(reason_at..reason_to).is_some_and(<[u8]>::is_ascii) {
        facts.reason = span(reason_at, reason_to);
    }
    Ok(Some(end))
}

const VERSION_BYTES: usize = 8;

/// The version that begins at `at`; `None`: it is incomplete.
fn version(window: &[u8], at: usize) -> Result<Option<Version>, Refused> {
    let rest = window.get(at..).unwrap_or_default();
    match rest.first_chunk::<VERSION_BYTES>() {
        Some(b"HTTP/1.1") => Ok(Some(Version::Http11)),
        Some(b"HTTP/1.0") => Ok(Some(Version::Http10)),
        _ => other_version(rest),
    }
}

/// Malformed (400) as soon as a byte is wrong, unknown (505) once all eight are there: the same
/// answer whatever the split.
#[cold]
fn other_version(version: &[u8]) -> Result<Option<Version>, Refused> {
    let good = version.iter().zip(b"HTTP/d.d").all(|(byte, form)| match form {
        b'd' => byte.is_ascii_digit(),
        _ => byte == form,
    });
    match version {
        _ if !good => Err(refused!("malformed HTTP version")),
        // RFC 9110, 2.5: a recipient of a higher minor version "SHOULD process the message as if it
        // was in the highest minor version within that major version to which the recipient is
        // conformant".
        [_, _, _, _, _, b'1', _, _, ..] => Ok(Some(Version::Http11)),
        [_, _, _, _, _, _, _, _, ..] => {
            Err(refused!(Status::VERSION_NOT_SUPPORTED, "unknown HTTP version"))
        }
        _ => Ok(None),
    }
}

/// The offset behind the line end at `at`; `None`: it is incomplete. RFC 9112, 2.2, lets a
/// recipient take a bare LF for one; this one does not.
fn line_end(window: &[u8], at: usize) -> Parsed {
    match window.get(at..).unwrap_or_default() {
        [b'\r', b'\n', ..] => Ok(Some(at + 2)),
        [] | [b'\r'] => Ok(None),
        [b'\n', ..] => Err(Reject::NO_CR),
        _ => Err(refused!("malformed line end")),
    }
}

/// A range of a window, which has at most 65,535 bytes.
#[inline]
pub(super) const fn span(from: usize, to: usize) -> Span {
    Span { from: from as u16, to: to as u16 }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::field::is_token;
    use super::*;
    use std::format;

    /// What each prefix of a line is: incomplete, and then what the whole line is.
    fn read(line: &[u8], parse: fn(&[u8], &mut HeadFacts) -> Parsed) -> (Parsed, HeadFacts) {
        let mut seen = (Ok(None), HeadFacts::default());
        for len in 0..=line.len() {
            assert_eq!(seen.0, Ok(None), "{len} of {}", line.escape_ascii());
            seen.1 = HeadFacts::default();
            seen.0 = parse(&line[..len], &mut seen.1);
            if seen.0.is_err() {
                let whole = parse(line, &mut HeadFacts::default());
                assert_eq!(seen.0, whole, "{len} of {}", line.escape_ascii());
                break;
            }
        }
        seen
    }

    #[test]
    fn a_request_line_is_read_when_it_is_whole() {
        for (method, name) in [(Method::Get, "GET"), (Method::Put, "PUT"), (Method::Other, "GETS")]
        {
            let line = format!("{name} /p?q HTTP/1.1\r\n");
            let (parsed, facts) = read(line.as_bytes(), request);
            assert_eq!((parsed, facts.method), (Ok(Some(line.len())), method));
            let text = |span: Span| core::str::from_utf8(span.slice(line.as_bytes())).unwrap();
            assert_eq!((text(facts.method_span), text(facts.target)), (name, "/p?q"));
            assert_eq!((text(facts.path), facts.query.map(text)), ("/p", Some("q")));
        }
        for (line, version) in [
            (b"GET / HTTP/1.0\r\n", Version::Http10),
            (b"GET / HTTP/1.2\r\n", Version::Http11),
            (b"GET / HTTP/1.9\r\n", Version::Http11),
        ] {
            let (parsed, facts) = read(line, request);
            assert_eq!((parsed, facts.version), (Ok(Some(16)), version));
        }
    }

    #[test]
    fn a_byte_that_may_not_stand_in_its_place_is_noticed_there() {
        let line = *b"GET /p?q HTTP/1.1\r\n";
        for at in 0..line.len() {
            for byte in (0..=255_u8).filter(|byte| *byte != line[at]) {
                let mut changed = line;
                changed[at] = byte;
                let good = match at {
                    0..=2 => is_token(&[byte]),
                    5..=7 => byte.is_ascii_graphic() && byte != b'#',
                    16 => byte.is_ascii_digit(),
                    _ => false,
                };
                let (parsed, _) = read(&changed, request);
                assert_eq!(parsed.is_ok(), good, "{}", changed.escape_ascii());
            }
        }
    }

    /// Sixteen bytes are looked at together: the same at each distance from the start.
    #[test]
    fn a_path_ends_at_the_same_byte_however_long_it_is() {
        for len in 0..40 {
            for byte in 0..=255_u8 {
                let (path, behind) = ([b'p'; 40], [b'q'; 20]);
                let input = [b"/", &path[..len], &[byte], &behind[..20 - len / 2]].concat();
                let good = byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#');
                let end = if good { input.len() } else { len + 1 };
                assert_eq!(path_end(&input, 0), end, "{}", input.escape_ascii());
                let good = is_authority(&[b'a', byte, b'a']);
                let end = if good { input.len() - 1 } else { len };
                assert_eq!(name_end(&input[1..], 0), end, "{}", input.escape_ascii());
            }
        }
    }

    #[test]
    fn a_status_line_may_lack_its_reason() {
        for (line, code, reason) in [
            (&b"HTTP/1.1 200 OK\r\n"[..], 200, &b"OK"[..]),
            (b"HTTP/1.0 404 Not Found\r\n", 404, b"Not Found"),
            (b"HTTP/1.1 999 \r\n", 999, b""),
            (b"HTTP/1.1 100\r\n", 100, b""),
            (b"HTTP/1.1 200 \xff\r\n", 200, b""),
        ] {
            let (parsed, facts) = read(line, status);
            assert_eq!((parsed, facts.status_code), (Ok(Some(line.len())), code));
            assert_eq!(facts.reason.slice(line), reason);
        }
        for line in [
            &b"HTTP/1.1  200 OK\r\n"[..],
            b"HTTP/1.1 20 OK\r\n",
            b"HTTP/1.1 2000\r\n",
            b"HTTP/1.1 200 a\0\r\n",
            b"HTTP/1.1 200 a\n",
            b"HTTP/1.1 200\n",
            b"HTTP/1.1 200\rX",
            b"HTTP/1.1\r\n",
            b"HTTP/2 200\r\n",
        ] {
            assert!(read(line, status).0.is_err(), "{}", line.escape_ascii());
        }
    }
}
