//! QEMU's own network, laid around a board whose address was chosen when it was built.
//!
//! That network has three addresses of its own: its gateway, a name server, and the first that it
//! leases, which a forwarded port leads to.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};

/// What `-nic user` takes, behind a comma, so that the board has this address there.
pub(crate) fn around(ip: &str, gateway: Option<&str>) -> Result<String> {
    let (board, bits) = ip.split_once('/').context("an address without its network's bits")?;
    let board: Ipv4Addr = board.parse().with_context(|| format!("the address `{board}`"))?;
    let bits: u32 = bits.parse().with_context(|| format!("the network's bits `{bits}`"))?;
    ensure!((1..=29).contains(&bits), "QEMU's network takes four addresses; {ip} has too few");
    let network = board.to_bits() & (u32::MAX << (32 - bits));
    let gateway = gateway.map(str::parse::<Ipv4Addr>).transpose().context("the gateway")?;
    let is_free = |at: &Ipv4Addr| *at != board && Some(*at) != gateway;
    let mut free = (1..).map(|at| Ipv4Addr::from_bits(network + at)).filter(is_free);
    let gateway = gateway.or_else(|| free.next()).context("no address for the gateway")?;
    let names = free.next().context("no address for the name server")?;
    let network = Ipv4Addr::from_bits(network);
    Ok(format!(",net={network}/{bits},host={gateway},dns={names},dhcpstart={board}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_lies_around_the_board() {
        let table = [
            (
                "10.0.2.15/24",
                Some("10.0.2.2"),
                ",net=10.0.2.0/24,host=10.0.2.2,dns=10.0.2.1,dhcpstart=10.0.2.15",
            ),
            (
                "192.0.2.1/24",
                None,
                ",net=192.0.2.0/24,host=192.0.2.2,dns=192.0.2.3,dhcpstart=192.0.2.1",
            ),
            (
                "192.0.2.10/29",
                Some("192.0.2.9"),
                ",net=192.0.2.8/29,host=192.0.2.9,dns=192.0.2.11,dhcpstart=192.0.2.10",
            ),
        ];
        for (ip, gateway, words) in table {
            assert_eq!(around(ip, gateway).ok().as_deref(), Some(words), "{ip}");
        }
        assert!(around("192.0.2.1/30", None).is_err(), "too few addresses");
        assert!(around("192.0.2.1", None).is_err());
        assert!(around("192.0.2.1/24", Some("gateway")).is_err());
    }
}
