//! What a server says of its work through [`log`]: a line for each request, and a warning for each
//! limit that is hit, once.
//!
//! A line of the access log has the level `debug` and the target [`ACCESS`], in Tornado's form:
//! status, method, target, peer, time from the start of the handler to the end of its response.
//!
//! ```text
//! 200 GET /user/7 (127.0.0.1) 1.23ms
//! 400 - (127.0.0.1) malformed request line
//! 499 GET /slow (127.0.0.1) 803.10ms
//! ```
//!
//! The last is of a peer that left before it was answered: nobody was sent that status.
//!
//! Invariants: nobody can flood the log but by requests, at a level that is off unless somebody
//! turns it on; where it is off a request costs one load, and where `log` was built without it (as
//! in firmware) nothing. A warning comes once in a server's life: its counters tell how often.
//!
//! Place: part of the driver.

use core::fmt;
use core::future::Future;

use dustdevil_core::poller::{Token, Transport};
use dustdevil_core::time::Duration;
use log::Level;

use super::driver::Driver;
use super::tables::{Answer, Common, HeadEntry};
use crate::proto::{Reject, Status};

/// The target of the access log's records.
pub const ACCESS: &str = "dustdevil::access";

/// What the log says of a peer that left before it was answered (nginx's number for it).
pub(super) const LEFT: Status = match Status::new(499) {
    Some(status) => status,
    None => Status::BAD_REQUEST,
};

/// A limit that was hit. Each is told once.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Hit {
    Connections,
    Handles,
    Heads,
    Requests,
    HeadBytes,
    BodyBytes,
    HandlerTime,
}

impl Hit {
    const fn text(self) -> &'static str {
        match self {
            Self::Connections => "connections: all are in use, others are shed or wait",
            Self::Handles => "no descriptor or socket is left, connections are shed or wait",
            Self::Heads => "heads: all buffers are in use, the slowest is shed or others wait",
            Self::Requests => "requests: all slots are in use, requests wait",
            Self::HeadBytes => "head_bytes, fields: a head was longer than that and refused",
            Self::BodyBytes => "body_bytes_max: a body was longer than that and refused",
            Self::HandlerTime => "handler_ms: a handler took longer than that and was ended",
        }
    }

    /// The limit that an answer speaks of, if it does.
    pub(super) const fn of(status: Status) -> Option<Self> {
        match status {
            Status::URI_TOO_LONG | Status::FIELDS_TOO_LARGE => Some(Self::HeadBytes),
            Status::CONTENT_TOO_LARGE => Some(Self::BodyBytes),
            _ => None,
        }
    }
}

impl Common<'_> {
    /// Tells that a limit was hit, the first time.
    #[cold]
    pub(super) fn warn(&self, hit: Hit) {
        let (warned, bit) = (self.warned.get(), 1 << hit as u8);
        if warned & bit == 0 {
            self.warned.set(warned | bit);
            log::warn!("a limit is hit (told once): {}", hit.text());
        }
    }
}

impl<P: Transport, F: Future, H, const STOPS: bool> Driver<'_, '_, P, F, H, STOPS> {
    /// A response is complete, or will never be.
    #[inline]
    pub(super) fn log_request(&self, answer: &Answer<'_>, entry: &HeadEntry<'_>) {
        if log::log_enabled!(target: ACCESS, Level::Debug) {
            self.write_line(answer, entry);
        }
    }

    #[cold]
    #[inline(never)]
    fn write_line(&self, answer: &Answer<'_>, entry: &HeadEntry<'_>) {
        let Some(token) = answer.token.get() else { return };
        let Some(buffer) = entry.buffer.try_borrow() else { return };
        let head = buffer.window.get(buffer.head_start..).unwrap_or_default();
        let facts = &buffer.head.facts;
        // INVARIANT: the machine takes nothing but ASCII into a method or a target.
        let text = |bytes| core::str::from_utf8(bytes).unwrap_or_default();
        log::debug!(
            target: ACCESS,
            "{} {} {} ({}) {}",
            answer.status.get().code(),
            text(facts.method_span.slice(head)),
            text(facts.target.slice(head)),
            self.peer(token),
            Millis(self.reactor.poller(|poller| poller.now()) - answer.began.get()),
        );
    }

    /// What arrived was refused before it was a request.
    #[cold]
    pub(super) fn log_refused(&self, token: Token, reject: Reject) {
        if let Some(hit) = Hit::of(reject.status) {
            self.common.warn(hit);
        }
        if log::log_enabled!(target: ACCESS, Level::Debug) {
            let (code, peer) = (reject.status.code(), self.peer(token));
            log::debug!(target: ACCESS, "{code} - ({peer}) {reject}");
        }
    }

    fn peer(&self, token: Token) -> Peer {
        Peer(self.reactor.peer(token).map(|address| address.ip()))
    }
}

/// An address, or a dash where the world knows none any more.
struct Peer(Option<core::net::IpAddr>);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => write!(f, "{address}"),
            None => f.write_str("-"),
        }
    }
}

/// A time in milliseconds with two digits behind the point.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = self.0.as_micros() / 10;
        write!(f, "{}.{:02}ms", hundredths / 100, hundredths % 100)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;

    #[test]
    fn times_and_peers_read_as_in_tornado() {
        for (micros, text) in [(0, "0.00ms"), (1_239, "1.23ms"), (12_000_050, "12000.05ms")] {
            assert_eq!(format!("{}", Millis(Duration::from_micros(micros))), text);
        }
        assert_eq!(format!("{}", Peer(None)), "-");
        assert_eq!(format!("{}", Peer(Some([127, 0, 0, 1].into()))), "127.0.0.1");
    }

    #[test]
    fn refusals_that_speak_of_a_limit_name_it() {
        for (status, tells) in [
            (Status::URI_TOO_LONG, true),
            (Status::FIELDS_TOO_LARGE, true),
            (Status::CONTENT_TOO_LARGE, true),
            (Status::BAD_REQUEST, false),
        ] {
            assert_eq!(Hit::of(status).is_some(), tells, "{}", status.code());
        }
    }
}
