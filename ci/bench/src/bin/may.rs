//! may_minihttp, with one worker: it validates next to nothing.

use std::io;
use std::process::ExitCode;

use may_minihttp::{HttpServer, HttpService, Request, Response};
use peers::{BODY, MESSAGE, PLAINTEXT, announce, listen, words};

#[derive(Clone)]
struct Service;

impl HttpService for Service {
    fn call(&mut self, request: Request, response: &mut Response) -> io::Result<()> {
        match request.path() {
            "/plaintext" => {
                response.header("Content-Type: text/plain; charset=utf-8").body(PLAINTEXT);
            }
            "/json" => {
                response.header("Content-Type: application/json");
                let json = serde_json::to_vec(&MESSAGE).unwrap_or_default();
                response.body_mut().extend_from_slice(&json);
            }
            "/body" => {
                response.header("Content-Type: application/octet-stream");
                response.body_mut().extend_from_slice(&BODY);
            }
            _ => {
                response.status_code(404, "Not Found");
            }
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    let words = match words() {
        Ok(words) => words,
        Err(code) => return code,
    };
    // It binds by itself: a free port is one that was free just now.
    let listener = listen(words.port).expect("the port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    may_minihttp_config();
    let server = HttpServer(Service).start(address).expect("the port");
    announce(address);
    let _ = server.wait();
    ExitCode::SUCCESS
}

fn may_minihttp_config() {
    may::config().set_workers(1);
}
