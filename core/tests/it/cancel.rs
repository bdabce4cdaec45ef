//! Every asynchronous operation is dropped at every await point, and then used again to its end.
//!
//! A [`Case`] runs one operation under a [`Cut`]: polled so many times and dropped, either there
//! and then or once it was woken and before it saw why. Whatever was cut, the case goes on and ends
//! as if nothing had been: no byte, datagram, item, permit or message is lost or there twice. Each
//! is run with one poll more until its operation is done before the cut, in worlds that deliver in
//! pieces. Then nothing may be left: the reactor's tables agree, no source is open, and no timer of
//! the hour that each cut operation was given goes off.

mod locks;
mod loops;
mod net;
mod streams;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use dustdevil_core::handle::Handle;
use dustdevil_core::reactor::{Capacity, Reactor};
use dustdevil_core::sim::{Faults, Sim, World};
use dustdevil_core::tcp::TcpClient;
use dustdevil_core::time::Duration;

use crate::util::{BARE, in_world};

/// Polls before the cut: no operation here needs more.
const POLLS_MAX: u32 = 200;

/// Longer than any case takes: a timer of this span that is left behind is noticed at the end.
const HOUR: Duration = Duration::from_secs(3_600);

const CAPACITY: Capacity =
    Capacity { timers: 16, waiters: 4, ..BARE }.plus_streams(6).plus_tasks(4);

/// Where an operation is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// After so many polls; 0: it is never polled.
    polls: u32,
    /// Once it was woken after the last of them, rather than there and then.
    when_woken: bool,
}

#[derive(Default)]
struct Woken {
    is_woken: AtomicBool,
    outer: Mutex<Option<Waker>>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::SeqCst);
        if let Some(outer) = &*self.outer.lock().unwrap() {
            outer.wake_by_ref();
        }
    }
}

impl Cut {
    /// What the operation gave, if it was done before. It has an hour, which is enough, so that a
    /// timer goes with it.
    pub(crate) async fn of<F: Future>(self, scene: &Scene<'_>, operation: F) -> Option<F::Output> {
        let mut operation = pin!(scene.rt.timeout(HOUR, operation));
        let woken = Arc::new(Woken::default());
        woken.is_woken.store(true, Ordering::SeqCst);
        let waker = Waker::from(woken.clone());
        let mut polls = 0;
        poll_fn(|cx| {
            *woken.outer.lock().unwrap() = Some(cx.waker().clone());
            if polls == self.polls && !self.when_woken {
                return Poll::Ready(None);
            }
            // It is polled when it was woken: polling more often would hide a wake that is missing.
            while woken.is_woken.swap(false, Ordering::SeqCst) {
                if polls == self.polls {
                    return Poll::Ready(None);
                }
                polls += 1;
                match operation.as_mut().poll(&mut Context::from_waker(&waker)) {
                    Poll::Ready(output) => {
                        return Poll::Ready(Some(output.expect("an hour is enough")));
                    }
                    Poll::Pending if polls == self.polls && !self.when_woken => {
                        return Poll::Ready(None);
                    }
                    Poll::Pending => {}
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Where a case plays.
pub(crate) struct Scene<'r> {
    pub(crate) world: &'r World,
    pub(crate) reactor: &'r Reactor<'r, Sim>,
    pub(crate) rt: Handle<'r>,
    pub(crate) client: TcpClient<'r>,
}

/// Runs an operation under a cut, then to its end; whether it was done before the cut.
pub(crate) type Play = for<'a> fn(&'a Scene<'a>, Cut) -> Pin<Box<dyn Future<Output = bool> + 'a>>;

/// One operation: its name, at how many places it can be cut at least, and how it is played.
pub(crate) type Case = (&'static str, u32, Play);

/// A row for each function: `[name: at least so many cuts, ..]`.
macro_rules! cases {
    ($($name:ident: $at_least:literal),* $(,)?) => {
        &[$((stringify!($name), $at_least, |scene, cut| Box::pin($name(scene, cut)))),*]
    };
}
pub(crate) use cases;

/// Worlds in which everything arrives, in pieces and late.
fn worlds() -> [(u64, Faults); 4] {
    let pieces = Faults { segment_bytes: (1, 3), window_bytes: (8, 8), ..Faults::NONE };
    let rough = Faults { lose_syn_permille: 0, accept_fail_permille: 0, ..Faults::lossless() };
    [(1, pieces), (2, rough.clone()), (3, rough.clone()), (4, rough)]
}

fn run(name: &str, play: Play, cut: Cut) -> bool {
    let mut is_done = true;
    for (seed, faults) in worlds() {
        in_world(seed, faults, CAPACITY, |world, reactor| {
            world.note(format_args!("{name}, {cut:?}"));
            let (rt, client) = (Handle::from(reactor), TcpClient::new(reactor));
            let scene = Scene { world, reactor, rt, client };
            is_done &= reactor.run(play(&scene, cut));
            world.assert_all_closed();
            assert_eq!(rt.snapshot().sources, 0, "{name}, {cut:?}: a source is left");
            assert_eq!(rt.snapshot().timers_refused, 0, "{name}: there are timers enough");
            reactor.run(async {
                // Peers end by themselves, and whoever lingers is forgotten within minutes.
                world.quiet().await;
            });
            assert!(world.elapsed() < HOUR, "{name}, {cut:?}: a timer is left");
        });
    }
    is_done
}

fn run_all(cases: &[Case]) {
    for &(name, at_least, play) in cases {
        let is_done = |polls: u32| {
            let now = run(name, play, Cut { polls, when_woken: false });
            let woken = run(name, play, Cut { polls, when_woken: true });
            now && woken
        };
        let done = (0..POLLS_MAX).find(|polls| is_done(*polls));
        let done = done.unwrap_or_else(|| panic!("{name} is not done after {POLLS_MAX} polls"));
        assert!(done > at_least, "{name} was done after {done} polls");
    }
}

#[test]
fn streams() {
    run_all(streams::CASES);
}

#[test]
fn connections_and_datagrams() {
    run_all(net::CASES);
}

#[test]
fn locks_and_queues() {
    run_all(locks::CASES);
}

#[test]
fn loop_services_and_coroutines() {
    run_all(loops::CASES);
}

/// Whoever swallows what it was granted is found: the harness itself can fail.
#[test]
#[should_panic(expected = "a byte is lost")]
fn an_operation_that_loses_a_byte_is_noticed() {
    run_all(streams::FAULTY);
}
