//! Pipes, FIFOs, ttys and standard streams as `IoStream`s.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::nb;
use dustdevil_core::poller::Interest;
use dustdevil_core::stream::{IoStream, RawStream};
use dustdevil_std::pipe::{self, Pipe};
use rustix::fs::{CWD, FileType, Mode, OFlags, fcntl_getfl, fcntl_setfl, mknodat};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::reactor::{is_pending, run};
use crate::util::TempDir;

#[test]
fn a_pipe_carries_more_than_it_holds() {
    const LENGTH: usize = 1 << 20;
    run(async |host| {
        let (reading, writing) = pipe::pipe(host).unwrap();
        let thread = std::thread::spawn({
            let inner = writing.into_inner().unwrap();
            fcntl_setfl(&inner, OFlags::empty()).unwrap();
            move || File::from(inner).write_all(&vec![9; LENGTH]).unwrap()
        });
        let mut buffer = vec![0; 4_096];
        let mut reader = IoStream::new(reading, &mut buffer);
        let mut total = 0;
        while let Ok(bytes) = reader.read_bytes(1_000).await {
            assert!(bytes.iter().all(|byte| *byte == 9));
            total += bytes.len();
        }
        thread.join().unwrap();
        assert_eq!(total, LENGTH - LENGTH % 1_000, "whole reads only");
        assert_eq!(reader.buffered().len(), LENGTH % 1_000);
    });
}

#[test]
fn a_full_pipe_waits_for_its_reader() {
    run(async |host| {
        let (reading, writing) = pipe::pipe(host).unwrap();
        let chunk = [1; 4_096];
        while writing.try_write(&chunk).is_ok() {}
        let wait = std::future::poll_fn(|cx| writing.poll_ready(Interest::Write, cx));
        let mut wait = std::pin::pin!(wait);
        assert!(is_pending(&mut wait).await);
        while reading.try_read(&mut [0; 4_096]).is_ok() {}
        wait.await;
        assert_eq!(writing.try_write(&chunk), Ok(4_096));
        // The reader goes: a write says so, and SIGPIPE does not end the process.
        drop(reading);
        let dead = writing.try_write(&chunk);
        assert!(
            matches!(dead, Err(nb::Error::Other(error)) if error.kind == ErrorKind::BrokenPipe)
        );
        std::future::poll_fn(|cx| writing.poll_ready(Interest::Gone, cx)).await;
    });
}

#[test]
fn shutting_the_writing_end_is_the_readers_end_and_the_other_direction_fails() {
    run(async |host| {
        let (reading, writing) = pipe::pipe(host).unwrap();
        assert!(matches!(reading.try_write(b"x"), Err(nb::Error::Other(_))));
        assert!(matches!(writing.try_read(&mut [0]), Err(nb::Error::Other(_))));
        // Nor does waiting for it hang.
        let wait = std::future::poll_fn(|cx| reading.poll_ready(Interest::Write, cx));
        wait.await;
        std::future::poll_fn(|cx| writing.poll_ready(Interest::Read, cx)).await;
        reading.shutdown(); // a reader has no output to end
        writing.try_write(b"last").unwrap();
        writing.shutdown();
        let gone = writing.try_write(b"x").unwrap_err();
        assert!(matches!(gone, nb::Error::Other(error) if error.kind == ErrorKind::BrokenPipe));
        assert_eq!(writing.try_read(&mut [0]), Ok(0));
        writing.close();
        let gone = writing.try_write(b"x").unwrap_err();
        assert!(matches!(gone, nb::Error::Other(error) if error.kind == ErrorKind::NotConnected));
        assert_eq!(reading.try_read(&mut [0; 8]), Ok(4));
        assert_eq!(reading.try_read(&mut [0; 8]), Ok(0));
        // Who waits for a stream that is closed is told.
        let (reading, _writing) = pipe::pipe(host).unwrap();
        let mut wait =
            std::pin::pin!(std::future::poll_fn(|cx| reading.poll_ready(Interest::Read, cx)));
        assert!(is_pending(&mut wait).await);
        reading.close();
        wait.await;
    });
}

#[test]
fn a_child_is_talked_to_by_its_pipes() {
    run(async |host| {
        let mut child =
            Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut none, mut buffer) = ([0; 1], [0; 64]);
        let to = Pipe::new(host, child.stdin.take().unwrap()).unwrap();
        let from = Pipe::new(host, child.stdout.take().unwrap()).unwrap();
        let mut to = IoStream::new(to, &mut none);
        let mut from = IoStream::new(from, &mut buffer);
        for line in ["one\n", "two\n"] {
            to.write(line.as_bytes()).await.unwrap();
            assert_eq!(from.read_until(b"\n", 64).await.unwrap(), line.as_bytes());
        }
        drop(to);
        assert!(from.read_bytes(1).await.is_err(), "the end");
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn a_fifo_that_is_open_both_ways_outlives_its_writers() {
    let folder = TempDir::new("fifo");
    let path = folder.path("fifo");
    mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
    run(async |host| {
        let both = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let mut buffer = [0; 64];
        let mut reader = IoStream::new(Pipe::new(host, both).unwrap(), &mut buffer);
        for line in ["first\n", "second\n"] {
            let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
            writer.write_all(line.as_bytes()).unwrap();
            drop(writer);
            assert_eq!(reader.read_until(b"\n", 64).await.unwrap(), line.as_bytes());
        }
    });
}

#[test]
fn a_fifo_whose_writer_went_is_read_again_when_another_came() {
    use std::os::unix::fs::OpenOptionsExt;
    let folder = TempDir::new("fifo-again");
    let path = folder.path("fifo");
    mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
    run(async |host| {
        let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
        let read = OpenOptions::new().read(true).custom_flags(nonblocking).open(&path).unwrap();
        let pipe = Pipe::new(host, read).unwrap();
        let ready = || std::future::poll_fn(|cx| pipe.poll_ready(Interest::Read, cx));
        for byte in [b'a', b'b'] {
            let mut writer = OpenOptions::new().write(true).open(&path).unwrap();
            // The end that was seen before is none any more.
            assert_eq!(pipe.try_read(&mut [0]), Err(nb::Error::WouldBlock));
            assert!(is_pending(&mut ready()).await);
            writer.write_all(&[byte]).unwrap();
            ready().await;
            let mut read = [0];
            assert_eq!((pipe.try_read(&mut read), read), (Ok(1), [byte]));
            drop(writer);
            ready().await;
            assert_eq!(pipe.try_read(&mut read), Ok(0));
        }
    });
}

#[test]
fn a_terminal_is_read_line_by_line_and_ends_with_its_other_side() {
    run(async |host| {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let ours = openpt(flags).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let mut theirs =
            OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let mut buffer = [0; 64];
        let mut terminal = IoStream::new(Pipe::new(host, ours).unwrap(), &mut buffer);
        theirs.write_all(b"login: \n").unwrap();
        assert_eq!(terminal.read_until(b"\n", 64).await.unwrap(), b"login: \r\n");
        terminal.write(b"root\n").await.unwrap();
        let mut line = [0; 5];
        theirs.read_exact(&mut line).unwrap();
        assert_eq!(&line, b"root\n");
        assert_eq!(terminal.read_until(b"\n", 64).await.unwrap(), b"root\r\n", "the echo");
        drop(theirs);
        assert!(terminal.read_bytes(1).await.is_err(), "hung up");
    });
}

#[test]
fn a_file_is_refused() {
    run(async |host| {
        let Err(error) = Pipe::new(host, File::open("/proc/self/exe").unwrap()) else {
            panic!("a file never blocks")
        };
        assert_eq!(error.kind, ErrorKind::Unsupported);
    });
}

/// In a process of its own, whose standard input and output are one open file.
#[test]
fn standard_streams_are_put_back_by_the_last_of_them() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "pipe::child::standard_streams", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"ping\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains("pong"), "{said}");
}

mod child {
    use super::*;

    #[test]
    #[ignore = "a process of its own"]
    fn standard_streams() {
        let blocking = |name: &str| {
            let file = match name {
                "in" => rustix::stdio::stdin(),
                _ => rustix::stdio::stdout(),
            };
            !fcntl_getfl(file).unwrap().contains(OFlags::NONBLOCK)
        };
        run(async |host| {
            assert!(blocking("in") && blocking("out"));
            let (mut buffer, mut none) = ([0; 64], [0; 1]);
            let mut input = IoStream::new(pipe::stdin(host).unwrap(), &mut buffer);
            let mut output = IoStream::new(pipe::stdout(host).unwrap(), &mut none);
            assert!(!blocking("in") && !blocking("out"));
            assert_eq!(input.read_until(b"\n", 64).await.unwrap(), b"ping\n");
            output.write(b"pong\n").await.unwrap();
            drop(input);
            assert!(!blocking("out"), "another is still in use");
            drop(output);
            assert!(blocking("in") && blocking("out"));
            // One that was non-blocking before stays so.
            let flags = fcntl_getfl(rustix::stdio::stdin()).unwrap();
            fcntl_setfl(rustix::stdio::stdin(), flags | OFlags::NONBLOCK).unwrap();
            drop(pipe::stdin(host).unwrap());
            assert!(!blocking("in"));
        });
    }

    #[test]
    #[ignore = "a process of its own, whose input and output are one terminal"]
    fn one_open_file() {
        let blocking = || {
            let file = rustix::stdio::stdin();
            !fcntl_getfl(file).unwrap().contains(OFlags::NONBLOCK)
        };
        run(async |host| {
            let input = pipe::stdin(host).unwrap();
            let output = pipe::stdout(host).unwrap();
            assert!(!blocking());
            drop(input);
            assert!(!blocking(), "the other is still in use");
            drop(output);
            assert!(blocking());
        });
    }
}

#[test]
fn two_streams_over_one_open_file_are_put_back_together() {
    let (file, _kept) = std::os::unix::net::UnixStream::pair().unwrap();
    let one: std::os::fd::OwnedFd = file.into();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "pipe::child::one_open_file", "--ignored", "--nocapture"])
        .stdin(Stdio::from(one.try_clone().unwrap()))
        .stdout(Stdio::from(one))
        .status()
        .unwrap();
    assert!(status.success());
}
