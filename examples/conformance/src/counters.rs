//! `/counters`: what is in use now, which must return to what it was, and what was counted.

use core::fmt::Write;

use dustdevil_http::{BufPool, Exchange, Fault, Sent};

use crate::text::Text;
use crate::{App, PLAIN};

/// What a board knows of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BoardFigures {
    /// Sockets that a request for a connection would find free.
    pub sockets_free: u32,
    /// Sockets whose connection was given up here and has not ended yet.
    pub sockets_lingering: u32,
    /// Requests for connections that wait for a socket now.
    pub syns_held: u32,
    /// The most bytes of the stack that were in use at once.
    pub stack_peak_bytes: u32,
}

/// Lines `name=value`. At rest those from `open` to `syns_held` are always the same; the request
/// that asks is among them. All are of the worker that answers.
pub(crate) async fn counters(app: &App<'_>, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.out
        .fill(PLAIN, |out| {
            let mut text = Text::new(out);
            let (server, reactor) = (x.head.stats().snapshot(), x.rt.snapshot());
            let mut line = |name, value: u64| writeln!(text, "{name}={value}");
            line("open", server.open.into())?;
            line("idle", server.idle.into())?;
            line("in_work", server.in_work.into())?;
            line("heads_out", server.open.saturating_sub(server.idle).into())?;
            line("sources", reactor.sources.into())?;
            let lent = |buffers: &BufPool<'_>| (buffers.capacity() - buffers.idle()) as u64;
            let long = app.long.as_ref().map_or(0, |long| lent(long.buffers));
            line("buffers_lent", lent(app.buffers) + long)?;
            if let Some(board) = app.board {
                let board = board();
                line("sockets_free", board.sockets_free.into())?;
                line("sockets_lingering", board.sockets_lingering.into())?;
                line("syns_held", board.syns_held.into())?;
                line("stack_peak_bytes", board.stack_peak_bytes.into())?;
            }
            line("accepted", server.accepted.into())?;
            line("open_peak", server.open_peak.into())?;
            line("shed", server.shed.into())?;
            line("requests", server.requests.into())?;
            line("rejected", server.rejected.into())?;
            line("timed_out", server.timed_out.into())?;
            line("aborted", server.aborted.into())?;
            line("timers_refused", reactor.timers_refused.into())?;
            line("waiters_refused", reactor.waiters_refused.into())?;
            line("longest_turn_us", reactor.longest_turn_us)?;
            line("bytes_in", reactor.bytes_in)?;
            line("bytes_out", reactor.bytes_out)?;
            Ok::<_, core::fmt::Error>(text.length())
        })
        .await
}
