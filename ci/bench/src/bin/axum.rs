//! axum, on tokio's loop of one thread.

use std::process::ExitCode;

use axum::routing::get;
use axum::{Json, Router};
use peers::{BODY, MESSAGE, Message, PLAINTEXT, announce, listen, words};

async fn plaintext() -> &'static str {
    PLAINTEXT
}

async fn json() -> Json<Message> {
    Json(MESSAGE)
}

async fn body() -> &'static [u8] {
    &BODY
}

fn main() -> ExitCode {
    let words = match words() {
        Ok(words) => words,
        Err(code) => return code,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        let listener = listen(words.port).expect("the port");
        announce(listener.local_addr().expect("an address"));
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        let routes = Router::new()
            .route("/plaintext", get(plaintext))
            .route("/json", get(json))
            .route("/body", get(body));
        let _ = axum::serve(
            axum::serve::ListenerExt::tap_io(listener, |stream| {
                let _ = stream.set_nodelay(true);
            }),
            routes,
        )
        .await;
    });
    ExitCode::SUCCESS
}
