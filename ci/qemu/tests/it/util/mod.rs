//! A board in a network of its own, a wire that has faults, clients, and a browser.

pub(crate) mod bad;
pub(crate) mod board;
#[path = "../../../../../examples/bench/tests/it/util/client.rs"]
pub(crate) mod client;
pub(crate) mod namespace;
pub(crate) mod wire;

use std::time::{Duration, Instant};

pub(crate) use board::Board;
pub(crate) use client::Client;

/// Longer than anything here takes on a busy machine, short enough for a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Looks every few milliseconds until `look` has nothing to complain about, within [`PATIENCE`].
#[track_caller]
pub(crate) fn settles<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(found) => return found,
            Err(complaint) => {
                let is_late = Instant::now() > deadline;
                assert!(!is_late, "{what}: not within {PATIENCE:?}: {complaint}");
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
