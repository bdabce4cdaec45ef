//! The other end of the wire: a stack of smoltcp by itself, with clients that check every byte.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

use dustdevil_core::memory::Block;
use dustdevil_core::sim::Rng;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet, SocketStorage};
use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr, Ipv4Cidr};

use crate::frame::{NET_IP, PEER_IP, PEER_MAC};
use crate::scene::PORT;
use crate::world::Far;

/// Bytes of each of a client's two buffers.
const BUFFER_BYTES: usize = 2_048;
/// How long a client waits for something to happen before it gives up.
const PATIENCE_US: u64 = 300_000_000;

/// The memory that `clients` of them need.
pub(crate) fn bytes(clients: usize) -> usize {
    clients * (2 * BUFFER_BYTES + size_of::<SocketStorage<'static>>() + 16) + 64
}

/// How a client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// FIN.
    Close,
    /// RST.
    Reset,
    /// It stays silent until the server ends the connection.
    Stay,
}

/// What a client does.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// When it begins, in microseconds after the start.
    pub(crate) start_us: u64,
    pub(crate) connections: u32,
    /// Requests on each connection.
    pub(crate) requests: u32,
    /// Between two requests, and between two connections, at most.
    pub(crate) pause_us: u64,
    pub(crate) leave: Leave,
}

/// What came of it all.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Clients that are through with their plan.
    pub(crate) done: Cell<u32>,
    /// Requests that were answered, exactly as they should be.
    pub(crate) answered: Cell<u32>,
    /// Requests that were turned away: 408 or 503.
    pub(crate) turned_away: Cell<u32>,
    /// Connections that ended before they were through: closed or reset.
    pub(crate) broken: Cell<u32>,
    /// Connections that ended before anything was asked.
    pub(crate) refused: Cell<u32>,
    /// Connections that a client gave up.
    pub(crate) given_up: Cell<u32>,
}

fn count(cell: &Cell<u32>) {
    cell.set(cell.get() + 1);
}

/// Byte `at` of every long body.
pub(crate) fn pattern(at: usize) -> u8 {
    b'a' + (at % 23) as u8
}

enum Phase {
    Rest {
        until: u64,
    },
    Opening,
    /// So many bytes of the request are sent.
    Asking(usize),
    Reading,
    /// FIN is sent, or the server is waited for.
    Leaving,
    Done,
}

struct Client {
    plan: Plan,
    rng: Rng,
    handle: SocketHandle,
    phase: Phase,
    port: u16,
    connections_left: u32,
    requests_left: u32,
    request: Vec<u8>,
    wanted: Vec<u8>,
    got: Vec<u8>,
    progress_at: u64,
}

/// A stack with clients.
pub(crate) struct Clients<'w> {
    interface: Interface,
    sockets: SocketSet<'w>,
    device: Queues,
    clients: Vec<Client>,
    tally: Rc<Tally>,
}

impl<'w> Clients<'w> {
    /// Clients with these plans. The memory has [`bytes`] bytes.
    pub(crate) fn new(
        seed: u64,
        now: u64,
        plans: &[Plan],
        mut memory: Block<'w>,
        tally: &Rc<Tally>,
    ) -> Self {
        let mut rng = Rng::new(seed ^ 0x000c_11e7_7500_0000);
        let mut device = Queues::default();
        let interface = interface(rng.next(), now, &mut device);
        let storage = memory.fill(plans.len(), |_| SocketStorage::<'w>::EMPTY);
        let mut sockets = SocketSet::new(storage);
        let clients = plans.iter().enumerate().map(|(number, plan)| {
            let rx = tcp::SocketBuffer::new(memory.bytes(BUFFER_BYTES));
            let tx = tcp::SocketBuffer::new(memory.bytes(BUFFER_BYTES));
            Client {
                plan: plan.clone(),
                rng: rng.fork(),
                handle: sockets.add(tcp::Socket::new(rx, tx)),
                phase: Phase::Rest { until: now + plan.start_us },
                port: 20_000 + 500 * number as u16,
                connections_left: plan.connections,
                requests_left: 0,
                request: Vec::new(),
                wanted: Vec::new(),
                got: Vec::new(),
                progress_at: now,
            }
        });
        let clients = clients.collect();
        Self { interface, sockets, device, clients, tally: tally.clone() }
    }
}

impl Far for Clients<'_> {
    fn frame(&mut self, _: u64, frame: &[u8]) {
        self.device.inbox.push_back(frame.to_vec());
    }

    fn turn(&mut self, now: u64, send: &mut Vec<Vec<u8>>) {
        loop {
            self.interface.poll(instant(now), &mut self.device, &mut self.sockets);
            let mut has_moved = false;
            for client in &mut self.clients {
                let socket = self.sockets.get_mut::<tcp::Socket<'_>>(client.handle);
                while client.step(socket, &mut self.interface, now, &self.tally) {
                    has_moved = true;
                }
            }
            send.append(&mut self.device.outbox);
            if !has_moved {
                return;
            }
        }
    }

    fn next_at(&mut self, now: u64) -> Option<u64> {
        let stack = self.interface.poll_at(instant(now), &self.sockets);
        let stack = stack.map(|at| at.total_micros() as u64);
        let clients = self.clients.iter().filter_map(Client::next_at).min();
        stack.into_iter().chain(clients).min()
    }
}

impl Client {
    fn next_at(&self) -> Option<u64> {
        match self.phase {
            Phase::Done => None,
            Phase::Rest { until } => Some(until),
            _ => Some(self.progress_at + PATIENCE_US),
        }
    }

    /// Does the next thing; whether there was one.
    fn step(
        &mut self,
        socket: &mut tcp::Socket<'_>,
        interface: &mut Interface,
        now: u64,
        tally: &Tally,
    ) -> bool {
        if self.next_at().is_some_and(|at| at <= now) && !matches!(self.phase, Phase::Rest { .. }) {
            if !matches!((&self.phase, self.plan.leave), (Phase::Leaving, Leave::Stay)) {
                count(&tally.given_up);
            }
            return self.rest(socket, now);
        }
        match self.phase {
            Phase::Done => false,
            Phase::Rest { until } if until > now => false,
            Phase::Rest { .. } => self.begin(socket, interface, now, tally),
            Phase::Opening if socket.may_send() => {
                self.ask(now);
                true
            }
            Phase::Opening if socket.state() == tcp::State::Closed => {
                count(&tally.refused);
                self.rest(socket, now)
            }
            Phase::Opening => false,
            Phase::Asking(sent) => match socket.send_slice(&self.request[sent..]) {
                Ok(0) => self.receive(socket, now, tally),
                Ok(len) => {
                    self.progress_at = now;
                    let sent = sent + len;
                    let is_all = sent == self.request.len();
                    self.phase = if is_all { Phase::Reading } else { Phase::Asking(sent) };
                    true
                }
                Err(_) => self.receive(socket, now, tally),
            },
            Phase::Reading => self.receive(socket, now, tally),
            Phase::Leaving => self.leave(socket, now),
        }
    }

    fn begin(
        &mut self,
        socket: &mut tcp::Socket<'_>,
        interface: &mut Interface,
        now: u64,
        tally: &Tally,
    ) -> bool {
        if self.connections_left == 0 {
            self.phase = Phase::Done;
            count(&tally.done);
            return false;
        }
        self.connections_left -= 1;
        self.requests_left = self.plan.requests;
        self.port += 1;
        let to = (NET_IP, PORT);
        socket.connect(interface.context(), to, self.port).expect("a closed socket connects");
        socket.set_nagle_enabled(self.rng.hits(500));
        self.progress_at = now;
        self.phase = Phase::Opening;
        true
    }

    /// Makes the next request, or leaves.
    fn ask(&mut self, now: u64) {
        self.progress_at = now;
        self.got.clear();
        if self.requests_left == 0 {
            self.phase = Phase::Leaving;
            return;
        }
        self.requests_left -= 1;
        let number = self.rng.range(0, 999_999);
        let (request, wanted) = match self.rng.range(0, 3) {
            0 => (get("/plain"), b"simple".to_vec()),
            1 => (get(&format!("/user/{number}")), number.to_string().into_bytes()),
            2 => {
                let len = self.rng.range(0, 4_000) as usize;
                (get(&format!("/big/{len}")), (0..len).map(pattern).collect())
            }
            _ => {
                let len = self.rng.range(0, 3_000) as usize;
                let body: Vec<u8> = (0..len).map(|at| pattern(at + 7)).collect();
                let head =
                    format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n");
                let mut request = head.into_bytes();
                request.extend(&body);
                (request, body)
            }
        };
        (self.request, self.wanted) = (request, wanted);
        self.phase = Phase::Asking(0);
    }

    /// Reads what came; whether anything did, or the connection is over.
    fn receive(&mut self, socket: &mut tcp::Socket<'_>, now: u64, tally: &Tally) -> bool {
        let before = self.got.len();
        while socket.can_recv() {
            let taken = socket.recv(|data| {
                self.got.extend(&*data);
                (data.len(), data.len())
            });
            if matches!(taken, Ok(0) | Err(_)) {
                break;
            }
        }
        let has_news = self.got.len() > before;
        if has_news {
            self.progress_at = now;
            if let Some(answer) = Answer::parse(&self.got) {
                return self.judge(&answer, now, tally);
            }
        }
        if !socket.may_recv() || !socket.is_active() {
            // The end before the end of the answer: clean, since no part of it was taken for all.
            count(&tally.broken);
            return self.rest(socket, now);
        }
        has_news
    }

    /// Compares a whole answer with what was asked for.
    fn judge(&mut self, answer: &Answer, now: u64, tally: &Tally) -> bool {
        let request = String::from_utf8_lossy(&self.request[..self.request.len().min(40)]);
        match answer.status {
            200 => {
                assert!(answer.body == self.wanted, "another answer than this one's: {request}");
                count(&tally.answered);
            }
            408 | 503 => count(&tally.turned_away),
            status => panic!("{status} for {request}"),
        }
        if answer.closes || answer.status != 200 {
            self.phase = Phase::Leaving;
            return true;
        }
        self.ask(now);
        true
    }

    fn leave(&mut self, socket: &mut tcp::Socket<'_>, now: u64) -> bool {
        // What still comes is thrown away.
        while matches!(socket.recv(|data| (data.len(), data.len())), Ok(1..)) {}
        let is_over = match self.plan.leave {
            Leave::Reset => true,
            Leave::Stay if socket.may_recv() && socket.is_active() => return false,
            Leave::Stay | Leave::Close => {
                if socket.may_send() {
                    socket.close();
                }
                matches!(socket.state(), tcp::State::Closed | tcp::State::TimeWait)
            }
        };
        is_over && self.rest(socket, now)
    }

    fn rest(&mut self, socket: &mut tcp::Socket<'_>, now: u64) -> bool {
        socket.abort();
        let pause = self.rng.range(0, self.plan.pause_us);
        // Not at once: a RST has to leave before the socket is used again.
        self.phase = Phase::Rest { until: now + 1 + pause };
        true
    }
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
}

/// A whole answer.
struct Answer {
    status: u16,
    closes: bool,
    body: Vec<u8>,
}

impl Answer {
    /// `None` while it is not there.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&bytes[..end]).expect("a head in ASCII");
        let status = head.strip_prefix("HTTP/1.1 ").expect("an answer")[..3].parse();
        let field = |name: &str| {
            head.lines().find_map(|line| {
                let (key, value) = line.split_once(": ")?;
                key.eq_ignore_ascii_case(name).then_some(value)
            })
        };
        let body = &bytes[end..];
        let body = match field("content-length") {
            Some(len) => {
                let len: usize = len.parse().expect("a length");
                assert!(body.len() <= len, "more than the answer");
                (body.len() == len).then(|| body.to_vec())?
            }
            None => chunks(body)?,
        };
        let closes = field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        Some(Self { status: status.expect("a status"), closes, body })
    }
}

/// The body in a chunked coding, once all of it is there.
fn chunks(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|window| window == b"\r\n")?;
        let len = std::str::from_utf8(&bytes[..end]).expect("a chunk's length");
        let len = usize::from_str_radix(len, 16).expect("a chunk's length");
        let chunk = bytes.get(end + 2..end + 2 + len)?;
        let after = bytes.get(end + 2 + len..end + 4 + len)?;
        assert_eq!(after, b"\r\n", "what follows a chunk");
        body.extend(chunk);
        bytes = &bytes[end + 4 + len..];
        if len == 0 {
            assert!(bytes.is_empty(), "more than the answer");
            return Some(body);
        }
    }
}

/// A stack of the peer's station.
pub(crate) fn interface(seed: u64, now: u64, device: &mut Queues) -> Interface {
    let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(PEER_MAC)));
    config.random_seed = seed;
    let mut interface = Interface::new(config, device, instant(now));
    interface.update_ip_addrs(|addresses| {
        // One address has room.
        let _ = addresses.push(IpCidr::Ipv4(Ipv4Cidr::new(PEER_IP, 24)));
    });
    interface
}

pub(crate) fn instant(now: u64) -> Instant {
    Instant::from_micros(now as i64)
}

/// The other end's interface.
#[derive(Default)]
pub(crate) struct Queues {
    pub(crate) inbox: VecDeque<Vec<u8>>,
    pub(crate) outbox: Vec<Vec<u8>>,
}

pub(crate) struct Received(Vec<u8>);

pub(crate) struct Sent<'a>(&'a mut Vec<Vec<u8>>);

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl phy::TxToken for Sent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut frame = vec![0; len];
        let result = write(&mut frame);
        self.0.push(frame);
        result
    }
}

impl phy::Device for Queues {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sent<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sent<'_>)> {
        let frame = self.inbox.pop_front()?;
        Some((Received(frame), Sent(&mut self.outbox)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sent<'_>> {
        Some(Sent(&mut self.outbox))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1_514;
        capabilities
    }
}
