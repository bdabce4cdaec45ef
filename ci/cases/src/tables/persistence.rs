//! `Connection`, and how long connections last (RFC 9110, 7.6.1; RFC 9112, 9).

use crate::case::Demand::{Absent, Lists, ListsNot};
use crate::case::{Body, Case, FOLLOWER, Step, Want, follower};

/// Field lines of a `GET` in HTTP/1.1, and whether the connection goes on.
const CONNECTION: &[(&str, &str, bool)] = &[
    ("none", "", true),
    ("close", "Connection: close\r\n", false),
    ("upper case", "CONNECTION: CLOSE\r\n", false),
    ("mixed case", "connection: Close\r\n", false),
    ("no white space", "Connection:close\r\n", false),
    ("much white space", "Connection: \t close \t \r\n", false),
    ("close first", "Connection: close, x\r\n", false),
    ("close last", "Connection: x,close\r\n", false),
    ("close in the middle", "Connection: x , close , y\r\n", false),
    ("close and keep-alive", "Connection: close, keep-alive\r\n", false),
    ("keep-alive and close", "Connection: keep-alive, close\r\n", false),
    (
        "keep-alive and close in two fields",
        "Connection: keep-alive\r\nConnection: close\r\n",
        false,
    ),
    (
        "close and keep-alive in two fields",
        "Connection: close\r\nConnection: keep-alive\r\n",
        false,
    ),
    ("close in the third field", "Connection: x\r\nConnection: y\r\nConnection: close\r\n", false),
    ("empty elements", "Connection: ,, ,close,\r\n", false),
    ("keep-alive", "Connection: keep-alive\r\n", true),
    ("empty", "Connection:\r\n", true),
    ("only commas", "Connection: , ,\r\n", true),
    ("a name that ends in close", "Connection: x-close\r\n", true),
    ("a name that begins with close", "Connection: closed\r\n", true),
    ("another name", "Connection: x\r\nX: close\r\n", true),
];

/// Requests that say close, and what answers them.
const CLOSES: &[(&str, &str, &[u16])] = &[
    (
        "POST",
        "POST /echo HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        &[200],
    ),
    (
        "chunks sent",
        "POST /echo HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\
          Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        &[200],
    ),
    ("chunks received", "GET /chunked HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", &[200]),
    ("stream", "GET /stream?n=3&ms=5 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", &[200]),
    ("large", "GET /large?n=50000 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", &[200]),
    ("slow", "GET /slow?ms=50 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", &[200]),
    ("204", "GET /status/204 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", &[204]),
    ("304", "GET /status/304 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", &[304]),
    ("404", "GET /nowhere HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", &[404]),
    ("405", "GET /only-post HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", &[405]),
    ("OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", &[200, 204]),
];

/// Requests of HTTP/1.0 and what answers them, before the end.
const OLD: &[(&str, &str, &str)] = &[
    ("plain", "GET / HTTP/1.0\r\n\r\n", "hello"),
    ("close", "GET / HTTP/1.0\r\nConnection: close\r\n\r\n", "hello"),
    ("close and keep-alive", "GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n\r\n", "hello"),
    (
        "keep-alive and close in two fields",
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
        "hello",
    ),
    ("body", "POST /echo HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", "hello"),
    ("chunks", "GET /chunked HTTP/1.0\r\n\r\n", "onetwothree"),
    ("stream", "GET /stream?n=4&ms=10 HTTP/1.0\r\n\r\n", "chunk 0\nchunk 1\nchunk 2\nchunk 3\n"),
    ("slow", "GET /slow?ms=100 HTTP/1.0\r\n\r\n", "slow"),
    ("Keep-Alive and no Connection", "GET / HTTP/1.0\r\nKeep-Alive: timeout=5\r\n\r\n", "hello"),
    ("another token", "GET / HTTP/1.0\r\nConnection: x-keep-alive\r\n\r\n", "hello"),
];

pub(super) fn add(cases: &mut Vec<Case>) {
    let mut case = |name: String, section, script| {
        cases.push(Case::new(format!("semantics/{name}"), section, script));
    };
    for (name, fields, stays) in CONNECTION {
        let request = format!("GET / HTTP/1.1\r\nHost: t\r\n{fields}\r\n");
        let send = Step::Send([request.as_bytes(), FOLLOWER].concat());
        let want = Want::ok("hello");
        let script = match stays {
            true => vec![send, want.field("Connection", ListsNot("close")).step(), follower()],
            false => vec![send, want.field("Connection", Lists("close")).step(), Step::Closed],
        };
        case(format!("connection/{name}"), "9112 9.3", script);
    }
    for (name, request, statuses) in CLOSES {
        let send = Step::Send([request.as_bytes(), FOLLOWER].concat());
        let want = Want::status(statuses).field("Connection", Lists("close"));
        let script = vec![send, want.step(), Step::Finished];
        case(format!("connection/close of {name}"), "9112 9.6", script);
    }
    let head = b"HEAD / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    let send = Step::Send([&head[..], FOLLOWER].concat());
    let want = Want::status(&[200]).to_head();
    case(
        "connection/close of HEAD".to_owned(),
        "9112 9.6",
        vec![send, want.step(), Step::Finished],
    );
    for (name, request, body) in OLD {
        let send = Step::Send([request.as_bytes(), FOLLOWER].concat());
        let want = Want::ok(body).to_old().field("Connection", ListsNot("keep-alive"));
        let want = want.field("Transfer-Encoding", Absent);
        case(format!("1.0/{name}"), "9112 9.3", vec![send, want.step(), Step::Finished]);
    }
    let head = b"HEAD / HTTP/1.0\r\n\r\n".to_vec();
    let want = Want::status(&[200]).to_head().to_old();
    case("1.0/HEAD".to_owned(), "9112 9.3", vec![Step::Send(head), want.step(), Step::Finished]);
    let large = b"GET /large?n=30000 HTTP/1.0\r\n\r\n".to_vec();
    let want = Want::status(&[200]).to_old().body(Body::Repeats(b'x', 30_000));
    case("1.0/large".to_owned(), "9112 9.3", vec![Step::Send(large), want.step(), Step::Finished]);
    kept(cases);
}

/// HTTP/1.0 and keep-alive: the server says that it agrees and goes on, or it closes.
fn kept(cases: &mut Vec<Case>) {
    for (name, method, target, length, body) in [
        ("plain", "GET", "/", "", ""),
        ("a body", "POST", "/echo", "Content-Length: 5\r\n", "hello"),
        ("in upper case", "GET", "/", "X: a\r\n", ""),
        ("chunks", "GET", "/chunked", "", ""),
        ("404", "GET", "/nowhere", "", ""),
        ("204", "GET", "/status/204", "", ""),
    ] {
        let token = if name == "in upper case" { "KEEP-ALIVE" } else { "keep-alive" };
        let head =
            format!("{method} {target} HTTP/1.0\r\nConnection: {token}\r\n{length}\r\n{body}");
        let want = || Want::status(&[200, 204, 404]).to_old().field("Transfer-Encoding", Absent);
        let stays = want().field("Connection", Lists("keep-alive"));
        let ends = want().field("Connection", ListsNot("keep-alive"));
        let outcomes = vec![vec![stays.step(), follower()], vec![ends.step(), Step::Finished]];
        let send = Step::Send([head.as_bytes(), FOLLOWER].concat());
        let script = vec![send, Step::OneOf(outcomes)];
        cases.push(Case::new(format!("semantics/1.0 kept/{name}"), "9112 9.3", script));
    }
}
