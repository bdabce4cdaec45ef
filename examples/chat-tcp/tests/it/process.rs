//! The real program over real sockets.

use std::thread;

use crate::util::program::{Guest, Program};
use crate::util::{heard, until};

#[test]
fn a_talk_and_its_end() {
    let program = Program::start(10);
    let mut ann = Guest::join(program.address, "ann");
    let mut bob = Guest::join(program.address, "bob");
    ann.hears("* bob has come\n");
    ann.says("hel");
    bob.says("one\ntwo\n/who\n");
    ann.says("lo\r\n");
    for guest in [&mut ann, &mut bob] {
        guest.hears("bob: two\n");
    }
    bob.hears("- ann bob\n");
    if !bob.heard.contains("ann: hello\n") {
        bob.hears("ann: hello\n");
    }
    let mut clash = Guest::connect(program.address);
    clash.says("Ann\n");
    clash.hears("- that name is taken\n");
    // Half-closed: it has said all that it wanted to.
    bob.ends_its_output();
    ann.hears("* bob has left\n");
    assert!(!bob.hears_the_end());
    // The end: everybody is told, who has no name yet as well.
    program.terminate();
    for guest in [&mut ann, &mut clash] {
        guest.hears("- the room closes\n");
        assert!(!guest.hears_the_end());
    }
    program.ends();
}

#[test]
fn a_reset_in_mid_line_says_nothing() {
    let program = Program::start(4);
    let mut ann = Guest::join(program.address, "ann");
    for round in 0..20 {
        let mut bob = Guest::join(program.address, "bob");
        bob.says("this line has no e");
        bob.resets();
        ann.hears("* bob has left\n");
        ann.says(&format!("{round}\n"));
        ann.hears(&format!("ann: {round}\n"));
    }
    assert!(!ann.heard.contains("this line"));
}

#[test]
fn who_finds_no_seat_is_told() {
    let program = Program::start(2);
    let seated = ["ann", "bob"].map(|name| Guest::join(program.address, name));
    for _ in 0..50 {
        let mut late = Guest::connect(program.address);
        late.hears("- the room is full\n");
        assert!(!late.hears_the_end());
    }
    drop(seated);
    // Both seats come back.
    for name in ["cat", "dan"] {
        until("a seat is free", || Guest::try_join(program.address, name));
    }
}

#[test]
fn many_come_and_go_while_others_talk() {
    const STAY: usize = 20;
    const COME: usize = 4;
    const ROUNDS: usize = 50;
    let program = Program::start(STAY + COME + 1);
    let at = program.address;
    let names: Vec<String> = (0..STAY).map(|number| format!("stays{number}")).collect();
    let mut stay: Vec<Guest> = names.iter().map(|name| Guest::join(at, name)).collect();
    let mut chair = Guest::join(at, "chair");
    thread::scope(|scope| {
        for number in 0..COME {
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    // The name is free once all were told that its last owner has left.
                    let name = format!("comes{number}");
                    let mut guest = until("a free name", || Guest::try_join(at, &name));
                    guest.says(&format!("{round}\n"));
                    guest.hears(&format!("comes{number}: {round}\n"));
                    guest.says("/quit\n");
                    guest.hears("- bye\n");
                    guest.hears_the_end();
                }
            });
        }
        for guest in &mut stay {
            scope.spawn(move || {
                for line in 0..20 {
                    guest.says(&format!("line {line}\n"));
                }
            });
        }
    });
    chair.says("the end\n");
    let end = "chair: the end\n";
    chair.hears(end);
    let story = heard(&chair.heard).0;
    assert_eq!(story.iter().filter(|line| line.starts_with("stays")).count(), STAY * 20);
    assert_eq!(story.iter().filter(|line| line.starts_with("comes")).count(), COME * ROUNDS);
    for guest in &mut stay {
        guest.hears(end);
        let lines = heard(&guest.heard).0;
        // It came before the chair did.
        assert_eq!(lines[lines.len() - story.len()..], story[..]);
    }
}
