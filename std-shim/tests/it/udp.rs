//! Datagrams on Linux, against the standard library's sockets.

use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::thread;
use std::time::Duration as StdDuration;

use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::handle::Handle;
use dustdevil_core::nb;
use dustdevil_core::poller::{Error, Readiness};
use dustdevil_core::reactor::{Capacity, Reactor};
use dustdevil_core::tcp::TcpClient;
use dustdevil_core::time::Duration;
use dustdevil_core::udp::{Received, UdpSocket};
use dustdevil_core::wake::Wakes;
use dustdevil_std::{Epoll, zeroed};

const CAPACITY: Capacity =
    Capacity { sources: 0, timers: 4, groups: 0, tasks: 1, waiters: 0 }.plus_streams(4);

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn with_reactor<R>(test: impl FnOnce(&Reactor<'_, Epoll>) -> R) -> R {
    let mut tables = zeroed(CAPACITY.bytes());
    let wakes: &'static Wakes<1> = Box::leak(Box::new(Wakes::new()));
    test(&Reactor::new(Epoll::new().unwrap(), tables.block(), CAPACITY, wakes))
}

fn run<T>(reactor: &Reactor<'_, Epoll>, future: impl Future<Output = T>) -> T {
    reactor.run(Handle::from(reactor).timeout(PATIENCE, future)).expect("in time")
}

fn any(family: u32) -> SocketAddr {
    if family == 4 { "127.0.0.1:0" } else { "[::1]:0" }.parse().unwrap()
}

/// A socket of the standard library's that waits, but not for ever.
fn peer(family: u32) -> (StdSocket, SocketAddr) {
    let socket = StdSocket::bind(any(family)).unwrap();
    socket.set_read_timeout(Some(StdDuration::from_secs(20))).unwrap();
    let at = socket.local_addr().unwrap();
    (socket, at)
}

#[test]
fn datagrams_go_both_ways_whole_cut_and_empty() {
    for family in [4, 6] {
        with_reactor(|reactor| {
            let socket = UdpSocket::bind(reactor, any(family)).unwrap();
            let own = socket.local_addr().unwrap();
            let (peer, at) = peer(family);
            run(reactor, async {
                let mut buf = [0; 16];
                for (data, cut) in [(&b"hello"[..], 0), (b"", 0), (b"0123456789abcdefXYZ", 3)] {
                    peer.send_to(data, own).unwrap();
                    let received = socket.recv_from(&mut buf).await.unwrap();
                    let kept = &data[..data.len() - cut];
                    assert_eq!(received, Received { data: kept, from: at, cut });
                    socket.send_to(data, at).await.unwrap();
                    let mut heard = [0; 64];
                    let (len, from) = peer.recv_from(&mut heard).unwrap();
                    assert_eq!((&heard[..len], from), (data, own));
                }
            });
        });
    }
}

/// Edge-triggered: what is there is read to its end, however short each of it is.
#[test]
fn a_batch_is_received_without_another_event() {
    with_reactor(|reactor| {
        let socket = UdpSocket::bind(reactor, any(4)).unwrap();
        let own = socket.local_addr().unwrap();
        let (peer, _) = peer(4);
        for number in 0..100 {
            peer.send_to(&[number], own).unwrap();
        }
        run(reactor, async {
            let mut buf = [0; 512];
            for number in 0..100 {
                assert_eq!(socket.recv_from(&mut buf).await.unwrap().data, [number]);
            }
            assert_eq!(socket.try_recv_from(&mut buf), Err(nb::Error::WouldBlock));
            assert!(!reactor.readiness(socket.token()).intersects(Readiness::READ));
        });
    });
}

#[test]
fn a_thousand_questions_are_answered_over_the_loopback() {
    with_reactor(|reactor| {
        let socket = UdpSocket::bind(reactor, any(4)).unwrap();
        let own = socket.local_addr().unwrap();
        let asking = thread::spawn(move || {
            let (peer, _) = peer(4);
            for number in 0..1_000_u32 {
                peer.send_to(&number.to_be_bytes(), own).unwrap();
                let mut buf = [0; 8];
                let (len, from) = peer.recv_from(&mut buf).unwrap();
                assert_eq!((&buf[..len], from), (&number.to_be_bytes()[..], own));
            }
        });
        run(reactor, async {
            let mut buf = [0; 8];
            for _ in 0..1_000 {
                let Received { data, from, .. } = socket.recv_from(&mut buf).await.unwrap();
                socket.send_to(data, from).await.unwrap();
            }
        });
        asking.join().unwrap();
    });
}

/// A port at which nobody listens answers with ICMP: that is no error of a socket that serves many.
#[test]
fn a_port_without_a_listener_disturbs_nobody() {
    with_reactor(|reactor| {
        let socket = UdpSocket::bind(reactor, any(4)).unwrap();
        let own = socket.local_addr().unwrap();
        let (gone, nobody) = peer(4);
        drop(gone);
        let (peer, at) = peer(4);
        run(reactor, async {
            let mut buf = [0; 16];
            for _ in 0..20 {
                socket.send_to(b"anybody?", nobody).await.unwrap();
                peer.send_to(b"yes", own).unwrap();
                let received = socket.recv_from(&mut buf).await.unwrap();
                assert_eq!((received.data, received.from), (&b"yes"[..], at));
                assert_eq!(
                    reactor.readiness(socket.token()).without(Readiness::READ),
                    Readiness::WRITE
                );
            }
        });
    });
}

#[test]
fn what_cannot_be_sent_or_bound_is_refused() {
    with_reactor(|reactor| {
        let socket = UdpSocket::bind(reactor, any(4)).unwrap();
        let own = socket.local_addr().unwrap();
        let kind = |result: nb::Result<(), Error>| match result {
            Err(nb::Error::Other(error)) => error.kind,
            other => panic!("{other:?}"),
        };
        assert_eq!(kind(socket.try_send_to(&[0; 65_508], own)), ErrorKind::InvalidInput);
        assert_eq!(socket.try_send_to(&[0; 65_507], own), Ok(()));
        for to in ["127.0.0.1:0", "0.0.0.0:7", "[::1]:7"] {
            assert_eq!(
                kind(socket.try_send_to(b"x", to.parse().unwrap())),
                ErrorKind::InvalidInput,
                "{to}"
            );
        }
        let bind = |at: SocketAddr| UdpSocket::bind(reactor, at).err().map(|error| error.kind);
        assert_eq!(bind(own), Some(ErrorKind::AddrInUse));
        assert_eq!(bind("192.0.2.1:0".parse().unwrap()), Some(ErrorKind::AddrNotAvailable));
        drop(socket);
        assert_eq!(bind(own), None, "its port is free again");
    });
}

/// Two sockets in one group, on the loopback's interface.
#[test]
fn a_group_is_joined_and_left() {
    with_reactor(|reactor| {
        let group = "224.0.0.251".parse().unwrap();
        let socket = UdpSocket::bind(reactor, "0.0.0.0:0".parse().unwrap()).unwrap();
        assert_eq!(
            socket.join("10.0.0.1".parse().unwrap()).map_err(|e| e.kind),
            Err(ErrorKind::InvalidInput)
        );
        assert_eq!(
            socket.join("ff02::fb".parse().unwrap()).map_err(|e| e.kind),
            Err(ErrorKind::InvalidInput)
        );
        let refused = socket.leave(group).map_err(|error| error.kind);
        assert_eq!(refused, Err(ErrorKind::AddrNotAvailable), "it is in none");
        // A host without a network has no interface for groups.
        let Ok(()) = socket.join(group) else { return };
        assert_eq!(socket.join(group), Ok(()), "twice is once");
        let to = SocketAddr::new(group, socket.local_addr().unwrap().port());
        let sender = StdSocket::bind("0.0.0.0:0").unwrap();
        if sender.send_to(b"to all", to).is_ok() {
            let mut buf = [0; 16];
            assert_eq!(run(reactor, socket.recv_from(&mut buf)).unwrap().data, b"to all");
        }
        assert_eq!(socket.leave(group), Ok(()));
    });
}

#[test]
fn a_client_connects_from_where_it_is_told() {
    with_reactor(|reactor| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let client = TcpClient::new(reactor);
        run(reactor, async {
            let source = "127.0.0.9:0".parse().unwrap();
            let tcp = client.connect_from(source, at).await.unwrap();
            let (_, peer) = listener.accept().unwrap();
            assert_eq!(peer.ip().to_string(), "127.0.0.9");
            assert_eq!(tcp.local_addr(), Some(peer));
            tcp.handle().set_nodelay(tcp.token(), false).unwrap();
            for (source, kind) in [
                ("192.0.2.1:0", ErrorKind::AddrNotAvailable),
                ("[::1]:0", ErrorKind::AddrNotAvailable),
            ] {
                let refused = client.connect_from(source.parse().unwrap(), at).await;
                assert_eq!(refused.err().map(|error| error.kind), Some(kind), "{source}");
            }
        });
    });
}

#[test]
fn an_address_that_refuses_makes_room_for_the_others() {
    with_reactor(|reactor| {
        let v4 = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let Ok(v6) = std::net::TcpListener::bind("[::1]:0") else { return };
        let gone = std::net::TcpListener::bind("[::1]:0").unwrap();
        let nobody = gone.local_addr().unwrap();
        drop(gone);
        let client = TcpClient::new(reactor);
        let to = [nobody, v4.local_addr().unwrap(), v6.local_addr().unwrap()];
        let tcp = run(reactor, client.connect_any(&to, PATIENCE)).unwrap();
        assert!(to[1..].contains(&tcp.peer_addr().unwrap()));
    });
}
