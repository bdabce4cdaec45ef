//! QEMU's control channel: one JSON object a line, a question and its answer (QMP).

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// How long QEMU may take to open the channel, and for each answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is tried whether the channel is open by now.
const TRY_EVERY: Duration = Duration::from_millis(10);

/// An open channel.
pub(crate) struct Qmp {
    answers: BufReader<UnixStream>,
}

impl Qmp {
    /// Waits until QEMU listens there, and agrees on the channel's form.
    pub(crate) fn connect(path: &Path) -> Result<Self> {
        let deadline = Instant::now() + PATIENCE;
        let stream = loop {
            match UnixStream::connect(path) {
                Ok(stream) => break stream,
                Err(_) if Instant::now() < deadline => thread::sleep(TRY_EVERY),
                Err(error) => return Err(error).context("QEMU's control channel did not open"),
            }
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut qmp = Self { answers: BufReader::new(stream) };
        let greeting = qmp.receive().context("QEMU's greeting")?;
        if greeting.get("QMP").is_none() {
            bail!("QEMU greeted with {greeting}");
        }
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Executes a command and returns what it returned; what happened meanwhile is passed over.
    pub(crate) fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let mut question = json!({ "execute": command, "arguments": arguments }).to_string();
        question.push('\n');
        self.answers.get_mut().write_all(question.as_bytes()).context("ask QEMU")?;
        loop {
            let mut answer =
                self.receive().with_context(|| format!("QEMU's answer to {command}"))?;
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
            if let Some(error) = answer.get("error") {
                bail!("QEMU refuses {command}: {error}");
            }
        }
    }

    fn receive(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("QEMU closed its control channel");
        }
        Ok(serde_json::from_str(&line)?)
    }
}
