//! Request lines, hosts, field lines, and the fields that steer a connection.

use super::super::exercise::Side::Server;
use super::{Case, Rejected};

pub(super) const ACCEPTED: &[Case] = &[
    (Server, b"", &["closed"]),
    (Server, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &["GET / None | Host=a", "closed"]),
    // RFC 9112, 2.2: empty lines before a request. RFC 9110, 5.5: space around values.
    (
        Server,
        b"\r\n\r\nGET / HTTP/1.1\r\nHost:a\r\nEmpty:\r\nX: \t b c \t\r\n\r\n",
        &["GET / None | Host=a | Empty= | X=b c", "closed"],
    ),
    // 9112, 9.3.2. Pipelined: three requests in one segment, the second with a body.
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
    // 9110, 2.5 (9112, 2.3). A higher minor version is read as 1.1.
    (Server, line!("GET / HTTP/1.2"), &["GET / None | Host=a", "closed"]),
    (Server, line!("GET / HTTP/1.9"), &["GET / None | Host=a", "closed"]),
    // 9112, 3.2. Targets.
    (Server, line!("OPTIONS * HTTP/1.1"), &["OPTIONS * None | Host=a", "closed"]),
    (Server, line!("OPTIONS http://b HTTP/1.1"), &["OPTIONS http://b None | Host=a", "closed"]),
    (
        Server,
        line!("GET HTTP://b:80/p?q?r HTTP/1.1"),
        &["GET HTTP://b:80/p?q?r None | Host=a", "closed"],
    ),
    (Server, line!("GET http://b: HTTP/1.1"), &["GET http://b: None | Host=a", "closed"]),
    (
        Server,
        line!("GET http://[::1]:65535?q HTTP/1.1"),
        &["GET http://[::1]:65535?q None | Host=a", "closed"],
    ),
    // Not the grammar's, but every browser's; and escapes are not looked at here.
    (
        Server,
        line!("GET /{a}|^`\"<>\\?[b]&c=%zz HTTP/1.1"),
        &["GET /{a}|^`\\\"<>\\\\?[b]&c=%zz None | Host=a", "closed"],
    ),
    (
        Server,
        b"CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n\x16\x03",
        &["CONNECT b:443 None | Host=b:443", "upgraded", "rest \\x16\\x03"],
    ),
    (
        Server,
        b"CONNECT [::1]:1 HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 0\r\n\r\nx",
        &["CONNECT [::1]:1 Length(0) | Host=[::1] | Content-Length=0", "upgraded", "rest x"],
    ),
    // 9112, 3.2. Hosts: 1.1 may say that there is none, 1.0 may say nothing.
    (
        Server,
        b"BREW /pot HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
        &["BREW /pot None | Host=[::1]:80", "closed"],
    ),
    (Server, host!(""), &["GET / None | Host=", "closed"]),
    (Server, host!("a-b.c:"), &["GET / None | Host=a-b.c:", "closed"]),
    (Server, host!("a%20b:65535"), &["GET / None | Host=a%20b:65535", "closed"]),
    // 9110, 7.2. `Host` comes first, and is mostly a name and a short port, which are read apart
    // from other fields: what is next to that.
    (Server, host!("127.0.0.1:8888"), &["GET / None | Host=127.0.0.1:8888", "closed"]),
    (Server, host!("a:0"), &["GET / None | Host=a:0", "closed"]),
    (Server, host!("a:00080"), &["GET / None | Host=a:00080", "closed"]),
    (Server, host!("0123456789abcdef"), &["GET / None | Host=0123456789abcdef", "closed"]),
    (
        Server,
        host!("www.a-long-name-of-32.bytes.test:80"),
        &["GET / None | Host=www.a-long-name-of-32.bytes.test:80", "closed"],
    ),
    (
        Server,
        host!("a_b.c~d!$&'()*+;=e.test"),
        &["GET / None | Host=a_b.c~d!$&\\'()*+;=e.test", "closed"],
    ),
    (Server, b"GET / HTTP/1.1\r\nhOsT: a\r\n\r\n", &["GET / None | hOsT=a", "closed"]),
    (Server, b"GET / HTTP/1.1\r\nHost:  a\r\n\r\n", &["GET / None | Host=a", "closed"]),
    (Server, b"GET / HTTP/1.1\r\nHost:\ta\r\n\r\n", &["GET / None | Host=a", "closed"]),
    (Server, b"GET / HTTP/1.1\r\nHost: a \t\r\n\r\n", &["GET / None | Host=a", "closed"]),
    (Server, b"GET / HTTP/1.1\r\nHost: a:1 \r\n\r\n", &["GET / None | Host=a:1", "closed"]),
    (
        Server,
        b"GET / HTTP/1.1\r\nHosts: b\r\nHost: a\r\n\r\n",
        &["GET / None | Hosts=b | Host=a", "closed"],
    ),
    (
        Server,
        b"GET / HTTP/1.1\r\nX: y\r\nHost: a\r\n\r\n",
        &["GET / None | X=y | Host=a", "closed"],
    ),
    (Server, b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", &["GET / None close | Host=a", "rest "]),
    (Server, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", &["HEAD / None | Host=a", "closed"]),
    (Server, b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", &["POST / None | Host=a", "closed"]),
    (
        Server,
        b"GET http://b/ HTTP/1.1\r\nHost: a:1\r\nX: y\r\n\r\n",
        &["GET http://b/ None | Host=a:1 | X=y", "closed"],
    ),
    (
        Server,
        b"GET / HTTP/1.1\r\nHost: a:8080\r\nConnection: close\r\n\r\n",
        &["GET / None close | Host=a:8080 | Connection=close", "rest "],
    ),
    // 9110, 5.5 and 5.6.2. Values may have any byte but controls; names any tchar.
    (
        Server,
        b"GET / HTTP/1.1\r\nHost: a\r\n!#$%&'*+-.^_`|~09: \x80\xff\t\"\\\r\n\r\n",
        &["GET / None | Host=a | !#$%&\\'*+-.^_`|~09=\\x80\\xff\\t\\\"\\\\", "closed"],
    ),
    // Names that only look like framing mean nothing here.
    (
        Server,
        request!("Transfer_Encoding: chunked\r\nContent_Length: 5\r\nX-Content-Length: 6\r\n\r\n"),
        &[
            "POST / None | Host=a | Transfer_Encoding=chunked | Content_Length=5 | \
             X-Content-Length=6",
            "closed",
        ],
    ),
    // 9112, 9.3. HTTP/1.0: no Host, close unless asked, no expectations (9110, 10.1.1).
    (Server, b"GET / HTTP/1.0\r\n\r\n", &["GET / None close", "rest "]),
    (
        Server,
        b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\nGET / HTTP/1.0\r\nExpect: tea\r\n\r\n",
        &["GET / None | Connection=Keep-Alive", "GET / None close | Expect=tea", "rest "],
    ),
    (
        Server,
        b"GET / HTTP/1.0\r\nKeep-Alive: timeout=5\r\n\r\n",
        &["GET / None close | Keep-Alive=timeout=5", "rest "],
    ),
    (
        Server,
        b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
        &[
            "POST / Length(1) close | Expect=100-continue | Content-Length=1",
            "body x",
            "end",
            "rest ",
        ],
    ),
    // 9112, 9.6 (9110, 7.6.1). `close` wins, wherever it stands in whatever list.
    (
        Server,
        request!("Connection: keep-alive, CLOSE\r\n\r\n"),
        &["POST / None close | Host=a | Connection=keep-alive, CLOSE", "rest "],
    ),
    (
        Server,
        request!("Connection: close\r\nConnection: keep-alive\r\n\r\n"),
        &["POST / None close | Host=a | Connection=close | Connection=keep-alive", "rest "],
    ),
    (
        Server,
        b"GET / HTTP/1.0\r\nConnection: x\r\nConnection: y ,\tkeep-alive\r\n\r\n",
        &["GET / None | Connection=x | Connection=y ,\\tkeep-alive", "closed"],
    ),
    // 9110, 5.6.1.2. Empty elements are skipped.
    (
        Server,
        request!("Connection: , ,close,\r\n\r\n"),
        &["POST / None close | Host=a | Connection=, ,close,", "rest "],
    ),
    // What is not a known option is none.
    (
        Server,
        request!("Connection: \"close\", close;x, closed, c, host, content-length\r\n\r\n"),
        &[
            "POST / None | Host=a | Connection=\\\"close\\\", close;x, closed, c, host, \
             content-length",
            "closed",
        ],
    ),
    // 9110, 7.8. An upgrade needs both fields, and 1.1.
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
    (
        Server,
        b"GET / HTTP/1.0\r\nConnection: upgrade, keep-alive\r\nUpgrade: websocket\r\n\r\n",
        &["GET / None | Connection=upgrade, keep-alive | Upgrade=websocket", "closed"],
    ),
    // 9110, 10.1.1. The answer precedes the body here, so the connection ends with it.
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
    (
        Server,
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: ,100-continue,, 100-continue\r\nExpect:\r\n\
          Expect: 100-CONTINUE\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        &[
            "POST / Chunked expect | Host=a | Expect=,100-continue,, 100-continue | Expect= | \
             Expect=100-CONTINUE | Transfer-Encoding=chunked",
            "end",
            "closed",
        ],
    ),
    // Nobody waits for leave to send nothing.
    (
        Server,
        request!("Expect: 100-continue\r\n\r\n"),
        &["POST / None | Host=a | Expect=100-continue", "closed"],
    ),
];

/// First lines, targets and hosts.
pub(super) const LINES_REJECTED: &[Rejected] = &[
    // 9112, 2.2. What comes before a request line.
    (
        Server,
        b"\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "400 an empty line instead of a head",
    ),
    (Server, b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 an empty line instead of a head"),
    (Server, b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 an empty line instead of a head"),
    (Server, line!(" GET / HTTP/1.1"), "400 malformed request line"),
    (Server, line!("\tGET / HTTP/1.1"), "400 malformed request line"),
    (Server, b"\0GET / HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed request line"),
    // 9112, 3. Three parts, single spaces.
    (Server, b"GARBAGE\r\n\r\n", "400 malformed request line"),
    (Server, b"\x16\x03\x01\x02\x00", "400 malformed request line"),
    (Server, line!("GET  / HTTP/1.1"), "400 malformed request line"),
    (Server, line!("GET\t/ HTTP/1.1"), "400 malformed request line"),
    (Server, line!("GET /  HTTP/1.1"), "400 malformed HTTP version"),
    (Server, line!("GET /\tHTTP/1.1"), "400 malformed request line"),
    (Server, line!("GET / x HTTP/1.1"), "400 malformed HTTP version"),
    (Server, line!("GET / HTTP/1.1 "), "400 malformed line end"),
    (Server, line!("GET / HTTP/1.1\t"), "400 malformed line end"),
    (Server, line!("GET / HTTP/1.1 x"), "400 malformed line end"),
    (Server, line!("GET / HTTP/1.10"), "400 malformed line end"),
    (Server, line!("GET / HTTP/1.1\r"), "400 malformed line end"),
    (Server, line!("G@T / HTTP/1.1"), "400 malformed request line"),
    (Server, line!("GET\r / HTTP/1.1"), "400 malformed request line"),
    // 9112, 2.3; 9110, 2.5 and 15.6.6. Versions: a wrong byte is 400, another major 505.
    (Server, b"GET /\r\n\r\n", "400 malformed request line"),
    (Server, b"GET / \r\n\r\n", "400 malformed HTTP version"),
    (Server, line!("GET / http/1.1"), "400 malformed HTTP version"),
    (Server, line!("GET / HTTP/1"), "400 malformed HTTP version"),
    (Server, line!("GET / HTTP/1,1"), "400 malformed HTTP version"),
    (Server, line!("GET / HTTP/1.x"), "400 malformed HTTP version"),
    (Server, line!("GET / HTTP/11.1"), "400 malformed HTTP version"),
    (Server, line!("GET / HTTP/2"), "400 malformed HTTP version"),
    (Server, line!("GET / HTTP /1.1"), "400 malformed HTTP version"),
    (Server, line!("GET / HTTP/2.0"), "505 unknown HTTP version"),
    (Server, line!("GET / HTTP/2.0 and whatever"), "505 unknown HTTP version"),
    (Server, line!("GET / HTTP/0.9"), "505 unknown HTTP version"),
    (Server, line!("GET / HTTP/9.9"), "505 unknown HTTP version"),
    (Server, line!("GET x HTTP/2.0"), "505 unknown HTTP version"),
    (Server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 unknown HTTP version"),
    // 9112, 3.2. Targets.
    (Server, line!("GET x HTTP/1.1"), "400 malformed target"),
    (Server, line!("GET * HTTP/1.1"), "400 malformed target"),
    (Server, line!("OPTIONS ** HTTP/1.1"), "400 malformed target"),
    (Server, line!("OPTIONS *?x HTTP/1.1"), "400 malformed target"),
    (Server, line!("GET ?x HTTP/1.1"), "400 malformed target"),
    (Server, line!("GET a:80 HTTP/1.1"), "400 malformed target"),
    (Server, line!("GET ftp://a/ HTTP/1.1"), "400 malformed target"),
    (Server, line!("GET http:/a HTTP/1.1"), "400 malformed target"),
    (Server, line!("GET /a#b HTTP/1.1"), "400 a byte that no target may have"),
    (Server, line!("GET /a?b#c HTTP/1.1"), "400 a byte that no target may have"),
    (Server, b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", "400 a byte that no target may have"),
    (Server, b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed request line"),
    (Server, b"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", "400 malformed request line"),
    // 9110, 4.2.1 and 4.2.4; 3986, 3.2. Authorities in targets.
    (Server, line!("GET http:// HTTP/1.1"), "400 malformed target"),
    (Server, line!("GET http:///p HTTP/1.1"), "400 malformed target"),
    (Server, line!("GET http://:80/ HTTP/1.1"), "400 malformed target"),
    (Server, line!("GET http://?x HTTP/1.1"), "400 malformed target"),
    (Server, line!("GET http://u@a/ HTTP/1.1"), "400 malformed target"),
    (Server, line!("GET http://u:p@a/ HTTP/1.1"), "400 malformed target"),
    (Server, line!("GET http://a:b/ HTTP/1.1"), "400 malformed target"),
    (Server, line!("GET http://a:65536/ HTTP/1.1"), "400 malformed target"),
    (Server, line!("GET http://a:-1/ HTTP/1.1"), "400 malformed target"),
    (Server, line!("GET http://[::1/ HTTP/1.1"), "400 malformed target"),
    (Server, line!("GET http://[::g]/ HTTP/1.1"), "400 malformed target"),
    (Server, line!("GET http://a%zz/ HTTP/1.1"), "400 malformed target"),
    (Server, line!("GET http://a\\b/ HTTP/1.1"), "400 malformed target"),
    // 9110, 7.4. What only a secured connection may ask for.
    (Server, line!("GET https://a/ HTTP/1.1"), "421 an https target without TLS"),
    (Server, line!("GET HTTPS://a HTTP/1.1"), "421 an https target without TLS"),
    // 9112, 3.2.3; 9110, 9.3.6.
    (Server, line!("CONNECT / HTTP/1.1"), "400 CONNECT without host:port"),
    (Server, line!("CONNECT a HTTP/1.1"), "400 CONNECT without host:port"),
    (Server, line!("CONNECT a: HTTP/1.1"), "400 CONNECT without host:port"),
    (Server, line!("CONNECT a:x HTTP/1.1"), "400 CONNECT without host:port"),
    (Server, line!("CONNECT :1 HTTP/1.1"), "400 CONNECT without host:port"),
    (Server, line!("CONNECT 80 HTTP/1.1"), "400 CONNECT without host:port"),
    (Server, line!("CONNECT a:0 HTTP/1.1"), "400 CONNECT without host:port"),
    (Server, line!("CONNECT a:00 HTTP/1.1"), "400 CONNECT without host:port"),
    (Server, line!("CONNECT a:65536 HTTP/1.1"), "400 CONNECT without host:port"),
    (Server, line!("CONNECT [::1] HTTP/1.1"), "400 CONNECT without host:port"),
    (Server, line!("CONNECT ::1:80 HTTP/1.1"), "400 CONNECT without host:port"),
    (Server, line!("CONNECT u@a:80 HTTP/1.1"), "400 CONNECT without host:port"),
    (Server, line!("CONNECT http://a:80 HTTP/1.1"), "400 CONNECT without host:port"),
    (Server, line!("CONNECT a:80?x HTTP/1.1"), "400 CONNECT without host:port"),
    // 9112, 3.2. Hosts: one, and well-formed.
    (Server, b"GET / HTTP/1.1\r\n\r\n", "400 no Host"),
    (Server, b"GET http://a/ HTTP/1.1\r\n\r\n", "400 no Host"),
    (Server, request!("Host: a\r\n\r\n"), "400 more than one Host"),
    (Server, request!("hOST: b\r\n\r\n"), "400 more than one Host"),
    (Server, b"GET / HTTP/1.1\r\nHost:\r\nHost:\r\n\r\n", "400 more than one Host"),
    (Server, b"GET / HTTP/1.0\r\nHost: a\r\nhost: a\r\n\r\n", "400 more than one Host"),
    (Server, b"GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400 more than one Host"),
    (Server, host!("a, b"), "400 malformed Host"),
    (Server, host!("a,b"), "400 malformed Host"),
    (Server, host!("a b"), "400 malformed Host"),
    (Server, host!("a/b"), "400 malformed Host"),
    (Server, host!("u@a"), "400 malformed Host"),
    (Server, host!("http://a"), "400 malformed Host"),
    (Server, host!(":80"), "400 malformed Host"),
    (Server, host!("a:b"), "400 malformed Host"),
    (Server, host!("a:1:2"), "400 malformed Host"),
    (Server, host!("a:65536"), "400 malformed Host"),
    (Server, host!("a:80 b"), "400 malformed Host"),
    (Server, host!("[::1"), "400 malformed Host"),
    (Server, host!("::1"), "400 malformed Host"),
    (Server, host!("[::1]x"), "400 malformed Host"),
    (Server, host!("a%zz"), "400 malformed Host"),
    (Server, host!("{a}"), "400 malformed Host"),
    (Server, b"GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n", "400 malformed Host"),
    (Server, b"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", "400 malformed Host"),
    (Server, b"GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n", "400 malformed Host"),
    (Server, host!("u:p@a"), "400 malformed Host"),
    (Server, host!("a:8888/"), "400 malformed Host"),
    (Server, host!("a:88888"), "400 malformed Host"),
    (Server, host!("0123456789abcdef,b"), "400 malformed Host"),
    (Server, b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nHost: b\r\n\r\n", "400 more than one Host"),
    (Server, b"GET / HTTP/1.1\r\nHost: a\r\nHost:\r\n\r\n", "400 more than one Host"),
    (Server, b"GET / HTTP/1.1\r\nHost: a\r\nHost: [::1]\r\n\r\n", "400 more than one Host"),
    (Server, b"GET / HTTP/1.1\r\nHosts: a\r\n\r\n", "400 no Host"),
];

/// Field lines, and fields that are no framing.
pub(super) const FIELDS_REJECTED: &[Rejected] = &[
    // 9112, 2.2. Bare LF in each place.
    (Server, b"GET / HTTP/1.1\nHost: a\r\n\r\n", "400 a line that ends without CR"),
    (Server, b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", "400 a line that ends without CR"),
    (Server, b"GET / HTTP/1.1\r\nHost: a\n\r\n", "400 a line that ends without CR"),
    (Server, b"GET / HTTP/1.1\r\nHost: a\r\n\n", "400 a line that ends without CR"),
    (Server, b"GET / HTTP/1.1\r\nHost: a:80\n\r\n", "400 a line that ends without CR"),
    (Server, b"GET / HTTP/1.1\r\nHost: a:80\r\n\n", "400 a line that ends without CR"),
    (Server, b"GET / HTTP/1.1\r\nHost: a:80\r\nX: b\n\r\n", "400 a line that ends without CR"),
    (Server, b"GET / HTTP/1.1\r\nHost: a\r\nX:\n\r\n", "400 a line that ends without CR"),
    (Server, b"GET / HTTP/1.0\n\r\n", "400 a line that ends without CR"),
    (Server, b"GET / HTTP/1.0\r\n\n", "400 a line that ends without CR"),
    (Server, b"GET / HTTP/1.0\n\n", "400 a line that ends without CR"),
    // 9112, 2.2; 9110, 5.5. Bare CR, NUL and other controls.
    (Server, b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", "400 malformed field value"),
    (Server, b"GET / HTTP/1.1\r\nHost: a\rX\r\n\r\n", "400 malformed field value"),
    (Server, b"GET / HTTP/1.1\r\nHost: a\0\r\n\r\n", "400 malformed field value"),
    (Server, b"GET / HTTP/1.1\r\nHost: a\r\n\rX", "400 malformed line end"),
    (Server, request!("X: a\rb\r\n\r\n"), "400 malformed field value"),
    (Server, request!("X: a\r\r\n\r\n"), "400 malformed field value"),
    (Server, request!("X:\rb\r\n\r\n"), "400 malformed field value"),
    (Server, request!("X: a\rContent-Length: 5\r\n\r\n"), "400 malformed field value"),
    (Server, request!("X: a\0b\r\n\r\n"), "400 malformed field value"),
    (Server, request!("X: \x0bb\r\n\r\n"), "400 malformed field value"),
    (Server, request!("X: a\x0c\r\n\r\n"), "400 malformed field value"),
    (Server, request!("X: a\x1b\r\n\r\n"), "400 malformed field value"),
    (Server, request!("X: a\x7f\r\n\r\n"), "400 malformed field value"),
    (Server, b"GET / HTTP/1.1\r\nHost: a\r\n\rX: b\r\n\r\n", "400 malformed line end"),
    // 9112, 5.2. Folding.
    (Server, request!("X: a\r\n b\r\n\r\n"), "400 malformed field name"),
    (Server, request!("X: a\r\n\tb\r\n\r\n"), "400 malformed field name"),
    (Server, request!("X: a\r\n \r\n\r\n"), "400 malformed field name"),
    (Server, request!("Transfer-Encoding:\r\n chunked\r\n\r\n"), "400 malformed field name"),
    (Server, b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400 malformed field name"),
    (Server, b"GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n", "400 malformed field name"),
    (Server, b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", "400 malformed field name"),
    (Server, b"GET / HTTP/1.1\r\nHost: a:80\r\n\t80\r\n\r\n", "400 malformed field name"),
    // 9112, 5.1; 9110, 5.6.2. Names.
    (Server, request!("X : a\r\n\r\n"), "400 malformed field name"),
    (Server, request!("X\t: a\r\n\r\n"), "400 malformed field name"),
    (Server, request!("Content-Length : 1\r\n\r\na"), "400 malformed field name"),
    (Server, request!("Transfer-Encoding : chunked\r\n\r\n"), "400 malformed field name"),
    (Server, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400 malformed field name"),
    (Server, request!("X\r\n\r\n"), "400 malformed field name"),
    (Server, request!("X Y: a\r\n\r\n"), "400 malformed field name"),
    (Server, request!(": a\r\n\r\n"), "400 malformed field name"),
    (Server, request!("X\0: a\r\n\r\n"), "400 malformed field name"),
    (Server, request!("X[]: a\r\n\r\n"), "400 malformed field name"),
    (Server, request!("\"X\": a\r\n\r\n"), "400 malformed field name"),
    (Server, b"GET / HTTP/1.1\r\nHost: a\r\nX\xe4: a\r\n\r\n", "400 malformed field name"),
    (Server, b"GET / HTTP/1.1\r\nHost: a\r\n\xa0X: a\r\n\r\n", "400 malformed field name"),
    // 9110, 10.1.1.
    (Server, request!("Expect: tea\r\n\r\n"), "417 unknown expectation"),
    (Server, request!("Expect: 100-continue, tea\r\n\r\n"), "417 unknown expectation"),
    (Server, request!("Expect: tea\r\nExpect: 100-continue\r\n\r\n"), "417 unknown expectation"),
    (Server, request!("Expect: 100-continue;x=1\r\n\r\n"), "417 unknown expectation"),
    (Server, request!("Expect: \"100-continue\"\r\n\r\n"), "417 unknown expectation"),
    // 9112, 8. Truncated.
    (Server, b"G", "400 the connection ended in the middle of a message"),
    (Server, b"\r", "400 the connection ended in the middle of a message"),
    (Server, b"GET / HTTP/1.1\r", "400 the connection ended in the middle of a message"),
    (
        Server,
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        "400 the connection ended in the middle of a message",
    ),
    (
        Server,
        b"GET / HTTP/1.1\r\nHost: a\r\n\r",
        "400 the connection ended in the middle of a message",
    ),
];
