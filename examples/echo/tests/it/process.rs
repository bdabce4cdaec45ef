//! The real program over real sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use echo::{LINE_BYTES_MAX, TOO_LONG};
use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(20);

/// The program, ended with this, also by a test that fails.
struct Program {
    child: Child,
    address: SocketAddr,
}

impl Program {
    fn start(words: &[&str]) -> Self {
        // The kernel ends it with the thread that started it, should the test be killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_echo")]).args(words);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("setpriv");
        let mut line = String::new();
        // It prints the line or ends: both end this read.
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on ").expect(&line);
        Self { child, address: address.parse().expect("an address") }
    }

    /// Ends by SIGTERM, which gives 0.
    fn ends(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        assert_eq!(status.code(), Some(0));
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rest(mut stream: impl Read) -> String {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    rest.escape_ascii().to_string()
}

fn ask(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_echo")).arg("--connect").args(words).output().unwrap()
}

#[test]
fn lines_come_back_pipelined_split_and_half_closed() {
    let program = Program::start(&["--port", "0"]);
    let mut stream = program.connect();
    stream.write_all(b"one\ntwo\r\nthr").unwrap();
    let mut start = [0; 9];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"one\ntwo\r\n");
    for byte in b"ee\n\nno end" {
        stream.write_all(&[*byte]).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(stream), "three\\n\\n");
    program.ends();
}

#[test]
fn a_mebibyte_of_lines_comes_back() {
    let program = Program::start(&["--port", "0"]);
    let line = [b'x'; LINE_BYTES_MAX - 1];
    let text: Vec<u8> = [&line[..], b"\n"].concat().repeat(4_096);
    let mut stream = program.connect();
    let mut writer = stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            writer.write_all(&text).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        assert!(back == text, "{} bytes came back", back.len());
    });
}

#[test]
fn too_long_a_line_is_answered_and_closed() {
    let program = Program::start(&["--port", "0"]);
    // More than it will ever read: its words come before any reset.
    let mut stream = program.connect();
    stream.write_all(&[b'x'; 4_096]).unwrap();
    assert_eq!(rest(&mut stream), TOO_LONG.escape_ascii().to_string());
    program.ends();
}

#[test]
fn a_unix_socket_and_tcp_at_once() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}", std::process::id()));
    let program = Program::start(&["--unix", path.to_str().unwrap(), "0"]);
    let (mut by_path, mut by_tcp) = (UnixStream::connect(&path).unwrap(), program.connect());
    by_path.set_read_timeout(Some(PATIENCE)).unwrap();
    for _ in 0..100 {
        let mut back = [0; 2];
        by_path.write_all(b"p\n").unwrap();
        by_tcp.write_all(b"t\n").unwrap();
        by_tcp.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"t\n");
        by_path.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"p\n");
    }
    program.ends();
    assert_eq!((rest(by_path), rest(by_tcp)), (String::new(), String::new()));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn the_client_prints_its_answer_or_why_there_is_none() {
    let program = Program::start(&["--port", "0"]);
    let address = program.address.to_string();
    let output = ask(&[&address, "hello", "world"]);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"hello world\n"[..]));
    let output = ask(&[&address, &"x".repeat(300)]);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), TOO_LONG));
    program.ends();
    let output = ask(&[&address, "hello"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with(&address));
}
