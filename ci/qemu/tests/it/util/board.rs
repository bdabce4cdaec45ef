//! A board that serves, in this thread's network.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use qemu::firmware::{self, Address};
use qemu::machine::{Builder, Machine, Network};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use serde_json::Value;

use super::namespace::{TAP, wait_for_carrier};
use super::wire::Wire;
use super::{Client, settles};

/// Where each board is, from our end of the wire.
pub(crate) const AT: SocketAddr = SocketAddr::new(IpAddr::V4(AT_IP), 80);

/// Its address alone.
pub(crate) const AT_IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// Sockets of a board that listen, and connections of its server.
pub(crate) const SOCKETS: usize = 4;

/// How long a board may take to start on a busy machine.
const BOOT: Duration = Duration::from_secs(30);

/// A board that runs, ended with this.
pub(crate) struct Board {
    pub(crate) machine: Machine,
}

/// What the server of the firmware `probe` says of itself, the one that asks included.
#[derive(Clone, Debug)]
pub(crate) struct Figures(Value);

impl Figures {
    /// One of them.
    #[track_caller]
    pub(crate) fn get(&self, name: &str) -> u64 {
        self.0[name].as_u64().unwrap_or_else(|| panic!("{name} is not in {}", self.0))
    }
}

/// The firmware of this name with the board's address, built once.
pub(crate) fn built(bin: &str, address: &Address) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let name = format!("{bin} {address:?}");
    built
        .entry(name)
        .or_insert_with(|| firmware::lm3s6965evb(bin, address).expect("firmware that builds"))
        .clone()
}

impl Board {
    /// Boots the firmware of this name at the tap device.
    pub(crate) fn start(bin: &str) -> Self {
        Self::boot(bin, |machine| machine.network(Network::Tap { name: TAP.to_owned() }))
    }

    /// Boots the firmware of this name at the end of a [`Wire`].
    pub(crate) fn at_wire(bin: &str) -> Self {
        Self::boot(bin, |machine| machine.arguments(Wire::arguments()))
    }

    fn boot(bin: &str, network: impl FnOnce(Builder) -> Builder) -> Self {
        let firmware: &Path = &built(bin, &Address::fixed("192.0.2.2/24", None));
        let machine = network(Machine::of(firmware)).start().expect("QEMU");
        let board = Self { machine };
        board.says_that_it_listens();
        wait_for_carrier();
        board
    }

    /// Waits for a line of its serial port, behind those that were waited for before.
    #[track_caller]
    pub(crate) fn says(&self, words: &str) {
        self.machine.wait_for(words, BOOT).unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Waits for the line that it prints once it serves.
    #[track_caller]
    pub(crate) fn says_that_it_listens(&self) {
        self.says(&format!("listening on http://{}:{}/", AT.ip(), AT.port()));
    }

    /// What `probe` says of itself.
    #[track_caller]
    fn figures_of(client: &mut Client) -> Figures {
        let response = client.get("/probe");
        assert_eq!(response.status, 200);
        Figures(serde_json::from_slice(&response.body).expect("JSON"))
    }

    /// Waits until nothing is left of any connection but the one that asks: its socket, its head
    /// buffer, its slot. Sockets that only wait for their last peer's last words count as free.
    #[track_caller]
    fn is_empty(&self) -> Figures {
        let mut client = Client::connect(AT);
        settles("everything comes back", || {
            let figures = Self::figures_of(&mut client);
            let wanted =
                [("open", 1), ("idle", 0), ("in_work", 1), ("sources", 2), ("syns_held", 0)];
            let sockets = figures.get("sockets_free") + figures.get("sockets_lingering");
            let is = wanted.iter().all(|(name, count)| figures.get(name) == *count);
            let is = is && sockets == SOCKETS as u64 - 1;
            if is { Ok(figures) } else { Err(format!("{:?}", figures.0)) }
        })
    }

    /// Waits until each socket listens, but that of the one who asks.
    #[track_caller]
    pub(crate) fn all_sockets_listen(&self) -> Figures {
        let mut client = Client::connect(AT);
        settles("all sockets listen", || {
            let figures = Self::figures_of(&mut client);
            let is = figures.get("sockets_free") == SOCKETS as u64 - 1;
            if is { Ok(figures) } else { Err(format!("{:?}", figures.0)) }
        })
    }

    /// Waits until nothing is left of any connection, then uses everything that there is at once:
    /// each socket, and through them each place of the server's.
    #[track_caller]
    pub(crate) fn is_at_rest(&self) {
        let shed = self.is_empty().get("shed");
        let mut clients: Vec<Client> = (0..SOCKETS).map(|_| Client::connect(AT)).collect();
        for turn in 0..3 {
            clients.iter_mut().for_each(|client| client.ask(&format!("/user/{turn}")));
            for client in &mut clients {
                let response = client.response();
                assert_eq!((response.status, response.text()), (200, turn.to_string().as_str()));
                assert_eq!(response.field("Connection"), None, "nobody waits for a place");
            }
        }
        let figures = Self::figures_of(&mut clients[0]);
        let wanted = [("open", SOCKETS as u64), ("in_work", 1), ("shed", shed)];
        for (name, count) in wanted {
            assert_eq!(figures.get(name), count, "{name} of {:?}", figures.0);
        }
        assert_eq!(figures.get("idle"), SOCKETS as u64 - 1, "head buffers, of {:?}", figures.0);
        drop(clients);
        self.answers();
    }

    /// Lets as many come at once as there are sockets, so that those whose peers have vanished are
    /// pushed out: nobody else tells the board that they are gone.
    #[track_caller]
    pub(crate) fn recovers(&self) {
        let mut clients = connect_at_once(3 * SOCKETS);
        std::thread::scope(|scope| {
            for client in &mut clients {
                scope.spawn(|| {
                    client.ask("/");
                    assert_eq!(client.response().status, 200);
                });
            }
        });
    }

    /// Asks for one page, as anybody would.
    #[track_caller]
    pub(crate) fn answers(&self) {
        let mut client = Client::connect(AT);
        client.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        let response = client.response();
        assert_eq!((response.status, response.text()), (200, "Hello, World!"));
        client.closes();
    }
}

/// Begins connections within some microseconds. The first write of each waits until it stands.
pub(crate) fn connect_at_once(count: usize) -> Vec<Client> {
    let sockets = (0..count).map(|_| {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap()
    });
    let sockets: Vec<_> = sockets.collect();
    for socket in &sockets {
        let begun = rustix::net::connect(socket, &AT);
        assert_eq!(begun, Err(rustix::io::Errno::INPROGRESS));
    }
    let streams = sockets.into_iter().map(std::net::TcpStream::from);
    let clients = streams.map(|stream| {
        stream.set_nonblocking(false).unwrap();
        Client::over(stream)
    });
    clients.collect()
}
