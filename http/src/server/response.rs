//! The response of one request: whole, filled in place, or piece by piece.
//!
//! Invariants: bytes go to the slot's out buffer through the machine, which frames them; whether a
//! response is complete is the machine's to say. Where the buffer is full a future waits until
//! the driver has flushed it.
//!
//! Futures here are cancel-safe in the sense of [`exchange`](super::exchange): a response that was
//! begun and not ended ends the connection.
//!
//! Place: beside [`exchange`](super::exchange), above the slot's record.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::exchange::{Closed, Fault, Sent};
use super::tables::{Answer, HeadEntry, WANTS_OUT};
pub use super::tail::{StaticReply, WriteStatic};
use crate::proto::{BodyOut, HeadOut, MediaType, SendError, StartLine, Status};

/// A whole response: status, fields and a body that is there already.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'r> {
    /// The status.
    pub status: Status,
    /// `Content-Type`.
    pub content_type: Option<MediaType<'r>>,
    /// All other fields; the length and `Connection` follow from the rest.
    pub fields: &'r [(&'r str, &'r [u8])],
    /// The body.
    pub body: &'r [u8],
}

impl<'r> Reply<'r> {
    /// A response with a status and nothing else.
    pub const fn new(status: Status) -> Self {
        Self { status, content_type: None, fields: &[], body: &[] }
    }

    /// The same with another status.
    pub const fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// The same with these fields, in place of those it had.
    pub const fn fields(mut self, fields: &'r [(&'r str, &'r [u8])]) -> Self {
        self.fields = fields;
        self
    }

    /// The same with a media type, for a body that [`Responder::fill`] writes.
    pub const fn content_type(mut self, content_type: MediaType<'r>) -> Self {
        self.content_type = Some(content_type);
        self
    }

    /// The same with a body of a media type.
    pub const fn body(mut self, content_type: MediaType<'r>, body: &'r [u8]) -> Self {
        self.content_type = Some(content_type);
        self.body = body;
        self
    }

    /// The same with a body that lasts as long as the program. What of it does not fit into the out
    /// buffer behind its head is not copied there: it goes to the transport from where it lies, on
    /// a board from flash, on Linux with its head in one `sendmsg`; and the handler is done at
    /// once.
    pub const fn static_body(
        mut self,
        content_type: MediaType<'r>,
        body: &'static [u8],
    ) -> StaticReply<'r> {
        self.content_type = Some(content_type);
        StaticReply { reply: self, body }
    }

    #[inline]
    pub(super) fn head(&self) -> HeadOut<'r> {
        HeadOut {
            body: BodyOut::Length(self.body.len() as u64),
            content_type: self.content_type,
            fields: self.fields,
            ..HeadOut::response(self.status)
        }
    }
}

/// What [`Responder::reply`] takes: [`Reply`] and [`StaticReply`].
pub trait Respond<'c> {
    /// The future that writes it.
    type Writing: Future<Output = Result<Sent, Fault>>;

    /// Writes it to `out`.
    fn respond(self, out: Responder<'c>) -> Self::Writing;
}

impl<'c, 'r> Respond<'c> for Reply<'r> {
    type Writing = WriteReply<'c, 'r>;

    #[inline]
    fn respond(self, out: Responder<'c>) -> WriteReply<'c, 'r> {
        WriteReply { answer: out.answer, reply: self, sent: None }
    }
}

/// The place for a response. Dropping it unused answers 500.
pub struct Responder<'c> {
    pub(super) answer: &'c Answer<'c>,
}

impl<'c> Responder<'c> {
    /// Sends a whole response. Resolves once it is in the out buffer, which the driver then sends;
    /// of a [`StaticReply`], once its head is.
    ///
    /// # Errors
    /// [`Fault::Gone`]; [`Fault::Send`] when its head is malformed or larger than the out buffer.
    #[inline]
    pub fn reply<R: Respond<'c>>(self, reply: R) -> R::Writing {
        reply.respond(self)
    }

    /// Sends a whole response whose body `fill` writes straight into the out buffer, in place of
    /// `reply`'s; `fill` gets the free part of the buffer and returns how many bytes it wrote, or
    /// an error when that is too small: then it is called again with a whole empty buffer, and its
    /// second error is 500.
    ///
    /// The last [`HEAD_ROOM`] bytes of the buffer are kept for the head.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub fn fill<'r, W, E>(self, reply: Reply<'r>, fill: W) -> WriteFilled<'c, 'r, W>
    where
        W: FnMut(&mut [u8]) -> Result<usize, E>,
    {
        WriteFilled { answer: self.answer, reply, fill }
    }

    /// Begins a response whose body follows piece by piece. Unless `head.body` says how it ends,
    /// it gets a `Content-Length` when it ends before the handler waited for anything, and while
    /// it fits into the out buffer; else it is chunked, or ended by the connection for HTTP/1.0.
    /// Tornado: `write` and `flush`.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub async fn start(self, head: HeadOut<'_>) -> Result<BodyWriter<'c>, Fault> {
        let body = if head.body == BodyOut::None { BodyOut::Unknown } else { head.body };
        let head = HeadOut { body, ..head };
        let answer = self.answer;
        let poll = |cx: &mut Context<'_>| match answer.send_head(head) {
            Some(result) => Poll::Ready(result),
            None => answer.wait_out(cx),
        };
        core::future::poll_fn(poll).await?;
        Ok(BodyWriter { answer })
    }

    /// Resolves when the peer is gone; borrows nothing, so it can stand beside anything else.
    pub fn closed(&self) -> Closed<'c> {
        Closed::new(self.answer)
    }
}

/// See [`Responder::reply`].
#[must_use = "a reply is not sent unless it is awaited"]
pub struct WriteReply<'c, 'r> {
    answer: &'c Answer<'c>,
    reply: Reply<'r>,
    /// Bytes of the body that are in the out buffer; `None`: not even the head is.
    sent: Option<usize>,
}

impl Future for WriteReply<'_, '_> {
    type Output = Result<Sent, Fault>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.answer.poll_reply(&this.reply, &mut this.sent, cx)
    }
}

impl Answer<'_> {
    /// [`WriteReply`], compiled once on a board: handlers differ in what they write alone.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    #[cfg_attr(target_os = "none", inline(never))]
    fn poll_reply(
        &self,
        reply: &Reply<'_>,
        sent: &mut Option<usize>,
        cx: &Context<'_>,
    ) -> Poll<Result<Sent, Fault>> {
        match self.send_reply(reply, sent) {
            Some(result) => Poll::Ready(result),
            None => self.wait_out(cx),
        }
    }

    /// Appends as much of a whole response as there is room for; `sent` keeps how far it came.
    /// `None`: there is no room until the out buffer is flushed.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn send_reply(
        &self,
        reply: &Reply<'_>,
        sent: &mut Option<usize>,
    ) -> Option<Result<Sent, Fault>> {
        let Some(entry) = self.entry.get().filter(|_| !self.gone.get()) else {
            return Some(Err(Fault::Gone));
        };
        // Most responses: nothing of it is there yet, and all of it can be.
        if sent.is_none() && reply.status == Status::OK && reply.fields.is_empty() {
            let (mut out, mut conn) = (self.out.borrow_mut(), entry.conn.borrow_mut());
            let prefix = self.common.prefix.borrow_mut();
            let whole = conn.send_whole(out.room(), &prefix, reply.content_type, reply.body);
            if let Some(len) = whole {
                out.end += len;
                self.status.set(Status::OK);
                return Some(Ok(Sent::NEW));
            }
        }
        self.send_parts(entry, reply, sent)
    }

    #[cfg_attr(not(target_os = "none"), inline(never))]
    fn send_parts(
        &self,
        entry: &HeadEntry<'_>,
        reply: &Reply<'_>,
        sent: &mut Option<usize>,
    ) -> Option<Result<Sent, Fault>> {
        let mut out = self.out.borrow_mut();
        let mut conn = entry.conn.borrow_mut();
        let mut from = match *sent {
            Some(from) => from,
            None => {
                self.status.set(reply.status);
                let prefix = self.common.prefix.borrow();
                let head = HeadOut { prefix: Some(&prefix), ..reply.head() };
                match conn.send_head(out.room(), &head) {
                    Ok(len) => out.end += len,
                    Err(SendError::Full) if !out.is_empty() => return None,
                    Err(error) => return Some(Err(Fault::Send(error))),
                }
                0
            }
        };
        while let Some(rest) = reply.body.get(from..).filter(|rest| !rest.is_empty()) {
            let (taken, written) = conn.send_body(rest, out.room());
            out.end += written;
            from += taken;
            if taken == 0 {
                *sent = Some(from);
                return None;
            }
        }
        // The length was known, so nothing is left to be written.
        Some(conn.finish(&mut []).map(|_| Sent::NEW).map_err(Fault::Send))
    }
}

/// Bytes of the out buffer that [`Responder::fill`] keeps for the head.
pub const HEAD_ROOM: usize = 256;

/// See [`Responder::fill`].
#[must_use = "a reply is not sent unless it is awaited"]
pub struct WriteFilled<'c, 'r, W> {
    answer: &'c Answer<'c>,
    reply: Reply<'r>,
    fill: W,
}

impl<W> Unpin for WriteFilled<'_, '_, W> {}

impl<W, E> Future for WriteFilled<'_, '_, W>
where
    W: FnMut(&mut [u8]) -> Result<usize, E>,
{
    type Output = Result<Sent, Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let fill = &mut |room: &mut [u8]| (this.fill)(room).ok();
        match this.answer.send_filled(&this.reply.head(), fill) {
            Some(result) => Poll::Ready(result),
            None => this.answer.wait_out(cx),
        }
    }
}

impl Answer<'_> {
    /// Fills a body behind the room for its head, writes the head, and moves the body up to it
    /// through the machine, which frames it. `None`: there is no room until the buffer is flushed.
    fn send_filled(
        &self,
        head: &HeadOut<'_>,
        fill: &mut dyn FnMut(&mut [u8]) -> Option<usize>,
    ) -> Option<Result<Sent, Fault>> {
        let Some(entry) = self.entry.get().filter(|_| !self.gone.get()) else {
            return Some(Err(Fault::Gone));
        };
        let mut out = self.out.borrow_mut();
        let full = Some(Err(Fault::Send(SendError::Full))).filter(|_| out.is_empty());
        let room = out.room();
        let Some((head_room, body)) = room.split_at_mut_checked(HEAD_ROOM) else { return full };
        let Some(len) = fill(body) else { return full };
        let end = HEAD_ROOM + len.min(body.len());
        let prefix = self.common.prefix.borrow();
        let length = BodyOut::Length((end - HEAD_ROOM) as u64);
        let head = HeadOut { body: length, prefix: Some(&prefix), ..*head };
        let mut conn = entry.conn.borrow_mut();
        // A gap is left between head and body, so that the body has somewhere to move to.
        let head_room = head_room.get_mut(..HEAD_ROOM - GAP).unwrap_or_default();
        let mut to = match conn.send_head(head_room, &head) {
            Ok(head_len) => head_len,
            Err(SendError::Full) => return full,
            Err(error) => return Some(Err(Fault::Send(error))),
        };
        let mut from = HEAD_ROOM;
        while from < end {
            let (front, back) = room.split_at_mut(from);
            let data = back.get(..end - from).unwrap_or_default();
            let (taken, framed) = conn.send_body(data, front.get_mut(to..).unwrap_or_default());
            debug_assert!(taken > 0, "{from} {end} {to}");
            from += taken.max(1);
            to += framed;
        }
        out.end += to;
        self.status.set(status_of(&head));
        Some(conn.finish(&mut []).map(|_| Sent::NEW).map_err(Fault::Send))
    }
}

/// The status of a response; a request, which the machine refuses to send here, has none.
const fn status_of(head: &HeadOut<'_>) -> Status {
    match head.start {
        StartLine::Response(status, _) => status,
        StartLine::Request(..) => Status::INTERNAL_SERVER_ERROR,
    }
}

/// Least distance between a filled body and its head.
const GAP: usize = 16;

/// The body of a response that was begun. Dropping it without [`end`](Self::end) ends the
/// connection, unless all of a promised length was written.
///
/// Of a body that is not sent (to HEAD, with 204 or 304) it takes as much as the out buffer holds;
/// then, or when its handler waits for anything else, the response is complete as it is, and the
/// handler's future is dropped.
pub struct BodyWriter<'c> {
    answer: &'c Answer<'c>,
}

impl<'c> BodyWriter<'c> {
    /// Writes all of `data` into the out buffer, waiting for the peer to take what is before it.
    ///
    /// Cancel-safe: no; a dropped call may have written a part.
    ///
    /// # Errors
    /// [`Fault::Gone`]; [`Fault::Send`] for more bytes than the promised length.
    pub fn write<'b>(&'b mut self, data: &'b [u8]) -> WriteBody<'b, 'c> {
        WriteBody { answer: self.answer, data }
    }

    /// Resolves when everything written so far has been handed to the transport.
    ///
    /// # Errors
    /// [`Fault::Gone`].
    pub fn flush(&mut self) -> Flush<'_, 'c> {
        Flush { writer: self }
    }

    /// Ends the response.
    ///
    /// # Errors
    /// [`Fault::Send`] when fewer bytes were written than promised.
    pub async fn end(self) -> Result<Sent, Fault> {
        self.end_with(&[]).await
    }

    /// Ends the response with a trailer section, which only a chunked body has (RFC 9112, 7.1.2):
    /// one of known length, and one for an HTTP/1.0 peer, leaves it out. A field `Trailer` in the
    /// head announces it, if the handler wrote one.
    ///
    /// # Errors
    /// As [`end`](Self::end); [`Fault::Send`] for fields that may not stand in a trailer section:
    /// framing, routing, authentication, content (RFC 9110, 6.5.1).
    pub async fn end_with(self, trailers: &[(&str, &[u8])]) -> Result<Sent, Fault> {
        let answer = self.answer;
        core::future::poll_fn(|cx| match answer.finish(trailers) {
            Some(result) => Poll::Ready(result),
            None => answer.wait_out(cx),
        })
        .await
    }

    /// Resolves when the peer is gone; borrows nothing.
    pub fn closed(&self) -> Closed<'c> {
        Closed::new(self.answer)
    }
}

impl embedded_io_async::ErrorType for BodyWriter<'_> {
    type Error = Fault;
}

impl embedded_io_async::Write for BodyWriter<'_> {
    /// Writes all of `buf`, as [`BodyWriter::write`] does.
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Fault> {
        BodyWriter::write(self, buf).await?;
        Ok(buf.len())
    }

    async fn flush(&mut self) -> Result<(), Fault> {
        BodyWriter::flush(self).await
    }
}

/// See [`BodyWriter::write`].
#[must_use = "a write does nothing unless it is awaited"]
pub struct WriteBody<'b, 'c> {
    answer: &'c Answer<'c>,
    data: &'b [u8],
}

impl Future for WriteBody<'_, '_> {
    type Output = Result<(), Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = self.answer;
        while !self.data.is_empty() {
            let taken = answer.send_body(self.data)?;
            if taken == 0 {
                if answer.out.borrow().is_empty() && answer.muted.get() == 0 {
                    // An empty buffer takes nothing: the promised length is used up.
                    return Poll::Ready(Err(Fault::Send(SendError::State)));
                }
                return answer.wait_out(cx);
            }
            self.data = self.data.get(taken..).unwrap_or_default();
        }
        Poll::Ready(Ok(()))
    }
}

/// See [`BodyWriter::flush`].
#[must_use = "a flush does nothing unless it is awaited"]
pub struct Flush<'b, 'c> {
    writer: &'b mut BodyWriter<'c>,
}

impl Future for Flush<'_, '_> {
    type Output = Result<(), Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = self.writer.answer;
        if answer.gone.get() {
            Poll::Ready(Err(Fault::Gone))
        } else if answer.is_flushed() {
            Poll::Ready(Ok(()))
        } else {
            answer.wait_out(cx)
        }
    }
}

impl Answer<'_> {
    /// Appends a head to the out buffer. `None`: there is no room until it is flushed.
    #[inline]
    pub(super) fn send_head(&self, head: HeadOut<'_>) -> Option<Result<(), Fault>> {
        let Some(entry) = self.entry.get() else { return Some(Err(Fault::Gone)) };
        if self.gone.get() {
            return Some(Err(Fault::Gone));
        }
        let mut out = self.out.borrow_mut();
        let prefix = self.common.prefix.borrow();
        let head = HeadOut { prefix: Some(&prefix), ..head };
        let sent = entry.conn.borrow_mut().send_head(out.room(), &head);
        match sent {
            Ok(len) => {
                out.end += len;
                self.status.set(status_of(&head));
                Some(Ok(()))
            }
            Err(SendError::Full) if !out.is_empty() => None,
            Err(error) => Some(Err(Fault::Send(error))),
        }
    }

    /// Appends as much of the body as there is room for; how much.
    fn send_body(&self, data: &[u8]) -> Result<usize, Fault> {
        let entry = self.entry.get().filter(|_| !self.gone.get()).ok_or(Fault::Gone)?;
        let mut out = self.out.borrow_mut();
        let mut conn = entry.conn.borrow_mut();
        // As much as the buffer would have held: then the writer waits, which ends the exchange.
        let left = if conn.is_muted() { out.bytes.len() - self.muted.get() } else { usize::MAX };
        let data = data.get(..left).unwrap_or(data);
        let (taken, written) = conn.send_body(data, out.room());
        if left != usize::MAX {
            self.muted.set(self.muted.get() + taken);
        }
        out.end += written;
        Ok(taken)
    }

    /// Ends the body. `None`: there is no room until the out buffer is flushed.
    fn finish(&self, trailers: &[(&str, &[u8])]) -> Option<Result<Sent, Fault>> {
        let Some(entry) = self.entry.get() else { return Some(Err(Fault::Gone)) };
        let mut out = self.out.borrow_mut();
        let end = out.end;
        let finished = entry.conn.borrow_mut().finish_with(out.bytes, end, trailers);
        match finished {
            Ok(end) => {
                out.end = end;
                Some(Ok(Sent::NEW))
            }
            Err(SendError::Full) if !out.is_empty() => None,
            Err(error) => Some(Err(Fault::Send(error))),
        }
    }

    pub(super) fn wait_out<T>(&self, cx: &Context<'_>) -> Poll<T> {
        self.wait(WANTS_OUT, &self.out_waker, cx)
    }
}
