//! Assets in the binary: bytes that were compressed and named by their hash at build time.
//!
//! Invariants: nothing is compressed or hashed at run time, and nothing large copied; each encoding
//! has an entity tag of its own (RFC 9110, 8.8.3.3); a peer that did not ask for gzip gets plain
//! bytes.
//!
//! Tornado: `StaticFileHandler`, for files that are known when the program is built.

use crate::proto::{MediaType, Status};
use crate::server::exchange::RequestHead;
use crate::server::response::{Reply, StaticReply};

/// One encoding of an asset: its bytes, and the fields that go with them.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// The entity tag, in its quotes.
    pub etag: &'static str,
    /// `ETag`, `Cache-Control`, `Vary` and, for a compressed one, `Content-Encoding`.
    pub fields: &'static [(&'static str, &'static [u8])],
    /// The bytes.
    pub body: &'static [u8],
}

/// An asset in both encodings. Written by a build script.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// `Content-Type`.
    pub content_type: MediaType<'static>,
    /// As it is.
    pub plain: Variant,
    /// Compressed.
    pub gzip: Variant,
}

impl Asset {
    /// The reply to a request for this asset: 200 with the encoding the peer prefers, 304 when it
    /// has that already, 412 when it wants another one (RFC 9110, 13.2.2).
    pub fn reply(&'static self, head: &RequestHead<'_>) -> StaticReply<'static> {
        let gzip = accepts_gzip(head.all("accept-encoding"));
        let variant = if gzip { &self.gzip } else { &self.plain };
        let has = |name| has_tag(head.all(name), variant.etag, name == IF_MATCH);
        if has(IF_MATCH) == Some(false) {
            return StaticReply { reply: Reply::new(Status::PRECONDITION_FAILED), body: b"" };
        }
        if has("if-none-match") == Some(true) {
            // Of the body only its length is sent: 304 has the one that 200 would have, or none
            // (RFC 9110, 8.6).
            let reply = Reply::new(Status::NOT_MODIFIED).fields(variant.fields);
            return StaticReply { reply, body: variant.body };
        }
        Reply::new(Status::OK).fields(variant.fields).static_body(self.content_type, variant.body)
    }
}

const IF_MATCH: &str = "if-match";

/// Whether `Accept-Encoding` takes gzip: named, or by `*`, and not with a weight of zero.
fn accepts_gzip<'a>(values: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut any = false;
    for item in values.flat_map(|value| value.split(|&byte| byte == b',')) {
        let mut parts = item.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let coding = parts.next().unwrap_or_default();
        let refused = parts.any(is_zero_weight);
        if coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip") {
            return !refused;
        }
        any |= coding == b"*" && !refused;
    }
    any
}

/// `q=0`, `q=0.`, `q=0.000` (RFC 9110, 12.4.2).
fn is_zero_weight(parameter: &[u8]) -> bool {
    let Some((b'q' | b'Q', rest)) = parameter.split_first() else { return false };
    let Some(number) = rest.trim_ascii_start().strip_prefix(b"=") else { return false };
    let digits = number.trim_ascii();
    digits.first() == Some(&b'0') && digits.iter().all(|byte| matches!(byte, b'0' | b'.'))
}

/// Whether a list of tags names `etag`, or anything; `None`: there is no list. `If-Match` compares
/// strongly, so that a weak tag never matches; `If-None-Match` weakly (RFC 9110, 13.1.1, 13.1.2).
fn has_tag<'a>(values: impl Iterator<Item = &'a [u8]>, etag: &str, strongly: bool) -> Option<bool> {
    let mut found = None;
    for tag in values.flat_map(|value| value.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii) {
        let opaque = if strongly { tag } else { tag.strip_prefix(b"W/").unwrap_or(tag) };
        let same = tag == b"*" || opaque == etag.as_bytes();
        found = Some(found.unwrap_or(false) || same);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for (value, expected) in [
            (&b"gzip"[..], true),
            (b"GZIP", true),
            (b"deflate, gzip;q=0.5, br", true),
            (b"*", true),
            (b"gzip;q=0", false),
            (b"gzip; q=0.000, *", false),
            (b"*;q=0", false),
            (b"identity", false),
            (b"", false),
            (b"gzip;q=0.001", true),
        ] {
            assert_eq!(accepts_gzip([value].into_iter()), expected, "{value:?}");
        }
    }

    #[test]
    fn tags_are_compared_weakly_to_spare_a_body_and_strongly_to_want_one() {
        for (values, weakly, strongly) in [
            (&[&b"\"a\""[..]][..], Some(true), Some(true)),
            (&[b"W/\"a\""], Some(true), Some(false)),
            (&[b"\"b\", \"a\""], Some(true), Some(true)),
            (&[b"\"b\"", b"\"a\""], Some(true), Some(true)),
            (&[b"*"], Some(true), Some(true)),
            (&[b"\"b\""], Some(false), Some(false)),
            (&[b"a"], Some(false), Some(false)),
            (&[], None, None),
        ] {
            let has = |strongly| has_tag(values.iter().copied(), "\"a\"", strongly);
            assert_eq!((has(false), has(true)), (weakly, strongly), "{values:?}");
        }
    }
}
