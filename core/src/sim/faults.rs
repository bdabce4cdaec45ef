//! What may go wrong in a simulated world, how often, and how badly.
//!
//! Everything here but [`drop_event_permille`](Faults::drop_event_permille) is something that the
//! [contract](crate::poller) allows a poller, or that a network does to a connection. Code that
//! breaks under any of it is wrong.
//!
//! Layer: stands on [`Rng`] alone.
//!
//! ```
//! use dustdevil_core::sim::Faults;
//! let slow = Faults { latency_us: (200_000, 900_000), ..Faults::NONE };
//! assert_ne!(slow, Faults::NONE);
//! assert_eq!(Faults::seeded(3), Faults::seeded(3));
//! ```

use super::rng::Rng;

/// The faults of a world: ranges `(least, most)`, both included, and probabilities in 1,000ths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// One-way delay of a connection, drawn once for each; at least 1 us.
    pub latency_us: (u64, u64),
    /// Added to the delay of every segment. Segments of one direction stay in order.
    pub jitter_us: (u64, u64),
    /// Sizes of the pieces in which a write arrives.
    pub segment_bytes: (usize, usize),
    /// What one direction of a connection holds, in flight and unread together; drawn for each.
    pub window_bytes: (usize, usize),
    /// A read that returns less than it could. Only without `SHORT_READ_DRAINS`.
    pub short_read_permille: u16,
    /// A write that takes less than it could.
    pub short_write_permille: u16,
    /// A read, write or accept that would not block says that it would; an event follows.
    pub would_block_permille: u16,
    /// `write_whole` waits for room for all of it, as smoltcp does, and not like epoll.
    pub write_whole_waits: bool,
    /// A poll reports `READ` or `WRITE` of some source for no reason.
    pub spurious_event_permille: u16,
    /// A poll reports something under the token of a source that is closed.
    pub stale_event_permille: u16,
    /// An event comes later than what it reports, by up to `late_event_us`.
    pub late_event_permille: u16,
    /// How late a late event is.
    pub late_event_us: (u64, u64),
    /// Most events that one poll reports; the rest comes with the next. Drawn for each poll.
    pub events_per_poll: (usize, usize),
    /// A wait ends without cause, as a signal would end it.
    pub interrupt_permille: u16,
    /// Deadlines are rounded up to a multiple of this.
    pub deadline_unit_us: u64,
    /// How long the reactor's own work between two polls takes.
    pub turn_us: (u64, u64),
    /// A connection that the network resets at some moment, for both ends.
    pub reset_permille: u16,
    /// When that happens, after the connection was asked for.
    pub reset_after_us: (u64, u64),
    /// A reset destroys what arrived before it and was not read.
    pub reset_eats_unread_permille: u16,
    /// A SYN that is lost; the peer tries again after 1 s, 2 s, 4 s and so on.
    pub lose_syn_permille: u16,
    /// An accept that fails with `OutOfMemory`; the connection still waits.
    pub accept_fail_permille: u16,
    /// Most connections that the reactor's side can hold; beyond, accept and connect fail.
    pub handles_max: usize,
    /// How long a closed connection's FIN waits for the peer's before the rest is forgotten.
    pub linger_us: u64,
    /// **Breaks the contract**: an event that is never reported. Proves that a checker would see.
    pub drop_event_permille: u16,
}

impl Faults {
    /// A perfect network: 100 us away, nothing is cut, nothing is lost, and no more than that.
    pub const NONE: Self = Self {
        latency_us: (100, 100),
        jitter_us: (0, 0),
        segment_bytes: (1_460, 1_460),
        window_bytes: (65_536, 65_536),
        short_read_permille: 0,
        short_write_permille: 0,
        would_block_permille: 0,
        write_whole_waits: false,
        spurious_event_permille: 0,
        stale_event_permille: 0,
        late_event_permille: 0,
        late_event_us: (0, 0),
        events_per_poll: (64, 64),
        interrupt_permille: 0,
        deadline_unit_us: 1,
        turn_us: (0, 0),
        reset_permille: 0,
        reset_after_us: (0, 0),
        reset_eats_unread_permille: 0,
        lose_syn_permille: 0,
        accept_fail_permille: 0,
        handles_max: usize::MAX,
        linger_us: 60_000_000,
        drop_event_permille: 0,
    };

    /// Everything at once that the contract allows, resets included.
    pub const fn harsh() -> Self {
        Self {
            latency_us: (1, 80_000),
            jitter_us: (0, 40_000),
            segment_bytes: (1, 700),
            window_bytes: (32, 3_000),
            short_read_permille: 300,
            short_write_permille: 300,
            would_block_permille: 100,
            write_whole_waits: true,
            spurious_event_permille: 200,
            stale_event_permille: 200,
            late_event_permille: 200,
            late_event_us: (1, 20_000),
            events_per_poll: (1, 4),
            interrupt_permille: 100,
            deadline_unit_us: 1_000,
            turn_us: (0, 200),
            reset_permille: 150,
            reset_after_us: (0, 3_000_000),
            reset_eats_unread_permille: 500,
            lose_syn_permille: 100,
            accept_fail_permille: 100,
            handles_max: usize::MAX,
            linger_us: 2_000_000,
            drop_event_permille: 0,
        }
    }

    /// As [`harsh`](Self::harsh) without resets: every byte arrives in the end.
    pub const fn lossless() -> Self {
        Self { reset_permille: 0, ..Self::harsh() }
    }

    /// A mixture that `seed` chooses: each fault is off in about half of the worlds.
    ///
    /// Worlds in which everything goes wrong all the time hide the bugs that need one thing to
    /// work first (Groce et al., "Swarm testing", ISSTA 2012).
    pub fn seeded(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x0fa1_7500);
        let harsh = Self::harsh();
        let mut faults = Self::NONE;
        let mut on = || rng.range(0, 1) == 1;
        macro_rules! choose {
            ($($field:ident),*) => {
                $(if on() {
                    faults.$field = harsh.$field;
                })*
            };
        }
        choose!(latency_us, jitter_us, segment_bytes, window_bytes, short_read_permille);
        choose!(short_write_permille, would_block_permille, write_whole_waits);
        choose!(spurious_event_permille, stale_event_permille, events_per_poll);
        choose!(interrupt_permille, deadline_unit_us, turn_us, reset_permille);
        choose!(reset_eats_unread_permille, lose_syn_permille, accept_fail_permille, linger_us);
        if on() {
            faults.late_event_permille = harsh.late_event_permille;
            faults.late_event_us = harsh.late_event_us;
        }
        faults.reset_after_us = harsh.reset_after_us;
        faults
    }
}
