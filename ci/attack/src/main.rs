//! `attack`: attacks a server, one kind after the other, and prints a line for each.
//!
//! ```text
//! attack --server 127.0.0.1:8888 --pid 1234 --kind slow-read/never --connections 300 --seconds 8
//! ```

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use attack::{Bounds, Plan};
use clap::Parser;

/// Attacks a server, with good clients beside that measure how long they wait.
#[derive(Parser)]
#[command(name = "attack")]
struct Arguments {
    /// Where the server is
    #[arg(long)]
    server: SocketAddr,
    /// Its process, if it runs on this machine
    #[arg(long)]
    pid: Option<u32>,
    /// all, variants, mixed, a kind (slow-head) or one of its variants (slow-head/drip)
    #[arg(long, default_value = "all")]
    kind: String,
    /// How many attackers there are
    #[arg(long, default_value_t = 300)]
    connections: usize,
    /// How long each attack goes on
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// How long an attacker that was cut off rests
    #[arg(long, default_value_t = 10)]
    pause_ms: u64,
    /// How long a good client may wait
    #[arg(long, default_value_t = 2_000)]
    answer_ms_max: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let plan = Plan {
        server: arguments.server,
        process: arguments.pid,
        connections: arguments.connections,
        time: Duration::from_secs(arguments.seconds),
        pause: Duration::from_millis(arguments.pause_ms),
    };
    let names: Vec<String> = match &*arguments.kind {
        "all" => attack::names().map(str::to_owned).collect(),
        "variants" => attack::variants().collect(),
        name => vec![name.to_owned()],
    };
    let answer = Duration::from_millis(arguments.answer_ms_max);
    let bounds = Bounds { answer, ..Bounds::LINUX };
    attack::warm_up(&plan);
    let mut is_well = true;
    for name in names {
        let Some(scripts) = attack::scripts(&name) else {
            eprintln!("attack: there is no {name}");
            return ExitCode::FAILURE;
        };
        let report = attack::run(&plan, &scripts);
        println!("{name}: {report}");
        for complaint in report.complaints(&bounds) {
            is_well = false;
            println!("    {complaint}");
        }
    }
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
