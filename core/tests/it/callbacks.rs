//! Timed calls.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};

use dustdevil_core::callbacks::{CallId, Callbacks};
use dustdevil_core::coroutine::yield_now;
use dustdevil_core::full::Full;
use dustdevil_core::handle::Handle;
use dustdevil_core::sim::{Faults, Rng};
use dustdevil_core::task::TimedOut;
use dustdevil_core::time::{Duration, Instant};
use embassy_futures::select::select;

use crate::util::{BARE, MINUTE, SECOND, TICK_US, in_world, memory, millis, seeds};

/// A program of plain functions that log their names.
struct App<'m> {
    calls: Callbacks<'m, 'm, App<'m>>,
    rt: Handle<'m>,
    log: RefCell<Vec<&'static str>>,
    /// In which turn each was logged.
    turns: RefCell<Vec<u64>>,
    id: Cell<Option<CallId>>,
}

impl App<'_> {
    fn log(&self, what: &'static str) {
        self.log.borrow_mut().push(what);
        self.turns.borrow_mut().push(self.rt.snapshot().turns);
    }
}

/// The program with its calls.
fn app<'m>(calls: Callbacks<'m, 'm, App<'m>>, rt: Handle<'m>) -> App<'m> {
    let (log, turns) = (RefCell::default(), RefCell::default());
    App { calls, rt, log, turns, id: Cell::new(None) }
}

/// Runs a program with room for `capacity` calls for one second, and says what it logged.
fn logged(capacity: usize, start: impl FnOnce(&App<'_>, Handle<'_>)) -> Vec<&'static str> {
    in_world(1, Faults::NONE, BARE, |_, reactor| {
        let mut table = memory(Callbacks::<'_, '_, App<'_>>::bytes(capacity));
        let mut block = table.block();
        let rt = Handle::from(reactor);
        let app = app(Callbacks::new(rt, &mut block, capacity), rt);
        start(&app, Handle::from(reactor));
        assert_eq!(reactor.run_sync(SECOND, app.calls.run(&app)), Err(TimedOut));
        app.log.into_inner()
    })
}

#[test]
fn calls_come_by_deadline_and_those_of_one_instant_in_the_order_of_adding() {
    let log = logged(16, |app, _| {
        let add = |ms, call| assert!(app.calls.call_later(millis(ms), call).is_ok());
        add(30, |app| app.log("30 first"));
        add(10, |app| app.log("10 first"));
        add(30, |app| app.log("30 second"));
        add(0, |app| app.log("0"));
        add(10, |app| app.log("10 second"));
        add(30, |app| app.log("30 third"));
        add(2_000, |app| app.log("too late"));
        assert!(app.calls.call_at(Instant::MAX, |app| app.log("never")).is_ok());
        // Before what is due by then, as in asyncio.
        assert!(app.calls.add_callback(|app| app.log("soon")).is_ok());
    });
    let expected = ["soon", "0", "10 first", "10 second", "30 first", "30 second", "30 third"];
    assert_eq!(log, expected);
}

#[test]
fn deadlines_within_one_tick_of_the_wheel_keep_their_order() {
    let log = logged(8, |app, rt| {
        let tick = Instant::from_ticks(rt.now().ticks() + 8);
        let add = |us, call| {
            assert!(app.calls.call_at(tick + Duration::from_micros(us), call).is_ok());
        };
        add(900, |app| app.log("900"));
        add(100, |app| app.log("100"));
        add(500, |app| app.log("500"));
        add(100, |app| app.log("100 again"));
        // In the past.
        assert!(app.calls.call_at(Instant::ZERO, |app| app.log("past")).is_ok());
    });
    assert_eq!(log, ["past", "100", "100 again", "500", "900"]);
}

#[test]
fn a_call_adds_others_and_they_are_made_in_a_later_turn() {
    fn first(app: &App<'_>) {
        app.log("first");
        // Due before the second, but not a part of this turn.
        assert!(app.calls.call_at(Instant::ZERO, |app| app.log("past")).is_ok());
        assert!(app.calls.call_later(Duration::ZERO, |app| app.log("at once")).is_ok());
        assert!(app.calls.add_callback(|app| app.log("soon")).is_ok());
    }
    let log = logged(8, |app, _| {
        for call in [first, |app: &App<'_>| app.log("second"), |app: &App<'_>| app.log("third")] {
            assert!(app.calls.call_later(millis(5), call).is_ok());
        }
        let check = |app: &App<'_>| {
            // The first three in one turn, what the first added in the next.
            let turns: Vec<u64> =
                app.turns.borrow().iter().map(|at| at - app.turns.borrow()[0]).collect();
            assert_eq!(turns, [0, 0, 0, 1, 1, 1]);
            app.log("checked");
        };
        assert!(app.calls.call_later(millis(50), check).is_ok());
    });
    assert_eq!(log, ["first", "second", "third", "soon", "past", "at once", "checked"]);
}

#[test]
fn a_call_cancels_one_that_is_due_in_the_same_turn_but_not_itself() {
    fn killer(app: &App<'_>) {
        let victim = app.id.take().unwrap();
        assert!(app.calls.cancel(victim) && !app.calls.cancel(victim));
        app.log("killer");
    }
    fn suicide(app: &App<'_>) {
        assert!(!app.calls.cancel(app.id.take().unwrap()), "it is being made");
        app.log("suicide");
        // Its place is free already.
        assert!(app.calls.is_empty());
    }
    let log = logged(3, |app, _| {
        let add = |call| app.calls.call_later(millis(5), call).unwrap();
        add(killer);
        app.id.set(Some(add(|app| app.log("victim"))));
        add(|app| app.id.set(app.calls.call_later(Duration::ZERO, suicide).ok()));
        assert!(app.calls.is_full());
    });
    assert_eq!(log, ["killer", "suicide"]);
}

#[test]
fn what_a_call_adds_waits_for_the_next_turn_also_where_it_cancels_another() {
    fn swap(app: &App<'_>) {
        assert!(app.calls.cancel(app.id.take().unwrap()));
        assert!(app.calls.add_callback(|app| app.log("added")).is_ok());
        app.log("swap");
    }
    let log = logged(4, |app, _| {
        let add = |call| app.calls.call_later(millis(5), call).unwrap();
        add(swap);
        app.id.set(Some(add(|app| app.log("victim"))));
        let check = |app: &App<'_>| {
            let turns = app.turns.borrow();
            assert_eq!(turns[1] - turns[0], 1, "in a later turn");
        };
        assert!(app.calls.call_later(millis(50), check).is_ok());
    });
    assert_eq!(log, ["swap", "added"]);
}

#[test]
fn a_full_table_gives_the_callback_back_and_dropping_it_drops_them_all() {
    in_world(1, Faults::NONE, BARE, |_, reactor| {
        type Boxed = Box<dyn FnOnce(&())>;
        let mut table = memory(Callbacks::<'_, '_, (), Boxed>::bytes(3));
        let mut block = table.block();
        let calls: Callbacks<'_, '_, (), Boxed> =
            Callbacks::new(Handle::from(reactor), &mut block, 3);
        let held = Rc::new(());
        let call = || -> Boxed {
            let held = held.clone();
            Box::new(move |()| drop(held))
        };
        let ids = [SECOND, millis(1), MINUTE].map(|span| calls.call_later(span, call()).unwrap());
        let Err(Full(back)) = calls.add_callback(call()) else { panic!("there is no room") };
        assert_eq!((calls.len(), Rc::strong_count(&held)), (3, 5));
        assert!(calls.cancel(ids[1]) && calls.add_callback(back).is_ok());
        assert!(!calls.cancel(ids[1]), "its place serves another");
        assert_eq!(Rc::strong_count(&held), 4);
        _ = reactor.run_sync(millis(5), calls.run(&()));
        assert_eq!((calls.len(), Rc::strong_count(&held)), (2, 3));
        drop(calls);
        assert_eq!(Rc::strong_count(&held), 1);
    });
}

#[test]
fn nothing_is_lost_when_run_is_dropped_and_awaited_again() {
    let log = logged(4, |app, _| {
        app.calls.call_later(millis(20), |app| app.log("20")).unwrap();
        app.calls.call_later(millis(40), |app| app.log("40")).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..10 {
            // Each takes a timer, of four, and gives it back.
            let mut run = pin!(app.calls.run(app));
            assert!(run.as_mut().poll(&mut cx).is_pending());
        }
        assert_eq!(app.log.borrow().len(), 0);
    });
    assert_eq!(log, ["20", "40"]);
}

#[test]
fn calls_that_add_themselves_starve_nobody_and_make_no_empty_turns() {
    fn again(app: &App<'_>) {
        app.log("again");
        assert!(app.calls.call_later(Duration::ZERO, again).is_ok());
    }
    in_world(1, Faults::NONE, BARE, |_, reactor| {
        let rt = Handle::from(reactor);
        let mut table = memory(Callbacks::<'_, '_, App<'_>>::bytes(2));
        let mut block = table.block();
        let calls = Callbacks::new(rt, &mut block, 2);
        let app = app(calls, rt);
        let other = async {
            for _ in 0..5 {
                yield_now().await;
            }
            // Added by another future, and told to the one that runs.
            assert!(app.calls.add_callback(again).is_ok());
            rt.sleep(millis(1)).await;
        };
        assert!(app.calls.add_callback(again).is_ok());
        reactor.run(select(app.calls.run(&app), other));
        assert!(app.log.borrow().len() > 10);
    });
    // One that waits for its time costs one turn a call.
    in_world(1, Faults::NONE, BARE, |_, reactor| {
        fn beat(app: &App<'_>) {
            assert!(app.calls.call_later(millis(10), beat).is_ok());
        }
        let rt = Handle::from(reactor);
        let mut table = memory(Callbacks::<'_, '_, App<'_>>::bytes(1));
        let mut block = table.block();
        let calls = Callbacks::new(rt, &mut block, 1);
        let app = app(calls, rt);
        assert!(app.calls.add_callback(beat).is_ok());
        _ = reactor.run_sync(SECOND, app.calls.run(&app));
        let turns = rt.snapshot().turns;
        assert!((90..=105).contains(&turns), "{turns} turns for some 95 calls");
    });
}

/// Random adding and cancelling, from outside and from calls, against a sorted map.
struct Model<'m> {
    calls: Callbacks<'m, 'm, Model<'m>, Numbered>,
    rt: Handle<'m>,
    rng: RefCell<Rng>,
    /// By deadline and order of adding, what is still to be made.
    expected: RefCell<BTreeMap<(Instant, u64), CallId>>,
    added: Cell<u64>,
    made: Cell<u64>,
    late_us_max: u64,
}

type Numbered = Box<dyn FnOnce(&Model<'_>)>;

impl Model<'_> {
    fn act(&self) {
        let count = self.rng.borrow_mut().index(4);
        for _ in 0..count {
            let is_cancel = self.rng.borrow_mut().hits(300);
            if is_cancel { self.cancel_one() } else { self.add_one() }
        }
    }

    fn add_one(&self) {
        // Few instants, so that many are equal.
        let span = millis(5 * self.rng.borrow_mut().range(0, 20));
        let key = (self.rt.now() + span, self.added.get());
        let call: Numbered = Box::new(move |model| model.check(key));
        match self.calls.call_at(key.0, call) {
            Ok(id) => {
                self.added.set(self.added.get() + 1);
                assert_eq!(self.expected.borrow_mut().insert(key, id), None);
            }
            Err(Full(_)) => assert!(self.calls.is_full()),
        }
    }

    fn cancel_one(&self) {
        let place = self.rng.borrow_mut().index(self.expected.borrow().len());
        let key = self.expected.borrow().keys().nth(place).copied();
        if let Some(key) = key {
            let id = self.expected.borrow_mut().remove(&key).unwrap();
            assert!(self.calls.cancel(id) && !self.calls.cancel(id));
        }
    }

    fn check(&self, key: (Instant, u64)) {
        let (first, id) = self.expected.borrow_mut().pop_first().unwrap();
        assert_eq!(first, key);
        assert!(!self.calls.cancel(id), "it is being made");
        let late_us = (self.rt.now() - key.0).as_micros();
        assert!(self.rt.now() >= key.0 && late_us <= self.late_us_max, "{late_us} us late");
        self.made.set(self.made.get() + 1);
        self.act();
    }
}

#[test]
fn the_order_is_that_of_a_sorted_map_over_random_operations() {
    let mut made = 0;
    for seed in 0..2 * seeds(50) {
        // Half of the worlds stall, jump and wake for no reason.
        let (faults, late_us_max) = match seed % 2 {
            0 => (Faults::NONE, TICK_US + 10),
            _ => (Faults::seeded(seed), u64::MAX),
        };
        in_world(seed, faults, BARE, |_, reactor| {
            let mut table = memory(Callbacks::<'_, '_, Model<'_>, Numbered>::bytes(20));
            let mut block = table.block();
            let rt = Handle::from(reactor);
            let model = Model {
                calls: Callbacks::new(rt, &mut block, 20),
                rt,
                rng: RefCell::new(Rng::new(seed)),
                expected: RefCell::default(),
                added: Cell::new(0),
                made: Cell::new(0),
                late_us_max,
            };
            let outside = async {
                for _ in 0..100 {
                    model.act();
                    let span = millis(model.rng.borrow_mut().range(0, 9));
                    rt.sleep(span).await;
                    yield_now().await;
                }
            };
            reactor.run(select(model.calls.run(&model), outside));
            assert_eq!(model.calls.len(), model.expected.borrow().len());
            made += model.made.get();
        });
    }
    assert!(made > 100 * seeds(50), "{made} calls");
}
