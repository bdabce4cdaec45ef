//! `Content-Length` (RFC 9110, 8.6; RFC 9112, 6.2 and 6.3).

use crate::case::Told::{Is, Lines};
use crate::case::Verdict::{Either, Last, Refused, Taken};
use crate::case::{Case, Row, table};

const BAD: &[u16] = &[400];
/// A length that no server waits for.
const HUGE: &[u16] = &[400, 413];

/// Field lines of `POST /echo`, behind which `hello` follows.
const LENGTHS: &[Row] = &[
    Row("plain", "9110 8.6", b"Content-Length: 5\r\n", Taken(Is("hello"))),
    Row("no white space", "9110 8.6", b"Content-Length:5\r\n", Taken(Is("hello"))),
    Row("much white space", "9110 8.6", b"Content-Length: \t 5 \t\r\n", Taken(Is("hello"))),
    Row("lower case", "9110 8.6", b"content-length: 5\r\n", Taken(Is("hello"))),
    Row("upper case", "9110 8.6", b"CONTENT-LENGTH: 5\r\n", Taken(Is("hello"))),
    Row("leading zeros", "9110 8.6", b"Content-Length: 005\r\n", Taken(Is("hello"))),
    Row(
        "many leading zeros",
        "9110 8.6",
        b"Content-Length: 00000000000000000000000000000005\r\n",
        Either(BAD, Is("hello")),
    ),
    Row(
        "twice, equal",
        "9110 8.6",
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        Either(BAD, Is("hello")),
    ),
    Row("a list, equal", "9110 8.6", b"Content-Length: 5, 5\r\n", Either(BAD, Is("hello"))),
    Row("a list of an empty one", "9110 8.6", b"Content-Length: 5,\r\n", Either(BAD, Is("hello"))),
    Row(
        "a list that begins empty",
        "9110 8.6",
        b"Content-Length: ,5\r\n",
        Either(BAD, Is("hello")),
    ),
    Row(
        "twice, less first",
        "9112 6.3",
        b"Content-Length: 4\r\nContent-Length: 5\r\n",
        Refused(BAD),
    ),
    Row(
        "twice, more first",
        "9112 6.3",
        b"Content-Length: 5\r\nContent-Length: 4\r\n",
        Refused(BAD),
    ),
    Row("twice, one zero", "9112 6.3", b"Content-Length: 0\r\nContent-Length: 5\r\n", Refused(BAD)),
    Row("twice, one empty", "9112 6.3", b"Content-Length: 5\r\nContent-Length:\r\n", Refused(BAD)),
    Row(
        "twice, one malformed",
        "9112 6.3",
        b"Content-Length: 5\r\nContent-Length: x\r\n",
        Refused(BAD),
    ),
    Row(
        "twice in two cases",
        "9112 6.3",
        b"Content-Length: 5\r\ncontent-length: 6\r\n",
        Refused(BAD),
    ),
    Row("a list, different", "9112 6.3", b"Content-Length: 5, 6\r\n", Refused(BAD)),
    Row("a list, different, no space", "9112 6.3", b"Content-Length: 6,5\r\n", Refused(BAD)),
    Row("empty", "9112 6.3", b"Content-Length:\r\n", Refused(BAD)),
    Row("white space", "9112 6.3", b"Content-Length: \t\r\n", Refused(BAD)),
    Row("letters", "9112 6.3", b"Content-Length: five\r\n", Refused(BAD)),
    Row("a sign", "9112 6.3", b"Content-Length: +5\r\n", Refused(BAD)),
    Row("negative", "9112 6.3", b"Content-Length: -5\r\n", Refused(BAD)),
    Row("negative zero", "9112 6.3", b"Content-Length: -0\r\n", Refused(BAD)),
    Row(
        "negative and very long",
        "9112 6.3",
        b"Content-Length: -123456789123456789123456789\r\n",
        Refused(BAD),
    ),
    Row("0x", "9112 6.3", b"Content-Length: 0x5\r\n", Refused(BAD)),
    Row("hexadecimal", "9112 6.3", b"Content-Length: A\r\n", Refused(BAD)),
    Row("a fraction", "9112 6.3", b"Content-Length: 5.0\r\n", Refused(BAD)),
    Row("an exponent", "9112 6.3", b"Content-Length: 5e0\r\n", Refused(BAD)),
    Row("an underscore", "9112 6.3", b"Content-Length: 0_5\r\n", Refused(BAD)),
    Row("two numbers", "9112 6.3", b"Content-Length: 5 5\r\n", Refused(BAD)),
    Row("a number and a letter", "9112 6.3", b"Content-Length: 5a\r\n", Refused(BAD)),
    Row("a parameter", "9112 6.3", b"Content-Length: 5;a=b\r\n", Refused(BAD)),
    Row("quotation marks", "9112 6.3", b"Content-Length: \"5\"\r\n", Refused(BAD)),
    Row("a digit that is not ASCII", "9112 6.3", b"Content-Length: \xd9\xa5\r\n", Refused(BAD)),
    Row("a vertical tab before", "9112 6.3", b"Content-Length: \x0b5\r\n", Refused(BAD)),
    Row("a form feed behind", "9112 6.3", b"Content-Length: 5\x0c\r\n", Refused(BAD)),
    Row("NUL behind", "9112 6.3", b"Content-Length: 5\0\r\n", Refused(BAD)),
    Row("a bare CR behind", "9112 6.3", b"Content-Length: 5\r\r\n", Either(BAD, Is("hello"))),
    Row("a bare CR within", "9112 6.3", b"Content-Length: 5\r5\r\n", Refused(BAD)),
    Row("folded", "9112 5.2", b"Content-Length:\r\n 5\r\n", Either(BAD, Is("hello"))),
    Row("folded within", "9112 5.2", b"Content-Length: 1\r\n 5\r\n", Refused(BAD)),
    Row("2^32 + 5", "9110 15.5.14", b"Content-Length: 4294967301\r\n", Refused(HUGE)),
    Row("2^63 - 1", "9110 15.5.14", b"Content-Length: 9223372036854775807\r\n", Refused(HUGE)),
    Row("2^63", "9110 15.5.14", b"Content-Length: 9223372036854775808\r\n", Refused(HUGE)),
    Row("2^64 - 1", "9110 15.5.14", b"Content-Length: 18446744073709551615\r\n", Refused(HUGE)),
    Row("2^64", "9110 8.6", b"Content-Length: 18446744073709551616\r\n", Refused(HUGE)),
    Row("2^64 + 5", "9110 8.6", b"Content-Length: 18446744073709551621\r\n", Refused(HUGE)),
    Row(
        "2^128 + 5",
        "9110 8.6",
        b"Content-Length: 340282366920938463463374607431768211461\r\n",
        Refused(HUGE),
    ),
    Row(
        "10^60",
        "9110 8.6",
        b"Content-Length: 1000000000000000000000000000000000000000000000000000000000000\r\n",
        Refused(HUGE),
    ),
    Row(
        "of another name",
        "9110 8.6",
        b"Content_Length: 50\r\nContent-Length: 5\r\n",
        Taken(Is("hello")),
    ),
];

/// Whole requests.
const WHOLE: &[Row] = &[
    Row(
        "zero",
        "9110 8.6",
        b"POST /dump HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n",
        Taken(Lines(&["method=POST", "body=0"])),
    ),
    Row(
        "none of a POST",
        "9112 6.3",
        b"POST /dump HTTP/1.1\r\nHost: t\r\n\r\n",
        Taken(Lines(&["body=0"])),
    ),
    Row(
        "of a GET",
        "9110 9.3.1",
        b"GET /dump HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello",
        Taken(Lines(&["method=GET", "body=5"])),
    ),
    Row(
        "of a DELETE",
        "9110 9.3.5",
        b"DELETE /dump HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello",
        Taken(Lines(&["method=DELETE", "body=5"])),
    ),
    Row(
        "of an OPTIONS",
        "9110 9.3.7",
        b"OPTIONS /dump HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello",
        Taken(Lines(&["method=OPTIONS", "body=5"])),
    ),
    Row(
        "of a request in the body",
        "9112 6.3",
        b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 27\r\n\r\n\
          GET / HTTP/1.1\r\nHost: t\r\n\r\n",
        Taken(Is("GET / HTTP/1.1\r\nHost: t\r\n\r\n")),
    ),
    Row(
        "of HTTP/1.0",
        "9112 6.3",
        b"POST /dump HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello",
        Last(Lines(&["version=1.0", "body=5"])),
    ),
    Row(
        "less than what is sent",
        "9112 6.3",
        b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nhel",
        Taken(Is("hel")),
    ),
];

pub(super) fn add(cases: &mut Vec<Case>) {
    let before = "POST /echo HTTP/1.1\r\nHost: t\r\n";
    table(cases, "framing/length", before, LENGTHS, "\r\nhello");
    table(cases, "framing/length", "", WHOLE, "");
}
