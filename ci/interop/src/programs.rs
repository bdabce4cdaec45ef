//! The list: each program, who brings it, and what it does here.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::host::Host;
use crate::place::Place;
use crate::table::{self, Outcome, Row};
use crate::tool::{Tool, which};
use crate::{chromium, clients, curl, load, nginx, slow, wget};

/// Seconds in which a program says its version.
const VERSION: u32 = 30;

/// What is run with a program: what it found out, in a few words.
pub(crate) type Run = fn(&Place, &Path) -> Result<String>;

/// One program, in one of its ways.
pub(crate) struct Program {
    /// For the table and `--only`.
    pub(crate) name: &'static str,
    /// What it does here.
    pub(crate) what: &'static str,
    /// What brings it.
    from: &'static str,
    /// Where it is looked for.
    home: Home,
    /// The arguments with which it prints its version.
    version: &'static [&'static str],
    /// Whether a board is asked, too.
    board: bool,
    /// Whether it also asks through a proxy.
    pub(crate) proxied: bool,
    /// How many connections it may open, straight; None: as many as it likes.
    connections_max: Option<u64>,
    /// What is run.
    pub(crate) run: Run,
}

/// Where a program is looked for.
enum Home {
    /// On PATH.
    Path(&'static str),
    /// Python of the environment that set-up makes; with what must be there to import.
    Python(&'static str),
    /// On PATH, or where set-up unpacks it.
    Unpacked(&'static str),
}

/// Some questions, asked one after another by a library.
const LIBRARY: &str = "asks everything";

/// Every program, the quick ones first.
pub(crate) const PROGRAMS: &[Program] = &[
    Program {
        name: "curl",
        what: "asks everything, 1.0 and 1.1",
        from: "Debian: curl",
        home: Home::Path("curl"),
        version: &["--version"],
        board: true,
        proxied: true,
        connections_max: None,
        run: curl::run,
    },
    Program {
        name: "wget",
        what: "fetches, posts, follows, keeps",
        from: "Debian: wget",
        home: Home::Path("wget"),
        version: &["--version"],
        board: false,
        proxied: true,
        connections_max: None,
        run: wget::run,
    },
    python(
        "urllib",
        "print(__import__('sys').version)",
        "Debian: python3",
        true,
        None,
        |place, python| clients::python(place, python, "urllib"),
    ),
    python(
        "requests",
        "import requests; print(requests.__version__)",
        "PyPI: requests",
        true,
        Some(4),
        |place, python| clients::python(place, python, "requests"),
    ),
    python(
        "httpx",
        "import httpx; print(httpx.__version__)",
        "PyPI: httpx",
        false,
        Some(4),
        |place, python| clients::python(place, python, "httpx"),
    ),
    python(
        "aiohttp",
        "import aiohttp; print(aiohttp.__version__)",
        "PyPI: aiohttp",
        false,
        Some(5),
        |place, python| clients::python(place, python, "aiohttp"),
    ),
    python(
        "tornado",
        "import tornado; print(tornado.version)",
        "PyPI: tornado",
        true,
        None,
        |place, python| clients::python(place, python, "tornado"),
    ),
    Program {
        name: "node",
        what: LIBRARY,
        from: "Debian: nodejs (18 or later)",
        home: Home::Path("node"),
        version: &["--version"],
        board: false,
        proxied: true,
        connections_max: Some(4),
        run: clients::node,
    },
    Program {
        name: "go",
        what: LIBRARY,
        from: "Debian: golang-go",
        home: Home::Path("go"),
        version: &["version"],
        board: false,
        proxied: true,
        connections_max: Some(4),
        run: clients::go,
    },
    tool("ab", "a connection a request, 1.0", "Debian: apache2-utils", &["-V"], load::ab),
    tool("ab", "keeps its connections, 1.0", "Debian: apache2-utils", &["-V"], load::ab_keep),
    tool("wrk", "16 connections, 1.1", "Debian: wrk", &["-v"], load::wrk),
    tool("h2load", "16 connections, 1.1", "Debian: nghttp2-client", &["--version"], load::h2load),
    Program {
        name: "chromium",
        what: "opens, fetches, posts, streams",
        from: "Debian: chromium, chromium-driver",
        home: Home::Path("chromedriver"),
        version: &["--version"],
        board: true,
        proxied: false,
        connections_max: None,
        run: chromium::run,
    },
    Program {
        name: "nginx",
        what: "in front, upstream 1.0 and 1.1",
        from: "Debian: nginx",
        home: Home::Unpacked("nginx"),
        version: &["-v"],
        board: false,
        proxied: false,
        connections_max: None,
        run: nginx::run,
    },
    slow("slow heads (slowloris)", slow::heads),
    slow("slow bodies", slow::bodies),
    slow("slow reading", slow::reading),
    slow("many ranges", slow::ranges),
];

const fn python(
    name: &'static str,
    version: &'static str,
    from: &'static str,
    board: bool,
    connections_max: Option<u64>,
    run: Run,
) -> Program {
    let home = Home::Python(version);
    let version = &[];
    Program { name, what: LIBRARY, from, home, version, board, proxied: true, connections_max, run }
}

const fn tool(
    name: &'static str,
    what: &'static str,
    from: &'static str,
    version: &'static [&'static str],
    run: Run,
) -> Program {
    let home = Home::Path(name);
    let (board, proxied, connections_max) = (false, false, None);
    Program { name, what, from, home, version, board, proxied, connections_max, run }
}

const fn slow(what: &'static str, run: Run) -> Program {
    tool("slowhttptest", what, "Debian: slowhttptest", &["-h"], run)
}

/// Runs every program that is wanted and there, and prints the table.
pub(crate) fn run_all(place: &Place, host: &Host, only: Option<&str>) -> Result<()> {
    let wanted = |program: &&Program| {
        (program.board || !host.is_board())
            && only.is_none_or(|only| program.name.starts_with(only))
    };
    let before = place.counters().context("before anything ran")?;
    let rows: Vec<Row> =
        PROGRAMS.iter().filter(wanted).map(|program| row(program, place, host)).collect();
    let settled = place.settled(&before).context("after everything ran");
    table::close(&rows)?;
    settled.map(drop)
}

fn row(program: &Program, place: &Place, host: &Host) -> Row {
    let start = Instant::now();
    let name = match host {
        Host::Board(_) => format!("{}, board", program.name),
        Host::Linux(_) => program.name.to_owned(),
    };
    println!("\n-- {name}: {}", program.what);
    let (version, outcome) = match program.find(&place.target) {
        None => (String::new(), Outcome::Absent(program.from)),
        Some((file, version)) => (version, outcome(program, &file, place, host)),
    };
    if let Outcome::Failed(why) = &outcome {
        println!("{name} failed: {why}");
    }
    Row { name, version, what: program.what, outcome, took: start.elapsed() }
}

fn outcome(program: &Program, file: &Path, place: &Place, host: &Host) -> Outcome {
    let judged = host.runs().and_then(|()| judge(program, file, place));
    match judged.and_then(|said| host.runs().map(|()| said)) {
        Ok(said) => Outcome::Passed(said),
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

/// Runs it and looks at what the server says before and after.
fn judge(program: &Program, file: &Path, place: &Place) -> Result<String> {
    let before = place.counters().context("before it ran")?;
    let ran = (program.run)(place, file);
    // A board remembers connections that it closed first for ten seconds.
    let settled = match place.smoke && place.is_board {
        true => place.counters().map(|counters| (counters, 1)),
        false => place.settled(&before),
    };
    let (said, (after, looks)) = (ran?, settled.context("after it ran")?);
    let connections = after.value("accepted") - before.value("accepted") - looks;
    if program.connections_max.is_some_and(|most| connections > most) {
        bail!("it opened {connections} connections: those it had were not kept");
    }
    let requests = after.value("requests") - before.value("requests") - looks;
    println!("{said}; {requests} requests over {connections} connections");
    Ok(said)
}

impl Program {
    /// Its file and its version, when it is there.
    pub(crate) fn find(&self, target: &Path) -> Option<(PathBuf, String)> {
        let file = match self.home {
            Home::Path(name) => which(name)?,
            Home::Python(_) => Some(target.join("tornado/bin/python3")).filter(|it| it.exists())?,
            Home::Unpacked(name) => {
                let unpacked = target.join("interop").join(name).join("usr/sbin").join(name);
                which(name).or(Some(unpacked)).filter(|file| file.exists())?
            }
        };
        let words: Vec<&str> = match self.home {
            Home::Python(import) => vec!["-c", import],
            _ => self.version.to_vec(),
        };
        let said = Tool::new(&file, VERSION).args(words).say().ok()?;
        let is_missing = matches!(self.home, Home::Python(_)) && said.code != 0;
        // Some print it as a message, and some believe that nobody wants it.
        let version = version(&said.text()).or_else(|| version(&said.errors));
        (!is_missing).then(|| (file, version.unwrap_or_default()))
    }
}

/// The first number, dot and number, in whichever word: `nghttp2/1.52.0` says 1.52.0.
fn version(text: &str) -> Option<String> {
    let numbers = text.split(|letter: char| !(letter.is_ascii_digit() || letter == '.'));
    let has_dot = |number: &&str| number.trim_matches('.').contains('.');
    numbers.map(|number| number.trim_matches('.')).find(has_dot).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_what_programs_say() {
        let table = [
            ("curl 7.88.1 (x86_64-pc-linux-gnu)", Some("7.88.1")),
            ("nginx version: nginx/1.22.1", Some("1.22.1")),
            ("go version go1.19.8 linux/amd64", Some("1.19.8")),
            ("This is ApacheBench, Version 2.3 <$Revision$>", Some("2.3")),
            ("wrk debian/4.1.0-3+b2 [epoll]", Some("4.1.0")),
            ("slowhttptest, a tool, - version 1.8.2\n", Some("1.8.2")),
            ("v20.20.2", Some("20.20.2")),
            ("h2load nghttp2/1.52.0.", Some("1.52.0")),
            ("nothing", None),
        ];
        for (text, wanted) in table {
            assert_eq!(version(text).as_deref(), wanted, "{text}");
        }
    }
}
