//! One connection from its first byte to a whole head, and what is said when it goes wrong there.
//!
//! Invariants: a head buffer is held by a connection in phase `Head`, `AwaitSlot` or `AwaitBody`,
//! by a slot, or by a call on the stack, which passes it on or releases it before it returns; while
//! a head is read nothing has been answered, so an error can always be said.
//!
//! Place: part of the driver; hands whole heads to `slot`.

use core::future::Future;

use dustdevil_core::list;
use dustdevil_core::nb;
use dustdevil_core::poller::{Readiness, Token, Transport};
use dustdevil_core::reactor::Close;
use dustdevil_core::time::Duration;

use super::driver::Driver;
use super::exchange::{Exchange, Fault, Sent};
use super::journal::Hit;
use super::stats::add;
use super::tables::{HeadBuffer, HeadEntry, Phase, Window, to_front};
use crate::proto::{
    BodyOut, Conn, Event, HeadOut, MediaType, NAMED, Prefix, Reject, SendError, Status,
};

/// How many rounds of head buffers share a grace at most.
const ROUNDS_MAX: usize = 10;
/// Bytes of an error response: its head and one line.
pub(super) const ERROR_BYTES_MAX: usize = 384;

/// What the bytes in a head buffer amount to.
pub(super) enum Parsed {
    /// A whole head; its facts are in the entry.
    Head,
    /// More bytes are needed.
    More,
    /// The peer ended the connection between messages.
    Closed,
    /// Nothing that could be answered otherwise.
    Reject(Reject),
}

/// How a read went.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// Bytes, or the end of input, have arrived.
    Some,
    /// The peer has sent nothing.
    Blocked,
    /// The connection is dead.
    Gone,
}

impl<'r, P, F, H, const STOPS: bool> Driver<'r, '_, P, F, H, STOPS>
where
    P: Transport,
    F: Future<Output = Result<Sent, Fault>> + 'r,
    H: Fn(Exchange<'r>) -> F,
{
    pub(super) fn entry(&self, index: u16) -> &'r HeadEntry<'r> {
        // INVARIANT: head buffers' numbers come from the slab.
        list::entry(self.shared.heads.entries(), usize::from(index))
    }

    /// Reads a connection that has no head buffer yet, whatever its readiness says: nothing there
    /// leaves it as it was.
    pub(super) fn begin_head(&mut self, token: Token) {
        let Some(entry) = self.lease_head() else {
            if self.connection(token).phase() != Phase::AwaitHead {
                self.enter(token, Phase::AwaitHead);
            }
            return;
        };
        match self.read_head(token, entry) {
            Moved::Some => self.advance(token, entry),
            Moved::Blocked => {
                self.release_head(entry);
                if self.connection(token).phase() == Phase::AwaitHead {
                    self.enter(token, Phase::Idle);
                    if self.stopping() {
                        self.close(token, Close::Graceful);
                    }
                }
            }
            Moved::Gone => self.drop_connection(token, entry),
        }
    }

    /// More bytes for a head under way, or for what was left unparsed.
    pub(super) fn head_ready(&mut self, token: Token) {
        self.advance(token, self.entry(self.connection(token).place.get()));
    }

    /// Parses and reads until there is a whole head, nothing to read, or an end.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn advance(&mut self, token: Token, entry: &'r HeadEntry<'r>) {
        loop {
            match self.parse(entry) {
                Parsed::Head => return self.dispatch(token, entry),
                Parsed::Closed => return self.drop_connection(token, entry),
                Parsed::Reject(reject) => {
                    add(&self.common.stats.rejected);
                    return self.refuse(token, entry, reject);
                }
                Parsed::More => {}
            }
            let readable = self.reactor.readiness(token).intersects(Readiness::READ);
            let moved = if readable { self.read_head(token, entry) } else { Moved::Blocked };
            match moved {
                Moved::Some => {}
                Moved::Blocked => return self.await_head(token, entry),
                Moved::Gone => return self.drop_connection(token, entry),
            }
        }
    }

    /// What is in the window. A whole head is consumed and its facts kept.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(super) fn parse(&self, entry: &HeadEntry<'_>) -> Parsed {
        let eof = entry.eof.get();
        loop {
            let (start, end) = (entry.start.get(), entry.end.get());
            if start == end && !eof {
                return Parsed::More;
            }
            let mut buffer = entry.buffer.borrow_mut();
            let HeadBuffer { window, head_start, head } = &mut *buffer;
            let input = window.get(start..end).unwrap_or_default();
            let limits = &self.common.proto_limits;
            match entry.conn.borrow_mut().recv(input, eof, head, limits) {
                Err(reject) => return Parsed::Reject(reject),
                Ok(step) => {
                    entry.start.set(start + step.consumed);
                    match step.event {
                        Some(Event::Head) => {
                            *head_start = start;
                            return Parsed::Head;
                        }
                        Some(Event::Closed) => return Parsed::Closed,
                        _ if step.consumed == 0 => return Parsed::More,
                        _ => {}
                    }
                }
            }
        }
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn read_head(&self, token: Token, entry: &HeadEntry<'_>) -> Moved {
        let window = &mut entry.buffer.borrow_mut().window;
        let (start, end) = (entry.start.get(), entry.end.get());
        if start > 0 && (start == end || end == window.len()) {
            entry.start.set(0);
            entry.end.set(to_front(window, start, end));
        }
        let end = entry.end.get();
        // A window that is full was rejected (431) when it was parsed, so there is room.
        match self.reactor.read(token, window.get_mut(end..).unwrap_or_default()) {
            Ok(0) => {
                entry.eof.set(true);
                Moved::Some
            }
            Ok(len) => {
                entry.end.set(end + len);
                Moved::Some
            }
            Err(nb::Error::WouldBlock) => Moved::Blocked,
            Err(nb::Error::Other(_)) => Moved::Gone,
        }
    }

    /// Waits for the rest of a head. Heads under way hold a bounded share of the buffers: beyond
    /// it the oldest is ended, unless it has just begun, so that a head which arrives whole finds
    /// one.
    fn await_head(&mut self, token: Token, entry: &HeadEntry<'_>) {
        let connection = self.connection(token);
        if connection.phase() != Phase::Head {
            connection.place.set(entry.index);
            self.enter(token, Phase::Head);
        }
        let capacity = &self.shared.capacity;
        if self.lists.list(Phase::Head).len() > capacity.heads - capacity.requests {
            self.evict_head();
        }
    }

    /// Ends who holds a head buffer without being ready to be answered: the oldest whose head has
    /// not arrived whole, once it had time for that, else the oldest that waits for a slot and
    /// whose body has not.
    ///
    /// Time: a kernel sends no segment of more than half its peer's window, so that a browser's
    /// head comes to a board in pieces, and none of them is slow. The more wait for each buffer,
    /// the less time there is.
    fn evict_head(&mut self) -> bool {
        let waiting = self.lists.list(Phase::AwaitHead).len() + 1;
        // There is more than one head buffer; `max` spares the panic of the division.
        let heads = self.shared.capacity.heads.max(1);
        let rounds = waiting.div_ceil(heads).min(ROUNDS_MAX) as u32;
        let grace = Duration::from_millis(u64::from(self.common.limits.patience_ms / 4 / rounds));
        let oldest = if self.lists.list(Phase::Head).is_empty() {
            self.lists.list(Phase::AwaitBody).front()
        } else {
            self.lists.overstayed(Phase::Head, self.now, grace)
        };
        let Some(token) = oldest.and_then(|index| self.reactor.token_at(index as usize)) else {
            return false;
        };
        add(&self.common.stats.shed);
        self.time_out(token);
        true
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn lease_head(&mut self) -> Option<&'r HeadEntry<'r>> {
        let index = self.shared.heads.allot().or_else(|| self.free_head())?;
        let entry = self.entry(index as u16);
        *entry.conn.borrow_mut() = Conn::server();
        entry.start.set(0);
        entry.end.set(0);
        entry.eof.set(false);
        entry.answered_in_crowd.set(0);
        Some(entry)
    }

    /// All head buffers are in use.
    #[cold]
    #[inline(never)]
    fn free_head(&mut self) -> Option<u32> {
        self.common.warn(Hit::Heads);
        if self.evict_head() { self.shared.heads.allot() } else { None }
    }

    /// Returns a head buffer, unless a handler has forgotten it: then it is never lent again.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(super) fn release_head(&self, entry: &HeadEntry<'_>) {
        if entry.buffer.try_borrow_mut().is_some() {
            self.shared.heads.release(u32::from(entry.index));
        } else {
            log::warn!("a handler forgot its request head: one head buffer is lost");
        }
    }

    /// Ends a connection in whose head buffer nothing is left to answer.
    #[cfg_attr(target_os = "none", inline(never))]
    fn drop_connection(&mut self, token: Token, entry: &HeadEntry<'_>) {
        self.keep_head(token, entry);
        self.close(token, Close::Graceful);
    }

    /// Makes the head buffer the connection's, so that `close` returns both.
    fn keep_head(&mut self, token: Token, entry: &HeadEntry<'_>) {
        let connection = self.connection(token);
        if connection.phase() != Phase::Head {
            connection.place.set(entry.index);
            self.enter(token, Phase::Head);
        }
    }

    /// A phase's time is over: says so where something can be said, and ends the connection.
    pub(super) fn time_out(&mut self, token: Token) {
        let connection = self.connection(token);
        let place = connection.place.get();
        match connection.phase() {
            Phase::Head => self.refuse(token, self.entry(place), REQUEST_TIMEOUT),
            Phase::AwaitSlot | Phase::AwaitBody => self.refuse(token, self.entry(place), NO_SLOT),
            Phase::AwaitHead => {
                // A bit may be wrong: whoever has sent nothing is told nothing.
                if let Ok(1..) = self.reactor.read(token, &mut [0]) {
                    self.refuse_unread(token);
                }
                self.close(token, Close::Graceful);
            }
            // Nothing was asked, so nothing is answered.
            _ => self.close(token, Close::Graceful),
        }
    }

    /// Answers with an error and ends the connection, from a phase without a slot.
    fn refuse(&mut self, token: Token, entry: &HeadEntry<'_>, reject: Reject) {
        if !self.connection(token).phase().awaits_slot() {
            self.keep_head(token, entry);
        }
        self.log_refused(token, reject);
        {
            let mut conn = entry.conn.borrow_mut();
            let window = &mut entry.buffer.borrow_mut().window;
            conn.give_up(window.get(entry.start.get()..entry.end.get()).unwrap_or_default());
            // Nobody reads it any more, and it is as long as a body's buffer at least.
            self.say(token, &mut conn, window, reject);
        }
        self.close(token, Close::Graceful);
    }

    /// Answers who waits for a head buffer: so there is none for the answer either.
    #[inline(never)]
    fn refuse_unread(&self, token: Token) {
        let mut conn = Conn::server();
        conn.give_up(&[]);
        self.say(token, &mut conn, &mut [0; ERROR_BYTES_MAX], NO_SLOT);
    }

    /// Writes an error response by way of `out`; what a full socket does not take is lost.
    fn say(&self, token: Token, conn: &mut Conn, out: &mut [u8], reject: Reject) {
        let written = write_error(out, conn, &self.common.prefix.borrow(), reject, 0);
        let Ok((len, _)) = written else { return };
        let mut rest = out.get(..len).unwrap_or_default();
        while !rest.is_empty()
            && let Ok(taken) = self.reactor.write_whole(token, rest)
        {
            rest = rest.get(taken..).unwrap_or_default();
        }
    }
}

pub(super) const REQUEST_TIMEOUT: Reject =
    Reject { status: Status::REQUEST_TIMEOUT, reason: "the request did not arrive in time" };
pub(super) const NO_SLOT: Reject =
    Reject { status: Status::SERVICE_UNAVAILABLE, reason: "too many requests are in work" };

/// Longest reason that an error response says.
const REASON_BYTES_MAX: usize = 88;

/// Writes an error response, or another that says no more than its status: how many bytes, and
/// whether its whole body is among them. `allow`: which methods there are, if that is to be said.
pub(super) fn write_error(
    out: &mut [u8],
    conn: &mut Conn,
    prefix: &Prefix,
    reject: Reject,
    allow: u16,
) -> Result<(usize, bool), SendError> {
    // What does not fit beside the longest head is left out.
    let reason = Some(reject.reason).filter(|reason| reason.len() <= REASON_BYTES_MAX);
    let reason = reason.unwrap_or_default();
    // "400 Bad Request: why"
    let line: [&[u8]; 6] = [
        &reject.status.digits(),
        b" ",
        reject.status.reason().as_bytes(),
        if reason.is_empty() { b"" } else { b": " },
        reason.as_bytes(),
        b"\n",
    ];
    let mut room = [0; ALLOW_BYTES_MAX];
    let field: Option<(&str, &[u8])> = match reject.status {
        Status::SERVICE_UNAVAILABLE => Some(("Retry-After", b"1")),
        // A handler's own 405 knows of no others, and still has to say so (RFC 9110, 15.5.6).
        status if allow != 0 || status == Status::METHOD_NOT_ALLOWED => {
            Some(("Allow", allowed(allow, &mut room)))
        }
        _ => None,
    };
    let head = HeadOut {
        prefix: Some(prefix),
        body: BodyOut::Length(line.iter().map(|part| part.len()).sum::<usize>() as u64),
        content_type: Some(MediaType::PLAIN).filter(|_| !reject.status.is_bodiless()),
        fields: field.as_slice(),
        ..HeadOut::response(reject.status)
    };
    let (mut len, mut whole) = (conn.send_head(out, &head)?, true);
    for part in &line {
        let (taken, written) = conn.send_body(part, out.get_mut(len..).unwrap_or_default());
        len += written;
        whole &= taken == part.len();
    }
    Ok((len, whole))
}

const ALLOW_BYTES_MAX: usize = 64;

/// The value of `Allow`: the names of some methods, a bit for each by its number.
fn allowed(methods: u16, room: &mut [u8; ALLOW_BYTES_MAX]) -> &[u8] {
    let mut text = Window { bytes: room, start: 0, end: 0 };
    for method in NAMED.iter().filter(|&&method| methods & 1 << method as u16 != 0) {
        // All names together are shorter than the room: see the test.
        if !text.is_empty() {
            text.push(b", ");
        }
        text.push(method.as_str().as_bytes());
    }
    let end = text.end;
    room.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_methods_fit_into_allow() {
        let mut room = [0; ALLOW_BYTES_MAX];
        let expected = b"GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH";
        assert_eq!(allowed(u16::MAX, &mut room), expected);
    }
}
