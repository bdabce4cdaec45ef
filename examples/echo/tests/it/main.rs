//! The echo: in the simulator, and the real program over real sockets.
//!
//! | module | what it shows |
//! |---|---|
//! | `simulated` | a table of inputs, any network, a port that has no end |
//! | `process` | the real program: TCP, a unix socket, its client, its end |
#![cfg(target_os = "linux")]

mod process;
mod simulated;
