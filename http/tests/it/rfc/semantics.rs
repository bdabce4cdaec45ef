//! RFC 9110, sections 4, 7, 9, 10 and 13 to 15: targets, methods, expectations, conditions, codes.

use dustdevil_core::sim::Script;

use super::{check, check_statuses, play, statuses, told};
use crate::util::{ms, secs};

/// RFC 9110, 4.2.1 and 4.2.2: a URI without a host is no URI of these schemes.
#[test]
fn a_target_with_an_empty_host_is_refused() {
    check_statuses(&[
        (b"GET http:///dump HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"GET http://:80/dump HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"GET http:// HTTP/1.1\r\nHost:\r\n\r\n", "400 <FIN>"),
        (b"GET https:///dump HTTP/1.1\r\nHost: a\r\n\r\n", "421 <FIN>"),
        (b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
    ]);
}

/// RFC 9110, 7.1: the authority and the asterisk are forms for one method each.
#[test]
fn each_form_of_a_target_has_its_methods() {
    check_statuses(&[
        (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"POST * HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "400 <FIN>"),
        (b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"OPTIONS a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"CONNECT http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"CONNECT * HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
    ]);
}

/// RFC 9110, 7.4: what is asked for over a connection that is not secured is not of `https`.
#[test]
fn https_is_not_served_in_the_clear() {
    for target in ["https://a/", "https://a", "HTTPS://a:443/dump"] {
        let told = statuses(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(told, "421 <FIN>", "{target}");
    }
    assert_eq!(statuses(b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"), "400 <FIN>");
}

/// RFC 9110, 3.3: what one request said is forgotten when the next begins.
#[test]
fn nothing_is_carried_over_to_the_next_request() {
    let told = told(
        "POST /dump?1 HTTP/1.1\r\nHost: a\r\nCookie: secret\r\nContent-Length: 2\r\n\r\nhi\
         GET /dump HTTP/1.1\r\nHost: b\r\n\r\n",
    );
    assert!(told.contains("POST /dump?1 of a|Host=a|Cookie=secret|Content-Length=2|hi"), "{told}");
    assert!(told.ends_with("GET /dump of b|Host=b|"), "{told}");
}

/// RFC 9110, 9.1 and 9.3.2: HEAD is answered wherever GET is, with its fields and no content.
#[test]
fn head_is_get_without_its_content() {
    for path in [
        "/",
        "/length",
        "/chunked",
        "/deferred",
        "/trailers",
        "/status/404",
        "/status/204",
        "/empty/200",
        "/asset",
        "/nothing",
        "/only-put",
        "/fault/403",
    ] {
        let get = told(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let head = told(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let (get_head, _) = get.split_once("\r\n\r\n").expect("a head");
        let (head_head, rest) = head.split_once("\r\n\r\n").expect("a head");
        // A length that became known late has more space before it.
        let words = |head: &str| head.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!((words(head_head), rest), (words(get_head), ""), "{path}");
    }
}

/// RFC 9110, 9.3.2: nor do errors that no handler made have any.
#[test]
fn an_error_to_head_has_no_content() {
    for (input, status) in [
        (&b"HEAD / HTTP/1.1\r\n\r\n"[..], "HTTP/1.1 400 "),
        (b"HEAD /\xff HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400 "),
        (b"HEAD / HTTP/2.0\r\nHost: a\r\n\r\n", "HTTP/1.1 505 "),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", "HTTP/1.1 417 "),
        (b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n", "HTTP/1.1 413 "),
    ] {
        let told = told(input);
        assert!(told.starts_with(status), "{told}");
        assert!(told.ends_with("\r\n\r\n<FIN>"), "{told}");
    }
}

/// RFC 9110, 9.3.2: nor does 408, where the method is all that has come.
#[test]
fn a_head_that_comes_too_late_has_no_content() {
    let silent = Script::new("silent").send(b"HEAD / HTTP/1.1\r\nHos").expect_close(secs(60));
    let told = play(silent, true);
    assert!(told.starts_with("HTTP/1.1 408 ") && told.ends_with("\r\n\r\n"), "{told}");
}

/// RFC 9110, 9.3.6: CONNECT needs a port that there can be.
#[test]
fn connect_without_a_valid_port_is_400() {
    check_statuses(&[
        (b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"CONNECT a: HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"CONNECT :80 HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"CONNECT a:b HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"CONNECT a:-1 HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"CONNECT a:65536 HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"CONNECT a:99999999999999999999 HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"CONNECT a:0 HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
        (b"CONNECT [::1:80 HTTP/1.1\r\nHost: a\r\n\r\n", "400 <FIN>"),
    ]);
}

/// RFC 9110, 10.1.1: HTTP/1.0 has no expectations, and no 1xx (15.2).
#[test]
fn an_expectation_in_http_1_0_is_ignored() {
    for expectation in ["100-continue", "tea"] {
        let head =
            format!("POST /dump HTTP/1.0\r\nContent-Length: 2\r\nExpect: {expectation}\r\n\r\n");
        let script = Script::new("1.0").send(head.as_bytes()).wait(ms(500)).send(b"hi");
        let told = play(script.expect_close(secs(1)), true);
        assert_eq!(crate::util::statuses(&told), [200], "{told}");
    }
}

/// RFC 9110, 10.1.1: the origin server says 100 or the final status, and does not wait for the
/// content; after 100 comes a final status.
#[test]
fn an_expectation_is_answered_before_the_content() {
    let asked = |path: &str, framing: &str| {
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{framing}\r\n");
        Script::new("expects").send(head.as_bytes())
    };
    for (framing, body) in [
        ("Content-Length: 2\r\n", "hi"),
        ("Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n0\r\n\r\n"),
    ] {
        let script =
            asked("/dump", framing).expect_contains(b"HTTP/1.1 100 Continue\r\n\r\n", ms(10));
        let told = play(script.send(body.as_bytes()).wait(secs(1)), true);
        assert_eq!(crate::util::statuses(&told), [100, 200], "{told}");
        assert!(told.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{told}");
        // Whoever does not want the content says so at once.
        let told = play(asked("/early", framing).wait(secs(1)), true);
        assert_eq!(crate::util::statuses(&told), [200], "{told}");
        assert!(told.contains("\r\nConnection: close\r\n"), "{told}");
        let told = play(asked("/nothing", framing).wait(secs(1)), true);
        assert_eq!(crate::util::statuses(&told), [404], "{told}");
    }
    let told = play(asked("/dump", "Content-Length: 5000\r\n").wait(secs(1)), true);
    assert_eq!(crate::util::statuses(&told), [413], "{told}");
}

/// RFC 9110, 10.1.1: "has already received some of the content": 100 may be left out.
#[test]
fn who_did_not_wait_needs_no_100() {
    check_statuses(&[
        (
            b"POST /dump HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
              Content-Length: 2\r\n\r\nhi",
            "200",
        ),
        (
            b"POST /dump HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
            "200",
        ),
        (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", "200"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", "417 <FIN>"),
    ]);
}

/// RFC 9110, 10.2.1 and 15.5.6: 405 says what is allowed, also when a handler made it.
#[test]
fn a_405_names_the_methods_that_are_allowed() {
    let allow = |input: &str| {
        let told = told(input);
        assert!(told.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{told}");
        let line = told.lines().find_map(|line| line.strip_prefix("Allow:"));
        let mut methods: Vec<_> = line
            .unwrap_or_else(|| panic!("405 without Allow: {told}"))
            .split(',')
            .map(|method| method.trim().to_owned())
            .filter(|method| method != "OPTIONS")
            .collect();
        methods.sort();
        methods.join(" ")
    };
    assert_eq!(allow("DELETE /dump HTTP/1.1\r\nHost: a\r\n\r\n"), "GET HEAD POST PUT");
    assert_eq!(allow("GET /only-put HTTP/1.1\r\nHost: a\r\n\r\n"), "PUT");
    assert_eq!(allow("HEAD /early HTTP/1.1\r\nHost: a\r\n\r\n"), "POST");
    let made = allow("GET /fault/405 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(["", "GET HEAD"].contains(&made.as_str()), "{made}");
}

/// RFC 9110, 9.1: a method that nobody implements is 501; one that the table knows is 405.
#[test]
fn an_unknown_method_is_501() {
    for method in ["BREW", "get", "PROPFIND", "G", "GETGETGETGETGETGETGETGET"] {
        let told = statuses(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(told.starts_with("501"), "{method}: {told}");
    }
}

/// RFC 9110, 9.3.7: OPTIONS without a route of its own, for a resource and for the server.
#[test]
fn options_says_what_is_allowed() {
    for (target, methods) in
        [("/dump", "GET HEAD POST PUT"), ("/only-put", "PUT"), ("*", "GET HEAD POST PUT")]
    {
        let told = told(format!("OPTIONS {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(told.starts_with("HTTP/1.1 204 No Content\r\n"), "{target}: {told}");
        let allow = told.lines().find_map(|line| line.strip_prefix("Allow: ")).expect("Allow");
        let mut allowed: Vec<_> = allow.split(", ").filter(|one| *one != "OPTIONS").collect();
        allowed.sort_unstable();
        assert_eq!(allowed.join(" "), methods, "{target}");
        assert!(!told.contains("Content-Length"), "{told}");
    }
}

/// RFC 9110, 13.1.1 and 13.1.2: conditions on an asset, over all their lines, weakly and strongly.
#[test]
fn an_asset_evaluates_its_conditions() {
    for (fields, status) in [
        ("If-None-Match: \"p\"\r\n", "304"),
        ("If-None-Match: W/\"p\"\r\n", "304"),
        ("If-None-Match: \"x\", \"p\"\r\n", "304"),
        ("If-None-Match: *\r\n", "304"),
        ("If-None-Match: \"x\"\r\nIf-None-Match: \"p\"\r\n", "304"),
        ("If-None-Match: \"x\"\r\n", "200"),
        ("If-None-Match: \"z\"\r\n", "200"),
        ("If-None-Match: \"z\"\r\nAccept-Encoding: gzip\r\n", "304"),
        ("If-Match: \"p\"\r\n", "200"),
        ("If-Match: *\r\n", "200"),
        ("If-Match: \"x\"\r\n", "412"),
        // The strong comparison: a weak tag matches nothing.
        ("If-Match: W/\"p\"\r\n", "412"),
        // The order of 13.2.2: If-Match first.
        ("If-Match: \"x\"\r\nIf-None-Match: \"p\"\r\n", "412"),
        ("If-Match: \"p\"\r\nIf-None-Match: \"p\"\r\n", "304"),
    ] {
        for method in ["GET", "HEAD"] {
            let told = statuses(format!("{method} /asset HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
            assert_eq!(told, status, "{method} {fields:?}");
        }
    }
}

/// RFC 9110, 13.1.3 to 13.1.5: an asset has no modification date and no ranges, so these are
/// ignored whatever they say.
#[test]
fn conditions_without_a_date_to_compare_are_ignored() {
    for field in [
        "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
        "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT",
        "If-Modified-Since: tomorrow",
        "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\nIf-None-Match: \"x\"",
        "If-Unmodified-Since: Sun, 06 Nov 1904 08:49:37 GMT",
        "If-Unmodified-Since: Sun, 06 Nov 1904 08:49:37 GMT\r\nIf-Match: \"p\"",
        "If-Unmodified-Since: never",
        "If-Range: \"p\"",
        "If-Range: \"x\"\r\nRange: bytes=0-0",
    ] {
        let told = statuses(format!("GET /asset HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n"));
        assert_eq!(told, "200", "{field}");
    }
}

/// RFC 9110, 13.2.1: conditions change nothing where the answer is an error, or no representation
/// is selected.
#[test]
fn conditions_are_ignored_where_nothing_is_selected() {
    for (line, status) in [
        ("GET /nothing", "404"),
        ("DELETE /asset", "405"),
        ("GET /status/403", "403"),
        ("OPTIONS *", "204"),
        ("OPTIONS /asset", "204"),
    ] {
        let told = statuses(format!(
            "{line} HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\nIf-Match: \"x\"\r\n\r\n"
        ));
        assert_eq!(told, status, "{line}");
    }
}

/// RFC 9110, 14.2 and 14.4: ranges are ignored: of any unit, with any method, in any form.
#[test]
fn ranges_are_ignored() {
    for range in ["bytes=0-0", "bytes=9999-", "bytes=-1", "bananas=1-2", "bytes=0-0,0-0,0-0", "x"] {
        let told = told(format!("GET / HTTP/1.1\r\nHost: a\r\nRange: {range}\r\n\r\n"));
        assert!(told.starts_with("HTTP/1.1 200 OK\r\n") && told.ends_with("hello"), "{told}");
    }
    let input = "POST /dump HTTP/1.1\r\nHost: a\r\nRange: bytes=0-0\r\n\
                 Content-Range: bytes 5-6/9\r\nContent-Length: 2\r\n\r\nhi";
    assert!(told(input).ends_with("|hi"));
}

/// RFC 9110, 15.3.6: "a server MUST NOT generate content in a 205 response".
#[test]
fn a_205_has_no_content() {
    for path in ["/status/205", "/empty/205"] {
        let told = told(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(told.starts_with("HTTP/1.1 205 Reset Content\r\n"), "{told}");
        assert!(told.contains("\r\nContent-Length: 0\r\n") && told.ends_with("\r\n\r\n"), "{told}");
    }
}

/// RFC 9110, 15.4.5: 304 repeats the fields that 200 would have had.
#[test]
fn a_304_has_the_fields_that_200_would_have() {
    for coding in ["", "Accept-Encoding: gzip\r\n"] {
        let ask = |condition: &str| {
            told(format!("GET /asset HTTP/1.1\r\nHost: a\r\n{coding}{condition}\r\n"))
        };
        let (full, not_modified) = (ask(""), ask("If-None-Match: *\r\n"));
        assert!(not_modified.starts_with("HTTP/1.1 304 Not Modified\r\n"), "{not_modified}");
        assert!(not_modified.ends_with("\r\n\r\n"), "{not_modified}");
        for name in ["ETag", "Cache-Control", "Vary"] {
            let line =
                |told: &str| told.lines().find(|line| line.starts_with(name)).map(str::to_owned);
            assert!(line(&full).is_some(), "{full}");
            assert_eq!(line(&full), line(&not_modified), "{name}");
        }
    }
    check(&[(
        "GET /asset HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: text/css\r\nETag: \"z\"\r\n\
         Cache-Control: no-cache\r\nVary: Accept-Encoding\r\nContent-Encoding: gzip\r\n\r\nzip",
    )]);
}
