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
//! [`Capacity::for_connections`] does that for Linux from one number, which decides the listener's
//! [`backlog`](Capacity::backlog) too; [`Capacity::SMALL`] is where a board begins.
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
//!
//! # How long a turn may be
//!
//! A reactor is one thread: whoever is ready waits for the turn under way. So no loop of a turn
//! runs as long as there is something to do. Each has a budget, and what is left over has its turn
//! next, behind those who have come meanwhile. Therefore the longest turn does not depend on how
//! many are connected. In user instructions, over real sockets (`cargo xtask bench tails`, which
//! says for each row what one costs; 3,000 of them are about a microsecond, and the kernel's work
//! comes on top):
//!
//! | what happens | the longest turn | a budget of | one costs |
//! |---|---|---|---|
//! | one connection is active beside 10,000 that idle | 2,460 | | |
//! | 10,000 that idle ask at once | 370,000 | 256 events of a poll | 1,440 |
//! | 10,000 leave at once | 171,000 | 256 events of a poll | 660 |
//! | 4,000 connect at once | 37,100 | 64 accepts | 650 |
//! | the same, each in the place of one that idles | 71,500 | 64 accepts | 990 |
//! | 64 connections pipeline 44,800 requests | 1,880,000 | 2 x 1,024 requests | 1,440 |
//! | the same with heads of 200 bytes, 11,520 requests | 1,560,000 | 2 x 1,024 requests | 2,040 |
//! | a download of 100 MB, 16 KiB at a time, to a quick reader | 35,300 | 16 buffers | 1,540 |
//! | 8 MB of it, to a slow reader | 27,300 | 16 buffers | 1,540 |
//! | 200 such downloads begin at once | 636,000 | 2 x 16 slots' shares | 27,800 |
//! | a static body of 100 MB | 5,800 | 16 writes | 2,530 |
//! | 10,000 that idle time out at once | 73,300 | 256 deadlines of a phase | 280 |
//! | 500 heads time out at once (408) | 449,000 | 256 deadlines of a phase | 1,740 |
//! | 2,000 handlers are late at once (503) | 549,000 | 256 deadlines of slots | 2,000 |
//! | 10,000 ask while all slots are held | 203,000 | 256 events of a poll | 750 |
//! | 10,000 waited for a slot when all handlers end | 882,000 | 1,024 requests | 890 |
//! | the server stops while 10,000 idle | 902,000 | 256 of a phase, 1,024 accepts | 650 |
//! | 10,000 callbacks are due at once | 273,000 | 256 calls | 850 |
//! | 10,000 tasks sleep until the same instant | 2,070,000 | 256 timers, 256 tasks | 840 |
//! | 2,000 handlers begin to wait for the stop at once | 301,000 | 256 events of a poll | 1,170 |
//!
//! One of them grows with its number: timers that lie in one slot of the wheel move down a level
//! together, 45 instructions each a level, at most four levels in one turn where the clock has
//! jumped. That is bounded by a capacity (`timers`), not by a budget; so is making room among slots
//! that slow peers hold (`requests`), which looks at each of them.
//!
//! # What a slow handler does to the others
//!
//! Budgets bound what the server does. A handler's own computing, between two `await`s, nobody can
//! interrupt: it is added to the turn as it is. 64 connections that ask again and again, of which
//! some ask for a handler that takes 1 ms of CPU:
//!
//! | of 64 spin | turns last, by these rates | the others wait for | others' requests a second of CPU | to none |
//! |---|---|---|---|---|
//! | 0 | 0.16 ms | nobody | 404,000 | 1.00 |
//! | 1 | 1.2 ms | 1.0 such handlers | 52,300 | 0.13 |
//! | 4 | 4.2 ms | 4.1 | 13,600 | 0.034 |
//! | 16 | 17 ms and more | 18.6 | 2,460 | 0.006 |
//!
//! Every one of them that is ready in a turn runs in that turn, one after the other, and all others
//! wait for all of them: a wait is as many milliseconds as there are such requests at once, and the
//! rate of the others is what a turn answers, divided by its length. A poll brings at most 256
//! events, so 256 connections that ask once make the worst turn 256 ms long; where they pipeline it
//! is what a turn's budget of 1,024 requests allows, a second. No time is lost: 1 ms of CPU each is
//! what was asked for. It is only that nobody else can be served meanwhile. What helps:
//!
//! - **Elsewhere.** A job on a thread of `dustdevil_std::executor` takes the loop no time at all:
//!   its handler waits, and all others go on. Right for anything of 100 us and more.
//! - **In pieces.** `yield_now().await` between pieces of work: a turn then has one piece of each,
//!   and everybody is served in between. Right where there is no other thread, as on a board.
//! - **More workers.** Each worker of `percore` has a loop of its own, so that only those of the
//!   same worker wait. It divides the share of those who are hit, not how long they wait.
//! - **Fewer at once.** With fewer `requests` fewer handlers that were woken run in one turn.
//!
//! `Metrics` counts the longest turn (`longest_turn_us`) and how often a budget was used up
//! (`budget_hits`): the first grows with slow handlers, the second with load.

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

    #[test]
    fn the_backlog_grows_with_the_connections_within_what_linux_allows() {
        let table =
            [(1, 1_024), (1_023, 1_024), (1_500, 1_500), (4_097, 4_096), (1_000_000, 4_096)];
        for (connections, backlog) in table {
            assert_eq!(Capacity::for_connections(connections).backlog(), backlog, "{connections}");
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
