//! A page that shows the reactor at work, summed over its workers, and switches an LED.
//!
//! Invariants: nothing here knows its target, which hands in its [`Led`], its name and a [`Row`]
//! for each worker; workers share those rows and the LED, and nothing else.
//!
//! | route | answer |
//! |---|---|
//! | `GET /`, `/style.css`, `/app.js`, `/icon.svg` | the page, gzipped when this was built |
//! | `GET /status.json` | what all workers did so far |
//! | `GET /led` | `{"on":false}` |
//! | `POST /led` | the same after switching: the body is `on`, `off` or `toggle`; empty: `toggle` |
//!
//! Place: an application, above `dustdevil_http` alone. `main.rs` is its Linux binary.
#![no_std]
#![forbid(unsafe_code)]

mod assets;
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
pub use figures::{Figures, Row};
pub use led::{Led, SimulatedLed};

/// How often a worker that serves nobody publishes its figures.
pub const PUBLISH_EVERY: Duration = Duration::from_millis(500);

/// One worker's application.
pub struct App<'a> {
    led: &'a dyn Led,
    rows: &'a [Row],
    own: &'a Row,
    target: &'a str,
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
    /// board, or the system and its poller.
    ///
    /// # Panics
    /// At start-up: when `rows` has none for `worker`.
    pub fn new(led: &'a dyn Led, rows: &'a [Row], worker: usize, target: &'a str) -> Self {
        assert!(worker < rows.len(), "worker {worker} of {}", rows.len());
        Self { led, rows, own: &rows[worker], target, started: Cell::new(Instant::MAX) }
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
        Report { target: self.target, workers: self.rows.len(), led: self.led.is_on(), figures }
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
    #[should_panic(expected = "worker 1 of 1")]
    fn every_worker_has_a_row() {
        App::new(&SimulatedLed::new(), &[Row::new()], 1, "nowhere");
    }
}
