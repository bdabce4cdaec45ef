//! A client that follows a plan and believes nothing: it reads responses with a parser of its own
//! and checks that each request gets one response, the right one, or that the connection ends.

use std::cell::Cell;
use std::rc::Rc;

use dustdevil_core::sim::{Peer, PeerEnd, PeerEvent};
use dustdevil_core::time::{Duration, Instant};

use crate::app::pattern;
use crate::response::{Parser, Response};
use crate::world::{MASK, address};

/// One request and what must come of it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    bytes: Vec<u8>,
    head_bytes: usize,
    is_head: bool,
    awaits_continue: bool,
    may_end: bool,
    expect: Expect,
}

/// What a response must be.
#[derive(Clone, Debug)]
pub(crate) enum Expect {
    /// This status and this body.
    Whole(u16, Vec<u8>),
    /// This status.
    Status(u16),
    /// A response that breaks off, so that nobody takes it for a whole one.
    Cut,
    /// This body, and then an end; or the end alone, for a reset may overtake what it follows.
    CutBehind(Vec<u8>),
}

impl Request {
    /// A request of bytes made by hand.
    pub(crate) fn raw(bytes: &[u8], expect: Expect) -> Self {
        let head_bytes = bytes.windows(4).position(|part| part == b"\r\n\r\n");
        Self {
            head_bytes: head_bytes.map_or(bytes.len(), |at| at + 4),
            bytes: bytes.to_vec(),
            is_head: bytes.starts_with(b"HEAD "),
            awaits_continue: false,
            may_end: matches!(expect, Expect::CutBehind(_)),
            expect,
        }
    }

    pub(crate) fn get(path: &str, body: &str) -> Self {
        let bytes = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        Self::raw(bytes.as_bytes(), Expect::Whole(200, body.into()))
    }

    /// A long body.
    pub(crate) fn big(bytes: usize) -> Self {
        let body = (0..bytes).map(pattern).collect();
        Self::raw(
            format!("GET /big/{bytes} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(),
            Expect::Whole(200, body),
        )
    }

    pub(crate) fn post(path: &str, body: &[u8], answer: &[u8]) -> Self {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        let bytes = [head.as_bytes(), body].concat();
        Self::raw(&bytes, Expect::Whole(200, answer.to_vec()))
    }

    /// As [`post`](Self::post), in chunks of `chunk_bytes`.
    pub(crate) fn chunked(path: &str, body: &[u8], chunk_bytes: usize, answer: &[u8]) -> Self {
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut bytes = head.into_bytes();
        for chunk in body.chunks(chunk_bytes.max(1)) {
            bytes.extend(format!("{:x};of=soak\r\n", chunk.len()).bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\nX-Trailer: yes\r\n\r\n");
        Self::raw(&bytes, Expect::Whole(200, answer.to_vec()))
    }

    /// The same with a field more.
    pub(crate) fn field(mut self, field: &str) -> Self {
        let at = self.head_bytes - 2;
        self.bytes.splice(at..at, format!("{field}\r\n").into_bytes());
        self.head_bytes += field.len() + 2;
        self
    }

    /// The same with a body that is held back until `100 Continue` comes, or two seconds pass.
    pub(crate) fn awaiting_continue(self) -> Self {
        Self { awaits_continue: true, ..self.field("Expect: 100-continue") }
    }

    pub(crate) fn expecting(mut self, expect: Expect) -> Self {
        self.may_end |= matches!(expect, Expect::CutBehind(_));
        self.expect = expect;
        self
    }

    /// The connection may end behind the response, also where that does not say so.
    pub(crate) fn at_last(self) -> Self {
        Self { may_end: true, ..self }
    }

    /// Whether the server refuses to read it, and says so as far as it can at once.
    fn is_bad(&self) -> bool {
        matches!(self.expect, Expect::Status(400 | 413 | 414 | 417 | 431 | 501 | 505))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// How a client ends its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// FIN once everything is answered.
    Fin,
    /// FIN right behind the last request.
    HalfClose,
    /// FIN after so many bytes were sent: what was sent whole is answered all the same.
    FinAt(usize),
    /// RST after so many bytes were sent.
    Reset(usize),
    /// It sends so many bytes and then nothing more; the server must end it.
    Silence(usize),
}

/// What a client does.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) requests: Vec<Request>,
    /// Most requests under way at once.
    pub(crate) depth: usize,
    /// Bytes of each write.
    pub(crate) piece_bytes: (u64, u64),
    /// The same behind a head, where it differs.
    pub(crate) body_piece_bytes: Option<usize>,
    /// A write ends where a head does.
    pub(crate) stops_behind_heads: bool,
    /// Time between two writes.
    pub(crate) gap_us: (u64, u64),
    /// It reads for a moment only, so far apart.
    pub(crate) read_gap_us: Option<u64>,
    pub(crate) ending: Ending,
    /// It puts up with 408, 503 and with an end between two responses, or by reset.
    pub(crate) is_tolerant: bool,
    pub(crate) is_masked: bool,
    /// How long it rests before the request of this number.
    pub(crate) rest: Option<(usize, Duration)>,
    /// It resets the connection so long after it was made.
    pub(crate) leaves_after: Option<Duration>,
    /// It is slower than it may be: the server must end it within this time.
    pub(crate) cut_within: Option<Duration>,
    /// Set by the next.
    pub(crate) again_until: Option<Instant>,
    /// So long after its first connection was made it connects again whenever it was ended.
    pub(crate) again_for: Option<Duration>,
    /// Most time without any progress.
    pub(crate) patience: Duration,
}

impl Plan {
    pub(crate) fn new(name: &str, requests: Vec<Request>) -> Self {
        Self {
            name: name.into(),
            requests,
            depth: 1,
            piece_bytes: (1 << 20, 1 << 20),
            body_piece_bytes: None,
            stops_behind_heads: false,
            gap_us: (0, 0),
            read_gap_us: None,
            ending: Ending::Fin,
            is_tolerant: false,
            is_masked: false,
            rest: None,
            cut_within: None,
            leaves_after: None,
            again_until: None,
            again_for: None,
            patience: Duration::from_secs(300),
        }
    }
}

/// What all clients of a world saw.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) connected: Cell<u32>,
    /// Right answers.
    pub(crate) answered: Cell<u32>,
    /// 408 and 503, to those who put up with it.
    pub(crate) turned_away: Cell<u32>,
    /// Connections that ended before everything was answered.
    pub(crate) ended_early: Cell<u32>,
    /// Plans that were carried out in full.
    pub(crate) finished: Cell<u32>,
    /// The longest time from a connection's begin, or from an answer, to the next answer.
    pub(crate) slowest: Cell<Duration>,
}

fn add(cell: &Cell<u32>) {
    cell.set(cell.get() + 1);
}

/// See the module.
pub(crate) struct Client {
    plan: Plan,
    tally: Rc<Tally>,
    /// The request that is being sent, how much of it is, and how many bytes of all.
    sending: usize,
    sent: usize,
    sent_in_all: usize,
    answered: usize,
    parser: Parser,
    is_connected: bool,
    may_send_at: Instant,
    waits_for_continue: bool,
    /// The body may be sent: it came, or the wait for it was over.
    was_continued: bool,
    has_seen_continue: bool,
    is_over: bool,
    /// As the last request's.
    may_end: bool,
    has_rested: bool,
    progress_at: Instant,
}

const DEADLINE: u32 = 0;
const SEND: u32 = 1;
const CONTINUE: u32 = 2;
const READ: u32 = 3;
const CUT: u32 = 4;
const REST: u32 = 5;
const LEAVE: u32 = 6;

impl Client {
    pub(crate) fn new(plan: Plan, tally: &Rc<Tally>) -> Self {
        Self {
            plan,
            tally: tally.clone(),
            sending: 0,
            sent: 0,
            sent_in_all: 0,
            answered: 0,
            parser: Parser::default(),
            is_connected: false,
            may_send_at: Instant::ZERO,
            waits_for_continue: false,
            was_continued: false,
            has_seen_continue: false,
            is_over: false,
            may_end: false,
            has_rested: false,
            progress_at: Instant::ZERO,
        }
    }

    /// How many bytes it may send of all; beyond, it goes away or silent.
    fn bytes_max(&self) -> usize {
        match self.plan.ending {
            Ending::Reset(bytes) | Ending::Silence(bytes) | Ending::FinAt(bytes) => bytes,
            _ => usize::MAX,
        }
    }

    fn pump(&mut self, end: &mut PeerEnd<'_>) {
        while self.is_connected && !self.is_over {
            if self.sent_in_all >= self.bytes_max() {
                match self.plan.ending {
                    Ending::Reset(_) => {
                        self.over(end);
                        end.reset();
                    }
                    Ending::FinAt(_) => end.fin(),
                    _ => {}
                }
                return;
            }
            if self.sending == self.plan.requests.len() {
                if self.plan.ending == Ending::HalfClose
                    || self.answered == self.plan.requests.len()
                {
                    end.fin();
                }
                return;
            }
            if self.sending >= self.answered + self.plan.depth || self.rests(end) {
                return;
            }
            let request = &self.plan.requests[self.sending];
            let held = request.awaits_continue && !self.was_continued;
            if held && self.sent >= request.head_bytes {
                if !self.waits_for_continue {
                    self.waits_for_continue = true;
                    end.timer_in(Duration::from_secs(2), CONTINUE);
                }
                return;
            }
            if end.now() < self.may_send_at {
                return;
            }
            let in_head = self.sent < request.head_bytes;
            let stops = held || self.plan.stops_behind_heads && in_head;
            let to = if stops { request.head_bytes } else { request.bytes.len() };
            let piece = match self.plan.body_piece_bytes {
                Some(bytes) if self.sent >= request.head_bytes => bytes,
                _ => end.random(self.plan.piece_bytes.0, self.plan.piece_bytes.1) as usize,
            };
            let len = (to - self.sent).min(piece).min(self.bytes_max() - self.sent_in_all);
            let mask = if self.plan.is_masked { MASK } else { 0 };
            let data = &request.bytes[self.sent..self.sent + len];
            let data: Vec<u8> = data.iter().map(|byte| byte ^ mask).collect();
            let taken = end.write(&data);
            self.sent += taken;
            self.sent_in_all += taken;
            if taken > 0 {
                self.progress_at = end.now();
            }
            if self.sent == self.plan.requests[self.sending].bytes.len() {
                self.sending += 1;
                self.sent = 0;
                (self.waits_for_continue, self.was_continued) = (false, false);
            }
            if taken < len {
                return;
            }
            let gap_us = end.random(self.plan.gap_us.0, self.plan.gap_us.1);
            if gap_us > 0 {
                self.may_send_at = end.now() + Duration::from_micros(gap_us);
                end.timer_in(Duration::from_micros(gap_us), SEND);
            }
        }
    }

    /// Whether it is to rest before the next request; then it goes on later by itself.
    fn rests(&mut self, end: &mut PeerEnd<'_>) -> bool {
        let Some((before, time)) = self.plan.rest.filter(|_| !self.has_rested) else {
            return false;
        };
        if self.sending != before || self.sent > 0 {
            return false;
        }
        if self.answered == self.sending {
            self.may_send_at = end.now() + time;
            self.has_rested = true;
            end.timer_in(time, REST);
        }
        true
    }

    fn receive(&mut self, end: &mut PeerEnd<'_>) {
        let mut buf = [0; 4096];
        let mask = if self.plan.is_masked { MASK } else { 0 };
        loop {
            let count = end.read(&mut buf);
            if count == 0 {
                break;
            }
            self.progress_at = end.now();
            self.parser.bytes.extend(buf[..count].iter().map(|byte| byte ^ mask));
        }
        self.take_responses(false, end);
    }

    fn take_responses(&mut self, is_end: bool, end: &mut PeerEnd<'_>) {
        loop {
            if self.parser.ignores_rest {
                return;
            }
            let Some(request) = self.plan.requests.get(self.answered) else {
                if !self.parser.is_empty() {
                    self.fail(end, "bytes behind the last response");
                }
                return;
            };
            let response = match self.parser.next(request.is_head, is_end) {
                Ok(Some(response)) => response,
                Ok(None) => return,
                Err(what) => self.fail(end, what),
            };
            if response.status == 100 {
                if !request.awaits_continue || self.has_seen_continue {
                    self.fail(end, "100 Continue that nobody asked for");
                }
                self.has_seen_continue = true;
                self.was_continued |= self.sending == self.answered;
                self.pump(end);
                continue;
            }
            self.judge(&response, end);
        }
    }

    fn judge(&mut self, response: &Response, end: &mut PeerEnd<'_>) {
        let request = &self.plan.requests[self.answered];
        if self.answered > self.sending || self.answered == self.sending && self.sent == 0 {
            // Who never asked may be told that it took too long.
            if !(self.plan.is_tolerant && matches!(response.status, 408 | 503)) {
                self.fail(end, &format!("{} before the request", response.status));
            }
        }
        let is_right = match &request.expect {
            Expect::Whole(status, body) => {
                let body: &[u8] = if request.is_head { &[] } else { body };
                response.status == *status && response.body == body
            }
            Expect::Status(status) => response.status == *status,
            Expect::Cut => false,
            Expect::CutBehind(body) => response.status == 200 && response.body == *body,
        };
        let is_partial = self.answered == self.sending;
        let ends_within = matches!(self.plan.ending, Ending::FinAt(_)) && is_partial;
        if is_right {
            add(&self.tally.answered);
        } else if self.plan.is_tolerant && matches!(response.status, 408 | 503)
            || ends_within && response.status == 400
        {
            add(&self.tally.turned_away);
        } else {
            let body = String::from_utf8_lossy(&response.body[..response.body.len().min(200)]);
            let (status, length) = (response.status, response.body.len());
            let what = format!("a wrong response: {status}, {length} bytes of body: {body:?}");
            self.fail(end, &what);
        }
        if request.is_head && (ends_within || matches!(response.status, 408 | 503)) {
            // Of a head that was not read nobody knows that no body may be sent.
            self.parser.ignores_rest = true;
        }
        self.may_end |= request.may_end;
        self.answered += 1;
        self.has_seen_continue = false;
        if self.sending < self.answered {
            // Answered before it was sent in full: the rest follows, unless the server closes.
            self.was_continued = true;
        }
    }

    /// The connection has ended.
    fn end(&mut self, is_reset: bool, end: &mut PeerEnd<'_>) {
        if self.is_over {
            return;
        }
        self.take_responses(!is_reset, end);
        let request = self.plan.requests.get(self.answered);
        // A reset takes with it what was answered just before.
        let under_way = self.plan.requests.iter().take(self.sending + 1).skip(self.answered);
        let cuts = |request: &Request| matches!(request.expect, Expect::Cut | Expect::CutBehind(_));
        let is_cut = { under_way }.any(cuts);
        let is_within = !self.parser.is_empty() && !self.parser.ignores_rest;
        // Of a request that was not sent whole an answer may have been begun.
        let is_partial = matches!(self.plan.ending, Ending::FinAt(_))
            && (is_reset || self.answered >= self.sending);
        let is_right = match request {
            // Whoever had all its answers is left in good order.
            None => !is_reset || self.plan.is_tolerant || self.may_end || self.parser.closes,
            Some(_) if is_cut && is_reset => true,
            // An error that found the window full, or a part of one.
            Some(request) if self.parser.is_error() && (request.is_bad() || is_partial) => true,
            Some(_) if is_within && self.parser.is_error() => self.plan.is_tolerant,
            Some(_) if is_within && !is_reset => false,
            Some(_) if self.may_end || is_partial => true,
            Some(_) if is_within => self.plan.is_tolerant,
            Some(_) if matches!(self.plan.ending, Ending::Silence(_)) => true,
            Some(_) => self.plan.is_tolerant || self.parser.closes,
        };
        if !is_right {
            let how = if is_reset { "RST" } else { "FIN" };
            self.fail(end, &format!("{how} although more is due"));
        }
        self.over(end);
    }

    fn over(&mut self, end: &PeerEnd<'_>) {
        if core::mem::replace(&mut self.is_over, true) {
            return;
        }
        let is_done = self.answered == self.plan.requests.len();
        add(if is_done { &self.tally.finished } else { &self.tally.ended_early });
        if self.plan.again_until.is_some_and(|until| end.now() < until) {
            let again = Self::new(self.plan.clone(), &self.tally);
            end.world().connect(address(), Duration::from_millis(50), again);
        }
    }

    #[track_caller]
    fn fail(&self, end: &PeerEnd<'_>, what: &str) -> ! {
        let Plan { name, requests, ending, .. } = &self.plan;
        let lines: Vec<_> = requests
            .iter()
            .map(|request| {
                let line = request.bytes.split(|&byte| byte == b'\r').next().unwrap_or_default();
                format!("{} ({} bytes)", String::from_utf8_lossy(line), request.bytes.len())
            })
            .collect();
        let rest = self.parser.rest();
        end.fail(format_args!(
            "client {name:?} ({ending:?}): {what}\n{} of {} requests answered, {} sent and {} \
             bytes more, of {lines:?}\nunread: {:?}",
            self.answered,
            requests.len(),
            self.sending,
            self.sent,
            String::from_utf8_lossy(&rest[..rest.len().min(300)]),
        ))
    }

    fn note_answer(&self, answered_before: usize, since: Instant, end: &PeerEnd<'_>) {
        if self.answered > answered_before {
            let took = end.now() - since;
            self.tally.slowest.set(self.tally.slowest.get().max(took));
        }
    }
}

impl Client {
    fn on_connected(&mut self, end: &mut PeerEnd<'_>) {
        self.is_connected = true;
        self.progress_at = end.now();
        add(&self.tally.connected);
        if let Some(time) = self.plan.again_for.take() {
            self.plan.again_until = Some(end.now() + time);
        }
        end.timer_in(self.plan.patience, DEADLINE);
        for (time, id) in [(self.plan.cut_within, CUT), (self.plan.leaves_after, LEAVE)] {
            if let Some(time) = time {
                end.timer_in(time, id);
            }
        }
        if let Some(gap_us) = self.plan.read_gap_us {
            end.stop_reading(true);
            end.timer_in(Duration::from_micros(gap_us), READ);
        }
    }
}

impl Peer for Client {
    fn on_event(&mut self, event: PeerEvent, end: &mut PeerEnd<'_>) {
        let (answered, since) = (self.answered, self.progress_at);
        match event {
            PeerEvent::Connected => self.on_connected(end),
            PeerEvent::Readable => self.receive(end),
            PeerEvent::Writable | PeerEvent::Timer(SEND) => {}
            PeerEvent::Timer(REST) => self.progress_at = end.now(),
            PeerEvent::Timer(LEAVE) => {
                self.over(end);
                end.reset();
                return;
            }
            PeerEvent::Timer(CUT) => {
                if !self.is_over {
                    self.fail(end, "it was slow for too long, and nobody ended it");
                }
            }
            PeerEvent::Timer(CONTINUE) => self.was_continued |= self.waits_for_continue,
            PeerEvent::Timer(READ) => {
                // What is there now is read; what comes later waits for the next time.
                self.receive(end);
                end.stop_reading(false);
                end.stop_reading(true);
                let gap = Duration::from_micros(self.plan.read_gap_us.unwrap_or(1_000));
                if !self.is_over {
                    end.timer_in(gap, READ);
                }
            }
            PeerEvent::Timer(_) => {
                let idle = end.now() - self.progress_at;
                if self.is_over {
                    return;
                }
                if idle >= self.plan.patience {
                    self.fail(end, "nothing has happened for too long");
                }
                end.timer_in(self.progress_at + self.plan.patience - end.now(), DEADLINE);
            }
            PeerEvent::Fin => {
                self.receive(end);
                self.end(false, end);
                end.fin();
            }
            PeerEvent::Reset => {
                self.receive(end);
                self.end(true, end);
            }
            PeerEvent::Refused => {
                if !self.plan.is_tolerant {
                    self.fail(end, "refused");
                }
                self.over(end);
            }
        }
        self.note_answer(answered, since, end);
        self.pump(end);
    }
}
