//! Listeners, clients, servers and datagrams.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use dustdevil_core::sim::Script;
use dustdevil_core::stream::IoStream;
use dustdevil_core::tcp::{Tcp, TcpListener, TcpServer};
use dustdevil_core::udp::UdpSocket;
use embassy_futures::join::join;
use embassy_futures::select::select;

use super::{Case, Cut, Scene, cases};
use crate::util::{MINUTE, at, memory, millis};

pub(super) const CASES: &[Case] = cases![
    accept: 1,
    connect: 1,
    connect_from: 1,
    connect_any: 1,
    serve: 2,
    recv_from: 1,
    send_to: 0,
];

fn far() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 9], 7))
}

fn greeter() -> Script {
    Script::new("greeter").send(b"hello").expect_close(MINUTE)
}

/// Reads the peer's greeting, and closes.
async fn greeted(tcp: Tcp<'_>) {
    let mut buffer = [0; 8];
    let mut stream = IoStream::new(tcp, &mut buffer);
    assert_eq!(stream.read_bytes(5).await, Ok(&b"hello"[..]));
}

/// Both connections are accepted, whatever was dropped before.
async fn accept(scene: &Scene<'_>, cut: Cut) -> bool {
    let listener = TcpListener::bind(scene.rt, at(), 4).unwrap();
    scene.world.connect(at(), millis(1), greeter());
    scene.world.connect(at(), millis(2), greeter());
    let first = cut.of(scene, listener.accept()).await.map(|accepted| accepted.unwrap().0);
    let is_done = first.is_some();
    let first = match first {
        Some(tcp) => tcp,
        None => listener.accept().await.unwrap().0,
    };
    let (second, _) = listener.accept().await.unwrap();
    join(greeted(first), greeted(second)).await;
    is_done
}

async fn connect(scene: &Scene<'_>, cut: Cut) -> bool {
    scene.world.listen_peer(far(), greeter);
    let tcp = cut.of(scene, scene.client.connect(far())).await;
    let is_done = tcp.is_some();
    drop(tcp);
    assert_eq!(scene.rt.snapshot().sources, 0, "it closes what it began");
    greeted(scene.client.connect(far()).await.unwrap()).await;
    is_done
}

async fn connect_from(scene: &Scene<'_>, cut: Cut) -> bool {
    scene.world.listen_peer(far(), greeter);
    let any = SocketAddr::from(([0, 0, 0, 0], 0));
    let tcp = cut.of(scene, scene.client.connect_from(any, far())).await;
    let is_done = tcp.is_some();
    drop(tcp);
    assert_eq!(scene.rt.snapshot().sources, 0, "it closes what it began");
    greeted(scene.client.connect_from(any, far()).await.unwrap()).await;
    is_done
}

async fn connect_any(scene: &Scene<'_>, cut: Cut) -> bool {
    scene.world.listen_peer(far(), greeter);
    let nobody = "[fd00::9]:7".parse().unwrap();
    let to = [nobody, far()];
    let tcp = cut.of(scene, scene.client.connect_any(&to, MINUTE)).await;
    let is_done = tcp.is_some();
    drop(tcp);
    assert_eq!(scene.rt.snapshot().sources, 0, "it closes what it began");
    greeted(scene.client.connect_any(&to, MINUTE).await.unwrap()).await;
    is_done
}

/// A server that is dropped takes its connections with it; a new one in its memory serves on.
async fn serve(scene: &Scene<'_>, cut: Cut) -> bool {
    let serve = async |tcp: Tcp<'_>| {
        let mut buffer = [0; 8];
        let mut stream = IoStream::new(tcp, &mut buffer);
        while let Ok(byte) = stream.read_bytes(1).await {
            let byte = byte[0];
            if stream.write(&[byte]).await.is_err() {
                return;
            }
        }
    };
    let handler = |tcp, _| serve(tcp);
    let mut slots = memory(TcpServer::bytes(&handler, 2));
    let peer = || Script::new("x").tolerant().send(b"abc").expect_contains(b"abc", MINUTE).fin();
    scene.world.connect(at(), millis(1), peer().expect_end(MINUTE));
    let listener = TcpListener::bind(scene.rt, at(), 4).unwrap();
    let server = TcpServer::new(listener, &mut slots.block(), 2, handler);
    let stops = scene.rt.timeout(millis(800), std::future::pending::<()>());
    let served = Box::pin(cut.of(scene, select(server, stops))).await;
    assert_eq!(scene.rt.snapshot().sources, 0, "the server closes what it has");

    let listener = TcpListener::bind(scene.rt, at(), 4).unwrap();
    let record = peer();
    let (record, peer) = (record.record(), record.expect_close(MINUTE));
    scene.world.connect(at(), millis(1), peer);
    let server = TcpServer::new(listener, &mut slots.block(), 2, handler);
    let stops = scene.rt.timeout(MINUTE, scene.world.peers_gone());
    select(server, stops).await;
    assert!(record.outcome().is_finished);
    served.is_some()
}

async fn recv_from(scene: &Scene<'_>, cut: Cut) -> bool {
    let socket = UdpSocket::bind(scene.reactor, at()).unwrap();
    let mut received = Vec::new();
    let mut buf = [0; 8];
    for number in 0..3_u8 {
        let world = scene.world.clone();
        scene.world.after(millis(10 * u64::from(number)), move || {
            world.send_datagram(far(), at(), &[number]);
        });
    }
    let first = cut.of(scene, socket.recv_from(&mut buf)).await;
    let is_done = first.is_some();
    received.extend(first.map(|first| first.unwrap().data[0]));
    while received.len() < 3 {
        received.push(socket.recv_from(&mut buf).await.unwrap().data[0]);
    }
    received.sort_unstable();
    assert_eq!(received, [0, 1, 2]);
    is_done
}

async fn send_to(scene: &Scene<'_>, cut: Cut) -> bool {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let sees = seen.clone();
    scene.world.bind_peer(far(), move |_, data, _| sees.borrow_mut().push(data.to_vec()));
    let socket = UdpSocket::bind(scene.reactor, at()).unwrap();
    let done = cut.of(scene, socket.send_to(b"one", far())).await;
    if done.is_none() {
        socket.send_to(b"one", far()).await.unwrap();
    }
    drop(socket);
    scene.rt.sleep(MINUTE).await;
    assert_eq!(*seen.borrow(), [b"one"], "sent once");
    done.is_some()
}
