//! 64-bit division in 64 bytes of flash, instead of the compiler's 930.
//!
//! Nothing of ours divides 64 bits on its way, and smoltcp does so once an acknowledgement, to turn
//! microseconds into milliseconds: numbers of 32 bits in fact, for which the processor has an
//! instruction. Larger ones are divided bit by bit, in about 800 instructions. A linker prefers
//! this, because the compiler's is weak.
//!
//! `__aeabi_uldivmod` (Run-time ABI for the Arm Architecture, 5.3.1): r1:r0 divided by r3:r2, which
//! is not zero, as Rust asks before; the quotient is returned in r1:r0, the remainder in r3:r2.
//!
//! Invariant: in the loop, the remainder is less than the divisor before each step; doubled it may
//! need 65 bits, of which the carry is the highest. The firmware `self-check` holds this to
//! `quotient * divisor + remainder`, with `remainder < divisor`, for numbers of all sizes.
//!
//! Place: below everything, compiled code included. This module is `unsafe` as a whole: it is
//! assembly.

use core::arch::global_asm;

global_asm!(
    ".section .text.__aeabi_uldivmod, \"ax\", %progbits",
    ".global __aeabi_uldivmod",
    ".type __aeabi_uldivmod, %function",
    ".thumb_func",
    "__aeabi_uldivmod:",
    "orrs  r12, r1, r3",
    "bne   1f",
    "udiv  r12, r0, r2",
    "mls   r2, r12, r2, r0",
    "mov   r0, r12",
    "bx    lr", // The high words are 0 as they were.
    "1:",
    "push  {{r4, r5, r6, lr}}",
    "movs  r4, #0",
    "movs  r5, #0",
    "mov   r12, #64",
    "2:",
    "adds  r0, r0, r0", // Dividend and remainder are one number of 128 bits, shifted left.
    "adcs  r1, r1, r1",
    "adcs  r4, r4, r4",
    "adcs  r5, r5, r5",
    "bcs   3f",
    "cmp   r4, r2",
    "sbcs  r6, r5, r3",
    "blo   4f",
    "3:",
    "subs  r4, r4, r2",
    "sbcs  r5, r5, r3",
    "adds  r0, r0, #1", // The bit of the quotient, into the place that became free.
    "4:",
    "subs  r12, r12, #1",
    "bne   2b",
    "mov   r2, r4",
    "mov   r3, r5",
    "pop   {{r4, r5, r6, pc}}",
    ".size __aeabi_uldivmod, . - __aeabi_uldivmod",
);
