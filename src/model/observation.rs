//! How far an answer about an asset can be believed.
//!
//! Roblox's reads lag behind its writes, a single 404 may be a hiccup, and an ID may be another
//! asset than the record means. This module decides each of these cases, once. Nothing here reads a
//! clock. Read next: `src/engine/remote/observe.rs`, which draws the conclusions.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::asset::AssetType;
use super::history::Kind;
use super::ids::{AssetId, Creator};
use super::remote::RemoteAsset;

/// How long Roblox's reads may lag behind its writes. Clients measured up to a minute; this is
/// twice that.
pub(crate) const READ_LAG: SignedDuration = SignedDuration::from_mins(2);

/// So many answers of "not found" in a row make an asset gone. One may be a bad replica, and two
/// the same bad replica.
pub(crate) const ANSWERS_UNTIL_GONE: u32 = 3;

/// Answers count only this far apart. A fault at Roblox that makes assets invisible lasts minutes;
/// being wrong about it for ten minutes costs nothing, since nothing is uploaded because of it
/// either way.
pub(crate) const NOT_FOUND_APART: SignedDuration = SignedDuration::from_mins(5);

/// Most faults at Roblox that hide a single asset are over by then, and whoever wants to change it
/// needn't wait for [`NOT_FOUND_APART`].
const HICCUP: SignedDuration = SignedDuration::from_mins(1);

/// Roblox answered that it doesn't have an asset, and has not answered otherwise since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotFound {
    /// How many answers counted.
    pub answers: u32,
    /// When the last one counted.
    pub at: Timestamp,
}

impl NotFound {
    /// One more such answer, at `now`.
    #[must_use]
    pub fn again(before: Option<Self>, now: Timestamp) -> Self {
        match before {
            None => Self { answers: 1, at: now },
            // A time in the future is one of a clock that was put back: the distance is not known.
            Some(Self { answers, at }) if at > now => Self { answers, at: now },
            Some(known) if now < known.next_at() => known,
            Some(Self { answers, .. }) => Self { answers: answers.saturating_add(1), at: now },
        }
    }

    /// When another answer counts.
    pub fn next_at(self) -> Timestamp {
        self.at.saturating_add(NOT_FOUND_APART).unwrap_or(Timestamp::MAX)
    }

    /// When a service asks again, as of `now`: once a hiccup should be over, since a good answer
    /// ends the doubt, then when another one counts.
    pub fn ask_again_at(self, now: Timestamp) -> Timestamp {
        let after = |times: i32| self.at.saturating_add(HICCUP * times).unwrap_or(Timestamp::MAX);
        if now < after(2) { after(1) } else { self.next_at() }
    }

    /// Whether enough answers agree.
    pub const fn is_gone(self) -> bool {
        self.answers >= ANSWERS_UNTIL_GONE
    }
}

/// Whether a read at `now` may show an asset as it was before Macadam's own last write of it, at
/// `written`.
pub(crate) fn may_lag(written: Timestamp, now: Timestamp) -> bool {
    // A write in the far future is one of a clock that was put back.
    now.duration_since(written).abs() < READ_LAG
}

/// An answer describes another asset than the record means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mismatch {
    /// The answer is about another asset.
    Asset {
        /// Which was meant.
        meant: AssetId,
        /// Which the answer is about.
        found: AssetId,
    },
    /// It has another owner.
    Creator {
        /// Which asset.
        asset_id: AssetId,
        /// Its owner by the record.
        meant: Creator,
        /// Its owner by Roblox.
        found: Creator,
    },
    /// It is something else.
    Type {
        /// Which asset.
        asset_id: AssetId,
        /// Its type by the record.
        meant: AssetType,
        /// Its type by Roblox.
        found: AssetType,
    },
}

impl Mismatch {
    /// Returns how the asset differs; `None` if the answer is about another asset.
    pub fn difference(&self) -> Option<String> {
        match self {
            Self::Creator { meant, found, .. } => {
                Some(format!("it belongs to {}, not to {}", found.in_words(), meant.in_words()))
            }
            Self::Type { meant, found, .. } => Some(format!("its type is {found}, not {meant}")),
            Self::Asset { .. } => None,
        }
    }

    /// The asset that was meant.
    pub(crate) const fn asset_id(&self) -> AssetId {
        match self {
            Self::Asset { meant: asset_id, .. } | Self::Creator { asset_id, .. } | Self::Type { asset_id, .. } => {
                *asset_id
            }
        }
    }
}

impl Mismatch {
    /// Returns the mismatch between `asset` and the kind that is `meant`. A field that Roblox
    /// leaves out proves nothing.
    pub fn of(meant: Kind, asset: &RemoteAsset) -> Option<Self> {
        let asset_id = asset.asset_id;
        if let Some(found) = asset.creator.filter(|found| *found != meant.creator) {
            return Some(Self::Creator { asset_id, meant: meant.creator, found });
        }
        let found = asset.asset_type.filter(|found| *found != meant.asset_type)?;
        Some(Self::Type { asset_id, meant: meant.asset_type, found })
    }

    /// The ways to go on.
    pub const fn hint(self) -> &'static str {
        "nothing of it was changed. If the lockfile is wrong, take the right one from git; if the asset was transferred, set its new owner as `creator`; \
         `macadam forget` makes the next sync upload the file as a new asset, with a new ID"
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asset { meant, found } => {
                write!(f, "Roblox was asked about asset {meant} and answered about asset {found}")
            }
            Self::Creator { asset_id, meant, found } => {
                write!(
                    f,
                    "asset {asset_id} belongs to {}, and the lockfile says {}",
                    found.in_words(),
                    meant.in_words()
                )
            }
            Self::Type { asset_id, meant, found } => {
                write!(f, "asset {asset_id} is of the type {found}, and the lockfile says {meant}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(minutes * 60).unwrap()
    }

    #[test]
    fn an_asset_is_gone_after_three_answers_that_are_minutes_apart() {
        let mut known = None;
        let mut counted = Vec::new();
        for minute in [0, 1, 4, 5, 6, 9, 10] {
            let now = NotFound::again(known, at(minute));
            counted.push((now.answers, now.is_gone()));
            known = Some(now);
        }
        let expected = [(1, false), (1, false), (1, false), (2, false), (2, false), (2, false), (3, true)];
        assert_eq!(counted, expected);
        let ahead = NotFound { answers: 2, at: at(1000) };
        assert_eq!(NotFound::again(Some(ahead), at(0)), NotFound { answers: 2, at: at(0) }, "the clock was put back");
    }

    #[test]
    fn a_read_may_lag_for_two_minutes_after_a_write() {
        for (now, lags) in [(-3, false), (-1, true), (0, true), (1, true), (2, false), (600, false)] {
            assert_eq!(may_lag(at(0), at(now)), lags, "{now}");
        }
    }
}
