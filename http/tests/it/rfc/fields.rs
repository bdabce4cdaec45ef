//! RFC 9110, sections 5, 6 and 8: fields, dates and lengths.

use dustdevil_core::sim::Script;

use super::{DATE, check, check_statuses, play, script, statuses, told};
use crate::util::{ms, secs};

/// RFC 9110, 5.3: nothing is done before the header section has ended.
#[test]
fn nothing_is_done_before_the_head_is_whole() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n";
    let never = Script::new("never").send(head).expect_close(secs(60));
    assert_eq!(crate::util::statuses(&play(never, true)), [408]);
    let late = Script::new("late").send(head).wait(secs(2)).send(b"Expect: tea\r\n\r\n");
    assert_eq!(crate::util::statuses(&play(late.wait(secs(1)), true)), [417]);
}

/// RFC 9110, 5.4: a line, a value or a section that is larger than wanted is a 4xx.
#[test]
fn large_fields_are_431() {
    let long = "x".repeat(1_500);
    let many = "X: y\r\n".repeat(24);
    for fields in [format!("X: {long}\r\n"), format!("{long}: y\r\n"), many] {
        let input = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        assert_eq!(statuses(&input), "431 <FIN>", "{}", &input[..40]);
    }
    let trailers = "X: y\r\n".repeat(200);
    let head = "POST /dump HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(statuses(format!("{head}0\r\n{trailers}\r\n")), "431 <FIN>");
}

/// RFC 9110, 5.5: whitespace around a value is none of it.
#[test]
fn a_value_has_no_whitespace_around_it() {
    let input = "GET /dump HTTP/1.1\r\nHost:a\r\nX: \t b \t c \t \r\nY:\r\nZ: \t\r\n\r\n";
    let told = told(input);
    assert!(told.ends_with("|Host=a|X=b \\t c|Y=|Z=|"), "{told}");
}

/// RFC 9110, 5.5: CR, LF and NUL, and for good measure every other control character.
#[test]
fn control_characters_in_a_value_are_refused() {
    for byte in (0..=8).chain(10..=31).chain([127]) {
        let mut input = b"GET / HTTP/1.1\r\nHost: a\r\nX: b".to_vec();
        input.push(byte);
        input.extend(b"c\r\n\r\n");
        assert_eq!(statuses(&input), "400 <FIN>", "{byte:#04x}");
    }
}

/// RFC 9110, 5.6.1.2: a recipient takes lists with empty elements.
#[test]
fn empty_list_elements_are_ignored() {
    check_statuses(&[
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: , close ,,\r\n\r\n", "200 <FIN>"),
        (b"GET / HTTP/1.0\r\nConnection: ,, keep-alive,\r\n\r\n", "200"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: ,\r\n\r\n", "200"),
        (b"GET /asset HTTP/1.1\r\nHost: a\r\nIf-None-Match: , \"p\",\r\n\r\n", "304"),
        (
            b"POST /dump HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\
              Expect: , 100-continue,\r\n\r\nhi",
            "200",
        ),
    ]);
}

/// RFC 9110, 5.6.7 and 6.6.1: a server with a clock says when, in the one form, in 2xx, 3xx and
/// 4xx, whoever made them.
#[test]
fn a_server_with_a_clock_sends_date() {
    for input in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /chunked HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /status/204 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /status/302 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /asset HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n",
        b"GET /status/418 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n",
        b"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let told = play(script(input), true);
        assert_eq!(told.matches(DATE).count(), 1, "{}: {told}", input.escape_ascii());
    }
    // The second of the response, not of the connection.
    let late = Script::new("late").wait(ms(3_200)).send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let told = play(late.wait(secs(1)), true);
    assert!(told.contains("\r\nDate: Sun, 06 Nov 1994 08:49:40 GMT\r\n"), "{told}");
}

/// RFC 9110, 6.6.1: and one without says nothing.
#[test]
fn a_server_without_a_clock_sends_no_date() {
    for input in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let told = play(script(input), false);
        assert!(!told.is_empty() && !told.contains("Date"), "{told}");
    }
}

/// RFC 9110, 8.6: no length where there can be no content, and to HEAD and in 304 only that of the
/// response to GET.
#[test]
fn a_length_is_sent_where_it_is_true() {
    check(&[
        (
            "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\r\n",
        ),
        ("GET /empty/204 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("HEAD /empty/204 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n"),
        // What 200 would have had is not known here.
        ("GET /empty/304 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n"),
    ]);
    let told = told("GET /asset HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"p\"\r\n\r\n");
    assert!(told.contains("\r\nContent-Length: 5\r\n") || !told.contains("Content-Length"));
}

/// RFC 9110, 7.6.1 and 8.6: framing is the machine's alone; a handler cannot contradict it.
#[test]
fn a_handler_cannot_say_how_its_message_is_framed() {
    for name in ["Content-Length", "Transfer-Encoding", "Connection", "Upgrade"] {
        let input = format!("GET /field/{name} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(statuses(&input), "500 <FIN>", "{name}");
    }
    let told = told("GET /field/X-Own HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(told.contains("\r\nX-Own: 1\r\n"), "{told}");
}
