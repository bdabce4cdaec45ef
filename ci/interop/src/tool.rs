//! Runs a program to its end, or to its deadline.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// What `timeout` exits with when it had to end the program.
const TIMED_OUT: i32 = 124;

/// Most characters of a program's words that are shown when it fails.
const SHOWN_MAX: usize = 4_000;

/// A program to run, without a proxy of this machine and without input.
pub(crate) struct Tool {
    command: Command,
    shown: String,
    seconds: u32,
}

/// What a program said.
pub(crate) struct Said {
    /// Its exit code.
    pub(crate) code: i32,
    /// Its standard output.
    pub(crate) output: Vec<u8>,
    /// Its standard error.
    pub(crate) errors: String,
}

impl Tool {
    /// A program that is ended after so many seconds.
    pub(crate) fn new(program: impl AsRef<OsStr>, seconds: u32) -> Self {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "timeout", "--kill-after=5"]);
        command.arg(format!("{seconds}s")).arg(program.as_ref());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let names = std::env::vars_os().map(|(name, _)| name);
        for name in names.filter(|name| is_proxy(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        let shown = program.as_ref().to_string_lossy().into_owned();
        Self { command, shown, seconds }
    }

    /// Adds arguments.
    pub(crate) fn args<A: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = A>) -> Self {
        for word in words {
            self.shown.push(' ');
            self.shown.push_str(&word.as_ref().to_string_lossy());
            self.command.arg(word);
        }
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it, whatever it exits with.
    ///
    /// # Errors
    /// It cannot be started, took too long or was ended by a signal.
    pub(crate) fn say(mut self) -> Result<Said> {
        let output = self.command.output().with_context(|| format!("start {}", self.shown))?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(TIMED_OUT) => bail!(
                "{} took over {} s; it said:\n{}{}",
                self.shown,
                self.seconds,
                shown(&String::from_utf8_lossy(&output.stdout)),
                shown(&errors)
            ),
            Some(code) => Ok(Said { code, output: output.stdout, errors }),
            None => bail!("{} was ended by a signal", self.shown),
        }
    }

    /// Runs it and returns its output.
    ///
    /// # Errors
    /// As above, or it does not exit with 0.
    pub(crate) fn run(self) -> Result<Said> {
        let words = self.shown.clone();
        let said = self.say()?;
        if said.code != 0 {
            bail!("{words} exited with {}\n{}{}", said.code, said.text(), shown(&said.errors));
        }
        Ok(said)
    }
}

impl Said {
    /// Its output as text, not more of it than somebody reads.
    pub(crate) fn text(&self) -> String {
        shown(&String::from_utf8_lossy(&self.output)).to_owned()
    }
}

fn shown(text: &str) -> &str {
    text.char_indices().nth(SHOWN_MAX).map_or(text, |(end, _)| &text[..end])
}

/// `http_proxy`, `ALL_PROXY`, ..
fn is_proxy(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with("_proxy")
}

/// The path of a program: on PATH, or where Debian keeps what only root uses.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_with_what_was_said() {
        let words = ["-c", "echo out; echo err >&2; exit 3"];
        let said = Tool::new("sh", 5).args(words).say().expect("it ran");
        assert_eq!((said.code, said.text().as_str(), said.errors.as_str()), (3, "out\n", "err\n"));
        let failure = Tool::new("sh", 5).args(words).run().err().map(|error| error.to_string());
        assert!(failure.is_some_and(|text| text.contains("exited with 3\nout\nerr")));
        let late = Tool::new("sh", 1).args(["-c", "echo begun; sleep 20"]).say().err();
        assert!(late.is_some_and(|error| error.to_string().contains("took over 1 s")));
    }
}
