//! What is read in a frame before smoltcp sees it: whether it asks for a connection, or takes such
//! a request back, and whether its answer has room.
//!
//! Invariant: nothing here is trusted. A frame is looked at byte by byte with checked access. A TCP
//! segment's checksum is verified here; what else is wrong in a frame is smoltcp's to find when it
//! is given it, and [`is_sound`] asks the same before a frame is kept.
//!
//! Layer: the bottom of this crate.

use core::net::Ipv4Addr;

use smoltcp::socket::tcp;
use smoltcp::wire::{IpAddress, IpEndpoint, Ipv4Packet};

use crate::checksum;

const ETHERNET_BYTES: usize = 14;
const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;
/// From 67 to 68.
const DHCP_PORTS: [u8; 4] = [0, 67, 0, 68];
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// Who wants to talk to which port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) peer: Ipv4Addr,
    pub(crate) peer_port: u16,
    pub(crate) port: u16,
}

impl Flow {
    /// Whether `socket` carries this flow.
    pub(crate) fn is_of(&self, socket: &tcp::Socket<'_>) -> bool {
        let peer = IpEndpoint::new(IpAddress::Ipv4(self.peer), self.peer_port);
        socket.remote_endpoint() == Some(peer)
            && socket.local_endpoint().is_some_and(|local| local.port == self.port)
    }
}

/// What a frame is to the listener pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It asks for a connection: SYN alone.
    Request(Flow, Ipv4Addr),
    /// It takes one back: RST.
    Withdrawal(Flow),
    /// Another TCP segment.
    Segment,
    /// A TCP segment whose checksum is wrong.
    Damaged,
    /// A datagram to this port.
    #[cfg(feature = "udp")]
    Datagram(u16),
    /// From a DHCP server to its client.
    Lease,
    /// Anything else.
    Other,
}

/// What `frame` is; a request also names the address it was sent to.
pub(crate) fn kind(frame: &[u8]) -> Kind {
    parse(frame).unwrap_or(Kind::Other)
}

fn parse(frame: &[u8]) -> Option<Kind> {
    let (ethernet, packet) = frame.split_at_checked(ETHERNET_BYTES)?;
    let ip: &[u8; 20] = packet.first_chunk()?;
    if ethernet[12..] != ETHERTYPE_IPV4 || ip[0] >> 4 != 4 {
        return None;
    }
    let payload = packet.get(usize::from(ip[0] & 15) * 4..)?;
    if ip[9] == PROTOCOL_UDP && payload.starts_with(&DHCP_PORTS) {
        return Some(Kind::Lease);
    }
    #[cfg(feature = "udp")]
    if ip[9] == PROTOCOL_UDP {
        let udp: &[u8; 8] = payload.first_chunk()?;
        let port = u16::from_be_bytes([udp[2], udp[3]]);
        return Some(Kind::Datagram(port));
    }
    let tcp: &[u8; 14] = payload.first_chunk().filter(|_| ip[9] == PROTOCOL_TCP)?;
    if !checksum::is_right(packet) {
        return Some(Kind::Damaged);
    }
    let flags = tcp[13] & (FIN | SYN | RST | ACK);
    if flags & (SYN | ACK) != SYN && flags & RST == 0 {
        return Some(Kind::Segment);
    }
    let flow = Flow {
        peer: Ipv4Addr::new(ip[12], ip[13], ip[14], ip[15]),
        peer_port: u16::from_be_bytes([tcp[0], tcp[1]]),
        port: u16::from_be_bytes([tcp[2], tcp[3]]),
    };
    Some(match flags {
        SYN => Kind::Request(flow, Ipv4Addr::new(ip[16], ip[17], ip[18], ip[19])),
        _ if flags & RST != 0 => Kind::Withdrawal(flow),
        _ => Kind::Segment,
    })
}

/// Fills in the checksum of the TCP segment in `frame`, if it carries one: smoltcp left it out.
pub(crate) fn seal(frame: &mut [u8]) {
    let Some((ethernet, packet)) = frame.split_at_mut_checked(ETHERNET_BYTES) else { return };
    if ethernet[12..] == ETHERTYPE_IPV4 && packet.get(9) == Some(&PROTOCOL_TCP) {
        checksum::fill(packet);
    }
}

/// Whether `frame`, which [`kind`] took for a request, is one for the interface `own`, whole, and
/// its IPv4 header as it was sent.
pub(crate) fn is_sound(frame: &[u8], own: [u8; 6]) -> bool {
    let Some((ethernet, packet)) = frame.split_at_checked(ETHERNET_BYTES) else { return false };
    let Ok(ip) = Ipv4Packet::new_checked(packet) else { return false };
    ethernet.starts_with(&own) && ip.verify_checksum() && !ip.more_frags() && ip.frag_offset() == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use smoltcp::wire::TcpPacket;

    const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
    const BOARD: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
    const FLOW: Flow = Flow { peer: PEER, peer_port: 40_000, port: 80 };

    /// Ethernet, IPv4 with `words` 32-bit words of header, TCP with `flags`.
    fn frame(words: u8, flags: u8) -> ([u8; 128], usize) {
        let mut frame = [0; 128];
        frame[12..14].copy_from_slice(&ETHERTYPE_IPV4);
        let ip = &mut frame[14..];
        ip[0] = 0x40 | words;
        ip[9] = PROTOCOL_TCP;
        ip[12..16].copy_from_slice(&PEER.octets());
        ip[16..20].copy_from_slice(&BOARD.octets());
        let tcp = &mut ip[usize::from(words) * 4..];
        tcp[..4].copy_from_slice(&[0x9c, 0x40, 0, 80]);
        tcp[13] = flags;
        tcp[12] = 5 << 4;
        let len = usize::from(words) * 4 + 20;
        ip[2..4].copy_from_slice(&(len as u16).to_be_bytes());
        let mut tcp = TcpPacket::new_unchecked(&mut ip[usize::from(words) * 4..len]);
        tcp.fill_checksum(&PEER.into(), &BOARD.into());
        (frame, 14 + len)
    }

    #[test]
    fn flags_tell_what_a_segment_is() {
        for (flags, kind_of) in [
            (SYN, Kind::Request(FLOW, BOARD)),
            (SYN | 0xc0, Kind::Request(FLOW, BOARD)),
            (SYN | ACK, Kind::Segment),
            (SYN | FIN, Kind::Segment),
            (SYN | RST, Kind::Withdrawal(FLOW)),
            (RST, Kind::Withdrawal(FLOW)),
            (RST | ACK, Kind::Withdrawal(FLOW)),
            (ACK, Kind::Segment),
            (0, Kind::Segment),
        ] {
            for words in [5, 6, 15] {
                let (bytes, len) = frame(words, flags);
                assert_eq!(kind(&bytes[..len]), kind_of, "{flags:#x}, {words} words");
            }
        }
    }

    #[cfg(feature = "udp")]
    #[test]
    fn a_datagram_is_known_by_its_port() {
        for (words, port) in [(5, 80), (6, 7), (15, 65_535)] {
            let (mut bytes, len) = frame(words, 0);
            bytes[14 + 9] = PROTOCOL_UDP;
            bytes[len - 20..len - 16].copy_from_slice(&[0, 7, (port >> 8) as u8, port as u8]);
            assert_eq!(kind(&bytes[..len - 12]), Kind::Datagram(port));
            assert_eq!(kind(&bytes[..len - 13]), Kind::Other, "its header is cut short");
            bytes[len - 20..len - 16].copy_from_slice(&DHCP_PORTS);
            assert_eq!(kind(&bytes[..len]), Kind::Lease);
        }
    }

    #[test]
    fn what_is_cut_short_or_no_ipv4_is_something_else() {
        let (bytes, _) = frame(5, SYN);
        for len in 0..14 + 20 + 14 {
            assert_eq!(kind(&bytes[..len]), Kind::Other, "{len} bytes");
        }
        for (at, value) in [(12, 0x86), (14, 0x65), (14 + 9, 2)] {
            let (mut bytes, len) = frame(5, SYN);
            bytes[at] = value;
            assert_eq!(kind(&bytes[..len]), Kind::Other, "byte {at}");
        }
    }
}
