//! Connections that were closed here while their peer may still be sending.
//!
//! TCP answers input that nobody will read with RST, and a RST makes the peer's kernel throw away
//! what the peer has yet to read: the response it was about to see. So such a connection is shut
//! for writing and kept here; its input is thrown away until the peer closes too, or a bound is
//! reached: [`LINGER`], [`LINGER_BYTES_MAX`], or [`LINGERING_MAX`] connections (then the oldest is
//! closed for real). nginx calls it a lingering close.
//!
//! Invariant: entries lie in the order of their deadlines, since each has the same span.
//!
//! Layer: stands on rustix; [`epoll`](crate::epoll) stands on it.

use std::os::fd::{AsRawFd, OwnedFd};

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

/// The closed connections that still wait for their peers, oldest first.
pub(crate) struct Lingering {
    entries: Vec<Entry>,
    /// Where discarded input would go, were it not discarded: never written, so it costs no page.
    nowhere: Box<[u8]>,
}

struct Entry {
    until: Instant,
    bytes: usize,
    descriptor: OwnedFd,
}

impl Lingering {
    pub(crate) fn new() -> Self {
        let nowhere = vec![0; DISCARD_BYTES].into_boxed_slice();
        Self { entries: Vec::with_capacity(LINGERING_MAX), nowhere }
    }

    /// Keeps `descriptor` from `now` on; closes the oldest for it when there is no room.
    pub(crate) fn push(&mut self, descriptor: OwnedFd, now: Instant) {
        if self.entries.len() == LINGERING_MAX {
            self.close_oldest();
        }
        self.entries.push(Entry { until: now + LINGER, bytes: 0, descriptor });
    }

    /// Throws away what has arrived at descriptor `number`, and closes it once that was the end.
    ///
    /// A number that is not here is the event of one that was closed a moment ago.
    pub(crate) fn discard(&mut self, number: u32) {
        let place = |entry: &Entry| entry.descriptor.as_raw_fd().cast_unsigned() == number;
        let Some(index) = self.entries.iter().position(place) else { return };
        let entry = &mut self.entries[index];
        // MSG_TRUNC: tcp(7) discards the bytes rather than copying them.
        let over = match rustix::net::recv(&entry.descriptor, &mut *self.nowhere, RecvFlags::TRUNC)
        {
            Ok((_, 0)) => true,
            Ok((_, bytes)) => {
                entry.bytes += bytes;
                entry.bytes >= LINGER_BYTES_MAX
            }
            Err(Errno::AGAIN | Errno::INTR) => false,
            Err(_) => true,
        };
        if over {
            self.entries.remove(index);
        }
    }

    /// Closes those whose time is over at `now`.
    pub(crate) fn expire(&mut self, now: Instant) {
        let over = self.entries.iter().take_while(|entry| entry.until <= now).count();
        self.entries.drain(..over);
    }

    /// Closes the oldest for real; `false` when there is none.
    pub(crate) fn close_oldest(&mut self) -> bool {
        let some = !self.entries.is_empty();
        if some {
            self.entries.remove(0);
        }
        some
    }

    /// When the next one's time is over.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.entries.first().map(|entry| entry.until)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
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
            peers.push((ours.as_raw_fd() as u32, peer));
            lingering.push(ours.into(), at(now));
        }
        lingering.discard(peers[1].0); // nothing arrived: it stays
        assert_eq!((lingering.len(), lingering.deadline()), (3, Some(at(0) + LINGER)));
        let (number, peer) = peers.remove(1);
        drop(peer);
        lingering.discard(number);
        assert_eq!(lingering.len(), 2);
        lingering.discard(number); // a late event
        lingering.expire(at(1) + LINGER);
        assert_eq!((lingering.len(), lingering.deadline()), (1, Some(at(2) + LINGER)));
        let (_, mut oldest) = peers.remove(0);
        assert_eq!(oldest.read(&mut [0]).unwrap(), 0);
        assert!(lingering.close_oldest() && !lingering.close_oldest());
        assert!(peers[0].1.write(b"x").is_err());
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
