//! The poller for boards: smoltcp behind dustdevil's reactor.
//!
//! [`Net`] is a [`Transport`](dustdevil_core::poller::Transport) over an Ethernet interface that
//! moves frames ([`Nic`]) and a board that can wait ([`Park`]). It owns smoltcp's interface and
//! sockets, and adds what a server needs and smoltcp leaves to its user:
//!
//! - a **pool of listening sockets** for all listeners, replenished as connections end;
//! - **SYN hold**: smoltcp has no backlog, so a request for a connection that finds every socket
//!   taken would be answered with RST. Here its frame is kept until a socket is free;
//! - a **lingering close**: what was written is delivered, what still comes in is thrown away, and
//!   a peer that never closes loses its socket by a deadline;
//! - **budgets and an exact wait**: a flood cannot keep the reactor from its turn, and a board
//!   sleeps until a frame, a deadline or a wake, whichever is first.
//!
//! Connections that this side opens and, with the feature `udp`, sockets for datagrams
//! ([`Datagram`](dustdevil_core::poller::Datagram)) have shares of their own: a listener under
//! attack takes none of them.
//!
//! Layer: stands on `dustdevil_core` and smoltcp, whose types stay in here; board packages stand on
//! it. No allocation: tables are cut from the [`Block`](dustdevil_core::memory::Block) that
//! [`Net::new`] is given, of [`Capacity::bytes`] bytes.
//!
//! | module | what it holds |
//! |---|---|
//! | [`nic`] | the seam to the board: frames, and waiting |
//! | [`capacity`] | how many sockets, how large |
//! | [`net`] | the poll loop and the transport's calls |
//! | `slot` | what becomes of a socket from listening to free again |
//! | `mailbox` | a socket for datagrams |
//! | `hold` | connection requests that wait for a socket |
//! | `segment` | what is read in a frame before smoltcp sees it |
//! | `device` | one frame buffer as smoltcp's device |
//! | `checksum` | the checksum of TCP segments |
//! | `address` | the own address: known, or lent by DHCP |
//!
//! Features: `dhcp`; `udp` (sockets for datagrams); `ping` (answers ICMP echo requests); `small`
//! (smoltcp's tables as small as this needs them); `embassy` (an adapter for drivers of the
//! `embassy-net-driver` family).

#![no_std]
#![forbid(unsafe_code)]

mod address;
pub mod capacity;
mod checksum;
mod device;
#[cfg(feature = "embassy")]
pub mod embassy;
mod hold;
#[cfg(feature = "udp")]
mod mailbox;
pub mod net;
pub mod nic;
mod segment;
mod slot;

pub use capacity::{Addressing, Capacity, Udp};
pub use net::Net;
pub use nic::{FRAME_BYTES_MAX, Nic, Park};
