use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use model::hash::HashKey;

/// A source of random bytes.
pub trait Random: Send + Sync {
    /// Fills all of `out`.
    fn fill(&self, out: &mut [u8]);
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    /// # Panics
    /// When the operating system gives no randomness: no key made after that could be trusted.
    fn fill(&self, out: &mut [u8]) {
        let mut filled = 0;
        while let Some(rest) = out.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()) {
                Ok(count) => filled += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => panic!("the operating system gives randomness: {errno}"),
            }
        }
    }
}

/// Bytes that follow from a seed. For tests and simulation only: whoever knows the seed knows
/// every key.
pub struct SeededRandom {
    key: HashKey,
    calls: AtomicU64,
}

impl SeededRandom {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        for (byte, value) in bytes.iter_mut().zip(seed.to_le_bytes()) {
            *byte = value;
        }
        Self { key: HashKey::new(bytes), calls: AtomicU64::new(0) }
    }
}

impl Random for SeededRandom {
    fn fill(&self, out: &mut [u8]) {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        self.key.expand(&[b"seeded random", &call.to_le_bytes()], out);
    }
}

impl fmt::Debug for SeededRandom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeededRandom(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeded_streams_repeat_and_differ() {
        let draw = |random: &SeededRandom| {
            let mut out = [0; 40];
            random.fill(&mut out);
            out
        };
        let (a, b, c) = (SeededRandom::new(1), SeededRandom::new(1), SeededRandom::new(2));
        let first = draw(&a);
        assert_eq!(first, draw(&b));
        assert_ne!(first, draw(&c));
        assert_ne!(first, draw(&a), "a second call continues the stream");
    }

    #[test]
    fn the_system_fills_every_byte() {
        let mut or = [0u8; 1000];
        for _ in 0..8 {
            let mut out = [0u8; 1000];
            OsRandom.fill(&mut out);
            or.iter_mut().zip(out).for_each(|(or, byte)| *or |= byte);
        }
        assert!(or.iter().all(|byte| *byte != 0), "a byte was never written");
    }
}
