//! Connections that were closed here while their peer may still be sending.
//!
//! TCP answers input that nobody will read with RST, and a RST makes the peer's kernel throw away
//! what the peer has yet to read: the response it was about to see. So such a connection is shut
//! for writing and kept here; its input is thrown away until the peer closes too, or a bound is
//! reached: [`LINGER`], [`LINGER_BYTES_MAX`], or [`LINGERING_MAX`] connections (then the oldest is
//! closed for real). nginx calls it a lingering close.
//!
//! Invariant: the list is in the order of deadlines, since each entry has the same span. Every step
//! costs the same however many linger.
//!
//! Layer: stands on rustix; [`epoll`](crate::epoll) stands on it.

use std::os::fd::OwnedFd;

use dustdevil_core::time::{Duration, Instant};
use rustix::io::Errno;
use rustix::net::RecvFlags;

/// How long a closed connection waits for its peer to close too.
pub const LINGER: Duration = Duration::from_secs(2);

/// How many closed connections wait at most; one more closes the oldest for real.
pub const LINGERING_MAX: usize = 1_024;

/// How many bytes of a closed connection are thrown away before it is closed for real.
pub const LINGER_BYTES_MAX: usize = 64 << 20;

/// How many bytes one call throws away.
const DISCARD_BYTES: usize = 256 << 10;

/// How many are closed in one poll because their time is over; the next poll goes on.
const EXPIRED_PER_POLL_MAX: usize = 256;

/// The closed connections that still wait for their peers, in a list by age.
pub(crate) struct Lingering {
    /// By place; as many as there ever were at once.
    entries: Vec<Entry>,
    /// The first and the last of the list.
    oldest: Option<u32>,
    newest: Option<u32>,
    /// The first of the places that are free, linked by `newer`.
    free: Option<u32>,
    len: usize,
    /// Where discarded input would go, were it not discarded: never written, so it costs no page.
    nowhere: Box<[u8]>,
}

struct Entry {
    until: Instant,
    bytes: usize,
    older: Option<u32>,
    newer: Option<u32>,
    /// `None`: the place is free.
    descriptor: Option<OwnedFd>,
}

impl Lingering {
    pub(crate) fn new() -> Self {
        let nowhere = vec![0; DISCARD_BYTES].into_boxed_slice();
        let entries = Vec::with_capacity(LINGERING_MAX);
        Self { entries, oldest: None, newest: None, free: None, len: 0, nowhere }
    }

    /// The place at which [`push`](Self::push) will keep the next one, which names its events.
    /// Closes the oldest for it when there is no room.
    pub(crate) fn place(&mut self) -> u32 {
        if self.len == LINGERING_MAX {
            self.close_oldest();
        }
        self.free.unwrap_or(self.entries.len() as u32)
    }

    /// Keeps `descriptor` from `now` on.
    pub(crate) fn push(&mut self, descriptor: OwnedFd, now: Instant) {
        let place = self.place();
        let (until, older) = (now + LINGER, self.newest.replace(place));
        let descriptor = Some(descriptor);
        let entry = Entry { until, bytes: 0, older, newer: None, descriptor };
        match self.entries.get_mut(place as usize) {
            Some(vacant) => self.free = std::mem::replace(vacant, entry).newer,
            // Within the capacity, so this does not allocate.
            None => self.entries.push(entry),
        }
        match older {
            Some(older) => self.entries[older as usize].newer = Some(place),
            None => self.oldest = Some(place),
        }
        self.len += 1;
    }

    /// Throws away what has arrived for the one at `place`, and closes it once that was the end.
    ///
    /// A free place is that of one that was closed a moment ago.
    pub(crate) fn discard(&mut self, place: u32) {
        let Some(entry) = self.entries.get_mut(place as usize) else { return };
        let Some(descriptor) = &entry.descriptor else { return };
        // MSG_TRUNC: tcp(7) discards the bytes rather than copying them.
        let over = match rustix::net::recv(descriptor, &mut *self.nowhere, RecvFlags::TRUNC) {
            Ok((_, 0)) => true,
            Ok((_, bytes)) => {
                entry.bytes += bytes;
                entry.bytes >= LINGER_BYTES_MAX
            }
            Err(Errno::AGAIN | Errno::INTR) => false,
            Err(_) => true,
        };
        if over {
            self.remove(place);
        }
    }

    /// Closes those whose time is over at `now`.
    pub(crate) fn expire(&mut self, now: Instant) {
        for _ in 0..EXPIRED_PER_POLL_MAX {
            if self.deadline().is_none_or(|until| until > now) {
                return;
            }
            self.close_oldest();
        }
    }

    /// Closes the oldest for real; `false` when there is none.
    pub(crate) fn close_oldest(&mut self) -> bool {
        self.oldest.inspect(|&oldest| self.remove(oldest)).is_some()
    }

    /// When the next one's time is over.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.oldest.map(|oldest| self.entries[oldest as usize].until)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Closes the one at `place`, which is not free.
    fn remove(&mut self, place: u32) {
        let free = self.free.replace(place);
        let entry = &mut self.entries[place as usize];
        drop(entry.descriptor.take());
        let (older, newer) = (entry.older, std::mem::replace(&mut entry.newer, free));
        match older {
            Some(older) => self.entries[older as usize].newer = newer,
            None => self.oldest = newer,
        }
        match newer {
            Some(newer) => self.entries[newer as usize].older = older,
            None => self.newest = older,
        }
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    #[test]
    fn the_peers_end_or_the_deadline_closes() {
        let mut lingering = Lingering::new();
        let mut peers = Vec::new();
        for now in 0..3 {
            let (ours, peer) = UnixStream::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            peers.push((lingering.place(), peer));
            lingering.push(ours.into(), at(now));
        }
        lingering.discard(peers[1].0); // nothing arrived: it stays
        assert_eq!((lingering.len(), lingering.deadline()), (3, Some(at(0) + LINGER)));
        let (place, peer) = peers.remove(1);
        drop(peer);
        lingering.discard(place);
        assert_eq!(lingering.len(), 2);
        lingering.discard(place); // a late event
        lingering.expire(at(1) + LINGER);
        assert_eq!((lingering.len(), lingering.deadline()), (1, Some(at(2) + LINGER)));
        let (_, mut oldest) = peers.remove(0);
        assert_eq!(oldest.read(&mut [0]).unwrap(), 0);
        assert!(lingering.close_oldest() && !lingering.close_oldest());
        assert!(peers[0].1.write(b"x").is_err());
    }

    /// Pushes, closings in the middle and at the front, against a list of times; a place that is
    /// free is used again.
    #[test]
    fn the_order_is_that_of_age_whatever_is_closed() {
        let mut lingering = Lingering::new();
        let null = std::fs::File::open("/dev/null").unwrap();
        let mut model: Vec<(u32, u64)> = Vec::new();
        let mut seed = 7_u32;
        for now in 0..2_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            match (seed >> 24) % 4 {
                0 | 1 if model.len() < 20 => {
                    model.push((lingering.place(), now));
                    lingering.push(null.try_clone().unwrap().into(), at(now));
                }
                2 if !model.is_empty() => {
                    let (place, _) = model.remove((seed >> 8) as usize % model.len());
                    lingering.discard(place); // no socket: reading fails, which is an end
                }
                _ => {
                    assert_eq!(lingering.close_oldest(), !model.is_empty());
                    model.drain(..model.len().min(1));
                }
            }
            let first = model.first().map(|(_, since)| at(*since) + LINGER);
            assert_eq!((lingering.len(), lingering.deadline()), (model.len(), first), "{now}");
        }
        assert!(lingering.entries.len() <= 20, "places are used again");
    }

    #[test]
    fn many_whose_time_is_over_are_closed_in_several_polls() {
        let mut lingering = Lingering::new();
        let null = std::fs::File::open("/dev/null").unwrap();
        for _ in 0..300 {
            lingering.push(null.try_clone().unwrap().into(), at(0));
        }
        for left in [300 - EXPIRED_PER_POLL_MAX, 0] {
            lingering.expire(at(0) + LINGER);
            assert_eq!(lingering.len(), left);
        }
    }

    #[test]
    fn a_full_list_closes_its_oldest() {
        crate::options::raise_descriptor_limit(2 * LINGERING_MAX as u64);
        let mut lingering = Lingering::new();
        let (ours, mut peer) = UnixStream::pair().unwrap();
        lingering.push(ours.into(), at(0));
        let null = std::fs::File::open("/dev/null").unwrap();
        for _ in 1..LINGERING_MAX {
            lingering.push(null.try_clone().unwrap().into(), at(1));
        }
        assert_eq!(lingering.deadline(), Some(at(0) + LINGER));
        lingering.push(null.into(), at(1));
        assert_eq!((lingering.len(), lingering.deadline()), (LINGERING_MAX, Some(at(1) + LINGER)));
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    }
}
