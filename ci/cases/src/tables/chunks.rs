//! Chunks and trailers (RFC 9112, 7.1).

use super::Room;
use crate::case::Told::{Is, Lines};
use crate::case::Verdict::{Either, Refused, Taken, Unfinished};
use crate::case::{Case, Row, table};

const BAD: &[u16] = &[400];
const HUGE: &[u16] = &[400, 408, 413];

/// Bodies of `POST /echo`.
const BODIES: &[Row] = &[
    Row("one", "9112 7.1", b"5\r\nhello\r\n0\r\n\r\n", Taken(Is("hello"))),
    Row("none", "9112 7.1", b"0\r\n\r\n", Taken(Is(""))),
    Row("several", "9112 7.1", b"1\r\nh\r\n2\r\nel\r\n2\r\nlo\r\n0\r\n\r\n", Taken(Is("hello"))),
    Row(
        "lower-case hexadecimal",
        "9112 7.1",
        b"a\r\n0123456789\r\n0\r\n\r\n",
        Taken(Is("0123456789")),
    ),
    Row(
        "upper-case hexadecimal",
        "9112 7.1",
        b"A\r\n0123456789\r\n0\r\n\r\n",
        Taken(Is("0123456789")),
    ),
    Row(
        "two digits",
        "9112 7.1",
        b"1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n",
        Taken(Is("abcdefghijklmnopqrstuvwxyz")),
    ),
    Row("leading zeros", "9112 7.1", b"0005\r\nhello\r\n000\r\n\r\n", Taken(Is("hello"))),
    Row(
        "many leading zeros",
        "9112 7.1",
        b"0000000000000000000000000000005\r\nhello\r\n0\r\n\r\n",
        Either(BAD, Is("hello")),
    ),
    Row("CRLF as data", "9112 7.1", b"4\r\n\r\n\r\n\r\n0\r\n\r\n", Taken(Is("\r\n\r\n"))),
    Row(
        "a last chunk as data",
        "9112 7.1",
        b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n",
        Taken(Is("\r\n0\r\n\r\n")),
    ),
    Row("extension", "9112 7.1.1", b"5;a\r\nhello\r\n0\r\n\r\n", Taken(Is("hello"))),
    Row("extension with a value", "9112 7.1.1", b"5;a=b\r\nhello\r\n0\r\n\r\n", Taken(Is("hello"))),
    Row(
        "extension with a quoted value",
        "9112 7.1.1",
        b"5;a=\"b c;d\"\r\nhello\r\n0\r\n\r\n",
        Taken(Is("hello")),
    ),
    Row(
        "extension with a quoted pair",
        "9112 7.1.1",
        b"5;a=\"b\\\"c\"\r\nhello\r\n0\r\n\r\n",
        Taken(Is("hello")),
    ),
    Row(
        "several extensions",
        "9112 7.1.1",
        b"5;a;b=c;d=\"e\"\r\nhello\r\n0\r\n\r\n",
        Taken(Is("hello")),
    ),
    Row(
        "extension of the last chunk",
        "9112 7.1.1",
        b"5\r\nhello\r\n0;a=b\r\n\r\n",
        Taken(Is("hello")),
    ),
    Row(
        "white space before an extension",
        "9112 7.1.1",
        b"5 ;a\r\nhello\r\n0\r\n\r\n",
        Taken(Is("hello")),
    ),
    Row(
        "white space in an extension",
        "9112 7.1.1",
        b"5 \t;\t a \t=\t b\r\nhello\r\n0\r\n\r\n",
        Taken(Is("hello")),
    ),
    Row(
        "extension of obs-text",
        "9112 7.1.1",
        b"5;a=\"\xff\"\r\nhello\r\n0\r\n\r\n",
        Either(BAD, Is("hello")),
    ),
    Row("trailer", "9112 7.1.2", b"5\r\nhello\r\n0\r\nX: a\r\n\r\n", Taken(Is("hello"))),
    Row(
        "several trailers",
        "9112 7.1.2",
        b"5\r\nhello\r\n0\r\nX: a\r\nY:\r\nx: b\r\n\r\n",
        Taken(Is("hello")),
    ),
    Row(
        "trailer with much white space",
        "9112 7.1.2",
        b"5\r\nhello\r\n0\r\nX: \t a \t\r\n\r\n",
        Taken(Is("hello")),
    ),
    // Not in the grammar: refused, or ignored without another reading of what follows.
    Row(
        "white space behind a size",
        "9112 7.1",
        b"5 \r\nhello\r\n0\r\n\r\n",
        Either(BAD, Is("hello")),
    ),
    Row(
        "a semicolon and no extension",
        "9112 7.1.1",
        b"5;\r\nhello\r\n0\r\n\r\n",
        Either(BAD, Is("hello")),
    ),
    Row(
        "extension without a name",
        "9112 7.1.1",
        b"5;=a\r\nhello\r\n0\r\n\r\n",
        Either(BAD, Is("hello")),
    ),
    Row(
        "extension without its value",
        "9112 7.1.1",
        b"5;a=\r\nhello\r\n0\r\n\r\n",
        Either(BAD, Is("hello")),
    ),
    Row(
        "extension that is not closed",
        "9112 7.1.1",
        b"5;a=\"b\r\nhello\r\n0\r\n\r\n",
        Either(BAD, Is("hello")),
    ),
    Row(
        "extension with a control byte",
        "9112 7.1.1",
        b"5;a\x01\r\nhello\r\n0\r\n\r\n",
        Either(BAD, Is("hello")),
    ),
    Row(
        "extension with NUL",
        "9112 7.1.1",
        b"5;a\0\r\nhello\r\n0\r\n\r\n",
        Either(BAD, Is("hello")),
    ),
    Row(
        "forbidden trailer Content-Length",
        "9110 6.5.1",
        b"5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n",
        Either(BAD, Is("hello")),
    ),
    Row(
        "forbidden trailer Transfer-Encoding",
        "9110 6.5.1",
        b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
        Either(BAD, Is("hello")),
    ),
    Row(
        "forbidden trailer Host",
        "9110 6.5.1",
        b"5\r\nhello\r\n0\r\nHost: u\r\n\r\n",
        Either(BAD, Is("hello")),
    ),
    Row(
        "folded trailer",
        "9112 5.2",
        b"5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n",
        Either(BAD, Is("hello")),
    ),
    Row(
        "trailer with a bare LF",
        "9112 2.2",
        b"5\r\nhello\r\n0\r\nX: a\n\r\n",
        Either(BAD, Is("hello")),
    ),
    Row("no size", "9112 7.1", b"\r\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("an extension and no size", "9112 7.1", b";a\r\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("a letter that is no digit", "9112 7.1", b"g\r\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("a digit and such a letter", "9112 7.1", b"5g\r\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("words", "9112 7.1", b"hello\r\n0\r\n\r\n", Refused(BAD)),
    Row("a sign", "9112 7.1", b"+5\r\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("negative", "9112 7.1", b"-5\r\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("negative zero", "9112 7.1", b"5\r\nhello\r\n-0\r\n\r\n", Refused(BAD)),
    Row("0x", "9112 7.1", b"0x5\r\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("0X at the end", "9112 7.1", b"5\r\nhello\r\n0X0\r\n\r\n", Refused(BAD)),
    Row("an underscore", "9112 7.1", b"0_5\r\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("a space before", "9112 7.1", b" 5\r\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("a tab before", "9112 7.1", b"\t5\r\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("a space within", "9112 7.1", b"0 5\r\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("two sizes", "9112 7.1", b"5 5\r\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("a comma", "9112 7.1", b"5,5\r\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("a fraction", "9112 7.1", b"5.0\r\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("a vertical tab before", "9112 7.1", b"\x0b5\r\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("a vertical tab behind", "9112 7.1", b"5\x0b\r\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("NUL behind", "9112 7.1", b"5\0\r\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("obs-text", "9112 7.1", b"\xb2\r\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("2^32 + 5", "9112 7.1", b"100000005\r\nhello\r\n0\r\n\r\n", Unfinished(HUGE)),
    Row("2^63", "9112 7.1", b"8000000000000000\r\nhello\r\n0\r\n\r\n", Unfinished(HUGE)),
    Row("2^64 - 1", "9112 7.1", b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n", Unfinished(HUGE)),
    Row("2^64", "9112 7.1", b"10000000000000000\r\nhello\r\n0\r\n\r\n", Refused(HUGE)),
    Row("2^64 + 5", "9112 7.1", b"10000000000000005\r\nhello\r\n0\r\n\r\n", Refused(HUGE)),
    Row(
        "2^128 + 5",
        "9112 7.1",
        b"100000000000000000000000000000005\r\nhello\r\n0\r\n\r\n",
        Refused(HUGE),
    ),
    Row(
        "a second one of 2^64 - 5",
        "9112 7.1",
        b"5\r\nhello\r\nfffffffffffffffb\r\n\r\n",
        Unfinished(HUGE),
    ),
    Row("LF behind a size", "9112 7.1", b"5\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("CR behind a size", "9112 7.1", b"5\rhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("CR CR LF behind a size", "9112 7.1", b"5\r\r\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("LF within an extension", "9112 7.1.1", b"5;a\nb\r\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("LF behind an extension", "9112 7.1.1", b"5;a\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("CR within an extension", "9112 7.1.1", b"5;a\rb\r\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row(
        "LF within a quoted value",
        "9112 7.1.1",
        b"5;a=\"\n\"\r\nhello\r\n0\r\n\r\n",
        Refused(BAD),
    ),
    Row("no CRLF behind the data", "9112 7.1", b"5\r\nhello0\r\n\r\n", Refused(BAD)),
    Row("LF behind the data", "9112 7.1", b"5\r\nhello\n0\r\n\r\n", Refused(BAD)),
    Row("CR behind the data", "9112 7.1", b"5\r\nhello\r0\r\n\r\n", Refused(BAD)),
    Row("LF CR behind the data", "9112 7.1", b"5\r\nhello\n\r0\r\n\r\n", Refused(BAD)),
    Row("two bytes that are no CRLF", "9112 7.1", b"5\r\nhelloXX0\r\n\r\n", Refused(BAD)),
    Row("two CRLFs behind the data", "9112 7.1", b"5\r\nhello\r\n\r\n0\r\n\r\n", Refused(BAD)),
    Row("data longer than its size", "9112 7.1", b"4\r\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("data shorter than its size", "9112 7.1", b"6\r\nhello\r\n0\r\n\r\n", Refused(BAD)),
    Row("no CRLF behind the last chunk", "9112 7.1", b"5\r\nhello\r\n0\r\n", Refused(BAD)),
    Row("LF behind the last chunk", "9112 7.1", b"5\r\nhello\r\n0\n\r\n", Refused(BAD)),
    Row("LF at the end", "9112 7.1", b"5\r\nhello\r\n0\r\n\n", Either(BAD, Is("hello"))),
    Row("CR at the end", "9112 7.1", b"5\r\nhello\r\n0\r\n\r", Refused(BAD)),
    Row(
        "trailer with a space before its colon",
        "9112 5.1",
        b"5\r\nhello\r\n0\r\nX : a\r\n\r\n",
        Refused(BAD),
    ),
    Row("trailer without a colon", "9112 5", b"5\r\nhello\r\n0\r\nX\r\n\r\n", Refused(BAD)),
    Row("trailer without a name", "9112 5", b"5\r\nhello\r\n0\r\n: a\r\n\r\n", Refused(BAD)),
    Row(
        "trailer with NUL in its name",
        "9112 5",
        b"5\r\nhello\r\n0\r\nX\0: a\r\n\r\n",
        Refused(BAD),
    ),
    Row(
        "trailer with NUL",
        "9110 5.5",
        b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n",
        Either(BAD, Is("hello")),
    ),
    Row(
        "trailer with a bare CR",
        "9112 2.2",
        b"5\r\nhello\r\n0\r\nX: a\rb\r\n\r\n",
        Either(BAD, Is("hello")),
    ),
    Row(
        "trailer that begins with a space",
        "9112 5.2",
        b"5\r\nhello\r\n0\r\n X: a\r\n\r\n",
        Either(BAD, Is("hello")),
    ),
];

/// Bodies of `POST /dump`: what a trailer must not do to the fields.
const DUMPED: &[Row] = &[
    Row(
        "a trailer is no field",
        "9110 6.5.1",
        b"5\r\nhello\r\n0\r\nX: evil\r\n\r\n",
        Taken(Lines(&["h.x=own", "body=5"])),
    ),
    Row(
        "a trailer is no Host",
        "9110 6.5.1",
        b"5\r\nhello\r\n0\r\nHost: evil\r\n\r\n",
        Either(BAD, Lines(&["h.host=t", "body=5"])),
    ),
];

pub(super) fn add(cases: &mut Vec<Case>, room: &Room) {
    let before = "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
    table(cases, "framing/chunk", before, BODIES, "");
    let before = "POST /dump HTTP/1.1\r\nHost: t\r\nX: own\r\nTransfer-Encoding: chunked\r\n\r\n";
    table(cases, "framing/chunk", before, DUMPED, "");
    sized(cases, room);
}

/// Those whose bytes depend on what the server has room for.
fn sized(cases: &mut Vec<Case>, room: &Room) {
    let head = b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let mut add = |name: &str, section, body: String, verdict| {
        let request = [&head[..], body.as_bytes()].concat();
        cases.push(Case::of(format!("framing/chunk/{name}"), section, request, verdict));
    };
    let many = room.head_exceeds;
    let over: &[u16] = &[400, 413, 431];
    let fits = "a".repeat(100);
    let quoted = format!("5;a=\"{fits}\"\r\nhello\r\n0\r\n\r\n");
    add("an extension of 100 bytes", "9112 7.1.1", quoted, Taken(Is("hello")));
    let huge = format!("5;a={}\r\nhello\r\n0\r\n\r\n", "a".repeat(many));
    add("a huge extension", "9112 7.1.1", huge, Refused(over));
    let size = format!("{}5\r\nhello\r\n0\r\n\r\n", "0".repeat(many));
    add("a huge size", "9112 7.1", size, Refused(over));
    let trailer = format!("5\r\nhello\r\n0\r\nX: {}\r\n\r\n", "a".repeat(many));
    add("a huge trailer", "9112 7.1.2", trailer, Refused(over));
    let trailers = format!("5\r\nhello\r\n0\r\n{}\r\n", "X: a\r\n".repeat(room.fields_exceed * 10));
    add("very many trailers", "9112 7.1.2", trailers, Refused(over));
    // Extensions that are many times the data they belong to (CVE-2023-39326).
    let chunk = format!("1;a={}\r\nx\r\n", "a".repeat(200));
    let spread = format!("{}0\r\n\r\n", chunk.repeat(many / 100));
    let all: &'static str = Box::leak("x".repeat(many / 100).into_boxed_str());
    add("extensions beyond the data", "9112 7.1.1", spread, Either(over, Is(all)));
}
