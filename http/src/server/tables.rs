//! The tables of a server, cut once from its block: connections, head buffers, slots' records.
//!
//! Invariants: a connection's place in its table is its source's place in the reactor's; a table
//! entry that is free is all zero bits or equal to that; index 0 means "none" everywhere. An idle
//! connection is 16 bytes here and owns nothing else. Nothing here knows the poller or the
//! handler's type, so that none of it is compiled twice.
//!
//! Place: below the driver, which moves connections between these tables, and below the
//! [`exchange`](super::exchange), which is the handler's view of one [`Answer`].

use core::cell::{Cell, Ref, RefCell, RefMut};
use core::task::Waker;

use dustdevil_core::handle::Handle;
use dustdevil_core::list::{Chained, Linked, Links};
use dustdevil_core::memory::{Block, room};
use dustdevil_core::poller::Token;
use dustdevil_core::slab::Slab;
use dustdevil_core::time::{Duration, Instant};
use zerocopy::{FromBytes, FromZeros};

use super::stats::Stats;
use super::{Capacity, Limits};
use crate::proto::{self, BodyKind, Conn, FieldRange, Head, Prefix, Reject, Status, date};
use crate::web::routes::Route;

/// What one function at a time works on. As a `RefCell`, but every such place in the program fails
/// in one function that takes nothing: that of a `RefCell` takes the place in the source, which
/// costs a board 20 bytes of flash each.
pub(super) struct Part<T>(RefCell<T>);

impl<T> Part<T> {
    pub(super) const fn new(value: T) -> Self {
        Self(RefCell::new(value))
    }

    #[inline(always)]
    pub(super) fn borrow(&self) -> Ref<'_, T> {
        match self.0.try_borrow() {
            Ok(part) => part,
            Err(_) => in_work(),
        }
    }

    #[inline(always)]
    pub(super) fn borrow_mut(&self) -> RefMut<'_, T> {
        match self.0.try_borrow_mut() {
            Ok(part) => part,
            Err(_) => in_work(),
        }
    }

    /// `None` while it is worked on.
    pub(super) fn try_borrow(&self) -> Option<Ref<'_, T>> {
        self.0.try_borrow().ok()
    }

    /// `None` while it is looked at.
    pub(super) fn try_borrow_mut(&self) -> Option<RefMut<'_, T>> {
        self.0.try_borrow_mut().ok()
    }
}

#[cold]
#[inline(never)]
fn in_work() -> ! {
    panic!("a part of a request is in work twice");
}

/// What a connection waits for. Each of these but `Slot` has a list, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromZeros)]
#[repr(u8)]
pub(super) enum Phase {
    /// There is no connection here.
    Free,
    /// For the first byte ever.
    Fresh,
    /// For the next request.
    Idle,
    /// For the rest of a head; it holds a head buffer.
    Head,
    /// For a head buffer.
    AwaitHead,
    /// For a slot; it holds a head buffer with a whole request.
    AwaitSlot,
    /// For a slot; it holds a head buffer with a whole head, whose body is not all there.
    AwaitBody,
    /// It has a slot: its [`Answer`] says what for.
    Slot,
}

impl Phase {
    /// How many there are.
    pub(super) const COUNT: usize = Self::Slot as usize + 1;

    /// Whether a whole head waits for a slot.
    pub(super) const fn awaits_slot(self) -> bool {
        matches!(self, Self::AwaitSlot | Self::AwaitBody)
    }

    /// Whether the connections in it stand on a list.
    pub(super) const fn is_listed(self) -> bool {
        !matches!(self, Self::Free | Self::Slot)
    }
}

/// One connection, in every phase. All zero bits: free.
#[derive(FromZeros)]
pub(super) struct Connection {
    links: Links,
    /// When it entered its phase, in ticks; wraps.
    pub(super) since: Cell<u32>,
    /// The head buffer or the slot it holds, by its phase; 0: none.
    pub(super) place: Cell<u16>,
    pub(super) phase: Cell<Phase>,
    /// The phase on whose list it stands; `Free`: on none.
    pub(super) listed: Cell<Phase>,
}

const _: () = assert!(size_of::<Connection>() <= 16);

impl Linked for Connection {
    fn links(&self) -> &Links {
        &self.links
    }
}

impl Connection {
    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }
}

/// A head buffer and the machine of the connection that holds it.
///
/// The buffer's front is the window of bytes from the peer, its tail the table of fields.
pub(super) struct HeadEntry<'r> {
    next: Cell<u32>,
    /// Its own place in the table.
    pub(super) index: u16,
    /// Frozen (borrowed) while a handler holds the head. One that was forgotten by its handler
    /// stays borrowed, and this entry is never lent again.
    pub(super) buffer: Part<HeadBuffer<'r>>,
    pub(super) conn: Part<Conn>,
    /// The window's bytes from `start` to `end` are not consumed yet.
    pub(super) start: Cell<usize>,
    pub(super) end: Cell<usize>,
    /// The peer has sent its FIN, behind the bytes in the window.
    pub(super) eof: Cell<bool>,
    /// Requests answered in a row while somebody waited for the connection's place.
    pub(super) answered_in_crowd: Cell<u8>,
}

impl HeadEntry<'_> {
    /// How the body of the request under work ends.
    pub(super) fn body(&self) -> BodyKind {
        self.buffer.borrow().head.facts.body
    }
}

impl Chained for HeadEntry<'_> {
    fn next(&self) -> &Cell<u32> {
        &self.next
    }
}

/// A head buffer.
pub(super) struct HeadBuffer<'r> {
    /// Its front: bytes from the peer.
    pub(super) window: &'r mut [u8],
    /// Where the head under work begins in the window; its spans count from here.
    pub(super) head_start: usize,
    /// Its tail: the fields of the head under work, as ranges of the window; and what it says.
    pub(super) head: Head<'r>,
}

impl<'r> HeadBuffer<'r> {
    /// Splits `bytes`, whose tail becomes the table of `fields` entries.
    fn new(bytes: &'r mut [u8], fields: usize) -> Self {
        let at = bytes.len().saturating_sub(fields * size_of::<FieldRange>());
        let (window, table) = bytes.split_at_mut(at);
        // The tail is a whole number of entries and 2-aligned: buffers are cut from words.
        let fields = <[FieldRange]>::mut_from_bytes(table).unwrap_or_default();
        Self { window, head_start: 0, head: Head::new(fields) }
    }
}

/// A buffer whose bytes from `start` to `end` are in use.
pub(super) struct Window<'r> {
    pub(super) bytes: &'r mut [u8],
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Window<'_> {
    pub(super) fn used(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The free bytes behind those in use.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    pub(super) fn consume(&mut self, len: usize) {
        self.start += len;
        debug_assert!(self.start <= self.end, "{} of {}", self.start, self.end);
        if self.start == self.end {
            self.clear();
        }
    }

    pub(super) fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// Moves what is in use to the front.
    pub(super) fn compact(&mut self) {
        self.end = to_front(self.bytes, self.start, self.end);
        self.start = 0;
    }

    /// Puts all of `bytes` behind those in use, or nothing.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        let Some(place) = self.room().get_mut(..bytes.len()) else { return false };
        place.copy_from_slice(bytes);
        self.end += bytes.len();
        true
    }
}

/// Moves the bytes from `start` to `end` to the front; where they end there.
#[cfg_attr(target_os = "none", inline(never))]
pub(super) fn to_front(bytes: &mut [u8], start: usize, end: usize) -> usize {
    // The condition holds, and spares the panic of the move.
    if 0 < start && start < end && end <= bytes.len() {
        bytes.copy_within(start..end, 0);
    }
    end - start
}

/// Where the slot of a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its head is there; its handler is started next.
    Starting,
    /// Its handler runs.
    Handling,
    /// Its handler is done; the response is on its way.
    Flushing,
    /// The response is sent; the rest of the request's body is read and thrown away.
    Draining,
}

/// The handler waits for body bytes.
pub(super) const WANTS_BODY: u8 = 1;
/// The handler waits for room in the out buffer, or for it to be empty.
pub(super) const WANTS_OUT: u8 = 2;

/// How a flush went.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flushed {
    /// Everything is with the transport.
    All,
    /// The peer does not take more now.
    Blocked,
    /// The peer is gone; what was left is thrown away.
    Gone,
}

/// A body behind the out buffer, and who sends both.
#[derive(Clone, Copy)]
pub(super) struct Tail {
    /// Never empty.
    pub(super) bytes: &'static [u8],
    pub(super) flush: fn(&Answer<'_>, Handle<'_>, Token) -> Flushed,
}

/// The record of a slot: what a handler's [`Exchange`](super::exchange::Exchange) points to.
pub(super) struct Answer<'r> {
    next: Cell<u32>,
    /// Its own place in the table.
    pub(super) slot: u16,
    pub(super) common: &'r Common<'r>,
    /// The connection's source; `None`: the slot is free.
    pub(super) token: Cell<Option<Token>>,
    pub(super) entry: Cell<Option<&'r HeadEntry<'r>>>,
    pub(super) stage: Cell<Stage>,
    pub(super) body: Part<Window<'r>>,
    pub(super) out: Part<Window<'r>>,
    pub(super) wants: Cell<u8>,
    pub(super) gone: Cell<bool>,
    /// Why the request's body is refused, or the error that waits for room in the out buffer.
    pub(super) rejected: Cell<Option<Reject>>,
    /// The route that was chosen; parameters are read through its pattern.
    pub(super) route: Cell<Option<&'static Route>>,
    /// Longest body of the request under work. Only where its head announced one.
    pub(super) body_bytes_max: Cell<u64>,
    /// What is sent behind the out buffer, from where it lies. While there is any, nothing is added
    /// to the buffer.
    pub(super) tail: Cell<Option<Tail>>,
    /// The status of the response under work: for the log.
    pub(super) status: Cell<Status>,
    /// Where only other methods have a route: those, a bit for each by its number.
    pub(super) allow: Cell<u16>,
    /// Whether one of the next three is set.
    pub(super) wakers_set: Cell<bool>,
    pub(super) body_waker: Cell<Option<Waker>>,
    pub(super) out_waker: Cell<Option<Waker>>,
    pub(super) gone_waker: Cell<Option<Waker>>,
    /// When the handler was started.
    pub(super) began: Cell<Instant>,
    /// When the connection got this slot; requests that arrive together share it.
    pub(super) held_since: Cell<Instant>,
    /// When the slot is looked at next; never, where it waits for its handler alone.
    pub(super) deadline: Cell<Instant>,
    /// Whether this request was paused before; only then the next three mean something.
    pub(super) paused: Cell<bool>,
    /// The slot waits for its peer since then.
    pub(super) peer_wait: Cell<Option<Instant>>,
    /// How long it has waited for its peer since `moved` stood at `progress_mark`.
    pub(super) waited: Cell<Duration>,
    /// Bytes moved from or to the peer; wraps.
    pub(super) moved: Cell<u32>,
    pub(super) progress_mark: Cell<u32>,
    /// Since when it is watched how fast its peer is: others wait, and the slot is this
    /// connection's.
    pub(super) pressed_at: Cell<Instant>,
    /// Where `moved` stood then.
    pub(super) pressed_mark: Cell<u32>,
    /// It has more to do than it was let, and runs next turn.
    pub(super) yielded: Cell<bool>,
    /// Where `moved` stood when the rest of the body was no longer wanted.
    pub(super) drained: Cell<u32>,
    /// Bytes of a body that is not to be sent (HEAD) which its handler has written.
    pub(super) muted: Cell<usize>,
}

impl Chained for Answer<'_> {
    fn next(&self) -> &Cell<u32> {
        &self.next
    }
}

impl Answer<'_> {
    /// The number of its future and of its waker; entry 0 of the table has neither.
    pub(super) fn task(&self) -> usize {
        usize::from(self.slot) - 1
    }

    /// Whether everything that was said is with the transport.
    pub(super) fn is_flushed(&self) -> bool {
        self.tail.get().is_none() && self.out.borrow().is_empty()
    }

    /// Counts bytes that the peer has sent or taken.
    pub(super) fn count_moved(&self, len: usize) {
        self.moved.set(self.moved.get().wrapping_add(len as u32));
    }

    /// Bytes moved since the mark.
    pub(super) fn moved_since(&self, mark: &Cell<u32>) -> u32 {
        self.moved.get().wrapping_sub(mark.get())
    }
}

/// What all requests of a server share.
pub(super) struct Common<'r> {
    pub(super) stats: Stats<'r>,
    pub(super) limits: Limits,
    pub(super) proto_limits: proto::Limits,
    pub(super) handle: Cell<Option<Handle<'r>>>,
    /// The limits that were warned of: a bit each.
    pub(super) warned: Cell<u8>,
    pub(super) prefix: Part<Prefix>,
    prefix_until: Cell<Instant>,
}

impl Common<'_> {
    /// Renders `Server` and `Date` anew, once a second.
    pub(super) fn refresh(&self, now: Instant, unix_seconds: impl FnOnce() -> Option<u64>) {
        if now < self.prefix_until.get() {
            return;
        }
        self.prefix_until.set(now + Duration::from_secs(1));
        let date = unix_seconds().map(date::imf_fixdate);
        let rendered = self.prefix.borrow_mut().render(self.limits.server_name, date.as_ref());
        if let Err(error) = rendered {
            // Checked at start-up with the longest date; without both lines it still serves.
            log::error!("the server's name cannot be sent: {error}");
        }
    }
}

/// Everything of a server that outlives its driver's frame, because an exchange may.
pub(super) struct Shared<'r> {
    pub(super) capacity: Capacity,
    pub(super) common: &'r Common<'r>,
    pub(super) connections: &'r [Connection],
    pub(super) heads: Slab<'r, HeadEntry<'r>>,
    pub(super) answers: Slab<'r, Answer<'r>>,
}

/// The bytes of all tables but the slots' futures.
pub(super) const fn bytes(capacity: &Capacity) -> usize {
    room::<Common<'static>>(1)
        + room::<Connection>(capacity.reactor().sources + 1)
        + room::<HeadEntry<'static>>(capacity.heads + 1)
        + room::<u8>(capacity.head_bytes) * capacity.heads
        + room::<Answer<'static>>(capacity.requests + 1)
        + (room::<u8>(capacity.body_bytes) + room::<u8>(capacity.out_bytes)) * capacity.requests
        + room::<Shared<'static>>(1)
        + room::<Waker>(capacity.requests)
}

pub(super) fn place<'r>(
    block: &mut Block<'r>,
    capacity: Capacity,
    limits: Limits,
) -> &'r Shared<'r> {
    let mut prefix = Prefix::new();
    let named = prefix.render(limits.server_name, Some(&[b'x'; 29]));
    if let Err(error) = named {
        // Not `{:?}`, which brings Unicode's tables along: 5 KB of flash.
        panic!("server_name \"{}\": {error}", limits.server_name);
    }
    let proto_limits = proto::Limits {
        head_bytes_max: capacity.window_bytes(),
        // Each route has its own: they are compared when the route is known.
        body_bytes_max: u64::MAX,
        chunk_line_bytes_max: limits.chunk_line_bytes_max,
        trailer_bytes_max: limits.trailer_bytes_max,
    };
    let common: &Common<'r> = block.place(Common {
        stats: Stats::default(),
        limits,
        proto_limits,
        handle: Cell::new(None),
        warned: Cell::new(0),
        prefix: Part::new(prefix),
        prefix_until: Cell::new(Instant::ZERO),
    });
    let connections = block.table(capacity.reactor().sources + 1);
    // Buffers lie apart from their records: pages of a buffer that is never used stay untouched.
    let heads = fill_heads(block, &capacity);
    let answers = fill_answers(block, &capacity, common);
    let shared: &Shared<'r> = block.place(Shared { capacity, common, connections, heads, answers });
    common.stats.tables.set(Some(shared));
    shared
}

fn fill_heads<'r>(block: &mut Block<'r>, capacity: &Capacity) -> Slab<'r, HeadEntry<'r>> {
    let mut buffers = block.split(room::<u8>(capacity.head_bytes) * capacity.heads);
    let mut buffer = |index: usize| match index {
        0 => HeadBuffer::new(buffers.bytes(0), 0),
        _ => HeadBuffer::new(buffers.bytes(capacity.head_bytes), capacity.fields),
    };
    Slab::new(block.fill(capacity.heads + 1, |index| HeadEntry {
        next: Cell::new(0),
        index: index as u16,
        buffer: Part::new(buffer(index)),
        conn: Part::new(Conn::server()),
        start: Cell::new(0),
        end: Cell::new(0),
        eof: Cell::new(false),
        answered_in_crowd: Cell::new(0),
    }))
}

fn fill_answers<'r>(
    block: &mut Block<'r>,
    capacity: &Capacity,
    common: &'r Common<'r>,
) -> Slab<'r, Answer<'r>> {
    let slot_bytes = room::<u8>(capacity.body_bytes) + room::<u8>(capacity.out_bytes);
    let mut buffers = block.split(slot_bytes * capacity.requests);
    let mut window = |index: usize, bytes: usize| {
        let bytes = buffers.bytes(if index == 0 { 0 } else { bytes });
        Part::new(Window { bytes, start: 0, end: 0 })
    };
    Slab::new(block.fill(capacity.requests + 1, |index| Answer {
        next: Cell::new(0),
        slot: index as u16,
        common,
        token: Cell::new(None),
        entry: Cell::new(None),
        stage: Cell::new(Stage::Handling),
        body: window(index, capacity.body_bytes),
        out: window(index, capacity.out_bytes),
        wants: Cell::new(0),
        gone: Cell::new(false),
        rejected: Cell::new(None),
        route: Cell::new(None),
        body_bytes_max: Cell::new(0),
        tail: Cell::new(None),
        status: Cell::new(Status::OK),
        allow: Cell::new(0),
        wakers_set: Cell::new(false),
        body_waker: Cell::new(None),
        out_waker: Cell::new(None),
        gone_waker: Cell::new(None),
        began: Cell::new(Instant::ZERO),
        held_since: Cell::new(Instant::ZERO),
        deadline: Cell::new(Instant::MAX),
        paused: Cell::new(false),
        peer_wait: Cell::new(None),
        waited: Cell::new(Duration::ZERO),
        moved: Cell::new(0),
        progress_mark: Cell::new(0),
        pressed_at: Cell::new(Instant::ZERO),
        pressed_mark: Cell::new(0),
        yielded: Cell::new(false),
        drained: Cell::new(0),
        muted: Cell::new(0),
    }))
}
