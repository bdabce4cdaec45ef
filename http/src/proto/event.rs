//! What [`Conn::recv`](super::Conn::recv) is told and what it tells: limits, steps, events and
//! rejections.
//!
//! Invariant: an event borrows nothing. Its ranges are of the input of the call that returned it,
//! and the caller makes the view where it owns the bytes.
//!
//! ```
//! use dustdevil_http::proto::{Conn, Head, Limits, Status};
//! let limits = Limits { head_bytes_max: 32, ..Limits::DEFAULT };
//! let mut head = Head::new(&mut []);
//! let endless = b"GET /a/target/that/is/longer/than/that";
//! let reject = Conn::server().recv(endless, false, &mut head, &limits).unwrap_err();
//! assert_eq!(reject.status, Status::URI_TOO_LONG);
//! ```

use core::ops::Range;

use super::{FieldRange, HeadFacts, Status};

/// Why a message cannot be accepted, and how to say so. After it the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject {
    /// A server's answer. A client, which has nobody to answer, gets 502.
    pub status: Status,
    /// For a log or a body; one line.
    pub reason: &'static str,
}

/// Why, before it is said for whom. There is one of each in the binary: passing it on is one word.
pub(super) type Refused = &'static Reject;

/// A [`Refused`]: a constant. Without a status: 400.
macro_rules! refused {
    ($reason:literal) => {
        refused!(Status::BAD_REQUEST, $reason)
    };
    ($status:expr, $reason:literal) => {
        const { &Reject { status: $status, reason: $reason } }
    };
}
pub(super) use refused;

impl Reject {
    pub(super) const TOO_LARGE: Refused =
        refused!(Status::CONTENT_TOO_LARGE, "the body is larger than its limit");
    pub(super) const FIELDS_TOO_LARGE: Refused =
        refused!(Status::FIELDS_TOO_LARGE, "more fields than there is room for");
    pub(super) const NO_CR: Refused = refused!("a line that ends without CR");
    pub(super) const TRUNCATED: Refused =
        refused!("the connection ended in the middle of a message");
}

impl core::fmt::Display for Reject {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.reason)
    }
}

impl core::error::Error for Reject {}

/// What a peer may ask for. The number of fields is limited by the table given to
/// [`Conn::recv`](super::Conn::recv), and by [`FIELDS_MAX`](super::FIELDS_MAX).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest head in bytes, at most 65,535 and at most what the caller's buffer holds. Beyond:
    /// 431, or 414 if not even the request line fits.
    pub head_bytes_max: usize,
    /// Longest body in bytes; beyond: 413. `u64::MAX`: no limit. Lengths, chunk sizes and their sum
    /// have 64 bits on every target.
    pub body_bytes_max: u64,
    /// Longest chunk-size line with its extensions, in bytes; beyond: 400.
    pub chunk_line_bytes_max: u8,
    /// Longest trailer section in bytes, and at most what the caller's buffer holds, which must
    /// take a whole line; beyond: 431.
    pub trailer_bytes_max: u16,
}

impl Limits {
    /// 8 KiB of head, 1 MiB of body, 128 bytes of chunk line, 512 bytes of trailers.
    pub const DEFAULT: Self = Self {
        head_bytes_max: 8 * 1024,
        body_bytes_max: 1024 * 1024,
        chunk_line_bytes_max: 128,
        trailer_bytes_max: 512,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Where a head goes that is received: what it says, and its fields.
#[derive(Debug)]
pub struct Head<'a> {
    /// What it says. Only right behind [`Event::Head`] or [`Event::Interim`].
    pub facts: HeadFacts,
    /// Its fields: the first [`HeadFacts::fields`] of these.
    pub fields: &'a mut [FieldRange],
}

impl<'a> Head<'a> {
    /// A place for a head with as many fields as there are in `fields`.
    pub fn new(fields: &'a mut [FieldRange]) -> Self {
        Self { facts: HeadFacts::default(), fields }
    }
}

/// What the bytes of one step mean. Ranges and spans count from the start of that step's input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request head, or the final response head, is in the [`Head`]. Its spans count from the
    /// start of the input.
    Head,
    /// Client: an interim response (1xx but 101) is there; the final one follows.
    Interim,
    /// Some bytes of the body, never none.
    Body(Range<usize>),
    /// A field of the trailer section. It must not be taken for a field of the head.
    Trailer(FieldRange),
    /// The body is over. Not sent after a head whose body is `None` or `Length(0)`.
    End,
    /// The next byte belongs to another protocol (101, or CONNECT and 2xx). Sent once. Where the
    /// switch was said before the end of a body that is all there, it stands for that
    /// [`End`](Self::End) too.
    Upgraded,
    /// The peer closed between messages, or a message was rejected before.
    Closed,
}

/// The result of one [`Conn::recv`](super::Conn::recv).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes that are done with: the next input begins behind them.
    pub consumed: usize,
    /// What they meant. `None` with nothing consumed: there is nothing to do until more bytes
    /// arrive. `None` with something consumed: framing; call again.
    pub event: Option<Event>,
}

impl Step {
    pub(super) const MORE: Self = Self { consumed: 0, event: None };

    pub(super) const fn new(consumed: usize, event: Event) -> Self {
        Self { consumed, event: Some(event) }
    }
}

/// [`Conn::next_cycle`](super::Conn::next_cycle) came too early, or nothing can follow on this
/// connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

impl core::fmt::Display for Busy {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("no further message can begin here")
    }
}

impl core::error::Error for Busy {}
