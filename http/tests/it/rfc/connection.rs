//! RFC 9112, section 9: when a connection goes on, and when and how it ends.

use dustdevil_core::sim::Script;

use super::{check_statuses, play, statuses, told};
use crate::util::secs;

/// RFC 9112, 9.3: persistent unless a side says otherwise; HTTP/1.0 has to ask.
#[test]
fn who_may_send_another_request() {
    check_statuses(&[
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "200"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", "200"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "200 <FIN>"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: CLOSE\r\n\r\n", "200 <FIN>"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, close, keep-alive\r\n\r\n", "200 <FIN>"),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
            "200 <FIN>",
        ),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: xclose\r\n\r\n", "200"),
        (b"GET / HTTP/1.0\r\n\r\n", "200 <FIN>"),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "200"),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "200 <FIN>"),
    ]);
}

/// RFC 9112, 9.3: a body is read to its end, or the connection closes; its bytes are never a
/// request.
#[test]
fn what_is_left_of_a_body_is_never_a_request() {
    const BODY: &str = "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n";
    const NEXT: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let length = BODY.len();
    for path in ["/early", "/nothing", "/fault/403", "/only-put"] {
        let by_length = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{BODY}{NEXT}"
        );
        let chunked = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
             {length:x}\r\n{BODY}\r\n0\r\n\r\n{NEXT}"
        );
        for input in [by_length, chunked] {
            let told = told(&input);
            let codes = crate::util::statuses(&told);
            let first = if path == "/early" { 200 } else { codes[0] };
            let closes = told.ends_with("<FIN>");
            assert_eq!(codes, if closes { vec![first] } else { vec![first, 200] }, "{told}");
        }
    }
    // One that no server would read to its end.
    let head = format!("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\n{NEXT}");
    let script = Script::new("short").send(head.as_bytes()).expect_close(secs(10));
    assert_eq!(crate::util::statuses(&play(script, true)), [200]);
}

/// RFC 9112, 9.3.2: answers go out in the order of their requests, however long the first takes.
#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let input: String =
        ["/slow", "/", "/status/404", "/slow", "/chunked", "/empty/200"].map(get).concat();
    let told = told(&input);
    let codes = crate::util::statuses(&told);
    assert_eq!(codes, [200, 200, 404, 200, 200, 200], "{told}");
    let places: Vec<_> = ["slow", "hello", "content", "three"]
        .iter()
        .filter_map(|word| told.find(&format!("\r\n\r\n{word}")))
        .collect();
    assert!(places.len() == 3 && places.is_sorted(), "{told}");
}

/// RFC 9112, 9.6: behind `close` no request is processed, and the server closes.
#[test]
fn nothing_behind_close_is_processed() {
    let next = "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n";
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "POST /dump HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
        "GET / HTTP/1.0\r\n\r\n",
    ] {
        let told = told(format!("{request}{next}"));
        assert!(told.contains("\r\nConnection: close\r\n"), "{told}");
        assert_eq!(crate::util::statuses(&told), [200], "{told}");
        assert!(told.ends_with("<FIN>"), "{told}");
    }
    // And where it is the server that says so.
    for request in ["GET / HTTP/1.1\r\n\r\n", "GET /fault/500 HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let told = told(format!("{request}{next}"));
        assert!(told.contains("\r\nConnection: close\r\n"), "{told}");
        assert_eq!(crate::util::statuses(&told).len(), 1, "{told}");
        assert!(told.ends_with("<FIN>"), "{told}");
    }
}

/// RFC 9112, 9.6: a server that closes says so in the response before.
#[test]
fn a_response_that_ends_the_connection_says_so() {
    for input in [
        &b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"[..],
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET /chunked HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST /dump HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n",
        b"POST /dump HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    ] {
        let told = told(input);
        assert!(told.ends_with("<FIN>"), "{told}");
        assert!(told.contains("\r\nConnection: close\r\n"), "{told}");
    }
}

/// RFC 9110, 7.8: a server may ignore an offer, and an HTTP/1.0 one it must.
#[test]
fn an_offer_to_upgrade_is_ignored() {
    for version in ["1.1", "1.0"] {
        let told = statuses(format!(
            "GET / HTTP/{version}\r\nHost: a\r\nConnection: keep-alive, upgrade\r\n\
             Upgrade: websocket\r\n\r\n"
        ));
        assert_eq!(told, "200", "{version}");
    }
}
