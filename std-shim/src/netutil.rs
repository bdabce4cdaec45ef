//! Listening sockets at every address that a name stands for. Tornado: `tornado.netutil`.
//!
//! | Tornado | here |
//! |---|---|
//! | `bind_sockets(port, address, ..)` | [`Bind`], but for `flags`, which are getaddrinfo's |
//! | `bind_unix_socket` | [`unix::bind_unix_socket`](crate::unix::bind_unix_socket) |
//! | `add_accept_handler`, `add_sockets` | [`Host::adopt_listener`], then a `TcpServer` |
//! | `is_valid_ip` | [`is_valid_ip`] |
//!
//! `reactor.listen(address)` is the short way where there is one address.
//!
//! Capacity: the sockets of one [`Bind`] are as many as its name has addresses; they are for
//! start-up, where allocating and waiting for a name server hurt nobody.
//!
//! Layer: stands on rustix and std's resolver.
//!
//! [`Host::adopt_listener`]: crate::watch::Host::adopt_listener
//!
//! ```
//! use dustdevil_std::netutil::{Bind, Family, is_valid_ip};
//!
//! let sockets = Bind { address: Some("127.0.0.1"), ..Bind::new(0) }.sockets()?;
//! assert_eq!(sockets.len(), 1);
//! let every = Bind { family: Family::V4, ..Bind::new(0) };
//! assert_eq!(every.sockets()?.len(), 1);
//!
//! assert!(is_valid_ip("::1") && !is_valid_ip("localhost"));
//! # Ok::<(), dustdevil_core::poller::Error>(())
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;

use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::poller::Error;
use rustix::io::Errno;
use rustix::net::sockopt;

use crate::socket;
pub use crate::unix::bind_unix_socket;
use crate::watch::portable;

/// Which addresses of a name are wanted. Tornado: `family`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// All of them: `AF_UNSPEC`.
    Any,
    /// `AF_INET`.
    V4,
    /// `AF_INET6`.
    V6,
}

/// Where to listen, and how. Tornado: the arguments of `bind_sockets`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bind<'a> {
    /// A name or an IP address; `None` or empty for every interface.
    pub address: Option<&'a str>,
    /// The port; 0 for one that is free, and then the same for every socket.
    pub port: u16,
    /// Which addresses of the name.
    pub family: Family,
    /// How many connections wait for an accept, at most; the kernel has a limit of its own
    /// (`net.core.somaxconn`).
    pub backlog: u16,
    /// Whether other sockets of this user may have the port too (`SO_REUSEPORT`), the kernel
    /// spreading connections over them.
    pub reuse_port: bool,
    /// Whether sockets of IPv6 leave IPv4 to others, as Tornado's always do. Without, the one at
    /// `[::]` serves both, its peers of IPv4 as `::ffff:192.0.2.1`; then ask for [`Family::V6`].
    pub v6_only: bool,
}

impl Bind<'_> {
    /// Tornado's defaults: every interface and family, a backlog of 128, a port of its own.
    pub const fn new(port: u16) -> Self {
        Self {
            address: None,
            port,
            family: Family::Any,
            backlog: 128,
            reuse_port: false,
            v6_only: true,
        }
    }

    /// A listening socket for each address, IPv4 first; none of them is on a reactor yet.
    ///
    /// A family that this kernel does not have is left out, and so is `::1` of "localhost" where
    /// the loopback interface has only IPv4. `SO_REUSEADDR` is always set, and what is accepted
    /// has Nagle's algorithm off. Blocks while a name server is asked.
    ///
    /// # Errors
    /// [`ErrorKind::AddrInUse`], [`ErrorKind::AddrNotAvailable`], [`ErrorKind::PermissionDenied`];
    /// [`ErrorKind::NotFound`]: the name has no such address. No socket is left open then.
    pub fn sockets(&self) -> Result<Vec<OwnedFd>, Error> {
        let mut sockets = Vec::new();
        let mut port = self.port;
        for mut at in self.addresses()? {
            at.set_port(port);
            match self.socket(at) {
                Ok(socket) => {
                    if port == 0 {
                        port = bound_port(&socket).map_err(socket::error)?;
                    }
                    sockets.push(socket);
                }
                Err(errno) if self.may_be_missing(at.ip(), errno) => {}
                Err(errno) => return Err(socket::error(errno)),
            }
        }
        if sockets.is_empty() { Err(Error::new(ErrorKind::NotFound)) } else { Ok(sockets) }
    }

    /// With their port, and the interface of one that is local to a link.
    fn addresses(&self) -> Result<Vec<SocketAddr>, Error> {
        let mut addresses: Vec<SocketAddr> = match self.address {
            None | Some("") => vec![
                (Ipv4Addr::UNSPECIFIED, self.port).into(),
                (Ipv6Addr::UNSPECIFIED, self.port).into(),
            ],
            Some(name) => {
                let found = (name, self.port).to_socket_addrs();
                let found = found.map_err(|error| match portable(&error) {
                    // The resolver has numbers of its own, which std does not tell.
                    Error { code: 0, .. } => Error::new(ErrorKind::NotFound),
                    error => error,
                });
                found?.collect()
            }
        };
        addresses.retain(|address| match self.family {
            Family::Any => true,
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        });
        addresses.sort_unstable(); // IPv4 comes first
        addresses.dedup();
        Ok(addresses)
    }

    fn socket(&self, at: SocketAddr) -> Result<OwnedFd, Errno> {
        let socket = socket::stream(at)?;
        if at.is_ipv6() {
            sockopt::set_ipv6_v6only(&socket, self.v6_only)?;
        }
        socket::bind(&socket, at, self.reuse_port)?;
        socket::listen(&socket, self.backlog)?;
        Ok(socket)
    }

    /// Whether a socket that could not be made is one that Tornado does without.
    fn may_be_missing(&self, address: IpAddr, errno: Errno) -> bool {
        let half_disabled = || self.address == Some("localhost") && address == Ipv6Addr::LOCALHOST;
        match errno {
            Errno::AFNOSUPPORT => true,
            Errno::ADDRNOTAVAIL => half_disabled(),
            _ => false,
        }
    }
}

fn bound_port(socket: &OwnedFd) -> Result<u16, Errno> {
    let address: SocketAddr = rustix::net::getsockname(socket)?.try_into()?;
    Ok(address.port())
}

/// Whether `text` is an IP address. Tornado's `is_valid_ip` also takes what getaddrinfo makes an
/// address of: `127.1`, `0x7f.1`, and a zone behind `%`; none is one here.
pub fn is_valid_ip(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(sockets: &[OwnedFd]) -> Vec<SocketAddr> {
        let local = |socket| rustix::net::getsockname(socket).unwrap().try_into().unwrap();
        sockets.iter().map(local).collect()
    }

    #[test]
    fn every_interface_of_both_families_has_one_port() {
        let sockets = Bind::new(0).sockets().unwrap();
        let at = local(&sockets);
        assert_eq!(at[0].ip(), Ipv4Addr::UNSPECIFIED);
        assert!(at.iter().all(|one| one.port() == at[0].port() && one.port() != 0), "{at:?}");
        // A kernel without IPv6 gives one socket, as Tornado does.
        assert!(at.len() == 2 || !std::path::Path::new("/proc/net/if_inet6").exists(), "{at:?}");
        let again = Bind::new(at[0].port()).sockets().unwrap_err();
        assert_eq!(again.kind, ErrorKind::AddrInUse);
    }

    #[test]
    fn a_port_is_shared_if_both_say_so() {
        let bind = Bind { address: Some("127.0.0.1"), reuse_port: true, ..Bind::new(0) };
        let first = bind.sockets().unwrap();
        let port = local(&first)[0].port();
        assert!(Bind { port, ..bind }.sockets().is_ok());
        let alone = Bind { port, reuse_port: false, ..bind }.sockets();
        assert_eq!(alone.unwrap_err().kind, ErrorKind::AddrInUse);
    }

    #[test]
    fn names_stand_for_addresses() {
        let addresses = |address, family| {
            let found = Bind { address, family, ..Bind::new(0) }.addresses().unwrap();
            found.iter().map(|at| at.ip().to_string()).collect::<Vec<_>>().join(" ")
        };
        for (address, family, found) in [
            (None, Family::Any, "0.0.0.0 ::"),
            (Some(""), Family::V6, "::"),
            (Some("::1"), Family::Any, "::1"),
            (Some("::1"), Family::V4, ""),
            (Some("localhost"), Family::V4, "127.0.0.1"),
        ] {
            assert_eq!(addresses(address, family), found, "{address:?} {family:?}");
        }
        let none = Bind { address: Some("192.0.2.1"), ..Bind::new(0) }.sockets();
        assert_eq!(none.unwrap_err().kind, ErrorKind::AddrNotAvailable);
        let none = Bind { address: Some("::1"), family: Family::V4, ..Bind::new(0) }.sockets();
        assert_eq!(none.unwrap_err().kind, ErrorKind::NotFound);
    }

    #[test]
    fn what_is_an_address() {
        for (text, is) in [
            ("127.0.0.1", true),
            ("4.4.4.4", true),
            ("::1", true),
            ("2620:0:1cfe:face:b00c::3", true),
            ("www.google.com", false),
            ("localhost", false),
            ("4.4.4.4<", false),
            (" 127.0.0.1", false),
            ("", false),
            ("   ", false),
            ("\n", false),
            ("\0", false),
            ("a\0b", false),
        ] {
            assert_eq!(is_valid_ip(text), is, "{text:?}");
        }
    }
}
