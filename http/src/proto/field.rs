//! Where things lie in a head: ranges into the input instead of borrows of it, and the byte
//! classes of field names and values (RFC 9110, 5).
//!
//! A head is at most 65,535 bytes long, so a range is two `u16`s, and a table of them can be cut
//! from the tail of the very buffer that holds the head.
//!
//! ```
//! use dustdevil_http::proto::Span;
//! let head = b"GET /led HTTP/1.1";
//! assert_eq!(Span { from: 4, to: 8 }.slice(head), b"/led");
//! assert_eq!(Span { from: 4, to: 99 }.slice(head), b"");
//! ```

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A range of bytes in the input that a head was parsed from.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Span {
    /// Offset of the first byte.
    pub from: u16,
    /// Offset behind the last byte.
    pub to: u16,
}

impl Span {
    /// The empty span at offset 0.
    pub const EMPTY: Self = Self { from: 0, to: 0 };

    /// The bytes of this span; empty if `bytes` does not contain it.
    #[inline]
    pub fn slice<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(usize::from(self.from)..usize::from(self.to)).unwrap_or_default()
    }

    /// Length in bytes.
    #[inline]
    pub const fn len(&self) -> usize {
        self.to.saturating_sub(self.from) as usize
    }

    /// Whether the span has no byte.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.to <= self.from
    }
}

/// One field of a head or trailer section. The value has no whitespace around it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct FieldRange {
    /// The name, a token in any case.
    pub name: Span,
    /// The value; may be empty.
    pub value: Span,
}

const _: () = assert!(size_of::<Span>() == 4 && size_of::<FieldRange>() == 8);

impl FieldRange {
    /// Whether the name is `name`, in any case.
    pub fn is(&self, bytes: &[u8], name: &str) -> bool {
        is_ignoring_case(self.name.slice(bytes), name)
    }
}

/// Classes of bytes, as bits of [`CLASSES`].
pub(super) mod class {
    /// `tchar` of RFC 9110, 5.6.2.
    pub(in crate::proto) const TOKEN: u8 = 1;
    /// Any byte but control characters; HTAB (RFC 9110, 5.5).
    pub(in crate::proto) const VALUE: u8 = 2;
    /// A host's name without escapes: `unreserved` and `sub-delims` of RFC 3986, but the comma.
    pub(in crate::proto) const NAME: u8 = 4;
    /// A decimal digit.
    pub(in crate::proto) const DIGIT: u8 = 32;
    /// Visible ASCII but `?` and `#`, which end a path.
    pub(in crate::proto) const PATH: u8 = 8;
    /// Visible ASCII but `#`.
    pub(in crate::proto) const TARGET: u8 = 16;
}

/// One load tells all classes of a byte: heads are checked on every request.
static CLASSES: [u8; 256] = {
    let (mut table, mut i) = ([0; 256], 0);
    while i < 256 {
        let byte = i as u8;
        let visible = byte.is_ascii_graphic();
        if byte.is_ascii_alphanumeric()
            || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-')
            || matches!(byte, b'.' | b'^'..=b'`' | b'|' | b'~')
        {
            table[i] |= class::TOKEN;
        }
        if byte == b'\t' || (byte >= b' ' && byte != 0x7f) {
            table[i] |= class::VALUE;
        }
        if byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&'..=b'+' | b';' | b'=')
        {
            table[i] |= class::NAME;
        }
        if byte.is_ascii_digit() {
            table[i] |= class::DIGIT;
        }
        if is_path(byte) {
            table[i] |= class::PATH;
        }
        if visible && byte != b'#' {
            table[i] |= class::TARGET;
        }
        i += 1;
    }
    table
};

/// Where many bytes are looked at at once: there is flash for it.
pub(super) const WIDE: bool = !cfg!(target_os = "none");

/// Whether each byte is of this class. Four at a time, the last four perhaps twice, and without an
/// early exit: a third of the instructions of `iter().all(..)`, and every request is checked.
#[cfg_attr(not(target_os = "none"), inline)]
#[cfg_attr(target_os = "none", inline(never))]
pub(super) fn all(bytes: &[u8], class: u8) -> bool {
    let mut common = class;
    if let Some(last) = bytes.last_chunk::<4>().filter(|_| WIDE) {
        for some in bytes.as_chunks::<4>().0 {
            common &= classes_of(some);
        }
        common &= classes_of(last);
    } else {
        for byte in bytes {
            common &= CLASSES[usize::from(*byte)];
        }
    }
    common != 0
}

/// As `all`, for four.
#[inline]
pub(super) fn all_four(bytes: &[u8; 4], class: u8) -> bool {
    classes_of(bytes) & class != 0
}

/// What four bytes have in common.
#[inline]
fn classes_of([a, b, c, d]: &[u8; 4]) -> u8 {
    let classes = |byte: &u8| CLASSES[usize::from(*byte)];
    classes(a) & classes(b) & classes(c) & classes(d)
}

/// Whether `bytes` is a token: a field name, a method.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && all(bytes, class::TOKEN)
}

/// Whether `bytes` may stand in a field value. Most values that are sent are longer than a vector
/// register, and two ranges and a tab, unlike a table, can be looked for in all of one at once.
#[inline]
pub(super) fn is_value(bytes: &[u8]) -> bool {
    let good = |bytes: &[u8; 16]| {
        bytes
            .iter()
            .fold(true, |good, byte| good & ((*byte >= b' ' && *byte != 0x7f) | (*byte == b'\t')))
    };
    match bytes.last_chunk::<16>().filter(|_| WIDE) {
        Some(last) => bytes.as_chunks::<16>().0.iter().all(good) && good(last),
        None => all(bytes, class::VALUE),
    }
}

/// Whether `bytes` may be part of a target.
#[inline]
pub(super) fn is_target(bytes: &[u8]) -> bool {
    all(bytes, class::TARGET)
}

/// Whether `word`, a token or a part of a value, is `known`, which has small letters, digits and
/// `-` alone, in any case. The bit 0x20 makes these of nothing else but control characters, of
/// which there are none: a third of the instructions of `is_ignoring_case`.
pub(super) fn is_word(word: &[u8], known: &str) -> bool {
    let different = |sum: u8, (a, b): (&u8, &u8)| sum | ((*a | 0x20) ^ *b);
    word.len() == known.len() && word.iter().zip(known.as_bytes()).fold(0, different) == 0
}

/// Whether `name` is `known`, in any case.
#[cfg_attr(not(target_os = "none"), inline)]
#[cfg_attr(target_os = "none", inline(never))]
pub(crate) fn is_ignoring_case(name: &[u8], known: &str) -> bool {
    name.len() == known.len() && name.eq_ignore_ascii_case(known.as_bytes())
}

const fn is_path(byte: u8) -> bool {
    byte.is_ascii_graphic() & (byte != b'?') & (byte != b'#')
}

/// What nearly all bytes of hosts are. Each is of the class `NAME`.
const fn is_plain_name(byte: u8) -> bool {
    (byte | 0x20).is_ascii_lowercase() | (byte.is_ascii_digit() | matches!(byte, b'-' | b'.'))
}

/// Offset of the first byte from `at` on that cannot stand in a path; the end if all can.
#[cfg_attr(not(target_os = "none"), inline(always))]
pub(super) fn path_end(bytes: &[u8], at: usize) -> usize {
    end_of(bytes, if WIDE { skip(bytes, at, is_path) } else { at }, class::PATH)
}

/// Offset of the first byte from `at` on that is not of the class `NAME`; the end if all are.
#[cfg_attr(not(target_os = "none"), inline(always))]
pub(super) fn name_end(bytes: &[u8], at: usize) -> usize {
    end_of(bytes, if WIDE { skip(bytes, at, is_plain_name) } else { at }, class::NAME)
}

/// Skips bytes that are `good`, sixteen at a time, as long as there are so many: some 20
/// instructions each time. A vector's lanes are compared at once, and the first that differs is
/// found as the lowest bit of one large number.
#[inline(always)]
fn skip(bytes: &[u8], mut at: usize, good: impl Fn(u8) -> bool) -> usize {
    while let Some(some) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
        let lanes: [u8; 16] = core::array::from_fn(|i| if good(some[i]) { 0 } else { 0xff });
        let len = u128::from_le_bytes(lanes).trailing_zeros() as usize / 8;
        at += len;
        if len < lanes.len() {
            break;
        }
    }
    at
}

/// Offset of the first byte from `at` on that is not of this class; the end if all are.
#[cfg_attr(not(target_os = "none"), inline)]
#[cfg_attr(target_os = "none", inline(never))]
pub(super) fn end_of(bytes: &[u8], at: usize, class: u8) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let other = rest.iter().position(|byte| CLASSES[usize::from(*byte)] & class == 0);
    other.map_or(bytes.len(), |len| at + len)
}

/// `bytes` without the spaces and tabs around it.
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Reads `name: value` (without its line end) that begins at offset `at` of the input.
pub(super) fn parse_line(line: &[u8], at: usize) -> Option<FieldRange> {
    let colon = line.iter().position(|b| *b == b':')?;
    let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    if !is_token(name) || !is_value(value) {
        return None;
    }
    let lead = value.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let from = at + colon + 1 + lead;
    Some(FieldRange {
        name: Span { from: u16::try_from(at).ok()?, to: u16::try_from(at + colon).ok()? },
        value: Span {
            from: u16::try_from(from).ok()?,
            to: u16::try_from(from + trim(value).len()).ok()?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_values_are_what_rfc_9110_says() {
        for byte in 0..=255_u8 {
            let tchar = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(is_token(&[byte]), tchar, "{byte:#04x}");
            let value = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
            assert_eq!(is_value(&[b'a', byte, b'b']), value, "{byte:#04x}");
        }
        assert!(!is_token(b"") && is_value(b""));
    }

    #[test]
    fn a_word_is_known_in_any_case_and_by_no_other_byte() {
        for known in ["100-continue", "keep-alive", "transfer-encoding"] {
            let mut word = [0; 17];
            let word = &mut word[..known.len()];
            word.copy_from_slice(known.as_bytes());
            for at in 0..word.len() {
                for byte in (0..=255_u8).filter(|byte| is_value(&[*byte])) {
                    let was = core::mem::replace(&mut word[at], byte);
                    assert_eq!(is_word(word, known), is_ignoring_case(word, known), "{byte:#04x}");
                    word[at] = was;
                }
            }
            assert!(is_word(word, known) && !is_word(&word[1..], known));
        }
    }

    #[test]
    fn targets_are_visible_ascii() {
        let refused = |good: fn(&[u8]) -> bool| (0..=255_u8).filter(|b| !good(&[*b])).count();
        let invisible = 33 + 1 + 128;
        assert_eq!(refused(is_target), invisible + 1);
        assert_eq!(refused(|byte| end_of(byte, 0, class::PATH) == 1), invisible + 2);
    }

    #[test]
    fn a_line_is_cut_into_name_and_value() {
        let at = |from, to| Span { from, to };
        for (line, expected) in [
            (&b"A: b"[..], Some((at(10, 11), at(13, 14)))),
            (b"A:b \t", Some((at(10, 11), at(12, 13)))),
            (b"A:", Some((at(10, 11), at(12, 12)))),
            (b"A:  ", Some((at(10, 11), at(14, 14)))),
            (b"A: b c", Some((at(10, 11), at(13, 16)))),
            (b"A : b", None),
            (b" A: b", None),
            (b": b", None),
            (b"A", None),
            (b"A: b\rc", None),
            (b"A: b\0", None),
        ] {
            let expected = expected.map(|(name, value)| FieldRange { name, value });
            assert_eq!(parse_line(line, 10), expected, "{line:?}");
        }
        assert_eq!(parse_line(b"A: b", 70_000), None);
    }
}
