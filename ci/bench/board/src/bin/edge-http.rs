//! edge-http over edge-nal-embassy and embassy-net, a handler for each connection.
#![no_std]
#![no_main]

use core::fmt::{Debug, Display};
use core::net::{Ipv4Addr, SocketAddr};

use board_peers::{CONNECTIONS, HELLO, HTTP_BYTES, PORT, RX_BYTES, TX_BYTES, embassy};
use cortex_m_rt::entry;
use edge_http::Method;
use edge_http::io::Error;
use edge_http::io::server::{Connection, Handler, Server};
use edge_nal::{TcpBind, TcpSplit};
use edge_nal_embassy::{Tcp, TcpBuffers};
use embassy_net::Stack;
use embedded_io_async::{Read, Write};
use static_cell::ConstStaticCell;

type Buffers = TcpBuffers<CONNECTIONS, TX_BYTES, RX_BYTES>;

#[entry]
fn main() -> ! {
    embassy::run(|spawner, stack| {
        spawner.spawn(serve(stack).expect("it is spawned once"));
    })
}

#[embassy_executor::task]
async fn serve(stack: Stack<'static>) {
    static BUFFERS: ConstStaticCell<Buffers> = ConstStaticCell::new(Buffers::new());
    static SERVER: ConstStaticCell<Server<CONNECTIONS, HTTP_BYTES>> =
        ConstStaticCell::new(Server::new());

    let tcp = Tcp::new(stack, BUFFERS.take());
    let here = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
    let acceptor = tcp.bind(here).await.expect("an address of this network");
    let server = SERVER.take();
    let outcome = server.run(None, acceptor, Routes).await;
    outcome.expect("a server that goes on");
}

/// It has no router: the paths are told apart by hand.
struct Routes;

impl Handler for Routes {
    type Error<E>
        = Error<E>
    where
        E: Debug;

    async fn handle<T, const N: usize>(
        &self,
        _: impl Display + Copy,
        connection: &mut Connection<'_, T, N>,
    ) -> Result<(), Error<T::Error>>
    where
        T: Read + Write + TcpSplit,
    {
        let headers = connection.headers()?;
        if headers.method != Method::Get {
            return connection.initiate_response(405, Some("Method Not Allowed"), &[]).await;
        }
        let mut id = [0; 32];
        let body = match headers.path.strip_prefix("/user/") {
            Some(path) => copy(path, &mut id),
            None if matches!(headers.path, "/" | "/plaintext") => HELLO,
            None => return connection.initiate_response(404, Some("Not Found"), &[]).await,
        };
        let mut length = [0; 2];
        let fields =
            [("Content-Type", "text/plain"), ("Content-Length", decimal(body.len(), &mut length))];
        connection.initiate_response(200, Some("OK"), &fields).await?;
        connection.write_all(body.as_bytes()).await
    }
}

/// As much of it as there is room for: the request's head is gone when the answer's body is sent.
fn copy<'a>(text: &str, room: &'a mut [u8; 32]) -> &'a str {
    let length = text.len().min(room.len());
    room[..length].copy_from_slice(&text.as_bytes()[..length]);
    str::from_utf8(&room[..length]).unwrap_or_default()
}

/// A number below 100.
fn decimal(number: usize, room: &mut [u8; 2]) -> &str {
    *room = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
    let text = str::from_utf8(room).unwrap_or_default();
    if number < 10 { &text[1..] } else { text }
}
