//! A load generator for counting: one thread, blocking sockets, a fixed number of requests.
//!
//! It works in lockstep (write on every connection, then read on every connection), so that what
//! the server sees in one turn does not depend on who was scheduled when.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// How long a server may take for an answer, also under callgrind.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is asked for on Linux.
pub(super) const PATH: &str = "/plaintext";

/// What a head has beside its first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// One field: 49 bytes for [`PATH`].
    Short,
    /// What Chromium sends: ten fields, 480 bytes for [`PATH`].
    Browser,
}

/// A fixed name, so that a request's length does not depend on the port.
const SHORT: &str = "Host: 127.0.0.1:8888\r\n";

/// What Chromium sends to a server of this machine when a link is followed.
const BROWSER: &str = "Host: 127.0.0.1:8888\r\n\
    Connection: keep-alive\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/142.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,\
    */*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Dest: document\r\n\
    Referer: http://127.0.0.1:8888/homepage\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-US,en;q=0.9\r\n";

impl Head {
    fn fields(self) -> &'static str {
        match self {
            Self::Short => SHORT,
            Self::Browser => BROWSER,
        }
    }
}

/// A server and what it is asked.
#[derive(Clone, Debug)]
pub(super) struct Server {
    address: SocketAddr,
    path: String,
    head: Head,
    request: Vec<u8>,
}

impl Server {
    /// On 127.0.0.1, asked for `/plaintext`.
    pub(super) fn new(port: u16) -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    /// At an address, asked for `/plaintext`.
    pub(super) fn at(address: SocketAddr) -> Self {
        Self::asked(address, PATH, Head::Short)
    }

    /// The length of what is asked.
    #[cfg(test)]
    pub(super) fn request_bytes(&self) -> usize {
        self.request.len()
    }

    /// The same one, asked for another path.
    pub(super) fn path(&self, path: &str) -> Self {
        Self::asked(self.address, path, self.head)
    }

    /// The same one, asked with another head.
    pub(super) fn head(&self, head: Head) -> Self {
        Self::asked(self.address, &self.path, head)
    }

    fn asked(address: SocketAddr, path: &str, head: Head) -> Self {
        let request = format!("GET {path} HTTP/1.1\r\n{}\r\n", head.fields());
        Self { address, path: path.to_owned(), head, request: request.into_bytes() }
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
        self.first().map(drop)
    }

    /// Reads the first answer, and learns the length of all.
    fn first(&mut self) -> Result<Vec<u8>> {
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
        Ok(answer)
    }

    /// Whether the server has neither closed the connection nor sent anything.
    pub(super) fn is_idle(&self) -> Result<bool> {
        self.stream.set_nonblocking(true)?;
        let looked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false)?;
        Ok(looked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock))
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

/// The body of the answer to one request, which must be a 200 with a length.
pub(super) fn body(server: &Server) -> Result<Vec<u8>> {
    let mut client = Client::connect(server)?;
    client.send(1)?;
    let answer = client.first()?;
    let head = head_bytes(&answer).unwrap_or_default();
    Ok(answer.get(head..).unwrap_or_default().to_vec())
}

/// Where a head ends, and the body begins.
fn head_bytes(answer: &[u8]) -> Option<usize> {
    answer.windows(4).position(|window| window == b"\r\n\r\n").map(|end| end + 4)
}

/// The length of an answer, once its head is complete; an answer that is not a 200 fails.
fn whole_bytes(answer: &[u8]) -> Result<Option<usize>> {
    let Some(end) = head_bytes(answer) else { return Ok(None) };
    let head = std::str::from_utf8(answer.get(..end).unwrap_or_default())?;
    if !head.starts_with("HTTP/1.1 200 ") {
        bail!("the answer is {}", head.lines().next().unwrap_or_default());
    }
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .find_map(|(_, value)| value.trim().parse::<usize>().ok());
    Ok(Some(end + length.context("the answer has no Content-Length")?))
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
    fn heads_have_the_length_that_is_said() {
        let server = Server::new(1);
        for (head, bytes, fields) in [(Head::Short, 49, 1), (Head::Browser, 480, 10)] {
            let server = server.head(head);
            assert_eq!(server.request.len(), bytes, "{head:?}");
            let text = String::from_utf8_lossy(&server.request).into_owned();
            assert!(text.ends_with("\r\n\r\n") && !text.trim_end().contains("\r\n\r\n"));
            assert_eq!(text.lines().count(), 1 + fields + 1, "{head:?}");
            assert!(server.path("/json").request.starts_with(b"GET /json HTTP/1.1\r\nHost: "));
        }
    }

    #[test]
    fn the_body_is_read_and_idleness_seen() -> Result<()> {
        let server = stand_in("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")?;
        assert_eq!(body(&server)?, b"ok");
        let mut client = Client::connect(&server)?;
        client.exchange()?;
        assert!(client.is_idle()?);
        client.send(1)?;
        // Its answer comes, and nobody reads it.
        client.stream.peek(&mut [0])?;
        assert!(!client.is_idle()?);
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
