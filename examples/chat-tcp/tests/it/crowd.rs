//! A thousand clients of the real program, and twenty of them that stop reading.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::util::program::Program;
use crate::util::{PATIENCE, heard, is_part_of, until};

const CLIENTS: usize = 1_000;
const SLOW: usize = 20;
/// Who talks, and how many lines each says.
const TALKERS: usize = 50;
const LINES: usize = 20;

/// A client that is read by turns with all others.
struct Client {
    stream: TcpStream,
    text: Vec<u8>,
    is_over: bool,
}

impl Client {
    /// Comes into the room. One with small buffers fills them soon when it does not read.
    fn join(at: SocketAddr, name: &str, is_small: bool) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if is_small {
            socket.set_recv_buffer_size(4_096).unwrap();
            // Small segments keep the other side's send buffer small as well.
            socket.set_tcp_mss(536).unwrap();
        }
        socket.connect(&at.into()).unwrap();
        let mut stream = TcpStream::from(socket);
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(format!("{name}\n").as_bytes()).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self { stream, text: Vec::new(), is_over: false }
    }

    /// Reads what is there.
    fn read(&mut self) {
        let mut piece = [0; 16_384];
        while !self.is_over {
            match self.stream.read(&mut piece) {
                Ok(0) => self.is_over = true,
                Ok(count) => self.text.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
                    self.is_over = true;
                }
            }
        }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.text).expect("text")
    }

    fn count(&self, what: &str) -> usize {
        self.text().lines().filter(|line| line.contains(what)).count()
    }
}

/// Reads by turns until each has what is wanted.
#[track_caller]
fn until_all(what: &str, clients: &mut [Client], wanted: impl Fn(&Client) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    let mut rest: Vec<&mut Client> = clients.iter_mut().collect();
    while !rest.is_empty() {
        rest.iter_mut().for_each(|client| client.read());
        rest.retain(|client| !wanted(client));
        let first = rest.first().map(|client| client.text());
        assert!(Instant::now() < deadline, "{what}: {} still wait: {first:?}", rest.len());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_thousand_read_everything_and_who_does_not_read_is_dropped() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = 2 * CLIENTS as u64;
    if current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).unwrap();
    }
    let program = Program::start(CLIENTS);
    let join = |number: usize, is_small| {
        Client::join(program.address, &format!("guest{number}"), is_small)
    };
    let mut clients: Vec<Client> = (SLOW..CLIENTS).map(|number| join(number, false)).collect();
    until_all("they have come", &mut clients, |client| client.count("- welcome") == 1);
    let mut slow: Vec<Client> = (0..SLOW).map(|number| join(number, true)).collect();
    until_all("the slow ones have come", &mut slow, |client| client.count("- welcome") == 1);
    let last = format!("* guest{} has come", SLOW - 1);
    until_all("all know all", &mut clients, |client| client.text().contains(&last));
    let before_kb = program.resident_kb();

    let words = "x".repeat(90);
    for line in 0..LINES {
        for (number, client) in clients[..TALKERS].iter_mut().enumerate() {
            let line = format!("{number}.{line} {words}\n");
            client.stream.write_all(line.as_bytes()).unwrap();
        }
    }
    until_all("all have heard all", &mut clients, |client| client.count(&words) == TALKERS * LINES);
    // Nobody waits for them, and in time they are dropped.
    until_all("the slow are dropped", &mut clients, |client| {
        client.count(" was dropped: too slow") == SLOW
    });
    let grown_kb = program.resident_kb().saturating_sub(before_kb);
    assert!(grown_kb < 256, "{grown_kb} kB more than when all had come");

    let (story, _) = heard(clients[0].text());
    let from = story.iter().position(|line| line.trim_end() == last).unwrap();
    for client in &clients {
        let (lines, cut) = heard(client.text());
        let start = lines.iter().position(|line| line.trim_end() == last).unwrap();
        assert!(lines[start..] == story[from..] && cut.is_empty(), "another story");
        assert!(!client.is_over);
    }
    until_all("what the slow ones had is a part of it", &mut slow, |client| client.is_over);
    for client in &slow {
        let (lines, cut) = heard(client.text());
        assert!(lines.len() < story.len() && is_part_of(&lines, &cut, &story));
    }
    // Their seats are free.
    let mut again = [join(0, false)];
    until_all("a dropped one's name is free", &mut again, |client| {
        client.text().contains("* guest0 has come")
    });
    program.terminate();
    until_all("all are told", &mut clients, |client| client.is_over);
    assert!(clients.iter().all(|client| client.text().ends_with("- the room closes\n")));
    until("the port is closed", || TcpStream::connect(program.address).is_err().then_some(()));
    program.ends();
}
