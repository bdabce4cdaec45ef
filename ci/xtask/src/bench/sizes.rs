//! What the examples' firmware takes: flash, statics, sizes of futures and the stack's peak.
//!
//! All but the stack is read from the linked file. The stack is measured in QEMU, after a load that
//! goes through every kind of answer; an interrupt that came at the deepest moment adds its frame,
//! so this figure alone has a tolerance of some words.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::qemu::firmware::{Address, PROFILE};
use ::qemu::image::Image;
use ::qemu::machine::{Machine, Network};
use anyhow::{Context, Result, ensure};

use super::budgets::Figure;
use super::load::{self, Shape};
use crate::boards::{Board, port_of};
use crate::metadata;
use crate::packages::TARGET_BOARD;
use crate::process::cargo;

/// Serves hello over a transport that does nothing.
const NULL_BOARD: &str = "null-board";

/// The variable that firmware of `bench` takes its number of connections from, and two numbers:
/// what a connection more costs is the difference. Without the variable there are four.
const CONNECTIONS: &str = "DUSTDEVIL_CONNECTIONS";
pub(super) const MORE_CONNECTIONS: [(&str, u64); 2] = [("5", 1), ("8", 4)];

/// How long a board may take to boot, and to come to rest.
const BOOT: Duration = Duration::from_secs(30);
const REST: Duration = Duration::from_millis(300);

/// How long an answer to a bad request is awaited from a server that need not give one.
const LISTEN: Duration = Duration::from_secs(2);

/// Requests of one kind in the load, and connections opened one after another.
const ROUNDS: u64 = 20;

/// Keep-alive connections of the load; as many as the firmware has, and less one that is closing.
const CLIENTS: usize = 3;

/// What one firmware takes.
pub(crate) struct Size {
    /// The example.
    pub(crate) example: &'static str,
    /// Its ELF file.
    pub(crate) elf: PathBuf,
    /// Bytes of flash.
    pub(crate) flash_bytes: u64,
    /// Bytes of RAM without the stack.
    pub(crate) static_bytes: u64,
    /// Bytes of stack that the load reached.
    pub(crate) stack_peak_bytes: u64,
    /// Bytes that one more connection adds to the statics, where that was asked.
    pub(crate) connection_bytes: Option<u64>,
    /// What the firmware itself names.
    named: Vec<(String, u64)>,
}

impl Size {
    /// The figures for budgets, each key below `prefix`.
    pub(super) fn figures(self, prefix: &str) -> Vec<Figure> {
        let own = [
            ("flash_bytes", Some(self.flash_bytes)),
            ("static_bytes", Some(self.static_bytes)),
            ("stack_peak_bytes", Some(self.stack_peak_bytes)),
            ("connection_bytes", self.connection_bytes),
        ];
        let own = own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let all = own.chain(self.named);
        all.map(|(name, value)| Figure::new(format!("{prefix}.{name}"), value as f64)).collect()
    }
}

/// Builds each example that the board has, with a static address, and measures it.
pub(crate) fn of_examples(board: &Board) -> Result<Vec<Size>> {
    let examples = board.examples()?;
    ensure!(!examples.is_empty(), "{} has no firmware", board.name);
    examples.into_iter().map(|example| of_example(board, example)).collect()
}

fn of_example(board: &Board, example: &'static str) -> Result<Size> {
    let elf = build(board, example)?;
    let image = Image::read(&elf)?;
    let connection_bytes = match example {
        "bench" => Some(of_one_connection(board, image.static_bytes)?),
        _ => None,
    };
    let guest_port = port_of(example);
    let load = |port| if guest_port == 80 { put_load(port, example) } else { say_lines(port) };
    let peak = stack_peak(&elf, &image, guest_port, load).map(|(peak, _)| peak);
    Ok(Size {
        example,
        elf,
        flash_bytes: image.flash_bytes,
        static_bytes: image.static_bytes,
        stack_peak_bytes: peak.with_context(|| format!("the stack of {example}"))?.into(),
        connection_bytes,
        named: image.named,
    })
}

/// An example's firmware, as every figure is taken of it: with the address that QEMU's network
/// expects.
pub(super) fn build(board: &Board, example: &str) -> Result<PathBuf> {
    board.build(example, &Address::of_user_network(), &[])
}

/// What one more connection takes of RAM in our firmware, which takes `of_four` with four.
pub(super) fn of_one_connection(board: &Board, of_four: u64) -> Result<u64> {
    connection_bytes(of_four, &MORE_CONNECTIONS, |environment| {
        board.build("bench", &Address::of_user_network(), environment)
    })
}

/// The same for any firmware that can be built with these numbers of connections.
pub(super) fn connection_bytes(
    of_four: u64,
    numbers: &[(&str, u64)],
    build: impl Fn(&[(&str, &str)]) -> Result<PathBuf>,
) -> Result<u64> {
    let mut each = None;
    for (connections, more) in numbers {
        let elf = build(&[(CONNECTIONS, connections)])?;
        let statics = Image::read(&elf)?.static_bytes;
        let added = statics.checked_sub(of_four).context("more connections take less RAM")?;
        ensure!(added > 0, "the firmware does not heed {CONNECTIONS}");
        // The linker rounds each table up, so that a single one may cost some bytes more.
        let one = added.div_ceil(*more);
        println!("{connections} connections: {added} bytes more than 4, {one} each");
        each = each.or(Some(one));
    }
    each.context("no number of connections was tried")
}

/// Paints the stack, loads the board, and looks how deep it went, and what it has printed.
pub(super) fn stack_peak(
    elf: &Path,
    image: &Image,
    guest_port: u16,
    load: impl FnOnce(u16) -> Result<()>,
) -> Result<(u32, String)> {
    let stack = image.stack.context("the firmware names no top of its stack")?;
    let network = Network::User { port: 0 };
    let machine = Machine::of(elf).network(network).guest_port(guest_port).paint(stack).start()?;
    machine.wait_for("listening on", BOOT)?;
    load(machine.port()?).with_context(|| format!("the load; {}", machine.log()))?;
    Ok((stack.peak(&machine)?, machine.log()))
}

/// Lines, for the examples that answer each: a name or whatever it is taken for, short ones, one
/// that is too long and one that is no text; on several connections at once and one after another.
fn say_lines(port: u16) -> Result<()> {
    let long = [b'x'; 1024];
    for round in 0..ROUNDS {
        let mut clients = Vec::new();
        for client in 0..CLIENTS {
            let mut stream = load::lines(port)?;
            stream.write_all(format!("name{client}\n").as_bytes())?;
            clients.push(stream);
        }
        for stream in &mut clients {
            stream.write_all(b"hello\n/who\n\xff\x00\n").context("say a line")?;
            let mut answer = [0; 4];
            stream.read_exact(&mut answer).context("wait for an answer")?;
        }
        if round % 4 == 0
            && let Some(stream) = clients.first_mut()
        {
            stream.write_all(&long).context("say too much")?;
        }
        drop(clients);
        std::thread::sleep(REST);
    }
    Ok(())
}

/// Each route over keep-alive connections in lockstep, connections opened one after another, and
/// what is answered with an error: an unknown path, a method that is not there, a head that is
/// none, and a head that never ends.
fn put_load(port: u16, example: &str) -> Result<()> {
    ask_for(port, paths(example))?;
    for (request, status) in bad_requests() {
        let answer = load::ask(port, request.as_bytes())?;
        let start = format!("HTTP/1.1 {status} ");
        ensure!(answer.starts_with(&start), "{request:?} was answered with {answer:?}");
    }
    Ok(())
}

/// The same for a server that may answer a bad request in any way, or not at all.
pub(super) fn put_load_on_anybody(port: u16) -> Result<()> {
    ask_for(port, &["/", "/user/1234"])?;
    for (request, _) in bad_requests() {
        let mut stream = load::lines(port)?;
        stream.set_read_timeout(Some(LISTEN))?;
        stream.write_all(request.as_bytes()).context("send a bad request")?;
        // Whatever comes, or a reset: what counts is that the server went through it.
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
        drop(stream);
        std::thread::sleep(REST);
    }
    Ok(())
}

fn ask_for(port: u16, paths: &[&str]) -> Result<()> {
    let server = load::Server::new(port);
    for path in paths {
        let server = server.path(path);
        Shape::Lockstep { connections: CLIENTS, pipelined: 1 }.run(&server, ROUNDS)?;
        std::thread::sleep(REST);
        Shape::Connect.run(&server, ROUNDS)?;
        std::thread::sleep(REST);
    }
    Ok(())
}

/// What deserves an error, and the status that ours answers.
fn bad_requests() -> [(String, &'static str); 4] {
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(4096));
    [
        ("GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned(), "404"),
        ("DELETE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned(), "405"),
        ("GET / HTTP/1.1\r\n broken\r\n\r\n".to_owned(), "400"),
        (long, "431"),
    ]
}

/// The paths of an example that its load asks for.
fn paths(example: &str) -> &'static [&'static str] {
    match example {
        "bench" => &["/", "/json", "/user/1234"],
        "demo" => &["/", "/style.css", "/app.js", "/status.json", "/led"],
        _ => &["/"],
    }
}

/// What hello costs without drivers and without a TCP stack.
pub(super) fn of_null_board() -> Result<Vec<Figure>> {
    cargo(15)
        .args(["build", "--locked", "--profile", PROFILE, "--target", TARGET_BOARD])
        .args(["-p", NULL_BOARD])
        .run()?;
    let folder = metadata::target_folder()?.join(TARGET_BOARD).join(PROFILE);
    let image = Image::read(&folder.join(NULL_BOARD))?;
    let own = [("flash_bytes", image.flash_bytes), ("static_bytes", image.static_bytes)];
    let own = own.map(|(name, value)| (name.to_owned(), value));
    let all = own.into_iter().chain(image.named);
    let figure = |(name, value)| Figure::new(format!("firmware.{NULL_BOARD}.{name}"), value as f64);
    Ok(all.map(figure).collect())
}
