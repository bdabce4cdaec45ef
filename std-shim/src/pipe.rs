//! Streams over what is no socket: pipes, FIFOs, ttys. Tornado: `PipeIOStream`.
//!
//! A [`Pipe`] is a [`RawStream`], so that an [`IoStream`](dustdevil_core::stream::IoStream) over it
//! has `read_until` and the rest.
//!
//! - **Pipes and FIFOs** have one direction each: the other one answers with an error, and
//!   [`shutdown`](RawStream::shutdown) of a writing end closes it, as that is the only way to end
//!   the output. A FIFO that was opened for reading comes to its end whenever its last writer goes;
//!   open it for reading and writing, and it does not.
//! - **Ttys** are used as they are: whoever wants raw mode, or another speed, sets it before.
//! - **Standard streams** ([`stdin`], [`stdout`]) are shared: `O_NONBLOCK` belongs to the open
//!   file, which the shell and other processes have too. What they were is put back when the last
//!   of these streams of the process is dropped; a process that is killed meanwhile leaves a
//!   non-blocking terminal, which shells put right. While there is one, std's own `println!` may
//!   fail with `WouldBlock` on the same terminal: log elsewhere, or write through [`stdout`].
//!
//! Writing to a pipe that nobody reads raises SIGPIPE, which a Rust program ignores unless it asked
//! for it: the write then fails with [`ErrorKind::BrokenPipe`].
//!
//! Capacity: as [`Watch`].
//!
//! Layer: stands on [`watch`](crate::watch).
//!
//! ```
//! use dustdevil_core::reactor::{Capacity, Reactor};
//! use dustdevil_core::stream::IoStream;
//! use dustdevil_core::wake::Wakes;
//! use dustdevil_std::{Epoll, pipe, zeroed};
//!
//! const CAPACITY: Capacity =
//!     Capacity { sources: 0, timers: 1, groups: 0, tasks: 1, waiters: 0 }.plus_streams(2);
//! static WAKES: Wakes<1> = Wakes::new();
//! let mut tables = zeroed(CAPACITY.bytes());
//! let reactor = Reactor::new(Epoll::new()?, tables.block(), CAPACITY, &WAKES);
//!
//! let (reading, writing) = pipe::pipe(&reactor)?;
//! reactor.run(async {
//!     let (mut buffer, mut none) = ([0; 64], [0; 1]);
//!     let (mut reader, mut writer) =
//!         (IoStream::new(reading, &mut buffer), IoStream::new(writing, &mut none));
//!     writer.write(b"one\ntwo\n").await.unwrap();
//!     assert_eq!(reader.read_until(b"\n", 64).await.unwrap(), b"one\n");
//!     drop(writer);
//!     assert_eq!(reader.read_until(b"\n", 64).await.unwrap(), b"two\n");
//!     assert!(reader.read_bytes(1).await.is_err(), "the end");
//! });
//! # Ok::<(), dustdevil_core::poller::Error>(())
//! ```

use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::nb;
use dustdevil_core::poller::{Error, Interest};
use dustdevil_core::stream::RawStream;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;

use crate::socket::error;
use crate::watch::{Host, Watch};

/// A stream of bytes over a descriptor that is read and written. See the [module](self).
pub struct Pipe<'c, T: AsFd = OwnedFd> {
    /// `None` once it was closed.
    watch: RefCell<Option<Watch<'c, T>>>,
    /// Which directions it has: O_RDONLY, O_WRONLY or O_RDWR.
    access: OFlags,
    /// Its output was ended: by closing it, as it only writes.
    is_shut: Cell<bool>,
}

impl<'c, T: AsFd> Pipe<'c, T> {
    /// A stream over `inner`, which is made non-blocking and stays so: one end of a pipe to a
    /// child, say, or a tty that was opened for this.
    ///
    /// # Errors
    /// As [`Watch::new`]; a regular file is refused.
    pub fn new(host: impl Into<Host<'c>>, inner: T) -> Result<Self, Error> {
        let flags = fcntl_getfl(&inner).map_err(error)?;
        if !flags.contains(OFlags::NONBLOCK) {
            fcntl_setfl(&inner, flags | OFlags::NONBLOCK).map_err(error)?;
        }
        let watch = RefCell::new(Some(Watch::new(host, inner)?));
        Ok(Self { watch, access: flags & OFlags::ACCMODE, is_shut: Cell::new(false) })
    }

    /// Gives the descriptor back, still non-blocking; `None` when the stream was closed.
    pub fn into_inner(self) -> Option<T> {
        self.watch.into_inner().map(Watch::into_inner)
    }

    fn attempt(
        &self,
        interest: Interest,
        mut attempt: impl FnMut(&T) -> Result<usize, Errno>,
    ) -> nb::Result<usize, Error> {
        let watch = self.watch.borrow();
        let watch = watch.as_ref().ok_or(Error::STALE)?;
        watch.try_io(interest, |inner| attempt(inner).map_err(Into::into))
    }
}

impl<T: AsFd> RawStream for Pipe<'_, T> {
    fn try_read(&self, buf: &mut [u8]) -> nb::Result<usize, Error> {
        if self.is_shut.get() {
            return Ok(0);
        }
        let read = self.attempt(Interest::Read, |inner| rustix::io::read(inner, &mut *buf));
        match read {
            // What a pseudo-terminal says when its other side was closed.
            Err(nb::Error::Other(Error { code, .. })) if code == Errno::IO.raw_os_error() => Ok(0),
            read => read,
        }
    }

    fn try_write(&self, data: &[u8]) -> nb::Result<usize, Error> {
        if self.is_shut.get() {
            return Err(nb::Error::Other(Error::new(ErrorKind::BrokenPipe)));
        }
        self.attempt(Interest::Write, |inner| rustix::io::write(inner, data))
    }

    fn poll_ready(&self, interest: Interest, cx: &mut Context<'_>) -> Poll<()> {
        // The kernel reports nothing of a direction that is not there: an attempt says so.
        if matches!(
            (interest, self.access),
            (Interest::Write, OFlags::RDONLY) | (Interest::Read, OFlags::WRONLY)
        ) {
            return Poll::Ready(());
        }
        self.watch.borrow().as_ref().map_or(Poll::Ready(()), |watch| watch.poll_ready(interest, cx))
    }

    fn shutdown(&self) {
        if self.access == OFlags::WRONLY && self.watch.borrow().is_some() {
            self.close();
            self.is_shut.set(true);
        }
    }

    fn close(&self) {
        self.is_shut.set(false);
        // Dropped when nothing is borrowed: that wakes who waits for it.
        let watch = self.watch.take();
        drop(watch);
    }
}

/// A pipe: what is written to the second end is read from the first. The kernel keeps 64 KiB of it
/// (`F_SETPIPE_SZ`); a writer waits when they are full.
///
/// # Errors
/// [`ErrorKind::OutOfMemory`]: two descriptors, or two sources of the reactor, are not left.
pub fn pipe<'c>(host: impl Into<Host<'c>>) -> Result<(Pipe<'c>, Pipe<'c>), Error> {
    let host = host.into();
    let (reading, writing) =
        rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(error)?;
    Ok((Pipe::new(host, reading)?, Pipe::new(host, writing)?))
}

/// Standard input as a stream, if it is a tty, a pipe or a socket.
///
/// # Errors
/// As [`Pipe::new`]: `program < file` is refused, for one.
pub fn stdin<'c>(host: impl Into<Host<'c>>) -> Result<Pipe<'c, Standard>, Error> {
    Pipe::new(host, Standard::share(rustix::stdio::stdin()))
}

/// Standard output as a stream; see [`stdin`]. What std's own `Stdout` has buffered is not flushed
/// here.
///
/// # Errors
/// As there.
pub fn stdout<'c>(host: impl Into<Host<'c>>) -> Result<Pipe<'c, Standard>, Error> {
    Pipe::new(host, Standard::share(rustix::stdio::stdout()))
}

/// A standard stream of the process: dropping it does not close it, but makes it again what it was.
pub struct Standard {
    descriptor: BorrowedFd<'static>,
}

impl Standard {
    fn share(descriptor: BorrowedFd<'static>) -> Self {
        let mut shared = Shared::lock();
        shared.count += 1;
        // A descriptor that is not open is refused by the stream that it is for.
        if let Ok(flags) = fcntl_getfl(descriptor) {
            shared.keep(descriptor, flags);
        }
        Self { descriptor }
    }
}

impl AsFd for Standard {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor
    }
}

impl Drop for Standard {
    fn drop(&mut self) {
        let mut shared = Shared::lock();
        shared.count -= 1;
        if shared.count == 0 {
            shared.put_back();
        }
    }
}

/// How many [`Standard`]s there are, and what is put back when there is none.
///
/// Often both streams are one open file, a terminal: then the second finds what the first made of
/// it. So they are put back together, the first one last.
struct Shared {
    count: usize,
    /// What each was before it was first made a stream, in that order.
    before: [Option<(BorrowedFd<'static>, OFlags)>; 2],
}

static SHARED: Mutex<Shared> = Mutex::new(Shared { count: 0, before: [None; 2] });

impl Shared {
    fn lock() -> MutexGuard<'static, Self> {
        // What it guards is never half changed: a panic elsewhere does not spoil it.
        SHARED.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&mut self, descriptor: BorrowedFd<'static>, flags: OFlags) {
        let number = descriptor.as_raw_fd();
        let kept = self.before.iter().flatten().any(|(known, _)| known.as_raw_fd() == number);
        if let (false, Some(free)) = (kept, self.before.iter_mut().find(|kept| kept.is_none())) {
            *free = Some((descriptor, flags));
        }
    }

    fn put_back(&mut self) {
        for kept in self.before.iter_mut().rev() {
            if let Some((descriptor, flags)) = kept.take() {
                // It fails only for one that was closed meanwhile.
                let _ = fcntl_setfl(descriptor, flags);
            }
        }
    }
}
