//! A small application whose answers tell what was asked, so that none can be taken for another's.

use std::cell::Cell;

use dustdevil_core::time::Duration;
use dustdevil_http::{Exchange, Fault, HeadOut, Sent, Status, routes, text};

/// Where handlers are counted that live.
#[derive(Default)]
pub(crate) struct App {
    pub(crate) alive: Cell<u32>,
}

routes!(App {
    GET "/" => root,
    POST "/" => count,
    PUT "/" => count,
    POST "/count" => count,
    POST "/echo" => echo,
    POST "/ignore" => ignore,
    GET "/ignore" => ignore,
    GET "/slow" => slow,
    POST "/slow" => slow,
    GET "/big" => big,
    GET "/half" => half,
});

/// Counts a handler as long as it lives.
struct Guard<'a>(&'a Cell<u32>);

impl<'a> Guard<'a> {
    fn new(app: &'a App) -> Self {
        app.alive.set(app.alive.get() + 1);
        Self(&app.alive)
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

async fn root(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.out.reply(text("root")).await
}

/// How long the body is.
async fn count(app: &App, mut x: Exchange<'_>) -> Result<Sent, Fault> {
    let _guard = Guard::new(app);
    let (mut buf, mut sum) = ([0; 64], 0);
    loop {
        match x.body.read(&mut buf).await? {
            0 => break,
            len => sum += len,
        }
    }
    x.out.reply(text(&sum.to_string())).await
}

/// The body.
async fn echo(app: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let _guard = Guard::new(app);
    let Exchange { head, mut body, out, .. } = x;
    drop(head);
    let mut buf = [0; 100];
    let mut len = body.read(&mut buf).await?;
    let mut writer = out.start(HeadOut::response(Status::OK)).await?;
    while len > 0 {
        writer.write(&buf[..len]).await?;
        len = body.read(&mut buf).await?;
    }
    writer.end().await
}

/// Does not look at the body.
async fn ignore(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.out.reply(text("ignored")).await
}

/// Takes its time.
async fn slow(app: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let _guard = Guard::new(app);
    x.rt.sleep(Duration::from_millis(300)).await;
    x.out.reply(text("slow")).await
}

/// More than the output holds.
pub(crate) const BIG_BYTES: usize = 5_000;

async fn big(app: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let _guard = Guard::new(app);
    drop(x.head);
    let mut body = x.out.start(HeadOut::response(Status::OK)).await?;
    for _ in 0..BIG_BYTES / 100 {
        body.write(&[b'b'; 100]).await?;
    }
    body.end().await
}

/// Fails in the middle.
async fn half(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let mut body = x.out.start(HeadOut::response(Status::OK)).await?;
    body.write(b"half").await?;
    body.flush().await?;
    Err(Fault::Http(Status::INTERNAL_SERVER_ERROR))
}
