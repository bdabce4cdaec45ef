//! What a server process prints and how it ends.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::util::client::{End, request};
use crate::util::process::{refuses, settle};
use crate::util::{Client, Process, alone};

const BENCH: &str = env!("CARGO_BIN_EXE_bench");

#[test]
fn a_taken_port_is_one_line_and_1() {
    let (process, at) = Process::bench(&[]);
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    for taken in [at, stranger.local_addr().unwrap()] {
        let port = taken.port().to_string();
        let ended = Process::start(&[BENCH, "--port", &port], &[]).end();
        assert_eq!((ended.code, ended.output.as_str()), (Some(1), ""));
        assert_eq!(ended.errors, format!("cannot listen on {taken}: address in use\n"));
    }
    assert_eq!(Client::connect(at).get("/").status, 200, "the first one goes on");
    process.terminate();
}

#[test]
fn help_version_and_mistakes() {
    let version = concat!("bench ", env!("CARGO_PKG_VERSION"), "\n");
    let cases: [(&[&str], i32, &str, &str); 7] = [
        (&["--help"], 0, "--connections <COUNT>", ""),
        (&["--help"], 0, "Usage: bench [OPTIONS]", ""),
        (&["--version"], 0, version, ""),
        (&["--port", "70000"], 2, "", "70000"),
        (&["--address", "localhost"], 2, "", "localhost"),
        (&["--workers", "0"], 2, "", "--workers <COUNT>"),
        (&["--colour"], 2, "", "--colour"),
    ];
    for (options, code, output, errors) in cases {
        let ended = Process::start(&[&[BENCH][..], options].concat(), &[]).end();
        assert_eq!(ended.code, Some(code), "{options:?}: {ended:?}");
        for (said, wanted) in [(&ended.output, output), (&ended.errors, errors)] {
            let silent = said.is_empty() && wanted.is_empty();
            assert!(silent || !wanted.is_empty() && said.contains(wanted), "{options:?}: {said}");
        }
    }
}

#[test]
fn a_signal_ends_an_idle_server_with_0_within_a_second() {
    let _alone = alone();
    for signal in [Signal::TERM, Signal::INT] {
        let (process, at) = Process::bench(&["--workers", "2"]);
        let mut clients: Vec<Client> = (0..20).map(|_| Client::connect(at)).collect();
        // Some have asked, some never do, and one is in the middle of it.
        clients.iter_mut().take(10).for_each(|client| assert_eq!(client.get("/").status, 200));
        let since = Instant::now();
        process.signal(signal);
        let ended = process.end();
        assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{signal:?}");
        clients.iter_mut().for_each(Client::closes);
    }
}

#[test]
fn requests_in_flight_are_finished_first() {
    for signal in [Signal::TERM, Signal::INT] {
        let process = Process::child("process::child::serves", &[]);
        let at = process.address();
        let mut slow: Vec<Client> = (0..4).map(|_| Client::connect(at)).collect();
        slow.iter_mut().for_each(|client| client.ask("/sleep/500"));
        let mut half = Client::connect(at);
        half.send("GET / HTTP/1.1\r\nHo");
        settle(at);
        process.signal(signal);
        refuses(at);
        half.send("st: test\r\n\r\n");
        assert_eq!(half.response().field("Connection"), Some("close"));
        for client in &mut slow {
            let response = client.response();
            assert_eq!((response.status, response.text()), (200, "slept"));
            client.closes();
        }
        let ended = process.end();
        assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""), "{signal:?}");
    }
}

#[test]
fn who_waits_in_the_backlog_when_the_signal_comes_is_served() {
    let process = Process::child("process::child::serves", &[]);
    let at = process.address();
    settle(at);
    let mut holdup = Client::connect(at);
    holdup.ask("/block/500");
    std::thread::sleep(Duration::from_millis(100));
    // Nobody accepts now: the kernel alone has these.
    let mut waiting: Vec<Client> = (0..3).map(|_| Client::connect(at)).collect();
    waiting.iter_mut().for_each(|client| client.ask("/"));
    process.signal(Signal::TERM);
    for client in waiting.iter_mut().chain([&mut holdup]) {
        assert_eq!(client.response().status, 200);
        client.closes();
    }
    assert_eq!(process.end().code, Some(0));
}

#[test]
fn a_second_signal_does_not_wait() {
    let process = Process::child("process::child::serves", &[]);
    let at = process.address();
    let mut slow = Client::connect(at);
    slow.ask("/sleep/9000");
    settle(at);
    process.signal(Signal::TERM);
    refuses(at);
    process.signal(Signal::INT);
    assert_eq!(process.end().code, Some(130));
    assert!(matches!(slow.rest(), (rest, End::Closed | End::Reset) if rest.is_empty()));
}

#[test]
fn a_panic_in_a_handler_names_its_place_and_ends_with_101() {
    let process = Process::child("process::child::serves", &[]);
    let at: SocketAddr = process.address();
    let mut client = Client::connect(at);
    client.send(request("/panic"));
    let ended = process.end();
    assert_eq!(ended.code, Some(101), "{ended:?}");
    let errors = ended.errors;
    assert!(errors.contains("thread 'worker ") && errors.contains("panicked at "), "{errors}");
    assert!(errors.contains("workshop.rs:") && errors.contains("a bad day"), "{errors}");
}

/// What runs inside the processes that are this binary again.
mod child {
    use std::process::{ExitCode, exit};

    use dustdevil_core::reactor::Reactor;
    use dustdevil_http::{Capacity, Limits, Server};
    use dustdevil_std::{Epoll, Options, percore, zeroed};

    use crate::util::Workshop;

    #[test]
    #[ignore = "a process of its own"]
    fn serves() {
        let options = Options { port: 0, workers: 1, connections: 64, ..Options::default() };
        let code = percore::run(options, |worker| {
            let capacity = Capacity::for_connections(worker.options().connections);
            let reactor_capacity = capacity.reactor();
            let mut tables = zeroed(reactor_capacity.bytes());
            let mut memory = zeroed(capacity.bytes::<Workshop>());
            let wakes = worker.wakes(reactor_capacity.tasks);
            let reactor = Reactor::new(Epoll::new()?, tables.block(), reactor_capacity, wakes);
            let listener = reactor.listen(worker.address(), 1024)?;
            let server = Server::new(&Workshop, memory.block(), capacity, Limits::DEFAULT);
            reactor.run(server.serve_until(&reactor, listener, worker.stopped()));
            Ok(())
        });
        // As `main` would: a test cannot return it.
        exit(i32::from(code != ExitCode::SUCCESS));
    }
}
