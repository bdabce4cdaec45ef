//! What a board tells of itself: its memory and its sockets.
//!
//! Invariant: every figure is one that the target knows; a target that does not know them hands in
//! none, and none are shown.
//!
//! Place: beside [`figures`](crate::Figures), below the application; a board's firmware fills these
//! in, from its linker's symbols and its network stack.

use serde::Serialize;

/// How a board's RAM is used. What it is not used for is free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemoryFigures {
    /// Bytes of RAM that there are.
    pub ram_bytes: u32,
    /// Of those, bytes of statics: all tables, all buffers.
    pub static_bytes: u32,
    /// Of those, bytes that are kept for the stack.
    pub stack_bytes: u32,
    /// Of the stack's bytes, the most that were in use at once.
    pub stack_peak_bytes: u32,
}

/// What becomes of a board's sockets, of which there are few.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NetworkFigures {
    /// Sockets for connections.
    pub sockets: u32,
    /// Of those, the ones that a request for a connection would find free.
    pub free: u32,
    /// Of those, the ones whose connection was given up here and has not ended yet.
    pub lingering: u32,
    /// Requests for connections that wait for a socket now.
    pub held: u32,
    /// Requests for connections that ever waited for one.
    pub held_total: u32,
    /// Requests for connections that were dropped for want of room; whoever sent one tries again.
    pub dropped_total: u32,
}
