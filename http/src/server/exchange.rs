//! What a handler sees of one request: its head, its body, the place for its response.
//!
//! Invariants: the parts are erased over the poller and the buffer sizes, and each is a pointer to
//! the request's slot, so that a handler's future stays small; the head's bytes do not move while
//! [`RequestHead`] lives; nothing here touches a socket: futures move bytes between the handler
//! and the slot's buffers and say what they wait for, the driver does the rest.
//!
//! All futures here are cancel-safe: dropping one keeps what was taken or written so far, so that
//! a response that was begun and not ended ends the connection, never another response.
//!
//! Place: above the slot's record, below applications.

use core::cell::{Cell, Ref};
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use dustdevil_core::handle::Handle;
use dustdevil_core::poller::Token;

use super::response::Responder;
use super::stats::Stats;
use super::tables::{Answer, HeadBuffer, HeadEntry, WANTS_BODY};
use crate::proto::{
    BodyKind, Event, FieldRange, HeadFacts, Limits, Method, Reject, SendError, Span, Status,
    Version, is_ignoring_case,
};
use crate::web::routes::Route;
use embedded_io_async::ErrorKind;

/// One request and the place for its response, in parts that can be used and dropped apart.
pub struct Exchange<'c> {
    /// What was asked for.
    pub head: RequestHead<'c>,
    /// The request's body.
    pub body: Body<'c>,
    /// Where the response goes.
    pub out: Responder<'c>,
    /// The reactor: to sleep, to connect elsewhere, to learn that the server stops.
    pub rt: Handle<'c>,
}

impl<'c> Exchange<'c> {
    /// The handler's view of a slot whose head is complete.
    pub(super) fn new(answer: &'c Answer<'c>, entry: &'c HeadEntry<'c>, rt: Handle<'c>) -> Self {
        let head = RequestHead { buffer: entry.buffer.borrow(), answer };
        Self { head, body: Body { answer }, out: Responder { answer }, rt }
    }
}

/// Why an exchange cannot go on. A handler passes it up with `?`.
///
/// Before its response began the peer gets the matching error response; after that the connection
/// ends, so that a part is never taken for the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The peer is gone: nobody reads the response.
    Gone,
    /// The request's body was rejected: malformed, or over a limit.
    Rejected(Reject),
    /// The response cannot be sent as asked.
    Send(SendError),
    /// The handler answers with this status and its standard text. Tornado: `HTTPError`. A status
    /// that asks for a field (401, 407, 426) is better said by a [`Reply`](crate::Reply) with it.
    Http(Status),
    /// The same, and why: one line of at most 88 bytes behind the standard text.
    Why(Status, &'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the peer is gone"),
            Self::Rejected(reject) => write!(f, "the request was rejected: {reject}"),
            Self::Send(error) => write!(f, "the response cannot be sent: {error}"),
            Self::Http(status) => write!(f, "{} {}", status.code(), status.reason()),
            Self::Why(status, why) => {
                write!(f, "{} {}: {why}", status.code(), status.reason())
            }
        }
    }
}

impl core::error::Error for Fault {}

impl embedded_io_async::Error for Fault {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Gone => ErrorKind::ConnectionReset,
            Self::Rejected(_) => ErrorKind::InvalidData,
            Self::Send(_) | Self::Http(_) | Self::Why(..) => ErrorKind::Other,
        }
    }
}

impl From<Status> for Fault {
    fn from(status: Status) -> Self {
        Self::Http(status)
    }
}

/// The sign that a response was produced: the only way for a handler to return `Ok`.
#[derive(Debug)]
#[must_use = "return it: it says that the request was answered"]
pub struct Sent(());

impl Sent {
    pub(super) const NEW: Self = Self(());
}

/// The head of a request, frozen in its buffer while this lives. Tornado: `HTTPServerRequest`.
pub struct RequestHead<'c> {
    buffer: Ref<'c, HeadBuffer<'c>>,
    answer: &'c Answer<'c>,
}

impl<'c> RequestHead<'c> {
    fn facts(&self) -> &HeadFacts {
        &self.buffer.head.facts
    }

    /// The head's own bytes: what its spans count in.
    fn bytes(&self) -> &[u8] {
        self.buffer.window.get(self.buffer.head_start..).unwrap_or_default()
    }

    fn text(&self, span: Span) -> &str {
        // INVARIANT: the machine takes nothing but ASCII into a target or a method.
        core::str::from_utf8(span.slice(self.bytes())).unwrap_or_default()
    }

    /// The method; for [`Method::Other`] see [`method_name`](Self::method_name).
    pub fn method(&self) -> Method {
        self.facts().method
    }

    /// The method as it was sent.
    pub fn method_name(&self) -> &str {
        self.text(self.facts().method_span)
    }

    /// The version.
    pub fn version(&self) -> Version {
        self.facts().version
    }

    /// The target's path as it was sent: percent-encoded, `/` where it is empty, `*` where OPTIONS
    /// asks for the whole server.
    pub fn path(&self) -> &str {
        // INVARIANT: the machine takes nothing but ASCII into a target.
        core::str::from_utf8(self.facts().path_in(self.bytes())).unwrap_or_default()
    }

    /// [`path`](Self::path) as bytes, and the method: what the router looks at.
    pub(crate) fn start(&self) -> (Method, &[u8]) {
        let facts = self.facts();
        (facts.method, facts.path_in(self.bytes()))
    }

    /// What follows the first `?` of the target, percent-encoded.
    pub fn query(&self) -> Option<&str> {
        self.facts().query.map(|span| self.text(span))
    }

    /// The host and port that were asked for; empty where HTTP/1.0 named none.
    pub fn host(&self) -> &str {
        self.text(self.facts().host)
    }

    /// The parameter `name` of the route's pattern, as it was sent: percent-encoded, and never with
    /// a `/` unless the pattern's `{name*}` takes the rest.
    pub fn param(&self, name: &str) -> Option<&str> {
        let value = self.answer.route.get()?.param(self.start().1, name)?;
        // INVARIANT: the machine takes nothing but ASCII into a target.
        core::str::from_utf8(value).ok()
    }

    /// The value of the first field `name`, compared without regard to case (RFC 9110, 5.1).
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.fields().find(|(field, _)| is_ignoring_case(field, name)).map(|field| field.1)
    }

    /// The values of all fields `name`, in the order they came in: of a list (`#element`) they are
    /// the parts (RFC 9110, 5.3). Tornado: `headers.get_list`.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.fields().filter(move |(field, _)| is_ignoring_case(field, name)).map(|field| field.1)
    }

    /// All fields in the order they came in, as name and value.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let used = usize::from(self.facts().fields);
        let bytes = self.bytes();
        let fields = self.buffer.head.fields.get(..used).unwrap_or_default();
        fields.iter().map(move |FieldRange { name, value }| (name.slice(bytes), value.slice(bytes)))
    }

    /// What the server counts: for status pages.
    pub fn stats(&self) -> &Stats<'c> {
        &self.answer.common.stats
    }

    /// The connection's source, for the peer's address by [`Handle::peer`].
    pub fn token(&self) -> Option<Token> {
        self.answer.token.get()
    }

    /// Tells the router's choice to [`param`](Self::param), and the limit of its body.
    pub(crate) fn set_route(&self, route: &'static Route) {
        self.answer.route.set(Some(route));
    }

    /// Tells the error response which methods there are.
    pub(crate) fn set_allow(&self, methods: u16) {
        self.answer.allow.set(methods);
    }
}

/// The body of a request, read as it comes in: by its own methods, or as
/// [`embedded_io_async::Read`]. Decoded: chunks are joined.
pub struct Body<'c> {
    answer: &'c Answer<'c>,
}

impl<'c> Body<'c> {
    /// How many bytes the whole body has; `None` where only its end will tell (chunked).
    pub fn len(&self) -> Option<u64> {
        match self.answer.entry.get()?.body() {
            BodyKind::None => Some(0),
            BodyKind::Length(len) => Some(len),
            BodyKind::Chunked | BodyKind::UntilClose => None,
        }
    }

    /// Whether there is no body, or one of no bytes; a chunked body is not known to be empty.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// Takes at most `bytes` of body from here on, whatever the route or the server said. For
    /// handlers that learn from the head how much to take; a route's own limit is in its table,
    /// see [`routes!`](crate::routes). Tornado: `set_max_body_size`.
    ///
    /// # Errors
    /// [`Fault::Rejected`] with 413 when the head announced more.
    pub fn limit(&mut self, bytes: u64) -> Result<(), Fault> {
        self.answer.body_bytes_max.set(bytes);
        match self.len() {
            Some(len) if len > bytes => Err(Fault::Rejected(TOO_LARGE)),
            _ => Ok(()),
        }
    }

    /// Reads the next bytes of the body: at least one, `Ok(0)` at its end or for an empty `buf`.
    /// A peer that waits for `100 Continue` gets it with the first read.
    ///
    /// Cancel-safe: bytes leave the connection only when this resolves.
    ///
    /// # Errors
    /// [`Fault::Gone`], or [`Fault::Rejected`]: a malformed body, or one over its limit (413).
    pub fn read<'b>(&'b mut self, buf: &'b mut [u8]) -> ReadBody<'b, 'c> {
        ReadBody { answer: self.answer, buf }
    }

    /// Shows the next bytes of the body where they lie, without a copy: resolves with how many,
    /// `Ok(0)` at its end. The fields of a chunked body's trailer section are shown too, before
    /// that end; all other ways to read drop them. They come from the peer after everything was
    /// decided: never take one for a field of the head (RFC 9110, 6.5.1).
    ///
    /// Cancel-safe: everything is shown once.
    ///
    /// # Errors
    /// As [`read`](Self::read); 431 for a trailer section over
    /// [`Limits::trailer_bytes_max`](crate::Limits::trailer_bytes_max).
    pub fn visit<T: FnMut(Part<'_>)>(&mut self, to: T) -> VisitBody<'c, T> {
        VisitBody { answer: self.answer, to }
    }

    /// Reads the whole body into `buf` and returns it.
    ///
    /// Cancel-safe: no; what was read by a dropped call is in `buf`, but its length is lost.
    ///
    /// # Errors
    /// As [`read`](Self::read); 413 as [`Fault::Http`] when the body is longer than `buf`.
    pub async fn read_all<'b>(&mut self, buf: &'b mut [u8]) -> Result<&'b mut [u8], Fault> {
        let mut len = 0;
        loop {
            match buf.get_mut(len..).filter(|room| !room.is_empty()) {
                Some(room) => match self.read(room).await? {
                    0 => break,
                    more => len += more,
                },
                None => {
                    let mut probe = [0];
                    if self.read(&mut probe).await? > 0 {
                        return Err(Fault::Http(Status::CONTENT_TOO_LARGE));
                    }
                    break;
                }
            }
        }
        Ok(buf.get_mut(..len).unwrap_or_default())
    }

    /// Resolves when the peer is gone; borrows nothing, so it can stand beside a read.
    pub fn closed(&self) -> Closed<'c> {
        Closed { answer: self.answer }
    }
}

impl embedded_io_async::ErrorType for Body<'_> {
    type Error = Fault;
}

impl embedded_io_async::Read for Body<'_> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Fault> {
        Body::read(self, buf).await
    }
}

/// See [`Body::visit`].
#[must_use = "a read does nothing unless it is awaited"]
pub struct VisitBody<'c, T> {
    answer: &'c Answer<'c>,
    to: T,
}

impl<T> Unpin for VisitBody<'_, T> {}

impl<T: FnMut(Part<'_>)> Future for VisitBody<'_, T> {
    type Output = Result<usize, Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { answer, to } = &mut *self;
        match answer.pass_body(usize::MAX, to) {
            Some(result) => Poll::Ready(result),
            None => answer.wait(WANTS_BODY, &answer.body_waker, cx),
        }
    }
}

/// What a received body is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// Some bytes, never none.
    Data(&'a [u8]),
    /// A field of the trailer section: its name and its value.
    Trailer(&'a [u8], &'a [u8]),
}

/// The body is longer than its limit.
pub(super) const TOO_LARGE: Reject =
    Reject { status: Status::CONTENT_TOO_LARGE, reason: "the body is larger than its limit" };

/// See [`Body::read`].
#[must_use = "a read does nothing unless it is awaited"]
pub struct ReadBody<'b, 'c> {
    answer: &'c Answer<'c>,
    buf: &'b mut [u8],
}

impl Future for ReadBody<'_, '_> {
    type Output = Result<usize, Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = self.answer;
        match answer.read_body(self.buf) {
            Some(result) => Poll::Ready(result),
            None => answer.wait(WANTS_BODY, &answer.body_waker, cx),
        }
    }
}

impl Answer<'_> {
    /// Some bytes of the body; `None`: more must arrive.
    fn read_body(&self, buf: &mut [u8]) -> Option<Result<usize, Fault>> {
        if buf.is_empty() {
            return Some(Ok(0));
        }
        self.pass_body(buf.len(), &mut |part| {
            if let Part::Data(bytes) = part
                && let Some(place) = buf.get_mut(..bytes.len())
            {
                place.copy_from_slice(bytes);
            }
        })
    }

    /// Passes on some bytes of the body where they lie, at most `most`: how many, 0 at its end;
    /// `None`: more must arrive.
    pub(super) fn pass_body(
        &self,
        most: usize,
        to: &mut dyn FnMut(Part<'_>),
    ) -> Option<Result<usize, Fault>> {
        let entry = self.entry.get()?;
        if entry.conn.borrow().recv_done() {
            return Some(Ok(0));
        }
        if let Some(reject) = self.rejected.get() {
            return Some(Err(Fault::Rejected(reject)));
        }
        loop {
            let (start, end) = (entry.start.get(), entry.end.get());
            let in_head = start < end;
            let stepped = if in_head {
                let buffer = entry.buffer.try_borrow()?;
                let window = buffer.window.get(start..end).unwrap_or_default();
                self.step_body(entry, window, most, to)
            } else {
                // The driver alone borrows it mutably, and never while a handler runs.
                self.step_body(entry, self.body.try_borrow()?.used(), most, to)
            };
            let (consumed, passed) = match stepped {
                Ok(step) => step,
                Err(reject) => {
                    self.rejected.set(Some(reject));
                    return Some(Err(Fault::Rejected(reject)));
                }
            };
            if in_head {
                entry.start.set(start + consumed);
            } else {
                self.body.borrow_mut().consume(consumed);
            }
            if let Some(len) = passed {
                return Some(Ok(len));
            }
            if consumed == 0 {
                break;
            }
        }
        if self.gone.get() {
            return Some(Err(Fault::Gone));
        }
        self.send_continue(entry);
        None
    }

    /// One step of the machine over `input`: bytes consumed, and bytes passed on if any were (0:
    /// the body is over).
    fn step_body(
        &self,
        entry: &HeadEntry<'_>,
        input: &[u8],
        most: usize,
        to: &mut dyn FnMut(Part<'_>),
    ) -> Result<(usize, Option<usize>), Reject> {
        let mut conn = entry.conn.borrow_mut();
        let limits =
            Limits { body_bytes_max: self.body_bytes_max.get(), ..self.common.proto_limits };
        // No more than is taken, because what a step names is consumed; but a line of framing may
        // be longer than that, and is then shown whole.
        let clipped = input.get(..most).unwrap_or(input);
        let eof = entry.eof.get();
        let mut step = conn.recv_body(clipped, eof && clipped.len() == input.len(), &limits)?;
        if step.consumed == 0 && step.event.is_none() && clipped.len() < input.len() {
            step = conn.recv_body(input, eof, &limits)?;
        }
        let passed = match step.event {
            Some(Event::Body(range)) => {
                let bytes = input.get(range).unwrap_or_default();
                debug_assert!(bytes.len() <= most, "a body step longer than its reader");
                to(Part::Data(bytes));
                Some(bytes.len())
            }
            Some(Event::Trailer(field)) => {
                to(Part::Trailer(field.name.slice(input), field.value.slice(input)));
                None
            }
            Some(Event::End) => Some(0),
            _ if conn.recv_done() => Some(0),
            _ => None,
        };
        Ok((step.consumed, passed))
    }

    fn send_continue(&self, entry: &HeadEntry<'_>) {
        let mut conn = entry.conn.borrow_mut();
        if conn.wants_continue() {
            let mut out = self.out.borrow_mut();
            let len = conn.send_continue(out.room());
            out.end += len;
        }
    }

    /// Notes what the handler waits for; always `Pending`.
    pub(super) fn wait<T>(
        &self,
        wants: u8,
        waker: &Cell<Option<Waker>>,
        cx: &Context<'_>,
    ) -> Poll<T> {
        self.wants.set(self.wants.get() | wants);
        self.set_waker(waker, cx);
        Poll::Pending
    }

    #[cfg_attr(target_os = "none", inline(never))]
    fn set_waker(&self, waker: &Cell<Option<Waker>>, cx: &Context<'_>) {
        self.wakers_set.set(true);
        waker.set(Some(cx.waker().clone()));
    }
}

/// Resolves when the peer of a request is gone: it was reset, or a write to it failed. A peer that
/// only finished sending (FIN) is not gone. Cancel-safe.
#[must_use = "it does nothing unless it is awaited"]
pub struct Closed<'c> {
    answer: &'c Answer<'c>,
}

impl<'c> Closed<'c> {
    pub(super) fn new(answer: &'c Answer<'c>) -> Self {
        Self { answer }
    }
}

impl Future for Closed<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.answer.gone.get() {
            return Poll::Ready(());
        }
        self.answer.set_waker(&self.answer.gone_waker, cx);
        Poll::Pending
    }
}
