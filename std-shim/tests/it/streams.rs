//! Tornado's streams, TCP server and client over epoll, against sockets of std.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream};
use std::thread;

use dustdevil_core::handle::Handle;
use dustdevil_core::reactor::{Capacity, Reactor};
use dustdevil_core::stream::IoStream;
use dustdevil_core::tcp::{Tcp, TcpClient, TcpListener, TcpServer};
use dustdevil_core::time::Duration;
use dustdevil_core::wake::Wakes;
use dustdevil_std::{Epoll, zeroed};

const CONNECTIONS: usize = 4;
const CAPACITY: Capacity = Capacity { sources: 1, timers: 4, groups: 0, tasks: 1, waiters: 4 }
    .plus_streams(CONNECTIONS + 1)
    .plus_tasks(CONNECTIONS);
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends every line back; "quit" asks the reactor to stop.
async fn echo(tcp: Tcp<'_>) {
    let handle = tcp.handle();
    let (mut buffer, mut line) = ([0; 64], [0; 64]);
    let mut stream = IoStream::new(tcp, &mut buffer);
    while let Ok(read) = stream.read_until(b"\n", 64).await {
        let len = read.len();
        line[..len].copy_from_slice(read);
        if &line[..len] == b"quit\n" {
            return handle.stop();
        }
        if stream.write(&line[..len]).await.is_err() {
            return;
        }
    }
}

fn ask(at: SocketAddr, lines: &[&str]) {
    let mut peer = TcpStream::connect(at).unwrap();
    let mut reader = BufReader::new(peer.try_clone().unwrap());
    for line in lines {
        peer.write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        reader.read_line(&mut answer).unwrap();
        assert_eq!(answer, *line);
    }
}

#[test]
fn a_server_of_streams_serves_more_clients_than_it_has_tasks() {
    let (mut tables, mut memory) = (zeroed(CAPACITY.bytes()), zeroed(64 * 1024));
    let wakes: &'static Wakes<16> = Box::leak(Box::new(Wakes::new()));
    let reactor = Reactor::new(Epoll::new().unwrap(), tables.block(), CAPACITY, wakes);
    let handle = Handle::from(&reactor);
    let listener = TcpListener::bind(handle, "127.0.0.1:0".parse().unwrap(), 64).unwrap();
    let at = listener.local_addr().unwrap();
    let server = TcpServer::new(listener, &mut memory.block(), CONNECTIONS, |tcp, _| echo(tcp));

    let clients = thread::spawn(move || {
        let asking: Vec<_> = (0..4 * CONNECTIONS)
            .map(|_| thread::spawn(move || ask(at, &["one\n", "two\n", "three\n"])))
            .collect();
        asking.into_iter().for_each(|client| client.join().unwrap());
        TcpStream::connect(at).unwrap().write_all(b"quit\n").unwrap();
    });
    reactor.run(handle.timeout(PATIENCE, server)).expect("stopped by the last client");
    clients.join().unwrap();
}

#[test]
fn a_client_connects_and_reads_lines() {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let peer = thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(peer.try_clone().unwrap()).read_line(&mut line).unwrap();
        peer.write_all(format!("you said: {line}").as_bytes()).unwrap();
    });
    let mut tables = zeroed(CAPACITY.bytes());
    let wakes: &'static Wakes<16> = Box::leak(Box::new(Wakes::new()));
    let reactor = Reactor::new(Epoll::new().unwrap(), tables.block(), CAPACITY, wakes);
    let handle = Handle::from(&reactor);
    let talk = async {
        let mut buffer = [0; 64];
        let tcp = TcpClient::new(&reactor).connect(at).await.unwrap();
        let mut stream = IoStream::new(tcp, &mut buffer);
        stream.write(b"hello\n").await.unwrap();
        assert_eq!(stream.read_until(b"\n", 64).await.unwrap(), b"you said: hello\n");
        assert!(stream.read_bytes(1).await.is_err(), "the peer has closed");
    };
    reactor.run(handle.timeout(PATIENCE, talk)).expect("in time");
    peer.join().unwrap();
}
