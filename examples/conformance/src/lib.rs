//! What outside test suites are pointed at: each thing a server does, on a path of its own.
//!
//! | route | answer |
//! |---|---|
//! | `GET /` | `hello` |
//! | any method `/echo` | the body as it was before it was framed; 413 beyond its limit |
//! | any method `/dump` | the head as lines of text, and how long the body was |
//! | `POST /upload` | `len=<bytes> crc32=<8 digits>` of a body that is read as it comes |
//! | `POST /only-post` | `posted`; other methods: 405 |
//! | `GET /chunked` | `one`, `two`, `three`: a chunk each |
//! | `GET /stream?n=N&ms=M` | N lines `chunk <i>`, from 0 on, M milliseconds apart |
//! | `GET /slow?ms=M` | `slow`, after M milliseconds |
//! | `GET /large?n=N` | N times `x` |
//! | `GET /status/N` | that status, 200 to 599, and `status N` where it may have a body |
//! | `GET /redirect` | 302 to `/` |
//! | `GET /cookie` | a line `name=value` for each cookie received; sets two |
//! | `GET /counters` | a line `name=value` for each thing that is counted |
//!
//! Invariants: nothing here knows its target; no handler keeps any of a body in its future, so
//! that a slot is small, and memory constant, whatever is sent or asked for.
//!
//! Place: an application, above `dustdevil_http`. `main.rs` is its Linux binary; a board's firmware
//! lends it smaller buffers, and says how its sockets are.
#![no_std]
#![forbid(unsafe_code)]

mod cookies;
mod counters;
mod dump;
mod echo;
mod query;
mod text;

use core::cell::Cell;
use core::fmt::Write;

use crc::{CRC_32_ISO_HDLC, Crc};
use dustdevil_http::{
    BodyOut, BufPool, Duration, Exchange, Fault, HeadOut, MediaType, Part, Reply, Sent, Status,
    routes, text,
};
use heapless::String;

use cookies::cookies;
pub use counters::BoardFigures;
use echo::Long;
use query::number;

/// Longest body of the routes that keep nothing of it, in bytes.
const UPLOAD_BYTES_MAX: u64 = 1 << 30;

/// The application: buffers for `/echo`, and what a board adds to `/counters`.
pub struct App<'a> {
    buffers: &'a BufPool<'a>,
    long: Option<Long<'a>>,
    echo_bytes_max: usize,
    board: Option<&'a dyn Fn() -> BoardFigures>,
}

impl<'a> App<'a> {
    /// An application that echoes bodies of up to `echo_bytes_max` bytes. Each of `buffers` is
    /// longer than that: the end of a body is then seen before it is full. There is one for each
    /// request in work, or some are answered 503.
    pub fn new(buffers: &'a BufPool<'a>, echo_bytes_max: usize) -> Self {
        Self { buffers, long: None, echo_bytes_max, board: None }
    }

    /// The same, which also echoes bodies of up to `echo_bytes_max` bytes: in `buffers` of that
    /// size, which may be few. Requests wait for one.
    pub fn with_long_echoes(mut self, buffers: &'a BufPool<'a>, echo_bytes_max: usize) -> Self {
        self.long = Some(Long { buffers, waiting: Cell::new(0) });
        self.echo_bytes_max = echo_bytes_max;
        self
    }

    /// The same, which also counts what the board has: `board` is asked for each answer, while no
    /// part of the reactor is borrowed, so that it may ask the reactor's poller.
    pub fn with_board(mut self, board: &'a dyn Fn() -> BoardFigures) -> Self {
        self.board = Some(board);
        self
    }
}

routes!(App<'_> {
    GET "/" => hello,
    ANY "/echo" => echo::echo,
    ANY "/dump" body UPLOAD_BYTES_MAX => dump::dump,
    POST "/upload" body UPLOAD_BYTES_MAX => upload,
    POST "/only-post" => only_post,
    GET "/chunked" => chunked,
    GET "/stream" => stream,
    GET "/slow" => slow,
    GET "/large" => large,
    GET "/status/{code}" => status,
    GET "/redirect" => redirect,
    GET "/cookie" => cookie,
    GET "/counters" => counters::counters,
});

async fn hello(_: &App<'_>, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.out.reply(text("hello")).await
}

static CRC32: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// Looks at a body of any length where it lies: the peer sends no faster than this takes it.
async fn upload(_: &App<'_>, mut x: Exchange<'_>) -> Result<Sent, Fault> {
    let (mut length, mut crc) = (0_u64, CRC32.digest());
    let mut count = |part: Part<'_>| {
        if let Part::Data(bytes) = part {
            length += bytes.len() as u64;
            crc.update(bytes);
        }
    };
    while x.body.visit(&mut count).await? > 0 {}
    let crc = crc.finalize();
    x.out.fill(PLAIN, |out| text::write(out, format_args!("len={length} crc32={crc:08x}\n"))).await
}

async fn only_post(_: &App<'_>, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.out.reply(text("posted")).await
}

/// A chunk on the wire is what was written before a flush.
async fn chunked(_: &App<'_>, x: Exchange<'_>) -> Result<Sent, Fault> {
    let mut out = x.out.start(CHUNKED).await?;
    for word in ["one", "two", "three"] {
        out.write(word.as_bytes()).await?;
        out.flush().await?;
    }
    out.end().await
}

async fn stream(_: &App<'_>, x: Exchange<'_>) -> Result<Sent, Fault> {
    let (Ok(count), Ok(ms)) = (number(&x.head, "n"), number(&x.head, "ms")) else {
        return x.out.reply(bad_request("n, ms: two whole numbers are wanted\n")).await;
    };
    let mut out = x.out.start(CHUNKED).await?;
    for index in 0..count {
        if index > 0 {
            x.rt.sleep(Duration::from_millis(ms)).await;
        }
        let mut line = String::<32>::new();
        // INVARIANT: 6 letters, 20 digits at most and the end of the line fit.
        let _ = writeln!(line, "chunk {index}");
        out.write(line.as_bytes()).await?;
        out.flush().await?;
    }
    out.end().await
}

async fn slow(_: &App<'_>, x: Exchange<'_>) -> Result<Sent, Fault> {
    let Ok(ms) = number(&x.head, "ms") else {
        return x.out.reply(bad_request("ms: a whole number is wanted\n")).await;
    };
    x.rt.sleep(Duration::from_millis(ms)).await;
    x.out.reply(text("slow")).await
}

/// A body of any length: each write waits until the peer has taken what was before it.
async fn large(_: &App<'_>, x: Exchange<'_>) -> Result<Sent, Fault> {
    static PIECE: [u8; 1024] = [b'x'; 1024];
    let Ok(length) = number(&x.head, "n") else {
        return x.out.reply(bad_request("n: a whole number is wanted\n")).await;
    };
    let mut out = x.out.start(HeadOut { body: BodyOut::Length(length), ..CHUNKED }).await?;
    let mut rest = length;
    while rest > 0 {
        let bytes = PIECE.len().min(usize::try_from(rest).unwrap_or(usize::MAX));
        out.write(PIECE.get(..bytes).unwrap_or_default()).await?;
        rest -= bytes as u64;
    }
    out.end().await
}

async fn status(_: &App<'_>, x: Exchange<'_>) -> Result<Sent, Fault> {
    let code = x.head.param("code").and_then(query::whole).filter(|code| (200..600).contains(code));
    let Some(status) = code.and_then(|code| Status::new(code as u16)) else {
        // 1xx is not the end of an answer, and 6xx does not exist (RFC 9110, 15).
        return x.out.reply(bad_request("a status from 200 to 599 is wanted\n")).await;
    };
    let mut line = String::<16>::new();
    // INVARIANT: a word, a space and 3 digits fit.
    let _ = write!(line, "status {}", status.code());
    let bodiless = status.is_bodiless() || status == Status::RESET_CONTENT;
    let head = HeadOut {
        content_type: Some(MediaType::PLAIN).filter(|_| !bodiless),
        upgrade: Some("websocket").filter(|_| status == Status::UPGRADE_REQUIRED),
        fields: owed(status),
        ..HeadOut::response(status)
    };
    let mut out = x.out.start(head).await?;
    if !bodiless {
        out.write(line.as_bytes()).await?;
    }
    out.end().await
}

/// The field that a response of this status must have (RFC 9110, 11.6.1, 11.7.1, 15.5.6), beside
/// `Upgrade`, which has its own place.
const fn owed(status: Status) -> &'static [(&'static str, &'static [u8])] {
    const REALM: &[u8] = b"Basic realm=\"conformance\"";
    match status {
        Status::UNAUTHORIZED => &[("WWW-Authenticate", REALM)],
        Status::METHOD_NOT_ALLOWED => &[("Allow", b"GET, HEAD")],
        Status::PROXY_AUTHENTICATION_REQUIRED => &[("Proxy-Authenticate", REALM)],
        _ => &[],
    }
}

async fn redirect(_: &App<'_>, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.out.reply(Reply::new(Status::FOUND).fields(&[("Location", b"/")])).await
}

/// Each field line that a response has is one of `fields`: a name may come twice.
async fn cookie(_: &App<'_>, x: Exchange<'_>) -> Result<Sent, Fault> {
    const SET: &[(&str, &[u8])] =
        &[("Set-Cookie", b"a=1; Path=/"), ("Set-Cookie", b"b=2; Path=/; HttpOnly")];
    let received = || cookies(&x.head);
    let length = received().map(|cookie| cookie.len() as u64 + 1).sum();
    let head = HeadOut { body: BodyOut::Length(length), fields: SET, ..CHUNKED };
    let mut out = x.out.start(head).await?;
    for cookie in received() {
        out.write(cookie).await?;
        out.write(b"\n").await?;
    }
    out.end().await
}

/// A text whose body `fill` writes.
const PLAIN: Reply<'static> = Reply::new(Status::OK).content_type(MediaType::PLAIN);

/// A text that follows piece by piece.
const CHUNKED: HeadOut<'static> = HeadOut {
    body: BodyOut::Chunked,
    content_type: Some(MediaType::PLAIN),
    ..HeadOut::response(Status::OK)
};

const fn bad_request(why: &str) -> Reply<'_> {
    text(why).status(Status::BAD_REQUEST)
}
