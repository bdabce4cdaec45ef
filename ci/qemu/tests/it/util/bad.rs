//! Peers that mean no good, or have no luck: what each does, it does once.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::Duration;

use dustdevil_core::sim::Rng;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpProtocol, Ipv4Address,
    Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

use super::board::{AT, AT_IP, connect_at_once};
use super::client::request;
use super::wire::Wire;

/// How long one of these waits for a place.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longest head that the board takes, and some more.
const TOO_LONG: usize = 3_000;

/// What a peer does.
pub(crate) type Deed = fn(&mut Rng, &Wire);

/// All of them, with the name by which each is counted.
pub(crate) const DEEDS: &[(&str, Deed)] = &[
    ("resets", resets),
    ("says nothing", says_nothing),
    ("sends a byte at a time", sends_a_byte_at_a_time),
    ("sends half a close", sends_half_a_close),
    ("sends garbage", sends_garbage),
    ("sends a head that is too long", sends_a_long_head),
    ("asks and never reads", never_reads),
    ("vanishes", vanishes),
    ("comes in a crowd and goes", comes_in_a_crowd),
    ("sends frames of garbage", sends_garbage_frames),
    ("floods with SYNs of others", floods),
];

fn connect() -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&AT, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    stream.set_nodelay(true).ok()?;
    Some(stream)
}

/// Writes what the board still takes.
fn send(mut stream: &TcpStream, bytes: &[u8]) {
    // To be turned away is what these peers are for.
    let _ = stream.write_all(bytes);
}

fn reset(stream: &TcpStream) {
    // The socket is closed next: this fails only when it is over already.
    let _ = sockopt::set_socket_linger(stream, Some(Duration::ZERO));
}

fn pause(rng: &mut Rng, ms_max: u64) {
    thread::sleep(Duration::from_millis(rng.range(0, ms_max)));
}

/// Reads until the board has had enough of it, or this peer has.
fn read_on(mut stream: &TcpStream) {
    let mut buffer = [0; 4_096];
    while stream.read(&mut buffer).is_ok_and(|length| length > 0) {}
}

fn resets(rng: &mut Rng, _: &Wire) {
    let Some(stream) = connect() else { return };
    let asked = request("/json").repeat(rng.range(1, 9) as usize);
    let length = rng.index(asked.len());
    send(&stream, &asked.as_bytes()[..length]);
    pause(rng, 5);
    reset(&stream);
}

fn says_nothing(rng: &mut Rng, _: &Wire) {
    let Some(stream) = connect() else { return };
    stream.set_read_timeout(Some(Duration::from_millis(rng.range(1, 4_000)))).ok();
    read_on(&stream);
}

fn sends_a_byte_at_a_time(rng: &mut Rng, _: &Wire) {
    let Some(stream) = connect() else { return };
    for byte in request("/user/a-byte-at-a-time").bytes() {
        send(&stream, &[byte]);
        pause(rng, 60);
    }
    stream.set_read_timeout(Some(Duration::from_millis(100))).ok();
    read_on(&stream);
}

fn sends_half_a_close(rng: &mut Rng, _: &Wire) {
    let Some(stream) = connect() else { return };
    send(&stream, request("/").repeat(rng.range(0, 3) as usize).as_bytes());
    stream.shutdown(Shutdown::Write).ok();
    read_on(&stream);
}

fn sends_garbage(rng: &mut Rng, _: &Wire) {
    let Some(stream) = connect() else { return };
    send(&stream, &noise(rng, 2_000));
    stream.set_read_timeout(Some(Duration::from_millis(500))).ok();
    read_on(&stream);
}

fn sends_a_long_head(rng: &mut Rng, _: &Wire) {
    let Some(stream) = connect() else { return };
    let long = "x".repeat(rng.range(1_000, TOO_LONG as u64) as usize);
    send(&stream, format!("GET / HTTP/1.1\r\nHost: test\r\nLong: {long}\r\n\r\n").as_bytes());
    stream.shutdown(Shutdown::Write).ok();
    read_on(&stream);
}

fn never_reads(rng: &mut Rng, _: &Wire) {
    let Some(stream) = connect() else { return };
    stream.set_write_timeout(Some(Duration::from_millis(500))).ok();
    // Answers to all of these fit into no buffer.
    send(&stream, request("/plaintext").repeat(2_000).as_bytes());
    pause(rng, 3_000);
    if rng.hits(500) {
        reset(&stream);
    }
}

/// From one moment on nothing of it arrives any more, nor does it hear anything.
fn vanishes(rng: &mut Rng, wire: &Wire) {
    /// Below the ports that the kernel hands out by itself: none of these is used twice.
    static NEXT: AtomicU16 = AtomicU16::new(2_000);
    let port = NEXT.fetch_add(1, Ordering::Relaxed);
    let Some(stream) = connect_from(port) else { return };
    match rng.range(0, 3) {
        0 => {}
        1 => send(&stream, b"GET / HTTP/1.1\r\nHo"),
        2 => {
            send(&stream, request("/json").as_bytes());
            pause(rng, 20);
        }
        _ => send(&stream, request("/json").repeat(30).as_bytes()),
    }
    wire.cut(port);
    if rng.hits(500) {
        send(&stream, request("/").as_bytes());
    }
    pause(rng, 200);
    reset(&stream);
}

fn connect_from(port: u16) -> Option<TcpStream> {
    let flags = SocketFlags::CLOEXEC;
    let socket =
        rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).ok()?;
    sockopt::set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE)).ok()?;
    rustix::net::bind(&socket, &SocketAddr::from(([192, 0, 2, 1], port))).ok()?;
    rustix::net::connect(&socket, &AT).ok()?;
    Some(TcpStream::from(socket))
}

fn comes_in_a_crowd(rng: &mut Rng, _: &Wire) {
    let crowd = connect_at_once(rng.range(2, 24) as usize);
    pause(rng, 50);
    drop(crowd);
}

fn sends_garbage_frames(rng: &mut Rng, wire: &Wire) {
    let Some(board) = wire.board() else { return };
    for _ in 0..rng.range(1, 50) {
        let mut frame = syn(rng, board);
        match rng.range(0, 4) {
            // Not even an Ethernet frame.
            0 => frame = noise(rng, 13),
            // For the board, of no known kind.
            1 => frame = [&board[..], &noise(rng, 1_508)].concat(),
            // Of IPv4, cut off somewhere.
            2 => frame.truncate(14 + rng.index(frame.len() - 14)),
            // Of IPv4, with noise from somewhere on.
            3 => {
                let from = rng.range(14, 53) as usize;
                frame[from..].iter_mut().for_each(|byte| *byte = rng.next() as u8);
            }
            // Too long for the board's buffer.
            _ => frame.resize(rng.range(1_515, 1_600) as usize, 0),
        }
        wire.inject(frame);
        pause(rng, 2);
    }
}

fn floods(rng: &mut Rng, wire: &Wire) {
    let Some(board) = wire.board() else { return };
    for _ in 0..rng.range(1, 40) {
        wire.inject(syn(rng, board));
    }
}

/// Some bytes of chance, at least one.
fn noise(rng: &mut Rng, length_max: u64) -> Vec<u8> {
    (0..rng.range(1, length_max)).map(|_| rng.next() as u8).collect()
}

/// A connection's first frame, from an address where nobody is.
fn syn(rng: &mut Rng, board: [u8; 6]) -> Vec<u8> {
    let source = Ipv4Address::new(192, 0, 2, rng.range(3, 254) as u8);
    let destination = AT_IP;
    let tcp = TcpRepr {
        src_port: rng.range(1_024, 65_535) as u16,
        dst_port: AT.port(),
        control: TcpControl::Syn,
        seq_number: TcpSeqNumber(rng.next() as i32),
        ack_number: None,
        window_len: 64_240,
        window_scale: None,
        max_seg_size: Some(1_460),
        sack_permitted: false,
        sack_ranges: [None; 3],
        timestamp: None,
        payload: &[],
    };
    let ip = Ipv4Repr {
        src_addr: source,
        dst_addr: destination,
        next_header: IpProtocol::Tcp,
        payload_len: tcp.buffer_len(),
        hop_limit: 64,
    };
    let ethernet = EthernetRepr {
        src_addr: EthernetAddress([2, 0, 0, 0, 0, source.octets()[3]]),
        dst_addr: EthernetAddress(board),
        ethertype: EthernetProtocol::Ipv4,
    };
    let mut frame = vec![0; ethernet.buffer_len() + ip.buffer_len() + tcp.buffer_len()];
    let mut outer = EthernetFrame::new_unchecked(&mut frame[..]);
    ethernet.emit(&mut outer);
    let checksums = ChecksumCapabilities::default();
    let mut middle = Ipv4Packet::new_unchecked(outer.payload_mut());
    ip.emit(&mut middle, &checksums);
    let mut inner = TcpPacket::new_unchecked(middle.payload_mut());
    tcp.emit(&mut inner, &source.into(), &destination.into(), &checksums);
    frame
}
