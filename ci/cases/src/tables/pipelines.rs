//! Requests behind each other: in order, one response each, and a body never becomes a request
//! (RFC 9112, 9.3).

use super::Room;
use crate::case::{Body, Case, FOLLOWER, Step, Want, follower};

fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n").into_bytes()
}

fn post(target: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST {target} HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body.as_bytes()].concat()
}

fn chunked(target: &str, body: &str) -> Vec<u8> {
    let head = format!("POST {target} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = match body.len() {
        0 => String::new(),
        length => format!("{length:x}\r\n{body}\r\n"),
    };
    [head.as_bytes(), chunk.as_bytes(), b"0\r\n\r\n"].concat()
}

/// Requests and what answers each.
type Exchanges = Vec<(Vec<u8>, Want)>;

/// All of them at once, and the follower.
fn at_once(exchanges: Exchanges) -> Vec<Step> {
    let requests: Vec<Vec<u8>> = exchanges.iter().map(|exchange| exchange.0.clone()).collect();
    let send = Step::Send([&requests.concat()[..], FOLLOWER].concat());
    let answers = exchanges.into_iter().map(|exchange| exchange.1.step());
    std::iter::once(send).chain(answers).chain([follower()]).collect()
}

/// One after another, each answered before the next is sent.
fn in_turn(exchanges: Exchanges) -> Vec<Step> {
    let steps = exchanges.into_iter().flat_map(|(bytes, want)| [Step::Send(bytes), want.step()]);
    steps.chain([Step::Send(FOLLOWER.to_vec()), follower()]).collect()
}

fn numbered(count: usize) -> Exchanges {
    let one = |number: usize| {
        let query = format!("query=n={number}");
        (get(&format!("/dump?n={number}")), Want::lines(&[&query]))
    };
    (0..count).map(one).collect()
}

/// Of every kind, in turns.
fn mixed(count: usize) -> Exchanges {
    let one = |number: usize| {
        let body = format!("{number} ").repeat(number % 20 + 1);
        match number % 6 {
            0 => (get("/"), Want::ok("hello")),
            1 => (post("/echo", &body), Want::ok(&body)),
            2 => (chunked("/echo", &body), Want::ok(&body)),
            3 => (get("/status/204"), Want::status(&[204])),
            4 => (b"HEAD / HTTP/1.1\r\nHost: t\r\n\r\n".to_vec(), Want::status(&[200]).to_head()),
            _ => (get("/chunked"), Want::ok("onetwothree")),
        }
    };
    (0..count).map(one).collect()
}

pub(super) fn add(cases: &mut Vec<Case>, room: &Room) {
    ordered(cases, room);
    broken(cases);
    reused(cases);
    unread(cases, room);
}

fn ordered(cases: &mut Vec<Case>, room: &Room) {
    let mut add = |name: String, script| {
        cases.push(Case::new(format!("lifecycle/pipeline/{name}"), "9112 9.3.2", script));
    };
    for count in [2, 16, 64] {
        add(format!("{count} requests"), at_once(numbered(count)));
        add(format!("{count} mixed"), at_once(mixed(count)));
    }
    let slow = |rest: Exchanges| {
        let first = vec![(get("/slow?ms=300"), Want::ok("slow"))];
        first.into_iter().chain(rest).collect::<Vec<_>>()
    };
    let script = at_once(slow(numbered(5)));
    add("a slow one first".to_owned(), [script, vec![Step::Took(290..=9_000)]].concat());
    add("a slow one first, mixed".to_owned(), at_once(slow(mixed(12))));
    let twice = slow(slow(numbered(1)));
    add("two slow ones first".to_owned(), [at_once(twice), vec![Step::Took(580..=9_000)]].concat());
    // What comes while the first is at work waits for its turn.
    let script = vec![
        Step::Send(get("/slow?ms=300")),
        Step::Pause(100),
        Step::Send([get("/"), FOLLOWER.to_vec()].concat()),
        Want::ok("slow").step(),
        Want::ok("hello").step(),
        follower(),
    ];
    add("more while one is at work".to_owned(), script);
    let stream = "chunk 0\nchunk 1\nchunk 2\n";
    let streams = (0..4).map(|_| (get("/stream?n=3&ms=10"), Want::ok(stream))).collect();
    add("streams".to_owned(), at_once(streams));
    // Responses beyond every buffer, read late: neither lost nor mixed.
    let count = room.large / 100;
    let large = |number: usize| {
        let want = Want::status(&[200]).body(Body::Repeats(b'x', count + number));
        (get(&format!("/large?n={}", count + number)), want)
    };
    let script = at_once((0..40).map(large).collect());
    let (send, rest) = script.split_at(1);
    let script = [&[Step::Blind], send, &[Step::Pause(500)], rest].concat();
    add("large answers, read late".to_owned(), script);
    let echoes = |number: usize| {
        let body = format!("{number:03}").repeat(300);
        (post("/echo", &body), Want::ok(&body))
    };
    add("bodies of 900".to_owned(), at_once((0..40).map(echoes).collect()));
    let close = b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".to_vec();
    let closing = numbered(3).into_iter().chain([(close, Want::ok("hello"))]).collect();
    // The follower is sent, too, and never answered.
    let mut script = at_once(closing);
    script.pop();
    script.push(Step::Finished);
    add("close in the middle".to_owned(), script);
}

/// An error in the middle: what came before is answered, what comes behind never.
fn broken(cases: &mut Vec<Case>) {
    let bad: &[(&str, &[u8], &[u16])] = &[
        ("a malformed line", b"GET /  HTTP/1.1 x\r\nHost: t\r\n\r\n", &[400, 505]),
        ("no Host", b"GET / HTTP/1.1\r\n\r\n", &[400]),
        (
            "two lengths",
            b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\
          Content-Length: 2\r\n\r\nab",
            &[400],
        ),
        (
            "an unknown coding",
            b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: cow\r\n\r\n",
            &[400, 501],
        ),
        (
            "malformed chunks",
            b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            &[400],
        ),
        ("another version", b"GET / HTTP/2.0\r\nHost: t\r\n\r\n", &[400, 505]),
        (
            "a body that is a request and more",
            b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\n\
          GET / HTTP/1.1\r\nHost: t\r\n\r\n",
            &[200],
        ),
    ];
    for (name, request, statuses) in bad {
        let before: Vec<u8> = numbered(3).into_iter().flat_map(|exchange| exchange.0).collect();
        let mut script = vec![Step::Send([&before[..], request, FOLLOWER].concat())];
        script.extend(numbered(3).into_iter().map(|exchange| exchange.1.step()));
        script.push(Want::status(statuses).step());
        // What is left of that body has no method.
        if *statuses == [200] {
            script.push(Want::status(&[400]).step());
        }
        script.push(Step::Closed);
        cases.push(Case::new(format!("lifecycle/pipeline/{name}"), "9112 9.3.2", script));
    }
}

/// The connection goes on after every kind of body.
fn reused(cases: &mut Vec<Case>) {
    let head = |target: &str| format!("HEAD {target} HTTP/1.1\r\nHost: t\r\n\r\n").into_bytes();
    let kinds: Vec<(&str, Vec<u8>, Want)> = vec![
        ("nothing", get("/"), Want::ok("hello")),
        ("a body", post("/echo", "hello"), Want::ok("hello")),
        ("an empty body", post("/echo", ""), Want::ok("")),
        ("chunks", chunked("/echo", "hello"), Want::ok("hello")),
        ("empty chunks", chunked("/echo", ""), Want::ok("")),
        ("chunks received", get("/chunked"), Want::ok("onetwothree")),
        ("a stream", get("/stream?n=2&ms=10"), Want::ok("chunk 0\nchunk 1\n")),
        (
            "a large answer",
            get("/large?n=30000"),
            Want::status(&[200]).body(Body::Repeats(b'x', 30_000)),
        ),
        ("HEAD", head("/"), Want::status(&[200]).to_head()),
        ("HEAD of chunks", head("/chunked"), Want::status(&[200]).to_head()),
        ("HEAD of a large answer", head("/large?n=30000"), Want::status(&[200]).to_head()),
        ("204", get("/status/204"), Want::status(&[204])),
        ("304", get("/status/304"), Want::status(&[304])),
        ("302", get("/redirect"), Want::status(&[302])),
        ("404", get("/nowhere"), Want::status(&[404])),
        ("405", get("/only-post"), Want::status(&[405])),
        ("500", get("/status/500"), Want::status(&[500])),
        (
            "a GET with a body",
            b"GET /dump HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi".to_vec(),
            Want::lines(&["body=2"]),
        ),
    ];
    for (name, request, want) in kinds {
        let script = in_turn(vec![(request.clone(), want.clone()), (request, want)]);
        cases.push(Case::new(format!("lifecycle/reuse/after {name}"), "9112 9.3", script));
    }
    let script = in_turn((0..3).flat_map(|_| mixed(12)).collect());
    cases.push(Case::new("lifecycle/reuse/36 of every kind", "9112 9.3", script));
    let script = in_turn(numbered(300));
    cases.push(Case::new("lifecycle/reuse/300 in turn", "9112 9.3", script));
}

/// Bodies that no handler reads are read and thrown away, or end the connection.
fn unread(cases: &mut Vec<Case>, room: &Room) {
    let inner = "GET /dump?smuggled HTTP/1.1\r\nHost: t\r\n\r\n";
    let small: &[(&str, &str, &str, &[u16])] = &[
        ("ignored", "POST", "/only-post", &[200]),
        ("of 404", "POST", "/nowhere", &[404]),
        ("of 405", "POST", "/", &[405]),
        ("of 405 by PUT", "PUT", "/only-post", &[405]),
        ("of GET", "GET", "/", &[200]),
        ("of a redirect", "GET", "/redirect", &[302]),
        ("of 204", "GET", "/status/204", &[204]),
        ("of a stream", "GET", "/stream?n=2&ms=5", &[200]),
        ("of a slow one", "GET", "/slow?ms=50", &[200]),
        ("of an unknown method", "BREW", "/", &[405, 501]),
    ];
    let mut add = |name: String, bytes: Vec<u8>, statuses: &[u16]| {
        let then = Step::OneOf(vec![vec![follower()], vec![Step::Closed]]);
        let send = Step::Send([&bytes[..], FOLLOWER].concat());
        let script = vec![send, Want::status(statuses).step(), then];
        cases.push(Case::new(format!("lifecycle/unread/{name}"), "9112 9.3", script));
    };
    for (name, method, target, statuses) in small {
        let change = |bytes: Vec<u8>| {
            let text = String::from_utf8_lossy(&bytes).replacen("POST", method, 1);
            text.into_bytes()
        };
        add(format!("body {name}"), change(post(target, inner)), statuses);
        add(format!("chunks {name}"), change(chunked(target, inner)), statuses);
        let huge = inner.repeat(room.echo_fits / inner.len());
        add(format!("huge body {name}"), change(post(target, &huge)), statuses);
    }
    let huge = inner.repeat(room.echo_fits / inner.len());
    add("huge chunks ignored".to_owned(), chunked("/only-post", &huge), &[200]);
    let spread = inner.repeat(room.echo_fits / inner.len() / 10);
    let pieces = spread.as_bytes().chunks(inner.len());
    let pieces = pieces
        .flat_map(|piece| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
    let head = b"POST /only-post HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
    let bytes = head.iter().copied().chain(pieces).chain(*b"0\r\n\r\n").collect();
    add("many chunks ignored".to_owned(), bytes, &[200]);
    // A malformed rest that nobody reads is not passed over: the connection ends behind it.
    let malformed = [&head[..], b"5\r\nhelloXX\r\n"].concat();
    let outcomes = vec![
        vec![Want::status(&[200]).step(), Step::Closed],
        vec![Want::status(&[400]).step(), Step::Closed],
    ];
    let send = Step::Send([&malformed[..], FOLLOWER].concat());
    let script = vec![send, Step::OneOf(outcomes)];
    cases.push(Case::new("lifecycle/unread/malformed chunks ignored", "9112 9.3", script));
}
