//! Where two readings must be the same, and where one may have stopped before the other.

use crate::reading::{End, Message, Reading};

/// The machine's reading is the reference's: the same messages with the same ends and meanings, and
/// a rejection where the other rejects, with a status that it allows for.
///
/// # Panics
/// When they differ.
pub fn same(machine: &Reading, reference: &Reading) {
    let alike = machine.messages.len() == reference.messages.len()
        && machine.messages.iter().zip(&reference.messages).all(|(a, b)| is_same(a, b))
        && is_same_end(&machine.end, &reference.end);
    assert!(alike, "the machine reads{machine:?}\n\nand the reference{reference:?}");
}

/// As [`same`], for a machine whose own answers may have ended the connection earlier.
///
/// # Panics
/// When they differ.
pub fn same_until_closed(machine: &Reading, reference: &Reading) {
    let last = machine.messages.last();
    match machine.end {
        End::Rest(at) | End::Tunnel(at) if last.is_some_and(|last| last.end == Some(at)) => {
            let messages = reference.messages.iter().take(machine.messages.len()).cloned();
            let end = machine.end.clone();
            same(machine, &Reading { messages: messages.collect(), end });
        }
        _ => same(machine, reference),
    }
}

fn is_same(machine: &Message, reference: &Message) -> bool {
    if machine.end.is_some() || reference.end.is_some() {
        return machine == reference;
    }
    // What of a body was there when it was refused depends on who looks how far ahead.
    let (a, b) = (&machine.body, &reference.body);
    let (c, d) = (&machine.trailers, &reference.trailers);
    machine.start == reference.start
        && machine.fields == reference.fields
        && machine.facts == reference.facts
        && (a.starts_with(b) || b.starts_with(a))
        && (c.starts_with(d) || d.starts_with(c))
}

fn is_same_end(machine: &End, reference: &End) -> bool {
    match (machine, reference) {
        (End::Rejected(one, _), End::Rejected(any, _)) => any.is_empty() || one.is_subset(any),
        _ => machine == reference,
    }
}
