//! Bad input: the right status or a clean close, and everything comes back.

use std::thread;
use std::time::Duration;

use crate::util::board::AT;
use crate::util::client::{End, request};
use crate::util::namespace;
use crate::util::{Board, Client};

/// More often than there is room for: a leak of one at a time would leave nothing.
const TIMES: usize = 9;

#[test]
fn what_cannot_be_understood_is_refused() {
    let long = "a".repeat(3_000);
    let many: String = (0..40).map(|number| format!("F{number}: x\r\n")).collect();
    let cases = [
        (400, "garbage\r\n\r\n".to_owned()),
        (400, "\0\u{1}\u{2}\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\nHost: a\n\n".to_owned()),
        (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned()),
        (431, format!("GET / HTTP/1.1\r\nHost: test\r\nLong: {long}\r\n\r\n")),
        (431, format!("GET / HTTP/1.1\r\nHost: test\r\n{many}\r\n")),
        (413, "GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 2000000\r\n\r\n".to_owned()),
    ];
    namespace::inside(|| {
        let board = Board::start("probe");
        for (status, bytes) in &cases {
            for _ in 0..TIMES {
                let mut client = Client::connect(AT);
                client.send(bytes);
                let response = client.response();
                assert_eq!(response.status, *status, "{bytes:?}: {}", response.head);
                assert_eq!(response.field("Connection"), Some("close"), "{bytes:?}");
                client.closes();
            }
            board.is_at_rest();
        }
    });
}

#[test]
fn a_refusal_can_be_read_although_the_peer_still_sends() {
    namespace::inside(|| {
        let board = Board::start("probe");
        for _ in 0..TIMES {
            let mut client = Client::connect(AT);
            client.send("GET / HTTP/1.1\r\nHost: test\r\nLong: ");
            // It writes everything before it reads anything.
            client.send(vec![b'x'; 20_000]);
            assert_eq!(client.response().status, 431);
            client.finish();
            client.closes();
        }
        board.is_at_rest();
    });
}

#[test]
fn who_vanishes_in_the_middle_leaves_nothing() {
    namespace::inside(|| {
        let board = Board::start("probe");
        for bytes in ["", "GET", "GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\n1234"] {
            for _ in 0..TIMES {
                let mut client = Client::with_small_window(AT);
                client.send(bytes);
                thread::sleep(Duration::from_millis(2));
                client.reset();
            }
        }
        board.is_at_rest();
    });
}

#[test]
fn who_never_reads_is_cut_off_and_leaves_nothing() {
    namespace::inside(|| {
        let board = Board::start("probe");
        let mut client = Client::with_small_window(AT);
        // The last of them find no room anywhere: after ten seconds the board has had enough.
        client.stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        client.try_send(request("/").repeat(4_000));
        thread::sleep(Duration::from_secs(12));
        assert_eq!(client.rest().1, End::Reset);
        board.is_at_rest();
    });
}
