//! hyper, on tokio's loop of one thread.

use std::convert::Infallible;
use std::process::ExitCode;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use peers::{BODY, MESSAGE, PLAINTEXT, announce, listen, words};

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (media, body) = match request.uri().path() {
        "/plaintext" => ("text/plain; charset=utf-8", Bytes::from_static(PLAINTEXT.as_bytes())),
        "/json" => {
            let json = serde_json::to_vec(&MESSAGE).unwrap_or_default();
            ("application/json", Bytes::from(json))
        }
        "/body" => ("application/octet-stream", Bytes::from_static(&BODY)),
        _ => {
            let mut response = Response::new(Full::new(Bytes::new()));
            *response.status_mut() = StatusCode::NOT_FOUND;
            return Ok(response);
        }
    };
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    Ok(response)
}

fn main() -> ExitCode {
    let words = match words() {
        Ok(words) => words,
        Err(code) => return code,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let runtime = runtime.expect("a runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let listener = listen(words.port).expect("the port");
        announce(listener.local_addr().expect("an address"));
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let _ = stream.set_nodelay(true);
            tokio::task::spawn_local(async move {
                let service = service_fn(answer);
                let mut http = http1::Builder::new();
                http.pipeline_flush(true);
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}
