//! Where we and the oracle differ on purpose, by the reason that the stricter one gives.
//!
//! Whatever is not in these lists, or is in them for another direction, is a finding. A message
//! that both accept must be the same in both readings: no list excuses a different end.

use crate::oracle;
use crate::reading::{End, Message, Reading};

/// Why we may refuse what the oracle accepts: our reason, and why it is right.
const OURS: &[(&str, &str)] = &[
    ("no Host", "RFC 9112, 3.2: MUST answer 400; the oracle leaves it to its user"),
    ("more than one Host", "RFC 9112, 3.2, as above"),
    ("malformed Host", "RFC 9112, 3.2, as above"),
    ("malformed target", "RFC 9112, 3.2: four forms; the oracle looks at characters alone"),
    ("CONNECT without host:port", "RFC 9112, 3.2.3, as above"),
    ("a byte that no target may have", "RFC 3986: not ASCII, or a fragment"),
    ("an empty line instead of a head", "RFC 9112, 2.2: at least one is to be ignored; two are"),
    ("unknown expectation", "RFC 9110, 10.1.1: 417"),
    ("unknown transfer coding", "RFC 9112, 6.1: 501; the oracle's user would decode it"),
    ("no transfer coding", "RFC 9112, 6.1: a list of nothing"),
    ("an https target without TLS", "RFC 9110, 7.4: 421"),
    ("CONNECT with a body", "RFC 9110, 9.3.6: a body to one reader, the tunnel's bytes to another"),
    ("malformed chunk line", "RFC 9112, 7.1.1: no space before CRLF, which the oracle strips"),
    ("a chunk line longer than its limit", "a limit"),
    ("the body is larger than its limit", "a limit"),
    ("the head is too long", "a limit"),
    ("the first line is too long", "a limit"),
    ("the method is too long", "a limit"),
    ("the trailer section is too long", "a limit"),
    ("more fields than there is room for", "a limit"),
];

/// Why the oracle may refuse what we accept: its reason, and why we accept.
const ORACLE: &[(&str, &str)] = &[
    ("Invalid protocol", "it does not speak HTTP/1.0"),
    ("Unexpected content for the request (GET or HEAD)", "RFC 9110, 9.3.1: no meaning, but framed"),
    (
        "Missing Connection header set to \"upgrade\" when using the Upgrade header",
        "RFC 9110, 7.8: a sender's duty; without it we take it for no offer",
    ),
    ("Expected Upgrade header value", "RFC 9110, 7.8: we ignore what we do not take up"),
    ("Invalid Upgrade header value", "the same"),
    ("Expected Connection header value", "RFC 9110, 5.6.1.2: empty list items are ignored"),
    ("Invalid Connection header value", "RFC 9110, 7.6.1: what is no known option is ignored"),
    ("Expected Transfer-Encoding header value", "RFC 9110, 5.6.1.2: the same"),
    ("Expected Trailer header value", "RFC 9110, 6.6.2: only announces"),
    (
        "Trailers are not allowed when not using chunked transfer encoding",
        "RFC 9110, 6.6.2: the announcement is harmless",
    ),
    ("Invalid chunk length size", "more than 16 digits: leading zeros are within our limit"),
    (oracle::LONG_LENGTH, "RFC 9112, 6.3: leading zeros are digits"),
    (oracle::SPACE_BEHIND_SIZE, "RFC 9112, 7.1.1: BWS, which a recipient MUST parse"),
    ("Invalid URL character", "RFC 3986 has no `|` or `^` in a path, but browsers send them"),
    (
        "Unexpected Content-Length header for a response without body",
        "RFC 9110, 15.3.6: 205 says so with a length of 0",
    ),
    ("PRI is only valid with HTTP/2.0", "RFC 9113, 3.4: PRI is reserved, and then unknown"),
    ("Request line too short", "the oracle takes a method of two letters for too short a line"),
];

/// Compares our reading with the oracle's. `Err`: how they differ.
///
/// # Errors
/// When the streams are read differently, or one refuses for a reason that is on no list.
pub fn judge(ours: &Reading, theirs: &Reading) -> Result<(), &'static str> {
    for (a, b) in ours.messages.iter().zip(&theirs.messages) {
        let is_same_head = a.start == b.start && a.fields == b.fields;
        if !is_same_head {
            return Err("two heads");
        }
        match (a.end, b.end) {
            // To the oracle what follows CONNECT is a tunnel, whatever is answered.
            (Some(_), Some(end)) if theirs.end == End::Tunnel(end) => return Ok(()),
            (Some(_), Some(_)) if !is_same_content(a, b) => return Err("two messages"),
            (Some(_), Some(_)) => {}
            // One of them did not read on, for a reason that is to be judged.
            _ if !is_alike_so_far(a, b) => return Err("two beginnings of a body"),
            _ => return judge_ends(ours, theirs, a.end.is_some(), b.end.is_some()),
        }
    }
    let (a, b) = (ours.messages.len(), theirs.messages.len());
    judge_ends(ours, theirs, a > b, b > a)
}

/// Which went further decides whose reason counts.
fn judge_ends(
    ours: &Reading,
    theirs: &Reading,
    we_went_on: bool,
    it_went_on: bool,
) -> Result<(), &'static str> {
    match (&ours.end, &theirs.end) {
        (_, End::Tunnel(_)) if !it_went_on => Ok(()),
        (End::Rejected(..), End::Tunnel(_)) if theirs.messages.len() <= ours.messages.len() + 1 => {
            Ok(())
        }
        // The oracle looks at the codings only when it has the whole head.
        (End::Rejected(..), End::Rejected(..)) if it_went_on && !has_body(theirs) => Ok(()),
        (End::Rejected(_, why), _) if it_went_on => listed(OURS, why, "we alone refuse"),
        (_, End::Rejected(_, why)) if we_went_on => listed(ORACLE, why, "the oracle alone refuses"),
        (_, _) if we_went_on => Err("we alone go on"),
        (_, _) if it_went_on => Err("the oracle alone goes on"),
        // Both refuse the same message, or wait for the rest of it.
        (End::Rejected(..), End::Rejected(..) | End::Open) | (End::Clean, End::Clean) => Ok(()),
        // The stream ended, or we do not look at what is behind the last message.
        (End::Rest(_), _) => Ok(()),
        (End::Rejected(_, why), End::Clean) => listed(OURS, why, "we alone refuse"),
        // Both are between messages, but the oracle has read some of what is none.
        (End::Clean, _) | (_, End::Clean) => Err("one of them is between messages"),
        _ => Err("two ends"),
    }
}

fn listed(list: &[(&str, &str)], why: &str, otherwise: &'static str) -> Result<(), &'static str> {
    let is_listed = list.iter().any(|(reason, _)| *reason == why);
    if is_listed { Ok(()) } else { Err(otherwise) }
}

fn has_body(reading: &Reading) -> bool {
    reading.messages.last().is_some_and(|last| last.end.is_some() || !last.body.is_empty())
}

fn is_same_content(a: &Message, b: &Message) -> bool {
    a.body == b.body && a.trailers == b.trailers && a.end == b.end
}

fn is_alike_so_far(a: &Message, b: &Message) -> bool {
    let (body, other) = (&a.body, &b.body);
    let shorter = a.trailers.len().min(b.trailers.len());
    (body.starts_with(other) || other.starts_with(body))
        && a.trailers[..shorter] == b.trailers[..shorter]
}

/// Whether the oracle alone refuses for this reason.
pub fn is_of_oracle_alone(why: &str) -> bool {
    listed(ORACLE, why, "").is_ok()
}
