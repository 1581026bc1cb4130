//! `macadam plan`: what `sync` would do, and why.

use super::args::{Global, PlanArgs};
use super::document;
use super::exit::{Exit, Failure};
use super::output::{Output, Tone, paint, plural};
use super::target::{self, Target};
use crate::engine::progress::silent;
use crate::engine::report::Stop;
use crate::engine::stop::StopSwitch;
use crate::engine::view::{self, Asker, Looked, Preview};
use crate::plan::{HoldKind, Plan, Wishes, step};

/// Shows the plan.
pub async fn run(output: Output, global: &Global, args: &PlanArgs) -> Result<Exit, Failure> {
    let target = target::find(global)?;
    let preview = preview(output, global, &target, &Wishes::default(), args.refresh).await?;
    if output.is_json() {
        output.document(&document::plan(&preview.plan, &preview.recorded, preview.lockfile_changes));
    } else {
        for note in &preview.gathered.notes {
            output.warning(&note.message);
        }
        show(output, &preview.plan, preview.gathered.desired.assets.len() as u64);
        if preview.lockfile_changes && preview.plan.steps.is_empty() {
            output.line("the lockfile would be written");
        }
    }
    let changes = !preview.plan.steps.is_empty() || preview.lockfile_changes;
    if args.detailed_exitcode && changes {
        return Ok(Exit::Changes);
    }
    Ok(Exit::Success)
}

/// What a sync would do, after a look at the remote where that is asked for.
///
/// # Errors
/// When manifest, state or lockfile can't be used, or with `refresh` Roblox refuses the key.
pub async fn preview(
    output: Output,
    global: &Global,
    target: &Target,
    wishes: &Wishes,
    refresh: bool,
) -> Result<Preview, Failure> {
    if !refresh {
        return Ok(view::preview(&target.project, &target.remote, &silent(), wishes)?);
    }
    let (client, embedded) = target::connect(global, target, target::credential(global)?).await?;
    let asker = Asker { client, stop: StopSwitch::default() };
    let looked = view::preview_refreshed(&target.project, &target.remote, &silent(), wishes, &asker).await;
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    let (preview, Looked { unasked, stop }) = looked?;
    if let Some(Stop::Credential { message, hint }) = stop {
        return Err(Failure::new(Exit::Credential, message).hint(hint));
    }
    for (asset_id, why) in unasked {
        output.warning(format!("asset {asset_id} could not be looked at, and is taken as it was: {why}"));
    }
    Ok(preview)
}

/// Prints a plan for a person.
pub fn show(output: Output, plan: &Plan, assets: u64) {
    for step in &plan.steps {
        let asset = step.action.asset_id().map(|id| format!(" (asset {id})")).unwrap_or_default();
        let name = paint(Tone::Change, format!("{:<15}", step.action.name()));
        output.line(format!("{name} {}{asset}", step.address));
        output.line(format!("                {}", paint(Tone::Quiet, &step.reason)));
        if let Some(time) = step.not_before {
            output.line(format!(
                "                {}",
                paint(Tone::Quiet, format!("not before {time}: an earlier try failed"))
            ));
        }
    }
    show_holds(output, plan);
    if plan.steps.is_empty() && plan.held.is_empty() {
        output.line(format!("{} {}, nothing to do", paint(Tone::Good, "in sync:"), plural(assets, "asset")));
        return;
    }
    let counts: Vec<String> = step::count(plan).into_iter().map(|(name, count)| format!("{count} {name}")).collect();
    output.line(format!("\n{} of {}", counts.join(", "), plural(assets, "asset")));
}

/// Prints what is not done, and why.
pub fn show_holds(output: Output, plan: &Plan) {
    for hold in &plan.held {
        let tone = if hold.kind == HoldKind::Held { Tone::Warning } else { Tone::Bad };
        let name = paint(tone, format!("{:<15}", hold.kind.to_string()));
        output.line(format!("{name} {}", hold.address));
        output.line(format!("                {}", hold.reason));
        if let Some(hint) = &hold.hint {
            output.line(format!("                {} {hint}", paint(Tone::Change, "hint:")));
        }
    }
    for note in &plan.notes {
        let address = note.address.as_ref().map(|address| format!("{address}: ")).unwrap_or_default();
        output.line(format!("{} {address}{}", paint(Tone::Quiet, "note"), note.text));
    }
}
