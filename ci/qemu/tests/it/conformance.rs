//! The conformance application on a board: each route, and a mebibyte in and out in the RAM that
//! there is.

use crate::util::board::AT;
use crate::util::namespace;
use crate::util::{Board, Client, settles};

#[path = "../../../../examples/conformance/tests/it/table.rs"]
mod table;

use table::{ask, ask_chunked, crc32, each_route_answers, pattern};

/// What the board echoes at most.
const ECHO_BYTES_MAX: usize = 4096;

/// One of `/counters`.
#[track_caller]
fn counter(client: &mut Client, name: &str) -> u64 {
    let text = client.get("/counters").text().to_owned();
    let mut lines = text.lines().filter_map(|line| line.split_once('='));
    let found = lines.find(|(own, _)| *own == name).unwrap_or_else(|| panic!("{name}: {text}"));
    found.1.parse().expect("a number")
}

/// Waits until nothing is in use but by the one who asks.
fn at_rest() {
    let rest =
        "open=1\nidle=0\nin_work=1\nheads_out=1\nsources=2\nbuffers_lent=0\nsockets_free=3\n";
    let mut client = Client::connect(AT);
    settles("everything is given back", || {
        let text = client.get("/counters").text().to_owned();
        if text.starts_with(rest) { Ok(()) } else { Err(text) }
    });
}

#[test]
fn each_route() {
    namespace::inside(|| {
        let _board = Board::start("conformance");
        each_route_answers(AT, ECHO_BYTES_MAX);
        at_rest();
    });
}

#[test]
fn a_mebibyte_in_and_out_takes_no_more_ram() {
    const LENGTH: usize = 1024 * 1024;
    namespace::inside(|| {
        let _board = Board::start("conformance");
        let mut client = Client::connect(AT);
        // The way to each route is known before: what is measured is what a long body adds.
        ask(&mut client, "POST /upload", "", &pattern(3_000));
        ask_chunked(&mut client, "POST /upload", &pattern(3_000), 999);
        client.get("/large?n=3000");
        let before = counter(&mut client, "stack_peak_bytes");
        let body = pattern(LENGTH);
        let expected = format!("len={LENGTH} crc32={:08x}\n", crc32(&body));
        assert_eq!(ask(&mut client, "POST /upload", "", &body).text(), expected);
        assert_eq!(ask_chunked(&mut client, "POST /upload", &body, 1_500).text(), expected);
        let response = client.get(&format!("/large?n={LENGTH}"));
        assert!(response.body.len() == LENGTH && response.body.iter().all(|byte| *byte == b'x'));
        let after = counter(&mut client, "stack_peak_bytes");
        println!("{before} bytes of stack before, {after} after");
        // The rest of the RAM is statics. An interrupt may come at a deeper moment than before.
        assert!(after <= before + 256, "{before} bytes of stack before, {after} after");
        drop(client);
        at_rest();
    });
}
