use crate::random::Random;

const CHANGES_MAX: u64 = 4;
/// Values at the edges of widths and of variable-length integers.
const EDGES: &[u8] = &[0x00, 0x01, 0x7f, 0x80, 0x81, 0xfe, 0xff];

/// One of `seeds` after a few changes, at most `len_max` bytes long.
pub(super) fn mutate(seeds: &[Vec<u8>], len_max: usize, random: &mut Random) -> Vec<u8> {
    let mut bytes = pick(seeds, random).to_vec();
    for _ in 0..1 + random.below(CHANGES_MAX) {
        change(&mut bytes, seeds, random);
    }
    bytes.truncate(len_max);
    bytes
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = index(bytes.len(), random);
    let run = 1 + index(16, random);
    let end = bytes.len().min(at + run);
    match random.below(8) {
        0 => edit(bytes, at, |byte| byte ^ (1 << (at % 8))),
        1 => {
            let value = random.next().to_le_bytes().first().copied().unwrap_or(0);
            edit(bytes, at, |_| value);
        }
        2 => {
            let edge = EDGES.get(index(EDGES.len(), random)).copied().unwrap_or(0);
            edit(bytes, at, |_| edge);
        }
        3 => edit(bytes, at, |byte| byte.wrapping_add(1)),
        4 => bytes.truncate(at),
        5 => drop(bytes.drain(at..end)),
        6 => {
            let copy = bytes.get(at..end).unwrap_or_default().to_vec();
            let place = index(bytes.len() + 1, random);
            bytes.splice(place..place, copy);
        }
        // The beginning of one with the end of another, or bytes nobody wrote behind it.
        _ => {
            let other = pick(seeds, random);
            let tail = other.get(index(other.len() + 1, random)..).unwrap_or_default();
            let noise = random.bytes(run);
            bytes.truncate(at);
            bytes.extend_from_slice(if random.below(4) == 0 { &noise } else { tail });
        }
    }
}

fn edit(bytes: &mut [u8], at: usize, change: impl FnOnce(u8) -> u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = change(*byte);
    }
}

fn pick<'a>(seeds: &'a [Vec<u8>], random: &mut Random) -> &'a [u8] {
    seeds.get(index(seeds.len(), random)).map_or(&[], Vec::as_slice)
}

/// In `0..len`, or 0 when there is nothing.
fn index(len: usize, random: &mut Random) -> usize {
    usize::try_from(random.below(len as u64)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutants_differ_and_stay_within_the_limit() {
        let seeds = vec![vec![0; 50], vec![255; 10], Vec::new()];
        let mut random = Random::new(5);
        let mutants: Vec<_> = (0..1000).map(|_| mutate(&seeds, 60, &mut random)).collect();
        assert!(mutants.iter().all(|mutant| mutant.len() <= 60));
        assert!(mutants.iter().any(|mutant| mutant.len() > 50));
        assert!(mutants.iter().any(Vec::is_empty));
        let changed = mutants.iter().filter(|mutant| !seeds.contains(mutant)).count();
        assert!(changed > 600, "{changed}");
    }
}
