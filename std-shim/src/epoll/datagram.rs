//! Datagrams over UDP sockets: each call is one system call, and there is no other.
//!
//! A socket belongs to one of the two families alone (`IPV6_V6ONLY`), may send to broadcast
//! addresses, and shares its port with nobody, unless it is bound to a multicast group, which any
//! number of sockets may be (multicast DNS lives of that). What the kernel would say of a datagram
//! that came back (`ECONNREFUSED`) it says to connected sockets alone, and these are not.
//!
//! Capacity: the kernel's buffers (`net.core.rmem_default`, `wmem_default`). Full: what comes is
//! lost; `send_to` answers `WouldBlock`.
//!
//! Place: part of [`epoll`](super).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::nb;
use dustdevil_core::poller::{Datagram, Error, Io};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, ipproto, sockopt};

use super::{Epoll, State, UNKNOWN, address};
use crate::socket::{self, error};

/// How often one receive passes over errors that are not its own.
const SKIPS_MAX: usize = 16;

impl Datagram for Epoll {
    fn bind(&mut self, at: SocketAddr) -> Result<Io, Error> {
        let socket = self.with_resources(|| bound(at))?;
        self.table.insert(socket, State::NEW)
    }

    fn recv_from(&mut self, io: Io, buf: &mut [u8]) -> nb::Result<(usize, SocketAddr), Error> {
        let socket = self.table.get(io).ok_or(Error::STALE)?;
        for _ in 0..SKIPS_MAX {
            // TRUNC: the answer is the length of the whole, not of what was copied.
            match rustix::net::recvfrom(socket, &mut *buf, RecvFlags::TRUNC) {
                Ok((_, len, from)) => return Ok((len, from.and_then(address).unwrap_or(UNKNOWN))),
                Err(Errno::AGAIN) => return Err(nb::Error::WouldBlock),
                Err(errno) if errno == Errno::INTR || is_of_another(errno) => {}
                Err(errno) => return Err(nb::Error::Other(error(errno))),
            }
        }
        // Not WouldBlock, which would say that nothing waits.
        Err(nb::Error::Other(Error::new(ErrorKind::Interrupted)))
    }

    fn send_to(&mut self, io: Io, data: &[u8], to: SocketAddr) -> nb::Result<(), Error> {
        let socket = self.table.get(io).ok_or(Error::STALE)?;
        if to.ip().is_unspecified() {
            // The kernel would take it for this host.
            return Err(nb::Error::Other(Error::new(ErrorKind::InvalidInput)));
        }
        for _ in 0..SKIPS_MAX {
            match rustix::net::sendto(socket, data, SendFlags::NOSIGNAL, &to) {
                Ok(_) => return Ok(()),
                Err(Errno::AGAIN) => return Err(nb::Error::WouldBlock),
                // The latter is of a datagram before; no way to a host would be this one's.
                Err(Errno::INTR | Errno::CONNREFUSED) => {}
                Err(errno @ (Errno::MSGSIZE | Errno::AFNOSUPPORT | Errno::DESTADDRREQ)) => {
                    let code = errno.raw_os_error();
                    return Err(nb::Error::Other(Error { kind: ErrorKind::InvalidInput, code }));
                }
                Err(errno) => return Err(nb::Error::Other(error(errno))),
            }
        }
        Err(nb::Error::Other(Error::new(ErrorKind::Interrupted)))
    }

    /// On the interface that the kernel's routes choose.
    fn join(&mut self, io: Io, group: IpAddr) -> Result<(), Error> {
        self.membership(io, group, true)
    }

    fn leave(&mut self, io: Io, group: IpAddr) -> Result<(), Error> {
        self.membership(io, group, false)
    }
}

impl Epoll {
    fn membership(&self, io: Io, group: IpAddr, join: bool) -> Result<(), Error> {
        let socket = self.table.get(io).ok_or(Error::STALE)?;
        let own = rustix::net::getsockname(socket).map_err(error)?;
        let family = if group.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        if !group.is_multicast() || own.address_family() != family {
            return Err(Error::new(ErrorKind::InvalidInput));
        }
        let any = Ipv4Addr::UNSPECIFIED;
        let done = match (group, join) {
            (IpAddr::V4(group), true) => sockopt::set_ip_add_membership(socket, &group, &any),
            (IpAddr::V4(group), false) => sockopt::set_ip_drop_membership(socket, &group, &any),
            (IpAddr::V6(group), true) => sockopt::set_ipv6_add_membership(socket, &group, 0),
            (IpAddr::V6(group), false) => sockopt::set_ipv6_drop_membership(socket, &group, 0),
        };
        match done {
            Err(Errno::ADDRINUSE) if join => Ok(()), // it is in the group already
            done => done.map_err(error),
        }
    }
}

/// A non-blocking socket for datagrams at `at`.
fn bound(at: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let udp = Some(ipproto::UDP);
    let socket = rustix::net::socket_with(family, SocketType::DGRAM, socket::FLAGS, udp)?;
    if at.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if at.ip().is_multicast() {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    sockopt::set_socket_broadcast(&socket, true)?;
    rustix::net::bind(&socket, &at)?;
    Ok(socket)
}

/// Whether `errno` tells of a datagram that was sent before (udp(7), "Error handling").
fn is_of_another(errno: Errno) -> bool {
    matches!(errno, Errno::CONNREFUSED | Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::PROTO)
}
