//! `macadam import`: manages an asset that Roblox already has. Nothing changes there: the asset is
//! fetched, checked against the manifest, and recorded.
//!
//! Read next: [`super::resolve`] for other decisions of a person, `src/plan/moves.rs` for the
//! choices that an import makes.

use crate::cloud::failure::Failure;
use crate::engine::commands::error::{self, CommandError};
use crate::engine::commands::obstacle::Obstacle;
use crate::engine::execute::context::ExecutionContext;
use crate::engine::execute::effects;
use crate::engine::remote::fetch::AssetQuery;
use crate::engine::remote::observe;
use crate::engine::workspace::state_cache::StateCacheError;
use crate::model::address::Address;
use crate::model::asset::{AssetType, Moderation};
use crate::model::change::Change;
use crate::model::desired::{Desired, DesiredAsset};
use crate::model::digest::FieldDigest;
use crate::model::event::EventKind;
use crate::model::history::{History, Kind, Origin, RevisionFact, RevisionKey, RevisionState};
use crate::model::ids::{AssetId, ContentHash};
use crate::model::metadata::FieldDigests;
use crate::model::observation::Mismatch;
use crate::model::recorded::{Identity, Record, Recorded};
use crate::model::remote::RemoteAsset;
use crate::plan::current::last;
use crate::plan::input_digest;
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

/// The result of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Imported {
    /// The revision that the address has now.
    pub key: RevisionKey,
    /// Its number, as people see it.
    pub number: u64,
    /// The address that had the asset and left the manifest.
    pub moved_from: Option<Address>,
    /// Whether its content is known.
    pub content_known: bool,
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
        let unknown = || {
            format!(
                "Macadam can't compare this asset with the file of {address}, so the next sync uploads the file. If they are the same, run this again with `--content-matches`"
            )
        };
        let archived = || format!("the asset is archived: `macadam restore {address:#}` restores it");
        let reviewing = || "moderation is still checking it".to_owned();
        let shown = self.shown_by.iter().map(|other| format!("`{other}` shows it: the next sync gives it this asset"));
        let instead = self.instead_of.map(|other| {
            format!(
                "asset {other}, which {address} had until now, stays on Roblox, unused; `macadam history {address:#}` keeps its ID"
            )
        });
        let notes = [(!self.content_known).then(unknown), self.archived.then(archived), self.reviewing.then(reviewing)];
        notes.into_iter().flatten().chain(instead).chain(shown).collect()
    }
}

/// Why an asset was not imported. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The manifest doesn't have the address.
    #[error("`{address}` is not in the manifest")]
    NotInManifest {
        /// The address as given.
        address: Address,
        /// The manifest's addresses, for suggestions.
        known: Vec<Address>,
    },
    /// The file can't be used, so the asset's type is unknown.
    #[error("the file of `{address}` can't be used: {why}")]
    File {
        /// The address.
        address: Address,
        /// The problem.
        why: String,
    },
    /// A change of the address is open.
    #[error("Macadam is still changing `{address}`{}", Obstacle::ending(.obstacle.as_ref()))]
    UnderWay {
        /// The address.
        address: Address,
        /// What keeps the next sync from ending that.
        obstacle: Option<Obstacle>,
    },
    /// The asset is this address's already.
    #[error("asset {asset_id} already belongs to `{address}`, and nothing is left to do")]
    Already {
        /// The asset as given.
        asset_id: AssetId,
        /// Its address.
        address: Address,
    },
    /// The asset is another address's already.
    #[error("asset {asset_id} already belongs to `{owner}`")]
    Taken {
        /// The asset as given.
        asset_id: AssetId,
        /// Its address.
        owner: Address,
    },
    /// The asset differs from the manifest.
    #[error("asset {asset_id} can't be `{address}`: {why}")]
    NotTheSame {
        /// The address.
        address: Address,
        /// The asset as given.
        asset_id: AssetId,
        /// The difference.
        why: String,
    },
    /// Roblox doesn't have it.
    #[error("can't check asset {asset_id}")]
    NotFound {
        /// The asset as given.
        asset_id: AssetId,
        /// Roblox's answer.
        source: Box<Failure>,
    },
    /// What any command may fail of.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl From<StateCacheError> for ImportError {
    fn from(error: StateCacheError) -> Self {
        Self::Command(error.into())
    }
}

impl ImportError {
    /// Returns how to fix it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotInManifest { .. } => Some("add it to the manifest first".to_owned()),
            Self::File { .. } => Some("`macadam check` shows what is wrong with it".to_owned()),
            Self::UnderWay { obstacle, .. } => Obstacle::hint_or(
                obstacle.as_ref(),
                "run `macadam sync --once` first; `macadam status` shows what is left to do",
            ),
            Self::Already { address, .. } => Some(format!("`macadam history {address:#}` shows it")),
            Self::Taken { owner, .. } => {
                Some(format!("`macadam history {owner:#}` shows it; one asset can't have two names"))
            }
            Self::NotTheSame { .. } => {
                Some("correct the manifest, or look for the right asset at create.roblox.com".to_owned())
            }
            Self::NotFound { .. } => Some("its ID is in the address of its page at create.roblox.com".to_owned()),
            Self::Command(error) => error.hint(),
        }
    }

    /// Returns the part that all commands share.
    pub(crate) const fn shared(&self) -> Option<&CommandError> {
        match self {
            Self::Command(error) => Some(error),
            _ => None,
        }
    }

    /// Returns the address that was asked for and the manifest doesn't have.
    pub(crate) const fn unknown(&self) -> Option<&Address> {
        match self {
            Self::NotInManifest { address, .. } => Some(address),
            _ => None,
        }
    }
}

/// Imports an asset. Calls `before_writing` once it was found and may be imported, with whether it is
/// known to hold the file's content. The caller writes the lockfile.
///
/// # Errors
/// When the asset differs from the manifest, is another address's, or can't be fetched.
pub(crate) async fn import(
    context: &ExecutionContext,
    desired: &Desired,
    wish: ImportRequest<'_>,
    before_writing: &(dyn Fn(bool) + Sync),
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
    let is_same = |record: &Record| record.history.get(key).is_some_and(|fact| fact.content == Some(content));
    before_writing(context.state_cache.read(|recorded| recorded.assets.values().any(is_same)));
    let identity = Identity { asset_type, creator: want.creator, privacy: want.privacy, path: want.path.clone() };
    let content = wish.content_matches.then_some(content);
    let import = Import { wish, identity, content, fields, asset: &asset };
    let mut moved_from = None;
    let before = context.state_cache.read(|recorded| last(recorded.assets.get(address)?));
    let decide = |recorded: &Recorded| {
        moved_from = left_with(desired, recorded, wish);
        import.changes(recorded, moved_from.as_ref())
    };
    context.state_cache.commit_with(decide).await?;
    let (number, content_known) = context.state_cache.read(|recorded| {
        let history = recorded.assets.get(address).map(|record| &record.history);
        let known = history.and_then(|history| history.get(key)).is_some_and(|fact| fact.content.is_some());
        (history.map_or(0, |history| history.number(key)), known)
    });
    Ok(Imported {
        key,
        number,
        moved_from,
        content_known,
        archived: asset.archived == Some(true),
        reviewing: asset.moderation == Some(Moderation::Reviewing),
        instead_of: before.map(|(key, _)| key.asset_id).filter(|before| *before != asset_id),
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
    // An asset of this address that was gone may be found again, and one with unknown content may
    // become known: neither is another's.
    let is_again = |owner: &Address, record: &Record| {
        let is_unknown = || record.history.of_asset(asset_id).all(|(_, fact)| fact.content.is_none());
        owner == address && (record.history.is_gone(asset_id) || (wish.content_matches && is_unknown()))
    };
    let mut owners = recorded.assets.iter().filter(|(owner, record)| has(record, asset_id) && !is_again(owner, record));
    match owners.find(|(owner, _)| desired.assets.contains_key(*owner)) {
        Some((owner, _)) if owner == address => Err(ImportError::Already { asset_id, address: address.clone() }),
        Some((owner, _)) => Err(ImportError::Taken { asset_id, owner: owner.clone() }),
        None => Ok(()),
    }
}

/// Returns the address that left the manifest with this asset; of several that share it, the one
/// that made it.
fn left_with(desired: &Desired, recorded: &Recorded, wish: ImportRequest<'_>) -> Option<Address> {
    let ImportRequest { address, asset_id, .. } = wish;
    if recorded.assets.get(address).is_some_and(|record| !record.history.is_empty()) {
        return None;
    }
    let left = recorded.assets.iter().filter(|(other, record)| {
        record.in_lockfile.is_any() && !desired.assets.contains_key(*other) && other != &address
    });
    let with = left.filter_map(|(other, record)| {
        let (key, fact) = last(record)?;
        (key.asset_id == asset_id).then_some((fact.shared, other))
    });
    with.min().map(|(_, other)| other.clone())
}

/// Returns how the asset differs from the manifest. A fact that Roblox doesn't state can't be
/// checked, so it counts as a difference.
fn difference(want: &DesiredAsset, asset_type: AssetType, asset: &RemoteAsset) -> Option<String> {
    match Mismatch::of(Kind { asset_type, creator: want.creator }, asset) {
        Some(Mismatch::Creator { meant, found, .. }) => {
            return Some(format!("it belongs to {}, not to {}", found.in_words(), meant.in_words()));
        }
        Some(Mismatch::Type { meant, found, .. }) => return Some(format!("its type is {found}, not {meant}")),
        Some(Mismatch::Asset { .. }) | None => {}
    }
    if asset.creator.is_none() {
        return Some("Roblox doesn't say who owns it".to_owned());
    }
    if asset.asset_type.is_none() {
        return Some(format!("Macadam doesn't know its type; it should be {asset_type}"));
    }
    (asset.moderation == Some(Moderation::Rejected)).then(|| "moderation rejected it".to_owned())
}

/// A checked import.
struct Import<'a> {
    wish: ImportRequest<'a>,
    identity: Identity,
    /// The content, as stated by the user.
    content: Option<ContentHash>,
    /// The desired metadata.
    fields: FieldDigests,
    asset: &'a RemoteAsset,
}

impl Import<'_> {
    fn changes(&self, recorded: &Recorded, moved_from: Option<&Address>) -> Vec<Change> {
        let Self { wish: ImportRequest { address, asset_id, .. }, identity, content, asset, .. } = self;
        let address = || Address::clone(address);
        let now = clock::now();
        let key = effects::key_of(identity.asset_type, asset);
        // If another branch made it, its content is known.
        let known = recorded.assets.values().find_map(|record| record.history.get(key)?.content);
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
                changes.extend(effects::looked_at(&address(), record, asset, None, false, now));
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
        // The user's choice counts for more than the lockfile's, until it is written there.
        let preferred = history.prefer(*asset_id, identity.kind()).into_iter();
        changes.extend(preferred.map(|(asset_id, listing)| Change::SetListing {
            address: address(),
            asset_id,
            listing: Some(listing),
        }));
        changes.push(Change::SetCurrentAsset { address: address(), asset_id: *asset_id });
        changes.push(Change::RecordObservation { asset: RemoteAsset::clone(asset) });
        changes.push(Change::SetBlocked { address: address(), blocked: None });
        let event = EventKind::Imported { asset_id: *asset_id, from: moved_from.cloned() };
        changes.push(Change::LogEvent { address: Some(address()), event });
        changes
    }
}
