//! The floor: smoltcp over the Ethernet controller, one fixed answer to whatever ends with a line's
//! end, nothing parsed, no limit and no deadline. What smoltcp itself costs on this board.
#![no_std]
#![no_main]

use core::mem::MaybeUninit;

use board_peers::ethernet::{self, Ethernet, FRAME_BYTES};
use board_peers::{
    ADDRESS, CONNECTIONS, GATEWAY, PORT, PREFIX_BITS, RX_BYTES, SEED, TX_BYTES, clock,
};
use cortex_m_rt::entry;
use smoltcp::iface::{Config, Interface, PollIngressSingleResult, SocketSet, SocketStorage};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpCidr};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\
                        Content-Length: 13\r\n\r\nHello, World!";

/// Headers of Ethernet, IP and TCP: nothing that is sent is longer than these and a full buffer.
const HEADER_BYTES: usize = 54;

#[entry]
fn main() -> ! {
    // An empty one is not all zeros, and would lie in flash, too.
    static mut SOCKETS: MaybeUninit<[SocketStorage<'static>; CONNECTIONS]> = MaybeUninit::uninit();
    static mut RX: [[u8; RX_BYTES]; CONNECTIONS] = [[0; RX_BYTES]; CONNECTIONS];
    static mut TX: [[u8; TX_BYTES]; CONNECTIONS] = [[0; TX_BYTES]; CONNECTIONS];
    static mut RECEIVED: [u8; FRAME_BYTES] = [0; FRAME_BYTES];
    static mut SENT: [u8; HEADER_BYTES + TX_BYTES] = [0; HEADER_BYTES + TX_BYTES];

    board_peers::start();
    let mut device = Wire { controller: Ethernet::start(), received: RECEIVED, sent: SENT };
    let mut interface = interface(&mut device);
    let mut sockets = SocketSet::new(empty(SOCKETS));
    for (rx, tx) in RX.iter_mut().zip(TX) {
        listen(&mut sockets, rx, tx);
    }
    board_peers::listening();
    run(&mut interface, &mut device, &mut sockets)
}

// These are apart, so that what they need is not part of the stack for ever.
#[inline(never)]
fn interface(device: &mut Wire) -> Interface {
    let mut config = Config::new(EthernetAddress(ethernet::ADDRESS).into());
    config.random_seed = SEED;
    let mut interface = Interface::new(config, device, now());
    interface.update_ip_addrs(|all| {
        // There is room for one, and this is the first.
        let _ = all.push(IpCidr::new(ADDRESS.into(), PREFIX_BITS));
    });
    let _ = interface.routes_mut().add_default_ipv4_route(GATEWAY);
    interface
}

#[inline(never)]
fn empty(
    sockets: &'static mut MaybeUninit<[SocketStorage<'static>; CONNECTIONS]>,
) -> &'static mut [SocketStorage<'static>] {
    sockets.write([SocketStorage::EMPTY; CONNECTIONS])
}

#[inline(never)]
fn listen(sockets: &mut SocketSet<'static>, rx: &'static mut [u8], tx: &'static mut [u8]) {
    let mut socket = Socket::new(SocketBuffer::new(rx), SocketBuffer::new(tx));
    socket.set_nagle_enabled(false);
    let _ = socket.listen(PORT);
    sockets.add(socket);
}

fn run(interface: &mut Interface, device: &mut Wire, sockets: &mut SocketSet<'_>) -> ! {
    loop {
        while interface.poll_ingress_single(now(), device, sockets) != PollIngressSingleResult::None
        {
        }
        for (_, socket) in sockets.iter_mut() {
            let smoltcp::socket::Socket::Tcp(socket) = socket;
            serve(socket);
        }
        // One packet of each socket; if there is more to send, the delay is none.
        interface.poll_egress(now(), device, sockets);
        let delay = interface.poll_delay(now(), sockets);
        clock::wait(|| {
            match delay {
                Some(delay) if delay.total_micros() == 0 => return false,
                Some(delay) => clock::set_alarm(delay.total_micros()),
                None => {}
            }
            device.controller.arm()
        });
    }
}

/// Answers a request, closes with the client, listens again.
fn serve(socket: &mut Socket<'_>) {
    let mut last = None;
    // Twice, when what has come lies around the end of the buffer.
    while socket.can_recv() {
        last = socket.recv(|bytes| (bytes.len(), bytes.last().copied())).unwrap_or_default();
    }
    match (last, socket.state()) {
        (Some(b'\n'), _) => drop(socket.send_slice(ANSWER)),
        (_, State::CloseWait) => socket.close(),
        (_, State::Closed) => drop(socket.listen(PORT)),
        _ => {}
    }
}

fn now() -> Instant {
    Instant::from_micros(clock::now() as i64)
}

/// The controller and a frame each way.
struct Wire {
    controller: Ethernet,
    received: &'static mut [u8; FRAME_BYTES],
    sent: &'static mut [u8; HEADER_BYTES + TX_BYTES],
}

/// A frame that was received.
struct Received<'a>(&'a [u8]);

/// Room for a frame to send.
struct Room<'a> {
    controller: &'a mut Ethernet,
    sent: &'a mut [u8],
}

impl Device for Wire {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Room<'_>)> {
        if !self.controller.has_frame() {
            return None;
        }
        let length = self.controller.receive(self.received);
        let frame = Received(self.received.get(..length)?);
        Some((frame, Room { controller: &mut self.controller, sent: self.sent }))
    }

    fn transmit(&mut self, _: Instant) -> Option<Room<'_>> {
        let Self { controller, sent, .. } = self;
        controller.can_transmit().then_some(Room { controller, sent: &mut sent[..] })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME_BYTES;
        capabilities
    }
}

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let frame = &mut self.sent[..length];
        let result = f(frame);
        self.controller.transmit(frame);
        result
    }
}
