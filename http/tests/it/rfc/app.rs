//! An application that says what it was asked, and answers in every way that framing allows.

use dustdevil_core::time::Duration;
use dustdevil_http::web::assets::{Asset, Variant};
use dustdevil_http::{
    BodyOut, Exchange, Fault, HeadOut, MediaType, Part, Reply, Sent, Status, routes, text,
};

pub(super) struct App;

routes!(App {
    GET "/" => hello,
    GET "/slow" => slow,
    GET "/dump" => dump,
    POST "/dump" => dump,
    PUT "/dump" => dump,
    POST "/early" => early,
    GET "/length" => length,
    GET "/chunked" => chunked,
    GET "/deferred" => deferred,
    GET "/trailers" => trailers,
    POST "/visit" => visit,
    GET "/status/{code}" => status,
    GET "/empty/{code}" => empty,
    GET "/fault/{code}" => fault,
    GET "/field/{name}" => field,
    GET "/asset" => asset,
    PUT "/only-put" => hello,
});

/// Every encoding has a tag of its own, and the fields that a 304 must repeat.
static ASSET: Asset = Asset {
    content_type: MediaType::new("text/css"),
    plain: Variant {
        etag: "\"p\"",
        fields: &[("ETag", b"\"p\""), ("Cache-Control", b"no-cache"), ("Vary", b"Accept-Encoding")],
        body: b"plain",
    },
    gzip: Variant {
        etag: "\"z\"",
        fields: &[
            ("ETag", b"\"z\""),
            ("Cache-Control", b"no-cache"),
            ("Vary", b"Accept-Encoding"),
            ("Content-Encoding", b"gzip"),
        ],
        body: b"zip",
    },
};

async fn hello(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.out.reply(text("hello")).await
}

async fn slow(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.rt.sleep(Duration::from_millis(400)).await;
    x.out.reply(text("slow")).await
}

/// Reads the body, and only then looks at the head again: what the trailer section said is not in
/// it.
async fn dump(_: &App, mut x: Exchange<'_>) -> Result<Sent, Fault> {
    let mut buf = [0; 64];
    let body = x.body.read_all(&mut buf).await?.escape_ascii().to_string();
    let (method, path, host) = (x.head.method_name(), x.head.path(), x.head.host());
    let query = x.head.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut said = format!("{method} {path}{query} of {host}");
    for (name, value) in x.head.fields() {
        said += &format!("|{}={}", name.escape_ascii(), value.escape_ascii());
    }
    said += &format!("|{body}");
    x.out.reply(text(&said)).await
}

/// Answers without a look at the body.
async fn early(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    x.out.reply(text("early")).await
}

async fn length(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let head = HeadOut { body: BodyOut::Length(6), ..HeadOut::response(Status::OK) };
    let mut body = x.out.start(head).await?;
    body.write(b"length").await?;
    body.end().await
}

async fn chunked(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let head = HeadOut { body: BodyOut::Chunked, ..HeadOut::response(Status::OK) };
    let mut body = x.out.start(head).await?;
    body.write(b"one").await?;
    body.flush().await?;
    body.write(b"two").await?;
    body.end().await
}

/// Its length is not known when its head is written.
async fn deferred(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let mut body = x.out.start(HeadOut::response(Status::OK)).await?;
    body.write(b"later").await?;
    body.end().await
}

async fn trailers(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let head = HeadOut { body: BodyOut::Chunked, ..HeadOut::response(Status::OK) };
    let mut body = x.out.start(head).await?;
    body.write(b"body").await?;
    body.end_with(&[("X-Sum", b"7")]).await
}

/// Says what its body is made of.
async fn visit(_: &App, mut x: Exchange<'_>) -> Result<Sent, Fault> {
    let (mut data, mut trailers) = (String::new(), String::new());
    let mut note = |part: Part<'_>| match part {
        Part::Data(bytes) => data += &bytes.escape_ascii().to_string(),
        Part::Trailer(name, value) => {
            trailers += &format!("|{}={}", name.escape_ascii(), value.escape_ascii());
        }
    };
    while x.body.visit(&mut note).await? > 0 {}
    x.out.reply(text(&(data + &trailers))).await
}

/// The status that the path names.
fn code(x: &Exchange<'_>) -> Status {
    let code = x.head.param("code").and_then(|code| code.parse().ok());
    code.and_then(Status::new).unwrap_or(Status::BAD_REQUEST)
}

async fn status(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let status = code(&x);
    x.out.reply(text("content").status(status)).await
}

async fn empty(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let status = code(&x);
    x.out.reply(Reply::new(status)).await
}

async fn fault(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    Err(Fault::Http(code(&x)))
}

/// Tries to send a field, of the name that the path names and a value that it may not have.
async fn field(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let name = x.head.param("name").unwrap_or_default().to_owned();
    let value: &[u8] = if name == "Fold" { b"a\r\n b" } else { b"1" };
    x.out.reply(text("field").fields(&[(&name, value)])).await
}

async fn asset(_: &App, x: Exchange<'_>) -> Result<Sent, Fault> {
    let reply = ASSET.reply(&x.head);
    x.out.reply(reply).await
}
