//! Callbacks at equal intervals, next to Tornado's.

use std::cell::{Cell, RefCell};
use std::pin::pin;

use dustdevil_core::handle::Handle;
use dustdevil_core::periodic::PeriodicCallback;
use dustdevil_core::poller::{Error, Event, Io, Poller, Token};
use dustdevil_core::reactor::Reactor;
use dustdevil_core::sim::{self, Faults, Rng};
use dustdevil_core::task::TimedOut;
use dustdevil_core::time::{Clock, Duration, Instant};
use dustdevil_core::wake::WakeTree;

use crate::util::{BARE, MINUTE, SECOND, TICK_US, in_world, memory, millis, no_network, seeds};

const PERIOD: Duration = Duration::from_millis(10);
const HOUR: Duration = Duration::from_secs(3_600);
/// A sixth of a minute under Miri.
const LONG: Duration = if cfg!(miri) { Duration::from_secs(10) } else { HOUR };

/// What Tornado 6.6.1 does in the hour of `oracle/periodic.py`: how many calls, the last one's
/// multiple of the period, a hash of all multiples, and the first ones.
struct Fixture {
    calls: usize,
    last: u64,
    hash: u64,
    first: [u64; 24],
}

const BLOCKS: Fixture =
    Fixture { calls: 118_063, last: 359_999, hash: 0xf783_6d83_1a96_556d, first: FIRST };
const SLEEPS: Fixture =
    Fixture { calls: 116_065, last: 360_000, hash: 0x111c_f94d_d9d8_f28e, first: FIRST };
/// The two part later.
const FIRST: [u64; 24] =
    [1, 4, 8, 12, 17, 22, 26, 29, 34, 37, 42, 47, 49, 51, 56, 58, 62, 65, 68, 69, 71, 73, 78, 83];

impl Fixture {
    #[track_caller]
    fn check(&self, calls: &[u64]) {
        let first: Vec<u64> = calls.iter().take(24).copied().collect();
        assert_eq!(first, self.first);
        let hash = calls.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, call| {
            (hash ^ call).wrapping_mul(0x100_0000_01b3)
        });
        if LONG == HOUR {
            let last = calls.last().copied();
            assert_eq!((calls.len(), last, hash), (self.calls, Some(self.last), self.hash));
        }
    }
}

/// A clock that a test moves, and nothing else: a wait moves it to its deadline.
#[derive(Clone, Copy)]
struct Hands<'a>(&'a Cell<u64>);

impl Hands<'_> {
    /// What a callback does that blocks.
    fn advance(self, micros: u64) {
        self.0.set(self.0.get() + micros);
    }
}

impl Clock for Hands<'_> {
    fn now(&self) -> Instant {
        Instant::from_micros(self.0.get())
    }
}

impl Poller for Hands<'_> {
    fn register(&mut self, _: Io, _: Token) -> Result<(), Error> {
        Err(Error::UNSUPPORTED)
    }

    fn poll(
        &mut self,
        deadline: Option<Instant>,
        wakes: &WakeTree,
        _: &mut dyn FnMut(Event),
    ) -> Result<(), Error> {
        let deadline = deadline.expect("something happens").as_micros();
        if !wakes.any() {
            self.0.set(self.0.get().max(deadline));
        }
        Ok(())
    }
}

no_network!(Hands<'_>);

/// The durations of the fixture: 0 to 50 ms.
fn durations() -> impl FnMut() -> u64 {
    let mut random = 1_u32;
    move || {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        u64::from(random % 50_001)
    }
}

/// Which multiple of the period since time 0 is due; none but a multiple is.
fn multiple(periodic: &PeriodicCallback<'_>) -> u64 {
    let due_us = periodic.next_timeout().expect("it runs").as_micros();
    assert_eq!(due_us % PERIOD.as_micros(), 0, "no drift");
    due_us / PERIOD.as_micros()
}

/// Calls `test` with a reactor whose clock stands at 0 until somebody moves it.
fn by_hand<R>(test: impl FnOnce(&Reactor<'_, Hands<'_>>, Hands<'_>) -> R) -> R {
    let (clock, mut tables) = (Cell::new(0), memory(BARE.bytes()));
    let wakes = sim::wakes(BARE.tasks);
    let reactor = Reactor::new(Hands(&clock), tables.block(), BARE, wakes);
    test(&reactor, Hands(&clock))
}

#[test]
fn an_hour_of_callbacks_that_block_is_tornados_hour() {
    by_hand(|reactor, hands| {
        let periodic = PeriodicCallback::new(reactor, PERIOD);
        let (mut calls, mut took) = (Vec::new(), durations());
        periodic.start();
        let run = periodic.run(|| {
            calls.push(multiple(&periodic));
            hands.advance(took());
        });
        assert_eq!(reactor.run_sync(LONG, run), Err(TimedOut));
        BLOCKS.check(&calls);
    });
}

#[test]
fn an_hour_of_callbacks_that_sleep_is_tornados_hour() {
    by_hand(|reactor, _| {
        let (rt, periodic) = (Handle::from(reactor), PeriodicCallback::new(reactor, PERIOD));
        let (mut calls, mut took) = (Vec::new(), durations());
        periodic.start();
        let run = periodic.run_async(async || {
            calls.push(multiple(&periodic));
            rt.sleep(Duration::from_micros(took())).await;
        });
        assert_eq!(reactor.run_sync(LONG, run), Err(TimedOut));
        SLEEPS.check(&calls);
    });
}

/// One call: when it was due, when it was made, and when it had ended.
type Seen = (Instant, Instant, Instant);

/// Tornado's formula in its own words, and in floating point.
fn tornados_next(due: Instant, now: Instant) -> Instant {
    let (due, now, time) =
        (due.as_micros() as f64, now.as_micros() as f64, PERIOD.as_micros() as f64);
    let next =
        if due <= now { due + (((now - due) / time).floor() + 1.0) * time } else { due + time };
    Instant::from_micros(next as u64)
}

#[test]
fn an_hour_in_the_simulator_has_no_drift_and_skips_what_the_formula_skips() {
    // The clock starts at 0: later, a float would not hold it to the microsecond.
    let faults = Faults { turn_us: (0, 300), deadline_unit_us: 100, ..Faults::NONE };
    let world = sim::World::starting_at(7, faults, Instant::ZERO);
    let (mut tables, wakes) = (memory(BARE.bytes()), sim::wakes(BARE.tasks));
    let reactor = Reactor::new(sim::Sim::<true>::new(&world), tables.block(), BARE, wakes);
    let (rt, periodic) = (Handle::from(&reactor), PeriodicCallback::new(&reactor, PERIOD));
    let (mut rng, seen) = (Rng::new(7), RefCell::new(Vec::<Seen>::new()));
    periodic.start();
    let run = periodic.run_async(async || {
        let (due, made) = (periodic.next_timeout().unwrap(), rt.now());
        rt.sleep(Duration::from_micros(rng.range(0, 50_000))).await;
        seen.borrow_mut().push((due, made, world.now()));
    });
    assert_eq!(reactor.run_sync(LONG, run), Err(TimedOut));

    let seen = seen.into_inner();
    assert!(seen.len() > LONG.as_millis() as usize / 32, "{} calls", seen.len());
    let mut expected = Instant::ZERO + PERIOD;
    for &(due, made, ended) in &seen {
        assert_eq!(due, expected);
        assert_eq!(due.as_micros() % PERIOD.as_micros(), 0);
        let late_us = (made - due).as_micros();
        assert!(made >= due && late_us <= TICK_US + 600, "{late_us} us late");
        expected = tornados_next(due, ended);
    }
    let skipped = expected.as_micros() / PERIOD.as_micros() - 1 - seen.len() as u64;
    assert!(skipped > seen.len() as u64, "{skipped} skipped");
}

#[test]
fn start_and_stop_from_anywhere() {
    by_hand(|reactor, hands| {
        let (rt, periodic) = (Handle::from(reactor), PeriodicCallback::new(reactor, SECOND));
        let calls = RefCell::new(Vec::new());
        let mut run = pin!(periodic.run(|| {
            calls.borrow_mut().push(rt.now().as_micros() / 100_000);
            match calls.borrow().len() {
                // Anew from within: the next call is one interval from here.
                2 => {
                    hands.advance(300_000);
                    periodic.start();
                }
                4 => periodic.stop(),
                _ => {}
            }
        }));
        // Not started: nothing happens, and no timer is taken.
        assert_eq!(reactor.run_sync(MINUTE, run.as_mut()), Err(TimedOut));
        assert!(!periodic.is_running() && periodic.next_timeout().is_none());
        let began = rt.now().as_micros() / 100_000;
        let started = async {
            rt.sleep(SECOND).await;
            // Told to the future that runs, which waits for nothing.
            periodic.start();
            rt.sleep(MINUTE).await;
        };
        reactor.run(embassy_futures::select::select(run.as_mut(), started));
        assert!(!periodic.is_running());
        let calls: Vec<u64> = calls.borrow().iter().map(|at| at - began).collect();
        assert_eq!(calls, [20, 30, 43, 53]);
    });
}

#[test]
fn a_run_that_was_dropped_comes_back_with_one_call_and_no_drift() {
    by_hand(|reactor, hands| {
        let periodic = PeriodicCallback::new(reactor, PERIOD);
        periodic.start();
        let calls = RefCell::new(Vec::new());
        for _ in 0..5 {
            let run = periodic.run(|| calls.borrow_mut().push(multiple(&periodic)));
            // Five timers each: those of the last round are free again.
            assert_eq!(reactor.run_sync(millis(25), run), Err(TimedOut));
            hands.advance(31_000);
        }
        let calls = calls.into_inner();
        assert_eq!(calls[..3], [1, 2, 3]);
        assert!(calls.windows(2).all(|pair| pair[0] < pair[1]), "{calls:?}");
        assert_eq!(Handle::from(reactor).snapshot().timers_refused, 0);
    });
}

#[test]
fn jitter_stays_in_its_window_and_follows_from_its_seed() {
    let intervals = |permille, seed, count: u64| {
        by_hand(|reactor, _| {
            let periodic = PeriodicCallback::new(reactor, PERIOD).with_jitter(permille, seed);
            let mut dues = vec![0];
            periodic.start();
            let run = periodic.run(|| {
                dues.push(periodic.next_timeout().unwrap().as_micros());
            });
            let span = Duration::from_micros(count * PERIOD.as_micros());
            assert_eq!(reactor.run_sync(span, run), Err(TimedOut));
            dues.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<u64>>()
        })
    };
    for seed in 0..seeds(8) as u32 {
        let count = 1_000;
        let drawn = intervals(100, seed, count);
        // Of 10 ms, 10 % around the middle.
        assert!(drawn.iter().all(|us| (9_500..10_500).contains(us)), "{drawn:?}");
        let (least, most) = (drawn.iter().min().unwrap(), drawn.iter().max().unwrap());
        assert!(*least < 9_550 && *most > 10_450, "{least} to {most}");
        let calls = drawn.len() as u64;
        assert!(calls.abs_diff(count) <= 10, "{calls} calls in {count} intervals");
        assert_eq!(drawn, intervals(100, seed, count));
    }
    assert_ne!(intervals(100, 1, 10), intervals(100, 2, 10));
    assert!(intervals(0, 1, 10).iter().all(|&us| us == 10_000));
    // The widest window: from half of the interval to one and a half.
    let wide = intervals(1_000, 1, 1_000);
    assert!(wide.iter().all(|us| (5_000..15_000).contains(us)));
}

#[test]
fn the_longest_and_the_shortest_interval() {
    by_hand(|reactor, hands| {
        let never = PeriodicCallback::new(reactor, Duration::MAX).with_jitter(1_000, 3);
        never.start();
        let run = never.run(|| panic!("in half a million years"));
        assert_eq!(reactor.run_sync(HOUR, run), Err(TimedOut));

        let always = PeriodicCallback::new(reactor, Duration::from_micros(1)).with_jitter(1_000, 3);
        let calls = Cell::new(0);
        always.start();
        let run = always.run(|| {
            hands.advance(7);
            calls.set(calls.get() + 1);
        });
        // A call a tick: the wheel knows nothing shorter.
        assert_eq!(reactor.run_sync(millis(100), run), Err(TimedOut));
        assert!((90..=100).contains(&calls.get()), "{} calls", calls.get());
    });
}

#[test]
fn many_run_beside_each_other_in_one_world() {
    for seed in 0..seeds(20) {
        in_world(seed, Faults::seeded(seed), BARE, |_, reactor| {
            let [one, two] = [3, 7].map(|ms| PeriodicCallback::new(reactor, millis(ms)));
            let counts = [Cell::new(0), Cell::new(0)];
            one.start();
            two.start();
            let count = |which: usize| counts[which].set(counts[which].get() + 1);
            let both = dustdevil_core::coroutine::multi((
                one.run(|| count(0)),
                two.run_async(async || count(1)),
            ));
            assert!(matches!(reactor.run_sync(SECOND, both), Err(TimedOut)));
            let [one, two] = counts.map(|count| count.get());
            assert!(one <= 333 && two <= 142 && one >= two, "{one} and {two} calls");
        });
    }
}
