//! The list that every world has to pass, here against firmware.

use std::thread;
use std::time::Duration;

use crate::util::board::AT;
use crate::util::client::request;
use crate::util::namespace::{self, Seen};
use crate::util::{Board, Client};

/// Boots `probe`, does something to it, and looks whether everything is back.
fn with_board(work: impl FnOnce(&Board) + Send) {
    namespace::inside(|| {
        let board = Board::start("probe");
        work(&board);
        board.is_at_rest();
    });
}

#[track_caller]
fn hello(client: &mut Client) {
    let response = client.get("/plaintext");
    assert_eq!((response.status, response.text()), (200, "Hello, World!"));
    assert_eq!(response.field("Server"), Some("Dustdevil"));
}

#[test]
fn each_route_answers() {
    for bin in ["bench", "probe"] {
        namespace::inside(|| {
            let _board = Board::start(bin);
            let mut client = Client::connect(AT);
            for (path, media_type, body) in [
                ("/", "text/plain; charset=utf-8", "Hello, World!"),
                ("/plaintext", "text/plain; charset=utf-8", "Hello, World!"),
                ("/json", "application/json", r#"{"message":"Hello, World!"}"#),
                ("/user/1234", "text/plain; charset=utf-8", "1234"),
            ] {
                let response = client.get(path);
                assert_eq!((response.status, response.text()), (200, body), "{bin}: {path}");
                assert_eq!(response.field("Content-Type"), Some(media_type), "{bin}: {path}");
            }
            assert_eq!(client.get("/nowhere").status, 404);
            client.send("DELETE / HTTP/1.1\r\nHost: test\r\n\r\n");
            let refused = client.response();
            assert_eq!((refused.status, refused.field("Allow")), (405, Some("GET, HEAD, OPTIONS")));
            hello(&mut client);
        });
    }
}

#[test]
fn a_thousand_requests_on_one_connection() {
    with_board(|_| {
        let mut client = Client::connect(AT);
        (0..1_000).for_each(|_| hello(&mut client));
    });
}

#[test]
fn two_hundred_connections_one_after_another() {
    with_board(|board| {
        for turn in 0..200 {
            let mut client = Client::connect(AT);
            // Who closes first takes turns: by its own FIN, by the server's, by neither waiting.
            match turn % 3 {
                0 => hello(&mut client),
                1 => {
                    client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
                    assert_eq!(client.response().field("Connection"), Some("close"));
                    client.closes();
                }
                _ => {
                    client.ask("/");
                    client.finish();
                    assert_eq!(client.response().status, 200);
                    client.closes();
                }
            }
        }
        let seen = Seen::now();
        assert_eq!((seen.refused, seen.reset), (0, 0), "{seen:?}");
        board.all_sockets_listen();
    });
}

#[test]
fn five_hundred_opened_and_reset() {
    with_board(|board| {
        for turn in 0..500 {
            let mut client = Client::connect(AT);
            match turn % 5 {
                0 => {}
                1 => client.send("GET /plain"),
                2 => client.ask("/"),
                3 => client.send(request("/").repeat(20)),
                _ => hello(&mut client),
            }
            client.reset();
        }
        board.answers();
        assert_eq!(Seen::now().refused, 0);
    });
}

#[test]
fn a_request_one_byte_at_a_time() {
    with_board(|_| {
        let mut client = Client::connect(AT);
        for _ in 0..3 {
            for byte in request("/user/7").bytes() {
                client.send([byte]);
                thread::sleep(Duration::from_micros(500));
            }
            assert_eq!(client.response().text(), "7");
        }
    });
}

#[test]
fn half_a_close_and_requests_behind_each_other() {
    with_board(|_| {
        for count in [1, 2, 7, 60] {
            let mut client = Client::connect(AT);
            let paths = (0..count).map(|number| request(&format!("/user/{number}")));
            client.send(paths.collect::<String>());
            client.finish();
            for number in 0..count {
                assert_eq!(client.response().text(), number.to_string());
            }
            client.closes();
        }
        // Half a close without a request is the end.
        for _ in 0..10 {
            let mut client = Client::connect(AT);
            client.finish();
            client.closes();
        }
        assert_eq!(Seen::now(), Seen::default());
    });
}
