//! The firmware `chat-tcp`: a room of four.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};

use qemu::firmware::Address;
use qemu::machine::{Machine, Network};

use crate::util::board::{AT_IP, built};
use crate::util::namespace::{TAP, inside, wait_for_carrier};
use crate::util::{PATIENCE, settles};

const AT: SocketAddr = SocketAddr::new(IpAddr::V4(AT_IP), 7_000);

/// Seats of the firmware's room.
const SEATS: [&str; 4] = ["ann", "bob", "cat", "dan"];

fn start() -> Machine {
    let firmware = built("chat-tcp", &Address::fixed("192.0.2.2/24", None));
    let machine = Machine::of(&firmware).network(Network::Tap { name: TAP.to_owned() });
    let machine = machine.start().expect("QEMU");
    let listens = format!("listening on {AT}");
    machine.wait_for(&listens, PATIENCE).unwrap_or_else(|error| panic!("{error:#}"));
    wait_for_carrier();
    machine
}

/// Somebody with a connection, and all that it heard.
struct Guest {
    stream: BufReader<TcpStream>,
    heard: String,
}

impl Guest {
    fn connect() -> Self {
        let stream = TcpStream::connect_timeout(&AT, PATIENCE).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream), heard: String::new() }
    }

    fn join(name: &str) -> Self {
        let mut guest = Self::connect();
        guest.says(&format!("{name}\n"));
        guest.hears(&format!("* {name} has come\n"));
        guest
    }

    fn says(&mut self, words: &str) {
        self.stream.get_mut().write_all(words.as_bytes()).unwrap();
    }

    /// One line more; `None` at the end.
    fn line(&mut self) -> std::io::Result<Option<&str>> {
        let before = self.heard.len();
        let count = self.stream.read_line(&mut self.heard)?;
        Ok((count > 0).then(|| &self.heard[before..]))
    }

    #[track_caller]
    fn hears(&mut self, wanted: &str) {
        while self.line().unwrap().expect(wanted) != wanted {}
    }

    /// Reads until it has heard this line, be it before others or after them.
    #[track_caller]
    fn hears_of(&mut self, wanted: &str) {
        while !self.heard.contains(wanted) {
            self.line().unwrap().expect(wanted);
        }
    }

    /// What was said while it was there, from this line on.
    fn story(&self, from: &str) -> Vec<&str> {
        let lines = self.heard.lines().filter(|line| !line.starts_with("- "));
        lines.skip_while(|line| *line != from).collect()
    }
}

#[test]
fn four_read_one_story_and_a_fifth_is_told_that_there_is_no_seat() {
    inside(|| {
        let _machine = start();
        let mut guests: Vec<Guest> = SEATS.into_iter().map(Guest::join).collect();
        for _ in 0..6 {
            let mut fifth = Guest::connect();
            assert_eq!(fifth.line().unwrap(), Some("- the room is full\n"));
            assert_eq!(fifth.line().unwrap(), None);
        }
        // More than the ring holds, all at once.
        for (guest, name) in guests.iter_mut().zip(SEATS) {
            let lines: String = (0..25).map(|line| format!("{name}'s line {line}\n")).collect();
            guest.says(&lines);
        }
        for guest in &mut guests {
            for _ in 0..SEATS.len() {
                while !guest.line().unwrap().expect("all last lines").ends_with(" line 24\n") {}
            }
        }
        let story = guests[3].story("* dan has come");
        assert_eq!(story.len(), 1 + SEATS.len() * 25, "{story:?}");
        assert!(guests.iter().all(|guest| guest.story("* dan has come") == story));
        // A seat that becomes free is somebody's.
        guests[0].says("/quit\n");
        guests[0].hears("- bye\n");
        guests[1].hears("* ann has left\n");
        let mut eve = settles("a seat is free", || {
            let mut eve = Guest::connect();
            eve.says("eve\n");
            match eve.line() {
                Ok(Some("- your name?\n")) => Ok(eve),
                other => Err(format!("{other:?}")),
            }
        });
        eve.hears("* eve has come\n");
        eve.says("/who\n");
        eve.hears("- eve bob cat dan\n");
    });
}

#[test]
fn who_does_not_read_is_dropped_while_the_others_go_on() {
    inside(|| {
        let _machine = start();
        let mut guests: Vec<Guest> = SEATS[..3].iter().map(|name| Guest::join(name)).collect();
        let slow = Guest::join("slow");
        rustix::net::sockopt::set_socket_recv_buffer_size(slow.stream.get_ref(), 2_048).unwrap();
        guests.iter_mut().for_each(|guest| guest.hears("* slow has come\n"));
        let words = "x".repeat(100);
        let mut rounds = 0;
        while !guests[0].heard.contains("* slow was dropped: too slow\n") {
            // Each line of each is heard by all before the next.
            for (guest, name) in guests.iter_mut().zip(SEATS) {
                guest.says(&format!("{rounds} {name} {words}\n"));
            }
            for guest in &mut guests {
                for name in SEATS.iter().take(3) {
                    guest.hears_of(&format!("{name}: {rounds} {name} {words}\n"));
                }
            }
            rounds += 1;
            assert!(rounds < 2_000, "it is never dropped");
        }
        println!("dropped after {rounds} rounds");
        let stories: Vec<Vec<&str>> =
            guests.iter().map(|guest| guest.story("* slow has come")).collect();
        let length = stories.iter().map(Vec::len).min().unwrap();
        assert!(length > 3 * 20);
        assert!(stories.iter().all(|story| story[..length] == stories[0][..length]));
        // Its seat is free again.
        let dan = settles("a seat is free", || {
            let mut dan = Guest::connect();
            dan.says("dan\n");
            match dan.line() {
                Ok(Some("- your name?\n")) => Ok(dan),
                other => Err(format!("{other:?}")),
            }
        });
        drop((dan, slow));
    });
}
