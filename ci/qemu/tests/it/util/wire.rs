//! A wire between the tap device and the board, which loses, delays, doubles and corrupts frames.
//!
//! Which fault meets which frame a seed decides; when frames come the clients decide, so a seed
//! gives traffic of the same kind again, not the same traffic. Delays reorder. Only IPv4 is
//! corrupted, a byte of a frame: its checksums find that, while ARP has none and is believed.
//!
//! ```text
//! clients -> the kernel's TCP -> tap0 -> [ this ] -> UDP on the loopback -> QEMU -> the board
//! ```

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use dustdevil_core::sim::Rng;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use smoltcp::phy::{Medium, TunTapInterface};
use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, TcpPacket};

use super::namespace::TAP;

/// Where QEMU sends the board's frames, and where it receives those for the board.
const ENDS: [SocketAddrV4; 2] =
    [SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5001), SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5002)];

/// How often the wire looks whether it was told something.
const LOOK: Duration = Duration::from_millis(2);

/// The longest frame, and some bytes more for those that are too long.
const FRAME_BYTES_MAX: usize = 2048;

/// How often, of 1,000 frames, something happens to one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    pub(crate) lost: u16,
    pub(crate) doubled: u16,
    pub(crate) corrupted: u16,
    pub(crate) late: u16,
    /// The longest delay of a frame that is late.
    pub(crate) late_ms_max: u64,
}

/// What happened to frames.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) passed: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) doubled: AtomicU64,
    pub(crate) corrupted: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) injected: AtomicU64,
}

impl Tally {
    /// Fails unless there was some of everything: what did not happen was not tested.
    pub(crate) fn each_happened(&self) {
        let Self { passed, lost, doubled, corrupted, late, injected } = self;
        for count in [passed, lost, doubled, corrupted, late, injected] {
            assert_ne!(count.load(Ordering::Relaxed), 0, "{self:?}");
        }
    }
}

/// A wire, cut when this is dropped.
pub(crate) struct Wire {
    shared: Arc<Shared>,
    sender: Sender<Vec<u8>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    tally: Tally,
    /// No fault happens.
    is_calm: AtomicBool,
    is_over: AtomicBool,
    /// Ports of ours whose frames all are lost, both ways.
    cut: Mutex<HashSet<u16>>,
    /// The board's address, once it has sent something; 0 before.
    board: AtomicU64,
}

impl Wire {
    /// What QEMU needs to be told: the board's end.
    pub(crate) fn arguments() -> [String; 2] {
        let [board, wire] = ENDS;
        ["-nic".to_owned(), format!("socket,model=stellaris,udp={wire},localaddr={board}")]
    }

    /// Lays a wire in this thread's network; without faults until [`calm`](Self::calm) says so.
    pub(crate) fn lay(seed: u64, faults: Faults) -> Self {
        let shared = Arc::new(Shared { is_calm: true.into(), ..Shared::default() });
        let (sender, receiver) = mpsc::channel();
        let ends = Ends::open(shared.clone(), receiver, seed, faults);
        let ends = ends.unwrap_or_else(|error| panic!("the wire: {error:#}"));
        let thread = std::thread::spawn(move || {
            ends.serve().unwrap_or_else(|error| panic!("the wire: {error:#}"));
        });
        Self { shared, sender, thread: Some(thread) }
    }

    /// Switches the faults off, or on.
    pub(crate) fn calm(&self, is_calm: bool) {
        self.shared.is_calm.store(is_calm, Ordering::Relaxed);
    }

    /// Sends a frame to the board, as if somebody else on the wire had.
    pub(crate) fn inject(&self, frame: Vec<u8>) {
        // It fails when the wire has, which its end tells.
        let _ = self.sender.send(frame);
    }

    /// Loses from now on everything that comes from, or goes to, a port of ours.
    pub(crate) fn cut(&self, port: u16) {
        self.shared.cut.lock().unwrap().insert(port);
    }

    /// The board's address, once it has sent something.
    pub(crate) fn board(&self) -> Option<[u8; 6]> {
        let address = self.shared.board.load(Ordering::Relaxed).to_be_bytes();
        address[2..].try_into().ok().filter(|address| *address != [0; 6])
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.shared.tally
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map_or(Ok(()), JoinHandle::join);
        if !std::thread::panicking() {
            ended.expect("the wire held");
        }
    }
}

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    ToBoard,
    FromBoard,
}

/// A frame on its way: by when it is due, then by age.
type Underway = (Instant, u64, Way, Vec<u8>);

/// Both ends, and what is on its way between them.
struct Ends {
    tap: File,
    board: UdpSocket,
    shared: Arc<Shared>,
    injected: Receiver<Vec<u8>>,
    rng: Rng,
    faults: Faults,
    underway: BinaryHeap<Reverse<Underway>>,
    count: u64,
}

impl Ends {
    fn open(
        shared: Arc<Shared>,
        injected: Receiver<Vec<u8>>,
        seed: u64,
        faults: Faults,
    ) -> Result<Self> {
        let board = UdpSocket::bind(ENDS[1])?;
        board.connect(ENDS[0])?;
        board.set_nonblocking(true)?;
        let (rng, underway) = (Rng::new(seed), BinaryHeap::new());
        Ok(Self { tap: tap()?, board, shared, injected, rng, faults, underway, count: 0 })
    }

    fn serve(mut self) -> Result<()> {
        while !self.shared.is_over.load(Ordering::Relaxed) {
            let now = Instant::now();
            self.deliver(now)?;
            let due = self
                .underway
                .peek()
                .map_or(LOOK, |Reverse(next)| next.0.saturating_duration_since(now));
            let wait = Timespec::try_from(due.min(LOOK))?;
            let mut ends =
                [PollFd::new(&self.tap, PollFlags::IN), PollFd::new(&self.board, PollFlags::IN)];
            poll(&mut ends, Some(&wait)).context("poll")?;
            self.take_from_tap()?;
            self.take_from_board();
            while let Ok(frame) = self.injected.try_recv() {
                add(&self.shared.tally.injected);
                self.send(Way::ToBoard, Instant::now(), frame);
            }
        }
        Ok(())
    }

    /// Takes what the kernel has sent.
    fn take_from_tap(&mut self) -> Result<()> {
        let mut buffer = [0; FRAME_BYTES_MAX];
        loop {
            match self.tap.read(&mut buffer) {
                Ok(length) => self.take(Way::ToBoard, buffer[..length].to_vec()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("read from the tap device"),
            }
        }
    }

    /// Takes what the board has sent.
    fn take_from_board(&mut self) {
        let mut buffer = [0; FRAME_BYTES_MAX];
        loop {
            match self.board.recv(&mut buffer) {
                Ok(length) => {
                    let frame = buffer[..length].to_vec();
                    if let Ok(ethernet) = EthernetFrame::new_checked(&frame) {
                        let mut address = [0; 8];
                        address[2..].copy_from_slice(ethernet.src_addr().as_bytes());
                        self.shared.board.store(u64::from_be_bytes(address), Ordering::Relaxed);
                    }
                    self.take(Way::FromBoard, frame);
                }
                // While QEMU is not there, the kernel says once a frame that nobody listens.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(_) => return,
            }
        }
    }

    /// A frame begins its way: the seed decides how it fares.
    fn take(&mut self, way: Way, mut frame: Vec<u8>) {
        let now = Instant::now();
        let shared = self.shared.clone();
        let tally = &shared.tally;
        let is_cut =
            port(way, &frame).is_some_and(|port| shared.cut.lock().unwrap().contains(&port));
        if is_cut {
            return add(&tally.lost);
        }
        if shared.is_calm.load(Ordering::Relaxed) {
            add(&tally.passed);
            return self.send(way, now, frame);
        }
        let Faults { lost, doubled, corrupted, late, late_ms_max } = self.faults;
        if self.rng.hits(lost) {
            return add(&tally.lost);
        }
        add(&tally.passed);
        if self.rng.hits(doubled) {
            add(&tally.doubled);
            let again = now + Duration::from_millis(self.rng.range(0, late_ms_max));
            self.send(way, again, frame.clone());
        }
        if is_ipv4(&frame) && self.rng.hits(corrupted) {
            add(&tally.corrupted);
            let at = self.rng.index(frame.len());
            frame[at] ^= self.rng.range(1, 255) as u8;
        }
        let mut due = now;
        if self.rng.hits(late) {
            add(&tally.late);
            due += Duration::from_millis(self.rng.range(1, late_ms_max));
        }
        self.send(way, due, frame);
    }

    fn send(&mut self, way: Way, due: Instant, frame: Vec<u8>) {
        self.count += 1;
        self.underway.push(Reverse((due, self.count, way, frame)));
    }

    /// Hands over what has arrived by now. What finds no room is lost, as on any wire.
    fn deliver(&mut self, now: Instant) -> Result<()> {
        while self.underway.peek().is_some_and(|Reverse(next)| next.0 <= now) {
            let Some(Reverse((_, _, way, frame))) = self.underway.pop() else { break };
            match way {
                Way::ToBoard => drop(self.board.send(&frame)),
                Way::FromBoard => match self.tap.write(&frame) {
                    // The kernel takes no frame that is shorter than an Ethernet header.
                    Err(error) if error.kind() == ErrorKind::InvalidInput => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    written => drop(written.context("write to the tap device")?),
                },
            }
        }
        Ok(())
    }
}

/// Our end of the tap device, whose frames pass through it as whole reads and writes.
fn tap() -> Result<File> {
    let interface = TunTapInterface::new(TAP, Medium::Ethernet)?;
    // smoltcp lends its descriptor as a mere number; the kernel makes one of it that we own.
    let own = pidfd_open(getpid(), PidfdFlags::empty()).context("pidfd_open")?;
    let descriptor = pidfd_getfd(&own, interface.as_raw_fd(), PidfdGetfdFlags::empty());
    Ok(File::from(descriptor.context("pidfd_getfd")?))
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn is_ipv4(frame: &[u8]) -> bool {
    let frame = EthernetFrame::new_checked(frame);
    frame.is_ok_and(|frame| frame.ethertype() == EthernetProtocol::Ipv4)
}

/// Our port, of a frame of TCP.
fn port(way: Way, frame: &[u8]) -> Option<u16> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let ip = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
    if !is_ipv4(frame) || ip.next_header() != IpProtocol::Tcp {
        return None;
    }
    let tcp = TcpPacket::new_checked(ip.payload()).ok()?;
    Some(if way == Way::ToBoard { tcp.src_port() } else { tcp.dst_port() })
}

#[cfg(test)]
mod tests {
    use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetRepr};

    use super::super::board::{AT, AT_IP};
    use super::super::namespace;
    use super::*;

    const BOARD: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 2]);

    /// What a board answers to the question for its address.
    fn answer(frame: &[u8]) -> Option<Vec<u8>> {
        let question = EthernetFrame::new_checked(frame).ok()?;
        let question = ArpRepr::parse(&ArpPacket::new_checked(question.payload()).ok()?).ok()?;
        let ArpRepr::EthernetIpv4 { source_hardware_addr, source_protocol_addr, .. } = question
        else {
            return None;
        };
        let arp = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_hardware_addr: BOARD,
            source_protocol_addr: AT_IP,
            target_hardware_addr: source_hardware_addr,
            target_protocol_addr: source_protocol_addr,
        };
        let ethernet = EthernetRepr {
            src_addr: BOARD,
            dst_addr: source_hardware_addr,
            ethertype: EthernetProtocol::Arp,
        };
        let mut frame = vec![0; ethernet.buffer_len() + arp.buffer_len()];
        let mut outer = EthernetFrame::new_unchecked(&mut frame[..]);
        ethernet.emit(&mut outer);
        arp.emit(&mut ArpPacket::new_unchecked(outer.payload_mut()));
        Some(frame)
    }

    /// A wire whose other end this test plays.
    struct Played {
        wire: Wire,
        board: UdpSocket,
    }

    impl Played {
        fn begin(faults: Faults) -> Self {
            let wire = Wire::lay(1, faults);
            let board = UdpSocket::bind(ENDS[0]).unwrap();
            board.connect(ENDS[1]).unwrap();
            board.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            namespace::wait_for_carrier();
            Self { wire, board }
        }

        /// Lets a client knock, and plays until its SYN has come or the time is over.
        fn hears(&self, time: Duration) -> bool {
            let mut buffer = [0; FRAME_BYTES_MAX];
            // Somebody who knocked before may have done so twice.
            while self.board.recv(&mut buffer).is_ok() {}
            let knock = std::thread::spawn(move || std::net::TcpStream::connect_timeout(&AT, time));
            let until = Instant::now() + time;
            let mut came = false;
            while !came && Instant::now() < until {
                let Ok(length) = self.board.recv(&mut buffer) else { continue };
                if let Some(answer) = answer(&buffer[..length]) {
                    self.board.send(&answer).unwrap();
                }
                came = port(Way::ToBoard, &buffer[..length]).is_some();
            }
            assert!(knock.join().unwrap().is_err(), "nobody answers");
            came
        }
    }

    #[test]
    fn frames_pass_both_ways_unless_they_are_lost() {
        namespace::inside(|| {
            let all = Faults { lost: 1_000, doubled: 0, corrupted: 0, late: 0, late_ms_max: 0 };
            let played = Played::begin(all);
            assert!(played.hears(Duration::from_secs(2)), "{:?}", played.wire.tally());
            assert_eq!(played.wire.board(), Some(BOARD.0));
            played.wire.calm(false);
            assert!(!played.hears(Duration::from_millis(300)));
            assert_ne!(played.wire.tally().lost.load(Ordering::Relaxed), 0);
        });
    }

    #[test]
    fn frames_are_doubled_delayed_and_corrupted() {
        namespace::inside(|| {
            let all =
                Faults { lost: 0, doubled: 1_000, corrupted: 1_000, late: 1_000, late_ms_max: 9 };
            let played = Played::begin(all);
            played.wire.calm(false);
            played.hears(Duration::from_secs(2));
            let Tally { doubled, late, corrupted, .. } = played.wire.tally();
            for count in [doubled, late, corrupted] {
                assert_ne!(count.load(Ordering::Relaxed), 0, "{:?}", played.wire.tally());
            }
        });
    }
}
