//! The demo on a board: its page, its figures, its own LED, and Chromium.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::util::board::{AT, SOCKETS};
use crate::util::client::request;
use crate::util::namespace::{self, Seen};
use crate::util::{Board, Client, settles};

/// `GPIODATA` of port F, masked by its address to pin 0, which switches the LED (LM3S6965 data
/// sheet, "GPIO Data"; evaluation board, "Status LED").
const LED: u32 = 0x4002_5000 + (1 << 2);

/// Whether the pin that the LED hangs on is high.
fn shines(board: &Board) -> bool {
    let data = board.machine.memory(LED, 4).unwrap();
    data[0] & 1 == 1
}

fn status(client: &mut Client) -> serde_json::Value {
    let response = client.get("/status.json");
    assert_eq!(response.status, 200);
    serde_json::from_slice(&response.body).expect("JSON")
}

#[test]
fn the_page_its_figures_and_the_led() {
    namespace::inside(|| {
        let board = Board::start("demo");
        let mut client = Client::connect(AT);
        for (path, media_type) in [
            ("/", "text/html; charset=utf-8"),
            ("/style.css", "text/css; charset=utf-8"),
            ("/app.js", "text/javascript; charset=utf-8"),
            ("/icon.svg", "image/svg+xml"),
        ] {
            client.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n"));
            let response = client.response();
            assert_eq!((response.status, response.field("Content-Type")), (200, Some(media_type)));
            assert!(!response.body.is_empty(), "{path}");
        }
        let first = status(&mut client);
        assert_eq!((first["workers"].as_u64(), first["led"].as_bool()), (Some(1), Some(false)));
        for (word, on) in
            [("on", true), ("on", true), ("off", false), ("", true), ("toggle", false)]
        {
            let length = word.len();
            client.send(format!(
                "POST /led HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{word}"
            ));
            assert_eq!(client.response().text(), format!("{{\"on\":{on}}}"), "{word}");
            assert_eq!(shines(&board), on, "{word}");
        }
        let second = status(&mut client);
        let figure = |status: &serde_json::Value, name| status["figures"][name].as_u64().unwrap();
        assert_eq!(figure(&second, "requests"), figure(&first, "requests") + 6);
        assert!(figure(&second, "uptime_ms") >= figure(&first, "uptime_ms"));
    });
}

/// Chromium opens up to six connections at once, and the board has fewer sockets.
#[test]
fn chromium_loads_the_page_twenty_times() {
    if !browser::is_installed() {
        let what = "Chromium or its driver is missing; `cargo xtask setup` installs them";
        assert!(std::env::var_os("CI").is_none(), "{what}");
        // Not `eprintln`, which the harness hides for tests that pass.
        let _ = writeln!(std::io::stderr(), "\nNOT RUN: {what}");
        return;
    }
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("browser");
    namespace::inside(|| {
        let _board = Board::start("demo");
        let url = format!("http://{AT}/");
        let seen = browser::visit(&url, &folder).and_then(|()| browser::load(&url, &folder, 20));
        seen.unwrap_or_else(|error| panic!("{error:#}"));
        everything_is_back();
        let peak = status(&mut Client::connect(AT))["figures"]["peak"].clone();
        println!("{peak} connections at once, {} in all", namespace::counters()["ActiveOpens"]);
        // Others who look at the same time make it scarce for everybody.
        let over = AtomicBool::new(false);
        let loaded = thread::scope(|scope| {
            for _ in 0..SOCKETS {
                scope.spawn(|| look_on(&over));
            }
            let loaded = browser::load(&url, &folder, 5);
            over.store(true, Ordering::Relaxed);
            loaded
        });
        loaded.unwrap_or_else(|error| panic!("among others: {error:#}"));
        everything_is_back();
        let Seen { refused, reset, .. } = Seen::now();
        println!("{refused} refused, {reset} reset");
        assert_eq!(refused, 0);
    });
}

/// Asks for the figures again and again, over one connection as long as the board keeps it.
fn look_on(over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let mut client = Client::connect(AT);
        while !over.load(Ordering::Relaxed) {
            client.try_send(request("/status.json"));
            // One that is idle may have to make room just before it asks.
            let Ok(response) = client.try_response() else { break };
            assert_eq!(response.status, 200);
            if response.field("Connection") == Some("close") {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Each socket can be used at once, and nobody is left on any.
fn everything_is_back() {
    settles("the last visitor's connections are gone", || {
        let figures = status(&mut Client::connect(AT))["figures"].clone();
        let is = figures["open"] == 1 && figures["idle"] == 0;
        if is { Ok(()) } else { Err(figures.to_string()) }
    });
    let mut clients: Vec<Client> = (0..SOCKETS).map(|_| Client::connect(AT)).collect();
    clients.iter_mut().for_each(|client| client.ask("/led"));
    clients.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
    clients.iter_mut().for_each(|client| assert_eq!(client.get("/led").status, 200));
    assert_eq!(status(&mut clients[0])["figures"]["open"], SOCKETS);
}
