//! What frames a request's body: lengths, transfer codings, chunks, trailers.

use super::super::exercise::Side::Server;
use super::{Case, GET, Rejected};

pub(super) const ACCEPTED: &[Case] = &[
    // RFC 9110, 8.6. Lengths: zeros in front are digits too.
    (
        Server,
        request!("Content-Length: 0\r\n\r\n"),
        &["POST / Length(0) | Host=a | Content-Length=0", "closed"],
    ),
    (
        Server,
        request!("Content-Length: \t 000000000000000000000000000002 \t\r\n\r\nok"),
        &[
            "POST / Length(2) | Host=a | Content-Length=000000000000000000000000000002",
            "body ok",
            "end",
            "closed",
        ],
    ),
    // What GET has is a body as well, and never the next request.
    (
        Server,
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /HEAD / HTTP/1.0\r\n\r\n",
        &[
            "GET / Length(5) | Host=a | Content-Length=5",
            "body GET /",
            "end",
            "HEAD / None close",
            "rest ",
        ],
    ),
    // 9112, 6.1 and 7. Codings: case and space mean nothing; 9110, 5.6.1.2: nor do empty elements.
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
        request!("Transfer-Encoding:\t \tchunked\t \r\n\r\n0\r\n\r\n"),
        &["POST / Chunked | Host=a | Transfer-Encoding=chunked", "end", "closed"],
    ),
    (
        Server,
        request!("Transfer-Encoding: , chunked ,,\r\n\r\n0\r\n\r\n"),
        &["POST / Chunked | Host=a | Transfer-Encoding=, chunked ,,", "end", "closed"],
    ),
    // 9110, 10.1.4. `TE` says what the peer takes, nothing about this message.
    (
        Server,
        request!("TE: chunked, trailers\r\nConnection: TE\r\n\r\n"),
        &["POST / None | Host=a | TE=chunked, trailers | Connection=TE", "closed"],
    ),
];

pub(super) const REJECTED: &[Rejected] = &[
    // RFC 9112, 6.3, rule 5; 9110, 8.6. One length, of digits.
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
    (Server, request!("Content-Length: 1,\r\n\r\na"), "400 malformed Content-Length"),
    (Server, request!("Content-Length: +1\r\n\r\na"), "400 malformed Content-Length"),
    (Server, request!("Content-Length: -1\r\n\r\na"), "400 malformed Content-Length"),
    (Server, request!("Content-Length: 0x1\r\n\r\na"), "400 malformed Content-Length"),
    (Server, request!("Content-Length: 1 1\r\n\r\na"), "400 malformed Content-Length"),
    (Server, request!("Content-Length: 1;x\r\n\r\na"), "400 malformed Content-Length"),
    (Server, request!("Content-Length: 1.0\r\n\r\na"), "400 malformed Content-Length"),
    (Server, request!("Content-Length: 1e1\r\n\r\na"), "400 malformed Content-Length"),
    (Server, request!("Content-Length: 1_0\r\n\r\na"), "400 malformed Content-Length"),
    (Server, request!("Content-Length: \"1\"\r\n\r\na"), "400 malformed Content-Length"),
    (Server, request!("Content-Length:\r\n\r\na"), "400 malformed Content-Length"),
    (
        Server,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \xd9\xa1\r\n\r\na",
        "400 malformed Content-Length",
    ),
    (
        Server,
        request!("Content-Length: 99999999999999999999x\r\n\r\na"),
        "400 malformed Content-Length",
    ),
    // 9110, 8.6: "a recipient MUST anticipate potentially large decimal numerals".
    (
        Server,
        request!("Content-Length: 18446744073709551617\r\n\r\na"),
        "413 the body is larger than its limit",
    ),
    (
        Server,
        request!("Content-Length: 100000000000000000000000000000001\r\n\r\na"),
        "413 the body is larger than its limit",
    ),
    (
        Server,
        request!("Content-Length: 18446744073709551615\r\n\r\na"),
        "413 the body is larger than its limit",
    ),
    (
        Server,
        request!("Content-Length: 4294967297\r\n\r\na"),
        "413 the body is larger than its limit",
    ),
    (Server, request!("Content-Length: 1048577\r\n\r\na"), "413 the body is larger than its limit"),
    // 9112, 6.1 and 6.3, rule 3. Both.
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
        request!("Transfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\na"),
        "400 both Content-Length and Transfer-Encoding",
    ),
    // 9112, 6.1. HTTP/1.0, with or without a length.
    (
        Server,
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "400 Transfer-Encoding in HTTP/1.0",
    ),
    (
        Server,
        b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "400 Transfer-Encoding in HTTP/1.0",
    ),
    // 9112, 6.3, rule 4. The last coding must be `chunked`; what only looks like it is not.
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
        request!("Transfer-Encoding: chunked gzip\r\n\r\n"),
        "400 the final transfer coding is not chunked",
    ),
    (
        Server,
        request!("Transfer-Encoding: \"chunked\"\r\n\r\n"),
        "400 the final transfer coding is not chunked",
    ),
    (
        Server,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \xa0chunked\r\n\r\n",
        "400 the final transfer coding is not chunked",
    ),
    (
        Server,
        request!("Transfer-Encoding: gzip;x=\"a, chunked\"\r\n\r\n"),
        "400 the final transfer coding is not chunked",
    ),
    (Server, request!("Transfer-Encoding: \x0bchunked\r\n\r\n"), "400 malformed field value"),
    (Server, request!("Transfer-Encoding: chunked\0\r\n\r\n"), "400 malformed field value"),
    // 7: `chunked` has no parameters, "Their presence SHOULD be treated as an error".
    (
        Server,
        request!("Transfer-Encoding: chunked;q=1\r\n\r\n"),
        "400 the final transfer coding is not chunked",
    ),
    // 6.1: 501 for a coding that is not understood.
    (Server, request!("Transfer-Encoding: gzip, chunked\r\n\r\n"), "501 unknown transfer coding"),
    (
        Server,
        request!("Transfer-Encoding: identity, chunked\r\n\r\n"),
        "501 unknown transfer coding",
    ),
    (
        Server,
        request!("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"),
        "501 unknown transfer coding",
    ),
    // 6.1: not twice, and last.
    (
        Server,
        request!("Transfer-Encoding: chunked, gzip\r\n\r\n"),
        "400 a transfer coding after chunked",
    ),
    (
        Server,
        request!("Transfer-Encoding: chunked, identity\r\n\r\n"),
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
    (Server, request!("Transfer-Encoding:\r\n\r\n"), "400 no transfer coding"),
    (Server, request!("Transfer-Encoding: , ,\r\n\r\n"), "400 no transfer coding"),
    (
        Server,
        request!("Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n\r\n"),
        "400 no transfer coding",
    ),
    // 9110, 9.3.6. Body or tunnel?
    (
        Server,
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
        "400 CONNECT with a body",
    ),
    (
        Server,
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "400 CONNECT with a body",
    ),
];

pub(super) const CHUNKS_ACCEPTED: &[Case] = &[
    // RFC 9112, 7.1. Sizes: any case, zeros in front; a last chunk of many.
    (
        Server,
        chunks!("0000000000000000000005\r\nhello\r\n00B\r\n, chunked..\r\n0000\r\n\r\n"),
        &[
            "POST / Chunked | Host=a | Transfer-Encoding=chunked",
            "body hello, chunked..",
            "end",
            "closed",
        ],
    ),
    // What looks like an end in the data is none.
    (
        Server,
        chunks!("9\r\n0\r\n\r\nGET \r\n1\r\n\r\r\n0\r\n\r\n"),
        &[
            "POST / Chunked | Host=a | Transfer-Encoding=chunked",
            "body 0\\r\\n\\r\\nGET \\r",
            "end",
            "closed",
        ],
    ),
    // 7.1.1. Extensions, with the space that the grammar has (9110, 5.6.3).
    (
        Server,
        chunks!(
            "1;a\r\nA\r\n1;a;b\r\nB\r\n1;a=b\r\nC\r\n1;a=b;c=\"d\";e\r\nD\r\n\
             1 ;a\r\nE\r\n1\t ; a = b ;c\t=\t\"d\" ; e ;f\r\nF\r\n0 ; x\r\n\r\n"
        ),
        &["POST / Chunked | Host=a | Transfer-Encoding=chunked", "body ABCDEF", "end", "closed"],
    ),
    (
        Server,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
          1;a=\"\"\r\nA\r\n1;a=\";=, \t\\\"\\\\\x80\xff0\"\r\nB\r\n0;a=\"0\"\r\n\r\n",
        &["POST / Chunked | Host=a | Transfer-Encoding=chunked", "body AB", "end", "closed"],
    ),
    // 7.1.2. Trailers stay apart, whatever they are called.
    (
        Server,
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
          0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: b\r\nX: \t\xff \r\n\r\n\
          GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &[
            "POST / Chunked | Host=a | Transfer-Encoding=chunked",
            "trailer Content-Length=5",
            "trailer Transfer-Encoding=chunked",
            "trailer Host=b",
            "trailer X=\\xff",
            "end",
            "GET / None | Host=a",
            "closed",
        ],
    ),
];

pub(super) const CHUNKS_REJECTED: &[Rejected] = &[
    // RFC 9112, 2.2 and 7.1. Lines.
    (Server, chunks!("5\nhello\r\n0\r\n\r\n"), "400 malformed chunk size"),
    (Server, chunks!("5\r\rhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5\rhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk size"),
    (Server, chunks!("\r\n5\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk size"),
    // Sizes.
    (Server, chunks!("+5\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk size"),
    (Server, chunks!("-5\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk size"),
    (Server, chunks!("0x5\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk size"),
    (Server, chunks!("5h\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk size"),
    (Server, chunks!("5_0\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk size"),
    (Server, chunks!("5,5\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk size"),
    (Server, chunks!("\"5\"\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk size"),
    (Server, chunks!(" 5\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk size"),
    (Server, chunks!("5\0\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk size"),
    (Server, chunks!("\x005\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk size"),
    (Server, chunks!("10000000000000000\r\n"), "400 a chunk size that overflows"),
    (Server, chunks!("10000000000000005\r\nhello"), "400 a chunk size that overflows"),
    (Server, chunks!("ffffffffffffffff\r\n"), "413 the body is larger than its limit"),
    (Server, chunks!("100000005\r\nhello"), "413 the body is larger than its limit"),
    (Server, chunks!("100001\r\n"), "413 the body is larger than its limit"),
    // 7.1.1. Extensions to the letter: space that announces none, no name, no value, no end.
    (Server, chunks!("5 \r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5\t\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5 5\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("0 \r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!(";x\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk size"),
    (Server, chunks!("5;\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5; \r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5;;a\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5;=a\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5;a \r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5;a b\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5;a=\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5;a=;b\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5;a==b\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5;a=b=c\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5;a=b \r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5;a=b c\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5;a=\"b\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5;a=\"b\"c\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5;a=\"b\" \r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5;a=\"\\\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5;a=b\"c\"\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5;\"a\"\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5;a\nb\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5;a=\"\\\n\"\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5;a\n\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5;a\rb\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    (Server, chunks!("5;a\0\r\nhello\r\n0\r\n\r\n"), "400 malformed chunk line"),
    // 7.1.2; 5. Trailers, as strict as heads.
    (Server, chunks!("0\r\nA : b\r\n\r\n"), "400 malformed trailer"),
    (Server, chunks!("0\r\nA: b\n\r\n"), "400 malformed trailer"),
    (Server, chunks!("0\r\nA: b\rc\r\n\r\n"), "400 malformed trailer"),
    (Server, chunks!("0\r\nA: \0\r\n\r\n"), "400 malformed trailer"),
    (Server, chunks!("0\r\nA\r\n\r\n"), "400 malformed trailer"),
    (Server, chunks!("0\r\n: b\r\n\r\n"), "400 malformed trailer"),
    (Server, chunks!("0\r\nGET / HTTP/1.1\r\n\r\n"), "400 malformed trailer"),
    (Server, chunks!("0\r\n\n"), "400 malformed trailer"),
    (Server, chunks!("0\r\n\rX\r\n"), "400 malformed trailer"),
    (Server, chunks!("0\r\n A: b\r\n\r\n"), "400 malformed trailer"),
];

pub(super) const BROKEN_OFF: &[Case] = &[
    // 9112, 7.1. The size and the data's end must agree.
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
        chunks!("5\r\nhello\n0\r\n\r\n"),
        &[
            "POST / Chunked | Host=a | Transfer-Encoding=chunked",
            "body hello",
            "400 a chunk longer than its size",
        ],
    ),
    (
        Server,
        chunks!("5\r\nhello\rX0\r\n\r\n"),
        &[
            "POST / Chunked | Host=a | Transfer-Encoding=chunked",
            "body hello",
            "400 a chunk longer than its size",
        ],
    ),
    (
        Server,
        chunks!("6\r\nhello\r\n0\r\n\r\n"),
        &[
            "POST / Chunked | Host=a | Transfer-Encoding=chunked",
            "body hello\\r",
            "400 a chunk longer than its size",
        ],
    ),
    (
        Server,
        chunks!("5\r\nhello\r\n\r\n0\r\n\r\n"),
        &[
            "POST / Chunked | Host=a | Transfer-Encoding=chunked",
            "body hello",
            "400 malformed chunk size",
        ],
    ),
    // 7.1.2. A folded trailer; the first line was none.
    (
        Server,
        chunks!("0\r\nA: b\r\n c\r\n\r\n"),
        &[
            "POST / Chunked | Host=a | Transfer-Encoding=chunked",
            "trailer A=b",
            "400 malformed trailer",
        ],
    ),
    // 8. Truncated: no part is taken for the whole.
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
        chunks!("5\r\nhello\r\n0\r\n"),
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
    (
        GET,
        response!("Transfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n"),
        &[
            "200 OK Chunked | Transfer-Encoding=chunked",
            "body hell",
            "502 the connection ended in the middle of a message",
        ],
    ),
];
