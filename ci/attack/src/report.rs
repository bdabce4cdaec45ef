//! What an attack did, and whether that is too much.

use std::fmt;
use std::time::Duration;

use crate::bystander::Visits;
use crate::crowd::Tally;
use crate::watch::{Figures, GAUGES, Memory};

/// What an attack may do at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The longest that a good client waits.
    pub answer: Duration,
    /// How much the server's resident memory may grow, in KiB.
    pub growth_kib: u64,
}

impl Bounds {
    /// Two seconds, 1 MiB.
    pub const LINUX: Self = Self { answer: Duration::from_secs(2), growth_kib: 1_024 };
    /// Four seconds.
    pub const BOARD: Self = Self { answer: Duration::from_secs(4), ..Self::LINUX };
}

/// What an attack did.
#[derive(Clone, Debug)]
pub struct Report {
    /// The attackers' connections.
    pub tally: Tally,
    /// The good clients: with a connection for each request, and with one for all.
    pub visits: [Visits; 2],
    /// The most memory that was seen.
    pub peak: Option<Memory>,
    /// The server before.
    pub before: Figures,
    /// The server afterwards, at rest or as it was when its time for that was over.
    pub after: Figures,
    /// How long that took.
    pub rest: Duration,
}

impl Report {
    /// The longest that a good client waited for an answer.
    pub fn longest(&self) -> Duration {
        self.visits.iter().map(Visits::longest).max().unwrap_or_default()
    }

    /// How much more resident memory there was meanwhile, and is now, in KiB.
    pub fn growth_kib(&self) -> [u64; 2] {
        [self.peak, self.after.memory].map(|memory| match (self.before.memory, memory) {
            (Some(before), Some(now)) => now.resident.saturating_sub(before.resident),
            _ => 0,
        })
    }

    /// How far a counter went.
    pub fn counted(&self, name: &str) -> u64 {
        let [before, after] =
            [&self.before, &self.after].map(|own| own.counters.get(name).copied());
        after.unwrap_or_default().saturating_sub(before.unwrap_or_default())
    }

    /// What is beyond the bounds, in words; nothing: all is well.
    pub fn complaints(&self, bounds: &Bounds) -> Vec<String> {
        let mut complaints = Vec::new();
        for (visits, whose) in self.visits.iter().zip(["a new connection", "a kept one"]) {
            if visits.longest() > bounds.answer {
                complaints.push(format!("on {whose} an answer took {:.2?}", visits.longest()));
            }
            if visits.failures > 0 {
                let told = visits.told.join("; ");
                complaints.push(format!("on {whose} {} failed: {told}", visits.failures));
            }
            if visits.waits.is_empty() {
                complaints.push(format!("on {whose} nobody was answered"));
            }
        }
        if self.tally.connected == 0 {
            complaints.push("no attacker was connected".to_owned());
        }
        for (growth, when) in self.growth_kib().iter().zip(["meanwhile", "afterwards"]) {
            if *growth > bounds.growth_kib {
                complaints.push(format!("{growth} KiB more are resident {when}"));
            }
        }
        if self.before.descriptors != self.after.descriptors {
            let (before, after) = (self.before.descriptors, self.after.descriptors);
            complaints.push(format!("{before:?} descriptors before, {after:?} after"));
        }
        for name in GAUGES {
            let (before, after) = (self.before.counters.get(*name), self.after.counters.get(*name));
            if before != after {
                complaints.push(format!("{name}: {before:?} before, {after:?} after"));
            }
        }
        complaints
    }
}

/// One line.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [new, kept] = &self.visits;
        let answers = new.waits.len() + kept.waits.len();
        let failures = new.failures + kept.failures;
        let [peak, now] = self.growth_kib();
        let Tally { connected, refused, cut_off, reset, answered: [good, bad, busy], bytes } =
            self.tally;
        let [sent, received] = bytes.map(|bytes| bytes >> 10);
        write!(
            f,
            "longest {:.3?} (new {:.3?}, kept {:.3?}), {answers} answers, {failures} failures, {} \
             again; RSS +{peak} KiB peak, +{now} KiB after; at rest after {:.1?}; attackers: \
             {connected} connected, {refused} refused, {cut_off} cut off, {reset} reset, answers \
             {good} 2xx {bad} 4xx {busy} 5xx, {sent} KiB sent, {received} KiB received; server: \
             {} requests, {} shed, {} timed out, {} aborted, longest turn {} us",
            self.longest(),
            new.longest(),
            kept.longest(),
            new.again + kept.again,
            self.rest,
            self.counted("requests"),
            self.counted("shed"),
            self.counted("timed_out"),
            self.counted("aborted"),
            self.after.counters.get("longest_turn_us").copied().unwrap_or_default(),
        )
    }
}
