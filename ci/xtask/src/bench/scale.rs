//! `cargo xtask bench scale`: as many real connections as the machine lets several processes hold.
//!
//! Each server is the example `bench` with one worker, and has a [`holder`] of its own that opens
//! its connections, has a request answered on each, and leaves them idle. Then they all leave, and
//! as many come again. How many servers there are, and how many connections each has, follows from
//! `RLIMIT_NOFILE` and the memory that is free.
//!
//! User memory for each connection, what a second generation takes beside it, and wake-ups while
//! all are idle are gated; times and the kernel's memory are told.

pub(crate) mod holder;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Resource, getrlimit};

use super::load;
use super::memory::{cpu_time, descriptors, private_dirty_bytes, sleeps, wait_for_descriptors};
use super::server::{self, Program, Server};
use holder::Holder;

/// The most servers, and the most connections of one: it is to be done within minutes.
const SERVERS_MAX: usize = 4;
const EACH_MAX: usize = 25_000;
/// Descriptors that a server and a holder need beside the connections, with some to spare.
const DESCRIPTORS_BESIDE: usize = 200;
/// Connections that a server has room for beside those that are held: the bystander's.
const PLACES_BESIDE: usize = 8;
/// What both ends of a connection take of the kernel's memory at most, and the part of what is free
/// that may be taken.
const PAIR_BYTES: u64 = 16 * 1024;
const MEMORY_PART: u64 = 4;
/// Bytes of its own memory that a server may touch for an idle connection: the goal.
const BYTES_MAX: f64 = 40.0;
/// The same for each of a second generation, beyond what the first had.
const BYTES_AGAIN_MAX: f64 = 0.5;
/// What the kernel counts memory in.
const PAGE_BYTES: usize = 4_096;
/// How long nothing is asked.
const IDLE: Duration = Duration::from_secs(10);
/// How long the servers are let finish what the last requests left to do.
const SETTLE: Duration = Duration::from_millis(300);
/// How long the bystander waits between two requests to the same server.
const BYSTANDER_GAP: Duration = Duration::from_millis(20);

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    servers: usize,
    /// Connections of each.
    each: usize,
    idle: Duration,
}

impl Size {
    const SMOKE: Self = Self { servers: 2, each: 1_000, idle: Duration::from_secs(1) };

    /// As many as these limits allow.
    fn within(descriptors_max: u64, memory_bytes: u64) -> Result<Self> {
        let descriptors_max = usize::try_from(descriptors_max).unwrap_or(usize::MAX);
        let pairs = usize::try_from(memory_bytes / MEMORY_PART / PAIR_BYTES)?;
        let each = descriptors_max.saturating_sub(DESCRIPTORS_BESIDE).min(EACH_MAX).min(pairs);
        ensure!(each > 0, "{descriptors_max} descriptors and {memory_bytes} bytes are too few");
        Ok(Self { servers: (pairs / each).clamp(1, SERVERS_MAX), each, idle: IDLE })
    }

    fn of_machine() -> Result<Self> {
        let descriptors_max = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        Self::within(descriptors_max, meminfo_bytes("MemAvailable")?)
    }

    fn all(self) -> usize {
        self.servers * self.each
    }
}

/// Measures and prints; `smoke`: few connections, to see that it works.
pub(super) fn report(smoke: bool) -> Result<()> {
    server::build()?;
    let size = if smoke { Size::SMOKE } else { Size::of_machine()? };
    let all = size.all();
    println!("{} servers with {} connections each, {all} in all", size.servers, size.each);
    let mut world = World::start(size)?;
    let at_rest = world.look()?;

    let (first, bystander) = world.come(1)?;
    let full = world.look()?;
    println!("came in {first:.1?}, {:.1} us each", first.as_micros() as f64 / all as f64);
    println!("bystander meanwhile: {bystander}");
    let bytes = each(full.user_bytes, at_rest.user_bytes, all);
    println!("user memory: {bytes:.2} bytes an idle connection");
    let kernel = each(full.kernel_bytes, at_rest.kernel_bytes, all);
    println!("kernel memory (slab, whole machine): {kernel:.0} bytes a connection, both ends");

    std::thread::sleep(SETTLE);
    let (cpu, wakes) = world.idle(size.idle)?;
    println!("idle for {:?}: {cpu:?} of CPU, {wakes} wake-ups, all servers together", size.idle);

    let gone = world.leave()?;
    println!("left in {gone:.1?}");
    let (second, bystander) = world.come(2)?;
    let again = each(world.look()?.user_bytes, full.user_bytes, all);
    println!("came again in {second:.1?}, {again:.3} bytes more for each");
    println!("bystander meanwhile: {bystander}");
    world.leave()?;
    world.end()?;

    ensure!(bytes <= BYTES_MAX || smoke, "{bytes:.2} bytes a connection, at most {BYTES_MAX}");
    // Nothing is finer than a page: each server may have touched one for reasons of its own.
    let pages = each((size.servers * PAGE_BYTES) as u64, 0, size.all());
    ensure!(again <= BYTES_AGAIN_MAX + pages, "{again:.2} bytes for each of those who came again");
    ensure!(wakes <= size.servers as u64, "{wakes} wake-ups while all were idle");
    Ok(())
}

/// The difference for each of so many.
fn each(now: u64, before: u64, count: usize) -> f64 {
    (now as f64 - before as f64) / count as f64
}

/// The servers, and who holds their connections.
struct World {
    size: Size,
    // Before the servers: who holds connections is ended first.
    holders: Vec<Holder>,
    servers: Vec<Server>,
    /// Descriptors of each server that nobody is connected to.
    descriptors: Vec<usize>,
}

/// Memory in use.
struct Memory {
    /// Private memory of all servers.
    user_bytes: u64,
    /// The kernel's slabs.
    kernel_bytes: u64,
}

impl World {
    fn start(size: Size) -> Result<Self> {
        let ours = Program::ours()?;
        let mut world =
            Self { size, holders: Vec::new(), servers: Vec::new(), descriptors: Vec::new() };
        for _ in 0..size.servers {
            let server = ours.start(&[], load::PATH, size.each + PLACES_BESIDE)?;
            world.holders.push(Holder::start(server.address, size.each)?);
            // What the first request touches for good belongs to the server.
            world.descriptors.push(descriptors(server.id())?);
            drop(load::connect(&load::Server::at(server.address), 1)?);
            world.servers.push(server);
        }
        world.wait_until_empty()?;
        Ok(world)
    }

    fn look(&self) -> Result<Memory> {
        let mut user_bytes = 0;
        for server in &self.servers {
            user_bytes += private_dirty_bytes(server.id())?;
        }
        Ok(Memory { user_bytes, kernel_bytes: meminfo_bytes("Slab")? })
    }

    /// Gives all holders an order and waits until each has followed it.
    fn order(&mut self, order: &str, answer: &str) -> Result<Duration> {
        let began = Instant::now();
        self.holders.iter_mut().try_for_each(|holder| holder.order(order))?;
        self.holders.iter_mut().try_for_each(|holder| holder.wait(answer))?;
        Ok(began.elapsed())
    }

    /// Lets a generation come, and somebody else ask meanwhile.
    fn come(&mut self, generation: u8) -> Result<(Duration, Waits)> {
        let bystander = Bystander::start(&self.servers)?;
        let took = self.order(&format!("come {generation}"), "here")?;
        let waits = bystander.end()?;
        for (server, at_rest) in self.servers.iter().zip(&self.descriptors) {
            wait_for_descriptors(server.id(), at_rest + self.size.each)?;
            let held = descriptors(server.id())? - at_rest;
            ensure!(held == self.size.each, "{held} connections of {} stand", self.size.each);
        }
        Ok((took, waits))
    }

    /// Leaves everybody alone, and says what the servers did meanwhile.
    fn idle(&mut self, time: Duration) -> Result<(Duration, u64)> {
        let spent = |world: &Self| {
            world.servers.iter().try_fold((Duration::ZERO, 0), |(cpu, wakes), server| {
                anyhow::Ok((cpu + cpu_time(server.id())?, wakes + sleeps(server.id())?))
            })
        };
        let before = spent(self)?;
        std::thread::sleep(time);
        let after = spent(self)?;
        self.order("look", "idle")?;
        Ok((after.0 - before.0, after.1 - before.1))
    }

    /// Lets all leave, and waits until the servers know.
    fn leave(&mut self) -> Result<Duration> {
        let began = Instant::now();
        self.order("leave", "gone")?;
        self.wait_until_empty()?;
        Ok(began.elapsed())
    }

    fn wait_until_empty(&self) -> Result<()> {
        let mut servers = self.servers.iter().zip(&self.descriptors);
        servers.try_for_each(|(server, &at_rest)| wait_for_descriptors(server.id(), at_rest))
    }

    fn end(self) -> Result<()> {
        drop(self.holders);
        self.servers.into_iter().try_for_each(Server::end)
    }
}

/// One who asks each server now and then.
struct Bystander {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Waits>>,
}

/// How long the bystander had to wait.
#[derive(Default)]
struct Waits {
    answered: u64,
    slowest: Duration,
}

impl std::fmt::Display for Waits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} requests answered, the slowest in {:.1?}", self.answered, self.slowest)
    }
}

impl Bystander {
    fn start(servers: &[Server]) -> Result<Self> {
        let address = |server: &Server| load::Server::at(server.address);
        let servers: Vec<load::Server> = servers.iter().map(address).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut clients = Vec::new();
            for server in &servers {
                clients.append(&mut load::connect(server, 1)?);
            }
            let mut waits = Waits::default();
            while !stopped.load(Ordering::Relaxed) {
                for client in &mut clients {
                    let asked = Instant::now();
                    client.exchange().context("the bystander")?;
                    waits.answered += 1;
                    waits.slowest = waits.slowest.max(asked.elapsed());
                }
                std::thread::sleep(BYSTANDER_GAP);
            }
            Ok(waits)
        });
        Ok(Self { stop, thread })
    }

    fn end(self) -> Result<Waits> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(waits) => waits,
            Err(_) => bail!("the bystander's thread panicked"),
        }
    }
}

/// A row of `/proc/meminfo`.
fn meminfo_bytes(row: &str) -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
    row_bytes(&text, row).with_context(|| format!("/proc/meminfo has no {row}"))
}

fn row_bytes(text: &str, row: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(row)?.strip_prefix(':'))?;
    let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn sizes_follow_from_descriptors_and_memory() -> Result<()> {
        let size = |servers, each| Size { servers, each, idle: IDLE };
        for (descriptors_max, memory_bytes, expected) in [
            (20_000, 20 * GIB, size(4, 19_800)),
            (1_024, 20 * GIB, size(4, 824)),
            (u64::MAX, 20 * GIB, size(4, 25_000)),
            (20_000, 2 * GIB, size(1, 19_800)),
            (20_000, GIB, size(1, 16_384)),
        ] {
            assert_eq!(Size::within(descriptors_max, memory_bytes)?, expected, "{descriptors_max}");
        }
        assert!(Size::within(200, GIB).is_err());
        Ok(())
    }

    #[test]
    fn a_row_is_found_by_its_whole_name() {
        let text = "MemFree:  7 kB\nSlab:   12 kB\nSlabOther: 3 kB\n";
        assert_eq!(row_bytes(text, "Slab"), Some(12 * 1024));
        assert_eq!(row_bytes(text, "Sla"), None);
    }
}
