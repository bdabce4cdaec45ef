//! Locks: against a model over random operations, and with time-outs in the simulator.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use dustdevil_core::handle::Handle;
use dustdevil_core::locks::{
    Acquire, BoundedSemaphore, Condition, Event, Full, Lock, Notified, Permit, Semaphore, WaitSet,
    Waiter,
};
use dustdevil_core::sim::{Faults, Rng};
use dustdevil_core::task::TimedOut;
use dustdevil_core::tasks::Tasks;
use dustdevil_core::time::Duration;

use crate::util::{BARE, in_world, memory, millis, seeds};

const TASKS: usize = 8;
/// Fewer than tasks, so that the table is full at times.
const WAITERS: usize = 6;

/// How many random operations a seed stands for.
pub(crate) const STEPS: u32 = if cfg!(miri) { 100 } else { 20_000 };

/// Counts its wakes.
#[derive(Default)]
struct Bell(AtomicU32);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A task's wakers, of which it passes one and then another, as one that moves between executors.
pub(crate) struct Bells {
    bells: [Arc<Bell>; 2],
    wakers: [Waker; 2],
    current: usize,
    expected: [u32; 2],
}

impl Bells {
    pub(crate) fn new() -> Self {
        let bells = [(); 2].map(|()| Arc::<Bell>::default());
        let wakers = bells.clone().map(Waker::from);
        Self { bells, wakers, current: 0, expected: [0; 2] }
    }

    /// Polls with either waker; the last that was passed is the one to be woken.
    pub(crate) fn poll<F: Future + Unpin>(
        &mut self,
        rng: &mut Rng,
        future: &mut F,
    ) -> Poll<F::Output> {
        self.current = rng.index(2);
        Pin::new(future).poll(&mut Context::from_waker(&self.wakers[self.current]))
    }

    /// A wake is due: to the waker that was passed last.
    pub(crate) fn expect(&mut self) {
        self.expected[self.current] += 1;
    }

    pub(crate) fn check(&self) {
        let rung = [0, 1].map(|at| self.bells[at].0.load(Ordering::SeqCst));
        assert_eq!(rung, self.expected, "wakes of either waker");
    }
}

/// What the three locks have in common.
trait Permits {
    fn acquire(&self) -> Acquire<'_>;
    fn release(&self) -> bool;
    fn now(&self) -> (usize, usize);
}

macro_rules! permits {
    ($($lock:ident: $release:expr, $value:expr;)*) => {$(
        impl Permits for $lock<'_> {
            fn acquire(&self) -> Acquire<'_> {
                self.acquire()
            }
            fn release(&self) -> bool {
                let release: fn(&Self) -> bool = $release;
                release(self)
            }
            fn now(&self) -> (usize, usize) {
                let value: fn(&Self) -> usize = $value;
                (value(self), self.waiting())
            }
        }
    )*};
}

permits! {
    Semaphore: |lock| { lock.release(); true }, |lock| lock.value();
    BoundedSemaphore: |lock| lock.release().is_ok(), |lock| lock.value();
    Lock: |lock| lock.release().is_ok(), |lock| usize::from(!lock.is_locked());
}

enum Task<'a> {
    Idle,
    Waiting(Acquire<'a>),
    Holding(Permit<'a>),
}

/// Permits as a counter and a deque.
struct Model {
    value: usize,
    value_max: usize,
    waiting: VecDeque<usize>,
    granted: Vec<usize>,
    forgotten: usize,
    total: usize,
}

impl Model {
    fn release(&mut self, bells: &mut [Bells]) -> bool {
        if self.value >= self.value_max {
            return false;
        }
        match self.waiting.pop_front() {
            None => self.value += 1,
            Some(task) => {
                self.granted.push(task);
                bells[task].expect();
            }
        }
        true
    }
}

fn permits_agree_with_the_model(lock: &dyn Permits, value: usize, value_max: usize, seed: u64) {
    let mut rng = Rng::new(seed);
    let mut tasks: Vec<Task<'_>> = (0..TASKS).map(|_| Task::Idle).collect();
    let mut bells: Vec<Bells> = (0..TASKS).map(|_| Bells::new()).collect();
    let mut model = Model {
        value,
        value_max,
        waiting: VecDeque::new(),
        granted: Vec::new(),
        forgotten: 0,
        total: value,
    };
    for _ in 0..STEPS {
        if rng.hits(50) {
            // By hand: what was forgotten, and at times one too many, which a semaphore takes.
            let fits = model.value < value_max && (model.forgotten > 0 || value_max > 1_000);
            if fits || model.value == value_max {
                match model.forgotten.checked_sub(1) {
                    Some(forgotten) => model.forgotten = forgotten,
                    None if fits => model.total += 1,
                    None => {}
                }
                assert_eq!(lock.release(), model.release(&mut bells));
            }
        }
        let at = rng.index(TASKS);
        one_step(lock, &mut tasks[at], at, &mut model, &mut bells, &mut rng);
        assert_eq!(lock.now(), (model.value, model.waiting.len()));
        bells.iter().for_each(Bells::check);
        let holding = tasks.iter().filter(|task| matches!(task, Task::Holding(_))).count();
        let permits = model.value + model.granted.len() + holding + model.forgotten;
        assert_eq!(permits, model.total, "no permit is lost, none is made");
        // So many that all wait for ever make the rest of the run dull.
        while model.total > 2 * TASKS && model.value > 0 {
            let Poll::Ready(Ok(permit)) = bells[0].poll(&mut rng, &mut lock.acquire()) else {
                panic!("{} are free", model.value);
            };
            permit.forget();
            (model.value, model.total) = (model.value - 1, model.total - 1);
        }
    }
}

fn one_step<'a>(
    lock: &'a dyn Permits,
    task: &mut Task<'a>,
    at: usize,
    model: &mut Model,
    bells: &mut [Bells],
    rng: &mut Rng,
) {
    match std::mem::replace(task, Task::Idle) {
        Task::Idle => {
            let mut acquire = lock.acquire();
            match bells[at].poll(rng, &mut acquire) {
                Poll::Ready(Ok(permit)) => {
                    model.value = model.value.checked_sub(1).expect("a permit was free");
                    *task = Task::Holding(permit);
                }
                Poll::Ready(Err(Full(()))) => {
                    assert_eq!(model.waiting.len() + model.granted.len(), WAITERS);
                }
                Poll::Pending => {
                    assert_eq!(model.value, 0);
                    model.waiting.push_back(at);
                    *task = Task::Waiting(acquire);
                }
            }
        }
        Task::Waiting(mut acquire) if rng.hits(700) => match bells[at].poll(rng, &mut acquire) {
            Poll::Ready(permit) => {
                let granted = model.granted.iter().position(|&other| other == at);
                model.granted.remove(granted.expect("it was this one's turn"));
                *task = Task::Holding(permit.expect("only the first poll finds no waiter"));
            }
            Poll::Pending => {
                assert!(model.waiting.contains(&at));
                *task = Task::Waiting(acquire);
            }
        },
        Task::Waiting(acquire) => {
            drop(acquire);
            match model.waiting.iter().position(|&other| other == at) {
                Some(place) => drop(model.waiting.remove(place)),
                None => {
                    model.granted.retain(|&other| other != at);
                    model.release(bells);
                }
            }
        }
        Task::Holding(permit) if rng.hits(100) => {
            permit.forget();
            model.forgotten += 1;
        }
        Task::Holding(permit) if rng.hits(500) => {
            permit.release();
            model.release(bells);
        }
        holding => *task = holding,
    }
}

#[test]
fn semaphores_and_locks_agree_with_a_model() {
    for seed in 0..seeds(8) {
        for value in if cfg!(miri) { 1..2 } else { 0..4 } {
            let mut waiters = [const { Waiter::new() }; WAITERS];
            let lock = Semaphore::new(value, &mut waiters);
            permits_agree_with_the_model(&lock, value, usize::MAX, seed);
            let lock = BoundedSemaphore::new(value, &mut waiters);
            permits_agree_with_the_model(&lock, value, value, seed);
        }
        let mut waiters = [const { Waiter::new() }; WAITERS];
        permits_agree_with_the_model(&Lock::new(&mut waiters), 1, 1, seed);
    }
}

/// Who was told, and whether it would be passed on.
type Told = Vec<(usize, bool)>;

/// Takes the first `count` of those that wait.
fn tell(
    waiting: &mut VecDeque<usize>,
    told: &mut Told,
    count: usize,
    one: bool,
    bells: &mut [Bells],
) {
    for task in waiting.drain(..count.min(waiting.len())) {
        told.push((task, one));
        bells[task].expect();
    }
}

#[test]
fn a_condition_agrees_with_a_model() {
    for seed in 0..seeds(16) {
        let mut rng = Rng::new(seed);
        let mut waiters = [const { Waiter::new() }; WAITERS];
        let condition = Condition::new(&mut waiters);
        let mut tasks: Vec<Option<Notified<'_>>> = (0..TASKS).map(|_| None).collect();
        let mut bells: Vec<Bells> = (0..TASKS).map(|_| Bells::new()).collect();
        let (mut waiting, mut told) = (VecDeque::new(), Told::new());
        for _ in 0..STEPS {
            if rng.hits(200) {
                let count = rng.index(4);
                condition.notify(count);
                tell(&mut waiting, &mut told, count, true, &mut bells);
            } else if rng.hits(30) {
                condition.notify_all();
                tell(&mut waiting, &mut told, TASKS, false, &mut bells);
            }
            let at = rng.index(TASKS);
            let known = told.iter().position(|&(other, _)| other == at);
            match tasks[at].take() {
                Some(wait) if rng.hits(200) => {
                    drop(wait);
                    waiting.retain(|&other| other != at);
                    if known.is_some_and(|known| told.remove(known).1) {
                        tell(&mut waiting, &mut told, 1, true, &mut bells);
                    }
                }
                old => {
                    let (first, mut wait) =
                        (old.is_none(), old.unwrap_or_else(|| condition.wait()));
                    match bells[at].poll(&mut rng, &mut wait) {
                        Poll::Pending if first => waiting.push_back(at),
                        Poll::Pending => assert!(waiting.contains(&at)),
                        Poll::Ready(Ok(())) => drop(told.remove(known.expect("it was told"))),
                        Poll::Ready(Err(Full(()))) => {
                            assert!(first && waiting.len() + told.len() == WAITERS);
                        }
                    }
                    let still = waiting.contains(&at);
                    tasks[at] = Some(wait).filter(|_| still);
                }
            }
            assert_eq!(condition.waiting(), waiting.len());
            bells.iter().for_each(Bells::check);
        }
    }
}

#[test]
fn an_event_agrees_with_a_model() {
    for seed in 0..seeds(16) {
        let mut rng = Rng::new(seed);
        let mut waiters = [const { Waiter::new() }; WAITERS];
        let event = Event::new(&mut waiters);
        let mut tasks: Vec<Option<WaitSet<'_>>> = (0..TASKS).map(|_| None).collect();
        let mut bells: Vec<Bells> = (0..TASKS).map(|_| Bells::new()).collect();
        let (mut set, mut waiting, mut told) = (false, VecDeque::new(), Told::new());
        for _ in 0..STEPS {
            if rng.hits(100) {
                set = true;
                event.set();
                tell(&mut waiting, &mut told, TASKS, false, &mut bells);
            }
            if rng.hits(300) {
                set = false;
                event.clear();
            }
            let at = rng.index(TASKS);
            let known = told.iter().position(|&(other, _)| other == at);
            match tasks[at].take() {
                Some(wait) if rng.hits(200) => {
                    drop(wait);
                    waiting.retain(|&other| other != at);
                    known.map(|known| told.remove(known));
                }
                old => {
                    let (first, mut wait) = (old.is_none(), old.unwrap_or_else(|| event.wait()));
                    match bells[at].poll(&mut rng, &mut wait) {
                        Poll::Pending if first => {
                            assert!(!set);
                            waiting.push_back(at);
                        }
                        Poll::Pending => assert!(waiting.contains(&at)),
                        Poll::Ready(Ok(())) if first => assert!(set),
                        Poll::Ready(Ok(())) => drop(told.remove(known.expect("it was released"))),
                        Poll::Ready(Err(Full(()))) => {
                            assert!(first && !set && waiting.len() + told.len() == WAITERS);
                        }
                    }
                    let still = waiting.contains(&at);
                    tasks[at] = Some(wait).filter(|_| still);
                }
            }
            assert_eq!((event.is_set(), event.waiting()), (set, waiting.len()));
            bells.iter().for_each(Bells::check);
        }
    }
}

#[test]
fn nobody_is_overtaken() {
    const CONTENDERS: usize = 12;
    let rounds = if cfg!(miri) { 5 } else { 200 };
    for seed in 0..seeds(8) {
        let capacity = BARE.plus_tasks(CONTENDERS);
        in_world(seed, Faults::NONE, capacity, |world, reactor| {
            let rt = Handle::from(reactor);
            let mut waiters = [const { Waiter::new() }; CONTENDERS];
            let lock = Lock::new(&mut waiters);
            let (arrived, entered) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
            let rng = RefCell::new(world.fork_rng());
            let contender = |id: usize| {
                let (lock, arrived, entered, rng) = (&lock, &arrived, &entered, &rng);
                async move {
                    for _ in 0..rounds {
                        arrived.borrow_mut().push(id);
                        let guard = lock.acquire().await.unwrap();
                        entered.borrow_mut().push(id);
                        let span = rng.borrow_mut().range(0, 3);
                        rt.sleep(millis(span)).await;
                        drop(guard);
                        if rng.borrow_mut().hits(100) {
                            rt.sleep(millis(5)).await;
                        }
                    }
                }
            };
            let mut slots = memory(bytes_of(&contender, CONTENDERS));
            let tasks = Tasks::new(rt, &mut slots.block(), CONTENDERS);
            for id in 0..CONTENDERS {
                assert!(tasks.spawn(contender(id)).is_ok());
            }
            reactor.run(async { while tasks.next().await.is_some() {} });
            assert_eq!(arrived.borrow().len(), CONTENDERS * rounds);
            assert_eq!(arrived, entered, "as they came, so they entered");
        });
    }
}

/// What room so many tasks take that `make` makes.
pub(crate) fn bytes_of<F: Future>(_: &impl Fn(usize) -> F, capacity: usize) -> usize {
    Tasks::<F>::bytes(capacity)
}

#[test]
fn time_outs_lose_no_permit() {
    const CONTENDERS: usize = 8;
    let rounds = if cfg!(miri) { 5 } else { 300 };
    for seed in 0..seeds(16) {
        let capacity = BARE.plus_tasks(CONTENDERS);
        in_world(seed, Faults::seeded(seed), capacity, |world, reactor| {
            let rt = Handle::from(reactor);
            // One waiter too few.
            let mut waiters = [const { Waiter::new() }; CONTENDERS - 3];
            let semaphore = Semaphore::new(2, &mut waiters);
            let (inside, outcomes) = (Cell::new(0), Cell::new([0; 3]));
            let rng = RefCell::new(world.fork_rng());
            let count = |outcome: usize| {
                let mut counts: [u32; 3] = outcomes.get();
                counts[outcome] += 1;
                outcomes.set(counts);
            };
            let contender = |_| {
                let (semaphore, inside, rng, count) = (&semaphore, &inside, &rng, &count);
                async move {
                    for _ in 0..rounds {
                        let [patience, pause, stay] =
                            [6, 4, 3].map(|most| millis(rng.borrow_mut().range(0, most)));
                        let free = semaphore.value() > 0;
                        match rt.timeout(patience, semaphore.acquire()).await {
                            Ok(Ok(permit)) => {
                                count(0);
                                inside.set(inside.get() + 1);
                                assert!(inside.get() <= 2);
                                rt.sleep(stay).await;
                                inside.set(inside.get() - 1);
                                drop(permit);
                            }
                            Ok(Err(Full(()))) => count(1),
                            Err(TimedOut) => {
                                assert!(!free, "what is free is had at once, also in no time");
                                count(2);
                            }
                        }
                        rt.sleep(pause).await;
                    }
                }
            };
            let mut slots = memory(bytes_of(&contender, CONTENDERS));
            let tasks = Tasks::new(rt, &mut slots.block(), CONTENDERS);
            for id in 0..CONTENDERS {
                assert!(tasks.spawn(contender(id)).is_ok());
            }
            reactor.run(async { while tasks.next().await.is_some() {} });
            assert_eq!((semaphore.value(), semaphore.waiting()), (2, 0));
            let counts = outcomes.get();
            assert_eq!(counts.iter().sum::<u32>(), (CONTENDERS * rounds) as u32);
            if !cfg!(miri) {
                assert!(counts.iter().all(|&count| count > 10), "a dull run: {counts:?}");
            }
        });
    }
}

#[test]
fn a_notification_that_comes_with_the_time_out_is_passed_on() {
    in_world(1, Faults::NONE, BARE, |_, reactor| {
        let rt = Handle::from(reactor);
        let mut waiters = [const { Waiter::new() }; 2];
        let condition = Condition::new(&mut waiters);
        let mut late = condition.wait();
        let mut next = condition.wait();
        reactor.run(async {
            assert_eq!(rt.timeout(Duration::ZERO, &mut late).await, Err(TimedOut));
            assert_eq!(rt.timeout(Duration::ZERO, &mut next).await, Err(TimedOut));
            condition.notify(1);
            drop(late);
            assert_eq!(rt.timeout(Duration::ZERO, &mut next).await, Ok(Ok(())));
        });
    });
}
