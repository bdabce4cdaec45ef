//! Status codes (RFC 9110, 15; 428, 429, 431, 511: RFC 6585) and their reason phrases.
//!
//! ```
//! use dustdevil_http::proto::Status;
//! assert_eq!(Status::NOT_FOUND.code(), 404);
//! assert_eq!(Status::NOT_FOUND.reason(), "Not Found");
//! assert_eq!(Status::new(42), None);
//! ```

/// A status code, 100 to 999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

macro_rules! statuses {
    ($($name:ident = $code:literal, $reason:literal;)*) => {
        impl Status {
            $(#[doc = concat!("`", $code, " ", $reason, "`")]
            pub const $name: Self = Self($code);)*

        }

        #[cfg(test)]
        const ALL: &[Status] = &[$(Status::$name),*];

        /// Each code, and where its phrase ends in [`PHRASES`]: with that text a quarter of what a
        /// `match` takes. Who sends a phrase other than "OK" can afford a walk.
        static ENDS: &[(u16, u16)] = &ends(&[$(($code, $reason.len())),*]);
        const PHRASES: &str = concat!($($reason),*);
    };
}

/// Lengths, added up.
const fn ends<const N: usize>(lengths: &[(u16, usize); N]) -> [(u16, u16); N] {
    let (mut ends, mut end, mut at) = ([(0, 0); N], 0, 0);
    while at < N {
        end += lengths[at].1;
        ends[at] = (lengths[at].0, end as u16);
        at += 1;
    }
    ends
}

statuses! {
    CONTINUE = 100, "Continue";
    SWITCHING_PROTOCOLS = 101, "Switching Protocols";
    EARLY_HINTS = 103, "Early Hints";
    OK = 200, "OK";
    CREATED = 201, "Created";
    ACCEPTED = 202, "Accepted";
    NON_AUTHORITATIVE = 203, "Non-Authoritative Information";
    NO_CONTENT = 204, "No Content";
    RESET_CONTENT = 205, "Reset Content";
    PARTIAL_CONTENT = 206, "Partial Content";
    MULTIPLE_CHOICES = 300, "Multiple Choices";
    MOVED_PERMANENTLY = 301, "Moved Permanently";
    FOUND = 302, "Found";
    SEE_OTHER = 303, "See Other";
    NOT_MODIFIED = 304, "Not Modified";
    TEMPORARY_REDIRECT = 307, "Temporary Redirect";
    PERMANENT_REDIRECT = 308, "Permanent Redirect";
    BAD_REQUEST = 400, "Bad Request";
    UNAUTHORIZED = 401, "Unauthorized";
    PAYMENT_REQUIRED = 402, "Payment Required";
    FORBIDDEN = 403, "Forbidden";
    NOT_FOUND = 404, "Not Found";
    METHOD_NOT_ALLOWED = 405, "Method Not Allowed";
    NOT_ACCEPTABLE = 406, "Not Acceptable";
    PROXY_AUTHENTICATION_REQUIRED = 407, "Proxy Authentication Required";
    REQUEST_TIMEOUT = 408, "Request Timeout";
    CONFLICT = 409, "Conflict";
    GONE = 410, "Gone";
    LENGTH_REQUIRED = 411, "Length Required";
    PRECONDITION_FAILED = 412, "Precondition Failed";
    CONTENT_TOO_LARGE = 413, "Content Too Large";
    URI_TOO_LONG = 414, "URI Too Long";
    UNSUPPORTED_MEDIA_TYPE = 415, "Unsupported Media Type";
    RANGE_NOT_SATISFIABLE = 416, "Range Not Satisfiable";
    EXPECTATION_FAILED = 417, "Expectation Failed";
    MISDIRECTED_REQUEST = 421, "Misdirected Request";
    UNPROCESSABLE_CONTENT = 422, "Unprocessable Content";
    LOCKED = 423, "Locked";
    TOO_EARLY = 425, "Too Early";
    UPGRADE_REQUIRED = 426, "Upgrade Required";
    PRECONDITION_REQUIRED = 428, "Precondition Required";
    TOO_MANY_REQUESTS = 429, "Too Many Requests";
    FIELDS_TOO_LARGE = 431, "Request Header Fields Too Large";
    UNAVAILABLE_FOR_LEGAL_REASONS = 451, "Unavailable For Legal Reasons";
    INTERNAL_SERVER_ERROR = 500, "Internal Server Error";
    NOT_IMPLEMENTED = 501, "Not Implemented";
    BAD_GATEWAY = 502, "Bad Gateway";
    SERVICE_UNAVAILABLE = 503, "Service Unavailable";
    GATEWAY_TIMEOUT = 504, "Gateway Timeout";
    VERSION_NOT_SUPPORTED = 505, "HTTP Version Not Supported";
    INSUFFICIENT_STORAGE = 507, "Insufficient Storage";
    NETWORK_AUTHENTICATION_REQUIRED = 511, "Network Authentication Required";
}

impl Status {
    /// A status from its number; `None` unless it has three digits and is at least 100.
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 100 && code <= 999 { Some(Self(code)) } else { None }
    }

    /// The number.
    #[inline]
    pub const fn code(self) -> u16 {
        self.0
    }

    /// The registered reason phrase; empty for a code that has none here.
    #[inline(never)]
    pub fn reason(self) -> &'static str {
        let mut from = 0;
        for &(code, end) in ENDS {
            if code == self.0 {
                return PHRASES.get(usize::from(from)..usize::from(end)).unwrap_or_default();
            }
            from = end;
        }
        ""
    }

    /// 1xx: another response to the same request follows (but not after 101).
    #[inline]
    pub const fn is_informational(self) -> bool {
        self.0 < 200
    }

    /// 2xx.
    #[inline]
    pub const fn is_success(self) -> bool {
        self.0 >= 200 && self.0 < 300
    }

    /// 4xx or above.
    #[inline]
    pub const fn is_error(self) -> bool {
        self.0 >= 400
    }

    /// Whether a response with this status never has a body (RFC 9112, 6.3, rule 1).
    #[inline]
    pub const fn is_bodiless(self) -> bool {
        self.0 < 200 || self.0 == 204 || self.0 == 304
    }

    /// Whether what is sent with this status has no content: those, and 205 (RFC 9110, 15.3.6).
    pub(super) const fn is_empty(self) -> bool {
        self.is_bodiless() || self.0 == 205
    }

    /// The three digits.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(crate) const fn digits(self) -> [u8; 3] {
        let (tens, hundreds) = (self.0 / 10, self.0 / 100);
        // INVARIANT: 100 <= code <= 999, so each of these is a single digit.
        [
            b'0' + hundreds as u8,
            b'0' + (tens - hundreds * 10) as u8,
            b'0' + (self.0 - tens * 10) as u8,
        ]
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{ALL, Status};
    use std::string::ToString;

    #[test]
    fn the_table_is_sorted_named_and_printable() {
        assert!(ALL.windows(2).all(|pair| pair[0] < pair[1]));
        for status in ALL {
            assert!(!status.reason().is_empty());
            assert_eq!(status.digits().as_slice(), status.code().to_string().as_bytes());
            assert_eq!(Status::new(status.code()), Some(*status));
        }
        assert_eq!((Status::new(99), Status::new(1000)), (None, None));
        assert_eq!(Status::new(999).map(Status::reason), Some(""));
        assert_eq!(Status::new(999).map(Status::digits), Some(*b"999"));
    }

    #[test]
    fn only_1xx_204_and_304_never_have_a_body() {
        let bodiless: std::vec::Vec<u16> =
            ALL.iter().filter(|s| s.is_bodiless()).map(|s| s.code()).collect();
        assert_eq!(bodiless, [100, 101, 103, 204, 304]);
    }
}
