//! `macadam doctor`: looks for what may be wrong around a project, on its machine and with its key.
//!
//! It gathers facts ([`facts`]) and judges them with pure functions ([`checks`]). It must never
//! write, take a lock or change anything at Roblox, and it needs no key for what can be said
//! without one.

pub(crate) mod check_result;
pub(crate) mod checks;
pub(crate) mod facts;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cloud::base::BaseUrl;
use crate::cloud::client::Client;
use crate::cloud::client::reach::{ReachError, Reached, reach};
use crate::cloud::failure::TransportError;
use crate::cloud::timeouts::Timeouts;
use crate::engine::report::progress::Listener;
use crate::engine::report::run_report::Warning;
use crate::engine::workspace::committed;
use crate::engine::workspace::gather::{GatherError, Gathered, gather_beside, read_manifest};
use crate::engine::workspace::git;
use crate::engine::workspace::project::Project;
use crate::engine::workspace::snapshot::{self, PlanPreview, ViewError};
use crate::manifest::{Diagnostic, Matter};
use crate::model::ids::Creator;
use crate::model::policy::LeavePolicy;
use crate::model::recorded::KnownAddresses;
use crate::model::shown::with_causes;
use crate::plan::PlanOptions;
use crate::platform::{clock, mount};
use crate::state::lock;
use crate::state::stoppage::{self, StoppedWork};
use check_result::{CheckResult, CheckTopic};
use facts::{KeyLookup, Publishing};

/// The longest wait for each of the two requests. A person sits before the screen.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was found on this machine.
#[derive(Debug)]
pub(crate) struct LocalCheckup {
    /// The results.
    pub results: Vec<CheckResult>,
    /// The owners in the manifest.
    pub creators: BTreeSet<Creator>,
}

/// Checks what needs no network, for a remote that is on this machine or isn't. Blocks: it reads the
/// disk, and asks git.
pub(crate) fn local(project: &Project, remote: &str, is_local: bool, listener: &Listener) -> LocalCheckup {
    let (mut results, mut creators) = (Vec::new(), BTreeSet::new());
    let manifest = read_manifest(project);
    let preview = match &manifest {
        Ok((manifest, _)) => {
            creators.insert(manifest.creator());
            snapshot::preview(project, remote, listener, &PlanOptions::default()).map_err(Some)
        }
        Err(_) => Err(None),
    };
    let broken = match (&manifest, &preview) {
        (Err(error), _) | (_, Err(Some(ViewError::Gather(error)))) => Some(error),
        _ => None,
    };
    results.push(match broken {
        Some(GatherError::Manifest { diagnostics, .. }) => {
            let name = project.manifest_name();
            let (mistakes, them, lines) = match diagnostics.len() {
                1 => ("1 mistake".to_owned(), "it", "its line"),
                several => (format!("{several} mistakes"), "them", "their lines"),
            };
            CheckResult::error(
                CheckTopic::Manifest,
                format!("{name} has {mistakes}"),
                Some(format!("`macadam check` shows {them} with {lines}")),
            )
        }
        Some(GatherError::Project(error)) => CheckResult::error(CheckTopic::Manifest, with_causes(error), error.hint()),
        None => CheckResult::fine(CheckTopic::Manifest, format!("{} can be used", project.manifest_name())),
    });
    // Files need neither the lockfile nor the state.
    let known = KnownAddresses::default();
    let beside = match (&manifest, &preview) {
        (Ok(_), Err(_)) => gather_beside(project, || &known, listener).ok(),
        _ => None,
    };
    let obstacle = match &preview {
        _ if broken.is_some() => project.manifest_name(),
        Err(Some(ViewError::Lockfile(_))) => project.lockfile_name(),
        _ => "the state".to_owned(),
    };
    let preview: Option<&PlanPreview> = preview.as_ref().ok();
    let gathered: Option<&Gathered> = preview.map(|preview| &preview.gathered).or(beside.as_ref());
    let unchecked = |topic| CheckResult::unchecked(topic, format!("{obstacle} can't be used"));
    let mut untracked = Vec::new();
    if let Some(gathered) = gathered {
        // A note about the lockfile is git's matter, below.
        let lockfile = project.lockfile_name();
        let (of_git, of_manifest): (Vec<&Diagnostic>, _) = gathered
            .notes
            .iter()
            .filter(|note| note.file != lockfile)
            .partition(|note| note.matter == Some(Matter::Untracked));
        untracked = checks::notes(CheckTopic::Git, &of_git);
        results.extend(checks::notes(CheckTopic::Manifest, &of_manifest));
        let assets = &gathered.desired.assets;
        creators = assets.values().map(|want| want.creator).chain(creators).collect();
        let (unusable, pointers) = facts::unusable(project, gathered);
        let used = preview.iter().flat_map(|preview| preview.recorded.used());
        let unlisted = gathered.desired.unlisted(used);
        results.extend(checks::files(assets.len(), unlisted.fileless.len(), &unusable, &pointers));
    } else {
        results.push(unchecked(CheckTopic::Files));
    }
    match preview {
        Some(preview) => results.extend(checks::assets(&preview.plan.held)),
        None => results.push(unchecked(CheckTopic::Assets)),
    }
    results.push(match gathered {
        Some(gathered) => checks::line_endings(&facts::converted(project, gathered)),
        None => unchecked(CheckTopic::LineEndings),
    });
    results.extend(checks::state(&facts::state(project, remote)));
    let lockfile = facts::lockfile(project, remote, preview);
    results.extend(checks::lockfile(&lockfile));
    let git = facts::git(project);
    results.extend(checks::git(&git, &lockfile.name, Publishing::of(&lockfile, is_local)));
    let publishing = stoppage::read(&project.state, StoppedWork::Publishing);
    results.extend(checks::on_change(publishing.as_ref()));
    results.extend(checks::service(stoppage::read(&project.state, StoppedWork::Service).as_ref()));
    results.extend(checks::git_work(git::busy(&project.root).as_ref()));
    results.append(&mut untracked);
    if let Some(PlanPreview { gathered, recorded, .. }) = preview {
        let edited = committed::edited(project, &committed::on_roblox(&gathered.desired, recorded));
        results.extend(edited.map(|Warning { message, hint }| CheckResult::warning(CheckTopic::Git, message, hint)));
    }
    if let Some(gathered) = gathered {
        let archives = gathered.desired.policy.removed == LeavePolicy::Archive;
        results.extend(checks::shallow_clone(&git, archives));
    }
    match preview {
        Some(preview) => results.extend(checks::outputs(&facts::outputs(preview))),
        None => results.push(unchecked(CheckTopic::Outputs)),
    }
    results.push(match gathered {
        Some(gathered) => checks::watching(facts::folders(gathered), facts::watch_limit()),
        None => unchecked(CheckTopic::Watching),
    });
    let state = project.state.ancestors().skip(1).find(|folder| folder.is_dir());
    let free = facts::free_space(&project.root, state);
    results.extend(checks::disks(mount::network(&project.root), state.and_then(mount::network), &free));
    LocalCheckup { results, creators }
}

/// Checks the way to the remote, and this machine's clock against the remote's. Sends one request,
/// without a key. Also returns whether something answered.
pub(crate) async fn network(base: &BaseUrl, timeouts: Timeouts) -> (Vec<CheckResult>, bool) {
    let reached = reach(base, timeouts.at_most(PATIENCE)).await;
    let date = reached.as_ref().ok().and_then(|Reached { date, .. }| *date);
    let clock = match &reached {
        Err(ReachError::Transport(error @ TransportError::Certificate { .. })) => {
            checks::untimely(&error.to_string(), clock::now())
        }
        _ => checks::clock(date, clock::now()),
    };
    let results = vec![checks::network(&reached, base.as_str()), clock];
    (results, reached.is_ok())
}

/// Asks Roblox what the key may do: one request that changes nothing.
pub(crate) async fn ask_about_key(client: &Client) -> KeyLookup {
    match tokio::time::timeout(PATIENCE, client.introspect()).await {
        Err(_) => {
            KeyLookup::Unasked { why: format!("Roblox said nothing about the key within {} s", PATIENCE.as_secs()) }
        }
        Ok(None) => KeyLookup::Token,
        Ok(Some(reply)) => match reply.result {
            Ok(facts) => KeyLookup::Known(facts),
            Err(failure) if failure.is_credential() => {
                KeyLookup::Refused { message: with_causes(&failure), hint: failure.hint().map(str::to_owned) }
            }
            Err(failure) => KeyLookup::Unasked { why: with_causes(&failure) },
        },
    }
}

/// Judges the key for the owners in the manifest, and what came of it when a sync last used one. Blocks.
pub(crate) fn key(project: &Project, found: &KeyLookup, creators: &BTreeSet<Creator>) -> Vec<CheckResult> {
    let stoppage = stoppage::read(&project.state, StoppedWork::Uploads);
    let is_served = lock::holder(&project.state).is_ok_and(|holder| holder.is_service());
    let stopped = checks::uploads(stoppage.as_ref(), found, is_served);
    checks::key(found, creators, clock::now()).into_iter().chain(stopped).collect()
}
