//! What each stage of the path costs by itself, on one core, in this run.

use std::hint::black_box;
use std::sync::Arc;

use crypt::{CompressionPolicy, EpochKeys, EpochSecret, ObjectKind, Opener, Sealer};
use model::hash::cell;
use model::limit::{CELL_LEN, CHUNK_LEN_MAX};
use model::{BlockNonce, Chunker, EpochId, ScopeId};
use store::aligned::AlignedBuf;
use store::disk::{Access, Caching, Disk};

use super::clock::{Spent, timed};
use super::data::{FileReader, Noise};
use super::lab::Lab;
use super::row::Row;
use super::{disk_failed, mb};
use crate::failure::Failure;

/// The stages, in MB per CPU-s.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stages {
    pub(crate) read: f64,
    pub(crate) cut: f64,
    pub(crate) id: f64,
    pub(crate) probe: f64,
    pub(crate) seal: f64,
    pub(crate) copy: f64,
    pub(crate) cells: f64,
    pub(crate) write_direct: f64,
    pub(crate) write_buffered: f64,
    /// By the clock, MB/s.
    pub(crate) disk: f64,
    pub(crate) unseal: f64,
    pub(crate) zstd: f64,
    pub(crate) unzstd: f64,
}

/// One stage: its name and the field it is kept in.
type Named = (&'static str, fn(&mut Stages) -> &mut f64);

/// The one stage that is measured by the clock.
const DISK: &str = "disk, 16 MiB + fdatasync, O_DIRECT";

const STAGES: [Named; 13] = [
    (DISK, |stages| &mut stages.disk),
    ("read a file from the page cache", |stages| &mut stages.read),
    ("cut (FastCDC, average 256 KiB)", |stages| &mut stages.cut),
    ("id (BLAKE3 keyed)", |stages| &mut stages.id),
    ("look whether it compresses, random", |stages| &mut stages.probe),
    ("seal (AES-256-GCM, copy included)", |stages| &mut stages.seal),
    ("copy, 1 MiB pieces", |stages| &mut stages.copy),
    ("cell hashes (BLAKE3, 64 KiB)", |stages| &mut stages.cells),
    ("write 16 MiB + fdatasync, O_DIRECT", |stages| &mut stages.write_direct),
    ("write 16 MiB + fdatasync, buffered", |stages| &mut stages.write_buffered),
    ("unseal (AES-256-GCM and id)", |stages| &mut stages.unseal),
    ("seal text (zstd 1 included)", |stages| &mut stages.zstd),
    ("unseal text (zstd included)", |stages| &mut stages.unzstd),
];

/// Bytes one pass of a stage works on.
const PASS_LEN: usize = 64 * 1024 * 1024;
/// Files of the raw writes.
const BLOCK_LEN: usize = 16 * 1024 * 1024;

impl Stages {
    /// Measures each stage `passes` times and keeps the median.
    pub(crate) fn measure(lab: &Lab<'_>, passes: usize) -> Result<Self, Failure> {
        let bench = StageBench::new(lab)?;
        let mut measured = Vec::new();
        for _ in 0..passes {
            lab.check()?;
            measured.push(bench.pass(lab)?);
        }
        Ok(Self::median(&measured))
    }

    /// The median of each stage.
    pub(crate) fn median(measured: &[Self]) -> Self {
        let mut median = Self::default();
        for (_, field) in STAGES {
            let figures = measured.iter().map(|stages| *field(&mut stages.clone()));
            *field(&mut median) = super::median(figures.collect());
        }
        median
    }

    /// A line for each.
    pub(crate) fn rows(mut self) -> Vec<Row> {
        let row = |(what, field): &Named| {
            let unit = if *what == DISK { "MB/s" } else { "MB/CPU-s" };
            Row::new("stage", *what, *field(&mut self), unit)
        };
        STAGES.iter().map(row).collect()
    }

    /// What ingesting random bytes could reach if nothing but these stages cost anything.
    pub(crate) fn ingest_ceiling(&self) -> f64 {
        serial(&[
            self.read,
            self.cut,
            self.id,
            self.probe,
            self.seal,
            self.copy,
            self.cells,
            self.write_direct,
        ])
    }
}

/// The rate of stages that one core does one after another.
pub(crate) fn serial(rates: &[f64]) -> f64 {
    1.0 / rates.iter().map(|rate| 1.0 / rate).sum::<f64>()
}

/// What the stages work on.
struct StageBench {
    keys: EpochKeys,
    chunker: Chunker,
    noise: Vec<u8>,
    text: Vec<u8>,
    disk: Arc<dyn Disk>,
}

impl StageBench {
    fn new(lab: &Lab<'_>) -> Result<Self, Failure> {
        let secret = EpochSecret::from_bytes([7; 32]);
        let epoch = EpochId::new([2; 32]);
        let keys = EpochKeys::new(ScopeId::new([1; 32]), epoch, epoch, &secret);
        let chunker = Chunker::new(keys.gear_table());
        let len = PASS_LEN.min(usize::try_from(lab.size).unwrap_or(PASS_LEN)).max(2 * BLOCK_LEN);
        let disk = lab.disk("stages")?;
        let noise = Noise::new(11).take_bytes(len);
        if disk.open(SOURCE, Access::Read, Caching::Buffered).is_err() {
            super::data::write_file(&*disk, SOURCE, noise.as_slice())?;
        }
        Ok(Self { keys, chunker, noise, text: super::text::text(lab, len)?, disk })
    }

    fn pass(&self, lab: &Lab<'_>) -> Result<Stages, Failure> {
        let noise = self.noise.as_slice();
        let cut = self.rate(|| self.chunks(noise).map(<[u8]>::len).sum());
        let id = self.rate(|| self.sum(|chunk| self.keys.chunk_hash(chunk).as_bytes().len()));
        let cells = self.rate(|| noise.chunks(CELL_LEN).map(|part| cell(part).len()).sum());
        let mut buffer = vec![0; CHUNK_LEN_MAX];
        let copy = self.rate(|| {
            for piece in noise.chunks(CHUNK_LEN_MAX) {
                buffer.split_at_mut(piece.len()).0.copy_from_slice(piece);
                black_box(&mut buffer);
            }
            buffer.len()
        });
        let (seal, frames) = self.seal(noise, CompressionPolicy::Off);
        let (seal_probed, _) = self.seal(noise, CompressionPolicy::Auto);
        let (zstd, text_frames) = self.seal(&self.text, CompressionPolicy::Auto);
        lab.check()?;
        let (write_direct, disk) = self.write(lab, Caching::Direct)?;
        Ok(Stages {
            disk,
            read: self.read()?,
            cut,
            id,
            // What the look adds; never negative, whatever the noise of the machine.
            probe: 1.0 / (1.0 / seal_probed - 1.0 / seal).max(1e-9),
            seal,
            copy,
            cells,
            write_direct,
            write_buffered: self.write(lab, Caching::Buffered)?.0,
            unseal: self.unseal(&frames),
            zstd,
            unzstd: self.unseal(&text_frames),
        })
    }

    fn chunks<'a>(&'a self, mut rest: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        std::iter::from_fn(move || {
            let (chunk, tail) = rest.split_at(self.chunker.cut(rest));
            rest = tail;
            (!chunk.is_empty()).then_some(chunk)
        })
    }

    /// Sums `work` over pieces of the average chunk's length.
    fn sum(&self, work: impl Fn(&[u8]) -> usize) -> usize {
        self.noise.chunks(model::limit::CHUNK_LEN_AVERAGE).map(work).sum()
    }

    /// MB per CPU-s of `work` over the noise.
    fn rate(&self, work: impl FnOnce() -> usize) -> f64 {
        let (result, spent) = timed(work);
        black_box(result);
        mb(self.noise.len() as u64) / spent.cpu_s
    }

    /// Seals pieces of the average chunk's length; the buffer of a frame is reused.
    fn seal(&self, bytes: &[u8], policy: CompressionPolicy) -> (f64, Vec<Vec<u8>>) {
        let mut sealer = Sealer::new(policy);
        let nonce = BlockNonce::new([9; 16]);
        let mut frames = Vec::new();
        let mut frame = Vec::new();
        let mut total = Spent::default();
        for piece in bytes.chunks(model::limit::CHUNK_LEN_AVERAGE) {
            let hash = self.keys.chunk_hash(piece).into();
            frame.clear();
            let sealed = timed(|| {
                self.keys.seal(ObjectKind::Chunk, hash, piece, &mut sealer, &nonce, &mut frame)
            });
            total.cpu_s += sealed.1.cpu_s;
            frames.push(frame.clone());
        }
        (mb(bytes.len() as u64) / total.cpu_s, frames)
    }

    fn unseal(&self, frames: &[Vec<u8>]) -> f64 {
        let mut opener = Opener::new();
        let (len, spent) = timed(|| {
            let plain = frames.iter().filter_map(|frame| self.keys.unseal(frame, &mut opener).ok());
            plain.map(|(_, plain)| black_box(plain).len() as u64).sum()
        });
        mb(len) / spent.cpu_s
    }

    fn read(&self) -> Result<f64, Failure> {
        let mut reader = FileReader::open(&*self.disk, SOURCE)?;
        let mut buffer = vec![0; super::data::PIECE_LEN];
        let (read, spent) = timed(|| {
            let mut total = 0;
            loop {
                match std::io::Read::read(&mut reader, &mut buffer) {
                    Ok(0) => return Ok(total),
                    Ok(len) => total += len as u64,
                    Err(error) => return Err(super::io_failed("reading", &error)),
                }
            }
        });
        Ok(mb(read?) / spent.cpu_s)
    }

    /// Writes new files of a block's length and makes each durable: MB per CPU-s, and MB/s.
    fn write(&self, lab: &Lab<'_>, caching: Caching) -> Result<(f64, f64), Failure> {
        let mut total = Spent::default();
        let mut written = 0;
        for block in self.noise.chunks_exact(BLOCK_LEN) {
            lab.check()?;
            let mut aligned = AlignedBuf::with_capacity(BLOCK_LEN);
            aligned.extend(block);
            let (result, spent) = timed(|| {
                let file = self.disk.open(BLOCK, Access::Create, caching)?;
                file.write_at(0, aligned.as_slice())?;
                file.sync()
            });
            result.map_err(disk_failed)?;
            self.disk.remove(BLOCK).map_err(disk_failed)?;
            total.cpu_s += spent.cpu_s;
            total.wall_s += spent.wall_s;
            written += block.len() as u64;
        }
        Ok((mb(written) / total.cpu_s, mb(written) / total.wall_s))
    }
}

const SOURCE: &str = "source";
const BLOCK: &str = "block";
