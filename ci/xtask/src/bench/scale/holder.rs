//! `xtask hold`: one of the processes that hold the connections of `bench scale`.
//!
//! A process may not have as many descriptors as connections are wanted, so there are several. Each
//! does what the lines on its standard input say, and answers each with a line:
//!
//! | line | what it does | answer |
//! |---|---|---|
//! | `come N` | opens the connections of generation N, and has a request answered on each | `here` |
//! | `look` | looks that each of them stands and has nothing to read | `idle` |
//! | `leave` | closes them | `gone` |

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::net::{AddressFamily, SocketType};
use rustix::process::{Resource, getrlimit, setrlimit};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a whole generation may take.
const GENERATION_PATIENCE: Duration = Duration::from_secs(90);

/// What is asked, and how its answer ends.
const REQUEST: &[u8] = b"GET /plaintext HTTP/1.1\r\nHost: a\r\n\r\n";
const ANSWER_END: &[u8] = b"Hello, World!";

/// So many own addresses share a generation: one has ports for about 28,000 connections, and the
/// ports of those that have just been closed are not given again for a minute.
const ADDRESSES: usize = 8;

/// Whom a holder connects to, and how often.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The server
    server: SocketAddr,
    /// How many connections it holds
    connections: usize,
}

/// The body of such a process: until its standard input ends.
pub(crate) fn run(options: &Options) -> Result<()> {
    raise_descriptors()?;
    let mut held = Vec::with_capacity(options.connections);
    for line in std::io::stdin().lines() {
        let line = line?;
        let answer = match line.split_once(' ').unwrap_or((&line, "")) {
            ("come", generation) => {
                let generation = generation.parse()?;
                for number in 0..options.connections {
                    let connection = come(options.server, generation, number);
                    held.push(connection.with_context(|| format!("connection {number}"))?);
                }
                "here"
            }
            ("look", _) => {
                held.iter().try_for_each(look)?;
                "idle"
            }
            ("leave", _) => {
                held.clear();
                "gone"
            }
            (other, _) => bail!("`{other}` is no order"),
        };
        println!("{answer}");
    }
    Ok(())
}

fn raise_descriptors() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("raise the limit of open files")
}

/// A connection that had a request answered.
fn come(server: SocketAddr, generation: u8, number: usize) -> Result<TcpStream> {
    let own = Ipv4Addr::new(127, 0, generation, 1 + (number % ADDRESSES) as u8);
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    rustix::net::bind(&socket, &SocketAddrV4::new(own, 0)).context("a port of its own")?;
    rustix::net::connect(&socket, &server).context("connect")?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(REQUEST)?;
    let (mut answer, mut count) = ([0; 1024], 0);
    while !answer.get(..count).unwrap_or_default().ends_with(ANSWER_END) {
        let read = stream.read(answer.get_mut(count..).unwrap_or_default());
        let read = read.context("wait for an answer")?;
        ensure!(read > 0, "no answer, or a longer one than is right");
        count += read;
    }
    ensure!(answer.starts_with(b"HTTP/1.1 200 "), "the answer is no 200");
    Ok(stream)
}

fn look(stream: &TcpStream) -> Result<()> {
    stream.set_nonblocking(true)?;
    match stream.peek(&mut [0]) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
        Ok(0) => bail!("the server closed a connection that was idle"),
        other => bail!("an idle connection has something to read: {other:?}"),
    }
}

/// Such a process, seen from the one that started it; it is ended with the value.
pub(super) struct Holder {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<String>,
}

impl Holder {
    pub(super) fn start(server: SocketAddr, connections: usize) -> Result<Self> {
        let own = std::env::current_exe()?;
        // The kernel ends it with the thread that started it, whatever happens to that.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(own).arg("hold");
        command.args([server.to_string(), connections.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("start a process that holds connections")?;
        let orders = child.stdin.take().context("its standard input")?;
        let output = child.stdout.take().context("its standard output")?;
        let (sender, answers) = mpsc::channel();
        std::thread::spawn(move || {
            let lines = std::io::BufRead::lines(std::io::BufReader::new(output));
            lines.map_while(Result::ok).try_for_each(|line| sender.send(line).ok())
        });
        Ok(Self { child, orders, answers })
    }

    /// Gives an order; [`wait`](Self::wait) waits for its answer.
    pub(super) fn order(&mut self, order: &str) -> Result<()> {
        writeln!(self.orders, "{order}").context("a process that held connections has ended")
    }

    /// Waits for the answer to an order.
    pub(super) fn wait(&mut self, answer: &str) -> Result<()> {
        let heard = self.answers.recv_timeout(GENERATION_PATIENCE);
        let heard = heard.with_context(|| format!("a holder of connections is not {answer}"))?;
        ensure!(heard == answer, "`{heard}` is not `{answer}`");
        Ok(())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
