//! What was changed at Roblox outside of Macadam.

use std::fmt;

use super::hold::{gone_hint, overwrite_hint};
use crate::model::address::Address;
use crate::model::ids::Revision;
use crate::model::metadata::Field;
use crate::model::shown::foreign;

/// What of an asset was changed at Roblox outside of Macadam.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DriftKind {
    /// It has a newer revision.
    MadeElsewhere {
        /// Its number, where known.
        version: Option<Revision>,
    },
    /// An earlier revision is current.
    RolledBackElsewhere {
        /// The revision that is current.
        current: Revision,
        /// The revision that should be.
        known: Revision,
    },
    /// Roblox no longer has it.
    Gone,
    /// It was archived.
    Archived {
        /// How often Macadam put it back today, where that was too often to do it again.
        repaired: Option<usize>,
    },
    /// Its metadata changed.
    Metadata {
        /// Which fields.
        fields: Vec<DriftedField>,
        /// How often Macadam put it back today, where that was too often to do it again.
        repaired: Option<usize>,
    },
}

/// A metadata field that has another value at Roblox than in the manifest. Values are whole; an
/// empty one: nothing is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DriftedField {
    /// Which field.
    pub field: Field,
    /// Its value at Roblox.
    pub at_roblox: String,
    /// Its value in the manifest.
    pub wanted: String,
}

/// The most characters that a message shows of a value, so that a description of 1000 leaves the
/// rest to be read.
const SHOWN: usize = 60;
/// The characters before the first difference that remain where two long values begin alike.
const ALIKE: usize = 8;

impl fmt::Display for DriftedField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, at_roblox, wanted } = self;
        match field {
            Field::DisplayName => f.write_str("the name is")?,
            Field::Description => f.write_str("the description is")?,
            Field::Icon => f.write_str("the icon is")?,
            Field::Previews => f.write_str("the previews are")?,
            Field::SocialLink(network) => write!(f, "the {} link is", network.key())?,
        }
        let alike = at_roblox.chars().zip(wanted.chars()).take_while(|(a, b)| a == b).count();
        let is_long = at_roblox.chars().count().max(wanted.chars().count()) > SHOWN;
        let skipped = if is_long { alike.saturating_sub(ALIKE) } else { 0 };
        let shown = |value: &str| match (value, field) {
            ("", Field::DisplayName | Field::Description) => "empty".to_owned(),
            ("", Field::Icon | Field::Previews | Field::SocialLink(_)) => "not set".to_owned(),
            (text, Field::DisplayName | Field::Description) => format!("\"{}\"", part(text, skipped)),
            (text, Field::Icon | Field::Previews | Field::SocialLink(_)) => part(text, skipped),
        };
        write!(f, " {} on Roblox and {} in assets.toml", shown(at_roblox), shown(wanted))
    }
}

/// What a message shows of a value, after the characters that it skips.
fn part(text: &str, skipped: usize) -> String {
    let (before, rest) = text.split_at(text.char_indices().nth(skipped).map_or(text.len(), |(at, _)| at));
    let shown: String = rest.chars().take(SHOWN).collect();
    let (begin, end) = (if before.is_empty() { "" } else { "…" }, if shown.len() < rest.len() { "…" } else { "" });
    format!("{begin}{}{end}", foreign(&shown))
}

impl DriftKind {
    /// The stable name in `--json`.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::MadeElsewhere { .. } => "made_elsewhere",
            Self::RolledBackElsewhere { .. } => "rolled_back_elsewhere",
            Self::Gone => "gone",
            Self::Archived { .. } => "archived_elsewhere",
            Self::Metadata { .. } => "metadata_changed_elsewhere",
        }
    }

    /// The revision that it is about.
    pub(crate) const fn revision(&self) -> Option<Revision> {
        match self {
            Self::MadeElsewhere { version } => *version,
            Self::RolledBackElsewhere { current, .. } => Some(*current),
            Self::Gone | Self::Archived { .. } | Self::Metadata { .. } => None,
        }
    }

    /// The metadata fields that differ.
    pub(crate) fn fields(&self) -> &[DriftedField] {
        match self {
            Self::Metadata { fields, .. } => fields,
            Self::MadeElsewhere { .. } | Self::RolledBackElsewhere { .. } | Self::Gone | Self::Archived { .. } => &[],
        }
    }

    /// A way to end it, for the asset of `address`.
    pub(crate) fn hint(&self, address: &Address) -> String {
        match self {
            Self::MadeElsewhere { .. } | Self::RolledBackElsewhere { .. } => overwrite_hint(address),
            Self::Gone => gone_hint(address),
            Self::Archived { .. } => format!("`macadam restore {address:#}`"),
            Self::Metadata { .. } => {
                "change it here as well, or set `policy.drift = \"heal\"` to have it put back".to_owned()
            }
        }
    }
}

impl fmt::Display for DriftKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repaired = match self {
            Self::MadeElsewhere { version: Some(version) } => {
                return write!(f, "revision {version} was made on Roblox, outside of Macadam");
            }
            Self::MadeElsewhere { version: None } => {
                return f.write_str("a newer revision was made on Roblox, outside of Macadam");
            }
            Self::RolledBackElsewhere { current, known } => {
                return write!(
                    f,
                    "revision {current} was made current on Roblox in place of {known}, outside of Macadam"
                );
            }
            Self::Gone => return f.write_str("Roblox no longer has its asset"),
            Self::Archived { repaired } => {
                f.write_str("it was archived on Roblox, outside of Macadam")?;
                repaired
            }
            Self::Metadata { fields, repaired } => {
                for (at, field) in fields.iter().enumerate() {
                    write!(f, "{}{field}", if at == 0 { "" } else { "; " })?;
                }
                repaired
            }
        };
        repaired.map_or(Ok(()), |times| write!(f, "; Macadam put it back {times} times today"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::metadata::SocialNetwork;

    fn check(field: Field, at_roblox: &str, wanted: &str, expected: &str) {
        let (at_roblox, wanted) = (at_roblox.to_owned(), wanted.to_owned());
        assert_eq!(DriftedField { field, at_roblox, wanted }.to_string(), expected);
    }

    #[test]
    fn a_drifted_field_shows_both_values() {
        check(Field::DisplayName, "Axe", "Sword", r#"the name is "Axe" on Roblox and "Sword" in assets.toml"#);
        check(Field::Description, "", "Old", r#"the description is empty on Roblox and "Old" in assets.toml"#);
        check(Field::Description, "a\nb", "", r#"the description is "a\nb" on Roblox and empty in assets.toml"#);
        check(Field::Icon, "", "assets/5", "the icon is not set on Roblox and assets/5 in assets.toml");
        let (one, two) = ("assets/5, assets/6 \"Two\"", "assets/5");
        check(Field::Previews, one, two, &format!("the previews are {one} on Roblox and {two} in assets.toml"));
        let (here, there) = ("<https://x.com/a>", "<https://x.com/b>");
        let told = format!("the twitter link is {there} on Roblox and {here} in assets.toml");
        check(Field::SocialLink(SocialNetwork::Twitter), there, here, &told);
    }

    #[test]
    fn of_long_values_the_part_that_differs_is_shown() {
        let alike = "x".repeat(300);
        let (a, b) = (format!("{alike} and a"), format!("{alike} and b"));
        check(
            Field::Description,
            &a,
            &b,
            r#"the description is "…xxx and a" on Roblox and "…xxx and b" in assets.toml"#,
        );
        let start = "y".repeat(SHOWN);
        let told = format!(r#"the description is "{start}…" on Roblox and "z" in assets.toml"#);
        check(Field::Description, &"y".repeat(300), "z", &told);
    }
}
