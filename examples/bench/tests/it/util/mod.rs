//! A client of bytes, a server process, a server in this process, and an application to serve.

pub(crate) mod client;
pub(crate) mod host;
pub(crate) mod process;
pub(crate) mod wait;
pub(crate) mod workshop;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use client::Client;
pub(crate) use host::Host;
pub(crate) use process::Process;
pub(crate) use wait::{PATIENCE, until};
pub(crate) use workshop::Workshop;

/// Held by the tests that measure time and by those that use up the machine, one at a time.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // It guards nothing that a test which failed could have spoilt.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Process {
    /// Starts the example `bench` on a free port.
    pub(crate) fn bench(options: &[&str]) -> (Self, SocketAddr) {
        Self::serve(env!("CARGO_BIN_EXE_bench"), options)
    }
}

/// The path of a program that a test needs, looked for in `PATH` and in `<target>/<folder>`.
///
/// Without it the test says on standard error that it did not run; in CI it fails.
pub(crate) fn tool(program: &str, folder: &str) -> Option<PathBuf> {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name(folder);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::iter::once(target)
        .chain(std::env::split_paths(&path).filter(|_| folder.is_empty()))
        .map(|place| place.join(program))
        .find(|file| file.is_file());
    if found.is_none() {
        let what = format!("{folder}/{program} is missing; `cargo xtask setup` installs it");
        assert!(std::env::var_os("CI").is_none(), "{what}");
        // Not `eprintln`, which the harness hides for tests that pass.
        let _ = writeln!(std::io::stderr(), "\nNOT RUN: {what}");
    }
    found
}

/// Raises this process's limit of descriptors to what the hard one allows.
pub(crate) fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it may not be raised, the test that needs more says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
