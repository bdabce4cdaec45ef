//! Descriptors that users bring.

use std::fs::File;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration as StdDuration;

use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::nb;
use dustdevil_core::poller::{Error, Interest, Readiness};
use dustdevil_core::time::Duration;
use dustdevil_std::watch::Watch;
use rustix::event::{EventfdFlags, eventfd};

use crate::reactor::{CAPACITY, is_pending, run};

fn pair() -> (UnixStream, UnixStream) {
    let (mine, theirs) = UnixStream::pair().unwrap();
    mine.set_nonblocking(true).unwrap();
    theirs.set_read_timeout(Some(StdDuration::from_secs(20))).unwrap();
    (mine, theirs)
}

fn read(watch: &Watch<'_, UnixStream>, room: usize) -> nb::Result<String, Error> {
    watch.try_io(Interest::Read, |mut socket| {
        let mut buffer = vec![0; room];
        let len = socket.read(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..len]).into_owned())
    })
}

#[test]
fn a_bit_stays_until_an_attempt_disproves_it() {
    run(async |host| {
        let (mine, mut theirs) = pair();
        let watch = Watch::new(host, mine).unwrap();
        watch.ready(Interest::Write).await;
        assert!(is_pending(&mut watch.ready(Interest::Read)).await);
        theirs.write_all(b"hello").unwrap();
        for part in ["he", "ll", "o"] {
            watch.ready(Interest::Read).await;
            assert_eq!(read(&watch, 2).unwrap(), part);
        }
        watch.ready(Interest::Read).await; // nothing has said otherwise
        assert_eq!(read(&watch, 2), Err(nb::Error::WouldBlock));
        assert!(is_pending(&mut watch.ready(Interest::Read)).await);
        theirs.write_all(b"!").unwrap();
        watch.ready(Interest::Read).await;
        assert_eq!(read(&watch, 2).unwrap(), "!");
        drop(theirs);
        watch.ready(Interest::Gone).await;
        assert_eq!(read(&watch, 2).unwrap(), "");
    });
}

#[test]
fn io_waits_and_a_dropped_wait_loses_nothing() {
    run(async |host| {
        let (mine, mut theirs) = pair();
        let watch = Watch::new(host, mine).unwrap();
        let handle = host.handle();
        let mut buffer = [0; 8];
        {
            let read = watch.io(Interest::Read, |mut socket| socket.read(&mut buffer));
            assert!(handle.timeout(Duration::from_millis(2), read).await.is_err());
        }
        theirs.write_all(b"kept").unwrap();
        let read = watch.io(Interest::Read, |mut socket| socket.read(&mut buffer));
        assert_eq!(read.await, Ok(4));
        // Writing until the kernel takes no more, and on when the peer has read.
        let chunk = [7; 64 * 1024];
        let mut written = 0;
        while let Ok(len) = watch.try_io(Interest::Write, |mut socket| socket.write(&chunk)) {
            written += len;
        }
        assert!(is_pending(&mut watch.ready(Interest::Write)).await);
        let mut rest = vec![0; written];
        theirs.read_exact(&mut rest).unwrap();
        assert!(watch.io(Interest::Write, |mut socket| socket.write(&chunk)).await.is_ok());
    });
}

#[test]
fn a_handler_is_called_for_as_long_as_something_is_ready() {
    run(async |host| {
        let (mine, mut theirs) = pair();
        let watch = Watch::new(host, mine).unwrap();
        theirs.write_all(b"abc").unwrap();
        // It reads one byte a call and never comes to `WouldBlock`: Tornado's level-triggering.
        let mut seen = Vec::new();
        let mut theirs = Some(theirs);
        watch
            .handle(Readiness::READ, |mut socket, ready| {
                let mut byte = [0];
                let len = socket.read(&mut byte).unwrap();
                seen.push((byte[..len].to_vec(), format!("{ready:?}")));
                match len {
                    0 => return ControlFlow::Break(()),
                    _ if byte == *b"c" => drop(theirs.take()),
                    _ => {}
                }
                ControlFlow::Continue(())
            })
            .await;
        let expected = [("a", "r"), ("b", "r"), ("c", "r"), ("", "rcg")];
        let expected = expected.map(|(byte, bits)| (byte.as_bytes().to_vec(), bits.to_owned()));
        assert_eq!(seen, expected);
    });
}

#[test]
fn a_handler_is_not_called_for_what_it_did_not_ask() {
    run(async |host| {
        let (mine, theirs) = pair();
        let watch = Watch::new(host, mine).unwrap();
        watch.ready(Interest::Write).await;
        let handler = watch.handle(Readiness::READ, |_, _| ControlFlow::Break(()));
        assert!(host.handle().timeout(Duration::from_millis(5), handler).await.is_err());
        // An error is asked for by name as well, and room to write is none.
        for events in [Readiness::READ | Readiness::GONE, Readiness::GONE] {
            let handler = watch.handle(events, |_, _| ControlFlow::Break(()));
            assert!(host.handle().timeout(Duration::from_millis(5), handler).await.is_err());
        }
        // An error is told whatever was asked for.
        drop(theirs);
        let gone = watch.handle(Readiness::NONE, |_, ready| ControlFlow::Break(ready)).await;
        assert_eq!(gone, Readiness::GONE);
        let ready = watch.handle(Readiness::WRITE, |_, ready| ControlFlow::Break(ready)).await;
        assert_eq!(ready, Readiness::GONE | Readiness::WRITE);
    });
}

#[test]
fn an_edge_that_was_missed_is_found_by_a_recheck() {
    run(async |host| {
        let event = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
        let ring = |event: &OwnedFd| rustix::io::write(event, &1u64.to_ne_bytes()).unwrap();
        let watch = Watch::new(host, event).unwrap();
        ring(watch.inner());
        watch.ready(Interest::Read).await;
        watch.recheck();
        assert_eq!(watch.readiness(), Readiness::NONE, "until the kernel has answered");
        watch.ready(Interest::Read).await;
        rustix::io::read(watch.inner(), &mut [0; 8]).unwrap(); // behind the watch's back
        watch.recheck();
        watch.ready(Interest::Write).await;
        assert!(is_pending(&mut watch.ready(Interest::Read)).await);
    });
}

#[test]
fn what_cannot_be_watched_is_an_error_that_says_so() {
    run(async |host| {
        for path in ["/proc/self/exe", "/dev/null", "/"] {
            let Err(error) = Watch::new(host, File::open(path).unwrap()) else { panic!("{path}") };
            assert_eq!(error.kind, ErrorKind::Unsupported, "{path}");
            assert_eq!(error.to_string(), "unsupported (os error 1)", "{path}");
        }
        let (mine, _theirs) = pair();
        let watch = Watch::new(host, &mine).unwrap();
        let Err(error) = Watch::new(host, &mine) else { panic!("it is watched already") };
        assert_eq!(error.kind, ErrorKind::AlreadyExists);
        drop(watch);
        assert!(Watch::new(host, &mine).is_ok(), "nothing of the first is left");

        let mut watches = Vec::new();
        let error = loop {
            match Watch::new(host, eventfd(0, EventfdFlags::NONBLOCK).unwrap()) {
                Ok(watch) => watches.push(watch),
                Err(error) => break error,
            }
        };
        assert_eq!((watches.len(), error.kind), (CAPACITY.sources, ErrorKind::OutOfMemory));
    });
}

#[test]
fn what_was_watched_comes_back_open_and_is_heard_of_no_more() {
    run(async |host| {
        let (mine, mut theirs) = pair();
        // Another descriptor of the same open file: closing `mine` would not end the watch.
        let another = mine.try_clone().unwrap();
        let watch = Watch::new(host, mine).unwrap();
        let mut waits = watch.ready(Interest::Read);
        assert!(is_pending(&mut waits).await);
        let mut mine = watch.into_inner();
        waits.await; // resolves: there is nothing to wait for
        theirs.write_all(b"x").unwrap();
        assert_eq!(mine.read(&mut [0; 2]).unwrap(), 1);
        let events = host.handle().snapshot().events;
        theirs.write_all(b"y").unwrap();
        host.handle().sleep(Duration::from_millis(2)).await;
        assert_eq!(host.handle().snapshot().events, events);
        // The number of the guest is free for one of the poller's own.
        drop((mine, another));
        assert!(dustdevil_std::unix::pair(host).is_ok());
    });
}
