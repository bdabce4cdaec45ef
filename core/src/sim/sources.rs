//! What the reactor knows by an [`Io`](crate::poller::Io) number: listeners, ends of connections
//! and sockets for datagrams.
//!
//! Invariants: a number that is given out is the lowest free one, as an operating system does it:
//! reuse is the rule. To give one out, to take it back and to count costs about the same however
//! many there are, so that a world may hold a million.
//!
//! Layer: data for [`state`](super::state).

use core::net::SocketAddr;
use std::collections::BTreeSet;
use std::vec::Vec;

use super::link::Side;
use crate::poller::{Readiness, Token};

/// What a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Listener(SocketAddr),
    End(u32, Side),
    Socket(SocketAddr),
}

#[derive(Debug)]
pub(super) struct Source {
    pub(super) kind: Kind,
    pub(super) token: Option<Token>,
    /// What was reported and not disproved: it need not be reported again.
    pub(super) reported: Readiness,
}

/// All sources of a world, by their numbers.
#[derive(Default)]
pub(super) struct Sources {
    places: Vec<Option<Source>>,
    /// The numbers below `places.len()` that stand for nothing.
    free: BTreeSet<u32>,
    listeners: usize,
}

impl Sources {
    pub(super) fn get(&self, io: u32) -> Option<&Source> {
        self.places.get(io as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, io: u32) -> Option<&mut Source> {
        self.places.get_mut(io as usize)?.as_mut()
    }

    /// Gives the lowest free number to something new.
    pub(super) fn add(&mut self, kind: Kind) -> u32 {
        self.listeners += usize::from(matches!(kind, Kind::Listener(_)));
        let source = Some(Source { kind, token: None, reported: Readiness::NONE });
        match self.free.pop_first() {
            Some(io) => {
                self.places[io as usize] = source;
                io
            }
            None => {
                self.places.push(source);
                (self.places.len() - 1) as u32
            }
        }
    }

    /// Takes a number back; `None` if it stands for nothing.
    pub(super) fn remove(&mut self, io: u32) -> Option<Source> {
        let source = self.places.get_mut(io as usize)?.take()?;
        self.listeners -= usize::from(matches!(source.kind, Kind::Listener(_)));
        self.free.insert(io);
        Some(source)
    }

    /// One more than the highest number there ever was.
    pub(super) const fn numbers(&self) -> usize {
        self.places.len()
    }

    /// How many there are but listeners: connections and sockets.
    pub(super) fn handles(&self) -> usize {
        self.places.len() - self.free.len() - self.listeners
    }

    /// What each number stands for, in their order.
    pub(super) fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.places.iter().flatten().map(|source| source.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_number_is_given_and_handles_are_counted() {
        let (at, mut sources) = (SocketAddr::from(([10, 0, 0, 1], 80)), Sources::default());
        let listener = sources.add(Kind::Listener(at));
        let ends = [0, 1, 2].map(|link| sources.add(Kind::End(link, 1)));
        assert_eq!((listener, ends, sources.handles()), (0, [1, 2, 3], 3));
        assert!(sources.remove(3).is_some() && sources.remove(1).is_some());
        assert!(sources.remove(1).is_none() && sources.get(1).is_none());
        assert_eq!(sources.handles(), 1);
        assert_eq!([Kind::Socket(at); 3].map(|kind| sources.add(kind)), [1, 3, 4]);
        assert_eq!((sources.numbers(), sources.handles()), (5, 4));
        let kinds: Vec<_> = sources.kinds().take(3).collect();
        assert_eq!(kinds, [Kind::Listener(at), Kind::Socket(at), Kind::End(1, 1)]);
    }
}
