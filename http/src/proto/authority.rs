//! Hosts and ports, as `Host` and targets name them: `uri-host [ ":" port ]` (RFC 9110, 7.2;
//! RFC 3986, 3.2.2).
//!
//! A value that is not of this form is refused, since a reader in front of this one may have
//! routed by another part of it. Two departures, both narrower than the grammar: no comma, which
//! is what two fields look like that somebody joined, and no `IPvFuture`, which nobody has.

use super::field::{all, all_four, class};

/// Whether `bytes` is a host with or without a port. Empty is too: RFC 9112, 3.2, has a client send
/// `Host` so where its target has no authority.
#[inline]
pub(super) fn is_authority(bytes: &[u8]) -> bool {
    // Most that come are a name or an IPv4 address, and then perhaps a port, mostly of four digits.
    let name = match bytes.split_last_chunk::<5>() {
        Some((name, [b':', a, b, c, d]))
            if !name.is_empty() && all_four(&[*a, *b, *c, *d], class::DIGIT) =>
        {
            name
        }
        _ => bytes,
    };
    all(name, class::NAME) || is_rare(bytes)
}

/// As [`is_authority`], for the rest: addresses in brackets, escapes, other ports; and the wrong.
#[cold]
#[inline(never)]
fn is_rare(bytes: &[u8]) -> bool {
    let is_address = bytes.first() == Some(&b'[');
    let end = if is_address { b']' } else { b':' };
    let at = bytes.iter().position(|byte| *byte == end).unwrap_or(bytes.len());
    let (host, rest) = bytes.split_at_checked(at).unwrap_or_default();
    match (host, rest) {
        ([b'[', address @ ..], [b']', port @ ..]) => is_ipv6(address) && is_port(port),
        ([_, ..], port) => is_name(host) && is_port(port),
        ([], _) => false,
    }
}

/// `[ ":" *DIGIT ]`, and no more than TCP has: who cuts the number to 16 bits reads another.
fn is_port(bytes: &[u8]) -> bool {
    let [b':', digits @ ..] = bytes else { return bytes.is_empty() };
    let mut port = 0_u32;
    for byte in digits {
        port = (port * 10).saturating_add(u32::from(byte.wrapping_sub(b'0')));
        if !byte.is_ascii_digit() || port > u32::from(u16::MAX) {
            return false;
        }
    }
    true
}

/// `reg-name`: what a name may have, and escapes of two digits.
fn is_name(bytes: &[u8]) -> bool {
    let mut escaped = 0;
    for byte in bytes {
        let good = match escaped {
            0 => *byte == b'%' || all(&[*byte], class::NAME),
            _ => byte.is_ascii_hexdigit(),
        };
        if !good {
            return false;
        }
        escaped = if *byte == b'%' { 2 } else { escaped.max(1) - 1 };
    }
    escaped == 0
}

/// Eight groups of 16 bits, or fewer and one gap; the last two may be an IPv4 address.
fn is_ipv6(address: &[u8]) -> bool {
    let (mut groups, mut gaps, mut digits, mut colons) = (0, 0, 0, 0);
    for (at, byte) in address.iter().enumerate() {
        match byte {
            b':' => {
                colons = if digits > 0 { 1 } else { colons + 1 };
                gaps += usize::from(colons == 2);
                digits = 0;
                if colons > 2 {
                    return false;
                }
            }
            // Only a gap can begin with a colon.
            _ if digits == 0 && colons == 1 && groups == 0 => return false,
            b'.' => {
                let from = address.get(at - digits..);
                return from.is_some_and(is_ipv4) && is_whole(groups + 1, gaps);
            }
            _ => {
                groups += usize::from(digits == 0);
                digits += 1;
                if digits > 4 || !byte.is_ascii_hexdigit() {
                    return false;
                }
            }
        }
    }
    // It ends in a group or in a gap.
    (digits > 0 || colons == 2) && is_whole(groups, gaps)
}

fn is_whole(groups: usize, gaps: usize) -> bool {
    if gaps == 0 { groups == 8 } else { gaps == 1 && groups < 8 }
}

fn is_ipv4(address: &[u8]) -> bool {
    let (mut octets, mut number, mut digits) = (1, 0, 0);
    for byte in address {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        if *byte == b'.' && digits > 0 {
            (octets, number, digits) = (octets + 1, 0, 0);
        } else if digit > 9 || (digits > 0 && number == 0) || number * 10 + digit > 255 {
            return false;
        } else {
            (number, digits) = (number * 10 + digit, digits + 1);
        }
    }
    octets == 4 && digits > 0
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_and_perhaps_a_port() {
        let good = "a a.b a: a:80 a:65535 a:00080 A-b_c~d 1.2.3.4 1.2.3.4:5 256.1.1.1 a%20b %7e \
            %c3%a4:1 a;b=c&d!$'()*+ [::] [::1]:80 [::1]: [1:2:3:4:5:6:7:8] \
            [1:2:3:4:5:6:1.2.3.4] [::ffff:1.2.3.4] [::1.2.3.4] [1::1.2.3.4] \
            [::0.0.0.0] [1::8] [a:B::] [1:2:3:4:5:6:7::] 12345 a.12345 12345:1";
        for good in good.split(' ').chain([""]) {
            assert!(is_authority(good.as_bytes()), "{good}");
        }
        let bad = ": :80 a:b a:1:2 a:65536 a:99999 a:4294967376 a:-1 a:+1 u@a u:p@a a/b a?b a#b \
            a,b a\\b a\"b a<b {a} a^b a|b a`b a]b a[b [ [] ] [::1 ::1 [::1]a [::1]80 [::1]:x \
            [::1]:65536 a[::1] [1:2:3:4:5:6:7] [1:2:3:4:5:6:7:8:9] [1:2:3:4::5:6:7:8] \
            [1::2::3] [:::] [:1] [1:] [12345::] [g::] [::1.2.3] [::1.2.3.256] \
            [::1.99999999999.1.1] [::1.1.1.1.1] [::1..1.1] [::1.2.3.04] [1.2.3.4::] \
            [1.2.3.4] [1.2.3.4::1.2.3.4] [:1::] [::1:] [1:::2] [:] [::::] [::1::] [1::2:] \
            [1:2:3:4:5:6:7:1.2.3.4] [::1.2.3.4:1] [::1.2.3.] [::00.1.1.1] \
            [::1%25eth0] [v1.a] a% a%2 a%zz % ä a\0 a:80:";
        for bad in bad.split(' ').chain(["a: 1", "a b"]) {
            assert!(!is_authority(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn every_byte_of_a_name_is_unreserved_or_a_delimiter_within_a_part() {
        for byte in 0..=255_u8 {
            let delimiter = b"!$&'()*+;=".contains(&byte);
            let good = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || delimiter;
            assert_eq!(is_authority(&[b'a', byte, b'b']), good, "{byte:#04x}");
            assert_eq!(is_authority(&[b'a', byte, b'b', b':', b'1']), good, "{byte:#04x}");
        }
    }
}
