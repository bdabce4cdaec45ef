//! Starts other programs: each has a deadline, and none outlives xtask.
//!
//! Two small tools that every Debian has do the work that would need `unsafe` here. `setpriv
//! --pdeathsig` lets the kernel end a child when xtask dies, however it dies; `timeout` puts a
//! program into a process group of its own and ends the whole group at the deadline, so that a
//! hanging test goes with the `cargo` that started it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::metadata;

/// What `timeout` exits with when it had to end the program.
const TIMED_OUT: i32 = 124;

/// A program to run to its end.
pub(crate) struct Run {
    shown: String,
    command: Command,
    minutes: u32,
}

impl Run {
    /// `program`, in the workspace's root, with no standard input, ended after `minutes`.
    pub(crate) fn new(program: &str, minutes: u32) -> Self {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "timeout", "--kill-after=10"]);
        command.arg(format!("{minutes}m")).arg(program);
        command.current_dir(metadata::root()).stdin(Stdio::null());
        forget_outer_cargo(&mut command);
        Self { shown: program.to_owned(), command, minutes }
    }

    /// Adds arguments.
    pub(crate) fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        for argument in arguments {
            self.shown.push(' ');
            self.shown.push_str(&argument.as_ref().to_string_lossy());
            self.command.arg(argument);
        }
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.shown = format!("{name}='{}' {}", value.as_ref().to_string_lossy(), self.shown);
        self.command.env(name, value);
        self
    }

    /// Runs it with its output let through; fails unless it exits with 0.
    pub(crate) fn run(mut self) -> Result<()> {
        println!("$ {}", self.shown);
        let status = self.command.status().with_context(|| format!("start {}", self.shown))?;
        self.judge(status.code())
    }

    /// Runs it and returns its standard output; its standard error is let through.
    pub(crate) fn output(mut self) -> Result<String> {
        self.command.stderr(Stdio::inherit());
        let output = self.command.output().with_context(|| format!("start {}", self.shown))?;
        self.judge(output.status.code())?;
        String::from_utf8(output.stdout).with_context(|| format!("output of {}", self.shown))
    }

    /// Runs it without letting anything through; true when it exits with 0.
    pub(crate) fn succeeds(mut self) -> bool {
        self.command.stdout(Stdio::null()).stderr(Stdio::null());
        self.command.status().is_ok_and(|status| status.success())
    }

    /// Runs tests of Rust's own harness, lets their output through, and returns how many passed.
    ///
    /// Fails when none did: a filter or a cfg that selects nothing is a check that cannot fail.
    pub(crate) fn tests(mut self) -> Result<usize> {
        println!("$ {}", self.shown);
        let mut child = self.command.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("the child's output was not piped")?;
        let mut passed = 0;
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            passed += tests_passed(&line);
            println!("{line}");
        }
        self.judge(child.wait()?.code())?;
        if passed == 0 {
            bail!("{} ran no test", self.shown);
        }
        Ok(passed)
    }

    fn judge(&self, code: Option<i32>) -> Result<()> {
        match code {
            Some(0) => Ok(()),
            Some(TIMED_OUT) => bail!("{} took over {} minutes", self.shown, self.minutes),
            Some(code) => bail!("{} exited with {code}", self.shown),
            None => bail!("{} was ended by a signal", self.shown),
        }
    }
}

/// `cargo`, of the toolchain in use.
pub(crate) fn cargo(minutes: u32) -> Run {
    Run::new("cargo", minutes)
}

/// Takes out what `cargo run` set for xtask itself: another toolchain's cargo would believe it.
fn forget_outer_cargo(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let own = name == "CARGO"
            || name == "LD_LIBRARY_PATH"
            || name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_MANIFEST_");
        if own {
            command.env_remove(name);
        }
    }
}

/// The count in `test result: ok. 12 passed; 0 failed; ..`.
fn tests_passed(line: &str) -> usize {
    line.strip_prefix("test result: ok. ")
        .and_then(|rest| rest.split_once(" passed"))
        .and_then(|(count, _)| count.parse().ok())
        .unwrap_or(0)
}

/// A program that runs beside xtask and is ended with the value: a server or a browser.
pub(crate) struct Beside {
    child: Child,
    shown: String,
}

impl Beside {
    /// Starts `words[0]` with the other words as arguments and with `environment` added.
    pub(crate) fn start(words: &[String], environment: &[(&str, &str)]) -> Result<Self> {
        let shown = words.join(" ");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).args(words);
        command.current_dir(metadata::root()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        forget_outer_cargo(&mut command);
        command.envs(environment.iter().copied());
        let child = command.spawn().with_context(|| format!("start {shown}"))?;
        Ok(Self { child, shown })
    }

    /// The process id; `setpriv` and its like replace themselves, so it is the program's own.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until a line on either output contains `mark` and returns what follows it; later lines
    /// are read and dropped, so that the program never blocks on a full pipe.
    pub(crate) fn wait_for_line(
        &mut self,
        mark: &'static str,
        patience: Duration,
    ) -> Result<String> {
        let (sender, lines) = mpsc::channel();
        let stdout: Option<ChildStdout> = self.child.stdout.take();
        let stderr: Option<ChildStderr> = self.child.stderr.take();
        for stream in [
            stdout.map(|stream| Box::new(stream) as Box<dyn Read + Send>),
            stderr.map(|stream| Box::new(stream) as Box<dyn Read + Send>),
        ] {
            let stream = stream.context("the outputs were taken already")?;
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    // Nobody listens any more once the line was found.
                    let _ = sender.send(line);
                }
            });
        }
        drop(sender);
        let deadline = Instant::now() + patience;
        let mut seen = String::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) => match line.split_once(mark) {
                    Some((_, rest)) => return Ok(rest.to_owned()),
                    None => seen.push_str(&format!("\n  {line}")),
                },
                Err(_) => bail!("{} did not print \"{mark}\"; it printed:{seen}", self.shown),
            }
        }
    }

    /// Asks it to end by SIGTERM, waits, and fails unless it exits with 0 in time.
    pub(crate) fn end(mut self, patience: Duration) -> Result<()> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(id.context("a process id")?, Signal::TERM).context("send SIGTERM")?;
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                if !status.success() {
                    bail!("{} ended with {status} after SIGTERM", self.shown);
                }
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("{} did not end within {patience:?} of SIGTERM", self.shown)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The path of a program on PATH.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_tests_in_the_harness_s_closing_line() {
        let table = [
            ("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured", 12),
            ("test result: ok. 0 passed; 0 failed; 0 ignored", 0),
            ("test result: FAILED. 3 passed; 1 failed", 0),
            ("running 12 tests", 0),
        ];
        for (line, count) in table {
            assert_eq!(tests_passed(line), count, "{line}");
        }
    }

    #[test]
    fn a_program_that_fails_or_tests_nothing_fails() {
        assert!(Run::new("true", 1).run().is_ok());
        assert!(Run::new("false", 1).run().is_err());
        assert!(Run::new("true", 1).tests().is_err(), "no test ran");
        let one = Run::new("echo", 1).args(["test result: ok. 1 passed; 0 failed"]);
        assert_eq!(one.tests().ok(), Some(1));
    }

    #[test]
    fn a_program_beside_is_ended_with_its_value() -> Result<()> {
        let words = ["sh", "-c", "echo ready 7; exec sleep 60"].map(str::to_owned);
        let mut beside = Beside::start(&words, &[])?;
        assert_eq!(beside.wait_for_line("ready ", Duration::from_secs(5))?, "7");
        let place = PathBuf::from(format!("/proc/{}", beside.id()));
        assert!(place.exists());
        drop(beside);
        assert!(!place.exists());
        Ok(())
    }

    #[test]
    fn a_program_that_never_says_it_fails_with_what_it_said() -> Result<()> {
        let words = ["sh", "-c", "echo other; exec sleep 60"].map(str::to_owned);
        let mut beside = Beside::start(&words, &[])?;
        let failure = beside.wait_for_line("ready", Duration::from_millis(300));
        assert!(failure.is_err_and(|error| format!("{error}").contains("other")));
        Ok(())
    }
}
