//! The server from outside: its memory and descriptors, and what it counts itself.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::{Plan, REST_MS_MAX, bystander};

/// Between two looks at a server that is not at rest yet.
const LOOK: Duration = Duration::from_millis(50);

/// What a server counts, by name: the lines of `/counters`.
pub type Counters = BTreeMap<String, u64>;

/// The counters of what is in use now: each is to come back to where it was. The others, of what
/// has happened, only grow.
pub const GAUGES: &[&str] = &[
    "open",
    "idle",
    "in_work",
    "heads_out",
    "sources",
    "buffers_lent",
    "sockets_free",
    "sockets_lingering",
    "syns_held",
];

/// A process's resident memory in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// All of it.
    pub resident: u64,
    /// What is not a file's: heap, stacks, tables.
    pub anonymous: u64,
}

impl Memory {
    /// The most of either, in each figure.
    pub(crate) fn max(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
        Some(Self {
            resident: one.resident.max(other.resident),
            anonymous: one.anonymous.max(other.anonymous),
        })
    }
}

/// Everything that is to be as it was.
#[derive(Clone, Debug)]
pub struct Figures {
    /// The process's memory, where it is known.
    pub memory: Option<Memory>,
    /// The process's open descriptors, where it is known.
    pub descriptors: Option<usize>,
    /// What the server counts, while one asks; empty where it has no such page.
    pub counters: Counters,
}

impl Figures {
    fn now(plan: &Plan, kept: &mut Option<TcpStream>) -> Result<Self, String> {
        let page = bystander::fetch(plan.server, kept, "/counters");
        let page = page.map_err(|error| error.to_string())?;
        let lines = page.body.lines().map(|line| counter(line).ok_or_else(|| line.to_owned()));
        let counters = match page.status {
            200 => lines.collect::<Result<Counters, String>>()?,
            404 => Counters::new(),
            status => return Err(format!("/counters: {status}")),
        };
        // The connection that asks has one of the descriptors, as it is among what is counted.
        let descriptors = plan.process.and_then(descriptors);
        Ok(Self { memory: plan.process.and_then(memory), descriptors, counters })
    }

    /// Looks until counters and descriptors are what they were, or are the same twice where they
    /// are not known yet; at most [`REST_MS_MAX`] long, then what they are.
    pub(crate) fn at_rest(plan: &Plan, wanted: Option<&Self>) -> Self {
        let deadline = Instant::now() + Duration::from_millis(REST_MS_MAX);
        let mut before: Option<Self> = wanted.cloned();
        let mut kept = None;
        loop {
            thread::sleep(LOOK);
            let is_late = Instant::now() >= deadline;
            match Self::now(plan, &mut kept) {
                Ok(now) => {
                    if is_late || before.as_ref().is_some_and(|before| before.is_like(&now)) {
                        return now;
                    }
                    before = wanted.cloned().or(Some(now));
                }
                Err(error) => assert!(!is_late, "the server at rest does not answer: {error}"),
            }
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        self.in_use().eq(other.in_use()) && self.descriptors == other.descriptors
    }

    /// What is in use now, of what the server counts.
    pub fn in_use(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let value = |name: &&'static str| Some((*name, *self.counters.get(*name)?));
        GAUGES.iter().filter_map(value)
    }
}

/// `name=value`.
fn counter(line: &str) -> Option<(String, u64)> {
    let (name, value) = line.split_once('=')?;
    Some((name.to_owned(), value.parse().ok()?))
}

/// A process's memory; `None` where there is no such process.
pub(crate) fn memory(process: u32) -> Option<Memory> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let figure = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').trim().strip_suffix(" kB")?.parse().ok()
    };
    Some(Memory { resident: figure("VmRSS")?, anonymous: figure("RssAnon")? })
}

/// A process's open descriptors.
fn descriptors(process: u32) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{process}/fd")).ok()?.count())
}
