//! Request methods (RFC 9110, 9.1; PATCH: RFC 5789) in one byte.
//!
//! A method that has no name here is [`Method::Other`]: its text stays in the input, where
//! [`HeadFacts::method_span`](super::HeadFacts::method_span) finds it. Methods are case-sensitive.
//!
//! ```
//! use dustdevil_http::proto::Method;
//! assert_eq!(Method::from_bytes(b"GET"), Method::Get);
//! assert_eq!(Method::from_bytes(b"get"), Method::Other);
//! assert!(Method::Get.is_safe() && !Method::Post.is_safe());
//! ```

/// A request method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Method {
    /// `GET`
    #[default]
    Get,
    /// `HEAD`: as GET, but the response has no body.
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `CONNECT`: a 2xx answer turns the connection into a tunnel.
    Connect,
    /// `OPTIONS`
    Options,
    /// `TRACE`
    Trace,
    /// `PATCH`
    Patch,
    /// Any other token.
    Other,
}

impl Method {
    /// The method with this exact name; [`Method::Other`] if there is none.
    #[inline]
    pub const fn from_bytes(name: &[u8]) -> Self {
        match name {
            b"GET" => Self::Get,
            _ => Self::from_rare(name),
        }
    }

    /// As `from_bytes`, by a walk through the names: a `match` of them is four times the code.
    #[inline(never)]
    const fn from_rare(name: &[u8]) -> Self {
        let mut at = 0;
        while at < NAMED.len() {
            if is_same(name, NAMED[at].as_str().as_bytes()) {
                return NAMED[at];
            }
            at += 1;
        }
        Self::Other
    }

    /// The name on the wire; empty for [`Method::Other`], whose text only the head has.
    pub const fn as_str(self) -> &'static str {
        const NAMES: [&str; 10] =
            ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", ""];
        NAMES[self as usize]
    }

    /// Whether the method asks for no change on the server (RFC 9110, 9.2.1).
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options | Self::Trace)
    }

    /// Whether a request without a body should still say `Content-Length: 0` (RFC 9110, 8.6).
    pub(super) const fn expects_body(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

/// The methods that have a name here.
pub(crate) const NAMED: [Method; 9] = [
    Method::Get,
    Method::Head,
    Method::Post,
    Method::Put,
    Method::Delete,
    Method::Connect,
    Method::Options,
    Method::Trace,
    Method::Patch,
];

/// `==`, in a `const fn`.
const fn is_same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

#[cfg(test)]
mod tests {
    use super::{Method, NAMED};

    #[test]
    fn every_name_reads_back() {
        for (number, method) in NAMED.into_iter().enumerate() {
            assert_eq!(method as usize, number);
            assert_eq!(Method::from_bytes(method.as_str().as_bytes()), method);
        }
        for other in [&b"get"[..], b"", b"GETS", b"BREW", b"G"] {
            assert_eq!(Method::from_bytes(other), Method::Other);
        }
        assert_eq!(size_of::<Method>(), 1);
    }
}
