//! What must hold for any bytes in any split, as one function that a fuzz target and the tests
//! call: no panic, nothing consumed that was not there, every call makes progress or asks for
//! bytes, all splits give the same events, and what is written reads back as it was meant.

use super::{
    BodyOut, Conn, Event, FieldRange, Head, HeadFacts, HeadOut, Limits, MediaType, Method, Reject,
    Role, SendError, Status,
};

/// What a run saw, in a form that does not depend on splits: body bytes are passed on in pieces,
/// which a listener joins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seen<'a> {
    /// A final or an interim head, the bytes its spans point into, and its fields.
    Head(&'a HeadFacts, &'a [u8], &'a [FieldRange]),
    Body(&'a [u8]),
    Trailer(&'a [u8], &'a [u8]),
    End,
    Upgraded,
    Closed,
    Reject(Reject),
    /// Bytes behind the last message, which nobody may read here.
    Rest(&'a [u8]),
}

/// Who receives, and after what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Server,
    /// A client that sent this method in each cycle; `true`: and offered an upgrade.
    Client(Method, bool),
}

impl Side {
    /// Sends this side's message; a server answers without body, so that the next can follow.
    fn send<R: Role>(self, conn: &mut Conn<R>) {
        let mut out = [0; 128];
        let sent = match self {
            Self::Server => conn.send_head(&mut out, &HeadOut::response(Status::OK)),
            Self::Client(method, upgrade) => {
                let head = HeadOut {
                    fields: &[("Host", b"a")],
                    upgrade: upgrade.then_some("other"),
                    ..HeadOut::request(method.as_str(), "/")
                };
                conn.send_head(&mut out, &head)
            }
        };
        assert!(sent.is_ok_and(|len| len > 0), "{sent:?}");
    }
}

/// Feeds `data` to a new connection. `arrive` says how many more bytes come each time that the
/// machine asks for some; the peer's FIN comes with the last, or `fin_late`, alone behind it.
pub(super) fn feed(
    side: Side,
    data: &[u8],
    fields: &mut [FieldRange],
    limits: &Limits,
    fin_late: bool,
    arrive: impl FnMut() -> usize,
    on: impl FnMut(Seen<'_>),
) {
    let head = Head::new(fields);
    match side {
        Side::Server => feed_to(Conn::server(), side, data, head, limits, fin_late, arrive, on),
        Side::Client(..) => feed_to(Conn::client(), side, data, head, limits, fin_late, arrive, on),
    }
}

#[expect(clippy::too_many_arguments, reason = "those of `feed`, and the machine")]
fn feed_to<R: Role>(
    mut conn: Conn<R>,
    side: Side,
    data: &[u8],
    mut head: Head<'_>,
    limits: &Limits,
    fin_late: bool,
    mut arrive: impl FnMut() -> usize,
    mut on: impl FnMut(Seen<'_>),
) {
    if side != Side::Server {
        side.send(&mut conn);
    }
    let (mut from, mut to, mut eof, mut idle_steps) = (0, 0, false, 0);
    loop {
        let input = &data[from..to];
        let step = match conn.recv(input, eof, &mut head, limits) {
            Ok(step) => step,
            Err(reject) => {
                assert!(conn.must_close() && conn.recv_done());
                let again = conn.recv(input, eof, &mut head, limits).map(|step| step.event);
                assert_eq!(again, Ok(Some(Event::Closed)));
                return on(Seen::Reject(reject));
            }
        };
        assert!(step.consumed <= input.len());
        idle_steps = if step.consumed > 0 { 0 } else { idle_steps + 1 };
        assert!(idle_steps < 8, "no progress: {step:?} {conn:?}");
        match &step.event {
            Some(Event::Head | Event::Interim) => {
                let Head { facts, fields } = &head;
                on(Seen::Head(facts, &input[..step.consumed], &fields[..facts.fields.into()]));
            }
            Some(Event::Body(range)) => {
                assert!(!range.is_empty() && range.end == step.consumed);
                on(Seen::Body(&input[range.clone()]));
            }
            Some(Event::Trailer(field)) => {
                on(Seen::Trailer(field.name.slice(input), field.value.slice(input)));
            }
            Some(Event::End) => on(Seen::End),
            Some(Event::Upgraded) => on(Seen::Upgraded),
            Some(Event::Closed) => return on(Seen::Closed),
            None if step.consumed > 0 => {}
            None if conn.recv_done() => {
                if side == Side::Server && !conn.send_started() {
                    side.send(&mut conn);
                    // A tunnel tells first that it has become one.
                    if conn.is_upgraded() {
                        continue;
                    }
                }
                if conn.next_cycle().is_err() {
                    return on(Seen::Rest(&data[from..]));
                }
                if side != Side::Server {
                    side.send(&mut conn);
                }
            }
            None if eof => panic!("undecided at the end of the input: {conn:?}"),
            None => {
                idle_steps = 0;
                let came = to;
                to = data.len().min(to.saturating_add(arrive()));
                eof = if fin_late { came == data.len() } else { to == data.len() };
            }
        }
        from += step.consumed;
    }
}

/// FNV-1a over what a run saw: equal runs have equal sums.
struct Digest(u64);

impl Digest {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn add_number(&mut self, number: u64) {
        self.add(&number.to_le_bytes());
    }

    fn see(&mut self, seen: Seen<'_>) {
        match seen {
            Seen::Head(facts, bytes, fields) => {
                self.add(b"\xf0head");
                self.add(bytes);
                self.add_number(u64::from(facts.status_code) << 8 | facts.method as u64);
                self.add(facts.path.slice(bytes));
                self.add(facts.query.unwrap_or_default().slice(bytes));
                self.add(facts.host.slice(bytes));
                for field in fields {
                    self.add(field.name.slice(bytes));
                    self.add(field.value.slice(bytes));
                }
            }
            // Untagged, so that the pieces of a body join.
            Seen::Body(bytes) => self.add(bytes),
            Seen::Trailer(name, value) => {
                self.add(b"\xf1trailer");
                self.add(name);
                self.add(b":");
                self.add(value);
            }
            Seen::End => self.add(b"\xf2end"),
            Seen::Upgraded => self.add(b"\xf3upgraded"),
            Seen::Closed => self.add(b"\xf4closed"),
            Seen::Reject(reject) => {
                self.add(b"\xf5reject");
                self.add_number(reject.status.code().into());
                self.add(reject.reason.as_bytes());
            }
            Seen::Rest(bytes) => {
                self.add(b"\xf6rest");
                self.add(bytes);
            }
        }
    }
}

/// A small generator of pseudo-random numbers (xorshift).
pub(super) struct Random(pub(super) u64);

impl Random {
    /// A number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}

fn digest(
    side: Side,
    data: &[u8],
    table: usize,
    limits: &Limits,
    fin_late: bool,
    arrive: impl FnMut() -> usize,
) -> u64 {
    let mut fields = [FieldRange::default(); 32];
    let mut digest = Digest(0xcbf2_9ce4_8422_2325);
    feed(side, data, &mut fields[..table], limits, fin_late, arrive, |seen| digest.see(seen));
    digest.0
}

/// The sides that a message is fed to.
pub(super) const SIDES: [Side; 6] = [
    Side::Server,
    Side::Client(Method::Get, false),
    Side::Client(Method::Head, false),
    Side::Client(Method::Connect, false),
    Side::Client(Method::Get, true),
    Side::Client(Method::Post, false),
];

/// Feeds any bytes to both roles, whole, byte by byte and in pieces, and writes heads from them.
/// The first eight bytes choose side, limits and pieces; the rest is what arrives.
///
/// # Panics
/// When a property of this module does not hold; that is its purpose.
pub fn exercise(data: &[u8]) {
    let Some((choice, data)) = data.split_first_chunk::<8>() else { return };
    let [side, table, limit, ..] = *choice;
    let side = SIDES[usize::from(side) % SIDES.len()];
    let table = usize::from(table) % 33;
    let mut limits = Limits::DEFAULT;
    if limit & 1 != 0 {
        limits.head_bytes_max = 32 + usize::from(limit);
    }
    if limit & 2 != 0 {
        limits.body_bytes_max = u64::from(limit);
    }
    if limit & 4 != 0 {
        limits.chunk_line_bytes_max = limit >> 3;
        limits.trailer_bytes_max = u16::from(limit);
    }
    let whole = digest(side, data, table, &limits, false, || usize::MAX);
    let late = digest(side, data, table, &limits, true, || usize::MAX);
    assert_eq!(whole, late, "a late FIN differs from one with the last byte");
    let single = digest(side, data, table, &limits, false, || 1);
    assert_eq!(whole, single, "one byte at a time differs from all at once");
    let mut random = Random(u64::from_le_bytes(*choice) | 1);
    let pieces = digest(side, data, table, &limits, true, || 1 + random.below(40));
    assert_eq!(whole, pieces, "pieces differ from all at once");
    write_and_read_back(data);
    let body = if choice[1] & 32 == 0 { BodyOut::Unknown } else { BodyOut::Chunked };
    write_body_and_read_back(body, data.get(..4096).unwrap_or(data), &mut random);
}

/// A body of no known length that is written in any pieces, through a buffer of any size and with a
/// flush wherever there may be one, is read back whole.
fn write_body_and_read_back(body: BodyOut, data: &[u8], random: &mut Random) {
    let (mut writer, mut reader) = (Conn::server(), Conn::client());
    let mut fields = [FieldRange::default(); 4];
    let mut head = Head::new(&mut fields);
    Side::Client(Method::Get, false).send(&mut reader);
    let old = random.below(4) == 0;
    let request = if old { "GET / HTTP/1.0\r\n\r\n" } else { "GET / HTTP/1.1\r\nHost:\r\n\r\n" };
    let asked = writer.recv(request.as_bytes(), false, &mut head, &Limits::DEFAULT);
    assert!(asked.is_ok_and(|step| step.event == Some(Event::Head)));
    let mut buffer = [0; 512];
    let room = 80 + random.below(buffer.len() - 80);
    let out = &mut buffer[..room];
    let mut used =
        writer.send_head(out, &HeadOut { body, ..HeadOut::response(Status::OK) }).unwrap();
    let (mut rest, mut unread) = (data, data);
    loop {
        let piece = rest.get(..1 + random.below(300)).unwrap_or(rest);
        let (taken, written) = writer.send_body(piece, &mut out[used..]);
        (used, rest) = (used + written, &rest[taken..]);
        let ended = if rest.is_empty() { writer.finish_with(out, used, &[]) } else { Ok(used) };
        used = ended.unwrap_or(used);
        if !writer.send_done() && taken > 0 && random.below(8) > 0 {
            continue;
        }
        used = writer.seal(out, used);
        let mut from = 0;
        loop {
            let eof = writer.send_done() && writer.must_close();
            let step = reader.recv(&out[from..used], eof, &mut head, &Limits::DEFAULT).unwrap();
            match &step.event {
                Some(Event::Body(range)) => {
                    let (read, left) = unread.split_at(range.len());
                    assert_eq!(&out[from..][range.clone()], read);
                    unread = left;
                }
                Some(Event::Closed) => break,
                None if step.consumed == 0 => break,
                _ => {}
            }
            from += step.consumed;
        }
        assert_eq!(from, used);
        used = 0;
        if writer.send_done() {
            break assert!(reader.recv_done() && unread.is_empty(), "{} unread", unread.len());
        }
    }
}

/// A head made of any text is either refused or read back with exactly the fields it was given.
fn write_and_read_back(data: &[u8]) {
    let mut parts = data.split(|b| *b == b'|');
    let mut text = || core::str::from_utf8(parts.next().unwrap_or_default()).unwrap_or_default();
    let (name, value, content_type, target) = (text(), text(), text(), text());
    let fields = [("Host", &b"a"[..]), (name, value.as_bytes())];
    let head = HeadOut {
        content_type: MediaType::parse(content_type),
        body: BodyOut::Length(7),
        fields: &fields,
        ..HeadOut::response(Status::NOT_FOUND)
    };
    let mut reader = Conn::client();
    Side::Client(Method::Get, false).send(&mut reader);
    // What a server may write, any client takes.
    assert!(is_read_back(Conn::server(), reader, &head, &fields[1]));
    let head = HeadOut { start: HeadOut::request("PUT", target).start, ..head };
    // Well-formed, but its meaning is the peer's business: a target, an expectation.
    let _ = is_read_back(Conn::client(), Conn::server(), &head, &fields[1]);
}

/// Whether the other side takes what may be written; then `last` is the last field that it reads.
fn is_read_back<W: Role, R: Role>(
    mut writer: Conn<W>,
    mut reader: Conn<R>,
    head: &HeadOut<'_>,
    last: &(&str, &[u8]),
) -> bool {
    let mut out = [0; 512];
    let len = match writer.send_head(&mut out, head) {
        Ok(len) => len,
        Err(error) => {
            assert!(matches!(error, SendError::Field | SendError::Full), "{error:?}");
            return true;
        }
    };
    let input = &out[..len];
    let mut fields = [FieldRange::default(); 16];
    let mut read = Head::new(&mut fields);
    let Ok(step) = reader.recv(input, false, &mut read, &Limits::DEFAULT) else { return false };
    // The length, the type if it may be said, the host and the field.
    let count = 3 + u16::from(head.content_type.is_some());
    assert_eq!((step.consumed, step.event), (len, Some(Event::Head)));
    assert_eq!(read.facts.fields, count);
    let field = read.fields[usize::from(count) - 1];
    assert_eq!(field.name.slice(input), last.0.as_bytes());
    assert_eq!(field.value.slice(input), last.1.trim_ascii());
    true
}

#[cfg(test)]
pub(super) mod tests {
    extern crate std;
    use super::super::corpus::{ACCEPTED, BROKEN_OFF, REJECTED};
    use super::*;
    use core::fmt::Write;
    use std::format;
    use std::string::{String, ToString};
    use std::vec;
    use std::vec::Vec;

    fn text(bytes: &[u8]) -> String {
        bytes.escape_ascii().to_string()
    }

    /// One word or line per event; the pieces of a body joined.
    pub(in crate::proto) fn trace(
        side: Side,
        data: &[u8],
        limits: &Limits,
        fin_late: bool,
        arrive: impl FnMut() -> usize,
    ) -> Vec<String> {
        let mut lines: Vec<String> = vec![];
        let mut in_body = false;
        let mut fields = [FieldRange::default(); 16];
        feed(side, data, &mut fields, limits, fin_late, arrive, |seen| {
            let more_body = matches!(seen, Seen::Body(_)) && in_body;
            in_body = matches!(seen, Seen::Body(_));
            match seen {
                Seen::Head(facts, bytes, fields) => {
                    let mut line = match facts.status_code {
                        0 => format!(
                            "{} {}",
                            text(facts.method_span.slice(bytes)),
                            text(facts.target.slice(bytes))
                        ),
                        code => format!("{code} {}", text(facts.reason.slice(bytes))),
                    };
                    write!(line, " {:?}", facts.body).unwrap();
                    for (flag, name) in [
                        (!facts.keep_alive, " close"),
                        (facts.expect_continue, " expect"),
                        (facts.upgrade, " upgrade"),
                    ] {
                        line.push_str(if flag { name } else { "" });
                    }
                    for field in fields {
                        let (name, value) = (field.name.slice(bytes), field.value.slice(bytes));
                        write!(line, " | {}={}", text(name), text(value)).unwrap();
                    }
                    lines.push(line);
                }
                Seen::Body(bytes) if more_body => lines.last_mut().unwrap().push_str(&text(bytes)),
                Seen::Body(bytes) => lines.push(format!("body {}", text(bytes))),
                Seen::Trailer(name, value) => {
                    lines.push(format!("trailer {}={}", text(name), text(value)));
                }
                Seen::End => lines.push("end".into()),
                Seen::Upgraded => lines.push("upgraded".into()),
                Seen::Closed => lines.push("closed".into()),
                Seen::Reject(reject) => {
                    lines.push(format!("{} {}", reject.status.code(), reject.reason));
                }
                Seen::Rest(bytes) => lines.push(format!("rest {}", text(bytes))),
            }
        });
        lines
    }

    pub(in crate::proto) fn whole(side: Side, data: &[u8]) -> Vec<String> {
        trace(side, data, &Limits::DEFAULT, false, || usize::MAX)
    }

    /// Every way in which the bytes may come: whole, in two at any place, singly; FIN late or not.
    fn assert_every_split(side: Side, data: &[u8], expected: &[String]) {
        let seen = |fin_late, arrive: &mut dyn FnMut() -> usize| {
            trace(side, data, &Limits::DEFAULT, fin_late, arrive)
        };
        for late in [false, true] {
            assert_eq!(seen(late, &mut || usize::MAX), expected, "whole: {}", text(data));
            assert_eq!(seen(late, &mut || 1), expected, "singly: {}", text(data));
            for at in 1..data.len() {
                let mut next = at;
                let two = seen(late, &mut || core::mem::replace(&mut next, usize::MAX));
                assert_eq!(two, expected, "split at {at}: {}", text(data));
            }
        }
    }

    #[test]
    fn accepted_messages_are_seen_alike_in_every_split() {
        for (side, data, expected) in ACCEPTED.concat().iter().chain(BROKEN_OFF) {
            let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
            assert_every_split(*side, data, &expected);
        }
    }

    #[test]
    fn rejected_messages_are_rejected_alike_in_every_split() {
        for (side, data, expected) in &REJECTED.concat() {
            // A body that is rejected follows a head that was accepted.
            let mut seen = whole(*side, data);
            let reject = seen.pop().unwrap();
            assert_eq!(reject, *expected, "{}", text(data));
            assert!(seen.iter().all(|line| line.ends_with("chunked")), "{seen:?}");
            seen.push(reject);
            assert_every_split(*side, data, &seen);
        }
    }

    #[test]
    fn mutated_corpus_keeps_every_property() {
        let mut random = Random(0x5eed);
        let messages: Vec<(Side, &[u8])> = ACCEPTED
            .concat()
            .iter()
            .chain(BROKEN_OFF)
            .map(|case| (case.0, case.1))
            .chain(REJECTED.concat().iter().map(|case| (case.0, case.1)))
            .collect();
        for _ in 0..20_000 {
            let mut data: Vec<u8> = (0..8).map(|_| random.below(256) as u8).collect();
            let (side, message) = messages[random.below(messages.len())];
            if random.below(8) > 0 {
                // Mostly the side it was written for, with ample limits.
                let index = SIDES.iter().position(|known| *known == side).unwrap();
                data[..3].copy_from_slice(&[index as u8, 32, 0]);
            }
            data.extend(message);
            if random.below(2) == 0 {
                data.extend(messages[random.below(messages.len())].1);
            }
            for _ in 0..random.below(4) {
                let at = random.below(data.len());
                match random.below(4) {
                    0 => data[at] = random.below(256) as u8,
                    1 => data.insert(at, b"\r\n :;,0a"[random.below(8)]),
                    2 => drop(data.remove(at)),
                    _ => data.truncate(at.max(8)),
                }
            }
            let failed = std::panic::catch_unwind(|| exercise(&data)).is_err();
            assert!(!failed, "{} : {}", text(&data[..8]), text(&data[8..]));
        }
    }
}
