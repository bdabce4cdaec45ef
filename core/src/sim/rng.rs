//! The simulator's only source of chance: SplitMix64, seeded, the same on every machine.
//!
//! Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014). Every
//! seed is good, including 0, and a [`fork`](Rng::fork) is a stream of its own.
//!
//! Layer: the bottom of the simulator.
//!
//! ```
//! use dustdevil_core::sim::Rng;
//! let (mut one, mut same) = (Rng::new(7), Rng::new(7));
//! assert_eq!(one.range(1, 6), same.range(1, 6));
//! ```

/// A seeded random number generator. Never of cryptographic use.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The generator that `seed` stands for.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number between `from` and `to`, both included; `from` when `to` is not above it.
    pub const fn range(&mut self, from: u64, to: u64) -> u64 {
        if to <= from {
            return from;
        }
        // A multiplication instead of a remainder: the high half of a 128-bit product.
        let span = (to - from) as u128 + 1;
        from + ((self.next() as u128 * span) >> 64) as u64
    }

    /// One of the places of something that is `len` long; 0 when it is empty.
    pub const fn index(&mut self, len: usize) -> usize {
        self.range(0, (len as u64).saturating_sub(1)) as usize
    }

    /// Whether something happens that does so `permille` times in 1,000.
    ///
    /// Takes nothing from the stream when `permille` is 0, so that a fault that is switched off
    /// leaves a run as it was.
    pub const fn hits(&mut self, permille: u16) -> bool {
        permille != 0 && self.range(0, 999) < permille as u64
    }

    /// A generator of its own, whose numbers do not depend on how many this one gives afterwards.
    pub const fn fork(&mut self) -> Self {
        Self(self.next() ^ 0x5851_f42d_4c95_7f2d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_published_one() {
        // The reference implementation's first outputs for the seed 1234567.
        let mut rng = Rng::new(1_234_567);
        assert_eq!(rng.next(), 6_457_827_717_110_365_317);
        assert_eq!(rng.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn ranges_include_both_ends_and_nothing_else() {
        let mut rng = Rng::new(1);
        let mut seen = [0_u32; 6];
        for _ in 0..600 {
            seen[rng.range(10, 15) as usize - 10] += 1;
        }
        assert!(seen.iter().all(|&count| (50..200).contains(&count)), "{seen:?}");
        assert_eq!((rng.range(9, 9), rng.range(9, 3)), (9, 9));
        assert_eq!(Rng::new(5).range(0, u64::MAX), Rng::new(5).next());
    }

    #[test]
    fn what_is_switched_off_takes_no_number() {
        let (mut one, mut other) = (Rng::new(3), Rng::new(3));
        assert!(!one.hits(0));
        assert_eq!(one.next(), other.next());
        assert!(one.hits(1_000));
    }
}
