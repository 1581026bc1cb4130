//! The actions of a plan or a run in a person's words, and how many there are of each.
//!
//! `--json` has the names of [`Action::name`] instead. Read next: [`super::plan_text`] and
//! [`super::sync`], which print these words.

use std::collections::{BTreeMap, BTreeSet};

use super::output::plural;
use crate::model::metadata::Field;
use crate::plan::{Action, Hold, HoldKind, Step};

/// Whether the actions are planned or done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tense {
    /// `8 to upload`.
    ToDo,
    /// `8 uploaded`.
    Done,
}

impl Tense {
    /// Restored assets.
    const fn restored(self) -> &'static str {
        match self {
            Self::ToDo => "to restore",
            Self::Done => "restored",
        }
    }
}

/// The heading of a group of planned actions.
pub(super) const fn heading(action: &Action) -> &'static str {
    match action {
        Action::Create(_) => "new",
        Action::Share { from: None, .. } => "new (same file as another asset, so no upload)",
        Action::Move { .. } => "moved (same asset ID)",
        Action::UpdateContent { .. } => "updated",
        Action::Replace { .. } => "replaced (new asset ID)",
        Action::Share { from: Some(_), .. } => "replaced (same file as another asset, so no upload)",
        Action::PointBack { pinned: false, .. } => "replaced (earlier asset ID, no upload)",
        Action::PointBack { pinned: true, .. } | Action::Rollback { .. } => "rolled back",
        Action::UpdateMetadata { .. } => "settings changed",
        Action::Restore { .. } => "restored",
        Action::Archive { .. } => "archived",
        Action::Settle { .. } | Action::Wait { .. } => "waiting for Roblox",
    }
}

/// A group of what is not done, with one heading and one count in a summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HoldGroup {
    /// It waits for a person.
    Held,
    /// Moderation rejected it.
    Rejected,
    /// Its file can't be used, so nothing was tried.
    Unusable,
    /// Roblox refused it.
    Failed,
    /// It waits for something that comes by itself.
    Waiting,
}

impl HoldGroup {
    /// All groups, in the order in which a plan shows them.
    pub(super) const ALL: [Self; 5] = [Self::Held, Self::Rejected, Self::Unusable, Self::Failed, Self::Waiting];

    /// The group of a hold.
    pub(super) const fn of(hold: &Hold) -> Self {
        match hold.kind() {
            HoldKind::Held => Self::Held,
            HoldKind::Rejected => Self::Rejected,
            HoldKind::Failed if hold.reason.is_refusal() => Self::Failed,
            HoldKind::Failed => Self::Unusable,
            HoldKind::Waiting => Self::Waiting,
        }
    }

    /// The heading.
    pub(super) const fn heading(self) -> &'static str {
        match self {
            Self::Held => "on hold",
            Self::Rejected => "rejected by moderation",
            Self::Unusable => "files that can't be used",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
        }
    }

    /// The number of assets in this group. One may be held for several reasons.
    pub(super) fn count(self, held: &[Hold]) -> u64 {
        let of_it = held.iter().filter(|hold| Self::of(hold) == self).map(|hold| &hold.address);
        of_it.collect::<BTreeSet<_>>().len() as u64
    }

    /// The same with its words in a summary.
    pub(super) fn tally(self, held: &[Hold]) -> Tally {
        let count = self.count(held);
        match self {
            Self::Unusable => {
                let several = "files can't be used";
                let what = if count == 1 { "file can't be used" } else { several };
                Tally { what_of_all: Some(several), ..Tally::assets(count, what) }
            }
            Self::Held | Self::Rejected | Self::Failed | Self::Waiting => Tally::assets(count, self.heading()),
        }
    }
}

/// One count of a summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tally {
    /// How many.
    pub count: u64,
    /// The words after the number.
    pub what: String,
    /// The words after "of 300", where they differ.
    pub what_of_all: Option<&'static str>,
    /// It counts assets, so that "of 300" may follow the number.
    pub is_of_assets: bool,
}

impl Tally {
    /// A number of assets.
    pub(super) fn assets(count: u64, what: impl Into<String>) -> Self {
        Self { count, what: what.into(), what_of_all: None, is_of_assets: true }
    }

    /// The counts in one line, without those that are zero; the first one of assets says of how many
    /// it is, where `total` is given.
    pub(super) fn list(tallies: &[Self], total: Option<u64>) -> String {
        let shown = tallies.iter().filter(|tally| tally.count > 0);
        let first = shown.clone().position(|tally| tally.is_of_assets);
        let texts: Vec<String> = shown
            .enumerate()
            .map(|(at, Self { count, what, what_of_all, is_of_assets: _ })| match total {
                Some(total) if Some(at) == first => format!("{count} of {total} {}", what_of_all.unwrap_or(what)),
                Some(_) | None => format!("{count} {what}"),
            })
            .collect();
        texts.join(", ")
    }
}

/// Counts actions by what they do, in the order in which a summary names them. Metadata counts by
/// field: "1 icon set".
pub(super) fn tally<'a>(steps: impl IntoIterator<Item = &'a Step>, tense: Tense) -> Vec<Tally> {
    let (mut actions, mut fields) = (BTreeMap::<_, u64>::new(), BTreeMap::<_, u64>::new());
    for step in steps {
        match &step.action {
            Action::UpdateMetadata { changes, .. } => {
                for change in changes {
                    *fields.entry(field_noun(change.field())).or_default() += 1;
                }
            }
            action => {
                *actions.entry(phrase(action, tense)).or_default() += 1;
                if action.restores() {
                    *actions.entry((RESTORED, tense.restored())).or_default() += 1;
                }
            }
        }
    }
    // An asset that is archived is one that the manifest no longer has.
    let of_assets = actions
        .into_iter()
        .map(|((place, what), count)| Tally { is_of_assets: place != ARCHIVED, ..Tally::assets(count, what) });
    let verb = match tense {
        Tense::ToDo => "to set",
        Tense::Done => "set",
    };
    let of_fields = fields.into_iter().map(|((_, noun), count)| {
        let what = plural(count, noun);
        let noun = what.split_once(' ').map_or(noun, |(_, noun)| noun);
        Tally { is_of_assets: false, ..Tally::assets(count, format!("{noun} {verb}")) }
    });
    of_assets.chain(of_fields).collect()
}

/// The place of the assets that are restored.
const RESTORED: u8 = 7;

/// The place of the archivings.
const ARCHIVED: u8 = 8;

/// The place of an action in a summary, and the words after the number.
const fn phrase(action: &Action, tense: Tense) -> (u8, &'static str) {
    let (place, done) = match action {
        Action::Create(_) => (0, "uploaded"),
        Action::Share { .. } => (1, "sharing an asset ID"),
        Action::UpdateContent { .. } => (2, "updated"),
        Action::Replace { .. } => (3, "replaced"),
        Action::PointBack { pinned: false, .. } => (4, "switched back"),
        Action::PointBack { pinned: true, .. } | Action::Rollback { .. } => (5, "rolled back"),
        Action::Move { .. } => (6, "moved"),
        Action::Restore { .. } => (RESTORED, Tense::Done.restored()),
        Action::Archive { .. } => (ARCHIVED, "archived"),
        Action::UpdateMetadata { .. } => (9, "changed"),
        Action::Settle { .. } | Action::Wait { .. } => (10, "finished processing"),
    };
    (
        place,
        match tense {
            Tense::ToDo => action.planned(),
            Tense::Done => done,
        },
    )
}

/// The place of a field in a summary, and its name for a person.
const fn field_noun(field: Field) -> (u8, &'static str) {
    match field {
        Field::DisplayName => (0, "name"),
        Field::Description => (1, "description"),
        Field::Icon => (2, "icon"),
        Field::Previews => (3, "preview list"),
        Field::SocialLink(_) => (4, "social link"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan_text;
    use super::*;
    use crate::model::address::Address;
    use crate::plan::HeldPart;
    use crate::plan::reason::hold::HoldReason;

    #[test]
    fn the_first_count_says_of_how_many() {
        let tallies = [Tally::assets(0, "uploaded"), Tally::assets(99, "updated"), Tally::assets(2, "failed")];
        assert_eq!(Tally::list(&tallies, Some(300)), "99 of 300 updated, 2 failed");
        assert_eq!(Tally::list(&tallies, None), "99 updated, 2 failed");
        let fields = [Tally { is_of_assets: false, ..Tally::assets(1, "icon set") }];
        assert_eq!(Tally::list(&fields, Some(300)), "1 icon set");
        let archived = Tally { is_of_assets: false, ..Tally::assets(3, "archived") };
        let tallies = [archived, Tally::assets(1, "rejected by moderation")];
        assert_eq!(Tally::list(&tallies, Some(3)), "3 archived, 1 of 3 rejected by moderation");
    }
    #[test]
    fn an_asset_with_two_holds_counts_once_in_the_heading_and_in_the_summary() {
        let hold = |part| Hold { address: Address::new("a").unwrap(), part, reason: HoldReason::AssetGone };
        let held = [hold(HeldPart::Asset), hold(HeldPart::Metadata)];
        let group = HoldGroup::of(&held[0]);
        assert_eq!(Tally::list(&[group.tally(&held)], None), format!("1 {}", group.heading()));
        let lines = plan_text::holds(&held, false);
        assert!(lines[0].contains(group.heading()) && lines[0].ends_with(" (1)"), "{lines:?}");
        assert_eq!(lines.iter().filter(|line| line.starts_with("  a")).count(), 2, "{lines:?}");
    }

    #[test]
    fn a_file_that_can_not_be_used_is_no_failure() {
        let hold = |name: &str| Hold {
            address: Address::new(name).unwrap(),
            part: HeldPart::Asset,
            reason: HoldReason::TypeUnknown,
        };
        let one = [HoldGroup::Unusable.tally(&[hold("a")])];
        assert_eq!(Tally::list(&one, None), "1 file can't be used");
        assert_eq!(Tally::list(&one, Some(3)), "1 of 3 files can't be used");
        let held = [hold("a"), hold("b")];
        assert_eq!(Tally::list(&[HoldGroup::Unusable.tally(&held)], Some(3)), "2 of 3 files can't be used");
        assert_eq!(HoldGroup::Failed.count(&held), 0);
    }
}
