//! The server on Linux from outside: real sockets, real processes, other people's clients.
//!
//! | module | what it shows |
//! |---|---|
//! | `list` | the list that every world has to pass |
//! | `process` | what a server process prints and how it ends |
//! | `allocation` | nothing allocates after start-up |
//! | `bad_input` | the status for each kind of bad input, and that nothing leaks |
//! | `starvation` | slow peers do not keep a good one waiting |
//! | `system_calls` | what a request costs the kernel |
//! | `traffic` | pipelines, bodies at full speed, half-closes, stops |
//! | `oracle` | curl, Python's http.client, Tornado and hyper agree with what is sent |
//! | `many` | thousands of connections at once |
//! | `scale` | a million places, and who comes again |
#![cfg(target_os = "linux")]

mod allocation;
mod bad_input;
mod list;
mod many;
mod oracle;
mod process;
mod scale;
mod starvation;
mod system_calls;
mod traffic;
mod util;
