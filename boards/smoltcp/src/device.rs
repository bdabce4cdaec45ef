//! One frame buffer as smoltcp's device: a received frame at its front, an answer behind it.
//!
//! smoltcp answers a frame while it still reads it, so the answer is built in what the frame left
//! of the buffer; all other frames have the whole of it. That saves a second buffer of 1,514 bytes.
//!
//! Invariant: the answer always has room. A TCP segment is answered with headers alone
//! ([`ANSWER_BYTES`]); anything else that could be answered at length is dropped by
//! [`Device::is_answerable`] before smoltcp sees it.
//!
//! Layer: stands on [`Nic`]; [`net`](crate::net) owns it.

use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

use crate::nic::{FRAME_BYTES_MAX, Nic};
use crate::segment::Kind;

/// The longest answer to a segment: Ethernet, IPv4 and TCP headers, and TCP's options.
const ANSWER_BYTES: usize = 14 + 20 + 60;

/// The frame buffer: the longest frame and the answer to it.
pub(crate) const BUFFER_BYTES: usize = (FRAME_BYTES_MAX + ANSWER_BYTES).next_multiple_of(8);

/// The longest frame that is no TCP segment and yet answered: with the same again (an echo reply),
/// or with an error that quotes it.
const ECHO_BYTES_MAX: usize = BUFFER_BYTES / 2;

/// The interface, and the one frame that is in work.
pub(crate) struct Device<'m, N> {
    pub(crate) nic: N,
    buffer: &'m mut [u8],
    /// The length of the frame at the buffer's front that smoltcp has not taken; 0: none.
    received: usize,
}

impl<'m, N: Nic> Device<'m, N> {
    /// `buffer` has [`BUFFER_BYTES`] bytes.
    pub(crate) fn new(nic: N, buffer: &'m mut [u8]) -> Self {
        Self { nic, buffer, received: 0 }
    }

    /// Fetches the next frame; it is smoltcp's to take after [`admit`](Self::admit).
    pub(crate) fn fetch(&mut self) -> Option<&[u8]> {
        let room = self.buffer.get_mut(..FRAME_BYTES_MAX)?;
        let len = self.nic.receive(room)?;
        self.buffer.get(..len)
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

    /// Whether the answer to a frame of this kind and length has room.
    pub(crate) fn is_answerable(kind: Kind, len: usize) -> bool {
        kind != Kind::Other || len <= ECHO_BYTES_MAX
    }

    /// The same of a datagram that nobody receives: it is answered with an error that quotes it.
    #[cfg(feature = "udp")]
    pub(crate) const fn is_refusable(len: usize) -> bool {
        len <= ECHO_BYTES_MAX
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
        capabilities.max_transmission_unit = FRAME_BYTES_MAX;
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
        self.nic.transmit(frame);
        result
    }
}
