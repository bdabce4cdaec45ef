//! The conformance application: its routes over real sockets, and its waits in a simulated world.
//!
//! | module | what it shows |
//! |---|---|
//! | `table` | each route's answer; the same list runs against a board |
//! | `routes` | that list on Linux, and what only Linux has room for |
//! | `memory` | 64 MiB up and 64 MiB down, in the memory that was there before |
//! | `waiting` | who waits for `/echo`'s buffers, how long, and what slow peers may keep |
#![cfg(target_os = "linux")]

mod memory;
mod routes;
mod table;
mod util;
mod waiting;
