//! Rude clients against a server, and good ones beside them that measure how long they wait.
//!
//! Invariants: one thread drives all attackers, so three hundred of them take less of the machine
//! than the server; every wait here has a deadline; nothing is judged that was not measured.
//!
//! ```text
//!   Kind --scripts--> crowd: N connections, non-blocking, one poll(2)
//!                     bystander: two good clients, a thread each
//!                     watch: the server's memory and descriptors, its own counters
//!                       all three --> Report --> complaints
//! ```
//!
//! Place: beside the server, which it knows by its address alone; the tests here run it against
//! `conformance` on Linux, those of `ci/qemu` against the board.

mod bystander;
mod crowd;
mod kind;
mod report;
mod script;
mod watch;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub use bystander::Visits;
pub use crowd::Tally;
pub use kind::{KINDS, Kind, MIXED, Variant, names, scripts, variants};
pub use report::{Bounds, Report};
pub use script::{Ending, Part, Reading, Script};
pub use watch::{Counters, Figures, GAUGES, Memory};

/// How long everything may take to come back, in milliseconds. Two seconds of it are the server's
/// for connections that linger; the rest is for what it had been sent and still reads.
pub const REST_MS_MAX: u64 = 12_000;

/// How long each half of the warm-up takes.
const WARM_UP: Duration = Duration::from_millis(1_200);

/// Between two looks at the server's memory.
const LOOK: Duration = Duration::from_millis(50);

/// Who attacks whom, and for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the server is.
    pub server: SocketAddr,
    /// Its process, where it is on this machine: for its memory and its descriptors.
    pub process: Option<u32>,
    /// How many attackers there are, each with one connection at a time.
    pub connections: usize,
    /// How long they attack.
    pub time: Duration,
    /// How long an attacker that was cut off rests before it comes again.
    pub pause: Duration,
}

/// Runs an attack on a server that is at rest: its figures before, meanwhile, and at rest again.
pub fn run(plan: &Plan, scripts: &[Script]) -> Report {
    let before = watch::Figures::at_rest(plan, None);
    let over = AtomicBool::new(false);
    let (tally, visits, peak) = thread::scope(|scope| {
        let visitors = [false, true].map(|is_kept| {
            let over = &over;
            scope.spawn(move || bystander::visit(plan.server, is_kept, over))
        });
        let crowd = scope.spawn(|| crowd::run(plan, scripts));
        let mut peak = before.memory;
        while !crowd.is_finished() {
            thread::sleep(LOOK);
            peak = Memory::max(peak, plan.process.and_then(watch::memory));
        }
        // Whoever asks at the end is still answered; the attackers are gone by then.
        over.store(true, Ordering::Relaxed);
        let visits = visitors.map(|visitor| visitor.join().expect("the bystander"));
        (crowd.join().expect("the attackers"), visits, peak)
    });
    let since = Instant::now();
    let after = watch::Figures::at_rest(plan, Some(&before));
    Report { tally, visits, peak, before, after, rest: since.elapsed() }
}

/// Makes the server use everything it has, once: for one whose tables count as resident only when
/// they are touched, which must not look like growth. `conformance` touches its own at start.
pub fn warm_up(plan: &Plan) {
    let plan = Plan { time: WARM_UP, ..plan.clone() };
    for script in kind::warm_up() {
        crowd::run(&plan, &[script]);
    }
    watch::Figures::at_rest(&plan, None);
}
