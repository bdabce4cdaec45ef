//! `conformance`, built as these tests are, in a process that ends with its value.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

/// What a server prints before its address.
const LISTENING: &str = "listening on http://";

/// How long it may take to print that.
const START: Duration = Duration::from_secs(20);

/// A server that runs.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts it with room for so many connections.
    pub(crate) fn start(connections: usize) -> Self {
        // The kernel ends it with the thread that started it, should the test be killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(program());
        command.args(["--port", "0", "--connections", &connections.to_string()]);
        command.env("DUSTDEVIL_LOG", "error");
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("setpriv, which every Debian has");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line).ok());
        });
        let line = lines.recv_timeout(START).expect("a line that says where it listens");
        let address = line.strip_prefix(LISTENING).expect("an address").trim_end_matches('/');
        Self { child, address: address.parse().expect("an address") }
    }

    /// Its process: `setpriv` has become it.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, which the test then has noticed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server's binary, built once in this test's own profile, so beside this test's folder.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let own = std::env::current_exe().expect("this test's path");
        let folder = own.ancestors().nth(2).expect("target/<profile>/deps/<test>");
        let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
        let build = ["build", "--locked", "-p", "conformance", "--profile", profile];
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo.args(build).current_dir(env!("CARGO_MANIFEST_DIR"));
        cargo.arg("--target-dir").arg(folder.parent().expect("target"));
        assert!(cargo.status().expect("cargo").success(), "conformance does not build");
        folder.join("conformance")
    })
}

/// Attacks come one after the other: each is to have the machine for itself.
pub(crate) fn alone() -> impl Drop {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
