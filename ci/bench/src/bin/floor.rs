//! The floor: an epoll loop that reads, writes and parses nothing. The first bytes of a connection
//! are taken for one request, and so many more for each other one.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use peers::{BODY, MESSAGE, PLAINTEXT, Serve, announce, listen, words};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, SocketFlags, accept_with, recv, send, sockopt};

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;
/// Events taken at once.
const EVENTS: usize = 1024;
/// What the listener's events carry.
const LISTENER: u64 = u64::MAX;

struct Connection {
    fd: OwnedFd,
    /// Bytes of one request; 0: none has come.
    request_bytes: usize,
    /// Bytes of a request that has not come whole.
    left_over: usize,
    /// Bytes that the peer did not take yet.
    unsent: usize,
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
    epoll::add(&poll, listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    sockopt::set_tcp_nodelay(listener, true)?;
    let mut connections: Vec<Option<Connection>> = (0..20_000).map(|_| None).collect();
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
            let place = data.u64() as usize;
            let Some(slot) = connections.get_mut(place) else { continue };
            if let Some(connection) = slot
                && !connection.turn(&mut input, &mut answers)
            {
                *slot = None;
            }
        }
    }
}

fn accept(listener: &TcpListener, poll: &OwnedFd, connections: &mut [Option<Connection>]) {
    use std::os::fd::AsRawFd;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    while let Ok(fd) = accept_with(listener, flags) {
        let place = fd.as_raw_fd() as usize;
        let wanted = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        let added = epoll::add(poll, &fd, EventData::new_u64(place as u64), wanted);
        if let (Ok(()), Some(slot)) = (added, connections.get_mut(place)) {
            *slot = Some(Connection { fd, request_bytes: 0, left_over: 0, unsent: 0 });
        }
    }
}

impl Connection {
    /// Reads and answers; whether the connection goes on.
    fn turn(&mut self, input: &mut [u8], answers: &mut Answers) -> bool {
        if self.unsent > 0 && !self.send(answers.last()) {
            return false;
        }
        match recv(&self.fd, &mut *input, RecvFlags::empty()) {
            Ok((0, _)) => {
                let _ = rustix::net::shutdown(&self.fd, Shutdown::Write);
                false
            }
            Ok((len, _)) => {
                if self.request_bytes == 0 {
                    self.request_bytes = len;
                }
                let bytes = self.left_over + len;
                let requests = bytes / self.request_bytes;
                self.left_over = bytes % self.request_bytes;
                let answer = answers.of(requests);
                self.unsent = answer.len();
                self.send(answer)
            }
            Err(Errno::AGAIN) => true,
            Err(_) => false,
        }
    }

    fn send(&mut self, answer: &[u8]) -> bool {
        while self.unsent > 0 {
            let rest = answer.get(answer.len() - self.unsent..).unwrap_or_default();
            match send(&self.fd, rest, SendFlags::NOSIGNAL) {
                Ok(len) => self.unsent -= len,
                Err(Errno::AGAIN) => return true,
                Err(_) => return false,
            }
        }
        true
    }
}

/// What is answered, so many times in a row.
struct Answers {
    serve: Serve,
    head: Vec<u8>,
    whole: Vec<u8>,
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
        let mut answers = Self { serve, head: head.into_bytes(), whole: Vec::new(), bytes: 0 };
        answers.append();
        answers.bytes = answers.whole.len();
        answers
    }

    fn append(&mut self) {
        self.whole.extend_from_slice(&self.head);
        match self.serve {
            Serve::Plaintext => self.whole.extend_from_slice(PLAINTEXT.as_bytes()),
            // Once a request, as everybody else does.
            Serve::Json => serde_json::to_writer(&mut self.whole, &MESSAGE).unwrap_or_default(),
            Serve::Body => self.whole.extend_from_slice(&BODY),
        }
    }

    fn of(&mut self, requests: usize) -> &[u8] {
        if self.serve == Serve::Json {
            self.whole.clear();
        }
        while self.whole.len() < requests * self.bytes {
            self.append();
        }
        self.whole.get(..requests * self.bytes).unwrap_or_default()
    }

    /// What the one who waits was sent a part of.
    fn last(&self) -> &[u8] {
        &self.whole
    }
}
