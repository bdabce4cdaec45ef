//! A whole connection, in either role: any bytes in any pieces come, and something is sent at any
//! moment in between. What is received is what the reference reads, and whatever a server has
//! sent is what a client reads: as many answers as it gave.

#![no_main]

use dustdevil_http::proto::{BodyOut, Conn, HeadOut, Method, SendError, Server, Status};
use fuzz::input::{Input, PLAIN, Pieces, Random};
use fuzz::machine::{Asked, Feed, Moment};
use fuzz::reading::{End, Message, Reading};
use fuzz::{compare, machine, reference, seeds};
use libfuzzer_sys::fuzz_target;

const METHODS: [Method; 4] = [Method::Get, Method::Head, Method::Connect, Method::Post];

fuzz_target!(init: seeds::write(seeds), |data: &[u8]| {
    let Some(mut input) = Input::new(data) else { return };
    if input.side & 1 == 0 { serve(&mut input) } else { ask(&mut input) }
});

fn seeds() -> Vec<Vec<u8>> {
    let seed = |(asked, bytes): (Option<_>, _)| {
        [&[u8::from(asked.is_some()), 0, 0, 7], &PLAIN[4..], bytes].concat()
    };
    seeds::messages().into_iter().map(seed).collect()
}

/// A client whose requests are drawn.
fn ask(input: &mut Input<'_>) {
    let mut draw = || {
        let method = METHODS[input.random.below(METHODS.len())];
        Asked { method, upgrade: input.random.once_in(4) }
    };
    let asked = [draw(), draw(), draw(), draw()];
    let (stream, limits) = (input.stream, input.limits);
    let feed = Feed { stream, pieces: input.pieces.clone(), limits, fin_late: input.side & 2 != 0 };
    let seen = machine::responses(&feed, &asked);
    compare::same(&seen, &reference::responses(stream, &limits, &asked));
}

/// A server whose answers are drawn, and begin and go on at any moment.
fn serve(input: &mut Input<'_>) {
    let (stream, limits) = (input.stream, input.limits);
    let feed = Feed { stream, pieces: input.pieces.clone(), limits, fin_late: input.side & 2 != 0 };
    let mut answers =
        Answers { random: input.random.clone(), out: vec![], whole: vec![], current: None };
    let seen = machine::read(Conn::server(), &feed, |conn, moment| answers.turn(conn, moment));
    let expected = reference::requests(stream, &limits);
    compare::same_until_closed(&seen, &expected);
    answers.check(&seen.messages, &seen.end);
}

/// An answer that was begun.
struct Answer {
    status: u16,
    /// What is still to be sent.
    left: Vec<u8>,
    sent: Vec<u8>,
}

struct Answers {
    random: Random,
    /// All that was written.
    out: Vec<u8>,
    /// The answers that are whole: their statuses and bodies.
    whole: Vec<(u16, Vec<u8>)>,
    current: Option<Answer>,
}

impl Answers {
    fn turn(&mut self, conn: &mut Conn<Server>, moment: Moment) {
        let is_last = moment == Moment::Done;
        if moment == Moment::Begin || (!is_last && self.random.once_in(2)) {
            return;
        }
        if conn.wants_continue() && self.random.once_in(2) {
            let sent = self.write(200, |_, out| Ok(conn.send_continue(out)));
            assert!(sent.is_ok());
        }
        if !conn.send_started() {
            self.begin(conn, is_last);
        }
        while self.current.is_some() && (is_last || self.random.once_in(2)) {
            self.go_on(conn);
        }
    }

    /// Writes into a place that may be too small at first.
    fn write(
        &mut self,
        room: usize,
        mut write: impl FnMut(&mut Self, &mut [u8]) -> Result<usize, SendError>,
    ) -> Result<usize, SendError> {
        let small = self.random.below(room);
        for room in [small, room] {
            let mut out = vec![0; room];
            match write(self, &mut out) {
                Ok(len) => {
                    self.out.extend(&out[..len]);
                    return Ok(len);
                }
                Err(SendError::Full) => {}
                Err(error) => return Err(error),
            }
        }
        Err(SendError::Full)
    }

    fn begin(&mut self, conn: &mut Conn<Server>, must: bool) {
        let status = [200, 200, 404, 204, 304, 101, 103][self.random.below(7)];
        let body: Vec<u8> = (0..self.random.below(60)).map(|n| b'a' + n as u8 % 26).collect();
        let kind = match self.random.below(3) {
            0 => BodyOut::None,
            1 => BodyOut::Length(body.len() as u64),
            _ => BodyOut::Chunked,
        };
        if self.random.once_in(8) {
            conn.close_after();
        }
        let upgrade = (status == 101).then_some("other");
        let given = Status::new(status).expect("a status");
        let head = HeadOut { body: kind, upgrade, ..HeadOut::response(given) };
        let sent = self.write(200, |_, out| conn.send_head(out, &head));
        if !conn.send_started() {
            // An interim one, or a change of protocol that cannot be: then another, at the latest.
            assert!(matches!(sent, Ok(_) | Err(SendError::State)), "{sent:?}");
            if must {
                let head = HeadOut { body: BodyOut::Length(0), ..HeadOut::response(Status::OK) };
                let tunnel = HeadOut::response(Status::OK);
                let sent = self.write(200, |_, out| conn.send_head(out, &head));
                if sent == Err(SendError::State) {
                    let sent = self.write(200, |_, out| conn.send_head(out, &tunnel));
                    assert!(sent.is_ok() && conn.is_upgraded(), "{sent:?}");
                }
                self.current = Some(Answer { status: 200, left: vec![], sent: vec![] });
            }
            return;
        }
        assert!(sent.is_ok_and(|len| len > 0));
        let left = if kind == BodyOut::None { vec![] } else { body };
        self.current = Some(Answer { status, left, sent: vec![] });
    }

    fn go_on(&mut self, conn: &mut Conn<Server>) {
        let mut answer = self.current.take().expect("one that was begun");
        if !answer.left.is_empty() && !conn.send_done() {
            let mut out = vec![0; 1 + self.random.below(80)];
            let len = 1 + self.random.below(answer.left.len());
            let (taken, written) = conn.send_body(&answer.left[..len], &mut out);
            assert!(taken <= len && written <= out.len());
            self.out.extend(&out[..written]);
            answer.sent.extend(answer.left.drain(..taken));
            self.current = Some(answer);
            return;
        }
        let ended = self.write(80, |_, out| conn.finish(out));
        assert!(ended.is_ok() && conn.send_done(), "{ended:?} {conn:?}");
        self.whole.push((answer.status, answer.sent));
    }

    /// A client that asked the same reads these answers, and none besides.
    fn check(&self, requests: &[Message], end: &End) {
        let asked = |message: &Message| Asked {
            method: Method::from_bytes(&message.start[0]),
            upgrade: message.facts.upgrade,
        };
        let mut asked: Vec<Asked> = requests.iter().map(asked).collect();
        asked.push(Asked { method: Method::Get, upgrade: false });
        let feed = Feed {
            stream: &self.out,
            pieces: Pieces::Whole,
            limits: dustdevil_http::proto::Limits::DEFAULT,
            fin_late: false,
        };
        let read = machine::responses(&feed, &asked);
        let finals: Vec<&Message> =
            read.messages.iter().filter(|own| own.code() >= 200 || own.code() == 101).collect();
        let told = || format!("{:?}\nanswered\n{}{read:?}", requests, self.out.escape_ascii());
        for (place, (status, body)) in self.whole.iter().enumerate() {
            let message = finals.get(place).unwrap_or_else(|| panic!("{place}: {}", told()));
            let mute = asked[place].method == Method::Head || matches!(status, 204 | 304);
            let body = if mute { &[][..] } else { &body[..] };
            assert_eq!((message.code(), &message.body[..]), (*status, body), "{}", told());
        }
        let begun = usize::from(self.current.is_some());
        assert!(finals.len() <= self.whole.len() + begun, "{}", told());
        let is_whole = matches!(read.end, End::Clean | End::Rest(_) | End::Tunnel(_));
        assert!(is_whole || begun == 1, "{}", told());
        // Whoever goes on after an answer must be told so, and whoever does not, too.
        if let (Reading { end: End::Rest(at) | End::Tunnel(at), .. }, End::Clean) = (&read, end) {
            panic!("closed behind {at} alone: {}", told());
        }
    }
}
