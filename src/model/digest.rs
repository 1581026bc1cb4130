//! Digests of metadata fields: how a lockfile remembers the requested values without repeating
//! them.
//!
//! SHA-256, cut to 64 bits: two values of one field of one asset are compared, so chance collisions
//! don't matter and a forged one gains nothing. This is the one place outside `files` that hashes;
//! contents are hashed there.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// The digest of one metadata field's value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldDigest(Option<[u8; 8]>);

/// A text that is no field digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` isn't a digest of 16 lower-case hex digits")]
pub struct DigestError(String);

impl FieldDigest {
    /// Stands where two writers disagree on what was stored: the field is managed, but its value at
    /// Roblox is unknown, so it is sent again. Written as 16 zeros.
    pub const UNKNOWN: Self = Self(None);

    /// The digest of a value given as parts; parts are kept apart, so `["ab"]` and `["a", "b"]`
    /// differ. No parts: a cleared field.
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let full: [u8; 32] = hasher.finalize().into();
        let mut short = [0; 8];
        short.iter_mut().zip(full).for_each(|(to, from)| *to = from);
        Self(Some(short))
    }

    /// The digest as a number.
    pub const fn bits(self) -> u64 {
        match self.0 {
            Some(bytes) => u64::from_be_bytes(bytes),
            None => 0,
        }
    }

    /// The digest of a text; an empty one is the same as a cleared field.
    pub fn of_text(text: &str) -> Self {
        if text.is_empty() { Self::of_cleared() } else { Self::of_parts([text]) }
    }

    /// The digest of a field that was cleared.
    pub fn of_cleared() -> Self {
        Self::of_parts([])
    }
}

impl fmt::Display for FieldDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.bits())
    }
}

impl fmt::Debug for FieldDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for FieldDigest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let wrong = || DigestError(text.chars().take(40).collect());
        if text.len() != 16 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(wrong());
        }
        let number = u64::from_str_radix(text, 16).map_err(|_| wrong())?;
        Ok(Self((number != 0).then(|| number.to_be_bytes())))
    }
}

/// A checksum of a file's bytes as they pass by: tells whether a file is still the one that was
/// read or written before.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checksum {
    hasher: Sha256,
    length: u64,
}

impl Checksum {
    /// Takes the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
    }

    /// The length and half of a SHA-256 of all bytes: no two files that a person meets have one
    /// checksum.
    pub(crate) fn finish(self) -> String {
        let full: [u8; 32] = self.hasher.finalize().into();
        let half: String = full.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{half}", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_apart_and_empty_is_cleared() {
        assert_ne!(FieldDigest::of_parts(["ab"]), FieldDigest::of_parts(["a", "b"]));
        assert_eq!(FieldDigest::of_text(""), FieldDigest::of_cleared());
        let digest = FieldDigest::of_text("Sword");
        assert_eq!(digest.to_string().parse::<FieldDigest>().unwrap(), digest);
        assert!("xyz".parse::<FieldDigest>().is_err());
    }

    #[test]
    fn a_checksum_does_not_depend_on_how_the_bytes_come() {
        let of = |parts: &[&[u8]]| {
            let mut checksum = Checksum::default();
            parts.iter().for_each(|part| checksum.update(part));
            checksum.finish()
        };
        assert_eq!(of(&[b"ab", b"", b"c"]), of(&[b"abc"]));
        assert_eq!(of(&[b"abc"]), "3-ba7816bf8f01cfea414140de5dae2223", "half of the SHA-256 of `abc`");
        assert_eq!("0000000000000000".parse(), Ok(FieldDigest::UNKNOWN));
    }
}
