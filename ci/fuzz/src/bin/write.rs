//! Writes messages with any arguments: each is refused, or read back as it was meant, by the other
//! role of the machine and by the oracle. A server's answer to what was asked, a client's request;
//! with a length, chunked, undecided until its end, or without a body; into places of any size.

#![no_main]

use dustdevil_http::proto::{
    BodyOut, Conn, FieldRange, Head, HeadOut, Limits, MediaType, Method, Prefix, Role, SendError,
    Status,
};
use fuzz::input::{Arguments, Pieces};
use fuzz::machine::{Asked, Feed};
use fuzz::reading::{End, Field, Message, Reading};
use fuzz::{machine, oracle, seeds};
use libfuzzer_sys::fuzz_target;

const METHODS: [Method; 4] = [Method::Get, Method::Head, Method::Connect, Method::Post];
/// More than any head, body and trailer section of one input.
const ROOM: usize = 8192;

fuzz_target!(init: seeds::write(seeds), |data: &[u8]| {
    let mut arguments = Arguments(data);
    if arguments.byte() & 1 == 0 { answer(&mut arguments) } else { ask(&mut arguments) }
});

/// An answer and a request with all that there is.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for kind in 0..5 {
        for asked in 0..8 {
            let parts: &[&[u8]] = &[
                &[0, asked, 0, 1, 200, 1, 3],
                b"Yes",
                &[kind, 1, 4, b't', b'e', b's', b't', 1, 10],
                b"text/plain",
                &[0, 2, 1, b'X', 1, b'y', 3, b'A', b'-', b'B', 0, 200, 5],
                b"hello",
                &[0, 1, 0, 5],
                b"world",
                &[0, 0, 1, 1, b'T', 1, b'v', 0, 0],
            ];
            seeds.push(parts.concat());
            seeds.push([&[1][..], &parts.concat()[1..]].concat());
        }
    }
    seeds
}

/// What a head is made of.
struct Parts<'a> {
    reason: Option<&'a str>,
    body: BodyOut,
    server: Option<&'a str>,
    content_type: Option<&'a str>,
    upgrade: Option<&'a str>,
    fields: Vec<(&'a str, &'a [u8])>,
    prefix: Option<Prefix>,
}

impl<'a> Parts<'a> {
    fn new(arguments: &mut Arguments<'a>, first: Option<(&'a str, &'a [u8])>) -> Self {
        let reason = arguments.maybe_text();
        let body = match arguments.below(5) {
            0 => BodyOut::None,
            1 => BodyOut::Length(arguments.byte().into()),
            2 => BodyOut::Length(u64::MAX >> (arguments.byte() % 64)),
            3 => BodyOut::Chunked,
            _ => BodyOut::Unknown,
        };
        let server = arguments.maybe_text();
        let content_type = arguments.maybe_text();
        let upgrade = arguments.maybe_text();
        let mut fields: Vec<_> = first.into_iter().collect();
        for _ in 0..arguments.below(5) {
            fields.push((arguments.text(), arguments.bytes()));
        }
        let prefix = (arguments.byte() & 3 == 3).then(|| {
            let mut prefix = Prefix::new();
            let rendered = prefix.render(server.unwrap_or_default(), None);
            assert!(matches!(rendered, Ok(()) | Err(SendError::Field | SendError::Full)));
            prefix
        });
        Self { reason, body, server, content_type, upgrade, fields, prefix }
    }

    fn head(&self, start: HeadOut<'a>) -> HeadOut<'_> {
        HeadOut {
            body: self.body,
            prefix: self.prefix.as_ref(),
            server: self.server,
            content_type: self.content_type.and_then(MediaType::parse),
            upgrade: self.upgrade,
            fields: &self.fields,
            ..start
        }
    }
}

/// What was written, and how far it came.
struct Sent {
    bytes: Vec<u8>,
    /// Body bytes that were taken.
    body: Vec<u8>,
    /// Trailers that were taken.
    trailers: Vec<Field>,
    is_whole: bool,
}

/// Sends a message piece by piece, and each time perhaps hands out what is there.
fn send<R: Role>(
    conn: &mut Conn<R>,
    head: &HeadOut<'_>,
    arguments: &mut Arguments<'_>,
) -> Option<Sent> {
    let mut out = vec![0; ROOM];
    // Too little room changes nothing.
    let small = usize::from(arguments.byte());
    let mut used = match conn.send_head(&mut out[..small], head) {
        Err(SendError::Full) => {
            assert!(!conn.send_started());
            conn.send_head(&mut out, head)
        }
        other => other,
    }
    .inspect_err(|error| assert!(*error != SendError::Full && *error != SendError::Short))
    .ok()?;
    assert!(used <= out.len());
    let mut sent = Sent { bytes: vec![], body: vec![], trailers: vec![], is_whole: false };
    for _ in 0..arguments.below(6) {
        let (data, room) = (arguments.bytes(), usize::from(arguments.byte()));
        let room = if room == 0 { ROOM } else { used + room };
        let room = room.min(out.len());
        let (taken, written) = conn.send_body(data, &mut out[used..room]);
        assert!(taken <= data.len() && written <= room - used);
        used += written;
        sent.body.extend(&data[..taken]);
        if arguments.byte() & 3 == 3 {
            used = conn.seal(&mut out, used);
            sent.bytes.extend(&out[..used]);
            used = 0;
        }
    }
    let trailers: Vec<(&str, &[u8])> =
        (0..arguments.below(3)).map(|_| (arguments.text(), arguments.bytes())).collect();
    let ended = conn.finish_with(&mut out, used, &trailers).map(|len| (len, &trailers[..]));
    let ended = match ended {
        // The body may still be ended without them.
        Err(SendError::Field) => conn.finish_with(&mut out, used, &[]).map(|len| (len, &[][..])),
        other => other,
    };
    match ended {
        Ok((end, trailers)) => {
            assert!(conn.send_done(), "{conn:?}");
            used = end;
            let field = |(name, value): &(&str, &[u8])| {
                (name.as_bytes().to_vec(), value.trim_ascii().to_vec())
            };
            sent.trailers = trailers.iter().map(field).collect();
            sent.is_whole = true;
        }
        Err(SendError::Short) => assert!(conn.must_close() && !conn.send_done()),
        Err(error) => panic!("{error:?} {conn:?}"),
    }
    sent.bytes.extend(&out[..used]);
    Some(sent)
}

fn answer(arguments: &mut Arguments<'_>) {
    let choice = arguments.byte();
    let asked = Asked {
        method: METHODS[usize::from(choice) % METHODS.len()],
        upgrade: choice & 4 != 0 && choice & 8 == 0,
    };
    let mut conn = Conn::server();
    receive(&mut conn, asked, choice);
    let is_old = choice & 8 != 0;
    let mut bytes = Vec::new();
    if arguments.byte() & 3 == 3 {
        let interim = HeadOut { fields: &[("Link", b"x")], ..HeadOut::response(EARLY) };
        let mut out = [0; 80];
        let len = conn.send_head(&mut out, &interim).expect("room enough");
        assert_eq!(len == 0, is_old);
        bytes.extend(&out[..len]);
    }
    let code = u16::from(arguments.byte()) << 8 | u16::from(arguments.byte());
    let known = [200, 204, 205, 304, 404, 101, 103];
    let code = if code < 7 { known[usize::from(code)] } else { 100 + code % 900 };
    let status = Status::new(code).expect("three digits");
    let parts = Parts::new(arguments, None);
    let mut start = HeadOut::response(status);
    start.start = dustdevil_http::proto::StartLine::Response(status, parts.reason);
    let head = parts.head(start);
    let Some(sent) = send_unless_interim(&mut conn, &head, arguments, status) else { return };
    bytes.extend(&sent.bytes);
    let feed = Feed { stream: &bytes, pieces: Pieces::Whole, limits: LIMITS, fin_late: true };
    let read = machine::responses(&feed, &[asked]);
    let told = || format!("{head:?}\n{}\n{read:?}", bytes.escape_ascii());
    let message = read.messages.iter().find(|own| own.code() >= 200 || own.code() == 101);
    let message = message.unwrap_or_else(|| panic!("{}", told()));
    assert_eq!(message.code(), status.code(), "{}", told());
    check(message, &parts.fields, &sent, &told);
    let is_mute = asked.method == Method::Head || matches!(code, 204 | 205 | 304);
    let body = if is_mute { &[][..] } else { &sent.body[..] };
    assert_eq!(message.body, body, "{}", told());
    let is_good = match read.end {
        End::Clean => sent.is_whole && !conn.must_close(),
        // What is closed with the connection is also closed for the one who reads.
        End::Rest(at) => conn.must_close() && at == bytes.len(),
        End::Tunnel(at) => conn.is_upgraded() && at == bytes.len(),
        _ => !sent.is_whole,
    };
    assert!(is_good, "{conn:?} {}", told());
    ask_oracle(&read, &oracle::responses(&bytes, |_| asked.method == Method::Head), &told);
}

const EARLY: Status = Status::new(103).expect("a status");
/// What was written is read back, however long its trailer section.
const LIMITS: Limits =
    Limits { body_bytes_max: u64::MAX, trailer_bytes_max: u16::MAX, ..Limits::DEFAULT };

/// Lets a server read what was asked.
fn receive(conn: &mut Conn, asked: Asked, choice: u8) {
    let target = if asked.method == Method::Connect { "a:1" } else { "/" };
    let version = if choice & 8 == 0 { "HTTP/1.1" } else { "HTTP/1.0" };
    let upgrade = if asked.upgrade { "Connection: upgrade\r\nUpgrade: other\r\n" } else { "" };
    let keep =
        ["", "Connection: keep-alive\r\n", "Connection: close\r\n"][choice as usize / 16 % 3];
    let name = asked.method.as_str();
    let text = format!("{name} {target} {version}\r\nHost: a\r\n{upgrade}{keep}\r\n");
    let mut fields = [FieldRange::default(); 4];
    let mut head = Head::new(&mut fields);
    let step = conn.recv(text.as_bytes(), false, &mut head, &Limits::DEFAULT);
    assert!(step.is_ok_and(|step| step.consumed == text.len()));
}

fn send_unless_interim(
    conn: &mut Conn,
    head: &HeadOut<'_>,
    arguments: &mut Arguments<'_>,
    status: Status,
) -> Option<Sent> {
    if !status.is_informational() || status == Status::SWITCHING_PROTOCOLS {
        return send(conn, head, arguments);
    }
    // Read by the target that serves whole connections.
    let sent = conn.send_head(&mut [0; ROOM], head);
    assert!(!matches!(sent, Err(SendError::Full | SendError::Short)) && !conn.send_started());
    None
}

fn ask(arguments: &mut Arguments<'_>) {
    let choice = arguments.byte();
    let method = match arguments.byte() {
        0..200 => METHODS[usize::from(choice) % METHODS.len()].as_str(),
        _ => arguments.text(),
    };
    let target = if choice & 4 == 0 { "/a?b" } else { arguments.text() };
    let host: &[u8] = if choice & 8 == 0 { b"a" } else { arguments.bytes() };
    let parts = Parts::new(arguments, Some(("Host", host)));
    let head = parts.head(HeadOut::request(method, target));
    let mut conn = Conn::client();
    if choice & 16 != 0 {
        conn.close_after();
    }
    let Some(sent) = send(&mut conn, &head, arguments) else { return };
    let feed = Feed { stream: &sent.bytes, pieces: Pieces::Whole, limits: LIMITS, fin_late: true };
    let read = machine::requests(&feed);
    let told = || format!("{head:?}\n{}\n{read:?}", sent.bytes.escape_ascii());
    let Some(message) = read.messages.first() else {
        // Well-formed, but what it means is the server's business; no line was broken.
        let End::Rejected(_, why) = &read.end else { panic!("{}", told()) };
        let is_meaning = MEANINGS.contains(&why.as_str());
        assert!(is_meaning || sent.bytes.len() > LIMITS.head_bytes_max, "{}", told());
        return;
    };
    assert_eq!(message.start, [method.into(), target.into(), b"HTTP/1.1".to_vec()]);
    check(message, &parts.fields, &sent, &told);
    assert_eq!(message.body, sent.body, "{}", told());
    assert!(!sent.is_whole || message.end == Some(sent.bytes.len()), "{}", told());
    ask_oracle(&read, &oracle::requests(&sent.bytes), &told);
}

/// Why a server may refuse a request that is well-formed.
const MEANINGS: &[&str] = &[
    "malformed target",
    "malformed Host",
    "CONNECT without host:port",
    "CONNECT with a body",
    "an https target without TLS",
    "unknown expectation",
];

/// The fields are the last ones, in order, and the trailers are there if chunks are.
fn check(message: &Message, fields: &[(&str, &[u8])], sent: &Sent, told: &dyn Fn() -> String) {
    // An undecided body may be told behind them.
    let names = |own: &&Field| {
        let framing = ["content-length", "transfer-encoding", "connection"];
        !framing.iter().any(|name| own.0.eq_ignore_ascii_case(name.as_bytes()))
    };
    let read: Vec<&Field> = message.fields.iter().filter(names).collect();
    assert!(read.len() >= fields.len(), "{}", told());
    let trim = |value: &[u8]| -> Vec<u8> {
        let from = value.iter().take_while(|byte| b" \t".contains(byte)).count();
        let to = value.iter().rev().take_while(|byte| b" \t".contains(byte)).count();
        value[from..value.len().saturating_sub(to).max(from)].to_vec()
    };
    for (own, (name, value)) in read[read.len() - fields.len()..].iter().zip(fields) {
        assert_eq!((&own.0[..], &own.1), (name.as_bytes(), &trim(value)), "{}", told());
    }
    if sent.is_whole && message.field("transfer-encoding").is_some() && message.end.is_some() {
        let trailers: Vec<Field> =
            sent.trailers.iter().map(|(name, value)| (name.clone(), trim(value))).collect();
        let is_mute = message.body.is_empty() && message.trailers.is_empty();
        assert!(is_mute || message.trailers == trailers, "{}", told());
    }
}

/// The oracle reads the same, unless it refuses what only has a meaning for it.
fn ask_oracle(ours: &Reading, oracle: &Reading, told: &dyn Fn() -> String) {
    if let End::Rejected(_, why) = &oracle.end {
        let is_known = fuzz::strictness::is_of_oracle_alone(why);
        assert!(is_known, "the oracle refuses: {why}\n{}", told());
        return;
    }
    for (a, b) in ours.messages.iter().zip(&oracle.messages) {
        // We have no text for a reason that is not ASCII.
        let is_start =
            a.start[..2] == b.start[..2] && (a.start[2] == b.start[2] || a.start[2].is_empty());
        let is_same = is_start && (&a.fields, &a.body) == (&b.fields, &b.body);
        assert!(is_same, "the oracle reads{oracle:?}\n{}", told());
    }
}
