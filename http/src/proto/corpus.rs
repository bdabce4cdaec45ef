//! Messages and what must be seen in them, for either side. Each is fed whole, in every split
//! into two, and byte by byte. A fixed bug adds its message here.

use super::Method::{Connect, Get, Head, Post};
use super::exercise::Side::{self, Client, Server};

/// Who receives, what arrives before the FIN, and what is seen.
pub(super) type Case = (Side, &'static [u8], &'static [&'static str]);

const GET: Side = Client(Get, false);

/// Well-formed messages, and where they end.
pub(super) const ACCEPTED: &[Case] = &[
    (Server, b"", &["closed"]),
    (Server, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &["GET / None | Host=a", "closed"]),
    (
        Server,
        b"\r\n\r\nGET / HTTP/1.1\r\nHost:a\r\nEmpty:\r\nX: \t b c \t\r\n\r\n",
        &["GET / None | Host=a | Empty= | X=b c", "closed"],
    ),
    // Pipelined: three requests in one segment, the second with a body.
    (
        Server,
        b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\
          POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\
          DELETE /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /4",
        &[
            "GET /1 None | Host=a",
            "POST /2 Length(5) | Host=a | Content-Length=5",
            "body hello",
            "end",
            "DELETE /3 None close | Host=a | Connection=close",
            "rest GET /4",
        ],
    ),
    (
        Server,
        b"POST / HTTP/1.1\r\nHost: a\r\ntransfer-ENCODING: Chunked\r\n\r\n\
          5\r\nhello\r\n00A;x=\"y\"\r\n, world!!!\r\n0\r\nA: b\r\nC:\r\n\r\n\
            GET / HTTP/1.1\r\nHost: b\r\n\r\n",
        &[
            "POST / Chunked | Host=a | transfer-ENCODING=Chunked",
            "body hello, world!!!",
            "trailer A=b",
            "trailer C=",
            "end",
            "GET / None | Host=b",
            "closed",
        ],
    ),
    (
        Server,
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        &["PUT / Chunked | Host=a | Transfer-Encoding=chunked", "end", "closed"],
    ),
    (
        Server,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        &["POST / Length(0) | Host=a | Content-Length=0", "closed"],
    ),
    // The answer precedes the body, so the connection ends with it.
    (
        Server,
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\nok",
        &[
            "POST / Length(2) expect | Host=a | Expect=100-Continue | Content-Length=2",
            "body ok",
            "end",
            "closed",
        ],
    ),
    // HTTP/1.0: no Host, close unless asked, no expectations.
    (Server, b"GET / HTTP/1.0\r\n\r\n", &["GET / None close", "rest "]),
    (
        Server,
        b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\nGET / HTTP/1.0\r\nExpect: tea\r\n\r\n",
        &["GET / None | Connection=Keep-Alive", "GET / None close | Expect=tea", "rest "],
    ),
    // Targets.
    (Server, b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &["OPTIONS * None | Host=a", "closed"]),
    (
        Server,
        b"GET HTTP://b:80/p?q?r HTTP/1.1\r\nHost: a\r\n\r\n",
        &["GET HTTP://b:80/p?q?r None | Host=a", "closed"],
    ),
    (
        Server,
        b"CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n\x16\x03",
        &["CONNECT b:443 None | Host=b:443", "upgraded", "rest \\x16\\x03"],
    ),
    (
        Server,
        b"BREW /pot HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        &["BREW /pot None | Host=[::1]:80", "closed"],
    ),
    // An upgrade needs both fields.
    (
        Server,
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n\
          Upgrade: websocket\r\n\r\n",
        &[
            "GET / None upgrade | Host=a | Connection=keep-alive, Upgrade | Upgrade=websocket",
            "closed",
        ],
    ),
    (
        Server,
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        &["GET / None | Host=a | Upgrade=websocket", "closed"],
    ),
    // Responses.
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
        b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        &["200  Chunked | Transfer-Encoding=chunked", "body hi", "end", "closed"],
    ),
    (
        GET,
        b"HTTP/1.1 200 OK\r\n\r\nto the end",
        &["200 OK UntilClose close", "body to the end", "end", "rest "],
    ),
    (GET, b"HTTP/1.0 200 OK\r\n\r\n", &["200 OK UntilClose close", "end", "rest "]),
    (
        GET,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
          HTTP/1.1 204 No Content\r\n\r\n",
        &["100 Continue None", "103 Early Hints None | Link=x", "204 No Content None", "closed"],
    ),
    // Bodies that are not there, whatever the fields say.
    (
        Client(Head, false),
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\n\
          Transfer-Encoding: chunked\r\n\r\n",
        &["200 OK None | Content-Length=9", "200 OK None | Transfer-Encoding=chunked", "closed"],
    ),
    (
        GET,
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\nHTTP/1.1 204 No Content\r\n\
          Content-Length: 9\r\n\r\n",
        &[
            "304 Not Modified None | Content-Length=9",
            "204 No Content None | Content-Length=9",
            "closed",
        ],
    ),
    // Changes of protocol.
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
    (
        Client(Post, false),
        b"HTTP/1.1 999 \xff\r\nContent-Length: 00\r\nConnection: close\r\n\r\nmore",
        &["999  Length(0) close | Content-Length=00 | Connection=close", "rest more"],
    ),
];

/// The start of a request whose rest is to be rejected.
macro_rules! request {
    ($rest:literal) => {
        as_bytes(concat!("POST / HTTP/1.1\r\nHost: a\r\n", $rest))
    };
}
/// The start of a response.
macro_rules! response {
    ($rest:literal) => {
        as_bytes(concat!("HTTP/1.1 200 OK\r\n", $rest))
    };
}
/// A request whose chunks are to be rejected.
macro_rules! chunks {
    ($rest:literal) => {
        as_bytes(concat!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", $rest))
    };
}

const fn as_bytes(text: &'static str) -> &'static [u8] {
    text.as_bytes()
}

/// What must be rejected, and the status and reason.
pub(super) const REJECTED: &[(Side, &[u8], &str)] = &[
    // Request lines.
    (Server, b"GARBAGE\r\n\r\n", "400 malformed request line"),
    (Server, b"\x16\x03\x01\x02\x00", "400 malformed request line"),
    (Server, b"GET /\r\n\r\n", "400 malformed request line"),
    (Server, b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed request line"),
    (Server, b"GET / x HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed HTTP version"),
    (Server, b"GET / http/1.1\r\nHost: a\r\n\r\n", "400 malformed HTTP version"),
    (Server, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505 unknown HTTP version"),
    (Server, b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", "505 unknown HTTP version"),
    (Server, b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "400 malformed line end"),
    (Server, b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed request line"),
    (Server, b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed request line"),
    (
        Server,
        b"\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "400 an empty line instead of a head",
    ),
    (Server, b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 an empty line instead of a head"),
    (Server, b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 an empty line instead of a head"),
    // Targets.
    (Server, b"GET x HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed target"),
    (Server, b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed target"),
    (Server, b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed target"),
    (Server, b"GET http:///p HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed target"),
    (Server, b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed target"),
    (Server, b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "400 a byte that no target may have"),
    (Server, b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", "400 a byte that no target may have"),
    (Server, b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", "400 CONNECT without host:port"),
    (Server, b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", "400 CONNECT without host:port"),
    (Server, b"CONNECT a:x HTTP/1.1\r\nHost: a\r\n\r\n", "400 CONNECT without host:port"),
    (Server, b"CONNECT :1 HTTP/1.1\r\nHost: a\r\n\r\n", "400 CONNECT without host:port"),
    // Hosts.
    (Server, b"GET / HTTP/1.1\r\n\r\n", "400 no Host"),
    (Server, request!("Host: a\r\n\r\n"), "400 more than one Host"),
    (Server, b"GET / HTTP/1.0\r\nHost: a\r\nhost: a\r\n\r\n", "400 more than one Host"),
    (Server, b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "400 malformed Host"),
    (Server, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400 malformed Host"),
    (Server, b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "400 malformed Host"),
    (Server, b"GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n", "400 malformed Host"),
    // Lines: bare LF in each place, bare CR, NUL, folding, names.
    (Server, b"GET / HTTP/1.1\nHost: a\r\n\r\n", "400 a line that ends without CR"),
    (Server, b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", "400 a line that ends without CR"),
    (Server, b"GET / HTTP/1.1\r\nHost: a\n\r\n", "400 a line that ends without CR"),
    (Server, b"GET / HTTP/1.1\r\nHost: a\r\n\n", "400 a line that ends without CR"),
    (Server, b"GET / HTTP/1.1\r\nHost: a\r\nX:\n\r\n", "400 a line that ends without CR"),
    (Server, b"GET / HTTP/1.0\n\r\n", "400 a line that ends without CR"),
    (Server, b"GET / HTTP/1.0\r\n\n", "400 a line that ends without CR"),
    (Server, b"GET / HTTP/1.0\n\n", "400 a line that ends without CR"),
    (Server, request!("X: a\rb\r\n\r\n"), "400 malformed field value"),
    (Server, request!("X: a\r\r\n\r\n"), "400 malformed field value"),
    (Server, request!("X: a\0b\r\n\r\n"), "400 malformed field value"),
    (Server, request!("X: a\r\n b\r\n\r\n"), "400 malformed field name"),
    (Server, request!("X: a\r\n\tb\r\n\r\n"), "400 malformed field name"),
    (Server, b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400 malformed field name"),
    (Server, request!("X : a\r\n\r\n"), "400 malformed field name"),
    (Server, request!("Content-Length : 1\r\n\r\na"), "400 malformed field name"),
    (Server, request!("X\r\n\r\n"), "400 malformed field name"),
    (Server, request!(": a\r\n\r\n"), "400 malformed field name"),
    (Server, request!("X\0: a\r\n\r\n"), "400 malformed field name"),
    // Lengths.
    (
        Server,
        request!("Content-Length: 1\r\nContent-Length: 1\r\n\r\na"),
        "400 more than one Content-Length",
    ),
    (
        Server,
        request!("Content-Length: 1\r\ncontent-length: 2\r\n\r\na"),
        "400 more than one Content-Length",
    ),
    (Server, request!("Content-Length: 1, 1\r\n\r\na"), "400 malformed Content-Length"),
    (Server, request!("Content-Length: +1\r\n\r\na"), "400 malformed Content-Length"),
    (Server, request!("Content-Length: -1\r\n\r\na"), "400 malformed Content-Length"),
    (Server, request!("Content-Length: 0x1\r\n\r\na"), "400 malformed Content-Length"),
    (Server, request!("Content-Length: 1 1\r\n\r\na"), "400 malformed Content-Length"),
    (Server, request!("Content-Length:\r\n\r\na"), "400 malformed Content-Length"),
    (
        Server,
        request!("Content-Length: 18446744073709551616\r\n\r\na"),
        "400 malformed Content-Length",
    ),
    (
        Server,
        request!("Content-Length: 18446744073709551615\r\n\r\na"),
        "413 the body is larger than its limit",
    ),
    (Server, request!("Content-Length: 1048577\r\n\r\na"), "413 the body is larger than its limit"),
    // Transfer codings.
    (
        Server,
        request!("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        "400 both Content-Length and Transfer-Encoding",
    ),
    (
        Server,
        request!("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"),
        "400 both Content-Length and Transfer-Encoding",
    ),
    (
        Server,
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "400 Transfer-Encoding in HTTP/1.0",
    ),
    (
        Server,
        request!("Transfer-Encoding: gzip\r\n\r\n"),
        "400 the final transfer coding is not chunked",
    ),
    (
        Server,
        request!("Transfer-Encoding: identity\r\n\r\n"),
        "400 the final transfer coding is not chunked",
    ),
    (
        Server,
        request!("Transfer-Encoding: xchunked\r\n\r\n"),
        "400 the final transfer coding is not chunked",
    ),
    (
        Server,
        request!("Transfer-Encoding: \"chunked\"\r\n\r\n"),
        "400 the final transfer coding is not chunked",
    ),
    (
        Server,
        request!("Transfer-Encoding: chunked;q=1\r\n\r\n"),
        "400 the final transfer coding is not chunked",
    ),
    (Server, request!("Transfer-Encoding: gzip, chunked\r\n\r\n"), "501 unknown transfer coding"),
    (
        Server,
        request!("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"),
        "501 unknown transfer coding",
    ),
    (
        Server,
        request!("Transfer-Encoding: chunked, gzip\r\n\r\n"),
        "400 a transfer coding after chunked",
    ),
    (
        Server,
        request!("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
        "400 a transfer coding after chunked",
    ),
    (
        Server,
        request!("Transfer-Encoding: chunked, chunked\r\n\r\n"),
        "400 a transfer coding after chunked",
    ),
    (Server, request!("Transfer-Encoding: chunked,\r\n\r\n"), "400 an empty transfer coding"),
    (Server, request!("Transfer-Encoding:\r\n\r\n"), "400 an empty transfer coding"),
    // Expectations.
    (Server, request!("Expect: tea\r\n\r\n"), "417 unknown expectation"),
    (
        Server,
        request!("Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n"),
        "417 unknown expectation",
    ),
    // Chunks.
    (Server, chunks!("5\nhello\r\n0\r\n\r\n"), "400 malformed chunk size"),
    (Server, chunks!("5\r\rhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5 \r\nhello\r\n0\r\n\r\n"), "400 malformed chunk size"),
    (Server, chunks!("+5\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk size"),
    (Server, chunks!("0x5\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk size"),
    (Server, chunks!("\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk size"),
    (Server, chunks!(";x\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk size"),
    (Server, chunks!("10000000000000000\r\n"), "400 a chunk size that overflows"),
    (Server, chunks!("ffffffffffffffff\r\n"), "413 the body is larger than its limit"),
    (Server, chunks!("100001\r\n"), "413 the body is larger than its limit"),
    (Server, chunks!("5;a\nb\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5;a\0\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("0\r\nA : b\r\n\r\n"), "400 malformed trailer"),
    (Server, chunks!("0\r\nA: b\n\r\n"), "400 malformed trailer"),
    (Server, chunks!("0\r\n\n"), "400 malformed trailer"),
    (Server, chunks!("0\r\n\rX\r\n"), "400 malformed trailer"),
    (Server, chunks!("0\r\n A: b\r\n\r\n"), "400 malformed trailer"),
    // Truncated.
    (Server, b"G", "400 the connection ended in the middle of a message"),
    (Server, b"\r", "400 the connection ended in the middle of a message"),
    (
        Server,
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        "400 the connection ended in the middle of a message",
    ),
    // Responses: there is nobody to answer, so all are 502.
    (GET, b"\r\nHTTP/1.1 200 OK\r\n\r\n", "502 an empty line instead of a head"),
    (GET, b"ICY 200 OK\r\n\r\n", "502 malformed HTTP version"),
    (GET, b"HTTP/1.1 20 OK\r\n\r\n", "502 malformed status line"),
    (GET, b"HTTP/1.1 099 OK\r\n\r\n", "502 malformed status"),
    (GET, b"HTTP/1.1 200 OK\nX: a\r\n\r\n", "502 a line that ends without CR"),
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
    (
        GET,
        response!("Content-Length: 1\r\nContent-Length: 1\r\n\r\na"),
        "502 more than one Content-Length",
    ),
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
    (
        GET,
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "502 Transfer-Encoding in HTTP/1.0",
    ),
];

/// What is rejected after its head, or part of its body, was accepted.
pub(super) const BROKEN_OFF: &[Case] = &[
    (
        Server,
        chunks!("5\r\nhello!\r\n0\r\n\r\n"),
        &[
            "POST / Chunked | Host=a | Transfer-Encoding=chunked",
            "body hello",
            "400 a chunk longer than its size",
        ],
    ),
    (
        Server,
        chunks!("5\r\nhello\r\n"),
        &[
            "POST / Chunked | Host=a | Transfer-Encoding=chunked",
            "body hello",
            "400 the connection ended in the middle of a message",
        ],
    ),
    (
        Server,
        chunks!("0\r\nA: b\r\n"),
        &[
            "POST / Chunked | Host=a | Transfer-Encoding=chunked",
            "trailer A=b",
            "400 the connection ended in the middle of a message",
        ],
    ),
    (
        Server,
        request!("Content-Length: 5\r\n\r\nhell"),
        &[
            "POST / Length(5) | Host=a | Content-Length=5",
            "body hell",
            "400 the connection ended in the middle of a message",
        ],
    ),
    (
        GET,
        response!("Content-Length: 5\r\n\r\nhell"),
        &[
            "200 OK Length(5) | Content-Length=5",
            "body hell",
            "502 the connection ended in the middle of a message",
        ],
    ),
];
