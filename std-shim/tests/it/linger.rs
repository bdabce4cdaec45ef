//! Closing: the response survives what the peer is still sending, and costs no more than it must.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread::{self, JoinHandle};

use dustdevil_core::poller::Transport;
use dustdevil_core::time::{Clock, Duration};
use dustdevil_std::linger::LINGER;

use crate::util::{PATIENCE, World};

const RESPONSE: &[u8] = b"HTTP/1.1 413 Content Too Large\r\n\r\n";

/// A client that sends a body whatever comes back, and only then reads.
fn stubborn(mut peer: TcpStream, body_bytes: usize) -> JoinHandle<std::io::Result<Vec<u8>>> {
    thread::spawn(move || {
        peer.write_all(&vec![b'x'; body_bytes])?;
        peer.shutdown(Shutdown::Write)?;
        let mut answer = Vec::new();
        peer.read_to_end(&mut answer)?;
        Ok(answer)
    })
}

#[test]
fn a_response_survives_unread_input() {
    // Less than a buffer, more than all buffers of both sides.
    for body_bytes in [1_000, 16 << 20] {
        let mut world = World::new();
        let (io, peer) = world.pair();
        let peer = stubborn(peer, body_bytes);
        world.wait_for(|_| true);
        assert!(!world.read(io, 100).unwrap().is_empty());
        world.epoll.write(io, RESPONSE).unwrap();
        world.epoll.close(io);
        assert_eq!(world.epoll.lingering(), 1);
        let since = world.epoll.now();
        while world.epoll.lingering() > 0 {
            assert_eq!(world.poll(), [], "events of the closed are nobody's");
        }
        assert!(world.epoll.now() - since < LINGER, "the peer's end ends it, not the deadline");
        assert_eq!(peer.join().unwrap().unwrap(), RESPONSE, "{body_bytes} bytes");
    }
}

#[test]
fn input_after_the_response_does_not_kill_it_either() {
    let mut world = World::new();
    let (io, mut peer) = world.pair();
    peer.write_all(b"POST / HTTP/1.1\r\n\r\n").unwrap();
    world.wait_for(|_| true);
    world.read(io, 64).unwrap();
    world.epoll.write(io, RESPONSE).unwrap();
    world.epoll.close(io); // nothing is unread, but the body is still on its way
    for _ in 0..10 {
        peer.write_all(b"a piece of body").unwrap();
        world.poll();
    }
    peer.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    peer.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, RESPONSE);
    world.poll();
    assert_eq!(world.epoll.lingering(), 0);
}

#[test]
fn an_idle_connection_is_simply_closed() {
    let mut world = World::new();
    let (io, mut peer) = world.pair();
    peer.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    world.wait_for(|_| true);
    world.read(io, 64).unwrap();
    world.epoll.write(io, RESPONSE).unwrap();
    world.poll_now(); // the turn is over
    world.epoll.close(io);
    assert_eq!(world.epoll.lingering(), 0);
    let mut answer = Vec::new();
    peer.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, RESPONSE);
}

#[test]
fn a_connection_that_was_never_answered_is_simply_closed() {
    let mut world = World::new();
    let (io, mut peer) = world.pair();
    peer.write_all(b"GET").unwrap();
    world.wait_for(|_| true);
    world.read(io, 3).unwrap();
    world.epoll.close(io);
    assert_eq!((world.epoll.lingering(), peer.read(&mut [0]).unwrap()), (0, 0));
}

#[test]
fn a_peer_that_never_closes_is_left_at_the_deadline() {
    let mut world = World::new();
    let (io, mut peer) = world.pair();
    world.epoll.write(io, RESPONSE).unwrap();
    let closed = world.epoll.now();
    world.epoll.close(io);
    assert_eq!(world.poll_for_ever(), [], "a wait without a deadline ends for it");
    let waited = world.epoll.now() - closed;
    assert_eq!(world.epoll.lingering(), 0, "after {waited:?}");
    assert!(waited >= LINGER && waited < LINGER + Duration::from_millis(1_000), "{waited:?}");
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = Vec::new();
    peer.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, RESPONSE);
}

#[test]
fn a_dead_connection_does_not_linger() {
    let mut world = World::new();
    let (io, peer) = world.pair();
    world.epoll.write(io, RESPONSE).unwrap();
    crate::util::reset(peer);
    world.wait_for(|_| true);
    world.epoll.close(io); // its error was not even read
    assert_eq!(world.epoll.lingering(), 0);
}

#[test]
fn a_closed_connection_lingers_though_it_was_never_registered() {
    let mut world = World::new();
    let peer = TcpStream::connect(world.at).unwrap();
    let (io, _) = world.accept();
    world.epoll.write(io, RESPONSE).unwrap();
    world.epoll.close(io);
    assert_eq!(world.epoll.lingering(), 1);
    drop(peer);
    while world.epoll.lingering() > 0 {
        world.poll();
    }
}
