//! What an idle connection costs in the server's own memory.

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, getrlimit, setrlimit};

use super::load;
use super::server::Program;

/// How many idle connections are opened.
pub(super) const CONNECTIONS: usize = 10_000;

/// Descriptors that both processes need beside their connections.
const OTHER_DESCRIPTORS: u64 = 100;

/// Bytes of private memory that the server touched for each of [`CONNECTIONS`] idle connections:
/// each has had one request answered. Tables lie in zeroed memory of which the kernel gives a page
/// when it is first written, so pages that became dirty are the table entries in use.
pub(super) fn per_idle_connection(of: &Program) -> Result<f64> {
    raise_descriptors()?;
    let server = of.start(&[], load::PATH, CONNECTIONS + 100)?;
    // What the first request touches for good belongs to the server, not to a connection.
    let target = load::Server::at(server.address);
    drop(load::connect(&target, 1)?);
    let before = private_dirty_kib(server.id())?;
    let clients = load::connect(&target, CONNECTIONS)?;
    let after = private_dirty_kib(server.id())?;
    drop(clients);
    server.end()?;
    let touched = after.checked_sub(before).context("memory shrank while connections opened")?;
    Ok((touched * 1024) as f64 / CONNECTIONS as f64)
}

/// Both ends run here, one as a child of the other, which inherits the limit.
fn raise_descriptors() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    let needed = CONNECTIONS as u64 + OTHER_DESCRIPTORS;
    ensure!(
        limit.maximum.is_none_or(|maximum| maximum >= needed),
        "the hard limit of open files is {:?}, {needed} are needed",
        limit.maximum
    );
    if limit.current.is_some_and(|current| current < needed) {
        limit.current = Some(needed);
        setrlimit(Resource::Nofile, limit).context("raise the limit of open files")?;
    }
    Ok(())
}

fn private_dirty_kib(id: u32) -> Result<u64> {
    let path = format!("/proc/{id}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    private_dirty(&text).with_context(|| format!("{path} has no Private_Dirty"))
}

fn private_dirty(text: &str) -> Option<u64> {
    let row = text.lines().find_map(|line| line.strip_prefix("Private_Dirty:"))?;
    row.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dirty_pages_are_read() {
        let text = "Rss:   900 kB\nPrivate_Clean:   4 kB\nPrivate_Dirty:   316 kB\nSwap: 0 kB\n";
        assert_eq!(private_dirty(text), Some(316));
        assert_eq!(private_dirty("Rss: 1 kB\n"), None);
    }
}
