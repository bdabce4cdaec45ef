//! How many sockets a stack has, and where its address comes from.
//!
//! Invariant: [`Capacity::bytes`] is exactly what [`Net::new`](crate::Net::new) cuts.
//!
//! ```
//! use dustdevil_smoltcp::Capacity;
//! const NET: Capacity = Capacity { listening: 4, outgoing: 0, rx_bytes: 1024, tx_bytes: 1024 };
//! const MORE: Capacity = Capacity { listening: 5, ..NET };
//! assert!(MORE.bytes() - NET.bytes() > 2048);
//! ```

use core::net::Ipv4Addr;

use dustdevil_core::memory::room;
use smoltcp::iface::SocketStorage;

use crate::device::BUFFER_BYTES;
use crate::hold::{HELD_MAX, Held};
use crate::net::STACK_BYTES;
use crate::slot::Slot;

/// How much of everything the stack has room for: a value, never a type parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Sockets that wait for, or carry, connections to listeners. Full: a request for a connection
    /// is held until one is free ([`REQUESTS_HELD_MAX`](crate::net::REQUESTS_HELD_MAX) of them);
    /// one more than those is dropped, and its sender tries again.
    pub listening: usize,
    /// Sockets for connections that this side opens. Full: `connect` answers `OutOfMemory`.
    pub outgoing: usize,
    /// Bytes of each socket's receive buffer: what a peer may send before it is read.
    pub rx_bytes: usize,
    /// Bytes of each socket's send buffer: what may be written before the peer acknowledged it.
    pub tx_bytes: usize,
}

impl Capacity {
    /// The bytes of the block that [`Net::new`](crate::Net::new) cuts its tables from.
    pub const fn bytes(&self) -> usize {
        let sockets = self.sockets();
        room::<SocketStorage<'static>>(sockets + EXTRA_SOCKETS)
            + room::<Slot>(sockets)
            + room::<Held>(HELD_MAX)
            + STACK_BYTES
            + room::<u8>(BUFFER_BYTES)
            + sockets * (room::<u8>(self.rx_bytes) + room::<u8>(self.tx_bytes))
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
