//! Frames that mean nothing here, or mean harm: each is survived, and the next good one is served.

use std::net::Ipv4Addr;

use dustdevil_core::poller::Transport;
use dustdevil_core::time::Duration;
use dustdevil_smoltcp::Capacity;

use crate::frame::{
    ACK, ARP, Arp, BROADCAST_MAC, ICMP, IPV4, NET_IP, NET_MAC, PEER_IP, PEER_MAC, RST, SYN,
    Segment, TCP, checksum, ethernet, ipv4, parse_ipv4, ping, to_net, udp,
};
use crate::scene::{PORT, SMALL, STATIC, Scene};

fn syn(from: Ipv4Addr, port: u16) -> Segment {
    Segment {
        from: (from, port),
        to: (NET_IP, PORT),
        flags: SYN,
        seq: 77_000,
        ack: 0,
        window: 1_000,
        mss: Some(1460),
        data: Vec::new(),
    }
}

/// Feeds the frames, then shows that nothing is lost and somebody new is served.
fn survive(frames: impl IntoIterator<Item = Vec<u8>>) -> Scene {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    for frame in frames {
        s.world.send(&frame);
        s.settle();
        s.world.take_waits();
    }
    while s.world.sent().is_some() {}
    send!(s, ACK 40_000, b"still there?");
    recv!(s, ACK 40_000);
    assert_eq!(s.read(io, 100).as_deref(), Ok(&b"still there?"[..]));
    s.net.abort(io);
    recv!(s, RST|ACK 40_000);
    s.assert_all_back(4);
    s
}

/// Feeds the frames, none of which may be answered.
fn ignore(frames: impl IntoIterator<Item = Vec<u8>>) {
    let mut s = Scene::new();
    for frame in frames {
        s.world.send(&frame);
        s.quiet(20);
        assert_eq!((s.net.free(), s.net.held()), (4, 0));
    }
    s.connected(40_000);
}

#[test]
fn pings_of_every_length_are_survived() {
    let lengths = (0..64).chain([500, 700, 743, 744, 745, 760, 800, 1_000]).chain(1_440..=1_472);
    survive(lengths.map(|len| ping(PEER_IP, len)));
}

/// Whatever may be answered, at every length, for buffers of every size: what has no room for its
/// answer is dropped, and what has is answered in full.
#[test]
fn frames_of_every_length_are_survived_and_answered_where_there_is_room() {
    for bytes in [64, 512, 1_024, 1_460] {
        let capacity = Capacity { rx_bytes: bytes, tx_bytes: bytes, ..SMALL };
        let mut s = Scene::with(capacity, STATIC);
        let mut answers = [0; 4];
        for len in 0..=1_472 {
            let data = vec![7; len];
            let datagram = |from, to| {
                let packet = udp((PEER_IP, from), (NET_IP, to), &data);
                ethernet(NET_MAC, PEER_MAC, IPV4, &packet)
            };
            let frames = [
                to_net(PEER_IP, 99, &data), // a protocol that nobody knows
                datagram(4_000, 4_001),     // a port at which nobody listens
                datagram(67, 68),           // an address that nobody asked for
                ping(PEER_IP, len),
            ];
            for (frame, count) in frames.iter().zip(&mut answers) {
                s.world.send(frame);
                s.settle();
                // smoltcp limits no errors: each is answered, or none of its length is.
                while let Some(answer) = s.world.sent() {
                    assert!(answer.len() <= frame.len().max(590), "{len}");
                    *count += 1;
                }
            }
            s.world.take_waits();
        }
        // Pings are answered with the feature `ping` alone.
        let told = if cfg!(feature = "ping") { &answers[..] } else { &answers[..3] };
        assert!(told.iter().all(|count| *count > 20), "{bytes}: {answers:?}");
        s.connected(40_000);
    }
}

#[test]
fn an_answered_ping_is_answered_right() {
    let mut s = Scene::new();
    for len in [0, 1, 56, 300] {
        let frame = ping(PEER_IP, len);
        s.world.send(&frame);
        s.settle();
        let Some(answer) = s.world.sent() else { continue };
        let (mac, protocol, from, to, message) = parse_ipv4(&answer).expect("IPv4");
        assert_eq!((mac, protocol, from, to), (PEER_MAC, ICMP, NET_IP, PEER_IP));
        assert_eq!((message[0], checksum(&[message])), (0, 0));
        assert_eq!(message[4..], frame[14 + 20 + 4..]);
    }
}

#[test]
fn frames_longer_than_any_are_skipped_and_the_next_one_is_served() {
    let long = |len: usize| {
        let mut frame = ping(PEER_IP, 1_472);
        frame.resize(len, 0);
        frame
    };
    survive([1_514, 1_515, 1_518, 2_000, 9_000].map(long));
}

#[test]
fn fragments_are_survived() {
    let mut frames = Vec::new();
    for (flags, offset) in [(0x20, 0), (0x20, 1), (0x00, 1), (0x00, 200), (0x3f, 0xff)] {
        for payload in [syn(PEER_IP, 41_000).tcp(), vec![8; 600]] {
            let mut packet = ipv4(PEER_IP, NET_IP, TCP, &payload);
            (packet[6], packet[7]) = (flags, offset);
            repair_ip(&mut packet);
            frames.push(ethernet(NET_MAC, PEER_MAC, IPV4, &packet));
        }
    }
    let mut s = Scene::new();
    for frame in frames {
        s.world.send(&frame);
        s.settle();
    }
    while s.world.sent().is_some() {}
    s.sleep(1_000);
    s.connected(40_000);
}

/// Sets the checksum of an IPv4 header without options.
fn repair_ip(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let sum = checksum(&[&packet[..20]]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
}

#[test]
fn other_protocols_and_tags_are_ignored() {
    let inner = ipv4(PEER_IP, NET_IP, TCP, &syn(PEER_IP, 41_000).tcp());
    let mut tagged = vec![0x00, 0x05, 0x08, 0x00];
    tagged.extend(&inner);
    ignore([
        ethernet(NET_MAC, PEER_MAC, 0x8100, &tagged),
        ethernet(NET_MAC, PEER_MAC, 0x88a8, &tagged),
        ethernet(NET_MAC, PEER_MAC, 0x86dd, &[0x60; 60]),
        ethernet(NET_MAC, PEER_MAC, 0x88cc, &[0x02; 60]),
        ethernet(NET_MAC, PEER_MAC, 0x0026, &[0xaa; 60]),
        ethernet(
            [0x01, 0x00, 0x5e, 0, 0, 0xfb],
            PEER_MAC,
            IPV4,
            &udp((PEER_IP, 5353), (Ipv4Addr::new(224, 0, 0, 251), 5353), &[0; 40]),
        ),
        ethernet([0x01, 0x80, 0xc2, 0, 0, 0], PEER_MAC, 0x0027, &[0x42; 60]),
        ethernet(
            BROADCAST_MAC,
            PEER_MAC,
            IPV4,
            &udp((PEER_IP, 137), (Ipv4Addr::new(10, 0, 0, 255), 137), &[0; 50]),
        ),
        ethernet([2, 0, 0, 0, 0, 9], PEER_MAC, IPV4, &inner),
    ]);
}

/// SYNs to everybody, and to the stack's address in a frame for everybody.
#[test]
fn requests_for_everybody_are_not_answered() {
    let to = |ip: Ipv4Addr| Segment { to: (ip, PORT), ..syn(PEER_IP, 41_000) };
    let packet = |segment: &Segment| ipv4(segment.from.0, segment.to.0, TCP, &segment.tcp());
    ignore([
        ethernet(BROADCAST_MAC, PEER_MAC, IPV4, &packet(&to(Ipv4Addr::BROADCAST))),
        ethernet(BROADCAST_MAC, PEER_MAC, IPV4, &packet(&to(Ipv4Addr::new(10, 0, 0, 255)))),
        ethernet(NET_MAC, PEER_MAC, IPV4, &packet(&to(Ipv4Addr::new(224, 0, 0, 1)))),
    ]);
}

/// From addresses that nobody can have: a socket that believed them would be lost or would panic.
#[test]
fn requests_from_addresses_that_are_none_are_survived() {
    let from = ["0.0.0.0", "255.255.255.255", "10.0.0.255", "224.0.0.1", "127.0.0.1", "10.0.0.1"];
    let mut frames: Vec<_> =
        from.iter().map(|from| syn(from.parse().expect("an address"), 41_000).frame()).collect();
    // The station itself, by its own Ethernet address too ("land").
    frames.push(ethernet(
        NET_MAC,
        NET_MAC,
        IPV4,
        &ipv4(NET_IP, NET_IP, TCP, &{
            Segment { from: (NET_IP, PORT), ..syn(NET_IP, PORT) }.tcp()
        }),
    ));
    frames.push(syn(PEER_IP, 0).frame());
    let mut s = Scene::new();
    for frame in frames.iter().cycle().take(40) {
        s.world.send(frame);
        s.sleep(5);
    }
    s.sleep(200_000);
    while s.world.sent().is_some() {}
    s.assert_all_back(4);
    s.connected(40_000);
}

/// From another network, through the gateway, and without one.
#[test]
fn peers_of_other_networks_are_reached_through_the_gateway() {
    let far = Ipv4Addr::new(192, 0, 2, 33);
    let mut s = Scene::new();
    s.world.send(&syn(far, 41_000).frame());
    let answer = s.next_segment(100).expect("SYN|ACK");
    assert_eq!((answer.flags, answer.to), (SYN | ACK, (far, 41_000)));

    let addressing =
        dustdevil_smoltcp::Addressing::Static { address: NET_IP, prefix: 24, gateway: None };
    let mut s = Scene::with(SMALL, addressing);
    for port in 41_000..41_010 {
        s.world.send(&syn(far, port).frame());
    }
    s.sleep(200_000);
    while s.world.sent().is_some() {}
    s.assert_all_back(4);
    s.connected(40_000);
}

#[test]
fn runts_and_lengths_that_lie_are_survived() {
    let good = syn(PEER_IP, 41_000).frame();
    let mut frames: Vec<Vec<u8>> = (0..good.len()).map(|len| good[..len].to_vec()).collect();
    let data = Segment { data: vec![b'x'; 40], flags: ACK, ..syn(PEER_IP, 41_000) }.frame();
    frames.extend((0..data.len()).map(|len| data[..len].to_vec()));
    let arp = Arp::who_has_net(PEER_IP).frame();
    frames.extend((0..arp.len()).map(|len| arp[..len].to_vec()));
    // The total length of IPv4, its header's length, TCP's header's length: every value.
    for value in 0..=255 {
        for (at, byte) in [(14 + 3, value), (14 + 2, value), (14, value), (14 + 20 + 12, value)] {
            for repaired in [false, true] {
                let mut frame = data.clone();
                frame[at] = byte;
                if repaired {
                    repair_ip(&mut frame[14..]);
                }
                frames.push(frame);
            }
        }
    }
    survive(frames);
}

#[test]
fn options_of_every_kind_and_length_are_survived() {
    let mut frames = Vec::new();
    for kind in 0..=255_u8 {
        for len in [0, 1, 2, 3, 4, 8, 10, 40, 255] {
            let mut options = [1; 40];
            (options[0], options[1]) = (kind, len);
            frames.push(with_options(&options));
            // In the last two bytes: beyond the header's end.
            let mut options = [1; 40];
            (options[38], options[39]) = (kind, len);
            frames.push(with_options(&options));
        }
    }
    let mut s = Scene::new();
    for (at, frame) in frames.into_iter().enumerate() {
        s.world.send(&frame);
        s.settle();
        while s.world.sent().is_some() {}
        if at % 50 == 0 {
            s.sleep(60_000);
            while s.world.sent().is_some() {}
        }
    }
    s.sleep(200_000);
    while s.world.sent().is_some() {}
    s.assert_all_back(4);
    s.connected(40_000);
}

/// A SYN with these options.
fn with_options(options: &[u8; 40]) -> Vec<u8> {
    let segment = Segment { mss: None, ..syn(PEER_IP, 41_000) };
    let mut tcp = segment.tcp();
    tcp[12] = 15 << 4;
    tcp.extend(options);
    tcp[16..18].fill(0);
    let mut pseudo = Vec::new();
    pseudo.extend(PEER_IP.octets());
    pseudo.extend(NET_IP.octets());
    pseudo.extend([0, TCP, 0, tcp.len() as u8]);
    let sum = checksum(&[&pseudo, &tcp]);
    tcp[16..18].copy_from_slice(&sum.to_be_bytes());
    to_net(PEER_IP, TCP, &tcp)
}

#[test]
fn wrong_checksums_are_ignored() {
    let good = Segment { data: b"data".to_vec(), ..syn(PEER_IP, 41_000) }.frame();
    ignore([14 + 10, 14 + 11, 14 + 20 + 16, 14 + 20 + 17, good.len() - 1].map(|at| {
        let mut frame = good.clone();
        frame[at] ^= 0x04;
        frame
    }));
}

#[test]
fn every_combination_of_flags_is_survived() {
    let mut s = Scene::new();
    for flags in 0..=255_u8 {
        let io = s.connected(40_000);
        // To the listener, to the connection, beside its window, and with data.
        for (port, seq) in [(41_000, 5), (40_000, 0), (40_000, 1), (40_000, 0x8000_0000)] {
            for data in [&b""[..], b"x"] {
                let seq = s.flows[&40_000].seq.wrapping_add(seq);
                let ack = s.flows[&40_000].ack;
                let data = data.to_vec();
                let segment = Segment { flags, seq, ack, data, ..syn(PEER_IP, port) };
                s.world.send(&segment.frame());
                s.settle();
            }
        }
        s.net.abort(io);
        s.settle();
        s.sleep(30_000);
        while s.world.sent().is_some() {}
        s.assert_all_back(4);
    }
}

/// More neighbours than the cache holds, and lies about those in it: connections go on.
#[test]
fn a_flood_of_arp_does_not_cut_connections_off() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    for round in 0..3_000_u32 {
        let from = Ipv4Addr::new(10, 0, 0, (3 + round % 250) as u8);
        let mac = [2, 9, 9, 9, (round >> 8) as u8, round as u8];
        let arp =
            Arp { operation: 1 + (round % 2) as u16, from: (mac, from), ..Arp::who_has_net(from) };
        s.world.send(&arp.frame());
        if round % 16 == 0 {
            s.settle();
            while s.world.sent().is_some() {}
        }
    }
    s.settle();
    while s.world.sent().is_some() {}
    for _ in 0..5 {
        s.write(io, b"still here");
        // It may have to ask who the peer is first.
        s.sleep(1_500);
        let segment = s.next_segment(0).expect("data");
        assert_eq!(segment.data, b"still here");
        s.flows.get_mut(&40_000).expect("it was opened").ack += 10;
        while s.world.sent().is_some() {}
        send!(s, ACK 40_000);
        s.settle();
    }
}

/// Stations of the same network, more than are remembered: each is asked for again, and served.
#[test]
fn more_stations_than_the_cache_holds_are_served() {
    let mut s = Scene::new();
    let began = s.world.now();
    for number in 0..40_u8 {
        let from = Ipv4Addr::new(10, 0, 0, 10 + number);
        s.world.send(&syn(from, 41_000).frame());
        let answer = s.next_segment(2_000).expect("SYN|ACK");
        assert_eq!((answer.flags, answer.to), (SYN | ACK, (from, 41_000)));
        let reset = Segment { flags: RST, seq: 77_001, mss: None, ..syn(from, 41_000) };
        s.world.send(&reset.frame());
        s.settle();
    }
    assert!(s.world.now() - began <= Duration::from_secs(40));
    s.assert_all_back(4);
}

#[test]
fn odd_arp_is_survived() {
    let good = Arp::who_has_net(PEER_IP);
    let mut frames = Vec::new();
    for operation in [0, 3, 8, 9, 0xffff] {
        frames.push(Arp { operation, ..good }.frame());
    }
    for mac in [[0; 6], BROADCAST_MAC, [1, 0, 0x5e, 0, 0, 1], NET_MAC] {
        for ip in ["0.0.0.0", "255.255.255.255", "10.0.0.1", "224.0.0.1", "10.0.0.255", "10.0.0.3"]
        {
            for operation in [1, 2] {
                let from = (mac, ip.parse().expect("an address"));
                frames.push(Arp { operation, from, ..good }.frame());
            }
        }
    }
    let packet = good.frame()[14..].to_vec();
    for at in 0..8 {
        let mut odd = packet.clone();
        odd[at] ^= 0xff;
        frames.push(ethernet(BROADCAST_MAC, PEER_MAC, ARP, &odd));
    }
    survive(frames);
}

#[test]
fn datagrams_and_unknown_protocols_are_survived() {
    let mut frames = Vec::new();
    for len in [0, 1, 100, 600, 700, 1_000, 1_472] {
        let packet = udp((PEER_IP, 5_000), (NET_IP, 5_001), &vec![0; len]);
        frames.push(ethernet(NET_MAC, PEER_MAC, IPV4, &packet));
    }
    for protocol in 0..=255 {
        for len in [0, 7, 300, 800, 1_480] {
            frames.push(to_net(PEER_IP, protocol, &vec![0; len]));
        }
    }
    survive(frames);
}

/// ICMP errors about a connection, true or not, end nothing.
#[test]
fn icmp_errors_end_no_connection() {
    let mut s = Scene::new();
    let io = s.connected(40_000);
    let inner = {
        let segment = Segment { from: (NET_IP, PORT), to: (PEER_IP, 40_000), ..syn(PEER_IP, 1) };
        ipv4(NET_IP, PEER_IP, TCP, &segment.tcp())
    };
    for kind in [3, 4, 5, 11, 12] {
        for code in 0..16 {
            let mut message = vec![kind, code, 0, 0, 0, 0, 0, 0];
            message.extend(&inner);
            let sum = checksum(&[&message]);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
            s.world.send(&to_net(PEER_IP, ICMP, &message));
        }
    }
    s.settle();
    while s.world.sent().is_some() {}
    s.write(io, b"still here");
    recv!(s, ACK 40_000, b"still here");
}
