//! The transport's calls: each on one socket, none of them sends or waits.
//!
//! Place: part of [`net`](super).

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use dustdevil_core::nb;
use dustdevil_core::poller::{Error, Io, Token, Transport};
use dustdevil_core::time::Instant;
use embedded_io::ErrorKind;
use smoltcp::socket::tcp::{self, RecvError, SendError};
use smoltcp::wire::{IpAddress, IpCidr, IpEndpoint};

use super::pool::Listener;
use super::{Net, Stack};
use crate::nic::{Nic, Park};
use crate::slot::{Slot, State};

/// Listeners have numbers from here on; below are the slots'.
const LISTENERS_FROM: u32 = 1 << 31;

/// Ports of outgoing connections: 2^14 from here on (RFC 6335, 6).
const DYNAMIC_PORTS_FROM: u16 = 49_152;

impl<N: Nic, P: Park> Transport for Net<'_, N, P> {
    const SHORT_READ_DRAINS: bool = true;

    /// Listens at a port of IPv4. `backlog` says nothing here: how many connections can wait is
    /// [`Capacity::listening`](crate::Capacity::listening), for all listeners together.
    fn listen(&mut self, at: SocketAddr, _: u16) -> Result<Io, Error> {
        self.stack.listen(at)
    }

    fn accept(&mut self, listener: Io) -> nb::Result<(Io, SocketAddr), Error> {
        self.stack.accept(listener)
    }

    fn connect(&mut self, to: SocketAddr, from: Option<SocketAddr>) -> Result<Io, Error> {
        self.stack.connect(to, from)
    }

    fn read(&mut self, io: Io, buf: &mut [u8]) -> nb::Result<usize, Error> {
        self.stack.read(io, buf)
    }

    fn write(&mut self, io: Io, data: &[u8]) -> nb::Result<usize, Error> {
        self.stack.write(io, data, 1)
    }

    fn write_whole(&mut self, io: Io, data: &[u8]) -> nb::Result<usize, Error> {
        self.stack.write(io, data, data.len())
    }

    fn set_nodelay(&mut self, io: Io, on: bool) -> Result<(), Error> {
        let (_, socket) = self.stack.connection(io.0 as usize).ok_or(Error::STALE)?;
        socket.set_nagle_enabled(!on);
        // What waited may leave now.
        self.stack.dirty = true;
        Ok(())
    }

    fn shutdown(&mut self, io: Io) {
        self.stack.end(io, |slot, socket, _| slot.shutdown(socket));
    }

    fn close(&mut self, io: Io) {
        if !self.stack.unbind(io) && !self.stack.unlisten(io) {
            self.stack.end(io, Slot::close);
        }
    }

    fn abort(&mut self, io: Io) {
        if !self.stack.unbind(io) && !self.stack.unlisten(io) {
            self.stack.end(io, Slot::abort);
        }
    }

    fn peer(&self, io: Io) -> Option<SocketAddr> {
        self.stack.socket(io)?.remote_endpoint().map(socket_address)
    }

    fn local(&self, io: Io) -> Option<SocketAddr> {
        if let Some(listener) = listener_index(io) {
            let port = self.stack.listeners.get(listener)?.port;
            let address = self.address().unwrap_or(Ipv4Addr::UNSPECIFIED);
            return (port != 0).then_some((address, port).into());
        }
        if let Some(at) = self.stack.bound_at(io) {
            return Some(at);
        }
        self.stack.socket(io)?.local_endpoint().map(socket_address)
    }
}

impl Stack<'_> {
    fn socket(&self, io: Io) -> Option<&tcp::Socket<'_>> {
        self.slots.get(io.0 as usize).map(|slot| self.socket_of(slot))
    }

    pub(super) fn register(&mut self, io: Io, token: Token) -> Result<(), Error> {
        self.changed = true;
        if let Some(index) = listener_index(io) {
            let listener = self.listeners.get_mut(index).ok_or(Error::STALE)?;
            (listener.token, listener.reported) = (Some(token), false);
            self.news_at_listener = true;
        } else if !self.register_mailbox(io, token) {
            self.slots.get_mut(io.0 as usize).ok_or(Error::STALE)?.register(token);
        }
        Ok(())
    }

    fn listen(&mut self, at: SocketAddr) -> Result<Io, Error> {
        let own = self.interface.ipv4_addr();
        match at.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() || own == Some(ip) => {}
            _ => return Err(Error::new(ErrorKind::AddrNotAvailable)),
        }
        let port = match at.port() {
            0 => self.unused_port(),
            port if self.listeners.iter().any(|listener| listener.port == port) => {
                return Err(Error::new(ErrorKind::AddrInUse));
            }
            port => port,
        };
        let mut listeners = self.listeners.iter_mut().enumerate();
        let free = listeners.find(|(_, listener)| listener.port == 0);
        let (index, listener) = free.ok_or(Error::new(ErrorKind::OutOfMemory))?;
        *listener = Listener { port, ..Listener::NONE };
        self.changed = true;
        for index in 0..self.listening {
            if self.slots.get(index).is_some_and(|slot| slot.state == State::Idle) {
                self.replenish(index);
            }
        }
        self.announce(port);
        Ok(Io(LISTENERS_FROM + index as u32))
    }

    /// Ends the listener `io`, if it is one: who was not accepted yet is reset.
    fn unlisten(&mut self, io: Io) -> bool {
        let Some(index) = listener_index(io) else { return false };
        let Some(listener) = self.listeners.get_mut(index) else { return true };
        let port = core::mem::replace(listener, Listener::NONE).port;
        let now = self.now;
        for index in 0..self.listening {
            let Some((slot, socket)) = self.connection(index) else { break };
            if slot.port == port && slot.state == State::Pending {
                slot.abort(socket, now);
            } else if slot.port == port && slot.state == State::Listening {
                self.replenish(index);
            }
        }
        self.hold.forget_port(port);
        (self.dirty, self.changed) = (true, true);
        true
    }

    fn accept(&mut self, listener: Io) -> nb::Result<(Io, SocketAddr), Error> {
        let index = listener_index(listener);
        let port = index.and_then(|index| self.listeners.get(index)).map(|listener| listener.port);
        let port = port.ok_or(nb::Error::Other(Error::STALE))?;
        while let Some(at) = self.arrived(port) {
            let Some((slot, socket)) = self.connection(at) else { break };
            if let Some(peer) = socket.remote_endpoint() {
                slot.begin(State::Open);
                return Ok((Io(at as u32), socket_address(peer)));
            }
            self.replenish(at);
        }
        if self.pressure(port) > 0 {
            return Err(nb::Error::Other(Error::new(ErrorKind::OutOfMemory)));
        }
        if let Some(listener) = index.and_then(|index| self.listeners.get_mut(index)) {
            listener.reported = false;
        }
        Err(nb::Error::WouldBlock)
    }

    fn connect(&mut self, to: SocketAddr, from: Option<SocketAddr>) -> Result<Io, Error> {
        let SocketAddr::V4(to) = to else { return Err(Error::UNSUPPORTED) };
        if !self.is_one_host(*to.ip()) {
            return Err(Error::new(ErrorKind::AddrNotAvailable));
        }
        let first = self.listening;
        let idle = self.slots[first..].iter().position(|slot| slot.state == State::Idle);
        let index = first + idle.ok_or(Error::new(ErrorKind::OutOfMemory))?;
        let port = self.source_port(from)?;
        let slot = &mut self.slots[index];
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(slot.handle);
        let to = IpEndpoint::new(IpAddress::Ipv4(*to.ip()), to.port());
        socket
            .connect(self.interface.context(), to, port)
            .map_err(|_| Error::new(ErrorKind::AddrNotAvailable))?;
        slot.connect(self.now);
        (self.dirty, self.changed) = (true, true);
        Ok(Io(index as u32))
    }

    /// The port to connect from: that of `from`, if it has one, and is an own address.
    fn source_port(&mut self, from: Option<SocketAddr>) -> Result<u16, Error> {
        let Some(from) = from else { return Ok(self.unused_port()) };
        let own = self.interface.ipv4_addr().map(IpAddr::V4);
        if !from.ip().is_unspecified() && own != Some(from.ip()) || !from.is_ipv4() {
            return Err(Error::new(ErrorKind::AddrNotAvailable));
        }
        match from.port() {
            0 => Ok(self.unused_port()),
            port if self.is_used(port) => Err(Error::new(ErrorKind::AddrInUse)),
            port => Ok(port),
        }
    }

    /// Whether a listener or a connection has the port.
    fn is_used(&self, port: u16) -> bool {
        let has_port = |slot: &Slot| {
            let socket = self.socket_of(slot);
            socket.local_endpoint().is_some_and(|local| local.port == port)
        };
        self.listeners.iter().any(|listener| listener.port == port)
            || self.slots.iter().any(has_port)
    }

    fn is_one_host(&self, ip: Ipv4Addr) -> bool {
        let mut networks = self.interface.ip_addrs().iter();
        let is_networks = networks.any(|IpCidr::Ipv4(network)| network.broadcast() == Some(ip));
        !(ip.is_unspecified() || ip.is_broadcast() || ip.is_multicast() || is_networks)
    }

    fn read(&mut self, io: Io, buf: &mut [u8]) -> nb::Result<usize, Error> {
        let (slot, socket) =
            self.connection(io.0 as usize).ok_or(nb::Error::Other(Error::STALE))?;
        match socket.recv_slice(buf) {
            Ok(len) => {
                if len < buf.len() {
                    slot.drained();
                }
                if len == 0 {
                    return Err(nb::Error::WouldBlock);
                }
                // The peer may have to learn that there is room again.
                self.dirty = true;
                Ok(len)
            }
            Err(RecvError::Finished) => Ok(0),
            // It was finished so long ago that smoltcp has forgotten.
            Err(RecvError::InvalidState) if slot.is_finished() => Ok(0),
            Err(RecvError::InvalidState) if socket.is_open() => {
                slot.drained();
                Err(nb::Error::WouldBlock)
            }
            Err(RecvError::InvalidState) => Err(nb::Error::Other(Error::new(slot.failure()))),
        }
    }

    /// Writes what there is room for, if that is `wanted` or can never be.
    fn write(&mut self, io: Io, data: &[u8], wanted: usize) -> nb::Result<usize, Error> {
        let (slot, socket) =
            self.connection(io.0 as usize).ok_or(nb::Error::Other(Error::STALE))?;
        let wanted = wanted.min(socket.send_capacity());
        let room = socket.send_capacity() - socket.send_queue();
        if room < wanted && socket.may_send() {
            slot.blocked(wanted);
            return Err(nb::Error::WouldBlock);
        }
        match socket.send_slice(data) {
            Ok(len) => {
                self.dirty = true;
                Ok(len)
            }
            Err(SendError::InvalidState) => match socket.state() {
                tcp::State::SynSent | tcp::State::SynReceived => {
                    slot.blocked(1);
                    Err(nb::Error::WouldBlock)
                }
                tcp::State::Closed => Err(nb::Error::Other(Error::new(slot.failure()))),
                _ => Err(nb::Error::Other(Error::new(ErrorKind::BrokenPipe))),
            },
        }
    }

    /// Lets a connection end in some way.
    fn end(&mut self, io: Io, how: fn(&mut Slot, &mut tcp::Socket<'_>, Instant)) {
        let now = self.now;
        if let Some((slot, socket)) = self.connection(io.0 as usize) {
            how(slot, socket, now);
            (self.dirty, self.changed) = (true, true);
        }
    }

    /// A dynamic port that no socket uses.
    fn unused_port(&mut self) -> u16 {
        loop {
            let port = self.random_port();
            if !self.is_used(port) {
                return port;
            }
        }
    }

    pub(super) fn random_port(&mut self) -> u16 {
        // Xorshift, as Marsaglia gives it for 32 bits: its period is all numbers but 0.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        DYNAMIC_PORTS_FROM | (self.random >> 18) as u16
    }

    /// Says in the log where connections are accepted, as something that can be clicked on.
    pub(super) fn announce_all(&self) {
        for listener in self.listeners.iter().filter(|listener| listener.port != 0) {
            self.announce(listener.port);
        }
    }

    fn announce(&self, port: u16) {
        match self.interface.ipv4_addr() {
            Some(address) if port == 80 => log::info!("listening on http://{address}:{port}/"),
            Some(address) => log::info!("listening on {address}:{port}"),
            None => {}
        }
    }
}

fn listener_index(io: Io) -> Option<usize> {
    io.0.checked_sub(LISTENERS_FROM).map(|index| index as usize)
}

pub(super) fn socket_address(endpoint: IpEndpoint) -> SocketAddr {
    let IpAddress::Ipv4(ip) = endpoint.addr;
    SocketAddr::from((ip, endpoint.port))
}

/// Without datagrams no number is a mailbox's.
#[cfg(not(feature = "udp"))]
#[expect(clippy::unused_self, reason = "with the feature they look into the stack")]
impl Stack<'_> {
    const fn register_mailbox(&self, _: Io, _: Token) -> bool {
        false
    }
    const fn unbind(&self, _: Io) -> bool {
        false
    }
    const fn bound_at(&self, _: Io) -> Option<SocketAddr> {
        None
    }
}
