//! Descriptors that users bring: what Tornado calls `add_handler`, and tokio `AsyncFd`.
//!
//! A [`Watch`] owns anything with a descriptor (a tty, an inotify or timer descriptor, a socket of
//! a C library) and says when it is ready; reading and writing is the owner's business.
//!
//! | Tornado | here |
//! |---|---|
//! | `add_handler(fd, handler, events)` | [`Watch::new`], then [`handle`](Watch::handle) |
//! | `update_handler(fd, events)` | another `handle`: all edges are registered from the start |
//! | `remove_handler(fd)` | [`into_inner`](Watch::into_inner), or drop it |
//! | `READ`, `WRITE`, `ERROR` | [`Readiness`]: `READ`, `WRITE`, `GONE`; the last is always told |
//!
//! # Level or edge
//! Tornado's handlers are level-triggered: one that leaves input unread is called again. Here the
//! kernel reports edges, each once, and the reactor remembers them as sticky bits until an attempt
//! disproves one. To the user of
//!
//! - [`try_io`](Watch::try_io) and [`io`](Watch::io) this looks level-triggered: the bit stays
//!   while attempts succeed, and goes when one says `WouldBlock`. No system call beside the
//!   attempt's own;
//! - [`handle`](Watch::handle) it is level-triggered: after each call of the handler the kernel is
//!   asked anew ([`recheck`](Watch::recheck), one `epoll_ctl`), which also serves those that read
//!   in ways of their own, a C library say;
//! - [`ready`](Watch::ready) alone, with reads that never come to `WouldBlock` and without
//!   `recheck`: it resolves for ever. That spins.
//!
//! # Invariants
//! - The reactor never reads, writes or closes what is watched, and forgets it before its owner
//!   has it back.
//! - No borrow of the reactor is held while an attempt or a handler runs.
//!
//! Capacity: one source of the reactor's each, and a waiter for each [`Interest`] that is waited
//! for ([`Capacity::plus_streams`]). Full: [`ErrorKind::OutOfMemory`].
//!
//! Layer: stands on [`epoll`](crate::epoll) and the reactor; pipes, unix sockets and signals stand
//! on it.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::os::unix::net::UnixStream;
//!
//! use dustdevil_core::poller::Interest;
//! use dustdevil_core::reactor::{Capacity, Reactor};
//! use dustdevil_core::wake::Wakes;
//! use dustdevil_std::watch::Watch;
//! use dustdevil_std::{Epoll, zeroed};
//!
//! const CAPACITY: Capacity =
//!     Capacity { sources: 0, timers: 1, groups: 0, tasks: 1, waiters: 0 }.plus_streams(1);
//! static WAKES: Wakes<1> = Wakes::new();
//! let mut tables = zeroed(CAPACITY.bytes());
//! let reactor = Reactor::new(Epoll::new()?, tables.block(), CAPACITY, &WAKES);
//!
//! let (mine, mut theirs) = UnixStream::pair().unwrap();
//! mine.set_nonblocking(true).unwrap();
//! let watch = Watch::new(&reactor, mine)?;
//! let answer = reactor.run(async {
//!     assert!(watch.try_io(Interest::Read, |mut socket| socket.read(&mut [0; 8])).is_err());
//!     theirs.write_all(b"hello").unwrap();
//!     let mut buffer = [0; 8];
//!     let read = watch.io(Interest::Read, |mut socket| socket.read(&mut buffer)).await.unwrap();
//!     buffer[..read].to_vec()
//! });
//! assert_eq!(answer, b"hello");
//! let _still_open: UnixStream = watch.into_inner();
//! # Ok::<(), dustdevil_core::poller::Error>(())
//! ```
//!
//! [`Capacity::plus_streams`]: dustdevil_core::reactor::Capacity::plus_streams

use std::future::{Future, poll_fn};
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use dustdevil_core::coroutine::yield_now;
use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::handle::Handle;
use dustdevil_core::nb;
use dustdevil_core::poller::{Error, Interest, Io, Readiness, Token};
use dustdevil_core::reactor::{Close, Group, InsertError, Reactor};
use dustdevil_core::tcp::Tcp;
use rustix::io::Errno;

use crate::epoll::{Epoll, guest};
use crate::socket;

/// A reactor over [`Epoll`], whatever the lifetime of its tables.
trait OnEpoll {
    fn insert(&self, io: Io) -> Result<Token, InsertError>;
    fn epoll(&self, with: &mut dyn FnMut(&mut Epoll));
}

impl OnEpoll for Reactor<'_, Epoll> {
    fn insert(&self, io: Io) -> Result<Token, InsertError> {
        Reactor::insert(self, io, Group::NONE)
    }
    fn epoll(&self, with: &mut dyn FnMut(&mut Epoll)) {
        self.poller(with);
    }
}

/// A [`Handle`] that knows its reactor stands on epoll, for what only Linux has: `Copy`, made from
/// a `&Reactor`, which does wherever `impl Into<Host>` is asked for.
#[derive(Clone, Copy)]
pub struct Host<'c> {
    handle: Handle<'c>,
    reactor: &'c dyn OnEpoll,
}

impl<'c> From<&'c Reactor<'_, Epoll>> for Host<'c> {
    fn from(reactor: &'c Reactor<'_, Epoll>) -> Self {
        Self { handle: Handle::from(reactor), reactor }
    }
}

impl<'c> Host<'c> {
    /// The same for whoever need not know.
    pub const fn handle(self) -> Handle<'c> {
        self.handle
    }

    /// Takes over a connected stream socket that was made elsewhere, of whatever family. Tornado:
    /// `IOStream(socket)`.
    ///
    /// # Errors
    /// As [`Epoll::adopt_stream`]; [`ErrorKind::OutOfMemory`] when the reactor's sources are used
    /// up. Either way the socket is closed.
    pub fn adopt_stream(self, connection: OwnedFd) -> Result<Tcp<'c>, Error> {
        let token = self.adopt(connection, Epoll::adopt_stream)?;
        Ok(Tcp::from_token(self.handle, token))
    }

    /// Takes over a listening stream socket that was made elsewhere, of whatever family: by
    /// [`Bind::sockets`](crate::netutil::Bind::sockets), or by whoever started this process.
    /// Tornado: `add_socket`. The token is for an HTTP server, or for
    /// [`TcpListener::from_token`](dustdevil_core::tcp::TcpListener::from_token).
    ///
    /// # Errors
    /// As [`Epoll::adopt_listener`]; [`ErrorKind::OutOfMemory`] when the reactor's sources are used
    /// up. Either way the socket is closed.
    pub fn adopt_listener(self, listener: OwnedFd) -> Result<Token, Error> {
        self.adopt(listener, Epoll::adopt_listener)
    }

    fn adopt(
        self,
        socket: OwnedFd,
        adopt: fn(&mut Epoll, OwnedFd) -> Result<Io, Error>,
    ) -> Result<Token, Error> {
        let (mut socket, mut adopted) = (Some(socket), Err(Error::STALE));
        self.reactor.epoll(&mut |epoll| {
            adopted = socket.take().map_or(Err(Error::STALE), |socket| adopt(epoll, socket));
        });
        self.insert(adopted?).inspect_err(|_| self.forget(adopted))
    }

    /// Closes what could not be inserted.
    fn forget(self, adopted: Result<Io, Error>) {
        use dustdevil_core::poller::Transport;
        if let Ok(io) = adopted {
            self.reactor.epoll(&mut |epoll| epoll.abort(io));
        }
    }

    fn insert(self, io: Io) -> Result<Token, Error> {
        self.reactor.insert(io).map_err(|refused| match refused {
            InsertError::Full(_) => Error::new(ErrorKind::OutOfMemory),
            InsertError::Register(_, error) => error,
        })
    }
}

/// A descriptor of the user's and its readiness. See the [module](self).
pub struct Watch<'c, T: AsFd> {
    host: Host<'c>,
    token: Token,
    /// Taken by [`into_inner`](Self::into_inner) alone, which ends this.
    inner: Option<T>,
}

impl<'c, T: AsFd> Watch<'c, T> {
    /// Watches `inner`, which should be non-blocking, and keep its descriptor for as long as this
    /// has it. Its first events come with the next turn.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`]: epoll cannot watch such a thing (a regular file, a directory,
    /// `/dev/null`): it never blocks, or only the disk does, so read it in an
    /// [executor](crate::executor). [`ErrorKind::AlreadyExists`]: this reactor watches that number
    /// already. [`ErrorKind::OutOfMemory`]: the reactor's sources, or the user's epoll watches, are
    /// used up. `inner` is dropped.
    pub fn new(host: impl Into<Host<'c>>, inner: T) -> Result<Self, Error> {
        let host = host.into();
        let token = host.insert(guest::io(inner.as_fd()))?;
        let mut watched = Ok(());
        host.reactor.epoll(&mut |epoll| watched = epoll.watch(inner.as_fd(), token));
        match watched {
            Ok(()) => Ok(Self { host, token, inner: Some(inner) }),
            Err(error) => {
                host.handle.remove(token, Close::Abort);
                Err(error)
            }
        }
    }

    /// What is watched.
    ///
    /// # Panics
    /// Never: it is there until [`into_inner`](Self::into_inner).
    pub fn inner(&self) -> &T {
        self.inner.as_ref().expect("there until into_inner")
    }

    /// Stops watching and gives the descriptor back, still open. Tornado: `remove_handler`.
    ///
    /// # Panics
    /// Never.
    pub fn into_inner(mut self) -> T {
        self.forget();
        self.inner.take().expect("there until now")
    }

    /// The reactor that it lives on.
    pub const fn host(&self) -> Host<'c> {
        self.host
    }

    /// The bits that the reactor remembers: hints, until an attempt disproves them.
    pub fn readiness(&self) -> Readiness {
        self.host.handle.readiness(self.token)
    }

    /// Resolves when an attempt may make progress; it may turn out that it does not. One waits for
    /// each interest: a second one replaces the first, which is then not woken.
    ///
    /// Cancel-safe: it changes nothing, dropped or not.
    pub fn ready(&self, interest: Interest) -> Ready<'c> {
        Ready { handle: self.host.handle, token: self.token, interest }
    }

    /// As [`ready`](Self::ready), for a future that is written by hand.
    pub fn poll_ready(&self, interest: Interest, cx: &mut Context<'_>) -> Poll<()> {
        self.host.handle.poll_io(self.token, interest, cx)
    }

    /// Makes an attempt. One that says `WouldBlock` clears the bits that `interest` waits for, so
    /// that the next [`ready`](Self::ready) waits for the kernel; one that was interrupted by a
    /// signal is made again.
    ///
    /// # Errors
    /// The attempt's own.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        mut attempt: impl FnMut(&T) -> io::Result<R>,
    ) -> nb::Result<R, Error> {
        loop {
            return match attempt(self.inner()) {
                Ok(made) => Ok(made),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Ends as well: a FIFO has another writer, a socket's error was told once.
                    self.host.handle.disprove(self.token, interest.readiness());
                    Err(nb::Error::WouldBlock)
                }
                Err(error) => Err(nb::Error::Other(portable(&error))),
            };
        }
    }

    /// Makes attempts, and waits between them, until one says anything but `WouldBlock`.
    ///
    /// Cancel-safe: an attempt is made within one poll, and one that succeeded ends it.
    ///
    /// # Errors
    /// The attempt's own.
    pub async fn io<R>(
        &self,
        interest: Interest,
        mut attempt: impl FnMut(&T) -> io::Result<R>,
    ) -> Result<R, Error> {
        loop {
            match self.try_io(interest, &mut attempt) {
                Ok(made) => return Ok(made),
                Err(nb::Error::Other(error)) => return Err(error),
                Err(nb::Error::WouldBlock) => self.ready(interest).await,
            }
        }
    }

    /// Asks the kernel anew: the bits are cleared, and what is ready now is reported with the next
    /// turn. One system call. This makes a level of an edge, for reads and writes that do not go
    /// through [`try_io`](Self::try_io). Whether the kernel could be asked: not about a descriptor
    /// that somebody has closed.
    pub fn recheck(&self) -> bool {
        let mut asked = false;
        self.host.reactor.epoll(&mut |epoll| {
            asked = epoll.watch_again(self.inner().as_fd(), self.token);
        });
        // A kernel that was not asked reports nothing: then the bits stay, so that nobody waits.
        if asked {
            self.host.handle.disprove(self.token, Readiness::ALL);
        }
        asked
    }

    /// Calls `handler` with what is ready whenever any of `events` is, or an error
    /// ([`Readiness::GONE`]), until it breaks. Level-triggered: it is called again, at most once a
    /// turn, for as long as something is ready. Tornado: `add_handler`, whose `fd` is the handler's
    /// first argument.
    ///
    /// Cancel-safe: it holds nothing between two calls.
    pub async fn handle<R>(
        &self,
        events: Readiness,
        mut handler: impl FnMut(&T, Readiness) -> ControlFlow<R>,
    ) -> R {
        loop {
            let ready = poll_fn(|cx| self.poll_any(events, cx)).await;
            if let ControlFlow::Break(result) = handler(self.inner(), ready) {
                return result;
            }
            if !self.recheck() {
                // The bits stay, and others have their turn first.
                yield_now().await;
            }
        }
    }

    /// Waits for any of `events`, and answers with those that are true and the ends.
    fn poll_any(&self, events: Readiness, cx: &mut Context<'_>) -> Poll<Readiness> {
        let mut some_ready = false;
        for interest in [Interest::Read, Interest::Write, Interest::Gone] {
            // `Gone` waits for nothing else, so it is waited for whatever was asked.
            let asked = events.without(Readiness::GONE).intersects(interest.readiness());
            if interest == Interest::Gone || asked {
                some_ready |= self.poll_ready(interest, cx).is_ready();
            }
        }
        if !some_ready {
            return Poll::Pending;
        }
        let mut told = events | Readiness::GONE;
        if events.intersects(Readiness::READ) {
            told |= Readiness::CLOSED;
        }
        Poll::Ready(Readiness::from_bits(self.readiness().bits() & told.bits()))
    }

    /// Ends the watch; nothing of it is left in the kernel, though others may have the descriptor.
    fn forget(&self) {
        if let Some(inner) = &self.inner {
            self.host.reactor.epoll(&mut |epoll| epoll.watch_no_more(inner.as_fd()));
            self.host.handle.remove(self.token, Close::Abort);
        }
    }
}

impl<T: AsFd> Drop for Watch<'_, T> {
    fn drop(&mut self) {
        self.forget();
    }
}

/// See [`Watch::ready`].
#[must_use = "waiting does nothing unless it is awaited"]
pub struct Ready<'c> {
    handle: Handle<'c>,
    token: Token,
    interest: Interest,
}

impl Future for Ready<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.handle.poll_io(self.token, self.interest, cx)
    }
}

/// What an error of std means to those who do not know Linux.
pub(crate) fn portable(error: &io::Error) -> Error {
    match Errno::from_io_error(error) {
        Some(errno) => socket::error(errno),
        // Made by std, not by the kernel.
        None => Error::new(match error.kind() {
            io::ErrorKind::InvalidInput => ErrorKind::InvalidInput,
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => ErrorKind::InvalidData,
            io::ErrorKind::WriteZero => ErrorKind::WriteZero,
            io::ErrorKind::Unsupported => ErrorKind::Unsupported,
            _ => ErrorKind::Other,
        }),
    }
}
