//! Queues: against a model over random operations, and with time-outs in the simulator.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::mem;
use std::task::Poll;

use dustdevil_core::handle::Handle;
use dustdevil_core::queues::{
    AnyQueue, DoneTooOften, Full, Get, Join, LifoQueue, Order, PriorityQueue, Put, Queue,
    QueueEmpty, QueueWaiter,
};
use dustdevil_core::sim::{Faults, Rng};
use dustdevil_core::task::TimedOut;
use dustdevil_core::tasks::Tasks;
use dustdevil_core::time::Duration;
use embassy_futures::select::select;
use heapless::Deque;
use heapless::binary_heap::{BinaryHeap, Min};

use crate::locks::{Bells, STEPS, bytes_of};
use crate::util::{BARE, in_world, memory, millis, seeds};

const TASKS: usize = 10;
/// Fewer than tasks, so that the table is full at times.
const WAITERS: usize = 7;
const ROOM: usize = 3;

/// A rank and a serial number: no two are the same.
type Item = (u8, u32);

#[derive(Clone, Copy, PartialEq)]
enum Rule {
    First,
    Lowest,
    Last,
}

/// Tornado's queue without a bound for what comes back, and with its futures as lists.
struct Model {
    rule: Rule,
    items: VecDeque<Item>,
    getters: VecDeque<usize>,
    served: Vec<(usize, Item)>,
    putters: VecDeque<(usize, Item)>,
    put: BTreeSet<usize>,
    joiners: BTreeSet<usize>,
    joined: BTreeSet<usize>,
    unfinished: usize,
}

impl Model {
    fn pop(&mut self) -> Option<Item> {
        match self.rule {
            Rule::First => self.items.pop_front(),
            Rule::Last => self.items.pop_back(),
            Rule::Lowest => {
                let lowest = self.items.iter().min().copied()?;
                self.items.retain(|&item| item != lowest);
                Some(lowest)
            }
        }
    }

    fn put_back(&mut self, item: Item) {
        match self.rule {
            Rule::First => self.items.push_front(item),
            Rule::Last | Rule::Lowest => self.items.push_back(item),
        }
    }

    fn serve(&mut self, item: Item, bells: &mut [Bells]) -> bool {
        let Some(getter) = self.getters.pop_front() else { return false };
        self.served.push((getter, item));
        bells[getter].expect();
        true
    }

    /// Tornado: `put_nowait`.
    fn put_nowait(&mut self, item: Item, bells: &mut [Bells]) -> bool {
        if !self.serve(item, bells) {
            if self.items.len() >= ROOM {
                return false;
            }
            self.items.push_back(item);
        }
        self.unfinished += 1;
        true
    }

    /// Tornado: `get_nowait`.
    fn get_nowait(&mut self, bells: &mut [Bells]) -> Option<Item> {
        if self.items.len() == ROOM
            && let Some((putter, item)) = self.putters.pop_front()
        {
            self.items.push_back(item);
            self.unfinished += 1;
            self.put.insert(putter);
            bells[putter].expect();
        }
        self.pop()
    }

    /// The getter leaves as if it had never waited.
    fn leave(&mut self, getter: usize, bells: &mut [Bells]) {
        self.getters.retain(|&other| other != getter);
        let Some(at) = self.served.iter().position(|&(other, _)| other == getter) else { return };
        let getters: Vec<_> = self.served[at + 1..].iter().map(|&(getter, _)| getter).collect();
        let items: Vec<_> = self.served.drain(at..).map(|(_, item)| item).collect();
        self.served.extend(getters.into_iter().zip(items.iter().copied()));
        let item = items[items.len() - 1];
        if !self.serve(item, bells) {
            self.put_back(item);
        }
    }

    fn task_done(&mut self, bells: &mut [Bells]) -> bool {
        if self.unfinished == 0 {
            return false;
        }
        self.unfinished -= 1;
        if self.unfinished == 0 {
            for joiner in mem::take(&mut self.joiners) {
                self.joined.insert(joiner);
                bells[joiner].expect();
            }
        }
        true
    }

    fn waiters(&self) -> usize {
        let waiting = self.getters.len() + self.putters.len() + self.joiners.len();
        let through = self.served.len() + self.put.len() + self.joined.len();
        waiting + through + self.items.len().saturating_sub(ROOM)
    }
}

enum Task<'q, 'm, S: Order<Item = Item> + ?Sized> {
    Idle,
    Getting(Get<'q, 'm, S>),
    Putting(Put<'q, 'm, S>, Item),
    Joining(Join<'q, 'm, S>),
}

struct Run<'q, 'm, S: Order<Item = Item> + ?Sized> {
    queue: &'q AnyQueue<'m, S>,
    model: Model,
    bells: Vec<Bells>,
    rng: Rng,
    serial: u32,
    /// How much puts are preferred, in permille; it changes, so that both sides wait at times.
    puts: u16,
    /// How often a task that waits is cancelled instead of polled; that changes as well.
    cancels: u16,
}

impl<'q, 'm, S: Order<Item = Item> + ?Sized> Run<'q, 'm, S> {
    fn item(&mut self) -> Item {
        self.serial += 1;
        (self.rng.range(0, 9) as u8, self.serial)
    }

    fn at_once(&mut self) {
        let Self { queue, model, bells, .. } = self;
        match self.rng.index(8) {
            0 if !self.rng.hits(self.puts) => {
                assert_eq!(queue.get_nowait(), model.get_nowait(bells).ok_or(QueueEmpty));
            }
            1..4 if self.rng.hits(self.puts) => {
                let item = self.item();
                let put = self.queue.put_nowait(item);
                let fits = self.model.put_nowait(item, &mut self.bells);
                assert_eq!(put, if fits { Ok(()) } else { Err(Full(item)) });
            }
            4..7 => {
                let done = queue.task_done();
                assert_eq!(done, if model.task_done(bells) { Ok(()) } else { Err(DoneTooOften) });
            }
            _ => {}
        }
    }

    fn step(&mut self, at: usize, task: Task<'q, 'm, S>) -> Task<'q, 'm, S> {
        match task {
            Task::Idle if self.rng.hits(50) => self.poll_join(at, self.queue.join(), true),
            Task::Idle if self.rng.hits(self.puts) => {
                let item = self.item();
                self.poll_put(at, self.queue.put(item), item, true)
            }
            Task::Idle => self.poll_get(at, self.queue.get(), true),
            task if self.rng.hits(self.cancels) => {
                self.cancel(at, task);
                Task::Idle
            }
            Task::Getting(get) => self.poll_get(at, get, false),
            Task::Putting(put, item) => self.poll_put(at, put, item, false),
            Task::Joining(join) => self.poll_join(at, join, false),
        }
    }

    fn cancel(&mut self, at: usize, task: Task<'q, 'm, S>) {
        match task {
            Task::Idle => {}
            Task::Getting(get) => {
                drop(get);
                self.model.leave(at, &mut self.bells);
            }
            Task::Putting(put, item) => {
                let waited = self.model.putters.iter().position(|&(other, _)| other == at);
                waited.map(|place| self.model.putters.remove(place));
                self.model.put.remove(&at);
                assert_eq!(put.into_item(), waited.map(|_| item));
            }
            Task::Joining(join) => {
                drop(join);
                self.model.joiners.remove(&at);
                self.model.joined.remove(&at);
            }
        }
    }

    fn poll_get(&mut self, at: usize, mut get: Get<'q, 'm, S>, first: bool) -> Task<'q, 'm, S> {
        let polled = self.bells[at].poll(&mut self.rng, &mut get);
        let known = self.model.served.iter().position(|&(other, _)| other == at);
        let expected = match known {
            Some(place) => Some(self.model.served.remove(place).1),
            None if first => self.model.get_nowait(&mut self.bells),
            None => None,
        };
        match polled {
            Poll::Ready(Ok(item)) => assert_eq!(Some(item), expected),
            Poll::Ready(Err(Full(()))) => {
                assert!(first && expected.is_none() && self.model.waiters() == WAITERS);
            }
            Poll::Pending => {
                assert_eq!(expected, None);
                if first {
                    self.model.getters.push_back(at);
                }
                return Task::Getting(get);
            }
        }
        Task::Idle
    }

    fn poll_put(
        &mut self,
        at: usize,
        mut put: Put<'q, 'm, S>,
        item: Item,
        first: bool,
    ) -> Task<'q, 'm, S> {
        let polled = self.bells[at].poll(&mut self.rng, &mut put);
        let expected = match first {
            true => self.model.put_nowait(item, &mut self.bells),
            false => self.model.put.remove(&at),
        };
        match polled {
            Poll::Ready(Ok(())) => assert!(expected),
            Poll::Ready(Err(Full(back))) => {
                assert!(first && !expected && back == item && self.model.waiters() == WAITERS);
            }
            Poll::Pending => {
                assert!(!expected);
                if first {
                    self.model.putters.push_back((at, item));
                }
                return Task::Putting(put, item);
            }
        }
        Task::Idle
    }

    fn poll_join(&mut self, at: usize, mut join: Join<'q, 'm, S>, first: bool) -> Task<'q, 'm, S> {
        let polled = self.bells[at].poll(&mut self.rng, &mut join);
        let expected = match first {
            true => self.model.unfinished == 0,
            false => self.model.joined.remove(&at),
        };
        match polled {
            Poll::Ready(Ok(())) => assert!(expected),
            Poll::Ready(Err(Full(()))) => {
                assert!(first && !expected && self.model.waiters() == WAITERS);
            }
            Poll::Pending => {
                assert!(!expected);
                if first {
                    self.model.joiners.insert(at);
                }
                return Task::Joining(join);
            }
        }
        Task::Idle
    }

    fn check(&self) {
        let Self { queue, model, .. } = self;
        self.bells.iter().for_each(Bells::check);
        assert_eq!((queue.len(), queue.is_empty()), (model.items.len(), model.items.is_empty()));
        assert_eq!(queue.is_full(), model.items.len() >= ROOM);
        assert_eq!((queue.unfinished(), queue.maxsize()), (model.unfinished, ROOM));
        assert!(model.getters.is_empty() || model.items.is_empty(), "why are getters waiting?");
        assert!(model.putters.is_empty() || model.items.len() >= ROOM, "why are putters waiting?");
    }
}

fn agrees_with_the_model<S>(queue: &AnyQueue<'_, S>, rule: Rule, seed: u64)
where
    S: Order<Item = Item> + ?Sized,
{
    let model = Model {
        rule,
        items: VecDeque::new(),
        getters: VecDeque::new(),
        served: Vec::new(),
        putters: VecDeque::new(),
        put: BTreeSet::new(),
        joiners: BTreeSet::new(),
        joined: BTreeSet::new(),
        unfinished: 0,
    };
    let bells = (0..TASKS).map(|_| Bells::new()).collect();
    let mut run = Run { queue, model, bells, rng: Rng::new(seed), serial: 0, puts: 0, cancels: 0 };
    let mut tasks: Vec<Task<'_, '_, S>> = (0..TASKS).map(|_| Task::Idle).collect();
    let mut kept_max = 0;
    for step in 0..STEPS {
        if step % 64 == 0 {
            run.puts = [100, 500, 900][run.rng.index(3)];
            run.cancels = [50, 250, 950][run.rng.index(3)];
        }
        run.at_once();
        let at = run.rng.index(TASKS);
        let task = mem::replace(&mut tasks[at], Task::Idle);
        tasks[at] = run.step(at, task);
        run.check();
        kept_max = kept_max.max(run.model.items.len().saturating_sub(ROOM));
    }
    assert!(cfg!(miri) || kept_max > 1, "items that came back to a full queue: {kept_max}");
    // What was put and not got is still there, in its order.
    for (at, task) in tasks.into_iter().enumerate() {
        run.cancel(at, task);
    }
    while let Some(item) = run.model.pop() {
        assert_eq!(queue.get_nowait(), Ok(item));
    }
    assert_eq!(queue.get_nowait(), Err(QueueEmpty));
}

#[test]
fn the_three_orders_agree_with_a_model() {
    for seed in 0..seeds(16) {
        let mut waiters = [const { QueueWaiter::new() }; WAITERS];
        let mut items = Deque::<Item, ROOM>::new();
        agrees_with_the_model(&Queue::new(&mut items, &mut waiters), Rule::First, seed);
        let mut items = BinaryHeap::<Item, Min, ROOM>::new();
        agrees_with_the_model(&PriorityQueue::new(&mut items, &mut waiters), Rule::Lowest, seed);
        let mut items = heapless::Vec::<Item, ROOM>::new();
        agrees_with_the_model(&LifoQueue::new(&mut items, &mut waiters), Rule::Last, seed);
    }
}

/// A producer's number, and a serial number.
type Parcel = (usize, u32);

/// What producers and consumers write down.
struct Books {
    rng: RefCell<Rng>,
    put: RefCell<Vec<Parcel>>,
    got: RefCell<Vec<Parcel>>,
    late: Cell<u32>,
    refused: Cell<u32>,
}

impl Books {
    fn pause(&self, most: u64) -> Duration {
        millis(self.rng.borrow_mut().range(0, most))
    }

    async fn produce(&self, rt: Handle<'_>, queue: &Queue<'_, Parcel>, id: usize, rounds: u32) {
        for serial in 0..rounds {
            let item = (id, serial);
            let mut put = queue.put(item);
            match rt.timeout(self.pause(4), &mut put).await {
                Ok(Ok(())) => self.put.borrow_mut().push(item),
                Ok(Err(Full(back))) => {
                    assert_eq!(back, item);
                    self.refused.set(self.refused.get() + 1);
                }
                Err(TimedOut) => {
                    self.late.set(self.late.get() + 1);
                    assert_eq!(put.into_item(), Some(item), "a put is never late");
                }
            }
            rt.sleep(self.pause(3)).await;
        }
    }

    async fn consume(&self, rt: Handle<'_>, queue: &Queue<'_, Parcel>) {
        loop {
            match rt.timeout(self.pause(4), queue.get()).await {
                Ok(Ok(item)) => {
                    self.got.borrow_mut().push(item);
                    assert_eq!(queue.task_done(), Ok(()));
                }
                Ok(Err(Full(()))) => self.refused.set(self.refused.get() + 1),
                Err(TimedOut) => self.late.set(self.late.get() + 1),
            }
            rt.sleep(self.pause(5)).await;
        }
    }

    fn balance(self) {
        let [mut put, mut got] = [self.put.take(), self.got.take()];
        let dull = self.late.get() <= 100 || self.refused.get() == 0 || got.len() <= 300;
        assert!(cfg!(miri) || !dull, "a dull run");
        put.sort_unstable();
        got.sort_unstable();
        assert_eq!(put, got, "what was put was got, once");
    }
}

#[test]
fn time_outs_lose_no_item() {
    const PRODUCERS: usize = 4;
    const CONSUMERS: usize = 5;
    let rounds = if cfg!(miri) { 5 } else { 300 };
    for seed in 0..seeds(16) {
        let capacity = BARE.plus_tasks(PRODUCERS).plus_tasks(CONSUMERS);
        in_world(seed, Faults::seeded(seed), capacity, |world, reactor| {
            let rt = Handle::from(reactor);
            let mut items = Deque::<Parcel, 2>::new();
            let mut waiters = [const { QueueWaiter::new() }; 3];
            let queue = Queue::new(&mut items, &mut waiters);
            let books = Books {
                rng: RefCell::new(world.fork_rng()),
                put: RefCell::default(),
                got: RefCell::default(),
                late: Cell::new(0),
                refused: Cell::new(0),
            };
            let produce = |id: usize| books.produce(rt, &queue, id, rounds);
            let consume = |_| books.consume(rt, &queue);
            let mut slots = memory(bytes_of(&produce, PRODUCERS));
            let producers = Tasks::new(rt, &mut slots.block(), PRODUCERS);
            let mut slots = memory(bytes_of(&consume, CONSUMERS));
            let consumers = Tasks::new(rt, &mut slots.block(), CONSUMERS);
            for id in 0..PRODUCERS.max(CONSUMERS) {
                assert_eq!(producers.spawn(produce(id)).is_ok(), id < PRODUCERS);
                assert_eq!(consumers.spawn(consume(id)).is_ok(), id < CONSUMERS);
            }
            let all_done = async {
                while producers.next().await.is_some() {}
                while queue.join().await.is_err() {
                    rt.sleep(millis(1)).await;
                }
            };
            reactor.run(select(all_done, consumers.next()));
            assert_eq!((queue.len(), queue.unfinished()), (0, 0));
            drop((producers, consumers));
            books.balance();
        });
    }
}

#[test]
fn getters_are_served_in_turn() {
    const CONSUMERS: usize = 6;
    let rounds = if cfg!(miri) { 20 } else { 2_000 };
    in_world(7, Faults::NONE, BARE.plus_tasks(CONSUMERS), |_, reactor| {
        let rt = Handle::from(reactor);
        let mut items = Deque::<usize, 1>::new();
        let mut waiters = [const { QueueWaiter::new() }; CONSUMERS];
        let queue = Queue::new(&mut items, &mut waiters);
        let got = RefCell::new(Vec::new());
        let consumer = |id: usize| {
            let (queue, got) = (&queue, &got);
            async move {
                while let Ok(item) = queue.get().await {
                    got.borrow_mut().push((item, id));
                }
            }
        };
        let mut slots = memory(bytes_of(&consumer, CONSUMERS));
        let consumers = Tasks::new(rt, &mut slots.block(), CONSUMERS);
        for id in 0..CONSUMERS {
            assert!(consumers.spawn(consumer(id)).is_ok());
        }
        let producer = async {
            for item in 0..rounds {
                rt.sleep(millis(1)).await;
                queue.put(item).await.unwrap();
            }
            rt.sleep(millis(1)).await;
        };
        reactor.run(select(producer, consumers.next()));
        let got = got.take();
        assert_eq!(got.len(), rounds);
        assert!(got.iter().enumerate().all(|(at, &turn)| turn == (at, at % CONSUMERS)), "{got:?}");
    });
}
