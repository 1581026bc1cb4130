//! `macadam plan`: previews a sync, with reasons.

use super::args::{Global, PlanArgs};
use super::document;
use super::exit::{CommandFailure, Exit};
use super::output::Printer;
use super::outputs;
use super::plan_text::Outline;
use super::target::{self, ProjectTarget};
use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::report::progress::silent;
use crate::engine::report::run_report::Stop;
use crate::engine::workspace::snapshot::{self, Asker, PlanPreview, RefreshedPreview};
use crate::model::ids::AssetId;
use crate::plan::PlanOptions;

/// Shows the plan.
pub(super) async fn run(output: Printer, global: &Global, args: &PlanArgs) -> Result<Exit, CommandFailure> {
    let target = target::find(global)?;
    let preview = preview(output, global, &target, &PlanOptions::default(), args.refresh).await?;
    if output.is_json() {
        output.document(&document::plan(&preview));
    } else {
        show(output, &preview, global, &target);
    }
    let changes = !preview.plan.steps.is_empty() || preview.lockfile_changes || preview.outputs_change();
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
    if !refresh {
        return Ok(snapshot::preview(&target.project, &target.remote, &silent(), options)?);
    }
    let (client, embedded) = target::connect(global, target, target::credential(global)?).await?;
    let asker = Asker { client, stop: Shutdown::default() };
    let looked = snapshot::preview_refreshed(&target.project, &target.remote, &silent(), options, &asker).await;
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    let (preview, RefreshedPreview { unasked, stop }) = looked?;
    if let Some(Stop::Credential { message, hint }) = stop {
        return Err(CommandFailure::new(Exit::Credential, message).hint(hint));
    }
    for (asset_id, why) in unasked {
        output.warning(self::unasked(asset_id, &why));
    }
    Ok(preview)
}

/// The warning about an asset that Roblox could not be asked about.
pub(super) fn unasked(asset_id: AssetId, why: &str) -> String {
    format!("asset {asset_id} couldn't be checked; assuming that it hasn't changed: {why}")
}

/// Prints a plan for a person.
pub(super) fn show(output: Printer, preview: &PlanPreview, global: &Global, target: &ProjectTarget) {
    for note in &preview.gathered.notes {
        output.warning(&note.message);
    }
    let PlanPreview { gathered, recorded, plan, lockfile_changes, outputs } = preview;
    let (all, rehearsal) = (global.verbose > 0, global.emulator);
    let outline = Outline { plan, desired: &gathered.desired, recorded, all, rehearsal };
    for line in outline.lines() {
        output.line(line);
    }
    if *lockfile_changes && plan.steps.is_empty() {
        output.line(format!("{} would change.", target.project.lockfile_name()));
    }
    outputs::show_planned(output, outputs, plan);
}
