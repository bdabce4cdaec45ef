//! Runs servers under the tools that count for them: the example `bench`, and its peers.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::load::{self, Head, Shape};
use crate::metadata;
use crate::process::{Beside, cargo};

/// How long a server may take to start or to end, also under callgrind.
const PATIENCE: Duration = Duration::from_secs(60);

/// What most print before their address.
pub(super) const LISTENING: &str = "listening on http://";

/// What callgrind needs in a program's environment: it counts every round of a `rep movs` as one
/// instruction, so glibc is told not to use them, and a copy costs what it costs.
pub(super) const AS_COUNTED: &str = "GLIBC_TUNABLES=glibc.cpu.hwcaps=-ERMS,-FSRM";

/// How a server is started.
pub(super) struct Start {
    /// Program and arguments.
    pub(super) words: Vec<String>,
    /// Where on loopback it will listen; `None`: it prints its address.
    pub(super) port: Option<u16>,
}

impl Start {
    /// These words, of a server that prints its address.
    pub(super) fn of<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Self {
        Self { words: words.into_iter().map(Into::into).collect(), port: None }
    }
}

/// Says how a server is started for so many connections that will ask for this path.
pub(super) type Starter = dyn Fn(&str, usize) -> Result<Start> + Send + Sync;

/// A server that can be started: ours, the floor, or somebody else's.
pub(super) struct Program {
    /// What the table calls it.
    pub(super) name: &'static str,
    /// How it is started.
    pub(super) start: Box<Starter>,
    /// What it prints once it listens; its address stands behind that.
    pub(super) mark: &'static str,
    /// Whether it drains and exits with 0 when it is asked to end.
    pub(super) ends_well: bool,
    /// By how much fewer rounds do where a tool counts: each costs it so much more.
    pub(super) slowness: u64,
}

/// A server that runs.
pub(super) struct Server {
    beside: Beside,
    ends_well: bool,
    /// Where it listens.
    pub(super) address: SocketAddr,
}

impl Program {
    /// The example `bench`.
    pub(super) fn ours() -> Result<Self> {
        Self::ours_with(1)
    }

    /// The example `bench` with so many workers.
    pub(super) fn ours_with(workers: usize) -> Result<Self> {
        let binary = metadata::target_folder()?.join("release/bench");
        Ok(Self::of_ours("dustdevil", &binary, workers))
    }

    /// Any binary with the options of ours.
    pub(super) fn of_ours(name: &'static str, binary: &Path, workers: usize) -> Self {
        let binary = binary.display().to_string();
        let start = move |_: &str, connections: usize| {
            let (workers, connections) = (workers.to_string(), connections.to_string());
            let own = ["--address", "127.0.0.1", "--port", "0", "--workers", &workers];
            let words = [&[binary.as_str()], &own[..], &["--connections", &connections]].concat();
            Ok(Start::of(words))
        };
        Self { name, start: Box::new(start), mark: LISTENING, ends_well: true, slowness: 1 }
    }

    /// Starts it with these words before its own.
    pub(super) fn start(&self, before: &[&str], path: &str, connections: usize) -> Result<Server> {
        let Start { words: own, port } = (self.start)(path, connections)?;
        let mut words: Vec<String> = before.iter().map(|word| (*word).to_owned()).collect();
        words.extend(own);
        let mut beside = Beside::start(&words, &[])?;
        let rest = beside.wait_for_line(self.mark, PATIENCE)?;
        let address = match port {
            Some(port) => SocketAddr::from(([127, 0, 0, 1], port)),
            None => {
                let address = rest.split(['/', ' ']).next().unwrap_or_default();
                address.parse().with_context(|| format!("the address `{address}`"))?
            }
        };
        Ok(Server { beside, ends_well: self.ends_well, address })
    }
}

impl Server {
    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.beside.id()
    }

    /// Ends it by SIGTERM; one that does so well must drain and exit with 0.
    pub(super) fn end(self) -> Result<()> {
        let ended = self.beside.end(PATIENCE);
        if self.ends_well { ended } else { Ok(()) }
    }
}

/// Builds the example `bench`.
pub(super) fn build() -> Result<()> {
    cargo(20).args(["build", "--release", "--locked", "-p", "bench"]).run()
}

/// What is asked of a server that a tool counts for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// With what head.
    pub(super) head: Head,
    /// In what shape.
    pub(super) shape: Shape,
    /// For so many rounds.
    pub(super) rounds: u64,
}

/// A tool that counts something about a program.
#[derive(Clone, Copy)]
pub(super) enum Counter {
    /// Instructions in user space, by callgrind.
    Instructions,
    /// System calls, by strace.
    SystemCalls,
}

impl Counter {
    /// What one request costs: the difference between a long and a short run, so that starting,
    /// connecting and ending cancel out.
    pub(super) fn per_request(self, of: &Program, work: Work) -> Result<f64> {
        let Work { shape, rounds, .. } = work;
        let short = self.count(of, Work { rounds: rounds / 4, ..work })?;
        let long = self.count(of, work)?;
        let requests = (rounds - rounds / 4) * shape.requests();
        if long <= short {
            bail!("{long} after {rounds} rounds and {short} after a quarter of them");
        }
        Ok((long - short) as f64 / requests as f64)
    }

    fn count(self, of: &Program, work: Work) -> Result<u64> {
        let folder = metadata::target_folder()?.join("bench");
        std::fs::create_dir_all(&folder)?;
        // Programs are counted for at the same time, one on each core.
        let file = folder.join(format!("{}.{}", self.name(), of.name));
        // A file of an earlier run must not be taken for this one's.
        if file.exists() {
            std::fs::remove_file(&file)?;
        }
        let server = of.start(&self.words(&file).each(), load::PATH, 256)?;
        work.shape.run(&load::Server::at(server.address).head(work.head), work.rounds)?;
        server.end()?;
        self.read(&file)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Instructions => "callgrind.out",
            Self::SystemCalls => "strace.out",
        }
    }

    fn words(self, file: &Path) -> Words {
        // The kernel lets a batch process wait until the one that woke it sleeps: the generator,
        // which shares its core, has then written all of a round's requests.
        let batch = ["chrt", "--batch", "0"];
        let file = file.display();
        let tool = match self {
            Self::Instructions => vec![
                format!("env {AS_COUNTED}"),
                "valgrind --tool=callgrind".to_owned(),
                format!("--callgrind-out-file={file}"),
            ],
            // -D: the tool is the grandchild, so that the process started here is the server.
            Self::SystemCalls => vec!["strace -D -f -c -o".to_owned(), file.to_string()],
        };
        let tool = tool.iter().flat_map(|part| part.split(' ')).map(str::to_owned);
        Words(batch.into_iter().map(str::to_owned).chain(tool).collect())
    }

    /// Reads the total, which the tool writes once the server has ended.
    fn read(self, file: &Path) -> Result<u64> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let total = match self {
                Self::Instructions => instructions(&text),
                Self::SystemCalls => system_calls(&text),
            };
            if let Some(total) = total {
                return Ok(total);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("{} holds no total", file.display())
    }
}

/// A command's words.
struct Words(Vec<String>);

impl Words {
    fn each(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}

/// The line `totals: 12345` that callgrind writes last.
fn instructions(text: &str) -> Option<u64> {
    let line = text.lines().rev().find_map(|line| line.strip_prefix("totals: "))?;
    line.trim().parse().ok()
}

/// The row `100.00  0.000562  8  65  3 total` that strace writes last; its column of errors is
/// empty when there were none.
fn system_calls(text: &str) -> Option<u64> {
    let row = text.lines().rev().find(|line| line.ends_with(" total"))?;
    row.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_read() {
        assert_eq!(instructions("events: Ir\n1 2\ntotals: 1234\n"), Some(1234));
        assert_eq!(instructions("events: Ir\n1 2\n"), None);
        let table = "% time     seconds  usecs/call     calls    errors syscall\n\
                     ------ ----------- ----------- --------- --------- ----------------\n\
                     \u{20}39.25    0.000250         250         1           execve\n\
                     ------ ----------- ----------- --------- --------- ----------------\n";
        assert_eq!(system_calls(table), None);
        let with_errors =
            format!("{table}100.00    0.000637          19        33         3 total\n");
        assert_eq!(system_calls(&with_errors), Some(33));
        let without = format!("{table}100.00    0.000637          19        33           total\n");
        assert_eq!(system_calls(&without), Some(33));
    }
}
