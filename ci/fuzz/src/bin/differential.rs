//! Reads any stream of requests, in any pieces, as an independent parser does: nobody may slip a
//! request past one of them. Where the two may differ is written in `strictness.rs`.

#![no_main]

use fuzz::input::Input;
use fuzz::machine::Feed;
use fuzz::{machine, oracle, seeds, strictness};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: seeds::write(seeds::requests), |data: &[u8]| {
    let Some(Input { limits, pieces, stream, .. }) = Input::new(data) else { return };
    let fin_late = data[0] & 1 != 0;
    let ours = machine::requests(&Feed { stream, pieces, limits, fin_late });
    let oracle = oracle::requests(stream);
    if let Err(what) = strictness::judge(&ours, &oracle) {
        panic!("{what}: we read{ours:?}\n\nand the oracle{oracle:?}");
    }
});
