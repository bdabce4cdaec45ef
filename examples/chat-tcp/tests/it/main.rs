//! The chat: in the simulator over many seeds, and the real program over real sockets.
//!
//! | module | what it shows |
//! |---|---|
//! | `manners` | each thing that a client can do, and what it and the others are told |
//! | `closing` | the end: nobody who reads slowly delays it for longer than the limit |
//! | `seeds` | any network, any crowd: everybody reads one story without a gap |
//! | `crowd` | a thousand clients of the real program, twenty of which stop reading |
//! | `process` | the real program: its limits, half-closed and reset connections, its end |
#![cfg(target_os = "linux")]

mod closing;
mod crowd;
mod manners;
mod process;
mod seeds;
mod util;
