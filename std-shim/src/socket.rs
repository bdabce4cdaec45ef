//! Sockets as the poller wants them: made non-blocking and close-on-exec, errors made portable.
//!
//! Layer: stands on rustix, and on socket2 for one option; [`epoll`](crate::epoll) and
//! [`percore`](crate::percore) stand on it.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::poller::Error;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

/// The flags that every socket here is born with.
pub(crate) const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

/// What `errno` means to those who do not know Linux.
pub(crate) fn error(errno: Errno) -> Error {
    let kind = match errno {
        Errno::NOENT => ErrorKind::NotFound,
        Errno::ACCESS | Errno::PERM => ErrorKind::PermissionDenied,
        Errno::CONNREFUSED => ErrorKind::ConnectionRefused,
        Errno::CONNRESET => ErrorKind::ConnectionReset,
        Errno::CONNABORTED => ErrorKind::ConnectionAborted,
        Errno::NOTCONN | Errno::BADF => ErrorKind::NotConnected,
        Errno::ADDRINUSE => ErrorKind::AddrInUse,
        Errno::ADDRNOTAVAIL => ErrorKind::AddrNotAvailable,
        Errno::PIPE => ErrorKind::BrokenPipe,
        Errno::EXIST => ErrorKind::AlreadyExists,
        Errno::INVAL => ErrorKind::InvalidInput,
        Errno::TIMEDOUT => ErrorKind::TimedOut,
        Errno::INTR => ErrorKind::Interrupted,
        Errno::OPNOTSUPP | Errno::NOSYS | Errno::AFNOSUPPORT => ErrorKind::Unsupported,
        // ENOSPC: the user's limit of epoll watches.
        errno if out_of_resources(errno) || errno == Errno::NOSPC => ErrorKind::OutOfMemory,
        _ => ErrorKind::Other,
    };
    Error { kind, code: errno.raw_os_error() }
}

/// Whether `errno` says that the process or the system has none left, as accept(2) puts it.
pub(crate) fn out_of_resources(errno: Errno) -> bool {
    matches!(errno, Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
}

/// Whether accept(2) may report `errno` of a connection that died while it waited.
///
/// "Linux accept() passes already-pending network errors on the new socket as an error code from
/// accept(). [..] For reliable operation the application should detect the network errors defined
/// for the protocol after accept() and treat them like EAGAIN by retrying."
pub(crate) fn died_while_waiting(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::CONNABORTED
            | Errno::NETDOWN
            | Errno::PROTO
            | Errno::NOPROTOOPT
            | Errno::HOSTDOWN
            | Errno::NONET
            | Errno::HOSTUNREACH
            | Errno::NETUNREACH
            | Errno::OPNOTSUPP
    )
}

/// A stream socket that is bound to `at`.
///
/// `SO_REUSEADDR` is always set, so that connections in TIME-WAIT do not keep a restarted server
/// from its port. With `share_port`, other sockets of this user that say so too may have the port.
pub(crate) fn bound(at: SocketAddr, share_port: bool) -> Result<OwnedFd, Errno> {
    let socket = stream(at)?;
    bind(&socket, at, share_port)?;
    Ok(socket)
}

/// Binds a socket as [`bound`] does.
pub(crate) fn bind(socket: &OwnedFd, at: SocketAddr, share_port: bool) -> Result<(), Errno> {
    sockopt::set_socket_reuseaddr(socket, true)?;
    sockopt::set_socket_reuseport(socket, share_port)?;
    rustix::net::bind(socket, &at)
}

/// Bytes that the kernel takes for a peer beyond those that are on their way to it.
///
/// Without a limit it takes up to 4 MiB (`tcp_wmem`) for one that reads nothing, so that a deaf
/// reader looks like a fast one for as long as that lasts, at 4 MiB of kernel memory each. What is
/// in flight is not counted, so no line is too long for this.
const UNSENT_BYTES_MAX: u32 = 64 * 1024;

/// A listening socket at `at`; what it accepts has Nagle's algorithm off and takes few bytes that
/// cannot be sent yet, by inheritance.
pub(crate) fn listening(at: SocketAddr, backlog: u16, share_port: bool) -> Result<OwnedFd, Errno> {
    let socket = bound(at, share_port)?;
    listen(&socket, backlog)?;
    Ok(socket)
}

/// Makes a bound socket listen as [`listening`] does.
pub(crate) fn listen(socket: &OwnedFd, backlog: u16) -> Result<(), Errno> {
    sockopt::set_tcp_nodelay(socket, true)?;
    // rustix has no name for it. It only saves memory, so a kernel that refuses is no obstacle.
    let _ = socket2::SockRef::from(socket).set_tcp_notsent_lowat(UNSENT_BYTES_MAX);
    rustix::net::listen(socket, i32::from(backlog))
}

/// A socket on its way to `to`, from `from` as far as that says something, with Nagle's algorithm
/// off.
pub(crate) fn connecting(to: SocketAddr, from: Option<SocketAddr>) -> Result<OwnedFd, Errno> {
    let socket = match from {
        None => stream(to)?,
        Some(from) if from.is_ipv4() != to.is_ipv4() => return Err(Errno::ADDRNOTAVAIL),
        Some(from) => bound(from, false)?,
    };
    sockopt::set_tcp_nodelay(&socket, true)?;
    match rustix::net::connect(&socket, &to) {
        // A signal does not stop what was started (connect(2)).
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

/// A stream socket of the family of `family_of`.
pub(crate) fn stream(family_of: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if family_of.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    rustix::net::socket_with(family, SocketType::STREAM, FLAGS, Some(ipproto::TCP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_keep_their_number_and_get_a_portable_kind() {
        let cases = [
            (Errno::CONNRESET, ErrorKind::ConnectionReset),
            (Errno::PIPE, ErrorKind::BrokenPipe),
            (Errno::ADDRINUSE, ErrorKind::AddrInUse),
            (Errno::MFILE, ErrorKind::OutOfMemory),
            (Errno::NFILE, ErrorKind::OutOfMemory),
            (Errno::NOBUFS, ErrorKind::OutOfMemory),
            (Errno::NOMEM, ErrorKind::OutOfMemory),
            (Errno::NOSPC, ErrorKind::OutOfMemory),
            (Errno::IO, ErrorKind::Other),
        ];
        for (errno, kind) in cases {
            assert_eq!(error(errno), Error { kind, code: errno.raw_os_error() });
        }
    }

    #[test]
    fn a_port_that_is_not_shared_is_refused_to_a_second_socket() {
        let at = SocketAddr::from(([127, 0, 0, 1], 0));
        let first = listening(at, 1, true).unwrap();
        let taken = rustix::net::getsockname(&first).unwrap().try_into().unwrap();
        assert_eq!(bound(taken, false).err(), Some(Errno::ADDRINUSE));
        assert!(bound(taken, true).is_ok());
    }
}
