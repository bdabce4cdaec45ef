//! The state of one connection, for either role: which bytes come next, in both directions.
//!
//! ```text
//!  receiving                                                    sending
//!
//!        +--------+  <-----------------(9)------------------>  +--------+
//!  (1,2) |  Head  | ----(10)-----------------+                 |  Idle  | (11)
//!        +--------+                          |                 +--------+
//!      (3)|     |(4)                         |            (12)|    |    |(13)
//!         |     v                            |                |    |    v
//!         |  Length, UntilClose,             |                |    |  Deferred.. --(17)--+
//!         |  Chunk.. -> Trailer              |                |    |  Length, Chunked, <-+
//!         |     |                            |                |    |  UntilClose, Mute (14)
//!         |     |(5,6)                       v                |    |    |(15,16)
//!         v     v                     +-----------+           v    |    v
//!        End, Done                    |  Closed   |          Done  |  Done
//!         |(8)                        +-----------+                |(8)
//!         v                             ^ any state, (7)           v
//!        Upgrading -> Upgraded                                   Upgraded
//! ```
//!
//!  1. `recv_head`: an incomplete head waits; how far it was looked at is remembered
//!  2. `recv_blank` skips empty lines before a request; `accept` passes a 1xx response on
//!  3. `accept`: a message without a body
//!  4. `accept`: a message with a body
//!  5. `recv_length`, `recv_until_close`, `recv_chunked` (body.rs): body bytes
//!  6. the last byte, the last chunk and its trailers, or the peer's FIN
//!  7. `fail`: whatever was rejected. The connection can only be answered and closed
//!  8. `send_head`: 101, or 2xx to CONNECT; a client's `accept` of either
//!  9. `next_cycle`: both directions are done and neither side wants to close
//! 10. `recv_head`: FIN between messages
//! 11. `send_continue`, and `send_head` with a 1xx status
//! 12. `send_head`: a message without a body
//! 13. `send_head` (send.rs): a message with a body
//! 14. `send_body`; Mute counts and swallows what GET would have sent (HEAD, 204, 304)
//! 15. `send_body`: the last promised byte
//! 16. `finish`, `finish_with`
//! 17. `seal` (defer.rs): the length was not known in time

use core::marker::PhantomData;

use super::event::{Refused, refused};
use super::head::{self, Asked, Request};
use super::{
    BodyKind, Busy, Client, Event, Head, HeadFacts, Limits, Method, Reject, Role, Server, Status,
    Step, Version,
};

/// The receiving half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Recv {
    Head,
    Length,
    UntilClose,
    ChunkSize,
    /// Behind a size or a value came space, so an extension follows.
    ChunkSpace,
    ExtensionStart,
    ExtensionName,
    ExtensionNameSpace,
    ExtensionEquals,
    ExtensionValue,
    ExtensionQuoted,
    ExtensionEscape,
    ExtensionQuoteEnd,
    ChunkSizeLf,
    ChunkData,
    ChunkDataCr,
    ChunkDataLf,
    Trailer,
    /// The body is over, but nobody was told.
    End,
    Done,
    /// Another protocol follows, but nobody was told.
    Upgrading,
    Upgraded,
    Closed,
}

/// The sending half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Send {
    Idle,
    Length,
    Chunked,
    UntilClose,
    Mute,
    /// As Chunked, UntilClose and Mute once sealed; until then the length may still be told.
    Deferred,
    Deferred10,
    DeferredMute,
    Done,
    Upgraded,
}

/// Nothing follows this cycle.
pub(super) const CLOSE: u8 = 1;
/// Server: the request was HTTP/1.0, so chunks would not be understood.
pub(super) const HTTP10: u8 = 2;
/// The request was HEAD.
pub(super) const HEAD: u8 = 4;
/// The request was CONNECT.
pub(super) const CONNECT: u8 = 8;
/// The peer waits for `100 Continue`.
pub(super) const EXPECT: u8 = 16;
/// The client offered another protocol.
pub(super) const UPGRADE: u8 = 32;

/// Most empty lines before a request (RFC 9112, 2.2, asks for at least one).
const BLANK_LINES_MAX: u8 = 2;
/// Most interim responses before a final one.
const INTERIM_MAX: u8 = 16;

/// One HTTP/1.1 connection, seen from the side `R`, without its bytes.
#[derive(Clone, Debug)]
pub struct Conn<R = Server> {
    /// Length: body bytes to come. Chunk: bytes of this chunk to come.
    pub(super) left: u64,
    /// Length: body bytes still promised. Mute: the same, `u64::MAX` if not known. Deferred: body
    /// bytes so far.
    pub(super) send_left: u64,
    /// Head: bytes already looked at. Body without a length: its bytes so far. Trailer: bytes of
    /// the section so far.
    pub(super) count: u64,
    /// Head: empty lines or interim responses so far. Chunk size: bytes of this line so far.
    pub(super) line: u8,
    pub(super) recv: Recv,
    pub(super) send: Send,
    pub(super) flags: u8,
    role: PhantomData<R>,
}

const _: () = assert!(size_of::<Conn>() <= 32);

impl Conn<Server> {
    /// The server's side of a new connection.
    pub const fn server() -> Self {
        Self::NEW
    }
}

impl Conn<Client> {
    /// The client's side of a new connection.
    pub const fn client() -> Self {
        Self::NEW
    }
}

impl<R: Role> Conn<R> {
    const NEW: Self = Self {
        left: 0,
        send_left: 0,
        count: 0,
        line: 0,
        recv: Recv::Head,
        send: Send::Idle,
        flags: 0,
        role: PhantomData,
    };

    #[inline]
    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Reads on. `input` holds all bytes that were received and not consumed: from the start of a
    /// head, or from the next byte of a body. `eof`: the peer's FIN comes after `input`. When
    /// nothing was consumed and there is no event, call again with the same bytes and more.
    /// A head goes to `head`, as [`Event::Head`] and [`Event::Interim`] say.
    ///
    /// A message that is over leaves the bytes behind it alone until [`Conn::next_cycle`].
    ///
    /// # Errors
    /// A [`Reject`] ends the receiving half: answer it, if nothing was sent yet, and close.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub fn recv(
        &mut self,
        input: &[u8],
        eof: bool,
        head: &mut Head<'_>,
        limits: &Limits,
    ) -> Result<Step, Reject> {
        let step = match self.recv {
            Recv::Head => self.recv_head(input, eof, head, limits),
            _ => self.recv_rest(input, eof, limits),
        };
        step.map_err(|refused| self.fail(refused, input))
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn recv_head(
        &mut self,
        input: &[u8],
        eof: bool,
        head: &mut Head<'_>,
        limits: &Limits,
    ) -> Result<Step, Refused> {
        match input.first() {
            Some(b'\r' | b'\n') => return self.recv_blank(input, eof),
            Some(_) => {}
            None if eof => {
                self.recv = Recv::Closed;
                self.flags |= CLOSE;
                return Ok(Step::new(0, Event::Closed));
            }
            None => return Ok(Step::MORE),
        }
        if R::CLIENT && self.send == Send::Idle {
            return Err(refused!("a response without a request"));
        }
        let window_max = limits.head_bytes_max.min(usize::from(u16::MAX));
        let window = input.get(..window_max).unwrap_or(input);
        let is_full = window.len() == window_max;
        if self.count != 0 && !eof && !is_full && !self.may_be_whole(window) {
            return Ok(Step::MORE);
        }
        let parsed = if R::CLIENT {
            let asked = Asked { head: self.has(HEAD), connect: self.has(CONNECT) };
            head::response(window, head, limits, asked)?
        } else {
            match head::request(window, head, limits)? {
                Request::Any(parsed) => parsed,
                // What `accept` does, where there is nothing to be asked: every request is taken.
                Request::Plain(consumed) => {
                    (self.recv, self.count, self.line) = (Recv::Done, 0, 0);
                    head.facts.keep_alive = !self.has(CLOSE);
                    return Ok(Step::new(consumed, Event::Head));
                }
            }
        };
        if let Some(consumed) = parsed {
            let is_final = self.accept(&mut head.facts)?;
            return Ok(Step::new(consumed, if is_final { Event::Head } else { Event::Interim }));
        }
        if is_full || eof {
            return Err(Self::endless(window, is_full));
        }
        // The parser found no end in all of it, so nobody needs to look there again.
        self.count = window.len() as u64;
        Ok(Step::MORE)
    }

    /// Why a head that has no end, and can get none, is refused.
    #[cold]
    #[expect(clippy::manual_contains, reason = "that one searches by words, with 100 bytes more")]
    fn endless(window: &[u8], is_full: bool) -> Refused {
        if !is_full {
            Reject::TRUNCATED
        } else if window.iter().any(|byte| *byte == b'\n') {
            refused!(Status::FIELDS_TOO_LARGE, "the head is too long")
        } else if R::CLIENT || window.iter().any(|byte| *byte == b' ') {
            refused!(Status::URI_TOO_LONG, "the first line is too long")
        } else {
            // RFC 9112, 3: a method longer than any that is implemented.
            refused!(Status::NOT_IMPLEMENTED, "the method is too long")
        }
    }

    /// Whether parsing again could find the end of the head, or is due anyway: each time that the
    /// length has doubled, so that garbage which never ends is noticed, in linear time.
    #[inline(never)]
    fn may_be_whole(&mut self, window: &[u8]) -> bool {
        let searched = self.count as usize;
        let mut from = searched;
        while let Some(new) = window.get(from..) {
            let Some(at) = new.iter().position(|b| *b == b'\n') else { break };
            let before = window.get(..from + at).unwrap_or_default();
            if matches!(before, [.., b'\n'] | [.., b'\n', b'\r']) {
                return true;
            }
            from += at + 1;
        }
        if window.len() > searched {
            self.count = window.len() as u64;
        }
        window.len().leading_zeros() < searched.leading_zeros()
    }

    /// RFC 9112, 2.2: "a server that is expecting to receive and parse a request-line SHOULD ignore
    /// at least one empty line (CRLF) received prior to the request-line". Nothing grants the
    /// same to a client, and the line must be CRLF.
    #[cold]
    fn recv_blank(&mut self, input: &[u8], eof: bool) -> Result<Step, Refused> {
        match input {
            [b'\r', b'\n', ..] if !R::CLIENT && self.line < BLANK_LINES_MAX => {
                self.line += 1;
                Ok(Step { consumed: 2, event: None })
            }
            b"\r" if !R::CLIENT && eof => Err(Reject::TRUNCATED),
            b"\r" if !R::CLIENT => Ok(Step::MORE),
            _ => Err(refused!("an empty line instead of a head")),
        }
    }

    /// Takes a head: what follows it, and what may be sent in return. Whether it is the final one.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn accept(&mut self, facts: &mut HeadFacts) -> Result<bool, Refused> {
        self.count = 0;
        if let Some(status) = facts.status().filter(|_| R::CLIENT) {
            if let Some(is_final) = self.accept_status(status, facts)? {
                return Ok(is_final);
            }
        } else {
            if facts.version == Version::Http10 {
                self.flags |= HTTP10;
            }
            self.flags |= match facts.method {
                Method::Head => HEAD,
                Method::Connect => CONNECT,
                _ => 0,
            };
            self.flags |= if facts.expect_continue { EXPECT } else { 0 };
            self.flags |= if facts.upgrade { UPGRADE } else { 0 };
        }
        if !facts.keep_alive {
            self.flags |= CLOSE;
        }
        // What an earlier `close_after` decided is also what the reader of the facts should see.
        facts.keep_alive = !self.has(CLOSE);
        self.line = 0;
        self.recv = match facts.body {
            BodyKind::None | BodyKind::Length(0) => Recv::Done,
            BodyKind::Length(length) => {
                self.left = length;
                Recv::Length
            }
            BodyKind::Chunked => {
                self.left = 0;
                Recv::ChunkSize
            }
            BodyKind::UntilClose => Recv::UntilClose,
        };
        Ok(true)
    }

    /// Takes a response that has no body of its own: whether it is the final one. `None`: it may
    /// have one.
    #[inline(never)]
    fn accept_status(
        &mut self,
        status: Status,
        facts: &HeadFacts,
    ) -> Result<Option<bool>, Refused> {
        if status.is_informational() && status != Status::SWITCHING_PROTOCOLS {
            self.line += 1;
            return if self.line <= INTERIM_MAX {
                Ok(Some(false))
            } else {
                Err(refused!("too many interim responses"))
            };
        }
        let tunnel = self.has(CONNECT) && status.is_success();
        if !tunnel && status != Status::SWITCHING_PROTOCOLS {
            return Ok(None);
        }
        let agreed = self.has(UPGRADE) && facts.upgrade && self.send == Send::Done;
        if !tunnel && !agreed {
            return Err(refused!("a change of protocol that nobody asked for"));
        }
        (self.recv, self.send) = (Recv::Upgrading, Send::Upgraded);
        Ok(Some(true))
    }

    /// Ends the receiving half before its message is whole, in the middle of `input`: answer it, if
    /// nothing was sent yet, and close.
    #[cold]
    pub fn give_up(&mut self, input: &[u8]) {
        if !R::CLIENT && self.recv == Recv::Head && input.starts_with(b"HEAD ") {
            // Even the answer to a HEAD that was never read must have no body.
            self.flags |= HEAD;
        }
        self.recv = Recv::Closed;
        self.flags |= CLOSE;
        self.flags &= !(EXPECT | UPGRADE | CONNECT);
    }

    #[cold]
    pub(super) fn fail(&mut self, refused: Refused, input: &[u8]) -> Reject {
        self.give_up(input);
        let status = if R::CLIENT { Status::BAD_GATEWAY } else { refused.status };
        Reject { status, ..*refused }
    }

    /// The first body byte has come, so nobody waits for `100 Continue` (RFC 9110, 10.1.1).
    pub(super) fn body_began(&mut self) {
        self.flags &= !EXPECT;
    }

    /// Makes ready for the next message, when both directions are done and both sides keep the
    /// connection.
    ///
    /// # Errors
    /// [`Busy`] otherwise; the state is as before.
    #[inline]
    pub fn next_cycle(&mut self) -> Result<(), Busy> {
        let done = matches!(self.recv, Recv::Done | Recv::End) && self.send == Send::Done;
        if !done || self.has(CLOSE) {
            return Err(Busy);
        }
        *self = Self::NEW;
        Ok(())
    }

    /// Whether the connection ends with this exchange: a side asked for it, the body has no other
    /// end, or a message was rejected.
    #[inline]
    pub fn must_close(&self) -> bool {
        self.has(CLOSE)
    }

    /// Says `Connection: close` in the next head sent, and ends the connection with this exchange.
    pub fn close_after(&mut self) {
        self.flags |= CLOSE;
    }

    /// Whether no more bytes of the message in progress are to come.
    #[inline]
    pub fn recv_done(&self) -> bool {
        self.recv as u8 >= Recv::End as u8
    }

    /// Whether the message to send is complete.
    #[inline]
    pub fn send_done(&self) -> bool {
        matches!(self.send, Send::Done | Send::Upgraded)
    }

    /// Whether a final head was sent.
    #[inline]
    pub fn send_started(&self) -> bool {
        self.send != Send::Idle
    }

    /// Whether a head was sent whose body is counted and not sent (HEAD, 204, 304): for the peer
    /// the message is complete.
    #[inline]
    pub fn is_muted(&self) -> bool {
        matches!(self.send, Send::Mute | Send::DeferredMute)
    }

    /// Whether the connection now belongs to another protocol.
    #[inline]
    pub fn is_upgraded(&self) -> bool {
        self.send == Send::Upgraded
    }
}

/// The smaller of a 64-bit number and a length.
#[inline]
pub(super) fn clip(left: u64, len: usize) -> usize {
    usize::try_from(left).map_or(len, |left| left.min(len))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::{BodyOut, FieldRange, HeadOut, SendError};
    use super::*;
    use std::format;
    use std::string::String;

    const GET: HeadOut<'_> = HeadOut { fields: &[("Host", b"a")], ..HeadOut::request("GET", "/") };
    const OK: HeadOut<'_> = HeadOut::response(Status::OK);

    /// All that one input tells, as words; the input must be consumed but for `rest`.
    fn receive<R: Role>(conn: &mut Conn<R>, input: &[u8], eof: bool, limits: &Limits) -> String {
        let (mut from, mut words) = (0, String::new());
        let mut fields = [FieldRange::default(); 8];
        let mut head = Head::new(&mut fields);
        loop {
            let rest = &input[from..];
            let (consumed, word) = match conn.recv(rest, eof, &mut head, limits) {
                Ok(Step { consumed: 0, event: None }) if rest.is_empty() => return words,
                Ok(Step { consumed: 0, event: None }) => return format!("{words} rest"),
                Ok(Step { consumed, event: None }) => (consumed, String::new()),
                Ok(Step { consumed, event: Some(Event::Body(range)) }) => {
                    (consumed, format!(" {}", rest[range].escape_ascii()))
                }
                Ok(Step { consumed, event: Some(event) }) => {
                    let name = format!("{event:?}").to_lowercase();
                    let word = name.split(|c: char| !c.is_alphabetic()).next().unwrap();
                    (consumed, format!(" {word}"))
                }
                Err(reject) => return format!("{words} {}", reject.status.code()),
            };
            words.push_str(&word);
            from += consumed;
            if words.ends_with(" closed") {
                return words;
            }
        }
    }

    macro_rules! recv {
        ($conn:ident, $input:literal => $words:literal) => {
            assert_eq!(receive(&mut $conn, $input, false, &Limits::DEFAULT).trim_start(), $words)
        };
    }

    macro_rules! sent {
        ($conn:ident, $head:expr, $output:literal) => {{
            let mut out = [0; 256];
            let sent = $conn.send_head(&mut out, &$head).map(|len| out[..len].escape_ascii());
            let expected = $output.escape_ascii();
            assert_eq!(format!("{}", sent.unwrap()), format!("{expected}"));
        }};
    }

    macro_rules! body {
        ($conn:ident, $data:literal => $taken:literal, $output:literal) => {{
            let mut out = [0; 256];
            let (taken, written) = $conn.send_body($data, &mut out);
            assert_eq!((taken, &out[..written]), ($taken, &$output[..]));
        }};
    }

    macro_rules! finished {
        ($conn:ident, $output:literal) => {{
            let mut out = [0; 8];
            let len = $conn.finish(&mut out).unwrap();
            assert_eq!(&out[..len], &$output[..]);
            assert!($conn.send_done());
        }};
    }

    #[test]
    fn two_pipelined_requests_make_two_cycles() {
        let mut s = Conn::server();
        let input = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut fields = [FieldRange::default(); 4];
        let step = s.recv(input, false, &mut Head::new(&mut fields), &Limits::DEFAULT).unwrap();
        assert_eq!(step.consumed, input.len() / 2);
        // The second one waits for its cycle.
        recv!(s, b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n" => "rest");
        sent!(s, OK, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(s.next_cycle(), Ok(()));
        recv!(s, b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n" => "head");
    }

    #[test]
    fn a_cycle_ends_when_both_directions_are_done() {
        let mut s = Conn::server();
        recv!(s, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nhe" => "head he");
        assert!(!s.recv_done() && !s.send_started());
        assert_eq!(s.next_cycle(), Err(Busy));
        sent!(
            s,
            HeadOut { body: BodyOut::Length(2), ..OK },
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
        );
        assert_eq!(s.send_head(&mut [0; 99], &OK), Err(SendError::State));
        body!(s, b"ok!" => 2, b"ok");
        assert!(s.send_started() && s.send_done());
        body!(s, b"!" => 0, b"");
        assert_eq!(s.next_cycle(), Err(Busy));
        recv!(s, b"y!" => "y! end");
        assert!(s.recv_done() && !s.must_close());
        assert_eq!(s.next_cycle(), Ok(()));
        assert!(!s.recv_done() && !s.send_started());
        recv!(s, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" => "head");
    }

    /// RFC 9112, 6.3, seen from the sender: what is written for each method, status and body.
    #[test]
    fn which_responses_have_a_body() {
        use BodyOut::{Chunked, Length, None};
        const LENGTH: &str = "Content-Length: 2\r\n";
        const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
        for (request, status, body, fields, wire) in [
            ("GET 1.1", Status::OK, Length(2), LENGTH, "hi"),
            ("GET 1.1", Status::OK, Chunked, CHUNKED, "2\r\nhi\r\n0\r\n\r\n"),
            ("GET 1.1", Status::OK, None, "Content-Length: 0\r\n", ""),
            ("GET 1.1", Status::NO_CONTENT, None, "", ""),
            ("GET 1.1", Status::NO_CONTENT, Length(2), "", ""),
            ("GET 1.1", Status::NO_CONTENT, Chunked, "", ""),
            ("GET 1.1", Status::NOT_MODIFIED, None, "", ""),
            // A reply without a body does not know the length of the 200.
            ("GET 1.1", Status::NOT_MODIFIED, Length(0), "", ""),
            ("GET 1.1", Status::RESET_CONTENT, None, "Content-Length: 0\r\n", ""),
            ("GET 1.1", Status::RESET_CONTENT, Length(2), "Content-Length: 0\r\n", ""),
            ("GET 1.1", Status::RESET_CONTENT, Chunked, "Content-Length: 0\r\n", ""),
            ("HEAD 1.1", Status::RESET_CONTENT, Length(2), "Content-Length: 0\r\n", ""),
            ("GET 1.0", Status::NO_CONTENT, Chunked, "Connection: keep-alive\r\n", ""),
            ("GET 1.1", Status::NOT_MODIFIED, Length(2), LENGTH, ""),
            ("GET 1.1", Status::NOT_MODIFIED, Chunked, "", ""),
            ("HEAD 1.1", Status::OK, Length(2), LENGTH, ""),
            ("HEAD 1.1", Status::OK, Chunked, CHUNKED, ""),
            ("HEAD 1.1", Status::OK, None, "", ""),
            ("HEAD 1.1", Status::NO_CONTENT, Length(2), "", ""),
            ("HEAD 1.0", Status::OK, Chunked, "Connection: keep-alive\r\n", ""),
            (
                "GET 1.0",
                Status::OK,
                Length(2),
                "Content-Length: 2\r\nConnection: keep-alive\r\n",
                "hi",
            ),
            // Never chunks for HTTP/1.0: the connection ends the body.
            ("GET 1.0", Status::OK, Chunked, "Connection: close\r\n", "hi"),
        ] {
            let (method, version) = request.split_once(' ').unwrap();
            let head =
                format!("{method} / HTTP/{version}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
            let mut s = Conn::server();
            assert_eq!(receive(&mut s, head.as_bytes(), false, &Limits::DEFAULT), " head");
            let mut out = [0; 256];
            let head = HeadOut { body, ..HeadOut::response(status) };
            let len = s.send_head(&mut out, &head).unwrap();
            let (code, reason) = (status.code(), status.reason());
            let expected = format!("HTTP/1.1 {code} {reason}\r\n{fields}\r\n");
            assert_eq!(core::str::from_utf8(&out[..len]), Ok(expected.as_str()), "{request}");
            let (taken, mut written) = s.send_body(b"hi", &mut out);
            let known_empty = matches!(body, None | Length(0));
            assert_eq!(taken, if known_empty { 0 } else { 2 }, "{request} {expected}");
            written += s.finish(&mut out[written..]).unwrap();
            assert_eq!(core::str::from_utf8(&out[..written]), Ok(wire), "{request} {expected}");
            assert!(s.send_done());
            assert_eq!(s.must_close(), fields.contains("close"), "{request} {expected}");
            assert_eq!(s.next_cycle().is_ok(), !s.must_close());
        }
    }

    #[test]
    fn a_bodiless_answer_may_be_ended_without_its_body() {
        let mut s = Conn::server();
        recv!(s, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" => "head");
        sent!(
            s,
            HeadOut { body: BodyOut::Length(9), ..OK },
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
        );
        body!(s, b"some" => 4, b"");
        assert!(!s.send_done());
        finished!(s, b"");
        assert_eq!(s.next_cycle(), Ok(()));
    }

    #[test]
    fn a_body_shorter_than_promised_ends_the_connection() {
        let mut s = Conn::server();
        recv!(s, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" => "head");
        assert_eq!(s.finish(&mut [0; 8]), Err(SendError::State));
        sent!(
            s,
            HeadOut { body: BodyOut::Length(3), ..OK },
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"
        );
        body!(s, b"hi" => 2, b"hi");
        assert!(!s.must_close());
        assert_eq!(s.finish(&mut [0; 8]), Err(SendError::Short));
        assert!(s.must_close() && !s.send_done());
    }

    #[test]
    fn chunks_take_what_fits_and_never_end_the_body_by_themselves() {
        let mut s = Conn::server();
        recv!(s, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" => "head");
        sent!(
            s,
            HeadOut { body: BodyOut::Chunked, ..OK },
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        body!(s, b"" => 0, b"");
        body!(s, b"sixteen bytes ok" => 16, b"10\r\nsixteen bytes ok\r\n");
        for room in 0..40 {
            let mut out = [0; 40];
            let (taken, written) = s.send_body(b"sixteen bytes ok", &mut out[..room]);
            assert!(written <= room && taken <= written);
            assert_eq!(taken == 0, room < 6, "{room}");
        }
        assert_eq!(s.finish(&mut [0; 4]), Err(SendError::Full));
        assert!(!s.send_done());
        finished!(s, b"0\r\n\r\n");
        finished!(s, b"");
    }

    #[test]
    fn continue_is_sent_once_and_never_after_a_final_head() {
        const HEAD: &[u8] =
            b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
        let waiting = || {
            let mut s = Conn::server();
            assert_eq!(receive(&mut s, HEAD, false, &Limits::DEFAULT), " head");
            assert!(s.wants_continue());
            s
        };
        let mut out = [0; 64];
        let mut s = waiting();
        assert_eq!((s.send_continue(&mut out[..24]), s.wants_continue()), (0, true));
        assert_eq!(s.send_continue(&mut out), 25);
        assert_eq!(&out[..25], b"HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!((s.send_continue(&mut out), s.wants_continue()), (0, false));
        recv!(s, b"ok" => "ok end");
        sent!(s, OK, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(s.next_cycle(), Ok(()));

        // The peer did not wait.
        let mut s = waiting();
        recv!(s, b"o" => "o");
        assert!(!s.wants_continue());
        let mut s = Conn::server();
        let head = b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
            Transfer-Encoding: chunked\r\n\r\n";
        assert_eq!(receive(&mut s, head, false, &Limits::DEFAULT), " head");
        assert!(s.wants_continue());
        recv!(s, b"1" => "");
        assert!(!s.wants_continue());

        // An early answer: whether a body follows, nobody knows.
        let mut s = waiting();
        sent!(
            s,
            HeadOut::response(Status::FORBIDDEN),
            b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        assert_eq!((s.send_continue(&mut out), s.must_close()), (0, true));
    }

    #[test]
    fn interim_responses_go_before_the_final_one_but_not_to_http_1_0() {
        const HINTS: HeadOut<'_> =
            HeadOut { fields: &[("Link", b"<x>")], ..HeadOut::response(Status::EARLY_HINTS) };
        let mut s = Conn::server();
        recv!(s, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" => "head");
        sent!(s, HINTS, b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n");
        assert!(!s.send_started());
        sent!(s, OK, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        let mut s = Conn::server();
        recv!(s, b"GET / HTTP/1.0\r\n\r\n" => "head");
        sent!(s, HINTS, b"");
        sent!(s, OK, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }

    #[test]
    fn a_rejected_request_can_be_answered_and_nothing_more() {
        let mut s = Conn::server();
        recv!(s, b"HEAD / HTTP/1.1\r\n\r\n" => "400");
        assert!(s.must_close() && s.recv_done() && !s.send_started());
        sent!(
            s,
            HeadOut { body: BodyOut::Length(3), ..HeadOut::response(Status::BAD_REQUEST) },
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
        );
        body!(s, b"no\n" => 3, b"");
        assert_eq!(s.next_cycle(), Err(Busy));
        recv!(s, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" => "closed");
    }

    #[test]
    fn a_server_switches_only_to_what_was_offered() {
        const SWITCH: HeadOut<'_> = HeadOut {
            upgrade: Some("websocket"),
            ..HeadOut::response(Status::SWITCHING_PROTOCOLS)
        };
        let mut s = Conn::server();
        recv!(s, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" => "head");
        assert_eq!(s.send_head(&mut [0; 256], &SWITCH), Err(SendError::State));
        let mut s = Conn::server();
        recv!(s, b"GET / HTTP/1.1\r\nHost: a\r\n\
            Connection: upgrade\r\nUpgrade: websocket\r\n\r\n" => "head");
        sent!(
            s,
            SWITCH,
            b"HTTP/1.1 101 Switching Protocols\r\n\
            Upgrade: websocket\r\nConnection: upgrade\r\n\r\n"
        );
        assert!(s.is_upgraded() && s.send_done());
        let mut late = Conn::server();
        recv!(late, b"POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
            Content-Length: 2\r\n\r\n" => "head");
        assert_eq!(late.send_head(&mut [0; 256], &SWITCH), Err(SendError::State), "a body to come");
        let step = late.recv(b"ab", false, &mut Head::new(&mut []), &Limits::DEFAULT);
        assert_eq!(step.unwrap().event, Some(Event::Body(0..2)));
        // The switch stands for the end that was not told.
        assert!(late.send_head(&mut [0; 256], &SWITCH).is_ok());
        recv!(late, b"frame" => "upgraded rest");
        // The first frame came with the head; it is not for this machine.
        recv!(s, b"\x81\x85frame" => "upgraded rest");
        recv!(s, b"\x81\x85frame" => "rest");
        assert_eq!(s.next_cycle(), Err(Busy));
    }

    #[test]
    fn a_client_runs_its_cycles() {
        let mut c = Conn::client();
        recv!(c, b"HTTP/1.1 408 Request Timeout\r\n\r\n" => "502");
        let mut c = Conn::client();
        sent!(c, GET, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        recv!(c, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
            => "interim head hi end");
        assert_eq!(c.next_cycle(), Ok(()));
        let post = HeadOut { body: BodyOut::Chunked, ..HeadOut::request("POST", "/x?y") };
        let post = HeadOut { fields: &[("Host", b"a")], ..post };
        sent!(c, post, b"POST /x?y HTTP/1.1\r\nTransfer-Encoding: chunked\r\nHost: a\r\n\r\n");
        body!(c, b"hi" => 2, b"2\r\nhi\r\n");
        // The answer may come before the request is complete.
        recv!(c, b"HTTP/1.1 204 No Content\r\n\r\n" => "head");
        assert_eq!(c.next_cycle(), Err(Busy));
        finished!(c, b"0\r\n\r\n");
        assert_eq!(c.next_cycle(), Ok(()));
        c.close_after();
        sent!(c, GET, b"GET / HTTP/1.1\r\nConnection: close\r\nHost: a\r\n\r\n");
        recv!(c, b"HTTP/1.1 204 No Content\r\n\r\n" => "head");
        assert_eq!((c.next_cycle(), c.must_close()), (Err(Busy), true));
    }

    #[test]
    fn interim_responses_are_bounded() {
        let mut c = Conn::client();
        sent!(c, GET, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        for _ in 0..INTERIM_MAX {
            recv!(c, b"HTTP/1.1 102 Processing\r\n\r\n" => "interim");
        }
        recv!(c, b"HTTP/1.1 102 Processing\r\n\r\n" => "502");
    }

    #[test]
    fn each_limit_has_its_status() {
        let limits = Limits {
            head_bytes_max: 64,
            body_bytes_max: 8,
            chunk_line_bytes_max: 4,
            trailer_bytes_max: 8,
        };
        const CHUNKED: &str = "PUT / HTTP/1.1\r\nHost:\r\nTransfer-Encoding: chunked\r\n\r\n";
        let long = "x".repeat(64);
        for (input, words) in [
            (format!("GET /{long}"), "414"),
            (long.clone(), "501"),
            (format!("GET / HTTP/1.1\r\nHost: {long}"), "431"),
            (format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", &long[..38]), "head"),
            (format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", &long[..39]), "431"),
            // The table of these tests has 8 entries.
            (format!("GET / HTTP/1.1\r\nHost:\r\n{}\r\n", "a:\r\n".repeat(7)), "head"),
            (format!("GET / HTTP/1.1\r\nHost:\r\n{}\r\n", "a:\r\n".repeat(8)), "431"),
            ("PUT / HTTP/1.1\r\nHost:\r\nContent-Length: 8\r\n\r\n".into(), "head"),
            ("PUT / HTTP/1.1\r\nHost:\r\nContent-Length: 9\r\n\r\n".into(), "413"),
            (format!("{CHUNKED}4\r\nfour\r\n4\r\nfour\r\n0\r\n\r\n"), "head four four end"),
            (format!("{CHUNKED}4\r\nfour\r\n5\r\n"), "head four 413"),
            (format!("{CHUNKED}1;ab\r\n."), "head ."),
            (format!("{CHUNKED}1;abc\r\n."), "head 400"),
            (format!("{CHUNKED}1 ;a\r\n."), "head ."),
            (format!("{CHUNKED}1 ; a\r\n."), "head 400"),
            (format!("{CHUNKED}00001\r\n."), "head 400"),
            (format!("{CHUNKED}0\r\na: b\r\n\r\n"), "head trailer end"),
            (format!("{CHUNKED}0\r\na: bc\r\n\r\n"), "head trailer 431"),
            (format!("{CHUNKED}0\r\na: bcdef"), "head 431"),
        ] {
            let mut s = Conn::server();
            let seen = receive(&mut s, input.as_bytes(), false, &limits);
            assert_eq!(seen.trim_start(), words, "{input:?}");
        }
    }

    #[test]
    fn a_malformed_end_of_a_head_is_noticed_when_it_comes() {
        for end in ["A: b\n\n", "A: b\n\r\n", "\n"] {
            let head = format!("GET / HTTP/1.0\r\n{end}");
            let mut s = Conn::server();
            for len in 1..=head.len() {
                let fields = &mut [FieldRange::default(); 2];
                let input = &head.as_bytes()[..len];
                let step = s.recv(input, false, &mut Head::new(fields), &Limits::DEFAULT);
                assert_eq!(step.is_err(), len == head.len(), "{len} of {head:?}");
            }
        }
    }

    /// A head that trickles in is parsed a logarithmic number of times; other calls look only at
    /// what is new.
    #[test]
    fn a_head_byte_by_byte_is_parsed_few_times() {
        let head = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(4000));
        let (mut s, mut parses) = (Conn::server(), 0);
        for len in 1..head.len() {
            let window = &head.as_bytes()[..len];
            let mut probe = s.clone();
            parses += usize::from(s.count == 0 || probe.may_be_whole(window));
            let fields = &mut [FieldRange::default(); 2];
            let step = s.recv(window, false, &mut Head::new(fields), &Limits::DEFAULT);
            assert_eq!(step, Ok(Step::MORE));
        }
        assert_eq!(parses, 12, "at 1, 2, 4, .. 2048 bytes");
    }

    /// Both roles talk over a pipe that passes random pieces, with random room for what is sent.
    #[test]
    fn both_roles_understand_each_other_through_any_pieces() {
        use super::super::exercise::Random;
        let mut random = Random(0xd057);
        for round in 0..2_000 {
            let (mut c, mut s) = (Conn::client(), Conn::server());
            for _ in 0..1 + random.below(3) {
                let data = [b'a' + (round % 26) as u8; 600];
                let data = &data[..[0, 1, 15, 16, 300, 600][random.below(6)]];
                let bodies = [BodyOut::Length(data.len() as u64), BodyOut::Chunked];
                let put = HeadOut { fields: &[("Host", b"a")], ..HeadOut::request("PUT", "/") };
                let put = HeadOut { body: bodies[random.below(2)], ..put };
                transfer(&mut c, &mut s, &put, data, &mut random);
                let ok = HeadOut { body: bodies[random.below(2)], ..OK };
                transfer(&mut s, &mut c, &ok, data, &mut random);
                assert_eq!((c.next_cycle(), s.next_cycle()), (Ok(()), Ok(())));
            }
        }
    }

    fn transfer<F: Role, T: Role>(
        from: &mut Conn<F>,
        to: &mut Conn<T>,
        head: &HeadOut<'_>,
        data: &[u8],
        random: &mut super::super::exercise::Random,
    ) {
        use std::vec::Vec;
        let (mut wire, mut body): (Vec<u8>, Vec<u8>) = (Vec::new(), Vec::new());
        let (mut sent, mut heads, mut ends) = (0, 0, 0);
        let mut fields = [FieldRange::default(); 4];
        let mut read = Head::new(&mut fields);
        loop {
            let mut out = [0; 64];
            let room = random.below(out.len() + 1);
            let out = &mut out[..room];
            let written = if !from.send_started() {
                from.send_head(out, head).unwrap_or_default()
            } else if sent < data.len() {
                let (taken, written) = from.send_body(&data[sent..], out);
                sent += taken;
                written
            } else {
                from.finish(out).unwrap_or_default()
            };
            wire.extend(&out[..written]);
            let visible = random.below(wire.len() + 1);
            let step = to.recv(&wire[..visible], false, &mut read, &Limits::DEFAULT).unwrap();
            match step.event {
                Some(Event::Head) => heads += 1,
                Some(Event::Body(range)) => body.extend(&wire[range]),
                Some(Event::End) => ends += 1,
                None => {}
                Some(other) => panic!("{other:?}"),
            }
            wire.drain(..step.consumed);
            let told = ends == 1 || head.body == BodyOut::Length(0);
            if from.send_done() && to.recv_done() && told {
                break;
            }
        }
        assert_eq!((heads, body.as_slice(), wire.is_empty()), (1, data, true));
    }
}
