//! Media types (RFC 9110, 8.3), checked when they are made.
//!
//! Invariant: a [`MediaType`] cannot end its line, so a response that carries one need not look at
//! its bytes again. A constant is checked by the compiler.
//!
//! ```
//! use dustdevil_http::proto::MediaType;
//! const CSV: MediaType<'static> = MediaType::new("text/csv; charset=utf-8");
//! assert_eq!(CSV.as_str(), "text/csv; charset=utf-8");
//! assert_eq!(MediaType::parse("text/plain\r\nSet-Cookie: a=b"), None);
//! ```

/// What `Content-Type` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaType<'a>(&'a str);

impl<'a> MediaType<'a> {
    /// `text/plain; charset=utf-8`
    pub const PLAIN: MediaType<'static> = MediaType::new("text/plain; charset=utf-8");
    /// `text/html; charset=utf-8`
    pub const HTML: MediaType<'static> = MediaType::new("text/html; charset=utf-8");
    /// `application/json`
    pub const JSON: MediaType<'static> = MediaType::new("application/json");

    /// A media type that the programmer wrote.
    ///
    /// # Panics
    /// When it has a control character or is empty; in a `const` that is a compile error.
    pub const fn new(text: &'a str) -> Self {
        match Self::parse(text) {
            Some(media_type) => media_type,
            None => panic!("a media type with a control character, or an empty one"),
        }
    }

    /// A media type from elsewhere; `None` when it may not stand in a field.
    pub const fn parse(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            if bytes[at] < b' ' || bytes[at] == 0x7f {
                return None;
            }
            at += 1;
        }
        if bytes.is_empty() { None } else { Some(Self(text)) }
    }

    /// The text.
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_media_type_can_end_its_line() {
        for byte in (0..=0x1f).chain([0x7f]) {
            let bytes = [b'a', byte, b'b'];
            assert_eq!(
                MediaType::parse(core::str::from_utf8(&bytes).unwrap()),
                None,
                "{byte:#04x}"
            );
        }
        assert_eq!(MediaType::parse(""), None);
        assert_eq!(MediaType::parse("text/ä").map(MediaType::as_str), Some("text/ä"));
    }
}
