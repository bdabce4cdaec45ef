//! Messages and what must be seen in them, for either side. Each is fed whole, in every split
//! into two, and byte by byte. A fixed bug adds its message here.
//!
//! [`heads`]: first lines, hosts, fields; [`bodies`]: what frames a body, and chunks;
//! [`responses`]: what a client receives. Within each, by section of the RFC.

use super::exercise::Side::{self, Client};
use super::method::Method::Get;

/// Who receives, what arrives before the FIN, and what is seen.
pub(super) type Case = (Side, &'static [u8], &'static [&'static str]);
/// The same for what is rejected: the status and reason.
pub(super) type Rejected = (Side, &'static [u8], &'static str);

const GET: Side = Client(Get, false);

/// The start of a request, with a host.
macro_rules! request {
    ($rest:literal) => {
        concat!("POST / HTTP/1.1\r\nHost: a\r\n", $rest).as_bytes()
    };
}
/// A whole request with this first line.
macro_rules! line {
    ($line:literal) => {
        concat!($line, "\r\nHost: a\r\n\r\n").as_bytes()
    };
}
/// A whole request to this host.
macro_rules! host {
    ($host:literal) => {
        concat!("GET / HTTP/1.1\r\nHost: ", $host, "\r\n\r\n").as_bytes()
    };
}
/// A request with these chunks.
macro_rules! chunks {
    ($rest:literal) => {
        concat!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", $rest)
            .as_bytes()
    };
}
/// The start of a response.
macro_rules! response {
    ($rest:literal) => {
        concat!("HTTP/1.1 200 OK\r\n", $rest).as_bytes()
    };
}

mod bodies;
mod heads;
mod responses;

/// Well-formed messages, and where they end.
pub(super) const ACCEPTED: &[&[Case]] =
    &[heads::ACCEPTED, bodies::ACCEPTED, bodies::CHUNKS_ACCEPTED, responses::ACCEPTED];

/// What must be rejected.
pub(super) const REJECTED: &[&[Rejected]] = &[
    heads::LINES_REJECTED,
    heads::FIELDS_REJECTED,
    bodies::REJECTED,
    bodies::CHUNKS_REJECTED,
    responses::REJECTED,
];

/// What is rejected after its head, or part of its body, was accepted.
pub(super) const BROKEN_OFF: &[Case] = bodies::BROKEN_OFF;
