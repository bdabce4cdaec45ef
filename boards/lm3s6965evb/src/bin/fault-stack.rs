//! Firmware that recurses without end: the line, and the reset after it, are what is tested.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::hint::black_box;

use cortex_m_rt::entry;
use lm3s6965evb as _;

#[entry]
fn main() -> ! {
    let depth = deeper(black_box(0));
    panic!("it ended, {depth} deep");
}

/// Each call keeps some bytes on the stack until the next one returns, which it never does.
#[expect(unconditional_recursion, reason = "that is what the stack's guard is for")]
#[inline(never)]
fn deeper(depth: u32) -> u32 {
    let kept = black_box([depth; 8]);
    deeper(depth.wrapping_add(1)) + kept.iter().sum::<u32>()
}
