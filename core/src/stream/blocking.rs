//! [`Blocking`]: an asynchronous stream for code that knows none, such as a parser over
//! `embedded_io::Read`.
//!
//! Invariants: while a call waits, the reactor turns: its timers fire and its events are kept.
//!
//! Layer: stands on the reactor and on `embedded_io_async`; part of [`stream`](super).

use embedded_io::{BufRead, ErrorType, Read, ReadReady, Write, WriteReady};

use crate::poller::Transport;
use crate::reactor::Reactor;

/// `T`, an [`IoStream`](super::IoStream) or anything else of `embedded_io_async`, as
/// `embedded_io`: each call turns the reactor until it is done.
///
/// For start-up, tools and tests: tasks do not run meanwhile. It is used where nothing else runs on
/// this reactor, never from within one of its futures, whose wakes it would take. A call has no
/// deadline; one that needs it is made by [`Reactor::run_sync`] on [`inner`](Self::inner).
///
/// ```
/// # #[cfg(feature = "sim")] {
/// # use dustdevil_core::handle::Handle;
/// # use dustdevil_core::memory::Memory;
/// # use dustdevil_core::reactor::{Capacity, Reactor};
/// # use dustdevil_core::sim::{self, Faults, Script, Sim, World};
/// # use dustdevil_core::stream::IoStream;
/// # use dustdevil_core::tcp::TcpListener;
/// # use dustdevil_core::time::Duration;
/// use dustdevil_core::embedded_io::{Read, Write};
/// use dustdevil_core::stream::Blocking;
///
/// # const CAPACITY: Capacity =
/// #     Capacity { sources: 0, timers: 1, groups: 0, tasks: 1, waiters: 0 }.plus_streams(2);
/// # static MEMORY: Memory<{ CAPACITY.bytes() }> = Memory::new();
/// # let world = World::new(1, Faults::NONE);
/// # let reactor = Reactor::new(Sim::<true>::new(&world), MEMORY.take(), CAPACITY, sim::wakes(1));
/// # let at = "10.0.0.1:7".parse().unwrap();
/// # let second = Duration::from_secs(1);
/// # let peer = Script::new("x").expect_contains(b"ping", second).send(b"pong");
/// # world.connect(at, second, peer);
/// # let listener = TcpListener::bind(Handle::from(&reactor), at, 4).unwrap();
/// # let (tcp, _) = reactor.run(listener.accept()).unwrap();
/// fn ping(io: &mut (impl Read + Write)) -> [u8; 4] {
///     io.write_all(b"ping").unwrap();
///     let mut answer = [0; 4];
///     io.read_exact(&mut answer).unwrap();
///     answer
/// }
///
/// # let mut buffer = [0; 16];
/// let stream = IoStream::new(tcp, &mut buffer);
/// assert_eq!(&ping(&mut Blocking::new(&reactor, stream)), b"pong");
/// # }
/// ```
pub struct Blocking<'r, 'm, P: Transport, T> {
    reactor: &'r Reactor<'m, P>,
    inner: T,
}

impl<'r, 'm, P: Transport, T> Blocking<'r, 'm, P, T> {
    /// `inner`, by turns of `reactor`.
    pub const fn new(reactor: &'r Reactor<'m, P>, inner: T) -> Self {
        Self { reactor, inner }
    }

    /// What it stands on.
    pub const fn inner(&mut self) -> &mut T {
        &mut self.inner
    }

    /// The stream itself again.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<P: Transport, T: ErrorType> ErrorType for Blocking<'_, '_, P, T> {
    type Error = T::Error;
}

impl<P: Transport, T: embedded_io_async::Read> Read for Blocking<'_, '_, P, T> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, T::Error> {
        self.reactor.run(self.inner.read(buf))
    }
}

impl<P: Transport, T: embedded_io_async::BufRead> BufRead for Blocking<'_, '_, P, T> {
    fn fill_buf(&mut self) -> Result<&[u8], T::Error> {
        self.reactor.run(self.inner.fill_buf())
    }

    fn consume(&mut self, amt: usize) {
        self.inner.consume(amt);
    }
}

impl<P: Transport, T: embedded_io_async::Write> Write for Blocking<'_, '_, P, T> {
    fn write(&mut self, buf: &[u8]) -> Result<usize, T::Error> {
        self.reactor.run(self.inner.write(buf))
    }

    fn flush(&mut self) -> Result<(), T::Error> {
        self.reactor.run(self.inner.flush())
    }
}

impl<P: Transport, T: ReadReady> ReadReady for Blocking<'_, '_, P, T> {
    fn read_ready(&mut self) -> Result<bool, T::Error> {
        self.inner.read_ready()
    }
}

impl<P: Transport, T: WriteReady> WriteReady for Blocking<'_, '_, P, T> {
    fn write_ready(&mut self) -> Result<bool, T::Error> {
        self.inner.write_ready()
    }
}
