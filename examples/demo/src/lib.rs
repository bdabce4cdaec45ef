//! A page that shows the reactor at work, summed over its workers, and switches an LED.
//!
//! Invariants: nothing here knows its target, which hands in its [`Led`], its name, a [`Row`] for
//! each worker and, if it is a board, a way to ask for its own figures; workers share those rows
//! and the LED, and nothing else. An answer with figures fits the buffers of
//! [`Capacity::SMALL`](dustdevil_http::Capacity::SMALL).
//!
//! | route | answer |
//! |---|---|
//! | `GET /`, `/style.css`, `/app.js`, `/icon.svg` | the page, gzipped when this was built |
//! | `GET /status.json` | what all workers did so far; a board's memory and sockets |
//! | `GET /led` | `{"on":false}` |
//! | `POST /led` | the same after switching: the body is `on`, `off` or `toggle`; empty: `toggle` |
//!
//! Place: an application, above `dustdevil_http` alone. `main.rs` is its Linux binary; a board's
//! firmware adds what the board knows of itself:
//!
//! ```
//! use demo::{App, MemoryFigures, NetworkFigures, Row, SimulatedLed};
//!
//! let (led, rows) = (SimulatedLed::new(), [Row::new()]);
//! let memory = || MemoryFigures { ram_bytes: 65_536, ..MemoryFigures::default() };
//! let network = || NetworkFigures { sockets: 4, ..NetworkFigures::default() };
//! let app = App::new(&led, &rows, 0, "a board").with_memory(&memory).with_network(&network);
//! # drop(app);
//! ```
#![no_std]
#![forbid(unsafe_code)]

mod assets;
mod board;
mod figures;
mod led;

use core::cell::Cell;
use core::convert::Infallible;
use core::future::Future;

use dustdevil_http::server::Stats;
use dustdevil_http::{
    Duration, Exchange, Fault, Handle, Instant, MediaType, Reply, Responder, Sent, Status, routes,
};
use serde::Serialize;

pub use assets::ASSETS;
pub use board::{MemoryFigures, NetworkFigures};
pub use figures::{Figures, Row};
pub use led::{Led, SimulatedLed};

/// How often a worker that serves nobody publishes its figures.
pub const PUBLISH_EVERY: Duration = Duration::from_millis(500);

/// Longest name of a target: with it, `/status.json` fits the buffers of the smallest board.
pub const TARGET_BYTES_MAX: usize = 40;

/// One worker's application.
pub struct App<'a> {
    led: &'a dyn Led,
    rows: &'a [Row],
    own: &'a Row,
    target: &'a str,
    memory: Option<&'a dyn Fn() -> MemoryFigures>,
    network: Option<&'a dyn Fn() -> NetworkFigures>,
    started: Cell<Instant>,
}

routes!(App<'_> {
    GET "/" => asset,
    GET "/style.css" => asset,
    GET "/app.js" => asset,
    GET "/icon.svg" => asset,
    GET "/status.json" => status,
    GET "/led" => led,
    POST "/led" => switch,
});

/// What `/status.json` says beside the figures.
#[derive(Serialize)]
struct Report<'a> {
    target: &'a str,
    workers: usize,
    led: bool,
    figures: Figures,
    memory: Option<MemoryFigures>,
    network: Option<NetworkFigures>,
}

/// What `/led` says.
#[derive(Serialize)]
struct LedState {
    on: bool,
}

impl<'a> App<'a> {
    /// The application of worker `worker`, whose figures go to that one of `rows`.
    ///
    /// There are as many workers as `rows`; every worker gets the same ones. `target` is shown: the
    /// board, or the system and its poller; at most [`TARGET_BYTES_MAX`] bytes of it.
    ///
    /// # Panics
    /// At start-up: when `rows` has none for `worker`, or `target` is too long.
    pub fn new(led: &'a dyn Led, rows: &'a [Row], worker: usize, target: &'a str) -> Self {
        assert!(worker < rows.len(), "worker {worker} of {}", rows.len());
        assert!(target.len() <= TARGET_BYTES_MAX, "a target's name of {} bytes", target.len());
        Self {
            led,
            rows,
            own: &rows[worker],
            target,
            memory: None,
            network: None,
            started: Cell::new(Instant::MAX),
        }
    }

    /// The same, which also shows how the board's memory is used: `memory` is asked each time.
    pub const fn with_memory(mut self, memory: &'a dyn Fn() -> MemoryFigures) -> Self {
        self.memory = Some(memory);
        self
    }

    /// The same, which also shows what becomes of the board's sockets: `network` is asked for each
    /// answer, while no part of the reactor is borrowed, so that it may ask the reactor's poller.
    pub const fn with_network(mut self, network: &'a dyn Fn() -> NetworkFigures) -> Self {
        self.network = Some(network);
        self
    }

    /// Publishes this worker's figures every [`PUBLISH_EVERY`], for ever: for a worker that serves
    /// nobody. Takes one timer of the reactor's capacity.
    ///
    /// Cancel-safe: what was published stays.
    pub async fn publish(&self, rt: Handle<'_>, stats: &Stats<'_>) -> Infallible {
        loop {
            self.note(rt, stats);
            rt.sleep(PUBLISH_EVERY).await;
        }
    }

    /// Publishes this worker's figures once.
    fn note(&self, rt: Handle<'_>, stats: &Stats<'_>) {
        let now = rt.now();
        self.started.set(self.started.get().min(now));
        let uptime = now - self.started.get();
        self.own.publish(&Figures::of(uptime, rt, stats, &self.own.figures()));
    }

    fn report(&self) -> Report<'_> {
        let figures = self.rows.iter().map(Row::figures).fold(Figures::default(), Figures::plus);
        Report {
            target: self.target,
            workers: self.rows.len(),
            led: self.led.is_on(),
            figures,
            memory: self.memory.map(|figures| figures()),
            network: self.network.map(|figures| figures()),
        }
    }
}

async fn asset(app: &App<'_>, x: Exchange<'_>) -> Result<Sent, Fault> {
    app.note(x.rt, x.head.stats());
    let path = x.head.path();
    let (_, asset) =
        ASSETS.iter().find(|(at, _)| *at == path).ok_or(Fault::Http(Status::NOT_FOUND))?;
    let reply = asset.reply(&x.head);
    x.out.reply(reply).await
}

async fn status(app: &App<'_>, x: Exchange<'_>) -> Result<Sent, Fault> {
    app.note(x.rt, x.head.stats());
    x.out.fill(JSON, |out| serde_json_core::to_slice(&app.report(), out)).await
}

async fn led(app: &App<'_>, x: Exchange<'_>) -> Result<Sent, Fault> {
    app.note(x.rt, x.head.stats());
    led_state(app, x.out).await
}

async fn switch(app: &App<'_>, mut x: Exchange<'_>) -> Result<Sent, Fault> {
    app.note(x.rt, x.head.stats());
    if x.head.get("origin").is_some_and(|origin| is_foreign(origin, x.head.host())) {
        return Err(Fault::Http(Status::FORBIDDEN));
    }
    let mut word = [0; 8];
    let on = match x.body.read_all(&mut word).await?.trim_ascii() {
        b"on" => true,
        b"off" => false,
        b"toggle" | b"" => !app.led.is_on(),
        _ => return Err(Fault::Http(Status::BAD_REQUEST)),
    };
    app.led.set(on);
    led_state(app, x.out).await
}

fn led_state(app: &App<'_>, out: Responder<'_>) -> impl Future<Output = Result<Sent, Fault>> {
    out.fill(JSON, |out| serde_json_core::to_slice(&LedState { on: app.led.is_on() }, out))
}

/// The head of what is only true now.
const JSON: Reply<'static> = Reply::new(Status::OK)
    .content_type(MediaType::JSON)
    .fields(&[("Cache-Control", b"no-store"), ("X-Content-Type-Options", b"nosniff")]);

/// Whether `Origin` names another site than the one that was asked: somebody else's page, which may
/// send a `POST` here from its visitor's browser (RFC 6454, 7.3), must not switch the LED.
fn is_foreign(origin: &[u8], host: &str) -> bool {
    let scheme = [&b"http://"[..], b"https://"];
    let site = scheme.iter().find_map(|scheme| origin.strip_prefix(*scheme));
    !site.is_some_and(|site| site.eq_ignore_ascii_case(host.as_bytes()))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use dustdevil_http::Capacity;
    use dustdevil_http::server::response::HEAD_ROOM;

    use super::*;

    #[test]
    fn only_its_own_page_switches_the_led() {
        for (origin, host, foreign) in [
            (&b"http://127.0.0.1:8888"[..], "127.0.0.1:8888", false),
            (b"http://BOARD.local", "board.local", false),
            (b"https://board.local", "board.local", false),
            (b"http://board.local:81", "board.local", true),
            (b"http://example.com", "board.local", true),
            (b"http://board.local.example.com", "board.local", true),
            (b"null", "board.local", true),
            (b"", "", true),
        ] {
            assert_eq!(is_foreign(origin, host), foreign, "{origin:?} {host}");
        }
    }

    #[test]
    fn the_longest_status_fits_the_smallest_buffer() {
        let target = "x".repeat(TARGET_BYTES_MAX);
        let count = u32::MAX;
        let memory = || MemoryFigures {
            ram_bytes: count,
            static_bytes: count,
            stack_bytes: count,
            stack_peak_bytes: count,
        };
        let network = || NetworkFigures {
            sockets: count,
            free: count,
            lingering: count,
            held: count,
            held_total: count,
            dropped_total: count,
        };
        let (led, rows) = (SimulatedLed::new(), [Row::new()]);
        rows[0].publish(&Figures::LARGEST);
        let app = App::new(&led, &rows, 0, &target).with_memory(&memory).with_network(&network);
        let mut out = [0; Capacity::SMALL.out_bytes - HEAD_ROOM];
        let len = serde_json_core::to_slice(&app.report(), &mut out).expect("it fits");
        assert!(len > 600, "{len}");
        assert_eq!(out[..len].iter().filter(|byte| **byte == b':').count(), 27);
    }

    #[test]
    fn what_a_target_does_not_know_is_null() {
        let (led, rows) = (SimulatedLed::new(), [Row::new()]);
        let app = App::new(&led, &rows, 0, "nowhere");
        let mut out = [0; 1024];
        let len = serde_json_core::to_slice(&app.report(), &mut out).unwrap();
        assert!(out[..len].ends_with(b"},\"memory\":null,\"network\":null}"));
    }

    #[test]
    #[should_panic(expected = "a target's name of 41 bytes")]
    fn a_name_that_is_too_long_is_refused() {
        App::new(&SimulatedLed::new(), &[Row::new()], 0, &"x".repeat(41));
    }

    #[test]
    #[should_panic(expected = "worker 1 of 1")]
    fn every_worker_has_a_row() {
        App::new(&SimulatedLed::new(), &[Row::new()], 1, "nowhere");
    }
}
