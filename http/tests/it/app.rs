//! The application under test: a route for everything that a handler can do well or badly.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::mem;
use std::pin::pin;
use std::task::Poll;

use dustdevil_core::time::Duration;
use dustdevil_http::{
    BodyOut, Exchange, Fault, HeadOut, MediaType, Reply, Sent, Status, routes, text,
};

/// What handlers noticed.
#[derive(Default)]
pub(crate) struct App {
    /// Handlers that saw their peer go, by `closed()` or by `Fault::Gone`.
    pub(crate) gone: Cell<u32>,
    /// Futures that were dropped before they were done.
    pub(crate) dropped: Cell<u32>,
    /// Handlers that live, of those that have a guard.
    pub(crate) alive: Cell<u32>,
    /// A `Sent` that was kept.
    kept: RefCell<Option<Sent>>,
}

routes!(App {
    GET "/plain" => plain,
    GET "/user/{id}" => user,
    GET "/json/{value}" => json,
    GET "/slow/{ms}" => slow,
    GET "/big/{bytes}" => big,
    GET "/stream/{pieces}" => stream,
    POST "/echo" => echo,
    POST "/count" => count,
    POST "/ignore" => ignore,
    GET "/ignore" => ignore,
    GET "/keep" => keep,
    GET "/unanswered" => unanswered,
    GET "/error/{code}" => error,
    GET "/late-error" => late_error,
    GET "/forget" => forget,
    GET "/half" => half,
    GET "/short" => short,
    GET "/hang" => hang,
    GET "/tick" => tick,
    GET "/watch" => watch,
    POST "/watch-body" => watch_body,
    GET "/until-stopped" => until_stopped,
    GET "/deferred/{bytes}" => deferred,
    GET "/over" => over,
    GET "/endless" => endless,
    GET "/watch/{ms}" => watch_for,
    POST "/drop-body" => drop_body,
    POST "/refuse" body LARGE_BYTES_MAX as u64 => refuse,
    GET "/static" => fixed,
    POST "/large" body LARGE_BYTES_MAX as u64 => echo,
    POST "/tiny" body 10 => count,
});

/// Longest body of `/large`, whatever the server's limits say.
pub(crate) const LARGE_BYTES_MAX: usize = 120_000;

/// What `/static` answers.
pub(crate) static FIXED: [u8; 5_000] = {
    let (mut bytes, mut at) = ([0; 5_000], 0);
    while at < bytes.len() {
        bytes[at] = pattern(at);
        at += 1;
    }
    bytes
};

/// Counts a handler that is dropped before it is done.
struct Guard<'a>(&'a App);

impl<'a> Guard<'a> {
    fn new(app: &'a App) -> Self {
        app.alive.set(app.alive.get() + 1);
        Self(app)
    }

    fn done(self) {
        self.0.alive.set(self.0.alive.get() - 1);
        mem::forget(self);
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.alive.set(self.0.alive.get() - 1);
        self.0.dropped.set(self.0.dropped.get() + 1);
    }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The number in a path's parameter.
fn number(x: &Exchange<'_>, name: &str) -> u64 {
    x.head.param(name).and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Byte `at` of every long body.
pub(crate) const fn pattern(at: usize) -> u8 {
    b'a' + (at % 23) as u8
}

async fn plain(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.out.reply(text("simple")).await
}

async fn user(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.out.reply(text(x.head.param("id").unwrap_or_default())).await
}

async fn json(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let head = Reply::new(Status::OK).content_type(MediaType::JSON);
    let body = format!("{{\"value\":\"{}\"}}", x.head.param("value").unwrap_or_default());
    x.out
        .fill(head, |room| {
            room.get_mut(..body.len()).ok_or(())?.copy_from_slice(body.as_bytes());
            Ok::<_, ()>(body.len())
        })
        .await
}

async fn slow(app: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let guard = Guard::new(app);
    x.rt.sleep(ms(number(&x, "ms"))).await;
    let sent = x.out.reply(text("slow")).await;
    guard.done();
    sent
}

async fn big(app: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let guard = Guard::new(app);
    let len = number(&x, "bytes") as usize;
    drop(x.head);
    let head = HeadOut { body: BodyOut::Length(len as u64), ..HeadOut::response(Status::OK) };
    let mut body = x.out.start(head).await?;
    let (mut at, mut piece) = (0, Vec::new());
    while at < len {
        let to = len.min(at + 1000);
        piece.clear();
        piece.extend((at..to).map(pattern));
        let written = body.write(&piece).await;
        if written == Err(Fault::Gone) {
            app.gone.set(app.gone.get() + 1);
        }
        written?;
        at = to;
    }
    let sent = body.end().await;
    guard.done();
    sent
}

/// Chunks of ten bytes, 10 ms apart.
async fn stream(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let pieces = number(&x, "pieces");
    let mut body = x.out.start(HeadOut::response(Status::OK)).await?;
    for _ in 0..pieces {
        body.write(b"0123456789").await?;
        body.flush().await?;
        x.rt.sleep(ms(10)).await;
    }
    body.end().await
}

async fn echo(app: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let guard = Guard::new(app);
    let Exchange { head, mut body, out, .. } = x;
    drop(head);
    let mut buf = [0; 100];
    let mut len = body.read(&mut buf).await?;
    let mut writer = out.start(HeadOut::response(Status::OK)).await?;
    while len > 0 {
        writer.write(&buf[..len]).await?;
        len = body.read(&mut buf).await?;
    }
    let sent = writer.end().await;
    guard.done();
    sent
}

async fn count(app: &App, mut x: Exchange<'_>) -> Result<Sent, Fault> {
    let guard = Guard::new(app);
    let (mut buf, mut sum) = ([0; 64], 0);
    loop {
        match x.body.read(&mut buf).await {
            Ok(0) => break,
            Ok(len) => sum += len,
            Err(fault) => {
                app.gone.set(app.gone.get() + u32::from(fault == Fault::Gone));
                return Err(fault);
            }
        }
    }
    let sent = x.out.reply(text(&sum.to_string())).await;
    guard.done();
    sent
}

async fn ignore(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.out.reply(text("ignored")).await
}

async fn keep(app: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let sent = x.out.reply(text("kept")).await?;
    *app.kept.borrow_mut() = Some(sent);
    Err(Fault::Gone)
}

/// Returns the sign of another request's answer, and answers nothing.
async fn unanswered(app: &App, _: Exchange<'_>) -> Result<Sent, Fault> {
    app.kept.borrow_mut().take().ok_or(Fault::Http(Status::NOT_FOUND))
}

async fn error(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    Err(match number(&x, "code") {
        403 => Status::FORBIDDEN,
        503 => Status::SERVICE_UNAVAILABLE,
        _ => Status::INTERNAL_SERVER_ERROR,
    }
    .into())
}

/// Answers in full, and then fails.
async fn late_error(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let _sent = x.out.reply(text("whole")).await?;
    Err(Fault::Http(Status::INTERNAL_SERVER_ERROR))
}

async fn forget(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    mem::forget(x);
    Err(Fault::Http(Status::FORBIDDEN))
}

async fn half(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let mut body = x.out.start(HeadOut::response(Status::OK)).await?;
    body.write(b"half").await?;
    body.flush().await?;
    Err(Fault::Http(Status::INTERNAL_SERVER_ERROR))
}

async fn short(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let head = HeadOut { body: BodyOut::Length(10), ..HeadOut::response(Status::OK) };
    let mut body = x.out.start(head).await?;
    body.write(b"shor").await?;
    body.end().await
}

async fn hang(app: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let _guard = Guard::new(app);
    let _held = x;
    pending().await
}

/// Wakes up for ever and never looks whether anybody is there.
async fn tick(app: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let _guard = Guard::new(app);
    let _body = x.out.start(HeadOut::response(Status::OK)).await?;
    loop {
        x.rt.sleep(ms(100)).await;
    }
}

async fn watch(app: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    watch_at_most(app, x, ms(30_000)).await
}

async fn watch_for(app: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let time = ms(number(&x, "ms"));
    watch_at_most(app, x, time).await
}

async fn watch_at_most(app: &App, x: Exchange<'_>, time: Duration) -> Result<Sent, Fault> {
    let guard = Guard::new(app);
    let (mut closed, mut late) = (pin!(x.out.closed()), pin!(x.rt.sleep(time)));
    let is_gone = poll_fn(|cx| {
        if closed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        late.as_mut().poll(cx).map(|()| false)
    });
    let is_gone = is_gone.await;
    app.gone.set(app.gone.get() + u32::from(is_gone));
    guard.done();
    if is_gone { Err(Fault::Gone) } else { x.out.reply(text("still there")).await }
}

/// Reads its body, and watches its peer at the same time.
async fn watch_body(app: &App, mut x: Exchange<'_>) -> Result<Sent, Fault> {
    let guard = Guard::new(app);
    let mut closed = pin!(x.out.closed());
    let (mut buf, mut sum) = ([0; 64], 0);
    let fault = loop {
        let mut read = pin!(x.body.read(&mut buf));
        let step = poll_fn(|cx| match closed.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(Fault::Gone)),
            Poll::Pending => read.as_mut().poll(cx),
        });
        match step.await {
            Ok(0) => break None,
            Ok(len) => sum += len,
            Err(fault) => break Some(fault),
        }
    };
    guard.done();
    match fault {
        None => x.out.reply(text(&sum.to_string())).await,
        Some(fault) => {
            app.gone.set(app.gone.get() + u32::from(fault == Fault::Gone));
            Err(fault)
        }
    }
}

/// A body that lies in the program.
async fn fixed(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.out.reply(Reply::new(Status::OK).static_body(MediaType::PLAIN, &FIXED)).await
}

/// A body whose length is not told, and which is never flushed by hand.
async fn deferred(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let bytes = number(&x, "bytes") as usize;
    let mut body = x.out.start(HeadOut::response(Status::OK)).await?;
    let mut at = 0;
    while at < bytes {
        let piece: Vec<u8> = (at..bytes.min(at + 300)).map(pattern).collect();
        body.write(&piece).await?;
        at += piece.len();
    }
    body.end().await
}

/// Writes more than it promised.
async fn over(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let head = HeadOut { body: BodyOut::Length(5), ..HeadOut::response(Status::OK) };
    let mut body = x.out.start(head).await?;
    body.write(b"fiveandmore").await?;
    body.end().await
}

/// An event stream that ends when its peer is gone, and at nothing else.
async fn endless(app: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let _guard = Guard::new(app);
    let mut body = x.out.start(HeadOut::response(Status::OK)).await?;
    loop {
        body.write(b"event\n").await?;
        body.flush().await?;
        x.rt.sleep(ms(250)).await;
    }
}

/// Looks at the begin of its body, and answers.
async fn drop_body(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let Exchange { mut body, out, .. } = x;
    body.read(&mut [0; 10]).await?;
    out.reply(text("dropped")).await
}

/// Says no while its peer still sends.
async fn refuse(_: &App, _: Exchange<'_>) -> Result<Sent, Fault> {
    Err(Fault::Http(Status::FORBIDDEN))
}

async fn until_stopped(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.rt.stopping().await;
    x.out.reply(text("stopped")).await
}
