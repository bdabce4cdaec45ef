//! Received bodies: by length, chunked with trailers, and until the peer closes (RFC 9112, 6, 7).
//!
//! A chunk's framing is read byte by byte as it arrives, so it needs no room in anybody's buffer
//! and any split costs the same; its data are passed on in as large ranges as the input has. Every
//! line must end in CRLF, sizes must not overflow, extensions and trailers are bounded.

use super::conn::{Recv, clip};
use super::event::{Refused, refused};
use super::field::{is_token, is_value, parse_line};
use super::{Conn, Event, Limits, Reject, Role, Status, Step};

/// What follows what in a chunk line, from [`Recv::ChunkSize`] on.
#[rustfmt::skip]
static NEXT: [[Recv; 8]; 10] = {
    use Recv::{
        ChunkSizeLf as END, ChunkSpace as SPACE, ExtensionEquals as EQUALS,
        ExtensionEscape as ESCAPE, ExtensionName as NAME, ExtensionNameSpace as GAP,
        ExtensionQuoteEnd as QUOTED, ExtensionQuoted as QUOTE, ExtensionStart as START,
        ExtensionValue as VALUE,
    };
    [
        //  BWS     ;      =       "       \\       CR   token  other
        [SPACE,  START, BAD,    BAD,    BAD,    BAD, BAD,   BAD],   // the size
        [SPACE,  START, BAD,    BAD,    BAD,    BAD, BAD,   BAD],   // SPACE
        [START,  BAD,   BAD,    BAD,    BAD,    BAD, NAME,  BAD],   // START
        [GAP,    START, EQUALS, BAD,    BAD,    END, NAME,  BAD],   // NAME
        [GAP,    START, EQUALS, BAD,    BAD,    BAD, BAD,   BAD],   // GAP
        [EQUALS, BAD,   BAD,    QUOTE,  BAD,    BAD, VALUE, BAD],   // EQUALS
        [SPACE,  START, BAD,    BAD,    BAD,    END, VALUE, BAD],   // VALUE
        [QUOTE,  QUOTE, QUOTE,  QUOTED, ESCAPE, BAD, QUOTE, QUOTE], // QUOTE
        [QUOTE,  QUOTE, QUOTE,  QUOTE,  QUOTE,  BAD, QUOTE, QUOTE], // ESCAPE
        [SPACE,  START, BAD,    BAD,    BAD,    END, BAD,   BAD],   // QUOTED
    ]
};
const BAD: Recv = Recv::Closed;

impl<R: Role> Conn<R> {
    /// As [`Conn::recv`], for a caller that has no place for a head: where one is due, it waits.
    ///
    /// # Errors
    /// As [`Conn::recv`].
    pub fn recv_body(&mut self, input: &[u8], eof: bool, limits: &Limits) -> Result<Step, Reject> {
        self.recv_rest(input, eof, limits).map_err(|refused| self.fail(refused, input))
    }

    pub(super) fn recv_rest(
        &mut self,
        input: &[u8],
        eof: bool,
        limits: &Limits,
    ) -> Result<Step, Refused> {
        let (next, event) = match self.recv {
            Recv::Length => return self.recv_length(input, eof),
            Recv::UntilClose if R::CLIENT => return self.recv_until_close(input, eof, limits),
            Recv::Head | Recv::Done | Recv::Upgraded => return Ok(Step::MORE),
            Recv::End => (Recv::Done, Event::End),
            Recv::Upgrading => (Recv::Upgraded, Event::Upgraded),
            Recv::Closed => (Recv::Closed, Event::Closed),
            _ => return self.recv_chunked(input, eof, limits),
        };
        self.recv = next;
        Ok(Step::new(0, event))
    }

    fn recv_length(&mut self, input: &[u8], eof: bool) -> Result<Step, Refused> {
        let len = clip(self.left, input.len());
        if len == 0 {
            return if eof { Err(Reject::TRUNCATED) } else { Ok(Step::MORE) };
        }
        self.body_began();
        self.left -= len as u64;
        if self.left == 0 {
            self.recv = Recv::End;
        }
        Ok(Step::new(len, Event::Body(0..len)))
    }

    fn recv_until_close(
        &mut self,
        input: &[u8],
        eof: bool,
        limits: &Limits,
    ) -> Result<Step, Refused> {
        if !input.is_empty() {
            // What is within the limit is passed on first, as it would be in smaller pieces.
            let len = clip(limits.body_bytes_max.saturating_sub(self.count), input.len());
            self.count_body(len.max(1) as u64, limits)?;
            return Ok(Step::new(len, Event::Body(0..len)));
        }
        if eof {
            self.recv = Recv::Done;
            return Ok(Step::new(0, Event::End));
        }
        Ok(Step::MORE)
    }

    fn recv_chunked(&mut self, input: &[u8], eof: bool, limits: &Limits) -> Result<Step, Refused> {
        let mut at = 0;
        while let Some(rest @ [byte, ..]) = input.get(at..) {
            match self.recv {
                Recv::ChunkData => {
                    let len = clip(self.left, rest.len());
                    self.left -= len as u64;
                    if self.left == 0 {
                        self.recv = Recv::ChunkDataCr;
                    }
                    return Ok(Step::new(at + len, Event::Body(at..at + len)));
                }
                Recv::Trailer => return self.recv_trailer(input, at, eof, limits),
                _ => self.chunk_byte(*byte, limits)?,
            }
            at += 1;
        }
        if eof { Err(Reject::TRUNCATED) } else { Ok(Step { consumed: at, event: None }) }
    }

    /// One byte of what stands around a chunk's data.
    fn chunk_byte(&mut self, byte: u8, limits: &Limits) -> Result<(), Refused> {
        self.body_began();
        match (self.recv, byte) {
            (Recv::ChunkDataCr, b'\r') => self.recv = Recv::ChunkDataLf,
            (Recv::ChunkDataLf, b'\n') => (self.recv, self.line) = (Recv::ChunkSize, 0),
            (Recv::ChunkDataCr | Recv::ChunkDataLf, _) => {
                return Err(refused!("a chunk longer than its size"));
            }
            (Recv::ChunkSizeLf, b'\n') if self.left == 0 => {
                // From here on `count` counts the trailer section.
                (self.recv, self.count) = (Recv::Trailer, 0);
            }
            (Recv::ChunkSizeLf, b'\n') => {
                self.count_body(self.left, limits)?;
                self.recv = Recv::ChunkData;
            }
            (Recv::ChunkSizeLf, _) => return Err(refused!("malformed chunk line")),
            (Recv::ChunkSize, _) => return self.chunk_size_byte(byte, limits),
            _ => return self.extension_byte(byte, limits),
        }
        Ok(())
    }

    /// One byte of a chunk's extensions (RFC 9112, 7.1.1), which nobody asks for: the grammar is
    /// held to the letter, so that no two readers can disagree about where the line ends.
    ///
    /// ```text
    ///   *( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] ) CRLF
    /// ```
    ///
    /// RFC 9110, 5.6.3: "A recipient MUST parse for such bad whitespace". Before CRLF it is none.
    #[cold]
    #[inline(never)]
    fn extension_byte(&mut self, byte: u8, limits: &Limits) -> Result<(), Refused> {
        let column = match byte {
            b' ' | b'\t' => 0,
            b';' => 1,
            b'=' => 2,
            b'"' => 3,
            b'\\' => 4,
            b'\r' => 5,
            _ if is_token(&[byte]) => 6,
            _ if is_value(&[byte]) => 7,
            _ => return Err(refused!("malformed chunk line")),
        };
        let row = (self.recv as usize).wrapping_sub(Recv::ChunkSize as usize);
        let next = NEXT.get(row).map_or(BAD, |row| row[column]);
        if next == BAD {
            return Err(refused!("malformed chunk line"));
        }
        self.recv = next;
        if next == Recv::ChunkSizeLf { Ok(()) } else { self.count_line(limits) }
    }

    fn chunk_size_byte(&mut self, byte: u8, limits: &Limits) -> Result<(), Refused> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b';' | b' ' | b'\t' if self.line > 0 => return self.extension_byte(byte, limits),
            b'\r' if self.line > 0 => {
                self.recv = Recv::ChunkSizeLf;
                return Ok(());
            }
            _ => return Err(refused!("malformed chunk size")),
        };
        if self.line == 0 {
            self.left = 0;
        }
        if self.left >> 60 != 0 {
            return Err(refused!("a chunk size that overflows"));
        }
        self.left = self.left << 4 | u64::from(digit);
        self.count_line(limits)
    }

    /// Counts one byte of a chunk line.
    fn count_line(&mut self, limits: &Limits) -> Result<(), Refused> {
        if self.line >= limits.chunk_line_bytes_max {
            return Err(refused!("a chunk line longer than its limit"));
        }
        self.line += 1;
        Ok(())
    }

    /// Counts bytes of a body whose length was not known ahead.
    fn count_body(&mut self, len: u64, limits: &Limits) -> Result<(), Refused> {
        match self.count.checked_add(len) {
            Some(sum) if sum <= limits.body_bytes_max => self.count = sum,
            _ => return Err(Reject::TOO_LARGE),
        }
        Ok(())
    }

    /// One line of the trailer section, or its end. The line must lie in the input as a whole,
    /// which `trailer_bytes_max` bounds.
    fn recv_trailer(
        &mut self,
        input: &[u8],
        at: usize,
        eof: bool,
        limits: &Limits,
    ) -> Result<Step, Refused> {
        let rest = input.get(at..).unwrap_or_default();
        let room = u64::from(limits.trailer_bytes_max).saturating_sub(self.count) as usize;
        let window = rest.get(..room).unwrap_or(rest);
        match window {
            [b'\r', b'\n', ..] => {
                self.recv = Recv::Done;
                return Ok(Step::new(at + 2, Event::End));
            }
            [b'\r', other, ..] if *other != b'\n' => {
                return Err(refused!("malformed trailer"));
            }
            _ => {}
        }
        let Some(len) = window.iter().position(|b| *b == b'\n') else {
            if window.len() == room {
                return Err(refused!(Status::FIELDS_TOO_LARGE, "the trailer section is too long"));
            }
            return if eof {
                Err(Reject::TRUNCATED)
            } else {
                Ok(Step { consumed: at, event: None })
            };
        };
        let line = window.get(..len).and_then(|line| line.strip_suffix(b"\r"));
        match line.and_then(|line| parse_line(line, at)) {
            Some(field) => {
                self.count += len as u64 + 1;
                Ok(Step::new(at + len + 1, Event::Trailer(field)))
            }
            None => Err(refused!("malformed trailer")),
        }
    }
}
