//! The two sides of a connection, as types: what only the other side needs is not compiled in.
//!
//! ```
//! use dustdevil_http::proto::{Client, Conn, Server};
//! let (near, far): (Conn<Client>, Conn<Server>) = (Conn::client(), Conn::server());
//! assert!(!near.send_started() && !far.recv_done());
//! ```

use core::fmt::Debug;

/// A side of a connection: [`Server`] or [`Client`].
pub trait Role: sealed::Sealed + Copy + Debug {
    /// Whether it sends requests and receives responses.
    const CLIENT: bool;
}

/// The side that receives requests.
#[derive(Clone, Copy, Debug)]
pub enum Server {}

/// The side that sends requests.
#[derive(Clone, Copy, Debug)]
pub enum Client {}

impl Role for Server {
    const CLIENT: bool = false;
}

impl Role for Client {
    const CLIENT: bool = true;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Server {}
    impl Sealed for super::Client {}
}
