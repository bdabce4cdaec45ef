//! What the RFCs leave open, and what is chosen: the second table of `http/RFC.md`.

use dustdevil_core::sim::Script;

use super::{check_statuses, play, statuses, told};
use crate::util::secs;

/// RFC 9112, 2.2: a lone LF may end a line; here it does not, in any place.
#[test]
fn a_bare_lf_ends_no_line() {
    check_statuses(&[
        (b"GET / HTTP/1.1\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"GET / HTTP/1.1\r\nHost: a\n\r\n", "400 <FIN>"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\n", "400 <FIN>"),
        (b"GET / HTTP/1.1\nHost: a\n\n", "400 <FIN>"),
        (b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
    ]);
    let chunked = "POST /dump HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in [
        "2\nhi\r\n0\r\n\r\n",
        "2\r\nhi\n0\r\n\r\n",
        "2\r\nhi\r\n0\n\r\n",
        "0\r\nA: b\n\r\n",
        "0\r\n\n",
    ] {
        assert_eq!(statuses(format!("{chunked}{body}")), "400 <FIN>", "{body:?}");
    }
}

/// RFC 9112, 2.2: "at least one empty line"; here two.
#[test]
fn two_empty_lines_before_a_request_are_passed_over() {
    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (count, expected) in [(0, "200"), (1, "200"), (2, "200"), (3, "400 <FIN>")] {
        assert_eq!(statuses("\r\n".repeat(count) + GET), expected, "{count}");
    }
    // As an old client sends one behind its body.
    let post = "POST /dump HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\r\n";
    assert_eq!(statuses(format!("{post}{GET}")), "200 200");
}

/// RFC 9112, 3: other whitespace than one space might be taken; here it is not.
#[test]
fn a_request_line_has_single_spaces() {
    check_statuses(&[
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"GET /\x0bHTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
    ]);
}

/// RFC 9112, 2.3, and RFC 9110, 2.5 and 15.6.6: a minor version more is read as this one; another
/// major one is 505, and what is no version 400.
#[test]
fn versions_are_read_by_their_major_number() {
    check_statuses(&[
        (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", "200"),
        (b"GET / HTTP/1.9\r\n\r\n", "400 <FIN>"),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505 <FIN>"),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", "505 <FIN>"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 <FIN>"),
        (b"GET /\r\n", "400 <FIN>"),
        (b"GET / http/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"GET / HTTP/1\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"GET / HTTP/11\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"GET / HTTPS/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
    ]);
}

/// RFC 9110, 8.6: a list of equal lengths might be taken; here no second one is.
#[test]
fn one_length_is_said_once() {
    for fields in ["Content-Length: 2, 2\r\n", "Content-Length: 2\r\nContent-Length: 2\r\n"] {
        let input = format!("POST /dump HTTP/1.1\r\nHost: a\r\n{fields}\r\nhi");
        assert_eq!(statuses(input), "400 <FIN>", "{fields:?}");
    }
}

/// RFC 9110, 9.3.6: content of CONNECT has no meaning; one reader's body is another's tunnel.
#[test]
fn connect_has_no_content() {
    check_statuses(&[
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", "400 <FIN>"),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "400 <FIN>"),
    ]);
    let told = statuses(b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(told.starts_with("501") || told.starts_with("404"), "{told}");
}

/// RFC 9110, 9.3.1: content with GET has no meaning, and is framed as any other.
#[test]
fn a_body_of_get_is_read_over() {
    let input = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\
                 GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(statuses(input), "200 200");
}

/// RFC 9110, 9.3.8: TRACE is optional, and shows a script what its page may not read.
#[test]
fn trace_is_not_reflected() {
    let told = told("TRACE / HTTP/1.1\r\nHost: a\r\nCookie: secret\r\n\r\n");
    assert!(told.starts_with("HTTP/1.1 405 ") && !told.contains("secret"), "{told}");
}

/// RFC 9112, 9.5 and 9.6: a side may close its half; what it asked before is answered.
#[test]
fn who_finished_sending_is_answered() {
    let script = Script::new("half").send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").fin();
    let told = play(script.expect_close(secs(5)), true);
    assert!(told.starts_with("HTTP/1.1 200 OK\r\n") && told.contains("slow"), "{told}");
}
