//! A second reader, for the targets to compare with: slow, simple, written from the RFCs.
//!
//! It has the whole stream before it and splits it into lines; it stops at nothing, but gathers
//! every complaint about a head, of which the machine may name any. What it refuses beyond the
//! RFC's MUSTs is what the project has decided to refuse: bare LF (9112, 2.2), folded lines (5.2),
//! equal lengths given twice (6.3), a transfer coding beside a length or in HTTP/1.0 (6.1).

use std::collections::BTreeSet;

use dustdevil_http::proto::{BodyKind, Limits, Method};

use crate::machine::{Asked, FIELDS};
use crate::reading::{End, Facts, Field, Message, Reading};

/// Most empty lines before a request.
const BLANK_LINES_MAX: usize = 2;
/// Most interim responses before a final one.
const INTERIM_MAX: usize = 16;

/// The statuses with which a head may be refused, and the first reason.
#[derive(Default)]
struct Complaints(BTreeSet<u16>, &'static str);

impl Complaints {
    fn when(&mut self, bad: bool, status: u16, why: &'static str) {
        if bad {
            self.0.insert(status);
            self.1 = if self.1.is_empty() { why } else { self.1 };
        }
    }
}

/// Reads requests, each answered so that the connection goes on if the request lets it.
pub fn requests(stream: &[u8], limits: &Limits) -> Reading {
    let mut messages = Vec::new();
    let mut at = 0;
    let end = loop {
        for _ in 0..BLANK_LINES_MAX {
            at += if stream[at..].starts_with(b"\r\n") { 2 } else { 0 };
        }
        if at == stream.len() {
            break End::Clean;
        }
        let (mut message, length) = match request(&stream[at..], limits) {
            Ok(read) => read,
            Err(end) => break end,
        };
        at += length;
        let body = body(&stream[at..], message.facts.body, limits, &mut message);
        messages.push(message);
        let message = messages.last_mut().expect("just pushed");
        match body {
            Ok(length) => at += length,
            Err(end) => break end,
        }
        message.end = Some(at);
        if !message.facts.keep_alive {
            break End::Rest(at);
        }
    };
    Reading { messages, end }
}

/// Reads the responses to requests; the last of `asked` is asked again and again.
pub fn responses(stream: &[u8], limits: &Limits, asked: &[Asked]) -> Reading {
    let mut messages = Vec::new();
    let (mut at, mut finals, mut interims) = (0, 0, 0);
    let end = loop {
        if at == stream.len() {
            break End::Clean;
        }
        let asked = asked[finals.min(asked.len() - 1)];
        let (mut message, length) = match response(&stream[at..], limits, asked) {
            Ok(read) => read,
            Err(end) => break end,
        };
        at += length;
        let code = message.code();
        let switches = code == 101 && asked.upgrade && message.facts.upgrade;
        if code == 101 && !switches {
            break End::rejected(502, "a change of protocol that nobody asked for");
        }
        if code / 100 == 1 && !switches {
            interims += 1;
            if interims > INTERIM_MAX {
                break End::rejected(502, "too many interim responses");
            }
            message.end = Some(at);
            messages.push(message);
            continue;
        }
        (finals, interims) = (finals + 1, 0);
        if switches || (asked.method == Method::Connect && code / 100 == 2) {
            message.end = Some(at);
            messages.push(message);
            break End::Tunnel(at);
        }
        let body = body(&stream[at..], message.facts.body, limits, &mut message);
        messages.push(message);
        let message = messages.last_mut().expect("just pushed");
        match body {
            Ok(length) => at += length,
            Err(end) => break client(end),
        }
        message.end = Some(at);
        if !message.facts.keep_alive {
            break End::Rest(at);
        }
    };
    Reading { messages, end }
}

/// The same rejection for a client, which has one status for all.
fn client(end: End) -> End {
    match end {
        End::Rejected(_, why) => End::rejected(502, &why),
        other => other,
    }
}

/// The lines of a head without their CRLFs, and the head's length.
fn lines(stream: &[u8]) -> Option<(Vec<&[u8]>, usize)> {
    let length = find(stream, b"\r\n\r\n")? + 4;
    let (mut rest, mut lines) = (&stream[..length - 2], Vec::new());
    while let Some(at) = find(rest, b"\r\n") {
        lines.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    Some((lines, length))
}

/// What makes a head refused, but perhaps for what stands before it: the fields behind the last
/// that has room are not looked at, and those between bare LFs are.
fn vague(lines: &[&[u8]]) -> Option<&'static str> {
    if lines.len() - 1 > FIELDS {
        return Some("too many fields");
    }
    lines.iter().any(|line| line.contains(&b'\n')).then_some("a bare LF")
}

fn request(stream: &[u8], limits: &Limits) -> Result<(Message, usize), End> {
    let Some((lines, length)) = lines(stream) else {
        return Err(End::rejected(0, "a head without an end"));
    };
    if length > limits.head_bytes_max {
        return Err(End::rejected(0, "a head longer than its limit"));
    }
    if let Some(why) = vague(&lines) {
        return Err(End::rejected(0, why));
    }
    let mut bad = Complaints::default();
    let parts: Vec<&[u8]> = lines[0].split(|byte| *byte == b' ').collect();
    let [method, target, version] = parts[..] else {
        // Two parts: HTTP/0.9. More than three: what stands in the third's place may be a version.
        return Err(End::Rejected([400, 505].into(), "not three parts".to_owned()));
    };
    bad.when(!is_token(method), 400, "a method that is no token");
    bad.when(!target.iter().all(|b| b.is_ascii_graphic() && *b != b'#'), 400, "a bad target");
    let version = version_of(version, &mut bad);
    let modern = version == version_text(true);
    let fields = fields(&lines[1..], &mut bad);
    let (target_host, path, query) = target_parts(method, target, &mut bad);

    let hosts: Vec<&[u8]> = values(&fields, "host").collect();
    bad.when(hosts.len() > 1, 400, "more than one Host");
    bad.when(hosts.is_empty() && modern, 400, "no Host");
    bad.when(!hosts.iter().all(|host| is_authority(host)), 400, "a bad Host");
    let host = match target_host {
        Some(host) => host,
        None => hosts.first().copied().unwrap_or_default(),
    };
    let mut facts = facts(&fields, modern);
    facts.body = framing(&fields, modern, limits, &mut bad).unwrap_or(BodyKind::None);
    let has_body = !matches!(facts.body, BodyKind::None | BodyKind::Length(0));
    bad.when(method == b"CONNECT" && has_body, 400, "CONNECT with a body");
    let expectations: Vec<&[u8]> = values(&fields, "expect").flat_map(elements).collect();
    if modern && !expectations.is_empty() {
        let known = expectations.iter().all(|expectation| is(expectation, "100-continue"));
        bad.when(!known, 417, "an unknown expectation");
        facts.expect = has_body;
    }
    (facts.host, facts.path) = (host.to_vec(), path.to_vec());
    facts.query = query.map(<[u8]>::to_vec);
    let start = [method.to_vec(), target.to_vec(), version.to_vec()];
    judged(bad, Message { start, fields, facts, ..Message::default() }, length)
}

fn response(stream: &[u8], limits: &Limits, asked: Asked) -> Result<(Message, usize), End> {
    let Some((lines, length)) = lines(stream) else {
        return Err(End::rejected(502, "a head without an end"));
    };
    if length > limits.head_bytes_max {
        return Err(End::rejected(502, "a head longer than its limit"));
    }
    if let Some(why) = vague(&lines) {
        return Err(End::rejected(502, why));
    }
    let mut bad = Complaints::default();
    let mut parts = lines[0].splitn(3, |byte| *byte == b' ');
    let version = parts.next().unwrap_or_default();
    let code = parts.next().unwrap_or_default();
    let mut reason = parts.next().unwrap_or_default();
    let version = version_of(version, &mut bad);
    let is_code = code.len() == 3 && code.iter().all(u8::is_ascii_digit) && code[0] != b'0';
    bad.when(!is_code, 502, "a bad status");
    bad.when(!is_value(reason), 502, "a bad reason");
    // What is not ASCII has no known text (RFC 9112, 4).
    reason = if reason.is_ascii() { reason } else { b"" };
    let modern = version == version_text(true);
    let fields = fields(&lines[1..], &mut bad);
    let mut facts = facts(&fields, modern);
    let start = [version.to_vec(), code.to_vec(), reason.to_vec()];
    let mut message = Message { start, fields, ..Message::default() };
    // Bodies that are not there, whatever the fields say; the fields must make sense still.
    let ends_here = matches!(message.code(), 100..=199 | 204 | 304)
        || asked.method == Method::Head
        || (asked.method == Method::Connect && message.code() / 100 == 2);
    let mut framing_bad = Complaints::default();
    let body = framing(&message.fields, modern, limits, &mut framing_bad);
    if ends_here {
        lengths(&message.fields, &mut bad);
        codings(&message.fields, &mut bad);
    } else {
        bad.when(!framing_bad.0.is_empty(), 502, framing_bad.1);
        facts.body = body.unwrap_or(BodyKind::UntilClose);
        facts.keep_alive &= facts.body != BodyKind::UntilClose;
    }
    message.facts = facts;
    judged(bad, message, length).map_err(client)
}

fn judged(bad: Complaints, message: Message, length: usize) -> Result<(Message, usize), End> {
    if bad.0.is_empty() {
        return Ok((message, length));
    }
    Err(End::Rejected(bad.0, bad.1.to_owned()))
}

/// The version that a message is read as: a higher minor one is the highest known (RFC 9110, 2.5).
fn version_of(version: &[u8], bad: &mut Complaints) -> &'static [u8] {
    let is_digit = |at: usize| version.get(at).is_some_and(u8::is_ascii_digit);
    let is_one = version.starts_with(b"HTTP/") && is_digit(5) && version.get(6) == Some(&b'.');
    let is_one = is_one && is_digit(7);
    bad.when(is_one && version[5] != b'1', 505, "an unknown version");
    bad.when(!is_one || version.len() != 8 || version[5] != b'1', 400, "no version");
    if version == b"HTTP/1.0" { version_text(false) } else { version_text(true) }
}

const fn version_text(modern: bool) -> &'static [u8] {
    if modern { b"HTTP/1.1" } else { b"HTTP/1.0" }
}

/// The field lines, as far as they are some.
fn fields(lines: &[&[u8]], bad: &mut Complaints) -> Vec<Field> {
    let mut fields = Vec::new();
    for line in lines {
        match field_line(line) {
            Some(field) => fields.push(field),
            None => bad.when(true, 400, "a line that is no field"),
        }
    }
    fields
}

fn field_line(line: &[u8]) -> Option<Field> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    (is_token(name) && is_value(value)).then(|| (name.to_vec(), trim(value).to_vec()))
}

/// The host that a target names, its path and its query (RFC 9112, 3.2).
fn target_parts<'a>(
    method: &[u8],
    target: &'a [u8],
    bad: &mut Complaints,
) -> (Option<&'a [u8]>, &'a [u8], Option<&'a [u8]>) {
    if method == b"CONNECT" {
        // RFC 9112, 3.2.3: both the host and the port are said; RFC 9110, 9.3.6: a valid one.
        let port = host_and_port(target).and_then(|(host, port)| port.filter(|_| !host.is_empty()));
        bad.when(port.is_none_or(|port| port == 0), 400, "a bad authority");
        return (Some(target), target, None);
    }
    let lower = target.to_ascii_lowercase();
    let scheme = ["http://", "https://"].iter().find(|s| lower.starts_with(s.as_bytes()));
    let (host, rest) = match scheme {
        _ if target.starts_with(b"/") => (None, target),
        _ if target == b"*" && method == b"OPTIONS" => (None, target),
        Some(scheme) => {
            let rest = &target[scheme.len()..];
            let to = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
            let host = &rest[..to];
            bad.when(host.is_empty() || !is_authority(host), 400, "a bad host in the target");
            // RFC 9110, 7.4: there is no TLS here.
            bad.when(*scheme == "https://", 421, "a target of another scheme");
            (Some(host), &rest[to..])
        }
        None => {
            bad.when(true, 400, "a target of no form");
            (None, target)
        }
    };
    match rest.iter().position(|byte| *byte == b'?') {
        Some(at) => (host, &rest[..at], Some(&rest[at + 1..])),
        None => (host, rest, None),
    }
}

/// What the connection fields say (RFC 9112, 9.3; RFC 9110, 7.8).
fn facts(fields: &[Field], modern: bool) -> Facts {
    let options = || values(fields, "connection").flat_map(elements);
    let has = |name: &str| options().any(|option| is(option, name));
    Facts {
        keep_alive: !has("close") && (modern || has("keep-alive")),
        upgrade: modern && has("upgrade") && values(fields, "upgrade").next().is_some(),
        ..Facts::default()
    }
}

/// How the body ends, if the fields say so (RFC 9112, 6.3).
fn framing(
    fields: &[Field],
    modern: bool,
    limits: &Limits,
    bad: &mut Complaints,
) -> Option<BodyKind> {
    let length = lengths(fields, bad);
    let codings = codings(fields, bad);
    let Some((last, others)) = codings.split_last() else {
        let length = length?;
        bad.when(length > limits.body_bytes_max, 413, "a body longer than its limit");
        return Some(BodyKind::Length(length));
    };
    let is_chunked = is(last, "chunked");
    bad.when(!is_chunked, 400, "the last coding is not chunked");
    bad.when(is_chunked && !others.is_empty(), 501, "an unknown coding");
    bad.when(length.is_some(), 400, "a coding and a length");
    bad.when(!modern, 400, "a coding in HTTP/1.0");
    Some(BodyKind::Chunked)
}

/// The one length there may be.
fn lengths(fields: &[Field], bad: &mut Complaints) -> Option<u64> {
    let lengths: Vec<&[u8]> = values(fields, "content-length").collect();
    bad.when(lengths.len() > 1, 400, "more than one length");
    let text = lengths.first()?;
    let digits = lengths.iter().all(|text| text.iter().all(u8::is_ascii_digit));
    let number = |text| std::str::from_utf8(text).ok().and_then(|text| text.parse::<u64>().ok());
    bad.when(!digits || lengths.iter().any(|text| text.is_empty()), 400, "a bad length");
    let is_large = lengths.iter().any(|text| number(text).is_none());
    bad.when(is_large, 413, "a length that nobody takes");
    Some(number(text).unwrap_or(0))
}

/// All transfer codings, in order; nothing may follow `chunked`.
fn codings(fields: &[Field], bad: &mut Complaints) -> Vec<Vec<u8>> {
    let all = values(fields, "transfer-encoding").flat_map(elements);
    let all: Vec<Vec<u8>> = all.map(<[u8]>::to_vec).collect();
    let is_empty = |list: &[u8]| elements(list).next().is_none();
    bad.when(values(fields, "transfer-encoding").any(is_empty), 400, "no coding");
    let followed = all.iter().rev().skip(1).any(|coding| is(coding, "chunked"));
    bad.when(followed, 400, "a coding behind chunked");
    all
}

/// Reads a body into `message`; how long it is with all that frames it.
fn body(
    stream: &[u8],
    kind: BodyKind,
    limits: &Limits,
    message: &mut Message,
) -> Result<usize, End> {
    match kind {
        BodyKind::None => Ok(0),
        BodyKind::Length(length) => {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            message.body = stream[..length.min(stream.len())].to_vec();
            if length > stream.len() { Err(End::rejected(400, "a short body")) } else { Ok(length) }
        }
        BodyKind::Chunked => chunked(stream, limits, &mut message.body, &mut message.trailers),
        BodyKind::UntilClose => {
            let max = usize::try_from(limits.body_bytes_max).unwrap_or(usize::MAX);
            message.body = stream[..max.min(stream.len())].to_vec();
            let is_long = stream.len() > max;
            if is_long { Err(End::rejected(413, "a long body")) } else { Ok(stream.len()) }
        }
    }
}

/// A chunked body (RFC 9112, 7.1), and how long it is on the wire.
pub fn chunked(
    stream: &[u8],
    limits: &Limits,
    body: &mut Vec<u8>,
    trailers: &mut Vec<Field>,
) -> Result<usize, End> {
    let mut at = 0;
    loop {
        let line = line(&stream[at..]).ok_or_else(|| End::rejected(400, "an open chunk line"))?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let rest = &line[digits..];
        let is_line = digits > 0 && is_extension(rest);
        if !is_line || line.len() > usize::from(limits.chunk_line_bytes_max) {
            return Err(End::rejected(400, "a bad chunk line"));
        }
        let size = std::str::from_utf8(&line[..digits]).expect("hexadecimal digits");
        let Ok(size) = u64::from_str_radix(size, 16) else {
            return Err(End::rejected(400, "a chunk size that overflows"));
        };
        at += line.len() + 2;
        if size == 0 {
            return trailer_section(&stream[at..], limits, trailers).map(|length| at + length);
        }
        if size > limits.body_bytes_max.saturating_sub(body.len() as u64) {
            return Err(End::rejected(413, "a body longer than its limit"));
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX).min(usize::MAX / 2);
        body.extend(stream.get(at..stream.len().min(at + size)).unwrap_or_default());
        if stream.get(at + size..at + size + 2) != Some(b"\r\n") {
            return Err(End::rejected(400, "a chunk without its end"));
        }
        at += size + 2;
    }
}

/// `*( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] )` (RFC 9112, 7.1.1).
fn is_extension(mut rest: &[u8]) -> bool {
    let token_len = |text: &[u8]| text.iter().take_while(|byte| is_token(&[**byte])).count();
    while !rest.is_empty() {
        let Some(name) = trim_start(rest).strip_prefix(b";").map(trim_start) else { return false };
        if token_len(name) == 0 {
            return false;
        }
        rest = &name[token_len(name)..];
        let Some(value) = trim_start(rest).strip_prefix(b"=").map(trim_start) else { continue };
        let len = if value.starts_with(b"\"") { quoted_len(value) } else { token_len(value) };
        if len == 0 {
            return false;
        }
        rest = &value[len..];
    }
    true
}

/// Length of a quoted string with its quotes (RFC 9110, 5.6.4); 0: it is none.
fn quoted_len(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        at += match byte {
            b'"' => return at + 1,
            b'\\' if text.get(at + 1).is_some_and(|byte| is_value(&[*byte])) => 2,
            _ if *byte != b'\\' && is_value(&[*byte]) => 1,
            _ => return 0,
        };
    }
    0
}

fn trim_start(text: &[u8]) -> &[u8] {
    let from = text.iter().position(|byte| !b" \t".contains(byte)).unwrap_or(text.len());
    &text[from..]
}

fn trailer_section(
    stream: &[u8],
    limits: &Limits,
    trailers: &mut Vec<Field>,
) -> Result<usize, End> {
    let mut at = 0;
    let max = usize::from(limits.trailer_bytes_max);
    loop {
        let line = line(&stream[at..]);
        // Where it is too long the bytes behind its limit are not looked at.
        if line.map_or(stream.len() + 1, |line| at + line.len() + 2) > max {
            return Err(End::rejected(0, "a trailer section longer than its limit"));
        }
        let line = line.ok_or_else(|| End::rejected(400, "an open trailer"))?;
        at += line.len() + 2;
        if line.is_empty() {
            return Ok(at);
        }
        match field_line(line) {
            Some(field) => trailers.push(field),
            None => return Err(End::rejected(400, "a bad trailer")),
        }
    }
}

/// What stands before the first CRLF.
fn line(stream: &[u8]) -> Option<&[u8]> {
    find(stream, b"\r\n").map(|at| &stream[..at])
}

fn find(stream: &[u8], what: &[u8]) -> Option<usize> {
    stream.windows(what.len()).position(|window| window == what)
}

fn values<'a>(fields: &'a [Field], name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |own| is(&own.0, name)).map(|own| &own.1[..])
}

/// The elements of a list; empty ones are ignored (RFC 9110, 5.6.1.2).
fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',').map(trim).filter(|element| !element.is_empty())
}

fn is(text: &[u8], known: &str) -> bool {
    text.eq_ignore_ascii_case(known.as_bytes())
}

fn trim(text: &[u8]) -> &[u8] {
    let to = text.iter().rposition(|byte| !b" \t".contains(byte)).map_or(0, |at| at + 1);
    trim_start(&text[..to])
}

/// RFC 9110, 5.6.2.
fn is_token(text: &[u8]) -> bool {
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(good)
}

/// RFC 9110, 5.5.
fn is_value(text: &[u8]) -> bool {
    text.iter().all(|byte| *byte == b'\t' || *byte >= 0x80 || (b' '..=b'~').contains(byte))
}

/// `uri-host [ ":" port ]` (RFC 3986, 3.2.2), or nothing.
fn is_authority(text: &[u8]) -> bool {
    text.is_empty() || host_and_port(text).is_some_and(|(host, _)| !host.is_empty())
}

/// The host, and the port if digits say one. No comma, which joins two fields, and no IPvFuture.
fn host_and_port(text: &[u8]) -> Option<(&str, Option<u16>)> {
    let text = std::str::from_utf8(text).ok()?;
    let (host, behind) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, behind) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            (address, behind)
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match behind.strip_prefix(':') {
        None if !behind.is_empty() => return None,
        None | Some("") => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
        Some(_) => return None,
    };
    (text.starts_with('[') || is_name(host)).then_some((host, port))
}

/// `reg-name`.
fn is_name(mut text: &str) -> bool {
    while let Some(first) = text.bytes().next() {
        let is_escape = first == b'%'
            && text.len() > 2
            && text.bytes().skip(1).take(2).all(|byte| byte.is_ascii_hexdigit());
        if !is_escape && !first.is_ascii_alphanumeric() && !b"-._~!$&'()*+;=".contains(&first) {
            return false;
        }
        text = &text[if is_escape { 3 } else { 1 }..];
    }
    true
}
