//! For tests of datagrams and outgoing connections: sends every datagram back that comes to port 7;
//! for `connect ADDRESS` it connects there, sends a line, and answers with the line that it reads.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use core::net::SocketAddr;

use cortex_m_rt::entry;
use dustdevil_core::memory::Memory;
use dustdevil_core::reactor::{Capacity, Reactor};
use dustdevil_core::stream::IoStream;
use dustdevil_core::tcp::TcpClient;
use dustdevil_core::time::Duration;
use dustdevil_core::udp::{Received, UdpSocket};
use dustdevil_core::wake::Wakes;
use lm3s6965evb::{self as board, net};

const NET: net::Capacity = net::Capacity {
    listening: 0,
    outgoing: 2,
    udp: net::Udp { sockets: 1, datagrams: 4, bytes: 3_000 },
    rx_bytes: 512,
    tx_bytes: 512,
};
/// A main future; the socket, a connection and its deadline.
const REACTOR: Capacity =
    Capacity { sources: 0, timers: 1, groups: 0, tasks: 1, waiters: 0 }.plus_streams(2);
/// How long a connection may take, from its beginning to the line that it answers with.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest datagram in one Ethernet frame.
const DATAGRAM_BYTES: usize = 1_472;

static NET_MEMORY: Memory<{ NET.bytes() }> = Memory::new();
static REACTOR_MEMORY: Memory<{ REACTOR.bytes() }> = Memory::new();
static BUFFER: Memory<DATAGRAM_BYTES> = Memory::new();
static WAKES: Wakes<{ REACTOR.tasks }> = Wakes::new();

#[entry]
fn main() -> ! {
    let poller = board::init(NET_MEMORY.take(), NET);
    let reactor = Reactor::new(poller, REACTOR_MEMORY.take(), REACTOR, &WAKES);
    let client = TcpClient::new(&reactor);
    let socket = UdpSocket::bind(&reactor, board::address(7)).expect("the only socket");
    let mut memory = BUFFER.take();
    reactor.run(serve(&socket, client, memory.bytes(DATAGRAM_BYTES)));
    unreachable!("it serves for ever")
}

async fn serve(socket: &UdpSocket<'_>, client: TcpClient<'_>, buf: &mut [u8]) {
    loop {
        let Ok(Received { data, from, .. }) = socket.recv_from(buf).await else { continue };
        let to = data.strip_prefix(b"connect ").and_then(|to| str::from_utf8(to).ok());
        // Whether an answer arrives, nobody knows: who asked asks again.
        let Some(to) = to.and_then(|to| to.parse().ok()) else {
            let _ = socket.send_to(data, from).await;
            continue;
        };
        let mut line = [0; 64];
        let asked = client.handle().timeout(PATIENCE, ask(client, to, &mut line)).await;
        let answer = asked.ok().flatten().unwrap_or(b"no answer");
        let _ = socket.send_to(answer, from).await;
    }
}

/// Opens a connection, sends a line and reads one.
async fn ask<'l>(client: TcpClient<'_>, to: SocketAddr, line: &'l mut [u8]) -> Option<&'l [u8]> {
    let tcp = client.connect_any(&[to], PATIENCE).await.ok()?;
    let mut buffer = [0; 64];
    let mut stream = IoStream::new(tcp, &mut buffer);
    stream.write(b"from the board\n").await.ok()?;
    let answer = stream.read_until(b"\n", 64).await.ok()?;
    let line = line.get_mut(..answer.len())?;
    line.copy_from_slice(answer);
    Some(line)
}
