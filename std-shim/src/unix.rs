//! Unix sockets: streams and listeners by path. Tornado: `IOStream` over one, and
//! `netutil.bind_unix_socket`.
//!
//! A [`UnixStream`] is core's [`Tcp`], and a listener here is a token: whatever serves TCP serves
//! these too, `TcpServer` and the HTTP server included. Peers have no address: `accept` answers
//! `0.0.0.0:0`, and [`Tcp::peer_addr`] `None`. Closing is TCP's as well, but that there is no RST:
//! [`abort`](dustdevil_core::stream::RawStream::abort) is a plain close.
//!
//! A path that begins with a NUL byte names a socket of the abstract namespace: there is no file.
//!
//! Capacity: as for TCP, a source of the reactor's each.
//!
//! Layer: stands on [`watch`](crate::watch)'s [`Host`] and rustix.
//!
//! ```
//! use dustdevil_core::reactor::{Capacity, Reactor};
//! use dustdevil_core::stream::IoStream;
//! use dustdevil_core::tcp::TcpListener;
//! use dustdevil_core::wake::Wakes;
//! use dustdevil_std::{Epoll, unix, watch::Host, zeroed};
//!
//! const CAPACITY: Capacity =
//!     Capacity { sources: 0, timers: 1, groups: 0, tasks: 1, waiters: 0 }.plus_streams(3);
//! static WAKES: Wakes<1> = Wakes::new();
//! let mut tables = zeroed(CAPACITY.bytes());
//! let reactor = Reactor::new(Epoll::new()?, tables.block(), CAPACITY, &WAKES);
//! let host = Host::from(&reactor);
//!
//! let path = std::env::temp_dir().join(format!("dustdevil-doc-{}", std::process::id()));
//! let listener = TcpListener::from_token(host.handle(), unix::listen(host, &path, 0o600, 16)?);
//! reactor.run(async {
//!     let mut buffers = [[0; 64]; 2];
//!     let [one, other] = &mut buffers;
//!     let mut client = IoStream::new(unix::connect(host, &path).await.unwrap(), one);
//!     let (accepted, _) = listener.accept().await.unwrap();
//!     let mut server = IoStream::new(accepted, other);
//!     client.write(b"hello\n").await.unwrap();
//!     assert_eq!(server.read_until(b"\n", 64).await.unwrap(), b"hello\n");
//! });
//! std::fs::remove_file(path).unwrap();
//! # Ok::<(), dustdevil_core::poller::Error>(())
//! ```

use std::fs::{File, Permissions};
use std::io::ErrorKind as StdKind;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use dustdevil_core::embedded_io::ErrorKind;
use dustdevil_core::poller::{Error, Token};
use dustdevil_core::tcp::Tcp;
use dustdevil_core::time::Duration;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use crate::socket::{FLAGS, error};
use crate::watch::{Host, portable};

/// A connection by a unix socket, under the reactor's care: as one by TCP, but for addresses.
pub type UnixStream<'c> = Tcp<'c>;

/// How long a connection waits before it tries again at a listener whose backlog is full: 10 ms.
/// The kernel tells nobody when there is room.
const FULL_PAUSE: Duration = Duration::from_millis(10);

/// Connects to the listener at `path`. While its backlog is full this waits, for as long as it is
/// polled: use [`Handle::timeout`](dustdevil_core::handle::Handle::timeout).
///
/// Cancel-safe: dropping it closes what was not connected.
///
/// # Errors
/// [`ErrorKind::NotFound`]: no such file. [`ErrorKind::ConnectionRefused`]: nobody listens there
/// any more. [`ErrorKind::PermissionDenied`], [`ErrorKind::InvalidInput`] for a path of 108 bytes
/// or more, [`ErrorKind::OutOfMemory`].
pub async fn connect<'c>(
    host: impl Into<Host<'c>>,
    path: impl AsRef<Path>,
) -> Result<UnixStream<'c>, Error> {
    let (host, at) = (host.into(), address(path.as_ref())?);
    let socket = socket().map_err(error)?;
    loop {
        match rustix::net::connect(&socket, &at) {
            Ok(()) => return host.adopt_stream(socket),
            Err(Errno::AGAIN) => host.handle().sleep(FULL_PAUSE).await,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(error(errno)),
        }
    }
}

/// Two streams that are connected to each other. One that is for another process or thread is made
/// with std, and its peer taken over by [`Host::adopt_stream`].
///
/// # Errors
/// [`ErrorKind::OutOfMemory`]: two descriptors, or two sources of the reactor, are not left.
pub fn pair<'c>(host: impl Into<Host<'c>>) -> Result<(UnixStream<'c>, UnixStream<'c>), Error> {
    let host = host.into();
    let made = rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None);
    let (one, other) = made.map_err(error)?;
    Ok((host.adopt_stream(one)?, host.adopt_stream(other)?))
}

/// Listens at `path`, as [`bind_unix_socket`] does, on this reactor: for an HTTP server, or for
/// [`TcpListener::from_token`](dustdevil_core::tcp::TcpListener::from_token).
///
/// # Errors
/// As there, and as [`Host::adopt_listener`].
pub fn listen<'c>(
    host: impl Into<Host<'c>>,
    path: impl AsRef<Path>,
    mode: u32,
    backlog: u16,
) -> Result<Token, Error> {
    host.into().adopt_listener(bind_unix_socket(path, mode, backlog)?)
}

/// A listening socket at `path`, whose file has the permissions `mode` (Tornado's default: 0o600).
///
/// Tornado's rules: a socket that is there already is replaced, be it stale or in use (whoever
/// listens on it is not reached any more); any other file is left alone. The file stays when the
/// socket is closed. Beyond Tornado, the permissions are there from the start: nobody can connect
/// between `bind` and `chmod`.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`]: there is something that is no socket. [`ErrorKind::NotFound`]: no
/// such directory. [`ErrorKind::PermissionDenied`], [`ErrorKind::InvalidInput`] for a path of 108
/// bytes or more, [`ErrorKind::AddrInUse`] for an abstract name.
pub fn bind_unix_socket(path: impl AsRef<Path>, mode: u32, backlog: u16) -> Result<OwnedFd, Error> {
    let path = path.as_ref();
    let at = address(path)?;
    let mut socket = socket().map_err(error)?;
    if is_abstract(path) {
        rustix::net::bind(&socket, &at).map_err(error)?;
    } else {
        make_way(path)?;
        // The file of a socket gets the mode of the socket, less the umask.
        let file = File::from(socket);
        file.set_permissions(Permissions::from_mode(mode)).map_err(|error| portable(&error))?;
        socket = file.into();
        rustix::net::bind(&socket, &at).map_err(error)?;
        std::fs::set_permissions(path, Permissions::from_mode(mode))
            .map_err(|error| portable(&error))?;
    }
    rustix::net::listen(&socket, i32::from(backlog)).map_err(error)?;
    Ok(socket)
}

/// Removes a socket's file that is in the way.
fn make_way(path: &Path) -> Result<(), Error> {
    match std::fs::metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            std::fs::remove_file(path).map_err(|error| portable(&error))
        }
        Ok(_) => Err(Error::new(ErrorKind::AlreadyExists)),
        Err(missing) if missing.kind() == StdKind::NotFound => Ok(()),
        Err(error) => Err(portable(&error)),
    }
}

fn socket() -> Result<OwnedFd, Errno> {
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None)
}

fn is_abstract(path: &Path) -> bool {
    path.as_os_str().as_bytes().first() == Some(&0)
}

fn address(path: &Path) -> Result<SocketAddrUnix, Error> {
    let made = match path.as_os_str().as_bytes() {
        [0, name @ ..] => SocketAddrUnix::new_abstract_name(name),
        _ => SocketAddrUnix::new(path),
    };
    made.map_err(|errno| match errno {
        Errno::NAMETOOLONG => Error { kind: ErrorKind::InvalidInput, ..error(errno) },
        errno => error(errno),
    })
}
