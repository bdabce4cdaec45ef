//! A server whose every connection belongs to a slow peer serves a good one within two seconds.
//!
//! The slow ones move ten bytes a second each, all the time, and come again when they are shed.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dustdevil_http::{Capacity, Limits};

use crate::util::client::request;
use crate::util::{Client, Host, Workshop, alone};

const CONNECTIONS: usize = 64;

/// How many slow ones there are: some wait in the backlog, before any good one.
const PEERS: usize = CONNECTIONS + 8;

/// How long a good client may wait: the bound.
const BOUND: Duration = Duration::from_secs(2);

/// A slow peer: how it begins, and its next step; `false` once the server has ended it.
struct Slow {
    begin: fn(SocketAddr) -> Client,
    step: fn(&mut Client) -> bool,
}

/// Ends the siege with the test, also with one that fails.
struct Siege<'a>(&'a AtomicBool);

impl Drop for Siege<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Fills the server and its backlog with slow peers, and lets three good ones come.
fn besiege(slow: &Slow) {
    let _alone = alone();
    let host = Host::start(Workshop, Capacity::for_connections(CONNECTIONS), Limits::DEFAULT);
    let at = host.address;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut peers: Vec<Client> = (0..PEERS).map(|_| (slow.begin)(at)).collect();
        host.settles("the slow ones are in", |stats| stats.open as usize >= CONNECTIONS);
        // What the kernel takes off the server's hands is with it.
        host.falls_silent();
        let _siege = Siege(&over);
        let over = &over;
        scope.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                for peer in &mut peers {
                    if !(slow.step)(peer) {
                        *peer = (slow.begin)(at);
                    }
                }
                thread::sleep(Duration::from_millis(100));
            }
        });
        let since = Instant::now();
        let mut good = [(); 3].map(|()| Client::connect(at));
        good.iter_mut().for_each(|client| client.ask("/"));
        let waits = good.map(|mut client| {
            assert_eq!(client.response().status, 200);
            since.elapsed()
        });
        assert!(waits.iter().all(|wait| *wait < BOUND), "{waits:?}, {:?}", host.stats());
    });
    host.empties();
    host.stop();
}

/// Whether the server has said something or ended the connection; looks only.
fn is_over(client: &Client) -> bool {
    client.stream.set_nonblocking(true).unwrap();
    let seen = client.stream.peek(&mut [0]);
    client.stream.set_nonblocking(false).unwrap();
    seen.map_or_else(|error| error.kind() != std::io::ErrorKind::WouldBlock, |_| true)
}

fn trickle(client: &mut Client) -> bool {
    !is_over(client) && client.try_send("a")
}

#[test]
fn who_says_nothing_starves_nobody() {
    besiege(&Slow { begin: Client::connect, step: |client| !is_over(client) });
}

#[test]
fn heads_that_trickle_starve_nobody() {
    let begin = |at| {
        let mut client = Client::connect(at);
        client.send("GET / HTTP/1.1\r\nX: ");
        client
    };
    besiege(&Slow { begin, step: trickle });
}

#[test]
fn bodies_that_trickle_starve_nobody() {
    let begin = |at| {
        let mut client = Client::connect(at);
        client.send("POST /count HTTP/1.1\r\nHost: test\r\nContent-Length: 9999\r\n\r\n");
        client
    };
    besiege(&Slow { begin, step: trickle });
}

#[test]
fn bodies_that_nobody_reads_starve_nobody() {
    let begin = |at| {
        let mut client = Client::connect(at);
        client.send("POST /refuse HTTP/1.1\r\nHost: test\r\nContent-Length: 9999\r\n\r\n");
        client
    };
    // Their answer is there at once: they end when they are ended.
    besiege(&Slow { begin, step: |client| client.try_send("a") });
}

#[test]
fn slow_readers_starve_nobody() {
    let begin = |at| {
        let mut client = Client::with_small_window(at);
        // More than the kernel takes off the server's hands.
        client.send(request("/big").repeat(16));
        client
    };
    besiege(&Slow { begin, step: |client| client.sip(1, Duration::from_millis(1)) > 0 });
}
