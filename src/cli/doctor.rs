//! `macadam doctor`: says what may be wrong, and what to do about it. Writes nothing.

use std::time::Duration;

use serde_json::{Value, json};

use super::args::Global;
use super::credential;
use super::env_file::{self, NearMiss};
use super::exit::{CommandFailure, Exit, ReportedProblem};
use super::github::AnnotationLevel;
use super::output::{Printer, TextStyle, annotate, paint, plural};
use super::progress::Bars;
use super::target;
use crate::cloud::timeouts::Timeouts;
use crate::engine::doctor::check_result::{CheckOutcome, CheckResult, CheckTopic};
use crate::engine::doctor::facts::KeyLookup;
use crate::engine::doctor::{self, LocalCheckup};

/// Checks everything, and prints it.
pub(super) async fn run(output: Printer, global: &Global) -> Result<Exit, CommandFailure> {
    let target = target::find(global)?;
    let bars = Bars::new(output);
    let is_local = target::is_local(global);
    let local =
        tokio::task::block_in_place(|| doctor::local(&target.project, &target.remote, is_local, &bars.listener()));
    bars.clear();
    let LocalCheckup { mut results, creators } = local;
    // A rehearsal has no network, and its key is any.
    if !global.emulator {
        let timeouts = Timeouts::default().at_most(global.patience.unwrap_or(Duration::MAX));
        let (reached, answers) = doctor::network(&target::base(global)?, timeouts).await;
        results.extend(reached);
        let found = key(global, &target, answers).await?;
        results.extend(tokio::task::block_in_place(|| doctor::key(&target.project, &found, &creators)));
        let exposed = tokio::task::block_in_place(|| credential::exposed_env_file(&target.project));
        results.extend(exposed.map(|(message, remedy)| CheckResult::warning(CheckTopic::Key, message, remedy)));
    }
    let errors = count(&results, CheckOutcome::Error);
    if output.is_json() {
        let checks: Vec<Value> = results.iter().map(document).collect();
        output.document(&json!({ "checks": checks, "healthy": errors == 0 }));
    } else {
        show(output, &results);
    }
    Ok(if errors == 0 { Exit::Success } else { Exit::Unreconciled })
}

/// What Roblox says about the key, where there is one and Roblox `answers`.
async fn key(global: &Global, target: &target::ProjectTarget, answers: bool) -> Result<KeyLookup, CommandFailure> {
    let credential = match credential::find_any(global.api_key_file.as_deref(), &target.project) {
        Ok(Some(credential)) => credential,
        Ok(None) => {
            let near = tokio::task::block_in_place(|| env_file::near_miss(&target.project.root));
            return Ok(KeyLookup::Missing { near: near.map(|NearMiss { fault, remedy }| (fault, remedy)) });
        }
        Err(failure) => {
            let problem = failure.problems.into_iter().next().unwrap_or_default();
            return Ok(KeyLookup::Unusable { message: problem.message, hint: problem.hint });
        }
    };
    if !answers {
        return Ok(KeyLookup::Unasked { why: "Roblox can't be asked about the key".to_owned() });
    }
    let (client, _) = target::connect(global, target, credential).await?;
    Ok(doctor::ask_about_key(&client).await)
}

fn count(results: &[CheckResult], outcome: CheckOutcome) -> u64 {
    results.iter().filter(|result| result.outcome == outcome).count() as u64
}

/// Prints the results for a person.
fn show(output: Printer, results: &[CheckResult]) {
    for CheckResult { topic, outcome, message, hint } in results {
        if output.is_quiet() && *outcome < CheckOutcome::Warning {
            continue;
        }
        let (style, word) = match outcome {
            CheckOutcome::Fine => (TextStyle::Good, "ok"),
            CheckOutcome::Unchecked => (TextStyle::Quiet, "unchecked"),
            CheckOutcome::Warning => (TextStyle::Warning, "warning"),
            CheckOutcome::Error => (TextStyle::Bad, "error"),
        };
        let topic = topic.name().replace('_', " ");
        output.line(format!("{} {topic}: {message}", paint(style, format!("{word:<9}"))));
        if let Some(hint) = hint {
            output.line(format!("          {} {hint}", paint(TextStyle::Change, "hint:")));
        }
        let level = match outcome {
            CheckOutcome::Error => AnnotationLevel::Error,
            CheckOutcome::Warning => AnnotationLevel::Warning,
            CheckOutcome::Fine | CheckOutcome::Unchecked => continue,
        };
        let (message, hint) = (format!("{topic}: {message}"), hint.clone());
        annotate(level, ReportedProblem { message, hint, ..ReportedProblem::default() });
    }
    let (errors, warnings) = (count(results, CheckOutcome::Error), count(results, CheckOutcome::Warning));
    output.summary(match (errors, warnings) {
        (0, 0) => paint(TextStyle::Good, "No problems found."),
        (0, warnings) => format!("{} {}.", paint(TextStyle::Good, "Nothing is broken:"), plural(warnings, "warning")),
        (errors, 0) => format!("{} {}.", paint(TextStyle::Bad, "Found"), plural(errors, "problem")),
        (errors, warnings) => {
            let (errors, warnings) = (plural(errors, "problem"), plural(warnings, "warning"));
            format!("{} {errors} and {warnings}.", paint(TextStyle::Bad, "Found"))
        }
    });
}

fn document(CheckResult { topic, outcome, message, hint }: &CheckResult) -> Value {
    json!({ "check": topic.name(), "result": outcome.name(), "message": message, "hint": hint })
}
