//! `Transfer-Encoding` (RFC 9112, 6.1 and 6.3): who hides what behind it.

use crate::case::Told::{Is, Lines};
use crate::case::Verdict::{Either, EitherLast, Refused, Taken};
use crate::case::{Case, Row, table};

/// Malformed, or a coding that the server does not know.
const BAD: &[u16] = &[400, 501];
const FRAMING: &[u16] = &[400];

/// Field lines of `POST /echo`, behind which chunks with `hello` follow.
const CODINGS: &[Row] = &[
    Row("chunked", "9112 7.1", b"Transfer-Encoding: chunked\r\n", Taken(Is("hello"))),
    Row("mixed case", "9112 7", b"Transfer-Encoding: ChUnKeD\r\n", Taken(Is("hello"))),
    Row("name in lower case", "9112 6.1", b"transfer-encoding: chunked\r\n", Taken(Is("hello"))),
    Row("name in upper case", "9112 6.1", b"TRANSFER-ENCODING: CHUNKED\r\n", Taken(Is("hello"))),
    Row("no white space", "9112 6.1", b"Transfer-Encoding:chunked\r\n", Taken(Is("hello"))),
    Row(
        "much white space",
        "9112 6.1",
        b"Transfer-Encoding: \t chunked \t \r\n",
        Taken(Is("hello")),
    ),
    Row(
        "with TE",
        "9110 10.1.4",
        b"TE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n",
        Taken(Is("hello")),
    ),
    Row(
        "with Trailer",
        "9110 6.6.2",
        b"Trailer: X\r\nTransfer-Encoding: chunked\r\n",
        Taken(Is("hello")),
    ),
    Row(
        "an empty element behind",
        "9110 5.6.1",
        b"Transfer-Encoding: chunked,\r\n",
        Either(BAD, Is("hello")),
    ),
    Row(
        "an empty element before",
        "9110 5.6.1",
        b"Transfer-Encoding: , chunked\r\n",
        Either(BAD, Is("hello")),
    ),
    // Both fields: refused, or the coding alone counts and the connection ends.
    Row(
        "before a length",
        "9112 6.3",
        b"Transfer-Encoding: chunked\r\nContent-Length: 15\r\n",
        EitherLast(FRAMING, Is("hello")),
    ),
    Row(
        "behind a length",
        "9112 6.3",
        b"Content-Length: 15\r\nTransfer-Encoding: chunked\r\n",
        EitherLast(FRAMING, Is("hello")),
    ),
    Row(
        "with a short length",
        "9112 6.3",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        EitherLast(FRAMING, Is("hello")),
    ),
    Row(
        "with a zero length",
        "9112 6.3",
        b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        EitherLast(FRAMING, Is("hello")),
    ),
    Row(
        "with a long length",
        "9112 6.3",
        b"Transfer-Encoding: chunked\r\nContent-Length: 60\r\n",
        EitherLast(FRAMING, Is("hello")),
    ),
    Row(
        "with a length, in mixed case",
        "9112 6.3",
        b"content-LengtH: 5\r\nTransFer-Encoding: Chunked\r\n",
        EitherLast(FRAMING, Is("hello")),
    ),
    Row(
        "with a malformed length",
        "9112 6.3",
        b"Content-Length: x\r\nTransfer-Encoding: chunked\r\n",
        EitherLast(FRAMING, Is("hello")),
    ),
    Row(
        "with two lengths",
        "9112 6.3",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        EitherLast(FRAMING, Is("hello")),
    ),
    Row(
        "identity, with a length",
        "9112 6.3",
        b"Transfer-Encoding: identity\r\nContent-Length: 15\r\n",
        Refused(BAD),
    ),
    Row(
        "gzip, with a length",
        "9112 6.3",
        b"Transfer-Encoding: gzip\r\nContent-Length: 15\r\n",
        Refused(BAD),
    ),
    Row(
        "xchunked, with a length",
        "9112 6.3",
        b"Transfer-Encoding: xchunked\r\nContent-Length: 15\r\n",
        Refused(BAD),
    ),
    Row(
        "empty, with a length",
        "9112 6.3",
        b"Transfer-Encoding:\r\nContent-Length: 15\r\n",
        Either(BAD, Is("5\r\nhello\r\n0\r\n\r\n")),
    ),
    Row("chunked twice", "9112 7.1", b"Transfer-Encoding: chunked, chunked\r\n", Refused(BAD)),
    Row(
        "chunked in two fields",
        "9112 7.1",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        Refused(BAD),
    ),
    Row(
        "chunked in two fields and cases",
        "9112 7.1",
        b"Transfer-Encoding: chunked\r\ntransfer-encoding: CHUNKED\r\n",
        Refused(BAD),
    ),
    Row("identity", "9112 6.1", b"Transfer-Encoding: identity\r\n", Refused(BAD)),
    Row("identity, chunked", "9112 6.1", b"Transfer-Encoding: identity, chunked\r\n", Refused(BAD)),
    Row("chunked, identity", "9112 6.3", b"Transfer-Encoding: chunked, identity\r\n", Refused(BAD)),
    Row(
        "chunked and identity in two fields",
        "9112 6.3",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        Refused(BAD),
    ),
    Row(
        "identity and chunked in two fields",
        "9112 6.1",
        b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        Refused(BAD),
    ),
    Row("gzip", "9112 6.3", b"Transfer-Encoding: gzip\r\n", Refused(BAD)),
    Row("gzip, chunked", "9112 6.1", b"Transfer-Encoding: gzip, chunked\r\n", Refused(BAD)),
    Row("chunked, gzip", "9112 6.3", b"Transfer-Encoding: chunked, gzip\r\n", Refused(BAD)),
    Row(
        "gzip and chunked in two fields",
        "9112 6.1",
        b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        Refused(BAD),
    ),
    Row(
        "chunked and gzip in two fields",
        "9112 6.3",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n",
        Refused(BAD),
    ),
    Row(
        "chunked and an empty field",
        "9112 6.1",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n",
        Either(BAD, Is("hello")),
    ),
    Row("unknown", "9112 6.1", b"Transfer-Encoding: cow\r\n", Refused(BAD)),
    Row("unknown, chunked", "9112 6.1", b"Transfer-Encoding: cow, chunked\r\n", Refused(BAD)),
    Row(
        "unknown and chunked in two fields",
        "9112 6.1",
        b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n",
        Refused(BAD),
    ),
    Row("empty", "9112 6.1", b"Transfer-Encoding:\r\n", Refused(BAD)),
    Row("xchunked", "9112 6.1", b"Transfer-Encoding: xchunked\r\n", Refused(BAD)),
    Row("chunkedx", "9112 6.1", b"Transfer-Encoding: chunkedx\r\n", Refused(BAD)),
    Row("chunk", "9112 6.1", b"Transfer-Encoding: chunk\r\n", Refused(BAD)),
    Row("chun ked", "9112 6.1", b"Transfer-Encoding: chun ked\r\n", Refused(BAD)),
    Row("chunked chunked", "9112 6.1", b"Transfer-Encoding: chunked chunked\r\n", Refused(BAD)),
    Row("chunked gzip", "9112 6.1", b"Transfer-Encoding: chunked gzip\r\n", Refused(BAD)),
    Row("with a parameter", "9112 7.1", b"Transfer-Encoding: chunked;q=1\r\n", Refused(BAD)),
    Row(
        "with a parameter and a space",
        "9112 7.1",
        b"Transfer-Encoding: chunked ; q=1\r\n",
        Refused(BAD),
    ),
    Row("with a semicolon", "9112 7.1", b"Transfer-Encoding: chunked;\r\n", Refused(BAD)),
    Row("in quotation marks", "9112 6.1", b"Transfer-Encoding: \"chunked\"\r\n", Refused(BAD)),
    Row("in apostrophes", "9112 6.1", b"Transfer-Encoding: 'chunked'\r\n", Refused(BAD)),
    Row("behind a vertical tab", "9112 6.1", b"Transfer-Encoding: \x0bchunked\r\n", Refused(BAD)),
    Row("behind a form feed", "9112 6.1", b"Transfer-Encoding: \x0cchunked\r\n", Refused(BAD)),
    Row("behind NUL", "9112 6.1", b"Transfer-Encoding: \0chunked\r\n", Either(BAD, Is("hello"))),
    Row("before NUL", "9112 6.1", b"Transfer-Encoding: chunked\0\r\n", Either(BAD, Is("hello"))),
    Row("before a vertical tab", "9112 6.1", b"Transfer-Encoding: chunked\x0b\r\n", Refused(BAD)),
    Row(
        "behind a bare CR",
        "9112 2.2",
        b"Transfer-Encoding:\rchunked\r\n",
        Either(BAD, Is("hello")),
    ),
    Row(
        "before a bare CR",
        "9112 2.2",
        b"Transfer-Encoding: chunked\r\r\n",
        Either(BAD, Is("hello")),
    ),
    Row("behind obs-text", "9112 6.1", b"Transfer-Encoding: \xa0chunked\r\n", Refused(BAD)),
    Row("behind a byte of DEL", "9112 6.1", b"Transfer-Encoding: \x7fchunked\r\n", Refused(BAD)),
    Row("folded", "9112 5.2", b"Transfer-Encoding:\r\n chunked\r\n", Either(BAD, Is("hello"))),
    Row(
        "folded behind a coding",
        "9112 5.2",
        b"Transfer-Encoding: chunked\r\n , identity\r\n",
        Refused(BAD),
    ),
    Row("space before the colon", "9112 5.1", b"Transfer-Encoding : chunked\r\n", Refused(FRAMING)),
    Row("tab before the colon", "9112 5.1", b"Transfer-Encoding\t: chunked\r\n", Refused(FRAMING)),
    Row(
        "space before the name",
        "9112 5.2",
        b"X: a\r\n Transfer-Encoding: chunked\r\n",
        Refused(BAD),
    ),
    Row("NUL within the name", "9112 5", b"Transfer-Encoding\0: chunked\r\n", Refused(BAD)),
    Row("obs-text within the name", "9112 5", b"Transfer-Encoding\xff: chunked\r\n", Refused(BAD)),
    Row(
        "behind a bare LF",
        "9112 2.2",
        b"X: a\nTransfer-Encoding: chunked\r\n",
        Either(BAD, Is("hello")),
    ),
    Row(
        "behind a bare CR in another field",
        "9112 2.2",
        b"X: a\rTransfer-Encoding: chunked\r\n",
        Refused(BAD),
    ),
    Row(
        "of another name, with a length",
        "9112 6.1",
        b"Transfer_Encoding: chunked\r\nContent-Length: 15\r\n",
        Either(FRAMING, Is("5\r\nhello\r\n0\r\n\r\n")),
    ),
    Row(
        "TE is not it",
        "9110 10.1.4",
        b"TE: chunked\r\nContent-Length: 15\r\n",
        Either(FRAMING, Is("5\r\nhello\r\n0\r\n\r\n")),
    ),
    Row(
        "Content-Encoding is not it",
        "9110 8.4",
        b"Content-Encoding: chunked\r\nContent-Length: 15\r\n",
        Either(&[400, 415], Is("5\r\nhello\r\n0\r\n\r\n")),
    ),
];

/// Whole requests.
const WHOLE: &[Row] = &[
    // In HTTP/1.0 the framing counts as faulty: refused, or the last request.
    Row(
        "1.0",
        "9112 6.1",
        b"POST /echo HTTP/1.0\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n\
          hello\r\n0\r\n\r\n",
        EitherLast(BAD, Is("hello")),
    ),
    Row(
        "1.0 with keep-alive",
        "9112 6.1",
        b"POST /echo HTTP/1.0\r\nHost: t\r\nConnection: keep-alive\r\n\
          Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        EitherLast(BAD, Is("hello")),
    ),
    Row(
        "1.0 with a length",
        "9112 6.1",
        b"POST /echo HTTP/1.0\r\nHost: t\r\nConnection: keep-alive\r\n\
          Content-Length: 15\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n\
          0\r\n\r\n",
        EitherLast(BAD, Is("hello")),
    ),
    Row(
        "of a GET",
        "9112 6.3",
        b"GET /dump HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n\
          hello\r\n0\r\n\r\n",
        Taken(Lines(&["method=GET", "body=5"])),
    ),
    Row(
        "of a DELETE",
        "9112 6.3",
        b"DELETE /dump HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n\
          5\r\nhello\r\n0\r\n\r\n",
        Taken(Lines(&["method=DELETE", "body=5"])),
    ),
    Row(
        "of a PUT, empty",
        "9112 6.3",
        b"PUT /dump HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\
          \r\n",
        Taken(Lines(&["method=PUT", "body=0"])),
    ),
    Row(
        "of a GET, with a length",
        "9112 6.3",
        b"GET /dump HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\
          Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        EitherLast(FRAMING, Lines(&["body=0"])),
    ),
    Row(
        "a request within the chunks",
        "9112 7.1",
        b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1b\r\n\
          GET / HTTP/1.1\r\nHost: t\r\n\r\n\r\n0\r\n\r\n",
        Taken(Is("GET / HTTP/1.1\r\nHost: t\r\n\r\n")),
    ),
];

pub(super) fn add(cases: &mut Vec<Case>) {
    let before = "POST /echo HTTP/1.1\r\nHost: t\r\n";
    table(cases, "framing/coding", before, CODINGS, "\r\n5\r\nhello\r\n0\r\n\r\n");
    table(cases, "framing/coding", "", WHOLE, "");
}
