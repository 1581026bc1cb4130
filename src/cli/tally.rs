//! The actions of a plan or a run in a person's words, and how many there are of each.
//!
//! `--json` has the names of [`Action::name`] instead. Read next: [`super::plan_text`] and
//! [`super::sync`], which print these words.

use std::collections::BTreeMap;

use super::output::plural;
use crate::model::metadata::Field;
use crate::plan::{Action, HoldKind, Step};

/// Whether the actions are planned or done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tense {
    /// `8 to upload`.
    ToDo,
    /// `8 uploaded`.
    Done,
}

/// The heading of a group of planned actions.
impl Tense {
    /// Restored assets.
    const fn restored(self) -> &'static str {
        match self {
            Self::ToDo => "to restore",
            Self::Done => "restored",
        }
    }
}

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

/// The heading and the word in a summary for what is not done.
pub(super) const fn hold_word(kind: HoldKind) -> &'static str {
    match kind {
        HoldKind::Held => "on hold",
        HoldKind::Rejected => "rejected by moderation",
        HoldKind::Failed => "failed",
        HoldKind::Waiting => "waiting",
    }
}

/// One count of a summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tally {
    /// How many.
    pub count: u64,
    /// The words after the number.
    pub what: String,
    /// It counts assets, so that "of 300" may follow the number.
    pub is_of_assets: bool,
}

impl Tally {
    /// A number of assets.
    pub(super) fn assets(count: u64, what: impl Into<String>) -> Self {
        Self { count, what: what.into(), is_of_assets: true }
    }

    /// The counts in one line, without those that are zero; the first one of assets says of how many
    /// it is, where `total` is given.
    pub(super) fn list(tallies: &[Self], total: Option<u64>) -> String {
        let shown = tallies.iter().filter(|tally| tally.count > 0);
        let first = shown.clone().position(|tally| tally.is_of_assets);
        let texts: Vec<String> = shown
            .enumerate()
            .map(|(at, Self { count, what, is_of_assets: _ })| match total {
                Some(total) if Some(at) == first => format!("{count} of {total} {what}"),
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
        Tally { count, what: format!("{noun} {verb}"), is_of_assets: false }
    });
    of_assets.chain(of_fields).collect()
}

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
    use super::*;

    #[test]
    fn the_first_count_says_of_how_many() {
        let tallies = [Tally::assets(0, "uploaded"), Tally::assets(99, "updated"), Tally::assets(2, "failed")];
        assert_eq!(Tally::list(&tallies, Some(300)), "99 of 300 updated, 2 failed");
        assert_eq!(Tally::list(&tallies, None), "99 updated, 2 failed");
        let fields = [Tally { count: 1, what: "icon set".to_owned(), is_of_assets: false }];
        assert_eq!(Tally::list(&fields, Some(300)), "1 icon set");
        let archived = Tally { is_of_assets: false, ..Tally::assets(3, "archived") };
        let tallies = [archived, Tally::assets(1, "rejected by moderation")];
        assert_eq!(Tally::list(&tallies, Some(3)), "3 archived, 1 of 3 rejected by moderation");
    }
}
/// The place of the assets that are restored.
const RESTORED: u8 = 7;

