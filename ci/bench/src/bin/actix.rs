//! actix-web, with one worker.

use std::process::ExitCode;

use actix_web::{App, HttpResponse, HttpServer, web};
use peers::{BODY, KEEP_ALIVE, MESSAGE, PLAINTEXT, announce, listen, words};

async fn plaintext() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(PLAINTEXT)
}

async fn json() -> HttpResponse {
    HttpResponse::Ok().json(MESSAGE)
}

async fn body() -> HttpResponse {
    let bytes = web::Bytes::from_static(&BODY);
    HttpResponse::Ok().content_type("application/octet-stream").body(bytes)
}

fn main() -> ExitCode {
    let words = match words() {
        Ok(words) => words,
        Err(code) => return code,
    };
    let listener = listen(words.port).expect("the port");
    let address = listener.local_addr().expect("an address");
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(|| {
            App::new()
                .route("/plaintext", web::get().to(plaintext))
                .route("/json", web::get().to(json))
                .route("/body", web::get().to(body))
        });
        let server = server.workers(1).backlog(1024).keep_alive(KEEP_ALIVE);
        let server = server.listen(listener).expect("a listener");
        announce(address);
        let _ = server.run().await;
    });
    ExitCode::SUCCESS
}
