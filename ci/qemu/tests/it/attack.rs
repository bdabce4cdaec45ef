//! Each attack with eight connections on a board that has four sockets.
//!
//! A good client has its answer within four seconds, whatever goes on, and afterwards everything
//! that the board counts is as it was: connections, slots, head buffers, buffers, sockets.

use std::time::Duration;

use attack::{Bounds, Plan, Report};

use crate::util::Board;
use crate::util::board::{AT, SOCKETS};
use crate::util::namespace;

/// Attackers: two for each socket.
const ATTACKERS: usize = 2 * SOCKETS;

/// How long an attacker that was cut off rests.
const PAUSE: Duration = Duration::from_millis(50);

/// How long an attack goes on, in seconds, unless `ATTACK_SECONDS` says otherwise.
const SECONDS: u64 = 4;

/// Runs an attack; its report, with nothing to complain about.
fn withstands(kind: &str) -> Report {
    let scripts = attack::scripts(kind).expect("an attack of this name");
    let seconds = std::env::var("ATTACK_SECONDS");
    let seconds = seconds.map_or(SECONDS, |text| text.parse().expect("ATTACK_SECONDS: a number"));
    let report = namespace::inside(|| {
        let _board = Board::start("conformance");
        let plan = Plan {
            server: AT,
            process: None,
            connections: ATTACKERS,
            time: Duration::from_secs(seconds),
            pause: PAUSE,
        };
        attack::run(&plan, &scripts)
    });
    println!("{kind}: {report}");
    let counted: Vec<_> = report.before.in_use().collect();
    assert!(counted.contains(&("open", 1)), "{counted:?}");
    assert!(counted.contains(&("sockets_free", SOCKETS as u64 - 1)), "{counted:?}");
    let complaints = report.complaints(&Bounds::BOARD);
    assert!(complaints.is_empty(), "{kind}: {complaints:#?}\n{report:#?}");
    report
}

#[test]
fn slow_heads() {
    assert!(withstands("slow-head").tally.cut_off > 0);
}

#[test]
fn slow_bodies() {
    assert!(withstands("slow-body").tally.cut_off > 0);
}

#[test]
fn slow_readers() {
    assert!(withstands("slow-read").tally.cut_off > 0);
}

#[test]
fn a_storm_of_resets() {
    assert!(withstands("reset-storm").tally.reset > 100);
}

#[test]
fn a_flood_that_says_nothing() {
    assert!(withstands("silent-flood").tally.cut_off > 0);
}

#[test]
fn a_flood_that_had_its_answer_and_stays() {
    assert!(withstands("idle-flood").tally.answered[0] > ATTACKERS as u64);
}

#[test]
fn a_flood_of_pipelined_requests() {
    assert!(withstands("pipelining").counted("requests") > 100);
}

#[test]
fn endless_chunks() {
    assert!(withstands("endless-chunks").tally.cut_off > 0);
}

#[test]
fn huge_heads() {
    assert!(withstands("huge-heads").tally.answered[1] > 0);
}

#[test]
fn all_at_once() {
    withstands(attack::MIXED);
}
