//! Opening connections. Tornado: `tornado.tcpclient`; names are resolved elsewhere.
//!
//! Invariants:
//! - A connection that is being made has an owner at every moment: dropping any future here closes
//!   what it began.
//! - What opens connections is reached through a trait of its own, made for the poller where a
//!   [`TcpClient`] is: firmware that opens none links nothing of it.
//!
//! Capacity: a source and a waiter for each connection that is being made; [`ConnectAny`] makes two
//! at once at the most and takes a timer. Full: [`ErrorKind::OutOfMemory`].
//!
//! Place: part of [`tcp`](super).
//!
//! ```
//! # #[cfg(feature = "sim")] {
//! use dustdevil_core::memory::Memory;
//! use dustdevil_core::reactor::{Capacity, Reactor};
//! use dustdevil_core::sim::{self, Faults, Script, Sim, World};
//! use dustdevil_core::stream::IoStream;
//! use dustdevil_core::tcp::TcpClient;
//! use dustdevil_core::time::Duration;
//!
//! const CAPACITY: Capacity =
//!     Capacity { sources: 0, timers: 1, groups: 0, tasks: 1, waiters: 0 }.plus_streams(2);
//! static MEMORY: Memory<{ CAPACITY.bytes() }> = Memory::new();
//!
//! let world = World::new(1, Faults::NONE);
//! let reactor = Reactor::new(Sim::<true>::new(&world), MEMORY.take(), CAPACITY, sim::wakes(1));
//! let there = "10.0.0.9:7".parse().unwrap();
//! let second = Duration::from_secs(1);
//! world.listen_peer(there, move || Script::new("greeter").send(b"hello\n").expect_close(second));
//!
//! let client = TcpClient::new(&reactor);
//! reactor.run(async {
//!     // One address, with a deadline from outside.
//!     let tcp = client.handle().timeout(second, client.connect(there)).await.unwrap().unwrap();
//!     let mut buffer = [0; 64];
//!     let mut stream = IoStream::new(tcp, &mut buffer);
//!     assert_eq!(stream.read_until(b"\n", 64).await, Ok(&b"hello\n"[..]));
//!
//!     // Whichever of several answers first.
//!     let nobody = "[fd00::9]:7".parse().unwrap();
//!     let tcp = client.connect_any(&[nobody, there], second).await.unwrap();
//!     assert_eq!(tcp.peer_addr(), Some(there));
//! });
//! # }
//! ```

use core::future::Future;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use embedded_io::ErrorKind;

use super::Tcp;
use crate::handle::{Handle, Sleep};
use crate::poller::{Error, Interest, Readiness, Token, Transport};
use crate::reactor::Reactor;
use crate::stream::RawStream;
use crate::time::{Duration, Instant};

/// How long the addresses of the first family are tried alone: 300 ms. Tornado:
/// `_INITIAL_CONNECT_TIMEOUT`.
pub const HEAD_START: Duration = Duration::from_millis(300);

/// A reactor that opens connections, whatever its poller. Implemented by [`Reactor`] alone.
trait Opener {
    fn handle(&self) -> Handle<'_>;
    fn open(&self, to: SocketAddr, from: Option<SocketAddr>) -> Result<Token, Error>;
}

impl<P: Transport> Opener for Reactor<'_, P> {
    fn handle(&self) -> Handle<'_> {
        self.into()
    }
    fn open(&self, to: SocketAddr, from: Option<SocketAddr>) -> Result<Token, Error> {
        self.connect(to, from)
    }
}

/// Opens connections: `Copy`, two words. Tornado: `TCPClient`.
#[derive(Clone, Copy)]
pub struct TcpClient<'c> {
    opener: &'c dyn Opener,
}

impl<'c> TcpClient<'c> {
    /// A client whose connections live on `reactor`.
    pub fn new<P: Transport>(reactor: &'c Reactor<'_, P>) -> Self {
        Self { opener: reactor }
    }

    /// The reactor.
    pub fn handle(self) -> Handle<'c> {
        self.opener.handle()
    }

    /// Connects to `to`. It has no deadline but the world's (minutes, on Linux): use
    /// [`Handle::timeout`].
    ///
    /// Cancel-safe: dropping it closes the connection that was being made.
    ///
    /// # Errors
    /// [`ErrorKind::ConnectionRefused`], [`ErrorKind::TimedOut`], [`ErrorKind::ConnectionReset`]
    /// and what else the world says; [`ErrorKind::OutOfMemory`] when the reactor's sources or the
    /// world's handles are used up.
    pub const fn connect(self, to: SocketAddr) -> Connect<'c> {
        Connect { client: self, to, from: None, tcp: None }
    }

    /// As [`connect`](Self::connect), from `source`: of it an unspecified address or a port 0 is
    /// the world's to choose. Tornado: `source_ip` and `source_port`.
    ///
    /// Cancel-safe: dropping it closes the connection that was being made.
    ///
    /// # Errors
    /// As there; [`ErrorKind::AddrNotAvailable`] when this is no address of the own, or of another
    /// family than `to`; [`ErrorKind::AddrInUse`].
    pub const fn connect_from(self, source: SocketAddr, to: SocketAddr) -> Connect<'c> {
        Connect { client: self, to, from: Some(source), tcp: None }
    }

    /// Connects to whichever of the addresses `to` answers first, as RFC 8305 (happy eyeballs) and
    /// Tornado do it: the addresses of the first one's family are tried one after another, and
    /// [`HEAD_START`] later, or as soon as one of them has failed, those of the other family beside
    /// them. The others are closed. All of it may take `within`, which a [`Handle::timeout`] around
    /// it can do as well; [`Duration::MAX`] is no bound. Tornado: `timeout`.
    ///
    /// Cancel-safe: dropping it closes the connections that were being made.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] when none was established `within` that time of the first poll,
    /// connections that were being made are closed then; what the last one that failed said once
    /// all have, and [`ErrorKind::AddrNotAvailable`] when there are none.
    pub fn connect_any(self, to: &[SocketAddr], within: Duration) -> ConnectAny<'_, 'c> {
        ConnectAny {
            client: self,
            to,
            within,
            ends: Instant::MAX,
            second_at: Instant::MAX,
            phase: Phase::New,
            lanes: [const { Lane { next: 0, tcp: None } }; 2],
            sleep: self.handle().sleep_until(Instant::MAX),
            last: Error::new(ErrorKind::AddrNotAvailable),
        }
    }

    fn open(self, to: SocketAddr, from: Option<SocketAddr>) -> Result<Tcp<'c>, Error> {
        self.opener.open(to, from).map(|token| Tcp::from_token(self.handle(), token))
    }
}

/// Whether a connection that is being made is established, or why it is not.
fn poll_established(tcp: &Tcp<'_>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
    ready!(tcp.poll_ready(Interest::Write, cx));
    if !tcp.handle.readiness(tcp.token).intersects(Readiness::GONE) {
        return Poll::Ready(Ok(()));
    }
    // Dead: a read tells why.
    Poll::Ready(Err(match tcp.try_read(&mut [0]) {
        Err(nb::Error::Other(error)) => error,
        Ok(_) | Err(nb::Error::WouldBlock) => Error::new(ErrorKind::ConnectionReset),
    }))
}

/// See [`TcpClient::connect`].
#[must_use = "nothing is connected unless this is awaited"]
pub struct Connect<'c> {
    client: TcpClient<'c>,
    to: SocketAddr,
    from: Option<SocketAddr>,
    /// The connection that is being made.
    tcp: Option<Tcp<'c>>,
}

impl<'c> Future for Connect<'c> {
    type Output = Result<Tcp<'c>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let tcp = match self.tcp.take() {
            Some(tcp) => tcp,
            None => self.client.open(self.to, self.from)?,
        };
        let established = poll_established(&tcp, cx);
        if established.is_pending() {
            self.tcp = Some(tcp);
            return Poll::Pending;
        }
        established.map_ok(|()| tcp)
    }
}

/// How far the addresses of one family have been tried.
struct Lane<'c> {
    /// The place in the list from which on there may be another of this family.
    next: usize,
    /// The connection that is being made.
    tcp: Option<Tcp<'c>>,
}

/// Who has begun.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    New,
    First,
    Both,
}

/// See [`TcpClient::connect_any`].
#[must_use = "nothing is connected unless this is awaited"]
pub struct ConnectAny<'a, 'c> {
    client: TcpClient<'c>,
    to: &'a [SocketAddr],
    within: Duration,
    /// When it is over.
    ends: Instant,
    /// When the other family begins, unless it has.
    second_at: Instant,
    phase: Phase,
    /// The family of the first address, and the other.
    lanes: [Lane<'c>; 2],
    sleep: Sleep<'c>,
    /// Why the last one failed that did.
    last: Error,
}

impl<'c> ConnectAny<'_, 'c> {
    /// Begins with the next address of lane `lane` that does not fail at once. As soon as one has
    /// failed, the other family waits no longer.
    fn try_next(&mut self, lane: usize) {
        let Some(first) = self.to.first() else { return };
        let is_of_lane = |to: &SocketAddr| (to.is_ipv4() == first.is_ipv4()) == (lane == 0);
        let mut has_failed = false;
        while let Some(to) = self.to.get(self.lanes[lane].next) {
            self.lanes[lane].next += 1;
            if !is_of_lane(to) {
                continue;
            }
            match self.client.open(*to, None) {
                Ok(tcp) => {
                    self.lanes[lane].tcp = Some(tcp);
                    break;
                }
                Err(error) => (self.last, has_failed) = (error, true),
            }
        }
        if has_failed {
            self.begin_second();
        }
    }

    fn begin_second(&mut self) {
        if self.phase != Phase::Both {
            self.phase = Phase::Both;
            self.try_next(1);
        }
    }

    /// Looks at the connection of lane `lane`, and those that follow it when it failed.
    fn poll_lane(&mut self, lane: usize, cx: &mut Context<'_>) -> Option<Tcp<'c>> {
        while let Some(tcp) = self.lanes[lane].tcp.take() {
            match poll_established(&tcp, cx) {
                Poll::Ready(Ok(())) => return Some(tcp),
                Poll::Ready(Err(error)) => {
                    self.last = error;
                    // Its place is for the next one.
                    drop(tcp);
                    self.try_next(lane);
                    self.begin_second();
                }
                Poll::Pending => {
                    self.lanes[lane].tcp = Some(tcp);
                    break;
                }
            }
        }
        None
    }

    /// Gives up what is being made.
    fn close(&mut self) {
        for lane in &mut self.lanes {
            lane.tcp = None;
        }
    }
}

impl<'c> Future for ConnectAny<'_, 'c> {
    type Output = Result<Tcp<'c>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let now = this.client.handle().now();
        if this.phase == Phase::New {
            this.phase = Phase::First;
            (this.ends, this.second_at) = (now + this.within, now + HEAD_START);
            this.try_next(0);
            if this.to.is_empty() {
                this.begin_second();
            }
        }
        if now >= this.second_at {
            this.begin_second();
        }
        // The first lane comes first: its failure is what may begin the second.
        for lane in [0, 1] {
            if let Some(tcp) = this.poll_lane(lane, cx) {
                this.close();
                return Poll::Ready(Ok(tcp));
            }
        }
        if this.phase == Phase::Both && this.lanes.iter().all(|lane| lane.tcp.is_none()) {
            return Poll::Ready(Err(this.last));
        }
        if now >= this.ends && this.ends != Instant::MAX {
            this.close();
            return Poll::Ready(Err(Error::new(ErrorKind::TimedOut)));
        }
        let next = match this.phase {
            Phase::Both => this.ends,
            Phase::New | Phase::First => this.ends.min(this.second_at),
        };
        if this.sleep.deadline() != next {
            this.sleep.reset(next);
        }
        // It lies ahead, so this only arms it.
        ready!(Pin::new(&mut this.sleep).poll(cx));
        Poll::Pending
    }
}
