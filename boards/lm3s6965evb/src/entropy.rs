//! A seed that another board, or another start, does not have.
//!
//! This microcontroller has no source of randomness. What differs is gathered: what RAM holds that
//! nobody has written since power came on, the board's own address, how long the start took, in
//! system clocks, and a word that each start changes and that outlives a reset. A reset without
//! loss of power so gives another seed, although RAM holds what it held.
//!
//! How weak this is: cells of RAM wake up to nearly the same bits each time, and some of them are
//! noise; a few dozen bits are a fair guess, none of them measured. It makes initial sequence
//! numbers and ports hard to guess from outside (RFC 6528); it is no key. In QEMU, where RAM begins
//! with zeroes, only the time differs between two starts: some bits.
//!
//! Place: above `stack`, which knows what RAM is unused. This module uses `unsafe`: it reads memory
//! that no object of the program has.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr;

use crate::registers::processor::SYST_CVR;
use crate::stack;

/// What start-up leaves alone: the former start's word.
struct Uninitialized(UnsafeCell<MaybeUninit<u32>>);

// SAFETY: only `seed` reaches it, through volatile accesses, before there is anybody else.
unsafe impl Sync for Uninitialized {}

// SAFETY: cortex-m-rt's section for what it does not initialize; a `MaybeUninit` needs no value.
#[unsafe(link_section = ".uninit")]
static FORMER: Uninitialized = Uninitialized(UnsafeCell::new(MaybeUninit::uninit()));

/// Gathers a seed, SysTick running. Takes about ten milliseconds.
pub(crate) fn seed(address: [u8; 6]) -> u64 {
    let former = FORMER.0.get().cast::<u32>();
    // SAFETY: aligned and in RAM, where any bits are a `u32`; volatile, so that it is what the
    // former start wrote, not what the compiler makes of uninitialized memory.
    let mut state = [unsafe { former.read_volatile() }, 0x2545_f491];
    for at in stack::unused().step_by(4) {
        // SAFETY: an aligned word of RAM that belongs to no object of this program; volatile, as
        // above.
        mix(&mut state, unsafe { ptr::with_exposed_provenance::<u32>(at).read_volatile() });
    }
    for byte in address {
        mix(&mut state, u32::from(byte));
    }
    mix(&mut state, SYST_CVR.read());
    let [low, high] = state;
    // SAFETY: as for the read; nobody else has it.
    unsafe { former.write_volatile(low ^ high.rotate_left(16)) };
    u64::from(low) | u64::from(high) << 32
}

/// Two rounds of multiplication that depend on each other: every bit reaches both halves.
fn mix(state: &mut [u32; 2], word: u32) {
    let [a, b] = *state;
    let a = (a ^ word).wrapping_mul(0x9e37_79b1).rotate_left(15);
    *state = [a, (b ^ a).wrapping_mul(0x85eb_ca77).rotate_left(13)];
}
