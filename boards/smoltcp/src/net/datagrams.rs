//! The calls for datagrams: each on one socket, none of them sends or waits.
//!
//! A socket receives what is sent to its port, at whichever address of the stack's, broadcast ones
//! included: a stack has one address, and a lease may change it. There are no multicast groups.
//!
//! Place: part of [`net`](super).

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use dustdevil_core::memory::Block;
use dustdevil_core::nb;
use dustdevil_core::poller::{Datagram, Error, Event, Io, Readiness, Token};
use embedded_io::ErrorKind;
use smoltcp::iface::SocketSet;
use smoltcp::socket::udp;
use smoltcp::wire::{IpAddress, IpCidr, IpEndpoint};

use super::transport::socket_address;
use super::{Net, Stack};
use crate::capacity::{DATAGRAM_BYTES_MAX, Udp};
use crate::mailbox::Mailbox;
use crate::nic::{Nic, Park};

/// Mailboxes have numbers from here on, listeners from 2^31 on.
const MAILBOXES_FROM: u32 = 1 << 30;
/// The port of a DHCP client.
pub(super) const DHCP_PORT: u16 = 68;

impl<N: Nic, P: Park> Datagram for Net<'_, N, P> {
    /// A socket at a port of IPv4.
    fn bind(&mut self, at: SocketAddr) -> Result<Io, Error> {
        self.stack.bind(at)
    }

    fn recv_from(&mut self, io: Io, buf: &mut [u8]) -> nb::Result<(usize, SocketAddr), Error> {
        self.stack.recv_from(io, buf)
    }

    /// A datagram of up to [`DATAGRAM_BYTES_MAX`] bytes that fits the socket's buffer. One to an
    /// address that nobody has is thrown away after [`UNREACHABLE`](super::UNREACHABLE).
    fn send_to(&mut self, io: Io, data: &[u8], to: SocketAddr) -> nb::Result<(), Error> {
        self.stack.send_to(io, data, to)
    }
}

/// Adds the sockets for datagrams, with buffers of their own.
pub(super) fn add_all<'m>(
    sockets: &mut SocketSet<'m>,
    memory: &mut Block<'m>,
    capacity: Udp,
) -> &'m mut [Mailbox] {
    let mailboxes = memory.fill(capacity.sockets, |_| Mailbox::new(Default::default()));
    for mailbox in mailboxes.iter_mut() {
        let mut buffer = || {
            let datagrams = memory.fill(capacity.datagrams, |_| udp::PacketMetadata::EMPTY);
            udp::PacketBuffer::new(datagrams, memory.bytes(capacity.bytes))
        };
        mailbox.handle = sockets.add(udp::Socket::new(buffer(), buffer()));
    }
    mailboxes
}

impl<'m> Stack<'m> {
    /// The mailbox and the socket of `io`.
    fn mailbox(&mut self, io: Io) -> Option<(&mut Mailbox, &mut udp::Socket<'m>)> {
        let index = io.0.checked_sub(MAILBOXES_FROM)?;
        let mailbox = self.mailboxes.get_mut(index as usize)?;
        let socket = self.sockets.get_mut::<udp::Socket<'m>>(mailbox.handle);
        Some((mailbox, socket))
    }

    /// Whether a socket receives what is sent to `port`.
    pub(super) fn receives(&self, port: u16) -> bool {
        port != 0 && self.mailbox_at(port).is_some()
    }

    fn mailbox_at(&self, port: u16) -> Option<usize> {
        self.mailboxes.iter().position(|mailbox| {
            self.sockets.get::<udp::Socket<'_>>(mailbox.handle).endpoint().port == port
        })
    }

    pub(super) fn register_mailbox(&mut self, io: Io, token: Token) -> bool {
        let Some((mailbox, _)) = self.mailbox(io) else { return false };
        mailbox.register(token);
        true
    }

    pub(super) fn bound_at(&self, io: Io) -> Option<SocketAddr> {
        let index = io.0.checked_sub(MAILBOXES_FROM)?;
        let mailbox = self.mailboxes.get(index as usize)?;
        let port = self.sockets.get::<udp::Socket<'_>>(mailbox.handle).endpoint().port;
        let address = self.interface.ipv4_addr().unwrap_or(Ipv4Addr::UNSPECIFIED);
        (port != 0).then_some((address, port).into())
    }

    /// Gives up the socket `io`, if it is one for datagrams: what it was to send is still sent.
    pub(super) fn unbind(&mut self, io: Io) -> bool {
        let Some((mailbox, socket)) = self.mailbox(io) else { return false };
        if mailbox.close(socket) {
            socket.close();
            mailbox.clear();
        }
        (self.dirty, self.changed) = (true, true);
        true
    }

    fn bind(&mut self, at: SocketAddr) -> Result<Io, Error> {
        let own = self.interface.ipv4_addr();
        match at.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() || own == Some(ip) => {}
            _ => return Err(Error::new(ErrorKind::AddrNotAvailable)),
        }
        let port = match at.port() {
            0 => self.unused_datagram_port(),
            port => port,
        };
        let is_closing = |index: &usize| self.mailboxes[*index].is_closing();
        let index = match self.mailbox_at(port) {
            Some(index) if is_closing(&index) => index,
            Some(_) => return Err(Error::new(ErrorKind::AddrInUse)),
            // Port 0: not bound. One that only sends its last datagrams makes room.
            None => self
                .mailbox_at(0)
                .or_else(|| (0..self.mailboxes.len()).find(is_closing))
                .ok_or(Error::new(ErrorKind::OutOfMemory))?,
        };
        if port == DHCP_PORT && self.address.is_lent() {
            return Err(Error::new(ErrorKind::AddrInUse));
        }
        let mailbox = &mut self.mailboxes[index];
        mailbox.clear();
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(mailbox.handle);
        socket.close();
        // INVARIANT: it is closed, and the port is not 0.
        socket.bind(port).map_err(|_| Error::new(ErrorKind::AddrInUse))?;
        Ok(Io(MAILBOXES_FROM + index as u32))
    }

    fn unused_datagram_port(&mut self) -> u16 {
        loop {
            let port = self.random_port();
            if self.mailbox_at(port).is_none() {
                return port;
            }
        }
    }

    fn recv_from(&mut self, io: Io, buf: &mut [u8]) -> nb::Result<(usize, SocketAddr), Error> {
        let (mailbox, socket) = self.mailbox(io).ok_or(nb::Error::Other(Error::STALE))?;
        let Ok((data, sender)) = socket.recv() else {
            mailbox.drained();
            return Err(nb::Error::WouldBlock);
        };
        let kept = data.len().min(buf.len());
        buf[..kept].copy_from_slice(&data[..kept]);
        Ok((data.len(), socket_address(sender.endpoint)))
    }

    fn send_to(&mut self, io: Io, data: &[u8], to: SocketAddr) -> nb::Result<(), Error> {
        let to = self.destination(to)?;
        let now = self.now;
        let (mailbox, socket) = self.mailbox(io).ok_or(nb::Error::Other(Error::STALE))?;
        if data.len() > socket.payload_send_capacity().min(DATAGRAM_BYTES_MAX) {
            return Err(nb::Error::Other(Error::new(ErrorKind::InvalidInput)));
        }
        let before = socket.send_queue();
        match socket.send_slice(data, to) {
            Ok(()) => {
                mailbox.took(before, socket, now);
                // A look settles by when it must have moved.
                (self.dirty, self.changed) = (true, true);
                Ok(())
            }
            Err(udp::SendError::BufferFull) => {
                mailbox.blocked();
                Err(nb::Error::WouldBlock)
            }
            Err(udp::SendError::Unaddressable) => {
                Err(nb::Error::Other(Error::new(ErrorKind::InvalidInput)))
            }
        }
    }

    /// Where a datagram to `to` goes, if there is a way.
    fn destination(&mut self, to: SocketAddr) -> Result<IpEndpoint, Error> {
        let SocketAddr::V4(to) = to else { return Err(Error::new(ErrorKind::InvalidInput)) };
        let ip = *to.ip();
        if ip.is_unspecified() || to.port() == 0 {
            return Err(Error::new(ErrorKind::InvalidInput));
        }
        let own = self.interface.ipv4_addr();
        let networks = self.interface.ip_addrs();
        let is_near = networks.iter().any(|IpCidr::Ipv4(network)| network.contains_addr(&ip));
        let mut has_router = false;
        self.interface.routes_mut().update(|routes| has_router = !routes.is_empty());
        let is_reached = is_near || has_router || ip.is_broadcast() || ip.is_multicast();
        // To itself there is no way out, nor to anybody before there is an address.
        if own.is_none() || own == Some(ip) || !is_reached {
            return Err(Error::new(ErrorKind::AddrNotAvailable));
        }
        Ok(IpEndpoint::new(IpAddress::Ipv4(ip), to.port()))
    }

    /// Something may have left a socket that somebody waits for.
    pub(super) fn look_for_room(&mut self) {
        self.changed |= self.mailboxes.iter().any(Mailbox::is_waiting);
    }

    /// Looks at every mailbox: reports what is new, throws away what cannot be sent.
    pub(super) fn look_at_mailboxes(&mut self, on_event: &mut dyn FnMut(Event)) {
        for mailbox in self.mailboxes.iter_mut() {
            let socket = self.sockets.get_mut::<udp::Socket<'_>>(mailbox.handle);
            if !socket.is_open() {
                continue;
            }
            let (ready, due) = mailbox.step(socket, self.now);
            self.slots_due = self.slots_due.min(due.unwrap_or(self.slots_due));
            if let Some(token) = mailbox.token().filter(|_| ready != Readiness::NONE) {
                on_event(Event { token, ready });
            }
        }
    }
}
