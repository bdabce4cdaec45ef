//! Nothing allocates after start-up: the server's thread is counted from its first turn.

use bench::App;
use dustdevil_http::{Capacity, Limits};

use crate::util::client::request;
use crate::util::{Client, Host, Workshop, alone};

#[test]
fn ten_thousand_requests_over_a_thousand_connections_allocate_nothing() {
    let _alone = alone();
    let host = Host::start(App, Capacity::for_connections(1_000), Limits::DEFAULT);
    for _ in 0..1_000 {
        let mut client = Client::connect(host.address);
        client.send(["/plaintext", "/json", "/user/1", "/none", "/"].map(request).concat());
        for status in [200, 200, 200, 404, 200] {
            assert_eq!(client.response().status, status);
        }
        for path in ["/plaintext", "/json", "/user/22", "/none", "/"] {
            client.get(path);
        }
    }
    let report = host.stop();
    assert_eq!((report.stats.requests, report.stats.accepted), (10_000, 1_000));
    assert_eq!(report.allocations, 0);
}

#[test]
fn bodies_streams_waits_and_errors_allocate_nothing() {
    let _alone = alone();
    let limits = Limits { head_ms: 200, ..Limits::DEFAULT };
    let host = Host::start(Workshop, Capacity::for_connections(4), limits);
    for _ in 0..20 {
        let mut client = Client::connect(host.address);
        client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(client.response().text(), "hello");
        for path in ["/big", "/pieces", "/sleep/1"] {
            assert_eq!(client.get(path).status, 200);
        }
        client.send("garbage\r\n\r\n");
        assert_eq!(client.response().status, 400);
    }
    let mut silent = Client::connect(host.address);
    silent.send("GET /");
    assert_eq!(silent.response().status, 408);
    // More than fit: the oldest idle one is shed.
    let mut clients: Vec<Client> = (0..8).map(|_| Client::connect(host.address)).collect();
    assert_eq!(clients.last_mut().unwrap().get("/").status, 200);
    drop(clients);
    let report = host.stop();
    assert_eq!(report.allocations, 0, "{:?}", report.stats);
}

#[test]
fn the_counter_counts() {
    let counted = allocation_counter::measure(|| drop(std::hint::black_box(vec![0_u8; 64])));
    assert_eq!(counted.count_total, 1);
}
