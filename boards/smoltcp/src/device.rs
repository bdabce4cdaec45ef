//! One frame buffer as smoltcp's device: a received frame at its front, an answer behind it.
//!
//! smoltcp answers a frame while it still reads it, so the answer is built in what the frame left
//! of the buffer; all other frames have the whole of it. That saves a second buffer. No frame is
//! longer than the sockets' buffers can use: [`frame_bytes`] is what peers are told, as the MSS.
//!
//! Invariant: the answer always has room. A TCP segment is answered with headers alone
//! ([`ANSWER_BYTES`]); anything else that could be answered is dropped, unless the answer has room
//! ([`Device::is_answerable`]), before smoltcp sees it.
//!
//! Layer: stands on [`Nic`]; [`net`](crate::net) owns it.

use smoltcp::phy::{self, Checksum, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

use crate::nic::{FRAME_BYTES_MAX, Nic};
use crate::segment;

/// The longest answer to a segment: Ethernet, IPv4 and TCP headers, and TCP's options.
const ANSWER_BYTES: usize = 14 + 20 + 60;

/// Headers without options, Ethernet, IPv4 and TCP: those with some leave less for data (RFC 6691).
const HEADERS_BYTES: usize = 14 + 20 + 20;

/// What an ICMP error puts before what it quotes: IPv4 and ICMP headers.
const ERROR_HEADERS_BYTES: usize = 20 + 8;

/// The longest ICMP error (RFC 1122, 3.2.2; RFC 1812, 4.3.2.3).
const ERROR_BYTES_MAX: usize = 14 + 576;

/// The shortest frame that everybody must be able to take (RFC 791, 3.1). DHCP tells its server
/// what a message may have, of which smoltcp takes 68 for headers, and less than 576 it must not
/// say (RFC 2132, 9.10).
const FRAME_BYTES_MIN: usize = 14 + 576 + if cfg!(feature = "dhcp") { 68 } else { 0 };

/// The longest frame of a stack whose sockets' buffers have `payload_bytes` at most.
pub(crate) const fn frame_bytes(payload_bytes: usize) -> usize {
    let bytes = payload_bytes.saturating_add(HEADERS_BYTES);
    if bytes > FRAME_BYTES_MAX {
        FRAME_BYTES_MAX
    } else if bytes < FRAME_BYTES_MIN {
        FRAME_BYTES_MIN
    } else {
        bytes
    }
}

/// The frame buffer: the longest frame and the answer to it.
pub(crate) const fn buffer_bytes(payload_bytes: usize) -> usize {
    (frame_bytes(payload_bytes) + ANSWER_BYTES).next_multiple_of(8)
}

/// The interface, and the one frame that is in work.
pub(crate) struct Device<'m, N> {
    pub(crate) nic: N,
    buffer: &'m mut [u8],
    /// The length of the frame at the buffer's front that smoltcp has not taken; 0: none.
    received: usize,
}

impl<'m, N: Nic> Device<'m, N> {
    /// `buffer` has [`buffer_bytes`] bytes.
    pub(crate) fn new(nic: N, buffer: &'m mut [u8]) -> Self {
        Self { nic, buffer, received: 0 }
    }

    /// Fetches the next frame; it is smoltcp's to take after [`admit`](Self::admit).
    pub(crate) fn fetch(&mut self) -> Option<&[u8]> {
        let room = self.frame_bytes();
        let len = self.nic.receive(self.buffer.get_mut(..room)?)?;
        self.buffer.get(..len)
    }

    /// The longest frame.
    fn frame_bytes(&self) -> usize {
        (self.buffer.len() - ANSWER_BYTES).min(FRAME_BYTES_MAX)
    }

    /// Leaves the frame of `len` bytes at the buffer's front for smoltcp to take.
    pub(crate) fn admit(&mut self, len: usize) {
        self.received = len;
    }

    /// Whether an admitted frame is still there: the interface could not take an answer.
    pub(crate) fn is_occupied(&self) -> bool {
        self.received != 0
    }

    /// The buffer, for a frame that is to be [admitted](Self::admit).
    pub(crate) fn buffer(&mut self) -> &mut [u8] {
        self.buffer
    }

    /// Whether there is room behind a frame of `len` bytes, which is no TCP segment, for whatever
    /// may answer it: the same again (an echo reply), or an error that quotes it.
    pub(crate) fn is_answerable(&self, len: usize) -> bool {
        let answer = (len + ERROR_HEADERS_BYTES).min(ERROR_BYTES_MAX).max(len);
        len + answer <= self.buffer.len()
    }
}

impl<N: Nic> phy::Device for Device<'_, N> {
    type RxToken<'a>
        = Received<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Transmit<'a, N>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Transmit<'_, N>)> {
        if self.received == 0 || !self.nic.can_transmit() {
            return None;
        }
        let (frame, rest) = self.buffer.split_at_mut_checked(self.received)?;
        self.received = 0;
        Some((Received(frame), Transmit { nic: &mut self.nic, room: rest }))
    }

    fn transmit(&mut self, _: Instant) -> Option<Transmit<'_, N>> {
        if self.received != 0 || !self.nic.can_transmit() {
            return None;
        }
        Some(Transmit { nic: &mut self.nic, room: self.buffer })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.frame_bytes();
        // Verified by `segment::kind`, filled in by `Transmit`.
        capabilities.checksum.tcp = Checksum::None;
        capabilities
    }
}

/// The frame that came.
pub(crate) struct Received<'a>(&'a [u8]);

impl phy::RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

/// The right to send one frame.
pub(crate) struct Transmit<'a, N> {
    nic: &'a mut N,
    room: &'a mut [u8],
}

impl<N: Nic> phy::TxToken for Transmit<'_, N> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        // INVARIANT: see the module: `len` fits the room that this token was given.
        let frame = &mut self.room[..len];
        let result = write(frame);
        segment::seal(frame);
        self.nic.transmit(frame);
        result
    }
}
