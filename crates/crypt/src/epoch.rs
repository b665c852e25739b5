use model::codec::{Reader, Writer};
use model::hash::hash;
use model::{BlockNonce, EpochId, FormatError, RecordId, ScopeId, UserId};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::endorsement::{ascending, read_ids, write_ids};
use crate::member_record::HEADS_MAX;
use crate::signature::read_suite;
use crate::{
    CompressionPolicy, CryptError, EpochKeys, EpochSecret, FRAME_OVERHEAD, HybridSignature,
    Identity, Membership, ObjectKind, Opener, Random, Rights, SUITE, Sealer, Wrap,
};

const NOUN: &str = "epoch record";
const LABEL: &str = "epoch";
/// Parents of one epoch at most.
const PARENTS_MAX: usize = 64;
/// Readers of one epoch at most: its record stays below 1 MiB.
const WRAPS_MAX: usize = 512;
/// The chunker with a gear table from the epoch's secret.
const CHUNKER_GEAR: u8 = 1;
const PREV_LEN: usize = 32 + FRAME_OVERHEAD;
/// A key history lies in no block.
const NO_BLOCK: BlockNonce = BlockNonce::new([0; 16]);

/// What an epoch is; its hash is the epoch's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochCore {
    /// The scope.
    pub scope: ScopeId,
    /// The heads of the membership log its readers follow from, ascending.
    pub membership_head: Vec<RecordId>,
    /// The epochs it follows, ascending.
    pub parents: Vec<EpochId>,
    /// [`EpochSecret::commitment`] of its secret.
    pub commitment: [u8; 32],
    /// How content is cut: 1 = gear table.
    pub chunker: u8,
    /// Who drew the secret.
    pub minter: UserId,
}

impl EpochCore {
    /// `H("epoch", core)`.
    pub fn epoch_id(&self) -> EpochId {
        EpochId::new(hash(LABEL, &[&self.encode()]))
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(SUITE).raw(self.scope.as_bytes());
        write_ids(self.membership_head.iter().map(RecordId::as_bytes), &mut out);
        write_ids(self.parents.iter().map(EpochId::as_bytes), &mut out);
        out.raw(&self.commitment).u8(self.chunker).raw(self.minter.as_bytes());
        out.finish()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        read_suite(reader)?;
        let scope = ScopeId::new(reader.array()?);
        let heads = read_ids(reader, NOUN, HEADS_MAX)?;
        let parents = read_ids(reader, NOUN, PARENTS_MAX)?;
        let commitment = reader.array()?;
        let chunker = reader.u8()?;
        if chunker != CHUNKER_GEAR {
            return Err(FormatError::Unknown { noun: "chunker", value: chunker.into() });
        }
        let minter = UserId::new(reader.array()?);
        let membership_head = heads.into_iter().map(RecordId::new).collect();
        let parents = parents.into_iter().map(EpochId::new).collect();
        Ok(Self { scope, membership_head, parents, commitment, chunker, minter })
    }
}

/// An epoch: its core, its secret wrapped for each reader, its parents' secrets under its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochRecord {
    core: EpochCore,
    /// One for each parent; none where the minter lacked the parent's secret.
    prev: Vec<Option<[u8; PREV_LEN]>>,
    wraps: Vec<Wrap>,
    signature: HybridSignature,
}

impl EpochRecord {
    /// Draws a new epoch for exactly the readers of `membership`, behind `parents`; the secret of a
    /// parent is `None` when the minter lacks it. The minter is a reader and writer.
    pub fn mint(
        identity: &Identity,
        membership: &Membership,
        parents: &[(EpochId, Option<&EpochSecret>)],
        random: &dyn Random,
    ) -> Result<(Self, EpochSecret), CryptError> {
        let minter = identity.user_id();
        if !membership.rights_of(minter).contain(Rights::READER.and(Rights::WRITER)) {
            return Err(CryptError::NotAuthorised { noun: NOUN });
        }
        let readers = membership.readers();
        limit(parents.len(), PARENTS_MAX)?;
        limit(membership.heads().len(), HEADS_MAX)?;
        limit(readers.len(), WRAPS_MAX)?;
        let mut parents = parents.to_vec();
        parents.sort_by_key(|(parent, _)| *parent);
        parents.dedup_by_key(|(parent, _)| *parent);
        let secret = EpochSecret::random(random);
        let core = EpochCore {
            scope: membership.scope(),
            membership_head: membership.heads().to_vec(),
            parents: parents.iter().map(|(parent, _)| *parent).collect(),
            commitment: secret.commitment(),
            chunker: CHUNKER_GEAR,
            minter,
        };
        let epoch = core.epoch_id();
        let keys = EpochKeys::new(core.scope, epoch, epoch, &secret);
        let seal = |(parent, held): &(EpochId, Option<&EpochSecret>)| {
            held.map(|held| seal_parent(&keys, *parent, held))
        };
        let prev = parents.iter().map(seal);
        let prev: Vec<_> = prev.collect();
        let wraps = readers
            .into_iter()
            .map(|reader| Wrap::of(core.scope, epoch, reader, &secret, random))
            .collect::<Result<Vec<_>, _>>()?;
        let signature = identity.sign(LABEL, &signed_body(epoch, &prev, &wraps));
        Ok((Self { core, prev, wraps, signature }, secret))
    }

    /// The core.
    pub const fn core(&self) -> &EpochCore {
        &self.core
    }

    /// The epoch's id.
    pub fn epoch_id(&self) -> EpochId {
        self.core.epoch_id()
    }

    /// Whom it is wrapped for, ascending.
    pub fn readers(&self) -> impl Iterator<Item = UserId> + '_ {
        self.wraps.iter().map(Wrap::reader)
    }

    /// Whether its minter may mint and wrapped it for exactly the readers, as `membership` says:
    /// the fold of the log up to the record's own `membership_head`.
    pub fn verify(&self, membership: &Membership) -> Result<(), CryptError> {
        let refused = CryptError::NotAuthorised { noun: NOUN };
        let core = &self.core;
        let same_log =
            core.scope == membership.scope() && core.membership_head == membership.heads();
        let may_mint =
            membership.rights_of(core.minter).contain(Rights::READER.and(Rights::WRITER));
        if !same_log || !may_mint {
            return Err(refused);
        }
        let minter = membership.public(core.minter).ok_or(refused)?;
        minter.verify(
            LABEL,
            &signed_body(self.epoch_id(), &self.prev, &self.wraps),
            &self.signature,
        )?;
        let readers = membership.readers();
        if !self.readers().eq(readers.into_iter().map(crate::PublicIdentity::user_id)) {
            return Err(refused);
        }
        Ok(())
    }

    /// The secret, after [`Self::verify`].
    pub fn open(
        &self,
        identity: &Identity,
        membership: &Membership,
    ) -> Result<EpochSecret, CryptError> {
        self.verify(membership)?;
        self.unwrap_verified(identity)
    }

    /// The secret, of a record that was verified.
    pub(crate) fn unwrap_verified(&self, identity: &Identity) -> Result<EpochSecret, CryptError> {
        let wrap = self
            .wraps
            .iter()
            .find(|wrap| wrap.reader() == identity.user_id())
            .ok_or(CryptError::NoKey { noun: NOUN })?;
        let secret = wrap.unwrap(self.core.scope, self.epoch_id(), identity)?;
        if !bool::from(secret.commitment().ct_eq(&self.core.commitment)) {
            return Err(CryptError::Unseal);
        }
        Ok(secret)
    }

    /// The secret of parent number `at`. Compare its commitment with the parent's record.
    pub fn parent_secret(
        &self,
        at: usize,
        secret: &EpochSecret,
    ) -> Result<EpochSecret, CryptError> {
        let missing = CryptError::NoKey { noun: "parent epoch" };
        let parent = self.core.parents.get(at).ok_or(missing)?;
        let sealed = self.prev.get(at).and_then(Option::as_ref).ok_or(missing)?;
        let epoch = self.epoch_id();
        let keys = EpochKeys::new(self.core.scope, epoch, epoch, secret);
        let (header, plain) = keys.unseal(sealed, &mut Opener::new())?;
        let plain = Zeroizing::new(plain);
        if header.kind != ObjectKind::KeyHistory || header.obj.as_bytes() != parent.as_bytes() {
            return Err(CryptError::Unseal);
        }
        let bytes = plain.as_slice().try_into().map_err(|_other_length| CryptError::Unseal)?;
        Ok(EpochSecret::from_bytes(bytes))
    }

    /// The encoding: core, key history, wraps, signature.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::over(self.core.encode());
        writer.raw(&encode_prev(&self.prev)).raw(&encode_wraps(&self.wraps));
        writer.raw(&self.signature.encode());
        writer.finish()
    }

    /// Reads an encoding; [`Self::verify`] tells whether it holds.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(NOUN, bytes);
        let core = EpochCore::read(&mut reader)?;
        let mut prev = Vec::new();
        for _ in &core.parents {
            prev.push(match reader.u8()? {
                0 => None,
                1 => Some(reader.array()?),
                _ => return Err(reader.invalid()),
            });
        }
        let count = reader.count(WRAPS_MAX)?;
        let mut wraps = Vec::new();
        for _ in 0..count {
            wraps.push(Wrap::read(&mut reader)?);
        }
        ascending("wraps", wraps.iter().map(Wrap::reader))?;
        let signature = HybridSignature::read(&mut reader)?;
        reader.end()?;
        Ok(Self { core, prev, wraps, signature })
    }
}

fn seal_parent(keys: &EpochKeys, parent: EpochId, held: &EpochSecret) -> [u8; PREV_LEN] {
    let mut sealer = Sealer::new(CompressionPolicy::Off);
    let mut frame = Vec::with_capacity(PREV_LEN);
    let obj = model::ObjectId::new(*parent.as_bytes());
    keys.seal(ObjectKind::KeyHistory, obj, held.expose(), &mut sealer, &NO_BLOCK, &mut frame);
    frame.try_into().expect("a frame of 32 bytes has a fixed length")
}

fn encode_prev(prev: &[Option<[u8; PREV_LEN]>]) -> Vec<u8> {
    let mut writer = Writer::new();
    for sealed in prev {
        match sealed {
            None => writer.u8(0),
            Some(sealed) => writer.u8(1).raw(sealed),
        };
    }
    writer.finish()
}

fn encode_wraps(wraps: &[Wrap]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.var(wraps.len() as u64);
    for wrap in wraps {
        writer.raw(&wrap.encode());
    }
    writer.finish()
}

fn signed_body(epoch: EpochId, prev: &[Option<[u8; PREV_LEN]>], wraps: &[Wrap]) -> Vec<u8> {
    let prev = hash("epoch-prev", &[&encode_prev(prev)]);
    let wraps = hash("epoch-wraps", &[&encode_wraps(wraps)]);
    [epoch.as_bytes().as_slice(), &prev, &wraps].concat()
}

fn limit(value: usize, limit: usize) -> Result<(), FormatError> {
    if value > limit {
        let (value, limit) = (value as u64, limit as u64);
        return Err(FormatError::TooLong { noun: NOUN, value, limit });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Change, Genesis, MemberRecord, Root, SeededRandom};

    struct Scope {
        admin: Identity,
        reader: Identity,
        membership: Membership,
    }

    /// An admin of the genesis and one member who may only read.
    fn scope() -> Scope {
        let random = SeededRandom::new(1);
        let [admin, reader] = [(); 2].map(|()| Identity::from_root(Root::random(&random)).unwrap());
        let genesis = Genesis::new(vec![admin.public().clone()], 1, &random).unwrap();
        let subject = Box::new(reader.public().clone());
        let change = Change::Add { subject, rights: Rights::READER, overrides: Vec::new() };
        let record = MemberRecord { scope: genesis.scope_id(), parents: Vec::new(), change };
        let membership = Membership::fold(&genesis, &[record.sign(&[&admin])]).unwrap();
        Scope { admin, reader, membership }
    }

    fn minted(scope: &Scope) -> (EpochRecord, EpochSecret) {
        EpochRecord::mint(&scope.admin, &scope.membership, &[], &SeededRandom::new(2)).unwrap()
    }

    fn wraps(record: &EpochRecord, scope: &Scope, secret: &EpochSecret) -> Vec<Wrap> {
        let of = |reader| {
            let random = SeededRandom::new(3);
            Wrap::of(record.core.scope, record.epoch_id(), reader, secret, &random).unwrap()
        };
        scope.membership.readers().into_iter().map(of).collect()
    }

    fn signed(mut record: EpochRecord, by: &Identity) -> EpochRecord {
        let body = signed_body(record.epoch_id(), &record.prev, &record.wraps);
        record.signature = by.sign(LABEL, &body);
        record
    }

    #[test]
    fn wraps_of_another_secret_than_the_published_one_are_refused() {
        let scope = scope();
        let (mut record, secret) = minted(&scope);
        record.wraps = wraps(&record, &scope, &EpochSecret::from_bytes([9; 32]));
        let lying = signed(record.clone(), &scope.admin);
        assert_eq!(lying.verify(&scope.membership), Ok(()), "only the opened secret tells");
        let refused = lying.open(&scope.admin, &scope.membership).err();
        assert_eq!(refused, Some(CryptError::Unseal));
        record.wraps = wraps(&record, &scope, &secret);
        signed(record, &scope.admin).open(&scope.admin, &scope.membership).unwrap();
    }

    #[test]
    fn an_epoch_minted_by_a_mere_reader_is_refused() {
        let scope = scope();
        let (mut record, secret) = minted(&scope);
        record.core.minter = scope.reader.user_id();
        record.wraps = wraps(&record, &scope, &secret);
        let refused = signed(record, &scope.reader).verify(&scope.membership);
        assert_eq!(refused, Err(CryptError::NotAuthorised { noun: NOUN }));
    }

    #[test]
    fn an_epoch_wrapped_for_fewer_or_more_than_the_readers_is_refused() {
        let scope = scope();
        let (record, _) = minted(&scope);
        let mut fewer = record.clone();
        fewer.wraps.pop();
        let mut more = record.clone();
        more.wraps.extend(record.wraps.first().cloned());
        for changed in [fewer, more] {
            let refused = signed(changed, &scope.admin).verify(&scope.membership);
            assert_eq!(refused, Err(CryptError::NotAuthorised { noun: NOUN }));
        }
        assert_eq!(signed(record, &scope.admin).verify(&scope.membership), Ok(()));
    }
}
