//! Reads any bytes as the head of a request or a response: what it says is what the reference
//! reads in it, and what an independent writer says again.

#![no_main]

use dustdevil_http::proto::{Limits, Method};
use fuzz::input::{Input, PLAIN, Pieces, Random};
use fuzz::machine::{Asked, Feed};
use fuzz::reading::{Message, Reading};
use fuzz::{compare, machine, reference, seeds};
use libfuzzer_sys::fuzz_target;

const METHODS: [Method; 4] = [Method::Get, Method::Head, Method::Connect, Method::Post];

fuzz_target!(init: seeds::write(seeds), |data: &[u8]| {
    let Some(mut input) = Input::new(data) else { return };
    let asked = asked(input.side);
    let (seen, expected) = both(asked, input.stream, &input.limits, input.pieces.clone());
    compare::same(&seen, &expected);
    // Written anew it is longer, perhaps, and may be beyond its limit.
    let is_plain = input.limits == Limits::DEFAULT;
    if let Some(head) = seen.messages.first().filter(|_| is_plain) {
        say_again(head, asked, &mut input.random);
    }
});

/// The lowest bit says whether it is a response, and the next ones to what.
fn asked(side: u8) -> Option<Asked> {
    let method = METHODS[usize::from(side >> 1) % METHODS.len()];
    (side & 1 != 0).then_some(Asked { method, upgrade: side & 8 != 0 })
}

fn seeds() -> Vec<Vec<u8>> {
    let side = |asked: Option<(Method, bool)>| match asked {
        None => 0,
        Some((asked, upgrade)) => {
            let number = METHODS.iter().position(|method| *method == asked).expect("a known one");
            1 | (number as u8) << 1 | u8::from(upgrade) << 3
        }
    };
    let seed = |(asked, bytes)| [&[side(asked)], &PLAIN[1..], bytes].concat();
    seeds::messages().into_iter().map(seed).collect()
}

fn both(
    asked: Option<Asked>,
    stream: &[u8],
    limits: &Limits,
    pieces: Pieces,
) -> (Reading, Reading) {
    let feed = Feed { stream, pieces, limits: *limits, fin_late: false };
    match asked {
        None => (machine::requests(&feed), reference::requests(stream, limits)),
        Some(asked) => {
            (machine::responses(&feed, &[asked]), reference::responses(stream, limits, &[asked]))
        }
    }
}

/// Writes the head as others might: with other spaces around values and other letters in names.
/// The machine must see the same.
fn say_again(head: &Message, asked: Option<Asked>, random: &mut Random) {
    let mut text = head.start.join(&b' ');
    text.extend(b"\r\n");
    for (name, value) in &head.fields {
        for byte in name {
            let other = if random.once_in(4) { byte ^ 0x20 } else { *byte };
            text.push(if byte.is_ascii_alphabetic() { other } else { *byte });
        }
        text.push(b':');
        text.extend([&b" "[..], b"", b" \t ", b"\t"][random.below(4)]);
        text.extend(value);
        text.extend([&b""[..], b"", b" ", b"\t\t"][random.below(4)]);
        text.extend(b"\r\n");
    }
    text.extend(b"\r\n");
    if text.len() > Limits::DEFAULT.head_bytes_max {
        return;
    }
    let (seen, expected) = both(asked, &text, &Limits::DEFAULT, Pieces::Whole);
    compare::same(&seen, &expected);
    let again = seen.messages.first().expect("a head that was accepted before");
    assert_eq!((&again.start, &again.facts), (&head.start, &head.facts));
    for (one, other) in head.fields.iter().zip(&again.fields) {
        assert!(one.0.eq_ignore_ascii_case(&other.0) && one.1 == other.1, "{one:?} {other:?}");
    }
    assert_eq!(again.fields.len(), head.fields.len());
}
