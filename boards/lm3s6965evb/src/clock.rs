//! Time in 64 bits over SysTick's 24, and the wait between two events.
//!
//! SysTick counts [`PERIOD_TICKS`] system clocks down, again and again; its exception counts the
//! periods. A period is a whole number of microseconds, so that an instant is one product and one
//! 32-bit quotient: no division of 64 bits, and no rest to carry. Timer 0 is the alarm: one shot,
//! 32 bits, armed only when the one that is armed would come too late.
//!
//! Invariants:
//! - No period is lost, whether or not anybody asks for the time: each is counted by the exception,
//!   which masked interrupts hold up for a few hundred instructions at most, not for a period.
//! - The time never runs backwards: who looks while the exception is pending counts it as well, and
//!   looks at the counter again. The counter is never used at 0, where on silicon the exception is
//!   pending already although the period has a tick to go, and in QEMU may not be yet.
//! - A wait ends with any interrupt that came in since interrupts were masked, but a period's end,
//!   which is counted without waking anybody. WFI looks at what is pending, masked or not.
//!
//! Place: above the registers and `interrupts`; the poller's clock.

use core::sync::atomic::{AtomicU32, Ordering, compiler_fence};

use cortex_m::asm::wfi;
use cortex_m::interrupt;
use dustdevil_core::time::{Clock, Duration, Instant};
use dustdevil_smoltcp::Park;

use crate::interrupts::{Interrupt, enable};
use crate::registers::processor::{ICSR, SYST_CSR, SYST_CVR, SYST_RVR};
use crate::registers::timer0::{CFG, CTL, ICR, IMR, TAILR, TAMR};
use crate::system::CLOCK_HZ;

/// System clocks in a microsecond.
const TICKS_PER_MICRO: u32 = CLOCK_HZ / 1_000_000;
/// One period of SysTick: 320 ms, a whole number of microseconds and below 2^24 ticks.
const PERIOD_TICKS: u32 = 16_000_000;
const PERIOD_MICROS: u32 = PERIOD_TICKS / TICKS_PER_MICRO;
const _: () = assert!(PERIOD_TICKS <= 1 << 24 && PERIOD_TICKS == PERIOD_MICROS * TICKS_PER_MICRO);

/// What the alarm can wait for at once; it is armed again after that.
const ALARM_MAX: Duration = Duration::from_secs(60);
const _: () = assert!(ALARM_MAX.as_micros() * (TICKS_PER_MICRO as u64) < 1 << 32);

/// SYST_CSR: count, pend the exception at 0, count the processor's clock.
const COUNT: u32 = 0b111;
/// ICSR: SysTick's exception is pending, for a read.
const PENDSTSET: u32 = 1 << 26;
/// ICSR: it no longer is, for a write.
const PENDSTCLR: u32 = 1 << 25;
/// ICSR: an interrupt of a peripheral is pending.
const ISRPENDING: u32 = 1 << 22;

/// Timer 0: both halves are one timer of 32 bits.
const CFG_32_BITS: u32 = 0;
const TAMR_ONE_SHOT: u32 = 1;
const CTL_TAEN: u32 = 1;
/// The timer has run out, in IMR and ICR.
const TATO: u32 = 1;

/// Periods since the start: 43 years of them.
static PERIODS: AtomicU32 = AtomicU32::new(0);

/// The board's clock, and its way to wait. There is one.
pub struct SystemClock {
    /// When the alarm goes off; MAX when it is not armed.
    alarm: Instant,
}

impl SystemClock {
    /// Starts SysTick and readies the alarm. Once, with the system clock running.
    pub(crate) fn start() -> Self {
        SYST_RVR.write(PERIOD_TICKS - 1);
        SYST_CVR.write(0);
        SYST_CSR.write(COUNT);
        CTL.write(0);
        CFG.write(CFG_32_BITS);
        TAMR.write(TAMR_ONE_SHOT);
        IMR.write(TATO);
        enable(Interrupt::Timer0A);
        Self { alarm: Instant::MAX }
    }

    /// Has the alarm go off at `until` or before.
    fn arm(&mut self, until: Instant, now: Instant) {
        // The timer is asked too: it may have run out a tick before the clock says so.
        if until >= self.alarm && self.alarm > now && CTL.read() & CTL_TAEN != 0 {
            return;
        }
        // From the present, not from when the wait was begun: that may be some microseconds ago.
        let now = self.now();
        let span = (until - now).min(ALARM_MAX);
        self.alarm = now + span;
        CTL.write(0);
        TAILR.write((span.as_micros() as u32 * TICKS_PER_MICRO).max(1));
        CTL.write(CTL_TAEN);
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        let (periods, left) = loop {
            let before = PERIODS.load(Ordering::Relaxed);
            compiler_fence(Ordering::SeqCst);
            let mut seen = (before, count());
            // Asked after the counter: if it has not wrapped now, it had not then.
            if ICSR.read() & PENDSTSET != 0 {
                seen = (before.wrapping_add(1), count());
            }
            compiler_fence(Ordering::SeqCst);
            // The exception was taken in between: nothing of the above is certain.
            if PERIODS.load(Ordering::Relaxed) == before {
                break seen;
            }
        };
        let within = (PERIOD_TICKS - left) / TICKS_PER_MICRO;
        Instant::from_micros(u64::from(periods) * u64::from(PERIOD_MICROS) + u64::from(within))
    }
}

impl Park for SystemClock {
    fn park(&mut self, until: Option<Instant>, may_wait: &mut dyn FnMut() -> bool) {
        let until = until.unwrap_or(Instant::MAX);
        interrupt::free(|_| {
            let now = self.now();
            if until <= now || !may_wait() {
                return;
            }
            if until < Instant::MAX {
                self.arm(until, now);
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
}

/// SysTick's counter, but never 0: it stays there for a tick.
fn count() -> u32 {
    loop {
        let left = SYST_CVR.read();
        if left != 0 {
            return left;
        }
    }
}

/// SysTick's exception: a period is over.
pub(crate) fn on_period() {
    // Nothing interrupts this: it is the exception, or runs with interrupts masked.
    PERIODS.store(PERIODS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

/// The alarm's handler: it ends the wait, and who waited looks at the clock.
pub(crate) fn on_alarm() {
    ICR.write(TATO);
}
