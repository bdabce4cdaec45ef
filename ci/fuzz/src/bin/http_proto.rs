//! Feeds arbitrary bytes to the HTTP machine, in both roles and in every split; what must hold is
//! written in `http/src/proto/exercise.rs`.

#![no_main]

use dustdevil_http::proto::exercise;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| exercise(data));
