//! Each route and its answer, wherever the application runs.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::util::Client;
use crate::util::client::Response;

/// Sends a request and reads its answer.
pub(crate) fn ask(client: &mut Client, line: &str, fields: &str, body: &[u8]) -> Response {
    let length = body.len();
    let length = if length > 0 { format!("Content-Length: {length}\r\n") } else { String::new() };
    client.send(format!("{line} HTTP/1.1\r\nHost: test\r\n{fields}{length}\r\n"));
    client.send(body);
    client.response()
}

/// As [`ask`], with the body in chunks of at most `chunk_bytes`.
pub(crate) fn ask_chunked(
    client: &mut Client,
    line: &str,
    body: &[u8],
    chunk_bytes: usize,
) -> Response {
    let mut bytes = format!("{line} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(std::mem::take(&mut bytes));
    for chunk in body.chunks(chunk_bytes) {
        // Some are taken while the rest is still to come, as a slow client's would be.
        let size = format!("{:x}\r\n", chunk.len()).into_bytes();
        if !client.try_send([&size, chunk, b"\r\n"].concat()) {
            break;
        }
    }
    client.try_send(b"0\r\n\r\n");
    client.response()
}

/// Bytes that differ from their neighbours, and from what is a kilobyte further on.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 1021) as u8).collect()
}

/// CRC-32 as zlib has it, bit by bit: another way than the application's.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

/// Every route, once or more.
pub(crate) fn each_route_answers(at: SocketAddr, echo_bytes_max: usize) {
    let mut client = Client::connect(at);
    texts(&mut client);
    bodies(&mut client);
    any_method(&mut client);
    statuses(&mut client);
    pieces(at);
    echo_is_exact(at, echo_bytes_max);
}

/// What is answered as a whole.
fn texts(client: &mut Client) {
    for (line, status, body) in [
        ("GET /", 200, "hello"),
        ("POST /only-post", 200, "posted"),
        ("GET /slow?ms=10", 200, "slow"),
        ("GET /large?n=0", 200, ""),
        ("GET /large?n=7", 200, "xxxxxxx"),
        ("GET /slow", 400, "ms: a whole number is wanted\n"),
        ("GET /slow?ms=soon", 400, "ms: a whole number is wanted\n"),
        ("GET /large?n=-1", 400, "n: a whole number is wanted\n"),
        ("GET /stream?n=1", 400, "n, ms: two whole numbers are wanted\n"),
        ("GET /nowhere", 404, "404 Not Found\n"),
        ("GET /only-post", 405, "405 Method Not Allowed\n"),
        ("POST /", 405, "405 Method Not Allowed\n"),
    ] {
        let response = ask(client, line, "", b"");
        assert_eq!((response.status, response.text()), (status, body), "{line}");
    }
    let refused = ask(client, "GET /only-post", "", b"");
    let allowed = refused.field("Allow").expect("a 405 says what else there is");
    assert!(allowed.split(", ").any(|method| method == "POST"), "{allowed}");
    assert!(!allowed.split(", ").any(|method| method == "GET"), "{allowed}");

    let redirect = ask(client, "GET /redirect", "", b"");
    assert_eq!((redirect.status, redirect.field("Location")), (302, Some("/")));

    let cookies = ask(client, "GET /cookie", "Cookie: a=1; b=\"2 3\"\r\nCookie: c=\r\n", b"");
    assert_eq!(cookies.text(), "a=1\nb=\"2 3\"\nc=\n");
    let set: Vec<&str> =
        cookies.head.lines().filter(|line| line.starts_with("Set-Cookie")).collect();
    assert_eq!(set, ["Set-Cookie: a=1; Path=/", "Set-Cookie: b=2; Path=/; HttpOnly"]);
}

/// What is made of a request's body, whichever way it comes.
fn bodies(client: &mut Client) {
    for length in [0, 1, 511, 3_000, 40_000] {
        let body = pattern(length);
        let expected = format!("len={length} crc32={:08x}\n", crc32(&body));
        assert_eq!(ask(client, "POST /upload", "", &body).text(), expected);
        assert_eq!(ask_chunked(client, "POST /upload", &body, 999).text(), expected);
    }
    let dump = ask(client, "PUT /dump/?no", "", b"");
    assert_eq!(dump.status, 404);
    let dump = ask(client, "PUT /dump?a=%20b&c", "X-Mixed-CASE: Value  kept\r\n", b"12345");
    let expected = "method=PUT\npath=/dump\nquery=a=%20b&c\nversion=1.1\nh.host=test\n\
        h.x-mixed-case=Value  kept\nh.content-length=5\nbody=5\n";
    assert_eq!(dump.text(), expected);
    let expected = "method=POST\npath=/dump\nquery=\nversion=1.1\nh.host=test\n\
        h.transfer-encoding=chunked\nbody=5000\n";
    assert_eq!(ask_chunked(client, "POST /dump", &pattern(5_000), 700).text(), expected);
}

fn any_method(client: &mut Client) {
    for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"] {
        let line = format!("{method} /echo");
        let response = ask(client, &line, "", b"the same");
        assert_eq!((response.status, response.text()), (200, "the same"), "{line}");
        let dump = ask(client, &format!("{method} /dump"), "", b"");
        assert!(dump.text().starts_with(&format!("method={method}\n")), "{}", dump.text());
    }
}

fn statuses(client: &mut Client) {
    for status in (200..600).step_by(7).chain([204, 205, 304, 401, 405, 407, 426, 503, 599]) {
        let response = ask(client, &format!("GET /status/{status}"), "", b"");
        let expected = match status {
            204 | 205 | 304 => String::new(),
            _ => format!("status {status}"),
        };
        assert_eq!((response.status, response.text()), (status, &*expected));
        let owed = match status {
            401 => Some("WWW-Authenticate"),
            405 => Some("Allow"),
            407 => Some("Proxy-Authenticate"),
            426 => Some("Upgrade"),
            _ => None,
        };
        assert!(owed.is_none_or(|name| response.field(name).is_some()), "{}", response.head);
        if matches!(status, 204 | 304) {
            // What would be said of the body of a 200 (RFC 9110, 8.6) is not known here.
            assert_eq!(response.field("Content-Length"), None, "{}", response.head);
        }
    }
    for wrong in ["100", "101", "199", "600", "999", "1000", "99999999999", "ok", "-1", "+200"] {
        assert_eq!(ask(client, &format!("GET /status/{wrong}"), "", b"").status, 400, "{wrong}");
    }
}

/// What is answered piece by piece.
fn pieces(at: SocketAddr) {
    let whole = |target: &str| {
        let mut client = Client::connect(at);
        client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"));
        let bytes = String::from_utf8(client.rest().0).expect("text");
        let (head, body) = bytes.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains("\r\nTransfer-Encoding: chunked\r\n"), "{head}");
        body.to_owned()
    };
    assert_eq!(whole("/chunked"), "3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n");
    let since = Instant::now();
    let three = "8\r\nchunk 0\n\r\n8\r\nchunk 1\n\r\n8\r\nchunk 2\n\r\n0\r\n\r\n";
    assert_eq!(whole("/stream?n=3&ms=100"), three);
    assert!(since.elapsed() >= Duration::from_millis(200), "{:?}", since.elapsed());
    assert_eq!(whole("/stream?ms=0&n=0"), "0\r\n\r\n");
    let mut client = Client::connect(at);
    let since = Instant::now();
    assert_eq!(client.get("/slow?ms=300").text(), "slow");
    assert!(since.elapsed() >= Duration::from_millis(300), "{:?}", since.elapsed());
    assert_eq!(client.get("/large?n=5000").text(), "x".repeat(5_000));
}

/// Up to the limit the same bytes come back, and beyond it 413, before `100 Continue` if the head
/// says so.
fn echo_is_exact(at: SocketAddr, most: usize) {
    let mut client = Client::connect(at);
    for length in [1, 255, 256, 257, 1_000, most - 1, most] {
        let body = pattern(length);
        assert!(ask(&mut client, "POST /echo", "", &body).body == body, "{length}");
        assert!(ask_chunked(&mut client, "PUT /echo", &body, 1_500).body == body, "{length}");
    }
    client.send(format!(
        "POST /echo HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        most + 1
    ));
    assert_eq!(client.response().status, 413);
    let mut client = Client::connect(at);
    let too_long = pattern(most + 1);
    assert_eq!(ask_chunked(&mut client, "POST /echo", &too_long, 1_500).status, 413);
}
