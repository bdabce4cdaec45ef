//! What idle connections cost a server: its own memory, and whether they wake it.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, getrlimit, setrlimit};

use super::load;
use super::server::{Program, Server};

/// How many idle connections are opened.
pub(super) const CONNECTIONS: usize = 10_000;

/// Connections that a server is started for beside those.
pub(super) const OTHERS: usize = 100;

/// Descriptors that both processes need beside their idle connections.
const OTHER_DESCRIPTORS: u64 = 300;

/// How long a server may take to close what its clients have closed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes of private memory that the server touched for each of [`CONNECTIONS`] idle connections:
/// each has had one request answered. Tables lie in zeroed memory of which the kernel gives a page
/// when it is first written, so pages that became dirty are the table entries in use.
pub(super) fn per_idle_connection(of: &Program) -> Result<f64> {
    raise_descriptors()?;
    let (server, target) = started(of, CONNECTIONS)?;
    let before = private_dirty_bytes(server.id())?;
    let clients = load::connect(&target, CONNECTIONS)?;
    let after = private_dirty_bytes(server.id())?;
    drop(clients);
    server.end()?;
    ensure!(after >= before, "memory shrank while connections opened");
    Ok((after - before) as f64 / CONNECTIONS as f64)
}

/// What idle connections cost a server.
pub(super) struct Idle {
    /// Bytes of private memory for each.
    pub(super) bytes: f64,
    /// Bytes more for each, once all had left and as many had come again.
    pub(super) bytes_again: f64,
    /// How often one of the server's threads went to sleep, hence had been woken, while nothing was
    /// asked. What may wake ours is its one timer: the deadline of a first head, 10 s after the
    /// connections came. It is not moved when a head has come, but when it is due, and then to the
    /// end of the longest idleness, 75 s after the last answer.
    pub(super) wakes: u64,
}

/// Opens so many connections, leaves them idle for `time`, closes them, and opens as many again.
pub(super) fn idle(of: &Program, connections: usize, time: Duration) -> Result<Idle> {
    raise_descriptors()?;
    let (server, target) = started(of, connections)?;
    let id = server.id();
    let (before, descriptors) = (private_dirty_bytes(id)?, descriptors(id)?);
    let clients = load::connect(&target, connections)?;
    let full = private_dirty_bytes(id)?;
    // What the last answer left to do has been done.
    std::thread::sleep(Duration::from_millis(200));
    let slept = sleeps(id)?;
    std::thread::sleep(time);
    let wakes = sleeps(id)? - slept;
    for client in &clients {
        ensure!(client.is_idle()?, "a connection did not stay");
    }
    drop(clients);
    wait_for_descriptors(id, descriptors)?;
    let clients = load::connect(&target, connections)?;
    let again = private_dirty_bytes(id)?;
    drop(clients);
    let each = |bytes: u64, before: u64| (bytes as f64 - before as f64) / connections as f64;
    Ok(Idle { bytes: each(full, before), bytes_again: each(again, full), wakes })
}

/// A server that had one request, so that what the first one touches for good is not counted: it
/// belongs to the server, not to a connection.
fn started(of: &Program, connections: usize) -> Result<(Server, load::Server)> {
    let server = of.start(&[], load::PATH, connections + OTHERS)?;
    let target = load::Server::at(server.address);
    drop(load::connect(&target, 1)?);
    Ok((server, target))
}

/// Both ends run here, one as a child of the other, which inherits the limit.
pub(super) fn raise_descriptors() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    let needed = CONNECTIONS as u64 + OTHER_DESCRIPTORS;
    ensure!(
        limit.maximum.is_none_or(|maximum| maximum >= needed),
        "the hard limit of open files is {:?}, {needed} are needed",
        limit.maximum
    );
    if limit.current.is_some_and(|current| current < needed) {
        limit.current = Some(needed);
        setrlimit(Resource::Nofile, limit).context("raise the limit of open files")?;
    }
    Ok(())
}

/// Waits until the process has no more descriptors open than that.
pub(super) fn wait_for_descriptors(id: u32, most: usize) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while descriptors(id)? > most {
        ensure!(Instant::now() < deadline, "connections that were closed stay open");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// How many descriptors a process has open.
pub(super) fn descriptors(id: u32) -> Result<usize> {
    let folder = format!("/proc/{id}/fd");
    Ok(fs::read_dir(&folder).with_context(|| format!("read {folder}"))?.count())
}

pub(super) fn private_dirty_bytes(id: u32) -> Result<u64> {
    let path = format!("/proc/{id}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let kib = private_dirty_kib(&text).with_context(|| format!("{path} has no Private_Dirty"))?;
    Ok(kib * 1024)
}

fn private_dirty_kib(text: &str) -> Option<u64> {
    let row = text.lines().find_map(|line| line.strip_prefix("Private_Dirty:"))?;
    row.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// How often the threads of a process have waited for something so far.
pub(super) fn sleeps(id: u32) -> Result<u64> {
    let of_thread = |text: &str| {
        let count = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        count.trim().parse::<u64>().ok()
    };
    of_threads(id, "status", |text| of_thread(text).unwrap_or(0))
}

/// The CPU time of all threads of a process so far.
pub(super) fn cpu_time(id: u32) -> Result<Duration> {
    let of_thread = |text: &str| text.split(' ').next().and_then(|first| first.parse::<u64>().ok());
    of_threads(id, "schedstat", |text| of_thread(text).unwrap_or(0)).map(Duration::from_nanos)
}

/// The sum of what a file of each thread says. A thread that ends meanwhile says nothing.
fn of_threads(id: u32, file: &str, read: impl Fn(&str) -> u64) -> Result<u64> {
    let folder = format!("/proc/{id}/task");
    let mut sum = 0;
    for entry in fs::read_dir(&folder).with_context(|| format!("read {folder}"))? {
        sum += read(&fs::read_to_string(entry?.path().join(file)).unwrap_or_default());
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dirty_pages_are_read() {
        let text = "Rss:   900 kB\nPrivate_Clean:   4 kB\nPrivate_Dirty:   316 kB\nSwap: 0 kB\n";
        assert_eq!(private_dirty_kib(text), Some(316));
        assert_eq!(private_dirty_kib("Rss: 1 kB\n"), None);
    }

    #[test]
    fn the_time_and_the_sleeps_of_a_process_are_those_of_its_threads() -> Result<()> {
        let own = std::process::id();
        let before = (cpu_time(own)?, sleeps(own)?);
        let spin = || (0..5_000_000_u64).fold(0, |sum, n| std::hint::black_box(sum ^ n));
        let other = std::thread::spawn(move || {
            spin();
            std::thread::sleep(Duration::from_millis(1));
            // It is looked at while it lives.
            Ok::<_, anyhow::Error>((cpu_time(own)?, sleeps(own)?))
        });
        let after = other.join().expect("no panic")?;
        assert!(after.0 > before.0 && after.1 > before.1, "{after:?} after {before:?}");
        assert!(cpu_time(u32::MAX).is_err() && sleeps(u32::MAX).is_err(), "no such process");
        Ok(())
    }

    #[test]
    fn descriptors_are_counted_and_waited_for() -> Result<()> {
        let own = std::process::id();
        let kept = fs::File::open("/dev/null")?;
        assert!(descriptors(own)? > 1);
        wait_for_descriptors(own, usize::MAX)?;
        drop(kept);
        Ok(())
    }
}
