//! Numbers out of a query or a path.

use dustdevil_http::RequestHead;

/// There is no such number: its parameter is missing, empty, or something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoNumber;

/// The number that the query's first parameter `name` has.
pub(crate) fn number(head: &RequestHead<'_>, name: &str) -> Result<u64, NoNumber> {
    parameter(head.query().unwrap_or_default(), name).and_then(whole).ok_or(NoNumber)
}

/// The first parameter of this name, as it was sent: digits need no escapes.
fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(own, _)| *own == name).map(|(_, value)| value)
}

/// A number of decimal digits alone: without the sign that `parse` would take.
pub(crate) fn whole(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_a_whole_number_or_none() {
        for (query, expected) in [
            ("n=7", Some(7)),
            ("ms=5&n=7", Some(7)),
            ("n=7&n=8", Some(7)),
            ("n=18446744073709551615", Some(u64::MAX)),
            ("n=18446744073709551616", None),
            ("n=007", Some(7)),
            ("n=", None),
            ("n", None),
            ("", None),
            ("nn=7", None),
            ("N=7", None),
            ("n=+7", None),
            ("n=-7", None),
            ("n=7.0", None),
            ("n=%37", None),
            ("n=7 ", None),
        ] {
            assert_eq!(parameter(query, "n").and_then(whole), expected, "{query}");
        }
    }
}
