//! `Expect` (RFC 9110, 10.1.1).

use super::Room;
use crate::case::{Case, FOLLOWER, Step, Want, follower};

/// The head of a `POST` that expects something.
fn post(target: &str, fields: &str) -> Vec<u8> {
    format!("POST {target} HTTP/1.1\r\nHost: t\r\n{fields}\r\n").into_bytes()
}

const ASKS: &str = "Expect: 100-continue\r\nContent-Length: 5\r\n";

pub(super) fn add(cases: &mut Vec<Case>, room: &Room) {
    wanted(cases);
    unwanted(cases, room);
    others(cases);
}

fn hello() -> Vec<u8> {
    [b"hello", FOLLOWER].concat()
}

/// The body is wanted: 100, and then the body is sent.
fn wanted(cases: &mut Vec<Case>) {
    let once = || Want::ok("hello").interim(1..=1);
    let mut add = |name: &str, head: Vec<u8>, body: Vec<u8>, want: Want| {
        let steps =
            vec![Step::Send(head), Step::Continues, Step::Send(body), want.step(), follower()];
        cases.push(Case::new(format!("semantics/expect/{name}"), "9110 10.1.1", steps));
    };
    add("the body is wanted", post("/echo", ASKS), hello(), once());
    let upper = "Expect: 100-CONTINUE\r\nContent-Length: 5\r\n";
    add("in upper case", post("/echo", upper), hello(), once());
    let spaced = "expect: \t100-continue \t\r\nContent-Length: 5\r\n";
    add("with white space", post("/echo", spaced), hello(), once());
    let chunked = "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n";
    let chunks = [b"5\r\nhello\r\n0\r\n\r\n", FOLLOWER].concat();
    add("chunks are wanted", post("/echo", chunked), chunks, once());
    let crc = format!("len=5 crc32={:08x}\n", super::semantics::crc32(b"hello"));
    add("a stream is wanted", post("/upload", ASKS), hello(), Want::ok(crc).interim(1..=1));
    let two = [post("/echo", ASKS), Vec::new()].concat();
    let steps = vec![
        Step::Send(two.clone()),
        Step::Continues,
        Step::Send([b"hello", &two[..]].concat()),
        once().step(),
        Step::Continues,
        Step::Send(hello()),
        once().step(),
        follower(),
    ];
    cases.push(Case::new("semantics/expect/twice on a connection", "9110 10.1.1", steps));
}

/// No 100 where the body is not wanted, is there already, or there is none.
fn unwanted(cases: &mut Vec<Case>, room: &Room) {
    let mut final_only = |name: &str, head: Vec<u8>, statuses: &[u16]| {
        let script = vec![Step::Send(head), Want::status(statuses).step()];
        cases.push(Case::new(format!("semantics/expect/{name}"), "9110 10.1.1", script));
    };
    final_only("refused by 404", post("/nowhere", ASKS), &[404]);
    final_only("refused by 405", post("/", ASKS), &[405]);
    let over = room.echo_exceeds;
    let huge = format!("Expect: 100-continue\r\nContent-Length: {over}\r\n");
    final_only("refused by 413", post("/echo", &huge), &[413]);
    final_only(
        "refused by 400",
        post("/echo", "Expect: 100-continue\r\nContent-Length: x\r\n"),
        &[400],
    );
    let both = "Expect: 100-continue\r\nContent-Length: x\r\nTransfer-Encoding: cow\r\n";
    final_only("refused by its coding", post("/echo", both), &[400, 501]);
    let mut at_once = |name: &str, request: Vec<u8>, want: Want| {
        let script = vec![Step::Send([&request[..], FOLLOWER].concat()), want.step(), follower()];
        cases.push(Case::new(format!("semantics/expect/{name}"), "9110 10.1.1", script));
    };
    // A server may leave it out once it has some of the body.
    let with_body = [&post("/echo", ASKS)[..], b"hello"].concat();
    at_once("the body is there already", with_body, Want::ok("hello").interim(0..=1));
    let none = b"GET / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n\r\n".to_vec();
    at_once("there is no body", none, Want::ok("hello").interim(0..=1));
    let zero = post("/echo", "Expect: 100-continue\r\nContent-Length: 0\r\n");
    at_once("the body is empty", zero, Want::ok("").interim(0..=1));
    let head = b"HEAD / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n\r\n".to_vec();
    at_once("of HEAD", head, Want::status(&[200]).to_head().interim(0..=1));
    // HTTP/1.0 knows no interim responses.
    let old = b"POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n".to_vec();
    let script = vec![
        Step::Send(old),
        Step::Quiet(300),
        Step::Send(b"hello".to_vec()),
        Want::ok("hello").to_old().step(),
        Step::Closed,
    ];
    cases.push(Case::new("semantics/expect/1.0", "9110 10.1.1", script));
}

/// Other expectations: 417, or ignored.
fn others(cases: &mut Vec<Case>) {
    for (name, field) in [
        ("unknown", "Expect: tea\r\n"),
        ("unknown with a value", "Expect: tea=milk;sugar=no\r\n"),
        ("known and unknown", "Expect: 100-continue, tea\r\n"),
        ("known and unknown in two fields", "Expect: 100-continue\r\nExpect: tea\r\n"),
        ("almost the known one", "Expect: 100-continued\r\n"),
        ("200-ok", "Expect: 200-ok\r\n"),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: t\r\n{field}\r\n").into_bytes();
        let then = Step::OneOf(vec![vec![follower()], vec![Step::Closed]]);
        let outcomes = vec![
            vec![Want::status(&[417, 400]).step(), then],
            vec![Want::ok("hello").interim(0..=1).step(), follower()],
        ];
        let script = vec![Step::Send([&request[..], FOLLOWER].concat()), Step::OneOf(outcomes)];
        cases.push(Case::new(format!("semantics/expect/{name}"), "9110 10.1.1", script));
    }
    let empty = b"GET / HTTP/1.1\r\nHost: t\r\nExpect:\r\n\r\n".to_vec();
    let outcomes =
        vec![vec![Want::status(&[417, 400]).step()], vec![Want::ok("hello").step(), follower()]];
    let script = vec![Step::Send([&empty[..], FOLLOWER].concat()), Step::OneOf(outcomes)];
    cases.push(Case::new("semantics/expect/empty", "9110 10.1.1", script));
    let old = b"GET / HTTP/1.0\r\nExpect: tea\r\n\r\n".to_vec();
    let want = Want::status(&[200, 417]).to_old();
    let script = vec![Step::Send(old), want.step(), Step::Closed];
    cases.push(Case::new("semantics/expect/unknown in 1.0", "9110 10.1.1", script));
}
