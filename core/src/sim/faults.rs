//! What may go wrong in a simulated world, how often, and how badly.
//!
//! Everything here but [`drop_event_permille`](Faults::drop_event_permille) and
//! [`clock_back_permille`](Faults::clock_back_permille) is something that the
//! [contract](crate::poller) allows a poller, or that a network does to a connection. Code that
//! breaks under any of it is wrong.
//!
//! | what goes wrong | by |
//! |---|---|
//! | splits | `segment_bytes`, `short_read_permille`, `short_write_permille` |
//! | delays | `latency_us`, `jitter_us`, `late_event_permille`, `lose_syn_permille` |
//! | resets, and ends at any byte | `reset_permille`, `reset_eats_unread_permille`; the peers |
//! | full windows | `window_bytes`, down to a single one; peers that stop reading |
//! | datagrams | `lose_datagram_permille`, `repeat_datagram_permille`, `datagrams_max` |
//! | nothing left | `handles_max`, `accept_fail_permille`; small tables above |
//! | clocks | `clock_jump_permille`, `clock_back_permille`, `stall_permille`, `turn_us`, \
//!   `deadline_unit_us`, `interrupt_permille` |
//! | edges | `spurious_event_permille`, `stale_event_permille`, `repeated_event_permille`, \
//!   `split_event_permille`, `spurious_wake_permille`, `would_block_permille`, `events_per_poll` |
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
    /// An event is reported once more, up to `late_event_us` later, as by a level-triggered poller.
    pub repeated_event_permille: u16,
    /// An event of several bits comes as several events: `WRITE` before `READ` or behind it,
    /// `CLOSED` behind both, `GONE` behind `CLOSED`.
    pub split_event_permille: u16,
    /// A poll finds a wake flag raised for which there is no reason.
    pub spurious_wake_permille: u16,
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
    /// The reactor does not run for `stall_us`, while its peers do: a machine that is overloaded,
    /// or stopped by a debugger. Every deadline in that time is met late.
    pub stall_permille: u16,
    /// How long that lasts.
    pub stall_us: (u64, u64),
    /// The reactor's clock goes forward by `clock_jump_us` between two turns, and nobody else's
    /// does: a machine that was suspended together with its network.
    pub clock_jump_permille: u16,
    /// How far it goes.
    pub clock_jump_us: (u64, u64),
    /// **Breaks the contract**: the reactor's clock goes back by `clock_back_us`. The reactor holds
    /// it until it has caught up, so that everything is late by that and nothing is lost.
    pub clock_back_permille: u16,
    /// How far it goes back.
    pub clock_back_us: (u64, u64),
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
    /// Most connections and sockets that the reactor's side can hold; beyond, accept, connect and
    /// bind fail.
    pub handles_max: usize,
    /// A datagram that is lost. Each has a delay of its own, drawn from `latency_us` and
    /// `jitter_us`, so that they overtake one another.
    pub lose_datagram_permille: u16,
    /// A datagram that arrives twice.
    pub repeat_datagram_permille: u16,
    /// Datagrams that a socket holds of those it received, and of those it sends; one more of the
    /// former is lost, of the latter would block.
    pub datagrams_max: usize,
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
        repeated_event_permille: 0,
        split_event_permille: 0,
        spurious_wake_permille: 0,
        late_event_permille: 0,
        late_event_us: (0, 0),
        events_per_poll: (64, 64),
        interrupt_permille: 0,
        deadline_unit_us: 1,
        turn_us: (0, 0),
        stall_permille: 0,
        stall_us: (0, 0),
        clock_jump_permille: 0,
        clock_jump_us: (0, 0),
        clock_back_permille: 0,
        clock_back_us: (0, 0),
        reset_permille: 0,
        reset_after_us: (0, 0),
        reset_eats_unread_permille: 0,
        lose_syn_permille: 0,
        accept_fail_permille: 0,
        handles_max: usize::MAX,
        lose_datagram_permille: 0,
        repeat_datagram_permille: 0,
        datagrams_max: 64,
        linger_us: 60_000_000,
        drop_event_permille: 0,
    };

    /// Everything at once that the contract allows, resets included, but for clocks that jump,
    /// reactors that stall and windows of a few bytes: under those the deadlines of a server are
    /// not its peers' fault. [`extreme`](Self::extreme) has them.
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
            repeated_event_permille: 100,
            split_event_permille: 300,
            spurious_wake_permille: 100,
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
            lose_datagram_permille: 150,
            repeat_datagram_permille: 100,
            datagrams_max: 4,
            linger_us: 2_000_000,
            ..Self::NONE
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
        choose!(repeated_event_permille, split_event_permille, spurious_wake_permille);
        choose!(lose_datagram_permille, repeat_datagram_permille, datagrams_max);
        faults
    }

    /// As [`seeded`](Self::seeded), and in about every second world one or more of the rare things:
    /// the reactor stalls, its clock jumps by seconds or by hours or goes back, windows hold a few
    /// bytes or one, and there are handles for a few connections alone.
    pub fn extreme(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0xe87e_2e3e);
        let mut faults = Self::seeded(seed);
        let mut is_on = || rng.range(0, 7) == 0;
        if is_on() {
            (faults.stall_permille, faults.stall_us) = (5, (1_000, 4_000_000));
        }
        if is_on() {
            (faults.clock_jump_permille, faults.clock_jump_us) = (5, (1_000, 20_000_000));
        }
        if is_on() {
            let (hour_us, day_us) = (3_600_000_000, 86_400_000_000);
            (faults.clock_jump_permille, faults.clock_jump_us) = (1, (hour_us, day_us));
        }
        if is_on() {
            (faults.clock_back_permille, faults.clock_back_us) = (5, (1_000, 2_000_000));
        }
        if is_on() {
            faults.window_bytes = (1, 8);
        }
        if is_on() {
            faults.handles_max = rng.range(1, 8) as usize;
        }
        faults
    }

    /// Whether a server under these may miss a deadline of its own, or its peers one of theirs,
    /// although both do what they should: then nobody can be promised an answer.
    pub const fn bends_time(&self) -> bool {
        let permille = [self.stall_permille, self.clock_jump_permille, self.clock_back_permille];
        permille[0] != 0 || permille[1] != 0 || permille[2] != 0 || self.window_bytes.0 < 32
    }
}
