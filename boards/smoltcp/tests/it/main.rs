//! The poller packet by packet: hand-made frames on one side, or a second stack behind a bad wire,
//! in virtual time.

#[macro_use]
mod dump;

mod allocation;
mod clients;
mod closing;
mod connecting;
#[cfg(feature = "dhcp")]
mod dhcp;
mod frame;
mod fuzz;
mod holding;
mod ignoring;
mod listening;
mod outgoing;
mod polling;
mod proof;
mod scene;
mod site;
mod traffic;
mod transfer;
#[cfg(feature = "udp")]
mod udp;
mod wire;
mod world;
