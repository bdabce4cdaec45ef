//! `read_until_regex`: reads that end where a regular expression first matches.
//!
//! Invariants: all of the stream's [`read_until_with`](IoStream::read_until_with), of which this is
//! one rule; nothing is read that a dropped call would lose.
//!
//! Capacity: the stream's buffer. What is held is searched from its beginning each time that more
//! has come, so a bound of some hundred bytes is a good one. The crate `regex` allocates at the
//! first search that a thread makes with an expression, and not again: make one at start-up where
//! that matters.
//!
//! Layer: stands on `dustdevil_core::stream`. Feature `regex`.
//!
//! ```
//! # use dustdevil_core::handle::Handle;
//! # use dustdevil_core::reactor::{Capacity, Reactor};
//! # use dustdevil_core::stream::IoStream;
//! # use dustdevil_core::tcp::TcpClient;
//! # use dustdevil_core::time::Duration;
//! # use dustdevil_core::wake::Wakes;
//! # use dustdevil_std::{Epoll, zeroed};
//! # use std::io::Write;
//! use dustdevil_std::regex::{ReadUntilRegex, Regex};
//!
//! # const CAPACITY: Capacity =
//! #     Capacity { sources: 0, timers: 1, groups: 0, tasks: 1, waiters: 0 }.plus_streams(1);
//! # static WAKES: Wakes<1> = Wakes::new();
//! # let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
//! # let at = listener.local_addr().unwrap();
//! # let peer = std::thread::spawn(move || {
//! #     listener.accept().unwrap().0.write_all(b"GET / HTTP/1.0\n\nrest").unwrap();
//! # });
//! # let mut tables = zeroed(CAPACITY.bytes());
//! # let reactor = Reactor::new(Epoll::new().unwrap(), tables.block(), CAPACITY, &WAKES);
//! # reactor.run_sync(Duration::from_secs(20), async {
//! # let tcp = TcpClient::new(&reactor).connect(at).await.unwrap();
//! # let mut buffer = [0; 64];
//! # let mut stream = IoStream::new(tcp, &mut buffer);
//! let end_of_head = Regex::new(r"\r?\n\r?\n").unwrap();
//! let head = stream.read_until_regex(&end_of_head, 64).await;
//! assert_eq!(head, Ok(&b"GET / HTTP/1.0\n\n"[..]));
//! # }).unwrap();
//! # peer.join().unwrap();
//! ```

use std::future::Future;

pub use ::regex::bytes::Regex;
use dustdevil_core::stream::{IoStream, RawStream, Reader, StreamError};

/// Streams that can be read until a regular expression matches: [`IoStream`] and its [`Reader`].
pub trait ReadUntilRegex {
    /// Reads until `regex` matches, and lends everything up to the end of the first match, what
    /// came before it included. `max` bounds what is lent. Tornado: `read_until_regex`.
    ///
    /// As in Tornado, a match is looked for in what has arrived: where it would be longer with
    /// more (`a+`), it depends on how the bytes arrive. End the expression with what ends the text.
    ///
    /// Cancel-safe: a dropped call has read nothing; what arrived stays in the buffer.
    ///
    /// # Errors
    /// [`StreamError::Unsatisfiable`] when the match ends behind `max`, or `max` bytes came without
    /// one; [`StreamError::BufferFull`] when the buffer is smaller than that and full;
    /// [`StreamError::Closed`] when the stream ended before.
    fn read_until_regex<'s>(
        &'s mut self,
        regex: &'s Regex,
        max: usize,
    ) -> impl Future<Output = Result<&'s [u8], StreamError>> + Unpin;
}

impl<S: RawStream> ReadUntilRegex for IoStream<'_, S> {
    fn read_until_regex<'s>(
        &'s mut self,
        regex: &'s Regex,
        max: usize,
    ) -> impl Future<Output = Result<&'s [u8], StreamError>> + Unpin {
        self.read_until_with(end_of(regex), max)
    }
}

impl<S: RawStream> ReadUntilRegex for Reader<'_, '_, S> {
    fn read_until_regex<'s>(
        &'s mut self,
        regex: &'s Regex,
        max: usize,
    ) -> impl Future<Output = Result<&'s [u8], StreamError>> + Unpin {
        self.read_until_with(end_of(regex), max)
    }
}

/// Where the first match ends.
fn end_of(regex: &Regex) -> impl FnMut(&[u8]) -> Option<usize> {
    |held| regex.find(held).map(|found| found.end())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::task::{Context, Poll};

    use dustdevil_core::nb;
    use dustdevil_core::poller::{Error, Interest};
    use dustdevil_core::stream::attempt;

    use super::*;

    /// What arrived, and how much of it was fetched; behind it nothing comes, or the end.
    struct Held<'a>(&'a [u8], Cell<usize>, bool);

    impl RawStream for Held<'_> {
        fn try_read(&self, buf: &mut [u8]) -> nb::Result<usize, Error> {
            let left = &self.0[self.1.get()..];
            let count = left.len().min(buf.len());
            buf[..count].copy_from_slice(&left[..count]);
            self.1.set(self.1.get() + count);
            if count == 0 && !self.2 { Err(nb::Error::WouldBlock) } else { Ok(count) }
        }
        fn try_write(&self, _: &[u8]) -> nb::Result<usize, Error> {
            Err(nb::Error::WouldBlock)
        }
        fn poll_ready(&self, _: Interest, _: &mut Context<'_>) -> Poll<()> {
            if self.1.get() < self.0.len() || self.2 { Poll::Ready(()) } else { Poll::Pending }
        }
        fn shutdown(&self) {}
        fn close(&self) {}
    }

    #[test]
    fn a_match_is_lent_with_all_before_it() {
        type Expected<'a> = Result<&'a [u8], nb::Error<StreamError>>;
        let failed = |error| Err(nb::Error::Other(error));
        let cases: [(&str, &[u8], bool, usize, Expected<'_>); 9] = [
            (r"\r?\n\r?\n", b"a: b\r\n\r\nbody", false, 16, Ok(b"a: b\r\n\r\n")),
            (r"\r?\n\r?\n", b"a: b\n\nbody", false, 16, Ok(b"a: b\n\n")),
            (r"\n", b"abc", false, 16, Err(nb::Error::WouldBlock)),
            (r"\n", b"abc", true, 16, failed(StreamError::Closed(None))),
            (r"\n", b"abc\n", true, 16, Ok(b"abc\n")),
            (r"\n", b"abcd\n", false, 4, failed(StreamError::Unsatisfiable)),
            (r"\n", b"abcd", false, 4, failed(StreamError::Unsatisfiable)),
            (r"\n", b"0123456789abcdef\n", false, 99, failed(StreamError::BufferFull)),
            (r"", b"", false, 16, Ok(b"")),
        ];
        for (pattern, arrived, ends, max, expected) in cases {
            let mut buffer = [0; 16];
            let mut stream = IoStream::new(Held(arrived, Cell::new(0), ends), &mut buffer);
            let regex = Regex::new(pattern).unwrap();
            assert_eq!(attempt(stream.read_until_regex(&regex, max)), expected, "{pattern}");
            let (mut reader, _) = stream.split();
            if expected.is_err() {
                assert_eq!(attempt(reader.read_until_regex(&regex, max)), expected, "{pattern}");
            }
        }
    }
}
