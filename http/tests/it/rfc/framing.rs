//! RFC 9112, sections 2 to 8: how a message is delimited.

use dustdevil_core::sim::Script;

use super::{FIN, check, check_statuses, play, script, statuses, told};
use crate::util::secs;

/// What a handler says that was asked by `POST /dump` with these fields and this body.
fn dumped(fields: &str, body: &str) -> String {
    let told = told(format!("POST /dump HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}"));
    match told.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => body.to_owned(),
        _ => told,
    }
}

/// RFC 9112, 2.2: bytes, not characters: those beyond ASCII are passed on as they are.
#[test]
fn a_message_is_octets() {
    let input = b"GET /dump HTTP/1.1\r\nHost: a\r\nX: \xc3\xa4\xff\r\n\r\n";
    let told = told(input);
    assert!(told.ends_with("|Host=a|X=\\xc3\\xa4\\xff|"), "{told}");
    // U+560A and U+560D end in the bytes of LF and CR in UTF-16; in octets they are neither.
    let input = "GET /dump HTTP/1.1\r\nHost: a\r\nX: a\u{560d}\u{560a}b\r\n\r\n";
    assert_eq!(statuses(input), "200");
}

/// RFC 9112, 2.2: a bare CR makes its element invalid, wherever it stands.
#[test]
fn a_bare_cr_is_refused_in_every_element() {
    check_statuses(&[
        (b"GET\r/ HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"GET / HTTP/1.1\rHost: a\r\n\r\n", "400 <FIN>"),
        (b"GET / HTTP/1.1\r\nHost\r: a\r\n\r\n", "400 <FIN>"),
        (b"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", "400 <FIN>"),
        (b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", "400 <FIN>"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", "400 <FIN>"),
        (
            b"POST /dump HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a\rb\r\n",
            "400 <FIN>",
        ),
        (
            b"POST /dump HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: \rb\r\n",
            "400 <FIN>",
        ),
    ]);
    // In content it is a byte as any other.
    assert!(dumped("Content-Length: 3\r\n", "a\rb").ends_with("|a\\rb"));
}

/// RFC 9112, 2.2: whitespace between start-line and fields, with and without a field behind it.
#[test]
fn whitespace_before_the_first_field_is_refused() {
    check_statuses(&[
        (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400 <FIN>"),
        (b"GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", "400 <FIN>"),
        (b"GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"GET / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n", "400 <FIN>"),
    ]);
}

/// RFC 9112, 3: a target that is longer than what is parsed.
#[test]
fn a_long_target_is_414() {
    let input = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(2_000));
    assert_eq!(statuses(&input), "414 <FIN>");
    assert_eq!(statuses(&input[..1_500]), "414 <FIN>");
}

/// RFC 9112, 3.2: 400 to a request without Host, with two, or with one of an invalid value.
#[test]
fn a_request_has_one_valid_host() {
    for (fields, expected) in [
        ("", "400 <FIN>"),
        ("Host: a\r\nHost: a\r\n", "400 <FIN>"),
        ("Host: a\r\nhOST: b\r\n", "400 <FIN>"),
        ("Host: a, b\r\n", "400 <FIN>"),
        ("Host: a b\r\n", "400 <FIN>"),
        ("Host: a/b\r\n", "400 <FIN>"),
        ("Host: a?b\r\n", "400 <FIN>"),
        ("Host: u@a\r\n", "400 <FIN>"),
        ("Host: http://a\r\n", "400 <FIN>"),
        ("Host: a:b\r\n", "400 <FIN>"),
        ("Host: a:1:2\r\n", "400 <FIN>"),
        ("Host: a:-1\r\n", "400 <FIN>"),
        ("Host: [::1\r\n", "400 <FIN>"),
        ("Host: ::1\r\n", "400 <FIN>"),
        ("Host: a]b\r\n", "400 <FIN>"),
        ("Host: [::1]a\r\n", "400 <FIN>"),
        ("Host: a%zz\r\n", "400 <FIN>"),
        ("Host: a%4\r\n", "400 <FIN>"),
        ("Host: {a}\r\n", "400 <FIN>"),
        ("Host: a^b\r\n", "400 <FIN>"),
        ("Host: \u{e4}\r\n", "400 <FIN>"),
        ("Host:\r\n", "200"),
        ("Host: a\r\n", "200"),
        ("Host: a:\r\n", "200"),
        ("Host: a.example:8080\r\n", "200"),
        ("Host: 192.0.2.1:80\r\n", "200"),
        ("Host: [2001:db8::1]:80\r\n", "200"),
        ("Host: a-b_c~d!e%41\r\n", "200"),
    ] {
        let input = format!("GET / HTTP/1.1\r\n{fields}\r\n");
        assert_eq!(statuses(&input), expected, "{fields:?}");
        // A target that names a host excuses none of this.
        let input = format!("GET http://c/ HTTP/1.1\r\n{fields}\r\n");
        assert_eq!(statuses(&input), expected, "{fields:?} and a host in the target");
    }
    // "any request message": HTTP/1.0 may lack one, and no more.
    check_statuses(&[
        (b"GET / HTTP/1.0\r\n\r\n", "200 <FIN>"),
        (b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"GET / HTTP/1.0\r\nHost: a/b\r\n\r\n", "400 <FIN>"),
    ]);
}

/// RFC 9112, 3.2.2: the absolute form is taken, and its host goes before `Host`.
#[test]
fn the_host_of_an_absolute_target_goes_before_the_field() {
    for (target, expected) in [
        ("/dump?q", "GET /dump?q of a|Host=a|"),
        ("http://b/dump?q", "GET /dump?q of b|Host=a|"),
        ("http://b:80/dump", "GET /dump of b:80|Host=a|"),
        ("hTTP://B/dump", "GET /dump of B|Host=a|"),
    ] {
        let told = told(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(told.ends_with(&format!("\r\n\r\n{expected}")), "{target}: {told}");
    }
    check_statuses(&[
        (b"GET http://b HTTP/1.1\r\nHost: a\r\n\r\n", "200"),
        (b"GET http://b/ HTTP/1.1\r\n\r\n", "400 <FIN>"),
    ]);
}

/// RFC 9112, 4: the space behind the code stands there although nothing follows.
#[test]
fn a_status_line_without_a_reason_keeps_its_space() {
    check(&[(
        "GET /empty/299 HTTP/1.1\r\nHost: a\r\n\r\n",
        "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n",
    )]);
}

/// RFC 9112, 5.1: "no whitespace is allowed between the field name and colon".
#[test]
fn whitespace_before_the_colon_is_400() {
    check_statuses(&[
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400 <FIN>"),
        (b"GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", "400 <FIN>"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX  : b\r\n\r\n", "400 <FIN>"),
        (
            b"POST /dump HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\
              Content-Length: 5\r\n\r\n0\r\n\r\n",
            "400 <FIN>",
        ),
    ]);
}

/// RFC 9112, 5.2: folded lines, of whatever field and whatever whitespace.
#[test]
fn a_folded_line_is_400() {
    check_statuses(&[
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", "400 <FIN>"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n", "400 <FIN>"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n \r\n\r\n", "400 <FIN>"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX:\r\n b\r\n\r\n", "400 <FIN>"),
        (
            b"POST /dump HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
            "400 <FIN>",
        ),
    ]);
}

/// RFC 9112, 5.2: and none is ever sent.
#[test]
fn no_folded_line_is_sent() {
    assert_eq!(statuses(b"GET /field/Fold HTTP/1.1\r\nHost: a\r\n\r\n"), "500 <FIN>");
}

/// RFC 9112, 6.1 and 7.1: chunks are decoded, whatever the case of coding and digits.
#[test]
fn chunks_are_decoded() {
    for (coding, body, expected) in [
        ("chunked", "5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("CHUNKED", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "hello"),
        ("chunked", "0\r\n\r\n", ""),
        ("chunked", "A\r\n0123456789\r\n00\r\n\r\n", "0123456789"),
        ("chunked", "000a\r\n0123456789\r\n0\r\nX: y\r\n\r\n", "0123456789"),
        ("chunked", "2\r\n\r\n\r\n0\r\n\r\n", "\\r\\n"),
    ] {
        let said = dumped(&format!("Transfer-Encoding: {coding}\r\n"), body);
        assert!(said.ends_with(&format!("|Transfer-Encoding={coding}|{expected}")), "{said}");
    }
}

/// RFC 9110, 5.6.1.2: a list may have empty elements; `Transfer-Encoding` is a list.
#[test]
fn empty_elements_of_a_coding_list_are_ignored() {
    for value in ["chunked,", ", chunked", ",,chunked , ,"] {
        let said = dumped(&format!("Transfer-Encoding: {value}\r\n"), "2\r\nhi\r\n0\r\n\r\n");
        assert!(said.ends_with("|hi"), "{value}: {said}");
    }
}

/// RFC 9112, 6.1: chunks only for HTTP/1.1, never for a status without content, never twice, and
/// never beside a length (6.2).
#[test]
fn transfer_encoding_is_sent_where_it_is_understood() {
    check(&[
        (
            "GET /chunked HTTP/1.1\r\nHost: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n",
        ),
        (
            "GET /chunked HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nonetwo<FIN>",
        ),
        (
            "GET /length HTTP/1.1\r\nHost: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nlength",
        ),
        ("GET /status/204 HTTP/1.1\r\nHost: a\r\n\r\n", &no_content("204 No Content")),
    ]);
}

/// RFC 9112, 6.3 and 7.1.2: a length where it is known in time, else chunks; and only behind chunks
/// stands a trailer section.
#[test]
fn an_end_is_told_in_the_best_way_there_is() {
    for version in ["1.1", "1.0"] {
        let input =
            format!("GET /deferred HTTP/{version}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
        let told = told(input);
        let (head, body) = told.split_once("\r\n\r\n").expect("a head");
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length:"));
        assert_eq!((length.map(str::trim), body), (Some("5"), "later"), "{told}");
        assert!(!head.contains("Transfer-Encoding"), "{told}");
    }
    check(&[
        (
            "GET /trailers HTTP/1.1\r\nHost: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
             4\r\nbody\r\n0\r\nX-Sum: 7\r\n\r\n",
        ),
        (
            "GET /trailers HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbody<FIN>",
        ),
    ]);
}

fn no_content(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n")
}

/// RFC 9112, 6.1 and 6.3: framing that two readers could understand in two ways is answered once,
/// the connection closes, and what follows is never a request.
#[test]
fn doubtful_framing_is_refused_and_closes() {
    const NEXT: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (version, fields, expected) in [
        // Both.
        ("1.1", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "400 <FIN>"),
        ("1.1", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "400 <FIN>"),
        // HTTP/1.0 knows no codings.
        ("1.0", "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n", "400 <FIN>"),
        (
            "1.0",
            "Connection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "400 <FIN>",
        ),
        // The final coding is not chunked.
        ("1.1", "Transfer-Encoding: gzip\r\n", "400 <FIN>"),
        ("1.1", "Transfer-Encoding: chunked, gzip\r\n", "400 <FIN>"),
        ("1.1", "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", "400 <FIN>"),
        ("1.1", "Transfer-Encoding: chunked, chunked\r\n", "400 <FIN>"),
        ("1.1", "Transfer-Encoding: identity\r\n", "400 <FIN>"),
        ("1.1", "Transfer-Encoding: xchunked\r\n", "400 <FIN>"),
        ("1.1", "Transfer-Encoding: \u{b}chunked\r\n", "400 <FIN>"),
        ("1.1", "Transfer-Encoding: gzip, chunked\r\n", "501 <FIN>"),
        // Lengths.
        ("1.1", "Content-Length: 5\r\nContent-Length: 6\r\n", "400 <FIN>"),
        ("1.1", "Content-Length: 5, 6\r\n", "400 <FIN>"),
        ("1.1", "Content-Length: -5\r\n", "400 <FIN>"),
        ("1.1", "Content-Length: +5\r\n", "400 <FIN>"),
        ("1.1", "Content-Length: 0x5\r\n", "400 <FIN>"),
        ("1.1", "Content-Length: 5 5\r\n", "400 <FIN>"),
        ("1.1", "Content-Length: 5.0\r\n", "400 <FIN>"),
        ("1.1", "Content-Length: five\r\n", "400 <FIN>"),
        ("1.1", "Content-Length: \r\n", "400 <FIN>"),
        ("1.1", "Content-Length: \u{665}\r\n", "400 <FIN>"),
    ] {
        for body in ["0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n"] {
            let input = format!("POST /dump HTTP/{version}\r\nHost: a\r\n{fields}\r\n{body}{NEXT}");
            assert_eq!(statuses(&input), expected, "{fields:?} {body:?}");
        }
    }
}

/// RFC 9110, 8.6, and RFC 9112, 7.1: numbers too large for any integer are noticed, not cut.
#[test]
fn large_numbers_never_wrap() {
    // Modulo 2^32, 2^64 and 2^128 these are 5; well-formed they are, so they are too large.
    for length in [
        "1001",
        "4294967301",
        "18446744073709551615",
        "18446744073709551621",
        "340282366920938463463374607431768211461",
    ] {
        let fields = format!("Host: a\r\nContent-Length: {length}\r\n");
        let input = format!("POST /dump HTTP/1.1\r\n{fields}\r\nhello");
        assert_eq!(statuses(&input), "413 <FIN>", "{length}");
    }
    let head = "POST /dump HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (size, status) in [
        ("10000000000000005", "400 <FIN>"),
        ("100000000000000000000000000000005", "400 <FIN>"),
        ("ffffffffffffffff", "413 <FIN>"),
        ("100000005", "413 <FIN>"),
    ] {
        assert_eq!(statuses(format!("{head}{size}\r\nhello\r\n0\r\n\r\n")), status, "{size}");
    }
    // Leading zeros are no overflow.
    assert_eq!(statuses(format!("{head}0000000000000000005\r\nhello\r\n0\r\n\r\n")), "200");
    let fields = "Host: a\r\nContent-Length: 0000000000000000000000005\r\n";
    assert_eq!(statuses(format!("POST /dump HTTP/1.1\r\n{fields}\r\nhello")), "200");
}

/// RFC 9112, 6.3, rule 6: a body that ends before its length, by FIN and by silence.
#[test]
fn an_incomplete_body_is_no_request() {
    for (head, body) in [
        ("Content-Length: 5", "hell"),
        ("Transfer-Encoding: chunked", "5\r\nhell"),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\n"),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n"),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\nA: b\r\n"),
    ] {
        let input = format!("POST /dump HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n{body}");
        let cut = play(Script::new("cut").send(input.as_bytes()).fin().expect_close(secs(1)), true);
        assert_eq!(crate::util::statuses(&cut), [400], "{input:?}");
        let silent = Script::new("silent").send(input.as_bytes()).expect_close(secs(60));
        assert_eq!(crate::util::statuses(&play(silent, true)), [408], "{input:?}");
    }
}

/// RFC 9112, 7.1.1: extensions that nobody knows change nothing.
#[test]
fn chunk_extensions_are_ignored() {
    for (line, is_good) in [
        ("5;a", true),
        ("5;a=b", true),
        ("5;a=\"b;c\"", true),
        ("5;a=\"\\\"\"", true),
        ("5;a=b;c;d=\"\"", true),
        ("5 ", false),
        ("5 6", false),
        (" 5", false),
        ("5;a\0", false),
        (";a", false),
    ] {
        assert_eq!(is_chunk_line(line), is_good, "{line:?}");
    }
}

/// RFC 9110, 5.6.3: where only bad senders write whitespace, it is parsed and removed.
#[test]
fn whitespace_around_the_parts_of_an_extension_is_removed() {
    for line in ["5 ;a=b", "5\t;a=b", "5; a=b", "5;a =b", "5;a= b", "5 ; a = \"b\" ; c"] {
        assert!(is_chunk_line(line), "{line:?}");
    }
}

/// Whether this line stands for a chunk of five bytes.
fn is_chunk_line(line: &str) -> bool {
    let body = format!("{line}\r\nhello\r\n0\r\n\r\n");
    dumped("Transfer-Encoding: chunked\r\n", &body).ends_with("|hello")
}

/// RFC 9112, 7.1.2: a handler that asks for them sees the trailer fields, once each, whatever the
/// pieces that they came in.
#[test]
fn trailers_are_shown_to_who_asks() {
    let head = "POST /visit HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let input = format!("{head}2\r\nhi\r\n4\r\n all\r\n0\r\nSum: 5\r\nX:\r\n\r\n");
    for at in head.len()..input.len() {
        let (first, second) = input.split_at(at);
        let peer = script(first.as_bytes()).send(second.as_bytes()).wait(secs(1));
        let told = play(peer, true);
        assert!(told.ends_with("\r\n\r\nhi all|Sum=5|X="), "{at}: {told}");
    }
}

/// RFC 9112, 7.1.2, and RFC 9110, 6.5.1: what stands in the trailer section is no header field,
/// and frames nothing.
#[test]
fn trailers_are_never_merged_into_the_head() {
    let trailers = "Host: evil\r\nContent-Length: 9\r\nX: late\r\nConnection: close\r\n";
    let body = format!("2\r\nhi\r\n0\r\n{trailers}\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let fields = "Transfer-Encoding: chunked\r\nX: early\r\n";
    let said = dumped(fields, &body);
    let dump = "POST /dump of a|Host=a|Transfer-Encoding=chunked|X=early|hi";
    assert!(said.starts_with(&format!("{dump}HTTP/1.1 200 OK\r\n")), "{said}");
    assert!(said.ends_with("hello"), "{said}");
}

/// RFC 9112, 2.2: what is no HTTP message at all is answered 400, and the connection closes.
#[test]
fn what_is_no_message_is_400() {
    check_statuses(&[
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400 <FIN>"),
        (b"hello\r\n\r\n", "400 <FIN>"),
        (b"GET /\r\n\r\n", "400 <FIN>"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", "400 <FIN>"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX Y: z\r\n\r\n", "400 <FIN>"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 <FIN>"),
        (b"GET / HTTP/0.9\r\n\r\n", "505 <FIN>"),
    ]);
    // An empty line or two before a request are passed over.
    assert_eq!(statuses(b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), "200");
    assert!(play(script(b"\r\n"), true).is_empty(), "{FIN} is not due");
}
