//! The server in a simulated world: what it promises, under every fault that its poller may show.

mod app;
mod client;
mod faulty_handlers;
mod input;
mod journal;
mod list;
mod pipelining;
mod proof;
mod response;
mod rfc;
mod starvation;
mod stopping;
mod transport;
mod turns;
mod util;
mod world;
