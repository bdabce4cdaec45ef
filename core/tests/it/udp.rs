//! Datagrams in the simulator: what is kept of each, what is lost, and who is woken.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::handle::Handle;
use dustdevil_core::nb;
use dustdevil_core::poller::{Datagram, Error, Readiness, Transport};
use dustdevil_core::reactor::{Capacity, Reactor};
use dustdevil_core::sim::{Faults, Sim};
use dustdevil_core::udp::{Received, UdpSocket};
use embassy_futures::join::join;
use embassy_futures::select::select;

use crate::util::{BARE, MINUTE, SECOND, in_world, millis, seeds};

const CAPACITY: Capacity = BARE.plus_streams(2);

fn own(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

fn far(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 9], port))
}

#[test]
fn a_datagram_is_received_whole_or_says_what_was_cut() {
    // Its length, the buffer's, and what is kept and cut.
    let cases =
        [(5, 5, 5, 0), (5, 8, 5, 0), (0, 8, 0, 0), (9, 8, 8, 1), (3, 0, 0, 3), (0, 0, 0, 0)];
    in_world(1, Faults::NONE, CAPACITY, |world, reactor| {
        let socket = UdpSocket::bind(reactor, own(53)).unwrap();
        reactor.run(async {
            for (len, room, kept, cut) in cases {
                let data = &b"abcdefghi"[..len];
                world.send_datagram(far(7), own(53), data);
                let mut buf = vec![0; room];
                let received = socket.recv_from(&mut buf).await.unwrap();
                assert_eq!(received, Received { data: &data[..kept], from: far(7), cut });
            }
            let mut buf = [0; 8];
            assert_eq!(socket.try_recv_from(&mut buf), Err(nb::Error::WouldBlock));
        });
    });
}

#[test]
fn two_sockets_talk_to_each_other_and_to_peers() {
    in_world(1, Faults::NONE, CAPACITY, |world, reactor| {
        world.bind_peer(far(7), |from, data, end| end.send(from, &[data, b"!"].concat()));
        let one = UdpSocket::bind(reactor, "0.0.0.0:0".parse().unwrap()).unwrap();
        let other = UdpSocket::bind(reactor, own(53)).unwrap();
        let port = one.local_addr().unwrap().port();
        assert_ne!(port, 0);
        reactor.run(async {
            let mut buf = [0; 64];
            one.send_to(b"to the other", own(53)).await.unwrap();
            let Received { data, from, .. } = other.recv_from(&mut buf).await.unwrap();
            assert_eq!((data, from), (&b"to the other"[..], own(port)));
            other.send_to(b"", from).await.unwrap();
            assert_eq!(one.recv_from(&mut buf).await.unwrap().data, b"");
            one.send_to(b"echo", far(7)).await.unwrap();
            assert_eq!(one.recv_from(&mut buf).await.unwrap().data, b"echo!");
            // To nobody: that is no error.
            one.send_to(b"void", far(9)).await.unwrap();
        });
    });
}

#[test]
fn what_cannot_be_sent_is_refused_and_the_socket_goes_on() {
    in_world(1, Faults::NONE, CAPACITY, |_, reactor| {
        let socket = UdpSocket::bind(reactor, own(53)).unwrap();
        let invalid = Err(nb::Error::Other(Error::new(ErrorKind::InvalidInput)));
        for to in ["10.0.0.9:0", "0.0.0.0:7", "[fd00::9]:7"] {
            assert_eq!(socket.try_send_to(b"x", to.parse().unwrap()), invalid, "{to}");
        }
        assert_eq!(socket.try_send_to(&[0; 65_508], far(7)), invalid);
        assert_eq!(socket.try_send_to(&[0; 65_507], far(7)), Ok(()));
        let taken = UdpSocket::bind(reactor, own(53)).err().map(|error| error.kind);
        assert_eq!(taken, Some(ErrorKind::AddrInUse));
    });
}

#[test]
fn tables_without_room_refuse_and_dropped_sockets_make_some() {
    in_world(1, Faults { handles_max: 3, ..Faults::NONE }, CAPACITY, |world, reactor| {
        let kept = [1, 2].map(|port| UdpSocket::bind(reactor, own(port)).unwrap());
        let full = UdpSocket::bind(reactor, own(3)).err().map(|error| error.kind);
        assert_eq!(full, Some(ErrorKind::OutOfMemory), "of the reactor's sources");
        assert_eq!(world.open().sockets, 2, "and what was bound for it is closed");
        drop(kept);
        world.assert_all_closed();
        assert!(UdpSocket::bind(reactor, own(1)).is_ok());
    });
    in_world(1, Faults { handles_max: 1, ..Faults::NONE }, CAPACITY, |_, reactor| {
        let _kept = UdpSocket::bind(reactor, own(1)).unwrap();
        let full = UdpSocket::bind(reactor, own(2)).err().map(|error| error.kind);
        assert_eq!(full, Some(ErrorKind::OutOfMemory), "of the world's sockets");
    });
}

#[test]
fn a_sender_waits_for_room() {
    in_world(1, Faults { datagrams_max: 2, ..Faults::NONE }, CAPACITY, |world, reactor| {
        let came = Rc::new(Cell::new(0));
        let counted = came.clone();
        world.bind_peer(far(7), move |_, _, _| counted.set(counted.get() + 1));
        let socket = UdpSocket::bind(reactor, own(53)).unwrap();
        assert_eq!(socket.try_send_to(b"1", far(7)), Ok(()));
        assert_eq!(socket.try_send_to(b"2", far(7)), Ok(()));
        assert_eq!(socket.try_send_to(b"3", far(7)), Err(nb::Error::WouldBlock));
        reactor.run(async {
            for _ in 0..100 {
                socket.send_to(b"x", far(7)).await.unwrap();
            }
            socket.handle().sleep(SECOND).await;
        });
        assert_eq!(came.get(), 102);
    });
}

#[test]
fn what_finds_the_buffer_full_is_lost() {
    in_world(1, Faults { datagrams_max: 3, ..Faults::NONE }, CAPACITY, |world, reactor| {
        let socket = UdpSocket::bind(reactor, own(53)).unwrap();
        for number in 0..5 {
            world.send_datagram(far(7), own(53), &[number]);
        }
        reactor.run(async {
            socket.handle().sleep(SECOND).await;
            let mut buf = [0; 8];
            for number in 0..3 {
                assert_eq!(socket.recv_from(&mut buf).await.unwrap().data, [number]);
            }
            assert_eq!(socket.try_recv_from(&mut buf), Err(nb::Error::WouldBlock));
        });
    });
}

/// A short read drains no datagram socket, whatever the world promises of streams.
#[test]
fn a_short_read_leaves_the_rest_readable() {
    const { assert!(<Sim as Transport>::SHORT_READ_DRAINS) };
    in_world(1, Faults::NONE, CAPACITY, |world, reactor| {
        let socket = UdpSocket::bind(reactor, own(53)).unwrap();
        for number in 0..10 {
            world.send_datagram(far(7), own(53), &[number]);
        }
        reactor.run(async {
            socket.handle().sleep(SECOND).await;
            let mut buf = [0; 512];
            for number in 0..10 {
                assert!(reactor.readiness(socket.token()).intersects(Readiness::READ), "{number}");
                assert_eq!(socket.recv_from(&mut buf).await.unwrap().data, [number]);
            }
        });
    });
}

#[test]
fn groups_are_joined_and_left() {
    let group = "224.0.0.251".parse().unwrap();
    in_world(1, Faults::NONE, CAPACITY, |world, reactor| {
        let socket = UdpSocket::bind(reactor, "0.0.0.0:5353".parse().unwrap()).unwrap();
        let to = SocketAddr::new(group, 5353);
        let everybody = "255.255.255.255:5353".parse().unwrap();
        let expect = async |count: usize| {
            world.send_datagram(far(7), to, b"anybody?");
            socket.handle().sleep(millis(10)).await;
            let mut buf = [0; 16];
            let mut came = 0;
            while socket.try_recv_from(&mut buf).is_ok() {
                came += 1;
            }
            assert_eq!(came, count);
        };
        reactor.run(async {
            expect(0).await;
            socket.join(group).unwrap();
            socket.join(group).unwrap();
            expect(1).await;
            socket.leave(group).unwrap();
            let again = socket.leave(group).err().map(|error| error.kind);
            assert_eq!(again, Some(ErrorKind::AddrNotAvailable));
            expect(0).await;
            for none in ["10.0.0.1", "ff02::fb"] {
                let refused = socket.join(none.parse().unwrap()).err().map(|error| error.kind);
                assert_eq!(refused, Some(ErrorKind::InvalidInput), "{none}");
            }
            world.send_datagram(far(7), everybody, b"to all");
            let mut buf = [0; 16];
            assert_eq!(socket.recv_from(&mut buf).await.unwrap().data, b"to all");
        });
    });
}

/// A call that is dropped has received or sent nothing, and its socket goes on.
#[test]
fn a_dropped_call_takes_nothing() {
    in_world(1, Faults { datagrams_max: 1, ..Faults::NONE }, CAPACITY, |world, reactor| {
        let socket = UdpSocket::bind(reactor, own(53)).unwrap();
        let heard = Rc::new(RefCell::new(Vec::new()));
        let ear = heard.clone();
        world.bind_peer(far(7), move |_, data, _| ear.borrow_mut().extend_from_slice(data));
        let mut cx = Context::from_waker(Waker::noop());
        reactor.run(async {
            let mut buf = [0; 8];
            socket.handle().sleep(millis(1)).await;
            // Dropped while it waits, before and after a datagram has come.
            for wait_ms in [0, 10] {
                let mut receive = pin!(socket.recv_from(&mut buf));
                assert!(receive.as_mut().poll(&mut cx).is_pending());
                world.send_datagram(far(7), own(53), b"kept");
                socket.handle().sleep(millis(wait_ms)).await;
            }
            assert_eq!(socket.recv_from(&mut buf).await.unwrap().data, b"kept");
            assert_eq!(socket.try_send_to(b"1", far(7)), Ok(()));
            {
                assert_eq!(socket.try_send_to(b"2", far(7)), Err(nb::Error::WouldBlock));
                let mut send = pin!(socket.send_to(b"2", far(7)));
                assert!(send.as_mut().poll(&mut cx).is_pending());
            }
            socket.send_to(b"3", far(7)).await.unwrap();
            socket.handle().sleep(SECOND).await;
            assert_eq!(*heard.borrow(), b"13");
        });
    });
}

#[test]
fn a_flood_starves_nobody() {
    in_world(1, Faults { datagrams_max: 1_000, ..Faults::NONE }, CAPACITY, |world, reactor| {
        for _ in 0..1_000 {
            world.send_datagram(far(7), own(53), b"x");
        }
        let socket = UdpSocket::bind(reactor, own(53)).unwrap();
        let (received, longest, last) = (Cell::new(0), Cell::new(0), Cell::new(0));
        reactor.run(async {
            socket.handle().sleep(SECOND).await;
            let receive = async {
                let mut buf = [0; 8];
                while received.get() < 1_000 {
                    socket.recv_from(&mut buf).await.unwrap();
                    received.set(received.get() + 1);
                }
            };
            let bystander = std::future::poll_fn::<(), _>(|cx| {
                longest.set(longest.get().max(received.get() - last.replace(received.get())));
                cx.waker().wake_by_ref();
                Poll::Pending
            });
            select(receive, bystander).await;
        });
        assert_eq!((received.get(), longest.get()), (1_000, 16));
    });
}

/// Questions are asked until they are answered: in any world, every one is in the end, the answer
/// is never another's, and the same seed gives the same story.
#[test]
fn with_loss_repetition_and_overtaking_every_question_is_answered() {
    let run = |seed: u64| {
        in_world(seed, Faults::seeded(seed), CAPACITY, |world, reactor| {
            world.bind_peer(far(7), |from, data, end| end.send(from, data));
            let sockets = [1, 2].map(|port| UdpSocket::bind(reactor, own(port)).unwrap());
            let ask = async |socket: &UdpSocket<'_>| {
                let (handle, mut tries) = (socket.handle(), 0);
                for question in 0..20_u8 {
                    let mut buf = [0; 8];
                    let answered = async || loop {
                        let answer = socket.recv_from(&mut buf).await.unwrap();
                        assert_eq!((answer.data.len(), answer.from, answer.cut), (2, far(7), 0));
                        // One of before may come twice, or late.
                        assert!(answer.data[0] <= question, "seed {seed}");
                        if answer.data[0] == question {
                            break;
                        }
                    };
                    let mut answered = answered;
                    loop {
                        tries += 1;
                        assert!(tries < 500, "seed {seed}");
                        socket.send_to(&[question, 0], far(7)).await.unwrap();
                        if handle.timeout(millis(500), answered()).await.is_ok() {
                            break;
                        }
                    }
                }
                tries
            };
            let talk = join(ask(&sockets[0]), ask(&sockets[1]));
            let tries = reactor.run(Handle::from(reactor).timeout(MINUTE, talk)).expect("in time");
            drop(sockets);
            world.assert_all_closed();
            (tries, world.trace_hash())
        })
    };
    let mut more = 0;
    for seed in 0..seeds(200) {
        let ((one, other), hash) = run(seed);
        more += u32::from(one + other > 40);
        if seed % 10 == 0 {
            assert_eq!(run(seed).1, hash, "seed {seed}");
        }
    }
    assert!(cfg!(miri) || more > 20, "{more} worlds lost something");
}

#[test]
fn a_socket_and_its_futures_are_small() {
    fn sizes<P: Datagram>(_: &Reactor<'_, P>) -> usize {
        size_of::<UdpSocket<'_>>()
    }
    in_world(1, Faults::NONE, CAPACITY, |_, reactor| {
        assert!(sizes(reactor) <= 4 * size_of::<usize>());
        let socket = UdpSocket::bind(reactor, own(1)).unwrap();
        let mut buf = [0; 4];
        assert!(size_of_val(&socket.recv_from(&mut buf)) <= 3 * size_of::<usize>());
        assert!(size_of_val(&socket.send_to(&[], far(1))) <= 32 + 3 * size_of::<usize>());
    });
}
