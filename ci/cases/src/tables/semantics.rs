//! Bodies, statuses, fields and routes (RFC 9110).

use super::Room;
use crate::case::Demand::{Absent, Each, Is, Lists, Present, Today};
use crate::case::{Body, Case, Demand, FOLLOWER, Place, Step, Want, follower};

pub(super) fn add(cases: &mut Vec<Case>, room: &Room) {
    routes(cases);
    large(cases, room);
    any_method(cases);
    statuses(cases);
    uploads(cases, room);
    requests(cases);
    upgrades(cases);
    dates(cases);
}

/// A `GET` with these fields, and what answers it; then another request.
fn get(name: &str, section: &'static str, target: &str, fields: &str, want: Want) -> Case {
    let request = format!("GET {target} HTTP/1.1\r\nHost: t\r\n{fields}\r\n").into_bytes();
    let script = vec![Step::Send([&request[..], FOLLOWER].concat()), want.step(), follower()];
    Case::new(format!("semantics/{name}"), section, script)
}

fn routes(cases: &mut Vec<Case>) {
    let length = |text| Want::status(&[200]).field("Content-Length", Is(text));
    let coded = |want: Want| want.field("Transfer-Encoding", Is("chunked"));
    let none = |want: Want| want.field("Content-Length", Absent);
    cases.extend([
        get("route/hello", "9110 8.6", "/", "", length("5").body(Body::Is(b"hello".to_vec()))),
        get(
            "route/media type",
            "9110 8.3",
            "/",
            "",
            Want::ok("hello").field("Content-Type", Present),
        ),
        get("route/chunked", "9112 7.1", "/chunked", "", none(coded(Want::ok("onetwothree")))),
        get(
            "route/stream",
            "9112 7.1",
            "/stream?n=3&ms=20",
            "",
            none(coded(Want::ok("chunk 0\nchunk 1\nchunk 2\n"))),
        ),
        get("route/stream of nothing", "9112 7.1", "/stream?n=0&ms=1", "", Want::ok("")),
        get("route/slow", "9110 15.3.1", "/slow?ms=100", "", Want::ok("slow")),
        get(
            "route/redirect",
            "9110 15.4.3",
            "/redirect",
            "",
            Want::status(&[302]).field("Location", Present),
        ),
        get(
            "route/redirect to",
            "9110 10.2.2",
            "/redirect",
            "",
            Want::status(&[302]).field("Location", Is("/")),
        ),
        get(
            "route/cookies set",
            "9110 5.3",
            "/cookie",
            "",
            Want::status(&[200])
                .field("Set-Cookie", Each(&["a=1; Path=/", "b=2; Path=/; HttpOnly"])),
        ),
        get(
            "route/cookies received",
            "9110 5.3",
            "/cookie",
            "Cookie: x=1; y=two\r\n",
            Want::lines(&["x=1", "y=two"]),
        ),
        get("route/one cookie", "9110 5.3", "/cookie", "Cookie: x=\r\n", Want::lines(&["x="])),
        get("route/no cookies", "9110 5.3", "/cookie", "", Want::ok("")),
        get("route/nowhere", "9110 15.5.5", "/nowhere", "", Want::status(&[404])),
        get("route/below a route", "9110 15.5.5", "/only-post/x", "", Want::status(&[404])),
    ]);
}

/// Lengths around those of buffers.
fn large(cases: &mut Vec<Case>, room: &Room) {
    for count in [0, 1, 511, 1_023, 1_024, 4_096, 16_384, 65_537, room.large] {
        let target = format!("/large?n={count}");
        let want = Want::status(&[200]).body(Body::Repeats(b'x', count));
        let want = want.field("Content-Length", Present).field("Transfer-Encoding", Absent);
        cases.push(get(&format!("route/large, {count}"), "9110 8.6", &target, "", want));
    }
}

fn any_method(cases: &mut Vec<Case>) {
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let request =
            format!("{method} /dump?q HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi");
        let line = format!("method={method}");
        let want = Want::lines(&[&line, "path=/dump", "query=q", "version=1.1", "body=2"]);
        let bytes = [request.as_bytes(), FOLLOWER].concat();
        let script = vec![Step::Send(bytes), want.step(), follower()];
        cases.push(Case::new(format!("semantics/any method/{method}"), "9110 9", script));
    }
}

fn statuses(cases: &mut Vec<Case>) {
    for status in [200, 201, 202, 203, 400, 403, 404, 409, 410, 418, 422, 429, 500, 502, 503, 599] {
        let want = Want::status(&[status]).body(Body::Is(format!("status {status}").into_bytes()));
        let want = want.field("Transfer-Encoding", Absent).field("Content-Length", Present);
        cases.push(get(
            &format!("status/{status}"),
            "9110 15",
            &format!("/status/{status}"),
            "",
            want,
        ));
    }
    let empty = |status| Want::status(&[status]).field("Transfer-Encoding", Absent);
    let want = empty(204).field("Content-Length", Absent);
    cases.push(get("status/204", "9110 15.3.5", "/status/204", "", want));
    cases.push(get("status/304", "9110 15.4.5", "/status/304", "", empty(304)));
    // Each byte behind them would be the next response's: many show it.
    let many = |status: u16| {
        let request = format!("GET /status/{status} HTTP/1.1\r\nHost: t\r\n\r\n").repeat(10);
        let answers = (0..10).map(|_| Want::status(&[status]).step());
        let send = Step::Send([request.as_bytes(), FOLLOWER].concat());
        let script = std::iter::once(send).chain(answers).chain([follower()]).collect();
        Case::new(format!("semantics/status/ten of {status}"), "9112 6.3", script)
    };
    cases.extend([204, 304, 200].map(many));
}

/// CRC-32 as in zip, bit by bit.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            let carry = crc & 1;
            (crc >> 1) ^ (carry * 0xedb8_8320)
        })
    })
}

/// Some bytes without a pattern.
pub(super) fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn uploads(cases: &mut Vec<Case>, room: &Room) {
    for (name, count) in
        [("nothing", 0), ("one byte", 1), ("5000", 5_000), ("the most", room.upload_fits)]
    {
        let body = noise(count);
        let want = format!("len={count} crc32={:08x}\n", crc32(&body));
        let mut add = |how: &str, framing: String, body: Vec<u8>| {
            let head = format!("POST /upload HTTP/1.1\r\nHost: t\r\n{framing}\r\n\r\n");
            let bytes = [head.as_bytes(), &body, FOLLOWER].concat();
            let script = vec![Step::Send(bytes), Want::ok(&want).step(), follower()];
            cases.push(Case::new(format!("semantics/upload/{name}, {how}"), "9112 6", script));
        };
        add("by length", format!("Content-Length: {count}"), body.clone());
        let mut chunks = Vec::new();
        for part in body.chunks(1_000) {
            chunks.extend(format!("{:x};n\r\n", part.len()).bytes());
            chunks.extend(part);
            chunks.extend(b"\r\n");
        }
        chunks.extend(b"0\r\n\r\n");
        add("by chunks", "Transfer-Encoding: chunked".to_owned(), chunks);
    }
}

/// Fields that a server may ignore, and must not stumble over.
fn requests(cases: &mut Vec<Case>) {
    let full = || Want::ok("hello");
    let or = |status: u16| Want::status(&[200, status]);
    cases.extend([
        get("ignored/Range of no unit", "9110 14.2", "/", "Range: cows=1-2\r\n", full()),
        get("ignored/Range of a dynamic answer", "9110 14.2", "/", "Range: bytes=0-1\r\n", or(206)),
        get("ignored/Range that is malformed", "9110 14.2", "/", "Range: bytes=x\r\n", or(416)),
        get("ignored/If-Match", "9110 13.1.1", "/", "If-Match: *\r\n", or(412)),
        get("ignored/If-None-Match", "9110 13.1.2", "/", "If-None-Match: \"nothing\"\r\n", full()),
        get(
            "ignored/If-Modified-Since, malformed",
            "9110 13.1.3",
            "/",
            "If-Modified-Since: yesterday\r\n",
            full(),
        ),
        get("ignored/Accept of nothing here", "9110 12.5.1", "/", "Accept: cow/moo\r\n", or(406)),
        get(
            "ignored/Accept-Encoding of identity",
            "9110 12.5.3",
            "/",
            "Accept-Encoding: identity\r\n",
            full().field("Content-Encoding", Absent),
        ),
        get("ignored/Max-Forwards of GET", "9110 7.6.2", "/", "Max-Forwards: 0\r\n", full()),
        get("ignored/TE", "9110 10.1.4", "/", "TE: trailers, deflate;q=0.5\r\n", full()),
        get(
            "ignored/Via and Forwarded",
            "9110 7.6.3",
            "/",
            "Via: 1.0 a, 1.1 b\r\nForwarded: for=c\r\n",
            full(),
        ),
        get("ignored/Keep-Alive", "9112 C.2.2", "/", "Keep-Alive: timeout=1, max=1\r\n", full()),
        get("ignored/Proxy-Connection", "9112 C.2.2", "/", "Proxy-Connection: close\r\n", full()),
        get("ignored/Authorization", "9110 11.6.2", "/", "Authorization: Basic !!!\r\n", or(400)),
        get(
            "ignored/Date of long ago",
            "9110 6.6.1",
            "/",
            "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
            full(),
        ),
        get(
            "ignored/X-HTTP-Method-Override",
            "9110 9",
            "/dump",
            "X-HTTP-Method-Override: DELETE\r\n",
            Want::lines(&["method=GET"]),
        ),
        get(
            "ignored/X-Original-URL",
            "9110 7.1",
            "/dump",
            "X-Original-URL: /\r\n",
            Want::lines(&["path=/dump"]),
        ),
        get(
            "ignored/Content-Type of nothing",
            "9110 8.3",
            "/dump",
            "Content-Type: a/b\r\n",
            Want::lines(&["body=0"]),
        ),
    ]);
}

/// Offers of another protocol are ignored.
fn upgrades(cases: &mut Vec<Case>) {
    let h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
          HTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    let full = || Want::ok("hello");
    cases.extend([
        get("upgrade/h2c", "9110 7.8", "/", h2c, full()),
        get(
            "upgrade/unknown",
            "9110 7.8",
            "/",
            "Connection: upgrade\r\nUpgrade: cow/1, moo\r\n",
            full(),
        ),
        get("upgrade/TLS", "9110 7.8", "/", "Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n", full()),
        get("upgrade/not in Connection", "9110 7.8", "/", "Upgrade: websocket\r\n", full()),
        get("upgrade/only in Connection", "9110 7.8", "/", "Connection: upgrade\r\n", full()),
        get(
            "upgrade/empty",
            "9110 7.8",
            "/",
            "Connection: upgrade\r\nUpgrade:\r\n",
            Want::status(&[200, 400]),
        ),
        get(
            "upgrade/websocket where there is none",
            "9110 7.8",
            "/",
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            full(),
        ),
        get(
            "upgrade/and 404",
            "9110 7.8",
            "/nowhere",
            "Connection: Upgrade\r\nUpgrade: h2c\r\n",
            Want::status(&[404]),
        ),
    ]);
    let old = b"GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n".to_vec();
    let script = vec![Step::Send(old), full().to_old().step(), Step::Closed];
    cases.push(Case::new("semantics/upgrade/1.0", "9110 7.8", script));
    let body = b"POST /echo HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\
          Content-Length: 5\r\n\r\nhello";
    let bytes = [&body[..], FOLLOWER].concat();
    let script = vec![Step::Send(bytes), full().step(), follower()];
    cases.push(Case::new("semantics/upgrade/with a body", "9110 7.8", script));
}

/// `Date` is in each final response, of servers that have a clock.
fn dates(cases: &mut Vec<Case>) {
    let table: &[(&str, u16, &str)] = &[
        ("200", 200, "GET / HTTP/1.1\r\nHost: t\r\n\r\n"),
        ("200 of chunks", 200, "GET /chunked HTTP/1.1\r\nHost: t\r\n\r\n"),
        ("204", 204, "GET /status/204 HTTP/1.1\r\nHost: t\r\n\r\n"),
        ("302", 302, "GET /redirect HTTP/1.1\r\nHost: t\r\n\r\n"),
        ("304", 304, "GET /status/304 HTTP/1.1\r\nHost: t\r\n\r\n"),
        ("400", 400, "GET / HTTP/1.1\r\n\r\n"),
        ("404", 404, "GET /nowhere HTTP/1.1\r\nHost: t\r\n\r\n"),
        ("405", 405, "GET /only-post HTTP/1.1\r\nHost: t\r\n\r\n"),
    ];
    let mut add = |name: &str, status: u16, request: &str, demand: Demand, place| {
        let want = Want::status(&[status]).field("Date", demand);
        let script = vec![Step::Send(request.as_bytes().to_vec()), want.step()];
        let case = Case::new(format!("semantics/Date/{name}"), "9110 6.6.1", script);
        cases.push(case.place(place));
    };
    for (name, status, request) in table {
        add(name, *status, request, Today, Place::NotOnBoards("a board has no clock"));
    }
    for (name, status, request) in [table[0], table[5]] {
        let place = Place::OnBoards("who has no clock must not send a Date");
        add(&format!("no {name}"), status, request, Absent, place);
    }
    let bad = b"GET / HTTP/1.1\r\n\r\n".to_vec();
    let want = Want::status(&[400]).field("Connection", Lists("close"));
    let script = vec![Step::Send(bad), want.step(), Step::Finished];
    cases.push(Case::new("semantics/close is told by an error", "9112 9.6", script));
}
