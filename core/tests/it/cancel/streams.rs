//! Reads and writes of a stream. What a cut read had is read by the next one; what a cut write had
//! not written is written by the next one.

use dustdevil_core::sim::Script;
use dustdevil_core::stream::{Buffered, IoStream, StreamError};
use dustdevil_core::tcp::Tcp;

use super::{Case, Cut, Scene, cases};
use crate::util::{MINUTE, at};

pub(super) const CASES: &[Case] = cases![
    read_until: 2,
    read_until_with: 2,
    read_bytes: 2,
    read_bytes_partial: 1,
    read_into: 2,
    read_into_partial: 1,
    read_until_close: 2,
    read_until_close_with: 2,
    read_of_a_half: 2,
    write: 2,
    write_vectored: 2,
    write_of_a_half: 2,
    write_with_output: 2,
    flush: 2,
    closed: 1,
    close_gracefully: 2,
];

pub(super) const FAULTY: &[Case] = cases![read_that_loses: 1];

/// What a peer sends, and then FIN.
const SENT: &[u8] = b"first line\nsecond\nand the third one\n";

/// What is written to a peer, several windows of it.
const WRITTEN: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// A connection to a peer that sends, and ends.
async fn to_sender<'a>(scene: &Scene<'a>) -> Tcp<'a> {
    scene.world.listen_peer(at(), || Script::new("sender").send(SENT).fin().expect_close(MINUTE));
    scene.client.connect(at()).await.unwrap()
}

/// A connection to a peer that wants all that is written, once, and nothing else.
async fn to_receiver<'a>(scene: &Scene<'a>) -> Tcp<'a> {
    scene.world.listen_peer(at(), || {
        let script = Script::new("receiver").expect_contains(WRITTEN, MINUTE);
        script.send(b"ok").expect_close(MINUTE)
    });
    scene.client.connect(at()).await.unwrap()
}

/// Reads the rest, after what was read already.
async fn rest(stream: &mut IoStream<'_, Tcp<'_>>, mut read: Vec<u8>) {
    loop {
        match stream.read_bytes_partial(7).await {
            Ok(lent) => read.extend(lent),
            Err(StreamError::Closed(None)) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(String::from_utf8(read).unwrap().as_bytes(), SENT, "a byte is lost");
}

/// A case that calls one method that lends, and then reads the rest.
macro_rules! lends {
    ($($name:ident($stream:ident): $call:expr;)*) => {$(
        async fn $name(scene: &Scene<'_>, cut: Cut) -> bool {
            let mut buffer = [0; 64];
            let mut $stream = IoStream::new(to_sender(scene).await, &mut buffer);
            let lent = cut.of(scene, $call).await.map(|lent| lent.unwrap().to_vec());
            let is_done = lent.is_some();
            rest(&mut $stream, lent.unwrap_or_default()).await;
            is_done
        }
    )*};
}

lends! {
    read_until(stream): stream.read_until(b"second\n", 64);
    read_until_with(stream): stream.read_until_with(second_line, 64);
    read_bytes(stream): stream.read_bytes(20);
    read_bytes_partial(stream): stream.read_bytes_partial(20);
    read_until_close(stream): stream.read_until_close(64);
    read_of_a_half(stream): async { stream.split().0.read_bytes(20).await.map(<[u8]>::to_vec) };
}

fn second_line(bytes: &[u8]) -> Option<usize> {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.map(|(at, _)| at + 1).nth(1)
}

async fn read_into(scene: &Scene<'_>, cut: Cut) -> bool {
    let mut buffer = [0; 8];
    let mut stream = IoStream::new(to_sender(scene).await, &mut buffer);
    let mut into = [0; 20];
    let (is_done, filled) = {
        let mut read = stream.read_into(&mut into);
        let done = cut.of(scene, &mut read).await;
        (done.is_some(), read.filled())
    };
    rest(&mut stream, into[..filled].to_vec()).await;
    is_done
}

async fn read_into_partial(scene: &Scene<'_>, cut: Cut) -> bool {
    let mut buffer = [0; 8];
    let mut stream = IoStream::new(to_sender(scene).await, &mut buffer);
    let mut into = [0; 20];
    let count = cut.of(scene, stream.read_into_partial(&mut into)).await.map(Result::unwrap);
    rest(&mut stream, into[..count.unwrap_or(0)].to_vec()).await;
    count.is_some()
}

async fn read_until_close_with(scene: &Scene<'_>, cut: Cut) -> bool {
    let mut buffer = [0; 8];
    let mut stream = IoStream::new(to_sender(scene).await, &mut buffer);
    let mut read = Vec::new();
    let done = cut.of(scene, stream.read_until_close_with(|piece| read.extend(piece))).await;
    rest(&mut stream, read).await;
    done.is_some()
}

/// Takes the bytes out as they come, and drops what it has with itself.
async fn read_that_loses(scene: &Scene<'_>, cut: Cut) -> bool {
    let mut buffer = [0; 64];
    let mut stream = IoStream::new(to_sender(scene).await, &mut buffer);
    let read = async {
        let mut read = Vec::new();
        while read.len() < 20 {
            read.extend(stream.read_bytes(1).await.unwrap());
        }
        read
    };
    let read = cut.of(scene, read).await;
    let is_done = read.is_some();
    rest(&mut stream, read.unwrap_or_default()).await;
    is_done
}

/// Waits until the peer has everything.
async fn arrived(stream: &mut IoStream<'_, Tcp<'_>>) {
    assert_eq!(stream.read_bytes(2).await, Ok(&b"ok"[..]));
}

async fn write(scene: &Scene<'_>, cut: Cut) -> bool {
    let mut buffer = [0; 8];
    let mut stream = IoStream::new(to_receiver(scene).await, &mut buffer);
    let (is_done, written) = {
        let mut write = stream.write(WRITTEN);
        (cut.of(scene, &mut write).await.is_some(), write.written())
    };
    stream.write(&WRITTEN[written..]).await.unwrap();
    arrived(&mut stream).await;
    is_done
}

async fn write_of_a_half(scene: &Scene<'_>, cut: Cut) -> bool {
    let mut buffer = [0; 8];
    let mut stream = IoStream::new(to_receiver(scene).await, &mut buffer);
    let (is_done, written) = {
        let (_, mut writer) = stream.split();
        let mut write = writer.write(WRITTEN);
        (cut.of(scene, &mut write).await.is_some(), write.written())
    };
    stream.write(&WRITTEN[written..]).await.unwrap();
    arrived(&mut stream).await;
    is_done
}

async fn write_vectored(scene: &Scene<'_>, cut: Cut) -> bool {
    let mut buffer = [0; 8];
    let mut stream = IoStream::new(to_receiver(scene).await, &mut buffer);
    let parts = [&WRITTEN[..5], &[], &WRITTEN[5..30], &WRITTEN[30..]];
    let (is_done, written) = {
        let mut write = stream.write_vectored(&parts);
        (cut.of(scene, &mut write).await.is_some(), write.written())
    };
    stream.write(&WRITTEN[written..]).await.unwrap();
    arrived(&mut stream).await;
    is_done
}

async fn write_with_output(scene: &Scene<'_>, cut: Cut) -> bool {
    let (mut buffer, mut output) = ([0; 8], [0; 16]);
    let mut stream = IoStream::with_output(to_receiver(scene).await, &mut buffer, &mut output);
    let (is_done, written) = {
        let mut write = stream.write(WRITTEN);
        (cut.of(scene, &mut write).await.is_some(), write.written())
    };
    stream.write(&WRITTEN[written..]).await.unwrap();
    // A read sends on what is held back.
    arrived_with_output(&mut stream).await;
    is_done
}

async fn arrived_with_output(stream: &mut IoStream<'_, Buffered<'_, Tcp<'_>>>) {
    assert_eq!(stream.read_bytes(2).await, Ok(&b"ok"[..]));
    assert!(!stream.writing());
}

async fn flush(scene: &Scene<'_>, cut: Cut) -> bool {
    let (mut buffer, mut output) = ([0; 8], [0; 64]);
    let mut stream = IoStream::with_output(to_receiver(scene).await, &mut buffer, &mut output);
    stream.write_nowait(WRITTEN).unwrap();
    let done = cut.of(scene, stream.flush()).await;
    stream.flush().await.unwrap();
    arrived_with_output(&mut stream).await;
    done.is_some()
}

async fn closed(scene: &Scene<'_>, cut: Cut) -> bool {
    scene.world.listen_peer(at(), || Script::new("resets").expect_bytes(1, MINUTE).reset());
    let mut buffer = [0; 8];
    let mut stream = IoStream::new(scene.client.connect(at()).await.unwrap(), &mut buffer);
    stream.write(b"x").await.unwrap();
    let done = cut.of(scene, stream.closed()).await;
    stream.closed().await;
    assert!(stream.write(b"x").await.is_err());
    done.is_some()
}

async fn close_gracefully(scene: &Scene<'_>, cut: Cut) -> bool {
    scene.world.listen_peer(at(), || {
        let script = Script::new("receiver").expect_contains(WRITTEN, MINUTE);
        script.send(SENT).expect_close(MINUTE)
    });
    let (mut buffer, mut output) = ([0; 8], [0; 64]);
    let tcp = scene.client.connect(at()).await.unwrap();
    let mut stream = IoStream::with_output(tcp, &mut buffer, &mut output);
    stream.write_nowait(WRITTEN).unwrap();
    let done = cut.of(scene, stream.close_gracefully()).await;
    if done.is_none() {
        stream.close_gracefully().await.unwrap();
    }
    done.is_some()
}
