//! A stack by itself, talked to in hand-made frames: tests read like packet dumps.
//!
//! ```text
//!     let mut s = Scene::new();
//!     send!(s, SYN 40_000);                     // from port 40,000 of a peer
//!     recv!(s, SYN|ACK 40_000);                 // what the stack answers: exactly this
//!     send!(s, ACK 40_000);
//!     let io = s.accept();
//!     send!(s, ACK 40_000, b"GET");
//!     recv!(s, ACK 40_000);
//!     quiet!(s);                                // and nothing more
//! ```
//!
//! Sequence numbers follow by themselves: what the stack sends must be the next byte of its stream,
//! and must acknowledge all that was sent to it, unless a test says otherwise.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use dustdevil_core::memory::Block;
use dustdevil_core::nb;
use dustdevil_core::poller::{Error, Io, Poller, Readiness, Token, Transport};
use dustdevil_core::sim;
use dustdevil_core::time::Duration;
use dustdevil_core::wake::WakeTree;
use dustdevil_smoltcp::{Addressing, Capacity, Net, Udp};

use crate::frame::{ACK, Arp, FIN, GATEWAY_IP, NET_IP, PEER_IP, PSH, RST, SYN, Segment};
use crate::wire::Faults;
use crate::world::{Parker, Port, Wait, World};

/// A board's worth of sockets.
pub(crate) const SMALL: Capacity =
    Capacity { listening: 4, outgoing: 2, udp: Udp::NONE, rx_bytes: 1024, tx_bytes: 1024 };

pub(crate) const STATIC: Addressing =
    Addressing::Static { address: NET_IP, prefix: 24, gateway: Some(GATEWAY_IP) };

/// Where the stack listens.
pub(crate) const PORT: u16 = 80;

/// Memory that is never given back.
pub(crate) fn leaked(bytes: usize) -> Block<'static> {
    use dustdevil_core::memory::Owned;
    Box::leak(Box::new(Owned::new(vec![0_u64; bytes.div_ceil(8)].into_boxed_slice()))).block()
}

/// A peer's side of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) address: Ipv4Addr,
    /// The stack's port.
    pub(crate) port: u16,
    /// The next byte that the peer sends.
    pub(crate) seq: u32,
    /// The next byte that the peer expects.
    pub(crate) ack: u32,
    pub(crate) window: u16,
    /// What was sent last.
    pub(crate) last: Option<Segment>,
}

impl Flow {
    fn new(port: u16) -> Self {
        let seq = u32::from(port) * 1_000;
        Self { address: PEER_IP, port: PORT, seq, ack: 0, window: 4_096, last: None }
    }
}

/// A stack, and all who talk to it.
pub(crate) struct Scene {
    pub(crate) world: World<'static>,
    pub(crate) net: Net<'static, Port<'static>, Parker<'static>>,
    pub(crate) flows: BTreeMap<u16, Flow>,
    wakes: &'static WakeTree,
    /// The bits of each source since they were last cleared.
    bits: BTreeMap<u64, Readiness>,
    tokens: BTreeMap<Io, u64>,
    registered: u64,
    /// The listener at [`PORT`].
    pub(crate) listener: Option<Io>,
    /// Polls in which nothing moves before nothing is expected to.
    pub(crate) still_max: u32,
    /// Events of the last poll.
    pub(crate) events: u32,
}

impl Scene {
    /// A stack that listens, on a calm wire; it knows the peer's station.
    pub(crate) fn new() -> Self {
        Self::with(SMALL, STATIC)
    }

    pub(crate) fn with(capacity: Capacity, addressing: Addressing) -> Self {
        let mut scene = Self::bare(capacity, addressing);
        for address in [PEER_IP, GATEWAY_IP] {
            scene.world.send(&Arp::who_has_net(address).frame());
            scene.poll();
        }
        for _ in 0..2 {
            let answer = scene.world.sent().expect("an answer to who has the stack's address");
            assert_eq!(Arp::parse(&answer).expect("an ARP packet").operation, 2);
        }
        let at = SocketAddr::from((NET_IP, PORT));
        let listener = scene.net.listen(at, 8).expect("the first listener");
        scene.register(listener);
        scene.listener = Some(listener);
        scene.settle();
        scene.world.take_waits();
        scene
    }

    /// A stack that nobody has talked to yet, and that does not listen.
    pub(crate) fn bare(capacity: Capacity, addressing: Addressing) -> Self {
        Self::on(World::new(1, Faults::NONE), capacity, addressing)
    }

    /// The same in a world with somebody at the other end of the wire.
    pub(crate) fn on(world: World<'static>, capacity: Capacity, addressing: Addressing) -> Self {
        let memory = leaked(capacity.bytes());
        let net = Net::new(world.nic(), world.park(), memory, capacity, addressing, 7);
        Self {
            world,
            net,
            flows: BTreeMap::new(),
            wakes: sim::wakes(1),
            bits: BTreeMap::new(),
            tokens: BTreeMap::new(),
            registered: 0,
            listener: None,
            still_max: 2,
            events: 0,
        }
    }

    /// Polls once, for at most `span`; `None`: until something happens.
    pub(crate) fn poll_for(&mut self, span: Option<Duration>) {
        let deadline = span.map(|span| self.world.now() + span);
        let (bits, events) = (&mut self.bits, &mut self.events);
        *events = 0;
        let mut on_event = |event: dustdevil_core::poller::Event| {
            *events += 1;
            *bits.entry(event.token.as_u64()).or_default() |= event.ready;
        };
        self.net.poll(deadline, self.wakes, &mut on_event).expect("a world to poll");
    }

    /// Polls once without waiting.
    pub(crate) fn poll(&mut self) {
        self.poll_for(Some(Duration::ZERO));
    }

    /// Polls without waiting until nothing moves any more.
    pub(crate) fn settle(&mut self) {
        let mut still = 0;
        while still < self.still_max {
            let before = self.world.counts();
            self.poll();
            let after = self.world.counts();
            let moves = after.sent != before.sent || after.fetched != before.fetched;
            still = if moves { 0 } else { still + 1 };
        }
    }

    /// Lets `ms` milliseconds pass, with the stack at work.
    pub(crate) fn sleep(&mut self, ms: u64) {
        self.sleep_us(ms * 1_000);
    }

    pub(crate) fn sleep_us(&mut self, us: u64) {
        let until = self.world.now() + Duration::from_micros(us);
        while self.world.now() < until {
            self.poll_for(Some(until - self.world.now()));
        }
        self.settle();
    }

    /// Lets `ms` milliseconds pass and tells of the waits that the stack made in them.
    pub(crate) fn waits(&mut self, ms: u64) -> Vec<Wait> {
        self.settle();
        self.world.take_waits();
        let until = self.world.now() + Duration::from_millis(ms);
        while self.world.now() < until {
            self.poll_for(Some(until - self.world.now()));
        }
        let waits = self.world.take_waits();
        waits.into_iter().filter(|wait| wait.is_allowed && wait.ended > wait.began).collect()
    }

    pub(crate) fn register(&mut self, io: Io) {
        self.registered += 1;
        let number = self.registered << 32 | u64::from(io.0 + 1);
        self.tokens.insert(io, number);
        self.net.register(io, Token::from_u64(number)).expect("a place for a source");
    }

    /// What was reported of a source since it was last [cleared](Self::clear).
    pub(crate) fn ready(&self, io: Io) -> Readiness {
        self.bits.get(&self.tokens[&io]).copied().unwrap_or_default()
    }

    pub(crate) fn clear(&mut self, io: Io) {
        self.bits.remove(&self.tokens[&io]);
    }

    pub(crate) fn listener(&self) -> Io {
        self.listener.expect("a scene that listens")
    }

    /// Accepts a connection, if one waits, and registers it.
    pub(crate) fn try_accept(&mut self) -> nb::Result<(Io, SocketAddr), Error> {
        let accepted = self.net.accept(self.listener())?;
        self.register(accepted.0);
        Ok(accepted)
    }

    /// Accepts the connection that must be waiting.
    #[track_caller]
    pub(crate) fn accept(&mut self) -> Io {
        self.settle();
        self.try_accept().expect("a connection that waits").0
    }

    /// Accepts and names the peer's port.
    #[track_caller]
    pub(crate) fn accept_port(&mut self) -> (Io, u16) {
        self.settle();
        let (io, peer) = self.try_accept().expect("a connection that waits");
        (io, peer.port())
    }

    /// A connection from this port of the peer, established and accepted.
    #[track_caller]
    pub(crate) fn connected(&mut self, port: u16) -> Io {
        send!(self, SYN port);
        recv!(self, SYN|ACK port);
        send!(self, ACK port);
        let io = self.accept();
        self.settle();
        io
    }

    /// Reads what there is, at most `len` bytes.
    pub(crate) fn read(&mut self, io: Io, len: usize) -> nb::Result<Vec<u8>, Error> {
        let mut buf = vec![0; len];
        let len = self.net.read(io, &mut buf)?;
        buf.truncate(len);
        Ok(buf)
    }

    /// Writes all of it.
    #[track_caller]
    pub(crate) fn write(&mut self, io: Io, data: &[u8]) {
        assert_eq!(self.net.write(io, data), Ok(data.len()), "all of it is taken");
    }

    /// Settles that the flow of this port of the peer goes to another port of the stack.
    pub(crate) fn flow_to(&mut self, port: u16, to: u16) {
        self.flows.insert(port, Flow { port: to, ..Flow::new(port) });
    }

    /// Sends a segment of a flow. A SYN without ACK begins the flow anew.
    pub(crate) fn send_segment(&mut self, flags: u8, port: u16, data: &[u8]) {
        let begins = flags & (SYN | ACK) == SYN;
        let flow = self.flows.entry(port).or_insert_with(|| Flow::new(port));
        if begins && flow.last.is_some() {
            flow.seq = flow.seq.wrapping_add(100_000);
        }
        let segment = Segment {
            from: (flow.address, port),
            to: (NET_IP, flow.port),
            flags,
            seq: flow.seq,
            ack: if flags & ACK == 0 { 0 } else { flow.ack },
            window: flow.window,
            mss: (flags & SYN != 0).then_some(1460),
            data: data.to_vec(),
        };
        let length = data.len() as u32 + u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        flow.seq = flow.seq.wrapping_add(length);
        self.world.send(&segment.frame());
        flow.last = Some(segment);
    }

    /// Sends the flow's last segment once more.
    pub(crate) fn send_again(&mut self, port: u16) {
        let segment = self.flows[&port].last.clone().expect("something was sent");
        self.world.send(&segment.frame());
    }

    /// The next segment that the stack sends within `ms` milliseconds.
    pub(crate) fn next_segment(&mut self, ms: u64) -> Option<Segment> {
        let until = self.world.now() + Duration::from_millis(ms);
        loop {
            match self.world.sent() {
                Some(frame) => {
                    if let Some(segment) = Segment::parse(&frame) {
                        return Some(segment);
                    }
                    panic!("not a segment: {}", crate::frame::show(&frame));
                }
                None => self.settle(),
            }
            if self.world.sent_len() == 0 {
                if self.world.now() >= until {
                    return None;
                }
                // In small steps: a poll that has nothing to report goes on to its deadline.
                let step = Duration::from_millis(1);
                self.poll_for(Some((until - self.world.now()).min(step)));
            }
        }
    }

    /// Asserts that this is the next segment that the stack sends, as [`recv!`] has it.
    #[track_caller]
    pub(crate) fn expect(&mut self, flags: u8, port: u16, data: &[u8]) -> Segment {
        let wanted = crate::frame::flags(flags);
        let Some(segment) = self.next_segment(100) else {
            panic!("nothing came, and not [{wanted}] for port {port}");
        };
        let flow = self.flows.get_mut(&port).expect("a flow of this port");
        assert_eq!(
            (segment.to, segment.from, segment.flags & !PSH),
            ((flow.address, port), (NET_IP, flow.port), flags & !PSH),
            "{segment:?} came, and not [{wanted}] for port {port}"
        );
        assert_eq!(
            String::from_utf8_lossy(&segment.data),
            String::from_utf8_lossy(data),
            "{segment:?}"
        );
        if flags & SYN != 0 {
            flow.ack = segment.seq;
        }
        if flags & RST == 0 {
            assert_eq!(segment.seq, flow.ack, "the next byte of the stream: {segment:?}");
        }
        if flags & ACK != 0 {
            assert_eq!(segment.ack, flow.seq, "everything is acknowledged: {segment:?}");
        }
        let length = data.len() as u32 + u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        flow.ack = flow.ack.wrapping_add(length);
        segment
    }

    /// Asserts that the stack sends nothing for `ms` milliseconds.
    #[track_caller]
    pub(crate) fn quiet(&mut self, ms: u64) {
        self.sleep(ms);
        if let Some(frame) = self.world.sent() {
            panic!("nothing was to be sent, but: {}", crate::frame::show(&frame));
        }
    }

    /// Asserts that every socket is back: none lingers, none is lost, no SYN is held.
    #[track_caller]
    pub(crate) fn assert_all_back(&mut self, listening: usize) {
        self.settle();
        assert_eq!(
            (self.net.free(), self.net.held(), self.net.lingering()),
            (listening, 0, 0),
            "sockets that listen, SYNs that are held, sockets that linger"
        );
    }
}
