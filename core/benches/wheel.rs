//! The timer wheel against a binary heap and tokio-util's `DelayQueue`, in one run.
//!
//! All three get the same deadlines and keep the same number of timers alive:
//! - *insert+cancel*: a random timer is cancelled and armed again, with a deadline in a minute;
//! - *insert+expire*: all timers are armed within a minute and then pulled in order; a pair is one
//!   operation;
//! - *re-arm*: a request comes in on a random connection and moves its 30 s timeout; now and then
//!   the clock moves, and what is due is pulled and armed again. (Deadlines that only grow are the
//!   best case of a heap: it appends.)
//!
//! Ratios count, since a machine's nanoseconds drift; the rounds of the three alternate and the
//! best round of each is taken. Only what disagrees with the others fails the run, never a time.
//! The `DelayQueue` stands in a tokio runtime whose clock is paused; moving that clock is not
//! timed. Run by `cargo test`, without `--bench`, it is a quick check that all three agree.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::poll_fn;
use std::hint::black_box;
use std::process::ExitCode;
use std::task::Poll;
use std::time::{Duration as StdDuration, Instant as Watch};

use dustdevil_core::time::{Duration, Instant};
use dustdevil_core::wheel::{Timer, TimerId, TimerWheel, words};
use tokio::runtime::Runtime;
use tokio_util::time::delay_queue::{DelayQueue, Key};

const SPAN_US: u64 = 60_000_000;
/// A little short of 30 s: no deadline lies within a tick of a step of the clock, where the three
/// would round differently.
const TIMEOUT_US: u64 = 29_995_000;

/// What the three have in common. A timer is known by the number of its owner, below `timers`.
trait Queue {
    fn new(timers: usize) -> Self;
    /// Arms `owner`'s timer, which is not armed, `after_us` from now.
    fn insert(&mut self, owner: usize, after_us: u64);
    fn cancel(&mut self, owner: usize);
    /// Moves the clock; not timed.
    fn advance(&mut self, by_us: u64);
    /// Pulls what is due and gives the owners, in order.
    fn pull(&mut self, fired: &mut Vec<usize>);
}

struct Wheel {
    wheel: TimerWheel<'static>,
    ids: Vec<Option<TimerId>>,
    /// The owner of the timer in each node: what the reactor's table of wakers is.
    owners: Vec<usize>,
    now: Instant,
}

impl Queue for Wheel {
    fn new(timers: usize) -> Self {
        // Leaked: a few megabytes a run, so that the owner of the memory needs no lifetime here.
        let nodes = (0..timers).map(|_| Timer::free()).collect::<Vec<_>>().leak();
        let slots = vec![0; words(timers)].leak();
        Self {
            wheel: TimerWheel::new(nodes, slots, Instant::ZERO),
            ids: vec![None; timers],
            owners: vec![0; timers],
            now: Instant::ZERO,
        }
    }

    fn insert(&mut self, owner: usize, after_us: u64) {
        let at = self.now + Duration::from_micros(after_us);
        let id = self.wheel.insert(at).expect("a node for each owner");
        self.owners[id.index()] = owner;
        self.ids[owner] = Some(id);
    }

    fn cancel(&mut self, owner: usize) {
        let id = self.ids[owner].take().expect("an armed timer");
        assert!(self.wheel.cancel(id));
    }

    fn advance(&mut self, by_us: u64) {
        self.now += Duration::from_micros(by_us);
    }

    fn pull(&mut self, fired: &mut Vec<usize>) {
        while let Some(id) = self.wheel.pop_expired(self.now) {
            fired.push(self.owners[id.index()]);
        }
    }
}

/// A heap that cannot remove from its middle: what is cancelled stays as a corpse, and corpses are
/// swept once they are the majority.
struct Heap {
    heap: BinaryHeap<Reverse<(u64, u64, usize)>>,
    /// The stamp of the owner's armed timer; 0 while it has none.
    armed: Vec<u64>,
    alive: usize,
    stamp: u64,
    now_us: u64,
}

impl Queue for Heap {
    fn new(timers: usize) -> Self {
        let heap = BinaryHeap::with_capacity(2 * timers + 65);
        Self { heap, armed: vec![0; timers], alive: 0, stamp: 0, now_us: 0 }
    }

    fn insert(&mut self, owner: usize, after_us: u64) {
        self.stamp += 1;
        self.armed[owner] = self.stamp;
        self.alive += 1;
        self.heap.push(Reverse((self.now_us + after_us, self.stamp, owner)));
    }

    fn cancel(&mut self, owner: usize) {
        self.armed[owner] = 0;
        self.alive -= 1;
        if self.heap.len() > 2 * self.alive + 64 {
            self.heap.retain(|&Reverse((_, stamp, owner))| self.armed[owner] == stamp);
        }
    }

    fn advance(&mut self, by_us: u64) {
        self.now_us += by_us;
    }

    fn pull(&mut self, fired: &mut Vec<usize>) {
        while let Some(&Reverse((at, stamp, owner))) = self.heap.peek() {
            if at > self.now_us {
                return;
            }
            self.heap.pop();
            if self.armed[owner] == stamp {
                self.armed[owner] = 0;
                self.alive -= 1;
                fired.push(owner);
            }
        }
    }
}

struct Delays {
    queue: DelayQueue<usize>,
    keys: Vec<Option<Key>>,
    // Dropped last: the queue's own timer belongs to it.
    runtime: Runtime,
}

impl Queue for Delays {
    fn new(timers: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime of one thread");
        let queue = runtime.block_on(async { DelayQueue::with_capacity(timers) });
        Self { queue, keys: vec![None; timers], runtime }
    }

    fn insert(&mut self, owner: usize, after_us: u64) {
        let _inside = self.runtime.enter();
        self.keys[owner] = Some(self.queue.insert(owner, StdDuration::from_micros(after_us)));
    }

    fn cancel(&mut self, owner: usize) {
        let _inside = self.runtime.enter();
        self.queue.remove(&self.keys[owner].take().expect("an armed timer"));
    }

    fn advance(&mut self, by_us: u64) {
        self.runtime.block_on(tokio::time::advance(StdDuration::from_micros(by_us)));
    }

    fn pull(&mut self, fired: &mut Vec<usize>) {
        let queue = &mut self.queue;
        // Unconstrained: the cooperative budget would make the queue feign that it is empty.
        self.runtime.block_on(tokio::task::unconstrained(poll_fn(|cx| {
            while let Poll::Ready(Some(expired)) = queue.poll_expired(cx) {
                fired.push(expired.into_inner());
            }
            Poll::Ready(())
        })));
    }
}

/// The least time of an operation in each workload, and what must be the same for all queues.
#[derive(Clone, Copy, Debug)]
struct Cost {
    insert_cancel_ns: f64,
    insert_expire_ns: f64,
    rearm_ns: f64,
    /// How many timers fired, and their owners' numbers summed.
    fired: (u64, u64),
}

impl Cost {
    fn each(self) -> [f64; 3] {
        [self.insert_cancel_ns, self.insert_expire_ns, self.rearm_ns]
    }

    /// The better of two rounds, which must have fired alike.
    fn best(self, other: Self) -> Self {
        assert_eq!(self.fired, other.fired, "two rounds with the same deadlines differ");
        Self {
            insert_cancel_ns: self.insert_cancel_ns.min(other.insert_cancel_ns),
            insert_expire_ns: self.insert_expire_ns.min(other.insert_expire_ns),
            rearm_ns: self.rearm_ns.min(other.rearm_ns),
            fired: self.fired,
        }
    }
}

/// The owners and spans of one round, drawn beforehand so that drawing is not timed.
struct Plan {
    timers: usize,
    spans_us: Vec<u64>,
    owners: Vec<usize>,
}

impl Plan {
    fn new(timers: usize, operations: usize) -> Self {
        // xorshift64*: the same plan on every machine.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 1
        };
        let operations = operations.max(timers);
        Self {
            timers,
            spans_us: (0..operations).map(|_| next() % SPAN_US).collect(),
            owners: (0..operations).map(|_| next() as usize % timers).collect(),
        }
    }

    fn run<Q: Queue>(&self) -> Cost {
        let mut queue = Q::new(self.timers);
        let mut fired = Vec::with_capacity(self.timers);
        let mut count = (0, 0);
        let insert_expire_ns = self.insert_expire(&mut queue, &mut fired, &mut count);
        let insert_cancel_ns = self.insert_cancel(&mut queue);
        let rearm_ns = self.rearm(&mut queue, &mut fired, &mut count);
        // All that is armed fires once more, which shows that nobody lost a timer.
        queue.advance(2 * SPAN_US);
        fired.clear();
        queue.pull(&mut fired);
        fired.sort_unstable();
        assert!(fired.iter().copied().eq(0..self.timers), "a timer was lost, or fired twice");
        Cost { insert_cancel_ns, insert_expire_ns, rearm_ns, fired: count }
    }

    fn insert_expire<Q: Queue>(
        &self,
        queue: &mut Q,
        fired: &mut Vec<usize>,
        count: &mut (u64, u64),
    ) -> f64 {
        let mut spent = StdDuration::ZERO;
        let rounds = self.spans_us.chunks_exact(self.timers);
        let operations = rounds.len() * self.timers;
        for spans_us in rounds {
            let watch = Watch::now();
            for (owner, &span_us) in spans_us.iter().enumerate() {
                queue.insert(owner, span_us);
            }
            spent += watch.elapsed();
            // In eight steps, so that cascades reach every level.
            for _ in 0..8 {
                queue.advance(SPAN_US / 8 + 2_000);
                fired.clear();
                let watch = Watch::now();
                queue.pull(black_box(fired));
                spent += watch.elapsed();
                *count = (count.0 + fired.len() as u64, count.1 + sum(fired));
            }
        }
        assert_eq!(count.0, operations as u64, "each timer fires once");
        per_operation(spent, operations)
    }

    fn insert_cancel<Q: Queue>(&self, queue: &mut Q) -> f64 {
        for owner in 0..self.timers {
            queue.insert(owner, self.spans_us[owner]);
        }
        let watch = Watch::now();
        for (&owner, &span_us) in self.owners.iter().zip(&self.spans_us) {
            queue.cancel(owner);
            queue.insert(owner, span_us);
        }
        let spent = watch.elapsed();
        for owner in 0..self.timers {
            queue.cancel(owner);
        }
        per_operation(spent, self.owners.len())
    }

    fn rearm<Q: Queue>(
        &self,
        queue: &mut Q,
        fired: &mut Vec<usize>,
        count: &mut (u64, u64),
    ) -> f64 {
        for owner in 0..self.timers {
            queue.insert(owner, TIMEOUT_US);
        }
        // Each connection is heard of about every ten seconds, so some fall silent and time out.
        let requests = self.timers.clamp(16, 1_000);
        let step_us = 10_000_000 / self.timers as u64 * requests as u64;
        let mut spent = StdDuration::ZERO;
        for owners in self.owners.chunks(requests) {
            queue.advance(step_us);
            fired.clear();
            let watch = Watch::now();
            queue.pull(fired);
            for &owner in fired.iter() {
                queue.insert(owner, TIMEOUT_US);
            }
            for &owner in owners {
                queue.cancel(owner);
                queue.insert(owner, TIMEOUT_US);
            }
            spent += watch.elapsed();
            *count = (count.0 + fired.len() as u64, count.1 + sum(fired));
        }
        per_operation(spent, self.owners.len())
    }
}

fn sum(fired: &[usize]) -> u64 {
    fired.iter().map(|&owner| owner as u64).sum()
}

fn per_operation(spent: StdDuration, operations: usize) -> f64 {
    spent.as_nanos() as f64 / operations as f64
}

fn main() -> ExitCode {
    let measuring = std::env::args().any(|argument| argument == "--bench");
    // Unoptimised, each removal from a `DelayQueue` asserts by walking its slot: few timers, then.
    let sizes: &[usize] = if measuring { &[16, 1_000, 100_000] } else { &[16, 200] };
    let (rounds, operations) = if measuring { (5, 400_000) } else { (1, 2_000) };
    let names = ["insert+cancel", "insert+expire", "re-arm"];
    let mut of_wheel = Vec::new();

    println!("ns an operation, best of {rounds} rounds; ratios to the wheel");
    println!(
        "{:29} {:>9} {:>9} {:>10} {:>9} {:>10}",
        "", "wheel", "heap", "DelayQueue", "heap", "DelayQueue"
    );
    for &timers in sizes {
        let plan = Plan::new(timers, operations);
        let round = || [plan.run::<Wheel>(), plan.run::<Heap>(), plan.run::<Delays>()];
        let mut best = round();
        for _ in 1..rounds {
            let next = round();
            best = [0, 1, 2].map(|queue| best[queue].best(next[queue]));
        }
        let [wheel, heap, delays] = best;
        if wheel.fired != heap.fired || wheel.fired != delays.fired {
            let fired = best.map(|cost| cost.fired);
            eprintln!("{timers} timers: wheel, heap and DelayQueue fired {fired:?} (count, sum)");
            return ExitCode::FAILURE;
        }
        for (workload, name) in names.iter().enumerate() {
            let [wheel, heap, delays] = best.map(|cost| cost.each()[workload]);
            println!(
                "{timers:7} timers {name:14} {wheel:9.1} {heap:9.1} {delays:10.1} {:9.2} {:10.2}",
                heap / wheel,
                delays / wheel,
            );
        }
        of_wheel.push(wheel.each());
    }
    for (workload, name) in names.iter().enumerate() {
        let (few, many) = (of_wheel[0][workload], of_wheel[sizes.len() - 1][workload]);
        let (least, most) = (sizes[0], sizes[sizes.len() - 1]);
        println!("the wheel's {name:14} at {most} : {least} timers = {:.2}", many / few);
    }
    ExitCode::SUCCESS
}
