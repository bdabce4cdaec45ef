//! The checksum of TCP segments (RFC 9293, 3.1; RFC 1071): verified before smoltcp sees a segment,
//! and filled in behind it.
//!
//! smoltcp could do both; it adds up two bytes at a time, here it is four: 260 instructions less a
//! request. The sum is of ones' complement, so its bytes may be added in the processor's own order
//! as long as they are stored in it too.
//!
//! Invariant: nothing here is trusted. Lengths that do not fit the packet are a wrong checksum.
//!
//! Layer: the bottom of this crate.

/// Where a TCP header has its checksum.
const AT: usize = 16;
const PROTOCOL: u16 = u16::from_le_bytes([0, 6]);

/// Whether the segment in an IPv4 packet came as it was sent.
pub(crate) fn is_right(packet: &[u8]) -> bool {
    sum(packet) == Some(0xffff)
}

/// Fills in the checksum of the segment in an IPv4 packet without options, where it is zero.
pub(crate) fn fill(packet: &mut [u8]) {
    let Some(sum) = sum(packet) else { return };
    if let Some(field) = packet.get_mut(20 + AT..20 + AT + 2) {
        field.copy_from_slice(&(!sum).to_le_bytes());
    }
}

/// The sum of the segment in an IPv4 packet, and of its pseudo header.
fn sum(packet: &[u8]) -> Option<u16> {
    let header: &[u8; 20] = packet.first_chunk()?;
    let header_bytes = usize::from(header[0] & 15) * 4;
    let bytes = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let segment = packet.get(header_bytes..bytes).filter(|_| header_bytes >= header.len())?;
    let length = (segment.len() as u16).swap_bytes();
    let sum = add(add(u32::from(PROTOCOL) + u32::from(length), &header[12..]), segment);
    let sum = (sum >> 16) + (sum & 0xffff);
    Some(((sum >> 16) + sum) as u16)
}

/// Adds these bytes; what is carried out of the sum comes in again at its other end.
#[inline(always)]
fn add(mut sum: u32, bytes: &[u8]) -> u32 {
    let (words, last) = bytes.as_chunks::<4>();
    let (blocks, words) = words.as_chunks::<8>();
    for block in blocks {
        // Unrolled, these are a load and an addition with carry for each word.
        let mut carry = false;
        for word in block {
            (sum, carry) = sum.carrying_add(u32::from_le_bytes(*word), carry);
        }
        sum = carry_in(sum.carrying_add(0, carry));
    }
    for word in words {
        sum = carry_in(sum.overflowing_add(u32::from_le_bytes(*word)));
    }
    let last = match *last {
        [a] => [a, 0, 0, 0],
        [a, b] => [a, b, 0, 0],
        [a, b, c] => [a, b, c, 0],
        _ => return sum,
    };
    carry_in(sum.overflowing_add(u32::from_le_bytes(last)))
}

/// What was carried out of a sum, which was then less than its largest.
fn carry_in((sum, carry): (u32, bool)) -> u32 {
    sum + u32::from(carry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;
    use smoltcp::wire::{IpAddress, TcpPacket};

    /// smoltcp's checksum is the other opinion: for every length of data, bytes that carry and
    /// bytes that do not, and headers with options.
    #[test]
    fn it_is_what_smoltcp_computes_and_one_wrong_bit_is_seen() {
        let (from, to) = (Ipv4Addr::new(192, 0, 2, 9), Ipv4Addr::new(255, 254, 253, 252));
        let addresses = (IpAddress::Ipv4(from), IpAddress::Ipv4(to));
        for (words, data, byte) in
            (0..70).flat_map(|data| [(5, data, 0xff), (5, data, 0), (8, data, 0xa5)])
        {
            let mut bytes = [byte; 32 + 20 + 70];
            let packet = &mut bytes[..words * 4 + 20 + data];
            let len = packet.len() as u16;
            packet[0] = 0x40 | words as u8;
            packet[2..4].copy_from_slice(&len.to_be_bytes());
            packet[12..16].copy_from_slice(&from.octets());
            packet[16..20].copy_from_slice(&to.octets());
            packet[words * 4 + 12] = 5 << 4;
            let mut segment = TcpPacket::new_unchecked(&mut packet[words * 4..]);
            segment.fill_checksum(&addresses.0, &addresses.1);
            let theirs = segment.checksum();
            assert!(is_right(packet), "{words} words, {data} bytes of {byte:#x}");
            for at in 12..packet.len() {
                packet[at] ^= 0x10;
                // An option of IPv4 is no part of this sum.
                assert_eq!(is_right(packet), (20..words * 4).contains(&at), "byte {at}");
                packet[at] ^= 0x10;
            }
            if words == 5 {
                packet[20 + AT..][..2].fill(0);
                fill(packet);
                assert_eq!(packet[20 + AT..][..2], theirs.to_be_bytes(), "{data} of {byte:#x}");
            }
        }
    }

    #[test]
    fn lengths_that_do_not_fit_are_a_wrong_checksum() {
        let mut packet = [0; 40];
        for (words, bytes) in [(0, 40), (4, 40), (5, 41), (5, 19), (15, 40)] {
            packet[0] = 0x40 | words;
            packet[2..4].copy_from_slice(&[0, bytes]);
            assert_eq!((sum(&packet), is_right(&packet)), (None, false), "{words}, {bytes}");
        }
        assert!(!is_right(&packet[..19]));
    }
}
