//! Plays scripts on Tornado and here, and compares what happened.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use tornado::executor::Order;
use tornado::ours;
use tornado::script::{Kind, Script};
use tornado::theirs::{Theirs, check_names};
use tornado::trace::difference;

/// How many findings are shown.
const SHOWN_MAX: usize = 5;

/// The same scripts on Tornado and here.
#[derive(Parser)]
struct Arguments {
    /// A Python that has Tornado
    #[arg(long)]
    python: PathBuf,
    /// How many scripts of each kind
    #[arg(long, default_value_t = 300)]
    scripts: u64,
    /// The first script's number
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Only this kind: condition, queue, periodic, ..
    #[arg(long)]
    kind: Option<String>,
    /// Print each script and what Tornado did with it, and compare nothing
    #[arg(long)]
    record: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    check_names(&arguments.python)?;
    let mut theirs = Theirs::start(&arguments.python)?;
    let (mut played, mut lines, mut found) = (0, 0, 0);
    let is_wanted = |kind: &Kind| arguments.kind.as_ref().is_none_or(|name| *name == kind.name());
    for kind in Kind::ALL.into_iter().filter(is_wanted) {
        for number in arguments.first..arguments.first + arguments.scripts {
            let script = Script::new(number, kind);
            let trace = theirs.play(&script)?;
            if arguments.record {
                print!("{script}");
                trace.iter().for_each(|line| println!("{line}"));
                println!("end");
                continue;
            }
            played += 1;
            lines += trace.len();
            let ours = ours::play(&script, Order::Woken);
            if let Some(difference) = difference(&trace, &ours, &script.unordered()) {
                found += 1;
                if found <= SHOWN_MAX {
                    println!("{} {number} differs:\n{script}{difference}", kind.name());
                }
            }
        }
    }
    if !arguments.record {
        println!("{played} scripts, {lines} lines: {found} differ from Tornado");
        ensure!(lines > 0, "nothing was played");
    }
    Ok(ExitCode::from(u8::from(found > 0)))
}
