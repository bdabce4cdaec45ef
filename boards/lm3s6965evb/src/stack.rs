//! Where RAM goes: the stack at its bottom, the statics, and how deep the stack has been.
//!
//! ```text
//!   0x1000_0000                 the guard: 256 MiB without memory, which the MPU lets nobody touch
//!   0x2000_0000  _stack_end     the stack grows down to here
//!                _stack_start   the stack's top; .data, .bss and .uninit begin
//!                __euninit      what nobody uses
//!   0x2001_0000  _ram_end
//! ```
//!
//! Invariants, from before the first Rust instruction on:
//! - What the stack has never reached still holds the paint that it was given.
//! - An access below the stack is a fault at that instruction. (Without the MPU it is one only when
//!   the bus has refused it, some instructions later, and in QEMU never.)
//!
//! Place: beside the linker script `memory.x`, whose symbols these are. This module uses `unsafe`:
//! start-up code, and reads of the stack's unused part.

use core::arch::global_asm;
use core::ptr;

/// What the stack is filled with. (A test that paints it from outside uses the same.)
const PAINT: u32 = 0xa5a5_a5a5;

// SAFETY: memory.x and cortex-m-rt's linker script define these four; their addresses are all there
// is to them, and nothing here reads what lies there through them.
unsafe extern "C" {
    safe static _stack_end: u32;
    safe static _stack_start: u32;
    safe static _ram_end: u32;
    safe static __euninit: u32;
}

// Called by cortex-m-rt's reset handler before statics have their values; hence not in Rust. It
// may change r0 to r3. What lies below the stack pointer is nobody's yet. The MPU (ARMv7-M B3.5)
// gets one region, number 0; everything else stays as it is without an MPU, for privileged code
// (PRIVDEFENA).
global_asm!(
    ".section .text.__pre_init, \"ax\", %progbits",
    ".global __pre_init",
    ".type __pre_init, %function",
    ".thumb_func",
    "__pre_init:",
    "ldr   r0, =_stack_end",
    "mov   r1, sp",
    "ldr   r2, ={paint}",
    "1:",
    "stmia r0!, {{r2}}",
    "cmp   r0, r1",
    "blo   1b",
    "ldr   r0, =0xe000ed94",          // MPU_CTRL; 8 and 12 bytes above: MPU_RBAR, MPU_RASR
    "ldr   r1, =0x10000000 | 1 << 4", // The region's address; the rest of this word is its number.
    "ldr   r2, =1 << 28 | 27 << 1 | 1", // Nobody executes, nobody accesses, 2^28 bytes, on.
    "strd  r1, r2, [r0, #8]",
    "movs  r1, #5", // PRIVDEFENA and ENABLE.
    "str   r1, [r0]",
    "dsb",
    "isb",
    "bx    lr",
    ".size __pre_init, . - __pre_init",
    paint = const PAINT,
);

/// RAM, in bytes: all of it.
pub fn ram_bytes() -> usize {
    address(&raw const _ram_end) - end()
}

/// Bytes of RAM that statics take, zeroed or not.
pub fn static_bytes() -> usize {
    address(&raw const __euninit) - start()
}

/// Bytes of RAM set aside for the stack. One that needs more is a fault: `STACK OVERFLOW`.
pub fn stack_bytes() -> usize {
    start() - end()
}

/// The most bytes that the stack has taken since the board started, interrupts included.
///
/// Looks at each word that was never used: about 3 instructions for 4 bytes.
pub fn stack_peak_bytes() -> usize {
    let used = (end()..start()).step_by(4).find(|&at| {
        // SAFETY: an aligned word of the stack's memory, which is RAM and initialized with paint;
        // volatile, since an interrupt may be using it.
        let word = unsafe { ptr::with_exposed_provenance::<u32>(at).read_volatile() };
        word != PAINT
    });
    start() - used.unwrap_or(start())
}

/// The lowest address of the stack, and of RAM.
pub(crate) fn end() -> usize {
    address(&raw const _stack_end)
}

/// RAM that no static, no stack and nobody else uses.
pub(crate) fn unused() -> core::ops::Range<usize> {
    address(&raw const __euninit)..address(&raw const _ram_end)
}

fn start() -> usize {
    address(&raw const _stack_start)
}

fn address(symbol: *const u32) -> usize {
    symbol.expose_provenance()
}
