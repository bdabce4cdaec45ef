//! An application with everything that `bench` has no use for: bodies, streams, waits, panics.

use std::io::Write as _;
use std::time::Duration;

use dustdevil_core::time;
use dustdevil_http::{
    BodyOut, Exchange, Fault, HeadOut, MediaType, Method, Reply, Sent, Status, routes, text,
};
use embedded_io_async::{Read, Write};

/// Pieces of `/pieces`.
pub(crate) const PIECES: usize = 100;

/// The body of `/big`: a little over 1 MiB, of a period that no buffer's size shares.
static BIG: [[u8; 4_099]; 256] = {
    let mut period = [0; 4_099];
    let mut at = 0;
    while at < period.len() {
        period[at] = (at as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0];
        at += 1;
    }
    [period; 256]
};

/// The body of `/big`.
pub(crate) fn big_body() -> &'static [u8] {
    BIG.as_flattened()
}

/// The application: it has no state.
#[derive(Clone, Copy)]
pub(crate) struct Workshop;

routes!(Workshop {
    GET "/" => hello,
    POST "/echo" => echo,
    POST "/count" => count,
    POST "/crawl" => crawl,
    POST "/refuse" => refuse,
    GET "/big" => big,
    GET "/pieces" => pieces,
    GET "/sleep/{ms}" => sleep,
    GET "/block/{ms}" => block,
    GET "/panic" => panics,
});

async fn hello(_: &Workshop, x: Exchange<'_>) -> Result<Sent, Fault> {
    debug_assert!(matches!(x.head.method(), Method::Get | Method::Head));
    x.out.reply(text("Hello, World!")).await
}

/// Sends the body back as it comes, with its media type.
async fn echo(_: &Workshop, mut x: Exchange<'_>) -> Result<Sent, Fault> {
    let mut piece = [0; 256];
    // Read first: a peer that waits for `100 Continue` has to be told before the final head.
    let length = x.body.read(&mut piece).await?;
    let mut out = x.out.start(HeadOut::response(Status::OK)).await?;
    out.write(piece.get(..length).unwrap_or_default()).await?;
    pump(&mut x.body, &mut out).await?;
    out.end().await
}

/// What any code does with a reader and a writer, without knowing what they are.
async fn pump<E>(from: &mut impl Read<Error = E>, to: &mut impl Write<Error = E>) -> Result<(), E> {
    let mut piece = [0; 256];
    loop {
        match from.read(&mut piece).await? {
            0 => return to.flush().await,
            length => to.write_all(piece.get(..length).unwrap_or_default()).await?,
        }
    }
}

/// Says how many bytes the body has.
async fn count(_: &Workshop, mut x: Exchange<'_>) -> Result<Sent, Fault> {
    let total = total(&mut x, &mut [0; 256]).await?;
    x.out.fill(Reply::new(Status::OK), |out| write_number(total, out)).await
}

/// As `count`, and slower than any peer.
async fn crawl(_: &Workshop, mut x: Exchange<'_>) -> Result<Sent, Fault> {
    let total = total(&mut x, &mut [0; 2]).await?;
    x.out.fill(Reply::new(Status::OK), |out| write_number(total, out)).await
}

async fn total(x: &mut Exchange<'_>, piece: &mut [u8]) -> Result<usize, Fault> {
    let mut total = 0;
    loop {
        match x.body.read(piece).await? {
            0 => return Ok(total),
            length => total += length,
        }
    }
}

fn write_number(number: usize, out: &mut [u8]) -> std::io::Result<usize> {
    let (room, mut rest) = (out.len(), out);
    write!(rest, "{number}").map(|()| room - rest.len())
}

/// Answers without a look at the body.
async fn refuse(_: &Workshop, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.out.reply(Reply::new(Status::FORBIDDEN).body(MediaType::PLAIN, b"no")).await
}

async fn big(_: &Workshop, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.out
        .reply(
            Reply::new(Status::OK)
                .static_body(MediaType::new("application/octet-stream"), big_body()),
        )
        .await
}

/// A body whose length is not told, also where it could be.
async fn pieces(_: &Workshop, x: Exchange<'_>) -> Result<Sent, Fault> {
    let head = HeadOut { body: BodyOut::Chunked, ..HeadOut::response(Status::OK) };
    let mut out = x.out.start(head).await?;
    for _ in 0..PIECES {
        out.write(b"0123456789").await?;
    }
    out.end().await
}

fn millis(x: &Exchange<'_>) -> Result<u64, Fault> {
    let ms = x.head.param("ms").and_then(|ms| ms.parse().ok());
    ms.ok_or(Fault::Http(Status::BAD_REQUEST))
}

/// Answers later; others are served meanwhile.
async fn sleep(_: &Workshop, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.rt.sleep(time::Duration::from_millis(millis(&x)?)).await;
    x.out.reply(text("slept")).await
}

/// Answers later, and holds everybody up: what arrives meanwhile arrives together.
async fn block(_: &Workshop, x: Exchange<'_>) -> Result<Sent, Fault> {
    std::thread::sleep(Duration::from_millis(millis(&x)?));
    x.out.reply(text("blocked")).await
}

async fn panics(_: &Workshop, _: Exchange<'_>) -> Result<Sent, Fault> {
    panic!("a bad day")
}
