//! Bytes on their way between an interrupt and a task.

use core::fmt;
use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// A ring of `N` bytes from one writer to one reader, of whom either may be an interrupt: what lies
/// between a UART and its [`RawStream`](crate::stream::RawStream).
///
/// Loads and stores alone, no lock, no mask: each side writes its own position and reads the
/// other's. All its bits are zero when new, so a static lies in `.bss`. With two writers at once,
/// or two readers, bytes are lost or doubled; nothing worse happens.
///
/// Capacity: `N` bytes, a power of two. Full: [`push`](Self::push) refuses, [`write`](Self::write)
/// takes less.
///
/// ```
/// use dustdevil_core::remote::Ring;
///
/// static RECEIVED: Ring<4> = Ring::new();
///
/// assert_eq!(RECEIVED.write(b"hello"), 4);
/// assert!(!RECEIVED.push(b'o'));
/// let mut bytes = [0; 8];
/// let count = RECEIVED.read(&mut bytes);
/// assert_eq!(&bytes[..count], b"hell");
/// ```
pub struct Ring<const N: usize> {
    /// Bytes ever put in and taken out; they wrap around. The difference is what it holds.
    put_in: AtomicUsize,
    taken_out: AtomicUsize,
    bytes: [AtomicU8; N],
}

impl<const N: usize> Ring<N> {
    /// An empty one.
    pub const fn new() -> Self {
        const { assert!(N.is_power_of_two(), "a ring's capacity is a power of two") };
        Self {
            put_in: AtomicUsize::new(0),
            taken_out: AtomicUsize::new(0),
            bytes: [const { AtomicU8::new(0) }; N],
        }
    }

    /// The writer's: puts a byte in; whether there was room.
    pub fn push(&self, byte: u8) -> bool {
        self.write(&[byte]) == 1
    }

    /// The writer's: puts in as much of `bytes` as there is room for, and says how much that was.
    pub fn write(&self, bytes: &[u8]) -> usize {
        let start = self.put_in.load(Ordering::Relaxed);
        // What the reader has read of these places was read before it said so.
        let taken_out = self.taken_out.load(Ordering::Acquire);
        let count = bytes.len().min(N.saturating_sub(start.wrapping_sub(taken_out)));
        for (at, byte) in bytes.iter().take(count).enumerate() {
            self.place(start.wrapping_add(at)).store(*byte, Ordering::Relaxed);
        }
        self.put_in.store(start.wrapping_add(count), Ordering::Release);
        count
    }

    /// The reader's: takes the first byte.
    pub fn pop(&self) -> Option<u8> {
        let mut byte = [0];
        (self.read(&mut byte) == 1).then_some(byte[0])
    }

    /// The reader's: takes as many bytes as there are and `into` has room for; how many those were.
    pub fn read(&self, into: &mut [u8]) -> usize {
        let start = self.taken_out.load(Ordering::Relaxed);
        // What the writer has put in was written before it said so.
        let put_in = self.put_in.load(Ordering::Acquire);
        let count = into.len().min(put_in.wrapping_sub(start)).min(N);
        for (at, byte) in into.iter_mut().take(count).enumerate() {
            *byte = self.place(start.wrapping_add(at)).load(Ordering::Relaxed);
        }
        self.taken_out.store(start.wrapping_add(count), Ordering::Release);
        count
    }

    /// How many bytes it holds: at least so many for the reader, at most so many for the writer.
    pub fn len(&self) -> usize {
        let taken_out = self.taken_out.load(Ordering::Relaxed);
        self.put_in.load(Ordering::Relaxed).wrapping_sub(taken_out).min(N)
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether [`push`](Self::push) would refuse.
    pub fn is_full(&self) -> bool {
        self.len() == N
    }

    /// `N` is a power of two: positions that wrap around go on with the next place.
    fn place(&self, position: usize) -> &AtomicU8 {
        &self.bytes[position % N]
    }
}

impl<const N: usize> Default for Ring<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Debug for Ring<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ring({} of {N} bytes)", self.len())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    extern crate std;

    use std::thread;
    use std::vec::Vec;

    use core::sync::atomic::Ordering;

    use super::Ring;

    #[test]
    fn bytes_leave_in_the_order_in_which_they_came() {
        let ring = Ring::<8>::new();
        // Positions that are about to wrap around, too.
        ring.put_in.store(usize::MAX - 20, Ordering::Relaxed);
        ring.taken_out.store(usize::MAX - 20, Ordering::Relaxed);
        let mut held = Vec::new();
        let mut next = 0_u8;
        for round in 0..100 {
            let bytes: Vec<u8> = (0..round % 5).map(|at| next.wrapping_add(at)).collect();
            let count = ring.write(&bytes);
            assert_eq!(count, bytes.len().min(8 - held.len()), "round {round}");
            next = next.wrapping_add(count as u8);
            held.extend_from_slice(&bytes[..count]);
            assert_eq!((ring.len(), ring.is_full()), (held.len(), held.len() == 8));
            let mut taken = [0; 3];
            let count = ring.read(&mut taken[..round as usize % 4]);
            assert_eq!(taken[..count], held[..count], "round {round}");
            held.drain(..count);
        }
        while let Some(byte) = ring.pop() {
            assert_eq!(byte, held.remove(0));
        }
        assert!(held.is_empty() && ring.is_empty());
        assert!((0..8).all(|byte| ring.push(byte)) && !ring.push(8));
    }

    #[test]
    fn bytes_pass_between_threads() {
        const COUNT: u32 = if cfg!(miri) { 200 } else { 100_000 };
        static RING: Ring<16> = Ring::new();
        let writer = thread::spawn(|| {
            for number in 0..COUNT {
                while !RING.push((number % 251) as u8) {
                    thread::yield_now();
                }
            }
        });
        for number in 0..COUNT {
            let byte = loop {
                match RING.pop() {
                    Some(byte) => break byte,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(byte, (number % 251) as u8, "byte {number}");
        }
        writer.join().expect("the writer does not panic");
    }
}
