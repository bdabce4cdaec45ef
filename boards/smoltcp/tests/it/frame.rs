//! Frames made and read by hand, so that nothing here shares a mistake with the stack under test.

use std::fmt;
use std::net::Ipv4Addr;

/// An Ethernet address.
pub(crate) type Mac = [u8; 6];

/// The stack under test.
pub(crate) const NET_MAC: Mac = [2, 0, 0, 0, 0, 1];
pub(crate) const NET_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// Everybody else: one station that answers for every address.
pub(crate) const PEER_MAC: Mac = [2, 0, 0, 0, 0, 2];
pub(crate) const PEER_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub(crate) const GATEWAY_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);
pub(crate) const BROADCAST_MAC: Mac = [0xff; 6];

/// Ethertypes (IEEE 802 numbers).
pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const ARP: u16 = 0x0806;

/// Protocol numbers of IPv4 (IANA).
pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;

/// The Internet checksum (RFC 1071) of these pieces, one after the other; each but the last has an
/// even length.
pub(crate) fn checksum(pieces: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for piece in pieces {
        for pair in piece.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

pub(crate) fn ethernet(to: Mac, from: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(14 + payload.len());
    frame.extend(to);
    frame.extend(from);
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

/// An IPv4 packet (RFC 791) without options, not to be fragmented.
pub(crate) fn ipv4(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend((20 + payload.len() as u16).to_be_bytes());
    packet.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    let sum = checksum(&[&packet]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(payload);
    packet
}

/// From a peer to the stack under test, as a frame.
pub(crate) fn to_net(from: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(NET_MAC, PEER_MAC, IPV4, &ipv4(from, NET_IP, protocol, payload))
}

fn pseudo(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, len: usize) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend(from.octets());
    header.extend(to.octets());
    header.extend([0, protocol]);
    header.extend((len as u16).to_be_bytes());
    header
}

/// A TCP segment and the addresses around it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) from: (Ipv4Addr, u16),
    pub(crate) to: (Ipv4Addr, u16),
    pub(crate) flags: u8,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) window: u16,
    pub(crate) mss: Option<u16>,
    pub(crate) data: Vec<u8>,
}

impl Segment {
    pub(crate) fn tcp(&self) -> Vec<u8> {
        let options: &[u8] = match self.mss {
            Some(mss) => &[2, 4, (mss >> 8) as u8, mss as u8],
            None => &[],
        };
        let mut tcp = Vec::new();
        tcp.extend(self.from.1.to_be_bytes());
        tcp.extend(self.to.1.to_be_bytes());
        tcp.extend(self.seq.to_be_bytes());
        tcp.extend(self.ack.to_be_bytes());
        tcp.extend([((20 + options.len()) as u8 / 4) << 4, self.flags]);
        tcp.extend(self.window.to_be_bytes());
        tcp.extend([0, 0, 0, 0]);
        tcp.extend(options);
        tcp.extend(&self.data);
        let sum = checksum(&[&pseudo(self.from.0, self.to.0, TCP, tcp.len()), &tcp]);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        tcp
    }

    /// The segment as the frame that carries it.
    pub(crate) fn frame(&self) -> Vec<u8> {
        ethernet(NET_MAC, PEER_MAC, IPV4, &ipv4(self.from.0, self.to.0, TCP, &self.tcp()))
    }

    /// Reads a frame; `None` when it carries something else.
    ///
    /// # Panics
    /// When the frame carries TCP and anything about it is wrong, checksums included.
    pub(crate) fn parse(frame: &[u8]) -> Option<Self> {
        let (_, protocol, from, to, tcp) = parse_ipv4(frame)?;
        if protocol != TCP {
            return None;
        }
        assert_eq!(checksum(&[&pseudo(from, to, TCP, tcp.len()), tcp]), 0, "a wrong TCP checksum");
        let short = |at: usize| u16::from_be_bytes([tcp[at], tcp[at + 1]]);
        let long = |at: usize| u32::from(short(at)) << 16 | u32::from(short(at + 2));
        let header = usize::from(tcp[12] >> 4) * 4;
        let mut options = &tcp[20..header];
        let mut mss = None;
        while let [kind, rest @ ..] = options {
            options = match (kind, rest) {
                (0, _) => break,
                (1, rest) => rest,
                (2, [4, high, low, rest @ ..]) => {
                    mss = Some(u16::from_be_bytes([*high, *low]));
                    rest
                }
                (_, [len, ..]) => &options[usize::from(*len)..],
                _ => panic!("options that end in the middle"),
            };
        }
        Some(Self {
            from: (from, short(0)),
            to: (to, short(2)),
            flags: tcp[13],
            seq: long(4),
            ack: long(8),
            window: short(14),
            mss,
            data: tcp[header..].to_vec(),
        })
    }
}

/// Flags as tcpdump has them, in its order.
pub(crate) fn flags(flags: u8) -> String {
    let mut text = String::new();
    for (bit, letter) in [(SYN, 'S'), (FIN, 'F'), (RST, 'R'), (PSH, 'P'), (ACK, '.')] {
        if flags & bit != 0 {
            text.push(letter);
        }
    }
    text
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, seq, ack, window, mss, data, .. } = self;
        write!(f, "{}:{} > {}:{} [{}]", from.0, from.1, to.0, to.1, flags(self.flags))?;
        write!(f, " seq {seq} ack {ack} win {window} mss {mss:?}: {} bytes", data.len())
    }
}

/// The frame's destination, protocol, addresses and payload; `None` when it is not IPv4.
///
/// # Panics
/// When the header is wrong.
pub(crate) fn parse_ipv4(frame: &[u8]) -> Option<(Mac, u8, Ipv4Addr, Ipv4Addr, &[u8])> {
    assert!((14..=1514).contains(&frame.len()), "a frame of {} bytes", frame.len());
    assert_eq!(frame[6..12], NET_MAC, "from whom the frame is");
    if frame[12..14] != IPV4.to_be_bytes() {
        return None;
    }
    let packet = &frame[14..];
    assert_eq!(packet[0], 0x45, "IPv4 without options");
    assert_eq!(checksum(&[&packet[..20]]), 0, "a wrong IPv4 checksum");
    let len = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
    let address =
        |at: usize| Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3]);
    let to_mac = frame[..6].try_into().expect("six bytes");
    Some((to_mac, packet[9], address(12), address(16), &packet[20..len]))
}

/// An ARP packet for Ethernet and IPv4 (RFC 826).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arp {
    /// 1: request, 2: reply.
    pub(crate) operation: u16,
    pub(crate) from: (Mac, Ipv4Addr),
    pub(crate) to: (Mac, Ipv4Addr),
}

impl Arp {
    /// The question who has the stack's address, by the station of `from`.
    pub(crate) const fn who_has_net(from: Ipv4Addr) -> Self {
        Self { operation: 1, from: (PEER_MAC, from), to: ([0; 6], NET_IP) }
    }

    pub(crate) fn frame(&self) -> Vec<u8> {
        let mut packet = vec![0, 1, 8, 0, 6, 4];
        packet.extend(self.operation.to_be_bytes());
        for (mac, ip) in [self.from, self.to] {
            packet.extend(mac);
            packet.extend(ip.octets());
        }
        let to = if self.operation == 1 { BROADCAST_MAC } else { self.to.0 };
        ethernet(to, self.from.0, ARP, &packet)
    }

    pub(crate) fn parse(frame: &[u8]) -> Option<Self> {
        if *frame.get(12..14)? != ARP.to_be_bytes() {
            return None;
        }
        let packet = &frame[14..42];
        assert_eq!(packet[..6], [0, 1, 8, 0, 6, 4], "ARP for Ethernet and IPv4");
        let end = |at: usize| {
            let mac: Mac = packet[at..at + 6].try_into().expect("six bytes");
            let ip: [u8; 4] = packet[at + 6..at + 10].try_into().expect("four bytes");
            (mac, Ipv4Addr::from(ip))
        };
        let operation = u16::from_be_bytes([packet[6], packet[7]]);
        Some(Self { operation, from: end(8), to: end(18) })
    }

    /// What a station that has every address answers.
    pub(crate) const fn answer(&self) -> Self {
        Self { operation: 2, from: (PEER_MAC, self.to.1), to: self.from }
    }
}

/// An ICMP echo request (RFC 792) with `len` bytes of data.
pub(crate) fn ping(from: Ipv4Addr, len: usize) -> Vec<u8> {
    let mut message = vec![8, 0, 0, 0, 0x12, 0x34, 0, 1];
    message.extend((0..len).map(|at| at as u8));
    let sum = checksum(&[&message]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    to_net(from, ICMP, &message)
}

/// A UDP datagram (RFC 768).
pub(crate) fn udp(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), data: &[u8]) -> Vec<u8> {
    let len = 8 + data.len();
    let mut datagram = Vec::with_capacity(len);
    datagram.extend(from.1.to_be_bytes());
    datagram.extend(to.1.to_be_bytes());
    datagram.extend((len as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(data);
    let sum = checksum(&[&pseudo(from.0, to.0, UDP, len), &datagram]);
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    ipv4(from.0, to.0, UDP, &datagram)
}

/// One line about a frame, for the story that a failed test tells.
pub(crate) fn show(frame: &[u8]) -> String {
    let Some(ethertype) = frame.get(12..14) else {
        return format!("{} bytes", frame.len());
    };
    let rest = &frame[14..];
    match (ethertype, rest) {
        ([8, 6], [_, _, _, _, _, _, _, operation, ..]) => format!("ARP operation {operation}"),
        ([8, 0], [0x45, ..]) if rest.len() >= 40 && rest[9] == TCP => {
            let short = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
            let long = |at: usize| u32::from(short(at)) << 16 | u32::from(short(at + 2));
            let data = usize::from(short(2)).saturating_sub(20 + usize::from(rest[32] >> 4) * 4);
            let (from, to, flags) = (short(20), short(22), flags(rest[33]));
            let (seq, ack, window) = (long(24), long(28), short(34));
            format!("{from} > {to} [{flags}] seq {seq} ack {ack} win {window}: {data} bytes")
        }
        ([8, 0], [_, _, _, _, _, _, _, _, _, protocol, ..]) => {
            format!("IPv4, protocol {protocol}: {} bytes", frame.len())
        }
        _ => format!("ethertype {ethertype:02x?}: {} bytes", frame.len()),
    }
}
