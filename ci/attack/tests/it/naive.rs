//! A server that serves one connection after the other and forgets to count back: what is judged
//! here must see both.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use attack::{Bounds, Plan};

/// How long it waits for a request; no other connection is served meanwhile.
const WAITS: Duration = Duration::from_millis(400);

fn serve(mut stream: TcpStream, open: u64) {
    stream.set_read_timeout(Some(WAITS)).unwrap();
    let mut request = [0; 4_096];
    let Ok(length @ 1..) = stream.read(&mut request) else { return };
    let is_get = request[..length].starts_with(b"GET / ");
    let body = if is_get { "hello".to_owned() } else { format!("open={open}\n") };
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    let _ = stream.write_all((head + &body).as_bytes());
}

#[test]
fn a_server_that_gives_way_is_complained_about() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    let over = AtomicBool::new(false);
    let complaints = thread::scope(|scope| {
        scope.spawn(|| {
            let mut attackers = 0;
            for stream in listener.incoming() {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let stream = stream.unwrap();
                attackers += u64::from(stream.peek(&mut [0]).is_ok_and(|length| length == 0));
                serve(stream, attackers);
            }
        });
        let plan = Plan {
            server,
            process: Some(std::process::id()),
            connections: 12,
            time: Duration::from_secs(4),
            pause: Duration::from_millis(10),
        };
        let report = attack::run(&plan, &attack::scripts("silent-flood/silent").unwrap());
        over.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(server));
        report.complaints(&Bounds::LINUX)
    });
    for wanted in ["on a kept one an answer took", "POST /echo: 200", "open: Some(0)"] {
        assert!(complaints.iter().any(|own| own.contains(wanted)), "{wanted}: {complaints:#?}");
    }
}
