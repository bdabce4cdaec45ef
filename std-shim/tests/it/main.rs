//! Dustdevil on Linux against the real thing: sockets, threads, signals, processes.

mod epoll;
mod linger;
mod process;
mod streams;
mod util;
mod wake;
