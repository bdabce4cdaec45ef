//! Plays cases, several at once, and sums up how they ended.
//!
//! Place: the top of the library; `main` and the tests call it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::{self, Display, Formatter};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::case::{Case, Place};
use crate::play::play;
use crate::tables::{self, Room};

/// What is run against whom.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server.
    pub at: SocketAddr,
    /// What it has room for; [`Room::BOARD`] chooses the cases that can hold on a board.
    pub room: Room,
    /// Only cases whose names contain this.
    pub only: String,
    /// How many connections at once.
    pub at_once: usize,
    /// How long an answer may take.
    pub patience: Duration,
}

impl Options {
    /// Every case, as a server on Linux can hold them.
    pub fn linux(at: SocketAddr) -> Self {
        let patience = Duration::from_secs(10);
        Self { at, room: Room::LINUX, only: String::new(), at_once: 24, patience }
    }

    /// What a board can hold: one connection after another, and beside them one that takes long.
    pub fn board(at: SocketAddr) -> Self {
        let patience = Duration::from_secs(20);
        Self { at, room: Room::BOARD, only: String::new(), at_once: 2, patience }
    }
}

/// How it went.
#[derive(Debug, Default)]
pub struct Report {
    /// For each group: how many cases passed, and how many were run.
    pub groups: BTreeMap<String, (usize, usize)>,
    /// The cases that failed: name, section, and what was sent, expected and seen.
    pub failures: Vec<(String, &'static str, String)>,
    /// The cases left out, and why.
    pub left_out: Vec<(String, &'static str)>,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    /// How many cases passed, and how many were run.
    pub fn total(&self) -> (usize, usize) {
        self.groups.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// The names of the cases that failed.
    pub fn failed(&self) -> Vec<&str> {
        self.failures.iter().map(|failure| failure.0.as_str()).collect()
    }
}

impl Display for Report {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        for (name, section, what) in &self.failures {
            writeln!(formatter, "FAIL {name} (RFC {section})\n{what}")?;
        }
        for (group, (passed, run)) in &self.groups {
            writeln!(formatter, "{group:<12}{passed:>5} of {run}")?;
        }
        let (passed, run) = self.total();
        let seconds = self.took.as_secs_f32();
        write!(formatter, "{:<12}{passed:>5} of {run} in {seconds:.1} s", "all")?;
        match self.left_out.len() {
            0 => Ok(()),
            count => write!(formatter, ", {count} left out"),
        }
    }
}

/// The cases that these options choose, and those that cannot hold there.
pub fn chosen(options: &Options) -> (Vec<Case>, Vec<(String, &'static str)>) {
    let mut left_out = Vec::new();
    let mut cases = tables::all(&options.room);
    cases.retain(|case| case.name.contains(&options.only));
    cases.retain(|case| {
        let reason = match case.place {
            Place::NotOnBoards(reason) if options.room.is_board => reason,
            Place::OnBoards(reason) if !options.room.is_board => reason,
            _ => return true,
        };
        left_out.push((case.name.clone(), reason));
        false
    });
    (cases, left_out)
}

/// Plays them.
pub fn run(options: &Options) -> Report {
    let began = Instant::now();
    let (cases, left_out) = chosen(options);
    let report = Report { left_out, ..Report::default() };
    let report = Mutex::new(report);
    let mut slow = VecDeque::new();
    let mut quick = VecDeque::new();
    let mut alone = VecDeque::new();
    for case in cases {
        match (case.alone, case.slow) {
            (true, _) => alone.push_back(case),
            (_, true) => slow.push_back(case),
            _ => quick.push_back(case),
        }
    }
    let (slow, quick) = (Mutex::new(slow), Mutex::new(quick));
    std::thread::scope(|scope| {
        // Half of them begin with what takes long, so that the end does not wait for it.
        for worker in 0..options.at_once {
            let order = if worker % 2 == 0 { [&slow, &quick] } else { [&quick, &slow] };
            let report = &report;
            scope.spawn(move || order.iter().for_each(|queue| drain(options, queue, report)));
        }
    });
    drain(options, &Mutex::new(alone), &report);
    let mut report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.failures.sort();
    report.took = began.elapsed();
    report
}

fn drain(options: &Options, queue: &Mutex<VecDeque<Case>>, report: &Mutex<Report>) {
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    while let Some(case) = next() {
        let outcome = play(options.at, options.patience, &case.script);
        let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = report.groups.entry(case.group().to_owned()).or_default();
        sum.1 += 1;
        match outcome {
            Ok(()) => sum.0 += 1,
            Err(what) => report.failures.push((case.name, case.section, what)),
        }
    }
}
