//! Whole processes: what they print and how they end.
//!
//! Each test starts this test binary again, with one of the ignored tests of [`child`] alone, and
//! looks at it from outside.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::util::PATIENCE;

struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    fn start(test: &str, environment: &[(&str, &str)]) -> Self {
        let name = format!("process::child::{test}");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &name, "--ignored", "--nocapture", "--test-threads=1"])
            .env_remove("RUST_BACKTRACE")
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// The address of the line that says where it listens, once it says so.
    fn address(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.stdout.read_line(&mut line).unwrap(), 0, "it ended without the line");
            // The harness has begun the line with the test's name.
            if let Some((_, address)) = line.split_once("listening on http://") {
                return address.trim_end().to_owned();
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// How it ended, within a while, and what it wrote to standard error.
    fn end(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(2));
        };
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (status, errors)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind; one that passed has waited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_signal_drains_and_ends_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut process = Process::start("serves", &[]);
        let address = process.address();
        drop(TcpStream::connect(&address).unwrap());
        let since = Instant::now();
        process.signal(signal);
        let (status, errors) = process.end();
        assert_eq!((status.code(), errors.as_str()), (Some(0), ""), "{signal:?}");
        assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    for (second, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut process = Process::start("never_stops", &[]);
        process.address();
        process.signal(Signal::TERM);
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(process.child.try_wait().unwrap(), None, "one signal does not end it");
        process.signal(second);
        assert_eq!(process.end().0.code(), Some(code));
    }
}

#[test]
fn a_taken_port_is_one_line_and_1() {
    let mut first = Process::start("serves", &[]);
    let address = first.address();
    let port = address.rsplit(':').next().unwrap();
    let (status, errors) = Process::start("serves", &[("PORT", port)]).end();
    assert_eq!(status.code(), Some(1));
    assert_eq!(errors, format!("cannot listen on {address}: address in use\n"));
    first.signal(Signal::TERM);
    assert_eq!(first.end().0.code(), Some(0));
}

#[test]
fn a_panic_in_a_worker_names_its_place_and_ends_with_101() {
    let (status, errors) = Process::start("panics", &[]).end();
    assert_eq!(status.code(), Some(101));
    assert!(errors.contains("thread 'worker 1'"), "{errors}");
    assert!(errors.contains("process.rs:") && errors.contains("a bad day"), "{errors}");
}

#[test]
fn a_worker_that_fails_stops_the_others_and_ends_with_1() {
    let (status, errors) = Process::start("fails", &[]).end();
    assert_eq!(status.code(), Some(1));
    let line = errors.strip_prefix("worker 1 at 127.0.0.1:").expect(&errors);
    assert!(line.ends_with(": out of resources\n") && line.lines().count() == 1, "{errors}");
}

#[test]
fn connections_are_lowered_to_the_descriptors_and_the_log_says_so() {
    let mut process = Process::start("few_descriptors", &[("DUSTDEVIL_LOG", "debug")]);
    process.address();
    process.signal(Signal::TERM);
    let (status, errors) = process.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    let lowered = "DEBUG dustdevil_std::options: 164 connections a worker, not 10000: \
                   they need 20072 descriptors, and there are 400 (ulimit -Hn, at most 1048576)\n";
    assert!(errors.contains(lowered), "{errors}");
}

#[test]
fn the_limit_of_descriptors_is_raised_to_what_the_connections_need() {
    let mut process = Process::start("low_soft_limit", &[("DUSTDEVIL_LOG", "debug")]);
    process.address();
    process.signal(Signal::TERM);
    let (status, errors) = process.end();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert!(!errors.contains("descriptors"), "{errors}");
}

#[test]
fn accept_without_descriptors_is_out_of_memory_and_loses_nobody() {
    // An even and an odd number: each connection here takes two descriptors.
    for limit in ["40", "41"] {
        let (status, errors) = Process::start("runs_out_of_descriptors", &[("LIMIT", limit)]).end();
        assert_eq!(status.code(), Some(0), "{errors}");
    }
}

/// What runs inside the processes.
mod child {
    use std::future::pending;
    use std::io::Read;
    use std::net::TcpStream;
    use std::process::{ExitCode, exit};

    use dustdevil_core::embedded_io::ErrorKind;
    use dustdevil_core::nb;
    use dustdevil_core::poller::{Error, Transport};
    use dustdevil_core::reactor::Reactor;
    use dustdevil_std::percore::{Worker, run};
    use dustdevil_std::{Epoll, Options, zeroed};
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use crate::util::{CAPACITY, World};

    fn options() -> Options {
        let port = std::env::var("PORT").map_or(0, |port| port.parse().unwrap());
        let log = dustdevil_std::logger::level(log::LevelFilter::Info);
        Options { port, workers: 2, log, ..Options::default() }
    }

    fn serve(worker: &Worker<'_>, until: impl Future<Output = ()>) -> Result<(), Error> {
        let mut memory = zeroed(CAPACITY.bytes());
        let wakes = worker.wakes(CAPACITY.tasks);
        let reactor = Reactor::new(Epoll::new()?, memory.block(), CAPACITY, wakes);
        reactor.listen(worker.address(), 64)?;
        let stopped = worker.stopped();
        reactor.run(until);
        reactor.run(stopped);
        Ok(())
    }

    /// Ends the process as `main` would: a test cannot.
    fn end(code: ExitCode) -> ! {
        exit(if code == ExitCode::SUCCESS {
            0
        } else if code == ExitCode::FAILURE {
            1
        } else {
            99
        })
    }

    #[test]
    #[ignore = "a process of its own"]
    fn serves() {
        end(run(options(), |worker| serve(worker, async {})));
    }

    #[test]
    #[ignore = "a process of its own"]
    fn never_stops() {
        end(run(options(), |worker| serve(worker, pending())));
    }

    #[test]
    #[ignore = "a process of its own"]
    fn panics() {
        end(run(options(), |worker| match worker.index() {
            1 => panic!("a bad day"),
            _ => serve(worker, async {}),
        }));
    }

    #[test]
    #[ignore = "a process of its own"]
    fn fails() {
        end(run(options(), |worker| match worker.index() {
            1 => Err(Error::new(ErrorKind::OutOfMemory)),
            _ => serve(worker, async {}),
        }));
    }

    fn limit_descriptors(limit: u64) {
        let limit = Rlimit { current: Some(limit), maximum: Some(limit) };
        setrlimit(Resource::Nofile, limit).unwrap();
    }

    #[test]
    #[ignore = "a process of its own"]
    fn few_descriptors() {
        limit_descriptors(400);
        end(run(options(), |worker| {
            assert_eq!(worker.options().connections, 164);
            serve(worker, async {})
        }));
    }

    #[test]
    #[ignore = "a process of its own"]
    fn low_soft_limit() {
        let limit = Rlimit { current: Some(50), maximum: Some(800) };
        setrlimit(Resource::Nofile, limit).unwrap();
        let options = Options { connections: 100, ..options() };
        end(run(options, |worker| {
            assert_eq!(worker.options().connections, 100);
            let raised = Rlimit { current: Some(2 * (100 + 4) + 64), ..limit };
            assert_eq!(getrlimit(Resource::Nofile), raised);
            serve(worker, async {})
        }));
    }

    #[test]
    #[ignore = "a process of its own"]
    fn runs_out_of_descriptors() {
        let limit = std::env::var("LIMIT").unwrap().parse().unwrap();
        limit_descriptors(limit);
        let mut world = World::new();
        let (lingering, _its_peer) = world.pair();
        let mut open = Vec::new();
        let mut spare = Some(std::fs::File::open("/dev/null").unwrap());
        let out_of_resources = loop {
            // The peers live here too, so it is a peer that may find none left.
            let peer = TcpStream::connect(world.at).or_else(|_| {
                drop(spare.take());
                TcpStream::connect(world.at)
            });
            let peer = peer.unwrap();
            match world.accept_now() {
                Ok((io, _)) => open.push((io, peer)),
                Err(nb::Error::Other(error)) => {
                    // The last descriptor went to the peer, which waits in the backlog.
                    open.push((lingering, peer));
                    break error;
                }
                Err(nb::Error::WouldBlock) => panic!("somebody waits"),
            }
        };
        assert_eq!(out_of_resources.kind, ErrorKind::OutOfMemory);
        assert_ne!(out_of_resources.code, 0);
        // A connection that only lingers makes room for one that waits.
        world.epoll.write(lingering, b"response").unwrap();
        world.epoll.close(lingering);
        assert_eq!(world.epoll.lingering(), 1);
        let (accepted, address) = world.epoll.accept(world.listener).unwrap();
        assert_eq!(world.epoll.lingering(), 0);
        let (_, mut waited) = open.pop().unwrap();
        assert_eq!(address, waited.local_addr().unwrap());
        world.epoll.write(accepted, b"!").unwrap();
        let mut answer = [0];
        waited.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"!");
    }
}
