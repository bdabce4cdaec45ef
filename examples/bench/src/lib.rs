//! What every measurement is taken of: the same few routes that other servers' benchmarks have.
#![no_std]
#![forbid(unsafe_code)]

use dustdevil_http::{Exchange, Fault, MediaType, Reply, Sent, Status, routes, text};
use serde::Serialize;

/// The application: it has no state.
pub struct App;

routes!(App {
    GET "/plaintext" => plaintext,
    GET "/json" => json,
    GET "/" => plaintext,
    GET "/user/{id}" => user,
});

async fn plaintext(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.out.reply(text("Hello, World!")).await
}

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
}

async fn json(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let reply = Reply::new(Status::OK).content_type(MediaType::JSON);
    let message = Message { message: "Hello, World!" };
    x.out.fill(reply, |out| serde_json_core::to_slice(&message, out)).await
}

async fn user(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let id = x.head.param("id").unwrap_or_default();
    x.out.reply(text(id)).await
}
