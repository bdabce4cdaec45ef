//! `Host` (RFC 9112, 3.2; RFC 9110, 7.2).

use crate::case::Told::Lines;
use crate::case::Verdict::{Either, EitherLast, Last, Refused, Taken};
use crate::case::{Case, Row, table};

const BAD: &[u16] = &[400];

/// Field lines of `GET /dump HTTP/1.1`.
const HOSTS: &[Row] = &[
    Row("missing", "9112 3.2", b"", Refused(BAD)),
    Row("missing among others", "9112 3.2", b"X: a\r\n", Refused(BAD)),
    Row("twice, equal", "9112 3.2", b"Host: t\r\nHost: t\r\n", Refused(BAD)),
    Row("twice, different", "9112 3.2", b"Host: t\r\nHost: u\r\n", Refused(BAD)),
    Row("twice, in two cases", "9112 3.2", b"Host: t\r\nX: a\r\nhOST: t\r\n", Refused(BAD)),
    Row("twice, one empty", "9112 3.2", b"Host: t\r\nHost:\r\n", Refused(BAD)),
    Row("empty", "9112 3.2", b"Host:\r\n", Either(BAD, Lines(&["h.host="]))),
    Row("with a port", "9110 7.2", b"Host: t:80\r\n", Taken(Lines(&["h.host=t:80"]))),
    Row("with an empty port", "9110 7.2", b"Host: t:\r\n", Taken(Lines(&["h.host=t:"]))),
    Row(
        "with labels",
        "9110 7.2",
        b"Host: a.b-c.d_e.example\r\n",
        Taken(Lines(&["h.host=a.b-c.d_e.example"])),
    ),
    Row(
        "with a closing dot",
        "9110 7.2",
        b"Host: example.com.\r\n",
        Taken(Lines(&["h.host=example.com."])),
    ),
    Row(
        "in upper case",
        "9110 7.2",
        b"HOST: EXAMPLE.COM\r\n",
        Taken(Lines(&["h.host=EXAMPLE.COM"])),
    ),
    Row("IPv4", "9110 7.2", b"Host: 127.0.0.1:8080\r\n", Taken(Lines(&["h.host=127.0.0.1:8080"]))),
    Row("IPv6", "9110 7.2", b"Host: [::1]\r\n", Taken(Lines(&["h.host=[::1]"]))),
    Row(
        "IPv6 with a port",
        "9110 7.2",
        b"Host: [2001:db8::1]:443\r\n",
        Taken(Lines(&["h.host=[2001:db8::1]:443"])),
    ),
    Row(
        "percent-encoded",
        "9110 7.2",
        b"Host: %41.example\r\n",
        Either(BAD, Lines(&["method=GET"])),
    ),
    Row(
        "with sub-delimiters",
        "9110 7.2",
        b"Host: a!$&'()*+;=b\r\n",
        Either(BAD, Lines(&["method=GET"])),
    ),
    Row("with a comma", "9110 7.2", b"Host: a,b\r\n", Either(BAD, Lines(&["method=GET"]))),
    Row(
        "with a port beyond 65535",
        "9110 7.2",
        b"Host: t:99999\r\n",
        Either(BAD, Lines(&["method=GET"])),
    ),
    Row("with a space", "9112 3.2", b"Host: a b\r\n", Refused(BAD)),
    Row("a list with a space", "9112 3.2", b"Host: a, b\r\n", Refused(BAD)),
    Row("with a tab", "9112 3.2", b"Host: a\tb\r\n", Refused(BAD)),
    Row("with a path", "9112 3.2", b"Host: a/b\r\n", Refused(BAD)),
    Row("with a query", "9112 3.2", b"Host: a?b\r\n", Refused(BAD)),
    Row("with a fragment", "9112 3.2", b"Host: a#b\r\n", Refused(BAD)),
    Row("with a user", "9112 3.2", b"Host: u@a\r\n", Refused(BAD)),
    Row("with a scheme", "9112 3.2", b"Host: http://a\r\n", Refused(BAD)),
    Row("with a backslash", "9112 3.2", b"Host: a\\b\r\n", Refused(BAD)),
    Row("with quotation marks", "9112 3.2", b"Host: \"a\"\r\n", Refused(BAD)),
    Row("with angle brackets", "9112 3.2", b"Host: <a>\r\n", Refused(BAD)),
    Row("with braces", "9112 3.2", b"Host: {a}\r\n", Refused(BAD)),
    Row("with obs-text", "9112 3.2", b"Host: \xe4\r\n", Refused(BAD)),
    Row("with NUL", "9112 3.2", b"Host: a\0\r\n", Refused(BAD)),
    Row("with a malformed port", "9112 3.2", b"Host: a:b\r\n", Refused(BAD)),
    Row("with a negative port", "9112 3.2", b"Host: a:-1\r\n", Refused(BAD)),
    Row("with two ports", "9112 3.2", b"Host: a:80:81\r\n", Refused(BAD)),
    Row("bare IPv6", "9112 3.2", b"Host: ::1\r\n", Refused(BAD)),
    Row("IPv6 that is not closed", "9112 3.2", b"Host: [::1\r\n", Refused(BAD)),
    Row("IPv6 and more", "9112 3.2", b"Host: [::1]a\r\n", Refused(BAD)),
    Row("brackets and no address", "9112 3.2", b"Host: [a b]\r\n", Refused(BAD)),
    Row("a malformed percent-encoding", "9112 3.2", b"Host: a%zz\r\n", Refused(BAD)),
    Row("with a space before the colon", "9112 5.1", b"Host : t\r\n", Refused(BAD)),
];

/// The same of HTTP/1.0, whose requests need no `Host`.
const OLD: &[Row] = &[
    Row("1.0, missing", "9112 3.2", b"", Last(Lines(&["version=1.0"]))),
    Row("1.0, there", "9112 3.2", b"Host: t\r\n", Last(Lines(&["version=1.0", "h.host=t"]))),
    Row("1.0, twice", "9112 3.2", b"Host: t\r\nHost: u\r\n", Refused(BAD)),
    Row("1.0, malformed", "9112 3.2", b"Host: a b\r\n", Refused(BAD)),
    Row("1.0, empty", "9112 3.2", b"Host:\r\n", EitherLast(BAD, Lines(&["h.host="]))),
];

pub(super) fn add(cases: &mut Vec<Case>) {
    table(cases, "framing/host", "GET /dump HTTP/1.1\r\n", HOSTS, "\r\n");
    table(cases, "framing/host", "GET /dump HTTP/1.0\r\n", OLD, "\r\n");
}
