//! The files of `[[outputs]]`: made from the desired and the recorded state, compared with the
//! disk, and written where they differ.
//!
//! The asset ID of an address follows from the file's content, the pins and the history
//! ([`for_game`]). So a clone with only the lockfile writes the same bytes as the machine that
//! uploaded. Outputs are independent: a failed or refused one doesn't stop the others.
//!
//! Read next: [`crate::outputs`] for the contents of a file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::engine::workspace::project::Project;
use crate::manifest::{self, MAX_BYTES, Manifest, OutputFilter};
use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::former;
use crate::model::ids::AssetId;
use crate::model::missing_lockfile::Lost;
use crate::model::output::{MissingAsset, Output};
use crate::model::path::ProjectPath;
use crate::model::recorded::{Record, Recorded};
use crate::model::shown::with_causes;
use crate::outputs::file::{FileComparison, compare, replace};
use crate::outputs::mark::{self, Maker};
use crate::outputs::{AssetIds, KeyPath, RenderError, keys, render};
use crate::plan::current::{for_game, last};
use crate::plan::{Action, Plan, Step};
use crate::platform::own_file;

/// One output, made and compared with its file.
#[derive(Debug)]
pub(crate) struct RenderedOutput {
    /// The path of its file.
    pub path: ProjectPath,
    /// Its part of the manifest.
    output: Output,
    /// The addresses that it selects.
    selection: OutputFilter,
    /// Its text and the comparison with the file, or why there is none.
    content: Result<(String, FileComparison), OutputProblem>,
    /// The manifest of the same name in a folder below that makes the same file.
    nearer: Option<String>,
}

/// Why an output is not written, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutputProblem {
    /// The problem: lower case, no full stop.
    pub message: String,
    /// The remedy.
    pub hint: Option<String>,
    /// The addresses whose missing asset IDs are all that is wrong.
    pub lacking: Vec<Address>,
}

/// The state of an output's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OutputState {
    /// It is up to date.
    UpToDate,
    /// It was just written.
    Written,
    /// It is absent or differs, and may be written.
    OutOfDate,
    /// Macadam didn't make the existing file, so it is not touched.
    Refused(OutputProblem),
    /// It can't be made, read or written.
    Failed(OutputProblem),
}

impl OutputState {
    /// Returns the name in output.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::UpToDate => "up_to_date",
            Self::Written => "written",
            Self::OutOfDate => "out_of_date",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
        }
    }

    /// Returns the problem, if there is one.
    pub(crate) const fn problem(&self) -> Option<&OutputProblem> {
        match self {
            Self::Refused(problem) | Self::Failed(problem) => Some(problem),
            Self::UpToDate | Self::Written | Self::OutOfDate => None,
        }
    }

    /// Returns whether the file is Macadam's and up to date.
    pub(crate) const fn is_current(&self) -> bool {
        matches!(self, Self::UpToDate | Self::Written)
    }
}

/// An output after a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutputFile {
    /// The path of its file.
    pub path: ProjectPath,
    pub state: OutputState,
    /// The keys that the file had before and no longer has, with `/` between nested tables: code that
    /// uses one fails.
    pub keys_gone: Vec<String>,
}

/// Returns the asset ID that the game gets for each address of the manifest and of `[existing]`.
/// Includes addresses that are absent here but not removed, such as files of a folder that isn't
/// mounted. One that is uploaded again for another owner keeps its old asset ID until then.
pub(crate) fn asset_ids(desired: &Desired, recorded: &Recorded) -> AssetIds {
    let given = |address: &Address, record: &Record| for_game(desired, address, record).map(|(key, _)| key.asset_id);
    let wanted = desired.assets.keys().map(|address| {
        let record = recorded.assets.get(address);
        (address.clone(), record.and_then(|record| given(address, record)))
    });
    let absent = recorded.assets.iter().filter(|(address, record)| {
        let is_ours =
            record.in_lockfile.is_of(&desired.checkout) && !record.removed && !desired.assets.contains_key(*address);
        is_ours && desired.is_absence_in_doubt(&record.identity.path).is_some()
    });
    let absent = absent.map(|(address, record)| (address.clone(), given(address, record)));
    let existing = desired.existing.iter().map(|(address, asset_id)| (address.clone(), Some(*asset_id)));
    let mut ids: AssetIds = absent.chain(wanted).chain(existing).collect();
    if ids.values().any(Option::is_none) {
        for (address, asset_id) in of_earlier_owners(desired, recorded) {
            if let Some(lacking @ None) = ids.get_mut(&address) {
                *lacking = Some(asset_id);
            }
        }
    }
    ids
}

/// Returns what the game was given for addresses that were kept for an earlier owner: of several the
/// newest, unless Macadam archived it. Asset IDs grow.
fn of_earlier_owners(desired: &Desired, recorded: &Recorded) -> BTreeMap<Address, AssetId> {
    let mut newest = BTreeMap::new();
    for (former, record) in &recorded.assets {
        let Some(address) = former::address_of(former, record.identity.creator) else { continue };
        let is_archived = |asset_id: &AssetId| {
            record.retirements.get(asset_id).is_some_and(|retirement| retirement.archived_at.is_some())
        };
        let given = last(record).map(|(key, _)| key.asset_id).filter(|asset_id| !is_archived(asset_id));
        if let Some(asset_id) = given.filter(|_| record.in_lockfile.is_of(&desired.checkout)) {
            let known = newest.entry(address).or_insert(asset_id);
            *known = asset_id.max(*known);
        }
    }
    newest
}

/// Makes every output of a manifest and compares it with its file. While the lockfile is `lost`, one
/// that would lack an asset ID is left as it is: the ID may be in that lockfile. Blocks: it reads the
/// disk.
pub(crate) fn draft(
    project: &Project,
    manifest: &Manifest,
    asset_ids: &AssetIds,
    lost: Option<&Lost>,
) -> Vec<RenderedOutput> {
    let draft = |output: &Output| {
        let selection = OutputFilter::of(output);
        let made = match lost.filter(|_| lacks_an_id(&selection, asset_ids)) {
            Some(lost) => Err(OutputProblem {
                message: format!("left as it is: {lost}"),
                hint: Some(lost.hint()),
                lacking: Vec::new(),
            }),
            None => make(project, output, &selection, asset_ids),
        };
        let mut nearer = None;
        let content = made.and_then(|text| match compare(&project.outputs, &output.path, &text) {
            Ok(FileComparison::Differs { maker: Maker::Macadam, content }) => {
                nearer = nearer_manifest(project, &output.path);
                let is_other = nearer.is_some() || has_other_manifest(project, &content);
                let maker = if is_other { Maker::OtherManifest } else { Maker::Macadam };
                Ok((text, FileComparison::Differs { maker, content }))
            }
            Ok(comparison) => Ok((text, comparison)),
            Err(error) => Err(OutputProblem { message: with_causes(&error), hint: error.hint(), lacking: Vec::new() }),
        });
        RenderedOutput { path: output.path.clone(), output: output.clone(), selection, content, nearer }
    };
    manifest.outputs().iter().map(draft).collect()
}

/// Tells a file that another manifest beside this one makes from one of a manifest that was renamed.
fn has_other_manifest(project: &Project, content: &[u8]) -> bool {
    let is_other = |name: &String| *name != project.manifest_name() && project.root.join(name).is_file();
    mark::manifest(content).as_ref().is_some_and(is_other)
}

/// Returns the manifest of the same name, in a folder below this one, that makes the file at `path`
/// too. The file's mark doesn't tell the two apart.
fn nearer_manifest(project: &Project, path: &ProjectPath) -> Option<String> {
    let (file, name) = (Path::new(path.as_str()), project.manifest_name());
    let mut folders = file.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    let makes_it = |folder: &&Path| {
        let text = own_file::read(&project.root.join(folder).join(&name), MAX_BYTES as u64).ok();
        let manifest = text.and_then(|text| manifest::parse(&text, &name).ok());
        manifest
            .is_some_and(|manifest| manifest.outputs().iter().any(|output| folder.join(output.path.as_str()) == file))
    };
    let folder = folders.find(makes_it)?;
    Some(format!("{}/{name}", folder.display()))
}

fn lacks_an_id(selection: &OutputFilter, asset_ids: &AssetIds) -> bool {
    asset_ids.iter().any(|(address, asset_id)| asset_id.is_none() && selection.fits(address))
}

/// An address for which an output's file still has an earlier asset ID of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChangedAssetId {
    pub address: Address,
    /// What the file has.
    pub from: AssetId,
    /// What it gets.
    pub to: AssetId,
}

impl RenderedOutput {
    /// Returns the addresses whose asset ID in the file becomes another one of theirs, as `plan` finds
    /// them now. What moderation, a pin or earlier bytes mean for the game shows here even where
    /// nothing is to do at Roblox, and in a clone that doesn't know what was in use before.
    pub(crate) fn changed_asset_ids(&self, asset_ids: &AssetIds, recorded: &Recorded) -> Vec<ChangedAssetId> {
        let Ok((text, FileComparison::Differs { maker: Maker::Macadam, content })) = &self.content else {
            return Vec::new();
        };
        let [before, after] = [content.as_slice(), text.as_bytes()].map(numbers);
        let left: BTreeSet<u64> = before.difference(&after).copied().collect();
        let changed = |(address, asset_id): (&Address, &Option<AssetId>)| {
            let to = (*asset_id).filter(|to| !before.contains(&to.get()) && self.selection.fits(address))?;
            let own = recorded.assets.get(address)?.history.assets();
            let from = own.into_iter().rev().find(|from| left.contains(&from.get()))?;
            Some(ChangedAssetId { address: address.clone(), from, to })
        };
        asset_ids.iter().filter_map(changed).collect()
    }

    /// Returns the state of the file before any write.
    pub(crate) fn state(&self) -> OutputState {
        match &self.content {
            Ok((_, FileComparison::Same)) => OutputState::UpToDate,
            Ok((_, FileComparison::Absent | FileComparison::Differs { maker: Maker::Macadam, .. })) => {
                OutputState::OutOfDate
            }
            Ok((_, FileComparison::Differs { maker, content })) => {
                OutputState::Refused(not_ours(*maker, content, self.nearer.as_deref()))
            }
            Err(problem) => OutputState::Failed(problem.clone()),
        }
    }

    /// Returns who made a file that is not Macadam's; `None` if it is Macadam's, or absent.
    pub(crate) fn other_maker(&self) -> Option<Maker> {
        match &self.content {
            Ok((_, FileComparison::Differs { maker, .. })) if *maker != Maker::Macadam => Some(*maker),
            Ok(_) | Err(_) => None,
        }
    }

    /// Returns whether the file would be written.
    pub(crate) fn is_due(&self) -> bool {
        self.state() == OutputState::OutOfDate
    }

    /// Returns whether it asks for an address.
    pub(crate) fn asks_for(&self, address: &Address) -> bool {
        self.selection.fits(address)
    }

    /// Returns its state as `plan` leaves it: one that lacks nothing but asset IDs that the plan brings,
    /// or waits for, is written then.
    pub(crate) fn planned_state(&self, plan: &Plan) -> OutputState {
        let state = self.state();
        let lacking = state.problem().map(|problem| &problem.lacking).filter(|lacking| !lacking.is_empty());
        let comes = |address: &Address| plan.steps.iter().any(|step| step.address == *address && is_awaited(step));
        let waits = lacking.is_some_and(|lacking| lacking.iter().all(comes));
        if waits { OutputState::OutOfDate } else { state }
    }

    /// Returns the keys that the file has and that it lacks after `plan`.
    pub(crate) fn keys_gone(&self, asset_ids: &AssetIds, plan: &Plan) -> Vec<String> {
        let Ok((_, FileComparison::Differs { maker: Maker::Macadam, content })) = &self.content else {
            return Vec::new();
        };
        let has_id = |address: &Address, asset_id: Option<AssetId>| {
            asset_id.is_some() || plan.steps.iter().any(|step| step.address == *address && is_awaited(step))
        };
        let omits = self.output.missing == MissingAsset::Omit;
        let stays = |address: &Address, asset_id| self.selection.fits(address) && (!omits || has_id(address, asset_id));
        let after = asset_ids.iter().filter(|(address, asset_id)| stays(address, **asset_id));
        let after: AssetIds = after.map(|(address, asset_id)| (address.clone(), *asset_id)).collect();
        // An asset ID that comes later has its key already.
        let whole = Output { missing: MissingAsset::Empty, ..self.output.clone() };
        render(&whole, "", &after).map_or_else(|_| Vec::new(), |text| self.keys_without(content, &text))
    }

    /// Returns the keys that the file loses if it is written now.
    pub(crate) fn keys_gone_now(&self) -> Vec<String> {
        match &self.content {
            Ok((text, FileComparison::Differs { maker: Maker::Macadam, content })) => self.keys_without(content, text),
            Ok(_) | Err(_) => Vec::new(),
        }
    }

    /// Returns the keys that one text of the output has and a later one lacks.
    fn keys_without(&self, before: &[u8], after: &str) -> Vec<String> {
        let language = self.output.language;
        let before: BTreeSet<KeyPath> = keys(language, &String::from_utf8_lossy(before));
        before.difference(&keys(language, after)).map(|key| key.join("/")).collect()
    }

    /// Returns how many of its addresses get another asset ID by the steps of `plan`.
    pub(crate) fn new_asset_ids(&self, plan: &Plan) -> usize {
        plan.steps.iter().filter(|step| brings_id(step) && self.selection.fits(&step.address)).count()
    }

    /// Returns how many of these asset IDs are not known yet.
    pub(crate) fn unknown_asset_ids(&self, plan: &Plan) -> usize {
        let unknown = |action: &Action| {
            matches!(action, Action::Create(_) | Action::Replace { .. } | Action::Share { key: None, .. })
        };
        plan.steps.iter().filter(|step| unknown(&step.action) && self.selection.fits(&step.address)).count()
    }

    /// Writes the file if it is due, or if it is not Macadam's and should be `adopted`. Blocks
    /// until it is durable.
    pub(crate) fn write(self, project: &Project, adopted: bool) -> OutputFile {
        let due = self.is_due() || (adopted && self.other_maker().is_some());
        let state = match (&self.content, due) {
            (Ok((text, seen)), true) => {
                match replace(&project.outputs, &self.path, project.lockfile_access, text, seen) {
                    Ok(()) => OutputState::Written,
                    Err(error) => OutputState::Failed(OutputProblem {
                        message: with_causes(&error),
                        hint: error.hint(),
                        lacking: Vec::new(),
                    }),
                }
            }
            _ => self.state(),
        };
        let keys_gone = if state == OutputState::Written { self.keys_gone_now() } else { Vec::new() };
        OutputFile { path: self.path, state, keys_gone }
    }
}

/// Whether a step gives its address another asset ID.
fn brings_id(step: &Step) -> bool {
    matches!(step.action, Action::Create(_) | Action::Replace { .. } | Action::Share { .. })
}

/// Whether a step gives its address an asset ID, now or later.
fn is_awaited(step: &Step) -> bool {
    brings_id(step) || matches!(step.action, Action::Wait { .. })
}

/// The numbers in a text, among them the asset IDs of an output in any language.
fn numbers(text: &[u8]) -> BTreeSet<u64> {
    let digits = text.split(|byte| !byte.is_ascii_digit());
    digits.filter_map(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).collect()
}

fn not_ours(maker: Maker, content: &[u8], nearer: Option<&str>) -> OutputProblem {
    let (message, hint) = match maker {
        Maker::OtherManifest => (
            format!(
                "it has the asset IDs of {}, so Macadam doesn't overwrite it",
                nearer
                    .map(str::to_owned)
                    .or_else(|| mark::manifest(content))
                    .unwrap_or_else(|| "another manifest".to_owned())
            ),
            "give one of the two outputs another `path`; `macadam outputs --adopt` overwrites it".to_owned(),
        ),
        Maker::Other(tool) => (
            format!("{tool} made this file, so Macadam doesn't overwrite it"),
            "`macadam outputs --adopt` overwrites it".to_owned(),
        ),
        Maker::Unknown | Maker::Macadam => (
            "its first line isn't Macadam's, so it may hold somebody's work, and Macadam doesn't overwrite it"
                .to_owned(),
            "move it away, give the output another `path`, or let Macadam overwrite it with `macadam outputs --adopt`"
                .to_owned(),
        ),
    };
    OutputProblem { message, hint: Some(hint), lacking: Vec::new() }
}

/// Returns the text of one output.
fn make(
    project: &Project,
    output: &Output,
    selection: &OutputFilter,
    asset_ids: &AssetIds,
) -> Result<String, OutputProblem> {
    let held = asset_ids.iter().filter(|(address, _)| selection.fits(address));
    let held: AssetIds = held.map(|(address, asset_id)| (address.clone(), *asset_id)).collect();
    let made = render(output, &project.manifest_name(), &held);
    made.map_err(|error| {
        let (message, hint) = (error.to_string(), Some(error.hint()));
        let lacking = if let RenderError::Missing(addresses) = error { addresses } else { Vec::new() };
        OutputProblem { message, hint, lacking }
    })
}

/// Returns problems of outputs that exist whatever the asset IDs are: colliding keys, usually.
/// Reads no file.
pub(crate) fn mistakes(project: &Project, manifest: &Manifest, desired: &Desired) -> Vec<(ProjectPath, OutputProblem)> {
    if manifest.outputs().is_empty() {
        return Vec::new();
    }
    let asset_ids = asset_ids(desired, &Recorded::default());
    let mistake = |output: &Output| {
        let complete = Output { missing: MissingAsset::Omit, ..output.clone() };
        let made = make(project, &complete, &OutputFilter::of(output), &asset_ids);
        made.err().map(|problem| (output.path.clone(), problem))
    };
    manifest.outputs().iter().filter_map(mistake).collect()
}

/// Returns the output files that Macadam made. Blocks: it reads the disk.
pub(crate) fn ours(project: &Project, manifest: &Manifest) -> Vec<PathBuf> {
    let made = |path: &ProjectPath| {
        matches!(compare(&project.outputs, path, ""), Ok(FileComparison::Differs { maker: Maker::Macadam, .. }))
    };
    let outputs = manifest.outputs().iter().map(|output| &output.path).filter(|path| made(path));
    outputs.map(|path| project.outputs.join(path.as_str())).collect()
}

/// Writes the outputs that are due. Blocks until they are durable.
pub(crate) fn write(project: &Project, drafts: Vec<RenderedOutput>) -> Vec<OutputFile> {
    drafts.into_iter().map(|draft| draft.write(project, false)).collect()
}
