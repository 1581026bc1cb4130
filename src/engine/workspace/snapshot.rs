//! A read-only view of what is recorded: from the state, if there is one, and from the lockfile.
//! Writes nothing, takes no lock, and works on a read-only disk.

use std::collections::{BTreeMap, BTreeSet};

use crate::cloud::client::Client;
use crate::cloud::limits::LimitRecord;
use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::remote::observe::{self, QueryResult};
use crate::engine::remote::saved_limits;
use crate::engine::remote::throttle::{self, Throttle};
use crate::engine::report::progress::{Listener, silent};
use crate::engine::report::run_report::Stop;
use crate::engine::workspace::finished_uploads;
use crate::engine::workspace::gather::{GatherError, Gathered, gather, in_progress_now, wanted_addresses};
use crate::engine::workspace::git;
use crate::engine::workspace::lockfile::{self, LockfileChanges};
use crate::engine::workspace::lost_entries;
use crate::engine::workspace::lost_outcomes::hold_lost;
use crate::engine::workspace::missing_lockfile;
use crate::engine::workspace::outputs::{self, ChangedAssetId, RenderedOutput};
use crate::engine::workspace::project::Project;
use crate::files::FilesInProgress;
use crate::manifest::Diagnostic;
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::desired::Desired;
use crate::model::file::FileCache;
use crate::model::ids::AssetId;
use crate::model::missing_lockfile::MissingLockfile;
use crate::model::phase::Phase;
use crate::model::recorded::{ApplyError, AttemptId, Recorded};
use crate::outputs::AssetIds;
use crate::plan::reason::note::NoteKind;
use crate::plan::reason::step::StepReason;
use crate::plan::{Action, Hold, Note, Plan, PlanOptions, Step, plan};
use crate::platform::clock;
use crate::state::StateError;
use crate::state::lock::{self, Occupancy};
use crate::state::lockfile::{EarlierArchiving, LockfileError, ask_about, finished};
use crate::state::store::{EventRow, Store};

/// The number of addresses that a note names.
const LISTED: usize = 3;

/// The number of events shown for one address.
const EVENTS: u32 = 50;

/// The recorded state, without any request.
#[derive(Debug, Default)]
pub(crate) struct StateSnapshot {
    /// The recorded assets.
    pub recorded: Recorded,
    /// Cached facts about files.
    pub cache: FileCache,
    /// Roblox's limits as earlier runs learned them.
    pub limits: Vec<LimitRecord>,
    /// The evidence found in place of a missing lockfile.
    pub missing_lockfile: Option<MissingLockfile>,
    /// The addresses whose entries or revisions the lockfile had lost, and git's history has.
    pub taken_back: Vec<Address>,
    /// The archivings that the lockfile may have lost. Nothing here counts them: only Roblox knows.
    pub archivings: Vec<EarlierArchiving>,
    /// The changes that another process is sending now, by address. Its outcome isn't known before it
    /// is over.
    pub being_sent: BTreeMap<Address, AttemptId>,
}

/// Why the snapshot could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ViewError {
    /// The state can't be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The lockfile can't be used.
    #[error(transparent)]
    Lockfile(#[from] LockfileError),
    /// The lockfile contradicts the state: a defect of Macadam or a damaged state.
    #[error("can't combine the state and the lockfile")]
    Apply(#[from] ApplyError),
    /// The desired state is unknown.
    #[error(transparent)]
    Gather(#[from] GatherError),
}

impl StateSnapshot {
    /// Reads state and lockfile.
    ///
    /// # Errors
    /// When one of them can't be used, or belongs to another remote.
    pub(crate) fn open(project: &Project, remote: &str) -> Result<Self, ViewError> {
        let mut view = Self::default();
        let (mut fingerprint, mut coming, mut compared, mut lost_since) = (None, None, None, None);
        if let Some(store) = Store::open_read_only(&project.state, remote)? {
            let limits = saved_limits::budgets(store.load_limits()?);
            let (recorded, cache) = (store.load()?, store.load_files()?);
            view = Self { recorded, cache, limits, ..Self::default() };
            fingerprint = store.lockfile_fingerprint()?;
            coming = store.lockfile_coming()?;
            compared = store.lockfile_compared()?;
            lost_since = store.lockfile_lost_since()?;
            if store.has_lost_outcomes()? {
                let held = hold_lost(&view.recorded, clock::now());
                view.apply(&held)?;
            }
        }
        let bytes = crate::state::lockfile::read(&project.lockfile)?;
        let read = bytes.as_deref().map(crate::state::lockfile::fingerprint);
        match (&bytes, lost_since) {
            (None, _) => {
                let was_known = lost_since.is_some() || fingerprint.is_some();
                view.missing_lockfile = missing_lockfile::find(project, remote, was_known);
            }
            (Some(bytes), Some(since)) if read == fingerprint || read == coming => {
                let is_back = missing_lockfile::is_of_before(project, bytes, since);
                view.missing_lockfile = (!is_back).then(|| missing_lockfile::written_anew(project));
            }
            (Some(_), _) => {}
        }
        let is_same = read.is_some() && read == fingerprint;
        if !is_same || compared.is_none_or(|compared| compared != git::head(&project.root)) {
            let mut ledger = lockfile::parse(project, remote, bytes.as_deref())?;
            let found = bytes.map(|bytes| lost_entries::take_back(project, remote, &bytes, &mut ledger));
            let found = found.unwrap_or_default();
            (view.taken_back, view.archivings) = (found.lost, found.archivings);
            // A state that is ahead of a file that it knows learns nothing from it.
            if !is_same || found.is_changed {
                let changes = crate::state::lockfile::import(&view.recorded, &ledger, clock::now());
                view.apply(&changes)?;
            }
            let in_question = finished::in_question(&view.recorded, &ledger);
            let over = finished_uploads::find(project, remote, &in_question);
            view.apply(&finished::close(&view.recorded, &over))?;
        }
        if matches!(lock::holder(&project.state), Ok(Occupancy::Held { .. })) {
            let attempts = view.recorded.attempts.iter();
            let open = attempts.filter(|(_, attempt)| matches!(attempt.phase, Phase::Intended | Phase::HandedOver));
            view.being_sent = open.map(|(id, attempt)| (attempt.address.clone(), *id)).collect();
        }
        Ok(view)
    }

    /// Returns every address in the state or the lockfile.
    pub(crate) fn known(&self) -> BTreeSet<Address> {
        self.recorded.assets.keys().cloned().collect()
    }

    /// Returns the newest logged events of an address, oldest first. A lockfile has none.
    ///
    /// # Errors
    /// When the state can't be used.
    pub(crate) fn events(project: &Project, remote: &str, address: &Address) -> Result<Vec<EventRow>, ViewError> {
        let Some(store) = Store::open_read_only(&project.state, remote)? else { return Ok(Vec::new()) };
        Ok(newest_events(&store, address)?)
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), ApplyError> {
        let now = clock::now();
        changes.iter().try_for_each(|change| self.recorded.apply(change, now))
    }
}

/// Returns the addresses that the manifest wants, and all that are recorded, without a look into any
/// asset file. Blocks: it reads the disk.
///
/// # Errors
/// When manifest, state or lockfile can't be used.
pub(crate) fn addresses(project: &Project, remote: &str) -> Result<NamedAddresses, ViewError> {
    let view = StateSnapshot::open(project, remote)?;
    let wanted = wanted_addresses(project, &view.recorded.addresses())?;
    Ok(NamedAddresses { wanted, recorded: view.known() })
}

/// The addresses of a project.
#[derive(Debug)]
pub(crate) struct NamedAddresses {
    /// Those that the manifest wants.
    pub wanted: BTreeSet<Address>,
    /// Those in the state or the lockfile, by the names that they have there.
    pub recorded: BTreeSet<Address>,
}

/// Returns the newest logged events of an address, oldest first.
///
/// # Errors
/// When the state can't be read.
pub(in crate::engine) fn newest_events(store: &Store, address: &Address) -> Result<Vec<EventRow>, StateError> {
    let mut newest = store.events(Some(address), EVENTS)?;
    newest.reverse();
    Ok(newest)
}

/// The preview of a sync.
#[derive(Debug)]
pub(crate) struct PlanPreview {
    /// The desired state.
    pub gathered: Gathered,
    /// The recorded state, with the plan's marks.
    pub recorded: Recorded,
    pub plan: Plan,
    /// What would change in the lockfile even without a step.
    pub lockfile_changes: LockfileChanges,
    /// The addresses whose entries or revisions the lockfile had lost, and git's history has.
    pub taken_back: Vec<Address>,
    /// The files of `[[outputs]]` as they would be written now.
    pub outputs: Vec<RenderedOutput>,
    /// The asset IDs that the game would get now.
    pub asset_ids: AssetIds,
}

impl PlanPreview {
    /// Returns whether a sync would write an output, now or after the plan.
    pub(crate) fn outputs_change(&self) -> bool {
        self.outputs.iter().any(|draft| draft.is_due() || draft.new_asset_ids(&self.plan) > 0)
    }

    /// Returns whether a sync would leave an output unwritten, so that it ends with a failure.
    pub(crate) fn outputs_fail(&self) -> bool {
        self.outputs.iter().any(|draft| draft.planned_state(&self.plan).problem().is_some())
    }

    /// Returns the keys that an output's file loses.
    pub(crate) fn keys_gone(&self, draft: &RenderedOutput) -> Vec<String> {
        draft.keys_gone(&self.asset_ids, &self.plan)
    }

    /// Returns the addresses that get another of their asset IDs in an output's file. What a step of
    /// the plan does is left out: the step says it.
    pub(crate) fn changed_asset_ids(&self, draft: &RenderedOutput) -> Vec<ChangedAssetId> {
        let mut changed = draft.changed_asset_ids(&self.asset_ids, &self.recorded);
        changed.retain(|changed| !self.plan.steps.iter().any(|step| step.address == changed.address));
        changed
    }
}

/// Makes every output from the local state and compares it with its file; also returns the
/// manifest's notes. Files count as they are now: one that is being written keeps its last asset.
/// Blocks: it reads the disk.
///
/// # Errors
/// When manifest, state or lockfile can't be used.
pub(crate) fn outputs(project: &Project, remote: &str) -> Result<(Vec<RenderedOutput>, Vec<Diagnostic>), ViewError> {
    let mut view = StateSnapshot::open(project, remote)?;
    let gathered = gather(project, &view.cache, &view.recorded.addresses(), &FilesInProgress::default(), &silent())?;
    let plan = plan(&gathered.desired, &view.recorded, &PlanOptions::default(), clock::now());
    // An address that moved has its new name.
    view.apply(&plan.marks)?;
    let asset_ids = outputs::asset_ids(&gathered.desired, &view.recorded);
    let lost = view.missing_lockfile.as_ref().and_then(|missing| missing.lost(&gathered.desired, &view.recorded));
    let drafts = outputs::draft(project, &gathered.manifest, &asset_ids, lost.as_ref());
    if lost.is_some() {
        return Ok((drafts, gathered.notes));
    }
    let mut notes = gathered.notes;
    let is_lacking = |(address, asset_id): &(&Address, &Option<AssetId>)| {
        asset_id.is_none() && drafts.iter().any(|draft| draft.asks_for(address))
    };
    let lacking: Vec<&Address> = asset_ids.iter().filter(is_lacking).map(|(address, _)| address).collect();
    notes.extend(not_uploaded(project, &lacking));
    Ok((drafts, notes))
}

/// Returns a note about addresses that the outputs lack, since they have no asset yet.
fn not_uploaded(project: &Project, lacking: &[&Address]) -> Option<Diagnostic> {
    let more = lacking.len().saturating_sub(LISTED);
    let names: Vec<&str> = lacking.iter().take(LISTED).map(|address| address.as_str()).collect();
    let and = if more > 0 { format!(" and {more} more") } else { String::new() };
    let (asset, has, them) = if lacking.len() == 1 { ("asset", "has", "it") } else { ("assets", "have", "them") };
    (!lacking.is_empty()).then(|| {
        Diagnostic::of_project(
            format!(
                "{} {asset} {has} no asset ID yet, so the outputs lack {them}: {}{and}",
                lacking.len(),
                names.join(", ")
            ),
            format!("`macadam sync --once` uploads {them} and writes the outputs again"),
            project.manifest_name(),
        )
    })
}

/// Plans without writing or sending anything. Blocks: it reads the disk.
///
/// # Errors
/// When manifest, state or lockfile can't be used.
pub(crate) fn preview(
    project: &Project,
    remote: &str,
    listener: &Listener,
    options: &PlanOptions,
) -> Result<PlanPreview, ViewError> {
    PreviewInputs::open(project, remote, listener)?.finish(project, remote, options)
}

/// Does the same after fetching every asset from Roblox. Writes nothing either.
///
/// # Errors
/// As for [`preview`].
pub(crate) async fn preview_refreshed(
    project: &Project,
    remote: &str,
    listener: &Listener,
    options: &PlanOptions,
    asker: &Asker,
) -> Result<(PlanPreview, RefreshedPreview), ViewError> {
    let mut draft = tokio::task::block_in_place(|| PreviewInputs::open(project, remote, listener))?;
    let limits = std::mem::take(&mut draft.view.limits);
    let throttle = Throttle::new(&limits, throttle::OWNER, listener.clone());
    let archivings = std::mem::take(&mut draft.view.archivings);
    draft.view.apply(&ask_about(&draft.view.recorded, &archivings))?;
    // Moves come first, so that an asset is fetched under its current name.
    let first = plan(&draft.gathered.desired, &draft.view.recorded, options, clock::now());
    draft.view.apply(&first.marks)?;
    let queries = observe::queries(&draft.gathered.desired, &draft.view.recorded);
    let answers = observe::fetch_assets(&asker.client, &throttle, &asker.stop, queries).await;
    let mut unasked = Vec::new();
    for (asset_id, answer) in answers {
        if let QueryResult::Unknown { why } = &answer {
            unasked.push((asset_id, why.clone()));
        }
        let changes = observe::apply_observation(&draft.view.recorded, asset_id, &answer, clock::now());
        draft.view.apply(&changes)?;
    }
    let stop = asker.stop.why();
    let preview = tokio::task::block_in_place(|| draft.finish(project, remote, options))?;
    Ok((preview, RefreshedPreview { unasked, stop }))
}

/// Fetches assets for a preview.
pub(crate) struct Asker {
    pub client: Client,
    /// Ends the fetches.
    pub stop: Shutdown,
}

/// The result of the fetches, beside the preview.
#[derive(Debug)]
pub(crate) struct RefreshedPreview {
    /// Assets that could not be fetched, with the reason.
    pub unasked: Vec<(AssetId, String)>,
    /// Why the fetches ended early.
    pub stop: Option<Stop>,
}

/// A preview before its plan.
struct PreviewInputs {
    view: StateSnapshot,
    gathered: Gathered,
}

impl PreviewInputs {
    fn open(project: &Project, remote: &str, listener: &Listener) -> Result<Self, ViewError> {
        let view = StateSnapshot::open(project, remote)?;
        let gathered = gather(project, &view.cache, &view.recorded.addresses(), &in_progress_now(project), listener)?;
        Ok(Self { view, gathered })
    }

    fn finish(self, project: &Project, remote: &str, options: &PlanOptions) -> Result<PlanPreview, ViewError> {
        let Self { mut view, gathered } = self;
        let mut options = PlanOptions { missing_lockfile: view.missing_lockfile.clone(), ..options.clone() };
        options.in_progress.extend(view.being_sent.keys().cloned());
        let mut plan = plan(&gathered.desired, &view.recorded, &options, clock::now());
        let is_part = |address: &Address| options.only.as_ref().is_none_or(|only| only.addresses.contains(address));
        let unsure = may_be_archived(&gathered.desired, &view, &options, &plan)?;
        plan.notes.extend(unsure.into_iter().filter(|note| note.address.as_ref().is_none_or(is_part)));
        plan.steps.extend(view.being_sent.iter().filter(|(address, _)| is_part(address)).map(being_sent));
        plan.steps.sort_by(|a, b| a.address.cmp(&b.address));
        view.apply(&plan.marks)?;
        let missing = options.missing_lockfile.as_ref().filter(|_| !options.accept_new_lockfile);
        let lockfile_changes = lockfile::would_change(project, remote, &view.recorded, &gathered.desired, missing)?;
        let asset_ids = outputs::asset_ids(&gathered.desired, &view.recorded);
        let lost = missing.and_then(|missing| missing.lost(&gathered.desired, &view.recorded));
        let outputs = outputs::draft(project, &gathered.manifest, &asset_ids, lost.as_ref());
        Ok(PlanPreview {
            gathered,
            recorded: view.recorded,
            plan,
            lockfile_changes,
            taken_back: view.taken_back,
            outputs,
            asset_ids,
        })
    }
}

/// Returns a note for each asset that an earlier lockfile has as archived, where the plan depends on
/// whether it still is: the sync asks Roblox about it.
fn may_be_archived(
    desired: &Desired,
    view: &StateSnapshot,
    options: &PlanOptions,
    sure: &Plan,
) -> Result<Vec<Note>, ApplyError> {
    let asked = ask_about(&view.recorded, &view.archivings);
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let (mut recorded, now) = (view.recorded.clone(), clock::now());
    asked.iter().try_for_each(|change| recorded.apply(change, now))?;
    let archived = plan(desired, &recorded, options, now);
    let differs = |address: &Address| {
        let of = |plan: &Plan| {
            let steps = plan.steps.iter().filter(|step| step.address == *address).cloned();
            let held = plan.held.iter().filter(|hold| hold.address == *address).cloned();
            (steps.collect::<Vec<Step>>(), held.collect::<Vec<Hold>>())
        };
        of(&archived) != of(sure)
    };
    let notes = asked.iter().filter_map(|change| match change {
        Change::SetRetirement { address, asset_id, .. } if differs(address) => {
            Some(Note { address: Some(address.clone()), kind: NoteKind::MayBeArchived { asset_id: *asset_id } })
        }
        _ => None,
    });
    Ok(notes.collect())
}

/// The step of an address whose change another process is sending.
fn being_sent((address, attempt): (&Address, &AttemptId)) -> Step {
    let (action, reason) = (Action::Wait { attempt: *attempt }, StepReason::BeingSent);
    Step { address: address.clone(), action, reason, after: Vec::new(), not_before: None }
}
