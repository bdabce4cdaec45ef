//! What a board lends to the poller: a network interface that moves frames, and a way to wait.
//!
//! Invariant: everything that knows a register is behind these two traits; everything that knows a
//! protocol is in front of them.

use dustdevil_core::time::{Clock, Instant};

/// The longest frame that an interface carries, without its check sequence: header and 1,500 bytes.
pub const FRAME_BYTES_MAX: usize = 1514;

/// A network interface: Ethernet frames in and out, without their check sequence (FCS).
pub trait Nic {
    /// The interface's own address (MAC).
    fn address(&self) -> [u8; 6];

    /// Copies the next received frame to the beginning of `frame` and returns its length; `None`
    /// when nothing waits. A frame that is longer than `frame`, or damaged, is skipped.
    fn receive(&mut self, frame: &mut [u8]) -> Option<usize>;

    /// Whether [`transmit`](Self::transmit) can take a frame now.
    fn can_transmit(&mut self) -> bool;

    /// Sends one frame of at most [`FRAME_BYTES_MAX`] bytes, padded as the wire needs it. Called
    /// only after [`can_transmit`](Self::can_transmit) said yes.
    fn transmit(&mut self, frame: &[u8]);

    /// Readies the interrupt that is to end the wait: acknowledges, unmasks, then looks again.
    /// `true`: nothing has arrived and the wait may begin. Called with interrupts masked.
    fn arm(&mut self) -> bool;
}

/// The board's clock, and its way to wait.
pub trait Park: Clock {
    /// Waits for an interrupt, or until `until`; `None`: for an interrupt alone.
    ///
    /// With interrupts masked, so that one that comes in between ends the wait at once, it asks
    /// `may_wait`, and waits only if that says yes. Returns at once when `until` has passed;
    /// waking early is legal, waking late by more than the clock's own grain is not.
    fn park(&mut self, until: Option<Instant>, may_wait: &mut dyn FnMut() -> bool);
}
