//! Connections that the stack opens, over a bad wire, to a second stack that echoes.
//!
//! The driver here does nothing but what the contract lets it: it acts on bits that were reported
//! and not disproved, and waits without a deadline. An edge that is lost is a hang, and a hang is
//! found.

use std::net::SocketAddr;

use dustdevil_core::memory::Block;
use dustdevil_core::nb;
use dustdevil_core::poller::{Io, Readiness, Transport};
use dustdevil_core::sim::Rng;
use smoltcp::iface::{Interface, SocketHandle, SocketSet, SocketStorage};
use smoltcp::socket::tcp;

use crate::clients::{Queues, instant, interface, pattern};
use crate::frame::PEER_IP;
use crate::scene::{STATIC, Scene, leaked};
use crate::wire::Faults;
use crate::world::{Far, World, seeds};

/// The port of the echo service (RFC 862).
const ECHO: u16 = 7;
/// Sockets on either side.
const SOCKETS: usize = 3;
const BUFFER_BYTES: usize = 1_024;

const CAPACITY: dustdevil_smoltcp::Capacity = dustdevil_smoltcp::Capacity {
    listening: 1,
    outgoing: SOCKETS,
    udp: dustdevil_smoltcp::Udp::NONE,
    rx_bytes: BUFFER_BYTES,
    tx_bytes: BUFFER_BYTES,
};

/// A stack that sends back what it is sent.
struct Echo {
    interface: Interface,
    sockets: SocketSet<'static>,
    handles: Vec<SocketHandle>,
    device: Queues,
}

impl Echo {
    fn new(seed: u64, now: u64, mut memory: Block<'static>) -> Self {
        let mut device = Queues::default();
        let interface = interface(seed, now, &mut device);
        // More than can be asked for, since the last ones may linger.
        let count = 4 * SOCKETS;
        let mut sockets = SocketSet::new(memory.fill(count, |_| SocketStorage::EMPTY));
        let handles = (0..count).map(|_| {
            let rx = tcp::SocketBuffer::new(memory.bytes(BUFFER_BYTES));
            let tx = tcp::SocketBuffer::new(memory.bytes(BUFFER_BYTES));
            sockets.add(tcp::Socket::new(rx, tx))
        });
        let handles = handles.collect();
        Self { interface, sockets, handles, device }
    }

    fn bytes() -> usize {
        4 * SOCKETS * (2 * BUFFER_BYTES + size_of::<SocketStorage<'static>>() + 16) + 64
    }
}

impl Far for Echo {
    fn frame(&mut self, _: u64, frame: &[u8]) {
        self.device.inbox.push_back(frame.to_vec());
    }

    fn turn(&mut self, now: u64, send: &mut Vec<Vec<u8>>) {
        self.interface.poll(instant(now), &mut self.device, &mut self.sockets);
        for &handle in &self.handles {
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
            let mut buf = [0; BUFFER_BYTES];
            let room = socket.send_capacity() - socket.send_queue();
            if let Ok(len) = socket.recv_slice(&mut buf[..room]) {
                // There was room for it.
                assert_eq!(socket.send_slice(&buf[..len]), Ok(len));
            }
            if socket.state() == tcp::State::CloseWait && socket.recv_queue() == 0 {
                socket.close();
            }
            if matches!(socket.state(), tcp::State::Closed) && !socket.is_open() {
                socket.listen(ECHO).expect("a closed socket listens");
            }
        }
        self.interface.poll(instant(now), &mut self.device, &mut self.sockets);
        send.append(&mut self.device.outbox);
    }

    fn next_at(&mut self, now: u64) -> Option<u64> {
        let at = self.interface.poll_at(instant(now), &self.sockets);
        at.map(|at| at.total_micros() as u64)
    }
}

/// One connection, as its owner sees it.
struct Call {
    io: Io,
    /// The bits that were reported and not disproved.
    ready: Readiness,
    sent: usize,
    got: usize,
    len: usize,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Everything came back, and then the end.
    Echoed,
    Failed,
}

impl Call {
    fn new(s: &mut Scene, len: usize) -> Self {
        let io = s.net.connect(SocketAddr::from((PEER_IP, ECHO)), None).expect("a socket for it");
        s.register(io);
        Self { io, ready: Readiness::NONE, sent: 0, got: 0, len }
    }

    /// Does what can be done now.
    fn step(&mut self, s: &mut Scene) -> Option<End> {
        self.ready |= s.ready(self.io);
        s.clear(self.io);
        while self.ready.intersects(Readiness::WRITE) && self.sent < self.len {
            let data: Vec<u8> = (self.sent..self.len.min(self.sent + 700)).map(pattern).collect();
            let is_whole = self.sent.is_multiple_of(2);
            let written = match is_whole {
                true => s.net.write_whole(self.io, &data),
                false => s.net.write(self.io, &data),
            };
            match written {
                Ok(len) => self.sent += len,
                Err(nb::Error::WouldBlock) => self.ready = self.ready.without(Readiness::WRITE),
                Err(nb::Error::Other(_)) => return Some(End::Failed),
            }
            if self.sent == self.len {
                s.net.shutdown(self.io);
            }
        }
        while self.ready.intersects(Readiness::READ) {
            match s.read(self.io, 300) {
                Ok(data) if data.is_empty() => {
                    assert_eq!(self.got, self.len, "the end, before all of it came back");
                    return Some(End::Echoed);
                }
                Ok(data) => {
                    for (at, byte) in data.iter().enumerate() {
                        assert_eq!(*byte, pattern(self.got + at));
                    }
                    self.got += data.len();
                    let drains = data.len() < 300 && !self.ready.intersects(Readiness::CLOSED);
                    if drains && is_drained_by_a_short_read(&s.net) {
                        self.ready = self.ready.without(Readiness::READ);
                    }
                }
                Err(nb::Error::WouldBlock) => self.ready = self.ready.without(Readiness::READ),
                Err(nb::Error::Other(_)) => return Some(End::Failed),
            }
        }
        None
    }
}

fn is_drained_by_a_short_read<T: Transport>(_: &T) -> bool {
    T::SHORT_READ_DRAINS
}

/// Makes calls until so many have ended, and tells how many failed, and the story's hash.
fn run(seed: u64, faults: Faults, calls: usize) -> (usize, u64) {
    let world = World::new(seed, faults);
    world.set_far(Echo::new(seed, world.now().as_micros(), leaked(Echo::bytes())));
    let mut s = Scene::on(world, CAPACITY, STATIC);
    let mut rng = Rng::new(seed);
    let (mut open, mut begun, mut failed) = (Vec::new(), 0, 0);
    while begun < calls || !open.is_empty() {
        while begun < calls && open.len() < SOCKETS && s.net.lingering() == 0 {
            open.push(Call::new(&mut s, rng.range(1, 3_000) as usize));
            begun += 1;
        }
        // Nobody has anything to do but what the poller says: no deadline, unless a socket that
        // lingers is waited for.
        let is_short = begun < calls && open.len() < SOCKETS;
        s.poll_for(is_short.then(|| dustdevil_core::time::Duration::from_millis(100)));
        open.retain_mut(|call| {
            let Some(end) = call.step(&mut s) else { return true };
            failed += usize::from(end == End::Failed);
            s.net.close(call.io);
            false
        });
    }
    s.sleep(60_000);
    s.assert_all_back(0);
    (failed, s.world.hash())
}

#[test]
fn on_a_calm_wire_every_call_is_echoed() {
    for seed in 0..10 {
        let (failed, _) = run(seed, Faults { delay_us: (300, 300), ..Faults::NONE }, 20);
        assert_eq!(failed, 0, "seed {seed}");
    }
}

#[test]
fn on_a_bad_wire_calls_are_echoed_or_fail_cleanly() {
    let (mut failed, mut calls) = (0, 0);
    for seed in 0..seeds(60) {
        let faults = if seed % 4 == 0 { Faults::HARSH } else { Faults::seeded(seed) };
        failed += run(seed, faults, 6).0;
        calls += 6;
    }
    assert!(failed * 10 <= calls, "{failed} of {calls} failed");
}

#[test]
fn one_seed_twice_is_one_story() {
    for seed in 0..5 {
        assert_eq!(run(seed, Faults::HARSH, 6), run(seed, Faults::HARSH, 6), "seed {seed}");
    }
}
