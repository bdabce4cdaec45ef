//! Methods (RFC 9110, 9 and 15.5.6): `HEAD` of every route, `OPTIONS`, what is not allowed.

use crate::case::Verdict::Answered;
use crate::case::{Body, Case, Demand, FOLLOWER, Row, Step, Want, follower, table};

/// Well-formed requests that get an answer of their own and leave the connection in order.
const ANSWERED: &[Row] = &[
    Row(
        "TRACE",
        "9110 9.3.8",
        b"TRACE / HTTP/1.1\r\nHost: t\r\n\r\n",
        Answered(&[400, 403, 405, 501]),
    ),
    Row(
        "TRACE with secrets",
        "9110 9.3.8",
        b"TRACE /cookie HTTP/1.1\r\nHost: t\r\nCookie: a=b\r\n\r\n",
        Answered(&[400, 403, 405, 501]),
    ),
    Row(
        "TRACE with Max-Forwards",
        "9110 7.6.2",
        b"TRACE / HTTP/1.1\r\nHost: t\r\nMax-Forwards: 0\r\n\r\n",
        Answered(&[400, 403, 405, 501]),
    ),
    Row(
        "TRACE of everything",
        "9112 3.2.4",
        b"TRACE * HTTP/1.1\r\nHost: t\r\n\r\n",
        Answered(&[400, 403, 404, 405, 501]),
    ),
    Row(
        "CONNECT",
        "9110 9.3.6",
        b"CONNECT t:80 HTTP/1.1\r\nHost: t:80\r\n\r\n",
        Answered(&[400, 403, 404, 405, 501]),
    ),
    Row(
        "CONNECT of IPv6",
        "9110 9.3.6",
        b"CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        Answered(&[400, 403, 404, 405, 501]),
    ),
    Row(
        "CONNECT of a path",
        "9112 3.2.3",
        b"CONNECT / HTTP/1.1\r\nHost: t\r\n\r\n",
        Answered(&[400, 403, 404, 405, 501]),
    ),
    Row(
        "CONNECT without a port",
        "9112 3.2.3",
        b"CONNECT t HTTP/1.1\r\nHost: t\r\n\r\n",
        Answered(&[400, 403, 404, 405, 501]),
    ),
    Row(
        "CONNECT of port 0",
        "9110 9.3.6",
        b"CONNECT t:0 HTTP/1.1\r\nHost: t:0\r\n\r\n",
        Answered(&[400, 403, 404, 405, 501]),
    ),
    Row(
        "CONNECT of an address",
        "9112 3.2.3",
        b"CONNECT http://t:80/ HTTP/1.1\r\nHost: t\r\n\r\n",
        Answered(&[400, 403, 404, 405, 501]),
    ),
    Row("unknown", "9110 9.1", b"BREW / HTTP/1.1\r\nHost: t\r\n\r\n", Answered(&[501])),
    Row(
        "unknown of another path",
        "9110 9.1",
        b"BREW /nowhere HTTP/1.1\r\nHost: t\r\n\r\n",
        Answered(&[404, 501]),
    ),
    Row(
        "unknown with a body",
        "9110 9.1",
        b"BREW / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello",
        Answered(&[501]),
    ),
    Row(
        "unknown of everything",
        "9112 3.2.4",
        b"BREW * HTTP/1.1\r\nHost: t\r\n\r\n",
        Answered(&[400, 404, 405, 501]),
    ),
    Row("PROPFIND", "9110 9.1", b"PROPFIND / HTTP/1.1\r\nHost: t\r\n\r\n", Answered(&[405, 501])),
    Row(
        "OPTIONS of another path",
        "9110 9.3.7",
        b"OPTIONS /nowhere HTTP/1.1\r\nHost: t\r\n\r\n",
        Answered(&[200, 204, 404]),
    ),
];

/// Routes of `GET`, and what they answer.
const ROUTES: &[(&str, u16)] = &[
    ("/", 200),
    ("/dump?a=b", 200),
    ("/echo", 200),
    ("/chunked", 200),
    ("/stream?n=3&ms=1", 200),
    ("/slow?ms=20", 200),
    ("/large?n=0", 200),
    ("/large?n=20000", 200),
    ("/status/200", 200),
    ("/status/204", 204),
    ("/status/304", 304),
    ("/status/404", 404),
    ("/status/500", 500),
    ("/redirect", 302),
    ("/cookie", 200),
    ("/nowhere", 404),
];

/// Methods that routes do not have.
const NOT_ALLOWED: &[(&str, &str, &str)] = &[
    ("GET", "/only-post", "POST"),
    ("HEAD", "/only-post", "POST"),
    ("PUT", "/only-post", "POST"),
    ("DELETE", "/only-post", "POST"),
    ("PATCH", "/only-post", "POST"),
    ("POST", "/", "GET"),
    ("PUT", "/", "GET"),
    ("DELETE", "/", "GET"),
    ("POST", "/chunked", "GET"),
    ("GET", "/upload", "POST"),
];

fn request(method: &str, target: &str) -> Vec<u8> {
    format!("{method} {target} HTTP/1.1\r\nHost: t\r\n\r\n").into_bytes()
}

pub(super) fn add(cases: &mut Vec<Case>) {
    table(cases, "semantics/method", "", ANSWERED, "");
    for (target, status) in ROUTES {
        let status = [*status];
        let bytes = [request("GET", target), request("HEAD", target), FOLLOWER.to_vec()].concat();
        let script = vec![
            Step::Send(bytes),
            Want::status(&status).step(),
            Want::status(&status).to_head().step(),
            Step::SameFields,
            follower(),
        ];
        // Only the method line of a dump differs, and with it the length.
        let script = match target.starts_with("/dump") {
            true => script.into_iter().filter(|step| !matches!(step, Step::SameFields)).collect(),
            false => script,
        };
        cases.push(Case::new(format!("semantics/HEAD/{target}"), "9110 9.3.2", script));
    }
    for (method, target, allowed) in NOT_ALLOWED {
        let want = Want::status(&[405]).field("Allow", Demand::Lists(allowed));
        let want = want.field("Allow", Demand::ListsNot(method));
        let want = if *method == "HEAD" { want.to_head() } else { want };
        let script = vec![
            Step::Send([request(method, target), FOLLOWER.to_vec()].concat()),
            want.step(),
            follower(),
        ];
        let name = format!("semantics/not allowed/{method} {target}");
        cases.push(Case::new(name, "9110 15.5.6", script));
    }
    options(cases);
}

fn options(cases: &mut Vec<Case>) {
    let mut add = |name: &str, bytes: Vec<u8>, want: Want| {
        let script = vec![Step::Send([bytes, FOLLOWER.to_vec()].concat()), want.step(), follower()];
        cases.push(Case::new(format!("semantics/OPTIONS/{name}"), "9110 9.3.7", script));
    };
    let allows = |method| Want::status(&[200, 204]).field("Allow", Demand::Lists(method));
    add("of a route", request("OPTIONS", "/"), allows("GET"));
    add("of another", request("OPTIONS", "/only-post"), allows("POST"));
    add("of everything", request("OPTIONS", "*"), Want::status(&[200, 204]));
    add("of everything, absolute", request("OPTIONS", "http://t"), Want::status(&[200, 204]));
    let with_body = b"OPTIONS * HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello".to_vec();
    add("of everything, with a body", with_body, Want::status(&[200, 204]));
    // A route that takes any method answers it itself.
    let want =
        Want::lines(&["method=OPTIONS", "path=/dump"]).field("Transfer-Encoding", Demand::Absent);
    add("of a route that takes it", request("OPTIONS", "/dump"), want);
    let empty = Want::status(&[200]).body(Body::Is(Vec::new()));
    add("of a route that echoes", request("OPTIONS", "/echo"), empty);
}
