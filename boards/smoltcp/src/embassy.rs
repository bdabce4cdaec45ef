//! A driver of the `embassy-net-driver` family as a [`Nic`]: STM32's Ethernet, W5500, ENC28J60, the
//! Pico W's radio, USB network classes.
//!
//! Those drivers lend their own buffers through tokens, so a frame is copied once more than by a
//! driver that was written for [`Nic`].
//!
//! Place: beside [`nic`](crate::nic); boards that have such a driver use it.

use core::task::{Context, Waker};

use embassy_net_driver::{Driver, HardwareAddress, LinkState, RxToken, TxToken};

use crate::nic::Nic;

/// An embassy driver, and the waker that ends the board's wait when it has news.
pub struct Embassy<D> {
    driver: D,
    waker: Waker,
}

impl<D: Driver> Embassy<D> {
    /// `waker` is woken by the driver's interrupt when frames come, leave, or the link changes: one
    /// of the reactor's ([`WakeTree::waker`](dustdevil_core::wake::WakeTree::waker)).
    pub fn new(driver: D, waker: Waker) -> Self {
        Self { driver, waker }
    }

    /// Whether there is a cable, or a radio that is joined.
    pub fn is_linked(&mut self) -> bool {
        self.driver.link_state(&mut Context::from_waker(&self.waker)) == LinkState::Up
    }
}

impl<D: Driver> Nic for Embassy<D> {
    fn address(&self) -> [u8; 6] {
        match self.driver.hardware_address() {
            HardwareAddress::Ethernet(address) => address,
            _ => panic!("a driver without Ethernet frames"),
        }
    }

    fn receive(&mut self, frame: &mut [u8]) -> Option<usize> {
        loop {
            let mut context = Context::from_waker(&self.waker);
            let (token, _) = self.driver.receive(&mut context)?;
            let len = token.consume(|received| {
                frame.get_mut(..received.len())?.copy_from_slice(received);
                Some(received.len())
            });
            if len.is_some() {
                return len;
            }
        }
    }

    fn can_transmit(&mut self) -> bool {
        self.driver.transmit(&mut Context::from_waker(&self.waker)).is_some()
    }

    fn transmit(&mut self, frame: &[u8]) {
        if let Some(token) = self.driver.transmit(&mut Context::from_waker(&self.waker)) {
            token.consume(frame.len(), |room| room.copy_from_slice(frame));
        }
    }

    /// The driver was given the waker when it last had nothing; what comes from then on raises the
    /// flag that the wait asks for after this.
    fn arm(&mut self) -> bool {
        true
    }
}
