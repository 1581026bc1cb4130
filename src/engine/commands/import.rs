//! `macadam import`: manages an asset that Roblox already has. Nothing changes there: the asset is
//! fetched, checked against the manifest, and recorded.
//!
//! Read next: [`super::resolve`] for other decisions of a person, `src/plan/moves.rs` for the
//! choices that an import makes.

mod left;
mod refusal;

use self::left::{left_with, losers};
pub(crate) use self::refusal::ImportError;

use crate::engine::commands::error::{self, CommandError};
use crate::engine::commands::obstacle::Obstacle;
use crate::engine::execute::context::ExecutionContext;
use crate::engine::execute::effects;
use crate::engine::remote::fetch::AssetQuery;
use crate::engine::remote::observe;
use crate::model::address::Address;
use crate::model::asset::{AssetType, ContentChange, Moderation};
use crate::model::change::Change;
use crate::model::desired::{Desired, DesiredAsset};
use crate::model::digest::FieldDigest;
use crate::model::event::EventKind;
use crate::model::history::{History, Kind, Origin, RevisionFact, RevisionKey, RevisionState};
use crate::model::ids::{AssetId, ContentHash};
use crate::model::metadata::FieldDigests;
use crate::model::observation::Mismatch;
use crate::model::policy::LeavePolicy;
use crate::model::recorded::{Identity, Record, Recorded};
use crate::model::remote::RemoteAsset;
use crate::plan::current::last;
use crate::plan::input_digest;
use crate::plan::reason::WithArticle;
use crate::platform::clock;

/// The arguments of an import.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ImportRequest<'a> {
    /// The address that receives the asset.
    pub address: &'a Address,
    pub asset_id: AssetId,
    /// Whether the user says that the asset holds the file's content.
    pub content_matches: bool,
}

/// What becomes of an imported asset with the file that its address has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImportFit {
    /// It holds the file's content.
    Same,
    /// It is updated to the file's content, or an asset with that takes its place.
    Differs {
        /// Whether the asset's content is known.
        known: bool,
    },
    /// The address stays another asset, which holds the file's content already.
    Unused {
        /// The other asset.
        stays: AssetId,
        /// Whether the imported asset's content is known.
        known: bool,
        /// The type, which Roblox doesn't update.
        asset_type: AssetType,
        /// The policy archives an asset of an address that uses another one.
        archives: bool,
    },
}

impl ImportFit {
    /// Returns the fit of an asset that holds `known` with a file of `wanted` bytes.
    fn of(
        record: Option<&Record>,
        (asset_id, asset_type): (AssetId, AssetType),
        known: Option<ContentHash>,
        wanted: ContentHash,
        policy: LeavePolicy,
    ) -> Self {
        if known == Some(wanted) {
            return Self::Same;
        }
        let known = known.is_some();
        let has_file = || record?.current(asset_type, wanted).map(|(key, _)| key.asset_id);
        match has_file().filter(|other| *other != asset_id) {
            Some(stays) if asset_type.on_content_change() == ContentChange::NewAsset => {
                Self::Unused { stays, known, asset_type, archives: policy == LeavePolicy::Archive }
            }
            Some(_) | None => Self::Differs { known },
        }
    }

    /// Returns whether the content of the imported asset is known.
    pub(crate) const fn is_content_known(self) -> bool {
        match self {
            Self::Same => true,
            Self::Differs { known } | Self::Unused { known, .. } => known,
        }
    }

    /// Returns what a person should know of it; `None` where nothing follows.
    pub(crate) fn note(self, address: &Address, asset_id: AssetId) -> Option<String> {
        const ARCHIVES: &str = ". Without a pin Macadam archives it like a replaced one (`replaced = \"archive\"`)";
        let or_same = |known: bool| {
            let matching =
                format!(". If they are the same, use `macadam import {address:#} {asset_id} --content-matches`");
            if known { String::new() } else { matching }
        };
        match self {
            Self::Same => None,
            Self::Differs { known: true } => Some(format!(
                "asset {asset_id} has other content than the file of {address}, so the next sync uploads the file"
            )),
            Self::Differs { known } => Some(format!(
                "Macadam can't compare asset {asset_id} with the file of {address}, so the next sync uploads the file{}",
                or_same(known)
            )),
            Self::Unused { stays, known, asset_type, archives } => Some(format!(
                "{address} stays asset {stays}, which has its file: Roblox can't update {} to another content. To use asset {asset_id} all the \
                 same, pin {address} to it: `macadam history {address:#}` shows its number{}{}",
                WithArticle(asset_type),
                if archives { ARCHIVES } else { "" },
                or_same(known)
            )),
        }
    }
}

/// The result of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Imported {
    /// The revision that the address has now.
    pub key: RevisionKey,
    /// Its number, as people see it.
    pub number: u64,
    /// The address that had the asset and left the manifest.
    pub moved_from: Option<Address>,
    /// What becomes of it with the file that the address has.
    pub fit: ImportFit,
    /// Whether it is archived.
    pub archived: bool,
    /// Whether it is under review.
    pub reviewing: bool,
    /// The asset that the address had until now.
    pub instead_of: Option<AssetId>,
    /// Addresses whose icon or preview it is.
    pub shown_by: Vec<Address>,
}

impl Imported {
    /// Returns notes for a person, one per line.
    pub(crate) fn notes(&self, address: &Address) -> Vec<String> {
        self.fit.note(address, self.key.asset_id).into_iter().chain(self.notes_beside_fit(address)).collect()
    }

    /// Returns the notes but for that about the file, which is said before the import.
    pub(crate) fn notes_beside_fit(&self, address: &Address) -> Vec<String> {
        let archived = || format!("the asset is archived: `macadam restore {address:#}` restores it");
        let reviewing = || "moderation is still checking it".to_owned();
        let shown = self.shown_by.iter().map(|other| format!("`{other}` shows it: the next sync gives it this asset"));
        let instead = self.instead_of.map(|other| {
            format!(
                "asset {other}, which {address} had until now, stays on Roblox, unused; `macadam history {address:#}` keeps its ID"
            )
        });
        let notes = [self.archived.then(archived), self.reviewing.then(reviewing)];
        notes.into_iter().flatten().chain(instead).chain(shown).collect()
    }
}

/// Imports an asset. Calls `before_writing` once it was found and may be imported, with what becomes
/// of it. The caller writes the lockfile.
///
/// # Errors
/// When the asset differs from the manifest, is another address's, or can't be fetched.
pub(crate) async fn import(
    context: &ExecutionContext,
    desired: &Desired,
    wish: ImportRequest<'_>,
    before_writing: &(dyn Fn(ImportFit) + Sync),
) -> Result<Imported, ImportError> {
    let ImportRequest { address, asset_id, .. } = wish;
    let (want, asset_type, content) = usable(desired, address)?;
    context.state_cache.read(|recorded| refuse_taken(desired, recorded, wish))?;
    let fields = context.state_cache.read(|recorded| input_digest::fields(want, desired, recorded));
    let query = AssetQuery { asset_id, extras: fields.keys().any(|field| observe::is_extra(*field)) };
    let asset = error::fetch(context, query).await.map_err(|error| match error {
        CommandError::Fetch { asset_id, source } if source.is_not_found() => ImportError::NotFound { asset_id, source },
        error => error.into(),
    })?;
    if let Some(why) = difference(want, asset_type, &asset) {
        return Err(ImportError::NotTheSame { address: address.clone(), asset_id, why });
    }
    let key = effects::key_of(asset_type, &asset);
    let said = wish.content_matches.then_some(content);
    let fit = context.state_cache.read(|recorded| {
        let known = of_others(recorded, key).and_then(|fact| fact.content).or(said);
        let policy = desired.policy.replaced;
        ImportFit::of(recorded.assets.get(address), (asset_id, asset_type), known, content, policy)
    });
    before_writing(fit);
    let identity = Identity { asset_type, creator: want.creator, privacy: want.privacy, path: want.path.clone() };
    let import = Import { wish, identity, content: said, fit, fields, asset: &asset };
    let mut moved_from = None;
    let before = context.state_cache.read(|recorded| last(recorded.assets.get(address)?));
    let decide = |recorded: &Recorded| {
        moved_from = left_with(desired, recorded, wish);
        let losers = losers(desired, recorded, wish, moved_from.as_ref());
        let changes = import.changes(recorded, moved_from.as_ref(), &losers);
        if moved_from.is_none() && !matches!(fit, ImportFit::Unused { .. }) {
            moved_from = losers.into_iter().next();
        }
        changes
    };
    context.state_cache.commit_with(decide).await?;
    let number = context
        .state_cache
        .read(|recorded| recorded.assets.get(address).map_or(0, |record| record.history.number(key)));
    Ok(Imported {
        key,
        number,
        moved_from,
        fit,
        archived: asset.archived == Some(true),
        reviewing: asset.moderation == Some(Moderation::Reviewing),
        instead_of: before
            .map(|(key, _)| key.asset_id)
            .filter(|before| *before != asset_id && !matches!(fit, ImportFit::Unused { .. })),
        shown_by: desired
            .assets
            .iter()
            .filter(|(_, want)| want.metadata.references().any(|shown| shown == address))
            .map(|(other, _)| other.clone())
            .collect(),
    })
}

/// Returns the desired asset of an address, with the type and hash of its file.
fn usable<'a>(
    desired: &'a Desired,
    address: &Address,
) -> Result<(&'a DesiredAsset, AssetType, ContentHash), ImportError> {
    let unknown =
        || ImportError::NotInManifest { address: address.clone(), known: desired.assets.keys().cloned().collect() };
    let want = desired.assets.get(address).ok_or_else(unknown)?;
    let file = |why: &str| ImportError::File { address: address.clone(), why: why.to_owned() };
    let facts = want.content.as_ref().map_err(|problem| file(&problem.message))?;
    let asset_type = want.asset_type.ok_or_else(|| file("nothing tells its type"))?;
    Ok((want, asset_type, facts.hash))
}

fn is_in_place(record: &Record) -> bool {
    record.identity.asset_type.on_content_change() == ContentChange::InPlace
}

fn has(record: &Record, asset_id: AssetId) -> bool {
    record.history.of_asset(asset_id).next().is_some()
}

/// Checks the local records for reasons against the import.
fn refuse_taken(desired: &Desired, recorded: &Recorded, wish: ImportRequest<'_>) -> Result<(), ImportError> {
    let ImportRequest { address, asset_id, .. } = wish;
    if recorded.attempts.values().any(|attempt| attempt.address == *address) {
        let obstacle = Obstacle::of(address, desired, recorded, clock::now());
        return Err(ImportError::UnderWay { address: address.clone(), obstacle });
    }
    // An asset of this address that was gone may be found again, one with unknown content may become
    // known, and a Model may go back to the asset that it was before another import: neither is
    // another's.
    let is_again = |owner: &Address, record: &Record| {
        let is_unknown = || record.history.of_asset(asset_id).all(|(_, fact)| fact.content.is_none());
        // Its owner and type are claims of a list or another tool.
        let is_claimed = || record.history.of_asset(asset_id).all(|(_, fact)| fact.is_claim());
        let is_earlier = || is_in_place(record) && last(record).is_none_or(|(key, _)| key.asset_id != asset_id);
        owner == address
            && (record.history.is_gone(asset_id)
                || is_earlier()
                || is_claimed()
                || (wish.content_matches && is_unknown()))
    };
    let mut owners = recorded.assets.iter().filter(|(owner, record)| has(record, asset_id) && !is_again(owner, record));
    match owners.find(|(owner, _)| desired.assets.contains_key(*owner)) {
        Some((owner, _)) if owner == address => Err(ImportError::Already { asset_id, address: address.clone() }),
        Some((owner, _)) => Err(ImportError::Taken { asset_id, owner: owner.clone() }),
        None => Ok(()),
    }
}

/// Returns how the asset differs from the manifest. A fact that Roblox doesn't state can't be
/// checked, so it counts as a difference.
fn difference(want: &DesiredAsset, asset_type: AssetType, asset: &RemoteAsset) -> Option<String> {
    let meant = Kind { asset_type, creator: want.creator };
    if let Some(difference) = Mismatch::of(meant, asset).and_then(|mismatch| mismatch.difference()) {
        return Some(difference);
    }
    if asset.creator.is_none() {
        return Some("Roblox doesn't say who owns it".to_owned());
    }
    if asset.asset_type.is_none() {
        return Some(format!("Macadam doesn't know its type; it should be {asset_type}"));
    }
    (asset.moderation == Some(Moderation::Rejected)).then(|| "moderation rejected it".to_owned())
}

/// Returns what is known of a revision, whichever address has it.
fn of_others(recorded: &Recorded, key: RevisionKey) -> Option<RevisionFact> {
    let facts = recorded.assets.values().filter_map(|record| record.history.get(key));
    facts.max_by_key(|fact| fact.content.is_some()).copied()
}

/// A checked import.
struct Import<'a> {
    wish: ImportRequest<'a>,
    identity: Identity,
    /// The content, as stated by the user.
    content: Option<ContentHash>,
    fit: ImportFit,
    /// The desired metadata.
    fields: FieldDigests,
    asset: &'a RemoteAsset,
}

impl Import<'_> {
    fn changes(&self, recorded: &Recorded, moved_from: Option<&Address>, losers: &[Address]) -> Vec<Change> {
        let Self { wish: ImportRequest { address, asset_id, .. }, identity, content, fit, asset, .. } = self;
        let address = || Address::clone(address);
        let now = clock::now();
        let key = effects::key_of(identity.asset_type, asset);
        // If another branch made it, its content is known.
        let of_another = of_others(recorded, key);
        let known = of_another.and_then(|fact| fact.content);
        let fact = RevisionFact {
            made: Some((now, Origin::Import)),
            ..RevisionFact::new(1, known.or(*content), RevisionState::of_moderation(asset.moderation))
        };
        let set_identity = Change::SetIdentity { address: address(), identity: identity.clone() };
        let learn = |fact: RevisionFact| Change::AddRevision { address: address(), key, fact };
        let mut changes = Vec::new();
        match moved_from.and_then(|from| Some((from, recorded.assets.get(from)?))) {
            Some((from, record)) => {
                changes.extend([Change::Move { from: from.clone(), to: address() }, set_identity]);
                changes.extend(effects::looked_at(&address(), record, asset, of_another, false, now));
                let untold = record.history.get(key).filter(|fact| fact.content.is_none());
                changes.extend(untold.map(|known| learn(RevisionFact { content: *content, ..*known })));
            }
            None => {
                let history = recorded.assets.get(&address()).map(|record| &record.history);
                let stored = |field| asset.stored(field).unwrap_or(FieldDigest::UNKNOWN);
                let fields = self.fields.keys().map(|field| (*field, stored(*field))).collect();
                let before = recorded.assets.get(&address()).filter(|record| has(record, *asset_id));
                if let Some(record) = before {
                    changes.extend(effects::looked_at(&address(), record, asset, None, false, now));
                }
                let state = history.and_then(|history| history.get(key)).map(|known| known.now(fact.state));
                let fact =
                    state.map_or(fact, |RevisionFact { state, round, .. }| RevisionFact { state, round, ..fact });
                changes.extend([
                    set_identity,
                    learn(RevisionFact { ordinal: history.map_or(1, History::next_ordinal), ..fact }),
                    Change::SetMetadata { address: address(), fields, stored: FieldDigests::new() },
                ]);
            }
        }
        let mut history = recorded.assets.get(moved_from.unwrap_or(&address())).map(|record| record.history.clone());
        let history = history.get_or_insert_default();
        if history.of_asset(*asset_id).next().is_none() {
            history.add(key, RevisionFact { ordinal: history.next_ordinal(), kind: Some(identity.kind()), ..fact });
        }
        if !matches!(fit, ImportFit::Unused { .. }) {
            let pinned = recorded.assets.get(moved_from.unwrap_or(&address())).and_then(|record| *record.pinned);
            for from in losers {
                changes.push(Change::MoveAsset { from: from.clone(), to: address(), asset_id: *asset_id });
            }
            // Where its own last rollback led counts for more than where that of another name did.
            if pinned.is_some() && !losers.is_empty() {
                changes.push(Change::SetPinnedAt { address: address(), pinned });
            }
            // The user's choice counts for more than the lockfile's, until it is written there.
            let preferred = history.prefer(*asset_id, identity.kind()).into_iter();
            changes.extend(preferred.map(|(asset_id, listing)| Change::SetListing {
                address: address(),
                asset_id,
                listing: Some(listing),
            }));
            changes.push(Change::SetCurrentAsset { address: address(), asset_id: *asset_id });
        }
        changes.push(Change::RecordObservation { asset: RemoteAsset::clone(asset) });
        changes.push(Change::SetBlocked { address: address(), blocked: None });
        let event = EventKind::Imported { asset_id: *asset_id, from: moved_from.cloned() };
        changes.push(Change::LogEvent { address: Some(address()), event });
        changes
    }
}
