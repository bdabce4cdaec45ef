//! An address by DHCP, which QEMU's own network has a server for.

use std::time::Duration;

use qemu::firmware::Address;
use qemu::machine::{Machine, Network};

use crate::util::Client;
use crate::util::board::built;

#[test]
fn a_board_asks_for_its_address() {
    let firmware = built("hello", &Address::Dhcp);
    let machine = Machine::of(&firmware).network(Network::User { port: 0 }).start().unwrap();
    let listens = machine.wait_for("listening on http://10.0.2.15:80/", Duration::from_secs(30));
    listens.unwrap_or_else(|error| panic!("{error:#}"));
    let port = machine.port().unwrap();
    for _ in 0..20 {
        let mut client = Client::connect(([127, 0, 0, 1], port).into());
        let response = client.get("/");
        assert_eq!((response.status, response.text()), (200, "Hello, world"));
    }
}
