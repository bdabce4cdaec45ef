//! How many sockets a stack has, and where its address comes from.
//!
//! Invariant: [`Capacity::bytes`] is exactly what [`Net::new`](crate::Net::new) cuts.
//!
//! ```
//! use dustdevil_smoltcp::{Capacity, Udp};
//! const NET: Capacity =
//!     Capacity { listening: 4, outgoing: 0, udp: Udp::NONE, rx_bytes: 1024, tx_bytes: 1024 };
//! const MORE: Capacity = Capacity { listening: 5, ..NET };
//! assert!(MORE.bytes() - NET.bytes() > 2048);
//! ```

use core::net::Ipv4Addr;

use dustdevil_core::memory::room;
use smoltcp::iface::SocketStorage;
#[cfg(feature = "udp")]
use smoltcp::socket::udp::PacketMetadata;

use crate::device::buffer_bytes;
use crate::hold::{HELD_MAX, Held};
#[cfg(feature = "udp")]
use crate::mailbox::Mailbox;
use crate::net::STACK_BYTES;
use crate::nic::FRAME_BYTES_MAX;
use crate::slot::Slot;

/// How much of everything the stack has room for: a value, never a type parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Sockets that wait for, or carry, connections to listeners. Full: a request for a connection
    /// is held until one is free ([`REQUESTS_HELD_MAX`](crate::net::REQUESTS_HELD_MAX) of them);
    /// one more than those is dropped, and its sender tries again.
    pub listening: usize,
    /// Sockets for connections that this side opens, a share of their own: they wait for none that
    /// listens, and none that listens for them. Full: `connect` answers `OutOfMemory`.
    pub outgoing: usize,
    /// Sockets for datagrams, a share of their own too.
    pub udp: Udp,
    /// Bytes of each connection's receive buffer: what a peer may send before it is read. No frame
    /// need be longer than this, `tx_bytes` or the datagrams' bytes, and their headers: the one
    /// frame buffer is not either, and peers are told so (MSS).
    pub rx_bytes: usize,
    /// Bytes of each connection's send buffer: what may be written before the peer acknowledged it.
    pub tx_bytes: usize,
}

/// The sockets for datagrams. They need the crate's feature `udp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp {
    /// How many. Full: `bind` answers `OutOfMemory`.
    pub sockets: usize,
    /// Datagrams that each socket can hold of those it received, and of those it sends: one or two
    /// for questions and answers. One that wraps around its buffer's end counts twice. Full: what
    /// comes is lost; `send_to` waits.
    pub datagrams: usize,
    /// Bytes that they can have together, in each of the two buffers: the longest datagram that can
    /// be received or sent, where that is less than [`DATAGRAM_BYTES_MAX`]. Full: as above.
    pub bytes: usize,
}

impl Udp {
    /// No sockets for datagrams.
    pub const NONE: Self = Self { sockets: 0, datagrams: 0, bytes: 0 };

    #[cfg(feature = "udp")]
    const fn room(&self) -> usize {
        let one = 2 * (room::<PacketMetadata>(self.datagrams) + room::<u8>(self.bytes));
        room::<Mailbox>(self.sockets) + self.sockets * one
    }

    #[cfg(not(feature = "udp"))]
    const fn room(&self) -> usize {
        assert!(self.sockets == 0, "sockets for datagrams need dustdevil-smoltcp's feature `udp`");
        0
    }
}

/// The longest datagram that goes into one Ethernet frame: none is sent or received in pieces.
pub const DATAGRAM_BYTES_MAX: usize = FRAME_BYTES_MAX - 14 - 20 - 8;

impl Capacity {
    /// No sockets at all: what the fields that are not named are taken from.
    pub const NONE: Self =
        Self { listening: 0, outgoing: 0, udp: Udp::NONE, rx_bytes: 0, tx_bytes: 0 };

    /// The bytes of the block that [`Net::new`](crate::Net::new) cuts its tables from.
    ///
    /// # Panics
    /// When there are sockets for datagrams and the crate's feature `udp` is off; in a `const`,
    /// where this belongs, it does not compile.
    pub const fn bytes(&self) -> usize {
        let sockets = self.sockets();
        self.udp.room()
            + room::<SocketStorage<'static>>(sockets + self.udp.sockets + EXTRA_SOCKETS)
            + room::<Slot>(sockets)
            + room::<Held>(HELD_MAX)
            + STACK_BYTES
            + room::<u8>(self.buffer_bytes())
            + sockets * (room::<u8>(self.rx_bytes) + room::<u8>(self.tx_bytes))
    }

    /// The bytes of the frame buffer.
    pub(crate) const fn buffer_bytes(&self) -> usize {
        let mut most = self.rx_bytes;
        if most < self.tx_bytes {
            most = self.tx_bytes;
        }
        if most < self.udp.bytes {
            most = self.udp.bytes;
        }
        buffer_bytes(most)
    }

    /// Sockets for connections, whoever opens them.
    pub(crate) const fn sockets(&self) -> usize {
        self.listening + self.outgoing
    }
}

/// Sockets that carry no connection: DHCP's.
pub(crate) const EXTRA_SOCKETS: usize = cfg!(feature = "dhcp") as usize;

/// Where the own address comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// It is known.
    Static {
        /// The own address.
        address: Ipv4Addr,
        /// The length of its network's prefix, 0 to 32.
        prefix: u8,
        /// The router to other networks.
        gateway: Option<Ipv4Addr>,
    },
    /// A DHCP server lends one (RFC 2131).
    #[cfg(feature = "dhcp")]
    Dhcp,
}

#[cfg(all(test, not(feature = "udp")))]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "feature `udp`")]
    fn sockets_for_datagrams_are_refused_without_the_feature() {
        let udp = Udp { sockets: 1, datagrams: 1, bytes: 512 };
        let _ = Capacity { listening: 1, outgoing: 0, udp, rx_bytes: 64, tx_bytes: 64 }.bytes();
    }
}
