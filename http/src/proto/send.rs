//! The sending half of a connection: heads with their framing, bodies, and how they end.
//!
//! Invariant: what a message is framed by is decided here and in [`defer`](super::defer), by what
//! was asked for, the status and the peer's version; nobody else writes a framing field.
//!
//! Place: the other half of [`conn`](super::conn), above `write`.

use super::conn::{CLOSE, CONNECT, EXPECT, HEAD, HTTP10, Recv, Send, UPGRADE, clip};
use super::write::{self, ConnectionLine, FramingLine};
use super::{BodyOut, Conn, HeadOut, Method, Role, SendError, StartLine, Status};

impl<R: Role> Conn<R> {
    /// Writes a head, whole or not at all; the number of bytes written. Server: a response; 1xx
    /// but 101 may come before it (and is left out, with `Ok(0)`, for an HTTP/1.0 peer). Client:
    /// a request. Afterwards the body goes to [`Conn::send_body`] and ends with
    /// [`Conn::finish`]. Server: a final head that is sent while the peer waits for `100
    /// Continue` closes the connection, since its body may or may not follow.
    ///
    /// # Errors
    /// All of [`SendError`] but `Short`; nothing is then sent and the state is as before.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub fn send_head(&mut self, out: &mut [u8], head: &HeadOut<'_>) -> Result<usize, SendError> {
        if self.send != Send::Idle {
            return Err(SendError::State);
        }
        match head.start {
            StartLine::Response(status, _) if !R::CLIENT => self.send_response(out, head, status),
            StartLine::Request(method, _) if R::CLIENT && self.recv == Recv::Head => {
                self.send_request(out, head, write::method_of(method))
            }
            _ => Err(SendError::State),
        }
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn send_response(
        &mut self,
        out: &mut [u8],
        head: &HeadOut<'_>,
        status: Status,
    ) -> Result<usize, SendError> {
        let unknown = matches!(head.body, BodyOut::Unknown);
        if (unknown || self.has(CONNECT) || (status != Status::OK && status.is_empty()))
            && let Some(len) = self.send_special(out, head, status)?
        {
            return Ok(len);
        }
        self.send_ordinary(out, head)
    }

    /// A response that may have a body, and whose head says how that ends.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn send_ordinary(&mut self, out: &mut [u8], head: &HeadOut<'_>) -> Result<usize, SendError> {
        let mute = self.has(HEAD);
        let (framing, send, left) = match head.body {
            BodyOut::Length(n) => (FramingLine::Length(n), Send::Length, n),
            // RFC 9110, 8.6: to HEAD only the length that GET would have.
            BodyOut::None if mute => (FramingLine::None, Send::Done, 0),
            BodyOut::None => (FramingLine::Length(0), Send::Done, 0),
            _ if self.has(HTTP10) => (FramingLine::None, Send::UntilClose, u64::MAX),
            _ => (FramingLine::Chunked, Send::Chunked, u64::MAX),
        };
        self.send_framed(out, head, framing, if mute { Send::Mute } else { send }, left)
    }

    #[cfg_attr(not(target_os = "none"), inline(always))]
    #[cfg_attr(target_os = "none", inline(never))]
    fn send_framed(
        &mut self,
        out: &mut [u8],
        head: &HeadOut<'_>,
        framing: FramingLine,
        send: Send,
        left: u64,
    ) -> Result<usize, SendError> {
        let close = self.has(CLOSE | EXPECT) || send == Send::UntilClose;
        let connection = match (close, self.has(HTTP10)) {
            (true, _) => ConnectionLine::Close,
            (false, true) => ConnectionLine::KeepAlive,
            (false, false) => ConnectionLine::None,
        };
        let len = write::head::<R>(out, head, framing, connection)?;
        self.send_left = left;
        self.send = if left == 0 { Send::Done } else { send };
        self.flags |= if close { CLOSE } else { 0 };
        Ok(len)
    }

    /// Any other: an interim one, a change of protocol, one whose status has no content, and one
    /// whose length is not known. `None`: it is none of these, and left to the caller, so that on a
    /// board this frame is not on the stack below those that write it.
    #[cold]
    #[inline(never)]
    fn send_special(
        &mut self,
        out: &mut [u8],
        head: &HeadOut<'_>,
        status: Status,
    ) -> Result<Option<usize>, SendError> {
        let switches = status == Status::SWITCHING_PROTOCOLS;
        if status.is_informational() && !switches {
            if self.has(HTTP10) {
                return Ok(Some(0));
            }
            return write::head::<R>(out, head, FramingLine::None, ConnectionLine::None).map(Some);
        }
        if switches || (self.has(CONNECT) && status.is_success()) {
            let offered = !switches || (self.has(UPGRADE) && head.upgrade.is_some());
            if !offered || !self.recv_done() || head.body != BodyOut::None {
                return Err(SendError::State);
            }
            let len = write::head::<R>(out, head, FramingLine::None, ConnectionLine::None)?;
            (self.recv, self.send) = (Recv::Upgrading, Send::Upgraded);
            return Ok(Some(len));
        }
        if !status.is_empty() {
            // HTTP/1.0 is told of the connection behind all other fields: not with one more there.
            let placed = !self.has(HTTP10) || !(self.has(HEAD) || head.upgrade.is_some());
            return match head.body {
                BodyOut::Unknown if placed => self.send_deferred(out, head).map(Some),
                _ => Ok(None),
            };
        }
        // RFC 9110, 8.6: no length in 204, and in 304 only the one of the 200 that it stands for,
        // which is not the 0 of a reply without a body; 15.3.6: 205 is empty, and says so.
        let framing = match head.body {
            _ if status == Status::RESET_CONTENT => FramingLine::Length(0),
            BodyOut::Length(n @ 1..) if status == Status::NOT_MODIFIED => FramingLine::Length(n),
            _ => FramingLine::None,
        };
        let left = match head.body {
            BodyOut::None => 0,
            BodyOut::Length(n) => n,
            BodyOut::Chunked | BodyOut::Unknown => u64::MAX,
        };
        self.send_framed(out, head, framing, Send::Mute, left).map(Some)
    }

    fn send_request(
        &mut self,
        out: &mut [u8],
        head: &HeadOut<'_>,
        method: Method,
    ) -> Result<usize, SendError> {
        let (framing, send, left) = match head.body {
            BodyOut::None if method.expects_body() => (FramingLine::Length(0), Send::Done, 0),
            BodyOut::None => (FramingLine::None, Send::Done, 0),
            BodyOut::Length(0) => (FramingLine::Length(0), Send::Done, 0),
            BodyOut::Length(n) => (FramingLine::Length(n), Send::Length, n),
            BodyOut::Chunked => (FramingLine::Chunked, Send::Chunked, u64::MAX),
            // What that writes is none of these three's to say.
            BodyOut::Unknown => (FramingLine::None, Send::Deferred, 0),
        };
        let len = if send == Send::Deferred {
            self.send_deferred(out, head)?
        } else {
            let close = self.has(CLOSE);
            let connection = if close { ConnectionLine::Close } else { ConnectionLine::None };
            write::head::<R>(out, head, framing, connection)?
        };
        (self.send, self.send_left) = (send, left);
        self.flags |= match method {
            Method::Head => HEAD,
            Method::Connect => CONNECT,
            _ => 0,
        };
        self.flags |= if head.upgrade.is_some() { UPGRADE } else { 0 };
        Ok(len)
    }

    /// Frames body bytes into `out`: how many were taken from `data`, how many were written. Bytes
    /// beyond the promised length are not taken; those of a body that must not be sent (HEAD,
    /// 204, 304) are taken and not written. `(0, 0)`: no room, no data, or nothing more to send.
    pub fn send_body(&mut self, data: &[u8], out: &mut [u8]) -> (usize, usize) {
        let (taken, written) = match self.send {
            Send::Length => {
                let n = clip(self.send_left, data.len().min(out.len()));
                copy(data, out, n);
                (n, n)
            }
            Send::Mute => (clip(self.send_left, data.len()), 0),
            Send::Chunked => return write::chunk(data, out),
            Send::UntilClose => {
                let n = data.len().min(out.len());
                copy(data, out, n);
                return (n, n);
            }
            Send::Deferred | Send::Deferred10 | Send::DeferredMute => {
                return self.defer_body(data, out);
            }
            Send::Idle | Send::Done | Send::Upgraded => return (0, 0),
        };
        if self.send_left != u64::MAX {
            self.send_left -= taken as u64;
            if self.send_left == 0 {
                self.send = Send::Done;
            }
        }
        (taken, written)
    }

    /// Counts `len` body bytes as sent that the caller sends itself, behind all that was written:
    /// how many it must. Bytes beyond the promised length are not counted; of a body that must not
    /// be sent (HEAD, 304) none are to be sent. Only for a body whose length was told.
    pub fn send_apart(&mut self, len: usize) -> usize {
        let mute = self.send == Send::Mute;
        if !mute && self.send != Send::Length {
            return 0;
        }
        let taken = clip(self.send_left, len);
        if self.send_left != u64::MAX {
            self.send_left -= taken as u64;
            if self.send_left == 0 {
                self.send = Send::Done;
            }
        }
        if mute { 0 } else { taken }
    }

    /// Ends the body; the number of bytes written (the last chunk's five, or none). Once done it
    /// does nothing more.
    ///
    /// # Errors
    /// `Full`: call again. `Short`: fewer bytes were sent than promised, so [`Conn::must_close`]
    /// is true from here on. `State`: no head was sent, or one with [`BodyOut::Unknown`] that was
    /// not sealed: see [`Conn::finish_with`].
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn finish(&mut self, out: &mut [u8]) -> Result<usize, SendError> {
        match self.send {
            Send::Idle | Send::Deferred | Send::Deferred10 | Send::DeferredMute => {
                Err(SendError::State)
            }
            Send::Length => {
                self.flags |= CLOSE;
                Err(SendError::Short)
            }
            Send::Chunked => {
                let len = write::all(out, b"0\r\n\r\n")?;
                self.send = Send::Done;
                Ok(len)
            }
            Send::UntilClose | Send::Mute => {
                self.send = Send::Done;
                Ok(0)
            }
            Send::Done | Send::Upgraded => Ok(0),
        }
    }

    /// Whether the peer holds its body back until it reads `100 Continue`, and may still be told.
    #[inline]
    pub fn wants_continue(&self) -> bool {
        self.has(EXPECT) && self.send == Send::Idle
    }

    /// Writes `100 Continue` if the peer waits for it; the number of bytes written. 0 also means
    /// that there was too little room, and then [`Conn::wants_continue`] is still true.
    pub fn send_continue(&mut self, out: &mut [u8]) -> usize {
        if !self.wants_continue() {
            return 0;
        }
        let written = write::all(out, b"HTTP/1.1 100 Continue\r\n\r\n");
        self.flags &= if written.is_ok() { !EXPECT } else { !0 };
        written.unwrap_or(0)
    }
}

pub(super) fn copy(data: &[u8], out: &mut [u8], len: usize) {
    if let (Some(from), Some(to)) = (data.get(..len), out.get_mut(..len)) {
        to.copy_from_slice(from);
    }
}
