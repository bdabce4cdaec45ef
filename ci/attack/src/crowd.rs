//! All attackers: one thread, non-blocking sockets, one poll(2) a round.
//!
//! Invariant: an attacker makes one step a round, so that none keeps the others from theirs.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use crate::Plan;
use crate::script::{Ending, Part, Reading, Script};

/// Longest time without a look at the clock.
const ROUND: Duration = Duration::from_millis(20);

/// Bytes that an attacker which reads everything takes at once.
const READ_BYTES: usize = 64 << 10;

/// How long a connection may take to stand before the attacker tries another.
const CONNECT: Duration = Duration::from_secs(5);

/// What became of the attackers' connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Connections that stood.
    pub connected: u64,
    /// Connections that were refused, or did not stand in time.
    pub refused: u64,
    /// Connections that the server ended.
    pub cut_off: u64,
    /// Connections that the attacker reset itself.
    pub reset: u64,
    /// Connections whose first answer was 1xx, 2xx, 3xx; 4xx; 5xx.
    pub answered: [u64; 3],
    /// Bytes that were sent and received.
    pub bytes: [u64; 2],
}

/// Lets everybody loose for the time of the plan, then ends all connections.
pub(crate) fn run(plan: &Plan, scripts: &[Script]) -> Tally {
    let now = Instant::now();
    let script = |number: usize| &scripts[number % scripts.len()];
    let mut attackers: Vec<Attacker<'_>> =
        (0..plan.connections).map(|number| Attacker::new(script(number), now)).collect();
    let mut world = World {
        server: plan.server,
        pause: plan.pause,
        now,
        room: vec![0; READ_BYTES],
        tally: Tally::default(),
    };
    while world.now < now + plan.time {
        for attacker in &mut attackers {
            attacker.step(&mut world);
        }
        for (index, ready) in wait(&attackers, world.now) {
            attackers[index].ready(&mut world, ready);
        }
        world.now = Instant::now();
    }
    world.tally
}

/// Waits until something is ready or due: which attackers are ready, and for what.
fn wait(attackers: &[Attacker<'_>], now: Instant) -> Vec<(usize, PollFlags)> {
    let due = attackers.iter().filter_map(Attacker::due).min();
    let left = due.map_or(ROUND, |due| due.saturating_duration_since(now).min(ROUND));
    let left = Timespec::try_from(left).expect("some milliseconds");
    let (mut indexes, mut places) = (Vec::new(), Vec::new());
    for (index, attacker) in attackers.iter().enumerate() {
        if let Some(socket) = &attacker.socket {
            indexes.push(index);
            places.push(PollFd::new(socket, attacker.interest()));
        }
    }
    match rustix::event::poll(&mut places, Some(&left)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => panic!("poll: {error}"),
    }
    let ready = indexes.into_iter().zip(places.iter().map(PollFd::revents));
    ready.filter(|(_, ready)| !ready.is_empty()).collect()
}

/// What all attackers share.
struct World {
    server: SocketAddr,
    pause: Duration,
    now: Instant,
    /// Where what is read goes.
    room: Vec<u8>,
    tally: Tally,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has no connection.
    Resting,
    /// Its connection does not stand yet.
    Connecting,
    /// At work.
    Attacking,
    /// The server has ended the connection, and it keeps it all the same.
    Holding,
}

struct Attacker<'a> {
    script: &'a Script,
    stage: Stage,
    socket: Option<OwnedFd>,
    /// When its stage goes on; while it attacks, when it sends.
    due: Option<Instant>,
    read_due: Option<Instant>,
    /// The part it is at, how often that was sent, and how much of it.
    part: usize,
    times: usize,
    offset: usize,
    /// The kernel takes nothing now.
    is_blocked: bool,
    /// How many bytes of the first answer were read.
    read: usize,
}

impl<'a> Attacker<'a> {
    fn new(script: &'a Script, now: Instant) -> Self {
        Self {
            script,
            stage: Stage::Resting,
            socket: None,
            due: Some(now),
            read_due: None,
            part: 0,
            times: 0,
            offset: 0,
            is_blocked: false,
            read: 0,
        }
    }

    /// When it does something of itself.
    fn due(&self) -> Option<Instant> {
        let due = self.due.filter(|_| !self.is_blocked);
        due.into_iter().chain(self.read_due).min()
    }

    /// What it waits for.
    fn interest(&self) -> PollFlags {
        let mut interest = PollFlags::empty();
        match self.stage {
            Stage::Resting | Stage::Holding => {}
            Stage::Connecting => interest |= PollFlags::OUT,
            Stage::Attacking => {
                let reads = self.script.reading == Reading::All;
                interest |= if reads { PollFlags::IN } else { PollFlags::RDHUP };
                interest.set(PollFlags::OUT, self.is_blocked);
            }
        }
        interest
    }

    /// Does what is due.
    fn step(&mut self, world: &mut World) {
        let now = world.now;
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        if self.stage == Stage::Attacking && is_due(self.read_due) {
            self.sip(world);
        }
        if self.is_blocked || !is_due(self.due) {
            return;
        }
        match self.stage {
            Stage::Resting => self.connect(world),
            Stage::Connecting => {
                world.tally.refused += 1;
                self.rest(world.now + world.pause);
            }
            Stage::Attacking => self.send(world),
            Stage::Holding => self.rest(world.now + world.pause),
        }
    }

    /// Does what has become possible.
    fn ready(&mut self, world: &mut World, ready: PollFlags) {
        let is_over = ready.intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR);
        match self.stage {
            Stage::Resting => {}
            Stage::Holding => self.due = self.due.filter(|_| !is_over).or(Some(world.now)),
            Stage::Connecting => self.connected(world),
            Stage::Attacking => {
                if ready.contains(PollFlags::OUT) {
                    self.is_blocked = false;
                }
                if self.script.reading == Reading::All {
                    self.read(world, READ_BYTES);
                } else if is_over {
                    self.is_cut_off(world);
                }
            }
        }
    }

    fn connect(&mut self, world: &mut World) {
        let begun = socket(self.script).and_then(|socket| {
            match rustix::net::connect(&socket, &world.server) {
                Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
                Err(error) => Err(error),
            }
        });
        match begun {
            Ok(socket) => {
                *self = Self::new(self.script, world.now + CONNECT);
                (self.stage, self.socket) = (Stage::Connecting, Some(socket));
            }
            Err(_) => {
                world.tally.refused += 1;
                self.rest(world.now + world.pause);
            }
        }
    }

    fn connected(&mut self, world: &mut World) {
        let Some(socket) = &self.socket else { return };
        if !matches!(sockopt::socket_error(socket), Ok(Ok(()))) {
            world.tally.refused += 1;
            return self.rest(world.now + world.pause);
        }
        world.tally.connected += 1;
        self.stage = Stage::Attacking;
        self.due = Some(world.now);
        if let Reading::Slowly { every, .. } = self.script.reading {
            self.read_due = Some(world.now + every);
        }
        self.send(world);
    }

    /// Sends the next piece.
    fn send(&mut self, world: &mut World) {
        let (Some(socket), Some(part)) = (&self.socket, self.script.parts.get(self.part)) else {
            return self.has_sent_everything(world);
        };
        let end = part.bytes.len().min(self.offset + part.piece);
        match rustix::net::send(socket, &part.bytes[self.offset..end], SendFlags::NOSIGNAL) {
            Ok(sent) => {
                world.tally.bytes[0] += sent as u64;
                self.has_sent(sent, part);
                self.due = Some(world.now + part.every);
                if self.part == self.script.parts.len() {
                    self.has_sent_everything(world);
                }
            }
            Err(Errno::AGAIN) => self.is_blocked = true,
            Err(_) => self.is_cut_off(world),
        }
    }

    fn has_sent(&mut self, sent: usize, part: &Part) {
        self.offset += sent;
        if self.offset == part.bytes.len() {
            (self.offset, self.times) = (0, self.times + 1);
            if self.times == part.times {
                (self.part, self.times) = (self.part + 1, 0);
            }
        }
    }

    fn has_sent_everything(&mut self, world: &mut World) {
        match self.script.ending {
            Ending::Stays => self.due = None,
            Ending::Resets => {
                world.tally.reset += 1;
                // The storm knows no pause.
                self.rest(world.now);
            }
        }
    }

    /// Reads a little, because it is time.
    fn sip(&mut self, world: &mut World) {
        let Reading::Slowly { bytes, every } = self.script.reading else { return };
        self.read_due = Some(world.now + every);
        self.read(world, bytes);
    }

    fn read(&mut self, world: &mut World, bytes: usize) {
        let Some(socket) = &self.socket else { return };
        let room = &mut world.room[..bytes];
        match rustix::net::recv(socket, room, RecvFlags::empty()) {
            Ok((_, 0)) => self.is_cut_off(world),
            Ok((_, count)) => {
                // "HTTP/1.1 200": its tenth byte is the class.
                let class =
                    9_usize.checked_sub(self.read).and_then(|at| world.room[..count].get(at));
                if let Some(class @ b'1'..=b'5') = class {
                    world.tally.answered[usize::from(class.max(&b'3') - b'3')] += 1;
                }
                self.read += count;
                world.tally.bytes[1] += count as u64;
            }
            Err(Errno::AGAIN) => {}
            Err(_) => self.is_cut_off(world),
        }
    }

    /// The server has ended the connection.
    fn is_cut_off(&mut self, world: &mut World) {
        world.tally.cut_off += 1;
        if self.script.holds.is_zero() {
            return self.rest(world.now + world.pause);
        }
        self.stage = Stage::Holding;
        self.due = Some(world.now + self.script.holds);
        (self.read_due, self.is_blocked) = (None, false);
    }

    /// Closes what there is, and comes again at some time.
    fn rest(&mut self, until: Instant) {
        *self = Self::new(self.script, until);
    }
}

/// A socket that does not block. Who resets says so beforehand: SO_LINGER of zero seconds.
fn socket(script: &Script) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    if let Some(bytes) = script.window {
        sockopt::set_socket_recv_buffer_size(&socket, bytes)?;
    }
    if script.ending == Ending::Resets {
        sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
    }
    Ok(socket)
}
