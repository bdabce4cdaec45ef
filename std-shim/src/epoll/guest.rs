//! Descriptors that come from elsewhere: adopted into the table, or only watched.
//!
//! An adopted socket becomes one of the poller's own: read, written and closed by it. A guest stays
//! its owner's: it is registered under the reactor's token and its events are reported, and that is
//! all. The `Io` numbers of guests lie beyond every table, so that none can be mistaken for a
//! descriptor of the poller.
//!
//! Layer: a part of [`epoll`](super); [`watch`](crate::watch) stands on it.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::poller::{Error, Io, Token};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{SocketType, sockopt};

use super::{Epoll, State};
use crate::socket::error;

/// The upper two bits of a guest's number: no table is as long ([`DESCRIPTORS_MAX`]), nor is a
/// descriptor as high.
///
/// [`DESCRIPTORS_MAX`]: super::DESCRIPTORS_MAX
const GUEST: u32 = 0b10 << 30;

/// Everything at once, each edge once; see the [`epoll`](super) module.
const FLAGS: EventFlags =
    EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);

/// The number of a guest with this descriptor.
pub(crate) fn io(descriptor: BorrowedFd<'_>) -> Io {
    Io(descriptor.as_raw_fd().cast_unsigned() | GUEST)
}

/// What [`register`](dustdevil_core::poller::Poller::register) answers for a number that is not in
/// the table: a guest is registered by [`Epoll::watch`] right afterwards.
#[cold]
pub(super) fn register(io: Io) -> Result<(), Error> {
    if io.0 >> 30 == GUEST >> 30 { Ok(()) } else { Err(Error::STALE) }
}

impl Epoll {
    /// Reports the events of `guest` under `token` from now on.
    pub(crate) fn watch(&self, guest: BorrowedFd<'_>, token: Token) -> Result<(), Error> {
        let data = EventData::new_u64(token.as_u64());
        epoll::add(&self.epoll, guest, data, FLAGS).map_err(|errno| match errno {
            // "The target file fd does not support epoll", says epoll_ctl(2): nobody is lacking
            // a permission.
            Errno::PERM => Error { kind: ErrorKind::Unsupported, ..error(errno) },
            errno => error(errno),
        })
    }

    /// Asks the kernel anew: what is ready now is reported once more. Whether it could be asked.
    pub(crate) fn watch_again(&self, guest: BorrowedFd<'_>, token: Token) -> bool {
        epoll::modify(&self.epoll, guest, EventData::new_u64(token.as_u64()), FLAGS).is_ok()
    }

    /// Ends what [`watch`](Self::watch) began.
    pub(crate) fn watch_no_more(&self, guest: BorrowedFd<'_>) {
        // It fails only where the kernel has forgotten the descriptor already.
        let _ = epoll::delete(&self.epoll, guest);
    }

    /// Takes a listening socket that was made elsewhere: one of another family, or inherited. From
    /// now on it is the poller's, which makes it non-blocking; [`Reactor::insert`] comes next.
    ///
    /// [`Reactor::insert`]: dustdevil_core::reactor::Reactor::insert
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`]: it is no stream socket, or does not listen.
    /// [`ErrorKind::OutOfMemory`]: its number is beyond the table. Either way it is closed.
    pub fn adopt_listener(&mut self, listener: OwnedFd) -> Result<Io, Error> {
        self.adopt(listener, true, State::LISTENER)
    }

    /// As [`adopt_listener`](Self::adopt_listener), of a connected stream socket.
    ///
    /// # Errors
    /// As there, but for listening.
    pub fn adopt_stream(&mut self, connection: OwnedFd) -> Result<Io, Error> {
        self.adopt(connection, false, State::NEW)
    }

    fn adopt(&mut self, socket: OwnedFd, listens: bool, state: u8) -> Result<Io, Error> {
        let kind = sockopt::socket_type(&socket).map_err(error)?;
        let fits = kind == SocketType::STREAM
            && sockopt::socket_acceptconn(&socket).map_err(error)? == listens;
        if !fits {
            return Err(Error::new(ErrorKind::InvalidInput));
        }
        rustix::io::ioctl_fionbio(&socket, true).map_err(error)?;
        self.table.insert(socket, state)
    }
}
