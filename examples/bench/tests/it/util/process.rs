//! A process that serves, seen from outside and ended with its value.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{Client, PATIENCE, until};

/// What a server prints before its address.
const LISTENING: &str = "listening on http://";

/// A process that this test started.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    errors: Option<JoinHandle<String>>,
}

/// How a process ended and what it had said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Process {
    /// Starts a program.
    pub(crate) fn start(words: &[&str], environment: &[(&str, &str)]) -> Self {
        // The kernel ends it with the thread that started it, should the test be killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).args(words);
        command.env_remove("RUST_BACKTRACE").env_remove("DUSTDEVIL_LOG");
        command.envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("setpriv, which every Debian has");
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            // A test that has ended listens no more.
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line).ok());
        });
        let mut errors = child.stderr.take().unwrap();
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            errors.read_to_string(&mut text).expect("text on standard error");
            text
        });
        Self { child, lines, errors: Some(errors) }
    }

    /// Starts a server on a free port.
    pub(crate) fn serve(program: &str, options: &[&str]) -> (Self, SocketAddr) {
        let own = [program, "--address", "127.0.0.1", "--port", "0"];
        let process = Self::start(&[&own[..], options].concat(), &[]);
        let address = process.address();
        (process, address)
    }

    /// Starts one of this binary's ignored tests as a process of its own.
    pub(crate) fn child(test: &str, environment: &[(&str, &str)]) -> Self {
        let own = std::env::current_exe().unwrap();
        let words = ["--exact", test, "--ignored", "--nocapture", "--test-threads=1"];
        Self::start(&[&[own.to_str().unwrap()], &words[..]].concat(), environment)
    }

    /// Where it listens, once it says so.
    pub(crate) fn address(&self) -> SocketAddr {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).expect("a line that says where it listens");
            // The harness of a child begins the line with the test's name.
            if let Some((_, address)) = line.split_once(LISTENING) {
                return address.parse().expect("an address");
            }
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it has ended.
    pub(crate) fn end(mut self) -> Ended {
        let code = until("the process ends", || self.child.try_wait().unwrap()).code();
        let errors = self.errors.take().map(|errors| errors.join().unwrap()).unwrap_or_default();
        Ended { code, output: self.lines.iter().map(|line| line + "\n").collect(), errors }
    }

    /// Asks it to end by SIGTERM: that gives 0, and no complaint but of a limit that was hit.
    pub(crate) fn terminate(self) {
        self.signal(Signal::TERM);
        let ended = self.end();
        let complaints: Vec<_> =
            ended.errors.lines().filter(|line| !line.contains("a limit is hit")).collect();
        assert_eq!((ended.code, complaints), (Some(0), vec![]));
    }

    /// Kilobytes of memory that it has in use, of its own and not of a file.
    pub(crate) fn resident_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Descriptors that it has open.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap().count()
    }

    /// Waits until it has no more than `count` descriptors open: nothing leaked.
    pub(crate) fn descriptors_settle(&self, count: usize) {
        until("the descriptors come back", || (self.descriptors() <= count).then_some(()));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Connects until nobody is there any more.
pub(crate) fn refuses(at: SocketAddr) {
    until("the port is closed", || std::net::TcpStream::connect(at).is_err().then_some(()));
}

/// Lets the server come to rest: what was sent before has been seen by then.
pub(crate) fn settle(at: SocketAddr) {
    assert_eq!(Client::connect(at).get("/").status, 200);
    std::thread::sleep(Duration::from_millis(50));
}
