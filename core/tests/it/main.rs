//! The core as its users see it: reactor, streams and tasks in the simulator's worlds.
//!
//! Every test that takes a seed is the same each time it runs. Under Miri there are fewer seeds.

mod callbacks;
mod cancel;
mod connecting;
mod coroutine;
mod locks;
mod periodic;
mod queues;
mod reactor;
mod streams;
mod streams_faces;
mod streams_model;
mod streams_output;
mod tasks;
mod udp;
mod util;
