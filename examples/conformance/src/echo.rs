//! `/echo`: a body is echoed once it is there as a whole.
//!
//! Why not piece by piece: most clients send all of a body before they read, so that both sides
//! would wait for each other as soon as the sockets are full; and a chunked body that turns out to
//! be too long could not be answered 413 any more.
//!
//! Invariants: there is a buffer for each request in work, so that no body which fits one waits for
//! anybody. For longer ones there are few: who needs one has sent a whole short buffer's worth, and
//! waits for [`WAIT_FOR`] at most; who has had one for [`PATIENCE`] gives it to who waits, so that
//! slow peers keep nothing from others.

use core::cell::Cell;

use dustdevil_http::{
    Body, BufPool, Duration, Exchange, Fault, Handle, Lease, MediaType, Reply, Responder, Sent,
    Status,
};
use embassy_futures::select::{Either, select};

use crate::App;

/// How long a request waits for a long buffer. Then: 503.
const WAIT_FOR: Duration = Duration::from_secs(1);

/// How long a request may keep a long buffer once others wait for one. Then: 408, or an end if the
/// answer has begun.
const PATIENCE: Duration = Duration::from_millis(500);

/// How often those who wait look for a buffer, and those who have one for who waits.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Buffers for bodies that are longer than those which every request can have.
pub(crate) struct Long<'a> {
    pub(crate) buffers: &'a BufPool<'a>,
    /// How many requests wait for one.
    pub(crate) waiting: Cell<u32>,
}

/// Answers with the body.
pub(crate) async fn echo(app: &App<'_>, x: Exchange<'_>) -> Result<Sent, Fault> {
    let Exchange { mut body, out, rt, .. } = x;
    body.limit(app.echo_bytes_max as u64)?;
    let mut short = app.buffers.lease().ok_or(Status::SERVICE_UNAVAILABLE)?;
    let mut length = 0;
    while let Some(room) = short.get_mut(length..).filter(|room| !room.is_empty()) {
        match body.read(room).await? {
            0 => return out.reply(bytes(short.get(..length).unwrap_or_default())).await,
            more => length += more,
        }
    }
    let long = app.long.as_ref().ok_or(Status::CONTENT_TOO_LARGE)?;
    let mut buffer = long.lease(rt).await?;
    match select(echo_long(&short, &mut buffer, body, out), long.is_wanted(rt)).await {
        Either::First(echoed) => echoed,
        Either::Second(()) => Err(Fault::Http(Status::REQUEST_TIMEOUT)),
    }
}

/// As [`echo`], for a body that begins with `short`.
async fn echo_long(
    short: &[u8],
    buffer: &mut [u8],
    mut body: Body<'_>,
    out: Responder<'_>,
) -> Result<Sent, Fault> {
    let split = buffer.split_at_mut_checked(short.len());
    let (start, rest) = split.ok_or(Status::CONTENT_TOO_LARGE)?;
    start.copy_from_slice(short);
    let length = short.len() + body.read_all(rest).await?.len();
    out.reply(bytes(buffer.get(..length).unwrap_or_default())).await
}

impl<'a> Long<'a> {
    /// The next buffer that is free. Whoever looks first when one is gets it.
    async fn lease(&self, rt: Handle<'_>) -> Result<Lease<'a, 'a>, Fault> {
        let _waiter = Waiter::new(&self.waiting);
        let late = rt.now() + WAIT_FOR;
        loop {
            if let Some(buffer) = self.buffers.lease() {
                return Ok(buffer);
            }
            if rt.now() >= late {
                return Err(Fault::Http(Status::SERVICE_UNAVAILABLE));
            }
            rt.sleep(LOOK_EVERY).await;
        }
    }

    /// Resolves once patience is over and somebody waits for a buffer.
    async fn is_wanted(&self, rt: Handle<'_>) {
        rt.sleep(PATIENCE).await;
        while self.waiting.get() == 0 {
            rt.sleep(LOOK_EVERY).await;
        }
    }
}

/// Counts among those who wait, until it is dropped: with its buffer, or with its request.
struct Waiter<'a>(&'a Cell<u32>);

impl<'a> Waiter<'a> {
    fn new(waiting: &'a Cell<u32>) -> Self {
        waiting.set(waiting.get() + 1);
        Self(waiting)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

const fn bytes(body: &[u8]) -> Reply<'_> {
    const BYTES: MediaType<'static> = MediaType::new("application/octet-stream");
    Reply::new(Status::OK).body(BYTES, body)
}
