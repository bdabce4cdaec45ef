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

/// What is asked for on Linux; 50 bytes in all, as in the table of performance figures.
pub(super) const PATH: &str = "/plaintext";

/// A server and what it is asked.
#[derive(Clone, Debug)]
pub(super) struct Server {
    address: SocketAddr,
    request: Vec<u8>,
}

impl Server {
    /// On 127.0.0.1, asked for `/plaintext`.
    pub(super) fn new(port: u16) -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    /// At an address, asked for `/plaintext`.
    pub(super) fn at(address: SocketAddr) -> Self {
        Self { address, request: Vec::new() }.path(PATH)
    }

    /// The length of what is asked.
    #[cfg(test)]
    pub(super) fn request_bytes(&self) -> usize {
        self.request.len()
    }

    /// The same one, asked for another path.
    pub(super) fn path(&self, path: &str) -> Self {
        // A fixed name, so that the request's length does not depend on the port.
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:8888\r\n\r\n");
        Self { address: self.address, request: request.into_bytes() }
    }
}

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
    pub(super) fn run(self, server: &Server, rounds: u64) -> Result<()> {
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
pub(super) fn connect(server: &Server, connections: usize) -> Result<Vec<Client>> {
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
    request: Vec<u8>,
    /// The bytes of an answer: all have one length, which the first one tells.
    answer_bytes: usize,
}

impl Client {
    /// Connects; nothing is sent yet.
    pub(super) fn connect(server: &Server) -> Result<Self> {
        let stream = TcpStream::connect(server.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, request: server.request.clone(), answer_bytes: 0 })
    }

    /// Sends one request and reads its answer, whose length it learns the first time.
    pub(super) fn exchange(&mut self) -> Result<()> {
        self.send(1)?;
        if self.answer_bytes > 0 {
            return self.receive(1);
        }
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

    /// The socket, what is asked on it, and the length of an answer.
    pub(super) fn into_parts(self) -> (TcpStream, Vec<u8>, usize) {
        (self.stream, self.request, self.answer_bytes)
    }

    fn send(&mut self, requests: usize) -> Result<()> {
        self.stream.write_all(&self.request.repeat(requests)).context("send a request")
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

/// A connection for something else than HTTP.
pub(super) fn lines(port: u16) -> Result<TcpStream> {
    Ok(Client::connect(&Server::new(port))?.stream)
}

/// Sends bytes on a connection of their own and returns everything that comes back.
pub(super) fn ask(port: u16, bytes: &[u8]) -> Result<String> {
    let mut client = Client::connect(&Server::new(port))?;
    client.stream.write_all(bytes).context("send a request")?;
    let mut answer = Vec::new();
    client.stream.read_to_end(&mut answer).context("wait for an answer and the end")?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
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
    fn stand_in(answer: &'static str) -> Result<Server> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let server = Server::at(listener.local_addr()?);
        let request_bytes = server.request.len();
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || {
                    let mut request = vec![0; request_bytes];
                    while stream.read_exact(&mut request).is_ok() {
                        if stream.write_all(answer.as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Ok(server)
    }

    #[test]
    fn every_shape_is_answered() -> Result<()> {
        let server = stand_in("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")?;
        Shape::Lockstep { connections: 1, pipelined: 1 }.run(&server, 10)?;
        Shape::Lockstep { connections: 8, pipelined: 16 }.run(&server, 10)?;
        Shape::Connect.run(&server, 10)?;
        assert_eq!(connect(&server, 3)?.len(), 3);
        Ok(())
    }

    #[test]
    fn a_wrong_answer_fails() -> Result<()> {
        for answer in [
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, and more",
        ] {
            assert!(Shape::Connect.run(&stand_in(answer)?, 1).is_err(), "{answer}");
        }
        Ok(())
    }
}
