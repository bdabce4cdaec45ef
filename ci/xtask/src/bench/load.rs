//! A load generator for counting: one thread, blocking sockets, a fixed number of requests.
//!
//! It works in lockstep (write on every connection, then read on every connection), so that what
//! the server sees in one turn does not depend on who was scheduled when.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// How long a server may take for an answer, also under callgrind.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is sent; 50 bytes, as in the table of performance figures.
const REQUEST: &[u8] = b"GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:8888\r\n\r\n\0";

/// The shape of a load.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Keep-alive connections, each with `pipelined` requests on the way at once.
    Lockstep { connections: usize, pipelined: usize },
    /// A connection for each request, closed by the client.
    Connect,
}

impl Shape {
    /// Requests in one round.
    pub(super) fn requests(self) -> u64 {
        match self {
            Self::Lockstep { connections, pipelined } => (connections * pipelined) as u64,
            Self::Connect => 1,
        }
    }

    /// Runs so many rounds against a server.
    pub(super) fn run(self, server: SocketAddr, rounds: u64) -> Result<()> {
        match self {
            Self::Lockstep { connections, pipelined } => {
                let mut clients = connect(server, connections)?;
                for _ in 0..rounds {
                    for client in &mut clients {
                        client.send(pipelined)?;
                    }
                    for client in &mut clients {
                        client.receive(pipelined)?;
                    }
                }
            }
            Self::Connect => {
                for _ in 0..rounds {
                    Client::connect(server)?.exchange()?;
                }
            }
        }
        Ok(())
    }
}

/// Opens so many connections, each of which has had one request answered and is idle.
pub(super) fn connect(server: SocketAddr, connections: usize) -> Result<Vec<Client>> {
    (0..connections)
        .map(|at| {
            let mut client = Client::connect(server).with_context(|| format!("connection {at}"))?;
            client.exchange().with_context(|| format!("connection {at}"))?;
            Ok(client)
        })
        .collect()
}

/// One connection.
pub(super) struct Client {
    stream: TcpStream,
    /// The bytes of an answer: all have one length, which the first one tells.
    answer_bytes: usize,
}

impl Client {
    fn connect(server: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, answer_bytes: 0 })
    }

    /// Sends one request, reads its answer and learns the answers' length.
    fn exchange(&mut self) -> Result<()> {
        self.send(1)?;
        let mut answer = Vec::new();
        let mut part = [0; 4096];
        while self.answer_bytes == 0 || answer.len() < self.answer_bytes {
            let count = self.stream.read(&mut part).context("wait for an answer")?;
            ensure!(count > 0, "the server closed the connection");
            answer.extend_from_slice(part.get(..count).unwrap_or_default());
            if self.answer_bytes == 0 {
                self.answer_bytes = whole_bytes(&answer)?.unwrap_or(0);
            }
        }
        ensure!(answer.len() == self.answer_bytes, "the server sent more than one answer");
        Ok(())
    }

    fn send(&mut self, requests: usize) -> Result<()> {
        let request = REQUEST.strip_suffix(b"\0").unwrap_or(REQUEST);
        self.stream.write_all(&request.repeat(requests)).context("send a request")
    }

    fn receive(&mut self, answers: usize) -> Result<()> {
        let mut bytes = vec![0; self.answer_bytes * answers];
        self.stream.read_exact(&mut bytes).context("wait for an answer")?;
        for answer in bytes.chunks(self.answer_bytes) {
            ensure!(answer.starts_with(b"HTTP/1.1 200 "), "an answer begins in the wrong place");
        }
        Ok(())
    }
}

/// The length of an answer, once its head is complete; an answer that is not a 200 fails.
fn whole_bytes(answer: &[u8]) -> Result<Option<usize>> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(answer.get(..end).unwrap_or_default())?;
    if !head.starts_with("HTTP/1.1 200 ") {
        bail!("the answer is {}", head.lines().next().unwrap_or_default());
    }
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .find_map(|(_, value)| value.trim().parse::<usize>().ok());
    Ok(Some(end + 4 + length.context("the answer has no Content-Length")?))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A server that answers every 49 bytes with the same answer, one thread a connection.
    fn stand_in(answer: &'static str) -> Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || {
                    let mut request = vec![0; REQUEST.len() - 1];
                    while stream.read_exact(&mut request).is_ok() {
                        if stream.write_all(answer.as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Ok(address)
    }

    #[test]
    fn every_shape_is_answered() -> Result<()> {
        let server = stand_in("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")?;
        Shape::Lockstep { connections: 1, pipelined: 1 }.run(server, 10)?;
        Shape::Lockstep { connections: 8, pipelined: 16 }.run(server, 10)?;
        Shape::Connect.run(server, 10)?;
        assert_eq!(connect(server, 3)?.len(), 3);
        Ok(())
    }

    #[test]
    fn a_wrong_answer_fails() -> Result<()> {
        for answer in [
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, and more",
        ] {
            assert!(Shape::Connect.run(stand_in(answer)?, 1).is_err(), "{answer}");
        }
        Ok(())
    }
}
