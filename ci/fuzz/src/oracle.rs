//! The third reader: milo, a parser of HTTP/1.1 that is strict, and shares nothing with ours.
//!
//! It reads HTTP/1.1 alone, and takes what follows CONNECT, or an offer of another protocol, for a
//! tunnel at once.

use std::cell::RefCell;

use milo_parser::{CALLBACK_ACTIVE_ALL, Parser, STATE_TUNNEL};

use crate::reading::{End, Field, Message, Reading};

/// The oracle's reason for a length that it does not count to the end.
pub const LONG_LENGTH: &str = "a length of more than 19 digits";
/// Its reason for a chunk size that a space follows, and then an extension.
pub const SPACE_BEHIND_SIZE: &str = "a space between a chunk size and an extension";

/// What the callbacks gather: plain functions, to which nothing can be given.
#[derive(Default)]
struct Gathered {
    stream: Vec<u8>,
    messages: Vec<Message>,
    current: Message,
    has_head: bool,
    /// Something of a message was there.
    is_begun: bool,
    /// Where the present call's input begins in the stream.
    from: usize,
}

thread_local! {
    static GATHERED: RefCell<Gathered> = RefCell::default();
}

impl Gathered {
    fn text(&self, at: usize, len: usize) -> Vec<u8> {
        self.stream[self.from + at..][..len].to_vec()
    }

    fn last(fields: &mut [Field]) -> &mut Field {
        fields.last_mut().expect("a name before its value")
    }
}

/// A callback that has the gathered state.
macro_rules! on {
    ($parser:ident . $event:ident, |$gathered:ident, $at:ident, $len:ident| $body:expr) => {
        $parser.callbacks.$event = |_, $at, $len| {
            GATHERED.with_borrow_mut(|$gathered| {
                let _ = $len;
                $body
            })
        }
    };
}

fn parser() -> Parser {
    let mut p = Parser::new();
    p.autodetect = false;
    p.active_callbacks = CALLBACK_ACTIVE_ALL;
    p.max_start_line_length = 1 << 20;
    p.max_header_length = 1 << 20;
    on!(p.on_message_start, |g, _at, len| {
        g.current = Message::default();
        g.has_head = len != 0;
    });
    on!(p.on_method, |g, at, len| g.current.start[0] = g.text(at, len));
    on!(p.on_url, |g, at, len| g.current.start[1] = g.text(at, len));
    on!(p.on_version, |g, at, len| {
        g.is_begun = true;
        let version = [b"HTTP/", &g.text(at, len)[..]].concat();
        let place = if g.current.start[0].is_empty() { 0 } else { 2 };
        g.current.start[place] = version;
    });
    on!(p.on_status, |g, at, len| g.current.start[1] = g.text(at, len));
    on!(p.on_reason, |g, at, len| g.current.start[2] = g.text(at, len));
    on!(p.on_header_name, |g, at, len| {
        let name = g.text(at, len);
        g.current.fields.push((name, Vec::new()));
    });
    on!(p.on_header_value, |g, at, len| {
        Gathered::last(&mut g.current.fields).1 = g.text(at, len);
    });
    on!(p.on_headers, |g, _at, len| g.has_head = len == 0);
    on!(p.on_data, |g, at, len| {
        let data = g.text(at, len);
        g.current.body.extend(data);
    });
    on!(p.on_trailer_name, |g, at, len| {
        let name = g.text(at, len);
        g.current.trailers.push((name, Vec::new()));
    });
    on!(p.on_trailer_value, |g, at, len| {
        Gathered::last(&mut g.current.trailers).1 = g.text(at, len);
    });
    on!(p.on_connect, |g, at, len| g.current.end = Some(g.from + at + len));
    on!(p.on_upgrade, |g, at, len| g.current.end = Some(g.from + at + len));
    on!(p.on_message_complete, |g, at, len| {
        g.current.end = Some(g.from + at + len);
        (g.has_head, g.is_begun) = (false, false);
        let message = std::mem::take(&mut g.current);
        g.messages.push(message);
    });
    p
}

/// Reads requests.
pub fn requests(stream: &[u8]) -> Reading {
    read(stream, true, |_, _| ())
}

/// Reads responses. `bodiless`: whether the body of the final response with this number, from 0,
/// is not there since its request said HEAD.
pub fn responses(stream: &[u8], bodiless: impl Fn(usize) -> bool) -> Reading {
    read(stream, false, |parser, count| parser.skip_body = bodiless(count))
}

fn read(stream: &[u8], is_request: bool, before: impl Fn(&mut Parser, usize)) -> Reading {
    GATHERED.set(Gathered { stream: stream.to_vec(), ..Gathered::default() });
    let mut parser = parser();
    parser.is_request = is_request;
    let mut from = 0;
    // A call ends early when its buffer of events is full; nothing consumed: it wants more.
    loop {
        let finals = |g: &Gathered| g.messages.iter().filter(|own| own.code() >= 200).count();
        before(&mut parser, GATHERED.with_borrow(finals));
        GATHERED.with_borrow_mut(|g| g.from = from);
        let rest = &stream[from..];
        let len = if is_request { rest.len() } else { response_len(rest) };
        let consumed = parser.parse(rest.as_ptr(), len);
        from += consumed;
        if consumed == 0 || parser.error_code != 0 {
            break;
        }
    }
    let gathered = GATHERED.take();
    let mut messages = gathered.messages;
    let is_open = gathered.has_head;
    if is_open {
        messages.push(gathered.current);
    }
    let end = if parser.error_code != 0 {
        End::rejected(0, precisely(parser.error_description_str(), &stream[from..]))
    } else if parser.state == STATE_TUNNEL {
        End::Tunnel(from)
    } else if gathered.is_begun || from < stream.len() {
        End::Open
    } else {
        End::Clean
    };
    Reading { messages, end }
}

/// How much of a stream of responses is given at once: up to the end of the next head, behind which
/// it must be told whether a body follows.
fn response_len(rest: &[u8]) -> usize {
    let end = rest.windows(4).position(|window| window == b"\r\n\r\n");
    end.map_or(rest.len(), |at| at + 4)
}

/// Some of its reasons stand for many; those that are to be told from the others get their own, by
/// the line that it stopped at.
fn precisely<'a>(why: &'a str, rest: &[u8]) -> &'a str {
    let end = rest.windows(2).position(|window| window == b"\r\n").unwrap_or(rest.len());
    let line = String::from_utf8_lossy(&rest[..end]);
    let is_space = |c: char| c == ' ' || c == '\t';
    match why {
        "Invalid Content-Length header" => {
            let value = line.split_once(':').map_or("", |(_, value)| value.trim_matches(is_space));
            let is_long = value.len() > 19 && value.bytes().all(|byte| byte.is_ascii_digit());
            if is_long { LONG_LENGTH } else { why }
        }
        "Invalid chunk length character" | "Invalid chunk length size" => {
            let size = line.split_once(';').map_or("", |(size, _)| size);
            let digits = size.trim_end_matches(is_space);
            let is_size = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
            if is_size && digits.len() < size.len() { SPACE_BEHIND_SIZE } else { why }
        }
        _ => why,
    }
}
