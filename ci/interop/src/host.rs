//! The server that is asked: the Linux binary beside this program, or a board in QEMU.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use qemu::machine::{Machine, Network};
use rustix::process::{Pid, Signal, kill_process};

/// Connections that the Linux binary has room for; more than this attack it at once.
const ROOM: u32 = 200;

/// What a server prints before its address.
const LISTENS: &str = "listening on http://";

/// How long either may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether something has happened.
const LOOK: Duration = Duration::from_millis(20);

/// The tap device, our end of the wire and the board's.
const TAP: &str = "tap0";
const OWN: &str = "192.0.2.1/24";
const BOARD: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)), 80);

/// A running server, ended with this.
pub(crate) enum Host {
    /// A process.
    Linux(Server),
    /// An emulated board.
    Board(Box<Machine>),
}

/// A process that serves.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
}

impl Host {
    /// Starts the binary on a free port.
    pub(crate) fn linux(binary: &Path) -> Result<Self> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(binary);
        command.args(["--address", "127.0.0.1", "--port", "0", "--workers", "1"]);
        command.args(["--connections", &ROOM.to_string()]).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).env("DUSTDEVIL_LOG", "warn");
        let mut child = command.spawn().with_context(|| format!("start {}", binary.display()))?;
        let (sender, addresses) = mpsc::channel();
        follow(child.stdout.take().context("its output was not piped")?, sender.clone());
        follow(child.stderr.take().context("its messages were not piped")?, sender);
        let address = addresses.recv_timeout(PATIENCE).context("the server did not listen")?;
        Ok(Self::Linux(Server { child, address }))
    }

    /// Boots the firmware at a tap device, which is made in the network that this runs in.
    pub(crate) fn board(firmware: &Path) -> Result<Self> {
        ip("link set dev lo up")?;
        ip(&format!("tuntap add dev {TAP} mode tap"))
            .context("a board needs a network namespace of this program's own: unshare --net")?;
        ip(&format!("link set dev {TAP} addrgenmode none"))?;
        ip(&format!("address add {OWN} dev {TAP}"))?;
        ip(&format!("link set dev {TAP} up"))?;
        let network = Network::Tap { name: TAP.to_owned() };
        let machine = Machine::of(firmware).network(network).start()?;
        machine.wait_for(LISTENS, PATIENCE)?;
        // What is sent before the kernel has noticed the board is lost.
        let deadline = Instant::now() + PATIENCE;
        while !ip(&format!("link show dev {TAP}"))?.contains(" state UP ") {
            if Instant::now() > deadline {
                bail!("nobody is at the other end of {TAP}");
            }
            std::thread::sleep(LOOK);
        }
        Ok(Self::Board(Box::new(machine)))
    }

    /// `linux` or `board`.
    pub(crate) fn name(&self) -> &'static str {
        if self.is_board() { "board" } else { "linux" }
    }

    /// Whether it is a board.
    pub(crate) fn is_board(&self) -> bool {
        matches!(self, Self::Board(_))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Linux(server) => server.address,
            Self::Board(_) => BOARD,
        }
    }

    /// The longest body that `/echo` takes, in bytes.
    pub(crate) fn body(&self) -> usize {
        if self.is_board() { 4 << 10 } else { 1 << 20 }
    }

    /// Bytes of a long answer.
    pub(crate) fn large(&self) -> usize {
        if self.is_board() { 64 << 10 } else { 1 << 20 }
    }

    /// Connections that it has room for.
    pub(crate) fn room(&self) -> u32 {
        if self.is_board() { 4 } else { ROOM }
    }

    /// How soon a bystander is answered, whatever others do.
    pub(crate) fn answered_within(&self) -> Duration {
        Duration::from_secs(if self.is_board() { 4 } else { 2 })
    }

    /// Fails when it does not run any more, with what is known of that.
    pub(crate) fn runs(&self) -> Result<()> {
        match self {
            Self::Linux(server) => {
                let id = i32::try_from(server.child.id()).ok().and_then(Pid::from_raw);
                let state = id.map(rustix::process::test_kill_process);
                // A process that has ended and was not waited for yet can still be signalled.
                let place = format!("/proc/{}/stat", server.child.id());
                let stat = std::fs::read_to_string(place).unwrap_or_default();
                if !matches!(state, Some(Ok(()))) || stat.contains(") Z ") {
                    bail!("the server has ended");
                }
                Ok(())
            }
            Self::Board(machine) if machine.is_running() => Ok(()),
            Self::Board(machine) => bail!("QEMU has ended:\n{}", machine.log()),
        }
    }

    /// Ends it as its operator would; fails unless it ends well.
    pub(crate) fn end(self) -> Result<()> {
        match self {
            Self::Linux(server) => server.end(),
            Self::Board(machine) => machine.quit(PATIENCE),
        }
    }
}

impl Server {
    fn end(mut self) -> Result<()> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(id.context("a process id")?, Signal::TERM).context("send SIGTERM")?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("the server ended with {status} after SIGTERM"),
                None => std::thread::sleep(LOOK),
            }
        }
        bail!("the server did not end within {PATIENCE:?} of SIGTERM")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Prints what a server prints, and sends the address that is in it.
fn follow(output: impl Read + Send + 'static, sender: Sender<SocketAddr>) {
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            println!("server: {line}");
            if let Some(address) = address(&line) {
                // Nobody listens any more once an address was found.
                let _ = sender.send(address);
            }
        }
    });
}

/// The address in `listening on http://127.0.0.1:8888/`.
fn address(line: &str) -> Option<SocketAddr> {
    line.split_once(LISTENS)?.1.split(['/', ' ']).next()?.parse().ok()
}

/// Runs `ip`; what it prints.
fn ip(words: &str) -> Result<String> {
    let output = Command::new("ip").args(words.split(' ')).stdin(Stdio::null()).output();
    let output = output.context("start ip (Debian's package iproute2)")?;
    if !output.status.success() {
        bail!("ip {words}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read() {
        let line = "listening on http://127.0.0.1:8888/ with 1 worker";
        assert_eq!(address(line).map(|at| at.port()), Some(8888));
        assert_eq!(address("listening on nothing"), None);
    }
}
