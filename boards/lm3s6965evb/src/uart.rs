//! UART1 as a stream of bytes: pins PD2 (receives) and PD3 (transmits), 8 bits, no parity, one stop
//! bit.
//!
//! Two rings lie between the loop and the interrupt, which alone touches the UART's own FIFOs:
//!
//! ```text
//!             try_read              on_interrupt
//!   the loop <--------- RECEIVED <--------------- FIFO, 16 bytes <--- PD2
//!             ---------> SENDING ---------------> FIFO, 16 bytes ---> PD3
//!             try_write             on_interrupt
//! ```
//!
//! Invariants:
//! - A write pends the interrupt, whose handler fills the transmit FIFO. When bytes are left over,
//!   that FIFO is full, hence its level will fall, and the transmit interrupt comes.
//! - The handler empties the receive FIFO whenever it runs: the next byte is a new cause.
//! - Whoever waits hangs its waker at a [`Bell`] before it looks at a ring, and the handler moves
//!   bytes before it rings.
//!
//! Capacity: [`RECEIVE_BYTES`] and [`TRANSMIT_BYTES`]. Receive ring full: the byte that comes then
//! is dropped, and counted in [`Losses::overrun`]; the stream goes on, since a peer on a serial
//! line cannot be slowed down by dropping more. Transmit ring full: a write would block.
//!
//! Place: above the registers and `interrupts`, beside `dustdevil_core::stream`. Firmware that does
//! not use [`uart1!`](crate::uart1) links nothing of this, and its vector table has the default
//! handler there.

use core::cell::Cell;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::task::{Context, Poll};

use dustdevil_core::nb;
use dustdevil_core::poller::{Error, Interest};
use dustdevil_core::remote::Ring;
use dustdevil_core::stream::RawStream;
use dustdevil_core::wake::Bell;

use crate::interrupts::{Interrupt, enable, pend};
use crate::registers::PORT_D;
use crate::registers::uart1::{CTL, DR, FBRD, FR, IBRD, ICR, IM, LCRH};
use crate::system::{CLOCK_HZ, GPIOD, UART1, power, power_serial_or_timer};

/// Received bytes that wait to be read: 22 ms of a line at 115,200 baud.
pub const RECEIVE_BYTES: usize = 256;
/// Written bytes that wait to be sent.
pub const TRANSMIT_BYTES: usize = 256;

/// PD2 receives and PD3 transmits.
const PINS: u32 = 0b1100;
/// LCRH: 8 bits, no parity, one stop bit, FIFOs on.
const WLEN_8_FEN: u32 = 0b11 << 5 | 1 << 4;
/// CTL: the UART, its transmitter and its receiver are on.
const ENABLE: u32 = 1 << 9 | 1 << 8 | 1;
/// FR: the transmit FIFO is full; the receive FIFO is empty.
const TXFF: u32 = 1 << 5;
const RXFE: u32 = 1 << 4;
/// IM, ICR: bytes came; some came, and then none for a while; there is room again.
const RX: u32 = 1 << 4;
const TX: u32 = 1 << 5;
const RT: u32 = 1 << 6;
/// DR: bytes before this one found the FIFO full.
const OE: u32 = 1 << 11;
/// DR: this is no byte but a break, or has a wrong parity or stop bit.
const GARBLED_BITS: u32 = 0b111 << 8;

static RECEIVED: Ring<RECEIVE_BYTES> = Ring::new();
static SENDING: Ring<TRANSMIT_BYTES> = Ring::new();
/// Who waits for bytes, for room or an empty ring, and for the end.
static READERS: Bell = Bell::new();
static WRITERS: Bell = Bell::new();
static MOURNERS: Bell = Bell::new();
static IS_CLOSED: AtomicBool = AtomicBool::new(false);
/// What the handler counts, and nobody else writes.
static OVERRUN: AtomicU32 = AtomicU32::new(0);
static GARBLED: AtomicU32 = AtomicU32::new(0);

/// UART1, open. Made by [`uart1!`](crate::uart1); a [`RawStream`], and so is a reference to it.
///
/// There is one waiter for each interest, and the one that flushes is the one that waits to write.
/// Dropping it closes it.
pub struct Uart {
    /// Rings have one side in the loop: it is not to be shared with an interrupt.
    not_sync: PhantomData<Cell<()>>,
}

/// Bytes that came and were not received, since the start; the counters wrap around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Found the ring full and were dropped. Where the FIFO itself ran over, because interrupts
    /// were masked for too long, one is counted for as many as it were.
    pub overrun: u32,
    /// Had a wrong stop bit (another baud rate), or were a break.
    pub garbled: u32,
}

impl Uart {
    /// What was lost so far.
    pub fn losses(&self) -> Losses {
        Losses {
            overrun: OVERRUN.load(Ordering::Relaxed),
            garbled: GARBLED.load(Ordering::Relaxed),
        }
    }
}

impl RawStream for Uart {
    fn try_read(&self, buf: &mut [u8]) -> nb::Result<usize, Error> {
        if is_closed() {
            return Err(nb::Error::Other(Error::STALE));
        }
        match RECEIVED.read(buf) {
            0 => Err(nb::Error::WouldBlock),
            count => Ok(count),
        }
    }

    fn try_write(&self, data: &[u8]) -> nb::Result<usize, Error> {
        if is_closed() {
            return Err(nb::Error::Other(Error::STALE));
        }
        let count = SENDING.write(data);
        pend(Interrupt::Uart1);
        if count == 0 { Err(nb::Error::WouldBlock) } else { Ok(count) }
    }

    fn poll_ready(&self, interest: Interest, cx: &mut Context<'_>) -> Poll<()> {
        let bell = match interest {
            Interest::Read => &READERS,
            Interest::Write => &WRITERS,
            Interest::Gone => &MOURNERS,
        };
        bell.hang(cx.waker());
        let is_ready = is_closed()
            || match interest {
                Interest::Read => !RECEIVED.is_empty(),
                Interest::Write => !SENDING.is_full(),
                Interest::Gone => false,
            };
        if is_ready { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Waits until the UART has taken the last byte: its FIFO still has 16 of them to send.
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        WRITERS.hang(cx.waker());
        if SENDING.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Nothing: a serial line has no end of output.
    fn shutdown(&self) {}

    /// What comes from now on is dropped; what was written is still sent.
    fn close(&self) {
        IS_CLOSED.store(true, Ordering::Relaxed);
        [&READERS, &WRITERS, &MOURNERS].into_iter().for_each(Bell::ring);
        // The handler masks what it does not want any more.
        pend(Interrupt::Uart1);
    }
}

impl Drop for Uart {
    fn drop(&mut self) {
        self.close();
    }
}

/// For [`uart1!`](crate::uart1).
#[doc(hidden)]
pub fn start(baud: u32) -> Uart {
    // 64ths of the divider: the clock / (16 x baud), rounded.
    let divider = (CLOCK_HZ * 4 + baud / 2).checked_div(baud).unwrap_or(0);
    assert!((64..1 << 22).contains(&divider), "UART1 cannot have such a rate");
    power_serial_or_timer(UART1);
    power(GPIOD);
    PORT_D.afsel.set(PINS);
    PORT_D.den.set(PINS);
    CTL.write(0);
    IBRD.write(divider / 64);
    FBRD.write(divider % 64);
    LCRH.write(WLEN_8_FEN);
    CTL.write(ENABLE);
    IM.write(RX | RT);
    enable(Interrupt::Uart1);
    Uart { not_sync: PhantomData }
}

/// The handler, for [`uart1!`](crate::uart1).
#[doc(hidden)]
pub fn on_interrupt() {
    // Before the FIFOs are looked at: what comes after that look is a new cause.
    ICR.write(RX | RT | TX);
    receive();
    send();
}

fn receive() {
    let mut has_come = false;
    // It ends: a byte takes 160 clocks to come even at the highest rate, and half of that to take.
    while FR.read() & RXFE == 0 {
        let word = DR.read();
        if word & GARBLED_BITS != 0 {
            count(&GARBLED);
        } else if is_closed() {
            continue;
        } else if RECEIVED.push(word as u8) {
            has_come = true;
        } else {
            count(&OVERRUN);
        }
        if word & OE != 0 {
            count(&OVERRUN);
        }
    }
    if has_come {
        READERS.ring();
    }
}

fn send() {
    let mut has_gone = false;
    while FR.read() & TXFF == 0 {
        let Some(byte) = SENDING.pop() else { break };
        DR.write(u32::from(byte));
        has_gone = true;
    }
    let receiving = if is_closed() { 0 } else { RX | RT };
    let sending = if SENDING.is_empty() { 0 } else { TX };
    IM.write(receiving | sending);
    if has_gone {
        WRITERS.ring();
    }
}

fn is_closed() -> bool {
    IS_CLOSED.load(Ordering::Relaxed)
}

/// The handler's alone, which nothing interrupts that counts.
fn count(counter: &AtomicU32) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}
