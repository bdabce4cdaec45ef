//! The HTTP server: plain code drives the connections, a future runs only while one answers.
//!
//! Invariants: nothing allocates, every table is a stated part of [`Capacity`]; every wait has a
//! deadline in [`Limits`]; no readiness is forgotten (a connection that cannot go on stands on a
//! list that says what for); a response is written once per readable batch.
//!
//! ```text
//!            accept                  a byte                whole head, a free slot
//!   listener ------> Fresh ---------------------> Head ------------------------> slot
//!                      | deadline      no buffer |  ^ |  no free slot             |  handler,
//!                      v                         v  | v                           |  flush,
//!                    close <-- deadlines -- AwaitHead AwaitSlot (AwaitBody) ------+  drain
//!                      ^                                                          |
//!                      +---- shed, deadline ---- Idle <--- response flushed ------+
//! ```
//!
//! Place: above the sans-I/O [`proto`] and the reactor; applications see
//! [`Exchange`] only.

mod driver;
mod ending;
pub mod exchange;
pub mod journal;
mod lists;
mod patience;
mod probe;
mod request;
pub mod response;
mod slot;
mod stats;
mod tables;
mod tail;

use core::convert::Infallible;
use core::future::{Future, pending};

use dustdevil_core::memory::Block;
use dustdevil_core::poller::{Token, Transport};
use dustdevil_core::reactor::{self, Reactor};

use crate::proto::{self, FieldRange};
use crate::web::Application;
use exchange::{Exchange, Fault, Sent};
#[doc(hidden)]
pub use probe::Probe;
pub use stats::{Stats, StatsSnapshot};
use tables::Shared;

/// How much of everything a server has room for: values, chosen at run time or in a `const`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Connections at once. Full: one more is accepted, and the one that is idle longest is shed
    /// for it; if none is, others wait in the listener's backlog until one is idle or has used up
    /// a second of patience (see [`Limits::patience_ms`]), and who is answered meanwhile is told
    /// `Connection: close`.
    pub connections: usize,
    /// Requests in work at once: each takes a slot with room for the largest handler's future.
    /// Full: a request waits, at most [`Limits::queue_ms`], then it is answered 503.
    pub requests: usize,
    /// Buffers for heads; at least one more than `requests`. Heads that have not arrived whole
    /// hold at most `heads - requests` of them: the next one evicts the oldest (408), once that
    /// had a quarter of [`Limits::patience_ms`].
    pub heads: usize,
    /// Bytes of each head buffer, a multiple of 8: the longest head (beyond: 431), the table of
    /// its fields (8 bytes each), and what was pipelined behind it.
    pub head_bytes: usize,
    /// Fields of a head at most, up to 64. Beyond: 431.
    pub fields: usize,
    /// Bytes of each slot's buffer for request bodies: 512 or more, and no more than a head
    /// buffer holds beside its field table. A body may be longer: it passes through.
    pub body_bytes: usize,
    /// Bytes of each slot's buffer for responses: the longest response head, and the most that
    /// one write sends. A body may be longer: it passes through.
    pub out_bytes: usize,
    /// Sources of the same reactor that are not this server's: streams, other listeners.
    pub other_sources: usize,
}

impl Capacity {
    /// For Linux: 10,000 connections, 256 requests at once. About 13 MB of address space, of which
    /// what is used becomes memory.
    pub const DEFAULT: Self = Self {
        connections: 10_000,
        requests: 256,
        heads: 768,
        // RFC 9112, 3: request lines of 8,000 octets, beside the table of fields.
        head_bytes: 9 * 1024,
        fields: 64,
        body_bytes: 4 * 1024,
        out_bytes: 16 * 1024,
        other_sources: 0,
    };

    /// For a board: 4 connections, 2 requests at once, about 6 KiB.
    pub const SMALL: Self = Self {
        connections: 4,
        requests: 2,
        heads: 3,
        head_bytes: 1024,
        fields: 24,
        body_bytes: 512,
        out_bytes: 1024,
        other_sources: 0,
    };

    /// [`DEFAULT`](Self::DEFAULT) for `connections`, with no more of anything than they can use:
    /// the one number of a server on Linux. What is answered at once does not grow with it:
    /// `requests` stay 256 and `heads` 768, which is a matter of how long handlers wait
    /// ([`sizing`](crate::sizing)).
    pub const fn for_connections(connections: usize) -> Self {
        let requests =
            if connections < Self::DEFAULT.requests { connections } else { Self::DEFAULT.requests };
        Self { connections, requests, heads: 3 * requests, ..Self::DEFAULT }
    }

    /// The bytes of the block that [`Server::new`] cuts its tables from, for the application `A`.
    pub const fn bytes<A: Application + 'static>(&self) -> usize {
        tables::bytes(self) + crate::web::slots_bytes::<A>(self.requests)
    }

    /// What the server needs of its reactor.
    pub const fn reactor(&self) -> reactor::Capacity {
        reactor::Capacity {
            // The listener, and the connection that is accepted before another is shed for it.
            sources: self.connections + 2 + self.other_sources,
            timers: 2 * self.requests,
            groups: 1,
            tasks: self.requests + 1,
            waiters: self.requests,
        }
    }

    /// How many connections may wait to be accepted, for `Reactor::listen`: as many as there is
    /// room for, from 1,024 to 4,096, which Linux allows (`net.core.somaxconn`). They cost the
    /// kernel alone.
    pub const fn backlog(&self) -> u16 {
        match self.connections {
            ..1_024 => 1_024,
            4_096.. => 4_096,
            connections => connections as u16,
        }
    }

    /// Bytes of a head buffer that bytes from the peer can fill.
    const fn window_bytes(&self) -> usize {
        self.head_bytes - self.fields * size_of::<FieldRange>()
    }

    #[cfg_attr(target_os = "none", inline(always))]
    fn check(&self) {
        let Self { connections, requests, heads, head_bytes, fields, .. } = *self;
        let most = usize::MAX;
        within("connections", connections, 1, most);
        within("requests", requests, 1, most);
        within("heads, more than requests", heads, requests + 1, 65_535);
        within("fields", fields, 0, proto::FIELDS_MAX);
        within("head_bytes, more than the fields take", head_bytes, fields * 8 + 1, 65_536);
        within("head_bytes beyond a multiple of 8", head_bytes % 8, 0, 0);
        within("body_bytes, no more than head_bytes", self.body_bytes, 512, self.window_bytes());
        within("out_bytes", self.out_bytes, 512, most);
    }
}

/// # Panics
/// When a number that was chosen for a table is not from `least` to `most`: with all three.
#[cfg_attr(target_os = "none", inline(always))]
fn within(name: &str, number: usize, least: usize, most: usize) {
    assert!((least..=most).contains(&number), "{number} {name}: {least} to {most}");
}

/// What a peer may ask for and how long it may take. No deadline can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest request body in bytes, for routes that have no limit of their own. Beyond: 413,
    /// before the handler runs where the head tells the length.
    pub body_bytes_max: u64,
    /// Longest line in front of a chunk, with its extensions, in bytes. Beyond: 400.
    pub chunk_line_bytes_max: u8,
    /// Longest trailer section in bytes, and no more than [`Capacity::body_bytes`]. Beyond: 431.
    pub trailer_bytes_max: u16,
    /// From the first byte of a head, or from the accept, to its last, in milliseconds. Then 408,
    /// or a close if nothing arrived.
    pub head_ms: u32,
    /// A connection without a request, in milliseconds. Then it is closed.
    pub idle_ms: u32,
    /// How long a handler may take to begin its response, in milliseconds. Then its future is
    /// dropped: 503.
    pub handler_ms: u32,
    /// How long a request waits for a slot, in milliseconds. Then 503 with `Retry-After`.
    pub queue_ms: u32,
    /// Time a peer has to send or take [`progress_bytes_min`](Self::progress_bytes_min) while a
    /// request's slot waits for it, in milliseconds. Then 408, or an abort once the response began.
    pub progress_ms: u32,
    /// See [`progress_ms`](Self::progress_ms).
    pub progress_bytes_min: u32,
    /// What a peer is granted, in milliseconds, before others that wait may push it out: a
    /// connection that sends no request (for one that waits to be accepted), a slow body or
    /// reader (for a request that waits for a slot). The more wait for each slot the less it is, to
    /// a tenth; peers that moved [`progress_bytes_min`](Self::progress_bytes_min) in proportion may
    /// stay while they hold no more than a quarter of the slots.
    pub patience_ms: u32,
    /// Most of a body that the handler left unread and that is read and thrown away so that the
    /// connection can be used again. Beyond: it is closed.
    pub drain_bytes_max: u32,
    /// Longest time for that, in milliseconds.
    pub drain_ms: u32,
    /// How long a handler goes on after its peer is gone, in milliseconds.
    pub grace_ms: u32,
    /// How long requests in work may take when the server stops, in milliseconds.
    pub stop_ms: u32,
    /// `Server`, at most 40 bytes; empty: not sent.
    pub server_name: &'static str,
}

impl Limits {
    /// 1 MiB of body, 128 bytes before a chunk and 512 of trailers; 10 s for a head, 75 s idle,
    /// 60 s for a handler, 5 s in the queue, 512 bytes in 10 s, 1 s of patience, 64 KiB or 2 s of
    /// draining, 1 s of grace, 10 s to stop.
    pub const DEFAULT: Self = Self {
        body_bytes_max: 1024 * 1024,
        chunk_line_bytes_max: proto::Limits::DEFAULT.chunk_line_bytes_max,
        trailer_bytes_max: proto::Limits::DEFAULT.trailer_bytes_max,
        head_ms: 10_000,
        idle_ms: 75_000,
        handler_ms: 60_000,
        queue_ms: 5_000,
        progress_ms: 10_000,
        progress_bytes_min: 512,
        patience_ms: 1_000,
        drain_bytes_max: 64 * 1024,
        drain_ms: 2_000,
        grace_ms: 1_000,
        stop_ms: 10_000,
        server_name: "Dustdevil",
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// An HTTP server for one application on one reactor. Tornado: `HTTPServer`.
pub struct Server<'r, A> {
    app: &'r A,
    memory: Block<'r>,
    shared: &'r Shared<'r>,
}

impl<'r, A: Application> Server<'r, A> {
    /// A server whose tables are cut from `memory`.
    ///
    /// # Panics
    /// At start-up, with the numbers: when `memory` is smaller than [`Capacity::bytes`], or when
    /// the capacity contradicts itself.
    // Inlined on a board, whose capacity is a constant: the compiler checks it, and nothing of the
    // checks and of their messages is left.
    #[cfg_attr(target_os = "none", inline(always))]
    pub fn new(app: &'r A, mut memory: Block<'r>, capacity: Capacity, limits: Limits) -> Self {
        capacity.check();
        let shared = tables::place(&mut memory, capacity, limits);
        Self { app, memory, shared }
    }

    /// What this server counts, also while it serves.
    pub fn stats(&self) -> &'r Stats<'r> {
        &self.shared.common.stats
    }

    /// A look into the tables while it serves, for tests.
    #[doc(hidden)]
    pub fn probe(&self) -> Probe<'r> {
        Probe { shared: self.shared }
    }

    /// Serves connections of `listener` for ever. Dropping the future closes them all.
    ///
    /// # Panics
    /// At start-up: when the reactor's capacity is not what [`Capacity::reactor`] asked for.
    pub async fn serve<P: Transport>(
        self,
        reactor: &'r Reactor<'_, P>,
        listener: Token,
    ) -> Infallible {
        let app = self.app;
        let handler = move |exchange: Exchange<'r>| app.respond(exchange);
        drive::<_, _, _, _, false>(self.memory, self.shared, reactor, listener, handler, pending())
            .await;
        unreachable!("it was never told to stop")
    }

    /// Serves until `stop` resolves, then drains: the listener is closed, idle connections too,
    /// requests in work are finished within [`Limits::stop_ms`] and answered with
    /// `Connection: close`; what is left then is aborted. The whole reactor is told to stop
    /// ([`Reactor::stop`]), so that handlers which wait for long can end.
    ///
    /// # Panics
    /// As [`serve`](Self::serve).
    pub async fn serve_until<P: Transport>(
        self,
        reactor: &'r Reactor<'_, P>,
        listener: Token,
        stop: impl Future<Output = ()>,
    ) {
        let app = self.app;
        let handler = move |exchange: Exchange<'r>| app.respond(exchange);
        drive::<_, _, _, _, true>(self.memory, self.shared, reactor, listener, handler, stop).await;
    }
}

/// Everything behind `serve`, generic over the future that `handler` makes: its slots are cut from
/// the block, so that nobody has to name its type.
async fn drive<'r, P, F, H, S, const STOPS: bool>(
    memory: Block<'r>,
    shared: &'r Shared<'r>,
    reactor: &'r Reactor<'_, P>,
    listener: Token,
    handler: H,
    stop: S,
) where
    P: Transport,
    F: Future<Output = Result<Sent, Fault>> + 'r,
    H: Fn(Exchange<'r>) -> F,
    S: Future<Output = ()>,
{
    let mut driver =
        driver::Driver::<_, _, _, STOPS>::new(reactor, shared, memory, handler, listener);
    let mut stop = core::pin::pin!(stop);
    core::future::poll_fn(|cx| driver.poll(stop.as_mut(), cx)).await;
}
