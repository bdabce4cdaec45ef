//! The cookies of a request (RFC 6265, 5.4): pairs in one field, or in more, behind HTTP/2.

use dustdevil_http::RequestHead;

/// Each cookie of a request as it was sent, `name=value`, in order; what has no `=` is none.
pub(crate) fn cookies<'h>(head: &'h RequestHead<'_>) -> impl Iterator<Item = &'h [u8]> {
    let fields = head.fields().filter(|(name, _)| name.eq_ignore_ascii_case(b"cookie"));
    fields.flat_map(|(_, value)| pairs(value))
}

fn pairs(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b';').map(<[u8]>::trim_ascii).filter(|pair| pair.contains(&b'='))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn pairs_are_what_is_between_semicolons() {
        let table: &[(&[u8], &[&[u8]])] = &[
            (b"a=1", &[b"a=1"]),
            (b"a=1; b=2", &[b"a=1", b"b=2"]),
            (b"a=1;b=2;", &[b"a=1", b"b=2"]),
            (b"a=\"x y\"; b=", &[b"a=\"x y\"", b"b="]),
            (b"a=b=c", &[b"a=b=c"]),
            (b"a; ; =1", &[b"=1"]),
            (b"", &[]),
        ];
        for (value, expected) in table {
            assert_eq!(pairs(value).collect::<Vec<_>>(), *expected, "{}", value.escape_ascii());
        }
    }
}
