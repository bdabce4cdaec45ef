//! Sizes at and beyond what a server has room for (RFC 9110, 15.5; RFC 6585, 5).

use super::Room;
use crate::case::{Body, Case, FOLLOWER, Step, Verdict, Want, follower};

pub(super) fn add(cases: &mut Vec<Case>, room: &Room) {
    heads(cases, room);
    huge_heads(cases, room);
    recommended(cases);
    bodies(cases, room);
}

fn get(target: &str, fields: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: t\r\n{fields}\r\n").into_bytes()
}

/// A request that has to be taken, with these lines in its dump.
fn taken(name: &str, section: &'static str, request: Vec<u8>, line: String) -> Case {
    let bytes = [&request[..], FOLLOWER].concat();
    let script = vec![Step::Send(bytes), Want::lines(&[&line]).step(), follower()];
    Case::new(format!("framing/size/{name}"), section, script)
}

/// A request that has to be refused with one of these statuses.
fn refused(name: &str, section: &'static str, request: Vec<u8>, statuses: &'static [u16]) -> Case {
    Case::of(format!("framing/size/{name}"), section, request, Verdict::Refused(statuses))
}

fn heads(cases: &mut Vec<Case>, room: &Room) {
    let fits = "a".repeat(room.head_fits);
    cases.extend([
        taken("a long query", "9112 3", get(&format!("/dump?{fits}"), ""), format!("query={fits}")),
        taken(
            "a long value",
            "9110 5.4",
            get("/dump", &format!("X: {fits}\r\n")),
            format!("h.x={fits}"),
        ),
        taken(
            "a long name",
            "9110 5.4",
            get("/dump", &format!("{fits}: x\r\n")),
            format!("h.{fits}=x"),
        ),
        taken(
            "much white space around a value",
            "9112 5.1",
            get("/dump", &format!("X: {}a\r\n", " ".repeat(room.head_fits))),
            "h.x=a".to_owned(),
        ),
        taken(
            "many fields",
            "9110 5.4",
            get("/dump", &"X: a\r\n".repeat(room.fields_fit - 1)),
            "h.x=a".to_owned(),
        ),
    ]);
}

/// Heads that are too long for any server.
fn huge_heads(cases: &mut Vec<Case>, room: &Room) {
    let many = "a".repeat(room.head_exceeds);
    let over: &[u16] = &[400, 431];
    cases.extend([
        refused("a huge target", "9110 15.5.15", get(&format!("/{many}"), ""), &[414]),
        refused("a huge query", "9110 15.5.15", get(&format!("/dump?{many}"), ""), &[414]),
        refused(
            "a huge absolute target",
            "9110 15.5.15",
            get(&format!("http://t/{many}"), ""),
            &[414],
        ),
        refused(
            "a huge host in a target",
            "9110 15.5.15",
            get(&format!("http://{many}/"), ""),
            &[414],
        ),
        refused("a huge value", "6585 5", get("/dump", &format!("X: {many}\r\n")), over),
        refused("a huge name", "6585 5", get("/dump", &format!("{many}: x\r\n")), over),
        refused(
            "a huge Host",
            "6585 5",
            format!("GET / HTTP/1.1\r\nHost: {many}\r\n\r\n").into_bytes(),
            over,
        ),
        refused("a huge Cookie", "6585 5", get("/cookie", &format!("Cookie: {many}\r\n")), over),
        refused(
            "very many fields",
            "6585 5",
            get("/dump", &"X: a\r\n".repeat(room.fields_exceed)),
            over,
        ),
        refused(
            "very many short fields",
            "6585 5",
            get("/dump", &"a:\r\n".repeat(room.fields_exceed * 4)),
            over,
        ),
        refused(
            "a huge method",
            "9112 3",
            format!("{many} / HTTP/1.1\r\nHost: t\r\n\r\n").into_bytes(),
            &[400, 405, 414, 431, 501],
        ),
        refused(
            "a huge version",
            "9112 3",
            format!("GET / HTTP/1.{}\r\nHost: t\r\n\r\n", "1".repeat(room.head_exceeds))
                .into_bytes(),
            &[400, 414, 431, 505],
        ),
        refused(
            "endless CRLFs",
            "9112 2.2",
            [&b"\r\n".repeat(room.head_exceeds / 2)[..], &get("/dump", "")].concat(),
            &[400, 408, 431],
        ),
    ]);
}

fn recommended(cases: &mut Vec<Case>) {
    // 8,000 octets are recommended (RFC 9112, 3); a server with less room says so.
    let long = get(&format!("/dump?{}", "a".repeat(7_970)), "");
    let line = format!("query={}", "a".repeat(7_970));
    let outcomes = vec![
        vec![Want::lines(&[&line]).step(), follower()],
        vec![Want::status(&[414]).step(), Step::Closed],
    ];
    let bytes = [&long[..], FOLLOWER].concat();
    let script = vec![Step::Send(bytes), Step::OneOf(outcomes)];
    cases.push(Case::new("framing/size/a line of 8,000", "9112 3", script));
}

fn bodies(cases: &mut Vec<Case>, room: &Room) {
    let post =
        |framing: &str| format!("POST /echo HTTP/1.1\r\nHost: t\r\n{framing}\r\n\r\n").into_bytes();
    let chunks = |count: usize, size: usize| {
        let chunk = format!("{size:x}\r\n{}\r\n", "x".repeat(size));
        [chunk.repeat(count), "0\r\n\r\n".to_owned()].concat().into_bytes()
    };
    let mut echoed = |name: &str, framing: &str, body: Vec<u8>, length: usize| {
        let bytes = [&post(framing)[..], &body, FOLLOWER].concat();
        let want = Want::status(&[200]).body(Body::Repeats(b'x', length));
        let script = vec![Step::Send(bytes), want.step(), follower()];
        cases.push(Case::new(format!("framing/size/{name}"), "9112 6", script));
    };
    let fits = room.echo_fits;
    let coded = "Transfer-Encoding: chunked";
    echoed("the longest body", &format!("Content-Length: {fits}"), vec![b'x'; fits], fits);
    echoed("the longest body in one chunk", coded, chunks(1, fits), fits);
    echoed("the longest body in many chunks", coded, chunks(fits / 64, 64), fits);
    echoed("a thousand chunks of one byte", coded, chunks(1_000, 1), 1_000);
    let over = room.echo_exceeds;
    // What was refused is read to its end or not at all: its rest is never a request.
    let mut too_long = |name: &str, framing: &str, body: Vec<u8>, then: Vec<Step>| {
        let bytes = [&post(framing)[..], &body, FOLLOWER].concat();
        let script = [vec![Step::Send(bytes), Want::status(&[413]).step()], then].concat();
        cases.push(Case::new(format!("framing/size/{name}"), "9110 15.5.14", script));
    };
    let either = || vec![Step::OneOf(vec![vec![follower()], vec![Step::Closed]])];
    let length = format!("Content-Length: {over}");
    too_long("a body beyond the limit", &length, vec![b'x'; over], either());
    too_long("chunks beyond the limit", coded, chunks(over / 1_024, 1_024), either());
    too_long("one chunk beyond the limit", coded, chunks(1, over), either());
    // Here what follows is the body's start, so nothing more is answered, whenever it ends.
    too_long("only the length of one", &length, Vec::new(), Vec::new());
    let size = format!("{over:x}\r\n").into_bytes();
    let request = [&post(coded)[..], &size].concat();
    let verdict = Verdict::Unfinished(&[400, 408, 413]);
    let name = "framing/size/only the size of one";
    cases.push(Case::of(name, "9110 15.5.14", request, verdict));
}
