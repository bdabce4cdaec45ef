//! Each thing that a client can do, in a world without faults.

use chat_tcp::{LINE_BYTES_MAX, Limits};
use dustdevil_core::sim::{Ended, Faults, Script, World};
use dustdevil_core::time::Duration;

use crate::util::simulated::{ROOM, SOON, at, calm, guest, millis, story};

const CALM: Limits = Limits::DEFAULT;

#[test]
fn everybody_reads_what_anybody_says() {
    let ann = guest("ann").expect_contains(b"* bob has come\n", SOON).send(b"hello\r\n");
    let bob = Script::new("bob").wait(millis(50)).send(b"bob\nhi\n");
    let (story, records) = calm(
        CALM,
        vec![
            ann.expect_contains(b"bob: hi\n", SOON)
                .send(b"/quit\n")
                .expect_contains(b"- bye\n", SOON)
                .expect_close(SOON),
            bob.expect_contains(b"* ann has left\n", SOON).fin().expect_close(SOON),
        ],
    );
    assert!(records.iter().all(|record| record.outcome().is_finished));
    assert_eq!(story.first().map(String::as_str), Some("* ann has come\n"));
    assert_eq!(story.last().map(String::as_str), Some("* bob has left\n"));
    assert_eq!(story.len(), 6, "{story:?}");
}

#[test]
fn each_line_has_its_answer() {
    let long = [b'x'; LINE_BYTES_MAX];
    let longest = [&long[..], b"\n"].concat();
    let too_long = [&long[..], b"x\n"].concat();
    let endless = [&long[..], &long[..]].concat();
    // What is said once one is welcome, what must come back, and whether that is the end.
    let table: &[(&[u8], &[u8], bool)] = &[
        (b"hello\n", b"ann: hello\n", false),
        (b"hello\r\n", b"ann: hello\n", false),
        (b"\n\r\nx\n", b"has come\nann: x\n", false),
        (b"\x1b[2J\xff\n", b"ann: ?[2J?\n", false),
        (b"/who\n", b"- ann\n", false),
        (b"/WHO\n", b"- there is /who, and there is /quit\n", false),
        (b"/quit\nunheard\n", b"- bye\n", true),
        (&longest, &longest, false),
        (&too_long, b"- a line has at most 120 bytes\n", true),
        (&endless, b"- a line has at most 120 bytes\n", true),
    ];
    for (said, answer, is_end) in table {
        let ann = guest("ann").send(said).expect_contains(answer, SOON);
        let ann = if *is_end { ann.expect_close(SOON) } else { ann };
        let (story, records) = calm(CALM, vec![ann]);
        let shown = String::from_utf8_lossy(said);
        assert!(records[0].outcome().is_finished, "{shown}: {}", records[0].outcome().text());
        assert_eq!(story.last().map(String::as_str), Some("* ann has left\n"), "{shown}");
        assert!(!story.concat().contains("unheard"));
    }
}

#[test]
fn a_name_is_asked_for_until_it_is_one_that_nobody_has() {
    let ann = guest("ann").expect_contains(b"* bob has come\n", SOON);
    let other = Script::new("other")
        .wait(millis(50))
        .send(b"\n")
        .expect_contains(b"- a name is 1 to 16", SOON)
        .send(b"0 or 1\n")
        .expect_contains(b"- a name is 1 to 16", SOON)
        .send(b"ANN\n")
        .expect_contains(b"- that name is taken\n", SOON)
        .send(b"bob\n")
        .expect_contains(b"- welcome", SOON);
    let (_, records) = calm(CALM, vec![ann, other]);
    assert!(records.iter().all(|record| record.outcome().is_finished));
}

#[test]
fn a_name_is_free_again_after_its_news() {
    let first = guest("ann").send(b"/quit\n").expect_close(SOON);
    let again = Script::new("again").wait(millis(500)).send(b"Ann\n");
    let again = again.expect_contains(b"- welcome", SOON).expect_contains(b"* Ann has come", SOON);
    let (story, records) = calm(CALM, vec![first, again]);
    assert!(records.iter().all(|record| record.outcome().is_finished));
    assert_eq!(
        story,
        ["* ann has come\n", "* ann has left\n", "* Ann has come\n", "* Ann has left\n"]
    );
}

#[test]
fn who_finds_no_seat_is_told_and_closed() {
    let seated = ["ann", "bob", "cat", "dan"].map(|name| guest(name).wait(millis(900)));
    let late = Script::new("late").wait(millis(200));
    // It connects with the others, but is the fifth.
    let late = late.expect_contains(b"- the room is full\n", SOON).expect_close(SOON);
    let (story, records) = calm(CALM, seated.into_iter().chain([late]).collect());
    for record in &records {
        assert!(record.outcome().is_finished, "{}", record.outcome().text());
    }
    assert_eq!(story.iter().filter(|line| line.ends_with("has come\n")).count(), 4);
}

#[test]
fn more_than_the_door_holds_wait_and_are_told_as_well() {
    let seated = ["ann", "bob", "cat", "dan"].map(|name| guest(name).wait(millis(5_000)));
    let late = (0..12).map(|_| {
        let late = Script::new("late");
        late.expect_contains(b"- the room is full\n", SOON).expect_close(SOON)
    });
    let (_, records) = calm(CALM, seated.into_iter().chain(late).collect());
    assert!(records.iter().all(|record| record.outcome().is_finished));
}

#[test]
fn silence_has_its_limits() {
    let limits =
        Limits { name: Duration::from_secs(2), idle: Duration::from_secs(10), ..Limits::DEFAULT };
    let nameless = Script::new("nameless").expect_contains(b"- no name came in time\n", SOON);
    let slow = Script::new("slow").send_slowly(b"slowpoke", millis(400));
    let silent = guest("silent").expect_contains(b"- you were silent for too long\n", SOON);
    let talks = guest("talks").wait(Duration::from_secs(6)).send(b"x\n");
    let talks = talks.wait(Duration::from_secs(6)).expect_contains(b"* silent has left\n", SOON);
    let ended = calm(
        limits,
        vec![
            nameless.expect_close(SOON),
            slow.expect_contains(b"- no name came in time\n", SOON).expect_end(SOON).tolerant(),
            silent.expect_close(SOON),
            talks,
        ],
    );
    for record in ended.1 {
        let seen = record.outcome().ended;
        assert!(record.outcome().is_finished || seen.is_some(), "{}", record.outcome().text());
        assert_ne!(seen, Some(Ended::Refused));
    }
}

#[test]
fn a_flood_is_slowed_to_its_pace_and_keeps_its_order() {
    let lines: String = (0..40).map(|number| format!("line {number}\n")).collect();
    let flood = guest("flood").send(lines.as_bytes()).expect_contains(b"flood: line 39\n", SOON);
    let other = guest("other").expect_contains(b"flood: line 39\n", SOON);
    let (story, records) = calm(CALM, vec![flood, other]);
    let said: Vec<_> = story.iter().filter(|line| line.starts_with("flood: ")).collect();
    assert_eq!(said.len(), 40);
    assert!(said.iter().enumerate().all(|(n, line)| **line == format!("flood: line {n}\n")));
    let outcome = records[0].outcome();
    let took = outcome.received_at.unwrap().since(outcome.connected_at.unwrap());
    assert!(took >= Duration::from_millis(39 * 50), "{took:?}");
}

#[test]
fn who_takes_nothing_is_reset_and_who_fell_behind_is_told() {
    let world = World::new(1, Faults { window_bytes: (600, 600), ..Faults::NONE });
    let deaf = guest("deaf").stop_reading().wait(SOON).resume_reading().expect_end(SOON);
    // It reads again before its time is up, but the ring has gone by.
    let lags = guest("lags").stop_reading().wait(Duration::from_secs(6)).resume_reading();
    let lags = lags.expect_contains(b"- you read too slowly\n", SOON).expect_close(SOON);
    let lines: String = (0..60).map(|number| format!("{number} {}\n", "x".repeat(50))).collect();
    let talks = guest("talks").wait(millis(500)).send(lines.as_bytes());
    let talks = talks.expect_contains(b"* lags was dropped: too slow\n", SOON);
    let talks = talks.expect_contains(b"* deaf was dropped: too slow\n", SOON);
    let guests = [deaf.tolerant(), lags, talks];
    let records = guests.each_ref().map(Script::record);
    for guest in guests {
        world.connect(at(), millis(1), guest);
    }
    story(&world, ROOM, CALM);
    assert_eq!(records[0].outcome().ended, Some(Ended::Reset));
    for record in &records[1..] {
        assert!(record.outcome().is_finished, "{}", record.outcome().text());
    }
}

/// The hub waits for those who listen, and one that is being told something does not: however long
/// its answer cannot be written, and however often the others fill the ring meanwhile.
#[test]
fn who_asks_and_takes_no_answer_holds_nobody_up() {
    for question in ["/x\n", "/who\n"] {
        let world = World::new(1, Faults { window_bytes: (600, 600), ..Faults::NONE });
        let deaf = guest("deaf").expect_contains(b"* bob has come\n", SOON).stop_reading();
        let deaf = deaf.send(question.repeat(60).as_bytes()).wait(SOON);
        // Long enough for the window to be full of answers, and not for the deaf one to be dropped.
        let mut ann = guest("ann").expect_contains(b"* bob has come\n", SOON).wait(millis(5_000));
        let mut bob = guest("bob");
        for round in 0..2 * ROOM.messages {
            let (call, answer) = (format!("call {round}\n"), format!("answer {round}\n"));
            let within = if round == 0 { SOON } else { millis(1_000) };
            ann = ann.send(call.as_bytes()).expect_contains(answer.as_bytes(), millis(1_000));
            bob = bob.expect_contains(call.as_bytes(), within).send(answer.as_bytes());
        }
        let ann = ann.wait(millis(1)).send(b"over\n").expect_contains(b"ann: over\n", SOON);
        let bob = bob.expect_contains(b"ann: over\n", SOON);
        let ann = ann.expect_contains(b"* deaf was dropped: too slow\n", SOON);
        let bob = bob.expect_contains(b"* deaf was dropped: too slow\n", SOON);
        let guests = [deaf.tolerant(), ann, bob];
        let records = guests.each_ref().map(Script::record);
        for (guest, delay_ms) in guests.into_iter().zip([1, 2, 100]) {
            world.connect(at(), millis(delay_ms), guest);
        }
        let story = story(&world, ROOM, CALM);
        for record in &records[1..] {
            assert!(record.outcome().is_finished, "{question:?}: {}", record.outcome().text());
        }
        assert_eq!(records[0].outcome().ended, Some(Ended::Reset), "{question:?}");
        // It was there, and deaf, from the first word of theirs to the last.
        let place = |end| story.iter().position(|line| line.ends_with(end)).expect("a line");
        assert!(place("ann: over\n") < place("* deaf was dropped: too slow\n"), "{question:?}");
    }
}
