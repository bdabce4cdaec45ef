//! nginx in front of us, as most installations have it: with an upstream of HTTP/1.0, which is its
//! default, and with one of HTTP/1.1 whose connections are kept and whose bodies are passed on as
//! they come.
//!
//! The clients ask everything again through each. Then come requests that could mean one thing to
//! nginx and another to us: whatever nginx passes must be one request to both, and the answer to
//! whoever comes next over the same upstream connection must be his own.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::place::{Place, get};
use crate::programs::{PROGRAMS, Program};

/// How long nginx may take to start, and an answer to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether it listens.
const LOOK: Duration = Duration::from_millis(20);

/// The clients of a smoke: a tool, and a library of each language.
const SMOKE: &[&str] = &["curl", "aiohttp", "node", "go"];

/// A request that a probe hides; nobody asks for it.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// Heads, without their last empty line, and the bodies that follow: some are good, some nginx
/// refuses, and some it passes on in its own words.
const PROBES: &[(&str, &str)] = &[
    ("Content-Length: 5", "12345"),
    ("Transfer-Encoding: chunked", "5\r\n12345\r\n0\r\n\r\n"),
    ("Transfer-Encoding: chunked", "5;a=b\r\n12345\r\n0\r\nTrailer: 1\r\n\r\n"),
    ("Transfer-Encoding: chunked", "0005\r\n12345\r\n00\r\n\r\n"),
    ("Transfer-Encoding: chunked", "5\n12345\n0\n\n"),
    ("Transfer-Encoding: chunked", "5 \r\n12345\r\n0\r\n\r\n"),
    ("Transfer-Encoding: chunked", "5\r\n12345X\r\n0\r\n\r\n"),
    ("Transfer-Encoding: chunked", "-1\r\n12345\r\n0\r\n\r\n"),
    ("Transfer-Encoding: chunked", "0x5\r\n12345\r\n0\r\n\r\n"),
    ("Transfer-Encoding: chunked", "FFFFFFFFFFFFFFFFF\r\n12345\r\n0\r\n\r\n"),
    ("Content-Length: 4\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
    ("Transfer-Encoding: chunked\r\nContent-Length: 4", "0\r\n\r\n"),
    ("Content-Length: 4\r\nTransfer-Encoding : chunked", "0\r\n\r\n"),
    ("Content-Length: 4\r\nTransfer-Encoding:\u{b}chunked", "0\r\n\r\n"),
    ("Content-Length: 4\r\nTransfer_Encoding: chunked", "0\r\n\r\n"),
    ("Content-Length: 4\r\nTransfer-Encoding: xchunked", "0\r\n\r\n"),
    ("Content-Length: 4\r\nTransfer-Encoding: chunked, identity", "0\r\n\r\n"),
    ("Content-Length: 4\r\n Transfer-Encoding: chunked", "0\r\n\r\n"),
    ("X: y\r\n Content-Length: 5", "12345"),
    ("Transfer-Encoding: CHUNKED", "5\r\n12345\r\n0\r\n\r\n"),
    ("Transfer-Encoding: identity, chunked", "5\r\n12345\r\n0\r\n\r\n"),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "5\r\n12345\r\n0\r\n\r\n"),
    ("Content-Length: 0\r\nContent-Length: 5", "12345"),
    ("Content-Length: 5\r\nContent-Length: 5", "12345"),
    ("Content-Length: 0, 5", "12345"),
    ("Content-Length: +5", "12345"),
    ("Content-Length: 5 ", "12345"),
    ("Content-Length: 0x5", "12345"),
    ("Content-Length: 05", "12345"),
    ("Content-Length: 18446744073709551621", "12345"),
    ("Content-Length: 0\r\nExpect: 100-continue", ""),
    ("Content-Length: 5\r\nConnection: Content-Length", "12345"),
    ("Connection: Host, close", ""),
    ("Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk", ""),
    ("X: a\rContent-Length: 5", "12345"),
    ("X: a\nContent-Length: 5", "12345"),
    ("X:\u{0}a", ""),
    ("Host: b", ""),
];

/// First lines that nginx may rewrite, and we then read.
const LINES: &[&str] = &[
    "GET /dump HTTP/1.0",
    "GET /dump?a=%0d%0aX:y HTTP/1.1",
    "GET /dump%20HTTP/1.1%0d%0aHost:%20b HTTP/1.1",
    "GET //dump/../dump HTTP/1.1",
    "GET /%2e%2e/dump HTTP/1.1",
    "GET /dump#fragment HTTP/1.1",
    "GET http://b/dump HTTP/1.1",
    "GET /dump HTTP/1.1 HTTP/1.1",
    "GET /dump  HTTP/1.1",
    "GET /d\u{f6}mp HTTP/1.1",
    "GET /dump HTTP/1.9",
    "GET /dump",
    "get /dump HTTP/1.1",
    "HEAD /dump HTTP/1.1",
    "CONNECT a:80 HTTP/1.1",
    "TRACE /dump HTTP/1.1",
    "OPTIONS * HTTP/1.1",
];

/// A running proxy.
struct Nginx {
    child: Child,
    /// Where it passes requests on with HTTP/1.0, and with 1.1.
    ports: [SocketAddr; 2],
    /// Its log: a line for each request.
    log: std::path::PathBuf,
}

/// Starts it, asks everything through it, probes it.
pub(crate) fn run(place: &Place, file: &Path) -> Result<String> {
    let nginx = Nginx::start(place, file)?;
    let mut clients = 0;
    for (address, version) in nginx.ports.into_iter().zip(["1.0", "1.1"]) {
        let through = place.through(address);
        let wanted =
            |program: &&Program| program.proxied && (!place.smoke || SMOKE.contains(&program.name));
        for program in PROGRAMS.iter().filter(wanted) {
            let Some((file, _)) = program.find(&place.target) else { continue };
            let name = program.name;
            let said = (program.run)(&through, &file)
                .with_context(|| format!("{name} through nginx, upstream {version}"))?;
            println!("{name} through nginx, upstream {version}: {said}");
            clients += 1;
        }
        nginx.probe(place, address).with_context(|| format!("upstream {version}"))?;
    }
    let probes = PROBES.len() + LINES.len();
    Ok(format!("2 x {} clients, 2 x {probes} probes", clients / 2))
}

impl Nginx {
    fn start(place: &Place, file: &Path) -> Result<Self> {
        let folder = place.folder.join("nginx");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let [one, two] = [free_port()?, free_port()?];
        let path = folder.display().to_string();
        let text = configuration(&path, [one, two], place.server);
        fs::write(folder.join("nginx.conf"), text)?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(file);
        command.args(["-p", &path, "-e", "stderr", "-c", "nginx.conf"]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(fs::File::create(folder.join("messages"))?);
        let child = command.spawn().context("start nginx")?;
        let nginx = Self { child, ports: [one, two], log: folder.join("log") };
        let deadline = Instant::now() + PATIENCE;
        while get(one, "/", PATIENCE).is_err() {
            if Instant::now() > deadline {
                bail!("nginx does not serve: {}", fs::read_to_string(folder.join("messages"))?);
            }
            std::thread::sleep(LOOK);
        }
        Ok(nginx)
    }

    fn probe(&self, place: &Place, address: SocketAddr) -> Result<()> {
        let bodies = PROBES.iter().map(|(fields, body)| {
            format!("POST /dump HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}{HIDDEN}")
        });
        let lines = LINES.iter().map(|line| format!("{line}\r\nHost: a\r\n\r\n{HIDDEN}"));
        for (number, probe) in bodies.chain(lines).enumerate() {
            self.one(place, address, number, &probe).with_context(|| format!("probe {probe:?}"))?;
        }
        Ok(())
    }

    /// Sends a probe and then, as somebody else, a question whose answer is known.
    fn one(&self, place: &Place, address: SocketAddr, number: usize, probe: &str) -> Result<()> {
        let (before, logged) = (place.counters()?, self.passed()?);
        let deadline = Instant::now() + PATIENCE;
        // As bytes, each character of the first 256 is one.
        let bytes: Vec<u8> = probe.chars().map(|letter| letter as u8).collect();
        let answer = exchange(address, &bytes)?;
        let own = format!("id={number}");
        let next = get(address, &format!("/dump?{own}"), PATIENCE)?;
        if !next.lines().any(|line| line == format!("query={own}")) {
            bail!("who came next got the answer to something else: {next}");
        }
        for looks in 1.. {
            let after = place.counters()?;
            let seen = |name: &str| after.value(name) - before.value(name);
            let ours = seen("requests") - looks + seen("rejected");
            let theirs = self.passed()? - logged;
            if ours == theirs {
                break;
            }
            // Requests may still be on their way, and nginx logs a moment after it has answered.
            if Instant::now() > deadline {
                let answer = String::from_utf8_lossy(&answer);
                bail!("nginx passed {theirs} requests on, {ours} came here; its answer: {answer}");
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// How many requests nginx has passed on so far, by its own log.
    fn passed(&self) -> Result<u64> {
        let log = fs::read_to_string(&self.log)?;
        Ok(log.lines().map(passed).sum())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How often a request was passed on: the last word of a line of the log is the upstream's status,
/// several when nginx tried again, or a dash for what it answered by itself.
fn passed(line: &str) -> u64 {
    let statuses = line.rsplit('|').next().unwrap_or_default().split(", ");
    statuses.filter(|status| !["-", ""].contains(status)).count() as u64
}

/// Sends these bytes and no more, and reads until nginx has had enough of it, too.
fn exchange(address: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(bytes)?;
    stream.shutdown(Shutdown::Write)?;
    let (mut answer, mut part) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut part) {
            Ok(0) => return Ok(answer),
            Ok(length) => answer.extend_from_slice(&part[..length]),
            // What it does not want to read any more it may refuse so.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(answer),
            Err(error) => return Err(error).context("nginx does not come to an end"),
        }
    }
}

/// A port that nobody has at this moment.
fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Bodies are passed on as they come, but to `/echo`, which answers early (413) while its client
/// may still send: where nginx passed such a body on unbuffered, one run in three had a client that
/// saw its connection end and no answer. Asked without nginx, each of them sees it.
fn configuration(folder: &str, ports: [SocketAddr; 2], server: SocketAddr) -> String {
    let [one, two] = ports;
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path {folder}/{name};\n"))
        .concat();
    format!(
        "daemon off;
master_process off;
pid {folder}/pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
{temporary}    log_format probes '$server_port|$status|$upstream_status';
    access_log {folder}/log probes;
    client_max_body_size 0;
    proxy_ignore_client_abort on;
    upstream kept {{ server {server}; keepalive 4; }}
    server {{
        listen {one};
        location / {{
            proxy_pass http://{server};
            proxy_set_header Host $http_host;
            proxy_buffering off;
        }}
    }}
    server {{
        listen {two};
        proxy_http_version 1.1;
        proxy_set_header Connection \"\";
        proxy_set_header Host $http_host;
        proxy_buffering off;
        location = /echo {{ proxy_pass http://kept; }}
        location / {{
            proxy_pass http://kept;
            proxy_request_buffering off;
        }}
    }}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nginx_answered_alone_was_not_passed_on() {
        let table = [("8080|200|200", 1), ("8080|400|-", 0), ("8080|200|502, 200", 2), ("", 0)];
        for (line, count) in table {
            assert_eq!(passed(line), count, "{line}");
        }
    }
}
