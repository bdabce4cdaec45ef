//! Each attack with 300 connections on a server that has room for 200.

use std::time::Duration;

use attack::{Bounds, Plan, Report};

use crate::server::{Server, alone};

/// Connections that the server has room for.
const ROOM: usize = 200;

/// Attackers.
const ATTACKERS: usize = 300;

/// How long an attacker that was cut off rests.
const PAUSE: Duration = Duration::from_millis(10);

/// How long an attack goes on, in seconds, unless `ATTACK_SECONDS` says otherwise.
const SECONDS: u64 = 5;

/// Runs an attack; its report, with nothing to complain about.
#[track_caller]
fn withstands(kind: &str) -> Report {
    let _alone = alone();
    let server = Server::start(ROOM);
    let seconds = std::env::var("ATTACK_SECONDS");
    let seconds = seconds.map_or(SECONDS, |text| text.parse().expect("ATTACK_SECONDS: a number"));
    let plan = Plan {
        server: server.address,
        process: Some(server.process()),
        connections: ATTACKERS,
        time: Duration::from_secs(seconds),
        pause: PAUSE,
    };

    let scripts = attack::scripts(kind).expect("an attack of this name");
    let report = attack::run(&plan, &scripts);
    println!("{kind}: {report}");
    // What is not measured cannot be judged.
    assert!(report.before.memory.is_some() && report.before.descriptors.is_some());
    assert!(report.before.in_use().any(|counter| counter == ("open", 1)), "{:?}", report.before);
    let complaints = report.complaints(&Bounds::LINUX);
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
    assert!(withstands("reset-storm").tally.reset > 1_000);
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
    assert!(withstands("pipelining").counted("requests") > 10_000);
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
