//! The floor: an epoll loop that validates nothing, which is the least a server can do.
//!
//! It walks over what it reads byte by byte and counts the ends of heads, since each has an answer;
//! everything between two ends is ignored. It waits, accepts, reads, sends and closes with the
//! fewest system calls there are. What it sends costs it what it costs everybody: `/plaintext` lies
//! ready, `/json` is serialised for each request, and `/body` goes to the kernel from where it
//! lies, with its head in one call.

use std::io::IoSlice;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ExitCode;

use peers::{BODY, MESSAGE, PLAINTEXT, Serve, announce, listen, words};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::{Errno, writev};
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send, sockopt};

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;
/// Events taken at once.
const EVENTS: usize = 1024;
/// Descriptors that a connection may have.
const DESCRIPTORS: usize = 20_000;
/// What the listener's events carry.
const LISTENER: u64 = u64::MAX;
/// The end of a head, as [`ends`] sees it.
const END: u32 = u32::from_be_bytes(*b"\r\n\r\n");

/// One connection.
struct Connection {
    fd: OwnedFd,
    /// The last four bytes that came.
    last: u32,
    /// Bytes that the peer did not take yet; all answers are the same.
    unsent: usize,
    /// Whether epoll says when there is room for more.
    is_watched: bool,
}

fn main() -> ExitCode {
    let words = match words() {
        Ok(words) => words,
        Err(code) => return code,
    };
    let listener = listen(words.port).expect("the port");
    announce(listener.local_addr().expect("an address"));
    run(&listener, words.serve).expect("a world to poll");
    ExitCode::SUCCESS
}

fn run(listener: &TcpListener, serve: Serve) -> Result<(), Errno> {
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    // Reported again as long as somebody waits: one accept a turn finds nobody in vain.
    epoll::add(&poll, listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    sockopt::set_tcp_nodelay(listener, true)?;
    let mut connections: Vec<Option<Connection>> = (0..DESCRIPTORS).map(|_| None).collect();
    let mut input = vec![0_u8; READ_BYTES];
    let mut answers = Answers::new(serve);
    let mut events = Vec::with_capacity(EVENTS);
    loop {
        events.clear();
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in &events {
            let Event { data, .. } = *event;
            if data.u64() == LISTENER {
                accept(listener, &poll, &mut connections);
                continue;
            }
            let Some(slot) = connections.get_mut(data.u64() as usize) else { continue };
            if let Some(connection) = slot
                && !connection.turn(&poll, &mut input, &mut answers)
            {
                *slot = None;
            }
        }
    }
}

fn accept(listener: &TcpListener, poll: &OwnedFd, connections: &mut [Option<Connection>]) {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let Ok(fd) = accept_with(listener, flags) else { return };
    let place = fd.as_raw_fd() as usize;
    let data = EventData::new_u64(place as u64);
    let added = epoll::add(poll, &fd, data, EventFlags::IN | EventFlags::ET);
    if let (Ok(()), Some(slot)) = (added, connections.get_mut(place)) {
        *slot = Some(Connection { fd, last: 0, unsent: 0, is_watched: false });
    }
}

/// How many heads end in these bytes; `last` are the four that came before.
fn ends(input: &[u8], last: &mut u32) -> usize {
    let (mut count, mut four) = (0, *last);
    for byte in input {
        four = four << 8 | u32::from(*byte);
        if four == END {
            count += 1;
        }
    }
    *last = four;
    count
}

impl Connection {
    /// Reads and answers; whether the connection goes on.
    fn turn(&mut self, poll: &OwnedFd, input: &mut [u8], answers: &mut Answers) -> bool {
        if self.unsent > 0 && !self.send(poll, answers) {
            return false;
        }
        loop {
            let len = match recv(&self.fd, &mut *input, RecvFlags::empty()) {
                Ok((0, _)) => return false,
                Ok((len, _)) => len,
                Err(error) => return error == Errno::AGAIN,
            };
            let requests = ends(input.get(..len).unwrap_or_default(), &mut self.last);
            self.unsent += answers.prepare(requests);
            if !self.send(poll, answers) {
                return false;
            }
            // A short read has drained the socket.
            if len < input.len() {
                return true;
            }
        }
    }

    /// Sends what the peer takes; whether the connection goes on.
    fn send(&mut self, poll: &OwnedFd, answers: &mut Answers) -> bool {
        while self.unsent > 0 {
            match answers.send(&self.fd, self.unsent) {
                Ok(len) => self.unsent -= len,
                Err(Errno::AGAIN) => return self.watch(poll).is_ok(),
                Err(_) => return false,
            }
        }
        true
    }

    fn watch(&mut self, poll: &OwnedFd) -> Result<(), Errno> {
        if self.is_watched {
            return Ok(());
        }
        self.is_watched = true;
        let data = EventData::new_u64(self.fd.as_raw_fd() as u64);
        epoll::modify(poll, &self.fd, data, EventFlags::IN | EventFlags::OUT | EventFlags::ET)
    }
}

/// What is answered: the same each time.
struct Answers {
    serve: Serve,
    head: Vec<u8>,
    /// The answer many times in a row, but for [`Serve::Body`].
    whole: Vec<u8>,
    /// The length of one.
    bytes: usize,
}

impl Answers {
    fn new(serve: Serve) -> Self {
        let (media, length) = match serve {
            Serve::Plaintext => ("text/plain; charset=utf-8", PLAINTEXT.len()),
            Serve::Json => {
                ("application/json", serde_json::to_vec(&MESSAGE).map_or(0, |json| json.len()))
            }
            Serve::Body => ("application/octet-stream", BODY.len()),
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nServer: floor\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\n\
             Content-Length: {length}\r\nContent-Type: {media}\r\n\r\n"
        );
        let bytes = head.len() + length;
        Self { serve, head: head.into_bytes(), whole: Vec::new(), bytes }
    }

    /// Makes so many answers; their length.
    fn prepare(&mut self, requests: usize) -> usize {
        if self.serve == Serve::Json {
            // Anew for each request, as everybody does.
            self.whole.clear();
        }
        self.extend(requests * self.bytes);
        requests * self.bytes
    }

    /// Has at least so many bytes of answers lie ready.
    fn extend(&mut self, bytes: usize) {
        while self.serve != Serve::Body && self.whole.len() < bytes {
            self.whole.extend_from_slice(&self.head);
            match self.serve {
                Serve::Json => serde_json::to_writer(&mut self.whole, &MESSAGE).unwrap_or_default(),
                Serve::Plaintext | Serve::Body => {
                    self.whole.extend_from_slice(PLAINTEXT.as_bytes());
                }
            }
        }
    }

    /// Sends some of the last `unsent` bytes of answers.
    fn send(&mut self, to: &OwnedFd, unsent: usize) -> Result<usize, Errno> {
        if self.serve == Serve::Body {
            // Where in an answer it goes on.
            let at = (self.bytes - unsent % self.bytes) % self.bytes;
            let head = self.head.get(at..).unwrap_or_default();
            let body = BODY.get(at.saturating_sub(self.head.len())..).unwrap_or_default();
            return writev(to, &[IoSlice::new(head), IoSlice::new(body)]);
        }
        self.extend(unsent);
        let from = self.whole.len() - unsent;
        send(to, self.whole.get(from..).unwrap_or_default(), SendFlags::NOSIGNAL)
    }
}
