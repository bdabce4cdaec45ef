//! What a script is: tasks that use one lock or queue, calls of the loop, or several futures at
//! once. Made from a seed; its text is what Tornado's side reads.

use std::collections::BTreeSet;
use std::fmt;

use dustdevil_core::sim::Rng;

/// Microseconds in a unit: one tick of the timer wheel.
pub const UNIT_US: u64 = 1_024;

/// How many times periods are drawn until Tornado's floating point decides nothing.
const DRAWS_MAX: usize = 100;

/// What a script is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the thing of its name")]
pub enum Kind {
    Condition,
    Event,
    Semaphore,
    Bounded,
    Lock,
    Queue,
    Priority,
    Lifo,
    Calls,
    Several,
    Periodic,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Condition,
        Self::Event,
        Self::Semaphore,
        Self::Bounded,
        Self::Lock,
        Self::Queue,
        Self::Priority,
        Self::Lifo,
        Self::Calls,
        Self::Several,
        Self::Periodic,
    ];

    /// Its name in the text of a script.
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// How long a task waits at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// For ever.
    Never,
    /// Not at all.
    AtOnce,
    /// Until the operation's own moment of a round: of the one under way, for 1.
    Rounds(u64),
}

/// One operation. Rounds say when: at the operation's own moment, so many rounds from now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is Tornado's method of its name")]
pub enum Op {
    Sleep(u64),
    Wait(Timeout),
    Notify(usize),
    NotifyAll,
    Set,
    Clear,
    IsSet,
    /// `acquire`, for somebody to release by hand.
    Take(Timeout),
    Release,
    /// `acquire`, held until a `Drop` or the task's end.
    Acquire(Timeout),
    Drop,
    Put(u64, Timeout),
    Get(Timeout),
    PutNowait(u64),
    GetNowait,
    TaskDone,
    Join(Timeout),
    Size,
    CallAt(u64),
    CallLater(u64),
    /// Takes back the call that the operation of this number asked for.
    Cancel(u64),
    /// Sleeps of so many rounds, all at once, and what each gave.
    All(Vec<u64>),
    /// The same, in the order in which they are done.
    Each(Vec<u64>),
    /// A sleep of the second within the first.
    Within(u64, u64),
}

impl Op {
    /// How many numbers, and so moments of their own, it takes.
    fn width(&self) -> u64 {
        match self {
            Self::All(rounds) | Self::Each(rounds) => rounds.len() as u64,
            Self::Within(..) => 2,
            _ => 1,
        }
    }

    /// Its name and arguments.
    fn words(&self) -> Vec<String> {
        let timed = |name: &str, timeout: &Timeout| {
            let word = match timeout {
                Timeout::Never => "-".into(),
                Timeout::AtOnce => "0".into(),
                Timeout::Rounds(rounds) => rounds.to_string(),
            };
            vec![name.to_owned(), word]
        };
        let counted = |name: &str, count: u64| vec![name.to_owned(), count.to_string()];
        let listed = |name: &str, rounds: &[u64]| {
            let words = rounds.iter().map(u64::to_string);
            std::iter::once(name.to_owned()).chain(words).collect()
        };
        match self {
            Self::Sleep(rounds) => counted("sleep", *rounds),
            Self::Wait(timeout) => timed("wait", timeout),
            Self::Notify(count) => counted("notify", *count as u64),
            Self::NotifyAll => vec!["notify_all".into()],
            Self::Set => vec!["set".into()],
            Self::Clear => vec!["clear".into()],
            Self::IsSet => vec!["is_set".into()],
            Self::Take(timeout) => timed("take", timeout),
            Self::Release => vec!["release".into()],
            Self::Acquire(timeout) => timed("acquire", timeout),
            Self::Drop => vec!["drop".into()],
            Self::Put(item, timeout) => {
                let mut words = timed("put", timeout);
                words.insert(1, item.to_string());
                words
            }
            Self::Get(timeout) => timed("get", timeout),
            Self::PutNowait(item) => counted("put_nowait", *item),
            Self::GetNowait => vec!["get_nowait".into()],
            Self::TaskDone => vec!["task_done".into()],
            Self::Join(timeout) => timed("join", timeout),
            Self::Size => vec!["size".into()],
            Self::CallAt(rounds) => counted("call_at", *rounds),
            Self::CallLater(rounds) => counted("call_later", *rounds),
            Self::Cancel(number) => counted("cancel", *number),
            Self::All(rounds) => listed("all", rounds),
            Self::Each(rounds) => listed("each", rounds),
            Self::Within(limit, rounds) => listed("within", &[*limit, *rounds]),
        }
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.words().swap_remove(0)
    }
}

/// A callback at equal intervals: how long each call takes, and by how much each is moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Periods {
    /// The interval, in units.
    pub interval: u64,
    /// The window that intervals are drawn from, in 1/1,000 of it; a multiple of 125.
    pub jitter_permille: u16,
    /// What the jitter is drawn from.
    pub seed: u32,
    /// Whether Tornado's callback sleeps, and does not block.
    pub is_coroutine: bool,
    /// How long each call takes, in units; the last one stops it.
    pub spans: Vec<u64>,
}

impl Periods {
    /// By how many microseconds each interval is moved: the draws of `PeriodicCallback`, whose
    /// generator is Marsaglia's xorshift of 32 bits.
    fn offsets_us(&self) -> Vec<u64> {
        let window_us = self.interval * UNIT_US * u64::from(self.jitter_permille) / 1_000;
        let mut random = self.seed;
        let mut draw = || {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            (window_us * u64::from(random)) >> 32
        };
        self.spans.iter().map(|_| draw()).collect()
    }

    /// Whether some call ends within a microsecond or two of a moment at which one is due, where
    /// what Tornado's floating point loses decides whether that one is skipped.
    fn is_close(&self) -> bool {
        let interval_us = self.interval * UNIT_US;
        let window_us = interval_us * u64::from(self.jitter_permille) / 1_000;
        let (mut due_us, mut ended_us) = (0, 0);
        let mut calls = self.spans.iter().zip(self.offsets_us());
        window_us > 0
            && calls.any(|(span, offset_us)| {
                let length_us = interval_us - window_us / 2 + offset_us;
                let late_us: u64 = ended_us - due_us;
                due_us += (late_us / length_us + 1) * length_us;
                ended_us = (due_us.div_ceil(UNIT_US) + span) * UNIT_US;
                late_us > 0 && (late_us + 2) % length_us <= 4
            })
    }
}

/// A script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The seed that it was made from.
    pub number: u64,
    /// What it is about.
    pub kind: Kind,
    /// The value of a semaphore, the size of a queue.
    pub size: Option<usize>,
    /// The intervals of a [`Kind::Periodic`].
    pub periods: Periods,
    /// The operations of each task, with their numbers.
    pub tasks: Vec<Vec<(u64, Op)>>,
    /// How many units a round has: more than there are numbers.
    pub round: u64,
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "script {} {}", self.number, self.kind.name())?;
        if let Some(size) = self.size {
            write!(f, " {size}")?;
        }
        if self.kind == Kind::Periodic {
            let Periods { interval, jitter_permille, is_coroutine, spans, .. } = &self.periods;
            write!(f, " {interval} {jitter_permille} {}", u8::from(*is_coroutine))?;
            for number in spans.iter().chain(&self.periods.offsets_us()) {
                write!(f, " {number}")?;
            }
        }
        writeln!(f)?;
        for task in &self.tasks {
            writeln!(f, "task")?;
            for (number, op) in task {
                writeln!(f, "{number} {}", op.words().join(" "))?;
            }
        }
        writeln!(f, "run {}", self.round)
    }
}

impl Script {
    /// The script of this seed, about this.
    pub fn new(number: u64, kind: Kind) -> Self {
        let mut rng = Rng::new(number ^ (kind as u64) << 48);
        let size = match kind {
            Kind::Semaphore | Kind::Bounded => Some(rng.range(0, 3) as usize),
            Kind::Queue | Kind::Priority | Kind::Lifo => Some(rng.range(1, 3) as usize),
            _ => None,
        };
        let mut script =
            Self { number, kind, size, periods: Periods::default(), tasks: Vec::new(), round: 1 };
        if kind == Kind::Periodic {
            let mut drawn = (0..DRAWS_MAX).map(|_| periods(&mut rng));
            script.periods = drawn.find(|periods| !periods.is_close()).expect("most are not close");
            return script;
        }
        let mut numbers = 0;
        for _ in 0..rng.range(2, 7) {
            let (rng, by_hand) = (rng.fork(), number.is_multiple_of(2));
            let mut writer = Writer { kind, by_hand, rng, numbers, steps: Vec::new() };
            writer.write();
            numbers = writer.numbers;
            script.tasks.push(writer.steps);
        }
        script.round = numbers + 1;
        script
    }

    /// The numbers of operations whose order within one instant Tornado leaves to a set.
    pub fn unordered(&self) -> BTreeSet<u64> {
        let is_unordered = |op: &Op| match op {
            Op::Join(_) => true,
            Op::Wait(_) => self.kind == Kind::Event,
            _ => false,
        };
        let steps = self.tasks.iter().flatten();
        steps.filter(|(_, op)| is_unordered(op)).map(|(number, _)| *number).collect()
    }
}

fn periods(rng: &mut Rng) -> Periods {
    let calls = rng.range(10, 40);
    Periods {
        interval: rng.range(1, 20),
        jitter_permille: if rng.hits(500) { 0 } else { 125 * rng.range(1, 8) as u16 },
        seed: rng.range(1, 1 << 30) as u32,
        is_coroutine: rng.hits(500),
        spans: (0..calls).map(|_| if rng.hits(500) { 0 } else { rng.range(0, 50) }).collect(),
    }
}

/// Writes one task.
struct Writer {
    kind: Kind,
    by_hand: bool,
    rng: Rng,
    numbers: u64,
    steps: Vec<(u64, Op)>,
}

impl Writer {
    fn write(&mut self) {
        for _ in 0..self.rng.range(3, 12) {
            let op = self.operation();
            // Whoever is granted an unordered wait does nothing that others see in that instant.
            let pauses = matches!(op, Op::Join(_)) || self.kind == Kind::Event && is_wait(&op);
            self.push(op);
            if pauses {
                let rounds = self.rounds();
                self.push(Op::Sleep(rounds));
            }
        }
    }

    fn push(&mut self, op: Op) {
        let number = self.numbers;
        self.numbers += op.width();
        self.steps.push((number, op));
    }

    fn rounds(&mut self) -> u64 {
        // Most moments lie within a round, so that tasks meet.
        if self.rng.hits(700) { 0 } else { self.rng.range(1, 2) }
    }

    fn several(&mut self) -> Vec<u64> {
        (0..self.rng.range(1, 5)).map(|_| self.rng.range(0, 4)).collect()
    }

    fn timeout(&mut self) -> Timeout {
        let is_quiet = matches!(self.steps.last(), Some((_, Op::Sleep(_))));
        match self.rng.range(0, 5) {
            0 if is_quiet => Timeout::AtOnce,
            0..=2 => Timeout::Rounds(1 + self.rounds()),
            _ => Timeout::Never,
        }
    }

    fn operation(&mut self) -> Op {
        if self.rng.hits(300) {
            return Op::Sleep(self.rounds());
        }
        let (timeout, number) = (self.timeout(), self.numbers);
        let dice = self.rng.range(0, 9);
        match (self.kind, dice) {
            (Kind::Condition, 0..=5) | (Kind::Event, 0..=4) => Op::Wait(timeout),
            (Kind::Condition, 6 | 7) => Op::Notify(self.rng.range(0, 3) as usize),
            (Kind::Condition, _) => Op::NotifyAll,
            (Kind::Event, 5 | 6) => Op::Set,
            (Kind::Event, 7 | 8) => Op::Clear,
            (Kind::Event, _) => Op::IsSet,
            (Kind::Semaphore | Kind::Bounded | Kind::Lock, _) => self.hold(dice, timeout),
            (Kind::Queue | Kind::Priority | Kind::Lifo, _) => self.queue(dice, timeout),
            (Kind::Calls, 0..=3) => Op::CallAt(self.rounds()),
            (Kind::Calls, 4..=6) => Op::CallLater(self.rounds()),
            (Kind::Calls, _) => Op::Cancel(self.rng.range(0, number)),
            (Kind::Several | Kind::Periodic, 0..=2) => Op::All(self.several()),
            (Kind::Several | Kind::Periodic, 3..=5) => Op::Each(self.several()),
            (Kind::Several | Kind::Periodic, _) => Op::Within(self.rounds(), self.rounds()),
        }
    }

    /// An operation of a semaphore: by hand, or by a guard. With a bound the two are not mixed: a
    /// guard whose permit was given back by hand is a mistake, and ours says so by a panic.
    fn hold(&mut self, dice: u64, timeout: Timeout) -> Op {
        let by_hand = if self.kind == Kind::Semaphore { self.rng.hits(500) } else { self.by_hand };
        match (dice, by_hand) {
            (0..=5, true) => Op::Take(timeout),
            (_, true) => Op::Release,
            (0..=5, false) => Op::Acquire(timeout),
            (_, false) => Op::Drop,
        }
    }

    fn queue(&mut self, dice: u64, timeout: Timeout) -> Op {
        // Items are not equal, and their order is not that in which they come.
        let item = self.rng.range(0, 9) * 1_000 + self.numbers;
        match dice {
            0..=2 => Op::Put(item, timeout),
            3..=5 => Op::Get(timeout),
            6 if timeout == Timeout::Never => Op::Size,
            6 => Op::PutNowait(item),
            7 => Op::GetNowait,
            8 => Op::TaskDone,
            _ => Op::Join(timeout),
        }
    }
}

fn is_wait(op: &Op) -> bool {
    matches!(op, Op::Wait(_))
}
