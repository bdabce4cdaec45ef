//! Dustdevil's HTTP layer: Tornado's server and web framework without a heap, over any reactor's
//! world.
//!
//! | module | what it is |
//! |---|---|
//! | [`proto`] | HTTP/1.1 as a machine without I/O, for both roles |
//! | [`rfc`] | what RFC 9110 and RFC 9112 require, what is done, and the tests that hold it |
//! | [`server`] | plain code that drives connections; a future runs only while one answers |
//! | [`sizing`] | how much RAM a configuration takes, before it runs |
//! | [`web`] | applications, routes, ready-made replies, assets |
//!
//! An application is a value; its handlers are plain `async fn`s that get `&App` and an
//! [`Exchange`]. This is all of `hello`:
//!
//! ```
//! use dustdevil_http::{Exchange, Fault, Sent, routes, text};
//!
//! pub struct App;
//!
//! routes!(App {
//!     GET "/" => hello,
//! });
//!
//! async fn hello(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
//!     x.out.reply(text("Hello, world")).await
//! }
//! ```
//!
//! Invariants: no `unsafe`, no allocation, no type of smoltcp, rustix or httparse in the public
//! API.
//!
//! Features: `simd` turns on httparse's SIMD, for hosts (it needs `std`).
#![no_std]
#![forbid(unsafe_code)]

pub mod proto;
#[doc = include_str!("../RFC.md")]
pub mod rfc {}
pub mod server;
pub mod sizing;
pub mod web;

pub use dustdevil_core::handle::Handle;
pub use dustdevil_core::pool::{BufPool, Lease};
pub use dustdevil_core::task::Either;
pub use dustdevil_core::time::{Duration, Instant};
pub use proto::{BodyOut, HeadOut, MediaType, Method, Status};
pub use server::exchange::{Body, Exchange, Fault, Part, RequestHead, Sent};
pub use server::response::{BodyWriter, Reply, Responder, StaticReply};
pub use server::{Capacity, Limits, Server};
pub use web::{Application, future_bytes, html, text};
