//! Attacks on `conformance` on Linux, with more attackers than it has room for, and on a server
//! that is easy to bring down, to see that this is noticed.
#![cfg(target_os = "linux")]

mod linux;
mod naive;
mod server;
