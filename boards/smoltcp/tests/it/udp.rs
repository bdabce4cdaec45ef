//! Datagrams: hand-made frames on one side, or an echo behind a bad wire.

use std::net::{Ipv4Addr, SocketAddr};

use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::nb;
use dustdevil_core::poller::{Datagram, Error, Io, Readiness, Transport};
use dustdevil_core::time::Duration;
use dustdevil_smoltcp::net::{DATAGRAM_BYTES_MAX, UNREACHABLE};
use dustdevil_smoltcp::{Capacity, Udp};

use crate::frame::{
    ARP, Arp, BROADCAST_MAC, ICMP, IPV4, Mac, NET_IP, NET_MAC, PEER_IP, PEER_MAC, SYN, UDP,
    checksum, ethernet, udp,
};
use crate::scene::{SMALL, STATIC, Scene};
use crate::wire::Faults;
use crate::world::{Far, World, seeds};

/// Two sockets of three datagrams each.
const CAPACITY: Capacity =
    Capacity { udp: Udp { sockets: 2, datagrams: 3, bytes: 1_600 }, ..SMALL };

const WOULD_BLOCK: nb::Error<Error> = nb::Error::WouldBlock;

fn invalid<T>() -> nb::Result<T, Error> {
    Err(nb::Error::Other(Error::new(ErrorKind::InvalidInput)))
}

fn own(port: u16) -> SocketAddr {
    SocketAddr::from((NET_IP, port))
}

fn peer(port: u16) -> SocketAddr {
    SocketAddr::from((PEER_IP, port))
}

/// A scene with a registered socket at `port`.
fn scene(port: u16) -> (Scene, Io) {
    let mut s = Scene::with(CAPACITY, STATIC);
    let io = s.net.bind(own(port)).expect("a socket");
    s.register(io);
    s.settle();
    (s, io)
}

/// A datagram from a port of the peer to one of the stack's, as a frame.
fn to_net(from: u16, to: u16, data: &[u8]) -> Vec<u8> {
    ethernet(NET_MAC, PEER_MAC, IPV4, &udp((PEER_IP, from), (NET_IP, to), data))
}

/// A datagram that the stack sent.
#[derive(Debug, PartialEq, Eq)]
struct Sent {
    station: Mac,
    from: SocketAddr,
    to: SocketAddr,
    data: Vec<u8>,
}

impl Sent {
    /// Reads a frame, and checks what must hold of each.
    fn parse(frame: &[u8]) -> Option<Self> {
        let (ethernet, packet) = frame.split_at(14);
        if ethernet[12..] != IPV4.to_be_bytes() || packet[9] != UDP {
            return None;
        }
        let (ip, datagram) = packet.split_at(20);
        assert_eq!(checksum(&[ip]), 0, "the header's sum");
        let short = |at: usize| u16::from_be_bytes([datagram[at], datagram[at + 1]]);
        let len = usize::from(short(4));
        let pseudo = [&ip[12..20], &[0, UDP], &short(4).to_be_bytes()].concat();
        assert_eq!(checksum(&[&pseudo, &datagram[..len]]), 0, "the datagram's sum");
        let address = |at: usize| Ipv4Addr::new(ip[at], ip[at + 1], ip[at + 2], ip[at + 3]);
        Some(Self {
            station: ethernet[..6].try_into().expect("six bytes"),
            from: (address(12), short(0)).into(),
            to: (address(16), short(2)).into(),
            data: datagram[8..len].to_vec(),
        })
    }
}

/// The data of all datagrams that the stack has sent so far.
fn sent(s: &mut Scene) -> Vec<Vec<u8>> {
    s.settle();
    let frames = std::iter::from_fn(|| s.world.sent());
    frames.filter_map(|frame| Sent::parse(&frame)).map(|sent| sent.data).collect()
}

fn received(s: &mut Scene, io: Io) -> nb::Result<Vec<u8>, Error> {
    let mut buf = [0; 2_000];
    let (len, _) = s.net.recv_from(io, &mut buf)?;
    Ok(buf[..len].to_vec())
}

#[test]
fn a_datagram_comes_in_and_its_answer_goes_out() {
    let (mut s, io) = scene(53);
    assert_eq!(s.ready(io), Readiness::WRITE);
    assert_eq!(s.net.local(io), Some(own(53)));
    s.world.send(&to_net(4_000, 53, b"question"));
    s.settle();
    assert_eq!(s.ready(io), Readiness::READ | Readiness::WRITE);
    let mut buf = [0; 64];
    assert_eq!(s.net.recv_from(io, &mut buf), Ok((8, peer(4_000))));
    assert_eq!(&buf[..8], b"question");
    assert_eq!(s.net.recv_from(io, &mut buf), Err(WOULD_BLOCK));
    assert_eq!(s.net.send_to(io, b"answer", peer(4_000)), Ok(()));
    s.settle();
    let frame = s.world.sent().expect("a frame");
    let wanted =
        Sent { station: PEER_MAC, from: own(53), to: peer(4_000), data: b"answer".to_vec() };
    assert_eq!(Sent::parse(&frame), Some(wanted));
    quiet!(s);
}

#[test]
fn a_buffer_that_is_too_short_gets_the_beginning_and_the_length_of_all() {
    let (mut s, io) = scene(53);
    for (data, room) in [(&b"abcdef"[..], 4), (b"abcdef", 0), (b"", 4), (b"", 0)] {
        s.world.send(&to_net(7, 53, data));
        s.settle();
        let mut buf = vec![b'.'; room];
        assert_eq!(s.net.recv_from(io, &mut buf), Ok((data.len(), peer(7))));
        let kept = room.min(data.len());
        assert_eq!(buf[..kept], data[..kept]);
    }
}

/// What is longer than a frame, than the buffer, or has no way is refused, and nothing is sent.
#[test]
fn what_cannot_be_sent_is_refused_at_once() {
    let (mut s, io) = scene(53);
    assert_eq!(DATAGRAM_BYTES_MAX, 1_472);
    assert_eq!(s.net.send_to(io, &[1; 1_473], peer(7)), invalid());
    assert_eq!(s.net.send_to(io, &[1; 1_472], peer(7)), Ok(()));
    assert_eq!(sent(&mut s), [vec![1; 1_472]]);
    for to in ["10.0.0.2:0", "0.0.0.0:7", "[fd00::1]:7"] {
        assert_eq!(s.net.send_to(io, b"x", to.parse().expect("an address")), invalid(), "{to}");
    }
    let no_way = Err(nb::Error::Other(Error::new(ErrorKind::AddrNotAvailable)));
    assert_eq!(s.net.send_to(io, b"x", own(7)), no_way, "to itself");
    quiet!(s);
    let small = Udp { sockets: 1, datagrams: 1, bytes: 16 };
    let mut s = Scene::with(Capacity { udp: small, ..SMALL }, STATIC);
    let io = s.net.bind(own(0)).expect("a socket");
    assert_eq!(s.net.send_to(io, &[1; 17], peer(7)), invalid());
    assert_eq!(s.net.send_to(io, &[1; 16], peer(7)), Ok(()));
}

#[test]
fn broadcasts_are_sent_and_received() {
    let (mut s, io) = scene(68);
    let everybody = Ipv4Addr::BROADCAST;
    for to in [everybody, Ipv4Addr::new(10, 0, 0, 255)] {
        let packet = udp((PEER_IP, 67), (to, 68), b"to all");
        s.world.send(&ethernet(BROADCAST_MAC, PEER_MAC, IPV4, &packet));
        s.settle();
        assert_eq!(received(&mut s, io).as_deref(), Ok(&b"to all"[..]), "{to}");
        assert_eq!(s.net.send_to(io, b"all", (to, 67).into()), Ok(()));
        s.settle();
        let frame = s.world.sent().expect("a frame");
        assert_eq!(Sent::parse(&frame).expect("a datagram").station, BROADCAST_MAC, "{to}");
    }
}

#[test]
fn ports_are_ones_own_and_sockets_counted() {
    let (mut s, io) = scene(53);
    let kind = |result: Result<Io, Error>| result.map_err(|error| error.kind);
    assert_eq!(kind(s.net.bind(own(53))), Err(ErrorKind::AddrInUse));
    for none in ["10.0.0.9:1", "[::]:1"] {
        let refused = kind(s.net.bind(none.parse().expect("an address")));
        assert_eq!(refused, Err(ErrorKind::AddrNotAvailable));
    }
    let other = s.net.bind("0.0.0.0:0".parse().expect("an address")).expect("the second of two");
    assert!(s.net.local(other).expect("bound").port() >= 49_152);
    assert_eq!(kind(s.net.bind(own(54))), Err(ErrorKind::OutOfMemory));
    s.net.close(io);
    assert_eq!(kind(s.net.bind(own(54))), Ok(io));
    s.net.abort(io);
    assert_eq!(s.net.local(io), None);
    // A listener has ports of its own kind.
    assert!(s.net.bind(own(80)).is_ok());
}

#[test]
fn what_finds_the_buffer_full_is_lost_and_the_rest_comes_in_order() {
    let (mut s, io) = scene(53);
    for number in 0..5 {
        s.world.send(&to_net(7, 53, &[number]));
    }
    s.settle();
    assert_eq!(received(&mut s, io), Ok(vec![0]));
    s.world.send(&to_net(7, 53, &[9]));
    s.settle();
    for number in [1, 2, 9] {
        assert_eq!(received(&mut s, io), Ok(vec![number]));
    }
    assert_eq!(received(&mut s, io), Err(WOULD_BLOCK));
    // Also by bytes: two of them do not fit.
    for _ in 0..2 {
        s.world.send(&to_net(7, 53, &[1; 900]));
    }
    s.settle();
    assert_eq!(received(&mut s, io), Ok(vec![1; 900]));
    assert_eq!(received(&mut s, io), Err(WOULD_BLOCK));
    // Each arrival after "would block" is reported.
    s.clear(io);
    s.world.send(&to_net(7, 53, b"news"));
    s.settle();
    assert_eq!(s.ready(io), Readiness::READ);
}

/// `WRITE` is reported after each refusal, once something has left.
#[test]
fn a_sender_that_was_refused_is_told_of_room() {
    for len in [0, 1, 700] {
        let (mut s, io) = scene(53);
        s.clear(io);
        let mut taken = 0;
        while taken < 20 {
            match s.net.send_to(io, &vec![7; len], peer(7)) {
                Ok(()) => taken += 1,
                Err(error) => {
                    assert_eq!(error, WOULD_BLOCK);
                    assert_eq!(s.ready(io), Readiness::NONE, "{len} bytes, {taken} taken");
                    s.settle();
                    assert_eq!(s.ready(io), Readiness::WRITE, "{len} bytes, {taken} taken");
                    s.clear(io);
                }
            }
        }
        assert_eq!(sent(&mut s).len(), 20, "{len} bytes");
    }
}

/// An address that nobody has holds the others of its socket up for a while, and no longer; other
/// sockets not at all. Nothing spins meanwhile.
#[test]
fn an_address_that_nobody_has_is_given_up() {
    for stuck in [&b"to nobody"[..], b""] {
        let (mut s, io) = scene(53);
        let other = s.net.bind(own(54)).expect("a socket");
        s.world.answer_arp(false);
        let nobody = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 77), 7));
        assert_eq!(s.net.send_to(io, stuck, nobody), Ok(()));
        assert_eq!(s.net.send_to(io, b"behind", peer(7)), Ok(()));
        assert_eq!(s.net.send_to(io, b"behind", peer(7)), Ok(()));
        assert_eq!(s.net.send_to(io, b"full", peer(7)), Err(WOULD_BLOCK));
        s.clear(io);
        assert_eq!(s.net.send_to(other, b"beside", peer(7)), Ok(()));
        assert_eq!(sent(&mut s), [b"beside"]);
        let waits = s.waits(UNREACHABLE.as_micros() / 1_000 - 100);
        assert!(waits.len() < 12, "{waits:?}");
        assert_eq!(s.ready(io), Readiness::NONE);
        s.sleep(200);
        assert_eq!(s.ready(io), Readiness::WRITE);
        assert!(sent(&mut s).is_empty(), "what waited is gone with it");
        assert_eq!(s.net.send_to(io, b"goes on", peer(7)), Ok(()));
        // smoltcp asks for a station once a second, whose it is.
        s.sleep(1_100);
        assert_eq!(sent(&mut s), [b"goes on"]);
        // And nothing is left to look after.
        assert!(s.waits(60_000).len() <= 2);
    }
}

/// Nor does it take a sender that was refused, or a frame from outside, for that to be noticed.
#[test]
fn an_address_that_nobody_has_is_given_up_although_nothing_else_happens() {
    for stuck in [&b"to nobody"[..], b""] {
        let (mut s, io) = scene(53);
        s.world.answer_arp(false);
        let nobody = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 77), 7));
        assert_eq!(s.net.send_to(io, stuck, nobody), Ok(()));
        assert_eq!(s.net.send_to(io, b"behind", peer(7)), Ok(()));
        let fetched = s.world.counts().fetched;
        s.sleep(UNREACHABLE.as_micros() / 1_000 + 100);
        assert!(sent(&mut s).is_empty(), "what waited is gone with it");
        assert_eq!(s.net.send_to(io, b"goes on", peer(7)), Ok(()));
        // smoltcp asks for a station once a second, whose it is.
        s.sleep(1_100);
        assert_eq!(s.world.counts().fetched, fetched, "nothing has come in");
        assert_eq!(sent(&mut s), [b"goes on"]);
        // From here on the socket is one like any other.
        for _ in 0..5 {
            s.world.send(&to_net(7, 53, b"question"));
            s.settle();
            assert_eq!(received(&mut s, io).as_deref(), Ok(&b"question"[..]));
            assert_eq!(s.net.send_to(io, b"answer", peer(7)), Ok(()));
            assert_eq!(sent(&mut s), [b"answer"]);
        }
        assert!(s.waits(60_000).len() <= 2);
    }
}

/// The time that a datagram may wait begins with itself, not with an earlier one that has left.
#[test]
fn a_quiet_socket_gives_each_datagram_its_time() {
    for quiet_ms in [0, 100, 2_900, 3_500, 50_000] {
        let (mut s, io) = scene(53);
        s.world.send(&to_net(7, 53, b"unread"));
        s.settle();
        assert_eq!(s.net.send_to(io, b"at once", peer(7)), Ok(()));
        assert_eq!(sent(&mut s), [b"at once"]);
        let fetched = s.world.counts().fetched;
        s.sleep(quiet_ms);
        assert_eq!(s.world.counts().fetched, fetched, "nothing has come in");
        // Its station has to be asked for, and answers.
        let near = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 9), 7));
        assert_eq!(s.net.send_to(io, b"later", near), Ok(()));
        s.sleep(2_000);
        assert_eq!(sent(&mut s), [b"later"], "after {quiet_ms} ms");
        assert_eq!(received(&mut s, io).as_deref(), Ok(&b"unread"[..]), "after {quiet_ms} ms");
        assert_eq!(received(&mut s, io), Err(WOULD_BLOCK));
    }
}

/// Nor with one that an interface without room kept back for a moment.
#[test]
fn what_was_kept_back_and_left_does_not_count_against_the_next() {
    let (mut s, io) = scene(53);
    s.world.set_faults(|faults| faults.busy_permille = 1_000);
    assert_eq!(s.net.send_to(io, b"kept back", peer(7)), Ok(()));
    s.poll();
    assert_eq!(s.world.sent_len(), 0);
    s.world.set_faults(|faults| faults.busy_permille = 0);
    s.sleep(UNREACHABLE.as_micros() / 1_000 - 100);
    assert_eq!(sent(&mut s), [b"kept back"]);
    // Its station answers after half a second.
    s.world.answer_arp(false);
    let near = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 9), 7));
    assert_eq!(s.net.send_to(io, b"in its own time", near), Ok(()));
    s.settle();
    let question = s.world.sent().and_then(|frame| Arp::parse(&frame)).expect("a question");
    s.sleep(500);
    s.world.send(&question.answer().frame());
    assert_eq!(sent(&mut s), [b"in its own time"]);
}

/// The first one waits for its station to be found.
#[test]
fn a_datagram_waits_for_its_stations_address() {
    let (mut s, io) = scene(53);
    let near = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 9), 7));
    let distant = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 9), 7));
    for to in [near, distant] {
        assert_eq!(s.net.send_to(io, b"first", to), Ok(()));
        s.sleep(2_000);
        assert_eq!(sent(&mut s), [b"first"], "{to}");
    }
}

#[test]
fn what_was_handed_over_is_sent_although_the_socket_is_closed() {
    let (mut s, io) = scene(53);
    assert_eq!(s.net.send_to(io, b"one", peer(7)), Ok(()));
    assert_eq!(s.net.send_to(io, b"two", peer(7)), Ok(()));
    s.net.close(io);
    assert_eq!(sent(&mut s), [b"one", b"two"]);
    assert_eq!(s.net.local(io), None, "and then it is free");
    // A port that is wanted again at once does not wait for that.
    let io = s.net.bind(own(53)).expect("a socket");
    assert_eq!(s.net.send_to(io, b"lost", peer(7)), Ok(()));
    s.net.close(io);
    let again = s.net.bind(own(53)).expect("the same port");
    assert_eq!(s.net.send_to(again, b"new", peer(7)), Ok(()));
    assert_eq!(sent(&mut s), [b"new"]);
    // Nor for an address that nobody has.
    s.world.answer_arp(false);
    let nobody = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 77), 7));
    assert_eq!(s.net.send_to(again, b"x", nobody), Ok(()));
    s.net.close(again);
    s.sleep(5_000);
    assert_eq!(s.net.local(again), None);
    s.assert_all_back(4);
}

/// Frames for nobody are answered where the answer has room, and never kept.
#[test]
fn datagrams_for_nobody_are_refused_or_dropped() {
    let (mut s, io) = scene(53);
    for (len, is_answered) in [(8, true), (700, true), (800, false), (1_472, false)] {
        s.world.send(&to_net(7, 99, &vec![1; len]));
        s.settle();
        let answer = s.world.sent();
        assert_eq!(answer.is_some(), is_answered, "{len} bytes");
        let is_icmp =
            |frame: &Vec<u8>| frame[12..14] == IPV4.to_be_bytes() && frame[14 + 9] == ICMP;
        assert!(answer.as_ref().is_none_or(is_icmp));
    }
    // The longest there is for somebody.
    s.world.send(&to_net(7, 53, &[1; 1_472]));
    s.settle();
    assert_eq!(received(&mut s, io), Ok(vec![1; 1_472]));
    // A piece of one is none, whichever; nor is one whose sum is wrong, or whose length lies.
    for (at, value) in [(14 + 6, 0x20), (14 + 7, 1), (14 + 20 + 6, 1), (14 + 20 + 5, 99)] {
        let mut frame = to_net(7, 53, b"\0\0\0\0wrong");
        frame[at] ^= value;
        if at < 34 {
            let packet = &mut frame[14..34];
            packet[10..12].fill(0);
            let sum = checksum(&[packet]);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        s.world.send(&frame);
        s.settle();
        assert_eq!(received(&mut s, io), Err(WOULD_BLOCK), "byte {at}");
    }
    quiet!(s);
}

/// However the listener is beset, who opens connections and who sends datagrams has sockets, and
/// the other way round.
#[test]
fn each_kind_of_socket_has_its_own_share() {
    let (mut s, io) = scene(53);
    // Every listening socket is taken, and more want one than can be held.
    for port in 40_000..40_040 {
        send!(s, SYN port);
        s.settle();
    }
    while s.world.sent().is_some() {}
    assert_eq!(s.net.free(), 0);
    assert!(s.net.held() > 0);
    let out = s.net.connect(peer(7), None).expect("an outgoing socket");
    s.register(out);
    s.settle();
    let syn = s.next_segment(100).expect("a SYN");
    assert_eq!((syn.flags, syn.to), (SYN, (PEER_IP, 7)));
    s.world.send(&to_net(9, 53, b"?"));
    s.settle();
    assert_eq!(received(&mut s, io).as_deref(), Ok(&b"?"[..]));
    assert_eq!(s.net.send_to(io, b"!", peer(9)), Ok(()));
    s.settle();
    let frames: Vec<_> = std::iter::from_fn(|| s.world.sent()).collect();
    assert_eq!(frames.iter().filter_map(|frame| Sent::parse(frame)).count(), 1);

    // The other way: all of the latter are taken, and a connection is accepted.
    let (mut s, io) = scene(53);
    s.net.bind(own(54)).expect("the second of two");
    let kind = |result: Result<Io, Error>| result.map_err(|error| error.kind);
    for port in [7, 8] {
        s.net.connect(peer(port), None).expect("one of two");
    }
    assert_eq!(kind(s.net.connect(peer(9), None)), Err(ErrorKind::OutOfMemory));
    assert_eq!(kind(s.net.bind(own(55))), Err(ErrorKind::OutOfMemory));
    for number in 0..5 {
        s.world.send(&to_net(7, 53, &[number]));
    }
    s.settle();
    while s.world.sent().is_some() {}
    assert_eq!(s.net.free(), 4);
    send!(s, SYN 40_000);
    recv!(s, SYN|ACK 40_000);
    send!(s, ACK 40_000);
    s.accept();
    assert!(s.ready(io).intersects(Readiness::READ));
}

#[test]
fn sockets_for_datagrams_need_their_bytes() {
    let more = Capacity { udp: Udp { sockets: 1, datagrams: 4, bytes: 512 }, ..SMALL };
    assert!(more.bytes() >= SMALL.bytes() + 2 * 512);
    let none = Capacity { udp: Udp { sockets: 0, ..more.udp }, ..SMALL };
    assert_eq!(none.bytes(), SMALL.bytes());
    // To make one takes exactly that: a word less, and it panics.
    Scene::with(more, STATIC);
}

/// A peer that sends back every datagram, and answers for every address.
struct Echo(Vec<Vec<u8>>);

impl Far for Echo {
    fn frame(&mut self, _: u64, frame: &[u8]) {
        if frame.len() >= 42 && frame[12..14] == ARP.to_be_bytes() {
            let question = Arp::parse(frame).filter(|arp| arp.operation == 1);
            self.0.extend(question.map(|arp| arp.answer().frame()));
        } else if frame.len() >= 42 && frame[12..14] == IPV4.to_be_bytes() && frame[23] == UDP {
            // As it came, with the two ends exchanged: both sums stay what they were.
            let mut packet = frame[14..].to_vec();
            for (one, other, len) in [(12, 16, 4), (20, 22, 2)] {
                let (left, right) = packet.split_at_mut(other);
                left[one..one + len].swap_with_slice(&mut right[..len]);
            }
            self.0.push(ethernet(NET_MAC, PEER_MAC, IPV4, &packet));
        }
    }

    fn turn(&mut self, _: u64, send: &mut Vec<Vec<u8>>) {
        send.append(&mut self.0);
    }

    fn next_at(&mut self, _: u64) -> Option<u64> {
        None
    }
}

/// Asks until it is answered, by bits alone; how many questions that took, and the story's hash.
fn run(seed: u64, faults: Faults) -> (u32, u64) {
    let world = World::new(seed, faults);
    world.set_far(Echo(Vec::new()));
    let mut s = Scene::on(world, CAPACITY, STATIC);
    let io = s.net.bind(own(53)).expect("a socket");
    s.register(io);
    let (mut ready, mut asked) = (Readiness::NONE, 0);
    for question in 0..20_u8 {
        let data = vec![question; 1 + usize::from(question) * 70];
        'asking: loop {
            asked += 1;
            assert!(asked < 1_000, "seed {seed}");
            let until = s.world.now() + Duration::from_millis(400);
            let mut is_sent = false;
            while s.world.now() < until {
                if !is_sent && ready.intersects(Readiness::WRITE) {
                    match s.net.send_to(io, &data, peer(7)) {
                        Ok(()) => is_sent = true,
                        Err(error) => {
                            assert_eq!(error, WOULD_BLOCK);
                            ready = ready.without(Readiness::WRITE);
                        }
                    }
                }
                while ready.intersects(Readiness::READ) {
                    match received(&mut s, io) {
                        Ok(answer) if answer == data => break 'asking,
                        // Late, or twice; whole and unharmed it is, or it has not come.
                        Ok(answer) => assert!(
                            answer
                                .iter()
                                .all(|byte| *byte < question || answer.len() == data.len())
                        ),
                        Err(_) => ready = ready.without(Readiness::READ),
                    }
                }
                s.poll_for(Some(until - s.world.now()));
                ready |= s.ready(io);
                s.clear(io);
            }
        }
    }
    s.net.close(io);
    s.sleep(10_000);
    assert_eq!(s.net.local(io), None);
    (asked, s.world.hash())
}

#[test]
fn on_a_calm_wire_every_question_is_answered_at_once() {
    for seed in 0..10 {
        assert_eq!(run(seed, Faults { delay_us: (300, 300), ..Faults::NONE }).0, 20);
    }
}

#[test]
fn on_a_bad_wire_every_question_is_answered_in_the_end() {
    for seed in 0..seeds(60) {
        let faults = if seed % 4 == 0 { Faults::HARSH } else { Faults::seeded(seed) };
        let story = run(seed, faults.clone());
        if seed % 10 == 0 {
            assert_eq!(run(seed, faults), story, "seed {seed}");
        }
    }
}

#[test]
fn datagrams_allocate_nothing() {
    let (mut s, io) = scene(53);
    let question = to_net(7, 53, b"question");
    let mut buf = [0; 64];
    let allocated = allocation_counter::measure(|| {
        for _ in 0..50 {
            allocation_counter::opt_out(|| s.world.send(&question));
            allocation_counter::opt_out(|| s.settle());
            let (len, from) = s.net.recv_from(io, &mut buf).expect("a datagram");
            s.net.send_to(io, &buf[..len], from).expect("room for it");
            allocation_counter::opt_out(|| s.settle());
        }
    });
    assert_eq!(allocated.count_total, 0);
}
