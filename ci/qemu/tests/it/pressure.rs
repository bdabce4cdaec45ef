//! More who come at once than there are sockets: all are answered, none is refused, none is reset.

use std::thread;
use std::time::{Duration, Instant};

use crate::util::board::{AT, SOCKETS, connect_at_once};
use crate::util::namespace::{self, Seen};
use crate::util::{Board, Client};

/// Lets `count` clients come at once and ask each for something of its own; how long each waited.
fn come_at_once(count: usize) -> Vec<Duration> {
    let since = Instant::now();
    let mut clients = connect_at_once(count);
    let waits = thread::scope(|scope| {
        let asking = clients.iter_mut().enumerate().map(|(number, client)| {
            scope.spawn(move || {
                client.ask(&format!("/user/{number}"));
                let response = client.response();
                assert_eq!((response.status, response.text()), (200, number.to_string().as_str()));
                since.elapsed()
            })
        });
        let asking: Vec<_> = asking.collect();
        let waits = asking.into_iter().map(|asks| asks.join().expect("an answer"));
        waits.collect::<Vec<_>>()
    });
    println!("{count} at once, the slowest after {:?}", waits.iter().max().unwrap());
    waits
}

#[test]
fn sixteen_at_once_for_four_sockets() {
    namespace::inside(|| {
        let board = Board::start("probe");
        for _ in 0..5 {
            let waits = come_at_once(16);
            // Nobody had to knock twice: the board kept what it had no socket for.
            assert_eq!(Seen::now(), Seen::default(), "{waits:?}");
            // The former ones' sockets are free again when the next come.
            thread::sleep(Duration::from_millis(300));
        }
        board.is_at_rest();
        assert_eq!(Seen::now(), Seen::default());
    });
}

#[test]
fn more_at_once_than_the_board_can_keep_in_mind() {
    namespace::inside(|| {
        let board = Board::start("probe");
        for count in [32, 64] {
            come_at_once(count);
            let Seen { refused, reset, .. } = Seen::now();
            assert_eq!((refused, reset), (0, 0), "{count} at once");
        }
        board.is_at_rest();
    });
}

#[test]
fn as_many_as_fit_shed_nobody() {
    namespace::inside(|| {
        let _board = Board::start("bench");
        let mut clients: Vec<Client> = (0..SOCKETS).map(|_| Client::connect(AT)).collect();
        for turn in 0..20 {
            clients.iter_mut().for_each(|client| client.ask(&format!("/user/{turn}")));
            for client in &mut clients {
                assert_eq!(client.response().text(), turn.to_string());
            }
        }
        drop(clients);
        assert_eq!(Seen::now(), Seen::default());
    });
}

/// They come again as soon as they are gone, so that there is never a moment without some waiting.
#[test]
fn crowds_that_come_again_and_again() {
    namespace::inside(|| {
        let board = Board::start("probe");
        thread::scope(|scope| {
            for number in 0..12 {
                scope.spawn(move || {
                    for turn in 0..25 {
                        let mut client = Client::connect(AT);
                        let asked = number * 100 + turn;
                        client.ask(&format!("/user/{asked}"));
                        assert_eq!(client.response().text(), asked.to_string());
                    }
                });
            }
        });
        let Seen { refused, reset, .. } = Seen::now();
        assert_eq!((refused, reset), (0, 0));
        board.is_at_rest();
    });
}
