//! What the tests share: worlds with a reactor in them, and a transport for waits in real time.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, Thread};

use dustdevil_core::memory::Owned;
use dustdevil_core::poller::{Error, Event, Io, Poller, Token};
use dustdevil_core::reactor::{Capacity, Reactor};
use dustdevil_core::sim::{self, Faults, Sim, World};
use dustdevil_core::time::{Clock, Duration, Instant};
use dustdevil_core::wake::{Unpark, WakeTree};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// One wheel tick, in microseconds.
pub(crate) const TICK_US: u64 = 1_024;

/// A main future, and nothing else.
pub(crate) const BARE: Capacity =
    Capacity { sources: 0, timers: 4, groups: 0, tasks: 1, waiters: 0 };

/// How many seeds a test runs.
pub(crate) const fn seeds(count: u64) -> u64 {
    if cfg!(miri) { 2 } else { count }
}

pub(crate) fn at() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 80))
}

pub(crate) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Memory of this many bytes.
pub(crate) fn memory(bytes: usize) -> Owned<Box<[u64]>> {
    // One word more, for what `Owned` keeps for itself.
    Owned::new(vec![0; bytes.div_ceil(8) + 1].into_boxed_slice())
}

/// Calls `test` in a new world with a reactor, and then checks the reactor's tables.
pub(crate) fn in_world<R>(
    seed: u64,
    faults: Faults,
    capacity: Capacity,
    test: impl FnOnce(&World, &Reactor<'_, Sim>) -> R,
) -> R {
    let world = World::new(seed, faults);
    world.keep_trace();
    let mut tables = memory(capacity.bytes());
    let wakes = sim::wakes(capacity.tasks);
    let reactor = Reactor::new(Sim::new(&world), tables.block(), capacity, wakes);
    let result = test(&world, &reactor);
    reactor.check();
    result
}

/// Ends a thread's wait and counts how often.
pub(crate) struct Parker {
    thread: Mutex<Option<Thread>>,
    count: AtomicU32,
}

impl Parker {
    pub(crate) const fn new() -> Self {
        Self { thread: Mutex::new(None), count: AtomicU32::new(0) }
    }

    pub(crate) fn count(&self) -> u32 {
        self.count.load(Ordering::SeqCst)
    }
}

impl Unpark for Parker {
    fn unpark(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        if let Some(thread) = &*self.thread.lock().unwrap() {
            thread.unpark();
        }
    }
}

/// A world in real time in which there is nothing: only a wake or a deadline ends a wait.
pub(crate) struct Still {
    parker: &'static Parker,
    began: std::time::Instant,
}

impl Still {
    /// Waits on the calling thread.
    pub(crate) fn new(parker: &'static Parker) -> Self {
        *parker.thread.lock().unwrap() = Some(thread::current());
        Self { parker, began: std::time::Instant::now() }
    }
}

impl Clock for Still {
    fn now(&self) -> Instant {
        Instant::from_micros(self.began.elapsed().as_micros() as u64)
    }
}

impl Poller for Still {
    fn register(&mut self, _: Io, _: Token) -> Result<(), Error> {
        Err(Error::UNSUPPORTED)
    }

    fn poll(
        &mut self,
        deadline: Option<Instant>,
        wakes: &WakeTree,
        _: &mut dyn FnMut(Event),
    ) -> Result<(), Error> {
        let span = deadline.map(|at| at - self.now());
        if span != Some(Duration::ZERO) && wakes.park() {
            match span {
                None => thread::park(),
                Some(span) => thread::park_timeout(span_of(span)),
            }
            wakes.unparked();
        }
        Ok(())
    }

    fn unpark(&self) -> Option<&'static dyn Unpark> {
        Some(self.parker)
    }
}

fn span_of(span: Duration) -> std::time::Duration {
    std::time::Duration::from_micros(span.as_micros())
}

/// What a world has that is a clock and nothing else.
macro_rules! no_network {
    ($world:ty) => {
        const _: () = {
            use std::net::SocketAddr;

            use dustdevil_core::poller::{Error, Io};

            impl dustdevil_core::poller::Transport for $world {
                fn listen(&mut self, _: SocketAddr, _: u16) -> Result<Io, Error> {
                    Err(Error::UNSUPPORTED)
                }
                fn accept(&mut self, _: Io) -> nb::Result<(Io, SocketAddr), Error> {
                    Err(nb::Error::Other(Error::UNSUPPORTED))
                }
                fn connect(&mut self, _: SocketAddr, _: Option<SocketAddr>) -> Result<Io, Error> {
                    Err(Error::UNSUPPORTED)
                }
                fn read(&mut self, _: Io, _: &mut [u8]) -> nb::Result<usize, Error> {
                    Err(nb::Error::Other(Error::UNSUPPORTED))
                }
                fn write(&mut self, _: Io, _: &[u8]) -> nb::Result<usize, Error> {
                    Err(nb::Error::Other(Error::UNSUPPORTED))
                }
                fn shutdown(&mut self, _: Io) {}
                fn close(&mut self, _: Io) {}
                fn abort(&mut self, _: Io) {}
                fn peer(&self, _: Io) -> Option<SocketAddr> {
                    None
                }
                fn local(&self, _: Io) -> Option<SocketAddr> {
                    None
                }
            }
        };
    };
}
pub(crate) use no_network;

no_network!(Still);
