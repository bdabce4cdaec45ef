//! Sizing a server: from what it shall hold to the RAM it takes, before it runs.
//!
//! Invariants: [`Capacity::parts`] adds up to exactly the two blocks that a server and its reactor
//! are given; nothing is allocated beside them.
//!
//! Place: beside the server; used by whoever chooses a [`Capacity`].
//!
//! # Three numbers
//!
//! | how many | what one is | takes |
//! |---|---|---|
//! | `connections` | a peer that is connected, mostly idle | 32 bytes, and 5 in epoll's table |
//! | `heads` | a head that is being read, or whose request is answered | `head_bytes` and 200 more |
//! | `requests` | a request whose handler runs, or whose answer is on its way | `body_bytes`, `out_bytes`, the largest handler's future, and 500 more |
//!
//! A connection costs almost nothing until it asks for something, so `connections` may be large
//! where `requests` are few: 10,000 peers that ask once a second, and are answered within 5 ms, are
//! 50 requests at once. That is the whole rule:
//!
//! - `requests` = requests a second x seconds that one takes (its handler and its peer), twice that
//!   for bursts. What comes on top waits, and loses nothing, for `Limits::queue_ms`.
//! - `heads` = `requests` + those that arrive in pieces at the same time. Twice `requests` is much.
//! - `connections`: as many as shall stay open. The next one sheds the longest idle one.
//!
//! [`Capacity::for_connections`] does that for Linux from one number; [`Capacity::SMALL`] is where
//! a board begins.
//!
//! # What it takes
//!
//! [`Capacity::parts`] is the calculator: a part for each number, for your own application, whose
//! largest future it knows.
//!
//! ```
//! use dustdevil_core::sizing;
//! use dustdevil_http::{Capacity, Exchange, Fault, Sent, routes, text};
//!
//! pub struct App;
//! routes!(App { GET "/" => hello });
//! async fn hello(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
//!     x.out.reply(text("Hello, world")).await
//! }
//!
//! const SERVER: Capacity =
//!     Capacity { connections: 100_000, requests: 64, heads: 128, ..Capacity::DEFAULT };
//! const PARTS: [(&str, usize); 4] = SERVER.parts::<App>();
//! assert_eq!(sizing::sum(&PARTS), SERVER.bytes::<App>() + SERVER.reactor().bytes());
//! for (name, bytes) in PARTS {
//!     println!("{bytes:10} {name}");
//! }
//! ```
//!
//! On a board the same numbers, and the network's, are held against the RAM there is while the
//! firmware is compiled ([`ram_within!`](dustdevil_core::ram_within)); what does not fit does not
//! compile, and the error lists the parts. A room of 0 is a way to ask.
//!
//! ```
//! # use dustdevil_http::{Capacity, Exchange, Fault, Sent, routes, text};
//! # pub struct App;
//! # routes!(App { GET "/" => hello });
//! # async fn hello(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
//! #     x.out.reply(text("Hello, world")).await
//! # }
//! const SERVER: Capacity = Capacity { connections: 8, requests: 2, ..Capacity::SMALL };
//! dustdevil_core::ram_within!(16 * 1024;
//!     "server" => SERVER.bytes::<App>(),
//!     "reactor" => SERVER.reactor().bytes(),
//! );
//! ```
//!
//! # What else takes memory
//!
//! - **On Linux** the kernel: about 4 KB for each connection, more while its buffers hold bytes; a
//!   descriptor each (`ulimit -n`). Tables are address space until they are used: a connection that
//!   was never there, and a buffer that was never lent, cost no page. A worker has tables of its
//!   own.
//! - **On a board** the network's buffers: `rx_bytes` + `tx_bytes` for each connection, and about
//!   400 bytes of smoltcp's and ours. 512 bytes are enough to receive; what is sent waits in
//!   `tx_bytes` until it is acknowledged, so an answer that fits there costs no waiting. The stack
//!   takes 3 KB, with room to spare 5 KB.
//! - **The head's buffer**: 8 bytes for each of `fields`, and the request line and fields as they
//!   were sent. A browser sends 500 to 1,000 bytes without cookies: with 1 KiB and 24 fields it is
//!   served, and who sends more is told so (431).

use crate::Capacity;
use crate::web::Application;

impl Capacity {
    /// What the server and its reactor take, by the number that it is for: in bytes, for the
    /// application `A`. The sum is [`bytes`](Self::bytes) and the bytes of
    /// [`reactor`](Self::reactor) together.
    pub const fn parts<A: Application + 'static>(&self) -> [(&'static str, usize); 4] {
        let all = self.all::<A>();
        let without = Self { connections: 0, ..*self }.all::<A>();
        let connections = all - without;
        let heads = all - Self { heads: 0, ..*self }.all::<A>();
        let requests = all - Self { requests: 0, ..*self }.all::<A>();
        [
            ("connections", connections),
            ("heads", heads),
            ("requests", requests),
            ("whatever their number", all - connections - heads - requests),
        ]
    }

    const fn all<A: Application + 'static>(&self) -> usize {
        self.bytes::<A>() + self.reactor().bytes()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use dustdevil_core::sizing;

    use super::*;
    use crate::{Exchange, Fault, Sent, routes, text};

    struct App;
    routes!(App { GET "/" => hello });

    async fn hello(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
        x.out.reply(text("Hello, world")).await
    }

    #[test]
    fn the_parts_are_the_two_blocks() {
        for capacity in [
            Capacity::SMALL,
            Capacity::DEFAULT,
            Capacity::for_connections(1_000_000),
            Capacity { other_sources: 7, ..Capacity::SMALL },
        ] {
            let parts = capacity.parts::<App>();
            let blocks = capacity.bytes::<App>() + capacity.reactor().bytes();
            assert_eq!(sizing::sum(&parts), blocks, "{capacity:?}");
        }
    }

    /// The numbers on the page above, on the machine this runs on.
    #[test]
    fn what_one_more_takes() {
        let base = Capacity { connections: 1_000, requests: 100, heads: 200, ..Capacity::DEFAULT };
        let more = |capacity: Capacity| {
            let (more, less) = (capacity.parts::<App>(), base.parts::<App>());
            more.iter().zip(&less).map(|(more, less)| more.1 - less.1).collect::<Vec<_>>()
        };
        // Tables are rounded up to words, so that ten more are looked at.
        let connections = more(Capacity { connections: 1_010, ..base });
        assert_eq!(connections, [320, 0, 0, 0]);
        let heads = more(Capacity { heads: 210, ..base });
        assert!(heads[1] / 10 - base.head_bytes < 250, "{heads:?}");
        let requests = more(Capacity { requests: 110, ..base });
        let future = crate::future_bytes::<App>();
        let own = requests[2] / 10 - base.body_bytes - base.out_bytes - future;
        assert!(own < 600, "{own} of {requests:?}");
    }
}
