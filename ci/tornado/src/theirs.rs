//! Tornado's side: one Python process for all scripts.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::script::Script;
use crate::trace::Line;

/// The script that plays scripts.
const PLAYER: &str = include_str!("../scripts.py");

/// What prints the names that Tornado's core has.
const NAMER: &str = include_str!("../names.py");

/// Those names, as they were when the table of them was written: std-shim's TORNADO.md.
const NAMES: &str = include_str!("../names.txt");

/// How long Tornado may take for one script, which waits for nothing: seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// The release that is compared.
pub const VERSION: &str = "6.6.1";

/// Fails unless Tornado has the names that our table of them was written for.
///
/// # Errors
/// It has others, or cannot be asked.
pub fn check_names(python: &Path) -> Result<()> {
    let output = Command::new(python).args(["-c", NAMER]).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("start {}", python.display()))?;
    if output.stdout != NAMES.as_bytes() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("Tornado's names are not those of ci/tornado/names.txt\n{errors}");
    }
    Ok(())
}

/// A Python process in which Tornado plays scripts; ended with this.
pub struct Theirs {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Theirs {
    /// Starts it.
    ///
    /// # Errors
    /// There is no such Python, or not this release of Tornado.
    pub fn start(python: &Path) -> Result<Self> {
        let mut child = Command::new(python)
            .args(["-c", PLAYER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", python.display()))?;
        let output = child.stdout.take().context("its output was not piped")?;
        let input = child.stdin.take();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(output).lines().map_while(Result::ok);
            // Nobody listens any more once this process has seen enough.
            lines.all(|line| sender.send(line).is_ok())
        });
        let theirs = Self { child, input, lines };
        let greeting = theirs.line()?;
        if greeting != format!("tornado {VERSION}") {
            bail!("this is to be Tornado {VERSION}, not {greeting}");
        }
        Ok(theirs)
    }

    fn line(&self) -> Result<String> {
        self.lines.recv_timeout(PATIENCE).context("Tornado's side has ended, or hangs")
    }

    /// Plays one script.
    ///
    /// # Errors
    /// The process has ended, hangs, or says something else.
    pub fn play(&mut self, script: &Script) -> Result<Vec<Line>> {
        let input = self.input.as_mut().context("its input is open until the end")?;
        write!(input, "{script}").context("give Tornado a script")?;
        input.flush()?;
        let mut trace = Vec::new();
        loop {
            match self.line()?.as_str() {
                "end" => return Ok(trace),
                line => trace.push(Line::parse(line)?),
            }
        }
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        // The end of its input ends it; both calls fail only when it has ended already.
        self.input = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
