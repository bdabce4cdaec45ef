//! What every measurement is taken of: the same few routes that other servers' benchmarks have.
//!
//! The handlers are generic over the application, which they do not look at, so that a binary can
//! have them in one of its own, with more routes.
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

/// `/plaintext` and `/`.
pub async fn plaintext<A>(_: &A, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.out.reply(text("Hello, World!")).await
}

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
}

/// `/json`: serialised for each request.
pub async fn json<A>(_: &A, x: Exchange<'_>) -> Result<Sent, Fault> {
    let reply = Reply::new(Status::OK).content_type(MediaType::JSON);
    let message = Message { message: "Hello, World!" };
    x.out.fill(reply, |out| serde_json_core::to_slice(&message, out)).await
}

/// `/user/{id}`: the parameter.
pub async fn user<A>(_: &A, x: Exchange<'_>) -> Result<Sent, Fault> {
    let id = x.head.param("id").unwrap_or_default();
    x.out.reply(text(id)).await
}
