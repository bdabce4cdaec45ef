//! Firmware that panics on purpose: the line, and the reset after it, are what is tested.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::hint::black_box;

use cortex_m_rt::entry;
use lm3s6965evb as _;

#[entry]
fn main() -> ! {
    assert!(black_box(false), "on purpose");
    loop {
        cortex_m::asm::wfi();
    }
}
