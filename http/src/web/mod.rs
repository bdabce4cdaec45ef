//! Tornado's web framework, as far as it is here: applications, routes, ready-made replies, assets.
//!
//! Place: the top layer; stands on the server's [`Exchange`](crate::Exchange) alone.

mod application;
pub mod assets;
pub mod routes;

pub(crate) use application::slots_bytes;
pub use application::{Application, future_bytes};

use crate::proto::{MediaType, Status};
use crate::server::response::Reply;

/// A plain-text reply, 200. Tornado: `self.write("..")`.
pub const fn text(body: &str) -> Reply<'_> {
    Reply::new(Status::OK).body(MediaType::PLAIN, body.as_bytes())
}

/// An HTML reply, 200.
pub const fn html(body: &str) -> Reply<'_> {
    Reply::new(Status::OK).body(MediaType::HTML, body.as_bytes())
}
