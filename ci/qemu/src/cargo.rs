//! Builds one of the workspace's packages and finds the file that came out of it.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Minutes that a build may take, everything included.
const MINUTES: u32 = 20;

/// A call of `cargo build`.
pub(crate) struct Build {
    command: Command,
    shown: String,
}

impl Build {
    /// Builds what these arguments choose.
    pub(crate) fn new<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "timeout", "--kill-after=10"]);
        command.arg(format!("{MINUTES}m")).arg(cargo);
        command.args(["build", "--quiet", "--locked"]);
        command.args(["--message-format", "json-render-diagnostics"]);
        let mut shown = "cargo build".to_owned();
        for argument in arguments {
            shown.push(' ');
            shown.push_str(&argument.as_ref().to_string_lossy());
            command.arg(argument);
        }
        command.current_dir(root()).stdin(Stdio::null()).stdout(Stdio::piped());
        Self { command, shown }
    }

    /// Sets a variable that the build reads; None takes it out.
    pub(crate) fn env(mut self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => {
                self.shown = format!("{name}='{value}' {}", self.shown);
                self.command.env(name, value);
            }
            None => drop(self.command.env_remove(name)),
        }
        self
    }

    /// Runs it and returns the file that it made of the target with this name.
    pub(crate) fn file_of(mut self, target: &str) -> Result<PathBuf> {
        let mut child = self.command.spawn().context("start cargo")?;
        let mut messages = String::new();
        child.stdout.take().context("cargo was not piped")?.read_to_string(&mut messages)?;
        let status = child.wait()?;
        if !status.success() {
            bail!("{} ended with {status}", self.shown);
        }
        file_of(&messages, target).with_context(|| format!("{} made no {target}", self.shown))
    }
}

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    // ci/qemu lies two folders below the root.
    own.ancestors().nth(2).unwrap_or(own)
}

/// Where cargo builds, unless a file of cargo's own configuration says otherwise.
pub(crate) fn target_folder() -> PathBuf {
    let folder = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    root().join(folder)
}

/// The last file that cargo names for this target: an executable, or a library.
fn file_of(messages: &str, target: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let artifacts = messages.filter(|message| {
        message["reason"] == "compiler-artifact"
            && message["target"]["name"] == target
            && message["target"]["kind"][0] != "custom-build"
    });
    let file = |artifact: Value| {
        let files = artifact["filenames"].as_array();
        let is_library = |file: &&str| file.ends_with(".so");
        let library = files.and_then(|all| all.iter().filter_map(Value::as_str).find(is_library));
        artifact["executable"].as_str().or(library).map(PathBuf::from)
    };
    artifacts.filter_map(file).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_found_among_cargo_s_messages() {
        let messages = "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"hello\",\
                        \"kind\":[\"lib\"]},\"filenames\":[\"/t/libhello.rlib\"],\
                        \"executable\":null}\nno json\n\
                        {\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"hello\",\
                        \"kind\":[\"bin\"]},\"filenames\":[\"/t/hello\"],\
                        \"executable\":\"/t/hello\"}\n\
                        {\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"icount\",\
                        \"kind\":[\"cdylib\"]},\"filenames\":[\"/t/libicount.so\"],\
                        \"executable\":null}\n{\"reason\":\"build-finished\"}\n";
        assert_eq!(file_of(messages, "hello"), Some(PathBuf::from("/t/hello")));
        assert_eq!(file_of(messages, "icount"), Some(PathBuf::from("/t/libicount.so")));
        assert_eq!(file_of(messages, "bench"), None);
    }
}
