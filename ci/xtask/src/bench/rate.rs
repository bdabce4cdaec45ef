//! A load generator for rates: one thread, epoll, an exact number of requests, each connection
//! asking again as soon as it was answered.
//!
//! It parses nothing but the first answer, whose length all others share, so that it is lighter
//! than any server and the server is what is measured.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use super::load::{Client, Server};

/// How long a whole run may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;

/// A connection that is asked and answered.
struct Asker {
    stream: TcpStream,
    /// Bytes of answers still to come.
    awaited: usize,
}

/// Something that has an exact number of requests answered.
pub(super) enum Generator {
    /// Over connections that stay.
    Kept(Kept),
    /// Over a connection for each, one after the other.
    Fresh(Server),
}

impl Generator {
    /// Opens so many connections, each of which has a first request answered, with `pipelined` on
    /// the way at once on each; with no connections, each request will have its own.
    pub(super) fn new(server: &Server, connections: usize, pipelined: usize) -> Result<Self> {
        if connections == 0 {
            return Ok(Self::Fresh(server.clone()));
        }
        Kept::connect(server, connections, pipelined).map(Self::Kept)
    }

    /// What the number of requests must be a multiple of.
    pub(super) fn unit(&self) -> usize {
        match self {
            Self::Kept(kept) => kept.pipelined,
            Self::Fresh(_) => 1,
        }
    }

    /// Has so many requests answered; how long that took.
    pub(super) fn run(&mut self, requests: usize) -> Result<Duration> {
        match self {
            Self::Kept(kept) => kept.run(requests),
            Self::Fresh(server) => {
                let began = Instant::now();
                for _ in 0..requests {
                    ensure!(began.elapsed() < PATIENCE, "not answered in {PATIENCE:?}");
                    Client::connect(server)?.exchange()?;
                }
                Ok(began.elapsed())
            }
        }
    }
}

/// See [`Generator::Kept`].
pub(super) struct Kept {
    poll: OwnedFd,
    askers: Vec<Asker>,
    /// What is written at once.
    batch: Vec<u8>,
    pipelined: usize,
    answer_bytes: usize,
    buffer: Vec<u8>,
}

impl Kept {
    fn connect(server: &Server, connections: usize, pipelined: usize) -> Result<Self> {
        let poll = epoll::create(CreateFlags::CLOEXEC)?;
        let buffer = vec![0; READ_BYTES];
        let (askers, batch) = (Vec::new(), Vec::new());
        let mut kept = Self { poll, askers, batch, pipelined, answer_bytes: 0, buffer };
        for place in 0..connections {
            let mut client = Client::connect(server)?;
            client.exchange()?;
            let (stream, request, bytes) = client.into_parts();
            ensure!(
                place == 0 || bytes == kept.answer_bytes,
                "answers of {bytes} and {} bytes",
                kept.answer_bytes
            );
            (kept.batch, kept.answer_bytes) = (request.repeat(pipelined), bytes);
            stream.set_nonblocking(true)?;
            let data = EventData::new_u64(place as u64);
            epoll::add(&kept.poll, stream.as_fd(), data, EventFlags::IN)?;
            kept.askers.push(Asker { stream, awaited: 0 });
        }
        Ok(kept)
    }

    fn run(&mut self, requests: usize) -> Result<Duration> {
        let Self { poll, askers, batch, pipelined, answer_bytes, buffer } = self;
        ensure!(requests.is_multiple_of(*pipelined), "{requests} by {pipelined} at once");
        let answers_bytes = *pipelined * *answer_bytes;
        let began = Instant::now();
        let mut to_ask = requests / *pipelined;
        for asker in askers.iter_mut() {
            asker.ask(batch, answers_bytes, &mut to_ask)?;
        }
        let mut waiting = askers.iter().filter(|asker| asker.awaited > 0).count();
        let mut events: Vec<Event> = Vec::with_capacity(askers.len());
        while waiting > 0 {
            ensure!(began.elapsed() < PATIENCE, "{waiting} connections were never answered");
            events.clear();
            let second = Timespec { tv_sec: 1, tv_nsec: 0 };
            epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&second))?;
            for event in &events {
                let data = event.data;
                let asker = askers.get_mut(data.u64() as usize).context("an event of nobody's")?;
                if asker.receive(buffer)? {
                    asker.ask(batch, answers_bytes, &mut to_ask)?;
                    waiting -= usize::from(asker.awaited == 0);
                }
            }
        }
        Ok(began.elapsed())
    }
}

impl Asker {
    /// Asks a batch more, if there is any left to ask.
    fn ask(&mut self, batch: &[u8], answers_bytes: usize, to_ask: &mut usize) -> Result<()> {
        if *to_ask == 0 {
            return Ok(());
        }
        *to_ask -= 1;
        self.awaited = answers_bytes;
        // A batch is far smaller than a socket's buffer, and all before it was answered.
        self.stream.write_all(batch).context("ask")
    }

    /// Takes what has come; whether that was the last of what was awaited.
    fn receive(&mut self, buffer: &mut [u8]) -> Result<bool> {
        if self.awaited == 0 {
            return Ok(false);
        }
        match self.stream.read(buffer) {
            Ok(0) => bail!("the server closed a connection"),
            Ok(len) => {
                ensure!(len <= self.awaited, "the server sent more than was asked for");
                self.awaited -= len;
                Ok(self.awaited == 0)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error).context("wait for an answer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    /// Answers every request, and counts them; after `most` on one connection it closes.
    fn stand_in(most: usize) -> Result<(Server, Arc<AtomicUsize>)> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let server = Server::at(listener.local_addr()?);
        let request_bytes = server.request_bytes();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let counted = counted.clone();
                thread::spawn(move || {
                    let mut request = vec![0; request_bytes];
                    for _ in 0..most {
                        if stream.read_exact(&mut request).is_err() {
                            return;
                        }
                        counted.fetch_add(1, Ordering::SeqCst);
                        if stream.write_all(ANSWER).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Ok((server, count))
    }

    #[test]
    fn exactly_so_many_are_asked() -> Result<()> {
        for (connections, pipelined, requests) in [(1, 1, 10), (4, 1, 10), (4, 16, 160), (2, 8, 64)]
        {
            let (server, count) = stand_in(usize::MAX)?;
            let mut generator = Generator::new(&server, connections, pipelined)?;
            generator.run(requests)?;
            // One on each connection to learn how long an answer is.
            assert_eq!(count.load(Ordering::SeqCst), requests + connections);
            generator.run(requests)?;
            assert_eq!(count.load(Ordering::SeqCst), 2 * requests + connections);
            assert_eq!(generator.run(requests + 1).is_ok(), pipelined == 1);
        }
        let (server, count) = stand_in(1)?;
        Generator::new(&server, 0, 1)?.run(7)?;
        assert_eq!(count.load(Ordering::SeqCst), 7);
        Ok(())
    }

    #[test]
    fn a_server_that_closes_fails() -> Result<()> {
        let (server, _) = stand_in(5)?;
        assert!(Generator::new(&server, 2, 1)?.run(100).is_err());
        Ok(())
    }
}
