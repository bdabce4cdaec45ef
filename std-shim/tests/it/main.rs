//! Dustdevil on Linux against the real thing: sockets, threads, signals, processes.

mod allocation;
mod epoll;
mod executor;
mod linger;
mod pipe;
mod process;
mod reactor;
mod remote;
mod signal;
mod streams;
mod udp;
mod unix;
mod util;
mod wake;
mod watch;
