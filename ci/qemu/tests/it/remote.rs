//! An interrupt that sends messages, at any moment of the loop's: none is lost, none comes twice.

use std::time::Duration;

use qemu::firmware::Address;
use qemu::machine::Machine;

use crate::util::board::built;

/// The firmware gives up before that, and says why.
const PATIENCE: Duration = Duration::from_secs(120);

/// The firmware compares each message with the one that has to come, and panics if it is another.
#[test]
fn a_hundred_thousand_messages_from_an_interrupt() {
    let firmware = built("remote-check", &Address::fixed("192.0.2.2/24", None));
    let machine = Machine::of(&firmware).start().expect("QEMU");
    let line = machine.wait_for("", PATIENCE).expect("the board starts");
    assert!(line.contains("LM3S6965EVB"), "{line}");
    let line = machine.wait_for("", PATIENCE).unwrap_or_else(|error| panic!("{error:#}"));
    let figures = line.strip_prefix("REMOTE OK: ").unwrap_or_else(|| panic!("{line}"));
    println!("{figures}");
    let figure = |name: &str| -> u64 {
        let found = figures.split(", ").find_map(|it| it.strip_suffix(name)?.trim().parse().ok());
        found.unwrap_or_else(|| panic!("{name} is not in: {line}"))
    };
    assert_eq!((figure("from the interrupt"), figure("from the loop")), (100_000, 20_000));
    // After each thousand messages the task lets the interrupt run into a full queue, in mid-turn.
    assert!(figure("times full") >= 90, "{line}");
    assert!(figure("interrupts in mid-turn") >= 90, "{line}");
    assert!(figure("turns") > 1_000, "{line}");
}
