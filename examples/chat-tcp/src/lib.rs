//! A line chat over TCP: everybody in the room reads what anybody says, in the same order.
//!
//! ```text
//!   client --line--> posts (Queue) --> hub --> ring of messages --news (Condition)--> each client
//!     name, /who, /quit                          stored once        from its own position in it
//! ```
//!
//! The first line is the name: 1 to 16 ASCII letters, digits, `-` and `_`, a letter first, and
//! nobody else's in whatever case. From then on a line is said to all, the speaker included;
//! `/who` lists who is here, `/quit` leaves, and so does the end of the input. What begins with `*`
//! is news of the room, with `-` an answer to this client alone, else a name and what was said.
//!
//! Invariants:
//! - A message is stored once. Who is in the room holds a position in the ring, and reads every
//!   message from its own arrival on, in the ring's order, until it leaves or is dropped.
//! - Nobody waits for a reader: a client that has fallen further behind than the ring is long, or
//!   whose connection took nothing for [`Limits::write`], is dropped, and told if it can be.
//! - Who takes what it is sent is never dropped: the hub adds a part of the ring at a time, and
//!   lets everybody who waited for news read it before it adds more.
//! - No control character is relayed: it becomes `?`, and so does what is not UTF-8.
//! - No `RefCell` borrow is held across an await.
//!
//! Capacity: [`Capacity`], values of the caller's, cut from the caller's memory. Full: who finds no
//! seat is told that the room is full, and the connection is closed; [`Capacity::door`] connections
//! are told so at once, and more wait in the backlog. A full queue makes the sender wait.
//!
//! Place: an application, above `dustdevil_core`. `main.rs` is its Linux binary.
#![no_std]
#![forbid(unsafe_code)]
#![expect(
    clippy::large_futures,
    reason = "a client's future has room for what it says; it stays in the slot it was made for"
)]

mod client;
mod ring;
mod seats;
mod words;

use core::cell::{Cell, RefCell};
use core::future::Future;

use dustdevil_core::coroutine::yield_now;
use dustdevil_core::handle::Handle;
use dustdevil_core::locks::{Condition, Waiter};
use dustdevil_core::memory::{Block, room};
use dustdevil_core::pool::BufPool;
use dustdevil_core::queues::{Queue, QueueWaiter};
use dustdevil_core::reactor;
use dustdevil_core::tasks::Tasks;
use dustdevil_core::tcp::{Tcp, TcpListener, TcpServer};
use dustdevil_core::time::Duration;
use embassy_futures::join::join;
use embassy_futures::select::select;
use heapless::Deque;

pub use ring::Behind;
use ring::Ring;
use seats::Seats;
pub use words::{LINE_BYTES_MAX, MESSAGE_BYTES_MAX, Message, NAME_BYTES_MAX};

/// Lines on their way to the hub. Full: who says one more waits, in the order of coming.
pub const POSTS: usize = 8;

/// A connection's buffer: what it said, and what it is sent next.
const BUFFER_BYTES: usize = client::INPUT_BYTES + client::OUTPUT_BYTES;

/// How much of everything there is room for: values, chosen by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Clients in the room at once. Full: who comes is told so, and the connection is closed.
    pub clients: usize,
    /// Messages that are kept: how far a reader may fall behind.
    pub messages: usize,
    /// Connections beyond the room's that are told so at once. Full: others wait in the backlog.
    pub door: usize,
}

impl Capacity {
    /// The bytes of the block that [`App::new`] cuts its tables from.
    pub const fn bytes(&self) -> usize {
        Seats::bytes(self.clients)
            + Ring::bytes(self.messages)
            + room::<Deque<Message, POSTS>>(1)
            + room::<QueueWaiter<Message>>(self.connections() + 1)
            + room::<Waiter>(self.connections() + 2)
            + room::<Waiter>(1)
            + BufPool::room(self.connections(), BUFFER_BYTES)
    }

    /// The bytes of the block that [`serve`] cuts its tasks from.
    pub const fn server_bytes(&self) -> usize {
        task_bytes(&client::connection, self.connections())
    }

    /// What [`serve`] takes of a reactor.
    pub const fn reactor(&self) -> reactor::Capacity {
        let connections = self.connections();
        // A client waits for its pace and its idle deadline at once; the server, for room.
        let timers = 2 * connections + 1;
        reactor::Capacity { sources: 0, timers, groups: 0, tasks: 1, waiters: 0 }
            .plus_streams(connections + 1)
            .plus_tasks(connections)
    }

    /// Connections at once.
    pub const fn connections(&self) -> usize {
        self.clients + self.door
    }
}

/// The bytes of `connections` tasks of this handler.
const fn task_bytes<'c, 'm: 'c, H, F>(handler: &H, connections: usize) -> usize
where
    H: Fn(&'c App<'m>, Tcp<'c>) -> F,
    F: Future,
{
    let _ = handler;
    Tasks::<F>::bytes(connections)
}

/// How patient the room is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The time to give a name in, and as long as its answers take to be written, see `write`.
    /// Then: told, and closed.
    pub name: Duration,
    /// The time between two lines of a client. Then: told, and closed. `Duration::MAX`: for ever.
    pub idle: Duration,
    /// How long a connection may take nothing of what it is sent. Then it is reset.
    pub write: Duration,
    /// The least time between two lines of a client: more of them wait in its socket.
    pub pace: Duration,
}

impl Limits {
    /// Half a minute for a name, an hour in silence, 10 s without progress, 20 lines a second.
    pub const DEFAULT: Self = Self {
        name: Duration::from_secs(30),
        idle: Duration::from_secs(3_600),
        write: Duration::from_secs(10),
        pace: Duration::from_millis(50),
    };
}

/// The room: who is in it, what was said, and what is waited for.
pub struct App<'m> {
    capacity: Capacity,
    limits: Limits,
    seats: RefCell<Seats<'m>>,
    ring: RefCell<Ring<'m>>,
    /// Messages for the hub.
    posts: Queue<'m, Message>,
    /// The ring has a new message, or the room closes.
    news: Condition<'m>,
    /// Nobody is left that has not read the last news.
    read: Condition<'m>,
    buffers: BufPool<'m>,
    is_closing: Cell<bool>,
}

impl<'m> App<'m> {
    /// An empty room, its tables cut from `block`, which has [`Capacity::bytes`] bytes.
    ///
    /// # Panics
    /// At start-up: when `block` is smaller, or there is room for no message.
    pub fn new(mut block: Block<'m>, capacity: Capacity, limits: Limits) -> Self {
        assert!(capacity.messages > 0, "a chat keeps at least one message");
        let connections = capacity.connections();
        let posts = block.place(Deque::<Message, POSTS>::new());
        Self {
            capacity,
            limits,
            seats: RefCell::new(Seats::new(&mut block, capacity.clients)),
            ring: RefCell::new(Ring::new(&mut block, capacity.messages)),
            // Each connection may wait for room in the queue, and the hub for a message.
            posts: Queue::new(posts, block.fill(connections + 1, |_| QueueWaiter::new())),
            // Each connection waits, and a follower; one more, while a wait is exchanged.
            news: Condition::new(block.fill(connections + 2, |_| Waiter::new())),
            read: Condition::new(block.fill(1, |_| Waiter::new())),
            buffers: BufPool::new(&mut block, connections, BUFFER_BYTES),
            is_closing: Cell::new(false),
        }
    }

    /// How many have a name and a seat.
    pub fn present(&self) -> usize {
        self.seats.borrow().present()
    }

    /// Reads along from here on without being in the room: for a log, or a display. There is room
    /// for one at a time.
    pub fn follow(&self) -> Follower<'_, 'm> {
        Follower { app: self, position: self.ring.borrow().end() }
    }

    /// Asks everybody to leave: they are told.
    fn close(&self) {
        self.is_closing.set(true);
        self.news.notify_all();
    }

    /// Waits until the ring has a message at `position`, or the room closes.
    async fn news(&self, position: u64) {
        while !self.is_closing.get() && self.ring.borrow().end() <= position {
            // INVARIANT: each connection and the follower has its place among the waiters. Were it
            // not so, the wait would end early, and the caller look again in its next turn.
            if self.news.wait().await.is_err() {
                debug_assert!(false, "more wait for news than there are connections");
                return yield_now().await;
            }
        }
    }

    /// Moves messages from the queue to the ring: a part of the ring at a time, and then everybody
    /// who was waiting reads it.
    async fn hub(&self) {
        let batch_max = (self.capacity.messages / 4).max(1);
        // INVARIANT: the hub has a place among the queue's waiters.
        while let Ok(first) = self.posts.get().await {
            let (mut next, mut batch) = (Some(first), 1);
            while let Some(message) = next {
                self.ring.borrow_mut().push(message);
                next = if batch < batch_max { self.posts.get_nowait().ok() } else { None };
                batch += 1;
            }
            self.seats.borrow_mut().announce();
            self.news.notify_all();
            while self.seats.borrow().are_due() && self.read.wait().await.is_ok() {}
            yield_now().await;
        }
    }
}

/// A reader of the ring that is nobody's connection; see [`App::follow`].
pub struct Follower<'a, 'm> {
    app: &'a App<'m>,
    position: u64,
}

impl Follower<'_, '_> {
    /// The next message, once there is one; `None` once the room closes and all was read.
    ///
    /// Cancel-safe: a dropped call has read nothing.
    ///
    /// # Errors
    /// [`Behind`] when it is gone already: the ring went on without this reader, which continues
    /// with the oldest that there is.
    pub async fn next(&mut self) -> Result<Option<Message>, Behind> {
        self.app.news(self.position).await;
        self.app.ring.borrow().read(&mut self.position)
    }
}

/// Serves the room at `listener` until the reactor is asked to stop; then everybody is told, and
/// it is done when all have gone, [`Limits::write`] later at most. `memory` has
/// [`Capacity::server_bytes`] bytes.
pub async fn serve<'m, 'c: 'm, 'a: 'c>(
    rt: Handle<'c>,
    app: &'c App<'a>,
    listener: TcpListener<'c>,
    mut memory: Block<'m>,
) {
    let handler = |tcp, _| client::connection(app, tcp);
    let server = TcpServer::new(listener, &mut memory, app.capacity.connections(), handler);
    let close = async {
        rt.stopping().await;
        app.close();
    };
    select(server, join(app.hub(), close)).await;
    // Without clients the server may end first; a follower still waits.
    app.close();
}
