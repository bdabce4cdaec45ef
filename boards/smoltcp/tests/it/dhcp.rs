//! The own address, lent by a DHCP server that is made by hand (RFC 2131, options of RFC 2132).

use std::net::{Ipv4Addr, SocketAddr};

use dustdevil_core::poller::Transport;
use dustdevil_smoltcp::Addressing;

use crate::frame::{
    Arp, BROADCAST_MAC, IPV4, NET_IP, NET_MAC, PEER_MAC, UDP, ethernet, parse_ipv4, udp,
};
use crate::scene::{PORT, SMALL, Scene};

const SERVER_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);
const NO_IP: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const COOKIE: [u8; 4] = [99, 130, 83, 99];

const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;
const NAK: u8 = 6;

/// Options: 50 the address that is asked for, 53 the kind of message, 54 the server.
const REQUESTED: u8 = 50;
const KIND: u8 = 53;
const SERVER: u8 = 54;

/// What the client said.
#[derive(Debug)]
struct Asked {
    kind: u8,
    transaction: [u8; 4],
    /// The address that it says it has.
    has: Ipv4Addr,
    wants: Option<Ipv4Addr>,
    to: Ipv4Addr,
}

fn parse(frame: &[u8]) -> Option<Asked> {
    let (_, protocol, from, to, datagram) = parse_ipv4(frame)?;
    if protocol != UDP {
        return None;
    }
    assert_eq!(datagram[..4], [0, 68, 0, 67], "from the client's port to the server's");
    let message = &datagram[8..];
    assert_eq!(message[..4], [1, 1, 6, 0], "a request, over Ethernet");
    assert_eq!(message[28..34], NET_MAC);
    assert_eq!(message[236..240], COOKIE);
    let address = |bytes: &[u8]| Ipv4Addr::from(<[u8; 4]>::try_from(bytes).expect("four bytes"));
    let has = address(&message[12..16]);
    assert_eq!(from, has);
    let option = |wanted: u8| {
        let mut options = &message[240..];
        while let [code, len, rest @ ..] = options {
            let (value, after) = rest.split_at(usize::from(*len));
            match *code {
                255 => return None,
                code if code == wanted => return Some(value),
                _ => options = after,
            }
        }
        None
    };
    Some(Asked {
        kind: option(KIND).expect("the kind of message")[0],
        transaction: message[4..8].try_into().expect("four bytes"),
        has,
        wants: option(REQUESTED).map(address),
        to,
    })
}

/// What the client sends within `ms` milliseconds.
#[track_caller]
fn asked(s: &mut Scene, kind: u8, ms: u64) -> Asked {
    for _ in 0..=ms / 100 {
        while let Some(frame) = s.world.sent() {
            if let Some(asked) = parse(&frame) {
                assert_eq!(asked.kind, kind, "{asked:?}");
                return asked;
            }
        }
        s.sleep(100);
    }
    panic!("no message of kind {kind}");
}

/// Answers with this kind of message: `ip` for `lease_s` seconds.
fn answer(s: &mut Scene, asked: &Asked, kind: u8, ip: Ipv4Addr, lease_s: u32) {
    let mut message = vec![2, 1, 6, 0];
    message.extend(asked.transaction);
    message.extend([0; 8]);
    message.extend(if kind == NAK { NO_IP.octets() } else { ip.octets() });
    message.extend(SERVER_IP.octets());
    message.extend([0; 4]);
    message.extend(NET_MAC);
    message.extend([0; 10 + 64 + 128]);
    message.extend(COOKIE);
    message.extend([KIND, 1, kind, SERVER, 4]);
    message.extend(SERVER_IP.octets());
    if kind != NAK {
        message.extend([51, 4]);
        message.extend(lease_s.to_be_bytes());
        message.extend([1, 4, 255, 255, 255, 0, 3, 4]);
        message.extend(SERVER_IP.octets());
    }
    message.push(255);
    let packet = udp((SERVER_IP, 67), (Ipv4Addr::BROADCAST, 68), &message);
    s.world.send(&ethernet(BROADCAST_MAC, PEER_MAC, IPV4, &packet));
    s.settle();
}

/// A stack without an address, that listens.
fn scene() -> Scene {
    let mut s = Scene::bare(SMALL, Addressing::Dhcp);
    let listener = s.net.listen(SocketAddr::from((NO_IP, PORT)), 8).expect("any address");
    s.register(listener);
    s.listener = Some(listener);
    s.settle();
    s
}

/// The four messages of a lease.
fn lend(s: &mut Scene, ip: Ipv4Addr, lease_s: u32) {
    let discover = asked(s, DISCOVER, 15_000);
    assert_eq!((discover.has, discover.to), (NO_IP, Ipv4Addr::BROADCAST));
    answer(s, &discover, OFFER, ip, lease_s);
    let request = asked(s, REQUEST, 15_000);
    assert_eq!((request.has, request.wants, request.to), (NO_IP, Some(ip), Ipv4Addr::BROADCAST));
    assert_eq!(s.net.address(), None, "it is not lent yet");
    answer(s, &request, ACK, ip, lease_s);
    assert_eq!(s.net.address(), Some(ip));
}

/// The stack knows the peer's station from here on.
fn meet(s: &mut Scene) {
    s.world.send(&Arp::who_has_net(crate::frame::PEER_IP).frame());
    s.settle();
    while s.world.sent().is_some() {}
}

#[test]
fn an_address_is_lent_and_served_at() {
    let mut s = scene();
    assert_eq!(s.net.address(), None);
    lend(&mut s, NET_IP, 3_600);
    meet(&mut s);
    let io = s.connected(40_000);
    assert_eq!(s.net.local(io), Some(SocketAddr::from((NET_IP, PORT))));
    assert_eq!(s.net.local(s.listener()), Some(SocketAddr::from((NET_IP, PORT))));
}

#[test]
fn nothing_is_answered_before_there_is_an_address() {
    let mut s = scene();
    asked(&mut s, DISCOVER, 15_000);
    send!(s, SYN 40_000);
    s.world.send(&Arp::who_has_net(crate::frame::PEER_IP).frame());
    s.settle();
    assert_eq!((s.world.sent(), s.net.held(), s.net.free()), (None, 0, 4));
}

#[test]
fn a_server_that_is_silent_is_asked_again_and_not_too_often() {
    let mut s = scene();
    for _ in 0..5 {
        asked(&mut s, DISCOVER, 65_000);
    }
    let waits = s.waits(600_000);
    assert!((8..200).contains(&waits.len()), "{} waits in 10 minutes", waits.len());
    while s.world.sent().is_some() {}
    lend(&mut s, NET_IP, 3_600);
}

#[test]
fn an_offer_whose_request_is_not_answered_begins_anew() {
    let mut s = scene();
    let discover = asked(&mut s, DISCOVER, 15_000);
    answer(&mut s, &discover, OFFER, NET_IP, 3_600);
    let mut requests = 0;
    for _ in 0..3_000 {
        s.sleep(100);
        let Some(frame) = s.world.sent() else { continue };
        match parse(&frame).expect("DHCP").kind {
            REQUEST => requests += 1,
            DISCOVER => break,
            kind => panic!("kind {kind}"),
        }
    }
    assert!((2..10).contains(&requests), "{requests} requests");
    lend(&mut s, NET_IP, 3_600);
}

#[test]
fn a_refusal_begins_anew() {
    let mut s = scene();
    let discover = asked(&mut s, DISCOVER, 15_000);
    answer(&mut s, &discover, OFFER, NET_IP, 3_600);
    let request = asked(&mut s, REQUEST, 15_000);
    answer(&mut s, &request, NAK, NET_IP, 0);
    assert_eq!(s.net.address(), None);
    lend(&mut s, NET_IP, 3_600);
}

/// Renewed at half its time, by the server that lent it; connections do not notice.
#[test]
fn a_lease_is_renewed_under_connections() {
    let mut s = scene();
    lend(&mut s, NET_IP, 600);
    meet(&mut s);
    let io = s.connected(40_000);
    for _ in 0..4 {
        s.sleep(290_000);
        while let Some(frame) = s.world.sent() {
            assert!(parse(&frame).is_none(), "too early");
        }
        let renew = asked(&mut s, REQUEST, 20_000);
        assert_eq!((renew.has, renew.to), (NET_IP, SERVER_IP));
        answer(&mut s, &renew, ACK, NET_IP, 600);
        assert_eq!(s.net.address(), Some(NET_IP));
        send!(s, ACK 40_000, b"still here?");
        recv!(s, ACK 40_000);
        assert_eq!(s.read(io, 100).as_deref(), Ok(&b"still here?"[..]));
    }
}

/// A lease that nobody renews ends when it ends, though no frame comes, and not before.
#[test]
fn a_lease_that_is_not_renewed_ends() {
    let mut s = scene();
    lend(&mut s, NET_IP, 600);
    s.sleep(590_000);
    assert_eq!(s.net.address(), Some(NET_IP));
    while let Some(frame) = s.world.sent() {
        if let Some(asked) = parse(&frame) {
            assert_eq!((asked.kind, asked.has), (REQUEST, NET_IP), "it tries to renew");
        }
    }
    s.sleep(20_000);
    assert_eq!(s.net.address(), None, "it has ended");
    send!(s, SYN 40_000);
    s.settle();
    while let Some(frame) = s.world.sent() {
        assert!(parse(&frame).is_some(), "nothing but the search for a server");
    }
    // And another address is lent; the listener serves there.
    let discover = asked(&mut s, DISCOVER, 65_000);
    answer(&mut s, &discover, OFFER, NET_IP, 600);
    let request = asked(&mut s, REQUEST, 15_000);
    answer(&mut s, &request, ACK, NET_IP, 600);
    meet(&mut s);
    s.connected(41_000);
    s.sleep(200);
    assert_eq!(s.net.free(), 3);
}

/// The poller wakes for the lease's times and for nothing else.
#[test]
fn a_lease_costs_no_wake_ups() {
    let mut s = scene();
    lend(&mut s, NET_IP, 86_400);
    meet(&mut s);
    let waits = s.waits(3_600_000);
    assert_eq!(waits.len(), 1, "{waits:?}");
}

/// Messages for others, of others and damaged ones change nothing.
#[test]
fn what_is_not_for_this_client_is_ignored() {
    let mut s = scene();
    let discover = asked(&mut s, DISCOVER, 15_000);
    let others = Asked { transaction: [1, 2, 3, 4], ..discover };
    answer(&mut s, &others, OFFER, NET_IP, 3_600);
    answer(&mut s, &others, ACK, NET_IP, 3_600);
    let mut rng = dustdevil_core::sim::Rng::new(1);
    for len in 0..400_usize {
        let data: Vec<u8> = (0..len).map(|_| rng.next() as u8).collect();
        let packet = udp((SERVER_IP, 67), (Ipv4Addr::BROADCAST, 68), &data);
        s.world.send(&ethernet(BROADCAST_MAC, PEER_MAC, IPV4, &packet));
        s.settle();
    }
    assert_eq!(s.net.address(), None);
    while let Some(frame) = s.world.sent() {
        assert!(parse(&frame).is_some(), "nothing but the search for a server");
    }
    let discover = asked(&mut s, DISCOVER, 65_000);
    answer(&mut s, &discover, OFFER, NET_IP, 3_600);
}
