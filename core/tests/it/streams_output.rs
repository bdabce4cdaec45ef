//! Streams beyond the plain reads and writes: output buffers, closing, matchers; each operation
//! dropped at every await; every split; and the model of `streams_model`.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use dustdevil_core::embedded_io::{ErrorKind, WriteReady};
use dustdevil_core::handle::Handle;
use dustdevil_core::poller::Error;
use dustdevil_core::reactor::Capacity;
use dustdevil_core::sim::{Ended, Faults, Record, Rng, Script};
use dustdevil_core::stream::{IoStream, RawStream, StreamError};
use dustdevil_core::tcp::{Tcp, TcpListener};
use embassy_futures::join::join;

use crate::streams_model;
use crate::util::{BARE, MINUTE, SECOND, at, in_world, millis, seeds};

/// One connection and its listener.
pub(crate) const ONE: Capacity = Capacity { timers: 8, ..BARE }.plus_streams(2);

/// In a world where `peer` connects: what `talk` does with the connection, and the peer's record.
pub(crate) fn with_tcp<T>(
    seed: u64,
    faults: Faults,
    peer: Script,
    talk: impl for<'c> AsyncFnOnce(Handle<'c>, Tcp<'c>) -> T,
) -> (T, Record) {
    let record = peer.record();
    let result = in_world(seed, faults, ONE, |world, reactor| {
        world.connect(at(), millis(1), peer);
        let handle = Handle::from(reactor);
        reactor.run(async {
            let listener = TcpListener::bind(handle, at(), 1).unwrap();
            let tcp = loop {
                match listener.accept().await {
                    Ok((tcp, _)) => break tcp,
                    // The world may be out of descriptors for a while.
                    Err(_) => handle.sleep(millis(50)).await,
                }
            };
            drop(listener);
            let result = talk(handle, tcp).await;
            world.assert_all_closed();
            world.peers_gone().await;
            result
        })
    });
    (result, record)
}

/// A window of so many bytes in each direction.
pub(crate) fn window(bytes: usize) -> Faults {
    Faults { window_bytes: (bytes, bytes), ..Faults::NONE }
}

#[test]
fn any_steps_leave_the_stream_where_the_model_is() {
    for seed in 0..seeds(4_000) {
        let mut rng = Rng::new(seed);
        let data: Vec<u8> = (0..rng.range(4, 400)).map(|_| rng.next() as u8).collect();
        streams_model::run(&data);
    }
}

#[test]
fn a_write_that_does_not_wait_is_whole_or_not_at_all() {
    let peer = Script::new("slow").stop_reading().wait(SECOND).resume_reading().wait(SECOND);
    let (_, record) = with_tcp(1, window(4), peer, async |_, tcp| {
        let (mut input, mut output) = ([0; 8], [0; 8]);
        let mut stream = IoStream::with_output(tcp, &mut input, &mut output);
        assert_eq!(stream.write(b"12").await, Ok(()));
        assert_eq!(stream.flush().await, Ok(()));
        let steps: [(&[u8], Result<(), StreamError>, usize); 7] = [
            (b"123456789", Err(StreamError::BufferFull), 0), // longer than the buffer
            (b"34", Ok(()), 0),                              // all of it into the window
            (b"56", Ok(()), 2),
            (b"", Ok(()), 2),
            (b"789abc", Ok(()), 8),
            (b"d", Err(StreamError::BufferFull), 8),
            (b"", Ok(()), 8),
        ];
        for (data, expected, unsent) in steps {
            assert_eq!(stream.write_nowait(data), expected);
            assert_eq!((stream.raw().unsent(), stream.writing()), (unsent, unsent > 0));
            assert_eq!(stream.write_ready(), Ok(unsent < 8));
        }
        assert_eq!(stream.flush().await, Ok(()));
        assert!(!stream.writing());
    });
    assert_eq!(record.outcome().received, b"123456789abc");
}

#[test]
fn whoever_waits_for_anything_sends_on_what_is_held_back() {
    async fn until(handle: Handle<'_>, call: impl Future) {
        assert!(handle.timeout(MINUTE, call).await.is_err());
    }
    for wait in 0..3 {
        let peer = Script::new("x")
            .stop_reading()
            .wait(SECOND)
            .resume_reading()
            .expect_contains(b"0123456789abcdefghij", SECOND)
            .wait(MINUTE + SECOND)
            .tolerant();
        let (_, record) = with_tcp(1, window(4), peer, async |handle, tcp| {
            let (mut input, mut output) = ([0; 8], [0; 32]);
            let mut stream = IoStream::with_output(tcp, &mut input, &mut output);
            stream.write_nowait(b"0123456789abcdefghij").unwrap();
            assert!(stream.writing());
            match wait {
                0 => until(handle, stream.read_until(b"\n", 8)).await,
                1 => until(handle, stream.closed()).await,
                _ => {
                    // The writing half has done its part; the reading half sends it on.
                    let (mut reader, mut writer) = stream.split();
                    let read = reader.read_bytes(1);
                    let write = async { writer.write_nowait(b"!") };
                    until(handle, async { join(read, write).await }).await;
                }
            }
            assert!(!stream.writing(), "{wait}");
            stream.abort();
        });
        assert!(record.outcome().received.starts_with(b"0123456789abcdefghij"));
    }
}

/// The read found nothing held back when it looked, and sends on all the same what is then.
#[test]
fn what_is_held_back_later_is_sent_on_by_who_waits_already() {
    for direct in [true, false] {
        let peer = Script::new("x").stop_reading().wait(SECOND).resume_reading();
        let peer = peer.expect_contains(b"0123456789abcdefghij", SECOND).wait(MINUTE + SECOND);
        let peer = peer.tolerant();
        let (_, record) = with_tcp(1, window(4), peer, async |handle, tcp| {
            let (mut input, mut output) = ([0; 8], [0; 32]);
            let mut stream = IoStream::with_output(tcp, &mut input, &mut output);
            let (mut reader, mut writer) = stream.split();
            let read = reader.read_bytes(1);
            let write = async {
                handle.sleep(millis(10)).await;
                if direct {
                    writer.write_nowait(b"0123456789abcdefghij").unwrap();
                } else {
                    writer.write(b"0123456789abcdefghij").await.unwrap();
                }
            };
            assert!(handle.timeout(MINUTE, join(read, write)).await.is_err());
            assert!(!stream.writing(), "{direct}");
            stream.abort();
        });
        assert_eq!(record.outcome().received, b"0123456789abcdefghij");
    }
}

#[test]
fn an_end_of_output_comes_behind_what_is_held_back() {
    let peer = Script::new("x").stop_reading().wait(SECOND).resume_reading();
    let peer = peer.expect_close(MINUTE).send(b"late").fin();
    let (_, record) = with_tcp(1, window(4), peer, async |_, tcp| {
        let (mut input, mut output) = ([0; 8], [0; 16]);
        let mut stream = IoStream::with_output(tcp, &mut input, &mut output);
        stream.write_nowait(b"0123456789").unwrap();
        stream.shutdown();
        stream.shutdown();
        let broken = StreamError::Closed(Some(Error::new(ErrorKind::BrokenPipe)));
        assert_eq!(stream.write_nowait(b"x"), Err(broken));
        assert_eq!(stream.write(b"x").await, Err(broken));
        // A read alone sends the rest and the end.
        assert_eq!(stream.read_until_close(8).await, Ok(&b"late"[..]));
    });
    assert_eq!(record.outcome().received, b"0123456789");
}

#[test]
fn closing_gracefully_loses_nothing_and_closing_at_once_may() {
    let peer = || {
        let peer = Script::new("x").send(b"unread").stop_reading().wait(SECOND).resume_reading();
        peer.expect_close(MINUTE).wait(SECOND).send(b"more").fin()
    };
    let talk = async |handle: Handle<'_>, tcp: Tcp<'_>, graceful: bool| {
        let (mut input, mut output) = ([0; 4], [0; 16]);
        let mut stream = IoStream::with_output(tcp, &mut input, &mut output);
        stream.write(b"01").await.unwrap();
        stream.flush().await.unwrap();
        stream.write_nowait(b"23456789").unwrap();
        let began = handle.now();
        if graceful {
            assert_eq!(stream.close_gracefully().await, Ok(()));
            assert!(handle.now() - began >= SECOND + SECOND, "until the peer has ended");
        } else {
            stream.close();
            let stale = StreamError::Closed(Some(Error::STALE));
            assert_eq!(stream.flush().await, Err(stale), "it is not said to be sent");
        }
        assert!(!stream.writing());
        assert!(matches!(stream.write(b"x").await, Err(StreamError::Closed(Some(_)))));
    };
    let (_, whole) =
        with_tcp(1, window(4), peer(), async |handle, tcp| talk(handle, tcp, true).await);
    assert_eq!(whole.outcome().received, b"0123456789");
    assert_eq!(whole.outcome().ended, Some(Ended::Fin));
    let (_, part) = with_tcp(1, window(4), peer().tolerant(), async |handle, tcp| {
        talk(handle, tcp, false).await
    });
    assert_eq!(part.outcome().received, b"0123");
}

#[test]
fn a_peer_that_never_ends_is_left_in_time() {
    let peer = Script::new("x").wait(MINUTE).tolerant();
    with_tcp(1, Faults::NONE, peer, async |handle, tcp| {
        let mut input = [0; 4];
        let mut stream = IoStream::new(tcp, &mut input);
        assert!(handle.timeout(SECOND, stream.close_gracefully()).await.is_err());
        stream.abort();
    });
    let peer = Script::new("x").expect_close(SECOND).reset();
    with_tcp(1, Faults::NONE, peer, async |_, tcp| {
        let mut input = [0; 4];
        let mut stream = IoStream::new(tcp, &mut input);
        assert_eq!(stream.error(), None);
        let reset = Error::new(ErrorKind::ConnectionReset);
        assert_eq!(stream.close_gracefully().await, Err(StreamError::Closed(Some(reset))));
        assert_eq!(stream.error(), Some(reset));
    });
}

#[test]
fn the_error_of_what_was_held_back_is_told_by_the_next_write() {
    let peer = Script::new("x").stop_reading().wait(SECOND).reset();
    with_tcp(1, window(4), peer, async |_, tcp| {
        let (mut input, mut output) = ([0; 8], [0; 8]);
        let mut stream = IoStream::with_output(tcp, &mut input, &mut output);
        stream.write_nowait(b"01234567").unwrap();
        let reset = StreamError::Closed(Some(Error::new(ErrorKind::ConnectionReset)));
        assert_eq!(stream.read_bytes(1).await, Err(reset));
        assert_eq!(stream.flush().await, Err(reset));
        assert_eq!(stream.write_nowait(b"x"), Err(reset));
        assert_eq!(stream.write(b"x").await, Err(reset));
        assert!(!stream.writing());
    });
}

/// What one read gave, as one value.
fn told(result: Result<&[u8], StreamError>) -> Result<Vec<u8>, StreamError> {
    result.map(<[u8]>::to_vec)
}

/// The `step`th operation of a conversation of all of them; `None` behind the last.
async fn operation<S: RawStream>(
    stream: &mut IoStream<'_, S>,
    step: usize,
) -> Option<Result<Vec<u8>, StreamError>> {
    let digits = |held: &[u8]| held.iter().position(|byte| !byte.is_ascii_digit());
    Some(match step {
        0 => told(stream.read_until(b"\r\n", 8).await),
        1 => told(stream.read_until(b"\r\n", 4).await),
        2 => told(stream.read_until(b"--", 16).await),
        3 => told(stream.read_bytes(3).await),
        4 => told(stream.read_until_with(digits, 8).await),
        5 => told(stream.read_until_with(|_| None, 1).await),
        6 => told(stream.read_until_with(|held| Some(1 + held.len().min(2)), 8).await),
        7 => told(stream.read_bytes(17).await),
        8 => told(stream.read_until(b"#", 3).await),
        9 => told(stream.read_bytes(4).await),
        10 => told(stream.read_until_close(16).await),
        11 => told(stream.read_bytes(1).await),
        12 => told(stream.read_until_close(16).await),
        _ => return None,
    })
}

const CONVERSATION: &[u8] = b"a\r\nlong--123x,yzabcdrest";

fn conversation() -> Vec<Result<Vec<u8>, StreamError>> {
    [
        Ok(&b"a\r\n"[..]),
        Err(StreamError::Unsatisfiable),
        Ok(b"long--"),
        Ok(b"123"),
        Ok(b""),
        Err(StreamError::Unsatisfiable),
        Ok(b"x,y"),
        Err(StreamError::BufferFull),
        Err(StreamError::Unsatisfiable),
        Ok(b"zabc"),
        Ok(b"drest"),
        Err(StreamError::Closed(None)),
        Ok(b""),
    ]
    .map(told)
    .into()
}

#[test]
fn every_split_of_the_input_reads_the_same() {
    let len = CONVERSATION.len();
    let splits = (0..=len).flat_map(|first| (first..=len).map(move |second| (first, second)));
    for (first, second) in splits.step_by(if cfg!(miri) { 100 } else { 1 }) {
        let (head, rest) = CONVERSATION.split_at(first);
        let (middle, tail) = rest.split_at(second - first);
        let mut peer = Script::new("x");
        for piece in [head, middle, tail].into_iter().filter(|piece| !piece.is_empty()) {
            peer = peer.send(piece).wait(millis(5));
        }
        with_tcp(1, Faults::NONE, peer.fin(), async |_, tcp| {
            let mut input = [0; 16];
            let mut stream = IoStream::new(tcp, &mut input);
            let mut seen = Vec::new();
            while let Some(result) = operation(&mut stream, seen.len()).await {
                seen.push(result);
            }
            assert_eq!(seen, conversation(), "{first} {second}");
        });
    }
}

/// Polls `call` so many times, and no more.
struct Polls<F> {
    call: F,
    left: u32,
}

impl<F: Future + Unpin> Future for Polls<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        Pin::new(&mut self.call).poll(cx).map(Some)
    }
}

#[test]
fn a_read_dropped_at_any_await_has_read_nothing() {
    let mut total = 0;
    for seed in 0..seeds(60) {
        let faults = Faults { reset_permille: 0, ..Faults::seeded(seed) };
        let peer = Script::new("x").send_slowly(CONVERSATION, millis(2)).fin();
        let (drops, _) = with_tcp(seed, faults, peer, async |_, tcp| {
            let mut rng = Rng::new(seed);
            let (mut input, mut drops) = ([0; 16], 0);
            let mut stream = IoStream::new(tcp, &mut input);
            let mut seen = Vec::new();
            loop {
                let call = pin!(operation(&mut stream, seen.len()));
                match (Polls { call, left: rng.range(1, 3) as u32 }).await {
                    None => drops += 1,
                    Some(None) => break,
                    Some(Some(result)) => seen.push(result),
                }
            }
            assert_eq!(seen, conversation(), "seed {seed}");
            drops
        });
        total += drops;
    }
    assert!(total > seeds(60), "only {total} were dropped");
}

#[test]
fn writes_dropped_at_any_await_say_how_far_they_came() {
    let mut total = 0;
    for seed in 0..seeds(60) {
        let faults = Faults { reset_permille: 0, ..Faults::seeded(seed) };
        let faults = Faults { window_bytes: (16, 64), ..faults };
        let sent: Vec<u8> = (0..600_u32).map(|number| number as u8).collect();
        for has_output in [false, true] {
            let peer = Script::new("x").expect_bytes(sent.len(), MINUTE).fin();
            let (drops, record) = with_tcp(seed, faults.clone(), peer, async |_, tcp| {
                let (mut input, mut output) = ([0; 8], [0; 24]);
                let output = if has_output { &mut output[..] } else { &mut [] };
                let mut stream = IoStream::with_output(tcp, &mut input, output);
                let mut rng = Rng::new(seed);
                let (mut at, mut drops) = (0, 0_u64);
                while at < sent.len() {
                    let (first, second) = sent[at..].split_at(rng.index(sent.len() - at));
                    let parts = [first, second];
                    let polls = rng.range(1, 2) as u32;
                    let (written, done) = match rng.index(3) {
                        0 => {
                            let mut call = stream.write(first);
                            let done = Polls { call: &mut call, left: polls }.await;
                            (call.written(), done)
                        }
                        1 => {
                            let mut call = stream.write_vectored(&parts);
                            let done = Polls { call: &mut call, left: polls }.await;
                            (call.written(), done)
                        }
                        _ => {
                            let done = Polls { call: stream.flush(), left: polls }.await;
                            (0, done)
                        }
                    };
                    at += written;
                    drops += u64::from(done.is_none());
                    assert!(matches!(done, None | Some(Ok(()))));
                }
                assert_eq!(stream.close_gracefully().await, Ok(()));
                drops
            });
            total += drops;
            assert_eq!(record.outcome().received, sent, "seed {seed}");
        }
    }
    assert!(total > seeds(60), "only {total} were dropped");
}

#[test]
fn a_graceful_close_dropped_at_any_await_goes_on_when_called_again() {
    for polls in 1..20 {
        let peer = Script::new("x").stop_reading().wait(SECOND).resume_reading();
        let peer = peer.expect_close(MINUTE).wait(SECOND).send_slowly(b"abcdef", SECOND).fin();
        let (_, record) = with_tcp(1, window(4), peer, async |_, tcp| {
            let (mut input, mut output) = ([0; 4], [0; 16]);
            let mut stream = IoStream::with_output(tcp, &mut input, &mut output);
            stream.write_nowait(b"0123456789").unwrap();
            let mut result = None;
            while result.is_none() {
                let call = pin!(stream.close_gracefully());
                result = Polls { call, left: polls }.await;
                embassy_futures::yield_now().await;
            }
            assert_eq!(result, Some(Ok(())));
        });
        assert_eq!(record.outcome().received, b"0123456789", "{polls}");
    }
}

#[test]
fn any_network_carries_what_was_written_and_what_was_read() {
    for seed in 0..seeds(150) {
        let faults = Faults { reset_permille: 0, ..Faults::seeded(seed) };
        let mut rng = Rng::new(seed);
        let mut bytes = |count| -> Vec<u8> { (0..count).map(|_| rng.next() as u8).collect() };
        let (there, here) = (bytes(700), bytes(700));
        let peer = Script::new("x").send(&there).expect_bytes(here.len(), MINUTE).fin();
        let (_, record) = with_tcp(seed, faults, peer, async |_, tcp| {
            let (mut input, mut output) = ([0; 32], [0; 40]);
            let mut stream = IoStream::with_output(tcp, &mut input, &mut output);
            let (mut read, mut written) = (Vec::new(), 0);
            while read.len() < there.len() || written < here.len() {
                let count = rng.index(24).min(here.len() - written);
                match stream.write_nowait(&here[written..written + count]) {
                    Ok(()) => written += count,
                    Err(StreamError::BufferFull) if rng.hits(500) => {
                        stream.flush().await.unwrap();
                    }
                    refused => assert_eq!(refused, Err(StreamError::BufferFull)),
                }
                let want = rng.index(33).min(there.len() - read.len());
                match rng.index(3) {
                    0 => read.extend(stream.read_bytes(want).await.unwrap()),
                    1 => read.extend(stream.read_bytes_partial(want).await.unwrap()),
                    _ => {
                        let mut into = vec![0; want];
                        stream.read_into(&mut into).await.unwrap();
                        read.extend(into);
                    }
                }
            }
            assert_eq!(read, there, "seed {seed}");
            assert_eq!(stream.close_gracefully().await, Ok(()));
        });
        assert_eq!(record.outcome().received, here, "seed {seed}");
    }
}
