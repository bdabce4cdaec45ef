//! A virtual world: one clock, one wire, the stack under test at one end of it and anything that
//! can be written in Rust at the other.
//!
//! The clock stands still while code runs (unless the faults say what work costs) and jumps to
//! whatever comes next when the stack waits. Nothing here hangs: when nothing can happen any more,
//! and when the stack goes round without time moving, the world panics with its seed.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::env;
use std::fmt::Write;
use std::rc::Rc;
use std::thread;

use dustdevil_core::sim::Rng;
use dustdevil_core::time::{Clock, Instant};
use dustdevil_smoltcp::{Nic, Park};

use crate::frame::{self, Arp, NET_MAC, RST, Segment};
use crate::wire::{End, Faults, Wire};

/// Looks at the clock or the interface at one instant without a frame moving: beyond, it is a spin.
const IDLE_STEPS_MAX: u32 = 2_000;
/// Waits of one world: beyond, it makes no progress.
const WAITS_MAX: u32 = 2_000_000;
/// Lines of the story that a failed test shows.
const LINES: usize = 60;

/// Who is at the other end.
pub(crate) trait Far {
    /// A frame arrived.
    fn frame(&mut self, now: u64, frame: &[u8]);
    /// Acts, and puts what it sends into `send`.
    fn turn(&mut self, now: u64, send: &mut Vec<Vec<u8>>);
    /// When it wants to act if nothing arrives before.
    fn next_at(&mut self, now: u64) -> Option<u64>;
}

/// One call of [`Park::park`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    /// When it began, in microseconds.
    pub(crate) began: u64,
    pub(crate) until: Option<u64>,
    /// Whether the stack let it happen.
    pub(crate) is_allowed: bool,
    /// When it was over.
    pub(crate) ended: u64,
}

/// What the world counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Frames that the stack sent.
    pub(crate) sent: u32,
    /// RSTs among them.
    pub(crate) resets: u32,
    /// Frames that the stack fetched.
    pub(crate) fetched: u32,
    /// Frames that its interface had no room for.
    pub(crate) overrun: u32,
    /// Calls of `park`.
    pub(crate) waits: u32,
    /// Looks for a frame where there was none.
    pub(crate) empty: u32,
}

struct Inner<'w> {
    seed: u64,
    now: u64,
    wire: Wire,
    inbox: VecDeque<Vec<u8>>,
    /// What the stack sent and nobody took, where there is nobody at the other end.
    /// With the time at which it came out.
    outbox: VecDeque<(u64, Vec<u8>)>,
    far: Option<Box<dyn Far + 'w>>,
    /// How many frames waited when the interrupt was armed; only a further one raises it. `None`:
    /// it is masked.
    armed_at: Option<usize>,
    answers_arp: bool,
    waits: Vec<Wait>,
    keeps_waits: bool,
    counts: Counts,
    idle_steps: u32,
    hash: u64,
    lines: VecDeque<String>,
}

/// The world; a clone is the same one.
#[derive(Clone)]
pub(crate) struct World<'w>(Rc<RefCell<Inner<'w>>>);

/// How many seeds a test runs: `default`, or `DUSTDEVIL_LINK_SEEDS` if that says more.
pub(crate) fn seeds(default: u64) -> u64 {
    let wanted = env::var("DUSTDEVIL_LINK_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    default.max(wanted.unwrap_or(0))
}

/// Runs the harness itself without counting what it allocates.
pub(crate) fn outside<R>(run: impl FnOnce() -> R) -> R {
    let mut result = None;
    allocation_counter::opt_out(|| result = Some(run()));
    result.expect("it ran")
}

impl<'w> World<'w> {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        let mut rng = Rng::new(seed);
        let wire = Wire::new(faults, rng.fork());
        Self(Rc::new(RefCell::new(Inner {
            seed,
            // Not 0, and just below 2^32 microseconds: what keeps time in 32 bits shows it.
            now: (1 << 32) - rng.range(1, 2_000_000),
            wire,
            inbox: VecDeque::new(),
            outbox: VecDeque::new(),
            far: None,
            armed_at: None,
            answers_arp: true,
            waits: Vec::new(),
            keeps_waits: true,
            counts: Counts::default(),
            idle_steps: 0,
            hash: 0xcbf2_9ce4_8422_2325,
            lines: VecDeque::new(),
        })))
    }

    /// Puts somebody at the other end.
    pub(crate) fn set_far(&self, far: impl Far + 'w) {
        let mut inner = self.0.borrow_mut();
        inner.far = Some(Box::new(far));
        inner.keeps_waits = false;
    }

    /// The stack's network interface.
    pub(crate) fn nic(&self) -> Port<'w> {
        Port(self.clone())
    }

    /// The stack's clock.
    pub(crate) fn park(&self) -> Parker<'w> {
        Parker(self.clone())
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_micros(self.0.borrow().now)
    }

    pub(crate) fn counts(&self) -> Counts {
        self.0.borrow().counts
    }

    /// The hash of all that happened.
    pub(crate) fn hash(&self) -> u64 {
        self.0.borrow().hash
    }

    /// The waits since the last time somebody asked.
    pub(crate) fn take_waits(&self) -> Vec<Wait> {
        std::mem::take(&mut self.0.borrow_mut().waits)
    }

    /// Whether questions for an address are answered by the world.
    pub(crate) fn answer_arp(&self, does: bool) {
        self.0.borrow_mut().answers_arp = does;
    }

    /// Changes the wire's faults from here on.
    pub(crate) fn set_faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.0.borrow_mut().wire.faults);
    }

    /// Puts a frame onto the wire, to the stack under test.
    pub(crate) fn send(&self, frame: &[u8]) {
        self.0.borrow_mut().launch(End::Net, frame);
    }

    /// Lets a frame arrive `delay_us` from now, whatever the faults are.
    pub(crate) fn send_later(&self, delay_us: u64, frame: &[u8]) {
        let mut inner = self.0.borrow_mut();
        inner.note("     -> will arrive", frame);
        let at = inner.now + delay_us;
        inner.wire.launch(at, End::Net, frame.to_vec());
    }

    /// The next frame that the stack sent, where nobody is at the other end.
    pub(crate) fn sent(&self) -> Option<Vec<u8>> {
        self.0.borrow_mut().outbox.pop_front().map(|(_, frame)| frame)
    }

    /// When the next frame that nobody took was sent.
    pub(crate) fn sent_at(&self) -> Option<Instant> {
        let inner = self.0.borrow();
        inner.outbox.front().map(|(at, _)| Instant::from_micros(*at))
    }

    /// Puts frames back that were taken too early, before all others.
    pub(crate) fn unsend(&self, frames: Vec<Vec<u8>>) {
        let mut inner = self.0.borrow_mut();
        let now = inner.now;
        frames.into_iter().rev().for_each(|frame| inner.outbox.push_front((now, frame)));
    }

    /// How many frames the stack sent and nobody took.
    pub(crate) fn sent_len(&self) -> usize {
        self.0.borrow().outbox.len()
    }

    /// How many frames wait at the stack's interface.
    pub(crate) fn inbox_len(&self) -> usize {
        let mut inner = self.0.borrow_mut();
        inner.advance();
        inner.inbox.len()
    }
}

impl Inner<'_> {
    /// Notes what happened: a line, and the bytes behind it.
    fn note(&mut self, what: &str, frame: &[u8]) {
        let mut hash = self.hash;
        let mut add = |bytes: &[u8]| {
            for &byte in bytes {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        };
        add(&self.now.to_le_bytes());
        add(what.as_bytes());
        add(frame);
        self.hash = hash;
        let mut line = String::new();
        let (secs, micros) = (self.now / 1_000_000, self.now % 1_000_000);
        let _ = write!(line, "{secs}.{micros:06} {what}");
        if !frame.is_empty() {
            let _ = write!(line, " {}", frame::show(frame));
        }
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    fn launch(&mut self, to: End, frame: &[u8]) {
        let fate = self.wire.send(self.now, to, frame);
        let what = match to {
            End::Net => format!("     -> {fate}"),
            End::Far => format!("<-      {fate}"),
        };
        self.note(&what, frame);
        if to == End::Net {
            self.idle_steps = 0;
        }
    }

    /// Delivers what has arrived by now, and lets the other end act.
    fn advance(&mut self) {
        loop {
            let mut has_moved = false;
            while let Some((to, frame)) = self.wire.arrival(self.now) {
                has_moved = true;
                match to {
                    End::Net if self.inbox.len() < self.wire.faults.inbox_max => {
                        self.inbox.push_back(frame);
                    }
                    End::Net => self.counts.overrun += 1,
                    End::Far => match &mut self.far {
                        Some(far) => far.frame(self.now, &frame),
                        None => self.outbox.push_back((self.now, frame)),
                    },
                }
            }
            has_moved |= self.turn_far();
            if !has_moved || self.wire.next_at().is_none_or(|at| at > self.now) {
                return;
            }
        }
    }

    fn turn_far(&mut self) -> bool {
        let Some(mut far) = self.far.take() else {
            return false;
        };
        let mut sent = Vec::new();
        far.turn(self.now, &mut sent);
        for frame in &sent {
            self.launch(End::Net, frame);
        }
        self.far = Some(far);
        !sent.is_empty()
    }

    /// When something happens by itself.
    fn next_at(&mut self) -> Option<u64> {
        let now = self.now;
        let far = self.far.as_mut().and_then(|far| far.next_at(now));
        let flight = self.wire.next_at();
        flight.into_iter().chain(far).min()
    }

    fn step(&mut self) {
        self.idle_steps += 1;
        let (seed, steps) = (self.seed, self.idle_steps);
        assert!(steps < IDLE_STEPS_MAX, "seed {seed}: a spin: {steps} steps and nothing moves");
    }

    /// Waits for an interrupt of the stack's interface, or until `until`.
    fn wait(&mut self, until: Option<u64>) {
        let seed = self.seed;
        assert!(self.counts.waits < WAITS_MAX, "seed {seed}: {WAITS_MAX} waits and no end");
        if self.wire.hits(|faults| faults.spurious_permille) {
            // Somewhere on the way to what would end it; not at once, or it would be a spin.
            let end = self.next_at().into_iter().chain(until).min();
            let Some(end) = end else { return };
            self.now = self.now.max(self.now + end.saturating_sub(self.now) / 2);
            self.idle_steps = 0;
            self.advance();
            return;
        }
        loop {
            self.advance();
            let is_raised = self.armed_at.is_some_and(|at| self.inbox.len() > at);
            if is_raised || until.is_some_and(|until| until <= self.now) {
                return;
            }
            let Some(end) = self.next_at().into_iter().chain(until).min() else {
                panic!("seed {seed}: a hang: the stack waits, and nothing can happen any more");
            };
            if end > self.now {
                self.idle_steps = 0;
                self.now = end;
            } else {
                self.step();
            }
        }
    }
}

impl Drop for Inner<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let lines: Vec<_> = self.lines.drain(..).collect();
            println!("the world of seed {} ended so:\n{}", self.seed, lines.join("\n"));
        }
    }
}

/// The stack's end of the wire.
pub(crate) struct Port<'w>(World<'w>);

impl Nic for Port<'_> {
    fn address(&self) -> [u8; 6] {
        NET_MAC
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        outside(|| {
            let mut inner = self.0.0.borrow_mut();
            inner.advance();
            loop {
                let Some(frame) = inner.inbox.pop_front() else {
                    inner.counts.empty += 1;
                    inner.step();
                    return None;
                };
                inner.idle_steps = 0;
                inner.counts.fetched += 1;
                if let Some(place) = buffer.get_mut(..frame.len()) {
                    place.copy_from_slice(&frame);
                    inner.note("      > fetched", &frame);
                    return Some(frame.len());
                }
            }
        })
    }

    fn can_transmit(&mut self) -> bool {
        let mut inner = self.0.0.borrow_mut();
        inner.step();
        !inner.wire.hits(|faults| faults.busy_permille)
    }

    fn transmit(&mut self, frame: &[u8]) {
        outside(|| {
            let mut inner = self.0.0.borrow_mut();
            inner.counts.sent += 1;
            let is_reset = Segment::parse(frame).is_some_and(|segment| segment.flags & RST != 0);
            inner.counts.resets += u32::from(is_reset);
            let question = Arp::parse(frame).filter(|arp| arp.operation == 1);
            match question {
                Some(arp) if inner.far.is_none() && inner.answers_arp => {
                    inner.note("<-      asked", frame);
                    inner.launch(End::Net, &arp.answer().frame());
                }
                _ => inner.launch(End::Far, frame),
            }
            inner.advance();
        });
    }

    fn arm(&mut self) -> bool {
        outside(|| {
            let mut inner = self.0.0.borrow_mut();
            let next = inner.wire.next_at();
            if let Some(at) = next.filter(|_| inner.wire.hits(|faults| faults.race_permille)) {
                inner.now = inner.now.max(at);
            }
            inner.advance();
            inner.armed_at = Some(inner.inbox.len());
            inner.inbox.is_empty()
        })
    }
}

/// The stack's clock, and its way to wait.
pub(crate) struct Parker<'w>(World<'w>);

impl Clock for Parker<'_> {
    fn now(&self) -> Instant {
        outside(|| {
            let mut inner = self.0.0.borrow_mut();
            inner.step();
            inner.now += inner.wire.work();
            Instant::from_micros(inner.now)
        })
    }
}

impl Park for Parker<'_> {
    fn park(&mut self, until: Option<Instant>, may_wait: &mut dyn FnMut() -> bool) {
        let until = until.map(Instant::as_micros);
        let began = self.0.0.borrow().now;
        let is_past = until.is_some_and(|until| until <= began);
        let is_allowed = !is_past && may_wait();
        outside(|| {
            let mut inner = self.0.0.borrow_mut();
            inner.counts.waits += 1;
            if is_allowed {
                inner.note("waits", &[]);
                inner.wait(until);
            }
            inner.armed_at = None;
            inner.step();
            let ended = inner.now;
            if inner.keeps_waits {
                inner.waits.push(Wait { began, until, is_allowed, ended });
            }
        });
    }
}
