use std::collections::BTreeMap;

use model::codec::{Reader, Writer};
use model::hash::hash;
use model::{BlockNonce, EpochId, FormatError, ObjectId, UserId};

use crate::{CompressionPolicy, CryptError, EpochKeys, ObjectKind, Opener, Sealer};

const NOUN: &str = "settings";
/// Entries at most.
const ENTRIES_MAX: usize = 512;
/// Bytes of one value at most.
const VALUE_LEN_MAX: usize = 80;
/// Settings lie in no block.
const NO_BLOCK: BlockNonce = BlockNonce::new([0; 16]);

/// What a scope's members may read of it besides its content: its name, and the names its admins gave
/// to members. Sealed under an epoch, so that the membership log holds no readable text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    name: Option<String>,
    members: BTreeMap<UserId, String>,
}

impl Settings {
    /// The scope's name.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What a member is called.
    pub fn member(&self, user: UserId) -> Option<&str> {
        self.members.get(&user).map(String::as_str)
    }

    /// Names the scope.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Names a member; `None` forgets its name.
    #[must_use]
    pub fn with_member(mut self, user: UserId, name: Option<&str>) -> Self {
        match name {
            Some(name) => self.members.insert(user, name.to_owned()),
            None => self.members.remove(&user),
        };
        self
    }

    /// Who bears a name.
    pub fn members_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = UserId> + 'a {
        self.members.iter().filter(move |(_, held)| *held == name).map(|(user, _)| *user)
    }

    /// The encoding: name, count, then (user 32, name) ascending.
    fn encode(&self) -> Result<Vec<u8>, FormatError> {
        if self.members.len() > ENTRIES_MAX {
            let (value, limit) = (self.members.len() as u64, ENTRIES_MAX as u64);
            return Err(FormatError::TooLong { noun: NOUN, value, limit });
        }
        let mut writer = Writer::new();
        let name = self.name.as_deref().unwrap_or_default();
        writer.bytes(text(name)?).var(self.members.len() as u64);
        for (user, name) in &self.members {
            writer.raw(user.as_bytes()).bytes(text(name)?);
        }
        Ok(writer.finish())
    }

    fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut reader = Reader::new(NOUN, bytes);
        let read_text = |reader: &mut Reader<'_>| -> Result<String, FormatError> {
            let bytes = reader.bytes(VALUE_LEN_MAX)?;
            let invalid = FormatError::Invalid { noun: NOUN };
            core::str::from_utf8(bytes).map(str::to_owned).map_err(|_not_utf8| invalid)
        };
        let name = Some(read_text(&mut reader)?).filter(|name| !name.is_empty());
        let count = reader.count(ENTRIES_MAX)?;
        let mut members = BTreeMap::new();
        for _ in 0..count {
            let user = UserId::new(reader.array()?);
            let follows = members.last_key_value().is_none_or(|(last, _)| *last < user);
            members.insert(user, read_text(&mut reader)?);
            if !follows {
                return Err(FormatError::NotCanonical { noun: NOUN });
            }
        }
        reader.end()?;
        Ok(Self { name, members })
    }

    /// Seals for the readers of an epoch: epoch 32, then a frame.
    pub fn seal(&self, keys: &EpochKeys) -> Result<Vec<u8>, CryptError> {
        let plain = self.encode()?;
        let mut out = keys.epoch().as_bytes().to_vec();
        let obj = ObjectId::new(hash(NOUN, &[&plain]));
        let mut sealer = Sealer::new(CompressionPolicy::Off);
        keys.seal(ObjectKind::Settings, obj, &plain, &mut sealer, &NO_BLOCK, &mut out);
        Ok(out)
    }

    /// The epoch that sealed settings can be opened with.
    pub fn epoch_of(sealed: &[u8]) -> Option<EpochId> {
        sealed.first_chunk().copied().map(EpochId::new)
    }

    /// Opens what [`Self::seal`] made, with the keys of that epoch.
    pub fn unseal(sealed: &[u8], keys: &EpochKeys) -> Result<Self, CryptError> {
        let (_, frame) = sealed.split_first_chunk::<32>().ok_or(CryptError::Unseal)?;
        let (header, plain) = keys.unseal(frame, &mut Opener::new())?;
        if header.kind != ObjectKind::Settings {
            return Err(CryptError::Unseal);
        }
        Ok(Self::decode(&plain)?)
    }
}

fn text(value: &str) -> Result<&[u8], FormatError> {
    if value.len() > VALUE_LEN_MAX {
        let (value, limit) = (value.len() as u64, VALUE_LEN_MAX as u64);
        return Err(FormatError::TooLong { noun: NOUN, value, limit });
    }
    Ok(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EpochSecret;
    use model::ScopeId;

    fn keys(epoch: u8) -> EpochKeys {
        let id = EpochId::new([epoch; 32]);
        EpochKeys::new(ScopeId::new([1; 32]), id, id, &EpochSecret::from_bytes([epoch; 32]))
    }

    #[test]
    fn settings_open_for_their_epoch_only() {
        let user = UserId::new([7; 32]);
        let settings = Settings::default().named("photos").with_member(user, Some("Ada"));
        let sealed = settings.seal(&keys(1)).unwrap();
        assert_eq!(Settings::epoch_of(&sealed), Some(EpochId::new([1; 32])));
        assert_eq!(Settings::unseal(&sealed, &keys(1)), Ok(settings.clone()));
        assert_eq!(Settings::unseal(&sealed, &keys(2)), Err(CryptError::Unseal));
        assert_eq!((settings.name(), settings.member(user)), (Some("photos"), Some("Ada")));
        assert!(!sealed.windows(3).any(|window| window == b"Ada"));
        for at in 0..sealed.len() {
            assert!(Settings::unseal(&sealed[..at], &keys(1)).is_err(), "{at}");
        }
    }

    #[test]
    fn names_have_a_length_and_an_order() {
        let named = |len| Settings::default().named(&"x".repeat(len)).seal(&keys(1));
        assert!(named(VALUE_LEN_MAX).is_ok());
        assert!(named(VALUE_LEN_MAX + 1).is_err());
        let entry = |user: u8| [[user; 32].as_slice(), &[1, b'x']].concat();
        let of = |users: [u8; 2]| [&[0, 2][..], &entry(users[0]), &entry(users[1])].concat();
        assert!(Settings::decode(&of([1, 2])).is_ok());
        assert!(Settings::decode(&of([2, 1])).is_err());
        assert!(Settings::decode(&of([1, 1])).is_err());
    }
}
