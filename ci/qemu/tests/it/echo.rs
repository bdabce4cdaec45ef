//! The firmware `echo`: the same handler over TCP and over the second serial port, at once.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread;

use qemu::firmware::Address;
use qemu::machine::{Machine, Network};

use crate::util::PATIENCE;
use crate::util::board::{AT_IP, built};
use crate::util::namespace::{TAP, inside, wait_for_carrier};

const AT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(AT_IP), 7);

/// Connections of the firmware.
const CONNECTIONS: usize = 4;

const TOO_LONG: &str = "a line has at most 256 bytes\n";

/// The board, and who sits at its serial port.
fn start() -> (Machine, Line<UnixStream>) {
    let firmware = built("echo", &Address::fixed("192.0.2.2/24", None));
    let machine = Machine::of(&firmware).network(Network::Tap { name: TAP.to_owned() });
    let machine = machine.second_serial().start().expect("QEMU");
    let serial = machine.second_serial(PATIENCE).expect("the line's other end");
    serial.set_read_timeout(Some(PATIENCE)).unwrap();
    serial.set_write_timeout(Some(PATIENCE)).unwrap();
    let listens = format!("listening on {AT}");
    machine.wait_for(&listens, PATIENCE).unwrap_or_else(|error| panic!("{error:#}"));
    wait_for_carrier();
    (machine, Line(BufReader::new(serial)))
}

fn connect() -> Line<TcpStream> {
    let stream = TcpStream::connect_timeout(&AT, PATIENCE).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    Line(BufReader::new(stream))
}

/// Something that lines come back from.
struct Line<S>(BufReader<S>);

impl<S: Read + Write> Line<S> {
    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    #[track_caller]
    fn answers(&mut self, wanted: &str) {
        let mut line = String::new();
        let read = self.0.read_line(&mut line);
        assert!(read.is_ok() && line == wanted, "{line:?}, not {wanted:?}: {read:?}");
    }

    #[track_caller]
    fn ask(&mut self, line: &str) {
        self.send(line);
        self.answers(line);
    }

    fn ends(mut self) {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}

#[test]
fn lines_come_back_over_tcp_and_serial_at_once() {
    inside(|| {
        let (_machine, mut serial) = start();
        // All are there before the first line.
        let clients: Vec<_> = (0..CONNECTIONS).map(|_| connect()).collect();
        thread::scope(|scope| {
            for (number, mut client) in clients.into_iter().enumerate() {
                scope.spawn(move || {
                    for round in 0..200 {
                        client.ask(&format!("{number} {round} {}\n", "t".repeat(round)));
                    }
                    client.send("one\ntwo\nthree\n");
                    ["one\n", "two\n", "three\n"].into_iter().for_each(|line| client.answers(line));
                });
            }
            for round in 0..200 {
                serial.ask(&format!("serial {round} {}\n", "s".repeat(round)));
            }
        });
    });
}

#[test]
fn too_long_a_line_ends_a_connection_and_not_the_port() {
    inside(|| {
        let (_machine, mut serial) = start();
        let long = "x".repeat(300);
        for round in 0..6 {
            let mut client = connect();
            client.ask("a\n");
            client.send(&format!("{long}\nunread\n"));
            client.answers(TOO_LONG);
            client.ends();
            // What a line holds is as much as the port's ring: it is sent in two parts.
            let (start, rest) = long.split_at(200);
            serial.ask("b\n");
            serial.send(start);
            serial.send(rest);
            serial.answers(TOO_LONG);
            serial.send("\n");
            serial.ask(&format!("after {round}\n"));
        }
    });
}

#[test]
fn one_more_than_there_is_room_for_waits_its_turn() {
    inside(|| {
        let (_machine, mut serial) = start();
        let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| connect()).collect();
        clients.iter_mut().for_each(|client| client.ask("here\n"));
        thread::scope(|scope| {
            let late = scope.spawn(|| connect().ask("late\n"));
            serial.ask("the port goes on\n");
            clients.iter_mut().for_each(|client| client.ask("and so do we\n"));
            assert!(!late.is_finished());
            clients.pop();
            late.join().unwrap();
        });
        clients.iter_mut().for_each(|client| client.ask("still\n"));
    });
}
