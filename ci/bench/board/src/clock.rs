//! Time in 64 bits over SysTick's 24, and the wait between two events.
//!
//! As our board package does it: a period of SysTick is a whole number of microseconds, its
//! exception counts them, and its end wakes nobody.

use core::sync::atomic::{AtomicU32, Ordering, compiler_fence};

use cortex_m::asm::wfi;
use cortex_m::interrupt;

use crate::registers::processor::{ICSR, SYST_CSR, SYST_CVR, SYST_RVR};
use crate::registers::system::CLOCK_HZ;
use crate::registers::timer0::{CFG, CTL, IMR, TAILR, TAMR};

const TICKS_PER_MICRO: u32 = CLOCK_HZ / 1_000_000;
/// 320 ms.
const PERIOD_TICKS: u32 = 16_000_000;
const PERIOD_MICROS: u32 = PERIOD_TICKS / TICKS_PER_MICRO;
/// What the alarm can wait for at once, in microseconds.
const ALARM_MAX_MICROS: u64 = 60_000_000;
/// ICSR: SysTick's exception is pending, for a read; it no longer is, for a write.
const PENDSTSET: u32 = 1 << 26;
const PENDSTCLR: u32 = 1 << 25;
/// ICSR: an interrupt of a peripheral is pending.
const ISRPENDING: u32 = 1 << 22;

static PERIODS: AtomicU32 = AtomicU32::new(0);

pub(crate) fn start() {
    SYST_RVR.write(PERIOD_TICKS - 1);
    SYST_CVR.write(0);
    SYST_CSR.write(0b111);
    CTL.write(0);
    CFG.write(0);
    TAMR.write(1);
    IMR.write(1);
}

/// Microseconds since the start.
pub fn now() -> u64 {
    let (periods, left) = loop {
        let before = PERIODS.load(Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        let mut seen = (before, count());
        // Asked after the counter: if it has not wrapped now, it had not then.
        if ICSR.read() & PENDSTSET != 0 {
            seen = (before.wrapping_add(1), count());
        }
        compiler_fence(Ordering::SeqCst);
        if PERIODS.load(Ordering::Relaxed) == before {
            break seen;
        }
    };
    let within = (PERIOD_TICKS - left) / TICKS_PER_MICRO;
    u64::from(periods) * u64::from(PERIOD_MICROS) + u64::from(within)
}

/// Has the alarm's interrupt come in so many microseconds; at once for 0. One that was set before
/// is forgotten.
pub fn set_alarm(micros: u64) {
    let micros = micros.min(ALARM_MAX_MICROS) as u32;
    CTL.write(0);
    TAILR.write((micros * TICKS_PER_MICRO).max(1));
    CTL.write(1);
}

/// Waits for an interrupt other than SysTick's, if `may_wait`, which is asked with interrupts
/// masked, says yes.
pub fn wait(may_wait: impl FnOnce() -> bool) {
    interrupt::free(|_| {
        if !may_wait() {
            return;
        }
        loop {
            wfi();
            let pending = ICSR.read();
            if pending & PENDSTSET != 0 {
                ICSR.write(PENDSTCLR);
                on_period();
            }
            // Its handler runs as soon as interrupts are unmasked.
            if pending & ISRPENDING != 0 {
                return;
            }
        }
    });
}

/// SysTick's counter, but never 0, where its exception may be pending or not.
fn count() -> u32 {
    loop {
        let left = SYST_CVR.read();
        if left != 0 {
            return left;
        }
    }
}

/// A period is over. (Nothing interrupts this: all interrupts have one priority.)
pub(crate) fn on_period() {
    PERIODS.store(PERIODS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}
