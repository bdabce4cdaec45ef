//! Connections from the first byte to the last (RFC 9112, 9): half-closes, early errors, slow
//! senders, splits, who goes away.

use super::Room;
use crate::case::{Body, Case, FOLLOWER, Step, Want, follower};

/// Requests that are cut and stretched, and what answers them.
const WHOLE: &[(&str, &str, &str)] = &[
    ("a GET", "GET /dump?a=b HTTP/1.1\r\nHost: t\r\nX: a\r\nEmpty:\r\n\r\n", "query=a=b"),
    ("empty lines and a GET", "\r\nGET / HTTP/1.1\r\nHost:t\r\n\r\n", "hello"),
    ("a POST", "POST /dump HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello", "body=5"),
    (
        "chunks",
        "POST /dump HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n\
         3;a=\"b\"\r\nhel\r\n02\r\nlo\r\n0\r\nX: y\r\n\r\n",
        "body=5",
    ),
    (
        "two requests",
        "POST /dump HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc\
         GET /dump?a HTTP/1.1\r\nHost: t\r\n\r\n",
        "body=3",
    ),
];

fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n").into_bytes()
}

pub(super) fn add(cases: &mut Vec<Case>, room: &Room) {
    stretched(cases);
    half_closed(cases, room);
    cut_short(cases);
    early_errors(cases, room);
    slow_senders(cases);
    idle(cases);
    gone(cases);
}

/// The answers to one of [`WHOLE`].
fn answers(name: &str, line: &str) -> Vec<Step> {
    let mut answers = vec![Want::lines(&[line]).step()];
    if name == "two requests" {
        answers.push(Want::lines(&["query=a"]).step());
    }
    answers
}

fn stretched(cases: &mut Vec<Case>) {
    for (name, request, line) in WHOLE {
        let bytes = request.as_bytes();
        let mut every = Vec::new();
        for cut in 1..bytes.len() {
            let (one, other) = bytes.split_at(cut);
            every.extend([Step::Send(one.to_vec()), Step::Pause(1), Step::Send(other.to_vec())]);
            every.extend(answers(name, line));
        }
        cases.push(Case::new(format!("lifecycle/split/every place in {name}"), "9112 2.2", every));
        let bytewise = vec![Step::Bytewise([bytes, FOLLOWER].concat(), 300)];
        let script = [bytewise, answers(name, line), vec![follower()]].concat();
        cases.push(Case::new(format!("lifecycle/split/bytewise {name}"), "9112 2.2", script));
    }
    let chunk = "1\r\nx\r\n".repeat(60);
    let head = "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut script = vec![Step::Send(head.as_bytes().to_vec())];
    script.extend(chunk.as_bytes().chunks(7).map(|part| Step::Send(part.to_vec())));
    script.push(Step::Send([b"0\r\n\r\n", FOLLOWER].concat()));
    script.extend([Want::ok("x".repeat(60)).step(), follower()]);
    cases.push(Case::new("lifecycle/split/chunks across segments", "9112 7.1", script));
}

/// A peer that has sent everything and says so still waits for its answers.
fn half_closed(cases: &mut Vec<Case>, room: &Room) {
    let large = Want::status(&[200]).body(Body::Repeats(b'x', room.large));
    let stream: String = (0..10).map(|number| format!("chunk {number}\n")).collect();
    let post = b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello".to_vec();
    let chunks = b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n\
          hello\r\n0\r\n\r\n";
    let three = [get("/slow?ms=200"), get("/"), FOLLOWER.to_vec()].concat();
    let one = |want: Want| vec![want.step()];
    let kinds: Vec<(&str, Vec<u8>, Vec<Step>)> = vec![
        ("a GET", get("/"), one(Want::ok("hello"))),
        ("a slow handler", get("/slow?ms=500"), one(Want::ok("slow"))),
        ("a POST", post, one(Want::ok("hello"))),
        ("chunks", chunks.to_vec(), one(Want::ok("hello"))),
        (
            "HEAD",
            b"HEAD / HTTP/1.1\r\nHost: t\r\n\r\n".to_vec(),
            one(Want::status(&[200]).to_head()),
        ),
        ("1.0", b"GET / HTTP/1.0\r\n\r\n".to_vec(), one(Want::ok("hello").to_old())),
        (
            "1.0 and a slow handler",
            b"GET /slow?ms=300 HTTP/1.0\r\n\r\n".to_vec(),
            one(Want::ok("slow").to_old()),
        ),
        ("a stream", get("/stream?n=10&ms=30"), one(Want::ok(stream))),
        ("a large answer", get(&format!("/large?n={}", room.large)), one(large)),
        ("an error", b"GET / HTTP/1.1\r\n\r\n".to_vec(), one(Want::status(&[400]))),
        (
            "three requests",
            three,
            vec![Want::ok("slow").step(), Want::ok("hello").step(), follower()],
        ),
    ];
    for (name, request, answers) in kinds {
        for (when, ms) in [("at once", 0), ("later", 60)] {
            let pause = if ms == 0 { Vec::new() } else { vec![Step::Pause(ms)] };
            let begin = vec![Step::Send(request.clone())];
            let end = vec![Step::Finished];
            let script = [begin, pause, vec![Step::Finish], answers.clone(), end].concat();
            let name = format!("lifecycle/half-close/{when} behind {name}");
            cases.push(Case::new(name, "9112 9.6", script));
        }
    }
}

/// A peer that says it has sent everything, and has not: refused, or nothing but the end.
fn cut_short(cases: &mut Vec<Case>) {
    let post = "POST /echo HTTP/1.1\r\nHost: t\r\n";
    let cuts = [
        ("the request line", "GET / HT".to_owned()),
        ("the fields", "GET / HTTP/1.1\r\nHost: t\r\nX".to_owned()),
        ("the empty line", "GET / HTTP/1.1\r\nHost: t\r\n\r".to_owned()),
        ("a body", format!("{post}Content-Length: 5\r\n\r\nhel")),
        ("a body that has not begun", format!("{post}Content-Length: 5\r\n\r\n")),
        ("a chunk size", format!("{post}Transfer-Encoding: chunked\r\n\r\n5")),
        ("a chunk", format!("{post}Transfer-Encoding: chunked\r\n\r\n5\r\nhel")),
        ("the chunks", format!("{post}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")),
        ("the last chunk", format!("{post}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n")),
        ("a trailer", format!("{post}Transfer-Encoding: chunked\r\n\r\n0\r\nX: a")),
        (
            "the body that a handler ignores",
            "POST /nowhere HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhel".to_owned(),
        ),
    ];
    for (name, bytes) in cuts {
        let statuses: &[u16] = if name.ends_with("ignores") { &[400, 404] } else { &[400, 408] };
        let refused = vec![Want::status(statuses).step(), Step::Closed];
        let outcomes = Step::OneOf(vec![refused, vec![Step::Closed]]);
        let script = vec![Step::Send(bytes.clone().into_bytes()), Step::Finish, outcomes.clone()];
        cases.push(Case::new(format!("lifecycle/cut short/in {name}"), "9112 8", script));
        if name == "the fields" || name == "a body" {
            let both = [&get("/")[..], bytes.as_bytes()].concat();
            let script = vec![Step::Send(both), Step::Finish, Want::ok("hello").step(), outcomes];
            let name = format!("lifecycle/cut short/behind a request, in {name}");
            cases.push(Case::new(name, "9112 8", script));
        }
    }
    let nothing = [("nothing", &b""[..]), ("an empty line", b"\r\n")];
    for (name, bytes) in nothing {
        let send = if bytes.is_empty() { Vec::new() } else { vec![Step::Send(bytes.to_vec())] };
        let refused = vec![Want::status(&[400, 408]).step(), Step::Closed];
        let outcomes = Step::OneOf(vec![vec![Step::Closed], refused]);
        let end = if bytes.is_empty() { Step::Finished } else { outcomes };
        let script = [send, vec![Step::Finish, end]].concat();
        cases.push(Case::new(format!("lifecycle/cut short/{name}"), "9112 9.5", script));
    }
}

/// The answer that comes before the request has ended is there to be read, and no RST destroys it.
fn early_errors(cases: &mut Vec<Case>, room: &Room) {
    let much = 256 * 1024;
    let over = room.echo_exceeds.max(much * 2);
    let long = format!("Host: t\r\nContent-Length: {over}\r\n\r\n");
    let kinds = [
        ("413", format!("POST /echo HTTP/1.1\r\n{long}"), vec![413]),
        ("404", format!("POST /nowhere HTTP/1.1\r\n{long}"), vec![404, 413]),
        ("405", format!("POST / HTTP/1.1\r\n{long}"), vec![405, 413]),
        ("400", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(), vec![400]),
        (
            "501",
            "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: cow\r\n\r\n".to_owned(),
            vec![400, 501],
        ),
        ("505", "GET / HTTP/2.0\r\n\r\n".to_owned(), vec![400, 505]),
        ("431", "GET / HTTP/1.1\r\nHost: t\r\nX: ".to_owned(), vec![400, 431]),
        ("414", "GET /".to_owned(), vec![414]),
        (
            "an answer that says close",
            "POST /only-post HTTP/1.1\r\nConnection: close\r\n".to_owned() + &long,
            vec![200, 413],
        ),
    ];
    let piece = vec![b'x'; 8 * 1024];
    for (name, head, statuses) in kinds {
        let want = || Want::status(&statuses).step();
        // All at once, and nothing is read before all is sent.
        let bytes = [head.as_bytes(), &vec![b'x'; much]].concat();
        let begin = [Step::Blind, Step::Send(bytes), Step::Pause(200)];
        let end = [want(), Step::Finish, Step::Finished];
        let script = [&begin[..], &end].concat();
        cases.push(Case::new(format!("lifecycle/early/{name}, all at once"), "9112 9.6", script));
        let mut script = vec![Step::Blind, Step::Send(head.into_bytes())];
        for _ in 0..much / piece.len() {
            script.extend([Step::Pause(10), Step::Send(piece.clone())]);
        }
        let script = [&script[..], &end].concat();
        cases.push(Case::new(format!("lifecycle/early/{name}, in pieces"), "9112 9.6", script));
    }
}

/// Who sends too slowly is cut off within 14 seconds: told 408, or not.
fn slow_senders(cases: &mut Vec<Case>) {
    const MOST_MS: u64 = 14_000;
    let post = "POST /echo HTTP/1.1\r\nHost: t\r\n";
    let by_length = format!("{post}Content-Length: 4000\r\n\r\n");
    let by_chunks = format!("{post}Transfer-Encoding: chunked\r\n\r\n");
    let kinds: Vec<(&str, String, &[u8])> = vec![
        ("a request line", "GET /".to_owned(), b"a"),
        ("a field", "GET / HTTP/1.1\r\nHost: t\r\nX: ".to_owned(), b"a"),
        ("fields", "GET / HTTP/1.1\r\nHost: t\r\n".to_owned(), b"X:\r\n"),
        ("a body", by_length.clone(), b"a"),
        ("a chunk", format!("{by_chunks}fff\r\n"), b"a"),
        ("chunks", by_chunks.clone(), b"1\r\na\r\n"),
        ("a chunk extension", format!("{by_chunks}5;"), b"a"),
        ("a trailer", format!("{by_chunks}0\r\nX: "), b"a"),
        (
            "a body that nobody reads",
            "POST /only-post HTTP/1.1\r\nHost: t\r\nContent-Length: 4000\r\n\r\n".to_owned(),
            b"a",
        ),
        ("half a request line and silence", "GET /".to_owned(), b""),
        ("half a head and silence", "GET / HTTP/1.1\r\nHost: t\r\n".to_owned(), b""),
        ("half a body and silence", format!("{by_length}hello"), b""),
        ("half the chunks and silence", format!("{by_chunks}5\r\nhello\r\n"), b""),
    ];
    for (name, begin, bytes) in kinds {
        let trickle = Step::Trickle(bytes.to_vec(), 400, MOST_MS);
        let cut = vec![Want::status(&[200, 400, 408, 413, 431]).step(), Step::Closed];
        let outcomes = Step::OneOf(vec![cut, vec![Step::Closed]]);
        let script = vec![Step::Send(begin.into_bytes()), trickle, outcomes];
        let name = format!("lifecycle/slow sender/{name}");
        cases.push(Case::new(name, "9110 15.5.9", script).slow());
    }
}

/// Who only waits is left alone for three seconds at least.
fn idle(cases: &mut Vec<Case>) {
    let mut add = |name: &str, script| {
        cases.push(Case::new(format!("lifecycle/idle/{name}"), "9112 9.5", script).slow());
    };
    let ask = || [Step::Send(FOLLOWER.to_vec()), follower()];
    add("before the first request", [&[Step::Quiet(3_000)][..], &ask()].concat());
    add("between requests", [&ask()[..], &[Step::Quiet(3_000)], &ask()].concat());
    let body = b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello".to_vec();
    let script = [Step::Send(body), Want::ok("hello").step(), Step::Quiet(3_000)];
    add("after a body", [&script[..], &ask()].concat());
    let slow = [Step::Send(get("/slow?ms=3500")), Step::Quiet(3_000), Want::ok("slow").step()];
    add("while a handler works", [&slow[..], &ask()].concat());
    let head = [Step::Send(b"GET / HTTP/1.1\r\nHo".to_vec()), Step::Quiet(2_000)];
    let rest = [Step::Send(b"st: t\r\n\r\n".to_vec()), Want::ok("hello").step()];
    add("within a head, for two seconds", [&head[..], &rest, &ask()].concat());
    let post = b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhe".to_vec();
    let half = [Step::Send(post), Step::Quiet(2_000), Step::Send(b"llo".to_vec())];
    add(
        "within a body, for two seconds",
        [&half[..], &[Want::ok("hello").step()], &ask()].concat(),
    );
}

/// Who goes away leaves nothing behind.
fn gone(cases: &mut Vec<Case>) {
    let post = |target: &str, framing: &str, body: &str| {
        format!("POST {target} HTTP/1.1\r\nHost: t\r\n{framing}\r\n\r\n{body}").into_bytes()
    };
    let kinds: Vec<(&str, Vec<u8>)> = vec![
        ("at once", Vec::new()),
        ("within a head", b"GET / HTTP/1.1\r\nHo".to_vec()),
        ("within a body", post("/echo", "Content-Length: 5", "hel")),
        ("within an upload", post("/upload", "Content-Length: 1000", "hel")),
        ("within chunks", post("/upload", "Transfer-Encoding: chunked", "fff\r\nhel")),
        (
            "instead of a body after 100",
            b"POST /echo HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
                .to_vec(),
        ),
        ("while a handler works", get("/slow?ms=20000")),
        ("within a stream", get("/stream?n=1000000&ms=10")),
        ("within a stream without pauses", get("/stream?n=1000000&ms=0")),
        ("within a large answer", get("/large?n=100000000")),
    ];
    for (name, request) in kinds {
        for (how, leave) in [("reset", Step::Reset), ("closed", Step::Anew)] {
            // A FIN alone is a half-close: who sends it may wait for the answer, however long.
            if name == "while a handler works" && how == "closed" {
                continue;
            }
            let begin = [Step::Blind, Step::Send(request.clone()), Step::Pause(150)];
            let script = [&begin[..], &[leave, Step::AtRest]].concat();
            let name = format!("lifecycle/gone/{name}, {how}");
            cases.push(Case::new(name, "9112 9.6", script).alone());
        }
    }
    let mut script = Vec::new();
    for _ in 0..20 {
        script.extend([
            Step::Send(get("/")),
            Step::Reset,
            Step::Finish,
            Step::Finished,
            Step::Anew,
        ]);
    }
    script.push(Step::AtRest);
    cases.push(Case::new("lifecycle/gone/twenty in turn", "9112 9.6", script).alone());
}
