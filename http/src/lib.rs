//! Dustdevil's HTTP layer: server and web framework without a heap, over any reactor's world.
#![no_std]
#![forbid(unsafe_code)]

pub mod proto;
pub mod server;
pub mod web;

pub use dustdevil_core::handle::Handle;
pub use dustdevil_core::task::Either;
pub use dustdevil_core::time::{Duration, Instant};
pub use proto::{BodyOut, HeadOut, Method, Status};
pub use server::exchange::{
    Body, BodyWriter, Exchange, Fault, Reply, RequestHead, Responder, Sent,
};
pub use server::{Capacity, Limits, Server};
pub use web::{Application, future_bytes, html, text};
