//! The LM3S6965's Ethernet controller (data sheet, chapter 15): frames in, frames out.
//!
//! Both FIFOs are read and written a word at a time through one register, and a frame begins two
//! bytes into its first word:
//!
//! ```text
//!   receive   | total u16 | b0 b1 | b2 b3 b4 b5 | ... | last bytes, if any | FCS, unaligned |
//!   transmit  | payload u16 | b0 b1 | b2 b3 b4 b5 | ... | last bytes, if any |
//! ```
//!
//! where `total` counts itself, the frame and the check sequence, and `payload` is the frame less
//! the 14 bytes of its header.
//!
//! Invariants:
//! - A frame is taken out of the receive FIFO whole, check sequence included: the next word is the
//!   next frame's first. A first word that cannot be one means that the two are out of step, and
//!   empties the FIFO.
//! - DATA is read only while NP says that a frame waits.
//! - No interrupt is lost: the handler masks all of them and does nothing else; [`Nic::arm`]
//!   acknowledges and unmasks *before* it looks at NP for the last time.
//!
//! Place: above the registers. It knows frames; no protocol, no clock, no buffer but the caller's.

use dustdevil_smoltcp::{FRAME_BYTES_MAX, Nic};

use crate::interrupts::{self, Interrupt};
use crate::registers::PORT_F;
use crate::registers::ethernet::{
    DATA, IA0, IA1, IM, MCTL, MDV, MRXD, MTXD, NP, RCTL, RIS, TCTL, TR,
};
use crate::registers::system::{USER_REG0, USER_REG1};
use crate::system::CLOCK_HZ;

/// RIS, IM: a frame was received.
const RXINT: u32 = 1;
/// RIS, IM: the PHY has something to say.
const PHYINT: u32 = 1 << 6;
/// What ends a wait.
const AWAITED: u32 = RXINT | PHYINT;
/// RCTL: receive frames for this address, and broadcasts.
const RXEN: u32 = 1;
/// RCTL: reject frames with a bad check sequence.
const BADCRC: u32 = 1 << 3;
/// RCTL: empty the receive FIFO.
const RSTFIFO: u32 = 1 << 4;
/// TCTL: transmit.
const TXEN: u32 = 1;
/// TCTL: pad short frames.
const PADEN: u32 = 1 << 1;
/// TCTL: append the check sequence.
const CRC: u32 = 1 << 2;
/// TCTL: the link is full duplex: do not listen while sending.
const DUPLEX: u32 = 1 << 4;
/// TR: transmit what is in the FIFO; reads 1 until that is done.
const NEWTX: u32 = 1;
/// MCTL: begin; reads 1 until it is done.
const START: u32 = 1;
/// MCTL: a write to the PHY.
const WRITE: u32 = 1 << 1;
/// The management clock may have 2.5 MHz: the system's, divided by 2 x (this + 1).
const MANAGEMENT_DIVIDER: u32 = (CLOCK_HZ / 2).div_ceil(2_500_000) - 1;

/// PHY register 17: interrupt control and status. A read clears its causes.
const MR17: u32 = 17;
/// MR17: interrupt when the link has come or gone, and when both ends have agreed.
const LSCHG_IE: u32 = 1 << 10;
const ANEGCOMP_IE: u32 = 1 << 8;
/// PHY register 18: diagnostic.
const MR18: u32 = 18;
/// MR18: both ends agreed on full duplex.
const DPLX: u32 = 1 << 11;

/// Pins of port F: the two LEDs in the Ethernet socket.
const LED_PINS: u32 = 0b1100;

const HEADER_BYTES: usize = 14;
const FCS_BYTES: usize = 4;
/// The receive FIFO: no frame is longer.
const FIFO_BYTES: usize = 2048;

/// The address where the board's own has been erased: locally administered. Two such boards in one
/// network need their registers USER_REG0 and USER_REG1 programmed.
const ADDRESS_UNPROGRAMMED: [u8; 6] = [0x02, b'D', b'D', 0x69, 0x65, 0x01];

/// The Ethernet controller, ready. There is one.
pub struct Ethernet {
    address: [u8; 6],
}

impl Ethernet {
    /// Sets the controller up. Its clocks run.
    pub(crate) fn start() -> Self {
        let address = own_address();
        PORT_F.afsel.set(LED_PINS);
        PORT_F.den.set(LED_PINS);
        IM.write(0);
        MDV.write(MANAGEMENT_DIVIDER);
        let [a, b, c, d, e, f] = address;
        IA0.write(u32::from_le_bytes([a, b, c, d]));
        IA1.write(u32::from_le_bytes([e, f, 0, 0]));
        write_phy(MR17, LSCHG_IE | ANEGCOMP_IE);
        // What nearly every link is; the PHY interrupts when it knows.
        TCTL.write(TXEN | PADEN | CRC | DUPLEX);
        reset_receiver();
        RIS.write(RIS.read());
        interrupts::enable(Interrupt::Ethernet);
        Self { address }
    }
}

impl Nic for Ethernet {
    fn address(&self) -> [u8; 6] {
        self.address
    }

    fn receive(&mut self, frame: &mut [u8]) -> Option<usize> {
        while NP.read() != 0 {
            let first = DATA.read();
            let total = (first & 0xffff) as usize;
            if !(2 + HEADER_BYTES + FCS_BYTES..=FIFO_BYTES).contains(&total) {
                reset_receiver();
                return None;
            }
            let length = total - 2 - FCS_BYTES;
            if let Some(frame) = frame.get_mut(..length) {
                read_frame(first, frame);
                return Some(length);
            }
            // Longer than any that the stack can use.
            for _ in 1..total.div_ceil(4) {
                DATA.read();
            }
        }
        None
    }

    fn can_transmit(&mut self) -> bool {
        TR.read() & NEWTX == 0
    }

    fn transmit(&mut self, frame: &[u8]) {
        debug_assert!((HEADER_BYTES..=FRAME_BYTES_MAX).contains(&frame.len()), "{}", frame.len());
        let payload = frame.len().wrapping_sub(HEADER_BYTES);
        let Some((&[b0, b1], rest)) = frame.split_first_chunk() else { return };
        DATA.write(payload as u32 & 0xffff | u32::from(b0) << 16 | u32::from(b1) << 24);
        let (words, last) = rest.as_chunks::<4>();
        // Eight words at a time: a loop around each would cost more than the word.
        let (blocks, words) = words.as_chunks::<8>();
        let put = |word: &[u8; 4]| DATA.write(u32::from_le_bytes(*word));
        for [a, b, c, d, e, f, g, h] in blocks {
            put(a);
            put(b);
            put(c);
            put(d);
            put(e);
            put(f);
            put(g);
            put(h);
        }
        words.iter().for_each(put);
        if !last.is_empty() {
            let mut word = [0; 4];
            word.iter_mut().zip(last).for_each(|(to, from)| *to = *from);
            put(&word);
        }
        TR.write(NEWTX);
    }

    fn arm(&mut self) -> bool {
        if RIS.read() & PHYINT != 0 {
            follow_link();
        }
        // PHYINT is acknowledged by `follow_link` alone: one that comes now is seen next time.
        RIS.write(RXINT);
        IM.write(AWAITED);
        NP.read() == 0
    }
}

/// The interrupt's handler: it ends the wait, and the rest is done by who waited.
pub(crate) fn on_interrupt() {
    IM.write(0);
}

/// Takes the rest of a frame out of the FIFO, whose first word was `first`.
fn read_frame(first: u32, frame: &mut [u8]) {
    let Some((start, rest)) = frame.split_first_chunk_mut() else { return };
    let [_, _, b0, b1] = first.to_le_bytes();
    *start = [b0, b1];
    let (words, last) = rest.as_chunks_mut::<4>();
    let (blocks, words) = words.as_chunks_mut::<8>();
    let take = |word: &mut [u8; 4]| *word = DATA.read().to_le_bytes();
    for [a, b, c, d, e, f, g, h] in blocks {
        take(a);
        take(b);
        take(c);
        take(d);
        take(e);
        take(f);
        take(g);
        take(h);
    }
    words.iter_mut().for_each(take);
    if !last.is_empty() {
        let word = DATA.read().to_le_bytes();
        last.iter_mut().zip(word).for_each(|(to, from)| *to = from);
    }
    // The check sequence, or what the word above has not held of it.
    DATA.read();
}

/// Empties the receive FIFO (data sheet, RCTL: with the receiver off) and receives.
#[cold]
#[inline(never)]
fn reset_receiver() {
    RCTL.write(BADCRC);
    RCTL.write(BADCRC | RSTFIFO);
    RCTL.write(BADCRC | RXEN);
}

/// Transmits as both ends of the link agreed: full duplex or half. (The PHY follows the rate.)
#[cold]
#[inline(never)]
fn follow_link() {
    // That it has changed is all that is asked of this one; reading it clears the cause.
    read_phy(MR17);
    let duplex = if read_phy(MR18) & DPLX == 0 { 0 } else { DUPLEX };
    TCTL.write(TXEN | PADEN | CRC | duplex);
    RIS.write(PHYINT);
}

fn read_phy(register: u32) -> u32 {
    manage(register << 3);
    MRXD.read()
}

fn write_phy(register: u32, value: u32) {
    MTXD.write(value);
    manage(register << 3 | WRITE);
}

/// One management transaction: 64 bits at 2.5 MHz or less, hence 30 us.
fn manage(transaction: u32) {
    MCTL.write(transaction | START);
    while MCTL.read() & START != 0 {}
}

/// The address that the board was given when it was made, half of it in each user register
/// (evaluation board's manual), or the one for boards from which it was erased.
fn own_address() -> [u8; 6] {
    let [a, b, c, _] = USER_REG0.read().to_le_bytes();
    let [d, e, f, _] = USER_REG1.read().to_le_bytes();
    let address = [a, b, c, d, e, f];
    // Erased flash reads as ones, which would be the address of everybody.
    let is_own = a & 1 == 0 && address != [0; 6];
    if is_own { address } else { ADDRESS_UNPROGRAMMED }
}
