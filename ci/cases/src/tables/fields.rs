//! Field lines: names, values, folding, line ends (RFC 9112, 2.2 and 5; RFC 9110, 5).

use crate::case::Told::Lines;
use crate::case::Verdict::{Either, Refused, Taken};
use crate::case::{Case, Row, table};

const BAD: &[u16] = &[400];

/// One field line or more, behind `GET /dump` and a `Host`.
const FIELDS: &[Row] = &[
    Row("plain", "9112 5", b"X: a\r\n", Taken(Lines(&["h.host=t", "h.x=a"]))),
    Row("no white space", "9112 5", b"X:a\r\n", Taken(Lines(&["h.x=a"]))),
    Row("much white space", "9112 5.1", b"X:  \t \t a \t \t \r\n", Taken(Lines(&["h.x=a"]))),
    Row("white space within", "9112 5.1", b"X: a b\r\n", Taken(Lines(&["h.x=a b"]))),
    Row("empty value", "9110 5.5", b"X:\r\n", Taken(Lines(&["h.x="]))),
    Row("value of white space", "9110 5.5", b"X: \t \r\n", Taken(Lines(&["h.x="]))),
    Row("value with colons", "9110 5.5", b"X: a:b::c\r\n", Taken(Lines(&["h.x=a:b::c"]))),
    Row(
        "value of every visible character",
        "9110 5.5",
        b"X: !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~\r\n",
        Taken(Lines(&["h.x=!\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~"])),
    ),
    Row(
        "value that looks like a request",
        "9110 5.5",
        b"X: GET / HTTP/1.1\r\n",
        Taken(Lines(&["h.x=GET / HTTP/1.1"])),
    ),
    Row("value with obs-text", "9110 5.5", b"X: a\xffb\r\n", Either(BAD, Lines(&["method=GET"]))),
    Row(
        "value with UTF-8",
        "9110 5.5",
        b"X: \xe2\x82\xac\r\n",
        Either(BAD, Lines(&["method=GET"])),
    ),
    Row(
        "name of every token character",
        "9110 5.1",
        b"!#$%&'*+-.^_`|~: a\r\n",
        Taken(Lines(&["h.!#$%&'*+-.^_`|~=a"])),
    ),
    Row("name of digits", "9110 5.1", b"123: a\r\n", Taken(Lines(&["h.123=a"]))),
    Row("name in upper case", "9110 5.1", b"X-UPPER: a\r\n", Taken(Lines(&["h.x-upper=a"]))),
    Row("name with a hyphen first", "9110 5.1", b"-x: a\r\n", Taken(Lines(&["h.-x=a"]))),
    Row("two of one name", "9110 5.3", b"X: 1\r\nx: 2\r\n", Taken(Lines(&["h.x=1", "h.x=2"]))),
    Row("no field at all but Host", "9112 5", b"", Taken(Lines(&["h.host=t"]))),
    // A server must refuse white space before the colon.
    Row("space before the colon", "9112 5.1", b"X : a\r\n", Refused(BAD)),
    Row("tab before the colon", "9112 5.1", b"X\t: a\r\n", Refused(BAD)),
    Row("space before the colon of a length", "9112 5.1", b"Content-Length : 5\r\n", Refused(BAD)),
    Row(
        "space before the colon of a coding",
        "9112 5.1",
        b"Transfer-Encoding : chunked\r\n",
        Refused(BAD),
    ),
    Row("space within a name", "9112 5.1", b"X Y: a\r\n", Refused(BAD)),
    Row("no name", "9112 5", b": a\r\n", Refused(BAD)),
    Row("no colon", "9112 5", b"X\r\n", Refused(BAD)),
    Row("no colon, with spaces", "9112 5", b"X a b\r\n", Refused(BAD)),
    Row("only a colon", "9112 5", b":\r\n", Refused(BAD)),
    Row("name with (", "9110 5.1", b"X(: a\r\n", Refused(BAD)),
    Row("name with )", "9110 5.1", b"X): a\r\n", Refused(BAD)),
    Row("name with ,", "9110 5.1", b"X,Y: a\r\n", Refused(BAD)),
    Row("name with /", "9110 5.1", b"X/Y: a\r\n", Refused(BAD)),
    Row("name with ;", "9110 5.1", b"X;Y: a\r\n", Refused(BAD)),
    Row("name with <", "9110 5.1", b"<X: a\r\n", Refused(BAD)),
    Row("name with >", "9110 5.1", b"X>: a\r\n", Refused(BAD)),
    Row("name with =", "9110 5.1", b"X=Y: a\r\n", Refused(BAD)),
    Row("name with ?", "9110 5.1", b"X?: a\r\n", Refused(BAD)),
    Row("name with @", "9110 5.1", b"X@Y: a\r\n", Refused(BAD)),
    Row("name with [", "9110 5.1", b"X[: a\r\n", Refused(BAD)),
    Row("name with backslash", "9110 5.1", b"X\\: a\r\n", Refused(BAD)),
    Row("name with ]", "9110 5.1", b"X]: a\r\n", Refused(BAD)),
    Row("name with {", "9110 5.1", b"X{: a\r\n", Refused(BAD)),
    Row("name with }", "9110 5.1", b"X}: a\r\n", Refused(BAD)),
    Row("name with \"", "9110 5.1", b"\"X\": a\r\n", Refused(BAD)),
    Row("name with NUL", "9110 5.1", b"X\0: a\r\n", Refused(BAD)),
    Row("name with a control byte", "9110 5.1", b"X\x01: a\r\n", Refused(BAD)),
    Row("name with a vertical tab", "9110 5.1", b"X\x0b: a\r\n", Refused(BAD)),
    Row("name with DEL", "9110 5.1", b"X\x7f: a\r\n", Refused(BAD)),
    Row("name with obs-text", "9110 5.1", b"X\xe4: a\r\n", Refused(BAD)),
    Row("name with bare CR", "9112 2.2", b"X\rY: a\r\n", Refused(BAD)),
    Row("name with bare LF", "9112 2.2", b"X\nY: a\r\n", Refused(BAD)),
    // In values CR, LF and NUL are refused or become spaces; other control bytes may be kept.
    Row("value with NUL", "9110 5.5", b"X: a\0b\r\n", Either(BAD, Lines(&["h.x=a b"]))),
    Row("value with bare CR", "9110 5.5", b"X: a\rb\r\n", Either(BAD, Lines(&["h.x=a b"]))),
    Row("value with bare CR at its end", "9112 2.2", b"X: a\r\r\n", Either(BAD, Lines(&["h.x=a"]))),
    Row(
        "value with bare CR at its start",
        "9112 2.2",
        b"X:\ra\r\n",
        Either(BAD, Lines(&["h.x=a"])),
    ),
    Row(
        "value with a control byte",
        "9110 5.5",
        b"X: a\x01b\r\n",
        Either(BAD, Lines(&["method=GET"])),
    ),
    Row("value with a bell", "9110 5.5", b"X: a\x07\r\n", Either(BAD, Lines(&["method=GET"]))),
    Row(
        "value with a vertical tab",
        "9110 5.5",
        b"X: a\x0bb\r\n",
        Either(BAD, Lines(&["method=GET"])),
    ),
    Row("value with escape", "9110 5.5", b"X: a\x1bb\r\n", Either(BAD, Lines(&["method=GET"]))),
    Row("value with DEL", "9110 5.5", b"X: a\x7fb\r\n", Either(BAD, Lines(&["method=GET"]))),
    Row("value with a tab", "9110 5.5", b"X: a\tb\r\n", Taken(Lines(&["h.x=a\tb"]))),
    // A server may take a bare LF for the end of a line.
    Row("bare LF", "9112 2.2", b"X: a\n", Either(BAD, Lines(&["h.x=a"]))),
    Row(
        "bare LF and another field",
        "9112 2.2",
        b"X: a\nY: b\r\n",
        Either(BAD, Lines(&["h.x=a", "h.y=b"])),
    ),
    Row("bare LF behind an empty value", "9112 2.2", b"X:\n", Either(BAD, Lines(&["h.x="]))),
    Row("LF CR", "9112 2.2", b"X: a\n\rY: b\r\n", Refused(BAD)),
    // Folding is refused or becomes spaces.
    Row("folded by a space", "9112 5.2", b"X: a\r\n b\r\n", Either(BAD, Lines(&["h.x=a b"]))),
    Row("folded by a tab", "9112 5.2", b"X: a\r\n\tb\r\n", Either(BAD, Lines(&["h.x=a b"]))),
    Row("folded twice", "9112 5.2", b"X: a\r\n b\r\n c\r\n", Either(BAD, Lines(&["h.x=a b c"]))),
    Row("folded at its start", "9112 5.2", b"X:\r\n a\r\n", Either(BAD, Lines(&["h.x=a"]))),
    Row("folded into nothing", "9112 5.2", b"X: a\r\n \r\n", Either(BAD, Lines(&["h.x=a"]))),
    Row("folded behind Host", "9112 5.2", b" X: a\r\n", Refused(BAD)),
    Row(
        "folded into a coding",
        "9112 5.2",
        b"X: a\r\n Transfer-Encoding: chunked\r\n",
        Either(BAD, Lines(&["h.x=a Transfer-Encoding: chunked"])),
    ),
    Row(
        "folded into a length",
        "9112 5.2",
        b"X: a\r\n\tContent-Length: 50\r\n",
        Either(BAD, Lines(&["h.x=a Content-Length: 50"])),
    ),
    Row("bare LF folded", "9112 5.2", b"X: a\n b\r\n", Either(BAD, Lines(&["h.x=a b"]))),
];

/// Everything behind a request line.
const HEADS: &[Row] = &[
    // Refused, or ignored with everything up to the first well-formed field line.
    Row(
        "a space before the first field",
        "9112 2.2",
        b" X: a\r\nHost: t\r\n\r\n",
        Either(BAD, Lines(&["h.host=t"])),
    ),
    Row(
        "a tab before the first field",
        "9112 2.2",
        b"\tX: a\r\nHost: t\r\n\r\n",
        Either(BAD, Lines(&["h.host=t"])),
    ),
    Row("a space before the only field", "9112 2.2", b" Host: t\r\n\r\n", Refused(BAD)),
    Row(
        "a line of white space first",
        "9112 2.2",
        b" \r\nHost: t\r\n\r\n",
        Either(BAD, Lines(&["h.host=t"])),
    ),
    Row(
        "a head that ends with a bare LF",
        "9112 2.2",
        b"Host: t\r\n\n",
        Either(BAD, Lines(&["h.host=t"])),
    ),
    Row("a head that ends with two", "9112 2.2", b"Host: t\n\n", Either(BAD, Lines(&["h.host=t"]))),
    Row(
        "a head that ends with LF CRLF",
        "9112 2.2",
        b"Host: t\n\r\n",
        Either(BAD, Lines(&["h.host=t"])),
    ),
    Row(
        "a head that ends with CR CR LF",
        "9112 2.2",
        b"Host: t\r\n\r\r\n",
        Either(BAD, Lines(&["h.host=t"])),
    ),
    Row("a head that ends with bare CRs", "9112 2.2", b"Host: t\r\r", Refused(BAD)),
    Row("a bare CR before a field", "9112 2.2", b"Host: t\r\n\rX: a\r\n\r\n", Refused(BAD)),
];

pub(super) fn add(cases: &mut Vec<Case>) {
    let host = "GET /dump HTTP/1.1\r\nHost: t\r\n";
    table(cases, "framing/field", host, FIELDS, "\r\n");
    table(cases, "framing/fields", "GET /dump HTTP/1.1\r\n", HEADS, "");
}
