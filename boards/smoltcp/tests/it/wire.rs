//! The wire: frames on their way, and what happens to them there, by a seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use dustdevil_core::sim::Rng;

/// What may go wrong, how often and how badly.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    /// Frames that vanish.
    pub(crate) drop_permille: u16,
    /// Frames that arrive twice, the second time later.
    pub(crate) duplicate_permille: u16,
    /// Frames of which one byte is another one on arrival. ARP is spared: it has no checksum of its
    /// own, and on a real wire the frame's check sequence finds such a thing.
    pub(crate) corrupt_permille: u16,
    /// Frames that arrive without their end.
    pub(crate) truncate_permille: u16,
    /// Frames that others overtake.
    pub(crate) overtake_permille: u16,
    /// How long a frame is on its way, in microseconds: least and most.
    pub(crate) delay_us: (u64, u64),
    /// How much later an overtaken frame, or a second copy, comes at most, in microseconds.
    pub(crate) late_us: u64,
    /// How often the interface has no room for a frame.
    pub(crate) busy_permille: u16,
    /// How often a wait ends for no reason.
    pub(crate) spurious_permille: u16,
    /// How often something arrives in the moment before the wait.
    pub(crate) race_permille: u16,
    /// How far the clock moves between two looks at it, in microseconds: least and most.
    pub(crate) work_us: (u64, u64),
    /// Frames that the interface queues; more are lost.
    pub(crate) inbox_max: usize,
}

impl Faults {
    /// A wire on which nothing goes wrong and nothing takes time.
    pub(crate) const NONE: Self = Self {
        drop_permille: 0,
        duplicate_permille: 0,
        corrupt_permille: 0,
        truncate_permille: 0,
        overtake_permille: 0,
        delay_us: (0, 0),
        late_us: 0,
        busy_permille: 0,
        spurious_permille: 0,
        race_permille: 0,
        work_us: (0, 0),
        inbox_max: usize::MAX,
    };

    /// A tenth of everything is lost, and of the rest little comes as it was sent.
    pub(crate) const HARSH: Self = Self {
        drop_permille: 100,
        duplicate_permille: 50,
        corrupt_permille: 50,
        truncate_permille: 20,
        overtake_permille: 100,
        delay_us: (100, 20_000),
        late_us: 50_000,
        busy_permille: 50,
        spurious_permille: 50,
        race_permille: 100,
        work_us: (0, 300),
        inbox_max: 31,
    };

    /// Some of [`HARSH`](Self::HARSH), chosen by the seed: what is left out of a run shows what a
    /// run with everything hides (Groce et al., "Swarm testing", ISSTA 2012).
    pub(crate) fn seeded(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x0000_7a57_e5ee_d000);
        let mut faults = Self::NONE;
        macro_rules! choose {
            ($($field:ident),*) => {
                $(if rng.hits(600) {
                    faults.$field = Self::HARSH.$field;
                })*
            };
        }
        choose!(drop_permille, duplicate_permille, corrupt_permille, truncate_permille);
        choose!(overtake_permille, delay_us, busy_permille, spurious_permille, race_permille);
        choose!(work_us, inbox_max);
        faults.late_us = Self::HARSH.late_us;
        faults
    }
}

/// The two ends of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// The stack under test.
    Net,
    /// Everybody else.
    Far,
}

/// A frame on its way. Ordered by its arrival, then by when it was sent.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    at: u64,
    number: u64,
    to: End,
    frame: Vec<u8>,
}

/// The wire between the two ends.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) faults: Faults,
    rng: Rng,
    flights: BinaryHeap<Reverse<Flight>>,
    sent: u64,
    /// When the last frame to each end arrives: without a fault nothing overtakes it.
    last: [u64; 2],
}

impl Wire {
    pub(crate) fn new(faults: Faults, rng: Rng) -> Self {
        Self { faults, rng, flights: BinaryHeap::new(), sent: 0, last: [0; 2] }
    }

    /// Sends a frame on its way and says what will happen to it.
    pub(crate) fn send(&mut self, now: u64, to: End, frame: &[u8]) -> &'static str {
        let faults = &self.faults;
        let rng = &mut self.rng;
        if rng.hits(faults.drop_permille) {
            return "lost";
        }
        let (least, most) = faults.delay_us;
        let side = usize::from(to == End::Far);
        let in_order = (now + rng.range(least, most)).max(self.last[side]);
        let late = faults.late_us;
        let mut frame = frame.to_vec();
        let mut fate = "sent";
        if rng.hits(faults.duplicate_permille) {
            let at = in_order + rng.range(0, late);
            self.launch(at, to, frame.clone());
            fate = "sent twice";
        }
        let (faults, rng) = (&self.faults, &mut self.rng);
        let is_arp = frame.get(12..14) == Some(&[8, 6]);
        if !is_arp && rng.hits(faults.corrupt_permille) {
            let at = rng.index(frame.len());
            frame[at] ^= rng.range(1, 255) as u8;
            fate = "damaged";
        }
        if rng.hits(faults.truncate_permille) {
            frame.truncate(rng.index(frame.len()));
            fate = "cut off";
        }
        if rng.hits(faults.overtake_permille) {
            let at = in_order + rng.range(1, late);
            self.launch(at, to, frame);
            return "overtaken";
        }
        self.last[side] = in_order;
        self.launch(in_order, to, frame);
        fate
    }

    /// Lets a frame arrive at this time, without any fault and without a place in the order.
    pub(crate) fn launch(&mut self, at: u64, to: End, frame: Vec<u8>) {
        self.sent += 1;
        self.flights.push(Reverse(Flight { at, number: self.sent, to, frame }));
    }

    /// When the next frame arrives.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.flights.peek().map(|Reverse(flight)| flight.at)
    }

    /// The next frame that has arrived by now.
    pub(crate) fn arrival(&mut self, now: u64) -> Option<(End, Vec<u8>)> {
        let is_due = self.next_at()? <= now;
        let Reverse(flight) = is_due.then(|| self.flights.pop())??;
        Some((flight.to, flight.frame))
    }

    /// Whether something of this kind happens now.
    pub(crate) fn hits(&mut self, permille: fn(&Faults) -> u16) -> bool {
        self.rng.hits(permille(&self.faults))
    }

    /// How long the work since the last look at the clock took.
    pub(crate) fn work(&mut self) -> u64 {
        match self.faults.work_us {
            (0, 0) => 0,
            (least, most) => self.rng.range(least, most),
        }
    }
}
