//! ntex on tokio, with one worker.

use std::process::ExitCode;

use ntex::SharedCfg;
use ntex::http::HttpServiceConfig;
use ntex::time::Seconds;
use ntex::util::Bytes;
use ntex::web::{self, App, HttpResponse, HttpServer};
use peers::{BODY, KEEP_ALIVE, MESSAGE, PLAINTEXT, announce, listen, words};

async fn plaintext() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(PLAINTEXT)
}

async fn json() -> HttpResponse {
    HttpResponse::Ok().json(&MESSAGE)
}

async fn body() -> HttpResponse {
    let bytes = Bytes::from_static(&BODY);
    HttpResponse::Ok().content_type("application/octet-stream").body(bytes)
}

fn main() -> ExitCode {
    let words = match words() {
        Ok(words) => words,
        Err(code) => return code,
    };
    let listener = listen(words.port).expect("the port");
    let address = listener.local_addr().expect("an address");
    let system = ntex::rt::System::new("peer", ntex::rt::DefaultRuntime);
    system.block_on(async move {
        let server = HttpServer::new(async || {
            App::new()
                .route("/plaintext", web::get().to(plaintext))
                .route("/json", web::get().to(json))
                .route("/body", web::get().to(body))
        });
        let keep_alive = Seconds(KEEP_ALIVE.as_secs() as u16);
        let http = HttpServiceConfig::new().set_keepalive(keep_alive);
        let server = server.workers(1).backlog(1024).config(SharedCfg::new("peer").add(http));
        let server = server.listen(listener).expect("a listener");
        announce(address);
        let _ = server.run().await;
    });
    ExitCode::SUCCESS
}
