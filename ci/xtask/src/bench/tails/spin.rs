//! What a handler that takes 1 ms of CPU does to all others, on a server that runs as it is.
//!
//! 64 connections ask again as soon as they were answered; some of them for the route that takes
//! 1 ms. How many the server answers is reckoned by its own CPU time, so that a busy machine
//! changes nothing; how long the others wait is also told in spins, for the same reason. The wall
//! clock's word is shown beside it. None of this is judged.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use super::PATH;
use super::crowd::request;
use super::turns::Server;

/// Connections.
const CONNECTIONS: usize = 64;
/// How long each row is measured.
const SPAN: Duration = Duration::from_secs(2);
/// How many of the connections ask for what takes its time.
const SPINNING: &[usize] = &[0, 1, 4, 16];

/// A connection and when it asked.
struct Asker {
    stream: TcpStream,
    request: Vec<u8>,
    asked: Instant,
    spins: bool,
}

/// How those fared that ask for what takes no time.
struct Row {
    spinning: usize,
    spun: usize,
    /// Microseconds, sorted.
    waits: Vec<u64>,
    /// The CPU time that the server took.
    cpu: Duration,
}

/// Measures and prints the table.
pub(super) fn table() -> Result<()> {
    let server = Server::start(&[], 2 * CONNECTIONS)?;
    println!(
        "\n| of 64 connections spin | others' requests a CPU second | to none | spins in a wait | \
         median wait | 99 of 100 |\n|---|---|---|---|---|---|"
    );
    let mut none = None;
    for &spinning in SPINNING {
        let row = measure(&server, spinning)?;
        let rate = row.waits.len() as f64 / row.cpu.as_secs_f64();
        let none = *none.get_or_insert(rate);
        println!(
            "| {spinning} | {rate:.0} | {:.3} | {:.1} | {} us | {} us |",
            rate / none,
            row.spins_in_a_wait(),
            row.part(50),
            row.part(99),
        );
    }
    server.end()
}

fn measure(server: &Server, spinning: usize) -> Result<Row> {
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut askers = Vec::new();
    for place in 0..CONNECTIONS {
        let spins = place < spinning;
        let stream = TcpStream::connect(server.address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        epoll::add(&poll, stream.as_fd(), EventData::new_u64(place as u64), EventFlags::IN)?;
        let request = request(if spins { "/spin" } else { PATH }, 0);
        askers.push(Asker { stream, request, asked: Instant::now(), spins });
    }
    let (began, cpu) = (Instant::now(), server.cpu_time()?);
    askers.iter_mut().try_for_each(Asker::ask)?;
    let (mut waits, mut spun) = (Vec::with_capacity(1 << 20), 0);
    let mut events: Vec<Event> = Vec::with_capacity(CONNECTIONS);
    while began.elapsed() < SPAN {
        events.clear();
        let second = Timespec { tv_sec: 1, tv_nsec: 0 };
        epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&second))?;
        for event in &events {
            let data = event.data;
            let asker = askers.get_mut(data.u64() as usize).context("an event of nobody's")?;
            if asker.is_answered()? {
                if asker.spins {
                    spun += 1;
                } else {
                    waits.push(asker.asked.elapsed().as_micros() as u64);
                }
                asker.ask()?;
            }
        }
    }
    waits.sort_unstable();
    ensure!(!waits.is_empty(), "nobody was answered");
    let cpu = server.cpu_time()?.saturating_sub(cpu);
    Ok(Row { spinning, spun, waits, cpu })
}

impl Asker {
    fn ask(&mut self) -> Result<()> {
        self.asked = Instant::now();
        self.stream.write_all(&self.request).context("ask")
    }

    /// Whether the answer has come; it comes in one piece.
    fn is_answered(&mut self) -> Result<bool> {
        let mut answer = [0; 1024];
        match self.stream.read(&mut answer) {
            Ok(count) => {
                let answer = answer.get(..count).unwrap_or_default();
                ensure!(answer.starts_with(b"HTTP/1.1 200 "), "an answer that is not a 200");
                ensure!(answer.ends_with(b"Hello, World!"), "a part of an answer");
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error).context("wait for an answer"),
        }
    }
}

impl Row {
    /// The wait that so many of 100 were not longer than, in microseconds.
    fn part(&self, of_100: usize) -> u64 {
        let last = self.waits.len() - 1;
        self.waits.get(last * of_100 / 100).copied().unwrap_or(0)
    }

    /// How many spins there were for each time that one of the others waited.
    fn spins_in_a_wait(&self) -> f64 {
        let others = (CONNECTIONS - self.spinning) as f64;
        self.spun as f64 / (self.waits.len() as f64 / others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_row() {
        let row =
            Row { spinning: 4, spun: 40, waits: (0..=600).collect(), cpu: Duration::from_secs(1) };
        assert_eq!((row.part(50), row.part(99), row.part(100)), (300, 594, 600));
        assert!((row.spins_in_a_wait() - 4.0).abs() < 0.1, "{}", row.spins_in_a_wait());
    }
}
