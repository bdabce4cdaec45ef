//! The 33 cases of uNetworking's h1spec, said in this suite's words.
//!
//! There each server echoes any method's body at `/`; here `/echo` does. Fifteen send a part of a
//! request and want nothing but patience; what follows here completes the request, which has to be
//! answered then.

use crate::case::{Case, Step, Want};

/// Where the request is cut, and what it is called there.
const CUTS: &[(&str, &str)] = &[
    ("method", "G"),
    ("URL 1", "GET "),
    ("URL 2", "GET /hello"),
    ("URL 3", "GET /hello "),
    ("version", "GET /hello HTTP"),
    ("request line", "GET /hello HTTP/1.1"),
    ("request line end 1", "GET /hello HTTP/1.1\r"),
    ("request line end 2", "GET /hello HTTP/1.1\r\n"),
    ("field name", "GET /hello HTTP/1.1\r\nHos"),
    ("field value 1", "GET /hello HTTP/1.1\r\nHost:"),
    ("field value 2", "GET /hello HTTP/1.1\r\nHost: "),
    ("field value 3", "GET /hello HTTP/1.1\r\nHost: localhost"),
    ("field value 4", "GET /hello HTTP/1.1\r\nHost: localhost\r"),
    ("request", "GET /hello HTTP/1.1\r\nHost: localhost\r\n"),
    ("request end", "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r"),
];

const ERROR: &[u16] = &[400, 405, 408, 411, 413, 414, 417, 431, 501, 505];
const CLIENT_ERROR: &[u16] = &[400, 405, 408, 411, 413, 414, 417, 431];

/// Requests and the statuses that may answer them; 200 with this body.
const REQUESTS: &[(&str, &str, &[u16], Option<&str>)] = &[
    ("no version", "GET / \r\n\r\n", ERROR, None),
    ("Expect", "GET / HTTP/1.1\r\nHost: example.com\r\nExpect: 100-continue\r\n\r\n", &[200], None),
    ("valid", "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", &[200], None),
    ("valid at the edges", "GET / HTTP/1.1\r\nhoSt:\texample.com\r\nempty:\r\n\r\n", &[200], None),
    (
        "field name with brackets",
        "GET / HTTP/1.1\r\nHost: example.com\r\nX-Invalid[]: test\r\n\r\n",
        CLIENT_ERROR,
        None,
    ),
    ("no Host", "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", CLIENT_ERROR, None),
    (
        "two Hosts",
        "GET / HTTP/1.1\r\nHost: example.com\r\nHost: example.org\r\n\r\n",
        CLIENT_ERROR,
        None,
    ),
    (
        "length that overflows below zero",
        "GET / HTTP/1.1\r\nHost: example.com\r\n\
          Content-Length: -123456789123456789123456789\r\n\r\n",
        CLIENT_ERROR,
        None,
    ),
    (
        "length below zero",
        "GET / HTTP/1.1\r\nHost: example.com\r\nContent-Length: -1234\r\n\r\n",
        CLIENT_ERROR,
        None,
    ),
    (
        "length of letters",
        "GET / HTTP/1.1\r\nHost: example.com\r\nContent-Length: abc\r\n\r\n",
        CLIENT_ERROR,
        None,
    ),
    (
        "empty value",
        "GET / HTTP/1.1\r\nHost: example.com\r\nX-Empty-Header: \r\n\r\n",
        &[200],
        None,
    ),
    (
        "control byte in a value",
        "GET / HTTP/1.1\r\nHost: example.com\r\nX-Bad-Control-Char: test\x07\r\n\r\n",
        CLIENT_ERROR,
        None,
    ),
    ("version 9.9", "GET / HTTP/9.9\r\nHost: example.com\r\n\r\n", ERROR, None),
    (
        "words before the request",
        "Extra lineGET / HTTP/1.1\r\nHost: example.com\r\n\r\n",
        ERROR,
        None,
    ),
    (
        "line end",
        "GET / HTTP/1.1\r\nHost: example.com\r\n\rSome-Header: Test\r\n\r\n",
        CLIENT_ERROR,
        None,
    ),
    (
        "body",
        "POST /echo HTTP/1.1\r\nHost: example.com\r\nContent-Length: 5\r\n\r\nhello",
        &[200],
        Some("hello"),
    ),
    (
        "chunks",
        "POST /echo HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\
          \r\nc\r\nHellO world1\r\n0\r\n\r\n",
        &[200],
        Some("HellO world1"),
    ),
    (
        "length and chunks",
        "POST /echo HTTP/1.1\r\nHost: example.com\r\ncontent-LengtH: 5\r\n\
          TransFer-Encoding: chunked\r\n\r\nc\r\nHellO world1\r\n0\r\n\r\n",
        CLIENT_ERROR,
        Some("HellO world1"),
    ),
];

pub(super) fn add(cases: &mut Vec<Case>) {
    const WHOLE: &str = "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (name, cut) in CUTS {
        let script = vec![
            Step::Send(cut.as_bytes().to_vec()),
            Step::Quiet(500),
            Step::Send(WHOLE.as_bytes()[cut.len()..].to_vec()),
            Want::status(&[404]).step(),
        ];
        cases.push(Case::new(format!("h1spec/cut in {name}"), "9112 2.2", script));
    }
    for (name, request, statuses, body) in REQUESTS {
        let plain = Want::status(statuses).interim(0..=1).step();
        let outcomes = match body {
            None => vec![vec![plain]],
            Some(body) if statuses.contains(&200) => vec![vec![Want::ok(body).step()]],
            Some(body) => vec![vec![plain], vec![Want::ok(body).step()]],
        };
        let script = vec![Step::Send(request.as_bytes().to_vec()), Step::OneOf(outcomes)];
        cases.push(Case::new(format!("h1spec/{name}"), "9112 2.2", script));
    }
}
