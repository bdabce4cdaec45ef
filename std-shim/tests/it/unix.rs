//! Unix sockets: by path, by pair, and with a server on top.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream as StdStream};
use std::path::Path;
use std::thread;
use std::time::Duration as StdDuration;

use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::reactor::Reactor;
use dustdevil_core::stream::{IoStream, RawStream};
use dustdevil_core::tcp::{Tcp, TcpListener, TcpServer};
use dustdevil_core::time::Duration;
use dustdevil_core::wake::Wakes;
use dustdevil_http::{Capacity, Exchange, Fault, Limits, Sent, Server, routes, text};
use dustdevil_std::netutil::Bind;
use dustdevil_std::watch::Host;
use dustdevil_std::{Epoll, unix, zeroed};

use crate::reactor::{PATIENCE, run};
use crate::util::TempDir;

fn client(path: &Path) -> StdStream {
    let client = StdStream::connect(path).unwrap();
    client.set_read_timeout(Some(StdDuration::from_secs(20))).unwrap();
    client
}

async fn echo(stream: Tcp<'_>) {
    let (handle, mut buffer, mut line) = (stream.handle(), [0; 64], [0; 64]);
    let mut stream = IoStream::new(stream, &mut buffer);
    while let Ok(read) = stream.read_until(b"\n", 64).await {
        let len = read.len();
        line[..len].copy_from_slice(read);
        if &line[..len] == b"quit\n" {
            return handle.stop();
        }
        stream.write(&line[..len]).await.unwrap();
    }
}

#[test]
fn a_tcp_server_serves_a_path() {
    let folder = TempDir::new("serve");
    let path = folder.path("socket");
    run(async |host| {
        let token = unix::listen(host, &path, 0o600, 16).unwrap();
        let listener = TcpListener::from_token(host.handle(), token);
        let mut memory = zeroed(16 * 1024);
        let server = TcpServer::new(listener, &mut memory.block(), 4, |stream, peer| {
            assert_eq!(peer, "0.0.0.0:0".parse().unwrap());
            echo(stream)
        });
        let at = path.clone();
        let clients = thread::spawn(move || {
            for round in 0..20 {
                let mut client = client(&at);
                let line = format!("round {round}\n");
                client.write_all(line.as_bytes()).unwrap();
                let mut answer = vec![0; line.len()];
                client.read_exact(&mut answer).unwrap();
                assert_eq!(answer, line.as_bytes());
            }
            client(&at).write_all(b"quit\n").unwrap();
        });
        server.await;
        clients.join().unwrap();
    });
}

#[test]
fn streams_connect_by_path_and_by_pair() {
    let folder = TempDir::new("connect");
    let path = folder.path("socket");
    run(async |host| {
        let listener = UnixListener::bind(&path).unwrap();
        let (mut one, mut other) = ([0; 64], [0; 64]);
        let mut mine = IoStream::new(unix::connect(host, &path).await.unwrap(), &mut one);
        let (mut theirs, _) = listener.accept().unwrap();
        mine.write(b"hello\n").await.unwrap();
        theirs.read_exact(&mut [0; 6]).unwrap();
        theirs.write_all(b"you said hello\n").unwrap();
        assert_eq!(mine.read_until(b"\n", 64).await.unwrap(), b"you said hello\n");
        theirs.write_all(b"last").unwrap();
        drop(theirs);
        assert_eq!(mine.read_until_close(64).await.unwrap(), b"last");
        drop(mine);

        let (one_end, other_end) = unix::pair(host).unwrap();
        assert_eq!((one_end.peer_addr(), one_end.local_addr()), (None, None));
        assert_eq!(one_end.set_nodelay(true), Ok(()), "it never waits anyway");
        let mut one = IoStream::new(one_end, &mut one);
        let mut other = IoStream::new(other_end, &mut other);
        one.write(b"to\n").await.unwrap();
        other.write(b"fro\n").await.unwrap();
        assert_eq!(other.read_until(b"\n", 64).await.unwrap(), b"to\n");
        assert_eq!(one.read_until(b"\n", 64).await.unwrap(), b"fro\n");
    });
}

#[test]
fn a_connect_waits_for_a_backlog_that_is_full() {
    let folder = TempDir::new("backlog");
    let path = folder.path("socket");
    run(async |host| {
        let listener: UnixListener = unix::bind_unix_socket(&path, 0o600, 0).unwrap().into();
        let waiting = unix::connect(host, &path).await.unwrap(); // a backlog of 0 takes one
        let blocked = unix::connect(host, &path);
        let span = Duration::from_millis(30);
        assert!(host.handle().timeout(span, blocked).await.is_err(), "there is no room");
        listener.set_nonblocking(false).unwrap();
        let acceptor = thread::spawn(move || (listener.accept().unwrap(), listener));
        let second = unix::connect(host, &path).await.unwrap();
        acceptor.join().unwrap();
        drop((waiting, second));
    });
}

#[test]
fn errors_of_connecting_say_what_is_wrong() {
    let folder = TempDir::new("errors");
    let (stale, missing) = (folder.path("stale"), folder.path("missing"));
    drop(UnixListener::bind(&stale).unwrap());
    run(async |host| {
        for (path, kind) in [
            (missing.clone(), ErrorKind::NotFound),
            (stale.clone(), ErrorKind::ConnectionRefused),
            (folder.path(&"x".repeat(200)), ErrorKind::InvalidInput),
        ] {
            let Err(error) = unix::connect(host, &path).await else { panic!("{path:?}") };
            assert_eq!(error.kind, kind, "{path:?}");
        }
    });
}

#[test]
fn a_socket_in_the_way_is_replaced_and_anything_else_is_not() {
    let folder = TempDir::new("stale");
    let path = folder.path("socket");
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
    for wanted in [0o600, 0o666, 0o640] {
        let first = unix::bind_unix_socket(&path, wanted, 4).unwrap();
        assert_eq!(mode(), wanted, "{wanted:o}: whatever the umask says");
        drop(client(&path));
        drop(first);
        assert!(path.exists(), "the file stays, and the next one replaces it");
    }
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    let refused = unix::bind_unix_socket(&path, 0o600, 4).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    let refused = unix::bind_unix_socket(folder.path("no/such"), 0o600, 4).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::NotFound);
}

#[test]
fn an_abstract_name_has_no_file() {
    let name = format!("\0dustdevil-test-{}", std::process::id());
    run(async |host| {
        let listener = unix::listen(host, &name, 0o600, 4).unwrap();
        let taken = unix::listen(host, &name, 0o600, 4).unwrap_err();
        assert_eq!(taken.kind, ErrorKind::AddrInUse);
        let _client = unix::connect(host, &name).await.unwrap();
        let listener = TcpListener::from_token(host.handle(), listener);
        listener.accept().await.unwrap();
    });
}

#[test]
fn only_sockets_that_fit_are_adopted() {
    run(async |host| {
        let (stream, _peer) = StdStream::pair().unwrap();
        let refused = host.adopt_listener(stream.try_clone().unwrap().into());
        assert_eq!(refused.unwrap_err().kind, ErrorKind::InvalidInput);
        assert!(host.adopt_stream(stream.into()).is_ok());

        let (datagrams, _) = std::os::unix::net::UnixDatagram::pair().unwrap();
        let file = fs::File::open("/dev/null").unwrap();
        for other in [OwnedFd::from(datagrams), OwnedFd::from(file)] {
            assert!(host.adopt_stream(other).is_err());
        }
        // Sockets at several addresses, as of bind_sockets.
        let sockets = Bind { address: Some("127.0.0.1"), ..Bind::new(0) }.sockets().unwrap();
        for socket in sockets {
            let listener =
                TcpListener::from_token(host.handle(), host.adopt_listener(socket).unwrap());
            let _peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (accepted, peer) = listener.accept().await.unwrap();
            assert!(peer.ip().is_loopback());
            accepted.abort();
        }
    });
}

struct App;

routes!(App { GET "/" => hello });

async fn hello(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.out.reply(text("Hello, path")).await
}

#[test]
fn an_http_server_serves_a_path() {
    let folder = TempDir::new("http");
    let path = folder.path("socket");
    let capacity = Capacity::for_connections(4);
    let tables_capacity = capacity.reactor();
    let mut tables = zeroed(tables_capacity.plus_timers(1).bytes());
    let mut memory = zeroed(capacity.bytes::<App>());
    let wakes: &'static Wakes<1024> = Box::leak(Box::new(Wakes::new()));
    let reactor =
        Reactor::new(Epoll::new().unwrap(), tables.block(), tables_capacity.plus_timers(1), wakes);
    let host = Host::from(&reactor);
    let listener = unix::listen(host, &path, 0o600, 16).unwrap();
    let server = Server::new(&App, memory.block(), capacity, Limits::DEFAULT);
    let (done, stop) = std::sync::mpsc::channel();
    let asking = thread::spawn(move || {
        for _ in 0..10 {
            let mut client = client(&path);
            client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(answer.ends_with("Hello, path"), "{answer}");
        }
        done.send(()).unwrap();
    });
    let handle = host.handle();
    let asked = async {
        let deadline = handle.now() + PATIENCE;
        while stop.try_recv().is_err() {
            assert!(handle.now() < deadline, "it is not answered");
            handle.sleep(Duration::from_millis(2)).await;
        }
    };
    reactor.run(server.serve_until(&reactor, listener, asked));
    asking.join().unwrap();
}
