//! Datagrams over a reactor. Tornado has no counterpart: there one brings a socket of one's own
//! and `add_handler`.
//!
//! Invariants:
//! - What owns a token gives it back: dropping a [`UdpSocket`] closes it.
//! - A datagram is handed over whole, or what of it did not fit is told ([`Received::cut`]):
//!   nothing is shortened in silence.
//! - What sends and receives is reached through a trait of its own, made for the poller where a
//!   socket is bound: firmware without datagrams links nothing of this.
//! - Neither a flood of datagrams nor a sender that finds room for ever starves the rest.
//!
//! Capacity: a source and two waiters a socket, as [`Capacity::plus_streams`] counts them; what the
//! world can hold of datagrams that nobody took yet. Full: [`ErrorKind::OutOfMemory`]; a datagram
//! that finds the world's buffer full is lost, as on its way.
//!
//! Layer: stands on [`Handle`] and the poller's contract ([`Datagram`]).
//!
//! [`Capacity::plus_streams`]: crate::reactor::Capacity::plus_streams
//!
//! ```
//! # #[cfg(feature = "sim")] {
//! use dustdevil_core::handle::Handle;
//! use dustdevil_core::memory::Memory;
//! use dustdevil_core::reactor::{Capacity, Reactor};
//! use dustdevil_core::sim::{self, Faults, Sim, World};
//! use dustdevil_core::time::Duration;
//! use dustdevil_core::udp::{Received, UdpSocket};
//!
//! const CAPACITY: Capacity =
//!     Capacity { sources: 0, timers: 1, groups: 0, tasks: 1, waiters: 0 }.plus_streams(1);
//! static MEMORY: Memory<{ CAPACITY.bytes() }> = Memory::new();
//!
//! let world = World::new(1, Faults::NONE);
//! let reactor = Reactor::new(Sim::<true>::new(&world), MEMORY.take(), CAPACITY, sim::wakes(1));
//! let echo = "10.0.0.9:7".parse().unwrap();
//! world.bind_peer(echo, |from, data, end| end.send(from, data));
//!
//! let socket = UdpSocket::bind(&reactor, "10.0.0.1:0".parse().unwrap()).unwrap();
//! let second = Duration::from_secs(1);
//! reactor.run(async {
//!     socket.send_to(b"hello", echo).await.unwrap();
//!     let mut buf = [0; 512];
//!     // It may be lost on its way, so one waits with a deadline, and asks again.
//!     let received = Handle::from(&reactor).timeout(second, socket.recv_from(&mut buf)).await;
//!     let Received { data, from, .. } = received.unwrap().unwrap();
//!     assert_eq!((data, from), (&b"hello"[..], echo));
//! });
//! # }
//! ```

use core::cell::Cell;
use core::future::Future;
use core::net::{IpAddr, SocketAddr};
use core::pin::Pin;
use core::task::{Context, Poll, ready};

#[cfg(doc)]
use embedded_io::ErrorKind;

use crate::handle::Handle;
use crate::operations::{self, Reach};
use crate::poller::{Datagram, Error, Interest, Io, Token};
use crate::reactor::{Close, Group, Reactor};

/// Datagrams sent or received in a row before others have their turn: 16.
const CALLS_IN_ROW_MAX: u32 = 16;

/// Attempts after readiness that turned out spurious, before others have their turn: 4.
const ATTEMPTS_PER_POLL_MAX: u32 = 4;

/// A reactor with datagrams, whatever its poller. Implemented by [`Reactor`] alone.
trait Post {
    fn handle(&self) -> Handle<'_>;
    fn recv_from(&self, socket: Token, buf: &mut [u8]) -> nb::Result<(usize, SocketAddr), Error>;
    fn send_to(&self, socket: Token, data: &[u8], to: SocketAddr) -> nb::Result<(), Error>;
    fn join(&self, socket: Token, group: IpAddr) -> Result<(), Error>;
    fn leave(&self, socket: Token, group: IpAddr) -> Result<(), Error>;
}

impl<P: Datagram> Post for Reactor<'_, P> {
    fn handle(&self) -> Handle<'_> {
        self.into()
    }

    fn recv_from(&self, socket: Token, buf: &mut [u8]) -> nb::Result<(usize, SocketAddr), Error> {
        let source = self.state.source(socket).ok_or(nb::Error::Other(Error::STALE))?;
        let result = Reach::world(self).recv_from(Io(source.io.get()), buf);
        match result {
            Ok((len, _)) => self.state.metrics.add_bytes_in(len.min(buf.len())),
            Err(nb::Error::WouldBlock) => source.disprove(Interest::Read.readiness()),
            Err(nb::Error::Other(_)) => {}
        }
        result
    }

    fn send_to(&self, socket: Token, data: &[u8], to: SocketAddr) -> nb::Result<(), Error> {
        let source = self.state.source(socket).ok_or(nb::Error::Other(Error::STALE))?;
        let result = Reach::world(self).send_to(Io(source.io.get()), data, to);
        match result {
            Ok(()) => self.state.metrics.add_bytes_out(data.len()),
            Err(nb::Error::WouldBlock) => source.disprove(Interest::Write.readiness()),
            Err(nb::Error::Other(_)) => {}
        }
        result
    }

    fn join(&self, socket: Token, group: IpAddr) -> Result<(), Error> {
        let source = self.state.source(socket).ok_or(Error::STALE)?;
        Reach::world(self).join(Io(source.io.get()), group)
    }

    fn leave(&self, socket: Token, group: IpAddr) -> Result<(), Error> {
        let source = self.state.source(socket).ok_or(Error::STALE)?;
        Reach::world(self).leave(Io(source.io.get()), group)
    }
}

/// A socket for datagrams, under the reactor's care. Dropping it closes it; what was handed over to
/// be sent and has not left by then may be lost, as any datagram.
///
/// Calls take `&self`: one task may receive while another sends. One task at a time waits for each
/// of the two.
pub struct UdpSocket<'c> {
    post: &'c dyn Post,
    token: Token,
    calls_in_row: Cell<u32>,
}

/// A datagram that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'b> {
    /// What it says, in the buffer that was passed in; it may be empty.
    pub data: &'b [u8],
    /// Who sent it, or claims to.
    pub from: SocketAddr,
    /// How many bytes of it did not fit into the buffer and are lost; 0 where it is whole.
    pub cut: usize,
}

impl<'b> Received<'b> {
    fn new(buf: &'b mut [u8], len: usize, from: SocketAddr) -> Self {
        let kept = len.min(buf.len());
        Self { data: &buf[..kept], from, cut: len - kept }
    }
}

impl<'c> UdpSocket<'c> {
    /// A socket at `at`; at port 0, one of the world's choice. At an unspecified address it
    /// receives what is sent to any of the own ones, and to broadcast addresses.
    ///
    /// # Errors
    /// [`ErrorKind::AddrInUse`], [`ErrorKind::AddrNotAvailable`]; [`ErrorKind::OutOfMemory`] when
    /// the reactor's sources or the world's sockets are used up.
    pub fn bind<P: Datagram>(reactor: &'c Reactor<'_, P>, at: SocketAddr) -> Result<Self, Error> {
        let io = Reach::world(reactor).bind(at)?;
        let token = operations::adopt(reactor, io, Group::NONE)?;
        Ok(Self { post: reactor, token, calls_in_row: Cell::new(0) })
    }

    /// Its token.
    pub const fn token(&self) -> Token {
        self.token
    }

    /// The reactor that it lives on.
    pub fn handle(&self) -> Handle<'c> {
        self.post.handle()
    }

    /// The own address: with port 0 at [`bind`](Self::bind), the port that was chosen.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.handle().local(self.token)
    }

    /// Waits for a datagram and receives it into `buf`. One that is longer is cut, and
    /// [`Received::cut`] says by how much; who needs whole ones checks that it is 0. 65,507 bytes
    /// are enough for every one there can be over IPv4, 1,472 for one that is a single Ethernet
    /// frame.
    ///
    /// Cancel-safe: a dropped call has received nothing.
    ///
    /// # Errors
    /// The world's own: the socket can no longer be used, but after [`ErrorKind::Interrupted`].
    pub const fn recv_from<'b>(&self, buf: &'b mut [u8]) -> RecvFrom<'_, 'b, 'c> {
        RecvFrom { socket: self, buf: Some(buf) }
    }

    /// Sends `data` as one datagram to `to`, once there is room for it. Done when the world has
    /// taken it; whether it arrives, nobody knows.
    ///
    /// Cancel-safe: a dropped call has sent nothing.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when `data` is longer than a datagram there can be, or `to` is
    /// no address to send to; what the world refuses at once. The socket can be used further.
    pub const fn send_to<'d>(&self, data: &'d [u8], to: SocketAddr) -> SendTo<'_, 'd, 'c> {
        SendTo { socket: self, data, to }
    }

    /// As [`recv_from`](Self::recv_from), without waiting.
    ///
    /// # Errors
    /// As there; [`nb::Error::WouldBlock`] when none is there.
    pub fn try_recv_from<'b>(&self, buf: &'b mut [u8]) -> nb::Result<Received<'b>, Error> {
        let (len, from) = self.post.recv_from(self.token, buf)?;
        Ok(Received::new(buf, len, from))
    }

    /// As [`send_to`](Self::send_to), without waiting.
    ///
    /// # Errors
    /// As there; [`nb::Error::WouldBlock`] when there is no room: nothing was sent.
    pub fn try_send_to(&self, data: &[u8], to: SocketAddr) -> nb::Result<(), Error> {
        self.post.send_to(self.token, data, to)
    }

    /// Receives from now on also what is sent to the multicast group `group`.
    ///
    /// # Errors
    /// As [`Datagram::join`].
    pub fn join(&self, group: IpAddr) -> Result<(), Error> {
        self.post.join(self.token, group)
    }

    /// Takes a [`join`](Self::join) back; closing the socket does so too.
    ///
    /// # Errors
    /// As [`Datagram::leave`].
    pub fn leave(&self, group: IpAddr) -> Result<(), Error> {
        self.post.leave(self.token, group)
    }

    /// Waits for `interest` and attempts `call`, which is asked again when that was spurious.
    fn poll_call<T>(
        &self,
        interest: Interest,
        cx: &mut Context<'_>,
        mut call: impl FnMut() -> nb::Result<T, Error>,
    ) -> Poll<Result<T, Error>> {
        let in_row = self.calls_in_row.replace(0);
        if in_row >= CALLS_IN_ROW_MAX {
            self.handle().add_budget_hit();
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        for _ in 0..ATTEMPTS_PER_POLL_MAX {
            ready!(self.handle().poll_io(self.token, interest, cx));
            let done = match call() {
                Err(nb::Error::WouldBlock) => continue,
                Err(nb::Error::Other(error)) => Err(error),
                Ok(value) => Ok(value),
            };
            self.calls_in_row.set(in_row + 1);
            return Poll::Ready(done);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for UdpSocket<'_> {
    fn drop(&mut self) {
        self.handle().remove(self.token, Close::Graceful);
    }
}

/// See [`UdpSocket::recv_from`].
#[must_use = "nothing is received unless this is awaited"]
pub struct RecvFrom<'s, 'b, 'c> {
    socket: &'s UdpSocket<'c>,
    /// `None` once it was handed back with a datagram in it.
    buf: Option<&'b mut [u8]>,
}

impl<'b> Future for RecvFrom<'_, 'b, '_> {
    type Output = Result<Received<'b>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let (post, token) = (this.socket.post, this.socket.token);
        let Some(buf) = this.buf.take() else { return Poll::Ready(Err(Error::STALE)) };
        match this.socket.poll_call(Interest::Read, cx, || post.recv_from(token, buf)) {
            Poll::Ready(Ok((len, from))) => Poll::Ready(Ok(Received::new(buf, len, from))),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                this.buf = Some(buf);
                Poll::Pending
            }
        }
    }
}

/// See [`UdpSocket::send_to`].
#[must_use = "nothing is sent unless this is awaited"]
pub struct SendTo<'s, 'd, 'c> {
    socket: &'s UdpSocket<'c>,
    data: &'d [u8],
    to: SocketAddr,
}

impl Future for SendTo<'_, '_, '_> {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { socket, data, to } = *self;
        socket.poll_call(Interest::Write, cx, || socket.try_send_to(data, to))
    }
}
