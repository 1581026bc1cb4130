//! Findings of a move for a person: assets that were taken over with reservations, and things that
//! were not.

use std::collections::{BTreeMap, BTreeSet};

/// A kind of finding, in the order of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum FindingKind {
    /// The tool has no asset for a file.
    NotUploaded,
    /// The file changed since its upload.
    Changed,
    /// The tool has an asset whose file is gone.
    FileGone,
    /// Two files claim one asset.
    SharedId,
    /// A file is part of a packed sheet.
    PackedSheet,
    /// An SVG that was never uploaded, and that Macadam can't render.
    Drawing,
    /// Macadam can't upload the file.
    Unusable,
    /// Roblox says that the asset has another owner or type.
    Mismatch,
    /// Roblox doesn't find the asset.
    NotFound,
    /// Roblox has a newer version of the asset than the tool uploaded.
    ChangedOnRoblox,
    /// Roblox's moderation rejected the asset.
    Rejected,
    /// The asset holds other bytes than the file.
    Treated,
    /// The file was matched by its name alone.
    Unchecked,
    /// The tool's pattern and Macadam's match different files.
    GlobDiffers,
    /// A file is in two inputs.
    TwoInputs,
    /// A placeholder record of the tool.
    FakeRecord,
    /// The tool's records may be wrong without any sign of it.
    MayBePoisoned,
    /// A feature of the tool that Macadam doesn't have.
    CantComeAlong,
}

impl FindingKind {
    /// Returns the name in `--json`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NotUploaded => "not_uploaded",
            Self::Changed => "changed",
            Self::FileGone => "file_gone",
            Self::SharedId => "shared_id",
            Self::PackedSheet => "packed_sheet",
            Self::Drawing => "drawing",
            Self::Unusable => "unusable",
            Self::Mismatch => "mismatch",
            Self::NotFound => "not_found",
            Self::ChangedOnRoblox => "changed_on_roblox",
            Self::Rejected => "rejected",
            Self::Treated => "treated",
            Self::Unchecked => "unchecked",
            Self::GlobDiffers => "glob_differs",
            Self::TwoInputs => "two_inputs",
            Self::FakeRecord => "fake_record",
            Self::MayBePoisoned => "may_be_poisoned",
            Self::CantComeAlong => "cant_come_along",
        }
    }

    /// Returns a title for `count` findings of this kind.
    pub(crate) fn title(self, count: usize) -> String {
        let files = if count == 1 { "file" } else { "files" };
        let assets = if count == 1 { "asset" } else { "assets" };
        match self {
            Self::NotUploaded => format!("{count} {files} new or changed since the last upload"),
            Self::Changed => format!("{count} {files} changed since the last upload"),
            Self::FileGone => format!("{count} {assets} without a file"),
            Self::SharedId => format!("{count} {files} with an asset ID that another file claims too"),
            Self::PackedSheet => format!("{count} {files} packed into a sheet"),
            Self::Drawing => format!("{count} SVG {files} without an asset"),
            Self::Unusable => format!("{count} {files} that Macadam can't upload"),
            Self::Mismatch => format!("{count} {assets} that are not what the tool says"),
            Self::NotFound => format!("{count} {assets} that Roblox doesn't find"),
            Self::ChangedOnRoblox => format!("{count} {assets} changed on Roblox since the upload"),
            Self::Rejected => format!("{count} {assets} rejected by moderation"),
            Self::Treated => format!("{count} {files} that the tool processed before the upload"),
            Self::Unchecked => format!("{count} {files} matched by name alone"),
            Self::GlobDiffers => format!("{count} {files} that the two patterns don't share"),
            Self::TwoInputs => format!("{count} {files} in two inputs"),
            Self::FakeRecord => format!("{count} records without a file of their own"),
            Self::MayBePoisoned => "not every old mistake can be seen".to_owned(),
            Self::CantComeAlong => "not taken over".to_owned(),
        }
    }

    /// Returns what the finding means, and what to do about it.
    pub(crate) const fn advice(self) -> &'static str {
        match self {
            Self::NotUploaded => "the next sync uploads them",
            Self::Changed => "the next sync uploads them; their old asset IDs stay in the history",
            Self::FileGone => {
                "nothing is lost: they stay on Roblox; `macadam import ADDRESS ASSET_ID` takes one over once it has a file again"
            }
            Self::SharedId => {
                "only one of them can be the asset: they are in [existing], so the game keeps its IDs; look at \
                 create.roblox.com, take the wrong ones out of [existing] and out of `exclude`, then `macadam import` the right one"
            }
            Self::PackedSheet => {
                "Macadam doesn't pack: they are in no glob, so nothing is uploaded; keep the old tool for them, or add a glob \
                 to upload each as an asset of its own"
            }
            Self::Drawing => "Roblox doesn't take SVG: export each as a PNG where the globs find it",
            Self::Unusable => "they are in [existing], so the game keeps their IDs; replace the file to change one",
            Self::Mismatch => {
                "they are in [existing], so the game keeps their IDs; Macadam will not change them, nor upload their files"
            }
            Self::NotFound => "the next sync asks again before it changes anything; nothing is uploaded in their place",
            Self::ChangedOnRoblox => "`macadam status` shows it after the next `macadam sync --once --refresh`",
            Self::Rejected => "they are not uploaded again until their file changes",
            Self::Treated => {
                "the asset holds other bytes than the file; nothing is uploaded now, and when a file changes Macadam uploads it \
                 as it is"
            }
            Self::Unchecked => {
                "the tool's record can't prove that the asset holds this file; look at the ones that matter in the game"
            }
            Self::GlobDiffers => "each that has an asset is an entry of its own; look whether you want the others",
            Self::TwoInputs => "the first input manages them; both modules get the ID of its asset",
            Self::FakeRecord => {
                "Mantle wrote them for assets that it imported; `macadam import ADDRESS ASSET_ID` takes one over"
            }
            Self::MayBePoisoned => {
                "if an upload of Tarmac's ever failed, its manifest can name the new file with the old asset ID; Macadam can't \
                 tell these from good ones, so look at what changed last in the game"
            }
            Self::CantComeAlong => "see docs/moving.md",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub kind: FindingKind,
    /// Its subject: a path, an asset, or a sentence.
    pub subject: String,
}

impl Finding {
    /// Creates a finding.
    pub(crate) fn new(kind: FindingKind, subject: impl Into<String>) -> Self {
        Self { kind, subject: subject.into() }
    }
}

/// All findings, by kind, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Findings(BTreeMap<FindingKind, BTreeSet<String>>);

impl Findings {
    /// Adds a finding. A second one about the same subject adds nothing.
    pub(crate) fn add(&mut self, kind: FindingKind, subject: impl Into<String>) {
        self.0.entry(kind).or_default().insert(subject.into());
    }

    /// Iterates over the kinds and their subjects.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (FindingKind, &BTreeSet<String>)> {
        self.0.iter().map(|(kind, subjects)| (*kind, subjects))
    }

    /// Returns the subjects of one kind.
    #[cfg(test)]
    pub(crate) fn of(&self, kind: FindingKind) -> Vec<&str> {
        self.0.get(&kind).into_iter().flatten().map(String::as_str).collect()
    }
}

impl Extend<Finding> for Findings {
    fn extend<T: IntoIterator<Item = Finding>>(&mut self, findings: T) {
        findings.into_iter().for_each(|finding| self.add(finding.kind, finding.subject));
    }
}
