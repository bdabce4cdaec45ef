//! Bodies whose length is not known when their head is written: `Content-Length` if all of the
//! response is still in the caller's buffer when it ends, else `Transfer-Encoding: chunked`.
//!
//! The head ends in a place that takes either, and what is behind it moves up once if it then is
//! shorter:
//!
//! ```text
//!  HTTP/1.1  open    Transfer-Encoding: chunked CRLF CRLF ???? CRLF
//!            sealed  Transfer-Encoding: chunked CRLF CRLF 01f4 CRLF   + CRLF behind the body
//!            ended   Content-Length: 500 CRLF CRLF
//!  HTTP/1.0  open    Connection: close CRLF CRLF ????????????????????????????
//!            sealed  Connection: close CRLF CRLF       the connection ends the body
//!            ended   Connection: keep-alive CRLF Content-Length: 500 CRLF CRLF
//! ```
//!
//! Why not filled up with spaces instead, which the grammar allows? Hand-written clients read a
//! number right behind the first space, and a body that is still in the buffer is small.
//!
//! To HEAD the place is the line alone: the body is counted and swallowed, and its length told if
//! it ends in time.
//!
//! Invariants: until [`Conn::seal`] nothing of the buffer from this head on has left it, and behind
//! the head there is nothing but its body; so the place is found from the buffer's end. An open
//! place can never be taken for a finished one: `????` is no chunk size.
//!
//! ```
//! use dustdevil_http::proto::*;
//! # let mut fields = [FieldRange::default(); 1];
//! # let mut conn = Conn::server();
//! # let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
//! # conn.recv(request, false, &mut Head::new(&mut fields), &Limits::DEFAULT).unwrap();
//! let head = HeadOut { body: BodyOut::Unknown, ..HeadOut::response(Status::OK) };
//! let mut out = [0; 80];
//! let mut used = conn.send_head(&mut out, &head).unwrap();
//! used += conn.send_body(b"lit", &mut out[used..]).1;
//! used = conn.finish_with(&mut out, used, &[]).unwrap();
//! assert_eq!(&out[..used], b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nlit");
//! ```

use super::conn::{CLOSE, EXPECT, HEAD, HTTP10, Send};
use super::send::copy;
use super::write::{self, ConnectionLine, FramingLine, Writer};
use super::{Conn, HeadOut, Role, SendError};

/// HTTP/1.1. The first [`LINE_BYTES`] are all of it for an answer to HEAD.
const PLACE: &[u8; 36] = b"Transfer-Encoding: chunked\r\n\r\n????\r\n";
const LINE_BYTES: usize = PLACE.len() - SIZE_BYTES;
/// A chunk size of four digits, and the end of its line.
const SIZE_BYTES: usize = 6;
/// HTTP/1.0. It begins with all that stays of it when it is sealed.
const PLACE10: &[u8; 49] = b"Connection: close\r\n\r\n????????????????????????????";
const CLOSE10: &[u8] = b"Connection: close\r\n\r\n";
const LENGTH: &[u8] = b"Content-Length: ";
/// The longest body that fits one chunk and stays undecided.
const OPEN_MAX: u64 = 0xffff;
/// The largest length that fits in place of the line of an answer to HEAD.
const HEAD_LENGTH_MAX: u64 = 9_999_999_999;

const _: () = assert!(LENGTH.len() + 10 + 4 == LINE_BYTES);
const _: () = assert!("Connection: keep-alive\r\n".len() + LENGTH.len() + 5 + 4 == PLACE10.len());

impl<R: Role> Conn<R> {
    /// Writes a head that does not say yet how its body ends.
    #[cold]
    #[inline(never)]
    pub(super) fn send_deferred(
        &mut self,
        out: &mut [u8],
        head: &HeadOut<'_>,
    ) -> Result<usize, SendError> {
        let close = self.has(CLOSE | EXPECT);
        let (place, send) = match (self.has(HTTP10), !R::CLIENT && self.has(HEAD)) {
            (true, _) => (PLACE10.as_slice(), Send::Deferred10),
            (false, true) => (PLACE.get(..LINE_BYTES).unwrap_or_default(), Send::DeferredMute),
            (false, false) => (PLACE.as_slice(), Send::Deferred),
        };
        let said = close && send != Send::Deferred10;
        let connection = if said { ConnectionLine::Close } else { ConnectionLine::None };
        let len = write::head::<R>(out, head, FramingLine::None, connection)?;
        // The empty line that ends the head is the place's to write.
        let at = len.saturating_sub(2);
        let len = at + write::all(out.get_mut(at..).unwrap_or_default(), place)?;
        (self.send, self.send_left) = (send, 0);
        self.flags |= if close { CLOSE } else { 0 };
        Ok(len)
    }

    /// Appends body bytes as they are. Room for the end of a chunk's data is kept.
    #[cold]
    #[inline(never)]
    pub(super) fn defer_body(&mut self, data: &[u8], out: &mut [u8]) -> (usize, usize) {
        if self.send == Send::DeferredMute {
            self.send_left = self.send_left.saturating_add(data.len() as u64);
            return (data.len(), 0);
        }
        let open = OPEN_MAX.saturating_sub(self.send_left) as usize;
        let len = data.len().min(out.len().saturating_sub(2)).min(open);
        copy(data, out, len);
        self.send_left += len as u64;
        (len, len)
    }

    /// To be called before any byte of a buffer is handed out that has an unended response of this
    /// connection in it: a response that was begun with
    /// [`BodyOut::Unknown`](super::BodyOut::Unknown) gets its framing and goes on chunked (closed
    /// by the connection for HTTP/1.0). Any other time it does nothing, at the price of a
    /// comparison.
    ///
    /// The first `used` bytes of `out` are in use, and all of the response is among them. Returns
    /// how many are in use afterwards: up to 28 fewer, or two more, for which [`Conn::send_body`]
    /// kept room.
    #[inline]
    pub fn seal(&mut self, out: &mut [u8], used: usize) -> usize {
        if self.is_deferred() { self.seal_open(out, used) } else { used }
    }

    /// Whether the response may still get a `Content-Length`, and must be [sealed](Self::seal)
    /// before any of it leaves.
    #[inline]
    pub fn is_deferred(&self) -> bool {
        matches!(self.send, Send::Deferred | Send::Deferred10 | Send::DeferredMute)
    }

    #[cold]
    #[inline(never)]
    fn seal_open(&mut self, out: &mut [u8], used: usize) -> usize {
        let sealed = self.sealed_end(used);
        match self.send {
            Send::Deferred if self.send_left > 0 => {
                let body_at = used.saturating_sub(self.send_left as usize);
                let size_at = body_at.saturating_sub(SIZE_BYTES);
                let digit =
                    |shift: u32| b"0123456789abcdef"[(self.send_left >> shift & 0xf) as usize];
                let size = [digit(12), digit(8), digit(4), digit(0)];
                copy(&size, out.get_mut(size_at..).unwrap_or_default(), size.len());
                let end = out.get_mut(used..sealed);
                debug_assert!(end.is_some(), "no room behind {used}");
                copy(b"\r\n", end.unwrap_or_default(), 2);
                self.send = Send::Chunked;
            }
            Send::Deferred => self.send = Send::Chunked,
            Send::Deferred10 => {
                self.flags |= CLOSE;
                self.send = Send::UntilClose;
                let behind = self.send_left as usize;
                self.send_left = u64::MAX;
                return replace(out, used, behind, PLACE10.len(), CLOSE10);
            }
            _ => self.send = Send::Mute,
        }
        self.send_left = u64::MAX;
        sealed
    }

    /// Where the buffer ends once it is sealed.
    fn sealed_end(&self, used: usize) -> usize {
        match (self.send, self.send_left) {
            // A chunk of size zero would end the body, so its line is taken back.
            (Send::Deferred, 0) => used.saturating_sub(SIZE_BYTES),
            (Send::Deferred, _) => used + 2,
            _ => used,
        }
    }

    /// Ends the body, as [`Conn::finish`], whatever it was begun with, and with trailer fields
    /// where it is chunked (RFC 9112, 7.1.2); elsewhere they are left out. The first `used` bytes
    /// of `out` are in use, and of a response that is not [sealed](Self::seal) yet they are all;
    /// returns how many are in use afterwards. Once done it does nothing more.
    ///
    /// A body of unknown length that has trailers is chunked, even if it ended in time.
    ///
    /// # Errors
    /// As [`Conn::finish`]. `Field`: a trailer that is malformed, or that may not come behind the
    /// body (RFC 9110, 6.5.1): what frames, routes, authenticates, or says how to take the
    /// message. After an error nothing was written and the state is as before (but `Short`).
    #[inline(never)]
    pub fn finish_with(
        &mut self,
        out: &mut [u8],
        used: usize,
        trailers: &[(&str, &[u8])],
    ) -> Result<usize, SendError> {
        if !write::are_trailers(trailers) {
            return Err(SendError::Field);
        }
        let chunked = matches!(self.send, Send::Deferred | Send::Chunked);
        if chunked && !trailers.is_empty() {
            let at = self.sealed_end(used);
            let len = write::last_chunk(out.get_mut(at..).unwrap_or_default(), trailers)?;
            self.seal(out, used);
            self.send = Send::Done;
            return Ok(at + len);
        }
        if self.is_deferred() {
            return self.tell_length(out, used);
        }
        Ok(used + self.finish(out.get_mut(used..).unwrap_or_default())?)
    }

    /// Puts the length in its place.
    fn tell_length(&mut self, out: &mut [u8], used: usize) -> Result<usize, SendError> {
        let length = self.send_left;
        let (behind, place_len) = match self.send {
            Send::Deferred => (length as usize, PLACE.len()),
            Send::Deferred10 => (length as usize, PLACE10.len()),
            _ => (0, LINE_BYTES),
        };
        let mut line = [0; PLACE10.len()];
        let mut writer = Writer::new(&mut line);
        match (self.send, self.has(CLOSE)) {
            (Send::Deferred10, true) => writer.put(b"Connection: close\r\n"),
            (Send::Deferred10, false) => writer.put(b"Connection: keep-alive\r\n"),
            _ => {}
        }
        // RFC 9110, 8.6: no length to HEAD unless GET would have it. Nobody says that a handler
        // which wrote no body for HEAD writes none for GET.
        if place_len != LINE_BYTES || matches!(length, 1..=HEAD_LENGTH_MAX) {
            writer.put(LENGTH);
            writer.put_number(length);
        }
        writer.put(b"\r\n");
        let len = writer.end()?;
        self.send = Send::Done;
        Ok(replace(out, used, behind, place_len, line.get(..len).unwrap_or_default()))
    }
}

/// Puts `text` in the place before the last `behind` bytes that are in use, which move up to it.
/// How many are in use afterwards.
#[cold]
#[inline(never)]
fn replace(out: &mut [u8], used: usize, behind: usize, place_len: usize, text: &[u8]) -> usize {
    let body = used.saturating_sub(behind);
    let at = body.saturating_sub(place_len);
    debug_assert!(
        out.get(at..body).is_some_and(|place| matches!(place, [b'T' | b'C', ..])),
        "no place at {at} of {used}"
    );
    copy(text, out.get_mut(at..).unwrap_or_default(), text.len());
    let to = at + text.len();
    // The condition holds where there is a body, and spares the panic of the move.
    if to < body && body < used && used <= out.len() {
        out.copy_within(body..used, to);
    }
    to + behind
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::{
        BodyKind, BodyOut, Client, Event, FieldRange, Head, Limits, Server, StartLine, Status,
    };
    use super::*;
    use std::format;
    use std::string::String;
    use std::vec;
    use std::vec::Vec;

    const OK: HeadOut<'_> = HeadOut { body: BodyOut::Unknown, ..HeadOut::response(Status::OK) };
    const GET11: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const GET10: &str = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    const GET10_CLOSE: &str = "GET / HTTP/1.0\r\n\r\n";
    const GET11_CLOSE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    const HEAD11: &str = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
    const HEAD10: &str = "HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    const DIGEST: &[(&str, &[u8])] = &[("Content-Digest", b"x=:eA==:"), ("A", b"")];

    fn asked(request: &str) -> Conn<Server> {
        let mut conn = Conn::server();
        let mut fields = [FieldRange::default(); 4];
        let mut head = Head::new(&mut fields);
        let step = conn.recv(request.as_bytes(), false, &mut head, &Limits::DEFAULT).unwrap();
        assert_eq!((step.consumed, step.event), (request.len(), Some(Event::Head)));
        conn
    }

    /// A sender's buffer, which is flushed as the contract says; what left it.
    struct Out {
        bytes: Vec<u8>,
        used: usize,
        wire: Vec<u8>,
    }

    impl Out {
        fn new(room: usize) -> Self {
            Self { bytes: vec![b'_'; room], used: 0, wire: vec![] }
        }

        fn flush<R: Role>(&mut self, conn: &mut Conn<R>) {
            self.used = conn.seal(&mut self.bytes, self.used);
            self.wire.extend(&self.bytes[..self.used]);
            self.bytes.fill(b'_');
            self.used = 0;
        }

        fn write<R: Role>(&mut self, conn: &mut Conn<R>, mut data: &[u8]) {
            while !data.is_empty() {
                let (taken, written) = conn.send_body(data, &mut self.bytes[self.used..]);
                self.used += written;
                data = &data[taken..];
                if taken == 0 {
                    assert!(self.used > 0, "an empty buffer takes nothing: {conn:?}");
                    self.flush(conn);
                }
            }
        }

        fn finish<R: Role>(&mut self, conn: &mut Conn<R>, trailers: &[(&str, &[u8])]) {
            for _ in 0..2 {
                match conn.finish_with(&mut self.bytes, self.used, trailers) {
                    Ok(used) => {
                        assert!(conn.send_done() && !conn.is_deferred());
                        self.used = used;
                        assert_eq!(conn.finish_with(&mut self.bytes, used, trailers), Ok(used));
                        return self.flush(conn);
                    }
                    Err(error) => assert_eq!(error, SendError::Full),
                }
                self.flush(conn);
            }
            panic!("not even an empty buffer takes the end");
        }
    }

    /// What the other side reads, in pieces of this size: how the body ends, the body, its
    /// trailers, and whether the connection goes on.
    fn read_back<R: Role>(
        mut reader: Conn<R>,
        wire: &[u8],
        piece: usize,
        eof: bool,
    ) -> (BodyKind, Vec<u8>, usize, bool) {
        let mut fields = [FieldRange::default(); 8];
        let mut head = Head::new(&mut fields);
        let (mut from, mut to) = (0, 0);
        let (mut body, mut trailers) = (vec![], 0);
        loop {
            let at_end = to == wire.len();
            let input = &wire[from..to];
            let step = reader.recv(input, eof && at_end, &mut head, &Limits::DEFAULT).unwrap();
            match step.event {
                Some(Event::Body(range)) => body.extend(&input[range]),
                Some(Event::Trailer(_)) => trailers += 1,
                Some(Event::Closed) => break,
                None if step.consumed == 0 && at_end => break,
                None if step.consumed == 0 => to = wire.len().min(to + piece),
                _ => {}
            }
            from += step.consumed;
        }
        assert!(reader.recv_done() && from == wire.len(), "{}", wire.escape_ascii());
        (head.facts.body, body, trailers, !reader.must_close())
    }

    fn client(method: &str) -> Conn<Client> {
        let mut conn = Conn::client();
        let get = HeadOut { fields: &[("Host", b"a")], ..HeadOut::request(method, "/") };
        conn.send_head(&mut [0; 64], &get).unwrap();
        conn
    }

    #[test]
    fn the_place_reads_both_ways() {
        for (request, data, flush, trailers, expected) in [
            (GET11, "hi", false, &[][..], "Content-Length: 2\r\n\r\nhi"),
            (GET11, "", false, &[], "Content-Length: 0\r\n\r\n"),
            (GET11, "hi", true, &[], "Transfer-Encoding: chunked\r\n\r\n0002\r\nhi\r\n0\r\n\r\n"),
            (GET11, "", true, &[], "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            (
                GET11,
                "sixteen bytes ok",
                false,
                DIGEST,
                "Transfer-Encoding: chunked\r\n\r\n0010\r\nsixteen bytes ok\r\n0\r\n\
                 Content-Digest: x=:eA==:\r\nA: \r\n\r\n",
            ),
            (GET11_CLOSE, "hi", false, &[], "Connection: close\r\nContent-Length: 2\r\n\r\nhi"),
            (GET10, "hi", false, DIGEST, "Connection: keep-alive\r\nContent-Length: 2\r\n\r\nhi"),
            (GET10, "", false, &[], "Connection: keep-alive\r\nContent-Length: 0\r\n\r\n"),
            (GET10, "hi", true, &[], "Connection: close\r\n\r\nhi"),
            (GET10_CLOSE, "hi", false, &[], "Connection: close\r\nContent-Length: 2\r\n\r\nhi"),
            (HEAD11, "hi", false, &[], "Content-Length: 2\r\n\r\n"),
            (HEAD11, "hi", false, DIGEST, "Content-Length: 2\r\n\r\n"),
            (HEAD11, "", false, &[], "\r\n"),
            (HEAD11, "hi", true, &[], "Transfer-Encoding: chunked\r\n\r\n"),
            (HEAD10, "hi", false, &[], "Connection: keep-alive\r\n\r\n"),
        ] {
            let (mut conn, mut out) = (asked(request), Out::new(200));
            out.used = conn.send_head(&mut out.bytes, &OK).unwrap();
            out.write(&mut conn, data.as_bytes());
            if flush {
                out.flush(&mut conn);
            }
            out.finish(&mut conn, trailers);
            let text = String::from_utf8(out.wire).unwrap();
            assert_eq!(text, format!("HTTP/1.1 200 OK\r\n{expected}"), "{request}");
            assert_eq!(conn.must_close(), text.contains("close"), "{request}");
            assert_eq!(conn.next_cycle().is_ok(), !conn.must_close());
        }
    }

    #[test]
    fn statuses_without_content_have_no_place() {
        for (status, expected) in [
            (Status::NO_CONTENT, "HTTP/1.1 204 No Content\r\n\r\n"),
            (Status::NOT_MODIFIED, "HTTP/1.1 304 Not Modified\r\n\r\n"),
            (Status::RESET_CONTENT, "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"),
        ] {
            let (mut conn, mut out) = (asked(GET11), Out::new(200));
            let head = HeadOut { start: StartLine::Response(status, None), ..OK };
            out.used = conn.send_head(&mut out.bytes, &head).unwrap();
            assert!(!conn.is_deferred());
            out.write(&mut conn, b"nothing");
            out.finish(&mut conn, &[]);
            assert_eq!(String::from_utf8(out.wire).as_deref(), Ok(expected));
        }
    }

    /// Any cut of the body into two writes, with a flush between them or not, through a buffer of
    /// any size, behind an earlier response: the other side reads the same body.
    #[test]
    fn whatever_the_writes_and_the_room_the_same_body_is_read() {
        let data = b"0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
        for request in [GET11, GET11_CLOSE, GET10, GET10_CLOSE, HEAD11] {
            let method = request.split_once(' ').unwrap().0;
            for room in (56..80).chain([90, 99, 110, 130]) {
                for cut in 0..=data.len() {
                    for (flush, trailers) in [
                        (false, &[][..]),
                        (true, &[]),
                        (false, &[("A", &b"b"[..])]),
                        (true, DIGEST),
                    ] {
                        let (mut conn, mut out) = (asked(request), Out::new(room));
                        let earlier = room % 7;
                        out.used = earlier;
                        let head = &mut out.bytes[earlier..];
                        let Ok(len) = conn.send_head(head, &OK) else { continue };
                        out.used += len;
                        out.write(&mut conn, &data[..cut]);
                        if flush {
                            out.flush(&mut conn);
                        }
                        out.write(&mut conn, &data[cut..]);
                        out.finish(&mut conn, trailers);
                        let wire = &out.wire[earlier..];
                        let eof = conn.must_close();
                        for piece in [1, 7, usize::MAX] {
                            let (kind, body, fields, open) =
                                read_back(client(method), wire, piece, eof);
                            let case = format!("{request} {room} {cut} {flush} {open}");
                            let expected = if method == "HEAD" { &[][..] } else { data };
                            assert_eq!(body, expected, "{case}");
                            assert_eq!(open, !conn.must_close(), "{case}");
                            let chunked = kind == BodyKind::Chunked;
                            assert_eq!(fields, if chunked { trailers.len() } else { 0 }, "{case}");
                            // Nothing left the buffer, and no trailers: the length was told.
                            if room == 130 && method == "GET" && !flush && trailers.is_empty() {
                                assert_eq!(kind, BodyKind::Length(data.len() as u64), "{case}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_request_may_learn_its_length_late_too() {
        let post = HeadOut { body: BodyOut::Unknown, ..HeadOut::request("POST", "/") };
        let post = HeadOut { fields: &[("Host", b"a")], ..post };
        for (flush, kind) in [(false, BodyKind::Length(5)), (true, BodyKind::Chunked)] {
            let (mut conn, mut out) = (Conn::client(), Out::new(200));
            out.used = conn.send_head(&mut out.bytes, &post).unwrap();
            out.write(&mut conn, b"hel");
            if flush {
                out.flush(&mut conn);
            }
            out.write(&mut conn, b"lo");
            out.finish(&mut conn, &[]);
            let read = read_back(Conn::server(), &out.wire, 3, false);
            assert_eq!(read, (kind, b"hello".to_vec(), 0, true));
        }
    }

    #[test]
    fn a_sealed_size_has_four_digits() {
        for (len, size) in [(1, "0001"), (0xab, "00ab"), (0x4321, "4321"), (0xfedc, "fedc")] {
            let (data, mut out) = (vec![b'x'; len], vec![0; len + 100]);
            let mut conn = asked(GET11);
            let mut used = conn.send_head(&mut out, &OK).unwrap();
            let head = used - SIZE_BYTES;
            used += conn.send_body(&data, &mut out[used..]).1;
            used = conn.seal(&mut out, used);
            assert_eq!(&out[head..head + SIZE_BYTES], format!("{size}\r\n").as_bytes());
            assert!(used == head + SIZE_BYTES + len + 2 && out[..used].ends_with(b"x\r\n"));
        }
    }

    #[test]
    fn what_is_open_has_a_bound_and_is_not_taken_for_whole() {
        let data = vec![b'x'; 70_000];
        let mut out = vec![0; 80_000];
        let mut conn = asked(GET11);
        let mut used = conn.send_head(&mut out, &OK).unwrap();
        assert_eq!(conn.finish(&mut []), Err(SendError::State));
        assert_eq!(conn.send_body(&data, &mut out[used..]), (0xffff, 0xffff));
        assert_eq!(conn.send_body(&data, &mut out[used + 0xffff..]), (0, 0));
        let mut fields = [FieldRange::default(); 4];
        let (mut reader, mut head) = (client("GET"), Head::new(&mut fields));
        let head_len = used - SIZE_BYTES;
        used += 0xffff;
        let step = reader.recv(&out[..used], false, &mut head, &Limits::DEFAULT).unwrap();
        assert_eq!(step.consumed, head_len);
        assert!(reader.recv_body(&out[head_len..used], false, &Limits::DEFAULT).is_err());
        // It goes on behind the seal, in the same buffer.
        used = conn.seal(&mut out, used);
        assert_eq!(conn.seal(&mut out, used), used);
        used += conn.send_body(&data[0xffff..], &mut out[used..]).1;
        used = conn.finish_with(&mut out, used, &[]).unwrap();
        let (kind, body, ..) = read_back(client("GET"), &out[..used], usize::MAX, false);
        assert_eq!((kind, body.len()), (BodyKind::Chunked, data.len()));
    }

    #[test]
    fn trailers_are_written_whole_or_not_at_all_and_never_what_a_head_says() {
        for (name, good) in [
            ("Content-Digest", true),
            ("ETag", true),
            ("Server-Timing", true),
            ("X-Host", true),
            ("Hosts", true),
            ("Te-x", true),
            ("Host", false),
            ("content-length", false),
            ("Content-Type", false),
            ("CONTENT-DIGEST-2", false),
            ("Transfer-Encoding", false),
            ("Connection", false),
            ("TE", false),
            ("Trailer", false),
            ("If-Match", false),
            ("Proxy-Authenticate", false),
            ("Authorization", false),
            ("WWW-Authenticate", false),
            ("Set-Cookie", false),
            ("Expires", false),
            ("", false),
            ("a b", false),
            ("a:", false),
        ] {
            for body in [BodyOut::Unknown, BodyOut::Chunked, BodyOut::Length(0)] {
                let mut conn = asked(GET11);
                let mut out = [0; 128];
                let used = conn.send_head(&mut out, &HeadOut { body, ..OK }).unwrap();
                let bad = [("A", &b"a\r\nb"[..])];
                let refused = conn.finish_with(&mut out, used, &bad);
                assert_eq!(refused, Err(SendError::Field));
                let ended = conn.finish_with(&mut out, used, &[(name, b"x")]);
                assert_eq!(ended.is_ok(), good, "{name}");
            }
        }
        for body in [BodyOut::Unknown, BodyOut::Chunked] {
            let mut conn = asked(GET11);
            let mut out = [0; 128];
            let used = conn.send_head(&mut out, &HeadOut { body, ..OK }).unwrap();
            let mut whole = out;
            let end = conn.clone().finish_with(&mut whole, used, DIGEST).unwrap();
            for room in used..end {
                let ended = conn.finish_with(&mut out[..room], used, DIGEST);
                assert_eq!((ended, conn.send_done()), (Err(SendError::Full), false), "{room}");
            }
            assert_eq!(conn.finish_with(&mut out, used, DIGEST), Ok(end));
            assert_eq!(out[..end], whole[..end]);
        }
        assert_eq!(asked(GET11).finish_with(&mut [], 0, &[]), Err(SendError::State));
    }
}
