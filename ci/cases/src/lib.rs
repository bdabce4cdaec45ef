//! A conformance suite for HTTP/1.1 servers: raw bytes in, judged answers out.
//!
//! It knows nothing of the server under test but its address and that it has the routes of
//! `examples/conformance`; it shares no code with any server, and reads responses with a strict
//! reader of its own. Each case names the section of RFC 9110 or 9112 that it holds a server to.
//! Where the RFC leaves a choice, each of the allowed outcomes passes.
//!
//! ```text
//! cargo run -p conformance -- --port 8888 &
//! cargo run -p cases -- --server 127.0.0.1:8888              every case
//! cargo run -p cases -- --server 127.0.0.1:8888 --only chunk those with this in their names
//! cargo run -p cases -- --server 192.0.2.2:80 --board        as a board can hold them
//! cargo run -p cases -- --list                               names, sections, where they hold
//! cargo test -p cases                                        ours on Linux; and bad servers
//! cargo test -p qemu --test it cases                         ours on a board
//! python3 ci/cases/peers/by_tornado.py 8889                     the same routes by Tornado 6.6.1
//! go run ci/cases/peers/by_go.go 8890                           and by Go's net/http
//! ```
//!
//! | module | |
//! |---|---|
//! | [`reader`] | reads a response, or says what is wrong with it |
//! | [`case`](mod@case) | what a case is: steps, wants, rows of tables, verdicts |
//! | [`tables`] | the cases |
//! | `play` | plays one case over a socket |
//! | [`run`](mod@run) | plays many, and sums up |
#![cfg(target_os = "linux")]

pub mod case;
mod play;
pub mod reader;
pub mod run;
pub mod tables;

pub use run::{Options, Report, run};
pub use tables::Room;
