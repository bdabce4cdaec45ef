//! Assets in the binary: bytes that were compressed and named by their hash at build time.
//!
//! Invariants: nothing is compressed, hashed or copied at run time; each encoding has an entity tag
//! of its own (RFC 9110, 8.8.3.3); a peer that did not ask for gzip gets plain bytes.
//!
//! Tornado: `StaticFileHandler`, for files that are known when the program is built.

use crate::proto::{MediaType, Status};
use crate::server::exchange::RequestHead;
use crate::server::response::Reply;

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
    /// The reply to a request for this asset: 200 with the encoding the peer prefers, or 304 when
    /// it has that already.
    pub fn reply(&'static self, head: &RequestHead<'_>) -> Reply<'static> {
        let gzip = head.get("accept-encoding").is_some_and(accepts_gzip);
        let variant = if gzip { &self.gzip } else { &self.plain };
        let fresh = head.get("if-none-match").is_some_and(|tags| has_tag(tags, variant.etag));
        if fresh {
            // Of the body only its length is sent: 304 has the one that 200 would have, or none
            // (RFC 9110, 8.6).
            let reply = Reply::new(Status::NOT_MODIFIED).fields(variant.fields);
            return Reply { body: variant.body, ..reply };
        }
        Reply::new(Status::OK).fields(variant.fields).body(self.content_type, variant.body)
    }
}

/// Whether `Accept-Encoding` takes gzip: named, or by `*`, and not with a weight of zero.
fn accepts_gzip(value: &[u8]) -> bool {
    let mut any = false;
    for item in value.split(|&byte| byte == b',') {
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

/// Whether `If-None-Match` names `etag`, compared weakly (RFC 9110, 13.1.2), or anything.
fn has_tag(value: &[u8], etag: &str) -> bool {
    value
        .split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .any(|tag| tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == etag.as_bytes())
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
            assert_eq!(accepts_gzip(value), expected, "{value:?}");
        }
    }

    #[test]
    fn tags_are_compared_weakly() {
        for (value, expected) in [
            (&b"\"a\""[..], true),
            (b"W/\"a\"", true),
            (b"\"b\", \"a\"", true),
            (b"*", true),
            (b"\"b\"", false),
            (b"a", false),
        ] {
            assert_eq!(has_tag(value, "\"a\""), expected, "{value:?}");
        }
    }
}
