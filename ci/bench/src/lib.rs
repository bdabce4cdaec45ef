//! What all peers share: how they are started, and what they answer.
//!
//! Every one (one of them is in Python: `tornado_peer.py`) serves on one thread, announces
//! `listening on http://ADDRESS/` once it does, and answers `GET /plaintext`, `GET /json`
//! (serialised for each request) and `GET /body` (100 KiB). It is set up as its own documentation
//! would have it for speed, and no further.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

/// What `/plaintext` says.
pub const PLAINTEXT: &str = "Hello, World!";

/// What `/json` says.
#[derive(Serialize)]
pub struct Message {
    /// The text.
    pub message: &'static str,
}

/// The value that `/json` serialises each time.
pub const MESSAGE: Message = Message { message: PLAINTEXT };

/// What `/body` says: 100 KiB.
pub static BODY: [u8; 100 * 1024] = [b'x'; 100 * 1024];

/// How long those that end idle connections by default let them be: as long as nginx and ours do.
pub const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// What a server is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Serve {
    /// `/plaintext`
    Plaintext,
    /// `/json`
    Json,
    /// `/body`
    Body,
}

/// The words on the command line.
pub struct Words {
    /// Where to listen; 0: any port.
    pub port: u16,
    /// What the floor answers, which does not look.
    pub serve: Serve,
}

/// Reads `--port PORT --serve plaintext|json|body`.
///
/// # Errors
/// The status to end with: a word was not understood.
pub fn words() -> Result<Words, ExitCode> {
    let mut words = Words { port: 0, serve: Serve::Plaintext };
    let mut rest = std::env::args().skip(1);
    while let Some(word) = rest.next() {
        let value = rest.next().unwrap_or_default();
        let understood = match (word.as_str(), value.as_str()) {
            ("--serve", "plaintext") => Some(Serve::Plaintext),
            ("--serve", "json") => Some(Serve::Json),
            ("--serve", "body") => Some(Serve::Body),
            ("--port", port) => port.parse().ok().map(|port| {
                words.port = port;
                words.serve
            }),
            _ => None,
        };
        let Some(serve) = understood else {
            eprintln!("not understood: {word} {value}");
            return Err(ExitCode::from(2));
        };
        words.serve = serve;
    }
    Ok(words)
}

/// Listens on loopback.
///
/// # Errors
/// The port is taken.
pub fn listen(port: u16) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Says that the server listens.
pub fn announce(address: SocketAddr) {
    println!("listening on http://{address}/");
}
