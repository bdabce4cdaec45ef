//! The firmware `udp-check`: datagrams, and connections that the board opens.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::thread;

use qemu::firmware::Address;
use qemu::machine::{Machine, Network};

use crate::util::PATIENCE;
use crate::util::board::{AT_IP, built};
use crate::util::namespace::{TAP, inside, wait_for_carrier};

const AT: SocketAddr = SocketAddr::new(IpAddr::V4(AT_IP), 7);

fn start() -> (Machine, UdpSocket) {
    let firmware = built("udp-check", &Address::fixed("192.0.2.2/24", None));
    let machine = Machine::of(&firmware).network(Network::Tap { name: TAP.to_owned() });
    let machine = machine.start().expect("QEMU");
    let listens = format!("listening on {AT}");
    machine.wait_for(&listens, PATIENCE).unwrap_or_else(|error| panic!("{error:#}"));
    wait_for_carrier();
    let socket = UdpSocket::bind("192.0.2.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(AT).unwrap();
    (machine, socket)
}

#[track_caller]
fn ask(socket: &UdpSocket, question: &[u8]) -> Vec<u8> {
    socket.send(question).unwrap();
    let mut answer = [0; 2_000];
    let len = socket.recv(&mut answer).expect("an answer in time");
    answer[..len].to_vec()
}

#[test]
fn every_length_comes_back_whole() {
    inside(|| {
        let (_machine, socket) = start();
        for len in (0..=1_472).step_by(92).chain([1, 2, 3, 1_471]) {
            let question: Vec<u8> = (0..len).map(|at: u32| at as u8).collect();
            assert_eq!(ask(&socket, &question), question, "{len} bytes");
        }
        for number in 0..1_000_u32 {
            let question = number.to_be_bytes();
            assert_eq!(ask(&socket, &question), question);
        }
    });
}

/// More than the board can hold: some are lost, none is another's, and it goes on.
#[test]
fn a_flood_is_survived() {
    inside(|| {
        let (_machine, socket) = start();
        for number in 0..2_000_u32 {
            socket.send(&number.to_be_bytes()).unwrap();
        }
        socket.send(b"last").unwrap();
        // A datagram that finds its buffer full is lost, so the end is asked for until it comes.
        socket.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
        let mut came = 0;
        for _ in 0..5_000 {
            let mut answer = [0; 16];
            match socket.recv(&mut answer) {
                Ok(4) if &answer[..4] == b"last" => return assert!(came > 0),
                Ok(4) => came += 1,
                Ok(len) => panic!("{len} bytes"),
                Err(_) => drop(socket.send(b"last").unwrap()),
            }
        }
        panic!("no answer to the last of them");
    });
}

#[test]
fn the_board_connects_and_speaks() {
    inside(|| {
        let (_machine, socket) = start();
        let listener = TcpListener::bind("192.0.2.1:0").unwrap();
        let connect = format!("connect {}", listener.local_addr().unwrap());
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..20 {
                    let (mut peer, from) = listener.accept().unwrap();
                    assert_eq!(from.ip(), IpAddr::V4(AT_IP));
                    let mut line = String::new();
                    BufReader::new(peer.try_clone().unwrap()).read_line(&mut line).unwrap();
                    assert_eq!(line, "from the board\n");
                    peer.write_all(format!("round {round}\n").as_bytes()).unwrap();
                }
            });
            for round in 0..20 {
                let answer = ask(&socket, connect.as_bytes());
                assert_eq!(String::from_utf8(answer).unwrap(), format!("round {round}\n"));
            }
        });
        // One that refuses, and then everything goes on.
        drop(listener);
        assert_eq!(ask(&socket, connect.as_bytes()), b"no answer");
        assert_eq!(ask(&socket, b"and on"), b"and on");
    });
}
