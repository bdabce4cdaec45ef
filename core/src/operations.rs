//! What is done with a source, written once for its two callers: a [`Reactor`] that knows its
//! poller, so that all of it is inlined, and a [`Handle`] that does not.
//!
//! Invariants: a handle reaches its reactor through two functions, the tables and the poller; all
//! others are called directly. So a program links the operations that it uses, where a vtable of
//! all of them would link each one into every firmware. The poller is borrowed for one call of it
//! at a time.
//!
//! Layer: stands on the state and the poller's contract; [`reactor`](crate::reactor) and
//! [`handle`](crate::handle) stand on it.
//!
//! [`Reactor`]: crate::reactor::Reactor
//! [`Handle`]: crate::handle::Handle

use core::cell::RefMut;
use core::net::SocketAddr;

use crate::poller::{Error, Io, Readiness, Token, Transport};
use crate::reactor::{Close, Group, InsertError};
use crate::state::State;

/// Where a source's tables and its world are found.
pub(crate) trait Reach {
    /// The poller, or any.
    type World: World + ?Sized;

    fn state(&self) -> &State<'_>;

    /// The poller, for one call.
    fn world(&self) -> RefMut<'_, Self::World>;
}

/// A [`Transport`] of which a vtable can be made: it has no constants.
pub(crate) trait World {
    fn short_read_drains(&self) -> bool;
    fn register(&mut self, io: Io, token: Token) -> Result<(), Error>;
    fn listen(&mut self, at: SocketAddr, backlog: u16) -> Result<Io, Error>;
    fn accept(&mut self, listener: Io) -> nb::Result<(Io, SocketAddr), Error>;
    fn read(&mut self, io: Io, buf: &mut [u8]) -> nb::Result<usize, Error>;
    fn write(&mut self, io: Io, data: &[u8]) -> nb::Result<usize, Error>;
    fn write_vectored(&mut self, io: Io, head: &[u8], rest: &[u8]) -> nb::Result<usize, Error>;
    fn set_nodelay(&mut self, io: Io, on: bool) -> Result<(), Error>;
    fn shutdown(&mut self, io: Io);
    fn close(&mut self, io: Io);
    fn abort(&mut self, io: Io);
    fn peer(&self, io: Io) -> Option<SocketAddr>;
    fn local(&self, io: Io) -> Option<SocketAddr>;
    fn start_tls(&mut self, io: Io) -> Result<(), Error>;
}

impl<P: Transport> World for P {
    #[inline]
    fn short_read_drains(&self) -> bool {
        P::SHORT_READ_DRAINS
    }
    #[inline]
    fn register(&mut self, io: Io, token: Token) -> Result<(), Error> {
        self.register(io, token)
    }
    #[inline]
    fn listen(&mut self, at: SocketAddr, backlog: u16) -> Result<Io, Error> {
        self.listen(at, backlog)
    }
    #[inline]
    fn accept(&mut self, listener: Io) -> nb::Result<(Io, SocketAddr), Error> {
        self.accept(listener)
    }
    #[inline]
    fn read(&mut self, io: Io, buf: &mut [u8]) -> nb::Result<usize, Error> {
        self.read(io, buf)
    }
    #[inline]
    fn write(&mut self, io: Io, data: &[u8]) -> nb::Result<usize, Error> {
        self.write(io, data)
    }
    #[inline]
    fn write_vectored(&mut self, io: Io, head: &[u8], rest: &[u8]) -> nb::Result<usize, Error> {
        self.write_vectored(io, head, rest)
    }
    #[inline]
    fn set_nodelay(&mut self, io: Io, on: bool) -> Result<(), Error> {
        self.set_nodelay(io, on)
    }
    #[inline]
    fn shutdown(&mut self, io: Io) {
        self.shutdown(io);
    }
    #[inline]
    fn close(&mut self, io: Io) {
        self.close(io);
    }
    #[inline]
    fn abort(&mut self, io: Io) {
        self.abort(io);
    }
    #[inline]
    fn peer(&self, io: Io) -> Option<SocketAddr> {
        self.peer(io)
    }
    #[inline]
    fn local(&self, io: Io) -> Option<SocketAddr> {
        self.local(io)
    }
    #[inline]
    fn start_tls(&mut self, io: Io) -> Result<(), Error> {
        self.start_tls(io)
    }
}

pub(crate) fn insert(reach: &impl Reach, io: Io, group: Group) -> Result<Token, InsertError> {
    let token = reach.state().insert(io, group).ok_or(InsertError::Full(io))?;
    let registered = reach.world().register(io, token);
    registered.map_err(|error| {
        reach.state().remove(token);
        InsertError::Register(io, error)
    })?;
    Ok(token)
}

pub(crate) fn remove(reach: &impl Reach, token: Token, how: Close) {
    if let Some(io) = reach.state().remove(token) {
        let mut world = reach.world();
        match how {
            Close::Graceful => world.close(io),
            Close::Abort => world.abort(io),
        }
    }
}

pub(crate) fn listen(reach: &impl Reach, at: SocketAddr, backlog: u16) -> Result<Token, Error> {
    let io = reach.world().listen(at, backlog)?;
    adopt(reach, io, Group::NONE)
}

/// Inserts what was just opened, and ends it if that fails.
pub(crate) fn adopt(reach: &impl Reach, io: Io, group: Group) -> Result<Token, Error> {
    insert(reach, io, group).map_err(|refused| {
        reach.world().abort(io);
        match refused {
            InsertError::Full(_) => Error::new(embedded_io::ErrorKind::OutOfMemory),
            InsertError::Register(_, error) => error,
        }
    })
}

pub(crate) fn accept(
    reach: &impl Reach,
    listener: Token,
    group: Group,
) -> nb::Result<(Token, SocketAddr), Error> {
    let full = nb::Error::Other(Error::new(embedded_io::ErrorKind::OutOfMemory));
    let state = reach.state();
    if state.sources.is_full() {
        return Err(full);
    }
    let source = state.source(listener).ok_or(nb::Error::Other(Error::STALE))?;
    let accepted = reach.world().accept(Io(source.io.get()));
    match accepted {
        Ok((io, peer)) => {
            let token = adopt(reach, io, group).map_err(|_| full)?;
            Ok((token, peer))
        }
        Err(error) => {
            if matches!(error, nb::Error::WouldBlock) {
                source.disprove(Readiness::READ);
            }
            Err(error)
        }
    }
}

#[cfg_attr(not(target_os = "none"), inline(always))]
pub(crate) fn read(reach: &impl Reach, token: Token, buf: &mut [u8]) -> nb::Result<usize, Error> {
    let source = reach.state().source(token).ok_or(nb::Error::Other(Error::STALE))?;
    let mut world = reach.world();
    let result = world.read(Io(source.io.get()), buf);
    match result {
        Ok(len) => {
            reach.state().metrics.add_bytes_in(len);
            let drained = len < buf.len() && world.short_read_drains();
            if drained && !source.ready().intersects(Readiness::CLOSED) {
                source.disprove(Readiness::READ);
            }
        }
        Err(nb::Error::WouldBlock) => source.disprove(Readiness::READ),
        Err(nb::Error::Other(_)) => {}
    }
    result
}

/// Writes by `write`, which is one of the world's two ways to.
#[cfg_attr(not(target_os = "none"), inline(always))]
pub(crate) fn write<R: Reach>(
    reach: &R,
    token: Token,
    data: &[u8],
    write: impl FnOnce(&mut R::World, Io, &[u8]) -> nb::Result<usize, Error>,
) -> nb::Result<usize, Error> {
    let source = reach.state().source(token).ok_or(nb::Error::Other(Error::STALE))?;
    if !source.ready().intersects(Readiness::WRITE) {
        return Err(nb::Error::WouldBlock);
    }
    let result = write(&mut reach.world(), Io(source.io.get()), data);
    match result {
        Ok(len) => reach.state().metrics.add_bytes_out(len),
        Err(nb::Error::WouldBlock) => source.disprove(Readiness::WRITE),
        Err(nb::Error::Other(_)) => {}
    }
    result
}

pub(crate) fn set_nodelay(reach: &impl Reach, token: Token, on: bool) -> Result<(), Error> {
    let source = reach.state().source(token).ok_or(Error::STALE)?;
    reach.world().set_nodelay(Io(source.io.get()), on)
}

pub(crate) fn shutdown(reach: &impl Reach, token: Token) {
    if let Some(source) = reach.state().source(token) {
        reach.world().shutdown(Io(source.io.get()));
    }
}

pub(crate) fn peer(reach: &impl Reach, token: Token) -> Option<SocketAddr> {
    let source = reach.state().source(token)?;
    reach.world().peer(Io(source.io.get()))
}

pub(crate) fn local(reach: &impl Reach, token: Token) -> Option<SocketAddr> {
    let source = reach.state().source(token)?;
    reach.world().local(Io(source.io.get()))
}

pub(crate) fn start_tls(reach: &impl Reach, token: Token) -> Result<(), Error> {
    let source = reach.state().source(token).ok_or(Error::STALE)?;
    reach.world().start_tls(Io(source.io.get()))
}
