//! `/dump`: a request as text, a line for each of its parts.
//!
//! ```text
//! method=POST
//! path=/dump
//! query=a=b
//! version=1.1
//! h.host=127.0.0.1:8888
//! h.content-length=5
//! body=5
//! ```

use core::fmt::Write;
use core::iter::once;

use dustdevil_http::proto::Version;
use dustdevil_http::{BodyOut, BodyWriter, Exchange, Fault, HeadOut, RequestHead, Sent};
use heapless::String;

use crate::{App, CHUNKED};

/// A line: a mark, a name that is shown in lower case, and a value.
type Line<'h> = (&'static str, &'h [u8], &'h [u8]);

/// Answers with the request's head and the length of its body, which is read to its end first:
/// a body that is refused is answered with its error.
pub(crate) async fn dump(_: &App<'_>, mut x: Exchange<'_>) -> Result<Sent, Fault> {
    let mut length = 0_u64;
    loop {
        match x.body.visit(|_| ()).await? {
            0 => break,
            more => length += more as u64,
        }
    }
    let mut last = String::<20>::new();
    // INVARIANT: no number of 64 bits has more digits.
    let _ = write!(last, "{length}");
    let lines = || lines(&x.head).chain(once(("", &b"body"[..], last.as_bytes())));
    let length = lines().map(|(mark, name, value)| mark.len() + name.len() + value.len() + 2);
    let body = BodyOut::Length(length.sum::<usize>() as u64);
    let mut out = x.out.start(HeadOut { body, ..CHUNKED }).await?;
    for line in lines() {
        write_line(&mut out, line).await?;
    }
    out.end().await
}

fn lines<'h>(head: &'h RequestHead<'_>) -> impl Iterator<Item = Line<'h>> {
    let version = match head.version() {
        Version::Http10 => "1.0",
        Version::Http11 => "1.1",
    };
    let start = [
        ("method", head.method_name()),
        ("path", head.path()),
        ("query", head.query().unwrap_or_default()),
        ("version", version),
    ];
    let start = start.map(|(name, value)| ("", name.as_bytes(), value.as_bytes()));
    start.into_iter().chain(head.fields().map(|(name, value)| ("h.", name, value)))
}

async fn write_line(out: &mut BodyWriter<'_>, line: Line<'_>) -> Result<(), Fault> {
    let (mark, name, value) = line;
    out.write(mark.as_bytes()).await?;
    for part in name.chunks(16) {
        let mut lower = [0; 16];
        lower.iter_mut().zip(part).for_each(|(to, from)| *to = from.to_ascii_lowercase());
        out.write(lower.get(..part.len()).unwrap_or_default()).await?;
    }
    out.write(b"=").await?;
    out.write(value).await?;
    out.write(b"\n").await
}
