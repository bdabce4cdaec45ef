//! `echo` on Linux.
//!
//! ```text
//! echo [--address IP] [--port 8888] [--connections N]      over TCP
//! echo --unix PATH [PORT]                                  over a unix socket and TCP at once
//! echo --connect HOST:PORT TEXT..                          a client: prints what comes back
//! ```

use std::fmt::Display;
use std::io::Write;
use std::net::ToSocketAddrs;
use std::process::ExitCode;

use dustdevil_core::handle::Handle;
use dustdevil_core::poller::Error;
use dustdevil_core::reactor::{Capacity, Reactor};
use dustdevil_core::tcp::{TcpClient, TcpListener};
use dustdevil_core::wake::Wakes;
use dustdevil_std::percore::Worker;
use dustdevil_std::{Epoll, Options, percore, unix, zeroed};
use embassy_futures::join::join3;

/// A main future, and what connecting takes.
const BARE: Capacity =
    Capacity { sources: 0, timers: 2, groups: 0, tasks: 1, waiters: 0 }.plus_streams(2);

const ABOUT: &str = "Tornado's TCP echo on Dustdevil, on one worker";
const MORE: &str = "\
Or:
  echo --unix PATH [PORT]            over a unix socket as well
  echo --connect HOST:PORT TEXT..    the other end: prints what comes back

";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["--connect", to, ref text @ ..] => ask(to, &text.join(" ")),
        ["--unix", path] => serve(Options::default(), Some(path)),
        ["--unix", path, port] => match port.parse() {
            Ok(port) => serve(Options { port, ..Options::default() }, Some(path)),
            Err(error) => fail(port, &error),
        },
        _ => serve(Options::parse_as(ABOUT, MORE), None),
    }
}

fn serve(options: Options, path: Option<&str>) -> ExitCode {
    let options = Options { workers: 1, scheme: "", ..options };
    percore::run(options, |worker| work(worker, path))
}

fn work(worker: &Worker<'_>, path: Option<&str>) -> Result<(), Error> {
    let count = worker.options().connections;
    let at_path = if path.is_some() { count } else { 0 };
    let capacity = echo::plus_server(echo::plus_server(BARE, count), at_path);
    let mut tables = zeroed(capacity.bytes());
    let mut memories = [count, at_path].map(|count| zeroed(echo::bytes(count)));
    let [by_tcp, by_path] = &mut memories;
    let wakes = worker.wakes(capacity.tasks);
    let reactor = Reactor::new(Epoll::new()?, tables.block(), capacity, wakes);
    let rt = Handle::from(&reactor);
    let listener = TcpListener::bind(rt, worker.address(), 1_024)?;
    let local = match path {
        Some(path) => Some(TcpListener::from_token(rt, unix::listen(&reactor, path, 0o600, 128)?)),
        None => None,
    };
    let tcp = echo::serve(rt, listener, by_tcp.block(), count);
    let local = async {
        if let Some(local) = local {
            echo::serve(rt, local, by_path.block(), at_path).await;
        }
    };
    let stop = async {
        worker.stopped().await;
        rt.stop();
    };
    reactor.run(join3(tcp, local, stop));
    Ok(())
}

/// The client.
fn ask(to: &str, text: &str) -> ExitCode {
    static WAKES: Wakes<{ BARE.tasks }> = Wakes::new();
    let asked = to.to_socket_addrs().map_err(|error| error.to_string()).and_then(|to| {
        let epoll = Epoll::new().map_err(|error| error.to_string())?;
        let mut tables = zeroed(BARE.bytes());
        let reactor = Reactor::new(epoll, tables.block(), BARE, &WAKES);
        let (to, line): (Vec<_>, _) = (to.collect(), format!("{text}\n"));
        let mut answer = [0; echo::LINE_BYTES_MAX];
        let asked = echo::ask(TcpClient::new(&reactor), &to, line.as_bytes(), &mut answer);
        let count = reactor.run(asked).map_err(|error| format!("{error} ({:?})", error.kind()))?;
        std::io::stdout().write_all(&answer[..count]).map_err(|error| error.to_string())
    });
    match asked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(to, &error),
    }
}

fn fail(what: &str, why: &dyn Display) -> ExitCode {
    eprintln!("{what}: {why}");
    ExitCode::FAILURE
}
