//! How a fuzzer's bytes become choices: a few at the start say how the rest is fed.

use dustdevil_http::proto::Limits;

/// Bytes at the start of an input that choose.
pub const CHOICE_BYTES: usize = 4;

/// The choices that a seed starts with: ample limits, and everything at once.
pub const PLAIN: [u8; CHOICE_BYTES] = [0, 0, 0, 0];

/// How a stream arrives: the sizes of its pieces.
#[derive(Clone, Debug)]
pub enum Pieces {
    /// All at once.
    Whole,
    /// Byte by byte.
    Single,
    /// In two, cut here.
    Two(usize),
    /// Any sizes below 40.
    Drawn(Random),
}

impl Pieces {
    /// As the choice says: whole, singly, or drawn.
    pub fn chosen(number: u16) -> Self {
        match number {
            0 => Self::Whole,
            1 => Self::Single,
            _ => Self::Drawn(Random(u64::from(number))),
        }
    }

    /// How many bytes come next.
    pub fn next_len(&mut self) -> usize {
        match self {
            Self::Whole => usize::MAX,
            Self::Single => 1,
            Self::Two(at) => std::mem::replace(at, usize::MAX),
            Self::Drawn(random) => 1 + random.below(40),
        }
    }
}

/// What an input chose, and the bytes behind it.
#[derive(Debug)]
pub struct Input<'a> {
    /// Who reads, or anything else that a target wants to know.
    pub side: u8,
    /// The limits.
    pub limits: Limits,
    /// How the bytes arrive.
    pub pieces: Pieces,
    /// For choices made while they are read.
    pub random: Random,
    /// The stream.
    pub stream: &'a [u8],
}

impl<'a> Input<'a> {
    /// `None`: too short.
    pub fn new(data: &'a [u8]) -> Option<Self> {
        let ([side, limit, low, high], stream) = data.split_first_chunk::<CHOICE_BYTES>()?;
        let number = u16::from_le_bytes([*low, *high]);
        let random = Random(u64::from(number) << 8 | u64::from(*side) | 1 << 40);
        let pieces = Pieces::chosen(number);
        Some(Self { side: *side, limits: limits(*limit), pieces, random, stream })
    }
}

/// Ample limits, or tight ones where the bits say so.
fn limits(choice: u8) -> Limits {
    let mut limits = Limits::DEFAULT;
    if choice & 1 != 0 {
        limits.head_bytes_max = 32 + usize::from(choice);
    }
    if choice & 2 != 0 {
        limits.body_bytes_max = u64::from(choice >> 2);
    }
    if choice & 4 != 0 {
        limits.chunk_line_bytes_max = choice >> 3;
        limits.trailer_bytes_max = u16::from(choice);
    }
    if choice & 0x82 == 0x80 {
        limits.body_bytes_max = u64::MAX;
    }
    limits
}

/// Pseudo-random numbers (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) >> 16) as usize % bound
    }

    /// True once in `count` times.
    pub fn once_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// An input that is taken apart from its front, as arguments.
#[derive(Debug)]
pub struct Arguments<'a>(pub &'a [u8]);

impl<'a> Arguments<'a> {
    /// The next byte; 0 behind the end.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Up to 255 bytes: their number, and as many as there are.
    pub fn bytes(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte()).min(self.0.len());
        let (some, rest) = self.0.split_at(len);
        self.0 = rest;
        some
    }

    /// The same as text, up to where it stops being some.
    pub fn text(&mut self) -> &'a str {
        let some = self.bytes();
        let end = std::str::from_utf8(some).map_or_else(|error| error.valid_up_to(), str::len);
        std::str::from_utf8(&some[..end]).unwrap_or_default()
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    /// A text where the byte before it says so.
    pub fn maybe_text(&mut self) -> Option<&'a str> {
        (self.byte() & 1 != 0).then(|| self.text())
    }
}
