//! The reader under test: `Conn` in either role, fed in pieces, with answers or requests between.

use dustdevil_http::proto::{
    BodyOut, Conn, Event, FIELDS_MAX, FieldRange, Head, HeadOut, Limits, Method, Role, Server,
    Status, Version,
};

use crate::input::Pieces;
use crate::reading::{End, Facts, Field, Message, Reading};

/// Fields that there is room for.
pub const FIELDS: usize = 24;
const _: () = assert!(FIELDS < FIELDS_MAX);

/// What a client asked for: it decides how the response is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The request's method.
    pub method: Method,
    /// Whether another protocol was offered.
    pub upgrade: bool,
}

/// How a stream arrives and what is put up with.
#[derive(Clone, Debug)]
pub struct Feed<'a> {
    /// All bytes.
    pub stream: &'a [u8],
    /// Their pieces.
    pub pieces: Pieces,
    /// The limits.
    pub limits: Limits,
    /// Whether the FIN comes with the last byte or behind it.
    pub fin_late: bool,
}

/// Reads requests; an empty answer behind each, so that the next can follow.
pub fn requests(feed: &Feed<'_>) -> Reading {
    let answer = |conn: &mut Conn<Server>, moment: Moment| {
        if moment == Moment::Done && !conn.send_started() {
            let head = HeadOut { body: BodyOut::Length(0), ..HeadOut::response(Status::NOT_FOUND) };
            assert!(conn.send_head(&mut [0; 128], &head).is_ok_and(|len| len > 0));
        }
    };
    read(Conn::server(), feed, answer)
}

/// Reads the responses to requests; the last of `asked` is asked again and again.
pub fn responses(feed: &Feed<'_>, asked: &[Asked]) -> Reading {
    let mut asked = asked.iter().chain(std::iter::repeat(asked.last().expect("one request")));
    read(Conn::client(), feed, |conn, moment| {
        if moment == Moment::Begin {
            let Asked { method, upgrade } = asked.next().expect("it repeats");
            let head = HeadOut {
                fields: &[("Host", b"a")],
                upgrade: upgrade.then_some("other"),
                ..HeadOut::request(name(*method), "/")
            };
            assert!(conn.send_head(&mut [0; 128], &head).is_ok_and(|len| len > 0));
        }
    })
}

/// A method's name, or one of those that have no name here.
const fn name(method: Method) -> &'static str {
    match method {
        Method::Other => "BREW",
        named => named.as_str(),
    }
}

/// When the sending half has its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A cycle begins.
    Begin,
    /// A head was received.
    Head,
    /// Some of a body was received.
    Body,
    /// The message is over; what is to be sent in this cycle must be.
    Done,
}

/// Reads a stream to its end. `turn` sends.
///
/// # Panics
/// When the machine consumes what is not there, makes no progress, or goes on behind a rejection.
pub fn read<R: Role>(
    conn: Conn<R>,
    feed: &Feed<'_>,
    turn: impl FnMut(&mut Conn<R>, Moment),
) -> Reading {
    let stream = feed.stream;
    let reader = Reader { conn, stream, from: 0, to: 0, messages: vec![], is_open: false };
    reader.run(feed, turn)
}

struct Reader<'a, R> {
    conn: Conn<R>,
    stream: &'a [u8],
    from: usize,
    to: usize,
    messages: Vec<Message>,
    /// The last message's body goes on.
    is_open: bool,
}

impl<R: Role> Reader<'_, R> {
    fn run(mut self, feed: &Feed<'_>, mut turn: impl FnMut(&mut Conn<R>, Moment)) -> Reading {
        let mut pieces = feed.pieces.clone();
        let (mut eof, mut idle_steps) = (false, 0);
        let mut fields = [FieldRange::default(); FIELDS];
        turn(&mut self.conn, Moment::Begin);
        let end = loop {
            let input = &self.stream[self.from..self.to];
            let mut head = Head::new(&mut fields);
            let step = match self.conn.recv(input, eof, &mut head, &feed.limits) {
                Ok(step) => step,
                Err(reject) => {
                    assert!(self.conn.must_close() && self.conn.recv_done());
                    let again = self.conn.recv(input, eof, &mut head, &feed.limits);
                    assert_eq!(again.map(|step| step.event), Ok(Some(Event::Closed)));
                    break End::rejected(reject.status.code(), reject.reason);
                }
            };
            assert!(step.consumed <= input.len(), "{step:?} of {}", input.len());
            idle_steps = if step.consumed > 0 { 0 } else { idle_steps + 1 };
            assert!(idle_steps < 8, "no progress: {step:?} {:?}", self.conn);
            self.from += step.consumed;
            match step.event {
                Some(event) => match self.take(event, input, step.consumed, &head) {
                    Taken::End(end) => break end,
                    Taken::Moment(moment) => turn(&mut self.conn, moment),
                    Taken::Nothing => {}
                },
                None if step.consumed > 0 => {}
                None if self.conn.recv_done() => {
                    turn(&mut self.conn, Moment::Done);
                    if self.conn.is_upgraded() {
                        continue;
                    }
                    if self.conn.next_cycle().is_err() {
                        break End::Rest(self.from);
                    }
                    turn(&mut self.conn, Moment::Begin);
                }
                None => {
                    assert!(!eof, "undecided at the end of the input: {:?}", self.conn);
                    idle_steps = 0;
                    let came = self.to;
                    self.to = self.stream.len().min(came.saturating_add(pieces.next_len()));
                    let last = if feed.fin_late { came } else { self.to };
                    eof = last == self.stream.len();
                }
            }
        };
        Reading { messages: self.messages, end }
    }

    fn take(&mut self, event: Event, input: &[u8], consumed: usize, head: &Head<'_>) -> Taken {
        let last = self.messages.last_mut();
        match event {
            Event::Head | Event::Interim => {
                assert!(!self.is_open, "a head inside a body");
                let mut message = message(&input[..consumed], head);
                // A body that is not there ends without being said to.
                let has_end = event == Event::Interim || self.conn.recv_done();
                message.end = has_end.then_some(self.from);
                self.is_open = !has_end;
                self.messages.push(message);
                if event == Event::Head { Taken::Moment(Moment::Head) } else { Taken::Nothing }
            }
            Event::Body(range) => {
                assert!(self.is_open && !range.is_empty() && range.end == consumed);
                last.expect("a head").body.extend(&input[range]);
                Taken::Moment(Moment::Body)
            }
            Event::Trailer(range) => {
                assert!(self.is_open);
                last.expect("a head").trailers.push(field(&range, input));
                Taken::Nothing
            }
            Event::End => {
                assert!(self.is_open);
                self.is_open = false;
                last.expect("a head").end = Some(self.from);
                Taken::Nothing
            }
            Event::Upgraded => {
                // Said while the end of the body was there, and not told yet: this tells it.
                if self.is_open {
                    last.expect("a head").end = Some(self.from);
                }
                Taken::End(End::Tunnel(self.from))
            }
            Event::Closed => Taken::End(End::Clean),
        }
    }
}

enum Taken {
    Nothing,
    Moment(Moment),
    End(End),
}

fn field(range: &FieldRange, bytes: &[u8]) -> Field {
    (range.name.slice(bytes).to_vec(), range.value.slice(bytes).to_vec())
}

fn message(bytes: &[u8], head: &Head<'_>) -> Message {
    let facts = &head.facts;
    let version = match facts.version {
        Version::Http10 => b"HTTP/1.0".to_vec(),
        Version::Http11 => b"HTTP/1.1".to_vec(),
    };
    let start = match facts.status_code {
        0 => {
            let method = facts.method_span.slice(bytes);
            assert_eq!(facts.method, Method::from_bytes(method));
            [method.to_vec(), facts.target.slice(bytes).to_vec(), version]
        }
        code => [version, code.to_string().into_bytes(), facts.reason.slice(bytes).to_vec()],
    };
    let is_request = facts.status_code == 0;
    let only = |span: &[u8]| if is_request { span.to_vec() } else { Vec::new() };
    Message {
        start,
        fields: head.fields[..facts.fields.into()].iter().map(|own| field(own, bytes)).collect(),
        facts: Facts {
            body: facts.body,
            keep_alive: facts.keep_alive,
            expect: facts.expect_continue,
            upgrade: facts.upgrade,
            host: only(facts.host.slice(bytes)),
            path: only(facts.path.slice(bytes)),
            query: facts.query.map(|query| query.slice(bytes).to_vec()),
        },
        ..Message::default()
    }
}
