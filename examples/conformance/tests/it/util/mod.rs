//! A client of bytes and a server process: those of `bench`'s tests.

use std::net::SocketAddr;

#[expect(dead_code, reason = "bench's tests do more with a connection")]
#[path = "../../../../bench/tests/it/util/client.rs"]
pub(crate) mod client;
#[expect(dead_code, reason = "bench's tests do more with a process")]
#[path = "../../../../bench/tests/it/util/process.rs"]
pub(crate) mod process;
#[path = "../../../../bench/tests/it/util/wait.rs"]
pub(crate) mod wait;

pub(crate) use client::Client;
pub(crate) use process::Process;
pub(crate) use wait::{PATIENCE, until};

impl Process {
    /// Starts the example `conformance` on a free port.
    pub(crate) fn conformance() -> (Self, SocketAddr) {
        Self::serve(env!("CARGO_BIN_EXE_conformance"), &[])
    }
}
