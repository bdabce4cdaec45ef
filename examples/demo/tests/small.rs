//! A browser at the smallest board: in a simulated world, with a board's buffers, every part of the
//! page arrives whole, however small the pieces.
#![cfg(target_os = "linux")]

use core::net::SocketAddr;

use demo::{ASSETS, App, MemoryFigures, NetworkFigures, Row, SimulatedLed};
use dustdevil_core::reactor::Reactor;
use dustdevil_core::sim::{self, Faults, Record, Script, Sim, World};
use dustdevil_core::time::Duration;
use dustdevil_http::web::assets::Variant;
use dustdevil_http::{Capacity, Limits, Server};
use dustdevil_std::zeroed;

/// What firmware gives the demo, and no more: a browser's request has up to 20 fields.
const BOARD: Capacity = Capacity { fields: 24, ..Capacity::SMALL };

/// The sizes of a socket's buffers on a board.
const WINDOW_BYTES: usize = 1024;

const SOON: Duration = Duration::from_secs(60);

/// What Chromium 156 sends with every request to a server on its own machine. To others it sends
/// less.
const ALWAYS: &str = "Host: 127.0.0.1:8080\r\nConnection: keep-alive\r\n\
    sec-ch-ua: \"Not:A-Brand\";v=\"8\", \"Chromium\";v=\"156\"\r\nsec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) \
    AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef\r\n";

/// What it adds to its visitor's own request, when the page is loaded once more.
const PAGE: &str = "Cache-Control: max-age=0\r\nUpgrade-Insecure-Requests: 1\r\nAccept: text/html,\
    application/xhtml+xml,application/xml;q=0.9,image/jxl,image/avif,image/webp,image/apng,*/*;\
    q=0.8,application/signed-exchange;v=b3;q=0.7\r\nSec-Fetch-Site: none\r\n\
    Sec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n";

/// What it adds to a request of the page.
const PART: &str = "Accept: */*\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n\
    Sec-Fetch-Dest: empty\r\nReferer: http://127.0.0.1:8080/\r\n";

/// What it adds to a `POST` of the page.
const SWITCH: &str = "Content-Length: 2\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n\
    Content-Type: text/plain;charset=UTF-8\r\nOrigin: http://127.0.0.1:8080\r\n";

fn head(line: &str, fields: &[&str]) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\n{ALWAYS}{}\r\n", fields.concat()).into_bytes()
}

/// Serves these visitors as a board would, until all are gone.
fn serve(seed: u64, faults: Faults, visitors: Vec<Script>) {
    let window_bytes = (WINDOW_BYTES, WINDOW_BYTES);
    let faults = Faults { window_bytes, write_whole_waits: true, ..faults };
    let world = World::new(seed, faults);
    let at: SocketAddr = "192.0.2.2:80".parse().unwrap();
    for visitor in visitors {
        world.connect(at, SOON, visitor);
    }
    let reactor_capacity = BOARD.reactor();
    let mut reactor_memory = zeroed(reactor_capacity.bytes());
    let mut server_memory = zeroed(BOARD.bytes::<App>());
    let wakes = sim::wakes(reactor_capacity.tasks);
    let poller = Sim::<false>::new(&world);
    let reactor = Reactor::new(poller, reactor_memory.block(), reactor_capacity, wakes);
    let listener = reactor.listen(at, 4).unwrap();

    let (led, rows) = (SimulatedLed::new(), [Row::new()]);
    let memory = || MemoryFigures {
        ram_bytes: 65_536,
        static_bytes: 40_000,
        stack_bytes: 8_192,
        stack_peak_bytes: 2_100,
    };
    // As a board asks the poller itself.
    let network = || reactor.poller(|_| NetworkFigures { sockets: 4, ..Default::default() });
    let app = App::new(&led, &rows, 0, "a board").with_memory(&memory).with_network(&network);
    let server = Server::new(&app, server_memory.block(), BOARD, Limits::DEFAULT);
    reactor.run(server.serve_until(&reactor, listener, world.peers_gone()));
    world.assert_all_closed();
}

/// Asks for one asset on a connection of its own, and the record of it.
fn asking(path: &str, fields: &[&str], variant: &Variant) -> (Script, Record, Vec<u8>) {
    let script = Script::new(path)
        .send(&head(&format!("GET {path}"), fields))
        .expect_contains(b"HTTP/1.1 200 OK\r\n", SOON)
        .expect_contains(b"\r\n\r\n", SOON)
        .expect_bytes(variant.body.len(), SOON)
        .fin()
        .expect_close(SOON);
    let record = script.record();
    (script, record, variant.body.to_vec())
}

#[test]
fn every_asset_arrives_whole_through_a_small_window() {
    let longest = ASSETS.iter().map(|(_, asset)| asset.gzip.body.len()).max();
    assert!(longest > Some(2 * WINDOW_BYTES), "nothing is longer than the window: {longest:?}");
    for seed in 0..20 {
        for (path, asset) in ASSETS {
            let (script, record, body) = asking(path, &[PART], &asset.gzip);
            serve(seed, Faults::lossless(), vec![script]);
            assert!(record.outcome().received.ends_with(&body), "{seed} {path}");
        }
    }
}

#[test]
fn what_a_browser_has_already_is_not_sent_again() {
    let (path, asset) = ASSETS[0];
    let tag = format!("If-None-Match: {}\r\n", asset.gzip.etag);
    let script = Script::new(path)
        .send(&head(&format!("GET {path}"), &[PAGE, &tag]))
        .expect_contains(b"HTTP/1.1 304 Not Modified\r\n", SOON)
        .expect_contains(b"\r\n\r\n", SOON)
        .fin()
        .expect_close(SOON);
    let record = script.record();
    serve(0, Faults::lossless(), vec![script]);
    assert!(record.outcome().received.ends_with(b"\r\n\r\n"), "{}", record.outcome().text());
}

#[test]
fn all_assets_may_be_asked_for_at_once() {
    // A browser's request is one segment, and all connections of the page ask in one moment.
    let (mut visitors, mut expected) = (Vec::new(), Vec::new());
    for (path, asset) in ASSETS {
        let (script, record, body) = asking(path, &[PART], &asset.gzip);
        visitors.push(script);
        expected.push((path, record, body));
    }
    serve(0, Faults::NONE, visitors);
    for (path, record, body) in expected {
        assert!(record.outcome().received.ends_with(&body), "{path}");
    }
}

#[test]
fn a_browser_reads_figures_and_switches_the_led_on_one_connection() {
    let status = head("GET /status.json", &[PART]);
    let mut switch = head("POST /led", &[PART, SWITCH]);
    switch.extend(b"on");
    for (name, bytes) in
        [("status", &status), ("switch", &switch), ("page", &head("GET /", &[PAGE]))]
    {
        let window = BOARD.head_bytes - 8 * BOARD.fields;
        assert!(bytes.len() < window, "{name} has {} bytes, of {window}", bytes.len());
    }
    for seed in 0..20 {
        let memory = b"\"memory\":{\"ram_bytes\":65536,\"static_bytes\":40000,\
            \"stack_bytes\":8192,\"stack_peak_bytes\":2100},\"network\":{\"sockets\":4,\"free\":0,\
            \"lingering\":0,\"held\":0,\"held_total\":0,\"dropped_total\":0}}";
        let visitor = Script::new("page")
            .send(&status)
            .expect_contains(b"HTTP/1.1 200 OK\r\n", SOON)
            .expect_contains(b"\"led\":false", SOON)
            .expect_contains(memory, SOON)
            .send(&switch)
            .expect_contains(b"HTTP/1.1 200 OK\r\n", SOON)
            .expect_contains(b"{\"on\":true}", SOON)
            .send(&status)
            .expect_contains(b"\"led\":true", SOON)
            .expect_contains(memory, SOON)
            .fin()
            .expect_close(SOON);
        let record = visitor.record();
        serve(seed, Faults::lossless(), vec![visitor]);
        assert!(record.outcome().is_finished, "{seed}: {}", record.outcome().text());
    }
}
