//! The own address: known when this was built, or lent by a DHCP server.
//!
//! Layer: stands on smoltcp's interface; [`net`](crate::net) owns it.

use core::net::Ipv4Addr;

use smoltcp::iface::{Interface, SocketSet};
use smoltcp::wire::{IpCidr, Ipv4Cidr};

use crate::capacity::Addressing;

/// Where the address comes from, and what it was when somebody looked last.
pub(crate) struct Address {
    #[cfg(feature = "dhcp")]
    lease: Option<smoltcp::iface::SocketHandle>,
}

impl Address {
    /// Sets a known address, or begins to ask for one.
    ///
    /// # Panics
    /// At start-up: when the address is not one host's, or its prefix is longer than 32.
    pub(crate) fn new(
        addressing: Addressing,
        interface: &mut Interface,
        sockets: &mut SocketSet<'_>,
    ) -> Self {
        match addressing {
            Addressing::Static { address, prefix, gateway } => {
                assert!(prefix <= 32, "a prefix of {prefix} bits, of 32");
                set(interface, Some(Ipv4Cidr::new(address, prefix)), gateway);
                let _ = sockets;
                Self {
                    #[cfg(feature = "dhcp")]
                    lease: None,
                }
            }
            #[cfg(feature = "dhcp")]
            Addressing::Dhcp => {
                Self { lease: Some(sockets.add(smoltcp::socket::dhcpv4::Socket::new())) }
            }
        }
    }

    /// Takes over what a DHCP server said since the last call; whether that changed the address.
    #[cfg(feature = "dhcp")]
    pub(crate) fn refresh(
        &mut self,
        interface: &mut Interface,
        sockets: &mut SocketSet<'_>,
    ) -> bool {
        use smoltcp::socket::dhcpv4::{Event, Socket};

        let Some(lease) = self.lease else { return false };
        let before = interface.ipv4_addr();
        match sockets.get_mut::<Socket<'_>>(lease).poll() {
            None => return false,
            Some(Event::Configured(config)) => {
                set(interface, Some(config.address), config.router);
            }
            Some(Event::Deconfigured) => set(interface, None, None),
        }
        let now = interface.ipv4_addr();
        if now.is_none() && before.is_some() {
            log::warn!("the DHCP lease has ended");
        }
        now != before
    }

    /// Whether a DHCP server is asked for it.
    #[cfg(feature = "dhcp")]
    pub(crate) const fn is_lent(&self) -> bool {
        self.lease.is_some()
    }

    /// It is known.
    #[cfg(not(feature = "dhcp"))]
    pub(crate) const fn is_lent(&self) -> bool {
        false
    }

    /// Nobody else changes a known address.
    #[cfg(not(feature = "dhcp"))]
    pub(crate) fn refresh(&mut self, _: &mut Interface, _: &mut SocketSet<'_>) -> bool {
        false
    }
}

fn set(interface: &mut Interface, address: Option<Ipv4Cidr>, gateway: Option<Ipv4Addr>) {
    let current = interface.ip_addrs().first().copied();
    if current != address.map(IpCidr::Ipv4) {
        interface.update_ip_addrs(|addresses| {
            addresses.clear();
            // INVARIANT: the list was just emptied and has room for at least one.
            let _ = address.map(|address| addresses.push(IpCidr::Ipv4(address)));
        });
    }
    let routes = interface.routes_mut();
    match gateway {
        // INVARIANT: the table has room for the one route that it ever holds.
        Some(gateway) => _ = routes.add_default_ipv4_route(gateway),
        None => _ = routes.remove_default_ipv4_route(),
    }
}
