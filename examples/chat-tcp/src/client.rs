//! One connection: from its first line to the last word that it is told.
//!
//! ```text
//!   accept --no seat--> told, closed
//!     |
//!     a seat --> asked for its name --name--> in the room: lines, /who, /quit --> left, seat free
//!                       | 1                        | 2         | 3
//!                  told, closed        told, or reset when nothing can be said any more
//! ```
//!
//! 1: no name in time, or the room closes. 2: it is behind, or its connection takes nothing.
//! 3: silence, too long a line, the end of its input, a reset.
//!
//! Invariants: while it waits it reads and listens at once, so that whoever has to wait with a line
//! misses nothing; a message is written whole, or the connection is reset; a seat is free again
//! however its future ends.

use dustdevil_core::coroutine::yield_now;
use dustdevil_core::handle::Handle;
use dustdevil_core::stream::{IoStream, RawStream, Reader, StreamError, Writer};
use dustdevil_core::tcp::Tcp;
use dustdevil_core::time::{Duration, Instant};
use embassy_futures::select::{Either3, select3};

use crate::App;
use crate::seats::Place;
use crate::words::{self, LINE_BYTES_MAX, MESSAGE_BYTES_MAX, Message, Name};

/// A line and CRLF.
pub(crate) const INPUT_BYTES: usize = LINE_BYTES_MAX + 2;

/// Messages that are sent with one write.
pub(crate) const OUTPUT_BYTES: usize = 256;

const _: () = assert!(OUTPUT_BYTES >= MESSAGE_BYTES_MAX, "a message is sent whole");

/// Why a client is in the room no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// It said so.
    Quit,
    /// Its input ended, or it was reset.
    Gone,
    NoName,
    Idle,
    TooLong,
    /// It has fallen behind by more than the ring.
    Behind,
    /// Its connection took nothing for too long, or the ring went by meanwhile.
    Stalled,
    Closing,
}

impl Left {
    /// What it is told, if it can be told anything.
    const fn farewell(self) -> &'static str {
        match self {
            Self::Quit => words::BYE,
            Self::NoName => words::NO_NAME,
            Self::Idle => words::IDLE,
            Self::TooLong => words::TOO_LONG,
            Self::Behind => words::TOO_SLOW,
            Self::Closing => words::CLOSING,
            Self::Gone | Self::Stalled => "",
        }
    }

    /// What the others are told.
    const fn news(self) -> &'static str {
        match self {
            Self::Behind | Self::Stalled => words::WAS_DROPPED,
            _ => words::HAS_LEFT,
        }
    }
}

/// What a line asks for.
enum Asked {
    Nothing,
    Who,
    Quit,
    Unknown,
    Said(Message),
}

impl Asked {
    /// Lines that begin with `/` are never relayed.
    fn by(line: &[u8], name: &Name) -> Self {
        match line {
            b"" => Self::Nothing,
            b"/who" => Self::Who,
            b"/quit" => Self::Quit,
            [b'/', ..] => Self::Unknown,
            line => Self::Said(words::said(name, line)),
        }
    }
}

/// A seat, free again when this is dropped.
struct Seat<'c, 'm> {
    app: &'c App<'m>,
    place: Place,
}

impl<'c, 'm> Seat<'c, 'm> {
    fn take(app: &'c App<'m>) -> Option<Self> {
        let place = app.seats.borrow_mut().take()?;
        Some(Self { app, place })
    }

    /// It looks what there is: the hub waits for this no longer.
    fn attend(&self) {
        if self.app.seats.borrow_mut().attend(self.place) {
            self.app.read.notify_all();
        }
    }
}

impl Drop for Seat<'_, '_> {
    fn drop(&mut self) {
        if self.app.seats.borrow_mut().leave(self.place) {
            self.app.read.notify_all();
        }
    }
}

/// The position of one who reads no messages: it never falls behind.
const NOWHERE: u64 = u64::MAX;

/// A connection of the room's server.
pub(crate) async fn connection<'c, 'm>(app: &'c App<'m>, tcp: Tcp<'c>) {
    let rt = tcp.handle();
    // INVARIANT: there is a buffer for each connection of the server.
    let Some(mut buffer) = app.buffers.lease() else { return };
    let (input, output) = buffer.split_at_mut(INPUT_BYTES);
    let mut stream = IoStream::new(tcp, input);
    let Some(seat) = Seat::take(app) else {
        // Who does not take this either is not waited for any longer.
        let full = stream.write(words::FULL.as_bytes());
        let _ = rt.timeout(app.limits.write, full).await;
        return;
    };
    visit(&seat, rt, &mut stream, output).await;
}

/// From the question for a name to the last word.
async fn visit<S: RawStream>(
    seat: &Seat<'_, '_>,
    rt: Handle<'_>,
    stream: &mut IoStream<'_, S>,
    output: &mut [u8],
) {
    let app = seat.app;
    let (reader, writer) = stream.split();
    let (position, ready_at) = (NOWHERE, rt.now());
    let mut client = Client { seat, rt, reader, writer, output, position, ready_at };
    let (name, left) = match client.name().await {
        Err(left) => (None, left),
        Ok(name) => {
            let left = client.talk(&name).await;
            (Some(name), left)
        }
    };
    // Listening ended with the wait; the hub need not count on this one.
    seat.attend();
    if left == Left::Stalled {
        stream.abort();
    } else {
        // At once, or never: it is not waited for any longer.
        let farewell = stream.write(left.farewell().as_bytes());
        let _ = rt.timeout(Duration::ZERO, farewell).await;
        stream.close();
    }
    if let Some(name) = name.filter(|_| left != Left::Closing) {
        // The name is free once all that is said of it is on its way. INVARIANT: each connection
        // has a place among the queue's waiters.
        let _ = app.posts.put(words::news(&name, left.news())).await;
    }
}

/// A connection that has a seat.
struct Client<'s, 'b, 'm, S> {
    seat: &'s Seat<'s, 'm>,
    rt: Handle<'s>,
    reader: Reader<'s, 'b, S>,
    writer: Writer<'s, S>,
    output: &'s mut [u8],
    /// The message that it reads next; [`NOWHERE`] until it has a name.
    position: u64,
    /// When its next line is read.
    ready_at: Instant,
}

impl<S: RawStream> Client<'_, '_, '_, S> {
    /// Asks until it has a name that nobody else has.
    async fn name(&mut self) -> Result<Name, Left> {
        let (app, rt) = (self.seat.app, self.rt);
        let late = rt.sleep_until(rt.now() + app.limits.name);
        let mut late = core::pin::pin!(late);
        self.tell(words::ASK_NAME).await?;
        loop {
            // Of all the news only the end concerns it. A line that waits already comes last.
            let name = match select3(app.news(NOWHERE), late.as_mut(), self.line()).await {
                Either3::First(()) => return Err(Left::Closing),
                Either3::Second(()) => return Err(Left::NoName),
                Either3::Third(line) => words::name(line?),
            };
            let Some(name) = name else {
                self.tell(words::BAD_NAME).await?;
                continue;
            };
            let is_free = app.seats.borrow_mut().name(self.seat.place, &name);
            if is_free {
                self.position = app.ring.borrow().end();
                return Ok(name);
            }
            self.tell(words::NAME_TAKEN).await?;
        }
    }

    /// From the welcome until it leaves.
    async fn talk(&mut self, name: &Name) -> Left {
        if let Err(left) = self.tell(words::WELCOME).await {
            return left;
        }
        match self.exchange(name).await {
            Err(left) => left,
            Ok(()) => Left::Quit,
        }
    }

    /// Says what it has to say, and reads what everybody says, until it quits.
    async fn exchange(&mut self, name: &Name) -> Result<(), Left> {
        let (app, rt) = (self.seat.app, self.rt);
        // What is on its way to the hub: nothing else is read before it is there.
        let mut post = Some(app.posts.put(words::news(name, words::HAS_COME)));
        let mut idle_at = rt.now() + app.limits.idle;
        loop {
            self.catch_up().await?;
            app.seats.borrow_mut().listen(self.seat.place);
            let position = self.position;
            let input = async {
                match &mut post {
                    // INVARIANT: each connection has a place among the queue's waiters.
                    Some(post) => Err(post.await.is_ok()),
                    None => Ok(self.line().await),
                }
            };
            let asked = match select3(input, app.news(position), rt.sleep_until(idle_at)).await {
                Either3::First(Ok(line)) => Asked::by(line?, name),
                Either3::First(Err(_)) => {
                    post = None;
                    continue;
                }
                Either3::Second(()) => continue,
                Either3::Third(()) => return Err(Left::Idle),
            };
            idle_at = rt.now() + app.limits.idle;
            // The hub does not wait while this one is told something.
            self.seat.attend();
            match asked {
                Asked::Nothing => {}
                Asked::Quit => return Ok(()),
                Asked::Who => self.list().await?,
                Asked::Unknown => self.tell(words::COMMANDS).await?,
                Asked::Said(message) => post = Some(app.posts.put(message)),
            }
        }
    }

    /// The next line, without its end, no sooner than its pace allows.
    async fn line(&mut self) -> Result<&[u8], Left> {
        self.rt.sleep_until(self.ready_at).await;
        let line = self.reader.read_until(b"\n", INPUT_BYTES).await;
        self.ready_at = self.rt.now() + self.seat.app.limits.pace;
        match line.map(words::trimmed) {
            Ok(line) if line.len() <= LINE_BYTES_MAX => Ok(line),
            Ok(_) | Err(StreamError::Unsatisfiable | StreamError::BufferFull) => Err(Left::TooLong),
            Err(_) => Err(Left::Gone),
        }
    }

    /// Writes every message that it has not read, unless the room closes.
    async fn catch_up(&mut self) -> Result<(), Left> {
        let app = self.seat.app;
        self.seat.attend();
        loop {
            if app.is_closing.get() {
                return Err(Left::Closing);
            }
            let copied = app.ring.borrow().copy(&mut self.position, self.output);
            let count = copied.map_err(|_| Left::Behind)?;
            let messages = self.output.get(..count).unwrap_or_default();
            if messages.is_empty() {
                return Ok(());
            }
            write(self.rt, app, self.position, &mut self.writer, messages).await?;
        }
    }

    /// Lists who is here: as many to a line as fit.
    async fn list(&mut self) -> Result<(), Left> {
        let mut from = Some(0);
        while let Some(index) = from {
            if self.seat.app.is_closing.get() {
                return Err(Left::Closing);
            }
            let mut line = Message::new();
            // INVARIANT: the list leaves room for the newline, and the line was empty before.
            let _ = line.push('-');
            from = self.seat.app.seats.borrow().list(index, &mut line);
            let _ = line.push('\n');
            self.tell(&line).await?;
            // A socket with room for all of it keeps nobody else waiting.
            yield_now().await;
        }
        Ok(())
    }

    /// Tells it alone.
    async fn tell(&mut self, words: &str) -> Result<(), Left> {
        write(self.rt, self.seat.app, self.position, &mut self.writer, words.as_bytes()).await
    }
}

/// Writes all of `data` to one who reads `position` next. A connection that takes nothing in time
/// has stalled, and so has one that takes little while the ring goes by or the room closes.
async fn write<S: RawStream>(
    rt: Handle<'_>,
    app: &App<'_>,
    position: u64,
    writer: &mut Writer<'_, S>,
    data: &[u8],
) -> Result<(), Left> {
    let mut write = writer.write(data);
    let mut taken = 0;
    loop {
        match rt.timeout(app.limits.write, &mut write).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(_)) => return Err(Left::Gone),
            Err(_) => {
                let is_behind = app.ring.borrow().is_behind(position);
                if write.written() == taken || is_behind || app.is_closing.get() {
                    return Err(Left::Stalled);
                }
                taken = write.written();
            }
        }
    }
}
