//! What a client receives.

use super::super::Method::{Connect, Get, Head, Post};
use super::super::exercise::Side::Client;
use super::{Case, GET, Rejected};

pub(super) const ACCEPTED: &[Case] = &[
    // RFC 9112, 6.3. Each way for a body to end.
    (
        GET,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 404 Not Found\r\n\
          Content-Length: 0\r\n\r\n",
        &[
            "200 OK Length(2) | Content-Length=2",
            "body hi",
            "end",
            "404 Not Found Length(0) | Content-Length=0",
            "closed",
        ],
    ),
    (
        GET,
        b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nA: b\r\n\r\n",
        &["200  Chunked | Transfer-Encoding=chunked", "body hi", "trailer A=b", "end", "closed"],
    ),
    (
        GET,
        b"HTTP/1.1 200 OK\r\n\r\nto the end",
        &["200 OK UntilClose close", "body to the end", "end", "rest "],
    ),
    (GET, b"HTTP/1.0 200 OK\r\n\r\n", &["200 OK UntilClose close", "end", "rest "]),
    (
        GET,
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length:          1\r\n\r\n!",
        &["200 OK Length(1) | Connection=keep-alive | Content-Length=1", "body !", "end", "closed"],
    ),
    (
        GET,
        b"HTTP/1.0 200 OK\r\nConnection:         close\r\n\r\n!",
        &["200 OK UntilClose close | Connection=close", "body !", "end", "rest "],
    ),
    // 9110, 2.5.
    (
        GET,
        b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n",
        &["200 OK Length(0) | Content-Length=0", "closed"],
    ),
    // 9110, 15.2. Interim responses.
    (
        GET,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
          HTTP/1.1 204 No Content\r\n\r\n",
        &["100 Continue None", "103 Early Hints None | Link=x", "204 No Content None", "closed"],
    ),
    // 9112, 6.3, rule 1. Bodies that are not there, whatever the fields say.
    (
        Client(Head, false),
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\n\
          Transfer-Encoding: chunked\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        &[
            "200 OK None | Content-Length=9",
            "200 OK None | Transfer-Encoding=chunked",
            "200 OK None",
            "closed",
        ],
    ),
    (
        GET,
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\nHTTP/1.1 204 No Content\r\n\
          Content-Length: 9\r\n\r\nHTTP/1.1 100 Go\r\nContent-Length: 9\r\n\r\n\
          HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n",
        &[
            "304 Not Modified None | Content-Length=9",
            "204 No Content None | Content-Length=9",
            "100 Go None | Content-Length=9",
            "205 Reset Length(0) | Content-Length=0",
            "closed",
        ],
    ),
    // 9112, 6.3, rule 2; 9110, 7.8. Changes of protocol.
    (
        Client(Connect, false),
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n\x16\x03",
        &["200 OK None | Content-Length=9", "upgraded", "rest \\x16\\x03"],
    ),
    (
        Client(Connect, false),
        b"HTTP/1.1 407 No\r\nContent-Length: 1\r\n\r\n!",
        &["407 No Length(1) | Content-Length=1", "body !", "end", "closed"],
    ),
    (
        Client(Get, true),
        b"HTTP/1.1 101 Ok\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\nnew",
        &["101 Ok None upgrade | Connection=upgrade | Upgrade=other", "upgraded", "rest new"],
    ),
    (
        Client(Get, true),
        b"HTTP/1.1 200 Later\r\nContent-Length: 1\r\n\r\n.",
        &["200 Later Length(1) | Content-Length=1", "body .", "end", "closed"],
    ),
    // 9112, 4. Any status of three digits; the reason means nothing.
    (
        Client(Post, false),
        b"HTTP/1.1 999 \xff\r\nContent-Length: 00\r\nConnection: close\r\n\r\nmore",
        &["999  Length(0) close | Content-Length=00 | Connection=close", "rest more"],
    ),
];

pub(super) const REJECTED: &[Rejected] = &[
    // There is nobody to answer, so all are 502. RFC 9112, 2.2 and 4: status lines.
    (GET, b"\r\nHTTP/1.1 200 OK\r\n\r\n", "502 an empty line instead of a head"),
    (GET, b"ICY 200 OK\r\n\r\n", "502 malformed HTTP version"),
    (GET, b"HTTP/2.0 200 OK\r\n\r\n", "502 unknown HTTP version"),
    (GET, b"HTTP/1.1 20 OK\r\n\r\n", "502 malformed status line"),
    (GET, b"HTTP/1.1  200 OK\r\n\r\n", "502 malformed status line"),
    (GET, b"HTTP/1.1\t200 OK\r\n\r\n", "502 malformed HTTP version"),
    (GET, b"HTTP/1.1 200\tOK\r\n\r\n", "502 malformed status line"),
    (GET, b"HTTP/1.1 099 OK\r\n\r\n", "502 malformed status"),
    (GET, b"HTTP/1.1 200 O\0K\r\n\r\n", "502 malformed line end"),
    (GET, b"HTTP/1.1 200 O\rK\r\n\r\n", "502 malformed line end"),
    (GET, b"HTTP/1.1 200 OK\nX: a\r\n\r\n", "502 a line that ends without CR"),
    // 9112, 5. Field lines, as strict as a request's.
    (GET, response!("X : a\r\n\r\n"), "502 malformed field name"),
    (GET, response!("X: a\r\n b\r\n\r\n"), "502 malformed field name"),
    (GET, response!("X: a\rb\r\n\r\n"), "502 malformed field value"),
    (GET, response!("X: a\n\r\n"), "502 a line that ends without CR"),
    // 9110, 7.8 and 15.2.2.
    (
        GET,
        b"HTTP/1.1 101 Why\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "502 a change of protocol that nobody asked for",
    ),
    (
        Client(Get, true),
        b"HTTP/1.1 101 Why\r\n\r\n",
        "502 a change of protocol that nobody asked for",
    ),
    // 9112, 6.1 and 6.3. Framing.
    (
        GET,
        response!("Content-Length: 1\r\nContent-Length: 1\r\n\r\na"),
        "502 more than one Content-Length",
    ),
    (GET, response!("Content-Length: 1, 1\r\n\r\na"), "502 malformed Content-Length"),
    (
        GET,
        response!("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        "502 both Content-Length and Transfer-Encoding",
    ),
    (
        GET,
        response!("Transfer-Encoding: gzip\r\n\r\n"),
        "502 the final transfer coding is not chunked",
    ),
    (GET, response!("Transfer-Encoding: gzip, chunked\r\n\r\n"), "502 unknown transfer coding"),
    (GET, response!("Transfer-Encoding:\r\n\r\n"), "502 no transfer coding"),
    (
        GET,
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "502 Transfer-Encoding in HTTP/1.0",
    ),
    (GET, response!("Content-Length: 1048577\r\n\r\n"), "502 the body is larger than its limit"),
    (GET, b"HTTP/1.1 200 OK\r\nX", "502 the connection ended in the middle of a message"),
];
