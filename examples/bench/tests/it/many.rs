//! Thousands of connections at once.

use crate::util::{Client, Process, alone, raise_descriptor_limit};

const CONNECTIONS: usize = 2_000;

/// What the server may take more than at its start: a few buffers, and a few bytes a connection.
const GROWTH_KB_MAX: u64 = 1024;

#[test]
fn two_thousand_connections_are_served_and_then_idle_for_little() {
    let _alone = alone();
    raise_descriptor_limit();
    let options = ["--workers", "1", "--connections", "2500"];
    let (process, at) = Process::bench(&options);
    let (at_rest, at_start) = (process.descriptors(), process.resident_kb());
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| Client::connect(at)).collect();
    for _ in 0..3 {
        for (number, client) in clients.iter_mut().enumerate() {
            client.ask(&format!("/user/{number}"));
        }
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.response().text(), number.to_string());
        }
    }
    assert_eq!(process.descriptors(), at_rest + CONNECTIONS);
    let growth = process.resident_kb() - at_start;
    assert!(growth < GROWTH_KB_MAX, "{growth} kB more than at the start");
    drop(clients);
    process.descriptors_settle(at_rest);
    process.terminate();
}
