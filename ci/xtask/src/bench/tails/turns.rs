//! The server under callgrind, which gives each turn of its loop a count of its own.
//!
//! The server calls an empty function before each wait; callgrind dumps its counters there, into a
//! file each, of which only the total is kept. What a server sees in one turn is settled by
//! stopping its process while the clients act: then the kernel has everything ready at once.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::metadata;
use crate::process::Beside;

/// How long the server may take to become quiet, or to stop.
const PATIENCE: Duration = Duration::from_secs(100);
/// How often in a row the server is seen waiting before it is taken to be quiet.
const LOOKS: usize = 5;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// The function between two turns, wherever the compiler's name for it begins and ends.
const MARK: &str = "*a_turn_ends*";
/// The base of the dumps' names: a number follows, but for what is written at the end.
const FILE: &str = "callgrind.turns";

/// What the server is started with.
#[derive(Clone, Copy)]
pub(super) struct Setup {
    /// Connections in its table.
    pub(super) connections: usize,
    /// Slots for requests.
    pub(super) requests: usize,
    /// Tasks beside the server that sleep.
    pub(super) tasks: usize,
    /// Calls beside the server that wait.
    pub(super) calls: usize,
}

/// A server whose turns can be counted.
pub(super) struct Recorder {
    /// None: it was ended.
    server: Option<Server>,
    folder: PathBuf,
    id: Pid,
    /// Where it listens.
    pub(super) address: SocketAddr,
}

/// The example `tails`, running.
pub(super) struct Server {
    beside: Beside,
    /// Where it listens.
    pub(super) address: SocketAddr,
}

impl Server {
    /// Starts it, built before, for so many connections, with these words before its own.
    pub(super) fn start(before: &[&str], connections: usize) -> Result<Self> {
        let binary = metadata::target_folder()?.join("release/examples/tails");
        let own = ["--address", "127.0.0.1", "--port", "0", "--workers", "1", "--connections"];
        let mut words: Vec<String> = before.iter().map(|word| (*word).to_owned()).collect();
        words.push(binary.display().to_string());
        words.extend(own.map(str::to_owned));
        words.push(connections.to_string());
        // Callgrind counts every round of a `rep movs` as one instruction: glibc is told not to
        // use them, so that a copy costs what it costs.
        let environment = [("GLIBC_TUNABLES", "glibc.cpu.hwcaps=-ERMS,-FSRM")];
        let mut beside = Beside::start(&words, &environment)?;
        let address = beside.wait_for_line("listening on http://", PATIENCE)?;
        let address = address.parse().with_context(|| format!("the address `{address}`"))?;
        Ok(Self { beside, address })
    }

    /// The CPU time that its threads have taken.
    pub(super) fn cpu_time(&self) -> Result<Duration> {
        let mut nanoseconds = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.beside.id()))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let first = text.split_whitespace().next().and_then(|number| number.parse().ok());
            nanoseconds += first.unwrap_or(0);
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Ends it by SIGTERM; it must drain and exit with 0.
    pub(super) fn end(self) -> Result<()> {
        self.beside.end(PATIENCE)
    }
}

impl Recorder {
    /// Starts the server.
    pub(super) fn start(setup: &Setup) -> Result<Self> {
        let folder = metadata::target_folder()?.join("bench/tails");
        // Dumps of an earlier run must not be taken for this one's.
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let file = format!("--callgrind-out-file={}", folder.join(FILE).display());
        let mark = format!("--dump-before={MARK}");
        let environment = [
            format!("TAILS_REQUESTS={}", setup.requests),
            format!("TAILS_TASKS={}", setup.tasks),
            format!("TAILS_CALLS={}", setup.calls),
        ];
        let mut before = vec!["env"];
        before.extend(environment.iter().map(String::as_str));
        before.extend(["valgrind", "--tool=callgrind", &mark, &file]);
        let server = Server::start(&before, setup.connections)?;
        let id = i32::try_from(server.beside.id())
            .ok()
            .and_then(Pid::from_raw)
            .context("a process id")?;
        Ok(Self { address: server.address, server: Some(server), folder, id })
    }

    /// Has the clients act while the server stands still.
    pub(super) fn at_once<T>(&self, act: impl FnOnce() -> Result<T>) -> Result<T> {
        kill_process(self.id, Signal::STOP).context("stop the server")?;
        let deadline = Instant::now() + PATIENCE;
        while !self.states()?.iter().all(|&state| state == 'T') {
            ensure!(Instant::now() < deadline, "the server does not stop");
            sleep(Duration::from_millis(1));
        }
        let outcome = act();
        kill_process(self.id, Signal::CONT).context("let the server go on")?;
        outcome
    }

    /// Waits until the server has nothing left to do.
    pub(super) fn quiet(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let (mut quiet, mut seen) = (0, None);
        while quiet < LOOKS {
            ensure!(Instant::now() < deadline, "the server does not become quiet");
            sleep(LOOK);
            let now = self.dumps()?.len();
            let waits = self.states()?.iter().all(|&state| state == 'S');
            quiet = if waits && seen == Some(now) { quiet + 1 } else { 0 };
            seen = Some(now);
        }
        Ok(())
    }

    /// Waits until it is [`quiet`](Self::quiet), and takes the counts of the turns since this was
    /// last called, in their order.
    pub(super) fn turns(&self) -> Result<Vec<u64>> {
        self.quiet()?;
        self.take()
    }

    /// Ends the server by SIGTERM: the counts of its last turns. With the last one come the few
    /// instructions that end a process.
    pub(super) fn end(&mut self) -> Result<Vec<u64>> {
        self.server.take().context("the server was ended before")?.end()?;
        let mut turns = self.take()?;
        turns.push(total(&self.folder.join(FILE))?);
        Ok(turns)
    }

    fn take(&self) -> Result<Vec<u64>> {
        let mut dumps = self.dumps()?;
        dumps.sort_unstable();
        let mut totals = Vec::new();
        for number in dumps {
            let file = self.folder.join(format!("{FILE}.{number}"));
            totals.push(total(&file)?);
            fs::remove_file(&file)?;
        }
        Ok(totals)
    }

    fn dumps(&self) -> Result<Vec<usize>> {
        let names = fs::read_dir(&self.folder)?.map(|entry| Ok(entry?.file_name()));
        let names = names.collect::<Result<Vec<_>>>()?;
        Ok(names.iter().filter_map(|name| number_of(name.to_str()?)).collect())
    }

    /// What each of the server's threads is doing, as the kernel's letter.
    fn states(&self) -> Result<Vec<char>> {
        let folder = format!("/proc/{}/task", self.id.as_raw_nonzero());
        let mut states = Vec::new();
        for task in fs::read_dir(&folder).with_context(|| format!("read {folder}"))? {
            let text = fs::read_to_string(task?.path().join("stat"))?;
            states.push(state_in(&text).context("a state in a `stat`")?);
        }
        if states.is_empty() {
            bail!("{folder} has no thread");
        }
        Ok(states)
    }
}

/// The number behind a dump's name.
fn number_of(name: &str) -> Option<usize> {
    name.strip_prefix(FILE)?.strip_prefix('.')?.parse().ok()
}

/// The letter behind the name, which may itself have spaces and brackets.
fn state_in(stat: &str) -> Option<char> {
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The instructions of one dump.
fn total(file: &std::path::Path) -> Result<u64> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let facts: HashMap<&str, &str> =
        text.lines().filter_map(|line| line.split_once(": ")).collect();
    let total = facts.get("totals").and_then(|total| total.trim().parse().ok());
    total.with_context(|| format!("{} has no total", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_states_and_totals_are_read() -> Result<()> {
        assert_eq!(number_of("callgrind.turns.12"), Some(12));
        assert_eq!(number_of("callgrind.turns"), None);
        assert_eq!(state_in("7 (worker 0) x) S 1 7"), Some('S'));
        let file = std::env::temp_dir().join(format!("tails-total-{}", std::process::id()));
        fs::write(&file, "events: Ir\nfn=(1) a: b\n1 2\ntotals: 1234\n")?;
        let read = total(&file);
        fs::remove_file(&file)?;
        assert_eq!(read?, 1234);
        Ok(())
    }
}
