//! What the command line of a server says.
//!
//! ```text
//! --address 127.0.0.1   where to listen          --connections 10000  at once, for each worker
//! --port 8888           0: any that is free      --help, --version
//! --workers 2           default: one a core      DUSTDEVIL_LOG=info   in the environment
//! ```
//!
//! Layer: stands on clap and rustix; [`percore`](crate::percore) stands on it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::{Arg, Command, value_parser};
use log::LevelFilter;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::epoll::DESCRIPTORS_MAX;
use crate::logger;

/// Connections of a worker unless the command line says otherwise.
pub const CONNECTIONS_DEFAULT: usize = 10_000;

/// Descriptors that a process needs beside its connections: standard streams, epoll and eventfd and
/// listener of each worker, and a reserve for what the application opens.
const DESCRIPTORS_RESERVED: u64 = 64;
const DESCRIPTORS_PER_WORKER: u64 = 4;

/// How a server runs. Made by [`parse`](Self::parse), or by hand for a server that is embedded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where to listen; the loopback interface unless asked otherwise.
    pub address: IpAddr,
    /// The port; 0 for any that is free.
    pub port: u16,
    /// How many threads serve, each with a reactor of its own; at least 1.
    pub workers: usize,
    /// Connections at once, for each worker; at least 1. A place that is never used costs an
    /// address range and no memory, so this may well be a million.
    ///
    /// [`percore::run`](crate::percore::run) raises the process's limit of descriptors
    /// (`RLIMIT_NOFILE`) to what they need. Where the hard limit does not allow that it reports
    /// both numbers, as an error if somebody asked for the connections, and serves with as many as
    /// there are descriptors for.
    pub connections: usize,
    /// Up to which level [`log`] reports.
    pub log: LevelFilter,
    /// Whether somebody asked for `connections`, and must hear that it had to be lowered.
    pub connections_asked: bool,
    /// What stands before the address where the process says that it listens: `http://`, or nothing
    /// for a server of another protocol.
    pub scheme: &'static str,
}

impl Options {
    /// What this process's command line says. Help, the version and mistakes end the process, as
    /// clap does: with exit code 0, and 2 for mistakes.
    pub fn parse() -> Self {
        Self::parse_as("A server on Dustdevil", "")
    }

    /// As [`parse`](Self::parse), for a program whose help begins with `about` and ends with
    /// `more`: what it understands beside, which it reads itself.
    pub fn parse_as(about: &'static str, more: &'static str) -> Self {
        let parsed = Self::try_from_arguments(std::env::args_os(), about, more);
        parsed.unwrap_or_else(|error| error.exit())
    }

    /// What a command line says whose first word is the program's path.
    fn try_from_arguments(
        words: impl IntoIterator<Item = std::ffi::OsString>,
        about: &'static str,
        more: &'static str,
    ) -> Result<Self, clap::Error> {
        let mut words = words.into_iter().peekable();
        let program = words.peek().map(std::path::PathBuf::from);
        let name = program.as_deref().and_then(|path| path.file_name()?.to_str());
        let command = command(name.unwrap_or("dustdevil").to_owned(), about, more);
        let matches = command.try_get_matches_from(words)?;
        let default = Self::default();
        let connections = matches.get_one("connections").map(|&count: &u32| count as usize);
        Ok(Self {
            address: matches.get_one("address").copied().unwrap_or(default.address),
            port: matches.get_one("port").copied().unwrap_or(default.port),
            workers: matches
                .get_one("workers")
                .map_or(default.workers, |&count: &u16| usize::from(count)),
            connections: connections.unwrap_or(default.connections),
            log: logger::level(default.log),
            connections_asked: connections.is_some(),
            scheme: default.scheme,
        })
    }

    /// Address and port.
    pub fn at(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }

    /// Raises the process's limit of descriptors to what these connections need. Where the hard
    /// limit is lower, says so, and lowers the connections to what the process may open.
    pub(crate) fn fit_descriptors(&mut self) {
        let needed = descriptors(self.workers, self.connections);
        // A number beyond what a poller's table reaches to would be of no use.
        let limit = raise_descriptor_limit(needed).min(DESCRIPTORS_MAX as u64);
        let Some(fitting) = connections_within(limit, self.workers, self.connections) else {
            return;
        };
        let level = if self.connections_asked { log::Level::Error } else { log::Level::Debug };
        log::log!(
            level,
            "{fitting} connections a worker, not {}: they need {needed} descriptors, and there \
             are {limit} (ulimit -Hn, at most {DESCRIPTORS_MAX})",
            self.connections
        );
        self.connections = fitting;
    }
}

impl Default for Options {
    /// What an empty command line says: 127.0.0.1:8888, a worker a core, 10,000 connections each.
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8888,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            connections: CONNECTIONS_DEFAULT,
            log: LevelFilter::Info,
            connections_asked: false,
            scheme: "http://",
        }
    }
}

/// What every help ends with.
const DUSTDEVIL_LOG: &str = "The environment variable DUSTDEVIL_LOG sets what is logged: off, \
                             error, warn, info (the default), debug or trace.";

/// The command line of the program `name`, as clap sees it. What has no default here has one that
/// depends on the machine, or whose absence means something.
fn command(name: String, about: &'static str, more: &str) -> Command {
    let count = |id| Arg::new(id).long(id).value_name("COUNT");
    Command::new(name)
        .version(env!("CARGO_PKG_VERSION"))
        .about(about)
        .after_help(format!("{more}{DUSTDEVIL_LOG}"))
        .arg(
            Arg::new("address")
                .long("address")
                .value_name("IP")
                .value_parser(value_parser!(IpAddr))
                .default_value("127.0.0.1")
                .help("Address to listen at"),
        )
        .arg(
            Arg::new("port")
                .long("port")
                .value_name("PORT")
                .value_parser(value_parser!(u16))
                .default_value("8888")
                .help("Port to listen at; 0 takes any that is free"),
        )
        .arg(
            count("workers")
                .value_parser(value_parser!(u16).range(1..=1024))
                .help("Threads that serve, each with a reactor of its own [default: one a core]"),
        )
        .arg(
            count("connections")
                .value_parser(value_parser!(u32).range(1..))
                .help("Connections at once, for each worker [default: 10000]"),
        )
}

/// How many descriptors that many connections of that many workers need.
fn descriptors(workers: usize, connections: usize) -> u64 {
    let each = (connections as u64).saturating_add(DESCRIPTORS_PER_WORKER);
    (workers as u64).saturating_mul(each).saturating_add(DESCRIPTORS_RESERVED)
}

/// How many connections each of `workers` may have, when that is fewer than `connections`.
fn connections_within(limit: u64, workers: usize, connections: usize) -> Option<usize> {
    if descriptors(workers, connections) <= limit {
        return None;
    }
    let each = limit.saturating_sub(DESCRIPTORS_RESERVED) / workers.max(1) as u64;
    Some(each.saturating_sub(DESCRIPTORS_PER_WORKER).max(1) as usize)
}

/// Makes the soft limit at least `wanted`, as far as the hard one allows, and returns it.
pub(crate) fn raise_descriptor_limit(wanted: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let (current, highest) = (current.unwrap_or(u64::MAX), maximum.unwrap_or(u64::MAX));
    let target = wanted.min(highest);
    if target > current
        && setrlimit(Resource::Nofile, Rlimit { current: Some(target), maximum }).is_ok()
    {
        return target;
    }
    current
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, clap::Error> {
        Options::try_from_arguments(line.split(' ').map(Into::into), "", "")
    }

    #[test]
    fn an_empty_command_line_means_the_defaults() {
        let parsed = parse("/usr/bin/hello").unwrap();
        assert_eq!(parsed, Options { log: parsed.log, ..Options::default() });
        assert_eq!(parsed.at(), "127.0.0.1:8888".parse().unwrap());
        assert!(parsed.workers >= 1);
    }

    #[test]
    fn each_option_is_heard() {
        let parsed = parse("hello --address ::1 --port 0 --workers 3 --connections 7").unwrap();
        assert_eq!(parsed.at(), "[::1]:0".parse().unwrap());
        assert_eq!((parsed.workers, parsed.connections), (3, 7));
        assert!(parsed.connections_asked);
    }

    #[test]
    fn mistakes_and_questions_end_it() {
        let cases = [
            ("hello --port 65536", 2, "65536"),
            ("hello --workers 0", 2, "--workers <COUNT>"),
            ("hello --connections 0", 2, "--connections <COUNT>"),
            ("hello --address example.org", 2, "example.org"),
            ("hello --colour", 2, "--colour"),
            ("/opt/hello --help", 0, "Usage: hello"),
            ("/opt/hello --version", 0, concat!("hello ", env!("CARGO_PKG_VERSION"))),
        ];
        for (line, exit_code, says) in cases {
            let error = parse(line).unwrap_err();
            assert_eq!(error.exit_code(), exit_code, "{line}");
            assert!(error.to_string().contains(says), "{line}: {error}");
        }
    }

    #[test]
    fn connections_fit_the_descriptors() {
        for (limit, workers, connections, fitting) in [
            (20_000, 1, 10_000, None),
            (20_072, 2, 10_000, None),
            (20_071, 2, 10_000, Some(9_999)),
            (1_024, 1, 10_000, Some(956)),
            (1_024, 4, 10_000, Some(236)),
            (16, 2, 10_000, Some(1)),
            (u64::MAX, 1, usize::MAX, None),
        ] {
            assert_eq!(connections_within(limit, workers, connections), fitting, "{limit}");
        }
    }
}
