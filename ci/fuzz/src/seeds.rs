//! Seeds: the messages of the HTTP machine's own tests, in each target's form, so that they are
//! written down once.
//!
//! `cargo xtask fuzz` names a folder, and a target fills it before libFuzzer reads it. What lies in
//! `corpus/` beside them was found by fuzzing, or tells what the tests' messages do not.

use std::path::PathBuf;

use dustdevil_http::proto::Method;

use crate::input::PLAIN;

/// The variable with the folder for seeds.
pub const FOLDER: &str = "FUZZ_SEEDS";

/// A message, and what was asked before; `None`: a server receives it.
pub type Received = (Option<(Method, bool)>, &'static [u8]);

/// The place of the messages, with what they are written in terms of.
#[path = "../../../http/src/proto"]
mod proto {
    mod corpus;

    use dustdevil_http::proto::Method;

    mod exercise {
        use super::Method;

        /// Who receives, in the form in which the messages name it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Side {
            Server,
            Client(Method, bool),
        }
    }

    mod method {
        pub(super) use super::Method;
    }

    pub(super) fn messages() -> impl Iterator<Item = super::Received> {
        let cases = corpus::ACCEPTED.iter().copied().flatten().chain(corpus::BROKEN_OFF);
        let cases = cases.map(|(side, bytes, _)| (side, *bytes));
        let rejected = corpus::REJECTED.iter().copied().flatten();
        let rejected = rejected.map(|(side, bytes, _)| (side, *bytes));
        let asked = |side: &exercise::Side| match side {
            exercise::Side::Server => None,
            exercise::Side::Client(method, upgrade) => Some((*method, *upgrade)),
        };
        cases.chain(rejected).map(move |(side, bytes)| (asked(side), bytes))
    }
}

/// All messages.
pub fn messages() -> Vec<Received> {
    proto::messages().collect()
}

/// What a server receives, behind choices that change nothing.
pub fn requests() -> Vec<Vec<u8>> {
    let all = messages().into_iter().filter(|(asked, _)| asked.is_none());
    all.map(|(_, bytes)| [&PLAIN[..], bytes].concat()).collect()
}

/// Fills the folder that was named, if one was.
///
/// # Panics
/// When it cannot be written.
pub fn write(seeds: impl FnOnce() -> Vec<Vec<u8>>) {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    for (number, bytes) in seeds().into_iter().enumerate() {
        std::fs::write(folder.join(format!("{number:03}")), bytes).expect("a folder to write to");
    }
}
