//! Numbers and names that Roblox gives, and the hash of a content.
//!
//! On the wire ids are strings or numbers; here they are numbers, converted once, at the boundary
//! that read them.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// A text or number that is no valid id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` isn't a valid {what}")]
pub struct IdError {
    what: &'static str,
    text: String,
}

/// Ids are positive and fit a signed 64-bit integer: Roblox declares them `int64` (creator-docs:
/// reference/cloud/assets/v1.json).
fn positive_i64(what: &'static str, number: u64) -> Result<NonZeroU64, IdError> {
    match NonZeroU64::new(number) {
        Some(id) if i64::try_from(number).is_ok() => Ok(id),
        _ => Err(IdError { what, text: number.to_string() }),
    }
}

macro_rules! numeric_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonZeroU64);

        impl $name {
            /// The largest.
            pub const MAX: Self = Self(NonZeroU64::new(i64::MAX as u64).expect("the largest number is not zero"));

            /// Takes a number as it came from outside.
            ///
            /// # Errors
            /// When it is zero or does not fit a signed 64-bit integer.
            pub fn new(number: u64) -> Result<Self, IdError> {
                positive_i64($what, number).map(Self)
            }

            /// The number.
            pub fn get(self) -> u64 {
                self.0.get()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let wrong = || IdError { what: $what, text: text.chars().take(40).collect() };
                if !text.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(wrong());
                }
                text.parse().map_err(|_| wrong()).and_then(Self::new)
            }
        }
    };
}

numeric_id!(
    /// The 64-bit number that Roblox gives an asset.
    AssetId,
    "asset ID"
);
numeric_id!(
    /// The number of a content: Roblox's `revisionId` of a Model, or the ordinal of an asset ID in
    /// an address's history.
    Revision,
    "revision"
);
numeric_id!(
    /// A Roblox user.
    UserId,
    "user ID"
);
numeric_id!(
    /// A Roblox group.
    GroupId,
    "group ID"
);

impl AssetId {
    /// The asset as the code of a game names it, and as people see it: `rbxassetid://123`.
    pub fn uri(self) -> String {
        format!("rbxassetid://{self}")
    }

    /// Reads an asset ID as people have it: a number, with or without `rbxassetid://`, or the link
    /// of its page at Roblox.
    pub fn of_text(text: &str) -> Option<Self> {
        let of_page = text.strip_prefix("https://").and_then(|page| {
            let (host, path) = page.split_once('/')?;
            let is_roblox = host == "roblox.com" || host.ends_with(".roblox.com");
            let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            path.split(['/', '?', '#']).find(is_number).filter(|_| is_roblox)
        });
        of_page.or_else(|| text.strip_prefix("rbxassetid://")).unwrap_or(text).parse().ok()
    }
}

/// The owner of an asset at Roblox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Creator {
    /// A user.
    User(UserId),
    /// A group.
    Group(GroupId),
}

impl Creator {
    /// The creator as people speak of it: `user 123` or `group 456`.
    pub fn in_words(self) -> String {
        match self {
            Self::User(id) => format!("user {id}"),
            Self::Group(id) => format!("group {id}"),
        }
    }
}

impl fmt::Display for Creator {
    /// `user:123` or `group:456`, the form of lockfile and state.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Group(id) => write!(f, "group:{id}"),
        }
    }
}

impl FromStr for Creator {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.split_once(':') {
            Some(("user", id)) => Ok(Self::User(id.parse()?)),
            Some(("group", id)) => Ok(Self::Group(id.parse()?)),
            _ => Err(IdError { what: "creator", text: text.chars().take(40).collect() }),
        }
    }
}

/// The name of a long-running operation, a UUID in practice. Safe to put into a URL's path as it
/// is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(String);

impl OperationId {
    /// Takes a name as Roblox gave it, without the `operations/` before it.
    ///
    /// # Errors
    /// When it is empty, longer than 200 bytes, or has a character that a URL's path would have to
    /// escape.
    pub fn new(text: &str) -> Result<Self, IdError> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'~');
        if text.is_empty() || text.len() > 200 || !text.bytes().all(fits) {
            return Err(IdError { what: "operation ID", text: text.chars().take(40).collect() });
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names one upload of a new asset, on every machine that hears of it: two uploads of the same
/// bytes are two chances of an asset.
///
/// Random, since no two machines that share nothing may take the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(u64);

impl UploadId {
    /// Takes a random number.
    pub const fn new(random: u64) -> Self {
        Self(random)
    }
}

impl fmt::Display for UploadId {
    /// 16 characters of lower-case hex, the form of lockfile and state.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for UploadId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError { what: "upload in lower-case hex", text: text.chars().take(40).collect() };
        if text.len() != 16 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(wrong());
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| wrong())
    }
}

/// SHA-256 of exactly the bytes that are uploaded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// Takes a finished SHA-256.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ContentHash {
    /// 64 characters of lower-case hex.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for ContentHash {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError { what: "SHA-256 in lower-case hex", text: text.chars().take(70).collect() };
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut bytes = [0; 32];
        if text.len() != 2 * bytes.len() {
            return Err(wrong());
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().as_chunks().0) {
            let [high, low] = pair.map(digit);
            *byte = high.zip(low).map(|(high, low)| high << 4 | low).ok_or_else(wrong)?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_ids_refuse_what_roblox_never_gives() {
        assert_eq!("2205400862".parse::<AssetId>().unwrap().get(), 2_205_400_862);
        assert_eq!(AssetId::new(i64::MAX as u64).unwrap().get(), i64::MAX as u64);
        for bad in ["", "0", "-1", "+1", "1.0", " 1", "9223372036854775808", "99999999999999999999999"] {
            assert!(bad.parse::<AssetId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn creators_read_back_what_they_print() {
        for text in ["user:1", "group:7654321"] {
            assert_eq!(text.parse::<Creator>().unwrap().to_string(), text);
        }
        for bad in ["", "user", "user:", "team:1", "user:x"] {
            assert!(bad.parse::<Creator>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn operation_ids_are_safe_in_a_url() {
        assert!(OperationId::new("6af4d1d6-1c1b-4e44-8b6e-58b9d0b8d4c2").is_ok());
        for bad in ["", "a/b", "a?b", "a%2fb", "..", "a b"] {
            assert!(OperationId::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn uploads_read_back_what_they_print() {
        for random in [0, 1, u64::MAX] {
            assert_eq!(UploadId::new(random).to_string().parse::<UploadId>().unwrap(), UploadId::new(random));
        }
        for bad in ["", "0", "000000000000000G", "FFFFFFFFFFFFFFFF", "+00000000000000f"] {
            assert!(bad.parse::<UploadId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn hashes_read_back_what_they_print() {
        let hash = ContentHash::from_bytes([0xab; 32]);
        assert_eq!(hash.to_string().parse::<ContentHash>().unwrap(), hash);
        assert!("AB".repeat(32).parse::<ContentHash>().is_err());
        assert!("ab".repeat(31).parse::<ContentHash>().is_err());
        assert!("é".repeat(32).parse::<ContentHash>().is_err());
    }
}
