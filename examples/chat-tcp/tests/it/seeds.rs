//! Any network and any crowd: everybody reads one story without a gap.

use chat_tcp::{Capacity, Limits};
use dustdevil_core::sim::{Faults, Record, Rng, Script, World};
use dustdevil_core::time::Duration;

use crate::util::simulated::{SOON, at, millis, story};
use crate::util::{heard, is_part_of};

const SEEDS: u64 = 1_000;

/// A few that come and go as they like, in a room of any size.
fn crowd(rng: &mut Rng) -> Vec<(u64, Script)> {
    let count = rng.range(3, 12);
    let guests = (0..count).map(|number| {
        // Some names come twice, at once or one after the other.
        let name = format!("guest{}", rng.range(0, count));
        let mut script = Script::new(&name).tolerant();
        script = match rng.range(0, 9) {
            0 => script.send(b"\x07 not a name\n"),
            _ => script,
        };
        script = script.send(format!("{name}\n").as_bytes());
        if rng.hits(250) {
            // One that pauses, for less or longer than it is borne with.
            let pause = millis(rng.range(500, 30_000));
            script = script.wait(millis(300)).stop_reading().wait(pause).resume_reading();
        }
        for line in 0..rng.range(0, 20) {
            let text = format!("{name} says {number}.{line}\n");
            script = match rng.range(0, 19) {
                0 => script.send(b"/who\n"),
                1 => script.stop_reading(),
                2 => script.resume_reading(),
                3 => script.send_slowly(text.as_bytes(), millis(rng.range(1, 30))),
                4 => script.send(&text.as_bytes()[..7]).reset(),
                5 => script.send(&[b'x'; 200]),
                _ => script.send(text.as_bytes()),
            };
            script = script.wait(millis(rng.range(0, 400)));
        }
        let script = script.wait(millis(rng.range(0, 4_000)));
        let script = if rng.hits(500) { script.send(b"/quit\n") } else { script.fin() };
        (rng.range(0, 2_000), script.resume_reading().expect_end(Duration::from_secs(3_000)))
    });
    guests.collect()
}

/// Fails unless what was heard is a part of the story without a gap.
fn is_part(record: &Record, story: &[String], seed: u64) {
    let (lines, cut) = heard(&record.outcome().text());
    let is = is_part_of(&lines, &cut, story);
    assert!(is, "seed {seed}: heard {lines:?} and {cut:?} of {story:?}");
}

fn run(seed: u64, faults: Faults) -> (Vec<String>, Vec<Record>, u64) {
    let world = World::new(seed, faults);
    let mut rng = Rng::new(seed);
    let capacity = Capacity {
        clients: rng.range(1, 8) as usize,
        messages: rng.range(1, 40) as usize,
        door: rng.range(1, 3) as usize,
    };
    let limits = Limits {
        write: Duration::from_secs(rng.range(1, 10)),
        idle: Duration::from_secs(rng.range(3, 60)),
        name: Duration::from_secs(rng.range(3, 30)),
        pace: millis(rng.range(0, 60)),
    };
    let records = crowd(&mut rng).into_iter().map(|(delay, script)| {
        let record = script.record();
        world.connect(at(), millis(delay), script);
        record
    });
    let records: Vec<Record> = records.collect();
    let story = story(&world, capacity, limits);
    (story, records, world.trace_hash())
}

#[test]
fn everybody_reads_one_story_without_a_gap() {
    let (mut said, mut heard_lines, mut dropped, mut told) = (0, 0, 0, 0);
    for seed in 0..SEEDS {
        let faults = Faults::seeded(seed);
        // In every other world who does not read is soon seen not to.
        let window_bytes = if seed % 2 == 0 { (150, 900) } else { faults.window_bytes };
        let (story, records, _) = run(seed, Faults { window_bytes, ..faults });
        for record in &records {
            is_part(record, &story, seed);
            heard_lines += heard(&record.outcome().text()).0.len();
            told += usize::from(record.outcome().text().contains("- you read too slowly\n"));
        }
        said += story.len();
        dropped += story.iter().filter(|line| line.ends_with("was dropped: too slow\n")).count();
    }
    println!("{said} messages, heard {heard_lines} times; {dropped} dropped, {told} told so");
    assert!(said > 20_000 && heard_lines > 40_000 && dropped > 50 && told > 2);
}

#[test]
fn the_same_seed_gives_the_same_story() {
    for seed in [3, 77, 150] {
        let (one, again) = (run(seed, Faults::harsh()), run(seed, Faults::harsh()));
        assert_eq!((one.0, one.2), (again.0, again.2), "seed {seed}");
    }
}

/// However short the ring, and however many turns it takes until each had its own: who takes what
/// it is sent is not dropped, for the hub waits until everybody has looked.
#[test]
fn who_reads_is_never_dropped() {
    const CLIENTS: u64 = 400;
    const TALKERS: u64 = 20;
    for messages in [1, 2, 8] {
        let world = World::new(messages, Faults::NONE);
        let clients = CLIENTS as usize;
        let capacity = Capacity { clients, messages: messages as usize, door: 1 };
        let limits = Limits { pace: Duration::ZERO, ..Limits::DEFAULT };
        let records = (0..CLIENTS).map(|number| {
            let name = format!("guest{number}");
            // Everybody is there before the first word: the backlog is short.
            let mut script = Script::new(&name).send(format!("{name}\n").as_bytes());
            script = script.wait(Duration::from_secs(100));
            for line in 0..if number < TALKERS { 10 } else { 0 } {
                script = script.send(format!("{number}.{line}\n").as_bytes());
            }
            let script = script.wait(Duration::from_secs(20)).send(b"/quit\n").expect_close(SOON);
            let record = script.record();
            world.connect(at(), millis(1), script);
            record
        });
        let records: Vec<Record> = records.collect();
        let story = story(&world, capacity, limits);
        assert!(!story.concat().contains("dropped"), "{messages} messages");
        for record in &records {
            is_part(record, &story, messages);
            let lines = heard(&record.outcome().text()).0;
            let said = lines.iter().filter(|line| line.starts_with("guest")).count();
            assert_eq!(said as u64, TALKERS * 10, "{messages} messages");
        }
    }
}

#[test]
fn a_gap_would_be_seen() {
    let story = ["a: 1\n", "a: 2\n", "a: 3\n"].map(str::to_owned);
    for (received, is) in [
        ("", true),
        ("- your name?\na: 1\n- ann\na: 2\na:", true),
        ("a: 2\na: 3\n", true),
        ("a: 1\na: 3\n", false),
        ("a: 1\na: 1\n", false),
        ("a: 3\na: 1\n", false),
        ("a: 1\na: 3", false),
        ("a: 3\na:", false),
    ] {
        let (lines, cut) = heard(received);
        assert_eq!(is_part_of(&lines, &cut, &story), is, "{received:?}");
    }
}
