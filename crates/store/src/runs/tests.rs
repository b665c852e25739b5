//! The runs as a whole, on a simulated disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crypt::SeededRandom;
use model::hash::HashKey;

use super::*;
use crate::disk::{Access, Caching};
use crate::sim_disk::{ImageKind, SimDisk};
use crate::sim_random::SimRandom;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;
type Change = BTreeMap<Vec<u8>, Option<Vec<u8>>>;
type Named = (u64, ManifestRoot);

const OPTIONS: RunsOptions = RunsOptions { cache_bytes: 1 << 20 };

fn local() -> HashKey {
    HashKey::new([9; 32])
}

fn empty(disk: &SimDisk) -> Runs {
    Runs::empty(Arc::new(disk.clone()), "index", local(), OPTIONS)
}

fn open(disk: &SimDisk, named: Named) -> Result<(Runs, Vec<u8>), RunsError> {
    Runs::open(Arc::new(disk.clone()), "index", local(), OPTIONS, named)
}

fn checkpoint(runs: &Runs, change: &Change, random: &SeededRandom) -> Result<Named, RunsError> {
    let sorted = change.iter().map(|(key, value)| (key.as_slice(), value.as_deref()));
    runs.checkpoint(sorted, b"meta", random)
}

fn apply(model: &mut Model, change: &Change) {
    for (key, value) in change {
        match value {
            Some(value) => model.insert(key.clone(), value.clone()),
            None => model.remove(key),
        };
    }
}

/// A key of a kind the index holds: a hash, an id pair behind a tag, or a name of any length.
fn key(random: &mut SimRandom, range: usize) -> Vec<u8> {
    let id = |n: usize| model::hash::hash("test", &[&n.to_le_bytes()]);
    let n = random.below(range);
    match random.below(4) {
        0 => [&[1], &id(n)[..]].concat(),
        1 => [&[2], &id(n % 7)[..], &id(n)].concat(),
        2 => [&[2], &id(n % 7)[..]].concat(),
        _ => vec![b'n'; n % (KEY_LEN_MAX + 1)],
    }
}

fn change(random: &mut SimRandom, entries: usize, range: usize) -> Change {
    (0..entries)
        .map(|_| {
            let len = if random.below(50) == 0 { random.below(20_000) } else { random.below(40) };
            let value = vec![random.bits().to_le_bytes()[0]; len];
            (key(random, range), (random.below(4) > 0).then_some(value))
        })
        .collect()
}

fn assert_equals(runs: &Runs, model: &Model, random: &mut SimRandom) {
    let all: Model = runs.scan(b"", b"").unwrap().map(Result::unwrap).collect();
    assert!(all == *model, "scan: {} entries, model: {}", all.len(), model.len());
    for (key, value) in model.iter().step_by(7) {
        assert_eq!(runs.lookup(key).unwrap().as_ref(), Some(value));
    }
    for _ in 0..50 {
        let (from, prefix) = (key(random, 5000), key(random, 5000));
        assert_eq!(runs.lookup(&from).unwrap().as_ref(), model.get(&from));
        let prefix = &prefix[..random.below(prefix.len() + 1)];
        let scanned: Vec<_> = runs.scan(&from, prefix).unwrap().map(Result::unwrap).collect();
        let expected: Vec<_> = model
            .range(from.clone()..)
            .filter(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        assert!(scanned == expected, "from {from:?} prefix {prefix:?}");
    }
    runs.check().unwrap();
}

#[test]
fn behaves_like_a_map_through_checkpoints_merges_and_reopening() {
    for seed in 0..6 {
        let disk = SimDisk::new(seed);
        let (mut random, secrets) = (SimRandom::new(seed), SeededRandom::new(seed));
        let (mut runs, mut model) = (empty(&disk), Model::new());
        let mut named = None;
        for _ in 0..40 {
            let entries = [0, 1, 30, 2000][random.below(4)];
            let change = change(&mut random, entries, 5000);
            named = Some(checkpoint(&runs, &change, &secrets).unwrap());
            apply(&mut model, &change);
            if random.below(3) > 0 {
                named = runs.merge(&secrets).unwrap().or(named);
            }
            if random.below(3) == 0 {
                runs.retire(runs.generation()).unwrap();
            }
            if random.below(3) == 0 {
                let (opened, meta) = open(&disk, named.unwrap()).unwrap();
                assert_eq!(meta, b"meta");
                runs = opened;
            }
            if random.below(3) == 0 {
                assert_equals(&runs, &model, &mut random);
            }
        }
        assert_equals(&open(&disk, named.unwrap()).unwrap().0, &model, &mut random);
    }
}

#[test]
fn a_scan_keeps_its_snapshot_and_raw_scans_show_deletions() {
    let (disk, random) = (SimDisk::new(1), SeededRandom::new(1));
    let runs = empty(&disk);
    let first: Change = (0..500u32).map(|n| (n.to_be_bytes().to_vec(), Some(vec![1]))).collect();
    let gone: Change = first.keys().map(|key| (key.clone(), None)).collect();
    checkpoint(&runs, &first, &random).unwrap();
    let scan = runs.scan(b"", b"").unwrap();
    let (generation, _) = checkpoint(&runs, &gone, &random).unwrap();
    runs.retire(generation).unwrap();
    assert_eq!(scan.map(Result::unwrap).count(), 500);
    assert_eq!(runs.scan(b"", b"").unwrap().count(), 0);
    let raw: Vec<_> = runs.scan_raw(b"", b"").unwrap().map(Result::unwrap).collect();
    assert!(raw.len() == 500 && raw.iter().all(|(_, value)| value.is_none()));
}

#[test]
fn merging_everything_drops_deletions_and_retiring_frees_the_disk() {
    let (disk, random) = (SimDisk::new(1), SeededRandom::new(1));
    let runs = empty(&disk);
    for step in 0..8u32 {
        let value = (step < 7).then(|| vec![1; 10]);
        let change = (0..1000u32).map(|n| (n.to_be_bytes().to_vec(), value.clone())).collect();
        assert!(!runs.merge_due());
        checkpoint(&runs, &change, &random).unwrap();
    }
    assert!(runs.merge_due());
    assert_eq!((runs.run_count(), runs.entries()), (8, 8000));
    let (generation, root) = runs.merge(&random).unwrap().unwrap();
    assert_eq!((runs.run_count(), runs.entries(), runs.bytes_on_disk()), (0, 0, 0));
    assert!(disk.list("index").unwrap().len() > 8, "removed before the superblock names the merge");
    runs.retire(generation).unwrap();
    assert_eq!(disk.list("index").unwrap().len(), 1);
    assert_eq!(open(&disk, (generation, root)).unwrap().1, b"meta");
    assert!(matches!(runs.retire(generation + 1), Err(RunsError::UnknownGeneration { .. })));
    assert!(runs.merge(&random).unwrap().is_none());
}

#[test]
fn a_merge_above_older_runs_keeps_deletions() {
    let (disk, random) = (SimDisk::new(1), SeededRandom::new(1));
    let runs = empty(&disk);
    let old: Change = (0..20_000u32).map(|n| (n.to_be_bytes().to_vec(), Some(vec![1]))).collect();
    checkpoint(&runs, &old, &random).unwrap();
    for n in 0..8u32 {
        let change: Change = [(n.to_be_bytes().to_vec(), None)].into();
        checkpoint(&runs, &change, &random).unwrap();
    }
    let named = runs.merge(&random).unwrap().unwrap();
    assert_eq!(runs.run_count(), 2);
    for runs in [runs, open(&disk, named).unwrap().0] {
        assert_eq!(runs.scan(b"", b"").unwrap().count(), 19_992);
        assert_eq!(runs.lookup(&7u32.to_be_bytes()).unwrap(), None);
    }
}

#[test]
fn retiring_spares_a_run_that_is_being_written() {
    let (disk, random) = (SimDisk::new(1), SeededRandom::new(1));
    let runs = empty(&disk);
    let (key, value): (&[u8], Option<&[u8]>) = (b"key", Some(b"value"));
    checkpoint(&runs, &Change::new(), &random).unwrap();
    let entries = [(key, value)].into_iter().inspect(|_| {
        runs.retire(runs.generation()).unwrap();
        assert!(files(&disk).iter().any(|path| path.ends_with(".tmp")));
    });
    runs.checkpoint(entries, b"", &random).unwrap();
    assert_eq!(runs.lookup(key).unwrap().as_deref(), value);
}

#[test]
fn limits_hold_at_the_limit_and_one_past_it() {
    let (disk, random) = (SimDisk::new(1), SeededRandom::new(1));
    let runs = empty(&disk);
    let put = |key: usize, value: usize, meta: usize| {
        let (key, value) = (vec![1; key], vec![2; value]);
        let entry = [(key.as_slice(), Some(value.as_slice()))];
        runs.checkpoint(entry.into_iter(), &vec![0; meta], &random)
    };
    put(KEY_LEN_MAX, VALUE_LEN_MAX, META_LEN_MAX).unwrap();
    let generation = runs.generation();
    assert_eq!(runs.lookup(&[1; KEY_LEN_MAX]).unwrap(), Some(vec![2; VALUE_LEN_MAX]));
    assert_eq!(runs.lookup(&[1; KEY_LEN_MAX + 1]).unwrap(), None);
    for (key, value, meta) in
        [(KEY_LEN_MAX + 1, 0, 0), (0, VALUE_LEN_MAX + 1, 0), (0, 0, META_LEN_MAX + 1)]
    {
        assert!(matches!(put(key, value, meta), Err(RunsError::TooLong { .. })));
    }
    let unsorted: [(&[u8], Option<&[u8]>); 2] = [(b"b", None), (b"b", None)];
    let refused = runs.checkpoint(unsorted.into_iter(), b"", &random);
    assert!(matches!(refused, Err(RunsError::Unsorted)));
    assert_eq!(runs.generation(), generation);
    assert_eq!(disk.list("index").unwrap().len(), 2, "a refused checkpoint leaves no file");
}

/// Separators as long as keys: branches of several slots, many levels.
#[test]
fn long_keys_that_differ_at_the_end_are_found() {
    let (disk, random) = (SimDisk::new(1), SeededRandom::new(1));
    let runs = empty(&disk);
    let key = |n: u32| [&[7; KEY_LEN_MAX - 4][..], &n.to_be_bytes()].concat();
    let change: Change = (0..300).map(|n| (key(n), Some(vec![1; 3000]))).collect();
    checkpoint(&runs, &change, &random).unwrap();
    for n in 0..300 {
        assert!(runs.lookup(&key(n)).unwrap().is_some(), "{n}");
    }
    assert_eq!(runs.lookup(&key(300)).unwrap(), None);
    assert_eq!(runs.check().unwrap(), 300);
}

/// A prefix whose entries begin exactly where a filter page begins must still be found.
#[test]
fn filters_know_every_prefix_across_their_pages() {
    const PARENTS: u32 = 20_000;
    let (disk, random) = (SimDisk::new(1), SeededRandom::new(1));
    let runs = empty(&disk);
    let id = |n: u32| model::hash::hash("parent", &[&n.to_le_bytes()]);
    // Mostly 3 hashes a parent, which divide a page: many pages begin with a first child.
    let children = |n: u32| if n.is_multiple_of(1000) { 2000 } else { 2 };
    let change: Change = (0..PARENTS)
        .flat_map(|n| {
            (0..children(n)).map(move |child: u32| {
                ([&[3], &id(n)[..], &child.to_be_bytes()].concat(), Some(vec![]))
            })
        })
        .collect();
    checkpoint(&runs, &change, &random).unwrap();
    let mut wrong = 0;
    for n in 0..PARENTS {
        let prefix = [&[3], &id(n)[..]].concat();
        assert!(runs.may_contain_prefix33(&prefix).unwrap(), "{n}");
        let count = runs.scan(b"", &prefix).unwrap().count();
        assert_eq!(u32::try_from(count), Ok(children(n)));
        let stranger = [&[4], &id(n)[..]].concat();
        wrong += u32::from(runs.may_contain_prefix33(&stranger).unwrap());
    }
    assert!(wrong < PARENTS / 20, "{wrong} strangers pass");
}

/// Opens and reads everything that is to be read. The answer is right or an error that names a file.
fn reads_right_or_refuses(disk: &SimDisk, named: Named, model: &Model) -> bool {
    let read = || -> Result<(), RunsError> {
        let (runs, _) = open(disk, named)?;
        for (key, value) in model {
            assert_eq!(runs.lookup(key)?.as_ref(), Some(value));
        }
        let all = runs.scan(b"", b"")?.collect::<Result<Model, _>>()?;
        assert!(all == *model);
        runs.check()?;
        Ok(())
    };
    match read() {
        Ok(()) => true,
        Err(RunsError::Corrupt { file } | RunsError::Missing { file }) => {
            assert!(file.starts_with("index/"));
            false
        }
        Err(error) => panic!("{error}"),
    }
}

fn small_index(seed: u64) -> (SimDisk, Named, Model, Vec<Named>) {
    let (disk, secrets) = (SimDisk::new(seed), SeededRandom::new(seed));
    let (runs, mut model, mut older) = (empty(&disk), Model::new(), Vec::new());
    for step in 0..2u64 {
        let mut random = SimRandom::new(seed * 10 + step);
        let change: Change =
            (0..200).map(|_| (key(&mut random, 2000), Some(vec![5; 20]))).collect();
        older.push(checkpoint(&runs, &change, &secrets).unwrap());
        apply(&mut model, &change);
    }
    let named = older.pop().unwrap();
    (disk, named, model, older)
}

fn overwrite(disk: &SimDisk, path: &str, bytes: &[u8]) {
    let file = disk.open(path, Access::Update, Caching::Buffered).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    file.write_at(0, bytes).unwrap();
}

fn content(disk: &SimDisk, path: &str) -> Vec<u8> {
    let file = disk.open(path, Access::Read, Caching::Buffered).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

fn files(disk: &SimDisk) -> Vec<String> {
    disk.list("index").unwrap().iter().map(|entry| format!("index/{}", entry.name)).collect()
}

#[test]
fn every_damaged_file_is_named_and_never_believed() {
    let (disk, named, model, older) = small_index(1);
    open(&disk, named).unwrap().0.retire(named.0).unwrap();
    assert!(reads_right_or_refuses(&disk, named, &model));
    let mut random = SimRandom::new(3);
    assert_eq!(files(&disk).len(), 3);
    for path in files(&disk) {
        let bytes = content(&disk, &path);
        let step = if path.contains("manifest") { 1 } else { 97 };
        for at in (0..bytes.len()).step_by(step) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << random.below(8);
            overwrite(&disk, &path, &flipped);
            assert!(!reads_right_or_refuses(&disk, named, &model), "flip of {path} at {at}");
        }
        for len in (0..bytes.len()).step_by(509).chain([bytes.len() - 1]) {
            overwrite(&disk, &path, &bytes[..len]);
            assert!(!reads_right_or_refuses(&disk, named, &model), "{path} cut to {len}");
        }
        overwrite(&disk, &path, &[bytes.as_slice(), &[0; SLOT]].concat());
        assert!(!reads_right_or_refuses(&disk, named, &model), "{path} with more at its end");
        disk.remove(&path).unwrap();
        let missing = open(&disk, named).err();
        assert!(matches!(missing, Some(RunsError::Missing { file }) if file == path));
        drop(disk.open(&path, Access::Create, Caching::Buffered).unwrap());
        overwrite(&disk, &path, &bytes);
        assert!(reads_right_or_refuses(&disk, named, &model));
    }
    assert!(open(&disk, older[0]).is_err(), "a retired generation");
}

const SLOT: usize = 4096;

#[test]
fn swapped_and_older_files_are_refused() {
    let (disk, named, model, older) = small_index(2);
    let (runs, manifests): (Vec<_>, Vec<_>) =
        files(&disk).into_iter().partition(|path| path.contains("run-"));
    let [a, b] = [&runs[0], &runs[1]];
    let [bytes_a, bytes_b] = [content(&disk, a), content(&disk, b)];
    overwrite(&disk, a, &bytes_b);
    overwrite(&disk, b, &bytes_a);
    assert!(!reads_right_or_refuses(&disk, named, &model), "swapped runs");
    // Bodies swapped behind the right headers.
    let len = bytes_a.len().min(bytes_b.len());
    overwrite(&disk, a, &[&bytes_a[..SLOT], &bytes_b[SLOT..len], &bytes_a[len..]].concat());
    overwrite(&disk, b, &bytes_b);
    assert!(!reads_right_or_refuses(&disk, named, &model), "swapped pages");
    overwrite(&disk, a, &bytes_a);
    // Two pages of one run exchanged.
    let mut exchanged = bytes_a.clone();
    let (head, tail) = exchanged.split_at_mut(2 * SLOT);
    head[SLOT..].swap_with_slice(&mut tail[..SLOT]);
    overwrite(&disk, a, &exchanged);
    assert!(!reads_right_or_refuses(&disk, named, &model), "exchanged pages");
    overwrite(&disk, a, &bytes_a);
    assert!(reads_right_or_refuses(&disk, named, &model));
    // The older manifest under the name of the newer one.
    let newest = manifests.iter().max().unwrap();
    let oldest = manifests.iter().min().unwrap();
    overwrite(&disk, newest, &content(&disk, oldest));
    assert!(!reads_right_or_refuses(&disk, named, &model), "older manifest");
    assert!(open(&disk, (named.0, older[0].1)).is_err());
    let stranger = HashKey::new([8; 32]);
    let disk: Arc<dyn Disk> = Arc::new(disk);
    assert!(Runs::open(disk, "index", stranger, OPTIONS, older[0]).is_err());
}

/// Checkpoints, merges and retires until the disk dies; returns what a superblock may name then.
fn work(disk: &SimDisk, seed: u64) -> Vec<(Option<Named>, Model)> {
    let (mut random, secrets) = (SimRandom::new(seed), SeededRandom::new(seed));
    let (runs, mut model) = (empty(disk), Model::new());
    let mut alive = vec![(None, model.clone())];
    for _ in 0..10 {
        let change = change(&mut random, 20, 200);
        let Ok(named) = checkpoint(&runs, &change, &secrets) else { return alive };
        apply(&mut model, &change);
        alive.push((Some(named), model.clone()));
        let Ok(merged) = runs.merge(&secrets) else { return alive };
        if let Some(named) = merged {
            alive.push((Some(named), model.clone()));
        }
        if random.below(2) == 0 {
            // The superblock is durable: older generations are over, even if retiring fails.
            alive = alive.split_off(alive.len() - 1);
            if runs.retire(runs.generation()).is_err() {
                return alive;
            }
        }
    }
    alive
}

#[test]
fn a_crash_anywhere_leaves_every_generation_that_is_not_retired() {
    let whole = SimDisk::new(1);
    work(&whole, 1);
    let operations = whole.operations();
    assert!(operations > 100);
    for operation in 1..=operations {
        let disk = SimDisk::new(1);
        disk.crash_after(operation);
        let alive = work(&disk, 1);
        for kind in ImageKind::MACHINE.into_iter().chain([ImageKind::Process]) {
            let image = disk.crash(kind, operation);
            for (named, model) in &alive {
                let Some(named) = named else { continue };
                let opened = reads_right_or_refuses(&image, *named, model);
                assert!(opened, "crash at {operation}, {kind:?}, generation {}", named.0);
            }
            let Some((Some(named), model)) = alive.last() else { continue };
            goes_on(&image, *named, model);
        }
    }
}

/// After a crash the next checkpoint works, and retiring removes what the crash left.
fn goes_on(disk: &SimDisk, named: Named, model: &Model) {
    let (runs, _) = open(disk, named).unwrap();
    let change: Change = [(b"new".to_vec(), Some(vec![1]))].into();
    let named = checkpoint(&runs, &change, &SeededRandom::new(99)).unwrap();
    runs.retire(named.0).unwrap();
    assert_eq!(files(disk).len(), runs.run_count() + 1);
    let mut model = model.clone();
    apply(&mut model, &change);
    assert!(reads_right_or_refuses(disk, named, &model));
}

#[test]
fn reads_go_on_while_generations_come_and_go() {
    let (disk, random) = (SimDisk::new(1), SeededRandom::new(1));
    let runs = empty(&disk);
    let all = |value: u8| -> Change {
        (0..300u32).map(|n| (n.to_be_bytes().to_vec(), Some(vec![value]))).collect()
    };
    checkpoint(&runs, &all(0), &random).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut last = 0;
            while !done.load(Ordering::Relaxed) {
                let values: Vec<_> =
                    runs.scan(b"", b"").unwrap().map(|entry| entry.unwrap().1[0]).collect();
                assert!(values.len() == 300 && values.iter().all(|value| *value == values[0]));
                assert!(values[0] >= last, "went back from {last} to {}", values[0]);
                last = values[0];
                assert!(runs.lookup(&7u32.to_be_bytes()).unwrap().unwrap()[0] >= last);
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) || runs.merge_due() {
                if runs.merge(&random).unwrap().is_none() {
                    std::thread::yield_now();
                }
            }
        });
        let published = (1..=60).try_for_each(|value| {
            let (generation, _) = checkpoint(&runs, &all(value), &random)?;
            runs.retire(generation)
        });
        done.store(true, Ordering::Relaxed);
        published.unwrap();
    });
    assert!(runs.run_count() < 20, "{} runs", runs.run_count());
}

#[expect(clippy::disallowed_methods, reason = "measures")]
fn now() -> Instant {
    Instant::now()
}

/// `cargo test --release -p ouroboros-store --lib runs::tests::figures -- --ignored --nocapture`
#[test]
#[ignore = "prints figures; meant for a release build"]
fn figures() {
    const ENTRIES: u32 = 2_000_000;
    let (disk, random) = (SimDisk::new(1), SeededRandom::new(1));
    let options = RunsOptions { cache_bytes: 256 << 20 };
    let runs = Runs::empty(Arc::new(disk.clone()), "index", local(), options);
    let hashed = |n: u32| [&[1], &model::hash::hash("k", &[&n.to_le_bytes()])[..]].concat();
    let mut keys: Vec<_> = (0..ENTRIES).map(hashed).collect();
    keys.sort_unstable();
    let start = now();
    let sorted = keys.iter().map(|key| (key.as_slice(), Some(&[6u8; 20][..])));
    let named = runs.checkpoint(sorted, b"meta", &random).unwrap();
    let rate = f64::from(ENTRIES) / start.elapsed().as_secs_f64();
    let bytes = runs.bytes_on_disk();
    println!("checkpoint: {rate:.0} entries/s, {} B per 53 B entry", bytes / u64::from(ENTRIES));
    let start = now();
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let (runs, _) = Runs::open(disk, "index", local(), options, named).unwrap();
    println!("open: {:?}", start.elapsed());
    for (what, first) in [("hit", 0), ("miss", ENTRIES)] {
        let probes: Vec<_> = (0..500_000).map(|n| hashed(first + n * 3 % ENTRIES)).collect();
        for turn in ["cold", "warm"] {
            let start = now();
            let found = probes.iter().filter(|key| runs.lookup(key).unwrap().is_some()).count();
            let each = start.elapsed() / u32::try_from(probes.len()).unwrap();
            println!("{what} {turn}: {each:?}, {found} found");
        }
    }
    let start = now();
    let count = runs.scan(b"", b"").unwrap().count();
    println!("scan: {:.0} entries/s", f64::from(ENTRIES) / start.elapsed().as_secs_f64());
    println!("{count} entries, {:?}", runs.cache_figures());
}
