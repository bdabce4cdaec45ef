//! UART1 as a stream, from the other end of the line.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use qemu::firmware::Address;
use qemu::machine::Machine;

use crate::util::PATIENCE;
use crate::util::board::built;

/// Bytes of the board's rings.
const RECEIVE_BYTES: usize = 256;
const TRANSMIT_BYTES: usize = 256;

/// The firmware `uart-check`, and a terminal at its second serial port.
struct Terminal {
    machine: Machine,
    line: BufReader<UnixStream>,
}

impl Terminal {
    fn start() -> Self {
        let firmware = built("uart-check", &Address::fixed("192.0.2.2/24", None));
        let machine = Machine::of(&firmware).second_serial().start().expect("QEMU");
        let line = machine.second_serial(PATIENCE).expect("the line's other end");
        line.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        line.set_write_timeout(Some(PATIENCE)).expect("a time-out");
        machine.wait_for("UART1 READY", PATIENCE).unwrap_or_else(|error| panic!("{error:#}"));
        Self { machine, line: BufReader::new(line) }
    }

    fn send(&mut self, text: &str) {
        self.line.get_mut().write_all(text.as_bytes()).expect("the line takes it");
    }

    #[track_caller]
    fn answers(&mut self, expected: &str) {
        let mut line = String::new();
        let read = self.line.read_line(&mut line);
        assert!(read.is_ok() && line == expected, "{line:?} {read:?}\n{}", self.machine.log());
    }

    #[track_caller]
    fn ask(&mut self, line: &str, expected: &str) {
        self.send(line);
        self.answers(expected);
    }
}

#[test]
fn lines_come_back_whole_and_in_order() {
    let mut terminal = Terminal::start();
    for number in 0..500 {
        let line = format!("{number} {}\n", "x".repeat(number % 100));
        terminal.ask(&line, &line);
    }
    // Several that come together, and one that comes in pieces.
    terminal.send("one\ntwo\nthree\n");
    ["one\n", "two\n", "three\n"].into_iter().for_each(|line| terminal.answers(line));
    for piece in ["pie", "", "ces", "\n"] {
        terminal.send(piece);
    }
    terminal.answers("pieces\n");
    terminal.ask("losses\n", "overrun 0, garbled 0\n");
}

#[test]
fn a_full_transmit_ring_would_block_until_the_line_takes_it() {
    let mut terminal = Terminal::start();
    let filled = format!("{}full\n", ".".repeat(TRANSMIT_BYTES));
    for _ in 0..20 {
        terminal.ask("fill\n", &filled);
        terminal.ask("and goes on\n", "and goes on\n");
    }
}

#[test]
fn what_finds_the_receive_ring_full_is_dropped_and_counted() {
    let mut terminal = Terminal::start();
    for round in 1..=5 {
        terminal.ask("hold\n", "holding\n");
        // Now it reads nothing, until one byte more came than there is room for.
        terminal.send(&"x".repeat(RECEIVE_BYTES + 1));
        terminal.answers(&format!("held {RECEIVE_BYTES}\n"));
        terminal.ask("losses\n", &format!("overrun {round}, garbled 0\n"));
        terminal.ask("hello\n", "hello\n");
    }
}

#[test]
fn a_line_that_was_closed_says_what_was_written_and_nothing_more() {
    let mut terminal = Terminal::start();
    terminal.ask("close\n", "closed\n");
    let said = terminal.machine.wait_for("UART1 CLOSED", PATIENCE);
    said.unwrap_or_else(|error| panic!("{error:#}"));
    assert!(terminal.machine.is_running());
}
