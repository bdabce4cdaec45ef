//! The real program as a process, and clients over real sockets.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use rustix::net::sockopt::set_socket_linger;
use rustix::process::{Pid, Signal, kill_process};

use super::{PATIENCE, until};

/// The program, ended with this, also by a test that fails.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Program {
    /// Starts it at a free port, with room for so many.
    pub(crate) fn start(clients: usize) -> Self {
        // The kernel ends it with the thread that started it, should the test be killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_chat-tcp"), "--port", "0"]);
        command.args(["--connections", &clients.to_string()]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("setpriv");
        let mut line = String::new();
        // It prints the line or ends: both end this read.
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on ").expect(&line);
        Self { child, address: address.parse().expect("an address") }
    }

    /// Kilobytes of memory that it has in use, of its own and not of a file.
    pub(crate) fn resident_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Waits until it has ended, which it does with 0.
    pub(crate) fn ends(mut self) {
        let status = until("the program ends", || self.child.try_wait().unwrap());
        assert_eq!(status.code(), Some(0));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that waits for what it wants to hear.
pub(crate) struct Guest {
    stream: BufReader<TcpStream>,
    /// All that it has heard.
    pub(crate) heard: String,
}

impl Guest {
    pub(crate) fn connect(at: SocketAddr) -> Self {
        let stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream), heard: String::new() }
    }

    /// A client that is in the room, and knows that everybody knows.
    pub(crate) fn join(at: SocketAddr, name: &str) -> Self {
        let mut guest = Self::connect(at);
        guest.says(&format!("{name}\n"));
        guest.hears(&format!("* {name} has come\n"));
        guest
    }

    /// As [`join`](Self::join); `None` when there is no seat, or somebody has the name.
    pub(crate) fn try_join(at: SocketAddr, name: &str) -> Option<Self> {
        let mut guest = Self::connect(at);
        // Who is not let in may be gone before it says this.
        guest.stream.get_mut().write_all(format!("{name}\n").as_bytes()).ok()?;
        let come = format!("* {name} has come\n");
        while !guest.heard.ends_with(&come) {
            let count = guest.stream.read_line(&mut guest.heard).ok()?;
            if count == 0 || guest.heard.ends_with("- that name is taken\n") {
                return None;
            }
        }
        Some(guest)
    }

    pub(crate) fn says(&mut self, words: &str) {
        self.stream.get_mut().write_all(words.as_bytes()).unwrap();
    }

    /// Reads until this line comes.
    #[track_caller]
    pub(crate) fn hears(&mut self, wanted: &str) {
        loop {
            let before = self.heard.len();
            let count = self.stream.read_line(&mut self.heard).expect(wanted);
            assert_ne!(count, 0, "the end, not {wanted:?}, after {:?}", self.heard);
            if &self.heard[before..] == wanted {
                return;
            }
        }
    }

    /// Reads until the connection ends, however it does; whether that was by a reset.
    pub(crate) fn hears_the_end(&mut self) -> bool {
        let mut rest = Vec::new();
        let ended = self.stream.read_to_end(&mut rest);
        self.heard.push_str(&String::from_utf8_lossy(&rest));
        match ended {
            Ok(_) => false,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => true,
            Err(error) => panic!("{error}, after {:?}", self.heard),
        }
    }

    pub(crate) fn ends_its_output(&self) {
        self.stream.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    /// Ends the connection by a reset.
    pub(crate) fn resets(self) {
        set_socket_linger(self.stream.get_ref(), Some(std::time::Duration::ZERO)).unwrap();
    }
}
