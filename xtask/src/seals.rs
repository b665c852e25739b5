//! Does a key ever meet a nonce twice? Seals what forks, restored snapshots, two compressors, two
//! writers, several epochs and generations seal, and collects key, nonce and mask of each.

mod collector;
mod history;

use std::time::Instant;

use crypt::{CompressionPolicy, FRAME_PREFIX_LEN, ObjectHeader, SUITE, Sealer};
use model::hash::HashKey;

use crate::arguments::Arguments;
use crate::failure::Failure;
use collector::{Collector, Observed, tag};
use history::{Input, Keys, SEALS_EACH_ROUND, round};

const THREADS: u64 = 2;
/// A run in which fewer seals than one in so many meet again proves nothing.
const MEETINGS_EACH: usize = 20;
const MASKED_LEN: usize = 42;
const SALT_LEN: usize = 16;
const KEY_NONCE_LEN: usize = 32 + 12;

pub(crate) fn run(mut arguments: Arguments) -> Result<(), Failure> {
    let count = arguments.number("count", 10_000_000)?;
    let seed = arguments.number("seed", 1)?;
    arguments.end()?;
    let started = Instant::now();
    let rounds = count.div_ceil(SEALS_EACH_ROUND);
    let collected = collect(seed, rounds).map_err(|detail| Failure::Program {
        program: format!("seals --count {count} --seed {seed}"),
        detail,
    })?;
    let verdict = collected.verdict();
    println!(
        "seals: {} seals, {} repeats of identical input, {} of another payload at the same context \
         and block nonce",
        verdict.seals, verdict.repeats, verdict.near_misses
    );
    println!(
        "seals: {} pairs with equal (key, nonce) and different (context, payload), {} equal masks \
         with different headers, seed {seed}, {:.1} s",
        verdict.key_reuses,
        verdict.mask_reuses,
        started.elapsed().as_secs_f64()
    );
    let is_telling = verdict.repeats.min(verdict.near_misses) >= verdict.seals / MEETINGS_EACH;
    Failure::unless_none(usize::from(!is_telling), "run without meetings")?;
    Failure::unless_none(verdict.key_reuses + verdict.mask_reuses, "reuse")
}

/// The seals of rounds 0 to `rounds`, on several threads.
fn collect(seed: u64, rounds: u64) -> Result<Collector, String> {
    let keys = Keys::default();
    let part = |thread: u64| -> Result<Collector, String> {
        let mut collector = Collector::default();
        let mut sealers = Sealers::default();
        for number in (thread..rounds).step_by(usize::try_from(THREADS).unwrap_or(1)) {
            let outcome = round(&keys, seed << 32 | number, |input| {
                collector.take(&sealers.seal(input)?);
                Ok(())
            });
            outcome.map_err(|problem| format!("round {number}: {problem}"))?;
        }
        Ok(collector)
    };
    let mut all = Collector::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..THREADS).map(|thread| scope.spawn(move || part(thread))).collect();
        for thread in threads {
            all.merge(thread.join().map_err(|_| "a panic".to_owned())??);
        }
        Ok(all)
    })
}

/// One for each compressor.
struct Sealers {
    auto: Sealer,
    off: Sealer,
    frame: Vec<u8>,
}

impl Default for Sealers {
    fn default() -> Self {
        let [auto, off] = [CompressionPolicy::Auto, CompressionPolicy::Off].map(Sealer::new);
        Self { auto, off, frame: Vec::new() }
    }
}

impl Sealers {
    /// Seals as the product does, and derives key and nonce once more from the secret.
    fn seal(&mut self, input: &Input<'_>) -> Result<Observed, String> {
        let sealer = match input.policy {
            CompressionPolicy::Auto => &mut self.auto,
            CompressionPolicy::Off => &mut self.off,
        };
        self.frame.clear();
        let keys = &input.held.keys;
        let header =
            keys.seal(input.kind, input.obj, input.plain, sealer, &input.nonce, &mut self.frame);
        let (prefix, ciphertext) = self.frame.split_at(FRAME_PREFIX_LEN);
        let (masked, rest) = prefix.split_at(MASKED_LEN);
        let (salt, commitment) = rest.split_at(SALT_LEN);
        let context = context(input, &header);
        let mut derived = vec![0; KEY_NONCE_LEN + commitment.len()];
        HashKey::new(input.held.seal.keyed(&[&context, salt])).expand(&[b"aead"], &mut derived);
        let own_commitment = derived.split_off(KEY_NONCE_LEN);
        if own_commitment != commitment {
            return Err(format!("{:?}: another commitment than the format says", input.kind));
        }
        let header = encoded(&header);
        let mask = masked.iter().zip(&header).map(|(masked, plain)| masked ^ plain).collect();
        // Under one key and nonce, ciphertexts are equal exactly where payloads are.
        let sealed = tag(&[&context, ciphertext]);
        let place = tag(&[&context, input.nonce.as_bytes()]);
        Ok(Observed { key_nonce: derived, input: sealed, place, mask, header })
    }
}

/// `h` of the format.
fn context(input: &Input<'_>, header: &ObjectHeader) -> Vec<u8> {
    let keys = &input.held.keys;
    let mut context = vec![SUITE, header.kind as u8];
    context.extend_from_slice(keys.scope().as_bytes());
    context.extend_from_slice(keys.epoch().as_bytes());
    context.extend_from_slice(keys.generation().as_bytes());
    context.extend_from_slice(header.obj.as_bytes());
    context.push(header.compression as u8);
    context.extend_from_slice(&header.plain_len.to_le_bytes());
    context.extend_from_slice(&header.payload_len.to_le_bytes());
    context
}

/// The header of a frame without its mask.
fn encoded(header: &ObjectHeader) -> Vec<u8> {
    let mut bytes = vec![header.kind as u8, header.compression as u8];
    bytes.extend_from_slice(&header.plain_len.to_le_bytes());
    bytes.extend_from_slice(&header.payload_len.to_le_bytes());
    bytes.extend_from_slice(header.obj.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUNDS: u64 = 8;

    /// A seal whose salt covers the context and the block nonce, and no payload.
    fn broken(input: &Input<'_>) -> Observed {
        let len = u32::try_from(input.plain.len()).unwrap();
        let header = ObjectHeader {
            kind: input.kind,
            compression: crypt::Compression::None,
            plain_len: len,
            payload_len: len,
            obj: input.obj,
        };
        let context = context(input, &header);
        let salt = input.held.siv.keyed(&[&context, input.nonce.as_bytes()]);
        let salt = &salt[..SALT_LEN];
        let mut key_nonce = vec![0; KEY_NONCE_LEN];
        HashKey::new(input.held.seal.keyed(&[&context, salt])).expand(&[b"aead"], &mut key_nonce);
        let place = tag(&[&context, input.nonce.as_bytes()]);
        let sealed = tag(&[&context, input.plain]);
        // A mask that depends on the place of the frame, as that of a counter would.
        let mask = input.nonce.as_bytes().to_vec();
        Observed { key_nonce, input: sealed, place, mask, header: encoded(&header) }
    }

    #[test]
    fn no_key_meets_a_nonce_twice() {
        let verdict = collect(1, ROUNDS).unwrap().verdict();
        assert_eq!(u64::try_from(verdict.seals).unwrap(), ROUNDS * SEALS_EACH_ROUND);
        assert_eq!((verdict.key_reuses, verdict.mask_reuses), (0, 0), "seed 1");
        assert!(verdict.repeats * MEETINGS_EACH > verdict.seals, "{verdict:?}");
        assert!(verdict.near_misses * MEETINGS_EACH > verdict.seals, "{verdict:?}");
    }

    #[test]
    fn a_salt_that_does_not_cover_the_payload_is_found() {
        let (keys, mut collector) = (Keys::default(), Collector::default());
        for seed in 0..ROUNDS {
            round(&keys, seed, |input| {
                collector.take(&broken(input));
                Ok(())
            })
            .unwrap();
        }
        let verdict = collector.verdict();
        assert!(verdict.key_reuses > 0 && verdict.key_reuses == verdict.near_misses, "{verdict:?}");
        assert!(verdict.mask_reuses > 0, "{verdict:?}");
    }
}
