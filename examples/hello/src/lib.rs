//! Tornado's hello world, for every target.
#![no_std]
#![forbid(unsafe_code)]

use dustdevil_http::{Exchange, Fault, Sent, routes, text};

/// The application: it has no state.
pub struct App;

routes!(App {
    GET "/" => hello,
});

async fn hello(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.out.reply(text("Hello, world")).await
}
