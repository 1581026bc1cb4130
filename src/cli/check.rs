//! `macadam check`: the manifest and every file, without network, key or state.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::args::Global;
use super::exit::{Exit, Failure};
use super::output::{Output, Tone, paint, plural};
use super::target;
use crate::engine::gather::gather;
use crate::engine::progress::silent;
use crate::files::Unsettled;
use crate::model::file::FileCache;

/// Checks everything that can be checked offline.
pub fn run(output: Output, global: &Global) -> Result<Exit, Failure> {
    let project = target::find_files(global)?;
    let gathered = gather(&project, &FileCache::new(), &BTreeSet::new(), &Unsettled::default(), &silent())?;
    let desired = &gathered.desired;
    let files = desired.assets.iter().filter_map(|(address, want)| {
        want.content.as_ref().err().map(|problem| (address, want.path.as_str(), problem))
    });
    let unseen = desired.unseen.iter().map(|unseen| (&unseen.place, unseen.place.as_str(), &unseen.problem));
    let problems: Vec<_> = files.chain(unseen).collect();
    if output.is_json() {
        let errors: Vec<Value> = problems
            .iter()
            .map(|(address, path, problem)| {
                json!({
                    "message": format!("{address}: {}", problem.message), "hint": problem.hint, "file": path,
                    "line": null, "column": null, "address": address.as_str(),
                })
            })
            .collect();
        output.document(&json!({ "assets": desired.assets.len(), "errors": errors }));
    }
    for note in &gathered.notes {
        output.warning(&note.message);
    }
    for (address, path, problem) in &problems {
        let shown = if address.as_str() == *path { address.to_string() } else { format!("{address} ({path})") };
        output.line(format!("{} {shown}: {}", paint(Tone::Bad, "error"), problem.message));
        if let Some(hint) = &problem.hint {
            output.line(format!("      {} {hint}", paint(Tone::Change, "hint")));
        }
    }
    let assets = plural(desired.assets.len() as u64, "asset");
    if problems.is_empty() {
        output
            .line(format!("{} the manifest is valid, and the files of {assets} can be used", paint(Tone::Good, "ok")));
        return Ok(Exit::Success);
    }
    output.line(format!("{} of {assets} can't be used", plural(problems.len() as u64, "file")));
    Ok(Exit::Unreconciled)
}
