//! Who ours is measured beside: the floor, servers from the crate registry, nginx and Tornado.
//!
//! The floor and the registry's are built from `ci/bench`, a workspace of its own. nginx and
//! Tornado take part where they are installed; `cargo xtask setup` brings both. Each serves on one
//! thread (nginx as one process), and is set up as its own documentation has it for speed.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::load;
use super::server::{self, LISTENING, Program, Start};
use crate::metadata;
use crate::process::{Run, cargo, which};

/// The name of the one that all others are compared with.
pub(super) const FLOOR: &str = "floor";

/// What `/plaintext` says.
const PLAINTEXT: &str = "Hello, World!";

/// How long the body of `/body` is, which is nothing but `x`.
const BODY_BYTES: usize = 100 * 1024;

/// Who is built from `ci/bench` beside the floor: names of binaries and features.
const REGISTRY: &[&str] = &["hyper", "axum", "actix", "may", "ntex"];

/// How much slower Python is than the others under a tool that counts.
const SLOWNESS_TORNADO: u64 = 16;

/// nginx's own word for having opened its listener.
const NGINX_LISTENS: &str = "using the \"epoll\" event method";

/// Builds all that take part, the floor first and ours second; a smoke has only hyper beside them.
pub(super) fn programs(smoke: bool) -> Result<Vec<Program>> {
    server::build()?;
    let registry = if smoke { REGISTRY.get(..1).unwrap_or_default() } else { REGISTRY };
    let folder = metadata::target_folder()?.join("peers");
    let manifest = metadata::root().join("ci/bench/Cargo.toml").display().to_string();
    let features = registry.join(",");
    cargo(40)
        .args(["build", "--release", "--locked", "--manifest-path", &manifest])
        .args(["--no-default-features", "--features", &features, "--target-dir"])
        .args([&folder])
        .run()?;
    let built = |name| from_registry(name, &folder.join("release").join(name));
    let mut programs = vec![built(FLOOR), Program::ours()?];
    programs.extend(registry.iter().copied().map(built));
    if !smoke {
        match nginx()? {
            Some(program) => programs.push(program),
            None => println!("nginx is not installed: it takes no part."),
        }
        match tornado()? {
            Some(program) => programs.push(program),
            None => println!("Tornado is not installed: it takes no part."),
        }
    }
    Ok(programs)
}

/// Fails unless a server answers each route with what the others do.
pub(super) fn check(program: &Program) -> Result<()> {
    for path in ["/plaintext", "/json", "/body"] {
        let running = program.start(&[], path, 64)?;
        let body = load::body(&load::Server::at(running.address).path(path))
            .with_context(|| format!("{}, {path}", program.name))?;
        ensure!(
            is_right(path, &body),
            "{} answers {path} with {} bytes: {}",
            program.name,
            body.len(),
            String::from_utf8_lossy(body.get(..64).unwrap_or(&body))
        );
    }
    Ok(())
}

fn is_right(path: &str, body: &[u8]) -> bool {
    match path {
        "/plaintext" => body == PLAINTEXT.as_bytes(),
        // Whatever space there is between its words.
        "/json" => serde_json::from_slice::<serde_json::Value>(body)
            .is_ok_and(|json| json == serde_json::json!({ "message": PLAINTEXT })),
        _ => body.len() == BODY_BYTES && body.iter().all(|byte| *byte == b'x'),
    }
}

fn from_registry(name: &'static str, binary: &Path) -> Program {
    let binary = binary.display().to_string();
    let start = move |path: &str, _: usize| {
        // The floor answers whatever it is asked with what it was started for.
        Ok(Start::of([&binary, "--serve", path.trim_start_matches('/')]))
    };
    other(name, Box::new(start))
}

fn other(name: &'static str, start: Box<server::Starter>) -> Program {
    Program { name, start, mark: LISTENING, ends_well: false, slowness: 1 }
}

fn nginx() -> Result<Option<Program>> {
    let unpacked = metadata::target_folder()?.join("interop/nginx/usr/sbin/nginx");
    let files = which("nginx").into_iter().chain([PathBuf::from("/usr/sbin/nginx"), unpacked]);
    let Some(file) = files.into_iter().find(|file| file.is_file()) else { return Ok(None) };
    let folder = metadata::target_folder()?.join("bench/nginx");
    let start = move |_: &str, connections: usize| {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let configuration = folder.join("nginx.conf");
        let path = folder.display().to_string();
        fs::write(&configuration, nginx_configuration(&path, port, connections))?;
        fs::write(folder.join("body"), [b'x'; BODY_BYTES])?;
        let words = ["-p", &path, "-e", "stderr", "-c", &configuration.display().to_string()];
        let words = [file.display().to_string()].into_iter().chain(words.map(str::to_owned));
        Ok(Start { port: Some(port), ..Start::of(words) })
    };
    Ok(Some(Program { mark: NGINX_LISTENS, ..other("nginx", Box::new(start)) }))
}

/// One process that is its own worker, so that what is measured is all there is.
fn nginx_configuration(folder: &str, port: u16, connections: usize) -> String {
    // It closes idle connections once less than a sixteenth is free.
    let connections = connections + connections / 4;
    let descriptors = connections + 64;
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("    {kind}_temp_path {folder}/{kind};\n"))
        .concat();
    format!(
        "daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile {descriptors};
pid {folder}/pid;
error_log stderr notice;
events {{
    worker_connections {connections};
}}
http {{
    access_log off;
    keepalive_requests 1000000000;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=16;
{temporary}\
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location = /plaintext {{
            default_type 'text/plain; charset=utf-8';
            return 200 '{PLAINTEXT}';
        }}
        location = /json {{
            default_type application/json;
            return 200 '{{\"message\":\"{PLAINTEXT}\"}}';
        }}
        location = /body {{
            default_type application/octet-stream;
            root {folder};
        }}
    }}
}}
"
    )
}

fn tornado() -> Result<Option<Program>> {
    let own = metadata::target_folder()?.join("tornado/bin/python3");
    let has_tornado = |python: &PathBuf| {
        let python = python.display().to_string();
        Run::new(&python, 1).args(["-c", "import tornado"]).succeeds()
    };
    let pythons = [Some(own), which("python3")].into_iter().flatten();
    let Some(python) = pythons.filter(|file| file.is_file()).find(has_tornado) else {
        return Ok(None);
    };
    let script = metadata::root().join("ci/bench/tornado_peer.py").display().to_string();
    let python = python.display().to_string();
    let start = move |_: &str, _: usize| Ok(Start::of([&python, &script]));
    Ok(Some(Program { slowness: SLOWNESS_TORNADO, ..other("tornado", Box::new(start)) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_answer_is_seen() {
        let body = [b'x'; BODY_BYTES];
        let table: &[(&str, &[u8], bool)] = &[
            ("/plaintext", b"Hello, World!", true),
            ("/plaintext", b"Hello, World", false),
            ("/json", b"{\"message\":\"Hello, World!\"}", true),
            ("/json", b"{\"message\": \"Hello, World!\"}", true),
            ("/json", b"{\"message\":\"Hello\"}", false),
            ("/json", b"Hello, World!", false),
            ("/body", &body, true),
            ("/body", &body[1..], false),
            ("/body", &[b'y'; BODY_BYTES], false),
        ];
        for (path, body, right) in table {
            assert_eq!(is_right(path, body), *right, "{path}, {} bytes", body.len());
        }
    }

    #[test]
    fn the_floor_is_told_what_to_answer() -> Result<()> {
        let program = from_registry(FLOOR, Path::new("/peers/floor"));
        let Start { words, port } = (program.start)("/json", 64)?;
        assert_eq!(
            (&words[..], port),
            (&["/peers/floor", "--serve", "json"].map(str::to_owned)[..], None)
        );
        Ok(())
    }

    #[test]
    fn nginx_has_room_for_the_connections() {
        let text = nginx_configuration("/there", 8080, 10_000);
        for line in [
            "    worker_connections 12500;",
            "worker_rlimit_nofile 12564;",
            "    client_body_temp_path /there/client_body;",
            "        listen 127.0.0.1:8080 backlog=1024;",
            "            return 200 '{\"message\":\"Hello, World!\"}';",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in {text}");
        }
        assert_eq!(text.matches('{').count(), text.matches('}').count());
    }
}
