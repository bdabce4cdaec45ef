//! Text into a buffer that somebody else has.

use core::fmt::{self, Write};

/// The text that a buffer begins with. Full: an error, and nothing of what did not fit.
pub(crate) struct Text<'a> {
    room: &'a mut [u8],
    length: usize,
}

impl<'a> Text<'a> {
    /// No text yet.
    pub(crate) const fn new(room: &'a mut [u8]) -> Self {
        Self { room, length: 0 }
    }

    /// Its bytes so far.
    pub(crate) const fn length(&self) -> usize {
        self.length
    }
}

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let place = self.room.get_mut(self.length..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// Writes one text into a buffer; how long it is.
pub(crate) fn write(room: &mut [u8], text: fmt::Arguments<'_>) -> Result<usize, fmt::Error> {
    let mut written = Text::new(room);
    written.write_fmt(text)?;
    Ok(written.length())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_fits_or_is_refused() {
        let mut room = [b'-'; 4];
        assert_eq!(write(&mut room, format_args!("{}:{}", 12, 3)), Ok(4));
        assert_eq!(&room, b"12:3");
        assert_eq!(write(&mut room, format_args!("{}:{}", 12, 34)), Err(fmt::Error));
    }
}
