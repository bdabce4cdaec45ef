//! Tornado's `tcpecho`, over anything that carries bytes: each line comes back as it was.
//!
//! [`echo`] is the handler. It is generic over [`RawStream`], so that the same code serves TCP and
//! unix sockets ([`handle_stream`]) and a serial port ([`serve_port`]); a program runs as many of
//! them beside each other as it likes.
//!
//! Invariants and limits, the same everywhere:
//! - A line has at most [`LINE_BYTES_MAX`] bytes, its newline included. Whoever sends a longer one
//!   is told so ([`TOO_LONG`]), and the connection is closed.
//! - A line is read and its echo is taken by the peer within [`Limits::idle`]; else the connection
//!   is closed without a word. A serial port cannot be closed: it begins anew.
//! - Bytes that no newline follows are not echoed.
//! - Nothing is copied: a line is written from where it was read. A connection takes its buffer of
//!   [`LINE_BYTES_MAX`] bytes, whatever it sends.
//! - After [`LINES_PER_TURN_MAX`] lines others have their turn.
//!
//! Full: more connections than the server has room for wait in the listener's backlog.
//!
//! Place: an application, above `dustdevil_core`. `main.rs` is its Linux binary.
#![no_std]
#![forbid(unsafe_code)]

use core::net::SocketAddr;

use dustdevil_core::coroutine::yield_now;
use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::handle::Handle;
use dustdevil_core::memory::Block;
use dustdevil_core::poller::Error;
use dustdevil_core::reactor::Capacity;
use dustdevil_core::stream::{IoStream, RawStream, StreamError};
use dustdevil_core::tcp::{Tcp, TcpClient, TcpListener, TcpServer};
use dustdevil_core::time::Duration;
use embassy_futures::select::select;

/// Longest line, in bytes, its newline included.
pub const LINE_BYTES_MAX: usize = 256;

/// What whoever sends a longer line is told.
pub const TOO_LONG: &[u8] = b"a line has at most 256 bytes\n";

/// Lines of one connection that are echoed in a row before others have their turn.
pub const LINES_PER_TURN_MAX: u32 = 64;

/// How long [`ask`] waits for its answer.
pub const ASK_FOR: Duration = Duration::from_secs(10);

/// How patient the handler is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The time for one line to come, and for its echo to be taken.
    pub idle: Duration,
}

impl Limits {
    /// A minute a line.
    pub const DEFAULT: Self = Self { idle: Duration::from_secs(60) };
}

/// Why [`echo`] came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The peer ended its output, or is gone.
    Closed,
    /// A line was not there, or its echo not taken, in time.
    Idle,
    /// A line is too long. The peer was told, and the line is still to be read.
    TooLong,
}

/// Writes back line by line: the handler. It closes nothing.
///
/// Cancel-safe: a line whose echo was not taken whole is lost with a dropped call; what comes after
/// it is still in the stream.
pub async fn echo<S: RawStream>(
    rt: Handle<'_>,
    stream: &mut IoStream<'_, S>,
    limits: Limits,
) -> Ended {
    let (mut reader, mut writer) = stream.split();
    loop {
        for _ in 0..LINES_PER_TURN_MAX {
            let line = reader.read_until(b"\n", LINE_BYTES_MAX);
            let line = match rt.timeout(limits.idle, line).await {
                Ok(Ok(line)) => line,
                Ok(Err(StreamError::Unsatisfiable | StreamError::BufferFull)) => {
                    // Who does not take this either is not waited for any longer.
                    let _ = rt.timeout(limits.idle, writer.write(TOO_LONG)).await;
                    return Ended::TooLong;
                }
                Ok(Err(_)) => return Ended::Closed,
                Err(_) => return Ended::Idle,
            };
            match rt.timeout(limits.idle, writer.write(line)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Ended::Closed,
                Err(_) => return Ended::Idle,
            }
        }
        yield_now().await;
    }
}

/// One connection of a [`TcpServer`]. Tornado: `handle_stream`.
pub async fn handle_stream(tcp: Tcp<'_>, _: SocketAddr) {
    let rt = tcp.handle();
    let mut buffer = [0; LINE_BYTES_MAX];
    let mut stream = IoStream::new(tcp, &mut buffer);
    echo(rt, &mut stream, Limits::DEFAULT).await;
}

/// Serves a stream that has no end, such as a serial port: after a line that was too long it goes
/// on with the next one, and silence ends nothing. Returns when the stream is dead.
pub async fn serve_port<S: RawStream>(rt: Handle<'_>, port: S, limits: Limits) {
    let mut buffer = [0; LINE_BYTES_MAX];
    let mut stream = IoStream::new(port, &mut buffer);
    loop {
        match echo(rt, &mut stream, limits).await {
            Ended::Closed => return,
            Ended::Idle => {}
            Ended::TooLong => {
                if skip_line(&mut stream).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Drops everything until the end of the line, however far that is.
async fn skip_line<S: RawStream>(stream: &mut IoStream<'_, S>) -> Result<(), StreamError> {
    loop {
        match stream.read_until(b"\n", LINE_BYTES_MAX).await {
            Err(StreamError::Unsatisfiable | StreamError::BufferFull) => {
                stream.read_bytes_partial(LINE_BYTES_MAX).await?;
            }
            ended => return ended.map(drop),
        }
    }
}

/// The same capacity with what [`serve`] takes of a reactor for `connections` at once.
pub const fn plus_server(capacity: Capacity, connections: usize) -> Capacity {
    // A connection waits under one deadline; the server for room.
    let capacity = capacity.plus_timers(connections + 1);
    capacity.plus_streams(connections + 1).plus_tasks(connections)
}

/// Bytes of the block that [`serve`] takes for `connections` at once.
pub const fn bytes(connections: usize) -> usize {
    TcpServer::bytes(&handle_stream, connections)
}

/// Echoes over up to `connections` at once until the reactor is asked to stop; then all of them
/// are closed. `memory` has [`bytes`] bytes.
pub async fn serve<'m, 'c: 'm>(
    rt: Handle<'c>,
    listener: TcpListener<'c>,
    mut memory: Block<'m>,
    connections: usize,
) {
    let server = TcpServer::new(listener, &mut memory, connections, handle_stream);
    // Dropping the server closes what was open; what the transport has taken is delivered.
    select(server, rt.stopping()).await;
}

/// Asks the echo server at one of these addresses, and returns how much of `answer` is its answer
/// to `line`, which ends with a newline. Tornado: the demo's `client.py`.
///
/// Cancel-safe: dropping it closes the connection.
///
/// # Errors
/// Nobody answers within [`ASK_FOR`], the server closes the connection, or the answer does not fit.
#[cfg_attr(
    target_pointer_width = "64",
    expect(clippy::large_futures, reason = "it has a line's buffer, which nothing copies")
)]
pub async fn ask(
    client: TcpClient<'_>,
    to: &[SocketAddr],
    line: &[u8],
    answer: &mut [u8],
) -> Result<usize, StreamError> {
    let within = client.handle().now() + ASK_FOR;
    let talk = async {
        let tcp = client.connect_any(to, ASK_FOR).await;
        let tcp = tcp.map_err(|error| StreamError::Closed(Some(error)))?;
        let mut buffer = [0; LINE_BYTES_MAX];
        let mut stream = IoStream::new(tcp, &mut buffer);
        stream.write(line).await?;
        let line = stream.read_until(b"\n", answer.len()).await?;
        if let Some(answer) = answer.get_mut(..line.len()) {
            answer.copy_from_slice(line);
        }
        Ok(line.len())
    };
    let late = StreamError::Closed(Some(Error::new(ErrorKind::TimedOut)));
    client.handle().timeout_at(within, talk).await.unwrap_or(Err(late))
}
