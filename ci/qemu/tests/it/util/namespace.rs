//! A network of a test's own: what happens in it nobody else sees, and it is gone with its thread.
//!
//! QEMU's user networking ends TCP itself, so what a board refuses or resets shows only over a tap
//! device, and a device needs rights over the network it lies in. Where a test may not make a
//! network, it fails and says what is missing: it is never skipped.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::process::{Command, Output, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::settles;

/// The tap device's name, in each namespace.
pub(crate) const TAP: &str = "tap0";

/// Our end of the wire, and how many bits name the network.
const OWN: &str = "192.0.2.1/24";

/// What who may not make a namespace can do.
const HOW: &str = "a test of a board needs a network namespace of its own, which root may make; \
                   as another user: unshare --map-root-user cargo test -p qemu";

/// Does some work on a thread whose network is a new one: a loopback and a tap device.
///
/// Processes and threads that the work starts are in that network, too.
pub(crate) fn inside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            enter().and_then(|()| furnish()).unwrap_or_else(|error| panic!("{error:#}"));
            work()
        });
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Moves this thread into a new network namespace, for ever.
fn enter() -> Result<()> {
    // `cat` holds the namespace until this thread is in it, and ends with its input. (Making one
    // in this thread would be `unsafe`, since the same call can split a process's descriptors.)
    let mut holder = Command::new("unshare");
    holder.args(["--net", "cat"]);
    holder.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut holder = holder.spawn().context("start unshare (Debian's package util-linux)")?;
    let mut stdin = holder.stdin.take().context("its input was not piped")?;
    let mut stdout = holder.stdout.take().context("its output was not piped")?;
    // Once it repeats what it was told, it is in its namespace. Otherwise its words say why.
    let told = stdin.write_all(b"!").and_then(|()| stdout.read_exact(&mut [0]));
    let entered = told.context("unshare --net").and_then(|()| {
        let place = format!("/proc/{}/ns/net", holder.id());
        let namespace = File::open(&place).with_context(|| format!("open {place}"))?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .context("setns")
    });
    drop(stdin);
    let said = holder.wait_with_output().context("wait for unshare")?;
    entered.with_context(|| format!("{HOW}\n{}", words(&said)))
}

/// Makes what the network consists of.
fn furnish() -> Result<()> {
    ip("link set dev lo up")?;
    ip(&format!("tuntap add dev {TAP} mode tap")).context(
        "a test of a board needs a tap device: /dev/net/tun and the right to read and write it",
    )?;
    // Nothing but what a test sends is on the wire: no announcements of IPv6.
    ip(&format!("link set dev {TAP} addrgenmode none"))?;
    ip(&format!("address add {OWN} dev {TAP}"))?;
    ip(&format!("link set dev {TAP} up")).map(drop)
}

/// Waits until the kernel has noticed that somebody is at the other end of the tap device; what is
/// sent before is lost.
pub(crate) fn wait_for_carrier() {
    settles("the tap device has a carrier", || {
        let shown = ip(&format!("link show dev {TAP}")).map_err(|error| format!("{error:#}"))?;
        if shown.contains(" state UP ") { Ok(()) } else { Err(shown) }
    });
}

/// Runs `ip`; what it prints.
fn ip(words_of_it: &str) -> Result<String> {
    let output = Command::new("ip").args(words_of_it.split(' ')).stdin(Stdio::null()).output();
    let output = output.context("start ip (Debian's package iproute2)")?;
    if !output.status.success() {
        bail!("ip {words_of_it}: {}", words(&output));
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// What the kernel has counted in this thread's network, by its own names: `TCPSynRetrans`.
pub(crate) fn counters() -> BTreeMap<String, u64> {
    let mut counters = BTreeMap::new();
    for file in ["snmp", "netstat"] {
        let text = fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        // Two lines each: `Tcp: ActiveOpens ..`, and `Tcp: 16 ..`.
        for pair in lines.chunks_exact(2) {
            let (names, values) = (pair[0].split(' ').skip(1), pair[1].split(' ').skip(1));
            let group = pair[0].split(':').next().unwrap_or_default().trim_end_matches("Ext");
            let own = names
                .zip(values)
                .filter(|_| group == "Tcp")
                .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
            counters.extend(own);
        }
    }
    counters
}

/// What became of our connections between two looks at [`counters`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Connections that were refused.
    pub(crate) refused: u64,
    /// Connections that were reset, by either side.
    pub(crate) reset: u64,
    /// SYNs that had to be sent again.
    pub(crate) syn_again: u64,
}

impl Seen {
    /// Everything since the network was made.
    pub(crate) fn now() -> Self {
        let counters = counters();
        let value = |name: &str| *counters.get(name).unwrap_or_else(|| panic!("{name} is gone"));
        Self {
            refused: value("AttemptFails"),
            reset: value("EstabResets"),
            syn_again: value("TCPSynRetrans"),
        }
    }
}
