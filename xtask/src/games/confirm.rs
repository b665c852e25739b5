//! Is a file that I know in this folder? Whoever asks sees all of the folder, knows how long the
//! files are that lie around it, and owns another scope, here and in a folder of his own.

use std::time::Instant;

use model::{Content, Name};
use ouroborosdb::{At, PutRequest, Session, Silent};

use super::folder::{Files, Folder, View, bodies, lengths};
use super::guesses::Guesses;
use super::{Material, on_threads, seed_of};
use crate::failure::Failure;
use crate::scan::needles::Needles;

const RIGHT_MAX: f64 = 0.505;
const STRATEGIES: [&str; 4] = ["hashes and ids", "own ciphertext", "lengths", "deduplication"];
/// Inline, in a bundle, one chunk, several.
const LENGTHS: [usize; 4] = [300, 3_000, 20_000, 150_000];
/// Pieces of own ciphertext are taken so far apart.
const PIECE_STRIDE: usize = 64;
const PIECE_LEN: usize = 16;
/// Bytes of each piece of content that is searched for.
const SAMPLE_LEN: usize = 32;

pub(super) fn run(trials: u64, seed: u64) -> Result<(), Failure> {
    let mut missed = 0;
    for material in [Material::Noise, Material::Text] {
        let started = Instant::now();
        let guesses = play(material, trials, seed)?;
        println!("confirm {material:?}: {trials} trials, seed {seed}, right:");
        for (strategy, guesses) in STRATEGIES.iter().zip(&guesses) {
            println!("  {strategy:<16} {:.2} %", 100.0 * guesses.rate());
        }
        let best = guesses.into_iter().max_by(|a, b| a.advantage().total_cmp(&b.advantage()));
        let best = best.unwrap_or(Guesses { right: 0, count: 0 });
        println!(
            "  best {:.2} % (goal {:.1} %; a coin deviates by {:.2} %){}, {:.1} s",
            50.0 + 50.0 * best.advantage(),
            100.0 * RIGHT_MAX,
            100.0 * best.deviation(),
            if best.exceeds(RIGHT_MAX) { " MISSED" } else { "" },
            started.elapsed().as_secs_f64()
        );
        missed += usize::from(material == Material::Noise && best.exceeds(RIGHT_MAX));
    }
    Failure::unless_none(missed, "confirmed file")
}

fn play(material: Material, trials: u64, seed: u64) -> Result<Vec<Guesses>, Failure> {
    let trials = on_threads(trials, |number| trial(material, number, seed))?;
    let of = |strategy: usize| {
        let answers = trials.iter().map(|(secret, answers)| answers.get(strategy) == Some(secret));
        Guesses::of(answers)
    };
    Ok((0..STRATEGIES.len()).map(of).collect())
}

/// The secret, and what each strategy answers.
fn trial(material: Material, number: u64, seed: u64) -> Result<(bool, [bool; 4]), Failure> {
    let drawn = |part| seed_of(seed, number, part);
    let is_in = number.is_multiple_of(2);
    let shape = usize::try_from(number / 2).unwrap_or(0);
    let len = LENGTHS.get(shape % LENGTHS.len()).copied().unwrap_or(0);
    let is_packed = (shape / LENGTHS.len()).is_multiple_of(2);
    let known = material.content(drawn(1), len);
    let other = material.content(drawn(2), len);
    let files = |around: u64, content: &[u8]| -> Files {
        vec![
            ("around".to_owned(), Material::Noise.content(around, 2_000)),
            ("searched".to_owned(), content.to_vec()),
            ("behind".to_owned(), Material::Noise.content(around + 1, 9_000)),
        ]
    };
    let victim = Folder::new(drawn(3));
    victim.fill(&files(drawn(4), if is_in { &known } else { &other }), is_packed)?;
    let view = victim.view();
    let attacker = Folder::new(drawn(5));
    attacker.fill(&files(drawn(6), &known), is_packed)?;
    let own_view = attacker.view();
    let needles = needles(&attacker, &known)?;
    let answers = [
        finds(&needles, &view),
        finds(&ciphertext(&own_view), &view),
        lengths(&view) == lengths(&own_view),
        is_deduplicated(&victim, &attacker, &known)?,
    ];
    Ok((is_in, answers))
}

/// Everything by which somebody who has the content, and keys of his own, can look for it.
fn needles(attacker: &Folder, known: &[u8]) -> Result<Needles, Failure> {
    let mut needles = Needles::default();
    needles.add_content(known);
    known.chunks(4096).filter_map(|piece| piece.get(..SAMPLE_LEN)).for_each(|sample| {
        needles.add("content", sample);
    });
    let database = attacker.open()?;
    let session: &dyn Session = &database;
    let name = Name::new("searched").expect("a good name");
    for head in session.heads(&name, At::Now).map_err(Failure::database("heads"))? {
        needles.add_id("a vertex id", head.hash.as_bytes());
        let vertex = session.vertex(&head.hash).map_err(Failure::database("vertex"))?;
        let Content::Chunks { entries, .. } = &vertex.content else { continue };
        let mut rest = known;
        for entry in entries {
            needles.add_id("a chunk id", entry.hash.as_bytes());
            let len = usize::try_from(entry.len).unwrap_or(0).min(rest.len());
            let (piece, behind) = rest.split_at(len);
            needles.add_content(piece);
            rest = behind;
        }
    }
    database.close().map_err(Failure::database("close"))?;
    Ok(needles)
}

/// Sealed bytes of the attacker: were sealing convergent, the victim's would be the same.
fn ciphertext(own: &View) -> Needles {
    let mut needles = Needles::default();
    for body in bodies(own) {
        let pieces = body.chunks(PIECE_STRIDE).filter_map(|piece| piece.get(..PIECE_LEN));
        pieces.for_each(|piece| needles.add("ciphertext", piece));
    }
    needles
}

fn finds(needles: &Needles, view: &View) -> bool {
    let is_found = |bytes: &[u8]| !needles.find(bytes, bytes.len()).is_empty();
    view.iter().any(|(path, bytes)| is_found(path.as_bytes()) || is_found(bytes))
}

/// Whether putting the file into a scope of one's own, in the same folder, finds it there.
fn is_deduplicated(victim: &Folder, attacker: &Folder, known: &[u8]) -> Result<bool, Failure> {
    let size = |folder: &Folder| -> usize { folder.view().values().map(Vec::len).sum() };
    let database = victim.open_for(attacker)?;
    let before = size(victim);
    let name = Some(Name::new("searched").expect("a good name"));
    let request = PutRequest { name, ..PutRequest::default() };
    let session: &dyn Session = &database;
    let put = session.put(&request, &mut &*known, &Silent).map_err(Failure::database("put"))?;
    let has_grown_less = size(victim) - before < usize::try_from(put.bytes_stored).unwrap_or(0);
    database.close().map_err(Failure::database("close"))?;
    Ok(has_grown_less || put.bytes_new < put.bytes_read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_compress_cannot_be_confirmed() {
        let guesses = play(Material::Noise, 32, 1).unwrap();
        for (strategy, guesses) in STRATEGIES.iter().zip(&guesses) {
            // All but the lengths answer the same in every trial; lengths vary with the cuts.
            let is_even = guesses.right == 16 || *strategy == "lengths";
            assert!(is_even && !guesses.exceeds(RIGHT_MAX), "seed 1: {strategy} {guesses:?}");
        }
    }

    #[test]
    fn what_lies_in_the_clear_is_confirmed() {
        let attacker = Folder::new(1);
        let known = Material::Text.content(2, 100_000);
        attacker.fill(&vec![("searched".to_owned(), known.clone())], true).unwrap();
        let needles = needles(&attacker, &known).unwrap();
        let view = |bytes: &[u8]| View::from([("f".to_owned(), bytes.to_vec())]);
        assert!(finds(&needles, &view(&known)));
        assert!(finds(&needles, &view(blake3::hash(&known).as_bytes())));
        assert!(!finds(&needles, &view(&Material::Text.content(3, 100_000))));
        let own = attacker.view();
        assert!(finds(&ciphertext(&own), &own));
        // In one scope the second copy is found: the strategy can succeed.
        let database = attacker.open().unwrap();
        let name = Some(Name::new("again").unwrap());
        let request = PutRequest { name, ..PutRequest::default() };
        let session: &dyn Session = &database;
        let put = session.put(&request, &mut known.as_slice(), &Silent).unwrap();
        assert!(put.bytes_new < put.bytes_read);
    }
}
