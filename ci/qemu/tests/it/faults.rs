//! A panic and a stack overflow are told by name, and the board starts again; and it checks itself.

use std::time::Duration;

use qemu::firmware::Address;
use qemu::machine::Machine;

use crate::util::board::{AT, built};
use crate::util::client::request;
use crate::util::{Board, Client, namespace};

/// How long a board may take to fail on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// Boots firmware that fails on purpose: it has to say this, twice.
fn assert_told(bin: &str, words: &[&str]) {
    let firmware = built(bin, &Address::fixed("192.0.2.2/24", None));
    let machine = Machine::of(&firmware).start().expect("QEMU");
    for boot in 1..=2 {
        let line = machine.wait_for(words[0], SOON);
        let line = line.unwrap_or_else(|error| panic!("boot {boot}: {error:#}"));
        for word in words {
            assert!(line.contains(word), "boot {boot}: {word} is not in: {line}");
        }
    }
}

/// What of the board is assembly, or counts over wraps, is compared with what is plain.
#[test]
fn the_board_checks_itself() {
    let firmware = built("self-check", &Address::fixed("192.0.2.2/24", None));
    let machine = Machine::of(&firmware).start().expect("QEMU");
    let line = machine.wait_for("SELF CHECK OK", Duration::from_secs(60));
    line.unwrap_or_else(|error| panic!("{error:#}"));
}

#[test]
fn a_panic_names_its_place() {
    assert_told("fault-panic", &["PANIC at ", "src/bin/fault-panic.rs:"]);
}

#[test]
fn a_stack_overflow_is_named() {
    assert_told("fault-stack", &["STACK OVERFLOW"]);
}

/// Fails in the middle of serving: whoever is connected is told or left, whoever comes is served.
fn assert_serves_again(path: &str, words: &str) {
    namespace::inside(|| {
        let board = Board::start("probe");
        for _ in 0..2 {
            let mut idle = Client::connect(AT);
            assert_eq!(idle.get("/").status, 200);
            let mut last = Client::connect(AT);
            last.ask(path);
            board.says(words);
            board.says_that_it_listens();
            // The new board knows nothing of the old one's connections.
            assert!(!idle.try_send(request("/")) || idle.try_response().is_err());
            drop(last);
            board.is_at_rest();
        }
    });
}

#[test]
fn a_board_that_panicked_serves_again() {
    assert_serves_again("/panic", "PANIC at boards/lm3s6965evb/src/bin/probe.rs:");
}

#[test]
fn a_board_whose_stack_overflowed_serves_again() {
    assert_serves_again("/overflow", "STACK OVERFLOW");
}
