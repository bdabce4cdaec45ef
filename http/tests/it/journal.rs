//! What the server says of its work: a line a request, and each limit that is hit once.

use std::cell::RefCell;
use std::sync::Once;

use dustdevil_core::sim::Script;
use dustdevil_http::server::journal::ACCESS;
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::util::{GET, Scene, get, ms};

thread_local! {
    /// The records of this thread's server: tests run beside each other.
    static LINES: RefCell<Vec<(Level, String, String)>> = const { RefCell::new(Vec::new()) };
}

struct Collector;

impl Log for Collector {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = (record.level(), record.target().to_string(), record.args().to_string());
        LINES.with_borrow_mut(|lines| lines.push(line));
    }

    fn flush(&self) {}
}

/// Runs a scene; what it logged for `target` at `level`.
fn lines(scene: &Scene, level: Level, target: &str) -> Vec<String> {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        log::set_logger(&Collector).expect("the only logger of these tests");
        log::set_max_level(LevelFilter::Debug);
    });
    LINES.take();
    scene.run();
    let matching = |line: &(Level, String, String)| line.0 == level && line.1.starts_with(target);
    LINES.take().into_iter().filter(matching).map(|line| line.2).collect()
}

#[test]
fn each_request_leaves_a_line() {
    let scene = Scene::calm();
    let script = Script::new("one")
        .send(&get("/plain?a=b"))
        .send(&get("/slow/40"))
        .send(&get("/nothing"))
        .send(b"HEAD /plain HTTP/1.1\r\nHost: a\r\n\r\n")
        .send(b"rubbish\r\n\r\n");
    scene.script(ms(0), script.fin());
    let lines = lines(&scene, Level::Debug, ACCESS);
    let (lines, times): (Vec<_>, Vec<_>) =
        lines.iter().map(|line| line.rsplit_once(' ').expect("a time")).unzip();
    let peer = lines[0].rsplit_once(' ').expect("a peer").1;
    assert!(peer.starts_with('(') && peer.ends_with(')'), "{peer}");
    assert_eq!(
        lines,
        [
            format!("200 GET /plain?a=b {peer}"),
            format!("200 GET /slow/40 {peer}"),
            format!("404 GET /nothing {peer}"),
            format!("200 HEAD /plain {peer}"),
            format!("400 - {peer} malformed request"),
        ]
    );
    assert_eq!(times[4], "line", "the reason's last word");
    let slow: f64 = times[1].strip_suffix("ms").and_then(|time| time.parse().ok()).expect("ms");
    assert!((40.0..45.0).contains(&slow), "{slow}");
}

/// One that left is told of as well: its handler notices, or is ended after the grace.
#[test]
fn a_peer_that_left_before_its_answer_has_no_status() {
    let scene = Scene::calm();
    for path in ["/watch/30000", "/slow/30000"] {
        let script = Script::new("leaves").send(&get(path)).wait(ms(500)).reset();
        scene.script(ms(0), script);
    }
    let lines = lines(&scene, Level::Debug, ACCESS);
    let left = |path: &str| lines.iter().filter(|line| line.starts_with(path)).count();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(left("499 GET /slow/30000 "), 1, "{lines:?}");
}

#[test]
fn a_limit_that_is_hit_is_told_once() {
    let mut scene = Scene::calm();
    scene.setup.capacity.connections = 1;
    for n in 0..4 {
        scene.script(ms(n), Script::new("one").send(GET).wait(ms(3_000)).fin());
    }
    let long = format!("/{}", "x".repeat(2_000));
    scene.script(ms(9_000), Script::new("one").send(&get(&long)).fin());
    scene.script(ms(9_500), Script::new("one").send(&get(&long)).fin());
    let told = lines(&scene, Level::Warn, "dustdevil_http");
    let of = |limit: &str| told.iter().filter(|line| line.contains(limit)).count();
    assert_eq!((of("connections:"), of("head_bytes")), (1, 1), "{told:?}");
}
