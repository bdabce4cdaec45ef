//! TCP over a reactor: connections, listeners, a server and a client. Tornado: `tornado.tcpserver`
//! and `tornado.tcpclient`.
//!
//! Invariants:
//! - What owns a token gives it back: dropping a [`Tcp`] closes it gracefully, dropping a
//!   [`TcpListener`] stops listening.
//! - The result of a read or write is the truth about a connection, readiness only the reason to
//!   try.
//! - Accepting never starves the rest, and an accept that fails for want of resources never spins.
//!
//! Layer: stands on [`Handle`], [`stream`](crate::stream) and [`tasks`](crate::tasks).
//!
//! ```
//! # #[cfg(feature = "sim")] {
//! use dustdevil_core::handle::Handle;
//! use dustdevil_core::memory::Memory;
//! use dustdevil_core::reactor::{Capacity, Reactor};
//! use dustdevil_core::sim::{self, Faults, Script, Sim, World};
//! use dustdevil_core::stream::IoStream;
//! use dustdevil_core::tcp::{Tcp, TcpListener, TcpServer};
//! use dustdevil_core::time::Duration;
//! use std::net::SocketAddr;
//!
//! async fn echo(tcp: Tcp<'_>, _: SocketAddr) {
//!     let mut buffer = [0; 64];
//!     let mut stream = IoStream::new(tcp, &mut buffer);
//!     while let Ok(line) = stream.read_until(b"\n", 64).await.map(<[u8]>::len) {
//!         // A protocol would answer here.
//!         assert!(line > 0);
//!     }
//! }
//!
//! const CAPACITY: Capacity = Capacity { sources: 0, timers: 1, groups: 0, tasks: 1, waiters: 0 }
//!     .plus_streams(5)
//!     .plus_tasks(4);
//! static MEMORY: Memory<{ CAPACITY.bytes() }> = Memory::new();
//! static SERVER: Memory<{ TcpServer::bytes(&echo, 4) }> = Memory::new();
//!
//! let world = World::new(1, Faults::NONE);
//! let wakes = sim::wakes(CAPACITY.tasks);
//! let reactor = Reactor::new(Sim::<true>::new(&world), MEMORY.take(), CAPACITY, wakes);
//! let at = "10.0.0.1:7".parse().unwrap();
//! let second = Duration::from_secs(1);
//! for _ in 0..10 {
//!     world.connect(at, second, Script::new("x").send(b"one\n").fin().expect_close(second));
//! }
//!
//! let handle = Handle::from(&reactor);
//! let listener = TcpListener::bind(handle, at, 16).unwrap();
//! let server = TcpServer::new(listener, &mut SERVER.take(), 4, echo);
//! let stop = world.peers_gone();
//! world.after(Duration::from_secs(5), || ());
//! reactor.run(async {
//!     let mut server = server;
//!     assert!(handle.timeout(Duration::from_secs(4), &mut server).await.is_err());
//!     stop.await;
//!     handle.stop();
//!     server.await; // done when the last connection is
//! });
//! # }
//! ```

use core::cell::Cell;
use core::future::Future;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

#[cfg(doc)]
use embedded_io::ErrorKind;

pub use self::client::{Connect, ConnectAny, HEAD_START, TcpClient};
use crate::handle::{Handle, Sleep, Stopping};
use crate::memory::Block;
use crate::poller::{Error, Interest, Token};
use crate::reactor::Close;
use crate::stream::RawStream;
use crate::tasks::Tasks;
use crate::time::Duration;

mod client;

/// Connections accepted in a row before others have their turn: 16.
const ACCEPTS_IN_ROW_MAX: u32 = 16;

/// Accepts in vain after readiness that turned out spurious, before others have their turn: 4.
const ATTEMPTS_PER_POLL_MAX: u32 = 4;

/// How long a server waits after an accept that failed: 50 ms. Nothing tells when a descriptor
/// that somebody else holds comes free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A connection, under the reactor's care. Dropping it closes it: what was written is delivered.
pub struct Tcp<'c> {
    handle: Handle<'c>,
    token: Token,
}

impl<'c> Tcp<'c> {
    /// The connection with this token; from now on this value closes it.
    pub const fn from_token(handle: Handle<'c>, token: Token) -> Self {
        Self { handle, token }
    }

    /// Gives the connection up without closing it, for a layer that works with tokens.
    pub fn into_token(self) -> Token {
        let token = self.token;
        core::mem::forget(self);
        token
    }

    /// Its token.
    pub const fn token(&self) -> Token {
        self.token
    }

    /// The reactor that it lives on.
    pub const fn handle(&self) -> Handle<'c> {
        self.handle
    }

    /// The peer's address, while there is one.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.handle.peer(self.token)
    }

    /// The own address.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.handle.local(self.token)
    }

    /// Makes it a TLS connection from here on, where the transport speaks that. Bytes that an
    /// [`IoStream`](crate::stream::IoStream) has buffered already were read in the clear.
    ///
    /// # Errors
    /// [`Error::UNSUPPORTED`], [`Error::STALE`] after [`close`](RawStream::close), or the
    /// transport's.
    pub fn start_tls(&self) -> Result<(), Error> {
        self.handle.start_tls(self.token)
    }
}

impl RawStream for Tcp<'_> {
    fn try_read(&self, buf: &mut [u8]) -> nb::Result<usize, Error> {
        self.handle.read(self.token, buf)
    }
    fn try_write(&self, data: &[u8]) -> nb::Result<usize, Error> {
        self.handle.write(self.token, data)
    }
    fn try_write_vectored(&self, head: &[u8], rest: &[u8]) -> nb::Result<usize, Error> {
        self.handle.write_vectored(self.token, head, rest)
    }
    fn poll_ready(&self, interest: Interest, cx: &mut Context<'_>) -> Poll<()> {
        self.handle.poll_io(self.token, interest, cx)
    }
    fn set_nodelay(&self, on: bool) -> Result<(), Error> {
        self.handle.set_nodelay(self.token, on)
    }
    fn start_tls(&self) -> Result<(), Error> {
        Tcp::start_tls(self)
    }
    fn shutdown(&self) {
        self.handle.shutdown(self.token);
    }
    fn close(&self) {
        self.handle.remove(self.token, Close::Graceful);
    }
    fn abort(&self) {
        self.handle.remove(self.token, Close::Abort);
    }
}

impl Drop for Tcp<'_> {
    fn drop(&mut self) {
        self.close();
    }
}

/// Where connections arrive. Dropping it stops listening; connections that it gave out go on.
pub struct TcpListener<'c> {
    handle: Handle<'c>,
    token: Token,
    accepted_in_row: Cell<u32>,
}

impl<'c> TcpListener<'c> {
    /// Listens at `at` (port 0: one of the world's choice) with room for `backlog` connections that
    /// nobody accepted yet. What happens beyond that is the world's: Linux lets them try again.
    ///
    /// # Errors
    /// [`ErrorKind::AddrInUse`], [`ErrorKind::AddrNotAvailable`]; [`ErrorKind::OutOfMemory`] when
    /// the reactor's sources or the world's are used up.
    pub fn bind(handle: Handle<'c>, at: SocketAddr, backlog: u16) -> Result<Self, Error> {
        Ok(Self::from_token(handle, handle.listen(at, backlog)?))
    }

    /// The listener with this token; from now on this value closes it.
    pub const fn from_token(handle: Handle<'c>, token: Token) -> Self {
        Self { handle, token, accepted_in_row: Cell::new(0) }
    }

    /// The address that it listens at.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.handle.local(self.token)
    }

    /// The next connection and its peer. One task at a time waits for it.
    ///
    /// Cancel-safe: a dropped call has accepted nothing.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfMemory`] when the reactor's sources or the world's handles are used up:
    /// the connection still waits, so the next call fails as well until something is closed. Pause
    /// before it.
    pub fn accept(&self) -> Accept<'_, 'c> {
        Accept { listener: self }
    }

    /// As [`accept`](Self::accept).
    ///
    /// # Errors
    /// As there.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<(Tcp<'c>, SocketAddr), Error>> {
        let in_row = self.accepted_in_row.replace(0);
        if in_row >= ACCEPTS_IN_ROW_MAX {
            self.handle.add_budget_hit();
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        for _ in 0..ATTEMPTS_PER_POLL_MAX {
            ready!(self.handle.poll_io(self.token, Interest::Read, cx));
            match self.handle.accept(self.token) {
                Ok((token, peer)) => {
                    self.accepted_in_row.set(in_row + 1);
                    return Poll::Ready(Ok((Tcp::from_token(self.handle, token), peer)));
                }
                Err(nb::Error::Other(error)) => return Poll::Ready(Err(error)),
                Err(nb::Error::WouldBlock) => {}
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for TcpListener<'_> {
    fn drop(&mut self) {
        self.handle.remove(self.token, Close::Graceful);
    }
}

/// See [`TcpListener::accept`].
#[must_use = "nothing is accepted unless this is awaited"]
pub struct Accept<'l, 'c> {
    listener: &'l TcpListener<'c>,
}

impl<'c> Future for Accept<'_, 'c> {
    type Output = Result<(Tcp<'c>, SocketAddr), Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.listener.poll_accept(cx)
    }
}

/// A server whose connections are tasks in the caller's memory: Tornado's `TCPServer`, and
/// `handler` its `handle_stream`.
///
/// A future that is done when the reactor was asked to stop ([`Handle::stop`]) or the listener was
/// removed, and then all connections have ended. It stops accepting at once; a handler that could
/// take long waits for [`Handle::stopping`] too, and a [`Handle::timeout`] around the rest bounds
/// it: dropping the server drops all handlers.
///
/// Capacity: the count given to [`new`](Self::new). Full: it accepts nothing until a task ends,
/// and connections wait in the listener's backlog. An accept that fails is tried again after 50 ms.
pub struct TcpServer<'m, 'c, F: Future, H> {
    handle: Handle<'c>,
    /// `None` once it accepts no more.
    listener: Option<TcpListener<'c>>,
    tasks: Tasks<'m, 'c, F>,
    handler: H,
    pause: Option<Sleep<'c>>,
    stopping: Stopping<'c>,
}

impl<'m, 'c, F, H> TcpServer<'m, 'c, F, H>
where
    F: Future,
    H: FnMut(Tcp<'c>, SocketAddr) -> F,
{
    /// How many bytes `connections` tasks of this handler take from a block: a static's length can
    /// be computed for an `async fn`.
    pub const fn bytes(handler: &H, connections: usize) -> usize {
        let _ = handler;
        Tasks::<F>::bytes(connections)
    }

    /// A server of up to `connections` at once, whose tasks are cut from `block`. Of the reactor it
    /// takes a group, `connections` tasks, and a timer while it pauses; see
    /// [`Capacity::plus_tasks`](crate::reactor::Capacity::plus_tasks).
    ///
    /// # Panics
    /// At start-up, as [`Tasks::new`].
    #[track_caller]
    pub fn new(
        listener: TcpListener<'c>,
        block: &mut Block<'m>,
        connections: usize,
        handler: H,
    ) -> Self {
        let handle = listener.handle;
        let tasks = Tasks::new(handle, block, connections);
        let stopping = handle.stopping();
        Self { handle, listener: Some(listener), tasks, handler, pause: None, stopping }
    }

    /// How many connections it serves now.
    pub fn connections(&self) -> usize {
        self.tasks.len()
    }

    /// Accepts while there is room.
    fn accept(&mut self, cx: &mut Context<'_>) {
        while let Some(listener) = &self.listener
            && !self.tasks.is_full()
        {
            if let Some(pause) = &mut self.pause {
                if Pin::new(pause).poll(cx).is_pending() {
                    return;
                }
                self.pause = None;
            }
            match listener.poll_accept(cx) {
                Poll::Pending => return,
                Poll::Ready(Ok((tcp, peer))) => {
                    let spawned = self.tasks.spawn((self.handler)(tcp, peer));
                    debug_assert!(spawned.is_ok(), "there was room, and nobody else spawns");
                }
                Poll::Ready(Err(Error::STALE)) => self.listener = None,
                Poll::Ready(Err(_)) => self.pause = Some(self.handle.sleep(ACCEPT_PAUSE)),
            }
        }
    }
}

/// Nothing in it is ever pinned: the handlers' futures lie in the block.
impl<F: Future, H> Unpin for TcpServer<'_, '_, F, H> {}

impl<'c, F, H> Future for TcpServer<'_, 'c, F, H>
where
    F: Future,
    H: FnMut(Tcp<'c>, SocketAddr) -> F,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        while let Poll::Ready(Some(_)) = this.tasks.poll_next(cx) {}
        if this.listener.is_some() && Pin::new(&mut this.stopping).poll(cx).is_ready() {
            this.listener = None;
        }
        this.accept(cx);
        match this.listener {
            None if this.tasks.is_empty() => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }
}
