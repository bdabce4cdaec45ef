//! `cases`: runs the conformance suite against a server. The library's header has the commands.

use std::net::SocketAddr;
use std::process::ExitCode;

use cases::case::Place;
use cases::{Options, run};

const USAGE: &str = "usage: cases --server ADDRESS:PORT [--only PATTERN] [--board] [--list]";

fn main() -> ExitCode {
    match options() {
        Ok((options, true)) => list(&options),
        Ok((options, false)) => {
            let report = run(&options);
            println!("{report}");
            if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(what) => {
            eprintln!("cases: {what}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// What the command line asks for, and whether the cases are only to be listed.
fn options() -> Result<(Options, bool), String> {
    let (mut server, mut only, mut board, mut list) = (None, String::new(), false, false);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--server" => server = Some(value()?),
            "--only" => only = value()?,
            "--board" => board = true,
            "--list" => list = true,
            _ => return Err(format!("what is {word}?")),
        }
    }
    let nobody = || list.then(|| "127.0.0.1:0".to_owned());
    let server = server.or_else(nobody).ok_or("which server?")?;
    let at: SocketAddr = server.parse().map_err(|error| format!("{server}: {error}"))?;
    let options = if board { Options::board(at) } else { Options::linux(at) };
    Ok((Options { only, ..options }, list))
}

fn list(options: &Options) -> ExitCode {
    let (cases, left_out) = cases::run::chosen(options);
    for case in &cases {
        let place = match case.place {
            Place::Everywhere => String::new(),
            place => format!(" {place:?}"),
        };
        println!("{} (RFC {}){place}", case.name, case.section);
    }
    for (name, reason) in &left_out {
        println!("left out: {name}: {reason}");
    }
    println!("{} cases", cases.len());
    ExitCode::SUCCESS
}
