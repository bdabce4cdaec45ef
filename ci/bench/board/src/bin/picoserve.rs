//! picoserve over embassy-net, a task for each connection.
#![no_std]
#![no_main]

use board_peers::{CONNECTIONS, HELLO, HTTP_BYTES, PORT, RX_BYTES, TX_BYTES, embassy};
use cortex_m_rt::entry;
use embassy_net::Stack;
use embassy_time::Duration;
use heapless::String;
use picoserve::routing::{PathRouter, Router, get, parse_path_segment};
use picoserve::{Config, Server, Timeouts};

/// Keep-alive, and the time that ours gives the next request; else its own defaults.
static CONFIG: Config = Config::new(Timeouts {
    persistent_start_read_request: Duration::from_secs(30),
    ..Timeouts::const_default()
})
.keep_connection_alive();

#[entry]
fn main() -> ! {
    embassy::run(|spawner, stack| {
        for id in 0..CONNECTIONS {
            spawner.spawn(serve(id, stack).expect("there are as many tasks"));
        }
    })
}

fn router() -> Router<impl PathRouter> {
    Router::new()
        .route("/plaintext", get(|| async { HELLO }))
        .route("/", get(|| async { HELLO }))
        .route(
            ("/user", parse_path_segment::<String<32>>()),
            get(|id: String<32>| async move { id }),
        )
}

#[embassy_executor::task(pool_size = CONNECTIONS)]
async fn serve(id: usize, stack: Stack<'static>) {
    let (mut rx, mut tx, mut http) = ([0; RX_BYTES], [0; TX_BYTES], [0; HTTP_BYTES]);
    let router = router();
    let server = Server::new(&router, &CONFIG, &mut http);
    server.listen_and_serve(id, stack, PORT, &mut rx, &mut tx).await;
}
