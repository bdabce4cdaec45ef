//! Request lines: methods, targets, versions, white space, line ends (RFC 9112, 2 and 3).

use crate::case::Told::{Is, Lines};
use crate::case::Verdict::{Answered, Either, EitherLast, Last, Refused, Taken};
use crate::case::{Case, Row, table};

/// Refused where the grammar is broken.
const BAD: &[u16] = &[400];
/// Where the version is what is wrong.
const VERSION: &[u16] = &[400, 505];
/// Where a target is well-formed and not of this server, or malformed in a way that servers may
/// overlook and then not find.
const NOWHERE: &[u16] = &[200, 301, 308, 400, 403, 404, 421];

/// Whole first lines; a `Host` and the empty line follow.
const LINES: &[Row] = &[
    Row(
        "plain",
        "9112 3",
        b"GET /dump HTTP/1.1\r\n",
        Taken(Lines(&["method=GET", "path=/dump", "query=", "version=1.1", "body=0"])),
    ),
    Row("lower-case method", "9110 9.1", b"get / HTTP/1.1\r\n", Answered(&[400, 405, 501])),
    Row(
        "mixed-case method",
        "9110 9.1",
        b"Get /only-post HTTP/1.1\r\n",
        Answered(&[400, 405, 501]),
    ),
    Row("method with a suffix", "9110 9.1", b"GETX / HTTP/1.1\r\n", Answered(&[400, 405, 501])),
    Row(
        "method of every token character",
        "9110 5.6.2",
        b"!#$%&'*+-.^_`|~09az / HTTP/1.1\r\n",
        Answered(&[400, 405, 501]),
    ),
    Row("method with a hyphen", "9110 9.1", b"M-SEARCH / HTTP/1.1\r\n", Answered(&[400, 405, 501])),
    Row("no method", "9112 3", b" /dump HTTP/1.1\r\n", Refused(BAD)),
    Row("method with (", "9112 3", b"GE(T /dump HTTP/1.1\r\n", Refused(&[400, 405, 501])),
    Row("method with @", "9112 3", b"GE@T /dump HTTP/1.1\r\n", Refused(&[400, 405, 501])),
    Row("method with :", "9112 3", b"GET: /dump HTTP/1.1\r\n", Refused(&[400, 405, 501])),
    Row("method with /", "9112 3", b"GET/ /dump HTTP/1.1\r\n", Refused(&[400, 405, 501])),
    Row("method with \"", "9112 3", b"\"GET\" /dump HTTP/1.1\r\n", Refused(&[400, 405, 501])),
    Row("method with NUL", "9112 3", b"GE\0T /dump HTTP/1.1\r\n", Refused(BAD)),
    Row("method with DEL", "9112 3", b"GET\x7f /dump HTTP/1.1\r\n", Refused(&[400, 405, 501])),
    Row(
        "method with obs-text",
        "9112 3",
        b"G\xc3\x89T /dump HTTP/1.1\r\n",
        Refused(&[400, 405, 501]),
    ),
    Row("only a method", "9112 3", b"GET\r\n", Refused(BAD)),
    Row("only a method and a space", "9112 3", b"GET \r\n", Refused(VERSION)),
    Row("no version", "9112 3", b"GET /dump\r\n", Refused(VERSION)),
    Row("no version and a space", "9112 3", b"GET /dump \r\n", Refused(VERSION)),
    Row("one word", "9112 3", b"GARBAGE\r\n", Refused(BAD)),
    Row("a field line first", "9112 3", b"Host: t\r\n", Refused(VERSION)),
    Row("TLS", "9112 3", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", Refused(BAD)),
    Row("binary", "9112 3", b"\x80\x90\xff\xfe\x00\x01\r\n", Refused(BAD)),
    Row("HTTP/1.2", "9110 2.5", b"GET /dump HTTP/1.2\r\n", Either(VERSION, Lines(&["method=GET"]))),
    Row("HTTP/1.9", "9110 2.5", b"GET /dump HTTP/1.9\r\n", Either(VERSION, Lines(&["method=GET"]))),
    Row("HTTP/2.0", "9110 15.6.6", b"GET /dump HTTP/2.0\r\n", Refused(VERSION)),
    Row("HTTP/3.0", "9110 15.6.6", b"GET /dump HTTP/3.0\r\n", Refused(VERSION)),
    Row("HTTP/0.9", "9110 15.6.6", b"GET /dump HTTP/0.9\r\n", Refused(VERSION)),
    Row("HTTP/9.9", "9110 15.6.6", b"GET /dump HTTP/9.9\r\n", Refused(VERSION)),
    Row("HTTP/2", "9112 2.3", b"GET /dump HTTP/2\r\n", Refused(VERSION)),
    Row("HTTP/1", "9112 2.3", b"GET /dump HTTP/1\r\n", Refused(VERSION)),
    Row("HTTP/1.", "9112 2.3", b"GET /dump HTTP/1.\r\n", Refused(VERSION)),
    Row("HTTP/.1", "9112 2.3", b"GET /dump HTTP/.1\r\n", Refused(VERSION)),
    Row("HTTP/11", "9112 2.3", b"GET /dump HTTP/11\r\n", Refused(VERSION)),
    Row("HTTP/1.10", "9112 2.3", b"GET /dump HTTP/1.10\r\n", Refused(VERSION)),
    Row("HTTP/1.1.1", "9112 2.3", b"GET /dump HTTP/1.1.1\r\n", Refused(VERSION)),
    Row("HTTP/01.1", "9112 2.3", b"GET /dump HTTP/01.1\r\n", Refused(VERSION)),
    Row("HTTP/1.01", "9112 2.3", b"GET /dump HTTP/1.01\r\n", Refused(VERSION)),
    Row("HTTP/+1.1", "9112 2.3", b"GET /dump HTTP/+1.1\r\n", Refused(VERSION)),
    Row("HTTP/1,1", "9112 2.3", b"GET /dump HTTP/1,1\r\n", Refused(VERSION)),
    Row("HTTP/1.x", "9112 2.3", b"GET /dump HTTP/1.x\r\n", Refused(VERSION)),
    Row("HTTP/1.1x", "9112 2.3", b"GET /dump HTTP/1.1x\r\n", Refused(VERSION)),
    Row("HTTP/ 1.1", "9112 2.3", b"GET /dump HTTP/ 1.1\r\n", Refused(VERSION)),
    Row("HTTP /1.1", "9112 2.3", b"GET /dump HTTP /1.1\r\n", Refused(VERSION)),
    Row("HTTP", "9112 2.3", b"GET /dump HTTP\r\n", Refused(VERSION)),
    Row("http/1.1", "9112 2.3", b"GET /dump http/1.1\r\n", Refused(VERSION)),
    Row("Http/1.1", "9112 2.3", b"GET /dump Http/1.1\r\n", Refused(VERSION)),
    Row("HTTPS/1.1", "9112 2.3", b"GET /dump HTTPS/1.1\r\n", Refused(VERSION)),
    Row("ICY/1.1", "9112 2.3", b"GET /dump ICY/1.1\r\n", Refused(VERSION)),
    Row("version with NUL", "9112 2.3", b"GET /dump HTTP/1.1\0\r\n", Refused(VERSION)),
    Row("a fourth word", "9112 3", b"GET /dump HTTP/1.1 HTTP/1.1\r\n", Refused(&[301, 400, 505])),
    // RFC 9112, 3 allows to split at any white space, and to ignore it at either end.
    Row(
        "two spaces before the target",
        "9112 3",
        b"GET  /dump HTTP/1.1\r\n",
        Either(BAD, Lines(&["path=/dump"])),
    ),
    Row(
        "two spaces before the version",
        "9112 3",
        b"GET /dump  HTTP/1.1\r\n",
        Either(VERSION, Lines(&["path=/dump"])),
    ),
    Row(
        "a tab before the target",
        "9112 3",
        b"GET\t/dump HTTP/1.1\r\n",
        Either(BAD, Lines(&["path=/dump"])),
    ),
    Row(
        "a tab before the version",
        "9112 3",
        b"GET /dump\tHTTP/1.1\r\n",
        Either(VERSION, Lines(&["path=/dump"])),
    ),
    Row(
        "a vertical tab before the target",
        "9112 3",
        b"GET\x0b/dump HTTP/1.1\r\n",
        Either(BAD, Lines(&["path=/dump"])),
    ),
    Row(
        "a form feed before the version",
        "9112 3",
        b"GET /dump\x0cHTTP/1.1\r\n",
        Either(VERSION, Lines(&["path=/dump"])),
    ),
    Row(
        "a bare CR before the target",
        "9112 3",
        b"GET\r/dump HTTP/1.1\r\n",
        Either(BAD, Lines(&["path=/dump"])),
    ),
    Row(
        "a bare CR before the version",
        "9112 3",
        b"GET /dump\rHTTP/1.1\r\n",
        Either(VERSION, Lines(&["path=/dump"])),
    ),
    Row(
        "a space at the end",
        "9112 3",
        b"GET /dump HTTP/1.1 \r\n",
        Either(VERSION, Lines(&["path=/dump"])),
    ),
    Row(
        "a tab at the end",
        "9112 3",
        b"GET /dump HTTP/1.1\t\r\n",
        Either(VERSION, Lines(&["path=/dump"])),
    ),
    Row(
        "a space at the start",
        "9112 3",
        b" GET /dump HTTP/1.1\r\n",
        Either(BAD, Lines(&["path=/dump"])),
    ),
    Row(
        "a tab at the start",
        "9112 3",
        b"\tGET /dump HTTP/1.1\r\n",
        Either(BAD, Lines(&["path=/dump"])),
    ),
    Row(
        "a space in the target",
        "9112 3.2",
        b"GET /dump?a b HTTP/1.1\r\n",
        Refused(&[301, 400, 505]),
    ),
    Row(
        "bare LF at the end",
        "9112 2.2",
        b"GET /dump HTTP/1.1\n",
        Either(VERSION, Lines(&["path=/dump"])),
    ),
    Row("bare CR at the end", "9112 2.2", b"GET /dump HTTP/1.1\r", Refused(VERSION)),
    Row(
        "CR CR LF at the end",
        "9112 2.2",
        b"GET /dump HTTP/1.1\r\r\n",
        Either(VERSION, Lines(&["path=/dump"])),
    ),
    Row("LF CR at the end", "9112 2.2", b"GET /dump HTTP/1.1\n\r", Refused(VERSION)),
    Row(
        "an empty line first",
        "9112 2.2",
        b"\r\nGET /dump HTTP/1.1\r\n",
        Taken(Lines(&["path=/dump"])),
    ),
    Row(
        "two empty lines first",
        "9112 2.2",
        b"\r\n\r\nGET /dump HTTP/1.1\r\n",
        Either(BAD, Lines(&["path=/dump"])),
    ),
    Row(
        "a bare LF first",
        "9112 2.2",
        b"\nGET /dump HTTP/1.1\r\n",
        Either(BAD, Lines(&["path=/dump"])),
    ),
    Row(
        "a bare CR first",
        "9112 2.2",
        b"\rGET /dump HTTP/1.1\r\n",
        Either(BAD, Lines(&["path=/dump"])),
    ),
    Row("a NUL first", "9112 2.2", b"\0GET /dump HTTP/1.1\r\n", Refused(&[400, 501])),
    Row(
        "a byte order mark first",
        "9112 3",
        b"\xef\xbb\xbfGET /dump HTTP/1.1\r\n",
        Refused(&[400, 405, 501]),
    ),
    Row("words first", "9112 3", b"Extra lineGET /dump HTTP/1.1\r\n", Refused(VERSION)),
];

/// Targets of `GET`, and what they lead to.
const TARGETS: &[Row] = &[
    Row("query", "9112 3.2.1", b"/dump?a=1&b=2", Taken(Lines(&["path=/dump", "query=a=1&b=2"]))),
    Row("empty query", "9112 3.2.1", b"/dump?", Taken(Lines(&["path=/dump", "query="]))),
    Row("query with ? and /", "9112 3.2.1", b"/dump?a/b?c", Taken(Lines(&["query=a/b?c"]))),
    Row(
        "query with every sub-delimiter",
        "9112 3.2.1",
        b"/dump?!$&'()*+,;=:@-._~",
        Taken(Lines(&["query=!$&'()*+,;=:@-._~"])),
    ),
    Row(
        "query with an address",
        "9112 3.2.1",
        b"/dump?u=http://a:80/b",
        Taken(Lines(&["query=u=http://a:80/b"])),
    ),
    Row(
        "query with percent-encoding",
        "9112 3.2.1",
        b"/dump?%00%0d%0A%ff%20",
        Taken(Lines(&["path=/dump"])),
    ),
    Row("another path", "9110 15.5.5", b"/nowhere", Answered(&[404])),
    Row("path in upper case", "9110 4.2.3", b"/DUMP", Answered(&[404])),
    Row("path with two slashes", "9112 3.2.1", b"//dump", Answered(NOWHERE)),
    Row("path with a slash at the end", "9112 3.2.1", b"/dump/", Answered(NOWHERE)),
    Row("path with dots", "9112 3.2.1", b"/a/../dump", Answered(NOWHERE)),
    Row(
        "path that climbs out",
        "9112 3.2.1",
        b"/../../etc/passwd",
        Answered(&[301, 308, 400, 403, 404]),
    ),
    Row(
        "path that climbs out, encoded",
        "9112 3.2.1",
        b"/%2e%2e/%2e%2e/etc/passwd",
        Answered(&[301, 308, 400, 403, 404]),
    ),
    Row("path with a parameter", "9112 3.2.1", b"/dump;a=1", Answered(NOWHERE)),
    Row("percent-encoded letter", "9110 4.2.3", b"/%64ump", Answered(NOWHERE)),
    Row("percent-encoded slash", "9110 4.2.3", b"/%2Fdump", Answered(NOWHERE)),
    Row("percent-encoded NUL", "9112 3.2.1", b"/a%00", Answered(&[400, 404])),
    Row("percent and no digits", "9112 3.2.1", b"/a%zz", Answered(&[400, 404])),
    Row("percent at the end", "9112 3.2.1", b"/a%", Answered(&[400, 404])),
    Row("percent and one digit", "9112 3.2.1", b"/a%4", Answered(&[400, 404])),
    // What no target may have: the server may refuse it or take it as it is, but not misread it.
    Row("fragment", "9112 3.2", b"/dump#a", Answered(NOWHERE)),
    Row("raw UTF-8", "9112 3.2", b"/d\xc3\xbcmp", Answered(&[400, 404])),
    Row("raw obs-text in the query", "9112 3.2", b"/dump?\xff", Answered(NOWHERE)),
    Row("NUL", "9112 3.2", b"/dump?\0", Refused(BAD)),
    Row("control byte", "9112 3.2", b"/dump?\x01", Answered(NOWHERE)),
    Row("DEL", "9112 3.2", b"/dump?\x7f", Answered(NOWHERE)),
    Row("backslash", "9112 3.2", b"/a\\b", Answered(&[400, 404])),
    Row("quotation mark", "9112 3.2", b"/a\"b", Answered(&[400, 404])),
    Row("angle brackets", "9112 3.2", b"/<a>", Answered(&[400, 404])),
    Row("braces, bar, caret, backtick", "9112 3.2", b"/{a}|^`", Answered(&[400, 404])),
    Row("no slash", "9112 3.2", b"dump", Answered(&[400, 404])),
    Row("only a query", "9112 3.2", b"?a=1", Answered(&[400, 404])),
    Row("asterisk", "9112 3.2.4", b"*", Answered(&[400, 404, 405])),
    Row("asterisk and more", "9112 3.2.4", b"*/dump", Answered(&[400, 404])),
    Row("authority", "9112 3.2.3", b"t:80", Answered(&[400, 404])),
    Row("absolute", "9112 3.2.2", b"http://t/dump", Taken(Lines(&["path=/dump", "query="]))),
    Row(
        "absolute with a query",
        "9112 3.2.2",
        b"http://t/dump?a=/b",
        Taken(Lines(&["path=/dump", "query=a=/b"])),
    ),
    Row("absolute with a port", "9112 3.2.2", b"http://t:8080/dump", Taken(Lines(&["path=/dump"]))),
    Row(
        "absolute with an empty port",
        "9112 3.2.2",
        b"http://t:/dump",
        Taken(Lines(&["path=/dump"])),
    ),
    Row("absolute in upper case", "9110 4.2.3", b"HTTP://T/dump", Taken(Lines(&["path=/dump"]))),
    Row(
        "absolute with another host",
        "9112 3.2.2",
        b"http://other/dump",
        Taken(Lines(&["path=/dump"])),
    ),
    Row("absolute with IPv6", "9112 3.2.2", b"http://[::1]:80/dump", Taken(Lines(&["path=/dump"]))),
    Row("absolute without a path", "9112 3.2.2", b"http://t", Taken(Is("hello"))),
    Row("absolute with a query and no path", "9112 3.2.2", b"http://t?a=1", Taken(Is("hello"))),
    Row("absolute without a host", "9110 4.2.1", b"http:///dump", Refused(BAD)),
    Row("absolute with only a port", "9110 4.2.1", b"http://:80/dump", Refused(BAD)),
    Row("absolute with a malformed port", "9112 3.2.2", b"http://t:x/dump", Answered(&[400, 404])),
    Row("absolute with a user", "9110 4.2.4", b"http://u:p@t/dump", Answered(NOWHERE)),
    Row("absolute with one slash", "9112 3.2.2", b"http:/t/dump", Answered(&[400, 404])),
    Row("absolute by https", "9112 3.2.2", b"https://t/dump", Answered(NOWHERE)),
    Row("absolute by ftp", "9112 3.2.2", b"ftp://t/dump", Answered(NOWHERE)),
    Row("absolute with a fragment", "9112 3.2.2", b"http://t/dump#a", Answered(NOWHERE)),
];

/// Whole heads.
const HEADS: &[Row] = &[
    Row(
        "the preface of HTTP-2",
        "9112 2.3",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        Refused(&[400, 405, 501, 505]),
    ),
    Row("HTTP/0.9 with bare LF", "9112 2.2", b"GET /dump\n\n", Refused(VERSION)),
    Row("HTTP/0.9", "9112 2.3", b"GET /dump\r\n\r\n", Refused(VERSION)),
    Row(
        "HTTP/1.0",
        "9112 2.3",
        b"GET /dump HTTP/1.0\r\n\r\n",
        Last(Lines(&["version=1.0", "method=GET"])),
    ),
    Row(
        "HTTP/1.0 with bare LF",
        "9112 2.2",
        b"GET /dump HTTP/1.0\n\n",
        EitherLast(VERSION, Lines(&["version=1.0"])),
    ),
    Row("absolute without Host", "9112 3.2", b"GET http://t/dump HTTP/1.1\r\n\r\n", Refused(BAD)),
    Row(
        "absolute in HTTP/1.0",
        "9112 3.2.2",
        b"GET http://t/dump HTTP/1.0\r\n\r\n",
        Last(Lines(&["path=/dump", "version=1.0"])),
    ),
    Row(
        "absolute with a malformed Host",
        "9112 3.2",
        b"GET http://t/dump HTTP/1.1\r\nHost: a b\r\n\r\n",
        Refused(BAD),
    ),
    Row(
        "only CRLFs and a request",
        "9112 2.2",
        b"\r\nGET / HTTP/1.1\r\nHost: t\r\n\r\n\r\n",
        Taken(Is("hello")),
    ),
];

pub(super) fn add(cases: &mut Vec<Case>) {
    table(cases, "framing/line", "", LINES, "Host: t\r\n\r\n");
    let empty = [&b"\r\n".repeat(100)[..], b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"].concat();
    let name = "framing/line/a hundred empty lines first";
    cases.push(Case::of(name, "9112 2.2", empty, Either(BAD, Is("hello"))));
    table(cases, "framing/target", "GET ", TARGETS, " HTTP/1.1\r\nHost: t\r\n\r\n");
    table(cases, "framing/head", "", HEADS, "");
}
