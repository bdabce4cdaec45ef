//! A board whose every socket belongs to a slow peer serves a good one within two seconds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::util::board::{AT, SOCKETS};
use crate::util::client::request;
use crate::util::namespace::{self, Seen};
use crate::util::{Board, Client};

/// How long a good client may wait.
const BOUND: Duration = Duration::from_secs(2);

/// Lets slow peers take every socket, then a good one come; both several times on one board.
fn besiege(bound: Duration, begin: fn() -> Client, step: fn(&mut Client)) {
    namespace::inside(|| {
        let board = Board::start("probe");
        for _ in 0..3 {
            let mut peers: Vec<Client> = (0..SOCKETS).map(|_| begin()).collect();
            let over = AtomicBool::new(false);
            let wait = thread::scope(|scope| {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        for peer in &mut peers {
                            step(peer);
                        }
                        thread::sleep(Duration::from_millis(50));
                    }
                });
                // They are slow by now.
                thread::sleep(Duration::from_millis(200));
                let since = Instant::now();
                let good = thread::Builder::new().spawn_scoped(scope, move || {
                    let mut good = Client::connect(AT);
                    let connected = since.elapsed();
                    let response = good.get("/");
                    (response.status, connected, since.elapsed())
                });
                let answer = good.unwrap().join();
                over.store(true, Ordering::Relaxed);
                let (status, connected, wait) = answer.expect("an answer");
                println!("the good one was connected after {connected:?}, served after {wait:?}");
                assert_eq!(status, 200);
                wait
            });
            assert!(wait < bound, "{wait:?}");
            drop(peers);
            board.is_at_rest();
        }
        assert_eq!(Seen::now().refused, 0);
    });
}

/// One byte more, until it is cut off.
fn trickle(client: &mut Client) {
    client.try_send("a");
}

fn sip(client: &mut Client) {
    client.sip(1, Duration::from_millis(1));
}

#[test]
fn four_who_say_nothing() {
    besiege(BOUND, || Client::connect(AT), |_| ());
}

#[test]
fn four_who_had_an_answer_and_stay() {
    let begin = || {
        let mut client = Client::connect(AT);
        assert_eq!(client.get("/").status, 200);
        client
    };
    besiege(BOUND, begin, |_| ());
}

#[test]
fn four_whose_heads_trickle() {
    let begin = || {
        let mut client = Client::connect(AT);
        client.send("GET / HTTP/1.1\r\nX: ");
        client
    };
    besiege(BOUND, begin, trickle);
}

#[test]
fn four_whose_bodies_nobody_reads() {
    let begin = || {
        let mut client = Client::connect(AT);
        client.send("GET / HTTP/1.1\r\nHost: test\r\nContent-Length: 9999\r\n\r\n");
        client
    };
    besiege(BOUND, begin, trickle);
}

/// Asks for so much and reads so little that the board is stuck with what it has to say.
fn deaf(requests: usize) -> Client {
    let mut client = Client::with_small_window(AT);
    client.try_send(request("/").repeat(requests));
    client
}

#[test]
fn four_who_do_not_read_to_the_end() {
    // All is answered, but the peer's window and the board's buffer are full of it.
    besiege(BOUND, || deaf(20), sip);
}

#[test]
fn four_who_never_let_an_answer_end() {
    besiege(BOUND, || deaf(60), sip);
}

/// For each that is shed another comes at once: there is never a free socket.
#[test]
fn silent_ones_who_come_again() {
    namespace::inside(|| {
        let board = Board::start("probe");
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..SOCKETS {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        let mut silent = Client::connect(AT);
                        silent.sip(1, Duration::from_secs(2));
                    }
                });
            }
            thread::sleep(Duration::from_millis(500));
            let waits = (0..5).map(|_| {
                let since = Instant::now();
                scope.spawn(move || {
                    assert_eq!(Client::connect(AT).get("/").status, 200);
                    since.elapsed()
                })
            });
            let waits: Vec<_> = waits.map(|good| good.join()).collect();
            over.store(true, Ordering::Relaxed);
            let waits: Vec<_> = waits.into_iter().map(|wait| wait.expect("an answer")).collect();
            println!("the good ones waited {waits:?}");
            assert!(waits.iter().all(|wait| *wait < BOUND), "{waits:?}");
        });
        board.is_at_rest();
    });
}
