//! Plays a script here, in the simulator.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use dustdevil_core::callbacks::{CallId, Callbacks};
use dustdevil_core::coroutine::{WaitIterator, multi};
use dustdevil_core::handle::Handle;
use dustdevil_core::locks::{
    BoundedSemaphore, Condition, Event, Full, Lock, Permit, Semaphore, Waiter,
};
use dustdevil_core::memory::Owned;
use dustdevil_core::periodic::PeriodicCallback;
use dustdevil_core::queues::{self, AnyQueue, LifoQueue, PriorityQueue, Queue, QueueWaiter};
use dustdevil_core::reactor::{Capacity, Reactor};
use dustdevil_core::sim::{self, Faults, Sim, World};
use dustdevil_core::task::TimedOut;
use dustdevil_core::time::{Duration, Instant};
use heapless::binary_heap::{BinaryHeap, BinaryHeapView, Min};
use heapless::deque::{Deque, DequeView};
use heapless::vec::VecView;

use crate::executor::{Executor, Order, Task};
use crate::script::{Kind, Op, Script, Timeout, UNIT_US};
use crate::trace::Line;

/// Waiters of the object: more than a script has tasks.
const WAITERS: usize = 8;

/// Calls that may wait at once: more than a script has operations.
const CALLS_MAX: usize = 100;

/// Words that their table takes.
const CALLS_WORDS: usize = Callbacks::<Play<'_>, Call>::bytes(CALLS_MAX) / 8 + 2;

const CAPACITY: Capacity = Capacity { sources: 0, timers: 64, groups: 0, tasks: 1, waiters: 0 };

/// Plays the script, with tasks that go on in this order.
///
/// # Panics
/// When something of ours does.
pub fn play(script: &Script, order: Order) -> Vec<Line> {
    let world = World::starting_at(script.number, Faults::NONE, Instant::from_micros(UNIT_US << 8));
    let mut memory = Owned::new(vec![0; CAPACITY.bytes() / 8 + 2].into_boxed_slice());
    let wakes = sim::wakes(CAPACITY.tasks);
    let reactor = Reactor::new(Sim::<true>::new(&world), memory.block(), CAPACITY, wakes);
    let rt = Handle::from(&reactor);
    let play = Play { rt, begin: rt.now(), round: script.round, trace: RefCell::default() };
    let periodic;
    let mut storage = Storage::new(script.size.unwrap_or(0));
    let object = Object::new(script, rt, &mut storage);
    let mut tasks: Vec<Task<'_>> = Vec::new();
    for (task, steps) in script.tasks.iter().enumerate() {
        tasks.push(Box::pin(play.task(task, steps, &object)));
    }
    if let Object::Calls(calls) = &object {
        tasks.push(Box::pin(async { match calls.table.run(&play).await {} }));
    }
    if script.kind == Kind::Periodic {
        let periods = &script.periods;
        let interval = Duration::from_micros(periods.interval * UNIT_US);
        periodic = PeriodicCallback::new(&reactor, interval)
            .with_jitter(periods.jitter_permille, periods.seed);
        tasks.push(Box::pin(play.periodic(&periodic, &periods.spans)));
    }
    let mut executor = Executor::new(tasks, order);
    reactor.run(async {
        let mut quiet = pin!(world.quiet());
        std::future::poll_fn(|cx| match pin!(&mut executor).poll(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => quiet.as_mut().poll(cx),
        })
        .await;
    });
    drop(executor);
    reactor.check();
    play.trace.take()
}

/// The tasks' way to time and trace.
struct Play<'c> {
    rt: Handle<'c>,
    begin: Instant,
    round: u64,
    trace: RefCell<Vec<Line>>,
}

/// A call that the loop makes.
type Call = Box<dyn FnOnce(&Play<'_>)>;

/// The table of calls, and which one each operation asked for.
struct Calls<'m, 'c> {
    table: Callbacks<'m, 'c, Play<'c>, Call>,
    asked: RefCell<Vec<(u64, CallId)>>,
}

/// What a script is about.
enum Object<'m, 'c> {
    Condition(Condition<'m>),
    Event(Event<'m>),
    Semaphore(Semaphore<'m>),
    Bounded(BoundedSemaphore<'m>),
    Lock(Lock<'m>),
    Queue(Queue<'m, u64>),
    Priority(PriorityQueue<'m, u64>),
    Lifo(LifoQueue<'m, u64>),
    Calls(Calls<'m, 'c>),
    Nothing,
}

/// Where the objects lie.
struct Storage {
    calls: Owned<Box<[u64]>>,
    waiters: [Waiter; WAITERS],
    getters: [QueueWaiter<u64>; WAITERS],
    fifo: Box<DequeView<u64>>,
    heap: Box<BinaryHeapView<u64, Min>>,
    lifo: Box<VecView<u64>>,
}

impl Storage {
    /// Room for queues of so many items.
    fn new(size: usize) -> Self {
        // How large a queue can be is a container's type.
        let (fifo, heap, lifo): (Box<DequeView<_>>, Box<BinaryHeapView<_, _>>, Box<VecView<_>>) =
            match size {
                1 => (
                    Box::new(Deque::<_, 1>::new()),
                    Box::new(BinaryHeap::<_, _, 1>::new()),
                    Box::new(heapless::Vec::<_, 1>::new()),
                ),
                2 => (
                    Box::new(Deque::<_, 2>::new()),
                    Box::new(BinaryHeap::<_, _, 2>::new()),
                    Box::new(heapless::Vec::<_, 2>::new()),
                ),
                _ => (
                    Box::new(Deque::<_, 3>::new()),
                    Box::new(BinaryHeap::<_, _, 3>::new()),
                    Box::new(heapless::Vec::<_, 3>::new()),
                ),
            };
        Self {
            calls: Owned::new(vec![0; CALLS_WORDS].into_boxed_slice()),
            waiters: [const { Waiter::new() }; WAITERS],
            getters: [const { QueueWaiter::new() }; WAITERS],
            fifo,
            heap,
            lifo,
        }
    }
}

impl<'m, 'c> Object<'m, 'c> {
    fn new(script: &Script, rt: Handle<'c>, storage: &'m mut Storage) -> Self {
        let Storage { calls, waiters, getters, fifo, heap, lifo } = storage;
        let size = script.size.unwrap_or(0);
        match script.kind {
            Kind::Condition => Self::Condition(Condition::new(waiters)),
            Kind::Event => Self::Event(Event::new(waiters)),
            Kind::Semaphore => Self::Semaphore(Semaphore::new(size, waiters)),
            Kind::Bounded => Self::Bounded(BoundedSemaphore::new(size, waiters)),
            Kind::Lock => Self::Lock(Lock::new(waiters)),
            Kind::Queue => Self::Queue(Queue::new(fifo, getters)),
            Kind::Priority => Self::Priority(PriorityQueue::new(heap, getters)),
            Kind::Lifo => Self::Lifo(LifoQueue::new(lifo, getters)),
            Kind::Calls => Self::Calls(Calls {
                table: Callbacks::new(rt, &mut calls.block(), CALLS_MAX),
                asked: RefCell::default(),
            }),
            Kind::Several | Kind::Periodic => Self::Nothing,
        }
    }
}

/// What an operation gave, in Tornado's words.
type Gave = Result<String, TimedOut>;

fn done() -> Gave {
    Ok("done".into())
}

fn granted<T>(waited: Result<T, impl std::fmt::Debug>) -> Gave {
    waited.expect("there is a waiter for each task");
    Ok("granted".into())
}

fn told<T>(result: Result<T, impl std::fmt::Debug>, refusal: &str) -> Gave {
    Ok(if result.is_ok() { "done" } else { refusal }.into())
}

impl<'c> Play<'c> {
    fn log(&self, task: Option<usize>, number: u64, what: String) {
        self.trace.borrow_mut().push(Line { at: self.units(), task, number, what });
    }

    /// Units since the begin.
    fn units(&self) -> u64 {
        (self.rt.now() - self.begin).as_micros() / UNIT_US
    }

    /// The moment of this operation, so many rounds from now, and not in the past.
    fn deadline(&self, number: u64, rounds: u64) -> Instant {
        let now = self.units();
        let at = (now / self.round + rounds) * self.round + number;
        let at = if at > now { at } else { at + self.round };
        self.begin + Duration::from_micros(at * UNIT_US)
    }

    async fn within<F: Future>(
        &self,
        number: u64,
        timeout: Timeout,
        future: F,
    ) -> Result<F::Output, TimedOut> {
        match timeout {
            Timeout::Never => Ok(future.await),
            Timeout::AtOnce => self.rt.timeout(Duration::ZERO, future).await,
            Timeout::Rounds(rounds) => {
                self.rt.timeout_at(self.deadline(number, rounds - 1), future).await
            }
        }
    }

    async fn task(&self, task: usize, steps: &[(u64, Op)], object: &Object<'_, 'c>) {
        let mut held = VecDeque::new();
        for (number, op) in steps {
            let gave = Box::pin(self.step(*number, op, object, &mut held)).await;
            let what = gave.unwrap_or("timeout".into());
            self.log(Some(task), *number, format!("{} {what}", op.name()));
        }
        // One by one, the first one first.
        held.into_iter().for_each(Permit::release);
    }

    async fn step<'o>(
        &self,
        number: u64,
        op: &Op,
        object: &'o Object<'_, 'c>,
        held: &mut VecDeque<Permit<'o>>,
    ) -> Gave {
        if let Op::Sleep(rounds) = op {
            self.rt.sleep_until(self.deadline(number, *rounds)).await;
            return done();
        }
        match object {
            Object::Condition(condition) => match op {
                Op::Wait(timeout) => {
                    granted(self.within(number, *timeout, condition.wait()).await?)
                }
                Op::Notify(count) => {
                    condition.notify(*count);
                    done()
                }
                _ => {
                    condition.notify_all();
                    done()
                }
            },
            Object::Event(event) => self.event(number, op, event).await,
            Object::Semaphore(semaphore) => {
                let release = || {
                    semaphore.release();
                    done()
                };
                self.hold(number, op, || semaphore.acquire(), release, held).await
            }
            Object::Bounded(semaphore) => {
                let release = || told(semaphore.release(), "too often");
                self.hold(number, op, || semaphore.acquire(), release, held).await
            }
            Object::Lock(lock) => {
                let release = || told(lock.release(), "too often");
                self.hold(number, op, || lock.acquire(), release, held).await
            }
            Object::Queue(queue) => self.queue(number, op, queue).await,
            Object::Priority(queue) => self.queue(number, op, queue).await,
            Object::Lifo(queue) => self.queue(number, op, queue).await,
            Object::Calls(calls) => self.call(number, op, calls),
            Object::Nothing => self.several(number, op).await,
        }
    }

    async fn hold<'o, A>(
        &self,
        number: u64,
        op: &Op,
        acquire: impl FnOnce() -> A,
        release: impl FnOnce() -> Gave,
        held: &mut VecDeque<Permit<'o>>,
    ) -> Gave
    where
        A: Future<Output = Result<Permit<'o>, Full>>,
    {
        match op {
            Op::Take(timeout) | Op::Acquire(timeout) => {
                let permit = self.within(number, *timeout, acquire()).await?;
                let permit = permit.expect("there is a waiter for each task");
                match op {
                    Op::Take(_) => permit.forget(),
                    _ => held.push_back(permit),
                }
                Ok("granted".into())
            }
            Op::Release => release(),
            _ => Ok(match held.pop_front() {
                Some(permit) => {
                    permit.release();
                    "done".into()
                }
                None => "none".into(),
            }),
        }
    }

    async fn event(&self, number: u64, op: &Op, event: &Event<'_>) -> Gave {
        match op {
            Op::Wait(timeout) => {
                return granted(self.within(number, *timeout, event.wait()).await?);
            }
            Op::Set => event.set(),
            Op::Clear => event.clear(),
            _ => return Ok(event.is_set().to_string()),
        }
        done()
    }

    async fn queue<S>(&self, number: u64, op: &Op, queue: &AnyQueue<'_, S>) -> Gave
    where
        S: queues::Order<Item = u64> + ?Sized,
    {
        match op {
            Op::Put(item, timeout) => {
                granted(self.within(number, *timeout, queue.put(*item)).await?)
            }
            Op::Get(timeout) => {
                let item = self.within(number, *timeout, queue.get()).await?;
                Ok(item.expect("there is a waiter for each task").to_string())
            }
            Op::PutNowait(item) => told(queue.put_nowait(*item), "full"),
            Op::GetNowait => Ok(queue.get_nowait().map_or("empty".into(), |item| item.to_string())),
            Op::TaskDone => told(queue.task_done(), "too often"),
            Op::Join(timeout) => granted(self.within(number, *timeout, queue.join()).await?),
            _ => {
                let empty = if queue.is_empty() { " empty" } else { "" };
                let full = if queue.is_full() { " full" } else { "" };
                Ok(format!("{} of {}{empty}{full}", queue.len(), queue.maxsize()))
            }
        }
    }

    fn call(&self, number: u64, op: &Op, calls: &Calls<'_, 'c>) -> Gave {
        let call: Call = Box::new(move |play| play.log(None, number, "called".into()));
        let asked = match op {
            Op::CallAt(rounds) => calls.table.call_at(self.deadline(number, *rounds), call),
            Op::CallLater(rounds) => {
                calls.table.call_later(self.deadline(number, *rounds) - self.rt.now(), call)
            }
            Op::Cancel(of) => {
                let mut asked = calls.asked.borrow_mut();
                let Some(at) = asked.iter().position(|(number, _)| number == of) else {
                    return Ok("none".into());
                };
                let was_waiting = calls.table.cancel(asked.swap_remove(at).1);
                return Ok(if was_waiting { "done" } else { "none" }.into());
            }
            _ => unreachable!("an operation of another kind: {op:?}"),
        };
        let id = asked.expect("there is room for each operation's call");
        calls.asked.borrow_mut().push((number, id));
        done()
    }

    /// Gives its number, once its moment has come.
    async fn after(&self, number: u64, rounds: u64) -> u64 {
        self.rt.sleep_until(self.deadline(number, rounds)).await;
        number
    }

    async fn all<const N: usize>(&self, number: u64, rounds: &[u64]) -> String {
        let after = |place: usize| self.after(number + place as u64, rounds[place]);
        let places = multi(std::array::from_fn::<_, N, _>(after)).await;
        places.map(|at| (at - number).to_string()).join(" ")
    }

    async fn several(&self, number: u64, op: &Op) -> Gave {
        match op {
            Op::All(rounds) => Ok(match rounds.len() {
                1 => self.all::<1>(number, rounds).await,
                2 => self.all::<2>(number, rounds).await,
                3 => self.all::<3>(number, rounds).await,
                4 => self.all::<4>(number, rounds).await,
                _ => self.all::<5>(number, rounds).await,
            }),
            Op::Each(rounds) => {
                let after = |(at, rounds): (u64, &u64)| Box::pin(self.after(number + at, *rounds));
                let mut futures: Vec<_> = (0..).zip(rounds).map(after).collect();
                let mut ready = WaitIterator::new(&mut futures);
                let mut order = Vec::new();
                while let Some(at) = ready.next().await {
                    assert_eq!(ready.current_index(), usize::try_from(at - number).ok());
                    order.push(format!("{} at {}", at - number, self.units()));
                }
                Ok(order.join(", "))
            }
            Op::Within(limit, rounds) => {
                let inner = self.after(number + 1, *rounds);
                self.rt.timeout_at(self.deadline(number, *limit), inner).await?;
                Ok("granted".into())
            }
            _ => unreachable!("an operation of another kind: {op:?}"),
        }
    }

    async fn periodic(&self, periodic: &PeriodicCallback<'_>, spans: &[u64]) {
        let called = Cell::new(0);
        periodic.start();
        let calls = periodic.run_async(async || {
            let number = called.replace(called.get() + 1);
            if called.get() == spans.len() {
                periodic.stop();
            }
            self.log(None, number as u64, "called".into());
            let until =
                self.begin + Duration::from_micros((self.units() + spans[number]) * UNIT_US);
            self.rt.sleep_until(until).await;
        });
        match calls.await {}
    }
}
