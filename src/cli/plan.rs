//! `macadam plan`: previews a sync, with reasons.

use std::collections::BTreeMap;

use super::args::{Global, PlanArgs};
use super::document;
use super::exit::{CommandFailure, Exit, ReportedProblem};
use super::github::AnnotationLevel;
use super::output::{Printer, annotate, annotates};
use super::outputs;
use super::part::{self, LeftOut};
use super::plan_text::{self, Outline};
use super::progress::Bars;
use super::target::{self, ProjectTarget};
use super::warnings;
use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::report::run_report::Stop;
use crate::engine::workspace::project::Project;
use crate::engine::workspace::settled::{self, NothingToDo};
use crate::engine::workspace::snapshot::{self, Asker, PlanPreview, RefreshedPreview};
use crate::manifest::EntryLines;
use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::plan::{Hold, HoldKind, PlanOptions, Restriction};

/// Shows the plan.
pub(super) async fn run(output: Printer, global: &Global, args: &PlanArgs) -> Result<Exit, CommandFailure> {
    let target = target::find(global)?;
    if !global.emulator
        && !args.refresh
        && args.addresses.is_empty()
        && let Some(NothingToDo { assets, outputs }) = settled::check(&target.project, &target.remote)
    {
        if output.is_json() {
            output.document(&document::nothing_planned(&outputs));
        } else {
            output.summary(plan_text::nothing_to_do(assets));
        }
        return Ok(Exit::Success);
    }
    let part = part::read(&target, &args.addresses)?;
    let options = PlanOptions { only: part.clone(), ..PlanOptions::default() };
    let preview = preview(output, global, &target, &options, args.refresh).await?;
    let left_out = part.as_ref().map(|part| LeftOut::look(&target, part, &preview.plan.steps)).transpose()?;
    if output.is_json() {
        let mut document = document::plan(&preview);
        if let (Some(left_out), Some(fields)) = (&left_out, document.as_object_mut()) {
            fields.insert("part".to_owned(), left_out.document());
        }
        output.document(&document);
    } else {
        show(output, &preview, part.as_ref(), global, &target);
        if let Some(left_out) = &left_out {
            left_out.print(output);
        }
        if preview.plan.held.iter().any(|hold| hold.kind() != HoldKind::Waiting) {
            super::output::caution("A sync fails while assets are on hold or rejected.");
        }
    }
    let changes = !preview.plan.steps.is_empty() || preview.lockfile_changes.any || preview.outputs_change();
    let concerns = |address: &Address| part.as_ref().is_none_or(|part| part.addresses.contains(address));
    // A sync needs no file for what is pinned.
    let holds = |address: &Address| preview.plan.held.iter().any(|hold| hold.address == *address);
    let unusable = |address: &Address| concerns(address) && holds(address);
    if preview.gathered.desired.assets.iter().any(|(address, wanted)| wanted.content.is_err() && unusable(address)) {
        return Ok(Exit::Unreconciled);
    }
    // A sync can't mend it, unlike a file that is only out of date.
    if preview.outputs_fail() {
        return Ok(Exit::Unreconciled);
    }
    if args.detailed_exitcode && changes {
        return Ok(Exit::Changes);
    }
    Ok(Exit::Success)
}

/// Previews a sync, and with `refresh` asks Roblox about every asset first.
///
/// # Errors
/// When manifest, state or lockfile can't be used, or with `refresh` Roblox refuses the key.
pub(super) async fn preview(
    output: Printer,
    global: &Global,
    target: &ProjectTarget,
    options: &PlanOptions,
    refresh: bool,
) -> Result<PlanPreview, CommandFailure> {
    let bars = Bars::only_printed(output);
    if !refresh {
        let preview = snapshot::preview(&target.project, &target.remote, &bars.listener(), options);
        bars.clear();
        return Ok(preview?);
    }
    let (client, embedded) = target::connect(global, target, target::credential(global, target)?).await?;
    let asker = Asker { client, stop: Shutdown::default() };
    let looked = snapshot::preview_refreshed(&target.project, &target.remote, &bars.listener(), options, &asker).await;
    bars.clear();
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    let (preview, RefreshedPreview { unasked, stop }) = looked?;
    if let Some(Stop::Credential { message, hint }) = stop {
        return Err(CommandFailure::new(Exit::Credential, message).hint(hint));
    }
    warn_of_unasked(output, &unasked);
    Ok(preview)
}

/// Warns of assets that Roblox could not be asked about, once for each reason.
pub(super) fn warn_of_unasked(output: Printer, unasked: &[(AssetId, String)]) {
    let mut reasons: BTreeMap<&str, Vec<AssetId>> = BTreeMap::new();
    for (asset_id, why) in unasked {
        reasons.entry(why).or_default().push(*asset_id);
    }
    for (why, assets) in reasons {
        output.warning(match assets.as_slice() {
            [asset_id] => format!("asset {asset_id} couldn't be checked; assuming that it hasn't changed: {why}"),
            several => {
                let count = several.len();
                format!("{count} assets couldn't be checked; assuming that they haven't changed: {why}")
            }
        });
    }
}

/// Prints a plan for a person: of the project, or of a `part`.
pub(super) fn show(
    output: Printer,
    preview: &PlanPreview,
    part: Option<&Restriction>,
    global: &Global,
    target: &ProjectTarget,
) {
    warnings::warn(output, &preview.gathered.notes);
    annotate_holds(&preview.plan.held, &target.project, || Some(preview.gathered.manifest.lines()));
    let PlanPreview { gathered, recorded, plan, lockfile_changes, .. } = preview;
    let (all, rehearsal) = (global.verbose > 0, global.emulator);
    let part = part.map(|part| &part.addresses);
    let outline = Outline { plan, desired: &gathered.desired, recorded, part, all, rehearsal };
    let mut lines = outline.lines();
    let summary = lines.pop();
    lines.into_iter().for_each(|line| output.line(line));
    summary.into_iter().for_each(|line| output.summary(line));
    if lockfile_changes.any && plan.steps.is_empty() {
        let lost: Vec<&Address> = preview.taken_back.iter().collect();
        let why = match lost.as_slice() {
            [] => lockfile_changes.to_string(),
            lost => format!("it lost what git still has of {}", plan_text::together(lost, all)),
        };
        let why = if why.is_empty() { why } else { format!(": {why}") };
        output.line(format!("{} would change{why}.", target.project.lockfile_name()));
    }
    outputs::show_planned(output, preview, all);
    warnings::warn_of_untracked(output, &gathered.notes);
}

/// Annotates what is not done, at its line of the manifest. What only waits for Roblox is nobody's
/// to look at.
pub(super) fn annotate_holds(held: &[Hold], project: &Project, lines: impl FnOnce() -> Option<EntryLines>) {
    if held.is_empty() || !annotates() {
        return;
    }
    let lines = lines();
    for hold in held {
        let level = match hold.kind() {
            HoldKind::Failed | HoldKind::Rejected => AnnotationLevel::Error,
            HoldKind::Held => AnnotationLevel::Warning,
            HoldKind::Waiting => continue,
        };
        let message = format!("{}: {}", hold.address, hold.reason);
        annotate(level, at_entry(project, lines.as_ref(), &hold.address, message, hold.hint()));
    }
}

/// A problem of an asset, at its line of the manifest.
pub(super) fn at_entry(
    project: &Project,
    lines: Option<&EntryLines>,
    address: &Address,
    message: String,
    hint: Option<String>,
) -> ReportedProblem {
    let line = lines.and_then(|lines| lines.of_address(address));
    ReportedProblem { message, hint, file: Some(project.manifest_name()), line, column: None }
}
