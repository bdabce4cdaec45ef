//! The last messages: each stored once, and read by everybody from a position of its own.
//!
//! Invariant: message `n` lies at place `n % messages` until message `n + messages` replaces it.
//!
//! Capacity: the count given to [`Ring::new`]. Full: the oldest message makes room, and a reader
//! that had not come to it is told [`Behind`].

use dustdevil_core::memory::{Block, room};

use crate::words::Message;

/// The reader's next message is not there any more: it has fallen behind by more than the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind;

/// The messages, from [`end`](Self::end) `- messages` on.
pub(crate) struct Ring<'m> {
    messages: &'m mut [Message],
    /// The number of the message that comes next.
    end: u64,
}

impl<'m> Ring<'m> {
    /// Bytes of a block that `messages` take.
    pub(crate) const fn bytes(messages: usize) -> usize {
        room::<Message>(messages)
    }

    /// An empty ring, cut from `block`.
    pub(crate) fn new(block: &mut Block<'m>, messages: usize) -> Self {
        Self { messages: block.fill(messages, |_| Message::new()), end: 0 }
    }

    /// The number of the message that comes next.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Adds a message.
    pub(crate) fn push(&mut self, message: Message) {
        let place = self.place(self.end);
        if let Some(place) = self.messages.get_mut(place) {
            *place = message;
        }
        self.end += 1;
    }

    /// The message at `position`, which moves on; `None` when there is none yet.
    pub(crate) fn read(&self, position: &mut u64) -> Result<Option<Message>, Behind> {
        if self.is_behind(*position) {
            *position = self.end - self.messages.len() as u64;
            return Err(Behind);
        }
        let message = self.at(*position);
        *position += u64::from(message.is_some());
        Ok(message.cloned())
    }

    /// Copies whole messages from `position` on into `into`, as many as fit; how many bytes.
    pub(crate) fn copy(&self, position: &mut u64, into: &mut [u8]) -> Result<usize, Behind> {
        if self.is_behind(*position) {
            return Err(Behind);
        }
        let mut filled = 0;
        while let Some(message) = self.at(*position)
            && let Some(room) = into.get_mut(filled..filled + message.len())
        {
            room.copy_from_slice(message.as_bytes());
            filled += message.len();
            *position += 1;
        }
        Ok(filled)
    }

    /// Whether the message at `position` was replaced.
    pub(crate) fn is_behind(&self, position: u64) -> bool {
        self.end.saturating_sub(position) > self.messages.len() as u64
    }

    fn at(&self, position: u64) -> Option<&Message> {
        (position < self.end).then(|| self.messages.get(self.place(position)))?
    }

    fn place(&self, position: u64) -> usize {
        // Less than the length, which is a `usize`.
        (position % self.messages.len() as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dustdevil_core::memory::Memory;

    fn message(text: &str) -> Message {
        Message::try_from(text).expect("short")
    }

    #[test]
    fn a_reader_is_behind_once_its_next_message_is_replaced() {
        static MEMORY: Memory<{ Ring::bytes(3) }> = Memory::new();
        let mut ring = Ring::new(&mut MEMORY.take(), 3);
        let (mut slow, mut position) = (0, 0);
        let mut into = [0; 4];
        assert_eq!(ring.copy(&mut position, &mut into), Ok(0));
        for (text, left) in [("a\n", false), ("b\n", false), ("c\n", false), ("d\n", true)] {
            ring.push(message(text));
            assert_eq!(ring.is_behind(slow), left, "{text:?}");
            assert_eq!(ring.copy(&mut position, &mut into), Ok(2));
            assert_eq!(&into[..2], text.as_bytes());
        }
        assert_eq!(ring.copy(&mut slow, &mut into), Err(Behind));
        assert_eq!((slow, ring.read(&mut slow)), (0, Err(Behind)));
        for text in ["b\n", "c\n", "d\n"] {
            assert_eq!(ring.read(&mut slow), Ok(Some(message(text))));
        }
        assert_eq!(ring.read(&mut slow), Ok(None));
    }

    #[test]
    fn whole_messages_are_copied_as_many_as_fit() {
        static MEMORY: Memory<{ Ring::bytes(4) }> = Memory::new();
        let mut ring = Ring::new(&mut MEMORY.take(), 4);
        ["one\n", "two\n", "three\n"].into_iter().for_each(|text| ring.push(message(text)));
        let (mut position, mut into) = (0, [0; 13]);
        assert_eq!((ring.copy(&mut position, &mut into), position), (Ok(8), 2));
        assert_eq!(&into[..8], b"one\ntwo\n");
        assert_eq!((ring.copy(&mut position, &mut into[..6]), position), (Ok(6), 3));
        assert_eq!(&into[..6], b"three\n");
        assert_eq!((ring.copy(&mut position, &mut into), position), (Ok(0), 3));
    }
}
