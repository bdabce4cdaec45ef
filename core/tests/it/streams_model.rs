//! A stream against a plain vector of bytes: bytes of choices become reads, writes, arrivals, room
//! and ends, and after each step the stream must stand where the vectors say it does.
//!
//! A read's result follows from what has arrived, from its bound and from the buffer's length; in
//! which pieces it arrived, how often an attempt was made in vain, and how many reads were begun
//! and dropped before makes no difference. The fuzz target `stream` runs the same.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use dustdevil_core::embedded_io::{ErrorKind, ReadReady, WriteReady};
use dustdevil_core::nb;
use dustdevil_core::poller::{Error, Interest};
use dustdevil_core::stream::{Buffered, IoStream, RawStream, StreamError};

const RESET: Error = Error { kind: ErrorKind::ConnectionReset, code: 104 };
const BROKEN: Error = Error { kind: ErrorKind::BrokenPipe, code: 32 };

/// Bytes that are taken from the front; zeros behind the end.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn next(&mut self) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.next() % bound
    }
}

/// The other side of the stream.
#[derive(Default)]
struct Wire {
    /// All that has arrived, and how much of it the stream has fetched.
    arrived: RefCell<Vec<u8>>,
    fetched: Cell<usize>,
    end: Cell<Option<Result<(), Error>>>,
    end_is_told: Cell<bool>,
    /// All that was sent.
    sent: RefCell<Vec<u8>>,
    room: Cell<usize>,
    is_broken: Cell<bool>,
    /// Decides about pieces and vain attempts.
    whims: Cell<u32>,
}

impl Wire {
    /// A number below `bound`, the next of the whims.
    fn whim(&self, bound: usize) -> usize {
        let next = self.whims.get().wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.whims.set(next);
        (next >> 16) as usize % bound
    }

    fn write(&self, parts: [&[u8]; 2]) -> nb::Result<usize, Error> {
        assert!(!parts[0].is_empty(), "a write of nothing");
        if self.is_broken.get() {
            return Err(nb::Error::Other(BROKEN));
        }
        let all = parts.concat();
        if self.room.get() == 0 || self.whim(4) == 0 {
            return Err(nb::Error::WouldBlock);
        }
        let count = (1 + self.whim(all.len())).min(self.room.get());
        self.sent.borrow_mut().extend(&all[..count]);
        self.room.set(self.room.get() - count);
        Ok(count)
    }
}

impl RawStream for &Wire {
    fn try_read(&self, buf: &mut [u8]) -> nb::Result<usize, Error> {
        assert!(!buf.is_empty(), "a read into nothing");
        let arrived = self.arrived.borrow();
        let left = &arrived[self.fetched.get()..];
        if left.is_empty() {
            return match self.end.get() {
                None => Err(nb::Error::WouldBlock),
                Some(Err(error)) if !self.end_is_told.replace(true) => Err(nb::Error::Other(error)),
                Some(_) => Ok(0),
            };
        }
        if self.whim(4) == 0 {
            return Err(nb::Error::WouldBlock);
        }
        let count = 1 + self.whim(left.len().min(buf.len()));
        buf[..count].copy_from_slice(&left[..count]);
        self.fetched.set(self.fetched.get() + count);
        Ok(count)
    }

    fn try_write(&self, data: &[u8]) -> nb::Result<usize, Error> {
        self.write([data, b""])
    }

    fn try_write_vectored(&self, head: &[u8], rest: &[u8]) -> nb::Result<usize, Error> {
        assert!(!rest.is_empty(), "one part alone");
        self.write([head, rest])
    }

    fn poll_ready(&self, interest: Interest, _: &mut Context<'_>) -> Poll<()> {
        let is_ready = match interest {
            Interest::Read => {
                self.fetched.get() < self.arrived.borrow().len() || self.end.get().is_some()
            }
            Interest::Write => self.room.get() > 0 || self.is_broken.get(),
            Interest::Gone => self.is_broken.get(),
        };
        let is_spurious = interest != Interest::Gone && self.whim(8) == 0;
        if is_ready || is_spurious { Poll::Ready(()) } else { Poll::Pending }
    }

    fn shutdown(&self) {}
    fn close(&self) {}
}

#[derive(Default)]
struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Polls until it is done, or waits for the other side.
fn settle<T>(call: impl Future<Output = T>) -> Option<T> {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut call = pin!(call);
    for _ in 0..10_000 {
        let before = woken.0.load(Ordering::Relaxed);
        if let Poll::Ready(output) = call.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
        if woken.0.load(Ordering::Relaxed) == before {
            return None;
        }
    }
    panic!("it never comes to rest");
}

/// What a read is to give; `None`: it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// Exactly so many bytes.
    Bytes(usize),
    /// Between one and so many.
    UpTo(usize),
    Error(StreamError),
    Waits,
}

/// What is known when a read begins.
struct Known<'k> {
    left: &'k [u8],
    capacity: usize,
    end: Option<Result<(), Error>>,
}

impl Known<'_> {
    /// What a read gives for which `left` is not enough, and which the buffer can hold.
    fn wait(&self) -> Expected {
        match self.end {
            None => Expected::Waits,
            Some(end) => Expected::Error(StreamError::Closed(end.err())),
        }
    }

    fn until(&self, delimiter: &[u8], max: usize) -> Expected {
        let bound = max.min(self.capacity);
        let seen = &self.left[..self.left.len().min(bound)];
        let end = (delimiter.len()..=seen.len()).find(|&end| seen[..end].ends_with(delimiter));
        match end {
            Some(end) => Expected::Bytes(end),
            None if seen.len() == max => Expected::Error(StreamError::Unsatisfiable),
            None if seen.len() == self.capacity => Expected::Error(StreamError::BufferFull),
            None => self.wait(),
        }
    }

    fn exactly(&self, count: usize) -> Expected {
        match count {
            _ if count > self.capacity => Expected::Error(StreamError::BufferFull),
            _ if count <= self.left.len() => Expected::Bytes(count),
            _ => self.wait(),
        }
    }

    fn partial(&self, max: usize) -> Expected {
        match max.min(self.left.len()) {
            0 if max == 0 => Expected::Bytes(0),
            0 => self.wait(),
            some => Expected::UpTo(some),
        }
    }

    fn rest(&self, max: usize) -> Expected {
        match self.end {
            _ if self.left.len().min(self.capacity) > max => {
                Expected::Error(StreamError::Unsatisfiable)
            }
            _ if self.left.len() >= self.capacity => Expected::Error(StreamError::BufferFull),
            Some(Ok(())) => Expected::Bytes(self.left.len()),
            _ => self.wait(),
        }
    }

    fn frame(&self, max: usize) -> Expected {
        match frame(self.left) {
            Some(count) if count > max => Expected::Error(StreamError::Unsatisfiable),
            Some(count) => self.exactly(count),
            None if max == 0 => Expected::Error(StreamError::Unsatisfiable),
            None => self.wait(),
        }
    }
}

/// A byte that says how many follow.
fn frame(held: &[u8]) -> Option<usize> {
    held.first().map(|&len| 1 + usize::from(len % 8))
}

/// The stream, and the vectors that say where it must stand.
struct Model<'a, 'w> {
    choices: Choices<'a>,
    wire: &'w Wire,
    capacity: usize,
    /// How much of what arrived was read.
    read: usize,
    /// All that a write took.
    written: Vec<u8>,
    /// Of the output buffer.
    output: usize,
}

/// A write without waiting, where there is one.
type WriteNowait<S> = fn(&mut IoStream<'_, S>, &[u8]) -> Option<Result<(), StreamError>>;

impl Model<'_, '_> {
    fn step<S: RawStream>(&mut self, stream: &mut IoStream<'_, S>, nowait: WriteNowait<S>) {
        match self.choices.below(20) {
            0..3 => self.arrive(),
            3 | 4 => self.wire.room.set(self.choices.below(12)),
            5 if self.choices.below(8) == 0 => {
                let reset = self.choices.below(2) == 0;
                let end = if reset { Err(RESET) } else { Ok(()) };
                self.wire.end.set(self.wire.end.get().or(Some(end)));
            }
            6 if self.choices.below(8) == 0 => self.wire.is_broken.set(true),
            7 => self.read_into(stream),
            8 => self.look(stream),
            9..14 => self.read(stream),
            14..18 => self.write(stream),
            18 => self.write_nowait(stream, nowait),
            _ => self.flush(stream),
        }
        self.check(stream);
    }

    fn arrive(&mut self) {
        if self.wire.end.get().is_none() {
            let count = self.choices.below(9);
            let bytes: Vec<u8> = (0..count).map(|_| b"ab\n\x02"[self.choices.below(4)]).collect();
            self.wire.arrived.borrow_mut().extend(bytes);
        }
    }

    fn read<S: RawStream>(&mut self, stream: &mut IoStream<'_, S>) {
        let arrived = self.wire.arrived.borrow().clone();
        let left = &arrived[self.read..];
        let known = Known { left, capacity: self.capacity, end: self.wire.end.get() };
        let (which, delimiter) = (self.choices.below(6), self.choices.below(3));
        let delimiter = [&b"\n"[..], b"a\n", b""][delimiter];
        let max = self.choices.below(self.capacity + 3);
        let (got, expected) = match which {
            0 | 1 => (settle(stream.read_until(delimiter, max)), known.until(delimiter, max)),
            2 => (settle(stream.read_bytes(max)), known.exactly(max)),
            3 => (settle(stream.read_bytes_partial(max)), known.partial(max)),
            4 => (settle(stream.read_until_close(max)), known.rest(max)),
            _ => (settle(stream.read_until_with(frame, max)), known.frame(max)),
        };
        let told = || format!("{which} {max} of {known_left:?}", known_left = left.escape_ascii());
        match (got, expected) {
            (None, Expected::Waits) => assert!(self.is_drained(stream), "{}", told()),
            (Some(Ok(bytes)), Expected::Bytes(count)) => {
                assert_eq!(bytes, &left[..count], "{}", told());
                self.read += count;
            }
            (Some(Ok(bytes)), Expected::UpTo(most)) => {
                assert!((1..=most).contains(&bytes.len()), "{}", told());
                assert_eq!(bytes, &left[..bytes.len()], "{}", told());
                self.read += bytes.len();
            }
            (Some(Err(error)), Expected::Error(expected)) if error == expected => {}
            // A full buffer behind which the end is known already: either is true.
            (Some(got), Expected::Error(StreamError::BufferFull))
                if known.end.is_some() && left.len() == self.capacity =>
            {
                let ended = StreamError::Closed(known.end.and_then(Result::err));
                assert!(got == Err(ended) || got == Ok(left) && which == 4, "{}", told());
                self.read += got.map_or(0, <[u8]>::len);
            }
            (got, expected) => panic!("{got:?}, not {expected:?}: {}", told()),
        }
    }

    fn read_into<S: RawStream>(&mut self, stream: &mut IoStream<'_, S>) {
        let arrived = self.wire.arrived.borrow().clone();
        let left = &arrived[self.read..];
        let (count, is_partial) = (self.choices.below(24), self.choices.below(2) == 0);
        let mut into = vec![0; count];
        let known = Known { left, capacity: usize::MAX, end: self.wire.end.get() };
        let (filled, got) = if is_partial {
            let got = settle(stream.read_into_partial(&mut into));
            (got.map_or(0, |got| got.unwrap_or(0)), got)
        } else {
            let mut call = stream.read_into(&mut into);
            let got = settle(&mut call);
            (call.filled(), got)
        };
        match (got, if is_partial { known.partial(count) } else { known.exactly(count) }) {
            (None, Expected::Waits) => assert!(self.is_drained(stream)),
            (Some(Ok(got)), Expected::Bytes(count)) => assert_eq!(got, count),
            (Some(Ok(got)), Expected::UpTo(most)) => assert!((1..=most).contains(&got)),
            (Some(Ok(0)), Expected::Error(StreamError::Closed(None))) if is_partial => {}
            (Some(Err(error)), Expected::Error(expected)) => assert_eq!(error, expected),
            (got, expected) => panic!("{got:?}, not {expected:?}"),
        }
        if !is_partial {
            assert_eq!(filled, count.min(left.len()), "as far as it goes");
        }
        assert_eq!(into[..filled], left[..filled]);
        self.read += filled;
    }

    /// Questions, which take nothing.
    fn look<S: RawStream>(&mut self, stream: &mut IoStream<'_, S>) {
        let is_ready = stream.read_ready().unwrap();
        let arrived = self.wire.arrived.borrow().clone();
        let can_read = self.read < arrived.len() || self.wire.end.get().is_some();
        assert!(can_read || !is_ready, "promised, and not there");
        assert!(arrived[self.read..].starts_with(stream.buffered()));
        if is_ready {
            let mut byte = [0];
            let got = stream.try_read(&mut byte);
            let expected = match (arrived.get(self.read), self.wire.end.get()) {
                (Some(_), _) => Ok(1),
                (None, Some(Err(error))) => Err(nb::Error::Other(StreamError::Closed(Some(error)))),
                (None, _) => Ok(0),
            };
            assert_eq!(got, expected);
            self.read += got.unwrap_or(0);
        }
    }

    fn write<S: RawStream>(&mut self, stream: &mut IoStream<'_, S>) {
        let count = self.choices.below(24);
        let data: Vec<u8> = (0..count).map(|n| (self.written.len() + n) as u8).collect();
        let (written, got) = if self.choices.below(2) == 0 {
            let mut call = stream.write(&data);
            let got = settle(&mut call);
            (call.written(), got)
        } else {
            let (first, rest) = data.split_at(self.choices.below(count + 1));
            let (second, third) = rest.split_at(self.choices.below(rest.len() + 1));
            let parts = [first, b"", second, third];
            let mut call = stream.write_vectored(&parts);
            let got = settle(&mut call);
            (call.written(), got)
        };
        self.written.extend(&data[..written]);
        match got {
            None => assert!(self.is_full(stream), "it waits for nothing"),
            Some(Ok(())) => assert_eq!(written, count),
            Some(Err(error)) => {
                assert_eq!(error, StreamError::Closed(Some(BROKEN)));
                assert!(self.wire.is_broken.get());
            }
        }
    }

    fn write_nowait<S: RawStream>(&mut self, stream: &mut IoStream<'_, S>, nowait: WriteNowait<S>) {
        let data: Vec<u8> =
            (0..self.choices.below(12)).map(|n| (self.written.len() + n) as u8).collect();
        let unsent = stream.raw().unsent();
        match nowait(stream, &data) {
            Some(Ok(())) => {
                assert!(unsent + data.len() <= self.output);
                self.written.extend(&data);
            }
            Some(Err(StreamError::BufferFull)) => {
                assert!(unsent + data.len() > self.output);
                assert_eq!(stream.raw().unsent(), unsent);
            }
            Some(Err(error)) => {
                assert_eq!(error, StreamError::Closed(Some(BROKEN)));
                assert!(self.wire.is_broken.get());
            }
            None => {}
        }
    }

    fn flush<S: RawStream>(&mut self, stream: &mut IoStream<'_, S>) {
        match settle(stream.flush()) {
            None => assert!(self.wire.room.get() == 0 && stream.writing()),
            Some(Ok(())) => assert!(!stream.writing()),
            Some(Err(error)) => {
                assert_eq!(error, StreamError::Closed(Some(BROKEN)));
                assert!(self.wire.is_broken.get());
            }
        }
    }

    /// Whoever waits has sent on what there was room for.
    fn is_drained<S: RawStream>(&self, stream: &IoStream<'_, S>) -> bool {
        self.wire.room.get() == 0 || !stream.writing()
    }

    fn is_full<S: RawStream>(&self, stream: &IoStream<'_, S>) -> bool {
        self.wire.room.get() == 0 && stream.raw().unsent() == self.output
    }

    fn check<S: RawStream>(&self, stream: &IoStream<'_, S>) {
        let arrived = self.wire.arrived.borrow();
        let held = &arrived[self.read..self.wire.fetched.get()];
        assert_eq!(stream.buffered(), held, "what was fetched and not read");
        let (sent, unsent) = (self.wire.sent.borrow(), stream.raw().unsent());
        assert!(unsent <= self.output);
        if self.wire.is_broken.get() {
            // What was held back may be lost, and of the last write some may have gone past.
            assert!(self.written.starts_with(&sent) || sent.starts_with(&self.written));
        } else {
            assert_eq!(sent.len() + unsent, self.written.len(), "each byte once");
            assert_eq!(sent[..], self.written[..sent.len()], "in order");
        }
    }
}

/// Runs the steps that `data` chooses.
pub(crate) fn run(data: &[u8]) {
    let mut choices = Choices(data);
    let wire = Wire { whims: Cell::new(choices.next() as u32), ..Wire::default() };
    let (capacity, has_output) = (1 + choices.below(16), choices.below(2) == 0);
    let output = if has_output { choices.below(12) } else { 0 };
    let mut input = vec![0; capacity];
    let mut out = vec![0; output];
    let mut model = Model { choices, wire: &wire, capacity, read: 0, written: Vec::new(), output };
    if has_output {
        let mut stream = IoStream::with_output(&wire, &mut input, &mut out);
        while !model.choices.0.is_empty() {
            model.step(&mut stream, |stream, data| Some(stream.write_nowait(data)));
            exact_write_ready(&mut stream, &mut model);
        }
    } else {
        let mut stream = IoStream::new(&wire, &mut input);
        while !model.choices.0.is_empty() {
            model.step(&mut stream, |_, _| None);
        }
    }
}

/// What says that it can be written to takes a byte at once.
fn exact_write_ready(stream: &mut IoStream<'_, Buffered<'_, &Wire>>, model: &mut Model<'_, '_>) {
    if model.choices.below(16) == 1 && stream.write_ready().unwrap() {
        let byte = [model.written.len() as u8];
        match stream.try_write(&byte) {
            Ok(count) => model.written.extend(&byte[..count]),
            Err(error) => assert_eq!(error, nb::Error::Other(StreamError::Closed(Some(BROKEN)))),
        }
        model.check(stream);
    }
}
