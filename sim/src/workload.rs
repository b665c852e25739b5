//! Mixed operations over one store, drawn from a seed.

use std::sync::Arc;

use model::{Content, GroupId, Hlc, Meta, Name, ObjectId, Vertex};
use store::disk::Disk;
use store::sim_disk::SimDisk;
use store::sim_random::SimRandom;
use store::{SealedObject, Store, StoreError, StoreOptions};

use crate::material::{AUTHOR, Keys};
use crate::oracle::Oracle;

/// How large things get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Up to 8 KiB: images are cheap.
    Small,
    /// Chunks of up to 1 MiB, so that frames lie in several batches.
    Frames,
    /// Blocks fill up.
    Rollover,
}

/// What versions say about the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// It goes on.
    Steady,
    /// It stands still.
    Frozen,
    /// It goes back.
    Backwards,
    /// Ten years to and fro.
    Jumping,
}

/// A workload, wholly determined.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Of everything random.
    pub seed: u64,
    /// Operations.
    pub steps: usize,
    /// How large things get.
    pub size: Size,
    /// What versions say about the time.
    pub clock: Clock,
    /// Compare the living store with the oracle after that many steps; 0 for never.
    pub verify_every: usize,
    /// Begin with a closed store that already holds this many steps.
    pub ends_closed: bool,
}

impl Plan {
    /// One of the usual mix.
    pub fn draw(seed: u64) -> Self {
        let mut random = SimRandom::new(seed ^ 0x91a7);
        let size = match random.below(64) {
            0 => Size::Frames,
            _ => Size::Small,
        };
        let steps = match size {
            Size::Small => 40 + random.below(160),
            Size::Frames => 30,
            Size::Rollover => 60,
        };
        let clocks = [Clock::Steady, Clock::Frozen, Clock::Backwards, Clock::Jumping];
        let clock = clocks[random.below(4)];
        Self { seed, steps, size, clock, verify_every: 0, ends_closed: random.chance(3) }
    }
}

/// A store under a workload.
pub struct Subject {
    /// The disk below all others: it counts operations.
    pub sim: SimDisk,
    disk: Arc<dyn Disk>,
    /// Keys of the store.
    pub keys: Keys,
    /// Options of every open.
    pub options: StoreOptions,
    /// None when it could not be opened.
    pub store: Option<Store>,
    /// What was given.
    pub oracle: Oracle,
    random: SimRandom,
    plan: Plan,
    time: u64,
    opened: u64,
}

const NAMES: usize = 7;
const TEN_YEARS_NS: u64 = 315_360_000_000_000_000;

impl Subject {
    /// Without a store yet.
    pub fn new(sim: SimDisk, disk: Arc<dyn Disk>, plan: Plan, options: StoreOptions) -> Self {
        let random = SimRandom::new(plan.seed);
        let (keys, oracle) = (Keys::default(), Oracle::default());
        let time = 1_700_000_000_000_000_000;
        Self { sim, disk, keys, options, store: None, oracle, random, plan, time, opened: 0 }
    }

    /// Goes on with a store that was opened elsewhere.
    pub fn resumed(sim: SimDisk, store: Store, oracle: Oracle, plan: Plan) -> Self {
        let disk = Arc::new(sim.clone());
        let options = crate::material::inline();
        Self { store: Some(store), oracle, ..Self::new(sim, disk, plan, options) }
    }

    /// All steps; an error ends a step, never the workload, unless the store cannot be opened or
    /// takes nothing more.
    pub fn run(&mut self) -> Result<(), StoreError> {
        self.reopen()?;
        self.steps(self.plan.steps)?;
        if self.plan.ends_closed {
            self.close()?;
        }
        Ok(())
    }

    /// Some more steps. Ends early with [`StoreError::ReadOnly`].
    pub fn steps(&mut self, count: usize) -> Result<(), StoreError> {
        for number in 1..=count {
            match self.step() {
                Err(StoreError::ReadOnly) => return Err(StoreError::ReadOnly),
                Err(error) if self.store.is_none() => return Err(error),
                Ok(()) | Err(_) => {}
            }
            if self.plan.verify_every > 0 && number % self.plan.verify_every == 0 {
                self.compare();
            }
        }
        Ok(())
    }

    /// The living store shows exactly what was acknowledged.
    fn compare(&mut self) {
        self.sync().expect("a healthy disk syncs");
        let store = self.store.as_ref().expect("it is open");
        let expected = self.oracle.expected(u64::MAX);
        if let Err(problem) = crate::verify::verify(store, &self.keys, &self.oracle, &expected) {
            panic!("the living store: {problem}");
        }
    }

    fn now(&self) -> u64 {
        self.sim.operations()
    }

    /// Closes if it is open, and opens.
    pub fn reopen(&mut self) -> Result<(), StoreError> {
        if self.store.is_some() {
            self.close()?;
        }
        self.opened += 1;
        let seed = self.plan.seed.wrapping_add(self.opened << 48);
        self.store = Some(self.keys.open(Arc::clone(&self.disk), seed, self.options)?);
        Ok(())
    }

    /// Closes; everything taken is acknowledged when that works.
    pub fn close(&mut self) -> Result<(), StoreError> {
        let Some(store) = self.store.take() else { return Ok(()) };
        store.close()?;
        self.oracle.acked(self.now());
        Ok(())
    }

    /// Syncs everything taken.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        let store = self.store.as_ref().ok_or(StoreError::ReadOnly)?;
        store.sync(store.position())?;
        self.oracle.acked(self.now());
        Ok(())
    }

    /// A chunk and a version, acknowledged.
    pub fn put_and_sync(&mut self) -> Result<(), StoreError> {
        self.put_chunk()?;
        self.put_version()?;
        self.sync()
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let store = self.store.as_ref().ok_or(StoreError::ReadOnly)?;
        store.flush()?;
        self.oracle.acked(self.now());
        Ok(())
    }

    fn rebuild(&mut self) -> Result<(), StoreError> {
        let store = self.store.as_ref().ok_or(StoreError::ReadOnly)?;
        store.rebuild()?;
        self.oracle.acked(self.now());
        Ok(())
    }

    fn step(&mut self) -> Result<(), StoreError> {
        if self.plan.size == Size::Rollover {
            return match self.random.below(32) {
                0..12 => self.put_chunk(),
                12..20 => self.put_version(),
                20..22 => self.put_member(),
                22..24 => self.close_group(),
                24..31 => self.read_back(),
                _ => self.sync(),
            };
        }
        match self.random.below(100) {
            0..22 => self.put_chunk(),
            22..46 => self.put_version(),
            46..54 => self.put_bundle(),
            54..58 => self.put_member(),
            58..62 => self.close_group(),
            62..80 => self.sync(),
            80..88 => self.read_back(),
            88..90 => self.remember(),
            90 => self.rebuild(),
            91..96 => self.flush(),
            _ => self.reopen(),
        }
    }

    fn len(&mut self) -> usize {
        let random = &mut self.random;
        match (self.plan.size, random.below(16)) {
            (Size::Small, 0) => 20_000 + random.below(60_000),
            (Size::Small, 1..4) | (Size::Frames, 0..4) => 4096 + random.below(4096),
            (Size::Small, _) => 1 + random.below(700),
            (Size::Frames, 4..10) => 300_000 + random.below(700_000),
            (Size::Frames, _) => 1 << 20,
            (Size::Rollover, _) => (1 << 20) - random.below(300),
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; self.len()];
        self.random.fill(&mut bytes);
        if self.random.chance(2) {
            let len = bytes.len();
            bytes[len / 2..].fill(7);
        }
        bytes
    }

    fn put_chunk(&mut self) -> Result<(), StoreError> {
        let again = self.random.below(12) == 0;
        let drawn = self.random.bits();
        let bytes = self.bytes();
        let old = self.oracle.given.iter().filter(|given| given.vertex.is_none());
        let old: Vec<_> = old.map(|given| Arc::clone(&given.plain)).collect();
        let at = SimRandom::new(drawn).below(old.len());
        let bytes = old.get(at).filter(|_| again).map_or(bytes, |old| old.to_vec());
        let id: ObjectId = self.keys.chunk_entry(&bytes).hash.into();
        self.oracle.begin(id, &bytes, None, self.now());
        let store = self.store.as_ref().ok_or(StoreError::ReadOnly)?;
        let object = self.keys.chunk(store, &bytes)?;
        self.append(vec![object], &[id])
    }

    fn append(&mut self, objects: Vec<SealedObject>, ids: &[ObjectId]) -> Result<(), StoreError> {
        let store = self.store.as_ref().ok_or(StoreError::ReadOnly)?;
        store.append(objects)?;
        self.oracle.taken(ids);
        Ok(())
    }

    fn tick(&mut self) -> Hlc {
        let step = 1 + self.random.bits() % 1_000_000;
        self.time = match self.plan.clock {
            Clock::Steady => self.time + step,
            Clock::Frozen => self.time,
            Clock::Backwards => self.time - step,
            Clock::Jumping if self.random.chance(4) => self.time.saturating_add(TEN_YEARS_NS),
            Clock::Jumping => self.time.saturating_sub(TEN_YEARS_NS),
        };
        Hlc(self.time)
    }

    /// A version after some of the last ones.
    fn draw_vertex(&mut self, group: GroupId, closes: GroupId) -> Vertex {
        let hlc = self.tick();
        let name = self.random.below(NAMES + 1);
        let name = (name < NAMES).then(|| Name::new(format!("n/{name}")).expect("a sane name"));
        let taken = self.oracle.given.iter().rev().filter(|given| given.is_taken);
        let recent: Vec<_> = taken.filter_map(|given| given.vertex.clone()).take(12).collect();
        let mut parents = Vec::new();
        let mut depth = 0;
        for _ in 0..self.random.below(3) {
            if let Some(parent) = recent.get(self.random.below(recent.len())) {
                parents.push(parent.hash());
                depth = depth.max(parent.depth + 1);
            }
        }
        parents.sort_unstable();
        parents.dedup();
        let chunks = self.oracle.chunks();
        let content = if self.random.chance(3) && !chunks.is_empty() {
            let count = 1 + self.random.below(3);
            let entries = (0..count).map(|_| chunks[self.random.below(chunks.len())]).collect();
            Content::Chunks { generation: self.keys.epoch.generation(), entries }
        } else {
            let mut bytes = vec![0; self.random.below(600)];
            self.random.fill(&mut bytes);
            Content::Inline(bytes)
        };
        let mut blind = [0; 16];
        self.random.fill(&mut blind);
        let author = AUTHOR;
        let meta = Meta::default();
        Vertex { blind, parents, depth, name, hlc, author, group, closes, content, meta }
    }

    fn give(&mut self, vertices: &[Vertex]) -> Vec<ObjectId> {
        let now = self.now();
        let mut ids = Vec::new();
        for vertex in vertices {
            let id = vertex.hash().into();
            self.oracle.begin(id, &vertex.encode(), Some(vertex), now);
            ids.push(id);
        }
        ids
    }

    fn put_vertex(&mut self, vertex: &Vertex) -> Result<(), StoreError> {
        let ids = self.give(std::slice::from_ref(vertex));
        let store = self.store.as_ref().ok_or(StoreError::ReadOnly)?;
        let object = self.keys.vertex(store, vertex)?;
        self.append(vec![object], &ids)
    }

    fn put_version(&mut self) -> Result<(), StoreError> {
        let vertex = self.draw_vertex(GroupId::NONE, GroupId::NONE);
        self.put_vertex(&vertex)
    }

    fn put_bundle(&mut self) -> Result<(), StoreError> {
        let count = 2 + self.random.below(8);
        let vertices: Vec<_> =
            (0..count).map(|_| self.draw_vertex(GroupId::NONE, GroupId::NONE)).collect();
        let ids = self.give(&vertices);
        let store = self.store.as_ref().ok_or(StoreError::ReadOnly)?;
        let object = self.keys.bundle(store, &vertices)?;
        self.append(vec![object], &ids)
    }

    fn put_member(&mut self) -> Result<(), StoreError> {
        let drawn = self.random.bits();
        let open = self.oracle.open_groups();
        let group = match open.get(SimRandom::new(drawn).below(3)) {
            Some(group) => *group,
            None => self.oracle.new_group(),
        };
        let vertices: Vec<_> =
            (0..1 + self.random.below(3)).map(|_| self.draw_vertex(group, GroupId::NONE)).collect();
        if self.random.chance(4) {
            let ids = self.give(&vertices);
            let store = self.store.as_ref().ok_or(StoreError::ReadOnly)?;
            let object = self.keys.bundle(store, &vertices)?;
            return self.append(vec![object], &ids);
        }
        vertices.iter().try_for_each(|vertex| self.put_vertex(vertex))
    }

    /// Only a group whose members were all taken is closed: who puts them stops at an error.
    fn close_group(&mut self) -> Result<(), StoreError> {
        let oracle = &self.oracle;
        let is_whole = |group: &GroupId| {
            let members = oracle.groups[group].iter();
            members.filter_map(|id| oracle.position(id)).all(|at| oracle.given[at].is_taken)
        };
        let open: Vec<_> = oracle.open_groups().into_iter().filter(is_whole).collect();
        let Some(group) = open.first() else { return self.sync() };
        let vertex = self.draw_vertex(GroupId::NONE, *group);
        self.put_vertex(&vertex)
    }

    /// Reads something, most likely what is not synced yet: that writes a batch early.
    fn read_back(&mut self) -> Result<(), StoreError> {
        let back = self.random.below(4) * self.random.below(20);
        let store = self.store.as_ref().ok_or(StoreError::ReadOnly)?;
        let mut taken = self.oracle.given.iter().rev().filter(|given| given.is_taken);
        let Some(given) = taken.nth(back) else { return Ok(()) };
        let plain = crate::material::Reading::new(store, &self.keys).plain(&given.id)?;
        if given.acked_at.is_some() {
            assert!(plain.is_some(), "what was acknowledged cannot be read: {:?}", given.id);
        }
        assert!(plain.is_none_or(|plain| *plain == *given.plain), "wrong bytes: {:?}", given.id);
        Ok(())
    }

    fn remember(&mut self) -> Result<(), StoreError> {
        let key = vec![b'k', self.random.bits().to_le_bytes()[0] % 5];
        let value = self.random.bits().to_le_bytes().to_vec();
        let store = self.store.as_ref().ok_or(StoreError::ReadOnly)?;
        self.oracle.remembered.entry(key.clone()).or_default().push(value.clone());
        store.remember(&[(key, value)]);
        Ok(())
    }
}
