//! SYN hold: requests for connections that found every socket taken, kept until one is free.
//!
//! smoltcp answers such a request with RST, and a browser that opens six connections to a board
//! with four sockets would show an error. The raw frame is kept instead (about 80 bytes), and given
//! to smoltcp as if it had just come. The peer notices a delay.
//!
//! Invariants:
//! - A flow is held once: its newest request counts, and keeps the place of its first.
//! - Full: one more is dropped silently, never refused. Its sender's own retransmission is the next
//!   try (RFC 6298: after a second).
//! - Nothing is held longer than [`HELD_FOR`].
//!
//! This is a queue for bursts, not a defence: who forges a dozen requests every few seconds keeps
//! it full, and others then get in by luck, as with any listener without SYN cookies (RFC 4987).
//!
//! Layer: stands on [`segment`](crate::segment); [`net`](crate::net) owns it.

use dustdevil_core::time::{Duration, Instant, TICK_SHIFT};

use crate::segment::Flow;

/// How many requests wait at once; one more is dropped, and its sender tries again.
pub const HELD_MAX: usize = 12;

/// The longest request that is held, in bytes of its frame. One with so many options that it is
/// longer, or with data, is dropped like one too many.
pub const HELD_BYTES_MAX: usize = 80;

/// How long a request is held: whoever sent it has tried three times by then, or given up.
pub const HELD_FOR: Duration = Duration::from_secs(8);
const HELD_TICKS: u32 = (HELD_FOR.as_micros() >> TICK_SHIFT) as u32 + 1;

const _: () = assert!(size_of::<Held>() == HELD_BYTES_MAX + 16);

/// A request that waits.
pub(crate) struct Held {
    frame: [u8; HELD_BYTES_MAX],
    flow: Flow,
    /// When it came, in ticks.
    since: u32,
    len: u8,
}

impl Held {
    pub(crate) const EMPTY: Self = Self {
        frame: [0; HELD_BYTES_MAX],
        flow: Flow { peer: core::net::Ipv4Addr::UNSPECIFIED, peer_port: 0, port: 0 },
        since: 0,
        len: 0,
    };

    /// How long it has waited, in ticks.
    fn age(&self, now: Instant) -> u32 {
        (now.ticks() as u32).wrapping_sub(self.since)
    }
}

/// The requests that wait, oldest first.
pub(crate) struct Hold<'m> {
    entries: &'m mut [Held],
    len: usize,
    /// How many were held since the start, and how many dropped for want of room.
    pub(crate) held: u32,
    pub(crate) dropped: u32,
}

impl<'m> Hold<'m> {
    pub(crate) fn new(entries: &'m mut [Held]) -> Self {
        Self { entries, len: 0, held: 0, dropped: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many wait for `port`.
    pub(crate) fn waiting(&self, port: u16) -> usize {
        self.waiters().filter(|held| held.flow.port == port).count()
    }

    /// When the oldest has waited long enough.
    pub(crate) fn expires_at(&self, now: Instant) -> Option<Instant> {
        let left = HELD_TICKS.saturating_sub(self.waiters().next()?.age(now));
        Some(Instant::from_ticks(now.ticks() + u64::from(left)))
    }

    /// Keeps a request; whether it is that of a new flow.
    #[cold]
    #[inline(never)]
    pub(crate) fn push(&mut self, frame: &[u8], flow: Flow, now: Instant) -> bool {
        let place = self.waiters().position(|held| held.flow == flow);
        let entry = self.entries.get_mut(place.unwrap_or(self.len));
        let entry = entry.filter(|_| frame.len() <= HELD_BYTES_MAX);
        let Some(entry) = entry else {
            self.dropped = self.dropped.wrapping_add(1);
            return false;
        };
        entry.frame[..frame.len()].copy_from_slice(frame);
        entry.len = frame.len() as u8;
        if place.is_none() {
            (entry.flow, entry.since) = (flow, now.ticks() as u32);
            self.len += 1;
            self.held = self.held.wrapping_add(1);
        }
        place.is_none()
    }

    /// The sender took its request back.
    #[inline(never)]
    pub(crate) fn forget(&mut self, flow: Flow) {
        if let Some(at) = self.waiters().position(|held| held.flow == flow) {
            self.remove(at);
        }
    }

    /// Nobody listens at `port` any more.
    pub(crate) fn forget_port(&mut self, port: u16) {
        while let Some(at) = self.waiters().position(|held| held.flow.port == port) {
            self.remove(at);
        }
    }

    /// Drops what nobody waits for any more.
    pub(crate) fn expire(&mut self, now: Instant) {
        while self.waiters().next().is_some_and(|held| held.age(now) >= HELD_TICKS) {
            self.remove(0);
        }
    }

    /// The port that the oldest request wants.
    pub(crate) fn oldest_port(&self) -> u16 {
        self.waiters().next().map_or(0, |held| held.flow.port)
    }

    /// Copies the oldest request for `port` to the beginning of `frame`, and returns its length.
    pub(crate) fn pop(&mut self, port: u16, frame: &mut [u8]) -> Option<usize> {
        let at = self.waiters().position(|held| held.flow.port == port)?;
        let held = &self.entries[at];
        let len = usize::from(held.len);
        frame.get_mut(..len)?.copy_from_slice(held.frame.get(..len)?);
        self.remove(at);
        Some(len)
    }

    fn waiters(&self) -> core::slice::Iter<'_, Held> {
        // INVARIANT: `len` never exceeds the table.
        self.entries[..self.len].iter()
    }

    #[inline(never)]
    fn remove(&mut self, at: usize) {
        if let Some(tail) = self.entries.get_mut(at..self.len) {
            tail.rotate_left(1);
            self.len -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    fn flow(peer_port: u16) -> Flow {
        Flow { peer: Ipv4Addr::new(192, 0, 2, 9), peer_port, port: 80 }
    }

    fn at(secs: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(secs)
    }

    #[test]
    fn requests_wait_in_order_once_each_and_not_for_ever() {
        let mut entries = [const { Held::EMPTY }; 3];
        let mut hold = Hold::new(&mut entries);
        let mut frame = [0; HELD_BYTES_MAX];
        assert!(hold.push(&[1; 60], flow(1), at(0)));
        assert!(hold.push(&[2; 74], flow(2), at(1)));
        assert!(!hold.push(&[7; 60], flow(1), at(1)), "a retransmission");
        assert!(!hold.push(&[9; 81], flow(9), at(1)), "too long");
        assert!(hold.push(&[3; 80], flow(3), at(1)));
        assert!(!hold.push(&[4; 60], flow(4), at(1)), "full");
        assert_eq!((hold.len(), hold.held, hold.dropped), (3, 3, 2));

        assert_eq!((hold.oldest_port(), hold.pop(81, &mut frame)), (80, None));
        hold.forget(flow(2));
        hold.forget(flow(2));
        assert_eq!(hold.pop(80, &mut frame), Some(60));
        assert_eq!(frame[..60], [7; 60]);
        assert_eq!(hold.waiting(80), 1);
        hold.expire(at(8));
        assert_eq!(hold.len(), 1);
        hold.expire(at(9));
        assert_eq!((hold.len(), hold.expires_at(at(9))), (0, None));
    }
}
