//! A server whose answers are wrong: whatever is installed notices, and the run fails.
//!
//! What takes seconds in any case, the tools that are slow and the proxy, is judged by functions
//! whose own tests show them what is wrong.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Those that need nothing of what set-up keeps under target.
const QUICK: &[&str] = &["curl", "wget", "node", "ab", "h2load"];

/// How a server answers everything but `/counters`.
type Answer = &'static str;

const WRONG_BODY: Answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhallo";
const WRONG_STATUS: Answer = "HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\nhello";
const TOO_SHORT: Answer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello";

/// Serves for ever, a thread a connection, and counts as the example does.
fn serve(answer: Answer) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let accepted = Arc::new(AtomicU64::new(0));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let count = accepted.fetch_add(1, Ordering::Relaxed) + 1;
            thread::spawn(move || one(stream, answer, count));
        }
    });
    port
}

/// Answers one connection; errors end it, as its peer would.
fn one(mut stream: TcpStream, answer: Answer, accepted: u64) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    let (mut heads, mut part) = (String::new(), [0; 4096]);
    loop {
        let length = stream.read(&mut part).ok().filter(|length| *length > 0)?;
        heads.push_str(&String::from_utf8_lossy(&part[..length]));
        while let Some((head, rest)) = heads.split_once("\r\n\r\n") {
            if !head.contains("/counters") {
                stream.write_all(answer.as_bytes()).ok()?;
                if head.contains(" HTTP/1.0\r\n") {
                    return Some(());
                }
                heads = rest.to_owned();
                continue;
            }
            let body = format!(
                "open=1\nin_work=1\naccepted={accepted}\nrequests={accepted}\nrejected=0\n"
            );
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
            return Some(());
        }
    }
}

/// Runs the program against such a server, which it believes to have started.
fn interop(only: &str, port: u16) -> Output {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{only}-{port}"));
    std::fs::create_dir_all(&folder).expect("a folder");
    let server = folder.join("server");
    let script = format!("#!/bin/sh\necho listening on http://127.0.0.1:{port}/\nexec sleep 60\n");
    std::fs::write(&server, script).expect("a server");
    std::fs::set_permissions(&server, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    let mut command = Command::new(env!("CARGO_BIN_EXE_interop"));
    command.args(["linux", "--smoke", "--only", only, "--server"]).arg(server);
    command.arg("--target").arg(folder).output().expect("it starts")
}

fn assert_is_noticed(answer: Answer, tools: &[&str]) {
    let port = serve(answer);
    for only in tools {
        let output = interop(only, port);
        let said = String::from_utf8_lossy(&output.stdout);
        let is_absent = said.contains("not installed: ");
        assert!(!output.status.success(), "{only} noticed nothing:\n{said}");
        assert!(said.contains("FAIL  ") || is_absent, "{only}:\n{said}");
        assert!(!said.contains("pass  "), "{only}:\n{said}");
    }
}

#[test]
fn a_wrong_body_is_noticed_by_whoever_looks_at_it() {
    assert_is_noticed(WRONG_BODY, &["curl", "wget", "node"]);
}

#[test]
fn a_wrong_status_is_noticed_by_everybody() {
    assert_is_noticed(WRONG_STATUS, QUICK);
}

#[test]
fn a_body_that_is_too_short_is_noticed() {
    assert_is_noticed(TOO_SHORT, &["curl", "wget"]);
}
