//! The files of `[[outputs]]`: made from what is wanted and known, compared with the disk, and
//! written where they differ.
//!
//! The asset ID of an address follows from the file's content, the pins and the history
//! ([`for_game`]), so a clone with nothing but the lockfile writes the same bytes as the machine
//! that uploaded. Each output stands for itself: one that can't be made or may not be written keeps
//! no other from being written.
//!
//! Read next: [`crate::outputs`] for what a file holds.

use std::path::PathBuf;

use crate::engine::execute::executor::chain;
use crate::engine::workspace::project::Project;
use crate::manifest::{AddressSelection, Manifest};
use crate::model::desired::Desired;
use crate::model::output::{MissingAsset, Output};
use crate::model::path::ProjectPath;
use crate::model::recorded::Recorded;
use crate::outputs::file::{Comparison, compare, replace};
use crate::outputs::mark::Maker;
use crate::outputs::{AssetIds, render};
use crate::plan::current::for_game;
use crate::plan::{Action, Plan};

/// One output, made and compared with its file.
#[derive(Debug)]
pub(crate) struct OutputDraft {
    /// Where it belongs.
    pub path: ProjectPath,
    /// How it holds addresses.
    selection: AddressSelection,
    /// Its text, and how that compares with the file; or why there is none.
    content: Result<(String, Comparison), OutputProblem>,
}

/// Why an output is not written, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutputProblem {
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// How the file of an output stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OutputState {
    /// It holds what it should.
    UpToDate,
    /// It was written just now.
    Written,
    /// It is absent or holds something else, and may be written.
    OutOfDate,
    /// Macadam didn't make the file that is there, so it is left alone.
    Refused(OutputProblem),
    /// It can't be made, looked at or written.
    Failed(OutputProblem),
}

impl OutputState {
    /// The name in output.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::UpToDate => "up_to_date",
            Self::Written => "written",
            Self::OutOfDate => "out_of_date",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
        }
    }

    /// What is wrong.
    pub(crate) const fn problem(&self) -> Option<&OutputProblem> {
        match self {
            Self::Refused(problem) | Self::Failed(problem) => Some(problem),
            Self::UpToDate | Self::Written | Self::OutOfDate => None,
        }
    }

    /// Whether the file is Macadam's and holds what it should.
    pub(crate) const fn is_current(&self) -> bool {
        matches!(self, Self::UpToDate | Self::Written)
    }
}

/// An output as it was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutputFile {
    /// Where it belongs.
    pub path: ProjectPath,
    /// How it stands.
    pub state: OutputState,
}

/// The asset ID that the game is given for each address: of what is wanted, of `[existing]`, and of
/// what is absent here without having been removed, such as the files of a folder that isn't
/// mounted.
pub(crate) fn asset_ids(desired: &Desired, recorded: &Recorded) -> AssetIds {
    let wanted = desired.assets.iter().map(|(address, want)| {
        let record = recorded.assets.get(address);
        (address.clone(), record.and_then(|record| for_game(Some(want), record)))
    });
    let absent = recorded.assets.iter().filter(|(address, record)| {
        let is_ours = record.in_lockfile && !record.removed && !desired.assets.contains_key(*address);
        is_ours && desired.is_absence_in_doubt(&record.identity.path).is_some()
    });
    let absent = absent.map(|(address, record)| (address.clone(), for_game(None, record)));
    let existing = desired.existing.iter().map(|(address, asset_id)| (address.clone(), Some(*asset_id)));
    absent.chain(wanted).chain(existing).collect()
}

/// Makes every output of a manifest and compares it with its file. Blocks: it reads the disk.
pub(crate) fn draft(project: &Project, manifest: &Manifest, asset_ids: &AssetIds) -> Vec<OutputDraft> {
    let draft = |output: &Output| {
        let selection = AddressSelection::of(output);
        let content = make(project, output, &selection, asset_ids).and_then(|text| {
            match compare(&project.outputs, &output.path, &text) {
                Ok(comparison) => Ok((text, comparison)),
                Err(error) => Err(OutputProblem { message: chain(&error), hint: error.hint() }),
            }
        });
        OutputDraft { path: output.path.clone(), selection, content }
    };
    manifest.outputs().iter().map(draft).collect()
}

impl OutputDraft {
    /// How the file stands before anything is written.
    pub(crate) fn state(&self) -> OutputState {
        match &self.content {
            Ok((_, Comparison::Same)) => OutputState::UpToDate,
            Ok((_, Comparison::Absent | Comparison::Differs { maker: Maker::Macadam, .. })) => OutputState::OutOfDate,
            Ok((_, Comparison::Differs { maker, .. })) => OutputState::Refused(not_ours(*maker)),
            Err(problem) => OutputState::Failed(problem.clone()),
        }
    }

    /// Who made a file that is not Macadam's; `None` where it is, or there is none.
    pub(crate) fn other_maker(&self) -> Option<Maker> {
        match &self.content {
            Ok((_, Comparison::Differs { maker: maker @ (Maker::Other(_) | Maker::Unknown), .. })) => Some(*maker),
            Ok(_) | Err(_) => None,
        }
    }

    /// Whether the file would be written.
    pub(crate) fn is_due(&self) -> bool {
        self.state() == OutputState::OutOfDate
    }

    /// How many addresses of it get another asset ID by the steps of `plan`.
    pub(crate) fn new_asset_ids(&self, plan: &Plan) -> usize {
        let changes =
            |action: &Action| matches!(action, Action::Create(_) | Action::Replace { .. } | Action::Share { .. });
        plan.steps.iter().filter(|step| changes(&step.action) && self.selection.fits(&step.address)).count()
    }

    /// Writes the file if it is due, or if it is somebody else's and to be `adopted`. Blocks until
    /// it is durable.
    pub(crate) fn write(self, project: &Project, adopted: bool) -> OutputFile {
        let due = self.is_due() || (adopted && self.other_maker().is_some());
        let state = match (&self.content, due) {
            (Ok((text, seen)), true) => {
                match replace(&project.outputs, &self.path, project.lockfile_access, text, seen) {
                    Ok(()) => OutputState::Written,
                    Err(error) => OutputState::Failed(OutputProblem { message: chain(&error), hint: error.hint() }),
                }
            }
            _ => self.state(),
        };
        OutputFile { path: self.path, state }
    }
}

fn not_ours(maker: Maker) -> OutputProblem {
    let (message, hint) = match maker {
        Maker::Other(tool) => (
            format!("the file that is there was made by {tool}, so it is left alone"),
            "`macadam outputs --adopt` lets Macadam take it over".to_owned(),
        ),
        Maker::Unknown | Maker::Macadam => (
            "Macadam didn't make the file that is there, so it is left alone".to_owned(),
            "move it away, give the output another `path`, or let Macadam overwrite it with `macadam outputs --adopt`"
                .to_owned(),
        ),
    };
    OutputProblem { message, hint: Some(hint) }
}

/// The text of one output.
fn make(
    project: &Project,
    output: &Output,
    selection: &AddressSelection,
    asset_ids: &AssetIds,
) -> Result<String, OutputProblem> {
    let held = asset_ids.iter().filter(|(address, _)| selection.fits(address));
    let held: AssetIds = held.map(|(address, asset_id)| (address.clone(), *asset_id)).collect();
    let made = render(output, &project.manifest_name(), &held);
    made.map_err(|error| OutputProblem { message: error.to_string(), hint: Some(error.hint()) })
}

/// What is wrong with outputs whichever assets there are: keys that collide, as a rule. Looks at no
/// file.
pub(crate) fn mistakes(project: &Project, manifest: &Manifest, desired: &Desired) -> Vec<(ProjectPath, OutputProblem)> {
    let asset_ids = asset_ids(desired, &Recorded::default());
    let mistake = |output: &Output| {
        let complete = Output { missing: MissingAsset::Omit, ..output.clone() };
        let made = make(project, &complete, &AddressSelection::of(output), &asset_ids);
        made.err().map(|problem| (output.path.clone(), problem))
    };
    manifest.outputs().iter().filter_map(mistake).collect()
}

/// The files of a manifest's outputs that Macadam made. Blocks: it reads the disk.
pub(crate) fn ours(project: &Project, manifest: &Manifest) -> Vec<PathBuf> {
    let made = |path: &ProjectPath| {
        matches!(compare(&project.outputs, path, ""), Ok(Comparison::Differs { maker: Maker::Macadam, .. }))
    };
    let outputs = manifest.outputs().iter().map(|output| &output.path).filter(|path| made(path));
    outputs.map(|path| project.outputs.join(path.as_str())).collect()
}

/// Writes what is due. Blocks until it is durable.
pub(crate) fn write(project: &Project, drafts: Vec<OutputDraft>) -> Vec<OutputFile> {
    drafts.into_iter().map(|draft| draft.write(project, false)).collect()
}
