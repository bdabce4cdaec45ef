//! Clients by the thousand: blocking sockets in one thread, which write and read when they are
//! told to.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// How long an answer may take, also under callgrind and behind thousands of others.
const PATIENCE: Duration = Duration::from_secs(300);

/// One connection.
pub(super) struct Peer {
    stream: TcpStream,
    /// What was read and not yet looked at.
    read: Vec<u8>,
}

/// A request for `path`, of 49 bytes for the usual one; `padding` more bytes go into a field of its
/// own.
pub(super) fn request(path: &str, padding: usize) -> Vec<u8> {
    let field =
        if padding > 0 { format!("X-Padding: {}\r\n", "x".repeat(padding)) } else { String::new() };
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:8888\r\n{field}\r\n").into_bytes()
}

impl Peer {
    /// Connects; nothing is sent.
    pub(super) fn connect(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&to, PATIENCE).context("connect")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, read: Vec::new() })
    }

    /// Sends bytes.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("send")
    }

    /// Reads so many answers, each of which must be a 200; what the last one said.
    pub(super) fn receive(&mut self, answers: usize) -> Result<String> {
        let mut said = String::new();
        for _ in 0..answers {
            said = loop {
                if let Some((len, body)) = whole(&self.read)? {
                    let body = self.read.get(len - body..len).unwrap_or_default();
                    let body = String::from_utf8_lossy(body).into_owned();
                    self.read.drain(..len);
                    break body;
                }
                let mut part = [0; 16 * 1024];
                let count = self.stream.read(&mut part).context("wait for an answer")?;
                ensure!(count > 0, "the server closed the connection");
                self.read.extend_from_slice(part.get(..count).unwrap_or_default());
            };
        }
        Ok(said)
    }

    /// Asks for a path and waits for the answer.
    pub(super) fn ask(&mut self, path: &str) -> Result<String> {
        self.send(&request(path, 0))?;
        self.receive(1).with_context(|| format!("ask for {path}"))
    }

    /// Reads and forgets so many bytes, `at_once` at a time, with a pause after each.
    pub(super) fn skip(&mut self, bytes: usize, at_once: usize, pause: Duration) -> Result<()> {
        let mut part = vec![0; at_once];
        let mut left = bytes;
        while left > 0 {
            let most = left.min(at_once);
            let count = self.stream.read(part.get_mut(..most).unwrap_or_default())?;
            ensure!(count > 0, "the server closed the connection");
            left -= count;
            if !pause.is_zero() {
                std::thread::sleep(pause);
            }
        }
        Ok(())
    }
}

/// So many connections, on which nothing was sent.
pub(super) fn connect(to: SocketAddr, count: usize) -> Result<Vec<Peer>> {
    (0..count).map(|at| Peer::connect(to).with_context(|| format!("connection {at}"))).collect()
}

/// Sends the same on all.
pub(super) fn send(peers: &mut [Peer], bytes: &[u8]) -> Result<()> {
    peers.iter_mut().try_for_each(|peer| peer.send(bytes))
}

/// Reads so many answers on each.
pub(super) fn receive(peers: &mut [Peer], answers: usize) -> Result<()> {
    peers.iter_mut().try_for_each(|peer| peer.receive(answers).map(drop))
}

/// So many connections that had a request answered and are idle.
pub(super) fn idle(to: SocketAddr, count: usize) -> Result<Vec<Peer>> {
    let mut peers = connect(to, count)?;
    send(&mut peers, &request(super::PATH, 0))?;
    receive(&mut peers, 1)?;
    Ok(peers)
}

/// The bytes of the first answer and of its body, once it is there whole.
fn whole(read: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(read.get(..end).unwrap_or_default())?;
    let first = head.lines().next().unwrap_or_default();
    ensure!(first.starts_with("HTTP/1.1 200 "), "the answer is {first}");
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let body: usize = length.context("no Content-Length")?.1.trim().parse()?;
    let len = end + 4 + body;
    Ok((read.len() >= len).then_some((len, body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() -> Result<()> {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP";
        assert_eq!(whole(answer)?, Some((answer.len() - 4, 2)));
        assert_eq!(whole(&answer[..38])?, None);
        assert_eq!(whole(&answer[..20])?, None);
        assert!(whole(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n").is_err());
        assert!(whole(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        Ok(())
    }

    #[test]
    fn a_request_is_as_long_as_it_is_told() {
        assert_eq!(request("/plaintext", 0).len(), 49);
        assert_eq!(request("/plaintext", 138).len(), 200);
    }
}
