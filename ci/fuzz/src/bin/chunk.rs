//! Reads any bytes as a chunked body, of a request and of a response, in every split into two
//! where it is short: the data, the trailers and the end are those of the reference decoder.

#![no_main]

use dustdevil_http::proto::Method;
use fuzz::input::{Input, PLAIN, Pieces};
use fuzz::machine::{Asked, Feed};
use fuzz::{compare, machine, reference, seeds};
use libfuzzer_sys::fuzz_target;

const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const GET: &[Asked] = &[Asked { method: Method::Get, upgrade: false }];

/// The longest body that is split everywhere.
const SHORT_BYTES: usize = 40;

fuzz_target!(init: seeds::write(seeds), |data: &[u8]| {
    let Some(mut input) = Input::new(data) else { return };
    // The head is not what is tried here.
    input.limits.head_bytes_max = input.limits.head_bytes_max.max(REQUEST.len());
    let head = if input.side & 1 == 0 { REQUEST } else { RESPONSE };
    let bytes = [head, input.stream].concat();
    let expected = match input.side & 1 {
        0 => reference::requests(&bytes, &input.limits),
        _ => reference::responses(&bytes, &input.limits, GET),
    };
    let mut ways = vec![Pieces::Whole, Pieces::Single, input.pieces.clone()];
    if input.stream.len() <= SHORT_BYTES {
        ways.extend((head.len()..bytes.len()).map(Pieces::Two));
    }
    for pieces in ways {
        let fin_late = input.side & 2 != 0;
        let feed = Feed { stream: &bytes, pieces, limits: input.limits, fin_late };
        let seen = match input.side & 1 {
            0 => machine::requests(&feed),
            _ => machine::responses(&feed, GET),
        };
        compare::same(&seen, &expected);
    }
});

/// The bodies of the requests that are chunked.
fn seeds() -> Vec<Vec<u8>> {
    let body = |bytes: &'static [u8]| {
        let at = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        Some(&bytes[at + 4..]).filter(|body| body.first().is_some_and(u8::is_ascii_hexdigit))
    };
    let bodies = seeds::messages().into_iter().filter_map(|(_, bytes)| body(bytes));
    bodies.map(|body| [&PLAIN[..], body].concat()).collect()
}
