//! Any steps with a stream: reads with any bound, writes with and without an output buffer, calls
//! that are dropped, arrivals in any pieces, ends. After each the stream stands where the core's
//! own model of it says.

#![no_main]

use fuzz::input::Random;
use fuzz::seeds;
use libfuzzer_sys::fuzz_target;

/// The model of the core's tests, written down once.
#[path = "../../../../core/tests/it/streams_model.rs"]
mod model;

fuzz_target!(init: seeds::write(seeds), |data: &[u8]| model::run(data));

/// Some hundred steps of each of some kinds of streams.
fn seeds() -> Vec<Vec<u8>> {
    let steps = |number| {
        let mut random = Random(number);
        (0..400).map(|_| random.below(256) as u8).collect()
    };
    (0..32).map(steps).collect()
}
