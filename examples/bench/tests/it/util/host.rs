//! A server on a thread of this process, whose limits and counters a test can reach.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dustdevil_core::metrics::Metrics;
use dustdevil_core::reactor::Reactor;
use dustdevil_core::wake::Wakes;
use dustdevil_http::server::{Stats, StatsSnapshot};
use dustdevil_http::{Application, Capacity, Limits, Server};
use dustdevil_std::{Epoll, zeroed};

use super::{PATIENCE, until};

/// A server that runs until this is dropped or stopped.
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    control: Arc<Control>,
    thread: Option<JoinHandle<Report>>,
}

/// What a server's thread knows at its end.
#[derive(Debug)]
pub(crate) struct Report {
    /// Allocations from the first turn to the last.
    pub(crate) allocations: u64,
    pub(crate) stats: StatsSnapshot,
}

/// How the test's thread reaches the server's: nothing here allocates.
#[derive(Default)]
struct Control {
    state: Mutex<Wishes>,
    answered: Condvar,
}

#[derive(Default)]
struct Wishes {
    waker: Option<Waker>,
    stop: bool,
    asked: bool,
    stats: StatsSnapshot,
    bytes_out: u64,
}

impl Control {
    /// The server's stop future: polled in each turn, it answers on the way.
    fn poll(&self, stats: &Stats, metrics: &Metrics, cx: &Context<'_>) -> Poll<()> {
        let mut wishes = self.state.lock().unwrap();
        if wishes.asked {
            wishes.asked = false;
            wishes.stats = stats.snapshot();
            wishes.bytes_out = metrics.snapshot().bytes_out;
            self.answered.notify_all();
        }
        match &mut wishes.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        if wishes.stop { Poll::Ready(()) } else { Poll::Pending }
    }

    fn wish(&self, what: impl FnOnce(&mut Wishes)) {
        let mut wishes = self.state.lock().unwrap();
        what(&mut wishes);
        if let Some(waker) = &wishes.waker {
            waker.wake_by_ref();
        }
    }
}

impl Host {
    /// Serves `app` at a free port.
    pub(crate) fn start<A>(app: A, capacity: Capacity, limits: Limits) -> Self
    where
        A: Application + Send + 'static,
    {
        let control = Arc::new(Control::default());
        let (sender, address) = mpsc::channel();
        let own = control.clone();
        let thread = std::thread::spawn(move || {
            let reactor_capacity = capacity.reactor();
            let mut tables = zeroed(reactor_capacity.bytes());
            let mut memory = zeroed(capacity.bytes::<A>());
            // Wakers may outlive the reactor.
            let wakes = Box::leak(Box::new(Wakes::<1024>::new()));
            let epoll = Epoll::new().unwrap();
            let reactor = Reactor::new(epoll, tables.block(), reactor_capacity, wakes);
            let listener = reactor.listen(([127, 0, 0, 1], 0).into(), 1024).unwrap();
            sender.send(reactor.local(listener).unwrap()).unwrap();
            let server = Server::new(&app, memory.block(), capacity, limits);
            let stats = server.stats();
            let stop = poll_fn(|cx| own.poll(stats, reactor.metrics(), cx));
            let counted = allocation_counter::measure(|| {
                reactor.run(server.serve_until(&reactor, listener, stop));
            });
            Report { allocations: counted.count_total, stats: stats.snapshot() }
        });
        let address = address.recv_timeout(PATIENCE).expect("a server that starts");
        Self { address, control, thread: Some(thread) }
    }

    /// The server's counters now.
    pub(crate) fn stats(&self) -> StatsSnapshot {
        self.counters().0
    }

    /// Waits until the server has had nothing to write for a while.
    pub(crate) fn falls_silent(&self) {
        let mut written = self.counters().1;
        until("the server falls silent", || {
            std::thread::sleep(Duration::from_millis(100));
            let before = std::mem::replace(&mut written, self.counters().1);
            (before == written).then_some(())
        });
    }

    fn counters(&self) -> (StatsSnapshot, u64) {
        self.control.wish(|wishes| wishes.asked = true);
        let state = self.control.state.lock().unwrap();
        let wait = self.control.answered.wait_timeout_while(state, PATIENCE, |it| it.asked);
        let (wishes, late) = wait.unwrap();
        assert!(!late.timed_out(), "the server does not answer for its counters");
        (wishes.stats, wishes.bytes_out)
    }

    /// Waits until the counters fulfil `wanted`.
    pub(crate) fn settles(&self, what: &str, wanted: impl Fn(&StatsSnapshot) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stats = self.stats();
            if wanted(&stats) {
                return;
            }
            assert!(Instant::now() < deadline, "{what}: {stats:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until nothing is left of any connection.
    pub(crate) fn empties(&self) {
        self.settles("all connections are gone", |stats| stats.open == 0 && stats.in_work == 0);
    }

    /// Asks it to stop.
    pub(crate) fn ask_to_stop(&self) {
        self.control.wish(|wishes| wishes.stop = true);
    }

    /// Stops it, waits until it has drained, and says what it knows.
    pub(crate) fn stop(mut self) -> Report {
        self.ask_to_stop();
        let thread = self.thread.take().unwrap();
        until("the server drains", || thread.is_finished().then_some(()));
        thread.join().expect("a server that did not panic")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Of a test that failed: the thread ends by itself, or with the process.
        self.ask_to_stop();
    }
}
