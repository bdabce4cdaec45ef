//! What may be a name, what of a line is relayed, and what the room says.
//!
//! Invariant: nothing here writes a control character but the newline at a message's end, and no
//! message is longer than [`MESSAGE_BYTES_MAX`].

use heapless::String;

/// Longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 16;

/// Longest line that a client may say, in bytes, without what ends it.
pub const LINE_BYTES_MAX: usize = 120;

/// Longest message: a name, `: `, a line, and a newline.
pub const MESSAGE_BYTES_MAX: usize = NAME_BYTES_MAX + 2 + LINE_BYTES_MAX + 1;

/// A name.
pub(crate) type Name = String<NAME_BYTES_MAX>;

/// A line that everybody reads, its newline included.
pub type Message = String<MESSAGE_BYTES_MAX>;

pub(crate) const ASK_NAME: &str = "- your name?\n";
pub(crate) const BAD_NAME: &str = "- a name is 1 to 16 of a-z, A-Z, 0-9, - and _, a letter first\n";
pub(crate) const NAME_TAKEN: &str = "- that name is taken\n";
pub(crate) const WELCOME: &str = "- welcome; /who lists who is here, /quit leaves\n";
pub(crate) const COMMANDS: &str = "- there is /who, and there is /quit\n";
pub(crate) const FULL: &str = "- the room is full\n";
pub(crate) const BYE: &str = "- bye\n";
pub(crate) const NO_NAME: &str = "- no name came in time\n";
pub(crate) const IDLE: &str = "- you were silent for too long\n";
pub(crate) const TOO_LONG: &str = "- a line has at most 120 bytes\n";
pub(crate) const TOO_SLOW: &str = "- you read too slowly\n";
pub(crate) const CLOSING: &str = "- the room closes\n";

pub(crate) const HAS_COME: &str = " has come\n";
pub(crate) const HAS_LEFT: &str = " has left\n";
pub(crate) const WAS_DROPPED: &str = " was dropped: too slow\n";

/// A line without what ends it: LF or CRLF.
pub(crate) fn trimmed(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The name that a line is, if it is one.
pub(crate) fn name(line: &[u8]) -> Option<Name> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_name = line.first()?.is_ascii_alphabetic() && line.iter().all(is_part);
    let text = core::str::from_utf8(line).ok().filter(|_| is_name)?;
    Name::try_from(text).ok()
}

/// What `name` says with `line`, which has at most [`LINE_BYTES_MAX`] bytes.
pub(crate) fn said(name: &str, line: &[u8]) -> Message {
    let mut message = joined(&[name, ": "]);
    for chunk in line.utf8_chunks() {
        for letter in chunk.valid().chars() {
            add(&mut message, if is_relayed(letter) { letter } else { '?' });
        }
        if !chunk.invalid().is_empty() {
            add(&mut message, '?');
        }
    }
    add(&mut message, '\n');
    message
}

/// News of the room.
pub(crate) fn news(name: &str, what: &str) -> Message {
    joined(&["* ", name, what])
}

/// Characters that a terminal shows, and nothing that moves its cursor, changes its state, or turns
/// the direction of what others say.
fn is_relayed(letter: char) -> bool {
    let is_steering = matches!(
        letter,
        '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
    );
    !letter.is_control() && !is_steering
}

/// INVARIANT: all that is joined here fits: a name and words of the room's.
fn joined(parts: &[&str]) -> Message {
    let mut message = Message::new();
    for part in parts {
        let added = message.push_str(part);
        debug_assert!(added.is_ok(), "{part} fits");
    }
    message
}

/// INVARIANT: what replaces a part of a line is no longer than that part, so all of it fits.
fn add(message: &mut Message, letter: char) {
    let added = message.push(letter);
    debug_assert!(added.is_ok(), "{letter} fits");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_grammar() {
        for good in ["a", "Zoe", "a-b_c", "x0123456789-_abc"] {
            assert_eq!(name(good.as_bytes()).as_deref(), Some(good));
        }
        let bad: [&[u8]; 11] = [
            b"",
            b"0a",
            b"-a",
            b"_",
            b"a b",
            b"a\x1b",
            b"a\r",
            b"/who",
            "\u{e4}h".as_bytes(),
            b"\xff",
            b"x0123456789-_abcd",
        ];
        for bad in bad {
            assert_eq!(name(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn nothing_that_steers_a_terminal_is_relayed() {
        let table: [(&[u8], &str); 10] = [
            (b"hello", "ann: hello\n"),
            (b"", "ann: \n"),
            ("gr\u{fc}\u{df} \u{1f44b}".as_bytes(), "ann: gr\u{fc}\u{df} \u{1f44b}\n"),
            (b"\x1b[2J\x07", "ann: ?[2J?\n"),
            (b"a\tb\rc\nd\0", "ann: a?b?c?d?\n"),
            ("c1 \u{9b}m del \x7f".as_bytes(), "ann: c1 ?m del ?\n"),
            ("\u{202e}back \u{2066}x\u{2028}".as_bytes(), "ann: ?back ?x?\n"),
            (b"\xff\xfb\x01telnet", "ann: ???telnet\n"),
            (b"cut \xe2\x82", "ann: cut ?\n"),
            (b"* bob has left", "ann: * bob has left\n"),
        ];
        for (line, relayed) in table {
            assert_eq!(said("ann", line), relayed, "{line:?}");
        }
    }

    #[test]
    fn the_longest_line_of_the_longest_name_fits() {
        let (name, line) = ("x0123456789-_abc", [b'y'; LINE_BYTES_MAX]);
        assert_eq!(said(name, &line).len(), MESSAGE_BYTES_MAX);
        assert_eq!(said(name, &[0xff; LINE_BYTES_MAX]).len(), MESSAGE_BYTES_MAX);
        assert!(news(name, WAS_DROPPED).ends_with("slow\n"));
        assert!(TOO_LONG.contains("120") && LINE_BYTES_MAX == 120);
    }

    #[test]
    fn a_line_ends_with_lf_or_crlf() {
        for (line, text) in
            [("a\n", "a"), ("a\r\n", "a"), ("\n", ""), ("\r\n", ""), ("a\r\r\n", "a\r"), ("a", "a")]
        {
            assert_eq!(trimmed(line.as_bytes()), text.as_bytes(), "{line:?}");
        }
    }
}
