//! Streams in other clothes: TLS from the middle of a conversation on, trait objects, and what code
//! that knows no futures sees.

use std::task::{Context, Poll};

use dustdevil_core::embedded_io::{BufRead, ErrorKind, Read, ReadReady, Write, WriteReady};
use dustdevil_core::handle::Handle;
use dustdevil_core::nb;
use dustdevil_core::poller::{Error, Interest};
use dustdevil_core::sim::{Faults, Script};
use dustdevil_core::stream::{Blocking, IoStream, RawStream, attempt};
use dustdevil_core::tcp::TcpListener;

use crate::streams_output::{ONE, window, with_tcp};
use crate::util::{SECOND, at, in_world, millis};

/// What every byte is changed by while it is in "TLS".
const KEY: u8 = 0x5a;

/// A transport that can be asked to hide its bytes from then on.
struct Veiled<S> {
    raw: S,
    is_veiled: std::cell::Cell<bool>,
}

impl<S: RawStream> Veiled<S> {
    fn key(&self) -> u8 {
        if self.is_veiled.get() { KEY } else { 0 }
    }
}

impl<S: RawStream> RawStream for Veiled<S> {
    fn try_read(&self, buf: &mut [u8]) -> nb::Result<usize, Error> {
        let count = self.raw.try_read(buf)?;
        buf[..count].iter_mut().for_each(|byte| *byte ^= self.key());
        Ok(count)
    }
    fn try_write(&self, data: &[u8]) -> nb::Result<usize, Error> {
        let veiled: Vec<u8> = data.iter().map(|byte| byte ^ self.key()).collect();
        self.raw.try_write(&veiled)
    }
    fn poll_ready(&self, interest: Interest, cx: &mut Context<'_>) -> Poll<()> {
        self.raw.poll_ready(interest, cx)
    }
    fn start_tls(&self) -> Result<(), Error> {
        match self.is_veiled.replace(true) {
            true => Err(Error::new(ErrorKind::AlreadyExists)),
            false => Ok(()),
        }
    }
    fn shutdown(&self) {
        self.raw.shutdown();
    }
    fn close(&self) {
        self.raw.close();
    }
}

#[test]
fn a_stream_becomes_tls_between_two_messages_and_not_amid_one() {
    let veil = |bytes: &[u8]| bytes.iter().map(|byte| byte ^ KEY).collect::<Vec<u8>>();
    let peer = Script::new("x")
        .send(b"STARTTLS\nearly")
        .expect_contains(b"go\n", SECOND)
        .send(&veil(b"secret\n"))
        .expect_contains(&veil(b"answer"), SECOND);
    with_tcp(1, Faults::NONE, peer, async |_, tcp| {
        let (mut input, mut output) = ([0; 16], [0; 16]);
        let veiled = Veiled { raw: tcp, is_veiled: false.into() };
        let mut stream = IoStream::with_output(veiled, &mut input, &mut output);
        assert_eq!(stream.read_until(b"\n", 16).await, Ok(&b"STARTTLS\n"[..]));
        let Err((mut stream, error)) = stream.start_tls() else { panic!("bytes in the clear") };
        assert_eq!(error.kind, ErrorKind::InvalidInput);
        assert_eq!(stream.read_bytes(5).await, Ok(&b"early"[..]));
        stream.write(b"go\n").await.unwrap();
        stream.flush().await.unwrap();
        let Ok(mut stream) = stream.start_tls() else { panic!("nothing is buffered") };
        assert_eq!(stream.read_until(b"\n", 16).await, Ok(&b"secret\n"[..]));
        stream.write(b"answer").await.unwrap();
        let Err((mut stream, error)) = stream.start_tls() else { panic!("twice") };
        assert_eq!(error.kind, ErrorKind::AlreadyExists);
        stream.close_gracefully().await.unwrap();
    });
    with_tcp(1, window(2), Script::new("x").wait(SECOND), async |_, tcp| {
        let (mut input, mut output) = ([0; 16], [0; 16]);
        let veiled = Veiled { raw: tcp, is_veiled: false.into() };
        let mut stream = IoStream::with_output(veiled, &mut input, &mut output);
        stream.write_nowait(b"unsent").unwrap();
        let Err((stream, error)) = stream.start_tls() else { panic!("bytes in the clear") };
        assert_eq!(error.kind, ErrorKind::InvalidInput);
        drop(stream);
    });
    with_tcp(1, Faults::NONE, Script::new("x"), async |_, tcp| {
        let Err((_, error)) = IoStream::new(tcp, &mut []).start_tls() else { panic!("no TLS") };
        assert_eq!(error, Error::UNSUPPORTED);
    });
}

#[test]
fn several_pieces_leave_as_one() {
    let parts: [&[u8]; 6] = [b"", b"one ", b"", b"two ", b"three", b""];
    let peer = Script::new("x").expect_contains(b"zero one two three", SECOND);
    with_tcp(1, Faults::NONE, peer, async |handle, tcp| {
        let mut stream = IoStream::new(tcp, &mut []);
        assert_eq!(stream.set_nodelay(true), Ok(()));
        assert_eq!(stream.write(b"zero ").await, Ok(()));
        let before = handle.snapshot();
        let mut write = stream.write_vectored(&parts);
        assert_eq!((&mut write).await, Ok(()));
        assert_eq!(write.written(), 13);
        assert_eq!(handle.snapshot().turns, before.turns, "it did not wait");
        assert_eq!(stream.write_vectored(&[]).await, Ok(()));
        assert_eq!(stream.write_vectored(&[b"", b""]).await, Ok(()));
    });
}

#[test]
fn a_trait_object_is_a_stream() {
    let peer = Script::new("x").send(b"hello\n").expect_contains(b"bye", SECOND);
    with_tcp(1, Faults::NONE, peer, async |_, tcp| {
        let raw: &dyn RawStream = &tcp;
        let mut buffer = [0; 8];
        let mut stream = IoStream::new(raw, &mut buffer);
        assert_eq!(stream.read_until(b"\n", 8).await, Ok(&b"hello\n"[..]));
        stream.write(b"bye").await.unwrap();
    });
}

#[test]
fn code_that_knows_no_futures_speaks_over_it() {
    let peer = Script::new("x")
        .send(b"line\nrest")
        .expect_contains(b"answer", SECOND)
        .wait(SECOND)
        .send(b"!")
        .fin();
    in_world(1, Faults::NONE, ONE, |world, reactor| {
        world.connect(at(), millis(1), peer);
        let listener = TcpListener::bind(Handle::from(reactor), at(), 1).unwrap();
        let (tcp, _) = reactor.run(listener.accept()).unwrap();
        let (mut input, mut output) = ([0; 16], [0; 16]);
        let stream = IoStream::with_output(tcp, &mut input, &mut output);
        let mut io = Blocking::new(reactor, stream);
        assert_eq!(io.fill_buf().unwrap().first(), Some(&b'l'));
        io.consume(1);
        let mut eight = [0; 8];
        io.read_exact(&mut eight).unwrap();
        assert_eq!(&eight, b"ine\nrest");
        assert_eq!((io.read_ready(), io.write_ready()), (Ok(false), Ok(true)));
        io.write_all(b"answer").unwrap();
        io.flush().unwrap();
        let mut one = [0; 1];
        // The nb face alone sees nothing, however often: nobody turns the reactor.
        for _ in 0..3 {
            assert_eq!(io.inner().try_read(&mut one), Err(nb::Error::WouldBlock));
            assert_eq!(attempt(io.inner().read_bytes(1)), Err(nb::Error::WouldBlock));
        }
        assert_eq!(io.inner().try_flush(), Ok(()));
        assert_eq!(io.inner().try_write(b""), Ok(0));
        assert_eq!(io.read(&mut one), Ok(1));
        assert_eq!(&one, b"!");
        assert_eq!(io.read(&mut one), Ok(0));
        assert_eq!(io.read_ready(), Ok(true), "there is an end to be read");
        drop(io.into_inner());
        drop(listener);
        reactor.run(world.peers_gone());
    });
}
