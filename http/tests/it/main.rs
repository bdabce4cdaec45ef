//! The server in a simulated world: what it promises, under every fault that its poller may show.

mod app;
mod client;
mod faulty_handlers;
mod input;
mod list;
mod pipelining;
mod proof;
mod response;
mod starvation;
mod stopping;
mod transport;
mod util;
mod world;
