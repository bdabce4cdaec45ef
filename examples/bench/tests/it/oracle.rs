//! Clients that others wrote: what they understand is what was meant.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use dustdevil_http::{Capacity, Limits};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;

use crate::util::workshop::{PIECES, big_body};
use crate::util::{Host, PATIENCE, Process, Workshop, tool};

/// What clients send here at most.
const BODY_MAX: usize = 8 << 20;

fn workshop() -> Host {
    let limits = Limits { body_bytes_max: BODY_MAX as u64, ..Limits::DEFAULT };
    Host::start(Workshop, Capacity::for_connections(64), limits)
}

/// A file of this test's own.
fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::File::create(&path).unwrap().write_all(content).unwrap();
    path
}

/// Runs curl over `paths` with `options`, and returns all bodies and what `--write-out` says.
fn curl(at: SocketAddr, options: &[&str], paths: &[&str]) -> Option<(Vec<u8>, String)> {
    let mut command = Command::new(tool("curl", "")?);
    command.args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "*"]);
    // What is written out goes to standard error, apart from the bodies.
    command.args(["--write-out", "%{stderr}%{http_code} %{num_connects} %{size_upload}\n"]);
    command.args(options).args(paths.iter().map(|path| format!("http://{at}{path}")));
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    Some((output.stdout, said))
}

#[test]
fn curl_keeps_its_connection() {
    let host = workshop();
    let Some((bodies, said)) = curl(host.address, &["--compressed"], &["/", "/pieces", "/"]) else {
        return;
    };
    let text = format!("Hello, World!{}Hello, World!", "0123456789".repeat(PIECES));
    assert_eq!(String::from_utf8(bodies).unwrap(), text);
    assert_eq!(said, "200 1 0\n200 0 0\n200 0 0\n");
    let report = host.stop();
    assert_eq!((report.stats.accepted, report.stats.requests), (1, 3));
}

#[test]
fn curl_reads_every_kind_of_body() {
    let host = workshop();
    for version in ["--http1.1", "--http1.0"] {
        let get = |path| curl(host.address, &[version], &[path]);
        let Some((big, said)) = get("/big") else { return };
        assert!(big == big_body() && said == "200 1 0\n", "{version}: {} {said}", big.len());
        let (pieces, said) = get("/pieces").unwrap();
        assert_eq!(String::from_utf8(pieces).unwrap(), "0123456789".repeat(PIECES), "{version}");
        assert_eq!(said, "200 1 0\n");
    }
    let (head, _) = curl(host.address, &["--head"], &["/big"]).unwrap();
    let head = String::from_utf8(head).unwrap();
    assert!(head.contains(&format!("Content-Length: {}\r\n", big_body().len())), "{head}");
}

#[test]
fn curl_waits_for_100_continue() {
    let host = workshop();
    let body: Vec<u8> = big_body().repeat(3);
    let path = file("curl-body", &body);
    let data = format!("@{}", path.display());
    // Beyond 1 MiB curl asks by itself whether to send.
    let options = ["--data-binary", &data, "--dump-header", "/dev/stderr"];
    let Some((echo, said)) = curl(host.address, &options, &["/echo"]) else { return };
    assert!(echo == body, "{} bytes of {}", echo.len(), body.len());
    assert!(said.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{said}");
    assert!(said.ends_with(&format!("200 1 {}\n", body.len())), "{said}");

    let chunked = ["--request", "POST", "--header", "Transfer-Encoding: chunked", "--upload-file"];
    let chunked = [&chunked[..], &[path.to_str().unwrap()]].concat();
    let (count, said) = curl(host.address, &chunked, &["/count"]).unwrap();
    assert_eq!(String::from_utf8(count).unwrap(), body.len().to_string(), "{said}");
}

#[test]
fn curl_does_not_send_what_is_refused() {
    let host = workshop();
    let path = file("curl-body-too-large", &vec![b'x'; BODY_MAX + 1]);
    let data = format!("@{}", path.display());
    for (route, status) in [("/count", 413), ("/refuse", 413)] {
        let Some((_, said)) = curl(host.address, &["--data-binary", &data], &[route]) else {
            return;
        };
        assert_eq!(said, format!("{status} 1 0\n"));
    }
    let path = file("curl-body-refused", &vec![b'x'; BODY_MAX]);
    let data = format!("@{}", path.display());
    let (body, said) = curl(host.address, &["--data-binary", &data], &["/refuse"]).unwrap();
    assert_eq!((body.as_slice(), said.as_str()), (&b"no"[..], "403 1 0\n"));
}

/// Runs a Python script against the workshop; it prints `done` at its end.
fn python(interpreter: &Path, script: &str) {
    let host = workshop();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/oracle").join(script);
    let port = host.address.port().to_string();
    let words = [interpreter.to_str().unwrap(), script.to_str().unwrap(), &port];
    let ended = Process::start(&words, &[("PYTHONDONTWRITEBYTECODE", "1")]).end();
    assert_eq!((ended.code, ended.errors.as_str()), (Some(0), ""));
    assert_eq!(ended.output, "done\n");
    host.empties();
    assert_eq!(host.stop().allocations, 0);
}

#[test]
fn pythons_client_agrees() {
    if let Some(interpreter) = tool("python3", "") {
        python(&interpreter, "http_client.py");
    }
}

#[test]
fn tornados_client_agrees() {
    if let Some(interpreter) = tool("python3", "tornado/bin") {
        python(&interpreter, "tornado_client.py");
    }
}

#[test]
fn hypers_client_agrees() {
    let host = workshop();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let work = tokio::time::timeout(PATIENCE, Box::pin(hyper_client(host.address)));
        work.await.expect("hyper's client is served in time");
    });
    let stats = host.stop().stats;
    assert_eq!((stats.accepted, stats.requests, stats.rejected), (1, 8, 0));
}

async fn hyper_client(at: SocketAddr) {
    let stream = tokio::net::TcpStream::connect(at).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut client, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let big = Bytes::from_static(big_body());
    let pieces = Bytes::from("0123456789".repeat(PIECES));
    for (method, path, sent, status, received) in [
        ("GET", "/", Bytes::new(), 200, Bytes::from("Hello, World!")),
        ("GET", "/pieces", Bytes::new(), 200, pieces),
        ("GET", "/big", Bytes::new(), 200, big.clone()),
        ("HEAD", "/big", Bytes::new(), 200, Bytes::new()),
        ("POST", "/echo", big.clone(), 200, big.clone()),
        ("POST", "/refuse", Bytes::from("hello"), 403, Bytes::from("no")),
        ("GET", "/sleep/5", Bytes::new(), 200, Bytes::from("slept")),
        ("POST", "/count", big, 200, Bytes::from(big_body().len().to_string())),
    ] {
        let request = Request::builder().method(method).uri(path).header("Host", "test");
        client.ready().await.unwrap();
        let response = client.send_request(request.body(Full::new(sent)).unwrap()).await.unwrap();
        assert_eq!(response.status(), status, "{method} {path}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(body == received, "{method} {path}: {} bytes", body.len());
    }
}
