//! A poller with a peer on the other side, and its events as short text.

use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use dustdevil_core::nb;
use dustdevil_core::poller::{Error, Event, Io, Poller, Token, Transport};
use dustdevil_core::reactor::Capacity;
use dustdevil_core::time::{self, Clock, Instant};
use dustdevil_core::wake::{WakeTree, Wakes};
use dustdevil_std::Epoll;

pub(crate) const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// A small reactor.
pub(crate) const CAPACITY: Capacity =
    Capacity { sources: 4, timers: 4, groups: 1, tasks: 4, waiters: 4 };

/// Longer than anything here takes, short enough for a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// The listener's token index; connections count up from it.
pub(crate) const LISTENER: u64 = 1;

pub(crate) struct World {
    pub(crate) epoll: Epoll,
    pub(crate) wakes: &'static WakeTree,
    pub(crate) listener: Io,
    pub(crate) at: SocketAddr,
    next: u64,
}

impl World {
    /// A poller that listens; the listener is registered as token 1.
    pub(crate) fn new() -> Self {
        Self::over(Epoll::new().unwrap())
    }

    pub(crate) fn over(mut epoll: Epoll) -> Self {
        let wakes: &'static WakeTree = Box::leak(Box::new(Wakes::<8>::new()));
        let listener = epoll.listen(LOOPBACK, 64).unwrap();
        epoll.register(listener, Token::from_u64(LISTENER)).unwrap();
        let at = epoll.local(listener).unwrap();
        Self { epoll, wakes, listener, at, next: LISTENER }
    }

    /// A connection that was accepted, registered and reported, and its peer: token 2, 3, ..
    pub(crate) fn pair(&mut self) -> (Io, TcpStream) {
        let peer = TcpStream::connect(self.at).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        peer.set_nodelay(true).unwrap();
        let (io, address) = self.accept();
        assert_eq!(address, peer.local_addr().unwrap());
        self.next += 1;
        self.epoll.register(io, Token::from_u64(self.next)).unwrap();
        let own = self.next;
        self.wait_for(|(token, _)| *token == own);
        (io, peer)
    }

    /// What the kernel answers, were the poller's own word `WouldBlock`.
    pub(crate) fn accept_now(&mut self) -> nb::Result<(Io, SocketAddr), Error> {
        match self.epoll.accept(self.listener) {
            Err(nb::Error::WouldBlock) => self.epoll.accept(self.listener),
            accepted => accepted,
        }
    }

    /// The next connection, which is on its way: a busy kernel may take a moment.
    pub(crate) fn accept(&mut self) -> (Io, SocketAddr) {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            match self.epoll.accept(self.listener) {
                Err(nb::Error::WouldBlock) if std::time::Instant::now() < deadline => {
                    thread::yield_now();
                }
                accepted => return accepted.unwrap(),
            }
        }
    }

    /// The events that wait, else the first ones to come within a while: none, if none did.
    pub(crate) fn poll(&mut self) -> Vec<(u64, String)> {
        let until = self.epoll.now() + time::Duration::from_millis(500);
        self.poll_until(Some(until))
    }

    /// Polls until there is such an event, which has to come.
    pub(crate) fn wait_for(&mut self, wanted: impl Fn(&(u64, String)) -> bool) {
        let deadline = std::time::Instant::now() + PATIENCE;
        while !self.poll().iter().any(&wanted) {
            assert!(std::time::Instant::now() < deadline, "the event did not come");
        }
    }

    /// The events that wait.
    pub(crate) fn poll_now(&mut self) -> Vec<(u64, String)> {
        self.poll_until(Some(Instant::ZERO))
    }

    /// Waits without a deadline for what is no event. A wait that should have ended and did not
    /// is ended by a connection, whose event the caller does not expect.
    pub(crate) fn poll_for_ever(&mut self) -> Vec<(u64, String)> {
        let (in_time, came) = mpsc::channel::<()>();
        let at = self.at;
        let watchdog = thread::spawn(move || {
            let late = came.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout);
            late.then(|| TcpStream::connect(at))
        });
        let events = self.poll_until(None);
        drop(in_time);
        watchdog.join().unwrap();
        events
    }

    pub(crate) fn poll_until(&mut self, until: Option<Instant>) -> Vec<(u64, String)> {
        let mut events = Vec::new();
        let mut on_event = |event: Event| {
            events.push((event.token.as_u64(), format!("{:?}", event.ready)));
        };
        self.epoll.poll(until, self.wakes, &mut on_event).unwrap();
        events
    }

    /// Reads once, with a buffer of `room` bytes.
    pub(crate) fn read(&mut self, io: Io, room: usize) -> nb::Result<Vec<u8>, Error> {
        let mut buffer = vec![0; room];
        let length = self.epoll.read(io, &mut buffer)?;
        buffer.truncate(length);
        Ok(buffer)
    }
}

/// Makes `peer` answer with RST when it is dropped.
pub(crate) fn reset(peer: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&peer, Some(Duration::ZERO)).unwrap();
}

/// One event in short.
pub(crate) fn event(token: u64, ready: &str) -> (u64, String) {
    (token, ready.to_owned())
}

/// A folder of the test's own, removed when it is dropped.
pub(crate) struct TempDir(std::path::PathBuf);

impl TempDir {
    pub(crate) fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("dustdevil-{name}-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
