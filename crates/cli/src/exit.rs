//! The one table of exit codes, and which of several outcomes wins.

/// What went wrong, as `--json` names it and as the exit code tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    NameUnknown,
    HashUnknown,
    ScopeUnknown,
    MemberUnknown,
    SourceMissing,
    StoreMissing,
    Usage,
    Malformed,
    HashAmbiguous,
    ScopeAmbiguous,
    RangeOutside,
    StoreBusy,
    DiskFull,
    ReadOnly,
    Unavailable,
    Corrupt,
    Internal,
    WrongPassphrase,
    PassphraseNeeded,
    KeyFile,
    NewerFormat,
    HeadMoved,
    Exists,
    Refused,
    Partial,
    Interrupted,
    Terminated,
    /// Who read our output stopped reading: nobody is left to tell, and nothing went wrong.
    OutputClosed,
}

/// Scripts rely on names and codes: entries are added, never changed.
const TABLE: &[(Kind, &str, u8)] = &[
    (Kind::OutputClosed, "output_closed", 0),
    (Kind::NameUnknown, "name_unknown", 1),
    (Kind::HashUnknown, "hash_unknown", 1),
    (Kind::ScopeUnknown, "scope_unknown", 1),
    (Kind::MemberUnknown, "member_unknown", 1),
    (Kind::SourceMissing, "source_missing", 1),
    (Kind::StoreMissing, "store_missing", 1),
    (Kind::Usage, "usage", 2),
    (Kind::Malformed, "malformed", 2),
    (Kind::HashAmbiguous, "hash_ambiguous", 2),
    (Kind::ScopeAmbiguous, "scope_ambiguous", 2),
    (Kind::RangeOutside, "range_outside", 2),
    (Kind::StoreBusy, "store_busy", 3),
    (Kind::DiskFull, "disk_full", 3),
    (Kind::ReadOnly, "read_only", 3),
    (Kind::Unavailable, "unavailable", 3),
    (Kind::Corrupt, "corrupt", 4),
    (Kind::Internal, "internal", 5),
    (Kind::WrongPassphrase, "wrong_passphrase", 6),
    (Kind::PassphraseNeeded, "passphrase_needed", 6),
    (Kind::KeyFile, "key_file", 6),
    (Kind::NewerFormat, "newer_format", 6),
    (Kind::HeadMoved, "head_moved", 6),
    (Kind::Exists, "exists", 6),
    (Kind::Refused, "refused", 6),
    (Kind::Partial, "partial", 7),
    (Kind::Interrupted, "interrupted", 130),
    (Kind::Terminated, "terminated", 143),
];

/// Codes in the order in which they win when one run has several outcomes. Being stopped wins over
/// all, because the run did not get to the rest.
const WINNERS: [u8; 9] = [130, 143, 5, 4, 6, 3, 7, 2, 1];

impl Kind {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        TABLE.iter().find(|(kind, ..)| *kind == self).map_or(5, |(_, _, code)| *code)
    }

    /// The name in `--json` errors.
    pub(crate) fn name(self) -> &'static str {
        TABLE.iter().find(|(kind, ..)| *kind == self).map_or("internal", |(_, name, _)| name)
    }
}

/// The exit code of a run that met these codes; 0 when there are none.
pub(crate) fn winner(codes: &[u8]) -> u8 {
    WINNERS.into_iter().find(|code| codes.contains(code)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_contract() {
        assert_eq!(Kind::NameUnknown.code(), 1);
        assert_eq!(Kind::RangeOutside.code(), 2);
        assert_eq!(Kind::StoreBusy.code(), 3);
        assert_eq!(Kind::Corrupt.code(), 4);
        assert_eq!(Kind::Internal.code(), 5);
        assert_eq!(Kind::WrongPassphrase.code(), 6);
        assert_eq!(Kind::Partial.code(), 7);
        assert_eq!(Kind::Interrupted.code(), 130);
        assert_eq!(Kind::Terminated.code(), 143);
    }

    #[test]
    fn the_first_of_5_4_6_3_7_wins() {
        assert_eq!(winner(&[]), 0);
        assert_eq!(winner(&[7, 3]), 3);
        assert_eq!(winner(&[3, 7, 6]), 6);
        assert_eq!(winner(&[6, 4, 7]), 4);
        assert_eq!(winner(&[4, 5]), 5);
        assert_eq!(winner(&[1, 7]), 7);
        assert_eq!(winner(&[7, 130]), 130);
    }

    #[test]
    fn every_code_in_the_table_can_win() {
        for (kind, name, code) in TABLE {
            assert_eq!(winner(&[*code]), *code, "{name}");
            assert_eq!(kind.name(), *name);
        }
    }
}
