//! A load generator for rates: one thread, epoll, an exact number of requests, each connection
//! asking again as soon as it was answered.
//!
//! It parses nothing but the first answer, whose length all others share, so that it is lighter
//! than any server and the server is what is measured.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
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

/// Has `requests` answered over `connections` connections, `pipelined` on the way at once on each;
/// how long that took. Connecting and a first request on each are not counted.
pub(super) fn run(
    server: &Server,
    connections: usize,
    pipelined: usize,
    requests: usize,
) -> Result<Duration> {
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut askers = Vec::new();
    let mut batch = Vec::new();
    let mut answer_bytes = 0;
    for place in 0..connections {
        let mut client = Client::connect(server)?;
        client.exchange()?;
        let (stream, request, bytes) = client.into_parts();
        ensure!(place == 0 || bytes == answer_bytes, "answers of {bytes} and {answer_bytes} bytes");
        (batch, answer_bytes) = (request.repeat(pipelined), bytes);
        stream.set_nonblocking(true)?;
        epoll::add(&poll, stream.as_fd(), EventData::new_u64(place as u64), EventFlags::IN)?;
        askers.push(Asker { stream, awaited: 0 });
    }
    let began = Instant::now();
    let mut to_ask = requests;
    for asker in &mut askers {
        asker.ask(&batch, pipelined * answer_bytes, pipelined, &mut to_ask)?;
    }
    let mut waiting = askers.iter().filter(|asker| asker.awaited > 0).count();
    let mut buffer = vec![0; READ_BYTES];
    let mut events: Vec<Event> = Vec::with_capacity(connections);
    while waiting > 0 {
        ensure!(began.elapsed() < PATIENCE, "{waiting} connections were never answered");
        events.clear();
        let second = Timespec { tv_sec: 1, tv_nsec: 0 };
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&second))?;
        for event in &events {
            let data = event.data;
            let asker = askers.get_mut(data.u64() as usize).context("an event of nobody's")?;
            if asker.receive(&mut buffer)? {
                asker.ask(&batch, pipelined * answer_bytes, pipelined, &mut to_ask)?;
                waiting -= usize::from(asker.awaited == 0);
            }
        }
    }
    Ok(began.elapsed())
}

impl Asker {
    /// Asks once more, if there is anything left to ask.
    fn ask(
        &mut self,
        batch: &[u8],
        answers_bytes: usize,
        pipelined: usize,
        to_ask: &mut usize,
    ) -> Result<()> {
        if *to_ask < pipelined {
            return Ok(());
        }
        *to_ask -= pipelined;
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
            run(&server, connections, pipelined, requests)?;
            // One on each connection to learn how long an answer is.
            assert_eq!(count.load(Ordering::SeqCst), requests + connections);
        }
        Ok(())
    }

    #[test]
    fn a_server_that_closes_fails() -> Result<()> {
        let (server, _) = stand_in(5)?;
        assert!(run(&server, 2, 1, 100).is_err());
        Ok(())
    }
}
