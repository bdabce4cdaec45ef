//! The LM3S6965's Ethernet controller: frames in, frames out, a word at a time.
//!
//! A frame begins two bytes into its first word, behind a length: on receipt that of everything, on
//! transmission that of the payload. A frame is taken out of the FIFO whole, check sequence
//! included, and only while NP says that one waits.

use crate::registers::mac::{DATA, IA0, IA1, IM, NP, RCTL, RIS, TCTL, TR};

/// Bytes of the longest frame, without its check sequence.
pub const FRAME_BYTES: usize = 1514;

/// The interface's own address: locally administered.
pub const ADDRESS: [u8; 6] = [0x02, b'D', b'D', 0x69, 0x65, 0x02];

const HEADER_BYTES: usize = 14;
const FCS_BYTES: usize = 4;
/// RIS, IM: a frame was received.
const RXINT: u32 = 1;

/// The Ethernet controller. There is one.
pub struct Ethernet(());

impl Ethernet {
    /// Sets the controller up; the board is started.
    pub fn start() -> Self {
        IM.write(0);
        let [a, b, c, d, e, f] = ADDRESS;
        IA0.write(u32::from_le_bytes([a, b, c, d]));
        IA1.write(u32::from_le_bytes([e, f, 0, 0]));
        // Full duplex, check sequence, padding, on; reject bad ones, empty the FIFO, on.
        TCTL.write(1 << 4 | 1 << 2 | 1 << 1 | 1);
        RCTL.write(1 << 3);
        RCTL.write(1 << 4 | 1 << 3);
        RCTL.write(1 << 3 | 1);
        RIS.write(RIS.read());
        Self(())
    }

    /// Whether a frame waits.
    #[inline]
    pub fn has_frame(&self) -> bool {
        NP.read() != 0
    }

    /// Readies the interrupt that a frame raises; whether none has arrived until then.
    #[inline]
    pub fn arm(&self) -> bool {
        RIS.write(RXINT);
        IM.write(RXINT);
        !self.has_frame()
    }

    /// Takes the frame that waits ([`has_frame`](Self::has_frame)) out of the FIFO and returns its
    /// length; 0 for one that does not fit.
    pub fn receive(&mut self, frame: &mut [u8]) -> usize {
        let first = DATA.read();
        let total = (first & 0xffff) as usize;
        let length = total.saturating_sub(2 + FCS_BYTES);
        let Some((start, rest)) =
            frame.get_mut(..length).and_then(|frame| frame.split_first_chunk_mut())
        else {
            for _ in 1..total.div_ceil(4) {
                DATA.read();
            }
            return 0;
        };
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
        length
    }

    /// Whether a frame can be sent.
    #[inline]
    pub fn can_transmit(&self) -> bool {
        TR.read() & 1 == 0
    }

    /// Sends a frame.
    pub fn transmit(&mut self, frame: &[u8]) {
        let payload = frame.len().wrapping_sub(HEADER_BYTES);
        let Some((&[b0, b1], rest)) = frame.split_first_chunk() else { return };
        DATA.write(payload as u32 & 0xffff | u32::from(b0) << 16 | u32::from(b1) << 24);
        let (words, last) = rest.as_chunks::<4>();
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
        TR.write(1);
    }
}
