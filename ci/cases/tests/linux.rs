//! Every case against `conformance` on Linux.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use cases::{Options, run};

/// How long the server may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The server, ended with this.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which the test has noticed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Builds the example and returns its binary. No package of ours is a dependency of this one, so
/// that a suite which judges them builds when they do not.
fn built() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("a workspace");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new("timeout");
    build.args(["--kill-after=10", "20m"]).arg(cargo);
    build.args(["build", "--quiet", "--locked", "-p", "conformance"]).current_dir(root);
    assert!(build.status().expect("cargo").success(), "`cargo build -p conformance` failed");
    // Where cargo keeps temporary files of tests is a folder of where it builds.
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("debug").join("conformance")
}

fn start() -> (Server, SocketAddr) {
    // The kernel ends it with the thread that started it, should the test be killed.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(built());
    command.args(["--address", "127.0.0.1", "--port", "0"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("setpriv, which every Debian has");
    let output = BufReader::new(child.stdout.take().expect("its output was piped"));
    let server = Server(child);
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        // A test that has ended listens no more.
        output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line).ok());
    });
    loop {
        let line = lines.recv_timeout(PATIENCE).expect("a line that says where it listens");
        if let Some((_, address)) = line.split_once("listening on http://") {
            let end = address.find(['/', ' ']).unwrap_or(address.len());
            return (server, address[..end].parse().expect("an address"));
        }
    }
}

#[test]
fn every_case() {
    let (mut server, at) = start();
    let report = run(&Options::linux(at));
    println!("{report}");
    assert!(report.failures.is_empty(), "{report}");
    assert!(report.total().0 >= 430, "{report}");
    assert_eq!(report.groups.get("h1spec"), Some(&(33, 33)));
    assert!(report.took < Duration::from_secs(120), "{:?}", report.took);
    let ended = server.0.try_wait().expect("its state");
    assert!(ended.is_none(), "the server ended: {ended:?}");
}
