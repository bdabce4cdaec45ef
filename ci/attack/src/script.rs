//! What one attacker does on each of its connections, as data.

use std::time::Duration;

/// Bytes that an attacker sends.
#[derive(Clone, Debug)]
pub struct Part {
    /// What is sent.
    pub bytes: Vec<u8>,
    /// How much of it at once, at least 1.
    pub piece: usize,
    /// Between two pieces; zero: as fast as the server takes it.
    pub every: Duration,
    /// How often the bytes are sent before the next part.
    pub times: usize,
}

impl Part {
    /// All of it at once, once.
    pub fn once(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self { piece: bytes.len(), bytes, every: Duration::ZERO, times: 1 }
    }

    /// Again and again, as fast as the server takes it.
    pub fn flood(bytes: impl Into<Vec<u8>>) -> Self {
        Self { times: usize::MAX, ..Self::once(bytes) }
    }

    /// So many bytes of it every so many milliseconds, to its end.
    pub fn drip(bytes: impl Into<Vec<u8>>, piece: usize, every_ms: u64) -> Self {
        Self { piece, every: Duration::from_millis(every_ms), ..Self::once(bytes) }
    }

    /// As [`drip`](Self::drip), for ever.
    pub fn drip_for_ever(bytes: impl Into<Vec<u8>>, piece: usize, every_ms: u64) -> Self {
        Self { times: usize::MAX, ..Self::drip(bytes, piece, every_ms) }
    }
}

/// What an attacker does about what the server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It reads everything, at once.
    All,
    /// It reads nothing.
    Never,
    /// It reads some bytes now and then.
    Slowly {
        /// How many at once.
        bytes: usize,
        /// Between two reads.
        every: Duration,
    },
}

/// What an attacker does when it has sent everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It stays until it is cut off.
    Stays,
    /// It resets the connection at once and comes again.
    Resets,
}

/// What one attacker does on each of its connections.
#[derive(Clone, Debug)]
pub struct Script {
    /// What it sends, one part behind the other.
    pub parts: Vec<Part>,
    /// What it does about answers.
    pub reading: Reading,
    /// What it does behind the last part.
    pub ending: Ending,
    /// Bytes of its kernel's receive buffer; `None`: as many as usual.
    pub window: Option<usize>,
    /// How long it keeps a connection that the server has ended before it closes its own side.
    pub holds: Duration,
}

impl Script {
    /// Sends these, reads everything, stays until it is cut off.
    pub fn of(parts: impl Into<Vec<Part>>) -> Self {
        Self {
            parts: parts.into(),
            reading: Reading::All,
            ending: Ending::Stays,
            window: None,
            holds: Duration::ZERO,
        }
    }

    /// Resets the connection once everything is sent.
    #[must_use]
    pub fn resets(self) -> Self {
        Self { ending: Ending::Resets, ..self }
    }

    /// Reads nothing.
    #[must_use]
    pub fn deaf(self) -> Self {
        Self { reading: Reading::Never, ..self }
    }

    /// Reads so many bytes every so many milliseconds.
    #[must_use]
    pub fn sips(self, bytes: usize, every_ms: u64) -> Self {
        let every = Duration::from_millis(every_ms);
        Self { reading: Reading::Slowly { bytes, every }, ..self }
    }

    /// With the smallest window there is.
    #[must_use]
    pub fn narrow(self) -> Self {
        Self { window: Some(1), ..self }
    }

    /// Keeps a connection that the server has ended for so many milliseconds.
    #[must_use]
    pub fn holds(self, ms: u64) -> Self {
        Self { holds: Duration::from_millis(ms), ..self }
    }
}
